/* Sums of a period: whole Jalali months where they fit, days at its edges. */
#include "observatory/inner.h"

#include <stdlib.h>
#include <string.h>

const int age_bounds[AGES] = {2, 5, 10, 20, 40, 1000000};

struct reading {
  struct observatory *o;
  const struct observe_query *q;
  enum observe_group by;
  json_t *out;
  bool staff;
};

/* ---- keys ---- */

static const char *key_of(const struct reading *k, const struct store_rows *r, char out[200]) {
  int32_t day = (int32_t)store_int(r, 0);
  struct date d;
  switch (k->by) {
  case GROUP_SERVICE: return store_text(r, 3);
  case GROUP_ORGANISATION: return store_text(r, 1);
  case GROUP_PLACE: return store_text(r, 4);
  case GROUP_OFFICER: return store_text(r, 2);
  case GROUP_EACH: snprintf(out, 200, "%s\t%s\t%s", store_text(r, 1), store_text(r, 3), store_text(r, 4)); return out;
  case GROUP_DAY: date_iso(day, out); return out;
  case GROUP_WEEK: date_iso(day - (day_weekday(day) + 1) % 7, out); return out;
  case GROUP_MONTH:
    d = day_to_jalali(day);
    snprintf(out, 16, "%04d-%02d", d.year, d.month);
    return out;
  default: return "";
  }
}

static json_t *member(json_t *o, const char *key) {
  json_t *one = json_object_get(o, key);
  if (one) return one;
  one = json_object();
  json_object_set_new(o, key, one);
  return one;
}

static bool wanted(const struct reading *k, const struct store_rows *r) {
  const struct observe_query *q = k->q;
  return (!q->service || strcmp(q->service, store_text(r, 3)) == 0) && (!q->place || strcmp(q->place, store_text(r, 4)) == 0) &&
         (!q->officer || strcmp(q->officer, store_text(r, 2)) == 0);
}

static int take(struct reading *k, struct store_rows *r, struct err *err) {
  char key[200];
  int rc;
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1)
    if (wanted(k, r)) counts_read(member(k->out, key_of(k, r, key)), store_text(r, 5));
  store_done(r);
  return rc;
}

/* ---- pieces ---- */

#define ROWS "SELECT start,organisation,unit,service,place,counts FROM observatory_sum "

/* All organisations together have sums of their own, unless it matters which one it was. */
static int64_t span_of(const struct reading *k, bool month) {
  if (k->staff) return month ? SUM_STAFF_MONTH : SUM_STAFF_DAY;
  if (k->q->organisation || k->by == GROUP_ORGANISATION || k->by == GROUP_EACH) return month ? SUM_MONTH : SUM_DAY;
  return month ? SUM_PROVINCE_MONTH : SUM_PROVINCE_DAY;
}

/* Organisations beside each other, whatever their services and places: rows of their own, so that thousands of them are quick. */
static bool offices(const struct reading *k) {
  return k->by == GROUP_ORGANISATION && !k->staff && !k->q->organisation && !k->q->service && !k->q->place;
}

static int one_year(struct reading *k, struct store_tx *tx, int32_t start, struct err *err) {
  return take(k, store_select(tx, err, ROWS "WHERE span=?1 AND start=?2", "ii", (int64_t)SUM_OFFICE_YEAR, (int64_t)start), err);
}

static int one_month(struct reading *k, struct store_tx *tx, int32_t start, struct err *err) {
  int64_t span = offices(k) ? SUM_OFFICE_MONTH : span_of(k, true);
  if (!k->q->organisation) return take(k, store_select(tx, err, ROWS "WHERE span=?1 AND start=?2", "ii", span, (int64_t)start), err);
  return take(k, store_select(tx, err, ROWS "WHERE span=?1 AND start=?2 AND organisation=?3", "iit", span, (int64_t)start, k->q->organisation), err);
}

static int some_days(struct reading *k, struct store_tx *tx, int32_t from, int32_t to, struct err *err) {
  int64_t span = span_of(k, false);
  if (!k->q->organisation)
    return take(k, store_select(tx, err, ROWS "WHERE span=?1 AND start>=?2 AND start<=?3", "iii", span, (int64_t)from, (int64_t)to), err);
  for (int32_t day = from; day <= to; day++)
    if (take(k, store_select(tx, err, ROWS "WHERE span=?1 AND start=?2 AND organisation=?3", "iit", span, (int64_t)day, k->q->organisation), err)) return -1;
  return 0;
}

static int sums_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  struct period p = k->q->period;
  bool days = k->by == GROUP_DAY || k->by == GROUP_WEEK;
  json_object_clear(k->out);
  for (int32_t at = p.from; at <= p.to;) {
    int32_t year = year_start(at), after = year_start(year + 366);
    if (offices(k) && at == year && p.to >= after - 1) {
      if (one_year(k, tx, year, err)) return -1;
      at = after;
      continue;
    }
    int32_t month = month_start(at), next = month_start(month + 32);
    int32_t last = next - 1 < p.to ? next - 1 : p.to;
    int rc = at == month && last == next - 1 && !days ? one_month(k, tx, month, err) : some_days(k, tx, at, last, err);
    if (rc) return -1;
    at = last + 1;
  }
  return 0;
}

int observatory_sums(struct observatory *o, const struct observe_query *q, enum observe_group by, json_t **out, struct err *err) {
  struct reading k = {.o = o, .q = q, .by = by, .out = json_object(), .staff = by == GROUP_OFFICER || q->officer};
  int rc = store_read(o->store, sums_work, &k, err);
  if (rc == 0) *out = k.out;
  else json_decref(k.out);
  return rc;
}

/* ---- what is open ---- */

static const char *open_key(const struct reading *k, const struct store_rows *r, char out[200]) {
  switch (k->by) {
  case GROUP_SERVICE: return store_text(r, 1);
  case GROUP_ORGANISATION: return store_text(r, 0);
  case GROUP_PLACE: return store_text(r, 2);
  case GROUP_OFFICER: return store_text(r, 3);
  case GROUP_EACH: snprintf(out, 200, "%s\t%s\t%s", store_text(r, 0), store_text(r, 1), store_text(r, 2)); return out;
  default: return "";
  }
}

static void add_open(json_t *one, int64_t n, int64_t age, int64_t late, bool stopped) {
  json_t *ages = json_object_get(one, "ages");
  if (!ages) {
    ages = json_array();
    for (int i = 0; i < AGES; i++) json_array_append_new(ages, json_integer(0));
    json_object_set_new(one, "ages", ages);
  }
  int i = 0;
  while (i < AGES - 1 && age > age_bounds[i]) i++;
  json_integer_set(json_array_get(ages, (size_t)i), json_integer_value(json_array_get(ages, (size_t)i)) + n);
  counts_add(one, "open", n);
  if (stopped) counts_add(one, "stopped", n);
  else if (late > 0) {
    counts_add(one, "late", n);
    counts_add(one, "late_days", n * late);
  }
}

static int take_open(struct reading *k, struct store_rows *r, struct err *err) {
  const struct observe_query *q = k->q;
  char calendar[64] = "", key[200];
  int64_t today = 0;
  int rc;
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    if ((q->service && strcmp(q->service, store_text(r, 1)) != 0) || (q->place && strcmp(q->place, store_text(r, 2)) != 0) ||
        (q->officer && strcmp(q->officer, store_text(r, 3)) != 0))
      continue;
    if (strcmp(calendar, store_text(r, 4)) != 0) {
      snprintf(calendar, sizeof calendar, "%s", store_text(r, 4));
      today = cases_ordinal(k->o->cases, calendar, cases_today());
    }
    int64_t legal = store_int(r, 7), late = legal == CASE_NO_LIMIT ? 0 : today - legal;
    add_open(member(k->out, open_key(k, r, key)), store_int(r, 8), today - store_int(r, 6), late, store_int(r, 5) != 0);
  }
  store_done(r);
  return rc;
}

#define OPEN_ROWS "SELECT organisation,service,place,assignee,calendar,stopped,start_ord,legal_ord,COUNT(*) FROM observatory_open "
#define OPEN_GROUP "GROUP BY organisation,service,place,assignee,calendar,stopped,start_ord,legal_ord"

static int open_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  json_object_clear(k->out);
  if (!k->q->organisation) return take_open(k, store_select(tx, err, OPEN_ROWS OPEN_GROUP, ""), err);
  return take_open(k, store_select(tx, err, OPEN_ROWS "WHERE organisation=?1 " OPEN_GROUP, "t", k->q->organisation), err);
}

int observatory_open_now(struct observatory *o, const struct observe_query *q, enum observe_group by, json_t **out, struct err *err) {
  struct reading k = {.o = o, .q = q, .by = by, .out = json_object()};
  int rc = store_read(o->store, open_work, &k, err);
  if (rc == 0) *out = k.out;
  else json_decref(k.out);
  return rc;
}

/* ---- numbers out of sums ---- */

int64_t sums_get(const json_t *sums, const char *name) { return json_integer_value(json_object_get(sums, name)); }

struct bucket { int64_t days, n; };
static int by_days(const void *a, const void *b) {
  const struct bucket *x = a, *y = b;
  return (x->days > y->days) - (x->days < y->days);
}

int64_t sums_quantile(const json_t *sums, const char *prefix, double q, int64_t *count) {
  struct bucket list[256];
  size_t n = 0;
  int64_t all = 0, seen = 0;
  const char *name;
  json_t *v;
  json_object_foreach((json_t *)sums, name, v) {
    int64_t days;
    if (!base_starts(name, prefix) || parse_i64(name + strlen(prefix), &days) || n == BASE_COUNT(list)) continue;
    list[n++] = (struct bucket){days, json_integer_value(v)};
    all += json_integer_value(v);
  }
  if (count) *count = all;
  if (all <= 0) return -1;
  qsort(list, n, sizeof *list, by_days);
  for (size_t i = 0; i < n; i++)
    if ((double)(seen += list[i].n) >= q * (double)all) return list[i].days;
  return list[n - 1].days;
}
