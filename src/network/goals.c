/* Goals of availability: what was set and why, what is left of the downtime they allow, how fast it is used up. */
#include "network/inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DAYS = 30, FRESH_MS = 60000 };
static const double standard[5] = {0.9995, 0.999, 0.995, 0.99, 0.98};

void network_goals_default(const struct network *n, double goals[5], double **own) {
  size_t count = directory_organisations(n->d);
  memcpy(goals, standard, sizeof standard);
  *own = base_alloc((count + 1) * sizeof **own);
  for (size_t i = 0; i <= count; i++) (*own)[i] = NAN;
}

double network_goal_at(const struct network *n, const struct network_office *o) {
  return o->organisation >= 0 && !isnan(n->own_goals[o->organisation]) ? n->own_goals[o->organisation] : n->goals[o->level];
}

double network_goal(struct network *n, int node) {
  pthread_mutex_lock(&n->lock);
  double goal = node >= 0 && node < n->real ? network_goal_at(n, &n->nodes[node].o) : NAN;
  pthread_mutex_unlock(&n->lock);
  return goal;
}

/* ---- setting one ---------------------------------------------------------------------------------------------------- */

struct setting { const struct network_by *by; const struct network_goal_set *g; const char *scope, *code; int64_t goal; };

static int put_work(struct store_tx *tx, void *arg, struct err *err) {
  struct setting *k = arg;
  int64_t now = clock_now();
  int rc = k->goal ? store_put(tx, err, "INSERT INTO network_goal (scope,code,goal,reason,who,at) VALUES (?1,?2,?3,?4,?5,?6) ON CONFLICT (scope,code) DO UPDATE SET goal=excluded.goal,"
                                        "reason=excluded.reason,who=excluded.who,at=excluded.at", "ttitti", k->scope, k->code, k->goal, k->g->reason, k->by->who, now)
                   : store_put(tx, err, "DELETE FROM network_goal WHERE scope=?1 AND code=?2", "tt", k->scope, k->code);
  if (rc) return -1;
  json_t *detail = json_pack("{s:I}", "millionths", (json_int_t)k->goal);
  json_put(detail, "scope", k->scope);
  struct event e = {.kind = "goal", .subject = k->code, .who = k->by->who, .text = k->g->reason, .detail = detail, .at = now};
  rc = network_event_put(tx, &e, err) || network_bump(tx, err) ? -1 : 0;
  json_decref(detail);
  return rc;
}

int network_goal_put(struct network *n, const struct network_by *by, const struct network_goal_set *g, struct err *err) {
  struct setting k = {.by = by, .g = g, .scope = g->level ? "level" : "organisation", .code = g->level ? g->level : g->organisation, .goal = (int64_t)(g->goal * 1e6 + 0.5)};
  size_t size = g->reason ? strlen(g->reason) : 0;
  if (by->organisation) return err_set(err, ERR_FORBIDDEN, "goals are set by operators of the province");
  if (!g->level == !g->organisation || (g->level ? network_level_parse(g->level) : directory_find_organisation(n->d, g->organisation)) < 0)
    return err_set(err, ERR_NOT_FOUND, "there is no such class of offices or organisation");
  if (g->goal != 0 && !(g->goal >= 0.9 && g->goal <= 1)) return err_set(err, ERR_INVALID, "a goal is between 0.9 and 1");
  if (size < 3 || size > NETWORK_NOTE_MOST || !utf8_valid(g->reason, size)) return err_set(err, ERR_INVALID, "a reason has 3 to %d bytes", NETWORK_NOTE_MOST);
  if (store_write(n->main, STORE_FRONT, put_work, &k, err)) return -1;
  pthread_rwlock_wrlock(&n->plan); /* here at once; elsewhere with the plan, within a second */
  pthread_mutex_lock(&n->lock);
  int at = g->level ? network_level_parse(k.code) : directory_find_organisation(n->d, k.code);
  if (g->level) n->goals[at] = g->goal > 0 ? g->goal : standard[at];
  else n->own_goals[at] = g->goal > 0 ? g->goal : NAN;
  n->goal_view_revision = -1;
  n->goal_turn++;
  n->view_turn++;
  pthread_mutex_unlock(&n->lock);
  pthread_rwlock_unlock(&n->plan);
  return 0;
}

/* ---- how they stand -------------------------------------------------------------------------------------------------- */

struct stored { char code[NETWORK_CODE], reason[NETWORK_NOTE_MOST + 1], who[80]; int64_t at; bool organisation; };
struct view { struct stored *stored; size_t count, room; json_t *alarms; };

static int view_work(struct store_tx *tx, void *arg, struct err *err) {
  struct view *k = arg;
  int rc;
  k->count = 0;
  struct store_rows *r = store_select(tx, err, "SELECT scope,code,reason,who,at FROM network_goal ORDER BY scope,code LIMIT 5000", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    if (k->count == k->room) k->stored = base_realloc(k->stored, (k->room = k->room * 2 + 16) * sizeof *k->stored);
    struct stored *s = &k->stored[k->count++];
    *s = (struct stored){.at = store_int(r, 4), .organisation = store_text(r, 0)[0] == 'o'};
    snprintf(s->code, sizeof s->code, "%s", store_text(r, 1));
    snprintf(s->reason, sizeof s->reason, "%s", store_text(r, 2));
    snprintf(s->who, sizeof s->who, "%s", store_text(r, 3));
  }
  store_done(r);
  return rc ? rc : alarms_read(tx, k->alarms, err);
}

static int64_t measured(const struct network_sums *s) { return s->up[1] + s->degraded[1] + s->own[1] + s->upstream[1]; }

static double burn(const struct network_sums *s, double goal) {
  return measured(s) > 0 && goal < 1 ? (double)(s->own[1] + s->upstream[1]) / (double)measured(s) / (1 - goal) : NAN;
}

/* An alarm begins at its bound and ends a little below it, so that what stands at the bound rings once. At night no six hours are measured: then the three days say whether a fast one stays. */
static enum network_alarm_kind alarm_of(const struct network_line *whole, double fast, double slow, enum network_alarm_kind before) {
  if (whole->budget_left_ms < 0 || (before == ALARM_SPENT && whole->budget_left_ms <= whole->budget_ms / 50)) return ALARM_SPENT;
  if (fast >= 6 || (before >= ALARM_FAST && (isnan(fast) ? !(slow < 0.9) : fast >= 5))) return ALARM_FAST;
  return slow >= 1 || (before > ALARM_NONE && !(slow < 0.9)) ? ALARM_SLOW : ALARM_NONE;
}

static json_t *goal_json(const struct view *v, const struct stored *s, const struct network_line *whole, const struct network_line *days, const struct network_line *hours, bool organisation) {
  json_t *j = json_object();
  const json_t *before = alarms_find(v->alarms, organisation ? "organisation" : "level", whole->key);
  int level = organisation ? -1 : network_level_parse(whole->key);
  double fast = hours ? burn(&hours->sums, whole->goal) : NAN, slow = days ? burn(&days->sums, whole->goal) : NAN;
  enum network_alarm_kind alarm = alarm_of(whole, fast, slow, network_alarm_parse(json_str(before, "kind")));
  json_put(j, "scope", organisation ? "organisation" : "level");
  json_put(j, "code", whole->key);
  json_object_set_new(j, "offices", json_integer(whole->sums.offices));
  json_object_set_new(j, "goal", real_json(whole->goal, 6));
  json_object_set_new(j, "standard", level >= 0 ? real_json(standard[level], 6) : json_null());
  json_put(j, "reason", s ? s->reason : NULL);
  json_put(j, "by", s ? s->who : NULL);
  json_object_set_new(j, "set_at", time_json(s ? s->at : 0));
  json_object_set_new(j, "availability", json_pack("{s:o,s:o}", "all", real_json(network_availability_of(&whole->sums, 0), 6), "service", real_json(network_availability_of(&whole->sums, 1), 6)));
  json_object_set_new(j, "budget_s", json_integer(whole->budget_ms / 1000));
  json_object_set_new(j, "budget_left_s", json_integer(whole->budget_left_ms / 1000));
  json_object_set_new(j, "used", whole->budget_ms > 0 ? real_json(1 - (double)whole->budget_left_ms / (double)whole->budget_ms, 4) : json_null());
  json_object_set_new(j, "burn", json_pack("{s:o,s:o}", "hours_6", real_json(fast, 2), "days_3", real_json(slow, 2)));
  json_put(j, "alarm", network_alarm_text(alarm));
  json_object_set_new(j, "alarm_since", time_json(alarm ? json_int(before, "began", 0) : 0));
  return j;
}

/* A class's goal is its own, whatever single organisations have set for theirs. */
static void own_goal(const struct network *n, struct network_line *l, bool organisation) {
  int at = organisation ? directory_find_organisation(n->d, l->key) : network_level_parse(l->key);
  if (at < 0) return;
  l->goal = organisation ? n->own_goals[at] : n->goals[at];
  l->budget_ms = (int64_t)((1 - l->goal) * (double)measured(&l->sums));
  l->budget_left_ms = l->budget_ms - l->sums.own[1] - l->sums.upstream[1];
}

static const struct network_line *line_at(const struct network_line *lines, size_t count, const char *key) {
  for (size_t i = 0; i < count; i++)
    if (base_same(lines[i].key, key)) return &lines[i];
  return NULL;
}

static const struct stored *stored_at(const struct view *v, bool organisation, const char *code) {
  for (size_t i = 0; i < v->count; i++)
    if (v->stored[i].organisation == organisation && base_same(v->stored[i].code, code)) return &v->stored[i];
  return NULL;
}

static int stand(struct network *n, const struct view *v, bool organisation, json_t *items, struct err *err) {
  static const int64_t spans[] = {DAYS * INT64_C(86400000), 3 * INT64_C(86400000), 6 * INT64_C(3600000)};
  static const char *const levels[] = {"core", "hub", "district", "office", "dehyari"};
  struct network_line *lines[3] = {NULL, NULL, NULL};
  size_t count[3] = {0, 0, 0}, wanted = organisation ? v->count : BASE_COUNT(levels);
  int64_t now = network_now(n);
  int rc = 0;
  for (int i = 0; i < 3 && rc == 0; i++) {
    struct network_availability_query q = {.by = organisation ? NETWORK_BY_ORGANISATION : NETWORK_BY_LEVEL, .place = -1, .from_ms = now - spans[i], .to_ms = now};
    if (i == 0) q.from_ms = day_start(day_of(now) - DAYS + 1); /* whole days: they are summed already */
    rc = network_availability(n, &q, &lines[i], &count[i], err);
  }
  pthread_rwlock_rdlock(&n->plan);
  for (size_t i = 0; i < wanted && rc == 0; i++) {
    const char *code = organisation ? v->stored[i].code : levels[i];
    struct network_line *whole = (struct network_line *)(uintptr_t)line_at(lines[0], count[0], code);
    if (!whole || (organisation && !v->stored[i].organisation)) continue;
    own_goal(n, whole, organisation);
    if (isnan(whole->goal)) continue; /* set a moment ago: known with the next plan */
    json_array_append_new(items, goal_json(v, stored_at(v, organisation, code), whole, line_at(lines[1], count[1], code), line_at(lines[2], count[2], code), organisation));
  }
  pthread_rwlock_unlock(&n->plan);
  for (int i = 0; i < 3; i++) network_availability_free(lines[i], count[i]);
  return rc;
}

static int make_view(struct network *n, json_t **out, struct err *err) {
  struct view v = {.alarms = json_array()};
  json_t *items = json_array();
  int rc = store_read(n->main, view_work, &v, err);
  bool organisations = false;
  for (size_t i = 0; i < v.count; i++) organisations |= v.stored[i].organisation;
  if (rc == 0) rc = stand(n, &v, false, items, err);
  if (rc == 0 && organisations) rc = stand(n, &v, true, items, err);
  free(v.stored);
  json_decref(v.alarms);
  if (rc) json_decref(items);
  else *out = json_pack("{s:i,s:o,s:o}", "days", DAYS, "at", time_json(network_now(n)), "items", items);
  return rc;
}

static int history_work(struct store_tx *tx, void *arg, struct err *err) {
  json_t *list = arg;
  int rc;
  json_array_clear(list);
  struct store_rows *r = store_select(tx, err, "SELECT at,who,subject,note,detail FROM network_event WHERE incident=0 AND kind='goal' ORDER BY at DESC,id LIMIT 50", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    json_t *j = json_object(), *detail = json_loads(store_text(r, 4), 0, NULL);
    int64_t goal = json_int(detail, "millionths", 0);
    json_object_set_new(j, "at", time_json(store_int(r, 0)));
    json_put(j, "by", store_text(r, 1));
    json_put(j, "scope", json_str(detail, "scope"));
    json_put(j, "code", store_text(r, 2));
    json_object_set_new(j, "goal", goal ? real_json((double)goal / 1e6, 6) : json_null());
    json_put(j, "reason", store_text(r, 3));
    json_array_append_new(list, j);
    json_decref(detail);
  }
  store_done(r);
  return rc;
}

static void put_name(const struct network *n, json_t *j, enum lang l) {
  const char *code = json_str(j, "code");
  static const char *const names[] = {"network.level_core", "network.level_hub", "network.level_district", "network.level_office", "network.level_dehyari"};
  const struct organisation *o = base_same(json_str(j, "scope"), "organisation") ? directory_organisation(n->d, directory_find_organisation(n->d, code)) : NULL;
  int level = o ? -1 : network_level_parse(code ? code : "");
  json_put(j, "name", o ? organisation_name(o, l) : level >= 0 ? word(l, names[level]) : code);
}

int network_goals(struct network *n, enum lang l, json_t **out, struct err *err) {
  json_t *fresh = NULL, *history = json_array(), *one;
  size_t i;
  int64_t now = clock_mono();
  pthread_mutex_lock(&n->lock);
  bool good = n->goal_view && now - n->goal_view_at < FRESH_MS && n->goal_view_revision == n->revision;
  int64_t revision = n->revision;
  uint64_t turn = n->view_turn;
  *out = good ? json_deep_copy(n->goal_view) : NULL;
  pthread_mutex_unlock(&n->lock);
  if (store_read(n->main, history_work, history, err) || (!good && make_view(n, &fresh, err))) {
    json_decref(history);
    json_decref(*out);
    return -1;
  }
  if (fresh) {
    *out = json_deep_copy(fresh);
    pthread_mutex_lock(&n->lock);
    if (turn == n->view_turn) {
      json_t *old = n->goal_view;
      n->goal_view = fresh;
      n->goal_view_at = now;
      n->goal_view_revision = revision;
      fresh = old;
    }
    pthread_mutex_unlock(&n->lock);
    json_decref(fresh);
  }
  json_array_foreach(json_object_get(*out, "items"), i, one) put_name(n, one, l);
  json_array_foreach(history, i, one) put_name(n, one, l);
  json_object_set_new(*out, "history", history);
  return 0;
}
