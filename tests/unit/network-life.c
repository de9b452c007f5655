/* The room with its stores, on both engines, with results that are made up minute by minute: what was done is what is read. */
#include "network/inner.h"
#include "network/inner_core.h"
#include "store-kit.h"

#include <math.h>

enum { MINUTE = 60000, NODES = 7 };

struct kit { struct store *main, *samples; struct trust *trust; struct network *n; int64_t t0; char told[64][80]; int tellings; char alarms[16][64]; int64_t numbers[16]; int alarm_count; };

static bool engine_pg;
static char pack_dir[200];
static struct directory *dir;

static void put_file(const char *name, const char *text) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", pack_dir, name);
  must(file_write(path, text, strlen(text), 0644, err));
}

static void said(void *ctx, const char *file, unsigned line, const char *message) { print_message("%s:%u: %s\n", file, line, message); }

/* A province with a city, and a village of 40 households with a dehyari; two cores, a hub that both feed, offices behind it. */
static void make_pack(void) {
  snprintf(pack_dir, sizeof pack_dir, "%s/pack", kit_dir);
  must(dir_make(pack_dir, 0755, err));
  put_file("places.csv", "code,parent,kind,setting,name_fa,name_en,lat,lon,population,population_year,households\n09,,province,mixed,استان,Province,,,,,\n0901,09,county,mixed,شهرستان,County,,,50000,2016,\n"
           "090101,0901,district,mixed,بخش,District,,,,,\n0901011,090101,city,urban,شهر,Town,36.1,59.1,30000,2016,\n0901012,090101,rural_district,rural,دهستان,Rural district,,,,,\n"
           "09010121,0901012,village,rural,ده یک,Village One,,,200,2016,40\n09010122,0901012,village,rural,ده دو,Village Two,,,100,2016,30\n09010123,0901012,village,rural,ده سه,Village Three,,,,,12\n");
  put_file("organisations.csv", "code,kind,parent,place,class,member,name_fa,name_en,phone,unit_of\nost,agency,,09,GOV,1,استانداری,Governor,,\nab,agency,,09,GOV,2,آب,Water,,\n");
  put_file("offices.csv", "code,organisation,place,level,uplinks,name_fa,name_en,lat,lon,synthetic\nC-1,ost,0901011,core,,مرکز یک,Core One,,,1\nC-2,ost,0901011,core,,مرکز دو,Core Two,,,1\n"
           "H-1,ost,0901011,hub,C-1;C-2,گره,Hub,,,1\nO-1,ab,0901011,office,H-1,آب شهر,Water of Town,,,1\nO-2,ost,0901011,office,H-1,فرمانداری,Governor of Town,,,1\n"
           "V-1,ab,09010121,dehyari,H-1,ده یک,Village One,,,1\nV-2,ab,09010122,dehyari,H-1;C-2,ده دو,Village Two,,,1\n");
  dir = directory_load(pack_dir, said, NULL);
  assert_non_null(dir);
}

static bool works(void *ctx, int organisation, int32_t day) { return day_weekday(day) != 4 && day_weekday(day) != 5; }
static int64_t services(void *ctx, const char *organisation) { return 2; }

static int tell(void *ctx, struct network *n, struct store_tx *tx, const struct network_news *news, struct err *err) {
  struct kit *k = ctx;
  snprintf(k->told[k->tellings++ % 64], 80, "%lld %d %d %s", (long long)news->incident, news->step, news->level, news->office);
  return network_told_put(tx, news->incident, news, "operator", "sms", err);
}

/* Of organisations alone: classes have theirs meanwhile. */
static int alarm_told(void *ctx, struct network *n, struct store_tx *tx, const struct network_alarm *a, struct err *err) {
  struct kit *k = ctx;
  if (!base_same(a->scope, "organisation")) return 0;
  assert_string_equal(a->organisation, a->code);
  k->numbers[k->alarm_count % 16] = a->number;
  snprintf(k->alarms[k->alarm_count++ % 16], 64, "%s %s", network_alarm_text(a->kind) ? network_alarm_text(a->kind) : "ended", a->code);
  return 0;
}

static int hand(void *ctx, const struct network_news *news, const char *by, const char *comment, char tracking[40], struct err *err) {
  snprintf(tracking, 40, "604600000000%04lld", (long long)news->incident);
  return 0;
}

static void open_room(struct kit *k) {
  struct network_options o = {.node = "one", .demo = true, .works = works, .services = services, .tell = tell, .tell_ctx = k, .alarm = alarm_told, .alarm_ctx = k, .hand = hand};
  must(network_open(k->main, k->samples, k->trust, dir, &o, &k->n, err));
  k->n->holder = true; /* this program is the prober */
  k->n->cursor = 1;
}

static int setup(void **state) {
  struct kit *k = base_alloc(sizeof *k);
  char where[600], key[200];
  static const char *const main_rooms[] = {"store", "trust", "network", NULL}, *const sample_rooms[] = {"store", "samples", NULL};
  kit_new_where(engine_pg, where, sizeof where);
  must(store_open(where, NULL, &k->main, err));
  must(store_migrate(k->main, engine_pg ? NULL : main_rooms, err));
  k->samples = k->main;
  if (!engine_pg) {
    kit_new_where(false, where, sizeof where);
    must(store_open(where, NULL, &k->samples, err));
    must(store_migrate(k->samples, sample_rooms, err));
  }
  static int turn; /* a key of its own: what was signed with it stands beside it, and addresses come again */
  snprintf(key, sizeof key, "%s/key-%d.pem", kit_dir, turn++);
  struct trust_options t = {.key_file = key, .origin = "test/ledger", .node = "one"};
  must(trust_open(k->main, &t, &k->trust, err));
  k->t0 = day_start(day_from_jalali((struct date){1405, 8, 30})); /* a Saturday; the month ends with it */
  clock_set(k->t0);
  open_room(k);
  *state = k;
  return 0;
}

static int teardown(void **state) {
  struct kit *k = *state;
  network_close(k->n);
  trust_close(k->trust);
  if (k->samples != k->main) store_close(k->samples);
  store_close(k->main);
  clock_set(0);
  free(k);
  return 0;
}

/* Who answers at this minute of the first two days. */
static bool answers(int node, int64_t minute) {
  if (node == 3 && minute >= 480 && minute < 570) return false;              /* O-1 from 8:00 to 9:30: its own fault */
  if (node >= 2 && node != 6 && minute >= 840 && minute < 900) return false; /* the hub from 14:00 to 15:00; V-2 has another way */
  return true;
}

static void minute_of(struct kit *k, int64_t minute) {
  for (int i = 0; i < NODES; i++) {
    int64_t at = k->t0 + minute * MINUTE + i * 1000;
    bool ok = answers(i, minute);
    struct core_result r = {.node = i, .sent_at = at, .at = at + 900};
    double rtt[5] = {10 + i, 10 + i, 11 + i, 12 + i, 12 + i};
    measure(&r.m, 5, rtt, ok ? 5 : 0);
    clock_set(r.at);
    pthread_mutex_lock(&k->n->lock);
    network_take(k->n, &r, 0);
    core_time(k->n->core, network_label(k->n));
    pthread_mutex_unlock(&k->n->lock);
  }
}

static void jobs(struct kit *k) {
  int64_t did;
  must(network_flush(k->n, err));
  do must(network_jobs(k->n, &did, err));
  while (did);
}

static void run(struct kit *k, int64_t from, int64_t to) {
  for (int64_t m = from; m < to; m++) {
    minute_of(k, m);
    if (m % 10 == 0) jobs(k);
  }
  jobs(k);
}

static struct network_sums sums_of(struct kit *k, int32_t from, int32_t to, const char *office) {
  struct network_availability_query q = {.by = NETWORK_BY_OFFICE, .from = from, .to = to, .place = -1, .office = office};
  struct network_line *lines = NULL;
  size_t count = 0;
  must(network_availability(k->n, &q, &lines, &count, err));
  assert_int_equal(count, 1);
  assert_string_equal(lines[0].key, office);
  struct network_sums s = lines[0].sums;
  network_availability_free(lines, count);
  return s;
}

static void reported(void *ctx, const char *line) { fail_msg("%s", line); }

static int leaf(void *ctx, const char *header, unsigned char digest[TRUST_HASH]) { return network_leaf_digest(ctx, header, digest); }

static void ledger_agrees(struct kit *k) {
  int64_t placed;
  must(trust_sequence(k->trust, &placed, err));
  struct trust_verify v = {.leaf = leaf, .report = reported, .ctx = k->n};
  must(trust_verify(k->trust, &v, err));
  must(network_verify(k->n, reported, NULL, err));
}

static const char *member(json_t *list, size_t i, const char *key) { return json_str(json_array_get(json_object_get(list, "items"), i), key); }

/* ---- a day of which everything is known ------------------------------------------------------------------------------- */

static void a_day(void **state) {
  struct kit *k = *state;
  int32_t day = day_of(k->t0);
  json_t *j;
  struct network_window w = {.office = "O-2", .from = k->t0 + 600 * MINUTE, .to = k->t0 + 660 * MINUTE, .reason = "new cable"};
  struct network_by operator = {"op", NULL}, water = {"w", "ab"};
  refused(network_window_put(k->n, &water, &w, err), ERR_NOT_FOUND);
  must(network_window_put(k->n, &operator, &w, err));
  must(network_load(k->n, err));
  run(k, 0, 1440 + 3 * 60);
  struct network_sums s = sums_of(k, day, day, "O-1");
  assert_int_equal(s.own[0], 90 * MINUTE);
  assert_int_equal(s.own[1], 90 * MINUTE);
  assert_int_equal(s.upstream[0], 60 * MINUTE);
  assert_int_equal(s.upstream[1], 30 * MINUTE - 3000); /* service hours end at 14:30; it was found silent at 14:00:03 */
  assert_int_equal(s.unknown[0], 3000);                /* before its first answer */
  assert_int_equal(s.up[0], (1440 - 150) * MINUTE - 3000);
  assert_int_equal(s.probes, 1440);
  assert_int_equal(s.lost, 150 * 5);
  assert_true(fabs(s.rtt_sum / (double)s.rtt_count - 14) < 1e-6); /* what was lost is in no average */
  assert_true(fabs(network_availability_of(&s, 1) - (420.0 * 60 - 90 * 60 - 30 * 60 + 3) / (420 * 60)) < 1e-9);
  s = sums_of(k, day, day, "O-2");
  assert_int_equal(s.maintenance[0], 60 * MINUTE);
  assert_int_equal(s.own[0], 0);
  assert_int_equal(s.upstream[0], 60 * MINUTE);
  s = sums_of(k, day, day, "V-2"); /* redundant */
  assert_int_equal(s.upstream[0] + s.own[0], 0);
  s = sums_of(k, day, day, "H-1");
  assert_int_equal(s.own[0], 60 * MINUTE);
  /* two incidents, no more; the hub's reached three */
  struct network_incident_query q = {.open = -1, .place = -1};
  must(network_incidents(k->n, &q, LANG_EN, &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "items")), 2);
  assert_string_equal(member(j, 0, "office"), "H-1");
  assert_string_equal(member(j, 1, "office"), "O-1");
  json_t *hub = json_array_get(json_object_get(j, "items"), 0);
  assert_int_equal(json_int(hub, "offices", 0), 4);      /* the hub and three behind it: V-2 has another way */
  assert_int_equal(json_int(hub, "population", 0), 30000 + 200);
  assert_int_equal(json_int(hub, "services", 0), 4);
  assert_int_equal(json_int(hub, "reached", 0), 3);
  assert_int_equal(json_int(hub, "duration_s", 0), 3600);
  json_decref(j);
  struct network_blast blast;
  network_blast(k->n, (int[]){0, 1}, 2, &blast); /* both cores: no office of the county is left, so it is its people, once */
  assert_int_equal(blast.offices, 7);
  assert_int_equal(blast.population, 50000);
  must(network_incident(k->n, 2, LANG_FA, &j, err));
  assert_int_equal(json_int(j, "members_total", 0), 4);
  assert_string_equal(json_str(json_array_get(json_object_get(j, "events"), 0), "kind"), "opened");
  assert_int_equal(json_array_size(json_object_get(j, "told")), 3); /* opened, escalated after 15 minutes, closed; it lasted an hour less than a second */
  json_decref(j);
  /* hours, days and a month that ended say the same */
  struct network_sums a = sums_of(k, day, day + 1, "O-1");
  assert_int_equal(a.own[0], 90 * MINUTE);
  assert_int_equal(a.probes, 1440 + 180);
  must(network_series(k->n, "O-1", NETWORK_DAY, k->t0 + 1440 * MINUTE, &j, err));
  json_t *points = json_object_get(j, "points");
  assert_int_equal(json_array_size(points), 24);
  int64_t probes = 0;
  size_t i;
  json_t *p;
  json_array_foreach(points, i, p) probes += json_int(p, "probes", 0);
  assert_int_equal(probes, 1440);
  json_decref(j);
  ledger_agrees(k);
}

/* ---- what is restarted goes on --------------------------------------------------------------------------------------------- */

static void a_restart(void **state) {
  struct kit *k = *state;
  run(k, 0, 490);
  struct network_office o;
  assert_int_equal(network_node(k->n, network_find(k->n, "O-1"), &o), 0);
  assert_int_equal(o.state, NETWORK_DOWN);
  assert_int_equal(o.since, k->t0 + 480 * MINUTE + 3000);
  int64_t incident = o.incident;
  network_close(k->n);
  open_room(k);
  assert_int_equal(network_node(k->n, network_find(k->n, "O-1"), &o), 0);
  assert_int_equal(o.state, NETWORK_DOWN);
  assert_int_equal(o.since, k->t0 + 480 * MINUTE + 3000);
  assert_int_equal(o.incident, incident);
  assert_true(o.connected);
  /* it was away from 8:10 to 10:10: unknown, then what is found */
  int64_t away = k->t0 + 489 * MINUTE + 6900;
  clock_set(k->t0 + 610 * MINUTE);
  pthread_mutex_lock(&k->n->lock);
  core_away(k->n->core, 0, away, network_label(k->n), false);
  pthread_mutex_unlock(&k->n->lock);
  run(k, 610, 700);
  struct network_sums s = sums_of(k, day_of(k->t0), day_of(k->t0), "O-1");
  assert_int_equal(s.own[0], away - (k->t0 + 480 * MINUTE + 3000));
  assert_int_equal(s.unknown[0], 3000 + k->t0 + 610 * MINUTE + 3000 - away);
  struct network_incident_query q = {.open = 1, .place = -1};
  json_t *j;
  must(network_incidents(k->n, &q, LANG_EN, &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "items")), 0);
  json_decref(j);
  ledger_agrees(k);
}

/* ---- people --------------------------------------------------------------------------------------------------------------- */

static void people_act(void **state) {
  struct kit *k = *state;
  struct network_by operator = {"op", NULL}, water = {"w", "ab"}, governor = {"g", "ost"};
  run(k, 0, 485);
  refused(network_act(k->n, &governor, 1, NETWORK_ACKNOWLEDGE, NULL, err), ERR_NOT_FOUND); /* it is the water company's */
  refused(network_act(k->n, &operator, 99, NETWORK_NOTE, "?", err), ERR_NOT_FOUND);
  refused(network_act(k->n, &operator, 1, NETWORK_NOTE, "", err), ERR_INVALID);
  must(network_act(k->n, &water, 1, NETWORK_ACKNOWLEDGE, "a digger", err));
  refused(network_act(k->n, &operator, 1, NETWORK_ACKNOWLEDGE, NULL, err), ERR_CONFLICT);
  must(network_act(k->n, &operator, 1, NETWORK_NOTE, "splicing", err));
  must(network_act(k->n, &water, 1, NETWORK_HAND, "please", err));
  refused(network_act(k->n, &water, 1, NETWORK_HAND, "please", err), ERR_CONFLICT);
  jobs(k);
  json_t *j;
  must(network_incident(k->n, 1, LANG_FA, &j, err));
  assert_string_equal(json_str(j, "acknowledged_by"), "w");
  assert_string_equal(json_str(j, "case"), "6046000000000001");
  assert_int_equal(json_array_size(json_object_get(j, "events")), 5);
  json_decref(j);
  run(k, 485, 560); /* 80 minutes: nobody is escalated to, it was acknowledged */
  for (int i = 0; i < k->tellings; i++) assert_null(strstr(k->told[i], "1 1 "));
  must(network_repairs(k->n, day_of(k->t0), day_of(k->t0), -1, 0, LANG_EN, &j, err));
  assert_int_equal(json_int(j, "incidents", 0), 1);
  json_decref(j);
  ledger_agrees(k);
}

/* The jobs were away for more than an hour: both levels that became due meanwhile are told, in their order. */
static void no_level_is_skipped(void **state) {
  struct kit *k = *state;
  run(k, 0, 485);
  int before = k->tellings;
  for (int64_t m = 485; m < 565; m++) minute_of(k, m);
  jobs(k);
  assert_int_equal(k->tellings, before + 2);
  assert_string_equal(k->told[before], "1 1 1 O-1");
  assert_string_equal(k->told[before + 1], "1 1 2 O-1");
}

static const json_t *goal_item(const json_t *goals, const char *code) {
  const json_t *one;
  size_t i;
  json_array_foreach(json_object_get(goals, "items"), i, one)
    if (base_same(json_str(one, "code"), code)) return one;
  return NULL;
}

/* Goals have reasons and a history; what is left of the downtime, and how fast it goes, are what was measured. */
static void goals_are_kept(void **state) {
  struct kit *k = *state;
  struct network_by operator = {"op", NULL}, water = {"w", "ab"};
  struct network_goal_set hubs = {.level = "hub", .goal = 0.9, .reason = "two links each"}, own = {.organisation = "ab", .goal = 0.95, .reason = "pumps"}, none = {.level = "nope", .goal = 0.9, .reason = "why"};
  json_t *j;
  run(k, 0, 600); /* until 10 o'clock: 150 minutes of service hours */
  refused(network_goal_put(k->n, &water, &hubs, err), ERR_FORBIDDEN);
  refused(network_goal_put(k->n, &operator, &none, err), ERR_NOT_FOUND);
  hubs.goal = 0.5;
  refused(network_goal_put(k->n, &operator, &hubs, err), ERR_INVALID);
  hubs.goal = 0.9, hubs.reason = "x";
  refused(network_goal_put(k->n, &operator, &hubs, err), ERR_INVALID);
  hubs.reason = "two links each";
  must(network_goal_put(k->n, &operator, &hubs, err));
  assert_true(network_goal(k->n, network_find(k->n, "H-1")) == 0.9);
  must(network_goal_put(k->n, &operator, &own, err));
  assert_true(network_goal(k->n, network_find(k->n, "O-1")) == 0.95 && network_goal(k->n, network_find(k->n, "O-2")) == 0.99);
  must(network_load(k->n, err)); /* as another node reads it */
  assert_true(network_goal(k->n, network_find(k->n, "O-1")) == 0.95 && network_goal(k->n, network_find(k->n, "H-1")) == 0.9);
  must(network_goals(k->n, LANG_EN, &j, err));
  const json_t *hub = goal_item(j, "hub"), *ab = goal_item(j, "ab"), *office = goal_item(j, "office");
  assert_int_equal(json_array_size(json_object_get(j, "items")), 5); /* this province has no district nodes */
  assert_string_equal(json_str(hub, "reason"), "two links each");
  assert_null(json_str(office, "reason"));
  assert_int_equal(json_array_size(json_object_get(j, "history")), 2);
  struct network_availability_query q = {.by = NETWORK_BY_ORGANISATION, .from = day_of(k->t0), .to = day_of(k->t0), .place = -1, .organisation = "ab"};
  struct network_line *lines;
  size_t count;
  must(network_availability(k->n, &q, &lines, &count, err));
  const struct network_sums *s = &lines[0].sums;
  int64_t lost = s->own[1] + s->upstream[1], all = s->up[1] + s->degraded[1] + lost;
  assert_true(lost > 0 && all > 0);
  assert_int_equal(json_int(ab, "budget_s", 0), (int64_t)(0.05 * (double)all) / 1000);
  assert_int_equal(json_int(ab, "budget_left_s", 0), ((int64_t)(0.05 * (double)all) - lost) / 1000);
  double burned = json_number_value(json_object_get(json_object_get(ab, "burn"), "hours_6"));
  assert_true(fabs(burned - (double)lost / (double)all / 0.05) < 0.01);
  assert_string_equal(json_str(ab, "alarm"), "spent");
  network_availability_free(lines, count);
  json_decref(j);
  run(k, 600, 601); /* a minute later */
  hubs.goal = 0, hubs.reason = "taken back";
  must(network_goal_put(k->n, &operator, &hubs, err));
  must(network_goals(k->n, LANG_FA, &j, err));
  assert_true(json_number_value(json_object_get(goal_item(j, "hub"), "goal")) == 0.999);
  assert_true(json_is_null(json_object_get(json_array_get(json_object_get(j, "history"), 0), "goal")));
  json_decref(j);
  ledger_agrees(k);
}

/* Twenty days before, on which everything answered in service hours. */
static int good_days(struct store_tx *tx, void *arg, struct err *err) {
  struct kit *k = arg;
  for (int d = 1; d <= 20; d++) {
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < NODES; i++) {
      struct sums s = {.key = k->n->nodes[i].key, .probes = 420, .sent = 2100};
      s.ms[NETWORK_UP][0] = s.ms[NETWORK_UP][1] = 420 * (int64_t)MINUTE;
      block_put(&b, &s);
    }
    int rc = store_put(tx, err, "INSERT INTO network_block (span,start,bytes) VALUES (2,?1,?2) ON CONFLICT (span,start) DO UPDATE SET bytes=excluded.bytes", "ib", day_start(day_of(k->t0) - d), (const void *)buf_str(&b), b.len);
    buf_free(&b);
    if (rc) return -1;
  }
  return 0;
}

static void alarmed(struct kit *k, double goal, int count, const char *last) {
  struct network_by operator = {"op", NULL};
  struct network_goal_set g = {.organisation = "ab", .goal = goal, .reason = "a test"};
  int64_t did;
  must(network_goal_put(k->n, &operator, &g, err));
  for (int again = 0; again < 2; again++) { /* the second time nothing is new */
    k->n->alarms_at = 0;
    k->n->goal_view_revision = -1;
    must(network_jobs(k->n, &did, err));
    assert_int_equal(k->alarm_count, count);
    if (count) assert_string_equal(k->alarms[(count - 1) % 16], last);
  }
}

static const char *alarm_now(struct kit *k, char out[16]) {
  json_t *j;
  must(network_goals(k->n, LANG_EN, &j, err));
  const char *kind = json_str(goal_item(j, "ab"), "alarm");
  snprintf(out, 16, "%s", kind ? kind : "none");
  json_decref(j);
  return out;
}

/* Told once at its beginning, once when it becomes worse than ever, once at its end; ends below where it begins. */
static void alarms_are_told(void **state) {
  struct kit *k = *state;
  char kind[16];
  run(k, 0, 600); /* O-1 was cut for 90 of 450 minutes that the offices of ab were measured today */
  must(store_write(k->samples, STORE_FRONT, good_days, k, err));
  alarmed(k, 0.9636, 0, NULL);
  assert_string_equal(alarm_now(k, kind), "none"); /* 5.5 times */
  alarmed(k, 0.99, 1, "fast ab");
  alarmed(k, 0.9636, 1, "fast ab");
  assert_string_equal(alarm_now(k, kind), "fast"); /* not below 5 */
  alarmed(k, 0.9, 2, "ended ab");
  alarmed(k, 0.96, 2, "ended ab");
  alarmed(k, 0.995, 3, "fast ab");
  assert_int_equal(k->numbers[0], k->numbers[1]);
  assert_true(k->numbers[2] > k->numbers[1]);
  alarmed(k, 0.999, 4, "spent ab");
  assert_int_equal(k->numbers[3], k->numbers[2]);
  alarmed(k, 0.99, 4, "spent ab"); /* less bad: nobody is called */
  assert_string_equal(alarm_now(k, kind), "fast");
  alarmed(k, 0.999, 4, "spent ab"); /* nor again */
  alarmed(k, 0, 5, "ended ab");     /* there is no such goal any more */
  assert_int_equal(k->numbers[4], k->numbers[2]);
  ledger_agrees(k);
}

/* ---- sums and samples ------------------------------------------------------------------------------------------------ */

struct raw_sums { struct kit *k; int64_t from, to; struct network_sums by[NODES]; };

static int node_of_key(const struct kit *k, uint32_t key) {
  for (int i = 0; i < NODES; i++)
    if (k->n->nodes[i].key == key) return i;
  return -1;
}

static int raw_sums_work(struct store_tx *tx, void *arg, struct err *err) {
  struct raw_sums *k = arg;
  int rc;
  memset(k->by, 0, sizeof k->by);
  struct store_rows *r = store_select(tx, err, "SELECT at,bytes FROM network_raw WHERE at>=?1 AND at<?2", "ii", k->from, k->to);
  while ((rc = store_next(r, err)) == 1) {
    size_t size;
    struct sample m;
    const unsigned char *at = store_blob(r, 1, &size), *end = at + size;
    while (raw_next(&at, end, store_int(r, 0), &m)) {
      struct network_sums *s = &k->by[node_of_key(k->k, m.key)];
      s->probes++, s->sent += m.sent, s->lost += m.lost;
      if (m.lost < m.sent) s->rtt_count++, s->rtt_sum += m.median;
    }
  }
  store_done(r);
  if (rc) return -1;
  for (int i = 0; i < NODES; i++) {
    int64_t since = k->from, state = NETWORK_UNKNOWN, *ms[NETWORK_STATES] = {k->by[i].up, k->by[i].degraded, k->by[i].own, k->by[i].upstream, k->by[i].maintenance, k->by[i].unknown};
    r = store_select(tx, err, "SELECT since,state FROM network_span WHERE office=?1 AND since<?2 ORDER BY since", "ti", k->k->n->nodes[i].o.code, k->to);
    while ((rc = store_next(r, err)) == 1) {
      int64_t at = store_int(r, 0) > k->from ? store_int(r, 0) : k->from;
      *ms[state] += at - since;
      since = at, state = store_int(r, 1);
    }
    store_done(r);
    if (rc) return -1;
    *ms[state] += k->to - since;
  }
  return 0;
}

static void sums_agree(struct kit *k, int32_t first, int32_t last) {
  must(network_settle(k->n, err));
  int64_t now = network_now(k->n), end = day_start(last + 1);
  struct raw_sums raw = {.k = k, .from = day_start(first), .to = end < now ? end : now};
  struct network_availability_query q = {.by = NETWORK_BY_OFFICE, .place = -1, .from_ms = raw.from, .to_ms = raw.to};
  struct network_line *lines;
  size_t count;
  must(store_read(k->samples, raw_sums_work, &raw, err));
  must(network_availability(k->n, &q, &lines, &count, err));
  assert_int_equal(count, NODES);
  for (size_t i = 0; i < count; i++) {
    struct network_sums s = lines[i].sums, *t = &raw.by[network_find(k->n, lines[i].key)];
    assert_true(t->probes > 0 && t->up[0] > 0);
    assert_int_equal(s.probes, t->probes);
    assert_int_equal(s.sent, t->sent);
    assert_int_equal(s.lost, t->lost);
    assert_int_equal(s.rtt_count, t->rtt_count);
    assert_true(fabs(s.rtt_sum - t->rtt_sum) < 1e-3 * (double)s.probes);
    assert_int_equal(s.up[0], t->up[0]);
    assert_int_equal(s.degraded[0], t->degraded[0]);
    assert_int_equal(s.own[0], t->own[0]);
    assert_int_equal(s.upstream[0], t->upstream[0]);
    assert_int_equal(s.maintenance[0], t->maintenance[0]);
  }
  network_availability_free(lines, count);
}

/* What is summed in hours, days and the hour that runs is what the samples and the spans of states say, one by one. */
static void sums_are_the_samples(void **state) {
  struct kit *k = *state;
  int32_t day = day_of(k->t0);
  run(k, 0, 500); /* within an outage that began in the hour before */
  sums_agree(k, day, day);
  run(k, 500, 585); /* within the hour in which it ended */
  sums_agree(k, day, day);
  run(k, 585, 1440 + 130);
  sums_agree(k, day, day);
  sums_agree(k, day + 1, day + 1);
  sums_agree(k, day, day + 1);
}

/* ---- the plan ---------------------------------------------------------------------------------------------------------------- */

static int no_secret_work(struct store_tx *tx, void *arg, struct err *err) {
  int64_t plans = 0, secrets = 0;
  if (store_value(tx, &plans, 0, err, "SELECT COUNT(*) FROM network_event WHERE kind='plan' AND detail LIKE '%snmp%'", "") ||
      store_value(tx, &secrets, 0, err, "SELECT COUNT(*) FROM network_event WHERE detail LIKE '%hushhush%'", "")) return -1;
  assert_int_equal(plans, 2);
  assert_int_equal(secrets, 0);
  return 0;
}

static void the_plan(void **state) {
  struct kit *k = *state;
  struct network_by operator = {"op", NULL}, water = {"w", "ab"};
  json_t *j;
  k->n->o.demo = false;
  must(network_load(k->n, err));
  struct network_office o;
  assert_int_equal(network_node(k->n, 3, &o), 0);
  assert_string_equal(o.address, ""); /* the pack has none */
  struct network_plan_row rows[] = {
    {.line = 2, .code = "O-1", .address = "10.1.1.1", .interval = "30", .checks = "icmp tcp:443"},
    {.line = 3, .code = "N-1", .organisation = "ab", .place = "09010123", .level = "dehyari", .uplinks = "N-2", .name_fa = "تازه", .address = "2001:db8::1"},
    {.line = 4, .code = "N-2", .organisation = "ab", .place = "0901011", .level = "district", .uplinks = "H-1;C-2", .name_fa = "گره تازه", .lat = "36.2", .lon = "59.3"}};
  refused(network_plan(k->n, &water, rows, 3, true, LANG_EN, &j, err), ERR_FORBIDDEN);
  json_decref(j);
  must(network_plan(k->n, &operator, rows, 3, true, LANG_EN, &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "added")), 2);
  assert_int_equal(json_array_size(json_object_get(j, "changed")), 1);
  json_decref(j);
  must(network_load(k->n, err));
  assert_int_equal(network_find(k->n, "N-1"), -1); /* dry */
  must(network_plan(k->n, &operator, rows, 3, false, LANG_EN, &j, err));
  json_decref(j);
  must(network_load(k->n, err));
  assert_int_equal(network_node(k->n, network_find(k->n, "N-1"), &o), 0);
  assert_int_equal(o.uplink_count, 1);
  assert_int_equal(o.uplinks[0], network_find(k->n, "N-2"));
  assert_int_equal(network_node(k->n, network_find(k->n, "O-1"), &o), 0);
  assert_string_equal(o.address, "10.1.1.1");
  assert_int_equal(o.interval_ms, 30000);
  must(network_plan(k->n, &operator, rows, 3, false, LANG_EN, &j, err)); /* again: nothing */
  assert_int_equal(json_int(j, "same", 0), 3);
  json_decref(j);
  struct network_plan_row bad[] = {{.line = 2, .code = "O-1", .address = "a.example"}, {.line = 3, .code = "O-2", .level = "hub"}, {.line = 4, .code = "N-2", .uplinks = "N-1"},
                                   {.line = 5, .code = "N-3"}, {.line = 6, .code = "N-1", .checks = "ftp:21"}, {.line = 7, .code = "N-1", .interval = "1"}};
  refused(network_plan(k->n, &operator, bad, 6, false, LANG_FA, &j, err), ERR_INVALID);
  assert_true(json_array_size(json_object_get(j, "errors")) >= 6);
  json_decref(j);
  refused(network_plan(k->n, &operator, bad + 2, 1, false, LANG_FA, &j, err), ERR_INVALID); /* N-1 hangs on N-2 */
  json_decref(j);
  struct network_coverage c;
  network_coverage(k->n, -1, &c);
  assert_int_equal(c.villages_large, 2);
  assert_int_equal(c.offices, 9);
  assert_int_equal(c.connected, 0);
  /* a community is told nowhere, nor written into the ledger; the file as it was exported changes nothing */
  struct network_plan_row agent = {.line = 2, .code = "O-1", .checks = "icmp snmp:hushhush@1161 tcp:80"};
  for (int turn = 0; turn < 3; turn++) {
    if (turn == 1) agent.checks = "icmp snmp:* tcp:80";
    if (turn == 2) agent.checks = "icmp snmp:hushhushtoo";
    must(network_plan(k->n, &operator, &agent, 1, false, LANG_EN, &j, err));
    char *text = json_dumps(j, 0);
    assert_null(strstr(text, "hushhush"));
    free(text);
    assert_int_equal(json_array_size(json_object_get(j, "changed")), turn != 1);
    json_decref(j);
    must(network_load(k->n, err));
    assert_int_equal(network_node(k->n, network_find(k->n, "O-1"), &o), 0);
    assert_string_equal(o.checks, turn == 2 ? "icmp snmp:hushhushtoo" : "icmp snmp:hushhush@1161 tcp:80");
  }
  agent.checks = "icmp snmp:* tcp:443"; /* what "*" stands for is not known there */
  refused(network_plan(k->n, &operator, &agent, 1, false, LANG_EN, &j, err), ERR_INVALID);
  json_decref(j);
  must(store_read(k->main, no_secret_work, NULL, err));
  ledger_agrees(k);
}

/* ---- views and numbers ---------------------------------------------------------------------------------------------------------- */

static void views(void **state) {
  struct kit *k = *state;
  json_t *j;
  int64_t cursor = network_cursor(k->n);
  run(k, 0, 845);
  struct network_query q = {.place = -1, .state = -1, .level = -1, .setting = -1, .limit = 2};
  must(network_offices(k->n, &q, LANG_EN, &j, err));
  assert_int_equal(json_int(j, "total", 0), 7);
  assert_string_equal(json_str(j, "next"), "C-2");
  json_decref(j);
  q = (struct network_query){.place = -1, .state = NETWORK_UNREACHABLE, .level = -1, .setting = PLACE_RURAL};
  must(network_offices(k->n, &q, LANG_EN, &j, err));
  assert_int_equal(json_int(j, "total", 0), 1);
  assert_string_equal(member(j, 0, "code"), "V-1");
  json_decref(j);
  q = (struct network_query){.place = -1, .state = -1, .level = -1, .setting = -1, .text = "village"};
  must(network_offices(k->n, &q, LANG_EN, &j, err));
  assert_int_equal(json_int(j, "total", 0), 2);
  json_decref(j);
  must(network_office(k->n, "H-1", LANG_FA, &j, err));
  assert_string_equal(json_str(j, "state"), "down");
  assert_int_equal(json_int(json_object_get(j, "children"), "unreachable", 0), 3);
  json_decref(j);
  refused(network_office(k->n, "X", LANG_FA, &j, err), ERR_NOT_FOUND);
  must(network_tree(k->n, NULL, LANG_FA, &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "items")), 2);
  json_decref(j);
  must(network_tree(k->n, "H-1", LANG_FA, &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "items")), 4);
  json_decref(j);
  must(network_summary(k->n, -1, LANG_EN, &j, err));
  assert_int_equal(json_int(json_object_get(j, "states"), "unreachable", 0), 3);
  assert_int_equal(json_int(json_object_get(j, "incidents"), "open", 0), 1);
  json_decref(j);
  must(network_changes(k->n, cursor, 1000, &j, err));
  assert_true(json_array_size(json_object_get(j, "changes")) >= 7 + 2 + 4 + 1);
  assert_false(json_flag(j, "gap", false) && cursor > 1);
  int64_t last = json_int(j, "cursor", 0);
  json_decref(j);
  assert_int_equal(last, network_cursor(k->n));
  must(network_changes(k->n, last, 1000, &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "changes")), 0);
  json_decref(j);
  must(network_backlog(k->n, -1, NULL, 50, LANG_EN, &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "items")), 0);
  json_decref(j);
}

/* ---- bytes -------------------------------------------------------------------------------------------------------------------------- */

/* ---- the store is away ------------------------------------------------------------------------------------------------------------ */

static int rename_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, arg ? "ALTER TABLE network_raw RENAME TO network_raw_away" : "ALTER TABLE network_raw_away RENAME TO network_raw", "") < 0 ? -1 : 0;
}

static int kept_work(struct store_tx *tx, void *arg, struct err *err) {
  int64_t *out = arg;
  return store_value(tx, &out[0], 0, err, "SELECT COUNT(*) FROM network_raw WHERE prober=''", "") || store_value(tx, &out[1], 0, err, "SELECT COUNT(*) FROM network_raw WHERE prober='hub-1'", "") ||
         store_value(tx, &out[2], 0, err, "SELECT MAX(at) FROM network_raw", "") || store_value(tx, &out[3], 0, err, "SELECT COUNT(*) FROM network_span WHERE office='O-2'", "") ||
         store_value(tx, &out[4], 0, err, "SELECT COUNT(*) FROM network_check WHERE office='O-1' AND cause='refused'", "") ? -1 : 0;
}

/* What waits for it has a bound: the oldest measurements of the centre go, counted and told; states, and what a hub was not yet acknowledged, never. */
static void nothing_fills_the_memory(void **state) {
  struct kit *k = *state;
  struct network *n = k->n;
  struct network_probing p;
  struct err why;
  enum { BUNDLES = 160, BUNDLE = 1 << 20 };
  must(store_write(k->samples, STORE_FRONT, rename_work, "away", err));
  pthread_mutex_lock(&n->lock);
  for (int i = 0; i < BUNDLES; i++) {
    bool hub = i == 0;
    if (i == 1) {
      network_op(n, (struct op){.kind = OP_STATE, .code = "O-2", .change = {.seq = 5, .at = k->t0, .since = k->t0, .to = NETWORK_UP}});
      for (int c = 0; c < 50; c++) network_op(n, (struct op){.kind = OP_CHECK, .code = "O-1", .cause = c == 49 ? CHECK_REFUSED : CHECK_OK, .decided = k->t0 + c});
    }
    network_op(n, (struct op){.kind = OP_RAW, .id = k->t0 + i, .from = k->t0 + i, .until = k->t0 + i, .prober = hub ? "hub-1" : "", .bytes = base_alloc(BUNDLE), .size = BUNDLE});
    if (i != BUNDLES / 2) continue;
    pthread_mutex_unlock(&n->lock);
    assert_int_equal(network_flush(n, &why), -1); /* taken, and put back */
    pthread_mutex_lock(&n->lock);
  }
  assert_true(n->ops_size <= OPS_BYTES_MOST);
  pthread_mutex_unlock(&n->lock);
  network_probing(n, &p);
  assert_string_equal(p.trouble, "network.trouble_dropped");
  must(store_write(k->samples, STORE_FRONT, rename_work, NULL, err));
  must(network_flush(n, err));
  int64_t kept[5] = {0};
  must(store_read(k->samples, kept_work, kept, err));
  assert_true(kept[0] > 32);
  assert_int_equal(kept[0] + p.dropped, BUNDLES - 1);
  assert_int_equal(kept[1], 1);
  assert_int_equal(kept[2], k->t0 + BUNDLES - 1); /* the newest */
  assert_int_equal(kept[3], 1);
  assert_int_equal(kept[4], 1);
  network_probing(n, &p);
  assert_string_equal(p.trouble, "");
}

static void the_bytes(void **state) {
  struct sums s = {.key = 77, .probes = 60, .sent = 300, .lost = 3, .answered = 59, .rtt_sum = 590.5, .jitter_sum = 3.25, .min = 1.5, .max = 22.125}, t;
  struct buf b = {0};
  for (int i = 0; i < 12; i++) s.ms[i / 2][i % 2] = i * 1000003;
  s.bins[0] = 3;
  s.bins[63] = 56;
  block_put(&b, &s);
  const unsigned char *at = (const unsigned char *)b.data, *end = at + b.len;
  assert_true(block_next(&at, end, &t, true));
  assert_memory_equal(&s.ms, &t.ms, sizeof s.ms);
  assert_memory_equal(&s.bins, &t.bins, sizeof s.bins);
  assert_true(t.key == 77 && t.min == 1.5 && t.max == 22.125 && t.rtt_sum == 590.5 && at == end);
  assert_false(block_next(&at, end, &t, true));
  for (size_t cut = 0; cut < b.len; cut++) { /* cut short: told, and nothing read beyond */
    at = (const unsigned char *)b.data;
    assert_false(block_next(&at, (const unsigned char *)b.data + cut, &t, true));
  }
  buf_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(a_day, setup, teardown), cmocka_unit_test_setup_teardown(a_restart, setup, teardown),
    cmocka_unit_test_setup_teardown(people_act, setup, teardown), cmocka_unit_test_setup_teardown(no_level_is_skipped, setup, teardown), cmocka_unit_test_setup_teardown(goals_are_kept, setup, teardown), cmocka_unit_test_setup_teardown(alarms_are_told, setup, teardown),
    cmocka_unit_test_setup_teardown(sums_are_the_samples, setup, teardown), cmocka_unit_test_setup_teardown(the_plan, setup, teardown), cmocka_unit_test_setup_teardown(views, setup, teardown),
    cmocka_unit_test_setup_teardown(nothing_fills_the_memory, setup, teardown), cmocka_unit_test(the_bytes)};
  struct err err;
  if (kit_start(NULL) || language_init(&err)) return 1;
  make_pack();
  int failed = cmocka_run_group_tests_name("network-life (SQLite)", tests, NULL, NULL);
  if (getenv("CHAPAR_TEST_ENGINE") == NULL && kit_pg_start() == 0) {
    engine_pg = true;
    failed += cmocka_run_group_tests_name("network-life (PostgreSQL)", tests, NULL, NULL);
    kit_pg_stop();
  } else print_message("network-life: PostgreSQL is left out\n");
  directory_free(dir);
  kit_stop(NULL);
  return failed;
}
