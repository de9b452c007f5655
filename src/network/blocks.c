/* The bytes of raw results and of blocks: numbers of variable length (7 bits a byte, low first), microseconds, records one after the other. */
#include "network/inner.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static void put(struct buf *b, uint64_t v) {
  unsigned char bytes[10];
  size_t n = 0;
  do {
    bytes[n++] = (unsigned char)((v & 127) | (v > 127 ? 128 : 0));
    v >>= 7;
  } while (v);
  buf_add(b, bytes, n);
}

struct reader { const unsigned char *at, *end; bool bad; };

static uint64_t get(struct reader *r) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (r->at >= r->end) break;
    unsigned char c = *r->at++;
    v |= (uint64_t)(c & 127) << shift;
    if (!(c & 128)) return v;
  }
  r->bad = true;
  return 0;
}

static uint64_t us(double ms) { return isnan(ms) || ms < 0 ? 0 : (uint64_t)(ms * 1000 + 0.5); }
static double ms(uint64_t v) { return (double)v / 1000; }

/* key, ms after the beginning, sent, lost, and unless everything was lost: min, what median, p95 and max are more than the one before, jitter */
void raw_put(struct buf *b, int64_t from, const struct sample *s) {
  put(b, s->key);
  put(b, (uint64_t)(s->at > from ? s->at - from : 0));
  put(b, (uint64_t)s->sent);
  put(b, (uint64_t)s->lost);
  if (s->lost >= s->sent) return;
  uint64_t low = us(s->min), middle = us(s->median), high = us(s->p95), top = us(s->max);
  put(b, low);
  put(b, middle > low ? middle - low : 0);
  put(b, high > middle ? high - middle : 0);
  put(b, top > high ? top - high : 0);
  put(b, us(s->jitter));
}

bool raw_next(const unsigned char **at, const unsigned char *end, int64_t from, struct sample *out) {
  struct reader r = {*at, end, *at >= end};
  if (r.bad) return false;
  *out = (struct sample){.key = (uint32_t)get(&r), .min = NAN, .median = NAN, .p95 = NAN, .max = NAN, .jitter = NAN};
  out->at = from + (int64_t)(get(&r) & 0xffffffff);
  out->sent = (int)(get(&r) & 255);
  out->lost = (int)(get(&r) & 255);
  if (out->lost < out->sent) {
    uint64_t low = get(&r), middle = low + get(&r), high = middle + get(&r), top = high + get(&r);
    out->min = ms(low);
    out->median = ms(middle);
    out->p95 = ms(high);
    out->max = ms(top);
    out->jitter = ms(get(&r));
  }
  *at = r.at;
  return !r.bad;
}

/* key, which of the twelve times are there (by bit), these, probes, sent, lost, answered, and with answers: sums, min, max, bins as (skipped, count)…, 64 */
void block_put(struct buf *b, const struct sums *s) {
  unsigned there = 0;
  for (int i = 0; i < 12; i++) there |= (unsigned)(s->ms[i / 2][i % 2] > 0) << i;
  put(b, s->key);
  put(b, there);
  for (int i = 0; i < 12; i++)
    if (there >> i & 1) put(b, (uint64_t)s->ms[i / 2][i % 2]);
  put(b, s->probes);
  put(b, s->sent);
  put(b, s->lost);
  put(b, s->answered);
  if (!s->answered) return;
  put(b, us(s->rtt_sum));
  put(b, us(s->jitter_sum));
  put(b, us(s->min));
  put(b, us(s->max));
  int last = 0;
  for (int i = 0; i < CORE_BINS; i++)
    if (s->bins[i]) {
      put(b, (uint64_t)(i - last));
      put(b, s->bins[i]);
      last = i + 1;
    }
  put(b, CORE_BINS);
}

bool block_next(const unsigned char **at, const unsigned char *end, struct sums *out, bool bins) {
  struct reader r = {*at, end, *at >= end};
  if (r.bad) return false;
  if (bins) *out = (struct sums){0};
  else memset(out, 0, offsetof(struct sums, bins));
  out->min = out->max = NAN;
  out->key = (uint32_t)get(&r);
  unsigned there = (unsigned)get(&r);
  for (int i = 0; i < 12; i++)
    if (there >> i & 1) out->ms[i / 2][i % 2] = (int64_t)(get(&r) & INT64_MAX);
  out->probes = (uint32_t)get(&r);
  out->sent = (uint32_t)get(&r);
  out->lost = (uint32_t)get(&r);
  out->answered = (uint32_t)get(&r);
  if (out->answered) {
    out->rtt_sum = ms(get(&r));
    out->jitter_sum = ms(get(&r));
    out->min = ms(get(&r));
    out->max = ms(get(&r));
    for (uint64_t i = 0; !r.bad;) {
      uint64_t skip = get(&r);
      if (skip >= CORE_BINS || (i += skip) >= CORE_BINS) break;
      uint64_t count = get(&r);
      if (bins) out->bins[i] = (uint32_t)count;
      i++;
    }
  }
  *at = r.at;
  return !r.bad;
}

void sums_add(struct sums *to, const struct sums *s) {
  for (int i = 0; i < 12; i++) to->ms[i / 2][i % 2] += s->ms[i / 2][i % 2];
  to->probes += s->probes;
  to->sent += s->sent;
  to->lost += s->lost;
  if (s->answered) {
    if (!to->answered || s->min < to->min) to->min = s->min;
    if (!to->answered || s->max > to->max) to->max = s->max;
    to->rtt_sum += s->rtt_sum;
    to->jitter_sum += s->jitter_sum;
    for (int i = 0; i < CORE_BINS; i++) to->bins[i] += s->bins[i];
  }
  to->answered += s->answered;
}
