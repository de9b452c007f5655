/* Bodies of any size: in memory up to a bound, beyond it in a file that has no name. */
#include "http/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, LEAST_ROOM = 4096, STEP = 256 * 1024 /* bytes that are counted at once */ };

static size_t room_for(size_t size)
{
  size_t room = LEAST_ROOM;
  while (room < size + 1) room *= 2;
  return room;
}

static int nameless_file(struct err *err)
{
  const char *folder = spool_folder();
  int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  char *name = base_printf("%s/chapar-XXXXXX", folder); /* a file system without O_TMPFILE */
  fd = mkostemp(name, O_CLOEXEC);
  if (fd >= 0) unlink(name);
  else err_set(err, ERR_UNAVAILABLE, "no room for a body in %s: %s", folder, strerror(errno));
  free(name);
  return fd;
}

static int write_at(int fd, int64_t at, const char *p, size_t n, struct err *err)
{
  while (n) {
    ssize_t k = pwrite(fd, p, n, at);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return err_set(err, ERR_UNAVAILABLE, "a body cannot be kept: %s", strerror(errno));
    p += k;
    n -= (size_t)k;
    at += k;
  }
  return 0;
}

static int spill(struct http_content *c, struct err *err)
{
  int fd = nameless_file(err);
  if (fd < 0) return -1;
  if (write_at(fd, 0, c->data, (size_t)c->size, err)) {
    close(fd);
    return -1;
  }
  free(c->data);
  c->data = NULL;
  c->fd = fd;
  return 0;
}

int http_content_add(struct http_content *c, const void *p, size_t n, int64_t most, struct err *err)
{
  return content_add(c, p, n, most, NULL, err);
}

int content_add(struct http_content *c, const void *p, size_t n, int64_t most, const unsigned char *from, struct err *err)
{
  if (most >= 0 && (int64_t)n > most - c->size) return err_set(err, ERR_TOO_LARGE, "the body is larger than %lld bytes", (long long)most);
  if (!n) return 0;
  int64_t size = c->size + (int64_t)n, more = size > HTTP_SPILL ? size - c->room : 0;
  if (more > 0 && spool_take(c, (more + STEP - 1) / STEP * STEP, from, err)) return -1;
  if (c->fd < 0 && size > HTTP_SPILL && spill(c, err)) return -1;
  if (c->fd >= 0) {
    if (write_at(c->fd, c->size, p, n, err)) return -1;
    spool_wrote(c, size - c->written);
  } else {
    size_t there = (size_t)c->size;
    if (!c->data || room_for(there) != room_for(there + n)) c->data = base_realloc(c->data, room_for(there + n));
    memcpy(c->data + there, p, n);
    c->data[there + n] = '\0';
  }
  c->size = size;
  return 0;
}

int http_content_each(const struct http_content *c, int (*fn)(void *ctx, const void *p, size_t n), void *ctx, struct err *err)
{
  if (c->fd < 0) {
    for (int64_t at = 0; at < c->size; at += PIECE) {
      size_t n = (size_t)(c->size - at < PIECE ? c->size - at : PIECE);
      if (fn(ctx, c->data + at, n)) return err_set(err, ERR_INTERNAL, "reading a body was stopped");
    }
    return 0;
  }
  char *piece = base_alloc(PIECE);
  int rc = 0;
  for (int64_t at = 0; at < c->size && rc == 0;) {
    ssize_t n = pread(c->fd, piece, PIECE, at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) rc = err_set(err, ERR_UNAVAILABLE, "a kept body cannot be read: %s", n ? strerror(errno) : "it is too short");
    else if (fn(ctx, piece, (size_t)n)) rc = err_set(err, ERR_INTERNAL, "reading a body was stopped");
    at += n;
  }
  free(piece);
  return rc;
}

void http_content_free(struct http_content *c)
{
  if (!c) return;
  free(c->data);
  if (c->fd >= 0) close(c->fd);
  spool_give(c);
  *c = HTTP_NO_CONTENT;
}
