/* What is erased when its time is over, found by its words and not by looking through the desk; what the desk calls late; figures. */
#include "cases/cases.h"
#include "store-kit.h"

static const unsigned char secret[32] = "thirty-two bytes for the tests..";
static struct store *store;
static struct trust *trust;
static struct pack *pack;
static struct identity *identity;
static struct cases *cases;

static void told(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  if (!warning) fail_msg("%s:%u: %s", file, line, message);
}

static int setup(void **state) {
  static const char *const rooms[] = {"store", "trust", "identity", "cases", "packs", "sessions", NULL};
  char where[512], key[540];
  clock_set(0);
  log_set_level(LOG_WARN);
  must(language_init(err));
  kit_new_where(false, where, sizeof where);
  must(store_open(where, NULL, &store, err));
  must(store_migrate(store, rooms, err));
  snprintf(key, sizeof key, "%s.pem", where + strlen("sqlite:"));
  must(trust_open(store, &(struct trust_options){.key_file = key, .origin = "test.example/ledger", .node = "one"}, &trust, err));
  pack = pack_compile("packs/khorasan-razavi", &(struct pack_report){.line = told});
  assert_non_null(pack);
  must(identity_open(store, store, &(struct identity_options){.secret = secret}, &identity, err));
  must(cases_open(store, trust, pack, &(struct cases_options){.secret = secret, .node = "one", .identity = identity}, &cases, err));
  return 0;
}

static int teardown(void **state) {
  clock_set(0);
  cases_close(cases);
  identity_close(identity);
  trust_close(trust);
  pack_unref(pack);
  store_close(store);
  return 0;
}

static struct case_submission file(const char *key) {
  const struct service *def = pack_find(pack, "village-residence");
  struct case_submission s = {.service = def, .data = json_array_get(def->examples, 0), .key = key, .caller = "test", .lang = LANG_FA, .actor = {.kind = ACTOR_SYSTEM}};
  must(cases_submit(cases, &s, NULL, NULL, err));
  return s;
}

static void act(const char *tracking, const char *action, const char *organisation, const char *to) {
  struct case_act a = {.action = action, .expected_version = -1, .comment = "x", .lang = LANG_FA,
                       .actor = {.kind = ACTOR_STAFF, .username = "one", .role_count = 1, .roles = {{.role = STAFF_OFFICER}}}};
  snprintf(a.tracking, sizeof a.tracking, "%s", tracking);
  snprintf(a.actor.roles[0].organisation, sizeof a.actor.roles[0].organisation, "%s", organisation);
  a.data = to ? json_pack("{s:s}", "to", to) : NULL;
  must(cases_act(cases, &a, NULL, NULL, err));
  json_decref(a.data);
}

static int words_work(struct store_tx *tx, void *arg, struct err *e) { return store_value(tx, arg, 0, e, "SELECT COUNT(*) FROM case_term", ""); }
static int holes_work(struct store_tx *tx, void *arg, struct err *e) {
  return store_value(tx, arg, 0, e, "SELECT (SELECT COUNT(*) FROM case_event WHERE payload IS NULL AND action<>'erase')+(SELECT COUNT(*) FROM cases WHERE first_payload IS NULL)", "");
}

static int64_t number(store_work work) {
  int64_t n = 0;
  must(store_read(store, work, &n, err));
  return n;
}

static void jobs(void) {
  int64_t done = 1;
  for (int i = 0; i < 50 && done; i++) must(cases_jobs(cases, &done, err));
}

static const char *const owner = "dehyari-0916050003164003";

static void test_erase(void **state) {
  struct case_submission stays = file("stays");
  int64_t least = number(words_work);
  assert_true(least >= 3);
  struct case_submission here = file("here"), moved = file("moved");
  assert_int_equal(number(words_work), 3 * least);
  act(here.tracking, "approve", owner, NULL);
  act(moved.tracking, "transfer", owner, "ostandari");
  assert_int_equal(number(words_work), 4 * least); /* at both desks */
  act(moved.tracking, "approve", "ostandari", NULL);
  clock_set(clock_now() + INT64_C(6) * 366 * 86400000);
  jobs();
  assert_int_equal(number(words_work), least);
  assert_int_equal(number(holes_work), 2 + 3);
  json_t *view = NULL;
  struct actor auditor = {.kind = ACTOR_STAFF, .role_count = 1, .roles = {{"", STAFF_AUDITOR}}};
  must(cases_get(cases, &auditor, stays.tracking, LANG_EN, &view, err));
  assert_true(json_object_size(json_object_get(view, "data")) > 3);
  json_decref(view);
}

static size_t desk(struct case_query q) {
  struct actor who = {.kind = ACTOR_STAFF, .role_count = 1, .roles = {{.role = STAFF_OFFICER}}};
  snprintf(who.roles[0].organisation, sizeof who.roles[0].organisation, "%s", owner);
  json_t *out = NULL;
  q.organisation = owner;
  must(cases_desk(cases, &who, &q, LANG_EN, &out, err));
  size_t n = json_array_size(json_object_get(out, "items"));
  json_decref(out);
  return n;
}

static void test_late(void **state) {
  struct case_submission closed = file("closed");
  file("open");
  act(closed.tracking, "approve", owner, NULL);
  assert_int_equal(desk((struct case_query){.overdue = 1, .open = -1}), 0);
  assert_int_equal(desk((struct case_query){.overdue = -1, .open = -1}), 2);
  assert_int_equal(desk((struct case_query){.overdue = -1, .open = -1, .assignee = "none"}), 1);
  assert_int_equal(desk((struct case_query){.overdue = -1, .open = 0, .assignee = "none"}), 1);
  clock_set(clock_now() + INT64_C(60) * 86400000);
  assert_int_equal(desk((struct case_query){.overdue = 1, .open = -1}), 1); /* a closed one is not late */
}

static void test_figures(void **state) {
  struct cases_figures f;
  int64_t placed;
  bool any = true;
  must(cases_any(cases, &any, err));
  assert_false(any);
  must(cases_figures(cases, &f, err));
  assert_int_equal(f.cases + f.open + f.events, 0);
  struct case_submission closed = file("closed");
  file("open");
  act(closed.tracking, "approve", owner, NULL);
  must(trust_sequence(trust, &placed, err));
  must(cases_any(cases, &any, err));
  assert_true(any);
  for (int64_t end = clock_mono() + 60000; f.cases < 2 && clock_mono() < end; kit_sleep(10)) must(cases_figures(cases, &f, err)); /* counted again after a hundred times what the count took */
  assert_int_equal(f.cases, 2);
  assert_int_equal(f.open, 1);
  assert_int_equal(f.events, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_erase, setup, teardown),
    cmocka_unit_test_setup_teardown(test_late, setup, teardown),
    cmocka_unit_test_setup_teardown(test_figures, setup, teardown),
  };
  return cmocka_run_group_tests_name("cases-erase", tests, kit_start, kit_stop);
}
