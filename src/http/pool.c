#include "http/inner.h"

#include <stdlib.h>

struct pool {
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct todo { pool_work work; void *arg; } *ring;
  size_t room, head, count;
  bool closing;
  int threads;
  pthread_t thread[];
};

static void *work(void *cls)
{
  struct pool *p = cls;
  pthread_mutex_lock(&p->lock);
  for (;;) {
    while (!p->count && !p->closing) pthread_cond_wait(&p->wake, &p->lock);
    if (!p->count) break;
    struct todo next = p->ring[p->head];
    p->head = (p->head + 1) % p->room;
    p->count--;
    pthread_mutex_unlock(&p->lock);
    next.work(next.arg);
    pthread_mutex_lock(&p->lock);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

void pool_free(struct pool *p)
{
  if (!p) return;
  pthread_mutex_lock(&p->lock);
  p->closing = true;
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->lock);
  for (int i = 0; i < p->threads; i++) pthread_join(p->thread[i], NULL);
  pthread_cond_destroy(&p->wake);
  pthread_mutex_destroy(&p->lock);
  free(p->ring);
  free(p);
}

struct pool *pool_new(int threads, int queue)
{
  struct pool *p = base_alloc(sizeof *p + (size_t)threads * sizeof *p->thread);
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->wake, NULL);
  p->room = (size_t)queue;
  p->ring = base_alloc(p->room * sizeof *p->ring);
  for (; p->threads < threads; p->threads++)
    if (pthread_create(&p->thread[p->threads], NULL, work, p)) {
      pool_free(p);
      return NULL;
    }
  return p;
}

bool pool_put(struct pool *p, pool_work todo, void *arg)
{
  pthread_mutex_lock(&p->lock);
  bool fits = p->count < p->room && !p->closing;
  if (fits) {
    p->ring[(p->head + p->count++) % p->room] = (struct todo){todo, arg};
    pthread_cond_signal(&p->wake);
  }
  pthread_mutex_unlock(&p->lock);
  return fits;
}
