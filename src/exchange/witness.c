/* A gateway as a witness of the platform's ledger: it remembers the last head it saw, asks for the proof that the next continues it, and co-signs only
 * then. A log that forks is refused, told in the log of this gateway, its health and its metrics, and stays refused until a person has looked. */
#include "exchange/publish.h"
#include "exchange/snapshot.h"
#include "exchange/witness.h"

#include <stdlib.h>
#include <string.h>

struct seen_row { struct trust_seen seen; const char *origin, *checkpoint, *key, *problem; bool found; char was[300]; };

static int seen_work(struct store_tx *tx, void *arg, struct err *err) {
  struct seen_row *q = arg;
  struct store_rows *r = store_select(tx, err, "SELECT tree_size, root, problem FROM exchange_witnessed WHERE origin = ?1", "t", q->origin);
  int rc = r ? store_next(r, err) : -1;
  q->found = rc == 1;
  q->was[0] = 0;
  if (rc == 1) {
    q->seen.size = store_int(r, 0);
    if (hex_decode(store_text(r, 1), q->seen.root, TRUST_HASH)) q->seen.size = 0;
    snprintf(q->was, sizeof q->was, "%s", store_text(r, 2));
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int keep_work(struct store_tx *tx, void *arg, struct err *err) {
  struct seen_row *q = arg;
  char root[65];
  hex_encode(q->seen.root, TRUST_HASH, root);
  return store_put(tx, err, "INSERT INTO exchange_witnessed (origin,tree_size,root,checkpoint,verifier_key,at,problem,problem_at) VALUES (?1,?2,?3,?4,?5,?6,'',0) "
                   "ON CONFLICT (origin) DO UPDATE SET tree_size = excluded.tree_size, root = excluded.root, checkpoint = excluded.checkpoint, verifier_key = excluded.verifier_key, "
                   "at = excluded.at, problem = '', problem_at = 0", "tittti", q->origin, q->seen.size, root, q->checkpoint, q->key, store_time(tx));
}

/* The head that was seen stays; what is wrong is kept beside it. */
static int problem_work(struct store_tx *tx, void *arg, struct err *err) {
  struct seen_row *q = arg;
  return store_put(tx, err, "UPDATE exchange_witnessed SET problem = ?2, problem_at = ?3 WHERE origin = ?1", "tti", q->origin, q->problem, store_time(tx));
}

static int cosign(struct exchange *x, struct http_peer *platform, const char *checkpoint, struct err *err) {
  struct members *m = members_hold(x);
  const struct gateway *own = members_gateway(m, x->server);
  unsigned char signature[TRUST_SIGNATURE];
  int64_t at = clock_now();
  char *text = NULL, *note = NULL, *answer = NULL;
  size_t n;
  int rc = -1, status = 0;
  if (!own || !members_witness(m, own)[0]) rc = err_set(err, ERR_NOT_FOUND, "the directory names no witness's key of this gateway");
  else if ((text = trust_cosigned_text(checkpoint, at, err)) != NULL && keys_cosign(x->keys, text, strlen(text), signature, err) == 0 &&
           (note = trust_cosigned_note(checkpoint, members_witness(m, own), at, signature, err)) != NULL &&
           peer_text(platform, "POST", "/exchange/cosignature", note, strlen(note), &status, &answer, &n, err) == 0)
    rc = status == 204 ? 0 : peer_refused(status, answer, n, err);
  members_drop(m);
  free(text);
  free(note);
  free(answer);
  return rc;
}

static json_t *path_between(struct http_peer *platform, int64_t first, int64_t second, struct err *err) {
  char target[120], *answer = NULL;
  size_t n;
  int status;
  json_t *o = NULL;
  snprintf(target, sizeof target, "/api/v1/ledger/consistency?first=%lld&second=%lld", (long long)first, (long long)second);
  if (peer_text(platform, "GET", target, NULL, 0, &status, &answer, &n, err)) return NULL;
  if (status != 200) peer_refused(status, answer, n, err);
  else o = json_read(answer, n, 4, err);
  free(answer);
  return o;
}

/* key: the log's verifier key out of the signed directory. */
static int look(struct exchange *x, struct http_peer *platform, const char *key, const char *checkpoint, struct err *err) {
  char *origin = base_printf("%.*s", (int)strcspn(key, "+"), key);
  struct seen_row q = {.origin = origin, .checkpoint = checkpoint, .key = key}, wrong = {.origin = origin};
  struct trust_seen now;
  struct err late;
  json_t *o = NULL;
  int rc = store_read(x->store, seen_work, &q, err);
  if (rc == 0) rc = trust_follow(key, checkpoint, q.found ? &q.seen : NULL, NULL, &now, err);
  if (rc == 1) {
    o = path_between(platform, q.seen.size, now.size, err);
    rc = o ? trust_follow(key, checkpoint, &q.seen, json_object_get(o, "consistency_path"), &now, err) : -1;
    if (rc == 1) rc = err_set(err, ERR_CONFLICT, "the log %s gives no proof that its %lld leaves continue the %lld that were seen", now.origin, (long long)now.size, (long long)q.seen.size);
  }
  if (rc && err->code == ERR_CONFLICT) {
    wrong.problem = err->message;
    if (strcmp(q.was, err->message) != 0) log_write(LOG_ERROR, "exchange", "not co-signed: %s", err->message);
    if (store_write(x->store, STORE_JOBS, problem_work, &wrong, &late)) log_write(LOG_ERROR, "exchange", "%s", late.message);
  }
  bool grown = rc == 0 && (!q.found || now.size > q.seen.size);
  if (rc == 0) { /* remembered before it is signed: never two heads that part */
    q.seen = now;
    rc = store_write(x->store, STORE_JOBS, keep_work, &q, err);
  }
  if (rc == 0 && grown) rc = cosign(x, platform, checkpoint, err);
  json_decref(o);
  free(origin);
  return rc;
}

void witness_round(struct exchange *x, struct http_peer *platform) {
  struct members *m = members_hold(x);
  char *key = base_strdup(members_ledger(m)), *answer = NULL;
  size_t n;
  int status = 0;
  struct err err = {0};
  members_drop(m);
  if (key[0] && peer_text(platform, "GET", "/ledger/checkpoint", NULL, 0, &status, &answer, &n, &err) == 0 && status == 200) {
    if (look(x, platform, key, answer, &err) && err.code != ERR_CONFLICT) log_write(LOG_WARN, "exchange", "the platform's ledger could not be witnessed: %s", err.message);
  }
  free(answer);
  free(key);
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  json_t **out = arg;
  int rc;
  json_decref(*out);
  *out = json_array();
  struct store_rows *r = store_select(tx, err, "SELECT origin, tree_size, at, problem FROM exchange_witnessed ORDER BY origin", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    char at[32];
    clock_rfc3339(store_int(r, 2), at);
    json_array_append_new(*out, json_pack("{s:s,s:I,s:s,s:s}", "origin", store_text(r, 0), "tree_size", (json_int_t)store_int(r, 1), "at", at, "problem", store_text(r, 3)));
  }
  store_done(r);
  return rc;
}

int witness_seen(struct exchange *x, json_t **out, struct err *err) {
  *out = NULL;
  if (store_read(x->store, list_work, out, err) == 0) return 0;
  json_decref(*out);
  *out = NULL;
  return -1;
}

int exchange_witnesses(struct exchange *x, struct trust *platform, json_t **out, struct err *err) {
  json_t *one;
  size_t i;
  if (trust_cosigners(platform, 0, out, err)) return -1;
  json_array_foreach(*out, i, one) json_put(one, "server", json_str(one, "name"));
  return 0;
}
