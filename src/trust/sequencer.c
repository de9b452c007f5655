/* Writing the log: pending leaves, places and tiles by the one sequencer, heads at most once a second. */
#include "trust/inner.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  LEASE_MS = 4000,
  HEAD_MS = 1000,
  ROUND_MS = 3000,
  FORGET_MS = 600000,
  MINUTE_MS = 60000,
  SHARE = TILE,    /* leaves between two looks at the clock, and whether somebody waits */
  SHORT_US = 1000, /* a transaction goes on so long also when somebody does: a shorter one writes the newest tile for too few */
  LONG_US = 4000,  /* longest transaction: whoever comes meanwhile waits for its commit too */
  LATE_MS = 86400000, /* so much older than a neighbour a leaf is not found by its tile */
  WHOLE_MS = 2000, /* so often the queue is looked through from its very beginning */
  SLACK_MS = 1000  /* how much older than those before them leaves commonly come */
};

#define INSERT_PENDING "INSERT INTO ledger_pending (at, leaf_hash, header, digest) VALUES (?1, ?2, ?3, ?4)"
#define INSERT_LEAF "INSERT INTO ledger_leaf (idx, leaf_hash, header, digest) "

/* After the last leaf, and never inside the tree, whatever somebody took out of the table. */
static int put_placed(struct store_tx *tx, const unsigned char *leaf_hash, const char *header, const unsigned char *digest, struct err *err) {
  return store_put(tx, err,
    INSERT_LEAF "VALUES (MAX(COALESCE((SELECT idx FROM ledger_leaf ORDER BY idx DESC LIMIT 1) + 1, 0), COALESCE((SELECT size FROM ledger_state WHERE name = 'log'), 0)), "
    "?1, ?2, ?3)",
    "btb", leaf_hash, (size_t)TRUST_HASH, header, digest, (size_t)TRUST_HASH);
}

static int put_pending(struct store_tx *tx, const unsigned char *leaf_hash, const char *header, const unsigned char *digest, struct err *err) {
  if (!store_looks(tx)) return store_put(tx, err, INSERT_PENDING, "ibtb", store_time(tx), leaf_hash, (size_t)TRUST_HASH, header, digest, (size_t)TRUST_HASH);
  return store_put(tx, err, INSERT_PENDING " ON CONFLICT (at, leaf_hash) DO NOTHING", "ibtb", store_time(tx), leaf_hash, (size_t)TRUST_HASH, header, digest,
                   (size_t)TRUST_HASH);
}

int trust_append(struct store_tx *tx, const unsigned char leaf_hash[TRUST_HASH], const char *header, const unsigned char digest[TRUST_HASH],
                 struct err *err) {
  unsigned char again[TRUST_HASH];
  if (strlen(header) > HEADER_MOST || strchr(header, '\n') != NULL)
    return err_set(err, ERR_INVALID, "the header of a leaf is one line of at most %d bytes", HEADER_MOST);
  trust_leaf_from_digest(header, digest, again);
  if (memcmp(again, leaf_hash, TRUST_HASH) != 0)
    return err_set(err, ERR_INTERNAL, "the hash of a leaf is not that of its header and digest");
  return (store_engine_of(store_of(tx)) == STORE_SQLITE ? put_placed : put_pending)(tx, leaf_hash, header, digest, err);
}

/* ---- places and tiles ---- */

/* from: pending leaves of that time and later. What was removed stands at the beginning of the queue until the database cleans up (PostgreSQL), and whoever
 * begins there steps over all of it; what came late is found by the looks from the very beginning. */
struct place {
  struct trust *t;
  int share, count, placed; /* count: of the share under way */
  bool more;
  int64_t from, last_at;
  unsigned char hashes[BATCH_MOST][TRUST_HASH];
  int64_t times[BATCH_MOST]; /* of the leaves' headers */
};

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#define FIRST_PENDING "FROM ledger_pending WHERE at >= ?2 ORDER BY at, leaf_hash LIMIT ?1"

/* Leaves that have their places already. */
static int take_placed(struct store_tx *tx, struct place *p, int64_t size, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT idx, leaf_hash, header FROM ledger_leaf WHERE idx >= ?2 ORDER BY idx LIMIT ?1", "ii", (int64_t)p->share, size);
  if (r == NULL) return -1;
  int rc;
  for (; (rc = store_next(r, err)) == 1 && p->count < BATCH_MOST; p->count++) {
    p->times[p->count] = leaf_time(store_text(r, 2));
    if (store_int(r, 0) != size + p->count || hash_read(r, 1, p->hashes[p->count]) != 0) {
      rc = err_set(err, ERR_INTERNAL, "leaf %lld of the ledger is missing or damaged", (long long)size + p->count);
      break;
    }
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int move_all(struct store_tx *tx, const struct place *p, int64_t size, struct err *err) {
  int put = store_exec(tx, err,
    INSERT_LEAF "SELECT ?1 + row_number() OVER (ORDER BY at, leaf_hash) - 1, leaf_hash, header, digest "
    "FROM (SELECT at, leaf_hash, header, digest FROM ledger_pending WHERE at >= ?3 ORDER BY at, leaf_hash LIMIT ?2) AS p",
    "iii", size, (int64_t)p->count, p->from);
  if (put < 0) return -1;
  return put == p->count ? 0 : err_set(err, ERR_INTERNAL, "%d leaves had places, %d rows were made", p->count, put);
}

/* The next share of those that have none, moved to their places from `size` on. */
static int move(struct store_tx *tx, struct place *p, int64_t size, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT at, leaf_hash, header " FIRST_PENDING, "ii", (int64_t)p->share, p->from);
  if (r == NULL) return -1;
  int rc;
  for (; (rc = store_next(r, err)) == 1 && p->count < BATCH_MOST; p->count++) {
    p->last_at = store_int(r, 0);
    p->times[p->count] = leaf_time(store_text(r, 2));
    if (hash_read(r, 1, p->hashes[p->count]) != 0) {
      rc = err_set(err, ERR_INTERNAL, "a pending leaf is damaged");
      break;
    }
  }
  store_done(r);
  if (rc < 0) return -1;
  if (p->count == 0) return 0;
  if (move_all(tx, p, size, err) != 0) return -1;
  const unsigned char *last = p->hashes[p->count - 1];
  int gone = store_exec(tx, err, "DELETE FROM ledger_pending WHERE at >= ?3 AND (at, leaf_hash) <= (?1, ?2)", "ibi", p->last_at, last, (size_t)TRUST_HASH,
                        p->from);
  if (gone < 0) return -1;
  return gone == p->count ? 0 : err_set(err, ERR_INTERNAL, "%d leaves had places, %d were removed from those that wait", p->count, gone);
}

static int tile_put(struct store_tx *tx, int level, int64_t n, const unsigned char *hashes, int width, struct err *err) {
  return store_put(tx, err,
    "INSERT INTO ledger_tile (level, n, hashes) VALUES (?1, ?2, ?3) ON CONFLICT (level, n) DO UPDATE SET hashes = excluded.hashes",
    "iib", (int64_t)level, n, hashes, (size_t)width * TRUST_HASH);
}

/* Add count hashes to a level that has `before`; the roots of tiles that became full are left in hashes, their number answered. */
static int extend(struct store_tx *tx, int level, int64_t before, unsigned char (*hashes)[TRUST_HASH], int count, struct err *err) {
  unsigned char tile[TILE_BYTES];
  int full = 0, width = (int)(before % TILE);
  int64_t n = before / TILE;
  if (width > 0 && tile_read(tx, level, n, width, tile, err) != 0) return -1;
  for (int from = 0; from < count; n++) {
    int take = TILE - width < count - from ? TILE - width : count - from;
    memcpy(tile + width * TRUST_HASH, hashes[from], (size_t)take * TRUST_HASH);
    from += take;
    width += take;
    if (tile_put(tx, level, n, tile, width, err) != 0) return -1;
    if (width < TILE) break;
    merkle_full_tile(tile, hashes[full++]); /* full ones are never more than those taken */
    width = 0;
  }
  return full;
}

static int late_put(struct store_tx *tx, const struct place *p, int i, int64_t index, struct err *err) {
  return store_put(tx, err, "INSERT INTO ledger_late (idx, at, leaf_hash) VALUES (?1, ?2, ?3)", "iib", index, p->times[i], p->hashes[i], (size_t)TRUST_HASH);
}

/* The times of the leaves from `size` on, for each tile that they stand in; what is late beside the newest of a tile's new ones is found by itself. */
static int spans(struct store_tx *tx, const struct place *p, int64_t size, struct err *err) {
  for (int i = 0, from, end; i < p->count; i = end) {
    int64_t n = (size + i) / TILE, newest = p->times[i], oldest = INT64_MAX;
    for (from = end = i; end < p->count && (size + end) / TILE == n; end++)
      if (p->times[end] > newest) newest = p->times[end];
    for (; from < end; from++) {
      if (p->times[from] < newest - LATE_MS) {
        if (late_put(tx, p, from, size + from, err) != 0) return -1;
      } else if (p->times[from] < oldest) {
        oldest = p->times[from];
      }
    }
    if (store_put(tx, err,
          "INSERT INTO ledger_span (n, oldest, newest) VALUES (?1, ?2, ?3) ON CONFLICT (n) DO UPDATE SET "
          "oldest = CASE WHEN excluded.oldest < ledger_span.oldest THEN excluded.oldest ELSE ledger_span.oldest END, "
          "newest = CASE WHEN excluded.newest > ledger_span.newest THEN excluded.newest ELSE ledger_span.newest END",
          "iii", n, oldest, newest) != 0)
      return -1;
  }
  return 0;
}

/* First those that have places; a copy of one engine's rows may hold both kinds. */
static int place_share(struct store_tx *tx, struct place *p, int64_t size, struct err *err) {
  p->count = 0;
  if (take_placed(tx, p, size, err) != 0 || (p->count == 0 && move(tx, p, size, err) != 0)) return -1;
  if (p->count == 0) return 0;
  if (spans(tx, p, size, err) != 0) return -1;
  int more = p->count;
  for (int level = 0; more > 0; level++) {
    more = extend(tx, level, size >> (8 * level), p->hashes, more, err);
    if (more < 0) return -1;
  }
  p->placed += p->count;
  return 0;
}

/* Share by share: a long transaction touches each page less often, but ends soon when somebody waits for it. */
static int place_work(struct store_tx *tx, void *arg, struct err *err) {
  struct place *p = arg;
  unsigned char root[TRUST_HASH];
  int64_t began = now_us(), took, size;
  p->placed = 0;
  if (store_lease_check(tx, "ledger", p->t->node, p->t->epoch, err) != 0 || state_read(tx, &size, root, err) != 0) return -1;
  do {
    if (place_share(tx, p, size + p->placed, err) != 0) return -1;
    p->more = p->count == p->share;
    took = now_us() - began;
  } while (p->more && p->placed + p->share <= BATCH_MOST && (took < SHORT_US || (took < LONG_US && !store_hurry(tx))));
  if (p->placed == 0) return 0;
  struct tiles tiles = {.get = tile_read, .ctx = tx};
  int rc = merkle_root(&tiles, size + p->placed, root, err);
  tiles_free(&tiles);
  if (rc != 0) return rc;
  return store_put(
    tx, err,
    "INSERT INTO ledger_state (name, size, root) VALUES ('log', ?1, ?2) "
    "ON CONFLICT (name) DO UPDATE SET size = excluded.size, root = excluded.root",
    "ib", size + p->placed, root, (size_t)TRUST_HASH);
}

/* ---- heads ---- */

struct signing {
  struct trust *t;
  const struct log_name *name;
  struct remembered before;
  int64_t size, generation;
  char *key, *checkpoint;
  unsigned char root[TRUST_HASH];
  struct proof proof;
  struct head last;
};

static int log_row(struct store_tx *tx, struct signing *s, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT generation, key FROM ledger_log ORDER BY generation DESC LIMIT 1", "");
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  free(s->key);
  s->key = NULL;
  if (rc == 1) {
    s->generation = store_int(r, 0);
    s->key = base_strdup(store_text(r, 1));
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int survey_work(struct store_tx *tx, void *arg, struct err *err) {
  struct signing *s = arg;
  s->generation = 0;
  if (log_row(tx, s, err) != 0 || state_read(tx, &s->size, s->root, err) != 0 || head_newest(tx, s->generation, &s->last, err) != 0)
    return -1;
  s->proof.count = 0;
  if (!s->before.found || s->before.head.size > s->size) return 0;
  struct tiles tiles = {.get = tile_read, .ctx = tx};
  int rc = merkle_consistency(&tiles, s->before.head.size, s->size, &s->proof, err);
  tiles_free(&tiles);
  return rc;
}

/* Places are given in STORE_AGAIN. What is signed must stand: this waits for the disk, and with it for all that was written before. */
static int stand_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct signing *s = arg;
  return store_put(tx, err,
    "INSERT INTO ledger_state (name, size, root) VALUES ('signed', ?1, ?2) "
    "ON CONFLICT (name) DO UPDATE SET size = excluded.size, root = excluded.root",
    "ib", s->size, s->root, (size_t)TRUST_HASH);
}

static int release_work(struct store_tx *tx, void *arg, struct err *err) {
  struct signing *s = arg;
  int64_t now = store_time(tx);
  bool first = !s->last.found || s->last.at / MINUTE_MS != now / MINUTE_MS;
  if (store_lease_check(tx, "ledger", s->t->node, s->t->epoch, err) != 0 ||
      store_put(tx, err, "DELETE FROM ledger_head WHERE kept = 0 AND at < ?1", "i", now - FORGET_MS) != 0)
    return -1;
  return store_put(tx, err,
    "INSERT INTO ledger_head (generation, tree_size, at, root, checkpoint, kept) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
    "ON CONFLICT (generation, tree_size) DO NOTHING",
    "iiibti", s->name->generation, s->size, now, s->root, (size_t)TRUST_HASH, s->checkpoint, (int64_t)first);
}

static int sign_locked(struct trust *t, struct signing *s, struct err *err) {
  if (head_remembered(t, &s->before, err) != 0 || store_read(t->store, survey_work, s, err) != 0) return -1;
  trust_adopt(t, s->generation);
  s->name = trust_name(t);
  if (s->key == NULL || s->generation != s->name->generation || strcmp(s->key, s->name->text) != 0)
    return err_set(err, ERR_CONFLICT, "the log in the store is %s, the key here is %s: put the right key back, or begin a declared new log",
                   s->key == NULL ? "(none)" : s->key, s->name->text);
  if (s->last.found && s->last.size == s->size) return 0;
  if (store_write(t->store, STORE_JOBS, stand_work, s, err) != 0) return -1;
  return head_sign(t, s->name, s->size, s->root, &s->before, &s->proof, &s->checkpoint, err);
}

/* Sign a head over what is committed. The key's memory is read and written under its lock, before the checkpoint is released. */
static int sign(struct trust *t, struct err *err) {
  struct signing s = {.t = t};
  int fd = head_lock(t, err);
  if (fd < 0) return -1;
  int rc = sign_locked(t, &s, err);
  close(fd);
  if (rc == 0 && s.checkpoint != NULL) rc = store_write(t->store, STORE_JOBS, release_work, &s, err);
  if (rc == 0) t->signed_at = clock_mono();
  free(s.key);
  free(s.checkpoint);
  head_clear(&s.last);
  return rc;
}

/* ---- the round ---- */

struct look {
  int64_t waiting, size, head, generation;
};

static int look_work(struct store_tx *tx, void *arg, struct err *err) {
  struct look *l = arg;
  unsigned char root[TRUST_HASH];
  if (state_read(tx, &l->size, root, err) != 0 ||
      store_value(tx, &l->waiting, 0, err, "SELECT 1 WHERE EXISTS (SELECT 1 FROM ledger_leaf WHERE idx >= ?1) OR EXISTS (SELECT 1 FROM ledger_pending)", "i", l->size) != 0 ||
      store_value(tx, &l->generation, 0, err, "SELECT MAX(generation) FROM ledger_log", "") != 0)
    return -1;
  return store_value(tx, &l->head, -1, err, "SELECT MAX(tree_size) FROM ledger_head WHERE generation = ?1", "i", l->generation);
}

/* 1: the lease is ours. */
static int lease(struct trust *t, struct err *err) {
  if (t->lease_until - clock_mono() > LEASE_MS / 2) return 1;
  int64_t asked = clock_mono();
  t->lease_until = 0;
  int rc = store_lease(t->store, "ledger", t->node, LEASE_MS, &t->epoch, err);
  if (rc == 1) t->lease_until = asked + LEASE_MS;
  return rc;
}

static int drain(struct trust *t, int64_t *placed, struct err *err) {
  struct place *p = base_alloc(sizeof *p);
  int64_t until = clock_mono() + ROUND_MS;
  int rc;
  p->t = t;
  p->share = store_engine_of(t->store) == STORE_SQLITE ? SHARE : BATCH_MOST / 2; /* over a network a share costs its round trips */
  do {
    p->from = t->placed_at != 0 && clock_mono() - t->whole_at < WHOLE_MS ? t->placed_at - SLACK_MS : 0;
    if (p->from == 0) t->whole_at = clock_mono();
    rc = lease(t, err);
    if (rc != 1) break;
    rc = store_write(t->store, STORE_AGAIN, place_work, p, err);
    if (rc != 0) break;
    *placed += p->placed;
    t->placed_at = p->placed > 0 ? p->last_at : 0; /* none: what waits is older, so from the beginning */
  } while ((p->more || (p->placed == 0 && p->from != 0)) && clock_mono() < until);
  free(p);
  return rc < 0 ? -1 : 0;
}

static int round_of(struct trust *t, int64_t *placed, struct err *err) {
  struct look l = {0};
  if (store_read(t->store, look_work, &l, err) != 0) return -1;
  trust_adopt(t, l.generation);
  bool due = l.head < l.size;
  if (!l.waiting && !due) return 0;
  int rc = lease(t, err);
  if (rc != 1) return rc;
  if (l.waiting && drain(t, placed, err) != 0) return -1;
  if ((!due && *placed == 0) || (t->signed_at != 0 && clock_mono() - t->signed_at < HEAD_MS)) return 0;
  return sign(t, err);
}

static bool fenced(struct trust *t, const struct err *why) {
  return why->code == ERR_CONFLICT && base_starts(why->message, "the lease ledger") && t->lease_until > 0;
}

int trust_sequence(struct trust *t, int64_t *placed, struct err *err) {
  struct err why = {0};
  int64_t n = 0;
  pthread_mutex_lock(&t->lock);
  int rc = round_of(t, &n, &why);
  if (rc != 0 && fenced(t, &why)) { /* another holds it now and goes on with the work */
    t->lease_until = 0;
    rc = 0;
  }
  pthread_mutex_unlock(&t->lock);
  if (placed != NULL) *placed = n;
  if (rc != 0 && err != NULL) *err = why;
  return rc;
}
