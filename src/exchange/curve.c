/* ECDSA P-256: the numbers of a signature, public keys kept ready, and checking. Gateways check the signatures of few others again and again: after some
 * of them a key gets a table like the one that the library has for the curve's own point, and the check takes half as long. */
#define OPENSSL_SUPPRESS_DEPRECATED /* EC_GROUP_precompute_mult and projective coordinates: OpenSSL 3 has them and nothing in their place */
#include "exchange/signature.h"

#include <endian.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- the numbers ---- */

size_t signature_to_der(const unsigned char raw[64], unsigned char der[80]) {
  unsigned char *p = der + 2;
  for (int half = 0; half < 2; half++) {
    const unsigned char *q = raw + 32 * half;
    size_t n = 32;
    while (n > 1 && *q == 0) q++, n--;
    size_t sign = *q >> 7;
    *p++ = 2;
    *p++ = (unsigned char)(n + sign);
    if (sign) *p++ = 0;
    memcpy(p, q, n);
    p += n;
  }
  der[0] = 0x30;
  der[1] = (unsigned char)(p - der - 2);
  return (size_t)(p - der);
}

/* An INTEGER that is not negative, of at most 32 bytes, written as short as it can be. */
static bool number_taken(const unsigned char **p, const unsigned char *end, unsigned char out[32]) {
  const unsigned char *q = *p + 2;
  if (end - *p < 3 || (*p)[0] != 2) return false;
  size_t n = (*p)[1];
  if (n == 0 || n > (size_t)(end - q) || (q[0] & 0x80) != 0 || (n > 1 && q[0] == 0 && (q[1] & 0x80) == 0)) return false;
  *p = q + n;
  if (n > 1 && q[0] == 0) q++, n--;
  if (n > 32) return false;
  memset(out, 0, 32 - n);
  memcpy(out + 32 - n, q, n);
  return true;
}

int signature_to_raw(const unsigned char *der, size_t n, unsigned char raw[64]) {
  const unsigned char *p = der + 2, *end = der + n;
  if (n < 2 || n > 80 || der[0] != 0x30 || der[1] != n - 2) return -1;
  return number_taken(&p, end, raw) && number_taken(&p, end, raw + 32) && p == end ? 0 : -1;
}

/* ---- a table of multiples for one key ---- */

/* The curve with the key in the place of its generator: what is made ready for a generator is so for the key. Some 150 KB. */
struct key_table {
  EC_GROUP *curve, *keyed;
  struct modulus field, order;
};

static bool number_read(const BIGNUM *n, uint64_t out[WORDS]) {
  unsigned char bytes[32];
  if (BN_bn2binpad(n, bytes, 32) != 32) return false;
  words_read(bytes, out);
  return true;
}

static bool number_set(BIGNUM *n, const uint64_t from[WORDS]) {
  uint64_t low[WORDS];
  for (int i = 0; i < WORDS; i++) low[i] = htole64(from[i]);
  return BN_lebin2bn((const unsigned char *)low, sizeof low, n) != NULL;
}

static bool modulus_of(struct modulus *m, const BIGNUM *n) {
  unsigned char bytes[32];
  return n != NULL && BN_bn2binpad(n, bytes, 32) == 32 && modulus_set(m, bytes);
}

struct key_table *key_table_new(const void *public_key, size_t n) {
  const unsigned char *p = public_key;
  EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)n);
  const EC_KEY *ec = key ? EVP_PKEY_get0_EC_KEY(key) : NULL;
  struct key_table *t = base_alloc(sizeof *t);
  t->curve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  t->keyed = t->curve ? EC_GROUP_dup(t->curve) : NULL;
  bool good = ec && t->keyed && EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) == NID_X9_62_prime256v1 &&
              EC_GROUP_set_generator(t->keyed, EC_KEY_get0_public_key(ec), EC_GROUP_get0_order(t->curve), BN_value_one()) == 1 &&
              EC_GROUP_precompute_mult(t->keyed, NULL) == 1 && EC_GROUP_have_precompute_mult(t->keyed) == 1 &&
              modulus_of(&t->field, EC_GROUP_get0_field(t->curve)) && modulus_of(&t->order, EC_GROUP_get0_order(t->curve));
  EVP_PKEY_free(key);
  if (good) return t;
  ERR_clear_error();
  key_table_free(t);
  return NULL;
}

void key_table_free(struct key_table *t) {
  if (t == NULL) return;
  EC_GROUP_free(t->keyed);
  EC_GROUP_free(t->curve);
  free(t);
}

/* What the library computes in, kept by each thread: to make it costs as much as an addition of points. */
struct room { BN_CTX *ctx; EC_POINT *a, *b; BIGNUM *u, *v; };
static pthread_once_t room_once = PTHREAD_ONCE_INIT;
static pthread_key_t room_key;
static _Thread_local struct room *room_own;

static void room_free(void *arg) {
  struct room *w = arg;
  EC_POINT_free(w->a);
  EC_POINT_free(w->b);
  BN_free(w->u);
  BN_free(w->v);
  BN_CTX_free(w->ctx);
  free(w);
}

static void room_prepare(void) {
  if (pthread_key_create(&room_key, room_free) != 0) abort();
}

static struct room *room_of(const EC_GROUP *curve) {
  if (room_own != NULL) return room_own;
  struct room *w = base_alloc(sizeof *w);
  *w = (struct room){BN_CTX_new(), EC_POINT_new(curve), EC_POINT_new(curve), BN_new(), BN_new()};
  pthread_once(&room_once, room_prepare);
  if (w->ctx == NULL || w->a == NULL || w->b == NULL || w->u == NULL || w->v == NULL || pthread_setspecific(room_key, w) != 0) abort();
  return room_own = w;
}

/* Is r, a number below the order, modulo the order what x/z² is? Without the inverse of z². */
static bool is_first(const struct key_table *t, const uint64_t x[WORDS], const uint64_t z[WORDS], const uint64_t r[WORDS]) {
  const struct modulus *p = &t->field;
  uint64_t square[WORDS], right[WORDS], more[WORDS], carry = 0;
  modulus_times(p, z, p->square, square);
  modulus_times(p, square, z, square);
  modulus_times(p, square, p->square, square);
  modulus_times(p, r, square, right);
  if (words_same(right, x)) return true;
  for (int i = 0; i < WORDS; i++) {
    unsigned __int128 sum = (unsigned __int128)r[i] + t->order.m[i] + carry;
    more[i] = (uint64_t)sum;
    carry = (uint64_t)(sum >> 64);
  }
  if (carry != 0 || !words_below(more, p->m)) return false;
  modulus_times(p, more, square, right);
  return words_same(right, x);
}

/* FIPS 186-5, 6.4.2: 0 < r, s < n; R = (e/s)·G + (r/s)·Q; good when R is a point whose x is r modulo n. All of it is public. */
bool key_table_true(const struct key_table *t, const unsigned char hash[32], const unsigned char raw[64]) {
  static const uint64_t none[WORDS] = {0}, one[WORDS] = {1};
  const struct modulus *n = &t->order;
  struct room *w = room_of(t->curve);
  uint64_t e[WORDS], r[WORDS], s[WORDS], i[WORDS], u[WORDS], v[WORDS];
  words_read(hash, e);
  words_read(raw, r);
  words_read(raw + 32, s);
  if (words_same(r, none) || !words_below(r, n->m) || !inverse_find(s, n, i)) return false;
  modulus_times(n, i, n->square, i);
  modulus_times(n, s, i, u);
  if (!words_same(u, one)) return false; /* no inverse: the library is asked */
  modulus_times(n, e, i, u);
  modulus_times(n, r, i, v);
  bool good = number_set(w->u, u) && number_set(w->v, v) && EC_POINT_mul(t->curve, w->a, w->u, NULL, NULL, w->ctx) == 1 &&
              EC_POINT_mul(t->keyed, w->b, w->v, NULL, NULL, w->ctx) == 1 && EC_POINT_add(t->curve, w->a, w->a, w->b, w->ctx) == 1 &&
              EC_POINT_is_at_infinity(t->curve, w->a) == 0 && EC_POINT_get_Jprojective_coordinates_GFp(t->curve, w->a, w->u, NULL, w->v, w->ctx) == 1 &&
              number_read(w->u, u) && number_read(w->v, v) && !words_same(v, none) && is_first(t, u, v, r);
  if (!good) ERR_clear_error();
  return good;
}

/* ---- keys that were read: reading one costs as much as checking a signature ---- */

enum { KEYS_KEPT = 256, KEY_BYTES = 128, TABLE_AFTER = 32, TABLES_MOST = 24 };
struct kept_key {
  unsigned char der[KEY_BYTES];
  size_t n;
  EVP_PKEY *key;
  struct key_table *_Atomic table;
  atomic_int refs, uses;
};
static struct kept_key *kept[KEYS_KEPT]; /* found by the bytes themselves */
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int tables;

static EVP_PKEY *key_read(const unsigned char *der, size_t n) {
  const unsigned char *p = der;
  char group[32] = "";
  EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)n);
  if (key != NULL && p == der + n && EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
      strcmp(group, "prime256v1") == 0)
    return key;
  EVP_PKEY_free(key);
  ERR_clear_error();
  return NULL;
}

static void key_drop(struct kept_key *k) {
  if (k == NULL || atomic_fetch_sub(&k->refs, 1) > 1) return;
  if (atomic_load(&k->table) != NULL) atomic_fetch_sub(&tables, 1);
  key_table_free(atomic_load(&k->table));
  EVP_PKEY_free(k->key);
  free(k);
}

static struct kept_key *key_hold(const unsigned char *der, size_t n) {
  if (n < 8 || n > KEY_BYTES) return NULL; /* a key of P-256 has 91 bytes */
  struct kept_key **slot = &kept[(der[n - 1] ^ der[n - 7]) % KEYS_KEPT], *k = NULL;
  pthread_mutex_lock(&kept_lock);
  if (*slot != NULL && (*slot)->n == n && memcmp((*slot)->der, der, n) == 0) {
    k = *slot;
    atomic_fetch_add(&k->refs, 1);
  }
  pthread_mutex_unlock(&kept_lock);
  if (k != NULL) return k;
  EVP_PKEY *key = key_read(der, n);
  if (key == NULL) return NULL;
  k = base_alloc(sizeof *k);
  memcpy(k->der, der, n);
  k->n = n;
  k->key = key;
  k->refs = 2;
  pthread_mutex_lock(&kept_lock);
  struct kept_key *old = *slot;
  *slot = k;
  pthread_mutex_unlock(&kept_lock);
  key_drop(old);
  return k;
}

/* Made by the thread that checks for the thirty-second time (some 25 ms); the others go on without it. */
static const struct key_table *table_of(struct kept_key *k) {
  struct key_table *t = atomic_load_explicit(&k->table, memory_order_acquire);
  if (t != NULL || atomic_fetch_add_explicit(&k->uses, 1, memory_order_relaxed) != TABLE_AFTER) return t;
  if (atomic_fetch_add(&tables, 1) >= TABLES_MOST || (t = key_table_new(k->der, k->n)) == NULL) atomic_fetch_sub(&tables, 1);
  atomic_store_explicit(&k->table, t, memory_order_release);
  return t;
}

static bool library_true(EVP_PKEY *key, const unsigned char hash[32], const unsigned char raw[64]) {
  unsigned char der[80];
  size_t size = signature_to_der(raw, der);
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
  bool good = c != NULL && EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_verify(c, der, size, hash, 32) == 1;
  EVP_PKEY_CTX_free(c);
  if (!good) ERR_clear_error();
  return good;
}

int signature_verify(const void *base, size_t n, const unsigned char raw[64], const void *public_key, size_t public_size, struct err *err) {
  unsigned char hash[32];
  struct kept_key *k = key_hold(public_key, public_size);
  if (k == NULL) return err_set(err, ERR_MALFORMED, "the key is not an ECDSA P-256 public key");
  sha256(base, n, hash);
  const struct key_table *t = table_of(k);
  bool good = (t != NULL && key_table_true(t, hash, raw)) || library_true(k->key, hash, raw); /* nothing is refused by our own arithmetic alone */
  key_drop(k);
  return good ? 0 : err_set(err, ERR_FORBIDDEN, "the signature is not that of this key over this message");
}
