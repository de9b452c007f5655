/* The prober's thread: what is due is sent, what came is judged, what changed is told. */
#include "network/inner.h"
#include "network/inner_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_PASS_MS = 10000, BRIDGE_LEAST_MS = 7000, BRIDGE_MORE_MS = 30000, TOGETHER_US = 1000 };

/* ---- time ---------------------------------------------------------------------------------------------------------- */

int64_t label_next(struct label_clock *c) {
  int64_t mono = clock_mono(), wall = clock_now();
  if (!c->last) *c = (struct label_clock){wall - mono, wall, mono};
  int64_t label = mono + c->offset, passed = mono - c->mono;
  if (wall > label) label = wall;
  else if (wall < label) label -= label - wall < passed / 10 ? label - wall : passed / 10;
  if (label < c->last) label = c->last;
  if (passed >= 10 || wall > mono + c->offset) {
    c->offset = label - mono;
    c->mono = mono;
  }
  c->last = label;
  return label;
}

int64_t network_label(struct network *n) { return label_next(&n->label); }

/* ---- what the core says ------------------------------------------------------------------------------------------------ */

void network_change_put(struct network *n, struct change c) {
  if (c.seq <= n->cursor) c.seq = n->cursor + 1;
  n->cursor = c.seq;
  n->ring[n->cursor % RING] = c;
  if (!n->first || n->cursor - n->first >= RING) n->first = n->first ? n->cursor - RING + 1 : n->cursor;
  pthread_cond_broadcast(&n->changed);
}

static void out_probe(void *ctx, int node, int64_t delay) {
  struct network *n = ctx;
  if (node >= n->count) return;
  if (node < n->real && n->nodes[node].prober) n->again[node] = 1; /* measured elsewhere: that prober is told with the answer to its next report */
  else if (!n->on) return;
  else if (link_busy(n->link, node)) n->again[node] = 1;
  else schedule_sooner(&n->due, node, clock_mono() + delay);
}

static void out_state(void *ctx, int node, enum network_state from, enum network_state to, int64_t since, int64_t at, int64_t incident) {
  struct network *n = ctx;
  if (node >= n->real) return;
  struct change c = {.at = at, .since = since, .incident = incident, .node = node, .from = from, .to = to};
  network_change_put(n, c);
  c.seq = n->cursor;
  const struct core_node *k = &n->core->nodes[node];
  network_op(n, (struct op){.kind = OP_STATE, .node = node, .code = n->nodes[node].o.code, .change = c, .hard = k->hard, .flapping = k->flapping, .decided = at,
                            .connected_at = n->nodes[node].connected_at});
}

static void out_incident(void *ctx, const struct core_incident *i, enum core_change change, int member, int64_t at) {
  struct network *n = ctx;
  struct op op = {.kind = change == CORE_OPENED ? OP_OPENED : change == CORE_CLOSED ? OP_CLOSED : OP_REACHED, .node = i->root, .incident = *i, .decided = at};
  op.code = i->root >= 0 && i->root < n->real ? n->nodes[i->root].o.code : "";
  op.prober = n->probers[i->prober].name;
  if (change == CORE_OPENED && i->kind == NETWORK_INCIDENT_DOWN && i->root >= 0) {
    unsigned char *cut = base_alloc((size_t)n->count + 1);
    cut[i->root] = 1;
    network_blast_of(n, cut, &op.blast);
    free(cut);
  } else if (i->root >= 0) op.blast.offices = 1;
  if (change == CORE_OPENED || change == CORE_CLOSED)
    network_change_put(n, (struct change){.at = at, .since = change == CORE_OPENED ? i->began : i->ended, .incident = i->id, .node = -1, .step = change == CORE_OPENED ? "opened" : "closed"});
  op.change.seq = n->cursor;
  if (change != CORE_LEFT) network_op(n, op);
}

struct core_out network_out(struct network *n) { return (struct core_out){.ctx = n, .probe = out_probe, .state = out_state, .incident = out_incident}; }

/* ---- results --------------------------------------------------------------------------------------------------------------- */

static void raw_flush(struct network *n, int prober) {
  struct buf *b = &n->raw[prober];
  if (!b->len) return;
  size_t size = b->len;
  char *bytes = buf_take(b);
  int64_t label = network_label(n);
  n->raw_id = n->raw_id < label ? label : n->raw_id + 1; /* grows, also over a crash and from one node to the next */
  network_op(n, (struct op){.kind = OP_RAW, .id = n->raw_id, .from = n->raw_at[prober], .until = n->raw_until[prober], .prober = n->probers[prober].name, .bytes = bytes, .size = size});
  n->raw_at[prober] = n->raw_until[prober] = 0;
}

/* A result of the centre or of a prober elsewhere. One journal row stays within an hour. */
void network_take(struct network *n, const struct core_result *r, int prober) {
  if (r->node < n->real && r->m.sent > 0) {
    struct node *node = &n->nodes[r->node];
    if (n->raw_at[prober] && (r->sent_at < n->raw_at[prober] || hour_start(r->sent_at) != hour_start(n->raw_at[prober]))) raw_flush(n, prober);
    if (!n->raw_at[prober]) n->raw_at[prober] = r->sent_at;
    if (r->at > n->raw_until[prober]) n->raw_until[prober] = r->at;
    struct sample s = {node->key, r->sent_at, r->m.sent, r->m.lost, r->m.min, r->m.median, r->m.p95, r->m.max, r->m.jitter};
    raw_put(&n->raw[prober], n->raw_at[prober], &s);
    if (r->m.lost < r->m.sent && !node->connected_at) {
      node->connected_at = r->sent_at;
      network_op(n, (struct op){.kind = OP_CONNECTED, .node = r->node, .code = node->o.code, .connected_at = r->sent_at});
    }
    if (r->at > n->probed) n->probed = r->at; /* what a prober elsewhere caught up is older */
    n->probes++;
  }
  core_result(n->core, r);
}

void network_raw_all(struct network *n) {
  for (int p = 0; p < n->prober_count; p++) raw_flush(n, p);
}

/* What was measured up to now, where somebody wants it in their sums. */
int network_settle(struct network *n, struct err *err) {
  if (!n->holder) return 0;
  pthread_mutex_lock(&n->lock);
  network_raw_all(n);
  pthread_mutex_unlock(&n->lock);
  return network_flush(n, err);
}

static int64_t interval_of(const struct network *n, int node) { return node < n->real ? n->nodes[node].o.interval_ms : 5000; }

static void ping_done(void *ctx, const struct core_result *r) {
  struct network *n = ctx;
  int64_t now = clock_mono();
  schedule_set(&n->due, r->node, schedule_next(r->node, interval_of(n, r->node), now));
  network_take(n, r, 0);
  if (!n->again[r->node]) return;
  n->again[r->node] = 0;
  schedule_sooner(&n->due, r->node, now);
}

static int64_t ping_label(void *ctx) { return network_label(ctx); }

static const char *anchor_address(const struct network *n, int which, char out[64]) {
  const char *s = n->anchors;
  while (s && which-- > 0) s = (s = strchr(s, ',')) ? s + 1 : NULL;
  if (!s) return "";
  while (*s == ' ') s++;
  snprintf(out, 64, "%.*s", (int)strcspn(s, ", "), s);
  return out;
}

/* First pass within ten seconds, then each at its own moment. */
void network_ping_open(struct network *n) {
  struct ping_options o = {.packets = n->o.packets, .gap_ms = n->o.gap_ms, .timeout_ms = n->o.timeout_ms, .ctx = n, .done = ping_done, .label = ping_label};
  char text[64];
  int64_t now = clock_mono();
  n->on = true;
  link_open(n->link, &o, n->count);
  for (int i = 0; i < n->count; i++) {
    if (!n->core->nodes[i].spec.measured || (i < n->real && (n->nodes[i].prober || !n->nodes[i].icmp))) continue;
    const char *address = i < n->real ? n->nodes[i].o.address : anchor_address(n, i - n->real, text);
    if (link_target(n->link, i, address)) log_write(LOG_WARN, "network", "%s is no address", address);
    else schedule_set(&n->due, i, n->probes ? schedule_next(i, interval_of(n, i), now) : schedule_next(i, FIRST_PASS_MS, now));
  }
}

/* ---- the thread ----------------------------------------------------------------------------------------------------------------- */

int64_t network_bridge(int64_t interval) {
  int64_t more = interval / 2;
  return 2 * interval + (more > BRIDGE_MORE_MS ? BRIDGE_MORE_MS : more < BRIDGE_LEAST_MS ? BRIDGE_LEAST_MS : more);
}

/* One that is silent: what is above its offices is asked first, and where that is dead its silence has the same cause. Once that is over it has as long again to speak. */
static void doubt(struct network *n, int p, int64_t label, int64_t silent) {
  struct prober *k = &n->probers[p];
  int64_t bridge = network_bridge(n->o.interval_ms), since = k->last ? k->last : label;
  bool wait = false, away = n->core->probers_away >> p & 1;
  if (k->key[0] && silent <= bridge) {
    k->doubted = 0;
    return;
  }
  if (core_missed(n->core, p)) return;
  if (!k->doubted) k->doubted = label;
  if (k->key[0] && !away) core_behind(n->core, p, k->doubted, &wait);
  if (wait && silent <= 2 * bridge) return;
  bool behind = k->key[0] && core_behind(n->core, p, 0, NULL) != 0;
  if (behind) k->freed = 0;
  else if (k->excused) {
    k->heard = clock_mono();
    k->freed = label;
  }
  bool over = k->excused && !behind;
  k->excused = behind;
  if (!over && !(behind && away)) core_away(n->core, p, k->freed ? k->freed : since, label, true);
}

/* Probers elsewhere that have not been heard of. */
void network_watch(struct network *n, int64_t label) {
  for (int p = 1; p < n->prober_count; p++) {
    struct prober *k = &n->probers[p];
    if (!k->heard) k->heard = clock_mono();
    bool used = false;
    for (int i = 0; i < n->real && !used; i++) used = n->nodes[i].prober == p && n->core->nodes[i].spec.measured;
    if (used) doubt(n, p, label, clock_mono() - k->heard);
  }
}

/* Once a second. */
static void tick(struct network *n, int64_t *label_before, int64_t *flushed) {
  int64_t label = network_label(n);
  if (*label_before && label - *label_before > 2 * (int64_t)n->o.interval_ms + BRIDGE_MORE_MS) { /* suspended, or the clock was set far ahead: that time was not measured */
    log_write(LOG_WARN, "network", "%lld s were not measured", (long long)((label - *label_before) / 1000));
    core_away(n->core, 0, *label_before, label, false);
  }
  *label_before = label;
  if (n->o.demo && label / 1000 != n->cut_at / 1000) {
    n->cut_at = label;
    demo_cuts(n, label, n->cut);
    for (int i = 0; i < n->count; i++) link_cut(n->link, i, n->cut[i]);
  }
  network_watch(n, label);
  core_time(n->core, label);
  if (clock_mono() - *flushed < FLUSH_MS) return;
  *flushed = clock_mono();
  network_raw_all(n);
}

static void start_due(struct network *n, int64_t now) {
  int64_t at = 0;
  n->overdue = 0;
  for (int node; (node = schedule_first(&n->due, &at)) >= 0 && at <= now;) {
    if (now - at > n->overdue) n->overdue = now - at;
    schedule_remove(&n->due, node);
    if (!link_start(n->link, node)) schedule_set(&n->due, node, schedule_next(node, interval_of(n, node), now));
  }
}

void *network_prober_main(void *ctx) {
  struct network *n = ctx;
  int64_t before = 0, flushed = clock_mono(), ticked = 0;
  pthread_mutex_lock(&n->lock);
  while (!n->stopping) {
    if (!n->holder) {
      if (n->on) link_open(n->link, &(struct ping_options){0}, 0);
      n->on = false;
      before = 0;
      link_turn(n->link, clock_mono_us());
      pthread_mutex_unlock(&n->lock);
      clock_wait(100);
      pthread_mutex_lock(&n->lock);
      continue;
    }
    if (!n->on) network_ping_open(n);
    int64_t now = clock_mono(), due = 0;
    if (now - ticked >= 1000) {
      ticked = now;
      tick(n, &before, &flushed);
    }
    start_due(n, now);
    int64_t next = link_turn(n->link, clock_mono_us()), latest = clock_mono_us() + 100000;
    if (schedule_first(&n->due, &due) >= 0 && due * 1000 < next) next = due * 1000;
    if (next > latest) next = latest;
    if (next < clock_mono_us() + TOGETHER_US) next = clock_mono_us() + TOGETHER_US;
    struct pollfd ready = link_ready(n->link);
    pthread_mutex_unlock(&n->lock);
    link_wait(ready, next);
    pthread_mutex_lock(&n->lock);
  }
  network_raw_all(n);
  pthread_mutex_unlock(&n->lock);
  return NULL;
}

void network_probing(struct network *n, struct network_probing *out) {
  static const char *const methods[] = {"none", "raw", "ping"};
  struct ping_counters c = {0};
  pthread_mutex_lock(&n->lock);
  *out = (struct network_probing){.method4 = "none", .method6 = "none", .trouble = "", .here = n->on, .last = n->probed, .probes = n->probes, .overdue_ms = n->overdue, .dropped = n->dropped};
  if (n->on) {
    link_counters(n->link, &c);
    out->method4 = methods[link_method(n->link, AF_INET)];
    out->method6 = methods[link_method(n->link, AF_INET6)];
    if (!link_there(n->link)) out->trouble = "network.trouble_helper";
    else if (link_robbed(n->link)) out->trouble = "network.trouble_lost";
    else if (link_method(n->link, AF_INET) == PING_NONE) out->trouble = "network.trouble_socket";
  }
  if (n->dropping && !out->trouble[0]) out->trouble = "network.trouble_dropped";
  pthread_mutex_unlock(&n->lock);
  out->sent = c.sent;
  out->received = c.received;
  out->lost = c.sent - c.received;
  out->late = c.late;
  out->hostile = c.hostile;
  out->unsent = c.unsent;
}
