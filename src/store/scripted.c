/* The scripted driver: a unit test says which statements are expected and what they answer. */
#include "store/driver.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct line {
  char *prefix, *answer;
};
struct script {
  pthread_mutex_t lock;
  struct line *lines;
  size_t count, at;
};
struct cells { /* one result: rows × columns texts, NULL for \N */
  char *copy, **cell;
  int rows, columns;
};

static char *trimmed(const char *p, size_t n) {
  while (n > 0 && isspace((unsigned char)*p)) p++, n--;
  while (n > 0 && isspace((unsigned char)p[n - 1])) n--;
  char *s = base_alloc(n + 1);
  memcpy(s, p, n);
  return s;
}

static int sc_open(struct store *s, const char *where, struct err *err) {
  struct script *k = base_alloc(sizeof *k);
  s->engine = k;
  pthread_mutex_init(&k->lock, NULL);
  for (const char *p = where; *p != '\0';) {
    size_t n = strcspn(p, "\n");
    char *line = trimmed(p, n), *arrow = strstr(line, "=>");
    p += n + (p[n] == '\n');
    if (arrow != NULL) {
      k->lines = base_realloc(k->lines, (k->count + 1) * sizeof *k->lines);
      k->lines[k->count].prefix = trimmed(line, (size_t)(arrow - line));
      k->lines[k->count++].answer = trimmed(arrow + 2, strlen(arrow + 2));
    } else if (*line != '\0') {
      err_set(err, ERR_MALFORMED, "script: no => in: %.80s", line);
      free(line);
      return -1;
    }
    free(line);
  }
  return 0;
}

static void sc_close(struct store *s) {
  struct script *k = s->engine;
  for (size_t i = 0; i < k->count; i++) {
    if (i >= k->at) log_write(LOG_WARN, "store", "script: never asked: %s", k->lines[i].prefix);
    free(k->lines[i].prefix);
    free(k->lines[i].answer);
  }
  free(k->lines);
  pthread_mutex_destroy(&k->lock);
  free(k);
}

static struct conn *sc_connect(struct store *s, enum conn_use use, struct err *err) {
  struct conn *c = base_alloc(sizeof *c);
  c->store = s;
  c->use = use;
  return c;
}

static void sc_disconnect(struct conn *c) { free(c); }
static int sc_begin(struct conn *c, bool alone, struct err *err) { return 0; }
static void sc_member_begin(struct conn *c) {}
static int sc_member(struct conn *c, struct err *err) { return 0; }
static void sc_rollback(struct conn *c) {}

static enum err_code code_named(const char *name) {
  static const struct { enum err_code code; const char *name; } all[] = {
#define X(code, status, text) {code, text},
    ERR_TABLE(X)
#undef X
  };
  for (size_t i = 0; i < BASE_COUNT(all); i++)
    if (strcmp(all[i].name, name) == 0) return all[i].code;
  return ERR_INTERNAL;
}

/* The answer to the next expected statement; NULL with err when it is another one or answers an error. */
static const char *ask(struct conn *c, const struct dialect *d, struct err *err) {
  struct script *k = c->store->engine;
  const char *answer = NULL, *sql = d->source;
  while (isspace((unsigned char)*sql)) sql++;
  pthread_mutex_lock(&k->lock);
  if (k->at == k->count) err_set(err, ERR_INTERNAL, "script: unexpected statement: %.200s", sql);
  else if (!base_starts(sql, k->lines[k->at].prefix))
    err_set(err, ERR_INTERNAL, "script: expected %.100s but got %.200s", k->lines[k->at].prefix, sql);
  else answer = k->lines[k->at++].answer;
  pthread_mutex_unlock(&k->lock);
  if (answer != NULL && answer[0] == '!') {
    char *name = trimmed(answer + 1, strlen(answer + 1));
    err_set(err, code_named(name), "script: %s", name);
    free(name);
    answer = NULL;
  }
  if (answer == NULL) c->trouble = TROUBLE_MEMBER;
  return answer;
}

static int sc_exec(struct conn *c, const struct dialect *d, const struct params *p, bool wait, int64_t *changed, struct err *err) {
  const char *answer = ask(c, d, err);
  if (answer == NULL) return -1;
  if (changed != NULL) *changed = answer[0] == '#' ? strtoll(answer + 1, NULL, 10) : 0;
  return 0;
}

static int sc_select(struct conn *c, const struct dialect *d, const struct params *p, struct store_rows *r, struct err *err) {
  const char *answer = ask(c, d, err);
  if (answer == NULL) return -1;
  struct cells *t = base_alloc(sizeof *t);
  t->copy = base_strdup(answer[0] == '#' ? "" : answer);
  t->cell = base_alloc((strlen(t->copy) + 2) * sizeof *t->cell);
  int cells = 0;
  for (char *row = t->copy; row != NULL && *row != '\0';) {
    char *rest = strchr(row, ';');
    if (rest != NULL) *rest++ = '\0';
    for (char *cell = row; cell != NULL;) {
      char *next = strchr(cell, '|');
      if (next != NULL) *next++ = '\0';
      t->cell[cells++] = strcmp(cell, "\\N") == 0 ? NULL : cell;
      if (t->rows == 0) t->columns++;
      cell = next;
    }
    t->rows++;
    row = rest;
  }
  r->handle = t;
  r->columns = t->columns;
  r->row = -1;
  if (cells == t->rows * t->columns) return 0;
  free(t->cell);
  free(t->copy);
  free(t);
  return err_set(err, ERR_INTERNAL, "script: rows of unequal length: %.200s", answer);
}

static int sc_next(struct store_rows *r, struct err *err) { return ++r->row < ((struct cells *)r->handle)->rows; }

static void sc_done(struct store_rows *r) {
  struct cells *t = r->handle;
  free(t->cell);
  free(t->copy);
  free(t);
}

static const char *sc_text(const struct store_rows *r, int column) {
  const struct cells *t = r->handle;
  return r->row < 0 || r->row >= t->rows ? NULL : t->cell[r->row * t->columns + column];
}

static bool sc_null(const struct store_rows *r, int column) { return sc_text(r, column) == NULL; }

static int64_t sc_integer(const struct store_rows *r, int column) {
  const char *s = sc_text(r, column);
  return s == NULL ? 0 : strtoll(s, NULL, 10);
}

static const void *sc_blob(const struct store_rows *r, int column, size_t *n) {
  const char *s = sc_text(r, column);
  *n = s == NULL ? 0 : strlen(s);
  return s;
}

const struct driver store_scripted = {
  .engine = STORE_SCRIPTED, .open = sc_open, .close = sc_close, .connect = sc_connect, .disconnect = sc_disconnect,
  .begin = sc_begin, .member_begin = sc_member_begin, .member_keep = sc_member, .member_undo = sc_member, .commit = sc_member,
  .rollback = sc_rollback, .exec = sc_exec, .select = sc_select, .next = sc_next, .done = sc_done, .null = sc_null,
  .integer = sc_integer, .text = sc_text, .blob = sc_blob,
};
