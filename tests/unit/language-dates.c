/* Gregorian, Jalali and Hijri days; Asia/Tehran; dates as text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unicode/ucal.h>

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

static bool same(struct date a1, struct date b1) { return a1.year == b1.year && a1.month == b1.month && a1.day == b1.day; }

static struct date read_date(const char *s) {
  struct date d = {0};
  assert_int_equal(sscanf(s, "%d-%d-%d", &d.year, &d.month, &d.day), 3);
  return d;
}

static void vectors(void **s) {
  size_t n;
  char *data = file_read("tests/vectors/calendar.csv", 0, &n, NULL);
  assert_non_null(data);
  struct csv *c = csv_read(data, n, NULL);
  assert_non_null(c);
  assert_int_equal(csv_rows(c), 581);
  for (size_t i = 0; i < csv_rows(c); i++) {
    const char *jalali = csv_cell(c, i, csv_column(c, "jalali")), *gregorian = csv_cell(c, i, csv_column(c, "gregorian"));
    const char *hijri = csv_cell(c, i, csv_column(c, "hijri_iran"));
    char text[16];
    int32_t day = date_parse(gregorian);
    assert_int_equal(date_parse(jalali), day);
    date_iso(day, text);
    assert_string_equal(text, gregorian);
    date_jalali(day, text);
    assert_string_equal(text, jalali);
    if (!same(day_to_hijri(day), read_date(hijri))) fail_msg("%s", hijri);
    assert_int_equal(day_weekday(day), atoi(csv_cell(c, i, csv_column(c, "iso_weekday"))));
  }
  csv_free(c);
  free(data);
}

static void hijri(void **s) {
  /* The official holidays of 1399 and later years that follow the moon. */
  static const char *const rows[][2] = {{"2020-05-24", "1441-10-01"}, {"2021-10-07", "1443-02-30"}, {"2022-05-03", "1443-10-01"}, {"2024-06-17", "1445-12-10"},
    {"2025-07-06", "1447-01-10"}, {"2026-05-27", "1447-12-10"}, {"2026-11-13", "1448-06-03"}, {"2027-03-10", "1448-10-01"}, {"2020-10-17", "1442-02-29"}};
  for (size_t i = 0; i < BASE_COUNT(rows); i++)
    if (!same(day_to_hijri(date_parse(rows[i][0])), read_date(rows[i][1]))) fail_msg("%s", rows[i][0]);
  /* Day after day, one step at a time, inside the table. */
  struct date before = day_to_hijri(date_parse("1927-07-01"));
  for (int32_t day = date_parse("1927-07-02"); day < date_parse("2027-03-11"); day++) {
    struct date d = day_to_hijri(day);
    bool next = d.day == before.day + 1 && d.month == before.month && d.year == before.year && d.day <= 30;
    bool month = d.day == 1 && before.day >= 29 && d.month == before.month % 12 + 1 && d.year == before.year + (d.month == 1);
    if (!next && !month) fail_msg("after %d-%d-%d comes %d-%d-%d", before.year, before.month, before.day, d.year, d.month, d.day);
    before = d;
  }
  /* Outside it: Umm al-Qura. */
  assert_true(same(day_to_hijri(date_parse("2076-11-28")), (struct date){1500, 1, 1}));
  assert_true(same(day_to_hijri(date_parse("1900-04-30")), (struct date){1318, 1, 1}));
}

/* Meeus, Astronomical Algorithms, chapter 27: the March equinox as a Julian ephemeris day. */
static double equinox(int year) {
  static const double terms[24][3] = {{485, 324.96, 1934.136}, {203, 337.23, 32964.467}, {199, 342.08, 20.186}, {182, 27.85, 445267.112},
    {156, 73.14, 45036.886}, {136, 171.52, 22518.443}, {77, 222.54, 65928.934}, {74, 296.72, 3034.906}, {70, 243.58, 9037.513}, {58, 119.81, 33718.147},
    {52, 297.17, 150.678}, {50, 21.02, 2281.226}, {45, 247.54, 29929.562}, {44, 325.15, 31555.956}, {29, 60.93, 4443.417}, {18, 155.12, 67555.328},
    {17, 288.79, 4562.452}, {16, 198.04, 62894.029}, {14, 199.76, 31436.921}, {12, 95.39, 14577.848}, {12, 287.11, 31931.756}, {12, 320.81, 34777.259},
    {9, 227.73, 1222.114}, {8, 15.45, 16859.074}};
  double y = (year - 2000) / 1000.0, rad = M_PI / 180, sum = 0;
  double jde = 2451623.80984 + 365242.37404 * y + 0.05169 * y * y - 0.00411 * y * y * y - 0.00057 * y * y * y * y;
  double t = (jde - 2451545) / 36525, w = (35999.373 * t - 2.47) * rad;
  for (int i = 0; i < 24; i++) sum += terms[i][0] * cos((terms[i][1] + terms[i][2] * t) * rad);
  return jde + 0.00001 * sum / (1 + 0.0334 * cos(w) + 0.0007 * cos(2 * w));
}

/* The law of 1304: the year begins on the day whose true noon in Iran first follows the equinox. */
static void new_years_follow_the_sun(void **s) {
  double closest = 1;
  int closest_year = 0;
  for (int year = 1200; year <= 1500; year++) {
    int g = year + 621;
    double u = (g - 1820) / 100.0;
    double delta_t = g < 1960 ? 20 : g < 2020 ? 34 + (g - 1960) * 0.6 : -20 + 32 * u * u - 0.5628 * (2150 - g); /* seconds; Espenak and Meeus */
    double noon = 12 + 7.5 / 60;             /* the sun is 7.5 minutes late in late March */
    double at = equinox(g) - delta_t / 86400 + 3.5 / 24 - 2440587.5; /* local mean days since 1970 */
    int32_t day = (int32_t)floor(at + 1 - noon / 24);
    double off = fabs(at + 1 - noon / 24 - round(at + 1 - noon / 24));
    if (off < closest) {
      closest = off;
      closest_year = year;
    }
    int32_t ours = day_from_jalali((struct date){year, 1, 1});
    if (ours != day && off * 1440 > 3) fail_msg("%d: ours %d, the sun's %d, %.1f minutes from noon", year, ours, day, off * 1440);
    if (ours != day) print_message("%d: %.1f minutes from noon, decided by the official calendar\n", year, off * 1440);
  }
  print_message("closest to noon: %d, %.1f minutes\n", closest_year, closest * 1440);
}

/* Every day of 1200–1500 there and back, in order, and against ICU's Persian calendar. */
static void jalali(void **s) {
  UErrorCode e = U_ZERO_ERROR;
  UCalendar *cal = ucal_open(u"UTC", -1, "fa@calendar=persian", UCAL_DEFAULT, &e);
  int32_t day = day_from_jalali((struct date){1200, 1, 1}), wrong = 0;
  for (int year = 1200; year <= 1500; year++)
    for (int month = 1; month <= 12; month++)
      for (int d = 1; d <= 31; d++) {
        int length = month <= 6 ? 31 : month < 12 || jalali_leap(year) ? 30 : 29;
        struct date date = {year, month, d};
        if (d > length) {
          assert_int_equal(day_from_jalali(date), INT32_MIN);
          continue;
        }
        if (day_from_jalali(date) != day || !same(day_to_jalali(day), date)) fail_msg("%d-%d-%d", year, month, d);
        ucal_setMillis(cal, (double)day * 86400000.0, &e);
        struct date icu = {ucal_get(cal, UCAL_EXTENDED_YEAR, &e), ucal_get(cal, UCAL_MONTH, &e) + 1, ucal_get(cal, UCAL_DAY_OF_MONTH, &e)};
        wrong += !same(icu, date);
        day++;
      }
  ucal_close(cal);
  print_message("ICU differs on %d days of 1200-1500\n", wrong);
  assert_int_equal(wrong, 0);
  assert_int_equal(day_from_jalali((struct date){1199, 12, 1}), INT32_MIN);
  assert_int_equal(day_from_jalali((struct date){1501, 1, 1}), INT32_MIN);
  assert_true(jalali_leap(1399) && jalali_leap(1403) && jalali_leap(1408) && !jalali_leap(1404) && !jalali_leap(1407));
}

static void gregorian(void **s) {
  assert_int_equal(day_from_gregorian((struct date){1970, 1, 1}), 0);
  assert_int_equal(day_from_gregorian((struct date){2000, 2, 29}), 11016);
  assert_int_equal(day_from_gregorian((struct date){1900, 2, 29}), INT32_MIN);
  assert_int_equal(day_from_gregorian((struct date){2026, 13, 1}), INT32_MIN);
  assert_int_equal(day_from_gregorian((struct date){2026, 4, 31}), INT32_MIN);
  assert_int_equal(day_from_gregorian((struct date){2026, 4, 0}), INT32_MIN);
  assert_int_equal(day_from_gregorian((struct date){INT32_MAX, 4, 1}), INT32_MIN);
  static const int32_t far[] = {INT32_MIN + 1, INT32_MAX, -719468, -719469, 0, -1};
  for (int i = 0; i < 300000; i++) {
    int32_t day = i < (int)BASE_COUNT(far) ? far[i] : i % 2 ? (int32_t)draw(200000) - 100000 : (int32_t)(draw(UINT32_MAX) - INT32_MAX);
    struct date d = day_to_gregorian(day);
    if (day_from_gregorian(d) != day) fail_msg("%d", day);
    day_to_jalali(day);
    int w = day_weekday(day);
    assert_true(w >= 1 && w <= 7);
  }
  assert_int_equal(day_weekday(0), 4);
}

/* Against the C library's own reading of the zone; editions of the zone's history disagree about 1977 to 1979. */
static void tehran(void **s) {
  setenv("TZ", "Asia/Tehran", 1);
  tzset();
  for (int i = 0; i < 200000; i++) {
    int64_t t = (int64_t)draw(4000000000u) - 1000000000; /* 1938 to 2065 */
    if (t > 228000000 && t < 315532800) continue;
    time_t seconds = (time_t)t;
    struct tm tm;
    localtime_r(&seconds, &tm);
    int32_t expected = day_from_gregorian((struct date){tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday});
    if (day_of(t * 1000) != expected) fail_msg("%lld", (long long)t);
    int64_t start = day_start(expected);
    if (start > t * 1000 || day_of(start) != expected || day_of(start - 1) != expected - 1) fail_msg("start of %d", expected);
  }
  unsetenv("TZ");
  assert_int_equal(day_start(date_parse("2026-11-23")), 1795379400000);
  assert_int_equal(day_of(INT64_MIN), -INT32_MAX);
  assert_int_equal(day_of(INT64_MAX), INT32_MAX);
}

static void parsing(void **s) {
  static const char *const good[][2] = {{"1405-09-02", "2026-11-23"}, {"۱۴۰۵/۹/۲", "2026-11-23"}, {"١٤٠٥/٩/٢", "2026-11-23"}, {" 1405 / 09 / 02 ", "2026-11-23"},
    {"\u200F۱۴۰۵/۰۹/۰۲\u200F", "2026-11-23"}, {"2026-11-23", "2026-11-23"}, {"2026/1/3", "2026-01-03"}, {"1403-12-30", "2025-03-20"}, {"1800-01-01", "1800-01-01"}};
  for (size_t i = 0; i < BASE_COUNT(good); i++) {
    char text[16];
    date_iso(date_parse(good[i][0]), text);
    assert_string_equal(text, good[i][1]);
  }
  static const char *const bad[] = {"", "1405", "1405-09", "1405-13-01", "1405-12-30", "1404-12-30", "1405-07-31", "1405-9-0", "1199-01-01", "1501-01-01",
    "1799-12-31", "2201-01-01", "14050902", "1405-09-02-1", "1405-9-002", "01405-9-2", "2026-02-29", "x", "1405-09-02x", "14 05-9-2", "1405--9-2",
    "-1405-9-2", "1405-09-0 2", "\xFF", "99999999999999999999-1-1", "1405/9/2 3"};
  for (size_t i = 0; i < BASE_COUNT(bad); i++)
    if (date_parse(bad[i]) != INT32_MIN) fail_msg("%s", bad[i]);
  assert_int_equal(date_parse(NULL), INT32_MIN);
}

static void showing(void **s) {
  int32_t day = date_parse("2026-11-23");
  assert_string_equal(date_long(a, LANG_FA, day), "دوشنبه ۲ آذر ۱۴۰۵");
  assert_string_equal(date_long(a, LANG_EN, day), "Monday 23 November 2026");
  assert_string_equal(date_short(a, LANG_FA, day), "۱۴۰۵/۰۹/۰۲");
  assert_string_equal(date_short(a, LANG_EN, day), "23 Nov 2026");
  int64_t ms;
  assert_int_equal(clock_parse("2026-11-23T10:15:59Z", &ms), 0);
  assert_string_equal(datetime_short(a, LANG_FA, ms), "۱۴۰۵/۰۹/۰۲، ۱۳:۴۵");
  assert_string_equal(datetime_short(a, LANG_EN, ms), "23 Nov 2026, 13:45");
  assert_int_equal(clock_parse("2026-11-23T20:30:00Z", &ms), 0);
  assert_string_equal(datetime_short(a, LANG_EN, ms), "24 Nov 2026, 00:00");
  struct arena *tiny = arena_new(8);
  assert_null(date_long(tiny, LANG_FA, day));
  assert_null(datetime_short(tiny, LANG_FA, ms));
  arena_free(tiny);
}

static void speed(void **s) {
  int64_t from = clock_mono();
  volatile int sink = 0;
  for (int32_t i = 0; i < 2000000; i++) sink += day_to_jalali(i % 40000).day;
  int64_t jalali_ms = clock_mono() - from;
  from = clock_mono();
  for (int32_t i = 0; i < 2000000; i++) sink += day_of((int64_t)i * 900000);
  print_message("day_to_jalali %.1f ns, day_of %.1f ns\n", (double)jalali_ms / 2, (double)(clock_mono() - from) / 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(vectors), cmocka_unit_test(hijri), cmocka_unit_test(new_years_follow_the_sun), cmocka_unit_test(jalali), cmocka_unit_test(gregorian),
    cmocka_unit_test(tehran), cmocka_unit_test(parsing), cmocka_unit_test(showing), cmocka_unit_test(speed)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
