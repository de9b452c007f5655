/* Words, repair, folding, digits, collation, GSM 03.38. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

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
  a = arena_new(64 * 1024 * 1024);
  const char *seed = getenv("SEED");
  state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
  print_message("SEED=%llu\n", (unsigned long long)state);
  return 0;
}

static int teardown(void **s) {
  arena_free(a);
  return 0;
}

static void fresh(void) { arena_reset(a); }

static void words(void **s) {
  assert_string_equal(word(LANG_FA, "month.jalali.9"), "آذر");
  assert_string_equal(word(LANG_EN, "weekday.7"), "Sunday");
  assert_string_equal(word(LANG_EN, "no.such.key"), "no.such.key");
  assert_true(word_known("money.rial"));
  assert_false(word_known("money"));
  assert_string_equal(word_fill(a, LANG_EN, "money.rial", "amount", "7", NULL), "7 rials");
  assert_string_equal(word_fill(a, LANG_EN, "money.rial", "other", "7", NULL), "{amount} rials");
  assert_string_equal(word_fill(a, LANG_EN, "money.rial", "amount", "{amount}", NULL), "{amount} rials");
  const json_t *month = json_object_get(json_object_get(json_object_get(words_all(LANG_FA), "month"), "jalali"), "1");
  assert_string_equal(json_string_value(month), "فروردین");
  assert_string_equal(jalali_month(LANG_EN, 12), "Esfand");
  assert_string_equal(jalali_month(LANG_EN, 13), "");
  assert_int_equal(language_init(NULL), 0);
}

static void accept(void **s) {
  static const struct { const char *header; enum lang lang; } rows[] = {
    {NULL, LANG_FA}, {"", LANG_FA}, {"en", LANG_EN}, {"en-GB,en;q=0.9", LANG_EN}, {"fa-IR, en;q=0.9", LANG_FA}, {"en;q=0.5,fa;q=0.8", LANG_FA},
    {"de, en;q=0.3", LANG_EN}, {"de", LANG_FA}, {"*", LANG_FA}, {"en;q=0", LANG_FA}, {"EN-us", LANG_EN}, {"english", LANG_FA}, {"en; q=0.2, *;q=0.1", LANG_EN},
    {"en;q=2", LANG_FA}, {"en;q=", LANG_FA}, {",,,;", LANG_FA}, {"per, en;q=0.5", LANG_FA}, {"en;q=1.000,fa;q=0.999", LANG_EN}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++)
    if (lang_from_accept(rows[i].header) != rows[i].lang) fail_msg("%s", rows[i].header);
  assert_string_equal(lang_code(LANG_FA), "fa");
  assert_string_equal(lang_code(LANG_EN), "en");
}

static void repairs(void **s) {
  static const char *const rows[][2] = {
    {"علي", "علی"}, {"موسى كريمي", "موسی کریمی"}, {"  سلام \n", "سلام"}, {"a\r\nb\rc\xC2\x85" "d\xE2\x80\xA8" "e", "a\nb\nc\nd\ne"},
    {"می‌‌‌روم", "می‌روم"}, {"‌می‌ روم‌", "می روم"}, {"\u202Eabc\u202C", "abc"}, {"\u2067x\u2069\u200E\u200F\u061C", "x"}, {"\uFEFFق\u00ADم", "قم"},
    {"a\tb\x01" "c\x7F\xC2\x9B", "a bc"}, {"۱۲٣4", "۱۲٣4"}, {"ا\u0653", "آ"}, {"e\u200E\u0301", "é"}, {"\u00A0x\u3000", "x"}, {"", ""}, {" \u200C ", ""},
    {"ه\u200Dـ", "ه\u200Dـ"}, {"ي\u0654", "ئ"}, {"\u212B", "Å"}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++) assert_string_equal(text_repair(a, rows[i][0]), rows[i][1]);
  assert_null(text_repair(a, "\xC0\x80"));
  assert_null(text_repair(a, "\xED\xA0\x80"));
  assert_null(text_repair(a, "ab\xD8"));
  assert_null(text_repair(a, NULL));
  struct arena *tiny = arena_new(16);
  assert_null(text_repair(tiny, "a text that is longer than the arena may hold"));
  assert_null(text_fold(tiny, "a text that is longer than the arena may hold"));
  arena_free(tiny);
}

static void folds(void **s) {
  static const char *const rows[][2] = {
    {"آب أب إب ٱب", "اب اب اب اب"}, {"فاطمة", "فاطمه"}, {"مؤمن", "مومن"}, {"مسئول", "مسیول"}, {"خانۀ", "خانه"}, {"علي موسى", "علی موسی"},
    {"كتاب", "کتاب"}, {"می‌روم", "میروم"}, {"کـــتاب", "کتاب"}, {"مُحَمَّد", "محمد"}, {"۱۲٣4", "1234"}, {"Tehran-IR", "tehran ir"},
    {"«سلام»، دنیا!", "سلام دنیا"}, {"  a  ,, b ", "a b"}, {"é É ß", "e e ss"}, {"ﻋﻠﻲ", "علی"}, {"ＡＢＣ１", "abc1"}, {"", ""}, {"،؛", ""},
    {"a\x01" "b", "ab"}, {"a\xC2\x85" "b", "a b"}, {"İI", "ii"}, {"ا\u0653", "ا"}, {"ه\u0654", "ه"}, {"😀x", "x"}, {"هٔ ۂ ە", "ه ه ه"}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++) assert_string_equal(text_fold(a, rows[i][0]), rows[i][1]);
  assert_null(text_fold(a, "\xFF"));
  assert_null(text_fold(a, "😀\xFF"));
  assert_null(text_fold(a, NULL));
}

static void terms(void **s) {
  const char *t[4];
  assert_int_equal(text_terms(a, "علي، علی! رضا ۱۲ 12 مریم نرگس", t, 4), 4);
  assert_string_equal(t[0], "علی");
  assert_string_equal(t[1], "رضا");
  assert_string_equal(t[2], "12");
  assert_string_equal(t[3], "مریم");
  assert_int_equal(text_terms(a, "یک یک یک", t, 4), 1);
  assert_int_equal(text_terms(a, " ، ", t, 4), 0);
  assert_int_equal(text_terms(a, "x", t, 0), 0);
  assert_int_equal(text_terms(a, NULL, t, 4), 0);
}

/* A random text that likes the code points where rules meet. */
static void random_text(char *out, size_t chars) {
  static const int32_t nasty[] = {0x200C, 0x200D, 0x202E, 0x2066, 0xFEFF, 0xAD, 0x640, 0x653, 0x654, 0x655, 0x64B, 0x651, 0x670, 0x64A, 0x649, 0x643,
    0x6C0, 0x6C2, 0x6D3, 0x301, 0x308, 0x345, 0x130, 0x131, 0xDF, 0x3C2, 0x1E9E, 0x2000, 0x2001, 0x2028, 0x85, '\r', '\n', '\t', 0x61C, 0x2126, 0xFDFA,
    0xFB50, 0xFEFB, 0x1F600, 0xAC00, 0x1100, 0x1161, 0x11A8, 0x9C7, 0x9BE, 0x180E, 0x338, 0x37E, 0x1, 0xA0};
  char *w = out;
  for (size_t i = 0; i < chars; i++) {
    uint32_t c, kind = draw(8);
    if (kind < 3) c = (uint32_t)nasty[draw(BASE_COUNT(nasty))];
    else if (kind < 5) c = 0x600 + draw(0x100);
    else if (kind < 6) c = ' ' + draw(95);
    else if (kind < 7) c = 1 + draw(0x700);
    else c = 1 + draw(0x3FFFF);
    w += utf8_encode(c, w);
  }
  *w = '\0';
}

static void idempotent(void **s) {
  char text[256];
  UErrorCode e = U_ZERO_ERROR;
  const UNormalizer2 *nfc = unorm2_getNFCInstance(&e);
  for (int i = 0; i < 200000; i++) {
    fresh();
    random_text(text, draw(24));
    char *r = text_repair(a, text), *f = text_fold(a, text);
    assert_non_null(r);
    assert_non_null(f);
    char *rr = text_repair(a, r), *ff = text_fold(a, f), *rf = text_fold(a, r);
    if (strcmp(r, rr) != 0) fail_msg("repair is not idempotent on '%s': '%s' '%s'", text, r, rr);
    if (strcmp(f, ff) != 0) fail_msg("fold is not idempotent on '%s': '%s' '%s'", text, f, ff);
    if (strcmp(f, rf) != 0) fail_msg("fold differs after repair on '%s': '%s' '%s'", text, f, rf);
    assert_false(text_has_bidi_control(r));
    UChar u[512];
    int32_t n;
    u_strFromUTF8(u, 512, &n, r, -1, &e);
    if (!unorm2_isNormalized(nfc, u, n, &e)) fail_msg("repair left NFC on '%s'", text);
  }
}

/* A far character sends its whole text through ICU: both ways must say the same. */
static void ways_agree(void **s) {
  char text[256], longer[280];
  for (int i = 0; i < 100000; i++) {
    fresh();
    random_text(text, 1 + draw(20));
    snprintf(longer, sizeof longer, "%s \xF0\x9F\x98\x80", text);
    char *f = text_fold(a, text), *l = text_fold(a, longer);
    if (strcmp(f, l) != 0) fail_msg("the ways differ on '%s': '%s' '%s'", text, f, l);
  }
  for (uint32_t c = 1; c < 0x3000; c++) {
    char one[8] = {0};
    if (utf8_encode(c, one) == 0) continue;
    fresh();
    snprintf(text, sizeof text, "x%sy", one);
    snprintf(longer, sizeof longer, "x%sy \xF0\x9F\x98\x80", one);
    if (strcmp(text_fold(a, text), text_fold(a, longer)) != 0) fail_msg("U+%04X", c);
  }
}

static void digits(void **s) {
  assert_string_equal(digits_ascii(a, "۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩x"), "01234567890123456789x");
  assert_string_equal(digits_local(a, LANG_FA, "a09-۵"), "a۰۹-۵");
  assert_string_equal(digits_local(a, LANG_EN, "a09-۵"), "a09-۵");
  assert_string_equal(digits_ascii(a, "\xDB"), "\xDB");
  assert_null(digits_ascii(a, NULL));
}

static void collation(void **s) {
  static const char *const order[] = {"آب", "ابر", "بابا", "پدر", "تهران", "جنگل", "چمن", "زرد", "ژاله", "سرد", "کتاب", "گرگان", "لاله", "مشهد", "نیشابور", "وطن", "هرات", "یزد"};
  for (size_t i = 1; i < BASE_COUNT(order); i++)
    if (text_compare(LANG_FA, order[i - 1], order[i]) >= 0) fail_msg("%s %s", order[i - 1], order[i]);
  assert_int_equal(text_compare(LANG_FA, "مشهد", "مشهد"), 0);
  assert_true(text_compare(LANG_EN, "apple", "Banana") < 0);
}

static void bidi(void **s) {
  assert_true(text_has_bidi_control("a\u202Eb"));
  assert_true(text_has_bidi_control("\u2066"));
  assert_false(text_has_bidi_control("a\u200Fb‌\u2070"));
  assert_false(text_has_bidi_control("\xE2\x80"));
  assert_false(text_has_bidi_control(NULL));
}

static void gsm(void **s) {
  size_t n = 9;
  assert_true(text_gsm7("Hello, @World_1", &n));
  assert_int_equal(n, 15);
  assert_true(text_gsm7("€[]{}\\^~|\f", &n));
  assert_int_equal(n, 20);
  assert_true(text_gsm7("ÄÖÑÜ§¿äöñüàΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡£¥èéùìòÇØøÅå\n\r", &n));
  assert_int_equal(n, 41);
  assert_false(text_gsm7("سلام", &n));
  assert_int_equal(n, 0);
  assert_false(text_gsm7("a`b", NULL));
  assert_false(text_gsm7("ç", NULL));
  assert_false(text_gsm7("\x1B", NULL));
  assert_false(text_gsm7("\t", NULL));
  assert_false(text_gsm7("\xFF", NULL));
  assert_true(text_gsm7("", &n));
  assert_int_equal(n, 0);
}

static void speed(void **s) {
  static const char text[] = "محمدعلی کریمی‌پور، مشهد، بلوار وکیل‌آباد، خیابان ۱۲، پلاک ۳۴ — طبقهٔ دوم";
  int64_t from = clock_mono();
  for (int i = 0; i < 100000; i++) {
    fresh();
    text_fold(a, text);
  }
  int64_t fold = clock_mono() - from;
  from = clock_mono();
  for (int i = 0; i < 100000; i++) {
    fresh();
    text_repair(a, text);
  }
  print_message("fold %.0f ns, repair %.0f ns for %zu bytes\n", (double)fold * 10, (double)(clock_mono() - from) * 10, sizeof text - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(words), cmocka_unit_test(accept), cmocka_unit_test(repairs), cmocka_unit_test(folds), cmocka_unit_test(terms),
    cmocka_unit_test(idempotent), cmocka_unit_test(ways_agree), cmocka_unit_test(digits), cmocka_unit_test(collation), cmocka_unit_test(bidi),
    cmocka_unit_test(gsm), cmocka_unit_test(speed)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
