/* A call, noted while the person is on the telephone: found by what they say, on their case or without one. */
#include "channels/web/inside.h"

#include <string.h>

static const char *value_of(struct http_req *r, const char *name) {
  const char *v = strcmp(http_method(r), "POST") == 0 ? http_form_value(r, name) : http_query(r, name);
  v = v && v[0] && utf8_valid(v, strlen(v)) ? text_repair(http_arena(r), v) : NULL;
  return v && v[0] ? v : NULL;
}

static const char *organisation_of(struct http_req *r) {
  const struct actor *who = web_actor(r);
  const char *given = value_of(r, "organisation");
  return given ? given : who->role_count ? who->roles[0].organisation : "";
}

/* What the caller is asked so as to know which case it is; no answers of anybody's. */
static json_t *found_json(struct http_req *r, const char *organisation, const json_t *one) {
  json_t *o = json_object();
  put(o, "href", arena_printf(http_arena(r), "/desk/call?organisation=%s&case=%s", url_quote(r, organisation), json_str(one, "tracking")));
  put(o, "code", show_code(r, json_str(one, "tracking")));
  put(o, "name", json_str(one, "service_title"));
  put(o, "state", json_str(one, "state_title"));
  put(o, "since", show_day_short(r, json_str(one, "submitted_at")));
  return o;
}

static json_t *calls_json(struct http_req *r, const char *organisation) {
  json_t *calls = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (cases_desk_calls(web_of(r)->cases, web_actor(r), organisation, INT64_MAX, 20, &calls, &err)) return list;
  json_array_foreach(calls, i, one) {
    json_t *o = json_object();
    put(o, "who", json_str(one, "who"));
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "text", json_str(one, "text"));
    put_note(r, o, one);
    json_array_append_new(list, o);
  }
  json_decref(calls);
  return list;
}

/* The case that was chosen, so far as this person may know of it; NULL after replying. */
static json_t *chosen_case(struct http_req *r, const char *typed) {
  char code[32];
  json_t *view = NULL;
  struct err err;
  if (identifier_parse(IDENT_TRACKING, typed, code)) {
    not_found(r);
    return NULL;
  }
  if (cases_get(web_of(r)->cases, web_actor(r), code, http_lang(r), &view, &err)) {
    web_error(r, &err);
    return NULL;
  }
  if (json_str(view, "right") && !base_same(json_str(view, "right"), "auditor")) return view;
  json_decref(view);
  not_found(r);
  return NULL;
}

static void put_found(struct http_req *r, json_t *page, const char *organisation, const char *q) {
  json_t *found = NULL, *list = json_array(), *one;
  struct case_query query = {.organisation = organisation, .q = q, .overdue = -1, .open = -1, .limit = 20};
  struct err err;
  size_t i;
  if (q && cases_desk(web_of(r)->cases, web_actor(r), &query, http_lang(r), &found, &err) == 0)
    json_array_foreach(json_object_get(found, "items"), i, one) json_array_append_new(list, found_json(r, organisation, one));
  put_flag(page, "more", json_str(found, "next") != NULL);
  put_flag(page, "none_found", q && !json_array_size(list));
  put_list(page, "items", list);
  json_decref(found);
}

static void show_call(struct http_req *r, json_t *view, const char *wrong) {
  const char *organisation = organisation_of(r), *q = view ? NULL : value_of(r, "q");
  json_t *page = page_new(web_of(r), r, say(r, "call_title"), true);
  crumb(page, "/desk", say(r, "desk"));
  put(page, "organisation", organisation);
  put(page, "q", q);
  put_found(r, page, organisation, q);
  put_flag(page, "for_case", view != NULL);
  put(page, "case", json_str(view, "tracking"));
  put(page, "case_href", view ? arena_printf(http_arena(r), "/cases/%s", json_str(view, "tracking")) : NULL);
  put(page, "code", view ? show_code(r, json_str(view, "tracking")) : NULL);
  put(page, "service", json_str(view, "service_title"));
  put(page, "state", json_str(view, "state_title"));
  put(page, "due", show_iso_day(r, json_str(json_object_get(view, "due"), "legal")));
  static const char *const kept[] = {"caller", "telephone", "text", "promise"};
  for (size_t i = 0; i < BASE_COUNT(kept); i++) put(page, kept[i], value_of(r, kept[i]));
  put(page, "key", value_of(r, "key") ? value_of(r, "key") : fresh_key(r));
  put(page, "text_error", wrong);
  if (wrong) fault(page, "#text", wrong);
  put_flag(page, "done", http_query(r, "done") != NULL);
  put_list(page, "calls", view || q ? json_array() : calls_json(r, organisation));
  page_reply(web_of(r), r, wrong ? 422 : 200, "call", page);
}

static void get_call(struct http_req *r) {
  const char *typed = value_of(r, "case");
  json_t *view = typed ? chosen_case(r, typed) : NULL;
  if (typed && !view) return;
  show_call(r, view, NULL);
  json_decref(view);
}

static void post_call(struct http_req *r) {
  const char *typed = value_of(r, "case");
  struct err err;
  struct desk_note n = {.kind = NOTE_CALL, .organisation = organisation_of(r), .text = value_of(r, "text"), .caller = value_of(r, "caller"),
                        .telephone = value_of(r, "telephone"), .promise = value_of(r, "promise"), .key = value_of(r, "key")};
  json_t *view = typed ? chosen_case(r, typed) : NULL;
  if (typed && !view) return;
  n.tracking = view ? json_str(view, "tracking") : NULL;
  if (!n.text) show_call(r, view, say(r, "call_need_text"));
  else if (cases_desk_note(web_of(r)->cases, web_actor(r), &n, &err) == 0)
    http_redirect(r, 303, view ? arena_printf(http_arena(r), "/cases/%s#remarks", n.tracking) : arena_printf(http_arena(r), "/desk/call?organisation=%s&done=1", url_quote(r, n.organisation)));
  else if (err.code == ERR_INVALID) show_call(r, view, say(r, "call_too_long"));
  else web_error(r, &err);
  json_decref(view);
}

const struct http_route web_call_rows[] = {
  {"GET", "/desk/call", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_call, "Find who is on the telephone, and note the call."},
  {"POST", "/desk/call", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_call, "Note a call, on a case or without one."},
};
const size_t web_call_count = BASE_COUNT(web_call_rows);
