/* Signed promises: this leaf will be in the log by then. */
#include "trust/inner.h"
#include <stdlib.h>
#include <string.h>

static char *promise_text(const char *origin, const unsigned char *leaf_hash, const char *at, const char *merge_by) {
  char hex[2 * TRUST_HASH + 1];
  hex_encode(leaf_hash, TRUST_HASH, hex);
  return base_printf("chapar-promise-v1\n%s\n%s\n%s\n%s\n", origin, hex, at, merge_by);
}

void trust_sign(const struct trust *t, const unsigned char leaf_hash[TRUST_HASH], int64_t at, unsigned char signature[TRUST_SIGNATURE]) {
  char began[32], by[32];
  clock_rfc3339_ms(at, began);
  clock_rfc3339_ms(at + TRUST_MERGE_MS, by);
  char *text = promise_text(trust_name(t)->key.name, leaf_hash, began, by);
  key_sign(&t->key, text, strlen(text), signature);
  free(text);
}

json_t *trust_promise_signed(const struct trust *t, int64_t at, const unsigned char signature[TRUST_SIGNATURE]) {
  char began[32], by[32];
  clock_rfc3339_ms(at, began);
  clock_rfc3339_ms(at + TRUST_MERGE_MS, by);
  char *signature64 = base64_encode(signature, TRUST_SIGNATURE);
  json_t *out = json_object();
  json_put(out, "at", began);
  json_put(out, "merge_by", by);
  json_put(out, "key_id", trust_name(t)->id);
  json_put(out, "signature", signature64);
  free(signature64);
  return out;
}

json_t *trust_promise(const struct trust *t, const unsigned char leaf_hash[TRUST_HASH], int64_t at) {
  unsigned char signature[TRUST_SIGNATURE];
  trust_sign(t, leaf_hash, at, signature);
  return trust_promise_signed(t, at, signature);
}

static bool time_true(const char *text, int64_t *ms) {
  char again[32];
  if (text == NULL || clock_parse(text, ms) != 0) return false;
  clock_rfc3339_ms(*ms, again);
  return strcmp(text, again) == 0;
}

bool promise_check(const json_t *promise, const struct vkey *k, const unsigned char leaf_hash[TRUST_HASH], struct err *err) {
  const char *at = json_str(promise, "at"), *by = json_str(promise, "merge_by"), *id = json_str(promise, "key_id"),
             *code = json_str(promise, "signature");
  unsigned char key_id[4], signature[SIGNATURE];
  int64_t began, ends;
  size_t n = 0;
  if (!json_is_object(promise) || json_object_size(promise) != 4 || at == NULL || by == NULL || id == NULL || code == NULL) {
    err_set(err, ERR_MALFORMED, "the promise of the receipt is not complete");
    return false;
  }
  if (!time_true(at, &began) || !time_true(by, &ends) || ends - began != TRUST_MERGE_MS) {
    err_set(err, ERR_INVALID, "the times of the promise cannot be right");
    return false;
  }
  if (!hex_lower(id, key_id, 4) || memcmp(key_id, k->id, 4) != 0) {
    err_set(err, ERR_INVALID, "the promise names another key than this log's");
    return false;
  }
  bool good = base64_decode(code, strlen(code), signature, sizeof signature, &n) == 0 && n == sizeof signature;
  char *text = promise_text(k->name, leaf_hash, at, by);
  good = good && key_check(k->public, text, strlen(text), signature);
  free(text);
  if (!good) err_set(err, ERR_INVALID, "the signature of the promise is false");
  return good;
}
