#include "http/answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int keep(void *ctx, const void *p, size_t n, struct err *err)
{
  buf_add(ctx, p, n);
  return 0;
}

struct heard { struct answer a; struct buf content; int rc; };

static void hear(struct heard *h, const uint8_t *data, size_t size, size_t step, bool head)
{
  struct err err;
  *h = (struct heard){.rc = 0};
  answer_begin(&h->a, head, keep, &h->content);
  for (size_t at = 0; at < size && h->rc == 0 && h->a.state != ANSWER_DONE;) {
    size_t n = size - at < step ? size - at : step;
    ssize_t used = answer_take(&h->a, (const char *)data + at, n, &err);
    if (used < 0) h->rc = -1;
    else if ((size_t)used != n && h->a.state != ANSWER_DONE) abort();
    at += n;
  }
  if (h->rc == 0) h->rc = answer_end(&h->a, &err);
}

/* An answer of a peer. In one piece and byte by byte it is the same answer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct heard one, two;
  if (size < 2) return 0;
  hear(&one, data + 1, size - 1, size, data[0] & 1);
  hear(&two, data + 1, size - 1, 1 + (data[0] >> 1) % 7, data[0] & 1);
  if (one.rc != two.rc) abort();
  if (one.rc == 0 && (one.a.status != two.a.status || one.a.count != two.a.count || one.content.len != two.content.len ||
                      memcmp(buf_str(&one.content), buf_str(&two.content), one.content.len) != 0 || one.a.pairs.len != two.a.pairs.len ||
                      memcmp(buf_str(&one.a.pairs), buf_str(&two.a.pairs), one.a.pairs.len) != 0))
    abort();
  answer_free(&one.a);
  answer_free(&two.a);
  buf_free(&one.content);
  buf_free(&two.content);
  return 0;
}
