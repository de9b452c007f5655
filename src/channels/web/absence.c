/* Absence and deputies: who is away, until when, and who stands in. */
#include "channels/web/inside.h"

#include <string.h>

static const char *value_of(struct http_req *r, const char *name) {
  const char *v = strcmp(http_method(r), "POST") == 0 ? http_form_value(r, name) : http_query(r, name);
  return v && v[0] && utf8_valid(v, strlen(v)) ? v : NULL;
}

static const char *organisation_of(struct http_req *r) {
  const struct actor *who = web_actor(r);
  const char *given = value_of(r, "organisation");
  return given ? given : who->role_count ? who->roles[0].organisation : "";
}

const char *member_name(const json_t *staff, const char *username) {
  size_t i;
  const json_t *one;
  json_array_foreach(staff, i, one)
    if (base_same(json_str(one, "username"), username) && json_str(one, "name") && json_str(one, "name")[0]) return json_str(one, "name");
  return username;
}

/* Those who handle cases there; `first` stands before them. */
static json_t *people_json(struct http_req *r, const json_t *staff, const char *chosen) {
  json_t *list = json_array(), *seen = json_object();
  size_t i;
  const json_t *one;
  json_array_foreach(staff, i, one) {
    const char *username = json_str(one, "username"), *role = json_str(one, "role");
    if (!username || json_object_get(seen, username) || (!base_same(role, "officer") && !base_same(role, "supervisor") && !base_same(role, "manager"))) continue;
    json_object_set_new(seen, username, json_true());
    json_t *o = json_object();
    put(o, "value", username);
    put(o, "label", arena_printf(http_arena(r), "%s (%s)", member_name(staff, username), username));
    put_flag(o, "chosen", base_same(username, chosen));
    json_array_append_new(list, o);
  }
  json_decref(seen);
  return list;
}

static json_t *absences_json(struct http_req *r, const json_t *absences, const json_t *staff) {
  json_t *list = json_array();
  size_t i;
  const json_t *one;
  json_array_foreach(absences, i, one) {
    json_t *o = json_object();
    put(o, "who", member_name(staff, json_str(one, "username")));
    put(o, "deputy", member_name(staff, json_str(one, "deputy")));
    put(o, "from", show_iso_day(r, json_str(one, "from")));
    put(o, "until", show_iso_day(r, json_str(one, "until")));
    put_flag(o, "now", json_flag(one, "now", false));
    put(o, "end", json_flag(one, "may_end", false) ? arena_printf(http_arena(r), "/desk/absence/%s/end", json_str(one, "id")) : NULL);
    json_array_append_new(list, o);
  }
  return list;
}

static void show_absence(struct http_req *r, const char *field, const char *wrong) {
  const char *organisation = organisation_of(r);
  const struct actor *who = web_actor(r);
  json_t *absences = NULL, *staff = NULL, *page;
  struct err err;
  if (cases_absences(web_of(r)->cases, who, organisation, &absences, &err)) return web_error(r, &err);
  if (identity_staff(web_of(r)->identity, organisation, &staff, &err)) staff = NULL;
  bool leads = actor_has_role(who, organisation, STAFF_SUPERVISOR) || actor_has_role(who, organisation, STAFF_MANAGER);
  page = page_new(web_of(r), r, say(r, "absence_title"), true);
  crumb(page, "/desk", say(r, "desk"));
  put(page, "organisation", organisation);
  put(page, "key", value_of(r, "key") ? value_of(r, "key") : fresh_key(r));
  put_flag(page, "leads", leads);
  put_flag(page, "may", leads || actor_has_role(who, organisation, STAFF_OFFICER));
  put_list(page, "people", leads ? people_json(r, staff, value_of(r, "username") ? value_of(r, "username") : who->username) : json_array());
  put_list(page, "deputies", people_json(r, staff, value_of(r, "deputy")));
  put_list(page, "absences", absences_json(r, absences, staff));
  put(page, "from", value_of(r, "from") ? value_of(r, "from") : date_short(http_arena(r), LANG_FA, cases_today()));
  put(page, "until", value_of(r, "until"));
  static const char *const fields[] = {"username", "deputy", "from", "until"};
  for (size_t i = 0; i < BASE_COUNT(fields); i++) {
    bool here = wrong && base_same(field, fields[i]);
    put(page, arena_printf(http_arena(r), "%s_error", fields[i]), here ? wrong : NULL);
    if (here) fault(page, arena_printf(http_arena(r), "#%s", fields[i]), wrong);
  }
  if (wrong && !field) fault(page, "#deputy", wrong);
  put_flag(page, "done", http_query(r, "done") != NULL);
  json_decref(absences);
  json_decref(staff);
  page_reply(web_of(r), r, wrong ? 422 : 200, "absence", page);
}

static void get_absence(struct http_req *r) { show_absence(r, NULL, NULL); }

static void post_absence(struct http_req *r) {
  const char *from = value_of(r, "from"), *until = value_of(r, "until");
  struct absence a = {.organisation = organisation_of(r), .username = value_of(r, "username"), .deputy = value_of(r, "deputy"), .key = value_of(r, "key"),
                      .from = from ? date_parse(from) : INT32_MIN, .until = until ? date_parse(until) : INT32_MIN};
  struct err err;
  if (cases_absence(web_of(r)->cases, web_actor(r), &a, &err) == 0)
    http_redirect(r, 303, arena_printf(http_arena(r), "/desk/absence?organisation=%s&done=1", url_quote(r, a.organisation)));
  else if (err.code == ERR_INVALID && a.detail) show_absence(r, a.field, word(http_lang(r), a.detail));
  else http_problem(r, &err, a.detail ? word(http_lang(r), a.detail) : NULL, NULL);
}

static void post_end(struct http_req *r) {
  struct err err;
  if (cases_absence_end(web_of(r)->cases, web_actor(r), http_param(r, "absence"), &err)) return web_error(r, &err);
  http_redirect(r, 303, arena_printf(http_arena(r), "/desk/absence?organisation=%s&done=1", url_quote(r, organisation_of(r))));
}

const struct http_route web_absence_rows[] = {
  {"GET", "/desk/absence", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_absence, "Who is away at a desk, and who stands in."},
  {"POST", "/desk/absence", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_absence, "Record an absence with its deputy."},
  {"POST", "/desk/absence/{absence}/end", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_end, "Back earlier: end an absence."},
};
const size_t web_absence_count = BASE_COUNT(web_absence_rows);
