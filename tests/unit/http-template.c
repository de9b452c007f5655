#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/template.h"

/* Unit tests; with --driver, renders JSON lines {"template","partials","context"} from standard input, for tests/e2e/mustache.mjs. */

static char *render(const char *text, const char *partial, const char *context)
{
  struct template_set *s = template_new();
  struct err err = {0};
  struct buf out = {0};
  json_t *v = json_loads(context, JSON_DECODE_ANY, NULL);
  assert_non_null(v);
  if (template_add(s, "t", text, &err) || (partial && template_add(s, "p", partial, &err)) || template_render(s, "t", v, &out, &err)) {
    buf_clear(&out);
    buf_addf(&out, "! %s", err.message);
  }
  json_decref(v);
  template_free(s);
  return buf_take(&out);
}

static void check(const char *text, const char *partial, const char *context, const char *wanted)
{
  char *got = render(text, partial, context);
  assert_string_equal(got, wanted);
  free(got);
}

static void interpolates(void **state)
{
  check("a {{x}} {{{x}}} {{&x}} {{ missing }}.", NULL, "{\"x\":\"<a href='/`='>&\"}",
        "a &lt;a href&#x3D;&#39;&#x2F;&#x60;&#x3D;&#39;&gt;&amp; <a href='/`='>& <a href='/`='>& .");
  check("{{a.b.c}}{{a.x.c}}|{{n}}|{{r}}|{{t}}|{{z}}", NULL, "{\"a\":{\"b\":{\"c\":\"سلام\"}},\"n\":-12,\"r\":1.25,\"t\":true,\"z\":null}", "سلام|-12|1.25|true|");
  check("{{.}}", NULL, "\"x\"", "x");
}

static void walks_sections(void **state)
{
  check("{{#l}}{{.}},{{/l}}{{^l}}no{{/l}}", NULL, "{\"l\":[1,\"b\",2.5]}", "1,b,2.5,");
  check("{{#l}}x{{/l}}{{^l}}none{{/l}}", NULL, "{\"l\":[]}", "none");
  check("{{#o}}{{name}} {{outer}}{{/o}}", NULL, "{\"o\":{\"name\":\"n\"},\"outer\":\"u\"}", "n u");
  check("{{#a}}{{b.c}}{{/a}}", NULL, "{\"a\":{\"b\":{}},\"b\":{\"c\":\"ERROR\"}}", "");
  check("{{#a}}\n{{#b}}\n{{one}}{{two}}\n{{/b}}\n{{/a}}\n", NULL, "{\"a\":{\"one\":1},\"b\":{\"two\":2}}", "12\n");
}

static void trims_standalone_lines(void **state)
{
  check("a\n  {{#t}}  \r\nb\n{{/t}}\nc", NULL, "{\"t\":true}", "a\nb\nc");
  check("a\n {{! note\n more }} \nb", NULL, "{}", "a\nb");
  check(" {{#t}}x{{/t}} \n", NULL, "{\"t\":true}", " x \n");
  check("{{=<% %>=}}\n<% x %> {{x}}\n<%={{ }}=%>\n{{x}}", NULL, "{\"x\":1}", "1 {{x}}\n1");
}

static void indents_partials(void **state)
{
  check("a\n  {{>p}}\nb", "1\n\n{{x}}\n", "{\"x\":\"y\\nz\"}", "a\n  1\n\n  y\nz\nb");
  check("a {{>p}} b", "1\n2", "{}", "a 1\n2 b");
  check("{{>missing}}.", NULL, "{}", ".");
  check("{{>p}}", "{{#l}}({{v}}{{>p}}){{/l}}", "{\"l\":[{\"v\":1,\"l\":[{\"v\":2,\"l\":[]}]}]}", "(1(2))");
}

static void tells_where_it_is_wrong(void **state)
{
  check("a\n{{#b}}\n", NULL, "{}", "! t:3: a section does not end");
  check("a\n{{/b}}\n", NULL, "{}", "! t:2: a section ends that did not begin");
  check("{{#a}}\n\n{{/b}}", NULL, "{}", "! t:3: another section ends than the one that began");
  check("x\n{{a", NULL, "{}", "! t:2: a tag does not end");
  check("{{}}", NULL, "{}", "! t:1: a tag without a name");
  check("{{=a=}}", NULL, "{}", "! t:1: two delimiters are expected");
  check("{{>p}}", "{{>p}}", "{}", "! p: too many partials");
  struct template_set *s = template_new();
  struct err err;
  struct buf out = {0};
  assert_int_equal(template_render(s, "none", NULL, &out, &err), -1);
  assert_int_equal(template_add(s, "a", "0123456789", &err), 0);
  assert_int_equal(template_add(s, "a", "", &err), -1);
  buf_init(&out, 5);
  assert_int_equal(template_render(s, "a", NULL, &out, &err), -1);
  assert_int_equal(err.code, ERR_LIMIT);
  buf_free(&out);
  template_free(s);
  assert_int_equal(template_load("templates/", &s, &err), 0);
  template_free(s);
}

static void drive_line(const char *line, size_t n)
{
  struct err err = {0};
  struct buf out = {0};
  struct template_set *s = template_new();
  json_t *v = json_loadb(line, n, 0, NULL), *partial, *answer;
  const char *name;
  int failed = !v || template_add(s, "\x01main", json_str(v, "template"), &err);
  json_object_foreach(json_object_get(v, "partials"), name, partial) failed = failed || template_add(s, name, json_string_value(partial), &err);
  failed = failed || template_render(s, "\x01main", json_object_get(v, "context"), &out, &err);
  answer = failed ? json_pack("{s:s}", "error", err.message) : json_pack("{s:s%}", "output", buf_str(&out), out.len);
  json_dumpf(answer, stdout, JSON_COMPACT);
  putchar('\n');
  fflush(stdout);
  json_decref(answer);
  json_decref(v);
  buf_free(&out);
  template_free(s);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(interpolates), cmocka_unit_test(walks_sections), cmocka_unit_test(trims_standalone_lines), cmocka_unit_test(indents_partials),
    cmocka_unit_test(tells_where_it_is_wrong),
  };
  if (argc < 2 || strcmp(argv[1], "--driver")) return cmocka_run_group_tests(tests, NULL, NULL);
  char *line = NULL;
  size_t room = 0;
  for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;) drive_line(line, (size_t)n);
  free(line);
  return 0;
}
