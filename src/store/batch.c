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

/* Jobs stop when they have had their time: a short one while somebody waits for this very commit or for the next. */
static bool time_over(const struct writer *w, int64_t us) {
  if (us <= w->jobs_share) return false;
  return us > w->jobs_most || w->fronts > 0 || w->store->queues[STORE_FRONT].count > 0;
}

static int run_members(struct writer *w, int from, int to, struct err *err) {
  bool one = to - from == 1;
  int64_t began = 0;
  for (int i = from; i < to; i++) {
    struct member *m = w->batch[i];
    if (m->decided) continue;
    if (m->queue == STORE_JOBS && !one) {
      int64_t now = now_us();
      if (began == 0) began = now;
      else if (time_over(w, now - began)) continue;
    }
    run_member(w, m);
    if (m->queue == STORE_JOBS && !one) w->jobs_us = now_us() - began;
    if (w->conn->trouble < TROUBLE_GROUP) continue;
    if (err != NULL) *err = m->err;
    return -1;
  }
  return 0;
}

static void take(struct writer *w, enum store_queue q, int most);

/* Whoever came while jobs ran shares their commit. */
static int join(struct writer *w, struct err *err) {
  int from = w->count, batch = w->store->options.batch, room = STORE_ROOM * batch - from;
  pthread_mutex_lock(&w->store->lock);
  take(w, STORE_FRONT, room < batch ? room : batch);
  pthread_mutex_unlock(&w->store->lock);
  for (int i = from; i < w->count; i++) w->batch[i]->ran = false;
  return run_members(w, from, w->count, err);
}

/* Run batch[from…to) in one transaction, without those jobs that have no time. TROUBLE_NONE: those that ran stand as they are. */
static enum trouble attempt(struct writer *w, int from, int to, bool careful, struct err *err) {
  struct store *s = w->store;
  const struct driver *driver = s->driver;
  bool alone = to - from == 1;
  for (int i = from; i < to; i++) w->batch[i]->ran = false;
  if (w->conn == NULL) w->conn = store_conn(s, CONN_WRITE, err);
  if (w->conn == NULL) return TROUBLE_LOST;
  struct conn *c = w->conn;
  c->trouble = TROUBLE_NONE;
  c->careful = careful;
  c->again = w->again;
  int rc = driver->begin(c, alone, err);
  if (rc == 0) rc = run_members(w, from, to, err);
  if (rc == 0 && !alone && w->mixed && !w->again) rc = join(w, err);
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
    enum trouble t = attempt(w, i, i + 1, true, &err);
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
static enum trouble together(struct writer *w, int64_t deadline, struct err *err) {
  bool careful = w->careful > 0;
  if (careful) w->careful--;
  for (;;) {
    enum trouble t = attempt(w, 0, w->count, careful, err);
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

static void run_batch(struct writer *w) {
  int64_t deadline = patience(w);
  struct err err = {0};
  enum trouble t = TROUBLE_GROUP;
  w->fulls = 0;
  if (w->count > 1) {
    t = together(w, deadline, &err);
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

static void account(struct store *s, int64_t us, int64_t jobs_us) {
  const int64_t most = STORE_JOBS_MS * 1000;
  s->credit_us += (us - jobs_us) / 3 - jobs_us;
  if (s->credit_us > most) s->credit_us = most;
  if (s->credit_us < -4 * most) s->credit_us = -4 * most;
}

static void take(struct writer *w, enum store_queue q, int most) {
  struct queue *from = &w->store->queues[q];
  for (; from->first != NULL && most > 0; most--) {
    struct member *m = from->first;
    if (w->fronts == 0 && m->again != w->again) break;
    from->first = m->next;
    if (from->first == NULL) from->last = &from->first;
    from->count--;
    w->batch[w->count++] = m;
  }
}

/* A batch of the queue whose turn it is. Where one writer serves all, jobs come along with those who wait: one commit less to wait for. */
static void fill(struct writer *w) {
  struct store *s = w->store;
  int most = s->options.batch;
  enum store_queue q = choose(s);
  w->count = w->fronts = 0;
  w->again = false;
  w->mixed = q == STORE_JOBS && s->options.writers == 1 && most > 1;
  w->jobs_us = 0;
  w->jobs_share = w->jobs_most = STORE_JOBS_MS * 1000;
  if (w->mixed) {
    take(w, STORE_FRONT, most);
    w->fronts = w->count;
    w->jobs_share = w->fronts > 0 ? s->credit_us : STORE_JOIN_MS * 1000;
    w->jobs_most = (store_people(s) ? STORE_SHORT_MS : STORE_ALONE_MS) * 1000;
    most *= 2;
  }
  w->again = q == STORE_JOBS && w->fronts == 0 && s->queues[q].first->again;
  if (w->again && w->mixed) w->jobs_share = 0; /* short commits of their own: who comes has the next one, at once */
  take(w, q, most);
}

bool store_people(const struct store *s) { return clock_mono() - s->came < STORE_COMING_MS; }

/* Jobs that had no time go back to the front of their queue, in order. */
static void put_back(struct writer *w) {
  struct queue *q = &w->store->queues[STORE_JOBS];
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

static void tell(struct writer *w, enum store_queue q) {
  for (int i = 0; i < w->count; i++) {
    struct member *m = w->batch[i];
    if (m == NULL || m->queue != q) continue;
    w->store->works++;
    if (m->rc < 0) w->store->failures++;
    if (m->done != NULL) m->done(m->arg, m->rc, &m->err);
    w->batch[i] = NULL;
    free(m);
  }
}

/* Those who wait first. */
static void finish(struct writer *w) {
  tell(w, STORE_FRONT);
  tell(w, STORE_JOBS);
}

void *store_writer(void *arg) {
  struct writer *w = arg;
  struct store *s = w->store;
  pthread_setname_np(pthread_self(), "store-writer"); /* as top -H and perf show it */
  store_enter(s, "writing", NULL);
  pthread_mutex_lock(&s->lock);
  for (;;) {
    while (s->queues[0].count + s->queues[1].count == 0 && !s->closing) pthread_cond_wait(&s->work, &s->lock);
    if (s->queues[0].count + s->queues[1].count == 0) break;
    fill(w);
    if (s->writers_count > 1 && s->queues[0].count + s->queues[1].count > 0) pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    int64_t began = now_us();
    w->busy_since = clock_mono();
    run_batch(w);
    int64_t us = now_us() - began;
    bool waited = w->batch[0]->queue == STORE_FRONT || w->batch[w->count - 1]->queue == STORE_FRONT;
    pthread_mutex_lock(&s->lock);
    put_back(w);
    account(s, us, waited ? w->jobs_us : us);
    pthread_mutex_unlock(&s->lock);
    finish(w);
    if (s->driver->tidy != NULL && w->conn != NULL) s->driver->tidy(w->conn);
    w->busy_since = 0;
    pthread_mutex_lock(&s->lock);
  }
  pthread_mutex_unlock(&s->lock);
  store_leave(s);
  return NULL;
}
