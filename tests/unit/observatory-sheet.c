/* Tables as files: what a spreadsheet would run is not run, identifiers stay text, nothing is lost. */
#include "observatory/observatory.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *table(void) {
  return json_pack("{s:s,s:s,s:{s:s},s:[{s:s,s:s,s:s},{s:s,s:s,s:s},{s:s,s:s,s:s},{s:s,s:s,s:s}],s:[[s,s,i,f],[s,s,s,n],[s,s,i,f]]}", "name", "services", "title", "خدمت‌ها", "period",
                   "name", "آبان ۱۴۰۵", "columns", "key", "code", "title", "کد", "kind", "id", "key", "service", "title", "خدمت, نام", "kind", "text", "key", "arrived", "title", "رسیده",
                   "kind", "count", "key", "share", "title", "=سهم", "kind", "share", "rows", "0012345678901234567", "=HYPERLINK(\"http://evil\")", 12, 0.25, "+98", "با «گیومه\" و\nسطر",
                   "<5", "-1", "＝1+1", -3, 1.0);
}

static void csv_runs_nothing(void **state) {
  json_t *t = table();
  size_t n;
  char *text = table_csv(t, &n);
  assert_int_equal(strlen(text), n);
  assert_string_equal(text, "\xEF\xBB\xBFکد,\"خدمت, نام\",رسیده,\"'=سهم\"\r\n"
                            "0012345678901234567,\"'=HYPERLINK(\"\"http://evil\"\")\",12,0.2500\r\n"
                            "\"'+98\",\"با «گیومه\"\" و\nسطر\",<5,\r\n"
                            "\"'-1\",\"'＝1+1\",-3,1.0000\r\n");
  struct err err;
  struct csv *c = csv_read(text, n, &err);
  assert_non_null(c);
  assert_int_equal(csv_rows(c), 3);
  assert_string_equal(csv_cell(c, 0, 0), "0012345678901234567");
  csv_free(c);
  free(text);
  json_decref(t);
}

static void sheet_is_a_zip_with_text(void **state) {
  json_t *t = table();
  void *data;
  size_t n;
  struct err err;
  assert_int_equal(table_xlsx(t, LANG_FA, &data, &n, &err), 0);
  assert_true(n > 1000 && memcmp(data, "PK\x03\x04", 4) == 0);
  free(data);
  json_decref(t);
}

static void cells_are_read_by_people(void **state) {
  struct arena *a = arena_new(4096);
  json_t *few = json_string("<5"), *share = json_real(0.256), *n = json_integer(12345), *mean = json_real(4.26);
  assert_string_equal(table_cell(a, LANG_FA, "share", share), "\u2067۲۶\u200F٪\u2069");
  assert_string_equal(table_cell(a, LANG_EN, "share", share), "26%");
  assert_string_equal(table_cell(a, LANG_FA, "count", n), "۱۲٬۳۴۵");
  assert_string_equal(table_cell(a, LANG_EN, "count", few), "under 5");
  assert_string_equal(table_cell(a, LANG_EN, "mean", mean), "4.3");
  assert_string_equal(table_cell(a, LANG_EN, "count", json_null()), "");
  json_decref(few);
  json_decref(share);
  json_decref(n);
  json_decref(mean);
  arena_free(a);
}

static int setup(void **state) {
  struct err err;
  return language_init(&err);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(csv_runs_nothing), cmocka_unit_test(sheet_is_a_zip_with_text), cmocka_unit_test(cells_are_read_by_people)};
  return cmocka_run_group_tests(tests, setup, NULL);
}
