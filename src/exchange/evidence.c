/* The log: each signed message with its leaf, durable before it is released. Many exchanges share one commit. */
#include "exchange/inside.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_KIB = 64 };

struct entry {
  struct entry *next;
  struct evidence *e;
  enum side side;
  char *message_id, *client, *service, *method, *target, *keyid, *headers, *base, *header;
  int status;
  int64_t at;
  struct buf body;
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
};
struct evidence { struct exchange *x; pthread_mutex_t lock; pthread_cond_t wake; int waiting; struct err failed; bool fails; struct entry *all; };

struct evidence *evidence_begin(struct exchange *x) {
  struct evidence *e = base_alloc(sizeof *e);
  e->x = x;
  pthread_mutex_init(&e->lock, NULL);
  pthread_cond_init(&e->wake, NULL);
  return e;
}

static void entry_free(struct entry *k) {
  char *all[] = {k->message_id, k->client, k->service, k->method, k->target, k->keyid, k->headers, k->base, k->header};
  for (size_t i = 0; i < BASE_COUNT(all); i++) free(all[i]);
  buf_free(&k->body);
  free(k);
}

static int put_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct entry *k = arg;
  char leaf[65];
  hex_encode(k->leaf, sizeof k->leaf, leaf);
  if (store_put(tx, err, "INSERT INTO exchange_message (leaf, message_id, side, client, service, at, status, method, target, keyid, headers, base, body, header, salt) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)", "tttttiitttttbtb", leaf, k->message_id, k->side == SIDE_CONSUMER ? "consumer" : "producer", k->client,
                k->service, k->at, (int64_t)k->status, k->method, k->target, k->keyid, k->headers, k->base, k->body.data, k->body.len, k->header, k->salt, sizeof k->salt))
    return -1;
  return trust_append(tx, k->leaf, k->header, k->digest, err);
}

static void put_done(void *arg, int rc, const struct err *err) {
  struct entry *k = arg;
  struct evidence *e = k->e;
  pthread_mutex_lock(&e->lock);
  if (rc && !e->fails) {
    e->fails = true;
    e->failed = *err;
  }
  if (--e->waiting == 0) pthread_cond_signal(&e->wake);
  pthread_mutex_unlock(&e->lock);
}

static char *id_copy(const struct exchange_id *id) {
  char text[EXCHANGE_ID + 1];
  exchange_id_text(id, text);
  return base_strdup(text);
}

static int body_piece(void *ctx, const void *p, size_t n) {
  buf_add(ctx, p, n);
  return 0;
}

static char *headers_text(const struct message *m) {
  json_t *list = json_array();
  for (size_t i = 0; i < m->header_count; i++) {
    json_t *pair = json_array(), *value = json_string(m->headers[i].value);
    json_array_append_new(pair, json_string(m->headers[i].name));
    json_array_append_new(pair, value ? value : json_string(""));
    json_array_append_new(list, pair);
  }
  size_t n;
  char *text = json_text(list, &n);
  json_decref(list);
  return text;
}

/* The leaf's payload is the signature base: it binds headers, content digest, time and key. */
static void make_leaf(struct entry *k) {
  char at[32];
  unsigned char hash[32];
  char id[65];
  sha256(k->message_id, strlen(k->message_id), hash);
  hex_encode(hash, 32, id);
  clock_rfc3339_ms(k->at, at);
  json_t *o = json_object();
  json_put(o, "at", at);
  json_put(o, "kind", k->status ? "answer" : "request");
  json_put(o, "message", id);
  json_put(o, "side", k->side == SIDE_CONSUMER ? "consumer" : "producer");
  k->header = json_canonical(o);
  json_decref(o);
  random_bytes(k->salt, sizeof k->salt);
  trust_leaf(k->header, k->salt, k->base, strlen(k->base), k->digest, k->leaf);
}

int evidence_put(struct evidence *e, const struct kept *kept, struct err *err) {
  const struct message *m = kept->message;
  int64_t most = (int64_t)(e->x->o.log_bodies_kib ? e->x->o.log_bodies_kib : KEPT_KIB) * 1024;
  struct entry *k = base_alloc(sizeof *k);
  *k = (struct entry){.next = e->all, .e = e, .side = kept->side, .message_id = base_strdup(kept->message_id), .client = id_copy(kept->client), .service = id_copy(kept->service),
                      .method = base_strdup(m->status ? NULL : m->method), .target = base_strdup(m->status ? NULL : m->target_uri), .keyid = base_strdup(kept->keyid),
                      .headers = headers_text(m), .base = base_strdup(kept->base), .status = m->status, .at = kept->at};
  e->all = k;
  if (m->content && m->content->size && m->content->size <= most && !kept->digest_only && http_content_each(m->content, body_piece, &k->body, err)) return -1;
  make_leaf(k);
  pthread_mutex_lock(&e->lock);
  e->waiting++;
  pthread_mutex_unlock(&e->lock);
  if (store_submit(e->x->store, STORE_FRONT, put_work, k, put_done, err) == 0) return 0;
  pthread_mutex_lock(&e->lock);
  e->waiting--;
  pthread_mutex_unlock(&e->lock);
  return -1;
}

int evidence_wait(struct evidence *e, struct err *err) {
  pthread_mutex_lock(&e->lock);
  while (e->waiting) pthread_cond_wait(&e->wake, &e->lock);
  pthread_mutex_unlock(&e->lock);
  if (e->fails && err) *err = e->failed;
  return e->fails ? -1 : 0;
}

void evidence_end(struct evidence *e) {
  evidence_wait(e, NULL);
  for (struct entry *k = e->all, *next; k; k = next) {
    next = k->next;
    entry_free(k);
  }
  pthread_cond_destroy(&e->wake);
  pthread_mutex_destroy(&e->lock);
  free(e);
}

/* ---- reading ---- */

struct reading { struct exchange *x; const char *message_id, *asker; json_t *list; };

static json_t *message_told(const struct store_rows *rows) {
  static const char *const names[] = {"leaf_hash", "side", "client", "service", "method", "target", "keyid", "signature_base"};
  static const int columns[] = {0, 1, 2, 3, 6, 7, 8, 10};
  json_t *o = json_object(), *headers;
  char at[32];
  size_t n;
  struct err err;
  for (size_t i = 0; i < BASE_COUNT(names); i++)
    if (!store_null(rows, columns[i])) json_put(o, names[i], store_text(rows, columns[i]));
  clock_rfc3339_ms(store_int(rows, 4), at);
  json_put(o, "at", at);
  if (store_int(rows, 5)) json_object_set_new(o, "status", json_integer(store_int(rows, 5)));
  headers = json_read(store_text(rows, 9), strlen(store_text(rows, 9)), 0, &err);
  json_object_set_new(o, "headers", headers ? headers : json_array());
  const void *body = store_blob(rows, 11, &n);
  if (n) {
    char *text = base64_encode(body, n);
    json_put(o, "body", text);
    free(text);
  }
  char salt[2 * TRUST_SALT + 1];
  json_t *parts = json_object();
  hex_encode(store_blob(rows, 13, &n), TRUST_SALT, salt);
  json_put(parts, "header", store_text(rows, 12));
  json_put(parts, "salt", salt);
  json_object_set_new(o, "leaf", parts);
  return o;
}

static int read_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *r = arg;
  int more = 0;
  json_array_clear(r->list);
  struct store_rows *rows = store_select(tx, err, "SELECT leaf, side, client, service, at, status, method, target, keyid, headers, base, body, header, salt FROM exchange_message "
                                         "WHERE message_id = ?1 ORDER BY at, leaf LIMIT 200", "t", r->message_id);
  while (rows && (more = store_next(rows, err)) == 1) {
    size_t n = r->asker ? strlen(r->asker) : 0;
    bool part = !n || !strcmp(store_text(rows, 2), r->asker) || (!strncmp(store_text(rows, 3), r->asker, n) && store_text(rows, 3)[n] == '/');
    if (part) json_array_append_new(r->list, message_told(rows));
  }
  store_done(rows);
  return rows && more >= 0 ? 0 : -1;
}

static void add_receipts(struct exchange *x, json_t *list) {
  size_t i;
  json_t *o, *receipt = NULL;
  json_array_foreach(list, i, o) {
    unsigned char leaf[32];
    int64_t at;
    struct err err;
    if (hex_decode(json_str(o, "leaf_hash"), leaf, 32) == 0 && clock_parse(json_str(o, "at"), &at) == 0 && trust_receipt(x->ledger, leaf, at, &receipt, &err) == 0)
      json_object_set_new(o, "receipt", receipt);
  }
}

int exchange_evidence(struct exchange *x, const char *message_id, const char *asker, json_t **out, struct err *err) {
  struct reading r = {x, message_id, asker, json_array()};
  int rc = store_read(x->store, read_work, &r, err);
  if (rc == 0 && !json_array_size(r.list)) rc = err_set(err, ERR_NOT_FOUND, "this gateway has no message %s", message_id);
  if (rc) {
    json_decref(r.list);
    return -1;
  }
  add_receipts(x, r.list);
  *out = json_object();
  json_put(*out, "message_id", message_id);
  json_put(*out, "server", x->server);
  json_object_set_new(*out, "messages", r.list);
  return 0;
}
