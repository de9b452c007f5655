/* Reading and writing JSON. */
#include "base/base.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void refuse(const char *s, size_t n, const char *part)
{
  struct err e = {0};
  json_t *v = json_read(s, n, 0, &e);
  if (v) fail_msg("read %s", s);
  assert_int_equal(e.code, ERR_MALFORMED);
  if (!strstr(e.message, part)) fail_msg("\"%s\" lacks \"%s\"", e.message, part);
}

static void refuses_what_is_not_one_good_document(void **state)
{
  static const struct { const char *text, *part; } rows[] = {
    {"", "line 1"}, {"{", "line 1"}, {"{}x", "line 1"}, {"{} {}", "line 1"}, {"[1,]", "line 1"}, {"{\"a\":1,\n\"a\":2}", "line 2"},
    {"{\"a\":\"\xFF\"}", "decode byte 0xff"}, {"\"\xED\xA0\x80\"", "line 1"}, {"\"\\ud800\"", "line 1"}, {"\"a\\u0000b\"", "\\u0000"},
    {"{\"a\\u0000\":1}", "line 1"}, {"9223372036854775808", "big"}, {"1e999", "overflow"}, {"[\n\n01]", "line 3"}, {"NaN", "line 1"},
    {"\"tab\there\"", "line 1"}, {"'a'", "line 1"}, {"{a:1}", "line 1"}, {"\xEF\xBB\xBF{}", "line 1"}, {"// x\n{}", "line 1"}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++) refuse(rows[i].text, strlen(rows[i].text), rows[i].part);
  refuse("{}\0", 3, "NUL");
  refuse("\"a\0b\"", 5, "NUL");
  assert_null(json_read(NULL, 0, 0, NULL));
}

static void messages_do_not_quote_the_input(void **state)
{
  struct err e;
  const char *text = "{\"name\":\"0012345679\" 0912}";
  assert_null(json_read(text, strlen(text), 0, &e));
  assert_null(strstr(e.message, "0912"));
  assert_null(strstr(e.message, "0012345679"));
}

static void measures_depth_before_reading(void **state)
{
  char deep[200001];
  memset(deep, '[', sizeof deep);
  refuse(deep, sizeof deep, "deeper");
  memset(deep, '[', 33);
  memset(deep + 33, ']', 33);
  refuse(deep, 66, "deeper");
  json_t *v = json_read(deep + 1, 64, 0, NULL);
  assert_non_null(v);
  json_decref(v);
  const char *text = "[\"[[[[\\\"[[[[\"]";
  v = json_read(text, strlen(text), 1, NULL);
  assert_non_null(v);
  json_decref(v);
  assert_null(json_read("[[]]", 4, 1, NULL));
  v = json_read("\"x\"", 3, 1, NULL);
  assert_string_equal(json_string_value(v), "x");
  json_decref(v);
}

/* Answers keep the order of their members; everything else is as in the canonical form. */
static void text_form(void **state)
{
  const char *given = "{\"z\":[1,-2.5,true,null,{}],\"a\":\"\\\"\\\\/\\n\\u0001سلام‌ها😀\",\"\":{\"b\":[],\"a\":0}}";
  size_t n = 0;
  json_t *v = json_loads(given, 0, NULL);
  char *text = json_text(v, &n);
  assert_string_equal(text, given);
  assert_int_equal(n, strlen(given));
  json_t *again = json_loads(text, 0, NULL);
  assert_true(json_equal(v, again));
  free(text);
  text = json_text(NULL, &n);
  assert_string_equal(text, "null");
  free(text);
  json_decref(again);
  json_decref(v);
}

static void canonical_form(void **state)
{
  static const struct { const char *text, *canonical; } rows[] = {
    {"{ \"b\" : 1, \"a\" : [true, null, false] }", "{\"a\":[true,null,false],\"b\":1}"},
    {"\"\\u0633\\/\\u2028\\n\\u001f\\\"\\\\\"", "\"س/\u2028\\n\\u001f\\\"\\\\\""},
    {"[0.1, 1.0, -0.0, 1e300, 0.30000000000000004, 123456789012.5]", "[0.1,1.0,-0.0,1e+300,0.30000000000000004,123456789012.5]"},
    {"-9223372036854775808", "-9223372036854775808"}, {"{}", "{}"}, {"[]", "[]"},
    {"{\"\\u06a9\":1,\"z\":2,\"\":3}", "{\"\":3,\"z\":2,\"ک\":1}"}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++) {
    json_t *v = json_read(rows[i].text, strlen(rows[i].text), 0, NULL);
    assert_non_null(v);
    char *s = json_canonical(v);
    assert_string_equal(s, rows[i].canonical);
    json_t *again = json_read(s, strlen(s), 0, NULL);
    assert_true(json_equal(v, again));
    json_decref(v);
    json_decref(again);
    free(s);
  }
  char *s = json_canonical(NULL);
  assert_string_equal(s, "null");
  free(s);
}

static void members(void **state)
{
  const char *text = "{\"s\":\"x\",\"i\":5,\"r\":1.5,\"t\":true,\"f\":false}";
  json_t *v = json_read(text, strlen(text), 0, NULL);
  assert_string_equal(json_str(v, "s"), "x");
  assert_null(json_str(v, "i"));
  assert_null(json_str(NULL, "s"));
  assert_int_equal(json_int(v, "i", 9), 5);
  assert_int_equal(json_int(v, "r", 9), 9);
  assert_int_equal(json_int(NULL, "i", 9), 9);
  assert_true(json_flag(v, "t", false));
  assert_false(json_flag(v, "f", true));
  assert_true(json_flag(v, "i", true));
  json_put(v, "s", "سلام");
  assert_string_equal(json_str(v, "s"), "سلام");
  json_put(v, "s", NULL);
  assert_true(json_is_null(json_object_get(v, "s")));
  json_put(v, "s", "a\xFFz");
  assert_string_equal(json_str(v, "s"), "a\xEF\xBF\xBDz");
  json_decref(v);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(refuses_what_is_not_one_good_document), cmocka_unit_test(messages_do_not_quote_the_input),
    cmocka_unit_test(measures_depth_before_reading), cmocka_unit_test(canonical_form), cmocka_unit_test(text_form), cmocka_unit_test(members),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
