/* TLS of the server through GnuTLS, as libmicrohttpd speaks it: our certificate by callback, so that it can be renewed while serving and its
 * key may live in another process; the client's certificate is asked for and shown to handlers, who know whom to believe. */
#include "http/inner.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CHAIN_MOST = 4, EC_BITS = 256, AHEAD = 4096, PIECES = 16 };

/* One certificate with its key. Old ones stay: handshakes under way use them. */
struct shown {
  struct shown *older;
  gnutls_pcert_st chain[CHAIN_MOST];
  unsigned count;
  gnutls_privkey_t key;
  struct http_key signer;
};

static void shown_free(struct shown *c)
{
  for (unsigned i = 0; i < c->count; i++) gnutls_pcert_deinit(&c->chain[i]);
  if (c->key) gnutls_privkey_deinit(c->key);
  free(c);
}

static int sign_hash(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *ctx, unsigned flags, const gnutls_datum_t *hash, gnutls_datum_t *out)
{
  const struct http_key *k = ctx;
  unsigned char der[80];
  size_t n = 0;
  struct err err;
  if (k->sign(k->ctx, hash->data, hash->size, der, &n, &err)) {
    log_write(LOG_ERROR, "http", "a TLS signature was not made: %s", err.message);
    return GNUTLS_E_PK_SIGN_FAILED;
  }
  out->data = gnutls_malloc(n);
  if (!out->data) return GNUTLS_E_MEMORY_ERROR;
  memcpy(out->data, der, n);
  out->size = (unsigned)n;
  return 0;
}

static int key_facts(gnutls_privkey_t key, unsigned flags, void *ctx)
{
  if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO) return GNUTLS_PK_EC;
  if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS) return EC_BITS;
  if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO) {
    unsigned algorithm = GNUTLS_FLAGS_TO_SIGN_ALGO(flags);
    return algorithm == GNUTLS_SIGN_ECDSA_SHA256 || algorithm == GNUTLS_SIGN_ECDSA_SECP256R1_SHA256;
  }
  return -1;
}

static int gnutls_failed(struct err *err, const char *what, int code)
{
  return err_set(err, ERR_INVALID, "%s: %s", what, gnutls_strerror(code));
}

static int shown_load(struct shown *c, const struct http_tls *t, struct err *err)
{
  gnutls_datum_t pem = {(unsigned char *)(uintptr_t)t->certificate, (unsigned)strlen(t->certificate)};
  unsigned count = CHAIN_MOST;
  int code = gnutls_pcert_list_import_x509_raw(c->chain, &count, &pem, GNUTLS_X509_FMT_PEM, 0);
  if (code < 0) return gnutls_failed(err, "the TLS certificate", code);
  c->count = count;
  if ((code = gnutls_privkey_init(&c->key)) < 0) return gnutls_failed(err, "the TLS key", code);
  if (t->key.pem) {
    gnutls_datum_t key = {(unsigned char *)(uintptr_t)t->key.pem, (unsigned)strlen(t->key.pem)};
    code = gnutls_privkey_import_x509_raw(c->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
  } else {
    c->signer = t->key;
    code = gnutls_privkey_import_ext4(c->key, &c->signer, NULL, sign_hash, NULL, NULL, key_facts, 0);
  }
  return code < 0 ? gnutls_failed(err, "the TLS key", code) : 0;
}

static struct http_server *server_of(gnutls_session_t session)
{
  struct MHD_Connection *mc = gnutls_session_get_ptr(session);
  const union MHD_ConnectionInfo *i = mc ? MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT) : NULL;
  const struct conn *c = i ? i->socket_context : NULL;
  return c ? c->server : NULL;
}

static int choose(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count, const gnutls_pk_algorithm_t *algorithms,
                  int algorithm_count, gnutls_pcert_st **chain, unsigned *count, gnutls_privkey_t *key)
{
  struct http_server *s = server_of(session);
  struct shown *c = s ? atomic_load(&s->shown) : NULL;
  if (!c) return -1;
  *chain = c->chain;
  *count = c->count;
  *key = c->key;
  return 0;
}

int http_server_tls_renew(struct http_server *s, const struct http_tls *t, struct err *err)
{
  if (!t->certificate || (!t->key.pem && !t->key.sign)) return err_set(err, ERR_INVALID, "TLS needs a certificate and its key");
  struct shown *c = base_alloc(sizeof *c);
  if (shown_load(c, t, err)) {
    shown_free(c);
    return -1;
  }
  pthread_mutex_lock(&s->lock);
  c->older = atomic_load(&s->shown);
  atomic_store(&s->shown, c);
  pthread_mutex_unlock(&s->lock);
  return 0;
}

int http_server_tls(struct http_server *s, const struct http_tls *t, struct err *err)
{
  if (s->daemon) return err_set(err, ERR_CONFLICT, "the server is already running");
  if (http_server_tls_renew(s, t, err)) return -1;
  s->tls = true;
  free(s->tls_ask);
  s->tls_ask = t->ask ? base_strdup(t->certificate) : NULL;
  return 0;
}

unsigned tls_options(struct http_server *s, struct MHD_OptionItem out[4])
{
  unsigned n = 0;
  if (s->tls) {
    out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)choose};
    out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
    /* Having something to trust makes the library ask; nothing is verified with it. */
    if (s->tls_ask) out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, s->tls_ask};
  }
  out[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
  return n;
}

void tls_free(struct http_server *s)
{
  for (struct shown *c = atomic_load(&s->shown), *older; c; c = older) {
    older = c->older;
    shown_free(c);
  }
  atomic_store(&s->shown, NULL);
  free(s->tls_ask);
  s->tls_ask = NULL;
}

/* ---- between GnuTLS and the socket ---- */
/* A record is read by its head and then by its content, and the head and the content of an answer are a record each: a call of the system for each of these.
 * So what has come is read at once, and the head of an answer waits here for what follows it. Memory is held only in between. */

static void bytes_free(struct bytes *b)
{
  free(b->data);
  *b = (struct bytes){0};
}

static bool bytes_keep(struct bytes *b, const void *p, size_t n)
{
  char *data = malloc(n);
  if (!data) return false;
  memcpy(data, p, n);
  *b = (struct bytes){.data = data, .size = n};
  return true;
}

static ssize_t pull(gnutls_transport_ptr_t ptr, void *p, size_t n)
{
  struct conn *c = ptr;
  __attribute__((uninitialized)) char in[AHEAD];
  if (!c) return errno = EPIPE, -1;
  if (c->ahead.data) {
    size_t left = c->ahead.size - c->ahead.at;
    if (n > left) n = left;
    memcpy(p, c->ahead.data + c->ahead.at, n);
    c->ahead.at += n;
    if (n == left) bytes_free(&c->ahead);
    return (ssize_t)n;
  }
  if (n >= sizeof in) return recv(c->fd, p, n, MSG_DONTWAIT);
  ssize_t got = recv(c->fd, in, sizeof in, MSG_DONTWAIT);
  if (got <= 0) return got;
  if ((size_t)got < n) n = (size_t)got;
  memcpy(p, in, n);
  if ((size_t)got > n && !bytes_keep(&c->ahead, in + n, (size_t)got - n)) return errno = ENOMEM, -1;
  return (ssize_t)n;
}

static int pull_waits(gnutls_transport_ptr_t ptr, unsigned ms)
{
  struct conn *c = ptr;
  if (!c || c->ahead.data) return 1;
  return poll(&(struct pollfd){.fd = c->fd, .events = POLLIN}, 1, (int)ms);
}

/* What is told as sent and was kept goes before what is given now; when not even that can be sent, what is given comes again. */
static ssize_t push(gnutls_transport_ptr_t ptr, const giovec_t *pieces, int count)
{
  struct conn *c = ptr;
  struct iovec all[PIECES];
  size_t n = 0, held, size = 0;
  if (!c) return errno = EPIPE, -1;
  if (c->hold && count == 1 && !c->held.data && bytes_keep(&c->held, pieces[0].iov_base, pieces[0].iov_len)) {
    c->hold = false;
    return (ssize_t)pieces[0].iov_len;
  }
  c->hold = false;
  held = c->held.size - c->held.at;
  if (held) all[n++] = (struct iovec){c->held.data + c->held.at, held};
  for (int i = 0; i < count && n < PIECES; i++) {
    all[n++] = (struct iovec){pieces[i].iov_base, pieces[i].iov_len};
    size += pieces[i].iov_len;
  }
  ssize_t sent = sendmsg(c->fd, &(struct msghdr){.msg_iov = all, .msg_iovlen = n}, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 || !held) return sent;
  if ((size_t)sent < held) c->held.at += (size_t)sent;
  else bytes_free(&c->held);
  if ((size_t)sent <= held && size) return errno = EAGAIN, -1;
  return sent - (ssize_t)held;
}

void tls_conn_open(struct conn *c, struct MHD_Connection *mc)
{
  const union MHD_ConnectionInfo *i = c->server->tls ? MHD_get_connection_info(mc, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
  if (!i || !i->tls_session || c->fd < 0) return;
  gnutls_session_t session = i->tls_session;
  gnutls_transport_set_ptr(session, c);
  gnutls_transport_set_pull_function(session, pull);
  gnutls_transport_set_pull_timeout_function(session, pull_waits);
  gnutls_transport_set_vec_push_function(session, push);
}

/* The library has said farewell and freed its session before it tells that the connection is closed: nothing of that may be touched here. */
void tls_conn_close(struct conn *c)
{
  bytes_free(&c->ahead);
  bytes_free(&c->held);
}

bool http_encrypted(const struct http_req *r)
{
  return r->server->tls;
}

bool http_client_certificate(const struct http_req *r, unsigned char sha256[32])
{
  struct conn *c = r->conn;
  if (!r->server->tls) return false;
  if (!c->certificate_read) {
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    unsigned count = 0;
    const gnutls_datum_t *list = i ? gnutls_certificate_get_peers(i->tls_session, &count) : NULL;
    c->certificate = list && count && gnutls_hash_fast(GNUTLS_DIG_SHA256, list[0].data, list[0].size, c->certificate_sha256) == 0;
    c->certificate_read = true;
  }
  if (c->certificate) memcpy(sha256, c->certificate_sha256, 32);
  return c->certificate;
}
