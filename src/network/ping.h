/*
 * Echo requests in batches, from one thread. Nothing of states: targets are numbers with an address.
 * An answer counts when it comes from the address that was asked, carries our identifier, the serial of the probe that is under way, a packet of it that was
 * not answered yet, and the keyed nonce (SipHash-2-4) of these; anything else changes nothing but a counter.
 */
#ifndef CHAPAR_NETWORK_PING_H
#define CHAPAR_NETWORK_PING_H

#include "network/core.h"

#include <netinet/in.h>

enum ping_method { PING_NONE, PING_RAW, PING_DGRAM };

struct ping_options {
  int packets, gap_ms, timeout_ms;
  const char *source4, *source6;
  void *ctx;
  /* A probe ended. m.sent counts what left this machine; unsent: nothing did. From within ping_turn. */
  void (*done)(void *ctx, const struct core_result *r);
  int64_t (*label)(void *ctx);                       /* the time by which results are labelled; NULL: clock_now */
  bool (*drop)(void *ctx, int target, uint32_t packet); /* the demonstration: this answer is not taken in; NULL: none */
};
struct ping_counters { int64_t sent, received, late, hostile, unsent; };

struct ping;
/* Never refuses: where no socket may be opened the method is PING_NONE and every probe is unsent. */
struct ping *ping_new(const struct ping_options *o, int targets);
void ping_renew(struct ping *p, const struct ping_options *o, int targets); /* the same sockets for other targets; what was under way is forgotten, and its answers are late */
void ping_free(struct ping *p);
int ping_sockets(const struct ping *p, int fds[2]);  /* to wait for; how many */
enum ping_method ping_method(const struct ping *p, int family); /* AF_INET, AF_INET6 */
/* address: literal; NULL or "" takes the target out. -1 when it is not one. */
int ping_target(struct ping *p, int target, const char *address);
bool ping_start(struct ping *p, int target);         /* begins a probe now; false while one is under way or there is no address */
bool ping_busy(const struct ping *p, int target);
/* Send what is due, take in what came, end what is over. now: clock_mono_us(). Answers the moment (µs) at which something is due next, INT64_MAX when nothing is. */
int64_t ping_turn(struct ping *p, int64_t now);
void ping_wait(struct ping *p, int64_t until);       /* for answers, at most until this moment (µs) */
void ping_counters(const struct ping *p, struct ping_counters *out);
int64_t clock_mono_us(void);

/* One datagram as it came: judged as above. raw: an IPv4 header stands before it. Public for tests and the fuzz target. at: µs (monotonic); stamp: ns of the kernel's clock, 0 none. */
void ping_take(struct ping *p, int family, bool raw, const unsigned char *data, size_t size, const struct sockaddr_storage *from, int64_t at, int64_t stamp);
size_t ping_echo(const struct ping *p, int target, int packet, unsigned char out[64]); /* the answer that would count, as ICMP message: for tests */

#endif
