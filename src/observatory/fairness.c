/* Units against the others within strata: exact where counts are small, widened where units differ by more than chance, judged together.
 * docs/notes/fairness.md has the reasons and sources. */
#include "observatory/inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_MOST 4000  /* longest distribution that is worked out term by term */
#define EXACT_VARIANCE 40.0
#define DISPERSION_LEAST 10 /* units; fewer cannot tell how much units differ */
#define DISPERSION_MOST 2000

struct side { int64_t n, x; };   /* of a stratum */
struct unit_sums {
  double expected, variance, others;
  int64_t n, x;                   /* where there is somebody to compare with */
  double *exact;                  /* distribution of x given the margins; NULL: approximate */
  size_t room;
  int64_t least;                  /* x of exact[0] */
};

void wilson(int64_t x, int64_t n, double *low, double *high) {
  const double z = 1.959963984540054;
  double p = n ? (double)x / (double)n : 0, d = 1 + z * z / (double)(n ? n : 1), centre = p + z * z / (2 * (double)(n ? n : 1));
  double half = z * sqrt(p * (1 - p) / (double)(n ? n : 1) + z * z / (4 * (double)(n ? n : 1) * (double)(n ? n : 1)));
  *low = n ? fmax(0, (centre - half) / d) : 0;
  *high = n ? fmin(1, (centre + half) / d) : 1;
}

static double upper_tail(double z) { return 0.5 * erfc(z / M_SQRT2); }

/* z that has this much of the standard normal distribution above it: bisection is enough for three places. */
static double normal_above(double p) {
  double low = -38, high = 38;
  for (int i = 0; i < 80; i++) {
    double mid = (low + high) / 2;
    if (upper_tail(mid) > p) low = mid;
    else high = mid;
  }
  return (low + high) / 2;
}

static double choose(double n, double k) { return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1); }

/* One stratum's hypergeometric distribution folded into the unit's. */
static void fold(struct unit_sums *u, int64_t n, int64_t all, int64_t hits) {
  int64_t least = n - (all - hits) > 0 ? n - (all - hits) : 0, most = n < hits ? n : hits;
  size_t wide = (size_t)(most - least), room = u->room + wide;
  if (!u->exact || room > EXACT_MOST) {
    free(u->exact);
    u->exact = NULL;
    return;
  }
  double *next = base_alloc((room + 1) * sizeof *next), base = choose((double)all, (double)n);
  for (size_t k = 0; k <= wide; k++) {
    double x = (double)(least + (int64_t)k), p = exp(choose((double)hits, x) + choose((double)(all - hits), (double)n - x) - base);
    for (size_t i = 0; i <= u->room; i++) next[i + k] += p * u->exact[i];
  }
  free(u->exact);
  u->exact = next;
  u->room = room;
  u->least += least;
}

static void add_cell(struct unit_sums *u, const struct fair_cell *c, const struct side *all, bool exact) {
  double n = (double)c->n, big = (double)all->n, hits = (double)all->x;
  if (c->n <= 0 || all->n <= c->n) return; /* nobody to compare with */
  u->n += c->n;
  u->x += c->x;
  u->expected += n * hits / big;
  u->others += n * (hits - (double)c->x) / (big - n);
  u->variance += n * (big - n) * hits * (big - hits) / (big * big * (big - 1));
  if (exact) fold(u, c->n, all->n, all->x);
}

/* Both sides, doubled; the approximate one with Yates' correction. Signed z of the same probability. */
static void one_test(const struct unit_sums *u, struct fair_unit *out) {
  double off = (double)u->x - u->expected, p;
  if (u->variance <= 0) {
    out->z = 0;
    out->p = 1;
    return;
  }
  if (u->exact) {
    double below = 0, above = 0;
    for (size_t i = 0; i <= u->room; i++) {
      int64_t x = u->least + (int64_t)i;
      if (x <= u->x) below += u->exact[i];
      if (x >= u->x) above += u->exact[i];
    }
    p = 2 * fmin(below, above);
  } else p = 2 * upper_tail(fmax(0, fabs(off) - 0.5) / sqrt(u->variance));
  out->p = fmin(1, p);
  out->z = copysign(normal_above(fmax(out->p, 1e-290) / 2), off);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* How far apart the units' z lie, by Qn of Rousseeuw and Croux: it does not ask where the middle is, and half of the units may be anything
 * without moving it far. 1 is what chance alone gives. *freedom: degrees of freedom of an estimate as good; 0 where it was not needed. */
static double dispersion_of(const struct fair_unit *units, size_t count, double *freedom) {
  double *z = base_alloc((count + 1) * sizeof *z), *apart, qn;
  size_t n = 0, k = 0, half, nth;
  *freedom = 0;
  for (size_t i = 0; i < count && n < DISPERSION_MOST; i++)
    if (units[i].verdict != FAIR_FEW) z[n++] = units[i].z;
  if (n < DISPERSION_LEAST) {
    free(z);
    return 1;
  }
  apart = base_alloc(n * n / 2 * sizeof *apart);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < i; j++) apart[k++] = fabs(z[i] - z[j]);
  qsort(apart, k, sizeof *apart, by_value);
  half = n / 2 + 1;
  nth = half * (half - 1) / 2;
  qn = 2.21914 * apart[nth - 1] * (double)n / ((double)n + (n % 2 ? 1.4 : 3.8));
  free(apart);
  free(z);
  if (qn <= 1) return 1;
  *freedom = 0.82 * (double)(n - 1);
  return qn * qn;
}

/* Both tails of Student's distribution by Wallace's approximation; freedom 0: the normal distribution. */
static double both_tails(double t, double freedom) {
  double v = freedom, z = fabs(t);
  if (v > 0) z = (8 * v + 1) / (8 * v + 3) * sqrt(v * log1p(t * t / v));
  return fmin(1, 2 * upper_tail(z));
}

/* How far units really differ (DerSimonian and Laird, of the ratio to what was expected), and each rate pulled back accordingly. */
static void shrink(const struct unit_sums *sums, struct fair_unit *units, size_t count, double dispersion) {
  double w1 = 0, w2 = 0, wy = 0, q = 0, mean, between = 0;
  size_t k = 0;
  for (size_t i = 0; i < count; i++) {
    if (sums[i].variance <= 0 || sums[i].expected <= 0) continue;
    double y = (double)sums[i].x / sums[i].expected - 1, w = sums[i].expected * sums[i].expected / sums[i].variance;
    w1 += w;
    w2 += w * w;
    wy += w * y;
    k++;
  }
  mean = w1 > 0 ? wy / w1 : 0;
  for (size_t i = 0; i < count; i++) {
    if (sums[i].variance <= 0 || sums[i].expected <= 0) continue;
    double y = (double)sums[i].x / sums[i].expected - 1;
    q += sums[i].expected * sums[i].expected / sums[i].variance * (y - mean) * (y - mean);
  }
  if (k > 1 && w1 > 0 && w1 - w2 / w1 > 0) between = fmax(0, (q - (double)(k - 1)) / (w1 - w2 / w1));
  for (size_t i = 0; i < count; i++) {
    struct fair_unit *u = &units[i];
    double within = sums[i].expected > 0 ? dispersion * sums[i].variance / (sums[i].expected * sums[i].expected) : 0;
    double keep = between + within > 0 ? between / (between + within) : 0;
    u->shrunk = u->others + keep * (u->rate - u->others);
  }
}

void fair_test(const struct fair_cell *cells, size_t cell_count, struct fair_unit *units, size_t count, double *dispersion) {
  int strata = 0;
  for (size_t i = 0; i < cell_count; i++)
    if (cells[i].stratum >= strata) strata = cells[i].stratum + 1;
  struct side *all = base_alloc(((size_t)strata + 1) * sizeof *all);
  struct unit_sums *sums = base_alloc((count + 1) * sizeof *sums);
  for (size_t i = 0; i < cell_count; i++) {
    all[cells[i].stratum].n += cells[i].n;
    all[cells[i].stratum].x += cells[i].x;
  }
  for (int exact = 0; exact <= 1; exact++) { /* first the variances, which say who is worth the exact way */
    for (size_t i = 0; i < count && exact; i++) {
      bool small = sums[i].variance < EXACT_VARIANCE;
      sums[i] = (struct unit_sums){.exact = small ? base_alloc(sizeof(double)) : NULL};
      if (small) sums[i].exact[0] = 1;
    }
    for (size_t i = 0; i < cell_count; i++) add_cell(&sums[cells[i].unit], &cells[i], &all[cells[i].stratum], exact && sums[cells[i].unit].exact);
  }
  for (size_t i = 0; i < count; i++) {
    struct fair_unit *u = &units[i];
    const struct unit_sums *s = &sums[i];
    *u = (struct fair_unit){.n = s->n, .x = s->x, .expected = s->others, .verdict = FAIR_ALIKE, .q = 1};
    u->rate = s->n ? (double)s->x / (double)s->n : 0;
    u->others = s->n ? s->others / (double)s->n : 0;
    wilson(s->x, s->n, &u->low, &u->high);
    if (s->n < FAIR_LEAST || s->expected < 5 || (double)s->n - s->expected < 5) u->verdict = FAIR_FEW;
    one_test(s, u);
  }
  double freedom;
  *dispersion = dispersion_of(units, count, &freedom);
  for (size_t i = 0; i < count; i++) {
    units[i].z /= sqrt(*dispersion);
    units[i].p = both_tails(units[i].z, freedom);
  }
  shrink(sums, units, count, *dispersion);
  for (size_t i = 0; i < count; i++) free(sums[i].exact);
  free(sums);
  free(all);
}

static int by_p(const void *a, const void *b) {
  double x = (*(struct fair_unit *const *)a)->p, y = (*(struct fair_unit *const *)b)->p;
  return (x > y) - (x < y);
}

size_t fair_judge(struct fair_unit **results, size_t count) {
  struct fair_unit **list = base_alloc((count + 1) * sizeof *list);
  size_t n = 0;
  double q = 1;
  for (size_t i = 0; i < count; i++)
    if (results[i]->verdict != FAIR_FEW) list[n++] = results[i];
  qsort(list, n, sizeof *list, by_p);
  for (size_t i = n; i > 0; i--) {
    q = fmin(q, list[i - 1]->p * (double)n / (double)i);
    list[i - 1]->q = q;
    list[i - 1]->verdict = q <= FAIR_RATE ? FAIR_DIFFERS : FAIR_ALIKE;
  }
  free(list);
  return n;
}
