/* Figures of the network: towns beside villages, county beside county; how it grows; tables as files. */
#include "channels/web/network.h"
#include "network/people.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- comparison ---- */

static const struct { const char *value; enum network_group by; } groups[] = {
  {"setting", NETWORK_BY_SETTING}, {"county", NETWORK_BY_COUNTY}, {"level", NETWORK_BY_LEVEL}, {"organisation", NETWORK_BY_ORGANISATION}};

static size_t group_of(struct http_req *r) {
  const char *v = net_query(r, "by");
  for (size_t i = 0; i < BASE_COUNT(groups); i++)
    if (base_same(groups[i].value, v)) return i;
  return 0;
}

/* What is asked for; false after replying. */
static bool period_of(struct http_req *r, struct period *p, char text[32]) {
  struct err err;
  if (period_parse(net_query(r, "period"), cases_today(), p, &err)) {
    http_problem(r, &err, say(r, "figures_bad_period"), NULL);
    return false;
  }
  period_text(*p, text);
  return true;
}

static const char *line_name(struct http_req *r, const struct network_line *l, enum network_group by) {
  if (by == NETWORK_BY_SETTING) return net_say(r, l->key);
  if (by == NETWORK_BY_LEVEL) return net_level(r, l->key);
  return http_lang(r) == LANG_EN && l->name_en && l->name_en[0] ? l->name_en : l->name_fa && l->name_fa[0] ? l->name_fa : l->key;
}

/* Good, by the goal of its offices: reached, nearly (half as much again lost), not. */
static const char *mark_of(double v, double goal) {
  if (isnan(v)) return "none";
  double lost = 1 - v, may = 1 - goal;
  return lost <= may ? "step0" : lost <= may * 1.5 ? "step2" : "step4";
}

static json_t *line_json(struct http_req *r, const struct network_line *l, enum network_group by) {
  json_t *o = json_object();
  const struct network_sums *s = &l->sums;
  double all = network_availability_of(s, 0), service = network_availability_of(s, 1);
  int64_t known = s->up[0] + s->degraded[0] + s->own[0] + s->upstream[0], whole = known + s->maintenance[0] + s->unknown[0];
  put(o, "name", line_name(r, l, by));
  put_number(r, o, "offices", s->offices);
  put(o, "all", net_percent(r, all, 3));
  put(o, "service", net_percent(r, service, 3));
  put(o, "mark", mark_of(service, l->goal));
  put(o, "goal", net_percent(r, l->goal, 2));
  put(o, "own", known ? net_percent(r, (double)s->own[0] / (double)known, 3) : "–");
  put(o, "upstream", known ? net_percent(r, (double)s->upstream[0] / (double)known, 3) : "–");
  put(o, "maintenance", whole ? net_percent(r, (double)s->maintenance[0] / (double)whole, 2) : "–");
  put(o, "unknown", whole ? net_percent(r, (double)s->unknown[0] / (double)whole, 1) : "–");
  put(o, "loss", s->sent ? net_percent(r, (double)s->lost / (double)s->sent, 2) : "–");
  put(o, "rtt", net_ms_of(r, s->rtt_count ? s->rtt_sum / (double)s->rtt_count : NAN));
  put_number(r, o, "incidents", l->incidents);
  put(o, "href", by == NETWORK_BY_COUNTY ? arena_printf(http_arena(r), "/network/map?place=%s", l->key)
                 : by == NETWORK_BY_ORGANISATION ? arena_printf(http_arena(r), "/network/offices?organisation=%s", l->key)
                 : arena_printf(http_arena(r), "/network/offices?%s=%s", by == NETWORK_BY_SETTING ? "setting" : "level", l->key));
  return o;
}

static void add_option(json_t *list, const char *value, const char *label, const char *chosen) {
  json_t *o = json_object();
  put(o, "value", value);
  put(o, "label", label);
  put_flag(o, "chosen", base_same(value, chosen));
  json_array_append_new(list, o);
}

static json_t *period_options(struct http_req *r, const char *chosen) {
  json_t *list = json_array();
  struct date d = day_to_jalali(cases_today());
  struct period p;
  char text[40], week[16];
  bool met = false;
  date_jalali(cases_today(), week);
  for (int i = 0; i < 4; i++) {
    if (i == 0) snprintf(text, sizeof text, "week:%s", week);
    else if (i == 2) snprintf(text, sizeof text, "%.4s-q%d", week, (d.month + 2) / 3);
    else snprintf(text, sizeof text, i == 1 ? "%.7s" : "%.4s", week);
    if (period_parse(text, cases_today(), &p, NULL)) continue;
    for (int back = 0; back < (i == 3 ? 2 : 3); back++) {
      period_text(p, text);
      met = met || strcmp(text, chosen) == 0;
      add_option(list, text, period_name(http_arena(r), http_lang(r), p), chosen);
      p = period_move(p, -1);
    }
  }
  if (!met && period_parse(chosen, cases_today(), &p, NULL) == 0) add_option(list, chosen, period_name(http_arena(r), http_lang(r), p), chosen);
  return list;
}

void net_put_coverage(struct http_req *r, json_t *page, int place) {
  struct network_coverage c;
  network_coverage(net_of(r), place, &c);
  put(page, "covered_offices", net_percent(r, c.offices ? (double)c.connected / (double)c.offices : NAN, 1));
  put(page, "covered_villages", net_percent(r, c.villages_large ? (double)c.villages_connected / (double)c.villages_large : NAN, 1));
  put(page, "offices_told", word_fill(http_arena(r), http_lang(r), "web.net_of_all", "n", net_number(r, c.connected), "all", net_number(r, c.offices), NULL));
  put(page, "villages_told", word_fill(http_arena(r), http_lang(r), "web.net_of_all", "n", net_number(r, c.villages_connected), "all", net_number(r, c.villages_large), NULL));
  put(page, "unsized_told", c.villages_unsized ? word_fill(http_arena(r), http_lang(r), "web.net_unsized", "n", net_number(r, c.villages_unsized), NULL) : NULL);
}

static void get_compare(struct http_req *r) {
  struct period p;
  struct network_line *lines = NULL;
  struct err err;
  char text[32];
  size_t g = group_of(r), n = 0;
  bool bad;
  int place = net_place(r, &bad);
  if (bad) return not_found(r);
  if (!period_of(r, &p, text)) return;
  struct network_availability_query q = {.by = groups[g].by, .from = p.from, .to = p.to, .place = place};
  if (network_availability(net_of(r), &q, &lines, &n, &err)) return web_error(r, &err);
  json_t *page = net_page(r, net_say(r, "compare"), "/network/compare", false), *list = json_array(), *by = json_array();
  for (size_t i = 0; i < n && i < 400; i++) json_array_append_new(list, line_json(r, &lines[i], groups[g].by));
  network_availability_free(lines, n);
  for (size_t i = 0; i < BASE_COUNT(groups); i++) {
    json_t *o = json_object();
    const char *place_part = net_query(r, "place") ? arena_printf(http_arena(r), "&place=%s", url_quote(r, net_query(r, "place"))) : "";
    put(o, "href", arena_printf(http_arena(r), "/network/compare?by=%s&period=%s%s", groups[i].value, text, place_part));
    put(o, "name", net_say(r, arena_printf(http_arena(r), "by_%s", groups[i].value)));
    put_flag(o, "here", i == g);
    json_array_append_new(by, o);
  }
  put_list(page, "groups", by);
  put(page, "by", groups[g].value);
  put(page, "by_name", net_say(r, arena_printf(http_arena(r), "by_%s", groups[g].value)));
  put_list(page, "items", list);
  put_list(page, "periods", period_options(r, text));
  put_list(page, "county_options", net_county_options(r, net_query(r, "place")));
  put(page, "period_name", period_name(http_arena(r), http_lang(r), p));
  net_put_coverage(r, page, place);
  put(page, "csv_href", arena_printf(http_arena(r), "/network/tables/compare.csv?by=%s&period=%s%s%s", groups[g].value, text, place >= 0 ? "&place=" : "", place >= 0 ? url_quote(r, net_query(r, "place")) : ""));
  net_reply(r, page, "compare");
}

/* ---- tables as files ---- */

void net_table_begin(struct net_table *t, const char *const *names, size_t n) {
  buf_init(&t->b, 16 * 1024 * 1024);
  buf_adds(&t->b, "\xef\xbb\xbf"); /* the mark makes spreadsheets read UTF-8 */
  for (size_t i = 0; i < n; i++) net_table_cell(t, names[i], i + 1 == n);
}

void net_table_cell(struct net_table *t, const char *text, bool last) {
  csv_put(&t->b, text ? text : "");
  buf_adds(&t->b, last ? "\r\n" : ",");
}

void net_table_number(struct net_table *t, double v, int places, bool last) {
  if (!isnan(v)) buf_addf(&t->b, "%.*f", places, v);
  buf_adds(&t->b, last ? "\r\n" : ",");
}

void net_table_reply(struct http_req *r, struct net_table *t, const char *file) {
  if (buf_overflowed(&t->b)) {
    buf_free(&t->b);
    return http_problem_code(r, ERR_LIMIT, NULL);
  }
  http_reply_header(r, "Content-Disposition", arena_printf(http_arena(r), "attachment; filename=\"%s\"", file));
  size_t n = t->b.len;
  http_reply_take(r, 200, "text/csv; charset=utf-8", buf_take(&t->b), n);
}

static double member(const json_t *o, const char *key) {
  const json_t *v = json_object_get(o, key);
  return json_is_number(v) ? json_number_value(v) : NAN;
}

/* Columns of JSON items: a name, its kind (t text, n number, and its places). */
struct column { const char *name; char kind; int places; };

static void add_items(struct net_table *t, const json_t *items, const struct column *columns, size_t n) {
  const json_t *one;
  size_t i;
  json_array_foreach(items, i, one)
    for (size_t k = 0; k < n; k++) {
      const json_t *v = json_object_get(one, columns[k].name);
      if (columns[k].kind == 'n') net_table_number(t, member(one, columns[k].name), columns[k].places, k + 1 == n);
      else net_table_cell(t, json_is_string(v) ? json_string_value(v) : json_is_true(v) ? "1" : json_is_false(v) ? "0" : "", k + 1 == n);
    }
}

static void begin_columns(struct net_table *t, const struct column *columns, size_t n) {
  const char *names[24];
  for (size_t k = 0; k < n && k < 24; k++) names[k] = columns[k].name;
  net_table_begin(t, names, n);
}

static int table_offices(struct http_req *r, struct net_table *t, struct err *err) {
  static const struct column columns[] = {{"code", 't', 0}, {"name", 't', 0}, {"organisation", 't', 0}, {"organisation_name", 't', 0}, {"place", 't', 0}, {"place_name", 't', 0}, {"county", 't', 0},
    {"county_name", 't', 0}, {"setting", 't', 0}, {"level", 't', 0}, {"lat", 'n', 4}, {"lon", 'n', 4}, {"state", 't', 0}, {"since", 't', 0}, {"rtt_ms", 'n', 2}, {"loss", 'n', 3}};
  bool bad;
  const char *setting = net_query(r, "setting");
  struct network_query q = {.place = net_place(r, &bad), .organisation = net_query(r, "organisation"), .text = net_query(r, "q"), .limit = 5000,
    .state = net_query(r, "state") ? network_state_parse(net_query(r, "state")) : -1, .level = net_query(r, "level") ? network_level_parse(net_query(r, "level")) : -1,
    .setting = base_same(setting, "urban") ? PLACE_URBAN : base_same(setting, "rural") ? PLACE_RURAL : -1};
  char *after = NULL;
  int rc = 0;
  begin_columns(t, columns, BASE_COUNT(columns));
  do {
    json_t *out = NULL;
    q.after = after;
    rc = network_offices(net_of(r), &q, http_lang(r), &out, err);
    free(after);
    after = rc ? NULL : base_strdup(json_str(out, "next"));
    if (rc == 0) add_items(t, json_object_get(out, "items"), columns, BASE_COUNT(columns));
    json_decref(out);
  } while (rc == 0 && after && !buf_overflowed(&t->b));
  free(after);
  return rc;
}

static int table_incidents(struct http_req *r, struct net_table *t, struct err *err) {
  static const struct column columns[] = {{"id", 'n', 0}, {"kind", 't', 0}, {"office", 't', 0}, {"name", 't', 0}, {"organisation", 't', 0}, {"place_name", 't', 0}, {"began", 't', 0}, {"ended", 't', 0},
    {"duration_s", 'n', 0}, {"acknowledged_at", 't', 0}, {"offices", 'n', 0}, {"services", 'n', 0}, {"population", 'n', 0}, {"reached", 'n', 0}};
  bool bad;
  const char *open = net_query(r, "open");
  struct network_incident_query q = {.open = base_same(open, "all") ? -1 : base_same(open, "no") ? 0 : 1, .place = net_place(r, &bad), .organisation = net_query(r, "organisation"),
                                     .office = net_query(r, "office"), .kind = net_query(r, "kind"), .limit = 200};
  int rc = 0;
  begin_columns(t, columns, BASE_COUNT(columns));
  for (int page = 0; page < 500 && rc == 0; page++) {
    json_t *out = NULL;
    rc = network_incidents(net_of(r), &q, http_lang(r), &out, err);
    const json_t *next = json_object_get(out, "next");
    if (rc == 0) add_items(t, json_object_get(out, "items"), columns, BASE_COUNT(columns));
    q.before = json_is_integer(next) ? json_integer_value(next) : 0;
    if (json_is_string(next) && parse_i64(json_string_value(next), &q.before)) q.before = 0;
    json_decref(out);
    if (!q.before || buf_overflowed(&t->b)) break;
  }
  return rc;
}

static int table_compare(struct http_req *r, struct net_table *t, struct err *err) {
  static const char *const names[] = {"key", "name", "offices", "availability_all", "availability_service", "goal", "own_s", "upstream_s", "maintenance_s", "unknown_s", "loss", "rtt_ms", "incidents"};
  struct network_line *lines = NULL;
  struct period p;
  bool bad;
  size_t n = 0, g = group_of(r);
  if (period_parse(net_query(r, "period"), cases_today(), &p, err)) return -1;
  struct network_availability_query q = {.by = base_same(net_query(r, "by"), "office") ? NETWORK_BY_OFFICE : groups[g].by, .from = p.from, .to = p.to, .place = net_place(r, &bad)};
  if (network_availability(net_of(r), &q, &lines, &n, err)) return -1;
  net_table_begin(t, names, BASE_COUNT(names));
  for (size_t i = 0; i < n; i++) {
    const struct network_sums *s = &lines[i].sums;
    net_table_cell(t, lines[i].key, false);
    net_table_cell(t, line_name(r, &lines[i], q.by), false);
    const double values[] = {(double)s->offices, network_availability_of(s, 0), network_availability_of(s, 1), lines[i].goal, (double)s->own[0] / 1000, (double)s->upstream[0] / 1000,
      (double)s->maintenance[0] / 1000, (double)s->unknown[0] / 1000, s->sent ? (double)s->lost / (double)s->sent : NAN, s->rtt_count ? s->rtt_sum / (double)s->rtt_count : NAN, (double)lines[i].incidents};
    static const int places[] = {0, 6, 6, 4, 0, 0, 0, 0, 5, 2, 0};
    for (size_t k = 0; k < BASE_COUNT(values); k++) net_table_number(t, values[k], places[k], k + 1 == BASE_COUNT(values));
  }
  network_availability_free(lines, n);
  return 0;
}

static int table_series(struct http_req *r, struct net_table *t, struct err *err) {
  static const struct column columns[] = {{"at", 't', 0}, {"until", 't', 0}, {"probes", 'n', 0}, {"sent", 'n', 0}, {"lost", 'n', 0}, {"min", 'n', 3}, {"p10", 'n', 3}, {"median", 'n', 3},
    {"p90", 'n', 3}, {"max", 'n', 3}, {"jitter", 'n', 3}};
  static const char *const spans[] = {"hour", "day", "month", "year"};
  int span = NETWORK_DAY;
  json_t *out = NULL;
  for (size_t i = 0; i < BASE_COUNT(spans); i++)
    if (base_same(spans[i], net_query(r, "span"))) span = (int)i;
  if (network_series(net_of(r), net_query(r, "office") ? net_query(r, "office") : "", (enum network_span)span, 0, &out, err)) return -1;
  begin_columns(t, columns, BASE_COUNT(columns));
  add_items(t, json_object_get(out, "points"), columns, BASE_COUNT(columns));
  json_decref(out);
  return 0;
}

static int table_backlog(struct http_req *r, struct net_table *t, struct err *err) {
  static const struct column columns[] = {{"kind", 't', 0}, {"code", 't', 0}, {"name", 't', 0}, {"place_name", 't', 0}, {"county", 't', 0}, {"county_name", 't', 0}, {"lat", 'n', 4}, {"lon", 'n', 4},
    {"population", 'n', 0}, {"since", 't', 0}, {"asked", 't', 0}};
  bool bad;
  int place = net_place(r, &bad), rc = 0;
  char *after = NULL;
  begin_columns(t, columns, BASE_COUNT(columns));
  do {
    json_t *out = NULL;
    rc = network_backlog(net_of(r), place, after, 200, http_lang(r), &out, err);
    free(after);
    after = rc ? NULL : base_strdup(json_str(out, "next"));
    if (rc == 0) add_items(t, json_object_get(out, "items"), columns, BASE_COUNT(columns));
    json_decref(out);
  } while (rc == 0 && after && !buf_overflowed(&t->b));
  free(after);
  return rc;
}

static int table_windows(struct http_req *r, struct net_table *t, struct err *err) {
  static const struct column columns[] = {{"id", 'n', 0}, {"office", 't', 0}, {"name", 't', 0}, {"from", 't', 0}, {"to", 't', 0}, {"reason", 't', 0}, {"state", 't', 0}, {"offices", 'n', 0}};
  json_t *out = NULL;
  if (network_windows(net_of(r), net_query(r, "office"), net_query(r, "organisation"), 0, 200, http_lang(r), &out, err)) return -1;
  begin_columns(t, columns, BASE_COUNT(columns));
  add_items(t, json_object_get(out, "items"), columns, BASE_COUNT(columns));
  json_decref(out);
  return 0;
}

static int table_goals(struct http_req *r, struct net_table *t, struct err *err) {
  static const char *const names[] = {"scope", "code", "name", "offices", "goal", "availability_service", "availability_all", "budget_s", "budget_left_s", "burn_6_hours", "burn_3_days", "alarm", "reason", "set_at"};
  json_t *out = NULL, *one;
  size_t i;
  if (network_goals(net_of(r), http_lang(r), &out, err)) return -1;
  net_table_begin(t, names, BASE_COUNT(names));
  json_array_foreach(json_object_get(out, "items"), i, one) {
    const json_t *available = json_object_get(one, "availability"), *burn = json_object_get(one, "burn");
    bool any = json_is_number(json_object_get(available, "service"));
    for (int k = 0; k < 3; k++) net_table_cell(t, json_str(one, names[k]), false);
    net_table_number(t, member(one, "offices"), 0, false);
    net_table_number(t, member(one, "goal"), 6, false);
    net_table_number(t, member(available, "service"), 6, false);
    net_table_number(t, member(available, "all"), 6, false);
    net_table_number(t, any ? member(one, "budget_s") : NAN, 0, false);
    net_table_number(t, any ? member(one, "budget_left_s") : NAN, 0, false);
    net_table_number(t, member(burn, "hours_6"), 2, false);
    net_table_number(t, member(burn, "days_3"), 2, false);
    for (size_t k = 11; k < BASE_COUNT(names); k++) net_table_cell(t, json_str(one, names[k]), k + 1 == BASE_COUNT(names));
  }
  json_decref(out);
  return 0;
}

/* Indicators as open data: a row a county and one of the province. */
static int table_indicators(struct http_req *r, struct net_table *t, struct err *err) {
  struct observe_query q = {.place = net_query(r, "place")};
  json_t *table = NULL;
  size_t n = 0;
  if (period_parse(net_query(r, "period"), cases_today(), &q.period, err) || observatory_table(web_of(r)->observatory, TABLE_NETWORK, &q, http_lang(r), &table, err)) return -1;
  char *text = table_csv(table, &n);
  json_decref(table);
  buf_init(&t->b, 16 * 1024 * 1024);
  buf_add(&t->b, text, n);
  free(text);
  return 0;
}

/* What hangs on a node, or the roots. */
static int table_tree(struct http_req *r, struct net_table *t, struct err *err) {
  static const char *const names[] = {"code", "name", "level", "state", "since", "children", "below_down", "below_unreachable", "blast_offices", "blast_services", "blast_population"};
  json_t *out = NULL, *one;
  size_t i;
  if (network_tree(net_of(r), net_query(r, "office"), http_lang(r), &out, err)) return -1;
  net_table_begin(t, names, BASE_COUNT(names));
  json_array_foreach(json_object_get(out, "items"), i, one) {
    const json_t *below = json_object_get(one, "below"), *blast = json_object_get(one, "blast");
    for (int k = 0; k < 5; k++) net_table_cell(t, json_str(one, names[k]), false);
    net_table_number(t, member(one, "children"), 0, false);
    net_table_number(t, member(below, "down"), 0, false);
    net_table_number(t, member(below, "unreachable"), 0, false);
    net_table_number(t, member(blast, "offices"), 0, false);
    net_table_number(t, member(blast, "services"), 0, false);
    net_table_number(t, member(blast, "population"), 0, true);
  }
  json_decref(out);
  return 0;
}

/* Offices that an incident reached. */
static int table_members(struct http_req *r, struct net_table *t, struct err *err) {
  static const struct column columns[] = {{"office", 't', 0}, {"name", 't', 0}, {"state", 't', 0}, {"from", 't', 0}, {"until", 't', 0}};
  const char *typed = net_query(r, "incident");
  int64_t id = 0;
  json_t *out = NULL;
  if (!typed || parse_i64(typed, &id) || id <= 0) return err_set(err, ERR_NOT_FOUND, "no such incident");
  if (network_incident(net_of(r), id, http_lang(r), &out, err)) return -1;
  begin_columns(t, columns, BASE_COUNT(columns));
  add_items(t, json_object_get(out, "members"), columns, BASE_COUNT(columns));
  json_decref(out);
  return 0;
}

/* Offices that were cut more than once in the last 90 days. */
static int table_repeat(struct http_req *r, struct net_table *t, struct err *err) {
  static const struct column columns[] = {{"office", 't', 0}, {"name", 't', 0}, {"incidents", 'n', 0}, {"down_s", 'n', 0}, {"mean_s", 'n', 0}, {"last", 't', 0}};
  bool bad;
  json_t *out = NULL;
  if (network_repairs(net_of(r), cases_today() - 89, cases_today(), net_place(r, &bad), 1000, http_lang(r), &out, err)) return -1;
  begin_columns(t, columns, BASE_COUNT(columns));
  add_items(t, json_object_get(out, "repeat"), columns, BASE_COUNT(columns));
  json_decref(out);
  return 0;
}

/* People on duty, for those who may see the page: a manager's own organisation. */
static int table_contacts(struct http_req *r, struct net_table *t, struct err *err) {
  static const struct column columns[] = {{"organisation", 't', 0}, {"level", 'n', 0}, {"name", 't', 0}, {"to", 't', 0}, {"lang", 't', 0}};
  struct network_by by;
  json_t *list = NULL;
  if (!net_by_any(web_actor(r), &by)) return err_set(err, ERR_NOT_FOUND, "not for everybody");
  if (network_contacts(web_of(r)->store, by.organisation, &list, err)) return -1;
  begin_columns(t, columns, BASE_COUNT(columns));
  add_items(t, list, columns, BASE_COUNT(columns));
  json_decref(list);
  return 0;
}

static void get_table(struct http_req *r) {
  static const struct { const char *file; int (*fill)(struct http_req *r, struct net_table *t, struct err *err); } tables[] = {{"offices.csv", table_offices}, {"incidents.csv", table_incidents},
    {"compare.csv", table_compare}, {"series.csv", table_series}, {"backlog.csv", table_backlog}, {"maintenance.csv", table_windows}, {"goals.csv", table_goals}, {"indicators.csv", table_indicators}, {"tree.csv", table_tree}, {"members.csv", table_members}, {"repeat.csv", table_repeat}, {"contacts.csv", table_contacts}};
  struct net_table t = {0};
  struct err err;
  bool bad;
  net_place(r, &bad);
  for (size_t i = 0; i < BASE_COUNT(tables) && !bad; i++) {
    if (!base_same(tables[i].file, http_param(r, "file"))) continue;
    if (tables[i].fill(r, &t, &err) == 0) return net_table_reply(r, &t, tables[i].file);
    buf_free(&t.b);
    return err.code == ERR_NOT_FOUND ? not_found(r) : web_error(r, &err);
  }
  not_found(r);
}

const struct http_route web_network_figure_rows[] = {
  {"GET", "/network/compare", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_compare, "Availability compared: towns and villages, counties, kinds of offices, organisations."},
  {"GET", "/network/tables/{file}", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_table, "A table of the network as CSV."},
};
const size_t web_network_figure_count = BASE_COUNT(web_network_figure_rows);
