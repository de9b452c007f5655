/* The directory as JSON for pages, commands and programs: what is in use, and how old it is. */
#include "exchange/background.h"
#include "exchange/publish.h"
#include "exchange/snapshot.h"
#include "exchange/witness.h"

#include <string.h>

static void put_time(json_t *o, const char *name, int64_t at) {
  char text[32];
  if (!at) return;
  clock_rfc3339(at, text);
  json_put(o, name, text);
}

static json_t *entries(const struct members *m) {
  json_t *list = json_array(), *member = NULL;
  for (size_t i = 0; i < m->entries_count; i++) {
    const struct entry *e = &m->entries[i];
    json_t *o = json_pack("{s:s,s:{s:s,s:s}}", "id", e->id, "name", "fa", e->name_fa, "en", e->name_en);
    const char *of = json_str(member, "id");
    size_t n = of ? strlen(of) : 0;
    if (of && strncmp(e->id, of, n) == 0 && e->id[n] == '/') json_array_append_new(json_object_get(member, "subsystems"), o);
    else {
      json_object_set_new(o, "subsystems", json_array());
      json_array_append_new(list, member = o);
    }
  }
  return list;
}

static json_t *gateways(const struct members *m) {
  json_t *list = json_array();
  for (size_t i = 0; i < m->gateways_count; i++) {
    const struct gateway_row *g = &m->gateways[i];
    json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:[],s:[]}", "id", g->g.id, "address", g->g.address, "witness", g->witness, "keys", "certificates"));
  }
  for (size_t i = 0; i < m->keys_count; i++) {
    const struct key_row *k = &m->keys[i];
    json_t *o = json_pack("{s:s}", "keyid", k->keyid);
    put_time(o, "from", k->from);
    put_time(o, "until", k->until);
    put_time(o, "revoked_at", k->revoked);
    json_array_append_new(json_object_get(json_array_get(list, k->gateway), "keys"), o);
  }
  for (size_t i = 0; i < m->pins_count; i++) {
    char hex[65];
    hex_encode(m->pins[i].sha256, 32, hex);
    json_t *o = json_pack("{s:s}", "sha256", hex);
    put_time(o, "until", m->pins[i].until);
    json_array_append_new(json_object_get(json_array_get(list, m->pins[i].gateway), "certificates"), o);
  }
  json_t *g;
  size_t i;
  json_array_foreach(list, i, g) { /* what a person compares: each pair of key and certificate in use */
    json_t *keys = json_object_get(g, "keys"), *certificates = json_object_get(g, "certificates"), *k;
    size_t j;
    char print[40];
    json_array_foreach(keys, j, k) {
      if (json_array_size(certificates) != 1 || json_array_size(keys) != 1) break;
      fingerprint_of(json_str(k, "keyid"), json_str(json_array_get(certificates, 0), "sha256"), print);
      json_put(g, "fingerprint", print);
    }
  }
  return list;
}

static json_t *groups(const struct members *m) {
  json_t *list = json_array(), *group = NULL;
  for (size_t i = 0; i < m->groups_count; i++) {
    if (!group || strcmp(json_str(group, "code"), m->groups[i].code) != 0) {
      group = json_pack("{s:s,s:[]}", "code", m->groups[i].code, "members");
      json_array_append_new(list, group);
    }
    json_array_append_new(json_object_get(group, "members"), json_string(m->groups[i].id));
  }
  return list;
}

int exchange_directory(struct exchange *x, json_t **out, struct err *err) {
  static const char *const states[] = {"fresh", "old", "expired", "none"};
  struct members *m = members_hold(x);
  struct members_keeper *k = x->members;
  json_t *o = json_object(), *seen = NULL;
  int64_t age = x->publisher ? 0 : members_age(x), restarts;
  pid_t helper;
  json_object_set_new(o, "version", json_integer(m->version));
  json_put(o, "instance", m->instance);
  put_time(o, "issued_at", m->issued);
  json_object_set_new(o, "age_s", json_integer(age < 0 ? -1 : age / 1000));
  json_put(o, "state", states[members_state(x, m)]);
  json_object_set_new(o, "operator", json_boolean(x->publisher != NULL));
  json_object_set_new(o, "maintenance", exchange_maintenance_now(x));
  json_put(o, "operator_server", m->operator_server);
  pthread_mutex_lock(&k->lock);
  char *both = base_printf("%s%s%s", k->back, k->back[0] && k->problem[0] ? "; " : "", k->problem);
  json_put(o, "problem", both);
  free(both);
  pthread_mutex_unlock(&k->lock);
  keys_figures(x->keys, &helper, &restarts);
  json_object_set_new(o, "key_helper", json_pack("{s:I,s:I}", "pid", (json_int_t)helper, "restarts", (json_int_t)restarts));
  json_object_set_new(o, "members", entries(m));
  json_object_set_new(o, "gateways", gateways(m));
  json_object_set_new(o, "groups", groups(m));
  if (witness_seen(x, &seen, err) == 0) json_object_set_new(o, "witnessed", seen);
  members_drop(m);
  *out = o;
  return 0;
}
