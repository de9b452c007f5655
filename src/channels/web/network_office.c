/* One office: its state, measurements over an hour to a year, incidents, availability, neighbours. */
#include "channels/web/network.h"
#include "channels/web/band.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const spans[] = {"hour", "day", "month", "year"};

static int span_of(struct http_req *r) {
  const char *v = net_query(r, "span");
  for (size_t i = 0; i < BASE_COUNT(spans); i++)
    if (base_same(spans[i], v)) return (int)i;
  return NETWORK_DAY;
}

static double number_or_nan(const json_t *o, const char *key) {
  const json_t *v = json_object_get(o, key);
  return json_is_number(v) ? json_number_value(v) : NAN;
}

/* ---- the chart ---- */

static const char *tick_text(struct http_req *r, int span, int64_t at) {
  enum lang l = http_lang(r);
  if (span <= NETWORK_DAY) {
    const char *whole = datetime_short(http_arena(r), l, at), *hour = strrchr(whole, ' ');
    return hour ? hour + 1 : whole;
  }
  struct date d = day_to_jalali(day_of(at));
  if (span == NETWORK_YEAR) return jalali_month(l, d.month);
  return l == LANG_FA ? arena_printf(http_arena(r), "%s/%s", net_number(r, d.month), net_number(r, d.day)) : date_short(http_arena(r), l, day_of(at));
}

static size_t ticks_of(struct http_req *r, int span, int64_t from, int64_t until, struct band_tick *ticks, size_t most) {
  static const int64_t steps[] = {10 * 60000LL, 4 * 3600000LL, 5 * 86400000LL, 61 * 86400000LL};
  size_t n = 0;
  for (int64_t at = from - from % steps[span] + steps[span]; at < until && n < most; at += steps[span]) ticks[n++] = (struct band_tick){at, tick_text(r, span, at)};
  return n;
}

static char *draw(struct http_req *r, const json_t *series, int span) {
  const json_t *points = json_object_get(series, "points"), *states = json_object_get(series, "states");
  struct band_view v = {.title = net_say(r, "chart"), .unit = net_say(r, "ms"), .loss_word = net_say(r, "loss"), .from = net_time(series, "from"), .until = net_time(series, "until"),
                        .count = json_array_size(points), .state_count = json_array_size(states), .lang = http_lang(r)};
  struct band_point *p = base_alloc((v.count + 1) * sizeof *p);
  struct band_state *s = base_alloc((v.state_count + 1) * sizeof *s);
  struct band_tick ticks[16];
  for (size_t i = 0; i < v.count; i++) {
    const json_t *one = json_array_get(points, i);
    double sent = number_or_nan(one, "sent"), lost = number_or_nan(one, "lost");
    p[i] = (struct band_point){net_time(one, "at"), net_time(one, "until"), number_or_nan(one, "min"), number_or_nan(one, "p10"), number_or_nan(one, "median"),
                               number_or_nan(one, "p90"), number_or_nan(one, "max"), sent > 0 ? lost / sent : NAN};
    if (isnan(p[i].p10)) p[i].p10 = p[i].low;
    if (isnan(p[i].p90)) p[i].p90 = p[i].high;
  }
  for (size_t i = 0; i < v.state_count; i++) {
    const json_t *one = json_array_get(states, i);
    int64_t until = net_time(one, "until");
    s[i] = (struct band_state){net_time(one, "from"), until ? until : v.until, json_str(one, "state") ? json_str(one, "state") : "unknown"};
  }
  v.points = p;
  v.states = s;
  v.ticks = ticks;
  v.tick_count = ticks_of(r, span, v.from, v.until, ticks, BASE_COUNT(ticks));
  char *svg = v.until > v.from ? band_draw(&v) : base_strdup("");
  free(p);
  free(s);
  return svg;
}

/* What the chart shows, as rows: the newest first. */
static json_t *series_rows(struct http_req *r, const json_t *series, int span) {
  const json_t *points = json_object_get(series, "points");
  json_t *list = json_array();
  for (size_t i = json_array_size(points); i-- > 0 && json_array_size(list) < 31;) {
    const json_t *one = json_array_get(points, i);
    json_t *o = json_object();
    double sent = number_or_nan(one, "sent"), lost = number_or_nan(one, "lost");
    int64_t at = net_time(one, "at");
    put(o, "at", span <= NETWORK_DAY ? datetime_short(http_arena(r), http_lang(r), at) : date_short(http_arena(r), http_lang(r), day_of(at)));
    put(o, "min", net_ms(r, json_object_get(one, "min")));
    put(o, "median", net_ms(r, json_object_get(one, "median")));
    put(o, "p90", net_ms(r, json_object_get(one, "p90")));
    put(o, "max", net_ms(r, json_object_get(one, "max")));
    put(o, "loss", sent > 0 ? net_percent(r, lost / sent, 1) : "–");
    json_array_append_new(list, o);
  }
  return list;
}

static bool put_series(struct http_req *r, json_t *page, const char *code, int span) {
  json_t *series = NULL, *tabs = json_array();
  struct err err;
  if (network_series(net_of(r), code, (enum network_span)span, 0, &series, &err)) {
    json_decref(tabs);
    web_error(r, &err);
    return false;
  }
  char *svg = draw(r, series, span);
  put(page, "svg", svg);
  free(svg);
  put_list(page, "rows", series_rows(r, series, span));
  for (size_t i = 0; i < BASE_COUNT(spans); i++) {
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/network/offices/%s?span=%s#measured", code, spans[i]));
    put(o, "name", net_say(r, arena_printf(http_arena(r), "span_%s", spans[i])));
    put_flag(o, "here", (int)i == span);
    json_array_append_new(tabs, o);
  }
  put_list(page, "spans", tabs);
  put(page, "series_csv", arena_printf(http_arena(r), "/network/tables/series.csv?office=%s&span=%s", code, spans[span]));
  json_decref(series);
  return true;
}

/* ---- availability of the last 30 days ---- */

static bool put_availability(struct http_req *r, json_t *page, const char *code) {
  struct network_availability_query q = {.by = NETWORK_BY_OFFICE, .place = -1, .office = code};
  struct network_line line;
  if (!net_put_budget(r, page, q, &line)) return false;
  if (json_object_get(page, "has_availability") != json_true()) return true;
  const struct network_sums *s = &line.sums;
  put(page, "own", net_ago(r, s->own[0]));
  put(page, "upstream", net_ago(r, s->upstream[0]));
  put(page, "maintained", net_ago(r, s->maintenance[0]));
  put(page, "unmeasured", net_ago(r, s->unknown[0]));
  return true;
}

/* ---- neighbours, incidents ---- */

static json_t *uplinks_json(struct http_req *r, const json_t *list) {
  json_t *out = json_array();
  size_t i;
  const json_t *one;
  json_array_foreach(list, i, one) {
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/network/offices/%s", json_str(one, "code")));
    put(o, "name", json_str(one, "name") ? json_str(one, "name") : json_str(one, "code"));
    net_state(r, o, "state", json_str(one, "state"));
    json_array_append_new(out, o);
  }
  return out;
}

static bool put_incidents(struct http_req *r, json_t *page, const char *code) {
  struct network_incident_query q = {.open = -1, .place = -1, .office = code, .limit = 10};
  json_t *out = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (network_incidents(net_of(r), &q, http_lang(r), &out, &err)) {
    json_decref(list);
    web_error(r, &err);
    return false;
  }
  json_array_foreach(json_object_get(out, "items"), i, one) json_array_append_new(list, net_incident_json(r, one));
  put_list(page, "incidents", list);
  put(page, "incidents_href", json_str(out, "next") ? arena_printf(http_arena(r), "/network/incidents?office=%s&open=all", code) : NULL);
  json_decref(out);
  return true;
}

static const char *bits(struct http_req *r, const json_t *o, const char *key) {
  const json_t *v = json_object_get(o, key);
  if (!json_is_number(v)) return "–";
  return word_fill(http_arena(r), http_lang(r), "web.net_mbit", "n", number_decimal(http_arena(r), http_lang(r), json_number_value(v) / 1e6, 2), NULL);
}

/* Addresses, checks and interfaces are for its own people. */
static void put_inside(struct http_req *r, json_t *page, const json_t *office) {
  json_t *list = json_array();
  const json_t *one;
  size_t i;
  put(page, "address", json_str(office, "address"));
  put(page, "checks", json_str(office, "checks"));
  json_array_foreach(json_object_get(office, "interfaces"), i, one) {
    json_t *o = json_object();
    put(o, "name", json_str(one, "name"));
    const json_t *up = json_object_get(one, "up");
    put(o, "up", net_say(r, !json_is_boolean(up) ? "interface_unknown" : json_is_true(up) ? "interface_up" : "interface_down"));
    put(o, "in", bits(r, one, "in_bps"));
    put(o, "out", bits(r, one, "out_bps"));
    put_number(r, o, "errors", json_int(one, "in_errors", 0) + json_int(one, "out_errors", 0));
    json_array_append_new(list, o);
  }
  put_list(page, "interfaces", list);
  list = json_array();
  json_array_foreach(json_object_get(office, "check_results"), i, one) {
    json_t *o = json_object();
    put(o, "check", json_str(one, "check"));
    put(o, "text", json_str(one, "text"));
    json_array_append_new(list, o);
  }
  put_list(page, "results", list);
  put_number(r, page, "interval", json_int(office, "interval_s", 0));
}

static void put_facts(struct http_req *r, json_t *page, const json_t *office) {
  const json_t *blast = json_object_get(office, "blast"), *last = json_object_get(office, "loss");
  const json_t *loss = json_number_value(last) >= 1 ? last : json_object_get(office, "loss_recent"); /* that tells of quality alone: what was lost whole is no matter of it */
  const json_t *children = json_object_get(office, "children");
  int64_t below = 0;
  const char *k;
  json_t *v;
  put(page, "code", json_str(office, "code"));
  put(page, "level", net_level(r, json_str(office, "level")));
  put(page, "organisation_name", json_str(office, "organisation_name"));
  put(page, "organisation_href", arena_printf(http_arena(r), "/network/offices?organisation=%s", json_str(office, "organisation") ? json_str(office, "organisation") : ""));
  put(page, "place", json_str(office, "place_name"));
  put(page, "county", json_str(office, "county_name"));
  put(page, "county_href", json_str(office, "county") ? arena_printf(http_arena(r), "/network/map?place=%s", json_str(office, "county")) : NULL);
  net_state(r, page, "state", json_str(office, "state"));
  put(page, "since", net_since(r, json_str(office, "since")));
  put_flag(page, "soft", json_flag(office, "soft", false));
  bool away = json_flag(office, "prober_away", false), mute = json_str(office, "prober_trouble") != NULL;
  put(page, "prober_away", away || mute ? word_fill(http_arena(r), http_lang(r), mute ? "web.net_prober_office_mute" : "web.net_prober_away", "name", json_str(office, "prober"), NULL) : NULL);
  put_flag(page, "flapping", json_flag(office, "flapping", false));
  put_flag(page, "synthetic", json_flag(office, "synthetic", false));
  int64_t incident = json_int(office, "incident", 0);
  put(page, "incident_href", incident ? arena_printf(http_arena(r), "/network/incidents/%lld", (long long)incident) : NULL);
  put(page, "rtt", net_ms(r, json_object_get(office, "rtt_ms")));
  put(page, "jitter", net_ms(r, json_object_get(office, "jitter_ms")));
  put(page, "loss", json_is_number(loss) ? net_percent(r, json_number_value(loss), 0) : "–");
  const char *probed = net_since(r, json_str(office, "probed"));
  put(page, "probed", probed ? word_fill(http_arena(r), http_lang(r), "web.net_before", "t", probed, NULL) : NULL);
  put(page, "connected_at", json_str(office, "connected_at") ? show_day_short(r, json_str(office, "connected_at")) : NULL);
  put(page, "blast_offices", net_count(r, "offices", json_int(blast, "offices", 0)));
  put(page, "blast_services", json_int(blast, "services", 0) > 0 ? net_count(r, "services", json_int(blast, "services", 0)) : NULL);
  put(page, "blast_population", json_int(blast, "population", 0) > 0 ? net_count(r, "people", json_int(blast, "population", 0)) : NULL);
  json_object_foreach((json_t *)(uintptr_t)children, k, v) below += json_integer_value(v);
  put(page, "below", below ? net_number(r, below) : NULL);
  put_list(page, "children", below ? net_states_json(r, children, NULL) : json_array());
  put(page, "tree_href", arena_printf(http_arena(r), "/network/tree?office=%s", json_str(office, "code")));
  put_list(page, "uplinks", uplinks_json(r, json_object_get(office, "uplinks")));
}

static void get_office(struct http_req *r) {
  struct err err;
  json_t *office = NULL;
  const char *code = http_param(r, "code");
  if (network_office(net_of(r), code, http_lang(r), &office, &err)) return err.code == ERR_NOT_FOUND ? not_found(r) : web_error(r, &err);
  const struct actor *who = web_actor(r);
  const char *organisation = json_str(office, "organisation");
  json_t *page = net_page(r, json_str(office, "name"), "/network/offices", false);
  crumb(page, "/network/offices", net_say(r, "offices"));
  put_facts(r, page, office);
  put_flag(page, "sees", net_sees(who, organisation));
  if (net_sees(who, organisation)) put_inside(r, page, office);
  put(page, "maintain_href", net_acts(who, organisation) ? arena_printf(http_arena(r), "/network/maintenance?office=%s#new", json_str(office, "code")) : NULL);
  code = arena_strdup(http_arena(r), json_str(office, "code"));
  json_decref(office);
  if (put_series(r, page, code, span_of(r)) && put_availability(r, page, code) && put_incidents(r, page, code)) net_reply(r, page, "office");
  else json_decref(page);
}

/* ---- the tree ---- */

static json_t *branch_json(struct http_req *r, const json_t *one) {
  json_t *o = json_object();
  const json_t *below = json_object_get(one, "below"), *blast = json_object_get(one, "blast");
  const char *code = json_str(one, "code");
  int64_t all = 0;
  const char *k;
  json_t *v;
  put(o, "href", arena_printf(http_arena(r), "/network/offices/%s", code));
  put(o, "name", json_str(one, "name"));
  put(o, "level", net_level(r, json_str(one, "level")));
  net_state(r, o, "state", json_str(one, "state"));
  put(o, "since", net_since(r, json_str(one, "since")));
  json_object_foreach((json_t *)(uintptr_t)below, k, v) all += json_integer_value(v);
  put(o, "below", all ? net_number(r, all) : NULL);
  put(o, "open_href", json_int(one, "children", 0) ? arena_printf(http_arena(r), "/network/tree?office=%s", code) : NULL);
  int64_t cut = json_int(below, "down", 0) + json_int(below, "unreachable", 0);
  put(o, "cut", cut ? net_number(r, cut) : NULL);
  put_number(r, o, "blast", json_int(blast, "offices", 0));
  put(o, "blast_population", json_int(blast, "population", 0) > 0 ? net_number(r, json_int(blast, "population", 0)) : NULL);
  return o;
}

/* From the core down to here, by first uplinks. */
static json_t *path_json(struct http_req *r, const char *code) {
  json_t *list = json_array();
  struct network_office o;
  int node = code ? network_find(net_of(r), code) : -1;
  for (int depth = 0; node >= 0 && depth < 16 && network_node(net_of(r), node, &o) == 0; depth++) {
    json_t *one = json_object();
    put(one, "name", http_lang(r) == LANG_EN && o.name_en[0] ? o.name_en : o.name_fa);
    put(one, "href", arena_printf(http_arena(r), "/network/tree?office=%s", o.code));
    put_flag(one, "here", depth == 0);
    json_array_insert_new(list, 0, one);
    node = o.uplink_count ? o.uplinks[0] : -1;
  }
  return list;
}

static void get_tree(struct http_req *r) {
  struct err err;
  const char *code = net_query(r, "office");
  json_t *out = NULL, *list = json_array(), *one;
  size_t i;
  if (network_tree(net_of(r), code, http_lang(r), &out, &err)) {
    json_decref(list);
    return err.code == ERR_NOT_FOUND ? not_found(r) : web_error(r, &err);
  }
  json_t *page = net_page(r, net_say(r, "tree"), "/network/tree", false);
  json_array_foreach(json_object_get(out, "items"), i, one) json_array_append_new(list, branch_json(r, one));
  put_list(page, "items", list);
  put_list(page, "path", path_json(r, code));
  put(page, "name", code ? net_office_name(r, code) : NULL);
  put(page, "code", code ? url_quote(r, code) : NULL);
  put(page, "office_href", code ? arena_printf(http_arena(r), "/network/offices/%s", url_quote(r, code)) : NULL);
  json_decref(out);
  net_reply(r, page, "tree");
}

const struct http_route web_network_office_rows[] = {
  {"GET", "/network/offices/{code}", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_office, "One office: state, measurements, incidents, neighbours."},
  {"GET", "/network/tree", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_tree, "What hangs on what, and what would be cut with it."},
};
const size_t web_network_office_count = BASE_COUNT(web_network_office_rows);
