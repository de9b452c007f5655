/* What those who answer for people at counters and desks look at: unusual looking, what agents filed, telephones bound; and one's own telephones. */
#include "channels/web/inside.h"

#include <string.h>

static const char *name_of(struct http_req *r, const char *code) {
  const struct directory *d = pack_directory(web_pack(r));
  const struct organisation *o = directory_organisation(d, code ? directory_find_organisation(d, code) : -1);
  return o ? organisation_name(o, http_lang(r)) : code;
}

static const char *office_of(struct http_req *r, const char *code) {
  const struct directory *d = pack_directory(web_pack(r));
  const struct office *o = code ? directory_office(d, directory_find_office(d, code)) : NULL;
  return !o ? code : http_lang(r) == LANG_EN && o->name_en && o->name_en[0] ? o->name_en : o->name_fa;
}

static const char *number(struct http_req *r, const json_t *o, const char *key) { return number_format(http_arena(r), http_lang(r), json_int(o, key, 0)); }

/* ---- unusual looking ---- */

static const char *report_text(struct http_req *r, const json_t *one) {
  const char *key = arena_printf(http_arena(r), "web.looks_%s", json_str(one, "kind"));
  return word_fill(http_arena(r), http_lang(r), key, "n", number(r, one, "count"), "usual", number(r, one, "usual"), NULL);
}

static void show_looks(struct http_req *r, const char *at, const char *wrong, int status) {
  json_t *found = NULL, *list = json_array(), *one, *page;
  struct err err;
  size_t i;
  bool open = !http_query(r, "all");
  if (cases_looks(web_of(r)->cases, web_actor(r), open, &found, &err)) {
    json_decref(list);
    return web_error(r, &err);
  }
  json_array_foreach(found, i, one) {
    json_t *o = json_object();
    put(o, "id", json_str(one, "id"));
    put(o, "who", json_str(one, "who"));
    put(o, "role", word(http_lang(r), arena_printf(http_arena(r), "web.looks_role_%s", json_str(one, "role"))));
    put(o, "organisation", name_of(r, json_str(one, "organisation")));
    put(o, "day", show_iso_day(r, json_str(one, "day")));
    put(o, "text", report_text(r, one));
    put(o, "done", json_str(one, "acknowledged_at") ? show_time(r, json_str(one, "acknowledged_at")) : NULL);
    put(o, "by", json_str(one, "acknowledged_by"));
    put(o, "note", json_str(one, "note"));
    put(o, "note_error", base_same(at, json_str(one, "id")) ? wrong : NULL);
    json_array_append_new(list, o);
  }
  page = page_new(web_of(r), r, say(r, "looks_title"), true);
  crumb(page, "/desk", say(r, "desk"));
  if (wrong) fault(page, arena_printf(http_arena(r), "#note-%s", at), wrong);
  put_flag(page, "open_only", open);
  put_list(page, "items", list);
  json_decref(found);
  page_reply(web_of(r), r, status, "looks", page);
}

static void get_looks(struct http_req *r) { show_looks(r, NULL, NULL, 200); }

static void post_look(struct http_req *r) {
  const char *note = http_form_value(r, "note"), *id = http_param(r, "id");
  struct err err;
  if (http_replied(r)) return;
  note = note && utf8_valid(note, strlen(note)) ? text_repair(http_arena(r), note) : NULL;
  if (cases_looks_acknowledge(web_of(r)->cases, web_actor(r), id, note ? note : "", NULL, &err) == 0) return http_redirect(r, 303, "/desk/looks");
  if (err.code == ERR_INVALID) show_looks(r, id, say(r, "looks_note_needed"), 422);
  else web_error(r, &err);
}

/* A cell of CSV that no spreadsheet takes for a formula. */
static void cell(struct buf *b, const char *text, bool last) {
  buf_adds(b, text && strchr("=+-@", text[0]) && text[0] ? "\"'" : "\"");
  for (const char *s = text ? text : ""; *s; s++) {
    if (*s == '"') buf_addc(b, '"');
    buf_addc(b, *s);
  }
  buf_adds(b, last ? "\"\r\n" : "\",");
}

static void get_csv(struct http_req *r) {
  static const char *const texts[] = {"day", "kind", "who", "role", "organisation"}, *const rest[] = {"acknowledged_at", "acknowledged_by", "note"};
  json_t *found = NULL, *one;
  struct err err;
  struct buf b;
  size_t i;
  if (cases_looks(web_of(r)->cases, web_actor(r), false, &found, &err)) return web_error(r, &err);
  buf_init(&b, 1024 * 1024);
  buf_adds(&b, "\xef\xbb\xbf" "day,kind,who,role,organisation,count,usual,limit,acknowledged_at,acknowledged_by,note\r\n");
  json_array_foreach(found, i, one) {
    for (size_t k = 0; k < BASE_COUNT(texts); k++) cell(&b, json_str(one, texts[k]), false);
    buf_addf(&b, "%lld,%lld,%lld,", (long long)json_int(one, "count", 0), (long long)json_int(one, "usual", 0), (long long)json_int(one, "limit", 0));
    for (size_t k = 0; k < BASE_COUNT(rest); k++) cell(&b, json_str(one, rest[k]), k + 1 == BASE_COUNT(rest));
  }
  json_decref(found);
  http_reply_header(r, "Content-Disposition", "attachment; filename=\"looks.csv\"");
  size_t n = b.len;
  http_reply_take(r, 200, "text/csv; charset=utf-8", buf_take(&b), n);
}

/* ---- what agents filed, and telephones bound ---- */

static json_t *telephones_json(struct http_req *r, const char *organisation) {
  json_t *found = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (identity_bound(web_of(r)->identity, web_actor(r), organisation, &found, &err)) return list;
  json_array_foreach(found, i, one) {
    json_t *o = json_object();
    bool active = json_flag(one, "active", false);
    put(o, "id", json_str(one, "id"));
    put(o, "mobile", local(r, json_str(one, "mobile")));
    put(o, "agent", json_str(one, "agent"));
    put(o, "place", json_str(one, "office") ? office_of(r, json_str(one, "office")) : name_of(r, json_str(one, "organisation")));
    put(o, "at", show_time_day(r, json_str(one, "at")));
    put(o, "until", active ? show_time_day(r, json_str(one, "expires_at")) : NULL);
    put(o, "ended", json_str(one, "ended_at") ? show_time_day(r, json_str(one, "ended_at")) : NULL);
    put_flag(o, "active", active && !base_same(json_str(one, "agent"), web_actor(r)->username));
    json_array_append_new(list, o);
  }
  json_decref(found);
  return list;
}

static const char *led(struct http_req *r) {
  const struct actor *who = web_actor(r);
  const char *given = http_query(r, "organisation");
  for (unsigned i = 0; i < who->role_count; i++)
    if ((who->roles[i].role == STAFF_SUPERVISOR || who->roles[i].role == STAFF_MANAGER) && (!given || strcmp(given, who->roles[i].organisation) == 0)) return who->roles[i].organisation;
  if (actor_has_role(who, NULL, STAFF_AUDITOR)) return given ? given : who->roles[0].organisation;
  return NULL;
}

static void get_filed(struct http_req *r) {
  static const char *const names[] = {"cases", "code", "slip", "kept", "seen", "refused"};
  const char *organisation = led(r);
  json_t *found = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (!organisation || cases_counter_figures(web_of(r)->cases, web_actor(r), organisation, 30, &found, &err)) {
    json_decref(list);
    return organisation ? web_error(r, &err) : not_found(r);
  }
  json_array_foreach(json_object_get(found, "items"), i, one) {
    json_t *o = json_object();
    put(o, "agent", json_str(one, "agent"));
    put(o, "office", json_str(one, "office") ? office_of(r, json_str(one, "office")) : say(r, "counter_office_none"));
    for (size_t k = 0; k < BASE_COUNT(names); k++) put(o, names[k], number(r, one, names[k]));
    json_array_append_new(list, o);
  }
  json_t *page = page_new(web_of(r), r, say(r, "filed_title"), true);
  crumb(page, "/desk", say(r, "desk"));
  put(page, "organisation", name_of(r, organisation));
  put_list(page, "items", list);
  put_list(page, "telephones", telephones_json(r, organisation));
  json_decref(found);
  page_reply(web_of(r), r, 200, "counter_filed", page);
}

static void post_unbind(struct http_req *r) {
  struct err err;
  bool citizen = web_actor(r)->kind == ACTOR_CITIZEN;
  if (cases_unbind(web_of(r)->cases, web_actor(r), http_param(r, "id"), &err)) return web_error(r, &err);
  http_redirect(r, 303, citizen ? "/mine/telephones" : "/desk/counter");
}

static void get_mine(struct http_req *r) {
  json_t *page = page_new(web_of(r), r, say(r, "telephones_title"), true);
  crumb(page, "/", say(r, "home"));
  crumb(page, "/mine", say(r, "mine"));
  put_list(page, "telephones", telephones_json(r, ""));
  page_reply(web_of(r), r, 200, "telephones", page);
}

const struct http_route web_looks_rows[] = {
  {"GET", "/desk/looks", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_looks, "Supervisors, managers, auditors: unusual looking at personal data."},
  {"GET", "/desk/looks.csv", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_csv, "The same as a table."},
  {"POST", "/desk/looks/{id}", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, 8192, post_look, "Say that a report was looked into."},
  {"GET", "/desk/counter", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_filed, "Supervisors, managers, auditors: what agents filed, and telephones bound."},
  {"GET", "/mine/telephones", HTTP_WORKER, PERMIT_CITIZEN, HTTP_SAFE, 0, get_mine, "Telephones bound to me at a counter."},
  {"POST", "/telephones/{id}/end", HTTP_WORKER, PERMIT_SESSION, HTTP_TOKEN, 4096, post_unbind, "End a telephone's binding."},
};
const size_t web_looks_count = BASE_COUNT(web_looks_rows);
