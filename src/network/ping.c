#include "network/ping.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, TAKE = 64, MESSAGE = 32, MAGIC = 0x43504e31 /* CPN1 */, ROOM = 256 };
enum { FOUR, SIX, FAMILIES };
enum { TRY_AGAIN_US = 20000, TRY_MOST = 5 };

struct target {
  union { struct in_addr four; struct in6_addr six; } address;
  uint8_t family;                      /* 0 none, else 4 or 6 */
  bool on;
  uint8_t next, sent, answered, failed; /* packets that were tried, left, by bit, could not be sent */
  uint8_t tries;
  uint32_t serial;
  int64_t began, label;                /* µs; ms of the label */
  uint32_t sent_at[NETWORK_PACKETS_MOST]; /* µs after began */
  float rtt[NETWORK_PACKETS_MOST];     /* ms */
};

struct waiting { int target, packet; };

struct ping {
  struct ping_options o;
  int count;
  struct target *targets;
  struct schedule due;                 /* in µs */
  int sockets[FAMILIES];
  enum ping_method method[FAMILIES];
  uint16_t id[FAMILIES];
  uint64_t key[2];
  uint32_t serial;                     /* of targets before their first probe */
  struct ping_counters counters;
  struct waiting batch[FAMILIES][BATCH];
  int batched[FAMILIES];
};

int64_t clock_mono_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t real_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- SipHash-2-4 of one block and its length ------------------------------------------------------------------- */

static uint64_t rotate(uint64_t x, int b) { return x << b | x >> (64 - b); }

static void sip_round(uint64_t v[4]) {
  v[0] += v[1]; v[1] = rotate(v[1], 13) ^ v[0]; v[0] = rotate(v[0], 32);
  v[2] += v[3]; v[3] = rotate(v[3], 16) ^ v[2];
  v[0] += v[3]; v[3] = rotate(v[3], 21) ^ v[0];
  v[2] += v[1]; v[1] = rotate(v[1], 17) ^ v[2]; v[2] = rotate(v[2], 32);
}

static void sip_block(uint64_t v[4], uint64_t m) {
  v[3] ^= m;
  sip_round(v);
  sip_round(v);
  v[0] ^= m;
}

static uint64_t nonce_of(const struct ping *p, uint32_t target, uint32_t serial, uint32_t packet) {
  uint64_t v[4] = {p->key[0] ^ 0x736f6d6570736575u, p->key[1] ^ 0x646f72616e646f6du, p->key[0] ^ 0x6c7967656e657261u, p->key[1] ^ 0x7465646279746573u};
  sip_block(v, (uint64_t)target << 32 | serial);
  sip_block(v, (uint64_t)12 << 56 | packet);
  v[2] ^= 0xff;
  for (int i = 0; i < 4; i++) sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- sockets -------------------------------------------------------------------------------------------------------- */

/* The kernel hands over only echo replies with our identifier and mark. */
static void attach_filter(int fd, uint16_t id) {
  struct sock_filter code[] = {
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHOREPLY, 0, 5),
    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_IND, 8), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MAGIC, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, 0xffff), BPF_STMT(BPF_RET | BPF_K, 0)};
  struct sock_fprog program = {.len = BASE_COUNT(code), .filter = code};
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static void bind_source(int fd, int f, const char *source) {
  struct sockaddr_in four = {.sin_family = AF_INET};
  struct sockaddr_in6 six = {.sin6_family = AF_INET6};
  if (!source) return;
  int rc = f == FOUR ? (inet_pton(AF_INET, source, &four.sin_addr) == 1 ? bind(fd, (struct sockaddr *)&four, sizeof four) : -1)
                     : (inet_pton(AF_INET6, source, &six.sin6_addr) == 1 ? bind(fd, (struct sockaddr *)&six, sizeof six) : -1);
  if (rc) log_write(LOG_WARN, "network", "packets cannot be sent from %s", source);
}

static void open_socket(struct ping *p, int f) {
  int domain = f == FOUR ? AF_INET : AF_INET6, protocol = f == FOUR ? IPPROTO_ICMP : (int)IPPROTO_ICMPV6, on = 1, room = 8 << 20;
  int fd = socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  p->method[f] = fd >= 0 ? PING_RAW : PING_NONE;
  if (fd < 0 && (fd = socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)) >= 0) p->method[f] = PING_DGRAM;
  p->sockets[f] = fd;
  if (fd < 0) return;
  bind_source(fd, f, f == FOUR ? p->o.source4 : p->o.source6);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room)) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
  if (p->method[f] != PING_RAW) return;
  if (f == FOUR) attach_filter(fd, p->id[f]);
  else {
    struct icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
  }
}

static void take_options(struct ping *p, const struct ping_options *o, int targets) {
  p->o = *o;
  if (p->o.packets < 1 || p->o.packets > NETWORK_PACKETS_MOST) p->o.packets = 5;
  if (p->o.gap_ms < 1) p->o.gap_ms = 200;
  if (p->o.timeout_ms < 1) p->o.timeout_ms = 1500;
  p->count = targets;
  p->targets = base_alloc(((size_t)targets + 1) * sizeof *p->targets);
  for (int i = 0; i < targets; i++) p->targets[i].serial = p->serial;
  schedule_init(&p->due, targets);
}

struct ping *ping_new(const struct ping_options *o, int targets) {
  struct ping *p = base_alloc(sizeof *p);
  take_options(p, o, targets);
  random_bytes(p->key, sizeof p->key);
  random_bytes(p->id, sizeof p->id);
  for (int f = 0; f < FAMILIES; f++) open_socket(p, f);
  return p;
}

void ping_renew(struct ping *p, const struct ping_options *o, int targets) {
  schedule_free(&p->due);
  free(p->targets);
  p->serial += 1u << 20;
  memset(p->batched, 0, sizeof p->batched);
  take_options(p, o, targets);
}

int ping_sockets(const struct ping *p, int fds[2]) {
  int n = 0;
  for (int f = 0; f < FAMILIES; f++)
    if (p->sockets[f] >= 0) fds[n++] = p->sockets[f];
  return n;
}

void ping_free(struct ping *p) {
  if (!p) return;
  for (int f = 0; f < FAMILIES; f++)
    if (p->sockets[f] >= 0) close(p->sockets[f]);
  schedule_free(&p->due);
  free(p->targets);
  free(p);
}

enum ping_method ping_method(const struct ping *p, int family) { return p->method[family == AF_INET6 ? SIX : FOUR]; }
void ping_counters(const struct ping *p, struct ping_counters *out) { *out = p->counters; }
bool ping_busy(const struct ping *p, int target) { return p->targets[target].on; }

int ping_target(struct ping *p, int target, const char *address) {
  struct target *t = &p->targets[target];
  if (t->on) schedule_remove(&p->due, target);
  t->on = false;
  t->family = 0;
  if (!address || !address[0]) return 0;
  if (inet_pton(AF_INET, address, &t->address.four) == 1) t->family = 4;
  else if (inet_pton(AF_INET6, address, &t->address.six) == 1) t->family = 6;
  return t->family ? 0 : -1;
}

bool ping_start(struct ping *p, int target) {
  struct target *t = &p->targets[target];
  if (!t->family || t->on) return false;
  t->on = true;
  t->serial++;
  t->next = t->sent = t->answered = t->failed = t->tries = 0;
  t->began = clock_mono_us();
  t->label = p->o.label ? p->o.label(p->o.ctx) : clock_now();
  schedule_set(&p->due, target, t->began);
  return true;
}

/* ---- sending ------------------------------------------------------------------------------------------------------- */

static uint16_t checksum(const unsigned char *m, size_t n) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < n; i += 2) sum += (uint32_t)m[i] << 8 | m[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static void put32(unsigned char *at, uint32_t v) {
  for (int i = 0; i < 4; i++) at[i] = (unsigned char)(v >> (24 - 8 * i));
}

static uint32_t get32(const unsigned char *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

/* type code checksum id sequence | magic target serial packet nonce(8) */
static void compose(const struct ping *p, int f, int target, uint32_t packet, bool answer, unsigned char m[MESSAGE]) {
  const struct target *t = &p->targets[target];
  uint64_t nonce = nonce_of(p, (uint32_t)target, t->serial, packet);
  memset(m, 0, 8);
  m[0] = f == FOUR ? (answer ? ICMP_ECHOREPLY : ICMP_ECHO) : (answer ? ICMP6_ECHO_REPLY : ICMP6_ECHO_REQUEST);
  m[4] = (unsigned char)(p->id[f] >> 8);
  m[5] = (unsigned char)p->id[f];
  m[6] = (unsigned char)(t->serial & 31);
  m[7] = (unsigned char)packet;
  put32(m + 8, MAGIC);
  put32(m + 12, (uint32_t)target);
  put32(m + 16, t->serial);
  put32(m + 20, packet);
  put32(m + 24, (uint32_t)(nonce >> 32));
  put32(m + 28, (uint32_t)nonce);
  if (f == FOUR) {
    uint16_t sum = checksum(m, MESSAGE);
    m[2] = (unsigned char)(sum >> 8);
    m[3] = (unsigned char)sum;
  }
}

size_t ping_echo(const struct ping *p, int target, int packet, unsigned char out[64]) {
  compose(p, p->targets[target].family == 6 ? SIX : FOUR, target, (uint32_t)packet, true, out);
  return MESSAGE;
}

static socklen_t name_of(const struct target *t, struct sockaddr_storage *out) {
  memset(out, 0, sizeof *out);
  if (t->family == 4) {
    ((struct sockaddr_in *)out)->sin_family = AF_INET;
    ((struct sockaddr_in *)out)->sin_addr = t->address.four;
    return sizeof(struct sockaddr_in);
  }
  ((struct sockaddr_in6 *)out)->sin6_family = AF_INET6;
  ((struct sockaddr_in6 *)out)->sin6_addr = t->address.six;
  return sizeof(struct sockaddr_in6);
}

static void gone(struct ping *p, const struct waiting *w, int64_t now) {
  struct target *t = &p->targets[w->target];
  t->sent_at[w->packet] = (uint32_t)(now - t->began);
  t->sent++;
  p->counters.sent++;
}

static void stayed(struct ping *p, const struct waiting *w) {
  p->targets[w->target].failed |= (uint8_t)(1u << w->packet);
  p->counters.unsent++;
}

static bool passing(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM || error == EINTR; }

/* A full queue is tried again soon; what is refused otherwise (no route, not permitted) was not sent. */
static void send_batch(struct ping *p, int f) {
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  struct sockaddr_storage names[BATCH];
  unsigned char bytes[BATCH][MESSAGE];
  int n = p->batched[f], at = 0, tries = 0;
  p->batched[f] = 0;
  for (int i = 0; i < n; i++) {
    const struct waiting *w = &p->batch[f][i];
    compose(p, f, w->target, (uint32_t)w->packet, false, bytes[i]);
    parts[i] = (struct iovec){bytes[i], MESSAGE};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_namelen = name_of(&p->targets[w->target], &names[i]), .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  while (at < n) {
    int64_t now = clock_mono_us();
    int sent = p->sockets[f] < 0 ? -1 : sendmmsg(p->sockets[f], messages + at, (unsigned)(n - at), 0);
    for (int i = 0; i < sent; i++) gone(p, &p->batch[f][at + i], now);
    if (sent > 0) {
      at += sent;
      tries = 0;
    } else if (p->sockets[f] >= 0 && passing(errno) && tries++ < TRY_MOST) {
      struct pollfd ready = {.fd = p->sockets[f], .events = POLLOUT};
      poll(&ready, 1, TRY_AGAIN_US / 1000);
    } else {
      stayed(p, &p->batch[f][at++]);
      tries = 0;
    }
  }
}

/* ---- answers --------------------------------------------------------------------------------------------------------- */

static bool is_from(const struct target *t, int family, const struct sockaddr_storage *from) {
  if (family == AF_INET) return t->family == 4 && ((const struct sockaddr_in *)from)->sin_addr.s_addr == t->address.four.s_addr;
  return t->family == 6 && memcmp(&((const struct sockaddr_in6 *)from)->sin6_addr, &t->address.six, 16) == 0;
}

void ping_take(struct ping *p, int family, bool raw, const unsigned char *data, size_t size, const struct sockaddr_storage *from, int64_t at, int64_t stamp) {
  int f = family == AF_INET6 ? SIX : FOUR;
  if (raw && f == FOUR) {
    size_t header = size ? (size_t)(data[0] & 15) * 4 : 0;
    if (size < 20 || header < 20 || header > size) goto hostile;
    data += header;
    size -= header;
  }
  if (size != MESSAGE || data[0] != (f == FOUR ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) || data[1] || get32(data + 8) != MAGIC) goto hostile;
  if (raw && (data[4] != p->id[f] >> 8 || data[5] != (p->id[f] & 255))) goto hostile;
  uint32_t target = get32(data + 12), serial = get32(data + 16), packet = get32(data + 20);
  if (target >= (uint32_t)p->count || packet >= NETWORK_PACKETS_MOST) goto hostile;
  struct target *t = &p->targets[target];
  uint64_t nonce = (uint64_t)get32(data + 24) << 32 | get32(data + 28);
  if (nonce != nonce_of(p, target, serial, packet) || !is_from(t, family, from)) goto hostile;
  if (!t->on || serial != t->serial || t->answered >> packet & 1) {
    p->counters.late++;
    return;
  }
  if ((int)packet >= t->next || t->failed >> packet & 1) goto hostile;
  if (p->o.drop && p->o.drop(p->o.ctx, (int)target, t->serial * 8 + packet)) return;
  int64_t us = at - t->began - t->sent_at[packet];
  double ms = us > 0 ? (double)us / 1000 : 0.001;
  if (stamp) { /* the kernel knows better when it came, unless its clock was set meanwhile */
    double better = ms - (double)(real_ns() - stamp) / 1e6;
    if (better > 0 && better < ms) ms = better;
  }
  if (ms > p->o.timeout_ms + 0.0) {
    p->counters.late++;
    return;
  }
  t->answered |= (uint8_t)(1u << packet);
  t->rtt[packet] = (float)ms;
  p->counters.received++;
  if (t->next == p->o.packets && t->answered == (uint8_t)((1u << p->o.packets) - 1)) schedule_set(&p->due, (int)target, at); /* all here: no need to wait */
  return;
hostile:
  p->counters.hostile++;
}

static int64_t stamp_of(struct msghdr *m) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
      struct timespec t;
      memcpy(&t, CMSG_DATA(c), sizeof t);
      return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    }
  return 0;
}

static void take_in(struct ping *p, int f) {
  struct mmsghdr messages[TAKE];
  struct iovec parts[TAKE];
  struct sockaddr_storage names[TAKE];
  unsigned char bytes[TAKE][ROOM], control[TAKE][64];
  for (int rounds = 0; p->sockets[f] >= 0 && rounds < 64; rounds++) {
    for (int i = 0; i < TAKE; i++) {
      parts[i] = (struct iovec){bytes[i], ROOM};
      messages[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_namelen = sizeof names[i], .msg_iov = &parts[i], .msg_iovlen = 1,
                                            .msg_control = control[i], .msg_controllen = sizeof control[i]};
    }
    int n = recvmmsg(p->sockets[f], messages, TAKE, MSG_DONTWAIT, NULL);
    int64_t now = clock_mono_us();
    for (int i = 0; i < n; i++)
      ping_take(p, f == FOUR ? AF_INET : AF_INET6, p->method[f] == PING_RAW, bytes[i], messages[i].msg_len, &names[i], now, stamp_of(&messages[i].msg_hdr));
    if (n < TAKE) return;
  }
}

/* ---- the round ---------------------------------------------------------------------------------------------------------- */

static void finish(struct ping *p, int target) {
  struct target *t = &p->targets[target];
  double rtt[NETWORK_PACKETS_MOST];
  int count = 0;
  for (int i = 0; i < p->o.packets; i++)
    if (t->answered >> i & 1) rtt[count++] = t->rtt[i];
  struct core_result r = {.node = target, .sent_at = t->label, .at = p->o.label ? p->o.label(p->o.ctx) : clock_now(), .unsent = t->sent == 0};
  measure(&r.m, t->sent, rtt, count);
  schedule_remove(&p->due, target);
  t->on = false;
  p->o.done(p->o.ctx, &r);
}

/* What waited for its time is sent or over. */
static void advance(struct ping *p, int target, int64_t now) {
  struct target *t = &p->targets[target];
  if (t->next >= p->o.packets) {
    finish(p, target);
    return;
  }
  int f = t->family == 6 ? SIX : FOUR;
  p->batch[f][p->batched[f]++] = (struct waiting){target, t->next++};
  schedule_set(&p->due, target, t->next < p->o.packets ? t->began + (int64_t)t->next * p->o.gap_ms * 1000 : now + (int64_t)p->o.timeout_ms * 1000);
  if (p->batched[f] < BATCH) return;
  send_batch(p, f);
  take_in(p, f);
}

int64_t ping_turn(struct ping *p, int64_t now) {
  int64_t at = INT64_MAX;
  for (int f = 0; f < FAMILIES; f++) take_in(p, f); /* before anything is called lost */
  for (int target; (target = schedule_first(&p->due, &at)) >= 0 && at <= now;) advance(p, target, now);
  for (int f = 0; f < FAMILIES; f++)
    if (p->batched[f]) {
      send_batch(p, f);
      take_in(p, f);
    }
  return schedule_first(&p->due, &at) < 0 ? INT64_MAX : at;
}

void ping_wait(struct ping *p, int64_t until) {
  int64_t left = until - clock_mono_us();
  struct pollfd ready[FAMILIES] = {{.fd = p->sockets[FOUR], .events = POLLIN}, {.fd = p->sockets[SIX], .events = POLLIN}};
  struct timespec t = {.tv_sec = left > 0 ? left / 1000000 : 0, .tv_nsec = left > 0 ? left % 1000000 * 1000 : 0};
  ppoll(ready, FAMILIES, &t, NULL);
}
