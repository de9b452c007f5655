/* YAML with its lines. */
#include "base/base.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct yaml_doc *read_text(const char *s)
{
  struct err e = {0};
  unsigned line;
  struct yaml_doc *d = yaml_read(s, strlen(s), &line, &e);
  if (!d) fail_msg("line %u: %s", line, e.message);
  return d;
}

static void nodes_know_their_place(void **state)
{
  struct yaml_doc *d = read_text("# a service\nname: مجوز کسب\nfields:\n  - id: first\n    label: \"نام\"\n  - id: second\nnote: |\n  two\n  lines\n");
  const struct yaml_node *root = yaml_root(d), *fields = yaml_get(root, "fields"), *first = fields->first;
  assert_int_equal(root->kind, YAML_NODE_MAP);
  assert_int_equal(root->count, 3);
  assert_int_equal(root->line, 2);
  assert_string_equal(yaml_get(root, "name")->text, "مجوز کسب");
  assert_int_equal(yaml_get(root, "name")->column, 7);
  assert_false(yaml_get(root, "name")->quoted);
  assert_int_equal(fields->kind, YAML_NODE_LIST);
  assert_int_equal(fields->key_line, 3);
  assert_int_equal(fields->count, 2);
  assert_null(first->key);
  assert_int_equal(first->line, 4);
  assert_true(yaml_get(first, "label")->quoted);
  assert_int_equal(yaml_get(first, "label")->line, 5);
  assert_string_equal(yaml_get(first->next, "id")->text, "second");
  assert_null(first->next->next);
  assert_string_equal(yaml_get(root, "note")->text, "two\nlines\n");
  assert_true(yaml_get(root, "note")->quoted);
  assert_null(yaml_get(root, "absent"));
  assert_null(yaml_get(fields, "id"));
  assert_null(yaml_get(NULL, "id"));
  yaml_doc_free(d);
  yaml_doc_free(NULL);
}

static void refusals_name_their_line(void **state)
{
  static const struct { const char *text; unsigned line; const char *part; } rows[] = {
    {"", 1, "empty"}, {"# nothing\n", 1, "empty"}, {"a: 1\nb: 2\na: 3\n", 3, "line 1"}, {"a: 1\n b: 2\n", 2, ""}, {"a: [1, 2\n", 2, ""},
    {"a: &x 1\n", 1, "anchors"}, {"- *x\n", 1, "anchors"}, {"a: &x [1]\n", 1, "anchors"}, {"\na: !!int 1\n", 2, "tags"}, {"a: ! b\n", 1, "tags"},
    {"!t {a: 1}\n", 1, "tags"}, {"a: 1\n---\nb: 2\n", 2, "document"}, {"%YAML 1.1\n---\na: 1\n", 1, "directives"}, {"? [a]\n: 1\n", 1, "key"},
    {"\"\": 1\n", 1, "empty key"}, {"a: \"x\\0y\"\n", 1, "NUL"}, {"a: 1\nb: \xFF\n", 2, ""}, {"a: 1\nb: \x01\n", 2, ""}, {"a:\n\t- b\n", 2, ""}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++) {
    struct err e = {0};
    unsigned line = 0;
    struct yaml_doc *d = yaml_read(rows[i].text, strlen(rows[i].text), &line, &e);
    if (d) fail_msg("read row %zu", i);
    assert_int_equal(e.code, ERR_MALFORMED);
    if (line != rows[i].line || !strstr(e.message, rows[i].part)) fail_msg("row %zu: line %u: %s", i, line, e.message);
  }
  struct err e;
  assert_null(yaml_read("a: 1\na: 2\n", 10, NULL, &e)); /* with nobody to take the line, the message tells it */
  assert_true(base_starts(e.message, "line 2: "));
}

static void bounds(void **state)
{
  char deep[100];
  struct err e;
  unsigned line;
  memset(deep, '[', 25);
  memset(deep + 25, ']', 25);
  assert_null(yaml_read(deep, 50, &line, &e));
  assert_non_null(strstr(e.message, "deeper"));
  struct yaml_doc *d = yaml_read(deep + 1, 48, &line, &e);
  assert_non_null(d);
  yaml_doc_free(d);
  struct buf b = {0};
  for (int i = 0; i < 200000; i++) buf_adds(&b, "- a\n"); /* and the list itself makes one too many */
  assert_null(yaml_read(b.data, b.len, &line, &e));
  assert_int_equal(line, 200000);
  d = yaml_read(b.data, b.len - 4, &line, &e);
  assert_non_null(d);
  assert_int_equal(yaml_root(d)->count, 199999);
  yaml_doc_free(d);
  while (b.len <= 4 * 1024 * 1024) buf_adds(&b, "# long comments are bounded too\n");
  assert_null(yaml_read(b.data, b.len, &line, &e));
  assert_int_equal(e.code, ERR_LIMIT);
  buf_free(&b);
}

static void becomes_json(void **state)
{
  struct yaml_doc *d = read_text("n: null\ne:\nt: true\nf: false\ni: -12\nz: 0\nr: 1.50\nx: 2e3\ns: yes\nmobile: 09151234567\nintl: +989151234567\n"
    "q: \"5\"\ndate: 1405-01-01\nbig: 99999999999999999999\nv: 1.2.3\ndot: 1.\nl: [1, a, {b: c}]\nfa: ۱۲\n");
  json_t *v = yaml_to_json(yaml_root(d));
  char *s = json_canonical(v);
  assert_string_equal(s, "{\"big\":\"99999999999999999999\",\"date\":\"1405-01-01\",\"dot\":\"1.\",\"e\":null,\"f\":false,\"fa\":\"۱۲\",\"i\":-12,"
    "\"intl\":\"+989151234567\",\"l\":[1,\"a\",{\"b\":\"c\"}],\"mobile\":\"09151234567\",\"n\":null,\"q\":\"5\",\"r\":1.5,\"s\":\"yes\",\"t\":true,"
    "\"v\":\"1.2.3\",\"x\":2000.0,\"z\":0}");
  free(s);
  json_decref(v);
  yaml_doc_free(d);
  v = yaml_to_json(NULL);
  assert_true(json_is_null(v));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(nodes_know_their_place), cmocka_unit_test(refusals_name_their_line), cmocka_unit_test(bounds), cmocka_unit_test(becomes_json),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
