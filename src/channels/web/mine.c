/* What is mine: requests, drafts, and who looked at my data. */
#include "channels/web/inside.h"

#include <string.h>

static const char *owner_of(struct http_req *r, const struct actor *who) {
  return who->kind == ACTOR_CITIZEN ? arena_strdup(http_arena(r), who->pair) : arena_strdup(http_arena(r), who->person);
}

void drafts_move(struct http_req *r, const struct actor *to) {
  struct cases *c = web_of(r)->cases;
  const char *v = web_visitor(r), *owner = owner_of(r, to);
  json_t *list = NULL, *one, *doc;
  struct err err;
  size_t i;
  if (!v || !owner || to->kind == ACTOR_NOBODY) return;
  const char *from = arena_printf(http_arena(r), "v:%s", v);
  if (cases_drafts(c, from, &list, &err)) return;
  json_array_foreach(list, i, one) {
    const char *service = json_str(one, "service");
    json_t *mine = NULL;
    doc = NULL;
    if (cases_draft_load(c, from, service, &doc, &err)) continue;
    bool keep = cases_draft_load(c, owner, service, &mine, &err) != 0 || json_str(mine, "submitted");
    if (!json_str(doc, "submitted") && keep && cases_draft_save(c, owner, service, doc, &err) == 0) cases_draft_drop(c, from, service, &err);
    json_decref(mine);
    json_decref(doc);
  }
  json_decref(list);
}

json_t *drafts_json(struct http_req *r) {
  struct cases *c = web_of(r)->cases;
  const char *owner = draft_owner(r);
  json_t *list = NULL, *out = json_array(), *one;
  struct err err;
  size_t i;
  if (!owner || cases_drafts(c, owner, &list, &err)) return out;
  json_array_foreach(list, i, one) {
    const struct service *s = pack_find(web_pack(r), json_str(one, "service"));
    json_t *doc = NULL;
    if (!s || cases_draft_load(c, owner, s->code, &doc, &err)) continue;
    if (!json_str(doc, "submitted")) {
      json_t *o = json_object();
      put(o, "href", arena_printf(http_arena(r), "/services/%s/apply", s->code));
      put(o, "drop", arena_printf(http_arena(r), "/services/%s/drop", s->code));
      put(o, "name", text_in(&s->title, http_lang(r)));
      put(o, "saved", show_time(r, json_str(one, "saved_at")));
      json_array_append_new(out, o);
    }
    json_decref(doc);
  }
  json_decref(list);
  return out;
}

static void put_next(struct http_req *r, json_t *page, const char *path, const char *next) {
  put(page, "next_href", next ? arena_printf(http_arena(r), "%s?after=%s", path, url_quote(r, next)) : NULL);
}

static void get_mine(struct http_req *r) {
  json_t *out = NULL, *one, *list = json_array();
  struct err err;
  size_t i;
  if (cases_mine(web_of(r)->cases, web_actor(r), http_query(r, "after"), 30, http_lang(r), &out, &err)) {
    json_decref(list);
    return web_error(r, &err);
  }
  json_array_foreach(json_object_get(out, "items"), i, one) {
    json_t *o = json_object();
    const char *result = json_str(one, "result");
    put(o, "href", arena_printf(http_arena(r), "/cases/%s", json_str(one, "tracking")));
    put(o, "name", json_str(one, "service_title"));
    put(o, "state", json_str(one, "state_title"));
    put_flag(o, "waits", base_same(result, "open") && waits_for_citizen(item_state(r, one)));
    put(o, "result", result);
    put(o, "code", show_code(r, json_str(one, "tracking")));
    put(o, "since", show_time_day(r, json_str(one, "submitted_at")));
    put(o, "due", base_same(result, "open") ? show_iso_day(r, json_str(json_object_get(one, "due"), "legal")) : NULL);
    json_array_append_new(list, o);
  }
  json_t *page = page_new(web_of(r), r, say(r, "mine"), true), *drafts = drafts_json(r);
  crumb(page, "/", say(r, "home"));
  put_next(r, page, "/mine", json_str(out, "next"));
  put_list(page, "items", list);
  put_list(page, "drafts", drafts);
  char masked[32] = "";
  if (web_actor(r)->national_id[0]) identifier_mask(IDENT_NATIONAL_ID, web_actor(r)->national_id, masked);
  put(page, "masked", local(r, masked));
  json_decref(out);
  page_reply(web_of(r), r, 200, "mine", page);
}

static void get_drafts(struct http_req *r) {
  json_t *page = page_new(web_of(r), r, say(r, "drafts"), true);
  crumb(page, "/", say(r, "home"));
  put_list(page, "drafts", drafts_json(r));
  page_reply(web_of(r), r, 200, "drafts", page);
}

/* «X was given by Y through the exchange, for Z»: Z is a form, or what the asker calls the matter. */
static const char *shared_text(struct http_req *r, const json_t *one) {
  struct arena *a = http_arena(r);
  enum lang l = http_lang(r);
  const struct data_service *d = pack_find_data_service(web_pack(r), json_str(one, "provider"), json_str(one, "data_service"));
  const char *matter = json_str(one, "matter"), *form = matter && base_starts(matter, "form ") ? matter + 5 : NULL;
  const struct service *s = form ? pack_find_shown(web_pack(r), form) : NULL;
  const struct directory *all = pack_directory(web_pack(r));
  const struct organisation *o = directory_organisation(all, directory_find_organisation(all, json_str(one, "provider") ? json_str(one, "provider") : ""));
  if (s) matter = word_fill(a, l, "web.used_form", "form", text_in(&s->title, l), NULL);
  return word_fill(a, l, "web.used_exchange", "service", d ? text_in(&d->title, l) : json_str(one, "data_service"), "provider", o ? organisation_name(o, l) : json_str(one, "provider"),
                   "matter", matter && matter[0] ? matter : "—", NULL);
}

/* «Form X was filled in from Y»; «a record was read: Y». NULL for a look at a case. */
static const char *use_text(struct http_req *r, const json_t *one) {
  const json_t *list = json_object_get(one, "registries"), *v;
  const struct service *s = json_str(one, "service") ? pack_find(web_pack(r), json_str(one, "service")) : NULL;
  struct arena *a = http_arena(r);
  const char *names = NULL, *comma = http_lang(r) == LANG_FA ? "، " : ", ";
  size_t i;
  if (base_same(json_str(one, "basis"), "exchange")) return shared_text(r, one);
  if (!list) return NULL;
  json_array_foreach(list, i, v) {
    const struct registry *k = pack_find_registry(web_pack(r), json_string_value(v));
    const char *name = k ? text_in(&k->title, http_lang(r)) : json_string_value(v);
    names = names ? arena_printf(a, "%s%s%s", names, comma, name) : name;
  }
  if (base_same(json_str(one, "basis"), "registry_export"))
    return word_fill(a, http_lang(r), "web.used_registry_export", "names", names ? names : "", "why", json_str(one, "why") ? json_str(one, "why") : "", NULL);
  return word_fill(a, http_lang(r), s ? "web.used_prefill" : "web.used_registry", "names", names ? names : "", "service", s ? text_in(&s->title, http_lang(r)) : "", NULL);
}

static bool same_look(const json_t *a, const json_t *b) {
  static const char *const members[] = {"basis", "organisation", "tracking", "service", "provider", "data_service", "matter", "registries", "why"};
  const char *x = json_str(a, "at"), *y = json_str(b, "at");
  for (size_t i = 0; i < BASE_COUNT(members); i++)
    if (!json_equal(json_object_get(a, members[i]), json_object_get(b, members[i]))) return false;
  return x && y && strncmp(x, y, 10) == 0;
}

static void put_times(struct http_req *r, json_t *line) {
  int64_t n = json_int(line, "count", 1) + 1;
  json_object_set_new(line, "count", json_integer(n));
  put(line, "times", word_fill(http_arena(r), http_lang(r), "web.times_that_day", "n", number_format(http_arena(r), http_lang(r), n), NULL));
}

static void get_access(struct http_req *r) {
  json_t *out = NULL, *one, *list = json_array();
  const json_t *first[50]; /* of each line; as many as are asked for */
  struct err err;
  size_t i;
  if (cases_my_access(web_of(r)->cases, web_actor(r), http_query(r, "after"), 50, http_lang(r), &out, &err)) {
    json_decref(list);
    return web_error(r, &err);
  }
  json_array_foreach(json_object_get(out, "items"), i, one) {
    char key[64];
    const char *tracking = json_str(one, "tracking"), *basis = json_str(one, "basis");
    size_t k = 0;
    while (k < json_array_size(list) && !same_look(first[k], one)) k++;
    if (k < json_array_size(list)) { /* one line tells how often that day */
      put_times(r, json_array_get(list, k));
      continue;
    }
    first[k] = one;
    json_t *o = json_object();
    snprintf(key, sizeof key, "web.basis_%.40s", basis ? basis : "");
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "times", NULL);
    put(o, "who", json_str(one, "organisation_name"));
    const char *use = use_text(r, one);
    put(o, "why", use ? use : word_known(key) ? word(http_lang(r), key) : basis);
    put(o, "code", tracking ? show_code(r, tracking) : NULL);
    put(o, "href", tracking ? arena_printf(http_arena(r), "/cases/%s", tracking) : NULL);
    json_array_append_new(list, o);
  }
  json_t *page = page_new(web_of(r), r, say(r, "access"), false);
  crumb(page, "/", say(r, "home"));
  crumb(page, "/mine", say(r, "mine"));
  put_next(r, page, "/mine/access", json_str(out, "next"));
  put_list(page, "items", list);
  json_decref(out);
  page_reply(web_of(r), r, 200, "access", page);
}

const struct http_route web_mine_rows[] = {
  {"GET", "/mine", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_mine, "My requests and drafts."},
  {"GET", "/mine/drafts", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_drafts, "Drafts to go on with, also without signing in."},
  {"GET", "/mine/access", HTTP_INLINE, PERMIT_CITIZEN, HTTP_SAFE, 0, get_access, "Who looked at my data."},
};
const size_t web_mine_count = BASE_COUNT(web_mine_rows);
