/* The Merkle tree of RFC 9162, section 2.1, read from C2SP tiles of 256 hashes. */
#include "trust/inner.h"
#include <stdlib.h>
#include <string.h>

struct tile {
  struct tile *next;
  int level, width;
  int64_t n;
  unsigned char hashes[TILE_BYTES];
};

void tiles_free(struct tiles *t) {
  for (struct tile *x = t->seen, *next; x != NULL; x = next) {
    next = x->next;
    free(x);
  }
  t->seen = NULL;
}

static const unsigned char *entries(struct tiles *t, int level, int64_t n, int width, struct err *err) {
  for (struct tile *x = t->seen; x != NULL; x = x->next)
    if (x->level == level && x->n == n && x->width >= width) return x->hashes;
  struct tile *x = base_alloc(sizeof *x);
  if (t->get(t->ctx, level, n, width, x->hashes, err) != 0) {
    free(x);
    return NULL;
  }
  x->level = level;
  x->n = n;
  x->width = width;
  x->next = t->seen;
  t->seen = x;
  return x->hashes;
}

/* Root of `count` (a power of two) hashes. */
static void perfect(const unsigned char *hashes, int count, unsigned char out[TRUST_HASH]) {
  unsigned char work[TILE / 2][TRUST_HASH];
  if (count == 1) {
    memcpy(out, hashes, TRUST_HASH);
    return;
  }
  for (int i = 0; i < count / 2; i++) hash_parent(hashes + 2 * i * TRUST_HASH, hashes + (2 * i + 1) * TRUST_HASH, work[i]);
  for (count /= 2; count > 1; count /= 2)
    for (int i = 0; i < count / 2; i++) hash_parent(work[2 * i], work[2 * i + 1], work[i]);
  memcpy(out, work[0], TRUST_HASH);
}

void merkle_full_tile(const unsigned char *hashes, unsigned char out[TRUST_HASH]) { perfect(hashes, TILE, out); }

/* The perfect subtree of this height that begins at leaf lo. */
static int node(struct tiles *t, int height, int64_t lo, unsigned char out[TRUST_HASH], struct err *err) {
  int level = height / 8, count = 1 << height % 8;
  int64_t first = lo >> (8 * level);
  int from = (int)(first % TILE);
  const unsigned char *hashes = entries(t, level, first / TILE, from + count, err);
  if (hashes == NULL) return -1;
  perfect(hashes + from * TRUST_HASH, count, out);
  return 0;
}

/* The largest power of two smaller than n (n > 1), as its exponent. */
static int split(int64_t n) { return 63 - __builtin_clzll((uint64_t)n - 1); }

/* Hash of the leaves lo…hi-1, where lo is a multiple of the power of two that holds them. */
static int range(struct tiles *t, int64_t lo, int64_t hi, unsigned char out[TRUST_HASH], struct err *err) {
  int64_t n = hi - lo;
  if ((n & (n - 1)) == 0) return node(t, 63 - __builtin_clzll((uint64_t)n), lo, out, err);
  unsigned char left[TRUST_HASH];
  int k = split(n);
  if (node(t, k, lo, left, err) != 0 || range(t, lo + ((int64_t)1 << k), hi, out, err) != 0) return -1;
  hash_parent(left, out, out);
  return 0;
}

int merkle_root(struct tiles *t, int64_t size, unsigned char out[TRUST_HASH], struct err *err) {
  if (size > 0) return range(t, 0, size, out, err);
  sha256("", 0, out);
  return 0;
}

int merkle_leaf(struct tiles *t, int64_t leaf, unsigned char out[TRUST_HASH], struct err *err) { return node(t, 0, leaf, out, err); }

static void turn(struct proof *p) {
  for (int i = 0, j = p->count - 1; i < j; i++, j--) {
    unsigned char x[TRUST_HASH];
    memcpy(x, p->path[i], TRUST_HASH);
    memcpy(p->path[i], p->path[j], TRUST_HASH);
    memcpy(p->path[j], x, TRUST_HASH);
  }
}

int merkle_inclusion(struct tiles *t, int64_t leaf, int64_t size, struct proof *out, struct err *err) {
  out->count = 0;
  if (leaf < 0 || leaf >= size)
    return err_set(err, ERR_INVALID, "there is no leaf %lld in a tree of %lld", (long long)leaf, (long long)size);
  for (int64_t lo = 0, hi = size; hi - lo > 1;) {
    int64_t middle = lo + ((int64_t)1 << split(hi - lo));
    bool left = leaf < middle;
    if (range(t, left ? middle : lo, left ? hi : middle, out->path[out->count++], err) != 0) return -1;
    if (left) hi = middle;
    else lo = middle;
  }
  turn(out);
  return 0;
}

int merkle_consistency(struct tiles *t, int64_t first, int64_t second, struct proof *out, struct err *err) {
  out->count = 0;
  if (first < 0 || first > second)
    return err_set(err, ERR_INVALID, "a tree of %lld cannot continue one of %lld", (long long)second, (long long)first);
  if (first == 0 || first == second) return 0;
  int64_t lo = 0, hi = second;
  bool whole = true; /* the first tree is still a subtree with this left edge */
  while (hi != first) {
    int64_t middle = lo + ((int64_t)1 << split(hi - lo));
    bool left = first <= middle;
    if (range(t, left ? middle : lo, left ? hi : middle, out->path[out->count++], err) != 0) return -1;
    if (left) {
      hi = middle;
    } else {
      lo = middle;
      whole = false;
    }
  }
  if (!whole && range(t, lo, hi, out->path[out->count++], err) != 0) return -1;
  turn(out);
  return 0;
}

/* RFC 9162, 2.1.3.2 */
bool merkle_check_inclusion(const unsigned char *leaf_hash, int64_t leaf, int64_t size, const struct proof *p, const unsigned char *root) {
  if (leaf < 0 || leaf >= size) return false;
  unsigned char r[TRUST_HASH];
  int64_t fn = leaf, sn = size - 1;
  memcpy(r, leaf_hash, TRUST_HASH);
  for (int i = 0; i < p->count; i++) {
    if (sn == 0) return false;
    if ((fn & 1) != 0 || fn == sn) {
      hash_parent(p->path[i], r, r);
      for (; (fn & 1) == 0 && fn != 0; fn >>= 1) sn >>= 1;
    } else {
      hash_parent(r, p->path[i], r);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && memcmp(r, root, TRUST_HASH) == 0;
}

/* RFC 9162, 2.1.4.2 */
bool merkle_check_consistency(int64_t first, int64_t second, const unsigned char *first_root, const unsigned char *second_root,
                              const struct proof *p) {
  if (first < 0 || first > second) return false;
  if (first == second) return p->count == 0 && memcmp(first_root, second_root, TRUST_HASH) == 0;
  if (first == 0) {
    unsigned char empty[TRUST_HASH];
    sha256("", 0, empty);
    return p->count == 0 && memcmp(first_root, empty, TRUST_HASH) == 0;
  }
  unsigned char fr[TRUST_HASH], sr[TRUST_HASH];
  int i = 0;
  bool power = (first & (first - 1)) == 0;
  if (p->count == 0) return false;
  memcpy(fr, power ? first_root : p->path[i++], TRUST_HASH);
  memcpy(sr, fr, TRUST_HASH);
  int64_t fn = first - 1, sn = second - 1;
  for (; (fn & 1) != 0; fn >>= 1) sn >>= 1;
  for (; i < p->count; i++) {
    if (sn == 0) return false;
    if ((fn & 1) != 0 || fn == sn) {
      hash_parent(p->path[i], fr, fr);
      hash_parent(p->path[i], sr, sr);
      for (; (fn & 1) == 0 && fn != 0; fn >>= 1) sn >>= 1;
    } else {
      hash_parent(sr, p->path[i], sr);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && memcmp(fr, first_root, TRUST_HASH) == 0 && memcmp(sr, second_root, TRUST_HASH) == 0;
}

void frontier_push(struct frontier *f, const unsigned char *leaf_hash) {
  unsigned char h[TRUST_HASH];
  int height = 0;
  memcpy(h, leaf_hash, TRUST_HASH);
  for (; (f->size >> height & 1) != 0; height++) hash_parent(f->peak[height], h, h);
  memcpy(f->peak[height], h, TRUST_HASH);
  f->size++;
}

void frontier_root(const struct frontier *f, unsigned char out[TRUST_HASH]) {
  bool any = false;
  sha256("", 0, out);
  for (int height = 0; f->size >> height != 0; height++) {
    if ((f->size >> height & 1) == 0) continue;
    if (any) hash_parent(f->peak[height], out, out);
    else memcpy(out, f->peak[height], TRUST_HASH);
    any = true;
  }
}
