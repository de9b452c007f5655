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

enum { DEAD_MS = 10000 };

/* A line that is cut says nothing: what was sent is acknowledged within DEAD_MS, and while an answer is waited for the peer's system is asked whether it
 * is still there. So a call ends, and goes on elsewhere, long before the patience with a slow provider is over. */
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
  if (w->fd >= 0 && fcntl(w->fd, F_SETFL, fcntl(w->fd, F_GETFL) | O_NONBLOCK) == 0) {
    connected_add(w);
    return 0;
  }
  if (w->fd >= 0) close(w->fd);
  w->fd = -1;
  enum err_code why = code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ? ERR_INVALID : ERR_UNAVAILABLE;
  return err_set(err, why, "%s: %s", base, why == ERR_INVALID ? "the address cannot be called" : *said ? said : code ? curl_easy_strerror(code) : "no connection");
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
  if (!w->ssl || SSL_set_fd(w->ssl, w->fd) != 1 || SSL_set_app_data(w->ssl, mark) != 1 || whose(w->ssl, name, judged)) return refused(w, name, err);
  for (;;) {
    ERR_clear_error();
    int rc = SSL_connect(w->ssl), why = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(w->ssl, rc);
    if (rc == 1) return 0;
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return refused(w, name, err);
    struct pollfd p = {.fd = w->fd, .events = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT};
    int64_t left = deadline - clock_mono();
    if (left <= 0 || (poll(&p, 1, (int)left) == 0 && clock_mono() >= deadline)) return err_set(err, ERR_UNAVAILABLE, "%s: no TLS connection: timed out", name);
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

static ssize_t outcome(struct cable *w, int rc)
{
  int why = SSL_get_error(w->ssl, rc);
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return CABLE_LATER;
  if (why == SSL_ERROR_ZERO_RETURN) return CABLE_END;
  ERR_clear_error();
  SSL_set_quiet_shutdown(w->ssl, 1); /* after such an error nothing may be said any more */
  return CABLE_BROKEN;
}

ssize_t cable_read(struct cable *w, void *p, size_t n)
{
  if (!w->ssl) {
    ssize_t got = recv(w->fd, p, n, 0);
    return got == 0 && atomic_load(&w->cut) ? CABLE_BROKEN : got >= 0 ? got : errno == EAGAIN || errno == EINTR ? CABLE_LATER : CABLE_BROKEN;
  }
  ERR_clear_error();
  int rc = SSL_read(w->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
  return rc > 0 ? rc : outcome(w, rc);
}

ssize_t cable_write(struct cable *w, const void *p, size_t n)
{
  if (!w->ssl) {
    ssize_t put = send(w->fd, p, n, MSG_NOSIGNAL);
    return put > 0 ? put : put == 0 || errno == EAGAIN || errno == EINTR ? CABLE_LATER : CABLE_BROKEN;
  }
  ERR_clear_error();
  int rc = SSL_write(w->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
  ssize_t put = rc > 0 ? rc : outcome(w, rc);
  return put == CABLE_END ? CABLE_BROKEN : put;
}

int cable_wait(struct cable *w, bool write, int64_t deadline)
{
  struct pollfd p = {.fd = w->fd, .events = (short)(POLLIN | (write ? POLLOUT : 0))};
  for (;;) {
    int64_t left = deadline - clock_mono();
    if (left <= 0) return 0;
    int n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
    if (n > 0) return p.revents & (POLLIN | POLLHUP | POLLERR) ? POLLIN | (p.revents & POLLOUT) : p.revents & POLLOUT;
    if (n < 0 && errno != EINTR) return POLLIN; /* reading will say what is wrong */
  }
}

bool cable_quiet(const struct cable *w)
{
  char one;
  if (w->ssl && SSL_has_pending(w->ssl)) return false;
  return recv(w->fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}
