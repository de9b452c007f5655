/* The same promises over both engines. */
#include "store-kit.h"
#include <stdatomic.h>

static bool pg;
static char where[700];
static struct store *s;

static int create(struct store_tx *tx, void *arg, struct err *err) {
  if (store_exec(tx, err, "CREATE TABLE t (id @id NOT NULL, n BIGINT NOT NULL, body TEXT, data @blob, at @time, "
                          "PRIMARY KEY (id, n)) WITHOUT ROWID", "") < 0)
    return -1;
  return store_exec(tx, err, "CREATE INDEX t_at ON t (at, id)", "") < 0 ? -1 : 0;
}

static int fresh(void **state) {
  struct store_options o = {.busy_ms = 3000};
  kit_new_where(pg, where, sizeof where);
  struct err err;
  if (store_open(where, &o, &s, &err) != 0 || store_migrate(s, (const char *const[]){"store", NULL}, &err) != 0 ||
      store_write(s, STORE_FRONT, create, NULL, &err) != 0) {
    fprintf(stderr, "%s\n", err.message);
    return -1;
  }
  return 0;
}

static int leave(void **state) {
  store_close(s);
  s = NULL;
  return 0;
}

/* ---- statements --------------------------------------------------------------------------- */

struct row {
  const char *id;
  int64_t n;
  const char *body;
  const void *data;
  size_t size;
};

static int insert(struct store_tx *tx, void *arg, struct err *err) {
  const struct row *r = arg;
  return store_put(tx, err, "INSERT INTO t (id, n, body, data, at) VALUES (?1, ?2, ?3, ?4, ?5)", "titbi", r->id, r->n, r->body,
                   r->data, r->size, store_time(tx));
}

static int64_t counted;
static int count(struct store_tx *tx, void *arg, struct err *err) {
  return store_value(tx, &counted, -1, err, "SELECT count(*) FROM t", "");
}

static int64_t rows_now(void) {
  must(store_read(s, count, NULL, err));
  return counted;
}

static int types_read(struct store_tx *tx, void *arg, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT id, n, body, data, at, n IS NULL, n + 1 FROM t WHERE id = ?1 ORDER BY n", "t",
                                     "آب");
  if (r == NULL) return -1;
  size_t n = 99;
  assert_null(store_text(r, 0)); /* before the first row there is nothing */
  assert_int_equal(store_next(r, err), 1);
  assert_string_equal(store_text(r, 0), "آب");
  assert_int_equal(store_int(r, 1), INT64_MIN + 1);
  assert_true(store_null(r, 2));
  assert_null(store_text(r, 2));
  assert_null(store_blob(r, 3, &n));
  assert_int_equal(n, 0);
  assert_true(store_int(r, 4) > 1600000000000);
  assert_int_equal(store_int(r, 5), 0);
  assert_true(store_null(r, 99));
  assert_int_equal(store_next(r, err), 1);
  assert_int_equal(store_int(r, 1), 7);
  assert_string_equal(store_text(r, 2), "");
  assert_false(store_null(r, 2));
  const void *p = store_blob(r, 3, &n);
  assert_non_null(p); /* empty is not NULL */
  assert_int_equal(n, 0);
  assert_int_equal(store_next(r, err), 1);
  p = store_blob(r, 3, &n);
  assert_int_equal(n, 5);
  assert_memory_equal(p, "\0\1\xff\\x", 5);
  assert_ptr_equal(p, store_blob(r, 3, &n));
  assert_int_equal(store_int(r, 6), INT64_MAX);
  assert_int_equal(store_next(r, err), 0);
  assert_int_equal(store_next(r, err), 0);
  store_done(r);
  store_done(r);
  store_done(NULL);
  return 0;
}

static void types(void **state) {
  struct row a = {"آب", INT64_MIN + 1, NULL, NULL, 0}, b = {"آب", 7, "", "", 0}, c = {"آب", INT64_MAX - 1, "x", "\0\1\xff\\x", 5};
  must(store_write(s, STORE_FRONT, insert, &a, err));
  must(store_write(s, STORE_JOBS, insert, &b, err));
  must(store_write(s, STORE_FRONT, insert, &c, err));
  must(store_read(s, types_read, NULL, err));
}

static int changes(struct store_tx *tx, void *arg, struct err *err) {
  struct row a = {"a", 1, "one", NULL, 0}, b = {"a", 2, "two", NULL, 0};
  if (insert(tx, &a, err) != 0 || insert(tx, &b, err) != 0) return -1;
  assert_int_equal(store_exec(tx, err, "UPDATE t SET body = body || ?2 WHERE id = ?1", "tt", "a", "!"), 2);
  assert_int_equal(store_exec(tx, err, "UPDATE t SET body = ?1 WHERE id = ?2 AND body = ?1", "tt", "x", "nobody"), 0);
  assert_int_equal(store_exec(tx, err, "INSERT INTO t (id, n) VALUES (?1, ?2) ON CONFLICT (id, n) DO NOTHING", "ti", "a", (int64_t)1), 0);
  struct store_rows *r = store_select(tx, err, "UPDATE t SET n = n + 10 WHERE id = ?1 AND n = ?2 RETURNING n, body", "ti", "a", (int64_t)2);
  assert_non_null(r);
  assert_int_equal(store_next(r, err), 1);
  assert_int_equal(store_int(r, 0), 12);
  assert_string_equal(store_text(r, 1), "two!");
  assert_int_equal(store_next(r, err), 0);
  store_done(r);
  r = store_select(tx, err, "DELETE FROM t WHERE id = ?1 AND n = ?2 RETURNING n", "ti", "a", (int64_t)1);
  assert_non_null(r);
  store_done(r); /* it was deleted although nobody looked */
  int64_t left = 0;
  assert_int_equal(store_value(tx, &left, 0, err, "SELECT count(*) FROM t WHERE id = ?1 AND n > ?2 AND ?2 < 5", "ti", "a", (int64_t)0), 0);
  assert_int_equal(left, 1);
  assert_int_equal(store_value(tx, &left, 42, err, "SELECT n FROM t WHERE id = ?1", "t", "nobody"), 0);
  assert_int_equal(left, 42);
  assert_int_equal(store_value(tx, &left, 42, err, "SELECT max(n) FROM t WHERE id = ?1", "t", "nobody"), 0);
  assert_int_equal(left, 42);
  assert_int_equal(store_value(tx, &left, 42, err, "SELECT sum(n) FROM t", ""), 0);
  assert_int_equal(left, 12);
  r = store_select(tx, err, "SELECT id FROM t WHERE n >= ?1 ORDER BY id LIMIT ?2 @claim", "ii", (int64_t)0, (int64_t)10);
  assert_non_null(r);
  assert_int_equal(store_next(r, err), 1);
  store_done(r);
  return 0;
}

static void statements(void **state) { must(store_write(s, STORE_FRONT, changes, NULL, err)); }

static int collation(struct store_tx *tx, void *arg, struct err *err) {
  const char *ids[] = {"b", "A", "a", "B", "آ", "ب", "_", "Z", "é"};
  for (size_t i = 0; i < BASE_COUNT(ids); i++) {
    struct row r = {ids[i], 0, ids[i], NULL, 0};
    if (insert(tx, &r, err) != 0) return -1;
  }
  struct store_rows *r = store_select(tx, err, "SELECT id, body FROM t WHERE body > ?1 ORDER BY body", "t", "A");
  char all[100] = "";
  while (r != NULL && store_next(r, err) == 1) strcat(all, store_text(r, 0));
  store_done(r);
  assert_string_equal(all, "BZ_abéآب"); /* by bytes, on both engines */
  return 0;
}

static void ordering(void **state) { must(store_write(s, STORE_FRONT, collation, NULL, err)); }

static int many_open(struct store_tx *tx, void *arg, struct err *err) {
  struct store_rows *r[9] = {0};
  for (int i = 0; i < 8; i++) {
    r[i] = store_select(tx, err, "SELECT 1 UNION ALL SELECT 2 ORDER BY 1", ""); /* the same statement, open eight times */
    assert_non_null(r[i]);
    for (int k = 0; k <= i % 2; k++) assert_int_equal(store_next(r[i], err), 1);
  }
  for (int i = 0; i < 8; i++) assert_int_equal(store_int(r[i], 0), 1 + i % 2);
  store_done(r[3]);
  r[3] = store_select(tx, err, "SELECT 3", "");
  assert_non_null(r[3]);
  r[8] = store_select(tx, err, "SELECT 3", "");
  assert_null(r[8]);
  return -1; /* and none closed: the store does it */
}

static void open_results(void **state) {
  refused(store_read(s, many_open, NULL, err), ERR_INTERNAL);
  must(store_read(s, count, NULL, err));
}

static int bad_syntax(struct store_tx *tx, void *arg, struct err *err) { return store_exec(tx, err, "UPDATE nowhere SET x = 1", ""); }
static int bad_count(struct store_tx *tx, void *arg, struct err *err) { return store_put(tx, err, "DELETE FROM t WHERE id = ?1", ""); }
static int bad_letter(struct store_tx *tx, void *arg, struct err *err) {
  int64_t n = 0;
  return store_value(tx, &n, 0, err, "SELECT n FROM t WHERE id = ?1 AND n = ?1", "z", (int64_t)1);
}
static int bad_text(struct store_tx *tx, void *arg, struct err *err) {
  return store_put(tx, err, "DELETE FROM t WHERE id = ?1", "t", "\xc0\x80");
}
static int bad_token(struct store_tx *tx, void *arg, struct err *err) { return store_put(tx, err, "DELETE FROM t WHERE id = @x", ""); }
static int bad_ignored(struct store_tx *tx, void *arg, struct err *err) {
  struct row r = {"twice", 1, NULL, NULL, 0};
  insert(tx, &r, err);
  insert(tx, &r, err);
  return 0; /* says all is well */
}
static int write_in_read(struct store_tx *tx, void *arg, struct err *err) { return store_exec(tx, err, "DELETE FROM t", ""); }
static int write_in_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_write(store_of(tx), STORE_FRONT, count, NULL, err);
}
static int read_in_read(struct store_tx *tx, void *arg, struct err *err) { return store_read(store_of(tx), count, NULL, err); }

static void mistakes(void **state) {
  for (int i = 0; i < 2; i++) {
    refused(store_write(s, STORE_FRONT, bad_syntax, NULL, err), ERR_INTERNAL);
    refused(store_write(s, STORE_FRONT, bad_count, NULL, err), ERR_INTERNAL);
    refused(store_read(s, bad_letter, NULL, err), ERR_INTERNAL);
    refused(store_write(s, STORE_FRONT, bad_text, NULL, err), ERR_INVALID);
    refused(store_write(s, STORE_FRONT, bad_token, NULL, err), ERR_INTERNAL);
    refused(store_write(s, STORE_FRONT, bad_ignored, NULL, err), ERR_CONFLICT);
    refused(store_write(s, STORE_FRONT, write_in_work, NULL, err), ERR_INTERNAL);
    refused(store_read(s, write_in_read, NULL, err), ERR_INTERNAL);
    refused(store_read(s, read_in_read, NULL, err), ERR_INTERNAL);
    refused(store_read(s, bad_syntax, NULL, err), ERR_INTERNAL);
  }
  assert_int_equal(rows_now(), 0);
  must(store_ping(s, err));
}

/* ---- batches -------------------------------------------------------------------------------- */

struct task {
  int n, runs, rc;
  enum err_code code;
  char id[20];
};
static _Atomic int done_count;
static struct task tasks[1000];

static int task_work(struct store_tx *tx, void *arg, struct err *err) {
  struct task *t = arg;
  t->runs++;
  snprintf(t->id, sizeof t->id, "task%04d", t->n);
  struct row a = {t->id, 1, "first", NULL, 0}, b = {t->id, 2, "second", NULL, 0};
  if (insert(tx, &a, err) != 0) return -1;
  if (t->n % 10 == 3) return err_set(err, ERR_FORBIDDEN, "of its own will");
  if (t->n % 10 == 7 && insert(tx, &a, err) != 0) return -1; /* PostgreSQL tells later */
  if (t->n % 10 == 8 && store_exec(tx, err, "INSERT INTO t (id, n) VALUES (?1, ?2)", "ti", t->id, (int64_t)1) < 0) return -1;
  return insert(tx, &b, err);
}

static void task_done(void *arg, int rc, const struct err *err) {
  struct task *t = arg;
  t->rc = rc;
  t->code = rc < 0 ? err->code : ERR_NONE;
  done_count++;
}

static void wait_done(int n) {
  for (int i = 0; i < 2000 && done_count < n; i++) kit_sleep(10);
  assert_int_equal(done_count, n);
}

static void batches(void **state) {
  done_count = 0;
  struct store_stats before, after;
  store_stats(s, &before);
  for (int i = 0; i < 1000; i++) {
    tasks[i] = (struct task){.n = i};
    must(store_submit(s, i % 3 != 0 ? STORE_FRONT : i % 2 ? STORE_JOBS : STORE_AGAIN, task_work, &tasks[i], task_done, err));
  }
  wait_done(1000);
  for (int i = 0; i < 1000; i++) {
    enum err_code expected = i % 10 == 3 ? ERR_FORBIDDEN : i % 10 == 7 || i % 10 == 8 ? ERR_CONFLICT : ERR_NONE;
    assert_int_equal(tasks[i].code, expected);
    assert_int_equal(tasks[i].rc, expected == ERR_NONE ? 0 : -1);
  }
  assert_int_equal(rows_now(), 1400);
  store_stats(s, &after);
  assert_int_equal(after.works - before.works, 1000);
  assert_int_equal(after.failures - before.failures, 300);
  if (!pg) assert_true(after.commits - before.commits < 500); /* many a commit */
  assert_int_equal(after.queued_front + after.queued_jobs, 0);
}

static int add_one(struct store_tx *tx, void *arg, struct err *err) { /* read, then write: nothing may be lost between */
  int64_t n = 0;
  if (store_value(tx, &n, -1, err, "SELECT n FROM t WHERE id = ?1", "t", "sum") != 0) return -1;
  if (n < 0) return err_set(err, ERR_NOT_FOUND, "no row");
  return store_exec(tx, err, "UPDATE t SET n = ?1 WHERE id = ?2", "it", n + 1, "sum") == 1 ? 0 : -1;
}

static void *adder(void *arg) {
  for (int i = 0; i < 25; i++) {
    struct err err = {0};
    if (store_write(s, STORE_FRONT, add_one, NULL, &err) != 0) fprintf(stderr, "add: %s\n", err.message);
    else (*(_Atomic int *)arg)++;
  }
  return NULL;
}

static int sum_read(struct store_tx *tx, void *arg, struct err *err) {
  return store_value(tx, arg, -1, err, "SELECT n FROM t WHERE id = 'sum'", "");
}

static void contention(void **state) {
  struct row r = {"sum", 0, NULL, NULL, 0};
  must(store_write(s, STORE_FRONT, insert, &r, err));
  pthread_t thread[8];
  _Atomic int good = 0;
  for (int i = 0; i < 8; i++) pthread_create(&thread[i], NULL, adder, &good);
  for (int i = 0; i < 8; i++) pthread_join(thread[i], NULL);
  int64_t sum = 0;
  must(store_read(s, sum_read, &sum, err));
  assert_int_equal(sum, good);
  assert_int_equal(good, 200);
}

static int slow_job(struct store_tx *tx, void *arg, struct err *err) {
  kit_sleep(4);
  struct task *t = arg;
  struct row r = {t->id, t->n, NULL, NULL, 0};
  return insert(tx, &r, err);
}

static void queues(void **state) { /* slow jobs do not keep people waiting, and are done all the same */
  done_count = 0;
  for (int i = 0; i < 100; i++) {
    tasks[i] = (struct task){.n = i, .id = "job"};
    must(store_submit(s, STORE_JOBS, slow_job, &tasks[i], task_done, err));
  }
  int64_t began = clock_mono();
  for (int i = 0; i < 10; i++) {
    struct row r = {"front", i, NULL, NULL, 0};
    must(store_write(s, STORE_FRONT, insert, &r, err));
  }
  assert_true(clock_mono() - began < 300);
  assert_true(done_count < 100);
  wait_done(100);
  assert_int_equal(rows_now(), 110);
}

/* ---- commits that do not wait for the disk ---- */

static atomic_bool opened;
static atomic_int standing;

static int stay(struct store_tx *tx, void *arg, struct err *err) {
  standing++;
  while (!opened) kit_sleep(1);
  return 0;
}

static int how_safe(struct store_tx *tx, void *arg, struct err *err) {
  struct task *t = arg;
  int64_t waits = 0;
  snprintf(t->id, sizeof t->id, "task%04d", t->n);
  struct row r = {t->id, t->n, NULL, NULL, 0};
  if (pg) {
    if (store_value(tx, &waits, -1, err, "SELECT CASE current_setting('synchronous_commit') WHEN 'off' THEN 0 ELSE 1 END", "")) return -1;
  } else {
    if (store_value(tx, &waits, -1, err, "SELECT synchronous FROM pragma_synchronous", "")) return -1;
    waits = waits >= 2; /* FULL */
  }
  t->runs = (int)waits;
  return insert(tx, &r, err);
}

/* Only jobs that may be done again are written without waiting, and never in one commit with others. */
static void light_commits(void **state) {
  enum { EACH = 40 };
  opened = false;
  standing = done_count = 0;
  int writers = pg ? 4 : 1, light = 0;
  for (int i = 0; i < 128; i++) must(store_submit(s, STORE_FRONT, stay, NULL, NULL, err));
  while (standing < writers) kit_sleep(1);
  for (int i = 0; i < 3 * EACH; i++) {
    tasks[i] = (struct task){.n = i};
    must(store_submit(s, i < EACH ? STORE_AGAIN : i < 2 * EACH ? STORE_JOBS : STORE_FRONT, how_safe, &tasks[i], task_done, err));
  }
  opened = true;
  wait_done(3 * EACH);
  for (int i = 0; i < 3 * EACH; i++) {
    assert_int_equal(tasks[i].code, ERR_NONE);
    if (i >= EACH) assert_int_equal(tasks[i].runs, 1);
  }
  for (int round = 0; round < 50 && light == 0; round++) { /* beside others they may have come with them; by themselves they are light */
    done_count = 0;
    for (int i = 0; i < EACH; i++) {
      tasks[i] = (struct task){.n = 1000 + round * EACH + i};
      must(store_submit(s, STORE_AGAIN, how_safe, &tasks[i], task_done, err));
    }
    wait_done(EACH);
    for (int i = 0; i < EACH; i++) light += tasks[i].runs == 0;
  }
  assert_true(light > 0);
}

static int huge(struct store_tx *tx, void *arg, struct err *err) {
  size_t n = 3 << 20;
  char *p = base_alloc(n);
  memset(p, 'x', n - 1);
  struct row r = {"huge", 1, p, p, n};
  int rc = insert(tx, &r, err);
  for (int i = 2; rc == 0 && i < 3000; i++) {
    struct row small = {"huge", i, "x", NULL, 0};
    rc = insert(tx, &small, err);
  }
  free(p);
  return rc;
}

static int huge_read(struct store_tx *tx, void *arg, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT body, data FROM t WHERE id = 'huge' AND n = 1", "");
  size_t n = 0;
  if (r == NULL || store_next(r, err) != 1) return -1;
  assert_int_equal(strlen(store_text(r, 0)), (3 << 20) - 1);
  const char *p = store_blob(r, 1, &n);
  assert_int_equal(n, 3 << 20);
  assert_int_equal(p[n - 1], 0);
  assert_int_equal(p[n - 2], 'x');
  store_done(r);
  return 0;
}

static void large(void **state) {
  must(store_write(s, STORE_FRONT, huge, NULL, err));
  must(store_read(s, huge_read, NULL, err));
  assert_int_equal(rows_now(), 2999);
}

static void closing(void **state) { /* what was queued is written first */
  done_count = 0;
  for (int i = 0; i < 300; i++) {
    tasks[i] = (struct task){.n = i * 10};
    must(store_submit(s, STORE_FRONT, task_work, &tasks[i], task_done, err));
  }
  store_close(s);
  s = NULL;
  assert_int_equal(done_count, 300);
  must(store_open(where, NULL, &s, err));
  assert_int_equal(rows_now(), 600);
}

static int nothing(struct store_tx *tx, void *arg, struct err *err) { return 0; }
static void nothing_done(void *arg, int rc, const struct err *err) { done_count++; }

static void bounds(void **state) {
  done_count = 0;
  opened = false;
  struct err err = {0};
  int taken = 0, rc = 0;
  for (int i = 0; i < 128; i++) taken += store_submit(s, STORE_FRONT, stay, NULL, nothing_done, &err) == 0; /* every writer stands */
  for (int i = 0; i < 30000 && rc == 0; i++) taken += (rc = store_submit(s, STORE_FRONT, nothing, NULL, nothing_done, &err)) == 0;
  opened = true;
  assert_int_equal(rc, -1);
  assert_int_equal(err.code, ERR_UNAVAILABLE);
  assert_true(taken >= 20000);
  for (int i = 0; i < 3000 && done_count < taken; i++) kit_sleep(10);
  assert_int_equal(done_count, taken);
}

/* ---- leases, migrations, copies ---------------------------------------------------------------- */

static int fenced(struct store_tx *tx, void *arg, struct err *err) { return store_lease_check(tx, "seq", "node-a", *(int64_t *)arg, err); }

static void leases(void **state) {
  int64_t a = 0, b = 0, again = 0, now = clock_now();
  clock_set(now);
  struct err e;
  assert_int_equal(store_lease(s, "seq", "node-a", 1000, &a, &e), 1);
  assert_int_equal(store_lease(s, "seq", "node-b", 1000, &b, &e), 0);
  must(store_write(s, STORE_JOBS, fenced, &a, err));
  clock_set(now + 500);
  assert_int_equal(store_lease(s, "seq", "node-a", 1000, &again, &e), 1); /* renewed: the same epoch */
  assert_int_equal(again, a);
  clock_set(now + 1400);
  assert_int_equal(store_lease(s, "seq", "node-b", 1000, &b, &e), 0);
  clock_set(now + 1600);
  assert_int_equal(store_lease(s, "seq", "node-b", 1000, &b, &e), 1);
  assert_true(b > a);
  refused(store_write(s, STORE_JOBS, fenced, &a, err), ERR_CONFLICT);
  assert_int_equal(store_lease(s, "seq", "node-a", 1000, &a, &e), 0);
  clock_set(now + 5000);
  assert_int_equal(store_lease(s, "seq", "node-b", 1000, &again, &e), 1); /* after a gap: another epoch */
  assert_true(again > b);
  clock_set(0);
}

static int tamper(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "UPDATE schema_version SET sha256 = 'other' WHERE name = '001-store'", "") == 1 ? 0 : -1;
}

static void *migrate(void *arg) {
  struct store *mine = NULL;
  struct err err = {0};
  *(int *)arg = store_open(where, NULL, &mine, &err);
  unsigned late;
  random_bytes(&late, sizeof late);
  kit_sleep((int)(late % 12)); /* so that some meet the others' commit half-way */
  if (mine != NULL) *(int *)arg = store_migrate(mine, (const char *const[]){"store", NULL}, &err);
  if (*(int *)arg != 0) fprintf(stderr, "migrate: %s\n", err.message);
  store_close(mine);
  return NULL;
}

/* A newer release: some are recorded, and the next ones run on a store that this process has only just opened. */
static void upgrade(void **state) {
  struct store *mine = NULL;
  must(store_open(where, NULL, &mine, err));
  must(store_migrate(mine, (const char *const[]){"store", "cases", NULL}, err));
  must(store_migrate(mine, NULL, err));
  store_close(mine);
}

static void migrations(void **state) {
  must(store_migrate(s, (const char *const[]){"store", NULL}, err)); /* again: nothing to do */
  must(store_write(s, STORE_FRONT, tamper, NULL, err));
  refused(store_migrate(s, (const char *const[]){"store", NULL}, err), ERR_CONFLICT);
  for (int round = 0; round < 5; round++) { /* six nodes at once, on a new store */
    pthread_t thread[6];
    int rc[6];
    kit_new_where(pg, where, sizeof where);
    for (int i = 0; i < 6; i++) pthread_create(&thread[i], NULL, migrate, &rc[i]);
    for (int i = 0; i < 6; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < 6; i++) assert_int_equal(rc[i], 0);
  }
}

static void backup(void **state) {
  char file[200], copy[220];
  snprintf(file, sizeof file, "%s/copy-%d.db", kit_dir, pg);
  snprintf(copy, sizeof copy, "sqlite:%s", file);
  struct row r = {"kept", 1, "x", NULL, 0}, later = {"later", 1, "x", NULL, 0};
  must(store_write(s, STORE_FRONT, insert, &r, err));
  if (pg) {
    refused(store_backup(s, file, err), ERR_UNSUPPORTED);
    return;
  }
  must(store_backup(s, file, err));
  refused(store_backup(s, file, err), ERR_UNAVAILABLE); /* never over another file */
  must(store_write(s, STORE_FRONT, insert, &later, err));
  store_close(s);
  must(store_open(copy, NULL, &s, err));
  assert_int_equal(rows_now(), 1);
}

static int to_buf(void *ctx, const void *p, size_t n) {
  buf_add(ctx, p, n);
  return 0;
}

struct from { const struct buf *b; size_t at; };
static int from_buf(void *ctx, void *p, size_t room, size_t *n) {
  struct from *f = ctx;
  *n = f->b->len - f->at < room ? f->b->len - f->at : room;
  if (*n > 777) *n = 777; /* lines broken anywhere */
  memcpy(p, f->b->data + f->at, *n);
  f->at += *n;
  return 0;
}

static int fill(struct store_tx *tx, void *arg, struct err *err) {
  unsigned char blob[256];
  char id[20];
  for (int i = 0; i < 256; i++) blob[i] = (unsigned char)i;
  for (int i = 0; i < 1700; i++) {
    snprintf(id, sizeof id, "%c%03d", "bAaZ"[i % 4], i / 4);
    struct row r = {id, i, i % 5 == 0 ? NULL : i % 7 == 0 ? "" : "متن | با\nخط",
                    i % 3 == 0 ? NULL : blob, i % 3 == 0 ? 0 : (size_t)(i % 257)};
    if (insert(tx, &r, err) != 0) return -1;
  }
  return store_exec(tx, err, "UPDATE t SET at = CASE n WHEN 5 THEN NULL ELSE n END", "") < 0 ? -1 : 0;
}

/* Dump this store, load it into a new one of the other engine and back: three equal dumps. */
static void dumps(void **state) {
  struct buf first = {0}, next = {0};
  struct err e = {0};
  must(store_write(s, STORE_FRONT, fill, NULL, err));
  must(store_dump(s, NULL, to_buf, &first, err));
  for (int round = 0; round < 2; round++) {
    struct from f = {&first, 0};
    bool other = round == 0 ? !pg && kit_pg[0] != '\0' : pg;
    store_close(s);
    kit_new_where(other, where, sizeof where);
    must(store_open(where, NULL, &s, err));
    must(store_migrate(s, (const char *const[]){"store", NULL}, err));
    must(store_write(s, STORE_FRONT, create, NULL, err));
    first.data[first.len / 2]++; /* damaged: refused, and nothing is left of it */
    assert_int_equal(store_load(s, from_buf, &f, &e), -1);
    first.data[first.len / 2]--;
    f.at = 0;
    struct buf cut = first;
    cut.len -= 80;
    f.b = &cut;
    refused(store_load(s, from_buf, &f, err), ERR_MALFORMED);
    assert_int_equal(rows_now(), 0);
    f = (struct from){&first, 0};
    must(store_load(s, from_buf, &f, err));
    assert_int_equal(rows_now(), 1700);
    f.at = 0;
    refused(store_load(s, from_buf, &f, err), ERR_CONFLICT); /* no longer empty */
    buf_clear(&next);
    must(store_dump(s, NULL, to_buf, &next, err));
    assert_int_equal(next.len, first.len);
    /* schema_version's times differ in the new store; everything after that table is the same */
    char *a = strstr(first.data, "T t "), *b = strstr(next.data, "T t "), *end = strstr(a, "\nE ");
    assert_non_null(end);
    assert_memory_equal(a, b, (size_t)(end - a));
  }
  buf_free(&first);
  buf_free(&next);
}

static void refusals(void **state) {
  struct store *none = NULL;
  refused(store_open("mysql://x", NULL, &none, err), ERR_UNAVAILABLE);
  refused(store_open("sqlite:/nowhere/at/all.db", NULL, &none, err), ERR_UNAVAILABLE);
  refused(store_open("sqlite:", NULL, &none, err), ERR_UNAVAILABLE);
  refused(store_open("postgresql://x@127.0.0.1:1/none", NULL, &none, err), ERR_UNAVAILABLE);
  assert_null(none);
  char path[200];
  snprintf(path, sizeof path, "%s/text.db", kit_dir);
  char text[101];
  memset(text, 'x', sizeof text);
  must(file_write(path, text, 100, 0600, err));
  char bad[220];
  snprintf(bad, sizeof bad, "sqlite:%s", path);
  refused(store_open(bad, NULL, &none, err), ERR_UNAVAILABLE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, leave)
static const struct CMUnitTest tests[] = {T(types), T(statements), T(ordering), T(open_results), T(mistakes), T(batches), T(contention),
  T(queues), T(light_commits), T(large), T(closing), T(bounds), T(leases), T(upgrade), T(migrations), T(backup), T(dumps), cmocka_unit_test(refusals)};

int main(void) {
  kit_start(NULL);
  bool have_pg = kit_pg_start() == 0;
  int bad = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
  pg = true;
  if (have_pg) bad += cmocka_run_group_tests_name("postgresql", tests, NULL, NULL);
  else fprintf(stderr, "no PostgreSQL here: its half was skipped\n");
  kit_pg_stop();
  kit_stop(NULL);
  return bad;
}
