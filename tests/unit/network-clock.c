/* The clock of the machine is set back by an hour, forward by a little, forward by an hour, while offices on 127/8 are really measured: no incident, no time twice, and what was not measured is unknown. */
#include "network-kit.h"

#include <math.h>
#include <stdatomic.h>

enum { OFFICES = 4, HOUR = 3600000 };

static _Atomic int64_t ahead;         /* of the true time */
static atomic_bool stopping;

static int64_t true_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *clock_main(void *ctx) {
  while (!stopping) {
    clock_set(true_now() + ahead);
    kit_sleep(2);
  }
  return NULL;
}

#define until(condition)                                                      \
  for (int64_t end_ = clock_mono() + KIT_WAIT_MS; !(condition); kit_sleep(20)) \
    if (clock_mono() > end_) fail_msg("never: %s", #condition)

static bool all_up(void) { return kit_state("O-0") == NETWORK_UP && kit_state("O-1") == NETWORK_UP && kit_state("O-2") == NETWORK_UP && kit_state("O-3") == NETWORK_UP; }

static int64_t probes(void) {
  struct network_probing p;
  network_probing(net, &p);
  return p.probes;
}

static void some_probes(void) {
  int64_t before = probes();
  until(probes() >= before + 6 * OFFICES);
}

/* Sums of one office, and between which moments they were taken. */
struct told { struct network_sums s; int64_t all, from, to; };

static struct told told(const char *office) {
  struct told t = {.from = network_now(net)};
  struct network_availability_query q = {.by = NETWORK_BY_OFFICE, .from = day_of(t.from) - 2, .to = day_of(t.from) + 2, .place = -1, .office = office};
  struct network_line *lines;
  size_t count;
  must(network_availability(net, &q, &lines, &count, err));
  assert_int_equal(count, 1);
  t.s = lines[0].sums;
  network_availability_free(lines, count);
  t.to = network_now(net);
  t.all = t.s.up[0] + t.s.degraded[0] + t.s.own[0] + t.s.upstream[0] + t.s.maintenance[0] + t.s.unknown[0];
  return t;
}

/* Time is told once: neither lost nor doubled. */
static void adds_up(const struct told *a, const struct told *b) {
  assert_true(b->from >= a->to);
  if (b->all - a->all < b->from - a->to || b->all - a->all > b->to - a->from) fail_msg("%lld ms are told of %lld", (long long)(b->all - a->all), (long long)(b->from - a->to));
}

static void no_fault(const struct told *t) {
  struct network_incident_query q = {.open = -1, .place = -1};
  json_t *j;
  must(network_incidents(net, &q, LANG_EN, &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "items")), 0);
  json_decref(j);
  assert_int_equal(t->s.own[0] + t->s.upstream[0] + t->s.degraded[0], 0);
  assert_true(all_up());
}

static void set_back(void **state) {
  must(network_start(net, err));
  until(all_up());
  some_probes();
  struct told a = told("O-1");
  int64_t cursor = network_cursor(net);
  ahead -= HOUR;
  until(clock_now() < a.from);
  some_probes();
  struct told b = told("O-1");
  adds_up(&a, &b);
  no_fault(&b);
  assert_int_equal(b.s.unknown[0], a.s.unknown[0]);
  assert_int_equal(network_cursor(net), cursor); /* nobody saw anything change */
  assert_true(b.s.probes > a.s.probes);
}

/* Back to the true time and 20 s more, as a clock that is wrong a little is set right. */
static void a_little_forward(void **state) {
  struct told a = told("O-2");
  int64_t cursor = network_cursor(net);
  ahead += HOUR + 20000;
  until(network_now(net) >= a.to + 15000);
  some_probes();
  struct told b = told("O-2");
  adds_up(&a, &b);
  no_fault(&b);
  assert_int_equal(b.s.unknown[0], a.s.unknown[0]);
  assert_int_equal(network_cursor(net), cursor);
}

static void an_hour_forward(void **state) {
  struct told a = told("O-3");
  ahead += HOUR;
  until(network_now(net) >= a.to + HOUR - 60000);
  until(told("O-3").s.unknown[0] > 0); /* it is noticed within a second */
  some_probes();
  until(all_up());
  struct told b = told("O-3");
  adds_up(&a, &b);
  no_fault(&b);
  int64_t unknown = b.s.unknown[0] - a.s.unknown[0];
  assert_true(unknown >= HOUR - 60000 && unknown <= HOUR + (b.to - a.from - HOUR) + 5000);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(set_back), cmocka_unit_test(a_little_forward), cmocka_unit_test(an_hour_forward)};
  struct err begun;
  if (kit_start(NULL) || language_init(&begun)) return 1;
  struct ping_options none = {.packets = 1};
  struct ping *p = ping_new(&none, 1);
  bool can = ping_method(p, AF_INET) != PING_NONE;
  ping_free(p);
  if (!can) {
    print_message("network-clock: SKIPPED: this program may not send echo requests\n");
    kit_stop(NULL);
    return 77;
  }
  pthread_t thread;
  clock_set(true_now());
  pthread_create(&thread, NULL, clock_main, NULL);
  struct network_options o = {.node = "one", .packets = 3, .gap_ms = 10, .timeout_ms = 3000, .interval_ms = 300, .retry_ms = 100};
  kit_room("O-0,ost,09,core,,مرکز,,,,1\nO-1,ost,09,office,O-0,الف,,,,1\nO-2,ost,09,office,O-0,ب,,,,1\nO-3,ost,09,office,O-0,پ,,,,1\n", &o);
  struct network_plan_row rows[OFFICES] = {{.line = 2, .code = "O-0", .address = "127.0.8.1"}, {.line = 3, .code = "O-1", .address = "127.0.8.2"}, {.line = 4, .code = "O-2", .address = "127.0.8.3"},
    {.line = 5, .code = "O-3", .address = "127.0.8.4"}};
  kit_plan(rows, OFFICES);
  must(network_load(net, err));
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  kit_room_close();
  stopping = true;
  pthread_join(thread, NULL);
  clock_set(0);
  kit_stop(NULL);
  return failed;
}
