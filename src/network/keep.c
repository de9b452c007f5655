/* The keeper's thread: what was decided goes into the stores, who probes is settled, what others wrote is followed. */
#include "network/inner.h"
#include "network/inner_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LEASE_MS = 10000 };

/* ---- events: a row and a leaf --------------------------------------------------------------------------------------- */

static char *payload_of(int64_t incident, int64_t at, const char *kind, const char *subject, const char *who, const char *text, const char *detail) {
  json_t *p = json_object(), *d = detail[0] ? json_loads(detail, 0, NULL) : json_null();
  json_object_set_new(p, "at", json_integer(at));
  json_object_set_new(p, "detail", d ? d : json_string(detail));
  json_object_set_new(p, "incident", json_integer(incident));
  json_put(p, "kind", kind);
  json_put(p, "subject", subject);
  json_put(p, "text", text);
  json_put(p, "who", who);
  char *out = json_canonical(p);
  json_decref(p);
  return out;
}

int network_event_put(struct store_tx *tx, const struct event *e, struct err *err) {
  unsigned char raw[16], salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  char id[40], when[32];
  int64_t at = e->at ? e->at : clock_now(), there = 0;
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, id);
  if (e->id) {
    snprintf(id, sizeof id, "%s", e->id);
    if (store_value(tx, &there, 0, err, "SELECT 1 FROM network_event WHERE id=?1", "t", id)) return -1;
    if (there) return 0;
  }
  random_bytes(salt, sizeof salt);
  clock_rfc3339_ms(at, when);
  const char *text = e->text ? e->text : "", *subject = e->subject ? e->subject : "", *who = e->who ? e->who : "";
  char *detail = e->detail ? json_canonical(e->detail) : base_strdup("");
  char *payload = payload_of(e->incident, at, e->kind, subject, who, text, detail);
  char *header = base_printf("{\"at\":\"%s\",\"id\":\"%s\",\"kind\":\"network\",\"what\":\"%s\"}", when, id, e->kind);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  int rc = store_put(tx, err, "INSERT INTO network_event (id,incident,at,kind,subject,who,note,detail,salt) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)", "tiitttttb",
                     id, e->incident, at, e->kind, subject, who, text, detail, (const void *)salt, (size_t)TRUST_SALT);
  if (rc == 0) rc = trust_append(tx, leaf, header, digest, err);
  free(detail);
  free(payload);
  free(header);
  return rc;
}

struct digest { const char *id; unsigned char *out; int answer; };

static int digest_work(struct store_tx *tx, void *arg, struct err *err) {
  struct digest *k = arg;
  k->answer = -1;
  struct store_rows *r = store_select(tx, err, "SELECT incident,at,kind,subject,who,note,detail,salt FROM network_event WHERE id=?1", "t", k->id);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    size_t size = 0;
    unsigned char leaf[TRUST_HASH];
    const void *salt = store_blob(r, 7, &size);
    char *payload = payload_of(store_int(r, 0), store_int(r, 1), store_text(r, 2), store_text(r, 3), store_text(r, 4), store_text(r, 5), store_text(r, 6));
    k->answer = salt && size == TRUST_SALT ? 0 : 1;
    if (k->answer == 0) trust_leaf("", salt, payload, strlen(payload), k->out, leaf);
    free(payload);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int network_leaf_digest(struct network *n, const char *header, unsigned char digest[TRUST_HASH]) {
  json_t *h = json_loads(header, 0, NULL);
  struct digest k = {.id = json_str(h, "id"), .out = digest, .answer = -1};
  int rc = k.id ? store_read(n->main, digest_work, &k, NULL) : -1;
  json_decref(h);
  return rc ? -1 : k.answer;
}

struct verifying { void (*report)(void *ctx, const char *line); void *ctx; int64_t faults; };

static void fault(struct verifying *k, const char *what, int64_t id) {
  char *line = base_printf("%s %lld of the network is not what its events say", what, (long long)id);
  k->report(k->ctx, line);
  free(line);
  k->faults++;
}

static int verify_work(struct store_tx *tx, void *arg, struct err *err) {
  struct verifying *k = arg;
  int rc;
  k->faults = 0;
  struct store_rows *r = store_select(tx, err,
    "SELECT i.id,i.ended,i.acknowledged_at,(SELECT COUNT(*) FROM network_event e WHERE e.incident=i.id AND e.kind='opened'),"
    "(SELECT MAX(at) FROM network_event e WHERE e.incident=i.id AND e.kind='closed'),(SELECT MAX(at) FROM network_event e WHERE e.incident=i.id AND e.kind='acknowledged') "
    "FROM network_incident i ORDER BY i.id", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1)
    if (store_int(r, 3) != 1 || store_null(r, 4) != (store_int(r, 1) == 0) || (!store_null(r, 4) && store_int(r, 4) != store_int(r, 1)) || store_int(r, 5) != store_int(r, 2))
      fault(k, "incident", store_int(r, 0));
  store_done(r);
  if (rc) return -1;
  r = store_select(tx, err, "SELECT w.id FROM network_window w WHERE NOT EXISTS (SELECT 1 FROM network_event e WHERE e.incident=0 AND e.kind='window' AND e.id='w' || w.id)", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) fault(k, "window", store_int(r, 0));
  store_done(r);
  return rc;
}

int network_verify(struct network *n, void (*report)(void *ctx, const char *line), void *ctx, struct err *err) {
  struct verifying k = {.report = report, .ctx = ctx};
  if (store_read(n->main, verify_work, &k, err)) return -1;
  return k.faults ? err_set(err, ERR_CONFLICT, "%lld faults in the network's incidents and windows", (long long)k.faults) : 0;
}

int network_bump(struct store_tx *tx, struct err *err) {
  return store_put(tx, err, "INSERT INTO network_value (name,value) VALUES ('revision',1) ON CONFLICT (name) DO UPDATE SET value=network_value.value+1", "");
}

/* ---- what waits -------------------------------------------------------------------------------------------------------- */

static bool measured_op(const struct op *o) { return o->kind == OP_RAW || o->kind == OP_INTERFACES || o->kind == OP_CHECK; }

/* An object of eleven numbers for each interface. */
static int64_t op_bytes(const struct op *o) { return measured_op(o) ? (int64_t)(sizeof *o + o->size + json_array_size(o->rows) * 1500) : 0; }

static void free_op(struct op *o) {
  free(o->bytes);
  json_decref(o->rows);
  free(o);
}

static void free_ops(struct op *o) {
  while (o) {
    struct op *next = o->next;
    free_op(o);
    o = next;
  }
}

/* How many of the checks that wait are of this office's check: by node and number. */
static uint32_t *count_checks(struct network *n) {
  uint32_t *of = base_alloc(((size_t)n->real * CHECKS_MOST + 1) * sizeof *of);
  for (const struct op *o = n->ops; o; o = o->next) {
    const struct node *node = o->kind == OP_CHECK ? network_at(n, o->code) : NULL;
    if (node) of[node->o.node * CHECKS_MOST + o->number]++;
  }
  return of;
}

/* The store is away, and too much waits: the oldest results of the centre and readings of interfaces go, down to seven eighths, so that this is not done for each. What a prober
 * elsewhere reported stays: it is no more than one report of each, and is acknowledged once it is written. Of a check that changed several times the last counts. */
static void trim_ops(struct network *n) {
  if (n->ops_size <= OPS_BYTES_MOST) return;
  uint32_t *checks = count_checks(n);
  for (struct op **at = &n->ops, *o; (o = *at);) {
    const struct node *node = o->kind == OP_CHECK ? network_at(n, o->code) : NULL;
    bool old = o->kind == OP_CHECK && (!node || --checks[node->o.node * CHECKS_MOST + o->number] > 0);
    bool given_up = n->ops_size > OPS_BYTES_MOST / 8 * 7 && (o->kind == OP_INTERFACES || (o->kind == OP_RAW && !o->prober[0]));
    if (!old && !given_up) {
      at = &o->next;
      continue;
    }
    if (given_up && !n->dropping) log_write(LOG_WARN, "network", "the store has been away too long: the oldest measurements are given up");
    n->dropping |= given_up;
    n->dropped += given_up;
    *at = o->next;
    n->ops_size -= op_bytes(o);
    free_op(o);
  }
  free(checks);
  n->ops_end = &n->ops;
  while (*n->ops_end) n->ops_end = &(*n->ops_end)->next;
}

void network_op(struct network *n, struct op o) {
  struct op *k = base_alloc(sizeof *k);
  *k = o;
  if (!n->ops_end) n->ops_end = &n->ops;
  *n->ops_end = k;
  n->ops_end = &k->next;
  n->ops_size += op_bytes(k);
  trim_ops(n);
  pthread_cond_signal(&n->work);
}

struct flushing { struct network *n; const struct op *ops; int64_t now, epoch; };

/* Whoever was held up until another took over writes nothing more. */
static int fenced(const struct flushing *k, struct store_tx *tx, struct err *err) {
  return k->epoch ? store_lease_check(tx, "network", k->n->node_name, k->epoch, err) : 0;
}


static json_t *step_detail(const struct op *o) {
  const struct core_incident *i = &o->incident;
  json_t *d = json_object();
  json_put(d, "kind", network_kind_text(i->kind));
  json_put(d, "office", o->code);
  json_object_set_new(d, "began", json_integer(i->began));
  if (o->kind == OP_CLOSED) json_object_set_new(d, "ended", json_integer(i->ended));
  else json_object_set_new(d, "offices", json_integer(o->blast.offices));
  return d;
}

static int open_incident(struct flushing *k, struct store_tx *tx, const struct op *o, struct err *err) {
  const struct core_incident *i = &o->incident;
  const struct network *n = k->n;
  int office = directory_find_office(n->d, o->code);
  const struct network_office *f = NULL;
  struct network_office copy;
  if (office < 0 && o->code[0] && network_node(k->n, network_find(k->n, o->code), &copy) == 0) f = &copy;
  const struct organisation *organisation = directory_organisation(n->d, office >= 0 ? directory_office(n->d, office)->organisation : f ? f->organisation : -1);
  const struct place *place = directory_place(n->d, office >= 0 ? directory_office(n->d, office)->place : f ? f->place : -1);
  if (store_exec(tx, err, "INSERT INTO network_incident (id,kind,office,prober,organisation,place,began,decided,ended,offices,services,population,reached,acknowledged_at,"
                 "acknowledged_by,told,hand,hand_by,hand_note,tracking) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,0,?9,?10,?11,0,0,'',-1,0,'','','') ON CONFLICT (id) DO NOTHING", "itttttiiiii",
                 i->id, network_kind_text(i->kind), o->code, i->root < 0 ? o->prober : "", organisation ? organisation->code : "", place ? place->code : "", i->began, i->decided,
                 o->blast.offices, o->blast.services, o->blast.population) < 0) return -1;
  return 0;
}

static int main_work(struct store_tx *tx, void *arg, struct err *err) {
  struct flushing *k = arg;
  int rc = fenced(k, tx, err);
  for (const struct op *o = k->ops; o && rc == 0; o = o->next) {
    const struct core_incident *i = &o->incident;
    if (o->kind == OP_REACHED) {
      rc = store_put(tx, err, "UPDATE network_incident SET reached=?2 WHERE id=?1 AND reached<?2", "ii", i->id, i->members);
      continue;
    }
    if (o->kind != OP_OPENED && o->kind != OP_CLOSED) continue;
    char id[40];
    bool opened = o->kind == OP_OPENED;
    snprintf(id, sizeof id, "i%lld-%s", (long long)i->id, opened ? "opened" : "closed");
    if (opened) rc = open_incident(k, tx, o, err);
    else rc = store_put(tx, err, "UPDATE network_incident SET ended=?2 WHERE id=?1", "ii", i->id, i->ended);
    json_t *detail = step_detail(o);
    struct event e = {.id = id, .incident = i->id, .kind = opened ? "opened" : "closed", .subject = o->code, .detail = detail, .at = opened ? i->decided : i->ended};
    if (rc == 0) rc = network_event_put(tx, &e, err);
    json_decref(detail);
  }
  return rc;
}

int span_dirty(struct store_tx *tx, int64_t from, int64_t to, struct err *err) {
  for (int64_t at = hour_start(from); at < to; at += HOUR_MS)
    if (store_put(tx, err, "INSERT INTO network_dirty (span,start) VALUES (?1,?2) ON CONFLICT (span,start) DO NOTHING", "ii", (int64_t)BLOCK_HOUR, at)) return -1;
  return 0;
}

static int put_state(struct flushing *k, struct store_tx *tx, const struct op *o, struct err *err) {
  const struct change *c = &o->change;
  if (store_put(tx, err, "INSERT INTO network_span (office,since,state,incident) VALUES (?1,?2,?3,?4) ON CONFLICT (office,since) DO UPDATE SET state=excluded.state,incident=excluded.incident",
                "tiii", o->code, c->since, (int64_t)c->to, c->incident)) return -1;
  if (store_put(tx, err, "INSERT INTO network_now (office,hard,shown,since,decided,incident,flapping,connected_at) VALUES (?1,?2,?3,?4,?5,?6,?7,?8) "
                "ON CONFLICT (office) DO UPDATE SET hard=excluded.hard,shown=excluded.shown,since=excluded.since,decided=excluded.decided,incident=excluded.incident,"
                "flapping=excluded.flapping,connected_at=excluded.connected_at", "tiiiiiii", o->code, (int64_t)o->hard, (int64_t)c->to, c->since, o->decided, c->incident, (int64_t)o->flapping,
                o->connected_at)) return -1;
  if (store_put(tx, err, "INSERT INTO network_change (seq,at,office,from_state,to_state,since,incident,step) VALUES (?1,?2,?3,?4,?5,?6,?7,'') ON CONFLICT (seq) DO NOTHING", "iitiiii",
                c->seq, c->at, o->code, (int64_t)c->from, (int64_t)c->to, c->since, c->incident)) return -1;
  int64_t hour = hour_start(k->now); /* hours that may have been summed already */
  return c->since < hour ? span_dirty(tx, c->since, hour, err) : 0;
}

static int put_check(struct store_tx *tx, const struct op *o, struct err *err) {
  return store_put(tx, err, "INSERT INTO network_check (office,number,what,cause,since) VALUES (?1,?2,?3,?4,?5) ON CONFLICT (office,number) DO UPDATE SET what=excluded.what,cause=excluded.cause,"
                   "since=CASE WHEN network_check.what=excluded.what AND network_check.cause=excluded.cause THEN network_check.since ELSE excluded.since END", "titti",
                   o->code, (int64_t)o->number, o->what, check_cause_text(o->cause), o->decided);
}

/* What this reading does not have any more is gone. */
static int put_interfaces(struct store_tx *tx, const struct op *o, struct err *err) {
  size_t i;
  json_t *row;
  if (store_exec(tx, err, "DELETE FROM network_interface WHERE office=?1 AND at<?2", "ti", o->code, json_int(json_array_get(o->rows, 0), "at", 0)) < 0) return -1;
  json_array_foreach(o->rows, i, row)
    if (store_put(tx, err, "INSERT INTO network_interface (office,number,name,up,in_octets,out_octets,in_errors,out_errors,in_bps,out_bps,at) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11) "
                  "ON CONFLICT (office,number) DO UPDATE SET name=excluded.name,up=excluded.up,in_octets=excluded.in_octets,out_octets=excluded.out_octets,in_errors=excluded.in_errors,"
                  "out_errors=excluded.out_errors,in_bps=excluded.in_bps,out_bps=excluded.out_bps,at=excluded.at", "titiiiiiiii", o->code, json_int(row, "number", 0), json_str(row, "name"),
                  json_int(row, "up", 0), json_int(row, "in_octets", 0), json_int(row, "out_octets", 0), json_int(row, "in_errors", 0), json_int(row, "out_errors", 0),
                  json_int(row, "in_bps", -1), json_int(row, "out_bps", -1), json_int(row, "at", 0))) return -1;
  return 0;
}

static int samples_work(struct store_tx *tx, void *arg, struct err *err) {
  struct flushing *k = arg;
  int rc = k->n->main == k->n->samples ? fenced(k, tx, err) : 0;
  int64_t hour = hour_start(k->now);
  for (const struct op *o = k->ops; o && rc == 0; o = o->next) {
    if (o->kind == OP_STATE) rc = put_state(k, tx, o, err);
    else if (o->kind == OP_RAW) {
      rc = store_put(tx, err, "INSERT INTO network_raw (id,at,prober,until,bytes) VALUES (?1,?2,?3,?4,?5) ON CONFLICT (id) DO NOTHING", "iitib", o->id, o->from, o->prober, o->until, (const void *)o->bytes, o->size);
      if (rc == 0 && o->from < hour) rc = span_dirty(tx, o->from, o->from + 1, err);
    } else if (o->kind == OP_CONNECTED)
      rc = store_put(tx, err, "UPDATE network_now SET connected_at=?2 WHERE office=?1", "ti", o->code, o->connected_at);
    else if (o->kind == OP_UNDO) {
      rc = store_put(tx, err, "DELETE FROM network_span WHERE office=?1 AND since>=?2", "ti", o->code, o->from);
      if (rc == 0) rc = span_dirty(tx, o->from, hour, err);
    } else if (o->kind == OP_INTERFACES) rc = put_interfaces(tx, o, err);
    else if (o->kind == OP_CHECK) rc = put_check(tx, o, err);
    else if (o->kind == OP_OPENED || o->kind == OP_CLOSED || o->kind == OP_STEP)
      rc = store_put(tx, err, "INSERT INTO network_change (seq,at,office,from_state,to_state,since,incident,step) VALUES (?1,?2,'',0,0,?3,?4,?5) ON CONFLICT (seq) DO NOTHING", "iiiit",
                     o->change.seq, o->decided, o->incident.began, o->incident.id, o->kind == OP_STEP ? o->change.step : o->kind == OP_OPENED ? "opened" : "closed");
  }
  return rc;
}

int network_flush(struct network *n, struct err *err) {
  struct flushing k = {.n = n};
  pthread_mutex_lock(&n->flushing);
  pthread_mutex_lock(&n->lock);
  struct op *ops = n->ops;
  int64_t size = n->ops_size;
  n->ops = NULL;
  n->ops_end = NULL;
  n->ops_size = 0;
  k.now = network_label(n);
  k.epoch = n->epoch;
  pthread_mutex_unlock(&n->lock);
  k.ops = ops;
  bool any = false;
  int rc = 0;
  for (const struct op *o = ops; o; o = o->next) any |= o->kind == OP_OPENED || o->kind == OP_CLOSED || o->kind == OP_REACHED;
  if (any) rc = store_write(n->main, STORE_FRONT, main_work, &k, err);
  if (ops && rc == 0) rc = store_write(n->samples, STORE_FRONT, samples_work, &k, err);
  pthread_mutex_lock(&n->lock);
  if (rc && ops) { /* back to where they were, before what came since */
    struct op *last = ops;
    while (last->next) last = last->next;
    last->next = n->ops;
    if (!n->ops) n->ops_end = &last->next;
    n->ops = ops;
    n->ops_size += size;
    trim_ops(n);
  } else n->dropping = false;
  pthread_mutex_unlock(&n->lock);
  if (rc == 0) free_ops(ops);
  pthread_mutex_unlock(&n->flushing);
  return rc;
}

void clock_wait(int64_t ms) {
  struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

/* ---- who probes ------------------------------------------------------------------------------------------------------------ */

struct heartbeat { int64_t last, seq, raw, revision; };

static int heartbeat_work(struct store_tx *tx, void *arg, struct err *err) {
  struct heartbeat *k = arg;
  return store_value(tx, &k->last, 0, err, "SELECT until FROM network_raw WHERE prober='' ORDER BY at DESC LIMIT 1", "") || store_value(tx, &k->raw, 0, err, "SELECT MAX(id) FROM network_raw", "") ||
         store_value(tx, &k->seq, 0, err, "SELECT MAX(seq) FROM network_change", "") ? -1 : 0;
}

static int revision_work(struct store_tx *tx, void *arg, struct err *err) {
  struct heartbeat *k = arg;
  return store_value(tx, &k->revision, 0, err, "SELECT value FROM network_value WHERE name='revision'", "");
}

/* Everything as the store has it, then what was not measured since. */
static int take_over(struct network *n, int64_t epoch, struct err *err) {
  struct heartbeat k = {0};
  pthread_mutex_lock(&n->lock);
  n->fresh = true;
  pthread_mutex_unlock(&n->lock);
  if (network_load(n, err) || store_read(n->samples, heartbeat_work, &k, err)) return -1;
  pthread_mutex_lock(&n->lock);
  int64_t label = network_label(n);
  if (k.seq > n->cursor) n->cursor = k.seq;
  if (label > n->cursor) n->cursor = label; /* larger than any number given so far, also those that a crash kept from the store */
  n->first = 0;
  n->raw_id = k.raw;
  n->holder = true;
  n->epoch = epoch;
  if (k.last && label - k.last > 2 * (int64_t)n->o.interval_ms + 30000) core_away(n->core, 0, k.last, label, false);
  core_refresh(n->core, label);
  pthread_mutex_unlock(&n->lock);
  return 0;
}

/* ---- following another node --------------------------------------------------------------------------------------------------- */

struct following { struct network *n; int64_t cursor, raw; }; /* raw: number of the last row that was read */

static int follow_work(struct store_tx *tx, void *arg, struct err *err) {
  struct following *k = arg;
  struct network *n = k->n;
  struct store_rows *r = store_select(tx, err, "SELECT seq,at,office,from_state,to_state,since,incident,step FROM network_change WHERE seq>?1 ORDER BY seq LIMIT 5000", "i", k->cursor);
  if (!r) return -1;
  int rc;
  pthread_mutex_lock(&n->lock);
  while ((rc = store_next(r, err)) == 1) {
    const struct node *node = network_at(n, store_text(r, 2));
    const char *step = store_text(r, 7);
    struct change c = {.seq = store_int(r, 0), .at = store_int(r, 1), .since = store_int(r, 5), .incident = store_int(r, 6), .node = node ? node->o.node : -1,
                       .from = (enum network_state)store_int(r, 3), .to = (enum network_state)store_int(r, 4), .step = network_step_word(step)};
    if (node && !c.step && c.to < NETWORK_STATES) {
      core_restore(n->core, c.node, c.to, c.to, c.since, c.incident);
      n->core->nodes[c.node].decided = c.at;
    }
    if (c.seq > n->cursor && (node || c.step)) network_change_put(n, c);
  }
  pthread_mutex_unlock(&n->lock);
  store_done(r);
  return rc;
}

/* What came late, caught up by a prober elsewhere, is no office's last probe. */
static void follow_sample(struct network *n, const struct sample *s) {
  for (int i = 0; i < n->real; i++) { /* keys are given in the order of nodes: nearly always the same place */
    int node = (int)((s->key - 1 + (uint32_t)i) % (uint32_t)n->real);
    if (n->nodes[node].key != s->key) continue;
    struct core_node *c = &n->core->nodes[node];
    if (s->at >= c->last_at) {
      c->last_at = s->at;
      c->last = (struct measured){s->sent, s->lost, s->min, s->median, s->p95, s->max, s->jitter};
    }
    if (s->lost >= s->sent) return;
    recent_add(&c->recent, s->sent, s->lost, s->median);
    if (!n->nodes[node].connected_at) n->nodes[node].connected_at = s->at;
    return;
  }
}

static int follow_raw(struct store_tx *tx, void *arg, struct err *err) {
  struct following *k = arg;
  struct network *n = k->n;
  struct store_rows *r = store_select(tx, err, "SELECT id,at,until,bytes FROM network_raw WHERE id>?1 ORDER BY id LIMIT 100", "i", k->raw);
  if (!r) return -1;
  int rc;
  pthread_mutex_lock(&n->lock);
  while ((rc = store_next(r, err)) == 1) {
    size_t size;
    struct sample s;
    const unsigned char *bytes = store_blob(r, 3, &size), *end = bytes + size;
    k->raw = store_int(r, 0);
    if (store_int(r, 2) > n->probed) n->probed = store_int(r, 2);
    while (raw_next(&bytes, end, store_int(r, 1), &s)) follow_sample(n, &s);
  }
  pthread_mutex_unlock(&n->lock);
  store_done(r);
  return rc;
}

static int follow(struct network *n, struct following *k, struct err *err) {
  pthread_mutex_lock(&n->lock);
  k->n = n;
  k->cursor = n->cursor;
  pthread_mutex_unlock(&n->lock);
  if (!k->raw) k->raw = clock_now() - 120000; /* numbers are moments, or a little more */
  return store_read(n->samples, follow_work, k, err) || store_read(n->samples, follow_raw, k, err) ? -1 : 0;
}

/* ---- the thread -------------------------------------------------------------------------------------------------------------------- */

/* Another node measures, or did meanwhile: what was not written is not true any more. */
void network_lose(struct network *n) {
  struct err err;
  pthread_mutex_lock(&n->flushing);
  pthread_mutex_lock(&n->lock);
  struct op *ops = n->ops;
  n->ops = NULL;
  n->ops_end = NULL;
  n->ops_size = 0;
  n->lost++;
  n->holder = false;
  n->step = -1; /* who comes after tells what comes after */
  n->epoch = 0;
  n->fresh = true;
  for (size_t p = 0; p < BASE_COUNT(n->raw); p++) {
    buf_free(&n->raw[p]);
    n->raw[p] = (struct buf){0};
    n->raw_at[p] = n->raw_until[p] = 0;
  }
  pthread_mutex_unlock(&n->lock);
  pthread_mutex_unlock(&n->flushing);
  free_ops(ops);
  if (network_load(n, &err)) log_write(LOG_WARN, "network", "%s", err.message);
}

static bool stale(struct network *n, int64_t revision) {
  pthread_mutex_lock(&n->lock);
  bool yes = revision != n->revision || n->goal_read != n->goal_turn;
  pthread_mutex_unlock(&n->lock);
  return yes;
}

static void settle(struct network *n, struct following *f) {
  struct err err;
  struct heartbeat k = {0};
  int64_t epoch;
  int held = store_lease(n->main, "network", n->node_name, LEASE_MS, &epoch, &err);
  if (held < 0) {
    log_write(LOG_WARN, "network", "%s", err.message);
    return;
  }
  if (n->holder && held && epoch == n->epoch + 1) { /* it ran out, and nobody had it meanwhile: whoever takes it adds one */
    pthread_mutex_lock(&n->lock);
    n->epoch = epoch;
    pthread_mutex_unlock(&n->lock);
  }
  if (n->holder && (!held || epoch != n->epoch)) network_lose(n);
  if (held && !n->holder) {
    if (take_over(n, epoch, &err)) log_write(LOG_WARN, "network", "%s", err.message);
  }
  if (n->holder) f->raw = 0; /* what it measures itself it does not read */
  if (n->holder ? network_steps_tell(n, &err) : follow(n, f, &err)) log_write(LOG_WARN, "network", "%s", err.message);
  if (store_read(n->main, revision_work, &k, &err) == 0 && stale(n, k.revision) && network_load(n, &err)) log_write(LOG_WARN, "network", "%s", err.message);
}

void *network_keeper_main(void *ctx) {
  struct network *n = ctx;
  struct following f = {0};
  struct err err;
  int64_t settled = 0;
  for (;;) {
    if (clock_mono() - settled >= 1000) {
      settled = clock_mono();
      settle(n, &f);
    }
    pthread_mutex_lock(&n->lock);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 250000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    if (!n->ops && !n->stopping) pthread_cond_clockwait(&n->work, &n->lock, CLOCK_MONOTONIC, &until);
    bool stopping = n->stopping, any = n->ops != NULL;
    pthread_mutex_unlock(&n->lock);
    if (any && network_flush(n, &err)) {
      log_write(LOG_WARN, "network", "what was measured waits for the store: %s", err.message);
      if (!stopping) clock_wait(1000);
    }
    if (stopping) return NULL;
  }
}
