/* The dialect, the scripted driver, and the writers' bounds, each by itself. */
#include "store-kit.h"
#include "store/driver.h"

static void same(enum store_engine engine, const char *sql, const char *expected) {
  int params;
  enum kind kind;
  struct err err;
  char *text = dialect_translate(engine, sql, &params, &kind, &err);
  if (text == NULL) fail_msg("%s", err.message);
  assert_string_equal(text, expected);
  free(text);
}

static void translation(void **state) {
  const char *make = "CREATE TABLE t (a @id, b @time, c @blob, d TEXT DEFAULT 'TEXT', context TEXT, \"TEXT\" BIGINT) WITHOUT\n ROWID";
  same(STORE_SQLITE, make, "CREATE TABLE t (a TEXT, b BIGINT, c BLOB, d TEXT DEFAULT 'TEXT', "
                           "context TEXT, \"TEXT\" BIGINT) WITHOUT\n ROWID");
  same(STORE_POSTGRES, make, "CREATE TABLE t (a TEXT COLLATE \"C\", b BIGINT, c BYTEA, d TEXT COLLATE \"C\" DEFAULT 'TEXT', "
                             "context TEXT COLLATE \"C\", \"TEXT\" BIGINT) ");
  const char *ask = "-- ?9 @none\nSELECT a, CAST(b AS TEXT) FROM t WHERE a = ?1 AND c <> '?2 @id ''x' AND ?12 = ?1 LIMIT ?3 @claim";
  same(STORE_SQLITE, ask, "SELECT a, CAST(b AS TEXT) FROM t WHERE a = ?1 AND c <> '?2 @id ''x' AND ?12 = ?1 LIMIT ?3 ");
  same(STORE_POSTGRES, ask, "SELECT a, CAST(b AS TEXT) FROM t WHERE a = $1 AND c <> '?2 @id ''x' AND $12 = $1 "
                            "LIMIT $3 FOR UPDATE SKIP LOCKED");
  const char *bad[] = {"SELECT ?", "SELECT ?0", "SELECT ?65", "SELECT ?99999999999", "SELECT @", "SELECT @idx",
                       "SELECT 'open", "SELECT \"open"};
  for (size_t i = 0; i < BASE_COUNT(bad); i++) {
    int params;
    enum kind kind;
    struct err err = {0};
    assert_null(dialect_translate(STORE_POSTGRES, bad[i], &params, &kind, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
  }
}

static int script_work(struct store_tx *tx, void *arg, struct err *err) {
  int64_t n = 0;
  if (store_value(tx, &n, 0, err, "SELECT n FROM t WHERE id = ?1", "t", "x") != 0) return -1;
  assert_int_equal(n, 12);
  struct store_rows *r = store_select(tx, err, "SELECT a, b FROM t", "");
  if (r == NULL) return -1;
  size_t size = 0;
  assert_int_equal(store_next(r, err), 1);
  assert_string_equal(store_text(r, 1), "b");
  assert_int_equal(store_next(r, err), 1);
  assert_true(store_null(r, 0));
  assert_memory_equal(store_blob(r, 1, &size), "d e", 3);
  assert_int_equal(size, 3);
  assert_int_equal(store_next(r, err), 0);
  store_done(r);
  r = store_select(tx, err, "SELECT nothing", "");
  assert_int_equal(store_next(r, err), 0);
  store_done(r);
  assert_int_equal(store_exec(tx, err, "UPDATE t SET n = 1", ""), 3);
  return store_put(tx, err, "INSERT INTO t VALUES (?1)", "i", (int64_t)1);
}

static int last_work(struct store_tx *tx, void *arg, struct err *err) { return store_put(tx, err, "DELETE FROM t", ""); }

static void scripted(void **state) {
  struct store *s = NULL;
  struct err e = {0};
  must(store_open("scripted:SELECT n FROM t => 12\n  SELECT a, => a|b;\\N|d e\nSELECT nothing =>\n"
                  "UPDATE t => # 3\n\nINSERT => ! conflict\nDELETE FROM other => # 1",
                  NULL, &s, err));
  assert_int_equal(store_engine_of(s), STORE_SCRIPTED);
  refused(store_write(s, STORE_FRONT, script_work, NULL, err), ERR_CONFLICT);
  assert_int_equal(store_write(s, STORE_FRONT, last_work, NULL, &e), -1); /* not what was expected */
  assert_int_equal(e.code, ERR_INTERNAL);
  assert_non_null(strstr(e.message, "DELETE FROM t"));
  refused(store_backup(s, "x", err), ERR_UNSUPPORTED);
  refused(store_dump(s, NULL, NULL, NULL, err), ERR_UNSUPPORTED);
  store_close(s);
  store_close(NULL);
  refused(store_open("scripted:no arrow", NULL, &s, err), ERR_MALFORMED);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(translation), cmocka_unit_test(scripted)};
  log_set_level(LOG_ERROR);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
