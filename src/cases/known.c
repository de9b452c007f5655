/* What other organisations know: asked before the form, compared at the submission, and recorded for the person to see. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

/* ---- a line in «who looked at my data» outside any case ---- */

struct use {
  const json_t *persons;
  const char *who, *organisation, *basis, *tracking;
};

static int use_work(struct store_tx *tx, void *arg, struct err *err) {
  struct use *k = arg;
  int64_t now = clock_now();
  size_t i;
  const json_t *v;
  json_array_foreach(k->persons, i, v) {
    unsigned char raw[16];
    char id[33];
    random_bytes(raw, sizeof raw);
    hex_encode(raw, sizeof raw, id);
    if (store_put(tx, err, "INSERT INTO case_access (person,at,id,tracking,who,organisation,basis,batch) VALUES (?1,?2,?3,?4,?5,?6,?7,'')", "titttt" "t",
                  json_string_value(v), now, id, k->tracking ? k->tracking : "", k->who, k->organisation, k->basis) ||
        store_put(tx, err, "INSERT INTO case_access_new (id,person,at) VALUES (?1,?2,?3)", "tti", id, json_string_value(v), now))
      return -1;
  }
  return 0;
}

static int record_use(struct cases *c, struct use *k, struct err *err) {
  return json_array_size(k->persons) ? store_write(c->store, STORE_FRONT, use_work, k, err) : 0;
}

int cases_use(struct cases *c, const struct actor *who, const json_t *persons, const char *organisation, const char *registry, struct err *err) {
  const char *own = who->role_count ? who->roles[0].organisation : "";
  char basis[96];
  snprintf(basis, sizeof basis, "registry %s", registry);
  struct use k = {.persons = persons, .who = who->username, .organisation = actor_in(who, organisation) ? organisation : own, .basis = basis};
  return record_use(c, &k, err);
}

/* "exchange PROVIDER/SERVICE GRANT the asker's own name of the matter" */
int cases_shared(struct cases *c, const struct case_shared *s, struct err *err) {
  char tracking[32] = "";
  if (!s->issue || identifier_parse(IDENT_TRACKING, s->issue, tracking)) tracking[0] = 0;
  char *who = base_printf("x:%s", s->client);
  char *basis = base_printf("exchange %s/%s %s %s", s->provider, s->service, s->grant[0] ? s->grant : "-", s->issue ? s->issue : "");
  struct use k = {.persons = s->persons, .who = who, .organisation = s->asker, .basis = basis, .tracking = tracking};
  int rc = record_use(c, &k, err);
  free(basis);
  free(who);
  return rc;
}

/* ---- before the form ---- */

static bool about_another(const struct service *s, const struct actor *who, const json_t *answers) {
  const char *id = s->applicant_field ? json_str(answers, s->applicant_field) : NULL;
  return id && strcmp(id, actor_national_id(who)) != 0;
}

static const char *asking(const struct cases *c, const struct service *s) {
  const struct organisation *o = directory_organisation(pack_directory(c->pack), s->organisation >= 0 ? s->organisation : s->secretary);
  return o ? o->code : "";
}

static json_t *source_json(const struct cases *c, const char *field, const json_t *known, enum lang l) {
  const struct directory *d = pack_directory(c->pack);
  const char *code = json_str(known, "organisation");
  const struct organisation *o = directory_organisation(d, directory_find_organisation(d, code));
  json_t *one = json_object();
  json_put(one, "field", field);
  json_put(one, "organisation", code);
  json_put(one, "organisation_name", o ? organisation_name(o, l) : code);
  json_put(one, "registry", json_str(known, "registry"));
  json_object_set_new(one, "correctable", json_boolean(!json_flag(known, "refuse", false)));
  if (json_str(known, "key")) json_put(one, "key", json_str(known, "key"));
  return one;
}

int cases_prefill(struct cases *c, const struct actor *who, const struct service *s, const json_t *answers, enum lang l, json_t **out, struct err *err) {
  if (who->kind != ACTOR_CITIZEN) return err_set(err, who->kind == ACTOR_NOBODY ? ERR_UNAUTHENTICATED : ERR_FORBIDDEN, "for citizens");
  if (who->assurance < ASSURANCE_SIM_MATCHED) return err_set(err, ERR_FORBIDDEN, "this telephone is not known to be this person's");
  json_t *known = NULL, *data = json_object(), *sources = json_array(), *missing = json_array(), *one;
  const char *field;
  struct buf basis = {0}, registries = {0};
  int rc = 0;
  if (c->o.prefill && !about_another(s, who, answers)) rc = c->o.prefill(c->o.prefill_ctx, s, actor_national_id(who), answers, NULL, &known, err);
  json_object_foreach(known, field, one) {
    const char *registry = json_str(one, "registry");
    if (json_str(one, "why")) {
      json_t *o = source_json(c, field, one, l);
      json_put(o, "why", json_str(one, "why"));
      json_array_append_new(missing, o);
      continue;
    }
    json_object_set(data, field, json_object_get(one, "value"));
    json_array_append_new(sources, source_json(c, field, one, l));
    if (!strstr(buf_str(&registries), registry)) buf_addf(&registries, "%s%s", registries.len ? "," : "", registry);
  }
  if (rc == 0 && json_array_size(sources)) {
    char by[72] = "form";
    if (who->username[0]) snprintf(by, sizeof by, "%s", who->username); /* an agent, with the person's consent */
    if (who->acting_as[0]) snprintf(by, sizeof by, "m:%s", who->acting_mandate);
    json_t *persons = json_pack("[s]", strcmp(actor_national_id(who), who->national_id) != 0 ? who->acting_person : who->person);
    buf_addf(&basis, "prefill %s %s", s->code, buf_str(&registries));
    struct use k = {.persons = persons, .who = by, .organisation = who->role_count ? who->roles[0].organisation : asking(c, s), .basis = buf_str(&basis)};
    rc = record_use(c, &k, err);
    json_decref(persons);
  }
  json_decref(known);
  buf_free(&basis);
  buf_free(&registries);
  if (rc == 0) {
    *out = json_object();
    json_object_set(*out, "data", data);
    json_object_set(*out, "sources", sources);
    json_object_set(*out, "missing", missing);
  }
  json_decref(missing);
  json_decref(data);
  json_decref(sources);
  return rc;
}

/* ---- at the submission ---- */

static bool asks_any(const struct service *s) {
  for (size_t i = 0; i < s->field_count; i++)
    if (s->fields[i]->prefill) return true;
  return false;
}

static void refuse(struct cases *c, const struct case_submission *s, const struct field *f, const json_t *known, json_t **errors) {
  const struct directory *d = pack_directory(c->pack);
  const struct organisation *o = directory_organisation(d, directory_find_organisation(d, json_str(known, "organisation")));
  struct arena *a = arena_new(64 * 1024);
  const char *value = field_show(c->pack, f, json_object_get(known, "value"), s->lang, a);
  const char *text = word_fill(a, s->lang, "case.differs", "who", o ? organisation_name(o, s->lang) : json_str(known, "organisation"), "value", value ? value : "", NULL);
  json_t *e = json_object();
  json_put(e, "field", f->name);
  json_put(e, "code", "differs");
  json_put(e, "message", text ? text : "");
  if (!*errors) *errors = json_array();
  json_array_append_new(*errors, e);
  arena_free(a);
}

bool cases_asks_others(const struct cases *c, const struct service *s, const struct actor *who) {
  return c->o.prefill && who->kind == ACTOR_CITIZEN && who->assurance >= ASSURANCE_SIM_MATCHED && asks_any(s);
}

void case_sources(struct cases *c, const struct case_submission *s, const struct actor *as, const char *tracking, json_t **sources, json_t **errors) {
  json_t *known = NULL, *one;
  const char *field;
  struct err err;
  *sources = *errors = NULL;
  if (!c->o.prefill || s->parent || as->kind != ACTOR_CITIZEN || as->assurance < ASSURANCE_SIM_MATCHED || !asks_any(s->service) ||
      about_another(s->service, as, s->data))
    return;
  if (c->o.prefill(c->o.prefill_ctx, s->service, actor_national_id(as), s->data, tracking, &known, &err)) {
    log_write(LOG_WARN, "cases", "what is known could not be asked: %s", err.message);
    return;
  }
  json_object_foreach(known, field, one) {
    const struct field *f = service_field(s->service, field);
    const json_t *given = json_object_get(s->data, field), *value = json_object_get(one, "value");
    if (!f || !given || !value) continue; /* what could not be asked is not compared */
    bool same = json_equal(given, value);
    if (!same && json_flag(one, "refuse", false)) refuse(c, s, f, one, errors);
    json_t *o = json_object();
    json_put(o, "organisation", json_str(one, "organisation"));
    json_put(o, "registry", json_str(one, "registry"));
    json_object_set_new(o, "same", json_boolean(same));
    if (!same) json_object_set(o, "known", (json_t *)(uintptr_t)value);
    if (!*sources) *sources = json_object();
    json_object_set_new(*sources, field, o);
  }
  json_decref(known);
}
