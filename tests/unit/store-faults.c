/* What breaks: killed processes, full disks, failing files, databases that die, freeze or lose their replica. */
#include "store-kit.h"
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sqlite3.h>
#include <sys/resource.h>

enum { WRITERS = 8, MOST = 200000 };
static char where[700];

static int create(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "CREATE TABLE IF NOT EXISTS f (id @id NOT NULL, n BIGINT NOT NULL, body TEXT, "
                             "PRIMARY KEY (id, n)) WITHOUT ROWID", "") < 0 ? -1 : 0;
}

static int insert(struct store_tx *tx, void *arg, struct err *err) { /* two rows: all or nothing */
  for (int64_t i = 0; i < 2; i++)
    if (store_put(tx, err, "INSERT INTO f (id, n, body) VALUES (?1, ?2, ?3) ON CONFLICT (id, n) DO NOTHING", "tit",
                  (const char *)arg, i, "body") != 0) return -1;
  return 0;
}

static int64_t present;
static int look(struct store_tx *tx, void *arg, struct err *err) {
  return store_value(tx, &present, 0, err, "SELECT count(*) FROM f WHERE id = ?1", "t", (const char *)arg);
}

static struct store *open_store(const struct store_options *o) {
  struct store *s = NULL;
  must(store_open(where, o, &s, err));
  must(store_migrate(s, (const char *const[]){"store", NULL}, err));
  must(store_write(s, STORE_FRONT, create, NULL, err));
  return s;
}

/* ---- a process killed while it writes --------------------------------------------------------- */

struct ack { int fd, n; };

static void tell(void *arg, int rc, const struct err *err) {
  struct ack *a = arg;
  if (rc == 0 && write(a->fd, &a->n, sizeof a->n) != sizeof a->n) _exit(3);
}

static int numbered(struct store_tx *tx, void *arg, struct err *err) {
  char id[20];
  snprintf(id, sizeof id, "%d", ((struct ack *)arg)->n);
  return insert(tx, id, err);
}

static void child_writes(int fd, int from) {
  static struct ack acks[MOST];
  struct store *s = NULL;
  struct err err;
  if (store_open(where, NULL, &s, &err) != 0) _exit(2);
  for (int i = 0; from + i < MOST; i++) {
    acks[i] = (struct ack){fd, from + i};
    while (store_submit(s, STORE_FRONT, numbered, &acks[i], tell, &err) != 0) kit_sleep(1);
    if (i % 50 == 0) kit_sleep(1);
  }
  _exit(0);
}

static void check_acks(struct store *s, const char *seen, int n) {
  char id[20];
  int missing = 0, torn = 0, total = 0;
  for (int i = 0; i < n; i++) {
    snprintf(id, sizeof id, "%d", i);
    must(store_read(s, look, id, err));
    total += seen[i];
    missing += seen[i] && present == 0;
    torn += present == 1;
  }
  assert_int_equal(missing, 0);
  assert_int_equal(torn, 0);
  assert_true(total > 0);
}

static void killed(void **state) {
  const char *rounds_text = getenv("CHAPAR_TEST_KILLS");
  int rounds = rounds_text != NULL ? atoi(rounds_text) : 6;
  char *seen = base_alloc(MOST);
  kit_new_where(false, where, sizeof where);
  store_close(open_store(NULL));
  int next = 0;
  for (int round = 0; round < rounds && next < MOST - 20000; round++) {
    int fd[2], n, most = next;
    assert_int_equal(pipe(fd), 0);
    pid_t child = fork();
    if (child == 0) child_writes(fd[1], next);
    close(fd[1]);
    kit_sleep(40 + (round * 37) % 120);
    kill(child, SIGKILL);
    while (read(fd[0], &n, sizeof n) == sizeof n) {
      seen[n] = 1;
      if (n > most) most = n;
    }
    close(fd[0]);
    waitpid(child, NULL, 0);
    next = most + 1000 < MOST ? most + 1000 : MOST;
  }
  struct store *s = open_store(NULL);
  check_acks(s, seen, next);
  store_close(s);
  free(seen);
}

/* ---- the disk ------------------------------------------------------------------------------------ */

/* In a child with a small file system of its own; exit 77 where that is not allowed. */
static void child_full(void) {
  char dir[160], ballast[200], id[20], zeros[4096] = {0};
  snprintf(dir, sizeof dir, "%s/small", kit_dir);
  if (mkdir(dir, 0700) != 0 || unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("tmpfs", dir, "tmpfs", 0, "size=6m") != 0) _exit(77);
  snprintf(ballast, sizeof ballast, "%s/ballast", dir);
  int fd = open(ballast, O_CREAT | O_WRONLY, 0600);
  for (int i = 0; i < 700; i++)
    if (write(fd, zeros, sizeof zeros) < 0) _exit(4);
  snprintf(where, sizeof where, "sqlite:%s/a.db", dir);
  struct store *s = open_store(&(struct store_options){.wal_guard = 1 << 20});
  struct err err = {0};
  int good = 0, rc = 0;
  for (; good < 200000; good++) {
    snprintf(id, sizeof id, "%d", good);
    if ((rc = store_write(s, STORE_FRONT, insert, id, &err)) != 0) break;
  }
  if (rc == 0 || err.code != ERR_UNAVAILABLE || store_ping(s, NULL) == 0) _exit(5);
  present = -1;
  if (store_read(s, look, id, &err) != 0 || present != 0) _exit(6); /* refused is refused; reading goes on */
  if (store_write(s, STORE_FRONT, insert, id, &err) == 0) _exit(7);
  unlink(ballast);
  close(fd);
  int well = -1;
  for (int i = 0; i < 100 && (well = store_ping(s, &err)) != 0; i++) kit_sleep(20); /* finds out by itself */
  if (well != 0) _exit(8);
  if (store_write(s, STORE_FRONT, insert, id, &err) != 0) _exit(9);
  for (int i = 0; i <= good; i++) {
    snprintf(id, sizeof id, "%d", i);
    if (store_read(s, look, id, &err) != 0 || present != 2) _exit(10);
  }
  store_close(s);
  _exit(0);
}

/* A write that fails otherwise than for want of room: the process ends, what was acknowledged stays. */
static void child_broken(int fd) {
  struct store *s = open_store(&(struct store_options){.wal_guard = 64 << 20});
  char id[20];
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 20, 1 << 20});
  log_set_level(LOG_ERROR + 1);
  for (int i = 0; i < 20000; i++) {
    snprintf(id, sizeof id, "%d", i);
    if (store_write(s, STORE_FRONT, insert, id, NULL) != 0) _exit(3);
    if (write(fd, &i, sizeof i) != sizeof i) _exit(4);
  }
  _exit(5);
}

static void full_disk(void **state) {
  pid_t child = fork();
  if (child == 0) child_full();
  int status = 0;
  waitpid(child, &status, 0);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) skip();
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void failing_file(void **state) {
  char *seen = base_alloc(MOST);
  int fd[2], n, most = 0, status = 0;
  kit_new_where(false, where, sizeof where);
  assert_int_equal(pipe(fd), 0);
  pid_t child = fork();
  if (child == 0) child_broken(fd[1]);
  close(fd[1]);
  while (read(fd[0], &n, sizeof n) == sizeof n) {
    seen[n] = 1;
    most = n;
  }
  close(fd[0]);
  waitpid(child, &status, 0);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 70);
  struct store *s = open_store(NULL);
  check_acks(s, seen, most + 1);
  store_close(s);
  free(seen);
}

/* ---- the WAL and its readers ------------------------------------------------------------------------ */

static struct store *shared;
static _Atomic bool stop;
static _Atomic int reads;

static int short_read(struct store_tx *tx, void *arg, struct err *err) {
  int64_t n;
  for (int i = 0; i < 5; i++)
    if (store_value(tx, &n, 0, err, "SELECT count(*) FROM (SELECT id FROM f LIMIT 200) x", "") != 0) return -1;
  return 0;
}

static void *reader(void *arg) {
  while (!stop) {
    must(store_read(shared, short_read, NULL, err));
    reads++;
  }
  return NULL;
}

static int wide(struct store_tx *tx, void *arg, struct err *err) {
  static const unsigned char body[20000];
  char hex[40001];
  hex_encode(body, sizeof body, hex);
  return store_put(tx, err, "INSERT INTO f (id, n, body) VALUES (?1, 0, ?2)", "tt", (const char *)arg, hex);
}

static void wal_guard(void **state) {
  kit_new_where(false, where, sizeof where);
  struct store *s = shared = open_store(&(struct store_options){.wal_guard = 1 << 20});
  pthread_t thread[4];
  stop = false;
  for (int i = 0; i < 4; i++) pthread_create(&thread[i], NULL, reader, NULL);
  char id[20], wal[800];
  off_t most = 0;
  snprintf(wal, sizeof wal, "%s-wal", where + 7);
  for (int i = 0; i < 400; i++) {
    struct stat st;
    snprintf(id, sizeof id, "%d", i);
    must(store_write(s, STORE_FRONT, wide, id, err));
    if (stat(wal, &st) == 0 && st.st_size > most) most = st.st_size;
  }
  stop = true;
  for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
  struct store_stats stats;
  store_stats(s, &stats);
  assert_true(stats.wal_truncations >= 8);
  assert_true(most < 3 << 20);
  assert_true(reads > 20);
  assert_true(stats.reads >= reads);
  store_close(s);
}

/* ---- the log in one piece ------------------------------------------------------------------------------- */

/* What a kill would leave now: the two files copied, opened by an SQLite that knows nothing of ours. Rows in f, after a check of the whole file. */
static int64_t left_now(void) {
  static int number;
  char path[780], from[800], to[800];
  snprintf(path, sizeof path, "%s/left-%d.db", kit_dir, number++);
  for (int i = 0; i < 2; i++) {
    snprintf(from, sizeof from, "%s%s", where + 7, i ? "-wal" : "");
    snprintf(to, sizeof to, "%s%s", path, i ? "-wal" : "");
    char *argv[] = {"cp", from, to, NULL};
    assert_int_equal(kit_run(argv, NULL, 0), 0);
  }
  sqlite3 *db = NULL;
  sqlite3_stmt *st = NULL;
  assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_prepare_v2(db, "SELECT (SELECT integrity_check FROM pragma_integrity_check), count(*) FROM f", -1, &st, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_step(st), SQLITE_ROW);
  assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
  int64_t rows = sqlite3_column_int64(st, 1);
  sqlite3_finalize(st);
  assert_int_equal(sqlite3_close(db), SQLITE_OK);
  return rows;
}

struct bulk { const char *id; int rows; bool fails; };

/* More than the writer's cache holds, each page written twice: frames of it go out, and are written over, before the commit. */
static int bulk(struct store_tx *tx, void *arg, struct err *err) {
  const struct bulk *b = arg;
  for (int i = 0; i < b->rows; i++)
    if (store_put(tx, err, "INSERT INTO f (id, n, body) VALUES (?1, ?2, '') ON CONFLICT (id, n) DO NOTHING", "ti", b->id, (int64_t)i) != 0) return -1;
  char *body = base_alloc(9001);
  memset(body, 'x', 9000);
  int rc = store_put(tx, err, "UPDATE f SET body = ?2 WHERE id = ?1", "tt", b->id, body);
  if (rc == 0) rc = store_put(tx, err, "UPDATE f SET body = ?2 || n WHERE id = ?1", "tt", b->id, body);
  free(body);
  return rc == 0 && b->fails ? err_set(err, ERR_CONFLICT, "it is taken back") : rc;
}

static sem_t lightly;
static void light_done(void *arg, int rc, const struct err *err) {
  assert_int_equal(rc, 0);
  sem_post(&lightly);
}

static void log_pieces(void **state) {
  kit_new_where(false, where, sizeof where);
  struct store *s = open_store(&(struct store_options){.wal_guard = 64 << 20});
  struct bulk first = {"first", 3000, false}, third = {"third", 40, false};
  must(store_write(s, STORE_FRONT, bulk, &first, err));
  assert_int_equal(left_now(), 3000);
  must(store_write(s, STORE_FRONT, bulk, &third, err));
  assert_int_equal(left_now(), 3040);
  char ids[8][20];
  sem_init(&lightly, 0, 0);
  for (int i = 0; i < 8; i++) { /* commits that do not wait for the disk are in the file all the same when they are told of */
    snprintf(ids[i], sizeof ids[i], "light-%d", i);
    must(store_submit(s, STORE_AGAIN, insert, ids[i], light_done, err));
    while (sem_wait(&lightly) != 0) continue;
    assert_int_equal(left_now(), 3042 + 2 * i);
  }
  sem_destroy(&lightly);
  store_close(s);
}

static void by_another(sqlite3 *db, int n) {
  char sql[200];
  snprintf(sql, sizeof sql, "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 40) INSERT INTO f SELECT 'other-%d', n, hex(zeroblob(1500)) FROM c", n);
  assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* More than the cache holds, changed in place, so that SQLite reads nothing of the log when it is taken back. */
static int in_place(struct store_tx *tx, void *arg, struct err *err) {
  const struct bulk *b = arg;
  char *body = base_alloc(1501);
  memset(body, b->fails ? 'y' : 'x', 1500);
  int rc = 0;
  for (int i = 0; rc == 0 && i < b->rows; i++)
    rc = store_put(tx, err, "INSERT INTO f (id, n, body) VALUES (?1, ?2, ?3) ON CONFLICT (id, n) DO UPDATE SET body = excluded.body", "tit", b->id, (int64_t)i, body);
  free(body);
  return rc == 0 && b->fails ? err_set(err, ERR_CONFLICT, "it is taken back") : rc;
}

/* Another program commits where frames of a transaction stood that was taken back; then the first one reads, writes, takes back again, and leaves. */
static void taken_back(void **state) {
  enum { ROWS = 14000 };
  kit_new_where(false, where, sizeof where);
  struct store *s = open_store(&(struct store_options){.wal_guard = 64 << 20});
  sqlite3 *other = NULL;
  must(store_write(s, STORE_FRONT, in_place, &(struct bulk){"whole", ROWS, false}, err));
  assert_int_equal(sqlite3_open_v2(where + 7, &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  sqlite3_busy_timeout(other, 5000);
  for (int round = 0; round < 4; round++) { /* how much of the last piece has gone out differs */
    struct err e = {0};
    if (round % 2 == 0) assert_int_equal(sqlite3_wal_checkpoint_v2(other, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL), SQLITE_OK); /* the log begins anew */
    assert_int_equal(store_write(s, STORE_FRONT, in_place, &(struct bulk){"whole", ROWS - 11 * round, true}, &e), -1);
    assert_int_equal(e.code, ERR_CONFLICT);
    by_another(other, round);
    if (round == 3) break;
    must(store_write(s, STORE_FRONT, look, (void *)(uintptr_t)"whole", err)); /* the writer's own connection reads */
    assert_int_equal(left_now(), ROWS + 40 * (round + 1));
  }
  store_close(s);
  assert_int_equal(left_now(), ROWS + 160);
  assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

/* ---- PostgreSQL -------------------------------------------------------------------------------------- */

struct load { int n; _Atomic int acked; int unknown, refused; char seen[20000]; };

static void *loader(void *arg) {
  struct load *l = arg;
  char id[40];
  for (int i = 0; !stop && i < (int)sizeof l->seen; i++) {
    struct err err = {0};
    snprintf(id, sizeof id, "%d-%d", l->n, i);
    int rc = store_write(shared, STORE_FRONT, insert, id, &err);
    if (rc == 0) l->seen[i] = 1;
    l->acked += rc == 0;
    l->unknown += rc != 0 && err.code == ERR_OUTCOME_UNKNOWN;
    l->refused += rc != 0 && err.code == ERR_UNAVAILABLE;
    if (rc != 0 && err.code != ERR_OUTCOME_UNKNOWN && err.code != ERR_UNAVAILABLE) fprintf(stderr, "%s\n", err.message);
  }
  return NULL;
}

static void check_load(struct load *loads) {
  int acked = 0, missing = 0, torn = 0;
  char id[40];
  for (int k = 0; k < WRITERS; k++)
    for (int i = 0; i < (int)sizeof loads[k].seen; i++) {
      if (!loads[k].seen[i]) continue;
      snprintf(id, sizeof id, "%d-%d", loads[k].n, i);
      must(store_read(shared, look, id, err));
      acked++;
      missing += present == 0;
      torn += present == 1;
    }
  assert_true(acked > 0);
  assert_int_equal(missing, 0);
  assert_int_equal(torn, 0);
}

static void server_dies(void **state) {
  if (kit_pg[0] == '\0' || getenv("CHAPAR_TEST_PG") != NULL) skip();
  kit_new_where(true, where, sizeof where);
  struct store *s = shared = open_store(NULL);
  static struct load loads[WRITERS];
  pthread_t thread[WRITERS];
  memset(loads, 0, sizeof loads);
  stop = false;
  for (int i = 0; i < WRITERS; i++) {
    loads[i].n = i;
    pthread_create(&thread[i], NULL, loader, &loads[i]);
  }
  for (int round = 0; round < 2; round++) {
    kit_sleep(300);
    assert_int_equal(kit_pg_do("kill", NULL, 0), 0);
    kit_sleep(200);
    assert_int_equal(kit_pg_do("start", NULL, 0), 0);
  }
  int before = 0, after = 0;
  for (int i = 0; i < WRITERS; i++) before += loads[i].acked;
  for (int tries = 0; tries < 300 && after <= before + 50; tries++) { /* it comes back by itself */
    kit_sleep(20);
    after = 0;
    for (int i = 0; i < WRITERS; i++) after += loads[i].acked;
  }
  stop = true;
  for (int i = 0; i < WRITERS; i++) pthread_join(thread[i], NULL);
  assert_true(after > before);
  check_load(loads);
  must(store_ping(s, err));
  store_close(s);
}

/* Every backend of this database but our own, as (sql) says. */
static void server_do(const char *sql, void (*each)(pid_t)) {
  PGconn *c = PQconnectdb(where);
  PGresult *r = PQexec(c, sql);
  if (PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_COMMAND_OK) fail_msg("%s", PQerrorMessage(c));
  for (int i = 0; each != NULL && i < PQntuples(r); i++) each((pid_t)atoi(PQgetvalue(r, i, 0)));
  PQclear(r);
  PQfinish(c);
}

static pid_t frozen[50];
static int frozen_count;
static void freeze(pid_t pid) {
  if (frozen_count < 50 && kill(pid, SIGSTOP) == 0) frozen[frozen_count++] = pid;
}

static void server_freezes(void **state) {
  if (kit_pg[0] == '\0' || getenv("CHAPAR_TEST_PG") != NULL) skip();
  kit_new_where(true, where, sizeof where);
  struct store *s = open_store(&(struct store_options){.busy_ms = 300, .writers = 2});
  server_do("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()", freeze);
  if (frozen_count == 0) skip(); /* another user's processes */
  int64_t began = clock_mono();
  struct err e = {0};
  int rc = store_write(s, STORE_FRONT, insert, (void *)(uintptr_t)"frozen", &e);
  int64_t took = clock_mono() - began;
  for (int i = 0; i < frozen_count; i++) kill(frozen[i], SIGCONT);
  if (rc != 0) assert_int_equal(e.code, ERR_OUTCOME_UNKNOWN); /* everything went out in one piece, COMMIT with it */
  assert_true(took < 4000);
  must(store_write(s, STORE_FRONT, insert, (void *)(uintptr_t)"frozen", err));
  store_close(s);
}

static void *one_write(void *arg) {
  struct err *err = arg;
  if (store_write(shared, STORE_FRONT, insert, (void *)(uintptr_t)"replica", err) == 0) err->code = ERR_NONE;
  return NULL;
}

static void replica_missing(void **state) {
  if (kit_pg[0] == '\0' || getenv("CHAPAR_TEST_PG") != NULL) skip();
  kit_new_where(true, where, sizeof where);
  shared = open_store(NULL);
  server_do("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", NULL);
  server_do("SELECT pg_reload_conf()", NULL);
  kit_sleep(200);
  struct err e = {0};
  pthread_t thread;
  pthread_create(&thread, NULL, one_write, &e);
  kit_sleep(500);
  server_do("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep'", NULL);
  pthread_join(thread, NULL);
  server_do("ALTER SYSTEM RESET synchronous_standby_names", NULL);
  server_do("SELECT pg_reload_conf()", NULL);
  kit_sleep(200);
  assert_int_equal(e.code, ERR_OUTCOME_UNKNOWN); /* success came with a warning only */
  present = 0;
  e.code = ERR_NONE;
  one_write(&e); /* asked again by key */
  assert_int_equal(e.code, ERR_NONE);
  store_close(shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(killed), cmocka_unit_test(full_disk), cmocka_unit_test(failing_file),
    cmocka_unit_test(wal_guard), cmocka_unit_test(log_pieces), cmocka_unit_test(taken_back), cmocka_unit_test(server_dies), cmocka_unit_test(server_freezes), cmocka_unit_test(replica_missing)};
  kit_start(NULL);
  if (kit_pg_start() != 0) fprintf(stderr, "no PostgreSQL here: its faults were skipped\n");
  int bad = cmocka_run_group_tests(tests, NULL, NULL);
  kit_pg_stop();
  kit_stop(NULL);
  return bad;
}
