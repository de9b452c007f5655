/* Numbers of one probe, of the last ten, and of many. */
#include "network/core.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double measure_quantile(const double *sorted, int count, double q) {
  if (count <= 0) return NAN;
  double at = q * (count - 1);
  int low = (int)at;
  return low + 1 < count ? sorted[low] + (at - low) * (sorted[low + 1] - sorted[low]) : sorted[count - 1];
}

void measure(struct measured *m, int sent, const double *rtt, int count) {
  double sorted[NETWORK_PACKETS_MOST], differences = 0;
  *m = (struct measured){.sent = sent, .lost = sent - count, .min = NAN, .median = NAN, .p95 = NAN, .max = NAN, .jitter = NAN};
  if (count <= 0) return;
  if (count > NETWORK_PACKETS_MOST) count = NETWORK_PACKETS_MOST;
  for (int i = 0; i < count; i++) {
    sorted[i] = rtt[i];
    if (i) differences += fabs(rtt[i] - rtt[i - 1]);
  }
  qsort(sorted, (size_t)count, sizeof *sorted, compare);
  m->min = sorted[0];
  m->median = measure_quantile(sorted, count, 0.5);
  m->p95 = measure_quantile(sorted, count, 0.95);
  m->max = sorted[count - 1];
  m->jitter = count > 1 ? differences / (count - 1) : NAN;
}

void recent_add(struct recent *r, int sent, int lost, double median) {
  r->sent[r->at] = (uint8_t)sent;
  r->lost[r->at] = (uint8_t)lost;
  r->rtt[r->at] = (float)median;
  r->at = (uint8_t)((r->at + 1) % CORE_RECENT);
  if (r->count < CORE_RECENT) r->count++;
}

void recent_forgive(struct recent *r) {
  if (r->count) r->lost[(r->at + CORE_RECENT - 1) % CORE_RECENT] = 0;
}

double recent_loss(const struct recent *r) {
  int sent = 0, lost = 0;
  for (int i = 0; i < r->count; i++) {
    sent += r->sent[i];
    lost += r->lost[i];
  }
  return sent ? (double)lost / sent : 0;
}

int recent_lossy(const struct recent *r) {
  int n = 0;
  for (int i = 0; i < r->count; i++) n += r->lost[i] > 0;
  return n;
}

double recent_rtt(const struct recent *r) {
  double sorted[CORE_RECENT];
  int n = 0;
  for (int i = 0; i < r->count; i++)
    if (!isnan(r->rtt[i])) sorted[n++] = r->rtt[i];
  qsort(sorted, (size_t)n, sizeof *sorted, compare);
  return measure_quantile(sorted, n, 0.5);
}

void flap_add(struct flap *f, bool failed) {
  f->bits = f->bits << 1 | failed;
  if (f->count < CORE_FLAP) f->count++;
}

/* Change i lies between results i and i+1 of 21, oldest first: the newest weighs 1.18, the oldest 0.80. */
double flap_percent(const struct flap *f) {
  double sum = 0;
  for (int back = 0; back + 1 < f->count; back++)
    if ((f->bits >> back & 1) != (f->bits >> (back + 1) & 1)) sum += 0.8 + 0.02 * (CORE_FLAP - 2 - back);
  return sum / (CORE_FLAP - 1) * 100;
}

/* Steps of 17 %: bin 0 ends at 0.1 ms. */
int bin_of(double ms) {
  if (!(ms > 0.1)) return 0;
  int bin = 1 + (int)(log(ms / 0.1) / log(1.17));
  return bin < CORE_BINS ? bin : CORE_BINS - 1;
}

double bin_middle(int bin) { return bin == 0 ? 0.05 : 0.1 * pow(1.17, bin - 0.5); }

double bins_quantile(const uint32_t bins[CORE_BINS], double q) {
  uint64_t all = 0, seen = 0;
  for (int i = 0; i < CORE_BINS; i++) all += bins[i];
  if (!all) return NAN;
  double wanted = q * (double)(all - 1);
  for (int i = 0; i < CORE_BINS; i++) {
    seen += bins[i];
    if ((double)seen > wanted) return bin_middle(i);
  }
  return bin_middle(CORE_BINS - 1);
}
