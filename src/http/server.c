#include "http/inner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTION_MEMORY = 16 * 1024, /* heads up to about 10 KiB; the library clears it after each request */
       STOP_MS = 10000, TOLD_MS = 2000 /* until they have the answer that says so */, BACKLOG = 4096 };

static const struct http_route no_route = {.method = "", .path = "", .help = "requests that reach no route"};

/* "address:port", "[v6]:port", ":port": split into the two. */
static int split_listen(const char *listen, char host[256], char port[8], struct err *err)
{
  const char *colon = strrchr(listen, ':');
  size_t n = colon ? (size_t)(colon - listen) : 0;
  int64_t number;
  if (!colon || n >= 256 || strlen(colon + 1) > 5 || parse_i64(colon + 1, &number) || number < 0 || number > 65535)
    return err_set(err, ERR_INVALID, "listen address %.100s: expected ADDRESS:PORT", listen);
  if (n >= 2 && listen[0] == '[' && listen[n - 1] == ']') listen++, n -= 2;
  memcpy(host, listen, n);
  host[n] = '\0';
  memcpy(port, colon + 1, strlen(colon + 1) + 1);
  return 0;
}

static int bind_to(const struct addrinfo *a)
{
  int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, zero = 0;
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (a->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
  if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, BACKLOG)) return fd;
  int kept = errno;
  close(fd);
  errno = kept;
  return -1;
}

static int listen_on(struct http_server *s, struct err *err)
{
  char host[256], port[8];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
  if (split_listen(s->listen, host, port, err)) return -1;
  int code = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
  if (code) return err_set(err, ERR_INVALID, "listen address %.100s: %s", s->listen, gai_strerror(code));
  for (int round = 0; round < 2 && s->fd < 0; round++) /* ":port" takes both families through IPv6 where there is one */
    for (const struct addrinfo *a = list; a && s->fd < 0; a = a->ai_next)
      if ((a->ai_family == AF_INET6) == (round == 0) || host[0]) s->fd = bind_to(a);
  int kept = errno;
  freeaddrinfo(list);
  if (s->fd < 0) return err_set(err, ERR_UNAVAILABLE, "cannot listen on %.100s: %s", s->listen, strerror(kept));
  union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } name;
  socklen_t size = sizeof name;
  if (getsockname(s->fd, &name.any, &size)) return err_set(err, ERR_INTERNAL, "getsockname: %s", strerror(errno));
  s->port = ntohs(name.any.sa_family == AF_INET6 ? name.v6.sin6_port : name.v4.sin_port);
  return 0;
}

int http_server_new(const struct http_options *o, struct http_server **out, struct err *err)
{
  if (!o->listen) return err_set(err, ERR_INVALID, "no listen address");
  struct http_server *s = base_alloc(sizeof *s);
  s->o = *o;
  s->listen = base_strdup(o->listen);
  s->fd = -1;
  if (s->o.deadline_ms <= 0) s->o.deadline_ms = 20000;
  if (s->o.most_connections <= 0) s->o.most_connections = 4000;
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  s->threads = o->threads > 0 ? o->threads : cores > 0 ? (int)cores : 1;
  s->workers = o->workers > 0 ? o->workers : 4;
  s->queue = o->queue > 0 ? o->queue : 64 * s->workers;
  if (o->server_name) {
    const char *authority = strstr(o->server_name, "://");
    size_t n = authority ? (size_t)(authority + 3 - o->server_name) + strcspn(authority + 3, "/") : strlen(o->server_name);
    s->origin = base_printf("%.*s", (int)n, o->server_name);
    s->secure = base_starts(s->origin, "https://");
  }
  s->trusted = base_strdup(o->trusted_proxies);
  s->router = router_new();
  s->assets = assets_new();
  s->nothing.route = &no_route;
  s->conns.prev = s->conns.next = &s->conns;
  pthread_mutex_init(&s->lock, NULL);
  *out = s;
  return 0;
}

int http_server_routes(struct http_server *s, const struct http_route *rows, size_t n, void *ctx, struct err *err)
{
  for (size_t i = 0; i < n; i++) {
    struct row *row = base_alloc(sizeof *row);
    row->route = &rows[i];
    row->ctx = ctx;
    s->rows = base_realloc(s->rows, (s->row_count + 1) * sizeof(struct row *));
    s->rows[s->row_count++] = row;
    if (router_add(s->router, row, err)) return -1;
  }
  return 0;
}

void http_server_hooks(struct http_server *s, http_authorise authorise, http_error_page page, void *ctx)
{
  s->authorise = authorise;
  s->page = page;
  s->hook_ctx = ctx;
}

static size_t keep_escapes(void *cls, struct MHD_Connection *c, char *s)
{
  return strlen(s);
}

__attribute__((format(printf, 2, 0))) static void on_library_message(void *cls, const char *fmt, va_list args)
{
  char text[300];
  vsnprintf(text, sizeof text, fmt, args);
  text[strcspn(text, "\r\n")] = '\0';
  log_write(LOG_DEBUG, "http", "libmicrohttpd: %s", text);
}

int http_server_start(struct http_server *s, struct err *err)
{
  signal(SIGPIPE, SIG_IGN);
  if (s->daemon) return err_set(err, ERR_CONFLICT, "the server is already running");
  if (listen_on(s, err)) return -1;
  s->pool = pool_new(s->workers, s->queue);
  if (!s->pool) return err_set(err, ERR_UNAVAILABLE, "no threads for %d workers", s->workers);
  unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
  /* Connections do not spread evenly over the threads: each may hold all of them, conn_accept keeps the total. */
  unsigned most = (unsigned)((s->o.most_connections + 16) * s->threads);
  struct MHD_OptionItem tls[4];
  if (tls_options(s, tls)) flags |= MHD_USE_TLS;
  s->daemon = MHD_start_daemon(flags, 0, conn_accept, s, request_on, s,
    MHD_OPTION_EXTERNAL_LOGGER, on_library_message, NULL,
    MHD_OPTION_LISTEN_SOCKET, s->fd,
    MHD_OPTION_THREAD_POOL_SIZE, (unsigned)(s->threads > 1 ? s->threads : 0),
    MHD_OPTION_CONNECTION_LIMIT, most,
    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
    MHD_OPTION_CONNECTION_TIMEOUT, 0u,
    MHD_OPTION_STRICT_FOR_CLIENT, 1,
    MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
    MHD_OPTION_URI_LOG_CALLBACK, request_new, s,
    MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
    MHD_OPTION_NOTIFY_COMPLETED, request_done, s,
    MHD_OPTION_NOTIFY_CONNECTION, conn_notify, s,
    MHD_OPTION_ARRAY, tls,
    MHD_OPTION_END);
  if (!s->daemon) return err_set(err, ERR_UNAVAILABLE, "the HTTP server cannot start on %.100s", s->listen);
  return reaper_start(s, err);
}

int http_server_port(const struct http_server *s)
{
  return s->port;
}

void http_server_quiet(struct http_server *s)
{
  if (!s || !s->daemon || atomic_exchange(&s->stopping, true)) return;
  /* Refused from now on. It is closed when the library's threads are no more: one of them may be about to accept, and the number would be another's. */
  s->fd = MHD_quiesce_daemon(s->daemon);
  if (s->fd >= 0) shutdown(s->fd, SHUT_RDWR);
}

void http_server_stop(struct http_server *s)
{
  if (!s || !s->daemon) return;
  int64_t until = clock_mono() + STOP_MS;
  http_server_quiet(s);
  while (atomic_load(&s->active) > 0 && clock_mono() < until) {
    feeds_wake(s);
    usleep(5000);
  }
  bool cut = atomic_load(&s->held) > 0;
  for (until += STOP_MS; atomic_load(&s->held) > 0 && clock_mono() < until; usleep(20000)) http_calls_cut(); /* what is begun meanwhile too */
  for (until = clock_mono() + TOLD_MS; cut && atomic_load(&s->active) > 0 && clock_mono() < until;) usleep(5000);
  if (atomic_load(&s->held) > 0) {
    /* Somebody still holds a suspended request: its memory must stay. The process is about to end. */
    log_write(LOG_WARN, "http", "%lld requests were not finished at the stop", (long long)atomic_load(&s->held));
    return;
  }
  reaper_stop(s);
  MHD_stop_daemon(s->daemon);
  s->daemon = NULL;
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
  pool_free(s->pool);
  s->pool = NULL;
}

void http_server_free(struct http_server *s)
{
  if (!s) return;
  http_server_stop(s);
  if (s->daemon) return;
  if (s->fd >= 0) close(s->fd);
  pool_free(s->pool);
  for (size_t i = 0; i < s->row_count; i++) {
    for (size_t k = 0; k < s->rows[i]->name_count; k++) free(s->rows[i]->names[k]);
    free(s->rows[i]);
  }
  free(s->rows);
  router_free(s->router);
  feeds_free(s);
  assets_free(s->assets);
  tls_free(s);
  pthread_mutex_destroy(&s->lock);
  free(s->listen);
  free(s->origin);
  free(s->trusted);
  free(s);
}

void http_server_each(const struct http_server *s, void (*fn)(void *ctx, const struct http_route *row), void *ctx)
{
  for (size_t i = 0; i < s->row_count; i++) fn(ctx, s->rows[i]->route);
}
