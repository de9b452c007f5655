/* Agents of SNMP: who is asked when, and what their counters say of the time between two readings. What they are asked is in agent.c. */
#include "network/checks.h"
#include "network/usm.h"

#include <net-snmp/net-snmp-config.h>
#include <net-snmp/net-snmp-includes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ACCESS_MS = 2000, UPTIME_APART = 600 };

bool snmp_rebooted(int64_t uptime, int64_t before, int64_t ms) {
  if (uptime < 0 || before < 0) return true; /* one that does not tell how long it runs: who knows */
  int64_t passed = (int32_t)(uint32_t)(uptime - before), apart = passed - ms / 10, most = UPTIME_APART + ms / 200; /* a reading takes its time, and clocks differ */
  return passed < 0 || apart > most || apart < -most;
}

int64_t snmp_rate(uint64_t now, uint64_t before, int64_t ms, bool wide, bool rebooted, uint64_t speed) {
  if (ms <= 0 || rebooted || (wide && now < before)) return -1;
  uint64_t passed = wide || now >= before ? now - before : now + (1ull << 32) - before;
  double bps = (double)passed * 8000.0 / (double)ms;
  return bps > 4e12 || (speed && bps > (double)speed * 1.1) ? -1 : (int64_t)bps; /* faster than anything, or than the line: not believed */
}

/* What an agent said the last time. */
struct before { struct interface *list; int count; int64_t at, uptime, boots; char address[64]; struct check check; };
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
  bool rebooted = now->boots != b->boots || snmp_rebooted(now->uptime, b->uptime, now->at - b->at);
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
  *b = (struct before){.uptime = -1, .boots = -1, .check = a->check}; /* another agent */
  snprintf(b->address, sizeof b->address, "%s", a->address);
  return b;
}

static void take_reading(const struct checks_for *f, struct agents *k, const struct asking *a, const struct interface *list, int count, int64_t uptime, int64_t boots) {
  struct before *was = last_of(k, a), now = *was;
  now.list = base_alloc((size_t)count * sizeof *now.list);
  memcpy(now.list, list, (size_t)count * sizeof *now.list);
  now.count = count;
  now.uptime = uptime;
  now.boots = boots;
  now.at = clock_mono();
  json_t *rows = rows_of(was, &now);
  f->rows(f->ctx, a, rows);
  json_decref(rows);
  free(was->list);
  *was = now;
}

/* Those that are asked now stand first. */
struct readings {
  const struct checks_for *f;
  struct agents agents;
  struct usm_users *users;           /* as the file had them when it was changed last */
  struct timespec changed;
  int64_t looked;                    /* monotonic: at the file */
  bool asked_once;
  struct agent *of[AGENTS_MOST];
  struct asking a[AGENTS_MOST];
  int count;
};

struct readings *readings_new(const struct checks_for *f) {
  struct readings *k = base_alloc(sizeof *k);
  k->f = f;
  snmp_disable_log(); /* sessions set the library up as far as version 2c needs: no files of names, no configuration */
  return k;
}

void readings_free(struct readings *k) {
  for (int i = 0; i < k->count; i++) agent_end(k->of[i]);
  for (int i = 0; i < k->agents.room; i++) free(k->agents.of[i].list);
  free(k->agents.of);
  usm_users_free(k->users);
  free(k);
}

/* A file that is not as it should be is told once, and nobody is asked with what it said before. */
static void look_at_users(struct readings *k) {
  struct stat s = {0};
  struct err err;
  if (!k->f->access || (k->looked && clock_mono() - k->looked < ACCESS_MS)) return;
  k->looked = clock_mono();
  stat(k->f->access, &s);
  if (k->asked_once && s.st_ctim.tv_sec == k->changed.tv_sec && s.st_ctim.tv_nsec == k->changed.tv_nsec) return;
  k->asked_once = true;
  usm_users_free(k->users);
  k->changed = s.st_ctim;
  k->users = usm_users_read(k->f->access, &err);
  if (!k->users) log_write(LOG_WARN, "network", "users of SNMP: %s", err.message);
}

void readings_begin(struct readings *k) {
  look_at_users(k);
  while (k->count < AGENTS_MOST && k->f->next(k->f->ctx, true, &k->a[k->count])) {
    struct asking *a = &k->a[k->count];
    k->of[k->count++] = agent_begin(a->address, &a->check, k->users);
  }
}

int readings_files(struct readings *k, struct pollfd files[AGENTS_MOST], int64_t *until) {
  *until = agents_files(k->of, k->count, *until, files);
  return k->count;
}

void readings_turn(struct readings *k, const struct pollfd *files) {
  agents_turn(k->of, k->count, files);
  for (int i = 0; i < k->count;) {
    const struct interface *list;
    enum check_cause cause;
    int count;
    int64_t uptime;
    if (!agent_over(k->of[i], &cause, &list, &count, &uptime)) {
      i++;
      continue;
    }
    if (cause == CHECK_OK) take_reading(k->f, &k->agents, &k->a[i], list, count, uptime, agent_boots(k->of[i]));
    k->f->judge(k->f->ctx, &k->a[i], cause, 0);
    agent_end(k->of[i]);
    k->of[i] = k->of[--k->count];
    k->a[i] = k->a[k->count];
  }
}
