/* The counter for programs: consent, slips, what an office filed, and telephones bound there. */
#include "channels/api/inside.h"

#include <string.h>

static int fault(struct http_req *r, const char *field, const char *code, const char *word_key) {
  api_fault(r, field, code, word_key);
  return -1;
}

static int only(struct http_req *r, json_t *body, const char *const *names, size_t count) {
  const char *name;
  json_t *v;
  json_object_foreach(body, name, v) {
    bool known = false;
    for (size_t i = 0; i < count; i++) known = known || strcmp(name, names[i]) == 0;
    if (!known) return fault(r, name, "unknown", "api.unknown_member");
  }
  return 0;
}

/* A text member within 1 to `most` bytes, or absent: *out stays NULL. */
static int text(struct http_req *r, const json_t *o, const char *name, const char *field, size_t most, const char **out) {
  const json_t *v = json_object_get(o, name);
  *out = NULL;
  if (!v || json_is_null(v)) return 0;
  if (!json_is_string(v)) return fault(r, field, "type", "api.type");
  size_t n = json_string_length(v);
  if (n < 1 || n > most || n != strlen(json_string_value(v))) return fault(r, field, "pattern", "api.counter_text");
  *out = arena_strdup(http_arena(r), json_string_value(v));
  return 0;
}

static int identifier(struct http_req *r, enum identifier first, enum identifier second, const char *typed, const char *field, const char *word_key, const char **out) {
  char id[32];
  if (typed && identifier_parse(first, typed, id) && identifier_parse(second, typed, id)) return fault(r, field, "pattern", word_key);
  if (typed) *out = arena_strdup(http_arena(r), id);
  return 0;
}

static int read_applicant(struct http_req *r, const json_t *body, struct case_counter *k) {
  static const char *const names[] = {"national_id", "mobile"};
  json_t *o = json_object_get(body, "applicant");
  const char *id, *mobile;
  if (!o || json_is_null(o)) return 0;
  if (!json_is_object(o)) return fault(r, "applicant", "type", "api.type");
  if (only(r, o, names, 2) || text(r, o, "national_id", "applicant.national_id", 60, &id) || text(r, o, "mobile", "applicant.mobile", 60, &mobile)) return -1;
  return identifier(r, IDENT_NATIONAL_ID, IDENT_FIDA, id, "applicant.national_id", "api.national_id", &k->national_id) ||
         identifier(r, IDENT_MOBILE, IDENT_MOBILE, mobile, "applicant.mobile", "api.mobile", &k->mobile) ? -1 : 0;
}

static int read_consent(struct http_req *r, const json_t *body, struct case_counter *k) {
  static const char *const names[] = {"challenge", "code", "slip", "number", "kept"};
  json_t *o = json_object_get(body, "consent");
  const json_t *kept = json_object_get(o, "kept");
  const char *number;
  if (!o || json_is_null(o)) return 0; /* the engine says that it is needed */
  if (!json_is_object(o)) return fault(r, "consent", "type", "api.type");
  if (only(r, o, names, BASE_COUNT(names)) || text(r, o, "challenge", "consent.challenge", 64, &k->challenge) || text(r, o, "code", "consent.code", 40, &k->code) ||
      text(r, o, "slip", "consent.slip", 64, &k->document) || text(r, o, "number", "consent.number", 60, &number))
    return -1;
  if (kept && !json_is_boolean(kept)) return fault(r, "consent.kept", "type", "api.type");
  k->number = number ? digits_ascii(http_arena(r), number) : NULL;
  if (k->challenge || k->code) {
    if (!k->challenge || !k->code || k->document || number || kept) return fault(r, "consent", "choice", "api.consent");
    k->consent = CONSENT_CODE;
  } else if (k->document) k->consent = CONSENT_SLIP;
  else if (k->number && json_is_true(kept)) k->consent = CONSENT_KEPT;
  else return fault(r, "consent", "choice", "api.consent");
  return 0;
}

static int read_seen(struct http_req *r, const json_t *body, struct case_counter *k) {
  static const char *const names[] = {"kind", "digits"};
  json_t *o = json_object_get(body, "document_seen"), *bind = json_object_get(body, "bind_telephone");
  bool known = false;
  if (bind && !json_is_boolean(bind)) return fault(r, "bind_telephone", "type", "api.type");
  k->bind = json_is_true(bind);
  if (!o || json_is_null(o)) return 0;
  if (!json_is_object(o)) return fault(r, "document_seen", "type", "api.type");
  if (only(r, o, names, 2) || text(r, o, "kind", "document_seen.kind", 40, &k->seen) || text(r, o, "digits", "document_seen.digits", 40, &k->digits)) return -1;
  for (size_t i = 0; k->seen && i < counter_paper_count; i++) known = known || strcmp(k->seen, counter_papers[i]) == 0;
  if (!known) return fault(r, "document_seen.kind", k->seen ? "choice" : "required", "api.document_seen");
  if (!k->digits || utf8_length(k->digits) < 4 || utf8_length(k->digits) > 20) return fault(r, "document_seen.digits", k->digits ? "pattern" : "required", "api.document_digits");
  return 0;
}

int api_counter_read(struct http_req *r, const json_t *body, struct case_counter *k) {
  return read_applicant(r, body, k) || read_consent(r, body, k) || read_seen(r, body, k) ? -1 : 0;
}

/* ---- what somebody consents to ---- */

struct wish {
  struct case_asking asking;
  struct case_counter who;
  json_t *data; /* canonical; freed with the answer */
};

static int read_service(struct http_req *r, const json_t *body, struct wish *w) {
  const char *code;
  if (text(r, body, "service", "service", 100, &code)) return -1;
  if (!code) return fault(r, "service", "required", "api.required");
  w->asking.service = pack_find(cases_pack(api_of(r)->cases), code);
  if (!w->asking.service || !w->asking.service->counter || w->asking.service->staff_only) return fault(r, "service", "choice", "api.not_at_counter");
  return 0;
}

static int read_person(struct http_req *r, const json_t *body, struct wish *w) {
  const struct service *s = w->asking.service;
  if (read_applicant(r, body, &w->who)) return -1;
  const char *asked = s->applicant_field ? json_str(w->data, s->applicant_field) : NULL, *mobile = s->mobile_field ? json_str(w->data, s->mobile_field) : NULL;
  w->asking.national_id = w->who.national_id ? w->who.national_id : asked;
  w->asking.mobile = w->who.mobile ? w->who.mobile : mobile;
  if (!w->asking.national_id) return fault(r, "applicant.national_id", "required", "consent.who");
  if (asked && strcmp(asked, w->asking.national_id) != 0) return fault(r, "applicant.national_id", "other", "consent.other_person");
  return 0;
}

static int read_wish(struct http_req *r, json_t *body, struct wish *w) {
  struct api_context *c = api_of(r);
  json_t *given = json_object_get(body, "data"), *errors = NULL;
  struct err err;
  if (w->asking.purpose == CONSENT_TO_SEE) {
    char code[32];
    const char *typed;
    if (text(r, body, "tracking", "tracking", 60, &typed)) return -1;
    if (!typed || identifier_parse(IDENT_TRACKING, typed, code)) return fault(r, "tracking", typed ? "pattern" : "required", "api.tracking");
    w->asking.tracking = arena_strdup(http_arena(r), code);
    return 0;
  }
  if (read_service(r, body, w)) return -1;
  if (w->asking.purpose == CONSENT_TO_FILE) {
    if (!json_is_object(given)) return fault(r, "data", given ? "type" : "required", given ? "api.type" : "api.required");
    if (service_validate(cases_pack(c->cases), w->asking.service, given, cases_today(), http_lang(r), http_arena(r), &w->data, &errors)) {
      err_set(&err, ERR_INVALID, "the answers are not valid");
      api_error(r, &err, NULL, errors);
      return -1;
    }
    w->asking.data = w->data;
  }
  return read_person(r, body, w);
}

static void refuse_wish(struct http_req *r, const struct err *err) {
  if (err->code == ERR_INVALID && strcmp(err->message, "own") == 0) api_fault(r, "applicant.national_id", "own", "consent.own");
  else if (err->code == ERR_INVALID) api_fault(r, strcmp(err->message, "mobile") == 0 ? "applicant.mobile" : "applicant.national_id", "required", strcmp(err->message, "mobile") == 0 ? "consent.no_mobile" : "consent.who");
  else api_error(r, err, err->code == ERR_CONFLICT ? "api.case_no_mobile" : err->code == ERR_RATE ? "api.consent_many" : NULL, NULL);
}

static void post_consent(struct http_req *r) {
  static const char *const names[] = {"purpose", "service", "data", "applicant", "tracking"}, *const purposes[] = {"file", "know", "see"};
  json_t *body = http_json(r);
  struct wish w = {.asking = {.purpose = CONSENT_TO_FILE}};
  const char *purpose;
  char challenge[40];
  int expires = 0;
  struct err err;
  if (!body || only(r, body, names, BASE_COUNT(names)) || text(r, body, "purpose", "purpose", 20, &purpose)) return;
  if (purpose) {
    size_t n = 0;
    while (n < BASE_COUNT(purposes) && strcmp(purpose, purposes[n]) != 0) n++;
    if (n == BASE_COUNT(purposes)) return api_fault(r, "purpose", "choice", "api.purpose");
    w.asking.purpose = (enum consent_purpose)n;
  }
  if (read_wish(r, body, &w)) goto out;
  if (cases_consent_ask(api_of(r)->cases, api_actor(r), &w.asking, http_lang(r), challenge, &expires, &err)) refuse_wish(r, &err);
  else http_reply_json(r, 202, json_pack("{s:s,s:i}", "challenge", challenge, "expires_in", expires));
out:
  json_decref(w.data);
}

static void post_slip(struct http_req *r) {
  static const char *const names[] = {"service", "data", "applicant"};
  json_t *body = http_json(r);
  struct wish w = {.asking = {.purpose = CONSENT_TO_FILE}};
  char number[16];
  struct err err;
  if (!body || only(r, body, names, BASE_COUNT(names)) || read_wish(r, body, &w)) {
    json_decref(w.data);
    return;
  }
  if (cases_slip(api_of(r)->cases, api_actor(r), &w.asking, number, &err)) refuse_wish(r, &err);
  else http_reply_json(r, 201, json_pack("{s:s}", "number", number));
  json_decref(w.data);
}

static int read_code(struct http_req *r, const json_t *body, const char **challenge, const char **code) {
  if (text(r, body, "challenge", "challenge", 64, challenge) || text(r, body, "code", "code", 40, code)) return -1;
  if (!*challenge) return fault(r, "challenge", "required", "api.required");
  return *code ? 0 : fault(r, "code", "required", "api.required");
}

static void wrong_code(struct http_req *r, const struct err *err) {
  if (err->code == ERR_UNAUTHENTICATED) return api_fault(r, "code", "wrong", "consent.wrong");
  api_error(r, err, err->code == ERR_RATE ? "consent.spent" : NULL, NULL);
}

static void post_look(struct http_req *r) {
  static const char *const names[] = {"tracking", "challenge", "code"};
  json_t *body = http_json(r);
  struct wish w = {.asking = {.purpose = CONSENT_TO_SEE}};
  const char *challenge, *code;
  struct err err;
  if (!body || only(r, body, names, BASE_COUNT(names)) || read_wish(r, body, &w) || read_code(r, body, &challenge, &code)) return;
  if (cases_consent_give(api_of(r)->cases, api_actor(r), &w.asking, challenge, code, &err)) return wrong_code(r, &err);
  http_reply_json(r, 200, json_pack("{s:s,s:i}", "tracking", w.asking.tracking, "expires_in", 1800));
}

/* With the code of a consent, or within two hours of it. */
static void post_prefill(struct http_req *r) {
  static const char *const names[] = {"service", "applicant", "challenge", "code", "data"};
  json_t *body = http_json(r), *out = NULL, *answers = json_object_get(body, "data");
  struct wish w = {.asking = {.purpose = CONSENT_TO_KNOW}};
  const char *challenge, *code;
  struct actor as;
  struct err err;
  if (!body || only(r, body, names, BASE_COUNT(names)) || read_wish(r, body, &w)) return;
  if (answers && !json_is_object(answers)) return api_fault(r, "data", "type", "api.type");
  if (json_object_get(body, "challenge") || json_object_get(body, "code")) {
    if (read_code(r, body, &challenge, &code)) return;
    if (cases_consent_give(api_of(r)->cases, api_actor(r), &w.asking, challenge, code, &err)) return wrong_code(r, &err);
  }
  int knows = cases_counter_knows(api_of(r)->cases, api_actor(r), &w.asking, &as, &err);
  if (knows == 0) {
    err_set(&err, ERR_INVALID, "no consent, or a telephone that is not known to be theirs");
    return api_error(r, &err, "api.not_known_at_counter", NULL);
  }
  api_list(r, knows < 0 ? -1 : cases_prefill(api_of(r)->cases, &as, w.asking.service, answers, http_lang(r), &out, &err), &out, &err);
}

/* ---- what an office filed ---- */

static void get_filed(struct http_req *r) {
  int limit = api_limit(r);
  json_t *out = NULL;
  struct err err;
  if (limit < 0) return;
  api_list(r, cases_counter_list(api_of(r)->cases, api_actor(r), api_after(r), limit, http_lang(r), &out, &err), &out, &err);
}

static void get_figures(struct http_req *r) {
  const struct actor *who = api_actor(r);
  const char *org = http_query(r, "organisation"), *text_days = http_query(r, "days");
  int64_t days = 30;
  json_t *out = NULL;
  struct err err;
  if (text_days && (parse_i64(text_days, &days) || days < 1 || days > 366)) return api_fault(r, "days", "range", "api.days");
  if (!org) org = who->role_count ? who->roles[0].organisation : "";
  api_list(r, cases_counter_figures(api_of(r)->cases, who, org, (int)days, &out, &err), &out, &err);
}

static void put_office(struct http_req *r) {
  static const char *const names[] = {"office"};
  const struct directory *d = pack_directory(cases_pack(api_of(r)->cases));
  json_t *body = http_json(r);
  const char *code;
  struct err err;
  if (!body || only(r, body, names, 1) || text(r, body, "office", "office", 60, &code)) return;
  if (code && !cases_counter_office(api_of(r)->cases, api_actor(r), directory_find_office(d, code))) return api_fault(r, "office", "choice", "api.office");
  if (identity_office_set(api_of(r)->identity, api_actor(r)->username, code ? code : "", &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, json_pack("{s:s?}", "office", code));
}

/* ---- telephones bound at a counter ---- */

static void get_telephones(struct http_req *r) {
  const struct actor *who = api_actor(r);
  const char *org = http_query(r, "organisation");
  json_t *items = NULL;
  struct err err;
  if (!org) org = who->role_count ? who->roles[0].organisation : "";
  int rc = identity_bound(api_of(r)->identity, who, org, &items, &err);
  json_t *o = rc ? NULL : json_pack("{s:o,s:n}", "items", items, "next");
  api_list(r, rc, &o, &err);
}

static void delete_telephone(struct http_req *r) {
  struct err err;
  if (cases_unbind(api_of(r)->cases, api_actor(r), http_param(r, "id"), &err)) return api_error(r, &err, NULL, NULL);
  http_reply(r, 204, NULL, NULL, 0);
}

/* ---- unusual looking ---- */

static void get_looks(struct http_req *r) {
  const char *open = http_query(r, "open");
  json_t *items = NULL;
  struct err err;
  if (open && strcmp(open, "true") != 0 && strcmp(open, "false") != 0) return api_fault(r, "open", "choice", "api.type");
  int rc = cases_looks(api_of(r)->cases, api_actor(r), base_same(open, "true"), &items, &err);
  json_t *o = rc ? NULL : json_pack("{s:o,s:n}", "items", items, "next");
  api_list(r, rc, &o, &err);
}

static void post_acknowledgement(struct http_req *r) {
  static const char *const members[] = {"note"};
  json_t *body = http_json(r), *out = NULL;
  const char *note;
  struct err err;
  if (!body || only(r, body, members, 1) || text(r, body, "note", "note", 1000, &note)) return;
  note = note ? text_repair(http_arena(r), note) : NULL;
  if (!note || strlen(note) < 3) return api_fault(r, "note", "required", "api.looks_note");
  api_list(r, cases_looks_acknowledge(api_of(r)->cases, api_actor(r), http_param(r, "id"), note, &out, &err), &out, &err);
}

const struct http_route api_counter_rows[] = {
  {"GET", "/api/v1/desk/looks", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_looks, "Unusual looking at personal data by staff: counts, never data."},
  {"POST", "/api/v1/desk/looks/{id}/acknowledgement", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 4096, post_acknowledgement, "Say that a report was looked into."},
  {"POST", "/api/v1/counter/consents", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 256 * 1024, post_consent, "Ask a person's consent by a code to their telephone."},
  {"POST", "/api/v1/counter/slips", HTTP_WORKER, PERMIT_AGENT, HTTP_BEARER, 256 * 1024, post_slip, "The number of a slip to be signed."},
  {"POST", "/api/v1/counter/looks", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 4096, post_look, "With its citizen's code: see a case for half an hour."},
  {"POST", "/api/v1/counter/prefill", HTTP_WORKER, PERMIT_AGENT, HTTP_BEARER, 64 * 1024, post_prefill, "What is known for a form, with the person's consent."},
  {"GET", "/api/v1/counter/cases", HTTP_WORKER, PERMIT_AGENT, HTTP_SAFE, 0, get_filed, "What this office filed in the last 30 days, masked."},
  {"GET", "/api/v1/counter/figures", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_figures, "What agents filed, counted by office and agent."},
  {"PUT", "/api/v1/counter/office", HTTP_WORKER, PERMIT_AGENT, HTTP_BEARER, 1024, put_office, "The office from which one works."},
  {"GET", "/api/v1/telephones", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_telephones, "Telephones bound at a counter: one's own, or by one's organisation."},
  {"DELETE", "/api/v1/telephones/{id}", HTTP_WORKER, PERMIT_SESSION, HTTP_BEARER, 0, delete_telephone, "End a telephone's binding."},
};
const size_t api_counter_count = BASE_COUNT(api_counter_rows);
