#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

static const char *const intakes[] = {"web", "app", "api", "ussd", "sms", "counter", "paper"};
const char *intake_text(enum intake i) { return (size_t)i < BASE_COUNT(intakes) ? intakes[i] : "api"; }

int cases_open(struct store *s, struct trust *t, struct pack *p, const struct cases_options *o, struct cases **out, struct err *err) {
  struct cases *c = base_alloc(sizeof *c);
  pthread_mutex_init(&c->figures_lock, NULL);
  pthread_mutex_init(&c->news_lock, NULL);
  c->store = s;
  c->trust = t;
  c->pack = pack_ref(p);
  c->o = *o;
  memcpy(c->secret, o->secret, sizeof c->secret);
  snprintf(c->node, sizeof c->node, "%s", o->node ? o->node : "node");
  pthread_rwlock_init(&c->lock, NULL);
  c->shelves = shelves_new();
  c->stops = stops_new();
  case_definitions_open(c);
  if (pack_calendars(p) == 0) {
    err_set(err, ERR_INVALID, "the pack has no calendar");
    cases_close(c);
    return -1;
  }
  if (case_news(c, err)) {
    cases_close(c);
    return -1;
  }
  *out = c;
  return 0;
}

struct cases *cases_reader(struct store *s) {
  struct cases *c = base_alloc(sizeof *c);
  pthread_mutex_init(&c->figures_lock, NULL);
  pthread_mutex_init(&c->news_lock, NULL);
  c->store = s;
  pthread_rwlock_init(&c->lock, NULL);
  return c;
}

void cases_close(struct cases *c) {
  if (!c) return;
  for (size_t i = 0; i < c->calendar_count; i++) calendar_free(c->calendars[i].now);
  for (size_t i = 0; i < c->retired_count; i++) calendar_free(c->retired[i]);
  free(c->calendars);
  free(c->retired);
  shelves_free(c->shelves);
  stops_free(c->stops);
  pthread_rwlock_destroy(&c->lock);
  case_definitions_close(c);
  case_due_forget(c);
  pthread_mutex_destroy(&c->figures_lock);
  pthread_mutex_destroy(&c->news_lock);
  pack_unref(c->pack);
  free(c);
}

void cases_mute(struct cases *c) {
  c->o.notify = NULL;
  c->o.certificate = NULL;
}

struct pack *cases_pack(const struct cases *c) { return c->pack; }

/* ---- for the ledger's verifier ---- */

struct digest {
  const char *sql_kind, *tracking, *id, *letter;
  int64_t seq;
  unsigned char *out;
  int answer;
};

static int digest_of(struct digest *k, struct store_rows *r, struct err *err) {
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    size_t n = 0;
    const void *salt = store_blob(r, 0, &n);
    const char *payload = store_text(r, 1);
    if (!salt || n != TRUST_SALT || !payload) k->answer = 1;
    else {
      unsigned char leaf[TRUST_HASH];
      trust_leaf("", salt, payload, strlen(payload), k->out, leaf);
      k->answer = 0;
    }
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int digest_work(struct store_tx *tx, void *arg, struct err *err) {
  struct digest *k = arg;
  k->answer = -1;
  if (strcmp(k->sql_kind, "act") == 0) {
    k->answer = identity_act_digest(tx, k->id, k->out, err);
    return 0;
  }
  if (strcmp(k->sql_kind, "access") == 0)
    return digest_of(k, store_select(tx, err, "SELECT salt,payload FROM case_access_batch WHERE batch=?1", "t", k->id), err);
  if (strcmp(k->sql_kind, "calendar") == 0)
    return digest_of(k, store_select(tx, err, "SELECT salt,payload FROM calendar_log WHERE id=?1", "t", k->id), err);
  if (strcmp(k->sql_kind, "remark") == 0)
    return digest_of(k, store_select(tx, err, "SELECT salt,payload FROM case_remark WHERE tracking=?1 AND id=?2", "tt", k->tracking, k->id), err);
  if (strcmp(k->sql_kind, "desk") == 0) return digest_of(k, store_select(tx, err, "SELECT salt,payload FROM desk_log WHERE id=?1", "t", k->id), err);
  if (strcmp(k->sql_kind, "letter") == 0)
    return digest_of(k, store_select(tx, err, "SELECT salt,payload FROM case_letter_step WHERE letter=?1 AND n=?2", "ti", k->letter, k->seq), err);
  return digest_of(k, store_select(tx, err, "SELECT salt,payload FROM " CASE_EVENTS "WHERE seq=?2", "ti", k->tracking, k->seq), err);
}

int cases_leaf_digest(struct cases *c, const char *header, unsigned char digest[TRUST_HASH]) {
  json_t *h = json_loads(header, 0, NULL);
  const char *kind = json_str(h, "kind");
  struct digest k = {.sql_kind = kind ? kind : "", .tracking = json_str(h, "case"), .letter = json_str(h, "letter"),
                     .seq = json_int(h, "seq", json_int(h, "step", 0)), .out = digest};
  k.id = json_str(h, "batch") ? json_str(h, "batch") : json_str(h, "id");
  int rc = kind && (k.id || k.tracking) ? store_read(c->store, digest_work, &k, NULL) : -1;
  json_decref(h);
  return rc ? -1 : k.answer;
}

struct verify {
  struct cases *c;
  void (*report)(void *ctx, const char *line);
  void *ctx;
  char after[TRACKING_SIZE];
  int64_t faults, seen;
};

static void fault(struct verify *k, const char *tracking, const char *what) {
  char *line = base_printf("case %s: %s", tracking, what);
  k->report(k->ctx, line);
  free(line);
  k->faults++;
}

/* The answers as the events tell them: what was submitted, and what was added when the office asked. held is NULL where they are the submitted. */
static int answers_agree(struct store_tx *tx, const char *tracking, const char *submitted, const char *held, bool *agree, struct err *err) {
  json_t *p = json_loads(submitted, 0, NULL), *told = json_deep_copy(json_object_get(p, "data"));
  json_t *d = held ? json_loads(held, 0, NULL) : json_deep_copy(told);
  struct store_rows *r = store_select(tx, err, "SELECT payload FROM case_event WHERE " OF_CASE " AND action='provide_info' ORDER BY seq", "t", tracking);
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) {
    json_t *more = store_text(r, 0) ? json_loads(store_text(r, 0), 0, NULL) : NULL;
    json_object_update(told, json_object_get(more, "data"));
    json_decref(more);
  }
  store_done(r);
  *agree = json_equal(told, d);
  json_decref(told);
  json_decref(p);
  json_decref(d);
  return rc;
}

/* The row of a case must be what its last event says, and its answers what was submitted. */
static int verify_work(struct store_tx *tx, void *arg, struct err *err) {
  struct verify *k = arg;
  struct store_rows *r = store_select(tx, err,
    "SELECT cases.tracking,cases.version,cases.state,1+(SELECT COUNT(*) FROM case_event WHERE case_event.tracking=cases.tracking AND case_event.filed=cases.submitted_at),"
    "CASE WHEN cases.version=1 THEN cases.first_state ELSE (SELECT to_state FROM case_event WHERE case_event.tracking=cases.tracking AND case_event.filed=cases.submitted_at "
    "AND case_event.seq=cases.version) END,cases.data,cases.first_payload,"
    "(SELECT COUNT(*) FROM case_event WHERE case_event.tracking=cases.tracking AND case_event.filed=cases.submitted_at AND case_event.action='provide_info'),"
    "(SELECT COUNT(*) FROM case_event WHERE (case_event.tracking=cases.tracking AND case_event.filed=cases.submitted_at "
    "OR cases.parent<>'' AND case_event.tracking=cases.parent AND case_event.filed=(SELECT p.submitted_at FROM cases AS p WHERE p.tracking=cases.parent)) AND case_event.action='erase') "
    "FROM cases WHERE cases.tracking>?1 ORDER BY cases.tracking LIMIT 500", "t", k->after);
  if (!r) return -1;
  int rc;
  k->seen = 0;
  while ((rc = store_next(r, err)) == 1) {
    const char *tracking = store_text(r, 0), *last = store_text(r, 4);
    k->seen++;
    if (store_int(r, 1) != store_int(r, 3)) fault(k, tracking, "has not as many events as its version says");
    else if (!last || strcmp(last, store_text(r, 2)) != 0) fault(k, tracking, "is not in the state that its last event says");
    if (!store_text(r, 6) && (store_text(r, 5) || store_int(r, 8) == 0)) fault(k, tracking, "has lost its answers, yet they were not erased by rule");
    else if (store_text(r, 6) && (store_text(r, 5) || store_int(r, 7))) {
      bool agree;
      if (answers_agree(tx, tracking, store_text(r, 6), store_text(r, 5), &agree, err)) {
        store_done(r);
        return -1;
      }
      if (!agree) fault(k, tracking, "does not hold the answers that were submitted");
    }
    snprintf(k->after, sizeof k->after, "%s", tracking);
  }
  store_done(r);
  return rc;
}

int cases_verify(struct cases *c, void (*report)(void *ctx, const char *line), void *ctx, struct err *err) {
  struct verify k = {.c = c, .report = report, .ctx = ctx};
  do {
    if (store_read(c->store, verify_work, &k, err)) return -1;
  } while (k.seen > 0);
  return k.faults ? err_set(err, ERR_CONFLICT, "%lld cases do not agree with their events", (long long)k.faults) : 0;
}

/* ---- figures, notes of the installation ---- */

static int any_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_value(tx, arg, 0, err, "SELECT COUNT(*) FROM (SELECT 1 FROM cases LIMIT 1) AS few", "");
}

int cases_any(struct cases *c, bool *any, struct err *err) {
  int64_t n = 0;
  if (store_read(c->store, any_work, &n, err)) return -1;
  *any = n > 0;
  return 0;
}

static int all_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cases_figures *f = arg;
  return store_value(tx, &f->cases, 0, err, "SELECT COUNT(*) FROM cases", "");
}

static int events_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cases_figures *f = arg;
  return store_value(tx, &f->events, 0, err, "SELECT (SELECT COUNT(*) FROM cases)+(SELECT COUNT(*) FROM case_event)", "");
}

/* Open ones by stepping from desk to desk in their index: as much work as there are desks and open cases, however many are closed. */
static int open_figures_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cases_figures *f = arg;
  if (store_value(tx, &f->open, 0, err,
        "SELECT CAST((WITH RECURSIVE desk (holder) AS (SELECT MIN(holder) FROM cases UNION ALL "
        "SELECT (SELECT MIN(cases.holder) FROM cases WHERE cases.holder>desk.holder) FROM desk WHERE desk.holder IS NOT NULL) "
        "SELECT SUM((SELECT COUNT(*) FROM cases WHERE cases.holder=desk.holder AND cases.result=0)) FROM desk WHERE desk.holder IS NOT NULL) AS BIGINT)", ""))
    return -1;
  return store_value(tx, &f->outbox, 0, err, "SELECT COUNT(*) FROM case_outbox", "");
}

/* All cases can only be counted one by one: again no sooner than a hundred times as long as it took. */
int cases_figures(struct cases *c, struct cases_figures *out, struct err *err) {
  int rc = 0;
  memset(out, 0, sizeof *out);
  pthread_mutex_lock(&c->figures_lock);
  int64_t now = clock_mono();
  if (!c->figures_until || now >= c->figures_until) {
    rc = store_read(c->store, all_work, out, err);
    if (rc == 0) {
      c->figures_cases = out->cases;
      c->figures_until = now + 1 + 100 * (clock_mono() - now);
    }
  }
  out->cases = c->figures_cases;
  pthread_mutex_unlock(&c->figures_lock);
  if (rc || store_read(c->store, open_figures_work, out, err)) return -1;
  struct err none = {0};
  if (c->trust && trust_size(c->trust, &out->events, &none) == 0) return 0;
  if (c->trust && none.code != ERR_NOT_FOUND) {
    *err = none;
    return -1;
  }
  return store_read(c->store, events_work, out, err); /* no head yet */
}

struct note {
  const char *name, *value;
  char *out;
};

static int note_put(struct store_tx *tx, void *arg, struct err *err) {
  struct note *k = arg;
  return store_put(tx, err, "INSERT INTO case_meta (name,value) VALUES (?1,?2) ON CONFLICT (name) DO UPDATE SET value=excluded.value", "tt", k->name, k->value);
}

static int note_get(struct store_tx *tx, void *arg, struct err *err) {
  struct note *k = arg;
  struct store_rows *r = store_select(tx, err, "SELECT value FROM case_meta WHERE name=?1", "t", k->name);
  if (!r) return -1;
  int rc = store_next(r, err);
  free(k->out);
  k->out = rc == 1 ? base_strdup(store_text(r, 0)) : NULL;
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int cases_note_set(struct cases *c, const char *name, const char *value, struct err *err) {
  struct note k = {.name = name, .value = value};
  return store_write(c->store, STORE_FRONT, note_put, &k, err);
}

int cases_note(struct cases *c, const char *name, char **value, struct err *err) {
  struct note k = {.name = name};
  if (store_read(c->store, note_get, &k, err)) return -1;
  *value = k.out;
  return 0;
}
