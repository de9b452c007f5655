/* Statements: parameters gathered and checked, results handed out, a failed statement fails its member. */
#include "store/driver.h"
#include <stdlib.h>
#include <string.h>

/* ---- literals ------------------------------------------------------------------------- */

static const struct dialect *shared_literal(struct store *s, const char *sql, struct err *err) {
  struct dialects *all = &s->dialects;
  pthread_mutex_lock(&all->lock);
  struct dialect *d = ptrmap_get(&all->known, sql);
  pthread_mutex_unlock(&all->lock);
  if (d != NULL) return d;
  struct dialect *made = dialect_new(s, sql, false, err); /* a number of its own: nothing was ever prepared under it */
  if (made == NULL) return NULL;
  pthread_mutex_lock(&all->lock);
  d = ptrmap_get(&all->known, sql);
  if (d == NULL) {
    ptrmap_put(&all->known, sql, made);
    all->all = base_realloc(all->all, (all->count + 1) * sizeof *all->all);
    all->all[all->count++] = d = made;
    made = NULL;
  }
  pthread_mutex_unlock(&all->lock);
  dialect_free(s, made);
  return d;
}

static const struct dialect *literal(struct store_tx *tx, const char *sql, struct err *err) {
  const struct dialect *d = ptrmap_get(&tx->conn->known, sql);
  if (d == NULL) {
    d = shared_literal(tx->store, sql, err);
    if (d == NULL) return NULL;
    ptrmap_put(&tx->conn->known, sql, (void *)(uintptr_t)d);
  }
  if (strcmp(d->source, sql) != 0) {
    err_set(err, ERR_INTERNAL, "SQL must be a literal; this address held another text: %.80s", sql);
    return NULL;
  }
  return d;
}

/* ---- parameters ----------------------------------------------------------------------- */

static int gather(struct params *p, const struct dialect *d, const char *types, va_list ap, struct err *err) {
  p->count = 0;
  for (; *types != '\0'; types++) {
    if (p->count == STORE_PARAMS) return err_set(err, ERR_INTERNAL, "SQL: more than %d parameters", STORE_PARAMS);
    struct param *v = &p->v[p->count++];
    v->type = *types;
    switch (*types) {
    case 'i': v->i = va_arg(ap, int64_t); break;
    case 'd': v->d = va_arg(ap, double); break;
    case 't':
      v->p = va_arg(ap, const char *);
      v->n = v->p == NULL ? 0 : strlen(v->p);
      if (v->p != NULL && !utf8_valid(v->p, v->n)) return err_set(err, ERR_INVALID, "parameter %d is not UTF-8", p->count);
      break;
    case 'b':
      v->p = va_arg(ap, const void *);
      v->n = va_arg(ap, size_t);
      break;
    default: return err_set(err, ERR_INTERNAL, "SQL: unknown parameter type '%c'", *types);
    }
  }
  if (p->count != d->params) return err_set(err, ERR_INTERNAL, "SQL: %d parameters for ?1…?%d: %.80s", p->count, d->params, d->source);
  return 0;
}

/* ---- the transaction's memory of its first failure -------------------------------------- */

/* Not all of its half kilobyte, for every statement and row. */
static void err_none(struct err *e) {
  e->code = ERR_NONE;
  e->message[0] = '\0';
}

static int failed(struct store_tx *tx, struct err *err) {
  if (err != NULL) *err = tx->first;
  return -1;
}

static int fail(struct store_tx *tx, const struct err *why, struct err *err) {
  if (tx->first.code == ERR_NONE) {
    tx->first = *why;
    if (tx->first.code == ERR_NONE) tx->first.code = ERR_INTERNAL;
  }
  return failed(tx, err);
}

void store_begin_tx(struct store_tx *tx, struct store *s, struct conn *c, bool writing) {
  tx->store = s;
  tx->conn = c;
  tx->writing = writing;
  tx->dumping = false;
  tx->statements = 0;
  tx->now = clock_now();
  err_none(&tx->first);
  for (int i = 0; i < STORE_ROWS; i++) tx->rows[i].open = false;
}

void store_end_tx(struct store_tx *tx) {
  for (int i = 0; i < STORE_ROWS; i++) store_done(&tx->rows[i]);
}

static bool forbidden(const struct store_tx *tx, const struct dialect *d) { return !tx->writing && !tx->dumping && d->kind != KIND_SELECT; }

int tx_exec(struct store_tx *tx, const struct dialect *d, const struct params *p, bool wait, int64_t *changed, struct err *err) {
  struct err why;
  err_none(&why);
  if (tx->first.code != ERR_NONE) return failed(tx, err);
  if (forbidden(tx, d)) {
    err_set(&why, ERR_INTERNAL, "a read may not change anything: %.80s", d->source);
    return fail(tx, &why, err);
  }
  tx->statements++;
  if (tx->store->driver->exec(tx->conn, d, p, wait, changed, &why) != 0) return fail(tx, &why, err);
  return 0;
}

struct store_rows *tx_select(struct store_tx *tx, const struct dialect *d, const struct params *p, struct err *err) {
  struct err why;
  err_none(&why);
  struct store_rows *r = NULL;
  if (tx->first.code != ERR_NONE) {
    failed(tx, err);
    return NULL;
  }
  for (int i = 0; i < STORE_ROWS && r == NULL; i++)
    if (!tx->rows[i].open) r = &tx->rows[i];
  if (r == NULL) {
    err_set(&why, ERR_INTERNAL, "more than %d results open: %.80s", STORE_ROWS, d->source);
  } else if (forbidden(tx, d)) {
    err_set(&why, ERR_INTERNAL, "a read may not change anything: %.80s", d->source);
  } else {
    memset(r, 0, sizeof *r);
    r->tx = tx;
    r->id = d->id;
    tx->statements++;
    if (tx->store->driver->select(tx->conn, d, p, r, &why) == 0) {
      r->open = true;
      return r;
    }
  }
  fail(tx, &why, err);
  return NULL;
}

int tx_run(struct store_tx *tx, const char *sql, struct err *err) {
  static const struct params none = {0};
  struct err why;
  err_none(&why);
  struct dialect *d = dialect_new(tx->store, sql, true, &why);
  if (d == NULL) return fail(tx, &why, err);
  int rc = tx_exec(tx, d, &none, true, NULL, err);
  dialect_free(tx->store, d);
  return rc;
}

/* ---- the public calls ------------------------------------------------------------------ */

static const struct dialect *prepare(struct store_tx *tx, struct params *p, const char *sql, const char *types, va_list ap,
                                     struct err *err) {
  struct err why;
  err_none(&why);
  if (tx->first.code != ERR_NONE) {
    failed(tx, err);
    return NULL;
  }
  const struct dialect *d = literal(tx, sql, &why);
  if (d != NULL && gather(p, d, types, ap, &why) == 0) return d;
  fail(tx, &why, err);
  return NULL;
}

int store_exec(struct store_tx *tx, struct err *err, const char *sql, const char *types, ...) {
  struct params p;
  int64_t changed = 0;
  va_list ap;
  va_start(ap, types);
  const struct dialect *d = prepare(tx, &p, sql, types, ap, err);
  va_end(ap);
  if (d == NULL || tx_exec(tx, d, &p, true, &changed, err) != 0) return -1;
  return changed > INT32_MAX ? INT32_MAX : (int)changed;
}

int store_put(struct store_tx *tx, struct err *err, const char *sql, const char *types, ...) {
  struct params p;
  va_list ap;
  va_start(ap, types);
  const struct dialect *d = prepare(tx, &p, sql, types, ap, err);
  va_end(ap);
  return d == NULL ? -1 : tx_exec(tx, d, &p, false, NULL, err);
}

struct store_rows *store_select(struct store_tx *tx, struct err *err, const char *sql, const char *types, ...) {
  struct params p;
  va_list ap;
  va_start(ap, types);
  const struct dialect *d = prepare(tx, &p, sql, types, ap, err);
  va_end(ap);
  return d == NULL ? NULL : tx_select(tx, d, &p, err);
}

int store_value(struct store_tx *tx, int64_t *out, int64_t dflt, struct err *err, const char *sql, const char *types, ...) {
  struct params p;
  va_list ap;
  *out = dflt;
  va_start(ap, types);
  const struct dialect *d = prepare(tx, &p, sql, types, ap, err);
  va_end(ap);
  struct store_rows *r = d == NULL ? NULL : tx_select(tx, d, &p, err);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1 && !store_null(r, 0)) *out = store_int(r, 0);
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int store_next(struct store_rows *r, struct err *err) {
  struct err why;
  err_none(&why);
  struct store_tx *tx = r->tx;
  if (tx->first.code != ERR_NONE) return failed(tx, err);
  if (!r->open) return 0;
  int rc = tx->store->driver->next(r, &why);
  return rc < 0 ? fail(tx, &why, err) : rc;
}

static bool has(const struct store_rows *r, int column) { return r->open && column >= 0 && column < r->columns; }

int64_t store_int(const struct store_rows *r, int column) { return has(r, column) ? r->tx->store->driver->integer(r, column) : 0; }

const char *store_text(const struct store_rows *r, int column) { return has(r, column) ? r->tx->store->driver->text(r, column) : NULL; }

const void *store_blob(const struct store_rows *r, int column, size_t *n) {
  *n = 0;
  return has(r, column) ? r->tx->store->driver->blob(r, column, n) : NULL;
}

bool store_null(const struct store_rows *r, int column) { return !has(r, column) || r->tx->store->driver->null(r, column); }

void store_done(struct store_rows *r) {
  if (r == NULL || !r->open) return;
  r->open = false;
  r->tx->store->driver->done(r);
}

bool store_looks(const struct store_tx *tx) { return tx->store->driver->engine != STORE_POSTGRES || tx->conn->careful; }

struct store *store_of(struct store_tx *tx) { return tx->store; }
bool store_hurry(const struct store_tx *tx) { return tx->store->queues[STORE_FRONT].count > 0; }
int64_t store_time(struct store_tx *tx) { return tx->now; }
