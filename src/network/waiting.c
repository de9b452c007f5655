/* What is not connected yet and since when it waits; what was covered on which day; whether a new link may be accepted. */
#include "network/inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EVERY_MS = 60000 };
struct row { const char *code; int index; bool village; };

static int by_row(const void *a, const void *b) { return strcmp(((const struct row *)a)->code, ((const struct row *)b)->code); }

/* Under the plan. Caller frees; in order of codes. */
static struct row *rows_of(struct network *n, int place, size_t *count) {
  size_t places = directory_places(n->d);
  unsigned char *there = base_alloc(places + 1);
  struct row *rows = base_alloc(((size_t)n->real + places + 1) * sizeof *rows);
  *count = 0;
  pthread_mutex_lock(&n->lock);
  for (int i = 0; i < n->real; i++) {
    const struct node *k = &n->nodes[i];
    if (!k->active) continue;
    if (k->o.place >= 0) there[k->o.place] = 1;
    if (!k->connected_at && (place < 0 || directory_within(n->d, k->o.place, place))) rows[(*count)++] = (struct row){k->o.code, i, false};
  }
  pthread_mutex_unlock(&n->lock);
  for (size_t i = 0; i < places; i++) {
    const struct place *p = directory_place(n->d, (int)i);
    if (p->kind == PLACE_VILLAGE && !there[i] && network_village_large(n, (int)i) && (place < 0 || directory_within(n->d, (int)i, place))) rows[(*count)++] = (struct row){p->code, (int)i, true};
  }
  free(there);
  qsort(rows, *count, sizeof *rows, by_row);
  return rows;
}

/* ---- since when -------------------------------------------------------------------------------------------------------- */

struct since { char code[NETWORK_CODE]; int64_t at; };
struct reading { struct since *list; size_t count, room; };

static int read_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  int rc;
  k->count = 0;
  struct store_rows *r = store_select(tx, err, "SELECT code,since FROM network_waiting", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    if (k->count == k->room) k->list = base_realloc(k->list, (k->room = k->room * 2 + 256) * sizeof *k->list);
    snprintf(k->list[k->count].code, NETWORK_CODE, "%s", store_text(r, 0));
    k->list[k->count++].at = store_int(r, 1);
  }
  store_done(r);
  return rc;
}

static int by_code(const void *a, const void *b) { return strcmp(((const struct since *)a)->code, ((const struct since *)b)->code); }

static int since_read(struct network *n, struct reading *k, struct err *err) {
  if (store_read(n->main, read_work, k, err)) return -1;
  if (k->count) qsort(k->list, k->count, sizeof *k->list, by_code);
  return 0;
}

static int64_t since_of(const struct reading *k, const char *code) {
  struct since wanted = {.at = 0};
  snprintf(wanted.code, sizeof wanted.code, "%s", code);
  const struct since *found = k->count ? bsearch(&wanted, k->list, k->count, sizeof *k->list, by_code) : NULL;
  return found ? found->at : 0;
}

struct keeping { const struct reading *was; const struct row *rows; size_t count; int64_t now; };

static int keep_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct keeping *k = arg;
  for (size_t i = 0; i < k->count; i++)
    if (!since_of(k->was, k->rows[i].code) &&
        store_put(tx, err, "INSERT INTO network_waiting (code,since) VALUES (?1,?2) ON CONFLICT (code) DO NOTHING", "ti", k->rows[i].code, k->now)) return -1;
  for (size_t i = 0; i < k->was->count; i++) {
    struct row wanted = {k->was->list[i].code, 0, false};
    if (!(k->count && bsearch(&wanted, k->rows, k->count, sizeof *k->rows, by_row)) &&
        store_put(tx, err, "DELETE FROM network_waiting WHERE code=?1", "t", wanted.code)) return -1;
  }
  return 0;
}

/* ---- coverage by day ----------------------------------------------------------------------------------------------------- */

struct covering { struct network *n; int32_t day; };

static int cover_one(struct store_tx *tx, const struct covering *k, int place, struct err *err) {
  struct network_coverage c;
  network_coverage(k->n, place, &c);
  return store_put(tx, err, "INSERT INTO network_coverage (day,place,offices,connected,villages_large,villages_connected) VALUES (?1,?2,?3,?4,?5,?6) ON CONFLICT (day,place) DO UPDATE SET "
                            "offices=excluded.offices,connected=excluded.connected,villages_large=excluded.villages_large,villages_connected=excluded.villages_connected", "itiiii",
                   (int64_t)k->day, directory_place(k->n->d, place)->code, c.offices, c.connected, c.villages_large, c.villages_connected);
}

static int cover_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct covering *k = arg;
  for (size_t i = 0; i < directory_places(k->n->d); i++) {
    const struct place *p = directory_place(k->n->d, (int)i);
    if ((p->kind == PLACE_COUNTY || p->parent < 0) && cover_one(tx, k, (int)i, err)) return -1;
  }
  return 0;
}

struct covered { const char *place; int32_t from, to; struct network_coverage *out; int32_t day; bool found; };

static int covered_work(struct store_tx *tx, void *arg, struct err *err) {
  struct covered *k = arg;
  k->found = false;
  struct store_rows *r = store_select(tx, err, "SELECT day,offices,connected,villages_large,villages_connected FROM network_coverage WHERE place=?1 AND day>=?2 AND day<=?3 ORDER BY day DESC LIMIT 1", "tii",
                                      k->place, (int64_t)k->from, (int64_t)k->to);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    k->found = true;
    k->day = (int32_t)store_int(r, 0);
    *k->out = (struct network_coverage){store_int(r, 1), store_int(r, 2), store_int(r, 3), store_int(r, 4), 0};
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int network_coverage_in(struct network *n, int place, int32_t from, int32_t to, struct network_coverage *out, int32_t *day, struct err *err) {
  const struct place *p = directory_place(n->d, place);
  struct covered k = {.place = p ? p->code : "", .from = from, .to = to, .out = out};
  if (store_read(n->main, covered_work, &k, err)) return -1;
  *day = k.day;
  return k.found;
}

/* ---- the job ------------------------------------------------------------------------------------------------------------- */

int waiting_jobs(struct network *n, int64_t *did, struct err *err) { /* under the plan */
  int64_t mono = clock_mono(), now = network_now(n);
  struct reading was = {0};
  struct keeping k = {.was = &was, .now = now};
  struct covering c = {n, day_of(now)};
  pthread_mutex_lock(&n->lock);
  if (!n->waiting_from && n->probed) n->waiting_from = mono + n->o.interval_ms + 5000; /* before the first round of results everything would seem to wait */
  pthread_mutex_unlock(&n->lock);
  if (!n->waiting_from || mono < n->waiting_from || (n->waiting_at && mono - n->waiting_at < EVERY_MS)) return 0;
  n->waiting_at = mono ? mono : 1;
  int rc = since_read(n, &was, err);
  struct row *rows = rc ? NULL : rows_of(n, -1, &k.count);
  k.rows = rows;
  if (rc == 0) rc = store_write(n->main, STORE_JOBS, keep_work, &k, err) || store_write(n->main, STORE_JOBS, cover_work, &c, err) ? -1 : 0;
  (void)did; /* not work that waits */
  free(rows);
  free(was.list);
  return rc;
}

/* ---- the list ------------------------------------------------------------------------------------------------------------ */

void network_asked(struct network *n, const struct network_asked *list, size_t count) {
  struct network_asked *copy = base_alloc((count + 1) * sizeof *copy);
  if (count) memcpy(copy, list, count * sizeof *copy);
  pthread_mutex_lock(&n->lock);
  struct network_asked *old = n->asked;
  n->asked = copy;
  n->asked_count = count;
  pthread_mutex_unlock(&n->lock);
  free(old);
}

static int64_t asked_at(struct network *n, int place, const char *office) {
  int64_t at = 0;
  pthread_mutex_lock(&n->lock);
  for (size_t i = 0; i < n->asked_count; i++) {
    const struct network_asked *a = &n->asked[i];
    if ((office && base_same(a->office, office)) || (place >= 0 && a->place == place))
      if (!at || a->at < at) at = a->at;
  }
  pthread_mutex_unlock(&n->lock);
  return at;
}

static json_t *waiting_json(struct network *n, const struct row *row, const struct reading *since, enum lang l) {
  const struct place *village = row->village ? directory_place(n->d, row->index) : NULL;
  const struct network_office *o = village ? NULL : &n->nodes[row->index].o;
  int place = village ? row->index : o->place, county = network_place_county(n, place);
  const struct place *p = directory_place(n->d, place), *c = directory_place(n->d, county);
  int64_t known = since_of(since, row->code), asked = asked_at(n, village ? place : -1, village ? NULL : row->code);
  json_t *j = json_object();
  json_put(j, "kind", village ? "village" : "office");
  json_put(j, "code", row->code);
  json_put(j, "name", village ? place_name(village, l) : network_name(o, l));
  json_put(j, "place_name", place_name_at(n, place, l));
  json_put(j, "county", c ? c->code : "");
  json_put(j, "county_name", place_name_at(n, county, l));
  json_object_set_new(j, "lat", real_json(village ? village->lat : o->lat, 5));
  json_object_set_new(j, "lon", real_json(village ? village->lon : o->lon, 5));
  json_object_set_new(j, "population", p && p->population > 0 ? json_integer(p->population) : json_null());
  json_object_set_new(j, "since", time_json(asked && (!known || asked < known) ? asked : known));
  json_object_set_new(j, "asked", time_json(asked));
  return j;
}

int network_backlog(struct network *n, int place, const char *after, int limit, enum lang l, json_t **out, struct err *err) {
  struct reading since = {0};
  size_t count, at = 0;
  json_t *items = json_array(), *next = json_null();
  if (limit < 1 || limit > 5000) limit = 50;
  int rc = since_read(n, &since, err);
  pthread_rwlock_rdlock(&n->plan);
  struct row *rows = rows_of(n, place, &count);
  while (at < count && after && strcmp(rows[at].code, after) <= 0) at++;
  for (int shown = 0; rc == 0 && at < count; at++, shown++) {
    if (shown == limit) {
      json_decref(next);
      next = json_string(rows[at - 1].code);
      break;
    }
    json_array_append_new(items, waiting_json(n, &rows[at], &since, l));
  }
  pthread_rwlock_unlock(&n->plan);
  free(rows);
  free(since.list);
  *out = json_pack("{s:o,s:o}", "items", items, "next", next);
  if (rc) json_decref(*out), *out = NULL;
  return rc;
}

/* ---- may a new link be accepted? ------------------------------------------------------------------------------------------ */

const char *network_verdict_text(enum network_verdict v) {
  static const char *const names[] = {
#define X(name, text) text,
    NETWORK_VERDICT_TABLE(X)
#undef X
  };
  return names[v];
}

static enum network_verdict judge(const struct network_acceptance *a, int64_t now, int64_t handed_at) {
  const struct network_sums *s = &a->sums;
  int64_t measured = s->up[0] + s->degraded[0] + s->own[0] + s->upstream[0];
  if (now - handed_at < a->span_ms) return ACCEPT_EARLY;
  if (!s->probes || (double)measured < 0.9 * (double)a->span_ms) return ACCEPT_UNMEASURED;
  if (a->state != NETWORK_UP) return ACCEPT_NOT_UP;
  if (a->availability < a->goal) return ACCEPT_BELOW;
  return a->loss > 0.03 ? ACCEPT_LOSSY : ACCEPT_GOOD;
}

int network_accept(struct network *n, const char *code, int64_t handed_at, struct network_acceptance *out, struct err *err) {
  struct network_office o;
  struct network_line *lines = NULL;
  size_t count = 0;
  int node = network_find(n, code);
  int64_t now = network_now(n), from = now - n->o.accept_ms > handed_at ? now - n->o.accept_ms : handed_at;
  *out = (struct network_acceptance){.verdict = ACCEPT_UNKNOWN, .span_ms = n->o.accept_ms, .from = from, .until = now, .availability = NAN, .goal = NAN, .loss = NAN, .rtt_ms = NAN};
  if (node < 0 || network_node(n, node, &o)) return 0;
  out->state = o.state;
  out->goal = network_goal(n, node);
  if (now > from) {
    struct network_availability_query q = {.by = NETWORK_BY_OFFICE, .place = -1, .office = o.code, .from_ms = from, .to_ms = now};
    if (network_availability(n, &q, &lines, &count, err)) return -1;
    if (count) out->sums = lines[0].sums;
    network_availability_free(lines, count);
  }
  out->availability = network_availability_of(&out->sums, 0);
  if (out->sums.sent) out->loss = (double)out->sums.lost / (double)out->sums.sent;
  if (out->sums.rtt_count) out->rtt_ms = out->sums.rtt_sum / (double)out->sums.rtt_count;
  out->verdict = judge(out, now, handed_at);
  return 0;
}
