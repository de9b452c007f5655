/* RFC 6238 time-based codes (HMAC-SHA-1, 30 s), base32 for the enrolment, and the sealing of their secrets. */
#include "identity/inner.h"
#include "trust/trust.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

uint32_t totp_code(const void *key, size_t n, int64_t step, int digits) {
  unsigned char counter[8], mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  for (int k = 0; k < 8; k++) counter[k] = (unsigned char)((uint64_t)step >> (56 - 8 * k));
  if (HMAC(EVP_sha1(), key, (int)n, counter, sizeof counter, mac, &size) == NULL || size != 20) return UINT32_MAX;
  unsigned at = mac[19] & 15;
  uint32_t value = (uint32_t)(mac[at] & 0x7f) << 24 | (uint32_t)mac[at + 1] << 16 | (uint32_t)mac[at + 2] << 8 | mac[at + 3];
  uint32_t ten = 1;
  for (int k = 0; k < digits; k++) ten *= 10;
  return value % ten;
}

int64_t totp_match(const void *key, size_t n, int64_t now_ms, const char *code) {
  char typed[16], right[16];
  int64_t found = -1, now = now_ms / 1000 / TOTP_STEP_S;
  if (code == NULL || identity_digits(code, typed, sizeof typed) != 0 || strlen(typed) != 6) return -1;
  for (int64_t step = now + 1; step >= now - 1; step--) {
    uint32_t value = totp_code(key, n, step, 6);
    if (value == UINT32_MAX) return -1;
    snprintf(right, sizeof right, "%06u", value);
    if (trust_same(typed, right, 6)) found = step;
  }
  return found;
}

void totp_base32(const unsigned char *key, size_t n, char *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  uint32_t held = 0;
  int bits = 0;
  for (size_t k = 0; k < n; k++) {
    held = held << 8 | key[k];
    for (bits += 8; bits >= 5; bits -= 5) *out++ = digits[held >> (bits - 5) & 31];
  }
  if (bits > 0) *out++ = digits[held << (5 - bits) & 31];
  *out = '\0';
}

/* AES-256-GCM under a key of this installation, bound to the user name: hex of nonce ‖ text ‖ tag. */
enum { NONCE = 12, TAG = 16, SEALED = NONCE + TOTP_BYTES + TAG };

int totp_seal(const struct identity *i, const char *username, const unsigned char key[TOTP_BYTES], char out[128], struct err *err) {
  unsigned char own[32], sealed[SEALED];
  int n = 0, ok = 0;
  identity_mac(i, "totp", NULL, NULL, own);
  random_bytes(sealed, NONCE);
  EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
  if (c != NULL)
    ok = EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, own, sealed) == 1 &&
         EVP_EncryptUpdate(c, NULL, &n, (const unsigned char *)username, (int)strlen(username)) == 1 &&
         EVP_EncryptUpdate(c, sealed + NONCE, &n, key, TOTP_BYTES) == 1 &&
         EVP_EncryptFinal_ex(c, sealed + NONCE + n, &n) == 1 &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, sealed + NONCE + TOTP_BYTES) == 1;
  EVP_CIPHER_CTX_free(c);
  OPENSSL_cleanse(own, sizeof own);
  if (!ok) return err_set(err, ERR_INTERNAL, "the secret of %s cannot be sealed", username);
  hex_encode(sealed, sizeof sealed, out);
  return 0;
}

int totp_open(const struct identity *i, const char *username, const char *hex, unsigned char key[TOTP_BYTES], struct err *err) {
  unsigned char own[32], sealed[SEALED];
  int n = 0, ok = 0;
  if (hex_decode(hex, sealed, sizeof sealed) != 0) return err_set(err, ERR_INTERNAL, "the sealed secret of %s is damaged", username);
  identity_mac(i, "totp", NULL, NULL, own);
  EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
  if (c != NULL)
    ok = EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, own, sealed) == 1 &&
         EVP_DecryptUpdate(c, NULL, &n, (const unsigned char *)username, (int)strlen(username)) == 1 &&
         EVP_DecryptUpdate(c, key, &n, sealed + NONCE, TOTP_BYTES) == 1 &&
         EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, sealed + NONCE + TOTP_BYTES) == 1 &&
         EVP_DecryptFinal_ex(c, key + TOTP_BYTES, &n) == 1;
  EVP_CIPHER_CTX_free(c);
  OPENSSL_cleanse(own, sizeof own);
  if (!ok) return err_set(err, ERR_INTERNAL, "the secret of %s was sealed by another installation, or changed: enrol again", username);
  return 0;
}
