/* Lists: the desk by every filter, page by page; search in every spelling; a citizen's cases; who looked. */
#include "cases-kit.h"

enum { MANY = 60 };


/* Walk all pages; the trackings, sorted in the order shown, joined by a space. Every tracking once. */
static size_t walk(struct kit *k, const struct actor *who, struct case_query q, int limit, json_t *seen) {
  char *after = NULL;
  size_t pages = 0;
  q.limit = limit;
  for (;;) {
    json_t *o, *one;
    size_t i;
    q.after = after;
    must(cases_desk(k->cases, who, &q, LANG_EN, &o, err));
    json_t *items = json_object_get(o, "items");
    assert_true(json_array_size(items) <= (size_t)limit);
    json_array_foreach(items, i, one) {
      if (json_object_get(seen, json_str(one, "tracking"))) fail_msg("%s stands twice", json_str(one, "tracking"));
      json_object_set(seen, json_str(one, "tracking"), one);
    }
    free(after);
    after = json_str(o, "next") ? base_strdup(json_str(o, "next")) : NULL;
    json_decref(o);
    if (++pages > 200) fail_msg("the pages do not end");
    if (!after) return pages;
  }
}

/* The same rows whatever the size of a page, and those that `fits` says of all that the desk holds. */
static void complete(struct kit *k, const struct actor *who, struct case_query q, bool (*fits)(const json_t *, const struct case_query *), const char *what) {
  json_t *all = json_object(), *one;
  const char *tracking;
  struct case_query any = {.organisation = q.organisation, .overdue = -1, .open = -1};
  walk(k, who, any, 200, all);
  assert_true(json_object_size(all) > 0);
  size_t want = 0;
  json_object_foreach(all, tracking, one) want += fits(one, &q);
  if (!want) fail_msg("%s: nothing fits, so nothing is tested", what);
  static const int limits[] = {1, 7, 200};
  for (size_t n = 0; n < BASE_COUNT(limits); n++) {
    json_t *seen = json_object();
    walk(k, who, q, limits[n], seen);
    json_object_foreach(seen, tracking, one)
      if (!fits(one, &q)) fail_msg("%s: %s does not belong there: %s", what, tracking, json_dumps(one, 0));
    if (json_object_size(seen) != want) fail_msg("%s by %d: %zu rows, not %zu", what, limits[n], json_object_size(seen), want);
    json_decref(seen);
  }
  json_decref(all);
}

static bool stopped(struct kit *k, const json_t *one) { return kit_row(k, json_str(one, "tracking")).stopped_ord >= 0; }

static bool due_soon(struct kit *k, const json_t *one, int days) {
  const json_t *left = json_object_get(one, "days_left");
  return left && !json_flag(one, "overdue", false) && !stopped(k, one) && json_integer_value(left) <= days;
}

static bool fits(const json_t *one, const struct case_query *q) {
  const char *assignee = json_str(one, "assignee");
  bool open = strcmp(json_str(one, "result"), "open") == 0, late = open && json_flag(one, "overdue", false);
  if (q->state && strcmp(q->state, json_str(one, "state")) != 0) return false;
  if (q->service && strcmp(q->service, json_str(one, "service")) != 0) return false;
  if (q->assignee && strcmp(q->assignee, "none") == 0 ? assignee != NULL : q->assignee && !base_same(q->assignee, assignee)) return false;
  if (q->open >= 0 && open != q->open) return false;
  return q->overdue < 0 || late == q->overdue;
}

/* Cases of many kinds: days, states, assignees, stopped before and after their deadline, closed late and in time. */
static void fill(struct kit *k) {
  for (unsigned i = 0; i < MANY; i++) {
    struct actor p = kit_person(k, 200 + i);
    clock_set(day_start(kit_day("2026-06-06") + (int32_t)(i % 9)) + 12 * 3600000);
    const char *t = i % 3 == 2 ? kit_tacit(k, &p, "اعلام") : kit_permit(k, &p, "person");
    if (i % 4 == 1) kit_act(k, t, i % 8 == 1 ? &k->officer : &k->officer2, "assign", NULL);
    if (i % 3 == 0 && i % 4 == 2) acts(kit_act(k, t, &k->officer, "approve", NULL));
    if (i % 3 == 1 && i % 5 == 3) acts(kit_act(k, t, &k->officer, "suspend", "why"));
    if (i % 7 == 6) kit_act(k, t, &p, "withdraw", NULL);
  }
  kit_now("2026-06-22");
  for (unsigned i = 0; i < 6; i++) { /* late, then stopped; late, then closed */
    struct actor p = kit_person(k, 300 + i);
    kit_now("2026-06-06");
    const char *t = kit_permit(k, &p, "person");
    kit_now("2026-06-24");
    acts(kit_act(k, t, &k->officer, i % 2 ? "suspend" : "reject", "why"));
    kit_tacit(k, &p, "in time");
  }
  kit_now("2026-06-24");
}

static void every_filter_gives_what_it_says(void **state) {
  struct kit *k = *state;
  fill(k);
  static const char *const states[] = {NULL, "submitted", "suspended", "filed"}, *const assignees[] = {NULL, "officer", "none"}, *const services[] = {NULL, "permit"};
  for (size_t s = 0; s < BASE_COUNT(states); s++)
    for (size_t a = 0; a < BASE_COUNT(assignees); a++)
      for (size_t v = 0; v < BASE_COUNT(services); v++)
        for (int overdue = -1; overdue <= 1; overdue++) {
          if (overdue >= 0 && a == 1 && s) continue; /* nothing fits there */
          if (states[s] && strcmp(states[s], "filed") == 0 && (v || a == 1)) continue;
          char what[100];
          struct case_query q = {.organisation = "centre", .state = states[s], .assignee = assignees[a], .service = services[v], .overdue = overdue, .open = 1};
          if (states[s] && strcmp(states[s], "suspended") == 0 && a == 1) continue;
          snprintf(what, sizeof what, "state %s, assignee %s, service %s, overdue %d", states[s] ? states[s] : "*", assignees[a] ? assignees[a] : "*",
                   services[v] ? services[v] : "*", overdue);
          complete(k, &k->officer, q, fits, what);
        }
  complete(k, &k->officer, (struct case_query){.organisation = "centre", .overdue = -1, .open = 0}, fits, "closed");
  complete(k, &k->officer, (struct case_query){.organisation = "centre", .overdue = -1, .open = 1}, fits, "open");
  complete(k, &k->officer, (struct case_query){.organisation = "centre", .overdue = 1, .open = -1}, fits, "overdue, open or closed");
  complete(k, &k->officer, (struct case_query){.organisation = "centre", .overdue = 0, .open = -1}, fits, "not overdue, open or closed");
  complete(k, &k->officer, (struct case_query){.organisation = "centre", .overdue = 0, .open = 0}, fits, "closed is not overdue");
  complete(k, &k->officer, (struct case_query){.organisation = "centre", .overdue = -1, .open = -1, .assignee = "officer"}, fits, "mine, open or closed");
  complete(k, &k->officer, (struct case_query){.organisation = "centre", .overdue = -1, .open = 0, .assignee = "none"}, fits, "nobody's, closed");
  json_t *o;
  refused(cases_desk(k->cases, &k->officer, &(struct case_query){.organisation = "crew", .overdue = -1, .open = -1}, LANG_EN, &o, err), ERR_FORBIDDEN);
  refused(cases_desk(k->cases, &k->ali, &(struct case_query){.organisation = "centre", .overdue = -1, .open = -1}, LANG_EN, &o, err), ERR_FORBIDDEN);
  struct case_query no_mark = {.organisation = "centre", .after = "x", .overdue = -1, .open = -1};
  refused(cases_desk(k->cases, &k->officer, &no_mark, LANG_EN, &o, err), ERR_MALFORMED);
}

/* The crew holds a case that is due by the calendar of its owner. */
static void late_by_the_calendar_of_the_case(void **state) {
  struct kit *k = *state;
  struct actor crew = kit_staff("digger", "crew", ROLE_OFFICER);
  kit_now("2026-06-06");
  for (int i = 0; i < 5; i++) kit_repair(k, &k->ali, "9901012001000001");
  kit_now("2026-06-13");
  for (int i = 0; i < 5; i++) kit_repair(k, &k->ali, "9901012001000001");
  complete(k, &crew, (struct case_query){.organisation = "crew", .overdue = 1, .open = 1}, fits, "the crew's late cases");
  complete(k, &crew, (struct case_query){.organisation = "crew", .overdue = 0, .open = 1}, fits, "the crew's cases in time");
  complete(k, &crew, (struct case_query){.organisation = "crew", .state = "reported", .overdue = 0, .open = 1}, fits, "reported, in time");
  complete(k, &crew, (struct case_query){.organisation = "crew", .state = "reported", .overdue = 1, .open = 1}, fits, "reported, late");
}

/* The queues of the web's desk by the same notion of late, and as many in each as are counted. */
static void queue(struct kit *k, const struct actor *who, const char *organisation, const char *name, int soon, const json_t *counts) {
  json_t *all = json_object(), *seen = json_object(), *one;
  const char *tracking;
  struct case_query q = {.organisation = organisation, .overdue = -1, .open = 1};
  int64_t want = 0;
  walk(k, who, q, 200, all);
  if (strcmp(name, "late") == 0) q.overdue = 1;
  else if (strcmp(name, "soon") == 0) q.soon = soon;
  else if (strcmp(name, "stopped") == 0) q.stopped = 1;
  else if (strcmp(name, "appealed") == 0) q.appealed = 1;
  else if (strcmp(name, "escalated") == 0) q.escalated = 1;
  else if (strcmp(name, "mine") == 0) q.assignee = who->username;
  else if (strcmp(name, "free") == 0) q.assignee = "none";
  json_object_foreach(all, tracking, one) {
    bool in = true;
    if (q.overdue == 1) in = json_flag(one, "overdue", false);
    else if (q.soon) in = due_soon(k, one, soon);
    else if (q.stopped) in = stopped(k, one);
    else if (q.appealed) in = kit_row(k, tracking).appealed > 0;
    else if (q.escalated) in = kit_row(k, tracking).escalated > 0;
    else if (q.assignee) in = fits(one, &q);
    want += in;
  }
  walk(k, who, q, 3, seen);
  if ((int64_t)json_object_size(seen) != want || json_int(counts, name, -1) != want)
    fail_msg("%s of %s: %zu listed, %lld counted, not %lld", name, organisation, json_object_size(seen), (long long)json_int(counts, name, -1), (long long)want);
  json_decref(all);
  json_decref(seen);
}

static void queues_hold_what_is_counted(void **state) {
  static const char *const names[] = {"open", "mine", "free", "late", "soon", "stopped", "appealed", "escalated"};
  static const char *const days[] = {"2026-06-24", "2026-06-25", "2026-06-28", "2026-07-20"};
  struct kit *k = *state;
  struct actor crew = kit_staff("digger", "crew", ROLE_OFFICER);
  const char *t;
  json_t *counts;
  int64_t met[BASE_COUNT(names)] = {0};
  fill(k);
  kit_now("2026-06-10");
  t = kit_permit(k, &k->ali, "person");
  acts(kit_act(k, t, &k->officer, "reject", "why"));
  acts(kit_act(k, t, &k->ali, "appeal", "why"));
  kit_now("2026-06-06");
  for (int i = 0; i < 3; i++) kit_repair(k, &k->ali, "9901012001000001");
  for (size_t d = 0; d < BASE_COUNT(days); d++) {
    kit_now(days[d]);
    kit_jobs(k);
    for (int soon = 1; soon < 9; soon += 3)
      for (int who = 0; who < 2; who++) {
        const char *organisation = who ? "crew" : "centre";
        must(cases_desk_counts(k->cases, who ? &crew : &k->officer, organisation, soon, &counts, err));
        for (size_t i = 0; i < BASE_COUNT(names); i++) {
          queue(k, who ? &crew : &k->officer, organisation, names[i], soon, counts);
          met[i] += json_int(counts, names[i], 0);
        }
        assert_true(json_array_size(json_object_get(counts, "kinds")) > 0);
        json_decref(counts);
      }
  }
  for (size_t i = 0; i < BASE_COUNT(names); i++)
    if (!met[i]) fail_msg("nothing was ever %s, so nothing is tested", names[i]);
  refused(cases_desk_counts(k->cases, &k->officer, "crew", 3, &counts, err), ERR_FORBIDDEN);
  refused(cases_desk_counts(k->cases, &k->ali, "centre", 3, &counts, err), ERR_FORBIDDEN);
}

/* ---- search ---- */

static size_t found(struct kit *k, const char *q, const char *state, const char *service) {
  json_t *seen = json_object();
  struct case_query query = {.organisation = "centre", .q = q, .state = state, .service = service, .overdue = -1, .open = -1};
  walk(k, &k->officer, query, 3, seen);
  size_t n = json_object_size(seen);
  json_decref(seen);
  return n;
}

static void found_in_every_spelling(void **state) {
  struct kit *k = *state;
  char id[16], mobile[16];
  static const char *const given[] = {"کارگاه سفالگری یکتا", "كارگاه سفالگري", "كارگاه نجاری آزاد", "می‌نویسم ۱۲۳", "Ceramics آباد"};
  const char *t[BASE_COUNT(given)];
  for (unsigned i = 0; i < BASE_COUNT(given); i++) {
    struct actor p = kit_person(k, 400 + i);
    struct kit_filed f = kit_try(k->cases, k->permit, &p, "k", kit_permit_data(p.national_id, p.mobile, given[i], "person"));
    t[i] = kit_keep(k, &f);
  }
  static const struct { const char *q; size_t n; } asked[] = {{"کارگاه", 3}, {"كارگاه", 3}, {"سفالگری", 2}, {"سفالگري كارگاه", 2}, {"یکتا", 1}, {"يكتا", 1},
    {"ازاد", 1}, {"آزاد", 1}, {"می‌نویسم", 1}, {"مینویسم", 1}, {"123", 1}, {"۱۲۳", 1}, {"١٢٣", 1}, {"CERAMICS", 1}, {"آباد ceramics", 1}, {"کارگاه ceramics", 0},
    {"هیچ", 0}, {"کار", 0}, {"  ", 5}, {"،", 0}};
  for (size_t i = 0; i < BASE_COUNT(asked); i++)
    if (strcmp(asked[i].q, "  ") != 0 && found(k, asked[i].q, NULL, NULL) != asked[i].n) fail_msg("'%s': %zu, not %zu", asked[i].q, found(k, asked[i].q, NULL, NULL), asked[i].n);
  /* By code, national id and telephone, however they are typed. */
  assert_int_equal(found(k, t[2], NULL, NULL), 1);
  char spaced[40];
  snprintf(spaced, sizeof spaced, "%.4s %.4s-%.4s %.4s", t[2], t[2] + 4, t[2] + 8, t[2] + 12);
  assert_int_equal(found(k, spaced, NULL, NULL), 1);
  assert_int_equal(found(k, kit_id(402, id), NULL, NULL), 1);
  snprintf(spaced, sizeof spaced, "%.3s-%.6s-%.1s", id, id + 3, id + 9);
  assert_int_equal(found(k, spaced, NULL, NULL), 1);
  assert_int_equal(found(k, kit_mobile(402, mobile), NULL, NULL), 1);
  snprintf(spaced, sizeof spaced, "+98 %s", mobile + 1);
  assert_int_equal(found(k, spaced, NULL, NULL), 1);
  assert_int_equal(found(k, kit_mobile(499, mobile), NULL, NULL), 0);
  json_t *one = json_object();
  assert_int_equal(walk(k, &k->officer, (struct case_query){.organisation = "centre", .q = t[2], .overdue = -1, .open = -1}, 1, one), 1); /* one case of a code: its page is the last */
  json_decref(one);
  /* With the other filters. */
  acts(kit_act(k, t[0], &k->officer, "assign", NULL));
  acts(kit_act(k, t[1], &k->officer, "reject", "why"));
  assert_int_equal(found(k, "کارگاه", "submitted", NULL), 2);
  assert_int_equal(found(k, "کارگاه", NULL, "permit"), 3);
  assert_int_equal(found(k, "کارگاه", NULL, "tacit"), 0);
  assert_int_equal(found(k, t[0], "submitted", "permit"), 1);
  assert_int_equal(found(k, t[1], "submitted", NULL), 0);
  assert_int_equal(found(k, t[0], NULL, "tacit"), 0);
  struct case_query q = {.organisation = "centre", .q = "کارگاه", .overdue = -1, .open = -1};
  json_t *seen;
  static const struct { const char *assignee; int open, overdue; size_t n; } more[] = {{"officer", -1, -1, 1}, {"none", -1, -1, 2}, {NULL, 1, -1, 2}, {NULL, 0, -1, 1},
    {NULL, -1, 1, 2}, {NULL, -1, 0, 1}, {"officer", 1, 1, 1}, {"officer", 0, -1, 0}};
  kit_now("2026-06-24");
  for (size_t i = 0; i < BASE_COUNT(more); i++) {
    seen = json_object();
    q.assignee = more[i].assignee;
    q.open = more[i].open;
    q.overdue = more[i].overdue;
    walk(k, &k->officer, q, 1, seen);
    if (json_object_size(seen) != more[i].n) fail_msg("search %zu: %zu, not %zu", i, json_object_size(seen), more[i].n);
    json_decref(seen);
  }
  /* Another desk finds nothing of it; the code neither. */
  struct actor crew = kit_staff("digger", "crew", ROLE_OFFICER);
  seen = json_object();
  walk(k, &crew, (struct case_query){.organisation = "crew", .q = t[2], .overdue = -1, .open = -1}, 5, seen);
  walk(k, &crew, (struct case_query){.organisation = "crew", .q = "کارگاه", .overdue = -1, .open = -1}, 5, seen);
  assert_int_equal(json_object_size(seen), 0);
  json_decref(seen);
}

static void words_move_with_the_case(void **state) {
  struct kit *k = *state;
  struct actor crew = kit_staff("digger", "crew", ROLE_OFFICER);
  const char *t = kit_permit(k, &k->ali, "person");
  denied(kit_acts(k->cases, t, &k->officer, "transfer", "why", "{\"to\":\"nowhere\"}", -1, NULL, NULL), ERR_INVALID);
  acts(kit_acts(k->cases, t, &k->officer, "transfer", "why", "{\"to\":\"crew\"}", -1, NULL, NULL));
  assert_int_equal(found(k, "سفال", NULL, NULL), 0);
  json_t *seen = json_object();
  walk(k, &crew, (struct case_query){.organisation = "crew", .q = "سفال", .overdue = -1, .open = -1}, 5, seen);
  assert_int_equal(json_object_size(seen), 1);
  json_decref(seen);
  denied(kit_act(k, t, &k->officer, "reject", "why"), ERR_NOT_FOUND);
  legal_is(k, t, "2026-06-22"); /* the clock runs on, by its first calendar */
  acts(kit_act(k, t, &crew, "reject", "why"));
}

static void more_than_a_page_found(void **state) {
  struct kit *k = *state;
  for (unsigned i = 0; i < 25; i++) kit_tacit(k, &k->ali, i % 2 ? "چاه آب" : "چاه نفت"); /* within one millisecond */
  assert_int_equal(found(k, "چاه", NULL, NULL), 25);
  assert_int_equal(found(k, "آب چاه", NULL, NULL), 12);
}

/* Words of more than a thousand cases meet another way; newest first, page after page, past cases that are there no more. */
static void frequent_words_meet(void **state) {
  struct kit *k = *state;
  for (unsigned i = 0; i < 25; i++) {
    kit_tacit(k, &k->ali, i % 2 ? "چاه عمیق آب" : i % 5 ? "چاه نفت" : "آب شیرین");
    if (i % 3 == 0) kit_later(1);
  }
  const char *const words[] = {"چاه", "اب"};
  for (int i = 0; i < 2; i++)
    assert_int_equal(kit_do(k, "INSERT INTO case_term (organisation,term,ord,tracking) WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<1199) "
                               "SELECT 'centre',?1,(SELECT MIN(ord) FROM case_term)-600+i*500,'gone'||i FROM n", words[i]), 1200);
  static const int limits[] = {1, 5, 12, 200};
  for (size_t n = 0; n < BASE_COUNT(limits); n++) {
    json_t *seen = json_object(), *one;
    const char *code, *last = "~";
    walk(k, &k->officer, (struct case_query){.organisation = "centre", .q = "آب چاه", .overdue = -1, .open = -1}, limits[n], seen);
    assert_int_equal(json_object_size(seen), 12);
    json_object_foreach(seen, code, one) { /* in the order they came */
      assert_true(strcmp(json_str(one, "submitted_at"), last) <= 0);
      last = json_str(one, "submitted_at");
    }
    json_decref(seen);
  }
  assert_int_equal(found(k, "چاه عمیق آب", NULL, NULL), 12);
  assert_int_equal(found(k, "آب چاه نفت", NULL, NULL), 0);
  assert_int_equal(found(k, "آب چاه", "nowhere", NULL), 0);
}

/* ---- a citizen's own ---- */

static size_t walk_mine(struct kit *k, const struct actor *who, int limit, bool access, json_t *seen) {
  char *after = NULL;
  size_t count = 0;
  for (int pages = 0;; pages++) {
    json_t *o, *one;
    size_t i;
    if (access) must(cases_my_access(k->cases, who, after, limit, LANG_EN, &o, err));
    else must(cases_mine(k->cases, who, after, limit, LANG_EN, &o, err));
    json_array_foreach(json_object_get(o, "items"), i, one) {
      const char *key = json_str(one, access ? "basis" : "tracking");
      if (json_object_get(seen, key)) fail_msg("%s stands twice", key);
      json_object_set(seen, key, one);
      count++;
    }
    free(after);
    after = json_str(o, "next") ? base_strdup(json_str(o, "next")) : NULL;
    json_decref(o);
    if (pages > 200) fail_msg("the pages do not end");
    if (!after) return count;
  }
}

static void my_cases_page_by_page(void **state) {
  struct kit *k = *state;
  for (unsigned i = 0; i < 23; i++) {
    kit_tacit(k, &k->ali, "x");
    if (i % 5 == 0) kit_later(1);
  }
  static const int limits[] = {1, 4, 23, 200};
  for (size_t n = 0; n < BASE_COUNT(limits); n++) {
    json_t *seen = json_object();
    assert_int_equal(walk_mine(k, &k->ali, limits[n], false, seen), 23);
    json_decref(seen);
  }
}

static void every_look_is_shown_once(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  struct actor other = kit_person(k, 5);
  for (int i = 0; i < 31; i++) {
    char basis[20];
    snprintf(basis, sizeof basis, "look-%d", i);
    must(cases_look(k->cases, i % 2 ? &k->officer : &k->supervisor, t, basis, NULL, NULL, err));
    if (i % 10 == 9) kit_later(1); /* ten within one millisecond */
  }
  static const int limits[] = {1, 4, 10, 31, 200};
  for (size_t n = 0; n < BASE_COUNT(limits); n++) {
    json_t *seen = json_object();
    size_t count = walk_mine(k, &k->ali, limits[n], true, seen);
    if (count != 31) fail_msg("by %d: %zu looks, not 31", limits[n], count);
    json_decref(seen);
  }
  /* What a claimed session of the pair sees; others see nothing; the newest first. */
  struct actor claimed = kit_citizen(k, "0499370899", "09151234567", ASSURANCE_CLAIMED);
  json_t *seen = json_object(), *o;
  assert_int_equal(walk_mine(k, &claimed, 7, true, seen), 31);
  json_decref(seen);
  must(cases_my_access(k->cases, &k->ali, NULL, 1, LANG_EN, &o, err));
  assert_string_equal(json_str(json_array_get(json_object_get(o, "items"), 0), "basis"), "look-30");
  assert_string_equal(json_str(json_array_get(json_object_get(o, "items"), 0), "organisation"), "centre");
  json_decref(o);
  must(cases_my_access(k->cases, &other, NULL, 10, LANG_EN, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "items")), 0);
  json_decref(o);
  refused(cases_my_access(k->cases, &k->officer, NULL, 10, LANG_EN, &o, err), ERR_FORBIDDEN);
  refused(cases_my_access(k->cases, &k->ali, "rubbish", 10, LANG_EN, &o, err), ERR_MALFORMED);
  refused(cases_look(k->cases, &k->officer, "1234567812345670", "x", NULL, NULL, err), ERR_NOT_FOUND);
  /* One leaf for all of them, and the case's version is as it was. */
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_access_batch WHERE batch<>?1", ""), 1);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM case_access WHERE batch=?1", ""), 0);
  assert_int_equal(kit_row(k, t).version, 1);
  kit_verified(k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    KIT_TEST(every_filter_gives_what_it_says), KIT_TEST(late_by_the_calendar_of_the_case), KIT_TEST(queues_hold_what_is_counted), KIT_TEST(found_in_every_spelling), KIT_TEST(words_move_with_the_case),
    KIT_TEST(more_than_a_page_found), KIT_TEST(frequent_words_meet), KIT_TEST(my_cases_page_by_page), KIT_TEST(every_look_is_shown_once),
  };
  KIT_RUN(tests);
}
