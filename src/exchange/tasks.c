#include "exchange/side.h"

#include <stdlib.h>
#include <time.h>

enum { IDLE_S = 30, SHARE_LEAST = 2, STACK = 512 * 1024 };

struct tasks {
  pthread_mutex_t lock;
  pthread_cond_t wake, gone;
  struct task { void (*work)(void *arg); void *arg; } *ring;
  int room, head, count, most, threads, idle, busy;
  bool closing, any_ended;
  pthread_t ended; /* the last one, which joins the one before */
};

/* A thread waits half a minute for more and ends: a gateway that nobody calls has none. Lock is held. */
static bool wait_more(struct tasks *t) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += IDLE_S;
  t->idle++;
  while (!t->count && !t->closing)
    if (pthread_cond_clockwait(&t->wake, &t->lock, CLOCK_MONOTONIC, &until)) break;
  t->idle--;
  return t->count > 0;
}

static void *serve_tasks(void *arg) {
  struct tasks *t = arg;
  pthread_mutex_lock(&t->lock);
  while (t->count || wait_more(t)) {
    struct task next = t->ring[t->head];
    t->head = (t->head + 1) % t->room;
    t->count--;
    t->busy++;
    pthread_mutex_unlock(&t->lock);
    next.work(next.arg);
    pthread_mutex_lock(&t->lock);
    t->busy--;
  }
  pthread_t before = t->ended;
  bool any = t->any_ended;
  t->ended = pthread_self();
  t->any_ended = true;
  t->threads--;
  if (!t->threads) pthread_cond_signal(&t->gone);
  pthread_mutex_unlock(&t->lock);
  if (any) pthread_join(before, NULL);
  return NULL;
}

struct tasks *tasks_new(int most, int queue) {
  struct tasks *t = base_alloc(sizeof *t);
  pthread_mutex_init(&t->lock, NULL);
  pthread_cond_init(&t->wake, NULL);
  pthread_cond_init(&t->gone, NULL);
  t->most = most;
  t->room = queue;
  t->ring = base_alloc((size_t)queue * sizeof *t->ring);
  return t;
}

/* Lock is held. */
static void wait_gone(struct tasks *t, int ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  int64_t ns = until.tv_nsec + (int64_t)ms * 1000000;
  until.tv_sec += ns / 1000000000;
  until.tv_nsec = ns % 1000000000;
  while (t->threads)
    if (pthread_cond_clockwait(&t->gone, &t->lock, CLOCK_MONOTONIC, &until)) break;
}

/* When it returns the threads are no more, not only their work: what each has of its own (of libraries too) is freed as it ends. */
void tasks_free(struct tasks *t) {
  if (!t) return;
  pthread_mutex_lock(&t->lock);
  t->closing = true;
  pthread_cond_broadcast(&t->wake);
  for (int ms = END_MS; t->threads; ms = CUT_MS) {
    wait_gone(t, ms);
    if (t->threads) http_calls_cut();
  }
  pthread_mutex_unlock(&t->lock);
  if (t->any_ended) pthread_join(t->ended, NULL);
  pthread_cond_destroy(&t->wake);
  pthread_cond_destroy(&t->gone);
  pthread_mutex_destroy(&t->lock);
  free(t->ring);
  free(t);
}

/* One more thread, when all are busy. Lock is held. */
static bool grow(struct tasks *t) {
  pthread_attr_t attr;
  pthread_t thread;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK);
  bool made = pthread_create(&thread, &attr, serve_tasks, t) == 0;
  pthread_attr_destroy(&attr);
  if (made) t->threads++;
  return made;
}

bool tasks_put(struct tasks *t, void (*work)(void *arg), void *arg) {
  pthread_mutex_lock(&t->lock);
  bool fits = t->count < t->room && !t->closing, wake = false;
  if (fits) {
    if (t->idle <= t->count && t->threads < t->most && !grow(t) && !t->threads) fits = false;
  }
  if (fits) {
    t->ring[(t->head + t->count++) % t->room] = (struct task){work, arg};
    wake = t->idle > 0;
  }
  pthread_mutex_unlock(&t->lock);
  if (wake) pthread_cond_signal(&t->wake); /* so that who wakes finds the lock free */
  return fits;
}

void tasks_count(struct tasks *t, int *threads, int *busy, int *waiting) {
  pthread_mutex_lock(&t->lock);
  *threads = t->threads;
  *busy = t->busy;
  *waiting = t->count;
  pthread_mutex_unlock(&t->lock);
}

bool share_take(atomic_int *own, atomic_int *all) {
  int mine = atomic_fetch_add(own, 1), total = atomic_fetch_add(all, 1);
  if (mine < SHARE_LEAST || mine < SIDE_THREADS - total) return true;
  share_end(own, all);
  return false;
}

void share_end(atomic_int *own, atomic_int *all) {
  atomic_fetch_sub(own, 1);
  atomic_fetch_sub(all, 1);
}
