/* Mandates at the counter: what the person who stands there has given and received, ended and accepted by a code to their own telephone, and filing
 * under one of them. */
#include "channels/web/form.h"

#include <string.h>

static struct case_asking asking(const struct visit *v) { return (struct case_asking){.purpose = CONSENT_TO_MANDATE, .national_id = v->national_id, .mobile = v->mobile}; }

int visit_acting(struct http_req *r, const struct visit *v, struct actor *who) {
  struct case_asking a = asking(v);
  struct actor as;
  struct err err;
  if (!v->mandate || cases_counter_knows(web_of(r)->cases, web_actor(r), &a, &as, &err) != 1 || cases_act_for(web_of(r)->cases, &as, NULL, v->mandate, &err)) return -1;
  memcpy(who->national_id, as.national_id, sizeof who->national_id);
  memcpy(who->acting_as, as.acting_as, sizeof who->acting_as);
  memcpy(who->acting_person, as.acting_person, sizeof who->acting_person);
  memcpy(who->acting_mandate, as.acting_mandate, sizeof who->acting_mandate);
  memcpy(who->acting_scope, as.acting_scope, sizeof who->acting_scope);
  memcpy(who->acting_name, as.acting_name, sizeof who->acting_name);
  memcpy(who->acting_mobile, as.acting_mobile, sizeof who->acting_mobile);
  who->acting_proved = as.acting_proved;
  return 0;
}

/* ---- the list ---- */

/* Steps that ask for nothing more. */
static json_t *steps_json(struct http_req *r, const struct actor *as, const char *tracking) {
  json_t *view = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (cases_get(web_of(r)->cases, as, tracking, http_lang(r), &view, &err)) return list;
  json_array_foreach(json_object_get(view, "actions"), i, one) {
    if (json_array_size(json_object_get(one, "fields")) || base_same(json_str(one, "reason"), "required") || base_same(json_str(one, "name"), "add_documents")) continue;
    json_t *o = json_object();
    put(o, "name", json_str(one, "name"));
    put(o, "title", json_str(one, "title"));
    json_array_append_new(list, o);
  }
  json_decref(view);
  return list;
}

static json_t *mandates_json(struct http_req *r, const struct actor *as, const struct visit *v, const json_t *items, bool received) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach((json_t *)(uintptr_t)items, i, one) {
    const char *status = json_str(one, "status"), *tracking = json_str(one, "tracking");
    const json_t *who = json_object_get(one, received ? "principal" : "attorney");
    const char *id = json_str(who, "legal_id") ? json_str(who, "legal_id") : json_str(who, "national_id");
    bool force = base_same(status, "in_force");
    if (!force && !base_same(status, "offered")) continue;
    json_t *o = json_object();
    char masked[32] = "";
    if (id) identifier_mask(json_str(who, "legal_id") ? IDENT_LEGAL_ID : IDENT_NATIONAL_ID, id, masked);
    put(o, "tracking", tracking);
    put(o, "name", received ? json_str(who, "name") : NULL);
    put(o, "id", local(r, masked));
    put(o, "scope", json_str(json_object_get(one, "scope"), "title"));
    put(o, "status", say(r, force ? "mandate_in_force" : "mandate_offered"));
    put(o, "pill", force ? "approved" : "open");
    put(o, "until", show_iso_day(r, json_str(one, "until")));
    put_flag(o, "can_act", received && force && !base_same(v->mandate, tracking));
    put_flag(o, "acts", base_same(v->mandate, tracking));
    put_list(o, "steps", steps_json(r, as, tracking));
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *services_json(struct http_req *r, const struct visit *v) {
  const struct pack *p = web_pack(r);
  json_t *list = json_array();
  for (size_t i = 0; i < pack_services(p); i++) {
    const struct service *s = pack_service(p, i);
    if (!s->mandate.present || s->counter < CHANNEL_START) continue;
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/counter/%s/%s/apply", v->id, s->code));
    put(o, "name", text_in(&s->title, http_lang(r)));
    json_array_append_new(list, o);
  }
  return list;
}

/* A code that waits to be typed: for the list (action NULL) or for one step. */
struct waiting { const char *challenge, *tracking, *action, *title, *wrong; };

static void show(struct http_req *r, const struct visit *v, const struct waiting *w, int status) {
  struct case_asking a = asking(v);
  struct actor as;
  struct err err;
  json_t *out = NULL;
  int known = cases_counter_knows(web_of(r)->cases, web_actor(r), &a, &as, &err);
  if (known < 0 || (known && cases_mandates(web_of(r)->cases, &as, http_lang(r), &out, &err))) return web_error(r, &err);
  json_t *page = page_new(web_of(r), r, say(r, "counter_mandates"), true);
  crumb(page, "/counter", say(r, "counter"));
  crumb(page, arena_printf(http_arena(r), "/counter/%s", v->id), say(r, "counter_service"));
  visit_person(r, page, v);
  put(page, "action", arena_printf(http_arena(r), "/counter/%s/mandates", v->id));
  put_flag(page, "known", known == 1);
  put_flag(page, "has_mobile", v->mobile != NULL);
  put(page, "challenge", w->challenge);
  put(page, "step", w->action);
  put(page, "step_tracking", w->tracking);
  put(page, "step_title", w->title);
  put(page, "code_error", w->wrong);
  if (w->wrong) fault(page, w->challenge ? "#code" : "#main", w->wrong);
  put_list(page, "received", known ? mandates_json(r, &as, v, json_object_get(out, "received"), true) : json_array());
  put_list(page, "given", known ? mandates_json(r, &as, v, json_object_get(out, "given"), false) : json_array());
  put_list(page, "services", services_json(r, v));
  json_decref(out);
  page_reply(web_of(r), r, status, "counter_mandates", page);
}

static void get_mandates(struct http_req *r) {
  struct visit v;
  if (visit_load(r, &v)) return;
  show(r, &v, &(struct waiting){0}, 200);
}

/* ---- codes, steps, acting ---- */

static const char *fault_word(struct http_req *r, const struct err *err) {
  if (err->code == ERR_RATE) return word(http_lang(r), "api.consent_many");
  if (err->code == ERR_FORBIDDEN) return say(r, "counter_mandates_assurance");
  return err->code == ERR_INVALID ? word(http_lang(r), strcmp(err->message, "own") == 0 ? "consent.own" : "consent.no_mobile") : NULL;
}

static void ask(struct http_req *r, const struct visit *v, const struct case_asking *a, struct waiting *w) {
  char challenge[40];
  int expires = 0;
  struct err err;
  if (cases_consent_ask(web_of(r)->cases, web_actor(r), a, http_lang(r), challenge, &expires, &err)) {
    w->wrong = fault_word(r, &err);
    if (w->wrong) show(r, v, w, err_status(err.code));
    else web_error(r, &err);
    return;
  }
  w->challenge = challenge;
  show(r, v, w, 200);
}

static void step(struct http_req *r, const struct visit *v, const struct actor *as, const struct waiting *w) {
  json_t *view = NULL;
  struct err err;
  if (cases_get(web_of(r)->cases, as, w->tracking, http_lang(r), &view, &err)) return web_error(r, &err);
  struct case_act act = {.action = w->action, .expected_version = json_int(view, "version", 0), .actor = *as, .lang = http_lang(r), .arena = http_arena(r)};
  snprintf(act.tracking, sizeof act.tracking, "%s", w->tracking);
  json_decref(view);
  int rc = cases_act(web_of(r)->cases, &act, NULL, NULL, &err);
  json_decref(act.errors);
  if (rc && err.code != ERR_CONFLICT) return web_error(r, &err);
  if (rc) return show(r, v, &(struct waiting){.wrong = say(r, "counter_mandate_moved")}, 409);
  http_redirect(r, 303, arena_printf(http_arena(r), "/counter/%s/mandates", v->id));
}

/* The title of a step that the person may take now; NULL: none such. */
static const char *step_title(struct http_req *r, const struct actor *as, const char *tracking, const char *action) {
  json_t *list = steps_json(r, as, tracking), *one;
  const char *title = NULL;
  size_t i;
  json_array_foreach(list, i, one)
    if (base_same(json_str(one, "name"), action)) title = arena_strdup(http_arena(r), json_str(one, "title"));
  json_decref(list);
  return title;
}

static void act_under(struct http_req *r, struct visit *v, const struct actor *as, const char *tracking) {
  struct actor who = *as;
  struct err err;
  v->mandate = v->principal = v->instead = NULL;
  if (tracking[0]) {
    if (cases_act_for(web_of(r)->cases, &who, NULL, tracking, &err)) return show(r, v, &(struct waiting){.wrong = say(r, "no_mandate")}, 409);
    v->mandate = tracking;
    v->principal = who.acting_as;
    v->instead = who.acting_name[0] ? who.acting_name : local(r, who.acting_as);
  }
  if (visit_save(r, v) == 0) http_redirect(r, 303, arena_printf(http_arena(r), "/counter/%s", v->id));
}

static void post_mandates(struct http_req *r) {
  const char *code = http_form_value(r, "code"), *sent = http_form_value(r, "challenge"), *typed = http_form_value(r, "tracking"), *action = http_form_value(r, "step"),
             *under = http_form_value(r, "under");
  char tracking[32] = "";
  struct visit v;
  struct actor as;
  struct err err;
  if (http_replied(r) || visit_load(r, &v)) return;
  struct case_asking a = asking(&v);
  struct waiting w = {0};
  int known = cases_counter_knows(web_of(r)->cases, web_actor(r), &a, &as, &err);
  if (known < 0) return web_error(r, &err);
  if (((typed && typed[0]) && identifier_parse(IDENT_TRACKING, typed, tracking)) || (under && under[0] && identifier_parse(IDENT_TRACKING, under, tracking))) return not_found(r);
  if (known && under) return act_under(r, &v, &as, tracking);
  if (known && action && action[0]) {
    w = (struct waiting){.tracking = tracking, .action = action, .title = step_title(r, &as, tracking, action)};
    if (!w.title) return show(r, &v, &(struct waiting){.wrong = say(r, "counter_mandate_moved")}, 409);
    a.tracking = tracking;
    a.action = action;
    a.title = w.title;
  }
  if (!code || !sent) return ask(r, &v, &a, &w);
  const char *digits = digits_ascii(http_arena(r), code);
  if (cases_consent_give(web_of(r)->cases, web_actor(r), &a, sent, digits ? digits : "", &err)) {
    if (err.code != ERR_UNAUTHENTICATED && err.code != ERR_RATE) return web_error(r, &err);
    w.challenge = err.code == ERR_RATE ? NULL : sent;
    w.wrong = word(http_lang(r), err.code == ERR_RATE ? "consent.spent" : "consent.wrong");
    return show(r, &v, &w, 422);
  }
  if (w.action) return step(r, &v, &as, &w);
  http_redirect(r, 303, arena_printf(http_arena(r), "/counter/%s/mandates", v.id));
}

const struct http_route web_counter_mandate_rows[] = {
  {"GET", "/counter/{visit}/mandates", HTTP_WORKER, PERMIT_AGENT, HTTP_SAFE, 0, get_mandates, "Agents: the mandates of the person at the counter, by their code."},
  {"POST", "/counter/{visit}/mandates", HTTP_WORKER, PERMIT_AGENT, HTTP_TOKEN, 4096, post_mandates, "Agents: send that code or type it; take a step with one; file under one."},
};
const size_t web_counter_mandate_count = BASE_COUNT(web_counter_mandate_rows);
