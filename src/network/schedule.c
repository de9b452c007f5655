/* A heap of moments with one place for each node. */
#include "network/core.h"

#include <stdlib.h>

void schedule_init(struct schedule *s, int size) {
  s->size = size;
  s->count = 0;
  s->at = base_alloc(((size_t)size + 1) * sizeof *s->at);
  s->heap = base_alloc(((size_t)size + 1) * sizeof *s->heap);
  s->place = base_alloc(((size_t)size + 1) * sizeof *s->place);
  for (int i = 0; i < size; i++) s->place[i] = -1;
}

void schedule_free(struct schedule *s) {
  free(s->at);
  free(s->heap);
  free(s->place);
  *s = (struct schedule){0};
}

static void put(struct schedule *s, int place, int node) {
  s->heap[place] = node;
  s->place[node] = place;
}

static void rise(struct schedule *s, int place, int node) {
  while (place > 0 && s->at[s->heap[(place - 1) / 2]] > s->at[node]) {
    put(s, place, s->heap[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put(s, place, node);
}

static void sink(struct schedule *s, int place, int node) {
  for (int child; (child = 2 * place + 1) < s->count; place = child) {
    if (child + 1 < s->count && s->at[s->heap[child + 1]] < s->at[s->heap[child]]) child++;
    if (s->at[s->heap[child]] >= s->at[node]) break;
    put(s, place, s->heap[child]);
  }
  put(s, place, node);
}

void schedule_set(struct schedule *s, int node, int64_t at) {
  if (s->place[node] < 0) {
    s->at[node] = at;
    rise(s, s->count++, node);
    return;
  }
  bool later = at > s->at[node];
  s->at[node] = at;
  if (later) sink(s, s->place[node], node);
  else rise(s, s->place[node], node);
}

void schedule_sooner(struct schedule *s, int node, int64_t at) {
  if (s->place[node] < 0 || at < s->at[node]) schedule_set(s, node, at);
}

void schedule_remove(struct schedule *s, int node) {
  int place = s->place[node];
  if (place < 0) return;
  s->place[node] = -1;
  int last = s->heap[--s->count];
  if (last == node) return;
  if (place > 0 && s->at[s->heap[(place - 1) / 2]] > s->at[last]) rise(s, place, last);
  else sink(s, place, last);
}

int schedule_first(const struct schedule *s, int64_t *at) {
  if (!s->count) return -1;
  *at = s->at[s->heap[0]];
  return s->heap[0];
}

/* Multiples of 2^64/φ fall as evenly as may be, whatever their number. */
int64_t schedule_next(int node, int64_t interval, int64_t now) {
  uint64_t turn = (uint64_t)node * 0x9E3779B97F4A7C15u;
  int64_t phase = (int64_t)(((unsigned __int128)turn * (uint64_t)interval) >> 64);
  int64_t next = now - now % interval + phase;
  while (next <= now) next += interval;
  return next;
}
