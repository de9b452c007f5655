/*
 * Real packets through a tree of network namespaces: two cores, two hubs, four offices, one of them on both hubs. Lines are cut, made lossy (nftables), slow (a relay between two
 * TUN devices), flapped; the prober itself is cut off. Incidents, states and times must be what was done, with no other alarm.
 *
 *        prober ── c1 ── c2 ── prober          h1 hangs on c1 and c2, h2 on c2;  o1, o2 on h1;  o3 on h2 (by the relay);  o4 on h1 and h2
 */
#include "network/inner.h"
#include "store-kit.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

enum { C1, C2, H1, H2, O1, O2, O3, O4, NODES, WAIT_MS = 40000 };
static const char *const names[NODES] = {"c1", "c2", "h1", "h2", "o1", "o2", "o3", "o4"}, *const codes[NODES] = {"C-1", "C-2", "H-1", "H-2", "O-1", "O-2", "O-3", "O-4"};

static struct network *net;
static struct store *main_store, *samples;
static struct trust *ledger;
static struct directory *dir;

/* ---- namespaces -------------------------------------------------------------------------------------------------------- */

static int commands(const char *tool, const char *space, const char *text) {
  char path[200];
  snprintf(path, sizeof path, "%s/batch", kit_dir);
  must(file_write(path, text, strlen(text), 0600, err));
  char *ip[] = {"ip", "-batch", path, NULL}, *ip_in[] = {"ip", "-n", (char *)(uintptr_t)space, "-batch", path, NULL},
       *nft[] = {"ip", "netns", "exec", (char *)(uintptr_t)space, "nft", "-f", path, NULL};
  return kit_run(strcmp(tool, "nft") == 0 ? nft : space ? ip_in : ip, NULL, 0);
}

static void run_ip(const char *space, const char *fmt, ...) {
  char text[2000];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if (commands("ip", space, text)) fail_msg("ip %s: %s", space ? space : "", text);
}

static void put_number(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  if (fd >= 0 && write(fd, text, strlen(text)) < 0) print_message("%s cannot be set\n", path);
  if (fd >= 0) close(fd);
}

static void rules(void) { /* of the namespace that we are in */
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

/* A line number i between a ("" is where we are) and b: 10.0.i.1 and 10.0.i.2 */
static void line(int i, const char *a, const char *b) {
  run_ip(NULL, "link add x%d type veth peer name y%d netns %s\n", i, i, b);
  if (a[0]) run_ip(NULL, "link set x%d netns %s\n", i, a);
  run_ip(a[0] ? a : NULL, "addr add 10.0.%d.1/30 dev x%d\nlink set x%d up\n", i, i, i);
  run_ip(b, "addr add 10.0.%d.2/30 dev y%d\nlink set y%d up\n", i, i, i);
}

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

static bool tree(void) {
  if (unshare(CLONE_NEWNS | CLONE_NEWNET) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) return false;
  mkdir("/run/netns", 0755);
  if (mount("tmpfs", "/run/netns", "tmpfs", 0, NULL) || access("/dev/net/tun", R_OK | W_OK)) return false;
  rules();
  if (commands("ip", NULL, "link set lo up\naddr add 10.255.0.1/32 dev lo\n")) return false;
  for (int i = 0; i < NODES; i++) {
    run_ip(NULL, "netns add %s\n", names[i]);
    in_space(names[i], rules_here, NULL);
    run_ip(names[i], "link set lo up\naddr add 10.255.1.%d/32 dev lo\n", i + 1);
  }
  line(1, "", "c1"), line(2, "", "c2"), line(3, "c1", "h1"), line(4, "c2", "h1"), line(5, "c2", "h2");
  line(6, "h1", "o1"), line(7, "h1", "o2"), line(9, "h1", "o4"), line(10, "h2", "o4"), line(11, "c1", "c2");
  in_space("h2", open_tun, &relay.fd[0]);
  in_space("o3", open_tun, &relay.fd[1]);
  run_ip("h2", "addr add 10.0.8.1/30 dev t0\nlink set t0 up\n");
  run_ip("o3", "addr add 10.0.8.2/30 dev t0\nlink set t0 up\n");
  pthread_create(&relay.thread, NULL, relay_main, NULL);
  /* down: by the core that has it, else by the other */
  for (int i = 0; i < NODES; i++) {
    bool second = i == C2 || i == H2 || i == O3;
    run_ip(NULL, "route add 10.255.1.%d/32 via 10.0.%d.2 metric 10\nroute add 10.255.1.%d/32 via 10.0.%d.2 metric 20\n", i + 1, second ? 2 : 1, i + 1, second ? 1 : 2);
    if (i == C1) continue;
    if (i == C2 || i == H2 || i == O3) run_ip("c1", "route add 10.255.1.%d/32 via 10.0.11.2\n", i + 1);
    else run_ip("c1", "route add 10.255.1.%d/32 via 10.0.3.2 metric 10\nroute add 10.255.1.%d/32 via 10.0.11.2 metric 20\n", i + 1, i + 1);
  }
  run_ip("c2", "route add 10.255.1.1/32 via 10.0.11.1\nroute add 10.255.1.3/32 via 10.0.4.2\nroute add 10.255.1.4/32 via 10.0.5.2\nroute add 10.255.1.5/32 via 10.0.4.2\nroute add 10.255.1.6/32 via 10.0.4.2\n"
         "route add 10.255.1.7/32 via 10.0.5.2\nroute add 10.255.1.8/32 via 10.0.4.2 metric 10\nroute add 10.255.1.8/32 via 10.0.5.2 metric 20\n");
  run_ip("h1", "route add 10.255.1.5/32 via 10.0.6.2\nroute add 10.255.1.6/32 via 10.0.7.2\nroute add 10.255.1.8/32 via 10.0.9.2\n");
  run_ip("h2", "route add 10.255.1.7/32 via 10.0.8.2\nroute add 10.255.1.8/32 via 10.0.10.2\n");
  /* up */
  run_ip("c1", "route add default via 10.0.1.1 metric 10\nroute add default via 10.0.11.2 metric 20\n");
  run_ip("c2", "route add default via 10.0.2.1 metric 10\nroute add default via 10.0.11.1 metric 20\n");
  run_ip("h1", "route add default via 10.0.3.1 metric 10\nroute add default via 10.0.4.1 metric 20\n");
  run_ip("h2", "route add default via 10.0.5.1\n");
  run_ip("o1", "route add default via 10.0.6.1\n");
  run_ip("o2", "route add default via 10.0.7.1\n");
  run_ip("o3", "route add default via 10.0.8.1\n");
  run_ip("o4", "route add default via 10.0.9.1 metric 10\nroute add default via 10.0.10.1 metric 20\n");
  return true;
}

/* ---- the room -------------------------------------------------------------------------------------------------------------------- */

static void said(void *ctx, const char *file, unsigned line_number, const char *message) { print_message("%s:%u: %s\n", file, line_number, message); }

static void put_file(const char *folder, const char *name, const char *text) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  must(file_write(path, text, strlen(text), 0644, err));
}

static void open_room(void) {
  static const char *const main_rooms[] = {"store", "trust", "network", NULL}, *const sample_rooms[] = {"store", "samples", NULL};
  char folder[200], where[600], key[200];
  snprintf(folder, sizeof folder, "%s/pack", kit_dir);
  must(dir_make(folder, 0755, err));
  put_file(folder, "places.csv", "code,parent,kind,setting,name_fa,name_en,lat,lon,population,population_year,households\n09,,province,mixed,استان,Province,,,,,\n");
  put_file(folder, "organisations.csv", "code,kind,parent,place,class,member,name_fa,name_en,phone,unit_of\nost,agency,,09,GOV,1,استانداری,Governor,,\n");
  put_file(folder, "offices.csv", "code,organisation,place,level,uplinks,name_fa,name_en,lat,lon,synthetic\nC-1,ost,09,core,,یک,,,,1\nC-2,ost,09,core,,دو,,,,1\nH-1,ost,09,hub,C-1;C-2,گره یک,,,,1\n"
           "H-2,ost,09,hub,C-2,گره دو,,,,1\nO-1,ost,09,office,H-1,الف,,,,1\nO-2,ost,09,office,H-1,ب,,,,1\nO-3,ost,09,office,H-2,پ,,,,1\nO-4,ost,09,office,H-1;H-2,ت,,,,1\n");
  dir = directory_load(folder, said, NULL);
  assert_non_null(dir);
  kit_new_where(false, where, sizeof where);
  must(store_open(where, NULL, &main_store, err));
  must(store_migrate(main_store, main_rooms, err));
  kit_new_where(false, where, sizeof where);
  must(store_open(where, NULL, &samples, err));
  must(store_migrate(samples, sample_rooms, err));
  snprintf(key, sizeof key, "%s/key.pem", kit_dir);
  struct trust_options t = {.key_file = key, .origin = "test/ledger", .node = "one"};
  must(trust_open(main_store, &t, &ledger, err));
  struct network_options o = {.node = "one", .source4 = "10.255.0.1", .packets = 5, .gap_ms = 10, .timeout_ms = 600, .interval_ms = 400, .retry_ms = 100};
  must(network_open(main_store, samples, ledger, dir, &o, &net, err));
  struct network_plan_row rows[NODES] = {0};
  char address[NODES][32];
  for (int i = 0; i < NODES; i++) {
    snprintf(address[i], sizeof address[i], "10.255.1.%d", i + 1);
    rows[i] = (struct network_plan_row){.line = (unsigned)i + 2, .code = codes[i], .address = address[i]};
  }
  json_t *j;
  struct network_by by = {"op", NULL};
  must(network_plan(net, &by, rows, NODES, false, LANG_EN, &j, err));
  json_decref(j);
  must(network_start(net, err));
}

/* ---- what is seen -------------------------------------------------------------------------------------------------------------------- */

static struct network_office at(int i) {
  struct network_office o;
  assert_int_equal(network_node(net, network_find(net, codes[i]), &o), 0);
  return o;
}

static void tell_all(void) {
  for (int i = 0; i < NODES; i++) {
    struct network_office o = at(i);
    print_message("  %s %s since %lld incident %lld loss %.3f rtt %.1f %s\n", codes[i], network_state_text(o.state), (long long)o.since, (long long)o.incident, o.loss_recent, o.rtt_recent, o.flapping ? "flapping" : "");
  }
}

/* States by letter: u d(egraded) D(own) n(ot reachable) ?(unknown) .(any) */
static bool looks(const char *wanted) {
  static const char letters[] = "udDnm?";
  for (int i = 0; i < NODES; i++)
    if (wanted[i] != '.' && letters[at(i).state] != wanted[i]) return false;
  return true;
}

static void until(const char *wanted) {
  for (int64_t end = clock_mono() + WAIT_MS; !looks(wanted); kit_sleep(20))
    if (clock_mono() > end) {
      tell_all();
      fail_msg("it never looked like %s", wanted);
    }
}

static json_t *incidents(int open) {
  struct network_incident_query q = {.open = open, .place = -1};
  json_t *j, *items;
  must(network_settle(net, err));
  must(network_incidents(net, &q, LANG_EN, &j, err));
  items = json_incref(json_object_get(j, "items"));
  json_decref(j);
  return items;
}

static int64_t count(int open) {
  json_t *j = incidents(open);
  int64_t n = (int64_t)json_array_size(j);
  json_decref(j);
  return n;
}

/* So many there were in all (kind NULL) or of one kind; which ones is told when there were others. */
static void only(const char *kind, int64_t wanted) {
  json_t *j = incidents(-1), *one;
  int64_t n = 0;
  size_t i;
  json_array_foreach(j, i, one) n += !kind || base_same(json_str(one, "kind"), kind);
  if (n != wanted) {
    char *text = json_dumps(j, JSON_INDENT(1));
    print_message("%s\n", text);
    free(text);
  }
  assert_int_equal(n, wanted);
  json_decref(j);
}

/* The newest incident. */
static void newest(const char *kind, const char *office, int64_t began, bool ended, int64_t end) {
  json_t *j = incidents(-1), *i = json_array_get(j, 0);
  int64_t ms = 0;
  assert_string_equal(json_str(i, "kind"), kind);
  assert_string_equal(json_str(i, "office"), office);
  assert_int_equal(clock_parse(json_str(i, "began"), &ms), 0);
  assert_true(ms + 999 >= began); /* told to the second */
  assert_int_equal(json_flag(i, "open", false), !ended);
  if (ended) {
    assert_int_equal(clock_parse(json_str(i, "ended"), &ms), 0);
    assert_true(ms + 999 >= end);
  }
  json_decref(j);
}

static void settle_quality(void) { /* ten good probes of everybody */
  int64_t end = clock_mono() + WAIT_MS;
  for (int i = 0; i < NODES; i++)
    while (at(i).loss_recent > 0 || !(at(i).rtt_recent < 100)) {
      if (clock_mono() > end) fail_msg("%s does not become good", codes[i]);
      kit_sleep(20);
    }
}

/* ---- what is done ---------------------------------------------------------------------------------------------------------------------- */

static void cut_a_hub(void **state) {
  until("uuuuuuuu");
  int64_t before = network_cursor(net), cut = clock_now();
  run_ip("h1", "link set y3 down\nlink set y4 down\nlink set x6 down\nlink set x7 down\nlink set x9 down\n"); /* dead, so that o4 sees it too */
  until("uuDunnuu"); /* o4 has another way */
  newest("down", "H-1", cut, false, 0);
  assert_int_equal(count(1), 1);
  assert_int_equal(at(O1).incident, at(H1).incident);
  assert_int_equal(at(O2).incident, at(H1).incident);
  int64_t mend = clock_now();
  run_ip("h1", "link set y3 up\nlink set y4 up\nlink set x6 up\nlink set x7 up\nlink set x9 up\n" /* routes were taken away with the lines */
         "route replace default via 10.0.3.1 metric 10\nroute replace default via 10.0.4.1 metric 20\nroute replace 10.255.1.5/32 via 10.0.6.2\nroute replace 10.255.1.6/32 via 10.0.7.2\n"
         "route replace 10.255.1.8/32 via 10.0.9.2\n");
  until("uuuuuuuu");
  newest("down", "H-1", cut, true, mend);
  only(NULL, 1);
  json_t *j;
  must(network_changes(net, before, 0, &j, err));
  size_t i;
  json_t *c;
  json_array_foreach(json_object_get(j, "changes"), i, c)
    if (base_same(json_str(c, "to"), "down")) assert_string_equal(json_str(c, "office"), "H-1"); /* nobody else was ever called down */
  json_decref(j);
}

/* Nobody else but this one changed. */
static void only_changed(int64_t since, const char *office) {
  json_t *j, *c;
  size_t i;
  must(network_changes(net, since, 0, &j, err));
  json_array_foreach(json_object_get(j, "changes"), i, c)
    if (json_str(c, "office") && !base_same(json_str(c, "office"), office)) fail_msg("%s became %s", json_str(c, "office"), json_str(c, "to"));
  json_decref(j);
}

static void redundant_cores(void **state) {
  settle_quality();
  until("uuuuuuuu");
  int64_t before = network_cursor(net);
  run_ip("c1", "link set y1 down\nlink set x3 down\nlink set x11 down\n");
  until("Duuuuuuu");
  run_ip("c1", "link set y1 up\nlink set x3 up\nlink set x11 up\n");
  run_ip("c1", "route replace default via 10.0.1.1 metric 10\nroute replace default via 10.0.11.2 metric 20\nroute replace 10.255.1.2/32 via 10.0.11.2\nroute replace 10.255.1.4/32 via 10.0.11.2\n"
         "route replace 10.255.1.7/32 via 10.0.11.2\nroute replace 10.255.1.3/32 via 10.0.3.2 metric 10\nroute replace 10.255.1.5/32 via 10.0.3.2 metric 10\nroute replace 10.255.1.6/32 via 10.0.3.2 metric 10\n"
         "route replace 10.255.1.8/32 via 10.0.3.2 metric 10\nroute replace 10.255.1.3/32 via 10.0.11.2 metric 20\nroute replace 10.255.1.5/32 via 10.0.11.2 metric 20\n"
         "route replace 10.255.1.6/32 via 10.0.11.2 metric 20\nroute replace 10.255.1.8/32 via 10.0.11.2 metric 20\n");
  until("uuuuuuuu");
  only("down", 2);
  only_changed(before, "C-1"); /* what a change of ways loses is nobody's bad quality */
}

static void five_in_a_hundred(void **state) {
  settle_quality();
  until("uuuuuuuu");
  int64_t before = count(-1);
  assert_int_equal(commands("nft", "o2", "add table ip t\nadd chain ip t in { type filter hook input priority 0; }\nadd rule ip t in icmp type echo-request numgen inc mod 20 == 0 drop\n"), 0);
  until("uuuuuduu");
  assert_int_equal(count(1), 1);
  newest("degraded", "O-2", 0, false, 0);
  assert_true(at(O2).loss_recent >= 0.03 && at(O2).loss_recent <= 0.08);
  assert_int_equal(commands("nft", "o2", "delete table ip t\n"), 0);
  until("uuuuuuuu");
  only(NULL, before + 1);
}

static void three_hundred_ms(void **state) {
  settle_quality();
  until("uuuuuuuu");
  int64_t before = count(-1);
  relay.delay_ms = 300;
  until("uuuuuudu");
  newest("degraded", "O-3", 0, false, 0);
  assert_true(at(O3).rtt_recent >= 300 && at(O3).rtt_recent < 600);
  relay.delay_ms = 0;
  until("uuuuuuuu");
  only(NULL, before + 1);
}

static void a_flapping_line(void **state) {
  settle_quality();
  for (int i = 0; i < 40 && !at(O1).flapping; i++) {
    run_ip("h1", "link set x6 down\n");
    until("uuuuDuuu");
    run_ip("h1", "link set x6 up\nroute replace 10.255.1.5/32 via 10.0.6.2\n");
    until("uuuuuuuu");
  }
  assert_true(at(O1).flapping);
  int64_t open = at(O1).incident;
  assert_true(open > 0); /* it answers, and its incident stays */
  assert_int_equal(count(1), 1);
  for (int64_t end = clock_mono() + WAIT_MS; at(O1).flapping; kit_sleep(50))
    if (clock_mono() > end) fail_msg("it flaps for ever");
  assert_int_equal(at(O1).incident, 0);
  assert_int_equal(count(1), 0);
}

static void the_prober_is_cut_off(void **state) {
  int64_t before = count(-1), cut = clock_now();
  run_ip(NULL, "link set x1 down\nlink set x2 down\n");
  until("????????");
  assert_int_equal(count(1), 1);
  newest("prober", "", cut, false, 0);
  run_ip(NULL, "link set x1 up\nlink set x2 up\n");
  for (int i = 0; i < NODES; i++) {
    bool second = i == C2 || i == H2 || i == O3;
    run_ip(NULL, "route replace 10.255.1.%d/32 via 10.0.%d.2 metric 10\nroute replace 10.255.1.%d/32 via 10.0.%d.2 metric 20\n", i + 1, second ? 2 : 1, i + 1, second ? 1 : 2);
  }
  until("uuuuuuuu");
  only(NULL, before + 1);
  assert_int_equal(count(1), 0);
}

static void reported(void *ctx, const char *text) { fail_msg("%s", text); }

/* The times of the first test's cut, from spans: in every sum the same, and nobody else has any fault of their own but those that were made. */
static void what_is_told(void **state) {
  struct network_availability_query q = {.by = NETWORK_BY_OFFICE, .from = day_of(clock_now()) - 1, .to = day_of(clock_now()), .place = -1};
  struct network_line *lines;
  size_t n;
  must(network_availability(net, &q, &lines, &n, err));
  assert_int_equal(n, NODES);
  for (int i = 0; i < NODES; i++) {
    const struct network_sums *s = &lines[i].sums; /* in order of codes: C-1 … O-4 */
    assert_string_equal(lines[i].key, codes[i]);
    assert_int_equal(s->own[0] > 0, i == C1 || i == H1 || i == O1);
    assert_int_equal(s->upstream[0] > 0, i == O1 || i == O2);
    if (i == O2 || i == O3) assert_true(s->degraded[0] > 0);
    assert_true(s->unknown[0] > 0 && s->up[0] > 0);
  }
  /* those behind the hub lost no more than the hub did, and the incident says as much as the hub's own time */
  struct network_incident_query hub = {.open = 0, .place = -1, .office = "H-1"};
  json_t *j;
  must(network_incidents(net, &hub, LANG_EN, &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "items")), 1);
  int64_t lasted = json_int(json_array_get(json_object_get(j, "items"), 0), "duration_s", 0);
  assert_int_equal(lines[H1].sums.own[0] / 1000, lasted);
  json_decref(j);
  network_availability_free(lines, n);
  must(network_verify(net, reported, NULL, err));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cut_a_hub), cmocka_unit_test(redundant_cores), cmocka_unit_test(five_in_a_hundred), cmocka_unit_test(three_hundred_ms),
    cmocka_unit_test(a_flapping_line), cmocka_unit_test(the_prober_is_cut_off), cmocka_unit_test(what_is_told)};
  struct err err;
  if (kit_start(NULL) || language_init(&err)) return 1;
  /* Before everything that only computes: what is late here is lost to the prober, and a busy machine shall not look like a lossy line. */
  if (sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 1})) print_message("network-lines: no priority of real time here\n");
  if (!tree()) {
    print_message("network-lines: SKIPPED: this program may not make network namespaces and TUN devices\n");
    kit_stop(NULL);
    return 77;
  }
  open_room();
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  network_close(net);
  trust_close(ledger);
  store_close(samples);
  store_close(main_store);
  directory_free(dir);
  relay.stop = true;
  pthread_join(relay.thread, NULL);
  umount("/run/netns");
  kit_stop(NULL);
  return failed;
}
