/* Keys seen from the gateway: asks the helper, many at once over one channel. Whoever waits and finds nobody reading reads for all. When the helper
 * dies, the one who reads begins another and asks again for everybody: a signature may be made twice, never lost. */
#include "exchange/inside.h"
#include "exchange/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { UNDER_WAY = 96, BEGINS = 5, BEGINS_MS = 10000 };

/* Who waits is posted when its answer is there or, when nobody reads, to read; and leaves when it has had every post that is owed to it. */
struct wait {
  struct wait *next;                     /* of those who wait, or of those whose answers have just come */
  sem_t post;
  uint32_t id;
  bool done, called;                     /* called: to read, and not yet come */
  int owed;                              /* posts, made or promised */
  unsigned char frame[HELPER_FRAME];
  size_t frame_size;
  enum helper_status status;
  unsigned char data[HELPER_DATA];
  size_t size;
  struct err err;                        /* code ERR_NONE: answered */
};

struct pair {                            /* what is used together; kept until the end, since its address was handed out */
  struct pair *older;
  struct keys *of;
  unsigned char sign[32], tls[32];
};

struct held_key { bool there; unsigned char id[32], public[HELPER_DATA]; size_t size; };

struct keys {
  char *folder;                          /* …/keys */
  pthread_mutex_t lock;
  pthread_cond_t room, sent;
  int channel;
  pid_t helper;
  uint32_t next;
  bool reading, sending, told;           /* told: it was we who ended it, for it to read its keys again */
  int under_way;
  struct wait *waiting;
  unsigned char out[2][UNDER_WAY * HELPER_FRAME]; /* frames to be sent, by whoever sends; and those that it is sending */
  size_t out_size;
  int out_now;
  unsigned char in[2 * HELPER_FRAME * 64];
  size_t have;
  int64_t begun[BEGINS];                 /* the last beginnings, to end a loop of deaths */
  int64_t restarts;
  struct held_key keys[SLOT_COUNT];
  uint64_t seen[2];                      /* inodes of sign.pem and tls.pem before the helper read them */
  struct pair *pair;
};

/* ---- processes ---- */

static void bury(struct keys *k) {
  if (k->channel >= 0) close(k->channel);
  if (k->helper > 0) {
    kill(k->helper, SIGKILL);
    waitpid(k->helper, NULL, 0);
  }
  k->channel = -1;
  k->helper = 0;
  k->have = 0;
}

static int send_all(int fd, const unsigned char *p, size_t n) {
  while (n) {
    ssize_t done = send(fd, p, n, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return -1;
    p += done;
    n -= (size_t)done;
  }
  return 0;
}

static int take_list(struct keys *k, const unsigned char *p, size_t n) {
  memset(k->keys, 0, sizeof k->keys);
  for (size_t at = 0; at < n;) {
    if (n - at < 2 || p[at] >= SLOT_COUNT || n - at - 2 < p[at + 1]) return -1;
    struct held_key *h = &k->keys[p[at]];
    h->there = true;
    h->size = p[at + 1];
    memcpy(h->public, p + at + 2, h->size);
    sha256(h->public, h->size, h->id);
    at += 2 + h->size;
  }
  return 0;
}

/* Wait for the list, which is the first that a helper is asked: it has read its keys and shut its doors when it answers. */
static int greet(struct keys *k, struct err *err) {
  unsigned char frame[HELPER_FRAME];
  size_t n = helper_ask(frame, 0, HELPER_LIST, NULL, NULL, 0), size, used;
  const unsigned char *body;
  struct answered a;
  if (send_all(k->channel, frame, n) == 0)
    for (;;) {
      ssize_t got = read(k->channel, k->in + k->have, sizeof k->in - k->have);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      k->have += (size_t)got;
      int rc = helper_frame(k->in, k->have, &body, &size, &used);
      if (rc == 0) continue;
      if (rc < 0 || helper_answered(body, size, &a) || a.status != HELPER_DONE || take_list(k, a.data, a.size)) break;
      memmove(k->in, k->in + used, k->have - used);
      k->have -= used;
      return 0;
    }
  return err_set(err, ERR_UNAVAILABLE, "the key helper did not start: see the lines above; the keys are in %s", k->folder);
}

static void files_seen(const struct keys *k, uint64_t out[2]) {
  static const enum helper_slot slots[2] = {SLOT_SIGN, SLOT_TLS};
  for (size_t i = 0; i < 2; i++) {
    struct stat st;
    char *path = base_printf("%s/%s.pem", k->folder, helper_slots[slots[i]]);
    out[i] = stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
    free(path);
  }
}

/* With the lock held: a new helper, asked again for all who wait. */
static int begin(struct keys *k, struct err *err) {
  int pair[2];
  int64_t now = clock_mono();
  if (k->channel >= 0) shutdown(k->channel, SHUT_RDWR); /* who is sending sees it */
  while (k->sending) pthread_cond_wait(&k->sent, &k->lock);
  bury(k);
  k->out_size = 0;
  if (k->begun[0] && now - k->begun[0] < BEGINS_MS) return err_set(err, ERR_UNAVAILABLE, "the key helper dies again and again; it is tried anew in ten seconds");
  memmove(k->begun, k->begun + 1, sizeof k->begun - sizeof k->begun[0]);
  k->begun[BEGINS - 1] = now;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) return err_set(err, ERR_UNAVAILABLE, "no channel to the key helper: %s", strerrordesc_np(errno));
  k->channel = pair[0];
  char *argv[] = {(char *)(uintptr_t)helper_name, "serve", k->folder, NULL};
  files_seen(k, k->seen);
  int rc = child_begin(argv, &pair[1], 1, &k->helper);
  close(pair[1]);
  if (rc) {
    k->helper = 0;
    bury(k);
    return err_set(err, ERR_UNAVAILABLE, "the key helper cannot be started: %s", strerrordesc_np(rc));
  }
  k->restarts++;
  if (greet(k, err)) {
    bury(k);
    return -1;
  }
  for (struct wait *w = k->waiting; w; w = w->next)
    if (send_all(k->channel, w->frame, w->frame_size)) break; /* the next reader sees its end */
  return 0;
}

/* ---- asking ---- */

static void answered_put(struct keys *k, struct wait **from, struct wait **ready) {
  struct wait *w = *from;
  *from = w->next;
  w->next = *ready;
  *ready = w;
  w->done = true;
  k->under_way--;
}

static void tell_all(struct keys *k, const struct err *err, struct wait **ready) {
  while (k->waiting) {
    k->waiting->err = *err;
    answered_put(k, &k->waiting, ready);
  }
}

static void deliver(struct keys *k, const struct answered *a, struct wait **ready) {
  struct wait **p = &k->waiting;
  while (*p && (*p)->id != a->id) p = &(*p)->next;
  if (!*p) return; /* asked twice, because a helper had died */
  (*p)->status = a->status;
  (*p)->size = a->size;
  memcpy((*p)->data, a->data, a->size);
  answered_put(k, p, ready);
}

/* Everything that has arrived. -1: what came is no answer of ours. */
static int digest_input(struct keys *k, struct wait **ready) {
  const unsigned char *body;
  size_t at = 0, size, used;
  int rc;
  struct answered a;
  while ((rc = helper_frame(k->in + at, k->have - at, &body, &size, &used)) == 1) {
    if (helper_answered(body, size, &a)) return -1;
    deliver(k, &a, ready);
    at += used;
  }
  memmove(k->in, k->in + at, k->have - at);
  k->have -= at;
  return rc;
}

/* With the lock held: read once, for everybody. ready: those whose answers came. */
static void lead(struct keys *k, struct wait **ready) {
  __attribute__((uninitialized)) unsigned char part[16384];
  struct err err;
  k->reading = true;
  int channel = k->channel;
  size_t most = sizeof k->in - k->have < sizeof part ? sizeof k->in - k->have : sizeof part;
  pthread_mutex_unlock(&k->lock);
  ssize_t got = channel < 0 ? 0 : read(channel, part, most);
  bool interrupted = got < 0 && errno == EINTR, good = interrupted;
  pthread_mutex_lock(&k->lock);
  if (got > 0) {
    memcpy(k->in + k->have, part, (size_t)got);
    k->have += (size_t)got;
    good = digest_input(k, ready) == 0;
  }
  if (!good) {
    if (channel >= 0 && !k->told) log_write(LOG_WARN, "exchange", "the key helper has ended; another begins");
    k->told = false;
    if (begin(k, &err)) {
      log_write(LOG_ERROR, "exchange", "%s", err.message);
      tell_all(k, &err, ready);
    }
  }
  k->reading = false;
}

/* With the lock held: what is to be sent goes in one piece, whatever comes meanwhile in the next. */
static void send_out(struct keys *k) {
  if (k->sending) return;
  k->sending = true;
  while (k->out_size && k->channel >= 0) {
    const unsigned char *p = k->out[k->out_now];
    size_t n = k->out_size;
    int channel = k->channel;
    k->out_now = !k->out_now;
    k->out_size = 0;
    pthread_mutex_unlock(&k->lock);
    int rc = send_all(channel, p, n);
    pthread_mutex_lock(&k->lock);
    if (rc) break; /* it is gone: who reads begins another and asks for all */
  }
  k->sending = false;
  pthread_cond_signal(&k->sent);
}

/* With the lock held: our own turn to read has come. Who was answered is told, and when we are ourselves one of those who wait is called to go on. */
static void read_for_all(struct keys *k, struct wait *own) {
  struct wait *ready = NULL, *next = NULL;
  own->called = false;
  lead(k, &ready);
  if (own->done) {
    next = k->waiting;
    for (struct wait *w = k->waiting; w && next; w = w->next)
      if (w->called) next = NULL; /* it comes */
  }
  if (next) {
    next->called = true;
    next->owed++;
  }
  if (ready) pthread_cond_broadcast(&k->room);
  for (struct wait **p = &ready; *p;)
    if (*p == own) *p = own->next;
    else {
      (*p)->owed++;
      p = &(*p)->next;
    }
  pthread_mutex_unlock(&k->lock);
  while (ready) {
    struct wait *w = ready;
    ready = w->next;
    sem_post(&w->post);
  }
  if (next) sem_post(&next->post);
  pthread_mutex_lock(&k->lock);
}

/* With the lock held: until it is done, and nobody will post it any more. */
static void await(struct keys *k, struct wait *w) {
  int taken = 0;
  while (!w->done || taken < w->owed) {
    if (!w->done && !k->reading) {
      read_for_all(k, w);
      continue;
    }
    pthread_mutex_unlock(&k->lock);
    while (sem_wait(&w->post)) continue;
    taken++;
    pthread_mutex_lock(&k->lock);
    w->called = false;
  }
}

static int ask(struct keys *k, enum helper_op op, const unsigned char key[32], const void *data, size_t n, struct wait *w, struct err *err) {
  w->err.code = ERR_NONE;
  w->done = w->called = false;
  w->owed = 0;
  sem_init(&w->post, 0, 0);
  pthread_mutex_lock(&k->lock);
  while (k->under_way >= UNDER_WAY) pthread_cond_wait(&k->room, &k->lock);
  k->under_way++;
  w->id = ++k->next;
  w->frame_size = helper_ask(w->frame, w->id, op, key, data, n);
  w->next = k->waiting;
  k->waiting = w;
  if (k->channel >= 0 && k->out_size + w->frame_size <= sizeof k->out[0]) { /* if it is gone, who reads begins another and asks for us */
    memcpy(k->out[k->out_now] + k->out_size, w->frame, w->frame_size);
    k->out_size += w->frame_size;
    send_out(k);
  }
  await(k, w);
  pthread_mutex_unlock(&k->lock);
  sem_destroy(&w->post);
  if (w->err.code != ERR_NONE) return err_set(err, w->err.code, "%s", w->err.message);
  if (w->status == HELPER_UNKNOWN_KEY) return err_set(err, ERR_NOT_FOUND, "the key helper does not hold that key");
  if (w->status != HELPER_DONE) return err_set(err, ERR_INTERNAL, "the key helper refused to sign");
  return 0;
}

static int sign_with(struct keys *k, const unsigned char key[32], const unsigned char *digest, size_t n, unsigned char der[80], size_t *size, struct err *err) {
  struct wait w;
  if (n != 32 && n != 48 && n != 64) return err_set(err, ERR_INVALID, "a digest of %zu bytes is not signed: SHA-256, SHA-384 or SHA-512", n); /* the helper would end */
  if (ask(k, HELPER_SIGN, key, digest, n, &w, err)) return -1;
  if (w.size > 80) return err_set(err, ERR_INTERNAL, "the key helper's signature is too long");
  memcpy(der, w.data, w.size);
  *size = w.size;
  return 0;
}

static int sign_pair(void *ctx, enum exchange_key which, const unsigned char *digest, size_t n, unsigned char der[80], size_t *size, struct err *err) {
  const struct pair *p = ctx;
  return sign_with(p->of, which == EXCHANGE_KEY_TLS ? p->tls : p->sign, digest, n, der, size, err);
}

static int sign_tls(void *ctx, const unsigned char *digest, size_t n, unsigned char der[80], size_t *size, struct err *err) {
  return sign_pair(ctx, EXCHANGE_KEY_TLS, digest, n, der, size, err);
}

/* ---- what is in use ---- */

static void take_pair(struct keys *k) {
  const struct held_key *s = &k->keys[SLOT_SIGN], *t = &k->keys[SLOT_TLS];
  if (k->pair && memcmp(k->pair->sign, s->id, 32) == 0 && memcmp(k->pair->tls, t->id, 32) == 0) return;
  struct pair *p = base_alloc(sizeof *p);
  p->of = k;
  p->older = k->pair;
  memcpy(p->sign, s->id, 32);
  memcpy(p->tls, t->id, 32);
  k->pair = p;
}

static char *key_file(const char *folder, const char *name, const char *end) { return base_printf("%s/%s%s", folder, name, end); }
static bool there(const char *folder, const char *name, const char *end) {
  char *path = key_file(folder, name, end);
  bool is = access(path, F_OK) == 0;
  free(path);
  return is;
}

static int move(const char *folder, const char *from, const char *to, const char *end, struct err *err) {
  char *a = key_file(folder, from, end), *b = key_file(folder, to, end);
  int rc = rename(a, b) ? err_set(err, ERR_UNAVAILABLE, "cannot rename %s: %s", a, strerrordesc_np(errno)) : 0;
  free(a);
  free(b);
  return rc;
}

/* next → in use → old, for a key and its certificate. Broken off anywhere, it goes on where it was. */
static int promote(const char *folder, const char *base, struct err *err) {
  char next[64], old[64];
  snprintf(next, sizeof next, "%s-next", base);
  snprintf(old, sizeof old, "%s-old", base);
  int rc = 0;
  if (there(folder, next, ".pem")) {
    if (there(folder, base, ".pem")) rc = move(folder, base, old, ".pem", err);
    if (rc == 0 && there(folder, next, ".crt") && there(folder, base, ".crt")) rc = move(folder, base, old, ".crt", err);
    if (rc == 0) rc = move(folder, next, base, ".pem", err);
  }
  if (rc == 0 && there(folder, next, ".crt") && !there(folder, base, ".crt")) rc = move(folder, next, base, ".crt", err);
  return rc;
}

static int mend(const char *folder, struct err *err) {
  static const char *const bases[] = {"sign", "tls", "operator"};
  for (size_t i = 0; i < BASE_COUNT(bases); i++)
    if ((!there(folder, bases[i], ".pem") || (strcmp(bases[i], "tls") == 0 && !there(folder, bases[i], ".crt"))) && promote(folder, bases[i], err)) return -1;
  return 0;
}

int keys_open(const char *folder, struct keys **out, struct err *err) {
  struct keys *k = base_alloc(sizeof *k);
  *out = NULL;
  k->folder = key_file(folder, "keys", "");
  k->channel = -1;
  pthread_mutex_init(&k->lock, NULL);
  pthread_cond_init(&k->room, NULL);
  pthread_cond_init(&k->sent, NULL);
  int rc = mend(k->folder, err) || begin(k, err) ? -1 : 0;
  if (rc == 0 && (!k->keys[SLOT_SIGN].there || !k->keys[SLOT_TLS].there)) rc = err_set(err, ERR_NOT_FOUND, "%s does not hold a gateway's keys (sign.pem, tls.pem)", k->folder);
  if (rc) {
    keys_close(k);
    return -1;
  }
  take_pair(k);
  *out = k;
  return 0;
}

void keys_close(struct keys *k) {
  if (!k) return;
  bury(k);
  for (struct pair *p = k->pair, *older; p; p = older) {
    older = p->older;
    free(p);
  }
  pthread_mutex_destroy(&k->lock);
  pthread_cond_destroy(&k->room);
  pthread_cond_destroy(&k->sent);
  free(k->folder);
  free(k);
}

void keys_signer(struct keys *k, struct exchange_signer *out, char keyid[65]) {
  pthread_mutex_lock(&k->lock);
  struct pair *p = k->pair;
  pthread_mutex_unlock(&k->lock);
  *out = (struct exchange_signer){.sign = sign_pair, .ctx = p};
  hex_encode(p->sign, 32, keyid);
}

static char *certificate_of(const struct keys *k, const char *name) {
  char *path = key_file(k->folder, name, ".crt");
  size_t n;
  char *pem = file_read(path, 65536, &n, NULL);
  free(path);
  return pem;
}

char *keys_certificate(struct keys *k, struct http_key *out) {
  pthread_mutex_lock(&k->lock);
  *out = (struct http_key){.sign = sign_tls, .ctx = k->pair};
  char *pem = certificate_of(k, "tls");
  pthread_mutex_unlock(&k->lock);
  return pem;
}

char *keys_next_certificate(struct keys *k) { return certificate_of(k, "tls-next"); }

/* ---- making and changing ---- */

int keys_make(const char *folder, enum helper_slot slot, const char *server, const char *host, struct err *err) {
  char *keys = key_file(folder, "keys", "");
  bool tls = slot == SLOT_TLS || slot == SLOT_TLS_NEXT;
  char *argv[] = {(char *)(uintptr_t)helper_name, "make", keys, (char *)helper_slots[slot], tls ? (char *)server : NULL, tls ? (char *)host : NULL, NULL};
  pid_t pid = 0;
  int status = 0, rc = dir_make(keys, 0700, err);
  if (rc == 0 && (rc = child_begin(argv, NULL, 0, &pid)) != 0) rc = err_set(err, ERR_UNAVAILABLE, "the key helper cannot be started: %s", strerrordesc_np(rc));
  if (rc == 0 && (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status)))
    rc = err_set(err, ERR_UNAVAILABLE, "the key %s could not be made in %s: see the line above", helper_slots[slot], keys);
  free(keys);
  return rc;
}

int keys_reload(struct keys *k, struct err *err) {
  struct wait w;
  pthread_mutex_lock(&k->lock);
  memset(k->begun, 0, sizeof k->begun);
  k->told = k->channel >= 0;
  if (k->told) shutdown(k->channel, SHUT_RDWR); /* whoever reads begins another */
  pthread_mutex_unlock(&k->lock);
  if (ask(k, HELPER_LIST, NULL, NULL, 0, &w, err)) return -1;
  pthread_mutex_lock(&k->lock);
  take_pair(k);
  pthread_mutex_unlock(&k->lock);
  return 0;
}

bool keys_unread(struct keys *k, enum helper_slot slot) {
  pthread_mutex_lock(&k->lock);
  bool is = !k->keys[slot].there && there(k->folder, helper_slots[slot], ".pem");
  pthread_mutex_unlock(&k->lock);
  return is;
}

bool keys_waiting(struct keys *k) {
  pthread_mutex_lock(&k->lock);
  bool is = !k->keys[SLOT_SIGN_NEXT].there && !k->keys[SLOT_TLS_NEXT].there && there(k->folder, "sign-next", ".pem") && there(k->folder, "tls-next", ".pem");
  pthread_mutex_unlock(&k->lock);
  return is;
}

bool keys_moved(struct keys *k) {
  uint64_t now[2];
  files_seen(k, now); /* 0: between two names */
  pthread_mutex_lock(&k->lock);
  bool is = (now[0] && now[0] != k->seen[0]) || (now[1] && now[1] != k->seen[1]) ||
            (k->keys[SLOT_SIGN].there && k->keys[SLOT_TLS].there && (memcmp(k->pair->sign, k->keys[SLOT_SIGN].id, 32) || memcmp(k->pair->tls, k->keys[SLOT_TLS].id, 32)));
  pthread_mutex_unlock(&k->lock);
  return is;
}

bool keys_shown(struct keys *k, const struct http_key *key) {
  pthread_mutex_lock(&k->lock);
  bool is = key->ctx == k->pair;
  pthread_mutex_unlock(&k->lock);
  return is;
}

int keys_switch(struct keys *k, const char *base, struct err *err) {
  pthread_mutex_lock(&k->lock);
  int rc = promote(k->folder, base, err);
  pthread_mutex_unlock(&k->lock);
  return rc;
}

int keys_forget(struct keys *k, enum helper_slot slot, struct err *err) {
  static const char *const ends[] = {".pem", ".crt"};
  int rc = 0;
  for (size_t i = 0; i < BASE_COUNT(ends) && rc == 0; i++) {
    char *path = key_file(k->folder, helper_slots[slot], ends[i]);
    if (unlink(path) && errno != ENOENT) rc = err_set(err, ERR_UNAVAILABLE, "cannot remove %s: %s", path, strerrordesc_np(errno));
    free(path);
  }
  return rc;
}

bool keys_public(struct keys *k, enum helper_slot slot, char keyid[65], unsigned char public[128], size_t *size) {
  pthread_mutex_lock(&k->lock);
  const struct held_key *h = &k->keys[slot];
  bool is = h->there && h->size <= 128;
  if (is && keyid) hex_encode(h->id, 32, keyid);
  if (is && public) memcpy(public, h->public, h->size);
  if (is && size) *size = h->size;
  pthread_mutex_unlock(&k->lock);
  return is;
}

int keys_sign_slot(struct keys *k, enum helper_slot slot, const unsigned char digest[32], unsigned char der[80], size_t *size, struct err *err) {
  unsigned char id[32];
  pthread_mutex_lock(&k->lock);
  memcpy(id, k->keys[slot].id, 32);
  bool is = k->keys[slot].there;
  pthread_mutex_unlock(&k->lock);
  if (!is) return err_set(err, ERR_NOT_FOUND, "there is no key %s here", helper_slots[slot]);
  return sign_with(k, id, digest, 32, der, size, err);
}

int keys_cosign(struct keys *k, const char *text, size_t n, unsigned char signature[64], struct err *err) {
  struct wait w;
  unsigned char id[32];
  pthread_mutex_lock(&k->lock);
  memcpy(id, k->keys[SLOT_WITNESS].id, 32);
  pthread_mutex_unlock(&k->lock);
  if (n > HELPER_DATA) return err_set(err, ERR_TOO_LARGE, "a checkpoint of more than %d bytes is not co-signed", HELPER_DATA);
  if (ask(k, HELPER_COSIGN, id, text, n, &w, err)) return -1;
  if (w.size != 64) return err_set(err, ERR_INTERNAL, "the key helper's co-signature is no Ed25519 signature");
  memcpy(signature, w.data, 64);
  return 0;
}

void keys_figures(struct keys *k, pid_t *helper, int64_t *restarts) {
  pthread_mutex_lock(&k->lock);
  *helper = k->helper;
  *restarts = k->restarts - 1;
  pthread_mutex_unlock(&k->lock);
}
