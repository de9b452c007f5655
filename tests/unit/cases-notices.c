/* What people are told: texts of two parts at most, letters, telephones without Persian, what did not arrive, and what is ours. */
#include "cases-kit.h"

#include <strings.h>

static json_t *messages(struct kit *k, const char *t, const struct actor *who) {
  json_t *o = NULL;
  must(cases_messages(k->cases, who, t, LANG_EN, &o, NULL, err));
  return o;
}

/* The text of the newest message about an action by a channel; arena-owned, NULL: none. */
static const char *told(struct kit *k, const char *t, const char *action, const char *channel) {
  json_t *o = messages(k, t, &k->officer), *one;
  const char *text = NULL;
  size_t i;
  json_array_foreach(json_object_get(o, "items"), i, one)
    if (!text && strcmp(json_str(one, "action"), action) == 0 && strcmp(json_str(one, "channel"), channel) == 0) text = arena_strdup(k->arena, json_str(one, "text"));
  json_decref(o);
  return text;
}

static const char *file(struct kit *k, const struct actor *who, enum lang l, bool latin, const char *mail, const char *address) {
  json_t *data = kit_permit_data(who->national_id, who->mobile, "کارگاه", "person");
  if (address) json_put(data, "address", address);
  struct case_submission s = {.service = k->permit, .data = data, .key = kit_new_key(k), .actor = *who, .intake = INTAKE_USSD, .lang = l, .latin = latin, .mail = mail, .caller = who->pair};
  must(cases_submit(k->cases, &s, NULL, NULL, err));
  json_decref(data);
  return arena_strdup(k->arena, s.tracking);
}

static void a_reason_too_long_ends_at_a_word_with_the_code(void **state) {
  struct kit *k = *state;
  char code[48], longer[3000] = "";
  for (int i = 0; i < 60; i++) strcat(longer, "مدرک شناسایی ناخوانا ");
  const char *t = file(k, &k->ali, LANG_FA, false, NULL, NULL);
  identifier_group(IDENT_TRACKING, t, code);
  acts(kit_act(k, t, &k->officer, "reject", longer));
  const char *text = told(k, t, "reject", "sms");
  assert_true(text_fits_sms(text, 2) && text_utf16(text) > 110);
  assert_non_null(strstr(text, code));
  size_t n = strlen(text), m = strlen("…");
  assert_string_equal(text + n - m, "…");
  const char *last = text + n - m;
  while (last > text && last[-1] != ' ') last--;
  assert_true(base_starts(last, "مدرک…") || base_starts(last, "شناسایی…") || base_starts(last, "ناخوانا…")); /* a whole word */
}

static void a_reason_of_the_list_or_what_was_written_without_links(void **state) {
  struct kit *k = *state;
  struct actor other = kit_person(k, 5), third = kit_person(k, 6);
  const char *t = file(k, &k->ali, LANG_EN, false, NULL, NULL), *u = file(k, &other, LANG_EN, false, NULL, NULL), *v = file(k, &third, LANG_FA, false, NULL, NULL);
  struct case_act a = {.action = "reject", .comment = "words besides", .reason = "incomplete", .expected_version = -1, .actor = k->officer, .lang = LANG_EN};
  snprintf(a.tracking, sizeof a.tracking, "%s", t);
  must(cases_act(k->cases, &a, NULL, NULL, err));
  assert_non_null(strstr(told(k, t, "reject", "sms"), "Incomplete"));
  acts(kit_act(k, u, &k->officer, "reject", "see\nhttps://evil.example now"));
  assert_null(strcasestr(told(k, u, "reject", "sms"), "http"));
  acts(kit_act(k, v, &k->officer, "reject", "یک\nدو"));
  assert_non_null(strstr(told(k, v, "reject", "sms"), "یک دو"));
}

static void telephones_without_persian_are_told_in_their_letters(void **state) {
  struct kit *k = *state;
  const char *t = file(k, &k->ali, LANG_EN, true, NULL, NULL);
  const char *text = told(k, t, "submit", "sms");
  assert_true(text_gsm7(text, NULL));
  assert_non_null(strstr(text, "Darkhast-e shoma sabt shod")); /* the house's words, where the pack has none */
  acts(kit_act(k, t, &k->officer, "reject", "مدرک ناخوانا است"));
  text = told(k, t, "reject", "sms");
  assert_true(text_gsm7(text, NULL));
  assert_non_null(strstr(text, "Rad shod")); /* the pack's */
}

static void letters_go_where_an_address_is_known(void **state) {
  struct kit *k = *state;
  struct actor other = kit_person(k, 5), third = kit_person(k, 6);
  const char *t = file(k, &k->ali, LANG_FA, false, "own@example.ir", "answer@example.ir"), *u = file(k, &other, LANG_EN, false, NULL, "answer@example.ir"),
             *v = file(k, &third, LANG_FA, false, NULL, NULL);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM notify_message WHERE recipient=?1", "own@example.ir"), 1); /* what was asked for, not the answer */
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM notify_message WHERE recipient=?1", "answer@example.ir"), 1);
  assert_null(told(k, v, "submit", "email"));
  assert_non_null(told(k, v, "submit", "sms"));
  acts(kit_act(k, u, &k->officer, "reject", "the paper is missing"));
  assert_non_null(strstr(told(k, u, "reject", "email"), "Why: the paper is missing"));
  assert_null(strstr(told(k, u, "reject", "email"), "No reason"));
  assert_non_null(strstr(told(k, t, "submit", "email"), "رسید")); /* without a longer text, the short one */
  assert_null(cases_mail_address(k->cases, "nobody", k->arena));
  assert_string_equal(cases_mail_address(k->cases, " A.b@Example.ir ", k->arena), "A.b@Example.ir");
}

static int lose(struct store_tx *tx, void *arg, struct err *e) {
  struct kit *k = arg;
  char key[256];
  struct store_rows *r = store_select(tx, e, "SELECT key FROM notify_message ORDER BY key LIMIT 1", "");
  if (!r || store_next(r, e) != 1) return -1;
  snprintf(key, sizeof key, "%s", store_text(r, 0));
  store_done(r);
  return cases_message_lost(k->cases, tx, key, "sms", "failed", e) || cases_message_lost(k->cases, tx, "0000000000000/now/abc", "sms", "failed", e) ? -1 : 0;
}

static void what_did_not_arrive_is_on_the_desk_until_it_is_seen_to(void **state) {
  struct kit *k = *state;
  struct actor crew = kit_staff("digger", "crew", ROLE_OFFICER);
  json_t *o;
  const char *t = file(k, &k->ali, LANG_FA, false, NULL, NULL);
  assert_int_equal(cases_undelivered_count(k->cases, &k->officer, "centre"), 0);
  must(store_write(k->store, STORE_FRONT, lose, k, err));
  must(store_write(k->store, STORE_FRONT, lose, k, err)); /* told once more */
  assert_int_equal(cases_undelivered_count(k->cases, &k->officer, "centre"), 1);
  assert_int_equal(cases_undelivered_count(k->cases, &crew, "centre"), 0);
  refused(cases_undelivered(k->cases, &crew, "centre", NULL, 10, LANG_EN, &o, err), ERR_FORBIDDEN);
  refused(cases_undelivered_note(k->cases, &crew, t, true, NULL, LANG_EN, err), ERR_NOT_FOUND);
  refused(cases_undelivered_note(k->cases, &k->ali, t, true, NULL, LANG_EN, err), ERR_NOT_FOUND);
  /* It follows the case. */
  acts(kit_acts(k->cases, t, &k->officer, "transfer", "why", "{\"to\":\"crew\"}", -1, NULL, NULL));
  assert_int_equal(cases_undelivered_count(k->cases, &k->officer, "centre"), 0);
  must(cases_undelivered(k->cases, &crew, "crew", NULL, 10, LANG_EN, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "items")), 1);
  assert_string_equal(json_str(json_array_get(json_object_get(o, "items"), 0), "tracking"), t);
  json_decref(o);
  must(cases_undelivered_note(k->cases, &crew, t, true, "they know now", LANG_EN, err));
  assert_int_equal(cases_undelivered_count(k->cases, &crew, "crew"), 0);
  refused(cases_undelivered_note(k->cases, &crew, t, true, NULL, LANG_EN, err), ERR_CONFLICT);
  o = kit_get(k, &crew, t);
  const json_t *note = json_array_get(json_object_get(o, "remarks"), 0);
  assert_string_equal(json_str(note, "text"), "they know now");
  json_decref(o);
  kit_verified(k);
}

static const char *verdict(struct kit *k, const char *typed, const char **at) {
  json_t *o = NULL;
  must(cases_message_check(k->cases, typed, &o, err));
  const char *v = arena_strdup(k->arena, json_str(o, "verdict"));
  if (at) *at = arena_strdup(k->arena, json_str(o, "at"));
  json_decref(o);
  return v;
}

static int show(struct store_tx *tx, void *arg, struct err *e) { return store_exec(tx, e, "UPDATE notify_message SET state='shown'", "") < 0 ? -1 : 0; }

static void a_message_is_ours_or_not(void **state) {
  struct kit *k = *state;
  char code[48];
  const char *t = file(k, &k->ali, LANG_EN, false, NULL, NULL), *at;
  identifier_group(IDENT_TRACKING, t, code);
  assert_string_equal(verdict(k, t, NULL), "none"); /* not gone out yet */
  must(store_write(k->store, STORE_FRONT, show, NULL, err));
  const char *text = told(k, t, "submit", "sms");
  assert_string_equal(verdict(k, t, &at), "case");
  assert_non_null(at);
  assert_string_equal(verdict(k, code, NULL), "case");
  assert_string_equal(verdict(k, text, NULL), "sent");
  assert_string_equal(verdict(k, arena_printf(k->arena, "%s pay 50 now to be first", text), NULL), "other");
  assert_string_equal(verdict(k, arena_printf(k->arena, "%s https://x.example", text), NULL), "link");
  assert_string_equal(verdict(k, "1234 5678 1234 5670", NULL), "none");
  assert_string_equal(verdict(k, "two words", NULL), "more");
  assert_string_equal(verdict(k, "these words nobody sent", NULL), "unknown");
  assert_string_equal(verdict(k, "", NULL), "more");
}

/* A store that was off for weeks: what ran out meanwhile is recorded, and the person hears of it once. */
static void stages_that_ran_out_together_are_told_once(void **state) {
  struct kit *k = *state;
  struct actor other = kit_person(k, 5);
  const char *t = file(k, &k->ali, LANG_EN, false, NULL, NULL), *u = file(k, &other, LANG_EN, false, NULL, NULL);
  kit_until(k, "2026-06-15"); /* each morning the jobs ran: the first stage is told on its own day */
  assert_int_equal(kit_events(k, t, "escalate"), 1);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM notify_message WHERE body LIKE ?1", "Late %"), 2);
  acts(kit_act(k, u, &k->officer, "reject", "the paper is missing")); /* nothing is due of it any more */
  kit_now("2026-09-01"); /* nothing ran for weeks */
  kit_jobs(k);
  assert_int_equal(kit_events(k, t, "escalate"), 3);
  assert_int_equal(kit_events(k, u, "escalate"), 1);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM notify_message WHERE body LIKE ?1", "Late %"), 3);
  assert_non_null(strstr(told(k, t, "escalate", "sms"), "Late"));
  kit_verified(k);
}

/* Who is asked hears of it once more before the office goes on, on its day; never after it, whatever the store slept through. */
static void a_reminder_comes_before_the_day_or_not_at_all(void **state) {
  struct kit *k = *state;
  struct actor other = kit_person(k, 5);
  const char *t = file(k, &k->ali, LANG_EN, false, NULL, NULL), *u = file(k, &other, LANG_EN, false, NULL, NULL);
  acts(kit_act(k, t, &k->officer, "request_info", "please explain"));
  struct case_row row = kit_row(k, t);
  assert_int_equal(row.def->suspension_days, 6);
  int32_t last = case_due_day(k->cases, &row, row.stopped_ord + 6);
  for (int32_t d = cases_today() + 1; d <= last; d++) {
    clock_set(day_start(d) + 12 * 3600000);
    kit_jobs(k);
    bool due = cases_ordinal(k->cases, row.calendar, d) >= row.stopped_ord + 5;
    assert_int_equal(kit_events(k, t, "remind"), due);
  }
  assert_non_null(strstr(told(k, t, "remind", "sms"), "Remember"));
  assert_non_null(strstr(told(k, t, "remind", "sms"), date_short(k->arena, LANG_EN, last)));
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM notify_message WHERE body LIKE ?1", "Remember%"), 1);
  state_is(k, t, "waiting");
  acts(kit_act(k, u, &k->officer, "request_info", "please explain"));
  clock_set(day_start(last + 60) + 12 * 3600000); /* nothing ran for two months */
  kit_jobs(k);
  assert_int_equal(kit_events(k, u, "remind"), 0);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM notify_message WHERE body LIKE ?1", "Remember%"), 1);
  assert_string_not_equal(kit_row(k, u).state, "waiting");
  kit_verified(k);
}

static void a_store_off_from_the_start_tells_once(void **state) {
  struct kit *k = *state;
  const char *t = file(k, &k->ali, LANG_EN, false, NULL, NULL);
  kit_now("2026-09-01");
  kit_jobs(k);
  assert_int_equal(kit_events(k, t, "escalate"), 3);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM notify_message WHERE body LIKE ?1", "Late %"), 1);
  kit_until(k, "2026-09-20");
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM notify_message WHERE body LIKE ?1", "Late %"), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    KIT_TEST(a_reason_too_long_ends_at_a_word_with_the_code), KIT_TEST(a_reason_of_the_list_or_what_was_written_without_links),
    KIT_TEST(telephones_without_persian_are_told_in_their_letters), KIT_TEST(letters_go_where_an_address_is_known),
    KIT_TEST(what_did_not_arrive_is_on_the_desk_until_it_is_seen_to), KIT_TEST(a_message_is_ours_or_not),
    KIT_TEST(stages_that_ran_out_together_are_told_once), KIT_TEST(a_store_off_from_the_start_tells_once), KIT_TEST(a_reminder_comes_before_the_day_or_not_at_all),
  };
  KIT_RUN(tests);
}
