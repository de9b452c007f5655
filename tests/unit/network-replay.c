/* The core with a fake clock and a fake network: every script of tests/replay/network, and the numbers by themselves. The scripts tell their own language in README.txt. */
#include "network/core.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 512, LOG = 20000, LINES = 2000 };

struct fake {                        /* a node of the fake network */
  char name[32];
  bool cut, unsent;
  int lose, delay;                   /* every lose-th packet is lost; ms more */
  int packets;                       /* that passed its link */
};
struct flight { bool on, again; int64_t sent_at; int next, count, sent; int64_t next_at, end; double rtt[NETWORK_PACKETS_MOST]; bool unsent; };
struct seen { int node; enum network_state from, to; int64_t since, at, incident; };

struct play {
  const char *file;
  int line, count;
  struct core_config config;
  int64_t interval, now;
  struct core_spec spec[NODES];
  struct fake net[NODES];
  struct flight flight[NODES];
  struct schedule due;
  struct core *core;
  bool prober_cut, prober_unsent;
  struct seen log[LOG];
  int seen;
  struct core_incident incidents[1000];
  int opened;
};

static void wrong(struct play *p, const char *fmt, ...) {
  char text[400];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  for (int i = p->seen > 12 ? p->seen - 12 : 0; i < p->seen; i++)
    print_message("  %7.1f %s %s -> %s since %.1f incident %d\n", (double)p->log[i].at / 1000, p->net[p->log[i].node].name, network_state_text(p->log[i].from),
                  network_state_text(p->log[i].to), (double)p->log[i].since / 1000, (int)p->log[i].incident);
  fail_msg("%s:%d: %s", p->file, p->line, text);
}

static int node_of(struct play *p, const char *name) {
  for (int i = 0; i < p->count; i++)
    if (strcmp(p->net[i].name, name) == 0) return i;
  wrong(p, "no node %s", name);
  return -1;
}

/* ---- the network: a packet passes every link from the node up to where the prober is ---------------------------------- */

static bool passes(struct play *p, int node, int *delay) {
  struct fake *f = &p->net[node];
  if (f->cut) return false;
  if (f->lose && ++f->packets % f->lose == 0) return false;
  *delay += f->delay + 2;
  if (p->spec[node].up_count == 0) return !p->prober_cut;
  for (int k = 0; k < p->spec[node].up_count; k++) {
    int more = 0;
    if (passes(p, p->spec[node].up[k], &more)) {
      *delay += more;
      return true;
    }
  }
  return false;
}

static void out_probe(void *ctx, int node, int64_t delay) {
  struct play *p = ctx;
  if (p->flight[node].on) p->flight[node].again = true;
  else schedule_sooner(&p->due, node, p->now + delay);
}

static void out_state(void *ctx, int node, enum network_state from, enum network_state to, int64_t since, int64_t at, int64_t incident) {
  struct play *p = ctx;
  if (p->seen < LOG) p->log[p->seen++] = (struct seen){node, from, to, since, at, incident};
}

static void out_incident(void *ctx, const struct core_incident *i, enum core_change change, int member, int64_t at) {
  struct play *p = ctx;
  if (i->id < 1 || i->id >= 1000) wrong(p, "incident %d", (int)i->id);
  if (change == CORE_OPENED) p->opened++;
  if (getenv("REPLAY") && change != CORE_JOINED && change != CORE_LEFT)
    print_message("  %7.1f incident %d %s kind %d root %s\n", (double)at / 1000, (int)i->id, change == CORE_OPENED ? "opened" : "closed", i->kind, i->root < 0 ? "prober" : p->net[i->root].name);
  struct core_incident *k = &p->incidents[i->id];
  int64_t members = k->members;
  *k = *i;
  if (members > k->members) k->members = members; /* the most it ever had */
}

static void end_flight(struct play *p, int node) {
  struct flight *f = &p->flight[node];
  struct core_result r = {.node = node, .sent_at = f->sent_at, .at = p->now, .unsent = f->unsent};
  measure(&r.m, f->sent, f->rtt, f->count);
  bool again = f->again;
  *f = (struct flight){0};
  schedule_set(&p->due, node, schedule_next(node, p->interval, p->now));
  core_result(p->core, &r);
  if (again) schedule_sooner(&p->due, node, p->now);
}

static void step(struct play *p, int node) {
  struct flight *f = &p->flight[node];
  if (!f->on) *f = (struct flight){.on = true, .sent_at = p->now, .end = p->now};
  if (f->sent < 5) {
    int delay = 0;
    bool back = passes(p, node, &delay);
    if (p->prober_unsent || p->net[node].unsent) f->unsent = true;
    else if (back && delay < 1500) {
      f->rtt[f->count++] = delay;
      if (p->now + delay > f->end) f->end = p->now + delay;
    } else f->end = p->now + 1500 > f->end ? p->now + 1500 : f->end;
    f->sent++;
    schedule_set(&p->due, node, f->sent < 5 ? p->now + 200 : f->end);
    return;
  }
  end_flight(p, node);
}

static void run_to(struct play *p, int64_t until) {
  int64_t at, tick = p->now;
  for (;;) {
    int node = schedule_first(&p->due, &at);
    while (tick + 1000 <= until && (node < 0 || tick + 1000 <= at)) {
      tick += 1000;
      if (tick > p->now) p->now = tick;
      core_time(p->core, p->now);
      node = schedule_first(&p->due, &at);
    }
    if (node < 0 || at > until) break;
    if (at > p->now) p->now = at;
    step(p, node);
  }
  p->now = until;
  core_time(p->core, p->now);
}

/* ---- the script -------------------------------------------------------------------------------------------------------------- */

static int64_t number(struct play *p, const char *w) {
  char *end;
  double v = w ? strtod(w, &end) : 0;
  if (!w || *end) wrong(p, "'%s' is not a number", w ? w : "");
  return (int64_t)(v * 1000);
}

static void within(struct play *p, const char *what, int64_t ms, const char *range) {
  double low, high;
  const char *dots = strstr(range, "..");
  low = strtod(range, NULL);
  high = dots ? strtod(dots + 2, NULL) : low;
  if (ms < (int64_t)(low * 1000) || ms > (int64_t)(high * 1000)) wrong(p, "%s is %.3f, not within %s", what, (double)ms / 1000, range);
}

static void expect_state(struct play *p, char **w, int n) {
  int node = node_of(p, w[1]);
  const struct core_node *k = &p->core->nodes[node];
  if (strcmp(network_state_text(k->shown), w[2]) != 0) wrong(p, "%s is %s, not %s", w[1], network_state_text(k->shown), w[2]);
  for (int i = 3; i + 1 < n; i += 2) {
    if (strcmp(w[i], "since") == 0) within(p, "since", k->shown_since, w[i + 1]);
    else if (strcmp(w[i], "incident") == 0) within(p, "incident", k->incident * 1000, w[i + 1]);
    else wrong(p, "state … %s?", w[i]);
  }
}

static void expect_incident(struct play *p, char **w, int n) {
  int id = (int)(number(p, w[1]) / 1000);
  struct core_incident *i = &p->incidents[id];
  static const char *const kinds[] = {"down", "degraded", "flapping", "prober"};
  if (!i->id) wrong(p, "there is no incident %d", id);
  for (int k = 2; k + 1 < n; k += 2) {
    if (strcmp(w[k], "kind") == 0 && strcmp(kinds[i->kind], w[k + 1]) != 0) wrong(p, "it is %s", kinds[i->kind]);
    if (strcmp(w[k], "root") == 0 && strcmp(i->root < 0 ? "prober" : p->net[i->root].name, w[k + 1]) != 0) wrong(p, "its root is %s", i->root < 0 ? "prober" : p->net[i->root].name);
    if (strcmp(w[k], "began") == 0) within(p, "began", i->began, w[k + 1]);
    if (strcmp(w[k], "decided") == 0) within(p, "decided", i->decided, w[k + 1]);
    if (strcmp(w[k], "ended") == 0) within(p, "ended", i->ended, w[k + 1]);
    if (strcmp(w[k], "members") == 0) within(p, "members", i->members * 1000, w[k + 1]);
  }
}

static void expect(struct play *p, char **w, int n) {
  if (strcmp(w[0], "state") == 0) expect_state(p, w, n);
  else if (strcmp(w[0], "incident") == 0) expect_incident(p, w, n);
  else if (strcmp(w[0], "opened") == 0) within(p, "incidents opened", p->opened * 1000, w[1]);
  else if (strcmp(w[0], "open") == 0) within(p, "open incidents", p->core->open_count * 1000, w[1]);
  else if (strcmp(w[0], "flapping") == 0) {
    if (p->core->nodes[node_of(p, w[1])].flapping != (strcmp(w[2], "yes") == 0)) wrong(p, "flapping %.1f %%", flap_percent(&p->core->nodes[node_of(p, w[1])].flap));
  } else if (strcmp(w[0], "never") == 0) {
    for (int i = 0; i < p->seen; i++)
      if ((strcmp(w[1], "*") == 0 || strcmp(p->net[p->log[i].node].name, w[1]) == 0) && strcmp(network_state_text(p->log[i].to), w[2]) == 0)
        wrong(p, "%s was %s at %.1f", p->net[p->log[i].node].name, w[2], (double)p->log[i].at / 1000);
  } else wrong(p, "expect %s?", w[0]);
}

static void act(struct play *p, char **w, int n) {
  const char *verb = w[0];
  if (strcmp(verb, "expect") == 0) expect(p, w + 1, n - 1);
  else if (strcmp(verb, "cut") == 0 && strcmp(w[1], "prober") == 0) p->prober_cut = true;
  else if (strcmp(verb, "mend") == 0 && strcmp(w[1], "prober") == 0) p->prober_cut = p->prober_unsent = false;
  else if (strcmp(verb, "unsent") == 0 && strcmp(w[1], "prober") == 0) p->prober_unsent = true;
  else if (strcmp(verb, "cut") == 0) p->net[node_of(p, w[1])].cut = true;
  else if (strcmp(verb, "mend") == 0) {
    struct fake *f = &p->net[node_of(p, w[1])];
    f->cut = false;
    f->lose = f->delay = 0;
  } else if (strcmp(verb, "lose") == 0) p->net[node_of(p, w[1])].lose = (int)(number(p, w[2]) / 1000);
  else if (strcmp(verb, "slow") == 0) p->net[node_of(p, w[1])].delay = (int)(number(p, w[2]) / 1000);
  else if (strcmp(verb, "away") == 0) core_away(p->core, 0, number(p, w[1]), p->now, true);
  else if (strcmp(verb, "check") == 0) core_check(p->core, node_of(p, w[1]), 1, strcmp(w[2], "ok") == 0, p->now);
  else if (strcmp(verb, "window") == 0) core_window(p->core, number(p, w[1]) / 1000, node_of(p, w[2]), number(p, w[3]), number(p, w[4]));
  else if (strcmp(verb, "endwindow") == 0) core_window_end(p->core, number(p, w[1]) / 1000, p->now);
  else wrong(p, "%s?", verb);
}

static void add_node(struct play *p, char **w, int n) {
  struct core_spec *s = &p->spec[p->count];
  s->measured = true;
  snprintf(p->net[p->count].name, sizeof p->net[0].name, "%s", w[1]);
  p->count++;
  for (int i = 2; i < n; i++) {
    if (strcmp(w[i], "unmeasured") == 0) s->measured = false;
    else if (strcmp(w[i], "anchor") == 0) s->anchor = true;
    else s->up[s->up_count++] = node_of(p, w[i]);
  }
}

static void begin(struct play *p) {
  struct core_out out = {.ctx = p, .probe = out_probe, .state = out_state, .incident = out_incident};
  p->core = core_new(&p->config, &out, p->spec, p->count, 1);
  schedule_init(&p->due, p->count);
  for (int i = 0; i < p->count; i++)
    if (p->spec[i].measured) schedule_set(&p->due, i, schedule_next(i, p->interval, 0));
}

static void play_file(const char *path) {
  struct play *p = base_alloc(sizeof *p);
  struct err err;
  size_t size;
  char *text = file_read(path, 0, &size, &err), *rest = text, *line;
  if (!text) fail_msg("%s: %s", path, err.message);
  p->file = path;
  p->interval = 60000;
  core_defaults(&p->config);
  while ((line = strsep(&rest, "\n"))) {
    char *w[24], *word;
    int n = 0;
    p->line++;
    line[strcspn(line, "#")] = 0;
    while ((word = strsep(&line, " \t")) && n < 24)
      if (*word) w[n++] = word;
    if (!n) continue;
    if (strcmp(w[0], "node") == 0) add_node(p, w, n);
    else if (strcmp(w[0], "many") == 0) /* many PREFIX COUNT UP… */
      for (int i = 0; i < (int)(number(p, w[2]) / 1000); i++) {
        char name[32], *copy[24];
        snprintf(name, sizeof name, "%s%d", w[1], i + 1);
        memcpy(copy, w, sizeof copy);
        copy[2] = name;
        add_node(p, copy + 1, n - 1);
      }
    else if (strcmp(w[0], "interval") == 0) p->interval = number(p, w[1]);
    else {
      if (!p->core) begin(p);
      run_to(p, number(p, w[0]));
      if (n > 1) act(p, w + 1, n - 1);
    }
  }
  schedule_free(&p->due);
  core_free(p->core);
  free(text);
  free(p);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void every_script(void **state) {
  const char *folder = "tests/replay/network", *only = getenv("REPLAY");
  char *names[200];
  int count = 0;
  DIR *d = opendir(folder);
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d)) && count < 200;)
    if (strstr(e->d_name, ".txt") && strcmp(e->d_name, "README.txt") != 0 && (!only || strstr(e->d_name, only))) names[count++] = base_printf("%s/%s", folder, e->d_name);
  closedir(d);
  qsort(names, (size_t)count, sizeof *names, by_name);
  if (!only) assert_true(count >= 12);
  for (int i = 0; i < count; i++) {
    print_message("%s\n", names[i]);
    play_file(names[i]);
    free(names[i]);
  }
}

/* Icinga's own example: changes that weigh .84 .86 .88 .90 .98 1.06 1.12 1.18 */
static void flapping_vector(void **state) {
  static const int changes[] = {2, 3, 4, 5, 9, 13, 16, 19};
  struct flap f = {0};
  bool failed = false;
  flap_add(&f, failed);
  for (int i = 0; i < 20; i++) {
    for (size_t k = 0; k < BASE_COUNT(changes); k++) failed ^= changes[k] == i;
    flap_add(&f, failed);
  }
  assert_true(fabs(flap_percent(&f) - 39.1) < 1e-9);
  for (int i = 0; i < 20; i++) flap_add(&f, failed);
  assert_true(flap_percent(&f) == 0);
  for (int i = 0; i < 40; i++) flap_add(&f, i & 1);
  assert_true(fabs(flap_percent(&f) - 99) < 1e-9); /* (0.80 + … + 1.18) ÷ 20 */
}

static void numbers_of_a_probe(void **state) {
  struct measured m;
  measure(&m, 5, (const double[]){10, 30, 20}, 3);
  assert_int_equal(m.lost, 2);
  assert_true(m.min == 10 && m.median == 20 && m.max == 30 && fabs(m.p95 - 29) < 1e-9 && m.jitter == 15);
  measure(&m, 5, NULL, 0);
  assert_true(m.lost == 5 && isnan(m.min) && isnan(m.median) && isnan(m.p95) && isnan(m.jitter));
  struct recent r = {0};
  recent_add(&r, 5, 0, 8);
  recent_add(&r, 5, 5, NAN); /* nothing answered: in no average */
  assert_true(recent_rtt(&r) == 8 && recent_loss(&r) == 0.5 && recent_lossy(&r) == 1);
  uint32_t bins[CORE_BINS] = {0};
  assert_true(isnan(bins_quantile(bins, 0.5)));
  for (int i = 1; i <= 1000; i++) bins[bin_of(i)]++;
  assert_true(fabs(bins_quantile(bins, 0.5) / 500 - 1) < 0.085 && fabs(bins_quantile(bins, 0.9) / 900 - 1) < 0.085);
}

/* 4,200 nodes over a minute: no second of it has more than twice its share, and a node keeps its moment. */
static void even_spread(void **state) {
  int most = 0, in[60] = {0};
  struct schedule s;
  schedule_init(&s, 4200);
  for (int i = 0; i < 4200; i++) {
    int64_t at = schedule_next(i, 60000, 1000000);
    assert_true(at > 1000000 && at <= 1060000);
    assert_int_equal(schedule_next(i, 60000, at), at + 60000);
    if (++in[at % 60000 / 1000] > most) most = in[at % 60000 / 1000];
    schedule_set(&s, i, at);
  }
  assert_true(most <= 72);
  int64_t before = 0, at = 0;
  for (int i = 0; i < 4200; i += 3) schedule_remove(&s, i);
  for (int i = 1; i < 4200; i += 3) schedule_sooner(&s, i, 999);
  for (int n; (n = schedule_first(&s, &at)) >= 0; before = at) {
    assert_true(at >= before && n % 3 != 0);
    schedule_remove(&s, n);
  }
  schedule_free(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(flapping_vector), cmocka_unit_test(numbers_of_a_probe), cmocka_unit_test(even_spread), cmocka_unit_test(every_script)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
