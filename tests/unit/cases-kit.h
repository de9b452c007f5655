/* What the tests of cases share: tests/packs/cases in a store of either engine, people, filings, days. */
#ifndef CHAPAR_TEST_CASES_KIT_H
#define CHAPAR_TEST_CASES_KIT_H

#include "cases/private.h"
#include "channels/notify/notify.h"
#include "store-kit.h"
#include <stdatomic.h>

struct kit {
  struct store *store;
  struct pack *pack;
  struct identity *identity;
  struct trust *trust;
  struct cases *cases;
  struct arena *arena;
  const struct service *permit, *tacit, *repair;
  struct actor ali, officer, officer2, supervisor, manager; /* a citizen whose telephone is theirs; staff of the centre */
};

static const char *kit_postgres; /* NULL: SQLite */
static atomic_int kit_record_fails;
static const unsigned char kit_secret[32] = "thirty-two bytes for the tests..";
static int kit_number;

static inline void kit_hear(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  print_message("%s:%u: %s\n", file, line, message);
}

static inline int kit_notify(void *ctx, struct store_tx *tx, const char *key, const char *to, enum lang l, const char *subject, const char *text, struct err *err) {
  return notify_put_mail(tx, key, to, l, subject, text, err);
}

static inline int kit_messages(void *ctx, struct store_tx *tx, const char *from, const char *to, json_t *list, struct err *err) {
  return notify_between(tx, from, to, list, err);
}
static inline int kit_sent(void *ctx, struct store_tx *tx, const char *text, json_t *list, struct err *err) { return notify_like(tx, text, list, err); }

/* Each time it is applied leaves a mark. */
static inline int kit_record(void *ctx, struct store_tx *tx, const char *registry, const char *event, json_t *attributes, const char *tracking,
                             struct err *err) {
  if (kit_record_fails) return err_set(err, ERR_UNAVAILABLE, "the registry is away");
  char *text = json_canonical(attributes), *name = base_printf("%s/%s", registry, tracking);
  int rc = store_put(tx, err, "INSERT INTO case_meta (name,value) VALUES (?1,?2) ON CONFLICT (name) DO UPDATE SET value=case_meta.value||'+'||excluded.value",
                     "tt", name, text);
  free(text);
  free(name);
  return rc;
}

static inline int kit_empty(struct store_tx *tx, void *arg, struct err *err) {
#define X(table) store_exec(tx, err, "DELETE FROM " table, "") < 0 ||
  if (X("look_day") X("look_report") false) return -1;
  if (X("mandate") X("case_rating") X("case_about") X("staff_person") X("case_consent") X("case_counter") X("bound_telephone") false) return -1;
  return X("cases") X("case_remark") X("case_desk_calendar") X("desk_log") X("desk_absence") X("case_standin") X("case_desk_meeting") X("desk_search") X("case_letter") X("case_letter_step") X("case_letter_turn")
         X("letter_register") X("letter_number") X("case_event") X("case_person") X("case_term") X("case_child") X("case_key") X("case_reservation") X("case_outbox")
         X("case_access") X("case_access_new") X("case_access_batch") X("calendar_change") X("calendar_log") X("document") X("document_chunk")
         X("draft") X("case_meta") X("notify_message") X("staff") X("staff_role") X("store_lock") X("ledger_log") X("ledger_pending")
         X("ledger_leaf") X("ledger_span") X("ledger_late") X("ledger_tile") X("ledger_state") X("observatory_sum") X("observatory_open") X("observatory_state") X("ledger_head") X("ledger_stamp") X("ledger_cosignature") false ? -1 : 0;
#undef X
}

static inline struct actor kit_citizen(struct kit *k, const char *national_id, const char *mobile, enum assurance a) {
  struct actor who = {.kind = ACTOR_CITIZEN, .assurance = a};
  snprintf(who.national_id, sizeof who.national_id, "%s", national_id);
  snprintf(who.mobile, sizeof who.mobile, "%s", mobile);
  identity_pair_key(k->identity, national_id, mobile, who.pair);
  if (a >= ASSURANCE_SIM_MATCHED) identity_person_key(k->identity, national_id, who.person);
  else snprintf(who.person, sizeof who.person, "%s", who.pair);
  return who;
}

static inline struct actor kit_staff(const char *username, const char *organisation, int role) {
  struct actor who = {.kind = ACTOR_STAFF, .role_count = 1};
  snprintf(who.username, sizeof who.username, "%s", username);
  snprintf(who.name, sizeof who.name, "%s", username);
  snprintf(who.person, sizeof who.person, "s:%s", username);
  snprintf(who.roles[0].organisation, sizeof who.roles[0].organisation, "%s", organisation);
  who.roles[0].role = role;
  return who;
}

/* National id number n, valid; telephone number n. */
static inline const char *kit_id(unsigned n, char out[16]) {
  int sum = 0;
  snprintf(out, 16, "%09u", 100000000u + n % 800000000u);
  for (int d = 0; d < 9; d++) sum += (out[d] - '0') * (10 - d);
  int r = sum % 11;
  out[9] = (char)('0' + (r < 2 ? r : 11 - r));
  out[10] = 0;
  return out;
}
static inline const char *kit_mobile(unsigned n, char out[16]) {
  snprintf(out, 16, "0915%07u", n % 10000000u);
  return out;
}
static inline struct actor kit_person(struct kit *k, unsigned n) {
  char id[16], mobile[16];
  return kit_citizen(k, kit_id(n, id), kit_mobile(n, mobile), ASSURANCE_SIM_MATCHED);
}

static inline int32_t kit_day(const char *iso) {
  int32_t day = date_parse(iso);
  assert_int_not_equal(day, INT32_MIN);
  return day;
}
/* It is noon of a day in Tehran. */
static inline void kit_now(const char *iso) { clock_set(day_start(kit_day(iso)) + 12 * 3600000); }
static inline void kit_later(int64_t ms) { clock_set(clock_now() + ms); }

static inline struct cases *kit_node(struct kit *k, const char *name) {
  struct cases *c;
  struct cases_options o = {.secret = kit_secret, .node = name, .identity = k->identity, .notify = kit_notify, .messages = kit_messages, .sent = kit_sent, .record = kit_record};
  must(cases_open(k->store, k->trust, k->pack, &o, &c, err));
  return c;
}

static inline int kit_setup(void **state) {
  struct kit *k = base_alloc(sizeof *k);
  char where[600], key[256];
  clock_set(0);
  kit_record_fails = 0;
  must(language_init(err));
  if (kit_postgres == NULL) kit_new_where(false, where, sizeof where);
  must(store_open(kit_postgres != NULL ? kit_postgres : where, NULL, &k->store, err));
  must(store_migrate(k->store, NULL, err));
  if (kit_postgres != NULL) must(store_write(k->store, STORE_FRONT, kit_empty, NULL, err));
  k->pack = pack_compile("tests/packs/cases", &(struct pack_report){.line = kit_hear});
  assert_non_null(k->pack);
  k->permit = pack_find_version(k->pack, "permit", 1);
  k->tacit = pack_find_version(k->pack, "tacit", 1);
  k->repair = pack_find_version(k->pack, "repair", 1);
  assert_true(k->permit && k->tacit && k->repair);
  struct identity_options io = {.secret = kit_secret};
  must(identity_open(k->store, k->store, &io, &k->identity, err));
  snprintf(key, sizeof key, "%s/key-%d", kit_dir, ++kit_number);
  struct trust_options to = {.key_file = key, .origin = "test.example/ledger", .node = "one"};
  must(trust_open(k->store, &to, &k->trust, err));
  kit_now("2026-06-06");
  k->cases = kit_node(k, "one");
  k->arena = arena_new(64 * 1024 * 1024);
  k->ali = kit_citizen(k, "0499370899", "09151234567", ASSURANCE_SIM_MATCHED);
  k->officer = kit_staff("officer", "centre", ROLE_OFFICER);
  k->officer2 = kit_staff("officer2", "centre", ROLE_OFFICER);
  k->supervisor = kit_staff("supervisor", "centre", ROLE_SUPERVISOR);
  k->manager = kit_staff("manager", "centre", ROLE_MANAGER);
  *state = k;
  return 0;
}

static inline int kit_teardown(void **state) {
  struct kit *k = *state;
  cases_close(k->cases);
  trust_close(k->trust);
  identity_close(k->identity);
  pack_unref(k->pack);
  store_close(k->store);
  arena_free(k->arena);
  clock_set(0);
  free(k);
  return 0;
}

/* ---- statements of the test's own ---- */

struct kit_sql { const char *sql, *t; int64_t value; };
static inline int kit_value_work(struct store_tx *tx, void *arg, struct err *err) {
  struct kit_sql *q = arg;
  return store_value(tx, &q->value, -1, err, q->sql, "t", q->t);
}
/* One number; ?1 is the text t, which the statement must name. */
static inline int64_t kit_value(struct kit *k, const char *sql, const char *t) {
  struct kit_sql q = {.sql = sql, .t = t};
  must(store_read(k->store, kit_value_work, &q, err));
  return q.value;
}
static inline int kit_do_work(struct store_tx *tx, void *arg, struct err *err) {
  struct kit_sql *q = arg;
  int n = store_exec(tx, err, q->sql, "t", q->t);
  q->value = n;
  return n < 0 ? -1 : 0;
}
static inline int kit_do(struct kit *k, const char *sql, const char *t) {
  struct kit_sql q = {.sql = sql, .t = t};
  must(store_write(k->store, STORE_FRONT, kit_do_work, &q, err));
  return (int)q.value;
}

/* ---- filing, acting, looking ---- */

static inline json_t *kit_json(const char *text) {
  json_t *v = json_loads(text, 0, NULL);
  assert_non_null(v);
  return v;
}

struct kit_filed { enum err_code code; char tracking[TRACKING_SIZE]; struct case_submission s; };
/* data is taken (the reference is stolen). */
static inline struct kit_filed kit_try(struct cases *c, const struct service *service, const struct actor *who, const char *key, json_t *data) {
  struct kit_filed f = {0};
  struct err e = {0};
  f.s = (struct case_submission){.service = service, .data = data, .key = key, .actor = *who, .intake = INTAKE_WEB, .lang = LANG_EN,
                                 .caller = who->kind == ACTOR_STAFF ? who->username : who->pair};
  struct case_counter counter = {.consent = CONSENT_KEPT};
  char number[16];
  const char *id = service->applicant_field ? json_str(data, service->applicant_field) : NULL;
  if (actor_has_role(who, NULL, STAFF_AGENT) && !service->staff_only && id) { /* the person has signed a slip */
    struct case_asking a = {.service = service, .data = data, .national_id = id, .mobile = service->mobile_field ? json_str(data, service->mobile_field) : NULL};
    must(cases_slip(c, who, &a, number, err));
    counter.number = number;
    f.s.counter = &counter;
  }
  if (cases_submit(c, &f.s, NULL, NULL, &e)) f.code = e.code ? e.code : ERR_INTERNAL;
  else snprintf(f.tracking, sizeof f.tracking, "%s", f.s.tracking);
  json_decref(data);
  json_decref(f.s.errors);
  f.s.data = f.s.errors = NULL;
  f.s.counter = NULL;
  return f;
}
static inline const char *kit_keep(struct kit *k, const struct kit_filed *f) {
  if (f->code) fail_msg("filing: %s", err_name(f->code));
  return arena_strdup(k->arena, f->tracking);
}
static inline json_t *kit_permit_data(const char *id, const char *mobile, const char *name, const char *kind) {
  return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "national_id", id, "mobile", mobile, "name", name, "kind", kind, "county", "9901", "about", "a secret");
}
static inline const char *kit_new_key(struct kit *k) { return arena_printf(k->arena, "key-%d", ++kit_number); }
/* A permit of a person for themselves. */
static inline const char *kit_permit(struct kit *k, const struct actor *who, const char *kind) {
  struct kit_filed f = kit_try(k->cases, k->permit, who, kit_new_key(k), kit_permit_data(who->national_id, who->mobile, "کارگاه سفال", kind));
  return kit_keep(k, &f);
}
static inline const char *kit_tacit(struct kit *k, const struct actor *who, const char *what) {
  struct kit_filed f = kit_try(k->cases, k->tacit, who, kit_new_key(k), json_pack("{s:s}", "what", what));
  return kit_keep(k, &f);
}
static inline const char *kit_repair(struct kit *k, const struct actor *who, const char *place) {
  struct kit_filed f = kit_try(k->cases, k->repair, who, kit_new_key(k), json_pack("{s:s}", "place", place));
  return kit_keep(k, &f);
}

/* An action with everything; data as JSON text or NULL. The code of the refusal, or 0. */
static inline enum err_code kit_acts(struct cases *c, const char *tracking, const struct actor *who, const char *action, const char *comment,
                                     const char *data, int64_t expected, const char *key, struct case_act *out) {
  struct err e = {0};
  json_t *d = data ? kit_json(data) : NULL;
  struct arena *a = arena_new(256 * 1024);
  struct case_act act = {.action = action, .comment = comment, .data = d, .expected_version = expected, .key = key, .actor = *who, .lang = LANG_EN, .arena = a};
  snprintf(act.tracking, sizeof act.tracking, "%s", tracking);
  int rc = cases_act(c, &act, NULL, NULL, &e);
  json_decref(act.errors);
  json_decref(d);
  arena_free(a);
  act.errors = act.data = NULL;
  act.arena = NULL;
  if (out) *out = act;
  return rc == 0 ? ERR_NONE : e.code ? e.code : ERR_INTERNAL;
}
static inline int kit_rate(struct cases *c, const struct actor *who, const char *tracking, int score, const json_t *answers, const char *comment, struct err *err) {
  struct case_rating r = {.tracking = tracking, .score = score, .answers = answers, .comment = comment};
  int rc = cases_rate(c, who, &r, LANG_EN, err);
  json_decref(r.errors);
  return rc;
}

static inline enum err_code kit_act(struct kit *k, const char *tracking, const struct actor *who, const char *action, const char *comment) {
  return kit_acts(k->cases, tracking, who, action, comment, NULL, -1, NULL, NULL);
}
#define acts(call)                                                       \
  do {                                                                   \
    enum err_code c_ = (call);                                           \
    if (c_) fail_msg("%s: %s", #call, err_name(c_));                     \
  } while (0)
#define denied(call, expected)                                           \
  do {                                                                   \
    enum err_code c_ = (call);                                           \
    if (c_ != (expected)) fail_msg("%s: %s, not %s", #call, err_name(c_), err_name(expected)); \
  } while (0)

struct kit_load { struct kit *k; const char *tracking; struct case_row row; };
static inline int kit_load_work(struct store_tx *tx, void *arg, struct err *err) {
  struct kit_load *l = arg;
  return case_load(l->k->cases, tx, l->k->arena, l->tracking, &l->row, err);
}
static inline struct case_row kit_row(struct kit *k, const char *tracking) {
  struct kit_load l = {.k = k, .tracking = tracking};
  must(store_read(k->store, kit_load_work, &l, err));
  return l.row;
}
static inline void kit_is_day(struct kit *k, const struct case_row *row, int64_t ord, const char *iso, const char *what) {
  char got[16] = "none";
  int32_t day = case_due_day(k->cases, row, ord);
  if (day != INT32_MIN) date_iso(day, got);
  if (strcmp(got, iso) != 0) fail_msg("%s is %s, not %s", what, got, iso);
}
#define norm_is(k, tracking, iso) do { struct case_row r_ = kit_row(k, tracking); kit_is_day(k, &r_, r_.norm_ord, iso, "norm"); } while (0)
#define legal_is(k, tracking, iso) do { struct case_row r_ = kit_row(k, tracking); kit_is_day(k, &r_, r_.legal_ord, iso, "legal"); } while (0)
#define state_legal_is(k, tracking, iso) do { struct case_row r_ = kit_row(k, tracking); kit_is_day(k, &r_, r_.state_legal_ord, iso, "state's legal"); } while (0)
#define state_is(k, tracking, name) assert_string_equal(kit_row(k, tracking).state, name)
/* The day after which somebody must look. */
#define check_is(k, tracking, iso) do { struct case_row r_ = kit_row(k, tracking); kit_is_day(k, &r_, r_.next_ord, iso, "the next look"); } while (0)

/* Jobs until nothing is left to do now. */
static inline void kit_jobs_of(struct cases *c) {
  int64_t done = 1;
  for (int i = 0; i < 50 && done; i++) must(cases_jobs(c, &done, err));
}
static inline void kit_jobs(struct kit *k) { kit_jobs_of(k->cases); }
/* Every working morning of every calendar, up to and on a day. */
static inline void kit_until(struct kit *k, const char *iso) {
  int32_t last = kit_day(iso);
  for (int32_t d = cases_today() + 1; d <= last; d++) {
    clock_set(day_start(d) + 12 * 3600000);
    kit_jobs(k);
  }
}

static inline int64_t kit_events(struct kit *k, const char *tracking, const char *action) {
  char both[100];
  snprintf(both, sizeof both, "%s/%s", tracking, action);
  return kit_value(k, "SELECT COUNT(*) FROM case_event WHERE tracking||'/'||action=?1", both);
}
struct kit_text { const char *a, *b; char *out; };
static inline int kit_child_work(struct store_tx *tx, void *arg, struct err *err) {
  struct kit_text *t = arg;
  struct store_rows *r = store_select(tx, err, "SELECT tracking FROM case_child WHERE parent=?1 AND inquiry=?2 ORDER BY open DESC", "tt", t->a, t->b);
  if (!r) return -1;
  int rc = store_next(r, err);
  free(t->out);
  t->out = rc == 1 ? base_strdup(store_text(r, 0)) : NULL;
  store_done(r);
  return rc < 0 ? -1 : 0;
}
static inline const char *kit_child(struct kit *k, const char *parent, const char *inquiry) {
  struct kit_text t = {parent, inquiry, NULL};
  must(store_read(k->store, kit_child_work, &t, err));
  if (!t.out) fail_msg("%s has no child %s", parent, inquiry);
  const char *kept = arena_strdup(k->arena, t.out);
  free(t.out);
  return kept;
}

static inline json_t *kit_get(struct kit *k, const struct actor *who, const char *tracking) {
  json_t *o;
  must(cases_get(k->cases, who, tracking, LANG_EN, &o, err));
  return o;
}

static inline void kit_fault(void *ctx, const char *line) {
  char *all = ctx;
  if (all) snprintf(all + strlen(all), 2000 - strlen(all), "%s\n", line);
  else print_message("%s\n", line);
}
static inline int kit_digest(void *ctx, const char *header, unsigned char digest[TRUST_HASH]) { return cases_leaf_digest(ctx, header, digest); }
/* All that is kept agrees: rows with events, events with the ledger. */
static inline void kit_verified(struct kit *k) {
  int64_t placed = 1;
  for (int i = 0; i < 100 && placed; i++) {
    kit_later(1500); /* a head a second */
    must(trust_sequence(k->trust, &placed, err));
  }
  must(cases_verify(k->cases, kit_fault, NULL, err));
  struct trust_verify v = {.leaf = kit_digest, .ctx = k->cases, .report = NULL};
  must(trust_verify(k->trust, &v, err));
}

/* Run the tests on SQLite, and on PostgreSQL where there is one. */
#define KIT_RUN(tests)                                                                \
  do {                                                                                \
    static char where[600];                                                           \
    if (kit_start(NULL) != 0) return 1;                                               \
    int failed = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);            \
    if (kit_pg_start() == 0) {                                                        \
      kit_new_where(true, where, sizeof where);                                       \
      kit_postgres = where;                                                           \
      failed += cmocka_run_group_tests_name("postgresql", tests, NULL, NULL);         \
    }                                                                                 \
    kit_pg_stop();                                                                    \
    kit_stop(NULL);                                                                   \
    return failed;                                                                    \
  } while (0)
#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

#endif
