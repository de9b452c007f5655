/* The sums of the observatory against a full count of what the cases say, on a random past: once as it happens, once anew, once by two at a time. */
#include "cases-kit.h"
#include "observatory/observatory.h"

static uint64_t seed = 11;
static unsigned chance(unsigned most) {
  uint64_t z = seed += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (unsigned)((z ^ z >> 31) % most);
}

static struct observatory *watch(struct kit *k, const char *node) {
  struct observatory *o;
  must(observatory_open(k->store, k->cases, k->identity, node, &o, err));
  return o;
}

static void place_leaves(struct kit *k) {
  int64_t placed = 1;
  while (placed) must(trust_sequence(k->trust, &placed, err));
}

static void catch_up(struct kit *k, struct observatory *o) {
  int64_t done = 1, counted, all;
  place_leaves(k);
  while (done) must(observatory_jobs(o, &done, err));
  must(observatory_reached(o, &counted, &all, err));
  assert_int_equal(counted, all);
}

static const struct period ever = {SPAN_OWN, 20454, 21914}; /* 2026 to 2029 */

static json_t *sums(struct observatory *o, const char *organisation, enum observe_group by) {
  struct observe_query q = {.organisation = organisation, .period = ever};
  json_t *out;
  must(observatory_sums(o, &q, by, &out, err));
  return out;
}

static int64_t total(struct observatory *o, const char *name, enum observe_group by) {
  json_t *all = sums(o, NULL, by), *one;
  const char *key;
  int64_t n = 0;
  json_object_foreach(all, key, one) n += sums_get(one, name);
  json_decref(all);
  return n;
}

static int64_t total_of(struct observatory *o, const char *prefix) {
  json_t *all = sums(o, NULL, GROUP_ALL), *v;
  const char *name;
  int64_t n = 0;
  json_object_foreach(json_object_get(all, ""), name, v)
    if (base_starts(name, prefix)) n += json_integer_value(v);
  json_decref(all);
  return n;
}

/* ---- a past ---- */

static const char *const steps[] = {"assign", "inquire", "request_info", "provide_info", "suspend", "resume", "extend", "approve", "approve", "reject", "appeal", "withdraw", "reopen",
                                    "return_to_officer", "reply", "transfer", "repair", "look_again"};

static void some_days(struct kit *k, int days, const char *list[], int *count) {
  struct actor staff[] = {k->officer, k->officer2, k->supervisor, k->manager, kit_staff("clerk", "records", ROLE_OFFICER), kit_staff("foreman", "crew", ROLE_OFFICER),
                          kit_staff("upper-one", "upper", ROLE_OFFICER)};
  struct actor people[4];
  for (unsigned i = 0; i < 4; i++) people[i] = kit_person(k, 40 + i);
  for (int day = 0; day < days; day++) {
    kit_later(86400000);
    for (int i = 0; i < 2 && *count < 200; i++) {
      struct actor who = kit_person(k, 1000 + (unsigned)*count);
      if (chance(4) == 0) list[(*count)++] = kit_repair(k, &people[chance(4)], "9901012001000001");
      else list[(*count)++] = kit_permit(k, &who, chance(2) ? "person" : "company");
    }
    for (int i = 0; i < 12; i++) {
      const char *t = list[chance((unsigned)*count)], *name = steps[chance(BASE_COUNT(steps))];
      unsigned n = chance(BASE_COUNT(staff) + 2);
      struct actor who = n < BASE_COUNT(staff) ? staff[n] : kit_person(k, 1000 + (unsigned)chance((unsigned)*count));
      const char *data = strcmp(name, "transfer") == 0 ? "{\"to\":\"records\"}" : strcmp(name, "provide_info") == 0 ? "{\"answer\":\"here\"}" : NULL;
      struct actor system = {.kind = ACTOR_SYSTEM};
      kit_acts(k->cases, t, strcmp(name, "provide_info") == 0 && chance(2) ? &system : &who, name, "because", data, -1, NULL, NULL);
      if (chance(9) == 0) { /* the one whose case it is */
        for (unsigned p = 0; p < (unsigned)*count; p++)
          if (list[p] == t) who = kit_person(k, 1000 + p);
        kit_acts(k->cases, t, &who, chance(2) ? "appeal" : "withdraw", "because", NULL, -1, NULL, NULL);
      }
    }
    kit_jobs(k);
  }
}

#define OWN " FROM case_event JOIN cases ON cases.tracking=case_event.tracking WHERE cases.inquiry='' AND action<>'erase' AND ?1='' "

static void counts_agree(struct kit *k, struct observatory *o) {
  int64_t arrived = total(o, "arrived", GROUP_ALL), closed = total(o, "closed", GROUP_SERVICE), reopened = total(o, "reopened", GROUP_ORGANISATION), open = 0, late = 0;
  assert_int_equal(arrived, kit_value(k, "SELECT COUNT(*) FROM cases WHERE inquiry=?1", ""));
  assert_int_equal(arrived - closed + reopened, kit_value(k, "SELECT COUNT(*) FROM cases WHERE inquiry=?1 AND result=0", ""));
  assert_int_equal(total(o, "escalated", GROUP_ALL), kit_value(k, "SELECT COUNT(*)" OWN "AND action='escalate'", ""));
  assert_int_equal(total(o, "appealed", GROUP_PLACE), kit_value(k, "SELECT COUNT(*)" OWN "AND action='appeal'", ""));
  assert_int_equal(total(o, "extended", GROUP_ALL), kit_value(k, "SELECT COUNT(*)" OWN "AND action='extend'", ""));
  assert_int_equal(total_of(o, "why."), kit_value(k, "SELECT COUNT(*)" OWN "AND action='reject'", ""));
  assert_int_equal(total_of(o, "s."), kit_value(k, "SELECT COUNT(*)" OWN "AND from_state<>to_state", ""));
  assert_int_equal(total(o, "q_asked", GROUP_ALL), kit_value(k, "SELECT COUNT(*) FROM cases WHERE inquiry<>?1", ""));
  assert_int_equal(total(o, "moved_in", GROUP_ALL), kit_value(k, "SELECT COUNT(*)" OWN "AND action='transfer'", ""));
  assert_int_equal(total(o, "granted", GROUP_ALL) + total(o, "refused", GROUP_ALL),
                   kit_value(k, "SELECT COUNT(DISTINCT case_event.tracking)" OWN "AND action IN ('approve','reject')", ""));
  assert_int_equal(total(o, "granted", GROUP_OFFICER), total(o, "granted", GROUP_ALL));
  assert_int_equal(total(o, "closed", GROUP_ORGANISATION), closed); /* of whole years */
  assert_int_equal(total(o, "q_asked", GROUP_ORGANISATION), total(o, "q_asked", GROUP_ALL));
  assert_int_equal(total(o, "arrived", GROUP_DAY), arrived);
  assert_int_equal(total(o, "arrived", GROUP_MONTH), arrived);
  struct observe_query q = {.period = ever};
  json_t *now, *one;
  const char *key;
  must(observatory_open_now(o, &q, GROUP_ORGANISATION, &now, err));
  struct actor all = kit_staff("operator", "centre", ROLE_OPERATOR);
  json_object_foreach(now, key, one) {
    json_t *desk;
    open += sums_get(one, "open");
    late = sums_get(one, "late");
    must(cases_desk_counts(k->cases, &all, key, 3, &desk, err));
    if (strcmp(key, "centre") == 0) assert_in_range(sums_get(one, "open"), 1, (uintmax_t)json_int(desk, "open", 0)); /* inquiries stand on a desk too */
    assert_true(late <= json_int(desk, "late", 0));
    json_decref(desk);
  }
  assert_int_equal(open, kit_value(k, "SELECT COUNT(*) FROM cases WHERE inquiry=?1 AND result=0", ""));
  json_decref(now);
}

static char *whole(struct observatory *o) {
  struct observe_query q = {.period = ever};
  json_t *now, *all = json_array();
  for (enum observe_group by = GROUP_SERVICE; by <= GROUP_OFFICER; by++) json_array_append_new(all, sums(o, NULL, by));
  must(observatory_open_now(o, &q, GROUP_OFFICER, &now, err));
  json_array_append_new(all, now);
  char *text = json_canonical(all);
  json_decref(all);
  return text;
}

static void as_it_happens_and_anew(void **state) {
  struct kit *k = *state;
  struct observatory *o = watch(k, "one");
  const char *list[200];
  int count = 0;
  seed = 11;
  for (int round = 0; round < 8; round++) {
    some_days(k, 6, list, &count);
    catch_up(k, o);
    counts_agree(k, o);
  }
  assert_true(total(o, "granted", GROUP_ALL) > 5 && total(o, "refused", GROUP_ALL) > 5 && total(o, "appealed", GROUP_ALL) > 0 && total(o, "moved_in", GROUP_ALL) > 2);
  char *before = whole(o), *after;
  must(observatory_rebuild(o, err));
  catch_up(k, o);
  after = whole(o);
  assert_string_equal(before, after);
  free(before);
  free(after);
  observatory_close(o);
}

struct racer { struct observatory *o; int64_t done; };
static void *race(void *arg) {
  struct racer *r = arg;
  int64_t done, counted = 0, all = 1;
  while (counted < all) {
    must(observatory_jobs(r->o, &done, err));
    r->done += done;
    must(observatory_reached(r->o, &counted, &all, err));
  }
  return NULL;
}

/* Two processes of which each believes that the lease is its own (both have one name): an event still counts once. */
static void two_at_once_count_once(void **state) {
  struct kit *k = *state;
  const char *list[200];
  int count = 0;
  seed = 12;
  some_days(k, 60, list, &count);
  place_leaves(k);
  struct racer racers[3] = {{watch(k, "same"), 0}, {watch(k, "same"), 0}, {watch(k, "same"), 0}};
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, race, &racers[i]);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  counts_agree(k, racers[0].o);
  for (int i = 0; i < 3; i++) observatory_close(racers[i].o);
}

static void days_are_working_days(void **state) {
  struct kit *k = *state;
  struct observatory *o = watch(k, "one");
  const char *t = kit_permit(k, &k->ali, "known"), *u; /* Saturday 6 June */
  kit_now("2026-06-08");
  acts(kit_act(k, t, &k->officer, "request_info", "why"));
  kit_now("2026-06-11"); /* 9 and 10 have passed */
  acts(kit_acts(k->cases, t, &k->ali, "provide_info", NULL, "{\"answer\":\"here\"}", -1, NULL, NULL));
  kit_now("2026-06-14");
  acts(kit_act(k, t, &k->officer, "reject", "why"));
  struct actor other = kit_person(k, 7);
  u = kit_permit(k, &other, "known");
  kit_now("2026-07-05"); /* legal: 14 June and ten working days, so 30 June */
  acts(kit_act(k, u, &k->officer2, "reject", "why"));
  catch_up(k, o);
  json_t *all = sums(o, "centre", GROUP_SERVICE), *permit = json_object_get(all, "permit");
  int64_t n;
  assert_int_equal(sums_get(permit, "s.submitted.2"), 2); /* 6 to 8, and 11 to 14 */
  assert_int_equal(sums_get(permit, "s.waiting.2"), 1);
  assert_int_equal(sums_get(permit, "norm_of"), 2);
  assert_int_equal(sums_get(permit, "norm_in"), 1);
  assert_int_equal(sums_get(permit, "legal_in"), 1);
  assert_int_equal(sums_get(permit, "late_days"), cases_ordinal(k->cases, "official", kit_day("2026-07-05")) - cases_ordinal(k->cases, "official", kit_day("2026-06-14")) - 10);
  assert_int_equal(sums_quantile(permit, "t.", 0.5, &n), 6); /* 7 8 9 10 13 14 */
  assert_int_equal(n, 2);
  json_decref(all);
  all = sums(o, "centre", GROUP_OFFICER);
  assert_int_equal(sums_get(json_object_get(all, "officer"), "decided"), 1);
  assert_int_equal(sums_get(json_object_get(all, "officer"), "asked_info"), 1);
  assert_int_equal(sums_get(json_object_get(all, "officer2"), "late"), 1);
  json_decref(all);
  observatory_close(o);
}

static void periods_are_read(void **state) {
  struct period p;
  struct err err;
  int32_t today = kit_day("2026-11-26"); /* 5 Azar 1405, a Thursday */
  char text[32];
  static const struct { const char *text, *from, *to, *again; } good[] = {
    {NULL, "1405-09-01", "1405-09-30", "1405-09"}, {"۱۴۰۵-۰۸", "1405-08-01", "1405-08-30", "1405-08"}, {"1403-12", "1403-12-01", "1403-12-30", "1403-12"},
    {"1405-q3", "1405-07-01", "1405-09-30", "1405-q3"}, {"1405", "1405-01-01", "1405-12-29", "1405"}, {"week:1405-09-05", "1405-08-30", "1405-09-06", "week:1405-08-30"},
    {"1405-01-05..1405-02-07", "1405-01-05", "1405-02-07", "1405-01-05..1405-02-07"}};
  for (size_t i = 0; i < BASE_COUNT(good); i++) {
    assert_int_equal(period_parse(good[i].text, today, &p, &err), 0);
    assert_int_equal(p.from, date_parse(good[i].from));
    assert_int_equal(p.to, date_parse(good[i].to));
    period_text(p, text);
    assert_string_equal(text, good[i].again);
    struct period back = period_move(period_move(p, 1), -1);
    assert_true(back.from == p.from && back.to == p.to);
  }
  static const char *const bad[] = {"1405-13", "1405-q5", "x", "1405-08-", "week:", "week:x", "..", "1405-02-01..1405-01-01", "1405-01-01..1420-01-01", "99999999999999999999", "2026", "1405-08' OR 1=1"};
  for (size_t i = 0; i < BASE_COUNT(bad); i++)
    if (period_parse(bad[i], today, &p, &err) == 0) fail_msg("%s was taken", bad[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {KIT_TEST(as_it_happens_and_anew), KIT_TEST(two_at_once_count_once), KIT_TEST(days_are_working_days), KIT_TEST(periods_are_read)};
  KIT_RUN(tests);
}
