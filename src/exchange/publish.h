/* The operator's side: what publish.c, operator.c and join.c share. */
#ifndef CHAPAR_EXCHANGE_PUBLISH_H
#define CHAPAR_EXCHANGE_PUBLISH_H

#include "exchange/keys.h"
#include "exchange/members.h"

struct publisher {
  pthread_mutex_t lock;                  /* one version at a time */
  _Atomic bool dirty;                    /* something has changed that the directory tells */
  _Atomic bool again;                    /* another number is needed, though nothing has */
  int64_t acted;                         /* of the newest act that was seen */
};
/* handover.c: the operator's key rolls over. A round of whoever publishes; the kept directory after a version (ERR_NOT_FOUND: none), and those of the operator taken in their order. */
int handover_round(struct exchange *x, struct err *err);
int handover_keys(struct exchange *x, struct err *err);   /* another process of this folder may have changed the key: read again when the directory does not name ours */
int handover_next(struct exchange *x, int64_t have, char **text, size_t *n, struct err *err);
int handover_follow(struct exchange *x, struct http_peer *p, struct err *err);
bool publish_due(struct exchange *x);    /* dirty: background.c publishes then */
void publish_look(struct exchange *x);
/* Inside work: an act of the operator becomes a leaf. detail: taken. */
int act_put(struct store_tx *tx, const char *actor, const char *act, const char *subject, json_t *detail, struct err *err);

/* A gateway as it stands in a request or an announcement. */
struct asked_in { const char *server, *address, *witness, *keyid, *certificate; unsigned char public_key[128]; size_t public_size; };
/* Read and check a signed line of one of these types: the signature by the key in it, whose holder asks. *doc: new reference that owns the texts. */
int asked_read(const char *text, size_t n, const char *type, struct asked_in *out, json_t **doc, struct err *err);

/* The same made: with the next keys (or those in use, next false), signed by them. secret: NULL but for a request to join. Caller frees. */
char *asked_make(const char *folder, struct keys *keys, const char *type, bool next, const unsigned char *secret, size_t *n, char fingerprint[40], struct err *err);

/* Inside work: the gateway's row and its keys; those that it has already stay. */
int gateway_put(struct store_tx *tx, const struct asked_in *a, struct err *err);

/* What a person compares on both sides: eight groups of four digits of the SHA-256 over keyid and certificate. */
void fingerprint_of(const char *keyid, const char *certificate, char out[40]);
int certificate_hash(const char *pem, char out[65], struct err *err);
int sign_slot_operator(void *keys, const unsigned char digest[32], unsigned char der[80], size_t *size, struct err *err);
int sign_slot_own(void *keys, const unsigned char digest[32], unsigned char der[80], size_t *size, struct err *err);
int sign_slot_next(void *keys, const unsigned char digest[32], unsigned char der[80], size_t *size, struct err *err);

/* One-time codes (code.c): 10 secret bytes and the SHA-256 of the operator's certificate, in Crockford's base32 with dashes. */
void code_make(const unsigned char secret[10], const unsigned char pin[32], char out[80]);
int code_read(const char *text, unsigned char secret[10], unsigned char pin[32], struct err *err);
void code_hash(const unsigned char secret[10], char out[65]);

/* What the operator does when a gateway asks, announces or tells (join.c calls them from its rows). */
int operator_request(struct exchange *x, const char *text, size_t n, const unsigned char certificate[32], char id[40], struct err *err);
int operator_request_state(struct exchange *x, const char *id, const unsigned char certificate[32], char decision[16], struct err *err);
int operator_announce(struct exchange *x, const char *text, size_t n, const char *server, bool retire, struct err *err);
int operator_known(struct exchange *x, const char *server, int64_t version, struct err *err);
int operator_all_know(struct exchange *x, int64_t version, json_t **waiting, struct err *err); /* servers seen lately that do not know it yet */

/* join.c: calls to the operator */
int peer_text(struct http_peer *p, const char *method, const char *target, const char *body, size_t n, int *status, char **answer, size_t *size, struct err *err);
int peer_refused(int status, const char *answer, size_t n, struct err *err);

/* witness.c: one round at the platform's ledger; rows for others */
void witness_round(struct exchange *x, struct http_peer *platform);

#endif
