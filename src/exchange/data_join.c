/* Data services at a gateway of ours: its members, subsystems and services, and the rights as they change in the store. */
#include "exchange/data.h"

#include <stdlib.h>
#include <string.h>

static char *openapi(void *ctx) {
  const struct served *k = ctx;
  json_t *v = exchange_data_openapi(k->d, k->s);
  size_t n = 0;
  char *text = json_text(v, &n);
  json_decref(v);
  return text;
}

static int answer(void *ctx, const struct exchange_asked *q, struct exchange_answer *out, struct err *err) {
  return exchange_data_answer(((const struct served *)ctx)->d, q, out, err);
}

static int put_service(struct exchange_data *d, struct served *k, struct err *err) {
  struct exchange_id id;
  char text[EXCHANGE_ID + 1];
  exchange_data_id(d, k->s->provider, EXCHANGE_REGISTRIES, k->s->service, &id);
  exchange_id_text(&id, text);
  struct exchange_service s = {.id = text, .kind = "OPENAPI", .local = answer, .openapi = openapi, .ctx = k, .title_fa = k->s->title.fa, .title_en = k->s->title.en};
  return exchange_service_put(d->x, &s, err) || exchange_endpoint_put(d->x, text, "GET", "/records", err) || exchange_endpoint_put(d->x, text, "GET", "/records/*", err) ? -1 : 0;
}

/* A member of the province and one of its subsystems, in the directory and behind this gateway. there: what the gateway knew at the start. */
static int put_subsystem(struct exchange_data *d, int organisation, const char *subsystem, const char *fa, const char *en, struct err *err) {
  struct exchange_id id;
  char whole[EXCHANGE_ID + 1];
  if (!exchange_data_id(d, organisation, subsystem, NULL, &id)) return 0;
  exchange_id_text(&id, whole);
  if (json_object_get(d->there, whole)) return 0;
  json_object_set_new(d->there, whole, json_true());
  const struct organisation *o = directory_organisation(pack_directory(d->o.pack), organisation);
  char member[EXCHANGE_ID + 1];
  exchange_data_id(d, organisation, NULL, NULL, &id);
  exchange_id_text(&id, member);
  const struct exchange_member list[] = {{member, o->name_fa, o->name_en[0] ? o->name_en : o->code}, {whole, fa, en}};
  size_t changed;
  return exchange_members_put(d->x, list, BASE_COUNT(list), &changed, err) ||
         exchange_subsystem_put(d->x, whole, "plain", NULL, err) ? -1 : 0;
}

int exchange_data_forms(struct exchange_data *d, const struct pack *p, struct err *err) {
  struct data_source from;
  int rc = 0;
  for (size_t i = 0; d->x && rc == 0 && i < pack_services(p); i++) {
    const struct service *s = pack_service(p, i);
    bool asks = false;
    for (size_t k = 0; k < s->field_count; k++) asks = asks || (pack_data_source(p, s->fields[k], &from) && from.data->key);
    int asker = s->organisation >= 0 ? s->organisation : s->secretary;
    if (asks) rc = put_subsystem(d, asker, s->code, s->title.fa, s->title.en, err);
  }
  return rc ? -1 : d->x ? exchange_publish(d->x, err) : 0;
}

int exchange_data_join(struct exchange_data *d, struct exchange *x, struct err *err) {
  int rc = 0;
  d->x = x;
  for (size_t i = 0; rc == 0 && i < d->count; i++) {
    int provider = d->served[i].s->provider;
    rc = put_subsystem(d, provider, EXCHANGE_REGISTRIES, word(LANG_FA, "exchange.registries"), word(LANG_EN, "exchange.registries"), err);
    if (rc == 0) rc = put_subsystem(d, provider, RIGHT_SUBSYSTEM, word(LANG_FA, "exchange.systems"), word(LANG_EN, "exchange.systems"), err);
    if (rc == 0) rc = put_service(d, &d->served[i], err);
  }
  return rc ? rc : exchange_data_forms(d, d->o.pack, err);
}

/* ---- rights ---- */

static int find_organisation(const struct exchange_data *d, const char *code) { return code ? directory_find_organisation(pack_directory(d->o.pack), code) : -1; }

/* At most n bytes, ending with a whole character. */
static void cut(const char *text, char *out, size_t room) {
  size_t n = strlen(text);
  if (n >= room) for (n = room - 1; n && ((unsigned char)text[n] & 0xC0) == 0x80; n--) continue;
  memcpy(out, text, n);
  out[n] = 0;
}

static int64_t time_of(const json_t *o, const char *name) {
  int64_t at = 0;
  return json_str(o, name) && clock_parse(json_str(o, name), &at) == 0 ? at : 0;
}

/* known: {grant: is it revoked} of what the gateway has. */
static int tell_right(struct exchange_data *d, const json_t *o, const json_t *known, struct err *err) {
  struct exchange_id subject, service;
  char who[EXCHANGE_ID + 1], what[EXCHANGE_ID + 1], id[40], purpose[290];
  const struct data_service *s = pack_find_data_service(d->o.pack, json_str(o, "provider"), json_str(o, "service"));
  const char *grant = json_str(o, "grant"), *subsystem = json_str(o, "subsystem"), *by = json_str(o, "ended_by"), *why = json_str(o, "why");
  const json_t *has = json_object_get(known, grant);
  int asker = find_organisation(d, json_str(o, "asker"));
  bool of_case = base_same(json_str(o, "source"), "case");
  /* The provider that has a gateway of its own gives rights there. */
  if (!s || !s->registry || !exchange_data_id(d, asker, subsystem, NULL, &subject) || !exchange_data_id(d, s->provider, EXCHANGE_REGISTRIES, s->service, &service)) return 0;
  if (!base_same(json_str(o, "state"), "valid")) return has && json_is_false(has) ? exchange_revoke(d->x, grant, by ? by : "", why && why[0] ? why : "-", err) : 0;
  if (has) return 0;
  if (of_case && (put_subsystem(d, asker, subsystem, word(LANG_FA, "exchange.systems"), word(LANG_EN, "exchange.systems"), err) || exchange_publish(d->x, err))) return -1;
  exchange_id_text(&subject, who);
  exchange_id_text(&service, what);
  cut(json_str(o, "purpose"), purpose, sizeof purpose);
  struct exchange_grant g = {.id = grant, .subject = who, .service = what, .method = "*", .path = "**", .purpose = purpose, .tracking = of_case ? json_str(o, "subject") : NULL,
                             .from = time_of(o, "from"), .until = time_of(o, "until")};
  return exchange_grant(d->x, &g, of_case ? json_str(o, "subject") : "pack", id, err) && err->code != ERR_CONFLICT ? -1 : 0;
}

static int known_grants(struct exchange_data *d, json_t **out, struct err *err) {
  json_t *list = NULL, *one;
  size_t i;
  if (exchange_grants(d->x, NULL, true, &list, err)) return -1;
  *out = json_object();
  json_array_foreach(list, i, one) json_object_set_new(*out, json_str(one, "id"), json_boolean(json_str(one, "revoked_at") != NULL));
  json_decref(list);
  return 0;
}

/* What changed within the last seconds is read again: a transaction may end after a later one. */
#define RIGHTS_EVERY_MS 1000
#define RIGHTS_OVERLAP_MS 10000

int exchange_data_rights(struct exchange_data *d, struct err *err) {
  json_t *list = NULL, *known = NULL, *one;
  size_t i;
  int rc = 0;
  if (!d->x || (d->round && clock_mono() - d->round < RIGHTS_EVERY_MS)) return 0;
  int64_t now = clock_now();
  struct right_query q = {.since = d->seen};
  d->round = clock_mono();
  if (registries_rights(d->o.registries, &q, LANG_FA, &list, err)) return -1;
  if (json_array_size(list)) rc = known_grants(d, &known, err);
  json_array_foreach(list, i, one)
    if (rc == 0) rc = tell_right(d, one, known, err);
  json_decref(known);
  json_decref(list);
  if (rc == 0) d->seen = now - RIGHTS_OVERLAP_MS;
  return rc;
}

/* ---- a demonstration ---- */

/* Data of persons need a case, which no example has. */
static bool right_personal(const struct data_service *s, const json_t *right) {
  json_t *names = json_array(), *a;
  size_t i;
  json_array_foreach(json_object_get(right, "attributes"), i, a) json_array_append(names, json_object_get(a, "name"));
  bool personal = data_service_personal(s, names);
  json_decref(names);
  return personal;
}

int exchange_data_examples(struct exchange_data *d, json_t **out, struct err *err) {
  json_t *list = NULL, *one;
  struct right_query q = {.valid = true};
  size_t i;
  if (registries_rights(d->o.registries, &q, LANG_EN, &list, err)) return -1;
  *out = json_array();
  json_array_foreach(list, i, one) {
    const struct data_service *s = pack_find_data_service(d->o.pack, json_str(one, "provider"), json_str(one, "service"));
    struct exchange_id client, service;
    char who[EXCHANGE_ID + 1], what[EXCHANGE_ID + 1], *key = NULL;
    if (!s || !s->registry || right_personal(s, one) || !exchange_data_id(d, find_organisation(d, json_str(one, "asker")), json_str(one, "subsystem"), NULL, &client) ||
        !exchange_data_id(d, s->provider, EXCHANGE_REGISTRIES, s->service, &service) || registries_some_key(d->o.registries, s->registry, &key, err) || !key)
      continue;
    exchange_id_text(&client, who);
    exchange_id_text(&service, what);
    json_array_append_new(*out, json_pack("{s:s,s:s,s:s,s:o}", "client", who, "service", what, "method", "GET", "path", json_sprintf("/records?key=%s", key)));
    free(key);
  }
  json_decref(list);
  return 0;
}
