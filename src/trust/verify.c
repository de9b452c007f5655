/* Verifying it all: every leaf, tile, head, time-stamp and co-signature, each fault named. */
#include "trust/inner.h"
#include <stdlib.h>
#include <string.h>

enum { PAGE = 8 * TILE, LEVELS = 8, ROOTS_TOLD = 20 };

struct row {
  bool there, late;                              /* late: found by itself, at late_at */
  int64_t late_at;
  unsigned char hash[TRUST_HASH], digest[TRUST_HASH];
  char *header;
};
struct seen {                                    /* a head of this page */
  int64_t generation;
  struct head head;
};
struct names {
  size_t count;
  struct name { int64_t generation; bool known; struct vkey key; } *all;
};
struct level {
  int count;                                     /* hashes in the tile that is being filled */
  int64_t n;
  unsigned char hashes[TILE_BYTES];
};
struct check {
  struct trust *t;
  const struct trust_verify *v;
  int64_t faults, roots, size, told, lo, hi;     /* size: leaves to look at; told: what the state says */
  unsigned char root[TRUST_HASH];
  struct names names;
  struct frontier tree;
  struct level levels[LEVELS];
  struct row rows[PAGE];
  struct level stored[PAGE / TILE];              /* tiles of level 0; count: how many hashes are there */
  struct span { int64_t oldest, newest; } spans[PAGE / TILE], told_spans[PAGE / TILE]; /* of the leaves that are not late; as the store tells them */
  struct seen *heads;
  size_t heads_count, heads_at;
};

static void fault(struct check *c, const char *fmt, ...) BASE_PRINTF(2, 3);
static void fault(struct check *c, const char *fmt, ...) {
  char line[700];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(line, sizeof line, fmt, ap);
  va_end(ap);
  c->faults++;
  if (c->v->report != NULL) c->v->report(c->v->ctx, line);
  else log_write(LOG_ERROR, "trust", "%s", line);
}

/* ---- what is there ---- */

static int names_work(struct store_tx *tx, void *arg, struct err *err) {
  struct check *c = arg;
  struct names *names = &c->names;
  free(names->all);
  memset(names, 0, sizeof *names);
  if (state_read(tx, &c->told, c->root, err) != 0 || store_value(tx, &c->size, -1, err, "SELECT MAX(idx) FROM ledger_leaf", "") != 0)
    return -1;
  c->size = c->told < c->size + 1 ? c->told : c->size + 1;
  struct store_rows *r = store_select(tx, err, "SELECT generation, key FROM ledger_log ORDER BY generation", "");
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    names->all = base_realloc(names->all, (names->count + 1) * sizeof *names->all);
    struct name *n = &names->all[names->count++];
    memset(n, 0, sizeof *n);
    n->generation = store_int(r, 0);
    n->known = vkey_parse(store_text(r, 1), &n->key, NULL) == 0;
  }
  store_done(r);
  return rc;
}

static void names_check(struct check *c) {
  const struct log_name *own = trust_name(c->t);
  bool found = false;
  for (size_t i = 0; i < c->names.count; i++) {
    struct name *n = &c->names.all[i];
    char *origin = origin_of(c->t->base, n->generation);
    if (!n->known) fault(c, "log %lld: its key cannot be read", (long long)n->generation);
    else if (strcmp(n->key.name, origin) != 0) fault(c, "log %lld: it is called %s, not %s", (long long)n->generation, n->key.name, origin);
    free(origin);
    if (n->generation != own->generation) continue;
    found = true;
    if (n->known && memcmp(n->key.public, own->key.public, PUBLIC_KEY) != 0)
      fault(c, "log %lld: its key is not the one here", (long long)n->generation);
    n->key = own->key;
    n->known = true;
  }
  if (!found) fault(c, "log %lld: the store does not know it", (long long)own->generation);
}

static const struct vkey *key_of(const struct check *c, int64_t generation) {
  for (size_t i = 0; i < c->names.count; i++)
    if (c->names.all[i].generation == generation && c->names.all[i].known) return &c->names.all[i].key;
  return NULL;
}

/* ---- one page ---- */

static void page_clear(struct check *c) {
  for (int i = 0; i < PAGE; i++) {
    free(c->rows[i].header);
    c->rows[i] = (struct row){0};
  }
  for (int i = 0; i < PAGE / TILE; i++) {
    c->stored[i].count = 0;
    c->spans[i] = c->told_spans[i] = (struct span){INT64_MAX, INT64_MIN};
  }
  for (size_t i = 0; i < c->heads_count; i++) head_clear(&c->heads[i].head);
  free(c->heads);
  c->heads = NULL;
  c->heads_count = c->heads_at = 0;
}

static int rows_read(struct store_tx *tx, struct check *c, struct err *err) {
  struct store_rows *r = store_select(
    tx, err, "SELECT idx, leaf_hash, digest, header FROM ledger_leaf WHERE idx >= ?1 AND idx < ?2 ORDER BY idx", "ii", c->lo, c->hi);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    struct row *row = &c->rows[store_int(r, 0) - c->lo];
    row->there = true;
    hash_read(r, 1, row->hash);
    hash_read(r, 2, row->digest);
    free(row->header);
    const char *header = store_text(r, 3);
    row->header = base_strdup(header == NULL ? "" : header);
  }
  store_done(r);
  return rc;
}

static int tiles_read(struct store_tx *tx, struct check *c, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT n, hashes FROM ledger_tile WHERE level = 0 AND n >= ?1 AND n < ?2", "ii",
                                      c->lo / TILE, (c->hi + TILE - 1) / TILE);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    struct level *tile = &c->stored[store_int(r, 0) - c->lo / TILE];
    size_t n = 0;
    const void *p = store_blob(r, 1, &n);
    if (p == NULL || n > TILE_BYTES) continue;
    tile->count = (int)(n / TRUST_HASH);
    memcpy(tile->hashes, p, n);
  }
  store_done(r);
  return rc;
}

static int spans_read(struct store_tx *tx, struct check *c, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT n, oldest, newest FROM ledger_span WHERE n >= ?1 AND n < ?2", "ii", c->lo / TILE, (c->hi + TILE - 1) / TILE);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) c->told_spans[store_int(r, 0) - c->lo / TILE] = (struct span){store_int(r, 1), store_int(r, 2)};
  store_done(r);
  return rc;
}

static int late_read(struct store_tx *tx, struct check *c, struct err *err) {
  unsigned char hash[TRUST_HASH];
  struct store_rows *r = store_select(tx, err, "SELECT idx, at, leaf_hash FROM ledger_late WHERE idx >= ?1 AND idx < ?2", "ii", c->lo, c->hi);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    struct row *row = &c->rows[store_int(r, 0) - c->lo];
    row->late = hash_read(r, 2, hash) == 0 && memcmp(hash, row->hash, TRUST_HASH) == 0;
    row->late_at = store_int(r, 1);
  }
  store_done(r);
  return rc;
}

static int heads_read(struct store_tx *tx, struct check *c, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT generation, tree_size, at, root, checkpoint, kept FROM ledger_head WHERE tree_size > ?1 AND tree_size <= ?2", "ii",
    c->lo == 0 ? INT64_MIN : c->lo, c->hi);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    c->heads = base_realloc(c->heads, (c->heads_count + 1) * sizeof *c->heads);
    struct seen *s = &c->heads[c->heads_count++];
    const char *text = store_text(r, 4);
    memset(s, 0, sizeof *s);
    s->generation = store_int(r, 0);
    s->head.size = store_int(r, 1);
    s->head.at = store_int(r, 2);
    hash_read(r, 3, s->head.root);
    s->head.checkpoint = base_strdup(text == NULL ? "" : text);
    s->head.kept = store_int(r, 5);
  }
  store_done(r);
  return rc;
}

static int page_work(struct store_tx *tx, void *arg, struct err *err) {
  struct check *c = arg;
  page_clear(c);
  return rows_read(tx, c, err) != 0 || tiles_read(tx, c, err) != 0 || spans_read(tx, c, err) != 0 || late_read(tx, c, err) != 0 ||
      heads_read(tx, c, err) != 0
    ? -1 : 0;
}

/* ---- leaves and tiles ---- */

static void event_check(struct check *c, int64_t index, const struct row *row) {
  unsigned char digest[TRUST_HASH];
  if (c->v->leaf == NULL) return;
  int answer = c->v->leaf(c->v->ctx, row->header, digest);
  if (answer < 0) fault(c, "leaf %lld: what it records is not in the store: %.300s", (long long)index, row->header);
  else if (answer == 0 && memcmp(digest, row->digest, TRUST_HASH) != 0)
    fault(c, "leaf %lld: what it records has been changed since: %.300s", (long long)index, row->header);
}

/* A leaf is found by the times of its tile, or by itself. */
static void time_check(struct check *c, int64_t index, const struct row *row) {
  struct span *own = &c->spans[(index - c->lo) / TILE];
  int64_t at = leaf_time(row->header);
  if (row->late && row->late_at != at) fault(c, "leaf %lld: it cannot be found: it stands under another time", (long long)index);
  if (row->late) return;
  if (at < own->oldest) own->oldest = at;
  if (at > own->newest) own->newest = at;
}

/* When all leaves of a tile have been looked at. The last tile may have got more since the size was read: then its times may go further. */
static void span_check(struct check *c, int64_t n, bool full) {
  const struct span *own = &c->spans[n - c->lo / TILE], *told = &c->told_spans[n - c->lo / TILE];
  bool hold = told->oldest <= own->oldest && told->newest >= own->newest, same = told->oldest == own->oldest && told->newest == own->newest;
  if (own->newest != INT64_MIN && !(full ? same : hold)) fault(c, "tile 0/%lld: the times by which its leaves are found are not theirs", (long long)n);
}

/* The leaf's hash as the tree should hold it. */
static void leaf_check(struct check *c, int64_t index, unsigned char out[TRUST_HASH]) {
  const struct row *row = &c->rows[index - c->lo];
  const struct level *tile = &c->stored[(index - c->lo) / TILE];
  const unsigned char *kept = index % TILE < tile->count ? tile->hashes + index % TILE * TRUST_HASH : NULL;
  unsigned char own[TRUST_HASH] = {0};
  if (row->there) trust_leaf_from_digest(row->header, row->digest, own);
  memcpy(out, kept != NULL ? kept : own, TRUST_HASH);
  if (!row->there) {
    fault(c, "leaf %lld: it is missing", (long long)index);
    return;
  }
  bool row_true = memcmp(own, row->hash, TRUST_HASH) == 0, tile_true = kept != NULL && memcmp(own, kept, TRUST_HASH) == 0;
  if (kept == NULL) fault(c, "leaf %lld: tile 0/%lld does not hold it", (long long)index, (long long)(index / TILE));
  if (!row_true && tile_true) fault(c, "leaf %lld: its kept hash has been changed", (long long)index);
  else if (!row_true) fault(c, "leaf %lld: its header or digest has been changed", (long long)index);
  else if (kept != NULL && !tile_true)
    fault(c, "leaf %lld: it is not the one whose hash tile 0/%lld holds at %lld", (long long)index, (long long)(index / TILE),
          (long long)(index % TILE));
  else time_check(c, index, row);
  event_check(c, index, row);
}

struct stored_tile {
  int level, width;
  int64_t n;
  unsigned char hashes[TILE_BYTES];
};

static int stored_work(struct store_tx *tx, void *arg, struct err *err) {
  struct stored_tile *s = arg;
  return tile_read(tx, s->level, s->n, s->width, s->hashes, err);
}

static void tile_check(struct check *c, int level) {
  const struct level *l = &c->levels[level];
  struct stored_tile s = {.level = level, .width = l->count, .n = l->n};
  if (level == 0) return; /* already compared, hash by hash */
  if (store_read(c->t->store, stored_work, &s, NULL) != 0) {
    fault(c, "tile %d/%lld: it is missing or too short", level, (long long)l->n);
    return;
  }
  for (int i = 0; i < l->count; i++)
    if (memcmp(s.hashes + i * TRUST_HASH, l->hashes + i * TRUST_HASH, TRUST_HASH) != 0)
      fault(c, "tile %d/%lld: hash %d is not that of the tile below", level, (long long)l->n, i);
}

static void levels_push(struct check *c, const unsigned char *hash) {
  unsigned char h[TRUST_HASH];
  memcpy(h, hash, TRUST_HASH);
  for (int level = 0; level < LEVELS; level++) {
    struct level *l = &c->levels[level];
    memcpy(l->hashes + l->count++ * TRUST_HASH, h, TRUST_HASH);
    if (l->count < TILE) return;
    tile_check(c, level);
    merkle_full_tile(l->hashes, h);
    l->count = 0;
    l->n++;
  }
}

/* ---- heads ---- */

struct beside {                                  /* what stands beside a head */
  int64_t generation, size;
  bool stamped;
  size_t token_size;
  unsigned char *token;
  int lines;
  char *line[WITNESSES_MOST], *witness[WITNESSES_MOST];
};

static void beside_clear(struct beside *b) {
  for (int i = 0; i < b->lines; i++) {
    free(b->line[i]);
    free(b->witness[i]);
  }
  free(b->token);
  b->token = NULL;
  b->stamped = false;
  b->lines = 0;
}

static int beside_work(struct store_tx *tx, void *arg, struct err *err) {
  struct beside *b = arg;
  beside_clear(b);
  struct store_rows *r =
    store_select(tx, err, "SELECT token FROM ledger_stamp WHERE generation = ?1 AND tree_size = ?2", "ii", b->generation, b->size);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    const void *p = store_blob(r, 0, &b->token_size);
    b->stamped = true;
    b->token = base_alloc(b->token_size + 1);
    if (p != NULL) memcpy(b->token, p, b->token_size);
  }
  store_done(r);
  if (rc < 0) return -1;
  r = store_select(tx, err, "SELECT witness, line FROM ledger_cosignature WHERE generation = ?1 AND tree_size = ?2 ORDER BY witness", "ii",
                   b->generation, b->size);
  if (r == NULL) return -1;
  while ((rc = store_next(r, err)) == 1 && b->lines < WITNESSES_MOST) {
    b->witness[b->lines] = base_strdup(store_text(r, 0));
    b->line[b->lines++] = base_strdup(store_text(r, 1));
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static void cosignature_check(struct check *c, const struct head *h, const char *witness, const char *line) {
  struct vkey key;
  struct note note;
  const struct note_line *found;
  char *text = base_printf("%s%s\n", h->checkpoint, line == NULL ? "" : line);
  if (vkey_parse(witness, &key, NULL) != 0 || key.type != KEY_COSIGNATURE || note_parse(text, strlen(text), &note, NULL) != 0 ||
      note.count != 2 || note_check(&note, &key, &found) != 1)
    fault(c, "head %lld: the co-signature of %.200s is false", (long long)h->size, witness == NULL ? "(nobody)" : witness);
  free(text);
}

static int beside_check(struct check *c, const struct seen *s, struct err *err) {
  struct beside b = {.generation = s->generation, .size = s->head.size};
  struct err why = {0};
  int64_t at;
  if (store_read(c->t->store, beside_work, &b, err) != 0) return -1;
  if ((s->head.kept & 2) != 0 && !b.stamped) fault(c, "head %lld: its time-stamp is missing", (long long)s->head.size);
  if (b.stamped && stamp_check(b.token, b.token_size, s->head.checkpoint, c->t->tsa_ca_file, &at, &why) != 0)
    fault(c, "head %lld: %s", (long long)s->head.size, why.message);
  if ((s->head.kept & 4) != 0 && b.lines == 0) fault(c, "head %lld: its co-signatures are missing", (long long)s->head.size);
  for (int i = 0; i < b.lines; i++) cosignature_check(c, &s->head, b.witness[i], b.line[i]);
  beside_clear(&b);
  return 0;
}

static int head_check(struct check *c, const struct seen *s, struct err *err) {
  const struct head *h = &s->head;
  const struct vkey *key = key_of(c, s->generation);
  unsigned char root[TRUST_HASH];
  struct note note;
  struct checkpoint told;
  struct err why = {0};
  frontier_root(&c->tree, root);
  if (key == NULL) {
    fault(c, "head %lld: it is of log %lld, which is not known", (long long)h->size, (long long)s->generation);
    return 0;
  }
  if (checkpoint_open(h->checkpoint, strlen(h->checkpoint), key, &note, &told, &why) != 0)
    fault(c, "head %lld: %s", (long long)h->size, why.message);
  else if (note.count != 1) fault(c, "head %lld: signatures were added to it", (long long)h->size);
  else if (told.size != h->size || memcmp(told.root, h->root, TRUST_HASH) != 0)
    fault(c, "head %lld: it is not the one that was signed", (long long)h->size);
  else if (memcmp(told.root, root, TRUST_HASH) != 0 && c->roots++ < ROOTS_TOLD)
    fault(c, "head %lld: its root is not that of the leaves that are here", (long long)h->size);
  return beside_check(c, s, err);
}

static int by_size(const void *a, const void *b) {
  const struct seen *x = a, *y = b;
  return x->head.size < y->head.size ? -1 : x->head.size > y->head.size;
}

static int heads_due(struct check *c, struct err *err) {
  for (; c->heads_at < c->heads_count && c->heads[c->heads_at].head.size <= c->tree.size; c->heads_at++)
    if (head_check(c, &c->heads[c->heads_at], err) != 0) return -1;
  return 0;
}

static int page_check(struct check *c, struct err *err) {
  unsigned char hash[TRUST_HASH];
  if (store_read(c->t->store, page_work, c, err) != 0) return -1;
  if (c->heads_count > 1) qsort(c->heads, c->heads_count, sizeof *c->heads, by_size);
  if (heads_due(c, err) != 0) return -1;
  for (int64_t i = c->lo; i < c->hi; i++) {
    leaf_check(c, i, hash);
    frontier_push(&c->tree, hash);
    levels_push(c, hash);
    if ((i + 1) % TILE == 0 || i + 1 == c->size) span_check(c, i / TILE, (i + 1) % TILE == 0);
    if (heads_due(c, err) != 0) return -1;
  }
  return 0;
}

/* ---- what must not be there, or be more ---- */

static int beyond(struct store_tx *tx, struct check *c, int64_t size, struct err *err) {
  int64_t n;
  if (store_value(tx, &n, 0, err, "SELECT COUNT(*) FROM ledger_leaf WHERE idx < 0", "") != 0) return -1;
  if (n > 0) fault(c, "%lld leaves stand before the first", (long long)n);
  if (store_value(tx, &n, 0, err, "SELECT (SELECT COUNT(*) FROM ledger_span WHERE n < 0 OR n >= ?1) + (SELECT COUNT(*) FROM ledger_late WHERE idx < 0 OR idx >= ?2)", "ii",
                  (size + TILE - 1) / TILE, size) != 0)
    return -1;
  if (n > 0) fault(c, "%lld times are told of leaves that are not in the tree", (long long)n);
  if (store_value(tx, &n, -1, err, "SELECT MAX(tree_size) FROM ledger_head", "") != 0) return -1;
  if (n > size) fault(c, "head %lld: so many leaves were signed, and %lld are here", (long long)n, (long long)size);
  struct store_rows *r = store_select(tx, err, "SELECT level, MAX(n) FROM ledger_tile GROUP BY level ORDER BY level", "");
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    int64_t level = store_int(r, 0), last = store_int(r, 1), there = level < 0 || level >= LEVELS ? 0 : size >> (8 * level);
    if (last >= (there + TILE - 1) / TILE)
      fault(c, "tile %lld/%lld: a tree of %lld has no such tile", (long long)level, (long long)last, (long long)size);
  }
  store_done(r);
  return rc;
}

static int orphans(struct store_tx *tx, struct check *c, struct err *err) {
  struct store_rows *r = store_select(
    tx, err,
    "SELECT DISTINCT b.tree_size FROM (SELECT generation, tree_size FROM ledger_stamp "
    "UNION SELECT generation, tree_size FROM ledger_cosignature) AS b "
    "LEFT JOIN ledger_head h ON h.generation = b.generation AND h.tree_size = b.tree_size WHERE h.tree_size IS NULL ORDER BY b.tree_size",
    "");
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1)
    fault(c, "head %lld: it is missing, and a time-stamp or co-signature of it is here", (long long)store_int(r, 0));
  store_done(r);
  return rc;
}

/* Those that are not in the tree yet: pending without a place, or after its last leaf, each next to the one before. */
static int waiting(struct store_tx *tx, struct check *c, int64_t size, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT idx, leaf_hash, header, digest FROM ledger_leaf WHERE idx >= ?1 UNION ALL SELECT -1, leaf_hash, header, digest FROM ledger_pending ORDER BY 1", "i", size);
  if (r == NULL) return -1;
  unsigned char hash[TRUST_HASH], digest[TRUST_HASH], own[TRUST_HASH];
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    const char *header = store_text(r, 2);
    int64_t place = store_int(r, 0);
    int damaged = hash_read(r, 1, hash) | hash_read(r, 3, digest);
    trust_leaf_from_digest(header == NULL ? "" : header, digest, own);
    if (damaged != 0 || memcmp(own, hash, TRUST_HASH) != 0)
      fault(c, "pending leaf: it has been changed: %.300s", header == NULL ? "" : header);
    if (place >= 0 && place != size++) {
      fault(c, "leaf %lld: it stands outside the tree, and none is before it", (long long)place);
      size = place + 1;
    }
  }
  store_done(r);
  return rc;
}

struct rest {
  struct check *c;
  int64_t generation, head;
};

static int rest_work(struct store_tx *tx, void *arg, struct err *err) {
  struct rest *rest = arg;
  struct check *c = rest->c;
  unsigned char root[TRUST_HASH];
  int64_t size;
  if (state_read(tx, &size, root, err) != 0 || beyond(tx, c, size, err) != 0 || orphans(tx, c, err) != 0 ||
      waiting(tx, c, size, err) != 0)
    return -1;
  return store_value(tx, &rest->head, -1, err, "SELECT MAX(tree_size) FROM ledger_head WHERE generation = ?1", "i", rest->generation);
}

/* ---- all ---- */

static int verify(struct check *c, struct err *err) {
  struct remembered m;
  struct err why = {0};
  unsigned char root[TRUST_HASH];
  if (head_remembered(c->t, &m, &why) != 0) fault(c, "%s", why.message);
  if (store_read(c->t->store, names_work, c, err) != 0) return -1;
  names_check(c);
  if (c->size < c->told) fault(c, "leaf %lld: it is missing, and all after it to leaf %lld", (long long)c->size, (long long)c->told - 1);
  do {
    c->hi = c->size - c->lo < PAGE ? c->size : c->lo + PAGE;
    if (page_check(c, err) != 0) return -1;
    c->lo = c->hi;
    if (c->v->progress != NULL) c->v->progress(c->v->ctx, c->lo, c->size);
  } while (c->lo < c->size);
  for (int level = 0; level < LEVELS; level++)
    if (c->levels[level].count > 0) tile_check(c, level);
  frontier_root(&c->tree, root);
  if (memcmp(root, c->root, TRUST_HASH) != 0) fault(c, "state: its root is not that of the %lld leaves", (long long)c->size);
  if (c->roots > ROOTS_TOLD) fault(c, "%lld more heads do not agree with the leaves", (long long)(c->roots - ROOTS_TOLD));
  int64_t g = head_generation(c->t, &m);
  struct rest rest = {.c = c, .generation = trust_name(c->t)->generation};
  if (store_read(c->t->store, rest_work, &rest, err) != 0) return -1;
  if (m.found && (g == 0 || g > rest.generation))
    fault(c, "the key last signed for the log %s, which the store does not know", m.head.origin);
  if (m.found && g == rest.generation && rest.head < m.head.size)
    fault(c, "head %lld: the key signed it and it is not here; the newest here has %lld leaves", (long long)m.head.size,
          (long long)rest.head);
  return 0;
}

int trust_verify(struct trust *t, const struct trust_verify *v, struct err *err) {
  static const struct trust_verify none;
  struct check *c = base_alloc(sizeof *c);
  c->t = t;
  c->v = v == NULL ? &none : v;
  int rc = verify(c, err);
  if (rc == 0 && c->faults > 0) rc = err_set(err, ERR_CONFLICT, "%lld faults were found", (long long)c->faults);
  page_clear(c);
  free(c->names.all);
  free(c);
  return rc;
}
