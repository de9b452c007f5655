/* Thousands of steps by random people on random days; after each, what must always hold. SEED=n repeats a run, STEPS=n sets its length. */
#include "cases-kit.h"

static uint64_t seed_state;
static uint64_t next_random(void) {
  uint64_t z = seed_state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}
static unsigned chance(unsigned most) { return (unsigned)(next_random() % most); }

enum { PEOPLE = 9, STAFF = 15, MOST_CASES = 4000 };
static const char *const places[] = {"9901012001000001", "9901012001000002"};
static const char *const every_action[] = {"assign", "refer", "transfer", "inquire", "reply", "request_info", "provide_info", "suspend", "resume", "extend", "approve",
  "reject", "appeal", "withdraw", "reopen", "note", "lapse", "return_to_officer", "look_again", "repair", "nothing"};
static const char *const desks[] = {"centre", "records", "crew", "crew-night", "upper", "lower", "upper-city", "water-village"};

struct world {
  struct kit *k;
  struct cases *nodes[2];
  struct actor people[PEOPLE], staff[STAFF];
  char trackings[MOST_CASES][TRACKING_SIZE];
  unsigned count, done, refused;
  uint64_t seed;
  unsigned step;
  const char *what;                 /* what the step did, for the one who reads a failure */
  struct arena *arena;
};

#define holds(w, truth, tracking)                                                                                                                   \
  do {                                                                                                                                              \
    if (!(truth)) fail_msg("SEED=%llu step %u (%s): %s does not hold for %s", (unsigned long long)(w)->seed, (w)->step, (w)->what, #truth, tracking); \
  } while (0)

struct sight { struct world *w; const char *tracking; struct case_row row; int64_t events; char last[64]; };
static int sight_work(struct store_tx *tx, void *arg, struct err *err) {
  struct sight *s = arg;
  if (case_load(s->w->k->cases, tx, s->w->arena, s->tracking, &s->row, err)) return -1;
  snprintf(s->last, sizeof s->last, "%s", s->row.first.state);
  struct store_rows *r = store_select(tx, err, "SELECT to_state FROM case_event WHERE tracking=?1 ORDER BY seq", "t", s->tracking);
  if (!r) return -1;
  int rc;
  s->events = 1;
  while ((rc = store_next(r, err)) == 1) {
    s->events++;
    snprintf(s->last, sizeof s->last, "%s", store_text(r, 0));
  }
  store_done(r);
  return rc;
}

static struct sight see(struct world *w, const char *tracking) {
  struct sight s = {.w = w, .tracking = tracking};
  must(store_read(w->k->store, sight_work, &s, err));
  return s;
}

static void check_one(struct world *w, const struct sight *s) {
  struct case_row r = s->row;
  holds(w, s->events == r.version, s->tracking);
  holds(w, strcmp(s->last, r.state) == 0, s->tracking);
  holds(w, (r.result == RESULT_OPEN) == (r.closed_at == 0), s->tracking);
  holds(w, r.def->suspension_days >= r.stopped_days && r.stopped_days >= 0, s->tracking);
  holds(w, r.extended <= r.def->extension_times, s->tracking);
  holds(w, r.escalated <= 3, s->tracking);
  holds(w, r.norm_ord >= NO_ORD || r.legal_ord >= NO_ORD || r.norm_ord <= r.legal_ord, s->tracking);
  if (r.state_index >= 0) holds(w, (r.stopped_ord >= 0) == r.def->states[r.state_index].citizen, s->tracking);
  if (r.state_index >= 0) holds(w, r.def->states[r.state_index].result == r.result, s->tracking);
  int64_t kept = r.next_ord;
  case_next_check(w->k->cases, &r);
  if (r.result != RESULT_OPEN && kept < NO_ORD && kept < r.next_ord + 60) return; /* erasure comes as many days later as were closed meanwhile */
  if (kept > r.next_ord)
    print_message("%s %s in %s: kept %lld, reckoned %lld; legal %lld, state's %lld since %lld (day %lld), begun on day %lld, stopped %lld, told %lld times, today %lld\n",
                  r.calendar, s->tracking, r.state, (long long)kept, (long long)r.next_ord, (long long)r.legal_ord, (long long)r.state_legal_ord,
                  (long long)case_ord(w->k->cases, &r, r.state_at), (long long)r.state_day, (long long)r.start_day, (long long)r.stopped_ord,
                  (long long)r.escalated, (long long)case_ord(w->k->cases, &r, clock_now()));
  holds(w, kept <= r.next_ord, s->tracking);
}

/* Between two sights of a case whose calendar did not change. */
static void check_forward(struct world *w, const struct sight *a, const struct sight *b) {
  const struct case_row *p = &a->row, *n = &b->row;
  holds(w, n->version >= p->version && n->changed_at >= p->changed_at && n->submitted_at == p->submitted_at, a->tracking);
  holds(w, n->stopped_days >= p->stopped_days, a->tracking);
  if (p->result == RESULT_OPEN || n->result != RESULT_OPEN) {
    holds(w, n->start_day == p->start_day, a->tracking);
    holds(w, n->legal_ord >= p->legal_ord && n->norm_ord >= p->norm_ord, a->tracking);
    holds(w, n->legal_ord == p->legal_ord || n->stopped_days > p->stopped_days || n->extended > p->extended, a->tracking);
  }
}

static int64_t number(struct world *w, const char *sql) { return kit_value(w->k, sql, ""); }

static void check_all(struct world *w) {
  struct kit *k = w->k;
  w->what = "look at everything";
  for (unsigned i = 0; i < w->count; i++) {
    struct sight s = see(w, w->trackings[i]);
    check_one(w, &s);
    arena_reset(w->arena);
  }
  /* One place a person, as long as a request is open. */
  holds(w, number(w, "SELECT COUNT(*) FROM case_reservation WHERE name<>?1") ==
           number(w, "SELECT COUNT(*) FROM cases WHERE service='permit' AND result=0 AND parent=?1"), "reservations");
  holds(w, number(w, "SELECT COUNT(*) FROM case_reservation r JOIN cases c ON c.tracking=r.tracking WHERE c.result<>0 AND r.name<>?1") == 0, "reservations");
  /* A child counts as open until its answer has reached the parent. */
  holds(w, number(w, "SELECT COUNT(*) FROM case_child h JOIN cases c ON c.tracking=h.tracking WHERE h.open=0 AND c.result=0 AND h.parent<>?1") == 0, "children");
  holds(w, number(w, "SELECT COUNT(*) FROM case_child h JOIN cases c ON c.tracking=h.tracking WHERE h.open=1 AND c.result<>0 AND h.parent<>?1 "
                     "AND NOT EXISTS (SELECT 1 FROM case_outbox o WHERE o.tracking=h.parent)") == 0, "children");
  holds(w, number(w, "SELECT COUNT(*) FROM cases c JOIN cases p ON p.tracking=c.parent WHERE c.result=0 AND p.result<>0 AND c.parent<>?1 "
                     "AND NOT EXISTS (SELECT 1 FROM case_outbox o WHERE o.tracking=p.tracking)") == 0, "children of closed cases");
  /* The desks hold what is open, each once, and nothing else. */
  struct actor all = kit_staff("operator", "centre", ROLE_OPERATOR);
  int64_t shown = 0, late = 0, in_time = 0;
  for (size_t d = 0; d < BASE_COUNT(desks); d++)
    for (int overdue = -1; overdue <= 1; overdue++) {
      char *after = NULL;
      do {
        json_t *o, *one;
        size_t i;
        must(cases_desk(k->cases, &all, &(struct case_query){.organisation = desks[d], .open = 1, .overdue = overdue, .limit = 37, .after = after}, LANG_EN, &o, err));
        json_array_foreach(json_object_get(o, "items"), i, one) {
          holds(w, strcmp(json_str(one, "result"), "open") == 0 && strcmp(json_str(one, "holder"), desks[d]) == 0, json_str(one, "tracking"));
          holds(w, overdue < 0 || json_flag(one, "overdue", false) == overdue, json_str(one, "tracking"));
          *(overdue < 0 ? &shown : overdue ? &late : &in_time) += 1;
        }
        free(after);
        after = json_str(o, "next") ? base_strdup(json_str(o, "next")) : NULL;
        json_decref(o);
      } while (after);
    }
  holds(w, shown == number(w, "SELECT COUNT(*) FROM cases WHERE result=0 AND holder<>?1"), "desks");
  holds(w, late + in_time == shown, "late and in time");
}

static struct actor *anybody(struct world *w) { return chance(3) == 0 ? &w->people[chance(PEOPLE)] : &w->staff[chance(STAFF)]; }

static void step_submit(struct world *w) {
  struct kit *k = w->k;
  struct actor *p = &w->people[chance(PEOPLE)];
  char key[32], place[20];
  snprintf(key, sizeof key, "key %u", chance(400));
  snprintf(place, sizeof place, "%s", places[chance(2)]);
  struct kit_filed f;
  static const char *const kinds[] = {"person", "company", "known"};
  w->what = "submit";
  struct cases *c = w->nodes[chance(2)];
  switch (chance(3)) {
  case 0: f = kit_try(c, k->permit, chance(4) ? p : &w->staff[9], key, kit_permit_data(p->national_id, p->mobile, "کار", kinds[chance(3)])); break;
  case 1: f = kit_try(c, k->tacit, p, key, json_pack("{s:s}", "what", "چیز")); break;
  default: f = kit_try(c, k->repair, p, key, json_pack("{s:s}", "place", place));
  }
  if (f.code) {
    holds(w, f.code == ERR_CONFLICT || f.code == ERR_KEY_REUSED, err_name(f.code));
    return;
  }
  for (unsigned i = 0; i < w->count; i++)
    if (strcmp(w->trackings[i], f.tracking) == 0) {
      holds(w, f.s.repeated, f.tracking);
      return;
    }
  holds(w, !f.s.repeated && w->count < MOST_CASES, f.tracking);
  memcpy(w->trackings[w->count++], f.tracking, TRACKING_SIZE);
}

struct children { struct world *w; };
static int children_work(struct store_tx *tx, void *arg, struct err *err) {
  struct world *w = ((struct children *)arg)->w;
  struct store_rows *r = store_select(tx, err, "SELECT tracking FROM case_child ORDER BY parent,tracking", "");
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    bool known = false;
    for (unsigned i = 0; i < w->count && !known; i++) known = strcmp(w->trackings[i], store_text(r, 0)) == 0;
    if (!known && w->count < MOST_CASES) snprintf(w->trackings[w->count++], TRACKING_SIZE, "%s", store_text(r, 0));
  }
  store_done(r);
  return rc;
}

/* What the counter's rules add to what an agent may see. */
struct beside { const struct actor *who; struct case_row *row; };
static int beside_work(struct store_tx *tx, void *arg, struct err *err) {
  struct beside *k = arg;
  return case_at_counter(tx, k->who, k->row, err);
}

static void step_act(struct world *w) {
  if (!w->count) return;
  const char *t = w->trackings[chance(2) ? w->count - 1 - chance(w->count < 30 ? w->count : 30) : chance(w->count)];
  struct sight before = see(w, t);
  for (int i = 0; i < 5 && before.row.result != RESULT_OPEN && chance(6); i++) {
    t = w->trackings[chance(w->count)];
    before = see(w, t);
  }
  const struct case_row *r = &before.row;
  const struct state *s = r->state_index >= 0 ? &r->def->states[r->state_index] : NULL;
  const char *action = s && s->action_count && chance(10) ? s->actions[chance((unsigned)s->action_count)].name : every_action[chance(BASE_COUNT(every_action))];
  const char *data = NULL, *to = desks[chance(BASE_COUNT(desks))];
  struct actor *who = anybody(w);
  /* Mostly somebody who may. */
  for (int i = 0; i < 40 && chance(30); i++) {
    enum err_code why;
    const struct action *a = s ? service_action(r->def, r->state_index, action) : NULL;
    json_t *answers = r->data ? kit_json(r->data) : NULL;
    bool may = a ? case_may(who, r, a, answers, &why) : case_right_of(who, r) == CASE_INQUIRED;
    json_decref(answers);
    if (may) break;
    who = anybody(w);
  }
  must(store_read(w->k->store, beside_work, &(struct beside){who, &before.row}, err));
  if (case_is_inquiry(r)) {
    action = "reply";
    data = chance(2) ? "{\"answer\":\"agree\"}" : "{\"answer\":\"object\"}";
  } else if (strcmp(action, "provide_info") == 0) data = chance(3) ? "{\"answer\":\"here it is\"}" : "{\"answer\":\"here\",\"name\":\"نام\"}";
  else if (strcmp(action, "transfer") == 0 || (strcmp(action, "refer") == 0 && chance(2))) data = arena_printf(w->arena, "{\"to\":\"%s\"}", to);
  int64_t expected = chance(10) < 7 ? r->version : chance(2) ? -1 : r->version + 1 - 2 * (int64_t)chance(2);
  char key[24];
  snprintf(key, sizeof key, "act %u", chance(50));
  w->what = arena_printf(w->arena, "%s by %s", action, who->kind == ACTOR_STAFF ? who->username : "a citizen");
  struct case_act out;
  enum err_code code = kit_acts(w->nodes[chance(2)], t, who, action, chance(9) ? "why" : NULL, data, expected, chance(3) ? NULL : key, &out);
  struct sight after = see(w, t);
  check_one(w, &after);
  check_forward(w, &before, &after);
  if (code == 0 && !out.repeated) {
    holds(w, after.row.version == r->version + 1 && out.version == after.row.version, t);
    holds(w, expected < 0 || expected == r->version, t);
    holds(w, case_right_of(who, r) != CASE_PUBLIC, t);
    holds(w, case_right_of(who, r) != CASE_AUDITOR && case_right_of(who, r) != CASE_HELPDESK, t);
    w->done++;
  } else {
    holds(w, after.row.version == r->version, t);
    holds(w, code != ERR_INTERNAL && code != ERR_UNAVAILABLE, err_name(code));
    if (code && case_right_of(who, r) == CASE_PUBLIC) holds(w, code == ERR_NOT_FOUND, t);
    else if (code) holds(w, code != ERR_NOT_FOUND, t);
    w->refused++;
  }
}

static void step_close(struct world *w) {
  int32_t day = cases_today() - 25 + (int32_t)chance(60);
  w->what = "close or open a day";
  must(cases_calendar_close(w->nodes[chance(2)], &w->staff[0], chance(2) ? "official" : "crews", day, "ب", "B", chance(3) != 0, err));
  /* The other node hears of it with its next jobs. */
  for (int i = 0; i < 2; i++) must(cases_jobs(w->nodes[i], NULL, err));
}

static void step_jobs(struct world *w) {
  w->what = "jobs";
  struct cases *c = w->nodes[chance(2)];
  for (unsigned i = 1 + chance(3); i > 0; i--) must(cases_jobs(c, NULL, err));
  must(store_read(w->k->store, children_work, &(struct children){w}, err));
}

static void step_other(struct world *w) {
  if (!w->count) return;
  const char *t = w->trackings[chance(w->count)];
  struct err e = {0};
  w->what = "rate or look";
  if (chance(2)) kit_rate(w->nodes[0], &w->people[chance(PEOPLE)], t, 1 + (int)chance(5), NULL, chance(2) ? "نظر" : NULL, &e);
  else cases_look(w->nodes[1], anybody(w), t, "staff", NULL, NULL, &e);
  holds(w, e.code != ERR_INTERNAL, t);
  struct sight s = see(w, t);
  check_one(w, &s);
}

static void many_steps(void **state) {
  struct kit *k = *state;
  struct world *w = base_alloc(sizeof *w);
  const char *seed = getenv("SEED"), *steps = getenv("STEPS");
  unsigned all = steps ? (unsigned)atoi(steps) : kit_postgres ? 700 : 2000;
  w->seed = seed_state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
  print_message("SEED=%llu, %u steps\n", (unsigned long long)w->seed, all);
  w->k = k;
  w->arena = arena_new(16 * 1024 * 1024);
  w->nodes[0] = k->cases;
  w->nodes[1] = kit_node(k, "two");
  for (unsigned i = 0; i < PEOPLE; i++) w->people[i] = kit_person(k, 500 + i);
  w->people[PEOPLE - 1] = kit_citizen(k, w->people[0].national_id, "09150000999", ASSURANCE_CLAIMED);
  const struct actor staff[STAFF] = {k->officer, k->officer2, k->supervisor, k->manager, kit_staff("rec", "records", ROLE_OFFICER), kit_staff("upp", "upper", ROLE_OFFICER),
    kit_staff("digger", "crew", ROLE_OFFICER), kit_staff("chief", "crew", ROLE_SUPERVISOR), kit_staff("village", "water-village", ROLE_OFFICER),
    kit_staff("agent", "lower", ROLE_AGENT), kit_staff("helper", "centre", ROLE_HELPDESK), kit_staff("auditor", "centre", ROLE_AUDITOR),
    kit_staff("supervisor2", "centre", ROLE_SUPERVISOR), kit_staff("low", "lower", ROLE_MANAGER), kit_staff("city", "upper-city", ROLE_OFFICER)};
  memcpy(w->staff, staff, sizeof staff);
  for (w->step = 1; w->step <= all; w->step++) {
    unsigned n = chance(100);
    if (n < 14) step_submit(w);
    else if (n < 72) step_act(w);
    else if (n < 82) kit_later((int64_t)chance(1000) * (chance(5) ? 20000 : 300000));
    else if (n < 95) step_jobs(w);
    else if (n < 97) step_close(w);
    else step_other(w);
    arena_reset(w->arena);
    if (w->step % 350 == 0) check_all(w);
  }
  check_all(w);
  if (!steps && (w->done < all / 8 || w->refused < all / 20)) fail_msg("%u done and %u refused: this tests too little", w->done, w->refused);
  /* Everything that waits is done in the end; what was told and what is kept agree. */
  kit_later(20000);
  for (int i = 0; i < 60; i++) {
    kit_later(INT64_C(86400000));
    kit_jobs(k);
  }
  must(store_read(k->store, children_work, &(struct children){w}, err));
  check_all(w);
  holds(w, number(w, "SELECT COUNT(*) FROM case_outbox WHERE id<>?1") == 0, "the outbox");
  kit_verified(k);
  cases_close(w->nodes[1]);
  arena_free(w->arena);
  free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {KIT_TEST(many_steps)};
  KIT_RUN(tests);
}
