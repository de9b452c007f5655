/* More of members.c: for publishing, joining, and what runs in the background. */
#ifndef CHAPAR_EXCHANGE_MEMBERS_H
#define CHAPAR_EXCHANGE_MEMBERS_H

#include "exchange/inside.h"

/* ---- a signed line: what the directory, a request to join and an announcement of keys are made of -------------------------
 * line 1: canonical JSON; line 2: keyid (hex) ' ' base64 of the ECDSA P-256 signature in DER over line 1 with its newline (SHA-256). */
#define SIGNED_MOST ((size_t)32 * 1024 * 1024)
struct signed_line { const char *json; size_t size; char keyid[65]; unsigned char signature[80]; size_t signature_size; }; /* size: with the newline */
int signed_read(const char *text, size_t n, struct signed_line *out, struct err *err);                /* ERR_MALFORMED */
bool signed_true(const struct signed_line *s, const void *public_key, size_t n);                       /* public key: SubjectPublicKeyInfo of P-256 */
typedef int (*signed_with)(void *ctx, const unsigned char digest[32], unsigned char der[80], size_t *size, struct err *err);
char *signed_make(const json_t *v, const char *keyid, signed_with sign, void *ctx, size_t *n, struct err *err);
bool key_is_p256(const void *public_key, size_t n);

/* ---- snapshots ------------------------------------------------------------------------------------------------------------ */
struct told;                                  /* what is remembered of a gateway across snapshots: its connections and how calls went */
/* Read a directory's text; its signature is judged by the caller. */
int members_read(const char *text, size_t n, struct members **out, struct err *err);
/* Of that text only the gateway whose signing key this is, for members_key and nothing else: no list is read of which one line is wanted. It knows no key
 * where the text names none. */
int members_read_key(const char *text, size_t n, const char *keyid, struct members **out, struct err *err);
struct operator_key { char keyid[65]; const void *public_key; size_t size; };
size_t members_operator(const struct members *m, const struct operator_key **list);   /* keys by which the next directory may be signed; the first signs now */
const char *members_operator_server(const struct members *m);                          /* "" before joining */
const char *members_ledger(const struct members *m);                                   /* verifier key of the platform's ledger, "" */
const char *members_instance(const struct members *m);
int64_t members_issued(const struct members *m);
const struct gateway *members_gateway(const struct members *m, const char *server);   /* NULL */
size_t members_count(const struct members *m, size_t *gateways);
/* Every key of a gateway: fn(ctx, keyid, from, until, revoked). */
void members_keys(const struct members *m, const struct gateway *g, void (*fn)(void *ctx, const char *keyid, int64_t from, int64_t until, int64_t revoked), void *ctx);
/* A key as it is listed, whatever its time and be it revoked: what a bundle shows, and who judges it reads. row may be NULL. */
struct key_row;
int members_key_listed(const struct members *m, const char *keyid, const struct gateway **of, const void **public_key, size_t *n, const struct key_row **row, struct err *err);
const char *members_witness(const struct members *m, const struct gateway *g);         /* its C2SP verifier key as a witness, "" */

/* ---- the keeper -------------------------------------------------------------------------------------------------------------- */
/* Judge and take a directory that somebody sent: ERR_FORBIDDEN falsely signed, ERR_CONFLICT older than ours (or ours with another text). 1: newer and
 * taken, 0: the one we have. Writes it before it is used. */
int members_take(struct exchange *x, const char *text, size_t n, struct err *err);
void members_confirmed(struct exchange *x);    /* the operator said just now that what we have is the newest */
int64_t members_age(const struct exchange *x); /* milliseconds since that; -1 never */
void members_refresh(struct exchange *x);      /* our own certificate has changed: connections are made anew */
void members_poke(struct exchange *x);         /* pull soon: somebody names what we do not know */
/* Trust the operator's keys (PEM, one or several), before the first directory. */
int members_anchor(const char *folder, const char *pem, struct err *err);

#endif
