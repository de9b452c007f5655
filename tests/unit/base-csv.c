/* CSV by RFC 4180. */
#include "base/base.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct csv *read_text(const char *s)
{
  struct err e = {0};
  struct csv *c = csv_read(s, strlen(s), &e);
  if (!c) fail_msg("%s", e.message);
  return c;
}

static void cells_and_lines(void **state)
{
  struct csv *c = read_text("\xEF\xBB\xBFkey,fa,en\r\na,\"یک, دو\",\"say \"\"hi\"\"\"\r\nb,\"two\nlines\",\nc,,\"\"");
  assert_int_equal(csv_rows(c), 3);
  int fa = csv_column(c, "fa"), en = csv_column(c, "en");
  assert_int_equal(csv_column(c, "key"), 0);
  assert_int_equal(csv_column(c, "de"), -1);
  assert_string_equal(csv_cell(c, 0, fa), "یک, دو");
  assert_string_equal(csv_cell(c, 0, en), "say \"hi\"");
  assert_string_equal(csv_cell(c, 1, fa), "two\nlines");
  assert_string_equal(csv_cell(c, 1, en), "");
  assert_string_equal(csv_cell(c, 2, 0), "c");
  assert_string_equal(csv_cell(c, 2, en), "");
  assert_string_equal(csv_cell(c, 2, -1), "");
  assert_string_equal(csv_cell(c, 3, 0), "");
  assert_int_equal(csv_line(c, 0), 2);
  assert_int_equal(csv_line(c, 1), 3);
  assert_int_equal(csv_line(c, 2), 5);
  csv_free(c);
  csv_free(NULL);
}

static void header_alone(void **state)
{
  struct csv *c = read_text("a,b\n");
  assert_int_equal(csv_rows(c), 0);
  csv_free(c);
  c = read_text("only\n1\n\n2\n"); /* of one column, an empty line is an empty cell */
  assert_int_equal(csv_rows(c), 3);
  assert_string_equal(csv_cell(c, 1, 0), "");
  csv_free(c);
}

static void refusals_name_their_line(void **state)
{
  static const struct { const char *text, *part; } rows[] = {
    {"", "line 1"}, {"a,b\n1\n", "line 2: 1 cells"}, {"a,b\n1,2\n1,2,3\n", "line 3: 3 cells"}, {"a,b\n\"x\ny\",2\n1\n", "line 4"},
    {"a,b\n1,\"2\n\n", "line 2: a quote is never closed"}, {"a,b\n1,\"2\"x\n", "line 2"}, {"a,b\n1,x\"2\"\n", "line 2"}, {"a,b\r1,2", "line 1"},
    {"a,a\n", "two columns"}, {"a,\n", "column 2"}, {"a\nb\n\xFF\n", "line 3: not UTF-8"}, {"a,b\n\n", "line 2"}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++) {
    struct err e = {0};
    assert_null(csv_read(rows[i].text, strlen(rows[i].text), &e));
    if (!strstr(e.message, rows[i].part)) fail_msg("\"%s\" lacks \"%s\"", e.message, rows[i].part);
  }
  struct err e;
  assert_null(csv_read("a\n\0\n", 4, &e));
  assert_non_null(strstr(e.message, "line 2: NUL"));
  assert_null(csv_read(NULL, 0, &e));
  char wide[2002];
  for (size_t i = 0; i < sizeof wide; i++) wide[i] = i % 2 ? ',' : 'a';
  assert_null(csv_read(wide, sizeof wide, &e));
  assert_int_equal(e.code, ERR_LIMIT);
}

static void many_rows(void **state)
{
  struct buf b = {0};
  buf_adds(&b, "n,square\n");
  for (int i = 0; i < 5000; i++) buf_addf(&b, "%d,\"%d\"\n", i, i * i);
  struct csv *c = read_text(b.data);
  assert_int_equal(csv_rows(c), 5000);
  assert_string_equal(csv_cell(c, 4999, 1), "24990001");
  assert_int_equal(csv_line(c, 4999), 5001);
  csv_free(c);
  buf_free(&b);
}

static void cells_written_are_no_formulas(void **state)
{
  static const char *const texts[][2] = {
    {"plain", "plain"}, {"a,b", "\"a,b\""}, {"say \"x\"", "\"say \"\"x\"\"\""}, {"=1+1", "'=1+1"}, {"-5", "'-5"}, {"@x", "'@x"}, {"+98", "'+98"},
    {"\tx", "\"'\tx\""}, {"=a,b", "\"'=a,b\""}, {"", ""}, {"two\nlines", "\"two\nlines\""}};
  for (size_t i = 0; i < BASE_COUNT(texts); i++) {
    struct buf b = {0};
    csv_put(&b, texts[i][0]);
    assert_string_equal(buf_str(&b), texts[i][1]);
    buf_clear(&b);
    buf_adds(&b, "head,other\n");
    csv_put(&b, texts[i][0]);
    buf_adds(&b, ",x\n");
    struct csv *c = read_text(buf_str(&b));
    assert_string_equal(csv_plain(csv_cell(c, 0, 0)), texts[i][0]);
    csv_free(c);
    buf_free(&b);
  }
  assert_string_equal(csv_plain("'0904"), "0904");
  assert_string_equal(csv_plain("'quoted'"), "'quoted'");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(cells_and_lines), cmocka_unit_test(header_alone), cmocka_unit_test(refusals_name_their_line), cmocka_unit_test(many_rows),
    cmocka_unit_test(cells_written_are_no_formulas),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
