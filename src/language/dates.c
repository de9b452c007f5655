/* Gregorian, Jalali and Iranian Hijri days, and the local day of Asia/Tehran. */
#include "language/internal.h"

#include <stdio.h>
#include <unicode/ucal.h>

enum { JALALI_EPOCH = -492268 /* 1 Farvardin 1 in days since 1970-01-01 */ };
static const int64_t DAY_MS = 86400000;

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* Howard Hinnant's days_from_civil: eras of 400 years that begin on 1 March. */
static int64_t gregorian_days(int64_t y, int m, int d) {
  y -= m <= 2;
  int64_t era = floor_div(y, 400), of_era = y - era * 400;
  int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int32_t day_from_gregorian(struct date d) {
  static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (d.month < 1 || d.month > 12 || d.day < 1) return INT32_MIN;
  bool leap = d.year % 4 == 0 && (d.year % 100 != 0 || d.year % 400 == 0);
  if (d.day > lengths[d.month - 1] + (d.month == 2 && leap)) return INT32_MIN;
  int64_t day = gregorian_days(d.year, d.month, d.day);
  return day > INT32_MIN && day <= INT32_MAX ? (int32_t)day : INT32_MIN;
}

struct date day_to_gregorian(int32_t day) {
  int64_t z = (int64_t)day + 719468, era = floor_div(z, 146097), of_era = z - era * 146097;
  int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t of_year = of_era - (365 * year + year / 4 - year / 100), m = (5 * of_year + 2) / 153;
  struct date d = {.day = (int)(of_year - (153 * m + 2) / 5 + 1), .month = (int)(m < 10 ? m + 3 : m - 9)};
  d.year = (int)(year + era * 400 + (d.month <= 2));
  return d;
}

/* The 33-year arithmetic: eight leap years in 33. Between 1200 and 1500 it gives the days of the official calendar. */
static int64_t jalali_new_year(int64_t y) { return JALALI_EPOCH + 365 * (y - 1) + floor_div(8 * y + 21, 33); }

bool jalali_leap(int year) { return jalali_new_year((int64_t)year + 1) - jalali_new_year(year) == 366; }

int32_t day_from_jalali(struct date d) {
  if (d.year < 1200 || d.year > 1500 || d.month < 1 || d.month > 12 || d.day < 1) return INT32_MIN;
  int length = d.month <= 6 ? 31 : d.month < 12 || jalali_leap(d.year) ? 30 : 29;
  if (d.day > length) return INT32_MIN;
  int before = d.month <= 7 ? 31 * (d.month - 1) : 186 + 30 * (d.month - 7);
  return (int32_t)(jalali_new_year(d.year) + before + d.day - 1);
}

struct date day_to_jalali(int32_t day) {
  int64_t y = floor_div(((int64_t)day - JALALI_EPOCH) * 33, 12053) + 1; /* at most one year off */
  while (jalali_new_year(y + 1) <= day) y++;
  while (jalali_new_year(y) > day) y--;
  int left = (int)(day - jalali_new_year(y));
  if (left < 186) return (struct date){(int)y, left / 31 + 1, left % 31 + 1};
  left -= 186;
  return (struct date){(int)y, left / 30 + 7, left % 30 + 1};
}

/* ---- Hijri: month starts as announced ------------------------------------------------ */

static int32_t *month_starts; /* consecutive months, then the first day after them */
static size_t month_count;
static int first_month; /* year * 12 + month - 1 */

int hijri_init(struct err *err) {
  const struct embedded *f = embedded_find("locale/hijri.csv");
  struct err why = {0};
  struct csv *c = f ? csv_read((const char *)f->data, f->size, &why) : NULL;
  if (!c) return err_set(err, ERR_INTERNAL, "locale/hijri.csv: %s", f ? why.message : "is not built in");
  size_t n = csv_rows(c);
  int hijri = csv_column(c, "hijri"), gregorian = csv_column(c, "gregorian"), rc = -1;
  month_starts = base_alloc((n + 1) * sizeof *month_starts);
  for (size_t i = 0; i < n; i++) {
    const char *h = csv_cell(c, i, hijri);
    int year, of_year, month = sscanf(h, "%4d-%2d", &year, &of_year) == 2 ? year * 12 + of_year - 1 : -1;
    if (i == 0) first_month = month;
    month_starts[i] = date_parse(csv_cell(c, i, gregorian));
    int32_t length = i ? month_starts[i] - month_starts[i - 1] : 29;
    if (month < 0 || month != first_month + (int)i || month_starts[i] == INT32_MIN || length < 29 || length > 30) {
      err_set(err, ERR_INVALID, "locale/hijri.csv:%u: months follow each other, 29 or 30 days long", csv_line(c, i));
      goto done;
    }
  }
  if (n == 0) {
    err_set(err, ERR_INVALID, "locale/hijri.csv: holds no month");
    goto done;
  }
  month_starts[n] = month_starts[n - 1] + 29; /* the last month's thirtieth day is not known */
  month_count = n;
  rc = 0;
done:
  csv_free(c);
  return rc;
}

static struct date hijri_umalqura(int32_t day) {
  UErrorCode e = U_ZERO_ERROR;
  struct date d = {0};
  UCalendar *cal = ucal_open(u"UTC", -1, "ar@calendar=islamic-umalqura", UCAL_DEFAULT, &e);
  if (U_FAILURE(e)) return d;
  ucal_setMillis(cal, (double)day * (double)DAY_MS, &e);
  d.year = ucal_get(cal, UCAL_EXTENDED_YEAR, &e);
  d.month = ucal_get(cal, UCAL_MONTH, &e) + 1;
  d.day = ucal_get(cal, UCAL_DAY_OF_MONTH, &e);
  ucal_close(cal);
  return U_SUCCESS(e) ? d : (struct date){0};
}

struct date day_to_hijri(int32_t day) {
  if (month_count == 0 || day < month_starts[0] || day >= month_starts[month_count]) return hijri_umalqura(day);
  size_t lo = 0, hi = month_count; /* month_starts[lo] <= day < month_starts[hi] */
  while (hi - lo > 1) {
    size_t mid = (lo + hi) / 2;
    if (month_starts[mid] <= day) lo = mid;
    else hi = mid;
  }
  int month = first_month + (int)lo;
  return (struct date){month / 12, month % 12 + 1, day - month_starts[lo] + 1};
}

int day_weekday(int32_t day) {
  int64_t shifted = (int64_t)day + 3; /* 1970-01-01 was a Thursday */
  return (int)(shifted - floor_div(shifted, 7) * 7) + 1;
}

/* ---- Asia/Tehran --------------------------------------------------------------------- */

/* Offsets by the instant they begin at; the first one has always been. */
static struct {
  int64_t from, offset;
} zone[160];
static size_t zone_count;

static int64_t offset_at(UCalendar *cal, int64_t ms, UErrorCode *e) {
  ucal_setMillis(cal, (double)ms, e);
  return ucal_get(cal, UCAL_ZONE_OFFSET, e) + ucal_get(cal, UCAL_DST_OFFSET, e);
}

int zone_init(struct err *err) {
  UErrorCode e = U_ZERO_ERROR;
  UCalendar *cal = ucal_open(u"Asia/Tehran", -1, "en", UCAL_GREGORIAN, &e);
  if (U_FAILURE(e)) return err_set(err, ERR_INTERNAL, "ICU: %s", u_errorName(e));
  int64_t at = -4102444800000; /* 1840 */
  UDate next;
  zone[0].from = INT64_MIN;
  zone[0].offset = offset_at(cal, at, &e);
  zone_count = 1;
  while (ucal_getTimeZoneTransitionDate(cal, UCAL_TZ_TRANSITION_NEXT, &next, &e) && U_SUCCESS(e) && next < 4102444800000.0) {
    at = (int64_t)next;
    int64_t offset = offset_at(cal, at, &e);
    if (offset == zone[zone_count - 1].offset) continue;
    if (zone_count == BASE_COUNT(zone)) break;
    zone[zone_count].from = at;
    zone[zone_count++].offset = offset;
  }
  ucal_close(cal);
  if (U_FAILURE(e) || zone_count == BASE_COUNT(zone))
    return err_set(err, ERR_INTERNAL, "the rules of Asia/Tehran cannot be read: %s", u_errorName(e));
  return 0;
}

/* The last segment of the zone that begins at or before an instant. */
static size_t zone_at(int64_t ms) {
  size_t lo = 0, hi = zone_count;
  if (ms >= zone[zone_count - 1].from) return zone_count - 1;
  while (hi - lo > 1) {
    size_t mid = (lo + hi) / 2;
    if (zone[mid].from <= ms) lo = mid;
    else hi = mid;
  }
  return lo;
}

int64_t zone_offset(int64_t ms) { return zone[zone_at(ms)].offset; }

int32_t day_of(int64_t ms) {
  const int64_t most = INT32_MAX * DAY_MS;
  if (ms > most - DAY_MS) return INT32_MAX;
  if (ms < -most) return -INT32_MAX;
  return (int32_t)floor_div(ms + zone_offset(ms), DAY_MS);
}

int64_t day_start(int32_t day) {
  int64_t midnight = (int64_t)day * DAY_MS;
  for (size_t i = zone_at(midnight - DAY_MS);; i++) {
    int64_t at = midnight - zone[i].offset;
    if (at < zone[i].from) at = zone[i].from;
    if (i + 1 == zone_count || at < zone[i + 1].from) return at;
  }
}
