/* The key helper: a process of our own binary that holds the private keys and does nothing but sign. It is told what it is by its argv[0], so
 * that every program with this room in it (chapar, the unit tests) can start it. */
#define OPENSSL_SUPPRESS_DEPRECATED /* ECDSA_do_sign: what EVP_PKEY_sign calls, without what it does around it */
#include "exchange/helper.h"
#include "base/bytes.h"
#include "exchange/signature.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char helper_name[] = "chapar-keys";

enum { CHANNEL = CHILD_CHANNEL, INCOMING = 64 * 1024 };

struct held {
  EVP_PKEY *key;
  const EC_KEY *ec;                      /* the same key, of those that sign by ECDSA */
  unsigned char id[32], public[128];
  int size;
};
static struct held keys[SLOT_COUNT];

static int complain(const char *what, const char *name) { return child_complain("key helper", what, name); }

static int no_password(char *buf, int size, int writing, void *ctx) { return -1; }

/* 0: it refused. */
static size_t sign(const struct held *h, const unsigned char *digest, size_t n, unsigned char der[80]) {
  unsigned char raw[64];
  ECDSA_SIG *sig = h->ec ? ECDSA_do_sign(digest, (int)n, (EC_KEY *)(uintptr_t)h->ec) : NULL;
  bool good = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32) == 32 && BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32) == 32;
  ECDSA_SIG_free(sig);
  return good ? signature_to_der(raw, der) : 0;
}

static int load(const char *folder, int slot) {
  char path[4200];
  struct stat st;
  unsigned char *p = NULL;
  struct held *h = &keys[slot];
  snprintf(path, sizeof path, "%s/%s.pem", folder, helper_slots[slot]);
  if (stat(path, &st)) return errno == ENOENT ? 0 : complain("cannot read", path);
  if (!S_ISREG(st.st_mode) || (st.st_mode & 077)) return complain("others may read it (chmod 600, and replace the key if they could have):", path);
  BIO *bio = BIO_new_file(path, "r");
  h->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
  BIO_free(bio);
  bool good = h->key && EVP_PKEY_is_a(h->key, slot == SLOT_WITNESS ? "ED25519" : "EC");
  h->size = good ? i2d_PUBKEY(h->key, &p) : 0;
  if (!good || h->size <= 0 || h->size > (int)sizeof h->public) return complain("no key of the wanted kind in", path);
  memcpy(h->public, p, (size_t)h->size);
  OPENSSL_free(p);
  EVP_Digest(h->public, (size_t)h->size, h->id, NULL, EVP_sha256(), NULL);
  if (slot == SLOT_WITNESS) return 0;
  h->ec = EVP_PKEY_get0_EC_KEY(h->key);
  unsigned char digest[32] = {1}, der[80]; /* once before the doors are shut: whatever the library still wants to load */
  return sign(h, digest, sizeof digest, der) ? 0 : complain("cannot sign with", path);
}

static const struct held *find(const unsigned char id[32], bool witness) {
  for (int i = 0; i < SLOT_COUNT; i++)
    if (keys[i].key && (i == SLOT_WITNESS) == witness && memcmp(keys[i].id, id, 32) == 0) return &keys[i];
  return NULL;
}

/* ---- its one work ---- */

static size_t list(unsigned char out[HELPER_DATA]) {
  size_t n = 0;
  for (int i = 0; i < SLOT_COUNT; i++) {
    const struct held *h = &keys[i];
    if (!h->key || n + 2 + (size_t)h->size > HELPER_DATA) continue;
    out[n++] = (unsigned char)i;
    out[n++] = (unsigned char)h->size;
    memcpy(out + n, h->public, (size_t)h->size);
    n += (size_t)h->size;
  }
  return n;
}

static size_t cosign(const struct held *h, const struct asked *q, unsigned char out[HELPER_DATA]) {
  size_t n = 64;
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  bool good = c && EVP_DigestSignInit(c, NULL, NULL, NULL, h->key) == 1 && EVP_DigestSign(c, out, &n, q->data, q->size) == 1;
  EVP_MD_CTX_free(c);
  return good ? n : 0;
}

static size_t answer(const struct asked *q, unsigned char frame[HELPER_FRAME]) {
  unsigned char data[HELPER_DATA];
  size_t n;
  if (q->op == HELPER_LIST) return helper_answer(frame, q->id, HELPER_DONE, data, list(data));
  const struct held *h = find(q->key, q->op == HELPER_COSIGN);
  if (!h) return helper_answer(frame, q->id, HELPER_UNKNOWN_KEY, NULL, 0);
  n = q->op == HELPER_COSIGN ? cosign(h, q, data) : sign(h, q->data, q->size, data);
  return n ? helper_answer(frame, q->id, HELPER_DONE, data, n) : helper_answer(frame, q->id, HELPER_REFUSED, NULL, 0);
}

static int flush(const unsigned char *p, size_t n) {
  while (n) {
    ssize_t done = write(CHANNEL, p, n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return -1;
    p += done;
    n -= (size_t)done;
  }
  return 0;
}

/* All that has arrived is signed, then answered in as few writes as it fits. Ends with its channel. */
static int work(void) {
  static unsigned char in[INCOMING], out[INCOMING];
  size_t have = 0, ready = 0;
  for (;;) {
    ssize_t got = read(CHANNEL, in + have, sizeof in - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0 ? 0 : 1;
    have += (size_t)got;
    size_t at = 0, size, used;
    const unsigned char *body;
    int rc;
    while ((rc = helper_frame(in + at, have - at, &body, &size, &used)) == 1) {
      struct asked q;
      if (helper_asked(body, size, &q)) return 1;
      if (ready + HELPER_FRAME > sizeof out) {
        if (flush(out, ready)) return 1;
        ready = 0;
      }
      ready += answer(&q, out + ready);
      at += used;
    }
    if (rc < 0) return 1;
    memmove(in, in + at, have - at);
    have -= at;
    if (ready && flush(out, ready)) return 1;
    ready = 0;
  }
}

static int serve(const char *folder) {
  for (int i = 0; i < SLOT_COUNT; i++)
    if (load(folder, i)) return 1;
  ERR_clear_error();
  close_range(CHANNEL + 1, ~0U, 0);
  if (child_shut("key helper", CHANNEL + 1, NULL, 0)) return 1;
  memory_settle();                       /* of the program and its libraries it needs a small part */
  return work();
}

/* ---- making a key: another process of the same program, which ends when the file is there ---- */

static X509 *certify(EVP_PKEY *key, const char *name, const char *host) {
  X509 *x = X509_new();
  unsigned char serial[16], ip[16];
  random_bytes(serial, sizeof serial);
  serial[0] &= 0x7f;
  BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
  X509_NAME *subject = X509_NAME_new();
  bool good = x && number && subject && X509_set_version(x, 2) && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) && X509_gmtime_adj(X509_getm_notBefore(x), -86400) &&
              X509_time_adj_ex(X509_getm_notAfter(x), 3653, 0, NULL) && X509_set_pubkey(x, key) &&
              X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)(utf8_length(name) <= 64 ? name : "chapar gateway"), -1, -1, 0) &&
              X509_set_subject_name(x, subject) && X509_set_issuer_name(x, subject);
  if (good && host[0]) {
    bool address = inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1;
    char *alt = base_printf("%s:%s", address ? "IP" : "DNS", host);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);
    good = e && X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    free(alt);
  }
  good = good && X509_sign(x, key, EVP_sha256()) > 0;
  X509_NAME_free(subject);
  BN_free(number);
  if (good) return x;
  X509_free(x);
  return NULL;
}

static int save(const char *path, BIO *bio, unsigned mode) {
  char *text;
  long n = BIO_get_mem_data(bio, &text);
  struct err err;
  return file_write(path, text, (size_t)n, mode, &err) ? complain(err.message, "") : 0;
}

/* chapar-keys make FOLDER SLOT [SERVER HOST]: SERVER and HOST for a key of TLS, which gets a certificate of its own beside it. */
static int make(int argc, char **argv) {
  const char *slot = argv[3];
  char *path = base_printf("%s/%s.pem", argv[2], slot);
  bool witness = strcmp(slot, helper_slots[SLOT_WITNESS]) == 0;
  EVP_PKEY *key = NULL;
  BIO *bio = BIO_new(BIO_s_secmem()), *public = BIO_new(BIO_s_mem());
  X509 *x = NULL;
  int rc = -1;
  if (access(path, F_OK) == 0) complain("there is a key already:", path);
  else {
    key = witness ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    rc = key && bio && public && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) ? 0 : complain("no key could be made for", path);
  }
  if (rc == 0 && argc > 5) {
    char *file = base_printf("%s/%s.crt", argv[2], slot);
    x = certify(key, argv[4], argv[5]);
    rc = x && PEM_write_bio_X509(public, x) ? save(file, public, 0644) : complain("no certificate could be made for", argv[5]);
    free(file);
  }
  if (rc == 0) rc = save(path, bio, 0600);
  X509_free(x);
  BIO_free(bio);
  BIO_free(public);
  EVP_PKEY_free(key);
  free(path);
  return rc ? 1 : 0;
}

/* Before main, and before any thread. */
__attribute__((constructor)) static void become_helper(int argc, char **argv) {
  if (argc < 3 || strcmp(argv[0], helper_name) != 0) return;
  if (strcmp(argv[1], "serve") == 0) _exit(serve(argv[2]));
  if (strcmp(argv[1], "make") == 0 && argc > 3) _exit(make(argc, argv));
  _exit(2);
}
