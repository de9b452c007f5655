/* Sums over any span and any group, series of one office, repairs. */
#include "network/inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double network_availability_of(const struct network_sums *s, int hours) {
  int64_t good = s->up[hours] + s->degraded[hours], all = good + s->own[hours] + s->upstream[hours];
  return all > 0 ? (double)good / (double)all : NAN;
}

static void add(struct network_sums *to, const struct sums *s) {
  int64_t *by_state[NETWORK_STATES] = {to->up, to->degraded, to->own, to->upstream, to->maintenance, to->unknown};
  for (int i = 0; i < NETWORK_STATES; i++)
    for (int h = 0; h < 2; h++) by_state[i][h] += s->ms[i][h];
  to->probes += s->probes;
  to->sent += s->sent;
  to->lost += s->lost;
  to->rtt_count += s->answered;
  to->rtt_sum += s->rtt_sum;
}

/* ---- groups -------------------------------------------------------------------------------------------------------- */

struct grouping {
  struct network *n;
  const struct network_availability_query *q;
  int32_t *group;                    /* of a key, -1: not asked for */
  uint32_t keys;
  struct network_line *lines;
  unsigned char *seen;               /* of a key: counted among the offices of its line */
  double *goals;                     /* sum over the offices of a line */
};

static bool asked(const struct network *n, const struct network_availability_query *q, const struct network_office *o) {
  if (q->place >= 0 && !directory_within(n->d, o->place, q->place)) return false;
  if (q->office && !base_same(q->office, o->code)) return false;
  return !q->organisation || (o->organisation >= 0 && base_same(directory_organisation(n->d, o->organisation)->code, q->organisation));
}

/* Number of the line that an office belongs to, before lines are put in order. */
static int line_of(const struct network *n, enum network_group by, const struct network_office *o, struct network_line *line) {
  const struct place *p;
  const struct organisation *g;
  switch (by) {
  case NETWORK_BY_COUNTY:
    if (!(p = directory_place(n->d, o->county))) return -1;
    *line = (struct network_line){.key = p->code, .name_fa = p->name_fa, .name_en = place_name(p, LANG_EN)};
    return o->county;
  case NETWORK_BY_SETTING: {
    const char *key = o->setting == PLACE_RURAL ? "rural" : "urban", *name = o->setting == PLACE_RURAL ? "network.rural" : "network.urban";
    *line = (struct network_line){.key = key, .name_fa = word(LANG_FA, name), .name_en = word(LANG_EN, name)};
    return o->setting == PLACE_RURAL;
  }
  case NETWORK_BY_LEVEL: {
    static const char *const names[] = {"network.level_core", "network.level_hub", "network.level_district", "network.level_office", "network.level_dehyari"};
    *line = (struct network_line){.key = network_level_text(o->level), .name_fa = word(LANG_FA, names[o->level]), .name_en = word(LANG_EN, names[o->level])};
    return (int)o->level;
  }
  case NETWORK_BY_ORGANISATION:
    if (!(g = directory_organisation(n->d, o->organisation))) return -1;
    *line = (struct network_line){.key = g->code, .name_fa = g->name_fa, .name_en = organisation_name(g, LANG_EN)};
    return o->organisation;
  case NETWORK_BY_OFFICE:
    *line = (struct network_line){.key = o->code, .name_fa = o->name_fa, .name_en = o->name_en};
    return o->node;
  default:
    for (size_t i = 0; i < directory_places(n->d); i++)
      if (directory_place(n->d, (int)i)->parent < 0) {
        p = directory_place(n->d, (int)i);
        *line = (struct network_line){.key = p->code, .name_fa = p->name_fa, .name_en = place_name(p, LANG_EN)};
        return 0;
      }
    return -1;
  }
}

static int by_key(const void *a, const void *b) { return strcmp(((const struct network_line *)a)->key, ((const struct network_line *)b)->key); }

static size_t make_lines(struct grouping *k) {
  const struct network *n = k->n;
  size_t room = (size_t)n->real + directory_places(n->d) + directory_organisations(n->d) + 8, count = 0;
  int32_t *line = base_alloc(room * sizeof *line), *wanted = base_alloc(((size_t)n->real + 1) * sizeof *wanted);
  k->lines = base_alloc(((size_t)n->real + 8) * sizeof *k->lines);
  for (size_t i = 0; i < room; i++) line[i] = -1;
  for (int i = 0; i < n->real; i++) {
    struct network_line new;
    wanted[i] = n->nodes[i].active && asked(n, k->q, &n->nodes[i].o) ? line_of(n, k->q->by, &n->nodes[i].o, &new) : -1;
    if (n->nodes[i].key >= k->keys) k->keys = n->nodes[i].key + 1;
    if (wanted[i] < 0 || line[wanted[i]] >= 0) continue;
    line[wanted[i]] = (int32_t)count;
    new.budget_ms = wanted[i]; /* for now: where it came from */
    k->lines[count++] = new;
  }
  qsort(k->lines, count, sizeof *k->lines, by_key);
  for (size_t i = 0; i < count; i++) line[k->lines[i].budget_ms] = (int32_t)i, k->lines[i].budget_ms = 0;
  k->group = base_alloc(((size_t)k->keys + 1) * sizeof *k->group);
  k->seen = base_alloc((size_t)k->keys + 1);
  k->goals = base_alloc((count + 1) * sizeof *k->goals);
  for (uint32_t i = 0; i < k->keys; i++) k->group[i] = -1;
  for (int i = 0; i < n->real; i++) {
    if (wanted[i] < 0) continue;
    k->group[n->nodes[i].key] = line[wanted[i]];
    k->lines[line[wanted[i]]].sums.offices++;
    k->goals[line[wanted[i]]] += network_goal_at(n, &n->nodes[i].o);
  }
  free(line);
  free(wanted);
  return count;
}

static void group_block(void *ctx, const struct sums *s) {
  struct grouping *k = ctx;
  if (s->key < k->keys && k->group[s->key] >= 0) add(&k->lines[k->group[s->key]].sums, s);
}

struct counting { struct grouping *g; int64_t from, to; };

static int count_work(struct store_tx *tx, void *arg, struct err *err) {
  struct counting *k = arg;
  for (uint32_t i = 0; i < k->g->keys; i++)
    if (k->g->group[i] >= 0) k->g->lines[k->g->group[i]].incidents = 0;
  struct store_rows *r = store_select(tx, err, "SELECT office FROM network_incident WHERE began>=?1 AND began<?2", "ii", k->from, k->to);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    const struct node *node = network_at(k->g->n, store_text(r, 0));
    if (node && k->g->group[node->key] >= 0) k->g->lines[k->g->group[node->key]].incidents++;
  }
  store_done(r);
  return rc;
}

int network_availability(struct network *n, const struct network_availability_query *q, struct network_line **out, size_t *count, struct err *err) {
  struct grouping k = {.n = n, .q = q};
  struct counting c = {&k, q->from_ms ? q->from_ms : day_start(q->from), q->from_ms ? q->to_ms : day_start(q->to + 1)};
  if (c.to <= c.from || c.to - c.from > 3701 * INT64_C(86400000)) return err_set(err, ERR_INVALID, "availability is asked for 1 to 3,700 days");
  pthread_rwlock_rdlock(&n->plan);
  *count = make_lines(&k);
  int rc = rollup_each(n, c.from, c.to, false, group_block, &k, err);
  if (rc == 0) rc = store_read(n->main, count_work, &c, err);
  for (size_t i = 0; i < *count; i++) {
    struct network_line *l = &k.lines[i];
    int64_t measured = l->sums.up[1] + l->sums.degraded[1] + l->sums.own[1] + l->sums.upstream[1];
    l->goal = l->sums.offices ? k.goals[i] / (double)l->sums.offices : NAN;
    l->budget_ms = (int64_t)((1 - l->goal) * (double)measured);
    l->budget_left_ms = l->budget_ms - l->sums.own[1] - l->sums.upstream[1];
  }
  pthread_rwlock_unlock(&n->plan);
  free(k.group);
  free(k.seen);
  free(k.goals);
  if (rc) free(k.lines);
  else *out = k.lines;
  return rc;
}

void network_availability_free(struct network_line *lines, size_t count) { free(lines); }

static json_t *times(const struct network_sums *s, int h) {
  return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "up", (json_int_t)s->up[h], "degraded", (json_int_t)s->degraded[h], "own", (json_int_t)s->own[h], "upstream", (json_int_t)s->upstream[h],
                   "maintenance", (json_int_t)s->maintenance[h], "unknown", (json_int_t)s->unknown[h]);
}

static void put_sums(json_t *j, const struct network_sums *s) {
  json_object_set_new(j, "availability", json_pack("{s:o,s:o}", "all", real_json(network_availability_of(s, 0), 6), "service", real_json(network_availability_of(s, 1), 6)));
  json_object_set_new(j, "ms", json_pack("{s:o,s:o}", "all", times(s, 0), "service", times(s, 1)));
  json_object_set_new(j, "loss", s->sent ? real_json((double)s->lost / (double)s->sent, 5) : json_null());
  json_object_set_new(j, "rtt_ms", s->rtt_count ? real_json(s->rtt_sum / (double)s->rtt_count, 3) : json_null());
}

int network_availability_json(struct network *n, const struct network_availability_query *q, enum lang l, json_t **out, struct err *err) {
  struct network_line *lines;
  size_t count;
  char from[16], to[16];
  static const char *const groups[] = {
#define X(name, text) text,
    NETWORK_GROUP_TABLE(X)
#undef X
  };
  if (network_availability(n, q, &lines, &count, err)) return -1;
  json_t *items = json_array();
  for (size_t i = 0; i < count; i++) {
    const struct network_line *k = &lines[i];
    json_t *j = json_object();
    json_put(j, "key", k->key);
    json_put(j, "name", l == LANG_EN ? k->name_en : k->name_fa);
    json_object_set_new(j, "offices", json_integer(k->sums.offices));
    put_sums(j, &k->sums);
    json_object_set_new(j, "incidents", json_integer(k->incidents));
    json_object_set_new(j, "goal", real_json(k->goal, 6));
    json_object_set_new(j, "budget_s", json_integer(k->budget_ms / 1000));
    json_object_set_new(j, "budget_left_s", json_integer(k->budget_left_ms / 1000));
    json_array_append_new(items, j);
  }
  network_availability_free(lines, count);
  date_iso(q->from, from);
  date_iso(q->to, to);
  *out = json_pack("{s:s,s:s,s:s,s:o}", "from", from, "to", to, "by", groups[q->by], "items", items);
  return 0;
}

/* ---- series --------------------------------------------------------------------------------------------------------------- */

struct series {
  struct network *n;
  uint32_t key;
  int64_t from, until;
  struct sums all, one;
  json_t *points, *states;
  char code[NETWORK_CODE];
};

static void point_put(json_t *points, int64_t at, int64_t until, int64_t probes, int64_t sent, int64_t lost, const double v[6]) {
  static const char *const names[] = {"min", "p10", "median", "p90", "max", "jitter"};
  json_t *p = json_object();
  json_object_set_new(p, "at", time_json(at));
  json_object_set_new(p, "until", time_json(until));
  json_object_set_new(p, "probes", json_integer(probes));
  json_object_set_new(p, "sent", json_integer(sent));
  json_object_set_new(p, "lost", json_integer(lost));
  for (int i = 0; i < 6; i++) json_object_set_new(p, names[i], real_json(v[i], 3));
  json_array_append_new(points, p);
}

static int raw_points(struct store_tx *tx, void *arg, struct err *err) {
  struct series *k = arg;
  json_array_clear(k->points);
  struct store_rows *r = store_select(tx, err, "SELECT at,bytes FROM network_raw WHERE at>=?1 AND at<?2 AND until>=?3 ORDER BY at", "iii", hour_start(k->from), k->until, k->from);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    size_t size;
    struct sample s;
    const unsigned char *at = store_blob(r, 1, &size), *end = at + size;
    while (at && raw_next(&at, end, store_int(r, 0), &s))
      if (s.key == k->key && s.at >= k->from && s.at < k->until)
        point_put(k->points, s.at, s.at, 1, s.sent, s.lost, (const double[]){s.min, s.min, s.median, s.p95, s.max, s.jitter});
  }
  store_done(r);
  return rc;
}

static void series_block(void *ctx, const struct sums *s) {
  struct series *k = ctx;
  if (s->key == k->key) sums_add(&k->one, s);
}

static int sum_points(struct series *k, enum network_span span, struct err *err) {
  for (int64_t at = k->from, next; at < k->until; at = next) {
    next = span == NETWORK_DAY ? at + HOUR_MS : span == NETWORK_MONTH ? day_start(day_of(at) + 1) : month_next(at);
    k->one = (struct sums){.min = NAN, .max = NAN};
    if (rollup_each(k->n, at, next < k->until ? next : k->until, true, series_block, k, err)) return -1;
    const struct sums *s = &k->one;
    bool any = s->answered > 0;
    double v[] = {any ? s->min : NAN, bins_quantile(s->bins, 0.1), bins_quantile(s->bins, 0.5), bins_quantile(s->bins, 0.9), any ? s->max : NAN, any ? s->jitter_sum / s->answered : NAN};
    point_put(k->points, at, next, s->probes, s->sent, s->lost, v);
    sums_add(&k->all, s);
  }
  return 0;
}

static int states_work(struct store_tx *tx, void *arg, struct err *err) {
  struct series *k = arg;
  int64_t before = 0;
  json_array_clear(k->states);
  if (store_value(tx, &before, 0, err, "SELECT MAX(since) FROM network_span WHERE office=?1 AND since<=?2", "ti", k->code, k->from)) return -1;
  struct store_rows *r = store_select(tx, err, "SELECT since,state,incident FROM network_span WHERE office=?1 AND since>=?2 AND since<?3 ORDER BY since LIMIT 2000", "tii", k->code, before, k->until);
  if (!r) return -1;
  int rc;
  json_t *last = NULL;
  while ((rc = store_next(r, err)) == 1) {
    int64_t since = store_int(r, 0) > k->from ? store_int(r, 0) : k->from;
    if (last) json_object_set_new(last, "until", time_json(since));
    last = json_object();
    json_object_set_new(last, "from", time_json(since));
    json_object_set_new(last, "until", time_json(k->until));
    json_put(last, "state", network_state_text((enum network_state)store_int(r, 1)));
    json_object_set_new(last, "incident", store_int(r, 2) ? json_integer(store_int(r, 2)) : json_null());
    json_array_append_new(k->states, last);
  }
  store_done(r);
  return rc;
}

static void span_bounds(struct series *k, enum network_span span, int64_t until) {
  struct date j = day_to_jalali(day_of(until));
  k->until = until;
  if (span == NETWORK_HOUR) k->from = until - HOUR_MS;
  else if (span == NETWORK_DAY) k->from = hour_start(until - 1) - 23 * (int64_t)HOUR_MS;
  else if (span == NETWORK_MONTH) k->from = day_start(day_of(until) - 29);
  else {
    int month = j.month == 12 ? 1 : j.month + 1, year = j.month == 12 ? j.year : j.year - 1;
    k->from = day_start(day_from_jalali((struct date){year, month, 1}));
  }
}

int network_series(struct network *n, const char *code, enum network_span span, int64_t until, json_t **out, struct err *err) {
  struct series k = {.n = n, .points = json_array(), .states = json_array(), .all = {.min = NAN, .max = NAN}};
  int64_t now = network_now(n);
  int rc = 0;
  pthread_rwlock_rdlock(&n->plan);
  const struct node *node = network_at(n, code);
  if (!node) rc = err_set(err, ERR_NOT_FOUND, "there is no office %.64s", code);
  else {
    snprintf(k.code, sizeof k.code, "%s", node->o.code);
    k.key = node->key;
    span_bounds(&k, span, until > 0 && until < now ? until : now);
  }
  if (rc == 0) rc = network_settle(n, err);
  if (rc == 0 && span != NETWORK_HOUR) rc = sum_points(&k, span, err);
  else if (rc == 0) {
    rc = store_read(n->samples, raw_points, &k, err);
    k.one = (struct sums){.min = NAN, .max = NAN};
    if (rc == 0) rc = rollup_each(n, k.from, k.until, true, series_block, &k, err);
    k.all = k.one;
  }
  pthread_rwlock_unlock(&n->plan);
  if (rc == 0) rc = store_read(n->samples, states_work, &k, err);
  if (rc) {
    json_decref(k.points);
    json_decref(k.states);
    return -1;
  }
  struct network_sums sums = {.offices = 1};
  json_t *a = json_object();
  add(&sums, &k.all);
  put_sums(a, &sums);
  *out = json_pack("{s:o,s:o,s:o,s:o,s:o}", "from", time_json(k.from), "until", time_json(k.until), "points", k.points, "states", k.states, "availability", a);
  return 0;
}

/* ---- repairs ------------------------------------------------------------------------------------------------------------------ */

struct repeat { int node; int64_t incidents, down, last; };
struct repairs { struct network *n; int64_t from, to, *lasted; size_t closed, room; int place; int64_t incidents, acknowledged, waited; struct repeat *by; };

static int repairs_work(struct store_tx *tx, void *arg, struct err *err) {
  struct repairs *k = arg;
  k->closed = 0;
  k->incidents = k->acknowledged = k->waited = 0;
  memset(k->by, 0, ((size_t)k->n->real + 1) * sizeof *k->by);
  struct store_rows *r = store_select(tx, err, "SELECT office,began,ended,acknowledged_at,kind FROM network_incident WHERE began>=?1 AND began<?2 AND kind<>'prober' ORDER BY began", "ii", k->from, k->to);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    const struct node *node = network_at(k->n, store_text(r, 0));
    if (!node || (k->place >= 0 && !directory_within(k->n->d, node->o.place, k->place))) continue;
    int64_t began = store_int(r, 1), ended = store_int(r, 2);
    bool down = base_same(store_text(r, 4), "down");
    struct repeat *p = &k->by[node->o.node];
    k->incidents++;
    p->node = node->o.node;
    p->incidents++;
    p->last = began;
    if (store_int(r, 3)) k->acknowledged++, k->waited += store_int(r, 3) - began;
    if (!down || !ended) continue;
    p->down += ended - began;
    if (k->closed == k->room) k->lasted = base_realloc(k->lasted, (k->room = k->room * 2 + 64) * sizeof *k->lasted);
    k->lasted[k->closed++] = ended - began;
  }
  store_done(r);
  return rc;
}

static int by_length(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static int by_incidents(const void *a, const void *b) {
  const struct repeat *x = a, *y = b;
  if (x->incidents != y->incidents) return x->incidents < y->incidents ? 1 : -1;
  return x->down != y->down ? (x->down < y->down ? 1 : -1) : x->node - y->node;
}

int network_repairs(struct network *n, int32_t from, int32_t to, int place, int limit, enum lang l, json_t **out, struct err *err) {
  struct repairs k = {.n = n, .from = day_start(from), .to = day_start(to + 1), .place = place};
  json_t *repeat = json_array();
  int64_t sum = 0;
  char first[16], last[16];
  pthread_rwlock_rdlock(&n->plan);
  k.by = base_alloc(((size_t)n->real + 1) * sizeof *k.by);
  int rc = store_read(n->main, repairs_work, &k, err);
  if (rc == 0 && k.closed) qsort(k.lasted, k.closed, sizeof *k.lasted, by_length);
  for (size_t i = 0; rc == 0 && i < k.closed; i++) sum += k.lasted[i];
  qsort(k.by, (size_t)n->real, sizeof *k.by, by_incidents);
  if (limit < 1 || limit > 500) limit = 50;
  for (int i = 0; rc == 0 && i < n->real && i < limit && k.by[i].incidents > 1; i++) {
    const struct repeat *p = &k.by[i];
    json_t *j = json_object();
    json_put(j, "office", n->nodes[p->node].o.code);
    json_put(j, "name", network_name(&n->nodes[p->node].o, l));
    json_object_set_new(j, "incidents", json_integer(p->incidents));
    json_object_set_new(j, "down_s", json_integer(p->down / 1000));
    json_object_set_new(j, "mean_s", json_integer(p->down / p->incidents / 1000));
    json_object_set_new(j, "last", time_json(p->last));
    json_array_append_new(repeat, j);
  }
  pthread_rwlock_unlock(&n->plan);
  date_iso(from, first);
  date_iso(to, last);
  json_t *repair = k.closed ? json_pack("{s:I,s:I,s:I}", "mean_s", (json_int_t)(sum / (int64_t)k.closed / 1000), "median_s", (json_int_t)(k.lasted[k.closed / 2] / 1000),
                                        "p90_s", (json_int_t)(k.lasted[k.closed * 9 / 10] / 1000)) : json_null();
  json_t *acknowledge = k.acknowledged ? json_pack("{s:I}", "mean_s", (json_int_t)(k.waited / k.acknowledged / 1000)) : json_null();
  free(k.lasted);
  free(k.by);
  *out = json_pack("{s:s,s:s,s:I,s:o,s:o,s:o}", "from", first, "to", last, "incidents", (json_int_t)k.incidents, "repair", repair, "acknowledge", acknowledge, "repeat", repeat);
  if (rc) json_decref(*out);
  return rc;
}
