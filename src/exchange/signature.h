/* The parts of signing that signature.c and curve.c offer to the other files of the room and to its tests. */
#ifndef CHAPAR_EXCHANGE_SIGNATURE_H
#define CHAPAR_EXCHANGE_SIGNATURE_H

#include "exchange/fields.h"
#include "exchange/inside.h"

/* The signature base (RFC 9421, 2.5) of a message for a list of covered components with their parameters, as Signature-Input tells it.
 * Understood: @method @target-uri @authority @scheme @request-target @path @query @query-param @status, fields, and the parameters req, key, name.
 * Others (sf, bs, tr), components twice and what the message does not have are refused: ERR_MALFORMED. */
int signature_base(const struct message *m, const struct message *request, const struct sfv_item *list, struct buf *out, struct err *err);
/* The value of a field as it is covered: all its lines, joined by ", ". NULL when there is none, or the arena is full. */
const char *signature_field(const struct message *m, const char *name);
/* Content-Digest against the content: every sha-512 and sha-256 must be true, one at least must be there. ERR_CONFLICT, ERR_MALFORMED. */
int signature_digest_check(struct message *m, const char *field, struct err *err);
/* Our signature of a message, raw. */
int signature_value(const struct message *m, unsigned char out[64], struct err *err);
/* ECDSA P-256 between r‖s and DER. to_raw answers -1 for what is none. */
size_t signature_to_der(const unsigned char raw[64], unsigned char der[80]);
int signature_to_raw(const unsigned char *der, size_t n, unsigned char raw[64]);
/* Is this the signature of SHA-256(base)? public: SubjectPublicKeyInfo in DER; keys are kept ready in memory. ERR_FORBIDDEN, ERR_MALFORMED (no P-256 key). */
int signature_verify(const void *base, size_t n, const unsigned char raw[64], const void *public_key, size_t public_size, struct err *err);
/* What a key that is used often gets (curve.c): multiples of its point, and the check with them. Any thread. NULL: no P-256 key, or the library makes none. */
struct key_table;
struct key_table *key_table_new(const void *public_key, size_t n);
void key_table_free(struct key_table *t);
bool key_table_true(const struct key_table *t, const unsigned char hash[32], const unsigned char raw[64]);

/* The inverse of a number modulo an odd modulus, big-endian (inverse.c): not for secrets. False: there is none, or the number is not below the modulus. */
bool inverse_find(const unsigned char number[32], const unsigned char modulus[32], unsigned char out[32]);

#endif
