/* Bodies made piece by piece: while a worker makes the next one, the connection sleeps. */
#include "http/inner.h"

#include <stdlib.h>
#include <string.h>

struct stream {
  struct http_server *server;
  struct conn *conn;
  struct MHD_Connection *connection;
  http_more more;
  void *ctx;
  void (*free_ctx)(void *);
  struct buf piece;
  size_t sent;          /* of the piece */
  int state;            /* as of http_more, of the piece that is there */
};

static void make_piece(struct stream *s)
{
  buf_free(&s->piece);
  memset(&s->piece, 0, sizeof s->piece);
  s->sent = 0;
  s->state = s->more(s->ctx, &s->piece);
  if (buf_overflowed(&s->piece)) s->state = -1;
}

/* The worker's side. After the resumption the stream may be gone. */
static void work(void *arg)
{
  struct stream *s = arg;
  struct http_server *server = s->server;
  struct MHD_Connection *connection = s->connection;
  make_piece(s);
  MHD_resume_connection(connection);
  atomic_fetch_sub_explicit(&server->held, 1, memory_order_release);
}

/* The connection wants bytes. */
static ssize_t give(void *cls, uint64_t pos, char *out, size_t room)
{
  struct stream *s = cls;
  (void)pos;
  size_t left = s->piece.len - s->sent;
  if (left) {
    size_t n = left < room ? left : room;
    memcpy(out, s->piece.data + s->sent, n);
    s->sent += n;
    atomic_store_explicit(&s->conn->deadline, clock_mono() + s->server->o.deadline_ms, memory_order_relaxed);
    return (ssize_t)n;
  }
  if (s->state == 0) return MHD_CONTENT_READER_END_OF_STREAM;
  if (s->state < 0 || atomic_load_explicit(&s->server->stopping, memory_order_relaxed)) return MHD_CONTENT_READER_END_WITH_ERROR;
  atomic_store_explicit(&s->conn->deadline, 0, memory_order_relaxed); /* it is we who are waited for */
  atomic_fetch_add_explicit(&s->server->held, 1, memory_order_relaxed);
  MHD_suspend_connection(s->connection);
  if (pool_put(s->server->pool, work, s)) return 0;
  work(s); /* no worker is free: this thread does it, and the others go on */
  return 0;
}

static void end(void *cls)
{
  struct stream *s = cls;
  if (s->free_ctx) s->free_ctx(s->ctx);
  buf_free(&s->piece);
  free(s);
}

void http_reply_stream(struct http_req *r, int status, const char *media_type, http_more more, void *ctx, void (*free_ctx)(void *))
{
  if (reply_twice(r)) {
    if (free_ctx) free_ctx(ctx);
    return;
  }
  struct stream *s = base_alloc(sizeof *s);
  *s = (struct stream){.server = r->server, .conn = r->conn, .connection = r->connection, .more = more, .ctx = ctx, .free_ctx = free_ctx, .state = 1};
  reply_finish(r, status, media_type, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 64 * 1024, give, s, end), 0);
}
