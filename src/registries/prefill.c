/* What registries answer for others: fields of a form, and whether a telephone is a person's. */
#include "registries/inside.h"

#include <string.h>

int record_known(struct store_tx *tx, const char *registry, const char *key, const char *name, json_t **out, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT attributes FROM registry_record WHERE registry=?1 AND key=?2 AND valid=1 AND attributes IS NOT NULL ORDER BY at DESC,ref LIMIT 50",
                                      "tt", registry, key);
  if (!r) return -1;
  int rc;
  *out = NULL;
  while ((rc = store_next(r, err)) == 1 && !*out) {
    json_t *o = json_loads(store_text(r, 0), 0, NULL);
    if (json_object_get(o, name)) *out = json_incref(o);
    json_decref(o);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

struct ask {
  struct registries *g;
  const struct service *s;
  const char *national_id;
  const json_t *answers;
  json_t *out;
};

/* The key to look with: the person's own id, or what another answer says of a thing. NULL: not to be asked. */
static const char *key_for(const struct ask *k, const struct field *f, const struct data_source *from, const char **by) {
  const struct registry *r = from->registry;
  const struct registry_attribute *key = registry_attribute(r, r->key), *wanted = registry_attribute(r, from->attribute);
  *by = NULL;
  if (!key || !wanted) return NULL;
  if (key->type == FIELD_NATIONAL_ID) {
    const char *of = f->prefill_of ? json_str(k->answers, f->prefill_of) : NULL;
    if (f->prefill_of && !base_same(of, k->national_id)) return NULL; /* of somebody else: no relation is on record */
    return k->national_id;
  }
  *by = f->prefill_of ? f->prefill_of : key->name;
  return wanted->personal ? NULL : json_str(k->answers, *by);
}

/* The field's own rules, but for those that speak of the moment: whether it is asked now. */
static json_t *fitting(const struct ask *k, const struct field *f, const json_t *value) {
  struct field plain = *f;
  struct arena *a = arena_new(256 * 1024);
  const char *code, *message;
  json_t *out = NULL;
  plain.when = plain.constraint = NULL;
  if (field_check(k->g->pack, &plain, value, k->answers, day_of(clock_now()), LANG_EN, a, &out, &code, &message)) out = NULL;
  arena_free(a);
  return out;
}

static int ask_work(struct store_tx *tx, void *arg, struct err *err) {
  struct ask *k = arg;
  json_object_clear(k->out);
  for (size_t i = 0; i < k->s->field_count; i++) {
    const struct field *f = k->s->fields[i];
    struct data_source from;
    const char *by;
    json_t *record = NULL, *value;
    if (!pack_data_source(k->g->pack, f, &from) || !from.registry) continue;
    const char *key = key_for(k, f, &from, &by);
    if (!key) continue;
    if (record_known(tx, from.registry->code, key, from.attribute, &record, err)) return -1;
    value = record ? fitting(k, f, json_object_get(record, from.attribute)) : NULL;
    if (value) {
      json_t *o = json_object();
      json_object_set_new(o, "value", value);
      json_put(o, "organisation", from.organisation);
      json_put(o, "registry", from.registry->code);
      json_object_set_new(o, "refuse", json_boolean(f->refuse_difference));
      if (by) json_put(o, "key", by);
      json_object_set_new(k->out, f->name, o);
    }
    json_decref(record);
  }
  return 0;
}

int registries_prefill(struct registries *g, const struct service *s, const char *national_id, const json_t *answers, json_t **out, struct err *err) {
  struct ask k = {.g = g, .s = s, .national_id = national_id, .answers = answers, .out = json_object()};
  if (store_read(g->store, ask_work, &k, err)) {
    json_decref(k.out);
    return -1;
  }
  *out = k.out;
  return 0;
}

/* ---- one attribute ---- */

struct one {
  const char *registry, *key, *attribute;
  json_t *value;
};

static int one_work(struct store_tx *tx, void *arg, struct err *err) {
  struct one *k = arg;
  json_t *record = NULL;
  json_decref(k->value); /* of an attempt before */
  k->value = NULL;
  if (record_known(tx, k->registry, k->key, k->attribute, &record, err)) return -1;
  k->value = json_incref(json_object_get(record, k->attribute));
  json_decref(record);
  return 0;
}

int registries_known(struct registries *g, const char *registry, const char *key, const char *attribute, json_t **value, struct err *err) {
  struct one k = {.registry = registry, .key = key, .attribute = attribute};
  if (store_read(g->store, one_work, &k, err)) {
    json_decref(k.value);
    return -1;
  }
  *value = k.value;
  return 0;
}

/* ---- whose telephone ---- */

struct telephone {
  struct registries *g;
  const char *national_id, *mobile;
  bool known;
};

static int telephone_work(struct store_tx *tx, void *arg, struct err *err) {
  struct telephone *k = arg;
  k->known = false;
  for (size_t i = 0; i < pack_registries(k->g->pack) && !k->known; i++) {
    const struct registry *r = pack_registry(k->g->pack, i);
    json_t *record = NULL;
    if (!r->telephone) continue;
    if (record_known(tx, r->code, k->national_id, r->telephone, &record, err)) return -1;
    k->known = base_same(json_str(record, r->telephone), k->mobile) && k->mobile;
    json_decref(record);
  }
  return 0;
}

int registries_telephone(struct registries *g, const char *national_id, const char *mobile, struct err *err) {
  struct telephone k = {.g = g, .national_id = national_id, .mobile = mobile};
  if (store_read(g->store, telephone_work, &k, err)) return -1;
  return k.known;
}
