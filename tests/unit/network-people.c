/* Who is told of an incident, once each and of its end; programs are told signed, again and again, for a day. */
#include "network/people.h"
#include "store-kit.h"

static const char *postgres; /* NULL: SQLite */
static const unsigned char secret[32] = "a secret of the test, 32 bytes..";

static int empty(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM network_contact", "") < 0 || store_exec(tx, err, "DELETE FROM network_contact_told", "") < 0 ||
         store_exec(tx, err, "DELETE FROM network_hook", "") < 0 || store_exec(tx, err, "DELETE FROM network_hook_call", "") < 0 ? -1 : 0;
}

static int setup(void **state) {
  static const char *const rooms[] = {"network", NULL};
  struct store *s;
  char where[600];
  clock_set(INT64_C(1800000000000));
  must(language_init(err));
  if (postgres == NULL) kit_new_where(false, where, sizeof where);
  must(store_open(postgres != NULL ? postgres : where, NULL, &s, err));
  must(store_migrate(s, rooms, err));
  must(store_write(s, STORE_FRONT, empty, NULL, err));
  *state = s;
  return 0;
}

static int teardown(void **state) {
  store_close(*state);
  clock_set(0);
  return 0;
}

static int also(struct store_tx *tx, void *ctx, struct err *err) {
  (*(int *)ctx)++;
  return 0;
}

static struct network_contact contact(const char *organisation, const char *to, int level) {
  return (struct network_contact){.organisation = organisation, .name = "مریم رضایی", .to = to, .lang = LANG_FA, .level = level};
}

struct telling { struct network_news news; char names[400]; int stop; };

static int tell(void *ctx, const struct network_contact *c) {
  struct telling *t = ctx;
  size_t n = strlen(t->names);
  snprintf(t->names + n, sizeof t->names - n, "%s ", c->to);
  return t->stop ? -1 : 0;
}

static int by_target(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int tell_work(struct store_tx *tx, void *arg, struct err *err) {
  struct telling *t = arg;
  t->names[0] = 0;
  return network_contacts_concerned(tx, &t->news, tell, t, err);
}

/* Who was told, in order of their addresses. */
static const char *told(struct store *s, int64_t incident, const char *organisation, enum network_step step, int level) {
  static char out[400];
  struct telling t = {.news = {.incident = incident, .organisation = organisation, .step = step, .level = level}};
  char *list[20];
  size_t n = 0;
  must(store_write(s, STORE_FRONT, tell_work, &t, err));
  for (char *at = t.names, *end; (end = strchr(at, ' ')) != NULL && n < 20; at = end + 1) {
    *end = 0;
    list[n++] = at;
  }
  qsort(list, n, sizeof *list, by_target);
  out[0] = 0;
  for (size_t i = 0; i < n; i++) snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i ? " " : "", list[i]);
  return out;
}

static void each_once_and_of_the_end(void **state) {
  struct store *s = *state;
  int acts = 0;
  struct network_contact list[] = {contact("", "09150000001", 0), contact("ict", "09150000002", 0), contact("ict", "09150000001", 0), contact("edu", "09150000003", 0),
                                   contact("", "boss@example.ir", 2)};
  for (size_t i = 0; i < BASE_COUNT(list); i++) must(network_contact_put(s, "operator", &list[i], also, &acts, err));
  assert_int_equal(acts, 5);
  struct network_contact same = contact("ict", "09150000002", 0), none = contact("ict", "", 0), short_name = contact("ict", "09150000009", 0);
  short_name.name = "x";
  refused(network_contact_put(s, "operator", &same, also, &acts, err), ERR_CONFLICT);
  refused(network_contact_put(s, "operator", &none, also, &acts, err), ERR_INVALID);
  refused(network_contact_put(s, "operator", &short_name, also, &acts, err), ERR_INVALID);
  assert_int_equal(acts, 5);
  assert_string_equal(told(s, 7, "ict", NETWORK_OPENED, 0), "09150000001 09150000002"); /* on two lists, told once */
  assert_string_equal(told(s, 7, "ict", NETWORK_OPENED, 0), "");
  assert_string_equal(told(s, 8, "edu", NETWORK_OPENED, 0), "09150000001 09150000003");
  assert_string_equal(told(s, 7, "ict", NETWORK_ESCALATED, 1), "");
  assert_string_equal(told(s, 7, "ict", NETWORK_ESCALATED, 2), "boss@example.ir");
  assert_string_equal(told(s, 7, "ict", NETWORK_CLOSED, 0), "09150000001 09150000002 boss@example.ir");
  assert_string_equal(told(s, 7, "ict", NETWORK_CLOSED, 0), "");
  json_t *found = NULL;
  must(network_contacts(s, "ict", &found, err));
  assert_int_equal(json_array_size(found), 2);
  json_decref(found);
  refused(network_contact_drop(s, "edu", list[1].id, also, &acts, err), ERR_NOT_FOUND);
  must(network_contact_drop(s, "ict", list[1].id, also, &acts, err));
  refused(network_contact_drop(s, NULL, list[1].id, also, &acts, err), ERR_NOT_FOUND);
  must(network_contacts(s, NULL, &found, err));
  assert_int_equal(json_array_size(found), 4);
  json_decref(found);
}

static void a_list_ends(void **state) {
  struct store *s = *state;
  char to[20];
  for (int i = 0; i <= NETWORK_CONTACTS_MOST; i++) {
    snprintf(to, sizeof to, "0915%07d", i);
    struct network_contact c = contact("ict", to, 0);
    if (i < NETWORK_CONTACTS_MOST) must(network_contact_put(s, "operator", &c, NULL, NULL, err));
    else refused(network_contact_put(s, "operator", &c, NULL, NULL, err), ERR_LIMIT);
  }
}

/* ---- programs ---- */

struct program { int answer, calls; char body[1024], signature[200], id[100], url[200]; };

static int post(void *ctx, const char *url, const char *const *headers, const char *body, size_t n, int *status, struct err *err) {
  struct program *p = ctx;
  p->calls++;
  snprintf(p->body, sizeof p->body, "%.*s", (int)n, body);
  snprintf(p->url, sizeof p->url, "%s", url);
  for (; *headers; headers++) {
    if (base_starts(*headers, "Chapar-Signature: ")) snprintf(p->signature, sizeof p->signature, "%s", *headers + 18);
    if (base_starts(*headers, "Chapar-Event-Id: ")) snprintf(p->id, sizeof p->id, "%s", *headers + 17);
  }
  if (p->answer == 0) return err_set(err, ERR_UNAVAILABLE, "nobody there");
  *status = p->answer;
  return 0;
}

static int queue_work(struct store_tx *tx, void *arg, struct err *err) {
  int n = network_hooks_queue(tx, arg, err);
  return n < 0 ? -1 : 0;
}

static int64_t deliver(struct store *s, struct program *p) {
  int64_t done = 0;
  must(network_hooks_jobs(s, secret, post, p, &done, err));
  return done;
}

static json_t *only_hook(struct store *s) {
  json_t *list = NULL;
  must(network_hooks(s, &list, err));
  assert_int_equal(json_array_size(list), 1);
  json_t *one = json_incref(json_array_get(list, 0));
  json_decref(list);
  return one;
}

static void a_program_is_told_signed_and_again(void **state) {
  struct store *s = *state;
  char key[65], want[65], text[300];
  struct network_hook h = {.organisation = "", .url = "https://example.ir/hook?x=1"};
  static const char *const wrong[] = {"ftp://example.ir", "https://", "http://user:pw@example.ir/", "https://exa mple.ir", "javascript:alert(1)", "https://example.ir/\"x"};
  for (size_t i = 0; i < BASE_COUNT(wrong); i++) {
    struct network_hook bad = {.organisation = "", .url = wrong[i]};
    refused(network_hook_put(s, "operator", secret, &bad, key, NULL, NULL, err), ERR_INVALID);
  }
  must(network_hook_put(s, "operator", secret, &h, key, NULL, NULL, err));
  struct network_news news = {.incident = 7, .step = NETWORK_OPENED, .kind = "down", .office = "KR-1", .organisation = "ict", .name_fa = "دفتر", .name_en = "Office", .began = clock_now(), .offices = 3};
  struct program p = {.answer = 0};
  assert_int_equal(deliver(s, &p), 0);
  must(store_write(s, STORE_FRONT, queue_work, &news, err));
  must(store_write(s, STORE_FRONT, queue_work, &news, err)); /* the same step is queued once */
  assert_int_equal(deliver(s, &p), 1);
  assert_int_equal(deliver(s, &p), 0); /* not before its time */
  clock_set(clock_now() + 60001);
  p.answer = 500;
  assert_int_equal(deliver(s, &p), 1);
  clock_set(clock_now() + 120001);
  p.answer = 204;
  assert_int_equal(deliver(s, &p), 1);
  clock_set(clock_now() + 86400000);
  assert_int_equal(deliver(s, &p), 0);
  assert_int_equal(p.calls, 3);
  assert_string_equal(p.url, h.url);
  long long seconds = 0;
  assert_int_equal(sscanf(p.signature, "t=%lld,v1=%64s", &seconds, text), 2);
  network_hook_sign(key, seconds, p.body, strlen(p.body), want);
  assert_string_equal(text, want);
  json_t *body = json_loads(p.body, 0, NULL);
  assert_string_equal(json_str(body, "event"), "opened");
  assert_string_equal(json_str(body, "id"), p.id);
  assert_int_equal(json_int(body, "offices", 0), 3);
  json_decref(body);
  json_t *one = only_hook(s);
  assert_int_equal(json_int(one, "waiting", -1), 0);
  assert_string_equal(json_str(json_object_get(one, "last"), "state"), "done");
  json_decref(one);
}

static void a_program_that_never_answers_is_given_up(void **state) {
  struct store *s = *state;
  char key[65];
  struct network_hook h = {.organisation = "ict", .url = "http://127.0.0.1:1/"};
  struct network_news mine = {.incident = 1, .step = NETWORK_CLOSED, .kind = "down", .office = "KR-1", .organisation = "ict", .began = clock_now(), .ended = clock_now()}, other = mine;
  struct program p = {.answer = 503};
  other.organisation = "edu";
  other.incident = 2;
  must(network_hook_put(s, "operator", secret, &h, key, NULL, NULL, err));
  must(store_write(s, STORE_FRONT, queue_work, &mine, err));
  must(store_write(s, STORE_FRONT, queue_work, &other, err)); /* another organisation's */
  for (int i = 0; i < 40; i++) {
    deliver(s, &p);
    clock_set(clock_now() + INT64_C(86400000));
  }
  assert_int_equal(p.calls, 11);
  json_t *one = only_hook(s);
  assert_int_equal(json_int(one, "waiting", -1), 0);
  json_decref(one);
  mine.incident = 3;
  p.answer = 410; /* gone: not tried again */
  must(store_write(s, STORE_FRONT, queue_work, &mine, err));
  deliver(s, &p);
  clock_set(clock_now() + 600000);
  assert_int_equal(deliver(s, &p), 0);
  must(network_hook_drop(s, h.id, NULL, NULL, err));
  refused(network_hook_drop(s, h.id, NULL, NULL, err), ERR_NOT_FOUND);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(each_once_and_of_the_end), TEST(a_list_ends), TEST(a_program_is_told_signed_and_again), TEST(a_program_that_never_answers_is_given_up)};
  static char where[600];
  if (kit_start(NULL) != 0) return 1;
  int failed = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
  if (kit_pg_start() == 0) {
    kit_new_where(true, where, sizeof where);
    postgres = where;
    failed += cmocka_run_group_tests_name("postgresql", tests, NULL, NULL);
  }
  kit_pg_stop();
  kit_stop(NULL);
  return failed;
}
