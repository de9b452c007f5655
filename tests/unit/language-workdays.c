/* Working days: ordinals, their inverse, titles, horizons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "language/language.h"

#include <cmocka.h>

enum { THURSDAY_FRIDAY = 1 << 3 | 1 << 4 };
static uint64_t state;

static uint32_t draw(uint32_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33) % below;
}

static int setup(void **s) {
  struct err err = {0};
  if (language_init(&err)) fail_msg("%s", err.message);
  const char *seed = getenv("SEED");
  state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
  print_message("SEED=%llu\n", (unsigned long long)state);
  return 0;
}

static void plain(void **s) {
  struct calendar *c = calendar_new("kr", THURSDAY_FRIDAY);
  assert_string_equal(calendar_code(c), "kr");
  int32_t wednesday = date_parse("2026-11-25"), saturday = wednesday + 3;
  assert_true(calendar_works(c, wednesday));
  assert_false(calendar_works(c, wednesday + 1));
  assert_false(calendar_works(c, wednesday + 2));
  assert_int_equal(calendar_add(c, wednesday, 1), saturday);
  assert_int_equal(calendar_add(c, wednesday + 1, 1), saturday);
  assert_int_equal(calendar_add(c, wednesday + 1, 0), wednesday);
  assert_int_equal(calendar_add(c, saturday, 5), saturday + 7);
  calendar_close(c, saturday, "نوروز", "Nowruz");
  calendar_close(c, saturday, "عید فطر", "Eid al-Fitr");
  calendar_close(c, saturday, "نوروز", "Nowruz");
  assert_int_equal(calendar_add(c, wednesday, 1), saturday + 1);
  assert_string_equal(calendar_title(c, LANG_FA, saturday), "نوروز، عید فطر");
  assert_string_equal(calendar_title(c, LANG_EN, saturday), "Nowruz, Eid al-Fitr");
  assert_null(calendar_title(c, LANG_FA, wednesday + 1));
  struct calendar *k = calendar_copy(c);
  calendar_open(c, wednesday + 1);
  calendar_open(c, saturday);
  assert_true(calendar_works(c, saturday));
  assert_null(calendar_title(c, LANG_FA, saturday));
  assert_int_equal(calendar_add(c, wednesday, 1), wednesday + 1);
  assert_int_equal(calendar_add(k, wednesday, 1), saturday + 1);
  calendar_close(k, wednesday, NULL, NULL);
  assert_null(calendar_title(k, LANG_FA, wednesday));
  assert_true(calendar_provisional(c, 0));
  calendar_set_horizon(c, saturday);
  assert_int_equal(calendar_horizon(c), saturday);
  assert_false(calendar_provisional(c, saturday));
  assert_true(calendar_provisional(c, saturday + 1));
  calendar_free(k);
  calendar_free(c);
  calendar_free(NULL);
}

static void edges(void **s) {
  struct calendar *never = calendar_new("never", 0x7F);
  assert_int_equal(calendar_ordinal(never, 100000), 0);
  assert_int_equal(calendar_day(never, 1), INT32_MAX);
  calendar_open(never, 500);
  calendar_open(never, -500);
  assert_int_equal(calendar_ordinal(never, 499), 0);
  assert_int_equal(calendar_ordinal(never, 500), 1);
  assert_int_equal(calendar_ordinal(never, -501), -1);
  assert_int_equal(calendar_day(never, 1), 500);
  assert_int_equal(calendar_day(never, 0), -500);
  assert_int_equal(calendar_day(never, 2), INT32_MAX);
  assert_int_equal(calendar_day(never, -1), INT32_MAX);
  calendar_free(never);
  struct calendar *always = calendar_new("always", 0);
  assert_int_equal(calendar_ordinal(always, 12345), 12345);
  assert_int_equal(calendar_day(always, -12345), -12345);
  assert_int_equal(calendar_ordinal(always, INT32_MAX), INT32_MAX);
  assert_int_equal(calendar_add(always, INT32_MAX, INT32_MAX), INT32_MAX);
  calendar_free(always);
}

/* Random calendars against counting day by day. */
static void ordinals(void **s) {
  for (int round = 0; round < 300; round++) {
    struct calendar *c = calendar_new("x", draw(128));
    int n = (int)draw(60), span = 30 + (int)draw(300);
    for (int i = 0; i < n; i++) {
      int32_t day = (int32_t)draw((uint32_t)span * 2) - span;
      if (draw(2)) calendar_close(c, day, "ت", NULL);
      else calendar_open(c, day);
    }
    int32_t count = 0;
    for (int32_t day = 1; day < span + 40; day++) {
      count += calendar_works(c, day);
      if (calendar_ordinal(c, day) != count) fail_msg("round %d: ordinal of %d", round, day);
      if (calendar_works(c, day) && calendar_day(c, count) != day) fail_msg("round %d: day of ordinal %d", round, count);
    }
    count = 0;
    for (int32_t day = 0; day > -span - 40; day--) {
      if (calendar_ordinal(c, day) != count) fail_msg("round %d: ordinal of %d", round, day);
      if (calendar_works(c, day) && calendar_day(c, count) != day) fail_msg("round %d: day of ordinal %d", round, count);
      count -= calendar_works(c, day);
    }
    int32_t from = (int32_t)draw((uint32_t)span), left = (int32_t)draw(40), to = from;
    int32_t due = calendar_add(c, from, left);
    if (due != INT32_MAX && left > 0) {
      while (left > 0 && to < due) left -= calendar_works(c, ++to);
      assert_int_equal(left, 0);
      assert_int_equal(to, due);
    }
    calendar_free(c);
  }
}

static void speed(void **s) {
  struct calendar *c = calendar_new("x", THURSDAY_FRIDAY);
  for (int i = 0; i < 2000; i++) calendar_close(c, i * 13, "ت", "t");
  int64_t from = clock_mono();
  volatile int32_t sink = 0;
  for (int i = 0; i < 1000000; i++) sink += calendar_ordinal(c, i % 26000);
  int64_t ordinal_ms = clock_mono() - from;
  from = clock_mono();
  for (int i = 0; i < 1000000; i++) sink += calendar_day(c, i % 15000);
  print_message("ordinal %.0f ns, day %.0f ns with 2,000 closures\n", (double)ordinal_ms, (double)(clock_mono() - from));
  calendar_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(plain), cmocka_unit_test(edges), cmocka_unit_test(ordinals), cmocka_unit_test(speed)};
  return cmocka_run_group_tests(tests, setup, NULL);
}
