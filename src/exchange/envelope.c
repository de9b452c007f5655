/* A signed line: JSON on the first line, key id and signature on the second. openssl and cut are enough to check it. */
#include "exchange/members.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static EVP_PKEY *p256(const void *public_key, size_t n) {
  const unsigned char *p = public_key;
  char group[32] = "";
  EVP_PKEY *k = n > 0 && n <= 256 ? d2i_PUBKEY(NULL, &p, (long)n) : NULL;
  bool good = k && p == (const unsigned char *)public_key + n && EVP_PKEY_is_a(k, "EC") && EVP_PKEY_get_group_name(k, group, sizeof group, NULL) == 1 &&
              strcmp(group, "prime256v1") == 0;
  if (good) return k;
  EVP_PKEY_free(k);
  ERR_clear_error();
  return NULL;
}

bool key_is_p256(const void *public_key, size_t n) {
  EVP_PKEY *k = p256(public_key, n);
  EVP_PKEY_free(k);
  return k != NULL;
}

int signed_read(const char *text, size_t n, struct signed_line *out, struct err *err) {
  unsigned char id[32];
  memset(out, 0, sizeof *out);
  if (n > SIGNED_MOST) return err_set(err, ERR_TOO_LARGE, "a signed text has at most %zu bytes", SIGNED_MOST);
  const char *end = n ? memchr(text, '\n', n) : NULL;
  if (!end) return err_set(err, ERR_MALFORMED, "a signed text has two lines: JSON, then key id and signature");
  const char *second = end + 1;
  size_t left = n - (size_t)(second - text);
  if (left && second[left - 1] == '\n') left--;
  if (left < 66 || left > 65 + 128 || second[64] != ' ' || memchr(second, '\n', left)) return err_set(err, ERR_MALFORMED, "the second line of a signed text is a key id, a space and a signature in base64");
  memcpy(out->keyid, second, 64);
  if (strspn(out->keyid, "0123456789abcdef") != 64 || hex_decode(out->keyid, id, 32)) return err_set(err, ERR_MALFORMED, "a key id is 64 lower-case hexadecimal digits");
  if (base64_decode(second + 65, left - 65, out->signature, sizeof out->signature, &out->signature_size) || !out->signature_size)
    return err_set(err, ERR_MALFORMED, "the signature is not base64 of at most %zu bytes", sizeof out->signature);
  out->json = text;
  out->size = (size_t)(second - text);
  return 0;
}

bool signed_true(const struct signed_line *s, const void *public_key, size_t n) {
  unsigned char id[32];
  char hex[65];
  sha256(public_key, n, id);
  hex_encode(id, 32, hex);
  if (strcmp(hex, s->keyid) != 0) return false;
  EVP_PKEY *k = p256(public_key, n);
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  bool good = k && c && EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, k) == 1 &&
              EVP_DigestVerify(c, s->signature, s->signature_size, (const unsigned char *)s->json, s->size) == 1;
  EVP_MD_CTX_free(c);
  EVP_PKEY_free(k);
  ERR_clear_error();
  return good;
}

char *signed_make(const json_t *v, const char *keyid, signed_with sign, void *ctx, size_t *n, struct err *err) {
  unsigned char digest[32], der[80];
  size_t size = 0;
  char *text = json_canonical(v), *line = base_printf("%s\n", text);
  struct buf b = {.cap = SIGNED_MOST + 1024};
  free(text);
  sha256(line, strlen(line), digest);
  if (sign(ctx, digest, der, &size, err)) {
    free(line);
    return NULL;
  }
  char *signature = base64_encode(der, size);
  buf_adds(&b, line);
  buf_addf(&b, "%s %s\n", keyid, signature);
  free(signature);
  free(line);
  *n = b.len;
  return buf_take(&b);
}
