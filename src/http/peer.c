/* Calls of a gateway to one peer: a pool of handles that keep their TLS connections, the peer's certificate by fingerprint, contents of any size. */
#define OPENSSL_SUPPRESS_DEPRECATED /* a key in another process: OpenSSL 3 knows EC_KEY_METHOD or a provider of one's own for it */
#include "http/answer.h"
#include "http/cable.h"
#include "base/bytes.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { KEPT = 32, CONNECT_MS = 5000, TIMEOUT_MS = 60000, IDLE_MS = 30000, HEAD_ROOM = 2000, FRESH_MS = 15000, TLS_FRESH_MS = 60000, PIECE = 16 * 1024,
       MOST_AUTHORITY = 280 };

struct line; /* a connection that is kept */
static void line_free(struct line *l);

struct http_peer {
  char *base, *ca_file, *name;    /* name: the host alone */
  unsigned char from[32];         /* its hash: whose answers are counted */
  const char *authority;          /* inside base */
  bool secure;
  X509 *certificate;
  EVP_PKEY *key;
  EC_KEY_METHOD *method;
  struct http_key signer;
  unsigned char (*pins)[32]; size_t pin_count;
  bool any_certificate;
  int connect_ms, most;
  pthread_mutex_t lock;           /* tls, idle */
  SSL_CTX *tls; int64_t tls_made; /* with the first connection; with authorities that are read anew after TLS_FRESH_MS */
  struct line **idle; int idle_count;
};

/* ---- a key that somebody else holds ---- */

static int signer_index;
static pthread_once_t signer_once = PTHREAD_ONCE_INIT;

static void signer_begin(void)
{
  signer_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static int sign_der(int type, const unsigned char *digest, int n, unsigned char *out, unsigned *size, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
  const struct http_key *k = EC_KEY_get_ex_data(ec, signer_index);
  unsigned char der[80];
  size_t got = 0;
  struct err err;
  if (!k || k->sign(k->ctx, digest, (size_t)n, der, &got, &err)) return 0;
  memcpy(out, der, got);
  *size = (unsigned)got;
  return 1;
}

static ECDSA_SIG *sign_pair(const unsigned char *digest, int n, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
  unsigned char der[80];
  unsigned size = 0;
  const unsigned char *p = der;
  return sign_der(0, digest, n, der, &size, kinv, r, ec) ? d2i_ECDSA_SIG(NULL, &p, (long)size) : NULL;
}

/* The public half out of the certificate, the private one by calls. */
static int key_elsewhere(struct http_peer *p, struct err *err)
{
  pthread_once(&signer_once, signer_begin);
  EVP_PKEY *public = X509_get0_pubkey(p->certificate);
  const EC_KEY *from = public ? EVP_PKEY_get0_EC_KEY(public) : NULL;
  EC_KEY *ec = from ? EC_KEY_dup(from) : NULL;
  p->method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
  p->key = EVP_PKEY_new();
  if (!ec || !p->method || !p->key) {
    EC_KEY_free(ec);
    return err_set(err, ERR_INVALID, "the certificate holds no elliptic key");
  }
  EC_KEY_METHOD_set_sign(p->method, sign_der, NULL, sign_pair);
  EC_KEY_set_method(ec, p->method);
  EC_KEY_set_ex_data(ec, signer_index, &p->signer);
  EVP_PKEY_assign_EC_KEY(p->key, ec);
  return 0;
}

static int own_certificate(struct http_peer *p, const struct http_peer_options *o, struct err *err)
{
  BIO *b = BIO_new_mem_buf(o->certificate, -1);
  p->certificate = PEM_read_bio_X509(b, NULL, NULL, NULL);
  BIO_free(b);
  if (!p->certificate) return err_set(err, ERR_INVALID, "our own certificate cannot be read");
  p->signer = o->key;
  if (!o->key.pem) return o->key.sign ? key_elsewhere(p, err) : err_set(err, ERR_INVALID, "a certificate without its key");
  b = BIO_new_mem_buf(o->key.pem, -1);
  p->key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
  BIO_free(b);
  p->signer.pem = NULL;
  return p->key ? 0 : err_set(err, ERR_INVALID, "our own TLS key cannot be read");
}

/* ---- the peer ---- */

static char *host_of(const char *authority)
{
  if (*authority == '[') return base_printf("%.*s", (int)strcspn(authority + 1, "]"), authority + 1);
  const char *colon = strrchr(authority, ':');
  return base_printf("%.*s", (int)(colon ? (size_t)(colon - authority) : strlen(authority)), authority);
}

int http_peer_new(const struct http_peer_options *o, struct http_peer **out, struct err *err)
{
  *out = NULL;
  bool secure = base_starts(o->base, "https://");
  if (!secure && !base_starts(o->base, "http://")) return err_set(err, ERR_INVALID, "%.200s: an address begins with https:// or http://", o->base);
  const char *authority = strstr(o->base, "://") + 3;
  if (!*authority || strpbrk(authority, "/?#@ \t\r\n")) return err_set(err, ERR_INVALID, "%.200s: an address is a host and a port, without a path", o->base);
  if (strlen(authority) > MOST_AUTHORITY) return err_set(err, ERR_INVALID, "%.200s: an address is at most %d characters long", o->base, MOST_AUTHORITY);
  struct http_peer *p = base_alloc(sizeof *p);
  pthread_mutex_init(&p->lock, NULL);
  p->base = base_strdup(o->base);
  EVP_Digest(p->base, strlen(p->base), p->from, NULL, EVP_sha256(), NULL);
  p->authority = strstr(p->base, "://") + 3;
  p->secure = secure;
  p->name = host_of(p->authority);
  p->ca_file = base_strdup(o->ca_file);
  p->any_certificate = o->any_certificate;
  p->connect_ms = o->connect_ms > 0 ? o->connect_ms : CONNECT_MS;
  p->most = o->connections > 0 ? o->connections : KEPT;
  p->idle = base_alloc((size_t)p->most * sizeof *p->idle);
  if (o->pin_count) {
    p->pins = base_alloc(o->pin_count * 32);
    memcpy(p->pins, o->pins, o->pin_count * 32);
    p->pin_count = o->pin_count;
  }
  if (o->certificate && secure && own_certificate(p, o, err)) {
    http_peer_free(p);
    return -1;
  }
  client_begin();
  *out = p;
  return 0;
}

void http_peer_free(struct http_peer *p)
{
  if (!p) return;
  while (p->idle_count) line_free(p->idle[--p->idle_count]);
  SSL_CTX_free(p->tls);
  X509_free(p->certificate);
  EVP_PKEY_free(p->key);
  if (p->method) EC_KEY_METHOD_free(p->method);
  pthread_mutex_destroy(&p->lock);
  free(p->idle);
  free(p->pins);
  free(p->base);
  free(p->name);
  free(p->ca_file);
  free(p);
}

/* ---- connections ---- */

struct line { struct cable cable; struct http_peer *peer; bool refused; /* its certificate is none of those that were pinned */ int64_t used; };

static int pinned(X509_STORE_CTX *store, void *arg)
{
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct line *l = SSL_get_app_data(ssl);
  unsigned char sha256[32];
  unsigned n = sizeof sha256;
  X509 *shown = X509_STORE_CTX_get0_cert(store);
  if (shown && X509_digest(shown, EVP_sha256(), sha256, &n))
    for (size_t i = 0; i < l->peer->pin_count; i++)
      if (memcmp(l->peer->pins[i], sha256, 32) == 0) return 1;
  l->refused = true;
  X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
  return 0;
}

/* With pins no authority is asked; without them one is, unless whatever is shown shall do. */
static SSL_CTX *tls_new(const struct http_peer *p)
{
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  bool good = ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 && SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\x08http/1.1", 9) == 0;
  if (good && p->certificate) good = SSL_CTX_use_certificate(ctx, p->certificate) == 1 && SSL_CTX_use_PrivateKey(ctx, p->key) == 1;
  if (good && p->pin_count) {
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, pinned, NULL);
  } else if (good && !p->any_certificate) {
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    good = (p->ca_file ? SSL_CTX_load_verify_file(ctx, p->ca_file) : SSL_CTX_set_default_verify_paths(ctx)) == 1;
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN); /* what stands in the file is believed, be it no authority's */
  }
  if (good) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1); /* the head of a record and what it holds in one call of the system */
    return ctx;
  }
  SSL_CTX_free(ctx);
  return NULL;
}

/* One of the caller's; connections that were made with an older one go on. */
static SSL_CTX *tls_of(struct http_peer *p)
{
  pthread_mutex_lock(&p->lock);
  bool judged = !p->pin_count && !p->any_certificate;
  if (p->tls && judged && clock_mono() - p->tls_made > TLS_FRESH_MS) {
    SSL_CTX_free(p->tls);
    p->tls = NULL;
  }
  if (!p->tls) {
    p->tls = tls_new(p);
    p->tls_made = clock_mono();
  }
  SSL_CTX *ctx = p->tls;
  if (ctx) SSL_CTX_up_ref(ctx);
  pthread_mutex_unlock(&p->lock);
  return ctx;
}

static void line_free(struct line *l)
{
  cable_close(&l->cable);
  free(l);
}

static struct line *line_new(struct http_peer *p, int64_t deadline, struct err *err)
{
  char base[MOST_AUTHORITY + 20];
  SSL_CTX *ctx = p->secure ? tls_of(p) : NULL;
  if (p->secure && !ctx) return err_set(err, ERR_UNAVAILABLE, "%s: TLS cannot be spoken: its certificate, key or authorities cannot be used", p->base), NULL;
  struct line *l = base_alloc(sizeof *l);
  l->peer = p;
  bool said = strchr(p->authority + strcspn(p->authority, "]"), ':') || (p->authority[0] != '[' && strchr(p->authority, ':'));
  snprintf(base, sizeof base, "http://%s%s", p->authority, said || !p->secure ? "" : ":443");
  if (cable_connect(&l->cable, base, deadline, err) == 0) {
    bool judged = !p->pin_count && !p->any_certificate;
    if (!p->secure || cable_secure(&l->cable, ctx, p->name, judged, l, deadline, err) == 0) {
      SSL_CTX_free(ctx);
      return l;
    }
    if (l->refused) err_set(err, ERR_UNAVAILABLE, "%s shows a certificate that the directory does not know", p->base);
  }
  SSL_CTX_free(ctx);
  line_free(l);
  return NULL;
}

/* One that was used lately and over which nothing has come since, or NULL. */
static struct line *borrow(struct http_peer *p)
{
  for (;;) {
    pthread_mutex_lock(&p->lock);
    struct line *l = p->idle_count ? p->idle[--p->idle_count] : NULL;
    pthread_mutex_unlock(&p->lock);
    if (!l || (clock_mono() - l->used < FRESH_MS && cable_quiet(&l->cable))) return l;
    line_free(l);
  }
}

/* The one that was used longest ago is let go of when it is too old to be used again. */
static void give_back(struct http_peer *p, struct line *l)
{
  struct line *old = NULL;
  l->used = clock_mono();
  pthread_mutex_lock(&p->lock);
  if (p->idle_count && l->used - p->idle[0]->used >= FRESH_MS) {
    old = p->idle[0];
    memmove(p->idle, p->idle + 1, (size_t)--p->idle_count * sizeof *p->idle);
  }
  bool kept = p->idle_count < p->most;
  if (kept) p->idle[p->idle_count++] = l;
  pthread_mutex_unlock(&p->lock);
  if (!kept) line_free(l);
  if (old) line_free(old);
}

/* ---- one call ---- */

struct call {
  struct http_peer *peer;
  const struct http_relay_call *asked;
  struct http_relay_answer *out;
  struct err *err;
  int64_t began, deadline;          /* µs, ms (clock_mono) */
  int64_t idle;                     /* ms: without a byte either way */
  const struct http_content *content; /* NULL: none */
  struct buf head;                  /* and the content after it when that is small */
  size_t head_sent;
  int64_t sent;                     /* of the content */
  char *piece; size_t piece_at, piece_size; /* read from the content's file */
  bool some, heard, ended;          /* bytes went; bytes came; the connection is no more */
  struct answer answer;
};

static bool framing(const char *name)
{
  static const char *const names[] = {"Transfer-Encoding", "Content-Length", "Connection", "Keep-Alive"};
  for (size_t i = 0; i < BASE_COUNT(names); i++)
    if (same_name(name, names[i])) return true;
  return false;
}

static bool repeatable(const char *method)
{
  static const char *const names[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
  for (size_t i = 0; i < BASE_COUNT(names); i++)
    if (!strcmp(method, names[i])) return true;
  return false;
}

static void line_put(struct buf *b, const char *name, const char *value)
{
  buf_adds(b, name);
  buf_add(b, ": ", 2);
  buf_adds(b, value);
  buf_add(b, "\r\n", 2);
}

static int head_make(struct call *c)
{
  const struct http_relay_call *k = c->asked;
  struct buf *b = &c->head;
  bool host = false;
  buf_init(b, 1024 * 1024);
  buf_expect(b, HEAD_ROOM);
  buf_adds(b, k->method);
  buf_addc(b, ' ');
  buf_adds(b, k->target);
  buf_adds(b, " HTTP/1.1\r\n");
  for (size_t i = 0; i < k->header_count; i++) {
    const struct http_pair *h = &k->headers[i];
    if (!header_sound(h->name, h->value)) return err_set(c->err, ERR_INVALID, "the header %.60s holds control characters", h->name ? h->name : "");
    if (framing(h->name) || same_name(h->name, "Expect")) continue;
    host |= same_name(h->name, "Host");
    line_put(b, h->name, h->value);
  }
  if (!host) line_put(b, "Host", c->peer->authority);
  if (c->content || !strcmp(k->method, "POST") || !strcmp(k->method, "PUT") || !strcmp(k->method, "PATCH"))
    buf_addf(b, "Content-Length: %lld\r\n", (long long)(c->content ? c->content->size : 0));
  buf_add(b, "\r\n", 2);
  if (c->content && c->content->fd < 0 && b->len + (size_t)c->content->size <= PIECE) { /* one record, one packet */
    buf_add(b, c->content->data, (size_t)c->content->size);
    c->content = NULL;
  }
  return buf_overflowed(b) ? err_set(c->err, ERR_INVALID, "the headers of the call are too large") : 0;
}

static enum err_code so_far(const struct call *c) { return c->some ? ERR_OUTCOME_UNKNOWN : ERR_UNAVAILABLE; }

static int broken(struct call *c)
{
  c->ended = true;
  return err_set(c->err, so_far(c), "%s: the connection was broken off%s", c->peer->base, c->heard ? " in the middle of the answer" : "");
}

static int too_late(struct call *c)
{
  return err_set(c->err, so_far(c), "%s: Operation timed out after %lld milliseconds: the answer is not whole", c->peer->base, (long long)((micros_now() - c->began) / 1000));
}

/* What is to be sent next; *n 0: all was. */
static int rest(struct call *c, const char **p, size_t *n)
{
  *p = c->head.data + c->head_sent;
  *n = c->head.len - c->head_sent;
  if (*n || !c->content) return 0;
  int64_t left = c->content->size - c->sent;
  if (c->content->fd < 0) {
    *p = c->content->data + c->sent;
    *n = (size_t)left;
    return 0;
  }
  if (left && c->piece_at == c->piece_size) {
    if (!c->piece) c->piece = base_alloc(PIECE);
    ssize_t got = pread(c->content->fd, c->piece, left < PIECE ? (size_t)left : PIECE, c->sent);
    if (got <= 0) return err_set(c->err, so_far(c), "%s: a kept body cannot be read", c->peer->base);
    c->piece_at = 0;
    c->piece_size = (size_t)got;
  }
  *p = c->piece + c->piece_at;
  *n = left ? c->piece_size - c->piece_at : 0;
  return 0;
}

static void went(struct call *c, size_t n)
{
  c->some = true;
  if (c->head_sent < c->head.len) {
    c->head_sent += n;
    return;
  }
  c->sent += (int64_t)n;
  c->piece_at += c->content->fd < 0 ? 0 : n;
}

static int64_t patience(const struct call *c)
{
  int64_t idle = clock_mono() + c->idle;
  return idle < c->deadline ? idle : c->deadline;
}

/* 1: the answer is whole, 0: more is to come (nothing now), -1. wait: until it is whole. */
static int hear(struct call *c, struct line *l, bool wait)
{
  __attribute__((uninitialized)) char in[PIECE];
  for (;;) {
    ssize_t n = cable_read(&l->cable, in, sizeof in, wait ? patience(c) : 0);
    if (n == CABLE_LATE) return too_late(c);
    if (n == CABLE_LATER && wait) continue;
    if (n == CABLE_LATER) return 0;
    if (n == CABLE_BROKEN) return broken(c);
    if (n == CABLE_END) {
      if (!c->heard) return broken(c);
      c->answer.close = true;
      return answer_end(&c->answer, c->err) ? -1 : 1;
    }
    if (!c->heard) c->out->first_us = micros_now() - c->began;
    c->heard = true;
    ssize_t used = answer_take(&c->answer, in, (size_t)n, c->err);
    if (used < 0) return -1;
    if (used < n) c->answer.close = true; /* nobody asked for what follows */
    if (c->answer.state == ANSWER_DONE) return 1;
    if (clock_mono() >= c->deadline) return too_late(c); /* one that never stops talking */
  }
}

/* 1: an answer came before all was sent; 0: all was sent. */
static int send_all(struct call *c, struct line *l)
{
  const char *p;
  size_t n;
  for (;;) {
    if (rest(c, &p, &n)) return -1;
    if (!n) return 0;
    ssize_t put = cable_write(&l->cable, p, n);
    if (put > 0) {
      went(c, (size_t)put);
      if (c->content && clock_mono() >= c->deadline) return too_late(c);
      continue;
    }
    if (put == CABLE_BROKEN) { /* it may have said why */
      int rc = c->some ? hear(c, l, false) : 0;
      return rc > 0 ? 1 : c->heard && rc < 0 ? -1 : broken(c);
    }
    int ready = cable_wait(&l->cable, patience(c)), rc = ready & POLLIN ? hear(c, l, false) : 0;
    if (!ready) return too_late(c);
    if (rc) return rc;
  }
}

static int exchange(struct call *c, struct line *l)
{
  int rc = send_all(c, l);
  if (rc > 0) c->answer.close = true; /* the rest of what was to be sent is not wanted */
  return (rc == 0 ? hear(c, l, true) : rc) > 0 ? 0 : -1;
}

static int on_answer(void *ctx, const void *p, size_t n, struct err *err)
{
  struct call *c = ctx;
  if (content_add(&c->out->content, p, n, c->asked->most > 0 ? c->asked->most : -1, c->peer->from, err) == 0) return 0;
  if (err->code == ERR_UNAVAILABLE) err->code = so_far(c); /* no room for the answer: what was asked has been done, perhaps */
  return -1;
}

static void keep_head(struct call *c)
{
  struct http_relay_answer *a = c->out;
  a->status = c->answer.status;
  a->headers = base_alloc((c->answer.count + 1) * sizeof *a->headers);
  a->held = buf_take(&c->answer.pairs);
  const char *s = a->held;
  for (size_t i = 0; i < c->answer.count; i++) {
    const char *name = s, *value = s + strlen(s) + 1;
    s = value + strlen(value) + 1;
    if (!framing(name)) a->headers[a->header_count++] = (struct http_pair){name, value};
  }
}

/* *again: a kept connection had ended, and nothing is lost by another. */
static int call_over(struct call *c, struct line *l, bool kept, bool *again)
{
  answer_begin(&c->answer, !strcmp(c->asked->method, "HEAD"), on_answer, c);
  int rc = exchange(c, l);
  *again = rc != 0 && kept && c->ended && !c->heard && (!c->some || repeatable(c->asked->method)) && clock_mono() < c->deadline;
  if (rc == 0 && !c->answer.close) give_back(c->peer, l);
  else line_free(l);
  if (rc == 0) keep_head(c);
  answer_free(&c->answer);
  return rc;
}

static int call_begun(struct call *c)
{
  struct http_peer *p = c->peer;
  struct line *l = borrow(p);
  bool again = false;
  if (l) {
    const struct http_content *content = c->content;
    int rc = call_over(c, l, true, &again);
    if (!again) return rc;
    c->content = content;
    c->head_sent = c->piece_at = c->piece_size = 0;
    c->sent = 0;
    c->some = c->ended = false;
    http_relay_answer_free(c->out);
  }
  int64_t until = clock_mono() + p->connect_ms;
  l = line_new(p, until < c->deadline ? until : c->deadline, c->err);
  if (!l) return -1;
  c->out->connect_us = micros_now() - c->began;
  return call_over(c, l, false, &again);
}

int http_peer_call(struct http_peer *p, const struct http_relay_call *k, struct http_relay_answer *out, struct err *err)
{
  struct call c = {.peer = p, .asked = k, .out = out, .err = err, .began = micros_now(), .idle = k->idle_ms > 0 ? k->idle_ms : IDLE_MS};
  *out = (struct http_relay_answer){.content = HTTP_NO_CONTENT};
  if (k->target[0] != '/' || strpbrk(k->target, " \t\r\n") || !is_token(k->method, strlen(k->method)))
    return err_set(err, ERR_INVALID, "the method or the path of the call is malformed");
  c.deadline = clock_mono() + (k->timeout_ms > 0 ? k->timeout_ms : TIMEOUT_MS);
  if (k->content && k->content->size && strcmp(k->method, "HEAD") != 0) c.content = k->content;
  int rc = head_make(&c) || call_begun(&c) ? -1 : 0;
  out->all_us = micros_now() - c.began;
  buf_free(&c.head);
  free(c.piece);
  if (rc) http_relay_answer_free(out);
  return rc;
}

void http_relay_answer_free(struct http_relay_answer *a)
{
  if (!a) return;
  free(a->headers);
  free(a->held);
  http_content_free(&a->content);
  *a = (struct http_relay_answer){.content = HTTP_NO_CONTENT};
}
