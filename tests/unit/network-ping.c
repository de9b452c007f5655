/* Echo requests in a network of this program's own where nothing answers, so that every answer is one that we make: what is forged, doubled, cut short, late or from elsewhere changes nothing. */
#include "network/ping.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <math.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct seen { struct core_result last; int ended; bool drop; };

static void done(void *ctx, const struct core_result *r) {
  struct seen *s = ctx;
  s->last = *r;
  s->ended++;
}

static bool drop(void *ctx, int target, uint32_t packet) { return ((struct seen *)ctx)->drop; }

static void put_number(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) print_message("%s cannot be set\n", path);
  if (fd >= 0) close(fd);
}

static bool alone(void) {
  if (unshare(CLONE_NEWNET)) return false;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  bool up = ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
  close(fd);
  put_number("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1");
  put_number("/proc/sys/net/ipv6/icmp/echo_ignore_all", "1");
  put_number("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
  return up;
}

static struct sockaddr_storage from_of(const char *address) {
  struct sockaddr_storage s = {0};
  if (strchr(address, ':')) {
    s.ss_family = AF_INET6;
    inet_pton(AF_INET6, address, &((struct sockaddr_in6 *)&s)->sin6_addr);
  } else {
    s.ss_family = AF_INET;
    inet_pton(AF_INET, address, &((struct sockaddr_in *)&s)->sin_addr);
  }
  return s;
}

static struct ping *begin_for(struct seen *s, int packets, int timeout_ms) {
  struct ping_options o = {.packets = packets, .gap_ms = 1, .timeout_ms = timeout_ms, .ctx = s, .done = done, .drop = drop};
  struct ping *p = ping_new(&o, 3);
  assert_int_equal(ping_target(p, 0, "127.0.0.9"), 0);
  assert_int_equal(ping_target(p, 1, "::1"), 0);
  assert_int_equal(ping_target(p, 2, "no.such.name"), -1);
  assert_false(ping_start(p, 2));
  return p;
}

static struct ping *begin(struct seen *s, int packets) { return begin_for(s, packets, 2000); }

static void send_all(struct ping *p, int target, int packets) {
  struct ping_counters c, before;
  ping_counters(p, &before);
  assert_true(ping_start(p, target));
  assert_false(ping_start(p, target));
  for (;;) {
    int64_t next = ping_turn(p, clock_mono_us());
    ping_counters(p, &c);
    if (c.sent == before.sent + packets) break;
    ping_wait(p, next);
  }
  assert_int_equal(c.unsent, before.unsent);
}

static void end(struct ping *p, struct seen *s) {
  int before = s->ended;
  while (s->ended == before) {
    int64_t next = ping_turn(p, clock_mono_us());
    if (s->ended == before) ping_wait(p, next);
  }
}

static void take(struct ping *p, int target, const unsigned char *m, size_t n, const char *from, int64_t later) {
  struct sockaddr_storage a = from_of(from);
  ping_take(p, target == 1 ? AF_INET6 : AF_INET, false, m, n, &a, clock_mono_us() + later, 0);
}

static void hostile(void **state) {
  struct seen s = {0};
  struct ping *p = begin(&s, 3);
  for (int target = 0; target < 2; target++) {
    const char *right = target ? "::1" : "127.0.0.9", *wrong = target ? "::2" : "127.0.0.8";
    unsigned char m[64], bad[64];
    struct ping_counters c, before;
    send_all(p, target, 3);
    ping_counters(p, &before);
    size_t n = ping_echo(p, target, 1, m);
    for (size_t i = 0; i < n; i++) { /* every single bit but the checksum, which the kernel looks at, and identifier and sequence, which the mark stands for */
      if (i >= 2 && i < 8) continue;
      for (int bit = 0; bit < 8; bit++) {
        memcpy(bad, m, n);
        bad[i] ^= (unsigned char)(1 << bit);
        take(p, target, bad, n, right, 0);
      }
    }
    for (size_t cut = 0; cut < n; cut++) take(p, target, m, cut, right, 0);
    memcpy(bad, m, n);
    take(p, target, bad, n + 1, right, 0);
    take(p, target, m, n, wrong, 0);
    ping_counters(p, &c);
    assert_int_equal(c.received, before.received);
    assert_int_equal(c.hostile, before.hostile + (int64_t)(n - 6) * 8 + (int64_t)n + 2);
    take(p, target, m, n, right, 0); /* the true one, and once more */
    take(p, target, m, n, right, 0);
    ping_counters(p, &c);
    assert_int_equal(c.received, before.received + 1);
    assert_int_equal(c.late, before.late + 1);
    end(p, &s);
    assert_int_equal(s.last.node, target);
    assert_int_equal(s.last.m.sent, 3);
    assert_int_equal(s.last.m.lost, 2);
    assert_false(isnan(s.last.m.median));
    take(p, target, m, n, right, 0); /* when the probe is over */
    send_all(p, target, 3);
    take(p, target, m, n, right, 0); /* and in the next one */
    end(p, &s);
    assert_int_equal(s.last.m.lost, 3);
    assert_true(isnan(s.last.m.median) && isnan(s.last.m.min));
  }
  ping_free(p);
}

static void late_and_dropped(void **state) {
  struct seen s = {0};
  struct ping *p = begin(&s, 2);
  unsigned char m[64];
  send_all(p, 0, 2);
  size_t n = ping_echo(p, 0, 0, m);
  take(p, 0, m, n, "127.0.0.9", 5000000); /* five seconds: beyond the time-out */
  s.drop = true;
  n = ping_echo(p, 0, 1, m);
  take(p, 0, m, n, "127.0.0.9", 0);
  end(p, &s);
  assert_int_equal(s.last.m.lost, 2);
  s.drop = false;
  send_all(p, 0, 2);
  n = ping_echo(p, 0, 0, m);
  take(p, 0, m, n, "127.0.0.9", 0);
  n = ping_echo(p, 0, 1, m);
  take(p, 0, m, n, "127.0.0.9", 0);
  end(p, &s); /* all answered: it ends at once */
  assert_int_equal(s.last.m.lost, 0);
  ping_free(p);
}

/* An IPv4 header stands before what a raw socket gives: a lying length is not followed. */
static void headers(void **state) {
  struct seen s = {0};
  struct ping *p = begin(&s, 1);
  unsigned char m[128] = {0};
  struct sockaddr_storage a = from_of("127.0.0.9");
  struct ping_counters c;
  if (ping_method(p, AF_INET) != PING_RAW) skip();
  send_all(p, 0, 1);
  size_t n = ping_echo(p, 0, 0, m + 20);
  for (int ihl = 0; ihl < 16; ihl++) {
    m[0] = (unsigned char)(0x40 | ihl);
    if (ihl != 5) ping_take(p, AF_INET, true, m, 20 + n, &a, clock_mono_us(), 0);
  }
  m[0] = 0x45;
  for (size_t cut = 0; cut < 20 + n; cut++) ping_take(p, AF_INET, true, m, cut, &a, clock_mono_us(), 0);
  ping_counters(p, &c);
  assert_int_equal(c.received, 0);
  ping_take(p, AF_INET, true, m, 20 + n, &a, clock_mono_us(), 0);
  ping_counters(p, &c);
  assert_int_equal(c.received, 1);
  ping_free(p);
}

static int raw_from(const char *address) {
  int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
  struct sockaddr_storage a = from_of(address);
  assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(struct sockaddr_in)) == 0);
  return fd;
}

static void wire(int fd, const unsigned char *m, size_t n) {
  struct sockaddr_storage to = from_of("127.0.0.1");
  assert_int_equal(sendto(fd, m, n, 0, (struct sockaddr *)&to, sizeof(struct sockaddr_in)), (ssize_t)n);
}

/* The same by the kernel: what is forged, cut short, from elsewhere, doubled and late is sent as packets, before and behind the true answer. */
static void on_the_wire(void **state) {
  struct seen s = {0};
  struct ping *p = begin_for(&s, 1, 60000); /* nothing here is late because the machine is busy */
  unsigned char m[64], bad[64];
  struct ping_counters c = {0}, before;
  if (ping_method(p, AF_INET) != PING_RAW) skip();
  int right = raw_from("127.0.0.9"), wrong = raw_from("127.0.0.8");
  send_all(p, 0, 1);
  ping_counters(p, &before);
  size_t n = ping_echo(p, 0, 0, m);
  for (size_t i = 8; i < n; i++) {
    memcpy(bad, m, n);
    bad[i] ^= 0x10;
    wire(right, bad, n);
  }
  for (size_t cut = 8; cut < n; cut++) wire(right, m, cut);
  memcpy(bad, m, n);
  wire(right, bad, n + 8);
  wire(wrong, m, n);
  while (ping_turn(p, clock_mono_us()), ping_counters(p, &c), c.hostile < before.hostile + 42) ping_wait(p, clock_mono_us() + 10000); /* 20 forged, 20 cut behind the mark, one too long, one from elsewhere */
  assert_int_equal(c.received, before.received);
  wire(right, m, n);
  wire(right, m, n);
  while (ping_turn(p, clock_mono_us()), ping_counters(p, &c), c.late < before.late + 1 || !s.ended) ping_wait(p, clock_mono_us() + 10000);
  assert_int_equal(c.received, before.received + 1);
  assert_int_equal(s.ended, 1);
  assert_int_equal(s.last.m.sent, 1);
  assert_int_equal(s.last.m.lost, 0);
  send_all(p, 0, 1);
  wire(right, m, n); /* of the probe before */
  while (ping_turn(p, clock_mono_us()), ping_counters(p, &c), c.late < before.late + 2) ping_wait(p, clock_mono_us() + 10000);
  assert_int_equal(c.received, before.received + 1);
  assert_int_equal(s.ended, 1);
  close(right);
  close(wrong);
  ping_free(p);
}

/* No way to an address: not sent, and so not lost. */
static void no_route(void **state) {
  struct seen s = {0};
  struct ping *p = begin(&s, 2);
  struct ping_counters c;
  assert_int_equal(ping_target(p, 0, "192.0.2.7"), 0);
  assert_true(ping_start(p, 0));
  end(p, &s);
  assert_true(s.last.unsent);
  assert_int_equal(s.last.m.sent, 0);
  ping_counters(p, &c);
  assert_int_equal(c.unsent, 2);
  ping_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(hostile), cmocka_unit_test(late_and_dropped), cmocka_unit_test(headers), cmocka_unit_test(on_the_wire), cmocka_unit_test(no_route)};
  if (!alone()) {
    print_message("network-ping: SKIPPED: this program may not have a network of its own\n");
    return 77;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
