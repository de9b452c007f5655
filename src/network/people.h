/*
 * network, its second header: who is told of an incident, and which programs are. Over the store `main` alone, so that commands and ports can use it
 * without an opened network. Thread-safe.
 *
 * A contact is a person on duty: told at the opening (level 0) or at an escalation (1 to 3), and of the end of whatever they were told of.
 * Both are told of alarms of goals too, of the end as well.
 * A hook is a program's address: told of every step by POST, signed, tried again for a day.
 */
#ifndef CHAPAR_NETWORK_PEOPLE_H
#define CHAPAR_NETWORK_PEOPLE_H

#include "network/network.h"

/* What the caller writes in the same transaction: the record of the act. May be run again. NULL: nothing. */
typedef int (*network_also)(struct store_tx *tx, void *ctx, struct err *err);

struct network_contact {
  char id[33];                       /* out, when put */
  const char *organisation;          /* code of whose offices it is about; "" the whole province */
  const char *name;                  /* 2 to 80 characters */
  const char *to;                    /* a mobile or an address of mail, canonical: the caller has judged it; 120 bytes at most */
  enum lang lang;
  int level;                         /* 0 to 3 */
};
#define NETWORK_CONTACTS_MOST 50     /* of one organisation */
/* ERR_LIMIT: too many; ERR_CONFLICT: the same address at the same level is there; ERR_INVALID. Waits. */
int network_contact_put(struct store *s, const char *who, struct network_contact *c, network_also also, void *ctx, struct err *err);
/* Several, all or none; those that stand there already (same organisation, level and address) are passed over. dry: judged, not written. *added: how many are new; `also` once, when any
 * is. *fault: the one that cannot be taken. ERR_INVALID, ERR_LIMIT. Waits. */
int network_contacts_take(struct store *s, const char *who, struct network_contact *list, size_t count, bool dry, network_also also, void *ctx, size_t *added, size_t *fault, struct err *err);
/* organisation: whose it must be, NULL any. ERR_NOT_FOUND. Waits. */
int network_contact_drop(struct store *s, const char *organisation, const char *id, network_also also, void *ctx, struct err *err);
/* [{"id","organisation","name","to","lang","level","at","who"}] of one organisation ("" the province's), NULL: all. */
int network_contacts(struct store *s, const char *organisation, json_t **out, struct err *err);
/* Inside a transaction: each contact that this step concerns, once: the organisation's and the province's of its level; at the end those who were told
 * before. They count as told from then on. Strings live until fn returns; fn's -1 ends it. */
typedef int (*network_contact_fn)(void *ctx, const struct network_contact *c);
int network_contacts_concerned(struct store_tx *tx, const struct network_news *news, network_contact_fn fn, void *ctx, struct err *err);
/* The same for a goal's alarm: who is on duty and who is called next (levels 0 and 1), of the province and of the organisation whose goal it is; at its end those who were told. */
int network_alarm_concerned(struct store_tx *tx, const struct network_alarm *a, network_contact_fn fn, void *ctx, struct err *err);

/* ---- programs ---- */
#define NETWORK_HOOKS_MOST 20
struct network_hook { char id[33]; const char *organisation, *url; /* http or https, 500 bytes at most */ };
/* secret: 32 bytes of the platform, from which each hook's key is made: key (64 hex digits) is what the program checks signatures with. ERR_LIMIT, ERR_INVALID. Waits. */
int network_hook_put(struct store *s, const char *who, const unsigned char secret[32], struct network_hook *h, char key[65], network_also also, void *ctx, struct err *err);
int network_hook_drop(struct store *s, const char *id, network_also also, void *ctx, struct err *err); /* ERR_NOT_FOUND */
/* [{"id","organisation","url","at","who","waiting","failed","last":{"at","status","error","state"} or null}] */
int network_hooks(struct store *s, json_t **out, struct err *err);
/* Inside a transaction: queue this step for every hook that it concerns. Returns how many, -1. */
int network_hooks_queue(struct store_tx *tx, const struct network_news *news, struct err *err);
int network_hooks_queue_alarm(struct store_tx *tx, const struct network_alarm *a, struct err *err);
/* One POST; headers are ready; *status is the answer's. -1: no answer. */
typedef int (*network_post)(void *ctx, const char *url, const char *const *headers, const char *body, size_t n, int *status, struct err *err);
/* Deliver what is due: `Chapar-Event-Id: ID` (the same at each try) and `Chapar-Signature: t=SECONDS,v1=HEX`, HEX = HMAC-SHA-256(key, "SECONDS.BODY").
 * 2xx is taken; everything else is tried again after 1, 2, 4 … minutes, 11 times in all, 410 not at all. Several nodes may call it. *done: calls made. */
int network_hooks_jobs(struct store *s, const unsigned char secret[32], network_post post, void *ctx, int64_t *done, struct err *err);
void network_hook_sign(const char *key, int64_t seconds, const char *body, size_t n, char out[65]); /* for tests and clients */

#endif
