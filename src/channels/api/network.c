/* The government network for programs. Everybody sees states, measurements and incidents; addresses, notes and names are for those whose offices they are. */
#include "channels/api/inside.h"
#include "network/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct network *net_of(const struct http_req *r) { return api_of(r)->network; }

static const char *filled(const struct http_req *r, const char *name) {
  const char *v = http_query(r, name);
  return v && v[0] ? v : NULL;
}

static const struct directory *directory_of(const struct http_req *r) { return pack_directory(cases_pack(api_of(r)->cases)); }

static bool sees_all(const struct actor *who) { return actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, NULL, STAFF_AUDITOR); }
static bool sees(const struct actor *who, const char *organisation) { return sees_all(who) || (organisation && actor_in(who, organisation)); }
static bool acts(const struct actor *who, const char *organisation) {
  return who->kind == ACTOR_STAFF && (actor_has_role(who, NULL, STAFF_OPERATOR) || (organisation && actor_has_role(who, organisation, STAFF_MANAGER)));
}

/* Index of ?place=, -1 none; -2: there is no such place, so that nothing is there. */
static int place_of(struct http_req *r) {
  const char *code = filled(r, "place");
  int place = code ? directory_find_place(directory_of(r), code) : -1;
  return code && place < 0 ? -2 : place;
}

static void reply_none(struct http_req *r) { http_reply_json(r, 200, json_pack("{s:[],s:n}", "items", "next")); }

/* A word of a closed set: its number, -1 when absent; false after replying 422. */
static bool set_of(struct http_req *r, const char *name, int (*parse)(const char *), int *out) {
  const char *v = filled(r, name);
  *out = v ? parse(v) : -1;
  if (!v || *out >= 0) return true;
  api_fault(r, name, "choice", "api.net_choice");
  return false;
}

static int parse_setting(const char *text) { return strcmp(text, "urban") == 0 ? PLACE_URBAN : strcmp(text, "rural") == 0 ? PLACE_RURAL : -1; }
static int parse_open(const char *text) { return strcmp(text, "true") == 0 || strcmp(text, "1") == 0 ? 1 : strcmp(text, "false") == 0 || strcmp(text, "0") == 0 ? 0 : -1; }

static bool period_of(struct http_req *r, struct period *p) {
  struct err err;
  if (period_parse(filled(r, "period"), cases_today(), p, &err) == 0) return true;
  api_fault(r, "period", "pattern", "api.period");
  return false;
}

/* ---- offices ---- */

static void get_offices(struct http_req *r) {
  struct network_query q = {.place = place_of(r), .organisation = filled(r, "organisation"), .text = filled(r, "q"), .after = api_after(r)};
  struct err err;
  json_t *out = NULL;
  if ((q.limit = api_limit(r)) < 0 || !set_of(r, "state", network_state_parse, &q.state) || !set_of(r, "level", network_level_parse, &q.level) ||
      !set_of(r, "setting", parse_setting, &q.setting))
    return;
  if (q.place == -2) return reply_none(r);
  int rc = network_offices(net_of(r), &q, http_lang(r), &out, &err);
  api_list(r, rc, &out, &err);
}

static void hide(json_t *o, const char *const *names, size_t n) {
  for (size_t i = 0; i < n; i++) json_object_del(o, names[i]);
}

static void get_office(struct http_req *r) {
  static const char *const inner[] = {"address", "checks", "check_results", "prober", "interfaces", "windows"};
  struct err err;
  json_t *out = NULL;
  if (network_office(net_of(r), http_param(r, "code"), http_lang(r), &out, &err)) return api_error(r, &err, NULL, NULL);
  if (!sees(api_actor(r), json_str(out, "organisation"))) hide(out, inner, BASE_COUNT(inner));
  http_reply_json(r, 200, out);
}

static int parse_span(const char *text) {
  static const char *const spans[] = {"hour", "day", "month", "year"};
  for (size_t i = 0; i < BASE_COUNT(spans); i++)
    if (strcmp(spans[i], text) == 0) return (int)i;
  return -1;
}

static void get_series(struct http_req *r) {
  struct err err;
  json_t *out = NULL;
  int span;
  int64_t until = 0;
  if (!set_of(r, "span", parse_span, &span)) return;
  if (filled(r, "until") && (clock_parse(filled(r, "until"), &until) || until <= 0)) return api_fault(r, "until", "pattern", "api.date");
  if (network_series(net_of(r), http_param(r, "code"), span < 0 ? NETWORK_DAY : (enum network_span)span, until, &out, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, out);
}

/* ---- figures ---- */

static json_t *share(double v) { return isnan(v) ? json_null() : json_real(v); }

static json_t *line_json(const struct network_line *l) {
  const struct network_sums *s = &l->sums;
  json_t *o = json_object();
  json_object_set_new(o, "availability", json_pack("{s:o,s:o}", "all", share(network_availability_of(s, 0)), "service", share(network_availability_of(s, 1))));
  json_object_set_new(o, "loss", share(s->sent ? (double)s->lost / (double)s->sent : NAN));
  json_object_set_new(o, "rtt_ms", share(s->rtt_count ? s->rtt_sum / (double)s->rtt_count : NAN));
  json_object_set_new(o, "incidents", json_integer(l->incidents));
  return o;
}

static json_t *period_json(struct period p) {
  char from[16], to[16];
  date_iso(p.from, from);
  date_iso(p.to, to);
  return json_pack("{s:s,s:s}", "from", from, "to", to);
}

static void get_summary(struct http_req *r) {
  struct network_line *lines = NULL;
  struct period p;
  struct err err;
  json_t *out = NULL;
  size_t n = 0;
  int place = place_of(r);
  if (place == -2) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (!period_of(r, &p)) return;
  struct network_availability_query q = {.by = NETWORK_BY_PROVINCE, .from = p.from, .to = p.to, .place = place};
  if (network_summary(net_of(r), place, http_lang(r), &out, &err) || network_availability(net_of(r), &q, &lines, &n, &err)) {
    json_decref(out);
    return api_error(r, &err, NULL, NULL);
  }
  json_object_set_new(out, "period", period_json(p));
  json_object_set_new(out, "figures", n ? line_json(&lines[0]) : json_null());
  network_availability_free(lines, n);
  http_reply_json(r, 200, out);
}

static void get_availability(struct http_req *r) {
  struct network_availability_query q = {.place = place_of(r), .organisation = filled(r, "organisation"), .office = filled(r, "office")};
  struct period p;
  struct err err;
  json_t *out = NULL;
  int by;
  if (!set_of(r, "by", network_group_parse, &by) || !period_of(r, &p)) return;
  if (q.place == -2) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  q.by = by < 0 ? NETWORK_BY_COUNTY : (enum network_group)by;
  q.from = p.from;
  q.to = p.to;
  if (network_availability_json(net_of(r), &q, http_lang(r), &out, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, out);
}

/* Open data, and what indices are made of: county by county, nothing of single offices. */
static json_t *indicator(struct http_req *r, const struct network_line *l, int place, struct period p) {
  struct network_coverage c = {0};
  struct err err;
  json_t *o = line_json(l);
  int32_t day = 0;
  char text[16];
  bool known = network_coverage_in(net_of(r), place, p.from, p.to, &c, &day, &err) == 1;
  const struct network_sums *s = &l->sums;
  int64_t measured = s->up[0] + s->degraded[0] + s->own[0] + s->upstream[0] + s->maintenance[0];
  date_iso(day, text);
  json_put(o, "coverage_on", known ? text : NULL);
  json_object_set_new(o, "measured", share(measured + s->unknown[0] > 0 ? (double)measured / (double)(measured + s->unknown[0]) : NAN));
  json_object_set_new(o, "goal", share(l->goal));
  json_put(o, "place", l->key);
  json_put(o, "name", http_lang(r) == LANG_EN && l->name_en && l->name_en[0] ? l->name_en : l->name_fa);
  json_object_set_new(o, "offices", known ? json_integer(c.offices) : json_null());
  json_object_set_new(o, "offices_connected", known ? json_integer(c.connected) : json_null());
  json_object_set_new(o, "villages_large", known ? json_integer(c.villages_large) : json_null());
  json_object_set_new(o, "villages_connected", known ? json_integer(c.villages_connected) : json_null());
  json_object_set_new(o, "coverage", json_pack("{s:o,s:o}", "offices", share(c.offices ? (double)c.connected / (double)c.offices : NAN), "villages",
                                               share(c.villages_large ? (double)c.villages_connected / (double)c.villages_large : NAN)));
  return o;
}

static void get_indicators(struct http_req *r) {
  struct network_line *lines = NULL;
  struct period p;
  struct err err;
  size_t n = 0;
  int place = place_of(r);
  if (place == -2) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (!period_of(r, &p)) return;
  struct network_availability_query q = {.by = NETWORK_BY_COUNTY, .from = p.from, .to = p.to, .place = place};
  if (network_availability(net_of(r), &q, &lines, &n, &err)) return api_error(r, &err, NULL, NULL);
  json_t *items = json_array();
  for (size_t i = 0; i < n; i++) json_array_append_new(items, indicator(r, &lines[i], directory_find_place(directory_of(r), lines[i].key), p));
  network_availability_free(lines, n);
  json_t *out = json_pack("{s:o,s:s,s:o}", "period", period_json(p), "licence", "https://creativecommons.org/licenses/by/4.0/", "items", items);
  json_put(out, "note", word(http_lang(r), "observatory.net_note"));
  http_reply_json(r, 200, out);
}

/* ---- incidents ---- */

/* Whose the incident is, among those of the caller; NULL nobody's of theirs. */
static const char *own_part(struct http_req *r, const json_t *incident, bool (*right)(const struct actor *who, const char *organisation)) {
  const struct actor *who = api_actor(r);
  const char *root = json_str(incident, "organisation");
  const json_t *one;
  size_t i;
  if (right(who, root)) return root ? root : "";
  if (who->kind != ACTOR_STAFF) return NULL;
  json_array_foreach(json_object_get(incident, "members"), i, one) {
    struct network_office o;
    int node = network_find(net_of(r), json_str(one, "office"));
    if (node < 0 || network_node(net_of(r), node, &o)) continue;
    const struct organisation *organisation = directory_organisation(directory_of(r), o.organisation);
    if (organisation && right(who, organisation->code)) return organisation->code;
  }
  return NULL;
}

static void bare_incident(json_t *o) {
  static const char *const inner[] = {"acknowledged_by", "case", "told"}, *const words[] = {"who", "text", "detail"};
  json_t *one, *events = json_object_get(o, "events");
  hide(o, inner, BASE_COUNT(inner));
  for (size_t i = json_array_size(events); i-- > 0;) {
    one = json_array_get(events, i);
    if (base_same(json_str(one, "kind"), "noted")) json_array_remove(events, i);
    else hide(one, words, BASE_COUNT(words));
  }
}

static void get_incidents(struct http_req *r) {
  struct network_incident_query q = {.place = place_of(r), .organisation = filled(r, "organisation"), .office = filled(r, "office"), .kind = filled(r, "kind")};
  struct err err;
  json_t *out = NULL, *one;
  size_t i;
  if ((q.limit = api_limit(r)) < 0 || !set_of(r, "open", parse_open, &q.open)) return;
  if (api_after(r) && (parse_i64(api_after(r), &q.before) || q.before <= 0)) {
    err_set(&err, ERR_MALFORMED, "next");
    return api_error(r, &err, "api.after", NULL);
  }
  if (q.place == -2) return reply_none(r);
  if (network_incidents(net_of(r), &q, http_lang(r), &out, &err)) return api_error(r, &err, NULL, NULL);
  json_array_foreach(json_object_get(out, "items"), i, one)
    if (!sees(api_actor(r), json_str(one, "organisation"))) bare_incident(one);
  http_reply_json(r, 200, out);
}

static bool incident_of(struct http_req *r, json_t **out) {
  struct err err;
  int64_t id = 0;
  if (parse_i64(http_param(r, "incident"), &id) || id <= 0) http_problem_code(r, ERR_NOT_FOUND, NULL);
  else if (network_incident(net_of(r), id, http_lang(r), out, &err)) api_error(r, &err, NULL, NULL);
  else return true;
  return false;
}

static void get_incident(struct http_req *r) {
  json_t *out = NULL;
  if (!incident_of(r, &out)) return;
  if (!own_part(r, out, sees)) bare_incident(out);
  http_reply_json(r, 200, out);
}

static void post_act(struct http_req *r) {
  static const struct { const char *name; enum network_act act; } names[] = {{"acknowledge", NETWORK_ACKNOWLEDGE}, {"note", NETWORK_NOTE}, {"hand", NETWORK_HAND}};
  const struct actor *who = api_actor(r);
  struct network_by by = {.who = who->username};
  json_t *incident = NULL, *body = http_json(r);
  struct err err;
  const char *wrong = NULL, *text = body ? api_text(body, "text", &wrong) : NULL;
  size_t k = 0;
  if (!body) return;
  while (k < BASE_COUNT(names) && !base_same(names[k].name, http_param(r, "act"))) k++;
  if (k == BASE_COUNT(names)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (wrong) return api_fault(r, "text", "type", "api.type");
  if (!incident_of(r, &incident)) return;
  int64_t id = json_int(incident, "id", 0);
  bool seen = own_part(r, incident, sees) != NULL;
  const char *organisation = own_part(r, incident, acts);
  by.organisation = organisation && !actor_has_role(who, NULL, STAFF_OPERATOR) ? arena_strdup(http_arena(r), organisation) : NULL;
  json_decref(incident);
  if (!organisation) return http_problem_code(r, seen ? ERR_FORBIDDEN : ERR_NOT_FOUND, seen ? word(http_lang(r), "web.net_acts_who") : NULL);
  text = text ? text_repair(http_arena(r), text) : NULL;
  if (names[k].act == NETWORK_NOTE && (!text || !text[0])) return api_fault(r, "text", "required", "web.net_note_empty");
  if (text && strlen(text) > NETWORK_NOTE_MOST) return api_fault(r, "text", "too_long", "web.net_note_long");
  if (network_act(net_of(r), &by, id, names[k].act, text && text[0] ? text : NULL, &err)) return api_error(r, &err, err.code == ERR_CONFLICT ? "web.net_act_conflict" : NULL, NULL);
  json_t *out = NULL;
  if (network_incident(net_of(r), id, http_lang(r), &out, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, out);
}

static void get_windows(struct http_req *r) {
  struct err err;
  json_t *out = NULL, *one;
  size_t i;
  int64_t before = 0;
  int limit = api_limit(r);
  if (limit < 0) return;
  if (api_after(r) && (parse_i64(api_after(r), &before) || before <= 0)) {
    err_set(&err, ERR_MALFORMED, "next");
    return api_error(r, &err, "api.after", NULL);
  }
  if (network_windows(net_of(r), filled(r, "office"), filled(r, "organisation"), before, limit, http_lang(r), &out, &err)) return api_error(r, &err, NULL, NULL);
  static const char *const inner[] = {"by", "ended_by"};
  json_array_foreach(json_object_get(out, "items"), i, one)
    if (!sees_all(api_actor(r))) hide(one, inner, BASE_COUNT(inner));
  http_reply_json(r, 200, out);
}

/* ---- goals ---- */

static void get_goals(struct http_req *r) {
  struct err err;
  json_t *out = NULL, *one;
  size_t i;
  static const char *const inner[] = {"by"};
  if (network_goals(net_of(r), http_lang(r), &out, &err)) return api_error(r, &err, NULL, NULL);
  for (int k = 0; k < 2 && !sees_all(api_actor(r)); k++)
    json_array_foreach(json_object_get(out, k ? "history" : "items"), i, one) hide(one, inner, BASE_COUNT(inner));
  http_reply_json(r, 200, out);
}

static void post_goal(struct http_req *r) {
  json_t *body = http_json(r);
  struct network_by by = {.who = api_actor(r)->username};
  struct network_goal_set g = {0};
  struct err err;
  const char *wrong = NULL;
  if (!body) return;
  const json_t *goal = json_object_get(body, "goal");
  g.level = api_text(body, "level", &wrong);
  g.organisation = api_text(body, "organisation", &wrong);
  g.reason = api_text(body, "reason", &wrong);
  if (wrong) return api_fault(r, wrong, "type", "api.type");
  if (!goal || !(json_is_number(goal) || json_is_null(goal))) return api_fault(r, "goal", goal ? "type" : "required", "api.net_goal");
  g.goal = json_is_null(goal) ? 0 : json_number_value(goal);
  if (json_is_number(goal) && !(g.goal >= 0.9 && g.goal <= 1)) return api_fault(r, "goal", "range", "api.net_goal");
  if (!g.level == !g.organisation) return api_fault(r, "level", "required", "api.net_choice");
  g.reason = g.reason ? text_repair(http_arena(r), g.reason) : NULL;
  if (!g.reason || utf8_length(g.reason) < 3 || strlen(g.reason) > NETWORK_NOTE_MOST) return api_fault(r, "reason", "required", "web.net_bad_reason");
  if (network_goal_put(net_of(r), &by, &g, &err))
    return err.code == ERR_NOT_FOUND ? api_fault(r, g.level ? "level" : "organisation", "choice", "api.net_choice") : api_error(r, &err, NULL, NULL);
  get_goals(r);
}

/* What the demonstration does to its own lines. */
static void get_demonstration(struct http_req *r) {
  struct err err;
  json_t *out = NULL;
  if (network_demo(net_of(r), http_lang(r), &out, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, out);
}

/* ---- for Prometheus ---- */

static const char *own_host(struct http_req *r) {
  const char *base = api_of(r)->base_url, *host = http_header(r, "Host");
  if (!base || !base[0]) return host ? host : "localhost";
  const char *name = strstr(base, "://") ? strstr(base, "://") + 3 : base;
  return arena_printf(http_arena(r), "%.*s", (int)strcspn(name, "/"), name);
}

/* One target a county: its offices are one page of figures, so that nobody scrapes four thousand. */
static void get_targets(struct http_req *r) {
  const struct directory *d = directory_of(r);
  json_t *list = json_array();
  bool secure = base_starts(api_of(r)->base_url ? api_of(r)->base_url : "", "https:");
  for (size_t i = 0; i < directory_places(d); i++) {
    const struct place *p = directory_place(d, (int)i);
    if (p->kind != PLACE_COUNTY) continue;
    json_array_append_new(list, json_pack("{s:[s],s:{s:s,s:s,s:s,s:s,s:s}}", "targets", own_host(r), "labels", "__metrics_path__", "/metrics/network", "__param_place", p->code, "__scheme__",
                                          secure ? "https" : "http", "county", p->code, "county_name", place_name(p, LANG_EN)));
  }
  http_reply_json(r, 200, list);
}

/* ---- what changes, as it happens ---- */

static void get_events(struct http_req *r) {
  char first[96];
  int n = snprintf(first, sizeof first, "retry: 3000\nevent: begin\ndata: {\"cursor\":%lld}\n\n", (long long)network_cursor(net_of(r)));
  http_reply_header(r, "X-Accel-Buffering", "no");
  if (http_reply_feed(r, api_of(r)->network_feed, "text/event-stream", first, (size_t)n)) {
    http_reply_header(r, "Retry-After", "30");
    http_problem_code(r, ERR_UNAVAILABLE, word(http_lang(r), "api.net_watchers"));
  }
}

const struct http_route api_network_rows[] = {
  {"GET", "/api/v1/offices", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_offices, "Offices of the network with their states."},
  {"GET", "/api/v1/offices/{code}", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_office, "One office; its own people see addresses and interfaces too."},
  {"GET", "/api/v1/offices/{code}/series", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_series, "Round-trip times and loss over an hour, day, month or year."},
  {"GET", "/api/v1/network/summary", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_summary, "States now and availability of a period, of the province or a place."},
  {"GET", "/api/v1/network/availability", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_availability, "Availability by county, setting, level, organisation or office."},
  {"GET", "/api/v1/network/indicators", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_indicators, "Coverage, availability and quality by county: open data."},
  {"GET", "/api/v1/network/incidents", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_incidents, "Incidents, newest first."},
  {"GET", "/api/v1/network/incidents/{incident}", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_incident, "One incident with what it reached."},
  {"POST", "/api/v1/network/incidents/{incident}/{act}", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 16 * 1024, post_act, "Operator or the organisation's manager: acknowledge, note, hand over."},
  {"GET", "/api/v1/network/maintenance", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_windows, "Maintenance: planned, running, over."},
  {"GET", "/api/v1/network/goals", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_goals, "Goals of availability, and what is left of the downtime that they allow."},
  {"POST", "/api/v1/network/goals", HTTP_WORKER, PERMIT_OPERATOR, HTTP_BEARER, 16 * 1024, post_goal, "Operator: set a goal, with a reason."},
  {"GET", "/api/v1/network/demonstration", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_demonstration, "Which lines the demonstration cuts, now and next."},
  {"GET", "/api/v1/network/targets", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_targets, "Where Prometheus finds the figures of offices (http_sd)."},
  {"GET", "/api/v1/network/events", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_events, "Changes as server-sent events."},
};
const size_t api_network_count = BASE_COUNT(api_network_rows);
