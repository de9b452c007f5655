#include "network/helper.h"

#include "network/ping.h"
#include "base/bytes.h"
#include "network/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <math.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WHO "prober's helper"
const char prober_name[] = "chapar-prober";
enum { BEAT_US = 1000000, TOGETHER_US = 2000, QUICK_MS = 5000, WAIT_FIRST_MS = 250, WAIT_MOST_MS = 8000, TURNS = 64 };

/* ---- the one that works ---- */

struct work {
  struct ping *ping;
  struct wire_out out;
  unsigned char *cut;
  uint8_t round;
  int count;
};

/* Without a parent there is nothing to do. */
static void put(void *ctx, const unsigned char *p, size_t n) {
  while (send(PROBER_WIRE, p, n, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) _exit(0);
}

static void done(void *ctx, const struct core_result *r) {
  struct work *w = ctx;
  const struct measured *m = &r->m;
  struct wire_result v = {.round = w->round, .target = (uint32_t)r->node, .sent = m->sent, .lost = m->lost, .unsent = r->unsent, .ms = {m->min, m->median, m->p95, m->max, m->jitter}};
  wire_put_result(&w->out, &v);
}

static bool drop(void *ctx, int target, uint32_t packet) {
  const struct work *w = ctx;
  return w->cut[target] == 1 || (w->cut[target] == 2 && packet % 7 == 0);
}

static void begin_anew(struct work *w, const struct wire_open *o) {
  struct ping_options p = {.packets = o->packets, .gap_ms = o->gap_ms, .timeout_ms = o->timeout_ms, .ctx = w, .done = done, .drop = drop};
  w->count = (int)o->targets;
  w->round = o->round;
  w->cut = base_realloc(w->cut, (size_t)w->count + 1);
  memset(w->cut, 0, (size_t)w->count + 1);
  ping_renew(w->ping, &p, w->count);
}

static void aim(struct work *w, const struct wire_target *t) {
  char text[INET6_ADDRSTRLEN] = "";
  if (t->family) inet_ntop(t->family == 4 ? AF_INET : AF_INET6, t->address, text, sizeof text);
  ping_target(w->ping, (int)t->target, text);
}

/* Numbers beyond the targets were meant for one that worked before: passed over. What is no message at all comes from no parent of ours. */
static void obey(struct work *w, const unsigned char *p, size_t n) {
  enum wire_kind kind;
  size_t count;
  struct wire_open o;
  struct wire_target t;
  struct wire_cut c;
  if (wire_read(p, n, &kind, &count)) _exit(1);
  if (kind == WIRE_OPEN && !wire_open_at(p, &o)) _exit(1);
  if (kind == WIRE_OPEN) begin_anew(w, &o);
  for (size_t i = 0; i < count; i++) {
    if (kind == WIRE_TARGET && wire_target_at(p, i, &t) && t.target < (uint32_t)w->count) aim(w, &t);
    if (kind == WIRE_CUT && wire_cut_at(p, i, &c) && c.target < (uint32_t)w->count) w->cut[c.target] = c.kind;
    if (kind == WIRE_START && wire_start_at(p, i) < (uint32_t)w->count) ping_start(w->ping, (int)wire_start_at(p, i));
  }
}

static void listen_once(struct work *w) {
  unsigned char in[WIRE_MOST];
  for (int turn = 0; turn < TURNS; turn++) {
    ssize_t got = recv(PROBER_WIRE, in, sizeof in, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) _exit(0);
    obey(w, in, (size_t)got);
  }
}

static void beat(struct work *w) {
  struct ping_counters c;
  ping_counters(w->ping, &c);
  wire_put_beat(&w->out, (int64_t[]){c.sent, c.received, c.late, c.hostile, c.unsent});
}

static void wait_for(const struct pollfd *files, int count, int64_t next) {
  int64_t now = clock_mono_us();
  if (next < now + TOGETHER_US) next = now + TOGETHER_US; /* take them together */
  struct timespec t = {.tv_sec = (next - now) / 1000000, .tv_nsec = (next - now) % 1000000 * 1000};
  ppoll((struct pollfd *)files, (nfds_t)count, &t, NULL);
}

static int work(const char *source4, const char *source6) {
  static const int calls[] = {SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(ppoll), SCMP_SYS(poll)};
  struct work w = {.out = {.send = put}};
  struct ping_options o = {.source4 = source4, .source6 = source6, .ctx = &w, .done = done, .drop = drop};
  int fds[2];
  w.out.ctx = &w;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close(PROBER_CONTROL);
  w.ping = ping_new(&o, 0);
  privileges_keep(0);
  if (child_shut(WHO, 64, calls, BASE_COUNT(calls))) return 1;
  memory_settle();                       /* of the program and its libraries it needs a small part */
  struct pollfd files[3] = {{.fd = PROBER_WIRE, .events = POLLIN}};
  int count = 1 + ping_sockets(w.ping, fds);
  for (int i = 1; i < count; i++) files[i] = (struct pollfd){.fd = fds[i - 1], .events = POLLIN};
  wire_put_hello(&w.out, (int[]){ping_method(w.ping, AF_INET), ping_method(w.ping, AF_INET6)});
  for (int64_t told = clock_mono_us();;) {
    listen_once(&w);
    int64_t now = clock_mono_us(), next = ping_turn(w.ping, now);
    if (now - told >= BEAT_US) {
      told = now;
      wire_flush(&w.out);
      beat(&w);
    }
    wire_flush(&w.out);
    wait_for(files, count, next < told + BEAT_US ? next : told + BEAT_US);
  }
}

/* ---- the one that keeps ---- */

static pid_t begin(const char *source4, const char *source6) {
  pid_t pid = fork();
  if (pid == 0) _exit(work(source4, source6));
  if (pid < 0) child_complain(WHO, "cannot be begun:", strerrordesc_np(errno));
  return pid;
}

/* Until the one that works ends, or somebody wants another (it is ended), or the parent is gone (all ends). worker -1: as long as it takes to try again. */
static void watch(pid_t worker, int ms) {
  int held = worker > 0 ? (int)syscall(SYS_pidfd_open, worker, 0) : -1;
  struct pollfd files[2] = {{.fd = PROBER_CONTROL, .events = POLLIN}, {.fd = held, .events = POLLIN}};
  int64_t end = clock_mono() + ms;
  for (int64_t left = ms; worker > 0 || left > 0; left = end - clock_mono()) {
    char byte;
    if (poll(files, 2, worker <= 0 ? (int)left : held >= 0 ? -1 : WAIT_FIRST_MS) < 0 && errno != EINTR) break;
    if (files[1].revents) break;
    if (worker > 0 && held < 0 && waitpid(worker, NULL, WNOHANG) > 0) return; /* a filter without pidfd_open */
    if (!files[0].revents) continue;
    ssize_t got = read(PROBER_CONTROL, &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (worker > 0) kill(worker, SIGKILL);
    if (got <= 0) {
      if (worker > 0) waitpid(worker, NULL, 0);
      _exit(0);
    }
    if (worker > 0) break;
  }
  if (held >= 0) close(held);
  if (worker > 0) waitpid(worker, NULL, 0);
}

static int keep(const char *source4, const char *source6) {
  prctl(PR_SET_NAME, prober_name);
  for (char **e = environ; *e; e++) explicit_bzero(*e, strlen(*e)); /* passwords may stand there */
  close_range(PROBER_CONTROL + 1, ~0U, 0);
  privileges_keep(UINT64_C(1) << CAP_NET_RAW);
  if (prctl(PR_SET_DUMPABLE, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 1;
  memory_settle();
  for (int pause = WAIT_FIRST_MS;;) {
    int64_t began = clock_mono();
    watch(begin(source4, source6), WAIT_MOST_MS);
    if (clock_mono() - began > QUICK_MS) pause = WAIT_FIRST_MS;
    watch(-1, pause);
    if (pause < WAIT_MOST_MS) pause *= 2;
  }
}

/* Before main, and before any thread. */
__attribute__((constructor)) static void become_helper(int argc, char **argv) {
  if (argc != 3 || strcmp(argv[0], prober_name) != 0) return;
  _exit(keep(strcmp(argv[1], "-") == 0 ? NULL : argv[1], strcmp(argv[2], "-") == 0 ? NULL : argv[2]));
}
