/* The log in a store: places, heads, proofs, tiles, receipts, co-signatures, the memory of the key. */
#include "trust-kit.h"

static char *head_text(struct trust *t) {
  char *text = NULL;
  must(trust_checkpoint(t, &text, err));
  return text;
}

static struct checkpoint head_of(struct trust *t) {
  struct note n;
  struct checkpoint c;
  char *text = head_text(t);
  must(checkpoint_open(text, strlen(text), &trust_name(t)->key, &n, &c, err));
  free(text);
  return c;
}

static void empty_log(void **state) {
  struct store *s = kit_store("empty");
  struct trust *t = kit_trust(s, "empty.pem", "a");
  json_t *out = NULL;
  int64_t size;
  refused(trust_size(t, &size, err), ERR_NOT_FOUND);
  kit_sequence(t);
  must(trust_head(t, &out, err));
  assert_int_equal(json_int(out, "tree_size", -1), 0);
  assert_string_equal(json_str(out, "root_hash"), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  json_decref(out);
  refused(trust_proof(t, 0, 0, &out, err), ERR_INVALID);
  struct trust_verify v = {0};
  must(trust_verify(t, &v, err));
  trust_close(t);
  store_close(s);
}

static int path_of(const json_t *list, struct proof *p) {
  p->count = (int)json_array_size(list);
  for (int i = 0; i < p->count; i++)
    if (!hex_lower(json_string_value(json_array_get(list, (size_t)i)), p->path[i], TRUST_HASH)) return -1;
  return 0;
}

static void proofs_agree(struct trust *t, int64_t from, int64_t old_size, const unsigned char *old_root) {
  struct checkpoint c = head_of(t);
  json_t *out = NULL;
  struct proof p;
  struct kit_leaf l;
  for (int64_t i = from; i < c.size; i += 1 + (c.size - from) / 40) {
    kit_leaf(&l, i);
    must(trust_proof(t, i, c.size, &out, err));
    assert_int_equal(path_of(json_object_get(out, "audit_path"), &p), 0);
    unsigned char hash[TRUST_HASH];
    assert_true(hex_lower(json_str(out, "leaf_hash"), hash, TRUST_HASH));
    assert_true(merkle_check_inclusion(hash, i, c.size, &p, c.root));
    json_decref(out);
    int64_t place = trust_index(t, l.at, l.hash);
    must(trust_proof(t, place, c.size, &out, err));
    char *hex = hex_text(l.hash, TRUST_HASH);
    assert_string_equal(json_str(out, "leaf_hash"), hex);
    free(hex);
    json_decref(out);
  }
  must(trust_consistency(t, old_size, c.size, &out, err));
  assert_int_equal(path_of(json_object_get(out, "consistency_path"), &p), 0);
  assert_true(merkle_check_consistency(old_size, c.size, old_root, c.root, &p));
  json_decref(out);
}

static void grows_and_proves(void **state) {
  static const int64_t steps[] = {1, 1, 5, 249, 1, 255, 3, 4096, 5000, 63000};
  struct store *s = kit_store("grow");
  struct trust *t = kit_trust(s, "grow.pem", "a");
  struct frontier f = {0};
  struct checkpoint before = {0};
  int64_t next = 0, size;
  sha256("", 0, before.root);
  for (size_t i = 0; i < BASE_COUNT(steps); i++) {
    kit_append(s, next, steps[i]);
    next += steps[i];
    size = 0;
    for (int rounds = 0; size < next && rounds < 50; rounds++) { /* a round is bounded in time: a slow machine needs several */
      kit_sequence(t);
      must(trust_size(t, &size, err));
    }
    assert_int_equal(size, next);
    proofs_agree(t, next - steps[i], before.size, before.root);
    before = head_of(t);
  }
  /* the root out of the level 0 tiles alone */
  for (int64_t n = 0; n * TILE < size; n++) {
    unsigned char *tile = NULL;
    size_t bytes;
    int width = size - n * TILE < TILE ? (int)(size - n * TILE) : TILE;
    must(trust_tile(t, 0, n, width, &tile, &bytes, err));
    assert_int_equal(bytes, width * TRUST_HASH);
    for (int i = 0; i < width; i++) frontier_push(&f, tile + i * TRUST_HASH);
    free(tile);
  }
  unsigned char root[TRUST_HASH], *tile = NULL;
  size_t bytes;
  frontier_root(&f, root);
  assert_memory_equal(root, before.root, TRUST_HASH);
  must(trust_tile(t, 1, 0, TILE, &tile, &bytes, err));
  free(tile);
  must(trust_tile(t, 2, 0, 1, &tile, &bytes, err));
  free(tile);
  refused(trust_tile(t, 2, 0, 2, &tile, &bytes, err), ERR_NOT_FOUND);
  refused(trust_tile(t, 0, size / TILE, size % TILE + 1, &tile, &bytes, err), ERR_NOT_FOUND);
  refused(trust_tile(t, 0, INT64_MAX, 1, &tile, &bytes, err), ERR_NOT_FOUND);
  refused(trust_tile(t, 63, 0, 1, &tile, &bytes, err), ERR_NOT_FOUND);
  refused(trust_tile(t, 0, -1, 1, &tile, &bytes, err), ERR_NOT_FOUND);
  json_t *out;
  refused(trust_proof(t, 0, size + 1, &out, err), ERR_INVALID);
  refused(trust_consistency(t, 0, size + 1, &out, err), ERR_INVALID);
  refused(trust_consistency(t, 5, 4, &out, err), ERR_INVALID);
  struct trust_verify v = {0};
  must(trust_verify(t, &v, err));
  struct kit_leaf l;
  kit_leaf(&l, next);
  assert_int_equal(trust_index(t, l.at, l.hash), -1);
  trust_close(t);
  store_close(s);
}

static void heads_are_rare_and_never_late(void **state) {
  struct store *s = kit_store("rare");
  struct trust *t = kit_trust(s, "rare.pem", "a");
  int64_t size, placed, began = clock_mono();
  kit_append(s, 0, 3);
  must(trust_sequence(t, &placed, err));
  assert_int_equal(placed, 3);
  kit_append(s, 3, 4);
  must(trust_sequence(t, &placed, err));
  assert_int_equal(placed, 4);
  must(trust_size(t, &size, err));
  assert_int_equal(size, 3);
  refused(trust_proof(t, 5, 7, &(json_t *){0}, err), ERR_INVALID);
  do {
    kit_sleep(50);
    must(trust_sequence(t, &placed, err));
    must(trust_size(t, &size, err));
  } while (size == 3 && clock_mono() - began < 5000);
  assert_int_equal(size, 7);
  assert_in_range(clock_mono() - began, 950, 1600);
  trust_close(t);
  store_close(s);
}

static int wrong_append(struct store_tx *tx, struct err *err) {
  struct kit_leaf l;
  kit_leaf(&l, 1);
  l.digest[0] ^= 1;
  return trust_append(tx, l.hash, l.header, l.digest, err);
}

static int two_lines(struct store_tx *tx, struct err *err) {
  struct kit_leaf l;
  kit_leaf(&l, 1);
  return trust_append(tx, l.hash, "a\nb", l.digest, err);
}

static void appends_only_leaves(void **state) {
  struct store *s = kit_store("append");
  kit_harm harm = wrong_append;
  refused(store_write(s, STORE_FRONT, kit_harm_work, &harm, err), ERR_INTERNAL);
  harm = two_lines;
  refused(store_write(s, STORE_FRONT, kit_harm_work, &harm, err), ERR_INVALID);
  store_close(s);
}

static json_t *whole_receipt(struct trust *t, int64_t n) {
  struct kit_leaf l;
  json_t *out = NULL;
  kit_leaf(&l, n);
  must(trust_receipt(t, l.hash, l.at, &out, err));
  char *salt = hex_text(l.salt, TRUST_SALT);
  json_object_set_new(out, "leaf", json_pack("{s:s,s:s,s:s}", "header", l.header, "salt", salt, "payload", l.payload));
  free(salt);
  return out;
}

static void receipts(void **state) {
  struct store *s = kit_store("receipt");
  struct trust *t = kit_trust(s, "receipt.pem", "a");
  char *said = NULL;
  kit_append(s, 0, 1);
  json_t *r = whole_receipt(t, 0);
  char *text = json_canonical(r);
  must(trust_check_receipt(text, strlen(text), trust_public_key(t), NULL, &said, err));
  assert_non_null(strstr(said, "no proof yet"));
  free(said);
  free(text);
  json_decref(r);
  kit_append(s, 1, 300);
  kit_sequence(t);
  r = whole_receipt(t, 77);
  text = json_canonical(r);
  must(trust_check_receipt(text, strlen(text), trust_public_key(t), NULL, &said, err));
  assert_non_null(strstr(said, "under a signed head of 301 leaves"));
  assert_non_null(strstr(said, "is what was written"));
  free(said);
  must(trust_check_receipt(text, strlen(text), NULL, NULL, &said, err));
  assert_non_null(strstr(said, "The key came with the receipt"));
  free(said);
  struct trust *other = kit_trust(s, "other.pem", "b");
  refused(trust_check_receipt(text, strlen(text), trust_public_key(other), NULL, &said, err), ERR_INVALID);
  json_object_del(r, "verifier_key");
  char *without = json_canonical(r);
  refused(trust_check_receipt(without, strlen(without), trust_public_key(other), NULL, &said, err), ERR_INVALID);
  refused(trust_check_receipt(without, strlen(without), NULL, NULL, &said, err), ERR_INVALID);
  must(trust_check_receipt(without, strlen(without), trust_public_key(t), NULL, &said, err));
  free(said);
  size_t n = strlen(text);
  for (size_t i = 0; i < n; i++)
    for (int how = 0; how < 10; how++) {
      char kept = text[i];
      text[i] = how < 8 ? (char)(kept ^ 1 << how) : how == 8 ? ' ' : '0';
      if (text[i] != kept && trust_check_receipt(text, n, trust_public_key(t), NULL, &said, NULL) == 0)
        fail_msg("byte %zu (%c → %c)", i, kept, text[i]);
      text[i] = kept;
    }
  free(text);
  free(without);
  json_decref(r);
  trust_close(other);
  trust_close(t);
  store_close(s);
}

/* A witness's signed note over the newest checkpoint. */
static char *cosigned(struct trust *t, const struct key *w, const struct vkey *name, int64_t time) {
  struct note n;
  char *text = head_text(t);
  must(note_parse(text, strlen(text), &n, err));
  char *message = base_printf("cosignature/v1\ntime %lld\n%.*s", (long long)time, (int)n.size, n.text);
  unsigned char raw[4 + 8 + SIGNATURE];
  memcpy(raw, name->id, 4);
  for (int i = 0; i < 8; i++) raw[4 + i] = (unsigned char)(time >> (56 - 8 * i));
  key_sign(w, message, strlen(message), raw + 12);
  char *base64 = base64_encode(raw, sizeof raw), *out = base_printf("%s\xE2\x80\x94 %s %s\n", text, name->name, base64);
  free(base64);
  free(message);
  free(text);
  return out;
}

static void witnesses(void **state) {
  struct store *s = kit_store("witness");
  struct trust *t = kit_trust(s, "witness-log.pem", "a");
  struct key w;
  struct vkey name, wrong;
  char file[256];
  kit_path(file, "witness.pem");
  must(key_open(file, &w, err));
  vkey_make(&name, "university.example/w1", KEY_COSIGNATURE, w.public);
  vkey_make(&wrong, "university.example/w1", KEY_NOTE, w.public);
  char *key = vkey_text(&name), *wrong_key = vkey_text(&wrong);
  kit_append(s, 0, 10);
  kit_sequence(t);
  char *note = cosigned(t, &w, &name, 1795000000), *plain = head_text(t);
  refused(trust_cosign(t, key, plain, err), ERR_INVALID);
  refused(trust_cosign(t, wrong_key, note, err), ERR_INVALID);
  must(trust_cosign(t, key, note, err));
  must(trust_cosign(t, key, note, err));
  char *now = head_text(t);
  assert_string_equal(now, note);
  struct note n;
  const struct note_line *line;
  must(note_parse(now, strlen(now), &n, err));
  assert_int_equal(note_check(&n, &name, &line), 1);
  assert_int_equal(note_check(&n, &trust_name(t)->key, &line), 1);
  json_t *r = whole_receipt(t, 3);
  char *text = json_canonical(r), *said = NULL;
  must(trust_check_receipt(text, strlen(text), trust_public_key(t), NULL, &said, err));
  assert_non_null(strstr(said, "1 more signatures"));
  kit_append(s, 10, 10);
  kit_sequence(t);
  must(trust_cosign(t, key, note, err)); /* an older checkpoint */
  char *changed = base_strdup(note);
  *strstr(changed, "\n10\n") = '\t';
  assert_int_equal(trust_cosign(t, key, changed, NULL), -1);
  struct trust_verify v = {0};
  must(trust_verify(t, &v, err));
  char *all[] = {key, wrong_key, note, plain, now, text, said, changed};
  for (size_t i = 0; i < BASE_COUNT(all); i++) free(all[i]);
  json_decref(r);
  key_close(&w);
  trust_close(t);
  store_close(s);
}

static void copy_file(const char *from, const char *to) {
  char a[256], b[256];
  size_t n;
  kit_path(a, from);
  kit_path(b, to);
  char *data = file_read(a, 0, &n, NULL);
  must(file_write(b, data, n, 0600, err));
  free(data);
}

static void behind_the_head(void **state) {
  struct store *s = kit_store("new");
  struct trust *t = kit_trust(s, "new.pem", "a");
  char backup[256], where[300];
  int64_t placed, size;
  kit_append(s, 0, 20);
  kit_sequence(t);
  kit_path(backup, "old.db");
  must(store_backup(s, backup, err));
  kit_append(s, 20, 20);
  kit_sequence(t);
  trust_close(t);
  t = kit_trust(s, "new.pem", "a"); /* opened anew over the same store: goes on */
  kit_append(s, 40, 1);
  kit_sequence(t);
  trust_close(t);
  store_close(s);
  copy_file("new.pem.head", "kept.head");

  snprintf(where, sizeof where, "sqlite:%s", backup);
  s = kit_open(where, NULL);
  t = kit_trust(s, "new.pem", "a"); /* the copy holds the lease of its time */
  kit_append(s, 100, 50); /* another history, longer than the signed one */
  refused(trust_sequence(t, &placed, err), ERR_CONFLICT);
  must(trust_size(t, &size, err));
  assert_int_equal(size, 20);
  refused(trust_verify(t, NULL, err), ERR_CONFLICT);
  refused(trust_new_log(t, "", err), ERR_INVALID);
  must(trust_new_log(t, "the disk was lost; restored from the copy of the evening", err));
  assert_string_equal(trust_origin(t), "test.example/ledger/2");
  kit_sequence(t);
  must(trust_size(t, &size, err));
  assert_int_equal(size, 70);
  assert_string_equal(head_of(t).origin, "test.example/ledger/2");
  must(trust_verify(t, NULL, err));
  trust_close(t);
  t = kit_trust(s, "new.pem", "c");
  assert_string_equal(trust_origin(t), "test.example/ledger/2");
  kit_append(s, 200, 1);
  kit_sequence(t);
  json_t *r = whole_receipt(t, 200);
  char *text = json_canonical(r), *said = NULL;
  must(trust_check_receipt(text, strlen(text), trust_public_key(t), NULL, &said, err));
  free(said);
  free(text);
  json_decref(r);
  trust_close(t);
  store_close(s);

  s = kit_store("new"); /* the first store again, which knows nothing of the new log */
  t = kit_trust(s, "new.pem", "a");
  kit_append(s, 300, 1);
  refused(trust_sequence(t, &placed, err), ERR_CONFLICT);
  refused(trust_verify(t, NULL, err), ERR_CONFLICT);
  must(trust_new_log(t, "back to the first", err));
  assert_string_equal(trust_origin(t), "test.example/ledger/3");
  kit_sequence(t);
  must(trust_verify(t, NULL, err));
  trust_close(t);
  t = kit_trust(s, "another.pem", "a"); /* another key */
  kit_append(s, 301, 1);
  refused(trust_sequence(t, &placed, err), ERR_CONFLICT);
  must(trust_new_log(t, "a new key", err));
  kit_sequence(t);
  must(trust_verify(t, NULL, err));
  trust_close(t);
  copy_file("kept.head", "another.pem.head");
  t = kit_trust(s, "another.pem", "a");
  kit_append(s, 302, 1);
  kit_sequence(t); /* an older generation's head is no hindrance */
  trust_close(t);
  char file[256];
  kit_path(file, "another.pem.head");
  must(file_write(file, "rubbish", 7, 0600, err));
  t = kit_trust(s, "another.pem", "a");
  kit_append(s, 303, 1);
  refused(trust_sequence(t, &placed, err), ERR_CONFLICT);
  trust_close(t);
  store_close(s);
}

/* The queue is taken from where it was left; what came with an older time is not left behind. */
static void latecomers_have_a_place_too(void **state) {
  struct store *s = kit_store("late");
  struct trust *t = kit_trust(s, "late", "one");
  struct kit_leaf l;
  int64_t placed;
  clock_set(1795000000000);
  kit_append(s, 0, 3);
  must(trust_sequence(t, &placed, err));
  assert_int_equal(placed, 3);
  clock_set(1795000000000 - 3600000);
  kit_append(s, 3, 2);
  must(trust_sequence(t, &placed, err));
  assert_int_equal(placed, 2);
  clock_set(1795000010000);
  kit_append(s, 5, 1);
  clock_set(1795000010000 - 3600000);
  kit_append(s, 6, 1);
  int64_t all = 5;
  for (int i = 0; i < 2; i++, all += placed) must(trust_sequence(t, &placed, err));
  assert_int_equal(all, 7);
  kit_leaf(&l, 6);
  assert_in_range(trust_index(t, l.at, l.hash), 5, 6);
  clock_set(0);
  trust_close(t);
  store_close(s);
}

static int to_pending(struct store_tx *tx, struct err *err) {
  return store_exec(tx, err, "INSERT INTO ledger_pending (at, leaf_hash, header, digest) SELECT 1, leaf_hash, header, digest FROM ledger_leaf WHERE idx >= 5", "") != 2 ||
         store_exec(tx, err, "DELETE FROM ledger_leaf WHERE idx >= 5", "") != 2 ? -1 : 0;
}

static int cut(struct store_tx *tx, struct err *err) { return store_exec(tx, err, "DELETE FROM ledger_leaf WHERE idx >= 4", "") > 0 ? 0 : -1; }

static int gap(struct store_tx *tx, struct err *err) { return store_exec(tx, err, "DELETE FROM ledger_leaf WHERE idx = 7", "") == 1 ? 0 : -1; }

/* Rows that PostgreSQL's dump brought have no place yet; those that are here have one, and both get into the tree. */
static void both_kinds_get_into_the_tree(void **state) {
  struct store *s = kit_store("both");
  struct trust *t = kit_trust(s, "both.pem", "a");
  struct trust_verify v = {0};
  struct kit_leaf l;
  int64_t placed;
  kit_append(s, 0, 3);
  kit_leaf(&l, 2);
  assert_int_equal(trust_index(t, l.at, l.hash), 2);
  kit_sequence(t);
  kit_append(s, 3, 4);
  kit_harm harm = to_pending;
  must(store_write(s, STORE_FRONT, kit_harm_work, &harm, err));
  must(trust_verify(t, &v, err)); /* what waits is no fault */
  int64_t all = 0;
  for (int i = 0; i < 2; i++, all += placed) must(trust_sequence(t, &placed, err));
  assert_int_equal(all, 4);
  for (int64_t i = 0; i < 7; i++) {
    kit_leaf(&l, i);
    int64_t index = trust_index(t, l.at, l.hash);
    if (i < 5) assert_int_equal(index, i);
    else assert_in_range(index, 5, 6);
    assert_int_equal(trust_index(t, l.at - 1000, l.hash), -1); /* none is so old */
  }
  must(trust_verify(t, &v, err));
  /* What was cut out of the tree is not written over, and a leaf that is missing among those that wait stops the rest. */
  harm = cut;
  must(store_write(s, STORE_FRONT, kit_harm_work, &harm, err));
  kit_append(s, 7, 2);
  kit_leaf(&l, 8);
  assert_int_equal(trust_index(t, l.at, l.hash), 8);
  harm = gap;
  must(store_write(s, STORE_FRONT, kit_harm_work, &harm, err));
  refused(trust_sequence(t, &placed, err), ERR_INTERNAL);
  trust_close(t);
  store_close(s);
}

static void old_heads_are_thinned(void **state) {
  struct store *s = kit_store("thin");
  struct trust *t = kit_trust(s, "thin.pem", "a");
  struct head h = {0};
  for (int i = 0; i < 30; i++) {
    clock_set(1795000000000 + i * 30000);
    kit_append(s, i, 1);
    kit_sequence(t);
  }
  clock_set(0);
  must(trust_verify(t, NULL, err));
  int64_t size;
  must(trust_size(t, &size, err));
  assert_int_equal(size, 30);
  head_clear(&h);
  trust_close(t);
  store_close(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(empty_log), cmocka_unit_test(grows_and_proves), cmocka_unit_test(heads_are_rare_and_never_late),
    cmocka_unit_test(appends_only_leaves), cmocka_unit_test(receipts), cmocka_unit_test(witnesses), cmocka_unit_test(behind_the_head),
    cmocka_unit_test(latecomers_have_a_place_too), cmocka_unit_test(both_kinds_get_into_the_tree), cmocka_unit_test(old_heads_are_thinned)};
  return cmocka_run_group_tests_name("trust-log", tests, kit_start, kit_stop);
}
