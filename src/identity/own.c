/* A member of staff and their own account: password and second factor. */
#include "identity/inner.h"
#include <openssl/crypto.h>
#include <string.h>

struct own {
  const char *username;
  char hash[160], sealed[128];
  bool totp, pending, done;
};

static int own_act(struct store_tx *tx, const char *kind, const char *username, struct err *err) {
  int64_t n = 0;
  char organisation[48] = "";
  struct store_rows *r = store_select(tx, err, "SELECT organisation FROM staff_role WHERE username = ?1 ORDER BY organisation LIMIT 1", "t", username);
  if (r == NULL) return -1;
  n = store_next(r, err);
  if (n == 1) snprintf(organisation, sizeof organisation, "%s", store_text(r, 0));
  store_done(r);
  if (n < 0) return -1;
  return identity_act_put(tx, &(struct act){.kind = kind, .who = username, .organisation = organisation, .subject = username}, err);
}

static int password_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct own *o = arg;
  if (store_put(tx, err, "UPDATE staff SET password = ?2, changed_at = ?3 WHERE username = ?1", "tti", o->username, o->hash, store_time(tx)) != 0 ||
      store_put(tx, err, "UPDATE staff_account SET must_change = 0 WHERE username = ?1", "t", o->username) != 0) return -1;
  return own_act(tx, "own_password", o->username, err);
}

struct entering { const struct identity *i; const char *username; char token[64]; };

static int enter_work(struct store_tx *tx, void *arg, struct err *err) {
  struct entering *e = arg;
  struct session_row row = {.username = e->username, .national_id = "", .mobile = "", .assurance = ASSURANCE_NONE};
  if (store_exec(tx, err, "DELETE FROM session WHERE username = ?1", "t", e->username) < 0) return -1;
  return session_insert(tx, e->i, e->token, &row, err);
}

int identity_own_password(struct identity *i, const struct actor *who, const char *old, const char *password, const char *address, char token[64],
                          int *expires_in, const char **detail, struct err *err) {
  struct own o = {.username = who->username};
  struct entering e = {i, who->username, ""};
  char *prepared = NULL, *before = NULL;
  struct err why = {0};
  *detail = NULL;
  if (who->kind != ACTOR_STAFF) return err_set(err, ERR_NOT_FOUND, "no account with a password");
  if (staff_check(i, who->username, old, address, err) != 0) return -1;
  int rc = password_prepare(password, &prepared, &why);
  if (rc == 0) rc = password_prepare(old, &before, &why);
  if (rc == 0 && strcmp(prepared, before) == 0) rc = err_set(&why, ERR_INVALID, "password: the same as before");
  if (rc == 0) rc = password_hash(i, prepared, o.hash, &why);
  if (rc != 0) {
    *detail = strstr(why.message, "same") != NULL ? "admin.password_same" : strstr(why.message, "known") != NULL ? "admin.password_known" : "admin.password_length";
    err_set(err, why.code, "%s", why.message);
  }
  password_free(prepared);
  password_free(before);
  if (rc == 0) rc = store_write(i->main, STORE_FRONT, password_work, &o, err);
  OPENSSL_cleanse(o.hash, sizeof o.hash);
  if (rc != 0) return -1;
  session_token(e.token);
  rc = store_write(i->fast, STORE_FRONT, enter_work, &e, err);
  sessions_forget_user(i, who->username);
  if (rc != 0) return -1;
  memcpy(token, e.token, sizeof e.token);
  *expires_in = i->options.session_seconds;
  return 0;
}

/* ---- the second factor ------------------------------------------------------------------------ */

static int pending_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct own *o = arg;
  return store_put(tx, err, "INSERT INTO staff_account (username, must_change, disabled, pending_totp) VALUES (?1, 0, 0, ?2) ON CONFLICT (username)"
                            " DO UPDATE SET pending_totp = excluded.pending_totp", "tt", o->username, o->sealed);
}

int identity_own_totp(struct identity *i, const struct actor *who, const char *password, const char *address, char secret_base32[64], struct err *err) {
  struct own o = {.username = who->username};
  unsigned char key[TOTP_BYTES];
  if (who->kind != ACTOR_STAFF) return err_set(err, ERR_NOT_FOUND, "no account with a password");
  if (staff_check(i, who->username, password, address, err) != 0) return -1;
  random_bytes(key, sizeof key);
  int rc = totp_seal(i, who->username, key, o.sealed, err);
  if (rc == 0) rc = store_write(i->main, STORE_FRONT, pending_work, &o, err);
  if (rc == 0) totp_base32(key, sizeof key, secret_base32);
  OPENSSL_cleanse(key, sizeof key);
  return rc;
}

static int read_pending(struct store_tx *tx, void *arg, struct err *err) {
  struct own *o = arg;
  o->sealed[0] = '\0';
  o->totp = false;
  struct store_rows *r = store_select(tx, err, "SELECT COALESCE(a.pending_totp, ''), CASE WHEN s.totp <> '' THEN 1 ELSE 0 END FROM staff s"
                                      " LEFT JOIN staff_account a ON a.username = s.username WHERE s.username = ?1", "t", o->username);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(o->sealed, sizeof o->sealed, "%s", store_text(r, 0));
    o->totp = store_int(r, 1) != 0;
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* Only the secret whose code was right becomes the account's: another may have been shown meanwhile. */
static int confirm_work(struct store_tx *tx, void *arg, struct err *err) {
  struct own *o = arg;
  int n = store_exec(tx, err, "UPDATE staff_account SET pending_totp = '' WHERE username = ?1 AND pending_totp = ?2", "tt", o->username, o->sealed);
  if (n < 0) return -1;
  o->done = n > 0;
  if (!o->done) return 0;
  if (store_put(tx, err, "UPDATE staff SET totp = ?2, changed_at = ?3 WHERE username = ?1", "tti", o->username, o->sealed, store_time(tx)) != 0) return -1;
  return own_act(tx, "own_totp", o->username, err);
}

int identity_own_totp_confirm(struct identity *i, const struct actor *who, const char *code, struct err *err) {
  struct own o = {.username = who->username};
  unsigned char key[TOTP_BYTES];
  if (who->kind != ACTOR_STAFF) return err_set(err, ERR_NOT_FOUND, "no account with a password");
  if (!identity_limit(i, "totp", who->username, 10, 600)) return err_set(err, ERR_RATE, "too many codes");
  if (store_read(i->main, read_pending, &o, err) != 0) return -1;
  if (o.sealed[0] == '\0') return err_set(err, ERR_NOT_FOUND, "no second factor is waiting for its code");
  int rc = totp_open(i, who->username, o.sealed, key, err);
  bool right = rc == 0 && totp_match(key, sizeof key, clock_now(), code) >= 0;
  OPENSSL_cleanse(key, sizeof key);
  if (rc != 0) return -1;
  if (!right) return err_set(err, ERR_INVALID, "code: wrong");
  if (store_write(i->main, STORE_FRONT, confirm_work, &o, err) != 0) return -1;
  return o.done ? 0 : err_set(err, ERR_CONFLICT, "another second factor was shown meanwhile");
}

static int off_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct own *o = arg;
  if (store_put(tx, err, "UPDATE staff SET totp = '', changed_at = ?2 WHERE username = ?1", "ti", o->username, store_time(tx)) != 0) return -1;
  return own_act(tx, "own_totp_off", o->username, err);
}

int identity_own_totp_off(struct identity *i, const struct actor *who, const char *password, const char *address, struct err *err) {
  struct own o = {.username = who->username};
  if (who->kind != ACTOR_STAFF) return err_set(err, ERR_NOT_FOUND, "no account with a password");
  if (staff_check(i, who->username, password, address, err) != 0) return -1;
  return store_write(i->main, STORE_FRONT, off_work, &o, err);
}

int identity_own(struct identity *i, const struct actor *who, bool *totp, bool *pending, struct err *err) {
  struct own o = {.username = who->username};
  if (store_read(i->main, read_pending, &o, err) != 0) return -1;
  *totp = o.totp;
  *pending = o.sealed[0] != '\0';
  return 0;
}
