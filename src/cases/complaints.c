/* Complaints about a case: a request of its own, with its own clock and history, decided by somebody who had no part in that case. */
#include "cases/private.h"

#include <string.h>

static const char *about_of(const struct service *def, const json_t *data) { return def && def->about_field ? json_str(data, def->about_field) : NULL; }

void case_complaint_name(const struct service *def, const char *about, char out[192]) { snprintf(out, 192, "about:%s:%s", def->code, about); }

int case_complaint_put(struct cases *c, struct store_tx *tx, const struct case_submission *s, struct case_row *row, struct arena *a, struct err *err) {
  const char *about = about_of(s->service, s->data);
  struct case_row old;
  struct err none;
  char name[192];
  if (!about || s->parent || s->actor.kind != ACTOR_CITIZEN) return 0;
  if (case_load(c, tx, a, about, &old, &none)) {
    if (none.code == ERR_NOT_FOUND) return 0; /* a number that means nothing: the office reads it as an answer */
    *err = none;
    return -1;
  }
  if (!case_is_applicant(&s->actor, &old)) return 0;
  case_complaint_name(s->service, about, name);
  int n = store_exec(tx, err, "INSERT INTO case_reservation (name,tracking) VALUES (?1,?2) ON CONFLICT DO NOTHING", "tt", name, row->tracking);
  if (n <= 0) return n < 0 ? -1 : err_set(err, ERR_CONFLICT, "there is an open complaint about this case");
  return store_put(tx, err, "INSERT INTO case_about (about,tracking) VALUES (?1,?2) ON CONFLICT DO NOTHING", "tt", about, row->tracking);
}

int case_complaint_release(struct store_tx *tx, const struct case_row *row, const json_t *data, struct err *err) {
  const char *about = about_of(row->def, data);
  char name[192];
  if (!about) return 0;
  case_complaint_name(row->def, about, name);
  return store_put(tx, err, "DELETE FROM case_reservation WHERE name=?1 AND tracking=?2", "tt", name, row->tracking);
}

static bool among(const char *names, const char *username) {
  size_t n = strlen(username);
  for (const char *s = names; *s; s += strcspn(s, " |"), s += *s != 0)
    if (strncmp(s, username, n) == 0 && strchr(" |", s[n])) return true;
  return false;
}

/* 1 when this member of staff has it, or decided it: asked when somebody is about to decide the complaint. */
int case_complaint_touches(struct store_tx *tx, const struct case_row *row, const json_t *data, const char *username, struct err *err) {
  const char *about = about_of(row->def, data);
  if (!about) return 0;
  struct store_rows *r = store_select(tx, err, "SELECT cases.assignee,cases.decider FROM case_about JOIN cases ON cases.tracking=case_about.about WHERE case_about.about=?1 AND case_about.tracking=?2",
                                      "tt", about, row->tracking);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) rc = among(store_text(r, 0), username) || among(store_text(r, 1), username);
  store_done(r);
  return rc;
}

/* ---- in the view of either ---- */

struct one { char tracking[TRACKING_SIZE]; };

static json_t *complaint_json(struct cases *c, const struct case_row *row, enum lang l) {
  json_t *o = json_object();
  char at[32];
  clock_rfc3339_ms(row->submitted_at, at);
  json_put(o, "tracking", row->tracking);
  json_put(o, "service_title", row->def ? text_in(&row->def->title, l) : row->service);
  json_put(o, "state_title", case_state_title(row, l));
  json_put(o, "result", result_text((enum result)row->result));
  json_put(o, "submitted_at", at);
  json_object_set_new(o, "due", case_due_json(c, row));
  json_object_set_new(o, "holder", json_pack("{s:s,s:s}", "code", row->holder, "name", case_organisation_name(c, row->pack, row->holder, l)));
  return o;
}

int case_complaints(struct cases *c, struct store_tx *tx, struct arena *a, const struct case_row *row, enum lang l, json_t **complaints, json_t **about, struct err *err) {
  struct one list[20];
  int count = 0, rc;
  json_t *data = row->data ? json_loads(row->data, 0, NULL) : NULL;
  const char *subject = about_of(row->def, data);
  int64_t linked = 0;
  json_decref(*complaints); /* of an attempt before */
  json_decref(*about);
  *complaints = json_array();
  *about = NULL;
  struct store_rows *r = store_select(tx, err, "SELECT tracking FROM case_about WHERE about=?1 ORDER BY tracking LIMIT 20", "t", row->tracking);
  if (!r) rc = -1;
  else {
    while ((rc = store_next(r, err)) == 1) snprintf(list[count++].tracking, TRACKING_SIZE, "%s", store_text(r, 0));
    store_done(r);
  }
  for (int i = 0; rc == 0 && i < count; i++) {
    struct case_row one;
    rc = case_load(c, tx, a, list[i].tracking, &one, err);
    if (rc == 0) json_array_append_new(*complaints, complaint_json(c, &one, l));
  }
  if (rc == 0 && subject) rc = store_value(tx, &linked, 0, err, "SELECT COUNT(*) FROM case_about WHERE about=?1 AND tracking=?2", "tt", subject, row->tracking);
  if (rc == 0 && linked) *about = json_string(subject);
  json_decref(data);
  return rc;
}
