/* Checks of the centre's own offices: whose turn it is, and what is made of what came. */
#include "network/checks.h"
#include "network/inner_core.h"

#include <stdlib.h>
#include <string.h>

struct centre {
  struct network *n;
  int64_t *due;                      /* CHECKS_MOST of each node */
  int room, at[2];                   /* at: the node that was looked at last, for connections and for agents of SNMP */
};

static bool due_now(struct centre *c, int i, bool snmp, struct asking *out) {
  const struct network *n = c->n;
  const struct node *node = &n->nodes[i];
  const struct core_node *core = &n->core->nodes[i];
  if (!node->active || node->prober || !node->checks) return false;
  bool retry = core->fails > 0 && core->fails < n->o.attempts;
  int64_t *due = &c->due[(size_t)i * CHECKS_MOST];
  if (!checks_turn(node->check, node->checks, node->icmp, i, node->o.interval_ms, retry ? n->o.retry_ms : node->o.interval_ms, snmp, due, out)) return false;
  out->node = i;
  snprintf(out->address, sizeof out->address, "%s", node->o.address);
  snprintf(out->code, sizeof out->code, "%s", node->o.code);
  return true;
}

static bool next(void *ctx, bool snmp, struct asking *out) {
  struct centre *c = ctx;
  struct network *n = c->n;
  bool found = false;
  pthread_mutex_lock(&n->lock);
  if (n->real > c->room) {
    c->due = base_realloc(c->due, (size_t)n->real * CHECKS_MOST * sizeof *c->due);
    memset(c->due + (size_t)c->room * CHECKS_MOST, 0, (size_t)(n->real - c->room) * CHECKS_MOST * sizeof *c->due);
    c->room = n->real;
  }
  for (int steps = 0; n->holder && steps < n->real && !found; steps++) found = due_now(c, c->at[snmp] = (c->at[snmp] + 1) % n->real, snmp, out);
  pthread_mutex_unlock(&n->lock);
  return found;
}

/* The node that was asked, as long as the plan has it so; under the lock. */
static struct node *still(struct network *n, const struct asking *a) {
  struct node *node = n->holder ? (struct node *)(uintptr_t)network_at(n, a->code) : NULL;
  return node && !node->prober && a->number < node->checks && base_same(node->o.address, a->address) && memcmp(&node->check[a->number], &a->check, sizeof a->check) == 0 ? node : NULL;
}

void checks_result(struct network *n, int at_node, int number, enum check_cause cause, int64_t at) {
  struct node *node = &n->nodes[at_node];
  bool primary = !node->icmp && number == 0 && node->check[0].kind != CHECK_SNMP;
  if (!primary && cause >= CHECK_OK) core_check(n->core, at_node, number, cause == CHECK_OK, at);
  if (node->cause[number] != cause) {
    struct op o = {.kind = OP_CHECK, .node = at_node, .code = node->o.code, .number = number, .cause = cause, .decided = at};
    check_text(&node->check[number], o.what);
    network_op(n, o);
  }
  node->cause[number] = cause;
}

void checks_rows(struct network *n, int node, json_t *rows) {
  network_op(n, (struct op){.kind = OP_INTERFACES, .node = node, .code = n->nodes[node].o.code, .rows = json_incref(rows)});
}

static void judge(void *ctx, const struct asking *a, enum check_cause cause, double ms) {
  struct network *n = ((struct centre *)ctx)->n;
  pthread_mutex_lock(&n->lock);
  int64_t at = network_label(n);
  const struct node *node = still(n, a);
  if (node && a->primary) {
    struct core_result r = {.node = node->o.node, .sent_at = at - (clock_mono() - a->began), .at = at, .unsent = cause < CHECK_OK};
    measure(&r.m, r.unsent ? 0 : 1, &ms, cause == CHECK_OK);
    network_take(n, &r, 0);
  }
  if (node) checks_result(n, node->o.node, a->number, cause, at);
  pthread_mutex_unlock(&n->lock);
}

/* The same moment for all rows of a reading: rows of the office that are older are of interfaces that are no more. */
static void take_rows(void *ctx, const struct asking *a, json_t *rows) {
  struct network *n = ((struct centre *)ctx)->n;
  pthread_mutex_lock(&n->lock);
  const struct node *node = still(n, a);
  if (node) checks_rows(n, node->o.node, rows);
  pthread_mutex_unlock(&n->lock);
}

static bool over(void *ctx) {
  struct network *n = ((struct centre *)ctx)->n;
  pthread_mutex_lock(&n->lock);
  bool stopping = n->stopping;
  pthread_mutex_unlock(&n->lock);
  return stopping;
}

void *network_checks_main(void *ctx) {
  struct network *n = ctx;
  struct centre c = {.n = n};
  struct checks_for f = {.ctx = &c, .next = next, .judge = judge, .rows = take_rows, .over = over, .access = n->snmp_access, .check_ms = n->o.check_ms, .idle_ms = n->o.retry_ms < 100 ? n->o.retry_ms : 100};
  checks_run(&f);
  free(c.due);
  return NULL;
}
