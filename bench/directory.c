/* What a gateway's directory and keys cost: bench-directory [MEMBERS]. Loading a signed directory (parsed, keys hashed, signature verified, sorted),
 * one look-up, and a signature through the key helper beside the same in this process. */
#include "exchange/keys.h"
#include "exchange/members.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SIGNATURES = 20000 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int rc, const struct err *err) {
  if (rc >= 0) return;
  fprintf(stderr, "bench-directory: %s\n", err->message);
  exit(1);
}

/* ---- a directory of so many members, each with a subsystem and a gateway ---- */

static EVP_PKEY *key_new(char keyid[65], char **public) {
  EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
  unsigned char *der = NULL, hash[32];
  int n = i2d_PUBKEY(k, &der);
  sha256(der, (size_t)n, hash);
  hex_encode(hash, 32, keyid);
  *public = base64_encode(der, (size_t)n);
  OPENSSL_free(der);
  return k;
}

static int sign_here(void *ctx, const unsigned char digest[32], unsigned char der[80], size_t *size, struct err *err) {
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(ctx, NULL);
  *size = 80;
  int good = EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_sign(c, der, size, digest, 32) == 1;
  EVP_PKEY_CTX_free(c);
  return good ? 0 : -1;
}

static char *directory_of(int count, EVP_PKEY *operator, const char *operator_id, const char *operator_public, size_t *n) {
  json_t *doc = json_pack("{s:s,s:s,s:i,s:s,s:{s:s,s:[{s:s,s:s}]},s:[],s:[],s:[]}", "type", "chapar-directory-v1", "instance", "KHR", "version", 1, "issued_at", "2026-11-26T00:00:00Z", "operator", "server",
                          "KHR/GOV/0/platform", "keys", "keyid", operator_id, "public_key", operator_public, "members", "gateways", "groups");
  for (int i = 0; i < count; i++) {
    char id[40], below[60], server[60], address[60], keyid[65], *public, hex[65];
    unsigned char mark[32];
    EVP_PKEY *k = key_new(keyid, &public);
    random_bytes(mark, sizeof mark);
    hex_encode(mark, 32, hex);
    snprintf(id, sizeof id, "KHR/GOV/%d", i);
    snprintf(below, sizeof below, "%s/registry", id);
    snprintf(server, sizeof server, "%s/ss1", id);
    snprintf(address, sizeof address, "https://gateway-%d.example:5500", i);
    json_array_append_new(json_object_get(doc, "members"), json_pack("{s:s,s:{s:s,s:s}}", "id", id, "name", "fa", "سازمان نمونه استان", "en", "An organisation of the province"));
    json_array_append_new(json_object_get(doc, "members"), json_pack("{s:s,s:{s:s,s:s}}", "id", below, "name", "fa", "سامانه نمونه", "en", "A system"));
    json_array_append_new(json_object_get(doc, "gateways"),
                          json_pack("{s:s,s:s,s:s,s:[{s:s,s:s,s:s}],s:[{s:s}]}", "id", server, "address", address, "witness", "", "keys", "keyid", keyid, "public_key", public, "from", "2026-11-01T00:00:00Z",
                                    "certificates", "sha256", hex));
    free(public);
    EVP_PKEY_free(k);
  }
  struct err err;
  char *text = signed_make(doc, operator_id, sign_here, operator, n, &err);
  json_decref(doc);
  return text;
}

static void load(int count) {
  char keyid[65], *public;
  EVP_PKEY *k = key_new(keyid, &public);
  size_t n;
  struct err err;
  struct members *m;
  struct signed_line line;
  unsigned char der[128];
  size_t der_size;
  char *text = directory_of(count, k, keyid, public, &n);
  base64_decode(public, strlen(public), der, sizeof der, &der_size);
  double best = 1e9;
  for (int round = 0; round < 5; round++) {
    double began = now();
    must(signed_read(text, n, &line, &err), &err);
    if (!signed_true(&line, der, der_size)) abort();
    must(members_read(text, n, &m, &err), &err);
    double took = now() - began;
    if (took < best) best = took;
    if (round < 4) members_drop(m);
  }
  struct exchange_id id;
  must(exchange_id_parse("KHR/GOV/4321/registry", 4, 4, &id, &err), &err);
  double began = now();
  int known = 0;
  for (int i = 0; i < 1000000; i++) known += members_known(m, &id, 4);
  double each = (now() - began);
  printf("directory   %d members, as many subsystems and gateways: %.1f MiB, loaded in %.0f ms (limit 1,000 ms); one look-up %.2f us%s\n", count, (double)n / 1048576, best * 1e3, each, known ? "" : " (not found)");
  members_drop(m);
  free(text);
  free(public);
  EVP_PKEY_free(k);
}

/* ---- signatures ---- */

struct signing { struct exchange_signer s; int count; };

static void *sign_on(void *arg) {
  struct signing *q = arg;
  unsigned char digest[32] = {1}, der[80];
  size_t n;
  struct err err;
  for (int i = 0; i < q->count; i++) must(q->s.sign(q->s.ctx, EXCHANGE_KEY_SIGN, digest, 32, der, &n, &err), &err);
  return NULL;
}

static double through(struct keys *k, int threads) {
  struct signing q = {.count = SIGNATURES / threads};
  char keyid[65];
  pthread_t t[64];
  keys_signer(k, &q.s, keyid);
  double began = now();
  for (int i = 0; i < threads; i++) pthread_create(&t[i], NULL, sign_on, &q);
  for (int i = 0; i < threads; i++) pthread_join(t[i], NULL);
  return (now() - began) / SIGNATURES * 1e6;
}

static void sign(void) {
  char dir[] = "/tmp/bench-directory-XXXXXX", keyid[65], *public;
  struct err err;
  struct keys *keys;
  unsigned char digest[32] = {1}, der[80];
  if (!mkdtemp(dir)) abort();
  EVP_PKEY *k = key_new(keyid, &public);
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k, NULL);
  EVP_PKEY_sign_init(c);
  double began = now();
  for (int i = 0; i < SIGNATURES; i++) {
    size_t n = sizeof der;
    if (EVP_PKEY_sign(c, der, &n, digest, 32) != 1) abort();
  }
  double here = (now() - began) / SIGNATURES * 1e6;
  char *folder = base_printf("%s/gateway", dir);
  must(exchange_init(&(struct exchange_init){.folder = folder, .server = "KHR/GOV/1/ss1", .address = "https://127.0.0.1:5500"}, &err), &err);
  must(keys_open(folder, &keys, &err), &err);
  through(keys, 4);
  printf("signature   in this process %.1f us; through the key helper %.1f us one at a time, %.1f us with 4 threads, %.1f us with 16, %.1f us with 64\n", here, through(keys, 1), through(keys, 4), through(keys, 16),
         through(keys, 64));
  keys_close(keys);
  EVP_PKEY_CTX_free(c);
  EVP_PKEY_free(k);
  free(public);
  static const char *const left[] = {"keys/sign.pem", "keys/tls.pem", "keys/tls.crt", "keys/witness.pem", "keys", "gateway.json", ""};
  for (size_t i = 0; i < BASE_COUNT(left); i++) {
    char *path = base_printf("%s/%s", folder, left[i]);
    remove(path);
    free(path);
  }
  remove(dir);
  free(folder);
}

int main(int argc, char **argv) {
  load(argc > 1 ? atoi(argv[1]) : 5000);
  sign();
  return 0;
}
