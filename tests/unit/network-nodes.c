/*
 * Two nodes on one PostgreSQL with real packets to 127/8: one measures, the other reads what it wrote. The one that measures is stopped in the middle of its probes (a program of its
 * own): the other follows, nothing is called bad meanwhile, no sample is there twice; woken up, the first writes nothing of what it thought, and gives in. It is killed in the end.
 */
#include "network-kit.h"

#include <signal.h>

enum { OFFICES = 6, INTERVAL = 400 };

static char where[600];
static pid_t child;
static int to_child, from_child;

static struct network *open_node(const char *name, const char *folder) {
  char key[200];
  struct network *n;
  snprintf(key, sizeof key, "%s/key.pem", kit_dir);
  struct trust_options t = {.key_file = key, .origin = "test/ledger", .node = name};
  struct network_options o = {.node = name, .packets = 3, .gap_ms = 60, .timeout_ms = 3000, .interval_ms = INTERVAL, .retry_ms = 100};
  kit_directory = directory_load(folder, kit_said, NULL);
  must(store_open(where, NULL, &kit_main, err));
  must(trust_open(kit_main, &t, &kit_trust, err));
  must(network_open(kit_main, kit_main, kit_trust, kit_directory, &o, &n, err));
  return n;
}

/* The first node: begins when it is told; says h when it measures, f when it follows. */
static void first_node(const char *folder, int in, int out) {
  char c;
  bool here = false;
  if (read(in, &c, 1) != 1) _exit(1);
  struct network *n = open_node("one", folder);
  must(network_start(n, err));
  for (;; kit_sleep(10)) {
    struct network_probing p;
    network_probing(n, &p);
    if (p.here != here && write(out, p.here ? "h" : "f", 1) != 1) _exit(1);
    here = p.here;
  }
}

static void make_pack(char folder[200]) {
  struct buf offices = {0};
  snprintf(folder, 200, "%s/pack", kit_dir);
  must(dir_make(folder, 0755, err));
  kit_file(folder, "places.csv", "code,parent,kind,setting,name_fa,name_en,lat,lon,population,population_year,households\n09,,province,mixed,استان,Province,,,,,\n");
  kit_file(folder, "organisations.csv", "code,kind,parent,place,class,member,name_fa,name_en,phone,unit_of\nost,agency,,09,GOV,1,استانداری,Governor,,\n");
  buf_adds(&offices, "code,organisation,place,level,uplinks,name_fa,name_en,lat,lon,synthetic\nO-0,ost,09,core,,مرکز,,,,1\n");
  for (int i = 1; i < OFFICES; i++) buf_addf(&offices, "O-%d,ost,09,office,O-0,دفتر,,,,1\n", i);
  kit_file(folder, "offices.csv", buf_str(&offices));
  buf_free(&offices);
}

static void hears(char wanted) {
  char c = 0;
  if (read(from_child, &c, 1) != 1 || c != wanted) fail_msg("the first node says %c, not %c", c, wanted);
}

static bool all_up(void) {
  for (int i = 0; i < OFFICES; i++) {
    char code[8];
    snprintf(code, sizeof code, "O-%d", i);
    if (kit_state(code) != NETWORK_UP) return false;
  }
  return true;
}

static struct network_probing probing(void) {
  struct network_probing p;
  network_probing(net, &p);
  return p;
}

#define until(condition)                                                      \
  for (int64_t end_ = clock_mono() + KIT_WAIT_MS; !(condition); kit_sleep(20)) \
    if (clock_mono() > end_) fail_msg("never: %s", #condition)

struct counted { int64_t since, of[OFFICES], lost, first, last; };

static int count_work(struct store_tx *tx, void *arg, struct err *err) {
  struct counted *k = arg;
  memset(k->of, 0, sizeof k->of);
  k->lost = k->first = k->last = 0;
  struct store_rows *r = store_select(tx, err, "SELECT at,bytes FROM network_raw ORDER BY at", "");
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) {
    size_t size;
    struct sample s;
    const unsigned char *at = store_blob(r, 1, &size), *end = at + size;
    while (raw_next(&at, end, store_int(r, 0), &s)) {
      k->lost += s.lost;
      if (s.at < k->since || s.key < 1 || s.key > OFFICES) continue;
      k->of[s.key - 1]++;
      if (!k->first || s.at < k->first) k->first = s.at;
      if (s.at > k->last) k->last = s.at;
    }
  }
  store_done(r);
  return rc;
}

/* Never more than one prober would have made since then; answers how many there are in all. */
static int64_t once_each(int64_t since) {
  struct counted k = {.since = since};
  int64_t all = 0;
  must(store_read(kit_main, count_work, &k, err));
  for (int i = 0; i < OFFICES; i++) {
    if (k.of[i] > (k.last - k.first) / INTERVAL + 3) fail_msg("office %d has %lld samples in %lld ms", i, (long long)k.of[i], (long long)(k.last - k.first));
    all += k.of[i];
  }
  assert_int_equal(k.lost, 0);
  return all;
}

static void nothing_bad(void) {
  struct network_incident_query q = {.open = -1, .place = -1};
  json_t *j, *c;
  size_t i;
  must(network_incidents(net, &q, LANG_EN, &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "items")), 0);
  json_decref(j);
  must(network_changes(net, 0, 0, &j, err));
  json_array_foreach(json_object_get(j, "changes"), i, c)
    if (!base_same(json_str(c, "to"), "up")) fail_msg("%s became %s", json_str(c, "office"), json_str(c, "to"));
  json_decref(j);
}

static void one_measures(void **state) {
  assert_int_equal(write(to_child, "b", 1), 1);
  hears('h');
  must(network_start(net, err));
  until(all_up()); /* as it reads */
  assert_false(probing().here);
  until(once_each(0) >= 3 * OFFICES);
  nothing_bad();
}

static void the_other_follows(void **state) {
  kill(child, SIGSTOP);
  until(probing().here);
  int64_t since = network_now(net);
  until(probing().probes >= 5 * OFFICES);
  assert_true(all_up());
  kill(child, SIGCONT);
  hears('f');
  int64_t measured = probing().probes;
  until(probing().probes >= measured + 3 * OFFICES);
  must(network_settle(net, err));
  once_each(since);
  nothing_bad();
  assert_true(all_up() && probing().here);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  child = 0;
  measured = probing().probes;
  until(probing().probes >= measured + OFFICES);
  nothing_bad();
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(one_measures), cmocka_unit_test(the_other_follows)};
  struct err begun;
  char folder[200];
  int to[2], from[2];
  if (kit_start(NULL) || language_init(&begun)) return 1;
  struct ping_options none = {.packets = 1};
  struct ping *p = ping_new(&none, 1);
  bool can = ping_method(p, AF_INET) != PING_NONE;
  ping_free(p);
  if (!can || kit_pg_start()) {
    print_message("network-nodes: SKIPPED: there is no PostgreSQL here, or this program may not send echo requests\n");
    kit_stop(NULL);
    return 77;
  }
  make_pack(folder);
  kit_new_where(true, where, sizeof where);
  assert_true(pipe(to) == 0 && pipe(from) == 0);
  to_child = to[1];
  from_child = from[0];
  child = fork(); /* before there are threads */
  if (child == 0) first_node(folder, to[0], from[1]);
  struct store *s;
  must(store_open(where, NULL, &s, err));
  must(store_migrate(s, NULL, err));
  store_close(s);
  net = open_node("two", folder);
  struct network_plan_row rows[OFFICES] = {0};
  char codes[OFFICES][8], addresses[OFFICES][20];
  for (int i = 0; i < OFFICES; i++) {
    snprintf(codes[i], sizeof codes[i], "O-%d", i);
    snprintf(addresses[i], sizeof addresses[i], "127.0.9.%d", i + 1);
    rows[i] = (struct network_plan_row){.line = (unsigned)i + 2, .code = codes[i], .address = addresses[i]};
  }
  kit_plan(rows, OFFICES);
  must(network_load(net, err));
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  if (child > 0) kill(child, SIGKILL);
  network_close(net);
  trust_close(kit_trust);
  store_close(kit_main);
  directory_free(kit_directory);
  kit_pg_stop();
  kit_stop(NULL);
  return failed;
}
