/* Power and false discoveries of the fairness page on simulated years: bench-fairness [YEARS]. See docs/notes/fairness.md.
 * Like cases come in strata of different rates, and offices get different mixtures of them, so that plain rates differ without anybody's doing. */
#include "observatory/observatory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { OFFICES = 40, STRATA = 12 };
static uint64_t state;
static double uniform(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}
static double normal(void) { return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform()); }

struct setting { const char *name; int decisions, planted; double odds, spread; };
struct outcome { int named, named_wrongly, found, planted, pages_wrong, few; double proportion; int crude_wrong; };

/* One year of one page: refusals of OFFICES offices, the first `planted` of which refuse with `odds` times the odds of the others. */
static void year(const struct setting *k, struct outcome *out) {
  static struct fair_cell cells[OFFICES * STRATA];
  struct fair_unit units[OFFICES], *list[OFFICES];
  double rate[STRATA], dispersion;
  int64_t all_n = 0, all_x = 0;
  for (int s = 0; s < STRATA; s++) rate[s] = 0.06 + 0.3 * uniform();
  for (int u = 0, i = 0; u < OFFICES; u++) {
    double share[STRATA], sum = 0, own = k->spread * normal();
    for (int s = 0; s < STRATA; s++) sum += share[s] = -log(1 - uniform()) * (s % 3 == u % 3 ? 3 : 1);
    for (int s = 0; s < STRATA; s++, i++) {
      double logit = log(rate[s] / (1 - rate[s])) + own + (u < k->planted ? log(k->odds) : 0), p = 1 / (1 + exp(-logit));
      cells[i] = (struct fair_cell){.unit = u, .stratum = s, .n = (int64_t)(k->decisions * share[s] / sum + uniform())};
      for (int64_t c = 0; c < cells[i].n; c++) cells[i].x += uniform() < p;
      all_n += cells[i].n;
      all_x += cells[i].x;
    }
    list[u] = &units[u];
  }
  fair_test(cells, BASE_COUNT(cells), units, OFFICES, &dispersion);
  fair_judge(list, OFFICES);
  int named = 0, wrong = 0;
  for (int u = 0; u < OFFICES; u++) {
    double plain = ((double)units[u].x - (double)units[u].n * (double)all_x / (double)all_n) / sqrt((double)units[u].n * (double)all_x / (double)all_n * (1 - (double)all_x / (double)all_n));
    out->few += units[u].verdict == FAIR_FEW;
    if (u >= k->planted) out->crude_wrong += fabs(plain) > 1.96;
    if (units[u].verdict != FAIR_DIFFERS) continue;
    named++;
    if (u < k->planted) out->found++;
    else wrong++;
  }
  out->named += named;
  out->named_wrongly += wrong;
  out->pages_wrong += wrong > 0;
  out->planted += k->planted;
  out->proportion += named ? (double)wrong / named : 0;
}

int main(int argc, char **argv) {
  int64_t years = 1000;
  static const struct setting settings[] = {
    {"nobody differs, 100 decisions each", 100, 0, 1, 0}, {"nobody differs, 400", 400, 0, 1, 0}, {"nobody differs, 2000", 2000, 0, 1, 0},
    {"offices vary a little (10 % of odds), 400", 400, 0, 1, 0.1}, {"offices vary (20 %), 400", 400, 0, 1, 0.2}, {"offices vary (20 %), 2000", 2000, 0, 1, 0.2},
    {"4 of 40 with odds of 1.5, 100", 100, 4, 1.5, 0}, {"4 of 40 with odds of 1.5, 400", 400, 4, 1.5, 0}, {"4 of 40 with odds of 1.5, 2000", 2000, 4, 1.5, 0},
    {"4 of 40 with odds of 2, 100", 100, 4, 2, 0}, {"4 of 40 with odds of 2, 400", 400, 4, 2, 0}, {"4 of 40 with odds of 3, 100", 100, 4, 3, 0},
    {"4 of 40 with odds of 3, 400", 400, 4, 3, 0}, {"1 of 40 with odds of 2, 400", 400, 1, 2, 0}, {"8 of 40 with odds of 2, 400", 400, 8, 2, 0},
    {"4 of 40 with odds of 2, offices vary (20 %), 400", 400, 4, 2, 0.2}};
  if (argc > 1 && (parse_i64(argv[1], &years) || years < 1)) return 2;
  printf("%d offices, %lld simulated years each; units named by the page\n", OFFICES, (long long)years);
  printf("%-52s %9s %9s %11s %10s %12s\n", "", "power", "FDR", "pages wrong", "too few", "plain rates*");
  for (size_t i = 0; i < BASE_COUNT(settings); i++) {
    struct outcome o = {0};
    state = 1;
    for (int64_t y = 0; y < years; y++) year(&settings[i], &o);
    printf("%-52s ", settings[i].name);
    if (o.planted) printf("%8.1f%% ", 100.0 * o.found / o.planted);
    else printf("%9s ", "");
    printf("%8.1f%% %10.1f%% %9.1f%% %11.1f%%\n", 100 * o.proportion / (double)years, 100.0 * o.pages_wrong / (double)years, 100.0 * o.few / (OFFICES * (double)years),
           100.0 * o.crude_wrong / ((OFFICES - settings[i].planted) * (double)years));
  }
  puts("* offices without bias that a comparison of plain rates at 5 % would have named");
  return 0;
}
