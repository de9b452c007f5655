/* Letters: the register by years, and what is forgotten with the case; calls without one. */
#include "cases-kit.h"

static void people(struct kit *k) {
  static const struct identity_member all[] = {{"officer", "O", "centre", ROLE_OFFICER}, {"manager", "M", "centre", ROLE_MANAGER}};
  must(identity_staff_many(k->identity, all, BASE_COUNT(all), "a long enough password", err));
}

/* One step of a letter; its refusal or 0. */
static enum err_code step(struct kit *k, const char *tracking, struct letter_step *s, const struct actor *who, const char *name, const char *data) {
  struct err e = {0};
  s->step = name;
  s->actor = *who;
  s->data = data ? kit_json(data) : NULL;
  snprintf(s->tracking, sizeof s->tracking, "%s", tracking);
  int rc = cases_letter(k->cases, s, &e);
  json_decref(s->data);
  json_decref(s->errors);
  s->data = s->errors = NULL;
  s->letter = s->id;
  s->expected_revision = rc ? s->expected_revision : s->revision;
  return rc ? e.code : ERR_NONE;
}

static const char *signed_letter(struct kit *k, const char *tracking, const char *text) {
  char data[200];
  struct letter_step s = {.key = kit_new_key(k)};
  snprintf(data, sizeof data, "{\"subject\":\"%s\",\"body\":\"%s\"}", text, text);
  acts(step(k, tracking, &s, &k->officer, "draft", data));
  acts(step(k, tracking, &s, &k->officer, "hand", NULL));
  denied(step(k, tracking, &s, &k->officer, "sign", NULL), ERR_FORBIDDEN);
  acts(step(k, tracking, &s, &k->manager, "sign", NULL));
  return arena_strdup(k->arena, s.number);
}

static void each_year_begins_with_one(void **state) {
  struct kit *k = *state;
  people(k);
  const char *t = kit_permit(k, &k->ali, "known");
  kit_now("2027-03-20"); /* the last day of 1405 */
  assert_string_equal(signed_letter(k, t, "a"), "1405/centre/000001");
  assert_string_equal(signed_letter(k, t, "b"), "1405/centre/000002");
  kit_now("2027-03-21");
  assert_string_equal(signed_letter(k, t, "c"), "1406/centre/000001");
  assert_string_equal(kit_row(k, t).letter_no, "1406/centre/000001");
  assert_string_equal(kit_row(k, t).letter_date, "2027-03-21");
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM letter_number WHERE organisation=?1", "centre"), 3);
  kit_verified(k);
}

static void forgotten_with_the_case(void **state) {
  struct kit *k = *state;
  people(k);
  const char *t = kit_permit(k, &k->ali, "known");
  signed_letter(k, t, "a secret of Ali");
  struct desk_note call = {.kind = NOTE_CALL, .tracking = t, .text = "a secret said", .caller = "his brother", .key = "c1"};
  must(cases_desk_note(k->cases, &k->officer, &call, err));
  acts(kit_act(k, t, &k->ali, "withdraw", NULL));
  kit_now("2027-06-06");
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_letter WHERE tracking=?1 AND content IS NOT NULL", t), 1);
  kit_until(k, "2027-06-10");
  assert_int_equal(kit_events(k, t, "erase"), 1);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_letter WHERE tracking=?1 AND content IS NOT NULL", t), 0);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_letter_step WHERE payload IS NOT NULL AND letter IN (SELECT id FROM case_letter WHERE tracking=?1)", t), 0);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_remark WHERE tracking=?1 AND payload IS NOT NULL", t), 0);
  struct letter_step s = {.key = kit_new_key(k)};
  denied(step(k, t, &s, &k->officer, "draft", "{\"subject\":\"x\",\"body\":\"y\"}"), ERR_CONFLICT);
  kit_verified(k); /* what is erased is told from what is lost */
}

static void calls_without_a_case_for_two_years(void **state) {
  struct kit *k = *state;
  struct desk_note call = {.kind = NOTE_CALL, .organisation = "centre", .text = "where is the office", .key = "c1"};
  json_t *list;
  must(cases_desk_note(k->cases, &k->officer, &call, err));
  kit_now("2028-06-04");
  kit_jobs(k);
  must(cases_desk_calls(k->cases, &k->officer, "centre", INT64_MAX, 0, &list, err));
  assert_int_equal(json_array_size(list), 1);
  json_decref(list);
  kit_now("2028-06-08");
  kit_jobs(k);
  must(cases_desk_calls(k->cases, &k->officer, "centre", INT64_MAX, 0, &list, err));
  assert_int_equal(json_array_size(list), 0);
  json_decref(list);
  kit_verified(k);
}

int main(void) {
  const struct CMUnitTest tests[] = {KIT_TEST(each_year_begins_with_one), KIT_TEST(forgotten_with_the_case), KIT_TEST(calls_without_a_case_for_two_years)};
  KIT_RUN(tests);
}
