/* The log of a SQLite file: copied into it by a thread of its own, so that the writer only waits where the log begins anew. */
#include "store/wal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, FRAME = PAGE + 24, ABREAST = 32, PARTS = 16, TAIL = 64, PASSES = 8, SHORT_MS = 5, LONG_MS = 50 };

struct wal {
  struct store *store;
  struct conn *conn;       /* the thread's own */
  int file;                /* the database's, for write_back */
  int guard;               /* in frames, as everything below */
  pthread_t thread;
  pthread_mutex_t copying; /* held by whoever copies */
  pthread_mutex_t lock;    /* over what follows */
  pthread_cond_t wake;
  bool started, wanted, stop;
  int frames, copied;      /* in the log, and those of them that are in the file too */
  int64_t round;           /* how often the log began anew: `copied` is of this one */
  int next;                /* copy again only when the log has grown to this: the last time somebody read what is in the way */
};

static int at_least(int n, int least) { return n > least ? n : least; }

/* ---- the figures ------------------------------------------------------------------------- */

/* The log began anew. */
static void anew(struct wal *w, int frames) {
  w->frames = frames;
  w->copied = 0;
  w->next = 0;
  w->round++;
  w->store->wal_truncations++;
}

void wal_written(struct wal *w, int frames) {
  pthread_mutex_lock(&w->lock);
  if (frames <= w->frames) anew(w, frames);
  else w->frames = frames;
  w->store->wal_bytes = (int64_t)frames * FRAME;
  pthread_mutex_unlock(&w->lock);
}

/* ---- the thread -------------------------------------------------------------------------- */

/* A commit's sync waits behind whatever the disk has been given. So of the pages that were copied some ABREAST are written back at a time, stretch
 * by stretch of the file over which they lie, and the sync that follows finds little left to do. It alone counts: this is a hint, without errors. */
static void write_back(const struct wal *w, int copied) {
  struct stat st;
  if (fstat(w->file, &st) != 0) return;
  int64_t stretch = (st.st_size / (copied / ABREAST + 1) / PAGE + 1) * PAGE;
  for (int64_t at = 0; at < st.st_size; at += stretch)
    if (sync_file_range(w->file, at, stretch, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) != 0) return;
}

/* SQLite itself syncs the file only when the whole log is in it: all that was copied before would wait for the writer's own last part. */
static int sync_file(struct conn *c) {
  sqlite3_file *f = NULL;
  int rc = sqlite3_file_control(sq_handle(c), "main", SQLITE_FCNTL_FILE_POINTER, &f);
  return rc == SQLITE_OK && f != NULL && f->pMethods != NULL ? f->pMethods->xSync(f, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) : rc;
}

/* One pass over what is committed, beside readers and writer. How many frames it has brought over; -1: none can be now. */
static int pass(struct wal *w) {
  int in_log = 0, copied = 0;
  pthread_mutex_lock(&w->copying);
  pthread_mutex_lock(&w->lock);
  int64_t round = w->round;
  int before = w->copied;
  pthread_mutex_unlock(&w->lock);
  int rc = sqlite3_wal_checkpoint_v2(sq_handle(w->conn), NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);
  if (rc == SQLITE_OK && copied > before) write_back(w, copied - before);
  if (rc == SQLITE_OK) rc = sync_file(w->conn);
  sq_end_if_fatal(w->conn, rc);
  pthread_mutex_lock(&w->lock);
  bool same = rc == SQLITE_OK && round == w->round && copied > before;
  if (same) w->copied = copied;
  pthread_mutex_unlock(&w->lock);
  pthread_mutex_unlock(&w->copying);
  return same ? copied - before : -1;
}

/* Until what is left is so little that the writer can do it, or somebody reads what is in the way. */
static void copy(struct wal *w) {
  for (int i = 0; i < PASSES; i++) {
    int moved = pass(w);
    pthread_mutex_lock(&w->lock);
    int left = w->frames - w->copied;
    bool enough = w->stop || moved < 0 || w->frames < w->guard || left <= at_least(w->guard / TAIL / 4, 1);
    w->next = w->frames + (moved < 0 ? at_least(w->guard / PARTS, 1) : 0);
    pthread_mutex_unlock(&w->lock);
    if (enough) return;
  }
}

static void *copier(void *arg) {
  struct wal *w = arg;
  pthread_setname_np(pthread_self(), "store-copier");
  pthread_mutex_lock(&w->lock);
  while (!w->stop) {
    if (!w->wanted) {
      pthread_cond_wait(&w->wake, &w->lock);
      continue;
    }
    pthread_mutex_unlock(&w->lock);
    copy(w);
    pthread_mutex_lock(&w->lock);
    w->wanted = false;
  }
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

/* ---- the writer's part -------------------------------------------------------------------- */

static bool lock_out_readers(struct store *s, int ms) {
  if (ms == 0) return pthread_rwlock_trywrlock(&s->reading) == 0;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += ms / 1000;
  until.tv_nsec += (ms % 1000) * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  return pthread_rwlock_clockwrlock(&s->reading, CLOCK_MONOTONIC, &until) == 0;
}

/* Copy what is left and begin the log anew, while nobody of ours reads; another process's reader makes it a part. Under `copying`. */
static void finish(struct wal *w, struct conn *writer, int ms, bool truncate) {
  struct store *s = w->store;
  int in_log = 0, copied = 0;
  if (!lock_out_readers(s, ms)) return;
  sqlite3_busy_timeout(sq_handle(writer), 0);
  int rc = sqlite3_wal_checkpoint_v2(sq_handle(writer), NULL, truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_RESTART, &in_log, &copied);
  sqlite3_busy_timeout(sq_handle(writer), s->options.busy_ms);
  pthread_rwlock_unlock(&s->reading);
  sq_end_if_fatal(writer, rc);
  if (rc != SQLITE_OK) return;
  pthread_mutex_lock(&w->lock);
  anew(w, 0);
  s->wal_bytes = 0;
  pthread_mutex_unlock(&w->lock);
}

void wal_guard(struct wal *w, struct conn *writer) {
  pthread_mutex_lock(&w->lock);
  int frames = w->frames, left = frames - w->copied, guard = w->guard;
  bool free = frames >= w->next, small = left <= at_least(guard / TAIL, 1), behind = frames > 2 * guard; /* behind: the thread does not keep up */
  if (free && !w->wanted && (frames > guard ? !small : left > guard / PARTS)) {
    w->wanted = true;
    pthread_cond_signal(&w->wake);
  }
  pthread_mutex_unlock(&w->lock);
  if (!free || frames <= guard || !(small || behind)) return;
  if (behind) pthread_mutex_lock(&w->copying);
  else if (pthread_mutex_trylock(&w->copying) != 0) return;
  int ms = frames > 4 * guard ? w->store->options.busy_ms : behind ? LONG_MS : frames > guard + guard / 2 ? SHORT_MS : 0;
  finish(w, writer, ms, false);
  pthread_mutex_unlock(&w->copying);
  pthread_mutex_lock(&w->lock);
  if (w->frames > guard && ms > 0) w->next = w->frames + at_least(guard / TAIL, 1); /* somebody reads: not at every commit */
  pthread_mutex_unlock(&w->lock);
}

void wal_empty(struct wal *w, struct conn *writer) {
  pthread_mutex_lock(&w->copying);
  finish(w, writer, w->store->options.busy_ms, true);
  pthread_mutex_unlock(&w->copying);
}

/* ---- beginning and end ---------------------------------------------------------------------- */

int wal_open(struct store *s, struct wal **out, struct err *err) {
  struct conn *c = store_conn(s, CONN_OWN, err);
  if (c == NULL) return -1;
  struct wal *w = base_alloc(sizeof *w);
  w->store = s;
  w->conn = c;
  w->file = open(s->where, O_RDWR | O_CLOEXEC); /* -1: nothing is written back ahead */
  w->guard = at_least((int)(s->options.wal_guard / FRAME), 1);
  pthread_mutex_init(&w->copying, NULL);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->wake, NULL);
  int rc = pthread_create(&w->thread, NULL, copier, w);
  w->started = rc == 0;
  if (rc == 0) {
    *out = w;
    return 0;
  }
  wal_close(w);
  return err_set(err, ERR_UNAVAILABLE, "no thread to copy the log: error %d", rc);
}

void wal_close(struct wal *w) {
  if (w == NULL) return;
  pthread_mutex_lock(&w->lock);
  w->stop = true;
  pthread_cond_signal(&w->wake);
  pthread_mutex_unlock(&w->lock);
  if (w->started) pthread_join(w->thread, NULL);
  store_conn_free(w->conn);
  if (w->file >= 0) close(w->file); /* after every connection of this store: closing it drops the process's locks on the file */
  pthread_mutex_destroy(&w->copying);
  pthread_mutex_destroy(&w->lock);
  pthread_cond_destroy(&w->wake);
  free(w);
}
