/* Alarms of goals: compared with what people were told, once a beginning, once when it becomes worse than ever, once the end. */
#include "network/inner.h"

#include <math.h>
#include <string.h>

enum { EVERY_MS = 5000 };

static const char *const kinds[] = {
#define X(name, text) text,
  NETWORK_ALARM_TABLE(X)
#undef X
};

const char *network_alarm_text(enum network_alarm_kind k) { return kinds[k]; }

enum network_alarm_kind network_alarm_parse(const char *text) {
  for (size_t i = 1; text && i < BASE_COUNT(kinds); i++)
    if (strcmp(kinds[i], text) == 0) return (enum network_alarm_kind)i;
  return ALARM_NONE;
}

/* ---- those that stand ------------------------------------------------------------------------------------------------ */

int alarms_read(struct store_tx *tx, json_t *list, struct err *err) {
  int rc;
  json_array_clear(list);
  struct store_rows *r = store_select(tx, err, "SELECT scope,code,number,kind,worst,began FROM network_alarm ORDER BY scope,code LIMIT 5000", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    json_t *j = json_object();
    json_put(j, "scope", store_text(r, 0));
    json_put(j, "code", store_text(r, 1));
    json_object_set_new(j, "number", json_integer(store_int(r, 2)));
    json_put(j, "kind", store_text(r, 3));
    json_put(j, "worst", store_text(r, 4));
    json_object_set_new(j, "began", json_integer(store_int(r, 5)));
    json_array_append_new(list, j);
  }
  store_done(r);
  return rc;
}

const json_t *alarms_find(const json_t *list, const char *scope, const char *code) {
  size_t i;
  json_t *one;
  json_array_foreach((json_t *)(uintptr_t)list, i, one)
    if (base_same(json_str(one, "scope"), scope) && base_same(json_str(one, "code"), code)) return one;
  return NULL;
}

static int read_work(struct store_tx *tx, void *arg, struct err *err) { return alarms_read(tx, arg, err); }

/* ---- a step ---------------------------------------------------------------------------------------------------------- */

struct step { struct network *n; struct network_alarm a; enum network_alarm_kind worst; };

static int step_event(struct store_tx *tx, const struct network_alarm *a, struct err *err) {
  char id[48];
  snprintf(id, sizeof id, "g%lld-%s", (long long)a->number, a->kind ? kinds[a->kind] : "ended");
  json_t *detail = json_pack("{s:I}", "alarm", (json_int_t)a->number);
  json_put(detail, "scope", a->scope);
  if (a->kind) json_put(detail, "kind", kinds[a->kind]);
  struct event e = {.id = id, .kind = a->kind ? "alarm" : "alarm_ended", .subject = a->code, .detail = detail, .at = a->at};
  int rc = network_event_put(tx, &e, err);
  json_decref(detail);
  return rc;
}

static int step_work(struct store_tx *tx, void *arg, struct err *err) {
  struct step *k = arg;
  struct network_alarm *a = &k->a;
  bool told = a->kind == ALARM_NONE || a->kind > k->worst; /* what becomes less bad is written down, and nobody is called for it */
  if (!a->number && store_value(tx, &a->number, 0, err, "SELECT value+1 FROM network_value WHERE name='alarm'", "")) return -1;
  if (!a->number) a->number = 1;
  int rc = a->kind ? store_put(tx, err, "INSERT INTO network_alarm (scope,code,number,kind,worst,began) VALUES (?1,?2,?3,?4,?5,?6) ON CONFLICT (scope,code) DO UPDATE SET kind=excluded.kind,worst=excluded.worst",
                               "ttitti", a->scope, a->code, a->number, kinds[a->kind], kinds[told ? a->kind : k->worst], a->began)
                   : store_put(tx, err, "DELETE FROM network_alarm WHERE scope=?1 AND code=?2", "tt", a->scope, a->code);
  if (rc == 0 && k->worst == ALARM_NONE)
    rc = store_put(tx, err, "INSERT INTO network_value (name,value) VALUES ('alarm',?1) ON CONFLICT (name) DO UPDATE SET value=excluded.value", "i", a->number);
  if (rc || !told) return rc;
  return step_event(tx, a, err) || (k->n->o.alarm && k->n->o.alarm(k->n->o.alarm_ctx, k->n, tx, a, err)) ? -1 : 0;
}

static double number_at(const json_t *j, const char *group, const char *key) {
  const json_t *v = json_object_get(group ? json_object_get(j, group) : j, key);
  return json_is_number(v) ? json_number_value(v) : NAN;
}

/* now: as network_goals tells it, NULL: there is no such goal any more. before: NULL, none. Answers whether anything is to be done. */
static bool step_make(struct network *n, const json_t *now, const json_t *before, const char *scope, const char *code, struct step *k) {
  static const char *const names[] = {"network.level_core", "network.level_hub", "network.level_district", "network.level_office", "network.level_dehyari"};
  enum network_alarm_kind was = network_alarm_parse(json_str(before, "kind")), is = network_alarm_parse(json_str(now, "alarm"));
  bool whose = base_same(scope, "organisation");
  const struct organisation *o = whose ? directory_organisation(n->d, directory_find_organisation(n->d, code)) : NULL;
  int level = whose ? -1 : network_level_parse(code);
  int64_t at = network_now(n);
  if (was == is) return false;
  *k = (struct step){.n = n, .worst = network_alarm_parse(json_str(before, "worst"))};
  k->a = (struct network_alarm){.number = json_int(before, "number", 0), .kind = is, .scope = scope, .code = code, .organisation = whose ? code : "", .name_fa = code, .name_en = code,
    .goal = number_at(now, NULL, "goal"), .availability = number_at(now, "availability", "service"), .burn_6 = number_at(now, "burn", "hours_6"), .burn_72 = number_at(now, "burn", "days_3"),
    .budget_left_s = json_int(now, "budget_left_s", 0), .began = json_int(before, "began", at), .at = at};
  if (o || level >= 0) k->a.name_fa = o ? o->name_fa : word(LANG_FA, names[level]), k->a.name_en = o ? organisation_name(o, LANG_EN) : word(LANG_EN, names[level]);
  return true;
}

static int step_do(struct network *n, const json_t *now, const json_t *before, const json_t *of, int64_t *did, struct err *err) {
  struct step k;
  if (!step_make(n, now, before, json_str(of, "scope"), json_str(of, "code"), &k)) return 0;
  ++*did;
  return store_write(n->main, STORE_JOBS, step_work, &k, err);
}

int alarms_jobs(struct network *n, int64_t *did, struct err *err) {
  int64_t mono = clock_mono(), count = 0;
  json_t *goals = NULL, *stand, *one;
  size_t i;
  if (n->alarms_at && mono - n->alarms_at < EVERY_MS) return 0;
  n->alarms_at = mono ? mono : 1;
  if (network_goals(n, LANG_FA, &goals, err)) return -1;
  stand = json_array();
  int rc = store_read(n->main, read_work, stand, err);
  const json_t *items = json_object_get(goals, "items");
  json_array_foreach((json_t *)(uintptr_t)items, i, one)
    if (rc == 0) rc = step_do(n, one, alarms_find(stand, json_str(one, "scope"), json_str(one, "code")), one, &count, err);
  json_array_foreach(stand, i, one)
    if (rc == 0 && !alarms_find(items, json_str(one, "scope"), json_str(one, "code"))) rc = step_do(n, NULL, one, one, &count, err);
  if (count) { /* what pages show names the alarm at once */
    pthread_mutex_lock(&n->lock);
    n->goal_view_revision = -1;
    n->view_turn++;
    pthread_mutex_unlock(&n->lock);
  }
  *did += count;
  json_decref(stand);
  json_decref(goals);
  return rc;
}
