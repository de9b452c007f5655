/* Records of registries for their office and for the person they are about; what a form may be filled in with. */
#include "channels/api/inside.h"

#include <string.h>

static void get_registries(struct http_req *r) {
  struct err err;
  json_t *items = NULL;
  int rc = registries_list(api_of(r)->registries, api_actor(r), http_lang(r), &items, &err);
  json_t *o = rc ? NULL : json_pack("{s:o,s:n}", "items", items, "next");
  api_list(r, rc, &o, &err);
}

/* The look is on record before it is answered. */
static void get_record(struct http_req *r) {
  struct api_context *c = api_of(r);
  json_t *out = NULL, *persons = NULL;
  struct err err;
  int rc = registries_find(c->registries, api_actor(r), http_param(r, "code"), http_param(r, "key"), http_lang(r), &out, &persons, &err);
  if (rc == 0) rc = cases_use(c->cases, api_actor(r), persons, json_str(out, "organisation"), json_str(out, "registry"), &err);
  json_decref(persons);
  if (rc) json_decref(out);
  api_list(r, rc, &out, &err);
}

static void get_mine(struct http_req *r) {
  struct err err;
  json_t *items = NULL;
  int rc = registries_mine(api_of(r)->registries, api_actor(r), http_lang(r), &items, &err);
  if (rc && err.code == ERR_FORBIDDEN) return api_error(r, &err, "api.not_matched", NULL);
  json_t *o = rc ? NULL : json_pack("{s:o,s:n}", "items", items, "next");
  api_list(r, rc, &o, &err);
}

/* Answers that other answers are found by may come with the question: ?legal_id=… */
static json_t *answers_of(struct http_req *r, const struct service *s) {
  const struct pack *p = cases_pack(api_of(r)->cases);
  json_t *answers = json_object();
  for (size_t i = 0; i < s->field_count; i++) {
    const struct field *f = s->fields[i];
    const char *text = http_query(r, f->name), *code, *message;
    json_t *in = text ? json_string(text) : NULL, *value = NULL;
    struct field plain = *f;
    plain.when = plain.constraint = NULL;
    if (in && field_check(p, &plain, in, answers, cases_today(), http_lang(r), http_arena(r), &value, &code, &message) == 0 && value)
      json_object_set_new(answers, f->name, value);
    json_decref(in);
  }
  return answers;
}

static void get_prefill(struct http_req *r) {
  struct api_context *c = api_of(r);
  const struct service *s = pack_find(cases_pack(c->cases), http_param(r, "code"));
  struct err err;
  json_t *out = NULL;
  if (!s) return http_problem_code(r, ERR_NOT_FOUND, word(http_lang(r), "api.no_service"));
  json_t *answers = answers_of(r, s);
  int rc = cases_prefill(c->cases, api_actor(r), s, answers, http_lang(r), &out, &err);
  json_decref(answers);
  if (rc && err.code == ERR_FORBIDDEN) return api_error(r, &err, "api.not_matched", NULL);
  api_list(r, rc, &out, &err);
}

static void get_export(struct http_req *r) {
  const char *format = http_query(r, "format"), *since = http_query(r, "since");
  const struct registry *k = pack_find_registry(cases_pack(api_of(r)->cases), http_param(r, "code"));
  struct records_query q = {.registry = k, .format = base_same(format, "csv") ? RECORD_CSV : RECORD_JSON, .why = http_query(r, "why")};
  struct records_export *e;
  struct err err;
  if (!k || registries_right(api_of(r)->registries, api_actor(r), k) == RECORD_NOTHING) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (format && strcmp(format, "csv") != 0 && strcmp(format, "jsonl") != 0) return api_fault(r, "format", "choice", "transfer.bad_format");
  int32_t day = since && since[0] ? date_parse(since) : INT32_MIN;
  if (since && since[0] && day == INT32_MIN) return api_fault(r, "since", "date", "transfer.bad_day");
  if (day != INT32_MIN) q.since = day_start(day);
  if (registries_export_open(api_of(r)->registries, api_actor(r), &q, &e, &err))
    return err.code == ERR_INVALID ? api_fault(r, "why", "length", "registries.why_needed") : api_error(r, &err, err.code == ERR_FORBIDDEN ? "registries.export_masked" : NULL, NULL);
  http_reply_header(r, "Content-Disposition", arena_printf(http_arena(r), "attachment; filename=\"%s.%s\"", k->code, q.format == RECORD_CSV ? "csv" : "jsonl"));
  http_reply_stream(r, 200, q.format == RECORD_CSV ? "text/csv; charset=utf-8; header=present" : "application/jsonl", registries_export_more, e, registries_export_end);
}

const struct http_route api_registry_rows[] = {
  {"GET", "/api/v1/registries", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_registries, "Registries that one may read."},
  {"GET", "/api/v1/registries/{code}/records/{key...}", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_record, "Records of a key with their history; the look is recorded."},
  {"GET", "/api/v1/registries/{code}/export", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_export, "A whole registry as CSV or JSON lines; those in it see it."},
  {"GET", "/api/v1/me/records", HTTP_WORKER, PERMIT_CITIZEN, HTTP_SAFE, 0, get_mine, "What offices know about oneself."},
  {"GET", "/api/v1/services/{code}/prefill", HTTP_WORKER, PERMIT_CITIZEN, HTTP_SAFE, 0, get_prefill, "What is known for a service's fields, and by whom."},
};
const size_t api_registry_count = BASE_COUNT(api_registry_rows);
