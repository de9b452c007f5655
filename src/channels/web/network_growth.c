/* How the network grows: what is not connected and since when it waits, what was asked for, what is being accepted. */
#include "channels/web/map.h"
#include "channels/web/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Open requests by county, nothing of single ones. */
static bool put_requests(struct http_req *r, json_t *page) {
  const struct directory *d = pack_directory(web_pack(r));
  struct observe_query q = {.service = "network-connection"};
  json_t *open = NULL, *list = json_array(), *v;
  struct err err;
  const char *county;
  period_parse(NULL, cases_today(), &q.period, NULL);
  if (observatory_open_now(web_of(r)->observatory, &q, GROUP_PLACE, &open, &err)) {
    json_decref(list);
    web_error(r, &err);
    return false;
  }
  json_object_foreach(open, county, v) {
    const struct place *p = directory_place(d, directory_find_place(d, county));
    json_t *o = json_object();
    int oldest = 0;
    for (int k = 0; k < AGES; k++)
      if (json_integer_value(json_array_get(json_object_get(v, "ages"), (size_t)k)) > 0) oldest = k;
    put(o, "name", p ? place_name(p, http_lang(r)) : net_say(r, "province"));
    put_number(r, o, "open", json_int(v, "open", 0));
    put_number(r, o, "late", json_int(v, "late", 0));
    put(o, "oldest", oldest ? word_fill(http_arena(r), http_lang(r), "web.net_age_days", "n", net_number(r, age_bounds[oldest - 1]), NULL)
                            : word_fill(http_arena(r), http_lang(r), "web.net_age_new", "n", net_number(r, age_bounds[0] + 1), NULL));
    json_array_append_new(list, o);
  }
  json_decref(open);
  put_list(page, "requests", list);
  return true;
}

static json_t *acceptance(struct http_req *r, const json_t *item) {
  const char *tracking = json_str(item, "tracking"), *said = json_str(json_object_get(item, "said"), "measured_as"), *code = said ? digits_ascii(http_arena(r), said) : "";
  struct network_acceptance a;
  struct err err;
  json_t *o = json_object();
  if (network_accept(net_of(r), code, json_int(item, "said_at", 0), &a, &err)) a = (struct network_acceptance){.verdict = ACCEPT_UNKNOWN, .availability = NAN, .goal = NAN};
  bool known = a.verdict != ACCEPT_UNKNOWN;
  put(o, "href", arena_printf(http_arena(r), "/cases/%s", tracking));
  put(o, "code", show_code(r, tracking));
  put(o, "office_href", known ? arena_printf(http_arena(r), "/network/offices/%s", url_quote(r, code)) : NULL);
  put(o, "name", net_office_name(r, code));
  net_state(r, o, "state", network_state_text(known ? a.state : NETWORK_UNKNOWN));
  put(o, "available", net_percent(r, a.availability, 2));
  put(o, "goal", net_percent(r, a.goal, 2));
  put(o, "lasted", word_fill(http_arena(r), http_lang(r), "web.net_accept_of", "t", net_ago(r, a.until - a.from), "all", net_ago(r, a.span_ms), NULL));
  char *key = arena_printf(http_arena(r), "accept_%s", network_verdict_text(a.verdict));
  for (char *c = key; c && *c; c++) *c = *c == '-' ? '_' : *c;
  put(o, "verdict", key ? net_say(r, key) : NULL);
  put_flag(o, "held", base_same(json_str(item, "state"), "held"));
  return o;
}

/* For the desk that connects: what waits for its first measurements, and what was held. */
static void put_acceptances(struct http_req *r, json_t *page) {
  static const char *const states[] = {"held", "accepting"};
  const struct service *s = pack_find(web_pack(r), "network-connection");
  const struct organisation *owner = s ? directory_organisation(pack_directory(web_pack(r)), s->organisation) : NULL;
  json_t *list = json_array(), *one;
  struct err err;
  size_t i;
  bool works = owner && (net_sees_all(web_actor(r)) || actor_in(web_actor(r), owner->code));
  for (size_t k = 0; works && k < BASE_COUNT(states); k++) {
    json_t *out = NULL;
    if (cases_at_state(web_of(r)->cases, owner->code, s->code, states[k], "hand_over", &out, &err) == 0)
      json_array_foreach(out, i, one)
        if (json_array_size(list) < 100) json_array_append_new(list, acceptance(r, one));
    json_decref(out);
  }
  put_flag(page, "accepts", works);
  put_list(page, "acceptances", list);
}

/* How many wait in each county: what the list below has, counted. */
static json_t *waiting_by_county(struct http_req *r) {
  json_t *counts = json_object(), *one;
  struct err err;
  char *after = NULL;
  size_t i;
  do {
    json_t *out = NULL;
    int rc = network_backlog(net_of(r), -1, after, 200, http_lang(r), &out, &err);
    free(after);
    after = rc ? NULL : base_strdup(json_str(out, "next"));
    json_array_foreach(json_object_get(out, "items"), i, one) {
      const char *county = json_str(one, "county");
      if (county) json_object_set_new(counts, county, json_integer(json_int(counts, county, 0) + 1));
    }
    json_decref(out);
  } while (after);
  return counts;
}

/* How many wait in each county, on the map. */
static void put_backlog_map(struct http_req *r, json_t *page) {
  const struct directory *d = pack_directory(web_pack(r));
  size_t n = directory_shapes(d), used = 0;
  struct map_area *areas = arena_alloc(http_arena(r), (n + 1) * sizeof *areas);
  json_t *counts = waiting_by_county(r);
  for (size_t i = 0; i < n && areas; i++) {
    const struct place *p = directory_place(d, directory_shape(d, i)->place);
    struct network_coverage c;
    network_coverage(net_of(r), directory_shape(d, i)->place, &c);
    int64_t waiting = json_int(counts, p->code, 0), all = c.offices > c.villages_large ? c.offices : c.villages_large;
    double share = all ? (double)waiting / (double)all : 0;
    areas[used++] = (struct map_area){.place = directory_shape(d, i)->place, .step = waiting == 0 ? 0 : share <= 0.01 ? 1 : share <= 0.05 ? 2 : share <= 0.2 ? 3 : 4, .text = net_number(r, waiting),
      .href = arena_printf(http_arena(r), "/network/growth?place=%s#backlog", p->code),
      .title = word_fill(http_arena(r), http_lang(r), "web.net_backlog_county", "name", place_name(p, http_lang(r)), "n", net_number(r, waiting), NULL)};
  }
  json_decref(counts);
  struct map_view v = {.label = net_say(r, "backlog_label"), .areas = areas, .area_count = used, .within = -1, .names = true, .lang = http_lang(r)};
  char *svg = map_draw(d, &v);
  put(page, "svg", svg);
  free(svg);
  put(page, "attribution", directory_attribution(d));
}


static void get_growth(struct http_req *r) {
  struct err err;
  json_t *out = NULL, *list = json_array(), *one;
  bool bad;
  size_t i;
  int place = net_place(r, &bad);
  if (bad || network_backlog(net_of(r), place, net_query(r, "after"), 50, http_lang(r), &out, &err)) {
    json_decref(list);
    return bad ? not_found(r) : web_error(r, &err);
  }
  json_t *page = net_page(r, net_say(r, "growth"), "/network/growth", false);
  json_array_foreach(json_object_get(out, "items"), i, one) {
    json_t *o = json_object();
    bool office = base_same(json_str(one, "kind"), "office");
    put(o, "name", json_str(one, "name"));
    put(o, "kind", net_say(r, office ? "backlog_office" : "backlog_village"));
    put(o, "href", office ? arena_printf(http_arena(r), "/network/offices/%s", json_str(one, "code")) : NULL);
    const char *at = json_str(one, "place_name"), *in = json_str(one, "county_name");
    put(o, "place", !in || base_same(at, in) ? at : arena_printf(http_arena(r), "%s%s%s", at, http_lang(r) == LANG_FA ? "، " : ", ", in));
    put(o, "since", net_since(r, json_str(one, "since")));
    put(o, "asked", json_str(one, "asked") ? show_day_short(r, json_str(one, "asked")) : NULL);
    put(o, "population", json_int(one, "population", 0) > 0 ? net_number(r, json_int(one, "population", 0)) : NULL);
    json_array_append_new(list, o);
  }
  const char *county = net_query(r, "place"), *tail = county ? arena_printf(http_arena(r), "&place=%s", url_quote(r, county)) : "";
  put_list(page, "items", list);
  put_list(page, "county_options", net_county_options(r, county));
  put(page, "next_href", json_str(out, "next") ? arena_printf(http_arena(r), "/network/growth?after=%s%s", url_quote(r, json_str(out, "next")), tail) : NULL);
  put(page, "csv_href", arena_printf(http_arena(r), "/network/tables/backlog.csv%s%s", county ? "?place=" : "", county ? url_quote(r, county) : ""));
  net_put_coverage(r, page, place);
  put(page, "apply_href", web_actor(r)->kind == ACTOR_STAFF && pack_find(web_pack(r), "network-connection") ? "/services/network-connection" : NULL);
  json_decref(out);
  put_backlog_map(r, page);
  put_acceptances(r, page);
  if (put_requests(r, page)) net_reply(r, page, "growth");
  else json_decref(page);
}

const struct http_route web_network_growth_rows[] = {
  {"GET", "/network/growth", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_growth, "What is not connected yet, and since when it waits."},
};
const size_t web_network_growth_count = BASE_COUNT(web_network_growth_rows);
