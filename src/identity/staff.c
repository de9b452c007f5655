/* Members of staff: their accounts and roles, and signing in with password and TOTP. */
#include "identity/inner.h"
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* ---- accounts ------------------------------------------------------------------------------ */

struct add {
  char username[64], name[128], password[160]; /* password "": none given */
  const char *organisation;
  int role;
  bool told; /* an act of the console: accounts of a demonstration are none */
};

/* 1 there is an account with a password, 0 not, -1 error. */
static int account_there(struct store_tx *tx, const char *username, struct err *err) {
  int64_t n;
  if (store_value(tx, &n, 0, err, "SELECT COUNT(*) FROM staff WHERE username = ?1 AND password <> ''", "t", username) != 0) return -1;
  return n > 0;
}

static int console_act(struct store_tx *tx, const char *kind, const char *username, const char *organisation, int role, struct err *err) {
  json_t *detail = role > 0 ? json_pack("{s:s}", "role", staff_role_text(role)) : NULL;
  int rc = identity_act_put(tx, &(struct act){.kind = kind, .who = "console", .organisation = organisation, .subject = username, .detail = detail}, err);
  json_decref(detail);
  return rc;
}

static int add_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct add *a = arg;
  int64_t now = store_time(tx), others;
  int there = account_there(tx, a->username, err);
  if (there < 0) return -1;
  if (!there && a->password[0] == '\0') return err_set(err, ERR_INVALID, "password: a new account needs one");
  if (store_exec(tx, err,
        "INSERT INTO staff (username, name, password, totp, created_at, changed_at) VALUES (?1, ?2, ?3, '', ?4, ?4)"
        " ON CONFLICT (username) DO UPDATE SET changed_at = excluded.changed_at,"
        " name = CASE WHEN excluded.name <> '' THEN excluded.name ELSE staff.name END,"
        " password = CASE WHEN excluded.password <> '' THEN excluded.password ELSE staff.password END",
        "ttti", a->username, a->name, a->password, now) < 0) return -1;
  if (store_value(tx, &others, 0, err, "SELECT COUNT(*) FROM staff_role WHERE username = ?1 AND NOT (organisation = ?2 AND role = ?3)",
                  "tti", a->username, a->organisation, (int64_t)a->role) != 0) return -1;
  if (others >= ROLES_MOST) return err_set(err, ERR_LIMIT, "%s has %d roles already", a->username, ROLES_MOST);
  if (store_exec(tx, err, "INSERT INTO staff_role (username, organisation, role, created_at) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (username, organisation, role) DO NOTHING", "ttii", a->username, a->organisation, (int64_t)a->role, now) < 0) return -1;
  /* A password set here is known to the person: nothing is to be changed, and the account is open again. */
  if (a->password[0] != '\0' && store_put(tx, err, "DELETE FROM staff_account WHERE username = ?1", "t", a->username) != 0) return -1;
  return a->told ? console_act(tx, there ? "staff_add_role" : "staff_add", a->username, a->organisation, a->role, err) : 0;
}

int staff_shown_name(const char *typed, char out[128], struct err *err) {
  out[0] = '\0';
  if (typed == NULL) return 0;
  struct arena *a = arena_new(64 * 1024);
  char *name = strlen(typed) > 1000 ? NULL : text_repair(a, typed);
  bool fits = name != NULL && strlen(name) < 128 && strchr(name, '\n') == NULL;
  if (fits) memcpy(out, name, strlen(name) + 1);
  arena_free(a);
  return fits ? 0 : err_set(err, ERR_INVALID, "name: one line of at most 127 bytes");
}

int identity_staff_add(struct identity *i, const char *username, const char *name, const char *password,
                       const char *organisation, int role, struct err *err) {
  struct add a = {.organisation = organisation, .role = role, .told = true};
  if (identity_username(username, a.username) != 0)
    return err_set(err, ERR_INVALID, "username: 2 to 63 of a-z, 0-9, dot, dash, underscore and @");
  if (organisation == NULL || organisation[0] == '\0' || strlen(organisation) >= 48 || !utf8_valid(organisation, strlen(organisation)))
    return err_set(err, ERR_INVALID, "organisation: its code, at most 47 bytes");
  if (role < STAFF_OFFICER || role > STAFF_AUDITOR) return err_set(err, ERR_INVALID, "role: unknown");
  if (staff_shown_name(name, a.name, err) != 0) return -1;
  if (password != NULL && password[0] != '\0') {
    char *prepared;
    if (password_prepare(password, &prepared, err) != 0) return -1;
    int rc = password_hash(i, prepared, a.password, err);
    password_free(prepared);
    if (rc != 0) return -1;
  }
  if (store_write(i->main, STORE_FRONT, add_work, &a, err) != 0) return -1;
  if (a.password[0] != '\0') return identity_logout_user(i, a.username, err);
  sessions_forget_user(i, a.username);
  return 0;
}

struct many {
  struct add *items;
  size_t count;
};

static int many_work(struct store_tx *tx, void *arg, struct err *err) {
  struct many *m = arg;
  for (size_t k = 0; k < m->count; k++)
    if (add_work(tx, &m->items[k], err) != 0) return -1;
  return 0;
}

int identity_staff_many(struct identity *i, const struct identity_member *members, size_t count, const char *password, struct err *err) {
  struct many m = {.items = base_alloc((count + 1) * sizeof(struct add)), .count = count};
  char *prepared = NULL, hash[sizeof m.items->password] = "";
  int rc = password_prepare(password, &prepared, err);
  if (rc == 0) rc = password_hash(i, prepared, hash, err);
  for (size_t k = 0; k < count && rc == 0; k++) {
    struct add *a = &m.items[k];
    a->organisation = members[k].organisation;
    a->role = members[k].role;
    if (identity_username(members[k].username, a->username) != 0) rc = err_set(err, ERR_INVALID, "username: %s", members[k].username);
    else rc = staff_shown_name(members[k].name, a->name, err);
    snprintf(a->password, sizeof a->password, "%s", hash);
  }
  if (rc == 0) rc = store_write(i->main, STORE_FRONT, many_work, &m, err);
  password_free(prepared);
  free(m.items);
  return rc;
}

struct removal {
  char username[64];
  const char *organisation;
  int role;
  bool found;
};

static int remove_work(struct store_tx *tx, void *arg, struct err *err) {
  struct removal *r = arg;
  int changed;
  if (r->organisation != NULL) {
    changed = store_exec(tx, err, "DELETE FROM staff_role WHERE username = ?1 AND organisation = ?2 AND role = ?3", "tti", r->username,
                         r->organisation, (int64_t)r->role);
  } else {
    changed = store_exec(tx, err, "UPDATE staff SET password = '', totp = '', changed_at = ?2 WHERE username = ?1", "ti", r->username,
                         store_time(tx));
    if (changed >= 0 && store_exec(tx, err, "DELETE FROM staff_role WHERE username = ?1", "t", r->username) < 0) return -1;
  }
  r->found = changed > 0;
  if (changed < 0) return -1;
  if (!r->found) return 0;
  if (r->organisation == NULL && store_put(tx, err, "DELETE FROM staff_unit WHERE username = ?1", "t", r->username) != 0) return -1;
  return console_act(tx, r->organisation != NULL ? "staff_remove_role" : "staff_leave", r->username, r->organisation, r->organisation != NULL ? r->role : 0, err);
}

int identity_staff_remove(struct identity *i, const char *username, const char *organisation, int role, struct err *err) {
  struct removal r = {.organisation = organisation, .role = role};
  if (identity_username(username, r.username) != 0) return err_set(err, ERR_NOT_FOUND, "no such user");
  if (store_write(i->main, STORE_FRONT, remove_work, &r, err) != 0) return -1;
  if (!r.found) return err_set(err, ERR_NOT_FOUND, "no such user or role");
  if (organisation == NULL) return identity_logout_user(i, r.username, err);
  sessions_forget_user(i, r.username);
  return 0;
}

struct enrol { char username[64], sealed[128]; bool found; };

static int enrol_work(struct store_tx *tx, void *arg, struct err *err) {
  struct enrol *e = arg;
  int changed = store_exec(tx, err, "UPDATE staff SET totp = ?2, changed_at = ?3 WHERE username = ?1 AND password <> ''", "tti", e->username,
                           e->sealed, store_time(tx));
  e->found = changed > 0;
  return changed < 0 ? -1 : 0;
}

int identity_staff_totp(struct identity *i, const char *username, char secret_base32[64], struct err *err) {
  struct enrol e = {0};
  unsigned char key[TOTP_BYTES];
  if (identity_username(username, e.username) != 0) return err_set(err, ERR_NOT_FOUND, "no such user");
  random_bytes(key, sizeof key);
  int rc = totp_seal(i, e.username, key, e.sealed, err);
  if (rc == 0) rc = store_write(i->main, STORE_FRONT, enrol_work, &e, err);
  if (rc == 0 && !e.found) rc = err_set(err, ERR_NOT_FOUND, "no such user");
  if (rc == 0) totp_base32(key, sizeof key, secret_base32);
  OPENSSL_cleanse(key, sizeof key);
  return rc;
}

struct listing { const char *organisation; json_t *list; };

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct listing *l = arg;
  json_array_clear(l->list);
  struct store_rows *r = l->organisation == NULL
    ? store_select(tx, err, "SELECT s.username, s.name, r.organisation, r.role FROM staff_role r JOIN staff s ON s.username = r.username"
                            " ORDER BY r.organisation, s.username, r.role", "")
    : store_select(tx, err, "SELECT s.username, s.name, r.organisation, r.role FROM staff_role r JOIN staff s ON s.username = r.username"
                            " WHERE r.organisation = ?1 ORDER BY s.username, r.role", "t", l->organisation);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    json_t *row = json_object();
    json_put(row, "username", store_text(r, 0));
    json_put(row, "name", store_text(r, 1));
    json_put(row, "organisation", store_text(r, 2));
    json_put(row, "role", staff_role_text((int)store_int(r, 3)));
    json_array_append_new(l->list, row);
  }
  store_done(r);
  return rc;
}

int identity_staff(struct identity *i, const char *organisation, json_t **out, struct err *err) {
  struct listing l = {organisation, json_array()};
  if (store_read(i->main, list_work, &l, err) != 0) {
    json_decref(l.list);
    return -1;
  }
  *out = l.list;
  return 0;
}

/* ---- signing in ---------------------------------------------------------------------------- */

struct sign_in {
  const struct identity *i;
  char username[64], subject[HEX]; /* username "": nobody can have that name */
  char password[160], totp[128];   /* of the account, "" when none */
  char token[64];
  int64_t until, step;             /* locked until; accepted TOTP step, -1 when none is needed */
  bool replayed;
};

static int read_lock(struct store_tx *tx, void *arg, struct err *err) {
  struct sign_in *s = arg;
  return store_value(tx, &s->until, 0, err, "SELECT until_at FROM lockout WHERE subject = ?1", "t", s->subject);
}

static int read_account(struct store_tx *tx, void *arg, struct err *err) {
  struct sign_in *s = arg;
  s->password[0] = s->totp[0] = '\0';
  struct store_rows *r = store_select(tx, err, "SELECT password, totp FROM staff WHERE username = ?1"
    " AND NOT EXISTS (SELECT 1 FROM staff_account a WHERE a.username = staff.username AND a.disabled <> 0)", "t", s->username);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(s->password, sizeof s->password, "%s", store_text(r, 0));
    snprintf(s->totp, sizeof s->totp, "%s", store_text(r, 1));
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

struct is_person { const char *username, *person; };

static int is_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct is_person *k = arg;
  int there = account_there(tx, k->username, err);
  if (there <= 0) return there < 0 ? -1 : err_set(err, ERR_NOT_FOUND, "no such member of staff");
  return store_put(tx, err, "INSERT INTO staff_person (username,person) VALUES (?1,?2) ON CONFLICT (username) DO UPDATE SET person=excluded.person", "tt", k->username, k->person);
}

int identity_staff_is(struct identity *i, const char *username, const char *national_id, struct err *err) {
  char name[64], id[32], person[72];
  if (identity_username(username, name) != 0) return err_set(err, ERR_INVALID, "username: 2 to 63 of a-z, 0-9, dot, dash, underscore and @");
  if (identifier_parse(IDENT_NATIONAL_ID, national_id, id) != 0) return err_set(err, ERR_INVALID, "national-id: ten digits with a right check digit");
  identity_person_key(i, id, person);
  return store_write(i->main, STORE_FRONT, is_work, &(struct is_person){name, person}, err);
}

int identity_staff_person(struct store_tx *tx, const char *username, char person[72], struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT person FROM staff_person WHERE username=?1", "t", username);
  if (!r) return -1;
  int rc = store_next(r, err);
  snprintf(person, 72, "%s", rc == 1 ? store_text(r, 0) : "");
  store_done(r);
  return rc;
}

int identity_handles(struct store_tx *tx, const char *username, const char *organisation, struct err *err) {
  int64_t found = 0;
  if (store_value(tx, &found, 0, err, "SELECT COUNT(*) FROM staff_role WHERE username=?1 AND organisation=?2 AND role IN (?3,?4,?5)", "ttiii", username,
                  organisation, (int64_t)STAFF_OFFICER, (int64_t)STAFF_SUPERVISOR, (int64_t)STAFF_MANAGER))
    return -1;
  return found > 0;
}

int identity_member_in(struct store_tx *tx, const char *username, const char *organisation, struct actor *out, struct err *err) {
  int rc;
  *out = (struct actor){.kind = ACTOR_STAFF};
  snprintf(out->username, sizeof out->username, "%s", username);
  snprintf(out->person, sizeof out->person, "s:%s", out->username);
  struct store_rows *r = store_select(tx, err, "SELECT role FROM staff_role WHERE username=?1 AND organisation=?2 ORDER BY role", "tt", username, organisation);
  if (r == NULL) return -1;
  while (out->role_count < ROLES_MOST && (rc = store_next(r, err)) == 1) {
    snprintf(out->roles[out->role_count].organisation, sizeof out->roles[0].organisation, "%s", organisation);
    out->roles[out->role_count++].role = (int)store_int(r, 0);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* A minute after the fifth wrong one, then twice as long each time, an hour at most; forgotten after a quiet day. */
static int fail_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct sign_in *s = arg;
  int64_t now = store_time(tx), fails, wait;
  struct store_rows *r = store_select(tx, err,
    "INSERT INTO lockout (subject, fails, until_at, forget_at) VALUES (?1, 1, 0, ?3) ON CONFLICT (subject) DO UPDATE SET"
    " fails = CASE WHEN lockout.forget_at <= ?2 THEN 1 ELSE lockout.fails + 1 END, forget_at = excluded.forget_at RETURNING fails",
    "tii", s->subject, now, now + LOCK_FORGET_MS);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  fails = rc == 1 ? store_int(r, 0) : 0;
  store_done(r);
  if (rc < 0) return -1;
  if (fails < LOCK_AFTER) return 0;
  wait = fails - LOCK_AFTER < 6 ? (int64_t)LOCK_FIRST_MS << (fails - LOCK_AFTER) : LOCK_MOST_MS;
  return store_exec(tx, err, "UPDATE lockout SET until_at = ?2 WHERE subject = ?1", "ti", s->subject, now + wait) < 0 ? -1 : 0;
}

static int enter_work(struct store_tx *tx, void *arg, struct err *err) {
  struct sign_in *s = arg;
  s->replayed = false;
  if (s->step >= 0) {
    struct store_rows *r = store_select(tx, err,
      "INSERT INTO totp_step (username, step) VALUES (?1, ?2) ON CONFLICT (username) DO UPDATE SET step = excluded.step"
      " WHERE totp_step.step < excluded.step RETURNING step", "ti", s->username, s->step);
    if (r == NULL) return -1;
    int rc = store_next(r, err);
    store_done(r);
    if (rc < 0) return -1;
    s->replayed = rc == 0;
    if (s->replayed) return 0;
  }
  if (store_exec(tx, err, "DELETE FROM lockout WHERE subject = ?1", "t", s->subject) < 0) return -1;
  struct session_row row = {.username = s->username, .national_id = "", .mobile = "", .assurance = ASSURANCE_NONE};
  return session_insert(tx, s->i, s->token, &row, err);
}

/* *right: password and, where one is enrolled, TOTP. */
static int judge(struct identity *i, struct sign_in *s, const char *password, const char *totp, bool *right, struct err *err) {
  char *prepared = NULL;
  int rc = 0;
  struct err ignored = {0};
  *right = false;
  s->step = -1;
  if (password_prepare(password, &prepared, &ignored) != 0) prepared = base_strdup("");
  rc = password_check(i, prepared, s->password, right, err);
  password_free(prepared);
  if (rc == 0 && *right && s->totp[0] != '\0') {
    unsigned char key[TOTP_BYTES];
    rc = totp_open(i, s->username, s->totp, key, err);
    if (rc == 0) s->step = totp_match(key, sizeof key, clock_now(), totp);
    *right = rc == 0 && s->step >= 0;
    OPENSSL_cleanse(key, sizeof key);
  }
  return rc;
}

/* The account as it is, unless there were too many attempts. */
static int look_up(struct identity *i, struct sign_in *s, const char *username, const char *address, struct err *err) {
  if (!identity_limit(i, "address sign-in", address, SIGN_IN_PER_ADDRESS, SIGN_IN_WINDOW_S))
    return err_set(err, ERR_RATE, "too many attempts from one address");
  if (identity_username(username, s->username) != 0) s->username[0] = '\0';
  identity_mac_hex(i, "lockout", s->username, NULL, s->subject);
  if (store_read(i->fast, read_lock, s, err) != 0 || store_read(i->main, read_account, s, err) != 0) return -1;
  return s->until > clock_now() ? err_set(err, ERR_RATE, "locked after wrong passwords") : 0;
}

int staff_check(struct identity *i, const char *username, const char *password, const char *address, struct err *err) {
  struct sign_in s = {.i = i};
  bool right;
  if (look_up(i, &s, username, address, err) != 0) return -1;
  s.totp[0] = '\0'; /* whoever is signed in has shown it */
  int rc = judge(i, &s, password, NULL, &right, err);
  OPENSSL_cleanse(s.password, sizeof s.password);
  if (rc != 0) return -1;
  if (right) return 0;
  if (store_write(i->fast, STORE_FRONT, fail_work, &s, err) != 0) return -1;
  return err_set(err, ERR_UNAUTHENTICATED, "wrong password");
}

int identity_password(struct identity *i, const char *username, const char *password, const char *totp, const char *address,
                      char token[64], int *expires_in, struct err *err) {
  struct sign_in s = {.i = i};
  bool right;
  if (look_up(i, &s, username, address, err) != 0) return -1;
  int rc = judge(i, &s, password, totp, &right, err);
  OPENSSL_cleanse(s.password, sizeof s.password);
  if (rc != 0) return -1;
  if (right) {
    session_token(s.token);
    if (store_write(i->fast, STORE_FRONT, enter_work, &s, err) != 0) return -1;
    right = !s.replayed;
  }
  identity_sweep(i);
  if (!right) {
    /* A name that nobody can have is not counted: it would lock out all such names together. */
    if (s.username[0] != '\0' && store_write(i->fast, STORE_FRONT, fail_work, &s, err) != 0) return -1;
    return err_set(err, ERR_UNAUTHENTICATED, "wrong name, password or code");
  }
  memcpy(token, s.token, sizeof s.token);
  *expires_in = i->options.session_seconds;
  return 0;
}
