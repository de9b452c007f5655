/* Figures for those in charge: an organisation's, and for operator and auditor the province's. */
#include "channels/web/chart.h"
#include "channels/web/inside.h"

#include <stdlib.h>
#include <string.h>

struct view {
  struct observe_query q;
  enum observe right;
  const char *period;             /* as in the address */
  struct cost_assumptions costs;
};

static const char *filled(struct http_req *r, const char *name) {
  const char *v = http_query(r, name);
  return v && v[0] ? v : NULL;
}

static struct observatory *figures_of(struct http_req *r) { return web_of(r)->observatory; }

/* The organisation of whoever asks in which they may see most; NULL for those of the province. */
static const char *own_organisation(const struct actor *who) {
  const char *best = NULL;
  enum observe most = OBSERVE_NOTHING;
  for (unsigned i = 0; i < who->role_count; i++) {
    enum observe here = observatory_right(who, who->roles[i].organisation);
    if (here <= most) continue;
    most = here;
    best = who->roles[i].organisation;
  }
  return most == OBSERVE_PROVINCE ? NULL : best;
}

bool web_figures(const struct actor *who) { return own_organisation(who) || observatory_right(who, NULL) == OBSERVE_PROVINCE; }

static const char *typed_period(struct http_req *r) {
  const char *from = filled(r, "from"), *to = filled(r, "to");
  char ascii[2][24];
  if (!from || !to) return filled(r, "period");
  const char *const both[] = {from, to};
  for (int i = 0; i < 2; i++) {
    int32_t day = date_parse(both[i]);
    if (day == INT32_MIN) return "x"; /* refused with a sentence */
    date_jalali(day, ascii[i]);
  }
  return arena_printf(http_arena(r), "%s..%s", ascii[0], ascii[1]);
}

/* What is asked for and whether it may be; false after replying. needs: the least right. */
static bool view_take(struct http_req *r, struct view *v, enum observe needs) {
  const struct actor *who = web_actor(r);
  struct err err;
  char text[32];
  memset(v, 0, sizeof *v);
  v->q.organisation = filled(r, "organisation");
  if (!v->q.organisation && needs != OBSERVE_PROVINCE) v->q.organisation = own_organisation(who);
  if (needs == OBSERVE_PROVINCE) v->q.organisation = NULL;
  v->right = observatory_right(who, v->q.organisation);
  const struct directory *d = pack_directory(web_pack(r));
  if (v->right == OBSERVE_NOTHING || (v->q.organisation && directory_find_organisation(d, v->q.organisation) < 0)) {
    not_found(r);
    return false;
  }
  if (v->right < needs) {
    http_redirect(r, 303, arena_printf(http_arena(r), "/managers/officers?organisation=%s", url_quote(r, v->q.organisation)));
    return false;
  }
  if (period_parse(typed_period(r), cases_today(), &v->q.period, &err)) {
    http_problem(r, &err, say(r, "figures_bad_period"), NULL);
    return false;
  }
  period_text(v->q.period, text);
  v->period = arena_strdup(http_arena(r), text);
  v->q.service = filled(r, "service");
  v->q.place = filled(r, "place");
  if (v->right == OBSERVE_SELF) v->q.officer = who->username;
  return true;
}

/* An address of these pages with the same organisation and period; more: "&…" or "". */
static const char *address(struct http_req *r, const struct view *v, const char *path, const char *period, const char *more) {
  const char *org = v->q.organisation ? arena_printf(http_arena(r), "&organisation=%s", url_quote(r, v->q.organisation)) : "";
  const char *service = v->q.service && !strstr(path, "/services/") ? arena_printf(http_arena(r), "&service=%s", url_quote(r, v->q.service)) : "";
  const char *place = v->q.place ? arena_printf(http_arena(r), "&place=%s", url_quote(r, v->q.place)) : "";
  return arena_printf(http_arena(r), "%s?period=%s%s%s%s%s", path, period ? period : v->period, org, service, place, more ? more : "");
}

/* ---- tables on a page ---- */

/* link: path before the code of a row, or NULL. The column of codes is left out. */
static json_t *table_json(struct http_req *r, const struct view *v, const json_t *table, const char *link, size_t most) {
  json_t *o = json_object(), *heads = json_array(), *rows = json_array(), *row, *cell;
  const json_t *columns = json_object_get(table, "columns");
  size_t i, k, all = json_array_size(json_object_get(table, "rows"));
  const char *name = json_str(table, "name");
  json_array_foreach((json_t *)columns, k, cell) {
    const char *kind = json_str(cell, "kind");
    if (strcmp(kind, "id") == 0) continue;
    json_t *head = json_object();
    put(head, "title", json_str(cell, "title"));
    put_flag(head, "number", strcmp(kind, "text") != 0);
    json_array_append_new(heads, head);
  }
  json_array_foreach(json_object_get(table, "rows"), i, row) {
    json_t *one = json_object(), *cells = json_array();
    const char *code = NULL;
    if (i >= most) {
      json_decref(one);
      json_decref(cells);
      break;
    }
    json_array_foreach(row, k, cell) {
      const char *kind = json_str(json_array_get(columns, k), "kind");
      if (strcmp(kind, "id") == 0) {
        code = json_string_value(cell);
        continue;
      }
      json_t *c = json_object();
      const char *text = table_cell(http_arena(r), http_lang(r), kind, cell);
      bool first = json_array_size(cells) == 0;
      put(c, "text", text && text[0] ? text : "–");
      put_flag(c, "number", strcmp(kind, "text") != 0);
      put_flag(c, "first", first);
      put(c, "href", first && link && code ? strcmp(link, "org") == 0 ? arena_printf(http_arena(r), "/managers?period=%s&organisation=%s", v->period, url_quote(r, code))
                                                                      : address(r, v, arena_printf(http_arena(r), "%s%s", link, url_quote(r, code)), NULL, NULL) : NULL);
      json_array_append_new(cells, c);
    }
    json_object_set_new(one, "cells", cells);
    json_array_append_new(rows, one);
  }
  put(o, "name", name);
  put(o, "title", json_str(table, "title"));
  json_object_set_new(o, "columns", heads);
  put_list(o, "rows", rows);
  put(o, "csv", address(r, v, arena_printf(http_arena(r), "/managers/tables/%s.csv", name), NULL, NULL));
  put(o, "xlsx", address(r, v, arena_printf(http_arena(r), "/managers/tables/%s.xlsx", name), NULL, NULL));
  put(o, "more", all > most ? word_fill(http_arena(r), http_lang(r), "web.figures_more", "n", number_format(http_arena(r), http_lang(r), (int64_t)(all - most)), NULL) : NULL);
  put(o, "svg", NULL);
  put(o, "about", NULL);
  return o;
}

/* A column's value in a row of a table, by its key. */
static const json_t *cell_of(const json_t *table, size_t row, const char *key) {
  size_t k;
  json_t *c;
  json_array_foreach(json_object_get(table, "columns"), k, c)
    if (base_same(json_str(c, "key"), key)) return json_array_get(json_array_get(json_object_get(table, "rows"), row), k);
  return NULL;
}

static void put_svg(json_t *shown, char *svg) {
  put(shown, "svg", svg);
  free(svg);
}

enum { MOST_DRAWN = 24 };

static void draw(struct http_req *r, json_t *shown, const json_t *table, const char *label, const char *a, const char *b) {
  struct chart_item items[64];
  size_t n = json_array_size(json_object_get(table, "rows"));
  if (n > 64) n = 64;
  for (size_t i = 0; i < n; i++) {
    const json_t *value = cell_of(table, i, a);
    items[i] = (struct chart_item){.label = json_string_value(cell_of(table, i, label)), .a = json_number_value(value), .b = b ? json_number_value(cell_of(table, i, b)) : 0,
                                   .text = table_cell(http_arena(r), http_lang(r), "count", value)};
    if (!items[i].label) items[i].label = "";
  }
  if (n) put_svg(shown, b ? chart_columns(http_lang(r), json_str(table, "title"), items, n) : chart_bars(http_lang(r), json_str(table, "title"), items, n < 10 ? n : 10));
  put_flag(shown, "two", b != NULL);
}

/* Make a table and put it into the page's list; NULL after replying. */
static json_t *add_table(struct http_req *r, const struct view *v, json_t *page, enum table_name t, const char *link, size_t most) {
  json_t *table = NULL, *list = json_object_get(page, "tables");
  struct err err;
  if (observatory_table(figures_of(r), t, &v->q, http_lang(r), &table, &err)) {
    web_error(r, &err);
    json_decref(page);
    return NULL;
  }
  json_t *shown = table_json(r, v, table, link, most);
  if (t == TABLE_TREND) draw(r, shown, table, "since", "arrived", "closed");
  if (t == TABLE_AGES) draw(r, shown, table, "age", "count", NULL);
  if (t == TABLE_REASONS) draw(r, shown, table, "reason", "count", NULL);
  if (!list) {
    list = json_array();
    json_object_set_new(page, "tables", list);
  }
  json_array_append(list, shown);
  json_decref(table);
  json_decref(shown);
  return shown;
}

/* ---- what stands on every page ---- */

static void add_option(json_t *list, const char *value, const char *label, const char *chosen) {
  json_t *o = json_object();
  put(o, "value", value);
  put(o, "label", label);
  put_flag(o, "chosen", base_same(value, chosen));
  json_array_append_new(list, o);
}

static void put_periods(struct http_req *r, json_t *page, const struct view *v) {
  static const enum span spans[] = {SPAN_WEEK, SPAN_MONTH, SPAN_QUARTER, SPAN_YEAR};
  json_t *list = json_array();
  int32_t today = cases_today();
  struct date d = day_to_jalali(today);
  char text[40], week[16];
  bool met = false;
  date_jalali(today, week);
  for (size_t i = 0; i < BASE_COUNT(spans); i++) {
    struct period p;
    if (i == 0) snprintf(text, sizeof text, "week:%s", week);
    else if (i == 2) snprintf(text, sizeof text, "%.4s-q%d", week, (d.month + 2) / 3);
    else snprintf(text, sizeof text, i == 1 ? "%.7s" : "%.4s", week);
    if (period_parse(text, today, &p, NULL)) continue;
    for (int back = 0; back < (i == 3 ? 2 : 3); back++) {
      period_text(p, text);
      met = met || strcmp(text, v->period) == 0;
      add_option(list, text, period_name(http_arena(r), http_lang(r), p), v->period);
      p = period_move(p, -1);
    }
  }
  if (!met) add_option(list, v->period, period_name(http_arena(r), http_lang(r), v->q.period), v->period);
  json_object_set_new(page, "periods", list);
}

static void put_steps(struct http_req *r, json_t *page, const struct view *v, const char *path) {
  char text[32];
  struct period before = period_move(v->q.period, -1), after = period_move(v->q.period, 1);
  period_text(before, text);
  put(page, "before_href", address(r, v, path, text, NULL));
  period_text(after, text);
  put(page, "after_href", after.from <= cases_today() ? address(r, v, path, text, NULL) : NULL);
  put(page, "period_name", period_name(http_arena(r), http_lang(r), v->q.period));
  put(page, "period_days", word_fill(http_arena(r), http_lang(r), "observatory.from_to", "from", date_short(http_arena(r), http_lang(r), v->q.period.from), "to",
                                     date_short(http_arena(r), http_lang(r), v->q.period.to), NULL));
}

static void put_tabs(struct http_req *r, json_t *page, const struct view *v, const char *here) {
  static const struct { const char *path, *name; bool province; } tabs[] = {{"/managers", "figures_services", false}, {"/managers/province", "figures_province", true},
    {"/managers/officers", "figures_officers", false}, {"/managers/fairness", "figures_fairness", true}, {"/managers/costs", "figures_costs", true}};
  json_t *list = json_array();
  struct view plain = *v;
  plain.q.service = plain.q.place = NULL;
  for (size_t i = 0; i < BASE_COUNT(tabs) && v->right != OBSERVE_SELF; i++) {
    bool province = strcmp(tabs[i].path, "/managers/province") == 0;
    if (province ? v->right != OBSERVE_PROVINCE : !v->q.organisation && !tabs[i].province) continue;
    json_t *o = json_object();
    put(o, "href", province ? arena_printf(http_arena(r), "%s?period=%s", tabs[i].path, v->period) : address(r, &plain, tabs[i].path, NULL, NULL));
    put(o, "name", say(r, tabs[i].name));
    put_flag(o, "here", strcmp(here, tabs[i].path) == 0);
    json_array_append_new(list, o);
  }
  put_list(page, "tabs", list);
}

static void put_filters(struct http_req *r, json_t *page, const struct view *v, bool services) {
  const struct directory *d = pack_directory(web_pack(r));
  json_t *counties = json_array(), *list = json_array();
  for (size_t i = 0; i < directory_places(d); i++) {
    const struct place *p = directory_place(d, (int)i);
    if (p->kind == PLACE_COUNTY) add_option(counties, p->code, place_name(p, http_lang(r)), v->q.place);
  }
  for (size_t i = 0; services && i < pack_services(web_pack(r)); i++) {
    const struct service *s = pack_service(web_pack(r), i);
    add_option(list, s->code, text_in(&s->title, http_lang(r)), v->q.service);
  }
  put_list(page, "counties", counties);
  put_list(page, "services", list);
}

static json_t *figures_page(struct http_req *r, const struct view *v, const char *path, const char *here, const char *title) {
  json_t *page = page_new(web_of(r), r, title, true);
  const struct directory *d = pack_directory(web_pack(r));
  const struct organisation *o = v->q.organisation ? directory_organisation(d, directory_find_organisation(d, v->q.organisation)) : NULL;
  int64_t counted = 0, all = 0;
  struct err err;
  put(page, "office", o ? organisation_name(o, http_lang(r)) : pack_name(web_pack(r), http_lang(r)));
  put(page, "organisation", v->q.organisation);
  put(page, "path", path);
  put(page, "heading", title);
  put_tabs(r, page, v, here);
  put_periods(r, page, v);
  put_steps(r, page, v, path);
  put_filters(r, page, v, false);
  if (observatory_reached(figures_of(r), &counted, &all, &err) == 0 && all > counted + 20)
    put(page, "behind", word_fill(http_arena(r), http_lang(r), "web.figures_behind", "n", number_format(http_arena(r), http_lang(r), all - counted), NULL));
  else put(page, "behind", NULL);
  put(page, "report_href", v->right == OBSERVE_SELF ? NULL : address(r, v, "/managers/report.pdf", NULL, NULL));
  return page;
}

static bool put_tiles(struct http_req *r, json_t *page, const struct view *v) {
  static const struct { const char *key, *kind, *alarm; } tiles[] = {{"arrived", "count", NULL}, {"closed", "count", NULL}, {"open", "count", NULL}, {"late", "count", "late"},
    {"median", "days", NULL}, {"p90", "days", NULL}, {"norm", "share", NULL}, {"legal", "share", NULL}, {"appealed", "count", NULL}, {"upheld", "share", NULL}, {"rating", "mean", NULL},
    {"escalated", "count", NULL}};
  json_t *sum = NULL, *list = json_array();
  struct err err;
  char key[64];
  if (observatory_summary(figures_of(r), &v->q, http_lang(r), &sum, &err)) {
    json_decref(list);
    json_decref(page);
    web_error(r, &err);
    return false;
  }
  for (size_t i = 0; i < BASE_COUNT(tiles); i++) {
    json_t *o = json_object();
    const json_t *cell = json_object_get(sum, tiles[i].key);
    const char *text = table_cell(http_arena(r), http_lang(r), tiles[i].kind, cell);
    snprintf(key, sizeof key, "observatory.c_%s", tiles[i].key);
    put(o, "label", word(http_lang(r), key));
    put(o, "value", text && text[0] ? text : "–");
    put_flag(o, "alarm", tiles[i].alarm && (json_is_string(cell) || json_integer_value(cell) > 0));
    json_array_append_new(list, o);
  }
  put_list(page, "tiles", list);
  json_decref(sum);
  return true;
}

static void finish(struct http_req *r, json_t *page) {
  json_t *tables = json_object_get(page, "tables");
  put_list(page, "tables", tables ? json_incref(tables) : json_array());
  if (!json_object_get(page, "tiles")) put_list(page, "tiles", json_array());
  page_reply(web_of(r), r, 200, "managers", page);
}

/* ---- the pages ---- */

static void get_managers(struct http_req *r) {
  struct view v;
  if (!http_query(r, "organisation") && observatory_right(web_actor(r), NULL) == OBSERVE_PROVINCE) return http_redirect(r, 303, "/managers/province");
  if (!view_take(r, &v, OBSERVE_OFFICE)) return;
  json_t *page = figures_page(r, &v, "/managers", "/managers", say(r, "managers"));
  if (!put_tiles(r, page, &v)) return;
  if (add_table(r, &v, page, TABLE_TREND, NULL, 64) && add_table(r, &v, page, TABLE_SERVICES, "/managers/services/", 100) && add_table(r, &v, page, TABLE_AGES, NULL, 20) &&
      add_table(r, &v, page, TABLE_REASONS, NULL, 20) && add_table(r, &v, page, TABLE_CHANNELS, NULL, 20) && add_table(r, &v, page, TABLE_SURVEY, NULL, 30) && add_table(r, &v, page, TABLE_PLACES, NULL, 60))
    finish(r, page);
}

static void get_province(struct http_req *r) {
  struct view v;
  if (!view_take(r, &v, OBSERVE_PROVINCE)) return;
  json_t *page = figures_page(r, &v, "/managers/province", "/managers/province", say(r, "figures_province"));
  if (!put_tiles(r, page, &v)) return;
  put(page, "small_note", say(r, "figures_small"));
  if (add_table(r, &v, page, TABLE_TREND, NULL, 64) && add_table(r, &v, page, TABLE_ORGANISATIONS, "org", 60) && add_table(r, &v, page, TABLE_SERVICES, NULL, 100) &&
      add_table(r, &v, page, TABLE_PLACES, NULL, 60) && add_table(r, &v, page, TABLE_AGES, NULL, 20) && add_table(r, &v, page, TABLE_ASKED, NULL, 60))
    finish(r, page);
}

static void get_service(struct http_req *r) {
  struct view v;
  const char *code = http_param(r, "code");
  const struct service *s = pack_find_shown(web_pack(r), code);
  if (!view_take(r, &v, OBSERVE_OFFICE)) return;
  if (!s) return not_found(r);
  v.q.service = s->code;
  json_t *page = figures_page(r, &v, arena_printf(http_arena(r), "/managers/services/%s", s->code), "/managers", text_in(&s->title, http_lang(r)));
  struct view up = v;
  up.q.service = NULL;
  crumb(page, v.q.organisation ? address(r, &up, "/managers", NULL, NULL) : "/managers/province", say(r, "managers"));
  if (!put_tiles(r, page, &v)) return;
  if (add_table(r, &v, page, TABLE_TREND, NULL, 64) && add_table(r, &v, page, TABLE_STATES, NULL, 60) && add_table(r, &v, page, TABLE_AGES, NULL, 20) &&
      add_table(r, &v, page, TABLE_REASONS, NULL, 40) && add_table(r, &v, page, TABLE_CHANNELS, NULL, 20) && add_table(r, &v, page, TABLE_RATINGS, NULL, 10) && add_table(r, &v, page, TABLE_SURVEY, NULL, 30) &&
      add_table(r, &v, page, TABLE_PLACES, NULL, 60))
    finish(r, page);
}

static void get_officers(struct http_req *r) {
  struct view v;
  if (!view_take(r, &v, OBSERVE_SELF)) return;
  if (!v.q.organisation) return http_redirect(r, 303, "/managers/province");
  json_t *page = figures_page(r, &v, "/managers/officers", "/managers/officers", say(r, v.right == OBSERVE_SELF ? "figures_own" : "figures_officers"));
  put(page, "intro", say(r, v.right == OBSERVE_SELF ? "figures_own_text" : "figures_officers_text"));
  put_filters(r, page, &v, true);
  if (add_table(r, &v, page, TABLE_OFFICERS, NULL, 200)) finish(r, page);
}

/* ---- fairness ---- */

static void draw_fair(struct http_req *r, json_t *shown, const json_t *table, const char *outcome) {
  struct chart_range items[MOST_DRAWN];
  size_t n = 0, rows = json_array_size(json_object_get(table, "rows"));
  const char *differs = word(http_lang(r), "observatory.verdict_differs");
  for (int named = 1; named >= 0; named--)
    for (size_t i = 0; i < rows && n < MOST_DRAWN; i++) {
      bool marked = base_same(json_string_value(cell_of(table, i, "verdict")), differs);
      if (!base_same(json_string_value(cell_of(table, i, "outcome")), outcome) || !json_is_real(cell_of(table, i, "rate")) || marked != (named == 1)) continue;
      items[n++] = (struct chart_range){.label = json_string_value(cell_of(table, i, "unit")), .text = table_cell(http_arena(r), http_lang(r), "share", cell_of(table, i, "rate")),
                                        .low = json_real_value(cell_of(table, i, "low")), .mid = json_real_value(cell_of(table, i, "rate")),
                                        .high = json_real_value(cell_of(table, i, "high")), .other = json_real_value(cell_of(table, i, "others")), .mark = marked ? 2 : 1};
    }
  if (n) put_svg(shown, chart_ranges(http_lang(r), outcome, items, n));
}

/* One table of all outcomes becomes a table each; the units named first. Of whom too little is known to say anything, the files tell. */
static void split_outcomes(struct http_req *r, const struct view *v, json_t *page, const json_t *table) {
  static const char *const outcomes[] = {"refused", "asked", "slow"};
  char key[64];
  json_t *list = json_array();
  const char *differs = word(http_lang(r), "observatory.verdict_differs"), *few = word(http_lang(r), "observatory.verdict_few");
  for (size_t k = 0; k < BASE_COUNT(outcomes); k++) {
    snprintf(key, sizeof key, "observatory.outcome_%s", outcomes[k]);
    const char *outcome = word(http_lang(r), key);
    json_t *part = json_copy((json_t *)table), *rows = json_array(), *row;
    size_t i;
    for (int named = 1; named >= 0; named--)
      json_array_foreach(json_object_get(table, "rows"), i, row)
        if (base_same(json_string_value(cell_of(table, i, "outcome")), outcome) && base_same(json_string_value(cell_of(table, i, "verdict")), differs) == (named == 1) &&
            !base_same(json_string_value(cell_of(table, i, "verdict")), few))
          json_array_append(rows, row);
    json_object_set_new(part, "rows", rows);
    json_object_set_new(part, "title", json_string(outcome));
    json_t *shown = table_json(r, v, part, NULL, 60);
    if (!json_array_size(rows)) put(shown, "empty", say(r, "fair_none"));
    draw_fair(r, shown, part, outcome);
    json_array_append_new(list, shown);
    json_decref(part);
  }
  json_object_set_new(page, "tables", list);
}

static void put_method(struct http_req *r, json_t *page, const json_t *found) {
  struct arena *a = http_arena(r);
  enum lang l = http_lang(r);
  static const char *const outcomes[] = {"refused", "asked", "slow"};
  double most = 1;
  int64_t few = 0;
  for (size_t i = 0; i < BASE_COUNT(outcomes); i++) {
    const json_t *o = json_object_get(json_object_get(found, "outcomes"), outcomes[i]);
    if (json_real_value(json_object_get(o, "dispersion")) > most) most = json_real_value(json_object_get(o, "dispersion"));
    few += json_int(o, "few", 0);
  }
  put(page, "fair_told", word_fill(a, l, "web.fair_told", "tested", number_format(a, l, json_int(found, "tested", 0)), "named", number_format(a, l, json_int(found, "named", 0)),
                                   "few", number_format(a, l, few), NULL));
  put(page, "fair_wide", most > 1.05 ? word_fill(a, l, "web.fair_wide", "n", number_decimal(a, l, most, 1), NULL) : NULL);
  put(page, "fair_months", word_fill(a, l, "web.fair_months", "from", date_short(a, l, date_parse(json_str(found, "from"))), "to", date_short(a, l, date_parse(json_str(found, "to"))), NULL));
}

static void get_fairness(struct http_req *r) {
  struct view v;
  struct err err;
  json_t *found = NULL, *table = NULL;
  if (!view_take(r, &v, http_query(r, "organisation") || own_organisation(web_actor(r)) ? OBSERVE_OFFICE : OBSERVE_PROVINCE)) return;
  if (!filled(r, "period") && !filled(r, "from")) {
    struct date d = day_to_jalali(cases_today());
    period_parse(arena_printf(http_arena(r), "%d", d.year), cases_today(), &v.q.period, NULL);
    v.period = arena_printf(http_arena(r), "%d", d.year);
  }
  v.q.place = NULL;
  if (observatory_fairness(figures_of(r), &v.q, &found, &err) || observatory_table(figures_of(r), TABLE_FAIRNESS, &v.q, http_lang(r), &table, &err)) {
    json_decref(found);
    return web_error(r, &err);
  }
  json_t *page = figures_page(r, &v, "/managers/fairness", "/managers/fairness", say(r, "figures_fairness"));
  put_filters(r, page, &v, true);
  json_object_set_new(page, "counties", json_array());
  put_flag(page, "has_counties", false);
  put_flag(page, "fairness", true);
  put(page, "fair_units", say(r, v.q.organisation ? "fair_officers" : "fair_offices"));
  put_method(r, page, found);
  split_outcomes(r, &v, page, table);
  json_decref(found);
  json_decref(table);
  finish(r, page);
}

/* ---- costs ---- */

static double typed_number(struct http_req *r, const char *name, double dflt, double most) {
  const char *text = filled(r, name), *ascii = text ? digits_ascii(http_arena(r), text) : NULL;
  char *end;
  if (!ascii) return dflt;
  double v = strtod(ascii, &end);
  return *end || !(v >= 0 && v <= most) ? dflt : v;
}

static void take_costs(struct http_req *r, struct view *v) {
  struct cost_assumptions *c = &v->costs;
  *c = observatory_assumptions(figures_of(r));
  c->hours_per_visit = typed_number(r, "hours", c->hours_per_visit, 100);
  c->hour_low = typed_number(r, "hour_low", c->hour_low, 1e9);
  c->hour_high = typed_number(r, "hour_high", c->hour_high, 1e9);
  if (c->hour_high < c->hour_low) c->hour_high = c->hour_low;
  c->km_low = typed_number(r, "km_low", c->km_low, 1e9);
  c->km_high = typed_number(r, "km_high", c->km_high, 1e9);
  if (c->km_high < c->km_low) c->km_high = c->km_low;
  c->travel = !base_same(filled(r, "travel"), "no");
  v->q.costs = c;
}

static void put_box(struct http_req *r, json_t *list, const char *name, double value) {
  json_t *o = json_object();
  char key[64];
  snprintf(key, sizeof key, "cost_%s", name);
  put(o, "name", name);
  put(o, "label", say(r, key));
  put(o, "value", local(r, arena_printf(http_arena(r), "%g", value)));
  json_array_append_new(list, o);
}

static void get_costs(struct http_req *r) {
  struct view v;
  if (!view_take(r, &v, http_query(r, "organisation") || own_organisation(web_actor(r)) ? OBSERVE_OFFICE : OBSERVE_PROVINCE)) return;
  take_costs(r, &v);
  json_t *page = figures_page(r, &v, "/managers/costs", "/managers/costs", say(r, "figures_costs")), *boxes = json_array();
  put_flag(page, "costs", true);
  put(page, "intro", say(r, "costs_text"));
  put_box(r, boxes, "hours", v.costs.hours_per_visit);
  put_box(r, boxes, "hour_low", v.costs.hour_low);
  put_box(r, boxes, "hour_high", v.costs.hour_high);
  put_box(r, boxes, "km_low", v.costs.km_low);
  put_box(r, boxes, "km_high", v.costs.km_high);
  put_list(page, "boxes", boxes);
  put_flag(page, "no_travel", !v.costs.travel);
  const char *source = text_in(&v.costs.source, http_lang(r));
  put(page, "source", source && source[0] ? source : say(r, "costs_guess"));
  put(page, "source_way", word_fill(http_arena(r), http_lang(r), "web.costs_way", "speed", number_format(http_arena(r), http_lang(r), (int64_t)v.costs.speed_kmh), "detour",
                                    number_decimal(http_arena(r), http_lang(r), v.costs.detour, 1), NULL));
  if (add_table(r, &v, page, TABLE_COSTS, NULL, 200)) finish(r, page);
}

/* ---- files ---- */

static void get_table(struct http_req *r) {
  struct view v;
  struct err err;
  const char *file = http_param(r, "file"), *dot = file ? strrchr(file, '.') : NULL;
  int t = dot ? table_parse(arena_strndup(http_arena(r), file, (size_t)(dot - file))) : -1;
  bool sheet = dot && strcmp(dot, ".xlsx") == 0;
  json_t *table = NULL;
  void *data = NULL;
  size_t n = 0;
  if (t < 0 || (!sheet && strcmp(dot, ".csv") != 0)) return not_found(r);
  bool province = !http_query(r, "organisation") && !own_organisation(web_actor(r));
  if (!view_take(r, &v, province ? OBSERVE_PROVINCE : t == TABLE_OFFICERS ? OBSERVE_SELF : OBSERVE_OFFICE)) return;
  if (t == TABLE_OFFICERS && !v.q.organisation) return not_found(r);
  take_costs(r, &v);
  if (observatory_table(figures_of(r), (enum table_name)t, &v.q, http_lang(r), &table, &err) || (sheet && table_xlsx(table, http_lang(r), &data, &n, &err))) {
    json_decref(table);
    return web_error(r, &err);
  }
  if (!sheet) data = table_csv(table, &n);
  json_decref(table);
  http_reply_header(r, "Content-Disposition", arena_printf(http_arena(r), "attachment; filename=\"%s\"", file));
  http_reply_take(r, 200, sheet ? "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" : "text/csv; charset=utf-8", data, n);
}

static void get_report(struct http_req *r) {
  struct view v;
  struct err err;
  void *pdf = NULL;
  size_t n = 0;
  if (!view_take(r, &v, http_query(r, "organisation") || own_organisation(web_actor(r)) ? OBSERVE_OFFICE : OBSERVE_PROVINCE)) return;
  if (observatory_report(figures_of(r), v.q.organisation, v.q.period, http_lang(r), &pdf, &n, &err)) return web_error(r, &err);
  http_reply_header(r, "Content-Disposition", "inline; filename=\"report.pdf\"");
  http_reply_take(r, 200, "application/pdf", pdf, n);
}

const struct http_route web_manager_rows[] = {
  {"GET", "/managers", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_managers, "Managers: the figures of their organisation."},
  {"GET", "/managers/province", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_province, "Operator and auditor: the figures of the province."},
  {"GET", "/managers/services/{code}", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_service, "Managers: one service, state by state."},
  {"GET", "/managers/officers", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_officers, "Managers: the work of each officer; officers: their own."},
  {"GET", "/managers/fairness", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_fairness, "Whether like cases are decided alike."},
  {"GET", "/managers/costs", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_costs, "What visits and delay cost people, with the assumptions."},
  {"GET", "/managers/report.pdf", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_report, "The page for the council's Saturday."},
  {"GET", "/managers/tables/{file}", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_table, "One table as CSV or XLSX."},
};
const size_t web_manager_count = BASE_COUNT(web_manager_rows);
