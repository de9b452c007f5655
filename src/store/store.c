/* The front: opening and closing, queues, reads, leases, figures. */
#include "store/driver.h"
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- what this thread is inside of ------------------------------------------------------ */

static _Thread_local struct { const struct store *s; const char *what; } inside[4];

int store_enter(struct store *s, const char *what, struct err *err) {
  for (size_t i = 0; i < BASE_COUNT(inside); i++)
    if (inside[i].s == s) return err_set(err, ERR_INTERNAL, "store: %s from inside %s of the same store", what, inside[i].what);
  for (size_t i = 0; i < BASE_COUNT(inside); i++) {
    if (inside[i].s != NULL) continue;
    inside[i].s = s;
    inside[i].what = what;
    return 0;
  }
  return err_set(err, ERR_INTERNAL, "store: too many stores at once on one thread");
}

void store_leave(struct store *s) {
  for (size_t i = 0; i < BASE_COUNT(inside); i++)
    if (inside[i].s == s) inside[i].s = NULL;
}

/* ---- connections ------------------------------------------------------------------------ */

struct conn *store_conn(struct store *s, enum conn_use use, struct err *err) { return s->driver->connect(s, use, err); }

void store_conn_free(struct conn *c) {
  if (c == NULL) return;
  ptrmap_free(&c->known);
  c->store->driver->disconnect(c);
}

static void deadline_in(struct timespec *t, int ms) {
  clock_gettime(CLOCK_MONOTONIC, t);
  t->tv_sec += ms / 1000;
  t->tv_nsec += (ms % 1000) * 1000000L;
  if (t->tv_nsec >= 1000000000L) {
    t->tv_sec++;
    t->tv_nsec -= 1000000000L;
  }
}

static struct conn *pool_take(struct store *s, struct err *err) {
  struct timespec until;
  deadline_in(&until, s->options.busy_ms);
  pthread_mutex_lock(&s->pool_lock);
  int waited = 0;
  while (s->pool == NULL && s->pool_count >= s->options.readers && waited != ETIMEDOUT)
    waited = pthread_cond_clockwait(&s->pool_wait, &s->pool_lock, CLOCK_MONOTONIC, &until);
  struct conn *c = s->pool;
  bool make = c == NULL && s->pool_count < s->options.readers;
  if (c != NULL) s->pool = c->next;
  if (make) s->pool_count++;
  pthread_mutex_unlock(&s->pool_lock);
  if (c == NULL && !make) {
    err_set(err, ERR_UNAVAILABLE, "every reading connection was busy for %d ms", s->options.busy_ms);
  } else if (make && (c = store_conn(s, CONN_READ, err)) == NULL) {
    pthread_mutex_lock(&s->pool_lock);
    s->pool_count--;
    pthread_cond_signal(&s->pool_wait);
    pthread_mutex_unlock(&s->pool_lock);
  }
  return c;
}

static void pool_give(struct store *s, struct conn *c) {
  bool lost = c->trouble >= TROUBLE_LOST;
  if (lost) store_conn_free(c);
  pthread_mutex_lock(&s->pool_lock);
  if (lost) {
    s->pool_count--;
  } else {
    c->next = s->pool;
    s->pool = c;
  }
  pthread_cond_signal(&s->pool_wait);
  pthread_mutex_unlock(&s->pool_lock);
}

/* ---- open and close --------------------------------------------------------------------- */

static void defaults(struct store *s, const struct store_options *given) {
  bool pg = s->driver->engine == STORE_POSTGRES;
  struct store_options *o = &s->options;
  if (given != NULL) *o = *given;
  if (o->readers <= 0) o->readers = pg ? 6 : 8;
  if (o->writers <= 0) o->writers = 4;
  if (!pg) o->writers = 1;
  if (o->batch <= 0) o->batch = pg ? 32 : 256;
  if (o->busy_ms <= 0) o->busy_ms = 5000;
  if (o->wal_guard == 0) o->wal_guard = 16u << 20;
}

static void locks_init(struct store *s) {
  pthread_mutex_init(&s->lock, NULL);
  pthread_mutex_init(&s->pool_lock, NULL);
  pthread_mutex_init(&s->dialects.lock, NULL);
  pthread_cond_init(&s->work, NULL);
  pthread_cond_init(&s->pool_wait, NULL);
  pthread_rwlockattr_t prefer;
  pthread_rwlockattr_init(&prefer);
  pthread_rwlockattr_setkind_np(&prefer, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&s->reading, &prefer);
  pthread_rwlockattr_destroy(&prefer);
  for (int i = 0; i < 2; i++) s->queues[i].last = &s->queues[i].first;
}

static void store_free(struct store *s) {
  for (int i = 0; i < s->writers_count; i++) {
    store_conn_free(s->writers[i].conn);
    free(s->writers[i].batch);
  }
  free(s->writers);
  for (struct conn *c = s->pool, *next; c != NULL; c = next) {
    next = c->next;
    store_conn_free(c);
  }
  s->driver->close(s);
  for (size_t i = 0; i < s->dialects.count; i++) {
    free(s->dialects.all[i]->source);
    free(s->dialects.all[i]->text);
    free(s->dialects.all[i]);
  }
  ptrmap_free(&s->dialects.known);
  free(s->dialects.all);
  free(s->dialects.spare);
  pthread_mutex_destroy(&s->lock);
  pthread_mutex_destroy(&s->pool_lock);
  pthread_mutex_destroy(&s->dialects.lock);
  pthread_cond_destroy(&s->work);
  pthread_cond_destroy(&s->pool_wait);
  pthread_rwlock_destroy(&s->reading);
  free(s->where);
  free(s);
}

static void writers_stop(struct store *s) {
  pthread_mutex_lock(&s->lock);
  s->closing = true;
  pthread_cond_broadcast(&s->work);
  pthread_mutex_unlock(&s->lock);
  for (int i = 0; i < s->writers_count; i++) pthread_join(s->writers[i].thread, NULL);
}

static int writers_start(struct store *s, struct err *err) {
  s->writers = base_alloc((size_t)s->options.writers * sizeof *s->writers);
  for (int i = 0; i < s->options.writers; i++) {
    struct writer *w = &s->writers[i];
    w->store = s;
    w->batch = base_alloc(STORE_ROOM * (size_t)s->options.batch * sizeof(struct member *));
    int rc = pthread_create(&w->thread, NULL, store_writer, w);
    if (rc != 0) {
      free(w->batch);
      writers_stop(s);
      return err_set(err, ERR_UNAVAILABLE, "no thread for a writer: %s", strerror(rc));
    }
    s->writers_count++;
  }
  return 0;
}

int store_open(const char *where, const struct store_options *options, struct store **out, struct err *err) {
  static const struct { const char *prefix; size_t skip; const struct driver *driver; } known[] = {
    {"postgresql://", 0, &store_postgres}, {"postgres://", 0, &store_postgres},
    {"sqlite:", 7, &store_sqlite}, {"scripted:", 9, &store_scripted}};
  *out = NULL;
  for (size_t i = 0; i < BASE_COUNT(known); i++) {
    if (!base_starts(where, known[i].prefix)) continue;
    struct store *s = base_alloc(sizeof *s);
    s->driver = known[i].driver;
    defaults(s, options);
    locks_init(s);
    if (s->driver->open(s, where + known[i].skip, err) != 0 || writers_start(s, err) != 0) {
      store_free(s);
      return -1;
    }
    *out = s;
    return 0;
  }
  return err_set(err, ERR_UNAVAILABLE, "a store is sqlite:FILE or postgresql://…");
}

void store_close(struct store *s) {
  if (s == NULL) return;
  writers_stop(s);
  store_free(s);
}

enum store_engine store_engine_of(const struct store *s) { return s->driver->engine; }

/* ---- work --------------------------------------------------------------------------------- */

int store_submit(struct store *s, enum store_queue q, store_work work, void *arg, store_done_fn done, struct err *err) {
  struct member *m = base_alloc(sizeof *m);
  m->work = work;
  m->arg = arg;
  m->done = done;
  m->again = q == STORE_AGAIN;
  m->queue = q == STORE_AGAIN ? STORE_JOBS : q;
  pthread_mutex_lock(&s->lock);
  struct queue *queue = &s->queues[m->queue];
  bool closing = s->closing, taken = !closing && queue->count < STORE_QUEUE_MOST;
  if (taken) {
    if (q == STORE_FRONT) s->came = clock_mono();
    *queue->last = m;
    queue->last = &m->next;
    queue->count++;
    pthread_cond_signal(&s->work);
  }
  pthread_mutex_unlock(&s->lock);
  if (taken) return 0;
  free(m);
  return err_set(err, ERR_UNAVAILABLE, closing ? "the store is closing" : "too much work is waiting for the database");
}

struct waiting {
  store_work work;
  void *arg;
  sem_t ready;
  int rc;
  struct err err;
};

static int waiting_work(struct store_tx *tx, void *arg, struct err *err) {
  struct waiting *w = arg;
  return w->work(tx, w->arg, err);
}

static void waiting_done(void *arg, int rc, const struct err *err) {
  struct waiting *w = arg;
  w->rc = rc;
  if (rc < 0) w->err = *err;
  sem_post(&w->ready);
}

int store_write(struct store *s, enum store_queue q, store_work work, void *arg, struct err *err) {
  struct waiting w = {.work = work, .arg = arg};
  if (store_enter(s, "store_write", err) != 0) return -1;
  sem_init(&w.ready, 0, 0);
  int rc = store_submit(s, q, waiting_work, &w, waiting_done, err);
  if (rc == 0) {
    while (sem_wait(&w.ready) != 0) continue;
    rc = w.rc;
    if (rc < 0 && err != NULL) *err = w.err;
  }
  sem_destroy(&w.ready);
  store_leave(s);
  return rc;
}

static int read_in(struct store *s, struct conn *c, store_work work, void *arg, struct err *err) {
  struct store_tx tx;
  c->trouble = TROUBLE_NONE;
  store_begin_tx(&tx, s, c, false);
  int rc = s->driver->begin(c, true, err);
  if (rc == 0) {
    rc = work(&tx, arg, err);
    store_end_tx(&tx);
    if (rc >= 0 && tx.first.code != ERR_NONE) rc = err_set(err, tx.first.code, "%s", tx.first.message);
  }
  s->driver->rollback(c);
  return rc;
}

int store_read(struct store *s, store_work work, void *arg, struct err *err) {
  if (store_enter(s, "store_read", err) != 0) return -1;
  int rc = -1;
  struct conn *c = pool_take(s, err);
  if (c != NULL) {
    bool locked = s->driver->engine == STORE_SQLITE;
    if (locked) pthread_rwlock_rdlock(&s->reading);
    rc = read_in(s, c, work, arg, err);
    if (locked) pthread_rwlock_unlock(&s->reading);
    pool_give(s, c);
    s->reads++;
  }
  store_leave(s);
  return rc;
}

/* ---- leases --------------------------------------------------------------------------------- */

struct lease {
  const char *name, *owner;
  int64_t ms, epoch;
  bool held;
};

static int lease_work(struct store_tx *tx, void *arg, struct err *err) {
  struct lease *l = arg;
  int64_t now = store_time(tx);
  l->held = false;
  l->epoch = 0;
  struct store_rows *r = store_select(tx, err,
    "INSERT INTO store_lock (name, owner, epoch, until) VALUES (?1, ?2, 1, ?4) "
    "ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until, "
    "epoch = store_lock.epoch + CASE WHEN store_lock.owner = excluded.owner AND store_lock.until >= ?3 THEN 0 ELSE 1 END "
    "WHERE store_lock.owner = excluded.owner OR store_lock.until < ?3 RETURNING epoch",
    "ttii", l->name, l->owner, now, now + l->ms);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    l->held = true;
    l->epoch = store_int(r, 0);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int store_lease(struct store *s, const char *name, const char *owner, int64_t ms, int64_t *epoch, struct err *err) {
  struct lease l = {.name = name, .owner = owner, .ms = ms};
  if (store_write(s, STORE_JOBS, lease_work, &l, err) != 0) return -1;
  if (l.held && epoch != NULL) *epoch = l.epoch;
  return l.held ? 1 : 0;
}

int store_lease_check(struct store_tx *tx, const char *name, const char *owner, int64_t epoch, struct err *err) {
  /* An update, so that a taking over in another transaction waits for this one to end, and the reverse. */
  int rc = store_exec(tx, err, "UPDATE store_lock SET epoch = epoch WHERE name = ?1 AND owner = ?2 AND epoch = ?3", "tti", name,
                      owner, epoch);
  if (rc == 0) return err_set(err, ERR_CONFLICT, "the lease %s is no longer held at epoch %lld", name, (long long)epoch);
  return rc < 0 ? -1 : 0;
}

/* ---- copies and figures ----------------------------------------------------------------------- */

int store_backup(struct store *s, const char *file, struct err *err) {
  if (s->driver->backup == NULL) return err_set(err, ERR_UNSUPPORTED, "only SQLite copies its file; dump this store instead");
  return s->driver->backup(s, file, err);
}

void store_stats(struct store *s, struct store_stats *out) {
  pthread_mutex_lock(&s->lock);
  out->queued_front = s->queues[STORE_FRONT].count;
  out->queued_jobs = s->queues[STORE_JOBS].count;
  pthread_mutex_unlock(&s->lock);
  out->commits = s->commits;
  out->works = s->works;
  out->failures = s->failures;
  out->retries = s->retries;
  out->wal_bytes = s->wal_bytes;
  out->wal_truncations = s->wal_truncations;
  out->reads = s->reads;
}

static int ping_read(struct store_tx *tx, void *arg, struct err *err) {
  int64_t one = 0;
  return store_value(tx, &one, 0, err, "SELECT 1", "");
}

static int probe_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_put(tx, err, "UPDATE store_lock SET until = until WHERE name = ?1", "t", "probe");
}

static void probe_done(void *arg, int rc, const struct err *err) {
  struct store *s = arg;
  s->probing = false;
}

int store_ping(struct store *s, struct err *err) {
  if (store_read(s, ping_read, NULL, err) != 0) return -1;
  for (int i = 0; i < s->writers_count; i++) {
    int64_t since = s->writers[i].busy_since, stuck = since == 0 ? 0 : clock_mono() - since;
    if (stuck > 2 * s->options.busy_ms) return err_set(err, ERR_UNAVAILABLE, "a writer has been busy for %lld ms", (long long)stuck);
  }
  if (!s->ill) return 0;
  /* Nobody may be sending work any more: find out by ourselves whether it is well again. */
  bool idle = false;
  if (atomic_compare_exchange_strong(&s->probing, &idle, true) && store_submit(s, STORE_JOBS, probe_work, s, probe_done, NULL) != 0)
    s->probing = false;
  return err_set(err, ERR_UNAVAILABLE, "the last write failed: the disk is full or the database is away");
}
