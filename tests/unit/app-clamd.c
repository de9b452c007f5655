/* What clamd answers, and what is no answer of it. */
#include "app/clamd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static enum clamd_verdict said(const char *text, char name[CLAMD_NAME]) { return clamd_answer(text, strlen(text), name); }

static void test_answers(void **state) {
  char name[CLAMD_NAME];
  assert_int_equal(said("stream: OK", name), CLAMD_CLEAN);
  assert_int_equal(clamd_answer("stream: OK\0", 11, name), CLAMD_CLEAN);
  assert_int_equal(said("stream: OK\n", name), CLAMD_CLEAN);
  assert_int_equal(said("stream: Win.Test.EICAR_HDB-1 FOUND", name), CLAMD_FOUND);
  assert_string_equal(name, "Win.Test.EICAR_HDB-1");
  assert_int_equal(said("stream: a b\x01 FOUND", name), CLAMD_FOUND);
  assert_string_equal(name, "a_b_");
  /* whatever is not said in so many words is no clean bill */
  static const char *const faults[] = {"", "OK", "stream: ", "stream:OK", "stream: OKAY", "stream: NOT OK", "stream: FOUND", "stream:  FOUND", "INSTREAM size limit exceeded. ERROR",
                                       "stream: OK stream: x FOUND!", "UNKNOWN COMMAND"};
  for (size_t i = 0; i < BASE_COUNT(faults); i++) {
    assert_int_equal(said(faults[i], name), CLAMD_FAULT);
    assert_string_equal(name, "");
  }
  char longer[300];
  memset(longer, 'x', sizeof longer);
  memcpy(longer, "stream: ", 8);
  memcpy(longer + 293, " FOUND", 7);
  assert_int_equal(said(longer, name), CLAMD_FOUND);
  assert_int_equal(strlen(name), CLAMD_NAME - 1);
}

static void test_addresses(void **state) {
  struct clamd *c;
  struct err err;
  static const char *const good[] = {"unix:/run/clamav/clamd.ctl", "127.0.0.1:3310", "scanner.example:3310", "[::1]:3310"};
  static const char *const bad[] = {"", "unix:", "unix:relative", "/run/clamav/clamd.ctl", ":3310", "host:", "host:0", "host:65536", "host:x"};
  for (size_t i = 0; i < BASE_COUNT(good); i++) {
    assert_int_equal(clamd_open(good[i], 2, &c, &err), 0);
    clamd_close(c);
  }
  for (size_t i = 0; i < BASE_COUNT(bad); i++) {
    assert_int_equal(clamd_open(bad[i], 2, &c, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
  }
  char longer[200] = "unix:/";
  memset(longer + 6, 'x', 150);
  assert_int_equal(clamd_open(longer, 2, &c, &err), -1);
}

static void test_nobody_there(void **state) {
  struct clamd *c;
  struct clamd_figures f;
  struct err err;
  char name[CLAMD_NAME];
  assert_int_equal(clamd_open("unix:/nonexistent/clamd.ctl", 1, &c, &err), 0);
  assert_int_equal(clamd_scan(c, "x", 1, name, &err), -1);
  assert_int_equal(err.code, ERR_UNAVAILABLE);
  assert_int_equal(clamd_ping(c, &err), -1);
  clamd_read(c, &f);
  assert_int_equal(f.failed, 1);
  assert_false(f.up);
  clamd_close(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_addresses), cmocka_unit_test(test_nobody_there)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
