/*
 * Availability between any two moments. What happens is written down here, probe by probe; the figures that are expected are computed from that alone, never from what the room keeps.
 * Five days: results are kept for one, hours for two, and a month ends within them.
 */
#include "network-kit.h"

#include <math.h>

enum { MINUTE = 60000, DAY_MS = 86400000, NODES = 4, PROBES_MOST = 20000, RANGES = 60 };
enum { OWN = NETWORK_DOWN, UPSTREAM = NETWORK_UNREACHABLE };

static const char *const codes[NODES] = {"C-1", "H-1", "O-1", "O-2"};

/* Who is silent from minute to minute; day is 1,440 minutes. What hangs on a silent hub is silent too. */
static const struct fault { int node; int64_t from, to; } faults[] = {
  {2, 617, 701},                          /* an hour and its parts, on a closed day */
  {2, 1440 + 1400, 2 * 1440 + 47},        /* over midnight */
  {1, 2 * 1440 + 810, 2 * 1440 + 910},    /* the hub, over the end of service hours */
  {2, 2 * 1440 + 1420, 3 * 1440 + 130},   /* over the end of the month */
  {3, 3 * 1440 + 440, 3 * 1440 + 460},    /* over the beginning of service hours */
  {2, 4 * 1440 + 552, 4 * 1440 + 605},
  {1, 4 * 1440 + 710, 4 * 1440 + 740}};
enum { AWAY_FROM = 3 * 1440 + 960, AWAY_TO = 3 * 1440 + 1080, END = 4 * 1440 + 817 };

static struct truth { int64_t at; bool answered; int state; } truth[NODES][PROBES_MOST]; /* state: since then; a probe, or where nothing was measured any more (at of no probe) */
static int truths[NODES];
static bool probe_of[NODES][PROBES_MOST];
static int64_t t0, away_at;

static bool silent(int node, int64_t minute) {
  for (size_t i = 0; i < BASE_COUNT(faults); i++)
    if (minute >= faults[i].from && minute < faults[i].to && (faults[i].node == node || (faults[i].node == 1 && node > 1))) return true;
  return false;
}

static int state_at(int node, int64_t minute) {
  if (!silent(node, minute)) return NETWORK_UP;
  return node > 1 && silent(1, minute) ? UPSTREAM : OWN;
}

/* Every minute where something begins or ends, else every tenth. */
static bool probed(int64_t minute) {
  for (size_t i = 0; i < BASE_COUNT(faults); i++)
    if ((minute >= faults[i].from - 2 && minute < faults[i].from + 8) || (minute >= faults[i].to - 2 && minute < faults[i].to + 8)) return true;
  return minute % 10 == 0;
}

static void note(int node, int64_t at, int state, bool probe, bool answered) {
  assert_true(truths[node] < PROBES_MOST);
  probe_of[node][truths[node]] = probe;
  truth[node][truths[node]++] = (struct truth){at, answered, state};
}

static void minute_of(int64_t minute) {
  for (int i = 0; i < NODES; i++) {
    int64_t at = t0 + minute * MINUTE + i * 7001;
    bool ok = !silent(i, minute);
    struct core_result r = {.node = i, .sent_at = at, .at = at + 900};
    double rtt[5] = {10, 10, 11, 12, 12};
    measure(&r.m, 5, rtt, ok ? 5 : 0);
    clock_set(r.at);
    pthread_mutex_lock(&net->lock);
    network_take(net, &r, 0);
    core_time(net->core, network_label(net));
    pthread_mutex_unlock(&net->lock);
    note(i, at, state_at(i, minute), true, ok);
  }
}

static void jobs(void) {
  int64_t did;
  must(network_flush(net, err));
  do must(network_jobs(net, &did, err));
  while (did);
}

/* ---- what is expected ------------------------------------------------------------------------------------------------ */

static int64_t overlap(int64_t a, int64_t b, int64_t from, int64_t to) {
  int64_t low = a > from ? a : from, high = b < to ? b : to;
  return high > low ? high - low : 0;
}

/* The first day is a Thursday: it and the next are closed; then 7:30 to 14:30. */
static int64_t in_service(int64_t a, int64_t b) {
  int64_t sum = 0;
  for (int64_t day = 2; day < 6; day++) sum += overlap(a, b, t0 + day * DAY_MS + 450 * (int64_t)MINUTE, t0 + day * DAY_MS + 870 * (int64_t)MINUTE);
  return sum;
}

struct expected { int64_t ms[NETWORK_STATES][2], probes, lost; };

static struct expected expect(int node, int64_t from, int64_t to) {
  struct expected e = {0};
  int64_t since = t0;
  int state = NETWORK_UNKNOWN;
  for (int i = 0; i <= truths[node]; i++) {
    int64_t at = i < truths[node] ? truth[node][i].at : to, low = since > from ? since : from, high = at < to ? at : to;
    if (high > low) e.ms[state][0] += high - low, e.ms[state][1] += in_service(low, high);
    if (i == truths[node]) break;
    since = at, state = truth[node][i].state;
    if (!probe_of[node][i] || at < from || at >= to) continue;
    e.probes++;
    e.lost += truth[node][i].answered ? 0 : 5;
  }
  return e;
}

/* Results are kept for a day, hours for two: what is older than its part of an hour, or its hours within a day, has no probes any more. low_…: where the piece beside the bound begins. */
static bool counted(int64_t bound, int64_t low_hour, int64_t low_day, int64_t now) {
  int64_t rest = (bound - t0) % DAY_MS;
  if (bound <= t0 || rest == 0) return true;
  return low_day >= now - 2 * (int64_t)DAY_MS && (rest % HOUR_MS == 0 || low_hour >= now - DAY_MS);
}

static int compared; /* ranges whose probes were compared too */

static void agrees(int64_t from, int64_t to) {
  int64_t now = network_now(net), end = to < now ? to : now; /* the clock goes on while it is read */
  struct network_availability_query q = {.by = NETWORK_BY_OFFICE, .place = -1, .from_ms = from, .to_ms = end};
  struct network_line *lines;
  size_t count;
  must(network_availability(net, &q, &lines, &count, err));
  assert_int_equal(count, NODES);
  bool all = counted(from, from, from, now) && counted(end, hour_start(end), day_start(day_of(end)), now);
  compared += all;
  for (int i = 0; i < NODES; i++) {
    assert_string_equal(lines[i].key, codes[i]);
    const struct network_sums *s = &lines[i].sums;
    struct expected e = expect(i, from, end);
    const int64_t *is[NETWORK_STATES] = {s->up, s->degraded, s->own, s->upstream, s->maintenance, s->unknown};
    for (int k = 0; k < NETWORK_STATES; k++)
      for (int h = 0; h < 2; h++)
        if (is[k][h] != e.ms[k][h])
          fail_msg("%s is %s for %lld ms, not %lld, between minutes %.3f and %.3f (hours %d)", codes[i], network_state_text((enum network_state)k), (long long)is[k][h], (long long)e.ms[k][h],
                   (double)(from - t0) / MINUTE, (double)(end - t0) / MINUTE, h);
    if (all && (s->probes != e.probes || s->sent != 5 * e.probes || s->lost != e.lost))
      fail_msg("%s: %lld probes and %lld packets lost, not %lld and %lld, between minutes %.3f and %.3f", codes[i], (long long)s->probes, (long long)s->lost, (long long)e.probes, (long long)e.lost,
               (double)(from - t0) / MINUTE, (double)(end - t0) / MINUTE);
    assert_true(s->probes <= e.probes);
  }
  network_availability_free(lines, count);
}

static uint64_t seed;

static int64_t below(int64_t most) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (int64_t)((seed >> 16) % (uint64_t)most);
}

/* Any two moments; some on hours, some on days; and those at which something began or ended, a millisecond before and after. */
static void all_agree(void) {
  int64_t now = network_now(net), span = now - t0 + 3 * (int64_t)HOUR_MS;
  for (int i = 0; i < RANGES; i++) {
    int64_t from = t0 - HOUR_MS + below(span), to = from + 1 + below(i % 3 ? span : HOUR_MS);
    if (i % 4 == 1) from = hour_start(from);
    if (i % 5 == 2) to = hour_start(to);
    if (i % 7 == 3) from = day_start(day_of(from));
    if (from < to && from < now) agrees(from, to);
  }
  for (size_t i = 0; i < BASE_COUNT(faults); i++) {
    int64_t at = t0 + faults[i].from * MINUTE + faults[i].node * 7001;
    if (at < now) agrees(at - 1, at + 1), agrees(at - 1, at + HOUR_MS);
  }
  agrees(t0, now);
  agrees(now - 6 * (int64_t)HOUR_MS, now);
  agrees(now - 3 * (int64_t)DAY_MS, now);
}

static int day_waits(struct store_tx *tx, void *arg, struct err *err) { return store_value(tx, arg, 0, err, "SELECT COUNT(*) FROM network_dirty WHERE span=2", ""); }

/* Its last hour is summed, the day itself is not yet. */
static void between_hour_and_day(void) {
  int64_t did, waits = 0;
  clock_set(t0 + (2 * 1440 + 3) * (int64_t)MINUTE);
  must(network_flush(net, err));
  must(network_jobs(net, &did, err));
  must(store_read(kit_samples, day_waits, &waits, err));
  assert_int_equal(waits, 1);
  agrees(t0 + DAY_MS, t0 + 2 * (int64_t)DAY_MS);
  agrees(t0, t0 + 2 * (int64_t)DAY_MS);
}

static void any_two_moments(void **state) {
  static const int64_t looks[] = {650, 1440 + 700, 2 * 1440 + 20, 3 * 1440 + 30, 3 * 1440 + 1075, 4 * 1440 + 580};
  for (int64_t m = 0; m < END; m++) {
    if (m == AWAY_FROM) { /* nothing is measured any more */
      away_at = t0 + (m - 1) * MINUTE + 12345;
      for (int i = 0; i < NODES; i++) note(i, away_at, NETWORK_UNKNOWN, false, false);
    }
    if (m == AWAY_TO) {
      clock_set(t0 + m * MINUTE);
      pthread_mutex_lock(&net->lock);
      core_away(net->core, 0, away_at, network_label(net), false);
      pthread_mutex_unlock(&net->lock);
    }
    if (m >= AWAY_FROM && m < AWAY_TO) continue;
    if (probed(m)) minute_of(m);
    if (m == 2 * 1440 + 3) between_hour_and_day();
    else if (m % 30 == 0 && m != 2 * 1440) jobs();
    for (size_t i = 0; i < BASE_COUNT(looks); i++)
      if (m == looks[i]) all_agree();
  }
  jobs();
  all_agree();
  assert_true(compared > RANGES);
  /* an hour of one office, begun within an hour, is what its samples are */
  json_t *j;
  must(network_series(net, "O-1", NETWORK_HOUR, t0 + (4 * 1440 + 580) * (int64_t)MINUTE + 1, &j, err));
  struct expected e = expect(2, t0 + (4 * 1440 + 520) * (int64_t)MINUTE + 1, t0 + (4 * 1440 + 580) * (int64_t)MINUTE + 1);
  json_t *ms = json_object_get(json_object_get(json_object_get(j, "availability"), "ms"), "all");
  assert_int_equal(json_int(ms, "own", 0), e.ms[OWN][0]);
  assert_int_equal(json_int(ms, "up", 0), e.ms[NETWORK_UP][0]);
  assert_int_equal(json_array_size(json_object_get(j, "points")), e.probes);
  json_decref(j);
}

static int setup(void **state) {
  struct network_options o = {.node = "one", .demo = true, .raw_days = 1, .hour_days = 2};
  kit_room("C-1,ost,09,core,,یک,One,,,1\nH-1,ost,09,hub,C-1,گره,Hub,,,1\nO-1,ost,09,office,H-1,الف,A,,,1\nO-2,ost,09,office,H-1,ب,B,,,1\n", &o);
  memset(truths, 0, sizeof truths);
  seed = 1405;
  compared = 0;
  net->holder = true; /* this program is the prober */
  net->cursor = 1;
  return 0;
}

static int teardown(void **state) {
  kit_room_close();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(any_two_moments, setup, teardown)};
  struct err err;
  if (kit_start(NULL) || language_init(&err)) return 1;
  t0 = day_start(day_from_jalali((struct date){1405, 8, 28}));
  clock_set(t0);
  int failed = cmocka_run_group_tests_name("network-sums (SQLite)", tests, NULL, NULL);
  if (getenv("CHAPAR_TEST_ENGINE") == NULL && kit_pg_start() == 0) {
    kit_room_pg = true;
    clock_set(t0);
    failed += cmocka_run_group_tests_name("network-sums (PostgreSQL)", tests, NULL, NULL);
    kit_pg_stop();
  } else print_message("network-sums: PostgreSQL is left out\n");
  clock_set(0);
  kit_stop(NULL);
  return failed;
}
