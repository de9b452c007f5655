/* The tree: known vectors of RFC 6962, and every proof of every size up to 600 against the definitions. */
#include "trust-kit.h"

static const struct { size_t n; const char *bytes; } inputs[] = {
  {0, ""}, {1, "\x00"}, {1, "\x10"}, {2, "\x20\x21"}, {2, "\x30\x31"}, {4, "\x40\x41\x42\x43"},
  {8, "\x50\x51\x52\x53\x54\x55\x56\x57"}, {16, "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"}};
static const char *const roots[] = {
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

enum { MOST = 600 };
static unsigned char leaves[MOST][TRUST_HASH], all_roots[MOST + 1][TRUST_HASH];
static unsigned char tiles0[MOST / TILE + 1][TILE_BYTES], tiles1[TILE_BYTES];

static int get(void *ctx, int level, int64_t n, int width, unsigned char *out, struct err *err) {
  if (level > 1 || (level == 1 && n > 0)) return err_set(err, ERR_INTERNAL, "tile %d/%lld", level, (long long)n);
  memcpy(out, level == 0 ? tiles0[n] : tiles1, (size_t)width * TRUST_HASH);
  return 0;
}

/* The definitions, word by word. */
static void mth(int lo, int hi, unsigned char out[TRUST_HASH]) {
  unsigned char l[TRUST_HASH], r[TRUST_HASH];
  if (hi - lo == 1) {
    memcpy(out, leaves[lo], TRUST_HASH);
    return;
  }
  int k = 1;
  while (k * 2 < hi - lo) k *= 2;
  mth(lo, lo + k, l);
  mth(lo + k, hi, r);
  hash_parent(l, r, out);
}

static void naive_path(int m, int lo, int hi, struct proof *p) {
  if (hi - lo == 1) return;
  int k = 1;
  while (k * 2 < hi - lo) k *= 2;
  bool left = m < k;
  naive_path(left ? m : m - k, left ? lo : lo + k, left ? lo + k : hi, p);
  mth(left ? lo + k : lo, left ? hi : lo + k, p->path[p->count++]);
}

static void naive_subproof(int m, int lo, int hi, bool whole, struct proof *p) {
  if (m == hi - lo) {
    if (!whole) mth(lo, hi, p->path[p->count++]);
    return;
  }
  int k = 1;
  while (k * 2 < hi - lo) k *= 2;
  if (m <= k) {
    naive_subproof(m, lo, lo + k, whole, p);
    mth(lo + k, hi, p->path[p->count++]);
  } else {
    naive_subproof(m - k, lo + k, hi, false, p);
    mth(lo, lo + k, p->path[p->count++]);
  }
}

static void fill(void) {
  for (int i = 0; i < MOST; i++) memcpy(tiles0[i / TILE] + i % TILE * TRUST_HASH, leaves[i], TRUST_HASH);
  for (int i = 0; i < MOST / TILE; i++) merkle_full_tile(tiles0[i], tiles1 + i * TRUST_HASH);
}

static void is(const unsigned char *hash, const char *hex) {
  char got[65];
  hex_encode(hash, TRUST_HASH, got);
  assert_string_equal(got, hex);
}

static void known_vectors(void **state) {
  struct frontier f = {0};
  struct tiles t = {.get = get};
  unsigned char root[TRUST_HASH];
  memset(leaves, 0, sizeof leaves);
  for (size_t i = 0; i < 8; i++) {
    unsigned char leaf[17] = {0};
    memcpy(leaf + 1, inputs[i].bytes, inputs[i].n);
    sha256(leaf, inputs[i].n + 1, leaves[i]);
  }
  fill();
  for (int n = 0; n <= 8; n++) {
    must(merkle_root(&t, n, root, err));
    is(root, roots[n]);
    frontier_root(&f, root);
    is(root, roots[n]);
    if (n < 8) frontier_push(&f, leaves[n]);
  }
  struct proof p;
  must(merkle_inclusion(&t, 0, 8, &p, err));
  assert_int_equal(p.count, 3);
  is(p.path[0], "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7");
  is(p.path[1], "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e");
  is(p.path[2], "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4");
  must(merkle_inclusion(&t, 5, 8, &p, err));
  is(p.path[0], "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b");
  must(merkle_inclusion(&t, 2, 3, &p, err));
  assert_int_equal(p.count, 1);
  is(p.path[0], roots[2]);
  must(merkle_consistency(&t, 6, 8, &p, err));
  assert_int_equal(p.count, 3);
  is(p.path[0], "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a");
  is(p.path[1], "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0");
  is(p.path[2], roots[4]);
  must(merkle_consistency(&t, 2, 5, &p, err));
  assert_int_equal(p.count, 2);
  is(p.path[0], "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e");
  is(p.path[1], "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b");
  tiles_free(&t);
}

static void random_leaves(void) {
  for (int i = 0; i < MOST; i++) {
    unsigned char x[4] = {(unsigned char)i, (unsigned char)(i >> 8), 7, 9};
    sha256(x, sizeof x, leaves[i]);
  }
  fill();
  struct frontier f = {0};
  for (int i = 0; i <= MOST; i++) {
    frontier_root(&f, all_roots[i]);
    if (i < MOST) frontier_push(&f, leaves[i]);
  }
}

static void same(const struct proof *a, const struct proof *b) {
  assert_int_equal(a->count, b->count);
  for (int i = 0; i < a->count; i++) assert_memory_equal(a->path[i], b->path[i], TRUST_HASH);
}

static void every_root_and_inclusion(void **state) {
  struct tiles t = {.get = get};
  unsigned char root[TRUST_HASH];
  random_leaves();
  for (int n = 1; n <= MOST; n++) {
    must(merkle_root(&t, n, root, err));
    assert_memory_equal(root, all_roots[n], TRUST_HASH);
    mth(0, n, root);
    assert_memory_equal(root, all_roots[n], TRUST_HASH);
    for (int m = 0; m < n; m += n > 40 && m > 3 && m < n - 3 ? 1 + n / 37 : 1) {
      struct proof p, naive = {0};
      must(merkle_inclusion(&t, m, n, &p, err));
      naive_path(m, 0, n, &naive);
      same(&p, &naive);
      assert_true(merkle_check_inclusion(leaves[m], m, n, &p, root));
      assert_false(merkle_check_inclusion(leaves[(m + 1) % MOST], m, n, &p, root));
      if (m + 1 < n) assert_false(merkle_check_inclusion(leaves[m], m + 1, n, &p, root));
      if (p.count > 0) {
        p.path[m % p.count][m % TRUST_HASH] ^= 1;
        assert_false(merkle_check_inclusion(leaves[m], m, n, &p, root));
        p.path[m % p.count][m % TRUST_HASH] ^= 1;
        p.count--;
        assert_false(merkle_check_inclusion(leaves[m], m, n, &p, root));
        p.count += 2;
        assert_false(merkle_check_inclusion(leaves[m], m, n, &p, root));
      }
    }
  }
  tiles_free(&t);
}

static void every_consistency(void **state) {
  struct tiles t = {.get = get};
  random_leaves();
  for (int n = 1; n <= MOST; n++)
    for (int m = 1; m <= n; m += n > 40 && m > 3 && m < n - 3 ? 1 + n / 37 : 1) {
      struct proof p, naive = {0};
      must(merkle_consistency(&t, m, n, &p, err));
      naive_subproof(m, 0, n, true, &naive);
      same(&p, &naive);
      assert_true(merkle_check_consistency(m, n, all_roots[m], all_roots[n], &p));
      assert_int_equal(merkle_check_consistency(m, n, all_roots[m - 1], all_roots[n], &p), false);
      if (p.count == 0) continue;
      assert_false(merkle_check_consistency(m, n, all_roots[m], all_roots[n - 1], &p));
      p.path[n % p.count][m % TRUST_HASH] ^= 128;
      assert_false(merkle_check_consistency(m, n, all_roots[m], all_roots[n], &p));
    }
  tiles_free(&t);
}

static void refuses_what_cannot_be(void **state) {
  struct tiles t = {.get = get};
  struct proof p;
  random_leaves();
  refused(merkle_inclusion(&t, 5, 5, &p, err), ERR_INVALID);
  refused(merkle_inclusion(&t, -1, 5, &p, err), ERR_INVALID);
  refused(merkle_consistency(&t, 6, 5, &p, err), ERR_INVALID);
  refused(merkle_consistency(&t, -1, 5, &p, err), ERR_INVALID);
  must(merkle_consistency(&t, 0, 5, &p, err));
  assert_int_equal(p.count, 0);
  assert_true(merkle_check_consistency(0, 5, all_roots[0], all_roots[5], &p));
  refused(merkle_root(&t, 70000, all_roots[0], err), ERR_INTERNAL);
  tiles_free(&t);
}

static void leaf_bytes(void **state) {
  static const char text[] = "\0chapar-leaf-v1\n{\"kind\":\"submit\"}\n";
  unsigned char salt[TRUST_SALT], input[TRUST_SALT + 2], digest[TRUST_HASH], leaf[TRUST_HASH], want[TRUST_HASH], again[TRUST_HASH];
  char bytes[200], hex[65];
  memset(salt, 7, sizeof salt);
  trust_leaf("{\"kind\":\"submit\"}", salt, "{}", 2, digest, leaf);
  memcpy(input, salt, sizeof salt);
  memcpy(input + sizeof salt, "{}", 2);
  sha256(input, sizeof input, want);
  assert_memory_equal(digest, want, TRUST_HASH);
  hex_encode(digest, TRUST_HASH, hex);
  memcpy(bytes, text, sizeof text - 1);
  memcpy(bytes + sizeof text - 1, hex, 64);
  bytes[sizeof text - 1 + 64] = '\n';
  sha256(bytes, sizeof text + 64, want);
  assert_memory_equal(leaf, want, TRUST_HASH);
  trust_leaf_from_digest("{\"kind\":\"submit\"}", digest, again);
  assert_memory_equal(leaf, again, TRUST_HASH);
  hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, want); /* RFC 4231, case 2 */
  is(want, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(known_vectors), cmocka_unit_test(every_root_and_inclusion), cmocka_unit_test(every_consistency),
    cmocka_unit_test(refuses_what_cannot_be), cmocka_unit_test(leaf_bytes)};
  return cmocka_run_group_tests_name("trust-merkle", tests, NULL, NULL);
}
