/* Calendars: months with their closed days, sudden closures and openings, what they move, and who declared them. */
#include "channels/web/admin.h"

#include <string.h>

enum { MONTHS = 6 };

static bool mine(struct http_req *r, const char *calendar) {
  if (calendar && cases_calendar_mine(web_of(r)->cases, web_actor(r), calendar)) return true;
  not_found(r);
  return false;
}

/* Weeks of seven from Saturday; days of other months are blank. */
static json_t *weeks_json(struct http_req *r, const json_t *month, json_t *titled) {
  json_t *weeks = json_array(), *week = json_array(), *one;
  int blank = ((int)json_int(month, "weekday", 6) + 1) % 7; /* Saturday is ISO 6 */
  size_t i;
  char today[16];
  date_iso(cases_today(), today);
  for (int k = 0; k < blank; k++) json_array_append_new(week, json_pack("{s:b}", "blank", 1));
  json_array_foreach(json_object_get(month, "days"), i, one) {
    const char *title = json_str(one, http_lang(r) == LANG_FA ? "title_fa" : "title_en");
    bool closed = json_flag(one, "closed", false);
    json_t *o = json_object();
    put_flag(o, "blank", false);
    put(o, "n", number_format(http_arena(r), http_lang(r), json_int(one, "number", 0)));
    put_flag(o, "closed", closed);
    put_flag(o, "today", base_same(json_str(one, "date"), today));
    json_array_append_new(week, o);
    if (closed && title) {
      json_t *t = json_object();
      put(t, "day", show_iso_day(r, json_str(one, "date")));
      put(t, "title", title);
      json_array_append_new(titled, t);
    }
    if (json_array_size(week) < 7) continue;
    json_array_append_new(weeks, json_pack("{s:o}", "days", week));
    week = json_array();
  }
  while (json_array_size(week) % 7) json_array_append_new(week, json_pack("{s:b}", "blank", 1));
  if (json_array_size(week)) json_array_append_new(weeks, json_pack("{s:o}", "days", week));
  else json_decref(week);
  return weeks;
}

static json_t *months_json(struct http_req *r, const char *calendar, int32_t from) {
  json_t *list = json_array();
  struct date d = day_to_jalali(from);
  for (int k = 0; k < MONTHS; k++, d.month++) {
    json_t *month = NULL, *titled = json_array();
    struct err err;
    if (d.month > 12) {
      d.month = 1;
      d.year++;
    }
    if (cases_calendar_month(web_of(r)->cases, calendar, d.year, d.month, &month, &err)) {
      json_decref(titled);
      break;
    }
    json_t *o = json_object();
    char year[16];
    snprintf(year, sizeof year, "%d", d.year);
    put(o, "name", arena_printf(http_arena(r), "%s %s", jalali_month(http_lang(r), d.month), local(r, year)));
    json_object_set_new(o, "weeks", weeks_json(r, month, titled));
    put_list(o, "titled", titled);
    json_decref(month);
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *history_json(struct http_req *r, const char *calendar) {
  json_t *list = json_array(), *out = NULL, *one;
  struct act_query q = {.person = calendar, .limit = 30};
  struct err err;
  size_t i;
  if (identity_acts(web_of(r)->identity, &q, &out, &err)) return list;
  json_array_foreach(json_object_get(out, "items"), i, one) {
    const json_t *detail = json_object_get(one, "detail");
    const char *kind = json_str(one, "kind"), *title = json_str(detail, http_lang(r) == LANG_FA ? "title" : "title_en");
    if (!base_starts(kind, "calendar_")) continue;
    json_t *o = json_object();
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "who", json_str(one, "who"));
    put(o, "kind", say(r, arena_printf(http_arena(r), "act_%s", kind)));
    put(o, "day", show_iso_day(r, json_str(detail, "day")));
    put(o, "title", title);
    json_array_append_new(list, o);
  }
  json_decref(out);
  return list;
}

struct wanted {
  const char *date, *fa, *en, *field, *detail;
  bool closed, asked;
  int32_t day;
  int64_t moves;
};

static int32_t page_start(struct http_req *r) {
  const char *from = http_query(r, "from");
  int32_t day = from ? date_parse(from) : INT32_MIN, today = cases_today();
  if (day == INT32_MIN || day < today - 800 || day > today + 800) day = today;
  struct date d = day_to_jalali(day);
  return day - (d.day - 1);
}

static const char *from_href(struct http_req *r, const char *calendar, int32_t day) {
  char text[16];
  date_iso(day, text);
  return arena_printf(http_arena(r), "/admin/calendars/%s?from=%s", calendar, text);
}

static void show_calendar(struct http_req *r, const char *calendar, const struct wanted *w, int status) {
  json_t *page = admin_page(r, say(r, "admin_calendar"), NULL);
  int32_t from = page_start(r);
  crumb(page, "/admin/calendars", say(r, "admin_calendars"));
  put(page, "calendar", calendar);
  put(page, "action", arena_printf(http_arena(r), "/admin/calendars/%s", calendar));
  put(page, "before_href", from_href(r, calendar, from - 180));
  put(page, "after_href", from_href(r, calendar, from + 190));
  put(page, "done", http_query(r, "done") ? say(r, "admin_calendar_done") : NULL);
  put(page, "date", w ? w->date : NULL);
  put(page, "fa", w ? w->fa : NULL);
  put(page, "en", w ? w->en : NULL);
  put_flag(page, "opens", w && !w->closed);
  put_flag(page, "preview", w && w->asked);
  if (w && w->asked) {
    put(page, "day", date_long(http_arena(r), http_lang(r), w->day));
    put(page, "moves", w->moves ? number_format(http_arena(r), http_lang(r), w->moves) : NULL);
  }
  if (w && w->detail) fault(page, arena_printf(http_arena(r), "#c%s", w->field), w->detail);
  put(page, "date_error", w && w->detail && base_same(w->field, "date") ? w->detail : NULL);
  put(page, "fa_error", w && w->detail && base_same(w->field, "fa") ? w->detail : NULL);
  put(page, "en_error", w && w->detail && base_same(w->field, "en") ? w->detail : NULL);
  put_list(page, "months", months_json(r, calendar, from));
  put_list(page, "history", history_json(r, calendar));
  page_reply(web_of(r), r, status, "admin_calendar", page);
}

static void get_calendars(struct http_req *r) {
  const struct pack *p = web_pack(r);
  json_t *list = json_array();
  const char *only = NULL;
  for (size_t i = 0; i < pack_calendars(p); i++) {
    const char *code = pack_calendar_code(p, i);
    if (!cases_calendar_mine(web_of(r)->cases, web_actor(r), code)) continue;
    json_t *o = json_object();
    only = arena_printf(http_arena(r), "/admin/calendars/%s", code);
    put(o, "href", only);
    put(o, "code", code);
    json_array_append_new(list, o);
  }
  if (json_array_size(list) == 1 && only) {
    json_decref(list);
    return http_redirect(r, 303, only);
  }
  json_t *page = admin_page(r, say(r, "admin_calendars"), NULL);
  put_list(page, "items", list);
  page_reply(web_of(r), r, 200, "admin_calendars", page);
}

static void get_calendar(struct http_req *r) {
  if (mine(r, http_param(r, "calendar"))) show_calendar(r, http_param(r, "calendar"), NULL, 200);
}

static void judge(struct http_req *r, struct wanted *w) {
  int32_t today = cases_today();
  w->day = w->date ? date_parse(w->date) : INT32_MIN;
  if (w->day == INT32_MIN) w->field = "date", w->detail = word(http_lang(r), "api.date");
  else if (w->day < today - 30 || w->day > today + 730) w->field = "date", w->detail = word(http_lang(r), "api.closure_range");
  else if (!w->fa || strlen(w->fa) > 200) w->field = "fa", w->detail = say(r, "admin_title_needed");
  else if (!w->en || strlen(w->en) > 200) w->field = "en", w->detail = say(r, "admin_title_needed");
}

/* First what would move, then (with `confirmed`) done. */
static void post_calendar(struct http_req *r) {
  const char *calendar = http_param(r, "calendar");
  struct err err;
  if (http_replied(r) || !mine(r, calendar)) return;
  struct wanted w = {.date = admin_value(r, "date"), .fa = admin_value(r, "title_fa"), .en = admin_value(r, "title_en"), .closed = !base_same(admin_value(r, "kind"), "open")};
  judge(r, &w);
  if (w.detail) return show_calendar(r, calendar, &w, 422);
  if (admin_value(r, "confirmed")) {
    if (cases_calendar_close(web_of(r)->cases, web_actor(r), calendar, w.day, w.fa, w.en, w.closed, &err)) return web_error(r, &err);
    return http_redirect(r, 303, arena_printf(http_arena(r), "/admin/calendars/%s?done=1", calendar));
  }
  if (cases_calendar_preview(web_of(r)->cases, calendar, w.day, w.closed, &w.moves, &err)) return web_error(r, &err);
  w.asked = true;
  show_calendar(r, calendar, &w, 200);
}

const struct http_route web_closure_rows[] = {
  {"GET", "/admin/calendars", HTTP_INLINE, PERMIT_MANAGER, HTTP_SAFE, 0, get_calendars, "The calendars whose closures one may declare."},
  {"GET", "/admin/calendars/{calendar}", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_calendar, "A calendar month by month, with who declared what."},
  {"POST", "/admin/calendars/{calendar}", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, 8192, post_calendar, "Declare a closure or an opening: first what it moves, then done."},
};
const size_t web_closure_count = BASE_COUNT(web_closure_rows);
