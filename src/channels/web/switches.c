/* Services on and off: which take requests now, and why not. */
#include "channels/web/admin.h"

#include <string.h>

static bool of(struct http_req *r, const struct service *s, const char *organisation) {
  const char *owner = cases_service_organisation(web_of(r)->cases, s);
  return identity_manages(web_actor(r), owner) && (!organisation || strcmp(owner, organisation) == 0);
}

static json_t *service_json(struct http_req *r, const struct service *s) {
  json_t *o = json_object();
  const char *stopped = cases_stopped(web_of(r)->cases, s->code, http_lang(r), http_arena(r));
  put(o, "code", s->code);
  put(o, "href", arena_printf(http_arena(r), "/admin/services/%s", s->code));
  put(o, "name", text_in(&s->title, http_lang(r)));
  put(o, "owner", service_owner_name(web_pack(r), s, http_lang(r)));
  put_number(r, o, "version", s->version);
  put(o, "stopped", stopped);
  put(o, "coming", service_begun(s) ? NULL : date_long(http_arena(r), http_lang(r), s->valid_from));
  return o;
}

static void get_services(struct http_req *r) {
  const char *organisation;
  const struct pack *p = web_pack(r);
  if (!admin_scope(r, &organisation)) return;
  json_t *page = admin_page(r, say(r, "admin_services"), organisation), *items = json_array();
  for (size_t i = 0; i < pack_services(p); i++)
    if (of(r, pack_service(p, i), organisation)) json_array_append_new(items, service_json(r, pack_service(p, i)));
  put_list(page, "items", items);
  page_reply(web_of(r), r, 200, "admin_services", page);
}

/* A day as people type it: Jalali in Persian. */
static const char *typed_day(struct http_req *r, const char *iso) {
  char text[16];
  if (!iso || http_lang(r) != LANG_FA) return iso;
  date_jalali(date_parse(iso), text);
  return local(r, text);
}

static void show_service(struct http_req *r, const struct service *s, const struct service_switch *w, int status) {
  json_t *page = admin_page(r, text_in(&s->title, http_lang(r)), NULL), *stop = cases_stop(web_of(r)->cases, s->code);
  crumb(page, "/admin/services", say(r, "admin_services"));
  put(page, "code", s->code);
  put(page, "owner", service_owner_name(web_pack(r), s, http_lang(r)));
  put(page, "action", arena_printf(http_arena(r), "/admin/services/%s", s->code));
  put(page, "stopped", cases_stopped(web_of(r)->cases, s->code, http_lang(r), http_arena(r)));
  put(page, "reason_fa", w ? w->reason_fa : json_str(json_object_get(stop, "reason"), "fa"));
  put(page, "reason_en", w ? w->reason_en : json_str(json_object_get(stop, "reason"), "en"));
  put(page, "until", w ? admin_value(r, "until") : typed_day(r, json_str(stop, "until")));
  static const char *const fields[] = {"reason_fa", "reason_en", "until"};
  for (size_t i = 0; i < BASE_COUNT(fields); i++) {
    bool wrong = w && w->detail && base_same(w->field, fields[i]);
    put(page, arena_printf(http_arena(r), "%s_error", fields[i]), wrong ? word(http_lang(r), w->detail) : NULL);
    if (wrong) fault(page, arena_printf(http_arena(r), "#%s", fields[i]), word(http_lang(r), w->detail));
  }
  json_decref(stop);
  page_reply(web_of(r), r, status, "admin_service", page);
}

static const struct service *service_of(struct http_req *r) {
  const struct service *s = pack_find_shown(web_pack(r), http_param(r, "code"));
  if (s && of(r, s, NULL)) return s;
  not_found(r);
  return NULL;
}

static void get_service(struct http_req *r) {
  const struct service *s = service_of(r);
  if (s) show_service(r, s, NULL, 200);
}

static void post_service(struct http_req *r) {
  const struct service *s = http_replied(r) ? NULL : service_of(r);
  const char *until = admin_value(r, "until");
  struct err err;
  if (!s) return;
  struct service_switch w = {.service = s->code, .off = !base_same(admin_value(r, "act"), "on"), .reason_fa = admin_value(r, "reason_fa"), .reason_en = admin_value(r, "reason_en"),
                             .until = until ? date_parse(until) : 0};
  if (w.off && until && w.until == INT32_MIN) {
    w.field = "until";
    w.detail = "api.date";
    return show_service(r, s, &w, 422);
  }
  if (cases_service_switch(web_of(r)->cases, web_actor(r), &w, &err) == 0) return http_redirect(r, 303, arena_printf(http_arena(r), "/admin/services/%s", s->code));
  if (!w.detail) return web_error(r, &err);
  show_service(r, s, &w, err_status(err.code));
}

const struct http_route web_switch_rows[] = {
  {"GET", "/admin/services", HTTP_INLINE, PERMIT_MANAGER, HTTP_SAFE, 0, get_services, "The services of an organisation, and which take requests now."},
  {"GET", "/admin/services/{code}", HTTP_INLINE, PERMIT_MANAGER, HTTP_SAFE, 0, get_service, "Switch a service off or on."},
  {"POST", "/admin/services/{code}", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, 16 * 1024, post_service, "Switch a service off with a reason, or on."},
};
const size_t web_switch_count = BASE_COUNT(web_switch_rows);
