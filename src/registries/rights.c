/* Rights to data services: given by the pack and by approved requests, taken back by their provider, read again before they end. */
#include "registries/inside.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define RIGHT_COLUMNS                                                                                                             \
  "id,generation,asker,subsystem,provider,service,attributes,purpose_fa,purpose_en,basis,source,subject,at,until,revoked_at,revoked_by,why,reviewed_at," \
  "reviewed_by,changed"
enum { C_ID, C_GENERATION, C_ASKER, C_SUBSYSTEM, C_PROVIDER, C_SERVICE, C_ATTRIBUTES, C_PURPOSE_FA, C_PURPOSE_EN, C_BASIS, C_SOURCE, C_SUBJECT, C_AT, C_UNTIL,
       C_REVOKED_AT, C_REVOKED_BY, C_WHY, C_REVIEWED_AT, C_REVIEWED_BY, C_CHANGED };

static void right_id(const char *text, char out[RIGHT_ID]) {
  unsigned char hash[32];
  char hex[65];
  sha256(text, strlen(text), hash);
  hex_encode(hash, 12, hex);
  snprintf(out, RIGHT_ID, "g-%.24s", hex);
}

/* ---- of the pack ---- */

struct wanted {
  char id[RIGHT_ID];
  const struct service *s;
  const struct data_service *d;
  const char *asker;
  json_t *attributes;
};

struct planned {
  const struct pack *pack;
  struct wanted *list;
  size_t count;
};

static bool holds(const json_t *list, const char *name) {
  for (size_t i = 0; i < json_array_size(list); i++)
    if (base_same(json_string_value(json_array_get(list, i)), name)) return true;
  return false;
}

static void want_field(struct planned *p, const struct service *s, const struct data_source *from) {
  struct wanted *w = NULL;
  for (size_t i = p->count; i-- > 0 && p->list[i].s == s;)
    if (p->list[i].d == from->data) w = &p->list[i];
  if (!w) {
    const struct directory *d = pack_directory(p->pack);
    const struct organisation *o = directory_organisation(d, s->organisation >= 0 ? s->organisation : s->secretary);
    if (!o) return;
    char *text = base_printf("pack\n%s\n%s\n%s", s->code, from->organisation, from->service);
    p->list = base_realloc(p->list, (p->count + 1) * sizeof *p->list);
    w = &p->list[p->count++];
    *w = (struct wanted){.s = s, .d = from->data, .asker = o->code, .attributes = json_array()};
    right_id(text, w->id);
    free(text);
  }
  if (!holds(w->attributes, from->attribute)) json_array_append_new(w->attributes, json_string(from->attribute));
}

static int pack_right(struct store_tx *tx, const struct pack *p, const struct wanted *w, json_t *given, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT attributes,purpose_fa,purpose_en,asker,revoked_by FROM data_right WHERE id=?1", "t", w->id);
  if (!r) return -1;
  char *attributes = json_canonical(w->attributes);
  int have = store_next(r, err), rc = have < 0 ? -1 : 0;
  bool same = have == 1 && strcmp(store_text(r, 0), attributes) == 0 && strcmp(store_text(r, 1), w->s->title.fa) == 0 && strcmp(store_text(r, 2), w->s->title.en) == 0 &&
              strcmp(store_text(r, 3), w->asker) == 0, ours = have == 1 && strcmp(store_text(r, 4), "pack") == 0;
  store_done(r);
  int64_t now = store_time(tx);
  if (have == 0) {
    rc = store_put(tx, err, "INSERT INTO data_right (" RIGHT_COLUMNS ") VALUES (?1,1,?2,?3,?4,?5,?6,?7,?8,'','pack',?9,?10,0,0,'','',0,'',?10) ON CONFLICT DO NOTHING", "tttttttt" "ti",
                   w->id, w->asker, w->s->code, data_service_provider(p, w->d), w->d->service, attributes, w->s->title.fa, w->s->title.en, w->s->code, now);
  } else if (have == 1 && (!same || ours)) {
    rc = store_put(tx, err, "UPDATE data_right SET attributes=?2,purpose_fa=?3,purpose_en=?4,asker=?5,changed=?6 WHERE id=?1", "ttttti", w->id, attributes,
                   w->s->title.fa, w->s->title.en, w->asker, now);
    if (rc == 0 && ours) /* the pack left it out for a while */
      rc = store_put(tx, err, "UPDATE data_right SET generation=generation+1,revoked_at=0,revoked_by='',why='' WHERE id=?1 AND revoked_by='pack'", "t", w->id);
  }
  if (rc == 0 && (have == 0 || !same || ours)) json_array_append_new(given, json_string(w->id));
  free(attributes);
  return rc;
}

static int pack_ended(struct store_tx *tx, const struct planned *p, json_t *ended, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT id FROM data_right WHERE source='pack' AND revoked_at=0 ORDER BY id LIMIT 5000", "");
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    bool wanted = false;
    for (size_t i = 0; i < p->count; i++) wanted = wanted || strcmp(p->list[i].id, store_text(r, 0)) == 0;
    if (!wanted) json_array_append_new(ended, json_string(store_text(r, 0)));
  }
  store_done(r);
  for (size_t i = 0; rc == 0 && i < json_array_size(ended); i++)
    rc = store_put(tx, err, "UPDATE data_right SET revoked_at=?2,revoked_by='pack',why='',changed=?2 WHERE id=?1", "ti", json_string_value(json_array_get(ended, i)), store_time(tx));
  return rc;
}

static int pack_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct planned *p = arg;
  json_t *given = json_array(), *ended = json_array();
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < p->count; i++) rc = pack_right(tx, p->pack, &p->list[i], given, err);
  if (rc == 0) rc = pack_ended(tx, p, ended, err);
  if (rc == 0 && (json_array_size(given) || json_array_size(ended))) {
    json_t *detail = json_pack("{s:O,s:O,s:s}", "given", given, "ended", ended, "pack", pack_hash(p->pack));
    struct act a = {.kind = "data_rights_pack", .who = "system", .organisation = "", .subject = "", .detail = detail};
    rc = identity_act_put(tx, &a, err);
    json_decref(detail);
  }
  json_decref(given);
  json_decref(ended);
  return rc;
}

int registries_rights_pack(struct registries *g, const struct pack *pack, struct err *err) {
  struct planned p = {.pack = pack ? pack : g->pack};
  for (size_t i = 0; i < pack_services(p.pack); i++) {
    const struct service *s = pack_service(p.pack, i);
    for (size_t k = 0; k < s->field_count; k++) {
      struct data_source from;
      if (pack_data_source(p.pack, s->fields[k], &from) && from.data->key) want_field(&p, s, &from);
    }
  }
  int rc = store_write(g->store, STORE_JOBS, pack_work, &p, err);
  for (size_t i = 0; i < p.count; i++) json_decref(p.list[i].attributes);
  free(p.list);
  return rc;
}

/* ---- of a request ---- */

int registries_right_put(struct registries *g, struct store_tx *tx, const struct data_right *k, struct err *err) {
  const struct data_service *d = pack_find_data_service(g->pack, NULL, k->service);
  const struct directory *all = pack_directory(g->pack);
  char id[RIGHT_ID];
  if (!d || directory_find_organisation(all, k->asker) < 0) {
    log_write(LOG_ERROR, "registries", "request %s gives '%s' a right to '%s', which the pack does not have", k->tracking, k->asker, k->service);
    return 0;
  }
  json_t *attributes = json_array(), *v;
  size_t i;
  json_array_foreach(k->attributes, i, v)
    for (size_t n = 0; n < d->count; n++)
      if (base_same(json_string_value(v), d->attributes[n]) && !holds(attributes, d->attributes[n])) json_array_append(attributes, v);
  if (json_array_size(attributes) == 0) {
    log_write(LOG_ERROR, "registries", "request %s names nothing that %s publishes", k->tracking, k->service);
    json_decref(attributes);
    return 0;
  }
  right_id(k->event, id);
  int64_t now = store_time(tx);
  int months = k->months >= 1 && k->months <= 120 ? k->months : 12;
  struct date day = day_to_gregorian(day_of(now));
  day.month += months;
  day.year += (day.month - 1) / 12;
  day.month = (day.month - 1) % 12 + 1;
  if (day.day > 28) day.day = 28;
  int64_t until = day_start(day_from_gregorian(day));
  char *text = json_canonical(attributes);
  int n = store_exec(tx, err, "INSERT INTO data_right (" RIGHT_COLUMNS ") VALUES (?1,1,?2,?3,?4,?5,?6,?7,?7,?8,'case',?9,?10,?11,0,'','',0,'',?10) ON CONFLICT DO NOTHING",
                     "ttttttt" "ttii", id, k->asker, RIGHT_SUBSYSTEM, data_service_provider(g->pack, d), d->service, text, k->purpose, k->basis ? k->basis : "", k->tracking,
                     now, until);
  int rc = n < 0 ? -1 : 0;
  if (n == 1) {
    char ends[32];
    clock_rfc3339(until, ends);
    json_t *detail = json_pack("{s:s,s:s,s:O,s:s,s:s}", "asker", k->asker, "service", d->service, "attributes", attributes, "tracking", k->tracking, "until", ends);
    struct act a = {.kind = "data_right_given", .who = "system", .organisation = data_service_provider(g->pack, d), .subject = id, .detail = detail};
    rc = identity_act_put(tx, &a, err);
    json_decref(detail);
  }
  json_decref(attributes);
  free(text);
  return rc;
}

/* ---- reading ---- */

enum right_may registries_right_may(const struct actor *who, const char *provider, const char *asker) {
  if (who->kind != ACTOR_STAFF) return RIGHT_HIDDEN;
  if (actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, provider, STAFF_MANAGER)) return RIGHT_ACT;
  return actor_has_role(who, NULL, STAFF_AUDITOR) || actor_in(who, provider) || actor_in(who, asker) ? RIGHT_READ : RIGHT_HIDDEN;
}

static const char *name_of(const struct registries *g, const char *code, enum lang l) {
  const struct organisation *o = directory_organisation(pack_directory(g->pack), directory_find_organisation(pack_directory(g->pack), code));
  return o ? organisation_name(o, l) : code;
}

static void put_time(json_t *o, const char *name, int64_t at) {
  char text[32] = "";
  if (at) clock_rfc3339(at, text);
  json_put(o, name, at ? text : NULL);
}

/* Titles as the registry calls them; an attribute of somebody else's registry has its name alone. */
static json_t *attributes_json(const struct data_service *d, const char *text, enum lang l) {
  json_t *names = json_loads(text, 0, NULL), *list = json_array(), *v;
  size_t i;
  json_array_foreach(names, i, v) {
    const struct registry_attribute *a = d && d->registry ? registry_attribute(d->registry, json_string_value(v)) : NULL;
    json_array_append_new(list, json_pack("{s:O,s:s}", "name", v, "title", a ? text_in(&a->title, l) : json_string_value(v)));
  }
  json_decref(names);
  return list;
}

static json_t *right_json(const struct registries *g, const struct store_rows *r, int64_t now, enum lang l) {
  const char *provider = store_text(r, C_PROVIDER), *service = store_text(r, C_SERVICE);
  const struct data_service *d = pack_find_data_service(g->pack, provider, service);
  int64_t until = store_int(r, C_UNTIL), revoked = store_int(r, C_REVOKED_AT), begun = store_int(r, C_REVIEWED_AT) ? store_int(r, C_REVIEWED_AT) : store_int(r, C_AT);
  const char *state = revoked ? "revoked" : until && until <= now ? "expired" : "valid";
  bool valid = strcmp(state, "valid") == 0;
  char grant[RIGHT_ID];
  json_t *o = json_object();
  snprintf(grant, sizeof grant, "%.27s-%lld", store_text(r, C_ID), (long long)store_int(r, C_GENERATION));
  json_put(o, "id", store_text(r, C_ID));
  json_put(o, "grant", grant);
  json_put(o, "asker", store_text(r, C_ASKER));
  json_put(o, "asker_name", name_of(g, store_text(r, C_ASKER), l));
  json_put(o, "subsystem", store_text(r, C_SUBSYSTEM));
  json_put(o, "provider", provider);
  json_put(o, "provider_name", name_of(g, provider, l));
  json_put(o, "service", service);
  json_put(o, "title", d ? text_in(&d->title, l) : service);
  json_object_set_new(o, "attributes", attributes_json(d, store_text(r, C_ATTRIBUTES), l));
  json_put(o, "purpose", store_text(r, l == LANG_EN ? C_PURPOSE_EN : C_PURPOSE_FA));
  json_put(o, "basis", store_text(r, C_BASIS)[0] ? store_text(r, C_BASIS) : NULL);
  json_put(o, "source", store_text(r, C_SOURCE));
  json_put(o, "subject", store_text(r, C_SUBJECT));
  put_time(o, "from", store_int(r, C_AT));
  put_time(o, "until", until);
  json_put(o, "state", state);
  put_time(o, "ended_at", revoked ? revoked : valid ? 0 : until);
  json_put(o, "ended_by", revoked ? store_text(r, C_REVOKED_BY) : NULL);
  json_put(o, "why", revoked ? store_text(r, C_WHY) : NULL);
  put_time(o, "reviewed_at", store_int(r, C_REVIEWED_AT));
  json_put(o, "reviewed_by", store_int(r, C_REVIEWED_AT) ? store_text(r, C_REVIEWED_BY) : NULL);
  json_put(o, "review", !valid ? NULL : until && until - now < RIGHT_NOTICE_DAYS * DAY_MS ? "ends" : now - begun > RIGHT_REVIEW_DAYS * DAY_MS ? "yearly" : NULL);
  return o;
}

struct reading {
  struct registries *g;
  const struct right_query *q;
  enum lang lang;
  json_t *out;
};

#define RIGHTS "SELECT " RIGHT_COLUMNS " FROM data_right WHERE "

static int rights_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  const struct right_query *q = k->q;
  int64_t now = store_time(tx);
  json_array_clear(k->out);
  struct store_rows *r = q->id       ? store_select(tx, err, RIGHTS "id=?1", "t", q->id)
                       : q->provider ? store_select(tx, err, RIGHTS "provider=?1 AND (?2='' OR asker=?2) AND changed>=?3 ORDER BY at DESC,id LIMIT 2000", "tti", q->provider,
                                                    q->asker ? q->asker : "", q->since)
                       : q->asker    ? store_select(tx, err, RIGHTS "asker=?1 AND changed>=?2 ORDER BY at DESC,id LIMIT 2000", "ti", q->asker, q->since)
                                     : store_select(tx, err, RIGHTS "changed>=?1 ORDER BY at DESC,id LIMIT 5000", "i", q->since);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    json_t *o = right_json(k->g, r, now, k->lang);
    if ((!q->valid || base_same(json_str(o, "state"), "valid")) && (!q->review || json_str(o, "review"))) json_array_append(k->out, o);
    json_decref(o);
  }
  store_done(r);
  return rc;
}

int registries_rights(struct registries *g, const struct right_query *q, enum lang l, json_t **out, struct err *err) {
  struct reading k = {.g = g, .q = q, .lang = l, .out = json_array()};
  if (store_read(g->store, rights_work, &k, err)) {
    json_decref(k.out);
    return -1;
  }
  *out = k.out;
  return 0;
}

/* ---- what a right gives ---- */

struct scope {
  const char *id;
  int64_t generation;
  struct right_scope *out;
};

static void add_names(json_t *list, const char *text) {
  json_t *names = json_loads(text, 0, NULL), *v;
  size_t i;
  json_array_foreach(names, i, v)
    if (!holds(list, json_string_value(v))) json_array_append(list, v);
  json_decref(names);
}

static int scope_work(struct store_tx *tx, void *arg, struct err *err) {
  struct scope *k = arg;
  char asker[64] = "", subsystem[64] = "", provider[64] = "", service[64] = "";
  json_decref(k->out->attributes);
  *k->out = (struct right_scope){0};
  struct store_rows *r = store_select(tx, err, RIGHTS "id=?1 AND generation=?2", "ti", k->id, k->generation);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(asker, sizeof asker, "%s", store_text(r, C_ASKER));
    snprintf(subsystem, sizeof subsystem, "%s", store_text(r, C_SUBSYSTEM));
    snprintf(provider, sizeof provider, "%s", store_text(r, C_PROVIDER));
    snprintf(service, sizeof service, "%s", store_text(r, C_SERVICE));
    snprintf(k->out->asker, sizeof k->out->asker, "%s", asker);
  }
  store_done(r);
  if (rc <= 0) return rc;
  k->out->attributes = json_array();
  r = store_select(tx, err, "SELECT attributes FROM data_right WHERE provider=?1 AND asker=?2 AND subsystem=?3 AND service=?4 AND revoked_at=0 AND (until=0 OR until>?5) ORDER BY id LIMIT 200",
                   "tttti", provider, asker, subsystem, service, store_time(tx));
  rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) add_names(k->out->attributes, store_text(r, 0));
  store_done(r);
  return rc;
}

int registries_right_scope(struct registries *g, const char *grant, struct right_scope *out, struct err *err) {
  char id[RIGHT_ID];
  const char *dash = strrchr(grant, '-');
  struct scope k = {.id = id, .out = out};
  *out = (struct right_scope){0};
  if (!dash || dash - grant < 3 || (size_t)(dash - grant) >= sizeof id || parse_i64(dash + 1, &k.generation)) return 0;
  snprintf(id, sizeof id, "%.*s", (int)(dash - grant), grant);
  return store_read(g->store, scope_work, &k, err);
}

/* ---- taking back, giving again, reading again ---- */

struct changing {
  const struct actor *who;
  const char *id, *why;
  enum right_change what;
};

static int change_work(struct store_tx *tx, void *arg, struct err *err) {
  static const char *const kinds[] = {[RIGHT_REVOKE] = "data_right_revoked", [RIGHT_RESTORE] = "data_right_restored", [RIGHT_REVIEWED] = "data_right_reviewed"};
  const struct changing *k = arg;
  char provider[64], asker[64], service[64];
  struct store_rows *r = store_select(tx, err, "SELECT provider,asker,service,revoked_at,until FROM data_right WHERE id=?1", "t", k->id);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc <= 0) {
    store_done(r);
    return rc < 0 ? -1 : err_set(err, ERR_NOT_FOUND, "no such right");
  }
  snprintf(provider, sizeof provider, "%s", store_text(r, 0));
  snprintf(asker, sizeof asker, "%s", store_text(r, 1));
  snprintf(service, sizeof service, "%s", store_text(r, 2));
  int64_t revoked = store_int(r, 3), until = store_int(r, 4), now = store_time(tx);
  store_done(r);
  enum right_may may = registries_right_may(k->who, provider, asker);
  if (may == RIGHT_HIDDEN) return err_set(err, ERR_NOT_FOUND, "no such right");
  if (may != RIGHT_ACT) return err_set(err, ERR_FORBIDDEN, "for managers of the provider");
  if ((until && until <= now) || (k->what == RIGHT_RESTORE ? !revoked : revoked != 0)) return err_set(err, ERR_CONFLICT, "the right has moved on");
  if (k->what == RIGHT_REVOKE)
    rc = store_put(tx, err, "UPDATE data_right SET revoked_at=?2,revoked_by=?3,why=?4,changed=?2 WHERE id=?1", "titt", k->id, now, k->who->username, k->why);
  else if (k->what == RIGHT_RESTORE)
    rc = store_put(tx, err, "UPDATE data_right SET revoked_at=0,revoked_by='',why='',generation=generation+1,changed=?2 WHERE id=?1", "ti", k->id, now);
  else rc = store_put(tx, err, "UPDATE data_right SET reviewed_at=?2,reviewed_by=?3 WHERE id=?1", "tit", k->id, now, k->who->username);
  if (rc) return -1;
  json_t *detail = json_pack("{s:s,s:s,s:s}", "asker", asker, "service", service, "why", k->why);
  struct act a = {.kind = kinds[k->what], .who = k->who->username, .organisation = provider, .subject = k->id, .detail = detail};
  rc = identity_act_put(tx, &a, err);
  json_decref(detail);
  return rc;
}

int registries_right_change(struct registries *g, const struct actor *who, const char *id, enum right_change what, const char *why, struct err *err) {
  size_t n = why ? utf8_length(why) : 0;
  if (!why || strpbrk(why, "\n\r") || n > 500 || (what != RIGHT_REVIEWED && n < 3)) return err_set(err, ERR_INVALID, "say why, in 3 to 500 characters");
  struct changing k = {who, id, why, what};
  return store_write(g->store, STORE_FRONT, change_work, &k, err);
}
