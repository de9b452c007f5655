/* Agents of SNMP: who is asked when, and what their counters say of the time between two readings. What they are asked is in agent.c. */
#include "network/checks.h"

#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_MS = 20 };

int64_t snmp_rate(uint64_t now, uint64_t before, int64_t ms, bool wide, bool rebooted, uint64_t speed) {
  if (ms <= 0 || rebooted || (wide && now < before)) return -1;
  uint64_t passed = wide || now >= before ? now - before : now + (1ull << 32) - before;
  double bps = (double)passed * 8000.0 / (double)ms;
  return bps > 4e12 || (speed && bps > (double)speed * 1.1) ? -1 : (int64_t)bps; /* faster than anything, or than the line: not believed */
}

/* ---- the thread ------------------------------------------------------------------------------------------------------------ */

/* What an agent said the last time. */
struct before { struct interface *list; int count; int64_t at, uptime; char address[64]; struct check check; };
struct agents { struct before *of; int room; }; /* by node */

static const struct interface *same(const struct before *b, const struct interface *i) {
  for (int k = 0; k < b->count; k++)
    if (b->list[k].number == i->number && b->list[k].wide == i->wide && strcmp(b->list[k].name, i->name) == 0) return &b->list[k];
  return NULL;
}

static int64_t fits(uint64_t v) { return (int64_t)(v & INT64_MAX); }

static json_t *rows_of(const struct before *b, const struct before *now) {
  json_t *rows = json_array();
  int64_t at = clock_now();
  bool rebooted = b->uptime < 0 || now->uptime < b->uptime; /* one that does not tell how long it runs: who knows */
  for (int i = 0; i < now->count; i++) {
    const struct interface *k = &now->list[i], *was = same(b, k);
    json_t *r = json_object();
    const struct { const char *name; int64_t value; } figures[] = {{"number", k->number}, {"up", k->up}, {"in_octets", fits(k->in)}, {"out_octets", fits(k->out)}, {"in_errors", fits(k->in_errors)},
      {"out_errors", fits(k->out_errors)}, {"in_bps", was ? snmp_rate(k->in, was->in, now->at - b->at, k->wide, rebooted, k->speed) : -1},
      {"out_bps", was ? snmp_rate(k->out, was->out, now->at - b->at, k->wide, rebooted, k->speed) : -1}, {"at", at}};
    for (size_t f = 0; f < BASE_COUNT(figures); f++) json_object_set_new(r, figures[f].name, json_integer(figures[f].value));
    json_put(r, "name", k->name);
    json_array_append_new(rows, r);
  }
  return rows;
}

/* The same moment for all rows of a reading: rows of the office that are older are of interfaces that are no more. */
static void put_rows(struct network *n, const struct asking *a, json_t *rows) {
  pthread_mutex_lock(&n->lock);
  const struct node *there = n->holder ? network_at(n, a->code) : NULL;
  if (there && base_same(there->o.address, a->address)) network_op(n, (struct op){.kind = OP_INTERFACES, .node = there->o.node, .code = there->o.code, .rows = json_incref(rows)});
  pthread_mutex_unlock(&n->lock);
}

static struct before *last_of(struct agents *k, const struct asking *a) {
  if (a->node >= k->room) {
    int room = a->node + 256;
    k->of = base_realloc(k->of, (size_t)room * sizeof *k->of);
    memset(k->of + k->room, 0, (size_t)(room - k->room) * sizeof *k->of);
    k->room = room;
  }
  struct before *b = &k->of[a->node];
  if (strcmp(b->address, a->address) == 0 && memcmp(&b->check, &a->check, sizeof b->check) == 0) return b;
  free(b->list);
  *b = (struct before){.uptime = -1, .check = a->check}; /* another agent */
  snprintf(b->address, sizeof b->address, "%s", a->address);
  return b;
}

static void take_reading(struct network *n, struct agents *k, const struct asking *a, const struct interface *list, int count, int64_t uptime) {
  struct before *was = last_of(k, a), now = *was;
  now.list = base_alloc((size_t)count * sizeof *now.list);
  memcpy(now.list, list, (size_t)count * sizeof *now.list);
  now.count = count;
  now.uptime = uptime;
  now.at = clock_mono();
  json_t *rows = rows_of(was, &now);
  put_rows(n, a, rows);
  json_decref(rows);
  free(was->list);
  *was = now;
}

/* Those that are asked now stand first. */
struct reading { struct agent *of[AGENTS_MOST]; struct asking a[AGENTS_MOST]; int count; };

static void begin_due(struct network *n, struct turns *turns, struct reading *k) {
  while (k->count < AGENTS_MOST && checks_next(n, turns, true, &k->a[k->count])) {
    struct asking *a = &k->a[k->count];
    k->of[k->count++] = agent_begin(a->address, a->check.rest);
  }
}

static void end_done(struct network *n, struct agents *agents, struct reading *k) {
  for (int i = 0; i < k->count;) {
    const struct interface *list;
    enum check_cause cause;
    int count;
    int64_t uptime;
    if (!agent_over(k->of[i], &cause, &list, &count, &uptime)) {
      i++;
      continue;
    }
    if (cause == CHECK_OK) take_reading(n, agents, &k->a[i], list, count, uptime);
    checks_judge(n, &k->a[i], cause, 0);
    agent_end(k->of[i]);
    k->of[i] = k->of[--k->count];
    k->a[i] = k->a[k->count];
  }
}

void *network_snmp_main(void *ctx) {
  struct network *n = ctx;
  struct turns turns = {0};
  struct agents agents = {0};
  struct reading *k = base_alloc(sizeof *k);
  int64_t looked = 0;
  snmp_disable_log(); /* sessions set the library up as far as version 2c needs: no files of names, no configuration */
  for (bool stopping = false; !stopping;) {
    if (clock_mono() - looked >= LOOK_MS) { /* answers come far more often than turns */
      begin_due(n, &turns, k);
      looked = clock_mono();
    }
    if (k->count) agents_turn(k->of, k->count, LOOK_MS);
    else clock_wait(n->o.retry_ms < 100 ? n->o.retry_ms : 100);
    end_done(n, &agents, k);
    pthread_mutex_lock(&n->lock);
    stopping = n->stopping;
    pthread_mutex_unlock(&n->lock);
  }
  for (int i = 0; i < k->count; i++) agent_end(k->of[i]);
  for (int i = 0; i < agents.room; i++) free(agents.of[i].list);
  free(agents.of);
  free(turns.due);
  free(k);
  return NULL;
}
