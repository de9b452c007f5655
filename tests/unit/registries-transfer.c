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

/* ---- whose records were in it ---- */

struct asked { struct kit *k; char person[72]; int64_t at; const char *id; json_t *items; };
static int asked_work(struct store_tx *tx, void *arg, struct err *e) {
  struct asked *q = arg;
  json_array_clear(q->items);
  return registries_exports_of(q->k->g, tx, q->person, q->at, q->id, LANG_EN, q->items, e);
}
/* How many exports had a record about this person; the purpose of the newest. */
static int exports_of(struct kit *k, const char *id, const char **why) {
  struct asked q = {.k = k, .at = INT64_MAX, .id = "", .items = json_array()};
  identity_person_key(k->identity, id, q.person);
  must(store_read(k->store, asked_work, &q, err));
  if (why) *why = arena_strdup(k->arena, json_str(json_array_get(q.items, 0), "why"));
  int n = (int)json_array_size(q.items);
  json_decref(q.items);
  return n;
}

static void out(struct kit *k, const struct actor *who, const char *why, int64_t since, int lines) {
  struct records_query q = {.registry = pack_find_registry(kit_pack, "farmers"), .format = RECORD_JSON, .why = why, .since = since};
  struct records_export *e;
  struct buf text = {0};
  must(registries_export_open(k->g, who, &q, &e, err));
  struct err why_not;
  while (registries_export_page(e, &text, &why_not) == 1) continue;
  registries_export_close(e);
  int n = 0;
  for (const char *p = buf_str(&text); *p; p++) n += *p == '\n';
  assert_int_equal(n, lines);
  buf_free(&text);
}

static void who_was_in_a_file_finds_it(void **state) {
  struct kit *k = *state;
  const char *why = NULL;
  struct actor officer = kit_staff("jihad", STAFF_OFFICER), stranger = kit_staff("takapo", STAFF_MANAGER), helpdesk = kit_staff("jihad", STAFF_HELPDESK);
  const struct registry *r = pack_find_registry(kit_pack, "farmers");
  snprintf(officer.roles[0].organisation, sizeof officer.roles[0].organisation, "%s", directory_organisation(pack_directory(kit_pack), r->organisation)->code);
  snprintf(helpdesk.roles[0].organisation, sizeof helpdesk.roles[0].organisation, "%s", officer.roles[0].organisation);
  struct records_query q = {.registry = r, .why = "yearly report"};
  struct records_export *e;
  refused(registries_export_open(k->g, &stranger, &q, &e, err), ERR_NOT_FOUND);
  refused(registries_export_open(k->g, &helpdesk, &q, &e, err), ERR_FORBIDDEN);
  q.why = "x";
  refused(registries_export_open(k->g, &officer, &q, &e, err), ERR_INVALID);
  q.why = "two\nlines";
  refused(registries_export_open(k->g, &officer, &q, &e, err), ERR_INVALID);
  clock_set(INT64_C(1780000000000));
  out(k, &officer, "before anybody", 0, 0);
  clock_set(INT64_C(1780100000000));
  kit_put(k, "farmers", "{\"national_id\":\"" ID "\",\"village\":\"0916050003164003\",\"crop\":\"wheat\"}", RECORD_IMPORT, NULL, false);
  assert_int_equal(exports_of(k, ID, NULL), 0);
  clock_set(INT64_C(1780200000000));
  out(k, &officer, "yearly report", 0, 1);
  assert_int_equal(exports_of(k, ID, &why), 1);
  assert_string_equal(why, "yearly report");
  assert_int_equal(exports_of(k, OTHER, NULL), 0);
  out(k, &officer, "only what is new", INT64_C(1780150000000), 0); /* her record is older than that */
  assert_int_equal(exports_of(k, ID, NULL), 1);
  clock_set(INT64_C(1780300000000));
  kit_put(k, "farmers", "{\"national_id\":\"" OTHER "\",\"village\":\"0916050003164003\",\"crop\":\"wheat\"}", RECORD_IMPORT, NULL, false);
  assert_int_equal(exports_of(k, OTHER, NULL), 0);
  out(k, &officer, "again", 0, 2);
  assert_int_equal(exports_of(k, ID, &why), 2);
  assert_string_equal(why, "again");
  assert_int_equal(exports_of(k, OTHER, NULL), 1);
  clock_set(0);
}

/* A record that changes hands: who it was about when the file was taken. */
static void who_it_was_about_then(void **state) {
  struct kit *k = *state;
  struct actor system = {.kind = ACTOR_SYSTEM};
  struct records_query q = {.registry = pack_find_registry(kit_pack, "legal-persons"), .why = "a list"};
  struct records_export *e;
  struct buf text = {0};
  clock_set(INT64_C(1780000000000));
  kit_put(k, "legal-persons", "{\"legal_id\":\"10380284790\",\"manager_id\":\"" ID "\"}", RECORD_IMPORT, NULL, false);
  clock_set(INT64_C(1780100000000));
  must(registries_export_open(k->g, &system, &q, &e, err));
  must(registries_export_page(e, &text, err)); /* the whole of it at once */
  registries_export_close(e);
  buf_free(&text);
  clock_set(INT64_C(1780200000000));
  kit_put(k, "legal-persons", "{\"legal_id\":\"10380284790\",\"manager_id\":\"" OTHER "\"}", RECORD_IMPORT, NULL, false);
  assert_int_equal(exports_of(k, ID, NULL), 1);
  assert_int_equal(exports_of(k, OTHER, NULL), 0);
  must(registries_verify(k->g, NULL, NULL, err));
  clock_set(0);
}

int main(void) {
  const struct CMUnitTest tests[] = {KIT_TEST(mistakes_are_told_at_their_lines), KIT_TEST(a_dry_run_counts_and_writes_nothing), KIT_TEST(what_goes_out_comes_in_again),
                                     KIT_TEST(who_was_in_a_file_finds_it), KIT_TEST(who_it_was_about_then)};
  KIT_RUN(tests);
}
