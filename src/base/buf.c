#include "base/inside.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CAP = 16 * 1024 * 1024 };

void buf_init(struct buf *b, size_t cap)
{
  *b = (struct buf){.cap = cap};
}

void buf_free(struct buf *b)
{
  if (!b) return;
  free(b->data);
  *b = (struct buf){.cap = b->cap};
}

void buf_clear(struct buf *b)
{
  b->len = 0;
  b->overflow = false;
  if (b->data) b->data[0] = '\0';
}

bool buf_room(struct buf *b, size_t n)
{
  size_t cap = b->cap ? b->cap : DEFAULT_CAP;
  if (cap == SIZE_MAX) cap--;
  if (b->overflow || b->len > cap || n > cap - b->len) {
    b->overflow = true;
    return false;
  }
  size_t need = b->len + n + 1;
  if (need > b->room) {
    size_t room = b->room ? b->room : 64;
    while (room < need) room = room > SIZE_MAX / 2 ? need : room * 2;
    b->data = base_realloc(b->data, room);
    b->room = room;
  }
  return true;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
  if (!buf_room(b, n)) return;
  if (n) memcpy(b->data + b->len, p, n);
  b->len += n;
  b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
  if (s) buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
  if (!buf_room(b, 1)) return;
  b->data[b->len++] = c;
  b->data[b->len] = '\0';
}

void buf_expect(struct buf *b, size_t n)
{
  size_t cap = b->cap ? b->cap : DEFAULT_CAP;
  if (b->overflow || n > cap || b->len > cap - n || b->len + n < b->room) return;
  b->data = base_realloc(b->data, b->len + n + 1);
  b->room = b->len + n + 1;
  b->data[b->len] = '\0';
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, fmt, args);
  if (n < 0) b->overflow = true;
  else if (buf_room(b, (size_t)n)) {
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    b->len += (size_t)n;
  }
  va_end(again);
  va_end(args);
}

void buf_addi(struct buf *b, int64_t n)
{
  char digits[24], *p = digits + sizeof digits;
  uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
  do *--p = (char)('0' + left % 10);
  while (left /= 10);
  if (n < 0) *--p = '-';
  buf_add(b, p, (size_t)(digits + sizeof digits - p));
}

/* ---- one for each thread ---- */

enum { OWN_KEPT = 16 * 1024 };
static pthread_once_t own_once = PTHREAD_ONCE_INIT;
static pthread_key_t own_key;
static _Thread_local struct buf own;

static void own_end(void *b) { buf_free(b); }
static void own_begin(void)
{
  if (pthread_key_create(&own_key, own_end)) base_die("no key for what threads keep");
}

struct buf *buf_own(size_t cap)
{
  if (own.room > OWN_KEPT) buf_free(&own);
  if (!own.room) {
    pthread_once(&own_once, own_begin);
    if (pthread_setspecific(own_key, &own)) base_die("out of memory");
    buf_expect(&own, OWN_KEPT / 4);
  }
  own.cap = cap;
  buf_clear(&own);
  return &own;
}

bool buf_overflowed(const struct buf *b)
{
  return b->overflow;
}

char *buf_take(struct buf *b)
{
  char *s = b->data ? b->data : base_strdup("");
  *b = (struct buf){.cap = b->cap};
  return s;
}

const char *buf_str(const struct buf *b)
{
  return b->data ? b->data : "";
}
