/* Dates as people type and read them. */
#include "language/internal.h"

#include <stdio.h>
#include <string.h>

int32_t date_parse(const char *typed) {
  int part[3] = {0}, digits[3] = {0}, n = 0;
  const unsigned char *p = (const unsigned char *)typed;
  size_t read = 0;
  bool gap = false; /* white space stands behind a digit of this part: the part is over */
  for (int32_t c; p && (c = next_char(&p)) != 0;) {
    if (c < 0 || ++read > 64) return INT32_MIN;
    int d = digit_value(c);
    if (is_invisible(c) || (c >= 0x200B && c <= 0x200D)) continue;
    if (is_space_char(c) || c == '\n') {
      gap = digits[n] > 0;
    } else if (d >= 0 && !gap) {
      if (++digits[n] > (n ? 2 : 4)) return INT32_MIN;
      part[n] = part[n] * 10 + d;
    } else if ((c == '-' || c == '/' || c == 0x2010 || c == 0x2011 || c == 0x2013 || c == 0x2212) && n < 2 && digits[n]) {
      n++;
      gap = false;
    } else {
      return INT32_MIN;
    }
  }
  if (n != 2 || digits[0] != 4 || !digits[2]) return INT32_MIN;
  struct date d = {part[0], part[1], part[2]};
  if (d.year >= 1200 && d.year <= 1500) return day_from_jalali(d);
  return d.year >= 1800 && d.year <= 2200 ? day_from_gregorian(d) : INT32_MIN;
}

static void put_date(struct date d, char out[16]) {
  char text[40];
  if (d.year >= 0 && d.year <= 9999 && d.month >= 1 && d.month <= 31 && d.day >= 1 && d.day <= 31) { /* the way of every reply: no formatter */
    int parts[3] = {d.year, d.month, d.day};
    char *at = out;
    for (int i = 0; i < 3; i++) {
      if (i > 0) *at++ = '-';
      for (int place = i == 0 ? 1000 : 10; place > 0; place /= 10) *at++ = (char)('0' + parts[i] / place % 10);
    }
    *at = '\0';
    return;
  }
  snprintf(text, sizeof text, "%04d-%02d-%02d", d.year, d.month, d.day);
  memcpy(out, text, 15);
  out[15] = '\0';
}

void date_iso(int32_t day, char out[16]) { put_date(day_to_gregorian(day), out); }

void date_jalali(int32_t day, char out[16]) { put_date(day_to_jalali(day), out); }

static const char *numbered(enum lang l, const char *group, int n) {
  char key[40];
  snprintf(key, sizeof key, "%s.%d", group, n);
  const char *text = word(l, key);
  return text == key ? "" : text;
}

const char *jalali_month(enum lang l, int month) { return numbered(l, "month.jalali", month); }

static char *local(struct arena *a, enum lang l, int width, int n) {
  char text[16];
  snprintf(text, sizeof text, "%0*d", width, n);
  return digits_local(a, l, text);
}

/* digits_local and word_fill answer NULL beyond the arena's cap; a NULL among the values becomes an empty one. */
static char *whole(struct arena *a, char *text) { return arena_overflowed(a) ? NULL : text; }

char *date_long(struct arena *a, enum lang l, int32_t day) {
  struct date d = l == LANG_FA ? day_to_jalali(day) : day_to_gregorian(day);
  const char *month = numbered(l, l == LANG_FA ? "month.jalali" : "month.gregorian", d.month);
  const char *weekday = numbered(l, "weekday", day_weekday(day));
  char *of_month = local(a, l, 1, d.day), *year = local(a, l, 1, d.year);
  return whole(a, word_fill(a, l, "date.long", "weekday", weekday, "day", of_month, "month", month, "year", year, NULL));
}

char *date_short(struct arena *a, enum lang l, int32_t day) {
  struct date d = l == LANG_FA ? day_to_jalali(day) : day_to_gregorian(day);
  const char *month = numbered(l, l == LANG_FA ? "month.jalali" : "month.short", d.month);
  char *plain = local(a, l, 1, d.day), *padded = local(a, l, 2, d.day), *month2 = local(a, l, 2, d.month), *year = local(a, l, 1, d.year);
  return whole(a, word_fill(a, l, "date.short", "day", plain, "day2", padded, "month", month, "month2", month2, "year", year, NULL));
}

char *datetime_short(struct arena *a, enum lang l, int64_t ms) {
  int32_t day = day_of(ms);
  int64_t of_day = floor_div(ms, 1000) + zone_offset(ms) / 1000;
  of_day -= floor_div(of_day, 86400) * 86400;
  char text[24];
  snprintf(text, sizeof text, "%02d:%02d", (int)(of_day / 3600), (int)(of_day / 60 % 60));
  return whole(a, word_fill(a, l, "date.with_time", "date", date_short(a, l, day), "time", digits_local(a, l, text), NULL));
}
