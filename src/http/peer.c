/* Calls of a gateway to one peer: a pool of handles that keep their TLS connections, the peer's certificate by fingerprint, contents of any size. */
#define OPENSSL_SUPPRESS_DEPRECATED /* a key in another process: OpenSSL 3 knows EC_KEY_METHOD or a provider of one's own for it */
#include "http/inner.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEPT = 32, CONNECT_MS = 5000, TIMEOUT_MS = 60000, IDLE_MS = 30000, HEAD_MOST = 64 * 1024, FRESH_S = 15, DEAD_MS = 10000, READ_PIECE = 64 * 1024 };

struct http_peer {
  char *base, *ca_file;
  X509 *certificate;
  EVP_PKEY *key;
  EC_KEY_METHOD *method;
  struct http_key signer;
  unsigned char (*pins)[32]; size_t pin_count;
  bool any_certificate;
  int connect_ms, most;
  pthread_mutex_t lock;
  CURL **idle; int idle_count;
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

int http_peer_new(const struct http_peer_options *o, struct http_peer **out, struct err *err)
{
  *out = NULL;
  bool secure = base_starts(o->base, "https://");
  if (!secure && !base_starts(o->base, "http://")) return err_set(err, ERR_INVALID, "%.200s: an address begins with https:// or http://", o->base);
  const char *authority = strstr(o->base, "://") + 3;
  if (!*authority || strpbrk(authority, "/?#@ \t\r\n")) return err_set(err, ERR_INVALID, "%.200s: an address is a host and a port, without a path", o->base);
  struct http_peer *p = base_alloc(sizeof *p);
  pthread_mutex_init(&p->lock, NULL);
  p->base = base_strdup(o->base);
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
  while (p->idle_count) curl_easy_cleanup(p->idle[--p->idle_count]);
  X509_free(p->certificate);
  EVP_PKEY_free(p->key);
  if (p->method) EC_KEY_METHOD_free(p->method);
  pthread_mutex_destroy(&p->lock);
  free(p->idle);
  free(p->pins);
  free(p->base);
  free(p->ca_file);
  free(p);
}

/* ---- one call ---- */

struct call {
  struct http_peer *peer;
  const struct http_relay_call *asked;
  struct http_relay_answer *out;
  struct err *err;
  bool failed, answered;            /* err is set by us; a status line has come */
  int64_t sent;                     /* of the content */
  struct buf head;                  /* "name\0value\0"… */
  size_t pairs;
};

static int pinned(X509_STORE_CTX *store, void *arg)
{
  struct call *c = arg;
  unsigned char sha256[32];
  unsigned n = sizeof sha256;
  X509 *shown = X509_STORE_CTX_get0_cert(store);
  if (shown && X509_digest(shown, EVP_sha256(), sha256, &n))
    for (size_t i = 0; i < c->peer->pin_count; i++)
      if (memcmp(c->peer->pins[i], sha256, 32) == 0) return 1;
  c->failed = true;
  err_set(c->err, ERR_UNAVAILABLE, "%s shows a certificate that the directory does not know", c->peer->base);
  X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
  return 0;
}

static CURLcode on_tls(CURL *h, void *ssl, void *arg)
{
  struct call *c = arg;
  struct http_peer *p = c->peer;
  SSL_CTX *ctx = ssl;
  if (p->certificate && (SSL_CTX_use_certificate(ctx, p->certificate) != 1 || SSL_CTX_use_PrivateKey(ctx, p->key) != 1)) return CURLE_SSL_CERTPROBLEM;
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  if (p->pin_count) {
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, pinned, c);
  }
  return CURLE_OK;
}

static size_t on_content(char *out, size_t one, size_t n, void *arg)
{
  struct call *c = arg;
  const struct http_content *k = c->asked->content;
  size_t room = one * n, left = (size_t)(k->size - c->sent);
  if (room > left) room = left;
  if (k->fd < 0) memcpy(out, k->data + c->sent, room);
  else {
    ssize_t got = room ? pread(k->fd, out, room, c->sent) : 0;
    if (got < 0 || (room && !got)) return CURL_READFUNC_ABORT;
    room = (size_t)got;
  }
  c->sent += (int64_t)room;
  return room;
}

static size_t on_answer(char *p, size_t one, size_t n, void *arg)
{
  struct call *c = arg;
  if (http_content_add(&c->out->content, p, one * n, c->asked->most > 0 ? c->asked->most : -1, c->err) == 0) return one * n;
  c->failed = true;
  return 0;
}

static size_t on_head(char *p, size_t one, size_t n, void *arg)
{
  struct call *c = arg;
  size_t size = one * n;
  while (size && (p[size - 1] == '\r' || p[size - 1] == '\n')) size--;
  if (size > 5 && !memcmp(p, "HTTP/", 5)) { /* an interim answer may have come before */
    c->answered = true;
    c->head.len = 0;
    c->pairs = 0;
    return one * n;
  }
  char *colon = memchr(p, ':', size);
  if (!size || !colon) return one * n;
  size_t name = (size_t)(colon - p);
  const char *value = colon + 1, *end = p + size;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t')) end--;
  if (!is_token(p, name) || c->pairs == HTTP_MOST_HEADERS || memchr(value, 0, (size_t)(end - value))) {
    c->failed = true;
    err_set(c->err, ERR_OUTCOME_UNKNOWN, "the head of the answer is malformed or too long");
    return 0;
  }
  buf_add(&c->head, p, name);
  buf_addc(&c->head, '\0');
  buf_add(&c->head, value, (size_t)(end - value));
  buf_addc(&c->head, '\0');
  c->pairs++;
  return one * n;
}

static bool framing(const char *name)
{
  return !strcasecmp(name, "Transfer-Encoding") || !strcasecmp(name, "Content-Length") || !strcasecmp(name, "Connection") || !strcasecmp(name, "Keep-Alive");
}

static void keep_head(struct call *c)
{
  struct http_relay_answer *a = c->out;
  a->headers = base_alloc((c->pairs + 1) * sizeof *a->headers);
  a->held = buf_take(&c->head);
  const char *s = a->held;
  for (size_t i = 0; i < c->pairs; i++) {
    const char *name = s, *value = s + strlen(s) + 1;
    s = value + strlen(value) + 1;
    if (!framing(name)) a->headers[a->header_count++] = (struct http_pair){name, value};
  }
}

static int header_list(const struct http_relay_call *c, struct curl_slist **out, struct err *err)
{
  static const char *const unsaid[] = {"Expect:", "Accept:", "Content-Type:", "User-Agent:"};
  bool said[BASE_COUNT(unsaid)] = {false};
  *out = NULL;
  for (size_t i = 0; i < c->header_count; i++) {
    const struct http_pair *h = &c->headers[i];
    if (!header_sound(h->name, h->value)) return err_set(err, ERR_INVALID, "the header %.60s holds control characters", h->name ? h->name : "");
    for (size_t k = 0; k < BASE_COUNT(unsaid); k++)
      if (!strncasecmp(unsaid[k], h->name, strlen(h->name)) && strlen(h->name) + 1 == strlen(unsaid[k])) said[k] = true;
    char *line = base_printf("%s%s%s", h->name, *h->value ? ": " : ";", h->value);
    *out = curl_slist_append(*out, line);
    free(line);
  }
  for (size_t k = 0; k < BASE_COUNT(unsaid); k++)
    if (!said[k]) *out = curl_slist_append(*out, unsaid[k]);
  return 0;
}

static CURL *borrow(struct http_peer *p)
{
  pthread_mutex_lock(&p->lock);
  CURL *h = p->idle_count ? p->idle[--p->idle_count] : NULL;
  pthread_mutex_unlock(&p->lock);
  return h ? h : curl_easy_init();
}

static void give_back(struct http_peer *p, CURL *h)
{
  curl_easy_reset(h); /* forgets the call, keeps the connection */
  pthread_mutex_lock(&p->lock);
  bool kept = p->idle_count < p->most;
  if (kept) p->idle[p->idle_count++] = h;
  pthread_mutex_unlock(&p->lock);
  if (!kept) curl_easy_cleanup(h);
}

/* A line that is cut says nothing: what was sent is acknowledged within DEAD_MS, and while an answer is waited for the peer's system is asked whether it
 * is still there. So a call ends, and goes on elsewhere, long before the patience with a slow provider is over. */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype type)
{
  unsigned dead = DEAD_MS;
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead, sizeof dead); /* where it cannot be set, the time-out of the call holds */
  return CURL_SOCKOPT_OK;
}

static void prepare(struct call *c, CURL *h, const char *url, struct curl_slist *headers, char *said)
{
  const struct http_relay_call *k = c->asked;
  const struct http_peer *p = c->peer;
  int idle = k->idle_ms > 0 ? k->idle_ms : IDLE_MS;
  curl_easy_setopt(h, CURLOPT_URL, url);
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(h, CURLOPT_PROXY, "");
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(h, CURLOPT_MAXCONNECTS, 1L);
  curl_easy_setopt(h, CURLOPT_MAXAGE_CONN, (long)FRESH_S);
  curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(h, CURLOPT_TCP_KEEPIDLE, (long)(DEAD_MS / 2000));
  curl_easy_setopt(h, CURLOPT_TCP_KEEPINTVL, 2L);
  curl_easy_setopt(h, CURLOPT_SOCKOPTFUNCTION, on_socket);
  curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)p->connect_ms);
  curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)(k->timeout_ms > 0 ? k->timeout_ms : TIMEOUT_MS));
  curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)((idle + 999) / 1000));
  curl_easy_setopt(h, CURLOPT_ERRORBUFFER, said);
  curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_head);
  curl_easy_setopt(h, CURLOPT_HEADERDATA, c);
  curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_answer);
  curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
  if (base_starts(p->base, "https:")) {
    curl_easy_setopt(h, CURLOPT_SSL_CTX_FUNCTION, on_tls);
    curl_easy_setopt(h, CURLOPT_SSL_CTX_DATA, c);
    bool ask = !p->pin_count && !p->any_certificate; /* pins are checked by on_tls */
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, ask ? 1L : 0L);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, ask ? 2L : 0L);
    if (p->ca_file) curl_easy_setopt(h, CURLOPT_CAINFO, p->ca_file);
  }
  if (!strcmp(k->method, "HEAD")) curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
  else if ((k->content && k->content->size) || !strcmp(k->method, "POST") || !strcmp(k->method, "PUT") || !strcmp(k->method, "PATCH")) {
    curl_easy_setopt(h, CURLOPT_POST, 1L);
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(k->content ? k->content->size : 0));
    if (k->content && k->content->size) {
      curl_easy_setopt(h, CURLOPT_READFUNCTION, on_content);
      curl_easy_setopt(h, CURLOPT_READDATA, c);
      curl_easy_setopt(h, CURLOPT_UPLOAD_BUFFERSIZE, (long)READ_PIECE);
    } else curl_easy_setopt(h, CURLOPT_POSTFIELDS, "");
  }
  if (strcmp(k->method, "HEAD") != 0) curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, k->method);
}

static int why(struct call *c, CURL *h, CURLcode code, const char *said)
{
  curl_off_t began = 0; /* 0: not even connected, so nothing was sent */
  curl_easy_getinfo(h, CURLINFO_PRETRANSFER_TIME_T, &began);
  if (c->failed) return -1;
  if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) return err_set(c->err, ERR_INVALID, "the address cannot be called");
  return err_set(c->err, began ? ERR_OUTCOME_UNKNOWN : ERR_UNAVAILABLE, "%s: %s", c->peer->base, *said ? said : curl_easy_strerror(code));
}

static void times(CURL *h, struct http_relay_answer *out)
{
  curl_off_t connect = 0, first = 0, all = 0;
  curl_easy_getinfo(h, CURLINFO_PRETRANSFER_TIME_T, &connect);
  curl_easy_getinfo(h, CURLINFO_STARTTRANSFER_TIME_T, &first);
  curl_easy_getinfo(h, CURLINFO_TOTAL_TIME_T, &all);
  long made = 0;
  curl_easy_getinfo(h, CURLINFO_NUM_CONNECTS, &made);
  out->connect_us = made ? (int64_t)connect : 0;
  out->first_us = (int64_t)first;
  out->all_us = (int64_t)all;
}

int http_peer_call(struct http_peer *p, const struct http_relay_call *k, struct http_relay_answer *out, struct err *err)
{
  char said[CURL_ERROR_SIZE] = "";
  struct curl_slist *headers = NULL;
  struct call c = {.peer = p, .asked = k, .out = out, .err = err};
  *out = (struct http_relay_answer){.content = HTTP_NO_CONTENT};
  if (k->target[0] != '/' || strpbrk(k->target, " \t\r\n") || !is_token(k->method, strlen(k->method)))
    return err_set(err, ERR_INVALID, "the method or the path of the call is malformed");
  if (header_list(k, &headers, err)) {
    curl_slist_free_all(headers);
    return -1;
  }
  CURL *h = borrow(p);
  char *url = base_printf("%s%s", p->base, k->target);
  buf_init(&c.head, HEAD_MOST);
  prepare(&c, h, url, headers, said);
  CURLcode code = curl_easy_perform(h);
  int rc = code ? why(&c, h, code, said) : 0;
  if (rc == 0) {
    long status = 0;
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    out->status = (int)status;
    times(h, out);
    if (buf_overflowed(&c.head)) rc = err_set(err, ERR_OUTCOME_UNKNOWN, "the head of the answer is too long");
    else keep_head(&c);
  }
  buf_free(&c.head);
  free(url);
  curl_slist_free_all(headers);
  if (code) curl_easy_cleanup(h); /* its connection is in no known state */
  else give_back(p, h);
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
