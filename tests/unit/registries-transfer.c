/* CSV in and out: a file is judged as a whole, mistakes are told at their lines, and what goes out comes in again. */
#include "registries-kit.h"

struct told { struct buf text; };

static void hear(void *ctx, unsigned line, const char *message) { buf_addf(&((struct told *)ctx)->text, "%u: %s\n", line, message); }

static int import(struct kit *k, const char *registry, const char *csv, bool dry, struct record_import *out, struct told *t, struct err *err) {
  *out = (struct record_import){.registry = pack_find_registry(kit_pack, registry), .dry = dry, .lang = LANG_EN, .line = hear, .ctx = t};
  buf_clear(&t->text);
  return registries_import(k->g, csv, strlen(csv), out, err);
}

static void expect(struct kit *k, const char *registry, const char *csv, const char *sentences) {
  struct record_import r;
  struct told t = {0};
  int64_t n = -1;
  refused(import(k, registry, csv, false, &r, &t, err), e_.code);
  assert_string_equal(buf_str(&t.text), sentences);
  must(registries_count(k->g, NULL, &n, err));
  assert_int_equal(n, 0);
  buf_free(&t.text);
}

static void mistakes_are_told_at_their_lines(void **state) {
  struct kit *k = *state;
  expect(k, "legal-persons", "legal_id,company_name\n10380284791,x\n", "2: Legal ID: The legal ID is not right. It has eleven digits.\n");
  expect(k, "legal-persons", "legal_id,company_nam\n", "1: Registry legal-persons has no attribute 'company_nam'.\n");
  expect(k, "legal-persons", "company_name\nx\n", "1: Column 'legal_id' is needed: it makes a record one.\n");
  expect(k, "legal-persons", "legal_id,company_name\n10380284790,a\n۱۰۳۸۰۲۸۴۷۹۰,b\n", "3: The same record stands on line 2 already.\n");
  expect(k, "legal-persons", "legal_id,valid\n10380284790,maybe\n", "2: Column 'valid' must be yes or no.\n");
}

static void a_dry_run_counts_and_writes_nothing(void **state) {
  struct kit *k = *state;
  struct record_import r;
  struct told t = {0};
  int64_t n = -1;
  const char *csv = "legal_id,company_name,company_active\n10380284790,\"شبکه «گستر», نیشابور\",بله\n";
  must(import(k, "legal-persons", csv, true, &r, &t, err));
  assert_int_equal(r.made, 1);
  must(registries_count(k->g, NULL, &n, err));
  assert_int_equal(n, 0);
  must(import(k, "legal-persons", csv, false, &r, &t, err));
  assert_int_equal(r.made, 1);
  must(import(k, "legal-persons", csv, false, &r, &t, err));
  assert_int_equal(r.same, 1);
  assert_int_equal(r.made + r.changed + r.revoked, 0);
  buf_free(&t.text);
}

static int keep(void *ctx, const char *p, size_t n) {
  buf_add(ctx, p, n);
  return 0;
}

/* More than two pages and two batches, with cells that must be quoted. */
static void what_goes_out_comes_in_again(void **state) {
  struct kit *k = *state;
  struct record_import r;
  struct told t = {0};
  struct buf csv = {0}, out = {0}, lines = {0};
  const struct registry *parcels = pack_find_registry(kit_pack, "land-parcels");
  buf_adds(&csv, "parcel_number,parcel_owner,parcel_area,valid\r\n");
  for (int i = 1; i <= 1203; i++) buf_addf(&csv, "%d/7,\"نام، %d \"\"ب\"\"\",%d.5,%s\r\n", i, i, i, i % 7 == 0 ? "" : "yes");
  must(import(k, "land-parcels", buf_str(&csv), false, &r, &t, err));
  assert_int_equal(r.made, 1203);
  must(import(k, "land-parcels", "parcel_number,valid\n7/7,no\n", false, &r, &t, err));
  assert_int_equal(r.revoked, 1);
  must(registries_export(k->g, parcels, RECORD_CSV, keep, &out, err));
  must(registries_export(k->g, parcels, RECORD_JSON, keep, &lines, err));
  int count = 0;
  for (const char *p = buf_str(&lines); *p; p++) count += *p == '\n';
  assert_int_equal(count, 1203);
  assert_non_null(strstr(buf_str(&out), "7/7,\"نام، 7 \"\"ب\"\"\",7.5,,,no\r\n"));
  must(import(k, "land-parcels", buf_str(&out), false, &r, &t, err));
  assert_int_equal(r.rows, 1203);
  assert_int_equal(r.same, 1203);
  buf_free(&csv);
  buf_free(&out);
  buf_free(&lines);
  buf_free(&t.text);
}

int main(void) {
  const struct CMUnitTest tests[] = {KIT_TEST(mistakes_are_told_at_their_lines), KIT_TEST(a_dry_run_counts_and_writes_nothing), KIT_TEST(what_goes_out_comes_in_again)};
  KIT_RUN(tests);
}
