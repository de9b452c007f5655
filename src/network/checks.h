/* Checks beside the echo (checks.c), and SNMP for them (snmp.c, agent.c): what an agent says is bounded and typed. */
#ifndef CHAPAR_NETWORK_CHECKS_H
#define CHAPAR_NETWORK_CHECKS_H

#include "network/inner.h"

struct asking {                      /* one check that is due, copied under the lock */
  int node, number;                  /* number: of its checks */
  struct check check;
  bool primary;                      /* where there is no echo, the first TCP or HTTP check is the probe */
  char code[NETWORK_CODE], address[64];
  int64_t began, interval;           /* monotonic ms */
};

/* Whose turn it is. Each thread has turns of its own; zeroed at the beginning, due is freed by whoever has it. */
struct turns { int64_t *due; int room, at; };
bool checks_next(struct network *n, struct turns *k, bool snmp, struct asking *out);
/* What came of it. ms: until the connection stood. */
void checks_judge(struct network *n, const struct asking *a, enum check_cause cause, double ms);

/* An agent's interfaces: 64 bits (ifXTable), else 32 bits (ifTable). */
struct interface {
  int64_t number;
  char name[64];
  uint64_t in, out, in_errors, out_errors, speed; /* speed: bit/s, 0 unknown */
  int up;                            /* 1, 0, -1: not told */
  bool wide;                         /* 64 bits */
  unsigned there;
};
enum { INTERFACES_MOST = 128, AGENTS_MOST = 128 }; /* kept of one; asked at once */
/* One that is being asked, as long as five seconds, each question as long as one. Of one thread. */
struct agent;
struct agent *agent_begin(const char *address, const char *community); /* community may have @PORT behind it */
void agent_end(struct agent *k);                                     /* accepts NULL */
/* Waits until something comes of any, at most so long, and goes on with all. At most AGENTS_MOST. */
void agents_turn(struct agent *const *list, int count, int64_t most_ms);
/* Whether nothing more comes. cause: CHECK_OK, CHECK_SILENT (nothing came that was an answer), CHECK_NOT_SENT or CHECK_WRONG; list lives as long as the agent, count is 0 unless it is OK;
 * uptime: hundredths of a second, -1 when not told. */
bool agent_over(const struct agent *k, enum check_cause *cause, const struct interface **list, int *count, int64_t *uptime);
/* Bit/s between two readings, -1 unknown: begun anew (rebooted), running backwards, or faster than can be. 32 bits may have turned over once. */
int64_t snmp_rate(uint64_t now, uint64_t before, int64_t ms, bool wide, bool rebooted, uint64_t speed);

#endif
