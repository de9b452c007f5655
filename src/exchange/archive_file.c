/* The file of an archive: lines of JSON in gzip members, written once, read back line by line in memory that does not grow with it. */
#include "exchange/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 256 * 1024, BLOCK_MOST = 96 << 20, STEP = 64 * 1024, GZIP = 15 + 16 };

/* ---- writing ---- */

struct archive_writer { int fd; char *path; struct buf block; EVP_MD_CTX *hash; int64_t written; };

int archive_create(const char *path, struct archive_writer **out, struct err *err) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  *out = NULL;
  if (fd < 0) return err_set(err, ERR_UNAVAILABLE, "%s cannot be made: %s", path, strerrordesc_np(errno));
  struct archive_writer *w = base_alloc(sizeof *w);
  w->fd = fd;
  w->path = base_strdup(path);
  buf_init(&w->block, BLOCK_MOST);
  w->hash = EVP_MD_CTX_new();
  EVP_DigestInit_ex(w->hash, EVP_sha256(), NULL);
  *out = w;
  return 0;
}

int64_t archive_written(const struct archive_writer *w) { return w->written; }

static int put_out(struct archive_writer *w, const unsigned char *p, size_t n, struct err *err) {
  while (n > 0) {
    ssize_t done = write(w->fd, p, n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return err_set(err, ERR_UNAVAILABLE, "%s cannot be written: %s", w->path, strerrordesc_np(done < 0 ? errno : ENOSPC));
    p += done;
    n -= (size_t)done;
    w->written += done;
  }
  return 0;
}

static int flush_block(struct archive_writer *w, struct err *err) {
  z_stream z = {0};
  unsigned char piece[STEP];
  int rc, left = 0;
  if (w->block.len == 0) return 0;
  if (deflateInit2(&z, 6, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK) return err_set(err, ERR_INTERNAL, "an archive cannot be compressed");
  z.next_in = (unsigned char *)w->block.data;
  z.avail_in = (unsigned)w->block.len;
  do {
    z.next_out = piece;
    z.avail_out = sizeof piece;
    rc = deflate(&z, Z_FINISH);
    left = put_out(w, piece, sizeof piece - z.avail_out, err);
  } while (rc == Z_OK && left == 0);
  deflateEnd(&z);
  buf_clear(&w->block);
  if (left != 0) return -1;
  return rc == Z_STREAM_END ? 0 : err_set(err, ERR_INTERNAL, "an archive cannot be compressed");
}

int archive_line(struct archive_writer *w, const json_t *line, struct err *err) {
  size_t n;
  char *text = json_text(line, &n);
  buf_add(&w->block, text, n);
  buf_addc(&w->block, '\n');
  EVP_DigestUpdate(w->hash, text, n);
  EVP_DigestUpdate(w->hash, "\n", 1);
  free(text);
  if (buf_overflowed(&w->block)) return err_set(err, ERR_LIMIT, "a message is larger than an archive takes");
  return w->block.len >= BLOCK ? flush_block(w, err) : 0;
}

int archive_finish(struct archive_writer *w, int64_t messages, struct err *err) {
  unsigned char hash[32];
  char hex[65];
  EVP_DigestFinal_ex(w->hash, hash, NULL);
  EVP_DigestInit_ex(w->hash, EVP_sha256(), NULL);
  hex_encode(hash, 32, hex);
  json_t *end = json_pack("{s:{s:I,s:s}}", "closed", "messages", (json_int_t)messages, "sha256", hex);
  int rc = archive_line(w, end, err) || flush_block(w, err) ? -1 : 0;
  json_decref(end);
  if (rc == 0 && fsync(w->fd) != 0) rc = err_set(err, ERR_UNAVAILABLE, "%s cannot be written: %s", w->path, strerrordesc_np(errno));
  posix_fadvise(w->fd, 0, 0, POSIX_FADV_DONTNEED); /* what is read back comes from the disk */
  return rc;
}

void archive_drop(struct archive_writer *w) {
  if (!w) return;
  close(w->fd);
  EVP_MD_CTX_free(w->hash);
  buf_free(&w->block);
  free(w->path);
  free(w);
}

/* ---- reading ---- */

struct archive_reader {
  int fd;
  char *path;
  unsigned char in[STEP];
  size_t have, used;                     /* of in */
  int64_t read, place;                   /* bytes of the file before the end of in; beginning of the block */
  struct buf block;
  size_t at;
};

int archive_open(const char *path, struct archive_reader **out, struct err *err) {
  struct stat st;
  *out = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "%s cannot be read: %s", path, strerrordesc_np(errno));
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    close(fd);
    return err_set(err, ERR_INVALID, "%s is not a file", path);
  }
  struct archive_reader *r = base_alloc(sizeof *r);
  r->fd = fd;
  r->path = base_strdup(path);
  buf_init(&r->block, BLOCK_MOST);
  *out = r;
  return 0;
}

int archive_seek(struct archive_reader *r, int64_t place, struct err *err) {
  if (place < 0 || lseek(r->fd, (off_t)place, SEEK_SET) < 0) return err_set(err, ERR_UNAVAILABLE, "%s cannot be read", r->path);
  r->have = r->used = r->at = 0;
  r->read = place;
  buf_clear(&r->block);
  return 0;
}

static int damaged(const struct archive_reader *r, const char *how, struct err *err) { return err_set(err, ERR_MALFORMED, "the archive %s is %s", r->path, how); }

/* More of the file. 1, 0 at its end. */
static int fill(struct archive_reader *r, struct err *err) {
  ssize_t n;
  if (r->used < r->have) return 1;
  do n = read(r->fd, r->in, sizeof r->in);
  while (n < 0 && errno == EINTR);
  if (n < 0) return err_set(err, ERR_UNAVAILABLE, "%s cannot be read: %s", r->path, strerrordesc_np(errno));
  r->have = (size_t)n;
  r->used = 0;
  r->read += n;
  return n > 0;
}

static int inflate_block(struct archive_reader *r, z_stream *z, struct err *err) {
  unsigned char piece[STEP];
  int rc = Z_OK, more;
  while (rc != Z_STREAM_END) {
    more = fill(r, err);
    if (more <= 0) return more < 0 ? -1 : damaged(r, "cut off: its end is missing", err);
    z->next_in = r->in + r->used;
    z->avail_in = (unsigned)(r->have - r->used);
    z->next_out = piece;
    z->avail_out = sizeof piece;
    rc = inflate(z, Z_NO_FLUSH);
    if (rc != Z_OK && rc != Z_STREAM_END) return damaged(r, "damaged, or no archive of evidence: it cannot be unpacked", err);
    r->used = r->have - z->avail_in;
    buf_add(&r->block, piece, sizeof piece - z->avail_out);
    if (buf_overflowed(&r->block)) return damaged(r, "not one of ours: a block of it is too large", err);
  }
  return r->block.len > 0 && r->block.data[r->block.len - 1] == '\n' ? 0 : damaged(r, "damaged: a block does not end with a line", err);
}

static int next_block(struct archive_reader *r, struct err *err) {
  z_stream z = {0};
  int more = fill(r, err);
  if (more <= 0) return more;
  r->place = r->read - (int64_t)(r->have - r->used);
  r->at = 0;
  buf_clear(&r->block);
  r->block.overflow = false;
  if (inflateInit2(&z, GZIP) != Z_OK) return err_set(err, ERR_INTERNAL, "an archive cannot be unpacked");
  int rc = inflate_block(r, &z, err);
  inflateEnd(&z);
  return rc == 0 ? 1 : -1;
}

int archive_next(struct archive_reader *r, const char **line, size_t *n, int64_t *place, struct err *err) {
  if (r->at >= r->block.len) {
    int rc = next_block(r, err);
    if (rc <= 0) return rc;
  }
  const char *from = r->block.data + r->at, *end = memchr(from, '\n', r->block.len - r->at);
  *line = from;
  *n = (size_t)(end - from);
  *place = r->place;
  r->at += *n + 1;
  return 1;
}

void archive_close(struct archive_reader *r) {
  if (!r) return;
  close(r->fd);
  buf_free(&r->block);
  free(r->path);
  free(r);
}

/* ---- judging ---- */

struct walk {
  struct archive_reader *r;
  struct judging *judging;               /* NULL: only read */
  archive_each each;
  void *ctx;
  struct archive_sum *out;
  EVP_MD_CTX *hash;
  bool begun, closed;
};

static int head_line(struct walk *k, const json_t *o, struct err *err) {
  const char *server = json_str(o, "server");
  struct exchange_id id;
  if (!base_same(json_str(o, "type"), ARCHIVE_TYPE) || !server || exchange_id_parse(server, 4, 4, &id, NULL)) return damaged(k->r, "not one of ours: it does not begin with the type " ARCHIVE_TYPE, err);
  snprintf(k->out->server, sizeof k->out->server, "%s", server);
  k->begun = true;
  return 0;
}

static int message_line(struct walk *k, int64_t place, const json_t *o, const json_t *message, struct err *err) {
  const char *id = json_str(o, "message_id"), *at = json_str(message, "at");
  int64_t when;
  if (!id || !at || clock_parse(at, &when)) return damaged(k->r, "damaged: a message is not whole", err);
  if (k->judging && judging_message(k->judging, k->out->server, id, message, err)) return -1;
  if (k->out->messages++ == 0) k->out->from = when;
  k->out->until = when;
  return k->each ? k->each(k->ctx, place, 0, id, message, err) : 0;
}

static int directory_line(struct walk *k, int64_t place, const json_t *directory, struct err *err) {
  k->out->directories++;
  if (k->judging && judging_directory(k->judging, directory, err)) return -1;
  return k->each ? k->each(k->ctx, place, json_int(directory, "version", -1), NULL, directory, err) : 0;
}

static int end_line(struct walk *k, const json_t *closed, struct err *err) {
  unsigned char hash[32];
  EVP_DigestFinal_ex(k->hash, hash, NULL);
  hex_encode(hash, 32, k->out->sha256);
  if (!base_same(json_str(closed, "sha256"), k->out->sha256)) return damaged(k->r, "damaged: its text has not the hash that its last line names", err);
  if (json_int(closed, "messages", -1) != k->out->messages) return damaged(k->r, "damaged: it holds another number of messages than its last line names", err);
  k->closed = true;
  return 0;
}

static int one_line(struct walk *k, const char *line, size_t n, int64_t place, struct err *err) {
  struct err why;
  json_t *o = json_read(line, n, 12, &why);
  if (!o) return err_set(err, ERR_MALFORMED, "the archive %.300s is damaged: a line is not JSON", k->r->path);
  const json_t *message = json_object_get(o, "message"), *directory = json_object_get(o, "directory"), *closed = json_object_get(o, "closed");
  int rc;
  if (k->closed) rc = damaged(k->r, "damaged: something stands behind its last line", err);
  else if (!k->begun) rc = head_line(k, o, err);
  else if (message) rc = message_line(k, place, o, message, err);
  else if (directory) rc = directory_line(k, place, directory, err);
  else if (closed) rc = end_line(k, closed, err);
  else rc = damaged(k->r, "damaged: a line is neither message nor directory", err);
  if (rc == 0 && !k->closed) {
    EVP_DigestUpdate(k->hash, line, n);
    EVP_DigestUpdate(k->hash, "\n", 1);
  }
  json_decref(o);
  return rc;
}

int archive_judge(struct archive_reader *r, bool judge, const char *operator_key, const char *ca_file, archive_each each, void *ctx, struct archive_sum *out, struct err *err) {
  struct walk k = {.r = r, .judging = judge ? judging_new(operator_key, ca_file) : NULL, .each = each, .ctx = ctx, .out = out, .hash = EVP_MD_CTX_new()};
  const char *line;
  size_t n;
  int64_t place;
  int rc = archive_seek(r, 0, err), more = 0;
  *out = (struct archive_sum){0};
  EVP_DigestInit_ex(k.hash, EVP_sha256(), NULL);
  while (rc == 0 && (more = archive_next(r, &line, &n, &place, err)) == 1) rc = one_line(&k, line, n, place, err);
  if (rc == 0 && more < 0) rc = -1;
  if (rc == 0 && !k.closed) rc = damaged(r, k.begun ? "cut off: its last line is missing" : "empty", err);
  out->bytes = r->read;
  EVP_MD_CTX_free(k.hash);
  judging_free(k.judging);
  return rc;
}
