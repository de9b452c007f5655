/* Plans as large as they may be: 20,000 offices that hang on one another are judged, written and read; circles, what stands twice and what hangs on nothing are found among as many. */
#include "network-kit.h"

enum { ROWS = 20000 };

static struct network_plan_row rows[ROWS];
static char codes[ROWS][16], uplinks[ROWS][16];

static json_t *plan(size_t count, bool dry, enum err_code expected) {
  struct network_by by = {"op", NULL};
  struct err err = {0};
  json_t *j;
  int rc = network_plan(net, &by, rows, count, dry, LANG_EN, &j, &err);
  if (rc ? err.code != expected : expected != 0) fail_msg("%d: %s", rc, rc ? err.message : "it was taken");
  return j;
}

static void fill(void **state) {
  for (int i = 0; i < ROWS; i++) {
    snprintf(codes[i], sizeof codes[i], "N-%d", i);
    if (i + 10 < ROWS) snprintf(uplinks[i], sizeof uplinks[i], "N-%d", i + 1 + i % 10); /* most stand behind those that hang on them */
    else snprintf(uplinks[i], sizeof uplinks[i], "C-1");
    rows[i] = (struct network_plan_row){.line = (unsigned)i + 2, .code = codes[i], .organisation = "ost", .place = "09", .level = "office", .uplinks = uplinks[i], .name_fa = "دفتر", .address = "127.0.0.1"};
  }
  json_t *j = plan(ROWS, true, 0);
  assert_int_equal(json_array_size(json_object_get(j, "added")), ROWS);
  json_decref(j);
  assert_int_equal(network_find(net, "N-1"), -1);
}

static bool has_fault(json_t *j, int line, const char *field) {
  size_t i;
  json_t *e;
  json_array_foreach(json_object_get(j, "errors"), i, e)
    if (json_int(e, "line", 0) == line && base_same(json_str(e, "field"), field)) return true;
  return false;
}

static void mistakes(void **state) {
  json_t *j;
  rows[ROWS - 5].uplinks = "N-0"; /* a circle through very many: N-0 hangs on N-1, that on N-3, N-7, N-15, N-21 … N-19995 */
  j = plan(ROWS, true, ERR_INVALID);
  assert_true(has_fault(j, 2, "uplinks"));
  json_decref(j);
  rows[ROWS - 5].uplinks = uplinks[ROWS - 5];
  rows[ROWS - 1].uplinks = "N-20000";
  j = plan(ROWS, true, ERR_INVALID);
  assert_int_equal(json_array_size(json_object_get(j, "errors")), 1);
  assert_true(has_fault(j, ROWS + 1, "uplinks"));
  json_decref(j);
  rows[ROWS - 1].uplinks = uplinks[ROWS - 1];
  rows[ROWS - 1].code = codes[7];
  j = plan(ROWS, true, ERR_INVALID);
  assert_true(has_fault(j, 9, "code") || has_fault(j, ROWS + 1, "code"));
  json_decref(j);
  rows[ROWS - 1].code = codes[ROWS - 1];
  struct network_by by = {"op", NULL};
  refused(network_plan(net, &by, rows, ROWS + 1, true, LANG_EN, &j, err), ERR_TOO_LARGE);
  json_decref(j);
}

static void written(void **state) {
  json_t *j = plan(ROWS, false, 0);
  json_decref(j);
  must(network_load(net, err));
  assert_int_equal(network_nodes(net), ROWS + 1);
  for (int i = 0; i < ROWS; i += 997) {
    struct network_office o;
    assert_int_equal(network_node(net, network_find(net, codes[i]), &o), 0);
    assert_string_equal(o.code, codes[i]);
    assert_int_equal(o.uplink_count, 1);
    assert_int_equal(o.uplinks[0], network_find(net, uplinks[i]));
  }
  size_t kept = net->kept_count;
  must(network_load(net, err)); /* what is read again is not kept again */
  assert_int_equal(net->kept_count, kept);
  j = plan(ROWS, true, 0);
  assert_int_equal(json_int(j, "same", 0), ROWS);
  json_decref(j);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(fill), cmocka_unit_test(mistakes), cmocka_unit_test(written)};
  struct err begun;
  if (kit_start(NULL) || language_init(&begun)) return 1;
  struct network_options o = {.node = "one"};
  kit_room("C-1,ost,09,core,,مرکز,,,,1\n", &o);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  kit_room_close();
  kit_stop(NULL);
  return failed;
}
