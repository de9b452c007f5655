/*
 * bench-ping: the prober's sending and receiving, beside fping.
 *   bench-ping once [N]            N targets (4,200) of 127/8, one packet each, as fast as it goes; then `fping -i0.01` with the same list, in turns; the medians
 *   bench-ping helper [N] [SECONDS] N targets (4,200), five packets a minute each: the sending and receiving in this process's thread, then in a helper process; processor time of both
 *   bench-ping long [N] [SECONDS]  N targets (200,000), five packets a minute each, evenly spread, with the core's judgement of every result
 * Wall and processor time (user + system) of each, false loss, largest memory. See docs/notes/performance.md.
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

enum { ROUNDS = 7 };

struct run { double wall, processor; int lost; };
struct work {
  struct ping *ping;
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

static void address(int i, char out[32]) { snprintf(out, 32, "127.%d.%d.%d", 64 + (i >> 16), i >> 8 & 255, i & 255); }

static void once_done(void *ctx, const struct core_result *r) {
  struct work *w = ctx;
  w->ended++;
  w->lost += r->m.lost > 0 || r->unsent;
}

static void steady_done(void *ctx, const struct core_result *r) {
  struct work *w = ctx;
  w->ended++;
  w->lost += r->m.lost;
  w->unsent += r->unsent;
  schedule_set(&w->due, r->node, schedule_next(r->node, w->interval, clock_mono_us()));
}

static struct run once(int count) {
  struct work w = {.count = count};
  struct ping_options o = {.packets = 1, .gap_ms = 1, .timeout_ms = 500, .ctx = &w, .done = once_done};
  double began = processor(RUSAGE_SELF);
  int64_t wall = clock_mono_us(), next;
  w.ping = ping_new(&o, count);
  for (int i = 0; i < count; i++) {
    char a[32];
    address(i, a);
    ping_target(w.ping, i, a);
    ping_start(w.ping, i);
  }
  while (w.ended < count) {
    next = ping_turn(w.ping, clock_mono_us());
    if (w.ended < count) ping_wait(w.ping, next);
  }
  struct run r = {(double)(clock_mono_us() - wall) / 1e6, processor(RUSAGE_SELF) - began, w.lost};
  ping_free(w.ping);
  return r;
}

/* The same through the helper process, which has begun already. */
static struct run once_helper(struct link *l, int count) {
  struct work w = {.count = count};
  struct ping_options o = {.packets = 1, .gap_ms = 1, .timeout_ms = 500, .ctx = &w, .done = once_done};
  double began = processor(RUSAGE_SELF);
  link_open(l, &o, 0);
  while (link_method(l, AF_INET) == PING_NONE) link_wait(link_ready(l), link_turn(l, clock_mono_us()));
  int64_t wall = clock_mono_us();
  link_open(l, &o, count);
  for (int i = 0; i < count; i++) {
    char a[32];
    address(i, a);
    link_target(l, i, a);
    link_start(l, i);
  }
  while (w.ended < count) {
    int64_t next = link_turn(l, clock_mono_us());
    if (w.ended < count) link_wait(link_ready(l), next);
  }
  return (struct run){(double)(clock_mono_us() - wall) / 1e6, processor(RUSAGE_SELF) - began, w.lost};
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
  struct run ours[ROUNDS], theirs[ROUNDS], apart[ROUNDS];
  struct link *l = link_new(NULL, NULL);
  int lost = 0;
  for (int i = 0; i < count; i++) {
    char a[32];
    address(i, a);
    fprintf(f, "%s\n", a);
  }
  fclose(f);
  for (int i = 0; i < ROUNDS; i++) {
    ours[i] = once(count);
    apart[i] = once_helper(l, count);
    theirs[i] = fping(list);
    lost += ours[i].lost;
    if (theirs[i].lost == 127) return fprintf(stderr, "bench-ping: fping is not installed\n"), 1;
  }
  unlink(list);
  qsort(ours, ROUNDS, sizeof *ours, by_wall);
  qsort(apart, ROUNDS, sizeof *apart, by_wall);
  link_free(l);
  qsort(theirs, ROUNDS, sizeof *theirs, by_wall);
  struct run a = ours[ROUNDS / 2], b = theirs[ROUNDS / 2], c = apart[ROUNDS / 2];
  printf("%d targets, one packet each, median of %d\n  chapar  %.3f s wall  %.3f s processor  %d lost\n  helper  %.3f s wall  %.3f s processor, of who plans  %d lost\n"
         "  fping   %.3f s wall  %.3f s processor  exit %d\n"
         "  ratio   %.2f wall  %.2f processor\n", count, ROUNDS, a.wall, a.processor, lost, c.wall, c.processor, c.lost, b.wall, b.processor, b.lost, a.wall / b.wall, a.processor / b.processor);
  return lost || a.wall >= b.wall || a.processor * 2 > b.processor;
}

/* ---- a minute of many ---- */

/* As `chapar serve` does it: helper false as it did until the sending was taken out of its thread. Processor seconds of all processes in *spent. */
static int steady(int count, int seconds, bool helper, double *spent) {
  struct work w = {.count = count, .interval = 60000000};
  struct ping_options o = {.packets = 5, .gap_ms = 200, .timeout_ms = 1500, .ctx = &w, .done = steady_done};
  struct link *l = helper ? link_new(NULL, NULL) : NULL;
  w.ping = helper ? NULL : ping_new(&o, count);
  if (l) link_open(l, &o, count);
  schedule_init(&w.due, count);
  for (int i = 0; i < count; i++) {
    char a[32];
    address(i, a);
    if (l) link_target(l, i, a);
    else ping_target(w.ping, i, a);
    schedule_set(&w.due, i, schedule_next(i, w.interval, clock_mono_us()));
  }
  double before = processor(RUSAGE_SELF) + processor(RUSAGE_CHILDREN);
  for (int64_t now, at, end = clock_mono_us() + (int64_t)seconds * 1000000; (now = clock_mono_us()) < end;) {
    for (int node; (node = schedule_first(&w.due, &at)) >= 0 && at <= now;) {
      schedule_remove(&w.due, node);
      if (l) link_start(l, node);
      else ping_start(w.ping, node);
    }
    int64_t next = l ? link_turn(l, now) : ping_turn(w.ping, now);
    if (schedule_first(&w.due, &at) >= 0 && at < next) next = at;
    if (next < now + 1000) next = now + 1000;
    if (l) link_wait(link_ready(l), next);
    else ping_wait(w.ping, next);
  }
  schedule_free(&w.due);
  ping_free(w.ping);
  link_free(l);
  *spent = processor(RUSAGE_SELF) + processor(RUSAGE_CHILDREN) - before;
  printf("  %s %.3f s processor in %d s (%.2f %% of a core), %d probes, %d packets lost, %d unsent\n", helper ? "helper" : "thread", *spent, seconds, *spent * 100 / seconds, w.ended, w.lost, w.unsent);
  return w.lost || w.unsent;
}

static int apart(int count, int seconds) {
  double thread, helper;
  printf("%d targets, five packets a minute each\n", count);
  int rc = steady(count, seconds, false, &thread) | steady(count, seconds, true, &helper);
  printf("  ratio  %.2f\n", helper / thread);
  return rc || helper > thread;
}

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
  w.ping = ping_new(&o, count);
  schedule_init(&w.due, count);
  int64_t began = clock_mono_us(), end = began + (int64_t)seconds * 1000000, at, worst = 0;
  for (int i = 0; i < count; i++) {
    char a[32];
    address(i, a);
    ping_target(w.ping, i, a);
    schedule_set(&w.due, i, schedule_next(i, w.interval, began));
  }
  double spent = processor(RUSAGE_SELF);
  for (int64_t now; (now = clock_mono_us()) < end;) {
    for (int node; (node = schedule_first(&w.due, &at)) >= 0 && at <= now;) {
      if (now - at > worst) worst = now - at;
      schedule_remove(&w.due, node);
      ping_start(w.ping, node);
    }
    int64_t next = ping_turn(w.ping, now);
    if (schedule_first(&w.due, &at) >= 0 && at < next) next = at;
    if (next > now + 1000) ping_wait(w.ping, next < end ? next : end);
    else usleep(1000); /* take them together */
  }
  struct ping_counters c;
  struct rusage u;
  ping_counters(w.ping, &c);
  getrusage(RUSAGE_SELF, &u);
  double share = (processor(RUSAGE_SELF) - spent) / seconds;
  printf("%d targets, five packets a minute each, %d s\n  %lld packets sent, %lld answered, %lld late, %lld unsent; %d probes, %d packets lost\n"
         "  %.2f of a core, %ld MB at most, %.1f ms behind at worst\n", count, seconds, (long long)c.sent, (long long)c.received, (long long)c.late, (long long)c.unsent,
         w.ended, w.lost, share, u.ru_maxrss / 1024, (double)worst / 1000);
  schedule_free(&w.due);
  ping_free(w.ping);
  core_free(w.core);
  return share > 1 || u.ru_maxrss > 256 * 1024 || w.lost || w.unsent;
}

int main(int argc, char **argv) {
  int count = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0, seconds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 60;
  if (argc > 1 && strcmp(argv[1], "once") == 0) return compare(count > 0 ? count : 4200);
  if (argc > 1 && strcmp(argv[1], "helper") == 0) return apart(count > 0 ? count : 4200, seconds > 0 ? seconds : 60);
  if (argc > 1 && strcmp(argv[1], "long") == 0) return many(count > 0 ? count : 200000, seconds > 0 ? seconds : 60);
  fputs("usage: bench-ping once [TARGETS] | helper [TARGETS] [SECONDS] | long [TARGETS] [SECONDS]\n", stderr);
  return 2;
}
