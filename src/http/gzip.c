#include "http/inner.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum { MOST_ASSETS = 1024 };

static pthread_key_t stream_key;
static pthread_once_t stream_once = PTHREAD_ONCE_INIT;

static void stream_free(void *p)
{
  deflateEnd(p);
  free(p);
}

static void stream_init(void)
{
  pthread_key_create(&stream_key, stream_free);
}

/* A compressor takes 256 KiB to set up: each thread keeps its own. */
static z_stream *stream_of_thread(void)
{
  pthread_once(&stream_once, stream_init);
  z_stream *z = pthread_getspecific(stream_key);
  if (z) return deflateReset(z) == Z_OK ? z : NULL;
  z = base_alloc(sizeof *z);
  if (deflateInit2(z, 5, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    free(z);
    return NULL;
  }
  pthread_setspecific(stream_key, z);
  return z;
}

char *gzip_make(const void *body, size_t n, int level, size_t *size)
{
  z_stream *z = n < 1u << 30 ? stream_of_thread() : NULL;
  if (!z || deflateParams(z, level, Z_DEFAULT_STRATEGY) != Z_OK) return NULL;
  size_t room = deflateBound(z, n);
  char *out = malloc(room);
  if (!out) return NULL;
  z->next_in = (Bytef *)(uintptr_t)body;
  z->avail_in = (uInt)n;
  z->next_out = (Bytef *)out;
  z->avail_out = (uInt)room;
  if (deflate(z, Z_FINISH) != Z_STREAM_END || z->total_out >= n) {
    free(out);
    return NULL;
  }
  *size = z->total_out;
  return out;
}

bool type_is_text(const char *type)
{
  static const char *const kinds[] = {"text/", "application/json", "application/problem+json", "application/javascript",
    "application/ld+json", "application/geo+json", "application/xml", "application/manifest+json", "image/svg+xml"};
  for (size_t i = 0; type && i < BASE_COUNT(kinds); i++)
    if (!strncasecmp(type, kinds[i], strlen(kinds[i]))) return true;
  return false;
}

/* Compressed forms of bodies that live for ever, found by their address. */
struct assets {
  pthread_rwlock_t lock;
  struct asset { const void *body; char *packed; size_t size; } table[MOST_ASSETS * 2];
  size_t count;
};

struct assets *assets_new(void)
{
  struct assets *a = base_alloc(sizeof *a);
  pthread_rwlock_init(&a->lock, NULL);
  return a;
}

void assets_free(struct assets *a)
{
  if (!a) return;
  for (size_t i = 0; i < BASE_COUNT(a->table); i++) free(a->table[i].packed);
  pthread_rwlock_destroy(&a->lock);
  free(a);
}

static struct asset *slot(struct assets *a, const void *body)
{
  size_t i = (size_t)(((uintptr_t)body * 0x9e3779b97f4a7c15u) >> 32) % BASE_COUNT(a->table);
  while (a->table[i].body && a->table[i].body != body) i = (i + 1) % BASE_COUNT(a->table);
  return &a->table[i];
}

const void *assets_gzip(struct assets *a, const void *body, size_t n, size_t *size)
{
  pthread_rwlock_rdlock(&a->lock);
  struct asset kept = *slot(a, body);
  bool full = a->count >= MOST_ASSETS;
  pthread_rwlock_unlock(&a->lock);
  if (!kept.body && !full) {
    kept = (struct asset){.body = body};
    kept.packed = gzip_make(body, n, 9, &kept.size);
    pthread_rwlock_wrlock(&a->lock);
    struct asset *s = slot(a, body);
    if (s->body || a->count >= MOST_ASSETS) {
      free(kept.packed);
      kept = *s;
    } else {
      *s = kept;
      a->count++;
    }
    pthread_rwlock_unlock(&a->lock);
  }
  *size = kept.size;
  return kept.packed;
}
