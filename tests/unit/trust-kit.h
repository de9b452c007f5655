/* What the tests of trust share: a folder, stores, leaves, programs beside us. */
#ifndef TRUST_KIT_H
#define TRUST_KIT_H

#define KIT_FAILED(rc) ((rc) != 0)
#include "kit.h"
#include "trust/inner.h"
#include <inttypes.h>
#include <libpq-fe.h>

static inline void kit_path(char out[256], const char *name) { snprintf(out, 256, "%s/%s", kit_dir, name); }

static inline struct store *kit_open(const char *where, struct store_options *o) {
  static const char *const rooms[] = {"store", "trust", NULL};
  struct store *s = NULL;
  must(store_open(where, o, &s, err));
  must(store_migrate(s, rooms, err));
  return s;
}

static inline struct store *kit_store(const char *name) {
  char where[300];
  snprintf(where, sizeof where, "sqlite:%s/%s.db", kit_dir, name);
  return kit_open(where, NULL);
}

static inline struct trust *kit_trust(struct store *s, const char *key, const char *node) {
  char file[256];
  struct trust *t = NULL;
  kit_path(file, key);
  struct trust_options o = {.key_file = file, .origin = "test.example/ledger", .node = node};
  must(trust_open(s, &o, &t, err));
  return t;
}

/* Leaf number n, always the same. */
struct kit_leaf {
  int64_t at;
  char header[128], payload[32];
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], hash[TRUST_HASH];
};
static inline void kit_leaf(struct kit_leaf *l, int64_t n) {
  char at[32];
  memset(l, 0, sizeof *l);
  l->at = 1795000000000 + n / 3 - (n % 300 == 299 ? 365 * 86400000LL : 0); /* some share a moment, and one tells of a year before */
  clock_rfc3339_ms(l->at, at);
  snprintf(l->header, sizeof l->header, "{\"at\":\"%s\",\"case\":\"%lld\",\"kind\":\"submit\",\"seq\":1}", at, (long long)n);
  snprintf(l->payload, sizeof l->payload, "{\"n\":%lld}", (long long)n);
  memcpy(l->salt, &n, sizeof n);
  trust_leaf(l->header, l->salt, l->payload, strlen(l->payload), l->digest, l->hash);
}

struct kit_range { int64_t from, count; };
static inline int kit_append_work(struct store_tx *tx, void *arg, struct err *err) {
  struct kit_range *r = arg;
  struct kit_leaf l;
  for (int64_t i = r->from; i < r->from + r->count; i++) {
    kit_leaf(&l, i);
    if (trust_append(tx, l.hash, l.header, l.digest, err) != 0) return -1;
  }
  return 0;
}
static inline void kit_append(struct store *s, int64_t from, int64_t count) {
  struct kit_range r = {from, count};
  must(store_write(s, STORE_FRONT, kit_append_work, &r, err));
}

/* Place what waits and sign a head now, however soon after the last. */
static inline void kit_sequence(struct trust *t) {
  int64_t placed;
  t->signed_at = 0;
  must(trust_sequence(t, &placed, err));
  t->signed_at = 0;
}

/* Do something to the store that nobody should. */
typedef int (*kit_harm)(struct store_tx *tx, struct err *err);
static inline int kit_harm_work(struct store_tx *tx, void *arg, struct err *err) { return (*(kit_harm *)arg)(tx, err) < 0 ? -1 : 0; }
static inline void kit_do(struct store *s, kit_harm harm) { must(store_write(s, STORE_FRONT, kit_harm_work, &harm, err)); }

#endif
