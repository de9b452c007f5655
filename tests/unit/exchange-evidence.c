/* The log of signed messages, bundles of evidence, and a court's expert who has openssl and a shell alone. A real directory, key helper and authority. */
#include "exchange/evidence.h"
#include "exchange/publish.h"
#include "exchange-kit.h"
#include <curl/curl.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char dir[100], tsa_dir[150], tsa_url[200], tsa_ca[200];
static struct exchange x;
static _Atomic bool authority_down;

static int run(char *const argv[], char *out, size_t room) {
  int fd[2], status = 0;
  assert_int_equal(pipe(fd), 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(fd[1], 1);
    close(fd[0]);
    close(fd[1]);
    execvp(argv[0], argv);
    _exit(127);
  }
  close(fd[1]);
  size_t at = 0;
  ssize_t n;
  char piece[1024];
  while ((n = read(fd[0], piece, sizeof piece)) > 0)
    for (ssize_t i = 0; i < n; i++)
      if (at + 1 < room) out[at++] = piece[i];
  out[at] = '\0';
  close(fd[0]);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static size_t gather(char *p, size_t one, size_t n, void *ctx) {
  buf_add(ctx, p, n);
  return n;
}
static int post(void *ctx, const char *url, const char *type, const void *body, size_t n, char **answer, size_t *size, struct err *err) {
  char line[100];
  struct buf b = {0};
  if (authority_down) return err_set(err, ERR_UNAVAILABLE, "nobody there");
  snprintf(line, sizeof line, "Content-Type: %s", type);
  struct curl_slist *headers = curl_slist_append(NULL, line);
  CURL *c = curl_easy_init();
  curl_easy_setopt(c, CURLOPT_URL, url);
  curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)n);
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, gather);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &b);
  CURLcode rc = curl_easy_perform(c);
  curl_easy_cleanup(c);
  curl_slist_free_all(headers);
  *size = b.len;
  *answer = buf_take(&b);
  return rc == CURLE_OK ? 0 : err_set(err, ERR_UNAVAILABLE, "%s", curl_easy_strerror(rc));
}

static int begin(void **state) {
  static const char *const rooms[] = {"store", "trust", "exchange", NULL};
  snprintf(dir, sizeof dir, "%.60s/chapar-evidence-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
  assert_non_null(mkdtemp(dir));
  snprintf(tsa_dir, sizeof tsa_dir, "%s/tsa", dir);
  snprintf(tsa_ca, sizeof tsa_ca, "%s/ca.pem", tsa_dir);
  char *argv[] = {"tests/lib/tsa.sh", "start", tsa_dir, NULL};
  if (run(argv, tsa_url, sizeof tsa_url) != 0) tsa_url[0] = '\0';
  tsa_url[strcspn(tsa_url, "\n")] = '\0';
  must(exchange_init(&(struct exchange_init){.folder = dir, .server = "KHR/GOV/1/one", .address = "https://127.0.0.1:5500"}, err));
  x.folder = base_strdup(dir);
  x.server = base_strdup("KHR/GOV/1/one");
  must(exchange_id_parse(x.server, 4, 4, &x.self, err));
  x.self.subsystem[0] = '\0';
  char *where = base_printf("sqlite:%s/exchange.db", dir), *key = base_printf("%s/ledger.pem", dir);
  must(store_open(where, NULL, &x.store, err));
  must(store_migrate(x.store, rooms, err));
  struct trust_options t = {.key_file = key, .origin = "KHR/GOV/1/one/exchange", .node = "a", .tsa_url = tsa_url[0] ? tsa_url : NULL, .tsa_ca_file = tsa_ca, .post = post};
  must(trust_open(x.store, &t, &x.ledger, err));
  must(keys_open(dir, &x.keys, err));
  must(members_open(&x, err));
  must(publish_open(&x, err));
  must(exchange_operate(&x, err));
  must(exchange_member_put(&x, "KHR/GOV/1", "یک", "One", "op", err));
  must(exchange_member_put(&x, "KHR/GOV/1/ask", "پرسش", "Ask", "op", err));
  must(exchange_member_put(&x, "KHR/GOV/1/tell", "پاسخ", "Tell", "op", err));
  must(exchange_publish(&x, err));
  free(where);
  free(key);
  return 0;
}

static int end(void **state) {
  char *stop[] = {"tests/lib/tsa.sh", "stop", tsa_dir, NULL}, *away[] = {"rm", "-rf", dir, NULL}, out[100];
  if (tsa_url[0]) run(stop, out, sizeof out);
  publish_close(&x);
  members_close(&x);
  keys_close(x.keys);
  trust_close(x.ledger);
  store_close(x.store);
  free(x.folder);
  free(x.server);
  run(away, out, sizeof out);
  return 0;
}

static void exchanged(const char *id, const char *content, bool digest_only) { kit_exchanged(&x, id, content, digest_only); }

static void settle(void) {
  int64_t placed;
  for (int i = 0; i < 20; i++) {
    must(trust_sequence(x.ledger, &placed, err));
    if (placed == 0 && i > 12) break;
    usleep(100000); /* heads are signed once a second */
  }
}

static char *bundle(const char *id) {
  json_t *o;
  must(exchange_evidence(&x, &(struct evidence_ask){.message_id = id}, &o, err));
  char *text = json_dumps(o, JSON_INDENT(1));
  json_decref(o);
  return text;
}

static void kept_and_proved(void **state) {
  char *said, *big = base_alloc(40001);
  json_t *o;
  for (int i = 0; i < 40000; i++) big[i] = (char)('a' + i % 7);
  exchanged("KHR-1", "{\"parcel\":12}", false);
  exchanged("KHR-2", big, false);
  exchanged("KHR-3", big, true);
  settle();
  must(trust_timestamp(x.ledger, err));
  for (int i = 1; i <= 3; i++) {
    char id[10];
    snprintf(id, sizeof id, "KHR-%d", i);
    char *text = bundle(id);
    int rc = exchange_evidence_verify(text, strlen(text), NULL, tsa_url[0] ? tsa_ca : NULL, &said, &(struct err){0});
    if (rc != 0) fail_msg("%s\n%s", said, text);
    assert_non_null(strstr(said, "It answers the request above and no other."));
    assert_non_null(strstr(said, "Everything in the bundle"));
    assert_non_null(strstr(said, i == 3 ? "40000 bytes was kept by digest only" : i == 2 ? "Its content of 40000 bytes is what was signed" : "Its content of 13 bytes is what was signed"));
    if (tsa_url[0]) assert_non_null(strstr(said, "A time-stamp authority saw"));
    free(said);
    free(text);
  }
  must(exchange_evidence(&x, &(struct evidence_ask){.message_id = "KHR-1", .asker = "KHR/GOV/1/ask"}, &o, err));
  json_decref(o);
  must(exchange_evidence(&x, &(struct evidence_ask){.message_id = "KHR-1", .asker = "KHR/GOV/1/tell"}, &o, err));
  json_decref(o);
  refused(exchange_evidence(&x, &(struct evidence_ask){.message_id = "KHR-1", .asker = "KHR/GOV/1/tel"}, &o, err), ERR_NOT_FOUND);
  refused(exchange_evidence(&x, &(struct evidence_ask){.message_id = "KHR-9"}, &o, err), ERR_NOT_FOUND);
  free(big);
}

/* Every text of the bundle, changed: none is believed. */
static size_t changes, believed;
static void change_each(json_t *whole, json_t *at, const char *name) {
  const char *key;
  json_t *value;
  size_t i;
  if (json_is_object(at)) {
    json_object_foreach(at, key, value) change_each(whole, value, key);
  } else if (json_is_array(at)) {
    json_array_foreach(at, i, value) change_each(whole, value, name);
  } else if (json_is_string(at) && strcmp(name, "exported_at") != 0) {
    char *old = base_strdup(json_string_value(at)), *changed = base_strdup(old), *said;
    size_t n = strlen(changed), half = n / 2;
    changed[half] = changed[half] == 'A' ? 'B' : changed[half] == '0' ? '1' : changed[half] >= '0' && changed[half] <= '9' ? '0' : 'A';
    json_string_set(at, changed);
    char *text = json_dumps(whole, 0);
    changes++;
    if (exchange_evidence_verify(text, strlen(text), NULL, tsa_url[0] ? tsa_ca : NULL, &said, NULL) == 0) {
      believed++;
      print_message("believed: %s\n", name);
    }
    free(said);
    free(text);
    json_string_set(at, old);
    free(old);
    free(changed);
  }
}

static void altered(void **state) {
  char *text = bundle("KHR-1"), *said;
  json_t *o = json_loads(text, 0, NULL), *other;
  change_each(o, o, "");
  assert_true(changes > 40);
  assert_int_equal(believed, 0);
  char *two = bundle("KHR-2");
  other = json_loads(two, 0, NULL);
  json_t *mine = json_object_get(o, "messages"), *theirs = json_object_get(other, "messages");
  json_array_set(mine, 1, json_array_get(theirs, 1)); /* the answer of another exchange */
  char *mixed = json_dumps(o, 0);
  refused(exchange_evidence_verify(mixed, strlen(mixed), NULL, NULL, &said, err), ERR_INVALID);
  free(said);
  refused(exchange_evidence_verify(text, strlen(text), "0000000000000000000000000000000000000000000000000000000000000000", NULL, &said, err), ERR_INVALID);
  free(said);
  refused(exchange_evidence_verify(text, strlen(text) / 2, NULL, NULL, &said, err), ERR_MALFORMED);
  free(said);
  json_decref(o);
  json_decref(other);
  free(mixed);
  free(text);
  free(two);
}

/* An authority that is down stops nothing: the gap is told, and caught up. */
static void authority_away(void **state) {
  int64_t leaves, since, before = clock_now();
  if (!tsa_url[0]) skip();
  must(trust_unstamped(x.ledger, &leaves, &since, err));
  assert_int_equal(leaves, 0);
  assert_int_equal(since, 0);
  authority_down = true;
  exchanged("KHR-4", "x", false);
  must(trust_unstamped(x.ledger, &leaves, &since, err));
  assert_int_equal(leaves, 2);
  assert_true(since >= before);
  settle();
  refused(trust_timestamp(x.ledger, err), ERR_UNAVAILABLE);
  must(trust_unstamped(x.ledger, &leaves, &since, err));
  assert_int_equal(leaves, 2);
  assert_true(since >= before && since <= clock_now());
  authority_down = false;
  must(trust_timestamp(x.ledger, err));
  must(trust_unstamped(x.ledger, &leaves, &since, err));
  assert_int_equal(leaves, 0);
}

/* docs/developer/evidence.md, as its reader would do it: nothing of ours runs. */
static void an_expert(void **state) {
  char *text = bundle("KHR-1"), *file = base_printf("%s/bundle.json", dir), *script = base_printf("%s/check.sh", dir), out[4000];
  size_t n;
  must(file_write(file, text, strlen(text), 0600, err));
  char *doc = file_read("docs/developer/evidence.md", 1 << 20, &n, NULL);
  assert_non_null(doc);
  char *from = strstr(doc, "```sh\n#!/bin/bash"), *to = from == NULL ? NULL : strstr(from + 6, "\n```");
  assert_non_null(to);
  from += 6;
  must(file_write(script, from, (size_t)(to - from) + 1, 0700, err));
  char *argv[] = {"bash", script, file, tsa_url[0] ? tsa_ca : "", NULL};
  if (run(argv, out, sizeof out) != 0 || strstr(out, "everything is true") == NULL) fail_msg("%s", out);
  char *at = strstr(text, "\"signature\": \"");
  at += 30;
  *at = *at == 'A' ? 'B' : 'A';
  must(file_write(file, text, strlen(text), 0600, err));
  assert_int_not_equal(run(argv, out, sizeof out), 0);
  free(doc);
  free(text);
  free(file);
  free(script);
}

static int double_work(struct store_tx *tx, void *arg, struct err *err) { /* rows enough for one bundle and one more */
  return store_exec(tx, err, "INSERT INTO exchange_message (" LOGGED_COLUMNS ") SELECT m.at + ROW_NUMBER() OVER (), m.leaf_hash, m.message_id, m.side, m.part, m.client, m.service, m.keyid, m.directory, m.base, "
                    "m.signature, m.salt, m.content_size, m.content_digest, m.content_kind, m.content FROM exchange_message m, exchange_message n WHERE m.message_id = ?1 AND n.message_id = ?1 LIMIT 931", "t", "KHR-70") < 0 ? -1 : 0;
}

/* However often one id was used: all of it, or none with a sentence. */
static void many_of_one_id(void **state) {
  char *said, first[32], last[32];
  json_t *o;
  struct err why;
  for (int i = 0; i < 35; i++) exchanged("KHR-70", "{\"n\":1}", false);
  settle();
  char *text = bundle("KHR-70");
  must(exchange_evidence_verify(text, strlen(text), NULL, NULL, &said, err));
  o = json_loads(text, 0, NULL);
  assert_int_equal(json_array_size(json_object_get(o, "messages")), 70);
  snprintf(first, sizeof first, "%s", json_str(json_array_get(json_object_get(o, "messages"), 0), "at"));
  snprintf(last, sizeof last, "%s", json_str(json_array_get(json_object_get(o, "messages"), 69), "at"));
  json_decref(o);
  free(said);
  free(text);
  must(store_write(x.store, STORE_FRONT, double_work, NULL, err));
  assert_int_equal(exchange_evidence(&x, &(struct evidence_ask){.message_id = "KHR-70"}, &o, &why), -1);
  assert_int_equal(why.code, ERR_LIMIT);
  assert_non_null(strstr(why.message, "at least 1001 messages"));
  struct evidence_ask part;
  for (int i = 0; i < 2; i++) { /* what is wanted is found by its time, also where others stand before it */
    part = (struct evidence_ask){.message_id = "KHR-70"};
    must(evidence_ask_times(&part, i ? last : first, NULL, err));
    part.until = part.from + 1;
    must(exchange_evidence(&x, &part, &o, err));
    assert_string_equal(json_str(json_array_get(json_object_get(o, "messages"), 0), "at"), i ? last : first);
    json_decref(o);
  }
  assert_int_equal(evidence_ask_times(&part, "2027-03-20T06:30:00Z", "2027-03-20T06:30:00Z", &why), -1);
  assert_int_equal(evidence_ask_times(&part, "yesterday", NULL, &why), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(kept_and_proved), cmocka_unit_test(altered), cmocka_unit_test(authority_away), cmocka_unit_test(an_expert), cmocka_unit_test(many_of_one_id)};
  return cmocka_run_group_tests(tests, begin, end);
}
