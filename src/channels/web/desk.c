/* The plain desk: an organisation's cases as a list. */
#include "channels/web/inside.h"

#include <string.h>

static json_t *desks_json(struct http_req *r, const char *chosen) {
  const struct actor *who = web_actor(r);
  const struct directory *d = pack_directory(web_pack(r));
  json_t *list = json_array();
  for (unsigned i = 0; i < who->role_count; i++) {
    const char *code = who->roles[i].organisation;
    const struct organisation *o = directory_organisation(d, directory_find_organisation(d, code));
    bool seen = false;
    for (unsigned k = 0; k < i; k++) seen = seen || strcmp(who->roles[k].organisation, code) == 0;
    if (seen) continue;
    json_t *one = json_object();
    put(one, "value", code);
    put(one, "label", o ? organisation_name(o, http_lang(r)) : code);
    put_flag(one, "chosen", base_same(code, chosen));
    json_array_append_new(list, one);
  }
  return list;
}

static const char *filled(struct http_req *r, const char *name) {
  const char *v = http_query(r, name);
  return v && v[0] ? v : NULL;
}

static json_t *item_json(struct http_req *r, const json_t *one) {
  json_t *o = json_object(), *left = json_object_get(one, "days_left");
  struct arena *a = http_arena(r);
  enum lang l = http_lang(r);
  bool late = json_flag(one, "overdue", false);
  put(o, "href", arena_printf(a, "/cases/%s", json_str(one, "tracking")));
  put(o, "code", show_code(r, json_str(one, "tracking")));
  put(o, "name", json_str(one, "service_title"));
  put(o, "state", json_str(one, "state_title"));
  put(o, "result", json_str(one, "result"));
  put(o, "since", show_time(r, json_str(one, "submitted_at")));
  put(o, "assignee", json_str(one, "assignee"));
  put_flag(o, "late", late);
  int64_t n = left ? json_integer_value(left) : 0;
  put(o, "left", left ? word_fill(a, l, late ? "web.days_late" : "web.days_left", "n", number_format(a, l, n < 0 ? -n : n), NULL) : NULL);
  return o;
}

static void get_desk(struct http_req *r) {
  const struct actor *who = web_actor(r);
  const char *org = filled(r, "organisation"), *view = filled(r, "view");
  if (!org && who->role_count) org = who->roles[0].organisation;
  struct case_query q = {.organisation = org ? org : "", .q = filled(r, "q"), .after = filled(r, "after"), .overdue = -1, .open = 1, .limit = 50};
  if (base_same(view, "mine")) q.assignee = who->username;
  else if (base_same(view, "free")) q.assignee = "none";
  else if (base_same(view, "late")) q.overdue = 1;
  else if (base_same(view, "closed")) q.open = 0;
  json_t *out = NULL, *one, *list = json_array(), *views = json_array();
  struct err err;
  size_t i;
  if (cases_desk(web_of(r)->cases, who, &q, http_lang(r), &out, &err)) {
    json_decref(list);
    json_decref(views);
    return web_error(r, &err);
  }
  json_array_foreach(json_object_get(out, "items"), i, one) json_array_append_new(list, item_json(r, one));
  json_t *page = page_new(web_of(r), r, say(r, "desk"), false);
  static const char *const names[] = {"open", "mine", "free", "late", "closed"};
  for (i = 0; i < BASE_COUNT(names); i++) {
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/desk?organisation=%s&view=%s", url_quote(r, q.organisation), names[i]));
    put(o, "name", say(r, arena_printf(http_arena(r), "desk_%s", names[i])));
    put_flag(o, "here", view ? strcmp(view, names[i]) == 0 : i == 0);
    json_array_append_new(views, o);
  }
  put(page, "q", q.q);
  put(page, "view", view);
  put(page, "organisation", q.organisation);
  json_t *desks = desks_json(r, org);
  put_flag(page, "many_desks", json_array_size(desks) > 1);
  const char *next = json_str(out, "next");
  put(page, "next_href", next ? arena_printf(http_arena(r), "/desk?organisation=%s&view=%s&after=%s", url_quote(r, q.organisation), view ? url_quote(r, view) : "open", url_quote(r, next)) : NULL);
  put_list(page, "desks", desks);
  put_list(page, "views", views);
  put_list(page, "items", list);
  json_decref(out);
  page_reply(web_of(r), r, 200, "desk", page);
}

const struct http_route web_desk_rows[] = {
  {"GET", "/desk", HTTP_INLINE, PERMIT_STAFF, HTTP_SAFE, 0, get_desk, "Staff: the cases of their organisation."},
};
const size_t web_desk_count = BASE_COUNT(web_desk_rows);
