/* Results come in, states go out. What is above is asked before what is below is judged. */
#include "network/inner_core.h"

#include <math.h>
#include <stdlib.h>

void core_defaults(struct core_config *c) {
  *c = (struct core_config){.attempts = 3, .retry_ms = 5000, .loss_begin = 0.03, .loss_end = 0.01, .rtt_begin = 250, .rtt_end = 200, .degraded_probes = 5};
}

static void ask(struct core *c, int node, int64_t delay) {
  if (c->nodes[node].spec.measured) c->out.probe(c->out.ctx, node, delay);
}

/* ---- what is seen ---------------------------------------------------------------------------------------- */

static enum network_state shown_of(const struct core_node *n) {
  if (n->spec.anchor) return NETWORK_UNKNOWN;
  if (n->covered) return NETWORK_MAINTENANCE;
  return n->away || !n->spec.measured ? NETWORK_UNKNOWN : n->hard;
}

/* The one place where a state that others see changes. */
void core_show(struct core *c, int node, int64_t since, int64_t at) {
  struct core_node *n = &c->nodes[node];
  enum network_state from = n->shown, to = shown_of(n);
  if (from == to) return;
  if (since < n->shown_since) since = n->shown_since;
  n->shown = to;
  n->shown_since = since;
  n->decided = at;
  core_incidents(c, node, from, to, since, at);
  c->out.state(c->out.ctx, node, from, to, since, at, n->incident);
}

static void set_hard(struct core *c, int node, enum network_state to, int64_t since, int64_t at) {
  struct core_node *n = &c->nodes[node];
  if (n->hard != to) {
    n->hard = to;
    n->hard_since = since;
  }
  n->waiting = false;
  n->away = false;
  core_show(c, node, since, at);
}

/* ---- what is above ------------------------------------------------------------------------------------------- */

static bool dead(const struct core_node *n) { return n->hard == NETWORK_DOWN || n->hard == NETWORK_UNREACHABLE; }

bool core_all_dead(const struct core *c, const struct core_node *n) {
  for (int i = 0; i < n->way_count; i++)
    if (!dead(&c->nodes[n->ways[i]]) || c->nodes[n->ways[i]].away) return false;
  return n->way_count > 0;
}

enum way { WAY_ALIVE, WAY_DEAD, WAY_PENDING };

/* What another prober measures above n may be seen otherwise from where n is measured: with the hub's line cut, the hub is dead to the centre, and alive to the prober that stands there. What
 * hangs on nothing else and is measured from the same place tells. Dead: nothing there tells anything. */
static enum way beside(struct core *c, const struct core_node *n, int above) {
  const struct core_node *p = &c->nodes[above];
  enum way found = WAY_DEAD;
  for (int i = 0; p->spec.prober != n->spec.prober && i < p->below_count; i++) {
    const struct core_node *s = &c->nodes[p->below[i]];
    if (s == n || s->spec.prober != n->spec.prober || s->way_count != 1 || s->fails || s->away || dead(s) || !s->last_ok_at) continue;
    if (s->last_ok_sent >= n->last_fail_at) return WAY_ALIVE;
    if (found == WAY_DEAD) ask(c, p->below[i], 0);
    found = WAY_PENDING;
  }
  return found;
}

/* Alive: it answered a probe that began after the last one that node n lost, and node n lost one that began after an earlier answer of something above. */
static enum way way_of(struct core *c, const struct core_node *n, int above) {
  const struct core_node *p = &c->nodes[above];
  enum way seen = beside(c, n, above);
  if (seen != WAY_DEAD) return seen;
  if (dead(p) && !p->away) return WAY_DEAD;
  if (p->fails == 0 && p->last_ok_sent >= n->last_fail_at) return WAY_ALIVE;
  if (p->fails == 0) ask(c, above, 0); /* when it fails, it asks again by itself */
  return WAY_PENDING;
}

static bool cut_above(struct core *c, const struct core_node *n) {
  bool cut = core_all_dead(c, n);
  for (int i = 0; cut && i < n->way_count; i++) cut = beside(c, n, n->ways[i]) == WAY_DEAD;
  return cut;
}

/* For those with nothing above: the anchors, or else the other roots, prove that the prober itself is connected. */
static enum way anchors(struct core *c, int self) {
  struct core_node *n = &c->nodes[self];
  bool own = false, any = false, failing = true, over = true;
  for (int i = 0; i < c->count; i++) own |= c->nodes[i].spec.anchor && c->nodes[i].spec.prober == n->spec.prober;
  for (int i = 0; i < c->count; i++) {
    struct core_node *p = &c->nodes[i];
    bool is = p->spec.measured && p->spec.prober == n->spec.prober && (own ? p->spec.anchor : p->way_count == 0);
    if (!is || (i == self && own)) continue;
    if (i != self) {
      any = true;
      if (p->fails == 0 && p->last_ok_sent >= n->last_fail_at) return WAY_ALIVE;
      if (p->fails == 0 && !p->unsent) ask(c, i, 0);
    }
    failing &= p->fails > 0 || p->unsent > 0;
    over &= p->fails >= c->config.attempts || p->unsent >= c->config.attempts || (!own && dead(p));
  }
  if (!any) return WAY_ALIVE;
  return failing && over ? WAY_DEAD : WAY_PENDING;
}

static int64_t first_of_all(const struct core *c, int prober, int64_t at) {
  for (int i = 0; i < c->count; i++) {
    const struct core_node *n = &c->nodes[i];
    if (n->spec.prober == prober && (n->spec.anchor || n->way_count == 0) && n->fails && !dead(n) && n->first_fail < at) at = n->first_fail;
  }
  return at;
}

/* Nothing above it is measured by its own prober. */
static bool topmost(const struct core *c, const struct core_node *n) {
  for (int i = 0; i < n->way_count; i++)
    if (c->nodes[n->ways[i]].spec.prober == n->spec.prober) return false;
  return true;
}

/* Nothing leaves this prober any more, or nothing of what proves that it is connected answers. */
static bool cut_off(const struct core *c, int prober) {
  bool unsent = false;
  int many = 0;
  for (int i = 0; i < c->count; i++) {
    const struct core_node *n = &c->nodes[i];
    if (!n->spec.measured || n->spec.prober != prober || (!n->spec.anchor && !topmost(c, n))) continue;
    if (n->unsent < c->config.attempts && n->fails < c->config.attempts) return false;
    unsent |= n->unsent > 0;
    many++;
  }
  return unsent && many > 0;
}

/* ---- judgement -------------------------------------------------------------------------------------------------- */

static void lost(struct core *c, int node, enum network_state to, int64_t at) {
  struct core_node *n = &c->nodes[node];
  int64_t since = n->first_fail;
  if (to == NETWORK_UNREACHABLE) n->vouched = 0;
  n->slow = false;
  set_hard(c, node, to, since, at);
  for (int i = 0; i < n->below_count; i++) { /* what hangs on nothing else is looked at now */
    struct core_node *b = &c->nodes[n->below[i]];
    if (b->waiting || b->fails) core_judge(c, n->below[i], at);
    else if (!dead(b) && core_all_dead(c, b)) ask(c, n->below[i], 0);
  }
}

/* Node has lost its last probe. Decide, or ask what is above and wait. */
void core_judge(struct core *c, int node, int64_t at) {
  struct core_node *n = &c->nodes[node];
  if (!n->fails || n->hard == NETWORK_DOWN || n->spec.anchor) return;
  if (c->probers_away >> n->spec.prober & 1) return;
  if (cut_above(c, n)) {
    if (n->hard != NETWORK_UNREACHABLE || n->away) lost(c, node, NETWORK_UNREACHABLE, at);
    return;
  }
  bool alive = false, pending = false;
  for (int i = 0; i < n->way_count; i++) {
    enum way w = way_of(c, n, n->ways[i]);
    alive |= w == WAY_ALIVE;
    pending |= w == WAY_PENDING;
  }
  if (n->fails < c->config.attempts) return;
  n->waiting = true;
  if (n->way_count == 0) {
    c->roots_wait = true;
    enum way w = anchors(c, node);
    if (w == WAY_ALIVE) lost(c, node, NETWORK_DOWN, at);
    else if (w == WAY_DEAD) core_away(c, n->spec.prober, first_of_all(c, n->spec.prober, n->first_fail), at, true);
    return;
  }
  if (!alive) return; /* pending: some of those above are asked; their answers, or their own judgement, come back here */
  if (n->vouched && n->last_fail_sent >= n->vouched) lost(c, node, NETWORK_DOWN, at);
  else ask(c, node, 0); /* once more, now that what is above is known to answer */
}

static void answered_above(struct core *c, int node, const struct core_result *r, bool recovered) {
  struct core_node *p = &c->nodes[node];
  for (int i = 0; i < p->below_count; i++) {
    struct core_node *n = &c->nodes[p->below[i]];
    if (recovered && n->hard == NETWORK_UNREACHABLE) { /* its silence counts anew */
      n->fails = 0;
      n->vouched = 0;
      ask(c, p->below[i], 0);
      continue;
    }
    if (!n->fails) continue;
    if (!n->vouched && r->sent_at >= n->first_fail) n->vouched = r->at;
    if (n->waiting) core_judge(c, p->below[i], r->at);
  }
}

/* It answered the prober that measures its neighbours as well, and thereby what they have above them did, too (see beside). */
static void answered_beside(struct core *c, int node, const struct core_result *r) {
  const struct core_node *n = &c->nodes[node];
  if (n->way_count != 1 || c->nodes[n->ways[0]].spec.prober == n->spec.prober) return;
  const struct core_node *p = &c->nodes[n->ways[0]];
  for (int i = 0; i < p->below_count; i++) {
    struct core_node *s = &c->nodes[p->below[i]];
    if (s == n || !s->fails || s->spec.prober != n->spec.prober) continue;
    if (!s->vouched && r->sent_at >= s->first_fail) s->vouched = r->at;
    if (s->waiting) core_judge(c, p->below[i], r->at);
  }
}

/* Is something above of bad quality too, or about to be? */
static bool suspect_above(const struct core *c, const struct core_node *n) {
  for (int i = 0; i < n->way_count; i++) {
    const struct core_node *p = &c->nodes[n->ways[i]];
    double rtt = recent_rtt(&p->recent);
    if (p->slow || recent_loss(&p->recent) >= c->config.loss_begin / 2 || (!isnan(rtt) && rtt >= c->config.rtt_begin / 2)) return true;
  }
  return false;
}

/* Did something above, at any distance, fall silent or come back since this one last answered without a loss? Then ways were changed, and what that cost is no quality of this one. */
static bool shaken_above(const struct core *c, const struct core_node *n, int64_t since, int *left) {
  for (int i = 0; i < n->way_count && (*left)-- > 0; i++) {
    const struct core_node *p = &c->nodes[n->ways[i]];
    bool silent = p->fails || dead(p), back = !silent && p->back_at && p->back_at >= since;
    if ((silent && p->first_fail >= since) || back || shaken_above(c, p, since, left)) return true;
  }
  return false;
}

static void judge_quality(struct core *c, int node, int64_t at) {
  struct core_node *n = &c->nodes[node];
  double loss = recent_loss(&n->recent), rtt = recent_rtt(&n->recent);
  if (n->slow) {
    if (loss < c->config.loss_end && !(rtt >= c->config.rtt_end)) n->slow = false;
  } else if (n->recent.count >= c->config.degraded_probes && ((loss >= c->config.loss_begin && recent_lossy(&n->recent) > 1) || rtt >= c->config.rtt_begin)) {
    bool above = false;
    int left = 64;
    for (int i = 0; i < n->way_count; i++) above |= c->nodes[n->ways[i]].slow;
    bool wait = suspect_above(c, n) || (!(rtt >= c->config.rtt_begin) && shaken_above(c, n, n->lossy_after, &left));
    if (above || !wait || n->quality_wait++ >= CORE_RECENT) n->slow = true;
  } else n->quality_wait = 0;
  if (n->slow) n->quality_wait = 0;
  bool bad = n->slow || n->checks_failed;
  if (bad != (n->hard == NETWORK_DEGRADED)) set_hard(c, node, bad ? NETWORK_DEGRADED : NETWORK_UP, at, at);
}

/* What happens above is not this node's flapping. */
static void count_change(struct core *c, int node, bool failed, int64_t at) {
  struct core_node *n = &c->nodes[node];
  bool above = false;
  double worst = 0;
  for (int i = 0; i < n->way_count; i++) {
    const struct core_node *p = &c->nodes[n->ways[i]];
    above |= p->fails == 0 && !dead(p);
    if (flap_percent(&p->flap) > worst) worst = flap_percent(&p->flap);
  }
  flap_add(&n->flap, failed && (n->way_count == 0 || above));
  double percent = flap_percent(&n->flap);
  bool was = n->flapping;
  if (!was && percent > 30 && worst < 15) n->flapping = true;
  if (was && percent < 25) n->flapping = false;
  if (was != n->flapping && !n->covered && !n->away) core_flapping(c, node, at);
}

static void answered(struct core *c, const struct core_result *r) {
  struct core_node *n = &c->nodes[r->node];
  bool recovered = dead(n), fresh = recovered || n->hard == NETWORK_UNKNOWN, edge = n->fails > 0;
  if (edge) n->back_at = r->sent_at;
  n->fails = 0;
  n->vouched = 0;
  n->waiting = false;
  n->last_ok_sent = r->sent_at;
  n->last_ok_at = r->at;
  if (n->spec.anchor) return;
  if (recovered) n->recent = (struct recent){0};
  int lost = edge ? 0 : r->m.lost; /* the end of an interruption: that it was is told by its silence */
  if (lost && !recent_lossy(&n->recent)) n->lossy_after = n->whole_at;
  if (!r->m.lost) n->whole_at = r->sent_at;
  recent_add(&n->recent, r->m.sent, lost, r->m.median);
  if (fresh || n->away) {
    n->away = false;
    if (fresh) {
      n->slow = false;
      set_hard(c, r->node, n->checks_failed ? NETWORK_DEGRADED : NETWORK_UP, r->sent_at, r->at);
    } else core_show(c, r->node, r->sent_at, r->at);
  }
  judge_quality(c, r->node, r->at);
  answered_above(c, r->node, r, recovered);
  answered_beside(c, r->node, r);
}

static void silent(struct core *c, const struct core_result *r) {
  struct core_node *n = &c->nodes[r->node];
  if (n->fails++ == 0) {
    recent_forgive(&n->recent);
    n->first_fail = r->sent_at;
    n->vouched = 0;
  }
  n->last_fail_sent = r->sent_at;
  n->last_fail_at = r->at;
  if (n->spec.anchor) {
    if (n->fails <= c->config.attempts) ask(c, r->node, c->config.retry_ms);
    return;
  }
  if (n->away && n->hard == NETWORK_DOWN) { /* as it was before the prober went */
    n->away = false;
    core_show(c, r->node, r->sent_at, r->at);
    return;
  }
  if (n->hard == NETWORK_DOWN) return;
  if (n->fails < c->config.attempts) ask(c, r->node, c->config.retry_ms);
  core_judge(c, r->node, r->at);
}

/* Begun before the centre was known to be cut off, and answered in part: the end of what was, not the beginning of what is. */
static bool stale(const struct core *c, const struct core_node *n, const struct core_result *r) {
  for (int i = 0; !n->spec.prober && i < c->open_count; i++)
    if (c->open[i].kind == NETWORK_INCIDENT_PROBER && !c->open[i].prober) return r->sent_at < c->open[i].decided;
  return false;
}

void core_result(struct core *c, const struct core_result *r) {
  if (r->node < 0 || r->node >= c->count || !c->nodes[r->node].spec.measured) return;
  struct core_node *n = &c->nodes[r->node];
  if (r->at > c->now) c->now = r->at;
  n->last_at = r->at;
  if (r->unsent || r->m.sent == 0) {
    if (n->unsent++ == 0) n->first_unsent = r->sent_at;
    if (n->unsent < c->config.attempts) ask(c, r->node, c->config.retry_ms);
    else if (topmost(c, n) && cut_off(c, n->spec.prober)) core_away(c, n->spec.prober, n->first_unsent, r->at, true);
    else if (!n->away && !n->spec.anchor) {
      n->away = true;
      core_show(c, r->node, n->first_unsent, r->at);
    }
    return;
  }
  n->unsent = 0;
  n->last = r->m;
  bool failed = r->m.lost >= r->m.sent;
  if (!failed && stale(c, n, r)) return;
  if (!failed && c->probers_away >> n->spec.prober & 1) core_back(c, n->spec.prober, r->sent_at);
  if (!n->spec.anchor && !(c->probers_away >> n->spec.prober & 1)) count_change(c, r->node, failed, r->at);
  if (failed) silent(c, r);
  else answered(c, r);
  if (n->way_count || !c->roots_wait) return;
  c->roots_wait = false;
  for (int i = 0; i < c->count; i++) /* an anchor or a root spoke: others with nothing above may wait for it */
    if (c->nodes[i].way_count == 0 && c->nodes[i].waiting) core_judge(c, i, r->at);
}

void core_check(struct core *c, int node, int check, bool ok, int64_t at) {
  if (node < 0 || node >= c->count || check < 0 || check > 31) return;
  struct core_node *n = &c->nodes[node];
  uint32_t bit = 1u << check, before = n->checks_failed;
  if (at > c->now) c->now = at;
  if (ok) {
    n->check_fails[check] = 0;
    n->checks_failed &= ~bit;
  } else if (dead(n) || n->fails || n->away) return; /* nothing of it can answer: that is told already */
  else if (++n->check_fails[check] >= c->config.attempts) {
    n->check_fails[check] = (uint8_t)c->config.attempts;
    n->checks_failed |= bit;
  }
  if (before != n->checks_failed && (n->hard == NETWORK_UP || n->hard == NETWORK_DEGRADED)) judge_quality(c, node, at);
}

/* ---- the prober itself ------------------------------------------------------------------------------------------------ */

/* Which of the incidents in list[] n has above it, too, on a line that another prober measures; how many are left. doubted: as in core_behind. */
static int causes_above(struct core *c, const struct core_node *n, int64_t list[CORE_WAYS_MOST], int many, int64_t doubted, bool *wait) {
  int left = 0;
  int64_t found[CORE_WAYS_MOST];
  for (int i = 0; i < n->way_count; i++) {
    const struct core_node *p = &c->nodes[n->ways[i]];
    bool listed = many < 0;
    for (int k = 0; k < many; k++) listed |= list[k] == p->incident;
    if (dead(p) && !p->away && p->incident && listed) found[left++] = p->incident;
    else if (dead(p) || p->away || !wait) continue;
    else if (p->fails) *wait = true;
    else if (p->last_ok_sent < doubted) {
      ask(c, n->ways[i], 0);
      *wait = true;
    }
  }
  for (int k = 0; k < left; k++) list[k] = found[k];
  return left;
}

int64_t core_behind(struct core *c, int prober, int64_t doubted, bool *wait) {
  int64_t list[CORE_WAYS_MOST];
  int many = -1;
  bool pending = false, covered = false;
  for (int i = 0; prober && i < c->open_count; i++)
    if (c->open[i].kind == NETWORK_INCIDENT_PROBER && !c->open[i].prober) return c->open[i].id; /* the centre is cut off itself, and so from every prober elsewhere */
  if (prober && c->probers_away & 1) return -1;
  for (int i = 0; prober && i < c->count && many; i++) {
    const struct core_node *n = &c->nodes[i];
    if (!n->spec.measured || n->spec.anchor || n->spec.prober != prober || !topmost(c, n)) continue;
    covered |= n->covered;
    if (!n->covered) many = causes_above(c, n, list, many, doubted, wait ? &pending : NULL);
  }
  if (wait) *wait = many == 0 && pending;
  return many > 0 ? list[0] : many < 0 && covered ? -1 : 0;
}

bool core_missed(const struct core *c, int prober) {
  for (int i = 0; i < c->open_count; i++)
    if (c->open[i].kind == NETWORK_INCIDENT_PROBER && c->open[i].prober == prober) return true;
  return false;
}

void core_away(struct core *c, int prober, int64_t since, int64_t at, bool incident) {
  bool was = c->probers_away >> prober & 1;
  int64_t behind = incident ? core_behind(c, prober, 0, NULL) : 0;
  c->probers_away |= UINT64_C(1) << prober;
  if (incident && !behind && !core_missed(c, prober)) core_open(c, NETWORK_INCIDENT_PROBER, -1, prober, since, at);
  if (was) return;
  for (int i = 0; i < c->count; i++) {
    struct core_node *n = &c->nodes[i];
    if (n->spec.prober != prober || !n->spec.measured) continue;
    n->away = true;
    n->waiting = false;
    n->fails = 0;
    n->vouched = 0;
    n->unsent = 0;
    n->recent = (struct recent){0};
    if (behind > 0 && !n->incident && !n->covered) core_join(c, i, behind, since, at);
    core_show(c, i, since, at);
  }
}

void core_back(struct core *c, int prober, int64_t at) {
  if (!(c->probers_away >> prober & 1)) return;
  c->probers_away &= ~(UINT64_C(1) << prober);
  for (int i = 0; i < c->open_count; i++)
    if (c->open[i].kind == NETWORK_INCIDENT_PROBER && c->open[i].prober == prober) {
      core_close(c, c->open[i].id, at, at);
      break;
    }
  for (int i = 0; i < c->count; i++)
    if (c->nodes[i].spec.prober == prober) {
      c->nodes[i].unsent = 0; /* what could not be sent while it was away does not make it away again */
      ask(c, i, i % 1000 * 10);
    }
}
