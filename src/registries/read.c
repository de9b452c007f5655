/* Reading: who may, records with their history, what concerns a person. */
#include "registries/inside.h"

#include <stdlib.h>
#include <string.h>

static const struct organisation *owner_of(const struct registries *g, const struct registry *r) {
  return directory_organisation(pack_directory(g->pack), r->organisation);
}

enum record_right registries_right(const struct registries *g, const struct actor *who, const struct registry *r) {
  const struct organisation *o = owner_of(g, r);
  if (who->kind != ACTOR_STAFF || !o) return RECORD_NOTHING;
  if (actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, NULL, STAFF_AUDITOR)) return RECORD_ALL;
  static const int full[] = {STAFF_OFFICER, STAFF_SUPERVISOR, STAFF_MANAGER};
  for (size_t i = 0; i < BASE_COUNT(full); i++)
    if (actor_has_role(who, o->code, full[i])) return RECORD_ALL;
  return actor_has_role(who, o->code, STAFF_HELPDESK) ? RECORD_MASKED : RECORD_NOTHING;
}

/* ---- the list of registries ---- */

struct count {
  const char *registry;
  int64_t out;
};

static int count_work(struct store_tx *tx, void *arg, struct err *err) {
  struct count *k = arg;
  if (!k->registry) return store_value(tx, &k->out, 0, err, "SELECT COUNT(*) FROM registry_record", "");
  return store_value(tx, &k->out, 0, err, "SELECT COUNT(*) FROM registry_record WHERE registry=?1", "t", k->registry);
}

int registries_count(struct registries *g, const char *registry, int64_t *out, struct err *err) {
  struct count k = {.registry = registry};
  if (store_read(g->store, count_work, &k, err)) return -1;
  *out = k.out;
  return 0;
}

static void put_registry(const struct registries *g, const struct registry *r, enum lang l, json_t *o) {
  const struct organisation *owner = owner_of(g, r);
  json_put(o, "title", text_in(&r->title, l));
  json_put(o, "organisation", owner ? owner->code : "");
  json_put(o, "organisation_name", owner ? organisation_name(owner, l) : "");
}

static json_t *attributes_json(const struct registry *r, enum lang l) {
  json_t *list = json_array();
  for (size_t i = 0; i < r->count; i++) {
    json_t *o = json_object();
    json_put(o, "name", r->attributes[i].name);
    json_put(o, "type", field_type_text(r->attributes[i].type));
    json_put(o, "title", text_in(&r->attributes[i].title, l));
    json_object_set_new(o, "personal", json_boolean(r->attributes[i].personal));
    json_array_append_new(list, o);
  }
  return list;
}

int registries_list(struct registries *g, const struct actor *who, enum lang l, json_t **out, struct err *err) {
  json_t *list = json_array();
  for (size_t i = 0; i < pack_registries(g->pack); i++) {
    const struct registry *r = pack_registry(g->pack, i);
    enum record_right right = registries_right(g, who, r);
    int64_t n = 0;
    if (right == RECORD_NOTHING) continue;
    if (registries_count(g, r->code, &n, err)) {
      json_decref(list);
      return -1;
    }
    json_t *o = json_object();
    json_put(o, "code", r->code);
    put_registry(g, r, l, o);
    json_put(o, "key", r->key);
    json_object_set_new(o, "attributes", attributes_json(r, l));
    json_object_set_new(o, "records", json_integer(n));
    json_put(o, "right", right == RECORD_ALL ? "all" : "masked");
    json_array_append_new(list, o);
  }
  *out = list;
  return 0;
}

/* ---- one record ---- */

static bool identifier_of(enum field_type t, enum identifier *kind) {
  static const struct { enum field_type type; enum identifier kind; } same[] = {{FIELD_NATIONAL_ID, IDENT_NATIONAL_ID}, {FIELD_MOBILE, IDENT_MOBILE}, {FIELD_FIDA, IDENT_FIDA},
                                                                                {FIELD_SHEBA, IDENT_SHEBA}};
  for (size_t i = 0; i < BASE_COUNT(same); i++)
    if (same[i].type == t) {
      *kind = same[i].kind;
      return true;
    }
  return false;
}

/* The helpdesk sees that something is known, not what. */
static void mask(const struct registry *r, json_t *attributes) {
  for (size_t i = 0; i < r->count; i++) {
    const json_t *v = json_object_get(attributes, r->attributes[i].name);
    enum identifier kind;
    char text[32] = "•••";
    bool identifier = identifier_of(r->attributes[i].type, &kind);
    if (!v || !(identifier || r->attributes[i].personal)) continue;
    if (identifier && json_is_string(v)) identifier_mask(kind, json_string_value(v), text);
    json_put(attributes, r->attributes[i].name, text);
  }
}

static json_t *shown_json(const struct registries *g, const struct registry *r, const json_t *attributes, bool masked, enum lang l) {
  json_t *list = json_array();
  struct arena *a = arena_new(256 * 1024);
  for (size_t i = 0; i < r->count; i++) {
    const struct registry_attribute *k = &r->attributes[i];
    const json_t *v = json_object_get(attributes, k->name);
    enum identifier kind;
    if (!v) continue;
    bool hidden = masked && (k->personal || identifier_of(k->type, &kind));
    json_t *o = json_object();
    json_put(o, "name", k->name);
    json_put(o, "title", text_in(&k->title, l));
    const char *text = hidden ? json_string_value(v) : field_show(g->pack, k->field, v, l, a);
    json_put(o, "text", text ? text : "");
    json_object_set_new(o, "personal", json_boolean(k->personal));
    json_array_append_new(list, o);
  }
  arena_free(a);
  return list;
}

/* Names of what differs between two versions. */
static json_t *changed_json(const json_t *before, const json_t *after) {
  json_t *list = json_array(), *v;
  const char *name;
  json_object_foreach((json_t *)(uintptr_t)after, name, v)
    if (!json_equal(v, json_object_get(before, name))) json_array_append_new(list, json_string(name));
  return list;
}

static int history(struct registries *g, struct store_tx *tx, const char *ref, json_t **out, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT version,at,change,source,tracking,payload,leaf_hash FROM registry_change WHERE ref=?1 ORDER BY version LIMIT 500", "t", ref);
  json_t *list = json_array(), *before = NULL;
  int rc = -1;
  if (!r) goto out;
  while ((rc = store_next(r, err)) == 1) {
    json_t *o = json_object(), *p = store_null(r, 5) ? NULL : json_loads(store_text(r, 5), 0, NULL);
    char at[32], hex[2 * TRUST_HASH + 1] = "";
    size_t n = 0;
    const void *leaf = store_blob(r, 6, &n);
    clock_rfc3339_ms(store_int(r, 1), at);
    json_object_set_new(o, "version", json_integer(store_int(r, 0)));
    json_put(o, "at", at);
    json_put(o, "change", store_text(r, 2));
    json_put(o, "source", store_text(r, 3));
    json_put(o, "tracking", store_text(r, 4)[0] ? store_text(r, 4) : NULL);
    if (leaf && n == TRUST_HASH) hex_encode(leaf, n, hex);
    json_put(o, "leaf_hash", hex);
    json_object_set_new(o, "changed", changed_json(before, json_object_get(p, "attributes")));
    json_array_insert_new(list, 0, o); /* newest first */
    json_decref(before);
    before = json_incref(json_object_get(p, "attributes"));
    json_decref(p);
  }
out:
  store_done(r);
  json_decref(before);
  if (rc < 0) json_decref(list);
  else *out = list;
  return rc < 0 ? -1 : 0;
}

struct find {
  struct registries *g;
  const char *registry, *key, *person, *ref; /* a key of a registry, everything about a person, or one record */
  json_t *items, *persons;
};

static int persons_of(struct store_tx *tx, const char *ref, json_t *persons, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT person FROM registry_person WHERE ref=?1 ORDER BY person", "t", ref);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    bool seen = false;
    for (size_t i = 0; i < json_array_size(persons); i++) seen = seen || strcmp(json_string_value(json_array_get(persons, i)), store_text(r, 0)) == 0;
    if (!seen) json_array_append_new(persons, json_string(store_text(r, 0)));
  }
  store_done(r);
  return rc;
}

static int find_work(struct store_tx *tx, void *arg, struct err *err) {
  struct find *k = arg;
  json_array_clear(k->items);
  json_array_clear(k->persons);
  struct store_rows *r = k->person
    ? store_select(tx, err, "SELECT r.ref,r.registry,r.version,r.valid,r.synthetic,r.at,r.attributes FROM registry_person p JOIN registry_record r ON r.ref=p.ref "
                            "WHERE p.person=?1 ORDER BY p.registry,r.at DESC,r.ref LIMIT 200", "t", k->person)
    : k->ref ? store_select(tx, err, "SELECT " RECORD_COLUMNS " FROM registry_record WHERE ref=?1 AND registry=?2", "tt", k->ref, k->registry)
    : store_select(tx, err, "SELECT " RECORD_COLUMNS " FROM registry_record WHERE registry=?1 AND key=?2 ORDER BY at DESC,ref LIMIT 50", "tt", k->registry, k->key);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    struct record one;
    char at[32];
    record_read(r, &one);
    clock_rfc3339_ms(one.at, at);
    json_t *o = json_object();
    json_put(o, "ref", one.ref);
    json_put(o, "registry", one.registry);
    json_object_set_new(o, "version", json_integer(one.version));
    json_object_set_new(o, "valid", json_boolean(one.valid));
    json_object_set_new(o, "synthetic", json_boolean(one.synthetic));
    json_put(o, "since", at);
    json_object_set_new(o, "attributes", one.attributes ? one.attributes : json_object());
    json_array_append_new(k->items, o);
  }
  store_done(r);
  size_t i;
  json_t *o;
  json_array_foreach(k->items, i, o) {
    json_t *list = NULL;
    if (rc < 0 || history(k->g, tx, json_str(o, "ref"), &list, err)) return -1;
    json_object_set_new(o, "history", list);
    if (!k->person && persons_of(tx, json_str(o, "ref"), k->persons, err) < 0) return -1;
  }
  return rc;
}

/* Places in the ledger, texts for the reader; what is not to be seen goes. */
static void dress(struct registries *g, const struct registry *r, json_t *o, bool masked, enum lang l) {
  json_t *attributes = json_object_get(o, "attributes"), *h;
  size_t i;
  if (masked) mask(r, attributes);
  json_object_set_new(o, "shown", shown_json(g, r, attributes, masked, l));
  json_array_foreach(json_object_get(o, "history"), i, h) {
    unsigned char leaf[TRUST_HASH];
    int64_t at, index = -1;
    if (g->trust && hex_decode(json_str(h, "leaf_hash"), leaf, TRUST_HASH) == 0 && clock_parse(json_str(h, "at"), &at) == 0) index = trust_index(g->trust, at, leaf);
    json_object_set_new(h, "leaf_index", index >= 0 ? json_integer(index) : json_null());
  }
}

static const char *typed_key(const struct registries *g, const struct registry *r, const char *typed, struct arena *a) {
  const struct registry_attribute *k = registry_attribute(r, r->key);
  json_t *in = typed && utf8_valid(typed, strlen(typed)) ? json_string(typed) : NULL, *value = NULL;
  const char *code, *message;
  char text[1024] = "";
  if (k && in && field_check(g->pack, k->field, in, NULL, day_of(clock_now()), LANG_EN, a, &value, &code, &message) == 0 && value) {
    json_t *o = json_object();
    json_object_set(o, k->name, value);
    record_key(o, k->name, text);
    json_decref(o);
  }
  json_decref(in);
  json_decref(value);
  return text[0] ? arena_strdup(a, text) : NULL;
}

int registries_find(struct registries *g, const struct actor *who, const char *code, const char *key, enum lang l, json_t **out,
                    json_t **persons, struct err *err) {
  const struct registry *r = pack_find_registry(g->pack, code);
  enum record_right right = r ? registries_right(g, who, r) : RECORD_NOTHING;
  struct arena *a = arena_new(256 * 1024);
  const char *canonical = right != RECORD_NOTHING ? typed_key(g, r, key, a) : NULL;
  struct find k = {.g = g, .registry = code, .key = canonical, .items = json_array(), .persons = json_array()};
  int rc = -1;
  size_t i;
  json_t *one;
  if (!canonical) err_set(err, ERR_NOT_FOUND, "no such record");
  else if (store_read(g->store, find_work, &k, err) == 0) {
    if (json_array_size(k.items)) rc = 0;
    else err_set(err, ERR_NOT_FOUND, "no such record");
  }
  if (rc == 0) {
    json_array_foreach(k.items, i, one) dress(g, r, one, right == RECORD_MASKED, l);
    *out = json_object();
    json_put(*out, "registry", r->code);
    put_registry(g, r, l, *out);
    json_put(*out, "key", canonical);
    json_put(*out, "right", right == RECORD_ALL ? "all" : "masked");
    json_object_set(*out, "items", k.items);
    *persons = json_incref(k.persons);
  }
  json_decref(k.items);
  json_decref(k.persons);
  arena_free(a);
  return rc;
}

int registries_mine(struct registries *g, const struct actor *who, enum lang l, json_t **out, struct err *err) {
  if (who->kind != ACTOR_CITIZEN) return err_set(err, who->kind == ACTOR_NOBODY ? ERR_UNAUTHENTICATED : ERR_FORBIDDEN, "for citizens");
  if (who->acting_as[0]) return err_set(err, ERR_FORBIDDEN, "a principal's records are shown to the principal");
  if (who->assurance < ASSURANCE_SIM_MATCHED) return err_set(err, ERR_FORBIDDEN, "this telephone is not known to be this person's");
  struct find k = {.g = g, .person = who->person, .items = json_array(), .persons = json_array()};
  int rc = store_read(g->store, find_work, &k, err);
  size_t i;
  json_t *one;
  json_decref(k.persons);
  if (rc < 0) {
    json_decref(k.items);
    return -1;
  }
  *out = json_array();
  json_array_foreach(k.items, i, one) {
    const struct registry *r = pack_find_registry(g->pack, json_str(one, "registry"));
    if (!r) continue;
    put_registry(g, r, l, one);
    /* One's own record may speak of others too: their identifiers are masked. */
    json_t *attributes = json_object_get(one, "attributes");
    for (size_t n = 0; n < r->count; n++) {
      const char *id = r->attributes[n].type == FIELD_NATIONAL_ID ? json_str(attributes, r->attributes[n].name) : NULL;
      char masked[32];
      if (!id || strcmp(id, who->national_id) == 0) continue;
      identifier_mask(IDENT_NATIONAL_ID, id, masked);
      json_put(attributes, r->attributes[n].name, masked);
    }
    dress(g, r, one, false, l);
    json_array_append(*out, one);
  }
  json_decref(k.items);
  return 0;
}

/* ---- for whoever asks a data service ---- */

bool data_service_personal(const struct data_service *d, const json_t *attributes) {
  if (d->key_type == FIELD_NATIONAL_ID) return true;
  for (size_t i = 0; d->registry && i < json_array_size(attributes); i++) {
    const struct registry_attribute *a = registry_attribute(d->registry, json_string_value(json_array_get(attributes, i)));
    if (a && a->personal) return true;
  }
  return false;
}

/* What the right gives, and of its history what speaks of that. */
static json_t *only(const struct published *p, const json_t *record) {
  json_t *o = json_pack("{s:O,s:O,s:O,s:O,s:O}", "ref", json_object_get(record, "ref"), "version", json_object_get(record, "version"), "valid", json_object_get(record, "valid"),
                        "synthetic", json_object_get(record, "synthetic"), "since", json_object_get(record, "since"));
  json_t *attributes = json_object(), *history = json_array(), *h, *v;
  size_t i, k, n;
  json_array_foreach(p->attributes, i, v) {
    json_t *value = json_object_get(json_object_get(record, "attributes"), json_string_value(v));
    if (value) json_object_set(attributes, json_string_value(v), value);
  }
  json_object_set_new(o, "attributes", attributes);
  json_array_foreach(json_object_get(record, "history"), i, h) {
    json_t *changed = json_array(), *name;
    json_array_foreach(json_object_get(h, "changed"), k, name)
      json_array_foreach(p->attributes, n, v)
        if (json_equal(name, v)) json_array_append(changed, v);
    json_array_append_new(history, json_pack("{s:O,s:O,s:O,s:o}", "version", json_object_get(h, "version"), "at", json_object_get(h, "at"), "change", json_object_get(h, "change"),
                                             "changed", changed));
  }
  if (p->ref) json_object_set(o, "history", history);
  json_decref(history);
  return o;
}

int registries_published(struct registries *g, struct published *p, struct err *err) {
  const struct registry *r = p->data->registry;
  struct arena *a = arena_new(256 * 1024);
  const char *key = p->key ? typed_key(g, r, p->key, a) : NULL;
  struct find k = {.g = g, .registry = r->code, .key = key, .ref = p->ref, .items = json_array(), .persons = json_array()};
  json_t *one;
  size_t i;
  int rc = -1;
  p->out = p->persons = NULL;
  if (p->key && !key) err_set(err, ERR_INVALID, "%s: not a key of %s", r->key, r->code);
  else if (store_read(g->store, find_work, &k, err) == 0) {
    if (p->ref && json_array_size(k.items) == 0) err_set(err, ERR_NOT_FOUND, "no such record");
    else rc = 0;
  }
  if (rc == 0) {
    json_t *items = json_array();
    json_array_foreach(k.items, i, one) json_array_append_new(items, only(p, one));
    p->out = json_pack("{s:o}", "items", items);
    p->persons = json_array();
    const char *whose = p->data->key_type == FIELD_NATIONAL_ID ? json_str(json_object_get(json_array_get(k.items, 0), "attributes"), r->key) : NULL;
    if (whose) { /* about this one, whoever else the record names */
      char person[72];
      identity_person_key(g->identity, whose, person);
      json_array_append_new(p->persons, json_string(person));
    } else if (data_service_personal(p->data, p->attributes)) json_array_extend(p->persons, k.persons);
  }
  json_decref(k.items);
  json_decref(k.persons);
  arena_free(a);
  return rc;
}

struct some { const char *registry; char *key; };

static int some_work(struct store_tx *tx, void *arg, struct err *err) {
  struct some *k = arg;
  free(k->key); /* of an attempt before */
  k->key = NULL;
  struct store_rows *r = store_select(tx, err, "SELECT key FROM registry_record WHERE registry=?1 AND valid=1 AND key>'0' ORDER BY key LIMIT 50", "t", k->registry);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1 && !k->key)
    if (strspn(store_text(r, 0), "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == strlen(store_text(r, 0))) k->key = base_strdup(store_text(r, 0));
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int registries_some_key(struct registries *g, const struct registry *r, char **key, struct err *err) {
  struct some k = {.registry = r->code};
  int rc = store_read(g->store, some_work, &k, err);
  *key = k.key;
  return rc;
}
