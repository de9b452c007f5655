#include "trust/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEASE "ledger"
#define HEAD_EVERY_MS 1000

/* What the key remembers: "generation id size root". It signs nothing that does not continue it. */
struct memory { int64_t generation, size; char id[33], root[65]; bool there; };

static int remember_read(const struct trust *t, struct memory *m, struct err *err) {
  memset(m, 0, sizeof *m);
  if (access(t->head_file, F_OK)) return 0;
  size_t n = 0;
  char *text = file_read(t->head_file, 1024, &n, err);
  if (!text) return -1;
  long long g, size;
  int fields = sscanf(text, "%lld %32s %lld %64s", &g, m->id, &size, m->root);
  free(text);
  if (fields != 4) return err_set(err, ERR_INVALID, "%s is damaged", t->head_file);
  m->generation = g;
  m->size = size;
  m->there = true;
  return 0;
}

static int remember(const struct trust *t, const struct memory *m, struct err *err) {
  char *text = base_printf("%lld %s %lld %s\n", (long long)m->generation, m->id, (long long)m->size, m->root);
  int rc = file_write(t->head_file, text, strlen(text), 0600, err);
  free(text);
  return rc;
}

struct opening {
  struct trust *t;
  struct memory m;
  int64_t generation, size;
  char id[33];
};

static int opening_work(struct store_tx *tx, void *arg, struct err *err) {
  struct opening *o = arg;
  unsigned char raw[16];
  char id[33];
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, id);
  /* An empty store under a key that has signed before begins a declared new log: its name shows it. */
  int64_t generation = o->m.there ? o->m.generation + 1 : 1;
  if (store_exec(tx, err, "INSERT INTO ledger_state (name,id,generation,size) VALUES ('log',?1,?2,0) ON CONFLICT DO NOTHING", "ti", id, generation) < 0) return -1;
  struct store_rows *r = store_select(tx, err, "SELECT id,generation,size FROM ledger_state WHERE name='log'", "");
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(o->id, sizeof o->id, "%s", store_text(r, 0));
    o->generation = store_int(r, 1);
    o->size = store_int(r, 2);
  }
  store_done(r);
  return rc == 1 ? 0 : rc == 0 ? err_set(err, ERR_INTERNAL, "the ledger has no state") : -1;
}

int head_open(struct trust *t, struct err *err) {
  struct opening o = {.t = t};
  if (remember_read(t, &o.m, err) || store_write(t->store, STORE_FRONT, opening_work, &o, err)) return -1;
  if (o.m.there && strcmp(o.m.id, o.id) != 0 && o.generation <= o.m.generation)
    return err_set(err, ERR_CONFLICT, "this key belongs to another log (%s): it signs for the store that it was made with", t->head_file);
  t->origin = o.generation > 1 ? base_printf("%s/%lld", t->name, (long long)o.generation) : base_strdup(t->name);
  if (!o.m.there || strcmp(o.m.id, o.id) != 0) {
    struct memory fresh = {.generation = o.generation};
    snprintf(fresh.id, sizeof fresh.id, "%s", o.id);
    memset(fresh.root, '0', 64);
    return remember(t, &fresh, err);
  }
  return 0;
}

void head_free(struct head *h) {
  free(h->checkpoint);
  free(h->stamp);
  memset(h, 0, sizeof *h);
}

static int take_head(struct store_rows *r, struct head *h, struct err *err) {
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    size_t n = 0;
    const void *p;
    h->size = store_int(r, 0);
    h->at = store_int(r, 1);
    p = store_blob(r, 2, &n);
    if (p && n == 32) memcpy(h->root, p, 32);
    h->checkpoint = base_strdup(store_text(r, 3));
    p = store_blob(r, 4, &n);
    if (p && n) {
      h->stamp = base_alloc(n);
      memcpy(h->stamp, p, n);
      h->stamp_size = n;
    }
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int head_newest(struct store_tx *tx, struct head *h, struct err *err) {
  memset(h, 0, sizeof *h);
  return take_head(store_select(tx, err, "SELECT tree_size,at,root,checkpoint,stamp FROM ledger_head ORDER BY tree_size DESC LIMIT 1", ""), h, err);
}

int lines_of(struct store_tx *tx, int64_t size, struct buf *out, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT line FROM ledger_witness WHERE tree_size=?1 ORDER BY witness", "i", size);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) buf_adds(out, store_text(r, 0));
  store_done(r);
  return rc;
}

/* ---- giving places ---- */

struct sequencing {
  struct trust *t;
  int64_t epoch, placed;
};

struct waiting {
  int64_t at;
  unsigned char leaf[32], digest[32];
  char *header;
};

static int tile_load(struct store_tx *tx, int level, int64_t n, unsigned char *bytes, size_t *count, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT bytes FROM ledger_tile WHERE level=?1 AND n=?2", "ii", (int64_t)level, n);
  if (!r) return -1;
  int rc = store_next(r, err);
  size_t got = 0;
  const void *p = rc == 1 ? store_blob(r, 0, &got) : NULL;
  if (p && got <= TILE * 32) memcpy(bytes, p, got);
  else got = 0;
  store_done(r);
  *count = got / 32;
  return rc < 0 ? -1 : 0;
}

static int tile_save(struct store_tx *tx, int level, int64_t n, const unsigned char *bytes, size_t count, struct err *err) {
  return store_put(tx, err, "INSERT INTO ledger_tile (level,n,bytes) VALUES (?1,?2,?3) ON CONFLICT (level,n) DO UPDATE SET bytes=excluded.bytes", "iib",
                   (int64_t)level, n, (const void *)bytes, count * 32);
}

/* Append hashes to one level from position `at` on; full tiles give their root to the level above. */
static int extend(struct store_tx *tx, int level, int64_t at, const unsigned char (*hashes)[32], int64_t count, struct err *err) {
  unsigned char (*up)[32] = NULL;
  int64_t ups = 0, first = at / TILE;
  unsigned char *bytes = base_alloc(TILE * 32);
  int rc = -1;
  size_t have = 0;
  up = base_alloc((size_t)(count / TILE + 2) * 32);
  if (at % TILE && tile_load(tx, level, first, bytes, &have, err)) goto out;
  if ((int64_t)have < at % TILE) {
    err_set(err, ERR_INTERNAL, "tile %d/%lld is short", level, (long long)first);
    goto out;
  }
  have = (size_t)(at % TILE);
  for (int64_t i = 0; i < count; i++) {
    memcpy(bytes + have * 32, hashes[i], 32);
    if (++have < TILE && i + 1 < count) continue;
    if (tile_save(tx, level, (at + i) / TILE, bytes, have, err)) goto out;
    if (have == TILE) {
      unsigned char work[TILE * 32];
      memcpy(work, bytes, sizeof work);
      for (size_t n = TILE; n > 1; n /= 2)
        for (size_t k = 0; k < n / 2; k++) node_hash(work + 64 * k, work + 64 * k + 32, work + 32 * k);
      memcpy(up[ups++], work, 32);
      have = 0;
    }
  }
  rc = ups ? extend(tx, level + 1, at / TILE, (const unsigned char (*)[32])up, ups, err) : 0;
out:
  free(bytes);
  free(up);
  return rc;
}

#define BATCH 1024

static int collect(struct store_tx *tx, struct waiting *w, int64_t *count, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT at,leaf_hash,header,digest FROM ledger_pending ORDER BY at,leaf_hash LIMIT 1024", "");
  if (!r) return -1;
  int rc;
  *count = 0;
  while ((rc = store_next(r, err)) == 1) {
    struct waiting *x = &w[*count];
    size_t n = 0;
    const void *p = store_blob(r, 1, &n);
    x->at = store_int(r, 0);
    if (p && n == 32) memcpy(x->leaf, p, 32);
    p = store_blob(r, 3, &n);
    if (p && n == 32) memcpy(x->digest, p, 32);
    x->header = base_strdup(store_text(r, 2));
    ++*count;
  }
  store_done(r);
  return rc;
}

static int place(struct store_tx *tx, const struct waiting *w, int64_t idx, struct err *err) {
  return store_put(tx, err, "INSERT INTO ledger_leaf (idx,leaf_hash,header,digest) VALUES (?1,?2,?3,?4)", "ibtb", idx, (const void *)w->leaf, (size_t)32, w->header,
                   (const void *)w->digest, (size_t)32) ||
         store_put(tx, err, "INSERT INTO ledger_place (leaf_hash,idx) VALUES (?1,?2)", "bi", (const void *)w->leaf, (size_t)32, idx) ||
         store_put(tx, err, "DELETE FROM ledger_pending WHERE at=?1 AND leaf_hash=?2", "ib", w->at, (const void *)w->leaf, (size_t)32) ? -1 : 0;
}

static int sequence_work(struct store_tx *tx, void *arg, struct err *err) {
  struct sequencing *s = arg;
  int64_t count = 0, size = 0;
  int rc = -1;
  s->placed = 0;
  struct waiting *w = base_alloc(BATCH * sizeof *w);
  unsigned char (*hashes)[32] = base_alloc(BATCH * 32);
  if (store_lease_check(tx, LEASE, s->t->node, s->epoch, err) || collect(tx, w, &count, err)) goto out;
  if (count == 0) {
    rc = 0;
    goto out;
  }
  if (store_value(tx, &size, 0, err, "SELECT size FROM ledger_state WHERE name='log'", "")) goto out;
  for (int64_t i = 0; i < count; i++) {
    memcpy(hashes[i], w[i].leaf, 32);
    if (place(tx, &w[i], size + i, err)) goto out;
  }
  if (extend(tx, 0, size, (const unsigned char (*)[32])hashes, count, err)) goto out;
  int n = store_exec(tx, err, "UPDATE ledger_state SET size=?1 WHERE name='log' AND size=?2", "ii", size + count, size);
  if (n < 0) goto out;
  if (n == 0) {
    err_set(err, ERR_CONFLICT, "another sequencer was here");
    goto out;
  }
  s->placed = count;
  rc = 0;
out:
  for (int64_t i = 0; i < count; i++) free(w[i].header);
  free(w);
  free(hashes);
  return rc;
}

int trust_append(struct store_tx *tx, const unsigned char leaf_hash[TRUST_HASH], const char *header, const unsigned char digest[TRUST_HASH], struct err *err) {
  return store_put(tx, err, "INSERT INTO ledger_pending (at,leaf_hash,header,digest) VALUES (?1,?2,?3,?4)", "ibtb", store_time(tx), (const void *)leaf_hash, (size_t)32, header,
                   (const void *)digest, (size_t)32);
}

int trust_sequence(struct trust *t, int64_t *placed, struct err *err) {
  struct sequencing s = {.t = t};
  int64_t all = 0;
  int held = store_lease(t->store, LEASE, t->node, 10000, &s.epoch, err);
  if (placed) *placed = 0;
  if (held <= 0) return held;
  for (int round = 0; round < 64; round++) {
    if (store_write(t->store, STORE_JOBS, sequence_work, &s, err)) return -1;
    all += s.placed;
    if (s.placed < BATCH) break;
  }
  if (placed) *placed = all;
  return head_sign(t, err);
}

/* ---- signing a head ---- */

struct signing {
  struct trust *t;
  struct memory m;
  struct head last;
  int64_t size;
  unsigned char root[32], old_root[32];
};

static int look_work(struct store_tx *tx, void *arg, struct err *err) {
  struct signing *s = arg;
  struct tiles *t = base_alloc(sizeof *t);
  int rc = -1;
  t->tx = tx;
  head_free(&s->last);
  if (head_newest(tx, &s->last, err) || store_value(tx, &s->size, 0, err, "SELECT size FROM ledger_state WHERE name='log'", "")) goto out;
  if (s->size > s->last.size && merkle_root(t, s->size, s->root, err)) goto out;
  if (s->m.size <= s->size && s->m.size > 0 && merkle_root(t, s->m.size, s->old_root, err)) goto out;
  rc = 0;
out:
  free(t);
  return rc;
}

struct put_head { struct signing *s; char *note; int64_t at; };

static int put_work(struct store_tx *tx, void *arg, struct err *err) {
  struct put_head *p = arg;
  return store_put(tx, err, "INSERT INTO ledger_head (tree_size,at,root,checkpoint,stamp) VALUES (?1,?2,?3,?4,NULL) ON CONFLICT DO NOTHING", "iibt", p->s->size, p->at,
                   (const void *)p->s->root, (size_t)32, p->note);
}

int head_sign(struct trust *t, struct err *err) {
  struct signing s = {.t = t};
  struct put_head p = {.s = &s, .at = clock_now()};
  char *body = NULL, *root = NULL, hex[65];
  int rc = -1;
  if (remember_read(t, &s.m, err) || store_read(t->store, look_work, &s, err)) goto out;
  if (s.size < s.m.size) {
    err_set(err, ERR_CONFLICT, "the store is behind the last head that its key signed (%lld of %lld leaves): a copy was put back; see `Ledger: after a restore` in the operators' guide",
            (long long)s.size, (long long)s.m.size);
    goto out;
  }
  if (s.m.size > 0) {
    hex_encode(s.old_root, 32, hex);
    if (strcmp(hex, s.m.root) != 0) {
      err_set(err, ERR_CONFLICT, "the log does not continue the last head that its key signed (%lld leaves): leaves were changed", (long long)s.m.size);
      goto out;
    }
  }
  if (s.size == s.last.size || (s.last.size && p.at - s.last.at < HEAD_EVERY_MS && p.at >= s.last.at)) {
    rc = 0;
    goto out;
  }
  root = base64_encode(s.root, 32);
  body = base_printf("%s\n%lld\n%s\n", t->origin, (long long)s.size, root);
  hex_encode(s.root, 32, s.m.root);
  s.m.size = s.size;
  if (note_sign(t, body, &p.note, err) || remember(t, &s.m, err)) goto out;
  rc = store_write(t->store, STORE_JOBS, put_work, &p, err);
out:
  head_free(&s.last);
  free(body);
  free(root);
  free(p.note);
  return rc;
}
