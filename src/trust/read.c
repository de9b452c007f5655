/* Reading the log out of the store: state, heads, tiles, proofs. */
#include "trust/inner.h"
#include <stdlib.h>
#include <string.h>

/* ---- rows ---- */

int hash_read(const struct store_rows *r, int column, unsigned char out[TRUST_HASH]) {
  size_t n = 0;
  const void *p = store_blob(r, column, &n);
  memset(out, 0, TRUST_HASH);
  if (p == NULL || n != TRUST_HASH) return -1;
  memcpy(out, p, TRUST_HASH);
  return 0;
}

int state_read(struct store_tx *tx, int64_t *size, unsigned char root[TRUST_HASH], struct err *err) {
  *size = 0;
  sha256("", 0, root);
  struct store_rows *r = store_select(tx, err, "SELECT size, root FROM ledger_state WHERE name = 'log'", "");
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    *size = store_int(r, 0);
    if (hash_read(r, 1, root) != 0 || *size < 0) rc = err_set(err, ERR_INTERNAL, "the state of the ledger is damaged");
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int tile_read(void *tx, int level, int64_t n, int width, unsigned char *out, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT hashes FROM ledger_tile WHERE level = ?1 AND n = ?2", "ii", (int64_t)level, n);
  if (r == NULL) return -1;
  size_t size = 0;
  int rc = store_next(r, err);
  const void *p = rc == 1 ? store_blob(r, 0, &size) : NULL;
  if (rc >= 0 && (size > TILE_BYTES || size < (size_t)width * TRUST_HASH || p == NULL))
    rc = err_set(err, ERR_INTERNAL, "tile %d/%lld of the ledger is missing or too short", level, (long long)n);
  if (rc >= 0) memcpy(out, p, size);
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* ---- heads ---- */

void head_clear(struct head *h) {
  free(h->checkpoint);
  memset(h, 0, sizeof *h);
}

static int head_row(struct store_rows *r, struct head *out, struct err *err) {
  head_clear(out);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    const char *text = store_text(r, 3);
    out->found = true;
    out->size = store_int(r, 0);
    out->at = store_int(r, 1);
    out->checkpoint = base_strdup(text == NULL ? "" : text);
    out->kept = store_int(r, 4);
    if (hash_read(r, 2, out->root) != 0) rc = err_set(err, ERR_INTERNAL, "a head of the ledger is damaged");
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int head_newest(struct store_tx *tx, int64_t generation, struct head *out, struct err *err) {
  return head_row(
    store_select(tx, err,
                 "SELECT tree_size, at, root, checkpoint, kept FROM ledger_head WHERE generation = ?1 ORDER BY tree_size DESC LIMIT 1", "i",
                 generation),
    out, err);
}

int head_of_size(struct store_tx *tx, int64_t generation, int64_t size, struct head *out, struct err *err) {
  return head_row(store_select(tx, err,
                               "SELECT tree_size, at, root, checkpoint, kept FROM ledger_head WHERE generation = ?1 AND tree_size = ?2",
                               "ii", generation, size),
                  out, err);
}

int head_cosigned(struct store_tx *tx, int64_t generation, struct head *h, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT line FROM ledger_cosignature WHERE generation = ?1 AND tree_size = ?2 ORDER BY witness LIMIT 16", "ii", generation, h->size);
  if (r == NULL) return -1;
  struct buf b = {0};
  buf_adds(&b, h->checkpoint);
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    const char *line = store_text(r, 0);
    if (line != NULL) buf_addf(&b, "%s\n", line);
  }
  store_done(r);
  free(h->checkpoint);
  h->checkpoint = buf_take(&b);
  return rc;
}

struct head_query {
  int64_t generation;
  bool cosigned;
  struct head head;
};

static int head_work(struct store_tx *tx, void *arg, struct err *err) {
  struct head_query *q = arg;
  if (head_newest(tx, q->generation, &q->head, err) != 0) return -1;
  if (!q->head.found) return err_set(err, ERR_NOT_FOUND, "no head of the ledger has been signed yet");
  return q->cosigned ? head_cosigned(tx, q->generation, &q->head, err) : 0;
}

static int newest(struct trust *t, bool cosigned, struct head *out, struct err *err) {
  struct head_query q = {.generation = trust_name(t)->generation, .cosigned = cosigned};
  int rc = store_read(t->store, head_work, &q, err);
  *out = q.head;
  if (rc != 0) head_clear(out);
  return rc;
}

int trust_size(struct trust *t, int64_t *size, struct err *err) {
  struct head h;
  int rc = newest(t, false, &h, err);
  *size = h.size;
  head_clear(&h);
  return rc;
}

int trust_head(struct trust *t, json_t **out, struct err *err) {
  struct head h;
  *out = NULL;
  if (newest(t, true, &h, err) != 0) return -1;
  char hex[2 * TRUST_HASH + 1], at[32];
  hex_encode(h.root, TRUST_HASH, hex);
  clock_rfc3339_ms(h.at, at);
  *out = json_object();
  json_object_set_new(*out, "tree_size", json_integer(h.size));
  json_put(*out, "root_hash", hex);
  json_put(*out, "timestamp", at);
  json_put(*out, "checkpoint", h.checkpoint);
  head_clear(&h);
  return 0;
}

int trust_checkpoint(struct trust *t, char **text, struct err *err) {
  struct head h;
  int rc = newest(t, true, &h, err);
  *text = h.checkpoint;
  return rc;
}

/* ---- proofs and tiles ---- */

json_t *proof_json(const struct proof *p) {
  json_t *out = json_array();
  char hex[2 * TRUST_HASH + 1];
  for (int i = 0; i < p->count; i++) {
    hex_encode(p->path[i], TRUST_HASH, hex);
    json_array_append_new(out, json_string(hex));
  }
  return out;
}

struct proof_query {
  int64_t generation, first, second;
  bool inclusion;
  unsigned char leaf_hash[TRUST_HASH];
  struct proof proof;
};

static int proof_work(struct store_tx *tx, void *arg, struct err *err) {
  struct proof_query *q = arg;
  struct tiles tiles = {.get = tile_read, .ctx = tx};
  struct head h = {0};
  int rc = head_newest(tx, q->generation, &h, err);
  if (rc == 0 && (q->second < 0 || q->second > h.size)) /* nothing is told about leaves without a signed head */
    rc = err_set(err, ERR_INVALID, "the newest signed head has %lld leaves", (long long)h.size);
  if (rc == 0 && q->inclusion) {
    rc = merkle_inclusion(&tiles, q->first, q->second, &q->proof, err);
    if (rc == 0) rc = merkle_leaf(&tiles, q->first, q->leaf_hash, err);
  } else if (rc == 0) {
    rc = merkle_consistency(&tiles, q->first, q->second, &q->proof, err);
  }
  tiles_free(&tiles);
  head_clear(&h);
  return rc;
}

int trust_proof(struct trust *t, int64_t leaf, int64_t tree_size, json_t **out, struct err *err) {
  struct proof_query q = {.generation = trust_name(t)->generation, .first = leaf, .second = tree_size, .inclusion = true};
  char hex[2 * TRUST_HASH + 1];
  *out = NULL;
  if (store_read(t->store, proof_work, &q, err) != 0) return -1;
  hex_encode(q.leaf_hash, TRUST_HASH, hex);
  *out = json_object();
  json_put(*out, "leaf_hash", hex);
  json_object_set_new(*out, "audit_path", proof_json(&q.proof));
  return 0;
}

int trust_consistency(struct trust *t, int64_t first, int64_t second, json_t **out, struct err *err) {
  struct proof_query q = {.generation = trust_name(t)->generation, .first = first, .second = second};
  *out = NULL;
  if (store_read(t->store, proof_work, &q, err) != 0) return -1;
  *out = json_object();
  json_object_set_new(*out, "consistency_path", proof_json(&q.proof));
  return 0;
}

struct tile_query {
  int64_t generation, n;
  int level, width;
  unsigned char *out;
};

static int tile_work(struct store_tx *tx, void *arg, struct err *err) {
  struct tile_query *q = arg;
  struct head h = {0};
  int rc = head_newest(tx, q->generation, &h, err);
  int64_t there = q->level > 7 ? 0 : h.size >> (8 * q->level); /* hashes at this level; 256^8 is beyond any size */
  head_clear(&h);
  if (rc == 0 && (q->n > there / TILE || q->n * TILE + q->width > there))
    return err_set(err, ERR_NOT_FOUND, "the newest signed head has no such tile");
  return rc == 0 ? tile_read(tx, q->level, q->n, q->width, q->out, err) : -1;
}

int trust_tile(struct trust *t, int level, int64_t n, int width, unsigned char **out, size_t *size, struct err *err) {
  *out = NULL;
  *size = 0;
  if (level < 0 || level > 63 || n < 0 || width < 1 || width > TILE) return err_set(err, ERR_NOT_FOUND, "there is no such tile");
  struct tile_query q = {.generation = trust_name(t)->generation, .n = n, .level = level, .width = width, .out = base_alloc(TILE_BYTES)};
  if (store_read(t->store, tile_work, &q, err) != 0) {
    free(q.out);
    return -1;
  }
  *out = q.out;
  *size = (size_t)width * TRUST_HASH;
  return 0;
}

/* ---- places ---- */

/* Among the leaves that are not in the tree yet: as many as came since the last round. */
static int index_new(struct store_tx *tx, const unsigned char *leaf_hash, int64_t *index, struct err *err) {
  return store_value(tx, index, -1, err,
    "SELECT MIN(idx) FROM ledger_leaf WHERE idx >= COALESCE((SELECT size FROM ledger_state WHERE name = 'log'), 0) AND leaf_hash = ?1", "b", leaf_hash,
    (size_t)TRUST_HASH);
}

/* In one tile; its last one may not be full, and of a damaged one the ledger's judge tells, not who looks for a leaf. */
static int index_in(struct store_tx *tx, int64_t n, const unsigned char *leaf_hash, int64_t *index, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT hashes FROM ledger_tile WHERE level = 0 AND n = ?1", "i", n);
  if (r == NULL) return -1;
  size_t size = 0;
  int rc = store_next(r, err);
  const unsigned char *hashes = rc == 1 ? store_blob(r, 0, &size) : NULL;
  for (size_t i = 0; hashes != NULL && *index < 0 && i < size / TRUST_HASH && i < TILE; i++)
    if (memcmp(hashes + i * TRUST_HASH, leaf_hash, TRUST_HASH) == 0) *index = n * TILE + (int64_t)i;
  store_done(r);
  return rc < 0 ? -1 : 0;
}

struct candidate { int64_t newest, n; };

/* The next tile whose leaves' times hold this one: 1, or 0 when there is no more. */
static int index_next(struct store_tx *tx, int64_t at, struct candidate *c, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT newest, n FROM ledger_span WHERE newest >= ?1 AND oldest <= ?1 AND (newest, n) > (?2, ?3) ORDER BY newest, n LIMIT 1", "iii", at, c->newest, c->n);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) *c = (struct candidate){store_int(r, 0), store_int(r, 1)};
  store_done(r);
  return rc;
}

/* Leaves come nearly in the order of their times: the first tile that may hold it most often does. */
int trust_index_tx(struct store_tx *tx, int64_t at, const unsigned char leaf_hash[TRUST_HASH], int64_t *index, struct err *err) {
  struct candidate c = {INT64_MIN, INT64_MIN};
  int rc;
  if (store_value(tx, index, -1, err, "SELECT MIN(idx) FROM ledger_late WHERE at = ?1 AND leaf_hash = ?2", "ib", at, leaf_hash, (size_t)TRUST_HASH) != 0) return -1;
  while (*index < 0 && (rc = index_next(tx, at, &c, err)) != 0)
    if (rc < 0 || index_in(tx, c.n, leaf_hash, index, err) != 0) return -1;
  return *index < 0 ? index_new(tx, leaf_hash, index, err) : 0;
}

struct index_query {
  int64_t at, index;
  const unsigned char *leaf_hash;
};

static int index_work(struct store_tx *tx, void *arg, struct err *err) {
  struct index_query *q = arg;
  return trust_index_tx(tx, q->at, q->leaf_hash, &q->index, err);
}

int64_t trust_index(struct trust *t, int64_t at, const unsigned char leaf_hash[TRUST_HASH]) {
  struct index_query q = {.at = at, .leaf_hash = leaf_hash, .index = -1};
  return store_read(t->store, index_work, &q, NULL) == 0 ? q.index : -1;
}

int64_t leaf_time(const char *header) {
  char text[40];
  int64_t at;
  const char *from = header == NULL ? NULL : strstr(header, "\"at\":\""); /* inside a string the marks would be escaped */
  size_t n = from == NULL ? 0 : strcspn(from += 6, "\"");
  if (n == 0 || n >= sizeof text) return 0;
  memcpy(text, from, n);
  text[n] = '\0';
  return clock_parse(text, &at) == 0 ? at : 0;
}

/* ---- how far time-stamps are behind ---- */

struct behind {
  int64_t generation, leaves, since;
};

static int leaf_written(struct store_tx *tx, int64_t index, int64_t *at, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT header FROM ledger_leaf WHERE idx = ?1", "i", index);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) *at = leaf_time(store_text(r, 0));
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int behind_work(struct store_tx *tx, void *arg, struct err *err) {
  struct behind *b = arg;
  int64_t stamped, placed, waiting;
  b->since = 0;
  if (store_value(tx, &stamped, 0, err, "SELECT MAX(tree_size) FROM ledger_stamp WHERE generation = ?1", "i", b->generation) != 0 ||
      store_value(tx, &waiting, 0, err, "SELECT COUNT(*) FROM ledger_pending", "") != 0 ||
      store_value(tx, &placed, 0, err, "SELECT MAX(idx) + 1 FROM ledger_leaf", "") != 0)
    return -1;
  b->leaves = placed - stamped + waiting;
  if (placed > stamped) return leaf_written(tx, stamped, &b->since, err);
  return store_value(tx, &b->since, 0, err, "SELECT MIN(at) FROM ledger_pending", "");
}

int trust_unstamped(struct trust *t, int64_t *leaves, int64_t *since, struct err *err) {
  struct behind b = {.generation = trust_name(t)->generation};
  int rc = store_read(t->store, behind_work, &b, err);
  *leaves = rc == 0 ? b.leaves : 0;
  *since = rc == 0 ? b.since : 0;
  return rc;
}
