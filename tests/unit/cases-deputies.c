/* Deputies: what they may in somebody's place, and that they are never the second pair of eyes on it. */
#include "cases-kit.h"

static void people(struct kit *k) {
  static const struct identity_member all[] = {{"officer", "O", "centre", ROLE_OFFICER}, {"officer2", "P", "centre", ROLE_OFFICER},
    {"supervisor", "S", "centre", ROLE_SUPERVISOR}, {"manager", "M", "centre", ROLE_MANAGER}, {"digger", "D", "crew", ROLE_OFFICER}};
  must(identity_staff_many(k->identity, all, BASE_COUNT(all), "a long enough password", err));
}

/* From one day to another; the id, or NULL with its refusal in *code. */
static const char *away(struct kit *k, const struct actor *who, const char *username, const char *deputy, const char *from, const char *until, enum err_code *code,
                        const char **field) {
  struct err e = {0};
  struct absence a = {.organisation = "centre", .username = username, .deputy = deputy, .from = kit_day(from), .until = kit_day(until), .key = kit_new_key(k)};
  int rc = cases_absence(k->cases, who, &a, &e);
  if (code) *code = rc ? e.code : ERR_NONE;
  else if (rc) fail_msg("absence of %s: %s %s", username, err_name(e.code), e.message);
  if (field) *field = a.field;
  return rc ? NULL : arena_strdup(k->arena, a.id);
}
#define is_away(k, username, deputy, from, until) away(k, &(k)->manager, username, deputy, from, until, NULL, NULL)

static const char *last_event(struct kit *k, const char *tracking, const char *member) {
  json_t *view = kit_get(k, &k->manager, tracking), *events = json_object_get(view, "events");
  const char *s = json_str(json_array_get(events, json_array_size(events) - 1), member);
  s = s ? arena_strdup(k->arena, s) : NULL;
  json_decref(view);
  return s;
}

static const char *offered_for(struct kit *k, const struct actor *who, const char *tracking, const char *action) {
  json_t *view = kit_get(k, who, tracking), *one;
  const char *s = "not offered";
  size_t i;
  json_array_foreach(json_object_get(view, "actions"), i, one)
    if (strcmp(json_str(one, "name"), action) == 0) s = json_str(one, "in_place_of") ? arena_strdup(k->arena, json_str(one, "in_place_of")) : "themselves";
  json_decref(view);
  return s;
}

/* What needs another's role is theirs while the other is away, no day longer; and told everywhere. */
static void acts_with_the_roles_of_who_is_away(void **state) {
  struct kit *k = *state;
  people(k);
  const char *t = kit_permit(k, &k->ali, "known");
  denied(kit_act(k, t, &k->officer2, "extend", "why"), ERR_FORBIDDEN);
  is_away(k, "supervisor", "officer2", "2026-06-07", "2026-06-08");
  denied(kit_act(k, t, &k->officer2, "extend", "why"), ERR_FORBIDDEN); /* from tomorrow on */
  kit_now("2026-06-07");
  denied(kit_act(k, t, &k->officer, "extend", "why"), ERR_FORBIDDEN);
  assert_string_equal(offered_for(k, &k->officer2, t, "extend"), "supervisor");
  assert_string_equal(offered_for(k, &k->officer2, t, "reject"), "themselves");
  acts(kit_act(k, t, &k->officer2, "extend", "why"));
  assert_string_equal(last_event(k, t, "for"), "supervisor");
  assert_string_equal(last_event(k, t, "role"), "supervisor");
  assert_string_equal(last_event(k, t, "who"), "officer2");
  /* Officer2 has prepared this for the supervisor: not the second pair of eyes, in no capacity. */
  acts(kit_act(k, t, &k->officer, "approve", NULL));
  denied(kit_act(k, t, &k->officer2, "approve", NULL), ERR_FORBIDDEN);
  assert_string_equal(offered_for(k, &k->officer2, t, "approve"), "not offered");
  denied(kit_act(k, t, &k->officer, "approve", NULL), ERR_FORBIDDEN);
  kit_now("2026-06-09");
  denied(kit_act(k, t, &k->officer2, "return_to_officer", NULL), ERR_FORBIDDEN);
  denied(kit_act(k, t, &k->officer2, "approve", NULL), ERR_FORBIDDEN); /* still not, now that it is over */
  acts(kit_act(k, t, &k->supervisor, "approve", NULL));
  kit_verified(k);
}

/* What a deputy decides in somebody's place counts as the decision of both. */
static void decides_for_both(void **state) {
  struct kit *k = *state;
  people(k);
  const char *t = kit_permit(k, &k->ali, "known");
  acts(kit_act(k, t, &k->officer, "assign", NULL));
  const char *id = is_away(k, "officer", "officer2", "2026-06-06", "2026-06-20");
  acts(kit_act(k, t, &k->officer2, "approve", NULL));
  assert_string_equal(last_event(k, t, "for"), "officer");
  denied(kit_act(k, t, &k->officer2, "approve", NULL), ERR_FORBIDDEN);
  must(cases_absence_end(k->cases, &k->officer, id, err));
  denied(kit_act(k, t, &k->officer, "approve", NULL), ERR_FORBIDDEN);
  acts(kit_act(k, t, &k->supervisor, "approve", NULL));
  /* The same for an appeal. */
  struct actor p = kit_person(k, 7);
  t = kit_permit(k, &p, "known");
  acts(kit_act(k, t, &k->officer, "assign", NULL));
  is_away(k, "officer", "officer2", "2026-06-06", "2026-06-06");
  acts(kit_act(k, t, &k->officer2, "reject", "why"));
  assert_string_equal(kit_row(k, t).decider, "officer2=officer");
  acts(kit_act(k, t, &p, "appeal", "why"));
  kit_now("2026-06-07");
  denied(kit_act(k, t, &k->officer2, "reject", "why"), ERR_FORBIDDEN);
  denied(kit_act(k, t, &k->officer, "reject", "why"), ERR_FORBIDDEN);
  acts(kit_act(k, t, &k->supervisor, "reject", "why"));
}

/* As themselves they are a second pair of eyes like any other; in the place of who decided they are not. */
static void a_place_is_no_second_pair_of_eyes(void **state) {
  struct kit *k = *state;
  people(k);
  struct actor p = kit_person(k, 8);
  const char *t = kit_permit(k, &k->ali, "known"), *u = kit_permit(k, &p, "known");
  acts(kit_act(k, t, &k->officer, "assign", NULL));
  acts(kit_act(k, t, &k->officer, "approve", NULL));
  acts(kit_act(k, u, &k->supervisor, "approve", NULL));
  is_away(k, "officer", "officer2", "2026-06-06", "2026-06-10");
  is_away(k, "supervisor", "manager", "2026-06-06", "2026-06-10");
  assert_string_equal(offered_for(k, &k->officer2, t, "approve"), "themselves");
  acts(kit_act(k, t, &k->officer2, "approve", NULL));
  assert_null(last_event(k, t, "for"));
  denied(kit_act(k, u, &k->manager, "approve", NULL), ERR_FORBIDDEN); /* the manager has that role in the supervisor's place alone */
  acts(kit_act(k, u, &k->officer2, "approve", NULL));
  /* Whoever filed a case is not judged by their own deputy as themselves, and the deputy does not become the applicant. */
  struct kit_filed f = kit_try(k->cases, k->permit, &k->supervisor, kit_new_key(k), kit_permit_data("0060495219", "09151234561", "کارگاه", "known"));
  const char *own = kit_keep(k, &f);
  denied(kit_act(k, own, &k->manager, "withdraw", NULL), ERR_FORBIDDEN);
  denied(kit_act(k, own, &k->manager, "approve", NULL), ERR_FORBIDDEN);
}

static void absence_has_its_rules(void **state) {
  static const struct { const char *username, *deputy, *from, *until, *field; } wrong[] = {
    {"officer", "officer", "2026-06-06", "2026-06-08", "deputy"}, {"officer", "digger", "2026-06-06", "2026-06-08", "deputy"},
    {"digger", "officer", "2026-06-06", "2026-06-08", "username"}, {"officer", "officer2", "2026-06-05", "2026-06-08", "from"},
    {"officer", "officer2", "2026-06-09", "2026-06-08", "until"}, {"officer", "officer2", "2026-06-09", "2028-06-08", "until"},
    {"supervisor", "officer", "2026-06-20", "2026-06-22", "username"},  /* away already */
    {"officer2", "officer", "2026-06-21", "2026-06-30", "username"},    /* is a deputy then */
    {"officer", "supervisor", "2026-06-10", "2026-06-21", "deputy"}};   /* is away then */
  struct kit *k = *state;
  people(k);
  enum err_code code;
  const char *field, *id = is_away(k, "supervisor", "officer2", "2026-06-20", "2026-06-25");
  for (size_t i = 0; i < BASE_COUNT(wrong); i++) {
    away(k, &k->manager, wrong[i].username, wrong[i].deputy, wrong[i].from, wrong[i].until, &code, &field);
    if (code != ERR_INVALID || !base_same(field, wrong[i].field)) fail_msg("%zu: %s at %s", i, err_name(code), field ? field : "nothing");
  }
  away(k, &k->officer2, "officer", "manager", "2026-06-06", "2026-06-07", &code, &field);
  assert_int_equal(code, ERR_FORBIDDEN); /* a colleague's is recorded by those in charge */
  struct actor digger = kit_staff("digger", "crew", ROLE_OFFICER);
  away(k, &digger, "officer", "manager", "2026-06-06", "2026-06-07", &code, &field);
  assert_int_equal(code, ERR_FORBIDDEN);
  away(k, &k->officer, NULL, "manager", "2026-06-06", "2026-06-07", &code, &field);
  assert_int_equal(code, ERR_NONE); /* one's own */
  refused(cases_absence_end(k->cases, &k->officer, id, err), ERR_FORBIDDEN);
  refused(cases_absence_end(k->cases, &digger, id, err), ERR_NOT_FOUND);
  must(cases_absence_end(k->cases, &k->supervisor, id, err));
  must(cases_absence_end(k->cases, &k->supervisor, id, err));
  json_t *list;
  must(cases_absences(k->cases, &k->officer2, "centre", &list, err));
  assert_int_equal(json_array_size(list), 1);
  assert_string_equal(json_str(json_array_get(list, 0), "username"), "officer");
  assert_false(json_flag(json_array_get(list, 0), "may_end", true));
  json_decref(list);
  refused(cases_absences(k->cases, &digger, "centre", &list, err), ERR_FORBIDDEN);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM desk_log WHERE what=?1", "absence"), 2);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM desk_log WHERE what=?1", "absence_end"), 1);
  kit_verified(k);
}

static void no_new_work_and_who_is_told(void **state) {
  struct kit *k = *state;
  people(k);
  const char *t = kit_permit(k, &k->ali, "known");
  char next[TRACKING_SIZE];
  is_away(k, "officer", "officer2", "2026-06-06", "2026-06-07");
  is_away(k, "supervisor", "manager", "2026-06-06", "2026-07-30");
  denied(kit_acts(k->cases, t, &k->manager, "assign", NULL, "{\"assignee\":\"officer\"}", -1, NULL, NULL), ERR_INVALID); /* for the supervisor */
  denied(kit_acts(k->cases, t, &k->officer2, "assign", NULL, "{\"assignee\":\"officer\"}", -1, NULL, NULL), ERR_INVALID);
  denied(kit_act(k, t, &k->officer, "assign", NULL), ERR_INVALID);
  refused(cases_next(k->cases, &k->officer, "centre", NULL, LANG_EN, next, err), ERR_CONFLICT);
  must(cases_next(k->cases, &k->officer2, "centre", NULL, LANG_EN, next, err));
  assert_string_equal(next, t);
  kit_now("2026-06-08");
  acts(kit_acts(k->cases, t, &k->officer2, "assign", NULL, "{\"assignee\":\"officer\"}", -1, NULL, NULL));
  kit_until(k, "2026-06-16");
  assert_true(kit_events(k, t, "escalate") > 0);
  json_t *view = kit_get(k, &k->manager, t), *one, *told = NULL;
  size_t i;
  json_array_foreach(json_object_get(view, "events"), i, one) if (strcmp(json_str(one, "action"), "escalate") == 0) told = json_object_get(one, "deputies");
  assert_non_null(told);
  assert_string_equal(json_string_value(json_array_get(told, 0)), "manager");
  json_decref(view);
}

int main(void) {
  const struct CMUnitTest tests[] = {KIT_TEST(acts_with_the_roles_of_who_is_away), KIT_TEST(decides_for_both), KIT_TEST(a_place_is_no_second_pair_of_eyes),
                                     KIT_TEST(absence_has_its_rules), KIT_TEST(no_new_work_and_who_is_told)};
  KIT_RUN(tests);
}
