/* What one event of a case adds to the sums: a function of the case's history up to it, and of nothing else. */
#include "observatory/inner.h"

#include <stdlib.h>
#include <string.h>

int64_t day_bucket(int64_t days) {
  if (days < 0) return 0;
  if (days <= 60) return days;
  return days >= 1000 ? 1000 : days / 10 * 10;
}

int32_t month_start(int32_t day) {
  struct date d = day_to_jalali(day);
  return day - (d.day - 1);
}

int32_t year_start(int32_t day) {
  int32_t first = day_from_jalali((struct date){day_to_jalali(day).year, 1, 1});
  return first == INT32_MIN ? month_start(day) : first;
}

void counts_add(json_t *counts, const char *name, int64_t n) {
  json_t *v = json_object_get(counts, name);
  if (v) json_integer_set(v, json_integer_value(v) + n);
  else json_object_set_new_nocheck(counts, name, json_integer(n));
}

void counts_read(json_t *counts, const char *text) {
  char name[160];
  while (text && *text) {
    size_t n = strcspn(text, "=");
    if (text[n] != '=') return;
    char *end;
    int64_t v = strtoll(text + n + 1, &end, 10);
    if (n < sizeof name) {
      memcpy(name, text, n);
      name[n] = 0;
      counts_add(counts, name, v);
    }
    text = *end == ';' ? end + 1 : end;
  }
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

char *counts_write(const json_t *counts) {
  size_t n = json_object_size(counts), i = 0;
  const char **names = base_alloc((n + 1) * sizeof *names), *name;
  json_t *v;
  struct buf b = {0};
  json_object_foreach((json_t *)counts, name, v) names[i++] = name;
  qsort(names, n, sizeof *names, by_name);
  for (i = 0; i < n; i++) {
    int64_t value = json_integer_value(json_object_get(counts, names[i]));
    if (value) buf_addf(&b, "%s%s=%lld", b.len ? ";" : "", names[i], (long long)value);
  }
  free(names);
  return buf_take(&b);
}

/* ---- where it is added ---- */

struct adding {
  const struct case_facts *f;
  const struct case_step *s;
  json_t *sums;
  int32_t day;
};

static void add_span(const struct adding *k, enum sum_span span, const char *organisation, const char *unit, const char *name, int64_t n) {
  char key[400];
  bool office = span == SUM_OFFICE_MONTH || span == SUM_OFFICE_YEAR; /* whatever the service and the place */
  int32_t start = span == SUM_OFFICE_YEAR ? year_start(k->day) : span % 2 == 0 ? month_start(k->day) : k->day;
  snprintf(key, sizeof key, "%d\t%d\t%s\t%s\t%s\t%s", span, start, organisation, unit, office ? "" : k->f->service, office ? "" : k->f->place);
  json_t *counts = json_object_get(k->sums, key);
  if (!counts) {
    counts = json_object();
    json_object_set_new_nocheck(k->sums, key, counts);
  }
  counts_add(counts, name, n);
}

/* What organisations are not compared by: states, reasons, channels, single scores. */
static bool detail(const char *name) { return base_starts(name, "s.") || base_starts(name, "why.") || base_starts(name, "i.") || base_starts(name, "rate."); }

static void add_to(const struct adding *k, const char *organisation, const char *name, int64_t n) {
  add_span(k, SUM_DAY, organisation, "", name, n);
  add_span(k, SUM_MONTH, organisation, "", name, n);
  add_span(k, SUM_PROVINCE_DAY, "", "", name, n);
  add_span(k, SUM_PROVINCE_MONTH, "", "", name, n);
  if (detail(name)) return;
  add_span(k, SUM_OFFICE_MONTH, organisation, "", name, n);
  add_span(k, SUM_OFFICE_YEAR, organisation, "", name, n);
}

static void add(const struct adding *k, const char *name, int64_t n) { add_to(k, k->s->holder_before, name, n); }

/* Of a member of staff; "" stands for the rule of silence. */
static void add_staff(const struct adding *k, const char *name, int64_t n) {
  add_span(k, SUM_STAFF_DAY, k->s->holder_before, k->s->who, name, n);
  add_span(k, SUM_STAFF_MONTH, k->s->holder_before, k->s->who, name, n);
}

static void BASE_PRINTF(2, 3) add_named(const struct adding *k, const char *format, ...) {
  char name[160];
  va_list list;
  va_start(list, format);
  vsnprintf(name, sizeof name, format, list);
  va_end(list);
  add(k, name, 1);
}

/* ---- decisions ---- */

/* 'a' approved, 'r' refused, 0 no decision. */
static char verdict(const struct case_step *s) {
  if (s->kind == ACT_APPROVE) return 'a';
  if (s->kind == ACT_REJECT) return 'r';
  if (s->before != RESULT_OPEN) return 0;
  return s->after == RESULT_APPROVED ? 'a' : s->after == RESULT_REJECTED ? 'r' : 0;
}

static void decided(const struct adding *k, size_t step) {
  const struct case_facts *f = k->f;
  const struct case_step *s = k->s;
  char now = verdict(s), before = 0, name[160];
  bool asked = false, appeal = false;
  for (size_t i = 0; i < step; i++) {
    const struct case_step *e = &f->steps[i];
    char v = verdict(e);
    if (e->kind == ACT_REQUEST_INFO && !before) asked = true;
    if (v && appeal) return; /* not the first after the appeal */
    if (v) before = v;
    if (e->kind == ACT_APPEAL) appeal = true;
  }
  if (before && !appeal) return; /* the second signature, or what follows from the decision */
  int64_t days = day_bucket(s->ord - f->submitted_ord);
  add_staff(k, "decided", 1);
  if (s->legal_ord != CASE_NO_LIMIT && s->ord > s->legal_ord) add_staff(k, "late", 1);
  if (appeal) {
    add(k, "appeal_done", 1);
    if (now != before) add(k, "appeal_upheld", 1);
    return;
  }
  snprintf(name, sizeof name, "t.%lld", (long long)days);
  add_staff(k, name, 1);
  add_staff(k, now == 'a' ? "granted" : "refused", 1);
  add(k, now == 'a' ? "granted" : "refused", 1);
  snprintf(name, sizeof name, "x.%lld.%s.%c.%c.%d.%lld", (long long)f->version, intake_text(f->intake), f->setting ? f->setting : '-', now, asked, (long long)days);
  add_staff(k, name, 1);
}

static void closed(const struct adding *k, size_t step) {
  const struct case_step *s = k->s;
  bool again = false, judged = s->after != RESULT_WITHDRAWN;
  for (size_t i = 0; i < step; i++) again = again || (k->f->steps[i].before == RESULT_OPEN && k->f->steps[i].after != RESULT_OPEN);
  add(k, "closed", 1);
  add_named(k, "r.%s", result_text(s->after));
  if (!again) add_named(k, "t.%lld", (long long)day_bucket(s->ord - k->f->submitted_ord));
  if (judged && s->norm_ord != CASE_NO_LIMIT) {
    add(k, "norm_of", 1);
    if (s->ord <= s->norm_ord) add(k, "norm_in", 1);
  }
  if (judged && s->legal_ord != CASE_NO_LIMIT) {
    add(k, "legal_of", 1);
    if (s->ord <= s->legal_ord) add(k, "legal_in", 1);
    else add(k, "late_days", s->ord - s->legal_ord);
  }
}

/* ---- what another organisation is asked ---- */

static void inquiry(const struct adding *k) {
  const struct case_step *s = k->s;
  if (s->seq == 1) add(k, "q_asked", 1);
  if (strcmp(s->action, "escalate") == 0) add(k, "q_late", 1);
  if (strcmp(s->action, "silence") == 0) add(k, "q_silent", 1);
  if (strcmp(s->action, "reply") == 0) {
    add(k, "q_answered", 1);
    add_named(k, "q.%lld", (long long)day_bucket(s->ord - k->f->submitted_ord));
  }
}

static bool waits(const struct case_facts *f, const char *state) {
  int i = f->def ? service_state(f->def, state) : -1;
  return i >= 0 && f->def->states[i].citizen;
}

static void acted(const struct adding *k, size_t step) {
  const struct case_facts *f = k->f;
  const struct case_step *s = k->s;
  static const struct { enum action_kind kind; const char *name; } kinds[] = {
    {ACT_REQUEST_INFO, "asked_info"}, {ACT_SUSPEND, "suspended"}, {ACT_EXTEND, "extended"}, {ACT_APPEAL, "appealed"}, {ACT_INQUIRE, "inquired"}};
  for (size_t i = 0; i < BASE_COUNT(kinds); i++) {
    if (s->kind != kinds[i].kind) continue;
    add(k, kinds[i].name, 1);
    if (i == 0) add_staff(k, kinds[i].name, 1);
  }
  if (s->who[0]) add_staff(k, "acts", 1);
  if (strcmp(s->action, "escalate") == 0) add(k, "escalated", 1);
  if (strcmp(s->action, "rate") == 0) {
    add(k, "rated", 1);
    add(k, "rate_sum", s->score);
    add_named(k, "rate.%d", s->score);
  }
  if (s->kind == ACT_REJECT) add_named(k, "why.%s", s->reason[0] ? s->reason : "-");
  if (strcmp(s->from, s->to) != 0) {
    add_named(k, "s.%s.%lld", s->from, (long long)day_bucket(s->ord - s->state_ord));
    if (waits(f, s->to) && !waits(f, s->from)) add(k, "stopped", 1);
  }
  if (verdict(s)) decided(k, step);
  if (s->before == RESULT_OPEN && s->after != RESULT_OPEN) closed(k, step);
  if (s->before != RESULT_OPEN && s->after == RESULT_OPEN) add(k, "reopened", 1);
  if (strcmp(s->holder_before, s->holder) != 0 && s->after == RESULT_OPEN) {
    add_to(k, s->holder_before, "moved_out", 1);
    add_to(k, s->holder, "moved_in", 1);
  }
}

void observatory_contribute(const struct case_facts *f, size_t step, json_t *sums) {
  struct adding k = {.f = f, .s = &f->steps[step], .sums = sums};
  k.day = day_of(k.s->at);
  if (strcmp(k.s->action, "erase") == 0) return;
  if (f->inquiry) return inquiry(&k);
  if (k.s->seq > 1) return acted(&k, step);
  add(&k, "arrived", 1);
  add_named(&k, "i.%s", intake_text(f->intake));
}
