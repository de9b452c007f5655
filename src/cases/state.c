#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

static int64_t later(int64_t ord, int64_t days) { return days < 0 ? NO_ORD : ord + days; }

const struct calendar *case_calendar(struct cases *c, const char *code) {
  const struct calendar *found = NULL;
  pthread_rwlock_rdlock(&c->lock);
  for (size_t i = 0; i < c->calendar_count; i++)
    if (strcmp(c->calendars[i].code, code) == 0) found = c->calendars[i].now;
  if (!found) found = c->calendars[0].now;
  pthread_rwlock_unlock(&c->lock);
  return found;
}

int64_t case_ord(struct cases *c, const struct case_row *row, int64_t at) {
  return calendar_ordinal(case_calendar(c, row->calendar), day_of(at));
}

int32_t case_due_day(struct cases *c, const struct case_row *row, int64_t ord) {
  if (ord >= NO_ORD || ord <= 0) return INT32_MIN;
  return calendar_day(case_calendar(c, row->calendar), (int32_t)ord);
}

/* The clocks of a case that begins now, under its owner's calendar. */
void case_stamp(struct cases *c, struct case_row *row, int64_t at) {
  int64_t ord = case_ord(c, row, at);
  row->start_day = day_of(at);
  row->norm_ord = later(ord, row->def->norm);
  row->legal_ord = later(ord, row->def->legal);
}

/* Stop or restart the clocks of the whole case as the state waits for the citizen or not. */
static void turn_clock(struct cases *c, struct case_row *row, bool stop, int64_t at) {
  int64_t ord = case_ord(c, row, at);
  if (stop && row->stopped_ord < 0) row->stopped_ord = ord;
  if (!stop && row->stopped_ord >= 0) {
    int64_t away = ord - row->stopped_ord, left = row->def->suspension_days - row->stopped_days;
    if (away > left) away = left; /* however late somebody came to end it */
    if (away < 0) away = 0;
    if (row->norm_ord < NO_ORD) row->norm_ord += away;
    if (row->legal_ord < NO_ORD) row->legal_ord += away;
    row->stopped_days += away;
    row->stopped_ord = -1;
  }
}

/* A state that the case leaves for where it came from: it waits for the citizen, or was suspended while the clock runs on. */
static bool pauses(const struct state *s) {
  for (size_t i = 0; i < s->action_count; i++)
    if (s->actions[i].to < 0 && (s->actions[i].kind == ACT_RESUME || s->actions[i].kind == ACT_PROVIDE_INFO)) return true;
  return s->citizen;
}

void cases_set_state(struct cases *c, struct case_row *row, int state, int64_t at) {
  const struct state *to = &row->def->states[state];
  const char *from = row->state;
  bool was_open = row->result == RESULT_OPEN;
  row->state_index = state;
  row->state = to->name;
  row->result = to->result;
  row->state_day = day_of(at);
  row->state_at = at;
  row->escalated = 0;
  turn_clock(c, row, to->citizen, at);
  row->state_legal_ord = later(case_ord(c, row, at), to->legal);
  /* From one waiting state to another: the way back stays the state of the office that began the waiting. */
  int before = from && from[0] ? service_state(row->def, from) : -1;
  if (pauses(to) && before >= 0 && !pauses(&row->def->states[before])) row->prior_state = from;
  if (to->result != RESULT_OPEN) row->closed_at = at;
  else if (!was_open) row->closed_at = 0;
  case_next_check(c, row);
}

/* When somebody must look at this case again without being asked: rule of silence, escalation, end of a suspension, retention. */
void case_next_check(struct cases *c, struct case_row *row) {
  int64_t next = NO_ORD;
  if (!row->def) {
    row->next_ord = NO_ORD;
    return;
  }
  if (row->result != RESULT_OPEN) {
    for (size_t i = 0; i < row->def->retention_count; i++) {
      const struct retention *k = &row->def->retentions[i];
      if ((int64_t)k->result != row->result || !k->erase || case_is_inquiry(row) || !row->data) continue;
      int32_t day = day_of(row->closed_at) + (int32_t)(k->years * 365.2425);
      next = calendar_ordinal(case_calendar(c, row->calendar), day);
    }
  } else if (row->stopped_ord >= 0) next = case_pause_next(row);
  else if (case_is_inquiry(row)) {
    if (row->escalated < 3) next = row->legal_ord + 3 * row->escalated;
  } else {
    const struct state *s = row->state_index >= 0 ? &row->def->states[row->state_index] : NULL;
    if (row->escalated < 3) {
      if (s && s->escalate_role >= 0) next = row->state_legal_ord;
      if (row->legal_ord < next) next = row->legal_ord;
      int64_t began = case_ord(c, row, row->state_at);
      if (next < began) next = began; /* late before this state began: told once at its beginning, not thrice at once */
      if (next < NO_ORD) next += row->escalated * 3;
    }
    /* Silence speaks on its day, however often somebody was told before. */
    if (s && s->silence_action >= 0 && row->state_legal_ord < next) next = row->state_legal_ord;
  }
  row->next_ord = next;
}

/* ---- closures declared later ---- */

static int apply_changes(struct cases *c, struct store_tx *tx, struct live_calendar *live, int64_t version, struct err *err) {
  struct calendar *copy = calendar_copy(pack_calendar(c->pack, live->code));
  struct store_rows *r = store_select(tx, err, "SELECT day,closed,title_fa,title_en FROM calendar_change WHERE calendar=?1 ORDER BY day", "t", live->code);
  if (!r) goto fail;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    int32_t day = (int32_t)store_int(r, 0);
    if (store_int(r, 1)) calendar_close(copy, day, store_text(r, 2), store_text(r, 3));
    else calendar_open(copy, day);
  }
  store_done(r);
  if (rc < 0) goto fail;
  pthread_rwlock_wrlock(&c->lock);
  if (live->now) {
    c->retired = base_realloc(c->retired, (c->retired_count + 1) * sizeof *c->retired);
    c->retired[c->retired_count++] = live->now;
  }
  live->now = copy;
  live->version = version;
  atomic_fetch_add(&c->calendars_version, 1);
  pthread_rwlock_unlock(&c->lock);
  return 0;
fail:
  calendar_free(copy);
  return -1;
}

/* How many changes were ever declared is the version: it only grows, whatever the clocks of the nodes say. */
int case_calendars_load(struct cases *c, struct store_tx *tx, struct err *err) {
  int64_t newest = 0;
  if (store_value(tx, &newest, 0, err, "SELECT COUNT(*) FROM calendar_log", "")) return -1;
  if (c->calendar_count && newest <= c->calendar_seen) return 0;
  if (!c->calendar_count) {
    c->calendar_count = pack_calendars(c->pack);
    c->calendars = base_alloc((c->calendar_count ? c->calendar_count : 1) * sizeof *c->calendars);
    for (size_t i = 0; i < c->calendar_count; i++) c->calendars[i].code = pack_calendar_code(c->pack, i);
  }
  for (size_t i = 0; i < c->calendar_count; i++)
    if (apply_changes(c, tx, &c->calendars[i], newest, err)) return -1;
  c->calendar_seen = newest;
  return 0;
}

struct closing {
  struct cases *c;
  const struct actor *who;
  const char *calendar, *title_fa, *title_en, *organisation;
  int32_t day;
  bool closed, past;
};

/* A day already gone changes the ordinals after it: the clocks begun since are stamped anew, the older ones keep theirs.
 * Where two clocks part, the next look comes rather too early than too late: whoever looks reckons again. */
static int restamp(struct store_tx *tx, const struct closing *k, int64_t by, struct err *err) {
  int n = store_exec(tx, err,
    "UPDATE cases SET norm_ord=CASE WHEN norm_ord<?1 THEN norm_ord+?2 ELSE norm_ord END,"
    "legal_ord=CASE WHEN legal_ord<?1 THEN legal_ord+?2 ELSE legal_ord END,"
    "next_ord=CASE WHEN next_ord<?1 THEN next_ord+?2 ELSE next_ord END "
    "WHERE calendar=?3 AND next_ord<=?1 AND result=0 AND start_day>=?4",
    "iiti", (int64_t)NO_ORD, by, k->calendar, (int64_t)k->day);
  if (n < 0) return -1;
  n = store_exec(tx, err,
    "UPDATE cases SET "
    "next_ord=CASE WHEN start_day<?4 AND next_ord<?3 AND ?1<0 THEN next_ord+?1 ELSE next_ord END,"
    "state_legal_ord=CASE WHEN state_legal_ord<?3 THEN state_legal_ord+?1 ELSE state_legal_ord END,"
    "stopped_ord=CASE WHEN stopped_ord>=0 THEN stopped_ord+?1 ELSE stopped_ord END "
    "WHERE calendar=?2 AND next_ord<=?3 AND result=0 AND state_day>=?4",
    "itii", by, k->calendar, (int64_t)NO_ORD, (int64_t)k->day);
  return n < 0 ? -1 : 0;
}

static int closing_work(struct store_tx *tx, void *arg, struct err *err) {
  struct closing *k = arg;
  char id[33], at[32], day[16];
  unsigned char raw[16], salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  int64_t now = clock_now();
  int rc = -1;
  json_t *p = json_object();
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, id);
  random_bytes(salt, sizeof salt);
  clock_rfc3339_ms(now, at);
  date_iso(k->day, day);
  json_put(p, "title_fa", k->title_fa);
  json_put(p, "title_en", k->title_en);
  json_put(p, "who", k->who->kind == ACTOR_STAFF ? k->who->username : "system");
  char *payload = json_canonical(p);
  char *head = base_printf("{\"at\":\"%s\",\"calendar\":\"%s\",\"closed\":%s,\"day\":\"%s\",\"id\":\"%s\",\"kind\":\"calendar\"}",
                           at, k->calendar, k->closed ? "true" : "false", day, id);
  trust_leaf(head, salt, payload, strlen(payload), digest, leaf);
  const struct calendar *live = case_calendar(k->c, k->calendar);
  bool changes = calendar_works(live, k->day) == k->closed;
  if (store_put(tx, err,
        "INSERT INTO calendar_change (calendar,day,closed,title_fa,title_en,at) VALUES (?1,?2,?3,?4,?5,?6) "
        "ON CONFLICT (calendar,day) DO UPDATE SET closed=excluded.closed,title_fa=excluded.title_fa,title_en=excluded.title_en,at=excluded.at",
        "tiitti", k->calendar, (int64_t)k->day, (int64_t)k->closed, k->title_fa, k->title_en, now) ||
      store_put(tx, err, "INSERT INTO calendar_log (id,at,salt,payload) VALUES (?1,?2,?3,?4)", "tibt", id, now,
                (const void *)salt, (size_t)TRUST_SALT, payload) ||
      trust_append(tx, leaf, head, digest, err))
    goto out;
  json_t *told = json_pack("{s:s,s:s,s:s}", "day", day, "title", k->title_fa, "title_en", k->title_en);
  struct act act = {.kind = k->closed ? "calendar_close" : "calendar_open", .who = k->who->kind == ACTOR_STAFF ? k->who->username : "system",
                    .organisation = k->organisation, .subject = k->calendar, .detail = told};
  rc = identity_act_put(tx, &act, err);
  json_decref(told);
  if (rc) goto out;
  rc = -1;
  if (k->past && changes && restamp(tx, k, k->closed ? -1 : 1, err)) goto out;
  rc = 0;
out:
  free(payload);
  free(head);
  json_decref(p);
  return rc;
}

int cases_calendar_close(struct cases *c, const struct actor *who, const char *calendar, int32_t day, const char *title_fa, const char *title_en,
                         bool closed, struct err *err) {
  if (!pack_calendar(c->pack, calendar)) return err_set(err, ERR_NOT_FOUND, "no calendar '%s'", calendar);
  int32_t today = cases_today();
  if (day < today - 30 || day > today + 730) return err_set(err, ERR_INVALID, "a closure may be declared from 30 days ago to two years ahead");
  struct closing k = {.c = c, .who = who, .calendar = calendar, .title_fa = title_fa ? title_fa : "", .title_en = title_en ? title_en : "",
                      .day = day, .closed = closed, .past = day <= today};
  for (unsigned i = 0; who->kind == ACTOR_STAFF && !actor_has_role(who, NULL, STAFF_OPERATOR) && i < who->role_count; i++)
    if (who->roles[i].role == STAFF_MANAGER && !k.organisation) k.organisation = who->roles[i].organisation;
  if (store_write(c->store, STORE_FRONT, closing_work, &k, err)) return -1;
  return case_news(c, err);
}

int cases_calendar(struct cases *c, const char *calendar, json_t **out, struct err *err) {
  if (!pack_calendar(c->pack, calendar)) return err_set(err, ERR_NOT_FOUND, "no calendar '%s'", calendar);
  const struct calendar *cal = case_calendar(c, calendar);
  json_t *o = json_object(), *closed = json_array();
  int32_t from = cases_today() - 30;
  char text[16];
  for (int32_t d = from; d < from + 430; d++) {
    const char *fa = calendar_title(cal, LANG_FA, d), *en = calendar_title(cal, LANG_EN, d);
    if (calendar_works(cal, d) || !fa) continue;
    json_t *one = json_object();
    date_iso(d, text);
    json_put(one, "date", text);
    json_put(one, "title_fa", fa);
    json_put(one, "title_en", en ? en : fa);
    json_array_append_new(closed, one);
  }
  json_put(o, "calendar", calendar);
  date_iso(calendar_horizon(cal), text);
  json_put(o, "horizon", text);
  json_object_set_new(o, "closures", closed);
  pthread_rwlock_rdlock(&c->lock);
  for (size_t i = 0; i < c->calendar_count; i++)
    if (strcmp(c->calendars[i].code, calendar) == 0) json_object_set_new(o, "version", json_integer(c->calendars[i].version));
  pthread_rwlock_unlock(&c->lock);
  *out = o;
  return 0;
}

int32_t cases_today(void) { return day_of(clock_now()); }
