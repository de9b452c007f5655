/* Once and only once: idempotency keys, versions, tracking codes, one open request a person, ratings, drafts, and what verify finds. */
#include "cases-kit.h"

#include <sqlite3.h>

static json_t *ali_data(struct kit *k, const char *name) { return kit_permit_data(k->ali.national_id, k->ali.mobile, name, "person"); }

static void the_same_key_gives_the_same_answer(void **state) {
  struct kit *k = *state;
  struct kit_filed one = kit_try(k->cases, k->permit, &k->ali, "a-key", ali_data(k, "سفال"));
  assert_int_equal(one.code, 0);
  assert_false(one.s.repeated);
  json_t *first = cases_submitted(k->cases, &one.s);
  acts(kit_act(k, one.tracking, &k->officer, "approve", NULL));
  kit_now("2026-06-20");
  must(cases_calendar_close(k->cases, &k->manager, "official", kit_day("2026-06-21"), NULL, NULL, true, err));
  struct kit_filed again = kit_try(k->cases, k->permit, &k->ali, "a-key", ali_data(k, "سفال"));
  assert_int_equal(again.code, 0);
  assert_true(again.s.repeated);
  json_t *second = cases_submitted(k->cases, &again.s);
  if (!json_equal(first, second)) fail_msg("%s\n%s", json_dumps(first, 0), json_dumps(second, 0));
  json_decref(first);
  json_decref(second);
  denied(kit_try(k->cases, k->permit, &k->ali, "a-key", ali_data(k, "دیگر")).code, ERR_KEY_REUSED);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM cases WHERE service=?1", "permit"), 1);
  /* Another person, another service: other keys. */
  struct actor other = kit_person(k, 5);
  struct kit_filed theirs = kit_try(k->cases, k->permit, &other, "a-key", kit_permit_data(other.national_id, other.mobile, "سفال", "person"));
  assert_int_equal(theirs.code, 0);
  assert_string_not_equal(theirs.tracking, one.tracking);
  struct kit_filed elsewhere = kit_try(k->cases, k->tacit, &k->ali, "a-key", json_pack("{s:s}", "what", "x"));
  assert_int_equal(elsewhere.code, 0);
  denied(kit_try(k->cases, k->tacit, &k->ali, "", json_pack("{s:s}", "what", "x")).code, ERR_INVALID);
  kit_verified(k);
}

static void the_same_key_of_an_action(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  struct case_act out;
  acts(kit_acts(k->cases, t, &k->officer, "approve", "fine", NULL, 1, "k", &out));
  assert_int_equal(out.version, 2);
  assert_false(out.repeated);
  acts(kit_act(k, t, &k->supervisor, "return_to_officer", NULL));
  acts(kit_acts(k->cases, t, &k->officer, "approve", "fine", NULL, 1, "k", &out));
  assert_true(out.repeated);
  assert_int_equal(out.version, 2); /* as it was then */
  denied(kit_acts(k->cases, t, &k->officer, "approve", "other", NULL, 1, "k", NULL), ERR_KEY_REUSED);
  denied(kit_acts(k->cases, t, &k->officer, "reject", "fine", NULL, 1, "k", NULL), ERR_KEY_REUSED);
  denied(kit_acts(k->cases, t, &k->officer2, "approve", "fine", NULL, 1, "k", NULL), ERR_CONFLICT); /* another's key is another key */
  struct actor foreign = kit_staff("f", "crew", ROLE_OFFICER);
  denied(kit_acts(k->cases, t, &foreign, "approve", "fine", NULL, 1, "k", NULL), ERR_NOT_FOUND);
  assert_int_equal(kit_events(k, t, "approve"), 1);
  state_is(k, t, "submitted");
  /* What was refused keeps no key. */
  denied(kit_acts(k->cases, t, &k->officer, "reject", NULL, NULL, 3, "r", NULL), ERR_INVALID);
  acts(kit_acts(k->cases, t, &k->officer, "reject", "reason", NULL, 3, "r", NULL));
  kit_verified(k);
}

struct twin {
  struct kit *k;
  const char *tracking, *key, *name;
  int64_t expected;
  const struct actor *who;
  pthread_barrier_t *start;
  enum err_code code;
  bool repeated;
  char made[TRACKING_SIZE];
};

static void *acts_at_once(void *arg) {
  struct twin *w = arg;
  struct case_act out;
  pthread_barrier_wait(w->start);
  w->code = kit_acts(w->k->cases, w->tracking, w->who, "assign", w->name, NULL, w->expected, w->key, &out);
  w->repeated = out.repeated;
  return NULL;
}

static void *files_at_once(void *arg) {
  struct twin *w = arg;
  pthread_barrier_wait(w->start);
  struct kit_filed f = kit_try(w->k->cases, w->k->permit, w->who, w->key, kit_permit_data(w->who->national_id, w->who->mobile, w->name, "person"));
  w->code = f.code;
  w->repeated = f.s.repeated;
  snprintf(w->made, sizeof w->made, "%s", f.tracking);
  return NULL;
}

static void at_once(struct twin w[2], void *(*run)(void *)) {
  pthread_barrier_t start;
  pthread_t a, b;
  pthread_barrier_init(&start, NULL, 2);
  w[0].start = w[1].start = &start;
  pthread_create(&a, NULL, run, &w[0]);
  pthread_create(&b, NULL, run, &w[1]);
  pthread_join(a, NULL);
  pthread_join(b, NULL);
  pthread_barrier_destroy(&start);
}

static void of_two_at_once_one_wins(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  for (int i = 0; i < 10; i++) {
    int64_t version = kit_row(k, t).version;
    struct twin w[2] = {{.k = k, .tracking = t, .name = "x", .expected = version, .who = &k->officer},
                        {.k = k, .tracking = t, .name = "y", .expected = version, .who = &k->officer2}};
    at_once(w, acts_at_once);
    if ((w[0].code == 0) == (w[1].code == 0)) fail_msg("%s and %s", err_name(w[0].code), err_name(w[1].code));
    assert_int_equal(w[0].code ? w[0].code : w[1].code, ERR_CONFLICT);
    assert_int_equal(kit_row(k, t).version, version + 1);
    /* The same key at once: done once, both are told so. */
    const char *key = kit_new_key(k);
    struct twin v[2] = {{.k = k, .tracking = t, .key = key, .expected = version + 1, .who = &k->officer},
                        {.k = k, .tracking = t, .key = key, .expected = version + 1, .who = &k->officer}};
    at_once(v, acts_at_once);
    assert_int_equal(v[0].code, 0);
    assert_int_equal(v[1].code, 0);
    assert_true(v[0].repeated != v[1].repeated);
    assert_int_equal(kit_row(k, t).version, version + 2);
  }
  for (unsigned i = 0; i < 8; i++) {
    struct actor p = kit_person(k, 40 + i);
    struct twin same[2] = {{.k = k, .key = "s", .name = "a", .who = &p}, {.k = k, .key = "s", .name = "a", .who = &p}};
    at_once(same, files_at_once);
    assert_int_equal(same[0].code, 0);
    assert_int_equal(same[1].code, 0);
    assert_true(same[0].repeated != same[1].repeated);
    assert_string_equal(same[0].made, same[1].made);
    /* Two requests of one person: the place is one's. */
    struct actor q = kit_person(k, 50 + i);
    struct twin two[2] = {{.k = k, .key = "1", .name = "a", .who = &q}, {.k = k, .key = "2", .name = "b", .who = &q}};
    at_once(two, files_at_once);
    assert_true((two[0].code == 0) != (two[1].code == 0));
    assert_int_equal(two[0].code ? two[0].code : two[1].code, ERR_CONFLICT);
  }
  kit_verified(k);
}

/* ---- tracking codes ---- */

struct clash { struct kit *k; const char *from, *to; };
static int clash_work(struct store_tx *tx, void *arg, struct err *err) {
  struct clash *w = arg;
  return store_exec(tx, err, "UPDATE cases SET tracking=?2 WHERE tracking=?1", "tt", w->from, w->to) < 0 ||
         store_exec(tx, err, "UPDATE case_event SET tracking=?2 WHERE tracking=?1", "tt", w->from, w->to) < 0 ? -1 : 0;
}

static void a_taken_code_leads_to_the_next(void **state) {
  struct kit *k = *state;
  struct kit_filed f = kit_try(k->cases, k->tacit, &k->ali, "first", json_pack("{s:s}", "what", "a"));
  char code[32], expected[3][TRACKING_SIZE];
  assert_int_equal(identifier_parse(IDENT_TRACKING, f.tracking, code), 0);
  /* The code that "second" would get is another's already. */
  struct kit_filed probe = kit_try(k->cases, k->tacit, &k->ali, "second", json_pack("{s:s}", "what", "b"));
  struct case_row second = kit_row(k, probe.tracking);
  for (unsigned i = 0; i < 3; i++) case_tracking(k->cases, second.key_hash, i, expected[i]);
  assert_string_equal(probe.tracking, expected[0]);
  kit_do(k, "DELETE FROM cases WHERE tracking=?1", probe.tracking);
  kit_do(k, "DELETE FROM case_event WHERE tracking=?1", probe.tracking);
  struct clash w = {k, f.tracking, expected[0]};
  must(store_write(k->store, STORE_FRONT, clash_work, &w, err));
  struct kit_filed other = kit_try(k->cases, k->tacit, &k->ali, "third", json_pack("{s:s}", "what", "c"));
  w = (struct clash){k, other.tracking, expected[1]};
  must(store_write(k->store, STORE_FRONT, clash_work, &w, err));
  struct kit_filed got = kit_try(k->cases, k->tacit, &k->ali, "second", json_pack("{s:s}", "what", "b"));
  assert_int_equal(got.code, 0);
  assert_string_equal(got.tracking, expected[2]);
  assert_false(got.s.repeated);
  struct kit_filed again = kit_try(k->cases, k->tacit, &k->ali, "second", json_pack("{s:s}", "what", "b"));
  assert_string_equal(again.tracking, expected[2]);
  assert_true(again.s.repeated);
  denied(kit_try(k->cases, k->tacit, &k->ali, "second", json_pack("{s:s}", "what", "z")).code, ERR_KEY_REUSED);
}

/* ---- one open request a person ---- */

static void one_open_request_a_person(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  struct kit_filed second = kit_try(k->cases, k->permit, &k->ali, "again", ali_data(k, "دو"));
  assert_int_equal(second.code, ERR_CONFLICT);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM cases WHERE service=?1", "permit"), 1);
  /* By whichever telephone, and by whoever files it. */
  struct actor agent = kit_staff("agent", "upper", ROLE_AGENT);
  denied(kit_try(k->cases, k->permit, &agent, "a", kit_permit_data(k->ali.national_id, "09150000001", "سه", "person")).code, ERR_CONFLICT);
  acts(kit_act(k, t, &k->officer, "reject", "why"));
  struct kit_filed third = kit_try(k->cases, k->permit, &k->ali, "third", ali_data(k, "چهار"));
  assert_int_equal(third.code, 0);
  /* The first may not open again while the other is open. */
  denied(kit_act(k, t, &k->ali, "appeal", NULL), ERR_CONFLICT);
  denied(kit_act(k, t, &k->supervisor, "reopen", NULL), ERR_CONFLICT);
  struct case_row r = kit_row(k, t);
  assert_string_equal(r.state, "rejected");
  assert_int_equal(r.appealed, 0);
  acts(kit_act(k, third.tracking, &k->ali, "withdraw", NULL));
  acts(kit_act(k, t, &k->ali, "appeal", NULL));
  denied(kit_try(k->cases, k->permit, &k->ali, "fourth", ali_data(k, "پنج")).code, ERR_CONFLICT);
  acts(kit_act(k, t, &k->manager, "reject", "why"));
  acts(kit_act(k, t, &k->supervisor, "reopen", NULL));
  denied(kit_try(k->cases, k->permit, &k->ali, "fifth", ali_data(k, "شش")).code, ERR_CONFLICT);
  acts(kit_act(k, t, &k->ali, "withdraw", NULL));
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_reservation WHERE name<>?1", ""), 0);
  kit_verified(k);
}

/* ---- rating, drafts ---- */

static void rated_once_after_the_decision(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person"), *other = kit_tacit(k, &k->ali, "x");
  struct actor stranger = kit_person(k, 5);
  json_t *answers = json_pack("{s:i}", "speed", 4);
  refused(kit_rate(k->cases, &k->ali, t, 5, NULL, NULL, err), ERR_CONFLICT);
  acts(kit_act(k, t, &k->officer, "reject", "why"));
  refused(kit_rate(k->cases, &k->ali, t, 0, NULL, NULL, err), ERR_INVALID);
  refused(kit_rate(k->cases, &k->ali, t, 6, NULL, NULL, err), ERR_INVALID);
  refused(kit_rate(k->cases, &stranger, t, 5, NULL, NULL, err), ERR_NOT_FOUND);
  refused(kit_rate(k->cases, &k->officer, t, 5, NULL, NULL, err), ERR_NOT_FOUND);
  json_object_set_new(answers, "speed", json_integer(6));
  refused(kit_rate(k->cases, &k->ali, t, 4, answers, NULL, err), ERR_INVALID);
  json_object_set_new(answers, "speed", json_integer(2));
  json_object_set_new(answers, "taste", json_integer(2));
  refused(kit_rate(k->cases, &k->ali, t, 4, answers, NULL, err), ERR_INVALID);
  json_object_del(answers, "taste");
  json_object_set_new(answers, "no_visit", json_true());
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_rating WHERE item<>?1", ""), 0);
  must(kit_rate(k->cases, &k->ali, t, 4, answers, "خوب", err));
  assert_int_equal(kit_value(k, "SELECT value FROM case_rating WHERE item=?1 AND survey=3", "speed"), 2);
  assert_int_equal(kit_value(k, "SELECT value FROM case_rating WHERE item=?1", "no_visit"), 1);
  assert_int_equal(kit_value(k, "SELECT value FROM case_rating WHERE item=?1", "score"), 4);
  refused(kit_rate(k->cases, &k->ali, t, 5, NULL, NULL, err), ERR_CONFLICT);
  json_decref(answers);
  json_t *o = kit_get(k, &k->ali, t);
  assert_int_equal(json_int(o, "rating", 0), 4);
  json_decref(o);
  acts(kit_act(k, other, &k->officer, "approve", NULL));
  refused(kit_rate(k->cases, &k->ali, other, 5, NULL, NULL, err), ERR_CONFLICT); /* this service is not rated */
  kit_verified(k);
}

static void drafts_are_kept_thirty_days(void **state) {
  struct kit *k = *state;
  json_t *d = json_pack("{s:s}", "name", "نیمه"), *o;
  must(cases_draft_save(k->cases, "me", "permit", d, err));
  must(cases_draft_save(k->cases, "you", "permit", d, err));
  must(cases_draft_load(k->cases, "me", "permit", &o, err));
  assert_true(json_equal(o, d));
  json_decref(o);
  refused(cases_draft_load(k->cases, "me", "tacit", &o, err), ERR_NOT_FOUND);
  must(cases_draft_drop(k->cases, "you", "permit", err));
  refused(cases_draft_load(k->cases, "you", "permit", &o, err), ERR_NOT_FOUND);
  kit_later(INT64_C(20) * 86400000);
  must(cases_draft_save(k->cases, "me", "tacit", d, err));
  must(cases_drafts(k->cases, "me", &o, err));
  assert_int_equal(json_array_size(o), 2);
  assert_string_equal(json_str(json_array_get(o, 0), "service"), "tacit");
  json_decref(o);
  kit_later(INT64_C(10) * 86400000 - 1000);
  kit_jobs(k);
  must(cases_draft_load(k->cases, "me", "permit", &o, err));
  json_decref(o);
  kit_later(61000);
  kit_jobs(k);
  refused(cases_draft_load(k->cases, "me", "permit", &o, err), ERR_NOT_FOUND);
  must(cases_draft_load(k->cases, "me", "tacit", &o, err));
  json_decref(o);
  char *long_text = base_alloc(70000);
  memset(long_text, 'x', 69999);
  o = json_pack("{s:s}", "name", long_text);
  refused(cases_draft_save(k->cases, "me", "permit", o, err), ERR_TOO_LARGE);
  json_decref(o);
  free(long_text);
  json_decref(d);
}

/* ---- what nobody should do is found ---- */

static void found(struct kit *k, const char *t, const char *what) {
  char lines[2000] = "";
  struct err e = {0};
  assert_int_equal(cases_verify(k->cases, kit_fault, lines, &e), -1);
  assert_int_equal(e.code, ERR_CONFLICT);
  if (!strstr(lines, t) || !strstr(lines, what)) fail_msg("'%s' was not found: %s", what, lines);
}

static void verify_finds_what_was_changed(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  for (unsigned i = 0; i < 5; i++) {
    struct actor p = kit_person(k, 10 + i);
    kit_permit(k, &p, "person");
  }
  acts(kit_act(k, t, &k->officer, "request_info", "why"));
  must(cases_verify(k->cases, kit_fault, NULL, err));
  kit_do(k, "UPDATE cases SET state='approved' WHERE tracking=?1", t);
  found(k, t, "not in the state");
  kit_do(k, "UPDATE cases SET state='waiting' WHERE tracking=?1", t);
  must(cases_verify(k->cases, kit_fault, NULL, err));
  kit_do(k, "UPDATE cases SET version=3 WHERE tracking=?1", t);
  found(k, t, "as many events");
  kit_do(k, "UPDATE cases SET version=2 WHERE tracking=?1", t);
  kit_do(k, "UPDATE cases SET data='{\"name\":\"other\"}' WHERE tracking=?1", t);
  found(k, t, "answers that were submitted");
  kit_do(k, "UPDATE cases SET data=NULL WHERE tracking=?1", t);
  must(cases_verify(k->cases, kit_fault, NULL, err));
  kit_do(k, "DELETE FROM case_event WHERE seq=2 AND tracking=?1", t);
  found(k, t, "as many events");
  kit_do(k, "UPDATE cases SET version=1,state='submitted',first_payload=NULL,first_salt=NULL WHERE tracking=?1", t);
  found(k, t, "lost its answers");
}

/* A case that is read must not cost what all others have. The plan is SQLite's; PostgreSQL moves the choice inside by itself. */
static void a_history_is_read_by_its_key(void **state) {
  struct store *s = NULL;
  sqlite3 *db = NULL;
  sqlite3_stmt *st = NULL;
  char where[600];
  int searches = 0;
  kit_new_where(false, where, sizeof where);
  must(store_open(where, NULL, &s, err));
  must(store_migrate(s, NULL, err));
  store_close(s);
  assert_int_equal(sqlite3_open(where + strlen("sqlite:"), &db), SQLITE_OK);
  assert_int_equal(sqlite3_prepare_v2(db, "EXPLAIN QUERY PLAN SELECT seq,at FROM " CASE_EVENTS "WHERE seq>?2 ORDER BY seq LIMIT ?3", -1, &st, NULL), SQLITE_OK);
  while (sqlite3_step(st) == SQLITE_ROW) {
    const char *detail = (const char *)sqlite3_column_text(st, 3);
    assert_null(strstr(detail, "SCAN case"));
    searches += strstr(detail, "SEARCH case_event USING PRIMARY KEY (filed=? AND tracking=?") != NULL;
  }
  assert_int_equal(searches, 1);
  sqlite3_finalize(st);
  sqlite3_close(db);
}

static void verify_follows_answers_given_later(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  for (int i = 0; i < 2; i++) {
    acts(kit_act(k, t, &k->officer, "request_info", "why"));
    acts(kit_acts(k->cases, t, &k->ali, "provide_info", NULL, i ? "{\"answer\":\"two\"}" : "{\"answer\":\"one\",\"name\":\"نام تازه\"}", -1, NULL, NULL));
  }
  must(cases_verify(k->cases, kit_fault, NULL, err));
  json_t *o = kit_get(k, &k->ali, t);
  assert_string_equal(json_str(json_object_get(o, "data"), "name"), "نام تازه");
  assert_string_equal(json_str(json_object_get(o, "data"), "answer"), "two");
  json_decref(o);
  kit_do(k, "UPDATE cases SET data=REPLACE(data,'a secret','no secret') WHERE tracking=?1", t);
  found(k, t, "answers that were submitted");
  kit_do(k, "UPDATE cases SET data=REPLACE(data,'no secret','a secret') WHERE tracking=?1", t);
  must(cases_verify(k->cases, kit_fault, NULL, err));
  kit_do(k, "UPDATE cases SET data=NULL WHERE tracking=?1", t);
  found(k, t, "answers that were submitted");
}

static void verify_sees_every_page(void **state) {
  struct kit *k = *state;
  const char *last = "";
  for (unsigned i = 0; i < 505; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%u", i);
    struct kit_filed f = kit_try(k->cases, k->tacit, &k->ali, key, json_pack("{s:s}", "what", "x"));
    if (strcmp(f.tracking, last) > 0) last = kit_keep(k, &f);
  }
  must(cases_verify(k->cases, kit_fault, NULL, err));
  kit_do(k, "UPDATE cases SET state='accepted' WHERE tracking=?1", last);
  found(k, last, "not in the state");
  struct cases_figures f;
  must(cases_figures(k->cases, &f, err));
  assert_int_equal(f.cases, 505);
  assert_int_equal(f.open, 505);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    KIT_TEST(the_same_key_gives_the_same_answer), KIT_TEST(the_same_key_of_an_action), KIT_TEST(of_two_at_once_one_wins),
    KIT_TEST(a_taken_code_leads_to_the_next), KIT_TEST(one_open_request_a_person), KIT_TEST(rated_once_after_the_decision),
    KIT_TEST(drafts_are_kept_thirty_days), KIT_TEST(verify_finds_what_was_changed), KIT_TEST(a_history_is_read_by_its_key),
    KIT_TEST(verify_follows_answers_given_later),
    KIT_TEST(verify_sees_every_page),
  };
  KIT_RUN(tests);
}
