/* The comparison on simulated years with a fixed seed: planted bias is found, and without bias hardly anybody is named. The bounds are those that
 * docs/notes/fairness.md promises; bench/fairness.c measures them on more. */
#include "observatory/observatory.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OFFICES = 40, STRATA = 8 };
static uint64_t seed;
static double uniform(void) {
  uint64_t z = seed += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}
static double normal(void) { return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform()); }

/* Strata differ in their rates and offices in their mixture of strata, so that plain rates differ without anybody's doing. */
static size_t year(struct fair_cell *cells, int decisions, int planted, double odds, double spread) {
  double rate[STRATA];
  size_t n = 0;
  for (int s = 0; s < STRATA; s++) rate[s] = 0.08 + 0.3 * uniform();
  for (int u = 0; u < OFFICES; u++) {
    double own = spread * normal() + (u < planted ? log(odds) : 0), share[STRATA], sum = 0;
    for (int s = 0; s < STRATA; s++) sum += share[s] = -log(1 - uniform()) * (s % 2 == u % 2 ? 4 : 1);
    for (int s = 0; s < STRATA; s++, n++) {
      double p = 1 / (1 + exp(-(log(rate[s] / (1 - rate[s])) + own)));
      cells[n] = (struct fair_cell){.unit = u, .stratum = s, .n = (int64_t)(decisions * share[s] / sum)};
      for (int64_t c = 0; c < cells[n].n; c++) cells[n].x += uniform() < p;
    }
  }
  return n;
}

struct tally { double proportion; int pages, found; };
static struct tally years(int count, int decisions, int planted, double odds, double spread) {
  static struct fair_cell cells[OFFICES * STRATA];
  struct fair_unit units[OFFICES], *list[OFFICES];
  struct tally t = {0};
  double dispersion;
  for (int y = 0; y < count; y++) {
    int named = 0, wrong = 0;
    size_t n = year(cells, decisions, planted, odds, spread);
    fair_test(cells, n, units, OFFICES, &dispersion);
    for (int u = 0; u < OFFICES; u++) list[u] = &units[u];
    fair_judge(list, OFFICES);
    for (int u = 0; u < OFFICES; u++) {
      if (units[u].verdict != FAIR_DIFFERS) continue;
      named++;
      if (u < planted) t.found++;
      else wrong++;
    }
    t.proportion += named ? (double)wrong / named : 0;
    t.pages += wrong > 0;
  }
  t.proportion /= count;
  return t;
}

/* Three standard errors of a proportion above the bound: a page that keeps it fails once in hundreds of seeds, and the seed is fixed. */
static double bound(int count) { return FAIR_RATE + 3 * sqrt(FAIR_RATE * (1 - FAIR_RATE) / count); }

static void without_bias_hardly_anybody_is_named(void **state) {
  seed = 5;
  struct tally even = years(300, 300, 0, 1, 0), varied = years(300, 300, 0, 1, 0.2);
  assert_true(even.proportion <= bound(300));
  assert_true(varied.proportion <= bound(300));
}

static void planted_bias_is_found_and_few_others_with_it(void **state) {
  seed = 6;
  struct tally t = years(100, 400, 4, 2, 0);
  assert_in_range(t.found, 340, 400);
  assert_true(t.proportion <= FAIR_RATE);
  t = years(100, 300, 4, 3, 0);
  assert_in_range(t.found, 390, 400);
  assert_true(t.proportion <= bound(100));
}

/* An office with the hard cases is not named for them: in each stratum it is as the others are. */
static void a_different_mixture_is_no_difference(void **state) {
  struct fair_cell cells[] = {{0, 0, 1000, 100}, {0, 1, 50, 20}, {1, 0, 50, 5}, {1, 1, 1000, 400}, {2, 0, 500, 50}, {2, 1, 500, 200}};
  struct fair_unit units[3], *list[3] = {&units[0], &units[1], &units[2]};
  double dispersion;
  fair_test(cells, 6, units, 3, &dispersion);
  assert_int_equal(fair_judge(list, 3), 3);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(units[i].verdict, FAIR_ALIKE);
    assert_true(fabs(units[i].expected - (double)units[i].x) < 1e-9);
    assert_true(units[i].p > 0.9);
  }
  assert_true(fabs(units[1].rate - 405.0 / 1050) < 1e-9);
}

/* Against Fisher's exact test: 12 of 40 with 3 of 40, both tails doubled: 2 × 0.0104 (hypergeometric, by hand with exact fractions). */
static void small_counts_are_exact(void **state) {
  struct fair_cell cells[] = {{0, 0, 40, 12}, {1, 0, 40, 3}};
  struct fair_unit units[2];
  double dispersion, tail = 0, all = 0;
  fair_test(cells, 2, units, 2, &dispersion);
  for (int x = 0; x <= 15; x++) {
    double p = exp(lgamma(41) - lgamma(x + 1) - lgamma(41 - x) + lgamma(41) - lgamma(16 - x) - lgamma(26 + x));
    all += p;
    if (x >= 12) tail += p;
  }
  assert_true(fabs(units[0].p - 2 * tail / all) < 1e-6);
  assert_true(fabs(units[0].p - units[1].p) < 1e-9);
  assert_true(units[0].z > 0 && units[1].z < 0);
  assert_true(units[0].shrunk >= units[0].others && units[0].shrunk <= units[0].rate);
}

static void few_are_not_judged(void **state) {
  struct fair_cell cells[] = {{0, 0, 29, 29}, {1, 0, 1000, 100}, {2, 0, 900, 2}, {3, 1, 500, 100}};
  struct fair_unit units[4], *list[4];
  double dispersion;
  fair_test(cells, 4, units, 4, &dispersion);
  for (int i = 0; i < 4; i++) list[i] = &units[i];
  assert_int_equal(fair_judge(list, 4), 2);
  assert_int_equal(units[0].verdict, FAIR_FEW);
  assert_int_equal(units[1].verdict, FAIR_DIFFERS);
  assert_int_equal(units[2].verdict, FAIR_DIFFERS);
  assert_int_equal(units[3].verdict, FAIR_FEW); /* nobody to compare with */
  assert_int_equal(units[3].n, 0);
}

/* Benjamini and Hochberg's own example (1995, section 3.2): of fifteen, four are named at 5 %. */
static void judged_together(void **state) {
  static const double p[] = {0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0};
  struct fair_unit units[15], *list[15];
  size_t named = 0;
  for (size_t i = 0; i < 15; i++) {
    units[i] = (struct fair_unit){.p = p[i], .verdict = FAIR_ALIKE};
    list[14 - i] = &units[i];
  }
  fair_judge(list, 15);
  for (size_t i = 0; i < 15; i++) named += units[i].verdict == FAIR_DIFFERS;
  assert_int_equal(named, 4);
  assert_true(fabs(units[0].q - 0.0015) < 1e-9);
}

static void intervals_are_wilsons(void **state) {
  double low, high;
  wilson(0, 20, &low, &high); /* 0 and z²/(n+z²) */
  assert_true(low == 0 && fabs(high - 3.8414588 / 23.8414588) < 1e-6);
  wilson(10, 20, &low, &high);
  assert_true(fabs(low + high - 1) < 1e-9 && fabs(low - 0.299298) < 1e-5);
  wilson(0, 0, &low, &high);
  assert_true(low == 0 && high == 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(without_bias_hardly_anybody_is_named), cmocka_unit_test(planted_bias_is_found_and_few_others_with_it),
    cmocka_unit_test(a_different_mixture_is_no_difference), cmocka_unit_test(small_counts_are_exact), cmocka_unit_test(few_are_not_judged), cmocka_unit_test(judged_together),
    cmocka_unit_test(intervals_are_wilsons)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
