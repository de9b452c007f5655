/* Keeps the directory: the snapshot in use, the file it is in, how old it is, the connections to other gateways, and the thread that renews it. */
#include "exchange/background.h"
#include "exchange/keys.h"
#include "exchange/side.h"
#include "exchange/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FRESH_MS = 300000, FAILED_MS = 30000, ANCHORS = 4, PUSH_MS = 2000, PUSH_MOST_MS = 15000, PUSH_AWAY = 40, PUSH_AWAY_MS = 60000 /* it has been away for ten minutes */ };

struct told {                            /* one gateway at one address with one set of certificates */
  _Atomic int refs;
  struct members_keeper *keeper;
  char *id, *address;
  unsigned char (*pins)[32];
  size_t pin_count;
  int64_t generation;                    /* of our own certificate */
  pthread_mutex_t lock;
  struct http_peer *peer;
  bool reached;
  _Atomic int64_t failed_mono;
  atomic_int busy;                       /* calls of messages that are under way (share_take) */
  int64_t at;
  char why[200], said[400];              /* of a failure; of its maintenance */
  _Atomic int64_t maintained;            /* monotonic ms when it said so, 0: it did something since */
  int64_t said_at, said_until;           /* by the clock; until 0: it did not say */
  int64_t pushed, push_next;             /* version that it has for certain; monotonic ms before which it is not brought another */
  int push_failed;
  bool pushing;
};

/* ---- gateways across snapshots ---- */

void told_drop(struct told *t) {
  if (!t || atomic_fetch_sub(&t->refs, 1) > 1) return;
  http_peer_free(t->peer);
  pthread_mutex_destroy(&t->lock);
  free(t->id);
  free(t->address);
  free(t->pins);
  free(t);
}

bool told_failed(const struct told *t) {
  int64_t at = t ? t->failed_mono : 0, rests = t ? t->maintained : 0, latest = at > rests ? at : rests;
  return latest && clock_mono() - latest < FAILED_MS;
}

atomic_int *gateway_busy(const struct gateway *g) { return g->told ? &g->told->busy : NULL; }

bool told_push(struct told *t, int64_t version) {
  if (!t) return false;
  pthread_mutex_lock(&t->lock);
  bool due = !t->pushing && t->pushed < version && clock_mono() >= t->push_next;
  t->pushing |= due;
  pthread_mutex_unlock(&t->lock);
  return due;
}

void told_pushed(struct told *t, int64_t version, bool has_it) {
  pthread_mutex_lock(&t->lock);
  t->pushing = false;
  if (has_it) t->pushed = version;
  t->push_failed = has_it ? 0 : t->push_failed + 1;
  int64_t pause = t->push_failed > PUSH_AWAY ? PUSH_AWAY_MS : t->push_failed > 3 ? PUSH_MOST_MS : (int64_t)PUSH_MS << (t->push_failed ? t->push_failed - 1 : 0);
  t->push_next = has_it ? 0 : clock_mono() + pause;
  pthread_mutex_unlock(&t->lock);
}

void gateway_told(const struct gateway *g, bool reached, const char *why) {
  struct told *t = g ? g->told : NULL;
  if (!t) return;
  pthread_mutex_lock(&t->lock);
  t->reached = reached;
  t->at = clock_now();
  t->failed_mono = reached ? 0 : clock_mono();
  snprintf(t->why, sizeof t->why, "%s", why ? why : "");
  pthread_mutex_unlock(&t->lock);
}

void gateway_maintained(const struct gateway *g, const char *said) {
  struct told *t = g ? g->told : NULL;
  if (!t || (!said && !atomic_load(&t->maintained))) return; /* of each call */
  pthread_mutex_lock(&t->lock);
  atomic_store(&t->maintained, said ? clock_mono() : 0);
  snprintf(t->said, sizeof t->said, "%s", said ? said : "");
  t->said_at = clock_now();
  t->said_until = said ? maintenance_end(said) : 0;
  pthread_mutex_unlock(&t->lock);
}

void told_connect(struct gateway *g) {
  struct told *t = g->told;
  struct err err;
  if (!t) return;
  pthread_mutex_lock(&t->lock);
  if (!t->peer) {
    struct members_keeper *k = t->keeper;
    pthread_mutex_lock(&k->lock);
    struct http_peer_options o = {.base = t->address, .certificate = k->certificate, .key = k->key, .pins = (const unsigned char (*)[32])t->pins, .pin_count = t->pin_count, .connections = 128};
    if (t->pin_count && http_peer_new(&o, &t->peer, &err)) log_write(LOG_WARN, "exchange", "%s: %s", t->id, err.message);
    pthread_mutex_unlock(&k->lock);
  }
  g->peer = t->peer;
  pthread_mutex_unlock(&t->lock);
}

static bool told_same(const struct told *t, const struct gateway *g, int64_t generation) {
  return t && t->generation == generation && strcmp(t->address, g->address) == 0 && t->pin_count == g->certificate_count &&
         (!t->pin_count || memcmp(t->pins, g->certificates, 32 * t->pin_count) == 0);
}

static struct told *told_new(struct members_keeper *k, const struct gateway *g, int64_t generation) {
  struct told *t = base_alloc(sizeof *t);
  t->refs = 1;
  t->keeper = k;
  t->id = base_strdup(g->id);
  t->address = base_strdup(g->address);
  t->pin_count = g->certificate_count;
  t->pins = base_alloc(32 * t->pin_count + 1);
  if (t->pin_count) memcpy(t->pins, g->certificates, 32 * t->pin_count);
  t->generation = generation;
  pthread_mutex_init(&t->lock, NULL);
  return t;
}

static int by_name(const void *a, const void *b) { return strcmp((*(const struct gateway *const *)a)->id, (*(const struct gateway *const *)b)->id); }

static const struct gateway **sorted(const struct members *m) {
  const struct gateway **list = base_alloc((m->gateways_count + 1) * sizeof *list);
  for (size_t i = 0; i < m->gateways_count; i++) list[i] = &m->gateways[i].g;
  if (m->gateways_count) qsort(list, m->gateways_count, sizeof *list, by_name);
  return list;
}

/* What is remembered of the same gateway goes on. Both lists by name. */
static void inherit(struct members_keeper *k, struct members *fresh, const struct members *old) {
  const struct gateway **a = sorted(fresh), **b = sorted(old);
  size_t j = 0;
  for (size_t i = 0; i < fresh->gateways_count; i++) {
    struct gateway *g = (struct gateway *)a[i];
    while (j < old->gateways_count && strcmp(b[j]->id, g->id) < 0) j++;
    struct told *t = j < old->gateways_count && strcmp(b[j]->id, g->id) == 0 ? b[j]->told : NULL;
    if (told_same(t, g, k->generation)) atomic_fetch_add(&t->refs, 1);
    else t = told_new(k, g, k->generation);
    g->told = t;
  }
  free(a);
  free(b);
}

json_t *members_peers(struct exchange *x) {
  struct members *m = members_hold(x);
  json_t *list = json_array();
  for (size_t i = 0; i < m->gateways_count; i++) {
    struct told *t = m->gateways[i].g.told;
    char at[32];
    if (!t) continue;
    pthread_mutex_lock(&t->lock);
    if (t->at) {
      bool maintained = t->reached && atomic_load(&t->maintained) != 0 && (!t->said_until || clock_now() < t->said_until);
      clock_rfc3339(maintained ? t->said_at : t->at, at);
      json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:s}", "server", t->id, "address", t->address, "state", !t->reached ? "failed" : maintained ? "maintenance" : "reached", "at", at,
                                            "last_error", maintained ? t->said : t->why));
    }
    pthread_mutex_unlock(&t->lock);
  }
  members_drop(m);
  return list;
}

/* ---- the snapshot in use ---- */

struct members *members_hold(struct exchange *x) {
  struct members_keeper *k = x->members;
  pthread_mutex_lock(&k->lock);
  struct members *m = k->now;
  atomic_fetch_add(&m->refs, 1);
  pthread_mutex_unlock(&k->lock);
  return m;
}

static void unknown(void *ctx) {
  struct members_keeper *k = ctx;
  k->wanted = true;
}
void members_poke(struct exchange *x) { unknown(x->members); }

static void use(struct exchange *x, struct members *fresh) {
  struct members_keeper *k = x->members;
  fresh->unknown = unknown;
  fresh->unknown_ctx = k;
  struct members *old = members_hold(x);
  inherit(k, fresh, old);
  members_drop(old);
  pthread_mutex_lock(&k->lock);
  old = k->now;
  k->now = fresh;
  pthread_mutex_unlock(&k->lock);
  members_drop(old);
}

int64_t members_age(const struct exchange *x) {
  int64_t at = x->members->confirmed;
  if (!at) return -1;
  return clock_now() > at ? clock_now() - at : 0;
}

enum members_state members_state(const struct exchange *x, const struct members *m) {
  int64_t grace = x->o.directory_grace_s ? x->o.directory_grace_s * 1000 : 86400000, age = members_age(x);
  if (!m->version) return MEMBERS_NONE;
  if (x->publisher) return MEMBERS_FRESH;
  if (age < 0 || age > grace) return MEMBERS_EXPIRED;
  return age > (grace / 2 < FRESH_MS ? grace / 2 : FRESH_MS) ? MEMBERS_OLD : MEMBERS_FRESH;
}

/* The file's time says when it was last known to be the newest: it must outlive a restart, but not a fsync a minute. */
void members_confirmed(struct exchange *x) {
  struct members_keeper *k = x->members;
  k->confirmed = clock_now();
  struct timespec t = {.tv_sec = k->confirmed / 1000, .tv_nsec = (k->confirmed % 1000) * 1000000};
  if (utimensat(AT_FDCWD, k->file, (struct timespec[]){t, t}, 0) && errno != ENOENT) log_write(LOG_WARN, "exchange", "%s: %s", k->file, strerrordesc_np(errno));
}

/* ---- whose signature counts ---- */

static int read_anchors(struct members_keeper *k, struct err *err) {
  size_t n;
  k->anchor_count = 0;
  if (access(k->anchor_file, F_OK) != 0) return 0;
  char *pem = file_read(k->anchor_file, 65536, &n, err);
  if (!pem) return -1;
  BIO *bio = BIO_new_mem_buf(pem, (int)n);
  for (EVP_PKEY *key; bio && k->anchor_count < ANCHORS && (key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL)) != NULL; EVP_PKEY_free(key)) {
    struct anchor *a = &k->anchors[k->anchor_count];
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(key, &der);
    if (size > 0 && size <= (int)sizeof a->key && key_is_p256(der, (size_t)size)) {
      memcpy(a->key, der, (size_t)size);
      a->size = (size_t)size;
      k->anchor_count++;
    }
    OPENSSL_free(der);
  }
  BIO_free(bio);
  free(pem);
  return k->anchor_count ? 0 : err_set(err, ERR_INVALID, "%s holds no public key of an operator", k->anchor_file);
}

static bool signed_by_operator(const struct members_keeper *k, const char *text, size_t n) {
  struct signed_line s;
  if (signed_read(text, n, &s, NULL)) return false;
  for (size_t i = 0; i < k->anchor_count; i++)
    if (signed_true(&s, k->anchors[i].key, k->anchors[i].size)) return true;
  return false;
}

static char *pem_of(const void *der, size_t n) {
  char *body = base64_encode(der, n);
  struct buf b = {0};
  buf_adds(&b, "-----BEGIN PUBLIC KEY-----\n");
  for (size_t at = 0, all = strlen(body); at < all; at += 64) buf_addf(&b, "%.64s\n", body + at);
  buf_adds(&b, "-----END PUBLIC KEY-----\n");
  free(body);
  return buf_take(&b);
}

int members_anchor(const char *folder, const char *pem, struct err *err) {
  char *file = base_printf("%s/operator.pub", folder);
  int rc = file_write(file, pem, strlen(pem), 0644, err);
  free(file);
  return rc;
}

/* The keys that the new directory names are those that may sign the next. */
static int follow_anchors(struct exchange *x, const struct members *m, struct err *err) {
  struct members_keeper *k = x->members;
  struct buf b = {0};
  bool same = k->anchor_count == m->operators_count;
  for (size_t i = 0; i < m->operators_count; i++) {
    const struct operator_key *o = &m->operators[i];
    char *pem = pem_of(o->public_key, o->size);
    same = same && k->anchors[i].size == o->size && memcmp(k->anchors[i].key, o->public_key, o->size) == 0;
    buf_adds(&b, pem);
    free(pem);
  }
  int rc = same ? 0 : members_anchor(x->folder, buf_str(&b), err) || read_anchors(k, err) ? -1 : 0;
  buf_free(&b);
  return rc;
}

/* ---- taking a new one ---- */

/* 1: it is ours already; 0: it is newer. */
static int compare(const struct members *now, const struct members *fresh, struct err *err) {
  if (now->version && strcmp(now->instance, fresh->instance) != 0) return err_set(err, ERR_FORBIDDEN, "that is the directory of the instance %s, and this gateway is of %s", fresh->instance, now->instance);
  if (fresh->version < now->version)
    return err_set(err, ERR_CONFLICT, "that directory (version %lld) is older than ours (%lld): a directory is never taken back", (long long)fresh->version, (long long)now->version);
  if (fresh->version > now->version) return 0;
  if (fresh->size == now->size && memcmp(fresh->text, now->text, now->size) == 0) return 1;
  return err_set(err, ERR_CONFLICT, "there are two directories of version %lld: ask the operator which is true", (long long)now->version);
}

/* The file is replaced whole each time: another inode is another text. */
static void remember_file(struct members_keeper *k) {
  struct stat st;
  k->seen_file = stat(k->file, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

void members_look(struct exchange *x) {
  struct members_keeper *k = x->members;
  struct members *fresh = NULL;
  struct stat st;
  struct err err;
  size_t n;
  pthread_mutex_lock(&k->taking);
  char *text = stat(k->file, &st) == 0 && (uint64_t)st.st_ino != k->seen_file ? file_read(k->file, SIGNED_MOST, &n, &err) : NULL;
  if (text) {
    struct members *now = members_hold(x);
    k->seen_file = (uint64_t)st.st_ino;
    if (read_anchors(k, &err) || !signed_by_operator(k, text, n) || members_read(text, n, &fresh, &err) || compare(now, fresh, &err) != 0) k->seen_file = 0; /* half a change of key: again soon */
    else {
      use(x, fresh);
      fresh = NULL;
      k->confirmed = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    }
    members_drop(now);
  }
  members_drop(fresh);
  free(text);
  pthread_mutex_unlock(&k->taking);
}

int members_take(struct exchange *x, const char *text, size_t n, struct err *err) {
  struct members_keeper *k = x->members;
  struct members *fresh = NULL;
  int rc = -1;
  pthread_mutex_lock(&k->taking);
  struct members *now = members_hold(x);
  if (!signed_by_operator(k, text, n)) err_set(err, ERR_FORBIDDEN, "that directory is not signed by the operator whom this gateway trusts");
  else if (members_read(text, n, &fresh, err) == 0) rc = compare(now, fresh, err);
  if (rc == 0) rc = access_left(x, now, fresh, err) || file_write(k->file, text, n, 0644, err) || follow_anchors(x, fresh, err) ? -1 : 0;
  if (rc == 0) {
    log_write(LOG_INFO, "exchange", "directory version %lld: %zu members and subsystems, %zu gateways", (long long)fresh->version, fresh->entries_count, fresh->gateways_count);
    remember_file(k);
    use(x, fresh);
    fresh = NULL;
    rc = 1;
  } else if (rc == 1) {
    rc = 0;
  }
  members_drop(now);
  members_drop(fresh);
  pthread_mutex_unlock(&k->taking);
  return rc;
}

void members_refresh(struct exchange *x) {
  struct members_keeper *k = x->members;
  struct http_key key;
  struct err err;
  char *pem = keys_certificate(x->keys, &key);
  pthread_mutex_lock(&k->taking);
  pthread_mutex_lock(&k->lock);
  char *old = k->certificate;
  k->certificate = pem;
  k->key = key;
  k->generation++;
  struct http_server *listeners[BASE_COUNT(k->listeners)];
  memcpy(listeners, k->listeners, sizeof listeners);
  pthread_mutex_unlock(&k->lock);
  free(old);
  struct members *now = members_hold(x), *again = NULL;
  if (now->version && members_read(now->text, now->size, &again, &err) == 0) use(x, again);
  members_drop(now);
  pthread_mutex_unlock(&k->taking);
  if (x->services && services_reload(x, &err)) log_write(LOG_ERROR, "exchange", "information systems are still shown the old certificate: %s", err.message);
  struct http_tls t = {.certificate = pem, .key = key, .ask = true};
  for (size_t i = 0; i < BASE_COUNT(listeners); i++)
    if (listeners[i] && http_server_tls_renew(listeners[i], &t, &err)) log_write(LOG_ERROR, "exchange", "a listener keeps its old certificate: %s", err.message);
}

void members_listener(struct exchange *x, struct http_server *s) {
  struct members_keeper *k = x->members;
  pthread_mutex_lock(&k->lock);
  k->listeners[k->listeners[0] != NULL] = s;
  pthread_mutex_unlock(&k->lock);
}

/* ---- open and close ---- */

/* What lies in the folder was judged when it was taken; it is judged again, as files can be changed. */
static int read_file(struct exchange *x, struct err *err) {
  struct members_keeper *k = x->members;
  struct members *m = NULL;
  struct stat st;
  size_t n;
  if (stat(k->file, &st)) return errno == ENOENT ? 0 : err_set(err, ERR_UNAVAILABLE, "%s: %s", k->file, strerrordesc_np(errno));
  char *text = file_read(k->file, SIGNED_MOST, &n, err);
  if (!text) return -1;
  int rc = signed_by_operator(k, text, n) ? members_read(text, n, &m, err) : err_set(err, ERR_FORBIDDEN, "%s is not signed by the operator's key in %s: put both back from a copy, or join again", k->file, k->anchor_file);
  free(text);
  if (rc) return -1;
  use(x, m);
  k->seen_file = (uint64_t)st.st_ino;
  k->confirmed = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
  return 0;
}

int members_open(struct exchange *x, struct err *err) {
  struct members_keeper *k = base_alloc(sizeof *k);
  x->members = k;
  k->file = base_printf("%s/directory", x->folder);
  k->anchor_file = base_printf("%s/operator.pub", x->folder);
  pthread_mutex_init(&k->lock, NULL);
  pthread_mutex_init(&k->taking, NULL);
  k->now = members_empty();
  k->certificate = keys_certificate(x->keys, &k->key);
  return read_anchors(k, err) || read_file(x, err) ? -1 : 0;
}

void members_close(struct exchange *x) {
  struct members_keeper *k = x->members;
  if (!k) return;
  background_end(x);
  members_drop(k->now);
  pthread_mutex_destroy(&k->lock);
  pthread_mutex_destroy(&k->taking);
  free(k->certificate);
  free(k->anchor_file);
  free(k->file);
  free(k);
  x->members = NULL;
}
