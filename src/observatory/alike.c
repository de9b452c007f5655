/* What the fairness page compares: decisions of the staff's sums, as cells of units and strata. */
#include "observatory/inner.h"

#include <stdlib.h>
#include <string.h>

enum { OUTCOMES = 3, BUCKETS = 160 };
static const char *const outcome_names[OUTCOMES] = {"refused", "asked", "slow"};

/* Of one unit in one stratum. */
struct heap {
  int unit, stratum;
  int64_t n, refused, asked, days[BUCKETS];
};

struct comparing {
  struct observatory *o;
  const struct observe_query *q;
  bool officers;
  json_t *units, *strata, *heaps;   /* name → number; "unit/stratum" → place in list */
  struct heap *list;
  size_t count, room;
};

static int number_of(json_t *names, const char *name) {
  json_t *v = json_object_get(names, name);
  if (v) return (int)json_integer_value(v);
  int n = (int)json_object_size(names);
  json_object_set_new(names, name, json_integer(n));
  return n;
}

static struct heap *heap_of(struct comparing *k, const char *unit, const char *stratum) {
  char key[48];
  int u = number_of(k->units, unit), s = number_of(k->strata, stratum);
  snprintf(key, sizeof key, "%d/%d", u, s);
  size_t at = (size_t)number_of(k->heaps, key);
  if (at == k->count) {
    if (k->count == k->room) k->list = base_realloc(k->list, (k->room = k->room ? 2 * k->room : 256) * sizeof *k->list);
    memset(&k->list[at], 0, sizeof k->list[at]);
    k->list[at].unit = u;
    k->list[at].stratum = s;
    k->count++;
  }
  return &k->list[at];
}

static int bucket_place(int64_t days) { return days <= 60 ? (int)days : 54 + (int)(days / 10); } /* 61 and more: by tens */

/* By which attributes cases of a service are like each other: setting fairness.services.CODE of the pack, else the default. */
static bool counts_by(const struct comparing *k, const char *service, const char *attribute) {
  const json_t *all = json_object_get(json_object_get(pack_settings(cases_pack(k->o->cases)), "fairness"), "services"), *chosen = json_object_get(all, service), *one;
  size_t i;
  if (!chosen) return strcmp(attribute, "county") != 0 || k->officers;
  json_array_foreach((json_t *)chosen, i, one)
    if (base_same(json_string_value(one), attribute)) return true;
  return false;
}

/* "x.VERSION.INTAKE.SETTING.RESULT.ASKED.DAYS" */
static void take_decisions(struct comparing *k, const char *unit, const char *service, const char *place, const char *name, int64_t n) {
  char copy[160], *parts[7] = {0}, *rest = copy, stratum[256];
  int64_t days;
  snprintf(copy, sizeof copy, "%s", name);
  for (int i = 0; i < 7; i++) parts[i] = strsep(&rest, ".");
  if (!parts[6] || parse_i64(parts[6], &days)) return;
  snprintf(stratum, sizeof stratum, "%s/%s/%s/%s/%s", service, parts[1], counts_by(k, service, "intake") ? parts[2] : "", counts_by(k, service, "setting") ? parts[3] : "",
           counts_by(k, service, "county") ? place : "");
  struct heap *h = heap_of(k, unit, stratum);
  h->n += n;
  if (parts[4][0] == 'r') h->refused += n;
  if (parts[5][0] == '1') h->asked += n;
  h->days[bucket_place(days)] += n;
}

static int take_rows(struct comparing *k, struct store_rows *r, struct err *err) {
  int rc;
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    if (k->q->service && strcmp(k->q->service, store_text(r, 2)) != 0) continue;
    if (k->officers && !store_text(r, 1)[0]) continue; /* decided by silence: nobody's */
    json_t *counts = json_object(), *v;
    const char *name;
    counts_read(counts, store_text(r, 4));
    json_object_foreach(counts, name, v)
      if (base_starts(name, "x.")) take_decisions(k, store_text(r, k->officers ? 1 : 0), store_text(r, 2), store_text(r, 3), name, json_integer_value(v));
    json_decref(counts);
  }
  store_done(r);
  return rc;
}

#define STAFF_ROWS "SELECT organisation,unit,service,place,counts FROM observatory_sum WHERE span=?1 AND start=?2"

static int compare_work(struct store_tx *tx, void *arg, struct err *err) {
  struct comparing *k = arg;
  json_object_clear(k->units);
  json_object_clear(k->strata);
  json_object_clear(k->heaps);
  k->count = 0;
  for (int32_t at = month_start(k->q->period.from); at <= k->q->period.to; at = month_start(at + 32)) {
    int rc = k->q->organisation ? take_rows(k, store_select(tx, err, STAFF_ROWS " AND organisation=?3", "iit", (int64_t)SUM_STAFF_MONTH, (int64_t)at, k->q->organisation), err)
                                : take_rows(k, store_select(tx, err, STAFF_ROWS, "ii", (int64_t)SUM_STAFF_MONTH, (int64_t)at), err);
    if (rc) return -1;
  }
  return 0;
}

/* The middle of a stratum's days: more of a unit's than half of all above it is slower than others. */
static void find_middles(const struct comparing *k, int *middle) {
  size_t strata = json_object_size(k->strata);
  int64_t (*days)[BUCKETS] = base_alloc((strata + 1) * sizeof *days);
  for (size_t i = 0; i < k->count; i++)
    for (int b = 0; b < BUCKETS; b++) days[k->list[i].stratum][b] += k->list[i].days[b];
  for (size_t s = 0; s < strata; s++) {
    int64_t all = 0, seen = 0;
    int b = 0;
    for (int i = 0; i < BUCKETS; i++) all += days[s][i];
    while (b < BUCKETS - 1 && 2 * (seen += days[s][b]) < all) b++;
    middle[s] = b;
  }
  free(days);
}

static int64_t happened(const struct heap *h, int outcome, int middle) {
  int64_t slow = 0;
  if (outcome == 0) return h->refused;
  if (outcome == 1) return h->asked;
  for (int b = middle + 1; b < BUCKETS; b++) slow += h->days[b];
  return slow;
}

static json_t *unit_json(const char *name, const struct fair_unit *u) {
  static const char *const verdicts[] = {"few", "alike", "differs"};
  return json_pack("{s:s,s:I,s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:s}", "unit", name, "n", (json_int_t)u->n, "x", (json_int_t)u->x, "expected", u->expected, "rate", u->rate,
                   "low", u->low, "high", u->high, "others", u->others, "shrunk", u->shrunk, "p", u->p, "q", u->q, "verdict", verdicts[u->verdict]);
}

static json_t *outcome_json(const struct comparing *k, const struct fair_unit *units, double dispersion) {
  json_t *o = json_object(), *list = json_array(), *v;
  const char *name;
  int64_t n = 0, x = 0, few = 0;
  json_object_foreach(k->units, name, v) {
    const struct fair_unit *u = &units[json_integer_value(v)];
    n += u->n;
    x += u->x;
    few += u->verdict == FAIR_FEW;
    json_array_append_new(list, unit_json(name, u));
  }
  json_object_set_new(o, "rate", json_real(n ? (double)x / (double)n : 0));
  json_object_set_new(o, "dispersion", json_real(dispersion));
  json_object_set_new(o, "few", json_integer(few));
  json_object_set_new(o, "units", list);
  return o;
}

static json_t *judge(const struct comparing *k) {
  size_t units = json_object_size(k->units), strata = json_object_size(k->strata), tested, named = 0;
  struct fair_unit *results = base_alloc((OUTCOMES * units + 1) * sizeof *results), **list = base_alloc((OUTCOMES * units + 1) * sizeof *list);
  struct fair_cell *cells = base_alloc((k->count + 1) * sizeof *cells);
  int *middle = base_alloc((strata + 1) * sizeof *middle);
  double dispersion[OUTCOMES];
  char from[16], to[16];
  find_middles(k, middle);
  for (int o = 0; o < OUTCOMES; o++) {
    for (size_t i = 0; i < k->count; i++) {
      const struct heap *h = &k->list[i];
      cells[i] = (struct fair_cell){.unit = h->unit, .stratum = h->stratum, .n = h->n, .x = happened(h, o, middle[h->stratum])};
    }
    fair_test(cells, k->count, &results[(size_t)o * units], units, &dispersion[o]);
  }
  for (size_t i = 0; i < OUTCOMES * units; i++) list[i] = &results[i];
  tested = fair_judge(list, OUTCOMES * units);
  json_t *out = json_object(), *outcomes = json_object();
  for (int o = 0; o < OUTCOMES; o++) json_object_set_new(outcomes, outcome_names[o], outcome_json(k, &results[(size_t)o * units], dispersion[o]));
  for (size_t i = 0; i < OUTCOMES * units; i++) named += results[i].verdict == FAIR_DIFFERS;
  date_iso(month_start(k->q->period.from), from);
  date_iso(month_start(month_start(k->q->period.to) + 32) - 1, to);
  json_put(out, "by", k->officers ? "officer" : "organisation");
  json_put(out, "from", from);
  json_put(out, "to", to);
  json_object_set_new(out, "strata", json_integer((json_int_t)strata));
  json_object_set_new(out, "tested", json_integer((json_int_t)tested));
  json_object_set_new(out, "named", json_integer((json_int_t)named));
  json_object_set_new(out, "outcomes", outcomes);
  free(results);
  free(list);
  free(cells);
  free(middle);
  return out;
}

int observatory_fairness(struct observatory *o, const struct observe_query *q, json_t **out, struct err *err) {
  struct comparing k = {.o = o, .q = q, .officers = q->organisation != NULL, .units = json_object(), .strata = json_object(), .heaps = json_object()};
  int rc = store_read(o->store, compare_work, &k, err);
  if (rc == 0) *out = judge(&k);
  json_decref(k.units);
  json_decref(k.strata);
  json_decref(k.heaps);
  free(k.list);
  return rc;
}
