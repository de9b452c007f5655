/* Certificates: for those whose they are, for the office, and the page where anybody has one told genuine. */
#include "channels/web/inside.h"

#include <stdlib.h>
#include <string.h>

/* Before the server starts: a text that cannot be read is told then. */
int web_check_papers(struct web_context *c, struct err *err) {
  const struct pack *p = cases_pack(c->cases);
  for (size_t i = 0; i < pack_versions(p); i++) {
    const struct service *s = pack_version(p, i);
    if (!s->certificate.present) continue;
    struct template_set *set = template_new();
    int rc = template_add(set, "fa", s->certificate.body.fa, err) || template_add(set, "en", s->certificate.body.en, err) ||
             template_add(set, "number", s->certificate.number ? s->certificate.number : "{{tracking}}", err);
    template_free(set);
    if (rc) return -1;
  }
  return 0;
}

static const char *tracking_of(struct http_req *r) {
  char code[32];
  const char *typed = http_param(r, "tracking");
  if (typed && identifier_parse(IDENT_TRACKING, typed, code) == 0) return arena_strdup(http_arena(r), code);
  not_found(r);
  return NULL;
}

/* What is shown of a certificate, whoever looks: one row of certificates_of or an answer of certificates_check. */
static void put_paper(struct http_req *r, json_t *o, const json_t *one) {
  static const char *const good[] = {"valid"}, *const bad[] = {"revoked", "altered", "unknown"};
  const char *status = json_str(one, "status");
  bool is_good = base_same(status, good[0]), is_bad = false;
  for (size_t i = 0; i < BASE_COUNT(bad); i++) is_bad = is_bad || base_same(status, bad[i]);
  put(o, "status", say(r, arena_printf(http_arena(r), "verify_s_%s", status)));
  put(o, "sentence", json_str(one, "sentence"));
  put_flag(o, "is_good", is_good);
  put_flag(o, "is_bad", is_bad);
  put_flag(o, "is_wait", !is_good && !is_bad);
  put(o, "code", json_str(one, "code_shown"));
  put(o, "number", local(r, json_str(one, "number")));
  put(o, "issued", show_iso_day(r, json_str(one, "issued_on")));
  put(o, "until", show_iso_day(r, json_str(one, "valid_until")));
  put(o, "ended", show_iso_day(r, json_str(one, "ended_on")));
  put(o, "reason", json_str(one, "reason_text"));
}

/* ---- of a case ---- */

static json_t *reasons_json(struct http_req *r, bool revoke) {
#define X(code) code,
  static const char *const revokes[] = {CERTIFICATE_REVOKE_REASONS(X)}, *const reissues[] = {CERTIFICATE_REISSUE_REASONS(X)};
#undef X
  json_t *list = json_array();
  size_t count = revoke ? BASE_COUNT(revokes) : BASE_COUNT(reissues);
  for (size_t i = 0; i < count; i++) {
    json_t *o = json_object();
    const char *code = revoke ? revokes[i] : reissues[i];
    put(o, "value", code);
    put(o, "label", word(http_lang(r), arena_printf(http_arena(r), "certificate.reason_%s", code)));
    json_array_append_new(list, o);
  }
  return list;
}

static void put_earlier(struct http_req *r, json_t *page, const char *tracking, const json_t *items) {
  json_t *list = json_array();
  const json_t *one;
  size_t i;
  json_array_foreach(items, i, one) {
    if (i == 0) continue;
    json_t *o = json_object();
    put_paper(r, o, one);
    put(o, "href", json_is_null(json_object_get(one, "size")) ? NULL : arena_printf(http_arena(r), "/cases/%s/certificate/file?issue=%lld", tracking, (long long)json_int(one, "issue", 0)));
    json_array_append_new(list, o);
  }
  put_list(page, "earlier", list);
}

static void show_papers(struct http_req *r, const char *tracking, const json_t *out, const char *wrong, bool revoke, int status) {
  const json_t *items = json_object_get(out, "items"), *newest = json_array_get(items, 0);
  const char *address = json_str(newest, "address");
  json_t *page = page_new(web_of(r), r, json_str(out, "title"), true);
  crumb(page, arena_printf(http_arena(r), "/cases/%s", tracking), say(r, "case"));
  put_paper(r, page, newest);
  put(page, "tracking", tracking);
  put(page, "tracking_code", show_code(r, tracking));
  put(page, "text", json_str(out, "text"));
  bool whole = !base_same(json_str(out, "right"), "helpdesk"), gone = json_is_null(json_object_get(newest, "size"));
  put_flag(page, "gone", gone);
  put(page, "href", whole && !gone ? arena_printf(http_arena(r), "/cases/%s/certificate/file", tracking) : NULL);
  put(page, "address", address);
  json_t *qr = qr_json(address ? address : "");
  json_object_set_new(page, "qr", qr ? qr : json_null());
  put_flag(page, "is_mine", base_same(json_str(out, "right"), "citizen"));
  put_flag(page, "may_change", json_flag(out, "may_change", false));
  put(page, "issue", arena_printf(http_arena(r), "%lld", (long long)json_int(newest, "issue", 0)));
  put_list(page, "reissue_reasons", reasons_json(r, false));
  put_list(page, "revoke_reasons", reasons_json(r, true));
  put(page, "reissue_wrong", revoke ? NULL : wrong);
  put(page, "revoke_wrong", revoke ? wrong : NULL);
  if (wrong) fault(page, revoke ? "#revoke-reason" : "#reissue-reason", wrong);
  put_flag(page, "changed", http_query(r, "changed") != NULL);
  put_earlier(r, page, tracking, items);
  page_reply(web_of(r), r, status, "certificate", page);
}

static int open_papers(struct http_req *r, const char *tracking, json_t **out) {
  struct err err;
  int rc = certificates_of(web_of(r)->certificates, web_actor(r), tracking, http_lang(r), out, &err);
  const char *right = rc ? NULL : json_str(*out, "right");
  if (rc == 0 && strcmp(right, "citizen") != 0 && (rc = cases_look(web_of(r)->cases, web_actor(r), tracking, right, NULL, NULL, &err))) json_decref(*out);
  if (rc) web_error(r, &err);
  return rc;
}

static void get_papers(struct http_req *r) {
  const char *tracking = tracking_of(r);
  json_t *out = NULL;
  if (!tracking || open_papers(r, tracking, &out)) return;
  show_papers(r, tracking, out, NULL, false, 200);
  json_decref(out);
}

static void get_file(struct http_req *r) {
  const char *tracking = tracking_of(r), *typed = http_query(r, "issue");
  char *pdf, name[64];
  size_t n;
  int64_t issue = 0;
  struct err err;
  if (!tracking) return;
  if (typed && (parse_i64(typed, &issue) || issue < 1)) return not_found(r);
  if (certificates_file(web_of(r)->certificates, web_actor(r), tracking, issue, &pdf, &n, name, &err)) return web_error(r, &err);
  http_reply_header(r, "Content-Disposition", arena_printf(http_arena(r), "attachment; filename=\"%s\"", name));
  http_reply_take(r, 200, "application/pdf", pdf, n);
}

static void change(struct http_req *r, bool revoke) {
  const char *tracking = tracking_of(r), *typed = http_form_value(r, "issue"), *comment = http_form_value(r, "comment");
  struct certificate_change k = {.tracking = tracking, .revoke = revoke, .reason = http_form_value(r, "reason"), .lang = http_lang(r)};
  struct err err;
  json_t *out = NULL;
  if (!tracking || http_replied(r)) return;
  if (!typed || parse_i64(typed, &k.issue)) return http_problem_code(r, ERR_MALFORMED, NULL);
  if (comment && comment[0] && !(k.comment = text_repair(http_arena(r), comment))) return http_problem_code(r, ERR_MALFORMED, NULL);
  int rc = certificates_change(web_of(r)->certificates, web_actor(r), &k, &err);
  const char *detail = k.detail ? word(http_lang(r), k.detail) : NULL;
  json_decref(k.errors);
  if (rc == 0) return http_redirect(r, 303, arena_printf(http_arena(r), "/cases/%s/certificate?changed=1", tracking));
  if (err.code != ERR_INVALID) return http_problem(r, &err, detail, NULL);
  if (open_papers(r, tracking, &out)) return;
  show_papers(r, tracking, out, detail, revoke, 422);
  json_decref(out);
}

static void post_reissue(struct http_req *r) { change(r, false); }
static void post_revoke(struct http_req *r) { change(r, true); }

/* ---- for everybody ---- */

static bool too_often(struct http_req *r) {
  if (identity_limit(web_of(r)->identity, "certificate", http_peer(r), 60, 60)) return false;
  http_problem_code(r, ERR_RATE, NULL);
  return true;
}

static void show_form(struct http_req *r, const char *typed, const char *code_error, const char *file_error) {
  json_t *page = page_new(web_of(r), r, say(r, "verify_title"), false);
  crumb(page, "/", say(r, "home"));
  put(page, "code", typed);
  put(page, "code_error", code_error);
  put(page, "file_error", file_error);
  if (code_error) fault(page, "#code", code_error);
  if (file_error) fault(page, "#file", file_error);
  page_reply(web_of(r), r, code_error || file_error ? 422 : 200, "verify", page);
}

static void show_answer(struct http_req *r, json_t *out) {
  json_t *page = page_new(web_of(r), r, say(r, "verify_title"), false);
  const char *code = json_str(out, "code");
  crumb(page, "/", say(r, "home"));
  crumb(page, "/verify", say(r, "verify_title"));
  put_paper(r, page, out);
  put_flag(page, "known", code != NULL);
  put_flag(page, "altered", base_same(json_str(out, "file"), "differs"));
  put_flag(page, "same", base_same(json_str(out, "file"), "same"));
  put_flag(page, "compare", code && !json_str(out, "file"));
  put(page, "paper", json_str(out, "title"));
  put(page, "owner", json_str(out, "organisation_name"));
  put(page, "holder", local(r, json_str(out, "holder")));
  put(page, "proof", code && json_object_size(json_object_get(out, "proof")) ? arena_printf(http_arena(r), "/api/v1/certificates/%s", code) : NULL);
  json_decref(out);
  page_reply(web_of(r), r, 200, "verified", page);
}

static void check_code(struct http_req *r, const char *typed) {
  char code[CERTIFICATE_CODE];
  json_t *out = NULL;
  struct err err;
  if (certificate_code_parse(typed, code)) return show_form(r, strlen(typed) <= 40 ? typed : NULL, say(r, "verify_code_wrong"), NULL);
  if (too_often(r)) return;
  if (certificates_check(web_of(r)->certificates, code, http_lang(r), &out, &err)) return web_error(r, &err);
  show_answer(r, out);
}

static void get_verify(struct http_req *r) {
  const char *typed = http_query(r, "code");
  if (typed && typed[0]) check_code(r, typed);
  else show_form(r, NULL, typed ? say(r, "verify_code_wrong") : NULL, NULL);
}

static void get_verify_code(struct http_req *r) { check_code(r, http_param(r, "code")); }

static void post_verify(struct http_req *r) {
  const struct http_field *fields, *file = NULL;
  json_t *out = NULL;
  struct err err;
  size_t n = http_form(r, &fields);
  if (http_replied(r) || too_often(r)) return;
  for (size_t i = 0; i < n; i++)
    if (strcmp(fields[i].name, "file") == 0 && fields[i].size) file = &fields[i];
  if (!file || file->size > CERTIFICATE_FILE_MOST) return show_form(r, NULL, NULL, say(r, "verify_file_wrong"));
  if (certificates_check_file(web_of(r)->certificates, file->value, file->size, NULL, http_lang(r), &out, &err)) return web_error(r, &err);
  show_answer(r, out);
}

const struct http_route web_certificate_rows[] = {
  {"GET", "/cases/{tracking}/certificate", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_papers, "The certificate of an approved case; for supervisors also to issue again and revoke."},
  {"GET", "/cases/{tracking}/certificate/file", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_file, "Its file."},
  {"POST", "/cases/{tracking}/certificate/reissue", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_reissue, "A new one in its place."},
  {"POST", "/cases/{tracking}/certificate/revoke", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_revoke, "Revoke it."},
  {"GET", "/verify", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_verify, "Is a certificate genuine: by its code or its file."},
  {"GET", "/verify/{code}", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_verify_code, "Where the QR code of a certificate leads."},
  {"POST", "/verify", HTTP_WORKER, PERMIT_ALL, HTTP_OPEN, CERTIFICATE_FILE_MOST + 64 * 1024, post_verify, "Is a file a certificate that was issued; it is not kept."},
};
const size_t web_certificate_count = BASE_COUNT(web_certificate_rows);
