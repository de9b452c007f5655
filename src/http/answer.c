#include "http/answer.h"
#include "base/bytes.h"

#include <string.h>
#include <strings.h>

enum { HEAD_MOST = 64 * 1024, LINE_MOST = 32 * 1024, PAIRS_ROOM = 1000, INTERIM_MOST = 16, SIZE_DIGITS = 15 };

void answer_begin(struct answer *a, bool head_only, answer_sink sink, void *ctx)
{
  *a = (struct answer){.sink = sink, .ctx = ctx, .head_only = head_only, .left = -1};
  buf_init(&a->pairs, HEAD_MOST);
  buf_init(&a->line, LINE_MOST);
}

void answer_free(struct answer *a)
{
  buf_free(&a->pairs);
  buf_free(&a->line);
}

static int malformed(struct err *err, const char *what)
{
  return err_set(err, ERR_OUTCOME_UNKNOWN, "the answer is no HTTP: %s", what);
}

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* HTTP/1.x and three digits; an interim answer is followed by another. */
static int take_status(struct answer *a, const char *s, size_t n, struct err *err)
{
  if (n < 12 || memcmp(s, "HTTP/1.", 7) != 0 || (s[7] != '0' && s[7] != '1') || s[8] != ' ' || !digit(s[9]) || !digit(s[10]) || !digit(s[11]) || (n > 12 && s[12] != ' '))
    return malformed(err, "its first line");
  a->status = (s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0');
  if (a->status < 100 || a->status > 599 || a->status == 101) return malformed(err, "its status");
  a->old = s[7] == '0';
  a->ends = a->stays = false;
  a->state = ANSWER_HEAD;
  return 0;
}

static int take_length(struct answer *a, const char *s, size_t n, struct err *err)
{
  int64_t size = 0;
  if (!n || n > SIZE_DIGITS) return malformed(err, "its Content-Length");
  for (size_t i = 0; i < n; i++) {
    if (!digit(s[i])) return malformed(err, "its Content-Length");
    size = size * 10 + (s[i] - '0');
  }
  if (a->sized && size != a->left) return malformed(err, "two lengths");
  a->sized = true;
  a->left = size;
  return 0;
}

static bool named(const char *name, size_t n, const char *want) { return n == strlen(want) && !strncasecmp(name, want, n); }

static bool lists(const char *s, size_t n, const char *want)
{
  for (size_t at = 0, end; at < n; at = end + 1) {
    while (at < n && (s[at] == ' ' || s[at] == '\t')) at++;
    for (end = at; end < n && s[end] != ','; end++) continue;
    size_t size = end - at;
    while (size && (s[at + size - 1] == ' ' || s[at + size - 1] == '\t')) size--;
    if (named(s + at, size, want)) return true;
  }
  return false;
}

static int take_header(struct answer *a, const char *s, size_t n, struct err *err)
{
  const char *colon = memchr(s, ':', n);
  size_t name = colon ? (size_t)(colon - s) : 0;
  if (!colon || !is_token(s, name) || a->count == HTTP_MOST_HEADERS) return err_set(err, ERR_OUTCOME_UNKNOWN, "the head of the answer is malformed or too long");
  const char *value = colon + 1, *end = s + n;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
  size_t size = (size_t)(end - value);
  if (memchr(value, 0, size) || memchr(value, '\r', size)) return err_set(err, ERR_OUTCOME_UNKNOWN, "the head of the answer is malformed or too long");
  if (named(s, name, "Connection")) {
    a->ends |= lists(value, size, "close");
    a->stays |= lists(value, size, "keep-alive");
  } else if (named(s, name, "Content-Length")) {
    if (take_length(a, value, size, err)) return -1;
  } else if (named(s, name, "Transfer-Encoding")) {
    if (a->chunked || !named(value, size, "chunked")) return malformed(err, "a Transfer-Encoding other than chunked");
    a->chunked = true;
  }
  buf_add(&a->pairs, s, name);
  buf_addc(&a->pairs, '\0');
  buf_add(&a->pairs, value, size);
  buf_addc(&a->pairs, '\0');
  a->count++;
  return 0;
}

static int head_over(struct answer *a, struct err *err)
{
  a->seen = 0;
  if (a->status < 200) {
    if (++a->interim > INTERIM_MOST) return malformed(err, "it does not begin");
    buf_clear(&a->pairs);
    a->count = 0;
    a->sized = a->chunked = false;
    a->left = -1;
    a->state = ANSWER_STATUS;
    return 0;
  }
  a->close = a->ends || (a->old && !a->stays) || (a->chunked && (a->sized || a->old)); /* where two say where it ends the chunks count, and nothing is read behind them */
  if (a->head_only || a->status == 204 || a->status == 304) a->state = ANSWER_DONE;
  else if (a->chunked) a->state = ANSWER_SIZE;
  else if (a->sized) a->state = a->left ? ANSWER_BODY : ANSWER_DONE;
  else a->state = ANSWER_BODY, a->close = true;
  return 0;
}

static int take_size(struct answer *a, const char *s, size_t n, struct err *err)
{
  int64_t size = 0;
  size_t i = 0;
  for (; i < n && i <= SIZE_DIGITS; i++) {
    int c = s[i], v = digit(s[i]) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (v < 0) break;
    size = size * 16 + v;
  }
  bool good = i && i <= SIZE_DIGITS;
  while (i < n && (s[i] == ' ' || s[i] == '\t')) i++;
  if (!good || (i < n && s[i] != ';')) return malformed(err, "the size of a chunk");
  a->left = size;
  a->seen = 0;
  a->state = size ? ANSWER_CHUNK : ANSWER_TRAILER;
  return 0;
}

static int take_line(struct answer *a, const char *s, size_t n, struct err *err)
{
  if (n && s[n - 1] == '\r') n--;
  if (a->state == ANSWER_STATUS) return take_status(a, s, n, err);
  if (a->state == ANSWER_HEAD) return n ? take_header(a, s, n, err) : head_over(a, err);
  if (a->state == ANSWER_SIZE) return take_size(a, s, n, err);
  if (a->state == ANSWER_CHUNK_END) {
    a->state = ANSWER_SIZE;
    return n ? malformed(err, "a chunk is longer than it says") : 0;
  }
  if (!n) a->state = ANSWER_DONE; /* what stands in a trailer is not taken */
  return 0;
}

/* Bytes up to the end of a line; a line that came in one piece is read where it stands. */
static ssize_t line_from(struct answer *a, const char *p, size_t n, struct err *err)
{
  const char *end = memchr(p, '\n', n);
  size_t size = end ? (size_t)(end - p) : n, used = end ? size + 1 : n;
  a->seen += used;
  if (a->seen > HEAD_MOST) return err_set(err, ERR_OUTCOME_UNKNOWN, "the head of the answer is malformed or too long");
  if (!a->pairs.room) buf_expect(&a->pairs, PAIRS_ROOM);
  if (end && !a->line.len) return take_line(a, p, size, err) ? -1 : (ssize_t)used;
  buf_add(&a->line, p, size);
  if (buf_overflowed(&a->line)) return err_set(err, ERR_OUTCOME_UNKNOWN, "the head of the answer is malformed or too long");
  if (!end) return (ssize_t)used;
  int rc = take_line(a, buf_str(&a->line), a->line.len, err);
  buf_clear(&a->line);
  return rc ? -1 : (ssize_t)used;
}

static ssize_t content_from(struct answer *a, const char *p, size_t n, struct err *err)
{
  size_t size = a->left >= 0 && (int64_t)n > a->left ? (size_t)a->left : n;
  if (a->sink(a->ctx, p, size, err)) return -1;
  if (a->left < 0) return (ssize_t)size;
  a->left -= (int64_t)size;
  if (!a->left) a->state = a->state == ANSWER_CHUNK ? ANSWER_CHUNK_END : ANSWER_DONE;
  return (ssize_t)size;
}

ssize_t answer_take(struct answer *a, const char *p, size_t n, struct err *err)
{
  size_t at = 0;
  while (at < n && a->state != ANSWER_DONE) {
    ssize_t used = a->state == ANSWER_BODY || a->state == ANSWER_CHUNK ? content_from(a, p + at, n - at, err) : line_from(a, p + at, n - at, err);
    if (used < 0) return -1;
    at += (size_t)used;
  }
  if (buf_overflowed(&a->pairs)) return err_set(err, ERR_OUTCOME_UNKNOWN, "the head of the answer is malformed or too long");
  return (ssize_t)at;
}

int answer_end(struct answer *a, struct err *err)
{
  if (a->state == ANSWER_BODY && a->left < 0) a->state = ANSWER_DONE;
  return a->state == ANSWER_DONE ? 0 : err_set(err, ERR_OUTCOME_UNKNOWN, "the connection ended before the answer was whole");
}
