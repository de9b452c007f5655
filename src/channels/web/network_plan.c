/* Maintenance, people on duty, programs that are told: what operators and managers set for the network. */
#include "channels/web/network.h"
#include "network/people.h"

#include <stdlib.h>
#include <string.h>

/* ---- maintenance ---- */

static json_t *windows_json(struct http_req *r, const json_t *items) {
  json_t *list = json_array();
  const json_t *one;
  size_t i;
  json_array_foreach(items, i, one) {
    json_t *o = json_object();
    const char *state = json_str(one, "state"), *organisation = net_organisation_of(r, json_str(one, "office"));
    put(o, "href", arena_printf(http_arena(r), "/network/offices/%s", json_str(one, "office")));
    put(o, "name", json_str(one, "name"));
    put(o, "from", show_time(r, json_str(one, "from")));
    put(o, "to", show_time(r, json_str(one, "ended_at") ? json_str(one, "ended_at") : json_str(one, "to")));
    put(o, "reason", json_str(one, "reason"));
    put(o, "by", net_sees(web_actor(r), organisation) ? json_str(one, "by") : NULL);
    put(o, "state", net_say(r, arena_printf(http_arena(r), "window_%s", state ? state : "over")));
    put_flag(o, "running", base_same(state, "running"));
    put_number(r, o, "offices", json_int(one, "offices", 0));
    put(o, "end", !base_same(state, "over") && web_actor(r)->kind == ACTOR_STAFF && net_acts(web_actor(r), organisation)
                    ? arena_printf(http_arena(r), "/network/maintenance/%lld/end", (long long)json_int(one, "id", 0)) : NULL);
    json_array_append_new(list, o);
  }
  return list;
}

static void show_maintenance(struct http_req *r, const char *field, const char *wrong) {
  static const char *const boxes[] = {"office", "from_day", "from_hour", "to_day", "to_hour", "reason"};
  struct err err;
  json_t *out = NULL;
  int64_t before = 0;
  const char *typed = strcmp(http_method(r), "POST") == 0 ? NULL : net_query(r, "before");
  if (typed && (parse_i64(typed, &before) || before < 0)) return not_found(r);
  if (network_windows(net_of(r), NULL, NULL, before, 50, http_lang(r), &out, &err)) return web_error(r, &err);
  json_t *page = net_page(r, net_say(r, "maintenance"), "/network/maintenance", true);
  const json_t *next = json_object_get(out, "next");
  put_list(page, "items", windows_json(r, json_object_get(out, "items")));
  put(page, "next_href", json_is_integer(next) ? arena_printf(http_arena(r), "/network/maintenance?before=%lld", (long long)json_integer_value(next)) : json_string_value(next)
                           ? arena_printf(http_arena(r), "/network/maintenance?before=%s", json_string_value(next)) : NULL);
  json_decref(out);
  put_flag(page, "may", net_acts(web_actor(r), NULL));
  for (size_t i = 0; i < BASE_COUNT(boxes); i++) net_box(r, page, boxes[i], field, wrong);
  const char *today = date_short(http_arena(r), LANG_FA, cases_today());
  if (!net_value(r, "from_day")) put(page, "from_day", today);
  if (!net_value(r, "to_day")) put(page, "to_day", today);
  put_flag(page, "done", strcmp(http_method(r), "POST") != 0 && net_query(r, "done"));
  net_reply(r, page, "maintenance");
}

static void get_maintenance(struct http_req *r) { show_maintenance(r, NULL, NULL); }

/* An hour as 22:30 or 22, in whatever digits, as minutes of the day; -1 when it is none. */
static int minutes_of(struct http_req *r, const char *typed) {
  const char *ascii = typed ? digits_ascii(http_arena(r), typed) : NULL;
  int hours = -1, minutes = 0, used = 0;
  if (!ascii || sscanf(ascii, "%2d%n", &hours, &used) != 1) return -1;
  const char *rest = ascii + used;
  used = 0;
  if (rest[0] && (sscanf(rest, ":%2d%n", &minutes, &used) != 1 || rest[used])) return -1;
  return hours >= 0 && hours <= 23 && minutes >= 0 && minutes <= 59 ? hours * 60 + minutes : -1;
}

/* A day and an hour; *wrong: the box that holds none. */
static int64_t moment_of(struct http_req *r, const char *day, const char *hour, const char **wrong) {
  const char *typed = net_value(r, day);
  int32_t number = typed ? date_parse(typed) : INT32_MIN;
  int minutes = minutes_of(r, net_value(r, hour));
  if (number == INT32_MIN) *wrong = day;
  else if (minutes < 0) *wrong = hour;
  return *wrong ? -1 : day_start(number) + (int64_t)minutes * 60000;
}

static void post_maintenance(struct http_req *r) {
  const char *office = net_value(r, "office"), *wrong = NULL;
  struct network_by by;
  struct err err;
  if (http_replied(r)) return;
  const char *code = office ? digits_ascii(http_arena(r), office) : NULL, *organisation = code ? net_organisation_of(r, code) : NULL;
  if (!net_acts(web_actor(r), NULL)) return http_problem_code(r, ERR_FORBIDDEN, net_say(r, "acts_who"));
  if (!organisation || !net_by(web_actor(r), organisation, &by)) return show_maintenance(r, "office", net_say(r, "no_office"));
  struct network_window w = {.office = code, .reason = net_value(r, "reason")};
  w.from = moment_of(r, "from_day", "from_hour", &wrong);
  if (!wrong) w.to = moment_of(r, "to_day", "to_hour", &wrong);
  if (wrong) return show_maintenance(r, wrong, net_say(r, strstr(wrong, "day") ? "bad_day" : "bad_hour"));
  if (w.to <= w.from || w.to - w.from > 31 * INT64_C(86400000)) return show_maintenance(r, "to_hour", net_say(r, "bad_window"));
  if (w.from < clock_now() - 15 * 60000) return show_maintenance(r, "from_hour", net_say(r, "past_window"));
  if (!w.reason || utf8_length(w.reason) < 3 || strlen(w.reason) > NETWORK_NOTE_MOST) return show_maintenance(r, "reason", net_say(r, "bad_reason"));
  if (network_window_put(net_of(r), &by, &w, &err) == 0) return http_redirect(r, 303, "/network/maintenance?done=1");
  if (err.code == ERR_INVALID) return show_maintenance(r, "from_hour", net_say(r, "bad_window"));
  web_error(r, &err);
}

static void post_end(struct http_req *r) {
  struct network_by by;
  struct err err;
  int64_t id = 0;
  if (http_replied(r)) return;
  if (parse_i64(http_param(r, "window"), &id) || id <= 0) return not_found(r);
  if (!net_by_any(web_actor(r), &by)) return http_problem_code(r, ERR_FORBIDDEN, net_say(r, "acts_who"));
  if (network_window_end(net_of(r), &by, id, net_value(r, "reason"), &err) == 0) return http_redirect(r, 303, "/network/maintenance?done=1");
  if (err.code == ERR_CONFLICT) return http_problem(r, &err, net_say(r, "window_conflict"), NULL);
  return err.code == ERR_NOT_FOUND ? not_found(r) : web_error(r, &err);
}

/* ---- people on duty, programs ---- */

/* "" for an operator's province, else the organisation that the manager chose, or their own; NULL when it is not theirs. */
static const char *scope_of(struct http_req *r) {
  const struct actor *who = web_actor(r);
  const char *given = net_value(r, "organisation");
  bool operates = actor_has_role(who, NULL, STAFF_OPERATOR);
  if (!given) {
    struct network_by by;
    if (operates) return "";
    return net_by_any(who, &by) ? by.organisation : NULL;
  }
  if (directory_find_organisation(pack_directory(web_pack(r)), given) < 0) return NULL;
  return net_acts(who, given) ? given : NULL;
}

static const char *organisation_text(struct http_req *r, const char *code) {
  const struct directory *d = pack_directory(web_pack(r));
  const struct organisation *o = code && code[0] ? directory_organisation(d, directory_find_organisation(d, code)) : NULL;
  return o ? organisation_name(o, http_lang(r)) : code && code[0] ? code : net_say(r, "province");
}

static const char *level_text(struct http_req *r, int64_t level) { return net_say(r, arena_printf(http_arena(r), "tell_level_%lld", (long long)level)); }

static json_t *contacts_json(struct http_req *r, const json_t *contacts) {
  json_t *list = json_array();
  const json_t *one;
  size_t i;
  json_array_foreach(contacts, i, one) {
    json_t *o = json_object();
    put(o, "name", json_str(one, "name"));
    put(o, "to", strchr(json_str(one, "to"), '@') ? json_str(one, "to") : local(r, json_str(one, "to")));
    put(o, "level", level_text(r, json_int(one, "level", 0)));
    put(o, "organisation", organisation_text(r, json_str(one, "organisation")));
    put(o, "drop", arena_printf(http_arena(r), "/network/contacts/%s/drop", json_str(one, "id")));
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *hooks_json(struct http_req *r, const json_t *hooks) {
  json_t *list = json_array();
  const json_t *one;
  size_t i;
  json_array_foreach(hooks, i, one) {
    json_t *o = json_object();
    const json_t *last = json_object_get(one, "last");
    put(o, "url", json_str(one, "url"));
    put(o, "organisation", organisation_text(r, json_str(one, "organisation")));
    put_number(r, o, "waiting", json_int(one, "waiting", 0));
    put_number(r, o, "failed", json_int(one, "failed", 0));
    const char *when = json_is_object(last) ? show_time(r, json_str(last, "at")) : NULL;
    int64_t status = json_int(last, "status", 0);
    put(o, "last", !when ? NULL : status ? word_fill(http_arena(r), http_lang(r), "web.net_hook_answered", "at", when, "n", local(r, arena_printf(http_arena(r), "%lld", (long long)status)), NULL)
                                         : word_fill(http_arena(r), http_lang(r), "web.net_hook_silent", "at", when, NULL));
    put(o, "drop", arena_printf(http_arena(r), "/network/hooks/%s/drop", json_str(one, "id")));
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *scope_options(struct http_req *r, const char *scope) {
  const struct actor *who = web_actor(r);
  json_t *list = json_array();
  for (unsigned i = 0; i < who->role_count; i++) {
    if (who->roles[i].role != STAFF_MANAGER) continue;
    json_t *o = json_object();
    put(o, "value", who->roles[i].organisation);
    put(o, "label", organisation_text(r, who->roles[i].organisation));
    put_flag(o, "chosen", base_same(scope, who->roles[i].organisation));
    json_array_append_new(list, o);
  }
  return list;
}

static void show_contacts(struct http_req *r, const char *field, const char *wrong, const char *key) {
  static const char *const boxes[] = {"name", "to", "url"};
  const char *scope = scope_of(r), *chosen = net_value(r, "level");
  bool operates = actor_has_role(web_actor(r), NULL, STAFF_OPERATOR);
  json_t *contacts = NULL, *hooks = NULL, *levels = json_array();
  struct err err;
  if (!scope || network_contacts(web_of(r)->store, operates && !net_value(r, "organisation") ? NULL : scope, &contacts, &err) || (operates && network_hooks(web_of(r)->store, &hooks, &err))) {
    json_decref(contacts);
    json_decref(levels);
    return scope ? web_error(r, &err) : not_found(r);
  }
  json_t *page = net_page(r, net_say(r, "contacts"), "/network/contacts", true);
  put_list(page, "items", contacts_json(r, contacts));
  put_list(page, "hooks", hooks ? hooks_json(r, hooks) : json_array());
  json_decref(contacts);
  json_decref(hooks);
  for (int i = 0; i < 4; i++) {
    json_t *o = json_object();
    const char *value = arena_printf(http_arena(r), "%d", i);
    put(o, "value", value);
    put(o, "label", level_text(r, i));
    put_flag(o, "chosen", base_same(value, chosen));
    json_array_append_new(levels, o);
  }
  put_list(page, "levels", levels);
  put_flag(page, "operates", operates);
  json_t *scopes = scope_options(r, scope);
  put_flag(page, "many_scopes", json_array_size(scopes) > 1);
  put_list(page, "scopes", scopes);
  put(page, "organisation", scope);
  put(page, "scope_name", organisation_text(r, scope));
  put(page, "key", key);
  put_flag(page, "english", base_same(net_value(r, "lang_of"), "en"));
  for (size_t i = 0; i < BASE_COUNT(boxes) && !key; i++) net_box(r, page, boxes[i], field, wrong);
  put_flag(page, "done", strcmp(http_method(r), "POST") != 0 && net_query(r, "done"));
  net_reply(r, page, "contacts");
}

static void get_contacts(struct http_req *r) { show_contacts(r, NULL, NULL, NULL); }

/* The record of the act, in the transaction of what it tells of. */
static int record(struct store_tx *tx, void *ctx, struct err *err) { return identity_act_put(tx, ctx, err); }

static void post_contact(struct http_req *r) {
  const char *scope = scope_of(r), *to = net_value(r, "to"), *level = net_value(r, "level");
  char mobile[32];
  struct err err;
  if (http_replied(r)) return;
  if (!scope) return not_found(r);
  struct network_contact c = {.organisation = scope, .name = net_value(r, "name"), .lang = base_same(net_value(r, "lang_of"), "en") ? LANG_EN : LANG_FA,
                              .level = level && strlen(level) == 1 && level[0] >= '0' && level[0] <= '3' ? level[0] - '0' : 0};
  if (!c.name || utf8_length(c.name) < 2 || utf8_length(c.name) > 80) return show_contacts(r, "name", net_say(r, "bad_name"), NULL);
  if (to && strchr(to, '@')) c.to = cases_mail_address(web_of(r)->cases, to, http_arena(r));
  else if (to && identifier_parse(IDENT_MOBILE, to, mobile) == 0) c.to = mobile;
  if (!c.to || strlen(c.to) > 120) return show_contacts(r, "to", net_say(r, "bad_to"), NULL);
  json_t *detail = json_pack("{s:i,s:s}", "level", c.level, "name", c.name);
  struct act act = {.kind = "network_contact_put", .who = web_actor(r)->username, .organisation = scope, .subject = c.name, .detail = detail};
  int rc = network_contact_put(web_of(r)->store, web_actor(r)->username, &c, record, &act, &err);
  json_decref(detail);
  if (rc == 0) return http_redirect(r, 303, scope[0] ? arena_printf(http_arena(r), "/network/contacts?organisation=%s&done=1", url_quote(r, scope)) : "/network/contacts?done=1");
  if (err.code == ERR_CONFLICT) return show_contacts(r, "to", net_say(r, "twice_to"), NULL);
  if (err.code == ERR_LIMIT) return show_contacts(r, "to", net_say(r, "many_to"), NULL);
  web_error(r, &err);
}

static void post_contact_drop(struct http_req *r) {
  struct network_by by;
  struct err err;
  if (http_replied(r)) return;
  if (!net_by_any(web_actor(r), &by)) return http_problem_code(r, ERR_FORBIDDEN, net_say(r, "acts_who"));
  struct act act = {.kind = "network_contact_drop", .who = by.who, .organisation = by.organisation ? by.organisation : "", .subject = http_param(r, "contact")};
  if (network_contact_drop(web_of(r)->store, by.organisation, http_param(r, "contact"), record, &act, &err)) return err.code == ERR_NOT_FOUND ? not_found(r) : web_error(r, &err);
  http_redirect(r, 303, "/network/contacts?done=1");
}

static void post_hook(struct http_req *r) {
  struct network_hook h = {.organisation = net_value(r, "organisation") ? net_value(r, "organisation") : "", .url = net_value(r, "url")};
  struct err err;
  char key[65];
  if (http_replied(r)) return;
  if (!scope_of(r)) return not_found(r);
  struct act act = {.kind = "network_hook_put", .who = web_actor(r)->username, .organisation = h.organisation, .subject = h.url};
  if (network_hook_put(web_of(r)->store, web_actor(r)->username, web_of(r)->secret, &h, key, record, &act, &err) == 0) return show_contacts(r, NULL, NULL, key);
  if (err.code == ERR_INVALID) return show_contacts(r, "url", net_say(r, "bad_url"), NULL);
  if (err.code == ERR_LIMIT) return show_contacts(r, "url", net_say(r, "many_hooks"), NULL);
  web_error(r, &err);
}

static void post_hook_drop(struct http_req *r) {
  struct err err;
  if (http_replied(r)) return;
  struct act act = {.kind = "network_hook_drop", .who = web_actor(r)->username, .organisation = "", .subject = http_param(r, "hook")};
  if (network_hook_drop(web_of(r)->store, http_param(r, "hook"), record, &act, &err)) return err.code == ERR_NOT_FOUND ? not_found(r) : web_error(r, &err);
  http_redirect(r, 303, "/network/contacts?done=1");
}

const struct http_route web_network_plan_rows[] = {
  {"GET", "/network/maintenance", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_maintenance, "Maintenance of the network: planned, running, over."},
  {"POST", "/network/maintenance", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, FORM_BODY, post_maintenance, "Operator or manager: plan maintenance of an office."},
  {"POST", "/network/maintenance/{window}/end", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, FORM_BODY, post_end, "Operator or manager: end maintenance, or take it away."},
  {"GET", "/network/contacts", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_contacts, "Operator or manager: who is told of incidents; operator: which programs."},
  {"POST", "/network/contacts", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, FORM_BODY, post_contact, "Operator or manager: somebody is told from now on."},
  {"POST", "/network/contacts/{contact}/drop", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, FORM_BODY, post_contact_drop, "Operator or manager: somebody is told no more."},
  {"POST", "/network/hooks", HTTP_WORKER, PERMIT_OPERATOR, HTTP_TOKEN, FORM_BODY, post_hook, "Operator: a program is told from now on; its key is shown once."},
  {"POST", "/network/hooks/{hook}/drop", HTTP_WORKER, PERMIT_OPERATOR, HTTP_TOKEN, FORM_BODY, post_hook_drop, "Operator: a program is told no more."},
};
const size_t web_network_plan_count = BASE_COUNT(web_network_plan_rows);
