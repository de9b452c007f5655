#include "exchange/side.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

enum { IDLE_S = 30, SHARE_LEAST = 2, STACK = 512 * 1024 };

struct task { void (*work)(void *arg); void *arg; };

/* A thread that waits: who brings work gives it to the one that began to wait last, whose memory is still at hand, and nobody takes the lock to be woken. */
struct idler { struct idler *next; sem_t told; struct task task; /* work NULL: the end */ };

struct tasks {
  pthread_mutex_t lock;
  pthread_cond_t gone;
  struct idler *idle;
  struct task *ring;
  int room, head, count, most, threads, busy;
  bool closing, any_ended;
  pthread_t ended; /* the last one, which joins the one before */
};

static bool leave(struct tasks *t, const struct idler *who) {
  for (struct idler **at = &t->idle; *at; at = &(*at)->next)
    if (*at == who) {
      *at = who->next;
      return true;
    }
  return false;
}

/* A thread waits half a minute for more and ends: a gateway that nobody calls has none. Lock is held, and not any more when there is work. */
static bool wait_more(struct tasks *t, struct idler *me) {
  struct timespec until;
  if (t->closing) return false;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += IDLE_S;
  me->task = (struct task){0};
  me->next = t->idle;
  t->idle = me;
  pthread_mutex_unlock(&t->lock);
  int rc;
  while ((rc = sem_timedwait(&me->told, &until)) && errno == EINTR) continue;
  if (rc) {
    pthread_mutex_lock(&t->lock);
    if (leave(t, me)) return false;
    pthread_mutex_unlock(&t->lock);
    while (sem_wait(&me->told)) continue; /* told in the last moment */
  }
  if (me->task.work) return true;
  pthread_mutex_lock(&t->lock);
  return false;
}

static void *serve_tasks(void *arg) {
  struct tasks *t = arg;
  struct idler me;
  sem_init(&me.told, 0, 0);
  pthread_mutex_lock(&t->lock);
  for (;;) {
    if (t->count) {
      me.task = t->ring[t->head];
      t->head = (t->head + 1) % t->room;
      t->count--;
      t->busy++;
      pthread_mutex_unlock(&t->lock);
    } else if (!wait_more(t, &me)) {
      break;
    }
    me.task.work(me.task.arg);
    pthread_mutex_lock(&t->lock);
    t->busy--;
  }
  sem_destroy(&me.told);
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
  for (struct idler *i; (i = t->idle) != NULL; sem_post(&i->told)) t->idle = i->next;
  for (int ms = END_MS; t->threads; ms = CUT_MS) {
    wait_gone(t, ms);
    if (t->threads) http_calls_cut();
  }
  pthread_mutex_unlock(&t->lock);
  if (t->any_ended) pthread_join(t->ended, NULL);
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
  struct idler *who = t->idle;
  bool fits = t->count < t->room && !t->closing;
  if (fits && who) {
    t->idle = who->next;
    t->busy++;
  } else if (fits) {
    if (t->threads < t->most && !grow(t) && !t->threads) fits = false;
    if (fits) t->ring[(t->head + t->count++) % t->room] = (struct task){work, arg};
  }
  pthread_mutex_unlock(&t->lock);
  if (fits && who) {
    who->task = (struct task){work, arg};
    sem_post(&who->told);
  }
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
