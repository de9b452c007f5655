/* The durable log of signed messages: each one a row and a leaf of the gateway's ledger, many in one commit. */
#include "exchange/evidence.h"
#include "exchange/side.h"
#include "exchange/signature.h"
#include "base/bytes.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { BODIES_KIB = 64, DIRECTORY_MOST = 64 << 20, PAYLOAD_ROOM = 2048, KEPT_S = 10 };

/* One message on its way into the store, in the message's arena. */
struct item {
  struct item *next;
  struct evidence *e;
  struct members *members;
  struct logged l;
  char header[LOGGED_HEADER];
  unsigned char *own;                 /* content that is not the message's: read from a file, or compressed */
  bool directory_there;               /* the store was asked, and has it once this is committed */
};

/* Of one thread, that of the exchange: it makes and frees the items and waits for the store's to be done with all of them, by one waking. */
struct evidence {
  struct exchange *x;
  sem_t done;
  atomic_int under_way;               /* one more than are in the store, but while they are waited for: who takes the last away posts */
  atomic_bool failed;
  struct err why;                     /* of the first that failed */
  struct item *items;
};

/* ---- the leaf ---- */

void logged_header(const struct logged *l, char out[LOGGED_HEADER]) {
  char at[32];
  clock_rfc3339_ms(l->at, at);
  snprintf(out, LOGGED_HEADER, "{\"at\":\"%s\",\"kind\":\"message\",\"part\":\"%s\",\"side\":\"%s\"}", at, l->answer ? "answer" : "request",
                     l->side == SIDE_CONSUMER ? "consumer" : "producer");
}

static void put_bytes(struct buf *b, const char *before, const void *p, size_t n) {
  buf_adds(b, before);
  buf_addc(b, '"');
  buf_add64(b, p, n);
  buf_addc(b, '"');
}

static void put_text(struct buf *b, const char *before, const char *text) {
  buf_adds(b, before);
  base_json_string(b, text, strlen(text));
}

/* Written as json_canonical would: the names stand in order. What was signed stands in it by its digest: it is long, and beside the leaf in any case. */
char *logged_payload(const struct logged *l, const char *server) {
  struct buf b = {.cap = SIZE_MAX};
  unsigned char hash[32];
  sha256(l->base, l->base_size, hash);
  buf_expect(&b, PAYLOAD_ROOM);
  put_bytes(&b, "{\"base_digest\":", hash, sizeof hash);
  put_text(&b, ",\"client\":", l->client);
  put_bytes(&b, ",\"content_digest\":", l->content_digest, sizeof l->content_digest);
  buf_adds(&b, ",\"content_size\":");
  buf_addi(&b, l->content_size);
  buf_adds(&b, ",\"directory\":");
  buf_addi(&b, l->directory);
  put_text(&b, ",\"keyid\":", l->keyid);
  put_text(&b, ",\"message_id\":", l->message_id);
  put_text(&b, ",\"part\":", l->answer ? "answer" : "request");
  put_text(&b, ",\"server\":", server);
  put_text(&b, ",\"service\":", l->service);
  put_text(&b, ",\"side\":", l->side == SIDE_CONSUMER ? "consumer" : "producer");
  put_bytes(&b, ",\"signature\":", l->signature, sizeof l->signature);
  buf_addc(&b, '}');
  return buf_take(&b);
}

/* ---- content ---- */

struct gathering { unsigned char *p; size_t n, room; };
static int gather(void *ctx, const void *p, size_t n) {
  struct gathering *g = ctx;
  if (n > g->room - g->n) return -1;
  memcpy(g->p + g->n, p, n);
  g->n += n;
  return 0;
}

static int64_t most_kept(const struct exchange *x) {
  int64_t most = (int64_t)(x->o.log_bodies_kib > 0 ? x->o.log_bodies_kib : BODIES_KIB) * 1024;
  return most < CONTENT_MOST ? most : CONTENT_MOST;
}

static int content_take(struct item *i, const struct http_content *c, int64_t most, struct err *err) {
  if (c == NULL || c->size <= 0 || c->size > most) return 0;
  if (c->fd < 0 && c->size <= CONTENT_INLINE) {
    i->l.content = (unsigned char *)c->data;
    i->l.content_stored = (size_t)c->size;
    i->l.content_kind = CONTENT_PLAIN;
    return 0;
  }
  struct gathering g = {base_alloc((size_t)c->size), 0, (size_t)c->size};
  if (http_content_each(c, gather, &g, err) != 0 || g.n != g.room) {
    free(g.p);
    return err_set(err, ERR_UNAVAILABLE, "the content of a message cannot be read to be logged");
  }
  i->l.content = i->own = g.p;
  i->l.content_stored = g.n;
  i->l.content_kind = CONTENT_PLAIN;
  if (g.n <= CONTENT_INLINE) return 0;
  uLongf room = compressBound((uLong)g.n);
  unsigned char *small = base_alloc(room);
  if (compress2(small, &room, g.p, (uLong)g.n, 1) == Z_OK && room < g.n - g.n / 8) {
    free(g.p);
    i->l.content = i->own = base_realloc(small, room);
    i->l.content_stored = room;
    i->l.content_kind = CONTENT_ZLIB;
  } else {
    free(small);
  }
  return 0;
}

/* ---- writing ---- */

/* A directory's text is looked for once in KEPT_S seconds, not for each message. One is only removed when the messages that name it have left the log
 * (archive.c), and those of the last half minute never have: while one of these seconds is there, so is what it found. */
static uint32_t second_now(void) { return (uint32_t)(clock_mono() / 1000); }

static bool directory_known(struct exchange *x, int64_t version) {
  uint64_t kept = atomic_load(&x->directory_kept);
  return (int64_t)(kept >> 32) == version && second_now() - (uint32_t)kept < KEPT_S;
}

static int directory_put(struct store_tx *tx, const struct item *i, const char *text, size_t n, struct err *err) {
  uLongf size = compressBound((uLong)n);
  unsigned char *small = base_alloc(size);
  int rc = compress2(small, &size, (const unsigned char *)text, (uLong)n, 1) != Z_OK ? err_set(err, ERR_INTERNAL, "the directory cannot be compressed") :
    store_put(tx, err, "INSERT INTO exchange_directory_text (version, size, packed) VALUES (?1, ?2, ?3) ON CONFLICT (version) DO NOTHING", "iib",
              i->l.directory, (int64_t)n, small, (size_t)size);
  free(small);
  return rc;
}

static int directory_keep(struct store_tx *tx, struct item *i, struct err *err) {
  int64_t there;
  size_t n;
  i->directory_there = false;
  if (i->l.directory <= 0 || directory_known(i->e->x, i->l.directory)) return 0;
  if (store_value(tx, &there, 0, err, "SELECT 1 FROM exchange_directory_text WHERE version = ?1", "i", i->l.directory) != 0) return -1;
  const char *text = there ? NULL : members_text(i->members, &n);
  i->directory_there = there || text != NULL;
  return text == NULL ? 0 : directory_put(tx, i, text, n, err);
}

static int pieces_put(struct store_tx *tx, const struct logged *l, struct err *err) {
  int64_t n = 0;
  for (size_t at = 0; at < l->content_stored; at += CONTENT_PIECE, n++) {
    size_t size = l->content_stored - at < CONTENT_PIECE ? l->content_stored - at : CONTENT_PIECE;
    if (store_put(tx, err, "INSERT INTO exchange_content (at, leaf_hash, n, piece) VALUES (?1, ?2, ?3, ?4)", "ibib", l->at, l->leaf_hash, (size_t)TRUST_HASH, n,
                  l->content + at, size) != 0)
      return -1;
  }
  return 0;
}

static int put_work(struct store_tx *tx, void *arg, struct err *err) {
  struct item *i = arg;
  const struct logged *l = &i->l;
  bool inside = l->content_stored <= CONTENT_INLINE;
  if (directory_keep(tx, i, err) != 0) return -1;
  if (store_put(tx, err,
                "INSERT INTO exchange_message (" LOGGED_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
                "ibtiitttibbbibib", l->at, l->leaf_hash, (size_t)TRUST_HASH, l->message_id, (int64_t)l->side, (int64_t)l->answer, l->client, l->service, l->keyid,
                l->directory, l->base, l->base_size, l->signature, sizeof l->signature, l->salt, sizeof l->salt, l->content_size, l->content_digest,
                sizeof l->content_digest, (int64_t)l->content_kind, inside ? l->content : NULL, inside ? l->content_stored : (size_t)0) != 0)
    return -1;
  if (!inside && pieces_put(tx, l, err) != 0) return -1;
  return trust_append(tx, l->leaf_hash, i->header, l->digest, err);
}

static void item_free(struct item *i) {
  if (i->members != NULL) members_drop(i->members);
  free(i->own);
}

static void put_done(void *arg, int rc, const struct err *err) {
  struct item *i = arg;
  struct evidence *e = i->e;
  if (rc == 0 && i->directory_there) atomic_store(&e->x->directory_kept, (uint64_t)i->l.directory << 32 | second_now());
  atomic_store(&e->x->log_fails, rc != 0);
  if (rc != 0 && !atomic_exchange(&e->failed, true)) e->why = *err;
  if (atomic_fetch_sub(&e->under_way, 1) == 1) sem_post(&e->done); /* and it is no longer ours */
}

struct evidence *evidence_begin(struct exchange *x) {
  struct evidence *e = base_alloc(sizeof *e);
  e->x = x;
  e->under_way = 1;
  sem_init(&e->done, 0, 0);
  return e;
}

static int too_large(struct err *err) { return err_set(err, ERR_LIMIT, "the message is too large"); }

static const char *text_of(const struct exchange_id *id, struct arena *a) {
  char text[EXCHANGE_ID + 1];
  exchange_id_text(id, text);
  return arena_strdup(a, text);
}

/* Everything but the store's work is done on the caller's thread. */
static int item_make(struct item *i, const struct kept *k, struct err *err) {
  const struct exchange *x = i->e->x;
  struct message m = *k->message;
  struct logged *l = &i->l;
  if (!utf8_valid(k->message_id, strlen(k->message_id))) return err_set(err, ERR_INVALID, "a message id is text in UTF-8");
  i->members = members_hold(i->e->x);
  const char *client = text_of(k->client, m.arena), *service = text_of(k->service, m.arena);
  if (client == NULL || service == NULL) return too_large(err);
  *l = (struct logged){.at = k->at, .directory = members_version(i->members), .content_size = m.content == NULL ? 0 : m.content->size, .side = k->side,
                       .answer = m.status > 0, .message_id = k->message_id, .client = client, .service = service, .keyid = k->keyid,
                       .base = (const unsigned char *)k->base, .base_size = strlen(k->base)};
  if (message_digest(&m, err) != 0 || signature_value(&m, l->signature, err) != 0 || content_take(i, k->digest_only ? NULL : m.content, most_kept(x), err) != 0) return -1;
  memcpy(l->content_digest, m.digest, sizeof l->content_digest);
  random_bytes(l->salt, sizeof l->salt);
  logged_header(l, i->header);
  char *payload = logged_payload(l, x->server);
  trust_leaf(i->header, l->salt, payload, strlen(payload), l->digest, l->leaf_hash);
  free(payload);
  return 0;
}

int evidence_put(struct evidence *e, const struct kept *k, struct err *err) {
  struct item *i = arena_alloc(k->message->arena, sizeof *i);
  if (i == NULL) return too_large(err);
  i->e = e;
  if (item_make(i, k, err) != 0) {
    item_free(i);
    return -1;
  }
  i->next = e->items;
  e->items = i;
  atomic_fetch_add(&e->under_way, 1);
  if (store_submit(e->x->store, STORE_FRONT, put_work, i, put_done, err) == 0) return 0;
  atomic_fetch_sub(&e->under_way, 1);
  atomic_store(&e->x->log_fails, true);
  return -1;
}

int evidence_pass(struct evidence *e, const char *method, struct err *err) {
  return method_safe(method) && !atomic_load(&e->x->log_fails) ? 0 : evidence_wait(e, err);
}

int evidence_wait(struct evidence *e, struct err *err) {
  if (atomic_fetch_sub(&e->under_way, 1) > 1)
    while (sem_wait(&e->done) != 0) continue;
  atomic_store(&e->under_way, 1);
  return atomic_load(&e->failed) ? err_set(err, e->why.code, "%s", e->why.message) : 0;
}

void evidence_end(struct evidence *e) {
  if (e == NULL) return;
  evidence_wait(e, NULL);
  while (e->items != NULL) {
    struct item *i = e->items;
    e->items = i->next;
    item_free(i);
  }
  sem_destroy(&e->done);
  free(e);
}

/* ---- reading ---- */

static const void *blob_dup(const struct store_rows *r, int column, size_t *n) {
  const void *p = store_blob(r, column, n);
  unsigned char *out = base_alloc(*n + 1);
  if (p != NULL) memcpy(out, p, *n);
  return out;
}

static int blob_exact(const struct store_rows *r, int column, void *out, size_t n) {
  size_t size;
  const void *p = store_blob(r, column, &size);
  if (p == NULL || size != n) return -1;
  memcpy(out, p, n);
  return 0;
}

int logged_row(const struct store_rows *r, struct logged *out, struct err *err) {
  memset(out, 0, sizeof *out);
  out->at = store_int(r, 0);
  out->message_id = base_strdup(store_text(r, 2));
  out->side = store_int(r, 3) == 1 ? SIDE_PRODUCER : SIDE_CONSUMER;
  out->answer = store_int(r, 4) != 0;
  out->client = base_strdup(store_text(r, 5));
  out->service = base_strdup(store_text(r, 6));
  out->keyid = base_strdup(store_text(r, 7));
  out->directory = store_int(r, 8);
  out->base = blob_dup(r, 9, &out->base_size);
  out->content_size = store_int(r, 12);
  out->content_kind = (int)store_int(r, 14);
  out->content = (unsigned char *)(uintptr_t)blob_dup(r, 15, &out->content_stored);
  if (blob_exact(r, 1, out->leaf_hash, TRUST_HASH) == 0 && blob_exact(r, 10, out->signature, 64) == 0 && blob_exact(r, 11, out->salt, TRUST_SALT) == 0 &&
      blob_exact(r, 13, out->content_digest, 64) == 0)
    return 0;
  logged_clear(out);
  return err_set(err, ERR_INTERNAL, "a logged message is damaged");
}

void logged_clear(struct logged *l) {
  free((char *)(uintptr_t)l->message_id);
  free((char *)(uintptr_t)l->client);
  free((char *)(uintptr_t)l->service);
  free((char *)(uintptr_t)l->keyid);
  free((void *)(uintptr_t)l->base);
  free(l->content);
  memset(l, 0, sizeof *l);
}

static int inflate_to(const void *p, size_t n, size_t size, unsigned char **out, struct err *err) {
  uLongf got = (uLongf)size;
  *out = base_alloc(size + 1);
  if (uncompress(*out, &got, p, (uLong)n) == Z_OK && got == size) return 0;
  free(*out);
  *out = NULL;
  return err_set(err, ERR_INTERNAL, "what was kept compressed is damaged");
}

static int pieces_read(struct store_tx *tx, const struct logged *l, struct buf *b, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT piece FROM exchange_content WHERE at = ?1 AND leaf_hash = ?2 ORDER BY n", "ib", l->at, l->leaf_hash, (size_t)TRUST_HASH);
  int rc;
  if (r == NULL) return -1;
  while ((rc = store_next(r, err)) == 1) {
    size_t n;
    const void *p = store_blob(r, 0, &n);
    buf_add(b, p, n);
  }
  store_done(r);
  return rc;
}

int logged_content(struct store_tx *tx, const struct logged *l, unsigned char **out, size_t *n, struct err *err) {
  struct buf b = {.cap = 2 * CONTENT_MOST};
  *out = NULL;
  *n = 0;
  if (l->content_kind == CONTENT_NONE) return 0;
  if (l->content_size < 0 || l->content_size > CONTENT_MOST) return err_set(err, ERR_INTERNAL, "a logged message is damaged");
  if (l->content_stored > 0) buf_add(&b, l->content, l->content_stored);
  else if (pieces_read(tx, l, &b, err) != 0) {
    buf_free(&b);
    return -1;
  }
  int rc = 0;
  *n = (size_t)l->content_size;
  if (l->content_kind == CONTENT_ZLIB) rc = inflate_to(buf_str(&b), b.len, *n, out, err);
  else if (b.len != *n) rc = err_set(err, ERR_INTERNAL, "the content of a logged message is not whole");
  else {
    *out = base_alloc(*n + 1);
    memcpy(*out, buf_str(&b), *n);
  }
  buf_free(&b);
  return rc;
}

int directory_text(struct store_tx *tx, int64_t version, char **out, size_t *n, struct err *err) {
  *out = NULL;
  *n = 0;
  struct store_rows *r = store_select(tx, err, "SELECT size, packed FROM exchange_directory_text WHERE version = ?1", "i", version);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    size_t packed;
    const void *p = store_blob(r, 1, &packed);
    int64_t size = store_int(r, 0);
    unsigned char *text = NULL;
    rc = size < 0 || size > DIRECTORY_MOST ? err_set(err, ERR_INTERNAL, "a kept directory is damaged") : inflate_to(p, packed, (size_t)size, &text, err);
    *out = (char *)text;
    *n = (size_t)size;
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* ---- repetition after a restart ---- */

struct holding { const char *message_id, *nonce; bool holds; };
static int holds_work(struct store_tx *tx, void *arg, struct err *err) {
  struct holding *h = arg;
  int rc;
  h->holds = false;
  struct store_rows *r = store_select(tx, err, "SELECT base FROM exchange_message WHERE message_id = ?1 AND side = ?2 AND part = 0", "ti", h->message_id, (int64_t)SIDE_PRODUCER);
  if (r == NULL) return -1;
  while ((rc = store_next(r, err)) == 1 && !h->holds) {
    size_t n;
    const void *p = store_blob(r, 0, &n);
    h->holds = p != NULL && memmem(p, n, h->nonce, strlen(h->nonce)) != NULL;
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int evidence_holds(struct exchange *x, const char *message_id, const char *nonce, bool *holds, struct err *err) {
  struct holding h = {message_id, nonce, false};
  struct err why = {0};
  int rc = store_read(x->store, holds_work, &h, &why);
  *holds = h.holds;
  return rc == 0 ? 0 : err_set(err, ERR_UNAVAILABLE, "the log cannot be read: %s", why.message);
}

struct since { int64_t at; bool any; };
static int since_work(struct store_tx *tx, void *arg, struct err *err) {
  struct since *s = arg;
  int64_t one = 0;
  if (store_value(tx, &one, 0, err, "SELECT 1 FROM exchange_message WHERE at >= ?1 AND side = ?2 AND part = 0 LIMIT 1", "ii", s->at, (int64_t)SIDE_PRODUCER)) return -1;
  s->any = one != 0;
  return 0;
}

int evidence_since(struct exchange *x, int64_t at, bool *any, struct err *err) {
  struct since s = {.at = at};
  struct err why = {0};
  int rc = store_read(x->store, since_work, &s, &why);
  *any = s.any;
  return rc == 0 ? 0 : err_set(err, ERR_UNAVAILABLE, "the log cannot be read: %s", why.message);
}
