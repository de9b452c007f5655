/* What is kept and what is forgotten: retention by result, documents, and that the ledger still verifies. */
#include "cases-kit.h"

static const char pdf_bytes[] = "%PDF-1.4 a document of somebody";

static struct case_document put(struct kit *k, const struct actor *who, const char *bytes) {
  struct case_document d;
  must(cases_document_put(k->cases, who, bytes, strlen(bytes), "سند.pdf", &d, err));
  return d;
}

static json_t *with_paper(struct kit *k, const struct actor *who, const char *id) {
  json_t *data = kit_permit_data(who->national_id, who->mobile, "کارگاه سفال", "company");
  json_object_set_new(data, "paper", json_pack("[s]", id));
  return data;
}

static enum err_code get(struct kit *k, const struct actor *who, const char *id) {
  struct case_file f;
  struct err e = {0};
  if (cases_document_get(k->cases, who, id, &f, &e)) return e.code;
  bool same = f.size == sizeof pdf_bytes - 1 && memcmp(f.data, pdf_bytes, f.size) == 0 && strcmp(f.media_type, "application/pdf") == 0 && strcmp(f.name, "سند.pdf") == 0;
  free(f.data);
  return same ? 0 : ERR_INTERNAL;
}

static void a_document_is_its_senders_then_its_cases(void **state) {
  struct kit *k = *state;
  struct actor other = kit_person(k, 5), nobody = {0}, crew = kit_staff("digger", "crew", ROLE_OFFICER), auditor = kit_staff("a", "crew", ROLE_AUDITOR),
               helper = kit_staff("h", "centre", ROLE_HELPDESK), there = kit_staff("rec", "records", ROLE_OFFICER), upper = kit_staff("upp", "upper", ROLE_OFFICER);
  struct case_document d = put(k, &k->ali, pdf_bytes), out;
  refused(cases_document_put(k->cases, &nobody, pdf_bytes, sizeof pdf_bytes, NULL, &out, err), ERR_UNAUTHENTICATED);
  refused(cases_document_put(k->cases, &k->ali, "<html>", 6, "x.pdf", &out, err), ERR_UNSUPPORTED);
  denied(get(k, &k->ali, d.id), 0);
  struct actor before[] = {other, nobody, k->officer, auditor};
  for (size_t i = 0; i < BASE_COUNT(before); i++) denied(get(k, &before[i], d.id), ERR_NOT_FOUND);
  denied(get(k, &k->ali, "00000000000000000000000000000000"), ERR_NOT_FOUND);
  /* Another may not take it for their request, and it belongs to one case alone. */
  denied(kit_try(k->cases, k->permit, &other, "k", with_paper(k, &other, d.id)).code, ERR_INVALID);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM cases WHERE tracking<>?1", ""), 0);
  struct kit_filed f = kit_try(k->cases, k->permit, &k->ali, "k", with_paper(k, &k->ali, d.id));
  const char *t = kit_keep(k, &f);
  denied(get(k, &upper, d.id), ERR_NOT_FOUND);
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  kit_jobs(k);
  denied(get(k, &upper, d.id), 0); /* asked, and shown this answer; the records office is shown others */
  denied(get(k, &k->ali, d.id), 0);
  denied(get(k, &k->officer, d.id), 0);
  denied(get(k, &auditor, d.id), 0);
  struct actor after[] = {other, nobody, crew, helper, there};
  for (size_t i = 0; i < BASE_COUNT(after); i++) denied(get(k, &after[i], d.id), ERR_NOT_FOUND);
  acts(kit_act(k, t, &k->ali, "withdraw", NULL));
  denied(kit_try(k->cases, k->permit, &k->ali, "again", with_paper(k, &k->ali, d.id)).code, ERR_INVALID);
  kit_verified(k);
}

static void a_long_document_comes_back_whole(void **state) {
  struct kit *k = *state;
  size_t n = 700 * 1024 + 13;
  char *bytes = base_alloc(n);
  struct case_file f;
  struct case_document d;
  for (size_t i = 0; i < n; i++) bytes[i] = (char)(i * 7919 >> 3);
  memcpy(bytes, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
  must(cases_document_put(k->cases, &k->ali, bytes, n, NULL, &d, err));
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM document_chunk WHERE sha256=?1", d.sha256), 3);
  must(cases_document_get(k->cases, &k->ali, d.id, &f, err));
  assert_int_equal(f.size, n);
  assert_memory_equal(f.data, bytes, n);
  assert_string_equal(f.media_type, "image/png");
  assert_string_equal(f.name, "document.png");
  free(f.data);
  free(bytes);
}

/* What no case names goes after its days, unless a draft of its owner does; equal bytes stay while anybody has them. */
static void unnamed_documents_expire(void **state) {
  struct kit *k = *state;
  struct actor other = kit_person(k, 5);
  kit_now("2026-06-06");
  struct case_document drafted = put(k, &k->ali, "%PDF-1.4 in a draft"), alone = put(k, &k->ali, "%PDF-1.4 named by nobody"), twin = put(k, &k->ali, pdf_bytes),
                       named = put(k, &other, pdf_bytes);
  json_t *draft = json_pack("{s:{s:[s]}}", "data", "paper", drafted.id);
  must(cases_draft_save(k->cases, k->ali.pair, "permit", draft, err));
  json_decref(draft);
  struct kit_filed f = kit_try(k->cases, k->permit, &other, "k", with_paper(k, &other, named.id));
  kit_keep(k, &f);
  kit_now("2026-06-12");
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM document WHERE id<>?1", ""), 4);
  kit_now("2026-06-14");
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM document WHERE id=?1", alone.id) + kit_value(k, "SELECT COUNT(*) FROM document WHERE id=?1", twin.id), 0);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM document_chunk WHERE sha256=?1", alone.sha256), 0);
  denied(get(k, &k->officer, named.id), 0);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM document WHERE id=?1", drafted.id), 1);
  must(cases_draft_drop(k->cases, k->ali.pair, "permit", err));
  kit_now("2026-06-15");
  kit_jobs(k);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM document WHERE id<>?1", ""), 1);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM document_chunk WHERE sha256<>?1", named.sha256), 0);
}

static int scanned;
static int scan(void *ctx, const void *p, size_t n, char found[80], struct err *e) {
  scanned++;
  snprintf(found, 80, "%s", "Test");
  return n > 8 && memcmp(p, "%PDF-1.9", 8) == 0 ? 1 : n > 8 && memcmp(p, "%PDF-1.8", 8) == 0 ? err_set(e, ERR_UNAVAILABLE, "away") : 0;
}

static void nothing_is_kept_unscanned(void **state) {
  struct kit *k = *state;
  struct cases_options o = {.secret = kit_secret, .node = "two", .identity = k->identity, .scan = scan};
  struct case_document d;
  struct cases *c;
  scanned = 0;
  must(cases_open(k->store, k->trust, k->pack, &o, &c, err));
  must(cases_document_put(c, &k->ali, "%PDF-1.4 good", 13, NULL, &d, err));
  assert_null(d.detail);
  refused(cases_document_put(c, &k->ali, "%PDF-1.9 bad ", 13, NULL, &d, err), ERR_INVALID);
  assert_string_equal(d.detail, "case.document_infected");
  refused(cases_document_put(c, &k->ali, "%PDF-1.8 away", 13, NULL, &d, err), ERR_UNAVAILABLE);
  assert_string_equal(d.detail, "case.document_unscanned");
  assert_int_equal(scanned, 3);
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM document WHERE id<>?1", ""), 1);
  cases_close(c);
}

static int64_t left_of(struct kit *k, const char *t) {
  return kit_value(k, "SELECT COUNT(*) FROM cases WHERE tracking=?1 AND (mobile||applicant||pair||beneficiary<>'' OR data IS NOT NULL OR first_payload IS NOT NULL OR first_salt IS NOT NULL)", t) +
         kit_value(k, "SELECT COUNT(*) FROM case_event WHERE tracking=?1 AND action<>'erase' AND (payload IS NOT NULL OR salt IS NOT NULL)", t) +
         kit_value(k, "SELECT COUNT(*) FROM case_person WHERE tracking=?1", t) + kit_value(k, "SELECT COUNT(*) FROM case_term WHERE tracking=?1", t) +
         kit_value(k, "SELECT COUNT(*) FROM document WHERE tracking=?1", t);
}

static void erased_after_its_years(void **state) {
  struct kit *k = *state;
  struct actor other = kit_person(k, 5), crew = kit_staff("digger", "crew", ROLE_OFFICER), there = kit_staff("rec", "records", ROLE_OFFICER);
  struct case_document mine = put(k, &k->ali, pdf_bytes), theirs = put(k, &other, pdf_bytes), alone = put(k, &k->ali, "%PDF-1.5 only here");
  json_t *data = with_paper(k, &k->ali, mine.id);
  json_array_append_new(json_object_get(data, "paper"), json_string(alone.id));
  json_put(data, "child", "0643005846");
  struct kit_filed f = kit_try(k->cases, k->permit, &k->ali, "k", data), g = kit_try(k->cases, k->permit, &other, "k", with_paper(k, &other, theirs.id));
  const char *t = kit_keep(k, &f), *u = kit_keep(k, &g);
  /* Asked, answered, asked of the citizen who corrects the name, transferred, refused. */
  acts(kit_act(k, t, &k->officer, "inquire", NULL));
  kit_jobs(k);
  const char *known = kit_child(k, t, "known"), *local = kit_child(k, t, "local");
  acts(kit_acts(k->cases, known, &there, "reply", "a word about Ali", "{\"answer\":\"agree\"}", -1, NULL, NULL));
  kit_jobs(k);
  acts(kit_act(k, t, &k->officer, "request_info", "why"));
  acts(kit_acts(k->cases, t, &k->ali, "provide_info", NULL, "{\"answer\":\"here\",\"name\":\"نام دیگر\"}", -1, NULL, NULL));
  there = kit_staff("upp", "upper", ROLE_OFFICER);
  acts(kit_acts(k->cases, local, &there, "reply", NULL, "{\"answer\":\"agree\"}", -1, NULL, NULL));
  kit_later(6000);
  kit_jobs(k);
  state_is(k, t, "submitted");
  acts(kit_acts(k->cases, t, &k->officer, "transfer", "why", "{\"to\":\"crew\"}", -1, NULL, NULL));
  acts(kit_act(k, t, &crew, "reject", "why"));
  must(kit_rate(k->cases, &k->ali, t, 1, NULL, "bad", err));
  acts(kit_act(k, u, &other, "withdraw", NULL));
  assert_true(left_of(k, t) > 5);
  assert_true(kit_value(k, "SELECT COUNT(*) FROM case_term WHERE organisation='centre' AND tracking=?1", t) > 0);
  kit_verified(k);
  /* A withdrawn one after a year, a refused one after three. */
  kit_now("2027-06-06");
  kit_jobs(k);
  assert_int_equal(kit_events(k, u, "erase"), 0);
  kit_until(k, "2027-06-09");
  assert_int_equal(kit_events(k, u, "erase"), 1);
  assert_int_equal(left_of(k, u), 0);
  assert_int_equal(kit_events(k, t, "erase"), 0);
  denied(get(k, &k->ali, mine.id), 0); /* the same bytes in another's case stay */
  kit_now("2029-06-05");
  kit_jobs(k);
  assert_int_equal(kit_events(k, t, "erase"), 0);
  kit_until(k, "2029-06-11");
  assert_int_equal(kit_events(k, t, "erase"), 1);
  const char *gone[] = {t, known, local};
  for (size_t i = 0; i < BASE_COUNT(gone); i++)
    if (left_of(k, gone[i])) fail_msg("%d of %s is left", (int)left_of(k, gone[i]), i ? kit_row(k, gone[i]).inquiry : "the case");
  assert_int_equal(kit_value(k, "SELECT COUNT(*) FROM document_chunk WHERE sha256<>?1", ""), 0);
  json_t *o;
  must(cases_mine(k->cases, &k->ali, NULL, 0, LANG_EN, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "items")), 0);
  json_decref(o);
  must(cases_of_mobile(k->cases, k->ali.mobile, 5, LANG_EN, &o, err));
  assert_int_equal(json_array_size(json_object_get(o, "items")), 0);
  json_decref(o);
  o = kit_get(k, &crew, t);
  char *text = json_dumps(o, 0);
  if (strstr(text, "0499370899") || strstr(text, "سفال") || strstr(text, "دیگر")) fail_msg("%s", text);
  free(text);
  json_decref(o);
  must(cases_events(k->cases, &crew, t, 0, 500, LANG_EN, &o, NULL, err));
  text = json_dumps(o, 0);
  assert_null(strstr(text, "\"bad\"")); /* the comment, not three digits of a hash */
  free(text);
  json_decref(o);
  /* The ledger verifies by what is left: erased is told from lost. */
  unsigned char digest[TRUST_HASH];
  assert_int_equal(cases_leaf_digest(k->cases, kit_row(k, t).first.header, digest), 1);
  assert_int_equal(cases_leaf_digest(k->cases, kit_row(k, known).first.header, digest), 1);
  assert_int_equal(cases_leaf_digest(k->cases, "{\"kind\":\"case\",\"case\":\"1234567812345670\",\"seq\":1}", digest), -1);
  kit_verified(k);
  /* What is erased stays so: nobody opens it again, rates it or adds to it. */
  denied(kit_act(k, t, &k->supervisor, "reopen", NULL), ERR_NOT_FOUND);
  struct actor chief = kit_staff("chief", "crew", ROLE_SUPERVISOR);
  denied(kit_act(k, t, &chief, "reopen", NULL), ERR_CONFLICT);
  struct err e = {0};
  assert_int_equal(kit_rate(k->cases, &k->ali, u, 3, NULL, "more", &e), -1);
  assert_int_equal(left_of(k, u), 0);
  kit_until(k, "2029-07-01");
  kit_verified(k);
}

static void what_is_to_be_kept_is_kept(void **state) {
  struct kit *k = *state;
  const char *t = kit_permit(k, &k->ali, "person");
  acts(kit_act(k, t, &k->officer, "approve", NULL));
  acts(kit_act(k, t, &k->officer2, "approve", NULL));
  kit_jobs(k);
  assert_int_equal(kit_row(k, t).next_ord, NO_ORD);
  kit_now("2046-06-06");
  kit_jobs(k);
  assert_int_equal(kit_events(k, t, "erase"), 0);
  assert_true(left_of(k, t) > 0);
}

static void an_appeal_puts_erasure_off(void **state) {
  struct kit *k = *state;
  struct actor other = kit_person(k, 5);
  const char *t = kit_repair(k, &other, "9901012001000001"), *open = kit_permit(k, &k->ali, "person");
  struct actor crew = kit_staff("digger", "crew", ROLE_OFFICER);
  acts(kit_act(k, t, &crew, "repair", NULL));
  kit_now("2027-06-05");
  acts(kit_act(k, t, &other, "reopen", NULL));
  kit_now("2027-09-01");
  kit_jobs(k);
  assert_int_equal(kit_events(k, t, "erase"), 0);
  acts(kit_act(k, t, &crew, "repair", NULL));
  kit_now("2028-08-20");
  kit_jobs(k);
  assert_int_equal(kit_events(k, t, "erase"), 0);
  kit_until(k, "2028-09-09");
  assert_int_equal(kit_events(k, t, "erase"), 1);
  assert_int_equal(left_of(k, t), 0);
  assert_int_equal(kit_events(k, open, "erase"), 0); /* what is open is never erased */
  kit_verified(k);
}

/* An erasure that began before the same bytes were sent again must not take them away (PostgreSQL: each sees the past). */
static void bytes_sent_again_outlive_an_erasure(void **state) {
  struct kit *k = *state;
  if (kit_postgres == NULL) skip();
  struct case_document first = put(k, &k->ali, pdf_bytes);
  PGconn *c = PQconnectdb(kit_postgres);
  PQclear(PQexec(c, "BEGIN ISOLATION LEVEL REPEATABLE READ"));
  PQclear(PQexec(c, "SELECT COUNT(*) FROM document"));
  struct actor other = kit_person(k, 5);
  struct case_document again = put(k, &other, pdf_bytes);
  assert_string_equal(again.sha256, first.sha256);
  PGresult *r = PQexec(c, "DELETE FROM document_chunk");
  assert_int_equal(PQresultStatus(r), PGRES_FATAL_ERROR);
  assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "40001");
  PQclear(r);
  PQfinish(c);
  denied(get(k, &other, again.id), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    KIT_TEST(a_document_is_its_senders_then_its_cases), KIT_TEST(a_long_document_comes_back_whole), KIT_TEST(unnamed_documents_expire),
    KIT_TEST(nothing_is_kept_unscanned), KIT_TEST(erased_after_its_years),
    KIT_TEST(what_is_to_be_kept_is_kept), KIT_TEST(an_appeal_puts_erasure_off), KIT_TEST(bytes_sent_again_outlive_an_erasure),
  };
  KIT_RUN(tests);
}
