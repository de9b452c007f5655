/* Letters of cases for programs: drafts, initials, signatures, sheets; and the printed folder. */
#include "channels/api/inside.h"

#include <stdlib.h>
#include <string.h>

/* A look of an office is on record before anything is shown. 0, or -1 after replying. */
static int look_first(struct http_req *r, const char *tracking, const char *right) {
  struct err err;
  if (right && strcmp(right, "citizen") != 0 && cases_look(api_of(r)->cases, api_actor(r), tracking, right, NULL, NULL, &err)) {
    api_error(r, &err, NULL, NULL);
    return -1;
  }
  return 0;
}

static const char *case_address(struct http_req *r, const char *tracking) {
  const char *base = api_of(r)->base_url, *host = http_header(r, "Host");
  bool sound = host && host[0] && strlen(host) < 256 && strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") == strlen(host);
  if (base && base[0]) return arena_printf(http_arena(r), "%s/cases/%s", base, tracking);
  return arena_printf(http_arena(r), "http://%s/cases/%s", sound ? host : "localhost", tracking);
}

static void get_letters(struct http_req *r) {
  const char *tracking = api_tracking(r);
  json_t *items = NULL;
  struct err err;
  if (!tracking) return;
  if (cases_letters(api_of(r)->cases, api_actor(r), tracking, http_lang(r), &items, &err)) return api_error(r, &err, NULL, NULL);
  if (look_first(r, tracking, api_actor(r)->kind == ACTOR_STAFF ? "staff" : NULL)) json_decref(items);
  else http_reply_json(r, 200, json_pack("{s:o}", "items", items));
}

/* The letter of the path, looked at; NULL after replying. */
static json_t *letter_of(struct http_req *r, const char *tracking) {
  json_t *letter = NULL;
  const char *right;
  struct err err;
  if (cases_letter_get(api_of(r)->cases, api_actor(r), tracking, http_param(r, "letter"), http_lang(r), &letter, &right, &err)) {
    api_error(r, &err, NULL, NULL);
    return NULL;
  }
  if (look_first(r, json_str(letter, "tracking"), right) == 0) return letter;
  json_decref(letter);
  return NULL;
}

static void show_letter(struct http_req *r, const char *tracking) {
  json_t *letter = letter_of(r, tracking);
  if (letter) http_reply_json(r, 200, letter);
}

static void reply_pdf(struct http_req *r, int rc, void *pdf, size_t n, const char *name, const struct err *err) {
  if (rc) return api_error(r, err, NULL, NULL);
  http_reply_header(r, "Content-Disposition", arena_printf(http_arena(r), "inline; filename=\"%s.pdf\"", name));
  http_reply_take(r, 200, "application/pdf", pdf, n);
}

static void show_pdf(struct http_req *r, const char *tracking) {
  json_t *letter = letter_of(r, tracking);
  void *pdf = NULL;
  size_t n = 0;
  struct err err;
  if (!letter) return;
  int rc = cases_letter_pdf(api_of(r)->cases, letter, case_address(r, json_str(letter, "tracking")), http_lang(r), &pdf, &n, &err);
  reply_pdf(r, rc, pdf, n, "letter", &err);
  json_decref(letter);
}

static void get_letter(struct http_req *r) {
  const char *tracking = api_tracking(r);
  if (tracking) show_letter(r, tracking);
}

static void get_pdf(struct http_req *r) {
  const char *tracking = api_tracking(r);
  if (tracking) show_pdf(r, tracking);
}

static void get_received(struct http_req *r) { show_letter(r, NULL); }
static void get_received_pdf(struct http_req *r) { show_pdf(r, NULL); }

static void get_queue(struct http_req *r) {
  const char *organisation = http_query(r, "organisation");
  json_t *out = NULL;
  struct err err;
  if (!organisation) organisation = api_actor(r)->role_count ? api_actor(r)->roles[0].organisation : "";
  api_list(r, cases_letter_queue(api_of(r)->cases, api_actor(r), organisation, http_lang(r), &out, &err), &out, &err);
}

/* Only these members; each a string, but paraph and expected_revision. 0, or -1 after replying. */
static int check_body(struct http_req *r, json_t *body) {
  static const char *const texts[] = {"template", "subject", "body", "attachments", "to", "sign", "comment"};
  const char *name;
  json_t *v;
  json_object_foreach(body, name, v) {
    bool known = strcmp(name, "paraph") == 0 || strcmp(name, "expected_revision") == 0, text = false;
    for (size_t i = 0; i < BASE_COUNT(texts); i++) text = text || strcmp(name, texts[i]) == 0;
    bool fits = text ? json_is_string(v) : strcmp(name, "paraph") == 0 ? json_is_array(v) : json_is_integer(v);
    if ((known || text) && (fits || json_is_null(v))) continue;
    api_fault(r, name, known || text ? "type" : "unknown", known || text ? "api.type" : "api.unknown_member");
    return -1;
  }
  return 0;
}

static void take_step(struct http_req *r, struct letter_step *s, json_t *body, int status) {
  struct err err;
  s->data = body;
  s->actor = *api_actor(r);
  s->lang = http_lang(r);
  if (cases_letter(api_of(r)->cases, s, &err)) return api_error(r, &err, s->detail, s->errors);
  json_t *o = json_pack("{s:s,s:I}", "id", s->id, "revision", (json_int_t)s->revision);
  json_put(o, "number", s->number[0] ? s->number : NULL);
  http_reply_json(r, status, o);
}

static void post_letter(struct http_req *r) {
  const char *tracking = api_tracking(r), *key = http_header(r, "Idempotency-Key");
  struct letter_step s = {.step = "draft", .key = key};
  if (!tracking) return;
  if (!key || !key[0] || strlen(key) > 200) return http_problem_code(r, ERR_MALFORMED, word(http_lang(r), "api.idempotency"));
  json_t *body = http_json(r);
  if (!body || check_body(r, body)) return;
  snprintf(s.tracking, sizeof s.tracking, "%s", tracking);
  s.template = json_str(body, "template");
  take_step(r, &s, body, 201);
}

static void post_step(struct http_req *r) {
  const char *tracking = api_tracking(r);
  struct letter_step s = {.letter = http_param(r, "letter"), .step = http_param(r, "step")};
  json_t *body = tracking ? http_json(r) : NULL;
  if (!body || check_body(r, body)) return;
  if (base_same(s.step, "draft")) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (!json_is_integer(json_object_get(body, "expected_revision"))) return api_fault(r, "expected_revision", "required", "api.expected_revision");
  s.expected_revision = json_int(body, "expected_revision", 0);
  snprintf(s.tracking, sizeof s.tracking, "%s", tracking);
  take_step(r, &s, body, 200);
}

static void get_folder(struct http_req *r) {
  const char *tracking = api_tracking(r), *remarks = http_query(r, "remarks");
  json_t *view = NULL;
  void *pdf = NULL;
  size_t n = 0;
  struct err err;
  if (!tracking) return;
  if (cases_get(api_of(r)->cases, api_actor(r), tracking, http_lang(r), &view, &err)) return api_error(r, &err, NULL, NULL);
  const char *right = json_str(view, "right");
  bool may = base_same(right, "staff") || base_same(right, "auditor");
  if (!may) http_problem_code(r, right ? ERR_FORBIDDEN : ERR_NOT_FOUND, NULL);
  else if (look_first(r, tracking, right) == 0) {
    int rc = cases_folder_pdf(api_of(r)->cases, api_actor(r), view, base_same(remarks, "true") || base_same(remarks, "1"), case_address(r, tracking), http_lang(r), &pdf, &n, &err);
    reply_pdf(r, rc, pdf, n, tracking, &err);
  }
  json_decref(view);
}

const struct http_route api_letter_rows[] = {
  {"GET", "/api/v1/cases/{tracking}/letters", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_letters, "Letters of a case; its citizen's are those sent to them."},
  {"POST", "/api/v1/cases/{tracking}/letters", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 64 * 1024, post_letter, "Draft a letter, from a template or as free text."},
  {"GET", "/api/v1/cases/{tracking}/letters/{letter}", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_letter, "One letter of a case."},
  {"GET", "/api/v1/cases/{tracking}/letters/{letter}/pdf", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_pdf, "A letter as a sheet of paper."},
  {"POST", "/api/v1/cases/{tracking}/letters/{letter}/steps/{step}", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 64 * 1024, post_step,
   "Edit a letter, hand it on, initial, return, sign, send or drop it."},
  {"GET", "/api/v1/cases/{tracking}/folder", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_folder, "The whole case as one PDF, for the archive or a court."},
  {"GET", "/api/v1/desk/letters", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_queue, "Letters that wait for one's initials or signature, and those received."},
  {"GET", "/api/v1/desk/letters/{letter}", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_received, "A letter that was sent to one's organisation."},
  {"GET", "/api/v1/desk/letters/{letter}/pdf", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_received_pdf, "The same as a sheet of paper."},
};
const size_t api_letter_count = BASE_COUNT(api_letter_rows);
