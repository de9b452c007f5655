/* Identifiers and numbers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "language/language.h"

#include <cmocka.h>

static struct arena *a;
static uint64_t state;

static uint32_t draw(uint32_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33) % below;
}

static int setup(void **s) {
  struct err err = {0};
  if (language_init(&err)) fail_msg("%s", err.message);
  a = arena_new(1024 * 1024);
  const char *seed = getenv("SEED");
  state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
  print_message("SEED=%llu\n", (unsigned long long)state);
  return 0;
}

static int teardown(void **s) {
  arena_free(a);
  return 0;
}

static void vectors(void **s) {
  static const struct { const char *name; enum identifier kind; } judged[] = {
    {"national_id", IDENT_NATIONAL_ID}, {"legal_id", IDENT_LEGAL_ID}, {"sheba", IDENT_SHEBA}};
  size_t n, i, rows = 0;
  char *data = file_read("tests/vectors/identifiers.json", 0, &n, NULL), out[32];
  assert_non_null(data);
  json_t *all = json_read(data, n, 0, NULL), *row;
  assert_non_null(all);
  for (size_t k = 0; k < BASE_COUNT(judged); k++) {
    json_array_foreach(json_object_get(all, judged[k].name), i, row) {
      const char *typed = json_string_value(json_array_get(row, 0));
      bool valid = json_is_true(json_array_get(row, 1));
      if ((identifier_parse(judged[k].kind, typed, out) == 0) != valid) fail_msg("%s %s", judged[k].name, typed);
      rows++;
    }
  }
  json_array_foreach(json_object_get(all, "mobile_normalise"), i, row) {
    const char *expected = json_string_value(json_array_get(row, 1));
    int rc = identifier_parse(IDENT_MOBILE, json_string_value(json_array_get(row, 0)), out);
    assert_int_equal(rc, expected ? 0 : -1);
    if (expected) assert_string_equal(out, expected);
    rows++;
  }
  json_array_foreach(json_object_get(all, "to_persian_chars"), i, row) {
    assert_string_equal(text_repair(a, json_string_value(json_array_get(row, 0))), json_string_value(json_array_get(row, 1)));
    rows++;
  }
  assert_int_equal(rows, 25);
  json_decref(all);
  free(data);
}

static void repaired(void **s) {
  static const struct { enum identifier kind; const char *typed, *out; } rows[] = {
    {IDENT_NATIONAL_ID, "۰۴۹۹۳۷۰۸۹۹", "0499370899"}, {IDENT_NATIONAL_ID, "\u200F٠٤٩-٩٣٧٠٨٩-٩ ", "0499370899"}, {IDENT_NATIONAL_ID, "499370899", "0499370899"},
    {IDENT_NATIONAL_ID, "68415941", "0068415941"}, {IDENT_NATIONAL_ID, "0499370898", NULL}, {IDENT_NATIONAL_ID, "+499370899", NULL},
    {IDENT_NATIONAL_ID, "04993x0899", NULL}, {IDENT_NATIONAL_ID, "1234567", NULL}, {IDENT_NATIONAL_ID, "00499370899", NULL},
    {IDENT_NATIONAL_ID, "\xFF\xFE", NULL}, {IDENT_NATIONAL_ID, NULL, NULL},
    {IDENT_FIDA, "۱۲۳۴۵۶۷۸۹۰۱۲", "123456789012"}, {IDENT_FIDA, "1234567", NULL}, {IDENT_FIDA, "12345678901234567", NULL}, {IDENT_FIDA, "00000000", NULL},
    {IDENT_LEGAL_ID, "۱۰۳۸۰۲۸۴۷۹۰", "10380284790"},
    {IDENT_MOBILE, "۰۹۱۵ ۱۲۳ ۴۵۶۷", "09151234567"}, {IDENT_MOBILE, "9151234567", "09151234567"}, {IDENT_MOBILE, "+98-915-123-4567", "09151234567"},
    {IDENT_MOBILE, "00989151234567", "09151234567"}, {IDENT_MOBILE, "989151234567", "09151234567"}, {IDENT_MOBILE, "+9809151234567", "09151234567"},
    {IDENT_MOBILE, "09071234567", NULL}, {IDENT_MOBILE, "05138412345", NULL}, {IDENT_MOBILE, "091512345678", NULL}, {IDENT_MOBILE, "9+151234567", NULL},
    {IDENT_MOBILE, "09991234567", "09991234567"}, {IDENT_MOBILE, "+", NULL},
    {IDENT_POSTAL_CODE, "۹۱۷۳۵-۴۴۶۵۵", "9173544655"}, {IDENT_POSTAL_CODE, "9173044655", NULL}, {IDENT_POSTAL_CODE, "9123544655", NULL},
    {IDENT_POSTAL_CODE, "9173540205", "9173540205"}, {IDENT_POSTAL_CODE, "1111111111", NULL}, {IDENT_POSTAL_CODE, "917354465", NULL},
    {IDENT_SHEBA, "ir82 0540 1026 8002 0817 9090 02", "IR820540102680020817909002"}, {IDENT_SHEBA, "۸۲۰۵۴۰۱۰۲۶۸۰۰۲۰۸۱۷۹۰۹۰۰۲", "IR820540102680020817909002"},
    {IDENT_SHEBA, "IR830540102680020817909002", NULL}, {IDENT_SHEBA, "DE820540102680020817909002", NULL},
    {IDENT_TRACKING, "۴۵۳۹ ۱۴۸۸ ۰۳۴۳ ۶۴۶۷", "4539148803436467"}, {IDENT_TRACKING, "4539148803436468", NULL}, {IDENT_TRACKING, "453914880343646", NULL}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++) {
    char out[32];
    int rc = identifier_parse(rows[i].kind, rows[i].typed, out);
    if ((rc == 0) != (rows[i].out != NULL) || (rows[i].out && strcmp(out, rows[i].out) != 0)) fail_msg("row %zu: %s gives %s", i, rows[i].typed, out);
  }
}

/* One wrong digit is always noticed, and what is valid stays as it is. */
static void check_digits(void **s) {
  for (int round = 0; round < 20000; round++) {
    char code[20] = {0}, out[32];
    for (int i = 0; i < 15; i++) code[i] = (char)('0' + draw(10));
    code[15] = luhn_digit(code, 15);
    assert_int_equal(identifier_parse(IDENT_TRACKING, code, out), 0);
    assert_string_equal(out, code);
    int at = (int)draw(16);
    code[at] = (char)('0' + (code[at] - '0' + 1 + (int)draw(9)) % 10);
    assert_int_equal(identifier_parse(IDENT_TRACKING, code, out), -1);
  }
  int valid = 0;
  for (int round = 0; round < 20000; round++) {
    char code[16], out[32], again[32];
    snprintf(code, sizeof code, "%010u", draw(1000000000));
    if (identifier_parse(IDENT_NATIONAL_ID, code, out)) continue;
    valid++;
    assert_int_equal(identifier_parse(IDENT_NATIONAL_ID, out, again), 0);
    assert_string_equal(out, again);
    int at = (int)draw(10);
    out[at] = (char)('0' + (out[at] - '0' + 1 + (int)draw(9)) % 10);
    if (at < 9) continue; /* remainders 0 and 1 share check digits with others; the last digit never does */
    assert_int_equal(identifier_parse(IDENT_NATIONAL_ID, out, again), -1);
  }
  assert_in_range(valid, 1500, 2500);
}

static void shown(void **s) {
  char out[48];
  identifier_mask(IDENT_NATIONAL_ID, "0499370899", out);
  assert_string_equal(out, "049****899");
  identifier_mask(IDENT_MOBILE, "09151234567", out);
  assert_string_equal(out, "091*****567");
  identifier_mask(IDENT_SHEBA, "IR820540102680020817909002", out);
  assert_string_equal(out, "IR82******************9002");
  identifier_mask(IDENT_FIDA, "12345678", out);
  assert_string_equal(out, "123**678");
  identifier_mask(IDENT_NATIONAL_ID, "1234567", out);
  assert_string_equal(out, "*******");
  identifier_mask(IDENT_LEGAL_ID, "10380284790", out);
  assert_string_equal(out, "10380284790");
  identifier_mask(IDENT_NATIONAL_ID, NULL, out);
  assert_string_equal(out, "");
  identifier_group(IDENT_TRACKING, "4539148803436467", out);
  assert_string_equal(out, "4539 1488 0343 6467");
  identifier_group(IDENT_SHEBA, "IR820540102680020817909002", out);
  assert_string_equal(out, "IR82 0540 1026 8002 0817 9090 02");
  identifier_group(IDENT_MOBILE, "09151234567", out);
  assert_string_equal(out, "09151234567");
  identifier_group(IDENT_TRACKING, "0123456789012345678901234567890123456789012345678901234567890123456789", out);
  assert_true(strlen(out) < 48);
}

static void numbers(void **s) {
  assert_string_equal(number_format(a, LANG_FA, 12345), "۱۲٬۳۴۵");
  assert_string_equal(number_format(a, LANG_EN, 12345), "12,345");
  assert_string_equal(number_format(a, LANG_EN, 0), "0");
  assert_string_equal(number_format(a, LANG_EN, 999), "999");
  assert_string_equal(number_format(a, LANG_EN, -1000), "-1,000");
  assert_string_equal(number_format(a, LANG_FA, -1000), "\u200E−۱٬۰۰۰");
  assert_string_equal(number_format(a, LANG_EN, INT64_MIN), "-9,223,372,036,854,775,808");
  assert_string_equal(money_format(a, LANG_FA, 1200000), "۱٬۲۰۰٬۰۰۰ ریال");
  assert_string_equal(money_format(a, LANG_EN, 1200000), "1,200,000 rials");
  assert_string_equal(money_format(a, LANG_EN, 1), "1 rial");
  assert_string_equal(number_decimal(a, LANG_FA, 1234.567, 2), "۱٬۲۳۴٫۵۷");
  assert_string_equal(number_decimal(a, LANG_EN, -0.004, 2), "0.00");
  assert_string_equal(number_decimal(a, LANG_EN, -12.5, 1), "-12.5");
  assert_string_equal(number_decimal(a, LANG_EN, 99.5, 0), "100");
  assert_string_equal(number_decimal(a, LANG_EN, NAN, 2), "—");
  assert_string_equal(number_percent(a, LANG_FA, 99.5, 1), "\u2067۹۹٫۵\u200F٪\u2069");
  assert_string_equal(number_percent(a, LANG_EN, 99.5, 1), "99.5%");
  assert_non_null(number_decimal(a, LANG_EN, 1.7e308, 99));
}

static void number_words(void **s) {
  static const struct { int64_t n; const char *words; } rows[] = {
    {0, "صفر"}, {1, "یک"}, {15, "پانزده"}, {20, "بیست"}, {21, "بیست و یک"}, {100, "یکصد"}, {110, "یکصد و ده"}, {999, "نهصد و نود و نه"}, {1000, "یک هزار"},
    {1200000, "یک میلیون و دویست هزار"}, {-45, "منفی چهل و پنج"}, {1405, "یک هزار و چهارصد و پنج"}, {1000000000, "یک میلیارد"},
    {2000000000013, "دو تریلیون و سیزده"},
    {INT64_MIN, "منفی نه کوینتیلیون و دویست و بیست و سه کوادریلیون و سیصد و هفتاد و دو تریلیون و سی و شش میلیارد و هشتصد و پنجاه و چهار میلیون و هفتصد و "
                "هفتاد و پنج هزار و هشتصد و هشت"}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++) assert_string_equal(number_words_fa(a, rows[i].n), rows[i].words);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(vectors), cmocka_unit_test(repaired), cmocka_unit_test(check_digits), cmocka_unit_test(shown),
    cmocka_unit_test(numbers), cmocka_unit_test(number_words)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
