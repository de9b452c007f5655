/* Sessions and their cache, form tokens, keys of persons, limits in memory. */
#include "identity-kit.h"

static void a_session_ends(void **state) {
  struct kit *k = *state;
  char token[64], other[64];
  struct actor a;
  struct err err = {0};
  kit_citizen(k, 1, token);
  kit_citizen(k, 1, other);
  assert_int_equal(identity_session(k->identity, token, &a, &err), 0);
  assert_int_equal(identity_session(k->identity, token, &a, &err), 0);
  kit_must(identity_logout(k->identity, token, &err), &err);
  assert_int_equal(identity_session(k->identity, token, &a, &err), 1);
  assert_int_equal(a.kind, ACTOR_NOBODY);
  assert_int_equal(identity_session(k->identity, other, &a, &err), 0);
  kit_must(identity_logout(k->identity, token, &err), &err);
  kit_must(identity_logout(k->identity, "no token", &err), &err);
  clock_set(a.expires_at);
  assert_int_equal(identity_session(k->identity, other, &a, &err), 1);
}

static void what_is_no_token_finds_nothing(void **state) {
  struct kit *k = *state;
  struct actor a;
  struct err err = {0};
  static const char *const tokens[] = {NULL, "", "short", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
  for (size_t n = 0; n < BASE_COUNT(tokens); n++) {
    memset(&a, 0xff, sizeof a);
    assert_int_equal(identity_session(k->identity, tokens[n], &a, &err), 1);
    assert_int_equal(a.kind, ACTOR_NOBODY);
  }
}

/* What another process ended is seen after five seconds at most; what this one ended, at once. */
static void the_cache_is_five_seconds_fresh(void **state) {
  struct kit *k = *state;
  char token[64];
  struct actor a;
  struct err err = {0};
  struct identity *other;
  kit_must(identity_open(k->main, k->fast, &k->options, &other, &err), &err);
  kit_citizen(k, 2, token);
  assert_int_equal(identity_session(k->identity, token, &a, &err), 0);
  assert_int_equal(identity_session(other, token, &a, &err), 0);
  kit_must(identity_logout(other, token, &err), &err);
  assert_int_equal(identity_session(other, token, &a, &err), 1);
  assert_int_equal(identity_session(k->identity, token, &a, &err), 0);
  kit_pause(CACHE_FRESH_MS + 100);
  assert_int_equal(identity_session(k->identity, token, &a, &err), 1);
  identity_close(other);
}

static void form_tokens_belong_to_their_session(void **state) {
  struct kit *k = *state;
  char token[64], second[64], anonymous[48], again[48];
  struct actor a, b, nobody = {0};
  struct err err = {0};
  kit_citizen(k, 3, token);
  kit_citizen(k, 3, second);
  assert_int_equal(identity_session(k->identity, token, &a, &err), 0);
  assert_int_equal(identity_session(k->identity, second, &b, &err), 0);
  assert_int_equal(strlen(a.form_token), 43);
  assert_string_not_equal(a.form_token, b.form_token);
  assert_string_not_equal(a.form_token, token);
  assert_true(identity_form_token_ok(&a, a.form_token));
  assert_false(identity_form_token_ok(&a, b.form_token));
  assert_false(identity_form_token_ok(&a, ""));
  assert_false(identity_form_token_ok(&a, NULL));
  assert_false(identity_form_token_ok(&nobody, ""));
  identity_anonymous_token(k->identity, "cookie", anonymous);
  identity_anonymous_token(k->identity, "cookie", again);
  assert_string_equal(anonymous, again);
  identity_anonymous_token(k->identity, "another", again);
  assert_string_not_equal(anonymous, again);
  assert_int_equal(identity_session(k->identity, token, &b, &err), 0);
  assert_string_equal(a.form_token, b.form_token);
}

static void keys_do_not_run_together(void **state) {
  struct kit *k = *state;
  char a[72], b[72];
  identity_pair_key(k->identity, "12", "3", a);
  identity_pair_key(k->identity, "1", "23", b);
  assert_string_not_equal(a, b);
  identity_person_key(k->identity, "0499370899", a);
  identity_pair_key(k->identity, "0499370899", "", b);
  assert_true(base_starts(a, "p:") && base_starts(b, "c:"));
  assert_string_not_equal(a + 2, b + 2);
  assert_null(strstr(a, "0499370899"));
  assert_string_equal(staff_role_text(STAFF_AGENT), "agent");
  assert_int_equal(staff_role_parse("auditor"), STAFF_AUDITOR);
  assert_int_equal(staff_role_parse("king"), -1);
  assert_int_equal(staff_role_parse(NULL), -1);
  assert_string_equal(assurance_text(ASSURANCE_SIM_MATCHED), "sim_matched");
  assert_string_equal(assurance_text((enum assurance)99), "none");
}

static void buckets_fill_again(void **state) {
  struct kit *k = *state;
  for (int n = 0; n < 5; n++) assert_true(identity_limit(k->identity, "kind", "a", 5, 1));
  assert_false(identity_limit(k->identity, "kind", "a", 5, 1));
  assert_true(identity_limit(k->identity, "kind", "b", 5, 1));
  assert_true(identity_limit(k->identity, "other", "a", 5, 1));
  kit_pause(450);
  assert_true(identity_limit(k->identity, "kind", "a", 5, 1));
  assert_true(identity_limit(k->identity, "kind", "a", 5, 1));
  assert_false(identity_limit(k->identity, "kind", "a", 0, 1));
  assert_true(identity_limit(k->identity, "kind", NULL, 5, 1));
}

static void limits_use_bounded_memory(void **state) {
  struct kit *k = *state;
  char key[32];
  for (int n = 0; n < LIMIT_SHARDS * LIMIT_PER_SHARD * 2; n++) {
    snprintf(key, sizeof key, "%d", n);
    assert_true(identity_limit(k->identity, "many", key, 1, 600));
    if (n % 1000 == 0) assert_true(identity_limit(k->identity, "seen", "again", 1000, 600));
  }
  assert_false(identity_limit(k->identity, "many", key, 1, 600));
}

/* ---- many at once ------------------------------------------------------------------------------- */

struct crowd { struct kit *k; char tokens[6][64]; _Atomic int found, ended, errors; };

static void *look_and_leave(void *arg) {
  struct crowd *c = arg;
  struct actor a;
  struct err err = {0};
  for (int n = 0; n < 300; n++) {
    int rc = identity_session(c->k->identity, c->tokens[n % 6], &a, &err);
    if (rc == 0) c->found++;
    else if (rc == 1) c->ended++;
    else c->errors++;
    identity_limit(c->k->identity, "crowd", c->tokens[n % 6], 10, 1);
    if (n == 200 && identity_logout(c->k->identity, c->tokens[0], &err) != 0) c->errors++;
    if (n > 200 && identity_session(c->k->identity, c->tokens[0], &a, &err) != 1) c->errors++;
  }
  return NULL;
}

static void many_look_at_once(void **state) {
  struct crowd c = {.k = *state};
  pthread_t threads[8];
  for (unsigned n = 0; n < 6; n++) kit_citizen(c.k, 20 + n, c.tokens[n]);
  for (int t = 0; t < 8; t++) pthread_create(&threads[t], NULL, look_and_leave, &c);
  for (int t = 0; t < 8; t++) pthread_join(threads[t], NULL);
  assert_int_equal(c.errors, 0);
  assert_true(c.found > 0 && c.ended > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    KIT_TEST(a_session_ends), KIT_TEST(what_is_no_token_finds_nothing), KIT_TEST(the_cache_is_five_seconds_fresh),
    KIT_TEST(form_tokens_belong_to_their_session), KIT_TEST(keys_do_not_run_together), KIT_TEST(buckets_fill_again),
    KIT_TEST(limits_use_bounded_memory), KIT_TEST(many_look_at_once),
  };
  KIT_RUN(tests);
}
