/* What a witness does with another's log: reads its checkpoint, compares it with the last one it saw, makes its co-signature. And who has co-signed ours. */
#include "trust/inner.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

static int path_read(const json_t *list, struct proof *out, struct err *err) {
  json_t *one;
  size_t i;
  out->count = 0;
  json_array_foreach(list, i, one) {
    const char *hex = json_string_value(one);
    if (i >= PROOF_MOST || hex == NULL || !hex_lower(hex, out->path[i], TRUST_HASH)) return err_set(err, ERR_MALFORMED, "a proof of consistency is a list of at most %d hashes in hexadecimal", PROOF_MOST);
    out->count++;
  }
  return 0;
}

int trust_follow(const char *verifier_key, const char *checkpoint, const struct trust_seen *before, const json_t *path, struct trust_seen *now, struct err *err) {
  struct vkey key;
  struct note note;
  struct checkpoint head;
  struct proof proof;
  if (vkey_parse(verifier_key, &key, err) != 0) return -1;
  if (key.type != KEY_NOTE) return err_set(err, ERR_INVALID, "the key of a log is of type 1");
  if (checkpoint_open(checkpoint, strlen(checkpoint), &key, &note, &head, err) != 0) return -1;
  now->size = head.size;
  memcpy(now->root, head.root, TRUST_HASH);
  snprintf(now->origin, sizeof now->origin, "%s", head.origin);
  if (before == NULL || before->size == 0) return 0;
  if (head.size < before->size)
    return err_set(err, ERR_CONFLICT, "the log %s went back from %lld to %lld leaves", head.origin, (long long)before->size, (long long)head.size);
  if (head.size == before->size)
    return trust_same(head.root, before->root, TRUST_HASH) ? 0 : err_set(err, ERR_CONFLICT, "the log %s shows two histories of %lld leaves", head.origin, (long long)head.size);
  if (path == NULL) return 1;
  if (path_read(path, &proof, err) != 0) return -1;
  return merkle_check_consistency(before->size, head.size, before->root, head.root, &proof)
           ? 0 : err_set(err, ERR_CONFLICT, "the log %s forks: its %lld leaves do not continue the %lld that were seen", head.origin, (long long)head.size, (long long)before->size);
}

char *trust_cosigned_text(const char *checkpoint, int64_t at, struct err *err) {
  struct note note;
  if (note_parse(checkpoint, strlen(checkpoint), &note, err) != 0) return NULL;
  return base_printf("cosignature/v1\ntime %lld\n%.*s", (long long)(at / 1000), (int)note.size, note.text);
}

char *trust_cosigned_note(const char *checkpoint, const char *witness_verifier_key, int64_t at, const unsigned char signature[TRUST_SIGNATURE], struct err *err) {
  struct vkey key;
  struct note note;
  unsigned char raw[4 + 8 + SIGNATURE];
  uint64_t time = htobe64((uint64_t)(at / 1000));
  if (vkey_parse(witness_verifier_key, &key, err) != 0 || note_parse(checkpoint, strlen(checkpoint), &note, err) != 0) return NULL;
  memcpy(raw, key.id, 4);
  memcpy(raw + 4, &time, 8);
  memcpy(raw + 12, signature, SIGNATURE);
  char *raw64 = base64_encode(raw, sizeof raw), *out = base_printf("%.*s\n\xe2\x80\x94 %s %s\n", (int)note.size, note.text, key.name, raw64);
  free(raw64);
  return out;
}

/* ---- who has co-signed this log ---- */

struct cosigners {
  int64_t generation, least;
  json_t *list;
};

static int cosigners_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cosigners *q = arg;
  int rc;
  json_decref(q->list);
  q->list = json_array();
  struct store_rows *r = store_select(tx, err, "SELECT witness, MAX(tree_size), MAX(at) FROM ledger_cosignature WHERE generation = ?1 AND tree_size >= ?2 GROUP BY witness ORDER BY witness LIMIT 64",
                                      "ii", q->generation, q->least);
  if (r == NULL) return -1;
  while ((rc = store_next(r, err)) == 1) {
    const char *key = store_text(r, 0);
    char at[32];
    json_t *o = json_object();
    char *name = base_printf("%.*s", (int)strcspn(key, "+"), key);
    clock_rfc3339(store_int(r, 2), at);
    json_put(o, "name", name);
    json_put(o, "verifier_key", key);
    json_object_set_new(o, "tree_size", json_integer(store_int(r, 1)));
    json_put(o, "at", at);
    json_array_append_new(q->list, o);
    free(name);
  }
  store_done(r);
  return rc;
}

int trust_cosigners(struct trust *t, int64_t least, json_t **out, struct err *err) {
  struct cosigners q = {.generation = trust_name(t)->generation, .least = least};
  *out = NULL;
  if (store_read(t->store, cosigners_work, &q, err) != 0) {
    json_decref(q.list);
    return -1;
  }
  *out = q.list;
  return 0;
}
