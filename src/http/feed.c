/* What happens now, told to many at once (server-sent events): a watcher's connection sleeps between two pieces and occupies no thread. */
#include "http/inner.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BEHIND = 128 * 1024 };

struct watcher {
  struct watcher *prev, *next;        /* ring of the feed */
  struct http_feed *feed;
  struct conn *conn;
  struct MHD_Connection *connection;
  char peer[64];
  struct buf told, going;             /* what waits; what the connection is taking, from `sent` on */
  size_t sent;
  bool asleep, behind;                /* suspended; did not take what it was told: ends */
};

struct http_feed {
  struct http_server *server;
  struct http_feed *next;             /* of the server's */
  pthread_mutex_t lock;
  struct watcher ring;
  int most, most_each, count;
};

struct http_feed *http_feed_new(struct http_server *s, int most, int most_each)
{
  struct http_feed *f = base_alloc(sizeof *f);
  f->server = s;
  f->most = most;
  f->most_each = most_each;
  f->ring.prev = f->ring.next = &f->ring;
  pthread_mutex_init(&f->lock, NULL);
  pthread_mutex_lock(&s->lock);
  f->next = s->feeds;
  s->feeds = f;
  pthread_mutex_unlock(&s->lock);
  return f;
}

/* The lock is held. Whoever is suspended is there: connections end on their own thread, once they are awake. */
static void wake(struct watcher *w)
{
  if (!w->asleep) return;
  w->asleep = false;
  MHD_resume_connection(w->connection);
}

void http_feed_send(struct http_feed *f, const char *piece, size_t n)
{
  pthread_mutex_lock(&f->lock);
  for (struct watcher *w = f->ring.next; w != &f->ring; w = w->next) {
    if (w->told.len + n > MOST_BEHIND) w->behind = true;
    else buf_add(&w->told, piece, n);
    wake(w);
  }
  pthread_mutex_unlock(&f->lock);
}

int http_feed_watchers(struct http_feed *f)
{
  pthread_mutex_lock(&f->lock);
  int n = f->count;
  pthread_mutex_unlock(&f->lock);
  return n;
}

void feeds_wake(struct http_server *s)
{
  for (struct http_feed *f = s->feeds; f; f = f->next) {
    pthread_mutex_lock(&f->lock);
    for (struct watcher *w = f->ring.next; w != &f->ring; w = w->next) wake(w);
    pthread_mutex_unlock(&f->lock);
  }
}

void feeds_free(struct http_server *s)
{
  while (s->feeds) {
    struct http_feed *f = s->feeds;
    s->feeds = f->next;
    pthread_mutex_destroy(&f->lock);
    free(f);
  }
}

/* The connection wants bytes; the lock is held. */
static ssize_t take(struct watcher *w, char *out, size_t room)
{
  struct http_server *s = w->feed->server;
  if (w->sent == w->going.len && w->told.len) {
    struct buf empty = w->going;
    buf_clear(&empty);
    w->going = w->told;
    w->told = empty;
    w->sent = 0;
  }
  size_t left = w->going.len - w->sent, n = left < room ? left : room;
  if (n) {
    memcpy(out, w->going.data + w->sent, n);
    w->sent += n;
    atomic_store_explicit(&w->conn->deadline, clock_mono() + s->o.deadline_ms, memory_order_relaxed);
    return (ssize_t)n;
  }
  if (w->behind || atomic_load_explicit(&s->stopping, memory_order_relaxed)) return MHD_CONTENT_READER_END_OF_STREAM;
  atomic_store_explicit(&w->conn->deadline, 0, memory_order_relaxed); /* it is we who are waited for */
  w->asleep = true;
  MHD_suspend_connection(w->connection);
  return 0;
}

static ssize_t give(void *cls, uint64_t pos, char *out, size_t room)
{
  struct watcher *w = cls;
  (void)pos;
  pthread_mutex_lock(&w->feed->lock);
  ssize_t n = take(w, out, room);
  pthread_mutex_unlock(&w->feed->lock);
  return n;
}

static void end(void *cls)
{
  struct watcher *w = cls;
  pthread_mutex_lock(&w->feed->lock);
  w->prev->next = w->next;
  w->next->prev = w->prev;
  w->feed->count--;
  pthread_mutex_unlock(&w->feed->lock);
  buf_free(&w->told);
  buf_free(&w->going);
  free(w);
}

static struct watcher *join(struct http_feed *f, const char *peer)
{
  int same = 0;
  struct watcher *w = NULL;
  pthread_mutex_lock(&f->lock);
  for (struct watcher *k = f->ring.next; k != &f->ring; k = k->next) same += strcmp(k->peer, peer) == 0;
  if (f->count < f->most && same < f->most_each) {
    w = base_alloc(sizeof *w);
    w->feed = f;
    snprintf(w->peer, sizeof w->peer, "%s", peer);
    w->prev = f->ring.prev;
    w->next = &f->ring;
    w->prev->next = f->ring.prev = w;
    f->count++;
  }
  pthread_mutex_unlock(&f->lock);
  return w;
}

int http_reply_feed(struct http_req *r, struct http_feed *f, const char *media_type, const char *first, size_t n)
{
  if (reply_twice(r)) return 0;
  struct watcher *w = join(f, http_peer(r));
  if (!w) return -1;
  http_reply_header(r, "Connection", "close"); /* its end is the connection's */
  pthread_mutex_lock(&f->lock);
  w->conn = r->conn;
  w->connection = r->connection;
  buf_add(&w->told, first, n);
  pthread_mutex_unlock(&f->lock);
  reply_finish(r, 200, media_type, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, give, w, end), 0);
  return 0;
}
