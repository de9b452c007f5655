/* Time-stamps by a real authority (openssl ts), by a bad one and by none. */
#include "trust-kit.h"
#include <curl/curl.h>

static char url[200], folder[256], ca_file[300];
static int spoil; /* 0 as it is, 1 one byte of the answer changed, 2 rubbish, 3 an answer to another question */

struct got { char *p; size_t n; };
static size_t gather(char *p, size_t one, size_t n, void *ctx) {
  struct got *g = ctx;
  g->p = base_realloc(g->p, g->n + n);
  memcpy(g->p + g->n, p, n);
  g->n += n;
  return n;
}

static int post(void *ctx, const char *where, const char *media_type, const void *body, size_t n, char **answer, size_t *size,
                struct err *err) {
  struct got g = {0};
  char type[100];
  static char before[65536];
  static size_t before_n;
  snprintf(type, sizeof type, "Content-Type: %s", media_type);
  struct curl_slist *headers = curl_slist_append(NULL, type);
  CURL *c = curl_easy_init();
  curl_easy_setopt(c, CURLOPT_URL, where);
  curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)n);
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, gather);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &g);
  curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 10000L);
  CURLcode rc = curl_easy_perform(c);
  curl_easy_cleanup(c);
  curl_slist_free_all(headers);
  if (rc != CURLE_OK) {
    free(g.p);
    return err_set(err, ERR_UNAVAILABLE, "%s", curl_easy_strerror(rc));
  }
  if (spoil == 1) g.p[g.n - 5] ^= 1;
  if (spoil == 2) memset(g.p, 7, g.n);
  if (spoil == 3) {
    memcpy(g.p = base_realloc(g.p, before_n), before, before_n);
    g.n = before_n;
  } else {
    memcpy(before, g.p, before_n = g.n < sizeof before ? g.n : sizeof before);
  }
  *answer = g.p;
  *size = g.n;
  return 0;
}

static struct trust *with_authority(struct store *s, const char *key, const char *where, const char *ca) {
  char file[256];
  struct trust *t = NULL;
  kit_path(file, key);
  struct trust_options o = {
    .key_file = file, .origin = "test.example/ledger", .node = "a", .tsa_url = where, .tsa_ca_file = ca, .post = post};
  must(trust_open(s, &o, &t, err));
  return t;
}

static int start(void **state) {
  if (kit_start(state) != 0) return -1;
  kit_path(folder, "tsa");
  snprintf(ca_file, sizeof ca_file, "%s/ca.pem", folder);
  char *argv[] = {"tests/lib/tsa.sh", "start", folder, NULL};
  int rc = kit_run(argv, url, sizeof url);
  if (rc != 0 && rc != 77) return -1;
  return 0;
}

static int stop(void **state) {
  char *argv[] = {"tests/lib/tsa.sh", "stop", folder, NULL};
  kit_run(argv, NULL, 0);
  return kit_stop(state);
}

static void a_real_authority(void **state) {
  if (url[0] == '\0') skip();
  struct store *s = kit_store("real");
  struct trust *t = with_authority(s, "real.pem", url, ca_file);
  struct kit_leaf l;
  char *text, *said = NULL;
  json_t *r = NULL;
  kit_append(s, 0, 9);
  kit_sequence(t);
  must(trust_timestamp(t, err));
  must(trust_timestamp(t, err)); /* nothing more to do */
  kit_append(s, 9, 9);
  kit_sequence(t);
  kit_leaf(&l, 4);
  must(trust_receipt(t, l.hash, l.at, &r, err));
  assert_int_equal(json_int(r, "tree_size", 0), 9); /* the stamped head, not the newest */
  text = json_canonical(r);
  must(trust_check_receipt(text, strlen(text), trust_public_key(t), ca_file, &said, err));
  assert_non_null(strstr(said, "A time-stamp authority saw that head at 20"));
  free(said);
  must(trust_check_receipt(text, strlen(text), trust_public_key(t), NULL, &said, err));
  assert_non_null(strstr(said, "whose signature was not checked"));
  free(said);
  char wrong_ca[300];
  snprintf(wrong_ca, sizeof wrong_ca, "%s/none.pem", folder);
  refused(trust_check_receipt(text, strlen(text), trust_public_key(t), wrong_ca, &said, err), ERR_UNAVAILABLE);
  snprintf(wrong_ca, sizeof wrong_ca, "%s/tsa.pem", folder); /* the authority's own certificate does as well */
  must(trust_check_receipt(text, strlen(text), trust_public_key(t), wrong_ca, &said, err));
  free(said);
  must(trust_verify(t, NULL, err));

  /* as anybody can check it: the checkpoint in a file, openssl ts -verify */
  char data[300], token[300];
  snprintf(data, sizeof data, "%s/checkpoint", folder);
  snprintf(token, sizeof token, "%s/token", folder);
  const char *checkpoint = json_str(r, "checkpoint"), *code = json_str(r, "timestamp_token");
  unsigned char der[NOTE_MOST];
  size_t n = 0;
  assert_int_equal(base64_decode(code, strlen(code), der, sizeof der, &n), 0);
  must(file_write(data, checkpoint, strlen(checkpoint), 0600, err));
  must(file_write(token, der, n, 0600, err));
  char *argv[] = {"openssl", "ts", "-verify", "-token_in", "-in", token, "-data", data, "-CAfile", ca_file, NULL};
  assert_int_equal(kit_run(argv, NULL, 0), 0);

  /* a stamp of another head, and changed ones */
  int64_t at;
  assert_int_equal(stamp_check(der, n, checkpoint, ca_file, &at, NULL), 0);
  assert_int_equal(stamp_check(der, n, "else", ca_file, &at, NULL), -1);
  assert_int_equal(stamp_check(der, n - 1, checkpoint, ca_file, &at, NULL), -1);
  for (size_t i = n - 60; i < n; i++) {
    der[i] ^= 1;
    if (stamp_check(der, n, checkpoint, ca_file, &at, NULL) == 0) fail_msg("byte %zu", i);
    der[i] ^= 1;
  }
  for (size_t i = 0; i < n; i += 3) {
    int64_t other;
    der[i] ^= 0x10;
    if (stamp_check(der, n, checkpoint, ca_file, &other, NULL) == 0 && other != at) fail_msg("byte %zu changes the time", i);
    der[i] ^= 0x10;
  }
  free(text);
  json_decref(r);
  trust_close(t);
  store_close(s);
}

static void a_bad_authority(void **state) {
  if (url[0] == '\0') skip();
  struct store *s = kit_store("bad");
  struct trust *t = with_authority(s, "bad.pem", url, ca_file);
  kit_append(s, 0, 3);
  kit_sequence(t);
  for (spoil = 1; spoil <= 3; spoil++) assert_int_equal(trust_timestamp(t, NULL), -1);
  spoil = 0;
  must(trust_timestamp(t, err));
  must(trust_verify(t, NULL, err));
  trust_close(t);
  store_close(s);
}

static void no_authority(void **state) {
  struct store *s = kit_store("down");
  struct trust *t = with_authority(s, "down.pem", "http://127.0.0.1:1/", NULL);
  struct kit_leaf l;
  int64_t size;
  json_t *r = NULL;
  refused(trust_open(s, &(struct trust_options){.key_file = "/none/key", .origin = "a"}, &(struct trust *){0}, err), ERR_NOT_FOUND);
  kit_append(s, 0, 3);
  kit_sequence(t);
  refused(trust_timestamp(t, err), ERR_UNAVAILABLE);
  kit_append(s, 3, 3);
  kit_sequence(t);
  must(trust_size(t, &size, err));
  assert_int_equal(size, 6);
  kit_leaf(&l, 1);
  must(trust_receipt(t, l.hash, l.at, &r, err));
  assert_null(json_object_get(r, "timestamp_token"));
  json_decref(r);
  must(trust_verify(t, NULL, err));
  trust_close(t);
  store_close(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_real_authority), cmocka_unit_test(a_bad_authority), cmocka_unit_test(no_authority)};
  return cmocka_run_group_tests_name("trust-stamp", tests, start, stop);
}
