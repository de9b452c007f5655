/* Messages that come again. Nonces stand in a file of all processes of the gateway for as long as their `created` is taken (nonces.c); the message ids of those
 * that change something stand in the store with their answers for a day. */
#include "exchange/nonces.h"
#include "exchange/side.h"

#include <stdlib.h>
#include <string.h>

enum { UNSURE = -1, KEPT_BODY = 256 * 1024, DAY_MS = 86400000, SWEEP_MS = 60000, REST_MS = 5000 };

struct replay {
  struct nonces *nonces;
  int64_t swept, settled, busy_at, busy;   /* busy: messages seen when it was last asked, busy_at: since when that has not changed */
};

static int logged_since(void *ctx, int64_t at, bool *any, struct err *err) { return evidence_since(ctx, at, any, err); }

int replay_check(struct exchange *x, const struct signed_by *s, const char *message_id, struct err *err) {
  bool seen = false;
  /* What changes nothing is asked while its request is being logged (evidence_pass), so of such a one that was under way when this gateway ended the log may know nothing: it may be asked once more, which changes nothing either. */
  int rc = nonces_take(x->replay->nonces, s->keyid, s->nonce, s->created, clock_now() / 1000, x->o.window_s ? x->o.window_s : 300, err);
  if (rc != NONCE_ASK) return rc;
  if (evidence_holds(x, message_id, s->nonce, &seen, err)) return -1;
  return seen ? err_set(err, ERR_CONFLICT, "this message has been here before: it was taken before this gateway began again") : 0;
}

bool replay_problem(struct exchange *x, char out[300]) {
  struct nonces_figures f;
  nonces_count(x->replay->nonces, &f);
  snprintf(out, 300, "%s", f.problem);
  return f.problem[0] != 0;
}

void replay_metrics(struct exchange *x, struct buf *out) {
  struct nonces_figures f;
  nonces_count(x->replay->nonces, &f);
  buf_addf(out, "# TYPE chapar_exchange_replayed_total counter\nchapar_exchange_replayed_total %lld\n# TYPE chapar_exchange_replay_untold_total counter\nchapar_exchange_replay_untold_total %lld\n", (long long)f.seen,
           (long long)f.untold);
}

/* ---- repetition ---- */

struct repeat {
  struct exchange *x;
  const char *client, *message_id;
  const unsigned char *digest;
  bool ours, idempotent, unsure;
  const char *process_now;
  int64_t status;                          /* 0: under way; UNSURE: it ended, and what became of it is not known */
  char process[33];
  bool same;
  char *headers;
  void *body; size_t size;
};

static void repeat_clear(struct repeat *k) {
  free(k->headers);
  free(k->body);
  k->headers = NULL;
  k->body = NULL;
}

static int begin_work(struct store_tx *tx, void *arg, struct err *err) {
  struct repeat *k = arg;
  repeat_clear(k);
  int n = store_exec(tx, err, "INSERT INTO exchange_repeat (client, message_id, digest, process, at, status) VALUES (?1, ?2, ?3, ?4, ?5, 0) ON CONFLICT DO NOTHING", "ttbti",
                     k->client, k->message_id, k->digest, (size_t)64, k->process_now, store_time(tx));
  if (n < 0) return -1;
  k->ours = n > 0;
  if (k->ours) return 0;
  struct store_rows *rows = store_select(tx, err, "SELECT digest, process, status, headers, body FROM exchange_repeat WHERE client = ?1 AND message_id = ?2", "tt", k->client, k->message_id);
  int more = rows ? store_next(rows, err) : -1;
  if (more == 1) {
    size_t size;
    const void *digest = store_blob(rows, 0, &size), *body;
    k->same = size == 64 && memcmp(digest, k->digest, 64) == 0;
    snprintf(k->process, sizeof k->process, "%s", store_text(rows, 1));
    k->status = store_int(rows, 2);
    k->headers = base_strdup(store_text(rows, 3));
    body = store_blob(rows, 4, &k->size);
    k->body = k->size ? base_alloc(k->size + 1) : NULL;
    if (k->size) memcpy(k->body, body, k->size);
  }
  store_done(rows);
  if (more < 0) return -1;
  k->unsure = k->status == UNSURE || (k->status == 0 && process_ended(k->x, k->process));
  if (!k->same || !k->idempotent || !k->unsure) return 0;
  n = store_exec(tx, err, "UPDATE exchange_repeat SET process = ?1, status = 0 WHERE client = ?2 AND message_id = ?3", "ttt", k->process_now, k->client, k->message_id);
  k->ours = n == 1; /* it may be done twice */
  return n < 0 ? -1 : 0;
}

static int give_kept(struct repeat *k, struct kept_answer **out, struct err *err) {
  json_t *list = k->headers ? json_read(k->headers, strlen(k->headers), 0, err) : NULL;
  if (!list) return err_set(err, ERR_CONFLICT, "this message was answered, with more than is kept for a repetition: ask the provider by X-Road-Id");
  struct kept_answer *a = base_alloc(sizeof *a);
  a->arena = arena_new(SIDE_ARENA);
  a->status = (int)k->status;
  a->header_count = json_array_size(list);
  a->headers = arena_alloc(a->arena, (a->header_count + 1) * sizeof *a->headers);
  for (size_t i = 0; i < a->header_count; i++) {
    const json_t *pair = json_array_get(list, i);
    a->headers[i] = (struct http_pair){arena_strdup(a->arena, json_string_value(json_array_get(pair, 0))), arena_strdup(a->arena, json_string_value(json_array_get(pair, 1)))};
  }
  json_decref(list);
  a->content = HTTP_NO_CONTENT;
  if (k->size && http_content_add(&a->content, k->body, k->size, -1, err)) {
    kept_answer_free(a);
    return -1;
  }
  *out = a;
  return 1;
}

int repeat_begin(struct exchange *x, const char *message_id, const struct exchange_id *client, const char *method, const unsigned char digest[64], struct kept_answer **answer, struct err *err) {
  char who[EXCHANGE_ID + 1];
  exchange_id_text(client, who);
  struct repeat k = {.x = x, .client = who, .message_id = message_id, .digest = digest, .idempotent = method_idempotent(method), .process_now = process_name(x, err)};
  if (!k.process_now) return -1;
  int rc = store_write(x->store, STORE_FRONT, begin_work, &k, err);
  if (rc == 0 && !k.ours) {
    if (!k.same) rc = err_set(err, ERR_CONFLICT, "X-Road-Id %s was used for another message: each message needs an id of its own", message_id);
    else if (k.status == UNSURE) rc = err_set(err, ERR_OUTCOME_UNKNOWN, "message %s was given to the provider's information system, which did not answer well: what became of it is not known, ask the provider", message_id);
    else if (k.unsure) rc = err_set(err, ERR_OUTCOME_UNKNOWN, "message %s was being worked on when this gateway ended: what became of it is not known, ask the provider", message_id);
    else if (k.status) rc = give_kept(&k, answer, err);
    else rc = err_set(err, ERR_RATE, "message %s is being worked on: ask again in a while, with the same X-Road-Id", message_id);
  }
  repeat_clear(&k);
  return rc;
}

static int end_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct repeat *k = arg;
  int rc = k->status ? store_exec(tx, err, "UPDATE exchange_repeat SET status = ?1, headers = ?2, body = ?3 WHERE client = ?4 AND message_id = ?5", "itbtt", k->status, k->headers, k->body, k->size,
                                  k->client, k->message_id)
                     : store_exec(tx, err, "DELETE FROM exchange_repeat WHERE client = ?1 AND message_id = ?2", "tt", k->client, k->message_id);
  return rc < 0 ? -1 : 0;
}

static int gather(void *ctx, const void *p, size_t n) {
  buf_add(ctx, p, n);
  return 0;
}

static int unsure_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct repeat *k = arg;
  return store_exec(tx, err, "UPDATE exchange_repeat SET status = ?1 WHERE client = ?2 AND message_id = ?3 AND status = 0", "itt", (int64_t)UNSURE, k->client, k->message_id) < 0 ? -1 : 0;
}

int repeat_unsure(struct exchange *x, const char *message_id, const struct exchange_id *client, struct err *err) {
  char who[EXCHANGE_ID + 1];
  exchange_id_text(client, who);
  struct repeat k = {.client = who, .message_id = message_id};
  return store_write(x->store, STORE_FRONT, unsure_work, &k, err);
}

int repeat_end(struct exchange *x, const char *message_id, const struct exchange_id *client, const struct message *answer, const struct http_content *content, struct err *err) {
  char who[EXCHANGE_ID + 1];
  struct buf body = {0};
  exchange_id_text(client, who);
  struct repeat k = {.x = x, .client = who, .message_id = message_id, .status = answer ? answer->status : 0};
  if (answer && content->size <= KEPT_BODY) {
    json_t *list = json_array();
    for (size_t i = 0; i < answer->header_count; i++) {
      json_t *pair = json_array();
      bool text = utf8_valid(answer->headers[i].value, strlen(answer->headers[i].value));
      json_array_append_new(pair, json_string(answer->headers[i].name));
      json_array_append_new(pair, json_string(text ? answer->headers[i].value : ""));
      json_array_append_new(list, pair);
    }
    k.headers = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    if (http_content_each(content, gather, &body, err)) goto out;
    k.body = body.data;
    k.size = body.len;
  }
  int rc = store_write(x->store, STORE_FRONT, end_work, &k, err);
  free(k.headers);
  buf_free(&body);
  return rc;
out:
  free(k.headers);
  buf_free(&body);
  return -1;
}

void kept_answer_free(struct kept_answer *k) {
  if (!k) return;
  http_content_free(&k->content);
  arena_free(k->arena);
  free(k);
}

/* ---- from time to time ---- */

static int sweep_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM exchange_repeat WHERE at < ?1", "i", store_time(tx) - DAY_MS) < 0 ? -1 : 0;
}

/* Of a gateway that nobody has called for a while no page of the nonces is counted. */
static void rest(struct replay *r) {
  struct nonces_figures f;
  int64_t now = clock_mono();
  nonces_count(r->nonces, &f);
  if (f.taken + f.seen != r->busy) {
    r->busy = f.taken + f.seen;
    r->busy_at = now;
  } else if (r->busy_at > r->settled && now - r->busy_at > REST_MS) {
    nonces_rest(r->nonces);
    r->settled = now;
  }
}

void replay_jobs(struct exchange *x) {
  struct replay *r = x->replay;
  struct err err;
  rest(r);
  if (clock_mono() - r->swept < SWEEP_MS) return;
  r->swept = clock_mono();
  if (store_write(x->store, STORE_JOBS, sweep_work, x, &err)) log_write(LOG_WARN, "exchange", "kept answers are not swept: %s", err.message);
}

int replay_open(struct exchange *x, struct err *err) {
  struct replay *r = x->replay = base_alloc(sizeof *r);
  r->nonces = nonces_new(x->folder, NONCES_SETS, logged_since, x);
  return 0;
}

void replay_close(struct exchange *x) {
  struct replay *r = x->replay;
  if (!r) return;
  nonces_free(r->nonces);
  free(r);
  x->replay = NULL;
}
