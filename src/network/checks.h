/* Checks beside the echo (checks.c), and SNMP for them (snmp.c, agent.c): what an agent says is bounded and typed. */
#ifndef CHAPAR_NETWORK_CHECKS_H
#define CHAPAR_NETWORK_CHECKS_H

#include "network/inner.h"

struct asking {                      /* one check that is due, copied */
  int node, number;                  /* number: of its checks */
  struct check check;
  bool primary;                      /* where there is no echo, the first TCP or HTTP check is the probe */
  char code[NETWORK_CODE], address[64];
  int64_t began, interval;           /* monotonic ms */
};

/* Who has checks asked: whose turn it is, and where goes what came of them. All of it on the thread of checks_run. */
struct checks_for {
  void *ctx;
  bool (*next)(void *ctx, bool snmp, struct asking *out);
  void (*judge)(void *ctx, const struct asking *a, enum check_cause cause, double ms); /* ms: until the connection stood */
  void (*rows)(void *ctx, const struct asking *a, json_t *rows); /* interfaces, as a reading tells them; borrowed */
  bool (*over)(void *ctx);
  const char *access;                /* file of users of version 3 of SNMP, read anew when it changes; NULL none */
  int check_ms, idle_ms;             /* an answer within; how long nothing is looked for where nothing is under way */
};
/* All of them, of every kind, from one thread, many at once, until over. */
void checks_run(const struct checks_for *f);
/* Of one office's checks the first whose turn it is, or false. due: CHECKS_MOST moments (monotonic ms), 0 at the beginning; again_ms: until the one that is its probe is asked again.
 * Fills number, check, primary, began and interval. */
bool checks_turn(const struct check *list, int count, bool icmp, int seed, int64_t interval, int64_t again_ms, bool snmp, int64_t *due, struct asking *out);
/* 16 letters that tell one check from any other, its community included, and nothing of it. */
void check_mark(const struct check *c, char out[17]);
/* Under the lock: what came of a check of an office, asked here or by a prober elsewhere. at: label. What was not sent says nothing about the office. */
void checks_result(struct network *n, int node, int number, enum check_cause cause, int64_t at);
void checks_rows(struct network *n, int node, json_t *rows);          /* under the lock; borrowed */

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
/* One that is being asked, as long as five seconds, each question as long as one, and what is not answered up to three times. Of one thread. */
struct agent;
struct usm_users;
struct agent *agent_begin(const char *address, const struct check *c, const struct usm_users *users); /* users: for version 3; lives until the call returns */
void agent_end(struct agent *k);                                     /* accepts NULL */
/* Where something may come of each (fd -1: nothing more); answers the moment (monotonic ms) until which to wait at most. At most AGENTS_MOST. */
struct pollfd;
int64_t agents_files(struct agent *const *list, int count, int64_t until, struct pollfd *files);
void agents_turn(struct agent *const *list, int count, const struct pollfd *files); /* goes on with all: revents of agents_files */
/* Whether nothing more comes. cause: CHECK_OK, CHECK_SILENT (an answer did not come in time), CHECK_NOT_SENT, CHECK_NO_ACCESS (no such user in the file),
 * CHECK_DENIED (it says that this user is not known or may not, or told who it is and then nothing at all), CHECK_HIDDEN (it shows no interface) or CHECK_WRONG; list lives as long as the agent, count is 0 unless it is OK;
 * uptime: hundredths of a second, -1 when not told. */
bool agent_over(const struct agent *k, enum check_cause *cause, const struct interface **list, int *count, int64_t *uptime);
int64_t agent_boots(const struct agent *k);                          /* of version 3: how often it was begun; -1 not told */
/* Whether an agent was begun anew between two readings (hundredths of a second, ms between them): it does not run for as much longer as passed. 497 days turn over. */
bool snmp_rebooted(int64_t uptime, int64_t before, int64_t ms);
/* Bit/s between two readings, -1 unknown: begun anew (rebooted), running backwards, or faster than can be. 32 bits may have turned over once. */
int64_t snmp_rate(uint64_t now, uint64_t before, int64_t ms, bool wide, bool rebooted, uint64_t speed);

/* Readings of agents that are under way, and what each said before. */
struct readings;
struct readings *readings_new(const struct checks_for *f);
void readings_free(struct readings *k);
void readings_begin(struct readings *k);                             /* those whose turn it is */
int readings_files(struct readings *k, struct pollfd files[AGENTS_MOST], int64_t *until); /* how many; *until: as in agents_files */
void readings_turn(struct readings *k, const struct pollfd *files);

#endif
