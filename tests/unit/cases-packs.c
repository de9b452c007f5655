/* A case keeps the text that it began under: over packs that lose it, change it or are damaged. */
#include "cases/private.h"
#include "store-kit.h"

#define DAY_MS INT64_C(86400000)
#define BEGIN INT64_C(1795392000000) /* 2026-11-23, a Monday */
static const unsigned char secret[32] = "thirty-two bytes for the tests..";

static bool on_postgres;

struct kit {
  struct store *main, *fast;
  struct trust *trust;
  struct identity *identity;
  struct pack *pack;
  struct cases *cases;
  char folder[200];
  struct buf told, noted;
  int faults, warnings;
};

static int setup(void **state) {
  struct kit *k = base_alloc(sizeof *k);
  char where[600], key[300];
  static int number;
  clock_set(BEGIN);
  must(language_init(err));
  kit_new_where(on_postgres, where, sizeof where);
  must(store_open(where, NULL, &k->main, err));
  must(store_migrate(k->main, NULL, err));
  kit_new_where(false, where, sizeof where);
  must(store_open(where, NULL, &k->fast, err));
  must(store_migrate(k->fast, (const char *const[]){"store", "sessions", NULL}, err));
  snprintf(key, sizeof key, "%s/key-%d", kit_dir, ++number);
  struct trust_options t = {.key_file = key, .origin = "test.example/ledger", .node = "one"};
  must(trust_open(k->main, &t, &k->trust, err));
  must(identity_open(k->main, k->fast, &(struct identity_options){.secret = secret}, &k->identity, err));
  *state = k;
  return 0;
}

static void shut(struct kit *k) {
  cases_close(k->cases);
  pack_unref(k->pack);
  k->cases = NULL;
  k->pack = NULL;
}

static int teardown(void **state) {
  struct kit *k = *state;
  shut(k);
  identity_close(k->identity);
  trust_close(k->trust);
  store_close(k->main);
  store_close(k->fast);
  buf_free(&k->told);
  buf_free(&k->noted);
  clock_set(0);
  free(k);
  return 0;
}

/* ---- folders ---- */

static void fresh_folder(struct kit *k) {
  static int number;
  snprintf(k->folder, sizeof k->folder, "%s/pack-%d", kit_dir, ++number);
  assert_int_equal(kit_run((char *[]){"cp", "-r", "tests/packs/mini", k->folder, NULL}, NULL, 0), 0);
}

static void edit(struct kit *k, const char *file, const char *from, const char *to) {
  char path[300];
  size_t n = 0;
  struct buf b = {0};
  snprintf(path, sizeof path, "%s/%s", k->folder, file);
  char *text = file_read(path, 0, &n, NULL), *at = text, *next;
  assert_non_null(text);
  if (!strstr(text, from)) fail_msg("%s has no '%s'", file, from);
  for (; (next = strstr(at, from)) != NULL; at = next + strlen(from)) {
    buf_add(&b, at, (size_t)(next - at));
    buf_adds(&b, to);
  }
  buf_adds(&b, at);
  must(file_write(path, buf_str(&b), b.len, 0644, err));
  buf_free(&b);
  free(text);
}

/* Version 2 of join in place of version 1, in other words, over another directory. */
static void second(struct kit *k) {
  char from[300], to[300];
  edit(k, "services/join.yaml", "version: 1\nvalid_from: 2026-03-21", "version: 2\nvalid_from: 2026-03-21");
  edit(k, "services/join.yaml", "state: submitted", "state: received");
  edit(k, "services/join.yaml", "start: submitted", "start: received");
  edit(k, "services/join.yaml", "en: Approved}", "en: Agreed}");
  edit(k, "services/join.yaml", "Approved: {{tracking}}", "Taken: {{tracking}}");
  edit(k, "organisations.csv", "water-village,", "archive,agency,,99,GOV,90,بایگانی,Archive,,\nwater-village,");
  edit(k, "organisations.csv", "crew-night,agency,crew,99,GOV,103,گروه شب,Night Crew,,crew\n", "");
  snprintf(from, sizeof from, "%s/services/join.yaml", k->folder);
  snprintf(to, sizeof to, "%s/services/join-v2.yaml", k->folder);
  assert_int_equal(rename(from, to), 0);
}

/* ---- a process over a folder ---- */

static void hear(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  struct kit *k = ctx;
  buf_addf(&k->told, "%s:%u: %s\n", file, line, message);
  if (warning) k->warnings++;
  else k->faults++;
}

static int note(void *ctx, struct store_tx *tx, const char *key, const char *to, enum lang l, const char *subject, const char *text, struct err *err) {
  struct kit *k = ctx;
  buf_addf(&k->noted, "%s\n", text);
  return 0;
}

static int start(struct kit *k, bool demo, struct err *err) {
  struct pack_report report = {.line = hear, .ctx = k};
  shut(k);
  buf_clear(&k->told);
  k->faults = k->warnings = 0;
  k->pack = pack_compile(k->folder, &report);
  if (!k->pack) fail_msg("%s", buf_str(&k->told));
  buf_clear(&k->told);
  k->faults = k->warnings = 0;
  struct cases_options o = {.secret = secret, .node = "one", .identity = k->identity, .notify = note, .notify_ctx = k};
  if (cases_open(k->main, k->trust, k->pack, &o, &k->cases, err)) return -1;
  return cases_keep_pack(k->cases, k->folder, demo, &report, err);
}

static int submit(struct kit *k, const char *key, struct case_submission *s, struct err *err) {
  const struct service *def = pack_find(k->pack, "join");
  json_t *data = json_deep_copy(json_array_get(def->examples, 1));
  char number[32];
  static int n;
  snprintf(number, sizeof number, "0915%07d", ++n);
  json_put(data, "mobile", number);
  json_put(data, "name", key);
  json_put(data, "national_id", n % 2 ? "0643005846" : "0499370899");
  *s = (struct case_submission){.service = def, .data = data, .key = key, .caller = "test", .actor = {.kind = ACTOR_SYSTEM}, .intake = INTAKE_API, .lang = LANG_EN};
  int rc = cases_submit(k->cases, s, NULL, NULL, err);
  json_decref(data);
  return rc;
}

static json_t *see(struct kit *k, const char *tracking) {
  struct actor auditor = {.kind = ACTOR_STAFF, .role_count = 1, .roles = {{"", STAFF_AUDITOR}}};
  json_t *view = NULL;
  must(cases_get(k->cases, &auditor, tracking, LANG_EN, &view, err));
  return view;
}

static void shows(struct kit *k, const char *tracking, const char *key, const char *want) {
  json_t *view = see(k, tracking);
  const char *got = json_str(view, key);
  if (!base_same(got, want)) fail_msg("%s is '%s', not '%s'", key, got ? got : "(null)", want ? want : "(null)");
  json_decref(view);
}

static int act(struct kit *k, const char *tracking, const char *action, const char *who, struct err *err) {
  struct case_act a = {.action = action, .comment = "because", .expected_version = -1, .lang = LANG_EN, .actor = {.kind = ACTOR_STAFF, .role_count = 1, .roles = {{"centre", STAFF_OFFICER}}}};
  snprintf(a.tracking, sizeof a.tracking, "%s", tracking);
  snprintf(a.actor.username, sizeof a.actor.username, "%s", who);
  int rc = cases_act(k->cases, &a, NULL, NULL, err);
  json_decref(a.errors);
  return rc;
}

static void jobs(struct kit *k) {
  int64_t done = 1;
  for (int i = 0; i < 20 && done; i++) must(cases_jobs(k->cases, &done, err));
}

static int count_terms(struct store_tx *tx, void *arg, struct err *err) { return store_value(tx, arg, 0, err, "SELECT COUNT(*) FROM case_term", ""); }

/* ---- the tests ---- */

static void silence_speaks_in_the_words_of_then(void **state) {
  struct kit *k = *state;
  struct case_submission s;
  fresh_folder(k);
  must(start(k, false, err));
  must(submit(k, "one", &s, err));
  second(k);
  must(start(k, false, err));
  assert_string_equal(buf_str(&k->told), "");
  shows(k, s.tracking, "state_title", "Submitted");
  assert_int_equal(pack_find(k->pack, "join")->version, 2);
  clock_set(BEGIN + 20 * DAY_MS);
  buf_clear(&k->noted);
  jobs(k);
  shows(k, s.tracking, "result", "approved");
  assert_non_null(strstr(buf_str(&k->noted), "Approved: "));
  assert_null(strstr(buf_str(&k->noted), "Taken: "));
}

static void erasure_finds_what_was_indexed(void **state) {
  struct kit *k = *state;
  struct case_submission s, t;
  int64_t terms = 0;
  fresh_folder(k);
  must(start(k, false, err));
  must(submit(k, "one", &s, err));
  struct case_act a = {.action = "reject", .reason = "incomplete", .expected_version = -1, .actor = {.kind = ACTOR_STAFF, .username = "o", .role_count = 1, .roles = {{"centre", STAFF_OFFICER}}}};
  memcpy(a.tracking, s.tracking, TRACKING_SIZE);
  must(cases_act(k->cases, &a, NULL, NULL, err));
  must(store_read(k->main, count_terms, &terms, err));
  assert_true(terms > 0);
  second(k);
  must(start(k, false, err));
  clock_set(BEGIN + 4 * 366 * DAY_MS);
  jobs(k);
  json_t *view = see(k, s.tracking);
  assert_true(json_is_null(json_object_get(view, "data")));
  json_decref(view);
  must(store_read(k->main, count_terms, &terms, err));
  assert_int_equal(terms, 0);
  must(submit(k, "two", &t, err)); /* the reservation is free */
  shows(k, t.tracking, "state_title", "Submitted");
  assert_int_equal(t.service->version, 2);
}

static void a_begun_text_does_not_change(void **state) {
  struct kit *k = *state;
  struct case_submission s, t;
  fresh_folder(k);
  must(start(k, false, err));
  edit(k, "services/join.yaml", "Record}", "Records}"); /* nobody has begun yet */
  must(start(k, false, err));
  must(submit(k, "one", &s, err));
  must(start(k, false, err));
  edit(k, "lists/colour.csv", "Green", "Emerald"); /* far from the file, but in its text */
  refused(start(k, false, err), ERR_CONFLICT);
  assert_int_equal(k->faults, 1);
  assert_true(base_starts(buf_str(&k->told), "services/join.yaml:2: service 'join' version 1 was changed after 1 request had begun under it: give the changed text version 2"));
  clock_set(BEGIN + 30000);
  must(start(k, true, err));
  assert_int_equal(k->warnings, 1);
  must(start(k, true, err));
  assert_int_equal(k->warnings, 0);
  clock_set(BEGIN + 60000);
  must(submit(k, "two", &t, err));
  json_t *before = see(k, s.tracking), *after = see(k, t.tracking);
  const struct pack *then, *now;
  assert_string_equal(service_field(cases_definition(k->cases, before, &then), "colours")->choices[1].label.en, "Green");
  assert_string_equal(service_field(cases_definition(k->cases, after, &now), "colours")->choices[1].label.en, "Emerald");
  assert_ptr_equal(now, k->pack);
  assert_ptr_not_equal(then, k->pack);
  json_decref(before);
  json_decref(after);
}

static int32_t tehran(int year, int month, int day) { return day_from_gregorian((struct date){year, month, day}); }

static void another_version_begins_at_midnight(void **state) {
  struct kit *k = *state;
  struct case_submission s, t;
  char from[300], to[300];
  fresh_folder(k);
  snprintf(from, sizeof from, "%s/services/join.yaml", k->folder);
  snprintf(to, sizeof to, "%s/services/join-v2.yaml", k->folder);
  assert_int_equal(kit_run((char *[]){"cp", from, to, NULL}, NULL, 0), 0);
  edit(k, "services/join-v2.yaml", "version: 1\nvalid_from: 2026-03-21", "version: 2\nvalid_from: 2026-11-25");
  edit(k, "services/join-v2.yaml", "Submitted}", "Received}");
  must(start(k, false, err));
  clock_set(day_start(tehran(2026, 11, 25)) - 1);
  must(submit(k, "before", &s, err));
  clock_set(day_start(tehran(2026, 11, 25)));
  must(submit(k, "after", &t, err));
  shows(k, s.tracking, "state_title", "Submitted");
  shows(k, t.tracking, "state_title", "Received");
  clock_set(day_start(tehran(2026, 3, 20)));
  assert_null(pack_find(k->pack, "join"));
  assert_int_equal(pack_find_shown(k->pack, "join")->version, 1);
  assert_false(service_begun(pack_find_shown(k->pack, "join")));
}

/* While requests come in, another pack takes the place: with a version more, and nothing less. */
struct stream { struct kit *k; const struct service *def; _Atomic bool stop; _Atomic int made; };

static void *go_on(void *arg) {
  struct stream *m = arg;
  for (int i = 0; !m->stop || i < 5; i++) {
    struct case_submission s;
    struct err why = {0};
    char key[32], id[32];
    snprintf(key, sizeof key, "stream-%d", i);
    json_t *data = json_deep_copy(json_array_get(m->def->examples, 1));
    snprintf(id, sizeof id, "0915%07d", 5000000 + i);
    json_put(data, "national_id", "0084575948");
    json_put(data, "mobile", id);
    s = (struct case_submission){.service = m->def, .data = data, .key = key, .caller = key, .actor = {.kind = ACTOR_SYSTEM}, .intake = INTAKE_API, .lang = LANG_EN};
    if (cases_submit(m->k->cases, &s, NULL, NULL, &why) == 0 || why.code == ERR_CONFLICT) m->made++;
    json_t *view = NULL;
    struct actor auditor = {.kind = ACTOR_STAFF, .role_count = 1, .roles = {{"", STAFF_AUDITOR}}};
    if (s.tracking[0] && cases_get(m->k->cases, &auditor, s.tracking, LANG_EN, &view, &why) == 0) json_decref(view);
    json_decref(data);
  }
  return NULL;
}

static void a_definition_is_added_while_serving(void **state) {
  struct kit *k = *state;
  struct case_submission s, t;
  char from[300], to[300];
  pthread_t thread;
  fresh_folder(k);
  must(start(k, false, err));
  const struct service *old = pack_find(k->pack, "join");
  struct stream m = {.k = k, .def = old};
  assert_int_equal(pthread_create(&thread, NULL, go_on, &m), 0);
  snprintf(from, sizeof from, "%s/services/join.yaml", k->folder);
  snprintf(to, sizeof to, "%s/services/join-v2.yaml", k->folder);
  assert_int_equal(kit_run((char *[]){"cp", from, to, NULL}, NULL, 0), 0);
  edit(k, "services/join-v2.yaml", "version: 1\nvalid_from: 2026-03-21", "version: 2\nvalid_from: 2026-11-25");
  edit(k, "services/join-v2.yaml", "Submitted}", "Received}");
  struct pack *with = pack_compile(k->folder, &(struct pack_report){.line = hear, .ctx = k});
  assert_non_null(with);
  must(cases_serve_pack(k->cases, with, k->folder, err));
  assert_ptr_equal(cases_pack(k->cases), with);
  m.stop = true;
  pthread_join(thread, NULL);
  assert_true(m.made >= 5);
  must(submit(k, "before its day", &s, err)); /* by the definition of the pack of before */
  assert_ptr_equal(s.service, old);
  shows(k, s.tracking, "state_title", "Submitted");
  clock_set(day_start(tehran(2026, 11, 25)));
  pack_unref(k->pack);
  k->pack = pack_ref(with);
  must(submit(k, "on its day", &t, err));
  shows(k, t.tracking, "state_title", "Received");
  shows(k, s.tracking, "state_title", "Submitted");
  const struct pack *stands;
  json_t *view = see(k, s.tracking);
  assert_string_equal(cases_definition(k->cases, view, &stands)->etag, old->etag);
  assert_ptr_equal(stands, with);
  json_decref(view);
  json_t *packs = NULL;
  must(cases_packs(k->cases, &packs, err));
  assert_int_equal(json_array_size(packs), 2);
  json_decref(packs);
  jobs(k);
  /* what is served is never taken away, nor changed */
  edit(k, "services/join.yaml", "Submitted}", "Arrived}");
  struct pack *changed = pack_compile(k->folder, &(struct pack_report){.line = hear, .ctx = k});
  assert_non_null(changed);
  refused(cases_serve_pack(k->cases, changed, k->folder, err), ERR_CONFLICT);
  assert_ptr_equal(cases_pack(k->cases), with);
  pack_unref(changed);
  pack_unref(with);
}

/* Two nodes with different texts of a version that nobody has begun: whoever is first decides. */
static void the_first_request_decides_between_nodes(void **state) {
  struct kit *k = *state, other = {0};
  struct case_submission s, t;
  fresh_folder(k);
  must(start(k, false, err));
  other = *k;
  other.cases = NULL;
  other.pack = NULL;
  other.told = other.noted = (struct buf){0};
  fresh_folder(&other);
  edit(&other, "services/join.yaml", "Submitted}", "Arrived}");
  must(start(&other, false, err));
  must(submit(&other, "first", &s, err));
  refused(submit(k, "second", &t, err), ERR_UNAVAILABLE);
  shows(k, s.tracking, "state_title", "Arrived");
  jobs(k); /* now it knows */
  shows(k, s.tracking, "state_title", "Arrived");
  refused(submit(k, "second", &t, err), ERR_UNAVAILABLE);
  must(submit(&other, "third", &t, err));
  shut(&other);
  buf_free(&other.told);
  buf_free(&other.noted);
}

struct many { struct kit *k; const char *tracking; _Atomic int good; };

static void *look_on(void *arg) {
  struct many *m = arg;
  for (int i = 0; i < 20; i++) {
    char *body = NULL, etag[80];
    size_t n = 0;
    if (cases_public(m->k->cases, m->tracking, LANG_EN, &body, &n, etag, NULL) == 0 && strstr(body, "\"state_title\":\"Approved\"")) m->good++;
    free(body);
  }
  return NULL;
}

static void many_ask_at_once(void **state) {
  struct kit *k = *state;
  struct case_submission s;
  pthread_t threads[6];
  fresh_folder(k);
  must(start(k, false, err));
  must(submit(k, "one", &s, err));
  must(act(k, s.tracking, "approve", "o", err));
  clock_set(BEGIN + 90 * DAY_MS); /* closed long ago: its pack is compiled when somebody asks */
  second(k);
  must(start(k, false, err));
  struct many m = {.k = k, .tracking = s.tracking};
  for (size_t i = 0; i < BASE_COUNT(threads); i++) pthread_create(&threads[i], NULL, look_on, &m);
  for (size_t i = 0; i < BASE_COUNT(threads); i++) pthread_join(threads[i], NULL);
  assert_int_equal(m.good, 6 * 20);
}

#define HARM(name, sql) static int name(struct store_tx *tx, void *arg, struct err *err) { return store_exec(tx, err, sql, "") < 0 ? -1 : 0; }
HARM(cut, "UPDATE pack_chunk SET bytes=(SELECT bytes FROM pack_chunk ORDER BY sha256,n LIMIT 1)")
HARM(climb, "UPDATE pack_file SET path='../../escaped' WHERE path='holidays.csv'")
HARM(gone, "DELETE FROM pack_file")

static void a_damaged_pack_stops_nobody_else(void **state) {
  struct kit *k = *state;
  struct case_submission s, t;
  static int (*const harms[])(struct store_tx *, void *, struct err *) = {climb, cut, gone};
  char hash[65], to[300], escaped[300];
  fresh_folder(k);
  must(start(k, false, err));
  must(submit(k, "one", &s, err));
  second(k);
  log_set_level(LOG_ERROR + 1);
  for (size_t i = 0; i < BASE_COUNT(harms); i++) {
    must(store_write(k->main, STORE_FRONT, harms[i], NULL, err));
    must(start(k, false, err));
    shows(k, s.tracking, "definition", NULL);
    shows(k, s.tracking, "state", "submitted");
    refused(act(k, s.tracking, "approve", "o", err), ERR_UNAVAILABLE);
    snprintf(to, sizeof to, "%s/out-%d-%zu", kit_dir, on_postgres, i);
    snprintf(escaped, sizeof escaped, "%s/escaped", kit_dir);
    if (i < 2) refused(cases_pack_export(k->cases, NULL, to, hash, err), ERR_MALFORMED);
    assert_int_not_equal(access(escaped, F_OK), 0);
  }
  int64_t done;
  clock_set(BEGIN + 20 * DAY_MS);
  must(cases_jobs(k->cases, &done, err));
  must(cases_jobs(k->cases, &done, err));
  assert_int_equal(done, 0); /* not decided, and not asked again until tomorrow */
  shows(k, s.tracking, "result", "open");
  must(submit(k, "two", &t, err));
  log_set_level(LOG_ERROR);
}

static void packs_are_listed_and_written_back(void **state) {
  struct kit *k = *state;
  struct case_submission s;
  char hash[65], first[300], to[300], again[65];
  fresh_folder(k);
  snprintf(first, sizeof first, "%s", k->folder);
  must(start(k, false, err));
  must(submit(k, "one", &s, err));
  snprintf(hash, sizeof hash, "%s", pack_hash(k->pack));
  fresh_folder(k);
  second(k);
  clock_set(BEGIN + 1000);
  must(start(k, false, err));
  json_t *list = NULL;
  must(cases_packs(k->cases, &list, err));
  assert_int_equal(json_array_size(list), 2);
  assert_string_equal(json_str(json_array_get(list, 0), "hash"), hash);
  assert_int_equal(json_int(json_array_get(list, 0), "cases", -1), 1);
  assert_int_equal(json_int(json_array_get(list, 1), "cases", -1), 0);
  json_decref(list);
  snprintf(to, sizeof to, "%s/back-%d", kit_dir, on_postgres);
  must(cases_pack_export(k->cases, hash, to, again, err));
  assert_string_equal(again, hash);
  assert_int_equal(kit_run((char *[]){"diff", "-r", first, to, NULL}, NULL, 0), 0);
  refused(cases_pack_export(k->cases, hash, to, again, err), ERR_CONFLICT);
  snprintf(to, sizeof to, "%s/newest-%d", kit_dir, on_postgres);
  must(cases_pack_export(k->cases, NULL, to, again, err));
  assert_int_equal(kit_run((char *[]){"diff", "-r", k->folder, to, NULL}, NULL, 0), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(silence_speaks_in_the_words_of_then, setup, teardown),
    cmocka_unit_test_setup_teardown(erasure_finds_what_was_indexed, setup, teardown),
    cmocka_unit_test_setup_teardown(a_begun_text_does_not_change, setup, teardown),
    cmocka_unit_test_setup_teardown(another_version_begins_at_midnight, setup, teardown),
    cmocka_unit_test_setup_teardown(a_definition_is_added_while_serving, setup, teardown),
    cmocka_unit_test_setup_teardown(the_first_request_decides_between_nodes, setup, teardown),
    cmocka_unit_test_setup_teardown(many_ask_at_once, setup, teardown),
    cmocka_unit_test_setup_teardown(a_damaged_pack_stops_nobody_else, setup, teardown),
    cmocka_unit_test_setup_teardown(packs_are_listed_and_written_back, setup, teardown),
  };
  if (kit_start(NULL) != 0) return 1;
  int failed = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
  if (kit_pg_start() == 0) {
    on_postgres = true;
    failed += cmocka_run_group_tests_name("postgresql", tests, NULL, NULL);
  }
  kit_pg_stop();
  kit_stop(NULL);
  return failed;
}
