/* The inside of identity. No other room includes this. */
#ifndef CHAPAR_IDENTITY_INNER_H
#define CHAPAR_IDENTITY_INNER_H

#include "identity/identity.h"
#include <pthread.h>
#include <stdatomic.h>

enum {
  OTP_DIGITS = 6,
  OTP_TRIES = 5,
  OTP_PER_ADDRESS = 10, OTP_PER_MOBILE = 3, OTP_WINDOW_S = 600,
  OTP_PER_PERSON = 6, OTP_PERSON_WINDOW_S = 3600,
  SIGN_IN_PER_ADDRESS = 30, SIGN_IN_WINDOW_S = 600,
  LOCK_AFTER = 5,                 /* wrong passwords before the first lock */
  LOCK_FIRST_MS = 60 * 1000, LOCK_MOST_MS = 3600 * 1000, LOCK_FORGET_MS = 24 * 3600 * 1000,
  ROLES_MOST = 16,
  CACHE_SHARDS = 16, CACHE_PER_SHARD = 1250, CACHE_FRESH_MS = 5000,
  LIMIT_SHARDS = 16, LIMIT_PER_SHARD = 4096,
  SWEEP_EVERY_MS = 10 * 1000, SWEEP_ROWS = 1000,
  HASHES_AT_ONCE = 2, HASH_WAIT_MS = 10 * 1000,
  TOTP_BYTES = 20, TOTP_STEP_S = 30,
  SEEN_EVERY_MS = 10 * 60 * 1000,
  HEX = 65                        /* room for a SHA-256 in hex */
};

struct cached;                    /* sessions.c */
struct cache_shard {
  pthread_rwlock_t lock;
  struct cached *entries;         /* oldest first */
  uint64_t generation;            /* grows with each removal: what was read before one is not kept after it */
};

struct bucket;                    /* limits.c */
struct limit_shard {
  pthread_mutex_t lock;
  struct bucket *entries;         /* longest unused first */
};

struct identity {
  struct store *main, *fast;
  struct identity_options options;
  unsigned char secret[32];
  struct cache_shard cache[CACHE_SHARDS];
  struct limit_shard limits[LIMIT_SHARDS];
  pthread_mutex_t hash_lock;      /* argon2: how many run */
  pthread_cond_t hash_free;
  int hashing;
  _Atomic int64_t swept_at;
};

/* HMAC of label and two parts (either may be NULL), each hashed first so that no two inputs run together. */
void identity_mac(const struct identity *i, const char *label, const char *a, const char *b, unsigned char out[32]);
void identity_mac_hex(const struct identity *i, const char *label, const char *a, const char *b, char out[HEX]);
void identity_digest_hex(const char *s, char out[HEX]);
/* Digits of any script as ASCII, spaces, dashes and direction marks dropped; -1 for anything else or when out (room) is too small. */
int identity_digits(const char *typed, char *out, size_t room);
/* Lower-case user name of 2 to 63 characters a-z 0-9 . _ - @ beginning with a letter or digit; -1 when it cannot be one. */
int identity_username(const char *typed, char out[64]);

/* limits.c */
void limits_init(struct identity *i);
void limits_free(struct identity *i);
/* Inside work on the fast store: 1 allowed, 0 over `most` in `seconds`, -1 error. The subject is kept as a keyed digest. */
int limit_take(struct store_tx *tx, const struct identity *i, const char *kind, const char *subject, int most, int seconds, struct err *err);

/* sessions.c */
struct session_row { const char *username, *national_id, *mobile; enum assurance assurance; };
void sessions_init(struct identity *i);
void sessions_free(struct identity *i);
void session_token(char token[64]);
int session_insert(struct store_tx *tx, const struct identity *i, const char *token, const struct session_row *row, struct err *err);
struct ending { const json_t *names; const char *spared; int64_t ended; }; /* names NULL: of all staff */
int sessions_end(struct identity *i, struct ending *e, struct err *err);
void sessions_forget_mobile(struct identity *i, const char *mobile);
void sessions_forget_user(struct identity *i, const char *username);
void identity_sweep(struct identity *i); /* delete what has expired, now and then, without waiting */

/* staff.c: is this the account's password? ERR_UNAUTHENTICATED, ERR_RATE. Wrong ones count towards the lock of signing in. */
int staff_check(struct identity *i, const char *username, const char *password, const char *address, struct err *err);
/* One line, repaired; "" for NULL. */
int staff_shown_name(const char *typed, char out[128], struct err *err);

/* telephones.c: 1 bound at a counter and not ended, 0 not, -1 error */
int telephone_bound(struct identity *i, const char *national_id, const char *mobile, struct err *err);

/* password.c */
int password_prepare(const char *typed, char **out, struct err *err);  /* repaired, digits in ASCII; wipe and free() with password_free */
void password_free(char *prepared);
int password_hash(struct identity *i, const char *prepared, char out[160], struct err *err);
/* *right: does it match? encoded "" or NULL: the same work, never right. */
int password_check(struct identity *i, const char *prepared, const char *encoded, bool *right, struct err *err);

/* totp.c */
uint32_t totp_code(const void *key, size_t n, int64_t step, int digits);   /* RFC 6238 over HMAC-SHA-1 */
int64_t totp_match(const void *key, size_t n, int64_t now_ms, const char *code); /* the step that code belongs to (±1), -1 none */
void totp_base32(const unsigned char *key, size_t n, char *out);
int totp_seal(const struct identity *i, const char *username, const unsigned char key[TOTP_BYTES], char out[128], struct err *err);
int totp_open(const struct identity *i, const char *username, const char *sealed, unsigned char key[TOTP_BYTES], struct err *err);

#endif
