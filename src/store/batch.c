/* The writers: many members in one commit; what one of them breaks does not hurt the others. */
#include "store/driver.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FULL_TRIES = 3, CAREFUL_BATCHES = 8, PAUSE_MS = 2, PAUSE_MOST_MS = 200 };

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void pause_ms(int64_t ms) {
  struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) continue;
}

/* ---- one transaction ------------------------------------------------------------------- */

static void run_member(struct writer *w, struct member *m) {
  const struct driver *driver = w->store->driver;
  struct store_tx tx;
  store_begin_tx(&tx, w->store, w->conn, true);
  driver->member_begin(w->conn);
  m->err.code = ERR_NONE;
  m->err.message[0] = '\0';
  m->rc = m->work(&tx, m->arg, &m->err);
  store_end_tx(&tx);
  if (m->rc >= 0 && tx.first.code != ERR_NONE) { /* a failed statement fails its member, on both engines */
    m->rc = -1;
    m->err = tx.first;
  }
  if (m->rc < 0 && m->err.code == ERR_NONE) err_set(&m->err, ERR_INTERNAL, "work failed without saying why");
  if (w->conn->trouble >= TROUBLE_GROUP) return;
  int rc = m->rc >= 0 ? driver->member_keep(w->conn, &m->err) : driver->member_undo(w->conn, &m->err);
  if (rc != 0 && w->conn->trouble < TROUBLE_GROUP) w->conn->trouble = TROUBLE_GROUP;
  if (rc == 0) w->conn->trouble = TROUBLE_NONE;
  m->ran = true;
}

/* Run batch[from…to) in one transaction, until until_us (0: all). TROUBLE_NONE: those that ran stand as they are. */
static enum trouble attempt(struct writer *w, int from, int to, int64_t until_us, bool careful, struct err *err) {
  struct store *s = w->store;
  const struct driver *driver = s->driver;
  bool alone = to - from == 1;
  for (int i = from; i < to; i++) w->batch[i]->ran = false;
  if (w->conn == NULL) w->conn = store_conn(s, CONN_WRITE, err);
  if (w->conn == NULL) return TROUBLE_LOST;
  struct conn *c = w->conn;
  c->trouble = TROUBLE_NONE;
  c->careful = careful;
  int rc = driver->begin(c, alone, err);
  for (int i = from; i < to && rc == 0; i++) {
    struct member *m = w->batch[i];
    if (m->decided) continue;
    if (until_us != 0 && i > from && now_us() > until_us) break;
    run_member(w, m);
    if (c->trouble < TROUBLE_GROUP) continue;
    if (err != NULL) *err = m->err;
    rc = -1;
  }
  if (rc == 0 && alone && w->batch[from]->rc < 0) driver->rollback(c); /* it has no savepoint of its own */
  else if (rc == 0 && (rc = driver->commit(c, err)) == 0) s->commits++;
  enum trouble t = rc == 0 ? TROUBLE_NONE : c->trouble == TROUBLE_NONE ? TROUBLE_GROUP : c->trouble;
  if (rc != 0 && t < TROUBLE_LOST) driver->rollback(c);
  if (c->trouble >= TROUBLE_LOST) {
    store_conn_free(c);
    w->conn = NULL;
  }
  return t;
}

/* ---- what follows from it ----------------------------------------------------------------- */

static void refuse(struct member *m, const struct err *why) {
  if (m->decided) return;
  m->rc = -1;
  m->err = *why;
  if (m->err.code == ERR_NONE) m->err.code = ERR_UNAVAILABLE;
  m->decided = true;
}

static void decide(struct writer *w, int from, int to, enum trouble t) {
  struct err unknown;
  err_set(&unknown, ERR_OUTCOME_UNKNOWN, "the database did not confirm the commit: ask again by key");
  for (int i = from; i < to; i++) {
    struct member *m = w->batch[i];
    if (m->decided || !m->ran) continue;
    if (t == TROUBLE_UNKNOWN && m->rc >= 0) refuse(m, &unknown);
    m->decided = true;
  }
}

static int64_t patience(const struct writer *w) {
  return clock_mono() + (w->store->ill ? 0 : w->store->options.busy_ms); /* when it is known to be down, one try */
}

/* One member in a transaction of its own, until it stands or is refused for good. */
static void alone(struct writer *w, int i, int64_t lost_deadline) {
  struct store *s = w->store;
  int64_t deadline = clock_mono() + s->options.busy_ms;
  for (int tries = 0;; tries++) {
    struct err err = {0};
    if (w->fulls >= FULL_TRIES) {
      err_set(&err, ERR_UNAVAILABLE, "the disk of the database is full");
      refuse(w->batch[i], &err);
      return;
    }
    enum trouble t = attempt(w, i, i + 1, 0, true, &err);
    if (t == TROUBLE_NONE || t == TROUBLE_UNKNOWN) {
      if (t == TROUBLE_NONE) s->ill = false;
      decide(w, i, i + 1, t);
      return;
    }
    bool again = t == TROUBLE_AGAIN ? clock_mono() < deadline : t == TROUBLE_LOST ? clock_mono() < lost_deadline : false;
    if (t == TROUBLE_FULL) again = w->fulls++ == 0;
    if (t >= TROUBLE_FULL && !again) s->ill = true;
    if (!again) {
      if (t >= TROUBLE_AGAIN) err.code = ERR_UNAVAILABLE;
      refuse(w->batch[i], &err);
      return;
    }
    s->retries++;
    if (t == TROUBLE_FULL && s->driver->relieve != NULL && w->conn != NULL) s->driver->relieve(w->conn);
    int64_t ms = (int64_t)PAUSE_MS << (tries < 7 ? tries : 7);
    pause_ms((ms > PAUSE_MOST_MS ? PAUSE_MOST_MS : ms) / 2 + now_us() % PAUSE_MS);
  }
}

/* A batch first runs without savepoints, which cost more than all that fails; when that breaks, and for some batches after, with them. */
static enum trouble together(struct writer *w, int64_t until_us, int64_t deadline, struct err *err) {
  bool careful = w->careful > 0;
  if (careful) w->careful--;
  for (;;) {
    enum trouble t = attempt(w, 0, w->count, until_us, careful, err);
    if (t == TROUBLE_GROUP && !careful) {
      w->careful = CAREFUL_BATCHES;
      careful = true;
    } else if (t == TROUBLE_LOST && clock_mono() < deadline) {
      pause_ms(20);
    } else {
      return t;
    }
    w->store->retries++;
  }
}

static void run_batch(struct writer *w, bool jobs) {
  int64_t deadline = patience(w), until = jobs ? now_us() + STORE_JOBS_MS * 1000 : 0;
  struct err err = {0};
  enum trouble t = TROUBLE_GROUP;
  w->fulls = 0;
  if (w->count > 1) {
    t = together(w, until, deadline, &err);
    if (t == TROUBLE_NONE || t == TROUBLE_UNKNOWN) {
      if (t == TROUBLE_NONE) w->store->ill = false;
      decide(w, 0, w->count, t);
      if (t == TROUBLE_NONE) return; /* jobs that had no time stay undecided */
    } else if (t == TROUBLE_LOST) {
      w->store->ill = true;
      err.code = ERR_UNAVAILABLE;
      for (int i = 0; i < w->count; i++) refuse(w->batch[i], &err);
    } else {
      w->store->retries++;
    }
    if (t == TROUBLE_FULL) {
      w->fulls = 1;
      if (w->store->driver->relieve != NULL && w->conn != NULL) w->store->driver->relieve(w->conn);
    }
  }
  for (int i = 0; i < w->count; i++)
    if (!w->batch[i]->decided) alone(w, i, deadline);
}

/* ---- queues ------------------------------------------------------------------------------- */

/* Jobs may use a quarter of the writers' time while people wait, all of it when nobody does. */
static enum store_queue choose(struct store *s) {
  if (s->queues[STORE_JOBS].count == 0) return STORE_FRONT;
  if (s->queues[STORE_FRONT].count == 0) return STORE_JOBS;
  return s->credit_us >= 0 ? STORE_JOBS : STORE_FRONT;
}

static void account(struct store *s, enum store_queue q, int64_t us) {
  const int64_t most = STORE_JOBS_MS * 1000;
  s->credit_us += q == STORE_FRONT ? us / 3 : -us;
  if (s->credit_us > most) s->credit_us = most;
  if (s->credit_us < -4 * most) s->credit_us = -4 * most;
}

static void take(struct writer *w, struct queue *q) {
  w->count = 0;
  while (q->first != NULL && w->count < w->store->options.batch) {
    struct member *m = q->first;
    q->first = m->next;
    if (q->first == NULL) q->last = &q->first;
    q->count--;
    w->batch[w->count++] = m;
  }
}

/* Jobs that had no time go back to the front of their queue, in order. */
static void put_back(struct writer *w, struct queue *q) {
  for (int i = w->count - 1; i >= 0; i--) {
    struct member *m = w->batch[i];
    if (m->decided) continue;
    m->next = q->first;
    if (q->first == NULL) q->last = &m->next;
    q->first = m;
    q->count++;
    w->batch[i] = NULL;
  }
}

static void finish(struct writer *w) {
  for (int i = 0; i < w->count; i++) {
    struct member *m = w->batch[i];
    if (m == NULL) continue;
    w->store->works++;
    if (m->rc < 0) w->store->failures++;
    if (m->done != NULL) m->done(m->arg, m->rc, &m->err);
    free(m);
  }
}

void *store_writer(void *arg) {
  struct writer *w = arg;
  struct store *s = w->store;
  store_enter(s, "writing", NULL);
  pthread_mutex_lock(&s->lock);
  for (;;) {
    while (s->queues[0].count + s->queues[1].count == 0 && !s->closing) pthread_cond_wait(&s->work, &s->lock);
    if (s->queues[0].count + s->queues[1].count == 0) break;
    enum store_queue q = choose(s);
    take(w, &s->queues[q]);
    if (s->writers_count > 1 && s->queues[0].count + s->queues[1].count > 0) pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    int64_t began = now_us();
    w->busy_since = clock_mono();
    run_batch(w, q == STORE_JOBS);
    pthread_mutex_lock(&s->lock);
    put_back(w, &s->queues[q]);
    account(s, q, now_us() - began);
    pthread_mutex_unlock(&s->lock);
    finish(w);
    w->busy_since = 0;
    pthread_mutex_lock(&s->lock);
  }
  pthread_mutex_unlock(&s->lock);
  store_leave(s);
  return NULL;
}
