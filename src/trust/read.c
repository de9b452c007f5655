#include "trust/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *hashes_json(unsigned char (*path)[32], int count) {
  json_t *a = json_array();
  char hex[65];
  for (int i = 0; i < count; i++) {
    hex_encode(path[i], 32, hex);
    json_array_append_new(a, json_string(hex));
  }
  return a;
}

struct query {
  struct trust *t;
  int64_t a, b;
  int level, width;
  const unsigned char *leaf;
  json_t *out;
  char *text;
  unsigned char *bytes;
  size_t size;
  int64_t number;
};

static int size_work(struct store_tx *tx, void *arg, struct err *err) {
  struct query *q = arg;
  return store_value(tx, &q->number, 0, err, "SELECT tree_size FROM ledger_head ORDER BY tree_size DESC LIMIT 1", "");
}

int trust_size(struct trust *t, int64_t *size, struct err *err) {
  struct query q = {.t = t};
  if (store_read(t->store, size_work, &q, err)) return -1;
  *size = q.number;
  return 0;
}

/* An empty log has a head too, signed when it is asked for. */
static int whole_checkpoint(struct trust *t, struct store_tx *tx, struct head *h, char **text, struct err *err) {
  struct buf b = {0};
  if (h->size) {
    buf_adds(&b, h->checkpoint);
    if (lines_of(tx, h->size, &b, err)) {
      buf_free(&b);
      return -1;
    }
    *text = buf_take(&b);
    return 0;
  }
  sha256("", 0, h->root);
  char *root = base64_encode(h->root, 32), *body = base_printf("%s\n0\n%s\n", t->origin, root);
  int rc = note_sign(t, body, text, err);
  free(root);
  free(body);
  return rc;
}

static int head_work(struct store_tx *tx, void *arg, struct err *err) {
  struct query *q = arg;
  struct head h;
  char hex[65], at[32];
  int rc = -1;
  free(q->text);
  q->text = NULL;
  if (head_newest(tx, &h, err) || whole_checkpoint(q->t, tx, &h, &q->text, err)) goto out;
  json_decref(q->out);
  q->out = json_object();
  hex_encode(h.root, 32, hex);
  clock_rfc3339_ms(h.at ? h.at : clock_now(), at);
  json_object_set_new(q->out, "tree_size", json_integer(h.size));
  json_put(q->out, "root_hash", hex);
  json_put(q->out, "timestamp", at);
  json_put(q->out, "checkpoint", q->text);
  if (h.stamp) {
    char *stamp = base64_encode(h.stamp, h.stamp_size);
    json_put(q->out, "timestamp_token", stamp);
    free(stamp);
  }
  rc = 0;
out:
  head_free(&h);
  return rc;
}

int trust_head(struct trust *t, json_t **out, struct err *err) {
  struct query q = {.t = t};
  int rc = store_read(t->store, head_work, &q, err);
  free(q.text);
  if (rc == 0) *out = q.out;
  else json_decref(q.out);
  return rc;
}

int trust_checkpoint(struct trust *t, char **text, struct err *err) {
  struct query q = {.t = t};
  int rc = store_read(t->store, head_work, &q, err);
  json_decref(q.out);
  if (rc == 0) *text = q.text;
  else free(q.text);
  return rc;
}

static int proof_work(struct store_tx *tx, void *arg, struct err *err) {
  struct query *q = arg;
  struct tiles *t = base_alloc(sizeof *t);
  unsigned char path[64][32];
  const unsigned char *bytes;
  size_t size;
  int count = 0, rc = -1;
  char hex[65];
  t->tx = tx;
  if (size_work(tx, q, err)) goto out;
  if (q->b < 1 || q->b > q->number || q->a < 0 || q->a >= q->b) {
    err_set(err, ERR_INVALID, "leaf must be below tree_size, and tree_size at most %lld", (long long)q->number);
    goto out;
  }
  if (merkle_path(t, q->a, q->b, path, &count, err) || tile_read(t, 0, q->a / TILE, &bytes, &size, err)) goto out;
  hex_encode(bytes + (q->a % TILE) * 32, 32, hex);
  json_decref(q->out);
  q->out = json_object();
  json_put(q->out, "leaf_hash", hex);
  json_object_set_new(q->out, "audit_path", hashes_json(path, count));
  rc = 0;
out:
  free(t);
  return rc;
}

static int finish(struct query *q, int rc, json_t **out) {
  if (rc == 0) *out = q->out;
  else json_decref(q->out);
  return rc;
}

int trust_proof(struct trust *t, int64_t leaf, int64_t tree_size, json_t **out, struct err *err) {
  struct query q = {.t = t, .a = leaf, .b = tree_size};
  return finish(&q, store_read(t->store, proof_work, &q, err), out);
}

static int consistency_work(struct store_tx *tx, void *arg, struct err *err) {
  struct query *q = arg;
  struct tiles *t = base_alloc(sizeof *t);
  unsigned char path[128][32];
  int count = 0, rc = -1;
  t->tx = tx;
  if (size_work(tx, q, err)) goto out;
  if (q->a < 0 || q->a > q->b || q->b > q->number) {
    err_set(err, ERR_INVALID, "first must not be above second, and second at most %lld", (long long)q->number);
    goto out;
  }
  if (merkle_consistency(t, q->a, q->b, path, &count, err)) goto out;
  json_decref(q->out);
  q->out = json_object();
  json_object_set_new(q->out, "consistency_path", hashes_json(path, count));
  rc = 0;
out:
  free(t);
  return rc;
}

int trust_consistency(struct trust *t, int64_t first, int64_t second, json_t **out, struct err *err) {
  struct query q = {.t = t, .a = first, .b = second};
  return finish(&q, store_read(t->store, consistency_work, &q, err), out);
}

static int tile_work(struct store_tx *tx, void *arg, struct err *err) {
  struct query *q = arg;
  struct tiles *t = base_alloc(sizeof *t);
  const unsigned char *bytes;
  size_t size;
  int rc = -1;
  t->tx = tx;
  if (size_work(tx, q, err)) goto out;
  int64_t at_level = q->level < 8 ? q->number >> (8 * q->level) : 0;
  if (q->a >= (INT64_C(1) << 40) || q->a * TILE + q->width > at_level) {
    err_set(err, ERR_NOT_FOUND, "no such tile");
    goto out;
  }
  if (tile_read(t, q->level, q->a, &bytes, &size, err)) goto out;
  if (size < (size_t)q->width) {
    err_set(err, ERR_INTERNAL, "a tile is short");
    goto out;
  }
  free(q->bytes);
  q->size = (size_t)q->width * 32;
  q->bytes = base_alloc(q->size);
  memcpy(q->bytes, bytes, q->size);
  rc = 0;
out:
  free(t);
  return rc;
}

int trust_tile(struct trust *t, int level, int64_t n, int width, unsigned char **out, size_t *size, struct err *err) {
  struct query q = {.t = t, .level = level, .a = n, .width = width};
  if (level < 0 || level > 63 || n < 0 || width < 1 || width > TILE) return err_set(err, ERR_NOT_FOUND, "no such tile");
  if (store_read(t->store, tile_work, &q, err)) {
    free(q.bytes);
    return -1;
  }
  *out = q.bytes;
  *size = q.size;
  return 0;
}

int trust_index_tx(struct store_tx *tx, const unsigned char leaf_hash[TRUST_HASH], int64_t *index, struct err *err) {
  return store_value(tx, index, -1, err, "SELECT idx FROM ledger_place WHERE leaf_hash=?1", "b", (const void *)leaf_hash, (size_t)32);
}

static int index_work(struct store_tx *tx, void *arg, struct err *err) {
  struct query *q = arg;
  return trust_index_tx(tx, q->leaf, &q->number, err);
}

int64_t trust_index(struct trust *t, const unsigned char leaf_hash[TRUST_HASH]) {
  struct query q = {.t = t, .leaf = leaf_hash, .number = -1};
  return store_read(t->store, index_work, &q, NULL) ? -1 : q.number;
}

/* ---- promises and receipts ---- */

static char *promise_text(const char *origin, const char *hex, const char *at, const char *by) {
  return base_printf("chapar-promise-v1\n%s\n%s\n%s\n%s\n", origin, hex, at, by);
}

json_t *trust_promise(const struct trust *t, const unsigned char leaf_hash[TRUST_HASH], int64_t at) {
  char when[32], by[32], hex[65];
  unsigned char sig[64];
  json_t *o = json_object();
  clock_rfc3339_ms(at, when);
  clock_rfc3339_ms(at + TRUST_MERGE_MS, by);
  hex_encode(leaf_hash, 32, hex);
  char *text = promise_text(t->origin, hex, when, by);
  if (ed25519_sign(t->key, text, strlen(text), sig)) memset(sig, 0, sizeof sig);
  char *b64 = base64_encode(sig, 64);
  json_put(o, "at", when);
  json_put(o, "merge_by", by);
  json_put(o, "key_id", t->key_hex);
  json_put(o, "signature", b64);
  free(b64);
  free(text);
  return o;
}

static int receipt_work(struct store_tx *tx, void *arg, struct err *err) {
  struct query *q = arg;
  struct tiles *t = NULL;
  struct head h;
  unsigned char path[64][32];
  int count = 0, rc = -1;
  free(q->text);
  q->text = NULL;
  json_decref(q->out);
  q->out = NULL;
  if (trust_index_tx(tx, q->leaf, &q->number, err) || head_newest(tx, &h, err)) return -1;
  if (q->number < 0 || q->number >= h.size) {
    rc = 0;
    goto out;
  }
  t = base_alloc(sizeof *t);
  t->tx = tx;
  if (merkle_path(t, q->number, h.size, path, &count, err) || whole_checkpoint(q->t, tx, &h, &q->text, err)) goto out;
  q->out = json_object();
  json_object_set_new(q->out, "leaf_index", json_integer(q->number));
  json_object_set_new(q->out, "tree_size", json_integer(h.size));
  json_object_set_new(q->out, "audit_path", hashes_json(path, count));
  json_put(q->out, "checkpoint", q->text);
  if (h.stamp) {
    char *stamp = base64_encode(h.stamp, h.stamp_size);
    json_put(q->out, "timestamp_token", stamp);
    free(stamp);
  }
  rc = 0;
out:
  head_free(&h);
  free(t);
  return rc;
}

int trust_receipt(struct trust *t, const unsigned char leaf_hash[TRUST_HASH], int64_t at, json_t **out, struct err *err) {
  struct query q = {.t = t, .leaf = leaf_hash};
  char hex[65];
  int rc = store_read(t->store, receipt_work, &q, err);
  free(q.text);
  if (rc) {
    json_decref(q.out);
    return -1;
  }
  hex_encode(leaf_hash, 32, hex);
  json_t *o = q.out ? q.out : json_object();
  json_put(o, "leaf_hash", hex);
  json_object_set_new(o, "promise", trust_promise(t, leaf_hash, at));
  json_put(o, "log_key", t->vkey);
  *out = o;
  return 0;
}

/* ---- checking a receipt by itself ---- */

static int check_promise(const json_t *promise, const char *origin, const char *hex, const unsigned char pub[32], const char *id, struct err *err) {
  unsigned char sig[64];
  size_t n = 0;
  const char *at = json_str(promise, "at"), *by = json_str(promise, "merge_by"), *key = json_str(promise, "key_id"), *b64 = json_str(promise, "signature");
  if (!at || !by || !key || !b64 || strlen(at) > 40 || strlen(by) > 40) return err_set(err, ERR_MALFORMED, "the promise is not whole");
  if (strcmp(key, id) != 0) return err_set(err, ERR_INVALID, "the promise was signed by another key (%s)", key);
  if (base64_decode(b64, strlen(b64), sig, sizeof sig, &n) || n != 64) return err_set(err, ERR_MALFORMED, "the promise's signature is malformed");
  char *text = promise_text(origin, hex, at, by);
  int rc = ed25519_verify(pub, text, strlen(text), sig) ? err_set(err, ERR_INVALID, "the promise's signature is wrong") : 0;
  free(text);
  return rc;
}

static int check_inclusion(const json_t *r, const char *hex, const char *vkey, const char *origin, struct err *err) {
  unsigned char path[64][32], leaf[32], root[32];
  const char *note = json_str(r, "checkpoint");
  const json_t *list = json_object_get(r, "audit_path");
  char named[256];
  int64_t size = 0;
  size_t count = json_array_size(list);
  if (!note || count > 64 || !json_is_integer(json_object_get(r, "leaf_index")) || !json_is_integer(json_object_get(r, "tree_size")))
    return err_set(err, ERR_MALFORMED, "the proof is not whole");
  for (size_t i = 0; i < count; i++) {
    const char *h = json_string_value(json_array_get(list, i));
    if (!h || strlen(h) != 64 || hex_decode(h, path[i], 32)) return err_set(err, ERR_MALFORMED, "the audit path is malformed");
  }
  if (note_verify(note, vkey, NULL, err)) return -1;
  if (checkpoint_parse(note, named, &size, root) || strcmp(named, origin) != 0) return err_set(err, ERR_INVALID, "the checkpoint is of another log");
  if (size != json_int(r, "tree_size", -1)) return err_set(err, ERR_INVALID, "the checkpoint has another tree size");
  hex_decode(hex, leaf, 32);
  if (merkle_check(leaf, json_int(r, "leaf_index", -1), size, path, (int)count, root)) return err_set(err, ERR_INVALID, "the leaf is not in the tree of the checkpoint");
  return 0;
}

static int check_leaf(const json_t *leaf, const char *hex, struct err *err) {
  unsigned char salt[32], digest[32], hash[32];
  char got[65];
  const char *header = json_str(leaf, "header"), *s = json_str(leaf, "salt"), *payload = json_str(leaf, "payload");
  if (!header || !s || !payload || strlen(s) != 64 || hex_decode(s, salt, 32)) return err_set(err, ERR_MALFORMED, "the leaf is not whole");
  trust_leaf(header, salt, payload, strlen(payload), digest, hash);
  hex_encode(hash, 32, got);
  return strcmp(got, hex) == 0 ? 0 : err_set(err, ERR_INVALID, "the leaf's bytes do not give the receipt's leaf hash");
}

static int check_stamp(const json_t *r, const char *ca, char when[64], struct err *err) {
  const char *b64 = json_str(r, "timestamp_token"), *note = json_str(r, "checkpoint");
  unsigned char token[16384];
  size_t n = 0;
  int64_t at = 0;
  if (!b64) return 0;
  if (!note || base64_decode(b64, strlen(b64), token, sizeof token, &n)) return err_set(err, ERR_MALFORMED, "the time-stamp is malformed");
  const char *end = strstr(note, "\n\n");
  if (!end || stamp_verify(token, n, note, (size_t)(end + 1 - note), ca, &at, err)) return -1;
  clock_rfc3339(at, when);
  return 0;
}

int trust_check_receipt(const char *json, size_t n, const char *verifier_key, const char *tsa_ca_file, char **sentence, struct err *err) {
  json_t *r = json_read(json, n, 16, err);
  char *origin = NULL, when[64] = "", id_hex[9];
  unsigned char id[4], alg, pub[32], ignored[32];
  int rc = -1;
  if (!r) return -1;
  const json_t *receipt = json_object_get(r, "receipt") ? json_object_get(r, "receipt") : r; /* the answer to a submission will do */
  const char *hex = json_str(receipt, "leaf_hash"), *key = verifier_key ? verifier_key : json_str(receipt, "log_key");
  bool proof = json_object_get(receipt, "audit_path") != NULL;
  if (!hex || strlen(hex) != 64 || hex_decode(hex, ignored, 32)) {
    err_set(err, ERR_MALFORMED, "this is not a receipt: it has no leaf_hash");
    goto out;
  }
  if (!key) {
    err_set(err, ERR_INVALID, "give the log's key: --key FILE (published at /ledger/key)");
    goto out;
  }
  if (vkey_parse(key, &origin, id, &alg, pub) || alg != 1) {
    err_set(err, ERR_MALFORMED, "the key is not a verifier key of a log");
    goto out;
  }
  hex_encode(id, 4, id_hex);
  if (check_promise(json_object_get(receipt, "promise"), origin, hex, pub, id_hex, err) || (proof && check_inclusion(receipt, hex, key, origin, err)) ||
      (json_object_get(receipt, "leaf") && check_leaf(json_object_get(receipt, "leaf"), hex, err)) || check_stamp(receipt, tsa_ca_file, when, err))
    goto out;
  const json_t *promise = json_object_get(receipt, "promise");
  *sentence = proof ? base_printf("The receipt is true: promised at %s, and leaf %lld of the log %s at size %lld%s%s.%s", json_str(promise, "at"),
                                  (long long)json_int(receipt, "leaf_index", 0), origin, (long long)json_int(receipt, "tree_size", 0), when[0] ? ", time-stamped " : "", when,
                                  verifier_key ? "" : " The key is the one that the receipt names: compare it with the one that the province publishes.")
                    : base_printf("The promise is true: the log %s promised at %s to hold this leaf by %s. Fetch the receipt again for the proof.", origin, json_str(promise, "at"), json_str(promise, "merge_by"));
  rc = 0;
out:
  free(origin);
  json_decref(r);
  return rc;
}
