/* Co-signatures of witnesses (C2SP tlog-cosignature, Ed25519). */
#include "trust/inner.h"
#include <stdlib.h>
#include <string.h>

struct cosign {
  const char *witness;
  char *line;
  const struct note *note;
  int64_t generation, size;
};

static int cosign_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cosign *q = arg;
  struct head h = {0};
  int64_t others;
  int rc = head_of_size(tx, q->generation, q->size, &h, err);
  if (rc == 0 && !h.found)
    rc = err_set(err, ERR_NOT_FOUND, "there is no checkpoint of %lld leaves, or it is no longer kept", (long long)q->size);
  if (rc == 0 && (strncmp(h.checkpoint, q->note->text, q->note->size) != 0 || h.checkpoint[q->note->size] != '\n'))
    rc = err_set(err, ERR_INVALID, "this is not the checkpoint that the log signed for %lld leaves", (long long)q->size);
  head_clear(&h);
  if (rc != 0 ||
      store_value(tx, &others, 0, err, "SELECT COUNT(*) FROM ledger_cosignature WHERE generation = ?1 AND tree_size = ?2 AND witness <> ?3",
                  "iit", q->generation, q->size, q->witness) != 0)
    return -1;
  if (others >= WITNESSES_MOST) return err_set(err, ERR_LIMIT, "a checkpoint has at most %d witnesses", WITNESSES_MOST);
  if (store_put(tx, err,
      "INSERT INTO ledger_cosignature (generation, tree_size, witness, at, line) VALUES (?1, ?2, ?3, ?4, ?5) "
      "ON CONFLICT (generation, tree_size, witness) DO UPDATE SET at = excluded.at, line = excluded.line",
      "iitit", q->generation, q->size, q->witness, store_time(tx), q->line) != 0)
    return -1;
  return store_put(tx, err, "UPDATE ledger_head SET kept = kept | 4 WHERE generation = ?1 AND tree_size = ?2", "ii", q->generation,
                   q->size);
}

int trust_cosign(struct trust *t, const char *witness_verifier_key, const char *signed_note, struct err *err) {
  const struct log_name *name = trust_name(t);
  const struct note_line *line;
  struct vkey witness;
  struct note note;
  struct checkpoint head;
  if (vkey_parse(witness_verifier_key, &witness, err) != 0) return -1;
  if (witness.type != KEY_COSIGNATURE) return err_set(err, ERR_INVALID, "a witness's verifier key is of type 4");
  if (note_parse(signed_note, strlen(signed_note), &note, err) != 0 || checkpoint_parse(note.text, note.size, &head, err) != 0) return -1;
  if (strcmp(head.origin, name->key.name) != 0) return err_set(err, ERR_INVALID, "this checkpoint is of another log");
  if (note_check(&note, &witness, &line) != 1) return err_set(err, ERR_INVALID, "the co-signature is not a true one by this witness's key");
  struct cosign q = {.witness = witness_verifier_key, .note = &note, .generation = name->generation, .size = head.size};
  q.line = base_printf("%.*s", (int)line->line_size, line->line);
  int rc = store_write(t->store, STORE_JOBS, cosign_work, &q, err);
  free(q.line);
  return rc;
}
