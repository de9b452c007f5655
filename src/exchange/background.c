/* What goes on beside the exchange: the directory is pulled and pushed, new keys are announced and used when they are known, logs are witnessed.
 * One thread, since it waits for others; it begins with the first round of jobs, so that a command that only looks does none of it. */
#include "exchange/background.h"
#include "exchange/publish.h"
#include "exchange/side.h"
#include "exchange/snapshot.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { PULL_MS = 30000, AGAIN_MS = 2000, AGAIN_MOST_MS = 15000, PUBLISH_MS = 60000, CARRIERS = 16, CARRIERS_QUEUE = 4096, SOON_MS = 1000, WITNESS_MS = 30000, PATIENCE_MS = 600000, FORGET_MS = 900000, FALLBACK_MS = 60000, BACK_MS = 86400000 };
enum part { PART_PULL, PART_PUSH, PART_KEYS };

struct round {
  struct exchange *x;
  int lease;                             /* of whoever publishes by itself and pushes, among processes of this folder; -1: another's */
  struct tasks *carriers;                /* of the directory to other gateways */
  int64_t pulled, wait, fallen_back, witnessed, announced, patience, switched, published, complained; /* wait: from pulled until the next */
  enum part part;                        /* under way */
  bool failed;
};

static void complain(struct round *b, const char *what, const struct err *err) {
  struct members_keeper *k = b->x->members;
  pthread_mutex_lock(&k->lock);
  bool same = strcmp(k->problem, err->message) == 0;
  snprintf(k->problem, sizeof k->problem, "%s", err->message);
  k->problem_part = b->part;
  pthread_mutex_unlock(&k->lock);
  b->failed = true;
  if (same && clock_mono() - b->complained < 300000) return;
  b->complained = clock_mono();
  log_write(LOG_WARN, "exchange", "%s: %s", what, err->message);
}

static void over(struct round *b, enum part part) {
  struct members_keeper *k = b->x->members;
  pthread_mutex_lock(&k->lock);
  if (k->problem_part == (int)part) k->problem[0] = 0;
  if (k->back[0] && clock_mono() - k->back_since > BACK_MS) k->back[0] = 0;
  pthread_mutex_unlock(&k->lock);
}

/* What is tried in each round: when nothing is wrong with it, what was is over. */
static void try(struct round *b, enum part part, void (*work)(struct round *b)) {
  b->part = part;
  b->failed = false;
  work(b);
  if (!b->failed) over(b, part);
}

/* The operator's gateway, connected; NULL when the directory does not tell. */
static const struct gateway *operator_of(struct members *m) {
  const struct gateway *g = members_operator_server(m)[0] ? members_gateway(m, members_operator_server(m)) : NULL;
  if (g) told_connect((struct gateway *)g);
  return g && g->peer ? g : NULL;
}

/* ---- pulling ---- */

/* Half a minute, or oftener where the time of grace is short. */
static int64_t pace(const struct exchange *x) {
  int64_t grace = x->o.directory_grace_s ? x->o.directory_grace_s * 1000 : 86400000;
  return grace / 4 < PULL_MS ? grace / 4 : PULL_MS;
}

static int pull_from(struct round *b, struct http_peer *p, bool pinned, struct err *err) {
  struct members *m = members_hold(b->x);
  char target[80], *answer = NULL;
  size_t n = 0;
  int status = 0;
  snprintf(target, sizeof target, "/exchange/directory?have=%lld", (long long)members_version(m));
  members_drop(m);
  int rc = peer_text(p, "GET", target, NULL, 0, &status, &answer, &n, err);
  if (rc == 0 && status != 200 && status != 204) rc = peer_refused(status, answer, n, err);
  if (rc == 0 && status == 200) {
    rc = members_take(b->x, answer, n, err) < 0 ? -1 : 0;
    if (rc && err->code == ERR_FORBIDDEN) rc = handover_follow(b->x, p, err) || members_take(b->x, answer, n, err) < 0 ? -1 : 0;
  }
  if (rc == 0 && pinned) members_confirmed(b->x); /* whoever has no pinned certificate may hold a newer one back */
  free(answer);
  return rc;
}

/* A gateway that slept while the operator's certificate changed: the directory proves itself by its signature. */
static void pull_unpinned(struct round *b, const char *address) {
  struct http_peer *p = NULL;
  struct http_key key;
  struct err err;
  char *pem = keys_certificate(b->x->keys, &key);
  struct http_peer_options o = {.base = address, .certificate = pem, .key = key, .any_certificate = true, .connections = 1};
  if (http_peer_new(&o, &p, &err) == 0) pull_from(b, p, false, &err);
  http_peer_free(p);
  free(pem);
}

/* Somewhat before the pace is over, as many that were begun together shall not ask together; soon after a failure, and then at longer intervals. */
static int64_t until_next(const struct round *b, bool failed) {
  unsigned char some;
  random_bytes(&some, 1);
  int64_t every = pace(b->x) * (1024 - some) / 1024, again = b->wait && b->wait <= AGAIN_MOST_MS / 2 ? b->wait * 2 : b->wait <= AGAIN_MOST_MS && b->wait ? AGAIN_MOST_MS : AGAIN_MS;
  return failed && again < every ? again : every;
}

static void pull(struct round *b) {
  struct exchange *x = b->x;
  int64_t now = clock_mono();
  struct err err;
  if (b->pulled && now - b->pulled < b->wait && !(x->members->wanted && now - b->pulled >= SOON_MS)) return;
  b->pulled = now;
  b->part = PART_PULL;
  if (!b->wait) b->wait = AGAIN_MS;
  x->members->wanted = false;
  struct members *m = members_hold(x);
  const struct gateway *g = operator_of(m);
  if (g && pull_from(b, g->peer, true, &err) == 0) {
    gateway_told(g, true, NULL);
    over(b, PART_PULL);
    b->wait = until_next(b, false);
  } else if (g) {
    b->wait = until_next(b, true);
    gateway_told(g, false, err.message);
    complain(b, "the directory could not be renewed", &err);
    if (err.code == ERR_UNAVAILABLE && now - b->fallen_back > FALLBACK_MS) {
      b->fallen_back = now;
      pull_unpinned(b, g->address);
    }
  }
  members_drop(m);
}

/* ---- publishing and pushing ---- */

struct parcel { struct exchange *x; struct members *m; struct gateway *g; };

/* Takes the text. */
static void tell_back(struct exchange *x, char *text) {
  struct members_keeper *k = x->members;
  pthread_mutex_lock(&k->lock);
  if (strncmp(k->back, text, sizeof k->back - 1) != 0) log_write(LOG_WARN, "exchange", "%s", text);
  snprintf(k->back, sizeof k->back, "%s", text);
  k->back_since = clock_mono();
  pthread_mutex_unlock(&k->lock);
  free(text);
}

/* The operator's folder was put back from an older copy: a gateway holds a newer directory, which it never exchanges for an older one, or another of the same
 * number. What the operator has signed proves the number; the next one is above it. What a later key has signed proves nothing here: then it is only told. */
static void went_back(const struct parcel *p, bool refused) {
  struct members *theirs = NULL, *now = members_hold(p->x);
  int64_t ours = members_version(now);
  char *answer = NULL;
  size_t n = 0;
  int status = 0, rc = -1;
  struct err err, why;
  members_drop(now);
  if (peer_text(p->g->peer, "GET", "/exchange/directory", NULL, 0, &status, &answer, &n, &err) == 0) rc = status == 200 ? members_take(p->x, answer, n, &err) : peer_refused(status, answer, n, &err);
  bool forked = rc < 0 && status == 200 && err.code == ERR_CONFLICT && members_read(answer, n, &theirs, &why) == 0 && members_version(theirs) == ours;
  bool later = rc < 0 && status == 200 && err.code == ERR_FORBIDDEN && members_read(answer, n, &theirs, &why) == 0 && members_version(theirs) >= ours;
  if (forked) p->x->publisher->again = true;
  if (rc > 0 && members_read(answer, n, &theirs, &why)) rc = 0;
  if (forked || rc > 0) {
    tell_back(p->x, base_printf("this directory went back: %s holds version %lld, and here was %lld, as after an older copy was put back. The next is numbered above it; decide again what was decided since that "
                                "copy (members, gateways, revocations)", p->g->id, (long long)members_version(theirs), (long long)ours));
    p->x->publisher->dirty = true;
  } else if (later) {
    tell_back(p->x, base_printf("%s does not take this directory: it says that it holds version %lld, which a later key of the operator has signed, and that key is not here, as after a copy from before "
                                "renew-operator-key was put back. If others say so too, put a later copy back", p->g->id, (long long)members_version(theirs)));
  } else if (rc < 0 && !refused) log_write(LOG_WARN, "exchange", "%s does not take the directory of version %lld: %s", p->g->id, (long long)ours, err.message);
  if (theirs) members_drop(theirs);
  free(answer);
}

static void bring(void *arg) {
  struct parcel *p = arg;
  int64_t version = members_version(p->m);
  size_t size, n = 0;
  const char *text = members_text(p->m, &size);
  char *answer = NULL;
  int status = 0;
  struct err err;
  bool has_it = false;
  told_connect(p->g);
  if (p->g->peer && !p->x->members->stop) {
    if (peer_text(p->g->peer, "POST", "/exchange/directory", text, size, &status, &answer, &n, &err)) gateway_told(p->g, false, err.message);
    else gateway_told(p->g, true, NULL);
    has_it = status == 200 || status == 409; /* 409: a newer one */
    if (status == 409 || status == 403) went_back(p, status == 403);
    if (status == 200 && operator_known(p->x, p->g->id, version, &err)) log_write(LOG_WARN, "exchange", "who knows the directory: %s", err.message);
  }
  told_pushed(p->g->told, version, has_it);
  members_drop(p->m);
  free(answer);
  free(p);
}

/* To all who do not have it, several at once, so that who is away holds up nobody; again and again to who was not reached, as a revocation shall not wait for its pull. */
static void bring_all(struct round *b, struct members *m) {
  for (size_t i = 0; i < m->gateways_count && !b->x->members->stop; i++) {
    struct gateway *g = &m->gateways[i].g;
    if (strcmp(g->id, b->x->server) == 0 || !told_push(g->told, members_version(m))) continue;
    struct parcel *p = base_alloc(sizeof *p);
    atomic_fetch_add(&m->refs, 1);
    *p = (struct parcel){b->x, m, g};
    if (!b->carriers) b->carriers = tasks_new(CARRIERS, CARRIERS_QUEUE);
    if (tasks_put(b->carriers, bring, p)) continue;
    told_pushed(g->told, members_version(m), false);
    members_drop(m);
    free(p);
    return;
  }
}

/* The lock ends with the process that holds it: another takes over in its next round. */
static bool leads(struct round *b) {
  if (b->lease >= 0) return true;
  char *path = base_printf("%s/directory.lock", b->x->folder);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  free(path);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
    b->lease = fd;
    b->x->publisher->dirty = true;
    return true;
  }
  if (fd >= 0) close(fd);
  return false;
}

static void push(struct round *b) {
  struct exchange *x = b->x;
  struct err err;
  members_look(x);
  if (!leads(b)) {
    x->publisher->dirty = false;
    return;
  }
  publish_look(x);
  if (handover_round(x, &err)) complain(b, "the operator's next key", &err);
  if (clock_mono() - b->published > PUBLISH_MS) { /* what changes by itself: keys that ended, services that came */
    b->published = clock_mono();
    x->publisher->dirty = true;
  }
  if (publish_due(x) && exchange_publish(x, &err)) complain(b, "the directory could not be made", &err);
  struct members *m = members_hold(x);
  bring_all(b, m);
  members_drop(m);
}

/* ---- new keys ---- */

/* Tell the operator, who may be ourselves. */
static int tell(struct round *b, const char *type, bool next, struct err *err) {
  struct exchange *x = b->x;
  bool retire = !next;
  size_t n = 0, size = 0;
  int status = 0, rc = -1;
  char *text = asked_make(x->folder, x->keys, type, next, NULL, &n, NULL, err), *answer = NULL;
  if (!text) return -1;
  struct members *m = members_hold(x);
  const struct gateway *g = operator_of(m);
  if (x->publisher) rc = operator_announce(x, text, n, x->server, retire, err);
  else if (!g) err_set(err, ERR_UNAVAILABLE, "the directory names no operator to tell");
  else if (peer_text(g->peer, "POST", retire ? "/exchange/keys/switch" : "/exchange/keys", text, n, &status, &answer, &size, err) == 0)
    rc = status == 200 ? 0 : peer_refused(status, answer, size, err);
  members_drop(m);
  free(answer);
  free(text);
  return rc;
}

/* Does everybody who was seen lately know a directory with our next keys in it? 1 yes. */
static int all_know(struct round *b, struct err *err) {
  struct exchange *x = b->x;
  struct members *m = members_hold(x);
  const struct gateway *of = NULL, *g = operator_of(m);
  const void *public;
  char keyid[65], target[80], *answer = NULL;
  size_t n;
  int status = 0, rc = 0;
  json_t *waiting = NULL, *o = NULL;
  int64_t version = members_version(m);
  bool here = keys_public(x->keys, SLOT_SIGN_NEXT, keyid, NULL, NULL) && members_key(m, keyid, clock_now(), &of, &public, &n, err) == 0 && strcmp(of->id, x->server) == 0;
  if (!here) members_poke(x);
  else if (x->publisher) rc = operator_all_know(x, version, &waiting, err) == 0 ? json_array_size(waiting) == 0 : -1;
  else if (g) {
    snprintf(target, sizeof target, "/exchange/known?version=%lld", (long long)version);
    if (peer_text(g->peer, "GET", target, NULL, 0, &status, &answer, &n, err)) rc = -1;
    else if (status != 200) rc = peer_refused(status, answer, n, err);
    else rc = (o = json_read(answer, n, 8, err)) ? json_array_size(json_object_get(o, "waiting")) == 0 : -1;
  }
  if (here && rc == 0 && clock_mono() - b->patience > PATIENCE_MS) rc = 1; /* who does not pull for so long is away */
  members_drop(m);
  json_decref(waiting);
  json_decref(o);
  free(answer);
  return rc;
}

static void roll(struct round *b) {
  struct exchange *x = b->x;
  struct err err;
  int rc = 0;
  if (keys_moved(x->keys)) { /* several processes of a gateway: one changes them, at times before the others have heard of it */
    if (keys_reload(x->keys, &err)) return complain(b, "the keys in use could not be read", &err);
    log_write(LOG_INFO, "exchange", "another process has put new keys in use: so does this one");
  }
  if (!keys_shown(x->keys, &x->members->key)) members_refresh(x);
  if (keys_waiting(x->keys) && keys_reload(x->keys, &err)) return complain(b, "the new keys could not be read", &err);
  if (!keys_public(x->keys, SLOT_SIGN_NEXT, NULL, NULL, NULL)) {
    if (keys_public(x->keys, SLOT_SIGN_OLD, NULL, NULL, NULL)) {
      if (!b->switched) b->switched = clock_mono();
      if (b->announced && (rc = tell(b, "chapar-switch-v1", false, &err)) == 0) b->announced = 0;
      else if (!b->announced && clock_mono() - b->switched > FORGET_MS &&
               (keys_forget(x->keys, SLOT_SIGN_OLD, &err) || keys_forget(x->keys, SLOT_TLS_OLD, &err) || keys_reload(x->keys, &err)))
        rc = -1;
    }
    if (rc) complain(b, "the old keys", &err);
    return;
  }
  if (!b->announced) {
    if (tell(b, "chapar-keys-v1", true, &err)) return complain(b, "the new keys could not be announced", &err);
    b->announced = b->patience = clock_mono();
    members_poke(x);
    log_write(LOG_INFO, "exchange", "new keys are announced; they are used when the other gateways know them");
  }
  rc = all_know(b, &err);
  if (rc < 0) return complain(b, "the new keys wait", &err);
  if (rc == 0) return;
  if (keys_switch(x->keys, "sign", &err) || keys_switch(x->keys, "tls", &err) || keys_reload(x->keys, &err)) return complain(b, "the new keys could not be used", &err);
  members_refresh(x);
  b->switched = clock_mono();
  log_write(LOG_INFO, "exchange", "the new keys are in use; the old ones end in ten minutes");
}

/* ---- the thread ---- */

static void witness(struct round *b) {
  int64_t every = pace(b->x) < WITNESS_MS ? pace(b->x) : WITNESS_MS;
  if (b->x->platform || (b->witnessed && clock_mono() - b->witnessed < every)) return;
  b->witnessed = clock_mono();
  struct members *m = members_hold(b->x);
  const struct gateway *g = operator_of(m);
  if (g) witness_round(b->x, g->peer);
  members_drop(m);
}

static void *background(void *arg) {
  struct round b = {.x = arg, .lease = -1};
  struct members_keeper *k = b.x->members;
  while (!k->stop) {
    struct members *m = members_hold(b.x);
    bool joined = members_version(m) > 0;
    members_drop(m);
    if (b.x->publisher) try(&b, PART_PUSH, push);
    else if (joined) pull(&b);
    if (joined) try(&b, PART_KEYS, roll);
    if (joined) witness(&b);
    for (int i = 0; i < 10 && !k->stop && !publish_due(b.x) && !(k->wanted && clock_mono() - b.pulled >= SOON_MS); i++)
      nanosleep(&(struct timespec){.tv_nsec = 100 * 1000000}, NULL);
    if (publish_due(b.x)) nanosleep(&(struct timespec){.tv_nsec = 200 * 1000000}, NULL); /* what changes together is one version */
  }
  tasks_free(b.carriers);
  if (b.lease >= 0) close(b.lease);
  k->ended = true;
  return NULL;
}

void members_jobs(struct exchange *x) {
  struct members_keeper *k = x->members;
  if (k->running) return;
  k->ended = false;
  k->running = pthread_create(&k->thread, NULL, background, x) == 0;
}

void exchange_quiet(struct exchange *x) {
  if (x) background_end(x);
}

void background_end(struct exchange *x) {
  struct members_keeper *k = x->members;
  k->stop = true;
  for (int64_t until = clock_mono() + END_MS; k->running && !k->ended; usleep(CUT_MS * 1000))
    if (clock_mono() > until) http_calls_cut(); /* what is asked of a gateway that does not answer */
  if (k->running) pthread_join(k->thread, NULL);
  k->running = false;
}
