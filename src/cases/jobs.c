#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

enum { LEASE_MS = 10000, ROUND = 512, TURN_MS = 250 }; /* deadlines taken at once; how long one turn goes on with them, so that the others have theirs */

/* ---- clocks that have run out ---- */

/* A list of cases, in the order of their deadlines, and where the next one begins. */
struct due {
  struct cases *c;
  const char *calendar;
  int64_t before;
  bool closed;               /* only what is to be erased */
  int64_t ord, submitted_at; /* of the last one listed */
  char last[TRACKING_SIZE], tracking[ROUND][TRACKING_SIZE];
  int count;
};

static int due_list(struct store_tx *tx, void *arg, struct err *err) {
  struct due *k = arg;
  k->count = 0;
  struct store_rows *r = store_select(tx, err,
    "SELECT tracking,next_ord,submitted_at FROM cases WHERE calendar=?1 AND next_ord<?2 AND (next_ord,submitted_at,tracking)>(?5,?6,?7) AND (?4=0 OR result<>0) "
    "ORDER BY next_ord,submitted_at,tracking LIMIT ?3", "tiiiiit", k->calendar, k->before, (int64_t)ROUND, (int64_t)k->closed, k->ord, k->submitted_at, k->last);
  if (!r) return -1;
  int64_t ord = 0, submitted_at = 0;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    snprintf(k->tracking[k->count++], TRACKING_SIZE, "%s", store_text(r, 0));
    ord = store_int(r, 1);
    submitted_at = store_int(r, 2);
  }
  store_done(r);
  if (rc < 0 || !k->count) return rc;
  k->ord = ord;
  k->submitted_at = submitted_at;
  memcpy(k->last, k->tracking[k->count - 1], TRACKING_SIZE);
  return 0;
}

/* Those under way. The next list is read while the writer has work of the last one. */
struct round {
  pthread_mutex_t lock;
  pthread_cond_t few;
  int flying;
  int64_t done;
};

struct one {
  struct cases *c;
  struct round *round;
  char tracking[TRACKING_SIZE];
  int64_t before;
};

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

static int escalate(struct cases *c, struct store_tx *tx, struct case_row *row, int role, struct err *err) {
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
  struct case_entry e = {.action = "escalate", .from_state = row->state, .to_state = row->state, .role = "system", .organisation = row->holder, .at = clock_now(), .payload = payload};
  row->escalated++;
  case_next_check(c, row);
  int rc = case_append_next(c, tx, row, &e, err);
  if (rc == 0) rc = case_notice(c, tx, row, "due", row->version, NULL, NULL, err);
  free(payload);
  return rc;
}

static int silent_inquiry(struct cases *c, struct store_tx *tx, struct case_row *row, struct err *err) {
  const struct inquiry *q = NULL;
  for (size_t i = 0; row->def && i < row->def->inquiry_count; i++)
    if (strcmp(row->def->inquiries[i].name, row->inquiry) == 0) q = &row->def->inquiries[i];
  bool consents = q && q->silence_consents;
  struct case_entry e = {.action = consents ? "silence" : "escalate", .from_state = row->state, .to_state = consents ? INQUIRY_CONSENTED : row->state, .role = "system",
                         .organisation = row->holder, .at = clock_now(), .payload = "{\"who\":\"system\"}"};
  if (!consents) {
    row->escalated++;
    case_next_check(c, row);
    return case_append_next(c, tx, row, &e, err);
  }
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

static int due_work(struct store_tx *tx, void *arg, struct err *err) {
  struct one *k = arg;
  struct arena *a = arena_new(1024 * 1024);
  struct case_row row;
  int rc = case_load(k->c, tx, a, k->tracking, &row, err);
  if (rc) goto out;
  if (row.next_ord >= k->before) goto out; /* somebody was here before */
  int64_t kept = row.next_ord;
  case_next_check(k->c, &row);
  if (!row.def) { /* its pack cannot be read now: nothing is decided about it; look again tomorrow */
    log_write(LOG_WARN, "cases", "a deadline of service %s version %lld has passed, but no pack says what follows", row.service, (long long)row.service_version);
    row.next_ord = k->before;
    rc = case_save(k->c, tx, &row, row.version, err);
  } else if (row.state_index < 0 && !case_is_inquiry(&row)) {
    row.next_ord = NO_ORD;
    rc = case_save(k->c, tx, &row, row.version, err);
  } else if (row.next_ord >= k->before) { /* looked too early, for a closure moved the clocks */
    if (row.next_ord != kept) rc = case_save(k->c, tx, &row, row.version, err);
  } else if (row.result != RESULT_OPEN) rc = erase(k->c, tx, &row, err);
  else if (case_is_inquiry(&row)) rc = silent_inquiry(k->c, tx, &row, err);
  else if (row.stopped_ord >= 0) rc = clock_goes_on(k->c, tx, a, &row, err);
  else {
    const struct state *s = &row.def->states[row.state_index];
    if (s->silence_action >= 0 && row.state_legal_ord < k->before) rc = case_system_act(k->c, tx, a, &row, &s->actions[s->silence_action], NULL, err);
    else rc = escalate(k->c, tx, &row, s->escalate_role, err);
  }
out:
  arena_free(a);
  return rc;
}

static void due_done(void *arg, int rc, const struct err *err) {
  struct one *o = arg;
  struct round *r = o->round;
  if (rc) log_write(LOG_WARN, "cases", "a deadline is tried again: %s", err ? err->message : "");
  free(o);
  pthread_mutex_lock(&r->lock);
  if (rc == 0) r->done++;
  r->flying--;
  if (r->flying == ROUND || r->flying == 0) pthread_cond_signal(&r->few);
  pthread_mutex_unlock(&r->lock);
}

static void wait_for(struct round *r, int most) {
  pthread_mutex_lock(&r->lock);
  while (r->flying > most) pthread_cond_wait(&r->few, &r->lock);
  pthread_mutex_unlock(&r->lock);
}

/* All at once, so that they share commits. */
static void run_these(const struct due *k, struct round *r) {
  pthread_mutex_lock(&r->lock);
  r->flying += k->count;
  pthread_mutex_unlock(&r->lock);
  for (int n = 0; n < k->count; n++) {
    struct err why;
    struct one *o = base_alloc(sizeof *o);
    *o = (struct one){.c = k->c, .round = r, .before = k->before};
    memcpy(o->tracking, k->tracking[n], TRACKING_SIZE);
    if (store_submit(k->c->store, STORE_JOBS, due_work, o, due_done, &why)) due_done(o, -1, &why);
  }
}

/* As long as there are more, for a turn: the store itself keeps them from holding up those who wait. */
static int run_due(struct cases *c, bool closed, int64_t *done, struct err *err) {
  struct due *k = base_alloc(sizeof *k);
  struct round r = {.lock = PTHREAD_MUTEX_INITIALIZER, .few = PTHREAD_COND_INITIALIZER};
  int64_t until = clock_mono() + TURN_MS;
  int rc = 0;
  c->more = false;
  for (size_t i = 0; i < c->calendar_count && rc == 0; i++) {
    *k = (struct due){.c = c, .calendar = c->calendars[i].code, .closed = closed, .ord = INT64_MIN};
    k->before = calendar_ordinal(case_calendar(c, k->calendar), cases_today());
    do {
      rc = store_read(c->store, due_list, k, err);
      if (rc == 0) run_these(k, &r);
      wait_for(&r, ROUND);
    } while (rc == 0 && k->count == ROUND && clock_mono() < until);
    if (k->count == ROUND) c->more = true;
  }
  wait_for(&r, 0);
  if (done) *done += r.done;
  if (r.done == 0) c->more = false; /* nothing succeeds now */
  pthread_mutex_destroy(&r.lock);
  pthread_cond_destroy(&r.few);
  free(k);
  return rc;
}

bool cases_more(const struct cases *c) { return c->more; }

int cases_retain(struct cases *c, int64_t *done, struct err *err) {
  *done = 0;
  return run_due(c, true, done, err);
}

/* ---- looks at personal data: one leaf a batch ---- */

struct looks {
  char ids[256][40];
  char person[256][80];
  int64_t at[256];
  int count;
};

static int looks_work(struct store_tx *tx, void *arg, struct err *err) {
  struct looks *k = arg;
  unsigned char raw[16], salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  char batch[33], at[32];
  k->count = 0;
  struct store_rows *r = store_select(tx, err, "SELECT id,person,at FROM case_access_new ORDER BY id LIMIT 256", "");
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    snprintf(k->ids[k->count], sizeof k->ids[0], "%s", store_text(r, 0));
    snprintf(k->person[k->count], sizeof k->person[0], "%s", store_text(r, 1));
    k->at[k->count++] = store_int(r, 2);
  }
  store_done(r);
  if (rc < 0 || k->count == 0) return rc;
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, batch);
  random_bytes(salt, sizeof salt);
  json_t *list = json_array();
  for (int i = 0; i < k->count; i++) json_array_append_new(list, json_pack("{s:s,s:s,s:I}", "id", k->ids[i], "person", k->person[i], "at", (json_int_t)k->at[i]));
  char *payload = json_canonical(list);
  json_decref(list);
  clock_rfc3339_ms(clock_now(), at);
  char *header = base_printf("{\"at\":\"%s\",\"batch\":\"%s\",\"kind\":\"access\",\"looks\":%d}", at, batch, k->count);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  rc = store_put(tx, err, "INSERT INTO case_access_batch (batch,at,salt,payload) VALUES (?1,?2,?3,?4)", "tibt", batch, clock_now(), (const void *)salt, (size_t)TRUST_SALT, payload);
  if (rc == 0) rc = trust_append(tx, leaf, header, digest, err);
  for (int i = 0; i < k->count && rc == 0; i++) {
    rc = store_put(tx, err, "UPDATE case_access SET batch=?1 WHERE person=?2 AND at=?3 AND id=?4", "ttit", batch, k->person[i], k->at[i], k->ids[i]);
    if (rc == 0) rc = store_put(tx, err, "DELETE FROM case_access_new WHERE id=?1", "t", k->ids[i]);
  }
  free(payload);
  free(header);
  return rc;
}

static int waiting_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_value(tx, arg, 0, err, "SELECT COUNT(*) FROM (SELECT 1 FROM case_access_new LIMIT 1) AS few", "");
}

/* Drafts are forgotten after thirty days, those of people at a counter after one, consents after ninety, calls without a case after two years. */
static int drafts_work(struct store_tx *tx, void *arg, struct err *err) {
  if (store_put(tx, err, "DELETE FROM draft WHERE at<?1", "i", clock_now() - INT64_C(30) * 86400000) ||
      store_put(tx, err, "DELETE FROM draft WHERE owner>='k:' AND owner<'k;' AND at<?1", "i", clock_now() - INT64_C(86400000)) ||
      store_put(tx, err, "DELETE FROM case_consent WHERE made_at<?1", "i", clock_now() - INT64_C(90) * 86400000))
    return -1;
  return store_put(tx, err, "UPDATE desk_log SET salt=NULL,payload=NULL WHERE what='call' AND at<?1 AND payload IS NOT NULL", "i",
                   clock_now() - INT64_C(730) * 86400000);
}

/* What other nodes have written since: closures, and texts under which requests began. */
static int news_work(struct store_tx *tx, void *arg, struct err *err) { return case_calendars_load(arg, tx, err) || case_pins_load(arg, tx, err) || case_stops_load(arg, tx, err) ? -1 : 0; }

int cases_jobs(struct cases *c, int64_t *done, struct err *err) {
  int64_t epoch = 0, waiting = 0;
  if (done) *done = 0;
  if (store_read(c->store, news_work, c, err)) return -1;
  int held = store_lease(c->store, "cases-jobs", c->node, LEASE_MS, &epoch, err);
  if (held <= 0) return held;
  if (case_outbox_run(c, done, err) || run_due(c, false, done, err)) return -1;
  if (store_read(c->store, waiting_work, &waiting, err)) return -1;
  if (waiting) {
    struct looks *k = base_alloc(sizeof *k);
    int rc = store_write(c->store, STORE_JOBS, looks_work, k, err);
    free(k);
    if (rc) return -1;
  }
  int64_t minute = clock_now() / 60000;
  if (minute / 10 != c->looks_round && c->o.identity) {
    c->looks_round = minute / 10;
    if (cases_looks_review(c, cases_today(), err)) return -1;
  }
  if (minute != c->drafts_minute) {
    c->drafts_minute = minute;
    return store_write(c->store, STORE_JOBS, drafts_work, NULL, err) || store_write(c->store, STORE_JOBS, case_expire_documents, NULL, err) ? -1 : 0;
  }
  return 0;
}
