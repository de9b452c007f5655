/*
 * The prober's helper as seen by who plans probes: targets are numbers with an address; what is started ends with a result. A helper that ends is followed by
 * another within a second, and what was under way begins anew; when there is none for longer, or it says nothing more, results are "unsent": this machine
 * did not ask, which says nothing of anybody. Not thread-safe.
 */
#ifndef CHAPAR_NETWORK_LINK_H
#define CHAPAR_NETWORK_LINK_H

#include "network/ping.h"

#include <poll.h>

struct link;
/* Begins it, with the privileges that this thread has now. source4, source6: to send from, or NULL. */
struct link *link_new(const char *source4, const char *source6);
void link_free(struct link *l);
/* Other targets from now on (1,000,000 at most); what was under way has no result. o: packets, gap_ms, timeout_ms, ctx, done (from within link_turn) and label. */
void link_open(struct link *l, const struct ping_options *o, int targets);
int link_target(struct link *l, int target, const char *address); /* literal; NULL or "" takes it out. -1 when it is not one */
bool link_start(struct link *l, int target);         /* a probe, now; false while one is under way or there is no address */
bool link_busy(const struct link *l, int target);
void link_cut(struct link *l, int target, int kind); /* the demonstration: 0 not, 1 no answer is taken in, 2 not all */
int64_t link_turn(struct link *l, int64_t now);      /* tells and takes in. now: clock_mono_us(). The moment at which it wants another turn at the latest */
struct pollfd link_ready(const struct link *l);      /* what to wait for */
void link_wait(struct pollfd ready, int64_t until);  /* at most until this moment (µs) */
enum ping_method link_method(const struct link *l, int family); /* PING_NONE also while it is away */
void link_counters(const struct link *l, struct ping_counters *out); /* since link_new */
bool link_robbed(const struct link *l);              /* it could send once, and cannot now: the process that kept the capability was ended */
bool link_there(const struct link *l);               /* false: away for longer than it takes to begin another */

#endif
