/* Telephones bound to a person at a counter, and the office from which an agent works. */
#include "identity/inner.h"
#include <stdlib.h>
#include <string.h>

struct asked {
  const char *person, *mobile;
  int64_t found;
};

static int bound_work(struct store_tx *tx, void *arg, struct err *err) {
  struct asked *k = arg;
  return store_value(tx, &k->found, 0, err, "SELECT COUNT(*) FROM bound_telephone WHERE person = ?1 AND mobile = ?2 AND ended_at = 0 AND expires_at > ?3",
                     "tti", k->person, k->mobile, clock_now());
}

int telephone_bound(struct identity *i, const char *national_id, const char *mobile, struct err *err) {
  char person[72];
  identity_person_key(i, national_id, person);
  struct asked k = {.person = person, .mobile = mobile};
  if (store_read(i->main, bound_work, &k, err)) return -1;
  return k.found > 0;
}

int identity_bind(struct store_tx *tx, const struct identity *i, const char *national_id, const char *mobile, const struct actor *who,
                  const char *organisation, const char *tracking, json_t **told, struct err *err) {
  char person[72], id[33];
  unsigned char raw[16];
  int64_t now = store_time(tx);
  json_t *list = json_array();
  *told = NULL;
  identity_person_key(i, national_id, person);
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, id);
  struct store_rows *r = store_select(tx, err, "SELECT DISTINCT mobile FROM bound_telephone WHERE person = ?1 AND ended_at = 0 AND expires_at > ?2", "ti", person, now);
  int rc = r == NULL ? -1 : 0;
  while (r != NULL && (rc = store_next(r, err)) == 1)
    if (strcmp(store_text(r, 0), mobile) != 0) json_array_append_new(list, json_string(store_text(r, 0)));
  store_done(r);
  if (rc == 0) rc = store_exec(tx, err, "UPDATE bound_telephone SET ended_at = ?3, ended_by = 'again' WHERE person = ?1 AND mobile = ?2 AND ended_at = 0", "tti", person, mobile, now) < 0 ? -1 : 0;
  if (rc == 0)
    rc = store_put(tx, err, "INSERT INTO bound_telephone (id, person, mobile, agent, organisation, office, tracking, at, expires_at, ended_at, ended_by)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, '')",
                   "ttttttt" "ii", id, person, mobile, who->username, organisation, who->office, tracking, now, now + INT64_C(86400000) * BOUND_DAYS);
  if (rc == 0) *told = list;
  else json_decref(list);
  return rc;
}

/* ---- reading and ending -------------------------------------------------------------------- */

static bool leads(const struct actor *who, const char *organisation) {
  return actor_has_role(who, organisation, STAFF_SUPERVISOR) || actor_has_role(who, organisation, STAFF_MANAGER);
}

static bool may_end(const struct actor *who, const char *person, const char *mobile, const char *organisation, const char *agent, const char *mine) {
  if (who->kind == ACTOR_STAFF) return leads(who, organisation) && strcmp(agent, who->username) != 0;
  if (who->kind != ACTOR_CITIZEN || strcmp(person, mine) != 0) return false;
  return who->assurance > ASSURANCE_CLAIMED || strcmp(mobile, who->mobile) == 0; /* who claims a pair speaks for its telephone alone */
}

struct listed {
  const struct actor *who;
  const char *organisation;
  char person[72];
  json_t *out;
};

static void put_time(json_t *o, const char *key, int64_t at) {
  char text[32];
  if (at) clock_rfc3339(at, text);
  json_put(o, key, at ? text : NULL);
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct listed *k = arg;
  const struct actor *who = k->who;
  bool citizen = who->kind == ACTOR_CITIZEN;
  json_array_clear(k->out);
  struct store_rows *r = citizen
    ? store_select(tx, err, "SELECT id, mobile, agent, organisation, office, tracking, at, expires_at, ended_at, ended_by, person FROM bound_telephone"
                            " WHERE person = ?1 ORDER BY at DESC, id LIMIT 200", "t", k->person)
    : store_select(tx, err, "SELECT id, mobile, agent, organisation, office, tracking, at, expires_at, ended_at, ended_by, person FROM bound_telephone"
                            " WHERE organisation = ?1 ORDER BY at DESC, id LIMIT 200", "t", k->organisation);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    char masked[32] = "";
    const char *mobile = store_text(r, 1), *by = store_text(r, 9);
    if (citizen && who->assurance <= ASSURANCE_CLAIMED && strcmp(mobile, who->mobile) != 0) continue;
    identifier_mask(IDENT_MOBILE, mobile, masked);
    json_t *o = json_object();
    json_put(o, "id", store_text(r, 0));
    json_put(o, "mobile", citizen ? mobile : masked);
    json_put(o, "agent", citizen ? NULL : store_text(r, 2));
    json_put(o, "organisation", store_text(r, 3));
    json_put(o, "office", store_text(r, 4)[0] ? store_text(r, 4) : NULL);
    json_put(o, "tracking", store_text(r, 5));
    put_time(o, "at", store_int(r, 6));
    put_time(o, "expires_at", store_int(r, 7));
    put_time(o, "ended_at", store_int(r, 8));
    json_put(o, "ended_by", by[0] ? by : NULL);
    json_object_set_new(o, "active", json_boolean(store_int(r, 8) == 0 && store_int(r, 7) > clock_now()));
    json_array_append_new(k->out, o);
  }
  store_done(r);
  return rc;
}

int identity_bound(struct identity *i, const struct actor *who, const char *organisation, json_t **out, struct err *err) {
  struct listed k = {.who = who, .organisation = organisation, .out = json_array()};
  int rc = 0;
  if (who->kind == ACTOR_CITIZEN) identity_person_key(i, who->national_id, k.person);
  else if (who->kind != ACTOR_STAFF || !organisation || !leads(who, organisation)) rc = 1; /* nothing of theirs */
  if (rc == 0) rc = store_read(i->main, list_work, &k, err);
  if (rc >= 0) *out = k.out;
  else json_decref(k.out);
  return rc < 0 ? -1 : 0;
}

int identity_unbind(struct store_tx *tx, const struct identity *i, const struct actor *who, const char *id, char tracking[40], char mobile[16], bool *was,
                    struct err *err) {
  char mine[72] = "", person[80] = "", organisation[64] = "", agent[64] = "";
  int64_t ended = 0;
  if (who->kind == ACTOR_CITIZEN) identity_person_key(i, who->national_id, mine);
  struct store_rows *r = store_select(tx, err, "SELECT person, mobile, organisation, agent, tracking, ended_at FROM bound_telephone WHERE id = ?1", "t", id);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(person, sizeof person, "%s", store_text(r, 0));
    snprintf(mobile, 16, "%s", store_text(r, 1));
    snprintf(organisation, sizeof organisation, "%s", store_text(r, 2));
    snprintf(agent, sizeof agent, "%s", store_text(r, 3));
    snprintf(tracking, 40, "%s", store_text(r, 4));
    ended = store_int(r, 5);
  }
  store_done(r);
  if (rc < 0) return -1;
  *was = ended != 0;
  if (rc == 0 || !may_end(who, person, mobile, organisation, agent, mine)) return err_set(err, ERR_NOT_FOUND, "no such telephone");
  if (*was) return 0;
  return store_exec(tx, err, "UPDATE bound_telephone SET ended_at = ?2, ended_by = ?3 WHERE id = ?1 AND ended_at = 0", "tit", id, store_time(tx),
                    who->kind == ACTOR_STAFF ? who->username : "self") < 0 ? -1 : 0;
}

static int lower_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_put(tx, err, "UPDATE session SET assurance = ?2 WHERE mobile = ?1 AND assurance = ?3", "tii", (const char *)arg, (int64_t)ASSURANCE_CLAIMED,
                   (int64_t)ASSURANCE_COUNTER);
}

int identity_unbound(struct identity *i, const char *mobile, struct err *err) {
  char copy[16];
  snprintf(copy, sizeof copy, "%s", mobile);
  int rc = store_write(i->fast, STORE_FRONT, lower_work, copy, err);
  sessions_forget_mobile(i, copy);
  return rc;
}

/* ---- the office from which an agent works ---------------------------------------------------- */

struct office_of { const char *username, *office; };

static int office_work(struct store_tx *tx, void *arg, struct err *err) {
  struct office_of *k = arg;
  return store_put(tx, err, "INSERT INTO staff_office (username, office) VALUES (?1, ?2) ON CONFLICT (username) DO UPDATE SET office = excluded.office", "tt",
                   k->username, k->office);
}

int identity_office_set(struct identity *i, const char *username, const char *office, struct err *err) {
  struct office_of k = {username, office};
  int rc = store_write(i->main, STORE_FRONT, office_work, &k, err);
  sessions_forget_user(i, username);
  return rc;
}
