/* How much of the temporary folder contents take together, and whose they are: nobody fills it, and nobody takes it from the others. */
#include "http/inner.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <uthash.h>

enum { RESERVE_MOST = 256 << 20 };

struct spool_share { UT_hash_handle hh; unsigned char from[16]; int64_t bytes; }; /* there while it has any */

static struct { pthread_mutex_t lock; int64_t told, limit, held, written, refused; struct spool_share *shares; } spool = {.lock = PTHREAD_MUTEX_INITIALIZER};

const char *spool_folder(void)
{
  const char *folder = getenv("TMPDIR");
  return folder && *folder ? folder : "/tmp";
}

/* With the lock held. What is free is looked at while nothing is held, so that what was promised and is not written yet does not count as free. */
static int64_t limit_now(void)
{
  struct statvfs v;
  if (spool.told) return spool.told;
  if (!spool.held && statvfs(spool_folder(), &v) == 0) spool.limit = (int64_t)v.f_bavail * (int64_t)v.f_frsize / 2;
  return spool.limit;
}

/* With the lock held. Others write to the same folder, other processes of ours too, each with its own limit: a sixteenth of it stays free, of a large one 256 MiB. */
static bool disk_has(int64_t more)
{
  struct statvfs v;
  if (statvfs(spool_folder(), &v)) return true;
  int64_t all = (int64_t)v.f_blocks * (int64_t)v.f_frsize / 16, reserve = all < RESERVE_MOST ? all : RESERVE_MOST;
  return (int64_t)v.f_bavail * (int64_t)v.f_frsize - (spool.held - spool.written) - more >= reserve;
}

int spool_take(struct http_content *c, int64_t more, const unsigned char *from, struct err *err)
{
  static const unsigned char nobody[16];
  const unsigned char *whose = from ? from : nobody;
  pthread_mutex_lock(&spool.lock);
  struct spool_share *s = c->share;
  if (!s) HASH_FIND(hh, spool.shares, whose, sizeof s->from, s);
  int64_t left = limit_now() - spool.held - more, own = s ? s->bytes : 0;
  /* As much as would still be free for the others: one alone has half of all, and room is left for whoever comes. */
  bool fits = left >= 0 && (!from || own + more <= left) && disk_has(more);
  if (fits && !s) {
    s = base_alloc(sizeof *s);
    memcpy(s->from, whose, sizeof s->from);
    HASH_ADD(hh, spool.shares, from, sizeof s->from, s);
  }
  if (fits) {
    s->bytes += more;
    spool.held += more;
    c->share = s;
    c->room += more;
  } else {
    spool.refused++;
  }
  pthread_mutex_unlock(&spool.lock);
  return fits ? 0 : err_set(err, ERR_UNAVAILABLE, "bodies take as much of the temporary folder as they may together, or as one sender may: it is freed as they are passed on");
}

void spool_wrote(struct http_content *c, int64_t n)
{
  pthread_mutex_lock(&spool.lock);
  spool.written += n;
  c->written += n;
  pthread_mutex_unlock(&spool.lock);
}

void spool_give(struct http_content *c)
{
  struct spool_share *s = c->share;
  if (!s) return;
  pthread_mutex_lock(&spool.lock);
  s->bytes -= c->room;
  spool.held -= c->room;
  spool.written -= c->written;
  if (!s->bytes) {
    HASH_DEL(spool.shares, s);
    free(s);
  }
  pthread_mutex_unlock(&spool.lock);
  c->share = NULL;
  c->room = c->written = 0;
}

void http_spool_limit(int64_t bytes)
{
  pthread_mutex_lock(&spool.lock);
  spool.told = bytes;
  pthread_mutex_unlock(&spool.lock);
}

void http_spool_count(struct http_spool_figures *out)
{
  pthread_mutex_lock(&spool.lock);
  *out = (struct http_spool_figures){limit_now(), spool.held, spool.refused};
  pthread_mutex_unlock(&spool.lock);
}
