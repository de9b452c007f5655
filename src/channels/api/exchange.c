/* The data exchange: what is published, who may ask for it and why, requests for data that wait. */
#include "channels/api/inside.h"

#include <string.h>

static const struct data_service *named(struct http_req *r) {
  const struct data_service *s = pack_find_data_service(cases_pack(api_of(r)->cases), http_param(r, "provider"), http_param(r, "service"));
  if (!s) http_problem_code(r, ERR_NOT_FOUND, NULL);
  return s;
}

static json_t *service_json(struct http_req *r, const struct data_service *s) {
  const struct pack *p = cases_pack(api_of(r)->cases);
  const struct organisation *o = directory_organisation(pack_directory(p), s->provider);
  json_t *one = json_object(), *list = json_array();
  json_put(one, "provider", o->code);
  json_put(one, "provider_name", organisation_name(o, http_lang(r)));
  json_put(one, "service", s->service);
  json_put(one, "id", s->key && o->member[0] ? arena_printf(http_arena(r), "%s/%s/%s/registries/%s", pack_instance(p), o->class_, o->member, s->service) : NULL);
  json_object_set_new(one, "title", json_pack("{s:s,s:s}", "fa", s->title.fa, "en", s->title.en));
  json_put(one, "key", s->key);
  json_put(one, "state", s->registry ? "here" : s->key ? "elsewhere" : "not_yet");
  for (size_t i = 0; i < s->count; i++) {
    const struct registry_attribute *a = s->registry ? registry_attribute(s->registry, s->attributes[i]) : NULL;
    json_t *k = json_object();
    json_put(k, "name", s->attributes[i]);
    json_put(k, "type", a ? field_type_text(a->type) : NULL);
    json_object_set_new(k, "title", json_pack("{s:s,s:s}", "fa", a ? a->title.fa : s->attributes[i], "en", a ? a->title.en : s->attributes[i]));
    json_object_set_new(k, "personal", a ? json_boolean(a->personal) : json_null());
    json_array_append_new(list, k);
  }
  json_object_set_new(one, "attributes", list);
  return one;
}

static void get_services(struct http_req *r) {
  const struct pack *p = cases_pack(api_of(r)->cases);
  json_t *list = json_array();
  for (size_t i = 0; i < pack_data_services(p); i++) json_array_append_new(list, service_json(r, pack_data_service(p, i)));
  http_reply_json(r, 200, json_pack("{s:o,s:n}", "items", list, "next"));
}

static void get_openapi(struct http_req *r) {
  const struct data_service *s = named(r);
  if (!s) return;
  if (!s->registry || !api_of(r)->data) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  http_reply_json(r, 200, exchange_data_openapi(api_of(r)->data, s));
}

/* ---- rights ---- */

/* The organisation asked for, or one's own; 404 where it is another's. */
static const char *whose(struct http_req *r) {
  const struct actor *who = api_actor(r);
  const char *given = http_query(r, "organisation");
  bool all = actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, NULL, STAFF_AUDITOR);
  if (given && (all || actor_in(who, given))) return given;
  if (!given && who->role_count) return who->roles[0].organisation;
  http_problem_code(r, ERR_NOT_FOUND, NULL);
  return NULL;
}

static void get_grants(struct http_req *r) {
  const char *organisation = whose(r), *side = http_query(r, "side");
  bool held = base_same(side, "asker"), all = base_same(http_query(r, "all"), "true");
  json_t *items = NULL;
  struct err err;
  if (!organisation) return;
  if (side && !held && strcmp(side, "provider") != 0) return api_fault(r, "side", "choice", "api.type");
  const struct right_query q = {.provider = held ? NULL : organisation, .asker = held ? organisation : NULL, .valid = !all};
  int rc = registries_rights(api_of(r)->registries, &q, http_lang(r), &items, &err);
  json_t *o = rc ? NULL : json_pack("{s:o,s:n}", "items", items, "next");
  api_list(r, rc, &o, &err);
}

static void post_grant(struct http_req *r) {
  static const char *const names[] = {[RIGHT_REVOKE] = "revoke", [RIGHT_RESTORE] = "restore", [RIGHT_REVIEWED] = "reviewed"};
  json_t *body = http_json(r), *items = NULL;
  const char *wrong = NULL, *id = http_param(r, "id");
  if (!body) return;
  const char *what = api_text(body, "action", &wrong), *why = wrong ? NULL : api_text(body, "why", &wrong);
  size_t k = 0;
  struct err err;
  if (wrong) return api_fault(r, wrong, "type", "api.type");
  while (k < BASE_COUNT(names) && !base_same(what, names[k])) k++;
  if (k == BASE_COUNT(names)) return api_fault(r, "action", what ? "choice" : "required", what ? "api.type" : "api.required");
  why = why ? text_repair(http_arena(r), why) : "";
  if (registries_right_change(api_of(r)->registries, api_actor(r), id, (enum right_change)k, why ? why : "", &err)) {
    if (err.code == ERR_INVALID) api_fault(r, "why", "required", "web.xc_why_needed");
    else api_error(r, &err, err.code == ERR_CONFLICT ? "web.xc_moved_on" : NULL, NULL);
    return;
  }
  int rc = registries_rights(api_of(r)->registries, &(struct right_query){.id = id}, http_lang(r), &items, &err);
  json_t *one = rc ? NULL : json_incref(json_array_get(items, 0));
  json_decref(items);
  api_list(r, rc, &one, &err);
}

static void get_requests(struct http_req *r) {
  json_t *items = NULL;
  struct err err;
  int rc = cases_data_requests(api_of(r)->cases, api_actor(r), http_lang(r), &items, &err);
  json_t *o = rc ? NULL : json_pack("{s:o,s:n}", "items", items, "next");
  api_list(r, rc, &o, &err);
}

/* ---- at work ---- */

static bool is_of(const json_t *line, const char *prefix) {
  const char *id = json_str(line, base_same(json_str(line, "side"), "producer") ? "service" : "client");
  return id && base_starts(id, prefix);
}

/* All of it for the operator and auditors; for others what their organisation gives and asks. */
static void get_monitor(struct http_req *r) {
  struct api_context *c = api_of(r);
  const struct actor *who = api_actor(r);
  json_t *out = NULL, *mine = json_array(), *one;
  struct err err;
  size_t i;
  if (!c->exchange || exchange_monitor(c->exchange, http_lang(r), &out, &err)) {
    json_decref(mine);
    return c->exchange ? http_problem(r, &err, NULL, NULL) : http_problem_code(r, ERR_NOT_FOUND, word(http_lang(r), "web.xc_live_off"));
  }
  if (!actor_has_role(who, NULL, STAFF_OPERATOR) && !actor_has_role(who, NULL, STAFF_AUDITOR)) {
    const struct directory *d = pack_directory(cases_pack(c->cases));
    const struct organisation *o = who->role_count ? directory_organisation(d, directory_find_organisation(d, who->roles[0].organisation)) : NULL;
    const char *prefix = o ? arena_printf(http_arena(r), "%s/%s/%s/", pack_instance(cases_pack(c->cases)), o->class_, o->member) : NULL;
    json_array_foreach(json_object_get(out, "services"), i, one)
      if (prefix && is_of(one, prefix)) json_array_append(mine, one);
    json_t *own = json_pack("{s:O,s:O}", "services", mine, "directory", json_object_get(out, "directory"));
    json_decref(out);
    out = own;
  }
  json_decref(mine);
  http_reply_json(r, 200, out);
}

void api_exchange_examples(struct http_req *r) {
  json_t *out = NULL;
  struct err err;
  if (!api_of(r)->exchange) return http_reply_json(r, 200, json_array());
  int rc = exchange_data_examples(api_of(r)->data, &out, &err);
  api_list(r, rc, &out, &err);
}

const struct http_route api_exchange_rows[] = {
  {"GET", "/api/v1/exchange/monitor", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_monitor, "Staff: figures of data services and calls; all for the operator and auditors."},
  {"GET", "/api/v1/exchange/services", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_services, "Data services: what organisations publish."},
  {"GET", "/api/v1/exchange/services/{provider}/{service}/openapi", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_openapi, "OpenAPI 3.1 of a data service that a registry here answers."},
  {"GET", "/api/v1/exchange/grants", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_grants, "Staff: who may ask their organisation for what and why, or whom it may ask."},
  {"POST", "/api/v1/exchange/rights/{id}", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 8192, post_grant, "Managers of the provider: take a right back, give it again, or say that it was read again."},
  {"GET", "/api/v1/exchange/requests", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_requests, "Staff: requests for data that wait, and for whom."},
};
const size_t api_exchange_count = BASE_COUNT(api_exchange_rows);
