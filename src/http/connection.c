#include "http/inner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINGER_MS = 2000, SCAN_MS = 100, DRAIN = 64 * 1024 };

static void peer_text(const struct sockaddr *addr, char out[64])
{
  out[0] = '\0';
  if (addr && addr->sa_family == AF_INET) {
    inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, out, 64);
  } else if (addr && addr->sa_family == AF_INET6) {
    const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(a)) inet_ntop(AF_INET, &a->s6_addr[12], out, 64);
    else inet_ntop(AF_INET6, a, out, 64);
  }
}

/* The address as one of IPv6; of such ones the first half, as a machine may take any of the rest. */
static void origin_of(const struct sockaddr *addr, unsigned char out[16])
{
  memset(out, 0, 16);
  if (addr && addr->sa_family == AF_INET) {
    out[10] = out[11] = 0xff;
    memcpy(out + 12, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
  } else if (addr && addr->sa_family == AF_INET6) {
    const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
    memcpy(out, a->s6_addr, IN6_IS_ADDR_V4MAPPED(a) ? 16 : 8);
  }
}

/* Has this address as many as it may? A few more get in when they come at the same moment. */
static bool has_enough(struct http_server *s, const struct sockaddr *addr)
{
  unsigned char from[16];
  int n = 0;
  if (s->o.per_address <= 0) return false;
  origin_of(addr, from);
  pthread_mutex_lock(&s->lock);
  for (const struct conn *c = s->conns.next; c != &s->conns; c = c->next) n += memcmp(c->from, from, sizeof from) == 0;
  pthread_mutex_unlock(&s->lock);
  return n >= s->o.per_address;
}

enum MHD_Result conn_accept(void *cls, const struct sockaddr *addr, socklen_t len)
{
  struct http_server *s = cls;
  char peer[64];
  bool full = atomic_load_explicit(&s->connections, memory_order_relaxed) >= s->o.most_connections || has_enough(s, addr);
  if (!full && s->o.peer_allowed) {
    peer_text(addr, peer);
    full = !s->o.peer_allowed(s->o.peer_ctx, peer);
  }
  if (!full) return MHD_YES;
  atomic_fetch_add(&s->refused, 1);
  return MHD_NO;
}

static void conn_open(struct http_server *s, struct MHD_Connection *mc, void **context)
{
  const union MHD_ConnectionInfo *fd = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CONNECTION_FD);
  struct conn *c = base_alloc(sizeof *c);
  c->fd = fd ? fd->connect_fd : -1;
  const union MHD_ConnectionInfo *addr = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  peer_text(addr ? addr->client_addr : NULL, c->peer);
  origin_of(addr ? addr->client_addr : NULL, c->from);
  atomic_store(&c->deadline, clock_mono() + s->o.deadline_ms);
  pthread_mutex_lock(&s->lock);
  c->next = &s->conns;
  c->prev = s->conns.prev;
  c->prev->next = s->conns.prev = c;
  pthread_mutex_unlock(&s->lock);
  atomic_fetch_add(&s->connections, 1);
  c->server = s;
  tls_conn_open(c, mc);
  *context = c;
}

/* Called before the library closes the socket: after this the reaper does not know it any more. */
static void conn_close(struct http_server *s, struct conn *c)
{
  pthread_mutex_lock(&s->lock);
  c->prev->next = c->next;
  c->next->prev = c->prev;
  if (c->linger && s->lingering_count < BASE_COUNT(s->lingering)) {
    int fd = dup(c->fd);
    if (fd >= 0) {
      shutdown(fd, SHUT_WR);
      s->lingering[s->lingering_count].fd = fd;
      s->lingering[s->lingering_count++].until = clock_mono() + LINGER_MS;
    }
  }
  pthread_mutex_unlock(&s->lock);
  atomic_fetch_sub(&s->connections, 1);
  memset(c, 0, sizeof *c);
}

void conn_notify(void *cls, struct MHD_Connection *mc, void **context, enum MHD_ConnectionNotificationCode code)
{
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    conn_open(cls, mc, context);
  } else if (*context) {
    tls_conn_close(*context);
    conn_close(cls, *context);
    free(*context);
    *context = NULL;
  }
}

/* A closing socket with unread bytes would be reset, and the answer lost with it: read on for a while. Lock is held. */
static void drain(struct http_server *s, int64_t now)
{
  static char rubbish[DRAIN];
  for (size_t i = 0; i < s->lingering_count;) {
    ssize_t n;
    int rounds = 0;
    do n = recv(s->lingering[i].fd, rubbish, sizeof rubbish, MSG_DONTWAIT);
    while (n > 0 && ++rounds < 16);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || now >= s->lingering[i].until) {
      close(s->lingering[i].fd);
      s->lingering[i] = s->lingering[--s->lingering_count];
    } else {
      i++;
    }
  }
}

static void *reap(void *cls)
{
  struct http_server *s = cls;
  while (!atomic_load(&s->reaper_end)) {
    usleep(SCAN_MS * 1000);
    int64_t now = clock_mono();
    pthread_mutex_lock(&s->lock);
    for (struct conn *c = s->conns.next; c != &s->conns; c = c->next) {
      int64_t deadline = atomic_load_explicit(&c->deadline, memory_order_relaxed);
      if (!deadline || now < deadline) continue;
      if (atomic_compare_exchange_strong(&c->deadline, &deadline, 0)) {
        shutdown(c->fd, SHUT_RDWR);
        atomic_fetch_add(&s->reaped, 1);
      }
    }
    drain(s, now);
    pthread_mutex_unlock(&s->lock);
  }
  return NULL;
}

int reaper_start(struct http_server *s, struct err *err)
{
  if (pthread_create(&s->reaper, NULL, reap, s)) return err_set(err, ERR_UNAVAILABLE, "no thread for the reaper");
  s->reaping = true;
  return 0;
}

void reaper_stop(struct http_server *s)
{
  if (!s->reaping) return;
  atomic_store(&s->reaper_end, true);
  pthread_join(s->reaper, NULL);
  s->reaping = false;
  for (size_t i = 0; i < s->lingering_count; i++) close(s->lingering[i].fd);
  s->lingering_count = 0;
}
