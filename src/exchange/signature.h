/* The parts of signing that signature.c, curve.c and inverse.c offer to the other files of the room and to its tests. */
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
/* The signature that was made or found good here, raw. */
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

/* Numbers of 256 bits in four words, the lowest first (inverse.c): never secrets. */
enum { WORDS = 4 };
struct modulus { uint64_t m[WORDS], square[WORDS], unit; }; /* 2^512 modulo m, and -1/m modulo 2^64 */
void words_read(const unsigned char in[32], uint64_t out[WORDS]);          /* big-endian */
bool words_below(const uint64_t a[WORDS], const uint64_t b[WORDS]);
bool words_same(const uint64_t a[WORDS], const uint64_t b[WORDS]);
bool modulus_set(struct modulus *m, const unsigned char bytes[32]);        /* false: it is even, or one */
/* a·b / 2^256 modulo m, below m; one of the two must be below m. `out` may be one of them. With m->square a number becomes what makes a plain product. */
void modulus_times(const struct modulus *m, const uint64_t a[WORDS], const uint64_t b[WORDS], uint64_t out[WORDS]);
/* False: there is none, or the number is not below the modulus. */
bool inverse_find(const uint64_t number[WORDS], const struct modulus *m, uint64_t out[WORDS]);

#endif
