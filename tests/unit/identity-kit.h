/* What the tests of identity share: two stores of an engine, an identity, the last message sent. */
#ifndef CHAPAR_TEST_IDENTITY_KIT_H
#define CHAPAR_TEST_IDENTITY_KIT_H

#include "identity/inner.h"
#include "store-kit.h"

struct kit {
  struct store *main, *fast;
  struct identity *identity;
  struct identity_options options;
  pthread_mutex_t lock;
  int sent;
  char mobile[16], text[512];
};

/* NULL: SQLite. Otherwise a database of PostgreSQL. */
static const char *kit_postgres;
static const unsigned char kit_secret[32] = "thirty-two bytes for the tests..";

static inline int kit_send(void *ctx, const char *mobile, const char *text, struct err *err) {
  struct kit *k = ctx;
  pthread_mutex_lock(&k->lock);
  k->sent++;
  snprintf(k->mobile, sizeof k->mobile, "%s", mobile);
  snprintf(k->text, sizeof k->text, "%s", text);
  pthread_mutex_unlock(&k->lock);
  return 0;
}

static inline int kit_empty(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM session", "") < 0 || store_exec(tx, err, "DELETE FROM one_time_code", "") < 0 ||
         store_exec(tx, err, "DELETE FROM use_limit", "") < 0 || store_exec(tx, err, "DELETE FROM lockout", "") < 0 ||
         store_exec(tx, err, "DELETE FROM totp_step", "") < 0 || store_exec(tx, err, "DELETE FROM staff", "") < 0 ||
         store_exec(tx, err, "DELETE FROM staff_role", "") < 0 || store_exec(tx, err, "DELETE FROM staff_account", "") < 0 ||
         store_exec(tx, err, "DELETE FROM staff_unit", "") < 0 || store_exec(tx, err, "DELETE FROM unit", "") < 0 ||
         store_exec(tx, err, "DELETE FROM act", "") < 0 || store_exec(tx, err, "DELETE FROM ledger_pending", "") < 0 ||
         store_exec(tx, err, "DELETE FROM ledger_leaf", "") < 0 || store_exec(tx, err, "DELETE FROM ledger_span", "") < 0 ||
         store_exec(tx, err, "DELETE FROM ledger_late", "") < 0 || store_exec(tx, err, "DELETE FROM ledger_tile", "") < 0 || store_exec(tx, err, "DELETE FROM ledger_state", "") < 0 ? -1 : 0;
}

static inline void kit_pause(int ms) { kit_sleep(ms); }

static inline void kit_must(int rc, const struct err *err) {
  if (rc != 0) fail_msg("%s: %s", err_name(err->code), err->message);
}

static inline int kit_setup(void **state) {
  static const char *const rooms[] = {"trust", "identity", "sessions", NULL};
  struct kit *k = base_alloc(sizeof *k);
  struct err err = {0};
  char where[512];
  clock_set(0);
  log_set_level(LOG_WARN);
  kit_must(language_init(&err), &err);
  pthread_mutex_init(&k->lock, NULL);
  for (int s = 0; s < 2; s++) {
    struct store **store = s == 0 ? &k->main : &k->fast;
    if (kit_postgres == NULL) kit_new_where(false, where, sizeof where);
    kit_must(store_open(kit_postgres != NULL ? kit_postgres : where, NULL, store, &err), &err);
    kit_must(store_migrate(*store, rooms, &err), &err);
  }
  if (kit_postgres != NULL) kit_must(store_write(k->main, STORE_FRONT, kit_empty, NULL, &err), &err);
  k->options = (struct identity_options){.secret = kit_secret, .send = kit_send, .send_ctx = k};
  kit_must(identity_open(k->main, k->fast, &k->options, &k->identity, &err), &err);
  *state = k;
  return 0;
}

static inline int kit_teardown(void **state) {
  struct kit *k = *state;
  clock_set(0);
  identity_close(k->identity);
  store_close(k->main);
  store_close(k->fast);
  pthread_mutex_destroy(&k->lock);
  free(k);
  return 0;
}

/* The same identity with other options. */
static inline void kit_reopen(struct kit *k) {
  struct err err = {0};
  identity_close(k->identity);
  kit_must(identity_open(k->main, k->fast, &k->options, &k->identity, &err), &err);
}

static inline void kit_national_id(unsigned n, char out[16]) {
  int sum = 0;
  snprintf(out, 16, "%09u", 100000000u + n % 800000000u);
  for (int d = 0; d < 9; d++) sum += (out[d] - '0') * (10 - d);
  int r = sum % 11;
  out[9] = (char)('0' + (r < 2 ? r : 11 - r));
  out[10] = '\0';
}

static inline void kit_mobile(unsigned n, char out[16]) { snprintf(out, 16, "0915%07u", n % 10000000u); }

/* The code in the last message. */
static inline void kit_code(struct kit *k, char out[8]) {
  const char *s = k->text;
  while (*s != '\0' && strspn(s, "0123456789") != 6) s++;
  snprintf(out, 8, "%.6s", s);
  assert_int_equal(strlen(out), 6);
}

static inline void kit_citizen(struct kit *k, unsigned n, char token[64]) {
  char id[16], mobile[16], challenge[40], code[8];
  int expires;
  struct err err = {0};
  kit_national_id(n, id);
  kit_mobile(n, mobile);
  kit_must(identity_otp(k->identity, id, mobile, NULL, LANG_FA, challenge, &expires, &err), &err);
  kit_code(k, code);
  kit_must(identity_otp_verify(k->identity, challenge, code, NULL, token, &expires, &err), &err);
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
