/* UTF-8, hexadecimal, base64, numbers. */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static void utf8_is_told_from_what_is_not(void **state)
{
  static const char *const good[] = {"", "a", "سلام", "می\u200cخواهم", "\xF4\x8F\xBF\xBF", "\xEE\x80\x80", "\xED\x9F\xBF"};
  static const char *const bad[] = {
    "\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF",
    "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xFE", "a\xD8", "\xE2\x82", "\xF0\x9F\x92", "\xE2\x28\xA1"};
  for (size_t i = 0; i < BASE_COUNT(good); i++) assert_true(utf8_valid(good[i], strlen(good[i])));
  for (size_t i = 0; i < BASE_COUNT(bad); i++) assert_false(utf8_valid(bad[i], strlen(bad[i])));
  assert_int_equal(utf8_length("چاپار"), 5);
  assert_int_equal(utf8_length(""), 0);
}

static void every_scalar_value_goes_there_and_back(void **state)
{
  for (uint32_t cp = 0; cp <= 0x110010; cp++) {
    char s[4];
    size_t n = utf8_encode(cp, s);
    if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF)) {
      assert_int_equal(n, 0);
      continue;
    }
    const char *p = s;
    if (utf8_next(&p, s + n) != (int)cp || p != s + n) fail_msg("U+%04X", cp);
    p = s;
    if (n > 1 && (utf8_next(&p, s + n - 1) != -1 || p != s)) fail_msg("cut U+%04X", cp);
  }
}

static void hexadecimal(void **state)
{
  char text[9];
  unsigned char bytes[4];
  hex_encode("\x00\xff\x10\xab", 4, text);
  assert_string_equal(text, "00ff10ab");
  assert_int_equal(hex_decode("00FF10ab", bytes, 4), 0);
  assert_memory_equal(bytes, "\x00\xff\x10\xab", 4);
  assert_int_equal(hex_decode("00FF10a", bytes, 4), -1);
  assert_int_equal(hex_decode("00FF10abc", bytes, 4), -1);
  assert_int_equal(hex_decode("00FF10abcd", bytes, 4), -1);
  assert_int_equal(hex_decode("00FF10ag", bytes, 4), -1);
  assert_int_equal(hex_decode(NULL, bytes, 4), -1);
  assert_int_equal(hex_decode("", bytes, 0), 0);
}

static void base64_by_its_rfc(void **state)
{
  static const struct { const char *plain, *coded, *url; } rows[] = { /* RFC 4648, section 10 */
    {"", "", ""}, {"f", "Zg==", "Zg"}, {"fo", "Zm8=", "Zm8"}, {"foo", "Zm9v", "Zm9v"}, {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"}, {"foobar", "Zm9vYmFy", "Zm9vYmFy"}, {"\xfb\xff", "+/8=", "-_8"}};
  char out[64];
  size_t n;
  for (size_t i = 0; i < BASE_COUNT(rows); i++) {
    char *coded = base64_encode(rows[i].plain, strlen(rows[i].plain)), *url = base64url_encode(rows[i].plain, strlen(rows[i].plain));
    assert_string_equal(coded, rows[i].coded);
    assert_string_equal(url, rows[i].url);
    assert_int_equal(base64_decode(coded, strlen(coded), out, sizeof out, &n), 0);
    assert_int_equal(n, strlen(rows[i].plain));
    assert_memory_equal(out, rows[i].plain, n);
    base64_write(out, rows[i].plain, strlen(rows[i].plain));
    assert_string_equal(out, coded);
    base64url_write(out, rows[i].plain, strlen(rows[i].plain));
    assert_string_equal(out, url);
    free(coded);
    free(url);
  }
  static const char *const bad[] = {"Zg=", "Zg", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm9v\n", "Zm 9", "-_8=", "Zg=a", "Z=g="};
  for (size_t i = 0; i < BASE_COUNT(bad); i++) assert_int_equal(base64_decode(bad[i], strlen(bad[i]), out, sizeof out, &n), -1);
  assert_int_equal(base64_decode("Zm9vYmFy", 8, out, 5, &n), -1);
  for (int c = 0; c < 256; c++) /* whatever stands at each place, before the end and in it */
    for (size_t i = 0; i < 8; i++) {
      char text[] = "AAAAAAAA";
      text[i] = (char)c;
      bool has = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
      assert_int_equal(base64_decode(text, 8, out, 6, &n), has || (c == '=' && i == 7) ? 0 : -1);
    }
  assert_int_equal(base64_decode("Zm9vYmFy", 8, out, 6, &n), 0);
}

/* Every byte at every place of texts of many lengths. */
static void header_texts(void **state)
{
  char s[21];
  assert_true(no_controls("", 0) && value_sound("", 0) && !is_token("", 0));
  for (size_t n = 1; n <= sizeof s; n++)
    for (size_t at = 0; at < n; at++)
      for (int c = 0; c < 256; c++) {
        memset(s, n % 2 ? 'a' : '!', n);
        s[at] = (char)c;
        assert_int_equal(no_controls(s, n), c >= ' ' && c != 0x7f);
        assert_int_equal(is_token(s, n), c > ' ' && c < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", c));
        assert_int_equal(value_sound(s, n), (c >= ' ' && c != 0x7f) || c == '\t');
        s[(at + 1) % n] = '\t';
        assert_int_equal(value_sound(s, n), n == 1 || (c >= ' ' && c != 0x7f) || c == '\t');
      }
  assert_true(no_controls("\xff\xff\xff\xff\xff\xff\xff\xff\x80", 9));
}

static void whole_numbers(void **state)
{
  static const struct { const char *text; int64_t value; } good[] = {{"0", 0}, {"-0", 0}, {"007", 7}, {"-12", -12},
    {"9223372036854775807", INT64_MAX}, {"-9223372036854775808", INT64_MIN}};
  static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "1.0", "0x1", "۱۲", "9223372036854775808", "-9223372036854775809",
    "99999999999999999999", "--1", "1-"};
  int64_t v;
  for (size_t i = 0; i < BASE_COUNT(good); i++) {
    assert_int_equal(parse_i64(good[i].text, &v), 0);
    assert_true(v == good[i].value);
  }
  for (size_t i = 0; i < BASE_COUNT(bad); i++) assert_int_equal(parse_i64(bad[i], &v), -1);
  assert_int_equal(parse_i64(NULL, &v), -1);
}

static void small_things(void **state)
{
  assert_true(base_same(NULL, NULL));
  assert_true(base_same("a", "a"));
  assert_false(base_same("a", NULL));
  assert_false(base_same(NULL, "a"));
  assert_true(base_starts("chapar", "cha"));
  assert_true(base_starts("chapar", ""));
  assert_false(base_starts("ch", "cha"));
  assert_false(base_starts(NULL, ""));
  unsigned char a[32] = {0}, b[32] = {0};
  random_bytes(a, sizeof a);
  random_bytes(b, sizeof b);
  assert_memory_not_equal(a, b, sizeof a);
  for (size_t n = 1; n <= sizeof a; n++) {     /* all of what is wanted, and no more */
    unsigned char all = 0;
    memset(a, 0, sizeof a);
    for (int i = 0; i < 64; i++) {
      random_bytes(b, n);
      for (size_t k = 0; k < n; k++) a[k] |= b[k];
    }
    for (size_t k = 0; k < sizeof a; k++) all |= (unsigned char)(k < n ? a[k] == 0 : a[k] != 0);
    assert_int_equal(all, 0);
  }
  char *s = base_printf("%s %d", "case", 4);
  assert_string_equal(s, "case 4");
  free(s);
  assert_null(base_strdup(NULL));
}

/* A process that was forked gives other bytes than the one that it comes from. */
static void random_after_fork(void **state)
{
  unsigned char a[16], b[16];
  int ends[2];
  random_bytes(a, sizeof a);
  assert_int_equal(pipe(ends), 0);
  pid_t pid = fork();
  if (pid == 0) {
    random_bytes(a, sizeof a);
    _exit(write(ends[1], a, sizeof a) != sizeof a);
  }
  assert_true(pid > 0);
  assert_int_equal(read(ends[0], b, sizeof b), sizeof b);
  random_bytes(a, sizeof a);
  assert_memory_not_equal(a, b, sizeof a);
  waitpid(pid, NULL, 0);
  close(ends[0]);
  close(ends[1]);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(utf8_is_told_from_what_is_not), cmocka_unit_test(every_scalar_value_goes_there_and_back),
    cmocka_unit_test(hexadecimal), cmocka_unit_test(base64_by_its_rfc), cmocka_unit_test(header_texts),
    cmocka_unit_test(whole_numbers), cmocka_unit_test(small_things), cmocka_unit_test(random_after_fork),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
