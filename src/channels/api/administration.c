/* Administration for programs: staff, units, sessions, acts, one's own password. Rights are identity's to judge. */
#include "channels/api/inside.h"
#include "channels/api/administration.h"

#include <string.h>

/* Members of these names only, each a text or absent; false after replying. */
bool admin_members(struct http_req *r, const json_t *body, const char *const *names, size_t count) {
  const char *name;
  json_t *v;
  if (!json_is_object(body)) {
    api_fault(r, "body", "type", "api.type");
    return false;
  }
  json_object_foreach((json_t *)(uintptr_t)body, name, v) {
    bool known = false;
    for (size_t i = 0; i < count; i++) known = known || strcmp(name, names[i]) == 0;
    if (known && (json_is_string(v) || json_is_null(v))) continue;
    api_fault(r, name, known ? "type" : "unknown", known ? "api.type" : "api.unknown_member");
    return false;
  }
  return true;
}

void admin_refused(struct http_req *r, const struct err *err, const char *field, const char *detail) {
  json_t *errors = detail && field && err->code == ERR_INVALID
    ? json_pack("[{s:s,s:s,s:s}]", "field", field, "code", "invalid", "message", word(http_lang(r), detail)) : NULL;
  api_error(r, err, detail, errors);
}

bool admin_organisation(struct http_req *r, const char *code) {
  if (code && directory_find_organisation(pack_directory(cases_pack(api_of(r)->cases)), code) >= 0) return true;
  http_problem_code(r, ERR_NOT_FOUND, NULL);
  return false;
}

static void get_staff(struct http_req *r) {
  struct staff_query q = {.organisation = http_query(r, "organisation"), .unit = http_query(r, "unit"), .q = http_query(r, "q"), .after = api_after(r), .limit = api_limit(r)};
  json_t *out = NULL;
  struct err err;
  if (q.limit < 0) return;
  const struct actor *who = api_actor(r);
  if (!q.organisation && !actor_has_role(who, NULL, STAFF_OPERATOR))
    for (unsigned i = 0; i < who->role_count && !q.organisation; i++)
      if (who->roles[i].role == STAFF_MANAGER) q.organisation = who->roles[i].organisation;
  int rc = identity_members(api_of(r)->identity, who, &q, &out, &err);
  api_list(r, rc, &out, &err);
}

static void change(struct http_req *r, struct staff_change *c, int status) {
  struct identity *i = api_of(r)->identity;
  json_t *one = NULL;
  struct err err;
  if (identity_change(i, api_actor(r), c, &err)) return admin_refused(r, &err, c->field, c->detail);
  if (c->kind == CHANGE_LEAVE || identity_member(i, api_actor(r), c->username, &one, &err)) {
    one = json_object();
    json_put(one, "username", c->username);
  }
  if (c->password[0]) json_put(one, "password", c->password);
  http_reply_json(r, status, one);
}

static void post_staff(struct http_req *r) {
  static const char *const names[] = {"username", "name", "organisation", "role", "unit"};
  json_t *body = http_json(r);
  if (!body || !admin_members(r, body, names, BASE_COUNT(names))) return;
  struct staff_change c = {.kind = CHANGE_ADD, .username = json_str(body, "username"), .name = json_str(body, "name"), .organisation = json_str(body, "organisation"),
                           .unit = json_str(body, "unit"), .role = staff_role_parse(json_str(body, "role"))};
  for (size_t i = 0; i < 4; i++)
    if (!json_str(body, names[i])) return api_fault(r, names[i], "required", "api.required");
  if (admin_organisation(r, c.organisation)) change(r, &c, 201);
}

static void get_member(struct http_req *r) {
  json_t *out = NULL;
  struct err err;
  int rc = identity_member(api_of(r)->identity, api_actor(r), http_param(r, "username"), &out, &err);
  api_list(r, rc, &out, &err);
}

static void post_change(struct http_req *r) {
  static const char *const names[] = {"change", "organisation", "role", "unit"};
  json_t *body = http_json(r);
  if (!body || !admin_members(r, body, names, BASE_COUNT(names))) return;
  int kind = staff_change_parse(json_str(body, "change"));
  if (kind < 0 || kind == CHANGE_ADD) return api_fault(r, "change", json_str(body, "change") ? "choice" : "required", json_str(body, "change") ? "api.change" : "api.required");
  struct staff_change c = {.kind = (enum staff_change_kind)kind, .username = http_param(r, "username"), .organisation = json_str(body, "organisation"),
                           .role = staff_role_parse(json_str(body, "role"))};
  if (kind == CHANGE_UNIT) c.unit = json_str(body, "unit") ? json_str(body, "unit") : "";
  if (kind == CHANGE_ADD_ROLE && !admin_organisation(r, c.organisation)) return;
  change(r, &c, 200);
}

static void post_end(struct http_req *r) {
  static const char *const names[] = {"organisation"};
  json_t *body = http_json(r);
  int64_t ended = 0;
  struct err err;
  bool everybody = body && json_flag(body, "everybody", false);
  if (everybody) json_object_del(body, "everybody");
  if (!body || !admin_members(r, body, names, 1)) return;
  if (everybody == (json_str(body, "organisation") != NULL)) return api_fault(r, "organisation", "required", "api.end_whose");
  if (identity_end_all(api_of(r)->identity, api_actor(r), json_str(body, "organisation"), &ended, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, json_pack("{s:I}", "ended", (json_int_t)ended));
}

/* ---- units ---- */

static void get_units(struct http_req *r) {
  const char *code = http_param(r, "code");
  json_t *out = NULL;
  struct err err;
  if (!admin_organisation(r, code)) return;
  if (!actor_in(api_actor(r), code) && !identity_manages(api_actor(r), code) && !actor_has_role(api_actor(r), NULL, STAFF_AUDITOR)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (identity_units(api_of(r)->identity, code, &out, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, json_pack("{s:o}", "items", out));
}

static void post_unit(struct http_req *r) {
  const char *code = http_param(r, "code"), *name;
  json_t *body = http_json(r), *v;
  struct err err;
  if (!body || !admin_organisation(r, code)) return;
  if (!identity_manages(api_actor(r), code)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  json_object_foreach(body, name, v)
    if (strcmp(name, "code") && strcmp(name, "name") && strcmp(name, "closed")) return api_fault(r, name, "unknown", "api.unknown_member");
  const json_t *title = json_object_get(body, "name"), *closed = json_object_get(body, "closed");
  if (closed && !json_is_boolean(closed)) return api_fault(r, "closed", "type", "api.type");
  struct unit_change c = {.organisation = code, .code = json_str(body, "code"), .name_fa = json_str(title, "fa"), .name_en = json_str(title, "en"), .closed = json_is_true(closed)};
  if (identity_unit_put(api_of(r)->identity, api_actor(r), &c, &err)) return admin_refused(r, &err, c.field, c.detail);
  http_reply_json(r, 200, json_pack("{s:s,s:{s:s,s:s},s:b}", "code", c.code, "name", "fa", c.name_fa, "en", c.name_en, "closed", c.closed));
}

/* ---- acts ---- */

/* A day, Jalali or Gregorian, as the moment that it begins; false after replying. */
static bool day_given(struct http_req *r, const char *name, int32_t more, int64_t *out) {
  const char *text = http_query(r, name);
  *out = 0;
  if (!text || !text[0]) return true;
  int32_t day = date_parse(text);
  if (day == INT32_MIN) api_fault(r, name, "date", "api.date");
  else *out = day_start(day + more);
  return day != INT32_MIN;
}

static void get_acts(struct http_req *r) {
  struct act_query q = {.organisation = http_query(r, "organisation"), .person = http_query(r, "person"), .kind = http_query(r, "kind"), .after = api_after(r), .limit = api_limit(r)};
  const struct actor *who = api_actor(r);
  bool all = actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, NULL, STAFF_AUDITOR);
  json_t *out = NULL;
  struct err err;
  if (q.limit < 0 || !day_given(r, "from", 0, &q.from) || !day_given(r, "to", 1, &q.to)) return;
  for (unsigned i = 0; !all && i < who->role_count && !q.organisation; i++)
    if (who->roles[i].role == STAFF_MANAGER) q.organisation = who->roles[i].organisation;
  if (!all && !identity_manages(who, q.organisation)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  int rc = identity_acts(api_of(r)->identity, &q, &out, &err);
  api_list(r, rc, &out, &err);
}

/* ---- calendars and services ---- */

static void get_preview(struct http_req *r) {
  const char *calendar = http_param(r, "calendar"), *date = http_query(r, "date"), *closed = http_query(r, "closed");
  int32_t day = date ? date_parse(date) : INT32_MIN;
  int64_t moves = 0;
  struct err err;
  if (!cases_calendar_mine(api_of(r)->cases, api_actor(r), calendar)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (day == INT32_MIN) return api_fault(r, "date", date ? "date" : "required", "api.date");
  if (closed && strcmp(closed, "true") && strcmp(closed, "false")) return api_fault(r, "closed", "type", "api.type");
  if (cases_calendar_preview(api_of(r)->cases, calendar, day, !base_same(closed, "false"), &moves, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, json_pack("{s:I}", "moves", (json_int_t)moves));
}

static void post_stop(struct http_req *r) {
  const char *code = http_param(r, "code"), *name;
  const struct service *s = pack_find_shown(cases_pack(api_of(r)->cases), code);
  json_t *body = http_json(r), *v;
  struct err err;
  if (!body) return;
  if (!s || !identity_manages(api_actor(r), cases_service_organisation(api_of(r)->cases, s))) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  json_object_foreach(body, name, v)
    if (strcmp(name, "stopped") && strcmp(name, "reason") && strcmp(name, "until")) return api_fault(r, name, "unknown", "api.unknown_member");
  const json_t *stopped = json_object_get(body, "stopped"), *reason = json_object_get(body, "reason");
  const char *until = json_str(body, "until");
  if (!json_is_boolean(stopped)) return api_fault(r, "stopped", stopped ? "type" : "required", stopped ? "api.type" : "api.required");
  struct service_switch w = {.service = code, .off = json_is_true(stopped), .reason_fa = json_str(reason, "fa"), .reason_en = json_str(reason, "en"),
                             .until = until ? date_parse(until) : 0};
  if (w.off && w.until == INT32_MIN) return api_fault(r, "until", "date", "api.date");
  if (cases_service_switch(api_of(r)->cases, api_actor(r), &w, &err)) return admin_refused(r, &err, w.field, w.detail);
  json_t *o = json_object(), *stop = cases_stop(api_of(r)->cases, code);
  json_put(o, "code", code);
  json_object_set_new(o, "stopped", stop ? stop : json_null());
  http_reply_json(r, 200, o);
}

/* ---- the directive for service desks ---- */

static json_t *standard_json(const struct pack *p, const struct service *s, int64_t *met) {
  json_t *all = json_object();
  for (int c = 0; c < STANDARD_COUNT; c++) {
    bool yes = service_meets(p, s, (enum standard)c);
    *met += yes;
    json_object_set_new(all, standard_text((enum standard)c), json_boolean(yes));
  }
  return json_pack("{s:s,s:i,s:{s:s,s:s},s:o}", "code", s->code, "version", s->version, "title", "fa", s->title.fa, "en", s->title.en, "criteria", all);
}

static void get_desk(struct http_req *r) {
  const char *code = http_param(r, "code");
  const struct pack *p = cases_pack(api_of(r)->cases);
  json_t *list = json_array();
  int64_t met = 0;
  if (!admin_organisation(r, code)) {
    json_decref(list);
    return;
  }
  const struct organisation *o = directory_organisation(pack_directory(p), directory_find_organisation(pack_directory(p), code));
  for (size_t i = 0; i < pack_services(p); i++)
    if (strcmp(cases_service_organisation(api_of(r)->cases, pack_service(p, i)), code) == 0) json_array_append_new(list, standard_json(p, pack_service(p, i), &met));
  json_t *out = json_pack("{s:s,s:{s:s,s:s},s:I,s:I}", "organisation", code, "name", "fa", o->name_fa, "en", organisation_name(o, LANG_EN), "met", (json_int_t)met, "of",
                          (json_int_t)(json_array_size(list) * STANDARD_COUNT));
  json_object_set_new(out, "services", list);
  http_reply_json(r, 200, out);
}

/* ---- one's own ---- */

static void post_password(struct http_req *r) {
  static const char *const names[] = {"password", "new"};
  json_t *body = http_json(r);
  if (!body || !admin_members(r, body, names, 2)) return;
  const char *old = json_str(body, "password"), *new = json_str(body, "new"), *detail = NULL;
  char token[64];
  int expires = 0;
  struct err err;
  if (!old || !new) return api_fault(r, old ? "new" : "password", "required", "api.required");
  if (identity_own_password(api_of(r)->identity, api_actor(r), old, new, http_peer(r), token, &expires, &detail, &err)) {
    if (err.code == ERR_UNAUTHENTICATED) return api_fault(r, "password", "wrong", "api.wrong_password");
    return admin_refused(r, &err, "new", detail);
  }
  json_t *o = json_object();
  json_put(o, "access_token", token);
  json_put(o, "token_type", "Bearer");
  json_object_set_new(o, "expires_in", json_integer(expires));
  http_reply_json(r, 200, o);
}

const struct http_route api_admin_rows[] = {
  {"GET", "/api/v1/staff", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_staff, "The staff of one's organisation; of all for the operator."},
  {"POST", "/api/v1/staff", HTTP_WORKER, PERMIT_MANAGER, HTTP_BEARER, 8192, post_staff, "A new member of staff, with a one-time password."},
  {"GET", "/api/v1/staff/{username}", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_member, "One member of staff."},
  {"POST", "/api/v1/staff/{username}/changes", HTTP_WORKER, PERMIT_MANAGER, HTTP_BEARER, 8192, post_change, "Change roles, unit, password or sessions of a member of staff."},
  {"POST", "/api/v1/staff-sessions/end", HTTP_WORKER, PERMIT_MANAGER, HTTP_BEARER, 4096, post_end, "End the sessions of an organisation's staff, or of all."},
  {"GET", "/api/v1/organisations/{code}/units", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_units, "The units of an organisation, for its staff."},
  {"POST", "/api/v1/organisations/{code}/units", HTTP_WORKER, PERMIT_MANAGER, HTTP_BEARER, 8192, post_unit, "Make, rename or close a unit."},
  {"GET", "/api/v1/acts", HTTP_WORKER, PERMIT_AUDIT, HTTP_SAFE, 0, get_acts, "Administrative acts: who did what, and when."},
  {"GET", "/api/v1/organisations/{code}/desk", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_desk, "How far an organisation's services meet the directive for service desks."},
  {"GET", "/api/v1/calendars/{calendar}/preview", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_preview, "How many open deadlines a closure would move."},
  {"POST", "/api/v1/services/{code}/stop", HTTP_WORKER, PERMIT_MANAGER, HTTP_BEARER, 16 * 1024, post_stop, "Switch a service off for new requests, or on again."},
  {"POST", "/api/v1/me/password", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 4096, post_password, "Change one's own password; other sessions end."},
};
const size_t api_admin_count = BASE_COUNT(api_admin_rows);
