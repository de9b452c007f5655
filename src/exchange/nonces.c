#include "exchange/nonces.h"
#include "exchange/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "chapar-nonces-2"
enum { PAGE = 4096, CREATED_BITS = 20, RETRY_MS = 1000, PROBLEM_MS = 60000, TRIES = 4 };

/* The first page. What stands before `check` never changes. */
struct head {
  char magic[16];
  uint32_t sets, ways;
  unsigned char key[32];
  char boot[40];                         /* of the machine: what is mapped is not on the disk when it falls */
  int64_t not_before;                    /* signed before: refused, as the log does not know what came then */
  unsigned char check[32];               /* SHA-256 of what stands above */
  _Atomic int64_t latest, horizon, window; /* newest second seen; messages signed up to horizon may have been here unknown; longest window */
};

struct nonces {
  char *folder, *file, *lock_file, *fresh_file;
  uint32_t sets;
  size_t size;
  nonces_logged logged; void *ctx;
  pthread_rwlock_t lock;                 /* of the mapping: taken for writing to map anew */
  int fd;
  struct head *head;                     /* NULL: not mapped */
  _Atomic uint64_t *words;
  int64_t failed;                        /* monotonic ms of the last try to map that failed */
  struct err why;
  pthread_mutex_t told;                  /* of problem */
  char problem[300];
  int64_t problem_at;
  _Atomic int64_t taken, seen, untold;
};

/* ---- the file ---- */

static void boot_of(char out[40]) {
  FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
  memset(out, 0, 40);
  if (!f || !fgets(out, 40, f)) snprintf(out, 40, "unknown");
  out[strcspn(out, "\n")] = '\0';
  if (f) fclose(f);
}

static void check_of(const struct head *h, unsigned char out[32]) { sha256(h, offsetof(struct head, check), out); }

static bool good(const struct nonces *n, const struct head *h) {
  unsigned char check[32];
  char boot[40];
  boot_of(boot);
  check_of(h, check);
  return memcmp(h->magic, MAGIC, sizeof MAGIC) == 0 && h->sets == n->sets && h->ways == NONCES_WAYS && memcmp(h->check, check, sizeof check) == 0 && memcmp(h->boot, boot, sizeof boot) == 0;
}

static int cannot(const struct nonces *n, int why, struct err *err) {
  if (why == ENOSPC || why == EDQUOT || why == EFBIG)
    return err_set(err, ERR_UNAVAILABLE, "there is no room for %s, by which messages that come again are known (%zu MB): make room, or raise the limit", n->file, (n->size + (1 << 20) - 1) >> 20);
  return err_set(err, ERR_UNAVAILABLE, "%s, by which messages that come again are known: %s", n->file, strerrordesc_np(why));
}

static int64_t restored_at(const struct nonces *n) {
  char *path = base_printf("%s/restored", n->folder);
  struct stat st;
  int64_t at = stat(path, &st) == 0 ? (int64_t)st.st_mtime + 1 : 0; /* that second too */
  free(path);
  return at;
}

/* A new one in the place of what is there. What was taken within the last window, if anything was, is known to the log alone. */
static int make(struct nonces *n, int64_t now, int64_t window, struct err *err) {
  union { struct head head; char page[PAGE]; } first = {.head = {.magic = MAGIC, .sets = n->sets, .ways = NONCES_WAYS, .not_before = restored_at(n), .latest = now, .window = window}};
  bool any = false;
  if (n->logged(n->ctx, (now - 2 * window - 1) * 1000, &any, err)) return -1;
  first.head.horizon = any ? now + window : 0;
  random_bytes(first.head.key, sizeof first.head.key);
  boot_of(first.head.boot);
  check_of(&first.head, first.head.check);
  unlink(n->file);                       /* its room is needed */
  unlink(n->fresh_file);
  int fd = open(n->fresh_file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), why = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)n->size);
  if (why == 0 && pwrite(fd, &first, sizeof first, 0) != (ssize_t)sizeof first) why = errno ? errno : EIO;
  if (why == 0 && rename(n->fresh_file, n->file)) why = errno;
  if (why == 0) {
    n->fd = fd;
    return 0;
  }
  if (fd >= 0) close(fd);
  unlink(n->fresh_file);
  return cannot(n, why, err);
}

/* 1: there is one that can be gone on with. */
static int find(struct nonces *n) {
  union { struct head head; char page[PAGE]; } first;
  struct stat st;
  int fd = open(n->file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return 0;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size == n->size && pread(fd, &first, sizeof first, 0) == (ssize_t)sizeof first && good(n, &first.head)) {
    n->fd = fd;
    return 1;
  }
  log_write(LOG_WARN, "exchange", "%s is not of this start of the machine, or damaged: a new one is made, and the log is asked meanwhile", n->file);
  close(fd);
  return 0;
}

static void let_go(struct nonces *n) {
  if (n->head) munmap(n->head, n->size);
  if (n->fd >= 0) close(n->fd);
  n->head = NULL;
  n->fd = -1;
}

/* Processes of one gateway do this one after the other. lock is held for writing. */
static int map(struct nonces *n, int64_t now, int64_t window, struct err *err) {
  if (n->failed && clock_mono() - n->failed < RETRY_MS) {
    *err = n->why;
    return -1;
  }
  let_go(n);
  int guard = open(n->lock_file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), rc = guard;
  while (guard >= 0 && (rc = flock(guard, LOCK_EX)) != 0 && errno == EINTR) continue;
  if (rc < 0) rc = cannot(n, errno, err);
  else rc = find(n) == 1 ? 0 : make(n, now, window, err);
  if (rc == 0) {
    void *p = mmap(NULL, n->size, PROT_READ | PROT_WRITE, MAP_SHARED, n->fd, 0);
    if (p == MAP_FAILED) rc = cannot(n, errno, err);
    else {
      n->head = p;
      n->words = (_Atomic uint64_t *)(void *)((char *)p + PAGE);
    }
  }
  if (guard >= 0) close(guard);
  if (rc) let_go(n);
  n->failed = rc ? clock_mono() : 0;
  if (rc) n->why = *err;
  return rc;
}

/* Still the file that the others have, and whole: what lies behind its end must not be touched. */
static bool whole(const struct nonces *n) {
  struct stat st;
  return n->head && fstat(n->fd, &st) == 0 && st.st_nlink == 1 && (size_t)st.st_size == n->size;
}

/* ---- a word ---- */

static void raise_to(_Atomic int64_t *place, int64_t value) {
  int64_t old = atomic_load(place);
  while (old < value && !atomic_compare_exchange_weak(place, &old, value)) continue;
}

/* Might the message of this word be taken (again)? `created` is known by its lower bits: what lies up to six days ahead is kept too, for a clock that is set back. */
static bool live(uint64_t word, int64_t now, int64_t keep) {
  uint32_t age = ((uint32_t)now - (uint32_t)word) << (32 - CREATED_BITS);
  return word != 0 && (int32_t)age >> (32 - CREATED_BITS) <= keep + 1;
}

/* Place in the set of a live word with this mark; -1. vacant: first free place, -1 none; with what stands there. */
static int look(_Atomic uint64_t *set, uint64_t mark, int64_t now, int64_t keep, int but, int *vacant, uint64_t *stands) {
  *vacant = -1;
  for (int i = 0; i < NONCES_WAYS; i++) {
    uint64_t word = atomic_load(&set[i]);
    if (!live(word, now, keep)) {
      if (*vacant < 0) *vacant = i, *stands = word;
    } else if (i != but && word >> CREATED_BITS == mark) {
      return i;
    }
  }
  return -1;
}

static int here_before(struct nonces *n, struct err *err) {
  atomic_fetch_add(&n->seen, 1);
  return err_set(err, ERR_CONFLICT, "this message has been here before: its nonce was seen");
}

static int take(struct nonces *n, const char *keyid, const char *nonce, int64_t created, int64_t now, int64_t window, struct err *err) {
  struct head *h = n->head;
  unsigned char hash[32];
  char text[sizeof h->key + 120]; /* the key is in front of fixed length, and nobody sees the hash: no HMAC is needed */
  uint64_t bits[2], stands = 0;
  int vacant, size = snprintf(text + sizeof h->key, sizeof text - sizeof h->key, "%s %s", keyid, nonce);
  int64_t known = atomic_load(&h->window);
  if (known < window) {                  /* words that a shorter window had freed */
    raise_to(&h->horizon, now - known);
    raise_to(&h->window, window);
  }
  raise_to(&h->latest, now);
  int64_t keep = atomic_load(&h->window), latest = atomic_load(&h->latest);
  if (now < latest - keep) raise_to(&h->horizon, latest + keep); /* the clock was set back: words of that time are free already */
  if (created < h->not_before)
    return err_set(err, ERR_CONFLICT, "this message was signed before this gateway was put back from a copy, and whether it was here before is not known: send it anew, with a new signature");
  memcpy(text, h->key, sizeof h->key);
  sha256(text, sizeof h->key + (size_t)size, hash);
  memcpy(bits, hash, sizeof bits);
  uint64_t mark = bits[0] >> CREATED_BITS ? bits[0] >> CREATED_BITS : 1, word = mark << CREATED_BITS | ((uint64_t)created & ((1u << CREATED_BITS) - 1));
  _Atomic uint64_t *set = n->words + (size_t)(bits[1] & (n->sets - 1)) * NONCES_WAYS;
  do {
    if (look(set, mark, now, keep, -1, &vacant, &stands) >= 0) return here_before(n, err);
    if (vacant < 0)
      return err_set(err, ERR_UNAVAILABLE, "more messages were signed within %lld seconds than are remembered (about %u): send it again in a while; if this lasts, choose a shorter exchange_window_s", (long long)keep,
                     n->sets * NONCES_WAYS);
  } while (!atomic_compare_exchange_strong(&set[vacant], &stands, word)); /* another took the place meanwhile, perhaps with the same */
  if (look(set, mark, now, keep, vacant, &(int){0}, &stands) >= 0) return here_before(n, err);
  atomic_fetch_add(&n->taken, 1);
  int64_t horizon = atomic_load(&h->horizon);
  return created <= (horizon > latest - keep ? horizon : latest - keep) ? NONCE_ASK : NONCE_NEW;
}

int nonces_take(struct nonces *n, const char *keyid, const char *nonce, int64_t created, int64_t now, int64_t window, struct err *err) {
  int rc = -1;
  bool done = false;
  for (int i = 0; i < TRIES && !done; i++) {
    pthread_rwlock_rdlock(&n->lock);
    if ((done = whole(n))) rc = take(n, keyid, nonce, created, now, window, err);
    pthread_rwlock_unlock(&n->lock);
    if (done) break;
    pthread_rwlock_wrlock(&n->lock);
    if (!whole(n) && map(n, now, window, err)) done = true;
    pthread_rwlock_unlock(&n->lock);
  }
  if (!done) err_set(err, ERR_UNAVAILABLE, "%s is replaced again and again: how many programs write in this folder?", n->file);
  if (rc < 0 && err->code == ERR_UNAVAILABLE) {
    atomic_fetch_add(&n->untold, 1);
    pthread_mutex_lock(&n->told);
    snprintf(n->problem, sizeof n->problem, "%.299s", err->message);
    n->problem_at = clock_mono();
    pthread_mutex_unlock(&n->told);
  }
  return rc;
}

/* ---- the rest ---- */

struct nonces *nonces_new(const char *folder, uint32_t sets, nonces_logged logged, void *ctx) {
  struct nonces *n = base_alloc(sizeof *n);
  n->folder = base_strdup(folder);
  n->file = base_printf("%s/nonces", folder);
  n->lock_file = base_printf("%s/nonces.lock", folder);
  n->fresh_file = base_printf("%s/nonces.new", folder);
  n->sets = sets;
  n->size = PAGE + (size_t)sets * NONCES_WAYS * sizeof(uint64_t);
  n->logged = logged;
  n->ctx = ctx;
  n->fd = -1;
  pthread_rwlock_init(&n->lock, NULL);
  pthread_mutex_init(&n->told, NULL);
  return n;
}

void nonces_free(struct nonces *n) {
  if (!n) return;
  let_go(n);
  pthread_rwlock_destroy(&n->lock);
  pthread_mutex_destroy(&n->told);
  free(n->folder);
  free(n->file);
  free(n->lock_file);
  free(n->fresh_file);
  free(n);
}

void nonces_rest(struct nonces *n) {
  pthread_rwlock_rdlock(&n->lock);
  if (n->head) madvise(n->head, n->size, MADV_DONTNEED);
  pthread_rwlock_unlock(&n->lock);
}

void nonces_count(struct nonces *n, struct nonces_figures *out) {
  *out = (struct nonces_figures){.taken = atomic_load(&n->taken), .seen = atomic_load(&n->seen), .untold = atomic_load(&n->untold)};
  pthread_mutex_lock(&n->told);
  if (n->problem[0] && clock_mono() - n->problem_at < PROBLEM_MS) snprintf(out->problem, sizeof out->problem, "%s", n->problem);
  pthread_mutex_unlock(&n->told);
}

int exchange_restored(const char *folder, struct err *err) {
  char *path = base_printf("%s/restored", folder), at[32];
  clock_rfc3339(clock_now(), at);
  int rc = file_write(path, at, strlen(at), 0644, err);
  free(path);
  return rc;
}
