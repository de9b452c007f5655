#include "network/link.h"

#include "network/helper.h"
#include "network/inner.h"
#include "network/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SILENT_US = 5000000, HELLO_US = 15000000, GRACE_US = 3000000, AGAIN_US = 1000000, ENDING_MS = 500, TURNS = 256 };

struct aim { struct wire_target at; bool busy; uint8_t cut; int64_t label, began; };

struct link {
  char *source4, *source6;
  struct ping_options o;
  int wire, control;
  pid_t keeper;
  int64_t begun, heard;                  /* µs; heard 0: no hello yet */
  int64_t left;                          /* when the last one went, or the first was begun */
  bool told;                             /* that it is away */
  bool could;                            /* it had sockets once */
  int methods[2];
  struct ping_counters before, now;
  struct aim *aims;
  uint8_t round;                         /* of what was opened, so that no result is taken for one of other targets */
  int count, busy;
  int64_t swept;
  struct wire_out out;
  struct buf queue;                      /* messages that the channel did not take yet: u32 size, bytes */
  size_t sent;
};

/* ---- the process ---- */

static void end_keeper(struct link *l) {
  if (l->wire >= 0) close(l->wire);
  if (l->control >= 0) close(l->control);
  bool ended = l->keeper <= 0;           /* it sees the end of its channel, and ends with the one that works */
  for (int64_t end = clock_mono() + ENDING_MS; !ended && clock_mono() < end;) {
    ended = waitpid(l->keeper, NULL, WNOHANG) != 0;
    if (!ended) clock_wait(2);
  }
  if (!ended) {
    kill(-l->keeper, SIGKILL);           /* they are a group */
    waitpid(l->keeper, NULL, 0);
  }
  l->wire = l->control = -1;
  l->keeper = 0;
  l->heard = 0;
  l->queue.len = l->sent = 0;
}

static void begin_keeper(struct link *l, int64_t now) {
  int wire[2], control[2];
  end_keeper(l);
  l->begun = now;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, wire)) return;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control)) {
    close(wire[0]);
    close(wire[1]);
    return;
  }
  char *argv[] = {(char *)(uintptr_t)prober_name, l->source4 ? l->source4 : (char *)"-", l->source6 ? l->source6 : (char *)"-", NULL};
  int rc = child_begin(argv, (int[]){wire[1], control[1]}, 2, &l->keeper);
  close(wire[1]);
  close(control[1]);
  l->wire = wire[0];
  l->control = control[0];
  if (!rc) return;
  log_write(LOG_WARN, "network", "the prober's helper cannot be begun: %s", strerrordesc_np(rc));
  l->keeper = 0;
  end_keeper(l);
}

/* ---- telling ---- */

/* As much of the queue as the channel takes. */
static void push(struct link *l) {
  while (l->wire >= 0 && l->sent < l->queue.len) {
    uint32_t n;
    memcpy(&n, l->queue.data + l->sent, sizeof n);
    if (send(l->wire, l->queue.data + l->sent + sizeof n, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return; /* full: later; gone: seen when it is read */
    l->sent += sizeof n + n;
  }
  l->queue.len = l->sent = 0;
}

static void queue(void *ctx, const unsigned char *p, size_t n) {
  struct link *l = ctx;
  uint32_t size = (uint32_t)n;
  buf_add(&l->queue, (const char *)&size, sizeof size);
  buf_add(&l->queue, (const char *)p, n);
}

static void begin_aim(struct link *l, int target) {
  l->aims[target].label = l->o.label ? l->o.label(l->o.ctx) : clock_now();
  l->aims[target].began = clock_mono_us();
  if (l->heard) wire_put_start(&l->out, (uint32_t)target);
}

/* Everything that one who has just begun is to know; what was under way begins anew. */
static void brief(struct link *l) {
  l->queue.len = l->sent = l->out.size = 0;
  wire_put_open(&l->out, &(struct wire_open){l->round, (uint32_t)l->count, l->o.packets, l->o.gap_ms, l->o.timeout_ms});
  for (int i = 0; i < l->count; i++)
    if (l->aims[i].at.family) wire_put_target(&l->out, &l->aims[i].at);
  for (int i = 0; i < l->count; i++)
    if (l->aims[i].cut) wire_put_cut(&l->out, &(struct wire_cut){(uint32_t)i, l->aims[i].cut});
  for (int i = 0; i < l->count && l->busy; i++) {
    if (!l->aims[i].busy) continue;
    begin_aim(l, i);
  }
  wire_flush(&l->out);
  push(l);
}

/* ---- what it says ---- */

static void finish(struct link *l, int target, const struct wire_result *v) {
  struct aim *a = &l->aims[target];
  struct core_result r = {.node = target, .sent_at = a->label, .at = l->o.label ? l->o.label(l->o.ctx) : clock_now(), .unsent = !v || v->unsent, .m = {0, 0, NAN, NAN, NAN, NAN, NAN}};
  if (v) r.m = (struct measured){v->sent, v->lost, v->ms[0], v->ms[1], v->ms[2], v->ms[3], v->ms[4]};
  a->busy = false;
  l->busy--;
  l->o.done(l->o.ctx, &r);
}

static void add_counters(struct ping_counters *to, const struct ping_counters *c) {
  to->sent += c->sent;
  to->received += c->received;
  to->late += c->late;
  to->hostile += c->hostile;
  to->unsent += c->unsent;
}

static int hello(struct link *l, const unsigned char *p, int64_t now) {
  if (!wire_hello_at(p, l->methods)) return -1;
  if (l->heard || l->told) log_write(LOG_WARN, "network", "the prober's helper had ended; another one works");
  add_counters(&l->before, &l->now);
  l->now = (struct ping_counters){0};
  l->heard = now;
  l->told = false;
  l->could |= l->methods[0] != PING_NONE || l->methods[1] != PING_NONE;
  brief(l);
  return 0;
}

static int hear(struct link *l, const unsigned char *p, size_t n, int64_t now) {
  enum wire_kind kind;
  size_t count;
  int64_t c[5];
  if (wire_read(p, n, &kind, &count)) return -1;
  if (kind == WIRE_HELLO) return hello(l, p, now);
  if (!l->heard || (kind != WIRE_RESULT && kind != WIRE_BEAT)) return -1;
  l->heard = now;
  if (kind == WIRE_BEAT) {
    wire_beat_at(p, c);
    l->now = (struct ping_counters){c[0], c[1], c[2], c[3], c[4]};
  }
  for (size_t i = 0; kind == WIRE_RESULT && i < count; i++) {
    struct wire_result v;
    if (!wire_result_at(p, i, &v)) return -1;
    if (v.round == l->round && v.target < (uint32_t)l->count && l->aims[v.target].busy) finish(l, (int)v.target, &v);
  }
  return 0;
}

/* ---- the one who plans ---- */

struct link *link_new(const char *source4, const char *source6) {
  struct link *l = base_alloc(sizeof *l);
  l->source4 = base_strdup(source4);
  l->source6 = base_strdup(source6);
  l->wire = l->control = -1;
  l->out = (struct wire_out){.send = queue, .ctx = l};
  l->o = (struct ping_options){.packets = 1, .gap_ms = 1, .timeout_ms = 1};
  l->left = clock_mono_us();
  begin_keeper(l, l->left);
  return l;
}

void link_free(struct link *l) {
  if (!l) return;
  end_keeper(l);
  buf_free(&l->queue);
  free(l->aims);
  free(l->source4);
  free(l->source6);
  free(l);
}

static int bounded(int v, int most) { return v < 1 ? 1 : v > most ? most : v; }

void link_open(struct link *l, const struct ping_options *o, int targets) {
  l->o = *o;
  l->o.packets = bounded(o->packets, NETWORK_PACKETS_MOST);
  l->o.gap_ms = bounded(o->gap_ms, 60000);
  l->o.timeout_ms = bounded(o->timeout_ms, 60000);
  l->count = targets < WIRE_TARGETS_MOST ? targets : WIRE_TARGETS_MOST;
  l->busy = 0;
  l->round++;
  free(l->aims);
  l->aims = base_alloc(((size_t)l->count + 1) * sizeof *l->aims);
  for (int i = 0; i < l->count; i++) l->aims[i].at.target = (uint32_t)i;
  if (l->heard) wire_put_open(&l->out, &(struct wire_open){l->round, (uint32_t)l->count, l->o.packets, l->o.gap_ms, l->o.timeout_ms});
}

int link_target(struct link *l, int target, const char *address) {
  if (target >= l->count) return -1;
  struct aim *a = &l->aims[target];
  bool any = address && address[0];
  a->at.family = 0;
  if (a->busy) l->busy--;
  a->busy = false;
  memset(a->at.address, 0, sizeof a->at.address);
  if (any && inet_pton(AF_INET, address, a->at.address) == 1) a->at.family = 4;
  else if (any && inet_pton(AF_INET6, address, a->at.address) == 1) a->at.family = 6;
  if (l->heard) wire_put_target(&l->out, &a->at);
  return any && !a->at.family ? -1 : 0;
}

bool link_start(struct link *l, int target) {
  struct aim *a = &l->aims[target];
  if (target >= l->count || !a->at.family || a->busy) return false;
  a->busy = true;
  l->busy++;
  begin_aim(l, target);
  return true;
}

bool link_busy(const struct link *l, int target) { return target < l->count && l->aims[target].busy; }

void link_cut(struct link *l, int target, int kind) {
  if (target >= l->count || l->aims[target].cut == kind) return;
  l->aims[target].cut = (uint8_t)kind;
  if (l->heard) wire_put_cut(&l->out, &(struct wire_cut){(uint32_t)target, (uint8_t)kind});
}

static void away(struct link *l, int64_t now) {
  if (l->heard) l->left = now;
  l->heard = 0;
  l->methods[0] = l->methods[1] = PING_NONE;
}

/* One that says nothing more, or what no helper of ours says, makes room for another. */
static void replace(struct link *l, const char *why, int64_t now) {
  log_write(LOG_WARN, "network", "the prober's helper %s; another one is begun", why);
  away(l, now);
  l->told = true;
  l->begun = now;
  if (l->control < 0 || send(l->control, "!", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) begin_keeper(l, now);
}

static void take_in(struct link *l, int64_t now) {
  unsigned char in[WIRE_MOST];
  for (int turn = 0; turn < TURNS && l->wire >= 0; turn++) {
    ssize_t got = recv(l->wire, in, sizeof in, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) { /* the one that keeps has ended as well */
      away(l, now);
      end_keeper(l);
      l->told = true;
      return;
    }
    if (hear(l, in, (size_t)got, now)) return replace(l, "said what it should not", now);
  }
}

/* Nobody asks, or what was asked is not told after far too long: unsent. */
static void sweep(struct link *l, int64_t now) {
  int64_t most = INT64_C(1000) * (l->o.packets * l->o.gap_ms + l->o.timeout_ms) + SILENT_US;
  bool gone = !l->heard && now - l->left > GRACE_US;
  if (!l->busy || (!gone && now - l->swept < AGAIN_US)) return;
  l->swept = now;
  for (int i = 0; i < l->count && l->busy; i++)
    if (l->aims[i].busy && (gone || (l->heard && now - l->aims[i].began > most))) finish(l, i, NULL);
}

int64_t link_turn(struct link *l, int64_t now) {
  wire_flush(&l->out);
  push(l);
  take_in(l, now);
  wire_flush(&l->out);
  push(l);
  if (l->wire < 0 && now - l->begun >= AGAIN_US) begin_keeper(l, now);
  if (l->wire >= 0 && l->heard && now - l->heard > SILENT_US) replace(l, "is silent", now);
  if (l->wire >= 0 && !l->heard && now - l->begun > HELLO_US) replace(l, "does not begin", now);
  sweep(l, now);
  return now + (l->heard ? AGAIN_US : AGAIN_US / 10);
}

struct pollfd link_ready(const struct link *l) { return (struct pollfd){.fd = l->wire, .events = (short)(POLLIN | (l->sent < l->queue.len ? POLLOUT : 0))}; }

void link_wait(struct pollfd ready, int64_t until) {
  int64_t left = until - clock_mono_us();
  struct timespec t = {.tv_sec = left > 0 ? left / 1000000 : 0, .tv_nsec = left > 0 ? left % 1000000 * 1000 : 0};
  ppoll(&ready, 1, &t, NULL);
}

enum ping_method link_method(const struct link *l, int family) { return l->heard ? (enum ping_method)l->methods[family == AF_INET6] : PING_NONE; }
bool link_there(const struct link *l) { return l->heard || clock_mono_us() - l->left < GRACE_US; }

bool link_robbed(const struct link *l) { return l->heard && l->could && l->methods[0] == PING_NONE && l->methods[1] == PING_NONE; }

void link_counters(const struct link *l, struct ping_counters *out) {
  *out = l->before;
  add_counters(out, &l->now);
}
