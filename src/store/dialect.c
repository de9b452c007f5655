/* One SQL text for two engines: tokens and parameters translated, kept by the address of the literal. */
#include "store/driver.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- a map by address ---------------------------------------------------------------- */

static size_t slot_of(const struct ptrmap *m, const void *key) {
  size_t h = ((uintptr_t)key >> 3) * 0x9E3779B97F4A7C15ull >> 20;
  size_t i = h & (m->room - 1);
  while (m->slots[i].key != NULL && m->slots[i].key != key) i = (i + 1) & (m->room - 1);
  return i;
}

void *ptrmap_get(const struct ptrmap *m, const void *key) {
  return m->room == 0 ? NULL : m->slots[slot_of(m, key)].value;
}

void ptrmap_put(struct ptrmap *m, const void *key, void *value) {
  if (m->used * 2 >= m->room) {
    struct ptrmap bigger = {.room = m->room == 0 ? 64 : m->room * 2, .used = m->used};
    bigger.slots = base_alloc(bigger.room * sizeof *bigger.slots);
    for (size_t i = 0; i < m->room; i++)
      if (m->slots[i].key != NULL) bigger.slots[slot_of(&bigger, m->slots[i].key)] = m->slots[i];
    free(m->slots);
    *m = bigger;
  }
  size_t i = slot_of(m, key);
  if (m->slots[i].key == NULL) m->used++;
  m->slots[i].key = key;
  m->slots[i].value = value;
}

void ptrmap_free(struct ptrmap *m) {
  free(m->slots);
  memset(m, 0, sizeof *m);
}

/* ---- translation --------------------------------------------------------------------- */

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static size_t word_length(const char *s) {
  size_t n = 0;
  while (is_word(s[n])) n++;
  return n;
}

static bool word_is(const char *s, size_t n, const char *word) { return strlen(word) == n && strncasecmp(s, word, n) == 0; }

static const char *blanks(const char *s) {
  while (isspace((unsigned char)*s)) s++;
  return s;
}

static const char *skip_comments(const char *s) {
  for (;;) {
    s = blanks(s);
    if (s[0] != '-' || s[1] != '-') return s;
    while (*s != '\0' && *s != '\n') s++;
  }
}

static int token(struct buf *out, enum store_engine engine, const char *s, size_t n, struct err *err) {
  bool pg = engine == STORE_POSTGRES;
  if (word_is(s, n, "id")) buf_adds(out, pg ? "TEXT COLLATE \"C\"" : "TEXT");
  else if (word_is(s, n, "time")) buf_adds(out, "BIGINT");
  else if (word_is(s, n, "number")) buf_adds(out, pg ? "BIGINT" : "INTEGER");
  else if (word_is(s, n, "blob")) buf_adds(out, pg ? "BYTEA" : "BLOB");
  else if (word_is(s, n, "claim")) buf_adds(out, pg ? "FOR UPDATE SKIP LOCKED" : "");
  else if (word_is(s, n, "wide")) buf_adds(out, "");
  else return err_set(err, ERR_INTERNAL, "SQL: unknown token @%.*s", (int)n, s);
  return 0;
}

static int parameter(struct buf *out, enum store_engine engine, const char **s, int *params, struct err *err) {
  int number = 0;
  const char *p = *s + 1;
  for (; isdigit((unsigned char)*p) && number < 1000; p++) number = number * 10 + (*p - '0');
  if (number < 1 || number > STORE_PARAMS) return err_set(err, ERR_INTERNAL, "SQL: parameters are ?1 to ?%d", STORE_PARAMS);
  if (number > *params) *params = number;
  buf_addf(out, "%c%d", engine == STORE_POSTGRES ? '$' : '?', number);
  *s = p;
  return 0;
}

/* A quoted text or name, whole; a doubled quote begins another one at once, which comes to the same. */
static int quoted(struct buf *out, const char **s, struct err *err) {
  const char *end = strchr(*s + 1, **s);
  if (end == NULL) return err_set(err, ERR_INTERNAL, "SQL: a quote is not closed");
  buf_add(out, *s, (size_t)(end + 1 - *s));
  *s = end + 1;
  return 0;
}

static void word(struct buf *out, bool pg_definition, const char **s) {
  size_t n = word_length(*s);
  const char *after = *s + n;
  if (pg_definition && word_is(*s, n, "TEXT")) {
    buf_adds(out, "TEXT COLLATE \"C\"");
  } else if (pg_definition && word_is(*s, n, "WITHOUT") && word_is(blanks(after), word_length(blanks(after)), "ROWID")) {
    after = blanks(after) + 5;
  } else {
    buf_add(out, *s, n);
  }
  *s = after;
}

char *dialect_translate(enum store_engine engine, const char *sql, int *params, enum kind *kind, struct err *err) {
  struct buf out = {0};
  const char *s = skip_comments(sql);
  size_t n = word_length(s);
  *params = 0;
  *kind = KIND_OTHER;
  if (word_is(s, n, "SELECT") || word_is(s, n, "VALUES")) *kind = KIND_SELECT;
  if (word_is(s, n, "INSERT") || word_is(s, n, "UPDATE") || word_is(s, n, "DELETE") || word_is(s, n, "WITH")) *kind = KIND_CHANGE;
  bool definition = word_is(s, n, "CREATE") || word_is(s, n, "ALTER");
  int rc = 0;
  while (rc == 0 && *s != '\0') {
    if (*s == '\'' || *s == '"') {
      rc = quoted(&out, &s, err);
    } else if (s[0] == '-' && s[1] == '-') {
      while (*s != '\0' && *s != '\n') s++;
    } else if (*s == '?') {
      rc = parameter(&out, engine, &s, params, err);
    } else if (*s == '@') {
      n = word_length(s + 1);
      rc = token(&out, engine, s + 1, n, err);
      s += 1 + n;
    } else if (is_word(*s)) {
      word(&out, definition && engine == STORE_POSTGRES, &s);
    } else {
      buf_addc(&out, *s++);
    }
  }
  if (rc == 0 && buf_overflowed(&out)) rc = err_set(err, ERR_INTERNAL, "SQL: a statement is too long");
  if (rc == 0) return buf_take(&out);
  buf_free(&out);
  return NULL;
}

/* ---- statements made at run time ------------------------------------------------------ */

struct dialect *dialect_new(struct store *s, const char *sql, bool made, struct err *err) {
  struct dialect *d = base_alloc(sizeof *d);
  d->text = dialect_translate(s->driver->engine, sql, &d->params, &d->kind, err);
  if (d->text == NULL) {
    free(d);
    return NULL;
  }
  d->source = base_strdup(sql);
  d->made = made;
  pthread_mutex_lock(&s->dialects.lock);
  d->id = made && s->dialects.spares > 0 ? s->dialects.spare[--s->dialects.spares] : s->dialects.next++;
  pthread_mutex_unlock(&s->dialects.lock);
  return d;
}

void dialect_free(struct store *s, struct dialect *d) {
  if (d == NULL) return;
  struct dialects *all = &s->dialects;
  pthread_mutex_lock(&all->lock);
  if (all->spares == all->spares_room) {
    all->spares_room = all->spares_room == 0 ? 64 : all->spares_room * 2;
    all->spare = base_realloc(all->spare, all->spares_room * sizeof *all->spare);
  }
  all->spare[all->spares++] = d->id;
  pthread_mutex_unlock(&all->lock);
  free(d->source);
  free(d->text);
  free(d);
}
