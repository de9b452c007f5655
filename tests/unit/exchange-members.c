/* Keys in their helper, the directory made, signed, taken and refused. Real processes, real signatures. */
#include "exchange/publish.h"
#include "exchange/snapshot.h"
#include "kit.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <signal.h>

static char *folder_new(const char *name) {
  char *path = base_printf("%s/%s", kit_dir, name);
  must(dir_make(path, 0700, err));
  return path;
}

/* A gateway without http: what exchange_open does for the part that is tested here. */
static void gateway_open(struct exchange *x, const char *folder) {
  static const char *const rooms[] = {"store", "trust", "exchange", NULL};
  struct gateway_card card;
  memset(x, 0, sizeof *x);
  x->folder = base_strdup(folder);
  must(gateway_card_read(folder, &card, err));
  x->server = base_strdup(card.server);
  must(exchange_id_parse(card.server, 4, 4, &x->self, err));
  x->self.subsystem[0] = 0;
  char *url = base_printf("sqlite:%s/exchange.db", folder);
  must(store_open(url, NULL, &x->store, err));
  must(store_migrate(x->store, rooms, err));
  must(keys_open(folder, &x->keys, err));
  must(members_open(x, err));
  must(publish_open(x, err));
  free(url);
}

static void gateway_close(struct exchange *x) {
  publish_close(x);
  members_close(x);
  keys_close(x->keys);
  store_close(x->store);
  free(x->folder);
  free(x->server);
}

static char *gateway_new(const char *name, const char *server) {
  char *folder = folder_new(name);
  must(exchange_init(&(struct exchange_init){.folder = folder, .server = server, .address = "https://127.0.0.1:5500"}, err));
  return folder;
}

/* ---- keys ---- */

static bool verifies(struct keys *k, enum helper_slot slot, const unsigned char digest[32], const unsigned char *der, size_t n) {
  unsigned char public[128];
  size_t size;
  assert_true(keys_public(k, slot, NULL, public, &size));
  const unsigned char *p = public;
  EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)size);
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
  assert_int_equal(EVP_PKEY_verify_init(c), 1);
  bool good = EVP_PKEY_verify(c, der, n, digest, 32) == 1;
  EVP_PKEY_CTX_free(c);
  EVP_PKEY_free(key);
  return good;
}

static void keys_sign_and_stay_closed(void **state) {
  char *folder = gateway_new("keys", "KHR/GOV/1/one"), keyid[65];
  struct keys *k;
  struct exchange_signer s;
  struct http_key tls;
  unsigned char digest[32] = {7}, der[80];
  size_t n;
  struct stat st;
  must(keys_open(folder, &k, err));
  keys_signer(k, &s, keyid);
  must(s.sign(s.ctx, EXCHANGE_KEY_SIGN, digest, 32, der, &n, err));
  assert_true(verifies(k, SLOT_SIGN, digest, der, n));
  must(s.sign(s.ctx, EXCHANGE_KEY_TLS, digest, 32, der, &n, err));
  assert_true(verifies(k, SLOT_TLS, digest, der, n));
  refused(s.sign(s.ctx, EXCHANGE_KEY_SIGN, digest, 20, der, &n, err), ERR_INVALID);
  must(s.sign(s.ctx, EXCHANGE_KEY_SIGN, digest, 32, der, &n, err));
  char *pem = keys_certificate(k, &tls), *file = base_printf("%s/keys/sign.pem", folder);
  assert_non_null(strstr(pem, "BEGIN CERTIFICATE"));
  assert_int_equal(stat(file, &st), 0);
  assert_int_equal(st.st_mode & 077, 0);
  keys_close(k);
  chmod(file, 0644);
  refused(keys_open(folder, &k, err), ERR_UNAVAILABLE);
  refused(exchange_init(&(struct exchange_init){.folder = folder, .server = "KHR/GOV/1/one", .address = "https://127.0.0.1:5500"}, err), ERR_CONFLICT);
  refused(exchange_init(&(struct exchange_init){.folder = kit_dir, .server = "KHR/GOV/1", .address = "https://127.0.0.1:5500"}, err), ERR_INVALID);
  refused(exchange_init(&(struct exchange_init){.folder = kit_dir, .server = "KHR/GOV/1/x", .address = "http://127.0.0.1:5500"}, err), ERR_INVALID);
  free(pem);
  free(file);
  free(folder);
}

struct busy { struct keys *k; _Atomic int done, failed; _Atomic bool stop; };

static void *sign_on(void *arg) {
  struct busy *b = arg;
  while (!b->stop) {
    struct exchange_signer s;
    struct err err;
    char keyid[65], shown[65];
    unsigned char digest[32], der[80], id[32];
    size_t n;
    random_bytes(digest, sizeof digest);
    keys_signer(b->k, &s, keyid);
    if (s.sign(s.ctx, EXCHANGE_KEY_SIGN, digest, 32, der, &n, &err)) b->failed++;
    else b->done++;
    hex_decode(keyid, id, 32);
    hex_encode(id, 32, shown);
    if (strcmp(shown, keyid) != 0) b->failed++;
  }
  return NULL;
}

static void helper_dies_and_keys_roll(void **state) {
  enum { THREADS = 6 };
  char *folder = gateway_new("dies", "KHR/GOV/1/two"), before[65], after[65];
  struct busy b = {0};
  struct exchange_signer s;
  pthread_t t[THREADS];
  pid_t helper, fresh;
  int64_t restarts;
  must(keys_open(folder, &b.k, err));
  keys_signer(b.k, &s, before);
  for (int i = 0; i < THREADS; i++) pthread_create(&t[i], NULL, sign_on, &b);
  for (int round = 0; round < 2; round++) {
    int seen = b.done;
    while (b.done < seen + 50) usleep(1000);
    keys_figures(b.k, &helper, &restarts);
    kill(helper, SIGKILL);                 /* our own helper, by its number */
    do {
      usleep(1000);
      keys_figures(b.k, &fresh, &restarts);
    } while (fresh == helper || fresh == 0);
  }
  must(keys_make(folder, SLOT_SIGN_NEXT, NULL, NULL, err));
  must(keys_make(folder, SLOT_TLS_NEXT, "KHR/GOV/1/two", "127.0.0.1", err));
  must(keys_reload(b.k, err));
  must(keys_switch(b.k, "sign", err));
  must(keys_switch(b.k, "tls", err));
  must(keys_reload(b.k, err));
  int seen = b.done;
  while (b.done < seen + 50) usleep(1000);
  b.stop = true;
  for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
  keys_signer(b.k, &s, after);
  assert_int_equal(b.failed, 0);
  assert_string_not_equal(before, after);
  assert_true(keys_public(b.k, SLOT_SIGN_OLD, NULL, NULL, NULL));
  keys_close(b.k);
  free(folder);
}

/* ---- the protocol ---- */

static void frames(void **state) {
  unsigned char f[HELPER_FRAME], digest[32] = {1}, key[32] = {2};
  const unsigned char *body;
  size_t size, used, n = helper_ask(f, 9, HELPER_SIGN, key, digest, sizeof digest);
  struct asked q;
  for (size_t i = 0; i < n; i++) assert_int_equal(helper_frame(f, i, &body, &size, &used), 0);
  assert_int_equal(helper_frame(f, n, &body, &size, &used), 1);
  assert_int_equal(used, n);
  assert_int_equal(helper_asked(body, size, &q), 0);
  assert_int_equal(q.id, 9);
  assert_memory_equal(q.data, digest, 32);
  assert_int_equal(helper_asked(body, size - 1, &q), -1);
  f[8] = 77;
  assert_int_equal(helper_asked(f + 4, n - 4, &q), -1);
  f[0] = 0xff;
  assert_int_equal(helper_frame(f, n, &body, &size, &used), -1);
  n = helper_ask(f, 1, HELPER_COSIGN, key, "chapar-promise-v1\n", 18);
  assert_int_equal(helper_asked(f + 4, n - 4, &q), -1); /* the witness's key signs co-signatures and nothing else */
}

/* ---- the directory ---- */

/* One key read out of the text by itself is what the whole directory says of it; what only looks like one is none. */
static void one_key(const char *text, size_t n, const char *keyid, const struct members *whole) {
  struct members *m;
  const struct gateway *of, *same;
  const void *key, *of_whole;
  size_t size, whole_size;
  must(members_read_key(text, n, keyid, &m, err));
  must(members_key(m, keyid, clock_now(), &of, &key, &size, err));
  must(members_key(whole, keyid, clock_now(), &same, &of_whole, &whole_size, err));
  assert_string_equal(of->id, same->id);
  assert_int_equal(size, whole_size);
  assert_memory_equal(key, of_whole, size);
  refused(members_key(m, keyid, clock_now() - 86400000, &of, &key, &size, err), ERR_FORBIDDEN);
  members_drop(m);
  const struct operator_key *operators;
  assert_int_equal(members_operator(whole, &operators), 1);
  must(members_read_key(text, n, operators[0].keyid, &m, err)); /* it stands there, and signs no message */
  refused(members_key(m, operators[0].keyid, clock_now(), &of, &key, &size, err), ERR_NOT_FOUND);
  members_drop(m);
  char unknown[65];
  snprintf(unknown, sizeof unknown, "%064d", 7);
  must(members_read_key(text, n, unknown, &m, err));
  refused(members_key(m, unknown, clock_now(), &of, &key, &size, err), ERR_NOT_FOUND);
  members_drop(m);
  refused(members_read_key(text, n / 2, keyid, &m, err), ERR_MALFORMED);
}

/* Somebody's name that looks like an entry. */
static void a_name_is_no_key(void **state) {
  struct members *m;
  const struct gateway *of;
  const void *key;
  size_t size;
  char keyid[65], *whole =
    base_printf("{\"gateways\":[{\"address\":\"https://a:1\",\"certificates\":[],\"id\":\"KHR/GOV/2/ss1\",\"keys\":[],\"name\":\"}{\\\"keyid\\\":\\\"%064d\\\"\"}]}\n%064d AAAA\n",
                5, 5);
  snprintf(keyid, sizeof keyid, "%064d", 5);
  must(members_read_key(whole, strlen(whole), keyid, &m, err));
  refused(members_key(m, keyid, clock_now(), &of, &key, &size, err), ERR_NOT_FOUND);
  members_drop(m);
  free(whole);
}

/* The same text with something else in it, signed as its gateway would. */
static char *resigned(const char *text, size_t *n, struct keys *k, const char *name, const char *value) {
  struct signed_line line;
  must(signed_read(text, *n, &line, err));
  json_t *o = json_loadb(line.json, line.size, 0, NULL);
  json_put(o, name, value);
  char *out = signed_make(o, line.keyid, sign_slot_own, k, n, NULL);
  assert_non_null(out);
  json_decref(o);
  return out;
}

/* A gateway is a witness under its own name alone. */
static void false_witness(struct exchange *op, const char *folder, struct keys *k, const unsigned char *secret, const unsigned char *certificate) {
  static const char *const names[] = {"KHR/GOV/10000001/platform+8b4e1cc2+BAAA", "KHR/GOV/2/ss12+8b4e1cc2+BAAA", "KHR/GOV/2/ss1", "+8b4e1cc2+BAAA"};
  char request[40];
  for (size_t i = 0; i < BASE_COUNT(names); i++) {
    size_t n;
    char *text = asked_make(folder, k, "chapar-join-v1", false, secret, &n, NULL, NULL), *changed = resigned(text, &n, k, "witness", names[i]);
    struct err why;
    assert_int_equal(operator_request(op, changed, n, certificate, request, &why), -1);
    assert_int_equal(why.code, ERR_FORBIDDEN);
    assert_non_null(strstr(why.message, "witness's key has another name"));
    free(changed);
    free(text);
  }
}

/* A gateway has as many keys in the directory as its readers take, and no more. */
static void too_many_keys(struct exchange *op, const char *folder, struct keys *k) {
  enum { MOST = 48 };
  struct err why = {0};
  size_t n;
  char *text = asked_make(folder, k, "chapar-keys-v1", false, NULL, &n, NULL, &why);
  must(operator_announce(op, text, n, "KHR/GOV/2/ss1", false, err)); /* its own two, which are listed */
  int taken = 0;
  for (int i = 0; i < MOST; i++) {
    char certificate[65];
    size_t size = n;
    snprintf(certificate, sizeof certificate, "%064d", 100 + i);
    char *more = resigned(text, &size, k, "certificate", certificate);
    int rc = operator_announce(op, more, size, "KHR/GOV/2/ss1", false, &why);
    free(more);
    if (rc) break;
    taken++;
  }
  assert_int_equal(why.code, ERR_CONFLICT);
  assert_non_null(strstr(why.message, "KHR/GOV/2/ss1 has 48 keys in the directory"));
  assert_int_equal(taken, MOST - 1); /* each is one more; the signing key and the one that is announced are not counted */
  struct members *m = members_hold(op);
  assert_non_null(members_gateway(m, "KHR/GOV/2/ss1")); /* and the directory is one that can be read */
  members_drop(m);
  free(text);
}

static void directory_made_and_taken(void **state) {
  struct exchange op, gw;
  char *a = gateway_new("operator", "KHR/GOV/10000001/platform"), *b = gateway_new("gateway", "KHR/GOV/2/ss1");
  struct exchange_id id;
  const struct gateway *list[8], *of;
  struct err told;
  const void *key;
  char keyid[65];
  size_t n;
  gateway_open(&op, a);
  struct members *m = members_hold(&op);
  assert_int_equal(members_version(m), 0);
  assert_int_equal(members_state(&op, m), MEMBERS_NONE);
  members_drop(m);
  refused(exchange_member_put(&op, "KHR/GOV/2", "ب", "B", "op", err), ERR_FORBIDDEN); /* not the operator yet */
  must(exchange_operate(&op, err));
  must(exchange_member_put(&op, "KHR/GOV/10000001", "استانداری", "Governor", "op", err));
  must(exchange_member_put(&op, "KHR/GOV/2", "ب", "B", "op", err));
  must(exchange_member_put(&op, "KHR/GOV/2/tax", "مالیات", "Tax", "op", err));
  must(exchange_global_group(&op, "agencies", "KHR/GOV/2", true, "op", err));
  refused(exchange_member_put(&op, "XXX/GOV/2", "ب", "B", "op", err), ERR_INVALID);
  must(exchange_publish(&op, err));
  m = members_hold(&op);
  int64_t version = members_version(m);
  assert_int_equal(version, 1);
  must(exchange_id_parse("KHR/GOV/2/tax", 4, 4, &id, err));
  assert_true(members_known(m, &id, 4));
  assert_true(members_known(m, &id, 3));
  assert_true(members_group(m, "agencies", &id));
  assert_false(members_group(m, "others", &id));
  assert_int_equal(members_gateways(m, &id, 0, list, 8), 1); /* it has none of its own: the operator's stands for it */
  assert_string_equal(list[0]->id, "KHR/GOV/10000001/platform");
  members_drop(m);
  must(exchange_publish(&op, err));
  m = members_hold(&op);
  assert_int_equal(members_version(m), version); /* nothing has changed: no new version */
  members_drop(m);
  /* a gateway asks, with a code, and is approved */
  char code[80], request[40], decision[16];
  unsigned char secret[10], pin[32], certificate[32];
  refused(exchange_invite(&op, "KHR/GOV/3/ss1", "op", code, err), ERR_NOT_FOUND);
  must(exchange_invite(&op, "KHR/GOV/2/ss1", "op", code, err));
  must(code_read(code, secret, pin, err));
  struct keys *k;
  struct http_key tls;
  char hex[65];
  must(keys_open(b, &k, err));
  char *pem = keys_certificate(k, &tls), *text = asked_make(b, k, "chapar-join-v1", false, secret, &n, NULL, &told);
  assert_non_null(text);
  must(certificate_hash(pem, hex, err));
  hex_decode(hex, certificate, 32);
  text[30] ^= 1;
  refused(operator_request(&op, text, n, certificate, request, err), ERR_FORBIDDEN);
  text[30] ^= 1;
  refused(operator_request(&op, text, n, pin, request, err), ERR_FORBIDDEN); /* by another certificate */
  false_witness(&op, b, k, secret, certificate);
  must(operator_request(&op, text, n, certificate, request, err));
  must(operator_request(&op, text, n, certificate, request, err)); /* again: the same */
  must(operator_request_state(&op, request, certificate, decision, err));
  assert_string_equal(decision, "waiting");
  refused(operator_request_state(&op, request, pin, decision, err), ERR_NOT_FOUND);
  must(exchange_approve(&op, request, "op", true, NULL, err));
  refused(exchange_approve(&op, request, "op", true, NULL, err), ERR_NOT_FOUND);
  m = members_hold(&op);
  assert_int_equal(members_version(m), version + 1);
  of = members_by_certificate(m, certificate);
  assert_non_null(of);
  assert_true(members_serves(m, of, &id));
  assert_int_equal(members_gateways(m, &id, 0, list, 8), 1);
  assert_ptr_equal(list[0], of);
  assert_true(keys_public(k, SLOT_SIGN, keyid, NULL, NULL));
  must(members_key(m, keyid, clock_now(), &of, &key, &n, err));
  refused(members_key(m, keyid, clock_now() - 86400000, &of, &key, &n, err), ERR_FORBIDDEN);
  must(members_key_now(m, keyid, clock_now() / 1000 - 200, &of, &key, &n, err));
  refused(members_key_now(m, keyid, clock_now() / 1000 - 3600, &of, &key, &n, err), ERR_FORBIDDEN); /* its evidence would not be believed either */
  size_t size;
  char *second = base_strdup(members_text(m, &size));
  one_key(second, size, keyid, m);
  members_drop(m);
  /* the gateway takes what is truly signed, and never goes back */
  char *public = base_printf("%s/operator.pub", a);
  char *anchor = file_read(public, 4096, &n, NULL);
  must(members_anchor(b, anchor, err));
  too_many_keys(&op, b, k);
  keys_close(k);
  gateway_open(&gw, b);
  must(members_take(&gw, second, size, err));
  must(exchange_key_revoke(&op, keyid, "op", "lost", err));
  m = members_hold(&op);
  refused(members_key(m, keyid, clock_now(), &of, &key, &n, err), ERR_FORBIDDEN);
  size_t third_size;
  int64_t third_version = members_version(m);
  char *third = base_strdup(members_text(m, &third_size));
  members_drop(m);
  assert_int_equal(members_take(&gw, third, third_size, &told), 1);
  assert_int_equal(members_take(&gw, third, third_size, &told), 0);
  refused(members_take(&gw, second, size, err), ERR_CONFLICT);
  char *name = strstr(third, "Governor");
  name[0] = 'g';
  refused(members_take(&gw, third, third_size, err), ERR_FORBIDDEN);
  gateway_close(&gw);
  gateway_open(&gw, b);                    /* from the file */
  m = members_hold(&gw);
  assert_int_equal(members_version(m), third_version);
  members_drop(m);
  gateway_close(&gw);
  char *file = base_printf("%s/directory", b);
  must(file_write(file, third, third_size, 0644, err)); /* changed on the disk */
  struct exchange bad = {.folder = b};
  must(keys_open(b, &bad.keys, err));
  refused(members_open(&bad, err), ERR_FORBIDDEN);
  members_close(&bad);
  keys_close(bad.keys);
  gateway_close(&op);
  free(file); free(public); free(anchor); free(second); free(third); free(text); free(pem); free(a); free(b);
}

static void codes(void **state) {
  unsigned char secret[10], pin[32], s2[10], p2[32];
  char code[80];
  for (int i = 0; i < 200; i++) {
    random_bytes(secret, sizeof secret);
    random_bytes(pin, sizeof pin);
    code_make(secret, pin, code);
    must(code_read(code, s2, p2, err));
    assert_memory_equal(secret, s2, 10);
    assert_memory_equal(pin, p2, 32);
  }
  code[strlen(code) - 1] = 0;
  refused(code_read(code, s2, p2, err), ERR_INVALID);
  refused(code_read("hello", s2, p2, err), ERR_INVALID);
  struct err why = {0}; /* as long as one is */
  assert_int_equal(code_read("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", s2, p2, &why), -1);
  assert_non_null(strstr(why.message, "no code of an operator"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(frames), cmocka_unit_test(codes), cmocka_unit_test(keys_sign_and_stay_closed), cmocka_unit_test(helper_dies_and_keys_roll),
                                     cmocka_unit_test(directory_made_and_taken), cmocka_unit_test(a_name_is_no_key)};
  return cmocka_run_group_tests(tests, kit_start, kit_stop);
}
