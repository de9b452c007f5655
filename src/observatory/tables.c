/* Tables: the same numbers for pages, files, sheets and programs. */
#include "observatory/tables.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
#define X(name, text) text,
  TABLE_TABLE(X)
#undef X
};
const char *table_text(enum table_name t) { return names[t]; }
int table_parse(const char *text) {
  for (size_t i = 0; i < BASE_COUNT(names); i++)
    if (base_same(text, names[i])) return (int)i;
  return -1;
}

/* ---- columns and cells ---- */

void table_column(struct making *m, const char *key, const char *kind) {
  char full[64];
  snprintf(full, sizeof full, "observatory.c_%s", key);
  json_array_append_new(m->columns, json_pack("{s:s,s:s,s:s}", "key", key, "title", word(m->l, full), "kind", kind));
}

json_t *table_row(struct making *m) {
  json_t *row = json_array();
  json_array_append_new(m->rows, row);
  return row;
}

void cell_text(json_t *row, const char *text) { json_array_append_new(row, text ? json_string(text) : json_null()); }
void cell_number(json_t *row, int64_t n) { json_array_append_new(row, json_integer(n)); }

void cell_count(const struct making *m, json_t *row, int64_t n) {
  if (m->hide && n > 0 && n < FEW) json_array_append_new(row, json_string("<5"));
  else cell_number(row, n);
}

void cell_share(const struct making *m, json_t *row, int64_t part, int64_t of) {
  bool untold = of <= 0 || (m->hide && of < FEW);
  json_array_append_new(row, untold ? json_null() : json_real((double)part / (double)of));
}

static void cell_mean(const struct making *m, json_t *row, int64_t sum, int64_t of) { cell_share(m, row, sum, of); }

void cell_days(const struct making *m, json_t *row, const json_t *sums, const char *prefix, double q) {
  int64_t n = 0, days = sums_quantile(sums, prefix, q, &n);
  json_array_append_new(row, days < 0 || (m->hide && n < FEW) ? json_null() : json_integer(days));
}

/* ---- the row of a group ---- */

static const struct { const char *key, *kind; } group_columns[] = {
  {"arrived", "count"}, {"closed", "count"}, {"open", "count"}, {"late", "count"}, {"median", "days"}, {"p90", "days"}, {"norm", "share"}, {"legal", "share"},
  {"stopped", "count"}, {"escalated", "count"}, {"appealed", "count"}, {"upheld", "share"}, {"rating", "mean"}, {"rated", "count"}};

static void group_head(struct making *m) {
  for (size_t i = 0; i < BASE_COUNT(group_columns); i++) table_column(m, group_columns[i].key, group_columns[i].kind);
}

static void group_cells(struct making *m, json_t *row, const json_t *sums, const json_t *open) {
  cell_count(m, row, sums_get(sums, "arrived"));
  cell_count(m, row, sums_get(sums, "closed"));
  cell_count(m, row, sums_get(open, "open"));
  cell_count(m, row, sums_get(open, "late"));
  cell_days(m, row, sums, "t.", 0.5);
  cell_days(m, row, sums, "t.", 0.9);
  cell_share(m, row, sums_get(sums, "norm_in"), sums_get(sums, "norm_of"));
  cell_share(m, row, sums_get(sums, "legal_in"), sums_get(sums, "legal_of"));
  cell_count(m, row, sums_get(sums, "stopped"));
  cell_count(m, row, sums_get(sums, "escalated"));
  cell_count(m, row, sums_get(sums, "appealed"));
  cell_share(m, row, sums_get(sums, "appeal_upheld"), sums_get(sums, "appeal_done"));
  cell_mean(m, row, sums_get(sums, "rate_sum"), sums_get(sums, "rated"));
  cell_count(m, row, sums_get(sums, "rated"));
}

/* ---- names ---- */

const char *service_name(const struct making *m, const char *code) {
  const struct service *s = pack_find_shown(cases_pack(m->o->cases), code);
  return s ? text_in(&s->title, m->l) : code;
}

const char *office_name(const struct making *m, const char *code) {
  const struct directory *d = pack_directory(cases_pack(m->o->cases));
  const struct organisation *o = directory_organisation(d, directory_find_organisation(d, code));
  return o ? organisation_name(o, m->l) : code;
}

static const char *county_name(const struct making *m, const char *code) {
  const struct directory *d = pack_directory(cases_pack(m->o->cases));
  const struct place *p = directory_place(d, directory_find_place(d, code));
  return p ? place_name(p, m->l) : word(m->l, "observatory.no_place");
}

static const char *reason_name(const struct making *m, const char *code) {
  const struct pack *p = cases_pack(m->o->cases);
  for (size_t i = 0; i < pack_services(p); i++) {
    const struct service *s = pack_service(p, i);
    if (m->q->service && strcmp(s->code, m->q->service) != 0) continue;
    for (size_t k = 0; k < s->state_count; k++)
      for (size_t a = 0; a < s->states[k].action_count; a++)
        for (size_t n = 0; n < s->states[k].actions[a].reason_count; n++)
          if (strcmp(s->states[k].actions[a].reasons[n].code, code) == 0) return text_in(&s->states[k].actions[a].reasons[n].text, m->l);
  }
  return strcmp(code, "-") == 0 ? word(m->l, "observatory.own_words") : code;
}

/* ---- tables of groups ---- */

static int64_t weight_of(const json_t *sums, const json_t *open) { return sums_get(sums, "arrived") + sums_get(sums, "closed") + sums_get(open, "open"); }

struct ranked { const char *key; const json_t *sums, *open; int64_t weight; };
static int by_weight(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
  return strcmp(x->key, y->key);
}

static size_t rank(const json_t *sums, const json_t *open, struct ranked **out) {
  struct ranked *list = base_alloc((json_object_size(sums) + json_object_size(open) + 1) * sizeof *list);
  size_t n = 0;
  const char *key;
  json_t *v;
  json_object_foreach((json_t *)sums, key, v) list[n++] = (struct ranked){.key = key, .sums = v, .open = json_object_get(open, key)};
  json_object_foreach((json_t *)open, key, v)
    if (!json_object_get(sums, key)) list[n++] = (struct ranked){.key = key, .open = v};
  for (size_t i = 0; i < n; i++) list[i].weight = weight_of(list[i].sums, list[i].open);
  qsort(list, n, sizeof *list, by_weight);
  *out = list;
  return n;
}

static int grouped(struct making *m, enum observe_group by, const char *column, const char *(*name)(const struct making *, const char *), struct err *err) {
  json_t *sums = NULL, *open = NULL;
  struct ranked *list = NULL;
  int rc = observatory_sums(m->o, m->q, by, &sums, err);
  if (rc == 0) rc = observatory_open_now(m->o, m->q, by, &open, err);
  if (rc == 0) {
    table_column(m, "code", "id");
    table_column(m, column, "text");
    group_head(m);
    size_t n = rank(sums, open, &list);
    for (size_t i = 0; i < n; i++) {
      if (!list[i].weight) continue;
      json_t *row = table_row(m);
      cell_text(row, list[i].key);
      cell_text(row, name(m, list[i].key));
      group_cells(m, row, list[i].sums, list[i].open);
    }
  }
  free(list);
  json_decref(sums);
  json_decref(open);
  return rc;
}

static int services(struct making *m, struct err *err) { return grouped(m, GROUP_SERVICE, "service", service_name, err); }
static int organisations(struct making *m, struct err *err) { return grouped(m, GROUP_ORGANISATION, "organisation", office_name, err); }
static int places(struct making *m, struct err *err) { return grouped(m, GROUP_PLACE, "place", county_name, err); }

int observatory_summary(struct observatory *o, const struct observe_query *q, enum lang l, json_t **out, struct err *err) {
  struct making m = {.o = o, .q = q, .l = l, .hide = !q->organisation, .columns = json_array(), .rows = json_array()};
  json_t *sums = NULL, *open = NULL, *row = json_array();
  int rc = observatory_sums(o, q, GROUP_ALL, &sums, err);
  if (rc == 0) rc = observatory_open_now(o, q, GROUP_ALL, &open, err);
  if (rc == 0) {
    group_cells(&m, row, json_object_get(sums, ""), json_object_get(open, ""));
    *out = json_object();
    for (size_t i = 0; i < BASE_COUNT(group_columns); i++) json_object_set(*out, group_columns[i].key, json_array_get(row, i));
    bool few = json_is_string(json_object_get(*out, "late"));
    json_object_set_new(*out, "late_days", few ? json_null() : json_integer(sums_get(json_object_get(open, ""), "late_days")));
  }
  json_decref(sums);
  json_decref(open);
  json_decref(row);
  json_decref(m.columns);
  json_decref(m.rows);
  return rc;
}

/* ---- members of staff ---- */

static const char *staff_name(const json_t *staff, const char *username) {
  size_t i;
  json_t *one;
  json_array_foreach((json_t *)staff, i, one)
    if (base_same(json_str(one, "username"), username)) return json_str(one, "name");
  return username;
}

static int officers(struct making *m, struct err *err) {
  static const struct { const char *key, *kind; } columns[] = {{"username", "id"}, {"officer", "text"}, {"open", "count"}, {"late", "count"}, {"decided", "count"},
    {"granted", "count"}, {"refused", "count"}, {"asked_info", "count"}, {"median", "days"}, {"p90", "days"}, {"decided_late", "count"}, {"acts", "count"}};
  json_t *sums = NULL, *open = NULL, *staff = NULL;
  struct ranked *list = NULL;
  int rc = observatory_sums(m->o, m->q, GROUP_OFFICER, &sums, err);
  if (rc == 0) rc = observatory_open_now(m->o, m->q, GROUP_OFFICER, &open, err);
  if (rc == 0 && m->o->identity && m->q->organisation) rc = identity_staff(m->o->identity, m->q->organisation, &staff, err);
  if (rc == 0) {
    size_t n = rank(sums, open, &list);
    for (size_t i = 0; i < BASE_COUNT(columns); i++) table_column(m, columns[i].key, columns[i].kind);
    for (size_t i = 0; i < n; i++) {
      const struct ranked *k = &list[i];
      if (!k->key[0]) continue; /* decided by silence, or nobody's yet */
      json_t *row = table_row(m);
      cell_text(row, k->key);
      cell_text(row, staff_name(staff, k->key));
      cell_number(row, sums_get(k->open, "open"));
      cell_number(row, sums_get(k->open, "late"));
      for (size_t c = 4; c < 8; c++) cell_number(row, sums_get(k->sums, columns[c].key));
      cell_days(m, row, k->sums, "t.", 0.5);
      cell_days(m, row, k->sums, "t.", 0.9);
      cell_number(row, sums_get(k->sums, "late"));
      cell_number(row, sums_get(k->sums, "acts"));
    }
  }
  free(list);
  json_decref(sums);
  json_decref(open);
  json_decref(staff);
  return rc;
}

/* ---- parts of one sum: reasons, channels, states, ratings ---- */

struct part { char name[128]; int64_t n; };
static int by_n(const void *a, const void *b) {
  const struct part *x = a, *y = b;
  if (x->n != y->n) return x->n < y->n ? 1 : -1;
  return strcmp(x->name, y->name);
}

/* What follows a prefix, up to the next dot where `dotted`, with its sum; at most 200. */
static size_t parts_of(const json_t *sums, const char *prefix, bool dotted, struct part *out, int64_t *all) {
  size_t n = 0, k;
  const char *name;
  json_t *v;
  *all = 0;
  json_object_foreach((json_t *)sums, name, v) {
    char rest[128];
    if (!base_starts(name, prefix)) continue;
    snprintf(rest, sizeof rest, "%s", name + strlen(prefix));
    if (dotted && strrchr(rest, '.')) *strrchr(rest, '.') = 0;
    for (k = 0; k < n && strcmp(out[k].name, rest) != 0;) k++;
    if (k == 200) continue;
    if (k == n) {
      out[n] = (struct part){.n = 0};
      snprintf(out[n++].name, sizeof out[0].name, "%s", rest);
    }
    out[k].n += json_integer_value(v);
    *all += json_integer_value(v);
  }
  qsort(out, n, sizeof *out, by_n);
  return n;
}

static int parts(struct making *m, const char *prefix, const char *column, const char *(*name)(const struct making *, const char *), struct err *err) {
  struct part list[200];
  json_t *sums = NULL;
  int64_t all;
  if (observatory_sums(m->o, m->q, GROUP_ALL, &sums, err)) return -1;
  size_t n = parts_of(json_object_get(sums, ""), prefix, false, list, &all);
  table_column(m, "code", "id");
  table_column(m, column, "text");
  table_column(m, "count", "count");
  table_column(m, "share", "share");
  for (size_t i = 0; i < n; i++) {
    json_t *row = table_row(m);
    cell_text(row, list[i].name);
    cell_text(row, name(m, list[i].name));
    cell_count(m, row, list[i].n);
    cell_share(m, row, list[i].n, m->hide && list[i].n < FEW ? 0 : all);
  }
  json_decref(sums);
  return 0;
}

static const char *channel_name(const struct making *m, const char *code) {
  char key[64];
  snprintf(key, sizeof key, "observatory.channel_%s", code);
  return word_known(key) ? word(m->l, key) : code;
}
static const char *score_name(const struct making *m, const char *code) { return digits_local(m->a, m->l, code); }

static int reasons(struct making *m, struct err *err) { return parts(m, "why.", "reason", reason_name, err); }
static int channels(struct making *m, struct err *err) { return parts(m, "i.", "channel", channel_name, err); }
static int ratings(struct making *m, struct err *err) { return parts(m, "rate.", "score", score_name, err); }

static int states(struct making *m, struct err *err) {
  struct part list[200];
  json_t *sums = NULL;
  int64_t all;
  const struct service *s = m->q->service ? pack_find_shown(cases_pack(m->o->cases), m->q->service) : NULL;
  if (observatory_sums(m->o, m->q, GROUP_ALL, &sums, err)) return -1;
  const json_t *one = json_object_get(sums, "");
  size_t n = parts_of(one, "s.", true, list, &all);
  table_column(m, "code", "id");
  table_column(m, "state", "text");
  table_column(m, "passed", "count");
  table_column(m, "median", "days");
  table_column(m, "p90", "days");
  table_column(m, "state_legal", "days");
  for (size_t i = 0; i < n; i++) {
    int at = s ? service_state(s, list[i].name) : -1;
    json_t *row = table_row(m);
    char prefix[140];
    snprintf(prefix, sizeof prefix, "s.%.120s.", list[i].name);
    cell_text(row, list[i].name);
    cell_text(row, at >= 0 ? text_in(&s->states[at].title, m->l) : list[i].name);
    cell_count(m, row, list[i].n);
    cell_days(m, row, one, prefix, 0.5);
    cell_days(m, row, one, prefix, 0.9);
    if (at >= 0 && s->states[at].legal >= 0) cell_number(row, s->states[at].legal);
    else cell_text(row, NULL);
  }
  json_decref(sums);
  return 0;
}

/* ---- what is open, by age ---- */

static int ages(struct making *m, struct err *err) {
  json_t *open = NULL;
  int64_t all = 0;
  if (observatory_open_now(m->o, m->q, GROUP_ALL, &open, err)) return -1;
  const json_t *one = json_object_get(open, ""), *list = json_object_get(one, "ages");
  all = sums_get(one, "open");
  table_column(m, "age", "text");
  table_column(m, "count", "count");
  table_column(m, "share", "share");
  for (int i = 0; i < AGES; i++) {
    json_t *row = table_row(m);
    int64_t n = json_integer_value(json_array_get(list, (size_t)i));
    const char *low = number_format(m->a, m->l, i ? age_bounds[i - 1] + 1 : 0), *high = number_format(m->a, m->l, age_bounds[i]);
    cell_text(row, i < AGES - 1 ? word_fill(m->a, m->l, "observatory.days_from_to", "from", low, "to", high, NULL) : word_fill(m->a, m->l, "observatory.days_more", "from", low, NULL));
    cell_count(m, row, n);
    cell_share(m, row, n, all);
  }
  json_decref(open);
  return 0;
}

/* ---- how it goes: by day up to a month and a half, by week up to half a year, then by month; also where nothing happened ---- */

static int trend(struct making *m, struct err *err) {
  struct period p = m->q->period;
  int32_t days = p.to - p.from + 1, today = cases_today();
  enum observe_group by = days <= 16 ? GROUP_DAY : days <= 190 ? GROUP_WEEK : GROUP_MONTH;
  json_t *sums = NULL;
  if (observatory_sums(m->o, m->q, by, &sums, err)) return -1;
  table_column(m, "since", "text");
  table_column(m, "arrived", "count");
  table_column(m, "closed", "count");
  table_column(m, "late_closed", "count");
  int32_t at = by == GROUP_WEEK ? p.from - (day_weekday(p.from) + 1) % 7 : by == GROUP_MONTH ? month_start(p.from) : p.from;
  while (at <= p.to && at <= today) {
    char key[16];
    struct date d = day_to_jalali(at);
    if (by == GROUP_MONTH) snprintf(key, sizeof key, "%04d-%02d", d.year, d.month);
    else date_iso(at, key);
    const json_t *one = json_object_get(sums, key);
    json_t *row = table_row(m);
    char year[16];
    snprintf(year, sizeof year, "%d", d.year);
    cell_text(row, by == GROUP_MONTH ? arena_printf(m->a, "%s %s", jalali_month(m->l, d.month), digits_local(m->a, m->l, year)) : date_short(m->a, m->l, at < p.from ? p.from : at));
    cell_count(m, row, sums_get(one, "arrived"));
    cell_count(m, row, sums_get(one, "closed"));
    cell_count(m, row, sums_get(one, "legal_of") - sums_get(one, "legal_in"));
    at = by == GROUP_DAY ? at + 1 : by == GROUP_WEEK ? at + 7 : month_start(at + 32);
  }
  json_decref(sums);
  return 0;
}

/* ---- organisations that are asked by others ---- */

static int asked(struct making *m, struct err *err) {
  static const char *const columns[] = {"q_asked", "q_answered", "q_silent", "q_late"};
  struct observe_query all = *m->q;
  json_t *sums = NULL, *v;
  const char *key;
  if (observatory_sums(m->o, &all, GROUP_ORGANISATION, &sums, err)) return -1;
  table_column(m, "code", "id");
  table_column(m, "organisation", "text");
  for (size_t i = 0; i < BASE_COUNT(columns); i++) table_column(m, columns[i], "count");
  table_column(m, "median", "days");
  json_object_foreach(sums, key, v) {
    if (!sums_get(v, "q_asked") && !sums_get(v, "q_answered") && !sums_get(v, "q_late")) continue;
    json_t *row = table_row(m);
    cell_text(row, key);
    cell_text(row, office_name(m, key));
    for (size_t i = 0; i < BASE_COUNT(columns); i++) cell_count(m, row, sums_get(v, columns[i]));
    cell_days(m, row, v, "q.", 0.5);
  }
  json_decref(sums);
  return 0;
}

/* ---- units that decide, and how ---- */

static int fairness(struct making *m, struct err *err) {
  static const char *const outcomes[] = {"refused", "asked", "slow"};
  json_t *found = NULL, *staff = NULL, *u;
  size_t k;
  if (observatory_fairness(m->o, m->q, &found, err)) return -1;
  if (m->o->identity && m->q->organisation && identity_staff(m->o->identity, m->q->organisation, &staff, err)) {
    json_decref(found);
    return -1;
  }
  static const struct { const char *key, *kind; } columns[] = {{"code", "id"}, {"unit", "text"}, {"outcome", "text"}, {"compared", "count"}, {"happened", "count"}, {"rate", "share"},
    {"low", "share"}, {"high", "share"}, {"others", "share"}, {"shrunk", "share"}, {"verdict", "text"}};
  for (size_t i = 0; i < BASE_COUNT(columns); i++) table_column(m, columns[i].key, columns[i].kind);
  for (size_t i = 0; i < BASE_COUNT(outcomes); i++)
    json_array_foreach(json_object_get(json_object_get(json_object_get(found, "outcomes"), outcomes[i]), "units"), k, u) {
      char key[64];
      const char *name = json_str(u, "unit"), *verdict = json_str(u, "verdict");
      bool few = base_same(verdict, "few");
      if (!json_int(u, "n", 0)) continue; /* nobody to compare with */
      json_t *row = table_row(m);
      cell_text(row, name);
      cell_text(row, m->q->organisation ? staff_name(staff, name) : office_name(m, name));
      snprintf(key, sizeof key, "observatory.outcome_%s", outcomes[i]);
      cell_text(row, word(m->l, key));
      cell_count(m, row, json_int(u, "n", 0));
      cell_count(m, row, json_int(u, "x", 0));
      for (size_t c = 5; c < 10; c++) json_array_append_new(row, few ? json_null() : json_real(json_real_value(json_object_get(u, columns[c].key))));
      snprintf(key, sizeof key, "observatory.verdict_%s", verdict);
      cell_text(row, word(m->l, key));
    }
  json_decref(found);
  json_decref(staff);
  return 0;
}

int observatory_table(struct observatory *o, enum table_name t, const struct observe_query *q, enum lang l, json_t **out, struct err *err) {
  static int (*const makers[])(struct making *m, struct err *err) = {services, organisations, places, officers, states, reasons, channels, ages, trend, asked, ratings, observatory_survey_table, fairness, observatory_costs_table, observatory_network_table};
  struct making m = {.o = o, .q = q, .l = l, .a = arena_new(4 * 1024 * 1024), .hide = !q->organisation, .columns = json_array(), .rows = json_array()};
  char from[16], to[16], key[64];
  int rc = makers[t](&m, err);
  if (rc == 0) {
    date_iso(q->period.from, from);
    date_iso(q->period.to, to);
    snprintf(key, sizeof key, "observatory.t_%s", names[t]);
    *out = json_pack("{s:s,s:s,s:{s:s,s:s,s:s},s:o,s:o}", "name", names[t], "title", word(l, key), "period", "from", from, "to", to, "name", period_name(m.a, l, q->period),
                     "columns", json_incref(m.columns), "rows", json_incref(m.rows));
    if (m.note) json_put(*out, "note", m.note);
  }
  json_decref(m.columns);
  json_decref(m.rows);
  arena_free(m.a);
  return rc;
}
