/* The PostgreSQL driver: libpq in pipeline mode, every wait with a deadline of our own. */
#include "store/driver.h"
#include <endian.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { PIPELINE_MOST = 1000, EXTRA_WAIT_MS = 2000, READ_WAIT_MS = 20000, OWN_WAIT_MS = 600000 };
enum { OID_INT8 = 20, OID_TEXT = 25, OID_BYTEA = 17, OID_FLOAT8 = 701 };

/* Statements of our own; they take the first numbers, those of the rooms follow. */
#define CONTROL_TABLE(X)                                                                                                 \
  X(C_BEGIN, "BEGIN") X(C_COMMIT, "COMMIT") X(C_ROLLBACK, "ROLLBACK") X(C_SAVE, "SAVEPOINT m") X(C_RELEASE, "RELEASE m") \
  X(C_UNDO, "ROLLBACK TO m") X(C_HASTE, "SET LOCAL lock_timeout = 250") X(C_LIGHT, "SET LOCAL synchronous_commit = off")
enum control {
#define X(name, text) name,
  CONTROL_TABLE(X)
#undef X
  CONTROLS
};
static const char *const control_text[] = {
#define X(name, text) text,
  CONTROL_TABLE(X)
#undef X
};

struct entry { /* something sent whose answer is still to be read */
  enum { E_PREPARE, E_UNNAMED, E_STATEMENT, E_CONTROL, E_COMMIT, E_SYNC } kind;
  int member;
  unsigned id;
};
struct pgstmt {
  bool prepared;
  char *types;
};
struct pg {
  struct conn base;
  PGconn *pq;
  struct entry *sent; /* a ring */
  size_t room, first, count;
  struct pgstmt *stmts;
  size_t stmts_room;
  bool alone, savepoint, wrote, began, lost;
  bool errored;          /* the server skips everything until the next sync */
  struct err error;      /* the first error since */
  enum trouble kind;
  int error_member;      /* whose statement it was; -1: ours */
  int member;
  bool committing, warned; /* a warning came while COMMIT was waited for */
};

static struct pg *pg_of(struct conn *c) { return (struct pg *)c; }

/* ---- errors ------------------------------------------------------------------------------ */

static int64_t patience(const struct pg *c) {
  if (c->base.use == CONN_OWN) return OWN_WAIT_MS;
  return c->base.use == CONN_READ ? READ_WAIT_MS : c->base.store->options.busy_ms + EXTRA_WAIT_MS;
}

static enum trouble classify(const char *state, enum err_code *code) {
  static const struct { const char *prefix; enum trouble t; enum err_code code; } known[] = {
    {"40001", TROUBLE_AGAIN, ERR_UNAVAILABLE}, {"40P01", TROUBLE_AGAIN, ERR_UNAVAILABLE}, {"55P03", TROUBLE_AGAIN, ERR_UNAVAILABLE},
    {"25006", TROUBLE_LOST, ERR_UNAVAILABLE}, /* a standby now: find the primary */
    {"0A000", TROUBLE_LOST, ERR_UNAVAILABLE}, /* cached plan must not change result type: prepare anew */
    {"26000", TROUBLE_LOST, ERR_UNAVAILABLE}, {"08", TROUBLE_LOST, ERR_UNAVAILABLE}, {"57P", TROUBLE_LOST, ERR_UNAVAILABLE},
    {"53", TROUBLE_FULL, ERR_UNAVAILABLE}, {"58", TROUBLE_FULL, ERR_UNAVAILABLE}, {"57014", TROUBLE_MEMBER, ERR_UNAVAILABLE},
    {"42P07", TROUBLE_MEMBER, ERR_CONFLICT}, {"42710", TROUBLE_MEMBER, ERR_CONFLICT}, /* made by another node just now */
    {"23", TROUBLE_MEMBER, ERR_CONFLICT}, {"54000", TROUBLE_MEMBER, ERR_TOO_LARGE}};
  for (size_t i = 0; i < BASE_COUNT(known); i++) {
    if (!base_starts(state, known[i].prefix)) continue;
    *code = known[i].code;
    return known[i].t;
  }
  *code = ERR_INTERNAL;
  return TROUBLE_MEMBER;
}

static int mark_lost(struct pg *c, const char *why) {
  if (!c->lost) err_set(&c->error, ERR_UNAVAILABLE, "the database connection was lost: %.300s", why);
  char *end = strchr(c->error.message, '\n');
  if (end != NULL) *end = '\0';
  c->lost = c->errored = true;
  c->kind = TROUBLE_LOST;
  return -1;
}

static void note_error(struct pg *c, const struct entry *e, const PGresult *r) {
  const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE), *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
  const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (state == NULL || PQstatus(c->pq) == CONNECTION_BAD) {
    mark_lost(c, text != NULL ? text : PQerrorMessage(c->pq));
    return;
  }
  if (c->errored) return;
  enum err_code code;
  c->kind = classify(state, &code);
  c->errored = true;
  c->error_member = e->kind <= E_STATEMENT ? e->member : -1;
  err_set(&c->error, code, "%.300s (%s)", text != NULL ? text : "", state);
  if (severity != NULL && strcmp(severity, "ERROR") != 0) mark_lost(c, text != NULL ? text : "");
}

static void on_notice(void *arg, const PGresult *r) {
  struct pg *c = arg;
  const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED), *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
  if (severity == NULL || strcmp(severity, "WARNING") != 0) return;
  /* "canceling wait for synchronous replication" comes with success: whether it outlives a fail-over is unknown. */
  if (c->committing) c->warned = true;
  log_write(LOG_WARN, "store", "PostgreSQL: %.200s", text != NULL ? text : "");
}

/* ---- reading answers ---------------------------------------------------------------------- */

static PGresult *next_result(struct pg *c, int64_t deadline) {
  while (!c->lost && PQisBusy(c->pq)) {
    int unsent = PQflush(c->pq);
    struct pollfd p = {.fd = PQsocket(c->pq), .events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0))};
    int64_t left = deadline - clock_mono();
    if (left <= 0) {
      mark_lost(c, "no answer in time");
      return NULL;
    }
    int n = poll(&p, 1, left > 1000000 ? 1000000 : (int)left);
    if (n < 0 && errno != EINTR) mark_lost(c, strerror(errno));
    if (n > 0 && (p.revents & ~POLLOUT) != 0 && PQconsumeInput(c->pq) == 0) break; /* what was read before is still to be had */
  }
  return c->lost ? NULL : PQgetResult(c->pq);
}

static void push(struct pg *c, int kind, unsigned id) {
  if (c->count == c->room) {
    size_t room = c->room == 0 ? 64 : c->room * 2;
    struct entry *ring = base_alloc(room * sizeof *ring);
    for (size_t i = 0; i < c->count; i++) ring[i] = c->sent[(c->first + i) % c->room];
    free(c->sent);
    c->sent = ring;
    c->room = room;
    c->first = 0;
  }
  struct entry *e = &c->sent[(c->first + c->count++) % c->room];
  e->kind = kind;
  e->member = c->member;
  e->id = id;
}

/* Read the answer to the oldest thing sent. *keep (may be NULL) receives a good result. */
static int settle(struct pg *c, PGresult **keep, int64_t deadline) {
  struct entry e = c->sent[c->first];
  c->first = (c->first + 1) % c->room;
  c->count--;
  PGresult *r = next_result(c, deadline);
  if (r == NULL) return mark_lost(c, "the answer ended early");
  ExecStatusType status = PQresultStatus(r);
  bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
  if (e.kind == E_PREPARE && status != PGRES_COMMAND_OK) c->stmts[e.id].prepared = false;
  if (status == PGRES_FATAL_ERROR) note_error(c, &e, r);
  else if (e.kind == E_SYNC ? status != PGRES_PIPELINE_SYNC : !good && status != PGRES_PIPELINE_ABORTED)
    mark_lost(c, "an answer of an unexpected kind");
  else if (e.kind == E_COMMIT && status == PGRES_COMMAND_OK && strcmp(PQcmdStatus(r), "COMMIT") != 0 && !c->errored) {
    c->errored = true;
    c->kind = TROUBLE_GROUP;
    c->error_member = -1;
    err_set(&c->error, ERR_INTERNAL, "the transaction had failed before COMMIT");
  }
  if (good && keep != NULL && e.kind == E_STATEMENT) {
    PQclear(*keep);
    *keep = r;
  } else {
    PQclear(r);
  }
  if (e.kind != E_SYNC && !c->lost) {
    r = next_result(c, deadline);
    if (r != NULL) { /* after a FATAL error the end of the connection follows in place of the terminator */
      note_error(c, &e, r);
      PQclear(r);
    }
  }
  return c->lost ? -1 : 0;
}

static int drain(struct pg *c, PGresult **keep) {
  int64_t deadline = clock_mono() + patience(c);
  while (c->count > 0 && !c->lost) settle(c, keep, deadline);
  return c->lost ? -1 : 0;
}

/* After an error the server skips until a sync. The error itself stays noted. */
static void resume(struct pg *c) {
  if (c->lost || !c->errored) return;
  if (PQpipelineSync(c->pq) != 1) {
    mark_lost(c, PQerrorMessage(c->pq));
    return;
  }
  push(c, E_SYNC, 0);
  drain(c, NULL);
}

/* Tell the batch how bad the noted error is, and answer it. */
static int pg_fail(struct pg *c, struct err *err) {
  resume(c);
  enum trouble t = c->kind;
  if (t == TROUBLE_MEMBER && !c->alone && (c->error_member != c->member || !c->savepoint)) t = TROUBLE_GROUP;
  if (t > c->base.trouble) c->base.trouble = t;
  if (err != NULL) *err = c->error;
  if (!c->lost) c->errored = false;
  return -1;
}

/* ---- sending ------------------------------------------------------------------------------ */

static int sent(struct pg *c, int ok, int kind, unsigned id) {
  if (ok != 1) return mark_lost(c, PQerrorMessage(c->pq));
  push(c, kind, id);
  return 0;
}

static struct pgstmt *stmt_of(struct pg *c, unsigned id) {
  if (id >= c->stmts_room) {
    size_t room = c->stmts_room == 0 ? 64 : c->stmts_room;
    while (room <= id) room *= 2;
    c->stmts = base_realloc(c->stmts, room * sizeof *c->stmts);
    memset(c->stmts + c->stmts_room, 0, (room - c->stmts_room) * sizeof *c->stmts);
    c->stmts_room = room;
  }
  return &c->stmts[id];
}

static int send_control(struct pg *c, enum control which) {
  struct pgstmt *st = stmt_of(c, which);
  char name[16] = {'k', (char)('0' + which)};
  if (c->lost) return -1;
  if (!st->prepared) {
    if (sent(c, PQsendPrepare(c->pq, name, control_text[which], 0, NULL), E_PREPARE, which) != 0) return -1;
    st->prepared = true;
  }
  return sent(c, PQsendQueryPrepared(c->pq, name, 0, NULL, NULL, NULL, 1), which == C_COMMIT ? E_COMMIT : E_CONTROL, which);
}

static int send_prepare(struct pg *c, const char *name, const struct dialect *d, const struct params *p, struct err *err) {
  unsigned id = d->id + CONTROLS;
  struct pgstmt *st = stmt_of(c, id);
  char types[STORE_PARAMS + 1] = {0};
  Oid oids[STORE_PARAMS];
  for (int i = 0; i < p->count; i++) {
    types[i] = p->v[i].type;
    oids[i] = types[i] == 'i' || types[i] == 'n' ? OID_INT8 : types[i] == 't' ? OID_TEXT : types[i] == 'b' ? OID_BYTEA : OID_FLOAT8;
  }
  if (d->made) return sent(c, PQsendPrepare(c->pq, "", d->text, p->count, oids), E_UNNAMED, 0) != 0 ? pg_fail(c, err) : 0;
  if (st->prepared) {
    if (strcmp(st->types, types) == 0) return 0;
    c->base.trouble = TROUBLE_GROUP;
    return err_set(err, ERR_INTERNAL, "SQL: a literal is always called with the same types: %.80s", d->source);
  }
  if (sent(c, PQsendPrepare(c->pq, name, d->text, p->count, oids), E_PREPARE, id) != 0) return pg_fail(c, err);
  free(st->types);
  st->types = base_strdup(types);
  st->prepared = true;
  return 0;
}

static int send_statement(struct pg *c, const struct dialect *d, const struct params *p, struct err *err) {
  char name[16] = "";
  const char *values[STORE_PARAMS];
  int lengths[STORE_PARAMS], formats[STORE_PARAMS];
  uint64_t numbers[STORE_PARAMS];
  if (c->base.trouble >= TROUBLE_GROUP || c->lost) return err_set(err, ERR_UNAVAILABLE, "the transaction is gone");
  if (d->kind != KIND_SELECT) c->wrote = true;
  if (c->wrote && c->base.careful && !c->alone && !c->savepoint) {
    if (send_control(c, C_SAVE) != 0) return pg_fail(c, err);
    c->savepoint = true;
  }
  if (!d->made) snprintf(name, sizeof name, "s%u", d->id);
  if (send_prepare(c, name, d, p, err) != 0) return -1;
  for (int i = 0; i < p->count; i++) {
    const struct param *v = &p->v[i];
    formats[i] = 1;
    if (v->type == 'i') numbers[i] = htobe64((uint64_t)v->i);
    if (v->type == 'd') {
      memcpy(&numbers[i], &v->d, sizeof numbers[i]);
      numbers[i] = htobe64(numbers[i]);
    }
    bool number = v->type == 'i' || v->type == 'd';
    if (!number && v->n > INT32_MAX) return err_set(err, ERR_TOO_LARGE, "parameter %d is too large", i + 1);
    values[i] = number ? (const char *)&numbers[i] : v->p;
    lengths[i] = number ? 8 : (int)v->n;
  }
  int ok = PQsendQueryPrepared(c->pq, name, p->count, values, lengths, formats, 0);
  return sent(c, ok, E_STATEMENT, d->id + CONTROLS) != 0 ? pg_fail(c, err) : 0;
}

/* ---- connections --------------------------------------------------------------------------- */

static void pg_finish(struct pg *c) {
  PQfinish(c->pq);
  c->pq = NULL;
  for (size_t i = 0; i < c->stmts_room; i++) {
    free(c->stmts[i].types);
    c->stmts[i] = (struct pgstmt){0};
  }
  c->first = c->count = 0;
  c->lost = c->errored = c->began = c->savepoint = false;
  c->member = 0;
}

static void pg_disconnect(struct conn *base) {
  struct pg *c = pg_of(base);
  pg_finish(c);
  free(c->stmts);
  free(c->sent);
  free(c);
}

static int refused(struct pg *c, struct err *err) {
  char text[300];
  snprintf(text, sizeof text, "%s", PQerrorMessage(c->pq));
  for (char *p = text; *p != '\0'; p++)
    if (*p == '\n') *p = p[1] == '\0' ? '\0' : ' ';
  return err_set(err, ERR_UNAVAILABLE, "PostgreSQL: %s", text);
}

/* Everything that a server's or a role's settings could make unsafe is said anew. */
static int settle_session(struct pg *c, struct err *err) {
  char *sql = base_printf(
    "SELECT set_config('search_path', 'public, pg_temp', false), set_config('standard_conforming_strings', 'on', false), "
    "set_config('default_transaction_isolation', '%s', false), set_config('default_transaction_read_only', '%s', false), "
    "set_config('default_transaction_deferrable', 'off', false), set_config('bytea_output', 'hex', false), "
    "set_config('jit', 'off', false), "
    "set_config('lock_timeout', '%d', false), set_config('statement_timeout', '0', false), "
    "set_config('idle_in_transaction_session_timeout', '%d', false), "
    "set_config('client_min_messages', 'warning', false), "
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') "
    "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)",
    c->base.use == CONN_OWN ? "read committed" : "repeatable read", c->base.use == CONN_READ ? "on" : "off",
    c->base.use == CONN_OWN ? OWN_WAIT_MS : c->base.store->options.busy_ms, c->base.use == CONN_OWN ? 0 : 60000);
  int rc = -1;
  PGresult *r = NULL;
  const char *encoding = PQparameterStatus(c->pq, "server_encoding");
  if (encoding == NULL || strcmp(encoding, "UTF8") != 0) {
    err_set(err, ERR_UNAVAILABLE, "PostgreSQL: the database is encoded in %s; make one with ENCODING 'UTF8'",
            encoding != NULL ? encoding : "?");
  } else if (PQserverVersion(c->pq) < 130000) {
    err_set(err, ERR_UNAVAILABLE, "PostgreSQL: version 13 or later is needed");
  } else if (PQsetnonblocking(c->pq, 1) != 0 || PQsendQuery(c->pq, sql) != 1) {
    refused(c, err);
  } else {
    r = next_result(c, clock_mono() + patience(c));
    PGresult *end = r == NULL ? NULL : next_result(c, clock_mono() + patience(c));
    if (r != NULL && PQresultStatus(r) == PGRES_TUPLES_OK && end == NULL && !c->lost && PQenterPipelineMode(c->pq) == 1) rc = 0;
    else refused(c, err);
    PQclear(end);
  }
  PQclear(r);
  free(sql);
  return rc;
}

static int dial(struct pg *c, struct err *err) {
  /* What stands before the address can be changed by it, what follows cannot. The blocking call obeys connect_timeout for each host. */
  const char *keys[] = {"connect_timeout", "tcp_user_timeout", "target_session_attrs", "keepalives_idle", "fallback_application_name",
                        "dbname", "client_encoding", NULL};
  const char *values[] = {"2", "4000", "read-write", "5", "chapar", c->base.store->where, "UTF8", NULL};
  pg_finish(c);
  c->pq = PQconnectdbParams(keys, values, 1);
  if (PQstatus(c->pq) != CONNECTION_OK) return refused(c, err);
  PQsetNoticeReceiver(c->pq, on_notice, c);
  return settle_session(c, err);
}

static struct conn *pg_connect(struct store *s, enum conn_use use, struct err *err) {
  struct pg *c = base_alloc(sizeof *c);
  c->base.store = s;
  c->base.use = use;
  if (dial(c, err) == 0) return &c->base;
  pg_disconnect(&c->base);
  return NULL;
}

static int pg_open(struct store *s, const char *where, struct err *err) {
  s->where = base_strdup(where);
  if (PQisthreadsafe() != 1) return err_set(err, ERR_UNAVAILABLE, "this libpq is not thread-safe");
  struct conn *c = store_conn(s, CONN_OWN, err);
  if (c == NULL) return -1;
  store_conn_free(c);
  return 0;
}

static void pg_close(struct store *s) { (void)s; }

/* ---- transactions --------------------------------------------------------------------------- */

/* A server that went away while nothing was asked has closed the socket: learn it before anything is sent. */
static bool gone(struct pg *c) {
  if (drain(c, NULL) != 0 || PQstatus(c->pq) != CONNECTION_OK) return true;
  struct pollfd p = {.fd = PQsocket(c->pq), .events = POLLIN};
  if (poll(&p, 1, 0) <= 0) return false;
  return PQconsumeInput(c->pq) == 0 || PQstatus(c->pq) != CONNECTION_OK || (p.revents & (POLLERR | POLLHUP)) != 0;
}

static int pg_begin(struct conn *base, bool alone, struct err *err) {
  struct pg *c = pg_of(base);
  if (gone(c) && dial(c, err) != 0) {
    base->trouble = TROUBLE_LOST;
    return -1;
  }
  c->alone = alone;
  c->savepoint = c->wrote = c->errored = c->committing = c->warned = false;
  c->kind = TROUBLE_NONE;
  c->member = 0;
  if (send_control(c, C_BEGIN) != 0) return pg_fail(c, err);
  c->began = true;
  /* In a batch nobody waits long for another's row: the members then run alone. */
  if (!alone && send_control(c, C_HASTE) != 0) return pg_fail(c, err);
  if (base->again && send_control(c, C_LIGHT) != 0) return pg_fail(c, err);
  return 0;
}

static void pg_member_begin(struct conn *base) {
  pg_of(base)->savepoint = pg_of(base)->wrote = false;
  pg_of(base)->member++;
}

static int pg_member_keep(struct conn *base, struct err *err) {
  struct pg *c = pg_of(base);
  return c->savepoint && send_control(c, C_RELEASE) != 0 ? pg_fail(c, err) : 0;
}

static int pg_member_undo(struct conn *base, struct err *err) {
  struct pg *c = pg_of(base);
  if (!c->savepoint) return c->wrote && !c->alone ? -1 : 0;
  return send_control(c, C_UNDO) != 0 || send_control(c, C_RELEASE) != 0 ? pg_fail(c, err) : 0;
}

static int pg_commit(struct conn *base, struct err *err) {
  struct pg *c = pg_of(base);
  c->committing = true;
  if (send_control(c, C_COMMIT) != 0 || PQpipelineSync(c->pq) != 1) {
    mark_lost(c, PQerrorMessage(c->pq));
  } else {
    push(c, E_SYNC, 0);
    drain(c, NULL);
  }
  c->committing = false;
  if (c->lost || c->warned) {
    base->trouble = TROUBLE_UNKNOWN;
    return err_set(err, ERR_OUTCOME_UNKNOWN, "%.300s", c->lost ? c->error.message : "the commit was not replicated in time");
  }
  if (!c->errored) {
    c->began = false;
    return 0;
  }
  c->errored = false; /* the sync has been passed; the transaction waits for ROLLBACK */
  base->trouble = c->kind == TROUBLE_MEMBER && !c->alone ? TROUBLE_GROUP : c->kind;
  if (err != NULL) *err = c->error;
  return -1;
}

/* Reads end here too: their ROLLBACK is sent and its answer is read before the connection is used again. */
static void pg_rollback(struct conn *base) {
  struct pg *c = pg_of(base);
  if (c->lost || !c->began) {
    if (c->lost) base->trouble = base->trouble < TROUBLE_LOST ? TROUBLE_LOST : base->trouble;
    return;
  }
  resume(c);
  c->errored = false;
  if (send_control(c, C_ROLLBACK) != 0 || PQpipelineSync(c->pq) != 1) {
    mark_lost(c, PQerrorMessage(c->pq));
  } else {
    push(c, E_SYNC, 0);
    if (base->use == CONN_READ) PQflush(c->pq);
    else drain(c, NULL);
  }
  c->began = false;
  if (c->lost && base->trouble < TROUBLE_LOST) base->trouble = TROUBLE_LOST;
}

/* ---- statements ------------------------------------------------------------------------------ */

/* Send and wait for the result of this statement (and of all before it). */
static int ask(struct pg *c, const struct dialect *d, const struct params *p, PGresult **r, struct err *err) {
  *r = NULL;
  if (send_statement(c, d, p, err) != 0) return -1;
  if (PQsendFlushRequest(c->pq) != 1) mark_lost(c, PQerrorMessage(c->pq));
  drain(c, r);
  if (!c->errored && !c->lost && *r != NULL) return 0;
  PQclear(*r);
  *r = NULL;
  return pg_fail(c, err);
}

static int pg_exec(struct conn *base, const struct dialect *d, const struct params *p, bool wait, int64_t *changed, struct err *err) {
  struct pg *c = pg_of(base);
  PGresult *r = NULL;
  if (!wait && c->count < PIPELINE_MOST) return send_statement(c, d, p, err);
  if (ask(c, d, p, &r, err) != 0) return -1;
  if (changed != NULL) *changed = d->kind == KIND_CHANGE ? strtoll(PQcmdTuples(r), NULL, 10) : 0;
  PQclear(r);
  return 0;
}

static int pg_select(struct conn *base, const struct dialect *d, const struct params *p, struct store_rows *r, struct err *err) {
  PGresult *result = NULL;
  if (ask(pg_of(base), d, p, &result, err) != 0) return -1;
  r->handle = result;
  r->columns = PQnfields(result);
  r->row = -1;
  return 0;
}

static void forget_cells(struct store_rows *r) {
  for (int i = 0; r->cells != NULL && i < r->columns; i++) {
    free(r->cells[i]);
    r->cells[i] = NULL;
  }
}

static int pg_next(struct store_rows *r, struct err *err) {
  int rows = PQntuples(r->handle);
  forget_cells(r);
  if (r->row < rows) r->row++;
  return r->row < rows;
}

static void pg_done(struct store_rows *r) {
  forget_cells(r);
  free(r->cells);
  PQclear(r->handle);
}

static bool pg_null(const struct store_rows *r, int column) {
  return r->row < 0 || r->row >= PQntuples(r->handle) || PQgetisnull(r->handle, r->row, column);
}

static const char *pg_text(const struct store_rows *r, int column) {
  return pg_null(r, column) ? NULL : PQgetvalue(r->handle, r->row, column);
}

static int64_t pg_integer(const struct store_rows *r, int column) {
  const char *s = pg_text(r, column);
  if (s == NULL) return 0;
  return s[0] == 't' ? 1 : strtoll(s, NULL, 10);
}

/* bytea comes as \x and hex digits. */
static const void *pg_blob(const struct store_rows *r, int column, size_t *n) {
  const char *s = pg_text(r, column);
  if (s == NULL) return NULL;
  size_t digits = (size_t)PQgetlength(r->handle, r->row, column);
  if (digits < 2 || s[0] != '\\' || s[1] != 'x') {
    *n = digits;
    return s;
  }
  *n = (digits - 2) / 2;
  if (*n == 0) return "";
  struct store_rows *mine = (struct store_rows *)(uintptr_t)r;
  if (mine->cells == NULL) mine->cells = base_alloc((size_t)r->columns * sizeof *mine->cells);
  if (mine->cells[column] == NULL) {
    mine->cells[column] = base_alloc(*n);
    if (hex_decode(s + 2, mine->cells[column], *n) != 0) *n = 0;
  }
  return mine->cells[column];
}

const struct driver store_postgres = {
  .engine = STORE_POSTGRES, .open = pg_open, .close = pg_close, .connect = pg_connect, .disconnect = pg_disconnect,
  .begin = pg_begin, .member_begin = pg_member_begin, .member_keep = pg_member_keep, .member_undo = pg_member_undo,
  .commit = pg_commit, .rollback = pg_rollback, .exec = pg_exec, .select = pg_select, .next = pg_next, .done = pg_done,
  .null = pg_null, .integer = pg_integer, .text = pg_text, .blob = pg_blob,
  .catalogue = "SELECT c.relname, a.attname, CASE t.typname WHEN 'int8' THEN 'BIGINT' WHEN 'bytea' THEN 'BLOB' ELSE upper(t.typname) END, "
               "COALESCE(array_position(i.indkey::int2[], a.attnum), -1) + 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
               "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid "
               "LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') "
               "ORDER BY c.relname COLLATE \"C\", a.attnum",
};
