/*
 * Acting for somebody else. A mandate is a request like any other: while it is approved its row in `mandate` is in force. Who acts under one
 * is judged here at every call, so that what is revoked, past its day or overtaken by a register has no effect from then on.
 */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

/* ---- what a mandate covers ---- */

static bool word_in(const char *words, const char *kind, const char *code) {
  size_t n = strlen(kind), m = strlen(code);
  for (const char *w = words; *w; w += strcspn(w, " "), w += *w == ' ')
    if (strncmp(w, kind, n) == 0 && strncmp(w + n, code, m) == 0 && (w[n + m] == ' ' || !w[n + m])) return true;
  return false;
}

bool case_covers(const struct actor *who, const struct service *def, const char *service, const char *owner) {
  if (def && def->mandate.present) return who->acting_proved; /* only what a register proves may be given on */
  if (word_in(who->acting_scope, "all", "") || word_in(who->acting_scope, "service:", service) || word_in(who->acting_scope, "organisation:", owner)) return true;
  for (size_t i = 0; def && i < def->life_event_count; i++)
    if (word_in(who->acting_scope, "event:", def->life_events[i])) return true;
  return false;
}

void case_put_mandate(json_t *payload, const struct actor *who) {
  char masked[32];
  if (!who->acting_as[0]) return;
  identifier_mask(IDENT_NATIONAL_ID, who->national_id, masked);
  json_object_set_new(payload, "mandate", json_pack("{s:s,s:s,s:s}", "attorney", masked, "by", who->person, "tracking", who->acting_mandate));
}

/* ---- for whom one files ---- */

static int wrong_principal(struct case_submission *s, const char *field, struct err *err) {
  s->errors = json_pack("[{s:s,s:s,s:s}]", "field", field, "code", "principal", "message", word(s->lang, "case.principal_needed"));
  return err_set(err, ERR_INVALID, "the request is not about whom the caller acts for");
}

static const char *company_field(const struct service *def, const json_t *data, const char *legal_id) {
  for (size_t i = 0; i < def->field_count; i++)
    if (def->fields[i]->type == FIELD_LEGAL_ID && base_same(json_str(data, def->fields[i]->name), legal_id)) return def->fields[i]->name;
  return NULL;
}

/* The principal is the applicant, or whom the request is for while the attorney gives their own name, or a company that it names. */
int case_files_for(struct case_submission *s, struct case_row *row, struct err *err) {
  const struct service *def = s->service;
  const struct actor *who = &s->actor;
  const char *applicant = def->applicant_field ? json_str(s->data, def->applicant_field) : NULL;
  const char *beneficiary = def->beneficiary_field ? json_str(s->data, def->beneficiary_field) : NULL;
  bool own = !applicant || strcmp(applicant, who->national_id) == 0;
  if (!s->counter) {
    row->submitted_by = "mandate";
    row->submitter = who->person;
  }
  row->pair = "";
  if (!row->mobile[0] || strcmp(row->mobile, who->mobile) == 0) row->mobile = who->acting_mobile[0] ? who->acting_mobile : who->mobile;
  if (s->counter && row->mobile[0] && base_same(row->mobile, s->counter->mobile) && who->acting_mobile[0]) row->mobile = who->acting_mobile;
  if (!def->applicant_field) {
    row->applicant = who->acting_person;
    return 0;
  }
  if (base_same(applicant, who->acting_as)) return 0;
  if (own && base_same(beneficiary, who->acting_as)) return 0;
  if (own && company_field(def, s->data, who->acting_as)) {
    row->beneficiary = who->acting_person;
    return 0;
  }
  return wrong_principal(s, def->applicant_field, err);
}

/* ---- the mandate's own request ---- */

static const char *scope_of(const struct service *def, const json_t *data, struct arena *a) {
  const char *v;
  if (def->mandate.service && (v = json_str(data, def->mandate.service))) return arena_printf(a, "service:%s", v);
  if (def->mandate.organisation && (v = json_str(data, def->mandate.organisation))) return arena_printf(a, "organisation:%s", v);
  if (def->mandate.event && (v = json_str(data, def->mandate.event))) return arena_printf(a, "event:%s", v);
  return "all";
}

/* Who gives it, or takes it up: the caller, or the person at a counter whose own telephone says so by a code. False: as the caller they are nobody. */
static bool giver_of(struct identity *i, const struct case_submission *s, struct actor *out) {
  const struct case_counter *k = s->counter;
  *out = s->actor;
  if (!k) return true;
  if (s->actor.acting_as[0] || k->consent != CONSENT_CODE || !k->national_id || !k->mobile) return false;
  *out = (struct actor){.kind = ACTOR_CITIZEN, .assurance = ASSURANCE_SIM_MATCHED};
  snprintf(out->national_id, sizeof out->national_id, "%s", k->national_id);
  identity_person_key(i, k->national_id, out->person);
  return true;
}

int case_mandate_check(struct cases *c, struct case_submission *s, struct case_row *row, struct arena *a, struct err *err) {
  const struct service *def = s->service;
  struct actor giver;
  const struct actor *who = &giver;
  const char *named = json_str(s->data, def->mandate.attorney ? def->mandate.attorney : def->mandate.principal ? def->mandate.principal : "");
  char key[72];
  if (!giver_of(c->o.identity, s, &giver) || (s->counter && identity_pair_assurance(c->o.identity, s->counter->national_id, s->counter->mobile) < ASSURANCE_SIM_MATCHED)) {
    s->detail = "case.mandate_by_code";
    return err_set(err, ERR_FORBIDDEN, "at a counter a mandate is given by a code to the person's own telephone");
  }
  if (who->kind != ACTOR_CITIZEN) return err_set(err, who->kind == ACTOR_NOBODY ? ERR_UNAUTHENTICATED : ERR_FORBIDDEN, "a mandate is given by somebody who has signed in");
  if (who->assurance < ASSURANCE_SIM_MATCHED) {
    s->detail = "case.mandate_assurance";
    return err_set(err, ERR_FORBIDDEN, "this telephone is not known to be this person's");
  }
  if (!named || strcmp(named, who->national_id) == 0 || strcmp(named, who->acting_as) == 0) {
    s->errors = json_pack("[{s:s,s:s,s:s}]", "field", def->mandate.attorney ? def->mandate.attorney : def->mandate.principal, "code", "constraint", "message",
                          word(s->lang, "case.mandate_self"));
    return err_set(err, ERR_INVALID, "nobody gives a mandate to themselves");
  }
  identity_person_key(c->o.identity, named, key);
  row->beneficiary = arena_strdup(a, key);
  return 0;
}

int case_mandate_put(struct cases *c, struct store_tx *tx, const struct case_submission *s, const struct case_row *row, struct arena *a, struct err *err) {
  const struct service *def = s->service;
  struct actor person;
  const struct actor *who = &person;
  giver_of(c->o.identity, s, &person); /* it has been judged */
  bool given = def->mandate.attorney != NULL; /* by the applicant to the one who is named; else taken up by the applicant */
  const char *named = json_str(s->data, given ? def->mandate.attorney : def->mandate.principal);
  const char *giver = who->acting_as[0] ? who->acting_as : who->national_id, *until = def->mandate.until ? json_str(s->data, def->mandate.until) : NULL;
  const char *name = def->mandate.name ? json_str(s->data, def->mandate.name) : NULL;
  if (!name) name = given ? who->acting_name : "";
  return store_put(tx, err,
    "INSERT INTO mandate (tracking,principal,attorney,principal_id,attorney_id,name,mobile,scope,until,service,proved,since,ended) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,0,0,0)",
    "tttttttt" "it", row->tracking, given ? row->applicant : row->beneficiary, given ? row->beneficiary : who->person, given ? giver : named, given ? named : who->national_id,
    name, given && !who->acting_as[0] ? row->mobile : "", scope_of(def, s->data, a), until ? (int64_t)date_parse(until) : INT64_C(0), row->service);
}

/* In force while its request stands approved: from the commit of that step on, and no longer. */
int case_mandate_turn(struct store_tx *tx, const struct case_row *row, int64_t at, struct err *err) {
  if (!row->def->mandate.present) return 0;
  if (row->result == RESULT_APPROVED) return store_put(tx, err, "UPDATE mandate SET since=?2,ended=0 WHERE tracking=?1 AND (since=0 OR ended>0)", "ti", row->tracking, at);
  return store_put(tx, err, "UPDATE mandate SET ended=?2 WHERE tracking=?1 AND since>0 AND ended=0", "ti", row->tracking, at);
}

int case_mandate_forget(struct store_tx *tx, const char *tracking, struct err *err) {
  return store_put(tx, err, "DELETE FROM mandate WHERE tracking=?1", "t", tracking);
}

/* ---- registers ---- */

static int recorded(struct cases *c, const char *registry, const char *key, const char *attribute, json_t **value, struct err *err) {
  *value = NULL;
  return c->o.known ? c->o.known(c->o.known_ctx, registry, key, attribute, value, err) : 0;
}

/* 1 where the register names the attorney (or need not), 0 where not, -1. */
static int proved(struct cases *c, const struct service *def, const char *principal, const char *attorney, struct err *err) {
  if (!def->mandate.registry) return 1;
  for (size_t i = 0; i < def->mandate.attribute_count; i++) {
    json_t *v;
    if (recorded(c, def->mandate.registry, principal, def->mandate.attributes[i], &v, err)) return -1;
    bool same = base_same(json_string_value(v), attorney);
    json_decref(v);
    if (same) return 1;
  }
  return 0;
}

/* 0 where a register says that the principal lives no more, or the company is dissolved. */
static int alive(struct cases *c, const struct service *def, const char *principal, struct err *err) {
  for (size_t i = 0; i < def->mandate.alive_count; i++) {
    json_t *v;
    if (recorded(c, def->mandate.alive[i].registry, principal, def->mandate.alive[i].attribute, &v, err)) return -1;
    bool gone = json_is_false(v);
    json_decref(v);
    if (gone) return 0;
  }
  return 1;
}

struct proof {
  struct cases *c;
  const char *tracking;
  char principal[32], attorney[32], service[64];
  bool waits;
};

static int proof_read(struct store_tx *tx, void *arg, struct err *err) {
  struct proof *k = arg;
  struct store_rows *r = store_select(tx, err, "SELECT principal_id,attorney_id,service FROM mandate WHERE tracking=?1 AND since=0", "t", k->tracking);
  if (!r) return -1;
  int rc = store_next(r, err);
  k->waits = rc == 1;
  if (rc == 1) {
    snprintf(k->principal, sizeof k->principal, "%s", store_text(r, 0));
    snprintf(k->attorney, sizeof k->attorney, "%s", store_text(r, 1));
    snprintf(k->service, sizeof k->service, "%s", store_text(r, 2));
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int proof_work(struct store_tx *tx, void *arg, struct err *err) {
  struct proof *k = arg;
  struct arena *a = arena_new(1024 * 1024);
  struct case_row row;
  int rc = case_load(k->c, tx, a, k->tracking, &row, err);
  const struct state *st = rc == 0 && row.state_index >= 0 && row.result == RESULT_OPEN ? &row.def->states[row.state_index] : NULL;
  for (size_t i = 0; rc == 0 && st && i < st->action_count; i++)
    if (st->actions[i].kind == ACT_APPROVE) {
      rc = store_put(tx, err, "UPDATE mandate SET proved=1 WHERE tracking=?1", "t", k->tracking);
      if (rc == 0) rc = case_system_act(k->c, tx, a, &row, &st->actions[i], NULL, err);
      break;
    }
  arena_free(a);
  return rc;
}

/* The effect "mandate": where the register proves it nobody need decide; else the office does. */
int case_mandate_prove(struct cases *c, const char *tracking, struct err *err) {
  struct proof k = {.c = c, .tracking = tracking};
  if (store_read(c->store, proof_read, &k, err)) return -1;
  const struct service *def = k.waits ? pack_find(c->pack, k.service) : NULL;
  if (!def || !def->mandate.registry) return 0;
  int good = proved(c, def, k.principal, k.attorney, err);
  if (good == 1) good = alive(c, def, k.principal, err);
  return good <= 0 ? good : store_write(c->store, STORE_JOBS, proof_work, &k, err);
}

/* ---- acting ---- */

#define MOST_MANDATES 32

struct given {
  char tracking[TRACKING_SIZE], principal[72], id[32], name[128], mobile[16], scope[80], service[64];
  bool proved;
};

struct acting {
  const char *attorney, *principal, *tracking;
  struct given found[MOST_MANDATES];
  int count;
};

static int acting_work(struct store_tx *tx, void *arg, struct err *err) {
  struct acting *k = arg;
  struct store_rows *r = store_select(tx, err,
    "SELECT tracking,principal,principal_id,name,mobile,scope,service,proved FROM mandate WHERE attorney=?1 AND ended=0 AND since>0 AND (until=0 OR until>=?2) AND "
    "principal=CASE WHEN ?3='' THEN (SELECT m.principal FROM mandate m WHERE m.tracking=?4) ELSE ?3 END ORDER BY since,tracking LIMIT ?5", "titti",
    k->attorney, (int64_t)cases_today(), k->principal, k->tracking, (int64_t)MOST_MANDATES);
  if (!r) return -1;
  int rc;
  k->count = 0;
  while ((rc = store_next(r, err)) == 1) {
    struct given *g = &k->found[k->count++];
    snprintf(g->tracking, sizeof g->tracking, "%s", store_text(r, 0));
    snprintf(g->principal, sizeof g->principal, "%s", store_text(r, 1));
    snprintf(g->id, sizeof g->id, "%s", store_text(r, 2));
    snprintf(g->name, sizeof g->name, "%s", store_text(r, 3));
    snprintf(g->mobile, sizeof g->mobile, "%s", store_text(r, 4));
    snprintf(g->scope, sizeof g->scope, "%s", store_text(r, 5));
    snprintf(g->service, sizeof g->service, "%s", store_text(r, 6));
    g->proved = store_int(r, 7) != 0;
  }
  store_done(r);
  return rc;
}

/* 1 when it still holds by the registers that its service names. */
static int holds(struct cases *c, const struct given *g, const char *attorney_id, bool *by_register, struct err *err) {
  const struct service *def = pack_find_shown(c->pack, g->service);
  *by_register = def && def->mandate.registry != NULL;
  if (!def || !def->mandate.present) return 0; /* the province no longer knows such mandates */
  int good = alive(c, def, g->id, err);
  return good == 1 && g->proved ? proved(c, def, g->id, attorney_id, err) : good;
}

static void take(struct actor *who, const struct given *g, bool by_register) {
  size_t n = strlen(who->acting_scope);
  if (!who->acting_as[0]) {
    snprintf(who->acting_as, sizeof who->acting_as, "%s", g->id);
    snprintf(who->acting_person, sizeof who->acting_person, "%s", g->principal);
    snprintf(who->acting_mandate, sizeof who->acting_mandate, "%s", g->tracking);
  }
  if (!who->acting_name[0]) snprintf(who->acting_name, sizeof who->acting_name, "%s", g->name);
  if (!who->acting_mobile[0]) snprintf(who->acting_mobile, sizeof who->acting_mobile, "%s", g->mobile);
  if (n + 1 + strlen(g->scope) < sizeof who->acting_scope) snprintf(who->acting_scope + n, sizeof who->acting_scope - n, "%s%s", n ? " " : "", g->scope);
  who->acting_proved = who->acting_proved || (by_register && strlen(g->id) == 11);
}

int cases_act_for(struct cases *c, struct actor *who, const char *principal, const char *mandate, struct err *err) {
  char key[72] = "", id[32] = "";
  if (who->kind != ACTOR_CITIZEN || who->assurance < ASSURANCE_SIM_MATCHED) return err_set(err, ERR_FORBIDDEN, "only somebody whose telephone is known may act for another");
  if (principal) {
    if (identifier_parse(IDENT_NATIONAL_ID, principal, id) && identifier_parse(IDENT_LEGAL_ID, principal, id) && identifier_parse(IDENT_FIDA, principal, id))
      return err_set(err, ERR_FORBIDDEN, "no such principal");
    identity_person_key(c->o.identity, id, key);
  }
  struct acting k = {.attorney = who->person, .principal = key, .tracking = mandate ? mandate : ""};
  if (store_read(c->store, acting_work, &k, err)) return -1;
  for (int i = 0; i < k.count; i++) {
    bool by_register;
    int good = holds(c, &k.found[i], who->national_id, &by_register, err);
    if (good < 0) return -1;
    if (good) take(who, &k.found[i], by_register);
  }
  return who->acting_as[0] ? 0 : err_set(err, ERR_FORBIDDEN, "no mandate is in force");
}

/* ---- whose case it is ---- */

int case_concerns(struct store_tx *tx, const struct case_row *row, const char *username, struct err *err) {
  char person[72];
  int64_t held = 0;
  int known = identity_staff_person(tx, username, person, err);
  if (known <= 0) return known;
  if (strcmp(person, row->applicant) == 0 || strcmp(person, row->beneficiary) == 0 || strcmp(person, row->submitter) == 0) return 1;
  if (store_value(tx, &held, 0, err, "SELECT COUNT(*) FROM mandate WHERE attorney=?1 AND since>0 AND ended=0 AND principal<>'' AND principal IN (?2,?3)", "ttt", person, row->applicant,
                  row->beneficiary))
    return -1;
  return held > 0;
}

/* ---- the lists ---- */

struct list {
  struct cases *c;
  const char *person;
  enum lang lang;
  bool received;
  json_t *items;
};

static json_t *scope_json(const struct cases *c, const char *scope, enum lang l) {
  const char *colon = strchr(scope, ':'), *code = colon ? colon + 1 : NULL, *title = word(l, "case.scope_all");
  char kind[24];
  snprintf(kind, sizeof kind, "%.*s", (int)(colon ? colon - scope : (long)strlen(scope)), scope);
  struct text event;
  if (strcmp(kind, "service") == 0) {
    const struct service *s = pack_find_shown(c->pack, code);
    title = s ? text_in(&s->title, l) : code;
  } else if (strcmp(kind, "organisation") == 0) title = case_organisation_name(c, NULL, code, l);
  for (size_t i = 0; strcmp(kind, "event") == 0 && i < pack_life_events(c->pack); i++)
    if (strcmp(pack_life_event(c->pack, i, &event), code) == 0) title = text_in(&event, l);
  return json_pack("{s:s,s:s?,s:s}", "kind", kind, "code", code, "title", title);
}

static json_t *party_json(const char *id, const char *name) {
  json_t *o = json_object();
  json_put(o, strlen(id) == 11 ? "legal_id" : "national_id", id);
  json_put(o, "name", name[0] ? name : NULL);
  return o;
}

static void put_time(json_t *o, const char *key, int64_t at) {
  char text[32];
  if (at) clock_rfc3339_ms(at, text);
  json_put(o, key, at ? text : NULL);
}

static json_t *mandate_json(struct list *k, const struct store_rows *r) {
  json_t *o = json_object();
  int64_t until = store_int(r, 5), since = store_int(r, 7), ended = store_int(r, 8);
  const struct service *def = pack_find_shown(k->c->pack, store_text(r, 6));
  char day[16] = "";
  bool past = until && until < cases_today();
  if (until) date_iso((int32_t)until, day);
  json_put(o, "tracking", store_text(r, 0));
  json_put(o, "service", store_text(r, 6));
  json_put(o, "service_title", def ? text_in(&def->title, k->lang) : store_text(r, 6));
  json_object_set_new(o, "principal", party_json(store_text(r, 1), store_text(r, 3)));
  json_object_set_new(o, "attorney", party_json(store_text(r, 2), ""));
  json_object_set_new(o, "scope", scope_json(k->c, store_text(r, 4), k->lang));
  json_put(o, "until", day[0] ? day : NULL);
  put_time(o, "since", since);
  put_time(o, "ended", ended);
  json_put(o, "status", ended || (since && past) ? "ended" : since ? "in_force" : store_int(r, 9) == RESULT_OPEN ? "offered" : "refused");
  return o;
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct list *k = arg;
  json_array_clear(k->items);
#define MANDATES "SELECT mandate.tracking,principal_id,attorney_id,name,scope,until,mandate.service,since,ended,cases.result FROM mandate JOIN cases ON cases.tracking=mandate.tracking "
  struct store_rows *r = k->received ? store_select(tx, err, MANDATES "WHERE mandate.attorney=?1 ORDER BY mandate.ended,mandate.since DESC,mandate.tracking LIMIT 100", "t", k->person)
                                     : store_select(tx, err, MANDATES "WHERE mandate.principal=?1 ORDER BY mandate.since DESC,mandate.tracking LIMIT 100", "t", k->person);
#undef MANDATES
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) json_array_append_new(k->items, mandate_json(k, r));
  store_done(r);
  return rc;
}

int cases_mandates(struct cases *c, const struct actor *who, enum lang l, json_t **out, struct err *err) {
  if (who->kind != ACTOR_CITIZEN) return err_set(err, who->kind == ACTOR_NOBODY ? ERR_UNAUTHENTICATED : ERR_FORBIDDEN, "for citizens");
  if (who->acting_as[0] && !who->acting_proved) return err_set(err, ERR_FORBIDDEN, "the principal's mandates are the principal's");
  struct list given = {.c = c, .person = who->acting_as[0] ? who->acting_person : who->person, .lang = l, .items = json_array()};
  struct list received = {.c = c, .person = who->person, .lang = l, .received = true, .items = json_array()};
  int rc = who->assurance < ASSURANCE_SIM_MATCHED ? 0 : store_read(c->store, list_work, &given, err);
  if (rc == 0 && who->assurance >= ASSURANCE_SIM_MATCHED && !who->acting_as[0]) rc = store_read(c->store, list_work, &received, err);
  if (rc == 0) {
    *out = json_object();
    json_object_set(*out, "given", given.items);
    json_object_set(*out, "received", received.items);
  }
  json_decref(given.items);
  json_decref(received.items);
  return rc;
}
