/* Administration: what its pages share, staff and their roles, units, sessions. Rights are identity's to judge. */
#include "channels/web/admin.h"

#include <string.h>

const char *admin_value(struct http_req *r, const char *name) {
  const char *v = strcmp(http_method(r), "POST") == 0 ? http_form_value(r, name) : http_query(r, name);
  if (!v || !v[0] || !utf8_valid(v, strlen(v))) return NULL;
  v = text_repair(http_arena(r), v);
  return v && v[0] ? v : NULL;
}

static bool operates(const struct http_req *r) { return actor_has_role(web_actor(r), NULL, STAFF_OPERATOR); }
bool admin_sees_all(const struct http_req *r) { return operates(r) || actor_has_role(web_actor(r), NULL, STAFF_AUDITOR); }

const char *admin_organisation_name(struct http_req *r, const char *code) {
  const struct directory *d = pack_directory(web_pack(r));
  const struct organisation *o = code ? directory_organisation(d, directory_find_organisation(d, code)) : NULL;
  return o ? organisation_name(o, http_lang(r)) : code;
}

bool admin_scope(struct http_req *r, const char **organisation) {
  const struct actor *who = web_actor(r);
  const char *given = admin_value(r, "organisation");
  *organisation = given;
  if (!given && !admin_sees_all(r))
    for (unsigned i = 0; i < who->role_count && !*organisation; i++)
      if (who->roles[i].role == STAFF_MANAGER) *organisation = who->roles[i].organisation;
  if (!*organisation || ((admin_sees_all(r) || identity_manages(who, *organisation)) && directory_find_organisation(pack_directory(web_pack(r)), *organisation) >= 0))
    return true;
  not_found(r);
  return false;
}

const char *admin_href(struct http_req *r, const char *path, const char *organisation) {
  return organisation ? arena_printf(http_arena(r), "%s?organisation=%s", path, url_quote(r, organisation)) : path;
}

static void tab(struct http_req *r, json_t *list, const char *path, const char *word_key, const char *organisation) {
  json_t *o = json_object();
  put(o, "href", admin_href(r, path, organisation));
  put(o, "name", say(r, word_key));
  put_flag(o, "here", base_starts(http_path(r), path));
  json_array_append_new(list, o);
}

/* The organisations of a manager of several; what an operator types. */
static void put_choice(struct http_req *r, json_t *page, const char *organisation) {
  const struct actor *who = web_actor(r);
  json_t *list = json_array(), *found = json_array();
  const char *find = admin_value(r, "find");
  size_t all = 0;
  for (unsigned i = 0; !admin_sees_all(r) && i < who->role_count; i++) {
    if (who->roles[i].role != STAFF_MANAGER) continue;
    json_t *o = json_object();
    put(o, "value", who->roles[i].organisation);
    put(o, "label", admin_organisation_name(r, who->roles[i].organisation));
    put_flag(o, "chosen", base_same(who->roles[i].organisation, organisation));
    json_array_append_new(list, o);
  }
  if (admin_sees_all(r) && find) {
    json_t *options = organisation_options(r, pack_directory(web_pack(r)), -1, find, NULL, &all), *one;
    size_t i;
    json_array_foreach(options, i, one) {
      json_t *o = json_object();
      put(o, "href", admin_href(r, http_path(r), json_str(one, "value")));
      put(o, "label", json_str(one, "label"));
      json_array_append_new(found, o);
    }
    json_decref(options);
  }
  put_flag(page, "chooses", json_array_size(list) > 1);
  put_list(page, "choices", list);
  put_flag(page, "finds", admin_sees_all(r));
  put(page, "find", find);
  put_flag(page, "none_found", find && !all);
  put_flag(page, "find_more", find && all && !json_array_size(found));
  put_list(page, "found", found);
  put(page, "all_href", admin_sees_all(r) && organisation ? http_path(r) : NULL);
}

json_t *admin_page(struct http_req *r, const char *title, const char *organisation) {
  json_t *page = page_new(web_of(r), r, title, true), *tabs = json_array();
  bool acts = identity_manages(web_actor(r), NULL);
  if (acts) tab(r, tabs, "/admin/staff", "admin_staff", organisation);
  if (acts) tab(r, tabs, "/admin/units", "admin_units", organisation);
  if (acts) tab(r, tabs, "/admin/services", "admin_services", organisation);
  if (acts) tab(r, tabs, "/admin/definitions", "admin_definitions", organisation);
  if (acts) tab(r, tabs, "/admin/calendars", "admin_calendars", NULL);
  tab(r, tabs, "/admin/standard", "admin_standard", organisation);
  if (operates(r) && web_of(r)->exchange) tab(r, tabs, "/admin/exchange", "admin_exchange", NULL);
  tab(r, tabs, "/admin/acts", "admin_acts", organisation);
  crumb(page, "/desk", say(r, "desk"));
  put_list(page, "admin_tabs", tabs);
  put(page, "here", http_path(r));
  put(page, "organisation", organisation);
  put(page, "organisation_name", organisation ? admin_organisation_name(r, organisation) : NULL);
  put_flag(page, "operates", operates(r));
  put(page, "detail", NULL);
  put_choice(r, page, organisation);
  return page;
}

json_t *admin_options(struct http_req *r, const char *const *values, size_t n, const char *group, const char *chosen) {
  json_t *list = json_array();
  for (size_t i = 0; i < n; i++) {
    json_t *o = json_object();
    put(o, "value", values[i]);
    put(o, "label", say(r, arena_printf(http_arena(r), "%s_%s", group, values[i])));
    put_flag(o, "chosen", base_same(values[i], chosen));
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *role_options(struct http_req *r, const char *chosen) {
  static const char *const names[] = {"officer", "supervisor", "manager", "agent", "helpdesk", "auditor", "operator"};
  return admin_options(r, names, operates(r) ? 7 : 5, "role", chosen);
}

/* ---- the list of staff ---- */

static json_t *unit_options(struct http_req *r, const char *organisation, const char *chosen) {
  json_t *units = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (!organisation || identity_units(web_of(r)->identity, organisation, &units, &err)) return list;
  json_array_foreach(units, i, one) {
    if (json_flag(one, "closed", false)) continue;
    json_t *o = json_object();
    put(o, "value", json_str(one, "code"));
    put(o, "label", json_str(json_object_get(one, "name"), lang_code(http_lang(r))));
    put_flag(o, "chosen", base_same(json_str(one, "code"), chosen));
    json_array_append_new(list, o);
  }
  json_decref(units);
  return list;
}

static json_t *roles_json(struct http_req *r, const json_t *member) {
  json_t *list = json_array(), *one;
  const json_t *units = json_object_get(member, "units");
  size_t i;
  json_array_foreach(json_object_get(member, "roles"), i, one) {
    const char *organisation = json_str(one, "organisation"), *role = json_str(one, "role");
    json_t *o = json_object();
    put(o, "organisation", organisation);
    put(o, "organisation_name", admin_organisation_name(r, organisation));
    put(o, "role", role);
    put(o, "title", say(r, arena_printf(http_arena(r), "role_%s", role)));
    put(o, "unit", json_str(units, organisation));
    put_flag(o, "mine", identity_manages(web_actor(r), organisation));
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *member_json(struct http_req *r, const json_t *one) {
  json_t *o = json_object();
  const char *username = json_str(one, "username"), *seen = json_str(one, "last_seen");
  put(o, "username", username);
  put(o, "href", arena_printf(http_arena(r), "/admin/staff/%s", url_quote(r, username)));
  put(o, "name", json_str(one, "name"));
  put_list(o, "roles", roles_json(r, one));
  put_flag(o, "disabled", json_flag(one, "disabled", false));
  put_flag(o, "must_change", json_flag(one, "must_change", false));
  put_flag(o, "person_known", json_flag(one, "person_known", false));
  put_flag(o, "totp", json_flag(one, "totp", false));
  put(o, "seen", seen ? show_time(r, seen) : NULL);
  return o;
}

static void show_staff(struct http_req *r, const char *organisation, const struct staff_change *c, int status) {
  struct staff_query q = {.organisation = organisation, .unit = admin_value(r, "unit"), .q = admin_value(r, "q"), .after = admin_value(r, "after")};
  bool post = c != NULL;
  if (post) q.unit = q.q = q.after = NULL;
  json_t *out = NULL, *one, *items = json_array();
  struct err err;
  size_t i;
  if (identity_members(web_of(r)->identity, web_actor(r), &q, &out, &err)) {
    json_decref(items);
    return web_error(r, &err);
  }
  json_array_foreach(json_object_get(out, "items"), i, one) json_array_append_new(items, member_json(r, one));
  const char *next = json_str(out, "next"), *mark = organisation ? "&" : "?";
  json_t *page = admin_page(r, say(r, "admin_staff"), organisation);
  put(page, "next_href", next ? arena_printf(http_arena(r), "%s%safter=%s%s%s", admin_href(r, "/admin/staff", organisation), mark, url_quote(r, next),
                                             q.q ? "&q=" : "", q.q ? url_quote(r, q.q) : "") : NULL);
  put(page, "q", q.q);
  put_list(page, "items", items);
  put_list(page, "unit_options", unit_options(r, organisation, post ? c->unit : q.unit));
  put_list(page, "role_options", role_options(r, post ? admin_value(r, "role") : "officer"));
  put(page, "username", post ? c->username : NULL);
  put(page, "member_name", post ? c->name : NULL);
  put(page, "new_organisation", organisation);
  static const char *const fields[] = {"username", "name", "role", "unit", "organisation"};
  for (i = 0; i < BASE_COUNT(fields); i++) {
    bool wrong = post && c->detail && base_same(c->field, fields[i]);
    put(page, arena_printf(http_arena(r), "%s_error", fields[i]), wrong ? word(http_lang(r), c->detail) : NULL);
    if (wrong) fault(page, arena_printf(http_arena(r), "#new-%s", fields[i]), word(http_lang(r), c->detail));
  }
  json_decref(out);
  page_reply(web_of(r), r, status, "admin_staff", page);
}

static void get_staff(struct http_req *r) {
  const char *organisation;
  if (admin_scope(r, &organisation)) show_staff(r, organisation, NULL, 200);
}

/* The one-time password stands on this page alone. */
static void show_password(struct http_req *r, const struct staff_change *c, const char *organisation) {
  json_t *page = admin_page(r, say(r, c->kind == CHANGE_ADD ? "admin_added" : "admin_reset_done"), organisation);
  put(page, "username", c->username);
  put(page, "password", c->password);
  put(page, "back", arena_printf(http_arena(r), "/admin/staff/%s", url_quote(r, c->username)));
  page_reply(web_of(r), r, 200, "admin_password", page);
}

static void post_staff(struct http_req *r) {
  const char *organisation, *role = admin_value(r, "role");
  if (http_replied(r) || !admin_scope(r, &organisation)) return;
  struct staff_change c = {.kind = CHANGE_ADD, .username = admin_value(r, "username"), .name = admin_value(r, "name"), .organisation = organisation,
                           .unit = admin_value(r, "unit"), .role = staff_role_parse(role)};
  struct err err;
  if (c.username) c.username = digits_ascii(http_arena(r), c.username);
  if (identity_change(web_of(r)->identity, web_actor(r), &c, &err) == 0) return show_password(r, &c, organisation);
  if (!c.detail || err.code == ERR_FORBIDDEN) return http_problem(r, &err, c.detail ? word(http_lang(r), c.detail) : NULL, NULL);
  show_staff(r, organisation, &c, err_status(err.code) == 404 ? 422 : err_status(err.code));
}

/* ---- one member ---- */

static void show_member(struct http_req *r, const char *username, const char *detail, int status) {
  json_t *one = NULL;
  struct err err;
  if (identity_member(web_of(r)->identity, web_actor(r), username, &one, &err)) return web_error(r, &err);
  const char *home = json_str(json_array_get(json_object_get(one, "roles"), 0), "organisation");
  json_t *page = admin_page(r, json_str(one, "name")[0] ? json_str(one, "name") : username, admin_sees_all(r) ? NULL : home), *member = member_json(r, one);
  crumb(page, "/admin/staff", say(r, "admin_staff"));
  put(page, "action", arena_printf(http_arena(r), "/admin/staff/%s", url_quote(r, username)));
  put_flag(page, "self", base_same(username, web_actor(r)->username));
  put_list(page, "role_options", role_options(r, NULL));
  put_list(page, "unit_options", unit_options(r, home, json_str(json_object_get(one, "units"), home)));
  put(page, "home", home);
  put(page, "home_name", admin_organisation_name(r, home));
  put(page, "detail", detail);
  if (detail) fault(page, NULL, detail);
  json_object_set_new(page, "member", member);
  json_decref(one);
  page_reply(web_of(r), r, status, "admin_member", page);
}

static void get_member(struct http_req *r) { show_member(r, http_param(r, "username"), NULL, 200); }

static void post_member(struct http_req *r) {
  const char *username = http_param(r, "username"), *act = admin_value(r, "act"), *role = admin_value(r, "role"), *unit = http_form_value(r, "unit");
  int kind = staff_change_parse(act);
  struct err err;
  if (http_replied(r)) return;
  if (kind < 0 || kind == CHANGE_ADD) return http_problem_code(r, ERR_MALFORMED, NULL);
  struct staff_change c = {.kind = (enum staff_change_kind)kind, .username = username, .organisation = admin_value(r, "organisation"),
                           .unit = kind == CHANGE_UNIT ? (unit ? unit : "") : NULL, .national_id = http_form_value(r, "national_id"), .role = staff_role_parse(role)};
  if (kind == CHANGE_ADD_ROLE && (!c.organisation || directory_find_organisation(pack_directory(web_pack(r)), c.organisation) < 0))
    return show_member(r, username, word(http_lang(r), "admin.organisation"), 422);
  if (identity_change(web_of(r)->identity, web_actor(r), &c, &err)) {
    if (!c.detail) return web_error(r, &err);
    return show_member(r, username, word(http_lang(r), c.detail), err_status(err.code));
  }
  if (c.password[0]) return show_password(r, &c, NULL);
  http_redirect(r, 303, kind == CHANGE_LEAVE ? "/admin/staff" : arena_printf(http_arena(r), "/admin/staff/%s?done=1", url_quote(r, username)));
}

/* ---- units ---- */

static void show_units(struct http_req *r, const char *organisation, const struct unit_change *c, int status) {
  json_t *out = NULL, *one, *items = json_array();
  struct err err;
  size_t i;
  if (organisation && identity_units(web_of(r)->identity, organisation, &out, &err)) {
    json_decref(items);
    return web_error(r, &err);
  }
  json_array_foreach(out, i, one) {
    json_t *o = json_object();
    put(o, "code", json_str(one, "code"));
    put(o, "fa", json_str(json_object_get(one, "name"), "fa"));
    put(o, "en", json_str(json_object_get(one, "name"), "en"));
    put_number(r, o, "members", json_int(one, "members", 0));
    put_flag(o, "closed", json_flag(one, "closed", false));
    put(o, "members_href", arena_printf(http_arena(r), "/admin/staff?organisation=%s&unit=%s", url_quote(r, organisation), json_str(one, "code")));
    json_array_append_new(items, o);
  }
  json_decref(out);
  json_t *page = admin_page(r, say(r, "admin_units"), organisation);
  put_list(page, "items", items);
  put(page, "code", c ? c->code : NULL);
  put(page, "fa", c ? c->name_fa : NULL);
  put(page, "en", c ? c->name_en : NULL);
  put(page, "detail", c && c->detail ? word(http_lang(r), c->detail) : NULL);
  if (c && c->detail) fault(page, c->field ? arena_printf(http_arena(r), "#unit-%s", c->field) : NULL, word(http_lang(r), c->detail));
  page_reply(web_of(r), r, status, "admin_units", page);
}

static void get_units(struct http_req *r) {
  const char *organisation;
  if (admin_scope(r, &organisation)) show_units(r, organisation, NULL, 200);
}

static void post_units(struct http_req *r) {
  const char *organisation;
  struct err err;
  if (http_replied(r) || !admin_scope(r, &organisation)) return;
  struct unit_change c = {.organisation = organisation, .code = admin_value(r, "code"), .name_fa = admin_value(r, "name_fa"), .name_en = admin_value(r, "name_en"),
                          .closed = admin_value(r, "close") != NULL};
  if (identity_unit_put(web_of(r)->identity, web_actor(r), &c, &err) == 0) return http_redirect(r, 303, admin_href(r, "/admin/units", organisation));
  if (!c.detail) return web_error(r, &err);
  show_units(r, organisation, &c, err_status(err.code));
}

/* ---- sessions of many, and the way in ---- */

static void post_sessions(struct http_req *r) {
  const char *organisation;
  int64_t ended = 0;
  struct err err;
  if (http_replied(r) || !admin_scope(r, &organisation)) return;
  if (!admin_value(r, organisation ? "organisation" : "everybody")) return http_problem_code(r, ERR_INVALID, word(http_lang(r), "api.end_whose"));
  if (identity_end_all(web_of(r)->identity, web_actor(r), organisation, &ended, &err)) return web_error(r, &err);
  json_t *page = admin_page(r, say(r, "admin_sessions_ended"), organisation);
  put_number(r, page, "ended", ended);
  put(page, "back", admin_href(r, "/admin/staff", organisation));
  page_reply(web_of(r), r, 200, "admin_ended", page);
}

static void get_admin(struct http_req *r) { http_redirect(r, 303, identity_manages(web_actor(r), NULL) ? "/admin/staff" : "/admin/acts"); }

const struct http_route web_admin_rows[] = {
  {"GET", "/admin", HTTP_INLINE, PERMIT_AUDIT, HTTP_SAFE, 0, get_admin, "Administration: to its first page."},
  {"GET", "/admin/staff", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_staff, "The staff of an organisation, or of all."},
  {"POST", "/admin/staff", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, 8192, post_staff, "A new member of staff, with a password shown once."},
  {"GET", "/admin/staff/{username}", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_member, "One member of staff."},
  {"POST", "/admin/staff/{username}", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, 8192, post_member, "Change roles, unit, password or sessions of a member of staff."},
  {"GET", "/admin/units", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_units, "The units of an organisation."},
  {"POST", "/admin/units", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, 8192, post_units, "Make, rename or close a unit."},
  {"POST", "/admin/sessions", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, 4096, post_sessions, "End the sessions of an organisation's staff, or of all."},
};
const size_t web_admin_count = BASE_COUNT(web_admin_rows);

int web_admin_routes(struct http_server *s, struct web_context *ctx, struct err *err) {
  const struct { const struct http_route *rows; size_t n; } tables[] = {
    {web_admin_rows, web_admin_count}, {web_account_rows, web_account_count}, {web_acts_rows, web_acts_count}, {web_closure_rows, web_closure_count},
    {web_switch_rows, web_switch_count}, {web_standard_rows, web_standard_count},
    {web_proposal_rows, web_proposal_count}, {web_gateway_rows, web_gateway_count}};
  for (size_t i = 0; i < BASE_COUNT(tables); i++)
    if (http_server_routes(s, tables[i].rows, tables[i].n, ctx, err)) return -1;
  return 0;
}
