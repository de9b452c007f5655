#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

/* What a case's event causes elsewhere. The id is the event's, so that an effect is applied once however often it is tried. */
int case_outbox_put(struct store_tx *tx, const char *kind, const char *tracking, int64_t seq, const char *suffix, json_t *payload, int64_t at, struct err *err) {
  char *id = base_printf("%s/%lld/%s", tracking, (long long)seq, suffix);
  char *text = json_canonical(payload);
  int rc = store_put(tx, err, "INSERT INTO case_outbox (id,at,kind,tracking,payload,tries) VALUES (?1,?2,?3,?4,?5,0) ON CONFLICT DO NOTHING", "titt" "t",
                     id, at, kind, tracking, text);
  free(id);
  free(text);
  json_decref(payload);
  return rc;
}

/* Questions of a case that are still on their way: found by the key, for others may have many waiting. */
int case_asking(struct store_tx *tx, const char *tracking, int64_t *count, struct err *err) {
  char from[TRACKING_SIZE + 2], to[TRACKING_SIZE + 2];
  snprintf(from, sizeof from, "%.16s/", tracking);
  snprintf(to, sizeof to, "%.16s0", tracking); /* the sign after the slash */
  return store_value(tx, count, 0, err, "SELECT COUNT(*) FROM case_outbox WHERE id>?1 AND id<?2 AND kind='inquiry'", "tt", from, to);
}

/* Its effects wait until the text that it began under can be read. */
static int unreadable(const struct case_row *row, struct err *err) {
  return err_set(err, ERR_UNAVAILABLE, "no pack has version %lld of service %s as case %s began", (long long)row->service_version, row->service, row->tracking);
}

struct effect {
  struct cases *c;
  char *id, *kind, *tracking;
  json_t *payload;
};

/* ---- an inquiry becomes a case of the organisation that is asked ---- */

struct asked {
  struct cases *c;
  const char *tracking;
  struct arena *arena;
  struct case_row row;
};

static int asked_work(struct store_tx *tx, void *arg, struct err *err) {
  struct asked *k = arg;
  return case_load(k->c, tx, k->arena, k->tracking, &k->row, err);
}

/* Who is asked: whom the case's own text names, or who answers for the place today. NULL: the live directory has nobody such. */
static const struct organisation *asked_of(const struct cases *c, const struct case_row *row, const struct inquiry *q, const json_t *data) {
  const struct directory *now = pack_directory(c->pack), *then = pack_directory(row->pack);
  int found = q->organisation < 0 ? inquiry_organisation(c->pack, q, data) : -1;
  if (found >= 0) return directory_organisation(now, found);
  const struct organisation *old = directory_organisation(then, inquiry_organisation(row->pack, q, data));
  return old ? directory_organisation(now, directory_find_organisation(now, old->code)) : NULL;
}

static int apply_inquiry(struct effect *e, struct err *err) {
  struct asked k = {.c = e->c, .tracking = e->tracking, .arena = arena_new(1024 * 1024)};
  const char *name = json_str(e->payload, "inquiry");
  int rc = -1;
  json_t *data = NULL;
  if (store_read(e->c->store, asked_work, &k, err)) goto out;
  if (!k.row.def) {
    unreadable(&k.row, err);
    goto out;
  }
  if (k.row.result != RESULT_OPEN) { /* closed before it could ask */
    rc = 0;
    goto out;
  }
  const struct inquiry *q = NULL;
  for (size_t i = 0; i < k.row.def->inquiry_count; i++)
    if (base_same(k.row.def->inquiries[i].name, name)) q = &k.row.def->inquiries[i];
  if (!q) {
    log_write(LOG_ERROR, "cases", "case %s asks an inquiry '%s' that its service does not have", e->tracking, name ? name : "");
    rc = 0;
    goto out;
  }
  data = k.row.data ? json_loads(k.row.data, 0, NULL) : json_object();
  const struct organisation *to = asked_of(e->c, &k.row, q, data);
  if (!to) to = directory_organisation(pack_directory(e->c->pack), directory_find_organisation(pack_directory(e->c->pack), k.row.owner));
  if (!to) {
    err_set(err, ERR_UNAVAILABLE, "case %s asks '%s', but the directory has neither whom it asks nor its owner", e->tracking, q->name);
    goto out;
  }
  struct case_submission s = {.service = k.row.def, .data = data, .key = e->id, .actor = {.kind = ACTOR_SYSTEM}, .intake = INTAKE_API, .lang = LANG_FA,
                              .parent = e->tracking, .inquiry = q->name, .owner = to->code};
  rc = cases_submit(e->c, &s, NULL, NULL, err);
out:
  json_decref(data);
  arena_free(k.arena);
  return rc;
}

/* ---- an answer comes back to the case that asked ---- */

static int parent_work(struct store_tx *tx, void *arg, struct err *err) {
  struct effect *e = arg;
  struct arena *a = arena_new(1024 * 1024);
  struct case_row row;
  int rc = -1;
  int64_t open = 0;
  const char *slash = strrchr(e->id, '/'), *child = slash ? slash + 1 : "";
  bool none = strcmp(child, "none") == 0;
  char *payload = json_canonical(e->payload);
  if (case_load(e->c, tx, a, e->tracking, &row, err) || (!row.def && unreadable(&row, err))) goto out;
  /* A quick answer must not pass for the last one while other questions are still on their way. */
  if (case_asking(tx, e->tracking, &open, err)) goto out;
  if (open) {
    err_set(err, ERR_CONFLICT, "other inquiries of this case are still to be sent");
    goto out;
  }
  if (!none) {
    int n = store_exec(tx, err, "UPDATE case_child SET open=0 WHERE parent=?1 AND tracking=?2 AND open=1", "tt", e->tracking, child);
    if (n < 0) goto out;
    if (n == 0) { /* applied before */
      rc = 0;
      goto out;
    }
    struct case_entry entry = {.action = "inquiry_reply", .from_state = row.state, .to_state = row.state, .role = "system",
                               .organisation = json_str(e->payload, "organisation") ? json_str(e->payload, "organisation") : "", .at = clock_now(), .payload = payload};
    if (case_append(e->c, tx, &row, &entry, NULL, err)) goto out;
    if (json_array_size(json_object_get(e->payload, CASES_ATTACHED)) && case_news_put(tx, e->tracking, entry.at, err)) goto out;
  }
  if (store_value(tx, &open, 0, err, "SELECT COUNT(*) FROM case_child WHERE parent=?1 AND open=1", "t", e->tracking)) goto out;
  rc = 0;
  if (open == 0 && row.state_index >= 0) {
    const struct state *s = &row.def->states[row.state_index];
    for (size_t i = 0; i < s->action_count && rc == 0; i++)
      if (s->actions[i].kind == ACT_REPLY && s->actions[i].to >= 0) {
        rc = case_system_act(e->c, tx, a, &row, &s->actions[i], NULL, err);
        break;
      }
  }
out:
  free(payload);
  arena_free(a);
  return rc;
}

/* ---- a case has closed: who was asked need not answer ---- */

struct cancel {
  struct effect *e;
  char children[50][TRACKING_SIZE];
  int count;
  const char *child;
};

static int children_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cancel *k = arg;
  int64_t asking = 0;
  k->count = 0;
  if (case_asking(tx, k->e->tracking, &asking, err)) return -1;
  if (asking) return err_set(err, ERR_CONFLICT, "inquiries of this case are still to be dropped");
  struct store_rows *r = store_select(tx, err, "SELECT tracking FROM case_child WHERE parent=?1 AND open=1 LIMIT 50", "t", k->e->tracking);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) snprintf(k->children[k->count++], TRACKING_SIZE, "%s", store_text(r, 0));
  store_done(r);
  return rc;
}

static int cancel_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cancel *k = arg;
  struct arena *a = arena_new(1024 * 1024);
  struct case_row row;
  int rc = case_load(k->e->c, tx, a, k->child, &row, err);
  if (rc == 0 && row.result == RESULT_OPEN) {
    struct case_entry entry = {.action = "cancel", .from_state = row.state, .to_state = INQUIRY_CANCELLED, .role = "system", .organisation = "",
                               .at = clock_now(), .payload = "{\"who\":\"system\"}"};
    row.state = INQUIRY_CANCELLED;
    row.result = RESULT_CLOSED;
    row.closed_at = row.state_at = entry.at;
    case_next_check(k->e->c, &row);
    rc = case_append(k->e->c, tx, &row, &entry, NULL, err);
    if (rc == 0) rc = store_put(tx, err, "UPDATE case_child SET open=0 WHERE parent=?1 AND tracking=?2", "tt", k->e->tracking, k->child);
  }
  arena_free(a);
  return rc;
}

static int apply_cancel(struct effect *e, struct err *err) {
  struct cancel k = {.e = e};
  int rc = store_read(e->c->store, children_work, &k, err);
  for (int i = 0; rc == 0 && i < k.count; i++) {
    k.child = k.children[i];
    rc = store_write(e->c->store, STORE_JOBS, cancel_work, &k, err);
  }
  return rc;
}

static int record_work(struct store_tx *tx, void *arg, struct err *err) {
  struct effect *e = arg;
  struct arena *a = arena_new(1024 * 1024);
  struct case_row row;
  int rc = case_load(e->c, tx, a, e->tracking, &row, err);
  if (rc == 0 && !row.def) rc = unreadable(&row, err);
  if (rc == 0 && row.def->record.registry && row.data && e->c->o.record) {
    json_t *data = json_loads(row.data, 0, NULL), *attributes = json_object();
    for (size_t i = 0; i < row.def->record.count; i++) {
      json_t *v = json_object_get(data, row.def->record.map[i].field);
      if (v) json_object_set(attributes, row.def->record.map[i].attribute, v);
    }
    rc = e->c->o.record(e->c->o.record_ctx, tx, row.def->record.registry, e->id, attributes, row.tracking, err);
    json_decref(attributes);
    json_decref(data);
  }
  arena_free(a);
  return rc;
}

static int grant_work(struct store_tx *tx, void *arg, struct err *err) {
  struct effect *e = arg;
  struct arena *a = arena_new(1024 * 1024);
  struct case_row row;
  int rc = case_load(e->c, tx, a, e->tracking, &row, err);
  if (rc == 0) rc = row.def ? case_grant_apply(e->c, tx, &row, e->id, err) : unreadable(&row, err);
  arena_free(a);
  return rc;
}

static int drop_work(struct store_tx *tx, void *arg, struct err *err) {
  struct effect *e = arg;
  return store_put(tx, err, "DELETE FROM case_outbox WHERE id=?1", "t", e->id);
}

static int tried_work(struct store_tx *tx, void *arg, struct err *err) {
  struct effect *e = arg;
  return store_put(tx, err, "UPDATE case_outbox SET tries=tries+1, at=?1 WHERE id=?2", "it", clock_now() + 5000, e->id);
}

/* Effects within this store are applied and dropped in one transaction, several together in their order; the others are steps of their own. */
static store_work within(const struct effect *e) {
  if (strcmp(e->kind, "reply") == 0 || strcmp(e->kind, "replied") == 0) return parent_work;
  return strcmp(e->kind, "record") == 0 ? record_work : strcmp(e->kind, "grant") == 0 ? grant_work : NULL;
}

struct chunk {
  struct effect *first;
  int count;
};

static int chunk_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct chunk *k = arg;
  for (int i = 0; i < k->count; i++)
    if (within(&k->first[i])(tx, &k->first[i], err) || drop_work(tx, &k->first[i], err)) return -1;
  return 0;
}

static int apply(struct effect *e, struct err *err) {
  struct chunk alone = {e, 1};
  if (within(e)) return store_write(e->c->store, STORE_JOBS, chunk_work, &alone, err);
  int rc = strcmp(e->kind, "inquiry") == 0 ? apply_inquiry(e, err) : strcmp(e->kind, "cancel") == 0 ? apply_cancel(e, err)
         : strcmp(e->kind, "mandate") == 0 ? case_mandate_prove(e->c, e->tracking, err) : 1;
  if (rc == 1) log_write(LOG_ERROR, "cases", "unknown effect '%s'", e->kind);
  return rc < 0 ? -1 : store_write(e->c->store, STORE_JOBS, drop_work, e, err);
}

static int apply_or_later(struct effect *e, int64_t *done, struct err *err) {
  struct err why;
  if (apply(e, &why)) {
    log_write(why.code == ERR_CONFLICT ? LOG_DEBUG : LOG_WARN, "cases", "effect %s is tried again: %s", e->kind, why.message);
    return store_write(e->c->store, STORE_JOBS, tried_work, e, err);
  }
  if (done) (*done)++;
  return 0;
}

struct batch {
  struct effect items[64];
  int count;
};

static int batch_work(struct store_tx *tx, void *arg, struct err *err) {
  struct batch *b = arg;
  struct store_rows *r = store_select(tx, err, "SELECT id,kind,tracking,payload FROM case_outbox WHERE at<=?1 ORDER BY at,id LIMIT 64", "i", clock_now());
  if (!r) return -1;
  int rc;
  while (b->count > 0) { /* tried again after a lost connection */
    struct effect *e = &b->items[--b->count];
    free(e->id);
    free(e->kind);
    free(e->tracking);
    json_decref(e->payload);
  }
  while ((rc = store_next(r, err)) == 1) {
    struct effect *e = &b->items[b->count++];
    e->id = base_strdup(store_text(r, 0));
    e->kind = base_strdup(store_text(r, 1));
    e->tracking = base_strdup(store_text(r, 2));
    e->payload = json_loads(store_text(r, 3), 0, NULL);
    if (!e->payload) e->payload = json_object();
  }
  store_done(r);
  return rc;
}

enum { CHUNK = 16, MOST = 64, ROUNDS = 16 };

/* Up to MOST effects that are due; *count: how many there were. */
static int run_some(struct cases *c, int *count, int64_t *done, struct err *err) {
  struct batch *b = base_alloc(sizeof *b);
  int rc = store_read(c->store, batch_work, b, err);
  for (int i = 0; i < b->count; i++) b->items[i].c = c;
  for (int i = 0; rc == 0 && i < b->count;) {
    struct chunk k = {&b->items[i], 0};
    while (k.count < CHUNK && i + k.count < b->count && within(&k.first[k.count])) k.count++;
    if (k.count > 1 && store_write(c->store, STORE_JOBS, chunk_work, &k, NULL) == 0) {
      if (done) *done += k.count;
    } else { /* one by one, so that only the guilty wait */
      if (k.count == 0) k.count = 1;
      for (int n = 0; rc == 0 && n < k.count; n++) rc = apply_or_later(&k.first[n], done, err);
    }
    i += k.count;
  }
  *count = b->count;
  for (int i = 0; i < b->count; i++) {
    struct effect *e = &b->items[i];
    free(e->id);
    free(e->kind);
    free(e->tracking);
    json_decref(e->payload);
  }
  free(b);
  return rc;
}

int case_outbox_run(struct cases *c, int64_t *done, struct err *err) {
  int rc = 0, count = MOST;
  for (int i = 0; rc == 0 && count == MOST && i < ROUNDS; i++) rc = run_some(c, &count, done, err);
  return rc;
}
