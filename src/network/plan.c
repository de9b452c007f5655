/* Offices and links from outside: all judged, then all written. */
#include "network/inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MOST = 20000, F_ORGANISATION = 0, F_PLACE, F_LEVEL, F_UPLINKS, F_FA, F_EN, F_LAT, F_LON, F_ADDRESS, F_INTERVAL, F_CHECKS, F_PROBER, F_ACTIVE, FIELDS };
static const char *const names[FIELDS] = {"organisation", "place", "level", "uplinks", "name_fa", "name_en", "lat", "lon", "address", "interval", "checks", "prober", "active"};

struct planned {
  const struct network_plan_row *row;
  const char *value[FIELDS];         /* as given; NULL keeps */
  bool known, ours;                  /* there already; of the pack */
  bool differs;
};

struct planning {
  struct network *n;
  const struct network_by *by;
  struct planned *rows, **order;     /* order: by code */
  char now[FIELDS][400];             /* of the row that is judged: as it stands */
  size_t count, same;
  enum lang l;
  json_t *added, *changed, *errors;
  struct arena *a;
};

static void fault(struct planning *k, const struct network_plan_row *row, const char *field, const char *key) {
  if (json_array_size(k->errors) >= 200) return;
  json_t *e = json_object();
  json_object_set_new(e, "line", json_integer(row->line));
  json_put(e, "field", field);
  json_put(e, "message", word(k->l, key));
  json_array_append_new(k->errors, e);
}

static void gather(struct planned *p, const struct network_plan_row *r) {
  const char *all[FIELDS] = {r->organisation, r->place, r->level, r->uplinks, r->name_fa, r->name_en, r->lat, r->lon, r->address, r->interval, r->checks, r->prober, r->active};
  p->row = r;
  memcpy(p->value, all, sizeof all);
}

static void number_text(double v, char out[400]) {
  if (isnan(v)) out[0] = 0;
  else snprintf(out, 400, "%.5f", v);
}

/* How it stands, in the words of the file. Under the lock. */
static void as_it_is(const struct network *n, const struct node *node, char now[FIELDS][400]) {
  const struct network_office *o = &node->o;
  const struct organisation *organisation = directory_organisation(n->d, o->organisation);
  const struct place *place = directory_place(n->d, o->place);
  struct buf b = {0};
  for (int i = 0; i < o->uplink_count; i++) buf_addf(&b, "%s%s", i ? ";" : "", n->nodes[o->uplinks[i]].o.code);
  snprintf(now[F_ORGANISATION], 400, "%s", organisation ? organisation->code : "");
  snprintf(now[F_PLACE], 400, "%s", place ? place->code : "");
  snprintf(now[F_LEVEL], 400, "%s", network_level_text(o->level));
  snprintf(now[F_UPLINKS], 400, "%s", buf_str(&b));
  snprintf(now[F_FA], 400, "%s", o->name_fa);
  snprintf(now[F_EN], 400, "%s", o->name_en);
  number_text(o->lat, now[F_LAT]);
  number_text(o->lon, now[F_LON]);
  snprintf(now[F_ADDRESS], 400, "%s", o->address);
  snprintf(now[F_INTERVAL], 400, "%lld", (long long)(o->interval_ms / 1000));
  snprintf(now[F_CHECKS], 400, "%s", o->checks);
  snprintf(now[F_PROBER], 400, "%s", o->prober);
  snprintf(now[F_ACTIVE], 400, "%s", node->active ? "1" : "0");
  buf_free(&b);
}

static bool same_value(int field, const char *given, const char *now) {
  if (field == F_LAT || field == F_LON) return given[0] && now[0] ? fabs(strtod(given, NULL) - strtod(now, NULL)) < 1e-4 : !given[0] == !now[0];
  if (field == F_CHECKS && (!strcmp(given, "icmp") || !given[0])) return !now[0] || !strcmp(now, "icmp");
  if (field == F_EN && !given[0]) return true;
  return strcmp(given, now) == 0;
}

/* ---- judging --------------------------------------------------------------------------------------------------------- */

static bool code_ok(const char *code) {
  size_t n = code ? strlen(code) : 0;
  return n > 0 && n < NETWORK_CODE && strspn(code, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

static bool degrees_ok(const char *text, double most) {
  char *end;
  if (!text[0]) return true;
  double v = strtod(text, &end);
  return !*end && strspn(text, "-0123456789.") == strlen(text) && v >= -most && v <= most;
}

static int by_code(const void *a, const void *b) {
  const struct planned *x = *(struct planned *const *)a, *y = *(struct planned *const *)b;
  return strcmp(x->row->code ? x->row->code : "", y->row->code ? y->row->code : "");
}

/* The row of a code, NULL when the file has none. */
static const struct planned *in_file(const struct planning *k, const char *code) {
  const struct network_plan_row row = {.code = code};
  const struct planned wanted = {.row = &row}, *one = &wanted;
  struct planned **found = bsearch(&one, k->order, k->count, sizeof *k->order, by_code);
  return found ? *found : NULL;
}

static bool uplinks_ok(const struct planning *k, const struct planned *p) {
  char text[400], *rest = text, *one;
  int count = 0;
  if (snprintf(text, sizeof text, "%s", p->value[F_UPLINKS]) >= (int)sizeof text) return false;
  if (!text[0]) return base_same(p->value[F_LEVEL] ? p->value[F_LEVEL] : k->now[F_LEVEL], "core");
  while ((one = strsep(&rest, ";")))
    if (++count > 4 || strcmp(one, p->row->code) == 0 || (network_find(k->n, one) < 0 && !in_file(k, one))) return false;
  return true;
}

static bool prober_ok(const struct network *n, const char *name) {
  for (int i = 0; i < n->prober_count; i++)
    if (base_same(n->probers[i].name, name)) return true;
  return false;
}

static void judge_fields(struct planning *k, struct planned *p) {
  const char *const *v = p->value;
  struct check checks[CHECKS_MOST];
  bool icmp;
  int64_t seconds;
  if (v[F_ORGANISATION] && directory_find_organisation(k->n->d, v[F_ORGANISATION]) < 0) fault(k, p->row, "organisation", "network.plan_organisation");
  if (v[F_PLACE] && directory_find_place(k->n->d, v[F_PLACE]) < 0) fault(k, p->row, "place", "network.plan_place");
  if (v[F_LEVEL] && network_level_parse(v[F_LEVEL]) < 0) fault(k, p->row, "level", "network.plan_level");
  if (v[F_UPLINKS] && !p->ours && !uplinks_ok(k, p)) fault(k, p->row, "uplinks", "network.plan_uplinks");
  for (int f = F_FA; f <= F_EN; f++)
    if (v[f] && (strlen(v[f]) > 300 || (f == F_FA && !v[f][0]) || !utf8_valid(v[f], strlen(v[f])))) fault(k, p->row, names[f], "network.plan_name");
  if (v[F_LAT] && !degrees_ok(v[F_LAT], 90)) fault(k, p->row, "lat", "network.plan_degrees");
  if (v[F_LON] && !degrees_ok(v[F_LON], 180)) fault(k, p->row, "lon", "network.plan_degrees");
  if (v[F_ADDRESS] && v[F_ADDRESS][0] && !address_ok(v[F_ADDRESS])) fault(k, p->row, "address", "network.plan_address");
  if (v[F_INTERVAL] && v[F_INTERVAL][0] && (parse_i64(v[F_INTERVAL], &seconds) || seconds < 10 || seconds > 3600)) fault(k, p->row, "interval", "network.plan_interval");
  if (v[F_CHECKS] && (strlen(v[F_CHECKS]) > 300 || checks_parse(v[F_CHECKS], checks, &icmp) < 0)) fault(k, p->row, "checks", "network.plan_checks");
  if (v[F_PROBER] && !prober_ok(k->n, v[F_PROBER])) fault(k, p->row, "prober", "network.plan_prober");
  if (v[F_ACTIVE] && strcmp(v[F_ACTIVE], "0") != 0 && strcmp(v[F_ACTIVE], "1") != 0) fault(k, p->row, "active", "network.plan_active");
}

/* This is told, and goes into the ledger for good. */
static void put_shown(json_t *pair, const char *name, int field, const char *value) {
  char *hidden = field == F_CHECKS && value[0] ? network_checks_shown(value) : base_strdup(value);
  json_put(pair, name, hidden);
  free(hidden);
}

static void judge(struct planning *k, struct planned *p) {
  struct network *n = k->n;
  if (!code_ok(p->row->code)) {
    fault(k, p->row, "code", "network.plan_code");
    return;
  }
  pthread_mutex_lock(&n->lock);
  const struct node *node = network_at(n, p->row->code);
  p->known = node != NULL;
  p->ours = node && node->o.directory >= 0;
  memset(k->now, 0, sizeof k->now);
  if (node) as_it_is(n, node, k->now);
  pthread_mutex_unlock(&n->lock);
  char *shown = network_checks_shown(k->now[F_CHECKS]);
  if (p->known && base_same(p->value[F_CHECKS], shown)) p->value[F_CHECKS] = NULL; /* as it was exported */
  free(shown);
  judge_fields(k, p);
  if (!p->known)
    for (int f = F_ORGANISATION; f <= F_FA; f++)
      if (!p->value[f] || (f != F_UPLINKS && !p->value[f][0])) fault(k, p->row, names[f], "network.plan_needed");
  json_t *fields = json_object();
  for (int f = 0; f < FIELDS; f++) {
    if (!p->value[f] || (p->known && same_value(f, p->value[f], k->now[f]))) continue;
    if (f == F_INTERVAL && !p->value[f][0] && p->known) continue;
    if (p->ours && f < F_ADDRESS) fault(k, p->row, names[f], "network.plan_pack");
    json_t *pair = json_object();
    put_shown(pair, "from", f, k->now[f]);
    put_shown(pair, "to", f, p->value[f]);
    json_object_set_new(fields, names[f], pair);
    p->differs = true;
  }
  json_t *line = json_pack("{s:i}", "line", (int)p->row->line);
  json_put(line, "code", p->row->code);
  if (!p->known) json_array_append(k->added, line);
  else if (p->differs) {
    json_object_set(line, "fields", fields);
    json_array_append(k->changed, line);
  } else k->same++;
  json_decref(line);
  json_decref(fields);
}

/* Depth first over what will be: the graph that is, with the rows laid over it. */
static int32_t number_of(const struct planning *k, const char *code) {
  int i = network_find(k->n, code);
  if (i >= 0) return i;
  const struct planned *p = in_file(k, code);
  return p ? (int32_t)(k->n->real + (p - k->rows)) : -1;
}

static void check_circles(struct planning *k) {
  size_t all = (size_t)k->n->real + k->count, depth = 0;
  int32_t (*up)[4] = base_alloc((all + 1) * sizeof *up), *path = base_alloc((all + 1) * sizeof *path);
  unsigned char *count = base_alloc(all + 1), *state = base_alloc(all + 1), *turn = base_alloc(all + 1);
  for (int i = 0; i < k->n->real; i++)
    for (int u = 0; u < k->n->nodes[i].o.uplink_count; u++) up[i][count[i]++] = k->n->nodes[i].o.uplinks[u];
  for (size_t r = 0; r < k->count; r++) {
    const struct planned *p = &k->rows[r];
    int32_t self = p->value[F_UPLINKS] && !p->ours ? number_of(k, p->row->code) : -1;
    char text[400], *rest = text, *one;
    if (self < 0) continue;
    snprintf(text, sizeof text, "%s", p->value[F_UPLINKS]);
    count[self] = 0;
    while ((one = strsep(&rest, ";")) && count[self] < 4) {
      int32_t to = one[0] ? number_of(k, one) : -1;
      if (to >= 0) up[self][count[self]++] = to;
    }
  }
  for (size_t i = 0; i < all; i++) {
    if (state[i]) continue;
    state[path[depth++] = (int32_t)i] = 1;
    while (depth) {
      int32_t at = path[depth - 1];
      if (turn[at] == count[at]) {
        state[path[--depth]] = 2;
        continue;
      }
      int32_t next = up[at][turn[at]++];
      if (state[next] == 1) fault(k, k->rows[0].row, "uplinks", "network.plan_circle");
      else if (!state[next]) state[path[depth++] = next] = 1;
    }
  }
  free(up);
  free(path);
  free(count);
  free(state);
  free(turn);
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static const char *or_null(const char *s) { return s && s[0] ? s : NULL; }

static int write_row(struct store_tx *tx, const struct planned *p, struct err *err) {
  int64_t seconds = 0;
  const char *const *v = p->value;
  bool interval = v[F_INTERVAL] && parse_i64(v[F_INTERVAL], &seconds) == 0;
  if (store_exec(tx, err, "INSERT INTO network_node (code,added,active) VALUES (?1,?2,1) ON CONFLICT (code) DO NOTHING", "ti", p->row->code, (int64_t)!p->ours) < 0) return -1;
  if (!p->ours) {
    if (store_exec(tx, err, "INSERT INTO network_key (code,id) SELECT CAST(?1 AS TEXT),COALESCE(MAX(id),0)+1 FROM network_key WHERE NOT EXISTS (SELECT 1 FROM network_key WHERE code=?1)", "t", p->row->code) < 0 && err->code != ERR_CONFLICT) return -1;
    if (store_exec(tx, err, "UPDATE network_node SET organisation=COALESCE(?2,organisation),place=COALESCE(?3,place),level=COALESCE(?4,level),uplinks=COALESCE(?5,uplinks),name_fa=COALESCE(?6,name_fa),"
                   "name_en=COALESCE(?7,name_en),lat=COALESCE(?8,lat),lon=COALESCE(?9,lon) WHERE code=?1", "ttttttttt", p->row->code, or_null(v[F_ORGANISATION]), or_null(v[F_PLACE]), or_null(v[F_LEVEL]),
                   v[F_UPLINKS], or_null(v[F_FA]), v[F_EN], v[F_LAT], v[F_LON]) < 0) return -1;
  }
  if (store_exec(tx, err, "UPDATE network_node SET address=COALESCE(?2,address),checks=COALESCE(?3,checks),prober=COALESCE(?4,prober) WHERE code=?1", "tttt", p->row->code, v[F_ADDRESS], v[F_CHECKS], v[F_PROBER]) < 0) return -1;
  if (interval && store_exec(tx, err, "UPDATE network_node SET interval_s=?2 WHERE code=?1", "ti", p->row->code, seconds) < 0) return -1;
  return v[F_ACTIVE] && store_exec(tx, err, "UPDATE network_node SET active=?2 WHERE code=?1", "ti", p->row->code, (int64_t)(v[F_ACTIVE][0] == '1')) < 0 ? -1 : 0;
}

static int write_work(struct store_tx *tx, void *arg, struct err *err) {
  struct planning *k = arg;
  for (size_t i = 0; i < k->count; i++)
    if ((!k->rows[i].known || k->rows[i].differs) && write_row(tx, &k->rows[i], err)) return -1;
  char *lines = json_canonical(k->changed);
  unsigned char hash[32];
  char hex[65];
  sha256(lines, strlen(lines), hash);
  hex_encode(hash, 32, hex);
  free(lines);
  json_t *detail = json_pack("{s:I,s:I,s:s}", "added", (json_int_t)json_array_size(k->added), "changed", (json_int_t)json_array_size(k->changed), "sha256", hex);
  if (json_array_size(k->changed) <= 50) json_object_set(detail, "changes", k->changed);
  if (json_array_size(k->added) <= 200) json_object_set(detail, "offices", k->added);
  struct event e = {.kind = "plan", .subject = "plan", .who = k->by->who, .detail = detail};
  int rc = network_event_put(tx, &e, err) || network_bump(tx, err) ? -1 : 0;
  json_decref(detail);
  return rc;
}

static void check_twice(struct planning *k) {
  k->order = base_alloc((k->count + 1) * sizeof *k->order);
  for (size_t i = 0; i < k->count; i++) k->order[i] = &k->rows[i];
  qsort(k->order, k->count, sizeof *k->order, by_code);
  for (size_t i = 1; i < k->count; i++)
    if (base_same(k->order[i]->row->code, k->order[i - 1]->row->code)) fault(k, k->order[i]->row, "code", "network.plan_twice");
}

int network_plan(struct network *n, const struct network_by *by, const struct network_plan_row *rows, size_t count, bool dry, enum lang l, json_t **out, struct err *err) {
  struct planning k = {.n = n, .by = by, .count = count, .l = l, .added = json_array(), .changed = json_array(), .errors = json_array()};
  int rc = 0;
  *out = NULL;
  if (count > ROWS_MOST) rc = err_set(err, ERR_TOO_LARGE, "%d offices at most at once", ROWS_MOST);
  else if (by->organisation) rc = err_set(err, ERR_FORBIDDEN, "the plan is changed by operators of the province");
  if (rc == 0 && count) {
    k.rows = base_alloc(count * sizeof *k.rows);
    pthread_rwlock_rdlock(&n->plan);
    for (size_t i = 0; i < count; i++) gather(&k.rows[i], &rows[i]);
    check_twice(&k);
    for (size_t i = 0; i < count; i++) judge(&k, &k.rows[i]);
    if (!json_array_size(k.errors)) check_circles(&k);
    pthread_rwlock_unlock(&n->plan);
    if (json_array_size(k.errors)) rc = err_set(err, ERR_INVALID, "the plan has mistakes");
    else if (!dry && (json_array_size(k.added) || json_array_size(k.changed))) rc = store_write(n->main, STORE_FRONT, write_work, &k, err);
  }
  free(k.rows);
  free(k.order);
  *out = json_pack("{s:o,s:o,s:I,s:o}", "added", k.added, "changed", k.changed, "same", (json_int_t)k.same, "errors", k.errors);
  return rc;
}
