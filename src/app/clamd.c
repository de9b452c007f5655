/* clamd's protocol: a command ended by NUL, chunks with their length in four bytes, one answer (clamd(8), INSTREAM). */
#include "app/clamd.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024, ANSWER_MOST = 512, CONNECT_MS = 3000, SCAN_MS = 20000, PING_MS = 2000, TURN_MS = 5000, HEARD_MS = 2000, PAUSE_MS = 500 };

struct clamd {
  char path[108], host[256], port[8]; /* a path, or host and port */
  int most;
  pthread_mutex_t lock;               /* what follows */
  pthread_cond_t turn;
  int busy;
  int64_t heard, missed;              /* clock_mono of the last answer, and of the last time when there was none; 0: never */
  _Atomic int64_t clean, found, failed;
};

/* ---- the answer ---- */

static bool ends(const char *p, size_t n, const char *with) {
  size_t m = strlen(with);
  return n >= m && memcmp(p + n - m, with, m) == 0;
}

enum clamd_verdict clamd_answer(const char *p, size_t n, char name[CLAMD_NAME]) {
  static const char before[] = "stream: ", after[] = " FOUND";
  const char *nul = n ? memchr(p, 0, n) : NULL;
  if (nul) n = (size_t)(nul - p);
  while (n && (p[n - 1] == '\n' || p[n - 1] == '\r')) n--;
  name[0] = 0;
  if (n < sizeof before - 1 || memcmp(p, before, sizeof before - 1) != 0) return CLAMD_FAULT;
  p += sizeof before - 1;
  n -= sizeof before - 1;
  if (n == 2 && memcmp(p, "OK", 2) == 0) return CLAMD_CLEAN;
  if (n < sizeof after || !ends(p, n, after)) return CLAMD_FAULT;
  n -= sizeof after - 1;
  size_t k = 0;
  for (size_t i = 0; i < n && k < CLAMD_NAME - 1; i++) name[k++] = p[i] > ' ' && p[i] < 0x7f ? p[i] : '_';
  name[k] = 0;
  return CLAMD_FOUND;
}

/* ---- the connection ---- */

/* 0 when the descriptor is ready before the deadline. */
static int ready(int fd, short what, int64_t until) {
  for (;;) {
    int64_t left = until - clock_mono();
    struct pollfd p = {.fd = fd, .events = what};
    if (left <= 0) return -1;
    int n = poll(&p, 1, (int)left);
    if (n > 0) return 0;
    if (n == 0 || errno != EINTR) return -1;
  }
}

static int connect_to(const struct sockaddr *address, socklen_t size, int64_t until) {
  int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), fault = 0;
  socklen_t n = sizeof fault;
  if (fd < 0) return -1;
  if (connect(fd, address, size) == 0) return fd;
  if ((errno == EINPROGRESS || errno == EAGAIN) && ready(fd, POLLOUT, until) == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &n) == 0 && fault == 0) return fd;
  close(fd);
  return -1;
}

static int reach(const struct clamd *c, int64_t until) {
  if (c->path[0]) {
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    memcpy(local.sun_path, c->path, strlen(c->path) + 1);
    return connect_to((const struct sockaddr *)&local, sizeof local, until);
  }
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
  int fd = -1;
  if (getaddrinfo(c->host, c->port, &hints, &list)) return -1;
  for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) fd = connect_to(a->ai_addr, a->ai_addrlen, until);
  freeaddrinfo(list);
  return fd;
}

static int give(int fd, const void *p, size_t n, int64_t until) {
  for (const char *at = p; n;) {
    ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
    if (k > 0) at += k, n -= (size_t)k;
    else if (errno != EINTR && ((errno != EAGAIN && errno != EWOULDBLOCK) || ready(fd, POLLOUT, until))) return -1;
  }
  return 0;
}

/* The whole answer: up to its NUL or the end of the connection. */
static size_t hear(int fd, char out[ANSWER_MOST], int64_t until) {
  size_t n = 0;
  while (n < ANSWER_MOST && ready(fd, POLLIN, until) == 0) {
    ssize_t k = recv(fd, out + n, ANSWER_MOST - n, 0);
    if (k < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) continue;
    if (k <= 0) break;
    n += (size_t)k;
    if (memchr(out, 0, n)) break;
  }
  return n;
}

/* Whoever refuses to read on (too large for it, say) may have answered already. */
static void stream(int fd, const unsigned char *p, size_t n, int64_t until) {
  static const unsigned char end[4] = {0};
  if (give(fd, "zINSTREAM", 10, until)) return;
  for (size_t at = 0, k; at < n; at += k) {
    k = n - at < CHUNK ? n - at : CHUNK;
    unsigned char size[4] = {(unsigned char)(k >> 24), (unsigned char)(k >> 16), (unsigned char)(k >> 8), (unsigned char)k};
    if (give(fd, size, 4, until) || give(fd, p + at, k, until)) return;
  }
  give(fd, end, sizeof end, until);
}

/* ---- turns ---- */

static void note(struct clamd *c, bool answered) {
  pthread_mutex_lock(&c->lock);
  if (answered) c->heard = clock_mono(), c->missed = 0;
  else c->missed = clock_mono();
  pthread_mutex_unlock(&c->lock);
}

/* A daemon that has just not answered is asked again after a moment, so that it does not hold every worker. */
static int take_turn(struct clamd *c, struct err *err) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += TURN_MS / 1000;
  int rc = 0;
  pthread_mutex_lock(&c->lock);
  if (c->missed && clock_mono() - c->missed < PAUSE_MS) rc = err_set(err, ERR_UNAVAILABLE, "clamd has just not answered");
  while (rc == 0 && c->busy >= c->most)
    if (pthread_cond_clockwait(&c->turn, &c->lock, CLOCK_MONOTONIC, &until)) rc = err_set(err, ERR_UNAVAILABLE, "clamd is busy with other documents");
  if (rc == 0) c->busy++;
  pthread_mutex_unlock(&c->lock);
  return rc;
}

static void end_turn(struct clamd *c) {
  pthread_mutex_lock(&c->lock);
  c->busy--;
  pthread_cond_signal(&c->turn);
  pthread_mutex_unlock(&c->lock);
}

/* ---- for app ---- */

static int read_address(struct clamd *c, const char *text, struct err *err) {
  if (base_starts(text, "unix:/")) {
    if (strlen(text + 5) >= sizeof c->path) return err_set(err, ERR_INVALID, "the path of clamd's socket is longer than 107 bytes");
    memcpy(c->path, text + 5, strlen(text + 5) + 1);
    return 0;
  }
  int64_t port = 0;
  const char *colon = strrchr(text, ':');
  size_t n = colon ? (size_t)(colon - text) : 0;
  if (!n || n >= sizeof c->host || parse_i64(colon + 1, &port) || port < 1 || port > 65535)
    return err_set(err, ERR_INVALID, "clamd is `unix:/path/of/its/socket` or `host:port`");
  bool bracket = text[0] == '[' && n > 2 && text[n - 1] == ']';
  snprintf(c->host, sizeof c->host, "%.*s", (int)(bracket ? n - 2 : n), text + bracket);
  snprintf(c->port, sizeof c->port, "%d", (int)port);
  return 0;
}

int clamd_open(const char *address, int most, struct clamd **out, struct err *err) {
  struct clamd *c = base_alloc(sizeof *c);
  c->most = most > 1 ? most : 1;
  pthread_mutex_init(&c->lock, NULL);
  pthread_cond_init(&c->turn, NULL);
  if (read_address(c, address, err) == 0) {
    *out = c;
    return 0;
  }
  clamd_close(c);
  return -1;
}

void clamd_close(struct clamd *c) {
  if (!c) return;
  pthread_cond_destroy(&c->turn);
  pthread_mutex_destroy(&c->lock);
  free(c);
}

static int scan(struct clamd *c, const void *p, size_t n, char name[CLAMD_NAME], struct err *err) {
  char said[ANSWER_MOST];
  int64_t now = clock_mono();
  int fd = reach(c, now + CONNECT_MS);
  if (fd < 0) {
    note(c, false);
    return err_set(err, ERR_UNAVAILABLE, "clamd is not reached");
  }
  stream(fd, p, n, now + SCAN_MS);
  size_t got = hear(fd, said, now + SCAN_MS);
  close(fd);
  enum clamd_verdict v = clamd_answer(said, got, name);
  note(c, got > 0);
  if (v == CLAMD_FAULT) {
    char shown[64];
    size_t k = 0;
    for (; k < got && k < sizeof shown - 1; k++) shown[k] = said[k] >= ' ' && said[k] < 0x7f ? said[k] : ' ';
    shown[k] = 0;
    return err_set(err, ERR_UNAVAILABLE, "clamd gave no verdict: %s", got ? shown : "no answer in time");
  }
  return v == CLAMD_FOUND;
}

int clamd_scan(struct clamd *c, const void *p, size_t n, char name[CLAMD_NAME], struct err *err) {
  name[0] = 0;
  int rc = take_turn(c, err);
  if (rc == 0) {
    rc = scan(c, p, n, name, err);
    end_turn(c);
  }
  if (rc < 0) c->failed++;
  else if (rc) c->found++;
  else c->clean++;
  return rc;
}

int clamd_ping(struct clamd *c, struct err *err) {
  char said[ANSWER_MOST];
  int64_t now = clock_mono();
  pthread_mutex_lock(&c->lock);
  bool good = c->heard && now - c->heard < HEARD_MS && !c->missed, bad = c->missed && now - c->missed < PAUSE_MS;
  pthread_mutex_unlock(&c->lock);
  if (good) return 0;
  int fd = bad ? -1 : reach(c, now + PING_MS);
  bool answered = fd >= 0 && give(fd, "zPING", 6, now + PING_MS) == 0 && hear(fd, said, now + PING_MS) >= 4 && memcmp(said, "PONG", 4) == 0;
  if (fd >= 0) close(fd);
  if (!bad) note(c, answered);
  return answered ? 0 : err_set(err, ERR_UNAVAILABLE, "clamd does not answer: documents are not taken until it does");
}

void clamd_read(struct clamd *c, struct clamd_figures *out) {
  *out = (struct clamd_figures){.clean = c->clean, .found = c->found, .failed = c->failed, .up = clamd_ping(c, NULL) == 0};
}
