/* Calendars of working days: a weekly mask and a sorted array of days that differ, with running sums of their effect. */
#include "language/internal.h"

#include <stdlib.h>
#include <string.h>

struct special {
  int32_t day;
  int32_t sum;  /* effect on the number of working days of all specials up to this one: -1 closed, +1 opened */
  bool works;
  char *title[2];
};

struct calendar {
  char *code;
  struct special *specials; /* by day */
  size_t count, room;
  int32_t horizon;
  unsigned work_mask; /* bit (iso weekday - 1) */
  int per_week;
};

struct calendar *calendar_new(const char *code, unsigned weekend_mask) {
  struct calendar *c = base_alloc(sizeof *c);
  c->code = base_strdup(code ? code : "");
  c->work_mask = ~weekend_mask & 0x7F;
  c->per_week = __builtin_popcount(c->work_mask);
  c->horizon = INT32_MIN;
  return c;
}

struct calendar *calendar_copy(const struct calendar *c) {
  struct calendar *k = base_alloc(sizeof *k);
  *k = *c;
  k->code = base_strdup(c->code);
  k->room = c->count;
  k->specials = c->count ? base_alloc(c->count * sizeof *k->specials) : NULL;
  for (size_t i = 0; i < c->count; i++) {
    k->specials[i] = c->specials[i];
    for (int l = 0; l < 2; l++) k->specials[i].title[l] = base_strdup(c->specials[i].title[l]);
  }
  return k;
}

void calendar_free(struct calendar *c) {
  if (!c) return;
  for (size_t i = 0; i < c->count; i++) {
    free(c->specials[i].title[0]);
    free(c->specials[i].title[1]);
  }
  free(c->specials);
  free(c->code);
  free(c);
}

const char *calendar_code(const struct calendar *c) { return c->code; }

void calendar_set_horizon(struct calendar *c, int32_t last_known_day) { c->horizon = last_known_day; }

int32_t calendar_horizon(const struct calendar *c) { return c->horizon; }

bool calendar_provisional(const struct calendar *c, int32_t day) { return day > c->horizon; }

static bool works_weekly(const struct calendar *c, int32_t day) { return c->work_mask >> (day_weekday(day) - 1) & 1; }

/* How many specials lie at or before a day. */
static size_t specials_to(const struct calendar *c, int32_t day) {
  size_t lo = 0, hi = c->count;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    if (c->specials[mid].day <= day) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

static struct special *special_on(const struct calendar *c, int32_t day) {
  size_t n = specials_to(c, day);
  return n && c->specials[n - 1].day == day ? &c->specials[n - 1] : NULL;
}

/* The special of a day, made when there is none, with what it says about working. */
static struct special *set(struct calendar *c, int32_t day, bool works) {
  size_t n = specials_to(c, day);
  if (n == 0 || c->specials[n - 1].day != day) {
    if (c->count == c->room) {
      c->room = c->room ? c->room * 2 : 32;
      c->specials = base_realloc(c->specials, c->room * sizeof *c->specials);
    }
    memmove(&c->specials[n + 1], &c->specials[n], (c->count - n) * sizeof *c->specials);
    c->specials[n++] = (struct special){.day = day};
    c->count++;
  }
  c->specials[n - 1].works = works;
  for (size_t i = n - 1; i < c->count; i++) {
    struct special *s = &c->specials[i];
    s->sum = (i ? s[-1].sum : 0) + (int)s->works - (int)works_weekly(c, s->day);
  }
  return &c->specials[n - 1];
}

static void add_title(char **title, enum lang l, const char *more) {
  if (!more || !*more || (*title && strstr(*title, more))) return;
  char *joined = *title ? base_printf("%s%s%s", *title, word(l, "list.comma"), more) : base_strdup(more);
  free(*title);
  *title = joined;
}

void calendar_close(struct calendar *c, int32_t day, const char *title_fa, const char *title_en) {
  struct special *s = set(c, day, false);
  add_title(&s->title[LANG_FA], LANG_FA, title_fa);
  add_title(&s->title[LANG_EN], LANG_EN, title_en);
}

void calendar_open(struct calendar *c, int32_t day) {
  struct special *s = set(c, day, true);
  for (int l = 0; l < 2; l++) {
    free(s->title[l]);
    s->title[l] = NULL;
  }
}

bool calendar_works(const struct calendar *c, int32_t day) {
  const struct special *s = special_on(c, day);
  return s ? s->works : works_weekly(c, day);
}

const char *calendar_title(const struct calendar *c, enum lang l, int32_t day) {
  const struct special *s = special_on(c, day);
  if (!s || s->works) return NULL;
  return s->title[l == LANG_EN] ? s->title[l == LANG_EN] : s->title[l != LANG_EN];
}

/* Working days by the weekly mask alone in (0, day]; negative before. Weeks are counted from day 0, a Thursday. */
static int64_t weekly(const struct calendar *c, int64_t day) {
  int64_t weeks = floor_div(day, 7), sum = weeks * c->per_week;
  for (int64_t d = weeks * 7 + 1; d <= day; d++) sum += works_weekly(c, (int32_t)d);
  return sum;
}

/* The first day whose weekly count is n; only when some weekday works. */
static int64_t weekly_day(const struct calendar *c, int64_t n) {
  int64_t weeks = floor_div(n - 1, c->per_week), left = n - weeks * c->per_week; /* 1 … per_week */
  int64_t day = weeks * 7;
  while (left > 0) left -= works_weekly(c, (int32_t)(++day - weeks * 7));
  return day;
}

static int64_t sum_before(const struct calendar *c, size_t n) { return n ? c->specials[n - 1].sum : 0; }

/* Everything by the mask and the first n specials. */
static int64_t ordinal(const struct calendar *c, int64_t day, size_t n) {
  return weekly(c, day) + sum_before(c, n) - sum_before(c, specials_to(c, 0));
}

static int32_t clamp(int64_t v) { return v > INT32_MAX ? INT32_MAX : v < INT32_MIN + 1 ? INT32_MIN + 1 : (int32_t)v; }

int32_t calendar_ordinal(const struct calendar *c, int32_t day) { return clamp(ordinal(c, day, specials_to(c, day))); }

/* The first day whose ordinal is n: ordinals grow by one at working days only, so it is a working day. */
static int64_t find_day(const struct calendar *c, int64_t n) {
  size_t lo = 0, hi = c->count; /* how many specials have a smaller ordinal */
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    if (ordinal(c, c->specials[mid].day, mid + 1) < n) lo = mid + 1;
    else hi = mid;
  }
  int64_t next = lo < c->count ? c->specials[lo].day : (int64_t)INT32_MAX;
  if (c->per_week == 0) return lo < c->count && c->specials[lo].works && ordinal(c, next, lo + 1) == n ? next : INT32_MAX;
  int64_t day = weekly_day(c, n - sum_before(c, lo) + sum_before(c, specials_to(c, 0)));
  return day < next ? day : next;
}

int32_t calendar_day(const struct calendar *c, int32_t n) { return clamp(find_day(c, n)); }

int32_t calendar_add(const struct calendar *c, int32_t day, int n) {
  return clamp(find_day(c, ordinal(c, day, specials_to(c, day)) + n));
}
