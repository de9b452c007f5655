/* Acting for somebody else: what was given and received, and the switch. */
#include "channels/web/inside.h"

#include <string.h>

static json_t *party(struct http_req *r, const json_t *who) {
  json_t *o = json_object();
  const char *id = json_str(who, "legal_id") ? json_str(who, "legal_id") : json_str(who, "national_id");
  put(o, "name", json_str(who, "name"));
  put(o, "id", local(r, id));
  return o;
}

static json_t *mandates_json(struct http_req *r, const json_t *items, bool received) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach((json_t *)(uintptr_t)items, i, one) {
    json_t *o = json_object();
    const char *status = json_str(one, "status");
    char key[48];
    snprintf(key, sizeof key, "mandate_%.24s", status ? status : "");
    put(o, "href", arena_printf(http_arena(r), "/cases/%s", json_str(one, "tracking")));
    put(o, "tracking", json_str(one, "tracking"));
    put(o, "service", json_str(one, "service_title"));
    json_object_set_new(o, "party", party(r, json_object_get(one, received ? "principal" : "attorney")));
    put(o, "scope", json_str(json_object_get(one, "scope"), "title"));
    put(o, "status", say(r, key));
    put(o, "pill", base_same(status, "in_force") ? "approved" : base_same(status, "offered") ? "open" : "withdrawn");
    put(o, "since", show_time_day(r, json_str(one, "since")));
    put(o, "ended", show_time_day(r, json_str(one, "ended")));
    put(o, "until", show_iso_day(r, json_str(one, "until")));
    put_flag(o, "can_act", received && base_same(status, "in_force"));
    put_flag(o, "can_answer", received && base_same(status, "offered"));
    put_flag(o, "can_end", base_same(status, "in_force") || (!received && base_same(status, "offered")));
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *services_json(struct http_req *r) {
  const struct pack *p = web_pack(r);
  json_t *list = json_array();
  for (size_t i = 0; i < pack_services(p); i++) {
    const struct service *s = pack_service(p, i);
    if (!s->mandate.present || !s->web) continue;
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/services/%s", s->code));
    put(o, "name", text_in(&s->title, http_lang(r)));
    json_array_append_new(list, o);
  }
  return list;
}

static void get_mandates(struct http_req *r) {
  json_t *out = NULL;
  struct err err;
  if (cases_mandates(web_of(r)->cases, web_actor(r), http_lang(r), &out, &err)) return web_error(r, &err);
  json_t *page = page_new(web_of(r), r, say(r, "mandates"), true);
  crumb(page, "/", say(r, "home"));
  crumb(page, "/mine", say(r, "mine"));
  put_list(page, "received", mandates_json(r, json_object_get(out, "received"), true));
  put_list(page, "given", mandates_json(r, json_object_get(out, "given"), false));
  put_list(page, "services", services_json(r));
  put_flag(page, "too_little", web_actor(r)->assurance < ASSURANCE_SIM_MATCHED);
  json_decref(out);
  page_reply(web_of(r), r, 200, "mandates", page);
}

static void post_acting(struct http_req *r) {
  char code[32];
  struct actor who = *web_actor(r);
  struct err err;
  const char *typed = http_form_value(r, "mandate");
  if (http_replied(r)) return;
  if (!typed || identifier_parse(IDENT_TRACKING, typed, code)) return http_problem_code(r, ERR_MALFORMED, NULL);
  who.acting_as[0] = who.acting_person[0] = who.acting_mandate[0] = who.acting_scope[0] = who.acting_name[0] = who.acting_mobile[0] = 0;
  if (cases_act_for(web_of(r)->cases, &who, NULL, code, &err))
    return http_problem(r, &err, err.code == ERR_FORBIDDEN ? say(r, "no_mandate") : NULL, NULL);
  http_reply_cookie(r, web_acting_cookie(web_of(r)), code, 8 * 3600, true);
  http_redirect(r, 303, "/mine");
}

static void post_leave(struct http_req *r) {
  http_reply_cookie(r, web_acting_cookie(web_of(r)), "", 0, true);
  http_redirect(r, 303, "/mine");
}

const struct http_route web_mandate_rows[] = {
  {"GET", "/mine/mandates", HTTP_WORKER, PERMIT_CITIZEN, HTTP_SAFE, 0, get_mandates, "For whom I may act, and who may act for me."},
  {"POST", "/acting", HTTP_WORKER, PERMIT_CITIZEN, HTTP_TOKEN, 4096, post_acting, "Act for somebody else from now on."},
  {"POST", "/acting/leave", HTTP_INLINE, PERMIT_CITIZEN, HTTP_TOKEN, 4096, post_leave, "Act for oneself again."},
};
const size_t web_mandate_count = BASE_COUNT(web_mandate_rows);
