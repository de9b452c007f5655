/* Nonces that several threads and processes of one gateway remember together, and what becomes of that when the file or the clock is not what it was. */
#include "kit.h"
#include "exchange/exchange.h"
#include "exchange/nonces.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SETS = 16, ALL = SETS * NONCES_WAYS, WINDOW = 300 };
static const int64_t T = 1790000000;
static char folder[100], file[120];
static bool busy_log;

static int logged(void *ctx, int64_t at, bool *any, struct err *err) {
  *any = busy_log;
  return 0;
}

static struct nonces *fresh(void) {
  static const char *const names[] = {"nonces", "nonces.new", "restored"};
  for (size_t i = 0; i < BASE_COUNT(names); i++) {
    char *path = base_printf("%s/%s", folder, names[i]);
    unlink(path);
    free(path);
  }
  busy_log = false;
  return nonces_new(folder, SETS, logged, NULL);
}

static int bring(struct nonces *n, const char *nonce, int64_t created, int64_t now, struct err *err) { return nonces_take(n, "key", nonce, created, now, WINDOW, err); }

#define is_new(...) do { struct err e = {0}; int rc_ = bring(__VA_ARGS__, &e); if (rc_ != NONCE_NEW) fail_msg("%d %s", rc_, e.message); } while (0)
#define is_asked(...) do { struct err e = {0}; int rc_ = bring(__VA_ARGS__, &e); if (rc_ != NONCE_ASK) fail_msg("%d %s", rc_, e.message); } while (0)
#define is_refused(wanted, ...) do { struct err e = {0}; int rc_ = bring(__VA_ARGS__, &e); if (rc_ != -1 || e.code != (wanted)) fail_msg("%d %d %s", rc_, (int)e.code, e.message); } while (0)

/* As many different nonces as there are places, so that every set is full or nearly. */
static size_t fill(struct nonces *n, int64_t created, int64_t now, size_t count) {
  size_t put = 0;
  char nonce[44];
  struct err err;
  for (size_t i = 0; i < count; i++) {
    snprintf(nonce, sizeof nonce, "filler-%zu", i);
    put += bring(n, nonce, created, now, &err) >= 0;
  }
  return put;
}

static void once(void **state) {
  struct nonces *n = fresh(), *other;
  assert_int_equal(access(file, F_OK), -1);                /* nothing is made before the first message */
  is_new(n, "a", T, T);
  is_refused(ERR_CONFLICT, n, "a", T, T);
  is_refused(ERR_CONFLICT, n, "a", T, T + WINDOW - 1);
  is_new(n, "b", T, T);
  struct err err;
  assert_int_equal(nonces_take(n, "another key", "a", T, T, WINDOW, &err), NONCE_NEW);
  other = nonces_new(folder, SETS, logged, NULL);          /* another process */
  is_refused(ERR_CONFLICT, other, "b", T, T + 1);
  is_new(other, "c", T + WINDOW, T + 1);                   /* of a clock that is ahead */
  nonces_free(n);
  is_refused(ERR_CONFLICT, other, "c", T + WINDOW, T + 1);
  nonces_free(other);
  n = nonces_new(folder, SETS, logged, NULL);              /* a start again */
  is_refused(ERR_CONFLICT, n, "c", T + WINDOW, T + 2 * WINDOW);
  is_refused(ERR_CONFLICT, n, "a", T, T + 2);
  nonces_rest(n);
  is_refused(ERR_CONFLICT, n, "b", T, T + 3);
  struct nonces_figures f;
  nonces_count(n, &f);
  assert_int_equal(f.seen, 3);
  assert_int_equal(f.untold, 0);
  struct stat st;
  assert_int_equal(stat(file, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_true(st.st_blocks * 512 >= st.st_size);            /* allocated: no disk that fills up is met later */
  nonces_free(n);
}

static void room(void **state) {
  struct nonces *n = fresh();
  size_t put = fill(n, T, T, 4 * ALL);
  assert_int_equal(put, ALL);                              /* each place was used, and what did not fit was refused */
  is_refused(ERR_UNAVAILABLE, n, "one more", T + WINDOW, T + WINDOW);
  struct nonces_figures f;
  nonces_count(n, &f);
  assert_int_equal(f.taken, ALL);
  assert_int_equal(f.untold, 3 * ALL + 1);
  assert_non_null(strstr(f.problem, "exchange_window_s"));
  is_refused(ERR_CONFLICT, n, "filler-0", T, T + WINDOW);  /* while they count */
  is_new(n, "one more", T + WINDOW + 2, T + WINDOW + 2);   /* they do not any more */
  assert_int_equal(fill(n, T + WINDOW + 2, T + WINDOW + 2, 4 * ALL), ALL - 1);
  nonces_free(n);
}

static void clocks(void **state) {
  struct nonces *n = fresh();
  is_new(n, "first", T, T);
  is_new(n, "later", T + 1000, T + 1000);
  struct err err;
  int rc = bring(n, "first", T, T, &err);                  /* set back: its word may have been given to the later one, */
  assert_true(rc == NONCE_ASK || (rc == -1 && err.code == ERR_CONFLICT));
  is_asked(n, "of that time", T, T);                       /* and so may others */
  is_asked(n, "and until then", T + 1000 + WINDOW, T + 1000);
  is_new(n, "behind it", T + 1001 + WINDOW, T + 1001);
  nonces_free(n);
  n = fresh();
  is_new(n, "first", T, T);
  is_new(n, "a year ahead", T + 31536000, T + 31536000);
  is_asked(n, "back", T, T);
  is_asked(n, "and in a month", T + 2592000, T + 2592000);
  nonces_free(n);
  n = fresh();                                             /* a little, as clocks are set */
  is_new(n, "first", T, T);
  is_new(n, "second", T + 5, T - 3);
  is_asked(n, "old", T - WINDOW - 3, T - 3);
  nonces_free(n);
  n = fresh();                                             /* a longer window than before */
  is_new(n, "first", T, T);
  assert_int_equal(nonces_take(n, "key", "old", T - WINDOW - 10, T, 2 * WINDOW, &err), NONCE_ASK);
  assert_int_equal(nonces_take(n, "key", "new", T, T, 2 * WINDOW, &err), NONCE_NEW);
  is_refused(ERR_CONFLICT, n, "first", T, T + 2 * WINDOW); /* and a process that has the shorter one keeps what the other needs */
  nonces_free(n);
}

static void change(size_t at) {
  unsigned char byte;
  int fd = open(file, O_RDWR | O_CLOEXEC);
  assert_true(fd >= 0 && pread(fd, &byte, 1, (off_t)at) == 1);
  byte ^= 1;
  assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
  close(fd);
}

static void files(void **state) {
  for (int what = 0; what < 7; what++) {
    struct nonces *n = fresh(), *other = nonces_new(folder, SETS, logged, NULL);
    busy_log = true;
    unlink(file);
    is_asked(n, "a", T, T);                                /* messages were taken before: by the log alone */
    is_asked(n, "b", T + WINDOW, T);
    is_new(n, "c", T + WINDOW + 1, T + 1);
    is_refused(ERR_CONFLICT, other, "c", T + WINDOW + 1, T + 1);
    busy_log = what != 6;
    switch (what) {                                         /* under those who have it mapped, but for the last three */
    case 0: assert_int_equal(truncate(file, 100), 0); break;
    case 1: assert_int_equal(truncate(file, 0), 0); break;
    case 2: assert_int_equal(unlink(file), 0); break;
    case 3:
    case 6: change(60); break;                              /* the machine's start */
    case 4: change(30); break;                              /* the key */
    default: change(0); break;                              /* what it is */
    }
    if (what > 2) {
      nonces_free(n);
      nonces_free(other);
      n = nonces_new(folder, SETS, logged, NULL);
      other = nonces_new(folder, SETS, logged, NULL);
    }
    if (busy_log) is_asked(n, "c", T + WINDOW + 1, T + 2);
    else is_new(n, "c", T + WINDOW + 1, T + 2);
    is_refused(ERR_CONFLICT, other, "c", T + WINDOW + 1, T + 2);
    is_refused(ERR_CONFLICT, n, "c", T + WINDOW + 1, T + 2);
    nonces_free(n);
    nonces_free(other);
  }
}

static void put_back(void **state) {
  struct nonces *n = fresh();
  int64_t now = clock_now() / 1000;
  must(exchange_restored(folder, err));
  is_refused(ERR_CONFLICT, n, "before", now - 5, now);
  is_new(n, "after", now + 5, now + 5);
  nonces_free(n);
  nonces_free(fresh());
}

static void no_room(void **state) {
  struct nonces *n = fresh();
  struct rlimit old, little = {0};
  struct err err;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  little = (struct rlimit){4096, old.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
  int rc = bring(n, "a", T, T, &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  assert_int_equal(rc, -1);
  assert_int_equal(err.code, ERR_UNAVAILABLE);
  assert_non_null(strstr(err.message, "room"));
  assert_int_equal(access(file, F_OK), -1);
  char *left = base_printf("%s/nonces.new", folder);
  assert_int_equal(access(left, F_OK), -1);
  free(left);
  struct nonces_figures f;
  nonces_count(n, &f);
  assert_int_equal(f.untold, 1);
  assert_string_equal(f.problem, err.message);
  while (bring(n, "a", T, T, &err) != NONCE_NEW) assert_int_equal(err.code, ERR_UNAVAILABLE); /* it is tried again, but not by each message */
  is_refused(ERR_CONFLICT, n, "a", T, T);
  nonces_free(n);
}

/* ---- at the same time ---- */

/* Half of the sets are words that one of two clocks takes for free and the other not, so that two look for their places in different parts of a set: who looks
 * but once lets both win. */
enum { MANY = 4, ROUNDS = 12, EACH = 100, KEPT = ALL / 2 };
struct race { pthread_barrier_t begin; _Atomic int wins[ROUNDS][EACH]; _Atomic int wrong; };
struct racer { struct nonces *n; struct race *race; int number, round; };

static void *run(void *arg) {
  struct racer *r = arg;
  char nonce[44];
  struct err err;
  for (int i = 0; i < EACH; i++) {
    snprintf(nonce, sizeof nonce, "raced-%d", i);
    pthread_barrier_wait(&r->race->begin);
    int rc = nonces_take(r->n, "key", nonce, T, T + (r->number & 1), WINDOW, &err);
    if (rc >= 0) atomic_fetch_add(&r->race->wins[r->round][i], 1);
    else if (err.code != ERR_CONFLICT) atomic_fetch_add(&r->race->wrong, 1);
  }
  return NULL;
}

static void judge(struct race *race) {
  int won = 0;
  for (int round = 0; round < ROUNDS; round++)
    for (int i = 0; i < EACH; i++) {
      assert_true(race->wins[round][i] <= 1);
      won += race->wins[round][i];
    }
  assert_true(won > 0);
  assert_int_equal(race->wrong, 0);
}

static struct race *race_new(void) {
  struct race *race = mmap(NULL, sizeof *race, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_barrierattr_t shared;
  assert_true(race != MAP_FAILED);
  pthread_barrierattr_init(&shared);
  pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
  pthread_barrier_init(&race->begin, &shared, MANY);
  return race;
}

static struct nonces *prepared(void) {
  struct nonces *n = fresh();
  assert_int_equal(fill(n, T - WINDOW - 1, T, KEPT), KEPT);
  return n;
}

static void afterwards(struct nonces *n) {
  char nonce[44];
  for (int i = 0; i < EACH; i++) {
    snprintf(nonce, sizeof nonce, "raced-%d", i);
    is_refused(ERR_CONFLICT, n, nonce, T, T + 1);
  }
}

static void threads(void **state) {
  struct race *race = race_new();
  for (int round = 0; round < ROUNDS; round++) {
    struct nonces *n = prepared();
    struct racer all[MANY];
    pthread_t thread[MANY];
    for (int i = 0; i < MANY; i++) {
      all[i] = (struct racer){n, race, i, round};
      assert_int_equal(pthread_create(&thread[i], NULL, run, &all[i]), 0);
    }
    for (int i = 0; i < MANY; i++) pthread_join(thread[i], NULL);
    afterwards(n);
    nonces_free(n);
  }
  judge(race);
  munmap(race, sizeof *race);
}

static void processes(void **state) {
  struct race *race = race_new();
  for (int round = 0; round < ROUNDS; round++) {
    struct nonces *n = prepared();
    pid_t child[MANY];
    nonces_free(n);
    for (int i = 0; i < MANY; i++)
      if ((child[i] = fork()) == 0) {
        n = nonces_new(folder, SETS, logged, NULL);
        run(&(struct racer){n, race, i, round});
        nonces_free(n);
        _exit(0);
      }
    for (int i = 0; i < MANY; i++) {
      int status = 1;
      while (waitpid(child[i], &status, 0) < 0 && errno == EINTR) continue;
      assert_int_equal(status, 0);
    }
    n = nonces_new(folder, SETS, logged, NULL);
    afterwards(n);
    nonces_free(n);
  }
  judge(race);
  munmap(race, sizeof *race);
}

int main(void) {
  snprintf(folder, sizeof folder, "%.70s/chapar-nonces-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
  assert_non_null(mkdtemp(folder));
  snprintf(file, sizeof file, "%s/nonces", folder);
  log_set_level(LOG_ERROR);
  const struct CMUnitTest tests[] = {cmocka_unit_test(once),    cmocka_unit_test(room),    cmocka_unit_test(clocks),  cmocka_unit_test(files),
                                     cmocka_unit_test(put_back), cmocka_unit_test(no_room), cmocka_unit_test(threads), cmocka_unit_test(processes)};
  int rc = cmocka_run_group_tests(tests, NULL, NULL);
  static const char *const names[] = {"nonces", "nonces.new", "nonces.lock", "restored"};
  for (size_t i = 0; i < BASE_COUNT(names); i++) {
    char *path = base_printf("%s/%s", folder, names[i]);
    unlink(path);
    free(path);
  }
  rmdir(folder);
  return rc;
}
