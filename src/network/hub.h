/* Shared by what a prober elsewhere does and what the centre does about it. */
#ifndef CHAPAR_NETWORK_HUB_H
#define CHAPAR_NETWORK_HUB_H

#include "network/inner.h"

#include <openssl/evp.h>

enum { HUB_REPORT_MOST = 1 << 20, HUB_BATCH_MOST = 4000 };
#define HUB_REPORT "chapar-report-v1\n"                      /* what a signature is over, before the body: one is never good for the other */
#define HUB_JOIN "chapar-join-v1\n"
EVP_PKEY *hub_open_key(const char *folder, struct err *err);  /* FOLDER/prober.pem, made when missing */
char *hub_sign(EVP_PKEY *key, const char *what, const void *body, size_t n);  /* what: HUB_REPORT or HUB_JOIN; base64; caller frees */
bool hub_verify(const char *key, const char *what, const void *body, size_t n, const char *signature);
/* [code, at, sent, lost, min, median, p95, max, jitter]: a probe as it is kept and reported; ms, the last five only where something answered. A check beside it is
 * [code, at, "check", number, mark, cause]; what could not be sent [code, at, 0, 0], which says nothing about the office; a reading of an agent [code, at, mark, [[as hub_row_names]…]]. */
json_t *hub_sample(const char *code, const struct core_result *r);
enum { HUB_ROW = 9, HUB_ROWS_MOST = 2000 };                  /* rows of one report */
extern const char *const hub_row_names[HUB_ROW];
bool hub_name_ok(const char *name);
int hub_refuse(struct network_refusal *why, struct err *err, enum err_code code, const char *word, const char *value); /* -1 */

/* The centre's time, as a hub knows it. What is measured is labelled by its age, the time since this machine was started, which nobody sets; a report puts that into the centre's time. Each answer tells
 * it, and half of what the report took on its way is the doubt. Before the first answer it is the machine's own clock and what was between the two when the hub ran last. */
struct hub_clock {
  int64_t apart;                     /* the machine's clock before the centre's, at the last answer; 0 before it was ever known */
  int64_t ahead, doubt, learned;     /* what ages need to be the centre's time, as well as it is known, and the age at which it was learned; learned 0: not since the machine was started */
};
int64_t hub_age(void);                                        /* ms, sleep of the machine included */
int64_t hub_clock_ahead(const struct hub_clock *c);
void hub_clock_learn(struct hub_clock *c, int64_t sent, int64_t got, int64_t now); /* an answer that tells now, asked for and here at these ages */

/* What a hub is to measure. */
struct hub_spot { char code[NETWORK_CODE], address[64]; int64_t interval; bool icmp; struct check check[CHECKS_MOST]; int checks, fails; }; /* fails: in a row */
struct hub_checks;
struct hub_checks *hub_checks_new(const char *access, volatile bool *stop); /* access: file of users of SNMP, borrowed; NULL none */
void hub_checks_free(struct hub_checks *c);                  /* accepts NULL; after its thread */
struct hub_again { int attempts, retry_ms; };                /* what was lost is asked again so soon, so many times in a row */
void hub_checks_plan(struct hub_checks *c, const struct hub_spot *spots, int count, int check_ms, const struct hub_again *again); /* copies */
void hub_checks_take(struct hub_checks *c, json_t *samples); /* what came since, put behind */
json_t *hub_checks_rows(struct hub_checks *c, size_t most);  /* newest readings that were not told yet */
void hub_checks_told(struct hub_checks *c, const json_t *rows);
void *hub_checks_main(void *ctx);

/* How long after the last probe of which `fails` in a row had no answer the next one comes. */
int64_t hub_pause(const struct hub_again *again, int64_t interval, int fails);

#endif
