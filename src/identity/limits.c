/* Limits: token buckets in memory for addresses, the same in the store for telephones and identifiers, where every node must agree. */
#include "identity/inner.h"
#include "trust/trust.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct bucket {
  unsigned char key[16];
  int64_t full_at;      /* clock_mono() in microseconds when it will be full again */
  UT_hash_handle hh;
};

void limits_init(struct identity *i) {
  for (int k = 0; k < LIMIT_SHARDS; k++) pthread_mutex_init(&i->limits[k].lock, NULL);
}

void limits_free(struct identity *i) {
  for (int k = 0; k < LIMIT_SHARDS; k++) {
    struct bucket *b, *next;
    HASH_ITER(hh, i->limits[k].entries, b, next) {
      HASH_DEL(i->limits[k].entries, b);
      free(b);
    }
    pthread_mutex_destroy(&i->limits[k].lock);
  }
}

/* A household or an attacker holds a whole /64; one that is mapped from IPv4 counts as that. */
static void address_subject(const char *address, char out[64]) {
  struct in6_addr a;
  if (strchr(address, ':') == NULL || inet_pton(AF_INET6, address, &a) != 1) snprintf(out, 64, "%s", address);
  else if (IN6_IS_ADDR_V4MAPPED(&a)) inet_ntop(AF_INET, &a.s6_addr[12], out, 64);
  else hex_encode(a.s6_addr, 8, out);
}

static void bucket_key(const struct identity *i, const char *kind, const char *key, unsigned char out[32]) {
  char address[64];
  if (base_starts(kind, "address")) {
    address_subject(key, address);
    key = address;
  }
  identity_mac(i, kind, key, NULL, out);
}

bool identity_limit(struct identity *i, const char *kind, const char *key, int most, int seconds) {
  unsigned char id[32];
  if (most <= 0) return false;
  if (key == NULL || seconds <= 0) return true;
  bucket_key(i, kind, key, id);
  int64_t window = (int64_t)seconds * 1000000, cost = window / most / i->options.limit_factor, now = clock_mono() * 1000;
  struct limit_shard *s = &i->limits[id[16] % LIMIT_SHARDS];
  pthread_mutex_lock(&s->lock);
  struct bucket *b = NULL;
  HASH_FIND(hh, s->entries, id, sizeof b->key, b);
  if (b != NULL) {
    HASH_DEL(s->entries, b);
  } else if (HASH_COUNT(s->entries) >= LIMIT_PER_SHARD) {
    b = s->entries;
    HASH_DEL(s->entries, b);
    b->full_at = 0;
  } else {
    b = base_alloc(sizeof *b);
  }
  memcpy(b->key, id, sizeof b->key);
  int64_t full_at = (b->full_at > now ? b->full_at : now) + cost;
  bool allowed = full_at - now <= window;
  if (allowed) b->full_at = full_at;
  HASH_ADD(hh, s->entries, key, sizeof b->key, b);
  pthread_mutex_unlock(&s->lock);
  return allowed;
}

int limit_take(struct store_tx *tx, const struct identity *i, const char *kind, const char *subject, int most, int seconds, struct err *err) {
  char key[HEX];
  identity_mac_hex(i, kind, subject, NULL, key);
  int64_t window = (int64_t)seconds * 1000, cost = window / most / i->options.limit_factor, now = store_time(tx);
  struct store_rows *r = store_select(tx, err,
    "INSERT INTO use_limit (subject, full_at) VALUES (?1, ?2) ON CONFLICT (subject) DO UPDATE SET full_at ="
    " CASE WHEN use_limit.full_at > ?3 THEN use_limit.full_at + ?4 ELSE ?2 END WHERE use_limit.full_at <= ?5 RETURNING full_at",
    "tiiii", key, now + cost, now, cost, now + window - cost);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  store_done(r);
  return rc;
}
