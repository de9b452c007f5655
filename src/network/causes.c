/* The graph of uplinks, what an incident is made of, and windows of maintenance. */
#include "network/inner_core.h"

#include <stdlib.h>
#include <string.h>

/* ---- the graph --------------------------------------------------------------------------------------------- */

/* Parents before children; what stands in a circle (refused by whoever read it) comes last. */
static void sort_nodes(struct core *c) {
  int *left = base_alloc(((size_t)c->count + 1) * sizeof *left), *start = base_alloc(((size_t)c->count + 2) * sizeof *start);
  int *child = base_alloc(((size_t)c->count * CORE_UP_MOST + 1) * sizeof *child), done = 0;
  for (int i = 0; i < c->count; i++) {
    left[i] = c->nodes[i].spec.up_count;
    for (int k = 0; k < left[i]; k++) start[c->nodes[i].spec.up[k] + 1]++;
    if (!left[i]) c->order[done++] = i;
  }
  for (int i = 0; i < c->count; i++) start[i + 1] += start[i];
  int *fill = base_alloc(((size_t)c->count + 1) * sizeof *fill);
  for (int i = 0; i < c->count; i++)
    for (int k = 0; k < c->nodes[i].spec.up_count; k++) {
      int up = c->nodes[i].spec.up[k];
      child[start[up] + fill[up]++] = i;
    }
  for (int at = 0; at < done; at++)
    for (int k = start[c->order[at]]; k < start[c->order[at] + 1]; k++)
      if (--left[child[k]] == 0) c->order[done++] = child[k];
  for (int i = 0; i < c->count && done < c->count; i++)
    if (left[i] > 0) c->order[done++] = i;
  free(left);
  free(start);
  free(child);
  free(fill);
}

static int ways_of(const struct core *c, const struct core_node *n, int32_t out[CORE_WAYS_MOST]) {
  int count = 0;
  for (int k = 0; k < n->spec.up_count; k++) {
    const struct core_node *up = &c->nodes[n->spec.up[k]];
    int32_t self = n->spec.up[k];
    const int32_t *from = up->spec.measured ? &self : up->ways;
    int many = up->spec.measured ? 1 : up->way_count;
    for (int i = 0; i < many && count < CORE_WAYS_MOST; i++) {
      bool twice = false;
      for (int j = 0; j < count; j++) twice |= out[j] == from[i];
      if (!twice) out[count++] = from[i];
    }
  }
  return count;
}

static void link_nodes(struct core *c) {
  size_t room = 16, used = 0;
  size_t *at = base_alloc(((size_t)c->count + 1) * sizeof *at);
  int32_t *ways = base_alloc(room * sizeof *ways), found[CORE_WAYS_MOST];
  for (int o = 0; o < c->count; o++) { /* two passes over one growing list: places first, addresses when it stands still */
    struct core_node *n = &c->nodes[c->order[o]];
    for (int k = 0; k < n->spec.up_count; k++) c->nodes[n->spec.up[k]].ways = ways + at[n->spec.up[k]];
    n->way_count = ways_of(c, n, found);
    while (used + (size_t)n->way_count > room) ways = base_realloc(ways, (room *= 2) * sizeof *ways);
    at[c->order[o]] = used;
    if (n->way_count) memcpy(ways + used, found, (size_t)n->way_count * sizeof *ways);
    used += (size_t)n->way_count;
  }
  c->lists = base_alloc((2 * used + 1) * sizeof *c->lists);
  if (used) memcpy(c->lists, ways, used * sizeof *ways);
  int32_t *below = c->lists + used;
  for (int i = 0; i < c->count; i++) {
    c->nodes[i].ways = c->lists + at[i];
    for (int k = 0; k < c->nodes[i].way_count; k++) c->nodes[c->nodes[i].ways[k]].below_count++;
  }
  for (int i = 0; i < c->count; i++) {
    c->nodes[i].below = below;
    below += c->nodes[i].below_count;
    c->nodes[i].below_count = 0;
  }
  for (int i = 0; i < c->count; i++)
    for (int k = 0; k < c->nodes[i].way_count; k++) {
      struct core_node *p = &c->nodes[c->nodes[i].ways[k]];
      p->below[p->below_count++] = i;
    }
  free(ways);
  free(at);
}

struct core *core_new(const struct core_config *config, const struct core_out *out, const struct core_spec *specs, int count, int64_t next_incident) {
  struct core *c = base_alloc(sizeof *c);
  c->config = *config;
  c->out = *out;
  c->count = count;
  c->next_incident = next_incident;
  c->nodes = base_alloc(((size_t)count + 1) * sizeof *c->nodes);
  c->order = base_alloc(((size_t)count + 1) * sizeof *c->order);
  for (int i = 0; i < count; i++) {
    c->nodes[i].spec = specs[i];
    c->nodes[i].hard = c->nodes[i].shown = NETWORK_UNKNOWN;
  }
  sort_nodes(c);
  link_nodes(c);
  return c;
}

void core_free(struct core *c) {
  if (!c) return;
  free(c->nodes);
  free(c->order);
  free(c->lists);
  free(c->windows);
  free(c->open);
  free(c);
}

void core_restore(struct core *c, int node, enum network_state hard, enum network_state shown, int64_t since, int64_t incident) {
  struct core_node *n = &c->nodes[node];
  n->hard = hard;
  n->shown = shown;
  n->hard_since = n->shown_since = since;
  n->slow = hard == NETWORK_DEGRADED;
  n->incident = incident;
}

void core_cut(const struct core *c, unsigned char *cut) {
  for (int o = 0; o < c->count; o++) {
    const struct core_node *n = &c->nodes[c->order[o]];
    bool all = n->spec.up_count > 0;
    for (int k = 0; k < n->spec.up_count; k++) all &= cut[n->spec.up[k]] != 0;
    cut[c->order[o]] |= all;
  }
}

/* ---- incidents -------------------------------------------------------------------------------------------------- */

static struct core_incident *find(const struct core *c, int64_t id) {
  for (int i = 0; id && i < c->open_count; i++)
    if (c->open[i].id == id) return &c->open[i];
  return NULL;
}

const struct core_incident *core_incident_of(const struct core *c, int64_t id) { return find(c, id); }

void core_restore_incident(struct core *c, const struct core_incident *i) {
  if (c->open_count == c->open_room) c->open = base_realloc(c->open, (size_t)(c->open_room = c->open_room * 2 + 16) * sizeof *c->open);
  c->open[c->open_count++] = *i;
  if (i->id >= c->next_incident) c->next_incident = i->id + 1;
}

int64_t core_open(struct core *c, enum network_incident_kind kind, int root, int prober, int64_t began, int64_t at) {
  struct core_incident i = {.id = c->next_incident, .kind = kind, .root = root, .prober = prober, .began = began, .decided = at};
  core_restore_incident(c, &i);
  c->out.incident(c->out.ctx, &i, CORE_OPENED, -1, at);
  return i.id;
}

void core_close(struct core *c, int64_t id, int64_t ended, int64_t at) {
  struct core_incident *i = find(c, id);
  if (!i) return;
  struct core_incident over = *i;
  over.ended = ended > over.began ? ended : over.began;
  *i = c->open[--c->open_count];
  c->out.incident(c->out.ctx, &over, CORE_CLOSED, -1, at);
}

static void leave(struct core *c, int node, int64_t since, int64_t at) {
  struct core_node *n = &c->nodes[node];
  struct core_incident *i = find(c, n->incident);
  n->incident = 0;
  if (!i) return;
  if (i->root == node) core_close(c, i->id, since, at);
  else {
    i->members--;
    c->out.incident(c->out.ctx, i, CORE_LEFT, node, at);
  }
}

void core_join(struct core *c, int node, int64_t id, int64_t since, int64_t at) {
  struct core_node *n = &c->nodes[node];
  if (n->incident == id && id) return;
  leave(c, node, since, at);
  struct core_incident *i = find(c, id);
  if (!i) return;
  n->incident = id;
  i->members++;
  c->out.incident(c->out.ctx, i, CORE_JOINED, node, at);
}

/* Of those above that are gone, the last to go completed the cut. */
static int64_t cause_of(const struct core *c, const struct core_node *n) {
  int64_t id = 0, last = INT64_MIN;
  for (int k = 0; k < n->way_count; k++) {
    const struct core_node *p = &c->nodes[n->ways[k]];
    if (!p->incident || p->hard_since < last || (p->hard != NETWORK_DOWN && p->hard != NETWORK_UNREACHABLE)) continue;
    last = p->hard_since;
    id = p->incident;
  }
  return id;
}

static int64_t quality_cause(const struct core *c, const struct core_node *n) {
  for (int k = 0; k < n->way_count; k++) {
    const struct core_node *p = &c->nodes[n->ways[k]];
    if (p->slow && p->incident) return p->incident;
  }
  return 0;
}

static bool mine(const struct core *c, int node) {
  const struct core_incident *i = find(c, c->nodes[node].incident);
  return i && i->root == node;
}

static void own(struct core *c, int node, enum network_incident_kind kind, int64_t since, int64_t at) {
  struct core_node *n = &c->nodes[node];
  const struct core_incident *i = find(c, n->incident);
  bool stands = i && i->root == node && (i->kind == kind || n->flapping);
  if (stands) return;
  leave(c, node, since, at);
  n->incident = core_open(c, kind, node, n->spec.prober, since, at);
}

void core_incidents(struct core *c, int node, enum network_state from, enum network_state to, int64_t since, int64_t at) {
  struct core_node *n = &c->nodes[node];
  int64_t cause;
  switch (to) {
  case NETWORK_DOWN: own(c, node, NETWORK_INCIDENT_DOWN, since, at); return;
  case NETWORK_UNREACHABLE: core_join(c, node, cause_of(c, n), since, at); return;
  case NETWORK_DEGRADED:
    if (n->slow && !n->checks_failed && (cause = quality_cause(c, n)) != 0) core_join(c, node, cause, since, at);
    else own(c, node, NETWORK_INCIDENT_DEGRADED, since, at);
    return;
  case NETWORK_UP:
    if (!(n->flapping && mine(c, node))) leave(c, node, since, at);
    return;
  case NETWORK_MAINTENANCE: leave(c, node, since, at); return;
  default: return; /* unknown: whatever it was goes on */
  }
}

void core_flapping(struct core *c, int node, int64_t at) {
  struct core_node *n = &c->nodes[node];
  if (n->flapping && !find(c, n->incident)) n->incident = core_open(c, NETWORK_INCIDENT_FLAPPING, node, n->spec.prober, at, at);
  else if (!n->flapping && n->shown == NETWORK_UP && mine(c, node)) leave(c, node, at, at);
}

/* ---- windows ------------------------------------------------------------------------------------------------------- */

void core_window(struct core *c, int64_t id, int node, int64_t from, int64_t to) {
  for (int i = 0; i < c->window_count; i++)
    if (c->windows[i].id == id) {
      c->windows[i] = (struct core_window){id, from, to, node};
      return;
    }
  if (c->window_count == c->window_room) c->windows = base_realloc(c->windows, (size_t)(c->window_room = c->window_room * 2 + 16) * sizeof *c->windows);
  c->windows[c->window_count++] = (struct core_window){id, from, to, node};
}

void core_window_end(struct core *c, int64_t id, int64_t at) {
  for (int i = 0; i < c->window_count; i++)
    if (c->windows[i].id == id && c->windows[i].to > at) c->windows[i].to = at > c->windows[i].from ? at : c->windows[i].from;
}

/* The newest of the moments at which windows begin or end, up to now. */
static int64_t newest_edge(const struct core *c, int64_t now) {
  int64_t edge = 0;
  for (int i = 0; i < c->window_count; i++) {
    if (c->windows[i].from <= now && c->windows[i].from > edge) edge = c->windows[i].from;
    if (c->windows[i].to <= now && c->windows[i].to > edge) edge = c->windows[i].to;
  }
  return edge ? edge : now;
}

void core_time(struct core *c, int64_t now) {
  if (now > c->now) c->now = now;
  bool any = false;
  unsigned char *covered = NULL;
  if (c->window_count) {
    covered = base_alloc((size_t)c->count + 1);
    for (int i = 0; i < c->window_count; i++)
      if (c->windows[i].from <= now && now < c->windows[i].to) covered[c->windows[i].node] = 1;
    core_cut(c, covered);
    for (int i = 0; i < c->count; i++) any |= (covered[i] != 0) != c->nodes[i].covered;
  }
  if (any) {
    int64_t edge = newest_edge(c, now);
    for (int i = 0; i < c->count; i++) c->nodes[i].covered = covered[i] != 0;
    for (int o = 0; o < c->count; o++) core_show(c, c->order[o], edge, now);
  }
  free(covered);
  for (int i = 0; i < c->window_count;) {
    if (c->windows[i].to <= now) c->windows[i] = c->windows[--c->window_count];
    else i++;
  }
}

/* What the nodes are has changed: those no longer measured have no state and are part of nothing. */
void core_refresh(struct core *c, int64_t at) {
  for (int o = 0; o < c->count; o++) {
    struct core_node *n = &c->nodes[c->order[o]];
    if (!n->spec.measured && !n->spec.anchor) {
      if (n->incident) leave(c, c->order[o], at, at);
      n->hard = NETWORK_UNKNOWN;
      n->fails = 0;
      n->waiting = n->away = n->slow = n->flapping = false;
    }
    core_show(c, c->order[o], at, at);
  }
}

void core_rewind(struct core *c, int prober, int64_t at, void (*undo)(void *ctx, int node, int64_t since), void *ctx) {
  for (int i = 0; i < c->count; i++) {
    struct core_node *n = &c->nodes[i];
    if (n->spec.prober != prober || !n->away || n->shown != NETWORK_UNKNOWN || n->hard == NETWORK_UNKNOWN) continue;
    undo(ctx, i, n->shown_since);
    n->away = false;
    n->shown = n->hard;
    n->shown_since = n->hard_since;
    if (n->hard == NETWORK_UP && !(n->flapping && mine(c, i))) leave(c, i, at, at); /* of what cut its prober off */
    c->out.state(c->out.ctx, i, NETWORK_UNKNOWN, n->hard, n->hard_since, at, n->incident);
  }
  core_back(c, prober, at);
}
