/* Who did what: administrative acts, filtered, and as a file. */
#include "channels/web/admin.h"

#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {
  "staff_add", "staff_add_role", "staff_remove_role", "staff_unit", "staff_disable", "staff_enable", "staff_leave", "staff_reset", "staff_totp_off",
  "staff_end_sessions", "staff_person", "sessions_end", "own_password", "own_totp", "own_totp_off", "unit_put", "unit_close", "calendar_close", "calendar_open",
  "service_off", "service_on", "definition_upload", "definition_approve", "definition_withdraw", "acts_export",
  "data_rights_pack", "data_right_given", "data_right_revoked", "data_right_restored", "data_right_reviewed"};

enum { EXPORT_MOST = 10000, EXPORT_PAGE = 500 };

static const char *kind_title(struct http_req *r, const char *kind) {
  const char *key = arena_printf(http_arena(r), "web.act_%s", kind);
  return key && word_known(key) ? word(http_lang(r), key) : kind;
}

/* The details as a person reads them: texts only, one after the other. */
static const char *detail_text(struct http_req *r, const json_t *detail) {
  const char *name, *all = NULL;
  json_t *v;
  json_object_foreach((json_t *)(uintptr_t)detail, name, v) {
    const char *text = json_is_integer(v) ? number_format(http_arena(r), http_lang(r), json_integer_value(v)) : json_string_value(v);
    if (strcmp(name, "role") == 0 && text) text = say(r, arena_printf(http_arena(r), "role_%s", text));
    else if (strcmp(name, "day") == 0 && text) text = show_iso_day(r, text);
    if (text && text[0]) all = all ? arena_printf(http_arena(r), "%s — %s", all, text) : text;
  }
  return all;
}

static bool day_of_query(struct http_req *r, const char *name, int32_t more, int64_t *out, json_t *page) {
  const char *text = admin_value(r, name);
  *out = 0;
  if (!text) return true;
  int32_t day = date_parse(text);
  if (day == INT32_MIN && page) fault(page, arena_printf(http_arena(r), "#a%s", name), word(http_lang(r), "api.date"));
  if (day != INT32_MIN) *out = day_start(day + more);
  return day != INT32_MIN;
}

static struct act_query asked(struct http_req *r, const char *organisation, json_t *page) {
  struct act_query q = {.organisation = organisation, .person = admin_value(r, "person"), .kind = admin_value(r, "kind"), .after = admin_value(r, "after"), .limit = 50};
  day_of_query(r, "from", 0, &q.from, page);
  day_of_query(r, "to", 1, &q.to, page);
  return q;
}

/* The same choice at another address. */
static const char *same_choice(struct http_req *r, const char *path, const char *after) {
  static const char *const names[] = {"organisation", "person", "kind", "from", "to"};
  const char *to = arena_printf(http_arena(r), "%s?after=%s", path, after ? url_quote(r, after) : "");
  for (size_t i = 0; i < BASE_COUNT(names) && to; i++)
    if (admin_value(r, names[i])) to = arena_printf(http_arena(r), "%s&%s=%s", to, names[i], url_quote(r, admin_value(r, names[i])));
  return to;
}

static json_t *act_item(struct http_req *r, const json_t *one) {
  json_t *o = json_object();
  const char *who = json_str(one, "who"), *subject = json_str(one, "subject");
  bool machine = base_same(who, "console") || base_same(who, "system");
  put(o, "at", show_time(r, json_str(one, "at")));
  put(o, "kind", kind_title(r, json_str(one, "kind")));
  put(o, "who", machine ? say(r, arena_printf(http_arena(r), "act_by_%s", who)) : who);
  put(o, "subject", base_same(subject, who) ? NULL : subject);
  put(o, "organisation", admin_organisation_name(r, json_str(one, "organisation")));
  put(o, "detail", detail_text(r, json_object_get(one, "detail")));
  return o;
}

static void get_acts(struct http_req *r) {
  const char *organisation, *kind = admin_value(r, "kind");
  json_t *out = NULL, *one, *items = json_array();
  struct err err;
  size_t i;
  if (!admin_scope(r, &organisation)) {
    json_decref(items);
    return;
  }
  json_t *page = admin_page(r, say(r, "admin_acts"), organisation), *kind_options = json_array();
  struct act_query q = asked(r, organisation, page);
  if (identity_acts(web_of(r)->identity, &q, &out, &err)) {
    json_decref(items);
    json_decref(page);
    json_decref(kind_options);
    return web_error(r, &err);
  }
  json_array_foreach(json_object_get(out, "items"), i, one) json_array_append_new(items, act_item(r, one));
  for (i = 0; i < BASE_COUNT(kinds); i++) {
    json_t *o = json_object();
    put(o, "value", kinds[i]);
    put(o, "label", kind_title(r, kinds[i]));
    put_flag(o, "chosen", base_same(kinds[i], kind));
    json_array_append_new(kind_options, o);
  }
  const char *next = json_str(out, "next");
  put(page, "next_href", next ? same_choice(r, "/admin/acts", next) : NULL);
  put(page, "person", admin_value(r, "person"));
  put(page, "kind", kind);
  put(page, "from", admin_value(r, "from"));
  put(page, "to", admin_value(r, "to"));
  put_list(page, "kind_options", kind_options);
  put_list(page, "items", items);
  json_decref(out);
  page_reply(web_of(r), r, 200, "admin_acts", page);
}

/* ---- as a file ---- */

/* A cell that a spreadsheet would take for a formula begins with an apostrophe. */
static void cell(struct buf *b, const char *text) {
  buf_addc(b, '"');
  if (text && text[0] && strchr("=+-@\t\r", text[0])) buf_addc(b, '\'');
  for (const char *s = text ? text : ""; *s; s++) {
    if (*s == '"') buf_addc(b, '"');
    buf_addc(b, *s);
  }
  buf_addc(b, '"');
}

static void add_line(struct buf *b, const json_t *one) {
  static const char *const columns[] = {"at", "kind", "organisation", "who", "subject"};
  for (size_t i = 0; i < BASE_COUNT(columns); i++) {
    cell(b, json_str(one, columns[i]));
    buf_addc(b, ',');
  }
  const json_t *detail = json_object_get(one, "detail");
  char *text = json_is_object(detail) ? json_canonical(detail) : base_strdup("");
  cell(b, text);
  free(text);
  buf_adds(b, "\r\n");
}

/* Another export would show itself: the act is written first, and counted out. */
static int add_lines(struct http_req *r, struct act_query *q, struct buf *b, struct err *err) {
  char *after = NULL;
  int64_t rows = 0;
  int rc = 0;
  q->limit = EXPORT_PAGE;
  do {
    json_t *out = NULL, *one;
    size_t i;
    q->after = after;
    rc = identity_acts(web_of(r)->identity, q, &out, err);
    free(after);
    after = NULL;
    if (rc) break;
    json_array_foreach(json_object_get(out, "items"), i, one) add_line(b, one);
    rows += (int64_t)json_array_size(json_object_get(out, "items"));
    after = base_strdup(json_str(out, "next"));
    json_decref(out);
  } while (after && rows < EXPORT_MOST && !buf_overflowed(b));
  free(after);
  return rc;
}

static void post_export(struct http_req *r) {
  const char *organisation;
  struct err err;
  struct buf b;
  if (http_replied(r) || !admin_scope(r, &organisation)) return;
  struct act_query q = asked(r, organisation, NULL);
  struct act act = {.kind = "acts_export", .who = web_actor(r)->username, .organisation = organisation};
  if (identity_act(web_of(r)->identity, &act, &err)) return web_error(r, &err);
  buf_init(&b, 0);
  buf_adds(&b, "\xef\xbb\xbf" "at,kind,organisation,who,subject,detail\r\n"); /* the mark makes spreadsheets read UTF-8 */
  if (add_lines(r, &q, &b, &err) || buf_overflowed(&b)) {
    buf_free(&b);
    return buf_overflowed(&b) ? http_problem_code(r, ERR_LIMIT, NULL) : web_error(r, &err);
  }
  http_reply_header(r, "Content-Disposition", "attachment; filename=\"acts.csv\"");
  size_t n = b.len;
  http_reply_take(r, 200, "text/csv; charset=utf-8", buf_take(&b), n);
}

const struct http_route web_acts_rows[] = {
  {"GET", "/admin/acts", HTTP_WORKER, PERMIT_AUDIT, HTTP_SAFE, 0, get_acts, "Administrative acts: who did what, and when."},
  {"POST", "/admin/acts/export", HTTP_WORKER, PERMIT_AUDIT, HTTP_TOKEN, 4096, post_export, "The chosen acts as CSV; an act itself."},
};
const size_t web_acts_count = BASE_COUNT(web_acts_rows);
