/* Working days: deadlines over weekends and holidays, clocks that stop, closures declared later. June 2026: the weekend of the official
 * calendar is Thursday and Friday, that of the crews Friday; 15 and 16 (Monday, Tuesday) are holidays. */
#include "cases-kit.h"

static void close_day(struct kit *k, const char *calendar, const char *iso, bool closed) {
  must(cases_calendar_close(k->cases, &k->manager, calendar, kit_day(iso), "بسته", "Closed", closed, err));
}

static void deadlines_pass_over_weekend_and_holidays(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  norm_is(k, t, "2026-06-13");
  legal_is(k, t, "2026-06-22");
  state_legal_is(k, t, "2026-06-13");
  check_is(k, t, "2026-06-13");
  json_t *o = kit_get(k, &k->ali, t);
  assert_string_equal(json_str(json_object_get(o, "due"), "norm"), "2026-06-13");
  assert_string_equal(json_str(json_object_get(o, "due"), "legal"), "2026-06-22");
  assert_int_equal(json_int(json_object_get(o, "clock"), "days_left", -1), 10);
  json_decref(o);
}

static void filed_on_a_closed_day_counts_from_the_next(void **state) {
  struct kit *k = *state;
  kit_now("2026-06-15");
  const char *holiday = kit_permit(k, &k->ali, "person");
  norm_is(k, holiday, "2026-06-23");
  legal_is(k, holiday, "2026-06-30");
  kit_now("2026-06-12");
  struct actor other = kit_person(k, 5);
  const char *friday = kit_permit(k, &other, "person");
  norm_is(k, friday, "2026-06-21"); /* 13 14 17 20 21 */
  clock_set(day_start(kit_day("2026-06-07")) - 1); /* the last moment of the sixth */
  other = kit_person(k, 6);
  norm_is(k, kit_permit(k, &other, "person"), "2026-06-13");
  clock_set(day_start(kit_day("2026-06-07")));
  other = kit_person(k, 7);
  norm_is(k, kit_permit(k, &other, "person"), "2026-06-14");
}

static void waiting_stops_the_clock_and_stops_add_up(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  kit_now("2026-06-08");
  acts(kit_act(k, t, &k->officer, "request_info", "why"));
  json_t *o = kit_get(k, &k->officer, t);
  assert_true(json_flag(json_object_get(o, "clock"), "stopped", false));
  assert_int_equal(json_int(json_object_get(o, "clock"), "days_left", -1), 8);
  json_decref(o);
  kit_now("2026-06-11"); /* a weekend's day: 9 and 10 have passed */
  acts(kit_acts(k->cases, t, &k->ali, "provide_info", NULL, "{\"answer\":\"here\"}", -1, NULL, NULL));
  struct case_row r = kit_row(k, t);
  assert_int_equal(r.stopped_days, 2);
  assert_int_equal(r.stopped_ord, -1);
  assert_string_equal(r.state, "submitted");
  legal_is(k, t, "2026-06-24");
  norm_is(k, t, "2026-06-17");
  kit_now("2026-06-13");
  acts(kit_act(k, t, &k->officer, "suspend", "why"));
  kit_now("2026-06-14");
  acts(kit_act(k, t, &k->officer, "request_info", "why")); /* from one waiting into another: one stop */
  kit_now("2026-06-17");
  acts(kit_acts(k->cases, t, &k->ali, "provide_info", NULL, "{\"answer\":\"here\"}", -1, NULL, NULL));
  r = kit_row(k, t);
  assert_string_equal(r.state, "submitted");
  assert_int_equal(r.stopped_days, 4);
  legal_is(k, t, "2026-06-28");
}

static void a_used_up_suspension_ends_by_itself(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  acts(kit_act(k, t, &k->officer, "suspend", "why"));
  check_is(k, t, "2026-06-14"); /* six days: 7 8 9 10 13 14 */
  kit_until(k, "2026-06-14");
  state_is(k, t, "suspended");
  kit_until(k, "2026-06-17"); /* 15 and 16 are holidays */
  struct case_row r = kit_row(k, t);
  assert_string_equal(r.state, "submitted");
  assert_int_equal(r.stopped_days, 6); /* never more than the service allows, whenever the job came */
  legal_is(k, t, "2026-06-30");         /* 22 and six more: 23 24 27 28 29 30 */
  assert_int_equal(kit_events(k, t, "resume"), 1);
  denied(kit_act(k, t, &k->officer, "suspend", "why"), ERR_CONFLICT);
  /* A question may still be asked; the office goes on with what it has on the next working day. */
  acts(kit_act(k, t, &k->officer, "request_info", "why"));
  kit_until(k, "2026-06-20");
  state_is(k, t, "submitted");
  assert_int_equal(kit_row(k, t).stopped_days, 6);
  legal_is(k, t, "2026-06-30");
  kit_verified(k);
}

static void a_late_job_gives_no_more_than_the_limit(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  acts(kit_act(k, t, &k->officer, "suspend", "why"));
  kit_now("2026-06-28"); /* nobody ran for two weeks */
  kit_jobs(k);
  assert_int_equal(kit_row(k, t).stopped_days, 6);
  legal_is(k, t, "2026-06-30");
}

static void suspended_without_stopping_the_clock_finds_its_way_back(void **state) {
  struct kit *k = *state;
  const char *t = kit_tacit(k, &k->ali, "چیز");
  legal_is(k, t, "2026-06-08");
  acts(kit_act(k, t, &k->officer, "suspend", "why"));
  kit_now("2026-06-07");
  acts(kit_act(k, t, &k->officer, "resume", NULL));
  state_is(k, t, "filed");
  assert_int_equal(kit_row(k, t).stopped_days, 0);
  legal_is(k, t, "2026-06-08");
}

static void extended_once(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  denied(kit_act(k, t, &k->officer, "extend", "why"), ERR_FORBIDDEN);
  denied(kit_act(k, t, &k->supervisor, "extend", NULL), ERR_INVALID);
  acts(kit_act(k, t, &k->supervisor, "extend", "why"));
  legal_is(k, t, "2026-06-29");
  state_legal_is(k, t, "2026-06-22");
  check_is(k, t, "2026-06-22");
  denied(kit_act(k, t, &k->supervisor, "extend", "why"), ERR_CONFLICT);
}

static void appeal_has_its_time_and_its_clock(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person"), *late;
  struct actor other = kit_person(k, 5);
  late = kit_permit(k, &other, "person");
  acts(kit_act(k, t, &k->officer, "reject", "why"));
  acts(kit_act(k, late, &k->officer, "reject", "why"));
  kit_now("2026-06-22"); /* the tenth working day */
  acts(kit_act(k, t, &k->ali, "appeal", NULL));
  struct case_row r = kit_row(k, t);
  assert_int_equal(r.norm_ord, NO_ORD);
  assert_int_equal(r.closed_at, 0);
  legal_is(k, t, "2026-07-13"); /* fifteen: 23 24 27 28 29 30 1 4 5 6 7 8 11 12 13 */
  kit_now("2026-06-23");
  denied(kit_act(k, late, &other, "appeal", NULL), ERR_CONFLICT);
  /* Refused again: the time to appeal begins again. */
  kit_now("2026-07-04");
  acts(kit_act(k, t, &k->manager, "reject", "why"));
  kit_now("2026-07-06");
  acts(kit_act(k, t, &k->ali, "appeal", NULL));
}

static void reopened_begins_anew(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  acts(kit_act(k, t, &k->supervisor, "extend", "why"));
  acts(kit_act(k, t, &k->officer, "reject", "why"));
  kit_now("2026-06-20");
  acts(kit_act(k, t, &k->supervisor, "reopen", NULL));
  norm_is(k, t, "2026-06-27");
  legal_is(k, t, "2026-07-04");
  state_legal_is(k, t, "2026-06-27");
  struct case_row r = kit_row(k, t);
  assert_int_equal(r.closed_at, 0);
  assert_int_equal(r.result, RESULT_OPEN);
}

/* ---- closures declared later ---- */

static int64_t sum_of_rows(struct kit *k) {
  return kit_value(k, "SELECT SUM(norm_ord%1000000)+SUM(legal_ord%1000000)+SUM(state_legal_ord%1000000)+SUM(next_ord%1000000)+SUM(version) FROM cases "
                      "WHERE tracking<>?1", "");
}

#define LEAVES "SELECT (SELECT COUNT(*) FROM ledger_leaf WHERE header<>?1)+(SELECT COUNT(*) FROM ledger_pending)"

static void a_closure_ahead_moves_open_deadlines_alone(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person"), *before;
  char *body, etag[80], etag2[80];
  size_t n;
  int64_t sum = sum_of_rows(k), leaves;
  must(cases_public(k->cases, t, LANG_EN, &body, &n, etag, err));
  free(body);
  leaves = kit_value(k, LEAVES, "");
  close_day(k, "official", "2026-06-09", true);
  assert_int_equal(sum_of_rows(k), sum);
  assert_int_equal(kit_value(k, LEAVES, ""), leaves + 2); /* the closure, and the act of declaring it */
  norm_is(k, t, "2026-06-14");
  legal_is(k, t, "2026-06-23");
  must(cases_public(k->cases, t, LANG_EN, &body, &n, etag2, err));
  assert_non_null(strstr(body, "2026-06-23"));
  free(body);
  assert_string_not_equal(etag, etag2);
  /* Taken back: the deadlines return, and no reader is told that nothing changed. */
  close_day(k, "official", "2026-06-09", false);
  norm_is(k, t, "2026-06-13");
  legal_is(k, t, "2026-06-22");
  must(cases_public(k->cases, t, LANG_EN, &body, &n, etag, err));
  free(body);
  assert_string_not_equal(etag, etag2);
  /* A weekend's day that is worked. */
  close_day(k, "official", "2026-06-11", false);
  norm_is(k, t, "2026-06-11");
  legal_is(k, t, "2026-06-21");
  before = kit_repair(k, &k->ali, "9901012001000001");
  assert_string_equal(kit_row(k, before).calendar, "official");
  kit_verified(k);
}

/* What is kept for the next look may come too early, never too late: whoever looks reckons again. */
static void looks_agree(struct kit *k, const char *t) {
  struct case_row r = kit_row(k, t);
  int64_t kept = r.next_ord;
  case_next_check(k->cases, &r);
  if (kept > r.next_ord) fail_msg("the next look at %s stands at %lld, later than %lld", t, (long long)kept, (long long)r.next_ord);
}

static void a_closure_of_the_past_moves_only_what_began_before(void **state) {
  struct kit *k = *state;
  struct actor p[8];
  for (unsigned i = 0; i < 8; i++) p[i] = kit_person(k, 20 + i);
  const char *old = kit_permit(k, &p[0], "person");                       /* begun on the sixth */
  const char *old_state = kit_permit(k, &p[1], "person");                 /* its state began after the day */
  const char *stopped_before = kit_permit(k, &p[2], "person"), *stopped_after = kit_permit(k, &p[3], "person");
  const char *appealed = kit_permit(k, &p[5], "person");
  kit_now("2026-06-07");
  acts(kit_act(k, stopped_before, &k->officer, "suspend", "why"));
  acts(kit_act(k, appealed, &k->officer, "reject", "why"));
  kit_now("2026-06-09");
  acts(kit_act(k, old_state, &k->officer, "inquire", NULL));
  acts(kit_act(k, stopped_after, &k->officer, "suspend", "why"));
  acts(kit_act(k, appealed, &p[5], "appeal", NULL));
  const char *young = kit_permit(k, &p[4], "person");
  kit_now("2026-06-10");
  legal_is(k, young, "2026-06-27");     /* 10 13 14 17 20 21 22 23 24 27 */
  legal_is(k, appealed, "2026-07-04");  /* fifteen: 10 13 14 17 20 21 22 23 24 27 28 29 30 1 4 */
  close_day(k, "official", "2026-06-08", true);
  legal_is(k, old, "2026-06-23");       /* a day longer: it fell into its time */
  norm_is(k, old, "2026-06-14");
  state_legal_is(k, old, "2026-06-14");
  check_is(k, old, "2026-06-14");
  legal_is(k, young, "2026-06-27");     /* begun after it: as told */
  norm_is(k, young, "2026-06-20");
  state_legal_is(k, young, "2026-06-20");
  legal_is(k, old_state, "2026-06-23");
  state_legal_is(k, old_state, "2026-06-23"); /* eight from the ninth: 10 13 14 17 20 21 22 23 */
  legal_is(k, appealed, "2026-07-04");
  state_legal_is(k, appealed, "2026-07-04");
  /* Suspensions: the first saw the eighth as a working day that it no longer was. */
  kit_now("2026-06-13");
  acts(kit_act(k, stopped_before, &k->officer, "resume", NULL));
  acts(kit_act(k, stopped_after, &k->officer, "resume", NULL));
  assert_int_equal(kit_row(k, stopped_before).stopped_days, 3); /* 9 10 13 */
  assert_int_equal(kit_row(k, stopped_after).stopped_days, 2);  /* 10 13 */
  legal_is(k, stopped_before, "2026-06-28"); /* begun 6: 7 | 14 17 20 21 22 23 24 27 28 */
  const char *all[] = {old, old_state, stopped_before, stopped_after, young, appealed};
  for (size_t i = 0; i < BASE_COUNT(all); i++) looks_agree(k, all[i]);
  /* Taken back: as it was at first. */
  close_day(k, "official", "2026-06-08", false);
  legal_is(k, old, "2026-06-22");
  legal_is(k, young, "2026-06-27");
  legal_is(k, appealed, "2026-07-04");
  state_legal_is(k, old_state, "2026-06-23");
  for (size_t i = 0; i < BASE_COUNT(all); i++) looks_agree(k, all[i]);
  kit_verified(k);
}

static void escalation_after_a_closure_comes_on_its_day(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  kit_now("2026-06-07");
  acts(kit_act(k, t, &k->officer, "approve", NULL)); /* confirming: three days, 8 9 10; told after */
  kit_until(k, "2026-06-13");
  assert_int_equal(kit_events(k, t, "escalate"), 1);
  check_is(k, t, "2026-06-17"); /* three more: 13 14 17 */
  close_day(k, "official", "2026-06-07", true); /* the state began on a day that was closed: its days are the same */
  state_legal_is(k, t, "2026-06-10");
  kit_until(k, "2026-06-17");
  assert_int_equal(kit_events(k, t, "escalate"), 1);
  kit_until(k, "2026-06-20");
  assert_int_equal(kit_events(k, t, "escalate"), 2);
  kit_verified(k);
}

static void an_opening_of_the_past_never_delays_the_earlier_clock(void **state) {
  struct kit *k = *state;
  kit_now("2026-06-10");
  const char *t = kit_permit(k, &k->ali, "person"); /* legal: 13 14 17 20 21 22 23 24 27 28 */
  kit_now("2026-06-13");
  acts(kit_act(k, t, &k->officer, "inquire", NULL)); /* eight: 14 17 20 21 22 23 24 27 */
  kit_now("2026-06-14");
  close_day(k, "official", "2026-06-12", false); /* Friday was worked: the case's clock ends a day sooner */
  legal_is(k, t, "2026-06-27");
  state_legal_is(k, t, "2026-06-27");
  looks_agree(k, t);
  kit_until(k, "2026-06-27");
  assert_int_equal(kit_events(k, t, "escalate"), 0);
  kit_until(k, "2026-06-28");
  assert_int_equal(kit_events(k, t, "escalate"), 1);
}

static void a_clock_behind_another_is_heard_all_the_same(void **state) {
  struct kit *k = *state;
  struct cases *two = kit_node(k, "two");
  close_day(k, "official", "2026-06-09", true);
  kit_later(-5000); /* the other node's clock */
  must(cases_calendar_close(two, &k->manager, "official", kit_day("2026-06-10"), NULL, NULL, true, err));
  kit_later(20000);
  const char *t = kit_permit(k, &k->ali, "person");
  kit_jobs(k); /* loads what others declared */
  norm_is(k, t, "2026-06-17"); /* 7 8 13 14 17 */
  struct case_row r = kit_row(k, t);
  assert_int_equal(case_due_day(two, &r, r.norm_ord), kit_day("2026-06-17"));
  kit_jobs_of(two);
  assert_int_equal(case_due_day(two, &r, r.norm_ord), kit_day("2026-06-17"));
  cases_close(two);
}

static void beyond_the_horizon_is_provisional(void **state) {
  struct kit *k = *state;
  json_t *o;
  must(cases_calendar(k->cases, "official", &o, err));
  char last[16];
  snprintf(last, sizeof last, "%s", json_str(o, "horizon"));
  json_decref(o);
  clock_set(day_start(kit_day(last) - 20) + 1000);
  const char *t = kit_permit(k, &k->ali, "person");
  o = kit_get(k, &k->ali, t);
  assert_false(json_flag(json_object_get(o, "due"), "provisional", false));
  json_decref(o);
  clock_set(day_start(kit_day(last) - 3) + 1000);
  struct actor other = kit_person(k, 5);
  t = kit_permit(k, &other, "person");
  o = kit_get(k, &other, t);
  assert_true(json_flag(json_object_get(o, "due"), "provisional", false));
  json_decref(o);
  char *body, etag[80];
  size_t n;
  must(cases_public(k->cases, t, LANG_EN, &body, &n, etag, err));
  assert_non_null(strstr(body, "\"provisional\":true"));
  free(body);
}

static void each_organisation_has_its_calendar(void **state) {
  struct kit *k = *state;
  kit_now("2026-06-09");
  /* The crew is the fallback's provider; the owner is the village's dehyari under the official calendar. */
  const char *t = kit_repair(k, &k->ali, "9901012001000001");
  legal_is(k, t, "2026-06-14"); /* 10 13 14 */
  close_day(k, "crews", "2026-06-10", true);
  legal_is(k, t, "2026-06-14");
  struct case_row r = kit_row(k, t);
  r.calendar = "crews";
  int64_t ord = case_ord(k->cases, &r, clock_now()) + 3;
  kit_is_day(k, &r, ord, "2026-06-14", "three days of a crew"); /* 11 (a Thursday) 13 14; the tenth is closed */
  refused(cases_calendar_close(k->cases, &k->manager, "nobody", kit_day("2026-06-10"), NULL, NULL, true, err), ERR_NOT_FOUND);
  refused(cases_calendar_close(k->cases, &k->manager, "crews", kit_day("2026-05-09"), NULL, NULL, true, err), ERR_INVALID);
  must(cases_calendar_close(k->cases, &k->manager, "crews", kit_day("2026-05-10"), NULL, NULL, true, err));
}

/* ---- an escalation is made beside the writer ---- */

static atomic_bool opened;
static atomic_int standing;

static int stand(struct store_tx *tx, void *arg, struct err *err) {
  standing++;
  while (!opened) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  return 0;
}

static void *runs_due(void *arg) {
  struct kit *k = arg;
  int64_t done = 0;
  must(case_due_run(k->cases, false, &done, err));
  return NULL;
}

struct late { struct kit *k; const char *tracking; };

static void *approves(void *arg) {
  const struct late *l = arg;
  acts(kit_act(l->k, l->tracking, &l->k->officer, "approve", NULL));
  return NULL;
}

static int64_t waits_for(struct kit *k, int writers, int64_t front, int64_t jobs) {
  struct store_stats s;
  do {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    store_stats(k->store, &s);
  } while (standing < writers || s.queued_front < front || s.queued_jobs < jobs);
  return s.queued_front;
}

/* The writers stand still while it is made; who decides then comes before it is written: it is judged anew, and nobody is told. */
static void who_decides_before_an_escalation_is_written_is_heard(void **state) {
  struct kit *k = *state;
  struct actor p = kit_person(k, 5);
  const char *t = kit_permit(k, &k->ali, "person"), *other = kit_permit(k, &p, "person");
  kit_now("2026-06-14"); /* the first state had until the thirteenth */
  opened = false;
  standing = 0;
  for (int i = 0; i < 128; i++) must(store_submit(k->store, STORE_FRONT, stand, NULL, NULL, err)); /* of every writer */
  struct late l = {k, t};
  pthread_t due, act;
  int writers = kit_postgres ? 4 : 1;
  int64_t queued = waits_for(k, writers, 0, 0); /* those that no writer has taken: from now on only others come */
  pthread_create(&due, NULL, runs_due, k);
  waits_for(k, writers, queued, 2);
  pthread_create(&act, NULL, approves, &l);
  waits_for(k, writers, queued + 1, 2);
  opened = true;
  pthread_join(due, NULL);
  pthread_join(act, NULL);
  assert_int_equal(kit_events(k, t, "approve"), 1);
  assert_int_equal(kit_events(k, other, "escalate"), 1);
  if (!kit_postgres) assert_int_equal(kit_events(k, t, "escalate"), 0); /* there several write at once, and either may be first */
  kit_verified(k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    KIT_TEST(deadlines_pass_over_weekend_and_holidays), KIT_TEST(filed_on_a_closed_day_counts_from_the_next),
    KIT_TEST(waiting_stops_the_clock_and_stops_add_up), KIT_TEST(a_used_up_suspension_ends_by_itself),
    KIT_TEST(a_late_job_gives_no_more_than_the_limit), KIT_TEST(suspended_without_stopping_the_clock_finds_its_way_back),
    KIT_TEST(extended_once), KIT_TEST(appeal_has_its_time_and_its_clock), KIT_TEST(reopened_begins_anew),
    KIT_TEST(a_closure_ahead_moves_open_deadlines_alone), KIT_TEST(a_closure_of_the_past_moves_only_what_began_before),
    KIT_TEST(escalation_after_a_closure_comes_on_its_day), KIT_TEST(an_opening_of_the_past_never_delays_the_earlier_clock),
    KIT_TEST(a_clock_behind_another_is_heard_all_the_same), KIT_TEST(beyond_the_horizon_is_provisional), KIT_TEST(each_organisation_has_its_calendar),
    KIT_TEST(who_decides_before_an_escalation_is_written_is_heard),
  };
  KIT_RUN(tests);
}
