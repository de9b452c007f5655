#include "channels/api/inside.h"

#include <stdlib.h>
#include <string.h>

/* ---- one case ---- */

struct looking {
  struct http_req *req;
  int rc;
  struct err err;
  json_t *view;
};

static void looked(void *arg, int rc, const struct err *err) {
  struct looking *k = arg;
  k->rc = rc;
  if (err) k->err = *err;
  http_resume(k->req);
}

static void looking_over(void *arg) {
  struct looking *k = arg;
  json_decref(k->view);
}

static void show_looked(struct http_req *r) {
  struct looking *k = http_data(r);
  if (k->rc) return api_error(r, &k->err, NULL, NULL);
  http_reply_json(r, 200, json_incref(k->view));
}

/* A person of an office sees personal data only after the look is on record. */
static void look_then_show(struct http_req *r, const char *tracking, const char *right, json_t *view) {
  struct looking *k = arena_alloc(http_arena(r), sizeof *k);
  if (!k) {
    json_decref(view);
    return http_problem_code(r, ERR_LIMIT, NULL);
  }
  k->req = r;
  k->view = view;
  http_set_data(r, k, looking_over);
  http_suspend(r, show_looked);
  if (cases_look(api_of(r)->cases, api_actor(r), tracking, right, looked, k, &k->err)) {
    k->rc = -1;
    http_resume(r);
  }
}

static void show_public(struct http_req *r, char *body, size_t n, const char *etag) {
  if (http_not_modified(r, etag, "no-cache")) free(body);
  else http_reply_take(r, 200, "application/json", body, n);
}

static void get_case_quick(struct http_req *r) {
  char *body, code[32], etag[80];
  size_t n;
  const char *given = http_param(r, "tracking");
  if (identifier_parse(IDENT_TRACKING, given, code) == 0 && cases_public_kept(api_of(r)->cases, code, http_lang(r), &body, &n, etag))
    show_public(r, body, n, etag);
}

static void get_case(struct http_req *r) {
  const char *tracking = api_tracking(r);
  if (!tracking) return;
  struct cases *c = api_of(r)->cases;
  const struct actor *who = api_actor(r);
  struct err err;
  if (who->kind == ACTOR_NOBODY) {
    char *body, etag[80];
    size_t n;
    if (cases_public(c, tracking, http_lang(r), &body, &n, etag, &err)) return api_error(r, &err, NULL, NULL);
    return show_public(r, body, n, etag);
  }
  json_t *view = NULL;
  if (cases_get(c, who, tracking, http_lang(r), &view, &err)) return api_error(r, &err, NULL, NULL);
  const char *right = json_str(view, "right");
  if (right && strcmp(right, "citizen") != 0) return look_then_show(r, tracking, right, view);
  if (http_not_modified(r, json_str(view, "etag"), "private, no-cache")) json_decref(view);
  else http_reply_json(r, 200, view);
}

/* What holds personal data, read as `right`. */
static void show_read(struct http_req *r, const char *tracking, const char *right, json_t *out) {
  if (right && strcmp(right, "citizen") != 0) look_then_show(r, tracking, right, out);
  else http_reply_json(r, 200, out);
}

static void get_events(struct http_req *r) {
  const char *tracking = api_tracking(r), *after = api_after(r), *right = NULL;
  int limit = http_query(r, "limit") ? api_limit(r) : 200;
  int64_t seq = 0;
  json_t *out = NULL;
  struct err err;
  if (!tracking || limit < 0) return;
  if (after && after[0] && (parse_i64(after, &seq) || seq < 0)) return http_problem_code(r, ERR_MALFORMED, word(http_lang(r), "api.after"));
  if (cases_events(api_of(r)->cases, api_actor(r), tracking, seq, limit, http_lang(r), &out, &right, &err)) return api_error(r, &err, NULL, NULL);
  show_read(r, tracking, right, out);
}

static void get_leaf(struct http_req *r) {
  const char *tracking = api_tracking(r), *right = NULL;
  int64_t seq = 0;
  json_t *out = NULL;
  struct err err;
  if (!tracking) return;
  if (parse_i64(http_param(r, "seq"), &seq)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (cases_leaf(api_of(r)->cases, api_actor(r), tracking, seq, &out, &right, &err)) return api_error(r, &err, NULL, NULL);
  show_read(r, tracking, right, out);
}

static void get_receipt(struct http_req *r) {
  const char *tracking = api_tracking(r);
  json_t *out = NULL;
  struct err err;
  if (tracking) api_list(r, cases_receipt(api_of(r)->cases, tracking, &out, &err), &out, &err);
}

/* ---- acting ---- */

struct acting {
  struct http_req *req;
  struct case_act a;
  int rc;
  struct err err;
};

static void acted(void *arg, int rc, const struct err *err) {
  struct acting *k = arg;
  k->rc = rc;
  if (err) k->err = *err;
  http_resume(k->req);
}

static void acting_over(void *arg) {
  struct acting *k = arg;
  json_decref(k->a.errors);
}

static void show_acted(struct http_req *r) {
  struct acting *k = http_data(r);
  json_t *view = NULL;
  if (k->rc) return api_error(r, &k->err, k->err.code == ERR_MALFORMED ? "api.idempotency" : k->a.detail, json_incref(k->a.errors));
  if (cases_get(api_of(r)->cases, api_actor(r), k->a.tracking, http_lang(r), &view, &k->err)) return api_error(r, &k->err, NULL, NULL);
  http_reply_json(r, 200, view);
}

static int read_act(struct http_req *r, struct case_act *a) {
  json_t *body = http_json(r);
  if (!body) return -1;
  static const char *const members[] = {"comment", "reason", "data", "expected_version"};
  const char *name;
  json_t *v;
  json_object_foreach(body, name, v) {
    bool known = false;
    for (size_t i = 0; i < BASE_COUNT(members); i++) known = known || strcmp(name, members[i]) == 0;
    bool fits = strcmp(name, "data") == 0 ? json_is_object(v) : strcmp(name, "expected_version") == 0 ? json_is_integer(v) : json_is_string(v);
    if (known && (fits || json_is_null(v))) continue;
    api_fault(r, name, known ? "type" : "unknown", known ? "api.type" : "api.unknown_member");
    return -1;
  }
  if (!json_is_integer(json_object_get(body, "expected_version"))) {
    api_fault(r, "expected_version", "required", "api.expected_version");
    return -1;
  }
  a->expected_version = json_int(body, "expected_version", 0);
  if (a->expected_version < 0) a->expected_version = 0;
  a->comment = json_str(body, "comment") ? text_repair(http_arena(r), json_str(body, "comment")) : NULL;
  a->reason = json_str(body, "reason");
  a->data = json_object_get(body, "data");
  return 0;
}

static void post_action(struct http_req *r) {
  const char *tracking = api_tracking(r);
  if (!tracking) return;
  struct acting *k = arena_alloc(http_arena(r), sizeof *k);
  if (!k) return http_problem_code(r, ERR_LIMIT, NULL);
  const char *key = http_header(r, "Idempotency-Key");
  k->req = r;
  k->a = (struct case_act){.action = http_param(r, "action"), .key = key && key[0] ? arena_strdup(http_arena(r), key) : NULL, .actor = *api_actor(r), .lang = http_lang(r), .arena = http_arena(r)};
  snprintf(k->a.tracking, sizeof k->a.tracking, "%s", tracking);
  if (read_act(r, &k->a)) return;
  http_set_data(r, k, acting_over);
  http_suspend(r, show_acted);
  if (cases_act(api_of(r)->cases, &k->a, acted, k, &k->err)) {
    k->rc = -1;
    http_resume(r);
  }
}

static void post_rating(struct http_req *r) {
  const char *tracking = api_tracking(r), *wrong = NULL, *name;
  json_t *body = tracking ? http_json(r) : NULL, *v;
  struct err err;
  if (!body) return;
  int64_t score = json_int(body, "score", 0);
  const char *comment = api_text(body, "comment", &wrong);
  json_t *answers = json_object_get(body, "answers");
  json_object_foreach(body, name, v)
    if (strcmp(name, "score") != 0 && strcmp(name, "comment") != 0 && strcmp(name, "answers") != 0) return api_fault(r, name, "unknown", "api.unknown_member");
  if (score < 1 || score > 5) return api_fault(r, "score", "choice", "api.score");
  if (answers && !json_is_object(answers) && !json_is_null(answers)) wrong = "answers";
  if (wrong) return api_fault(r, wrong, "type", "api.type");
  if (comment && strlen(comment) > 2000) return api_fault(r, "comment", "too_long", "api.comment");
  if (comment) comment = text_repair(http_arena(r), comment);
  if (json_is_null(answers)) answers = NULL;
  struct case_rating rating = {.tracking = tracking, .score = (int)score, .answers = answers, .comment = comment};
  if (cases_rate(api_of(r)->cases, api_actor(r), &rating, http_lang(r), &err)) return api_error(r, &err, rating.detail, rating.errors);
  json_t *o = json_object();
  json_put(o, "tracking", tracking);
  json_object_set_new(o, "score", json_integer(score));
  http_reply_json(r, 201, o);
}

/* ---- lists ---- */

/* ?name=true or 1, false or 0; -1 when absent, -2 after replying. */
static int flag(struct http_req *r, const char *name) {
  const char *text = http_query(r, name);
  if (!text || !text[0]) return -1;
  if (strcmp(text, "1") == 0 || strcmp(text, "true") == 0) return 1;
  if (strcmp(text, "0") == 0 || strcmp(text, "false") == 0) return 0;
  api_fault(r, name, "type", "api.flag");
  return -2;
}

static void get_desk(struct http_req *r) {
  const struct actor *who = api_actor(r);
  int limit = api_limit(r), overdue = limit < 0 ? -2 : flag(r, "overdue"), open = overdue < -1 ? -2 : flag(r, "open"), escalated = open < -1 ? -2 : flag(r, "escalated");
  if (escalated < -1) return;
  const char *org = http_query(r, "organisation");
  if (!org && who->role_count) org = who->roles[0].organisation;
  struct case_query q = {.organisation = org ? org : "", .state = http_query(r, "state"), .assignee = http_query(r, "assignee"), .service = http_query(r, "service"),
    .unit = http_query(r, "unit"),
    .q = http_query(r, "q"), .after = api_after(r), .overdue = overdue, .open = open, .escalated = escalated == 1, .limit = limit};
  if (q.assignee && strcmp(q.assignee, "me") == 0) q.assignee = who->username;
  json_t *out = NULL;
  struct err err;
  api_list(r, cases_desk(api_of(r)->cases, who, &q, http_lang(r), &out, &err), &out, &err);
}

static void get_mine(struct http_req *r) {
  json_t *out = NULL;
  struct err err;
  int limit = api_limit(r);
  if (limit > 0) api_list(r, cases_mine(api_of(r)->cases, api_actor(r), api_after(r), limit, http_lang(r), &out, &err), &out, &err);
}

static void get_mandates(struct http_req *r) {
  json_t *out = NULL;
  struct err err;
  api_list(r, cases_mandates(api_of(r)->cases, api_actor(r), http_lang(r), &out, &err), &out, &err);
}

static void get_access(struct http_req *r) {
  json_t *out = NULL;
  struct err err;
  int limit = api_limit(r);
  if (limit > 0) api_list(r, cases_my_access(api_of(r)->cases, api_actor(r), api_after(r), limit, http_lang(r), &out, &err), &out, &err);
}

/* ---- documents ---- */

static void post_document(struct http_req *r) {
  const struct http_field *fields;
  size_t n = http_form(r, &fields);
  struct err err;
  if (!fields) {
    if (!http_replied(r)) http_problem_code(r, ERR_UNSUPPORTED, word(http_lang(r), "api.multipart"));
    return;
  }
  for (size_t i = 0; i < n; i++) {
    struct case_document d;
    if (!fields[i].filename) continue;
    if (cases_document_put(api_of(r)->cases, api_actor(r), fields[i].value, fields[i].size, fields[i].filename, &d, &err))
      return api_error(r, &err, d.detail, NULL);
    http_reply_header(r, "Location", arena_printf(http_arena(r), "/api/v1/documents/%s", d.id));
    return http_reply_json(r, 201, json_pack("{s:s,s:s,s:I,s:s}", "id", d.id, "sha256", d.sha256, "size", (json_int_t)d.size, "media_type", d.media_type));
  }
  http_problem_code(r, ERR_INVALID, word(http_lang(r), "api.multipart"));
}

static void get_document(struct http_req *r) {
  struct case_file f;
  struct err err;
  if (cases_document_get(api_of(r)->cases, api_actor(r), http_param(r, "id"), &f, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_file(r, f.media_type, f.name, f.data, f.size);
}

/* ---- calendars ---- */

static void get_calendar(struct http_req *r) {
  json_t *out = NULL;
  struct err err;
  api_list(r, cases_calendar(api_of(r)->cases, http_param(r, "calendar"), &out, &err), &out, &err);
}

static void post_closure(struct http_req *r) {
  json_t *body = http_json(r), *out = NULL;
  struct err err;
  if (!body) return;
  if (!cases_calendar_mine(api_of(r)->cases, api_actor(r), http_param(r, "calendar"))) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  const char *wrong = NULL, *date = api_text(body, "date", &wrong);
  const json_t *title = json_object_get(body, "title"), *closed = json_object_get(body, "closed");
  const char *fa = json_str(title, "fa"), *en = json_str(title, "en");
  int32_t day = date ? date_parse(date) : INT32_MIN;
  if (day == INT32_MIN) return api_fault(r, "date", date ? "date" : wrong ? "type" : "required", "api.closure");
  if (!fa || !en || strlen(fa) > 200 || strlen(en) > 200) return api_fault(r, "title", "required", "api.closure");
  if (closed && !json_is_boolean(closed)) return api_fault(r, "closed", "type", "api.type");
  if (cases_calendar_close(api_of(r)->cases, api_actor(r), http_param(r, "calendar"), day, fa, en, json_flag(body, "closed", true), &err)) {
    if (err.code == ERR_INVALID) return api_fault(r, "date", "range", "api.closure_range");
    return api_error(r, &err, NULL, NULL);
  }
  if (cases_calendar(api_of(r)->cases, http_param(r, "calendar"), &out, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 201, out);
}

const struct http_route api_case_rows[] = {
  {"GET", "/api/v1/cases/{tracking}", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_case, "A case: everybody's view, or all of it for its citizen and its staff.", get_case_quick},
  {"GET", "/api/v1/cases/{tracking}/events", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_events, "The case's history with its places in the ledger."},
  {"GET", "/api/v1/cases/{tracking}/events/{seq}/leaf", HTTP_INLINE, PERMIT_SESSION, HTTP_SAFE, 0, get_leaf, "The bytes of one event's leaf, for its citizen and its staff."},
  {"GET", "/api/v1/cases/{tracking}/receipt", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_receipt, "The receipt with its proof as soon as the leaf has its place."},
  {"POST", "/api/v1/cases/{tracking}/actions/{action}", HTTP_INLINE, PERMIT_SESSION, HTTP_BEARER, 128 * 1024, post_action, "Act on a case: assign, approve, reject, appeal and the others."},
  {"POST", "/api/v1/cases/{tracking}/rating", HTTP_WORKER, PERMIT_CITIZEN, HTTP_BEARER, 16 * 1024, post_rating, "Rate a decided case, once."},
  {"GET", "/api/v1/desk/cases", HTTP_INLINE, PERMIT_STAFF, HTTP_SAFE, 0, get_desk, "The cases of an organisation's desk, most urgent first."},
  {"GET", "/api/v1/me/cases", HTTP_INLINE, PERMIT_SESSION, HTTP_SAFE, 0, get_mine, "One's own cases, newest first."},
  {"GET", "/api/v1/me/mandates", HTTP_INLINE, PERMIT_CITIZEN, HTTP_SAFE, 0, get_mandates, "Who may act for whom: mandates given and received."},
  {"GET", "/api/v1/me/access", HTTP_INLINE, PERMIT_CITIZEN, HTTP_SAFE, 0, get_access, "Who looked at one's data, when, under which right."},
  {"POST", "/api/v1/documents", HTTP_WORKER, PERMIT_SESSION, HTTP_BEARER, 11 * 1024 * 1024, post_document, "Upload a document (PDF, JPEG, PNG; 10 MiB)."},
  {"GET", "/api/v1/documents/{id}", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_document, "A document, for whoever has a right to it."},
  {"GET", "/api/v1/calendars/{calendar}", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_calendar, "A calendar's closures in the next year."},
  {"POST", "/api/v1/calendars/{calendar}/closures", HTTP_WORKER, PERMIT_MANAGER, HTTP_BEARER, 8192, post_closure, "Declare a closed (or opened) day: open deadlines move."},
};
const size_t api_case_count = BASE_COUNT(api_case_rows);
