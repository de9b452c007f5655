/* What the tests of exchange share: a signing key, messages, bodies. */
#ifndef EXCHANGE_KIT_H
#define EXCHANGE_KIT_H

#define KIT_FAILED(rc) ((rc) != 0)
#include "kit.h"
#include "exchange/signature.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* A P-256 key in memory that signs as the helper would. */
struct kit_key { EVP_PKEY *key; unsigned char spki[128]; size_t size; char keyid[65]; };

static inline int kit_sign(void *ctx, enum exchange_key which, const unsigned char *digest, size_t n, unsigned char der[80], size_t *size, struct err *err) {
  struct kit_key *k = ctx;
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k->key, NULL);
  *size = 80;
  int rc = which == EXCHANGE_KEY_SIGN && EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_sign(c, der, size, digest, n) == 1 ? 0 : -1;
  EVP_PKEY_CTX_free(c);
  return rc == 0 ? 0 : err_set(err, ERR_INTERNAL, "no signature");
}

static inline void kit_key(struct kit_key *k) {
  unsigned char *p = k->spki, hash[32];
  k->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
  k->size = (size_t)i2d_PUBKEY(k->key, &p);
  sha256(k->spki, k->size, hash);
  hex_encode(hash, 32, k->keyid);
}

static inline struct exchange_signer kit_signer(struct kit_key *k) { return (struct exchange_signer){kit_sign, k}; }

static inline struct http_content kit_content(const char *text) { return (struct http_content){(char *)(uintptr_t)text, -1, (int64_t)strlen(text)}; }

/* lines: "Name: value\n…" */
static inline void kit_message(struct message *m, struct arena *a, const char *method, const char *uri, int status, const char *lines, const struct http_content *body) {
  *m = (struct message){.method = method, .target_uri = uri, .status = status, .arena = a, .content = body};
  char *copy = base_strdup(lines), *save = NULL;
  for (char *line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
    char *colon = strchr(line, ':');
    *colon = '\0';
    must(message_add(m, line, colon + 1 + strspn(colon + 1, " "), err));
  }
  free(copy);
}

/* One exchange as both of its messages, logged by the side of who asks: of a gateway that stands for KHR/GOV/1/ask and /tell. */
static inline void kit_exchanged(struct exchange *x, const char *id, const char *content, bool digest_only) {
  struct arena *a = arena_new(1 << 20);
  struct http_content asked = kit_content(content), told = kit_content("{\"owner\":\"x\"}");
  struct message q, r;
  struct exchange_signer by;
  struct exchange_id client, service;
  const char *base, *second;
  char keyid[65], *lines = base_printf("X-Road-Client: KHR/GOV/1/ask\nX-Road-Id: %s\nX-Road-UserId: clerk", id), *answer = base_printf("X-Road-Id: %s", id);
  must(exchange_id_parse("KHR/GOV/1/ask", 4, 4, &client, err));
  must(exchange_id_parse("KHR/GOV/1/tell/parcels", 5, 5, &service, err));
  keys_signer(x->keys, &by, keyid);
  struct evidence *e = evidence_begin(x);
  struct kept k = {.side = SIDE_CONSUMER, .message_id = id, .client = &client, .service = &service, .keyid = keyid, .digest_only = digest_only, .at = clock_now()};
  kit_message(&q, a, "POST", "https://127.0.0.1:5500/r1/KHR/GOV/1/tell/parcels", 0, lines, &asked);
  must(signature_make(&q, NULL, &by, keyid, clock_now(), &base, err));
  k.message = &q;
  k.base = base;
  must(evidence_put(e, &k, err));
  kit_message(&r, a, NULL, NULL, 200, answer, &told);
  must(signature_make(&r, &q, &by, keyid, clock_now(), &second, err));
  k.message = &r;
  k.base = second;
  must(evidence_put(e, &k, err));
  must(evidence_wait(e, err));
  evidence_end(e);
  free(lines);
  free(answer);
  arena_free(a);
}

#endif
