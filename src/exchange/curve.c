/* ECDSA P-256: the numbers of a signature, public keys kept ready, and checking. Gateways check the signatures of few others again and again: after some
 * of them a key gets a table like the one that the library has for the curve's own point, and the check takes half as long. */
#define OPENSSL_SUPPRESS_DEPRECATED /* EC_GROUP_precompute_mult: OpenSSL 3 has it and nothing in its place */
#include "exchange/signature.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- the numbers ---- */

size_t signature_to_der(const unsigned char raw[64], unsigned char der[80]) {
  unsigned char *p = der;
  ECDSA_SIG *sig = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(raw, 32, NULL), *s = BN_bin2bn(raw + 32, 32, NULL);
  if (sig == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(sig, r, s) != 1) abort();
  int n = i2d_ECDSA_SIG(sig, NULL);
  size_t size = n > 0 && n <= 80 && i2d_ECDSA_SIG(sig, &p) == n ? (size_t)n : 0;
  ECDSA_SIG_free(sig);
  return size;
}

int signature_to_raw(const unsigned char *der, size_t n, unsigned char raw[64]) {
  const unsigned char *p = der;
  ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
  int rc = -1;
  if (sig != NULL && p == der + n && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32) == 32 && BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32) == 32) rc = 0;
  ECDSA_SIG_free(sig);
  if (rc != 0) ERR_clear_error();
  return rc;
}

/* ---- a table of multiples for one key ---- */

/* The curve with the key in the place of its generator: what is made ready for a generator is so for the key. Some 150 KB. */
struct key_table { EC_GROUP *curve, *keyed; };

struct key_table *key_table_new(const void *public_key, size_t n) {
  const unsigned char *p = public_key;
  EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)n);
  const EC_KEY *ec = key ? EVP_PKEY_get0_EC_KEY(key) : NULL;
  struct key_table *t = base_alloc(sizeof *t);
  t->curve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  t->keyed = t->curve ? EC_GROUP_dup(t->curve) : NULL;
  bool good = ec && t->keyed && EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) == NID_X9_62_prime256v1 &&
              EC_GROUP_set_generator(t->keyed, EC_KEY_get0_public_key(ec), EC_GROUP_get0_order(t->curve), BN_value_one()) == 1 &&
              EC_GROUP_precompute_mult(t->keyed, NULL) == 1 && EC_GROUP_have_precompute_mult(t->keyed) == 1;
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

/* 1/s modulo the order: found quickly, and taken when it is that. */
static bool inverse(BIGNUM *out, const unsigned char raw[32], const BIGNUM *s, const BIGNUM *order, BIGNUM *one, BN_CTX *c) {
  unsigned char modulus[32], found[32];
  if (BN_bn2binpad(order, modulus, 32) == 32 && inverse_find(raw, modulus, found) && BN_bin2bn(found, 32, out) != NULL && BN_mod_mul(one, out, s, order, c) == 1 && BN_is_one(one))
    return true;
  return BN_mod_inverse(out, s, order, c) != NULL;
}

/* FIPS 186-5, 6.4.2: 0 < r, s < n; R = (e/s)·G + (r/s)·Q; good when R is a point whose x is r modulo n. All of it is public. */
static bool equation(const struct key_table *t, const unsigned char hash[32], const unsigned char raw[64], BN_CTX *c, EC_POINT *a, EC_POINT *b) {
  const BIGNUM *order = EC_GROUP_get0_order(t->curve);
  BIGNUM *r = BN_CTX_get(c), *s = BN_CTX_get(c), *e = BN_CTX_get(c), *u = BN_CTX_get(c), *v = BN_CTX_get(c), *x = BN_CTX_get(c), *w = BN_CTX_get(c);
  if (w == NULL || BN_bin2bn(raw, 32, r) == NULL || BN_bin2bn(raw + 32, 32, s) == NULL || BN_bin2bn(hash, 32, e) == NULL) return false;
  if (BN_is_zero(r) || BN_is_zero(s) || BN_cmp(r, order) >= 0 || BN_cmp(s, order) >= 0) return false;
  return inverse(w, raw + 32, s, order, x, c) && BN_mod_mul(u, e, w, order, c) == 1 && BN_mod_mul(v, r, w, order, c) == 1 &&
         EC_POINT_mul(t->curve, a, u, NULL, NULL, c) == 1 && EC_POINT_mul(t->keyed, b, v, NULL, NULL, c) == 1 && EC_POINT_add(t->curve, a, a, b, c) == 1 &&
         EC_POINT_is_at_infinity(t->curve, a) == 0 && EC_POINT_get_affine_coordinates(t->curve, a, x, NULL, c) == 1 && BN_nnmod(x, x, order, c) == 1 && BN_cmp(x, r) == 0;
}

bool key_table_true(const struct key_table *t, const unsigned char hash[32], const unsigned char raw[64]) {
  BN_CTX *c = BN_CTX_new();
  EC_POINT *a = EC_POINT_new(t->curve), *b = EC_POINT_new(t->keyed);
  bool good = false;
  if (c != NULL && a != NULL && b != NULL) {
    BN_CTX_start(c);
    good = equation(t, hash, raw, c, a, b);
    BN_CTX_end(c);
  }
  EC_POINT_free(a);
  EC_POINT_free(b);
  BN_CTX_free(c);
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
  bool good = c != NULL && size > 0 && EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_verify(c, der, size, hash, 32) == 1;
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
