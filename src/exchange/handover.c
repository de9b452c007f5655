/* The operator's key rolls over: the old one signs a directory that names the next, and that directory is kept; when the gateways know it, the next signs.
 * Who was away meanwhile asks for the kept ones in their order, each signed by a key that the one before names. */
#include "exchange/background.h"
#include "exchange/publish.h"
#include "exchange/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { PATIENCE_MS = 600000 };

struct handover { char keyid[65]; const char *by, *why; bool hurry; int64_t at, version, have; const char *text; size_t size; unsigned char *packed; uLongf packed_size; };

static int begin_work(struct store_tx *tx, void *arg, struct err *err) {
  struct handover *h = arg;
  /* Who publishes may have met the key before this row. */
  if (store_put(tx, err, "INSERT INTO exchange_handover (keyid, at, hurry, version, size, packed) VALUES (?1, ?2, ?3, 0, 0, NULL) ON CONFLICT (keyid) DO UPDATE SET at = excluded.at, hurry = excluded.hurry", "tii",
                h->keyid, store_time(tx), (int64_t)h->hurry)) return -1;
  return act_put(tx, h->by, "operator-key", h->keyid, json_pack("{s:s,s:b}", "why", h->why, "at_once", h->hurry), err);
}

int exchange_renew_operator_key(struct exchange *x, const char *by, const char *why, bool at_once, struct err *err) {
  struct handover h = {.by = by, .why = why, .hurry = at_once};
  if (!x->publisher) return err_set(err, ERR_FORBIDDEN, "this gateway is not the operator's: it has no key that signs the directory");
  if (!why || !why[0] || strlen(why) > 300) return err_set(err, ERR_INVALID, "say why, in at most 300 bytes");
  if (keys_public(x->keys, SLOT_OPERATOR_NEXT, NULL, NULL, NULL)) return err_set(err, ERR_CONFLICT, "the operator's key rolls over already: the directory shows when the next one signs");
  if (keys_make(x->folder, SLOT_OPERATOR_NEXT, NULL, NULL, err) || keys_reload(x->keys, err)) return -1;
  if (!keys_public(x->keys, SLOT_OPERATOR_NEXT, h.keyid, NULL, NULL)) return err_set(err, ERR_INTERNAL, "the next key was made and cannot be read");
  return store_write(x->store, STORE_FRONT, begin_work, &h, err);
}

/* ---- the rounds of whoever publishes ---- */

static int read_work(struct store_tx *tx, void *arg, struct err *err) {
  struct handover *h = arg;
  h->at = h->version = 0;
  struct store_rows *r = store_select(tx, err, "SELECT at, hurry, version FROM exchange_handover WHERE keyid = ?1", "t", h->keyid);
  int rc = r ? store_next(r, err) : -1;
  if (rc == 1) {
    h->at = store_int(r, 0);
    h->hurry = store_int(r, 1) != 0;
    h->version = store_int(r, 2);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int keep_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct handover *h = arg;
  return store_put(tx, err, "INSERT INTO exchange_handover (keyid, at, hurry, version, size, packed) VALUES (?1, ?2, 0, ?3, ?4, ?5) ON CONFLICT (keyid) DO UPDATE SET version = excluded.version, "
                   "size = excluded.size, packed = excluded.packed", "tiiib", h->keyid, store_time(tx), h->version, (int64_t)h->size, (const void *)h->packed, (size_t)h->packed_size);
}

static bool named(const struct members *m, const char *keyid) {
  const struct operator_key *list;
  size_t n = members_operator(m, &list);
  for (size_t i = 0; i < n; i++)
    if (strcmp(list[i].keyid, keyid) == 0) return true;
  return false;
}

/* The directory in use is the one to keep, when it names the next key. */
static int keep(struct exchange *x, struct handover *h, const struct members *m, struct err *err) {
  h->text = members_text(m, &h->size);
  h->version = members_version(m);
  h->packed_size = compressBound((uLong)h->size);
  h->packed = base_alloc(h->packed_size);
  int rc = compress2(h->packed, &h->packed_size, (const unsigned char *)h->text, (uLong)h->size, 6) == Z_OK ? store_write(x->store, STORE_FRONT, keep_work, h, err)
                                                                                                              : err_set(err, ERR_INTERNAL, "the directory cannot be compressed");
  free(h->packed);
  return rc;
}

static int switched_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct handover *h = arg;
  return act_put(tx, "gateway", "operator-switch", h->keyid, json_pack("{s:I}", "version", (json_int_t)h->version), err);
}

/* 1: everybody who was seen lately knows it, or has been waited for long enough. */
static int all_know(struct exchange *x, const struct handover *h, struct err *err) {
  json_t *waiting = NULL;
  if (h->hurry || clock_now() - h->at > PATIENCE_MS) return 1;
  int rc = operator_all_know(x, h->version, &waiting, err) ? -1 : json_array_size(waiting) == 0;
  json_decref(waiting);
  return rc;
}

int handover_keys(struct exchange *x, struct err *err) {
  char keyid[65];
  struct members *m = members_hold(x);
  bool known = members_version(m) == 0 || !keys_public(x->keys, SLOT_OPERATOR, keyid, NULL, NULL) || named(m, keyid);
  members_drop(m);
  return known && !keys_unread(x->keys, SLOT_OPERATOR_NEXT) ? 0 : keys_reload(x->keys, err);
}

/* What the old key was needed for is done: the directory in use is signed by the new one. */
static int forget(struct exchange *x, const struct members *m, struct err *err) {
  const struct operator_key *list;
  char now[65], old[65];
  if (!keys_public(x->keys, SLOT_OPERATOR_OLD, old, NULL, NULL) || !keys_public(x->keys, SLOT_OPERATOR, now, NULL, NULL)) return 0;
  if (members_operator(m, &list) != 1 || strcmp(list[0].keyid, now) != 0) return 0;
  return keys_forget(x->keys, SLOT_OPERATOR_OLD, err) || keys_reload(x->keys, err) ? -1 : 0;
}

int handover_round(struct exchange *x, struct err *err) {
  struct handover h = {.at = 0};
  int rc = 0;
  if (keys_unread(x->keys, SLOT_OPERATOR_NEXT)) { /* a command made it */
    if (keys_reload(x->keys, err)) return -1;
    x->publisher->dirty = true;
  }
  struct members *m = members_hold(x);
  if (!keys_public(x->keys, SLOT_OPERATOR_NEXT, h.keyid, NULL, NULL)) {
    rc = forget(x, m, err);
  } else if (!named(m, h.keyid)) {
    x->publisher->dirty = true;
  } else if ((rc = store_read(x->store, read_work, &h, err)) == 0 && h.version == 0) {
    rc = keep(x, &h, m, err);
  } else if (rc == 0 && (rc = all_know(x, &h, err)) == 1) {
    rc = keys_switch(x->keys, "operator", err) || keys_reload(x->keys, err) || store_write(x->store, STORE_FRONT, switched_work, &h, err) ? -1 : 0;
    x->publisher->dirty = true;
    if (rc == 0) log_write(LOG_INFO, "exchange", "the operator's next key %.16s… signs the directory from now on", h.keyid);
  }
  members_drop(m);
  return rc < 0 ? -1 : 0;
}

/* ---- for those who were away ---- */

struct kept_text { int64_t have; char *text; size_t n; };

static int next_work(struct store_tx *tx, void *arg, struct err *err) {
  struct kept_text *k = arg;
  free(k->text);
  k->text = NULL;
  struct store_rows *r = store_select(tx, err, "SELECT size, packed FROM exchange_handover WHERE version > ?1 ORDER BY version LIMIT 1", "i", k->have);
  int rc = r ? store_next(r, err) : -1;
  if (rc == 1) {
    size_t n;
    const void *p = store_blob(r, 1, &n);
    int64_t size = store_int(r, 0);
    uLongf got = (uLongf)size;
    bool good = size > 0 && size <= (int64_t)SIGNED_MOST;
    k->text = good ? base_alloc((size_t)size + 1) : NULL;
    if (!good || uncompress((unsigned char *)k->text, &got, p, (uLong)n) != Z_OK || (int64_t)got != size) rc = err_set(err, ERR_INTERNAL, "a kept directory is damaged");
    k->n = (size_t)size;
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int handover_next(struct exchange *x, int64_t have, char **text, size_t *n, struct err *err) {
  struct kept_text k = {.have = have};
  if (store_read(x->store, next_work, &k, err)) {
    free(k.text);
    return -1;
  }
  *text = k.text;
  *n = k.n;
  return k.text ? 0 : err_set(err, ERR_NOT_FOUND, "no key of the operator changed after that version");
}

/* The directories of every change of the operator's key since the one that we have, each proved by the one before. */
int handover_follow(struct exchange *x, struct http_peer *p, struct err *err) {
  for (int i = 0; i < 100; i++) {
    struct members *m = members_hold(x);
    char target[80], *answer = NULL;
    size_t n = 0;
    int status = 0;
    snprintf(target, sizeof target, "/exchange/directory/handover?have=%lld", (long long)members_version(m));
    members_drop(m);
    int rc = peer_text(p, "GET", target, NULL, 0, &status, &answer, &n, err);
    if (rc == 0 && status == 200) rc = members_take(x, answer, n, err) < 0 ? -1 : 0;
    free(answer);
    if (rc || status != 200) return rc;
    log_write(LOG_INFO, "exchange", "the operator's key changed while this gateway was away: followed");
  }
  return err_set(err, ERR_LIMIT, "the operator's key changed more often than is followed: join again");
}
