/* The SQLite driver: WAL with synchronous=FULL, one writer, readers beside it. */
#include "store/wal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WRITER_CACHE_KB = 16384, READER_CACHE_KB = 3072, BACKUP_PAGES = 2048 };

struct prepared {
  sqlite3_stmt *st;
  bool busy;
};
struct sq {
  struct conn base;
  sqlite3 *db;
  bool opening;          /* errors are the caller's to report, not the process's end */
  bool light;            /* commits do not wait for the disk now */
  bool alone, savepoint, wrote; /* this batch needs no savepoints; the member has one; it wrote without one */
  struct prepared *prepared;
  size_t room;
  sqlite3_stmt *begin, *commit, *rollback, *save, *release, *undo;
};

static struct sq *sq_of(struct conn *c) { return (struct sq *)c; }
static struct wal *wal_of(struct conn *c) { return c->store->engine; }
sqlite3 *sq_handle(struct conn *c) { return sq_of(c)->db; }

/* ---- errors ---------------------------------------------------------------------------- */

static enum err_code code_of(int rc) {
  switch (rc & 0xff) {
  case SQLITE_CONSTRAINT: return ERR_CONFLICT;
  case SQLITE_FULL: case SQLITE_BUSY: case SQLITE_LOCKED: case SQLITE_NOMEM: case SQLITE_CANTOPEN: case SQLITE_READONLY:
  case SQLITE_INTERRUPT: case SQLITE_IOERR: case SQLITE_CORRUPT: case SQLITE_NOTADB: return ERR_UNAVAILABLE;
  case SQLITE_TOOBIG: return ERR_TOO_LARGE;
  default: return ERR_INTERNAL;
  }
}

static bool full(int rc) { return (rc & 0xff) == SQLITE_FULL || rc == SQLITE_IOERR_SHMSIZE; }

/* Nothing after an I/O error can be trusted: what was acknowledged is on the disk, the rest must not be. */
static void end_if_fatal(const struct sq *c, int rc) {
  int kind = rc & 0xff;
  if (kind != SQLITE_IOERR && kind != SQLITE_CORRUPT && kind != SQLITE_NOTADB) return;
  if (c->opening || full(rc) || rc == SQLITE_IOERR_NOMEM) return;
  log_write(LOG_ERROR, "store", "the database file failed (%s, code %d, system error %d): the process ends", sqlite3_errmsg(c->db), rc,
            sqlite3_system_errno(c->db));
  _exit(STORE_EXIT);
}

void sq_end_if_fatal(struct conn *c, int rc) { end_if_fatal(sq_of(c), rc); }

static int sq_fail(struct sq *c, int rc, const char *what, struct err *err) {
  end_if_fatal(c, rc);
  enum trouble t = TROUBLE_MEMBER;
  if (full(rc)) t = TROUBLE_FULL;
  else if (c->base.use != CONN_READ && sqlite3_get_autocommit(c->db)) t = TROUBLE_GROUP;
  if (t > c->base.trouble) c->base.trouble = t;
  if (full(rc)) return err_set(err, ERR_UNAVAILABLE, "the disk of the database is full");
  return err_set(err, code_of(rc), "%s: %.80s", sqlite3_errmsg(c->db), what);
}

static int control(struct sq *c, sqlite3_stmt **st, const char *sql, struct err *err) {
  int rc = SQLITE_OK;
  if (*st == NULL) rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(*st);
  if (rc == SQLITE_DONE || rc == SQLITE_ROW) rc = SQLITE_OK;
  int result = rc == SQLITE_OK ? 0 : sq_fail(c, rc, sql, err);
  sqlite3_reset(*st);
  return result;
}

/* ---- connections ----------------------------------------------------------------------- */

static void sq_disconnect(struct conn *base) {
  struct sq *c = sq_of(base);
  sqlite3_stmt *own[] = {c->begin, c->commit, c->rollback, c->save, c->release, c->undo};
  for (size_t i = 0; i < BASE_COUNT(own); i++) sqlite3_finalize(own[i]);
  for (size_t i = 0; i < c->room; i++) sqlite3_finalize(c->prepared[i].st);
  free(c->prepared);
  int rc = sqlite3_close(c->db);
  if (rc != SQLITE_OK) log_write(LOG_ERROR, "store", "closing a connection: %s", sqlite3_errstr(rc));
  free(c);
}

static int count_frames(void *arg, sqlite3 *db, const char *name, int pages) {
  wal_written(arg, pages);
  return SQLITE_OK;
}

static int settings(struct sq *c, struct err *err) {
  const char *common = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=OFF; PRAGMA temp_store=MEMORY;"
                       "PRAGMA mmap_size=0; PRAGMA wal_autocheckpoint=0; PRAGMA cell_size_check=ON; ";
  bool reads = c->base.use == CONN_READ;
  char *more = base_printf("PRAGMA cache_size=-%d; PRAGMA query_only=%d; PRAGMA journal_size_limit=%lld", reads ? READER_CACHE_KB : WRITER_CACHE_KB, reads,
                           2 * (long long)c->base.store->options.wal_guard); /* the log is written over; one that had to grow larger is cut */
  sqlite3_busy_timeout(c->db, c->base.store->options.busy_ms);
  sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_limit(c->db, SQLITE_LIMIT_ATTACHED, 0);
  /* While another opens or leaves the file, the change to WAL is refused at once: SQLite does not wait here by itself. */
  int64_t deadline = clock_mono() + c->base.store->options.busy_ms;
  int rc;
  while (((rc = sqlite3_exec(c->db, common, NULL, NULL, NULL)) & 0xff) == SQLITE_BUSY && clock_mono() < deadline) sqlite3_sleep(5);
  if (rc == SQLITE_OK) rc = sqlite3_exec(c->db, more, NULL, NULL, NULL);
  free(more);
  return rc == SQLITE_OK ? 0 : sq_fail(c, rc, c->base.store->where, err);
}

static struct conn *sq_connect(struct store *s, enum conn_use use, struct err *err) {
  struct sq *c = base_alloc(sizeof *c);
  c->base.store = s;
  c->base.use = use;
  c->opening = true;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
  int rc = sqlite3_open_v2(s->where, &c->db, flags, GATHER);
  if (rc != SQLITE_OK) {
    err_set(err, ERR_UNAVAILABLE, "%s: %s", s->where, sqlite3_errmsg(c->db));
  } else if (settings(c, err) == 0) {
    if (use != CONN_READ) sqlite3_rollback_hook(c->db, gather_drop, c->db);
    if (use == CONN_WRITE) sqlite3_wal_hook(c->db, count_frames, s->engine);
    c->opening = false;
    return &c->base;
  }
  sq_disconnect(&c->base);
  return NULL;
}

static int check_file(struct store *s, struct conn *base, struct err *err) {
  sqlite3_stmt *st = NULL;
  struct sq *c = sq_of(base);
  const char *sql = "SELECT (SELECT count(*) FROM sqlite_schema), (SELECT journal_mode FROM pragma_journal_mode)";
  int rc = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(st);
  int result = 0;
  if (rc != SQLITE_ROW) result = err_set(err, ERR_UNAVAILABLE, "%s: %s", s->where, sqlite3_errmsg(c->db));
  else if (strcmp((const char *)sqlite3_column_text(st, 1), "wal") != 0)
    result = err_set(err, ERR_UNAVAILABLE, "%s: the file system does not carry SQLite's WAL; use a local disk", s->where);
  sqlite3_finalize(st);
  return result;
}

/* An empty file of mode 0600 where there is none. It is closed before it gets its name: closing a descriptor of a file
 * drops the locks that other connections of this process hold on it. */
static int make_file(const char *where, struct err *err) {
  if (access(where, F_OK) == 0) return 0;
  char *fresh = base_printf("%s.new-XXXXXX", where);
  int fd = mkostemp(fresh, O_CLOEXEC), rc = 0;
  if (fd < 0) {
    rc = err_set(err, ERR_UNAVAILABLE, "%s: %s; the folder must exist and be writable", where, strerror(errno));
  } else {
    close(fd);
    if (link(fresh, where) != 0 && errno != EEXIST) rc = err_set(err, ERR_UNAVAILABLE, "%s: %s", where, strerror(errno));
    unlink(fresh);
  }
  free(fresh);
  return rc;
}

/* Before SQLite's first use: nobody asks it how much memory it has, and to count that is a lock and an unlock for every piece. */
static void configure(void) {
  if (sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK) log_write(LOG_DEBUG, "store", "SQLite was in use before: it counts its memory");
  gather_prepare();
}

static int sq_open(struct store *s, const char *where, struct err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, configure);
  if (where[0] == '\0' || where[0] == ':') return err_set(err, ERR_UNAVAILABLE, "sqlite: needs the path of a file");
  s->where = base_strdup(where);
  if (make_file(where, err) != 0) return -1;
  struct conn *c = store_conn(s, CONN_OWN, err);
  if (c == NULL) return -1;
  sq_of(c)->opening = true;
  int rc = check_file(s, c, err);
  store_conn_free(c);
  struct wal *w = NULL;
  if (rc == 0) rc = wal_open(s, &w, err);
  s->engine = w;
  return rc;
}

static void sq_close(struct store *s) { wal_close(s->engine); }

/* ---- transactions ---------------------------------------------------------------------- */

static int sq_begin(struct conn *base, bool alone, struct err *err) {
  struct sq *c = sq_of(base);
  c->alone = alone;
  c->savepoint = c->wrote = false;
  if (base->again != c->light) {
    int rc = sqlite3_exec(c->db, base->again ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL", NULL, NULL, NULL);
    if (rc != SQLITE_OK) return sq_fail(c, rc, "PRAGMA synchronous", err);
    c->light = base->again;
  }
  if (control(c, &c->begin, base->use == CONN_READ ? "BEGIN" : "BEGIN IMMEDIATE", err) == 0) return 0;
  /* Another process holds the file: the whole batch waits, not member by member. */
  if (base->trouble < TROUBLE_FULL) base->trouble = TROUBLE_LOST;
  return -1;
}

static void sq_member_begin(struct conn *base) { sq_of(base)->savepoint = sq_of(base)->wrote = false; }

static int sq_member_keep(struct conn *base, struct err *err) {
  struct sq *c = sq_of(base);
  return c->savepoint ? control(c, &c->release, "RELEASE m", err) : 0;
}

static int sq_member_undo(struct conn *base, struct err *err) {
  struct sq *c = sq_of(base);
  if (!c->savepoint) return c->wrote ? -1 : 0;
  return control(c, &c->undo, "ROLLBACK TO m", err) != 0 ? -1 : control(c, &c->release, "RELEASE m", err);
}

static void sq_rollback(struct conn *base) {
  struct sq *c = sq_of(base);
  if (!sqlite3_get_autocommit(c->db)) control(c, &c->rollback, "ROLLBACK", NULL);
}

static int sq_commit(struct conn *base, struct err *err) {
  struct sq *c = sq_of(base);
  if (control(c, &c->commit, "COMMIT", err) != 0) {
    if (base->trouble < TROUBLE_GROUP) base->trouble = TROUBLE_GROUP;
    sq_rollback(base);
    return -1;
  }
  return 0;
}

static void sq_tidy(struct conn *base) { wal_guard(wal_of(base), base); }

static void sq_relieve(struct conn *base) { wal_empty(wal_of(base), base); }

/* ---- statements ------------------------------------------------------------------------ */

static int take(struct sq *c, const struct dialect *d, sqlite3_stmt **st, bool *temporary, struct err *err) {
  if (c->base.trouble >= TROUBLE_GROUP) return err_set(err, ERR_UNAVAILABLE, "the transaction is gone");
  if (d->id >= c->room) {
    size_t room = c->room == 0 ? 64 : c->room;
    while (room <= d->id) room *= 2;
    c->prepared = base_realloc(c->prepared, room * sizeof *c->prepared);
    memset(c->prepared + c->room, 0, (room - c->room) * sizeof *c->prepared);
    c->room = room;
  }
  struct prepared *p = &c->prepared[d->id];
  *temporary = p->busy;
  if (d->made && !p->busy && p->st != NULL && strcmp(sqlite3_sql(p->st), d->text) != 0) {
    sqlite3_finalize(p->st);
    p->st = NULL;
  }
  if (*temporary || p->st == NULL) {
    sqlite3_stmt *made = NULL;
    const char *tail = NULL;
    int rc = sqlite3_prepare_v3(c->db, d->text, -1, *temporary ? 0 : SQLITE_PREPARE_PERSISTENT, &made, &tail);
    if (rc != SQLITE_OK) return sq_fail(c, rc, d->source, err);
    if (made == NULL || strspn(tail, " \t\r\n;") != strlen(tail)) {
      sqlite3_finalize(made);
      return err_set(err, ERR_INTERNAL, "SQL: one statement a call: %.80s", d->source);
    }
    *st = made;
    if (!*temporary) p->st = made;
  } else {
    *st = p->st;
  }
  return 0;
}

static int bind(sqlite3_stmt *st, const struct params *p, sqlite3_destructor_type life) {
  int rc = SQLITE_OK;
  for (int i = 0; i < p->count && rc == SQLITE_OK; i++) {
    const struct param *v = &p->v[i];
    switch (v->type) {
    case 'i': rc = sqlite3_bind_int64(st, i + 1, v->i); break;
    case 'd': rc = sqlite3_bind_double(st, i + 1, v->d); break;
    case 't': rc = sqlite3_bind_text64(st, i + 1, v->p, v->n, life, SQLITE_UTF8); break;
    default: rc = v->p == NULL ? sqlite3_bind_null(st, i + 1) : sqlite3_bind_blob64(st, i + 1, v->p, v->n, life); break;
    }
  }
  return rc;
}

/* A member's savepoint is set before it first writes: most reads and refusals never need one. */
static int before_write(struct sq *c, sqlite3_stmt *st, struct err *err) {
  if (c->alone || c->savepoint || sqlite3_stmt_readonly(st)) return 0;
  c->wrote = true;
  if (!c->base.careful) return 0;
  if (control(c, &c->save, "SAVEPOINT m", err) != 0) return -1;
  c->savepoint = true;
  return 0;
}

static int sq_exec(struct conn *base, const struct dialect *d, const struct params *p, bool wait, int64_t *changed, struct err *err) {
  struct sq *c = sq_of(base);
  sqlite3_stmt *st = NULL;
  bool temporary = false;
  if (take(c, d, &st, &temporary, err) != 0) return -1;
  int rc = bind(st, p, SQLITE_STATIC), result = 0;
  if (rc != SQLITE_OK) {
    result = sq_fail(c, rc, d->source, err);
  } else if ((result = before_write(c, st, err)) == 0) {
    do rc = sqlite3_step(st);
    while (rc == SQLITE_ROW);
    if (rc != SQLITE_DONE) result = sq_fail(c, rc, d->source, err);
    else if (changed != NULL) *changed = d->kind == KIND_CHANGE ? sqlite3_changes64(c->db) : 0;
  }
  if (temporary) {
    sqlite3_finalize(st);
  } else {
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
  }
  return result;
}

static void give_back(struct sq *c, sqlite3_stmt *st, bool temporary, unsigned id) {
  if (temporary) {
    sqlite3_finalize(st);
    return;
  }
  sqlite3_reset(st);
  sqlite3_clear_bindings(st);
  c->prepared[id].busy = false;
}

static int sq_next(struct store_rows *r, struct err *err) {
  struct sq *c = sq_of(r->tx->conn);
  if (r->stepped) { /* a changing statement was run when it was asked */
    r->stepped = false;
    return r->row;
  }
  if (r->row < 0) return 0;
  int rc = sqlite3_step(r->handle);
  if (rc == SQLITE_ROW) return 1;
  r->row = -1;
  return rc == SQLITE_DONE ? 0 : sq_fail(c, rc, "reading", err);
}

static int sq_select(struct conn *base, const struct dialect *d, const struct params *p, struct store_rows *r, struct err *err) {
  struct sq *c = sq_of(base);
  sqlite3_stmt *st = NULL;
  if (take(c, d, &st, &r->temporary, err) != 0) return -1;
  if (!r->temporary) c->prepared[d->id].busy = true;
  r->handle = st;
  r->columns = sqlite3_column_count(st);
  int rc = bind(st, p, SQLITE_TRANSIENT);
  int result = rc == SQLITE_OK ? before_write(c, st, err) : sq_fail(c, rc, d->source, err);
  if (result == 0 && !sqlite3_stmt_readonly(st)) {
    rc = sqlite3_step(st);
    r->stepped = true;
    r->row = rc == SQLITE_ROW ? 1 : 0;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) result = sq_fail(c, rc, d->source, err);
  }
  if (result != 0) give_back(c, st, r->temporary, d->id);
  return result;
}

static void sq_done(struct store_rows *r) { give_back(sq_of(r->tx->conn), r->handle, r->temporary, r->id); }

static bool sq_null(const struct store_rows *r, int column) { return sqlite3_column_type(r->handle, column) == SQLITE_NULL; }

static int64_t sq_integer(const struct store_rows *r, int column) { return sqlite3_column_int64(r->handle, column); }

static const char *sq_text(const struct store_rows *r, int column) { return (const char *)sqlite3_column_text(r->handle, column); }

static const void *sq_blob(const struct store_rows *r, int column, size_t *n) {
  if (sqlite3_column_type(r->handle, column) == SQLITE_NULL) return NULL;
  const void *p = sqlite3_column_blob(r->handle, column);
  *n = (size_t)sqlite3_column_bytes(r->handle, column);
  return p == NULL ? "" : p; /* an empty blob is not NULL */
}

/* ---- a copy while serving --------------------------------------------------------------- */

static int copy_all(struct sq *from, sqlite3 *to, const char *file, struct err *err) {
  int rc = sqlite3_exec(from->db, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL); /* one snapshot to the end */
  sqlite3_backup *b = rc == SQLITE_OK ? sqlite3_backup_init(to, "main", from->db, "main") : NULL;
  if (b == NULL) return err_set(err, ERR_UNAVAILABLE, "%s: %s", file, sqlite3_errmsg(rc == SQLITE_OK ? to : from->db));
  do rc = sqlite3_backup_step(b, BACKUP_PAGES);
  while (rc == SQLITE_OK);
  int finished = sqlite3_backup_finish(b);
  sqlite3_exec(from->db, "COMMIT", NULL, NULL, NULL);
  if (rc == SQLITE_DONE && finished == SQLITE_OK) return 0;
  return err_set(err, ERR_UNAVAILABLE, "%s: %s", file, sqlite3_errstr(finished));
}

static int sq_backup(struct store *s, const char *file, struct err *err) {
  int fd = open(file, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return err_set(err, ERR_UNAVAILABLE, "%s: %s", file, strerror(errno));
  close(fd);
  sqlite3 *to = NULL;
  struct conn *c = store_conn(s, CONN_OWN, err);
  int rc = -1;
  if (c != NULL) {
    if (sqlite3_open_v2(file, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
      err_set(err, ERR_UNAVAILABLE, "%s: %s", file, sqlite3_errmsg(to));
    else rc = copy_all(sq_of(c), to, file, err);
  }
  sqlite3_close(to);
  store_conn_free(c);
  if (rc != 0) unlink(file);
  return rc;
}

const struct driver store_sqlite = {
  .engine = STORE_SQLITE, .open = sq_open, .close = sq_close, .connect = sq_connect, .disconnect = sq_disconnect,
  .begin = sq_begin, .member_begin = sq_member_begin, .member_keep = sq_member_keep, .member_undo = sq_member_undo,
  .commit = sq_commit, .rollback = sq_rollback, .exec = sq_exec, .select = sq_select, .next = sq_next, .done = sq_done,
  .null = sq_null, .integer = sq_integer, .text = sq_text, .blob = sq_blob, .backup = sq_backup, .relieve = sq_relieve, .tidy = sq_tidy,
  .catalogue = "SELECT m.name, p.name, p.type, p.pk FROM sqlite_schema m JOIN pragma_table_info(m.name) p "
               "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY m.name, p.cid",
};
