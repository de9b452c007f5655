#include "observatory/inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int observatory_open(struct store *s, struct cases *c, struct identity *i, const char *node, struct observatory **out, struct err *err) {
  struct observatory *o = base_alloc(sizeof *o);
  o->store = s;
  o->cases = c;
  o->identity = i;
  snprintf(o->node, sizeof o->node, "%s", node);
  *out = o;
  return 0;
}

void observatory_close(struct observatory *o) { free(o); }

/* ---- who may see what ---- */

enum observe observatory_right(const struct actor *who, const char *organisation) {
  enum observe most = OBSERVE_NOTHING;
  if (who->kind != ACTOR_STAFF) return OBSERVE_NOTHING;
  for (unsigned i = 0; i < who->role_count; i++) {
    int role = who->roles[i].role;
    enum observe here = OBSERVE_NOTHING;
    if (role == STAFF_OPERATOR || role == STAFF_AUDITOR) here = OBSERVE_PROVINCE;
    else if (organisation && strcmp(who->roles[i].organisation, organisation) == 0)
      here = role == STAFF_SUPERVISOR || role == STAFF_MANAGER ? OBSERVE_OFFICE : role == STAFF_OFFICER ? OBSERVE_SELF : OBSERVE_NOTHING;
    if (here > most) most = here;
  }
  return most;
}

/* ---- periods ---- */

static int32_t jalali(int year, int month) {
  while (month > 12) {
    month -= 12;
    year++;
  }
  while (month < 1) {
    month += 12;
    year--;
  }
  return day_from_jalali((struct date){year, month, 1});
}

static struct period months(enum span span, int year, int month, int n) {
  return (struct period){span, jalali(year, month), jalali(year, month + n) - 1};
}

static int32_t week_start(int32_t day) { return day - (day_weekday(day) + 1) % 7; } /* Saturday is 6 */

static int parse_own(const char *text, struct period *out) {
  char from[24] = "", to[24] = "";
  const char *dots = strstr(text, "..");
  if (!dots || (size_t)(dots - text) >= sizeof from || strlen(dots + 2) >= sizeof to) return -1;
  memcpy(from, text, (size_t)(dots - text));
  snprintf(to, sizeof to, "%s", dots + 2);
  *out = (struct period){SPAN_OWN, date_parse(from), date_parse(to)};
  return out->from == INT32_MIN || out->to == INT32_MIN || out->to < out->from || out->to - out->from > 3660 ? -1 : 0;
}

int period_parse(const char *text, int32_t today, struct period *out, struct err *err) {
  struct arena *a = arena_new(4096);
  int year = 0, n = 0, used = 0, rc = -1;
  struct date now = day_to_jalali(today);
  const char *t = text && text[0] ? digits_ascii(a, text) : NULL;
  int32_t day;
  if (text && text[0] && (!t || strlen(t) > 48)) goto out;
  if (!t) {
    *out = months(SPAN_MONTH, now.year, now.month, 1);
    rc = 0;
  } else if (base_starts(t, "week:")) {
    day = date_parse(t + 5);
    if (day == INT32_MIN) goto out;
    *out = (struct period){SPAN_WEEK, week_start(day), week_start(day) + 6};
    rc = 0;
  } else if (strstr(t, "..")) rc = parse_own(t, out);
  else if (sscanf(t, "%4d-q%1d%n", &year, &n, &used) == 2 && !t[used] && n >= 1 && n <= 4) {
    *out = months(SPAN_QUARTER, year, 3 * n - 2, 3);
    rc = 0;
  } else if (sscanf(t, "%4d-%2d%n", &year, &n, &used) == 2 && !t[used] && n >= 1 && n <= 12) {
    *out = months(SPAN_MONTH, year, n, 1);
    rc = 0;
  } else if (sscanf(t, "%4d%n", &year, &used) == 1 && !t[used]) {
    *out = months(SPAN_YEAR, year, 1, 12);
    rc = 0;
  }
  if (rc == 0 && out->span != SPAN_WEEK && out->span != SPAN_OWN && (year ? year < 1380 || year > 1480 : false)) rc = -1;
out:
  arena_free(a);
  return rc ? err_set(err, ERR_INVALID, "a period is 1405-08, 1405-q3, 1405, week:DATE or DATE..DATE") : 0;
}

struct period period_move(struct period p, int by) {
  struct date d = day_to_jalali(p.from);
  int32_t length = p.to - p.from + 1;
  switch (p.span) {
  case SPAN_MONTH: return months(p.span, d.year, d.month + by, 1);
  case SPAN_QUARTER: return months(p.span, d.year, d.month + 3 * by, 3);
  case SPAN_YEAR: return months(p.span, d.year + by, 1, 12);
  default: return (struct period){p.span, p.from + by * length, p.to + by * length};
  }
}

void period_text(struct period p, char out[32]) {
  struct date d = day_to_jalali(p.from);
  char from[16], to[16];
  date_jalali(p.from, from);
  date_jalali(p.to, to);
  switch (p.span) {
  case SPAN_WEEK: snprintf(out, 32, "week:%s", from); break;
  case SPAN_MONTH: snprintf(out, 32, "%04d-%02d", d.year, d.month); break;
  case SPAN_QUARTER: snprintf(out, 32, "%04d-q%d", d.year, (d.month + 2) / 3); break;
  case SPAN_YEAR: snprintf(out, 32, "%04d", d.year); break;
  default: snprintf(out, 32, "%.10s..%.10s", from, to);
  }
}

char *period_name(struct arena *a, enum lang l, struct period p) {
  struct date d = day_to_jalali(p.from);
  char year[16], quarter[32];
  snprintf(year, sizeof year, "%d", d.year);
  snprintf(quarter, sizeof quarter, "observatory.quarter_%d", (d.month + 2) / 3);
  const char *local = digits_local(a, l, year);
  if (p.span == SPAN_MONTH) return arena_printf(a, "%s %s", jalali_month(l, d.month), local);
  if (p.span == SPAN_YEAR) return word_fill(a, l, "observatory.year", "year", local, NULL);
  if (p.span == SPAN_QUARTER) return arena_printf(a, "%s %s", word(l, quarter), local);
  return word_fill(a, l, p.span == SPAN_WEEK ? "observatory.week" : "observatory.from_to", "from", date_short(a, l, p.from), "to", date_short(a, l, p.to), NULL);
}
