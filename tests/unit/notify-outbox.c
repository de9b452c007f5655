/* The outbox: once by key, short, without links, shown where no gateway is set. */
#include "channels/notify/inner.h"
#include "store-kit.h"

static const char *postgres; /* NULL: SQLite */

struct kit { struct store *store; struct notify *notify; };

static int empty(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM notify_message", "") < 0 ? -1 : 0;
}

static int setup(void **state) {
  static const char *const rooms[] = {"notify", NULL};
  struct kit *k = base_alloc(sizeof *k);
  char where[600];
  clock_set(0);
  must(language_init(err));
  if (postgres == NULL) kit_new_where(false, where, sizeof where);
  must(store_open(postgres != NULL ? postgres : where, NULL, &k->store, err));
  must(store_migrate(k->store, rooms, err));
  must(store_write(k->store, STORE_FRONT, empty, NULL, err));
  must(notify_open(k->store, NULL, NULL, &k->notify, err));
  *state = k;
  return 0;
}

static int teardown(void **state) {
  struct kit *k = *state;
  notify_close(k->notify);
  store_close(k->store);
  clock_set(0);
  free(k);
  return 0;
}

struct put { const char *key, *to, *text; };

static int put_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct put *p = arg;
  return notify_put(tx, p->key, p->to, LANG_FA, p->text, err);
}

static int put(struct kit *k, const char *key, const char *to, const char *text, struct err *err) {
  struct put p = {key, to, text};
  return store_write(k->store, STORE_FRONT, put_work, &p, err);
}

static json_t *outbox(struct kit *k, size_t count) {
  json_t *list;
  must(notify_outbox(k->notify, 200, &list, err));
  assert_int_equal(json_array_size(list), count);
  return list;
}

static void a_message_is_written_once(void **state) {
  struct kit *k = *state;
  int64_t done;
  must(put(k, "case 1/3", "+98 915 123 4567", "پروندهٔ شما پذیرفته شد.", err));
  must(put(k, "case 1/3", "09151234567", "دوباره", err));
  clock_set(clock_now() + 1000);
  must(put(k, "case 1/4", "someone@example.ir", "Your case has moved on.", err));
  json_t *list = outbox(k, 2);
  json_t *first = json_array_get(list, 0), *second = json_array_get(list, 1);
  assert_string_equal(json_str(first, "to"), "someone@example.ir");
  assert_string_equal(json_str(first, "channel"), "email");
  assert_string_equal(json_str(second, "to"), "09151234567");
  assert_string_equal(json_str(second, "channel"), "sms");
  assert_string_equal(json_str(second, "text"), "پروندهٔ شما پذیرفته شد.");
  int64_t at;
  assert_int_equal(clock_parse(json_str(second, "at"), &at), 0);
  json_decref(list);
  must(notify_jobs(k->notify, &done, err));
  assert_int_equal(done, 2);
  must(notify_jobs(k->notify, &done, err));
  assert_int_equal(done, 0);
  json_decref(outbox(k, 2));
  struct notify_figures f;
  must(notify_figures(k->notify, &f, err));
  assert_int_equal(f.shown, 2);
  assert_int_equal(f.waiting, 0);
  struct buf b = {0};
  notify_metrics(k->notify, &b);
  assert_non_null(strstr(b.data, "\nchapar_notify_shown_total 2\n"));
  buf_free(&b);
}

/* A one-time code is in the outbox as soon as the call has returned, durable or not. */
static void a_code_is_seen_at_once(void **state) {
  struct kit *k = *state;
  char text[64];
  for (int n = 0; n < 50; n++) {
    snprintf(text, sizeof text, "code %06d", n);
    must(notify_send_now(k->notify, "09151234567", text, err));
    json_t *list = outbox(k, (size_t)n + 1);
    bool seen = false;
    for (size_t m = 0; m < json_array_size(list); m++) seen = seen || strcmp(json_str(json_array_get(list, m), "text"), text) == 0;
    assert_true(seen);
    json_decref(list);
  }
  refused(notify_send_now(k->notify, "someone@example.ir", "code", err), ERR_INVALID);
  refused(notify_send_now(k->notify, "12", "code", err), ERR_INVALID);
}

static void repeat(char *out, const char *piece, int times) {
  out[0] = '\0';
  for (int n = 0; n < times; n++) memcpy(out + strlen(out), piece, strlen(piece) + 1);
}

static void what_may_not_be_sent_is_refused(void **state) {
  struct kit *k = *state;
  static char text[20000];
  static const char *const people[] = {NULL, "", "0915", "a@b", "@example.ir", "a@@example.ir", "a b@example.ir", "a@example.ir\nBcc: b@example.ir",
    "<a@example.ir>", "a@example.", "سلام@example.ir"};
  static const char *const texts[] = {NULL, "", "see http://example.ir", "HTTPS://example.ir", "به www.example.ir بروید", "\xff\xfe", "a\rb", "a\x1b"};
  for (size_t n = 0; n < BASE_COUNT(people); n++) refused(put(k, "k", people[n], "text", err), ERR_INVALID);
  for (size_t n = 0; n < BASE_COUNT(texts); n++) refused(put(k, "k", "09151234567", texts[n], err), ERR_INVALID);
  refused(put(k, "", "09151234567", "text", err), ERR_INVALID);
  refused(put(k, NULL, "09151234567", "text", err), ERR_INVALID);
  repeat(text, "k", 201);
  refused(put(k, text, "09151234567", "text", err), ERR_INVALID);
  const struct { const char *piece; int most; } lengths[] = {{"a", 306}, {"{", 153}, {"ب", 134}, {"😀", 67}};
  for (size_t n = 0; n < BASE_COUNT(lengths); n++) {
    char key[24];
    snprintf(key, sizeof key, "k%zu", n);
    repeat(text, lengths[n].piece, lengths[n].most);
    must(put(k, key, "09151234567", text, err));
    repeat(text, lengths[n].piece, lengths[n].most + 1);
    refused(put(k, "other", "09151234567", text, err), ERR_INVALID);
  }
  repeat(text, "a", 16000);
  must(put(k, "mail", "a@example.ir", text, err));
  repeat(text, "a", 16001);
  refused(put(k, "other", "a@example.ir", text, err), ERR_INVALID);
  json_decref(outbox(k, 5));
}

static void a_refused_transaction_leaves_nothing(void **state) {
  struct kit *k = *state;
  refused(put(k, "k", "09151234567", "www.", err), ERR_INVALID);
  json_decref(outbox(k, 0));
}

static void old_messages_are_forgotten(void **state) {
  struct kit *k = *state;
  int64_t done, now = clock_now();
  clock_set(now);
  must(put(k, "old", "09151234567", "text", err));
  must(notify_jobs(k->notify, &done, err));
  clock_set(now + (int64_t)31 * 24 * 3600 * 1000);
  must(put(k, "new", "09151234567", "text", err));
  atomic_store(&k->notify->tidied_at, 0);
  must(notify_jobs(k->notify, &done, err));
  json_decref(outbox(k, 1));
}

static void half_a_gateway_is_refused(void **state) {
  struct kit *k = *state;
  struct notify *n;
  refused(notify_open(k->store, NULL, &(struct notify_options){.kannel_url = "http://127.0.0.1:1/"}, &n, err), ERR_INVALID);
  refused(notify_open(k->store, NULL, &(struct notify_options){.smtp_url = "smtp://127.0.0.1"}, &n, err), ERR_INVALID);
  refused(notify_open(k->store, NULL, &(struct notify_options){.smtp_url = "smtp://127.0.0.1", .mail_from = "a@example.ir"}, &n, err), ERR_INTERNAL);
  refused(notify_open(k->store, NULL, &(struct notify_options){.quiet_from = 24}, &n, err), ERR_INVALID);
  notify_close(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(a_message_is_written_once, setup, teardown),
    cmocka_unit_test_setup_teardown(a_code_is_seen_at_once, setup, teardown),
    cmocka_unit_test_setup_teardown(what_may_not_be_sent_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(a_refused_transaction_leaves_nothing, setup, teardown),
    cmocka_unit_test_setup_teardown(old_messages_are_forgotten, setup, teardown),
    cmocka_unit_test_setup_teardown(half_a_gateway_is_refused, setup, teardown),
  };
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
  kit_sleep(0);
  return failed;
}
