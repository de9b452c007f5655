/* Incidents and windows, read. */
#include "network/inner.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS "SELECT id,kind,office,organisation,place,began,decided,ended,acknowledged_at,acknowledged_by,tracking,offices,services,population,reached,prober FROM network_incident "

static json_t *incident_json(struct network *n, const struct store_rows *r, int64_t now, enum lang l) {
  struct network_office o;
  json_t *j = json_object();
  int organisation = directory_find_organisation(n->d, store_text(r, 3)), place = directory_find_place(n->d, store_text(r, 4));
  bool known = network_node(n, network_find(n, store_text(r, 2)), &o) == 0;
  int64_t began = store_int(r, 5), ended = store_int(r, 7);
  json_object_set_new(j, "id", json_integer(store_int(r, 0)));
  json_put(j, "kind", store_text(r, 1));
  json_put(j, "office", store_text(r, 2));
  json_put(j, "name", known ? network_name(&o, l) : store_text(r, 15));
  json_put(j, "organisation", store_text(r, 3));
  json_put(j, "organisation_name", organisation >= 0 ? organisation_name(directory_organisation(n->d, organisation), l) : "");
  json_put(j, "place", store_text(r, 4));
  json_put(j, "place_name", place_name_at(n, place, l));
  json_object_set_new(j, "began", time_json(began));
  json_object_set_new(j, "decided", time_json(store_int(r, 6)));
  json_object_set_new(j, "ended", time_json(ended));
  json_object_set_new(j, "duration_s", json_integer(((ended ? ended : now) - began) / 1000));
  json_object_set_new(j, "open", json_boolean(!ended));
  json_object_set_new(j, "acknowledged_at", time_json(store_int(r, 8)));
  json_object_set_new(j, "acknowledged_by", store_text(r, 9)[0] ? json_string(store_text(r, 9)) : json_null());
  json_object_set_new(j, "case", store_text(r, 10)[0] ? json_string(store_text(r, 10)) : json_null());
  static const char *const counts[] = {"offices", "services", "population", "reached"};
  for (int i = 0; i < 4; i++) json_object_set_new(j, counts[i], json_integer(store_int(r, 11 + i)));
  return j;
}

struct listing { struct network *n; const struct network_incident_query *q; json_t *items, *reached; int64_t next, now; enum lang l; };

static bool listed(json_t *ids, int64_t id) {
  size_t i;
  json_t *v;
  json_array_foreach(ids, i, v)
    if (json_integer_value(v) == id) return true;
  return false;
}

static bool wanted(const struct listing *k, const struct store_rows *r) {
  const struct network_incident_query *q = k->q;
  if (q->place >= 0 && !directory_within(k->n->d, directory_find_place(k->n->d, store_text(r, 4)), q->place)) return false;
  if (q->organisation && !base_same(q->organisation, store_text(r, 3)) && !listed(k->reached, store_int(r, 0))) return false;
  if (q->office && !base_same(q->office, store_text(r, 2)) && !listed(k->reached, store_int(r, 0))) return false;
  return true;
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct listing *k = arg;
  const struct network_incident_query *q = k->q;
  int limit = q->limit < 1 ? 50 : q->limit > 200 ? 200 : q->limit;
  json_array_clear(k->items);
  k->next = 0;
  struct store_rows *r = store_select(tx, err, COLUMNS "WHERE id<?1 AND (?2=-1 OR (?2=1 AND ended=0) OR (?2=0 AND ended>0)) AND (?3='' OR kind=?3) AND began>=?4 AND began<?5 ORDER BY id DESC", "iitii",
                                      q->before > 0 ? q->before : INT64_MAX, (int64_t)q->open, q->kind ? q->kind : "", q->from, q->to > 0 ? q->to : INT64_MAX);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    if (!wanted(k, r)) continue;
    if ((int)json_array_size(k->items) == limit) {
      k->next = json_int(json_array_get(k->items, json_array_size(k->items) - 1), "id", 0);
      break;
    }
    json_array_append_new(k->items, incident_json(k->n, r, k->now, k->l));
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* Incidents that reached an office, or any office of an organisation. */
static int reached_work(struct store_tx *tx, void *arg, struct err *err) {
  struct listing *k = arg;
  json_array_clear(k->reached);
  struct store_rows *r = k->q->office ? store_select(tx, err, "SELECT incident,office FROM network_span WHERE office=?1 AND incident>0", "t", k->q->office)
                                      : store_select(tx, err, "SELECT DISTINCT incident,office FROM network_span WHERE incident>0 ORDER BY incident", "");
  if (!r) return -1;
  int rc;
  int organisation = k->q->organisation ? directory_find_organisation(k->n->d, k->q->organisation) : -1;
  while ((rc = store_next(r, err)) == 1) {
    struct network_office o;
    if (!k->q->office && (network_node(k->n, network_find(k->n, store_text(r, 1)), &o) || o.organisation != organisation)) continue;
    size_t n = json_array_size(k->reached);
    if (!n || json_integer_value(json_array_get(k->reached, n - 1)) != store_int(r, 0)) json_array_append_new(k->reached, json_integer(store_int(r, 0)));
  }
  store_done(r);
  return rc;
}

int network_incidents(struct network *n, const struct network_incident_query *q, enum lang l, json_t **out, struct err *err) {
  struct listing k = {.n = n, .q = q, .items = json_array(), .reached = json_array(), .now = network_now(n), .l = l};
  int rc = q->office || q->organisation ? store_read(n->samples, reached_work, &k, err) : 0;
  if (rc == 0) rc = store_read(n->main, list_work, &k, err);
  json_decref(k.reached);
  if (rc) {
    json_decref(k.items);
    return -1;
  }
  *out = json_pack("{s:o,s:o}", "items", k.items, "next", k.next ? json_integer(k.next) : json_null());
  return 0;
}

/* ---- one ------------------------------------------------------------------------------------------------------------- */

struct reading { struct network *n; int64_t id, now, total; json_t *out, *events, *told, *members; enum lang l; };

static int one_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  json_decref(k->out);
  k->out = NULL;
  json_array_clear(k->events);
  json_array_clear(k->told);
  struct store_rows *r = store_select(tx, err, COLUMNS "WHERE id=?1", "i", k->id);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) k->out = incident_json(k->n, r, k->now, k->l);
  store_done(r);
  if (rc <= 0) return rc < 0 ? -1 : err_set(err, ERR_NOT_FOUND, "there is no incident %lld", (long long)k->id);
  if (!(r = store_select(tx, err, "SELECT at,kind,who,note,detail FROM network_event WHERE incident=?1 ORDER BY at,id LIMIT 1000", "i", k->id))) return -1;
  for (int64_t seq = 1; (rc = store_next(r, err)) == 1; seq++) {
    json_t *e = json_object();
    json_object_set_new(e, "seq", json_integer(seq));
    json_object_set_new(e, "at", time_json(store_int(r, 0)));
    json_put(e, "kind", store_text(r, 1));
    json_put(e, "who", store_text(r, 2));
    json_put(e, "text", store_text(r, 3));
    json_object_set_new(e, "detail", store_text(r, 4)[0] ? json_loads(store_text(r, 4), 0, NULL) : json_null());
    json_array_append_new(k->events, e);
  }
  store_done(r);
  if (rc || !(r = store_select(tx, err, "SELECT at,who,channel,step,level FROM network_told WHERE incident=?1 ORDER BY at,who LIMIT 1000", "i", k->id))) return -1;
  while ((rc = store_next(r, err)) == 1) {
    json_t *t = json_object();
    json_object_set_new(t, "at", time_json(store_int(r, 0)));
    json_put(t, "who", store_text(r, 1));
    json_put(t, "channel", store_text(r, 2));
    json_object_set_new(t, "step", json_integer(store_int(r, 3)));
    json_object_set_new(t, "level", json_integer(store_int(r, 4)));
    json_array_append_new(k->told, t);
  }
  store_done(r);
  return rc;
}

static int members_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  json_array_clear(k->members);
  k->total = 0;
  struct store_rows *r = store_select(tx, err, "SELECT s.office,s.since,s.state,(SELECT MIN(t.since) FROM network_span t WHERE t.office=s.office AND t.since>s.since) FROM network_span s WHERE s.incident=?1 ORDER BY s.office,s.since", "i", k->id);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    struct network_office o;
    if (++k->total > 500) continue;
    json_t *m = json_object();
    json_put(m, "office", store_text(r, 0));
    json_put(m, "name", network_node(k->n, network_find(k->n, store_text(r, 0)), &o) == 0 ? network_name(&o, k->l) : "");
    json_put(m, "state", network_state_text((enum network_state)store_int(r, 2)));
    json_object_set_new(m, "from", time_json(store_int(r, 1)));
    json_object_set_new(m, "until", time_json(store_int(r, 3)));
    json_array_append_new(k->members, m);
  }
  store_done(r);
  return rc;
}

int network_incident(struct network *n, int64_t id, enum lang l, json_t **out, struct err *err) {
  struct reading k = {.n = n, .id = id, .now = network_now(n), .events = json_array(), .told = json_array(), .members = json_array(), .l = l};
  int rc = store_read(n->main, one_work, &k, err);
  if (rc == 0) rc = store_read(n->samples, members_work, &k, err);
  if (rc) {
    json_decref(k.out);
    json_decref(k.events);
    json_decref(k.told);
    json_decref(k.members);
    return -1;
  }
  json_object_set_new(k.out, "events", k.events);
  json_object_set_new(k.out, "told", k.told);
  json_object_set_new(k.out, "members", k.members);
  json_object_set_new(k.out, "members_total", json_integer(k.total));
  *out = k.out;
  return 0;
}

/* ---- windows ------------------------------------------------------------------------------------------------------------ */

struct windows { struct network *n; const char *office, *organisation; int64_t before, next, now; int limit; json_t *items; enum lang l; };

static int64_t covers(struct network *n, int node) {
  struct network_blast b;
  unsigned char *cut = base_alloc((size_t)n->count + 1);
  pthread_mutex_lock(&n->lock);
  cut[node] = 1;
  core_cut(n->core, cut);
  b.offices = 0;
  for (int i = 0; i < n->real; i++) b.offices += cut[i] && n->nodes[i].active;
  pthread_mutex_unlock(&n->lock);
  free(cut);
  return b.offices;
}

static int windows_work(struct store_tx *tx, void *arg, struct err *err) {
  struct windows *k = arg;
  json_array_clear(k->items);
  k->next = 0;
  struct store_rows *r = store_select(tx, err, "SELECT id,office,from_at,to_at,reason,who,at,ended_at,ended_by FROM network_window WHERE id<?1 AND (?2='' OR office=?2) ORDER BY id DESC", "it", k->before, k->office ? k->office : "");
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    struct network_office o;
    bool known = network_node(k->n, network_find(k->n, store_text(r, 1)), &o) == 0;
    if (k->organisation && (!known || o.organisation < 0 || !base_same(directory_organisation(k->n->d, o.organisation)->code, k->organisation))) continue;
    if ((int)json_array_size(k->items) == k->limit) {
      k->next = json_int(json_array_get(k->items, json_array_size(k->items) - 1), "id", 0);
      break;
    }
    json_t *w = json_object();
    json_object_set_new(w, "id", json_integer(store_int(r, 0)));
    json_put(w, "office", store_text(r, 1));
    json_put(w, "name", known ? network_name(&o, k->l) : "");
    json_object_set_new(w, "from", time_json(store_int(r, 2)));
    json_object_set_new(w, "to", time_json(store_int(r, 3)));
    json_put(w, "reason", store_text(r, 4));
    json_put(w, "by", store_text(r, 5));
    json_object_set_new(w, "at", time_json(store_int(r, 6)));
    json_object_set_new(w, "ended_at", time_json(store_int(r, 7)));
    json_object_set_new(w, "ended_by", store_text(r, 8)[0] ? json_string(store_text(r, 8)) : json_null());
    json_put(w, "state", store_int(r, 7) || k->now >= store_int(r, 3) ? "over" : k->now >= store_int(r, 2) ? "running" : "planned");
    json_object_set_new(w, "offices", json_integer(known ? covers(k->n, o.node) : 0));
    json_array_append_new(k->items, w);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int network_windows(struct network *n, const char *office, const char *organisation, int64_t before, int limit, enum lang l, json_t **out, struct err *err) {
  struct windows k = {.n = n, .office = office, .organisation = organisation, .before = before > 0 ? before : INT64_MAX, .limit = limit < 1 ? 50 : limit > 200 ? 200 : limit,
                      .now = network_now(n), .items = json_array(), .l = l};
  if (store_read(n->main, windows_work, &k, err)) {
    json_decref(k.items);
    return -1;
  }
  *out = json_pack("{s:o,s:o}", "items", k.items, "next", k.next ? json_integer(k.next) : json_null());
  return 0;
}
