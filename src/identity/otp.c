/* One-time codes: the same answer whoever asks, five tries, once. */
#include "identity/inner.h"
#include "trust/trust.h"
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* A national id, or a foreigner's FIDA when it is too long for one (11 digits would be a company's). */
static int person_id(const char *typed, char out[16]) {
  char id[32];
  if (typed == NULL) return -1;
  if (identifier_parse(IDENT_NATIONAL_ID, typed, id) != 0) {
    if (identifier_parse(IDENT_FIDA, typed, id) != 0) return -1;
    size_t n = strlen(id);
    if (n < 12 || n > 15) return -1;
  }
  snprintf(out, 16, "%.15s", id);
  return 0;
}

static void random_code(char code[OTP_DIGITS + 1]) {
  uint32_t v;
  do random_bytes(&v, sizeof v);
  while (v >= 4294000000u); /* the last whole million: every code is as likely */
  snprintf(code, OTP_DIGITS + 1, "%06u", v % 1000000u);
}

void identity_code_make(const struct identity *i, char challenge[40], char code[8], char digest[65], char mac[65]) {
  unsigned char raw[16];
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, challenge);
  random_code(code);
  identity_digest_hex(challenge, digest);
  identity_mac_hex(i, "code", challenge, code, mac);
}

static bool challenge_shaped(const char *s) {
  unsigned char raw[16];
  return s != NULL && strlen(s) == 32 && hex_decode(s, raw, sizeof raw) == 0;
}

bool identity_code_read(const struct identity *i, const char *challenge, const char *code, char digest[65], char mac[65]) {
  char typed[32];
  if (!challenge_shaped(challenge)) return false;
  /* What cannot be a code counts as a try too. */
  bool shaped = code != NULL && identity_digits(code, typed, sizeof typed) == 0;
  identity_digest_hex(challenge, digest);
  identity_mac_hex(i, "code", challenge, shaped ? typed : "", mac);
  return true;
}

int identity_tell(struct identity *i, const char *mobile, const char *text, struct err *err) {
  if (i->options.send == NULL) return err_set(err, ERR_UNAVAILABLE, "no way to send one-time codes is set");
  return i->options.send(i->options.send_ctx, mobile, text, err);
}

void identity_blind(const struct identity *i, const char *kind, const char *text, char out[65]) { identity_mac_hex(i, kind, text, NULL, out); }

struct begin {
  const struct identity *i;
  char national_id[16], mobile[16], challenge[HEX], code[HEX]; /* digests */
  bool send;
};

static int begin_work(struct store_tx *tx, void *arg, struct err *err) {
  struct begin *b = arg;
  int mobile = limit_take(tx, b->i, "otp mobile", b->mobile, OTP_PER_MOBILE, OTP_WINDOW_S, err);
  if (mobile < 0) return -1;
  int person = mobile == 0 ? 0 : limit_take(tx, b->i, "otp person", b->national_id, OTP_PER_PERSON, OTP_PERSON_WINDOW_S, err);
  if (person < 0) return -1;
  b->send = person == 1;
  /* Over the limit the row is written all the same, with a code that nobody was told: what follows cannot be told apart. */
  return store_put(tx, err,
    "INSERT INTO one_time_code (challenge, code, national_id, mobile, tries, expires_at) VALUES (?1, ?2, ?3, ?4, 0, ?5)", "tttti",
    b->challenge, b->code, b->national_id, b->mobile, store_time(tx) + (int64_t)b->i->options.otp_seconds * 1000);
}

static int tell_code(struct identity *i, const char *mobile, const char *code, enum lang l, struct err *err) {
  char minutes[16];
  struct arena *a = arena_new(8192);
  snprintf(minutes, sizeof minutes, "%d", (i->options.otp_seconds + 59) / 60);
  char *local = digits_local(a, l, minutes);
  char *text = local == NULL ? NULL : word_fill(a, l, "otp.text", "code", code, "minutes", local, NULL);
  int rc = -1;
  if (text == NULL) err_set(err, ERR_LIMIT, "the text of a one-time code is too long");
  else rc = identity_tell(i, mobile, text, err);
  if (text != NULL) OPENSSL_cleanse(text, strlen(text));
  arena_free(a);
  return rc;
}

int identity_otp(struct identity *i, const char *national_id, const char *mobile, const char *address, enum lang l,
                 char challenge[40], int *expires_in, struct err *err) {
  struct begin b = {.i = i};
  char canonical[32], code[OTP_DIGITS + 2];
  if (person_id(national_id, b.national_id) != 0) return err_set(err, ERR_INVALID, "national_id");
  if (mobile == NULL || identifier_parse(IDENT_MOBILE, mobile, canonical) != 0) return err_set(err, ERR_INVALID, "mobile");
  snprintf(b.mobile, sizeof b.mobile, "%.15s", canonical);
  if (!identity_limit(i, "address otp", address, OTP_PER_ADDRESS, OTP_WINDOW_S))
    return err_set(err, ERR_RATE, "too many codes asked for from one address");
  identity_code_make(i, challenge, code, b.challenge, b.code);
  int rc = store_write(i->fast, STORE_FRONT, begin_work, &b, err);
  if (rc == 0 && b.send) rc = tell_code(i, b.mobile, code, l, err);
  OPENSSL_cleanse(code, sizeof code);
  identity_sweep(i);
  if (rc != 0) return -1;
  *expires_in = i->options.otp_seconds;
  return 0;
}

/* ---- the answer --------------------------------------------------------------------------- */

enum outcome { OUTCOME_WRONG, OUTCOME_SPENT, OUTCOME_RIGHT };
struct finish {
  const struct identity *i;
  char challenge[HEX], code[HEX], token[64], national_id[16], mobile[16];
  enum outcome outcome;
};

static int spent(struct store_tx *tx, struct finish *f, struct err *err) {
  int64_t tries;
  if (store_value(tx, &tries, 0, err, "SELECT tries FROM one_time_code WHERE challenge = ?1 AND expires_at > ?2", "ti", f->challenge,
                  store_time(tx)) != 0) return -1;
  if (tries >= OTP_TRIES) f->outcome = OUTCOME_SPENT;
  return 0;
}

static int finish_work(struct store_tx *tx, void *arg, struct err *err) {
  struct finish *f = arg;
  f->national_id[0] = f->mobile[0] = '\0';
  f->outcome = OUTCOME_WRONG;
  struct store_rows *r = store_select(tx, err,
    "UPDATE one_time_code SET tries = tries + 1 WHERE challenge = ?1 AND tries < 5 AND expires_at > ?2 RETURNING code, national_id, mobile",
    "ti", f->challenge, store_time(tx));
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    const char *code = store_text(r, 0);
    if (strlen(code) == HEX - 1 && trust_same(code, f->code, HEX - 1)) f->outcome = OUTCOME_RIGHT;
    snprintf(f->national_id, sizeof f->national_id, "%s", store_text(r, 1));
    snprintf(f->mobile, sizeof f->mobile, "%s", store_text(r, 2));
  }
  store_done(r);
  if (rc <= 0) return rc < 0 ? -1 : spent(tx, f, err);
  if (f->outcome != OUTCOME_RIGHT) return 0;
  if (store_exec(tx, err, "DELETE FROM one_time_code WHERE challenge = ?1", "t", f->challenge) < 0) return -1;
  struct session_row row = {.username = "", .national_id = f->national_id, .mobile = f->mobile, .assurance = ASSURANCE_CLAIMED};
  return session_insert(tx, f->i, f->token, &row, err);
}

struct raise { const char *token; enum assurance to; };

static int raise_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct raise *k = arg;
  char digest[HEX];
  identity_digest_hex(k->token, digest);
  return store_put(tx, err, "UPDATE session SET assurance = ?1 WHERE token = ?2", "it", (int64_t)k->to, digest);
}

/* Where the pair is on record, or was bound at a counter, more is known than who claims it; where nobody can tell, it stays claimed. */
enum assurance identity_pair_assurance(struct identity *i, const char *national_id, const char *mobile) {
  struct err why = {0};
  int bound = telephone_bound(i, national_id, mobile, &why);
  if (bound < 0) log_write(LOG_WARN, "identity", "whether the telephone is bound could not be asked: %s", why.message);
  if (bound == 1) return ASSURANCE_COUNTER;
  int known = i->options.telephone ? i->options.telephone(i->options.telephone_ctx, national_id, mobile, &why) : 0;
  if (known < 0) log_write(LOG_WARN, "identity", "whose telephone it is could not be asked: %s", why.message);
  return known == 1 ? ASSURANCE_SIM_MATCHED : ASSURANCE_CLAIMED;
}

/* The telephone has answered. */
static int match_telephone(struct identity *i, struct finish *f, struct err *err) {
  struct raise k = {f->token, identity_pair_assurance(i, f->national_id, f->mobile)};
  return k.to > ASSURANCE_CLAIMED ? store_write(i->fast, STORE_FRONT, raise_work, &k, err) : 0;
}

int identity_otp_verify(struct identity *i, const char *challenge, const char *code, const char *address,
                        char token[64], int *expires_in, struct err *err) {
  struct finish f = {.i = i};
  if (!identity_limit(i, "address sign-in", address, SIGN_IN_PER_ADDRESS, SIGN_IN_WINDOW_S))
    return err_set(err, ERR_RATE, "too many attempts from one address");
  if (!identity_code_read(i, challenge, code, f.challenge, f.code)) return err_set(err, ERR_UNAUTHENTICATED, "wrong code");
  session_token(f.token);
  if (store_write(i->fast, STORE_FRONT, finish_work, &f, err) != 0) return -1;
  if (f.outcome == OUTCOME_SPENT) return err_set(err, ERR_RATE, "too many wrong codes");
  if (f.outcome != OUTCOME_RIGHT) return err_set(err, ERR_UNAUTHENTICATED, "wrong code");
  if (match_telephone(i, &f, err)) return -1;
  memcpy(token, f.token, sizeof f.token);
  *expires_in = i->options.session_seconds;
  return 0;
}
