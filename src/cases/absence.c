/* Who is away, who stands in, and in whose place somebody acts. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST = 370, AHEAD = 370, MOST_ABSENT = 8 }; /* days; people whom one deputy stands in for at once */

/* ---- in whose place ---- */

static int read_standing(struct store_tx *tx, struct arena *a, const struct actor *who, const struct case_row *row, struct standing *s, struct err *err) {
  struct { char username[64], organisation[48]; } found[MOST_ABSENT];
  unsigned n = 0;
  int rc;
  struct store_rows *r = store_select(tx, err,
    "SELECT username,organisation FROM desk_absence WHERE deputy=?1 AND until_day>=?2 AND from_day<=?2 AND ended_at=0 AND organisation IN (?3,?4,?5) "
    "UNION ALL SELECT absent,'' FROM case_standin WHERE tracking=?6 AND username=?1", "tittt" "t", who->username, (int64_t)cases_today(), row->holder,
    row->owner, row->provider, row->tracking);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    if (!store_text(r, 1)[0]) s->stood_in = true;
    else if (n < MOST_ABSENT) {
      snprintf(found[n].username, sizeof found[n].username, "%s", store_text(r, 0));
      snprintf(found[n].organisation, sizeof found[n].organisation, "%s", store_text(r, 1));
      n++;
    }
  }
  store_done(r);
  if (rc < 0) return -1;
  s->absent = n ? arena_alloc(a, n * sizeof *s->absent) : NULL;
  if (n && !s->absent) return err_set(err, ERR_LIMIT, "the request is too large");
  for (s->count = 0; s->count < n; s->count++)
    if (identity_member_in(tx, found[s->count].username, found[s->count].organisation, &s->absent[s->count], err)) return -1;
  return 0;
}

int case_standing(struct store_tx *tx, struct arena *a, const struct actor *who, struct case_row *row, struct err *err) {
  row->standing = NULL;
  if (who->kind != ACTOR_STAFF || case_is_inquiry(row)) return 0;
  struct standing *s = arena_alloc(a, sizeof *s);
  if (!s) return err_set(err, ERR_LIMIT, "the request is too large");
  if (read_standing(tx, a, who, row, s, err)) return -1;
  if (s->count || s->stood_in) row->standing = s;
  return 0;
}

int case_stands_for(struct store_tx *tx, struct arena *a, const struct actor *who, const char *organisation, struct standing *out, struct err *err) {
  const struct case_row desk = {.tracking = "", .holder = organisation, .owner = organisation, .provider = organisation};
  *out = (struct standing){0};
  return read_standing(tx, a, who, &desk, out, err);
}

int case_absent(struct store_tx *tx, const char *username, const char *organisation, struct away *out, struct err *err) {
  *out = (struct away){.until = INT32_MIN};
  struct store_rows *r = store_select(tx, err,
    "SELECT deputy,until_day FROM desk_absence WHERE organisation=?1 AND until_day>=?2 AND username=?3 AND from_day<=?2 AND ended_at=0 LIMIT 1", "tit",
    organisation, (int64_t)cases_today(), username);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(out->deputy, sizeof out->deputy, "%s", store_text(r, 0));
    out->until = (int32_t)store_int(r, 1);
  }
  store_done(r);
  return rc;
}

int case_deputies(struct store_tx *tx, const char *organisation, int role, json_t **out, struct err *err) {
  struct { char username[64], deputy[64]; } found[32];
  int n = 0, rc = 0;
  *out = NULL;
  struct store_rows *r = store_select(tx, err, "SELECT username,deputy FROM desk_absence WHERE organisation=?1 AND until_day>=?2 AND from_day<=?2 AND ended_at=0 "
                                      "ORDER BY until_day,username LIMIT 32", "ti", organisation, (int64_t)cases_today());
  if (!r) return -1;
  for (; n < (int)BASE_COUNT(found) && (rc = store_next(r, err)) == 1; n++) {
    snprintf(found[n].username, sizeof found[n].username, "%s", store_text(r, 0));
    snprintf(found[n].deputy, sizeof found[n].deputy, "%s", store_text(r, 1));
  }
  store_done(r);
  if (rc < 0) return -1;
  for (int i = 0; i < n; i++) {
    struct actor absent;
    if (identity_member_in(tx, found[i].username, organisation, &absent, err)) {
      json_decref(*out);
      return -1;
    }
    if (!actor_has_role(&absent, organisation, role)) continue;
    if (!*out) *out = json_array();
    json_array_append_new(*out, json_string(found[i].deputy));
  }
  return 0;
}

/* ---- recording it ---- */

struct recording {
  struct cases *c;
  const struct actor *who;
  struct absence *a;
};

static bool leads(const struct actor *who, const char *organisation) {
  return actor_has_role(who, organisation, STAFF_SUPERVISOR) || actor_has_role(who, organisation, STAFF_MANAGER);
}

static int refuse(struct absence *a, enum err_code code, const char *field, const char *detail, struct err *err) {
  a->field = field;
  a->detail = detail;
  return err_set(err, code, "%s: %s", field ? field : "absence", detail);
}

/* 1 when one of them is away, or stands in for somebody, on one of these days. */
static int engaged(struct store_tx *tx, const struct absence *a, const char *username, bool as_deputy, struct err *err) {
  int64_t n = 0;
  int rc = as_deputy
    ? store_value(tx, &n, 0, err, "SELECT COUNT(*) FROM desk_absence WHERE deputy=?1 AND organisation=?2 AND until_day>=?3 AND from_day<=?4 AND ended_at=0", "ttii",
                  username, a->organisation, (int64_t)a->from, (int64_t)a->until)
    : store_value(tx, &n, 0, err, "SELECT COUNT(*) FROM desk_absence WHERE organisation=?2 AND until_day>=?3 AND username=?1 AND from_day<=?4 AND ended_at=0", "ttii",
                  username, a->organisation, (int64_t)a->from, (int64_t)a->until);
  return rc ? -1 : n > 0;
}

static int judge_people(struct recording *k, struct store_tx *tx, struct err *err) {
  struct absence *a = k->a;
  const struct { const char *field, *username, *detail; bool deputy; } never[] = {
    {"username", a->username, "absence.twice", false}, {"username", a->username, "absence.is_deputy", true}, {"deputy", a->deputy, "absence.deputy_away", false}};
  int rc = identity_handles(tx, a->username, a->organisation, err);
  if (rc <= 0) return rc ? -1 : refuse(a, ERR_INVALID, "username", "case.assignee_unknown", err);
  if ((rc = identity_handles(tx, a->deputy, a->organisation, err)) <= 0) return rc ? -1 : refuse(a, ERR_INVALID, "deputy", "case.assignee_unknown", err);
  for (size_t i = 0; i < BASE_COUNT(never); i++)
    if ((rc = engaged(tx, a, never[i].username, never[i].deputy, err)) != 0) return rc < 0 ? -1 : refuse(a, ERR_INVALID, never[i].field, never[i].detail, err);
  return 0;
}

static char *payload_of(const struct recording *k) {
  const struct absence *a = k->a;
  json_t *p = json_object();
  char day[16];
  json_put(p, "absent", a->username);
  json_put(p, "deputy", a->deputy);
  date_iso(a->from, day);
  json_put(p, "from", day);
  date_iso(a->until, day);
  json_put(p, "until", day);
  json_put(p, "who", k->who->username);
  char *text = json_canonical(p);
  json_decref(p);
  return text;
}

static int absence_work(struct store_tx *tx, void *arg, struct err *err) {
  struct recording *k = arg;
  struct absence *a = k->a;
  int64_t now = clock_now(), there = 0;
  a->field = a->detail = NULL;
  if (store_value(tx, &there, 0, err, "SELECT COUNT(*) FROM desk_absence WHERE id=?1", "t", a->id)) return -1;
  if (there) return 0; /* the same key has recorded it */
  /* All who record something about this desk at once meet in one row, for the rules are over several. */
  if (store_exec(tx, err, "INSERT INTO case_desk_meeting (organisation,n) VALUES (?1,1) ON CONFLICT (organisation) DO UPDATE SET n=case_desk_meeting.n+1", "t",
                 a->organisation) < 0 ||
      judge_people(k, tx, err))
    return -1;
  char *payload = payload_of(k);
  int rc = case_desk_log(tx, a->id, a->organisation, "absence", now, payload, err);
  free(payload);
  if (rc < 0) return -1;
  return store_put(tx, err, "INSERT INTO desk_absence (id,organisation,username,deputy,from_day,until_day,recorded_by,at,ended_at) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,0)",
                   "ttttii" "ti", a->id, a->organisation, a->username, a->deputy, (int64_t)a->from, (int64_t)a->until, k->who->username, now);
}

int cases_absence(struct cases *c, const struct actor *who, struct absence *a, struct err *err) {
  int32_t today = cases_today();
  unsigned char hash[32];
  a->field = a->detail = NULL;
  if (who->kind != ACTOR_STAFF || !actor_in(who, a->organisation)) return err_set(err, ERR_FORBIDDEN, "not a desk of yours");
  if (!a->username || !a->username[0]) a->username = who->username;
  if (strcmp(a->username, who->username) != 0 && !leads(who, a->organisation)) return refuse(a, ERR_FORBIDDEN, NULL, "absence.not_yours", err);
  if (!a->deputy || !a->deputy[0]) return refuse(a, ERR_INVALID, "deputy", "absence.need_deputy", err);
  if (strcmp(a->deputy, a->username) == 0) return refuse(a, ERR_INVALID, "deputy", "absence.self", err);
  if (a->from == INT32_MIN || a->from < today || a->from > today + AHEAD) return refuse(a, ERR_INVALID, "from", "absence.from", err);
  if (a->until == INT32_MIN || a->until < a->from || a->until > a->from + LONGEST) return refuse(a, ERR_INVALID, "until", "absence.until", err);
  if (!a->key || !a->key[0] || strlen(a->key) > 200) return err_set(err, ERR_MALFORMED, "an Idempotency-Key has 1 to 200 characters");
  char *whole = base_printf("absence\n%s\n%s", who->username, a->key);
  sha256(whole, strlen(whole), hash);
  free(whole);
  hex_encode(hash, 16, a->id);
  struct recording k = {.c = c, .who = who, .a = a};
  return store_write(c->store, STORE_FRONT, absence_work, &k, err);
}

/* ---- coming back earlier ---- */

struct ending {
  const struct actor *who;
  const char *id;
};

static int ending_work(struct store_tx *tx, void *arg, struct err *err) {
  struct ending *k = arg;
  char organisation[48] = "", username[64] = "", id[40];
  int64_t ended = 0, until = 0, now = clock_now();
  struct store_rows *r = store_select(tx, err, "SELECT organisation,username,ended_at,until_day FROM desk_absence WHERE id=?1", "t", k->id);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(organisation, sizeof organisation, "%s", store_text(r, 0));
    snprintf(username, sizeof username, "%s", store_text(r, 1));
    ended = store_int(r, 2);
    until = store_int(r, 3);
  }
  store_done(r);
  if (rc < 0) return -1;
  if (rc == 0 || !actor_in(k->who, organisation)) return err_set(err, ERR_NOT_FOUND, "no such absence");
  if (strcmp(username, k->who->username) != 0 && !leads(k->who, organisation)) return err_set(err, ERR_FORBIDDEN, "not yours to end");
  if (ended || until < cases_today()) return 0;
  json_t *p = json_object();
  json_put(p, "absence", k->id);
  json_put(p, "who", k->who->username);
  char *payload = json_canonical(p);
  json_decref(p);
  snprintf(id, sizeof id, "%.32s.end", k->id);
  rc = case_desk_log(tx, id, organisation, "absence_end", now, payload, err);
  free(payload);
  return rc < 0 ? -1 : store_put(tx, err, "UPDATE desk_absence SET ended_at=?1 WHERE id=?2", "it", now, k->id);
}

int cases_absence_end(struct cases *c, const struct actor *who, const char *id, struct err *err) {
  if (who->kind != ACTOR_STAFF || !id || strlen(id) != 32) return err_set(err, ERR_NOT_FOUND, "no such absence");
  struct ending k = {.who = who, .id = id};
  return store_write(c->store, STORE_FRONT, ending_work, &k, err);
}

/* ---- who is away ---- */

struct reading {
  const struct actor *who;
  const char *organisation;
  json_t *items;
};

static int reading_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  int32_t today = cases_today();
  bool lead = leads(k->who, k->organisation);
  json_array_clear(k->items);
  struct store_rows *r = store_select(tx, err,
    "SELECT id,username,deputy,from_day,until_day,recorded_by FROM desk_absence WHERE organisation=?1 AND until_day>=?2 AND ended_at=0 ORDER BY until_day,username,id "
    "LIMIT 200", "ti", k->organisation, (int64_t)today);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    json_t *o = json_object();
    char day[16];
    const char *username = store_text(r, 1);
    json_put(o, "id", store_text(r, 0));
    json_put(o, "username", username);
    json_put(o, "deputy", store_text(r, 2));
    date_iso((int32_t)store_int(r, 3), day);
    json_put(o, "from", day);
    date_iso((int32_t)store_int(r, 4), day);
    json_put(o, "until", day);
    json_put(o, "recorded_by", store_text(r, 5));
    json_object_set_new(o, "now", json_boolean(store_int(r, 3) <= today));
    json_object_set_new(o, "may_end", json_boolean(lead || strcmp(username, k->who->username) == 0));
    json_array_append_new(k->items, o);
  }
  store_done(r);
  return rc;
}

int cases_absences(struct cases *c, const struct actor *who, const char *organisation, json_t **out, struct err *err) {
  if (who->kind != ACTOR_STAFF || !actor_in(who, organisation)) return err_set(err, ERR_FORBIDDEN, "not a desk of yours");
  struct reading k = {.who = who, .organisation = organisation, .items = json_array()};
  int rc = store_read(c->store, reading_work, &k, err);
  if (rc == 0) *out = k.items;
  else json_decref(k.items);
  return rc;
}
