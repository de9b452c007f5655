/* Clocks that have run out: silence, escalation, ends of suspensions, retention. What an escalation says is made beside the writer, which is then
 * left with writing it; all else is loaded, judged and written in its transaction. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

enum { LIST = 128, FLYING = 512, TURN_MS = 250, ARENA = 8 * 1024 * 1024, ENOUGH = 4 * 1024 * 1024 };

/* ---- what is told ---- */

/* The row has moved to what it is after the event. */
struct telling {
  struct case_entry entry;
  struct case_sealed sealed;
  struct case_told *told;
};

static void move_on(struct cases *c, struct case_row *row, int64_t at) {
  row->escalated++;
  row->version++;
  row->changed_at = at;
  case_next_check(c, row);
}

static struct case_entry entry_of(const struct case_row *row, const char *payload) {
  return (struct case_entry){.action = "escalate", .from_state = row->state, .to_state = row->state, .role = "system", .organisation = row->holder, .at = clock_now(), .payload = payload};
}

static int telling_make(struct cases *c, struct store_tx *tx, struct arena *a, struct case_row *row, struct telling *t, struct err *err) {
  int role = row->def->states[row->state_index].escalate_role;
  json_t *p = json_object(), *deputies = NULL;
  if (case_deputies(tx, row->holder, role >= 0 ? role : ROLE_SUPERVISOR, &deputies, err)) {
    json_decref(p);
    return -1;
  }
  if (deputies) json_object_set_new(p, "deputies", deputies);
  json_put(p, "told", role >= 0 ? role_text((enum role)role) : "supervisor");
  json_put(p, "who", "system");
  char *payload = json_canonical(p);
  json_decref(p);
  t->entry = entry_of(row, arena_strdup(a, payload));
  free(payload);
  if (!t->entry.payload) return err_set(err, ERR_LIMIT, "the case is larger than one request may hold");
  move_on(c, row, t->entry.at);
  case_seal(&t->sealed, row, &t->entry);
  return case_notice_make(c, a, row, "due", row->version, NULL, NULL, &t->told, err);
}

/* 1, 0 when the case has moved on meanwhile. */
static int telling_put(struct cases *c, struct store_tx *tx, const struct case_row *row, const struct telling *t, struct err *err) {
  int rc = case_put_next(c, tx, row, &t->entry, &t->sealed, err);
  return rc == 1 && case_notice_put(c, tx, t->told, err) ? -1 : rc;
}

static int moved(int rc, struct err *err) { return rc > 0 ? 0 : rc < 0 ? -1 : err_set(err, ERR_CONFLICT, "the case has moved on"); }

static int escalate(struct cases *c, struct store_tx *tx, struct arena *a, struct case_row *row, struct err *err) {
  struct telling t;
  return telling_make(c, tx, a, row, &t, err) ? -1 : moved(telling_put(c, tx, row, &t, err), err);
}

static int tell_next(struct cases *c, struct store_tx *tx, struct case_row *row, const struct case_entry *e, struct err *err) {
  struct case_sealed sealed;
  move_on(c, row, e->at);
  case_seal(&sealed, row, e);
  return moved(case_put_next(c, tx, row, e, &sealed, err), err);
}

/* ---- what is done with a case ---- */

static int forget_term(struct store_tx *tx, const char *organisation, const char *term, const struct case_row *row, struct err *err) {
  return store_put(tx, err, "DELETE FROM case_term WHERE organisation=?1 AND term=?2 AND ord=?3 AND tracking=?4", "ttit", organisation, term,
                   -row->submitted_at, row->tracking);
}

/* Search words at every desk of a directory; organisations that stand in `done` too have been seen to. */
static int forget_everywhere(struct store_tx *tx, const struct directory *d, const struct directory *done, const char *const *terms, size_t n,
                             const struct case_row *row, struct err *err) {
  for (size_t o = 0; o < directory_organisations(d); o++) {
    const char *code = directory_organisation(d, (int)o)->code;
    for (size_t i = 0; i < n && (!done || directory_find_organisation(done, code) < 0); i++)
      if (terms[i] && forget_term(tx, code, terms[i], row, err)) return -1;
  }
  return 0;
}

/* By the words themselves: a desk may hold millions. A case that moved may have left words at any desk. */
static int forget_terms(struct cases *c, struct store_tx *tx, const struct case_row *row, struct err *err) {
  const struct directory *d = pack_directory(c->pack);
  struct arena *a = arena_new(1024 * 1024);
  const char *terms[2 * CASE_TERMS];
  json_t *data = json_loads(row->data, 0, NULL), *first = row->changed && row->first.payload ? json_loads(row->first.payload, 0, NULL) : NULL;
  int64_t moved = 0;
  size_t n = row->def ? case_terms(row->pack, row->def, data, row->mobile, a, terms, CASE_TERMS) : 0;
  if (row->def && first) n += case_terms(row->pack, row->def, json_object_get(first, "data"), row->mobile, a, terms + n, CASE_TERMS); /* the words are of what was submitted */
  int rc = store_value(tx, &moved, 0, err, "SELECT COUNT(*) FROM case_event WHERE tracking=?1 AND payload LIKE '%\"to\":%'", "t", row->tracking);
  for (size_t i = 0; rc == 0 && i < n; i++)
    if (terms[i]) rc = forget_term(tx, row->holder, terms[i], row, err);
  if (rc == 0 && moved) rc = forget_everywhere(tx, d, NULL, terms, n, row, err);
  if (rc == 0 && moved && row->pack != c->pack) rc = forget_everywhere(tx, pack_directory(row->pack), d, terms, n, row, err);
  json_decref(first);
  json_decref(data);
  arena_free(a);
  return rc;
}

/* The answers, what was said, the search words at every desk that held the case, and the copies given to those who were asked. */
static int forget_answers(struct cases *c, struct store_tx *tx, const struct case_row *row, struct err *err) {
  if (forget_terms(c, tx, row, err) || case_mandate_forget(tx, row->tracking, err)) return -1;
  char mobile[40];
  snprintf(mobile, sizeof mobile, "m:%s", row->mobile);
  const char *persons[] = {mobile, row->applicant, row->pair, row->beneficiary};
  for (size_t i = 0; i < BASE_COUNT(persons); i++)
    if (store_put(tx, err, "DELETE FROM case_person WHERE person=?1 AND ord=?2 AND tracking=?3", "tit", persons[i], -row->submitted_at, row->tracking)) return -1;
  if (store_put(tx, err, "UPDATE cases SET mobile='',applicant='',pair='',beneficiary='',first_salt=NULL,first_payload=NULL WHERE tracking=?1", "t",
                row->tracking) ||
      store_put(tx, err, "UPDATE case_event SET salt=NULL,payload=NULL WHERE tracking=?1", "t", row->tracking) ||
      store_put(tx, err, "DELETE FROM case_undelivered WHERE tracking=?1", "t", row->tracking) ||
      store_put(tx, err, "UPDATE case_letter_step SET salt=NULL,payload=NULL WHERE letter IN (SELECT id FROM case_letter WHERE tracking=?1)", "t", row->tracking) ||
      store_put(tx, err, "UPDATE case_letter SET content=NULL WHERE tracking=?1", "t", row->tracking) ||
      store_put(tx, err, "UPDATE case_remark SET salt=NULL,payload=NULL WHERE tracking=?1", "t", row->tracking) ||
      store_put(tx, err, "UPDATE case_event SET salt=NULL,payload=NULL WHERE tracking IN (SELECT tracking FROM case_child WHERE parent=?1)", "t", row->tracking))
    return -1;
  return store_put(tx, err, "UPDATE cases SET mobile='',applicant='',pair='',beneficiary='',data=NULL,first_salt=NULL,first_payload=NULL "
                   "WHERE tracking IN (SELECT tracking FROM case_child WHERE parent=?1)", "t", row->tracking);
}

static int erase(struct cases *c, struct store_tx *tx, struct case_row *row, struct err *err) {
  struct case_entry e = {.action = "erase", .from_state = row->state, .to_state = row->state, .role = "system", .organisation = "", .at = clock_now(), .payload = "{}"};
  if (forget_answers(c, tx, row, err) || case_forget_documents(tx, row->tracking, err) || case_forget_replied(tx, row->tracking, err)) return -1;
  if (c->o.certificate_forget && c->o.certificate_forget(c->o.certificate_ctx, tx, row->tracking, err)) return -1;
  row->data = NULL;
  row->next_ord = NO_ORD;
  return case_append(c, tx, row, &e, NULL, err);
}

static int silent_inquiry(struct cases *c, struct store_tx *tx, struct case_row *row, struct err *err) {
  const struct inquiry *q = NULL;
  for (size_t i = 0; row->def && i < row->def->inquiry_count; i++)
    if (strcmp(row->def->inquiries[i].name, row->inquiry) == 0) q = &row->def->inquiries[i];
  bool consents = q && q->silence_consents;
  struct case_entry e = {.action = consents ? "silence" : "escalate", .from_state = row->state, .to_state = consents ? INQUIRY_CONSENTED : row->state, .role = "system",
                         .organisation = row->holder, .at = clock_now(), .payload = "{\"who\":\"system\"}"};
  if (!consents) return tell_next(c, tx, row, &e, err);
  row->state = INQUIRY_CONSENTED;
  row->result = RESULT_CLOSED;
  row->closed_at = row->state_at = e.at;
  row->next_ord = NO_ORD;
  if (case_append(c, tx, row, &e, NULL, err)) return -1;
  json_t *out = json_object();
  json_put(out, "answer", "consent");
  json_put(out, "inquiry", row->inquiry);
  json_put(out, "organisation", row->holder);
  return case_outbox_put(tx, "reply", row->parent, row->version, row->tracking, out, e.at, err);
}

/* The citizen did not answer, or the suspension is used up: the office goes on with what it has. */
static int clock_goes_on(struct cases *c, struct store_tx *tx, struct arena *a, struct case_row *row, struct err *err) {
  const struct state *s = &row->def->states[row->state_index];
  for (size_t i = 0; i < s->action_count; i++)
    if (s->actions[i].kind == ACT_RESUME && (s->actions[i].to >= 0 || service_state(row->def, row->prior_state) >= 0))
      return case_system_act(c, tx, a, row, &s->actions[i], NULL, err);
  int back = service_state(row->def, row->prior_state);
  struct case_entry e = {.action = "resume", .from_state = row->state, .role = "system", .organisation = row->holder, .at = clock_now(), .payload = "{\"who\":\"system\"}"};
  if (back < 0) {
    row->next_ord = NO_ORD;
    return case_save(c, tx, row, row->version, err);
  }
  cases_set_state(c, row, back, e.at);
  e.to_state = row->state;
  if (case_append(c, tx, row, &e, NULL, err)) return -1;
  return case_after(c, tx, a, row, &(struct action){.name = "resume", .kind = ACT_RESUME, .to = back}, e.payload, e.at, err);
}

enum due { DUE_UNREADABLE, DUE_NONE, DUE_LATER, DUE_ERASE, DUE_INQUIRY, DUE_REMIND, DUE_GOES_ON, DUE_SILENCE, DUE_TELL };

/* What a case whose time has come is due for; its next look is reckoned again, for a closure may have moved the clocks. */
static enum due due_for(struct cases *c, struct case_row *row, int64_t before) {
  case_next_check(c, row);
  if (!row->def) return DUE_UNREADABLE;
  if (row->state_index < 0 && !case_is_inquiry(row)) return DUE_NONE;
  if (row->next_ord >= before) return DUE_LATER;
  if (row->result != RESULT_OPEN) return DUE_ERASE;
  if (case_is_inquiry(row)) return DUE_INQUIRY;
  if (row->stopped_ord >= 0) return case_pause_end(row) < before ? DUE_GOES_ON : DUE_REMIND;
  return row->def->states[row->state_index].silence_action >= 0 && row->state_legal_ord < before ? DUE_SILENCE : DUE_TELL;
}

struct list;

/* A case of a list. ready: it is due for an escalation, which is made, and the row is as after it. */
struct one {
  struct cases *c;
  struct list *list;
  int64_t before;
  struct case_row *row;
  bool ready;
  struct telling told;
};

static int due_in(struct store_tx *tx, const struct one *k, struct arena *a, struct err *err) {
  struct case_row row;
  if (case_load(k->c, tx, a, k->row->tracking, &row, err)) return -1;
  if (row.next_ord >= k->before) return 0; /* somebody was here before */
  int64_t kept = row.next_ord;
  switch (due_for(k->c, &row, k->before)) {
  case DUE_UNREADABLE: /* its pack cannot be read now: nothing is decided about it; look again tomorrow */
    log_write(LOG_WARN, "cases", "a deadline of service %s version %lld has passed, but no pack says what follows", row.service, (long long)row.service_version);
    row.next_ord = k->before;
    return case_save(k->c, tx, &row, row.version, err);
  case DUE_NONE: row.next_ord = NO_ORD; return case_save(k->c, tx, &row, row.version, err);
  case DUE_LATER: return row.next_ord != kept ? case_save(k->c, tx, &row, row.version, err) : 0;
  case DUE_ERASE: return erase(k->c, tx, &row, err);
  case DUE_INQUIRY: return silent_inquiry(k->c, tx, &row, err);
  case DUE_REMIND: return case_remind(k->c, tx, &row, err);
  case DUE_GOES_ON: return clock_goes_on(k->c, tx, a, &row, err);
  case DUE_SILENCE: {
    const struct state *s = &row.def->states[row.state_index];
    return case_system_act(k->c, tx, a, &row, &s->actions[s->silence_action], NULL, err);
  }
  case DUE_TELL: return escalate(k->c, tx, a, &row, err);
  }
  return 0;
}

static int due_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct one *k = arg;
  if (k->ready) {
    int rc = telling_put(k->c, tx, k->row, &k->told, err);
    if (rc) return rc < 0 ? -1 : 0;
  }
  struct arena *a = arena_new(1024 * 1024);
  int rc = due_in(tx, k, a, err);
  arena_free(a);
  return rc;
}

/* ---- the run ---- */

/* Those under way. The next list is read and made ready while the writer has work of those before it. */
struct round {
  struct cases *c;
  struct case_due due;
  pthread_mutex_t lock;
  pthread_cond_t few;
  int flying;
  int64_t done;
};

struct list {
  struct round *round;
  struct arena *arena;
  struct case_row rows[LIST];
  struct one each[LIST];
  size_t count, left; /* left: under the round's lock */
};

/* Beside the writer; what was read is written only if the case is still at that version. */
static void make_ready(struct list *l, struct store_tx *tx, struct one *k) {
  struct err err;
  if (due_for(k->c, k->row, k->before) != DUE_TELL) return;
  k->ready = telling_make(k->c, tx, l->arena, k->row, &k->told, &err) == 0 && !arena_overflowed(l->arena);
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct list *l = arg;
  struct round *r = l->round;
  if (case_load_due(r->c, tx, l->arena, ENOUGH, &r->due, l->rows, LIST, &l->count, err)) return -1;
  for (size_t i = 0; i < l->count; i++) {
    struct one *k = &l->each[i];
    *k = (struct one){.c = r->c, .list = l, .before = r->due.before, .row = &l->rows[i]};
    make_ready(l, tx, k);
  }
  return 0;
}

static void list_free(struct list *l) {
  arena_free(l->arena);
  free(l);
}

static void due_done(void *arg, int rc, const struct err *err) {
  struct list *l = ((struct one *)arg)->list;
  struct round *r = l->round;
  if (rc) log_write(LOG_WARN, "cases", "a deadline is tried again: %s", err ? err->message : "");
  pthread_mutex_lock(&r->lock);
  bool last = --l->left == 0;
  if (rc == 0) r->done++;
  r->flying--;
  if (r->flying == FLYING - LIST || r->flying == 0) pthread_cond_signal(&r->few);
  pthread_mutex_unlock(&r->lock);
  if (last) list_free(l);
}

static void wait_for(struct round *r, int most) {
  pthread_mutex_lock(&r->lock);
  while (r->flying > most) pthread_cond_wait(&r->few, &r->lock);
  pthread_mutex_unlock(&r->lock);
}

/* All at once, so that they share commits. The list is theirs from now on. */
static void run_these(struct round *r, struct list *l) {
  size_t count = l->count;
  if (!count) return list_free(l);
  pthread_mutex_lock(&r->lock);
  r->flying += (int)count;
  l->left = count;
  pthread_mutex_unlock(&r->lock);
  for (size_t n = 0; n < count; n++) {
    struct err why;
    struct one *k = &l->each[n];
    if (store_submit(r->c->store, STORE_JOBS, due_work, k, due_done, &why)) due_done(k, -1, &why);
  }
}

/* One list. 1: there may be more; 0; -1. */
static int run_list(struct round *r, struct err *err) {
  struct list *l = base_alloc(sizeof *l);
  l->round = r;
  l->arena = arena_new(ARENA);
  if (store_read(r->c->store, list_work, l, err)) {
    list_free(l);
    return -1;
  }
  bool more = r->due.more;
  run_these(r, l);
  wait_for(r, FLYING - LIST);
  return more;
}

/* As long as there are more, for a turn: the store itself keeps them from holding up those who wait. */
int case_due_run(struct cases *c, bool closed, int64_t *done, struct err *err) {
  struct round r = {.c = c, .lock = PTHREAD_MUTEX_INITIALIZER, .few = PTHREAD_COND_INITIALIZER};
  int64_t until = clock_mono() + TURN_MS;
  int rc = 0;
  c->more = false;
  for (size_t i = 0; i < c->calendar_count && rc >= 0; i++) {
    const char *calendar = c->calendars[i].code;
    r.due = (struct case_due){.calendar = calendar, .closed = closed, .before = calendar_ordinal(case_calendar(c, calendar), cases_today()), .ord = INT64_MIN};
    while ((rc = run_list(&r, err)) == 1 && clock_mono() < until) continue;
    c->more |= rc == 1;
  }
  wait_for(&r, 0);
  if (done) *done += r.done;
  if (r.done == 0) c->more = false; /* nothing succeeds now */
  pthread_mutex_destroy(&r.lock);
  pthread_cond_destroy(&r.few);
  return rc < 0 ? -1 : 0;
}

bool cases_more(const struct cases *c) { return c->more; }

int cases_retain(struct cases *c, int64_t *done, struct err *err) {
  *done = 0;
  return case_due_run(c, true, done, err);
}
