/* What there is to probe: the directory's offices and what the store adds, made into a core. */
#include "network/inner.h"
#include "network/inner_core.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool address_ok(const char *text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* 127.64.0.1 and on: the machine answers for all of 127/8 */
void demo_address(int node, char out[32]) {
  unsigned at = (unsigned)node + 1;
  snprintf(out, 32, "127.%u.%u.%u", 64 + (at >> 16 & 63), at >> 8 & 255, at & 255);
}

/* A host name before the port, when what stands there is not the port itself. */
static bool name_of(const char **rest, const char *end, char out[64]) {
  size_t n = strspn(*rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");
  if (*rest + n >= end || (*rest)[n] != ':') return true;
  if (n == 0 || n > 63 || (*rest)[0] == '-' || (*rest)[0] == '.') return false;
  memcpy(out, *rest, n);
  *rest += n + 1;
  return true;
}

static bool port_ok(const char *text, const char *end) {
  int64_t port = 0;
  for (; text < end && *text >= '0' && *text <= '9' && port < 65536; text++) port = port * 10 + (*text - '0');
  return text == end && port > 0 && port < 65536;
}

/* COMMUNITY or COMMUNITY@PORT; "*" is how one is shown. */
static bool community_ok(const char *text, const char *end) {
  const char *at = memchr(text, '@', (size_t)(end - text));
  size_t n = (size_t)((at ? at : end) - text);
  return n > 0 && !(n == 1 && *text == '*') && (!at || port_ok(at + 1, end));
}

/* NAME or NAME@PORT of one who asks an agent. */
static bool user_ok(const char *text, const char *end) {
  size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
  return n > 0 && n <= 40 && (text + n == end || (text[n] == '@' && port_ok(text + n + 1, end)));
}

int checks_parse(const char *text, struct check out[CHECKS_MOST], bool *icmp) {
  static const char *const kinds[] = {"tcp:", "http:", "https:", "snmp:", "snmp3:"};
  int count = 0;
  *icmp = !text || !text[strspn(text, " ")];
  while (text && *text) {
    size_t n = strcspn(text, " "), k = 0;
    if (n == 4 && memcmp(text, "icmp", 4) == 0) *icmp = true;
    else if (n) {
      while (k < BASE_COUNT(kinds) && strncmp(text, kinds[k], strlen(kinds[k])) != 0) k++;
      if (k == BASE_COUNT(kinds) || count == CHECKS_MOST) return -1;
      struct check *c = &out[count++];
      const char *rest = text + strlen(kinds[k]), *end = text + n;
      *c = (struct check){.kind = k > CHECK_SNMP ? CHECK_SNMP : (enum check_kind)k};
      if (k > CHECK_SNMP) c->name[0] = '3';
      if (k < CHECK_SNMP) {
        if ((k == CHECK_HTTP || k == CHECK_HTTPS) && !name_of(&rest, end, c->name)) return -1;
        for (; rest < end && *rest >= '0' && *rest <= '9' && c->port < 65536; rest++) c->port = c->port * 10 + (*rest - '0');
        if (c->port < 1 || c->port > 65535) return -1;
        if (rest < end && (k == CHECK_TCP || *rest != '/')) return -1;
      } else if (k == CHECK_SNMP && !community_ok(rest, end)) return -1;
      if (k > CHECK_SNMP && !user_ok(rest, end)) return -1;
      if ((size_t)(end - rest) >= sizeof c->rest) return -1;
      for (const char *s = rest; s < end; s++)
        if (*s < 33 || *s > 126) return -1;
      memcpy(c->rest, rest, (size_t)(end - rest));
    }
    text += n + (text[n] == ' ');
  }
  return count;
}

/* ---- reading the store ----------------------------------------------------------------------------------------------- */

struct now { int64_t hard, shown, since, decided, incident, connected_at; bool there; };

struct loading {
  struct network *n;
  struct arena *a;                   /* names, kept */
  struct node *nodes;
  int count, room;
  char **ups;                        /* text of uplinks of added nodes */
  struct prober *probers;
  int prober_count;
  int64_t revision;
  double goals[5], *own_goals;       /* of classes; of organisations, NAN: none of its own */
  uint64_t goal_turn;                /* of network, before anything was read */
  struct core_window *windows;
  int window_count;
  struct core_incident *open;
  int open_count;
  int64_t last_incident;
  struct now *now;
  int32_t *sorted;                   /* added nodes in order of their codes, as long as there are sorted_count nodes in all */
  int sorted_count;
  bool missing;                      /* keys */
};

int network_place_county(const struct network *n, int place) { return directory_ancestor(n->d, place, PLACE_COUNTY); }

static void place_of(struct loading *k, struct node *node, int place) {
  const struct place *p = directory_place(k->n->d, place);
  node->o.place = place;
  node->o.county = p ? network_place_county(k->n, place) : -1;
  node->o.setting = p ? p->setting : PLACE_MIXED;
  if (node->o.setting == PLACE_MIXED) node->o.setting = PLACE_URBAN; /* a seat of a county or district */
  node->population = p && p->population > 0 ? p->population : 0;
  if (p && isnan(node->o.lat)) node->o.lat = p->lat, node->o.lon = p->lon;
}

static void from_directory(struct loading *k, int i) {
  const struct office *f = directory_office(k->n->d, i);
  struct node *node = &k->nodes[i];
  node->o = (struct network_office){.code = f->code, .name_fa = f->name_fa, .name_en = f->name_en[0] ? f->name_en : f->name_fa, .address = "", .checks = "", .prober = "",
    .directory = i, .organisation = f->organisation, .level = f->level, .lat = f->lat, .lon = f->lon, .uplink_count = f->uplink_count, .synthetic = f->synthetic,
    .interval_ms = k->n->o.interval_ms};
  for (int u = 0; u < f->uplink_count; u++) node->o.uplinks[u] = f->uplinks[u];
  node->active = node->icmp = true;
  place_of(k, node, f->place);
}

static int order_code(const void *a, const void *b, void *ctx) {
  const struct node *nodes = ctx;
  return strcmp(nodes[*(const int32_t *)a].o.code, nodes[*(const int32_t *)b].o.code);
}

static size_t text_hash(const char *s) {
  uint64_t h = 0xcbf29ce484222325u;
  while (*s) h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
  return (size_t)(h ^ h >> 32);
}

static int find_in(struct loading *k, const char *code) {
  int ours = (int)directory_offices(k->n->d), i = directory_find_office(k->n->d, code);
  if (i >= 0 || !code || k->count == ours) return i;
  if (k->sorted_count != k->count) {
    k->sorted = base_realloc(k->sorted, (size_t)(k->count - ours) * sizeof *k->sorted);
    for (int at = ours; at < k->count; at++) k->sorted[at - ours] = at;
    qsort_r(k->sorted, (size_t)(k->count - ours), sizeof *k->sorted, order_code, k->nodes);
    k->sorted_count = k->count;
  }
  for (int low = 0, high = k->count - ours; low < high;) {
    int middle = low + (high - low) / 2, order = strcmp(code, k->nodes[k->sorted[middle]].o.code);
    if (!order) return k->sorted[middle];
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return -1;
}

/* Names live until the end, and a plan is read anew at every change: each text is kept once. */
static const char *keep(struct loading *k, const char *text) {
  struct network *n = k->n;
  if (!text || !text[0]) return "";
  if (n->kept_count * 2 >= n->kept_room) {
    size_t room = n->kept_room ? n->kept_room * 2 : 4096;
    const char **bigger = base_alloc(room * sizeof *bigger);
    for (size_t i = 0; i < n->kept_room; i++)
      if (n->kept[i]) {
        size_t at = text_hash(n->kept[i]) & (room - 1);
        while (bigger[at]) at = (at + 1) & (room - 1);
        bigger[at] = n->kept[i];
      }
    free(n->kept);
    n->kept = bigger;
    n->kept_room = room;
  }
  size_t at = text_hash(text) & (n->kept_room - 1);
  for (; n->kept[at]; at = (at + 1) & (n->kept_room - 1))
    if (strcmp(n->kept[at], text) == 0) return n->kept[at];
  char *s = arena_strdup(k->a, text);
  if (!s) return "";
  n->kept_count++;
  return n->kept[at] = s;
}

static double degrees(const char *text) { return text && text[0] ? strtod(text, NULL) : NAN; }

static struct node *add_node(struct loading *k, const struct store_rows *r) {
  if (k->count == k->room) {
    k->nodes = base_realloc(k->nodes, (size_t)(k->room = k->room * 2 + 64) * sizeof *k->nodes);
    k->ups = base_realloc(k->ups, (size_t)k->room * sizeof *k->ups);
  }
  struct node *node = &k->nodes[k->count];
  memset(node, 0, sizeof *node);
  k->ups[k->count++] = base_strdup(store_text(r, 5) ? store_text(r, 5) : "");
  int level = network_level_parse(store_text(r, 4));
  node->o = (struct network_office){.code = keep(k, store_text(r, 0)), .name_fa = keep(k, store_text(r, 6)), .name_en = keep(k, store_text(r, 7)), .address = "", .checks = "", .prober = "",
    .directory = -1, .organisation = directory_find_organisation(k->n->d, store_text(r, 2)), .level = level < 0 ? OFFICE_OFFICE : (enum office_level)level,
    .lat = degrees(store_text(r, 8)), .lon = degrees(store_text(r, 9)), .interval_ms = k->n->o.interval_ms};
  if (!node->o.name_en[0]) node->o.name_en = node->o.name_fa;
  place_of(k, node, directory_find_place(k->n->d, store_text(r, 3)));
  return node;
}

/* Every row of an answer, or of none: NULL has failed already. */
static int each(struct loading *k, struct store_rows *r, void (*take)(struct loading *k, const struct store_rows *r), struct err *err) {
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) take(k, r);
  store_done(r);
  return rc;
}

static void take_plan(struct loading *k, const struct store_rows *r) {
  int i = directory_find_office(k->n->d, store_text(r, 0));
  if (i < 0 && !store_int(r, 1)) return; /* the pack no longer has it */
  struct node *node = i >= 0 ? &k->nodes[i] : add_node(k, r);
  if (!store_null(r, 10)) node->o.address = keep(k, store_text(r, 10));
  if (!store_null(r, 11)) node->o.interval_ms = store_int(r, 11) * 1000;
  if (!store_null(r, 12)) node->o.checks = keep(k, store_text(r, 12));
  if (!store_null(r, 13)) node->o.prober = keep(k, store_text(r, 13));
  node->active = store_int(r, 14) != 0;
}

static void take_key(struct loading *k, const struct store_rows *r) {
  int i = find_in(k, store_text(r, 0));
  if (i >= 0) k->nodes[i].key = (uint32_t)store_int(r, 1);
}

static void take_prober(struct loading *k, const struct store_rows *r) {
  k->probers[k->prober_count++] = (struct prober){.name = keep(k, store_text(r, 0)), .key = base_strdup(store_text(r, 1)), .last = store_int(r, 2), .next = store_int(r, 3), .report = store_int(r, 4), .trouble = trouble_parse(store_text(r, 5))};
}

static void take_goal(struct loading *k, const struct store_rows *r) {
  double goal = (double)store_int(r, 2) / 1e6;
  bool organisation = strcmp(store_text(r, 0), "organisation") == 0;
  int at = organisation ? directory_find_organisation(k->n->d, store_text(r, 1)) : network_level_parse(store_text(r, 1));
  if (at >= 0) *(organisation ? &k->own_goals[at] : &k->goals[at]) = goal;
}

static void take_window(struct loading *k, const struct store_rows *r) {
  int i = find_in(k, store_text(r, 1));
  if (i >= 0) k->windows[k->window_count++] = (struct core_window){store_int(r, 0), store_int(r, 2), store_int(r, 3), i};
}

static void take_incident(struct loading *k, const struct store_rows *r) {
  int kind = network_kind_parse(store_text(r, 1)), root = find_in(k, store_text(r, 2)), prober = 0;
  for (int i = 1; i < k->prober_count; i++)
    if (base_same(k->probers[i].name, store_text(r, 3))) prober = i;
  k->open[k->open_count++] = (struct core_incident){.id = store_int(r, 0), .kind = kind < 0 ? NETWORK_INCIDENT_DOWN : (enum network_incident_kind)kind, .root = root, .prober = prober,
    .began = store_int(r, 4), .decided = store_int(r, 5), .members = store_int(r, 6)};
}

static int load_work(struct store_tx *tx, void *arg, struct err *err) {
  struct loading *k = arg;
  k->probers = base_alloc((NETWORK_PROBERS_MOST + 1) * sizeof *k->probers);
  k->probers[k->prober_count++] = (struct prober){.name = "", .key = base_strdup("")};
  k->windows = base_alloc(5000 * sizeof *k->windows);
  k->open = base_alloc(10000 * sizeof *k->open);
  if (each(k, store_select(tx, err, "SELECT m.code,m.added,m.organisation,m.place,m.level,m.uplinks,m.name_fa,m.name_en,m.lat,m.lon,m.address,m.interval_s,m.checks,m.prober,m.active "
                                    "FROM network_node m JOIN network_key k ON k.code=m.code ORDER BY k.id", ""), take_plan, err) ||
      each(k, store_select(tx, err, "SELECT code,id FROM network_key", ""), take_key, err)) return -1;
  for (int i = 0; i < k->count; i++) k->missing |= k->nodes[i].key == 0;
  if (each(k, store_select(tx, err, "SELECT p.name,p.key,p.last,p.next,COALESCE(s.report,0),COALESCE(s.trouble,'') FROM network_prober p LEFT JOIN network_prober_said s ON s.name=p.name "
                           "WHERE p.key<>'' OR EXISTS (SELECT 1 FROM network_node m WHERE m.prober=p.name) ORDER BY p.name LIMIT ?1", "i", (int64_t)NETWORK_PROBERS_MOST), take_prober, err) ||
      each(k, store_select(tx, err, "SELECT scope,code,goal FROM network_goal", ""), take_goal, err) ||
      each(k, store_select(tx, err, "SELECT id,office,from_at,to_at FROM network_window WHERE to_at>?1 LIMIT 5000", "i", clock_now() - 60000), take_window, err) ||
      each(k, store_select(tx, err, "SELECT id,kind,office,prober,began,decided,reached FROM network_incident WHERE ended=0 ORDER BY id LIMIT 10000", ""), take_incident, err)) return -1;
  return store_value(tx, &k->last_incident, 0, err, "SELECT MAX(id) FROM network_incident", "") ||
         store_value(tx, &k->revision, 0, err, "SELECT value FROM network_value WHERE name='revision'", "") ? -1 : 0;
}

/* Numbers for those that have none yet. */
static int keys_work(struct store_tx *tx, void *arg, struct err *err) {
  struct loading *k = arg;
  int64_t last = 0;
  if (store_value(tx, &last, 0, err, "SELECT MAX(id) FROM network_key", "")) return -1;
  for (int i = 0; i < k->count; i++) {
    if (k->nodes[i].key) continue;
    if (store_exec(tx, err, "INSERT INTO network_key (code,id) VALUES (?1,?2) ON CONFLICT (code) DO NOTHING", "ti", k->nodes[i].o.code, ++last) < 0) return -1;
  }
  return 0;
}

static void take_now(struct loading *k, const struct store_rows *r) {
  int i = find_in(k, store_text(r, 0));
  if (i >= 0) k->now[i] = (struct now){store_int(r, 1), store_int(r, 2), store_int(r, 3), store_int(r, 4), store_int(r, 5), store_int(r, 6), true};
}

static int now_work(struct store_tx *tx, void *arg, struct err *err) {
  struct loading *k = arg;
  return each(k, store_select(tx, err, "SELECT office,hard,shown,since,decided,incident,connected_at FROM network_now", ""), take_now, err);
}

/* ---- making the core ---------------------------------------------------------------------------------------------------------- */

static void link_added(struct loading *k) {
  for (int i = (int)directory_offices(k->n->d); i < k->count; i++) {
    char *rest = k->ups[i], *word;
    while ((word = strsep(&rest, ";")) && k->nodes[i].o.uplink_count < 4) {
      int up = find_in(k, word);
      if (up >= 0 && up != i) k->nodes[i].o.uplinks[k->nodes[i].o.uplink_count++] = up;
    }
    free(k->ups[i]);
    k->ups[i] = NULL;
  }
}

static void finish_nodes(struct loading *k) {
  char text[32];
  for (int i = 0; i < k->count; i++) {
    struct node *node = &k->nodes[i];
    node->o.node = i;
    if (k->n->o.demo) {
      demo_address(i, text);
      node->o.address = keep(k, text);
      node->o.checks = node->o.prober = "";
    }
    node->checks = checks_parse(node->o.checks, node->check, &node->icmp);
    if (node->checks < 0) node->checks = 0;
    for (int p = 1; p < k->prober_count; p++)
      if (node->o.prober[0] && base_same(k->probers[p].name, node->o.prober)) node->prober = p;
  }
}

/* Anchors stand behind the nodes. */
static int anchor_count(const struct network *n) {
  int count = n->anchors && n->anchors[0] && !n->o.demo ? 1 : 0;
  for (const char *s = n->anchors; count && *s; s++) count += *s == ',';
  return count > 8 ? 8 : count;
}

static struct core *make_core(struct network *n, const struct loading *k, int anchors) {
  struct core_spec *specs = base_alloc((size_t)(k->count + anchors + 1) * sizeof *specs);
  struct core_config config;
  struct core_out out = network_out(n);
  core_defaults(&config);
  config.attempts = n->o.attempts;
  config.retry_ms = n->o.retry_ms;
  for (int i = 0; i < k->count; i++) {
    const struct node *node = &k->nodes[i];
    specs[i] = (struct core_spec){.up_count = node->o.uplink_count, .measured = node->active && node->o.address[0] && address_ok(node->o.address), .prober = node->prober};
    for (int u = 0; u < node->o.uplink_count; u++) specs[i].up[u] = node->o.uplinks[u];
  }
  for (int i = 0; i < anchors; i++) specs[k->count + i] = (struct core_spec){.measured = true, .anchor = true};
  struct core *c = core_new(&config, &out, specs, k->count + anchors, k->last_incident + 1);
  free(specs);
  return c;
}

static void carry(struct core *to, const struct core *from, int count) {
  for (int i = 0; i < count && i < from->count && i < to->count; i++) {
    if (from->nodes[i].spec.anchor || to->nodes[i].spec.anchor) break;
    struct core_node *n = &to->nodes[i], was = *n;
    *n = from->nodes[i];
    n->spec = was.spec;
    n->ways = was.ways;
    n->way_count = was.way_count;
    n->below = was.below;
    n->below_count = was.below_count;
    n->waiting = false;
  }
  for (int i = 0; i < from->open_count; i++) core_restore_incident(to, &from->open[i]);
  if (from->next_incident > to->next_incident) to->next_incident = from->next_incident;
  to->probers_away = from->probers_away;
  to->now = from->now;
}

/* What was said of checks holds no more when other checks, or another address, are asked. */
static void carry_node(struct node *to, const struct node *from, struct core_node *c) {
  to->connected_at = from->connected_at;
  if (base_same(to->o.checks, from->o.checks) && base_same(to->o.address, from->o.address)) {
    memcpy(to->cause, from->cause, sizeof to->cause);
    return;
  }
  c->checks_failed = 0;
  memset(c->check_fails, 0, sizeof c->check_fails);
}

static void restore(struct core *c, const struct loading *k) {
  const struct now *now = k->now;
  for (int i = 0; i < k->open_count; i++) core_restore_incident(c, &k->open[i]);
  for (int i = 0; i < k->count; i++)
    if (now[i].there && now[i].hard >= 0 && now[i].hard < NETWORK_STATES && now[i].shown >= 0 && now[i].shown < NETWORK_STATES) {
      core_restore(c, i, (enum network_state)now[i].hard, (enum network_state)now[i].shown, now[i].since, core_incident_of(c, now[i].incident) ? now[i].incident : 0);
      c->nodes[i].decided = now[i].decided;
      c->nodes[i].covered = now[i].shown == NETWORK_MAINTENANCE;
      c->nodes[i].away = now[i].shown == NETWORK_UNKNOWN && now[i].hard != NETWORK_UNKNOWN;
    }
}

static void make_ping(struct network *n) {
  schedule_free(&n->due);
  free(n->again);
  schedule_init(&n->due, n->core->count);
  n->again = base_alloc((size_t)n->core->count + 1);
  if (n->on) network_ping_open(n);
}

static void swap(struct network *n, struct loading *k) {
  int anchors = anchor_count(n);
  pthread_rwlock_wrlock(&n->plan);
  pthread_mutex_lock(&n->lock);
  struct core *c = make_core(n, k, anchors), *old = n->core;
  bool fresh = n->fresh;
  if (fresh) {
    core_free(old);
    old = NULL;
    n->fresh = false;
  }
  if (old) {
    carry(c, old, n->real);
    for (int i = 0; i < n->real && i < k->count; i++) carry_node(&k->nodes[i], &n->nodes[i], &c->nodes[i]);
  } else {
    restore(c, k);
    for (int i = 0; i < k->count; i++) k->nodes[i].connected_at = k->now[i].connected_at;
  }
  for (int i = 0; i < n->prober_count; i++) { /* what was heard meanwhile */
    for (int p = 0; p < k->prober_count; p++)
      if (base_same(k->probers[p].name, n->probers[i].name)) {
        k->probers[p].heard = n->probers[i].heard;
        bool same = base_same(k->probers[p].key, n->probers[i].key); /* its numbers are one key's */
        if (same && n->holder) k->probers[p].trouble = n->probers[i].trouble;
        if (fresh) continue; /* what was taken and is not in the store was forgotten: they send it again */
        k->probers[p].mute = n->probers[i].mute;
        if (same && n->probers[i].next > k->probers[p].next) k->probers[p].next = n->probers[i].next;
        if (same && n->probers[i].report > k->probers[p].report) k->probers[p].report = n->probers[i].report;
        if (n->probers[i].last > k->probers[p].last) k->probers[p].last = n->probers[i].last; /* until when its offices were measured, by whichever key */
      }
    free(n->probers[i].key);
  }
  free(n->probers);
  free(n->nodes);
  free(n->by_code);
  n->probers = k->probers;
  n->prober_count = k->prober_count;
  n->nodes = k->nodes;
  n->count = k->count + anchors;
  n->real = k->count;
  n->core = c;
  n->revision = k->revision;
  n->goal_read = k->goal_turn;
  if (n->goal_turn == k->goal_turn) { /* else set here since: all is read once more, for those that others set meanwhile */
    memcpy(n->goals, k->goals, sizeof n->goals);
    free(n->own_goals);
    n->own_goals = k->own_goals;
    k->own_goals = NULL;
  }
  n->by_code = base_alloc(((size_t)k->count + 1) * sizeof *n->by_code);
  for (int i = 0; i < k->count; i++) n->by_code[i] = i;
  qsort_r(n->by_code, (size_t)k->count, sizeof *n->by_code, order_code, n->nodes);
  free(n->cut);
  n->cut = base_alloc((size_t)n->count + 1);
  n->cut_at = 0;
  for (int i = 0; i < k->window_count; i++) core_window(c, k->windows[i].id, k->windows[i].node, k->windows[i].from, k->windows[i].to);
  make_ping(n);
  core_free(old);
  if (n->holder) core_refresh(c, network_label(n));
  pthread_mutex_unlock(&n->lock);
  pthread_rwlock_unlock(&n->plan);
}

int network_load(struct network *n, struct err *err) {
  pthread_mutex_lock(&n->lock);
  uint64_t goal_turn = n->goal_turn;
  pthread_mutex_unlock(&n->lock);
  struct loading k = {.n = n, .a = n->names, .goal_turn = goal_turn};
  int rc = -1;
  for (int turn = 0; turn < 2; turn++) {
    k.room = (int)directory_offices(n->d) + 16;
    k.nodes = base_alloc((size_t)k.room * sizeof *k.nodes);
    k.ups = base_alloc((size_t)k.room * sizeof *k.ups);
    k.count = (int)directory_offices(n->d);
    network_goals_default(n, k.goals, &k.own_goals);
    for (int i = 0; i < k.count; i++) from_directory(&k, i);
    rc = store_read(n->main, load_work, &k, err);
    if (rc == 0 && k.missing && turn == 0) rc = store_write(n->main, STORE_JOBS, keys_work, &k, err);
    if (rc || !k.missing || turn) break;
    for (int i = (int)directory_offices(n->d); i < k.count; i++) free(k.ups[i]);
    for (int i = 0; i < k.prober_count; i++) free(k.probers[i].key);
    free(k.probers);
    free(k.nodes);
    free(k.ups);
    free(k.windows);
    free(k.open);
    free(k.own_goals);
    free(k.sorted);
    k = (struct loading){.n = n, .a = n->names, .goal_turn = goal_turn};
  }
  if (rc == 0) {
    k.now = base_alloc(((size_t)k.count + 1) * sizeof *k.now);
    rc = store_read(n->samples, now_work, &k, err);
  }
  if (rc == 0) {
    link_added(&k);
    finish_nodes(&k);
    swap(n, &k);
  } else {
    for (int i = 0; i < k.prober_count; i++) free(k.probers[i].key);
    free(k.probers);
    free(k.nodes);
  }
  free(k.ups);
  free(k.windows);
  free(k.open);
  free(k.own_goals);
  free(k.now);
  free(k.sorted);
  return rc;
}

/* ---- looking ---------------------------------------------------------------------------------------------------------------------- */

static int by_code(const struct network *n, const char *code) {
  int low = 0, high = n->real;
  while (code && low < high) {
    int middle = (low + high) / 2, order = strcmp(n->nodes[n->by_code[middle]].o.code, code);
    if (order == 0) return n->by_code[middle];
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return -1;
}

const struct node *network_at(const struct network *n, const char *code) {
  int i = by_code(n, code);
  return i < 0 ? NULL : &n->nodes[i];
}

void network_fill(const struct network *n, int node, struct network_office *out) {
  const struct core_node *c = &n->core->nodes[node];
  *out = n->nodes[node].o;
  out->state = c->shown;
  out->soft = c->fails > 0 && c->hard != NETWORK_DOWN && c->hard != NETWORK_UNREACHABLE;
  out->flapping = c->flapping;
  out->flapping_percent = flap_percent(&c->flap);
  out->since = c->shown_since;
  out->decided = c->decided;
  out->incident = c->incident;
  out->probed = c->last_at;
  out->sent = c->last.sent;
  out->lost = c->last.lost;
  bool any = c->last.sent > c->last.lost;
  out->rtt_min = any ? c->last.min : NAN;
  out->rtt_median = any ? c->last.median : NAN;
  out->rtt_p95 = any ? c->last.p95 : NAN;
  out->jitter = any ? c->last.jitter : NAN;
  out->loss_recent = recent_loss(&c->recent);
  out->rtt_recent = recent_rtt(&c->recent);
  out->connected_at = n->nodes[node].connected_at;
  out->connected = out->connected_at > 0;
}

size_t network_nodes(struct network *n) {
  pthread_mutex_lock(&n->lock);
  size_t count = (size_t)n->real;
  pthread_mutex_unlock(&n->lock);
  return count;
}

int network_find(struct network *n, const char *code) {
  pthread_mutex_lock(&n->lock);
  int i = by_code(n, code);
  pthread_mutex_unlock(&n->lock);
  return i;
}

int network_node(struct network *n, int node, struct network_office *out) {
  pthread_mutex_lock(&n->lock);
  int rc = node >= 0 && node < n->real ? 0 : -1;
  if (rc == 0) network_fill(n, node, out);
  pthread_mutex_unlock(&n->lock);
  return rc;
}

void network_each(struct network *n, bool (*fn)(void *ctx, const struct network_office *o), void *ctx) {
  struct network_office o;
  pthread_mutex_lock(&n->lock);
  for (int i = 0; i < n->real; i++) {
    if (!n->nodes[i].active) continue;
    network_fill(n, i, &o);
    if (!fn(ctx, &o)) break;
  }
  pthread_mutex_unlock(&n->lock);
}

/* The places in which some of the offices are cut, and those above them of whose offices none is left: few but counties have a population on record. */
static void cut_places(const struct network *n, const unsigned char *cut, unsigned char *place) {
  uint32_t *left = base_alloc((directory_places(n->d) + 1) * sizeof *left);
  for (int i = 0; i < n->real; i++)
    for (int up = n->nodes[i].active && !cut[i] ? n->nodes[i].o.place : -1; up >= 0; up = directory_place(n->d, up)->parent) left[up]++;
  for (int i = 0; i < n->real; i++) {
    int up = n->nodes[i].active && cut[i] ? n->nodes[i].o.place : -1;
    if (up >= 0) place[up] = 1;
    for (; up >= 0 && left[up] == 0; up = directory_place(n->d, up)->parent) place[up] = 1;
  }
  free(left);
}

/* People are counted once: a place within another that is counted is part of it. */
void network_blast_of(const struct network *n, unsigned char *cut, struct network_blast *out) {
  size_t places = directory_places(n->d), organisations = directory_organisations(n->d);
  unsigned char *place = base_alloc(places + 1), *organisation = base_alloc(organisations + 1);
  *out = (struct network_blast){0};
  core_cut(n->core, cut);
  for (int i = 0; i < n->real; i++) {
    const struct network_office *o = &n->nodes[i].o;
    if (!cut[i] || !n->nodes[i].active) continue;
    out->offices++;
    if (o->organisation >= 0) organisation[o->organisation] = 1;
  }
  cut_places(n, cut, place);
  for (size_t i = 0; i < places; i++) {
    const struct place *p = directory_place(n->d, (int)i);
    if (!place[i] || p->population <= 0) continue;
    bool within = false;
    for (int up = p->parent; up >= 0 && !within; up = directory_place(n->d, up)->parent) within = place[up] && directory_place(n->d, up)->population > 0;
    if (!within) out->population += p->population;
  }
  for (size_t i = 0; i < organisations && n->o.services; i++)
    if (organisation[i]) out->services += n->o.services(n->o.services_ctx, directory_organisation(n->d, (int)i)->code);
  free(place);
  free(organisation);
}

void network_blast(struct network *n, const int *nodes, size_t count, struct network_blast *out) {
  pthread_mutex_lock(&n->lock);
  unsigned char *cut = base_alloc((size_t)n->count + 1);
  for (size_t i = 0; i < count; i++)
    if (nodes[i] >= 0 && nodes[i] < n->real) cut[nodes[i]] = 1;
  network_blast_of(n, cut, out);
  pthread_mutex_unlock(&n->lock);
  free(cut);
}

void network_coverage(struct network *n, int place, struct network_coverage *out) {
  size_t places = directory_places(n->d);
  unsigned char *there = base_alloc(places + 1); /* 1 an office, 2 a connected one */
  *out = (struct network_coverage){0};
  pthread_mutex_lock(&n->lock);
  for (int i = 0; i < n->real; i++) {
    const struct node *k = &n->nodes[i];
    if (!k->active || k->o.place < 0 || (place >= 0 && !directory_within(n->d, k->o.place, place))) continue;
    out->offices++;
    out->connected += k->connected_at > 0;
    there[k->o.place] |= (unsigned char)(k->connected_at > 0 ? 3 : 1);
  }
  pthread_mutex_unlock(&n->lock);
  for (size_t i = 0; i < places; i++) {
    if (directory_place(n->d, (int)i)->kind != PLACE_VILLAGE || (place >= 0 && !directory_within(n->d, (int)i, place))) continue;
    if (directory_place(n->d, (int)i)->households < 0) out->villages_unsized++;
    if (!network_village_large(n, (int)i)) continue;
    out->villages_large++;
    out->villages_connected += there[i] >> 1 & 1;
  }
  free(there);
}

/* With 20 households; where they are not known, a dehyari tells: the law founds one from 20 on. */
bool network_village_large(const struct network *n, int place) {
  const struct place *p = directory_place(n->d, place);
  if (p->households >= 0) return p->households >= 20;
  int o = directory_responsible(n->d, place, ORG_DEHYARI);
  return o >= 0 && directory_organisation(n->d, o)->place == place;
}
