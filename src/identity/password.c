/* Passwords: argon2id (RFC 9106) with 19 MiB, two passes, one lane; at most two at once. */
#include "identity/inner.h"
#include <argon2.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PASSES = 2, MEMORY_KIB = 19 * 1024, LANES = 1, SALT = 16, HASH = 32, SHORTEST = 10, LONGEST = 200 };

/* What is hashed for a name that nobody has: nothing matches it, and it costs the same. */
static const char nobody[] = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static const char *const known_bad[] = {"1234567890", "0123456789", "0987654321", "qwertyuiop", "password123", "1q2w3e4r5t",
  "iloveyou12", "administrator"};

void password_free(char *prepared) {
  if (prepared == NULL) return;
  OPENSSL_cleanse(prepared, strlen(prepared));
  free(prepared);
}

int password_prepare(const char *typed, char **out, struct err *err) {
  size_t n = typed == NULL ? 0 : strlen(typed);
  *out = NULL;
  if (n == 0 || n > LONGEST * 4 || !utf8_valid(typed, n)) return err_set(err, ERR_INVALID, "password: 10 to 200 characters");
  struct arena *a = arena_new(64 * 1024);
  char *repaired = text_repair(a, typed), *plain = repaired == NULL ? NULL : digits_ascii(a, repaired);
  if (plain != NULL) *out = base_strdup(plain);
  if (repaired != NULL) OPENSSL_cleanse(repaired, strlen(repaired));
  if (plain != NULL) OPENSSL_cleanse(plain, strlen(plain));
  arena_free(a);
  return *out != NULL ? 0 : err_set(err, ERR_INVALID, "password: 10 to 200 characters");
}

static int judge(const char *prepared, struct err *err) {
  size_t n = utf8_length(prepared);
  if (n < SHORTEST || n > LONGEST) return err_set(err, ERR_INVALID, "password: 10 to 200 characters");
  bool alike = true;
  for (const char *s = prepared; *s != '\0'; s++) alike = alike && *s == prepared[0];
  for (size_t k = 0; k < BASE_COUNT(known_bad); k++) alike = alike || strcasecmp(prepared, known_bad[k]) == 0;
  return alike ? err_set(err, ERR_INVALID, "password: too well known") : 0;
}

/* ---- at most two at once ------------------------------------------------------------------ */

static int enter(struct identity *i, struct err *err) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += HASH_WAIT_MS / 1000;
  int rc = 0;
  pthread_mutex_lock(&i->hash_lock);
  while (i->hashing >= HASHES_AT_ONCE && rc == 0) rc = pthread_cond_clockwait(&i->hash_free, &i->hash_lock, CLOCK_MONOTONIC, &until);
  bool in = i->hashing < HASHES_AT_ONCE;
  if (in) i->hashing++;
  pthread_mutex_unlock(&i->hash_lock);
  return in ? 0 : err_set(err, ERR_UNAVAILABLE, "too many sign-ins at once");
}

static void leave(struct identity *i) {
  pthread_mutex_lock(&i->hash_lock);
  i->hashing--;
  pthread_cond_signal(&i->hash_free);
  pthread_mutex_unlock(&i->hash_lock);
}

int password_hash(struct identity *i, const char *prepared, char out[160], struct err *err) {
  unsigned char salt[SALT];
  if (judge(prepared, err) != 0 || enter(i, err) != 0) return -1;
  random_bytes(salt, sizeof salt);
  int rc = argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, prepared, strlen(prepared), salt, SALT, HASH, out, 160);
  leave(i);
  return rc == ARGON2_OK ? 0 : err_set(err, ERR_INTERNAL, "argon2: %s", argon2_error_message(rc));
}

int password_check(struct identity *i, const char *prepared, const char *encoded, bool *right, struct err *err) {
  bool known = encoded != NULL && encoded[0] != '\0';
  *right = false;
  if (enter(i, err) != 0) return -1;
  int rc = argon2id_verify(known ? encoded : nobody, prepared, strlen(prepared));
  leave(i);
  if (rc != ARGON2_OK && rc != ARGON2_VERIFY_MISMATCH) return err_set(err, ERR_INTERNAL, "argon2: %s", argon2_error_message(rc));
  *right = rc == ARGON2_OK && known;
  return 0;
}
