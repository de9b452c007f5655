/* Certificates: their files for those whose they are, and whether they are genuine for everybody. */
#include "channels/api/inside.h"

#include <stdlib.h>
#include <string.h>

static void get_file(struct http_req *r) {
  const char *tracking = api_tracking(r), *typed = http_query(r, "issue");
  char *pdf, name[64];
  size_t n;
  int64_t issue = 0;
  struct err err;
  if (!tracking) return;
  if (typed && (parse_i64(typed, &issue) || issue < 1)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (certificates_file(api_of(r)->certificates, api_actor(r), tracking, issue, &pdf, &n, name, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_header(r, "Content-Disposition", arena_printf(http_arena(r), "inline; filename=\"%s\"", name));
  http_reply_take(r, 200, "application/pdf", pdf, n);
}

/* The look is on record before it is answered. */
static void get_list(struct http_req *r) {
  const char *tracking = api_tracking(r), *right;
  json_t *out = NULL;
  struct err err;
  if (!tracking) return;
  int rc = certificates_of(api_of(r)->certificates, api_actor(r), tracking, http_lang(r), &out, &err);
  right = rc ? NULL : json_str(out, "right");
  if (rc == 0 && strcmp(right, "citizen") != 0 && (rc = cases_look(api_of(r)->cases, api_actor(r), tracking, right, NULL, NULL, &err))) json_decref(out);
  api_list(r, rc, &out, &err);
}

static void change(struct http_req *r, bool revoke) {
  const char *tracking = api_tracking(r), *wrong = NULL;
  json_t *body = tracking ? http_json(r) : NULL;
  struct err err;
  if (!body) return;
  if (!json_is_object(body)) return http_problem_code(r, ERR_MALFORMED, NULL);
  const json_t *issue = json_object_get(body, "issue");
  struct certificate_change k = {.tracking = tracking, .revoke = revoke, .lang = http_lang(r), .reason = api_text(body, "reason", &wrong), .comment = api_text(body, "comment", &wrong)};
  if (wrong) return api_fault(r, wrong, "type", "api.required");
  if (!json_is_integer(issue)) return api_fault(r, "issue", "required", "api.required");
  if (k.comment && !(k.comment = text_repair(http_arena(r), k.comment))) return http_problem_code(r, ERR_LIMIT, NULL);
  k.issue = json_integer_value(issue);
  if (certificates_change(api_of(r)->certificates, api_actor(r), &k, &err)) return api_error(r, &err, k.detail, k.errors);
  json_t *out = NULL;
  int rc = certificates_of(api_of(r)->certificates, api_actor(r), tracking, http_lang(r), &out, &err);
  api_list(r, rc, &out, &err);
}

static void post_reissue(struct http_req *r) { change(r, false); }
static void post_revoke(struct http_req *r) { change(r, true); }

/* ---- for everybody ---- */

static bool too_often(struct http_req *r) {
  if (identity_limit(api_of(r)->identity, "certificate", http_peer(r), 60, 60)) return false;
  http_problem_code(r, ERR_RATE, NULL);
  return true;
}

static void get_check(struct http_req *r) {
  json_t *out = NULL;
  struct err err;
  if (too_often(r)) return;
  if (certificates_check(api_of(r)->certificates, http_param(r, "code"), http_lang(r), &out, &err)) return api_error(r, &err, NULL, NULL);
  if (!base_same(json_str(out, "status"), "unknown")) return http_reply_json(r, 200, out);
  json_decref(out);
  http_problem_code(r, ERR_NOT_FOUND, word(http_lang(r), "certificate.is_unknown"));
}

static void post_check(struct http_req *r) {
  const struct http_field *fields, *file = NULL;
  const char *code = NULL;
  json_t *out = NULL;
  struct err err;
  if (too_often(r)) return;
  size_t n = http_form(r, &fields);
  if (http_replied(r)) return;
  for (size_t i = 0; i < n; i++) {
    if (strcmp(fields[i].name, "file") == 0 && fields[i].size) file = &fields[i];
    if (strcmp(fields[i].name, "code") == 0 && fields[i].size && strlen(fields[i].value) == fields[i].size) code = fields[i].value;
  }
  if (!file && !code) return api_fault(r, "file", "required", "api.certificate_file");
  struct certificates *g = api_of(r)->certificates;
  int rc = file ? certificates_check_file(g, file->value, file->size, code, http_lang(r), &out, &err) : certificates_check(g, code, http_lang(r), &out, &err);
  if (rc) return api_error(r, &err, err.code == ERR_TOO_LARGE ? "api.certificate_file" : NULL, NULL);
  http_reply_json(r, 200, out);
}

const struct http_route api_certificate_rows[] = {
  {"GET", "/api/v1/cases/{tracking}/certificate", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_file, "The certificate as PDF; ?issue= an earlier one. A look of an office is recorded."},
  {"GET", "/api/v1/cases/{tracking}/certificates", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_list, "The certificates of a case, newest first."},
  {"POST", "/api/v1/cases/{tracking}/certificate/reissue", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 16 * 1024, post_reissue, "A new certificate in place of the one that was lost or is wrong."},
  {"POST", "/api/v1/cases/{tracking}/certificate/revoke", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 16 * 1024, post_revoke, "Revoke a certificate, with a reason."},
  {"GET", "/api/v1/certificates/{code}", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_check, "Is a certificate genuine and valid: by its code."},
  {"POST", "/api/v1/certificates/verify", HTTP_WORKER, PERMIT_ALL, HTTP_OPEN, CERTIFICATE_FILE_MOST + 16 * 1024, post_check, "The same by its file; the file is not kept."},
};
const size_t api_certificate_count = BASE_COUNT(api_certificate_rows);
