/* Accounts and roles as a manager or an operator changes them: who may, what must not be, and an act for each. */
#include "identity/inner.h"
#include "trust/trust.h"
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static const char *const change_texts[] = {
#define X(name, text) text,
  STAFF_CHANGE_TABLE(X)
#undef X
};

int staff_change_parse(const char *text) {
  for (size_t k = 0; text != NULL && k < BASE_COUNT(change_texts); k++)
    if (strcmp(change_texts[k], text) == 0) return (int)k;
  return -1;
}

bool identity_manages(const struct actor *by, const char *organisation) {
  return by->kind == ACTOR_STAFF && (actor_has_role(by, NULL, STAFF_OPERATOR) || actor_has_role(by, organisation, STAFF_MANAGER));
}

/* ---- the account as it is ------------------------------------------------------------------- */

struct account {
  bool there, open;            /* a row; with a password, so not left */
  bool disabled;
  unsigned count;
  struct { char organisation[48]; int role; } roles[ROLES_MOST];
};

static int load_account(struct store_tx *tx, const char *username, struct account *a, struct err *err) {
  memset(a, 0, sizeof *a);
  struct store_rows *r = store_select(tx, err,
    "SELECT CASE WHEN s.password <> '' THEN 1 ELSE 0 END, COALESCE(a.disabled, 0) FROM staff s LEFT JOIN staff_account a ON a.username = s.username"
    " WHERE s.username = ?1", "t", username);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    a->there = true;
    a->open = store_int(r, 0) != 0;
    a->disabled = store_int(r, 1) != 0;
  }
  store_done(r);
  if (rc < 0) return -1;
  r = store_select(tx, err, "SELECT organisation, role FROM staff_role WHERE username = ?1 ORDER BY organisation, role LIMIT 16", "t", username);
  if (r == NULL) return -1;
  while ((rc = store_next(r, err)) == 1 && a->count < ROLES_MOST) {
    snprintf(a->roles[a->count].organisation, sizeof a->roles[0].organisation, "%s", store_text(r, 0));
    a->roles[a->count++].role = (int)store_int(r, 1);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* A manager's people are those whose every role is theirs to give. */
static bool administers(const struct actor *by, const struct account *a) {
  if (actor_has_role(by, NULL, STAFF_OPERATOR)) return true;
  for (unsigned k = 0; k < a->count; k++)
    if (a->roles[k].role == STAFF_OPERATOR || a->roles[k].role == STAFF_AUDITOR || !actor_has_role(by, a->roles[k].organisation, STAFF_MANAGER)) return false;
  return a->count > 0;
}

/* ---- one change -------------------------------------------------------------------------------- */

struct changing {
  struct identity *i;
  const struct actor *by;
  struct staff_change *c;
  char username[64], name[128], hash[160], person[72];
  struct account account;
  bool made;                   /* a new account: its password counts */
};

static int refuse(struct changing *k, enum err_code code, const char *field, const char *detail, struct err *err) {
  k->c->field = field;
  k->c->detail = detail;
  return err_set(err, code, "%s", detail);
}

/* May this role go? Whoever takes the last of an organisation at the same time meets at the guard's row. */
static int leave_one(struct changing *k, struct store_tx *tx, const char *organisation, int role, struct err *err) {
  int64_t others = 0;
  bool operator_ = role == STAFF_OPERATOR;
  if (role != STAFF_MANAGER && !operator_) return 0;
  if (store_exec(tx, err, "INSERT INTO staff_guard (organisation, n) VALUES (?1, 1) ON CONFLICT (organisation) DO UPDATE SET n = staff_guard.n + 1", "t",
                 operator_ ? "" : organisation) < 0 ||
      store_value(tx, &others, 0, err,
        "SELECT COUNT(*) FROM staff_role r JOIN staff s ON s.username = r.username LEFT JOIN staff_account a ON a.username = r.username"
        " WHERE r.role = ?1 AND (?2 = '' OR r.organisation = ?2) AND r.username <> ?3 AND s.password <> '' AND COALESCE(a.disabled, 0) = 0",
        "itt", (int64_t)role, operator_ ? "" : organisation, k->username) != 0) return -1;
  return others > 0 ? 0 : refuse(k, ERR_CONFLICT, "role", operator_ ? "admin.last_operator" : "admin.last_manager", err);
}

static int leave_all(struct changing *k, struct store_tx *tx, struct err *err) {
  if (strcmp(k->username, k->by->username) == 0) return refuse(k, ERR_CONFLICT, "username", "admin.own_account", err);
  for (unsigned n = 0; n < k->account.count && !k->account.disabled; n++)
    if (leave_one(k, tx, k->account.roles[n].organisation, k->account.roles[n].role, err) != 0) return -1;
  return 0;
}

static int put_account(struct store_tx *tx, const char *username, bool must_change, bool disabled, struct err *err) {
  return store_put(tx, err, "INSERT INTO staff_account (username, must_change, disabled, pending_totp) VALUES (?1, ?2, ?3, '') ON CONFLICT (username)"
                            " DO UPDATE SET must_change = excluded.must_change, disabled = excluded.disabled, pending_totp = ''", "tii", username,
                   (int64_t)must_change, (int64_t)disabled);
}

static int set_unit(struct changing *k, struct store_tx *tx, struct err *err) {
  const struct staff_change *c = k->c;
  if (c->unit == NULL) return 0;
  if (c->unit[0] == '\0') return store_put(tx, err, "DELETE FROM staff_unit WHERE username = ?1 AND organisation = ?2", "tt", k->username, c->organisation);
  int there = identity_unit_there(tx, c->organisation, c->unit, err);
  if (there < 0) return -1;
  if (!there) return refuse(k, ERR_INVALID, "unit", "admin.unit_unknown", err);
  return store_put(tx, err, "INSERT INTO staff_unit (username, organisation, unit) VALUES (?1, ?2, ?3) ON CONFLICT (username, organisation)"
                            " DO UPDATE SET unit = excluded.unit", "ttt", k->username, c->organisation, c->unit);
}

static int add_role(struct changing *k, struct store_tx *tx, struct err *err) {
  if (k->account.count >= ROLES_MOST) return refuse(k, ERR_LIMIT, "role", "admin.many_roles", err);
  return store_put(tx, err, "INSERT INTO staff_role (username, organisation, role, created_at) VALUES (?1, ?2, ?3, ?4)"
                            " ON CONFLICT (username, organisation, role) DO NOTHING", "ttii", k->username, k->c->organisation, (int64_t)k->c->role, store_time(tx));
}

static int do_add(struct changing *k, struct store_tx *tx, struct err *err) {
  if (k->account.there && (k->account.open || k->account.count)) return refuse(k, ERR_CONFLICT, "username", "admin.username_taken", err);
  if (k->account.there && !actor_has_role(k->by, NULL, STAFF_OPERATOR)) return refuse(k, ERR_CONFLICT, "username", "admin.username_taken", err);
  if (store_put(tx, err, "INSERT INTO staff (username, name, password, totp, created_at, changed_at) VALUES (?1, ?2, ?3, '', ?4, ?4)"
                         " ON CONFLICT (username) DO UPDATE SET changed_at = excluded.changed_at, name = excluded.name, password = excluded.password, totp = ''",
                "ttti", k->username, k->name, k->hash, store_time(tx)) != 0) return -1;
  k->made = true;
  return put_account(tx, k->username, true, false, err) != 0 || add_role(k, tx, err) != 0 || set_unit(k, tx, err) != 0 ? -1 : 0;
}

static int do_remove_role(struct changing *k, struct store_tx *tx, struct err *err) {
  const struct staff_change *c = k->c;
  bool found = false, elsewhere = false;
  for (unsigned n = 0; n < k->account.count; n++) {
    bool here = strcmp(k->account.roles[n].organisation, c->organisation) == 0;
    found = found || (here && k->account.roles[n].role == c->role);
    elsewhere = elsewhere || (here && k->account.roles[n].role != c->role);
  }
  if (!found) return refuse(k, ERR_NOT_FOUND, "role", "admin.no_role", err);
  if (strcmp(k->username, k->by->username) == 0 && k->account.count == 1) return refuse(k, ERR_CONFLICT, "role", "admin.own_last", err);
  if (!k->account.disabled && leave_one(k, tx, c->organisation, c->role, err) != 0) return -1;
  if (!elsewhere && store_put(tx, err, "DELETE FROM staff_unit WHERE username = ?1 AND organisation = ?2", "tt", k->username, c->organisation) != 0) return -1;
  return store_put(tx, err, "DELETE FROM staff_role WHERE username = ?1 AND organisation = ?2 AND role = ?3", "tti", k->username, c->organisation, (int64_t)c->role);
}

static int do_leave(struct changing *k, struct store_tx *tx, struct err *err) {
  if (leave_all(k, tx, err) != 0) return -1;
  if (store_put(tx, err, "UPDATE staff SET password = '', totp = '', changed_at = ?2 WHERE username = ?1", "ti", k->username, store_time(tx)) != 0 ||
      store_put(tx, err, "DELETE FROM staff_account WHERE username = ?1", "t", k->username) != 0 ||
      store_put(tx, err, "DELETE FROM staff_unit WHERE username = ?1", "t", k->username) != 0) return -1;
  return store_put(tx, err, "DELETE FROM staff_role WHERE username = ?1", "t", k->username);
}

static int do_reset(struct changing *k, struct store_tx *tx, struct err *err) {
  if (strcmp(k->username, k->by->username) == 0) return refuse(k, ERR_CONFLICT, "username", "admin.own_password", err);
  if (store_put(tx, err, "UPDATE staff SET password = ?2, changed_at = ?3 WHERE username = ?1", "tti", k->username, k->hash, store_time(tx)) != 0) return -1;
  k->made = true;
  return put_account(tx, k->username, true, k->account.disabled, err);
}

static int must_change(struct store_tx *tx, const char *username, int64_t *out, struct err *err) {
  return store_value(tx, out, 0, err, "SELECT must_change FROM staff_account WHERE username = ?1", "t", username);
}

static int do_disable(struct changing *k, struct store_tx *tx, bool disabled, struct err *err) {
  int64_t must = 0;
  if (disabled && leave_all(k, tx, err) != 0) return -1;
  if (must_change(tx, k->username, &must, err) != 0) return -1;
  return put_account(tx, k->username, must != 0, disabled, err);
}

static int do_change(struct changing *k, struct store_tx *tx, struct err *err) {
  switch (k->c->kind) {
  case CHANGE_ADD: return do_add(k, tx, err);
  case CHANGE_ADD_ROLE: return add_role(k, tx, err);
  case CHANGE_REMOVE_ROLE: return do_remove_role(k, tx, err);
  case CHANGE_UNIT: return set_unit(k, tx, err);
  case CHANGE_DISABLE: return do_disable(k, tx, true, err);
  case CHANGE_ENABLE: return do_disable(k, tx, false, err);
  case CHANGE_LEAVE: return do_leave(k, tx, err);
  case CHANGE_RESET: return do_reset(k, tx, err);
  case CHANGE_TOTP_OFF: return store_put(tx, err, "UPDATE staff SET totp = '', changed_at = ?2 WHERE username = ?1", "ti", k->username, store_time(tx));
  case CHANGE_END_SESSIONS: return 0;
  case CHANGE_PERSON:
    if (!k->person[0]) return store_put(tx, err, "DELETE FROM staff_person WHERE username = ?1", "t", k->username);
    return store_put(tx, err, "INSERT INTO staff_person (username, person) VALUES (?1, ?2) ON CONFLICT (username) DO UPDATE SET person = excluded.person", "tt",
                     k->username, k->person);
  }
  return err_set(err, ERR_INTERNAL, "no such change");
}

static bool of_role(enum staff_change_kind kind) { return kind == CHANGE_ADD || kind == CHANGE_ADD_ROLE || kind == CHANGE_REMOVE_ROLE; }
static bool of_organisation(enum staff_change_kind kind) { return of_role(kind) || kind == CHANGE_UNIT; }

static int change_work(struct store_tx *tx, void *arg, struct err *err) {
  struct changing *k = arg;
  struct staff_change *c = k->c;
  char kind[40];
  c->field = c->detail = NULL;
  k->made = false;
  if (load_account(tx, k->username, &k->account, err) != 0) return -1;
  if (c->kind != CHANGE_ADD && (!k->account.open || !administers(k->by, &k->account))) return err_set(err, ERR_NOT_FOUND, "no such member of staff");
  if (do_change(k, tx, err) != 0) return -1;
  json_t *detail = json_object();
  if (of_role(c->kind)) json_put(detail, "role", staff_role_text(c->role));
  if (c->unit != NULL && of_organisation(c->kind)) json_put(detail, "unit", c->unit);
  const char *home = of_organisation(c->kind) ? c->organisation : k->account.roles[0].organisation;
  snprintf(kind, sizeof kind, "staff_%s", change_texts[c->kind]);
  int rc = identity_act_put(tx, &(struct act){.kind = kind, .who = k->by->username, .organisation = home, .subject = k->username,
                                              .detail = json_object_size(detail) > 0 ? detail : NULL}, err);
  json_decref(detail);
  return rc;
}

/* Twelve letters and digits that cannot be taken for each other, in groups: some 59 bits. */
static void first_password(char out[32]) {
  static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789";
  unsigned char raw[12];
  char *s = out;
  for (unsigned k = 0; k < sizeof raw; k++) {
    do random_bytes(&raw[k], 1);
    while (raw[k] >= 248); /* 8 × 31: each letter as likely */
    if (k == 4 || k == 8) *s++ = '-';
    *s++ = letters[raw[k] % 31];
  }
  *s = '\0';
  OPENSSL_cleanse(raw, sizeof raw);
}

static int prepare_password(struct changing *k, struct err *err) {
  char *prepared = NULL;
  first_password(k->c->password);
  int rc = password_prepare(k->c->password, &prepared, err);
  if (rc == 0) rc = password_hash(k->i, prepared, k->hash, err);
  password_free(prepared);
  return rc;
}

static int check_change(struct changing *k, struct err *err) {
  struct staff_change *c = k->c;
  struct err why = {0};
  if (identity_username(c->username, k->username) != 0)
    return c->kind == CHANGE_ADD ? refuse(k, ERR_INVALID, "username", "admin.username", err) : err_set(err, ERR_NOT_FOUND, "no such member of staff");
  if (c->kind == CHANGE_PERSON && c->national_id && c->national_id[0]) {
    char id[32];
    if (identifier_parse(IDENT_NATIONAL_ID, c->national_id, id)) return refuse(k, ERR_INVALID, "national_id", "admin.national_id", err);
    identity_person_key(k->i, id, k->person);
  }
  if (!of_organisation(c->kind)) return 0;
  if (c->organisation == NULL || c->organisation[0] == '\0' || strlen(c->organisation) >= 48 || !identity_manages(k->by, c->organisation))
    return refuse(k, ERR_NOT_FOUND, "organisation", "admin.organisation", err);
  if (of_role(c->kind) && (c->role < STAFF_OFFICER || c->role > STAFF_AUDITOR)) return refuse(k, ERR_INVALID, "role", "admin.role", err);
  if (of_role(c->kind) && (c->role == STAFF_OPERATOR || c->role == STAFF_AUDITOR) && !actor_has_role(k->by, NULL, STAFF_OPERATOR))
    return refuse(k, ERR_FORBIDDEN, "role", "admin.role_not_yours", err);
  if (c->kind == CHANGE_ADD && (staff_shown_name(c->name, k->name, &why) != 0 || k->name[0] == '\0')) return refuse(k, ERR_INVALID, "name", "admin.name", err);
  return 0;
}

int identity_change(struct identity *i, const struct actor *by, struct staff_change *c, struct err *err) {
  struct changing k = {.i = i, .by = by, .c = c};
  bool secret = c->kind == CHANGE_ADD || c->kind == CHANGE_RESET;
  c->password[0] = '\0';
  c->field = c->detail = NULL;
  int rc = check_change(&k, err);
  if (rc == 0 && secret) rc = prepare_password(&k, err);
  if (rc == 0) rc = store_write(i->main, STORE_FRONT, change_work, &k, err);
  OPENSSL_cleanse(k.hash, sizeof k.hash);
  if (rc != 0 || !k.made) OPENSSL_cleanse(c->password, sizeof c->password);
  if (rc != 0) return -1;
  if (c->kind == CHANGE_ADD_ROLE || c->kind == CHANGE_REMOVE_ROLE || c->kind == CHANGE_UNIT || c->kind == CHANGE_ENABLE || c->kind == CHANGE_TOTP_OFF || c->kind == CHANGE_PERSON) {
    sessions_forget_user(i, k.username);
    return 0;
  }
  return identity_logout_user(i, k.username, err);
}

/* ---- sessions of many ---------------------------------------------------------------------------- */

struct end_all {
  const struct actor *by;
  const char *organisation;
  json_t *names;
};

static int end_work(struct store_tx *tx, void *arg, struct err *err) {
  struct end_all *e = arg;
  json_array_clear(e->names);
  int rc = 0;
  if (e->organisation != NULL) {
    struct store_rows *r = store_select(tx, err, "SELECT DISTINCT username FROM staff_role WHERE organisation = ?1 ORDER BY username", "t", e->organisation);
    if (r == NULL) return -1;
    while ((rc = store_next(r, err)) == 1) json_array_append_new(e->names, json_string(store_text(r, 0)));
    store_done(r);
  }
  if (rc < 0) return -1;
  return identity_act_put(tx, &(struct act){.kind = "sessions_end", .who = e->by->username, .organisation = e->organisation}, err);
}

int identity_end_all(struct identity *i, const struct actor *by, const char *organisation, int64_t *ended, struct err *err) {
  bool may = organisation != NULL ? identity_manages(by, organisation) : actor_has_role(by, NULL, STAFF_OPERATOR);
  struct end_all e = {by, organisation, NULL};
  if (!may) return err_set(err, ERR_NOT_FOUND, "no such organisation");
  e.names = json_array();
  int rc = store_write(i->main, STORE_FRONT, end_work, &e, err);
  struct ending ending = {organisation != NULL ? e.names : NULL, by->username, 0};
  if (rc == 0) rc = sessions_end(i, &ending, err);
  *ended = ending.ended;
  json_decref(e.names);
  return rc;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

struct members {
  const struct actor *by;
  const struct staff_query *q;
  const char *only;            /* one person, or NULL */
  struct arena *arena;
  const char *folded;          /* what is searched, folded, or NULL */
  int limit;
  json_t *items;
  bool more;
};

static bool sees_all(const struct actor *by) { return actor_has_role(by, NULL, STAFF_OPERATOR) || actor_has_role(by, NULL, STAFF_AUDITOR); }

static bool fits(struct members *m, const char *username, const char *name) {
  if (m->folded == NULL) return true;
  arena_reset(m->arena);
  const char *a = text_fold(m->arena, username), *b = text_fold(m->arena, name);
  return (a != NULL && strstr(a, m->folded) != NULL) || (b != NULL && strstr(b, m->folded) != NULL);
}

static void take_role(struct members *m, json_t *one, const struct store_rows *r) {
  const char *organisation = store_text(r, 5), *unit = store_text(r, 7);
  if (!sees_all(m->by) && !identity_manages(m->by, organisation)) return;
  json_array_append_new(json_object_get(one, "roles"), json_pack("{s:s,s:s}", "organisation", organisation, "role", staff_role_text((int)store_int(r, 6))));
  if (unit != NULL && unit[0] != '\0') json_object_set_new(json_object_get(one, "units"), organisation, json_string(unit));
}

#define MEMBERS                                                                                                                        \
  "SELECT s.username, s.name, COALESCE(a.disabled, 0), COALESCE(a.must_change, 0), CASE WHEN s.totp <> '' THEN 1 ELSE 0 END, r.organisation," \
  " r.role, COALESCE(u.unit, ''), CASE WHEN EXISTS (SELECT 1 FROM staff_person p WHERE p.username = s.username) THEN 1 ELSE 0 END FROM staff s JOIN staff_role r ON r.username = s.username LEFT JOIN staff_account a ON a.username = s.username" \
  " LEFT JOIN staff_unit u ON u.username = s.username AND u.organisation = r.organisation WHERE s.username > ?1"
#define IN_ORDER " ORDER BY s.username, r.organisation, r.role"

static struct store_rows *select_members(struct members *m, struct store_tx *tx, struct err *err) {
  const char *after = m->q->after != NULL ? m->q->after : "", *unit = m->q->unit != NULL ? m->q->unit : "";
  if (m->only != NULL) return store_select(tx, err, MEMBERS " AND s.username = ?2" IN_ORDER, "tt", "", m->only);
  if (m->q->organisation != NULL)
    return store_select(tx, err, MEMBERS " AND EXISTS (SELECT 1 FROM staff_role x WHERE x.username = s.username AND x.organisation = ?2)"
                        " AND (?3 = '' OR EXISTS (SELECT 1 FROM staff_unit y WHERE y.username = s.username AND y.organisation = ?2 AND y.unit = ?3))" IN_ORDER,
                        "ttt", after, m->q->organisation, unit);
  return store_select(tx, err, MEMBERS IN_ORDER, "t", after);
}

static int members_work(struct store_tx *tx, void *arg, struct err *err) {
  struct members *m = arg;
  json_t *one = NULL;
  char last[64] = "";
  int rc;
  json_array_clear(m->items);
  m->more = false;
  struct store_rows *r = select_members(m, tx, err);
  if (r == NULL) return -1;
  while ((rc = store_next(r, err)) == 1) {
    const char *username = store_text(r, 0);
    if (strcmp(username, last) != 0) {
      snprintf(last, sizeof last, "%s", username);
      one = NULL;
      if (!fits(m, username, store_text(r, 1))) continue;
      if ((m->more = (int)json_array_size(m->items) == m->limit)) break;
      one = json_pack("{s:s,s:s,s:[],s:{},s:b,s:b,s:b,s:b,s:n}", "username", username, "name", store_text(r, 1), "roles", "units", "disabled", store_int(r, 2) != 0,
                      "must_change", store_int(r, 3) != 0, "totp", store_int(r, 4) != 0, "person_known", store_int(r, 8) != 0, "last_seen");
      json_array_append_new(m->items, one);
    }
    if (one != NULL) take_role(m, one, r);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int seen_work(struct store_tx *tx, void *arg, struct err *err) {
  struct members *m = arg;
  size_t k;
  json_t *one;
  json_array_foreach(m->items, k, one) {
    int64_t at = 0;
    char text[32];
    if (store_value(tx, &at, 0, err, "SELECT at FROM staff_seen WHERE username = ?1", "t", json_str(one, "username")) != 0) return -1;
    if (at == 0) continue;
    clock_rfc3339(at, text);
    json_put(one, "last_seen", text);
  }
  return 0;
}

static int read_members(struct identity *i, struct members *m, struct err *err) {
  m->items = json_array();
  m->arena = arena_new(64 * 1024);
  int rc = store_read(i->main, members_work, m, err);
  if (rc == 0) rc = store_read(i->fast, seen_work, m, err);
  arena_free(m->arena);
  if (rc != 0) json_decref(m->items);
  return rc;
}

int identity_members(struct identity *i, const struct actor *by, const struct staff_query *q, json_t **out, struct err *err) {
  struct members m = {.by = by, .q = q, .limit = q->limit < 1 || q->limit > 200 ? 50 : q->limit};
  if (!sees_all(by) && (q->organisation == NULL || !identity_manages(by, q->organisation))) return err_set(err, ERR_NOT_FOUND, "no such organisation");
  struct arena *a = arena_new(64 * 1024);
  if (q->q != NULL && q->q[0] != '\0' && strlen(q->q) < 400) m.folded = text_fold(a, q->q);
  int rc = read_members(i, &m, err);
  arena_free(a);
  if (rc != 0) return -1;
  const json_t *last = json_array_get(m.items, json_array_size(m.items) - 1);
  *out = json_object();
  json_put(*out, "next", m.more ? json_str(last, "username") : NULL);
  json_object_set_new(*out, "items", m.items);
  return 0;
}

int identity_member(struct identity *i, const struct actor *by, const char *username, json_t **out, struct err *err) {
  char name[64];
  struct staff_query none = {0};
  struct members m = {.by = by, .q = &none, .only = name, .limit = 1};
  if (identity_username(username, name) != 0) return err_set(err, ERR_NOT_FOUND, "no such member of staff");
  if (read_members(i, &m, err) != 0) return -1;
  json_t *one = json_array_get(m.items, 0);
  bool seen = one != NULL && json_array_size(json_object_get(one, "roles")) > 0;
  if (seen) *out = json_incref(one);
  json_decref(m.items);
  return seen ? 0 : err_set(err, ERR_NOT_FOUND, "no such member of staff");
}
