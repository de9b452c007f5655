/* The government network for people: what its pages share, the beginning, the offices. */
#include "channels/web/network.h"
#include "channels/web/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct network *net_of(const struct http_req *r) { return web_of(r)->network; }

const char *net_say(const struct http_req *r, const char *key) {
  char full[96];
  snprintf(full, sizeof full, "web.net_%s", key);
  return word(http_lang(r), full);
}

const char *net_query(struct http_req *r, const char *name) {
  const char *v = http_query(r, name);
  return v && v[0] ? v : NULL;
}

const char *net_number(struct http_req *r, int64_t n) { return number_format(http_arena(r), http_lang(r), n); }

const char *net_count(struct http_req *r, const char *what, int64_t n) {
  const char *key = arena_printf(http_arena(r), "web.net_%s_%s", n == 1 ? "one" : "many", what);
  return key ? word_fill(http_arena(r), http_lang(r), key, "n", net_number(r, n), NULL) : "";
}

/* ---- who ---- */

bool net_sees_all(const struct actor *who) { return actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, NULL, STAFF_AUDITOR); }
bool net_sees(const struct actor *who, const char *organisation) { return net_sees_all(who) || (organisation && actor_in(who, organisation)); }

bool net_acts(const struct actor *who, const char *organisation) {
  return actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, organisation, STAFF_MANAGER);
}

bool net_by(const struct actor *who, const char *organisation, struct network_by *by) {
  if (who->kind != ACTOR_STAFF || !net_acts(who, organisation)) return false;
  *by = (struct network_by){.who = who->username, .organisation = actor_has_role(who, NULL, STAFF_OPERATOR) ? NULL : organisation};
  return true;
}

bool net_by_any(const struct actor *who, struct network_by *by) {
  *by = (struct network_by){.who = who->username};
  if (who->kind != ACTOR_STAFF) return false;
  if (actor_has_role(who, NULL, STAFF_OPERATOR)) return true;
  for (unsigned i = 0; i < who->role_count && !by->organisation; i++)
    if (who->roles[i].role == STAFF_MANAGER) by->organisation = who->roles[i].organisation;
  return by->organisation != NULL;
}

/* ---- pages ---- */

static const char *asset(struct http_req *r, const char *name) {
  const struct embedded *e = embedded_find(name);
  return arena_printf(http_arena(r), "/%s?v=%.10s", name, e ? e->sha256 : "0");
}

json_t *net_page(struct http_req *r, const char *title, const char *here, bool form) {
  static const struct { const char *path, *word; } tabs[] = {{"/network", "tab_now"}, {"/network/map", "tab_map"}, {"/network/offices", "tab_offices"},
    {"/network/incidents", "tab_incidents"}, {"/network/compare", "tab_compare"}, {"/network/tree", "tab_tree"}, {"/network/goals", "tab_goals"}, {"/network/growth", "tab_growth"},
    {"/network/maintenance", "tab_maintenance"}, {"/network/contacts", "tab_contacts"}, {"/network/probers", "tab_probers"}};
  json_t *page = page_new(web_of(r), r, title, form), *list = json_array();
  for (size_t i = 0; i < BASE_COUNT(tabs); i++) {
    if (strcmp(tabs[i].path, "/network/contacts") == 0 && !net_acts(web_actor(r), NULL)) continue;
    if (strcmp(tabs[i].path, "/network/probers") == 0 && !actor_has_role(web_actor(r), NULL, STAFF_OPERATOR)) continue;
    json_t *o = json_object();
    put(o, "href", tabs[i].path);
    put(o, "name", net_say(r, tabs[i].word));
    put_flag(o, "here", strcmp(tabs[i].path, here) == 0);
    json_array_append_new(list, o);
  }
  put_list(page, "net_tabs", list);
  put(page, "heading", title);
  put(page, "net_css", asset(r, "assets/network.css"));
  put(page, "net_js", asset(r, "assets/network.js"));
  put(page, "trouble", NULL);
  struct network_probing p;
  network_probing(net_of(r), &p);
  if (p.trouble[0]) put(page, "trouble", word(http_lang(r), p.trouble));
  return page;
}

void net_reply(struct http_req *r, json_t *page, const char *name) {
  page_reply(web_of(r), r, json_object_get(page, "has_faults") == json_true() ? 422 : 200, arena_printf(http_arena(r), "network_%s", name), page);
}

/* ---- forms ---- */

const char *net_value(struct http_req *r, const char *name) {
  const char *v = strcmp(http_method(r), "POST") == 0 ? http_form_value(r, name) : http_query(r, name);
  v = v && v[0] && utf8_valid(v, strlen(v)) ? text_repair(http_arena(r), v) : NULL;
  return v && v[0] ? v : NULL;
}

void net_box(struct http_req *r, json_t *page, const char *field, const char *wrong_field, const char *wrong) {
  const char *here = wrong && base_same(field, wrong_field) ? wrong : NULL;
  put(page, field, net_value(r, field));
  put(page, arena_printf(http_arena(r), "%s_error", field), here);
  if (here) fault(page, arena_printf(http_arena(r), "#%s", field), here);
}

/* ---- showing ---- */

static const char *state_word(struct http_req *r, const char *state) {
  const char *key = arena_printf(http_arena(r), "web.net_state_%s", state ? state : "unknown");
  return key ? word(http_lang(r), key) : "";
}

void net_state(struct http_req *r, json_t *o, const char *key, const char *state) {
  json_t *one = json_object();
  put(one, "name", state ? state : "unknown");
  put(one, "word", state_word(r, state));
  json_object_set_new(o, key, one);
}

int net_rank(const char *state) {
  static const char *const order[] = {"unknown", "up", "maintenance", "degraded", "unreachable", "down"};
  for (size_t i = 0; i < BASE_COUNT(order); i++)
    if (base_same(order[i], state)) return (int)i;
  return 0;
}

const char *net_level(struct http_req *r, const char *level) {
  const char *key = arena_printf(http_arena(r), "web.net_level_%s", level ? level : "office");
  return key ? word(http_lang(r), key) : "";
}

const char *net_ago(struct http_req *r, int64_t ms) {
  int64_t minutes = ms / 60000, hours = minutes / 60, days = hours / 24;
  struct arena *a = http_arena(r);
  enum lang l = http_lang(r);
  if (days) return word_fill(a, l, "web.net_days_hours", "d", net_number(r, days), "h", net_number(r, hours % 24), NULL);
  if (hours) return word_fill(a, l, "web.net_hours_minutes", "h", net_number(r, hours), "m", net_number(r, minutes % 60), NULL);
  if (minutes) return word_fill(a, l, "web.net_minutes", "m", net_number(r, minutes), NULL);
  return word_fill(a, l, "web.net_seconds", "s", net_number(r, ms < 0 ? 0 : ms / 1000), NULL);
}

int64_t net_time(const json_t *o, const char *key) {
  int64_t ms;
  const char *text = json_str(o, key);
  return text && clock_parse(text, &ms) == 0 ? ms : 0;
}

const char *net_since(struct http_req *r, const char *rfc3339) {
  int64_t ms;
  return rfc3339 && clock_parse(rfc3339, &ms) == 0 && ms > 0 ? net_ago(r, clock_now() - ms) : NULL;
}

const char *net_percent(struct http_req *r, double share, int places) {
  if (isnan(share)) return "–";
  double least = pow(10, -places), shown = share * 100;
  if (share >= 1 || share <= 0) places = 0;
  if (share < 1 && shown > 100 - least) shown = 100 - least; /* what is not whole is not rounded to whole */
  return number_percent(http_arena(r), http_lang(r), shown, places);
}

const char *net_ms(struct http_req *r, const json_t *v) { return net_ms_of(r, json_is_number(v) ? json_number_value(v) : NAN); }

const char *net_ms_of(struct http_req *r, double ms) {
  if (isnan(ms)) return "–";
  return number_decimal(http_arena(r), http_lang(r), ms, ms < 1 ? 2 : ms < 100 ? 1 : 0);
}

json_t *net_states_json(struct http_req *r, const json_t *states, const char *base) {
  json_t *list = json_array();
  for (int s = 0; s < NETWORK_STATES; s++) {
    const char *name = network_state_text((enum network_state)s);
    json_t *o = json_object();
    net_state(r, o, "state", name);
    put_number(r, o, "count", json_int(states, name, 0));
    put(o, "href", base ? arena_printf(http_arena(r), "%s%cstate=%s", base, strchr(base, '?') ? '&' : '?', name) : NULL);
    put_flag(o, "alarm", json_int(states, name, 0) > 0 && (s == NETWORK_DOWN || s == NETWORK_UNREACHABLE));
    json_array_append_new(list, o);
  }
  return list;
}

static void add_option(json_t *list, const char *value, const char *label, const char *chosen) {
  json_t *o = json_object();
  put(o, "value", value);
  put(o, "label", label);
  put_flag(o, "chosen", base_same(value, chosen));
  json_array_append_new(list, o);
}

json_t *net_county_options(struct http_req *r, const char *chosen) {
  const struct directory *d = pack_directory(web_pack(r));
  json_t *list = json_array();
  for (size_t i = 0; i < directory_places(d); i++) {
    const struct place *p = directory_place(d, (int)i);
    if (p->kind == PLACE_COUNTY) add_option(list, p->code, place_name(p, http_lang(r)), chosen);
  }
  return list;
}

int net_place(struct http_req *r, bool *bad) {
  const char *code = net_query(r, "place");
  int place = code ? directory_find_place(pack_directory(web_pack(r)), code) : -1;
  *bad = code && place < 0;
  return place;
}

const char *net_office_name(struct http_req *r, const char *code) {
  struct network_office o;
  int node = code ? network_find(net_of(r), code) : -1;
  if (node < 0 || network_node(net_of(r), node, &o)) return code;
  return http_lang(r) == LANG_EN && o.name_en[0] ? o.name_en : o.name_fa;
}

const char *net_organisation_of(struct http_req *r, const char *office) {
  struct network_office o;
  int node = office ? network_find(net_of(r), office) : -1;
  if (node < 0 || network_node(net_of(r), node, &o)) return NULL;
  const struct organisation *organisation = directory_organisation(pack_directory(web_pack(r)), o.organisation);
  return organisation ? organisation->code : NULL;
}

json_t *net_incident_json(struct http_req *r, const json_t *one) {
  json_t *o = json_object();
  bool open = json_flag(one, "open", false);
  const char *kind = json_str(one, "kind");
  put(o, "href", arena_printf(http_arena(r), "/network/incidents/%lld", (long long)json_int(one, "id", 0)));
  put_number(r, o, "id", json_int(one, "id", 0));
  put(o, "kind", net_say(r, arena_printf(http_arena(r), "kind_%s", kind ? kind : "down")));
  put(o, "name", json_str(one, "name") ? json_str(one, "name") : json_str(one, "office"));
  const char *name = json_str(one, "name"), *at = json_str(one, "place_name");
  put(o, "place", at && name && !strstr(name, at) ? at : NULL);
  put(o, "began", show_time(r, json_str(one, "began")));
  put(o, "lasted", net_ago(r, json_int(one, "duration_s", 0) * 1000));
  put_flag(o, "open", open);
  put_flag(o, "acknowledged", json_str(one, "acknowledged_at") != NULL);
  put_number(r, o, "offices", json_int(one, "offices", 0));
  put_number(r, o, "reached", json_int(one, "reached", 0));
  put(o, "population", json_int(one, "population", 0) > 0 ? net_number(r, json_int(one, "population", 0)) : NULL);
  return o;
}

/* ---- counties, as a table and as a map ---- */

static int64_t cut_of(const json_t *states) { return json_int(states, "down", 0) + json_int(states, "unreachable", 0); }

/* Of what is measured, so many are cut: 0 none, then up to 1, 5, 20 per cent, and above. */
static int step_of(const json_t *states, int64_t offices) {
  int64_t known = offices - json_int(states, "unknown", 0);
  double share = known > 0 ? (double)cut_of(states) / (double)known : 0;
  if (known <= 0) return -1;
  return cut_of(states) == 0 ? 0 : share <= 0.01 ? 1 : share <= 0.05 ? 2 : share <= 0.20 ? 3 : 4;
}

json_t *net_counties_json(struct http_req *r, const json_t *summary) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(json_object_get(summary, "counties"), i, one) {
    json_t *o = json_object();
    const json_t *states = json_object_get(one, "states");
    int step = step_of(states, json_int(one, "offices", 0));
    put(o, "name", json_str(one, "name"));
    put(o, "href", arena_printf(http_arena(r), "/network/map?place=%s", json_str(one, "code")));
    put_number(r, o, "offices", json_int(one, "offices", 0));
    put_number(r, o, "up", json_int(states, "up", 0));
    put_number(r, o, "degraded", json_int(states, "degraded", 0));
    put_number(r, o, "cut", cut_of(states));
    put_number(r, o, "maintenance", json_int(states, "maintenance", 0));
    put_number(r, o, "unknown", json_int(states, "unknown", 0));
    put(o, "step", step < 0 ? "none" : arena_printf(http_arena(r), "step%d", step));
    json_array_append_new(list, o);
  }
  return list;
}

struct gather { struct http_req *r; struct map_point *points; size_t count, room; int within; bool links; };

/* Villages have no position of their own here: they stand at their district, or their county. */
static bool position(const struct directory *d, const struct network_office *o, double *lon, double *lat) {
  if (!isnan(o->lat) && !isnan(o->lon)) {
    *lon = o->lon;
    *lat = o->lat;
    return true;
  }
  for (int at = o->place; at >= 0; at = directory_place(d, at)->parent) {
    const struct place *p = directory_place(d, at);
    if (p->kind == PLACE_PROVINCE || isnan(p->lat) || isnan(p->lon)) continue;
    *lon = p->lon;
    *lat = p->lat;
    return true;
  }
  return false;
}

static bool gather_one(void *ctx, const struct network_office *o) {
  struct gather *g = ctx;
  const struct directory *d = pack_directory(web_pack(g->r));
  double lon, lat;
  if (g->within >= 0 && !directory_within(d, o->place, g->within)) return true;
  if (g->within < 0 && (o->state == NETWORK_UP || o->state == NETWORK_UNKNOWN)) return true; /* of the province, only where something is wrong */
  if (!position(d, o, &lon, &lat)) return true;
  if (g->count == g->room) g->points = base_realloc(g->points, (g->room = g->room ? g->room * 2 : 256) * sizeof *g->points);
  g->points[g->count++] = (struct map_point){.lon = lon, .lat = lat, .state = network_state_text(o->state), .count = 1, .text = "",
    .title = http_lang(g->r) == LANG_EN && o->name_en[0] ? o->name_en : o->name_fa, .href = o->code};
  return true;
}

/* What is said of a point, once it is known how many it stands for. */
static void name_points(struct gather *g, const char *list) {
  struct arena *a = http_arena(g->r);
  for (size_t i = 0; i < g->count; i++) {
    struct map_point *p = &g->points[i];
    bool many = p->count > 1;
    const char *code = p->href;
    p->href = many ? list : g->links ? arena_printf(a, "/network/offices/%s", code) : NULL;
    p->text = many ? net_number(g->r, p->count) : "";
    p->title = many ? word_fill(a, http_lang(g->r), "web.net_map_many", "n", net_number(g->r, p->count), "state", state_word(g->r, p->state), NULL)
                    : arena_printf(a, "%s: %s", p->title, state_word(g->r, p->state));
    if (!p->title) p->title = "";
  }
}

static struct map_area *areas_of(struct http_req *r, const json_t *summary, int within, bool links, size_t *count) {
  const struct directory *d = pack_directory(web_pack(r));
  const json_t *counties = json_object_get(summary, "counties");
  struct map_area *areas = arena_alloc(http_arena(r), (json_array_size(counties) + 1) * sizeof *areas);
  json_t *one;
  size_t i;
  *count = 0;
  json_array_foreach((json_t *)(uintptr_t)counties, i, one) {
    const json_t *states = json_object_get(one, "states");
    int place = directory_find_place(d, json_str(one, "code"));
    if (!areas || place < 0) continue;
    int64_t cut = cut_of(states);
    areas[(*count)++] = (struct map_area){.place = place, .step = step_of(states, json_int(one, "offices", 0)),
      .text = within >= 0 ? "" : net_number(r, cut), .href = links && place != within ? arena_printf(http_arena(r), "/network/map?place=%s", json_str(one, "code")) : NULL,
      .title = word_fill(http_arena(r), http_lang(r), "web.net_map_county", "name", json_str(one, "name"), "cut", net_number(r, cut), "all", net_number(r, json_int(one, "offices", 0)), NULL)};
  }
  return areas;
}

char *net_map(struct http_req *r, const json_t *summary, int within, const char *label, bool links) {
  const struct directory *d = pack_directory(web_pack(r));
  struct map_frame f;
  struct map_view v = {.label = label, .within = within, .names = true, .lang = http_lang(r)};
  struct gather g = {.r = r, .within = within, .links = links};
  v.areas = areas_of(r, summary, within, links, &v.area_count);
  if (!map_frame_of(d, within, &f)) return base_strdup("");
  network_each(net_of(r), gather_one, &g);
  g.count = map_cluster(&f, g.points, g.count, within < 0 ? 24 : 30, net_rank);
  name_points(&g, within < 0 ? links ? "/network/incidents" : NULL : arena_printf(http_arena(r), "/network/offices?place=%s", directory_place(d, within)->code));
  v.points = g.points;
  v.point_count = g.count;
  char *svg = map_draw(d, &v);
  free(g.points);
  return svg;
}

/* ---- the beginning ---- */

static json_t *open_incidents(struct http_req *r, int place, int limit, struct err *err) {
  struct network_incident_query q = {.open = 1, .place = place, .limit = limit};
  json_t *out = NULL, *list = json_array(), *one;
  size_t i;
  if (network_incidents(net_of(r), &q, http_lang(r), &out, err)) {
    json_decref(list);
    return NULL;
  }
  json_array_foreach(json_object_get(out, "items"), i, one) json_array_append_new(list, net_incident_json(r, one));
  json_decref(out);
  return list;
}

/* The hour of a moment, as it stands in whole. */
static const char *hour_text(struct http_req *r, const char *rfc3339) {
  const char *whole = show_time(r, rfc3339), *hour = strrchr(whole, ' ');
  return hour ? hour + 1 : whole;
}

/* What the demonstration does to its own lines, and what should be seen of it. */
static void put_schedule(struct http_req *r, json_t *page) {
  json_t *out = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (network_demo(net_of(r), http_lang(r), &out, &err) == 0)
    json_array_foreach(json_object_get(out, "cut"), i, one) {
      json_t *o = json_object();
      put(o, "href", arena_printf(http_arena(r), "/network/offices/%s", json_str(one, "office")));
      put(o, "name", json_str(one, "name"));
      put(o, "what", net_say(r, base_same(json_str(one, "kind"), "cut") ? "demo_cut" : "demo_loss"));
      put_flag(o, "is", json_flag(one, "now", false));
      put(o, "in", net_ago(r, net_time(one, "from") - clock_now()));
      put(o, "from", hour_text(r, json_str(one, "from")));
      put(o, "until", hour_text(r, json_str(one, "until")));
      put_number(r, o, "offices", json_int(one, "offices", 1));
      put(o, "within", net_ago(r, json_int(one, "seen_within_s", 0) * 1000));
      net_state(r, o, "state", json_str(one, "state"));
      json_array_append_new(list, o);
    }
  json_decref(out);
  put_list(page, "schedule", list);
}

/* What the beginning and the wall show alike. NULL after replying. */
static json_t *now_page(struct http_req *r, const char *title, const char *here, int place, int incidents, bool links) {
  struct err err;
  const char *cursor = arena_printf(http_arena(r), "%lld", (long long)network_cursor(net_of(r))); /* before the rest is read: nothing is missed */
  json_t *sum = NULL, *list = NULL;
  if (network_summary(net_of(r), place, http_lang(r), &sum, &err) || !(list = open_incidents(r, place, incidents, &err))) {
    json_decref(sum);
    web_error(r, &err);
    return NULL;
  }
  json_t *page = net_page(r, title, here, false);
  const json_t *states = json_object_get(sum, "states"), *open = json_object_get(sum, "incidents");
  char *svg = net_map(r, sum, -1, net_say(r, "map_label"), links);
  put(page, "svg", svg);
  free(svg);
  put(page, "attribution", directory_attribution(pack_directory(web_pack(r))));
  put(page, "cursor", cursor);
  put_list(page, "states", net_states_json(r, states, links ? "/network/offices" : NULL));
  put_number(r, page, "offices", json_int(sum, "offices", 0));
  put_number(r, page, "connected", json_int(sum, "connected", 0));
  put_number(r, page, "open", json_int(open, "open", 0));
  put_number(r, page, "unacknowledged", json_int(open, "open", 0) - json_int(open, "acknowledged", 0));
  put_flag(page, "has_open", json_int(open, "open", 0) > 0);
  put_list(page, "incidents", list);
  put_list(page, "counties", net_counties_json(r, sum));
  put(page, "at", datetime_short(http_arena(r), http_lang(r), clock_now()));
  json_decref(sum);
  return page;
}

static void get_network(struct http_req *r) {
  json_t *page = now_page(r, net_say(r, "title"), "/network", -1, 8, true);
  if (!page) return;
  put_schedule(r, page);
  put_list(page, "alarms", net_alarms(r));
  net_reply(r, page, "now");
}

static void get_wall(struct http_req *r) {
  json_t *page = now_page(r, net_say(r, "wall"), "/network/wall", -1, 14, false);
  if (page) net_reply(r, page, "wall");
}

static void get_map(struct http_req *r) {
  struct err err;
  json_t *sum = NULL;
  bool bad;
  int place = net_place(r, &bad);
  const struct directory *d = pack_directory(web_pack(r));
  if (bad) return not_found(r);
  int county = place >= 0 ? directory_ancestor(d, place, PLACE_COUNTY) : -1;
  const char *cursor = arena_printf(http_arena(r), "%lld", (long long)network_cursor(net_of(r)));
  if (network_summary(net_of(r), -1, http_lang(r), &sum, &err)) return web_error(r, &err);
  const char *name = county >= 0 ? place_name(directory_place(d, county), http_lang(r)) : NULL;
  json_t *page = net_page(r, name ? word_fill(http_arena(r), http_lang(r), "web.net_map_of", "name", name, NULL) : net_say(r, "map"), "/network/map", false), *here = NULL;
  char *svg = net_map(r, sum, county, net_say(r, "map_label"), true);
  put(page, "svg", svg);
  free(svg);
  if (county >= 0) crumb(page, "/network/map", net_say(r, "map"));
  put(page, "cursor", cursor);
  put_flag(page, "whole", county < 0);
  put(page, "place", county >= 0 ? directory_place(d, county)->code : NULL);
  put(page, "points_href", arena_printf(http_arena(r), "/network/points%s%s", county >= 0 ? "?place=" : "", county >= 0 ? directory_place(d, county)->code : ""));
  put(page, "attribution", directory_attribution(d));
  if (county >= 0 && network_summary(net_of(r), county, http_lang(r), &here, &err) == 0)
    put_list(page, "states", net_states_json(r, json_object_get(here, "states"), arena_printf(http_arena(r), "/network/offices?place=%s", directory_place(d, county)->code)));
  else put_list(page, "states", net_states_json(r, json_object_get(sum, "states"), "/network/offices"));
  json_decref(here);
  put_list(page, "counties", net_counties_json(r, sum));
  json_decref(sum);
  struct network_availability_query q = {.by = NETWORK_BY_COUNTY, .place = county};
  if (county < 0 || net_put_budget(r, page, q, NULL)) net_reply(r, page, "map");
  else json_decref(page);
}

/* ---- points for the script ---- */

struct pointing { struct http_req *r; json_t *list; int within; };

static bool point_one(void *ctx, const struct network_office *o) {
  struct pointing *p = ctx;
  const struct directory *d = pack_directory(web_pack(p->r));
  double lon, lat;
  if ((p->within >= 0 && !directory_within(d, o->place, p->within)) || !position(d, o, &lon, &lat)) return true;
  json_array_append_new(p->list, json_pack("[f,f,i,i,s,s]", round(lon * 1e4) / 1e4, round(lat * 1e4) / 1e4, (int)o->state, (int)o->level, o->code,
                                           http_lang(p->r) == LANG_EN && o->name_en[0] ? o->name_en : o->name_fa));
  return true;
}

static void get_points(struct http_req *r) {
  bool bad;
  struct pointing p = {.r = r, .within = net_place(r, &bad)};
  struct map_frame f;
  char etag[48];
  if (bad || !map_frame_of(pack_directory(web_pack(r)), p.within, &f)) return not_found(r);
  snprintf(etag, sizeof etag, "%lld-%d-%s", (long long)network_cursor(net_of(r)), p.within, lang_code(http_lang(r)));
  if (http_not_modified(r, etag, "no-cache")) return;
  p.list = json_array();
  network_each(net_of(r), point_one, &p);
  json_t *states = json_array(), *words = json_array();
  for (int s = 0; s < NETWORK_STATES; s++) {
    json_array_append_new(states, json_string(network_state_text((enum network_state)s)));
    json_array_append_new(words, json_string(state_word(r, network_state_text((enum network_state)s))));
  }
  json_t *o = json_pack("{s:[f,f,f,f],s:o,s:o,s:o}", "frame", f.west, f.north, f.scale_x, f.scale_y, "states", states, "words", words, "points", p.list);
  http_reply_json(r, 200, o);
}

/* ---- offices ---- */

static int parse_in(struct http_req *r, const char *name, int (*parse)(const char *)) {
  const char *v = net_query(r, name);
  return v ? parse(v) : -1;
}

static int parse_setting(const char *text) { return strcmp(text, "urban") == 0 ? PLACE_URBAN : strcmp(text, "rural") == 0 ? PLACE_RURAL : -1; }

static bool take_offices(struct http_req *r, struct network_query *q) {
  bool bad;
  *q = (struct network_query){.place = net_place(r, &bad), .organisation = net_query(r, "organisation"), .state = parse_in(r, "state", network_state_parse),
    .level = parse_in(r, "level", network_level_parse), .setting = parse_in(r, "setting", parse_setting), .text = net_query(r, "q"), .after = net_query(r, "after"), .limit = 50};
  return !bad;
}

/* The same choice at another address. */
static const char *choice(struct http_req *r, const char *path, const char *after) {
  static const char *const names[] = {"place", "organisation", "state", "level", "setting", "q"};
  const char *to = path;
  char mark = '?';
  for (size_t i = 0; i <= BASE_COUNT(names) && to; i++) {
    const char *name = i < BASE_COUNT(names) ? names[i] : "after", *v = i < BASE_COUNT(names) ? net_query(r, name) : after;
    if (!v) continue;
    to = arena_printf(http_arena(r), "%s%c%s=%s", to, mark, name, url_quote(r, v));
    mark = '&';
  }
  return to ? to : path;
}

static json_t *office_row(struct http_req *r, const json_t *one) {
  json_t *o = json_object();
  put(o, "href", arena_printf(http_arena(r), "/network/offices/%s", json_str(one, "code")));
  put(o, "code", json_str(one, "code"));
  put(o, "name", json_str(one, "name"));
  put(o, "organisation", json_str(one, "organisation_name"));
  put(o, "place", json_str(one, "county_name"));
  put(o, "level", net_level(r, json_str(one, "level")));
  net_state(r, o, "state", json_str(one, "state"));
  put(o, "since", net_since(r, json_str(one, "since")));
  put(o, "rtt", net_ms(r, json_object_get(one, "rtt_ms")));
  const json_t *loss = json_object_get(one, "loss");
  put(o, "loss", json_is_number(loss) ? net_percent(r, json_number_value(loss), 0) : "–");
  return o;
}

static void put_words_of(struct http_req *r, json_t *page) {
  static const char *const levels[] = {"core", "hub", "district", "office", "dehyari"};
  json_t *states = json_array(), *list = json_array(), *settings = json_array();
  for (int s = 0; s < NETWORK_STATES; s++) {
    const char *name = network_state_text((enum network_state)s);
    add_option(states, name, state_word(r, name), net_query(r, "state"));
  }
  for (size_t i = 0; i < BASE_COUNT(levels); i++) add_option(list, levels[i], net_level(r, levels[i]), net_query(r, "level"));
  add_option(settings, "urban", net_say(r, "urban"), net_query(r, "setting"));
  add_option(settings, "rural", net_say(r, "rural"), net_query(r, "setting"));
  put_list(page, "state_options", states);
  put_list(page, "level_options", list);
  put_list(page, "setting_options", settings);
  put_list(page, "county_options", net_county_options(r, net_query(r, "place")));
}

static void get_offices(struct http_req *r) {
  struct network_query q;
  struct err err;
  json_t *out = NULL, *one, *list = json_array();
  size_t i;
  bool known = take_offices(r, &q);
  if (!known || network_offices(net_of(r), &q, http_lang(r), &out, &err)) {
    json_decref(list);
    return known ? web_error(r, &err) : not_found(r);
  }
  json_t *page = net_page(r, net_say(r, "offices"), "/network/offices", false);
  json_array_foreach(json_object_get(out, "items"), i, one) json_array_append_new(list, office_row(r, one));
  put_list(page, "items", list);
  put_number(r, page, "total", json_int(out, "total", 0));
  put(page, "q", q.text);
  put(page, "organisation", q.organisation);
  const struct directory *d = pack_directory(web_pack(r));
  const struct organisation *organisation = q.organisation ? directory_organisation(d, directory_find_organisation(d, q.organisation)) : NULL;
  put(page, "organisation_name", organisation ? organisation_name(organisation, http_lang(r)) : q.organisation);
  put(page, "next_href", json_str(out, "next") ? choice(r, "/network/offices", json_str(out, "next")) : NULL);
  put(page, "csv_href", choice(r, "/network/tables/offices.csv", NULL));
  put_words_of(r, page);
  json_decref(out);
  struct network_availability_query budget = {.by = NETWORK_BY_ORGANISATION, .place = -1, .organisation = q.organisation};
  if (!organisation || net_put_budget(r, page, budget, NULL)) net_reply(r, page, "offices");
  else json_decref(page);
}

const struct http_route web_network_rows[] = {
  {"GET", "/network", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_network, "The government network now: states, incidents, counties."},
  {"GET", "/network/wall", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_wall, "The same for a screen on the wall; it renews itself."},
  {"GET", "/network/map", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_map, "The map of the province, or of a county."},
  {"GET", "/network/points", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_points, "Offices as points, for the script of the map."},
  {"GET", "/network/offices", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_offices, "Offices with their states."},
};
const size_t web_network_count = BASE_COUNT(web_network_rows);

int web_network_routes(struct http_server *s, struct web_context *ctx, struct err *err) {
  const struct { const struct http_route *rows; size_t n; } tables[] = {{web_network_rows, web_network_count}, {web_network_office_rows, web_network_office_count},
    {web_network_incident_rows, web_network_incident_count}, {web_network_figure_rows, web_network_figure_count}, {web_network_plan_rows, web_network_plan_count},
    {web_network_goal_rows, web_network_goal_count}, {web_network_growth_rows, web_network_growth_count}, {web_network_prober_rows, web_network_prober_count}};
  for (size_t i = 0; i < BASE_COUNT(tables); i++)
    if (http_server_routes(s, tables[i].rows, tables[i].n, ctx, err)) return -1;
  return 0;
}
