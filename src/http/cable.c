#include "http/cable.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEAD_MS = 10000, NEAR_MS = 100 /* so near to a deadline the system is asked to the millisecond */ };

/* All that are connected, so that a program that ends can end them too. A cable stands where it is until it is closed. */
static pthread_mutex_t connected_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cable *connected;

static void connected_add(struct cable *w)
{
  pthread_mutex_lock(&connected_lock);
  w->next = connected;
  if (connected) connected->prev = w;
  connected = w;
  pthread_mutex_unlock(&connected_lock);
}

/* Before its number is another's. */
static void connected_drop(struct cable *w)
{
  pthread_mutex_lock(&connected_lock);
  if (w->prev) w->prev->next = w->next;
  else connected = w->next;
  if (w->next) w->next->prev = w->prev;
  pthread_mutex_unlock(&connected_lock);
}

void http_calls_cut(void)
{
  pthread_mutex_lock(&connected_lock);
  for (struct cable *w = connected; w; w = w->next)
    if (!atomic_exchange(&w->cut, true)) shutdown(w->fd, SHUT_RDWR);
  pthread_mutex_unlock(&connected_lock);
}

/* A line that is cut says nothing: what was sent is acknowledged within DEAD_MS, and while an answer is waited for the peer's system is asked whether it
 * is still there. So a call ends, and goes on elsewhere, long before the patience with a slow provider is over. */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype type)
{
  unsigned dead = DEAD_MS;
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead, sizeof dead); /* where it cannot be set, the time-out of the call holds */
  return CURL_SOCKOPT_OK;
}

int cable_connect(struct cable *w, const char *base, int64_t deadline, struct err *err)
{
  char said[CURL_ERROR_SIZE] = "";
  CURL *h = curl_easy_init();
  int64_t left = deadline - clock_mono();
  curl_socket_t fd = CURL_SOCKET_BAD;
  *w = (struct cable){.fd = -1};
  if (!h) return err_set(err, ERR_UNAVAILABLE, "no memory for a call");
  curl_easy_setopt(h, CURLOPT_URL, base);
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(h, CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(h, CURLOPT_PROXY, "");
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(h, CURLOPT_TCP_KEEPIDLE, (long)(DEAD_MS / 2000));
  curl_easy_setopt(h, CURLOPT_TCP_KEEPINTVL, 2L);
  curl_easy_setopt(h, CURLOPT_SOCKOPTFUNCTION, on_socket);
  curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)(left > 0 ? left : 1));
  curl_easy_setopt(h, CURLOPT_ERRORBUFFER, said);
  CURLcode code = curl_easy_perform(h);
  if (code == CURLE_OK) curl_easy_getinfo(h, CURLINFO_ACTIVESOCKET, &fd);
  if (fd != CURL_SOCKET_BAD) w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  curl_easy_cleanup(h); /* its number of the connection; ours goes on */
  if (w->fd >= 0 && fcntl(w->fd, F_SETFL, fcntl(w->fd, F_GETFL) & ~O_NONBLOCK) == 0) { /* each call says whether it waits */
    connected_add(w);
    return 0;
  }
  if (w->fd >= 0) close(w->fd);
  w->fd = -1;
  enum err_code why = code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ? ERR_INVALID : ERR_UNAVAILABLE;
  return err_set(err, why, "%s: %s", base, why == ERR_INVALID ? "the address cannot be called" : *said ? said : code ? curl_easy_strerror(code) : "no connection");
}

/* ---- bytes ---- */

static int ready(const struct cable *w, short events, int64_t until)
{
  struct pollfd p = {.fd = w->fd, .events = events};
  for (;;) {
    int64_t left = until - clock_mono();
    if (left <= 0) return 0;
    int n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
    if (n > 0) return p.revents;
    if (n < 0 && errno != EINTR) return POLLERR; /* reading will say what is wrong */
  }
}

/* The system's own limit of a read is at most what is left, and set anew only when it is longer than that, or much shorter: calls of one patience, one after
 * another, find it as they need it. False: it cannot be used. */
static bool limit(struct cable *w, int64_t left)
{
  if (left < NEAR_MS) return false;
  if (w->limit && w->limit <= left && w->limit >= left / 4) return true;
  int64_t ms = left - left / 8; /* it is taken up to the next tick of the system's clock */
  if (ms > INT32_MAX) ms = INT32_MAX;
  struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
  if (setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t)) return false;
  w->limit = ms;
  return true;
}

/* As recv does; EAGAIN while w->until stands: it came. Once something came, what follows is not waited for: who speaks byte by byte is heard, and judged by the
 * caller, after each. */
static ssize_t take(struct cable *w, void *p, size_t n)
{
  while (w->until) {
    int64_t left = w->until - clock_mono();
    if (left <= 0) break;
    bool kept = limit(w, left);
    if (!kept && !ready(w, POLLIN, w->until)) break;
    ssize_t got = recv(w->fd, p, n, kept ? 0 : MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    w->until = 0;
    return got;
  }
  if (!w->until) return recv(w->fd, p, n, MSG_DONTWAIT);
  errno = EAGAIN;
  return -1;
}

static ssize_t put(const struct cable *w, const void *p, size_t n) { return send(w->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT); }

/* ---- TLS ---- */

static BIO_METHOD *method; /* OpenSSL's own for sockets reads and writes as the socket is set; ours as each call wants */
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static bool later(void) { return errno == EAGAIN || errno == EINTR; }

static int bio_read(BIO *b, char *p, int n)
{
  ssize_t got = take(BIO_get_data(b), p, (size_t)n);
  BIO_clear_retry_flags(b);
  if (got < 0 && later()) BIO_set_retry_read(b);
  return (int)got;
}

static int bio_write(BIO *b, const char *p, int n)
{
  ssize_t went = put(BIO_get_data(b), p, (size_t)n);
  BIO_clear_retry_flags(b);
  if (went < 0 && later()) BIO_set_retry_write(b);
  return (int)went;
}

static long bio_ctrl(BIO *b, int what, long n, void *p) { return what == BIO_CTRL_FLUSH; }

static void method_begin(void)
{
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "cable");
  if (!method) return;
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_ctrl);
}

static bool attach(struct cable *w)
{
  pthread_once(&method_once, method_begin);
  BIO *b = method ? BIO_new(method) : NULL;
  if (!b) return false;
  BIO_set_data(b, w);
  BIO_set_init(b, 1);
  SSL_set_bio(w->ssl, b, b);
  return true;
}

static bool address(const char *name)
{
  unsigned char any[16];
  return inet_pton(AF_INET, name, any) == 1 || inet_pton(AF_INET6, name, any) == 1;
}

static int whose(SSL *ssl, const char *name, bool judged)
{
  bool number = address(name);
  if (!number && SSL_set_tlsext_host_name(ssl, name) != 1) return -1;
  if (!judged) return 0;
  X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return (number ? X509_VERIFY_PARAM_set1_ip_asc(p, name) : X509_VERIFY_PARAM_set1_host(p, name, 0)) == 1 ? 0 : -1;
}

static int refused(const struct cable *w, const char *name, struct err *err)
{
  unsigned long last = ERR_peek_last_error();
  long judged = w->ssl ? SSL_get_verify_result(w->ssl) : X509_V_OK;
  const char *reason = last ? ERR_reason_error_string(last) : NULL;
  ERR_clear_error();
  if (judged != X509_V_OK) return err_set(err, ERR_UNAVAILABLE, "%s: SSL certificate problem: %s", name, X509_verify_cert_error_string(judged));
  return err_set(err, ERR_UNAVAILABLE, "%s: no TLS connection: %s", name, reason ? reason : "it was ended");
}

int cable_secure(struct cable *w, SSL_CTX *ctx, const char *name, bool judged, void *mark, int64_t deadline, struct err *err)
{
  w->ssl = SSL_new(ctx);
  if (!w->ssl || !attach(w) || SSL_set_app_data(w->ssl, mark) != 1 || whose(w->ssl, name, judged)) return refused(w, name, err);
  for (;;) {
    ERR_clear_error();
    int rc = SSL_connect(w->ssl), why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(w->ssl, rc);
    if (rc == 1) return 0;
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return refused(w, name, err);
    if (!ready(w, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline)) return err_set(err, ERR_UNAVAILABLE, "%s: no TLS connection: timed out", name);
  }
}

void cable_close(struct cable *w)
{
  if (w->ssl) {
    ERR_clear_error();
    SSL_shutdown(w->ssl); /* said, not waited for */
    ERR_clear_error();
    SSL_free(w->ssl);
  }
  if (w->fd >= 0) {
    connected_drop(w);
    close(w->fd);
  }
  *w = (struct cable){.fd = -1};
}

static ssize_t outcome(struct cable *w, int why)
{
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return CABLE_LATER;
  if (why == SSL_ERROR_ZERO_RETURN) return CABLE_END;
  ERR_clear_error();
  SSL_set_quiet_shutdown(w->ssl, 1); /* after such an error nothing may be said any more */
  return CABLE_BROKEN;
}

static ssize_t read_now(struct cable *w, void *p, size_t n)
{
  if (!w->ssl) {
    ssize_t got = take(w, p, n);
    return got == 0 && atomic_load(&w->cut) ? CABLE_BROKEN : got >= 0 ? got : later() ? CABLE_LATER : CABLE_BROKEN;
  }
  ERR_clear_error();
  int rc = SSL_read(w->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n), why = rc > 0 ? SSL_ERROR_NONE : SSL_get_error(w->ssl, rc);
  if (why == SSL_ERROR_WANT_WRITE && w->until) { /* TLS itself has something to say first */
    if (ready(w, POLLOUT, w->until)) w->until = 0;
  }
  return rc > 0 ? rc : outcome(w, why);
}

ssize_t cable_read(struct cable *w, void *p, size_t n, int64_t until)
{
  w->until = until;
  ssize_t got = read_now(w, p, n);
  if (got == CABLE_LATER && w->until) got = CABLE_LATE;
  w->until = 0;
  return got;
}

ssize_t cable_write(struct cable *w, const void *p, size_t n)
{
  if (!w->ssl) {
    ssize_t went = put(w, p, n);
    return went > 0 ? went : went == 0 || later() ? CABLE_LATER : CABLE_BROKEN;
  }
  ERR_clear_error();
  int rc = SSL_write(w->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
  ssize_t went = rc > 0 ? rc : outcome(w, SSL_get_error(w->ssl, rc));
  return went == CABLE_END ? CABLE_BROKEN : went;
}

int cable_wait(struct cable *w, int64_t deadline)
{
  int got = ready(w, POLLIN | POLLOUT, deadline);
  return got & (POLLIN | POLLHUP | POLLERR) ? POLLIN | (got & POLLOUT) : got & POLLOUT;
}

bool cable_quiet(const struct cable *w)
{
  char one;
  if (w->ssl && SSL_has_pending(w->ssl)) return false;
  return recv(w->fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}
