/* Certificates: codes, how they stand as time goes by, what is left of them when their case is erased. */
#include "app/app.h"
#include "cases/cases.h"
#include "certificates/inside.h"
#include "store-kit.h"

static const unsigned char secret[32] = "thirty-two bytes for the tests..";
static struct store *store;
static struct trust *trust;
static struct pack *pack;
static struct identity *identity;
static struct cases *cases;
static struct certificates *certificates;
static const char *const owner = "dehyari-0916050003164003";

static void told(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  if (!warning) fail_msg("%s:%u: %s", file, line, message);
}

static int setup(void **state) {
  static const char *const rooms[] = {"store", "trust", "identity", "cases", "packs", "sessions", "certificates", NULL};
  char where[512], key[540];
  clock_set(0);
  log_set_level(LOG_WARN);
  must(language_init(err));
  kit_new_where(false, where, sizeof where);
  must(store_open(where, NULL, &store, err));
  must(store_migrate(store, rooms, err));
  snprintf(key, sizeof key, "%s.pem", where + strlen("sqlite:"));
  must(trust_open(store, &(struct trust_options){.key_file = key, .origin = "test.example/ledger", .node = "one"}, &trust, err));
  pack = pack_compile("packs/khorasan-razavi", &(struct pack_report){.line = told});
  assert_non_null(pack);
  must(identity_open(store, store, &(struct identity_options){.secret = secret}, &identity, err));
  must(cases_open(store, trust, pack, &(struct cases_options){.secret = secret, .node = "one", .identity = identity, .certificate = paper_due, .certificate_forget = paper_forget},
                  &cases, err));
  must(certificates_open(store, trust, &(struct certificates_options){.secret = secret, .node = "one", .base_url = "https://example.ir", .cases = cases, .fill = paper_fill},
                         &certificates, err));
  return 0;
}

static int teardown(void **state) {
  clock_set(0);
  certificates_close(certificates);
  cases_close(cases);
  identity_close(identity);
  trust_close(trust);
  pack_unref(pack);
  store_close(store);
  return 0;
}

static struct actor member(int role) {
  struct actor who = {.kind = ACTOR_STAFF, .username = "one", .role_count = 1, .roles = {{.role = role}}};
  snprintf(who.roles[0].organisation, sizeof who.roles[0].organisation, "%s", owner);
  return who;
}

static struct case_submission approved(const char *key) {
  const struct service *def = pack_find(pack, "village-residence");
  struct case_submission s = {.service = def, .data = json_array_get(def->examples, 0), .key = key, .caller = "test", .lang = LANG_FA, .actor = {.kind = ACTOR_SYSTEM}};
  must(cases_submit(cases, &s, NULL, NULL, err));
  struct case_act a = {.action = "approve", .expected_version = -1, .lang = LANG_FA, .actor = member(STAFF_OFFICER)};
  snprintf(a.tracking, sizeof a.tracking, "%s", s.tracking);
  must(cases_act(cases, &a, NULL, NULL, err));
  return s;
}

static void jobs(void) {
  int64_t done = 1;
  for (int i = 0; i < 50 && done; i++) must(cases_jobs(cases, &done, err));
  must(certificates_jobs(certificates, err));
}

static json_t *papers(const char *tracking) {
  struct actor boss = member(STAFF_MANAGER);
  json_t *out = NULL;
  must(certificates_of(certificates, &boss, tracking, LANG_EN, &out, err));
  return out;
}

static void stands(const char *code, const char *status) {
  json_t *out = NULL;
  must(certificates_check(certificates, code, LANG_FA, &out, err));
  assert_string_equal(json_str(out, "status"), status);
  assert_true(strlen(json_str(out, "sentence")) > 20 && !strchr(json_str(out, "sentence"), '{'));
  json_decref(out);
}

static void codes(void **state) {
  static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  char code[CERTIFICATE_CODE], again[CERTIFICATE_CODE], shown[16], typed[64];
  for (int i = 1; i < 500; i++) {
    certificate_code_make(certificates, "1234567890123452", i, code);
    assert_int_equal(strlen(code), 12);
    assert_int_equal(certificate_code_parse(code, again), 0);
    for (int at = 0; at < 12; at++) { /* every single mistake is found */
      memcpy(again, code, sizeof again);
      again[at] = alphabet[(strchr(alphabet, code[at]) - alphabet + 1 + i % 31) % 32];
      if (again[at] != code[at]) assert_int_equal(certificate_code_parse(again, typed), -1);
    }
  }
  certificate_code_show(code, shown);
  assert_int_equal(certificate_code_parse(shown, again), 0);
  assert_string_equal(again, code);
  snprintf(typed, sizeof typed, " \u200e%.4s\u2013%.4s %.4s\u200c", shown, shown + 5, shown + 10);
  assert_int_equal(certificate_code_parse(typed, again), 0);
  static const char *const wrong[] = {"", "1", "K7QM", "U7QM2XPD9T4C", "\xff\xfe", "K7QM2XPD9T4CC", "کدگواهی"};
  for (size_t i = 0; i < BASE_COUNT(wrong); i++) assert_int_equal(certificate_code_parse(wrong[i], again), -1);
  char *file = base_printf("%%PDF Chapar certificate (Chapar certificate %s)", shown);
  assert_true(certificate_code_in(file, strlen(file), again));
  assert_string_equal(again, code);
  assert_false(certificate_code_in(file, strlen(file) - 2, again));
  assert_false(certificate_code_in("", 0, again));
  free(file);
}

static void it_ends_by_itself(void **state) {
  struct case_submission s = approved("time");
  jobs();
  json_t *out = papers(s.tracking);
  const json_t *one = json_array_get(json_object_get(out, "items"), 0);
  char code[16];
  snprintf(code, sizeof code, "%s", json_str(one, "code"));
  assert_int_equal(json_array_size(json_object_get(out, "items")), 1);
  int64_t last = day_start(date_parse(json_str(one, "valid_until")));
  json_decref(out);
  stands(code, "valid");
  clock_set(last + 20 * 3600000);
  stands(code, "valid"); /* its last day counts */
  clock_set(last + 30 * 3600000);
  stands(code, "expired");
  must(certificates_settle(certificates, s.tracking, err));
  out = papers(s.tracking);
  assert_int_equal(json_array_size(json_object_get(out, "items")), 1);
  json_decref(out);
}

static void wrong_line(void *ctx, const char *line) { fail_msg("%s", line); }

static int count_work(struct store_tx *tx, void *arg, struct err *err_) { return store_value(tx, arg, 0, err_, "SELECT COUNT(*) FROM certificate_due", ""); }

static void each_decision_is_looked_at_once(void **state) {
  int64_t due = 0;
  struct case_submission s = approved("once");
  must(store_read(store, count_work, &due, err));
  assert_int_equal(due, 1);
  jobs();
  must(store_read(store, count_work, &due, err));
  assert_int_equal(due, 0);
  struct certificate_change k = {.tracking = s.tracking, .issue = 1, .reason = "lost", .comment = "گم شد", .lang = LANG_FA};
  struct actor officer = member(STAFF_OFFICER), boss = member(STAFF_SUPERVISOR);
  struct err e;
  assert_int_equal(certificates_change(certificates, &officer, &k, &e), -1);
  assert_int_equal(e.code, ERR_FORBIDDEN);
  must(certificates_change(certificates, &boss, &k, err));
  assert_int_equal(certificates_change(certificates, &boss, &k, &e), -1);
  assert_int_equal(e.code, ERR_CONFLICT);
  must(certificates_verify(certificates, wrong_line, NULL, err));
}

static void what_is_left_when_its_case_is_erased(void **state) {
  struct case_submission s = approved("erase");
  struct actor boss = member(STAFF_MANAGER);
  char *pdf, name[64], code[16];
  size_t n;
  int64_t placed;
  json_t *out = NULL;
  must(certificates_file(certificates, &boss, s.tracking, 0, &pdf, &n, name, err));
  struct certificate_change k = {.tracking = s.tracking, .issue = 1, .revoke = true, .reason = "error", .comment = "کد ملی ۰۴۹۹۳۷۰۸۹۹ اشتباه بود", .lang = LANG_FA};
  must(certificates_change(certificates, &boss, &k, err));
  clock_set(clock_now() + INT64_C(6) * 366 * 86400000);
  jobs();
  must(certificates_check_file(certificates, pdf, n, NULL, LANG_EN, &out, err));
  assert_string_equal(json_str(out, "status"), "revoked"); /* who holds the file is still told */
  assert_string_equal(json_str(out, "file"), "same");
  assert_null(json_str(out, "holder"));
  assert_non_null(json_object_get(json_object_get(out, "proof"), "leaf"));
  snprintf(code, sizeof code, "%s", json_str(out, "code"));
  json_decref(out);
  stands(code, "revoked");
  free(pdf);
  struct err e;
  assert_int_equal(certificates_file(certificates, &boss, s.tracking, 0, &pdf, &n, name, &e), -1);
  assert_int_equal(e.code, ERR_NOT_FOUND);
  must(certificates_verify(certificates, wrong_line, NULL, err));
  must(trust_sequence(trust, &placed, err));
  unsigned char digest[TRUST_HASH];
  char header[256];
  snprintf(header, sizeof header, "{\"case\":\"%s\",\"certificate\":1,\"seq\":2}", s.tracking);
  assert_int_equal(certificates_leaf_digest(certificates, header, digest), 1); /* erased */
  snprintf(header, sizeof header, "{\"case\":\"%s\",\"certificate\":1,\"seq\":1}", s.tracking);
  assert_int_equal(certificates_leaf_digest(certificates, header, digest), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(codes, setup, teardown), cmocka_unit_test_setup_teardown(it_ends_by_itself, setup, teardown),
    cmocka_unit_test_setup_teardown(each_decision_is_looked_at_once, setup, teardown), cmocka_unit_test_setup_teardown(what_is_left_when_its_case_is_erased, setup, teardown)};
  return cmocka_run_group_tests_name("certificates-life", tests, kit_start, kit_stop);
}
