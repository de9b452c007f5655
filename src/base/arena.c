#include "base/inside.h"

#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FIRST_BLOCK = 16 * 1024, LARGEST_STEP = 1024 * 1024 };

struct block {
  struct block *next;
  size_t size, used;
  max_align_t data[];
};

struct arena {
  size_t cap, used, step;
  bool overflowed;
  struct block *first, *current; /* first is the oldest and is kept by arena_reset() */
};

_Noreturn void base_die(const char *message)
{
  char line[256];
  int n = snprintf(line, sizeof line, "{\"level\":\"error\",\"room\":\"base\",\"message\":\"%.200s\"}\n", message);
  if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0) abort();
  abort();
}

void *base_alloc(size_t size)
{
  void *p = calloc(1, size ? size : 1);
  if (!p) base_die("out of memory");
  return p;
}

void *base_realloc(void *p, size_t size)
{
  void *q = realloc(p, size ? size : 1);
  if (!q) base_die("out of memory");
  return q;
}

/* Segments that nobody may write hold nothing but what stands in their file. */
static int let_go(struct dl_phdr_info *object, size_t size, void *page)
{
  uintptr_t mask = *(const uintptr_t *)page - 1;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &object->dlpi_phdr[i];
    if (p->p_type != PT_LOAD || (p->p_flags & PF_W)) continue;
    uintptr_t from = (object->dlpi_addr + p->p_vaddr) & ~mask, to = (object->dlpi_addr + p->p_vaddr + p->p_memsz) & ~mask; /* not the page that may be shared with the next segment */
    if (to > from) madvise((void *)from, to - from, MADV_DONTNEED);
  }
  return 0;
}

void memory_settle(void)
{
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  malloc_trim(0);
  dl_iterate_phdr(let_go, &page);
}

char *base_strdup(const char *s)
{
  if (!s) return NULL;
  size_t n = strlen(s) + 1;
  return memcpy(base_alloc(n), s, n);
}

char *base_printf(const char *fmt, ...)
{
  va_list args;
  char *s = NULL;
  va_start(args, fmt);
  int n = vasprintf(&s, fmt, args);
  va_end(args);
  if (n < 0) base_die("out of memory");
  return s;
}

static struct block *block_new(size_t size)
{
  struct block *b = malloc(sizeof *b + size);
  if (b) *b = (struct block){.size = size};
  return b;
}

struct arena *arena_new(size_t cap)
{
  struct arena *a = base_alloc(sizeof *a);
  a->cap = cap;
  a->step = FIRST_BLOCK;
  a->first = a->current = block_new(FIRST_BLOCK);
  if (!a->first) base_die("out of memory");
  return a;
}

static void free_after(struct block *b)
{
  struct block *next = b->next;
  b->next = NULL;
  while (next) {
    struct block *gone = next;
    next = next->next;
    free(gone);
  }
}

void arena_free(struct arena *a)
{
  if (!a) return;
  free_after(a->first);
  free(a->first);
  free(a);
}

void arena_reset(struct arena *a)
{
  free_after(a->first);
  a->current = a->first;
  a->first->used = 0;
  a->used = 0;
  a->step = FIRST_BLOCK;
  a->overflowed = false;
}

/* A block in which `size` bytes fit; an outsized one stands before the last, which goes on being filled. */
static struct block *room_for(struct arena *a, size_t size)
{
  if (a->step < LARGEST_STEP) a->step *= 2;
  bool outsized = size > a->step / 2;
  struct block *b = block_new(outsized ? size : a->step);
  if (!b) return NULL;
  b->next = a->current->next;
  a->current->next = b;
  if (!outsized) a->current = b;
  return b;
}

static void *take(struct arena *a, size_t size, size_t align)
{
  struct block *b = a->current;
  size_t pad = (align - b->used % align) % align;
  if (size > a->cap || a->used > a->cap - size || a->cap - size - a->used < pad) goto refused;
  if (size > b->size - b->used || b->size - b->used - size < pad) {
    pad = 0;
    b = room_for(a, size);
    if (!b) goto refused;
  }
  void *p = (char *)b->data + b->used + pad;
  b->used += pad + size;
  a->used += pad + size;
  return p;
refused:
  a->overflowed = true;
  return NULL;
}

void *arena_alloc(struct arena *a, size_t size)
{
  if (!size) size = 1;
  void *p = take(a, size, _Alignof(max_align_t));
  return p ? memset(p, 0, size) : NULL;
}

static char *copy(struct arena *a, const char *s, size_t n)
{
  char *p = take(a, n + 1, 1);
  if (!p) return NULL;
  memcpy(p, s, n);
  p[n] = '\0';
  return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
  return s && n != SIZE_MAX ? copy(a, s, strnlen(s, n)) : NULL;
}

char *arena_strdup(struct arena *a, const char *s)
{
  return s ? copy(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  char *p = NULL;
  __attribute__((uninitialized)) char most[256]; /* most texts fit, and are made once */
  int n = vsnprintf(most, sizeof most, fmt, args);
  if (n >= 0 && (p = take(a, (size_t)n + 1, 1))) {
    if ((size_t)n < sizeof most) memcpy(p, most, (size_t)n + 1);
    else vsnprintf(p, (size_t)n + 1, fmt, again);
  }
  va_end(again);
  va_end(args);
  return p;
}

size_t arena_used(const struct arena *a)
{
  return a->used;
}

bool arena_overflowed(const struct arena *a)
{
  return a->overflowed;
}
