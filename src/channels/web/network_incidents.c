/* Incidents: the list, one of them, what people do about it. */
#include "channels/web/network.h"

#include <string.h>

static int open_of(struct http_req *r) {
  const char *v = net_query(r, "open");
  return base_same(v, "all") ? -1 : base_same(v, "no") ? 0 : 1;
}

static const char *listed(struct http_req *r, const char *open, const char *before) {
  static const char *const names[] = {"place", "organisation", "office", "kind"};
  const char *to = arena_printf(http_arena(r), "/network/incidents?open=%s", open);
  for (size_t i = 0; i < BASE_COUNT(names) && to; i++)
    if (net_query(r, names[i])) to = arena_printf(http_arena(r), "%s&%s=%s", to, names[i], url_quote(r, net_query(r, names[i])));
  return before ? arena_printf(http_arena(r), "%s&before=%s", to, before) : to;
}

static json_t *views_json(struct http_req *r, int open) {
  static const struct { const char *value, *word; int open; } views[] = {{"yes", "incidents_open", 1}, {"no", "incidents_closed", 0}, {"all", "incidents_all", -1}};
  json_t *list = json_array();
  for (size_t i = 0; i < BASE_COUNT(views); i++) {
    json_t *o = json_object();
    put(o, "href", listed(r, views[i].value, NULL));
    put(o, "name", net_say(r, views[i].word));
    put_flag(o, "here", views[i].open == open);
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *kind_options(struct http_req *r) {
  static const char *const kinds[] = {"down", "degraded", "flapping", "prober"};
  json_t *list = json_array();
  for (size_t i = 0; i < BASE_COUNT(kinds); i++) {
    json_t *o = json_object();
    put(o, "value", kinds[i]);
    put(o, "label", net_say(r, arena_printf(http_arena(r), "kind_%s", kinds[i])));
    put_flag(o, "chosen", base_same(kinds[i], net_query(r, "kind")));
    json_array_append_new(list, o);
  }
  return list;
}

static const char *id_text(struct http_req *r, const json_t *v) {
  return json_is_string(v) ? json_string_value(v) : json_is_integer(v) ? arena_printf(http_arena(r), "%lld", (long long)json_integer_value(v)) : NULL;
}

static bool put_repairs(struct http_req *r, json_t *page, int place) {
  json_t *out = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (network_repairs(net_of(r), cases_today() - 89, cases_today(), place, 10, http_lang(r), &out, &err)) {
    json_decref(list);
    web_error(r, &err);
    return false;
  }
  const json_t *repair = json_object_get(out, "repair"), *acknowledge = json_object_get(out, "acknowledge");
  const json_t *mean = json_object_get(repair, "mean_s"), *median = json_object_get(repair, "median_s"), *taken = json_object_get(acknowledge, "mean_s");
  put(page, "repair_mean", json_is_number(mean) ? net_ago(r, (int64_t)json_number_value(mean) * 1000) : "–");
  put(page, "repair_median", json_is_number(median) ? net_ago(r, (int64_t)json_number_value(median) * 1000) : "–");
  put(page, "acknowledge_mean", json_is_number(taken) ? net_ago(r, (int64_t)json_number_value(taken) * 1000) : "–");
  put_number(r, page, "incidents_90", json_int(out, "incidents", 0));
  json_array_foreach(json_object_get(out, "repeat"), i, one) {
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/network/offices/%s", json_str(one, "office")));
    put(o, "name", json_str(one, "name"));
    put_number(r, o, "count", json_int(one, "incidents", 0));
    put(o, "down", net_ago(r, json_int(one, "down_s", 0) * 1000));
    put(o, "mean", net_ago(r, json_int(one, "mean_s", 0) * 1000));
    put(o, "last", show_day_short(r, json_str(one, "last")));
    json_array_append_new(list, o);
  }
  put_list(page, "repeat", list);
  json_decref(out);
  return true;
}

static void get_incidents(struct http_req *r) {
  bool bad;
  int64_t before = 0;
  struct network_incident_query q = {.open = open_of(r), .place = net_place(r, &bad), .organisation = net_query(r, "organisation"), .office = net_query(r, "office"),
                                     .kind = net_query(r, "kind"), .limit = 50};
  json_t *out = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (bad || (net_query(r, "before") && parse_i64(net_query(r, "before"), &before)) || before < 0) {
    json_decref(list);
    return not_found(r);
  }
  q.before = before;
  if (network_incidents(net_of(r), &q, http_lang(r), &out, &err)) {
    json_decref(list);
    return web_error(r, &err);
  }
  json_t *page = net_page(r, net_say(r, "incidents"), "/network/incidents", false);
  json_array_foreach(json_object_get(out, "items"), i, one) json_array_append_new(list, net_incident_json(r, one));
  const char *next = id_text(r, json_object_get(out, "next"));
  put_list(page, "incidents", list);
  put_list(page, "views", views_json(r, q.open));
  put_list(page, "county_options", net_county_options(r, net_query(r, "place")));
  put_list(page, "kind_options", kind_options(r));
  put(page, "open_value", q.open < 0 ? "all" : q.open ? "yes" : "no");
  put(page, "office", q.office);
  put(page, "office_name", q.office ? net_office_name(r, q.office) : NULL);
  put(page, "next_href", next ? listed(r, q.open < 0 ? "all" : q.open ? "yes" : "no", next) : NULL);
  put(page, "csv_href", arena_printf(http_arena(r), "/network/tables/incidents.csv%s", listed(r, q.open < 0 ? "all" : q.open ? "yes" : "no", NULL) + strlen("/network/incidents")));
  json_decref(out);
  if (put_repairs(r, page, q.place)) net_reply(r, page, "incidents");
  else json_decref(page);
}

/* ---- one ---- */

static const char *event_word(struct http_req *r, const char *kind) {
  const char *key = arena_printf(http_arena(r), "web.net_event_%s", kind ? kind : "");
  return key && word_known(key) ? word(http_lang(r), key) : kind;
}

static json_t *events_json(struct http_req *r, const json_t *events, bool sees) {
  json_t *list = json_array();
  const json_t *one;
  size_t i;
  json_array_foreach(events, i, one) {
    const char *kind = json_str(one, "kind"), *text = json_str(one, "text");
    if (!sees && base_same(kind, "noted")) continue;
    json_t *o = json_object();
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "kind", event_word(r, kind));
    put(o, "who", sees ? json_str(one, "who") : NULL);
    put(o, "text", sees ? text : NULL);
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *members_json(struct http_req *r, const json_t *members) {
  json_t *list = json_array();
  const json_t *one;
  size_t i;
  json_array_foreach(members, i, one) {
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/network/offices/%s", json_str(one, "office")));
    put(o, "name", json_str(one, "name"));
    net_state(r, o, "state", json_str(one, "state"));
    put(o, "from", show_time(r, json_str(one, "from")));
    put(o, "until", json_str(one, "until") ? show_time(r, json_str(one, "until")) : NULL);
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *told_json(struct http_req *r, const json_t *told) {
  json_t *list = json_array();
  const json_t *one;
  size_t i;
  json_array_foreach(told, i, one) {
    json_t *o = json_object();
    const char *channel = json_str(one, "channel");
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "who", json_str(one, "who"));
    put(o, "channel", event_word(r, arena_printf(http_arena(r), "by_%s", channel ? channel : "sms")));
    put_number(r, o, "level", json_int(one, "level", 0));
    json_array_append_new(list, o);
  }
  return list;
}

/* The incident is one's own when its root is, or one of those that it reached. */
static const char *own_part(struct http_req *r, const json_t *incident, bool acts) {
  const struct actor *who = web_actor(r);
  const char *root = json_str(incident, "organisation");
  const json_t *one;
  size_t i;
  if (acts ? net_acts(who, root) : net_sees(who, root)) return root ? root : "";
  if (who->kind != ACTOR_STAFF) return NULL;
  json_array_foreach(json_object_get(incident, "members"), i, one) {
    const char *organisation = net_organisation_of(r, json_str(one, "office"));
    if (organisation && (acts ? net_acts(who, organisation) : actor_in(who, organisation))) return arena_strdup(http_arena(r), organisation);
  }
  return NULL;
}

static bool incident_of(struct http_req *r, json_t **out) {
  struct err err;
  int64_t id = 0;
  if (parse_i64(http_param(r, "incident"), &id) || id <= 0) {
    not_found(r);
    return false;
  }
  if (network_incident(net_of(r), id, http_lang(r), out, &err) == 0) return true;
  if (err.code == ERR_NOT_FOUND) not_found(r);
  else web_error(r, &err);
  return false;
}

static void show_incident(struct http_req *r, const char *wrong) {
  json_t *incident = NULL;
  if (!incident_of(r, &incident)) return;
  bool sees = own_part(r, incident, false) != NULL, acts = own_part(r, incident, true) != NULL, open = json_flag(incident, "open", false);
  json_t *page = net_page(r, word_fill(http_arena(r), http_lang(r), "web.net_incident_of", "name", json_str(incident, "name") ? json_str(incident, "name") : "", NULL), "/network/incidents", true);
  json_t *facts = net_incident_json(r, incident);
  const char *tracking = json_str(incident, "case");
  crumb(page, "/network/incidents", net_say(r, "incidents"));
  if (wrong) fault(page, "#text", wrong);
  put(page, "text_error", wrong);
  put(page, "text", wrong ? http_form_value(r, "text") : NULL);
  json_object_update(page, facts);
  json_decref(facts);
  put(page, "office_href", json_str(incident, "office") && json_str(incident, "office")[0] ? arena_printf(http_arena(r), "/network/offices/%s", json_str(incident, "office")) : NULL);
  put(page, "organisation_name", json_str(incident, "organisation_name"));
  put(page, "ended", json_str(incident, "ended") ? show_time(r, json_str(incident, "ended")) : NULL);
  put(page, "acknowledged_at", json_str(incident, "acknowledged_at") ? show_time(r, json_str(incident, "acknowledged_at")) : NULL);
  put(page, "acknowledged_by", sees ? json_str(incident, "acknowledged_by") : NULL);
  put(page, "case_code", tracking && tracking[0] && sees ? show_code(r, tracking) : NULL);
  put(page, "case_href", tracking && tracking[0] && sees ? arena_printf(http_arena(r), "/cases/%s", tracking) : NULL);
  put_flag(page, "handed", tracking && tracking[0]);
  put(page, "offices_told", net_count(r, "offices", json_int(incident, "offices", 0)));
  put(page, "services", json_int(incident, "services", 0) > 0 ? net_count(r, "services", json_int(incident, "services", 0)) : NULL);
  put(page, "population_told", json_int(incident, "population", 0) > 0 ? net_count(r, "people", json_int(incident, "population", 0)) : NULL);
  put_list(page, "members", members_json(r, json_object_get(incident, "members")));
  int64_t total = json_int(incident, "members_total", 0), shown = (int64_t)json_array_size(json_object_get(incident, "members"));
  put(page, "members_more", total > shown ? word_fill(http_arena(r), http_lang(r), "web.net_more", "n", net_number(r, total - shown), NULL) : NULL);
  put_list(page, "events", events_json(r, json_object_get(incident, "events"), sees));
  put_list(page, "told", sees ? told_json(r, json_object_get(incident, "told")) : json_array());
  put_flag(page, "sees", sees);
  put_flag(page, "acts", acts);
  put_flag(page, "may_acknowledge", acts && open && !json_str(incident, "acknowledged_at"));
  put_flag(page, "may_hand", acts && !(tracking && tracking[0]));
  put(page, "number", arena_printf(http_arena(r), "%lld", (long long)json_int(incident, "id", 0)));
  put(page, "act_href", arena_printf(http_arena(r), "/network/incidents/%lld", (long long)json_int(incident, "id", 0)));
  json_decref(incident);
  put(page, "done", net_query(r, "done") ? net_say(r, "done_act") : NULL);
  net_reply(r, page, "incident");
}

static void get_incident(struct http_req *r) { show_incident(r, NULL); }

static int act_of(const char *name) {
  static const char *const names[] = {"acknowledge", "note", "hand"};
  for (size_t i = 0; i < BASE_COUNT(names); i++)
    if (base_same(names[i], name)) return (int)i;
  return -1;
}

static void post_act(struct http_req *r) {
  static const enum network_act acts[] = {NETWORK_ACKNOWLEDGE, NETWORK_NOTE, NETWORK_HAND};
  struct network_by by;
  struct err err;
  json_t *incident = NULL;
  int act = act_of(http_param(r, "act"));
  const char *text = http_form_value(r, "text"), *organisation;
  if (http_replied(r)) return;
  if (act < 0) return not_found(r);
  if (!incident_of(r, &incident)) return;
  int64_t id = json_int(incident, "id", 0);
  bool sees = own_part(r, incident, false) != NULL;
  organisation = own_part(r, incident, true);
  if (organisation) organisation = arena_strdup(http_arena(r), organisation);
  json_decref(incident);
  if (!organisation || !net_by(web_actor(r), organisation, &by)) return sees ? http_problem_code(r, ERR_FORBIDDEN, net_say(r, "acts_who")) : not_found(r);
  text = text && text[0] ? text_repair(http_arena(r), text) : NULL;
  if (act == 1 && (!text || !text[0])) return show_incident(r, net_say(r, "note_empty"));
  if (text && strlen(text) > NETWORK_NOTE_MOST) return show_incident(r, net_say(r, "note_long"));
  if (network_act(net_of(r), &by, id, acts[act], text && text[0] ? text : NULL, &err))
    return err.code == ERR_CONFLICT ? http_problem(r, &err, net_say(r, "act_conflict"), NULL) : web_error(r, &err);
  http_redirect(r, 303, arena_printf(http_arena(r), "/network/incidents/%lld?done=1", (long long)id));
}

const struct http_route web_network_incident_rows[] = {
  {"GET", "/network/incidents", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_incidents, "Incidents of the network, and how long repairs take."},
  {"GET", "/network/incidents/{incident}", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_incident, "One incident: what it reached, and what was done."},
  {"POST", "/network/incidents/{incident}/{act}", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_act, "Operator or the organisation's manager: acknowledge, note, hand over."},
};
const size_t web_network_incident_count = BASE_COUNT(web_network_incident_rows);
