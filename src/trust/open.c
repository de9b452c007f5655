#include "trust/inside.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_key(const char *file, struct err *err) {
  EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  BIO *out = BIO_new(BIO_s_mem());
  char *text = NULL;
  long n = 0;
  int rc = -1;
  if (key && out && PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 && (n = BIO_get_mem_data(out, &text)) > 0)
    rc = file_write(file, text, (size_t)n, 0600, err);
  else err_set(err, ERR_INTERNAL, "no key could be made");
  BIO_free(out);
  EVP_PKEY_free(key);
  return rc;
}

static int load_key(struct trust *t, const char *file, struct err *err) {
  struct stat st;
  size_t n = 0, size = 32;
  if (access(file, F_OK) && make_key(file, err)) return -1;
  if (stat(file, &st) == 0 && (st.st_mode & 077)) return err_set(err, ERR_FORBIDDEN, "%s may be read by others: chmod 600 it", file);
  char *text = file_read(file, 16 * 1024, &n, err);
  if (!text) return -1;
  BIO *in = BIO_new_mem_buf(text, (int)n);
  t->key = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;
  BIO_free(in);
  explicit_bzero(text, n);
  free(text);
  if (!t->key || EVP_PKEY_id(t->key) != EVP_PKEY_ED25519 || EVP_PKEY_get_raw_public_key(t->key, t->public_key, &size) != 1)
    return err_set(err, ERR_INVALID, "%s is not an Ed25519 key", file);
  return 0;
}

/* The key's id and the verifier key follow from the log's name. */
static void name_key(struct trust *t) {
  unsigned char raw[33], hash[32];
  struct buf b = {0};
  raw[0] = 1;
  memcpy(raw + 1, t->public_key, 32);
  buf_adds(&b, t->origin);
  buf_addc(&b, '\n');
  buf_add(&b, raw, 33);
  sha256(b.data, b.len, hash);
  buf_free(&b);
  memcpy(t->key_id, hash, 4);
  hex_encode(hash, 4, t->key_hex);
  char *key = base64_encode(raw, 33);
  free(t->vkey);
  t->vkey = base_printf("%s+%s+%s", t->origin, t->key_hex, key);
  free(key);
}

int trust_open(struct store *s, const struct trust_options *o, struct trust **out, struct err *err) {
  if (!o->origin || !o->origin[0] || strpbrk(o->origin, " +\n\r\t") || strlen(o->origin) > 200)
    return err_set(err, ERR_INVALID, "the ledger's name holds neither spaces nor '+'");
  struct trust *t = base_alloc(sizeof *t);
  t->store = s;
  t->name = base_strdup(o->origin);
  t->node = base_strdup(o->node ? o->node : "node");
  t->tsa_url = base_strdup(o->tsa_url);
  t->tsa_ca = base_strdup(o->tsa_ca_file);
  t->post = o->post;
  t->post_ctx = o->post_ctx;
  t->head_file = base_printf("%s.head", o->key_file);
  if (load_key(t, o->key_file, err) || head_open(t, err)) {
    trust_close(t);
    return -1;
  }
  name_key(t);
  *out = t;
  return 0;
}

void trust_close(struct trust *t) {
  if (!t) return;
  EVP_PKEY_free(t->key);
  free(t->origin);
  free(t->name);
  free(t->vkey);
  free(t->head_file);
  free(t->node);
  free(t->tsa_url);
  free(t->tsa_ca);
  free(t);
}

const char *trust_key_id(const struct trust *t) { return t->key_hex; }
const char *trust_public_key(const struct trust *t) { return t->vkey; }
const char *trust_origin(const struct trust *t) { return t->origin; }

int trust_secret(const char *file, unsigned char out[32], struct err *err) {
  if (access(file, F_OK)) {
    random_bytes(out, 32);
    return file_write(file, out, 32, 0600, err);
  }
  size_t n = 0;
  char *text = file_read(file, 64, &n, err);
  if (!text) return -1;
  int rc = n == 32 ? 0 : err_set(err, ERR_INVALID, "%s is damaged: it must hold 32 bytes", file);
  if (rc == 0) memcpy(out, text, 32);
  explicit_bzero(text, n);
  free(text);
  return rc;
}
