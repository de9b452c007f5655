/* The data exchange for people: what is published, who may ask whom for what and why, which requests for data wait. */
#include "channels/web/inside.h"

#include <string.h>

static const struct organisation *organisation_of(struct http_req *r, const char *code) {
  const struct directory *d = pack_directory(web_pack(r));
  return directory_organisation(d, code ? directory_find_organisation(d, code) : -1);
}

static const char *number(struct http_req *r, int64_t n) { return number_format(http_arena(r), http_lang(r), n); }

/* ---- the catalogue, for everybody ---- */

static json_t *service_json(struct http_req *r, const struct data_service *s) {
  enum lang l = http_lang(r);
  const struct organisation *o = directory_organisation(pack_directory(web_pack(r)), s->provider);
  json_t *one = json_object(), *list = json_array();
  put(one, "name", text_in(&s->title, l));
  put(one, "href", arena_printf(http_arena(r), "/exchange/%s/%s", o->code, s->service));
  put(one, "owner", organisation_name(o, l));
  put(one, "owner_href", arena_printf(http_arena(r), "/organisations/%s", o->code));
  put(one, "state", say(r, s->registry ? "xc_served" : s->key ? "xc_elsewhere" : "xc_not_yet"));
  put_flag(one, "served", s->registry != NULL);
  for (size_t i = 0; i < s->count; i++) {
    const struct registry_attribute *a = s->registry ? registry_attribute(s->registry, s->attributes[i]) : NULL;
    json_t *k = json_object();
    put(k, "code", s->attributes[i]);
    put(k, "title", a ? text_in(&a->title, l) : s->attributes[i]);
    put(k, "personal", a && a->personal ? say(r, "xc_personal") : NULL);
    put(k, "kind", a ? say(r, arena_printf(http_arena(r), "xc_type_%s", field_type_text(a->type))) : NULL);
    put(k, "last", i + 1 == s->count ? NULL : http_lang(r) == LANG_FA ? "، " : ", ");
    json_array_append_new(list, k);
  }
  put_list(one, "attributes", list);
  return one;
}

static const struct service *request_service(struct http_req *r) {
  for (size_t i = 0; i < pack_services(web_pack(r)); i++)
    if (pack_service(web_pack(r), i)->grant.present) return pack_service(web_pack(r), i);
  return NULL;
}

static void get_catalogue(struct http_req *r) {
  const struct pack *p = web_pack(r);
  json_t *page = page_new(web_of(r), r, say(r, "xc_catalogue"), false), *list = json_array();
  for (size_t i = 0; i < pack_data_services(p); i++) json_array_append_new(list, service_json(r, pack_data_service(p, i)));
  const struct service *ask = request_service(r);
  crumb(page, "/", say(r, "home"));
  put(page, "ask_href", ask ? arena_printf(http_arena(r), "/services/%s", ask->code) : NULL);
  put_list(page, "items", list);
  page_reply(web_of(r), r, 200, "exchange_catalogue", page);
}

/* Which forms are filled in with it: what people may want to know of a service. */
static json_t *forms_json(struct http_req *r, const struct data_service *s) {
  const struct pack *p = web_pack(r);
  json_t *list = json_array();
  for (size_t i = 0; i < pack_services(p); i++) {
    const struct service *form = pack_service(p, i);
    bool asks = false;
    for (size_t k = 0; k < form->field_count; k++) {
      struct data_source from;
      asks = asks || (pack_data_source(p, form->fields[k], &from) && from.data == s);
    }
    if (!asks) continue;
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/services/%s", form->code));
    put(o, "name", text_in(&form->title, http_lang(r)));
    put(o, "owner", service_owner_name(p, form, http_lang(r)));
    json_array_append_new(list, o);
  }
  return list;
}

static void get_service(struct http_req *r) {
  const struct pack *p = web_pack(r);
  const struct data_service *s = pack_find_data_service(p, http_param(r, "provider"), http_param(r, "service"));
  if (!s) return not_found(r);
  const struct organisation *o = directory_organisation(pack_directory(p), s->provider);
  json_t *page = page_new(web_of(r), r, text_in(&s->title, http_lang(r)), false), *one = service_json(r, s);
  const struct service *ask = request_service(r);
  crumb(page, "/", say(r, "home"));
  crumb(page, "/exchange", say(r, "xc_catalogue"));
  json_object_update(page, one);
  json_decref(one);
  const struct registry_attribute *key = s->registry ? registry_attribute(s->registry, s->key) : NULL;
  put(page, "key_title", key ? text_in(&key->title, http_lang(r)) : s->key);
  put(page, "address", arena_printf(http_arena(r), "%s/%s/%s/registries/%s", pack_instance(p), o->class_, o->member, s->service));
  put(page, "ask_href", ask ? arena_printf(http_arena(r), "/services/%s", ask->code) : NULL);
  put(page, "openapi_href", s->registry ? arena_printf(http_arena(r), "/api/v1/exchange/services/%s/%s/openapi", o->code, s->service) : NULL);
  put_list(page, "forms", forms_json(r, s));
  page_reply(web_of(r), r, 200, "exchange_service", page);
}

/* ---- one organisation's rights ---- */

static const char *names_text(struct http_req *r, const json_t *attributes) {
  const char *all = NULL, *comma = http_lang(r) == LANG_FA ? "، " : ", ";
  size_t i;
  const json_t *a;
  json_array_foreach(attributes, i, a) all = all ? arena_printf(http_arena(r), "%s%s%s", all, comma, json_str(a, "title")) : json_str(a, "title");
  return all;
}

static json_t *right_json(struct http_req *r, const json_t *one, const json_t *uses, const char *wrong_at, const char *wrong) {
  json_t *o = json_object();
  const char *state = json_str(one, "state"), *tracking = base_same(json_str(one, "source"), "case") ? json_str(one, "subject") : NULL;
  const json_t *used = json_object_get(uses, json_str(one, "grant"));
  bool acts = registries_right_may(web_actor(r), json_str(one, "provider"), json_str(one, "asker")) == RIGHT_ACT, valid = base_same(state, "valid");
  put(o, "id", json_str(one, "id"));
  put(o, "asker", json_str(one, "asker_name"));
  put(o, "provider", json_str(one, "provider_name"));
  put(o, "title", json_str(one, "title"));
  put(o, "purpose", json_str(one, "purpose"));
  put(o, "basis", json_str(one, "basis"));
  put(o, "attributes", names_text(r, json_object_get(one, "attributes")));
  put(o, "from", show_day_short(r, json_str(one, "from")));
  put(o, "until", json_str(one, "until") ? show_day_short(r, json_str(one, "until")) : NULL);
  put(o, "case_href", tracking ? arena_printf(http_arena(r), "/cases/%s", tracking) : NULL);
  put(o, "case_code", tracking ? show_code(r, tracking) : NULL);
  put_flag(o, "of_pack", !tracking);
  put(o, "used", json_str(used, "used_at") ? show_time(r, json_str(used, "used_at")) : NULL);
  put(o, "uses", used ? number(r, json_int(used, "uses", 0)) : NULL);
  put(o, "ended", valid ? NULL : word_fill(http_arena(r), http_lang(r), arena_printf(http_arena(r), "web.xc_ended_%s", state), "day", show_time_day(r, json_str(one, "ended_at")), "who",
                                           base_same(json_str(one, "ended_by"), "pack") ? say(r, "xc_by_pack") : json_str(one, "ended_by") ? json_str(one, "ended_by") : "", NULL));
  put(o, "why", json_str(one, "why"));
  put(o, "review", valid && json_str(one, "review") ? say(r, arena_printf(http_arena(r), "xc_review_%s", json_str(one, "review"))) : NULL);
  put_flag(o, "may_revoke", acts && valid);
  put_flag(o, "may_restore", acts && base_same(state, "revoked") && !base_same(json_str(one, "ended_by"), "pack"));
  put(o, "error", base_same(wrong_at, json_str(one, "id")) ? wrong : NULL);
  return o;
}

static json_t *rights_json(struct http_req *r, const struct right_query *q, const json_t *uses, const char *wrong_at, const char *wrong, struct err *err) {
  json_t *found = NULL, *list = json_array(), *one;
  size_t i;
  if (registries_rights(web_of(r)->registries, q, http_lang(r), &found, err)) {
    json_decref(list);
    return NULL;
  }
  json_array_foreach(found, i, one) json_array_append_new(list, right_json(r, one, uses, wrong_at, wrong));
  json_decref(found);
  return list;
}

/* Whose page: one's own organisation, or any for those who see all. NULL: nobody's that they may see. */
static const struct organisation *chosen(struct http_req *r) {
  const struct actor *who = web_actor(r);
  const char *given = http_query(r, "organisation");
  bool all = actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, NULL, STAFF_AUDITOR);
  if (!given || !given[0]) given = who->role_count ? who->roles[0].organisation : "";
  return all || actor_in(who, given) ? organisation_of(r, given) : NULL;
}

static json_t *organisations_json(struct http_req *r, const char *here) {
  const struct actor *who = web_actor(r);
  const struct pack *p = web_pack(r);
  bool all = actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, NULL, STAFF_AUDITOR);
  const char *seen[64];
  size_t n = 0;
  json_t *list = json_array();
  seen[n++] = here;
  for (unsigned i = 0; i < who->role_count && n < BASE_COUNT(seen); i++) seen[n++] = who->roles[i].organisation;
  for (size_t i = 0; all && i < pack_data_services(p) && n < BASE_COUNT(seen); i++) seen[n++] = data_service_provider(p, pack_data_service(p, i));
  for (size_t i = 0; i < n; i++) {
    bool again = false;
    for (size_t k = 0; k < i; k++) again = again || strcmp(seen[k], seen[i]) == 0;
    const struct organisation *o = again ? NULL : organisation_of(r, seen[i]);
    if (!o) continue;
    json_t *one = json_object();
    put(one, "value", o->code);
    put(one, "label", organisation_name(o, http_lang(r)));
    put_flag(one, "chosen", strcmp(o->code, here) == 0);
    json_array_append_new(list, one);
  }
  return list;
}

static void show_rights(struct http_req *r, const struct organisation *o, const char *wrong_at, const char *wrong, int status) {
  const struct pack *p = web_pack(r);
  bool ended = http_query(r, "all") != NULL;
  struct err err;
  json_t *uses = web_exchange_uses(r);
  json_t *given = rights_json(r, &(struct right_query){.provider = o->code, .valid = !ended}, uses, wrong_at, wrong, &err);
  json_t *held = given ? rights_json(r, &(struct right_query){.asker = o->code, .valid = !ended}, uses, wrong_at, wrong, &err) : NULL;
  json_t *review = held ? rights_json(r, &(struct right_query){.provider = o->code, .valid = true, .review = true}, uses, wrong_at, wrong, &err) : NULL;
  json_decref(uses);
  if (!review) {
    json_decref(given);
    json_decref(held);
    return web_error(r, &err);
  }
  json_t *page = page_new(web_of(r), r, say(r, "xc_title"), true), *services = json_array(), *choices = organisations_json(r, o->code);
  for (size_t i = 0; i < pack_data_services(p); i++)
    if (strcmp(data_service_provider(p, pack_data_service(p, i)), o->code) == 0) json_array_append_new(services, service_json(r, pack_data_service(p, i)));
  crumb(page, "/desk", say(r, "desk"));
  if (wrong) fault(page, arena_printf(http_arena(r), "#why-%s", wrong_at), wrong);
  put(page, "organisation", o->code);
  put(page, "organisation_name", organisation_name(o, http_lang(r)));
  put_flag(page, "many", json_array_size(choices) > 1);
  put_flag(page, "ended_too", ended);
  put_list(page, "choices", choices);
  put_list(page, "services", services);
  put_list(page, "given", given);
  put_list(page, "held", held);
  put_list(page, "review", review);
  const struct actor *who = web_actor(r);
  put_flag(page, "sees_all", actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, NULL, STAFF_AUDITOR));
  web_exchange_figures(r, page, o->code);
  page_reply(web_of(r), r, status, "exchange", page);
}

static void get_rights(struct http_req *r) {
  const struct organisation *o = chosen(r);
  if (!o) not_found(r);
  else show_rights(r, o, NULL, NULL, 200);
}

static void post_right(struct http_req *r) {
  static const char *const names[] = {[RIGHT_REVOKE] = "revoke", [RIGHT_RESTORE] = "restore", [RIGHT_REVIEWED] = "reviewed"};
  const char *what = http_form_value(r, "what"), *why = http_form_value(r, "why"), *id = http_param(r, "id");
  struct err err;
  size_t k = 0;
  if (http_replied(r)) return;
  while (k < BASE_COUNT(names) && !base_same(what, names[k])) k++;
  if (k == BASE_COUNT(names)) return http_problem_code(r, ERR_MALFORMED, NULL);
  why = why && utf8_valid(why, strlen(why)) ? text_repair(http_arena(r), why) : "";
  const struct organisation *o = chosen(r);
  if (registries_right_change(web_of(r)->registries, web_actor(r), id, (enum right_change)k, why ? why : "", &err) == 0)
    return http_redirect(r, 303, o ? arena_printf(http_arena(r), "/desk/exchange?organisation=%s%s", o->code, k == RIGHT_REVOKE ? "&all=1" : "") : "/desk/exchange");
  if (err.code == ERR_INVALID && o) show_rights(r, o, id, say(r, "xc_why_needed"), 422);
  else if (err.code == ERR_CONFLICT) http_problem_code(r, ERR_CONFLICT, say(r, "xc_moved_on"));
  else web_error(r, &err);
}

/* ---- requests that wait ---- */

static json_t *waiting_json(struct http_req *r, const json_t *one) {
  json_t *list = json_array(), *w;
  size_t i;
  json_array_foreach(json_object_get(one, "waiting"), i, w) {
    json_t *o = json_object();
    put(o, "who", json_str(w, "organisation_name"));
    put(o, "days", word_fill(http_arena(r), http_lang(r), "web.xc_days", "n", number(r, json_int(w, "days", 0)), NULL));
    put(o, "due", show_iso_day(r, json_str(w, "due")));
    put_flag(o, "late", json_flag(w, "overdue", false));
    json_array_append_new(list, o);
  }
  return list;
}

/* How many wait for each provider, and the longest. */
static json_t *silent_json(struct http_req *r, const json_t *found) {
  json_t *by = json_object(), *list = json_array(), *one, *w;
  const char *code;
  size_t i, k;
  json_array_foreach(found, i, one)
    json_array_foreach(json_object_get(one, "waiting"), k, w) {
      json_t *o = json_object_get(by, json_str(w, "organisation"));
      if (!o) {
        o = json_pack("{s:s,s:i,s:i,s:i}", "name", json_str(w, "organisation_name"), "n", 0, "late", 0, "days", 0);
        json_object_set_new(by, json_str(w, "organisation"), o);
      }
      json_object_set_new(o, "n", json_integer(json_int(o, "n", 0) + 1));
      if (json_flag(w, "overdue", false)) json_object_set_new(o, "late", json_integer(json_int(o, "late", 0) + 1));
      if (json_int(w, "days", 0) > json_int(o, "days", 0)) json_object_set_new(o, "days", json_integer(json_int(w, "days", 0)));
    }
  json_object_foreach(by, code, one) {
    json_t *o = json_object();
    put(o, "name", json_str(one, "name"));
    put_number(r, o, "count", json_int(one, "n", 0));
    put_number(r, o, "late_count", json_int(one, "late", 0));
    put_flag(o, "late", json_int(one, "late", 0) > 0);
    put(o, "days", word_fill(http_arena(r), http_lang(r), "web.xc_days", "n", number(r, json_int(one, "days", 0)), NULL));
    json_array_append_new(list, o);
  }
  json_decref(by);
  return list;
}

static void get_requests(struct http_req *r) {
  json_t *found = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (cases_data_requests(web_of(r)->cases, web_actor(r), http_lang(r), &found, &err)) {
    json_decref(list);
    return web_error(r, &err);
  }
  json_array_foreach(found, i, one) {
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/cases/%s", json_str(one, "tracking")));
    put(o, "code", show_code(r, json_str(one, "tracking")));
    put(o, "asker", json_str(one, "asker_name"));
    put(o, "title", json_str(one, "title") ? json_str(one, "title") : say(r, "xc_unpublished"));
    put(o, "provider", json_str(one, "provider_name"));
    put(o, "state", json_str(one, "state_title"));
    put(o, "days", word_fill(http_arena(r), http_lang(r), "web.xc_days", "n", number(r, json_int(one, "days", 0)), NULL));
    put(o, "due", show_iso_day(r, json_str(one, "due")));
    put_flag(o, "late", json_flag(one, "overdue", false));
    put(o, "escalated", json_int(one, "escalated", 0) ? say(r, "xc_escalated") : NULL);
    put_list(o, "waiting", waiting_json(r, one));
    json_array_append_new(list, o);
  }
  json_t *page = page_new(web_of(r), r, say(r, "xc_requests"), false);
  const struct service *ask = request_service(r);
  crumb(page, "/desk", say(r, "desk"));
  crumb(page, "/desk/exchange", say(r, "xc_title"));
  put(page, "ask_href", ask ? arena_printf(http_arena(r), "/services/%s/apply", ask->code) : NULL);
  put_list(page, "silent", silent_json(r, found));
  put_list(page, "items", list);
  json_decref(found);
  page_reply(web_of(r), r, 200, "exchange_requests", page);
}

void put_rights_due(struct http_req *r, json_t *page, const char *organisation) {
  json_t *found = NULL;
  struct err err;
  size_t n = 0;
  bool leads = actor_has_role(web_actor(r), organisation, STAFF_MANAGER);
  if (leads && registries_rights(web_of(r)->registries, &(struct right_query){.provider = organisation, .valid = true, .review = true}, http_lang(r), &found, &err) == 0) n = json_array_size(found);
  json_decref(found);
  put(page, "rights_due", n ? word_fill(http_arena(r), http_lang(r), "web.xc_due_n", "n", number(r, (int64_t)n), NULL) : NULL);
  put(page, "rights_href", arena_printf(http_arena(r), "/desk/exchange?organisation=%s", url_quote(r, organisation)));
}

const struct http_route web_exchange_rows[] = {
  {"GET", "/exchange", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_catalogue, "What organisations publish as data."},
  {"GET", "/exchange/{provider}/{service}", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_service, "One data service: what it holds and how to ask for it."},
  {"GET", "/desk/exchange", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_rights, "Staff: data services of their organisation, and who may ask whom for what."},
  {"POST", "/desk/exchange/rights/{id}", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, 8192, post_right, "Managers: take a right back, give it again, or say that it was read again."},
  {"GET", "/desk/exchange/requests", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_requests, "Staff: requests for data that wait, and for whom."},
};
const size_t web_exchange_count = BASE_COUNT(web_exchange_rows);
