/* Ed25519 keys and secrets in files that only their owner can read. */
#include "trust/inner.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Put data into FILE unless somebody else has made it meanwhile: then theirs stands. */
static int make_once(const char *file, const void *data, size_t n, struct err *err) {
  unsigned char mark[8];
  char hex[17];
  random_bytes(mark, sizeof mark);
  hex_encode(mark, sizeof mark, hex);
  char *fresh = base_printf("%s.%s", file, hex);
  int rc = file_write(fresh, data, n, 0600, err);
  if (rc == 0) {
    if (link(fresh, file) != 0 && errno != EEXIST) rc = err_set(err, ERR_UNAVAILABLE, "cannot make %s: %s", file, strerror(errno));
    if (unlink(fresh) != 0 && rc == 0) rc = err_set(err, ERR_UNAVAILABLE, "cannot remove %s: %s", fresh, strerror(errno));
  }
  free(fresh);
  return rc;
}

/* 1: there, 0: not there. */
static int owner_only(const char *file, struct err *err) {
  struct stat st;
  if (stat(file, &st) != 0) return errno == ENOENT ? 0 : err_set(err, ERR_UNAVAILABLE, "%s: %s", file, strerror(errno));
  if (!S_ISREG(st.st_mode)) return err_set(err, ERR_INVALID, "%s is not a file", file);
  if ((st.st_mode & 077) != 0)
    return err_set(err, ERR_FORBIDDEN, "others may read %s: chmod 600 it, and replace the key if they could have", file);
  return 1;
}

static int key_make(const char *file, struct err *err) {
  EVP_PKEY *made = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  BIO *bio = BIO_new(BIO_s_secmem());
  char *pem = NULL;
  int rc = -1;
  if (made != NULL && bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, made, NULL, NULL, 0, NULL, NULL) == 1) {
    long n = BIO_get_mem_data(bio, &pem);
    rc = make_once(file, pem, (size_t)n, err);
  } else {
    err_set(err, ERR_INTERNAL, "no key could be made");
  }
  BIO_free(bio);
  EVP_PKEY_free(made);
  return rc;
}

static int no_password(char *buf, int size, int writing, void *ctx) { return -1; }

int key_open(const char *file, struct key *out, struct err *err) {
  memset(out, 0, sizeof *out);
  int there = owner_only(file, err);
  if (there < 0 || (there == 0 && (key_make(file, err) != 0 || owner_only(file, err) != 1))) return -1;
  size_t n, size = PUBLIC_KEY;
  char *pem = file_read(file, 16384, &n, err);
  if (pem == NULL) return -1;
  BIO *bio = BIO_new_mem_buf(pem, (int)n);
  out->pkey = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
  BIO_free(bio);
  explicit_bzero(pem, n);
  free(pem);
  ERR_clear_error();
  if (out->pkey != NULL && EVP_PKEY_is_a(out->pkey, "ED25519") && EVP_PKEY_get_raw_public_key(out->pkey, out->public, &size) == 1) return 0;
  key_close(out);
  return err_set(err, ERR_INVALID, "%s does not hold an Ed25519 private key in PEM without a password", file);
}

void key_close(struct key *k) {
  EVP_PKEY_free(k->pkey);
  k->pkey = NULL;
}

void key_sign(const struct key *k, const void *p, size_t n, unsigned char out[SIGNATURE]) {
  EVP_MD_CTX *c = hash_scratch();
  size_t size = SIGNATURE;
  if (EVP_MD_CTX_reset(c) != 1 || EVP_DigestSignInit(c, NULL, NULL, NULL, k->pkey) != 1 || EVP_DigestSign(c, out, &size, p, n) != 1 ||
      size != SIGNATURE)
    abort();
  EVP_MD_CTX_reset(c);
}

bool key_check(const unsigned char *public, const void *p, size_t n, const unsigned char *signature) {
  EVP_PKEY *k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public, PUBLIC_KEY);
  EVP_MD_CTX *c = hash_scratch();
  EVP_MD_CTX_reset(c);
  bool good = k != NULL && EVP_DigestVerifyInit(c, NULL, NULL, NULL, k) == 1 && EVP_DigestVerify(c, signature, SIGNATURE, p, n) == 1;
  EVP_MD_CTX_reset(c);
  EVP_PKEY_free(k);
  if (!good) ERR_clear_error();
  return good;
}

int trust_secret(const char *file, unsigned char out[32], struct err *err) {
  unsigned char fresh[32];
  size_t n;
  int there = owner_only(file, err);
  if (there == 0) {
    random_bytes(fresh, sizeof fresh);
    there = make_once(file, fresh, sizeof fresh, err) == 0 ? owner_only(file, err) : -1;
    explicit_bzero(fresh, sizeof fresh);
  }
  if (there != 1) return -1;
  char *text = file_read(file, 4096, &n, err);
  if (text == NULL) return -1;
  int rc = n == 32 ? 0 : err_set(err, ERR_INVALID, "%s should hold 32 bytes; put the right file back", file);
  if (rc == 0) memcpy(out, text, 32);
  explicit_bzero(text, n);
  free(text);
  return rc;
}
