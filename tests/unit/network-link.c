/* The prober's helper as processes: what it holds, and that its end, its silence and the end of who began it are no fault of anybody's. Real packets to loopback. */
#include "network/helper.h"
#include "network/link.h"
#include "network/network.h"
#include "network/wire.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct seen { struct core_result last; int ended; };

static void done(void *ctx, const struct core_result *r) {
  struct seen *s = ctx;
  s->last = *r;
  s->ended++;
}

/* The field of /proc/PID/stat that follows the name: 2 parent, 3 group; -1 when it is no more. */
static long stat_of(pid_t pid, int field) {
  char path[64], text[512], *at;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *f = fopen(path, "re");
  size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  if (f) fclose(f);
  text[n] = 0;
  if (!(at = strrchr(text, ')'))) return -1;
  for (at++; field-- > 1;) at = strchr(at + 1, ' ');
  return strtol(at, NULL, 10);
}

static pid_t child_of(pid_t parent) {
  pid_t found = 0;
  DIR *d = opendir("/proc");
  for (struct dirent *e; d && !found && (e = readdir(d));) {
    pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
    if (pid > 0 && stat_of(pid, 2) == parent) found = pid;
  }
  closedir(d);
  return found;
}

static void turn(struct link *l) {
  int64_t next = link_turn(l, clock_mono_us()), latest = clock_mono_us() + 20000;
  link_wait(link_ready(l), next < latest ? next : latest);
}

/* Until it sends and is there; the process that works, begun by the one that keeps, which is our only child. */
static pid_t worker_of(struct link *l, pid_t keeper, pid_t not) {
  pid_t worker;
  do turn(l);
  while (link_method(l, AF_INET) == PING_NONE || (worker = child_of(keeper)) <= 0 || worker == not);
  return worker;
}

static struct link *begun(struct seen *s, int packets, int gap) {
  struct link *l = link_new(NULL, NULL);
  struct ping_options o = {.packets = packets, .gap_ms = gap, .timeout_ms = 2000, .ctx = s, .done = done};
  link_open(l, &o, 2);
  assert_int_equal(link_target(l, 0, "127.0.0.1"), 0);
  assert_int_equal(link_target(l, 1, "no address"), -1);
  return l;
}

static void whole(const struct seen *s, int packets) {
  assert_int_equal(s->ended, 1);
  assert_false(s->last.unsent);
  assert_int_equal(s->last.m.sent, packets);
  assert_int_equal(s->last.m.lost, 0);
}

static bool status_has(pid_t pid, const char *line) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *f = fopen(path, "re");
  size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  if (f) fclose(f);
  text[n] = 0;
  return strstr(text, line) != NULL;
}

static void holds_little(void **state) {
  struct seen s = {0};
  struct link *l = begun(&s, 3, 1);
  pid_t keeper = child_of(getpid()), worker = worker_of(l, keeper, 0);
  assert_true(link_start(l, 0));
  assert_false(link_start(l, 0));        /* one at a time */
  assert_false(link_start(l, 1));
  while (!s.ended) turn(l);
  whole(&s, 3);
  assert_true(status_has(worker, "CapPrm:\t0000000000000000"));
  assert_true(status_has(worker, "CapEff:\t0000000000000000"));
  assert_true(status_has(worker, "NoNewPrivs:\t1"));
  assert_true(status_has(worker, "Seccomp:\t2"));
  assert_true(status_has(keeper, "NoNewPrivs:\t1"));
  link_free(l);
  assert_int_equal(child_of(getpid()), 0);
}

/* One that ends in the midst of a probe, and one that says nothing more: another asks again, and the result is whole. */
static void another_follows(void **state) {
  const int how[] = {SIGKILL, SIGSTOP};
  for (size_t i = 0; i < BASE_COUNT(how); i++) {
    struct seen s = {0};
    struct link *l = begun(&s, NETWORK_PACKETS_MOST, 50);
    struct ping_counters c = {0};
    pid_t keeper = child_of(getpid()), worker = worker_of(l, keeper, 0);
    assert_true(link_start(l, 0));
    while (c.sent == 0 && !s.ended) { /* under way: told by a beat, or it is over already */
      turn(l);
      link_counters(l, &c);
    }
    if (s.ended) {
      s = (struct seen){0};
      assert_true(link_start(l, 0));
      turn(l);
    }
    assert_int_equal(kill(worker, how[i]), 0);
    worker_of(l, keeper, worker);
    while (!s.ended) turn(l);
    whole(&s, NETWORK_PACKETS_MOST);
    link_free(l);
  }
}

/* The one that keeps is ended: both go, and two others come; what was asked is asked again. */
static void keeper_ends(void **state) {
  struct seen s = {0};
  struct link *l = begun(&s, 3, 1);
  pid_t keeper = child_of(getpid()), other;
  worker_of(l, keeper, 0);
  kill(keeper, SIGKILL);
  while ((other = child_of(getpid())) == keeper || other == 0) turn(l);
  worker_of(l, other, 0);
  assert_true(link_start(l, 0));
  while (!s.ended) turn(l);
  whole(&s, 3);
  link_free(l);
}

/* Whoever began them is killed without a word: none of them stays behind. */
static void none_stays(void **state) {
  int told[2], ends[2];
  pid_t pids[2];
  assert_int_equal(pipe(told), 0);
  pid_t parent = fork();
  if (parent == 0) {
    struct seen s = {0};
    struct link *l = begun(&s, 3, 1);
    pids[0] = child_of(getpid());
    pids[1] = worker_of(l, pids[0], 0);
    if (write(told[1], pids, sizeof pids) != sizeof pids) _exit(1);
    for (;;) pause();
  }
  assert_int_equal(read(told[0], pids, sizeof pids), sizeof pids);
  for (int i = 0; i < 2; i++) assert_true((ends[i] = (int)syscall(SYS_pidfd_open, pids[i], 0)) >= 0);
  kill(parent, SIGKILL);
  waitpid(parent, NULL, 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(poll(&(struct pollfd){.fd = ends[i], .events = POLLIN}, 1, -1), 1);
    close(ends[i]);
  }
  close(told[0]);
  close(told[1]);
}

static void odd_messages(void **state) {
  enum wire_kind kind;
  size_t count;
  struct wire_result r;
  unsigned char m[WIRE_MOST + 64] = {WIRE_RESULT};
  assert_int_equal(wire_read(m, 1 + 28, &kind, &count), 0);
  assert_false(wire_result_at(m, 0, &r)); /* nothing was sent, and yet it is not called unsent */
  assert_int_equal(wire_read(m, 1 + 27, &kind, &count), -1);
  assert_int_equal(wire_read(m, 1, &kind, &count), -1);
  assert_int_equal(wire_read(m, 0, &kind, &count), -1);
  assert_int_equal(wire_read(m, 1 + 28 * 295, &kind, &count), -1); /* too long */
  m[6] = 3, m[7] = 4;                    /* more lost than sent */
  assert_false(wire_result_at(m, 0, &r));
  m[0] = 99;
  assert_int_equal(wire_read(m, 1 + 28, &kind, &count), -1);
}

int main(void) {
  struct seen s = {0};
  struct link *l = begun(&s, 1, 1);
  while (!link_start(l, 0)) turn(l);
  while (!s.ended) turn(l);
  bool may = !s.last.unsent;
  link_free(l);
  const struct CMUnitTest tests[] = {cmocka_unit_test(odd_messages), cmocka_unit_test(holds_little), cmocka_unit_test(another_follows), cmocka_unit_test(keeper_ends), cmocka_unit_test(none_stays)};
  if (!may) {
    print_message("no packets may be sent here: the helper is not tried\n");
    return 77;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
