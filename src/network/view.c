/* Offices, tree and summary as they stand. */
#include "network/inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *time_json(int64_t ms) {
  char text[32];
  if (ms <= 0) return json_null();
  clock_rfc3339(ms, text);
  return json_string(text);
}

json_t *real_json(double v, int places) {
  double scale = pow(10, places);
  return isnan(v) ? json_null() : json_real(round(v * scale) / scale);
}

static json_t *int_json(int64_t v) { return v ? json_integer(v) : json_null(); }
const char *network_name(const struct network_office *o, enum lang l) { return l == LANG_EN ? o->name_en : o->name_fa; }

const char *place_name_at(const struct network *n, int place, enum lang l) {
  const struct place *p = directory_place(n->d, place);
  return p ? place_name(p, l) : "";
}

static const char *place_code(const struct network *n, int place) {
  const struct place *p = directory_place(n->d, place);
  return p ? p->code : "";
}

static json_t *office_json(const struct network *n, const struct network_office *o, enum lang l) {
  const struct organisation *organisation = directory_organisation(n->d, o->organisation);
  json_t *j = json_object(), *up = json_array();
  json_put(j, "code", o->code);
  json_put(j, "name", network_name(o, l));
  json_put(j, "organisation", organisation ? organisation->code : "");
  json_put(j, "organisation_name", organisation ? organisation_name(organisation, l) : "");
  json_put(j, "place", place_code(n, o->place));
  json_put(j, "place_name", place_name_at(n, o->place, l));
  json_put(j, "county", place_code(n, o->county));
  json_put(j, "county_name", place_name_at(n, o->county, l));
  json_put(j, "setting", o->setting == PLACE_RURAL ? "rural" : "urban");
  json_put(j, "level", network_level_text(o->level));
  json_object_set_new(j, "lat", real_json(o->lat, 5));
  json_object_set_new(j, "lon", real_json(o->lon, 5));
  json_put(j, "state", network_state_text(o->state));
  json_object_set_new(j, "since", time_json(o->since));
  json_object_set_new(j, "soft", json_boolean(o->soft));
  json_object_set_new(j, "flapping", json_boolean(o->flapping));
  json_object_set_new(j, "incident", int_json(o->incident));
  json_object_set_new(j, "rtt_ms", real_json(o->rtt_median, 3));
  json_object_set_new(j, "loss", o->sent ? real_json((double)o->lost / o->sent, 4) : json_null());
  json_object_set_new(j, "interval_s", json_integer(o->interval_ms / 1000));
  for (int i = 0; i < o->uplink_count; i++) json_array_append_new(up, json_string(n->nodes[o->uplinks[i]].o.code));
  json_object_set_new(j, "uplinks", up);
  json_object_set_new(j, "synthetic", json_boolean(o->synthetic));
  json_object_set_new(j, "connected", json_boolean(o->connected));
  return j;
}

/* ---- a list -------------------------------------------------------------------------------------------------------------- */

static bool begins_word(const char *fold, const char *wanted) {
  size_t n = strlen(wanted);
  for (const char *s = fold; (s = strstr(s, wanted)); s += n ? n : 1)
    if (s == fold || s[-1] == ' ') return true;
  return false;
}

static bool matches(const struct network *n, const struct network_query *q, const struct network_office *o, const char *fold, struct arena *a) {
  if (q->state >= 0 && (int)o->state != q->state) return false;
  if (q->level >= 0 && (int)o->level != q->level) return false;
  if (q->setting >= 0 && (int)o->setting != q->setting) return false;
  if (q->place >= 0 && !directory_within(n->d, o->place, q->place)) return false;
  if (q->organisation && (o->organisation < 0 || !base_same(directory_organisation(n->d, o->organisation)->code, q->organisation))) return false;
  if (!fold || !fold[0]) return true;
  if (strncasecmp(o->code, fold, strlen(fold)) == 0) return true;
  arena_reset(a);
  const char *fa = text_fold(a, o->name_fa), *en = text_fold(a, o->name_en);
  return (fa && begins_word(fa, fold)) || (en && begins_word(en, fold));
}

int network_offices(struct network *n, const struct network_query *q, enum lang l, json_t **out, struct err *err) {
  json_t *items = json_array(), *next = json_null();
  struct arena *a = arena_new(1 << 20), *scratch = arena_new(1 << 16);
  const char *fold = q->text ? text_fold(a, q->text) : NULL;
  int limit = q->limit < 1 ? 50 : q->limit > 5000 ? 5000 : q->limit, shown = 0;
  int64_t total = 0;
  struct network_office o;
  const char *last = "";
  pthread_rwlock_rdlock(&n->plan);
  pthread_mutex_lock(&n->lock);
  for (int i = 0; i < n->real; i++) {
    if (!n->nodes[n->by_code[i]].active) continue;
    network_fill(n, n->by_code[i], &o);
    if (!matches(n, q, &o, fold, scratch)) continue;
    total++;
    if (q->after && strcmp(o.code, q->after) <= 0) continue;
    if (shown == limit) {
      if (json_is_null(next)) {
        json_decref(next);
        next = json_string(last);
      }
      continue;
    }
    shown++;
    last = o.code;
    json_array_append_new(items, office_json(n, &o, l));
  }
  pthread_mutex_unlock(&n->lock);
  pthread_rwlock_unlock(&n->plan);
  arena_free(a);
  arena_free(scratch);
  *out = json_pack("{s:o,s:o,s:I}", "items", items, "next", next, "total", (json_int_t)total);
  return 0;
}

/* ---- one ----------------------------------------------------------------------------------------------------------------------- */

static json_t *blast_json(const struct network_blast *b) {
  return json_pack("{s:I,s:I,s:I}", "offices", (json_int_t)b->offices, "services", (json_int_t)b->services, "population", (json_int_t)b->population);
}

static json_t *blast_at(const struct network *n, int node) {
  struct network_blast b;
  unsigned char *cut = base_alloc((size_t)n->count + 1);
  cut[node] = 1;
  network_blast_of(n, cut, &b);
  free(cut);
  return blast_json(&b);
}

static json_t *states_json(const int64_t counts[NETWORK_STATES]) {
  json_t *j = json_object();
  for (int s = 0; s < NETWORK_STATES; s++) json_object_set_new(j, network_state_text((enum network_state)s), json_integer(counts[s]));
  return j;
}

static bool hangs_on(const struct network *n, int node, int up) {
  const struct network_office *o = &n->nodes[node].o;
  for (int i = 0; i < o->uplink_count; i++)
    if (o->uplinks[i] == up) return true;
  return false;
}

struct inside { const struct network_office *o; int64_t stale; enum lang l; json_t *interfaces, *checks; };

static json_t *rate_json(int64_t v, bool stale) { return v < 0 || stale ? json_null() : json_integer(v); }

static int interfaces_work(struct store_tx *tx, struct inside *k, struct err *err) {
  json_array_clear(k->interfaces);
  struct store_rows *r = store_select(tx, err, "SELECT number,name,up,in_bps,out_bps,in_errors,out_errors,at FROM network_interface WHERE office=?1 ORDER BY number LIMIT 256", "t", k->o->code);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    bool stale = store_int(r, 7) < k->stale; /* the agent says nothing any more: how they are is not known */
    json_t *i = json_object();
    json_object_set_new(i, "index", json_integer(store_int(r, 0)));
    json_put(i, "name", store_text(r, 1));
    json_object_set_new(i, "up", store_int(r, 2) < 0 || stale ? json_null() : json_boolean(store_int(r, 2)));
    json_object_set_new(i, "in_bps", rate_json(store_int(r, 3), stale));
    json_object_set_new(i, "out_bps", rate_json(store_int(r, 4), stale));
    json_object_set_new(i, "in_errors", json_integer(store_int(r, 5)));
    json_object_set_new(i, "out_errors", json_integer(store_int(r, 6)));
    json_object_set_new(i, "at", time_json(store_int(r, 7)));
    json_array_append_new(k->interfaces, i);
  }
  store_done(r);
  return rc;
}

/* Each check of the plan as it stands; what the store has of another one is passed over. */
static int checks_work(struct store_tx *tx, struct inside *k, struct err *err) {
  struct check list[CHECKS_MOST];
  bool icmp;
  char what[160], key[64];
  int count = checks_parse(k->o->checks, list, &icmp), rc;
  json_array_clear(k->checks);
  for (int i = 0; i < count; i++) {
    check_text(&list[i], what);
    json_t *c = json_pack("{s:n,s:n,s:n}", "ok", "cause", "since");
    json_put(c, "check", what);
    json_put(c, "text", word(k->l, "network.check_not_asked"));
    json_array_append_new(k->checks, c);
  }
  struct store_rows *r = store_select(tx, err, "SELECT number,what,cause,since FROM network_check WHERE office=?1 ORDER BY number", "t", k->o->code);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    json_t *c = json_array_get(k->checks, (size_t)store_int(r, 0));
    if (!c || !base_same(json_str(c, "check"), store_text(r, 1))) continue;
    bool sent = !base_same(store_text(r, 2), check_cause_text(CHECK_NOT_SENT)) && !base_same(store_text(r, 2), check_cause_text(CHECK_NO_ACCESS));
    json_object_set_new(c, "ok", sent ? json_boolean(base_same(store_text(r, 2), check_cause_text(CHECK_OK))) : json_null());
    json_put(c, "cause", store_text(r, 2));
    snprintf(key, sizeof key, "network.check_%.40s", store_text(r, 2));
    json_put(c, "text", word(k->l, key));
    json_object_set_new(c, "since", time_json(store_int(r, 3)));
  }
  store_done(r);
  return rc;
}

static int inside_work(struct store_tx *tx, void *arg, struct err *err) { return interfaces_work(tx, arg, err) || checks_work(tx, arg, err) ? -1 : 0; }

char *network_checks_shown(const char *text) {
  struct buf b = {0};
  for (size_t n; *text; text += n + (text[n] == ' ')) {
    n = strcspn(text, " ");
    if (n) buf_addf(&b, "%s%.*s%s", b.len ? " " : "", base_starts(text, "snmp:") ? 5 : (int)n, text, base_starts(text, "snmp:") ? "*" : "");
  }
  if (!b.len) buf_adds(&b, "icmp");
  return buf_take(&b);
}

static json_t *more_of(const struct network *n, const struct network_office *o, enum lang l) {
  json_t *j = office_json(n, o, l), *up = json_array();
  int64_t counts[NETWORK_STATES] = {0};
  json_put(j, "address", o->address);
  char *checks = network_checks_shown(o->checks);
  json_put(j, "checks", checks);
  free(checks);
  json_put(j, "prober", o->prober);
  json_object_set_new(j, "prober_away", json_boolean(n->nodes[o->node].prober && n->core->probers_away >> n->nodes[o->node].prober & 1));
  json_put(j, "prober_trouble", n->probers[n->nodes[o->node].prober].trouble ? trouble_text(n->probers[n->nodes[o->node].prober].trouble) : NULL);
  json_object_set_new(j, "probed", time_json(o->probed));
  json_object_set_new(j, "decided", time_json(o->decided));
  json_object_set_new(j, "jitter_ms", real_json(o->jitter, 3));
  json_object_set_new(j, "rtt_min_ms", real_json(o->rtt_min, 3));
  json_object_set_new(j, "rtt_p95_ms", real_json(o->rtt_p95, 3));
  json_object_set_new(j, "loss_recent", real_json(o->loss_recent, 4));
  json_object_set_new(j, "rtt_recent_ms", real_json(o->rtt_recent, 3));
  json_object_set_new(j, "flapping_percent", real_json(o->flapping_percent, 1));
  json_object_set_new(j, "connected_at", time_json(o->connected_at));
  for (int i = 0; i < o->uplink_count; i++) {
    const struct network_office *p = &n->nodes[o->uplinks[i]].o;
    json_t *u = json_object();
    json_put(u, "code", p->code);
    json_put(u, "name", network_name(p, l));
    json_put(u, "state", network_state_text(n->core->nodes[o->uplinks[i]].shown));
    json_array_append_new(up, u);
  }
  json_object_set_new(j, "uplinks", up);
  for (int i = 0; i < n->real; i++)
    if (n->nodes[i].active && hangs_on(n, i, o->node)) counts[n->core->nodes[i].shown]++;
  json_object_set_new(j, "children", states_json(counts));
  json_object_set_new(j, "blast", blast_at(n, o->node));
  return j;
}

int network_office(struct network *n, const char *code, enum lang l, json_t **out, struct err *err) {
  struct network_office o;
  json_t *j = NULL;
  pthread_rwlock_rdlock(&n->plan);
  pthread_mutex_lock(&n->lock);
  const struct node *node = network_at(n, code);
  if (node) {
    network_fill(n, node->o.node, &o);
    j = more_of(n, &o, l);
  }
  pthread_mutex_unlock(&n->lock);
  pthread_rwlock_unlock(&n->plan);
  if (!j) return err_set(err, ERR_NOT_FOUND, "there is no office %.64s", code);
  struct inside i = {&o, network_now(n) - 3 * o.interval_ms - 30000, l, json_array(), json_array()};
  json_t *windows = NULL;
  int rc = store_read(n->samples, inside_work, &i, err);
  json_object_set_new(j, "interfaces", i.interfaces);
  json_object_set_new(j, "check_results", i.checks);
  if (rc == 0) rc = network_windows(n, o.code, NULL, 0, 20, l, &windows, err);
  if (rc == 0) json_object_set(j, "windows", json_object_get(windows, "items"));
  json_decref(windows);
  if (rc) json_decref(j);
  else *out = j;
  return rc;
}

/* ---- the tree ---------------------------------------------------------------------------------------------------------------------- */

/* Everything that has this node above it, by any way. */
static void below(const struct network *n, int node, unsigned char *in) {
  memset(in, 0, (size_t)n->count);
  in[node] = 1;
  for (int at = 0; at < n->core->count; at++) {
    int i = n->core->order[at];
    for (int u = 0; i < n->real && u < n->nodes[i].o.uplink_count; u++) in[i] |= in[n->nodes[i].o.uplinks[u]];
  }
}

static json_t *branch(const struct network *n, int i, enum lang l, unsigned char *in) {
  struct network_office o;
  int64_t counts[NETWORK_STATES] = {0}, children = 0;
  network_fill(n, i, &o);
  below(n, i, in);
  for (int k = 0; k < n->real; k++) {
    if (!n->nodes[k].active || k == i) continue;
    if (in[k]) counts[n->core->nodes[k].shown]++;
    children += in[k] && hangs_on(n, k, i);
  }
  json_t *j = json_object();
  json_put(j, "code", o.code);
  json_put(j, "name", network_name(&o, l));
  json_put(j, "level", network_level_text(o.level));
  json_put(j, "state", network_state_text(o.state));
  json_object_set_new(j, "since", time_json(o.since));
  json_object_set_new(j, "incident", int_json(o.incident));
  json_object_set_new(j, "children", json_integer(children));
  json_object_set_new(j, "below", states_json(counts));
  json_object_set_new(j, "blast", blast_at(n, i));
  return j;
}

int network_tree(struct network *n, const char *code, enum lang l, json_t **out, struct err *err) {
  json_t *items = json_array();
  int rc = 0;
  pthread_rwlock_rdlock(&n->plan);
  pthread_mutex_lock(&n->lock);
  const struct node *node = code ? network_at(n, code) : NULL;
  unsigned char *in = base_alloc((size_t)n->count + 1);
  if (code && !node) rc = err_set(err, ERR_NOT_FOUND, "there is no office %.64s", code);
  for (int i = 0; rc == 0 && i < n->real; i++) {
    int k = n->by_code[i];
    if (n->nodes[k].active && (node ? hangs_on(n, k, node->o.node) : n->nodes[k].o.uplink_count == 0)) json_array_append_new(items, branch(n, k, l, in));
  }
  pthread_mutex_unlock(&n->lock);
  pthread_rwlock_unlock(&n->plan);
  free(in);
  if (rc) json_decref(items);
  else *out = json_pack("{s:o}", "items", items);
  return rc;
}

/* ---- the summary ---------------------------------------------------------------------------------------------------------------------- */

static json_t *probing_json(const struct network_probing *p) {
  json_t *j = json_object();
  json_put(j, "method4", p->method4);
  json_put(j, "method6", p->method6);
  json_put(j, "trouble", p->trouble);
  json_object_set_new(j, "here", json_boolean(p->here));
  json_object_set_new(j, "last", time_json(p->last));
  const struct { const char *name; int64_t value; } figures[] = {{"sent", p->sent}, {"received", p->received}, {"late", p->late}, {"hostile", p->hostile},
    {"unsent", p->unsent}, {"probes", p->probes}, {"overdue_ms", p->overdue_ms}, {"dropped", p->dropped}};
  for (size_t i = 0; i < BASE_COUNT(figures); i++) json_object_set_new(j, figures[i].name, json_integer(figures[i].value));
  return j;
}

static json_t *counted(const int64_t counts[NETWORK_STATES]) {
  int64_t all = 0;
  for (int s = 0; s < NETWORK_STATES; s++) all += counts[s];
  return json_pack("{s:I,s:o}", "offices", (json_int_t)all, "states", states_json(counts));
}

typedef int64_t counts_by[NETWORK_STATES];

static json_t *counties_json(const struct network *n, counts_by *by_place, enum lang l) {
  json_t *list = json_array();
  for (size_t i = 0; i < directory_places(n->d); i++) {
    const struct place *p = directory_place(n->d, (int)i);
    if (p->kind != PLACE_COUNTY) continue;
    json_t *c = counted(by_place[i]);
    if (json_int(c, "offices", 0)) {
      json_put(c, "code", p->code);
      json_put(c, "name", place_name(p, l));
      json_array_append(list, c);
    }
    json_decref(c);
  }
  return list;
}

int network_summary(struct network *n, int place, enum lang l, json_t **out, struct err *err) {
  counts_by all = {0}, setting[2] = {{0}}, *county = base_alloc((directory_places(n->d) + 1) * sizeof *county);
  int64_t connected = 0;
  struct network_probing probing;
  network_probing(n, &probing);
  pthread_rwlock_rdlock(&n->plan);
  pthread_mutex_lock(&n->lock);
  int64_t now = network_label(n);
  for (int i = 0; i < n->real; i++) {
    const struct node *k = &n->nodes[i];
    if (!k->active || (place >= 0 && !directory_within(n->d, k->o.place, place))) continue;
    enum network_state s = n->core->nodes[i].shown;
    all[s]++;
    setting[k->o.setting == PLACE_RURAL][s]++;
    if (k->o.county >= 0) county[k->o.county][s]++;
    connected += k->connected_at > 0;
  }
  pthread_mutex_unlock(&n->lock);
  pthread_rwlock_unlock(&n->plan);
  struct network_incident_query q = {.open = 1, .place = place, .limit = 200};
  json_t *incidents = NULL, *j = NULL;
  if (network_incidents(n, &q, l, &incidents, err) == 0) {
    json_t *worst = json_array(), *items = json_object_get(incidents, "items"), *row;
    size_t i;
    int64_t acknowledged = 0;
    json_array_foreach(items, i, row) acknowledged += !json_is_null(json_object_get(row, "acknowledged_at"));
    for (int64_t least = INT64_MAX; json_array_size(worst) < 5;) { /* by offices, most first */
      int64_t best = -1;
      json_array_foreach(items, i, row)
        if (json_int(row, "offices", 0) > best && json_int(row, "offices", 0) < least) best = json_int(row, "offices", 0);
      if (best < 0) break;
      json_array_foreach(items, i, row)
        if (json_int(row, "offices", 0) == best && json_array_size(worst) < 5) json_array_append(worst, row);
      least = best;
    }
    j = counted(all);
    json_object_set_new(j, "at", time_json(now));
    json_object_set_new(j, "connected", json_integer(connected));
    json_object_set_new(j, "incidents", json_pack("{s:I,s:I}", "open", (json_int_t)json_array_size(items), "acknowledged", (json_int_t)acknowledged));
    json_object_set_new(j, "worst", worst);
    json_object_set_new(j, "counties", counties_json(n, county, l));
    json_object_set_new(j, "settings", json_pack("{s:o,s:o}", "urban", counted(setting[0]), "rural", counted(setting[1])));
    json_object_set_new(j, "probing", probing_json(&probing));
  }
  json_decref(incidents);
  free(county);
  *out = j;
  return j ? 0 : -1;
}
