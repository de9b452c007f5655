/* Sending: a gateway made of the room http, which accepts, refuses, is silent or is not there. */
#include "channels/notify/inner.h"
#include "store-kit.h"
#include <arpa/inet.h>
#include <sys/socket.h>

/* ---- the gateway ------------------------------------------------------------------------ */

static struct http_server *server;
static struct http_client *client;
static _Atomic int status = 202, silent_ms, calls;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char last[2048], texts[64][64];
static int text_count;

static void on_send(struct http_req *r) {
  static const char *const names[] = {"username", "password", "to", "from", "coding", "charset", "text"};
  calls++;
  pthread_mutex_lock(&lock);
  last[0] = '\0';
  for (size_t n = 0; n < BASE_COUNT(names); n++) {
    const char *v = http_query(r, names[n]);
    snprintf(last + strlen(last), sizeof last - strlen(last), "%s=%s;", names[n], v == NULL ? "-" : v);
  }
  const char *text = http_query(r, "text");
  if (text_count < 64) snprintf(texts[text_count++], 64, "%s", text == NULL ? "" : text);
  pthread_mutex_unlock(&lock);
  if (silent_ms > 0) kit_sleep(silent_ms);
  http_reply(r, status, "text/plain", status == 202 ? "0: Accepted for delivery" : "Authorization failed for 09151234567", status == 202 ? 24 : 35);
}

static const struct http_route routes[] = {
  {"GET", "/cgi-bin/sendsms", HTTP_WORKER, 0, HTTP_SAFE, 0, on_send, "Takes a message, as Kannel does."},
};

static int start(void **state) {
  must(language_init(err));
  must(http_server_new(&(struct http_options){.listen = "127.0.0.1:0"}, &server, err));
  must(http_server_routes(server, routes, BASE_COUNT(routes), NULL, err));
  must(http_server_start(server, err));
  client = http_client_new();
  return 0;
}

static int stop(void **state) {
  http_client_free(client);
  http_server_stop(server);
  http_server_free(server);
  return 0;
}

/* ---- what each test has -------------------------------------------------------------------- */

static const char *postgres;
struct kit { struct store *store; struct notify *notify; struct notify_options options; char url[80]; };

static int empty(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM notify_message", "") < 0 ? -1 : 0;
}

static void reopen(struct kit *k) {
  notify_close(k->notify);
  must(notify_open(k->store, client, &k->options, &k->notify, err));
}

static int setup(void **state) {
  static const char *const rooms[] = {"notify", NULL};
  struct kit *k = base_alloc(sizeof *k);
  char where[600];
  clock_set(1790000000000); /* 17:03 in Tehran */
  status = 202;
  silent_ms = calls = text_count = 0;
  if (postgres == NULL) kit_new_where(false, where, sizeof where);
  must(store_open(postgres != NULL ? postgres : where, NULL, &k->store, err));
  must(store_migrate(k->store, rooms, err));
  must(store_write(k->store, STORE_FRONT, empty, NULL, err));
  snprintf(k->url, sizeof k->url, "http://127.0.0.1:%d/cgi-bin/sendsms", http_server_port(server));
  k->options = (struct notify_options){.kannel_url = k->url, .kannel_user = "us er", .kannel_password = "p&w=?", .sender = "2000",
    .quiet_from = 22, .quiet_to = 7, .timeout_ms = 500};
  reopen(k);
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

static void put(struct kit *k, const char *key, const char *text) {
  struct put p = {key, strchr(text, '@') != NULL ? "someone@example.ir" : "09151234567", text};
  must(store_write(k->store, STORE_FRONT, put_work, &p, err));
}

static int64_t jobs(struct kit *k) {
  int64_t done;
  must(notify_jobs(k->notify, &done, err));
  return done;
}

/* The pause of a gateway in trouble is over. */
static void pause_over(struct kit *k) {
  for (int c = 0; c < CHANNELS; c++) k->notify->gateways[c].closed_until = 0;
}

static void later(int64_t ms) { clock_set(clock_now() + ms); }

static struct notify_figures figures(struct kit *k) {
  struct notify_figures f;
  must(notify_figures(k->notify, &f, err));
  return f;
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void kannel_gets_what_it_needs(void **state) {
  struct kit *k = *state;
  put(k, "a", "پروندهٔ ۶۰۳۷ پذیرفته شد & تمام");
  assert_int_equal(jobs(k), 1);
  assert_string_equal(last, "username=us er;password=p&w=?;to=+989151234567;from=2000;coding=2;charset=UTF-8;text=پروندهٔ ۶۰۳۷ پذیرفته شد & تمام;");
  put(k, "b", "Case 6037 + 1 accepted\n");
  assert_int_equal(jobs(k), 1);
  assert_non_null(strstr(last, "coding=0;charset=UTF-8;text=Case 6037 + 1 accepted\n;"));
  assert_int_equal(jobs(k), 0);
  assert_int_equal(calls, 2);
  assert_int_equal(figures(k).sent, 2);
  assert_int_equal(figures(k).waiting, 0);
}

static void a_refusal_is_tried_again_later_and_later(void **state) {
  struct kit *k = *state;
  status = 403;
  put(k, "a", "text");
  for (int n = 0; n < TRIES_MOST; n++) {
    assert_int_equal(jobs(k), 1);
    assert_int_equal(jobs(k), 0);
    later(((int64_t)RETRY_FIRST_MS << n) - 1000);
    if (n < TRIES_MOST - 1) assert_int_equal(jobs(k), 0);
    later(1000);
  }
  assert_int_equal(calls, TRIES_MOST);
  assert_int_equal(jobs(k), 0);
  struct notify_figures f = figures(k);
  assert_int_equal(f.failed, 1);
  assert_int_equal(f.failed_kept, 1);
  assert_int_equal(f.retried, TRIES_MOST - 1);
  json_t *list;
  must(notify_failures(k->notify, 10, &list, err));
  assert_int_equal(json_array_size(list), 1);
  json_t *one = json_array_get(list, 0);
  assert_string_equal(json_str(one, "state"), "failed");
  assert_string_equal(json_str(one, "key"), "a");
  assert_int_equal(json_int(one, "tries", 0), TRIES_MOST);
  assert_non_null(strstr(json_str(one, "error"), "403"));
  assert_null(strstr(json_str(one, "error"), "09151234567"));
  assert_null(strstr(json_str(one, "to"), "1234"));
  json_decref(list);
}

/* Sent without an answer: nobody knows, so never again. The others go back untried. */
static void silence_is_never_sent_twice(void **state) {
  struct kit *k = *state;
  silent_ms = 1200;
  put(k, "a", "first");
  put(k, "b", "second");
  assert_int_equal(jobs(k), 1);
  assert_int_equal(calls, 1);
  assert_int_equal(figures(k).unclear, 1);
  assert_int_equal(figures(k).waiting, 1);
  assert_int_equal(jobs(k), 0); /* it is left alone */
  silent_ms = 0;
  later(3600000);
  pause_over(k);
  assert_int_equal(jobs(k), 1);
  assert_int_equal(figures(k).sent, 1);
  assert_int_equal(jobs(k), 0);
  assert_int_equal(calls, 2);
  assert_string_not_equal(texts[0], texts[1]);
}

static void what_is_not_there_is_tried_again(void **state) {
  struct kit *k = *state;
  k->options.kannel_url = "http://127.0.0.1:9/cgi-bin/sendsms";
  reopen(k);
  for (int n = 0; n < 3; n++) {
    char key[2] = {(char)('a' + n), '\0'};
    put(k, key, key);
  }
  assert_int_equal(jobs(k), 1);
  assert_int_equal(figures(k).retried, 1);
  assert_int_equal(figures(k).waiting, 3);
  k->options.kannel_url = k->url;
  reopen(k);
  later(RETRY_FIRST_MS);
  assert_int_equal(jobs(k), 3);
  assert_int_equal(figures(k).sent, 3);
  assert_int_equal(calls, 3);
}

static void trouble_pauses_for_longer_each_time(void **state) {
  struct kit *k = *state;
  status = 503;
  put(k, "a", "text");
  assert_int_equal(jobs(k), 1);
  assert_int_equal(k->notify->gateways[CHANNEL_SMS].pause_ms, PAUSE_FIRST_MS);
  later(RETRY_FIRST_MS);
  assert_int_equal(jobs(k), 0);
  pause_over(k);
  assert_int_equal(jobs(k), 1);
  assert_int_equal(k->notify->gateways[CHANNEL_SMS].pause_ms, 2 * PAUSE_FIRST_MS);
  status = 202;
  later(2 * RETRY_FIRST_MS);
  pause_over(k);
  assert_int_equal(jobs(k), 1);
  assert_int_equal(k->notify->gateways[CHANNEL_SMS].pause_ms, 0);
}

/* What is sent at once is written by another thread. */
static void until_waiting(struct kit *k, int64_t most) {
  for (int64_t end = clock_mono() + 60000; figures(k).waiting < most && clock_mono() < end;) kit_sleep(10);
  assert_int_equal(figures(k).waiting, most);
}

static void nights_are_quiet_but_for_codes(void **state) {
  struct kit *k = *state;
  clock_set(day_start(day_of(clock_now())) + 23 * 3600000);
  put(k, "a", "notice");
  must(notify_send_now(k->notify, "09151234567", "code 123456", err));
  until_waiting(k, 2);
  assert_int_equal(jobs(k), 1);
  assert_string_equal(texts[0], "code 123456");
  assert_int_equal(jobs(k), 0);
  later(7 * 3600000 + 3599999); /* until 06:59:59 */
  assert_int_equal(jobs(k), 0);
  later(1);
  assert_int_equal(jobs(k), 1);
  assert_string_equal(texts[1], "notice");
  /* the code's text was wiped when it had left */
  json_t *list;
  must(notify_outbox(k->notify, 10, &list, err));
  for (size_t n = 0; n < json_array_size(list); n++) assert_null(strstr(json_str(json_array_get(list, n), "text"), "123456"));
  json_decref(list);
}

static void codes_go_first(void **state) {
  struct kit *k = *state;
  for (int n = 0; n < 20; n++) {
    char key[24];
    snprintf(key, sizeof key, "k%d", n);
    put(k, key, key);
  }
  must(notify_send_now(k->notify, "09151234567", "code", err));
  until_waiting(k, 21);
  assert_int_equal(jobs(k), CLAIM_MOST);
  assert_string_equal(texts[0], "code");
  assert_int_equal(jobs(k), 21 - CLAIM_MOST);
}

static void what_is_too_old_is_not_sent(void **state) {
  struct kit *k = *state;
  put(k, "a", "notice");
  must(notify_send_now(k->notify, "09151234567", "code", err));
  until_waiting(k, 2);
  later(URGENT_LIFE_MS);
  assert_int_equal(jobs(k), 1);
  assert_string_equal(texts[0], "notice");
  assert_int_equal(figures(k).failed, 1);
  put(k, "b", "notice");
  later(LIFE_MS);
  atomic_store(&k->notify->tidied_at, 0);
  assert_int_equal(jobs(k), 0);
  assert_int_equal(figures(k).failed, 2);
}

static int strand(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "UPDATE notify_message SET state = 'sending', changed_at = ?1", "i", store_time(tx)) < 0 ? -1 : 0;
}

/* The process ended between the call and its outcome. */
static void what_was_left_in_between_is_unclear(void **state) {
  struct kit *k = *state;
  put(k, "a", "notice");
  must(store_write(k->store, STORE_FRONT, strand, NULL, err));
  assert_int_equal(jobs(k), 0);
  later(STUCK_MS + 1);
  atomic_store(&k->notify->tidied_at, 0);
  assert_int_equal(jobs(k), 0);
  assert_int_equal(figures(k).unclear_kept, 1);
  assert_int_equal(calls, 0);
}

static void *work(void *arg) {
  struct kit *k = arg;
  for (int n = 0; n < 20; n++) jobs(k);
  return NULL;
}

static void many_workers_send_each_once(void **state) {
  struct kit *k = *state;
  pthread_t threads[4];
  for (int n = 0; n < 60; n++) {
    char key[24];
    snprintf(key, sizeof key, "k%d", n);
    put(k, key, key);
  }
  for (int t = 0; t < 4; t++) pthread_create(&threads[t], NULL, work, k);
  for (int t = 0; t < 4; t++) pthread_join(threads[t], NULL);
  while (jobs(k) > 0) continue;
  assert_int_equal(calls, 60);
  for (int a = 0; a < 60; a++)
    for (int b = 0; b < a; b++) assert_string_not_equal(texts[a], texts[b]);
  assert_int_equal(figures(k).sent, 60);
}

/* ---- e-mail ------------------------------------------------------------------------------------- */

struct mailbox { int fd, port; char got[4096]; const char *greeting, *rcpt; };

/* Enough of RFC 5321 for one letter. */
static void *serve_mail(void *arg) {
  struct mailbox *m = arg;
  int fd = accept(m->fd, NULL, NULL);
  FILE *f = fdopen(fd, "r+");
  char line[1024];
  bool data = false;
  setvbuf(f, NULL, _IONBF, 0);
  fputs(m->greeting ? m->greeting : "220 test\r\n", f);
  while (fgets(line, sizeof line, f) != NULL) {
    size_t n = strlen(m->got);
    snprintf(m->got + n, sizeof m->got - n, "%s", line);
    bool end = data && strcmp(line, ".\r\n") == 0;
    if (data && !end) continue;
    data = strncmp(line, "DATA", 4) == 0;
    fputs(m->rcpt && strncmp(line, "RCPT", 4) == 0 ? m->rcpt : m->greeting ? m->greeting : data ? "354 go on\r\n" : "250 ok\r\n", f);
    if (end) break; /* a client may keep its connection */
  }
  fclose(f);
  return NULL;
}

static void mail(struct kit *k, struct mailbox *m) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof a;
  char url[64];
  m->fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(m->fd, (struct sockaddr *)&a, sizeof a), 0);
  assert_int_equal(listen(m->fd, 4), 0);
  getsockname(m->fd, (struct sockaddr *)&a, &size);
  snprintf(url, sizeof url, "smtp://127.0.0.1:%d", ntohs(a.sin_port));
  k->options.smtp_url = url;
  k->options.mail_from = "noreply@example.ir";
  reopen(k);
  pthread_t thread;
  pthread_create(&thread, NULL, serve_mail, m);
  assert_int_equal(jobs(k), 1);
  pthread_join(thread, NULL);
  close(m->fd);
}

static void e_mail_leaves_by_smtp(void **state) {
  struct kit *k = *state;
  struct mailbox m = {0};
  put(k, "a", "for you @ home");
  mail(k, &m);
  assert_int_equal(figures(k).sent, 1);
  assert_non_null(strstr(m.got, "RCPT TO:<someone@example.ir>"));
  assert_non_null(strstr(m.got, "MAIL FROM:<noreply@example.ir>"));
  assert_int_equal(calls, 0);
}

static int lost_count;
static int count_lost(void *ctx, struct store_tx *tx, const char *key, const char *channel, const char *state, struct err *e) {
  lost_count += strcmp(key, "a") == 0 && strcmp(channel, "email") == 0 && strcmp(state, "failed") == 0;
  return 0;
}

static void mail_refused_for_good_has_failed(void **state) {
  struct kit *k = *state;
  struct mailbox no = {.rcpt = "550 nobody here\r\n"};
  lost_count = 0;
  k->options.lost = count_lost;
  put(k, "a", "for you @ home");
  mail(k, &no);
  k->options.lost = NULL;
  assert_int_equal(figures(k).failed, 1);
  assert_int_equal(lost_count, 1);
  assert_int_equal(k->notify->gateways[CHANNEL_EMAIL].pause_ms, 0); /* one letter's fault, not the server's */
}

static void a_server_that_turns_us_away_is_left_alone(void **state) {
  struct kit *k = *state;
  struct mailbox no = {.greeting = "554 not you\r\n"};
  put(k, "a", "for you @ home");
  mail(k, &no);
  assert_int_equal(figures(k).retried, 1);
  assert_true(k->notify->gateways[CHANNEL_EMAIL].pause_ms > 0);
}

static void a_report_of_the_carrier_counts_once(void **state) {
  struct kit *k = *state;
  put(k, "a", "for you");
  assert_int_equal(jobs(k), 1);
  must(notify_report(k->notify, "61", 8, err)); /* on its way */
  assert_int_equal(figures(k).delivered, 0);
  must(notify_report(k->notify, "61", 2, err));
  must(notify_report(k->notify, "61", 2, err));
  assert_int_equal(figures(k).undeliverable, 1);
  must(notify_report(k->notify, "61", 1, err)); /* it did after all */
  must(notify_report(k->notify, "61", 2, err)); /* too late to say otherwise */
  assert_int_equal(figures(k).delivered, 1);
  assert_int_equal(figures(k).undeliverable, 1);
  must(notify_report(k->notify, "62", 1, err)); /* no such message */
  static const char *const bad[] = {NULL, "", "6", "6x", "00"};
  for (size_t i = 0; i < BASE_COUNT(bad); i++) refused(notify_report(k->notify, bad[i], 1, err), ERR_MALFORMED);
}

static void refused_mail_is_tried_again(void **state) {
  struct kit *k = *state;
  struct mailbox no = {.rcpt = "450 later\r\n"}, yes = {0};
  put(k, "a", "for you @ home");
  mail(k, &no);
  assert_int_equal(figures(k).retried, 1);
  assert_int_equal(k->notify->gateways[CHANNEL_EMAIL].pause_ms, 0); /* one letter's fault, not the server's */
  later(RETRY_FIRST_MS);
  mail(k, &yes);
  assert_int_equal(figures(k).sent, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
    TEST(kannel_gets_what_it_needs), TEST(a_refusal_is_tried_again_later_and_later), TEST(silence_is_never_sent_twice),
    TEST(what_is_not_there_is_tried_again), TEST(trouble_pauses_for_longer_each_time), TEST(nights_are_quiet_but_for_codes),
    TEST(codes_go_first), TEST(what_is_too_old_is_not_sent), TEST(what_was_left_in_between_is_unclear),
    TEST(many_workers_send_each_once), TEST(e_mail_leaves_by_smtp), TEST(refused_mail_is_tried_again),
    TEST(mail_refused_for_good_has_failed), TEST(a_server_that_turns_us_away_is_left_alone), TEST(a_report_of_the_carrier_counts_once),
  };
  static char where[600];
  if (kit_start(NULL) != 0) return 1;
  int failed = cmocka_run_group_tests_name("sqlite", tests, start, stop);
  if (kit_pg_start() == 0) {
    kit_new_where(true, where, sizeof where);
    postgres = where;
    failed += cmocka_run_group_tests_name("postgresql", tests, start, stop);
  }
  kit_pg_stop();
  kit_stop(NULL);
  return failed;
}
