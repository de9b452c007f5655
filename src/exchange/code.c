/* One-time codes, fingerprints and certificates as people and pages see them. */
#include "exchange/publish.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
enum { SECRET = 10, PIN = 32, BYTES = SECRET + PIN, LETTERS = (BYTES * 8 + 4) / 5 };

void code_make(const unsigned char secret[10], const unsigned char pin[32], char out[80]) {
  unsigned char all[BYTES + 1] = {0};
  size_t at = 0;
  memcpy(all, secret, SECRET);
  memcpy(all + SECRET, pin, PIN);
  for (int i = 0; i < LETTERS; i++) {
    int bit = i * 5, byte = bit / 8, shift = 11 - bit % 8;
    unsigned pair = (unsigned)all[byte] << 8 | (byte + 1 < BYTES ? all[byte + 1] : 0);
    if (i && i % 12 == 0) out[at++] = '-';
    out[at++] = digits[pair >> shift & 31];
  }
  out[at] = 0;
}

static int value_of(char c) {
  c = (char)toupper((unsigned char)c);
  if (c == 'O') c = '0';
  if (c == 'I' || c == 'L') c = '1';
  const char *p = c ? strchr(digits, c) : NULL;
  return p ? (int)(p - digits) : -1;
}

static int no_code(struct err *err) { return err_set(err, ERR_INVALID, "that is no code of an operator: copy it whole, as it was shown"); }

int code_read(const char *text, unsigned char secret[10], unsigned char pin[32], struct err *err) {
  unsigned char all[BYTES + 2] = {0};
  int n = 0;
  for (const char *p = text; *p; p++) {
    if (*p == '-' || *p == ' ' || *p == '\n') continue;
    int v = value_of(*p);
    if (v < 0 || n >= LETTERS) return no_code(err);
    int bit = n * 5, byte = bit / 8, shift = 11 - bit % 8;
    unsigned pair = (unsigned)v << shift;
    all[byte] |= (unsigned char)(pair >> 8);
    all[byte + 1] |= (unsigned char)pair;
    n++;
  }
  if (n == LETTERS && all[BYTES]) return no_code(err); /* bits beyond the last byte */
  if (n != LETTERS) return err_set(err, ERR_INVALID, "that code is not whole: it has %d letters and digits, and %d were given", LETTERS, n);
  memcpy(secret, all, SECRET);
  memcpy(pin, all + SECRET, PIN);
  return 0;
}

void code_hash(const unsigned char secret[10], char out[65]) {
  unsigned char hash[32];
  sha256(secret, SECRET, hash);
  hex_encode(hash, 32, out);
}

void fingerprint_of(const char *keyid, const char *certificate, char out[40]) {
  char *both = base_printf("%s\n%s\n", keyid, certificate), hex[65];
  unsigned char hash[32];
  sha256(both, strlen(both), hash);
  hex_encode(hash, 32, hex);
  size_t at = 0;
  for (int i = 0; i < 32; i++) {
    if (i && i % 4 == 0) out[at++] = '-';
    out[at++] = hex[i];
  }
  out[at] = 0;
  free(both);
}

int certificate_hash(const char *pem, char out[65], struct err *err) {
  unsigned char *der = NULL, hash[32];
  BIO *bio = BIO_new_mem_buf(pem, -1);
  X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
  int n = x ? i2d_X509(x, &der) : 0;
  if (n > 0) {
    sha256(der, (size_t)n, hash);
    hex_encode(hash, 32, out);
  }
  OPENSSL_free(der);
  X509_free(x);
  BIO_free(bio);
  ERR_clear_error();
  return n > 0 ? 0 : err_set(err, ERR_INVALID, "that is no certificate in PEM");
}

int sign_slot_operator(void *keys, const unsigned char digest[32], unsigned char der[80], size_t *size, struct err *err) {
  return keys_sign_slot(keys, SLOT_OPERATOR, digest, der, size, err);
}
int sign_slot_own(void *keys, const unsigned char digest[32], unsigned char der[80], size_t *size, struct err *err) {
  return keys_sign_slot(keys, SLOT_SIGN, digest, der, size, err);
}
int sign_slot_next(void *keys, const unsigned char digest[32], unsigned char der[80], size_t *size, struct err *err) {
  return keys_sign_slot(keys, SLOT_SIGN_NEXT, digest, der, size, err);
}
