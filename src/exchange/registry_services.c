/* Registries of the pack as data services of their owners: answered here, as if an information system of theirs did. */
#include "exchange/data.h"

#include <stdlib.h>
#include <string.h>

/* ---- answers ---- */

static int reply(struct exchange_answer *out, int status, const char *type, json_t *v) {
  size_t n = 0;
  char *text = json_text(v, &n);
  json_decref(v);
  out->status = status;
  out->media_type = base_strdup(type);
  out->content = (struct http_content){.data = text, .fd = -1, .size = (int64_t)n};
  return 0;
}

/* In the provider's own voice, so that no gateway is blamed; both languages, as the one who asks may be either. */
static int problem(struct exchange_answer *out, int status, const char *code) {
  char type[80], key[80];
  snprintf(type, sizeof type, "/problems/%s", code);
  snprintf(key, sizeof key, "exchange.%s", code);
  const char *fa = word(LANG_FA, key), *en = word(LANG_EN, key);
  return reply(out, status, "application/problem+json",
               json_pack("{s:s,s:s,s:i,s:s,s:s,s:{s:s,s:s}}", "type", type, "title", en, "status", status, "detail", fa, "code", code, "messages", "fa", fa, "en", en));
}

static const char *query_value(const char *query, const char *name, char out[600], bool *other) {
  const char *found = NULL;
  *other = false;
  for (const char *p = query; p && *p;) {
    size_t n = strcspn(p, "&"), k = strcspn(p, "=&");
    if (k == strlen(name) && strncmp(p, name, k) == 0 && p[k] == '=' && !found) {
      size_t m = 0;
      for (const char *c = p + k + 1; c < p + n && m + 1 < 600; c++) {
        unsigned char byte;
        if (*c == '%' && p + n - c > 2 && hex_decode((char[]){c[1], c[2], 0}, &byte, 1) == 0 && byte >= ' ') {
          out[m++] = (char)byte;
          c += 2;
        } else out[m++] = *c == '+' ? ' ' : *c;
      }
      out[m] = 0;
      found = out;
    } else if (n) *other = true;
    p += n + (p[n] == '&');
  }
  return found;
}

static const struct data_service *asked_service(const struct exchange_data *d, const struct exchange_id *id) {
  for (size_t i = 0; i < d->count; i++) {
    struct exchange_id mine;
    const struct data_service *s = d->served[i].s;
    if (strcmp(s->service, id->service) == 0 && exchange_data_id(d, s->provider, EXCHANGE_REGISTRIES, s->service, &mine) && exchange_id_same(&mine, id, 5)) return s;
  }
  return NULL;
}

/* What this right gives of what the service publishes. */
static int given(const struct exchange_data *d, const struct data_service *s, const char *grant, json_t **names, char asker[64], struct err *err) {
  struct right_scope scope = {0};
  if (registries_right_scope(d->o.registries, grant ? grant : "", &scope, err)) return -1;
  *names = json_array();
  for (size_t i = 0; i < s->count; i++) {
    bool in = !scope.attributes;
    for (size_t k = 0; k < json_array_size(scope.attributes); k++) in = in || strcmp(json_string_value(json_array_get(scope.attributes, k)), s->attributes[i]) == 0;
    if (in) json_array_append_new(*names, json_string(s->attributes[i]));
  }
  json_decref(scope.attributes);
  snprintf(asker, 64, "%s", scope.asker);
  return 0;
}

static void asker_of(const struct exchange_data *d, const struct exchange_id *client, char out[EXCHANGE_ID + 1]) {
  const struct directory *all = pack_directory(d->o.pack);
  for (size_t i = 0; strcmp(client->instance, pack_instance(d->o.pack)) == 0 && i < directory_organisations(all); i++) {
    const struct organisation *o = directory_organisation(all, (int)i);
    if (strcmp(o->member, client->member) == 0 && strcmp(o->class_, client->class_) == 0) {
      snprintf(out, EXCHANGE_ID + 1, "%s", o->code);
      return;
    }
  }
  exchange_id_text(client, out);
}

/* 1 to 100 characters of text: a tracking code, or the asker's own name of the matter. */
static bool good_issue(const char *issue) {
  if (!issue || !issue[0] || !utf8_valid(issue, strlen(issue)) || utf8_length(issue) > 100) return false;
  bool any = false;
  for (const char *c = issue; *c; c++) {
    if ((unsigned char)*c < ' ' || *c == 0x7f) return false;
    any = any || *c != ' ';
  }
  return any;
}

static int look(const struct exchange_data *d, const struct data_service *s, const struct exchange_asked *q, const json_t *persons, const char *known, struct err *err) {
  char client[EXCHANGE_ID + 1], asker[EXCHANGE_ID + 1];
  if (json_array_size(persons) == 0) return 0;
  if (!d->o.look) return err_set(err, ERR_UNAVAILABLE, "looks cannot be recorded");
  exchange_id_text(q->client, client);
  if (known[0]) snprintf(asker, sizeof asker, "%s", known);
  else asker_of(d, q->client, asker);
  struct exchange_look k = {.persons = persons, .asker = asker, .client = client, .provider = data_service_provider(d->o.pack, s), .service = s->service,
                            .grant = q->grant ? q->grant : "", .issue = q->issue ? q->issue : "", .user = q->user ? q->user : ""};
  return d->o.look(d->o.ctx, &k, err);
}

int exchange_data_answer(void *ctx, const struct exchange_asked *q, struct exchange_answer *out, struct err *err) {
  const struct exchange_data *d = ctx;
  const struct data_service *s = asked_service(d, q->service);
  char text[600], known[64];
  bool other = false;
  struct published p = {.data = s};
  json_t *names = NULL;
  struct err why = {0};
  if (!s) return problem(out, 404, "no_service");
  if (strcmp(q->method, "GET") != 0) return problem(out, 405, "only_get");
  if (strcmp(q->path, "/records") == 0) p.key = query_value(q->query, "key", text, &other);
  else if (base_starts(q->path, "/records/") && strlen(q->path + 9) == RECORD_REF - 1 && strspn(q->path + 9, "0123456789abcdef") == RECORD_REF - 1) p.ref = q->path + 9;
  else return problem(out, 404, "no_path");
  if (!p.ref && (!p.key || other)) return problem(out, 400, "no_key");
  if (given(d, s, q->grant, &names, known, err)) return -1;
  p.attributes = names;
  int rc = 0;
  if (data_service_personal(s, names) && !good_issue(q->issue)) rc = problem(out, 403, "no_issue");
  else if (data_service_personal(s, names) && (!q->purpose || !q->purpose[0])) rc = problem(out, 403, "no_purpose");
  else if (registries_published(d->o.registries, &p, &why)) {
    if (why.code == ERR_INVALID) rc = problem(out, 422, "bad_key");
    else if (why.code == ERR_NOT_FOUND) rc = problem(out, 404, "no_record");
    else {
      log_write(LOG_ERROR, "exchange", "data service %s: %s", s->service, why.message);
      rc = problem(out, 503, "later");
    }
  } else if (look(d, s, q, p.persons, known, &why)) {
    log_write(LOG_ERROR, "exchange", "data service %s: a look could not be recorded, so nothing was given: %s", s->service, why.message);
    rc = problem(out, 503, "later");
  } else rc = reply(out, 200, "application/json", p.ref ? json_incref(json_array_get(json_object_get(p.out, "items"), 0)) : json_incref(p.out));
  json_decref(p.out);
  json_decref(p.persons);
  json_decref(names);
  return rc;
}

/* ---- the description ---- */

/* A value that such a field may have, where its type alone tells one. */
static json_t *example_of(const struct field *f) {
  switch (f->type) {
  case FIELD_NATIONAL_ID: return json_string("0499370899");
  case FIELD_LEGAL_ID: return json_string("10380284790");
  case FIELD_MOBILE: return json_string("09151234567");
  case FIELD_POSTAL_CODE: return json_string("9184612345");
  case FIELD_DATE: return json_string("2021-06-05");
  case FIELD_YES_NO: return json_true();
  case FIELD_INTEGER: return json_integer(4);
  case FIELD_DECIMAL: return json_real(210.5);
  case FIELD_CHOICE: return f->choice_count ? json_string(f->choices[0].value) : NULL;
  case FIELD_TEXT: return json_string("نمونه");
  default: return NULL;
  }
}

static json_t *schema_of(const struct registry_attribute *a) {
  json_t *o = field_schema(a->field, day_of(clock_now())), *example = example_of(a->field);
  json_object_set_new(o, "title", json_sprintf("%s — %s", a->title.fa, a->title.en));
  if (example) json_object_set_new(o, "examples", json_pack("[o]", example));
  json_object_set_new(o, "x-personal", json_boolean(a->personal));
  return o;
}

static json_t *typed(const char *type) { return json_pack("{s:s}", "type", type); }

static json_t *record_schema(const struct data_service *s) {
  json_t *attributes = json_object();
  for (size_t i = 0; i < s->count; i++) json_object_set_new(attributes, s->attributes[i], schema_of(registry_attribute(s->registry, s->attributes[i])));
  json_t *change = json_pack("{s:s,s:{s:o,s:{s:s,s:s},s:{s:s,s:[s,s,s,s,s]},s:{s:s,s:o}}}", "type", "object", "properties", "version", typed("integer"), "at", "type", "string",
                             "format", "date-time", "change", "type", "string", "enum", "create", "update", "revoke", "restore", "erase", "changed", "type", "array", "items",
                             typed("string"));
  json_t *properties = json_pack("{s:{s:s,s:s},s:o,s:o,s:o,s:{s:s,s:s},s:{s:s,s:o,s:b},s:{s:s,s:o}}", "ref", "type", "string", "pattern", "^[0-9a-f]{32}$", "version",
                                 typed("integer"), "valid", typed("boolean"), "synthetic", typed("boolean"), "since", "type", "string", "format", "date-time", "attributes",
                                 "type", "object", "properties", attributes, "additionalProperties", 0, "history", "type", "array", "items", change);
  return json_pack("{s:s,s:[s,s,s,s,s],s:o}", "type", "object", "required", "ref", "version", "valid", "since", "attributes", "properties", properties);
}

static json_t *answer_of(const char *text, const char *schema) {
  char ref[80];
  snprintf(ref, sizeof ref, "#/components/schemas/%s", schema);
  return json_pack("{s:s,s:{s:{s:{s:s}}}}", "description", text, "content", strcmp(schema, "problem") == 0 ? "application/problem+json" : "application/json", "schema", "$ref", ref);
}

static json_t *issue_parameter(bool personal) {
  return json_pack("{s:s,s:s,s:b,s:s,s:{s:s,s:i,s:i}}", "name", "X-Road-Issue", "in", "header", "required", personal, "description",
                   "The case for which the data are asked: its tracking code, or your own number of it.", "schema", "type", "string", "minLength", 1, "maxLength", 100);
}

static void problems(json_t *answers, bool key) {
  json_object_set_new(answers, "403", answer_of("The case (X-Road-Issue) or the right's purpose is missing.", "problem"));
  json_object_set_new(answers, "503", answer_of("The registry cannot answer now; ask again later.", "problem"));
  if (key) json_object_set_new(answers, "400", answer_of("The key is missing, or another parameter was given.", "problem"));
  if (key) json_object_set_new(answers, "422", answer_of("No key can be like this.", "problem"));
  else json_object_set_new(answers, "404", answer_of("There is no such record.", "problem"));
}

json_t *exchange_data_openapi(struct exchange_data *d, const struct data_service *s) {
  const struct directory *all = pack_directory(d->o.pack);
  const struct organisation *owner = directory_organisation(all, s->provider);
  json_t *whole = json_array(), *info, *find, *one, *answers, *problem_schema;
  for (size_t i = 0; i < s->count; i++) json_array_append_new(whole, json_string(s->attributes[i]));
  bool personal = data_service_personal(s, whole);
  json_decref(whole);
  info = json_pack("{s:o,s:s,s:o,s:s,s:b}", "title", json_sprintf("%s — %s", s->title.fa, s->title.en), "version", pack_hash(d->o.pack), "description",
                   json_sprintf("%s. %s publishes this registry. Answers hold the attributes that your right names, and no others. Every answer about a person is shown to that person.",
                                owner->name_fa, owner->name_en),
                   "x-provider", owner->code, "x-personal", personal);
  answers = json_pack("{s:o}", "200", answer_of("Records of this key, newest first; none when nothing is recorded.", "records"));
  problems(answers, true);
  json_t *key = schema_of(registry_attribute(s->registry, s->key));
  find = json_pack("{s:s,s:s,s:[{s:s,s:s,s:b,s:o},o],s:o}", "operationId", "find", "summary", "Find records by key", "parameters", "name", "key", "in", "query", "required", 1,
                   "schema", key, issue_parameter(personal), "responses", answers);
  answers = json_pack("{s:o}", "200", answer_of("The record with its history.", "record"));
  problems(answers, false);
  one = json_pack("{s:s,s:s,s:[{s:s,s:s,s:b,s:{s:s,s:s}},o],s:o}", "operationId", "record", "summary", "One record, with its versions", "parameters", "name", "ref", "in", "path",
                  "required", 1, "schema", "type", "string", "pattern", "^[0-9a-f]{32}$", issue_parameter(personal), "responses", answers);
  problem_schema = json_pack("{s:s,s:{s:o,s:o,s:o,s:o,s:o,s:o}}", "type", "object", "properties", "type", typed("string"), "title", typed("string"), "status", typed("integer"),
                             "detail", typed("string"), "code", typed("string"), "messages", typed("object"));
  return json_pack("{s:s,s:o,s:[{s:s}],s:{s:{s:o},s:{s:o}},s:{s:{s:o,s:{s:s,s:[s],s:{s:{s:s,s:{s:s}}}},s:o}}}", "openapi", "3.1.0", "info", info, "servers", "url", "/", "paths",
                   "/records", "get", find, "/records/{ref}", "get", one, "components", "schemas", "record", record_schema(s), "records", "type", "object", "required", "items",
                   "properties", "items", "type", "array", "items", "$ref", "#/components/schemas/record", "problem", problem_schema);
}

/* ---- opening ---- */

bool exchange_data_id(const struct exchange_data *d, int organisation, const char *subsystem, const char *service, struct exchange_id *out) {
  const struct organisation *o = directory_organisation(pack_directory(d->o.pack), organisation);
  *out = (struct exchange_id){0};
  if (!o || !o->class_[0] || !o->member[0]) return false;
  snprintf(out->instance, sizeof out->instance, "%s", pack_instance(d->o.pack));
  snprintf(out->class_, sizeof out->class_, "%s", o->class_);
  snprintf(out->member, sizeof out->member, "%s", o->member);
  if (subsystem) snprintf(out->subsystem, sizeof out->subsystem, "%s", subsystem);
  if (service) snprintf(out->service, sizeof out->service, "%s", service);
  return true;
}

int exchange_data_open(const struct exchange_data_options *o, struct exchange_data **out, struct err *err) {
  struct exchange_data *d = base_alloc(sizeof *d);
  struct exchange_id id;
  d->o = *o;
  d->o.pack = pack_ref(o->pack);
  if (!d->o.timeout_ms) d->o.timeout_ms = 2500;
  d->there = json_object();
  d->served = base_alloc((pack_data_services(o->pack) + 1) * sizeof *d->served);
  for (size_t i = 0; i < pack_data_services(o->pack); i++) {
    const struct data_service *s = pack_data_service(o->pack, i);
    if (s->registry && exchange_data_id(d, s->provider, EXCHANGE_REGISTRIES, s->service, &id)) d->served[d->count++] = (struct served){d, s};
  }
  *out = d;
  return 0;
}

void exchange_data_close(struct exchange_data *d) {
  if (!d) return;
  pack_unref(d->o.pack);
  json_decref(d->there);
  free(d->served);
  free(d);
}
