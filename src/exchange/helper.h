/* The key helper: its protocol and what it is started with. Frames in both directions: u32 length of what follows, then
 *   asked     u32 id · u8 op · 32 bytes key (SHA-256 of its SubjectPublicKeyInfo) · data
 *   answered  u32 id · u8 status · data
 * all numbers big-endian. Nothing else is understood: the helper has no words for reading, making or changing keys. */
#ifndef CHAPAR_EXCHANGE_HELPER_H
#define CHAPAR_EXCHANGE_HELPER_H

#include "base/base.h"

extern const char helper_name[];         /* argv[0] that makes a process the helper. In helper.c, so that who starts one is linked with it */
enum { HELPER_DATA = 1024, HELPER_ASKED = 4 + 1 + 32, HELPER_ANSWERED = 4 + 1, HELPER_FRAME = 4 + HELPER_ASKED + HELPER_DATA };
enum helper_op {
  HELPER_LIST = 1,                       /* → for each key u8 slot · u8 size · SubjectPublicKeyInfo */
  HELPER_SIGN,                           /* digest (32, 48 or 64 bytes) → ECDSA P-256 signature in DER */
  HELPER_COSIGN                          /* a text that begins with "cosignature/v1\n" → Ed25519 signature, 64 bytes */
};
enum helper_status { HELPER_DONE, HELPER_UNKNOWN_KEY, HELPER_REFUSED };

/* Files of the folder: NAME.pem. "-next" is announced and not used yet, "-old" still answers for what is under way. */
#define HELPER_SLOTS(X) \
  X(SIGN, "sign") X(SIGN_NEXT, "sign-next") X(SIGN_OLD, "sign-old") X(TLS, "tls") X(TLS_NEXT, "tls-next") X(TLS_OLD, "tls-old") \
  X(OPERATOR, "operator") X(OPERATOR_NEXT, "operator-next") X(OPERATOR_OLD, "operator-old") X(WITNESS, "witness")
enum helper_slot {
#define X(name, file) SLOT_##name,
  HELPER_SLOTS(X)
#undef X
  SLOT_COUNT
};
extern const char *const helper_slots[SLOT_COUNT];

struct asked { uint32_t id; enum helper_op op; const unsigned char *key, *data; size_t size; };
struct answered { uint32_t id; enum helper_status status; const unsigned char *data; size_t size; };
/* The next frame of n bytes: 1 (*used: all of it; *body within p), 0 more is needed, -1 no frame of ours. */
int helper_frame(const unsigned char *p, size_t n, const unsigned char **body, size_t *size, size_t *used);
int helper_asked(const unsigned char *body, size_t size, struct asked *out);         /* -1 when it is none */
int helper_answered(const unsigned char *body, size_t size, struct answered *out);
size_t helper_ask(unsigned char out[HELPER_FRAME], uint32_t id, enum helper_op op, const unsigned char key[32], const void *data, size_t n);
size_t helper_answer(unsigned char out[HELPER_FRAME], uint32_t id, enum helper_status status, const void *data, size_t n);

#endif
