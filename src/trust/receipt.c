/* Receipts: made from the store, checked offline. */
#include "trust/inner.h"
#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

struct receipt {
  int64_t generation, at, index;
  const unsigned char *leaf_hash;
  struct head head;
  struct proof proof;
  char *token; /* base64 */
};

static int token_read(struct store_tx *tx, struct receipt *q, struct err *err) {
  struct store_rows *r =
    store_select(tx, err, "SELECT token FROM ledger_stamp WHERE generation = ?1 AND tree_size = ?2", "ii", q->generation, q->head.size);
  if (r == NULL) return -1;
  size_t n = 0;
  int rc = store_next(r, err);
  const void *p = rc == 1 ? store_blob(r, 0, &n) : NULL;
  if (p != NULL) q->token = base64_encode(p, n);
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* The newest time-stamped head that holds the leaf, else the newest. */
static int head_for(struct store_tx *tx, struct receipt *q, struct err *err) {
  int64_t stamped;
  head_clear(&q->head);
  if (store_value(tx, &stamped, 0, err, "SELECT MAX(tree_size) FROM ledger_stamp WHERE generation = ?1", "i", q->generation) != 0)
    return -1;
  if (stamped > q->index && head_of_size(tx, q->generation, stamped, &q->head, err) != 0) return -1;
  if (!q->head.found && head_newest(tx, q->generation, &q->head, err) != 0) return -1;
  if (q->head.found && q->head.size <= q->index) head_clear(&q->head);
  return 0;
}

static int receipt_work(struct store_tx *tx, void *arg, struct err *err) {
  struct receipt *q = arg;
  free(q->token);
  q->token = NULL;
  head_clear(&q->head);
  if (trust_index_tx(tx, q->at, q->leaf_hash, &q->index, err) != 0) return -1;
  if (q->index < 0) return 0;
  if (head_for(tx, q, err) != 0) return -1;
  if (!q->head.found) return 0;
  struct tiles tiles = {.get = tile_read, .ctx = tx};
  int rc = merkle_inclusion(&tiles, q->index, q->head.size, &q->proof, err);
  tiles_free(&tiles);
  if (rc == 0) rc = head_cosigned(tx, q->generation, &q->head, err);
  return rc == 0 ? token_read(tx, q, err) : -1;
}

int trust_receipt(struct trust *t, const unsigned char leaf_hash[TRUST_HASH], int64_t at, json_t **out, struct err *err) {
  struct receipt q = {.generation = trust_name(t)->generation, .at = at, .leaf_hash = leaf_hash};
  char hex[2 * TRUST_HASH + 1];
  *out = NULL;
  int rc = store_read(t->store, receipt_work, &q, err);
  if (rc == 0) {
    hex_encode(leaf_hash, TRUST_HASH, hex);
    *out = json_object();
    json_put(*out, "leaf_hash", hex);
    json_object_set_new(*out, "promise", trust_promise(t, leaf_hash, at));
    json_put(*out, "verifier_key", trust_public_key(t));
  }
  if (rc == 0 && q.head.found) {
    json_object_set_new(*out, "leaf_index", json_integer(q.index));
    json_object_set_new(*out, "tree_size", json_integer(q.head.size));
    json_object_set_new(*out, "audit_path", proof_json(&q.proof));
    json_put(*out, "checkpoint", q.head.checkpoint);
    if (q.token != NULL) json_put(*out, "timestamp_token", q.token);
    json_t *witnesses = NULL;
    rc = trust_cosigners(t, q.index + 1, &witnesses, err); /* of any head that holds the leaf */
    if (rc == 0 && json_array_size(witnesses)) json_object_set(*out, "witnesses", witnesses);
    json_decref(witnesses);
    if (rc != 0) {
      json_decref(*out);
      *out = NULL;
    }
  }
  free(q.token);
  head_clear(&q.head);
  return rc;
}

/* ---- checking ---- */

struct checking {
  const json_t *receipt;
  struct vkey key;
  unsigned char leaf_hash[TRUST_HASH];
  const char *ca_file;
  struct buf said;
};

static int leaf_check(struct checking *c, struct err *err) {
  const json_t *leaf = json_object_get(c->receipt, "leaf");
  if (leaf == NULL) return 0;
  const char *header = json_str(leaf, "header"), *payload = json_str(leaf, "payload");
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], hash[TRUST_HASH];
  if (!json_is_object(leaf) || json_object_size(leaf) != 3 || header == NULL || payload == NULL || strchr(header, '\n') != NULL ||
      !hex_lower(json_str(leaf, "salt"), salt, TRUST_SALT))
    return err_set(err, ERR_MALFORMED, "the leaf in the receipt is not header, salt and payload");
  trust_leaf(header, salt, payload, strlen(payload), digest, hash);
  if (memcmp(hash, c->leaf_hash, TRUST_HASH) != 0)
    return err_set(err, ERR_INVALID, "what the receipt says was written is not what was promised: its hash differs");
  buf_adds(&c->said, " The content shown with it is what was written.");
  return 0;
}

static int path_read(const json_t *list, struct proof *out) {
  size_t n = json_array_size(list);
  out->count = (int)n;
  if (!json_is_array(list) || n > PATH_MOST) return -1;
  for (size_t i = 0; i < n; i++)
    if (!hex_lower(json_string_value(json_array_get(list, i)), out->path[i], TRUST_HASH)) return -1;
  return 0;
}

static int stamp_part(struct checking *c, const struct note *note, struct err *err) {
  const json_t *given = json_object_get(c->receipt, "timestamp_token");
  const struct note_line *own;
  static _Thread_local unsigned char token[NOTE_MOST];
  size_t n = 0;
  int64_t at;
  char when[32];
  if (given == NULL) return 0;
  const char *text = json_string_value(given);
  if (text == NULL || base64_decode(text, strlen(text), token, sizeof token, &n) != 0)
    return err_set(err, ERR_MALFORMED, "the time-stamp of the receipt cannot be read");
  if (note_check(note, &c->key, &own) != 1) return err_set(err, ERR_INVALID, "the checkpoint is not signed by this log's key");
  char *data = checkpoint_stamped(note, own);
  int rc = stamp_check(token, n, data, c->ca_file, &at, err);
  free(data);
  if (rc != 0) return -1;
  clock_rfc3339(at, when);
  buf_addf(&c->said, c->ca_file != NULL ? " A time-stamp authority saw that head at %s." :
           " It carries a time-stamp of %s, whose signature was not checked: the authority's certificate was not given.", when);
  return 0;
}

static int proof_check(struct checking *c, struct err *err) {
  static const char *const parts[] = {"leaf_index", "tree_size", "audit_path", "checkpoint"};
  size_t there = 0;
  for (size_t i = 0; i < BASE_COUNT(parts); i++) there += json_object_get(c->receipt, parts[i]) != NULL;
  if (there == 0 && json_object_get(c->receipt, "timestamp_token") == NULL) {
    buf_adds(&c->said, " It has no proof yet: ask for the receipt again after that time.");
    return 0;
  }
  const char *text = json_str(c->receipt, "checkpoint");
  const json_t *index = json_object_get(c->receipt, "leaf_index"), *size = json_object_get(c->receipt, "tree_size");
  struct proof proof;
  if (text == NULL || !json_is_integer(index) || !json_is_integer(size) ||
      path_read(json_object_get(c->receipt, "audit_path"), &proof) != 0)
    return err_set(err, ERR_MALFORMED, "the proof of the receipt is not complete");
  struct note note;
  struct checkpoint head;
  if (checkpoint_open(text, strlen(text), &c->key, &note, &head, err) != 0) return -1;
  if (head.size != json_integer_value(size))
    return err_set(err, ERR_INVALID, "the receipt and its checkpoint tell of trees of different sizes");
  if (!merkle_check_inclusion(c->leaf_hash, json_integer_value(index), head.size, &proof, head.root))
    return err_set(err, ERR_INVALID, "the proof is false: this leaf is not at that place of the signed tree");
  buf_addf(&c->said, " It stands at place %lld of the log, under a signed head of %lld leaves.", (long long)json_integer_value(index),
           (long long)head.size);
  if (note.count > 1) buf_addf(&c->said, " The head carries %d more signatures, which were not checked.", note.count - 1);
  return stamp_part(c, &note, err);
}

static int known_only(const json_t *receipt, struct err *err) {
  static const char *const known[] = {"leaf_hash",  "promise",    "verifier_key",    "leaf_index", "tree_size",
                                      "audit_path", "checkpoint", "timestamp_token", "leaf", "witnesses"};
  const char *name;
  json_t *value;
  if (!json_is_object(receipt)) return err_set(err, ERR_MALFORMED, "a receipt is a JSON object");
  json_object_foreach((json_t *)(uintptr_t)receipt, name, value) {
    bool found = false;
    for (size_t i = 0; i < BASE_COUNT(known); i++) found = found || strcmp(known[i], name) == 0;
    if (!found) return err_set(err, ERR_MALFORMED, "a receipt has no member \"%.40s\"", name);
  }
  return 0;
}

static int key_find(struct checking *c, const char *given, bool *own, struct err *err) {
  const json_t *member = json_object_get(c->receipt, "verifier_key");
  const char *inside = json_string_value(member);
  if (member != NULL && inside == NULL) return err_set(err, ERR_MALFORMED, "the verifier key in the receipt is not a text");
  if (given == NULL && inside == NULL) return err_set(err, ERR_INVALID, "the receipt holds no key: give the log's verifier key");
  if (given != NULL && inside != NULL && strcmp(given, inside) != 0)
    return err_set(err, ERR_INVALID, "the receipt is of another log: it names the key %.200s", inside);
  *own = given == NULL;
  if (vkey_parse(given != NULL ? given : inside, &c->key, err) != 0) return -1;
  return c->key.type == KEY_NOTE ? 0 : err_set(err, ERR_INVALID, "this is a witness's key, not a log's");
}

int trust_check_receipt(const char *json, size_t n, const char *verifier_key, const char *tsa_ca_file, char **sentence, struct err *err) {
  struct checking c = {.ca_file = tsa_ca_file};
  bool own = false;
  *sentence = NULL;
  json_t *receipt = json_read(json, n, 8, err);
  int rc = -1;
  c.receipt = receipt;
  if (receipt == NULL || known_only(receipt, err) != 0 || key_find(&c, verifier_key, &own, err) != 0) goto out;
  if (!hex_lower(json_str(receipt, "leaf_hash"), c.leaf_hash, TRUST_HASH)) {
    err_set(err, ERR_MALFORMED, "the leaf hash of the receipt is not 64 hexadecimal digits");
    goto out;
  }
  const json_t *promise = json_object_get(receipt, "promise");
  if (!promise_check(promise, &c.key, c.leaf_hash, err)) goto out;
  buf_addf(&c.said, "The receipt is genuine: the log %s signed for it at %s and promised its place by %s.", c.key.name,
           json_str(promise, "at"), json_str(promise, "merge_by"));
  if (leaf_check(&c, err) != 0 || proof_check(&c, err) != 0) goto out;
  if (own)
    buf_addf(&c.said, " The key came with the receipt itself: compare %s with the one that is published.",
             json_str(receipt, "verifier_key"));
  *sentence = buf_take(&c.said);
  rc = 0;
out:
  buf_free(&c.said);
  json_decref(receipt);
  return rc;
}
