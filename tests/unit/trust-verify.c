/* Whoever changes a row of the ledger is found, and the fault is named. */
#include "trust-kit.h"

static struct buf said;
static int answers; /* what the cases say: 0 right, 1 erased, 2 changed, -1 gone */

static void listen_to(void *ctx, const char *line) { buf_addf(&said, "%s\n", line); }

static int event(void *ctx, const char *header, unsigned char digest[TRUST_HASH]) {
  struct kit_leaf l;
  int64_t n;
  assert_int_equal(sscanf(strstr(header, "\"case\""), "\"case\":\"%" SCNd64, &n), 1);
  kit_leaf(&l, n);
  memcpy(digest, l.digest, TRUST_HASH);
  if (n != 7) return 0;
  if (answers == 2) digest[3] ^= 1;
  return answers == 2 ? 0 : answers;
}

static int verify(struct trust *t) {
  struct trust_verify v = {.report = listen_to, .leaf = event};
  buf_clear(&said);
  buf_adds(&said, "");
  return trust_verify(t, &v, NULL);
}

#define EXEC(name, sql) static int name(struct store_tx *tx, struct err *err) { return store_exec(tx, err, sql, ""); }

EXEC(leaf_header, "UPDATE ledger_leaf SET header = '{\"at\":\"2026-11-18T12:26:40.099Z\",\"case\":\"99\",\"kind\":\"submit\",\"seq\":1}' WHERE idx = 17")
EXEC(leaf_gone, "DELETE FROM ledger_leaf WHERE idx = 17")
EXEC(leaf_cut, "DELETE FROM ledger_leaf WHERE idx >= 590")
EXEC(
  leaf_more,
  "INSERT INTO ledger_leaf (idx, leaf_hash, header, digest) "
  "SELECT 601, leaf_hash, header, digest FROM ledger_leaf WHERE idx = 3")
EXEC(
  leaf_before,
  "INSERT INTO ledger_leaf (idx, leaf_hash, header, digest) "
  "SELECT -1, leaf_hash, header, digest FROM ledger_leaf WHERE idx = 3")
EXEC(
  leaf_next,
  "INSERT INTO ledger_leaf (idx, leaf_hash, header, digest) "
  "SELECT 600, leaf_hash, 'x', digest FROM ledger_leaf WHERE idx = 3")
EXEC(span_short, "UPDATE ledger_span SET newest = oldest WHERE n = 1")
EXEC(span_wide, "UPDATE ledger_span SET newest = newest + 1 WHERE n = 1")
EXEC(span_more, "INSERT INTO ledger_span (n, oldest, newest) VALUES (1000, 0, 1)")
EXEC(late_gone, "DELETE FROM ledger_late")
EXEC(late_other, "UPDATE ledger_late SET at = at + 1")
EXEC(span_gone, "DELETE FROM ledger_span WHERE n = 2")
EXEC(leaf_aside, "UPDATE ledger_leaf SET idx = -5 WHERE idx = 17")
EXEC(tile_gone, "DELETE FROM ledger_tile WHERE level = 0 AND n = 1")
EXEC(tile_up_gone, "DELETE FROM ledger_tile WHERE level = 1")
EXEC(tile_more, "INSERT INTO ledger_tile (level, n, hashes) SELECT 1, 1, hashes FROM ledger_tile WHERE level = 1 AND n = 0")
EXEC(head_size, "UPDATE ledger_head SET tree_size = 599 WHERE tree_size = 600")
EXEC(head_gone, "DELETE FROM ledger_head WHERE tree_size = 600")
EXEC(head_text, "UPDATE ledger_head SET checkpoint = (SELECT checkpoint FROM ledger_head WHERE tree_size = 300) WHERE tree_size = 600")
EXEC(head_other, "UPDATE ledger_head SET generation = 2 WHERE tree_size = 300")
EXEC(head_root, "UPDATE ledger_head SET root = (SELECT root FROM ledger_head WHERE tree_size = 300) WHERE tree_size = 600")
EXEC(state_less, "UPDATE ledger_state SET size = 500")
EXEC(state_more, "UPDATE ledger_state SET size = 700")
EXEC(state_gone, "DELETE FROM ledger_state")
EXEC(log_gone, "DELETE FROM ledger_log")
EXEC(log_key, "UPDATE ledger_log SET key = 'test.example/ledger+00000000+AA=='")
EXEC(stamp_gone, "UPDATE ledger_head SET kept = 3 WHERE tree_size = 300")
EXEC(cosign_gone, "UPDATE ledger_head SET kept = 5 WHERE tree_size = 300")
EXEC(stamp_false,
     "INSERT INTO ledger_stamp (generation, tree_size, at, token) SELECT 1, 300, 1, root FROM ledger_head WHERE tree_size = 300")
EXEC(stamp_orphan,
     "INSERT INTO ledger_stamp (generation, tree_size, at, token) SELECT 1, 301, 1, root FROM ledger_head WHERE tree_size = 300")
EXEC(cosign_false, "INSERT INTO ledger_cosignature (generation, tree_size, witness, at, line) VALUES (1, 300, 'w+00000000+AA==', 1, 'x')")
EXEC(
  pending_false,
  "INSERT INTO ledger_pending (at, leaf_hash, header, digest) "
  "SELECT 1, leaf_hash, 'x', digest FROM ledger_leaf WHERE idx = 3")

static int flip(struct store_tx *tx, const char *select, const char *update, size_t at, struct err *err) {
  unsigned char blob[TILE_BYTES];
  size_t n = 0;
  struct store_rows *r = store_select(tx, err, select, "");
  if (r == NULL || store_next(r, err) != 1) return -1;
  const void *p = store_blob(r, 0, &n);
  memcpy(blob, p, n);
  store_done(r);
  blob[at] ^= 1;
  return store_exec(tx, err, update, "b", (const void *)blob, n);
}
static int leaf_digest(struct store_tx *tx, struct err *err) {
  return flip(tx, "SELECT digest FROM ledger_leaf WHERE idx = 17", "UPDATE ledger_leaf SET digest = ?1 WHERE idx = 17", 5, err);
}
static int leaf_hash(struct store_tx *tx, struct err *err) {
  return flip(tx, "SELECT leaf_hash FROM ledger_leaf WHERE idx = 17", "UPDATE ledger_leaf SET leaf_hash = ?1 WHERE idx = 17", 20, err);
}
static int tile_hash(struct store_tx *tx, struct err *err) {
  return flip(tx, "SELECT hashes FROM ledger_tile WHERE level = 0 AND n = 1",
              "UPDATE ledger_tile SET hashes = ?1 WHERE level = 0 AND n = 1", 4 * 32, err);
}
static int tile_up(struct store_tx *tx, struct err *err) {
  return flip(tx, "SELECT hashes FROM ledger_tile WHERE level = 1 AND n = 0",
              "UPDATE ledger_tile SET hashes = ?1 WHERE level = 1 AND n = 0", 32 + 3, err);
}
static int state_root(struct store_tx *tx, struct err *err) {
  return flip(tx, "SELECT root FROM ledger_state", "UPDATE ledger_state SET root = ?1", 3, err);
}
static int two_exchanged(struct store_tx *tx, struct err *err) {
  if (store_exec(tx, err, "UPDATE ledger_leaf SET idx = -5 WHERE idx = 17", "") != 1) return -1;
  if (store_exec(tx, err, "UPDATE ledger_leaf SET idx = 17 WHERE idx = 18", "") != 1) return -1;
  return store_exec(tx, err, "UPDATE ledger_leaf SET idx = 18 WHERE idx = -5", "");
}
static int all_cut(struct store_tx *tx, struct err *err) { /* everything after the first head, as if it had never been */
  if (store_exec(tx, err, "DELETE FROM ledger_leaf WHERE idx >= 300", "") < 0 ||
      store_exec(tx, err, "DELETE FROM ledger_head WHERE tree_size > 300", "") < 0)
    return -1;
  if (store_exec(tx, err, "DELETE FROM ledger_tile WHERE level = 0 AND n > 1", "") < 0) return -1;
  return store_exec(tx, err, "UPDATE ledger_state SET size = 300, root = (SELECT root FROM ledger_head WHERE tree_size = 300)", "");
}

static const struct { const char *name; kit_harm harm; const char *line;
} harms[] = {{"leaf_header", leaf_header, "leaf 17: its header or digest has been changed"},
             {"leaf_digest", leaf_digest, "leaf 17: its header or digest has been changed"},
             {"leaf_hash", leaf_hash, "leaf 17: its kept hash has been changed"},
             {"leaf_gone", leaf_gone, "leaf 17: it is missing"},
             {"leaf_cut", leaf_cut, "leaf 590: it is missing, and all after it to leaf 599"},
             {"leaf_more", leaf_more, "leaf 601: it stands outside the tree, and none is before it"},
             {"leaf_next", leaf_next, "pending leaf: it has been changed: x"},
             {"leaf_before", leaf_before, "1 leaves stand before the first"},
             {"span_short", span_short, "tile 0/1: the times by which its leaves are found are not theirs"},
             {"span_wide", span_wide, "tile 0/1: the times by which its leaves are found are not theirs"},
             {"span_gone", span_gone, "tile 0/2: the times by which its leaves are found are not theirs"},
             {"span_more", span_more, "1 times are told of leaves that are not in the tree"},
             {"late_gone", late_gone, "tile 0/2: the times by which its leaves are found are not theirs"},
             {"late_other", late_other, "leaf 599: it cannot be found: it stands under another time"},
             {"leaf_aside", leaf_aside, "leaf 17: it is missing"},
             {"two_exchanged", two_exchanged, "leaf 18: it is not the one"},
             {"tile_hash", tile_hash, "leaf 260: it is not the one whose hash tile 0/1 holds at 4"},
             {"tile_gone", tile_gone, "leaf 256: tile 0/1 does not hold it"},
             {"tile_up", tile_up, "tile 1/0: hash 1 is not that of the tile below"},
             {"tile_up_gone", tile_up_gone, "tile 1/0: it is missing"},
             {"tile_more", tile_more, "tile 1/1: a tree of 600 has no such tile"},
             {"head_size", head_size, "head 599: it is not the one that was signed"},
             {"head_gone", head_gone, "head 600: the key signed it and it is not here"},
             {"head_text", head_text, "head 600: it is not the one that was signed"},
             {"head_other", head_other, "head 300: it is of log 2, which is not known"},
             {"head_root", head_root, "head 600: it is not the one that was signed"},
             {"state_less", state_less, "head 600: so many leaves were signed, and 500 are here"},
             {"state_more", state_more, "leaf 600: it is missing"},
             {"state_gone", state_gone, "head 600: so many leaves were signed, and 0 are here"},
             {"state_root", state_root, "state: its root"},
             {"log_gone", log_gone, "log 1: the store does not know it"},
             {"log_key", log_key, "log 1: its key"},
             {"stamp_gone", stamp_gone, "head 300: its time-stamp is missing"},
             {"cosign_gone", cosign_gone, "head 300: its co-signatures are missing"},
             {"stamp_false", stamp_false, "head 300: the time-stamp cannot be read"},
             {"stamp_orphan", stamp_orphan, "head 301: it is missing, and a time-stamp"},
             {"cosign_false", cosign_false, "head 300: the co-signature of w+00000000+AA== is false"},
             {"pending_false", pending_false, "pending leaf: it has been changed: x"},
             {"all_cut", all_cut, "head 600: the key signed it and it is not here; the newest here has 300 leaves"}};

static struct store *filled(const char *name, struct trust **t) {
  struct store *s = kit_store(name);
  char key[64];
  snprintf(key, sizeof key, "%s.pem", name);
  *t = kit_trust(s, key, "a");
  kit_append(s, 0, 300);
  kit_sequence(*t);
  kit_append(s, 300, 300);
  kit_sequence(*t);
  return s;
}

static void every_harm_is_named(void **state) {
  struct trust *t;
  struct store *s = filled("base", &t);
  char file[256], copy[256], where[300];
  kit_path(file, "copy.db");
  if (verify(t) != 0) fail_msg("%s", buf_str(&said));
  for (size_t i = 0; i < BASE_COUNT(harms); i++) {
    snprintf(copy, sizeof copy, "%.200s%zu", file, i);
    snprintf(where, sizeof where, "sqlite:%s", copy);
    must(store_backup(s, copy, err));
    struct store *harmed = kit_open(where, NULL);
    struct trust *other = kit_trust(harmed, "base.pem", "a");
    kit_do(harmed, harms[i].harm);
    if (verify(other) == 0) fail_msg("%s: not found", harms[i].name);
    if (strstr(buf_str(&said), harms[i].line) == NULL) fail_msg("%s: named as %s", harms[i].name, buf_str(&said));
    trust_close(other);
    store_close(harmed);
  }
  trust_close(t);
  store_close(s);
}

static void changed_events_are_named(void **state) {
  struct trust *t;
  struct store *s = filled("events", &t);
  struct kit_leaf l;
  char line[80];
  kit_leaf(&l, 7);
  answers = 1;
  assert_int_equal(verify(t), 0);
  answers = 2;
  assert_int_equal(verify(t), -1);
  snprintf(line, sizeof line, "leaf %lld: what it records has been changed", (long long)trust_index(t, l.at, l.hash));
  assert_non_null(strstr(buf_str(&said), line));
  answers = -1;
  assert_int_equal(verify(t), -1);
  assert_non_null(strstr(buf_str(&said), "what it records is not in the store"));
  answers = 0;
  trust_close(t);
  store_close(s);
}

static int rewrite(struct store_tx *tx, struct err *err) { /* an administrator with the whole store, but without the key */
  struct kit_leaf l;
  kit_leaf(&l, 12345);
  if (store_exec(tx, err, "DELETE FROM ledger_leaf", "") < 0 || store_exec(tx, err, "DELETE FROM ledger_tile", "") < 0 ||
      store_exec(tx, err, "DELETE FROM ledger_state", "") < 0 || store_exec(tx, err, "DELETE FROM ledger_head", "") < 0)
    return -1;
  return trust_append(tx, l.hash, l.header, l.digest, err);
}

static void history_cannot_be_written_anew(void **state) {
  struct store *s = kit_store("anew");
  struct trust *t = kit_trust(s, "anew.pem", "a");
  int64_t placed;
  kit_append(s, 0, 5);
  kit_sequence(t);
  kit_do(s, rewrite);
  t->signed_at = 0;
  refused(trust_sequence(t, &placed, err), ERR_CONFLICT);
  assert_int_equal(verify(t), -1);
  kit_append(s, 6, 20);
  refused(trust_sequence(t, &placed, err), ERR_CONFLICT); /* nor by a longer one */
  trust_close(t);
  store_close(s);
}

static int stop(void **state) {
  buf_free(&said);
  return kit_stop(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_harm_is_named), cmocka_unit_test(changed_events_are_named), cmocka_unit_test(history_cannot_be_written_anew)};
  return cmocka_run_group_tests_name("trust-verify", tests, kit_start, stop);
}
