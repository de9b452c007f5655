/* Hashes: SHA-256 in a context of each thread's own, leaves and inner nodes. */
#include "trust/inner.h"
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;
static EVP_MD *method;
static _Thread_local EVP_MD_CTX *own;

static void forget(void *ctx) { EVP_MD_CTX_free(ctx); }

static void prepare(void) {
  method = EVP_MD_fetch(NULL, "SHA256", NULL);
  if (method == NULL || pthread_key_create(&at_exit, forget) != 0) abort();
}

const EVP_MD *hash_method(void) {
  pthread_once(&once, prepare);
  return method;
}

EVP_MD_CTX *hash_scratch(void) {
  if (own != NULL) return own;
  pthread_once(&once, prepare);
  own = EVP_MD_CTX_new();
  if (own == NULL || pthread_setspecific(at_exit, own) != 0) abort();
  return own;
}

static EVP_MD_CTX *begin(void) {
  EVP_MD_CTX *c = hash_scratch();
  if (EVP_DigestInit_ex2(c, method, NULL) != 1) abort();
  return c;
}

static void add(EVP_MD_CTX *c, const void *p, size_t n) {
  if (n > 0 && EVP_DigestUpdate(c, p, n) != 1) abort();
}

static void end(EVP_MD_CTX *c, unsigned char out[TRUST_HASH]) {
  if (EVP_DigestFinal_ex(c, out, NULL) != 1) abort();
}

void sha256(const void *p, size_t n, unsigned char out[32]) {
  EVP_MD_CTX *c = begin();
  add(c, p, n);
  end(c, out);
}

void hmac_sha256(const void *key, size_t kn, const void *p, size_t n, unsigned char out[32]) {
  unsigned size = 0;
  if (kn > INT32_MAX || HMAC(hash_method(), key, (int)kn, p, n, out, &size) == NULL || size != 32) abort();
}

bool trust_same(const void *a, const void *b, size_t n) { return CRYPTO_memcmp(a, b, n) == 0; }

void hash_parent(const unsigned char *left, const unsigned char *right, unsigned char out[TRUST_HASH]) {
  unsigned char both[1 + 2 * TRUST_HASH] = {1};
  memcpy(both + 1, left, TRUST_HASH);
  memcpy(both + 1 + TRUST_HASH, right, TRUST_HASH);
  sha256(both, sizeof both, out);
}

void trust_leaf_from_digest(const char *header, const unsigned char digest[TRUST_HASH], unsigned char leaf_hash[TRUST_HASH]) {
  char hex[2 * TRUST_HASH + 1];
  hex_encode(digest, TRUST_HASH, hex);
  EVP_MD_CTX *c = begin();
  add(c, "\0chapar-leaf-v1\n", 16);
  add(c, header, strlen(header));
  add(c, "\n", 1);
  add(c, hex, 2 * TRUST_HASH);
  add(c, "\n", 1);
  end(c, leaf_hash);
}

void trust_leaf(const char *header, const unsigned char salt[TRUST_SALT], const void *payload, size_t n,
                unsigned char digest[TRUST_HASH], unsigned char leaf_hash[TRUST_HASH]) {
  EVP_MD_CTX *c = begin();
  add(c, salt, TRUST_SALT);
  add(c, payload, n);
  end(c, digest);
  trust_leaf_from_digest(header, digest, leaf_hash);
}

bool hex_lower(const char *s, void *out, size_t n) {
  return s != NULL && strlen(s) == 2 * n && strspn(s, "0123456789abcdef") == 2 * n && hex_decode(s, out, n) == 0;
}

char *hex_text(const void *p, size_t n) {
  char *out = base_alloc(2 * n + 1);
  hex_encode(p, n, out);
  return out;
}
