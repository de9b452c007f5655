/* For `chapar ledger verify`: digests from the changes, records against them. */
#include "registries/inside.h"

#include <stdlib.h>
#include <string.h>

struct digest {
  const char *ref;
  int64_t version;
  unsigned char *out;
  int answer;
};

static int digest_work(struct store_tx *tx, void *arg, struct err *err) {
  struct digest *k = arg;
  k->answer = -1;
  struct store_rows *r = store_select(tx, err, "SELECT salt,payload FROM registry_change WHERE ref=?1 AND version=?2", "ti", k->ref, k->version);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    size_t n = 0;
    const void *salt = store_blob(r, 0, &n);
    const char *payload = store_text(r, 1);
    unsigned char leaf[TRUST_HASH];
    k->answer = salt && n == TRUST_SALT && payload ? 0 : 1;
    if (k->answer == 0) trust_leaf("", salt, payload, strlen(payload), k->out, leaf);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int registries_leaf_digest(struct registries *g, const char *header, unsigned char digest[TRUST_HASH]) {
  json_t *h = json_loads(header, 0, NULL);
  struct digest k = {.ref = json_str(h, "record"), .version = json_int(h, "version", 0), .out = digest};
  int rc = k.ref ? store_read(g->store, digest_work, &k, NULL) : -1;
  json_decref(h);
  return rc ? -1 : k.answer;
}

struct verify {
  void (*report)(void *ctx, const char *line);
  void *ctx;
  char after[RECORD_REF];
  int64_t faults, seen;
};

static void fault(struct verify *k, const char *registry, const char *ref, const char *what) {
  char *line = base_printf("record %s of %s: %s", ref, registry, what);
  k->report(k->ctx, line);
  free(line);
  k->faults++;
}

static int verify_work(struct store_tx *tx, void *arg, struct err *err) {
  struct verify *k = arg;
  struct store_rows *r = store_select(tx, err,
    "SELECT r.ref,r.registry,r.version,r.valid,r.attributes,(SELECT COUNT(*) FROM registry_change c WHERE c.ref=r.ref),"
    "(SELECT CASE WHEN change='erase' THEN NULL ELSE payload END FROM registry_change c WHERE c.ref=r.ref AND c.version=r.version) "
    "FROM registry_record r WHERE r.ref>?1 ORDER BY r.ref LIMIT 500", "t", k->after);
  if (!r) return -1;
  int rc;
  k->seen = 0;
  while ((rc = store_next(r, err)) == 1) {
    const char *ref = store_text(r, 0), *registry = store_text(r, 1), *now = store_text(r, 4), *last = store_text(r, 6);
    k->seen++;
    json_t *p = last ? json_loads(last, 0, NULL) : NULL, *d = now ? json_loads(now, 0, NULL) : NULL;
    if (store_int(r, 2) != store_int(r, 5)) fault(k, registry, ref, "has not as many changes as its version says");
    else if (!now != !last) fault(k, registry, ref, now ? "has attributes that its last change does not tell" : "has lost its attributes, yet they were not erased by rule");
    else if (now && !json_equal(json_object_get(p, "attributes"), d)) fault(k, registry, ref, "does not hold what its last change says");
    else if (now && json_flag(p, "valid", true) != (store_int(r, 3) != 0)) fault(k, registry, ref, "is not as valid as its last change says");
    json_decref(p);
    json_decref(d);
    snprintf(k->after, sizeof k->after, "%s", ref);
  }
  store_done(r);
  return rc;
}

int registries_verify(struct registries *g, void (*report)(void *ctx, const char *line), void *ctx, struct err *err) {
  struct verify k = {.report = report, .ctx = ctx};
  do {
    if (store_read(g->store, verify_work, &k, err)) return -1;
  } while (k.seen > 0);
  return k.faults ? err_set(err, ERR_CONFLICT, "%lld records do not agree with their changes", (long long)k.faults) : 0;
}
