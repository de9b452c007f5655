/* Migrations: numbered files of schema/, each in one transaction under the lock row, recorded with its hash. */
#include "store/driver.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MIGRATE_PATIENCE_MS = 600000, MIGRATE_PAUSE_MS = 50 };

struct file {
  const struct embedded *text;
  char name[128]; /* NNN-room */
};

/* "schema/NNN-room.sql" of a room that is wanted; 001-store always is. */
static bool wanted(const struct embedded *e, const char *const *rooms, char name[128]) {
  size_t n = strlen(e->name);
  if (!base_starts(e->name, "schema/") || n < 16 || n > 120 || strcmp(e->name + n - 4, ".sql") != 0) return false;
  const char *p = e->name + 7;
  if (!isdigit((unsigned char)p[0]) || !isdigit((unsigned char)p[1]) || !isdigit((unsigned char)p[2]) || p[3] != '-') return false;
  memcpy(name, p, n - 11);
  name[n - 11] = '\0';
  if (rooms == NULL || strcmp(name + 4, "store") == 0) return true;
  for (; *rooms != NULL; rooms++) {
    size_t len = strlen(*rooms); /* NNN-room or NNN-room-topic */
    if (strncmp(name + 4, *rooms, len) == 0 && (name[4 + len] == '\0' || name[4 + len] == '-')) return true;
  }
  return false;
}

bool migration_wanted(const char *name, const char *const *rooms) {
  char same[128];
  char *path = base_printf("schema/%s.sql", name);
  struct embedded e = {.name = path};
  bool yes = wanted(&e, rooms, same);
  free(path);
  return yes;
}

bool table_wanted(const char *table, const char *const *rooms) {
  size_t total = 0;
  const struct embedded *all = embedded_all(&total);
  char name[128], *made = base_printf("CREATE TABLE %s (", table), *once = base_printf("CREATE TABLE IF NOT EXISTS %s (", table);
  bool yes = rooms == NULL;
  for (size_t i = 0; i < total && !yes; i++)
    yes = wanted(&all[i], rooms, name) && (memmem(all[i].data, all[i].size, made, strlen(made)) || memmem(all[i].data, all[i].size, once, strlen(once)));
  free(made);
  free(once);
  return yes;
}

/* Where the statement at `i` ends: a ';' at the end of a line, outside quotes and comments. */
static size_t statement_end(const char *text, size_t n, size_t i) {
  for (char quote = 0; i < n; i++) {
    if (quote != 0) {
      if (text[i] == quote) quote = 0;
    } else if (text[i] == '\'' || text[i] == '"') {
      quote = text[i];
    } else if (text[i] == '-' && i + 1 < n && text[i + 1] == '-') {
      while (i < n && text[i] != '\n') i++;
    } else if (text[i] == ';' && (i + 1 == n || text[i + 1] == '\n' || text[i + 1] == '\r')) {
      break;
    }
  }
  return i < n ? i : n;
}

static int run_text(struct store_tx *tx, const char *text, size_t n, struct err *err) {
  for (size_t begin = 0, end; begin < n; begin = end + 1) {
    end = statement_end(text, n, begin);
    char *one = base_alloc(end - begin + 1);
    memcpy(one, text + begin, end - begin);
    const char *p = one;
    while (isspace((unsigned char)*p) || (p[0] == '-' && p[1] == '-'))
      p += p[0] == '-' ? strcspn(p, "\n") : 1;
    int rc = *p == '\0' ? 0 : tx_run(tx, p, err);
    free(one);
    if (rc != 0) return -1;
  }
  return 0;
}

/* 1: recorded with this text, 0: not recorded, -1: error. */
static int recorded(struct store_tx *tx, const struct file *f, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT sha256 FROM schema_version WHERE name = ?1", "t", f->name);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  bool same = rc == 1 && base_same(store_text(r, 0), f->text->sha256);
  store_done(r);
  if (rc == 1 && !same)
    return err_set(err, ERR_CONFLICT, "schema/%s.sql has changed since it was applied to this store; write a new migration instead",
                   f->name);
  return rc;
}

static int apply(struct store_tx *tx, const struct file *f, bool first, struct err *err) {
  if (first && run_text(tx, (const char *)f->text->data, f->text->size, err) != 0) return -1;
  if (store_exec(tx, err, "INSERT INTO store_lock (name, owner, epoch, until) VALUES ('migrate', '', 0, 0) "
                          "ON CONFLICT (name) DO UPDATE SET epoch = store_lock.epoch + 1", "") < 0) return -1;
  int done = recorded(tx, f, err);
  if (done != 0) return done < 0 ? -1 : 0;
  if (!first && run_text(tx, (const char *)f->text->data, f->text->size, err) != 0) return -1;
  log_write(LOG_INFO, "store", "migration %s", f->name);
  return store_put(tx, err, "INSERT INTO schema_version (name, sha256, applied_at) VALUES (?1, ?2, ?3)", "tti", f->name,
                   f->text->sha256, clock_now());
}

/* In a transaction of its own; whatever another node's haste brings about is tried again. */
static int migrate_one(struct store *s, struct conn **c, const struct file *f, bool first, struct err *err) {
  int64_t deadline = clock_mono() + MIGRATE_PATIENCE_MS;
  for (int tries = 0;; tries++) {
    struct err why = {0};
    if (*c == NULL && (*c = store_conn(s, CONN_OWN, err)) == NULL) return -1;
    (*c)->trouble = TROUBLE_NONE;
    struct store_tx tx;
    int rc = s->driver->begin(*c, true, &why);
    if (rc == 0) {
      store_begin_tx(&tx, s, *c, true);
      rc = apply(&tx, f, first, &why);
      store_end_tx(&tx);
      if (rc == 0) rc = s->driver->commit(*c, &why);
      else s->driver->rollback(*c);
    }
    enum trouble t = (*c)->trouble;
    if (t >= TROUBLE_LOST) {
      store_conn_free(*c);
      *c = NULL;
    }
    if (rc == 0) return 0;
    /* Two nodes making the first tables at once meet as a conflict in PostgreSQL's own catalogue, in spite of IF NOT EXISTS. */
    bool again = (t >= TROUBLE_AGAIN && t != TROUBLE_FULL) || (first && tries < 20 && why.code == ERR_CONFLICT && t != TROUBLE_NONE);
    if (!again || clock_mono() > deadline) return err_set(err, why.code, "migration %s: %.400s", f->name, why.message);
    nanosleep(&(struct timespec){.tv_nsec = MIGRATE_PAUSE_MS * 1000000L}, NULL);
  }
}

/* How many of the files are recorded with their text; -1 when one differs. A store without the table counts 0. */
static int all_recorded(struct store *s, const struct file *files, size_t n, struct err *err) {
  struct conn *c = store_conn(s, CONN_OWN, err);
  if (c == NULL) return -1;
  struct store_tx tx;
  int count = 0, rc = 0;
  if (s->driver->begin(c, true, err) != 0) {
    store_conn_free(c);
    return -1;
  }
  store_begin_tx(&tx, s, c, true);
  for (size_t i = 0; i < n && rc >= 0; i++) {
    struct err why = {0};
    rc = recorded(&tx, &files[i], &why);
    if (rc == 1) count++;
    if (rc < 0 && why.code == ERR_CONFLICT && c->trouble == TROUBLE_NONE) count = err_set(err, why.code, "%s", why.message);
    else if (rc < 0) count = 0;
  }
  store_end_tx(&tx);
  s->driver->rollback(c);
  store_conn_free(c);
  return count;
}

int store_migrate(struct store *s, const char *const *rooms, struct err *err) {
  size_t total = 0, n = 0;
  const struct embedded *all = embedded_all(&total);
  struct file *files = base_alloc((total + 1) * sizeof *files);
  for (size_t i = 0; i < total; i++)
    if (wanted(&all[i], rooms, files[n].name)) files[n++].text = &all[i];
  int rc = -1;
  struct conn *c = NULL;
  if (n == 0 || strcmp(files[0].name, "001-store") != 0) {
    err_set(err, ERR_INTERNAL, "schema/001-store.sql is missing from the build");
  } else if (store_enter(s, "store_migrate", err) == 0) {
    int count = all_recorded(s, files, n, err);
    rc = count < 0 ? -1 : 0;
    for (size_t i = 0; i < n && rc == 0 && (size_t)count < n; i++) rc = migrate_one(s, &c, &files[i], i == 0, err);
    store_leave(s);
  }
  store_conn_free(c);
  free(files);
  return rc;
}
