/* Opening, judging, changing. */
#include "registries/inside.h"

#include <stdlib.h>
#include <string.h>

int registries_open(struct store *s, struct trust *t, struct pack *p, const struct registries_options *o, struct registries **out, struct err *err) {
  struct registries *g = registries_reader(s);
  g->trust = t;
  g->pack = pack_ref(p);
  g->identity = o->identity;
  memcpy(g->secret, o->secret, sizeof g->secret);
  *out = g;
  return 0;
}

struct registries *registries_reader(struct store *s) {
  struct registries *g = base_alloc(sizeof *g);
  g->store = s;
  return g;
}

void registries_close(struct registries *g) {
  if (!g) return;
  pack_unref(g->pack);
  explicit_bzero(g->secret, sizeof g->secret);
  free(g);
}

const char *record_source_text(enum record_source s) {
  static const char *const names[] = {"outcome", "import", "synthetic"};
  return (size_t)s < BASE_COUNT(names) ? names[s] : "import";
}

/* ---- judging: the same repair as answers ---- */

static void add_error(json_t *errors, const char *field, const char *code, const char *message) {
  json_t *e = json_object();
  json_put(e, "field", field);
  json_put(e, "code", code);
  json_put(e, "message", message);
  json_array_append_new(errors, e);
}

static bool needed(const struct registry *r, const char *name) {
  for (size_t i = 0; i < r->unique_count; i++)
    if (strcmp(r->unique[i], name) == 0) return true;
  return base_same(r->key, name);
}

int registries_check(const struct pack *p, const struct registry *r, const json_t *in, enum lang l, struct arena *a, json_t **out, json_t **errors) {
  json_t *good = json_object(), *wrong = json_array(), *v;
  const char *name;
  *out = *errors = NULL;
  for (size_t i = 0; i < r->count; i++) {
    const struct registry_attribute *k = &r->attributes[i];
    struct field field = *k->field;
    const char *code = "", *message = "";
    json_t *value = NULL;
    field.required = needed(r, k->name);
    if (field_check(p, &field, json_object_get(in, k->name), good, day_of(clock_now()), l, a, &value, &code, &message)) add_error(wrong, k->name, code, message);
    else if (value) json_object_set_new(good, k->name, value);
  }
  json_object_foreach((json_t *)(uintptr_t)in, name, v)
    if (!registry_attribute(r, name)) add_error(wrong, name, "unknown", word(l, "answer.unknown"));
  if (json_array_size(wrong) == 0) {
    json_decref(wrong);
    *out = good;
    return 0;
  }
  json_decref(good);
  *errors = wrong;
  return -1;
}

/* ---- one change ---- */

void record_key(const json_t *attributes, const char *name, char out[1024]) {
  const json_t *v = name ? json_object_get(attributes, name) : NULL;
  if (json_is_string(v)) snprintf(out, 1024, "%s", json_string_value(v));
  else if (json_is_integer(v)) snprintf(out, 1024, "%lld", (long long)json_integer_value(v));
  else out[0] = 0;
}

void record_read(const struct store_rows *r, struct record *out) {
  snprintf(out->ref, sizeof out->ref, "%s", store_text(r, 0));
  snprintf(out->registry, sizeof out->registry, "%s", store_text(r, 1));
  out->version = store_int(r, 2);
  out->valid = store_int(r, 3) != 0;
  out->synthetic = store_int(r, 4) != 0;
  out->at = store_int(r, 5);
  out->attributes = store_null(r, 6) ? NULL : json_loads(store_text(r, 6), 0, NULL);
}

/* What makes the record one; registries without a key count each event as a record of its own. */
static char *identity_of(const struct record_change *k, struct err *err) {
  const struct registry *r = k->registry;
  json_t *o = json_object();
  for (size_t i = 0; i < r->unique_count; i++) {
    json_t *v = json_object_get(k->attributes, r->unique[i]);
    if (!v) {
      json_decref(o);
      err_set(err, ERR_INVALID, "%s of registry %s is missing", r->unique[i], r->code);
      return NULL;
    }
    json_object_set(o, r->unique[i], v);
  }
  if (!r->unique_count) json_put(o, "event", k->event ? k->event : "");
  char *text = json_canonical(o);
  json_decref(o);
  return text;
}

static void ref_of(const struct registries *g, const struct registry *r, const char *identity, char out[RECORD_REF]) {
  unsigned char mac[32];
  char *both = base_printf("record\n%s\n%s", r->code, identity);
  hmac_sha256(g->secret, sizeof g->secret, both, strlen(both), mac);
  hex_encode(mac, 16, out);
  free(both);
}

/* Who is no longer in it, for those who ask which exports had them. */
static int past_persons(struct store_tx *tx, const char *ref, const json_t *persons, int64_t at, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT person FROM registry_person WHERE ref=?1", "t", ref);
  json_t *gone = json_array(), *one;
  size_t i;
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1)
    if (!json_object_get(persons, store_text(r, 0))) json_array_append_new(gone, json_string(store_text(r, 0)));
  store_done(r);
  json_array_foreach(gone, i, one) {
    const char *person = json_string_value(one);
    if (rc == 0)
      rc = store_put(tx, err, "INSERT INTO registry_person_past (person,registry,ref,since,until) SELECT person,registry,ref,since,?3 FROM registry_person WHERE ref=?1 AND person=?2 "
                     "ON CONFLICT DO NOTHING", "tti", ref, person, at);
    if (rc == 0) rc = store_put(tx, err, "DELETE FROM registry_person WHERE ref=?1 AND person=?2", "tt", ref, person);
  }
  json_decref(gone);
  return rc;
}

static int put_persons(struct registries *g, struct store_tx *tx, const struct registry *r, const char *ref, const json_t *attributes, bool known, int64_t at, struct err *err) {
  json_t *persons = json_object(), *v;
  const char *person;
  for (size_t i = 0; i < r->count; i++) {
    const char *id = r->attributes[i].type == FIELD_NATIONAL_ID ? json_str(attributes, r->attributes[i].name) : NULL;
    char key[72];
    if (!id) continue;
    identity_person_key(g->identity, id, key);
    json_object_set_new(persons, key, json_true());
  }
  int rc = known ? past_persons(tx, ref, persons, at, err) : 0;
  json_object_foreach(persons, person, v)
    if (rc == 0) rc = store_put(tx, err, "INSERT INTO registry_person (person,registry,ref,since) VALUES (?1,?2,?3,?4) ON CONFLICT DO NOTHING", "ttti", person, r->code, ref, at);
  json_decref(persons);
  return rc;
}

static int put_change(struct store_tx *tx, const struct record_change *k, const char *what, const json_t *attributes, bool synthetic, int64_t at, struct err *err) {
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  char when[32];
  clock_rfc3339_ms(at, when);
  char *header = base_printf("{\"at\":\"%s\",\"change\":\"%s\",\"kind\":\"record\",\"record\":\"%s\",\"registry\":\"%s\",\"version\":%lld}", when, what, k->ref,
                             k->registry->code, (long long)k->version);
  json_t *p = json_object();
  json_object_set(p, "attributes", (json_t *)(uintptr_t)attributes);
  json_put(p, "source", record_source_text(k->source));
  json_object_set_new(p, "synthetic", json_boolean(synthetic));
  json_put(p, "tracking", k->tracking);
  json_object_set_new(p, "valid", json_boolean(!k->revoke));
  char *payload = json_canonical(p);
  json_decref(p);
  random_bytes(salt, sizeof salt);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  int rc = store_put(tx, err,
    "INSERT INTO registry_change (ref,version,at,change,source,tracking,event,header,salt,payload,leaf_hash) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
    "tiitttttbtb", k->ref, k->version, at, what, record_source_text(k->source), k->tracking ? k->tracking : "", k->event ? k->event : "", header,
    (const void *)salt, (size_t)TRUST_SALT, payload, (const void *)leaf, (size_t)TRUST_HASH);
  if (rc == 0) rc = trust_append(tx, leaf, header, digest, err);
  free(header);
  free(payload);
  return rc;
}

static int load(struct store_tx *tx, const char *ref, struct record *old, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT " RECORD_COLUMNS " FROM registry_record WHERE ref=?1", "t", ref);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) record_read(r, old);
  store_done(r);
  return rc;
}

static int put_record(struct store_tx *tx, const struct record_change *k, const char *identity, const char *attributes, bool synthetic, const struct record *old,
                      int64_t at, struct err *err) {
  char key[1024];
  record_key(k->attributes, k->registry->key, key);
  int n = old->version
    ? store_exec(tx, err, "UPDATE registry_record SET key=?1,identity=?2,version=?3,valid=?4,synthetic=?5,at=?6,attributes=?7 WHERE ref=?8 AND version=?9", "ttiiiitti",
                 key, identity, k->version, (int64_t)!k->revoke, (int64_t)synthetic, at, attributes, k->ref, old->version)
    : store_exec(tx, err, "INSERT INTO registry_record (ref,registry,key,identity,version,valid,synthetic,at,attributes) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9) ON CONFLICT DO NOTHING",
                 "ttttiiiit", k->ref, k->registry->code, key, identity, k->version, (int64_t)!k->revoke, (int64_t)synthetic, at, attributes);
  if (n < 0) return -1;
  return n ? 0 : err_set(err, ERR_CONFLICT, "the record has moved on");
}

/* The event's row decides about repetition: 1 new, 0 applied before. */
static int first_time(struct store_tx *tx, const struct record_change *k, struct err *err) {
  if (!k->event) return 1;
  return store_exec(tx, err, "INSERT INTO registry_event (event,ref) VALUES (?1,?2) ON CONFLICT DO NOTHING", "tt", k->event, k->ref);
}

int registries_put(struct registries *g, struct store_tx *tx, struct record_change *k, struct err *err) {
  struct record old = {0};
  json_t *now = NULL;
  char *text = NULL, *identity = identity_of(k, err);
  int rc = -1, have;
  if (!identity) return -1;
  ref_of(g, k->registry, identity, k->ref);
  k->done = RECORD_SAME;
  if ((have = load(tx, k->ref, &old, err)) < 0) goto out;
  k->version = old.version;
  int first = first_time(tx, k, err);
  if (first <= 0) {
    rc = first;
    goto out;
  }
  if (k->revoke && !old.version) {
    rc = 0; /* what was never there cannot be taken back */
    goto out;
  }
  now = old.attributes ? json_deep_copy(old.attributes) : json_object();
  json_object_update(now, k->attributes);
  if (have && old.attributes && old.valid == !k->revoke && json_equal(now, old.attributes)) {
    rc = 0;
    goto out;
  }
  const char *what = !have ? "create" : k->revoke && old.valid ? "revoke" : !k->revoke && !old.valid ? "restore" : "update";
  bool synthetic = k->source == RECORD_SYNTHETIC || (old.version && old.synthetic && k->source != RECORD_IMPORT);
  int64_t at = clock_now();
  text = json_canonical(now);
  if (strlen(text) > RECORD_MOST) {
    err_set(err, ERR_TOO_LARGE, "a record has at most %d bytes", RECORD_MOST);
    goto out;
  }
  k->version = old.version + 1;
  if (put_record(tx, k, identity, text, synthetic, &old, at, err) || put_persons(g, tx, k->registry, k->ref, now, have == 1, at, err) ||
      put_change(tx, k, what, now, synthetic, at, err))
    goto out;
  k->done = !have ? RECORD_MADE : k->revoke ? RECORD_REVOKED : RECORD_CHANGED;
  rc = 0;
out:
  json_decref(old.attributes);
  json_decref(now);
  free(text);
  free(identity);
  return rc;
}

struct many {
  struct registries *g;
  struct record_change *list;
  size_t count;
};

static int many_work(struct store_tx *tx, void *arg, struct err *err) {
  struct many *m = arg;
  for (size_t i = 0; i < m->count; i++)
    if (registries_put(m->g, tx, &m->list[i], err)) return -1;
  return 0;
}

int registries_put_many(struct registries *g, struct record_change *list, size_t count, struct err *err) {
  struct many m = {g, list, count};
  return count ? store_write(g->store, STORE_JOBS, many_work, &m, err) : 0;
}

/* ---- outcomes of services ---- */

int registries_outcome(struct registries *g, struct store_tx *tx, const char *registry, const char *event, const json_t *attributes,
                       const char *tracking, struct err *err) {
  const struct registry *r = pack_find_registry(g->pack, registry);
  if (!r) {
    log_write(LOG_ERROR, "registries", "case %s makes a record of '%s', which the pack does not have", tracking, registry);
    return 0;
  }
  struct arena *a = arena_new(1024 * 1024);
  json_t *good = NULL, *errors = NULL, *e, *kept = json_copy((json_t *)(uintptr_t)attributes);
  size_t i;
  int rc = 0;
  if (registries_check(g->pack, r, kept, LANG_EN, a, &good, &errors)) { /* what the registry cannot hold stays with the case */
    json_array_foreach(errors, i, e) {
      log_write(LOG_WARN, "registries", "case %s: %s of registry %s: %s", tracking, json_str(e, "field"), r->code, json_str(e, "code"));
      json_object_del(kept, json_str(e, "field"));
    }
    json_decref(errors);
    errors = NULL;
    if (registries_check(g->pack, r, kept, LANG_EN, a, &good, &errors))
      log_write(LOG_ERROR, "registries", "case %s makes no record of %s: what makes it one is missing", tracking, r->code);
  }
  if (good) {
    struct record_change k = {.registry = r, .attributes = good, .source = RECORD_OUTCOME, .tracking = tracking, .event = event};
    rc = registries_put(g, tx, &k, err);
  }
  json_decref(kept);
  json_decref(good);
  json_decref(errors);
  arena_free(a);
  return rc;
}

/* ---- erasing ---- */

struct erasing {
  const char *ref, *who, *why;
};

static int erase_change(struct store_tx *tx, const struct erasing *k, const char *registry, int64_t version, struct err *err) {
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  int64_t now = store_time(tx);
  char at[32];
  clock_rfc3339_ms(now, at);
  char *header = base_printf("{\"at\":\"%s\",\"change\":\"erase\",\"kind\":\"record\",\"record\":\"%s\",\"registry\":\"%s\",\"version\":%lld}", at, k->ref, registry,
                             (long long)version);
  json_t *p = json_object();
  json_put(p, "reason", k->why);
  json_put(p, "who", k->who);
  char *payload = json_canonical(p);
  json_decref(p);
  random_bytes(salt, sizeof salt);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  int rc = store_put(tx, err,
    "INSERT INTO registry_change (ref,version,at,change,source,tracking,event,header,salt,payload,leaf_hash) VALUES (?1,?2,?3,'erase','erasure','','',?4,?5,?6,?7)",
    "tiitbtb", k->ref, version, now, header, (const void *)salt, (size_t)TRUST_SALT, payload, (const void *)leaf, (size_t)TRUST_HASH);
  if (rc == 0) rc = trust_append(tx, leaf, header, digest, err);
  free(header);
  free(payload);
  return rc;
}

static int erase_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct erasing *k = arg;
  char registry[80] = "";
  int64_t version = 0;
  bool there = false;
  struct store_rows *r = store_select(tx, err, "SELECT registry,version,attributes FROM registry_record WHERE ref=?1", "t", k->ref);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(registry, sizeof registry, "%s", store_text(r, 0));
    version = store_int(r, 1);
    there = !store_null(r, 2);
  }
  store_done(r);
  if (rc < 0) return -1;
  if (rc == 0) return err_set(err, ERR_NOT_FOUND, "no such record");
  if (!there) return err_set(err, ERR_CONFLICT, "this record has been erased");
  int n = store_exec(tx, err, "UPDATE registry_record SET attributes=NULL,key='',identity='',valid=0,version=?3,at=?4 WHERE ref=?1 AND version=?2", "tiii", k->ref,
                     version, version + 1, store_time(tx));
  if (n < 0) return -1;
  if (n == 0) return err_set(err, ERR_CONFLICT, "the record has moved on");
  if (store_put(tx, err, "UPDATE registry_change SET salt=NULL,payload=NULL WHERE ref=?1 AND change<>'erase'", "t", k->ref) ||
      store_put(tx, err, "DELETE FROM registry_person WHERE ref=?1", "t", k->ref) || store_put(tx, err, "DELETE FROM registry_person_past WHERE ref=?1", "t", k->ref))
    return -1;
  return erase_change(tx, k, registry, version + 1, err);
}

int registries_erase(struct registries *g, const char *ref, const char *who, const char *why, struct err *err) {
  if (!why || !why[0] || strlen(why) > 1000) return err_set(err, ERR_INVALID, "say why a record is erased, in 1 to 1000 bytes");
  struct erasing k = {ref, who, why};
  return store_write(g->store, STORE_FRONT, erase_work, &k, err);
}

struct refs {
  const char *registry, *key;
  json_t *out;
};

static int refs_work(struct store_tx *tx, void *arg, struct err *err) {
  struct refs *k = arg;
  json_array_clear(k->out);
  struct store_rows *r = store_select(tx, err, "SELECT ref FROM registry_record WHERE registry=?1 AND key=?2 ORDER BY ref LIMIT 50", "tt", k->registry, k->key);
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) json_array_append_new(k->out, json_string(store_text(r, 0)));
  store_done(r);
  return rc;
}

int registries_refs(struct registries *g, const struct registry *r, const char *key, json_t **out, struct err *err) {
  const struct registry_attribute *a = r->key ? registry_attribute(r, r->key) : NULL;
  const char *code = NULL, *message = NULL;
  if (!a) return err_set(err, ERR_NOT_FOUND, "registry %s has no key", r->code);
  struct arena *arena = arena_new(64 * 1024);
  json_t *in = json_string(key), *value = NULL, *one = json_object();
  char text[1024] = "";
  int rc = field_check(g->pack, a->field, in, one, day_of(clock_now()), LANG_EN, arena, &value, &code, &message);
  if (rc == 0) {
    json_object_set(one, r->key, value);
    record_key(one, r->key, text);
  } else err_set(err, ERR_INVALID, "%s: %s", r->key, message ? message : "not a key");
  struct refs k = {r->code, text, json_array()};
  if (rc == 0) rc = store_read(g->store, refs_work, &k, err);
  if (rc) json_decref(k.out);
  else *out = k.out;
  json_decref(in);
  json_decref(value);
  json_decref(one);
  arena_free(arena);
  return rc ? -1 : 0;
}
