/* What happens without anybody asking, and what one case causes in another: silence, escalation, inquiries, the outbox, two nodes. */
#include "cases-kit.h"

static struct actor records_officer(void) { return kit_staff("rec", "records", ROLE_OFFICER); }
static struct actor upper_officer(void) { return kit_staff("upp", "upper", ROLE_OFFICER); }

static int64_t notices(struct kit *k, const char *text) {
  return kit_value(k, "SELECT COUNT(*) FROM notify_message WHERE body LIKE ?1", text);
}

static void told_thrice_then_silence_is_consent(void **state) {
  struct kit *k = *state;
  const char *t = kit_tacit(k, &k->ali, "چیز");
  static const struct { const char *day; int told; } steps[] = {{"2026-06-08", 0}, {"2026-06-09", 1}, {"2026-06-13", 1}, {"2026-06-14", 2},
    {"2026-06-20", 2}, {"2026-06-21", 3}, {"2026-06-26", 3}};
  for (size_t i = 0; i < BASE_COUNT(steps); i++) {
    kit_until(k, steps[i].day);
    if (kit_events(k, t, "escalate") != steps[i].told) fail_msg("%s: told %d times", steps[i].day, (int)kit_events(k, t, "escalate"));
    state_is(k, t, "filed");
  }
  kit_until(k, "2026-06-27"); /* twelve days: 7 8 9 10 13 14 17 20 21 22 23 24, and the next working day */
  struct case_row r = kit_row(k, t);
  assert_string_equal(r.state, "accepted");
  assert_string_equal(r.decider, "system");
  assert_int_equal(r.result, RESULT_APPROVED);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_event WHERE action='approve' AND role='system' AND tracking=?1", t), 1);
  assert_int_equal(kit_events(k, t, "escalate"), 3);
  assert_int_equal(notices(k, "Accepted%"), 1);
  kit_verified(k);
}

static void told_thrice_then_quiet(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  kit_until(k, "2026-07-20");
  assert_int_equal(kit_events(k, t, "escalate"), 3);
  assert_int_equal(kit_row(k, t).next_ord, NO_ORD);
  assert_int_equal(notices(k, "Late%"), 3);
  /* In another state it is told again: at its beginning, for the case is late; then as ever. */
  acts(kit_act(k, t, &k->officer, "approve", NULL));
  kit_jobs(k);
  assert_int_equal(kit_events(k, t, "escalate"), 3);
  kit_until(k, "2026-07-25"); /* a Saturday */
  assert_int_equal(kit_events(k, t, "escalate"), 4);
  kit_until(k, "2026-07-26");
  assert_int_equal(kit_events(k, t, "escalate"), 5);
  kit_until(k, "2026-08-20");
  assert_int_equal(kit_events(k, t, "escalate"), 6);
}

static void the_asked_are_silent(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "company");
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  kit_jobs(k);
  const char *known = kit_child(k, t, "known"), *local = kit_child(k, t, "local");
  struct case_row a = kit_row(k, known), b = kit_row(k, local);
  assert_string_equal(a.owner, "records");
  assert_string_equal(b.owner, "upper");
  legal_is(k, known, "2026-06-09");
  legal_is(k, local, "2026-06-08");
  kit_until(k, "2026-06-09");
  assert_int_equal(kit_events(k, local, "escalate"), 1);
  state_is(k, known, INQUIRY_OPEN);
  kit_until(k, "2026-06-10");
  state_is(k, known, INQUIRY_CONSENTED);
  assert_int_equal(kit_events(k, t, "inquiry_reply"), 1);
  state_is(k, t, "asking");
  kit_until(k, "2026-06-14");
  assert_int_equal(kit_events(k, local, "escalate"), 2);
  kit_until(k, "2026-06-21");
  assert_int_equal(kit_events(k, local, "escalate"), 3);
  kit_until(k, "2026-07-20");
  assert_int_equal(kit_events(k, local, "escalate"), 3);
  state_is(k, local, INQUIRY_OPEN);
  struct actor there = upper_officer();
  acts(kit_acts(k->cases, local, &there, "reply", NULL, "{\"answer\":\"agree\"}", -1, NULL, NULL));
  kit_jobs(k);
  state_is(k, t, "submitted");
  assert_int_equal(kit_events(k, t, "inquiry_reply"), 2);
  assert_int_equal(kit_events(k, t, "reply"), 1);
  kit_verified(k);
}

static void nobody_to_ask_moves_on(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "known");
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  kit_jobs(k);
  state_is(k, t, "submitted");
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_child WHERE parent=?1", t), 0);
}

static void a_quick_answer_is_not_the_last(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "company");
  struct actor there = records_officer(), upper = upper_officer();
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  kit_do(k, "UPDATE case_outbox SET at=at+60000 WHERE id LIKE ?1", "%/local");
  kit_jobs(k);
  const char *known = kit_child(k, t, "known");
  acts(kit_acts(k->cases, known, &there, "reply", "well known", "{\"answer\":\"agree\"}", -1, NULL, NULL));
  kit_jobs(k);
  state_is(k, t, "asking");
  kit_later(61000);
  kit_jobs(k);
  kit_later(6000);
  kit_jobs(k);
  state_is(k, t, "asking");
  const char *local = kit_child(k, t, "local");
  denied(kit_acts(k->cases, local, &upper, "reply", NULL, "{\"answer\":\"object\"}", -1, NULL, NULL), ERR_INVALID);
  denied(kit_acts(k->cases, local, &upper, "reply", NULL, "{\"answer\":\"perhaps\"}", -1, NULL, NULL), ERR_INVALID);
  denied(kit_acts(k->cases, local, &upper, "reply", "no", "{\"answer\":\"object\"}", 7, NULL, NULL), ERR_CONFLICT);
  acts(kit_acts(k->cases, local, &upper, "reply", "no", "{\"answer\":\"object\"}", 1, NULL, NULL));
  kit_jobs(k);
  state_is(k, t, "submitted");
}

/* A citizen answers a question in the midst of an inquiry; the last answer came meanwhile. */
static void answered_while_the_case_waits(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  struct actor there = records_officer();
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  kit_jobs(k);
  acts(kit_act(k, t, &k->officer, "request_info", "why"));
  acts(kit_acts(k->cases, kit_child(k, t, "known"), &there, "reply", NULL, "{\"answer\":\"agree\"}", -1, NULL, NULL));
  kit_jobs(k);
  state_is(k, t, "waiting");
  acts(kit_acts(k->cases, t, &k->ali, "provide_info", NULL, "{\"answer\":\"here\"}", -1, NULL, NULL));
  kit_later(6000);
  kit_jobs(k);
  state_is(k, t, "submitted");
}

/* ---- the parent closes first ---- */

static void a_closed_case_asks_nobody(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "company");
  struct actor there = records_officer();
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  kit_jobs(k);
  const char *known = kit_child(k, t, "known"), *local = kit_child(k, t, "local");
  acts(kit_acts(k->cases, known, &there, "reply", NULL, "{\"answer\":\"agree\"}", -1, NULL, NULL));
  kit_jobs(k);
  acts(kit_act(k, t, &k->ali, "withdraw", NULL));
  int64_t version = kit_row(k, t).version;
  kit_jobs(k);
  state_is(k, known, INQUIRY_ANSWERED);
  state_is(k, local, INQUIRY_CANCELLED);
  struct case_row r = kit_row(k, local);
  assert_int_equal(r.result, RESULT_CLOSED);
  assert_int_equal(r.next_ord, NO_ORD);
  there = upper_officer();
  denied(kit_acts(k->cases, local, &there, "reply", NULL, "{\"answer\":\"agree\"}", -1, NULL, NULL), ERR_CONFLICT);
  kit_until(k, "2026-07-01");
  assert_int_equal(kit_row(k, t).version, version);
  assert_int_equal(kit_events(k, local, "escalate"), 0);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_child WHERE open=1 AND parent=?1", t), 0);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_outbox WHERE id<>?1", ""), 0);
  kit_verified(k);
}

static void questions_on_their_way_are_not_asked(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "company");
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  acts(kit_act(k, t, &k->ali, "withdraw", NULL));
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_child WHERE parent=?1 AND open=1", t), 0);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM cases WHERE parent=?1 AND result=0", t), 0);
}

/* ---- the outbox ---- */

struct effect_row { const char *id, *kind, *tracking, *payload; };
static int effect_work(struct store_tx *tx, void *arg, struct err *err) {
  struct effect_row *e = arg;
  return store_put(tx, err, "INSERT INTO case_outbox (id,at,kind,tracking,payload,tries) VALUES (?1,?2,?3,?4,?5,0)", "titt" "t", e->id, clock_now(), e->kind,
                   e->tracking, e->payload);
}
static void put_effect(struct kit *k, const char *id, const char *kind, const char *tracking, const char *payload) {
  struct effect_row e = {id, kind, tracking, payload};
  must(store_write(k->store, STORE_FRONT, effect_work, &e, err));
}

static void an_effect_is_applied_once_however_often_it_is_tried(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  struct actor there = records_officer();
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  kit_jobs(k);
  put_effect(k, arena_printf(k->arena, "%s/2/known", t), "inquiry", t, "{\"inquiry\":\"known\"}"); /* a node died before it could cross it out */
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM cases WHERE parent=?1", t), 1);
  const char *known = kit_child(k, t, "known");
  acts(kit_acts(k->cases, known, &there, "reply", NULL, "{\"answer\":\"agree\"}", -1, NULL, NULL));
  kit_jobs(k);
  int64_t version = kit_row(k, t).version;
  put_effect(k, arena_printf(k->arena, "%s/2/%s", t, known), "reply", t, "{\"answer\":\"agree\"}");
  kit_jobs(k);
  assert_int_equal(kit_row(k, t).version, version);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_outbox WHERE id<>?1", ""), 0);
  kit_verified(k);
}

static void a_failed_effect_is_tried_again(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "known");
  acts(kit_act(k, t, &k->officer, "approve", NULL));
  acts(kit_act(k, t, &k->officer2, "approve", NULL));
  kit_record_fails = 1;
  kit_jobs(k);
  kit_later(2000);
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT tries FROM case_outbox WHERE tracking=?1", t), 1);
  kit_later(4000);
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT tries FROM case_outbox WHERE tracking=?1", t), 2);
  kit_record_fails = 0;
  kit_later(6000);
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_outbox WHERE tracking=?1", t), 0);
  char *value = NULL, *name = base_printf("members/%s", t);
  must(cases_note(k->cases, name, &value, err));
  assert_string_equal(value, "{\"name\":\"کارگاه سفال\",\"national_id\":\"0499370899\"}");
  free(value);
  free(name);
}

static void a_poisoned_effect_stops_no_other(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  log_set_level(LOG_ERROR + 1);
  put_effect(k, "!1", "reply", t, "this is no JSON");
  put_effect(k, "!2", "nonsense", t, "{}");
  put_effect(k, "!3/1/none", "replied", "0000000000000000", "{}");
  put_effect(k, "!4/1/x", "inquiry", "0000000000000000", "{\"inquiry\":\"known\"}");
  put_effect(k, "!5/1/x", "inquiry", t, "{\"inquiry\":\"nobody knows\"}");
  put_effect(k, "!6/1/x", "reply", t, "[1,2]");
  put_effect(k, "!7", "cancel", "0000000000000000", "7");
  for (int i = 0; i < 70; i++) put_effect(k, arena_printf(k->arena, "!8/%d/none", i), "replied", "0000000000000000", "{}"); /* more than a batch */
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  kit_jobs(k);
  kit_jobs(k);
  log_set_level(LOG_ERROR);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM cases WHERE parent=?1", t), 1);
  kit_verified(k);
}

/* ---- several at once ---- */

struct racer {
  struct kit *k;
  struct cases *c;
  const char *tracking;
  struct actor who;
  pthread_barrier_t *start;
  enum err_code code;
  int rounds;
};

static void *runs_jobs(void *arg) {
  struct racer *r = arg;
  pthread_barrier_wait(r->start);
  for (int i = 0; i < r->rounds; i++) {
    struct err e = {0};
    if (cases_jobs(r->c, NULL, &e)) r->code = e.code;
  }
  return NULL;
}

static void *replies(void *arg) {
  struct racer *r = arg;
  pthread_barrier_wait(r->start);
  r->code = kit_acts(r->c, r->tracking, &r->who, "reply", NULL, "{\"answer\":\"agree\"}", -1, NULL, NULL);
  return NULL;
}

static void an_answer_races_silence(void **state) {
  struct kit *k = *state;
  for (unsigned i = 0; i < 6; i++) {
    kit_now("2026-06-06");
    kit_later((int64_t)i * 60000);
    struct actor p = kit_person(k, 60 + i);
    const char *t = kit_permit(k, &p, "person");
    acts(kit_act(k, t, &k->officer, "inquire", NULL));
    kit_jobs(k);
    kit_now("2026-06-10");
    kit_later((int64_t)i * 60000);
    pthread_barrier_t start;
    pthread_t a, b;
    pthread_barrier_init(&start, NULL, 2);
    struct racer jobs = {.c = k->cases, .start = &start, .rounds = 3}, 
                 answer = {.c = k->cases, .tracking = kit_child(k, t, "known"), .who = records_officer(), .start = &start};
    pthread_create(&a, NULL, runs_jobs, &jobs);
    pthread_create(&b, NULL, replies, &answer);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    pthread_barrier_destroy(&start);
    assert_int_equal(jobs.code, 0);
    bool won = answer.code == 0;
    if (!won) assert_int_equal(answer.code, ERR_CONFLICT);
    assert_int_equal(kit_events(k, answer.tracking, "reply"), won);
    assert_int_equal(kit_events(k, answer.tracking, "silence"), !won);
    state_is(k, answer.tracking, won ? INQUIRY_ANSWERED : INQUIRY_CONSENTED);
    kit_later(6000);
    kit_jobs(k);
    assert_int_equal(kit_events(k, t, "inquiry_reply"), 1);
    state_is(k, t, "submitted");
  }
  kit_verified(k);
}

/* Leases that end in the midst of the work: both nodes believe it is theirs. */
static void *loses_leases(void *arg) {
  struct racer *r = arg;
  pthread_barrier_wait(r->start);
  for (int i = 0; i < r->rounds; i++) {
    kit_do(r->k, "DELETE FROM store_lock WHERE name=?1", "cases-jobs");
    kit_sleep(3);
  }
  return NULL;
}

static void both_run(struct kit *k, struct cases *two, int rounds) {
  pthread_barrier_t start;
  pthread_t threads[3];
  pthread_barrier_init(&start, NULL, 3);
  struct racer r[3] = {{.c = k->cases, .start = &start, .rounds = rounds}, {.c = two, .start = &start, .rounds = rounds},
                       {.k = k, .start = &start, .rounds = rounds * 4}};
  pthread_create(&threads[0], NULL, runs_jobs, &r[0]);
  pthread_create(&threads[1], NULL, runs_jobs, &r[1]);
  pthread_create(&threads[2], NULL, loses_leases, &r[2]);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&start);
  assert_int_equal(r[0].code, 0);
  assert_int_equal(r[1].code, 0);
}

static void two_nodes_do_everything_once(void **state) {
  struct kit *k = *state;
  enum { MANY = 14 };
  struct cases *two = kit_node(k, "two");
  const char *t[MANY], *tacit[MANY];
  for (unsigned i = 0; i < MANY; i++) {
    struct actor p = kit_person(k, 100 + i);
    t[i] = kit_permit(k, &p, "company");
    tacit[i] = kit_tacit(k, &p, "چیز");
    acts(kit_act(k, t[i], &k->officer, "inquire", NULL));
  }
  both_run(k, two, 8);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM cases WHERE parent<>?1", ""), 2 * MANY);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_child WHERE parent<>?1", ""), 2 * MANY);
  kit_now("2026-06-10"); /* known consents, local and the declarations are told */
  both_run(k, two, 8);
  kit_later(6000);
  both_run(k, two, 4);
  for (unsigned i = 0; i < MANY; i++) {
    assert_int_equal(kit_events(k, t[i], "inquiry_reply"), 1);
    assert_int_equal(kit_events(k, kit_child(k, t[i], "known"), "silence"), 1);
    assert_int_equal(kit_events(k, kit_child(k, t[i], "local"), "escalate"), 1);
    assert_int_equal(kit_events(k, tacit[i], "escalate"), 1);
  }
  kit_now("2026-06-27");
  both_run(k, two, 8);
  for (unsigned i = 0; i < MANY; i++) {
    assert_int_equal(kit_events(k, tacit[i], "approve"), 1);
    state_is(k, tacit[i], "accepted");
  }
  assert_int_equal(notices(k, "Accepted%"), MANY);
  assert_int_equal(notices(k, "Received%"), MANY);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_outbox WHERE id<>?1", ""), 0);
  cases_close(two);
  kit_verified(k);
}

static void another_takes_over_when_the_lease_has_ended(void **state) {
  struct kit *k = *state;
  struct cases *two = kit_node(k, "two");
  kit_jobs(k); /* the lease is the first's */
  const char *t = kit_permit(k, &k->ali, "person");
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  kit_jobs_of(two);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM cases WHERE parent=?1", t), 0);
  cases_close(k->cases); /* it dies with its work undone */
  k->cases = two;
  kit_later(9000);
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM cases WHERE parent=?1", t), 0);
  kit_later(2000);
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM cases WHERE parent=?1", t), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    KIT_TEST(told_thrice_then_silence_is_consent), KIT_TEST(told_thrice_then_quiet), KIT_TEST(the_asked_are_silent), KIT_TEST(nobody_to_ask_moves_on),
    KIT_TEST(a_quick_answer_is_not_the_last), KIT_TEST(answered_while_the_case_waits), KIT_TEST(a_closed_case_asks_nobody),
    KIT_TEST(questions_on_their_way_are_not_asked), KIT_TEST(an_effect_is_applied_once_however_often_it_is_tried),
    KIT_TEST(a_failed_effect_is_tried_again), KIT_TEST(a_poisoned_effect_stops_no_other), KIT_TEST(an_answer_races_silence),
    KIT_TEST(two_nodes_do_everything_once), KIT_TEST(another_takes_over_when_the_lease_has_ended),
  };
  KIT_RUN(tests);
}
