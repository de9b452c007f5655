/* What the tests of identity share: two stores of an engine, an identity, the last message sent. */
#ifndef CHAPAR_TEST_IDENTITY_KIT_H
#define CHAPAR_TEST_IDENTITY_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "identity/inner.h"

struct kit {
  struct store *main, *fast;
  struct identity *identity;
  struct identity_options options;
  char folder[64];
  pthread_mutex_t lock;
  int sent;
  char mobile[16], text[512];
};

/* NULL: SQLite. Otherwise an empty database of PostgreSQL (CHAPAR_TEST_POSTGRES=postgresql://…). */
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
         store_exec(tx, err, "DELETE FROM staff_role", "") < 0 ? -1 : 0;
}

static inline void kit_must(int rc, const struct err *err) {
  if (rc != 0) fail_msg("%s: %s", err_name(err->code), err->message);
}

static inline int kit_setup(void **state) {
  static const char *const rooms[] = {"identity", "sessions", NULL};
  struct kit *k = base_alloc(sizeof *k);
  struct err err = {0};
  char where[512];
  clock_set(0);
  log_set_level(LOG_WARN);
  kit_must(language_init(&err), &err);
  pthread_mutex_init(&k->lock, NULL);
  snprintf(k->folder, sizeof k->folder, "/tmp/chapar-test-XXXXXX");
  assert_non_null(mkdtemp(k->folder));
  for (int s = 0; s < 2; s++) {
    struct store **store = s == 0 ? &k->main : &k->fast;
    snprintf(where, sizeof where, "sqlite:%s/%s.db", k->folder, s == 0 ? "main" : "fast");
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
  char path[128];
  static const char *const files[] = {"main.db", "main.db-wal", "main.db-shm", "fast.db", "fast.db-wal", "fast.db-shm"};
  clock_set(0);
  identity_close(k->identity);
  store_close(k->main);
  store_close(k->fast);
  for (size_t f = 0; f < BASE_COUNT(files); f++) {
    snprintf(path, sizeof path, "%s/%s", k->folder, files[f]);
    unlink(path);
  }
  rmdir(k->folder);
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

/* Run the tests on SQLite, and on PostgreSQL when an empty database of it is given. */
#define KIT_RUN(tests)                                                              \
  do {                                                                              \
    int failed = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);          \
    kit_postgres = getenv("CHAPAR_TEST_POSTGRES");                                  \
    if (kit_postgres != NULL) failed += cmocka_run_group_tests_name("postgresql", tests, NULL, NULL); \
    return failed;                                                                  \
  } while (0)
#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

#endif
