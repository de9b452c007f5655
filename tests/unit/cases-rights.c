/* Who may see and do what: every kind of actor, what is another's, decisions by others than before, what the helpdesk and the asked see. */
#include "cases-kit.h"

enum { NOBODY, ALI, ALI_CLAIMED, ALI_OTHER_SIM, STRANGER, CHILD, CHILD_CLAIMED, OFFICER, SUPERVISOR, MANAGER, HELPDESK, AUDITOR, OPERATOR, AGENT, AGENT_HERE,
       CREW, CREW_HELPDESK, ACTORS };
static const char *const names[ACTORS] = {"nobody", "ali", "ali claimed", "ali by another telephone", "stranger", "child", "child claimed", "officer", "supervisor",
  "manager", "helpdesk", "auditor", "operator", "agent", "agent here", "crew", "helpdesk of the crew"};

static void everybody(struct kit *k, struct actor who[ACTORS]) {
  who[NOBODY] = (struct actor){0};
  who[ALI] = k->ali;
  who[ALI_CLAIMED] = kit_citizen(k, "0499370899", "09151234567", ASSURANCE_CLAIMED);
  who[ALI_OTHER_SIM] = kit_citizen(k, "0499370899", "09150000000", ASSURANCE_CLAIMED);
  who[STRANGER] = kit_person(k, 5);
  who[CHILD] = kit_person(k, 6);
  who[CHILD_CLAIMED] = kit_person(k, 6);
  who[CHILD_CLAIMED].assurance = ASSURANCE_CLAIMED;
  memcpy(who[CHILD_CLAIMED].person, who[CHILD_CLAIMED].pair, sizeof who[CHILD_CLAIMED].person);
  who[OFFICER] = k->officer;
  who[SUPERVISOR] = k->supervisor;
  who[MANAGER] = k->manager;
  who[HELPDESK] = kit_staff("helper", "centre", ROLE_HELPDESK);
  who[AUDITOR] = kit_staff("auditor", "records", ROLE_AUDITOR);
  who[OPERATOR] = kit_staff("operator", "records", ROLE_OPERATOR);
  who[AGENT] = kit_staff("agent", "upper", ROLE_AGENT);
  who[AGENT_HERE] = kit_staff("agent2", "centre", ROLE_AGENT);
  who[CREW] = kit_staff("digger", "crew", ROLE_OFFICER);
  who[CREW_HELPDESK] = kit_staff("digger2", "crew", ROLE_HELPDESK);
}

static const char *child_permit(struct kit *k) {
  char id[16];
  json_t *data = kit_permit_data(k->ali.national_id, k->ali.mobile, "کارگاه", "person");
  json_put(data, "child", kit_id(6, id));
  struct kit_filed f = kit_try(k->cases, k->permit, &k->ali, kit_new_key(k), data);
  return kit_keep(k, &f);
}

/* 4: not found, 3: forbidden, +: it would be done, but the version is another, w: its condition does not hold. */
static void every_actor_and_every_action(void **state) {
  struct kit *k = *state;
  static const char *const actions[] = {"assign", "approve", "reject", "extend", "withdraw", "note", "refer", "inquire", "request_info", "suspend", "fly"};
  static const char *const expected[ACTORS] = {
    [NOBODY] = "44444444444", [ALI] = "3333+333333", [ALI_CLAIMED] = "3333+333333", [ALI_OTHER_SIM] = "44444444444", [STRANGER] = "44444444444",
    [CHILD] = "3333+333333", [CHILD_CLAIMED] = "44444444444", [OFFICER] = "+++33w++++?", [SUPERVISOR] = "++++3333333", [MANAGER] = "33+33333333",
    [HELPDESK] = "33333333333", [AUDITOR] = "33333333333", [OPERATOR] = "33333333333", [AGENT] = "44444444444", [AGENT_HERE] = "44444444444",
    [CREW] = "44444444444", [CREW_HELPDESK] = "44444444444"};
  static const char *const rights[ACTORS] = {[ALI] = "citizen", [ALI_CLAIMED] = "citizen", [CHILD] = "citizen", [OFFICER] = "staff", [SUPERVISOR] = "staff",
    [MANAGER] = "staff", [HELPDESK] = "helpdesk", [AUDITOR] = "auditor"};
  struct actor who[ACTORS];
  everybody(k, who);
  const char *t = child_permit(k);
  json_t *o;
  for (int a = 0; a < ACTORS; a++) {
    for (size_t i = 0; i < BASE_COUNT(actions); i++) {
      char sign = expected[a][i];
      enum err_code code = kit_acts(k->cases, t, &who[a], actions[i], "why", NULL, sign == '3' ? 1 : 99, NULL, NULL);
      enum err_code want = sign == '4' ? ERR_NOT_FOUND : sign == '3' && strcmp(actions[i], "fly") != 0 ? ERR_FORBIDDEN : ERR_CONFLICT;
      if (code != want) fail_msg("%s %s: %s, not %s", names[a], actions[i], err_name(code), err_name(want));
    }
    o = kit_get(k, &who[a], t);
    if (!base_same(json_str(o, "right"), rights[a])) fail_msg("%s: %s", names[a], json_str(o, "right"));
    static const char *const secrets[] = {"data", "answers", "actions", "applicant", "beneficiary", "submitter", "intake", "children", "version", "clock", "assignee"};
    for (size_t i = 0; !rights[a] && i < BASE_COUNT(secrets); i++)
      if (json_object_get(o, secrets[i])) fail_msg("%s sees %s", names[a], secrets[i]);
    char *text = json_dumps(o, JSON_SORT_KEYS);
    bool sees = strstr(text, "a secret") != NULL, may = rights[a] && strcmp(rights[a], "helpdesk") != 0;
    if (sees != may) fail_msg("%s: %s", names[a], text);
    free(text);
    json_decref(o);
    struct err e = {0};
    bool leaf = cases_leaf(k->cases, &who[a], t, 1, &o, NULL, &e) == 0;
    if (leaf) json_decref(o);
    else assert_int_equal(e.code, ERR_NOT_FOUND);
    if (leaf != may) fail_msg("%s and the leaf", names[a]);
  }
  assert_int_equal(kit_row(k, t).version, 1);
  /* A code that nobody has answers as what is another's. */
  denied(kit_act(k, "1234567812345670", &k->officer, "approve", NULL), ERR_NOT_FOUND);
  refused(cases_get(k->cases, &k->officer, "1234567812345670", LANG_EN, &o, err), ERR_NOT_FOUND);
}

static void actions_shown_are_actions_allowed(void **state) {
  struct kit *k = *state;
  struct actor who[ACTORS];
  everybody(k, who);
  const char *t = child_permit(k);
  for (int a = 0; a < ACTORS; a++) {
    json_t *o = kit_get(k, &who[a], t), *list = json_object_get(o, "actions"), *one;
    size_t i, shown = 0, allowed = 0;
    json_array_foreach(list, i, one) {
      if (strcmp(json_str(one, "name"), "add_documents") == 0) continue; /* of every open case: in documents.mjs */
      shown++;
      denied(kit_acts(k->cases, t, &who[a], json_str(one, "name"), "why", NULL, 99, NULL, NULL), ERR_CONFLICT);
    }
    for (size_t n = 0; n < k->permit->states[0].action_count; n++) {
      enum err_code why;
      struct case_row r = kit_row(k, t);
      json_t *data = kit_json(r.data);
      allowed += json_str(o, "right") && case_may(&who[a], &r, &k->permit->states[0].actions[n], data, &why);
      json_decref(data);
    }
    assert_int_equal(shown, allowed);
    json_decref(o);
  }
}

static void nobody_decides_their_own(void **state) {
  struct kit *k = *state;
  struct actor both = kit_staff("both", "centre", ROLE_AGENT), other = kit_staff("other", "upper", ROLE_AGENT);
  both.role_count = 2;
  both.roles[1] = k->officer.roles[0];
  char id[16];
  struct kit_filed f = kit_try(k->cases, k->permit, &both, "a", kit_permit_data(kit_id(70, id), "09150000070", "کار", "person"));
  const char *t = kit_keep(k, &f);
  struct case_row r = kit_row(k, t);
  assert_string_equal(r.submitted_by, "agent");
  denied(kit_act(k, t, &both, "approve", NULL), ERR_FORBIDDEN);
  denied(kit_act(k, t, &both, "reject", "why"), ERR_FORBIDDEN);
  acts(kit_act(k, t, &both, "assign", NULL));
  denied(kit_act(k, t, &other, "withdraw", NULL), ERR_NOT_FOUND);
  json_t *o;
  must(cases_mine(k->cases, &both, NULL, 0, LANG_EN, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "items")), 1);
  json_decref(o);
  must(cases_mine(k->cases, &other, NULL, 0, LANG_EN, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "items")), 0);
  json_decref(o);
  /* The person it is about sees it as theirs; the agent sees it masked, and does nothing with it without the citizen's code. */
  struct actor person = kit_citizen(k, id, "09150000099", ASSURANCE_SIM_MATCHED), agent = both;
  agent.role_count = 1;
  o = kit_get(k, &person, t);
  assert_string_equal(json_str(o, "right"), "citizen");
  json_decref(o);
  o = kit_get(k, &agent, t);
  assert_string_equal(json_str(o, "right"), "counter");
  assert_int_equal(json_array_size(json_object_get(o, "actions")), 0);
  assert_true(strchr(json_str(json_object_get(o, "data"), "national_id"), '*') || strstr(json_str(json_object_get(o, "data"), "national_id"), "•"));
  json_decref(o);
  denied(kit_act(k, t, &agent, "withdraw", NULL), ERR_FORBIDDEN);
  acts(kit_act(k, t, &person, "withdraw", NULL));
  kit_later(INT64_C(31) * 86400000);
  o = kit_get(k, &agent, t);
  assert_null(json_str(o, "right"));
  json_decref(o);
}

static void two_signatures(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  acts(kit_act(k, t, &k->officer, "approve", NULL));
  state_is(k, t, "confirming");
  denied(kit_act(k, t, &k->officer, "approve", NULL), ERR_FORBIDDEN);
  json_t *o = kit_get(k, &k->officer, t);
  assert_int_equal(json_array_size(json_object_get(o, "actions")), 1);
  assert_string_equal(json_str(json_array_get(json_object_get(o, "actions"), 0), "name"), "add_documents");
  json_decref(o);
  acts(kit_act(k, t, &k->supervisor, "return_to_officer", NULL));
  acts(kit_act(k, t, &k->officer2, "approve", NULL));
  acts(kit_act(k, t, &k->officer, "approve", NULL));
  state_is(k, t, "approved");
}

static void an_appeal_is_decided_by_others(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  struct actor supervisor2 = kit_staff("supervisor2", "centre", ROLE_SUPERVISOR);
  acts(kit_act(k, t, &k->supervisor, "reject", "why"));
  acts(kit_act(k, t, &k->ali, "appeal", NULL));
  denied(kit_act(k, t, &k->supervisor, "approve", NULL), ERR_FORBIDDEN);
  denied(kit_act(k, t, &k->supervisor, "reject", "why"), ERR_FORBIDDEN);
  acts(kit_act(k, t, &k->manager, "look_again", NULL));
  denied(kit_act(k, t, &k->supervisor, "approve", NULL), ERR_FORBIDDEN);
  acts(kit_act(k, t, &k->officer, "approve", NULL));
  denied(kit_act(k, t, &k->officer, "approve", NULL), ERR_FORBIDDEN);
  denied(kit_act(k, t, &k->supervisor, "approve", NULL), ERR_FORBIDDEN); /* though another has signed in between */
  acts(kit_act(k, t, &supervisor2, "approve", NULL));
  state_is(k, t, "approved");
  /* Names that begin alike are two people; whoever took part in an appeal is out of the next. */
  const char *u;
  struct actor other = kit_person(k, 5), super = kit_staff("super", "centre", ROLE_SUPERVISOR);
  u = kit_permit(k, &other, "person");
  acts(kit_act(k, u, &k->supervisor, "reject", "why"));
  acts(kit_act(k, u, &other, "appeal", NULL));
  acts(kit_act(k, u, &super, "reject", "why"));
  acts(kit_act(k, u, &other, "appeal", NULL));
  denied(kit_act(k, u, &super, "approve", NULL), ERR_FORBIDDEN);
  denied(kit_act(k, u, &k->supervisor, "approve", NULL), ERR_FORBIDDEN);
  acts(kit_act(k, u, &supervisor2, "approve", NULL));
  kit_verified(k);
}

/* ---- what is shown of the answers ---- */

static void the_helpdesk_sees_nothing_personal(void **state) {
  struct kit *k = *state;
  struct actor helper = kit_staff("helper", "centre", ROLE_HELPDESK);
  const char *t = kit_permit(k, &k->ali, "person");
  acts(kit_act(k, t, &k->officer, "request_info", "why"));
  acts(kit_acts(k->cases, t, &k->ali, "provide_info", NULL, "{\"answer\":\"my secret\"}", -1, NULL, NULL));
  json_t *o = kit_get(k, &helper, t), *data = json_object_get(o, "data");
  assert_string_equal(json_str(data, "national_id"), "049****899");
  assert_string_equal(json_str(data, "mobile"), "091*****567");
  assert_string_equal(json_str(data, "name"), "کارگاه سفال");
  char *text = json_dumps(o, 0);
  if (strstr(text, "secret")) fail_msg("%s", text);
  free(text);
  assert_int_equal(json_array_size(json_object_get(o, "actions")), 0);
  json_decref(o);
  must(cases_events(k->cases, &helper, t, 0, 500, LANG_EN, &o, NULL, err));
  text = json_dumps(o, 0);
  assert_null(strstr(text, "secret"));
  free(text);
  json_decref(o);
}

static void the_asked_see_what_they_are_asked(void **state) {
  struct kit *k = *state;
  struct actor there = kit_staff("rec", "records", ROLE_OFFICER), chief = kit_staff("rec2", "records", ROLE_MANAGER), helper = kit_staff("rec3", "records", ROLE_HELPDESK),
               local = kit_staff("upp", "upper", ROLE_OFFICER), agent = kit_staff("rec4", "records", ROLE_AGENT);
  const char *t = kit_permit(k, &k->ali, "company");
  acts(kit_act(k, t, &k->officer, "inquire", "look at the secret"));
  kit_jobs(k);
  const char *known = kit_child(k, t, "known");
  json_t *o = kit_get(k, &there, known), *want = json_pack("{s:s,s:s}", "national_id", "0499370899", "name", "کارگاه سفال");
  assert_string_equal(json_str(o, "right"), "inquired");
  assert_true(json_equal(json_object_get(o, "data"), want));
  assert_int_equal(json_array_size(json_object_get(o, "answers")), 2);
  assert_null(json_object_get(o, "applicant"));
  assert_int_equal(json_array_size(json_object_get(o, "actions")), 1);
  char *text = json_dumps(o, 0);
  assert_null(strstr(text, "secret"));
  assert_null(strstr(text, "09151234567"));
  free(text);
  json_decref(want);
  json_decref(o);
  /* The helpdesk there sees no more than that, and masked. */
  o = kit_get(k, &helper, known);
  text = json_dumps(o, 0);
  bool hidden = json_object_size(json_object_get(o, "data")) == 2 && !strstr(text, "secret") && !strstr(text, "0499370899") && !strstr(text, "09151234567");
  json_decref(o);
  if (!hidden) fail_msg("%s", text);
  free(text);
  denied(kit_acts(k->cases, known, &helper, "reply", NULL, "{\"answer\":\"agree\"}", -1, NULL, NULL), ERR_FORBIDDEN);
  refused(cases_leaf(k->cases, &there, known, 1, &o, NULL, err), ERR_NOT_FOUND);
  must(cases_events(k->cases, &there, known, 0, 500, LANG_EN, &o, NULL, err));
  text = json_dumps(o, 0);
  assert_null(strstr(text, "secret"));
  free(text);
  json_decref(o);
  /* Neither the case that asks, nor the other who is asked, nor the asking office or the citizen there. */
  denied(kit_act(k, t, &there, "reject", "why"), ERR_NOT_FOUND);
  struct actor none[] = {local, k->officer, k->ali, agent};
  for (size_t i = 0; i < BASE_COUNT(none); i++) {
    denied(kit_acts(k->cases, known, &none[i], "reply", NULL, "{\"answer\":\"agree\"}", -1, NULL, NULL), ERR_NOT_FOUND);
    o = kit_get(k, &none[i], known);
    assert_null(json_object_get(o, "data"));
    json_decref(o);
  }
  denied(kit_acts(k->cases, known, &there, "approve", NULL, NULL, -1, NULL, NULL), ERR_CONFLICT);
  acts(kit_acts(k->cases, known, &chief, "reply", "known well", "{\"answer\":\"agree\"}", -1, NULL, NULL));
  denied(kit_acts(k->cases, known, &there, "reply", NULL, "{\"answer\":\"agree\"}", -1, NULL, NULL), ERR_CONFLICT);
  kit_jobs(k);
  must(cases_events(k->cases, &k->officer, t, 0, 500, LANG_EN, &o, NULL, err));
  text = json_dumps(o, 0);
  assert_non_null(strstr(text, "known well"));
  free(text);
  json_decref(o);
}

static void a_claimed_session_sees_its_pair(void **state) {
  struct kit *k = *state;
  struct actor claimed = kit_citizen(k, "0499370899", "09150000000", ASSURANCE_CLAIMED), whole = k->ali;
  const char *theirs = kit_tacit(k, &claimed, "by another telephone"), *mine = kit_tacit(k, &whole, "by mine");
  json_t *o;
  must(cases_mine(k->cases, &claimed, NULL, 0, LANG_EN, &o, err));
  json_t *items = json_object_get(o, "items");
  assert_int_equal(json_array_size(items), 1);
  assert_string_equal(json_str(json_array_get(items, 0), "tracking"), theirs);
  json_decref(o);
  must(cases_mine(k->cases, &whole, NULL, 0, LANG_EN, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "items")), 2);
  json_decref(o);
  o = kit_get(k, &claimed, mine);
  assert_null(json_object_get(o, "data"));
  json_decref(o);
  denied(kit_act(k, mine, &claimed, "withdraw", NULL), ERR_NOT_FOUND);
  acts(kit_act(k, theirs, &whole, "withdraw", NULL));
  struct actor nobody = {0};
  refused(cases_mine(k->cases, &nobody, NULL, 0, LANG_EN, &o, err), ERR_UNAUTHENTICATED);
  denied(kit_try(k->cases, k->tacit, &nobody, "k", json_pack("{s:s}", "what", "x")).code, ERR_UNAUTHENTICATED);
  must(cases_of_mobile(k->cases, "09150000000", 10, LANG_EN, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "items")), 1);
  json_decref(o);
}

/* ---- history ---- */

static void history_tells_each_what_is_theirs(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  struct actor nobody = {0};
  int64_t placed;
  acts(kit_acts(k->cases, t, &k->officer, "reject", "because", "{\"letter_no\":\"12/34\",\"letter_date\":\"1405-03-16\"}", -1, NULL, NULL));
  kit_later(2000);
  must(trust_sequence(k->trust, &placed, err));
  json_t *o, *e;
  must(cases_events(k->cases, &nobody, t, 0, 500, LANG_EN, &o, NULL, err));
  e = json_array_get(json_object_get(o, "items"), 1);
  assert_string_equal(json_str(e, "to"), "rejected");
  assert_in_range(json_int(e, "leaf_index", -1), 0, 1);
  static const char *const secrets[] = {"role", "who", "comment", "data", "payload", "reason"};
  for (size_t i = 0; i < BASE_COUNT(secrets); i++) assert_null(json_object_get(e, secrets[i]));
  json_decref(o);
  must(cases_events(k->cases, &k->ali, t, 0, 500, LANG_EN, &o, NULL, err));
  e = json_array_get(json_object_get(o, "items"), 1);
  assert_string_equal(json_str(e, "comment"), "because");
  assert_null(json_object_get(e, "who"));
  json_decref(o);
  must(cases_events(k->cases, &k->manager, t, 0, 500, LANG_EN, &o, NULL, err));
  assert_string_equal(json_str(json_array_get(json_object_get(o, "items"), 1), "who"), "officer");
  json_decref(o);
  /* The office's letter stands in the case and in its history. */
  o = kit_get(k, &k->ali, t);
  assert_string_equal(json_str(o, "letter_no"), "12/34");
  json_decref(o);
  must(cases_leaf(k->cases, &k->ali, t, 2, &o, NULL, err));
  assert_non_null(strstr(json_str(o, "payload"), "12/34"));
  assert_non_null(strstr(json_str(o, "payload"), "1405-03-16"));
  json_decref(o);
  must(cases_receipt(k->cases, t, &o, err));
  assert_in_range(json_int(o, "leaf_index", -1), 0, 1);
  json_decref(o);
  kit_verified(k);
}

/* The pack has forgotten a version: people are told less, and nothing falls over. */
static void a_case_of_a_version_that_is_gone(void **state) {
  struct kit *k = *state;
  struct actor who[ACTORS], there = kit_staff("rec", "records", ROLE_OFFICER);
  everybody(k, who);
  const char *t = child_permit(k);
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  kit_jobs(k);
  const char *known = kit_child(k, t, "known");
  kit_do(k, "UPDATE cases SET service_version=9 WHERE tracking<>?1", "");
  json_t *o;
  for (int a = 0; a < ACTORS; a++) {
    o = kit_get(k, &who[a], t);
    char *text = json_dumps(o, 0);
    if (a == HELPDESK && strstr(text, "secret")) fail_msg("%s", text);
    free(text);
    json_decref(o);
    must(cases_events(k->cases, &who[a], t, 0, 500, LANG_EN, &o, NULL, err));
    json_decref(o);
  }
  o = kit_get(k, &there, known);
  assert_true(json_object_size(json_object_get(o, "data")) == 0);
  json_decref(o);
  denied(kit_act(k, t, &k->officer, "reply", NULL), ERR_UNAVAILABLE);
  struct case_query q = {.organisation = "centre", .overdue = -1, .open = -1};
  must(cases_desk(k->cases, &k->officer, &q, LANG_EN, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "items")), 1);
  json_decref(o);
  kit_until(k, "2026-07-01");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    KIT_TEST(every_actor_and_every_action), KIT_TEST(actions_shown_are_actions_allowed), KIT_TEST(nobody_decides_their_own), KIT_TEST(two_signatures),
    KIT_TEST(an_appeal_is_decided_by_others), KIT_TEST(the_helpdesk_sees_nothing_personal), KIT_TEST(the_asked_see_what_they_are_asked),
    KIT_TEST(a_claimed_session_sees_its_pair), KIT_TEST(history_tells_each_what_is_theirs), KIT_TEST(a_case_of_a_version_that_is_gone),
  };
  KIT_RUN(tests);
}
