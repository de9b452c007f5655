/* The desk for programs: remarks, the next case, one action on many cases. */
#include "channels/api/inside.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_AT_ONCE = 100 };

static int refuse_member(struct http_req *r, const char *field, const char *code, const char *word_key) {
  api_fault(r, field, code, word_key);
  return -1;
}

/* Members of these names only, each a string or absent, but `other`. */
static int check_members(struct http_req *r, json_t *body, const char *const *strings, size_t count, const char *const *other, size_t others) {
  const char *name;
  json_t *v;
  json_object_foreach(body, name, v) {
    bool known = false, text = false;
    for (size_t i = 0; i < count; i++) text = text || strcmp(name, strings[i]) == 0;
    for (size_t i = 0; i < others; i++) known = known || strcmp(name, other[i]) == 0;
    if (!known && !text) return refuse_member(r, name, "unknown", "api.unknown_member");
    if (text && !json_is_string(v) && !json_is_null(v)) return refuse_member(r, name, "type", "api.type");
  }
  return 0;
}

static const char *key_of(struct http_req *r) {
  const char *key = http_header(r, "Idempotency-Key");
  if (key && key[0] && strlen(key) <= 200) return key;
  http_problem_code(r, ERR_MALFORMED, word(http_lang(r), "api.idempotency"));
  return NULL;
}

/* A member as text that is repaired; *wrong is its name when it is longer than most bytes. */
static const char *text_member(struct http_req *r, const json_t *body, const char *name, size_t most, const char **wrong) {
  const char *text = json_str(body, name);
  text = text ? text_repair(http_arena(r), text) : NULL;
  if (text && strlen(text) > most && !*wrong) *wrong = name;
  return text && text[0] ? text : NULL;
}

/* Notes it down; the members of what was kept, or NULL after replying. */
static json_t *noted(struct http_req *r, const struct desk_note *n, const char *wrong) {
  const struct { const char *name, *value; } parts[] = {{"tracking", n->tracking}, {"text", n->text}, {"who", api_actor(r)->username}, {"caller", n->caller},
    {"telephone", n->telephone}, {"promise", n->promise}, {"number", n->number}, {"date", n->date}, {"from", n->from}};
  struct err err;
  if (wrong || !n->text) {
    refuse_member(r, wrong ? wrong : "text", wrong ? "too_long" : "required", wrong && strcmp(wrong, "text") != 0 ? "api.note_long" : "api.remark");
    return NULL;
  }
  if (cases_desk_note(api_of(r)->cases, api_actor(r), n, &err)) {
    api_error(r, &err, err.code == ERR_INVALID && json_array_size(n->documents) ? "case.document" : NULL, NULL);
    return NULL;
  }
  json_t *o = json_object();
  for (size_t i = 0; i < BASE_COUNT(parts); i++)
    if (parts[i].value) json_put(o, parts[i].name, parts[i].value);
  return o;
}

static void post_remark(struct http_req *r) {
  static const char *const members[] = {"text", "number", "date", "from"}, *const other[] = {CASES_ATTACHED};
  const char *tracking = api_tracking(r), *key = tracking ? key_of(r) : NULL, *wrong = NULL;
  json_t *body = key ? http_json(r) : NULL;
  char iso[16];
  if (!body || check_members(r, body, members, 4, other, 1)) return;
  const json_t *documents = json_object_get(body, CASES_ATTACHED);
  if (documents && !json_is_null(documents) && (!json_is_array(documents) || json_array_size(documents) > CASES_ATTACHED_MOST)) {
    refuse_member(r, CASES_ATTACHED, "type", "case.documents_many");
    return;
  }
  struct desk_note n = {.kind = NOTE_REMARK, .tracking = tracking, .key = key, .documents = documents, .text = text_member(r, body, "text", 4000, &wrong),
                        .number = text_member(r, body, "number", 200, &wrong), .from = text_member(r, body, "from", 400, &wrong)};
  int32_t day = json_str(body, "date") ? date_parse(json_str(body, "date")) : INT32_MIN;
  if (n.number || n.from || json_str(body, "date")) { /* a letter that came in */
    if (!n.number || !n.from || day == INT32_MIN || day > cases_today()) {
      refuse_member(r, !n.number ? "number" : !n.from ? "from" : "date", "required", "api.incoming");
      return;
    }
    date_iso(day, iso);
    n.kind = NOTE_INCOMING;
    n.date = iso;
    if (!n.text) n.text = n.number;
  }
  json_t *o = noted(r, &n, wrong);
  if (o) http_reply_json(r, 201, o);
}

static void post_call(struct http_req *r) {
  static const char *const members[] = {"tracking", "organisation", "text", "caller", "telephone", "promise"};
  const char *key = key_of(r), *wrong = NULL;
  json_t *body = key ? http_json(r) : NULL;
  char code[32];
  if (!body || check_members(r, body, members, 6, NULL, 0)) return;
  const char *typed = json_str(body, "tracking"), *organisation = json_str(body, "organisation");
  if (typed && identifier_parse(IDENT_TRACKING, typed, code)) {
    refuse_member(r, "tracking", "pattern", "api.tracking");
    return;
  }
  if (!organisation && api_actor(r)->role_count) organisation = api_actor(r)->roles[0].organisation;
  struct desk_note n = {.kind = NOTE_CALL, .tracking = typed ? code : NULL, .organisation = organisation, .key = key,
                        .text = text_member(r, body, "text", 4000, &wrong), .caller = text_member(r, body, "caller", 400, &wrong),
                        .telephone = text_member(r, body, "telephone", 40, &wrong), .promise = text_member(r, body, "promise", 1000, &wrong)};
  json_t *o = noted(r, &n, wrong);
  if (o) http_reply_json(r, 201, o);
}

static void get_calls(struct http_req *r) {
  const struct actor *who = api_actor(r);
  const char *organisation = http_query(r, "organisation"), *before = http_query(r, "before");
  int64_t at = INT64_MAX;
  int limit = api_limit(r);
  json_t *items = NULL;
  struct err err;
  if (limit < 0) return;
  if (before && clock_parse(before, &at)) {
    api_fault(r, "before", "type", "api.after");
    return;
  }
  if (!organisation) organisation = who->role_count ? who->roles[0].organisation : "";
  if (cases_desk_calls(api_of(r)->cases, who, organisation, at, limit, &items, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, json_pack("{s:o}", "items", items));
}

static void post_next(struct http_req *r) {
  static const char *const members[] = {"organisation", "after"};
  const struct actor *who = api_actor(r);
  json_t *body = http_json(r);
  char tracking[TRACKING_SIZE], after[32] = "";
  struct err err;
  if (!body || check_members(r, body, members, 2, NULL, 0)) return;
  const char *org = json_str(body, "organisation"), *typed = json_str(body, "after");
  if (typed && identifier_parse(IDENT_TRACKING, typed, after)) {
    refuse_member(r, "after", "pattern", "api.tracking");
    return;
  }
  if (!org) org = who->role_count ? who->roles[0].organisation : "";
  if (cases_next(api_of(r)->cases, who, org, typed ? after : NULL, http_lang(r), tracking, &err)) {
    if (err.code == ERR_NOT_FOUND) return http_reply(r, 204, NULL, NULL, 0);
    return api_error(r, &err, err.code == ERR_CONFLICT ? "absence.yourself" : NULL, NULL);
  }
  http_reply_json(r, 200, json_pack("{s:s}", "tracking", tracking));
}

/* ---- absence ---- */

static void get_absences(struct http_req *r) {
  const struct actor *who = api_actor(r);
  const char *organisation = http_query(r, "organisation");
  json_t *items = NULL;
  struct err err;
  if (!organisation) organisation = who->role_count ? who->roles[0].organisation : "";
  if (cases_absences(api_of(r)->cases, who, organisation, &items, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, json_pack("{s:o}", "items", items));
}

static void post_absence(struct http_req *r) {
  static const char *const members[] = {"organisation", "username", "deputy", "from", "until"};
  const char *key = key_of(r);
  json_t *body = key ? http_json(r) : NULL;
  struct err err;
  if (!body || check_members(r, body, members, 5, NULL, 0)) return;
  const char *from = json_str(body, "from"), *until = json_str(body, "until");
  struct absence a = {.organisation = json_str(body, "organisation"), .username = json_str(body, "username"), .deputy = json_str(body, "deputy"), .key = key,
                      .from = from ? date_parse(from) : INT32_MIN, .until = until ? date_parse(until) : INT32_MIN};
  if (!a.organisation) a.organisation = api_actor(r)->role_count ? api_actor(r)->roles[0].organisation : "";
  if (cases_absence(api_of(r)->cases, api_actor(r), &a, &err)) {
    if (err.code == ERR_INVALID && a.field) refuse_member(r, a.field, "refused", a.detail);
    else api_error(r, &err, a.detail, NULL);
    return;
  }
  http_reply_json(r, 201, json_pack("{s:s,s:s,s:s}", "id", a.id, "username", a.username, "deputy", a.deputy));
}

static void delete_absence(struct http_req *r) {
  struct err err;
  if (cases_absence_end(api_of(r)->cases, api_actor(r), http_param(r, "absence"), &err)) return api_error(r, &err, NULL, NULL);
  http_reply(r, 204, NULL, NULL, 0);
}

/* ---- kept searches ---- */

static const char *organisation_asked(struct http_req *r, const char *given) {
  return given ? given : api_actor(r)->role_count ? api_actor(r)->roles[0].organisation : "";
}

static void get_searches(struct http_req *r) {
  json_t *items = NULL;
  struct err err;
  if (cases_searches(api_of(r)->cases, api_actor(r), organisation_asked(r, http_query(r, "organisation")), &items, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, json_pack("{s:o}", "items", items));
}

static void post_search(struct http_req *r) {
  static const char *const members[] = {"organisation", "name", "view", "service", "state", "q"}, *const other[] = {"shared"};
  const char *key = key_of(r), *wrong = NULL;
  json_t *body = key ? http_json(r) : NULL;
  struct err err;
  if (!body || check_members(r, body, members, 6, other, 1)) return;
  const json_t *shared = json_object_get(body, "shared");
  if (shared && !json_is_boolean(shared)) {
    refuse_member(r, "shared", "type", "api.type");
    return;
  }
  struct desk_search s = {.organisation = organisation_asked(r, json_str(body, "organisation")), .name = text_member(r, body, "name", 240, &wrong),
                          .view = json_str(body, "view") ? json_str(body, "view") : "open", .service = json_str(body, "service"), .state = json_str(body, "state"),
                          .q = text_member(r, body, "q", 200, &wrong), .shared = json_is_true(shared), .key = key};
  if (wrong || !s.name) {
    refuse_member(r, wrong ? wrong : "name", wrong ? "too_long" : "required", "api.search");
    return;
  }
  if (cases_search_keep(api_of(r)->cases, api_actor(r), &s, &err)) {
    if (err.code == ERR_INVALID) refuse_member(r, "view", "choice", "api.search");
    else api_error(r, &err, err.code == ERR_LIMIT ? "api.searches_full" : NULL, NULL);
    return;
  }
  http_reply_json(r, 201, json_pack("{s:s,s:s,s:b}", "id", s.id, "name", s.name, "shared", s.shared));
}

static void delete_search(struct http_req *r) {
  struct err err;
  const char *organisation = organisation_asked(r, http_query(r, "organisation"));
  if (cases_search_drop(api_of(r)->cases, api_actor(r), organisation, http_param(r, "search"), &err)) return api_error(r, &err, NULL, NULL);
  http_reply(r, 204, NULL, NULL, 0);
}

/* ---- one action on many ---- */

static json_t *result_of(struct http_req *r, const char *tracking, const struct case_act *a, int rc, const struct err *err) {
  json_t *o = json_object();
  json_put(o, "tracking", tracking);
  json_object_set_new(o, "status", json_integer(rc ? err_status(err->code) : 200));
  if (rc == 0) {
    json_object_set_new(o, "version", json_integer(a->version));
    return o;
  }
  const char *key = arena_printf(http_arena(r), "error.%s.detail", err_name(err->code));
  json_put(o, "code", err_name(err->code));
  json_put(o, "message", word(http_lang(r), a->detail ? a->detail : key ? key : "error.internal.detail"));
  if (a->errors) json_object_set(o, "errors", a->errors);
  return o;
}

/* The cases as they should be: [{"tracking","expected_version"}], 1 to 100, each once. */
static int read_cases(struct http_req *r, const json_t *cases, struct case_act *list) {
  size_t i, n = json_array_size(cases);
  json_t *one;
  if (n < 1 || n > MOST_AT_ONCE) return refuse_member(r, "cases", "required", "api.cases");
  json_array_foreach(cases, i, one) {
    char code[32];
    const json_t *version = json_object_get(one, "expected_version");
    if (!json_str(one, "tracking") || identifier_parse(IDENT_TRACKING, json_str(one, "tracking"), code) || !json_is_integer(version) ||
        json_integer_value(version) < 1)
      return refuse_member(r, "cases", "pattern", "api.cases");
    for (size_t k = 0; k < i; k++)
      if (strcmp(list[k].tracking, code) == 0) return refuse_member(r, "cases", "repeated", "api.cases");
    memcpy(list[i].tracking, code, TRACKING_SIZE);
    list[i].expected_version = json_integer_value(version);
  }
  return 0;
}

static void post_actions(struct http_req *r) {
  static const char *const strings[] = {"action", "comment", "reason"}, *const other[] = {"data", "cases"};
  json_t *body = http_json(r);
  if (!body || check_members(r, body, strings, 3, other, 2)) return;
  const char *key = key_of(r), *action = json_str(body, "action"), *comment = json_str(body, "comment");
  json_t *data = json_object_get(body, "data");
  if (!key) return;
  if (!action) {
    refuse_member(r, "action", "required", "api.required");
    return;
  }
  if (data && !json_is_object(data)) {
    refuse_member(r, "data", "type", "api.type");
    return;
  }
  struct case_act *list = arena_alloc(http_arena(r), MOST_AT_ONCE * sizeof *list);
  if (!list) return http_problem_code(r, ERR_LIMIT, NULL);
  if (read_cases(r, json_object_get(body, "cases"), list)) return;
  json_t *items = json_array();
  for (size_t i = 0; i < json_array_size(json_object_get(body, "cases")); i++) {
    struct case_act *a = &list[i];
    struct err err;
    a->action = action;
    a->comment = comment ? text_repair(http_arena(r), comment) : NULL;
    a->reason = json_str(body, "reason");
    a->data = data;
    a->key = key;
    a->actor = *api_actor(r);
    a->lang = http_lang(r);
    int rc = cases_act(api_of(r)->cases, a, NULL, NULL, &err);
    json_array_append_new(items, result_of(r, a->tracking, a, rc, &err));
    json_decref(a->errors);
  }
  json_t *o = json_object();
  json_object_set_new(o, "items", items);
  http_reply_json(r, 200, o);
}

const struct http_route api_desk_rows[] = {
  {"GET", "/api/v1/desk/calls", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_calls, "Calls without a case that a desk has noted, newest first."},
  {"GET", "/api/v1/desk/absences", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_absences, "Who is away at a desk, and who stands in."},
  {"POST", "/api/v1/desk/absences", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 4096, post_absence, "Record an absence with its deputy."},
  {"DELETE", "/api/v1/desk/absences/{absence}", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 0, delete_absence, "End an absence now."},
  {"GET", "/api/v1/desk/searches", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_searches, "Searches that are kept at a desk, with counts."},
  {"POST", "/api/v1/desk/searches", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 4096, post_search, "Keep a search under a name."},
  {"DELETE", "/api/v1/desk/searches/{search}", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 0, delete_search, "Let a kept search go."},
  {"POST", "/api/v1/desk/calls", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 16 * 1024, post_call, "Note a call, on a case or without one."},
  {"POST", "/api/v1/cases/{tracking}/remarks", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 16 * 1024, post_remark, "A remark for colleagues, which the citizen does not see."},
  {"POST", "/api/v1/desk/next", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 4096, post_next, "Take the most urgent case of the desk."},
  {"POST", "/api/v1/desk/actions", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 64 * 1024, post_actions, "One action on up to a hundred cases, with a result for each."},
};
const size_t api_desk_count = BASE_COUNT(api_desk_rows);
