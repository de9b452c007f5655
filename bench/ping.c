/*
 * bench-ping: the prober's sending and receiving as the product does it, in a helper process, beside fping.
 *   bench-ping once [N]            N targets (4,200) of 127/8, one packet each, as fast as it goes; then `fping -i0.01` with the same list, in turns; the medians
 *   bench-ping long [N] [SECONDS]  N targets (200,000), five packets a minute each, evenly spread, with the core's judgement of every result
 * Wall and processor time (user + system, of both processes), false loss, largest memory of both. See docs/notes/performance.md.
 */
#include "network/link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 21 };                     /* many: our helper begins once, as it does in a server; fping begins each time, as whoever calls it does */

struct run { double wall, processor; int lost; };
struct work {
  struct core *core;
  struct schedule due;                 /* µs */
  int count, ended, lost, unsent;
  int64_t interval;
};

static double processor(int who) {
  struct rusage u;
  getrusage(who, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Of this process and of those that it began and saw the end of. */
static double processors(void) { return processor(RUSAGE_SELF) + processor(RUSAGE_CHILDREN); }

static void address(int i, char out[32]) { snprintf(out, 32, "127.%d.%d.%d", 64 + (i >> 16), i >> 8 & 255, i & 255); }

static void once_done(void *ctx, const struct core_result *r) {
  struct work *w = ctx;
  w->ended++;
  w->lost += r->m.lost > 0 || r->unsent;
}

/* As `chapar serve` has it: planned here, sent and received in the helper process, which has begun and knows its targets. processor: without the helper's, which is told at its end. */
static struct run once(struct link *l, struct work *w) {
  double began = processor(RUSAGE_SELF);
  int64_t wall = clock_mono_us();
  w->ended = w->lost = 0;
  for (int i = 0; i < w->count; i++) link_start(l, i);
  while (w->ended < w->count) {
    int64_t next = link_turn(l, clock_mono_us());
    if (w->ended < w->count) link_wait(link_ready(l), next);
  }
  return (struct run){(double)(clock_mono_us() - wall) / 1e6, processor(RUSAGE_SELF) - began, w->lost};
}

static struct link *begin(struct work *w) {
  struct ping_options o = {.packets = 1, .gap_ms = 1, .timeout_ms = 500, .ctx = w, .done = once_done};
  struct link *l = link_new(NULL, NULL);
  link_open(l, &o, w->count);
  while (link_method(l, AF_INET) == PING_NONE) link_wait(link_ready(l), link_turn(l, clock_mono_us()));
  for (int i = 0; i < w->count; i++) {
    char a[32];
    address(i, a);
    link_target(l, i, a);
  }
  return l;
}

static struct run fping(const char *list) {
  double began = processor(RUSAGE_CHILDREN);
  int64_t wall = clock_mono_us();
  char said[] = "/tmp/bench-ping-said.XXXXXX";
  int fd = mkstemp(said), status;
  pid_t child = fork();
  if (child == 0) {
    int nothing = open("/dev/null", O_WRONLY);
    dup2(fd, 1);
    dup2(nothing, 2);
    execlp("fping", "fping", "-i0.01", "-c1", "-q", "-f", list, (char *)NULL);
    execlp("fping", "fping", "-i0.01", "-f", list, (char *)NULL);
    _exit(127);
  }
  waitpid(child, &status, 0);
  struct run r = {(double)(clock_mono_us() - wall) / 1e6, processor(RUSAGE_CHILDREN) - began, WIFEXITED(status) ? WEXITSTATUS(status) : -1};
  close(fd);
  unlink(said);
  return r;
}

static int by_wall(const void *a, const void *b) {
  const struct run *x = a, *y = b;
  return (x->wall > y->wall) - (x->wall < y->wall);
}

static int compare(int count) {
  char list[] = "/tmp/bench-ping-list.XXXXXX";
  FILE *f = fdopen(mkstemp(list), "w");
  struct run ours[ROUNDS], theirs[ROUNDS];
  struct work w = {.count = count};
  double spent = processor(RUSAGE_SELF), spent_there = 0;
  struct link *l = begin(&w);
  spent = processor(RUSAGE_SELF) - spent;
  int lost = 0, absent = 0;
  for (int i = 0; i < count; i++) {
    char a[32];
    address(i, a);
    fprintf(f, "%s\n", a);
  }
  fclose(f);
  for (int i = 0; i < ROUNDS && !absent; i++) {
    ours[i] = once(l, &w);
    theirs[i] = fping(list);
    spent += ours[i].processor;
    spent_there += theirs[i].processor;
    lost += ours[i].lost;
    absent = theirs[i].lost == 127;
  }
  unlink(list);
  double before = processor(RUSAGE_CHILDREN);
  link_free(l); /* waits for it: now its time is told */
  spent = (spent + processor(RUSAGE_CHILDREN) - before) / ROUNDS;
  spent_there /= ROUNDS;
  if (absent) return fprintf(stderr, "bench-ping: fping is not installed\n"), 2;
  qsort(ours, ROUNDS, sizeof *ours, by_wall);
  qsort(theirs, ROUNDS, sizeof *theirs, by_wall);
  struct run a = ours[ROUNDS / 2], b = theirs[ROUNDS / 2];
  printf("%d targets, one packet each; wall: median of %d, processor: mean, with the helper's from its beginning to its end\n"
         "  chapar  %.3f s wall  %.3f s processor  %d lost of all rounds\n  fping   %.3f s wall  %.3f s processor  exit %d\n  ratio   %.2f wall  %.2f processor\n",
         count, ROUNDS, a.wall, spent, lost, b.wall, spent_there, b.lost, a.wall / b.wall, spent / spent_there);
  return lost || a.wall >= b.wall || spent > spent_there / 2;
}

/* ---- a minute of many ---- */

static void long_done(void *ctx, const struct core_result *r) {
  struct work *w = ctx;
  w->ended++;
  w->lost += r->m.lost;
  w->unsent += r->unsent;
  core_result(w->core, r);
  schedule_set(&w->due, r->node, schedule_next(r->node, w->interval, clock_mono_us()));
}

static void no_probe(void *ctx, int node, int64_t delay) {}
static void no_state(void *ctx, int node, enum network_state from, enum network_state to, int64_t since, int64_t at, int64_t incident) {}
static void no_incident(void *ctx, const struct core_incident *i, enum core_change change, int member, int64_t at) {}

static int many(int count, int seconds) {
  struct work w = {.count = count, .interval = 60000000};
  struct ping_options o = {.packets = 5, .gap_ms = 200, .timeout_ms = 1500, .ctx = &w, .done = long_done};
  struct core_config config;
  struct core_out out = {.probe = no_probe, .state = no_state, .incident = no_incident};
  struct core_spec *specs = base_alloc((size_t)count * sizeof *specs);
  core_defaults(&config);
  for (int i = 0; i < count; i++) { /* a core, 100 hubs, and the rest */
    specs[i].measured = true;
    specs[i].up_count = i > 0;
    specs[i].up[0] = i > 100 ? 1 + i % 100 : 0;
  }
  w.core = core_new(&config, &out, specs, count, 1);
  free(specs);
  double spent = processors();
  struct link *l = link_new(NULL, NULL);
  link_open(l, &o, count);
  while (link_method(l, AF_INET) == PING_NONE) link_wait(link_ready(l), link_turn(l, clock_mono_us()));
  schedule_init(&w.due, count);
  int64_t began = clock_mono_us(), end = began + (int64_t)seconds * 1000000, at, worst = 0;
  for (int i = 0; i < count; i++) {
    char a[32];
    address(i, a);
    link_target(l, i, a);
    schedule_set(&w.due, i, schedule_next(i, w.interval, began));
  }
  for (int64_t now; (now = clock_mono_us()) < end;) {
    for (int node; (node = schedule_first(&w.due, &at)) >= 0 && at <= now;) {
      if (now - at > worst) worst = now - at;
      schedule_remove(&w.due, node);
      link_start(l, node);
    }
    int64_t next = link_turn(l, now);
    if (schedule_first(&w.due, &at) >= 0 && at < next) next = at;
    if (next < now + 1000) next = now + 1000; /* take them together */
    link_wait(link_ready(l), next < end ? next : end);
  }
  struct ping_counters c;
  struct rusage u, helper;
  link_counters(l, &c);
  link_free(l);
  getrusage(RUSAGE_SELF, &u);
  getrusage(RUSAGE_CHILDREN, &helper);
  double share = (processors() - spent) / seconds;
  long memory = (u.ru_maxrss + helper.ru_maxrss) / 1024;
  printf("%d targets, five packets a minute each, %d s\n  %lld packets sent, %lld answered, %lld late, %lld unsent; %d probes, %d packets lost\n"
         "  %.2f of a core, %ld MB at most, %.1f ms behind at worst\n", count, seconds, (long long)c.sent, (long long)c.received, (long long)c.late, (long long)c.unsent,
         w.ended, w.lost, share, memory, (double)worst / 1000);
  schedule_free(&w.due);
  core_free(w.core);
  return share > 1 || memory > 256 || w.lost || w.unsent;
}

int main(int argc, char **argv) {
  int count = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0, seconds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 60;
  if (argc > 1 && strcmp(argv[1], "once") == 0) return compare(count > 0 ? count : 4200);
  if (argc > 1 && strcmp(argv[1], "long") == 0) return many(count > 0 ? count : 200000, seconds > 0 ? seconds : 60);
  fputs("usage: bench-ping once [TARGETS] | long [TARGETS] [SECONDS]\n", stderr);
  return 2;
}
