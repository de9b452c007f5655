/* Checks of a hub's offices beside the echo, from a thread of their own. What came waits here until the measuring thread takes it along. */
#include "network/hub.h"
#include "network/checks.h"

#include <stdlib.h>
#include <string.h>

enum { IDLE_MS = 100 };

struct asked { struct hub_spot s; int64_t due[CHECKS_MOST]; json_t *rows; int64_t rows_at; char mark[17]; };
struct hub_checks {
  struct checks_for f;
  volatile bool *stop;
  pthread_mutex_t lock;              /* everything below */
  struct asked *of;
  int count, at[2], check_ms;
  json_t *came;
  struct hub_again again;
};

static bool next(void *ctx, bool snmp, struct asking *out) {
  struct hub_checks *c = ctx;
  bool found = false;
  pthread_mutex_lock(&c->lock);
  c->f.check_ms = c->check_ms;
  for (int steps = 0; steps < c->count && !found; steps++) {
    int i = c->at[snmp] = (c->at[snmp] + 1) % c->count;
    struct asked *k = &c->of[i];
    if (!k->s.checks || !checks_turn(k->s.check, k->s.checks, k->s.icmp, i, k->s.interval, hub_pause(&c->again, k->s.interval, k->s.fails), snmp, k->due, out)) continue;
    found = true;
    out->node = i;
    snprintf(out->code, sizeof out->code, "%s", k->s.code);
    snprintf(out->address, sizeof out->address, "%s", k->s.address);
  }
  pthread_mutex_unlock(&c->lock);
  return found;
}

/* What was asked, as long as the plan has it so; under the lock. */
static struct asked *still(struct hub_checks *c, const struct asking *a) {
  struct asked *k = a->node < c->count ? &c->of[a->node] : NULL;
  return k && base_same(k->s.code, a->code) && base_same(k->s.address, a->address) && a->number < k->s.checks && memcmp(&k->s.check[a->number], &a->check, sizeof a->check) == 0 ? k : NULL;
}

static void judge(void *ctx, const struct asking *a, enum check_cause cause, double ms) {
  struct hub_checks *c = ctx;
  char mark[17];
  check_mark(&a->check, mark);
  pthread_mutex_lock(&c->lock);
  struct asked *k = still(c, a);
  int64_t at = hub_age();
  if (k && a->primary) {
    struct core_result r = {.sent_at = at - (clock_mono() - a->began)};
    k->s.fails = cause != CHECK_OK ? k->s.fails + 1 : 0;
    measure(&r.m, cause >= CHECK_OK, &ms, cause == CHECK_OK);
    json_array_append_new(c->came, hub_sample(k->s.code, &r));
  }
  if (k) json_array_append_new(c->came, json_pack("[s,I,s,i,s,s]", k->s.code, (json_int_t)at, "check", a->number, mark, check_cause_text(cause)));
  pthread_mutex_unlock(&c->lock);
}

/* The newest reading alone is told. */
static void take_rows(void *ctx, const struct asking *a, json_t *rows) {
  struct hub_checks *c = ctx;
  json_t *list = json_array(), *row;
  size_t i;
  json_array_foreach(rows, i, row) {
    json_t *r = json_array();
    for (size_t f = 0; f < HUB_ROW; f++) json_array_append(r, json_object_get(row, hub_row_names[f]));
    json_array_append_new(list, r);
  }
  pthread_mutex_lock(&c->lock);
  struct asked *k = still(c, a);
  if (k) {
    json_decref(k->rows);
    k->rows = json_incref(list);
    k->rows_at = hub_age();
    check_mark(&a->check, k->mark);
  }
  json_decref(list);
  pthread_mutex_unlock(&c->lock);
}

static bool over(void *ctx) { return *((struct hub_checks *)ctx)->stop; }

struct hub_checks *hub_checks_new(const char *access, volatile bool *stop) {
  struct hub_checks *c = base_alloc(sizeof *c);
  c->stop = stop;
  c->came = json_array();
  c->f = (struct checks_for){.ctx = c, .next = next, .judge = judge, .rows = take_rows, .over = over, .access = access, .idle_ms = IDLE_MS};
  pthread_mutex_init(&c->lock, NULL);
  return c;
}

static void forget(struct hub_checks *c) {
  for (int i = 0; i < c->count; i++) json_decref(c->of[i].rows);
  free(c->of);
}

void hub_checks_free(struct hub_checks *c) {
  if (!c) return;
  forget(c);
  json_decref(c->came);
  pthread_mutex_destroy(&c->lock);
  free(c);
}

void hub_checks_plan(struct hub_checks *c, const struct hub_spot *spots, int count, int check_ms, const struct hub_again *again) {
  pthread_mutex_lock(&c->lock);
  forget(c);
  c->of = base_alloc(((size_t)count + 1) * sizeof *c->of);
  c->count = count;
  c->check_ms = check_ms;
  c->again = *again;
  c->at[0] = c->at[1] = 0;
  for (int i = 0; i < count; i++) c->of[i].s = spots[i];
  pthread_mutex_unlock(&c->lock);
}

void hub_checks_take(struct hub_checks *c, json_t *samples) {
  pthread_mutex_lock(&c->lock);
  json_array_extend(samples, c->came);
  json_array_clear(c->came);
  pthread_mutex_unlock(&c->lock);
}

/* A list of each office's own, so that the reporting thread and this one never hold the same. */
json_t *hub_checks_rows(struct hub_checks *c, size_t most) {
  json_t *all = json_array();
  size_t rows = 0;
  pthread_mutex_lock(&c->lock);
  for (int i = 0; i < c->count && rows < most; i++) {
    const struct asked *k = &c->of[i];
    if (!k->rows || (rows && rows + json_array_size(k->rows) > most)) continue;
    rows += json_array_size(k->rows);
    json_array_append_new(all, json_pack("[s,I,s,o]", k->s.code, (json_int_t)k->rows_at, k->mark, json_deep_copy(k->rows)));
  }
  pthread_mutex_unlock(&c->lock);
  return all;
}

void hub_checks_told(struct hub_checks *c, const json_t *rows) {
  size_t i;
  const json_t *one;
  pthread_mutex_lock(&c->lock);
  int k = 0; /* both in the order of the plan */
  json_array_foreach(rows, i, one) {
    const char *code = json_string_value(json_array_get(one, 0));
    int from = k;
    while (k < c->count && !base_same(c->of[k].s.code, code)) k++;
    if (k == c->count) k = from; /* another plan came meanwhile */
    else if (c->of[k].rows_at == json_integer_value(json_array_get(one, 1))) {
      json_decref(c->of[k].rows);
      c->of[k].rows = NULL;
    }
  }
  pthread_mutex_unlock(&c->lock);
}

void *hub_checks_main(void *ctx) {
  struct hub_checks *c = ctx;
  checks_run(&c->f);
  return NULL;
}
