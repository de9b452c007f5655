/*
 * A tree of network namespaces, in a network of the program's own, with a relay between two TUN devices that can hold packets up.
 *
 *        prober ── c1 ── c2 ── prober      h1 hangs on c1 and c2, h2 on c2;  o1, o2 on h1;  o3 on h2 (by the relay);  o4 on h1 and h2
 *                                          h3 on c2 and c1;  o5 on h3;  o6 on h3 and h2 (IPv6);   h4 on c2;  o7, o8 on h4, measured from there
 */
#ifndef NETWORK_TREE_H
#define NETWORK_TREE_H

#include "store-kit.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

enum { C1, C2, H1, H2, O1, O2, O3, O4, H3, O5, O6, H4, O7, O8, NODES, HERE = NODES, WAIT_MS = 60000 };
static const char *const names[NODES] = {"c1", "c2", "h1", "h2", "o1", "o2", "o3", "o4", "h3", "o5", "o6", "h4", "o7", "o8"},
                  *const codes[NODES] = {"C-1", "C-2", "H-1", "H-2", "O-1", "O-2", "O-3", "O-4", "H-3", "O-5", "O-6", "H-4", "O-7", "O-8"};

static bool six(int node) { return node == H3 || node == O5 || node == O6; } /* has an address of IPv6 alone */
static bool by_hub(int node) { return node == O7 || node == O8; }

/* ---- namespaces -------------------------------------------------------------------------------------------------------- */

static int commands(const char *tool, const char *space, const char *text) {
  char path[200];
  snprintf(path, sizeof path, "%s/batch", kit_dir);
  must(file_write(path, text, strlen(text), 0600, err));
  char *ip[] = {"ip", "-force", "-batch", path, NULL}, *ip_in[] = {"ip", "-n", (char *)(uintptr_t)space, "-force", "-batch", path, NULL},
       *nft[] = {"ip", "netns", "exec", (char *)(uintptr_t)space, "nft", "-f", path, NULL};
  return kit_run(strcmp(tool, "nft") == 0 ? nft : space ? ip_in : ip, NULL, 0);
}

static void run_ip(const char *space, const char *fmt, ...) {
  char text[7000];
  va_list ap;
  va_start(ap, fmt);
  assert_true((size_t)vsnprintf(text, sizeof text, fmt, ap) < sizeof text);
  va_end(ap);
  if (commands("ip", space, text)) fail_msg("ip %s: %s", space ? space : "", text);
}

static void put_number(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  if (fd >= 0 && write(fd, text, strlen(text)) < 0) print_message("%s cannot be set\n", path);
  if (fd >= 0) close(fd);
}

static void rules(void) { /* of the namespace that we are in */
  put_number("/proc/sys/net/ipv6/conf/all/forwarding", "1");
  for (int i = 0; i < 2; i++) {
    static const char *const of[] = {"all", "default"}, *const what[][2] = {{"accept_dad", "0"}, {"accept_ra", "0"}, {"keep_addr_on_down", "1"}, {"ignore_routes_with_linkdown", "1"}, {"disable_ipv6", "0"}};
    for (size_t k = 0; k < BASE_COUNT(what); k++) {
      char path[100];
      snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", of[i], what[k][0]);
      put_number(path, what[k][1]);
    }
  }
  put_number("/proc/sys/net/ipv4/ip_forward", "1");
  put_number("/proc/sys/net/ipv4/conf/all/ignore_routes_with_linkdown", "1");
  put_number("/proc/sys/net/ipv4/conf/default/ignore_routes_with_linkdown", "1");
  put_number("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
  put_number("/proc/sys/net/ipv4/conf/default/rp_filter", "0");
  put_number("/proc/sys/net/ipv4/icmp_ratelimit", "0");
}

static void in_space(const char *space, void (*fn)(void *ctx), void *ctx) {
  char path[100];
  int own = open("/proc/self/ns/net", O_RDONLY), there;
  snprintf(path, sizeof path, "/run/netns/%s", space);
  there = open(path, O_RDONLY);
  assert_true(there >= 0 && setns(there, CLONE_NEWNET) == 0);
  fn(ctx);
  assert_int_equal(setns(own, CLONE_NEWNET), 0);
  close(there);
  close(own);
}

static void rules_here(void *ctx) { rules(); }

#define SIX "fd7e:c4a9:1"

/* A line number i between a ("" is where we are) and b: 10.0.i.1 and 10.0.i.2, SIX:i::1 and SIX:i::2 */
static void line(int i, const char *a, const char *b) {
  run_ip(NULL, "link add x%d type veth peer name y%d netns %s\n", i, i, b);
  if (a[0]) run_ip(NULL, "link set x%d netns %s\n", i, a);
  run_ip(a[0] ? a : NULL, "addr add 10.0.%d.1/30 dev x%d\naddr add " SIX ":%d::1/64 dev x%d nodad\nlink set x%d up\n", i, i, i, i, i);
  run_ip(b, "addr add 10.0.%d.2/30 dev y%d\naddr add " SIX ":%d::2/64 dev y%d nodad\nlink set y%d up\n", i, i, i, i, i);
}

/* Routes of each namespace: when a line goes down they go with it, and come back with `routes`. */
static char route_text[NODES + 1][6000];

/* By line i, to its end (1 or 2), to a node (NODES: everywhere else); rank 1 is taken first. */
static void way(int space, int to, int i, int end, int rank) {
  char *text = route_text[space];
  size_t n = strlen(text), room = sizeof route_text[0];
  bool all = to == NODES;
  if (all || !six(to)) n += (size_t)snprintf(text + n, room - n, all ? "route replace default via 10.0.%d.%d metric %d\n" : "route replace 10.255.1.%4$d/32 via 10.0.%1$d.%2$d metric %3$d\n", i, end, rank, to + 1);
  if (all || six(to)) snprintf(text + n, room - n, all ? "route replace default via " SIX ":%d::%d metric %d\n" : "route replace " SIX ":ff::%4$d/128 via " SIX ":%1$d::%2$d metric %3$d\n", i, end, rank, to + 1);
}

static int routes(int space) { return commands("ip", space == HERE ? NULL : names[space], route_text[space]); } /* fails where a line is down: what it can is done */

/* Lines of a namespace, by name. */
static void lines(int space, const char *list, const char *how) {
  char text[2000] = "", copy[200], *rest = copy, *one;
  snprintf(copy, sizeof copy, "%s", list);
  while ((one = strsep(&rest, " "))) snprintf(text + strlen(text), sizeof text - strlen(text), "link set %s %s\n", one, how);
  run_ip(space == HERE ? NULL : names[space], "%s", text);
  if (how[0] == 'u') routes(space); /* other lines may be cut */
}

static void cut(int space, const char *list) { lines(space, list, "down"); }
static void mend(int space, const char *list) { lines(space, list, "up"); }

/* ---- the relay ------------------------------------------------------------------------------------------------------------ */

struct held { int64_t at; int to; size_t size; unsigned char bytes[1600]; };
static struct { int fd[2]; atomic_int delay_ms; atomic_bool stop; pthread_t thread; struct held held[512]; int count; } relay;

static void open_tun(void *ctx) {
  struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  snprintf(r.ifr_name, sizeof r.ifr_name, "t0");
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  assert_true(fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0);
  *(int *)ctx = fd;
}

static void *relay_main(void *ctx) {
  while (!relay.stop) {
    struct pollfd p[2] = {{relay.fd[0], POLLIN, 0}, {relay.fd[1], POLLIN, 0}};
    poll(p, 2, 2);
    for (int i = 0; i < 2; i++)
      while (relay.count < 512) {
        struct held *h = &relay.held[relay.count];
        ssize_t n = read(relay.fd[i], h->bytes, sizeof h->bytes);
        if (n <= 0) break;
        h->size = (size_t)n;
        h->to = relay.fd[!i];
        h->at = clock_mono() + (i == 0 ? relay.delay_ms : 0); /* on the way down */
        relay.count++;
      }
    for (int i = 0; i < relay.count;) {
      if (relay.held[i].at > clock_mono()) {
        i++;
        continue;
      }
      if (write(relay.held[i].to, relay.held[i].bytes, relay.held[i].size) < 0) continue;
      memmove(&relay.held[i], &relay.held[i + 1], (size_t)(--relay.count - i) * sizeof relay.held[0]);
    }
  }
  return NULL;
}

/* ---- the tree ---------------------------------------------------------------------------------------------------------------- */

static void all_ways(void) {
  for (int i = 0; i < NODES; i++) { /* down: by the core that has it, else by the other */
    bool second = i == C2 || i == H2 || i == O3 || six(i) || i == H4;
    way(HERE, i, second ? 2 : 1, 2, 1), way(HERE, i, second ? 1 : 2, 2, 2);
    if (i == C1 || by_hub(i)) continue;
    if (six(i)) way(C1, i, 13, 2, 2);
    else if (!second) way(C1, i, 3, 2, 1);
    way(C1, i, 11, 2, second ? 1 : 2);
  }
  way(C2, C1, 11, 1, 1), way(C2, H1, 4, 2, 1), way(C2, H2, 5, 2, 1), way(C2, O1, 4, 2, 1), way(C2, O2, 4, 2, 1), way(C2, O3, 5, 2, 1), way(C2, O4, 4, 2, 1), way(C2, O4, 5, 2, 2);
  way(C2, H3, 12, 2, 1), way(C2, H3, 11, 1, 2), way(C2, O5, 12, 2, 1), way(C2, O5, 11, 1, 2), way(C2, O6, 12, 2, 1), way(C2, O6, 5, 2, 2), way(C2, H4, 17, 2, 1);
  way(H1, O1, 6, 2, 1), way(H1, O2, 7, 2, 1), way(H1, O4, 9, 2, 1), way(H2, O3, 8, 2, 1), way(H2, O4, 10, 2, 1), way(H2, O6, 16, 2, 1);
  way(H3, O5, 14, 2, 1), way(H3, O6, 15, 2, 1), way(H4, O7, 18, 2, 1), way(H4, O8, 19, 2, 1);
  way(C1, NODES, 1, 1, 1), way(C1, NODES, 11, 2, 2), way(C2, NODES, 2, 1, 1), way(C2, NODES, 11, 1, 2); /* up */
  way(H1, NODES, 3, 1, 1), way(H1, NODES, 4, 1, 2), way(H2, NODES, 5, 1, 1), way(H3, NODES, 12, 1, 1), way(H3, NODES, 13, 1, 2), way(H4, NODES, 17, 1, 1);
  way(O1, NODES, 6, 1, 1), way(O2, NODES, 7, 1, 1), way(O3, NODES, 8, 1, 1), way(O4, NODES, 9, 1, 1), way(O4, NODES, 10, 1, 2), way(O5, NODES, 14, 1, 1), way(O6, NODES, 15, 1, 1), way(O6, NODES, 16, 1, 2);
  way(O7, NODES, 18, 1, 1), way(O8, NODES, 19, 1, 1);
  for (int i = 0; i <= NODES; i++) assert_int_equal(routes(i), 0);
}

static bool tree(void) {
  if (unshare(CLONE_NEWNS | CLONE_NEWNET) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) return false;
  mkdir("/run/netns", 0755);
  if (mount("tmpfs", "/run/netns", "tmpfs", 0, NULL) || access("/dev/net/tun", R_OK | W_OK)) return false;
  rules();
  if (commands("ip", NULL, "link set lo up\naddr add 10.255.0.1/32 dev lo\naddr add " SIX ":ff::ff/128 dev lo nodad\n")) return false;
  for (int i = 0; i < NODES; i++) {
    run_ip(NULL, "netns add %s\n", names[i]);
    in_space(names[i], rules_here, NULL);
    run_ip(names[i], "link set lo up\naddr add 10.255.1.%d/32 dev lo\naddr add " SIX ":ff::%d/128 dev lo nodad\n", i + 1, i + 1);
  }
  line(1, "", "c1"), line(2, "", "c2"), line(3, "c1", "h1"), line(4, "c2", "h1"), line(5, "c2", "h2");
  line(6, "h1", "o1"), line(7, "h1", "o2"), line(9, "h1", "o4"), line(10, "h2", "o4"), line(11, "c1", "c2");
  line(12, "c2", "h3"), line(13, "c1", "h3"), line(14, "h3", "o5"), line(15, "h3", "o6"), line(16, "h2", "o6"), line(17, "c2", "h4"), line(18, "h4", "o7"), line(19, "h4", "o8");
  in_space("h2", open_tun, &relay.fd[0]);
  in_space("o3", open_tun, &relay.fd[1]);
  run_ip("h2", "addr add 10.0.8.1/30 dev t0\naddr add " SIX ":8::1/64 dev t0 nodad\nlink set t0 up\n");
  run_ip("o3", "addr add 10.0.8.2/30 dev t0\naddr add " SIX ":8::2/64 dev t0 nodad\nlink set t0 up\n");
  all_ways();
  return true;
}

/* ---- the room -------------------------------------------------------------------------------------------------------------------- */

static void said(void *ctx, const char *file, unsigned line_number, const char *message) { print_message("%s:%u: %s\n", file, line_number, message); }

static void put_file(const char *folder, const char *name, const char *text) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  must(file_write(path, text, strlen(text), 0644, err));
}

#endif
