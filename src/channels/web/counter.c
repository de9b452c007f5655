/* The counter: an agent files for a person who stands there, by their consent; what the office filed; seeing a case by its citizen's code. */
#include "channels/web/form.h"

#include <stdlib.h>
#include <string.h>

#define VISIT "counter-visit"

static bool agent(struct http_req *r) { return actor_has_role(web_actor(r), NULL, STAFF_AGENT); }

static const struct office *office_of(struct http_req *r) {
  const struct directory *d = pack_directory(web_pack(r));
  return web_actor(r)->office[0] ? directory_office(d, directory_find_office(d, web_actor(r)->office)) : NULL;
}

static const char *office_name(struct http_req *r, const struct office *o) {
  return http_lang(r) == LANG_EN && o->name_en && o->name_en[0] ? o->name_en : o->name_fa;
}

/* ---- a visit: who stands at the counter; kept for a day ---- */

int visit_load(struct http_req *r, struct visit *v) {
  struct arena *a = http_arena(r);
  const char *id = http_param(r, "visit");
  json_t *doc = NULL;
  struct err err;
  *v = (struct visit){0};
  if (!id || strlen(id) != 32 || strspn(id, "0123456789abcdef") != 32) {
    not_found(r);
    return -1;
  }
  v->id = arena_strdup(a, id);
  v->owner = arena_printf(a, "k:%s:%s", web_actor(r)->username, id);
  if (!v->owner || cases_draft_load(web_of(r)->cases, v->owner, VISIT, &doc, &err)) {
    if (v->owner && err.code != ERR_NOT_FOUND) web_error(r, &err);
    else not_found(r);
    return -1;
  }
  v->national_id = arena_strdup(a, json_str(doc, "national_id"));
  v->mobile = arena_strdup(a, json_str(doc, "mobile"));
  v->seen = arena_strdup(a, json_str(doc, "seen"));
  v->digits = arena_strdup(a, json_str(doc, "digits"));
  v->mandate = arena_strdup(a, json_str(doc, "mandate"));
  v->principal = arena_strdup(a, json_str(doc, "principal"));
  v->instead = arena_strdup(a, json_str(doc, "instead"));
  json_decref(doc);
  if (v->national_id) return 0;
  not_found(r);
  return -1;
}

int visit_save(struct http_req *r, const struct visit *v) {
  json_t *doc = json_object();
  struct err err;
  json_put(doc, "national_id", v->national_id);
  if (v->mobile) json_put(doc, "mobile", v->mobile);
  if (v->seen) json_put(doc, "seen", v->seen);
  if (v->digits) json_put(doc, "digits", v->digits);
  if (v->mandate) json_put(doc, "mandate", v->mandate);
  if (v->principal) json_put(doc, "principal", v->principal);
  if (v->instead) json_put(doc, "instead", v->instead);
  int rc = cases_draft_save(web_of(r)->cases, v->owner, VISIT, doc, &err);
  json_decref(doc);
  if (rc) web_error(r, &err);
  return rc ? -1 : 0;
}

int visit_open(struct form *f) {
  struct err err;
  if (visit_load(f->r, &f->visit)) return -1;
  struct case_asking know = {.purpose = CONSENT_TO_KNOW, .service = f->s, .national_id = f->visit.national_id, .mobile = f->visit.mobile};
  if (cases_counter_knows(web_of(f->r)->cases, web_actor(f->r), &know, &f->as, &err) < 0) {
    web_error(f->r, &err);
    return -1;
  }
  return 0;
}

void visit_person(struct http_req *r, json_t *page, const struct visit *v) {
  char id[32] = "", mobile[32] = "";
  json_t *o = json_object();
  identifier_mask(IDENT_NATIONAL_ID, v->national_id, id);
  if (v->mobile) identifier_mask(IDENT_MOBILE, v->mobile, mobile);
  put(o, "national_id", local(r, id));
  put(o, "mobile", local(r, mobile));
  put(o, "seen", v->seen ? say(r, arena_printf(http_arena(r), "paper_%s", v->seen)) : NULL);
  put(o, "instead", v->instead);
  put(o, "href", arena_printf(http_arena(r), "/counter/%s", v->id));
  json_object_set_new(page, "visitor", o);
}

void visit_show(const struct form *f, json_t *page) {
  json_object_set_new(page, "visitor", json_null());
  if (!f->visit.id) return;
  visit_person(f->r, page, &f->visit);
  put_flag(page, "signed_out", false);
}

/* ---- the counter's page ---- */

static json_t *offices_json(struct http_req *r) {
  const struct directory *d = pack_directory(web_pack(r));
  json_t *list = json_array();
  for (size_t i = 0; i < directory_offices(d) && json_array_size(list) < 400; i++) {
    const struct office *o = directory_office(d, (int)i);
    if (!cases_counter_office(web_of(r)->cases, web_actor(r), (int)i)) continue;
    json_t *one = json_object();
    put(one, "value", o->code);
    put(one, "label", office_name(r, o));
    put_flag(one, "chosen", strcmp(o->code, web_actor(r)->office) == 0);
    json_array_append_new(list, one);
  }
  return list;
}

static json_t *papers_json(struct http_req *r, const char *chosen) {
  json_t *list = json_array();
  for (size_t i = 0; i < counter_paper_count; i++) {
    json_t *one = json_object();
    put(one, "value", counter_papers[i]);
    put(one, "label", say(r, arena_printf(http_arena(r), "paper_%s", counter_papers[i])));
    put_flag(one, "chosen", base_same(chosen, counter_papers[i]));
    json_array_append_new(list, one);
  }
  return list;
}

static json_t *filed_json(struct http_req *r, const json_t *found) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(json_object_get(found, "items"), i, one) {
    json_t *o = json_object();
    const char *result = json_str(one, "result");
    put(o, "href", arena_printf(http_arena(r), "/cases/%s", json_str(one, "tracking")));
    put(o, "receipt", arena_printf(http_arena(r), "/cases/%s/receipt", json_str(one, "tracking")));
    put(o, "code", show_code(r, json_str(one, "tracking")));
    put(o, "name", json_str(one, "service_title"));
    put(o, "state", json_str(one, "state_title"));
    put(o, "result", result);
    put(o, "person", local(r, json_str(one, "applicant")));
    put(o, "since", show_time_day(r, json_str(one, "submitted_at")));
    put(o, "due", base_same(result, "open") ? show_iso_day(r, json_str(json_object_get(one, "due"), "legal")) : NULL);
    put(o, "consent", say(r, arena_printf(http_arena(r), "consent_%s", json_str(one, "consent"))));
    json_array_append_new(list, o);
  }
  return list;
}

struct typed { const char *national_id, *mobile, *digits, *seen, *code; bool no_telephone; const char *faults[5]; };
enum { FAULT_ID, FAULT_MOBILE, FAULT_DIGITS, FAULT_SEEN, FAULT_CODE };

static void put_box(json_t *page, const char *name, const char *value, const char *error_key, const char *error) {
  put(page, name, value);
  put(page, error_key, error);
  if (error) {
    char href[40];
    snprintf(href, sizeof href, "#%s", name);
    fault(page, href, error);
  }
}

static void show_counter(struct http_req *r, const struct typed *t, int status) {
  json_t *found = NULL, *page = page_new(web_of(r), r, say(r, "counter"), true), *offices = agent(r) ? offices_json(r) : json_array();
  struct err err;
  if (agent(r) && cases_counter_list(web_of(r)->cases, web_actor(r), http_query(r, "after"), 30, http_lang(r), &found, &err)) {
    json_decref(page);
    json_decref(offices);
    return web_error(r, &err);
  }
  const char *next = json_str(found, "next");
  put_flag(page, "files", agent(r));
  put(page, "office", office_of(r) ? office_name(r, office_of(r)) : NULL);
  put_list(page, "offices", offices);
  put_list(page, "papers", papers_json(r, t->seen));
  put_box(page, "national_id", t->national_id, "national_id_error", t->faults[FAULT_ID]);
  put_box(page, "mobile", t->mobile, "mobile_error", t->faults[FAULT_MOBILE]);
  put_box(page, "digits", t->digits, "digits_error", t->faults[FAULT_DIGITS]);
  put_box(page, "code", t->code, "code_error", t->faults[FAULT_CODE]);
  put_flag(page, "no_telephone", t->no_telephone);
  put_list(page, "items", filed_json(r, found));
  put(page, "next_href", next ? arena_printf(http_arena(r), "/counter?after=%s", url_quote(r, next)) : NULL);
  json_decref(found);
  page_reply(web_of(r), r, status, "counter", page);
}

static void get_counter(struct http_req *r) {
  const char *code = http_query(r, "code");
  char tracking[32];
  struct typed t = {.code = code};
  if (!agent(r) && !actor_has_role(web_actor(r), NULL, STAFF_HELPDESK)) return http_redirect(r, 303, "/desk");
  if (code && code[0] && identifier_parse(IDENT_TRACKING, code, tracking) == 0) return http_redirect(r, 303, arena_printf(http_arena(r), "/cases/%s", tracking));
  if (code && code[0]) t.faults[FAULT_CODE] = say(r, "track_wrong");
  show_counter(r, &t, t.faults[FAULT_CODE] ? 422 : 200);
}

/* A person begins at the counter. */
static void post_counter(struct http_req *r) {
  struct typed t = {.national_id = http_form_value(r, "national_id"), .mobile = http_form_value(r, "mobile"), .digits = http_form_value(r, "digits"),
                    .seen = http_form_value(r, "seen"), .no_telephone = http_form_value(r, "no_telephone") != NULL};
  char id[32] = "", mobile[32] = "", visit[33];
  unsigned char raw[16];
  struct err err;
  if (http_replied(r)) return;
  bool paper = false;
  for (size_t i = 0; t.seen && i < counter_paper_count; i++) paper = paper || strcmp(t.seen, counter_papers[i]) == 0;
  const char *digits = t.digits ? text_repair(http_arena(r), t.digits) : NULL;
  size_t n = digits && utf8_valid(digits, strlen(digits)) ? utf8_length(digits) : 0;
  if (!t.national_id || (identifier_parse(IDENT_NATIONAL_ID, t.national_id, id) && identifier_parse(IDENT_FIDA, t.national_id, id))) t.faults[FAULT_ID] = say(r, "national_id_wrong");
  else {
    int own = cases_counter_own(web_of(r)->cases, web_actor(r), id, &err);
    if (own < 0) return web_error(r, &err);
    if (own) t.faults[FAULT_ID] = word(http_lang(r), "consent.own");
  }
  bool some = t.mobile && t.mobile[0];
  if (!t.no_telephone && (!some || identifier_parse(IDENT_MOBILE, t.mobile, mobile))) t.faults[FAULT_MOBILE] = say(r, some ? "mobile_wrong" : "counter_mobile");
  if (t.no_telephone && some) t.faults[FAULT_MOBILE] = say(r, "counter_mobile_both");
  if (paper && (n < 4 || n > 20)) t.faults[FAULT_DIGITS] = say(r, "counter_digits_wrong");
  for (size_t i = 0; i < BASE_COUNT(t.faults); i++)
    if (t.faults[i]) return show_counter(r, &t, 422);
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, visit);
  struct visit v = {.id = visit, .owner = arena_printf(http_arena(r), "k:%s:%s", web_actor(r)->username, visit), .national_id = id, .mobile = mobile[0] ? mobile : NULL,
                    .seen = paper ? t.seen : NULL, .digits = paper ? digits : NULL};
  if (!v.owner || visit_save(r, &v)) return;
  http_redirect(r, 303, arena_printf(http_arena(r), "/counter/%s", visit));
}

static void post_office(struct http_req *r) {
  const struct directory *d = pack_directory(web_pack(r));
  const char *code = http_form_value(r, "office");
  struct err err;
  if (http_replied(r)) return;
  if (code && code[0] && !cases_counter_office(web_of(r)->cases, web_actor(r), directory_find_office(d, code))) return not_found(r);
  if (identity_office_set(web_of(r)->identity, web_actor(r)->username, code ? code : "", &err)) return web_error(r, &err);
  http_redirect(r, 303, "/counter");
}

/* ---- which service ---- */

static void add_service(struct http_req *r, json_t *list, const struct visit *v, const struct service *s) {
  if (!s || s->counter < CHANNEL_START || s->staff_only || s->handled_external) return;
  json_t *o = json_object();
  put(o, "href", arena_printf(http_arena(r), "/counter/%s/%s/apply", v->id, s->code));
  put(o, "name", text_in(&s->title, http_lang(r)));
  put(o, "owner", service_owner_name(web_pack(r), s, http_lang(r)));
  json_array_append_new(list, o);
}

static void get_visit(struct http_req *r) {
  struct visit v;
  struct err err;
  json_t *favourites = NULL, *one, *fast = json_array(), *list = json_array();
  const char *q = http_query(r, "q"), *corrected = NULL;
  const struct service *found[30];
  size_t i, n = 0;
  if (visit_load(r, &v) || cases_counter_favourites(web_of(r)->cases, web_actor(r), &favourites, &err)) {
    json_decref(fast);
    json_decref(list);
    return http_replied(r) ? (void)0 : web_error(r, &err);
  }
  json_array_foreach(favourites, i, one) add_service(r, fast, &v, pack_find(web_pack(r), json_string_value(one)));
  if (q && q[0]) {
    n = search_services(r, q, found, BASE_COUNT(found), &corrected);
    for (i = 0; i < n; i++) add_service(r, list, &v, found[i]);
  } else
    for (i = 0; i < pack_services(web_pack(r)) && i < 200; i++) add_service(r, list, &v, pack_service(web_pack(r), i));
  json_t *page = page_new(web_of(r), r, say(r, "counter_service"), true);
  crumb(page, "/counter", say(r, "counter"));
  visit_person(r, page, &v);
  put(page, "here", arena_printf(http_arena(r), "/counter/%s", v.id));
  put(page, "q", q);
  put(page, "mandates_href", v.mobile ? arena_printf(http_arena(r), "/counter/%s/mandates", v.id) : NULL);
  put_list(page, "favourites", q && q[0] ? json_array() : json_incref(fast));
  put_list(page, "items", list);
  json_decref(fast);
  json_decref(favourites);
  page_reply(web_of(r), r, 200, "counter_visit", page);
}

/* ---- consent ---- */

/* What the form is filed as: the person of the visit, else as answered. */
static struct case_asking asking_of(const struct form *f, const json_t *data, enum consent_purpose purpose) {
  const char *mobile = f->s->mobile_field ? json_str(data, f->s->mobile_field) : NULL;
  return (struct case_asking){.purpose = purpose, .service = f->s, .data = data, .national_id = f->visit.national_id, .mobile = f->visit.mobile ? f->visit.mobile : mobile};
}

static json_t *kept_consent(const struct form *f) {
  json_t *o = json_object_get(f->draft, "consent");
  if (json_is_object(o)) return o;
  o = json_object();
  json_object_set_new(f->draft, "consent", o);
  return o;
}

static void show_consent(struct form *f, const json_t *data, const char *wrong, const char *at, int status) {
  struct http_req *r = f->r;
  struct case_asking a = asking_of(f, data, CONSENT_TO_FILE);
  json_t *page = form_page(f, say(r, "consent_title")), *kept = kept_consent(f);
  const char *number = json_str(kept, "number");
  char masked[32] = "";
  if (a.mobile) identifier_mask(IDENT_MOBILE, a.mobile, masked);
  put(page, "back", form_link(f, "check"));
  put(page, "mobile", local(r, masked));
  put_flag(page, "sent", json_str(kept, "challenge") != NULL);
  put_flag(page, "can_bind", f->visit.seen && a.mobile);
  put(page, "number", local(r, number));
  put(page, "slip_href", form_link(f, "slip"));
  put(page, "code_action", form_link(f, "code"));
  put(page, "slip_action", form_link(f, "slip"));
  put(page, "submit_action", form_link(f, "submit"));
  put(page, "code_error", wrong && base_same(at, "code") ? wrong : NULL);
  put(page, "slip_error", wrong && base_same(at, "slip") ? wrong : NULL);
  if (wrong) fault(page, arena_printf(http_arena(r), "#%s", at), wrong);
  page_reply(web_of(r), r, status, "counter_consent", page);
}

static void get_consent(struct http_req *r) {
  struct form f;
  json_t *data = NULL;
  if (form_open(&f, r)) return;
  if (form_ready(&f, &data) == 0) show_consent(&f, data, NULL, NULL, 200);
  json_decref(data);
  form_close(&f);
}

static const char *consent_fault(struct http_req *r, const struct err *err) {
  if (err->code == ERR_RATE) return word(http_lang(r), "api.consent_many");
  return err->code == ERR_INVALID ? word(http_lang(r), strcmp(err->message, "own") == 0 ? "consent.own" : "consent.no_mobile") : NULL;
}

static void post_consent_code(struct http_req *r) {
  struct form f;
  json_t *data = NULL;
  char challenge[40];
  int expires = 0;
  struct err err;
  if (form_open(&f, r)) return;
  if (form_ready(&f, &data) == 0) {
    struct case_asking a = asking_of(&f, data, CONSENT_TO_FILE);
    if (cases_consent_ask(web_of(r)->cases, web_actor(r), &a, http_lang(r), challenge, &expires, &err)) {
      const char *wrong = consent_fault(r, &err);
      if (wrong) show_consent(&f, data, wrong, "code", err_status(err.code));
      else web_error(r, &err);
    } else {
      json_put(kept_consent(&f), "challenge", challenge);
      if (form_save(&f) == 0) http_redirect(r, 303, form_link(&f, "consent#code"));
    }
  }
  json_decref(data);
  form_close(&f);
}

static void post_slip(struct http_req *r) {
  struct form f;
  json_t *data = NULL;
  char number[16];
  struct err err;
  if (form_open(&f, r)) return;
  if (form_ready(&f, &data) == 0) {
    struct case_asking a = asking_of(&f, data, CONSENT_TO_FILE);
    if (cases_slip(web_of(r)->cases, web_actor(r), &a, number, &err)) {
      const char *wrong = consent_fault(r, &err);
      if (wrong) show_consent(&f, data, wrong, "slip", err_status(err.code));
      else web_error(r, &err);
    } else {
      json_put(kept_consent(&f), "number", number);
      if (form_save(&f) == 0) http_redirect(r, 303, form_link(&f, "slip"));
    }
  }
  json_decref(data);
  form_close(&f);
}

/* The sheet that the person signs: what is filed, for whom, by whom. */
static void get_slip(struct http_req *r) {
  struct form f;
  json_t *data = NULL;
  if (form_open(&f, r)) return;
  const char *number = json_str(kept_consent(&f), "number");
  if (form_ready(&f, &data) == 0) {
    if (!number) http_redirect(r, 303, form_link(&f, "consent"));
    else {
      struct case_asking a = asking_of(&f, data, CONSENT_TO_FILE);
      json_t *page = form_page(&f, say(r, "slip_title"));
      put(page, "back", form_link(&f, "consent#slip"));
      put(page, "number", local(r, number));
      put(page, "person", local(r, f.visit.national_id));
      put(page, "person_mobile", local(r, a.mobile));
      put(page, "place", office_of(r) ? office_name(r, office_of(r)) : NULL);
      put(page, "day", date_long(http_arena(r), http_lang(r), cases_today()));
      put_list(page, "pages", form_answers(&f));
      page_reply(web_of(r), r, 200, "slip", page);
    }
  }
  json_decref(data);
  form_close(&f);
}

/* Which consent was sent: a code, a scan, or that the slip lies in the folder. NULL, or what is missing, at *at. */
static const char *read_consent(struct form *f, struct case_counter *k, const char **at) {
  struct http_req *r = f->r;
  static struct field scan = {.name = "scan", .type = FIELD_DOCUMENT};
  const char *way = http_form_value(r, "way"), *message = NULL;
  json_t *ids = NULL, *kept = kept_consent(f);
  *at = base_same(way, "slip") ? "slip" : "code";
  k->challenge = json_str(kept, "challenge");
  if (base_same(way, "code")) {
    const char *code = http_form_value(r, "code");
    k->consent = CONSENT_CODE;
    k->code = code ? digits_ascii(http_arena(r), code) : "";
    k->bind = http_form_value(r, "bind") != NULL;
    return k->challenge ? NULL : word(http_lang(r), "consent.gone");
  }
  k->number = json_str(kept, "number");
  if (!k->number) return word(http_lang(r), "consent.slip_unknown");
  if (field_take(r, &scan, NULL, NULL, &ids, &message)) {
    json_decref(ids);
    return message;
  }
  k->document = arena_strdup(http_arena(r), json_string_value(json_array_get(ids, 0)));
  json_decref(ids);
  k->consent = k->document ? CONSENT_SLIP : http_form_value(r, "kept") ? CONSENT_KEPT : CONSENT_NONE;
  return k->consent == CONSENT_NONE ? say(r, "slip_needed") : NULL;
}

static void file(struct form *f, json_t *data, const struct case_counter *k, const char *at) {
  struct http_req *r = f->r;
  struct err err;
  char *body = json_canonical(data);
  struct case_submission s = {.service = f->s, .data = data, .key = json_str(f->draft, "key"), .body = body, .actor = *web_actor(r), .caller = web_actor(r)->username,
                              .intake = INTAKE_COUNTER, .lang = http_lang(r), .counter = k};
  if (f->visit.mandate && visit_acting(r, &f->visit, &s.actor)) {
    free(body);
    return http_redirect(r, 303, arena_printf(http_arena(r), "/counter/%s/mandates", f->visit.id));
  }
  int rc = cases_submit(web_of(r)->cases, &s, NULL, NULL, &err);
  free(body);
  if (rc == 0) return form_filed(f, s.tracking);
  const char *field = json_str(json_array_get(s.errors, 0), "field");
  bool consent = field && (strcmp(field, "consent") == 0 || strcmp(field, "applicant") == 0 || strcmp(field, "bind_telephone") == 0);
  if (consent) show_consent(f, data, json_str(json_array_get(s.errors, 0), "message"), at, 422);
  else if (s.errors) return form_differences(f, s.errors);
  else if (s.detail) form_check(f, NULL, word(http_lang(r), s.detail), err_status(err.code));
  else if (err.code == ERR_CONFLICT || err.code == ERR_INVALID) form_check(f, NULL, say(r, err.code == ERR_CONFLICT ? "one_open" : "no_owner"), err_status(err.code));
  else web_error(r, &err);
  json_decref(s.errors);
}

static void post_filed(struct http_req *r) {
  struct form f;
  json_t *data = NULL;
  const char *at;
  if (form_open(&f, r)) return;
  if (form_ready(&f, &data) == 0) {
    struct case_counter k = {.national_id = f.visit.national_id, .mobile = f.visit.mobile, .seen = f.visit.seen, .digits = f.visit.digits};
    const char *wrong = read_consent(&f, &k, &at);
    if (wrong) show_consent(&f, data, wrong, at, 422);
    else if (!http_replied(r)) file(&f, data, &k, at);
  }
  json_decref(data);
  form_close(&f);
}

/* ---- what is known of the person, by their code ---- */

static void show_known(struct form *f, const char *wrong, int status) {
  json_t *page = form_page(f, say(f->r, "known_title"));
  put(page, "back", arena_printf(http_arena(f->r), "/counter/%s", f->visit.id));
  put(page, "action", form_link(f, "known"));
  put(page, "skip", form_link(f, "apply"));
  put_flag(page, "has_mobile", f->visit.mobile != NULL);
  put_flag(page, "sent", json_str(json_object_get(f->draft, "know"), "challenge") != NULL);
  put(page, "code_error", wrong);
  if (wrong) fault(page, "#code", wrong);
  page_reply(web_of(f->r), f->r, status, "counter_known", page);
}

static void get_known(struct http_req *r) {
  struct form f;
  if (form_open(&f, r)) return;
  show_known(&f, NULL, 200);
  form_close(&f);
}

static void post_known(struct http_req *r) {
  struct form f;
  struct err err;
  char challenge[40];
  int expires = 0;
  if (form_open(&f, r)) return;
  struct case_asking a = {.purpose = CONSENT_TO_KNOW, .service = f.s, .national_id = f.visit.national_id, .mobile = f.visit.mobile};
  const char *code = http_form_value(r, "code"), *sent = json_str(json_object_get(f.draft, "know"), "challenge");
  if (http_replied(r)) ;
  else if (code && sent) {
    const char *typed = digits_ascii(http_arena(r), code);
    if (cases_consent_give(web_of(r)->cases, web_actor(r), &a, sent, typed ? typed : "", &err)) {
      if (err.code == ERR_UNAUTHENTICATED || err.code == ERR_RATE) show_known(&f, word(http_lang(r), err.code == ERR_RATE ? "consent.spent" : "consent.wrong"), 422);
      else web_error(r, &err);
    } else http_redirect(r, 303, form_link(&f, "apply"));
  } else if (cases_consent_ask(web_of(r)->cases, web_actor(r), &a, http_lang(r), challenge, &expires, &err)) {
    const char *wrong = consent_fault(r, &err);
    if (wrong) show_known(&f, wrong, err_status(err.code));
    else web_error(r, &err);
  } else {
    json_object_set_new(f.draft, "know", json_pack("{s:s}", "challenge", challenge));
    if (form_save(&f) == 0) http_redirect(r, 303, form_link(&f, "known"));
  }
  form_close(&f);
}

/* ---- a case of somebody who is here or on the telephone ---- */

static const char *look_tracking(struct http_req *r, const char *typed) {
  char code[32];
  bool may = agent(r) || actor_has_role(web_actor(r), NULL, STAFF_HELPDESK);
  if (may && typed && identifier_parse(IDENT_TRACKING, typed, code) == 0) return arena_strdup(http_arena(r), code);
  not_found(r);
  return NULL;
}

static void show_look(struct http_req *r, const char *tracking, const char *challenge, const char *wrong, int status) {
  json_t *view = NULL, *page;
  struct actor nobody = {.kind = ACTOR_NOBODY};
  struct err err;
  if (cases_get(web_of(r)->cases, &nobody, tracking, http_lang(r), &view, &err)) return web_error(r, &err);
  page = page_new(web_of(r), r, say(r, "look_title"), true);
  crumb(page, "/counter", say(r, "counter"));
  put(page, "service", json_str(view, "service_title"));
  put(page, "state", json_str(view, "state_title"));
  put(page, "code", show_code(r, tracking));
  put(page, "case_href", arena_printf(http_arena(r), "/cases/%s", tracking));
  put(page, "tracking", tracking);
  put(page, "challenge", challenge);
  put(page, "code_error", wrong);
  if (wrong) fault(page, challenge ? "#code" : "#main", wrong);
  json_decref(view);
  page_reply(web_of(r), r, status, "counter_look", page);
}

static void get_look(struct http_req *r) {
  const char *tracking = look_tracking(r, http_query(r, "case"));
  if (tracking) show_look(r, tracking, NULL, NULL, 200);
}

static void post_look(struct http_req *r) {
  const char *tracking = look_tracking(r, http_form_value(r, "case")), *code = http_form_value(r, "code"), *sent = http_form_value(r, "challenge");
  char challenge[40];
  int expires = 0;
  struct err err;
  if (!tracking || http_replied(r)) return;
  struct case_asking a = {.purpose = CONSENT_TO_SEE, .tracking = tracking};
  if (code && sent) {
    const char *typed = digits_ascii(http_arena(r), code);
    if (cases_consent_give(web_of(r)->cases, web_actor(r), &a, sent, typed ? typed : "", &err) == 0) return http_redirect(r, 303, arena_printf(http_arena(r), "/cases/%s", tracking));
    if (err.code != ERR_UNAUTHENTICATED && err.code != ERR_RATE) return web_error(r, &err);
    return show_look(r, tracking, err.code == ERR_RATE ? NULL : sent, word(http_lang(r), err.code == ERR_RATE ? "consent.spent" : "consent.wrong"), 422);
  }
  if (cases_consent_ask(web_of(r)->cases, web_actor(r), &a, http_lang(r), challenge, &expires, &err) == 0) return show_look(r, tracking, challenge, NULL, 200);
  if (err.code == ERR_CONFLICT || err.code == ERR_RATE) show_look(r, tracking, NULL, word(http_lang(r), err.code == ERR_CONFLICT ? "api.case_no_mobile" : "api.consent_many"), err_status(err.code));
  else web_error(r, &err);
}

const struct http_route web_counter_rows[] = {
  {"GET", "/counter", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_counter, "Agents: the counter. The helpdesk: finding a case."},
  {"POST", "/counter", HTTP_WORKER, PERMIT_AGENT, HTTP_TOKEN, FORM_BODY, post_counter, "Agents: somebody has come to the counter."},
  {"POST", "/counter/office", HTTP_WORKER, PERMIT_AGENT, HTTP_TOKEN, 4096, post_office, "Agents: from which office one works."},
  {"GET", "/counter/{visit}", HTTP_WORKER, PERMIT_AGENT, HTTP_SAFE, 0, get_visit, "Agents: which service the person wants."},
  {"GET", "/counter/{visit}/{code}/known", HTTP_WORKER, PERMIT_AGENT, HTTP_SAFE, 0, get_known, "Agents: ask the person whether registries may fill in the form."},
  {"POST", "/counter/{visit}/{code}/known", HTTP_WORKER, PERMIT_AGENT, HTTP_TOKEN, 4096, post_known, "Agents: send that code, or type it."},
  {"GET", "/counter/{visit}/{code}/consent", HTTP_WORKER, PERMIT_AGENT, HTTP_SAFE, 0, get_consent, "Agents: the person's consent, by code or slip."},
  {"POST", "/counter/{visit}/{code}/code", HTTP_WORKER, PERMIT_AGENT, HTTP_TOKEN, 4096, post_consent_code, "Agents: send the code of the consent."},
  {"GET", "/counter/{visit}/{code}/slip", HTTP_WORKER, PERMIT_AGENT, HTTP_SAFE, 0, get_slip, "Agents: the slip to be signed."},
  {"POST", "/counter/{visit}/{code}/slip", HTTP_WORKER, PERMIT_AGENT, HTTP_TOKEN, 4096, post_slip, "Agents: make a slip."},
  {"POST", "/counter/{visit}/{code}/submit", HTTP_WORKER, PERMIT_AGENT, HTTP_TOKEN, FILES_BODY, post_filed, "Agents: file it with the consent."},
  {"GET", "/look", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_look, "Agents, helpdesk: ask its citizen to let one see a case."},
  {"POST", "/look", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, 4096, post_look, "Agents, helpdesk: send that code, or type it."},
};
const size_t web_counter_count = BASE_COUNT(web_counter_rows);
