#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "http/inner.h"

static struct arena *arena;

static int start(void **state)
{
  arena = arena_new(HTTP_ARENA);
  return 0;
}

static int stop(void **state)
{
  arena_free(arena);
  return 0;
}

static void decodes(void **state)
{
  char out[64];
  assert_int_equal(url_decode(out, "a%2fb+c", 7, false), 5);
  assert_string_equal(out, "a/b+c");
  assert_int_equal(url_decode(out, "a+%D8%B3", 8, true), 4);
  assert_string_equal(out, "a س");
  assert_int_equal(url_decode(out, "%", 1, false), -1);
  assert_int_equal(url_decode(out, "%4", 2, false), -1);
  assert_int_equal(url_decode(out, "%g0", 3, false), -1);
  assert_int_equal(url_decode(out, "%00", 3, false), -1);
}

static void takes_paths_apart(void **state)
{
  struct target t;
  assert_int_equal(url_path(arena, "/", &t), 0);
  assert_int_equal(t.count, 0);
  assert_int_equal(url_path(arena, "/a/%62c/", &t), 0);
  assert_int_equal(t.count, 3);
  assert_string_equal(t.path, "/a/bc/");
  assert_int_equal(t.segments[2].size, 0);
  assert_int_equal(url_path(arena, "/x%2fy", &t), 0);
  assert_true(t.segments[0].slash);
  static const char *const bad[] = {"", "a", "/..", "/a/./b", "/%2e%2e", "/a%2f..", "/a%5c..", "/\\", "/ ", "/\x01", "/%01", "/%ff", "/%00", "/#"};
  for (size_t i = 0; i < BASE_COUNT(bad); i++) assert_int_equal(url_path(arena, bad[i], &t), -1);
  char deep[400] = "";
  for (int i = 0; i < 70; i++) strcat(deep, "/a");
  assert_int_equal(url_path(arena, deep, &t), -1);
}

static void reads_pairs(void **state)
{
  bool unclean;
  struct http_pair p[3];
  size_t n;
  assert_int_equal(url_pairs(arena, "a=1&&b&c=x%3Dy=z", 16, p, 3, &n, &unclean), 0);
  assert_int_equal(n, 3);
  assert_string_equal(p[1].name, "b");
  assert_string_equal(p[1].value, "");
  assert_string_equal(p[2].value, "x=y=z");
  assert_int_equal(url_pairs(arena, "a&b&c&d", 7, p, 3, &n, &unclean), -1);
  assert_int_equal(url_pairs(arena, "a=%ff&b=1", 9, p, 3, &n, &unclean), 0);
  assert_true(unclean);
  assert_int_equal(n, 1); /* what is no text is left out and told */
}

static void reads_lists(void **state)
{
  assert_int_equal(accept_quality("text/html,application/json;q=0.5", "text/html"), 1000);
  assert_int_equal(accept_quality("text/html,application/json;q=0.5", "application/json"), 500);
  assert_int_equal(accept_quality("text/html, gzip ; q=0.001", "gzip"), 1);
  assert_int_equal(accept_quality("gzip;q=0", "gzip"), 0);
  assert_int_equal(accept_quality("gzip;q=", "gzip"), 1000);
  assert_int_equal(accept_quality("gzip;q=x", "gzip"), 0);
  assert_int_equal(accept_quality("xgzip, gzipx", "gzip"), -1);
  assert_int_equal(accept_quality("", "gzip"), -1);
  assert_true(etag_matches("\"a\", W/\"b\"", "\"b\""));
  assert_true(etag_matches("W/\"b\"", "W/\"b\""));
  assert_true(etag_matches("*", "\"b\""));
  assert_false(etag_matches("\"b", "\"b\""));
  assert_false(etag_matches("b", "\"b\""));
  assert_false(etag_matches("\"bb\"", "\"b\""));
}

static int multipart(const char *type, const char *text, size_t size, struct http_field *f, size_t *n)
{
  struct err err;
  char *body = arena_alloc(arena, size + 1);
  memcpy(body, text, size);
  return form_multipart(arena, body, size, type, f, n, &err);
}

#define D "Content-Disposition: form-data; "
#define HEAD "multipart/form-data; boundary=b"

static void refuses_bad_parts(void **state)
{
  static const struct { const char *type, *body; } bad[] = {
    {"multipart/form-data", "--b--"}, {"multipart/form-data; boundary=", "--b--"}, {"multipart/form-data; boundary=\"b", "--b--"},
    {"multipart/form-data; boundary=b; boundary=c", "--b--"}, {"multipart/form-data; boundary=\"b \"", "--b --"},
    {"multipart/form-data; boundary=aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhh", "--b--"},
    {HEAD, ""}, {HEAD, "--b"}, {HEAD, "--bx--"}, {HEAD, "preamble\r\n--b--"}, {HEAD, "--b\r\n"}, {HEAD, "--b\r\n\r\nx\r\n--b--"},
    {HEAD, "--b\r\n" D "name=\"a\"\r\n\r\nx"}, {HEAD, "--b\r\n" D "name=\"a\"\r\n\r\nx\r\n--b"}, {HEAD, "--b\r\n" D "name=\"a\"\r\n\r\nx\r\n--bc--"},
    {HEAD, "--b\r\n" D "name=\"a\r\n\r\nx\r\n--b--"}, {HEAD, "--b\r\n" D "name=\"\"\r\n\r\nx\r\n--b--"}, {HEAD, "--b\r\n" D "x=\"a\"\r\n\r\nx\r\n--b--"},
    {HEAD, "--b\r\n" D "name=\"a\"; name=\"b\"\r\n\r\nx\r\n--b--"}, {HEAD, "--b\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx\r\n--b--"},
    {HEAD, "--b\r\n" D "name=\"a\"\r\n" D "name=\"b\"\r\n\r\nx\r\n--b--"}, {HEAD, "--b\r\n" D "name=\"a\"; filename*=latin1''x\r\n\r\nx\r\n--b--"},
    {HEAD, "--b\r\n" D "name=\"a\"; filename=\"x/\x01y\"\r\n\r\nx\r\n--b--"}, {HEAD, "--b\r\n" D "name=\"a\"\r\n\r\n\xff\r\n--b--"},
    {HEAD, "--b\r\n" D "name=\"a\"\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--b--"}, {HEAD, "--b\r\n" D "name=\"a\"\r\nno colon\r\n\r\nx\r\n--b--"},
    {HEAD, "--b\r\n" D "name=\"a\"\r\n--b--"}};
  struct http_field f[HTTP_MOST_FIELDS];
  size_t n;
  for (size_t i = 0; i < BASE_COUNT(bad); i++)
    if (!multipart(bad[i].type, bad[i].body, strlen(bad[i].body), f, &n)) fail_msg("%zu was accepted: %s", i, bad[i].body);
  static const char nul[] = "--b\r\n" D "name=\"a\"\r\n\r\nx\0y\r\n--b--";
  assert_int_equal(multipart(HEAD, nul, sizeof nul - 1, f, &n), -1);
  struct buf b = {0};
  for (int i = 0; i <= HTTP_MOST_FIELDS; i++) buf_addf(&b, "--b\r\n" D "name=\"a\"\r\n\r\nx\r\n");
  buf_adds(&b, "--b--");
  assert_int_equal(multipart(HEAD, b.data, b.len, f, &n), -1);
  buf_free(&b);
}

static void reads_good_parts(void **state)
{
  struct http_field f[HTTP_MOST_FIELDS];
  size_t n;
  static const char body[] = "--b c  \r\n" D "name=\"a\"\r\n\r\n\r\n--b c\r\n" D "name=two ; filename=\"x\"; filename*=UTF-8''%D8%B3.pdf\r\n"
    "content-type:  application/pdf \r\n\r\n\0\xff\r\n--b\r\n\r\n--b c\r\ncontent-disposition:form-data;name=\"c\\\"\\d\"; filename=\"\"\r\n\r\n\r\n--b c--\r\nepilogue";
  assert_int_equal(multipart("Multipart/Form-Data; charset=utf-8; boundary=\"b c\"", body, sizeof body - 1, f, &n), 0);
  assert_int_equal(n, 3);
  assert_string_equal(f[0].name, "a");
  assert_int_equal(f[0].size, 0);
  assert_null(f[0].filename);
  assert_string_equal(f[1].name, "two");
  assert_string_equal(f[1].filename, "س.pdf");
  assert_string_equal(f[1].media_type, "application/pdf");
  assert_int_equal(f[1].size, 9);
  assert_memory_equal(f[1].value, "\0\xff\r\n--b\r\n", 9);
  assert_string_equal(f[2].name, "c\"\\d");
  assert_string_equal(f[2].filename, "");
  assert_int_equal(multipart(HEAD, "--b--", 5, f, &n), 0);
  assert_int_equal(n, 0);
}

static void reads_urlencoded(void **state)
{
  struct http_field f[HTTP_MOST_FIELDS];
  struct err err;
  size_t n;
  assert_int_equal(form_urlencoded(arena, "a=%D8%B3+x&b=", 13, f, &n, &err), 0);
  assert_int_equal(n, 2);
  assert_string_equal(f[0].value, "س x");
  assert_int_equal(form_urlencoded(arena, "a%01=b", 6, f, &n, &err), -1);
  assert_int_equal(form_urlencoded(arena, "=b", 2, f, &n, &err), -1);
  assert_int_equal(form_urlencoded(arena, "a=%00", 5, f, &n, &err), -1);
  assert_int_equal(form_urlencoded(arena, "a=\0", 3, f, &n, &err), -1);
}

static void compares_names(void **state)
{
  assert_true(same_name("Host", "hOST") && !same_name("Host", "Hosts") && !same_name("", "@") && !same_name("@a", "`a") && same_name("", ""));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(decodes), cmocka_unit_test(takes_paths_apart), cmocka_unit_test(reads_pairs), cmocka_unit_test(reads_lists),
    cmocka_unit_test(refuses_bad_parts), cmocka_unit_test(reads_good_parts), cmocka_unit_test(reads_urlencoded),
    cmocka_unit_test(compares_names),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
