#include "channels/api/inside.h"

#include <stdlib.h>
#include <string.h>

static json_t *text_json(const struct text *t) {
  json_t *o = json_object();
  json_put(o, "fa", t->fa);
  json_put(o, "en", t->en);
  return o;
}

/* Where it can be asked for today: nowhere, while it is still to come. */
static json_t *channels_json(const struct service *s) {
  json_t *a = json_array();
  if (!service_begun(s)) return a;
  if (s->web) json_array_append_new(a, json_string("web"));
  if (s->api) json_array_append_new(a, json_string("api"));
  if (s->ussd) json_array_append_new(a, json_string("ussd"));
  if (s->counter) json_array_append_new(a, json_string("counter"));
  return a;
}

const char *api_owner(const struct api_context *c, const struct service *s) {
  const struct organisation *o = directory_organisation(pack_directory(cases_pack(c->cases)), s->organisation >= 0 ? s->organisation : s->secretary);
  return o ? o->code : "";
}

/* "stopped": why no new requests are taken now; absent while they are. */
static void put_stop(const struct api_context *c, json_t *o, const struct service *s) {
  json_t *stop = cases_stop(c->cases, s->code);
  if (stop) json_object_set_new(o, "stopped", stop);
}

static void put_begin(json_t *o, const struct service *s) {
  char day[16];
  date_iso(s->valid_from, day);
  json_put(o, "valid_from", day);
}

static bool on_channel(const struct service *s, const char *channel) {
  if (strcmp(channel, "web") == 0) return s->web;
  if (strcmp(channel, "api") == 0) return s->api;
  if (strcmp(channel, "ussd") == 0) return s->ussd;
  return strcmp(channel, "counter") == 0 && s->counter;
}

static bool holds_words(struct arena *a, const struct service *s, const char *q) {
  const char *terms[8];
  size_t n = text_terms(a, q, terms, 8);
  char *all = arena_printf(a, "%s %s %s %s %s %s", s->title.fa, s->title.en, s->description.fa, s->description.en, s->code, s->latn ? s->latn : "");
  char *fold = all ? text_fold(a, all) : NULL;
  for (size_t i = 0; fold && i < n; i++)
    if (!strstr(fold, terms[i])) return false;
  return fold != NULL;
}

static bool wanted(struct http_req *r, const struct service *s, const char *owner) {
  const char *q = http_query(r, "q"), *org = http_query(r, "organisation"), *event = http_query(r, "life_event"), *channel = http_query(r, "channel");
  if (org && strcmp(org, owner) != 0) return false;
  if (channel && (!service_begun(s) || !on_channel(s, channel))) return false;
  bool has = !event;
  for (size_t i = 0; event && i < s->life_event_count; i++) has = has || strcmp(s->life_events[i], event) == 0;
  return has && (!q || !q[0] || holds_words(http_arena(r), s, q));
}

static void get_services(struct http_req *r) {
  struct api_context *c = api_of(r);
  const struct pack *p = cases_pack(c->cases);
  const char *after = api_after(r), *last = NULL;
  int limit = api_limit(r), n = 0;
  bool more = false;
  if (limit < 0) return;
  json_t *o = json_object(), *items = json_array();
  for (size_t i = 0; i < pack_services(p); i++) {
    const struct service *s = pack_service(p, i);
    const char *owner = api_owner(c, s);
    if ((after && strcmp(s->code, after) <= 0) || !wanted(r, s, owner)) continue;
    if (n == limit) {
      more = true;
      break;
    }
    json_t *one = json_object();
    json_put(one, "code", s->code);
    json_object_set_new(one, "version", json_integer(s->version));
    put_begin(one, s);
    json_object_set_new(one, "title", text_json(&s->title));
    json_put(one, "organisation", owner);
    json_object_set_new(one, "channels", channels_json(s));
    put_stop(c, one, s);
    json_array_append_new(items, one);
    last = s->code;
    n++;
  }
  json_object_set_new(o, "items", items);
  json_put(o, "next", more ? last : NULL);
  http_reply_json(r, 200, o);
}

static const struct service *find(struct http_req *r) {
  const struct service *s = pack_find_shown(cases_pack(api_of(r)->cases), http_param(r, "code"));
  if (!s) http_problem_code(r, ERR_NOT_FOUND, word(http_lang(r), "api.no_service"));
  return s;
}

static void get_service(struct http_req *r) {
  const struct service *s = find(r);
  const char *etag = !s || service_begun(s) ? s ? s->etag : NULL : arena_printf(http_arena(r), "%s-coming", s->etag);
  bool stopped = s && cases_stopped(api_of(r)->cases, s->code, http_lang(r), http_arena(r)) != NULL;
  if (etag && stopped) etag = arena_printf(http_arena(r), "%s-stopped", etag);
  if (!s || (etag && http_not_modified(r, etag, stopped ? "no-cache" : "public, max-age=60"))) return;
  json_t *o = json_copy(s->definition);
  json_put(o, "code", s->code);
  json_object_set_new(o, "version", json_integer(s->version));
  put_begin(o, s);
  json_object_set_new(o, "title", text_json(&s->title));
  json_put(o, "organisation", api_owner(api_of(r), s));
  json_object_set_new(o, "channels", channels_json(s));
  put_stop(api_of(r), o, s);
  json_object_set(o, "form_schema", s->form_schema);
  http_reply_json(r, 200, o);
}

/* ---- submitting: validated here, durable on the writer, answered after the commit ---- */

struct submitting {
  struct http_req *req;
  struct case_submission s;
  struct case_counter counter;
  json_t *data, *faults;            /* faults: of answers that are not valid; then only a repetition is looked for */
  int rc;
  struct err err;
};

static void submitting_done(void *arg, int rc, const struct err *err) {
  struct submitting *k = arg;
  k->rc = rc;
  if (err) k->err = *err;
  http_resume(k->req);
}

/* What only the transaction finds: documents that are not the caller's to name. */
static json_t *document_faults(struct http_req *r, const struct submitting *k) {
  json_t *list = json_array();
  for (size_t i = 0; i < k->s.service->field_count; i++) {
    const struct field *f = k->s.service->fields[i];
    if (f->type == FIELD_DOCUMENT && json_array_size(json_object_get(k->data, f->name)))
      json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "field", f->name, "code", "document", "message", word(http_lang(r), "case.document")));
  }
  if (json_array_size(list)) return list;
  json_decref(list);
  return NULL;
}

static void submitting_over(void *arg) {
  struct submitting *k = arg;
  json_decref(k->data);
  json_decref(k->faults);
  json_decref(k->s.errors);
}

static void submit_reply(struct http_req *r) {
  struct submitting *k = http_data(r);
  struct api_context *c = api_of(r);
  if (k->rc && k->faults && k->err.code == ERR_NOT_FOUND) {
    err_set(&k->err, ERR_INVALID, "the answers are not valid");
    return api_error(r, &k->err, NULL, json_incref(k->faults));
  }
  const char *stopped = k->rc && k->err.code == ERR_CONFLICT && !k->s.detail ? cases_stopped(c->cases, k->s.service->code, http_lang(r), http_arena(r)) : NULL;
  if (stopped) return http_problem(r, &k->err, stopped, NULL);
  json_t *errors = k->s.errors ? json_incref(k->s.errors) : k->rc && k->err.code == ERR_INVALID ? document_faults(r, k) : NULL;
  if (k->rc) return api_error(r, &k->err, k->s.detail ? k->s.detail : k->err.code == ERR_CONFLICT ? "case.one_open" : NULL, errors);
  http_reply_header(r, "Location", arena_printf(http_arena(r), "/api/v1/cases/%s", k->s.tracking));
  http_reply_json(r, 201, cases_submitted(c->cases, &k->s));
}

static bool too_often(struct http_req *r) {
  struct api_context *c = api_of(r);
  if (!c->submissions_per_minute || api_actor(r)->kind != ACTOR_NOBODY) return false;
  return !identity_limit(c->identity, "submit", http_peer(r), c->submissions_per_minute, 60);
}

static bool counter_member(const char *name) {
  static const char *const names[] = {"applicant", "consent", "document_seen", "bind_telephone"};
  for (size_t i = 0; i < BASE_COUNT(names); i++)
    if (strcmp(name, names[i]) == 0) return true;
  return false;
}

static void take_case(struct http_req *r) {
  struct api_context *c = api_of(r);
  const struct service *s = find(r);
  if (!s) return;
  const char *key = http_header(r, "Idempotency-Key");
  if (!key || !key[0] || strlen(key) > 200) return http_problem_code(r, ERR_MALFORMED, word(http_lang(r), "api.idempotency"));
  if (too_often(r)) return http_problem_code(r, ERR_RATE, NULL);
  if (!service_begun(s))
    return http_problem_code(r, ERR_FORBIDDEN, word_fill(http_arena(r), http_lang(r), "api.not_yet", "date", date_long(http_arena(r), http_lang(r), s->valid_from), NULL));
  if (!s->api || s->handled_external) return http_problem_code(r, ERR_FORBIDDEN, word(http_lang(r), "api.not_here"));
  json_t *body = http_json(r);
  if (!body) return;
  json_t *given = json_object_get(body, "data"), *data = NULL, *errors = NULL;
  const char *name;
  bool agent = actor_has_role(api_actor(r), NULL, STAFF_AGENT) && !s->staff_only;
  struct case_counter counter = {0};
  json_t *member;
  json_object_foreach(body, name, member) {
    if (strcmp(name, "data") == 0 || strcmp(name, "mail") == 0 || (agent && counter_member(name))) continue;
    return api_fault(r, name, "unknown", "api.unknown_member");
  }
  const char *wrong = NULL, *typed = api_text(body, "mail", &wrong), *mail = typed ? cases_mail_address(c->cases, typed, http_arena(r)) : NULL;
  if (wrong || (typed && !mail)) return api_fault(r, "mail", wrong ? "type" : "pattern", wrong ? "api.type" : "api.mail");
  if (!json_is_object(given))
    return api_fault(r, "data", given ? "type" : "required", given ? "api.type" : "api.required");
  if (agent && api_counter_read(r, body, &counter)) return;
  int faulty = service_validate(cases_pack(c->cases), s, given, cases_today(), http_lang(r), http_arena(r), &data, &errors);
  struct submitting *k = arena_alloc(http_arena(r), sizeof *k);
  const struct actor *who = api_actor(r);
  char *sent = json_canonical(given);
  const char *text = arena_strdup(http_arena(r), sent);
  free(sent);
  if (!k || !text) {
    json_decref(data);
    json_decref(errors);
    return http_problem_code(r, ERR_LIMIT, NULL);
  }
  k->req = r;
  k->data = data;
  k->faults = faulty ? errors : NULL;
  k->s = (struct case_submission){.service = s, .data = data, .body = text, .key = arena_strdup(http_arena(r), key), .actor = *who,
    .caller = who->kind == ACTOR_NOBODY ? "anonymous" : who->kind == ACTOR_STAFF ? arena_strdup(http_arena(r), who->username) : arena_strdup(http_arena(r), who->pair),
    .intake = agent ? INTAKE_COUNTER : INTAKE_API, .lang = http_lang(r), .mail = mail, .promised = true};
  k->counter = counter;
  if (agent) k->s.counter = &k->counter;
  http_set_data(r, k, submitting_over);
  http_suspend(r, submit_reply);
  if (faulty ? cases_submitted_before(c->cases, &k->s, submitting_done, k, &k->err) : cases_submit(c->cases, &k->s, submitting_done, k, &k->err)) {
    k->rc = -1;
    http_resume(r);
  }
}

/* Where other organisations are asked about the answers, no thread of the server waits for them. */
static void post_case(struct http_req *r) {
  const struct service *s = pack_find(cases_pack(api_of(r)->cases), http_param(r, "code"));
  if (s && cases_asks_others(api_of(r)->cases, s, api_actor(r))) http_to_worker(r, take_case);
  else take_case(r);
}

const struct http_route api_service_rows[] = {
  {"GET", "/api/v1/services", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_services, "List services, by words, organisation, life event or channel."},
  {"GET", "/api/v1/services/{code}", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_service, "A service's whole definition with its form's JSON Schema."},
  {"POST", "/api/v1/services/{code}/cases", HTTP_INLINE, PERMIT_ALL, HTTP_BEARER, 256 * 1024, post_case, "Submit a request; repeatable with the same Idempotency-Key."},
  {"GET", "/catalog.jsonld", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, api_catalog, "The catalogue of services as CPSV-AP in JSON-LD."},
};
const size_t api_service_count = BASE_COUNT(api_service_rows);
