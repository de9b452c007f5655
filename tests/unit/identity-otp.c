/* One-time codes: five tries, once, in time, and the same answer whoever asks. */
#include "identity-kit.h"

static void ask(struct kit *k, unsigned n, char challenge[40]) {
  char id[16], mobile[16];
  int expires;
  struct err err = {0};
  kit_national_id(n, id);
  kit_mobile(n, mobile);
  kit_must(identity_otp(k->identity, id, mobile, NULL, LANG_FA, challenge, &expires, &err), &err);
  assert_int_equal(expires, 120);
  assert_int_equal(strlen(challenge), 32);
}

static enum err_code answer(struct kit *k, const char *challenge, const char *code, char token[64]) {
  int expires = 0;
  struct err err = {0};
  return identity_otp_verify(k->identity, challenge, code, NULL, token, &expires, &err) == 0 ? ERR_NONE : err.code;
}

static void wrong_of(const char *code, char wrong[8]) {
  memcpy(wrong, code, 7);
  wrong[5] = code[5] == '9' ? '0' : (char)(code[5] + 1);
}

static void a_citizen_signs_in(void **state) {
  struct kit *k = *state;
  char challenge[40], code[8], token[64], id[16], mobile[16], pair[72];
  struct actor a;
  struct err err = {0};
  ask(k, 1, challenge);
  kit_national_id(1, id);
  kit_mobile(1, mobile);
  assert_string_equal(k->mobile, mobile);
  assert_int_equal(k->sent, 1);
  kit_code(k, code);
  assert_int_equal(answer(k, challenge, code, token), ERR_NONE);
  assert_int_equal(strlen(token), 43);
  assert_int_equal(identity_session(k->identity, token, &a, &err), 0);
  assert_int_equal(a.kind, ACTOR_CITIZEN);
  assert_int_equal(a.assurance, ASSURANCE_CLAIMED);
  assert_string_equal(a.national_id, id);
  assert_string_equal(a.mobile, mobile);
  identity_pair_key(k->identity, id, mobile, pair);
  assert_string_equal(a.person, pair);
  assert_string_equal(a.pair, pair);
  assert_true(base_starts(pair, "c:") && strlen(pair) == 34);
  assert_false(actor_in(&a, "any"));
}

static int on_record(void *ctx, const char *national_id, const char *mobile, struct err *err) {
  char known[16];
  kit_mobile(1, known);
  if (ctx == NULL) return err_set(err, ERR_UNAVAILABLE, "nobody answers");
  return strcmp(mobile, known) == 0;
}

/* The pair that is on record is more than claimed; another telephone, or nobody to ask, changes nothing. */
static void a_known_telephone_raises_the_session(void **state) {
  struct kit *k = *state;
  struct actor a;
  char token[64], id[16], person[72];
  struct err err = {0};
  k->options.telephone = on_record;
  k->options.telephone_ctx = k;
  kit_reopen(k);
  kit_citizen(k, 1, token);
  assert_int_equal(identity_session(k->identity, token, &a, &err), 0);
  assert_int_equal(a.assurance, ASSURANCE_SIM_MATCHED);
  kit_national_id(1, id);
  identity_person_key(k->identity, id, person);
  assert_string_equal(a.person, person);
  assert_true(base_starts(a.pair, "c:"));
  kit_citizen(k, 2, token);
  assert_int_equal(identity_session(k->identity, token, &a, &err), 0);
  assert_int_equal(a.assurance, ASSURANCE_CLAIMED);
  k->options.telephone_ctx = NULL;
  kit_reopen(k);
  log_set_level(LOG_ERROR);
  kit_citizen(k, 1, token);
  log_set_level(LOG_WARN);
  assert_int_equal(identity_session(k->identity, token, &a, &err), 0);
  assert_int_equal(a.assurance, ASSURANCE_CLAIMED);
}

static void what_is_typed_is_repaired(void **state) {
  struct kit *k = *state;
  char challenge[40], code[8], token[64], fa[40] = "\xe2\x80\x8f ";
  int expires;
  struct err err = {0};
  assert_int_equal(identity_otp(k->identity, "۰۴۹۹۳۷۰۸۹۹", "+98 915 123 4567", NULL, LANG_EN, challenge, &expires, &err), 0);
  assert_string_equal(k->mobile, "09151234567");
  kit_code(k, code);
  for (int d = 0; d < 6; d++) {
    char digit[4] = {(char)0xdb, (char)(0xb0 + code[d] - '0'), '\0'};
    strcat(fa, digit);
    if (d == 2) strcat(fa, "-");
  }
  assert_int_equal(answer(k, challenge, fa, token), ERR_NONE);
}

static void what_cannot_be_right_is_named(void **state) {
  struct kit *k = *state;
  char challenge[40];
  int expires;
  struct err err = {0};
  assert_int_equal(identity_otp(k->identity, "0499370898", "09151234567", NULL, LANG_FA, challenge, &expires, &err), -1);
  assert_int_equal(err.code, ERR_INVALID);
  assert_string_equal(err.message, "national_id");
  assert_int_equal(identity_otp(k->identity, NULL, "09151234567", NULL, LANG_FA, challenge, &expires, &err), -1);
  assert_int_equal(identity_otp(k->identity, "0499370899", "1234", NULL, LANG_FA, challenge, &expires, &err), -1);
  assert_int_equal(err.code, ERR_INVALID);
  assert_string_equal(err.message, "mobile");
  assert_int_equal(identity_otp(k->identity, "0499370899", NULL, NULL, LANG_FA, challenge, &expires, &err), -1);
  assert_int_equal(k->sent, 0);
  /* a company's 11 digits are nobody's; a foreigner's 12 are */
  assert_int_equal(identity_otp(k->identity, "14003778990", "09151234567", NULL, LANG_FA, challenge, &expires, &err), -1);
  assert_int_equal(identity_otp(k->identity, "123456789012", "09151234567", NULL, LANG_FA, challenge, &expires, &err), 0);
}

static void the_text_is_short_and_warns(void **state) {
  struct kit *k = *state;
  char challenge[40];
  ask(k, 2, challenge);
  assert_true(utf8_length(k->text) <= 70);
  assert_null(strstr(k->text, "http"));
  assert_null(strstr(k->text, "www."));
  assert_non_null(strstr(k->text, "هیچ‌کس"));
  assert_non_null(strstr(k->text, "۲"));
}

static void five_tries_and_no_more(void **state) {
  struct kit *k = *state;
  char challenge[40], code[8], wrong[8], token[64];
  ask(k, 3, challenge);
  kit_code(k, code);
  wrong_of(code, wrong);
  for (int t = 0; t < 4; t++) assert_int_equal(answer(k, challenge, t == 1 ? "letters" : wrong, token), ERR_UNAUTHENTICATED);
  assert_int_equal(answer(k, challenge, wrong, token), ERR_UNAUTHENTICATED);
  assert_int_equal(answer(k, challenge, code, token), ERR_RATE);
  assert_int_equal(answer(k, challenge, code, token), ERR_RATE);
  ask(k, 3, challenge);
  kit_code(k, code);
  wrong_of(code, wrong);
  for (int t = 0; t < 4; t++) assert_int_equal(answer(k, challenge, wrong, token), ERR_UNAUTHENTICATED);
  assert_int_equal(answer(k, challenge, code, token), ERR_NONE);
}

static void a_code_counts_once_and_in_time(void **state) {
  struct kit *k = *state;
  char challenge[40], code[8], token[64];
  int64_t now = 1790000000000;
  clock_set(now);
  ask(k, 4, challenge);
  kit_code(k, code);
  assert_int_equal(answer(k, challenge, code, token), ERR_NONE);
  assert_int_equal(answer(k, challenge, code, token), ERR_UNAUTHENTICATED);
  ask(k, 4, challenge);
  kit_code(k, code);
  clock_set(now + 121000);
  assert_int_equal(answer(k, challenge, code, token), ERR_UNAUTHENTICATED);
  assert_int_equal(answer(k, "00000000000000000000000000000000", code, token), ERR_UNAUTHENTICATED);
  assert_int_equal(answer(k, "not a challenge", code, token), ERR_UNAUTHENTICATED);
  assert_int_equal(answer(k, challenge, NULL, token), ERR_UNAUTHENTICATED);
  assert_int_equal(answer(k, NULL, NULL, token), ERR_UNAUTHENTICATED);
}

/* Over the limit of a telephone the answer is the same, and what follows from it too. */
static void limits_cannot_be_seen(void **state) {
  struct kit *k = *state;
  char challenge[40], token[64], code[8];
  for (int t = 0; t < 3; t++) ask(k, 5, challenge);
  assert_int_equal(k->sent, 3);
  kit_code(k, code);
  ask(k, 5, challenge);
  assert_int_equal(k->sent, 3);
  assert_int_equal(answer(k, challenge, code, token), ERR_UNAUTHENTICATED);
  for (int t = 0; t < 4; t++) assert_int_equal(answer(k, challenge, "123456", token), ERR_UNAUTHENTICATED);
  assert_int_equal(answer(k, challenge, "123456", token), ERR_RATE);
  clock_set(clock_now() + 10 * 60 * 1000 + 1);
  ask(k, 5, challenge);
  assert_int_equal(k->sent, 4);
}

static void an_identifier_has_a_limit(void **state) {
  struct kit *k = *state;
  char id[16], mobile[16], challenge[40];
  int expires;
  struct err err = {0};
  kit_national_id(6, id);
  for (unsigned n = 0; n < 8; n++) {
    kit_mobile(100 + n, mobile);
    kit_must(identity_otp(k->identity, id, mobile, NULL, LANG_FA, challenge, &expires, &err), &err);
  }
  assert_int_equal(k->sent, 6);
}

static void an_address_has_a_limit(void **state) {
  struct kit *k = *state;
  char id[16], mobile[16], challenge[40], token[64];
  int expires, refused = 0;
  struct err err = {0};
  for (unsigned n = 0; n < 12; n++) {
    kit_national_id(200 + n, id);
    kit_mobile(200 + n, mobile);
    if (identity_otp(k->identity, id, mobile, n % 2 == 0 ? "2001:db8::1" : "2001:db8::2", LANG_FA, challenge, &expires, &err) == 0) continue;
    refused++;
    assert_int_equal(err.code, ERR_RATE);
  }
  assert_int_equal(refused, 2);
  for (int n = 0; n < 30; n++) {
    assert_int_equal(identity_otp_verify(k->identity, challenge, "1", "192.0.2.7", token, &expires, &err), -1);
    assert_int_not_equal(err.code, n < 5 ? ERR_RATE : ERR_NONE);
  }
  assert_int_equal(identity_otp_verify(k->identity, "00000000000000000000000000000000", "1", "::ffff:192.0.2.7", token, &expires, &err), -1);
  assert_int_equal(err.code, ERR_RATE);
  k->options.limit_factor = 3;
  kit_reopen(k);
  for (unsigned n = 0; n < 30; n++) {
    kit_national_id(300 + n, id);
    kit_mobile(300 + n, mobile);
    kit_must(identity_otp(k->identity, id, mobile, "192.0.2.8", LANG_FA, challenge, &expires, &err), &err);
  }
  assert_int_equal(identity_otp(k->identity, id, mobile, "192.0.2.8", LANG_FA, challenge, &expires, &err), -1);
}

/* ---- nothing readable is kept ------------------------------------------------------------ */

struct seen { const char *challenge, *code, *token; };

static int look(struct store_tx *tx, void *arg, struct err *err) {
  struct seen *s = arg;
  int64_t n;
  if (store_value(tx, &n, 0, err, "SELECT COUNT(*) FROM one_time_code WHERE challenge = ?1 OR code = ?2 OR code LIKE '%' || ?2 || '%'", "tt",
                  s->challenge, s->code) != 0 || n != 0) return 1;
  if (store_value(tx, &n, 0, err, "SELECT COUNT(*) FROM session WHERE token = ?1", "t", s->token) != 0 || n != 0) return 1;
  if (store_value(tx, &n, 0, err, "SELECT COUNT(*) FROM session", "") != 0 || n != 1) return 1;
  if (store_value(tx, &n, 0, err, "SELECT COUNT(*) FROM one_time_code", "") != 0 || n != 1) return 1;
  return 0;
}

static void secrets_are_kept_as_digests(void **state) {
  struct kit *k = *state;
  char challenge[40], code[8], token[64];
  struct err err = {0};
  kit_citizen(k, 7, token);
  ask(k, 7, challenge);
  kit_code(k, code);
  struct seen s = {challenge, "no hit", token};
  assert_int_equal(store_read(k->fast, look, &s, &err), 0);
}

/* ---- many at once -------------------------------------------------------------------------- */

struct race { struct kit *k; const char *challenge, *code; int won, refused; pthread_mutex_t lock; };

static void *run(void *arg) {
  struct race *r = arg;
  char token[64];
  enum err_code code = answer(r->k, r->challenge, r->code, token);
  pthread_mutex_lock(&r->lock);
  if (code == ERR_NONE) r->won++;
  if (code == ERR_RATE || code == ERR_UNAUTHENTICATED) r->refused++;
  pthread_mutex_unlock(&r->lock);
  return NULL;
}

static void one_of_many_wins(void **state) {
  struct kit *k = *state;
  char challenge[40], code[8];
  pthread_t threads[8];
  ask(k, 8, challenge);
  kit_code(k, code);
  struct race r = {.k = k, .challenge = challenge, .code = code, .lock = PTHREAD_MUTEX_INITIALIZER};
  for (int t = 0; t < 8; t++) pthread_create(&threads[t], NULL, run, &r);
  for (int t = 0; t < 8; t++) pthread_join(threads[t], NULL);
  assert_int_equal(r.won, 1);
  assert_int_equal(r.refused, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    KIT_TEST(a_citizen_signs_in), KIT_TEST(a_known_telephone_raises_the_session), KIT_TEST(what_is_typed_is_repaired), KIT_TEST(what_cannot_be_right_is_named),
    KIT_TEST(the_text_is_short_and_warns), KIT_TEST(five_tries_and_no_more), KIT_TEST(a_code_counts_once_and_in_time),
    KIT_TEST(limits_cannot_be_seen), KIT_TEST(an_identifier_has_a_limit), KIT_TEST(an_address_has_a_limit),
    KIT_TEST(secrets_are_kept_as_digests), KIT_TEST(one_of_many_wins),
  };
  KIT_RUN(tests);
}
