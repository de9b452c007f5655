#include "base/base.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t simulated;

static int64_t read_clock(clockid_t which)
{
  struct timespec t;
  clock_gettime(which, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_now(void)
{
  int64_t ms = atomic_load(&simulated);
  return ms ? ms : read_clock(CLOCK_REALTIME);
}

int64_t clock_mono(void)
{
  return read_clock(CLOCK_MONOTONIC);
}

void clock_set(int64_t ms)
{
  atomic_store(&simulated, ms);
}

/* Days since 1970-01-01 of a day of the Gregorian calendar, and back, counting years from March. */
static int64_t days_of(int64_t y, int m, int d)
{
  y -= m <= 2;
  int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
  int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719468;
}

static void date_of(int64_t days, int *y, int *m, int *d)
{
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
  int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t day = of_era - (365 * year + year / 4 - year / 100), month = (5 * day + 2) / 153;
  *d = (int)(day - (153 * month + 2) / 5 + 1);
  *m = (int)(month < 10 ? month + 3 : month - 9);
  *y = (int)(year + era * 400 + (*m <= 2));
}

static char *put(char *out, int value, int width, char after)
{
  for (int i = width; i-- > 0; value /= 10) out[i] = (char)('0' + value % 10);
  out[width] = after;
  return out + width + 1;
}

static void format(int64_t ms, char *out, bool fraction)
{
  const int64_t least = -62167219200000, most = 253402300799999; /* the years 0000 to 9999 */
  ms = ms < least ? least : ms > most ? most : ms;
  int64_t days = ms / 86400000, rest = ms % 86400000;
  if (rest < 0) days--, rest += 86400000;
  int y, m, d;
  date_of(days, &y, &m, &d);
  out = put(out, y, 4, '-');
  out = put(out, m, 2, '-');
  out = put(out, d, 2, 'T');
  out = put(out, (int)(rest / 3600000), 2, ':');
  out = put(out, (int)(rest / 60000 % 60), 2, ':');
  out = put(out, (int)(rest / 1000 % 60), 2, fraction ? '.' : 'Z');
  if (fraction) out = put(out, (int)(rest % 1000), 3, 'Z');
  *out = '\0';
}

void clock_rfc3339(int64_t ms, char out[32])
{
  format(ms, out, false);
}

void clock_rfc3339_ms(int64_t ms, char out[32])
{
  format(ms, out, true);
}

/* Exactly `width` digits, then `after` (0: anything). NULL when it is otherwise. */
static const char *get(const char *s, int width, char after, int *value)
{
  *value = 0;
  for (int i = 0; i < width; i++, s++) {
    if (*s < '0' || *s > '9') return NULL;
    *value = *value * 10 + (*s - '0');
  }
  if (!after) return s;
  return (*s & (after == 'T' ? ~0x20 : ~0)) == after ? s + 1 : NULL;
}

static const char *get_offset(const char *s, int *minutes)
{
  int h, m, sign = *s == '-' ? -1 : 1;
  *minutes = 0;
  if (*s == 'Z' || *s == 'z') return s + 1;
  if (*s != '+' && *s != '-') return NULL;
  if (!(s = get(s + 1, 2, ':', &h)) || !(s = get(s, 2, 0, &m)) || h > 23 || m > 59) return NULL;
  *minutes = sign * (h * 60 + m);
  return s;
}

int clock_parse(const char *s, int64_t *ms)
{
  static const char lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int y, mo, d, h, mi, sec, fraction = 0, offset;
  if (!s || !(s = get(s, 4, '-', &y)) || !(s = get(s, 2, '-', &mo)) || !(s = get(s, 2, 'T', &d))) return -1;
  if (!(s = get(s, 2, ':', &h)) || !(s = get(s, 2, ':', &mi)) || !(s = get(s, 2, 0, &sec))) return -1;
  if (*s == '.') {
    int scale = 100;
    if (*++s < '0' || *s > '9') return -1;
    for (; *s >= '0' && *s <= '9'; s++, scale /= 10) fraction += (*s - '0') * scale;
  }
  if (!(s = get_offset(s, &offset)) || *s) return -1;
  bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
  if (mo < 1 || mo > 12 || d < 1 || d > lengths[mo - 1] - (mo == 2 && !leap)) return -1;
  if (h > 23 || mi > 59 || sec > 60) return -1;
  int64_t minute = days_of(y, mo, d) * 1440 + h * 60 + mi - offset;
  if (sec == 60 && (minute % 1440 + 1440) % 1440 != 1439) return -1; /* a leap second ends a day of UTC */
  *ms = minute * 60000 + (int64_t)sec * 1000 + fraction;
  return 0;
}
