/* A prober elsewhere, with real packets to 127/8 and a centre in the same program: signed reports, a cut between them, catching up, and what is not signed or came already. */
#include "network/checks.h"
#include "network/hub.h"
#include "network/inner.h"
#include "network/inner_core.h"
#include "store-kit.h"

#include <arpa/inet.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { WAIT_MS = 40000 };

static struct network *net;
static volatile bool stop;
static atomic_bool cut, says_wrong;     /* its next answer tells a time that is wrong */
static atomic_int taken, refused_reports;
static struct network_refusal why;
static char last_body[1 << 16], last_signature[200], hub_folder[200];

static int call_centre(void *ctx, const char *path, const char *signature, const void *body, size_t n, char **answer, size_t *size, struct err *err) {
  int64_t next;
  json_t *plan;
  if (cut) return err_set(err, ERR_UNAVAILABLE, "the line is cut");
  if (strcmp(path, "/probe/hub-1") != 0) return err_set(err, ERR_NOT_FOUND, "%s", path);
  if (network_report(net, "hub-1", body, n, signature, &next, &why, err) || network_prober_plan(net, "hub-1", &plan, err)) {
    refused_reports++;
    return -1;
  }
  if (n < sizeof last_body && strstr(body, "\"samples\":[[")) {
    memcpy(last_body, body, n);
    last_body[n] = 0;
    snprintf(last_signature, sizeof last_signature, "%s", signature);
    taken++;
  }
  if (atomic_exchange(&says_wrong, false)) json_object_set_new(plan, "now", json_integer(json_int(plan, "now", 0) + 1200000));
  *answer = json_text(plan, size);
  json_decref(plan);
  return 0;
}

static void *hub_main(void *ctx) {
  struct network_hub_options o = {.name = "hub-1", .folder = hub_folder, .call = call_centre, .stop = &stop, .probe = {.retry_ms = 200}};
  must(network_hub_run(&o, err));
  return NULL;
}

static struct network_office office(const char *code) {
  struct network_office o;
  assert_int_equal(network_node(net, network_find(net, code), &o), 0);
  return o;
}

static void until_state(const char *code, enum network_state s) {
  for (int64_t end = clock_mono() + WAIT_MS; office(code).state != s; kit_sleep(20))
    if (clock_mono() > end) fail_msg("%s is %s, not %s", code, network_state_text(office(code).state), network_state_text(s));
}

static void put_file(const char *folder, const char *name, const char *text) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  must(file_write(path, text, strlen(text), 0644, err));
}

static int64_t unknown_spans(void) {
  struct network_availability_query q = {.by = NETWORK_BY_OFFICE, .from = day_of(clock_now()) - 1, .to = day_of(clock_now()), .place = -1, .office = "O-1"};
  struct network_line *lines;
  size_t n;
  must(network_availability(net, &q, &lines, &n, err));
  int64_t ms = lines[0].sums.unknown[0];
  network_availability_free(lines, n);
  return ms;
}

static void reports(void **state) {
  pthread_t hub;
  char key[64];
  struct network_by by = {"op", NULL};
  json_t *j;
  int64_t next;
  char code[NETWORK_PROBER_CODE], *body, *signature;
  must(network_hub_key(hub_folder, key, err));
  refused(network_report(net, "hub-1", "{}", 2, "", &next, &why, err), ERR_UNAUTHENTICATED); /* not admitted */
  refused(network_prober_invite(net, &by, "Hub 1", "behind the mountains", code, err), ERR_INVALID);
  refused(network_prober_invite(net, &by, "hub-1", "", code, err), ERR_INVALID);
  refused(network_prober_invite(net, &(struct network_by){"m", "ORG"}, "hub-1", "behind the mountains", code, err), ERR_FORBIDDEN);
  must(network_prober_invite(net, &by, "hub-1", "behind the mountains", code, err));
  must(network_hub_join(hub_folder, code, &body, &signature, err));
  refused(network_prober_join(net, "hub-2", body, strlen(body), signature, &why, err), ERR_NOT_FOUND);
  refused(network_prober_join(net, "hub-1", body, strlen(body), "", &why, err), ERR_INVALID);
  must(network_prober_join(net, "hub-1", body, strlen(body), signature, &why, err));
  refused(network_prober_join(net, "hub-1", body, strlen(body), signature, &why, err), ERR_NOT_FOUND); /* once */
  free(body);
  free(signature);
  must(network_load(net, err));
  struct network_plan_row rows[] = {{.line = 2, .code = "O-1", .address = "127.0.0.21", .prober = "hub-1"}, {.line = 3, .code = "O-2", .address = "127.0.0.22", .prober = "hub-1"}};
  must(network_plan(net, &by, rows, 2, false, LANG_EN, &j, err));
  json_decref(j);
  must(network_load(net, err));
  pthread_create(&hub, NULL, hub_main, NULL);
  until_state("O-1", NETWORK_UP);
  until_state("O-2", NETWORK_UP);
  must(network_settle(net, err));        /* what was unknown until the first answer is written, too */
  int64_t since = office("O-1").since, before = unknown_spans();
  /* the line between them is cut; the centre no longer knows */
  cut = true;
  kit_sleep(1500);
  pthread_mutex_lock(&net->lock);
  core_away(net->core, 1, net->probers[1].last, network_label(net), true);
  pthread_mutex_unlock(&net->lock);
  assert_int_equal(office("O-1").state, NETWORK_UNKNOWN);
  int64_t had = office("O-1").probed;
  cut = false;
  until_state("O-1", NETWORK_UP); /* and what was measured meanwhile takes the place of "unknown" */
  assert_int_equal(office("O-1").since, since);
  for (int64_t end = clock_mono() + WAIT_MS; office("O-1").probed <= had; kit_sleep(20)) assert_true(clock_mono() < end);
  must(network_settle(net, err));
  assert_int_equal(unknown_spans(), before);
  must(network_probers(net, &j, err));
  assert_false(json_flag(json_array_get(json_object_get(j, "items"), 0), "away", true));
  json_decref(j);
  stop = true;
  pthread_join(hub, NULL);
  assert_int_equal(refused_reports, 0);
  assert_true(taken > 0);
  /* again, changed, under another name, by nobody: nothing changes */
  int64_t wanted = net->probers[1].next, probes = net->probes;
  refused(network_report(net, "hub-1", last_body, strlen(last_body), last_signature, &next, &why, err), ERR_CONFLICT);
  assert_int_equal(net->probers[1].next, wanted);
  refused(network_report(net, "hub-2", last_body, strlen(last_body), last_signature, &next, &why, err), ERR_UNAUTHENTICATED);
  refused(network_report(net, "", last_body, strlen(last_body), last_signature, &next, &why, err), ERR_UNAUTHENTICATED);
  for (size_t i = 0; i < strlen(last_body); i += 7) {
    last_body[i] ^= 1;
    refused(network_report(net, "hub-1", last_body, strlen(last_body), last_signature, &next, &why, err), ERR_UNAUTHENTICATED);
    last_body[i] ^= 1;
  }
  refused(network_report(net, "hub-1", last_body, strlen(last_body), NULL, &next, &why, err), ERR_UNAUTHENTICATED);
  assert_int_equal(net->probes, probes);
  must(network_prober_revoke(net, &by, "hub-1", "given up", err)); /* its right is taken away */
  must(network_load(net, err));
  refused(network_report(net, "hub-1", last_body, strlen(last_body), last_signature, &next, &why, err), ERR_FORBIDDEN);
}

/* ---- checks beside the echo ---- */

static int listener(const char *address, int *port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
  socklen_t size = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  inet_pton(AF_INET, address, &a.sin_addr);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
  assert_int_equal(listen(fd, 100), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
  *port = ntohs(a.sin_port);
  return fd;
}

static json_t *inside(const char *code, const char *member) { /* what the office's own people see; borrowed until the next call */
  static json_t *j;
  json_decref(j);
  j = NULL;
  if (!code) return NULL;
  must(network_settle(net, err));
  must(network_office(net, code, LANG_EN, &j, err));
  return json_object_get(j, member);
}

static void until_cause(const char *code, const char *cause) {
  for (int64_t end = clock_mono() + WAIT_MS; !base_same(json_str(json_array_get(inside(code, "check_results"), 0), "cause"), cause); kit_sleep(20))
    if (clock_mono() > end) fail_msg("%s: never %s", code, cause);
}

static const char *hub_trouble = "";

/* A report of this program's own, signed as the hub does. */
static int say(json_t *samples, json_t *interfaces, int64_t from, struct err *err) {
  static int64_t number;
  EVP_PKEY *key = hub_open_key(hub_folder, NULL);
  int64_t next, now = clock_now();
  number = number + 1 > now ? number + 1 : now;
  if (net->probers[1].report >= number) number = net->probers[1].report + 1;
  json_t *all = json_pack("{s:s,s:I,s:I,s:I,s:s,s:s,s:i,s:i,s:o,s:o}", "name", "hub-1", "report", (json_int_t)number, "from", (json_int_t)from, "now", (json_int_t)now, "version", "1",
                          "trouble", hub_trouble, "backlog", 0, "oldest", 0, "samples", samples, "interfaces", interfaces);
  char *body = json_canonical(all), *signature = hub_sign(key, HUB_REPORT, body, strlen(body));
  int rc = network_report(net, "hub-1", body, strlen(body), signature, &next, &why, err);
  json_decref(all);
  free(body);
  free(signature);
  EVP_PKEY_free(key);
  return rc;
}

static void tell(json_t *samples, json_t *interfaces) { must(say(samples, interfaces, net->probers[1].next, err)); }

static int try_tell(json_t *samples, json_t *interfaces) {
  struct err err = {0};
  return say(samples, interfaces, net->probers[1].next, &err) ? (int)err.code : 0;
}

static json_t *row(const char *name, int64_t octets) { return json_pack("[i,s,i,I,i,i,i,i,i]", 1, name, 1, (json_int_t)octets, 2, 0, 0, 800, -1); }

/* Connections to real listeners, asked from the hub; where there is no echo the first is the probe. Then what a hub says that cannot be so. */
static void checks(void **state) {
  pthread_t hub;
  char text[2][40], mark[17];
  struct network_by by = {"op", NULL};
  json_t *j;
  char code[NETWORK_PROBER_CODE], typed[NETWORK_PROBER_CODE], *body, *signature;
  int port = 0, fd = listener("127.0.0.1", &port);
  must(network_prober_invite(net, &by, "hub-1", "needed again", code, err));
  size_t n = 0; /* as somebody reads it out and another writes it down */
  for (const char *c = code, *dot = strchr(code, '.'); *c; c++)
    if (c < dot || *c != '-') typed[n++] = c < dot ? *c : *c == '0' ? 'O' : *c == '1' ? 'l' : *c >= 'a' ? (char)(*c - 32) : *c;
  typed[n] = 0;
  must(network_hub_join(hub_folder, typed, &body, &signature, err));
  must(network_prober_join(net, "hub-1", body, strlen(body), signature, &why, err));
  free(body);
  free(signature);
  snprintf(text[0], sizeof text[0], "icmp tcp:%d", port);
  snprintf(text[1], sizeof text[1], "tcp:%d", port);
  struct network_plan_row rows[] = {{.line = 2, .code = "O-1", .address = "127.0.0.1", .prober = "hub-1", .checks = text[0]}, {.line = 3, .code = "O-2", .address = "127.0.0.1", .prober = "hub-1", .checks = text[1]}};
  must(network_plan(net, &by, rows, 2, false, LANG_EN, &j, err));
  json_decref(j);
  must(network_load(net, err));
  stop = false;
  pthread_create(&hub, NULL, hub_main, NULL);
  until_cause("O-1", "ok");
  until_state("O-1", NETWORK_UP);
  until_state("O-2", NETWORK_UP);
  close(fd);
  until_cause("O-1", "refused");
  until_state("O-1", NETWORK_DEGRADED);
  until_cause("O-2", "refused");
  cut = true;                            /* what happens while nobody hears the hub is told later */
  fd = listener("127.0.0.1", &port);
  kit_sleep(600);
  cut = false;
  until_cause("O-1", "ok");
  until_state("O-1", NETWORK_UP);
  until_state("O-2", NETWORK_UP);
  stop = true;
  pthread_join(hub, NULL);
  close(fd);
  must(network_load(net, err));
  struct network_plan_row agent = {.line = 2, .code = "O-1", .checks = "icmp snmp:secret"};
  must(network_plan(net, &by, &agent, 1, false, LANG_EN, &j, err));
  json_decref(j);
  must(network_load(net, err));
  must(network_prober_plan(net, "hub-1", &j, err));
  assert_string_equal(json_str(json_array_get(json_object_get(j, "offices"), 0), "checks"), "icmp snmp:secret");
  json_decref(j);
  json_int_t now = clock_now();
  check_mark(&net->nodes[network_find(net, "O-1")].check[0], mark);
  assert_null(strstr(mark, "secret"));
  tell(json_pack("[[s,I,s,i,s,s]]", "O-1", now, "check", 0, mark, "ok"), json_pack("[[s,I,s,[o]]]", "O-1", now, mark, row("eth0", 5)));
  until_cause("O-1", "ok");
  assert_int_equal(json_array_size(inside("O-1", "interfaces")), 1);
  json_t *samples = json_pack("[[s,I,s,i,s,s],[s,I,s,i,s,s],[s,I,s,i,s,s],[s,I,s,i,s,s],[s,I,s,s,s,s],[s,I,s]]", "O-1", now, "check", 1, mark, "refused", "O-1", now, "check", -1, mark, "refused", "O-1", now, "check", 0,
                              "0000000000000000", "refused", "O-1", now, "check", 0, mark, "burnt", "O-1", now, "check", "0", mark, "refused", "C-1", now, "check");
  json_t *wrong = json_pack("[[s,I,s,[o,o]],[s,I,s,[o]],[s,I,s,[]],[s,I,s,[o]],[s,I,s,[o]],[s,I],i]", "O-1", now + 1, mark, row("eth1", 1), row("eth\x01", 1), "O-1", now + 1, mark, row("eth1", -5), "O-1", now + 1, mark,
                            "O-1", now + 1, "0000000000000000", row("eth1", 1), "O-2", now + 1, mark, row("eth1", 1), "O-1", now + 1, 7);
  tell(samples, wrong);
  assert_string_equal(json_str(json_array_get(inside("O-1", "check_results"), 0), "cause"), "ok");
  assert_int_equal(json_array_size(inside("O-1", "interfaces")), 1);
  assert_string_equal(json_str(json_array_get(inside("O-1", "interfaces"), 0), "name"), "eth0");
  inside(NULL, NULL);
}

static uint8_t recent_of(struct network *n, const char *code) {
  pthread_mutex_lock(&n->lock);
  uint8_t at = n->core->nodes[network_at(n, code)->o.node].recent.at;
  pthread_mutex_unlock(&n->lock);
  return at;
}

static json_t *answered(const char *code, int64_t at, int ms) { return json_pack("[s,I,i,i,i,i,i,i,i]", code, (json_int_t)at, 5, 0, ms, ms, ms, ms, 1); }

static bool has_point(const char *code, int ms) {
  json_t *j, *one;
  size_t i;
  bool found = false;
  must(network_series(net, code, NETWORK_HOUR, clock_now() + 60000, &j, err));
  json_array_foreach(json_object_get(j, "points"), i, one) found |= json_number_value(json_object_get(one, "median")) == ms;
  json_decref(j);
  return found;
}

/* A second node upon the same stores, which does not measure: it takes no report, and reads what the first one wrote, late or not. */
static void two_nodes(void **state) {
  struct network_options o = {.node = "two", .packets = 3, .gap_ms = 5, .timeout_ms = 300, .interval_ms = 300};
  struct network *other, *first = net;
  struct network_office seen;
  int64_t epoch, now = clock_now();
  must(store_lease(net->main, "network", "one", 3600000, &epoch, err) == 1 ? 0 : -1);
  must(network_open(net->main, net->samples, net->trust, net->d, &o, &other, err));
  must(network_start(other, err));
  net = other;
  assert_int_equal(try_tell(json_pack("[o]", answered("O-1", now, 301)), json_array()), ERR_UNAVAILABLE);
  net = first;
  tell(json_pack("[o]", answered("O-1", now, 301)), json_array()); /* the very same, once it comes where it is measured */
  int at = network_find(other, "O-1");
  for (int64_t end = clock_mono() + WAIT_MS; network_node(other, at, &seen) == 0 && seen.probed != now; kit_sleep(20)) assert_true(clock_mono() < end);
  uint8_t before = recent_of(other, "O-1");
  tell(json_pack("[o]", answered("O-1", now - 60000, 302)), json_array()); /* caught up */
  for (int64_t end = clock_mono() + WAIT_MS; recent_of(other, "O-1") == before; kit_sleep(20)) assert_true(clock_mono() < end);
  assert_int_equal(network_node(other, at, &seen), 0);
  assert_int_equal(seen.probed, now);
  tell(json_pack("[o]", answered("O-1", now + 1, 303)), json_array()); /* two rows of the same moment */
  tell(json_pack("[o]", answered("O-2", now + 1, 304)), json_array());
  assert_true(has_point("O-1", 301) && has_point("O-1", 302) && has_point("O-1", 303) && has_point("O-2", 304));
  network_close(other);
}

static int rename_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, arg ? "ALTER TABLE network_raw RENAME TO network_raw_away" : "ALTER TABLE network_raw_away RENAME TO network_raw", "") < 0 ? -1 : 0;
}

/* Taken, but another node began to measure before it was written: the hub sends the very same again, and here it is taken once more. */
static void forgotten(void **state) {
  struct err why_not;
  int64_t now = clock_now(), from = net->probers[1].next, last = net->probers[1].last;
  must(store_write(net->samples, STORE_FRONT, rename_work, "away", err));
  assert_int_equal(say(json_pack("[o]", answered("O-1", now, 305)), json_array(), from, &why_not), -1);
  network_lose(net);
  must(store_write(net->samples, STORE_FRONT, rename_work, NULL, err));
  assert_int_equal(net->probers[1].next, from);
  assert_int_equal(net->probers[1].last, last);
  net->holder = true;
  must(say(json_pack("[o]", answered("O-1", now, 305)), json_array(), from, err));
  assert_true(has_point("O-1", 305));
}

/* While the store is away and much waits for it, reports are refused before they are taken: who signs them fills no memory. */
static void crowded(void **state) {
  enum { LARGE = OPS_BYTES_MOST / 2 + 1 };
  struct err why_not;
  int64_t now = clock_now(), from = net->probers[1].next, size;
  must(store_write(net->samples, STORE_FRONT, rename_work, "away", err));
  pthread_mutex_lock(&net->lock);
  network_op(net, (struct op){.kind = OP_RAW, .id = ++net->raw_id, .from = now, .until = now, .prober = "", .bytes = base_alloc(LARGE), .size = LARGE});
  pthread_mutex_unlock(&net->lock);
  assert_int_equal(network_flush(net, &why_not), -1);
  size = net->ops_size;
  assert_int_equal(try_tell(json_pack("[o]", answered("O-1", now, 306)), json_array()), ERR_UNAVAILABLE);
  assert_string_equal(why.word, "probe.store");
  assert_int_equal(net->ops_size, size);
  assert_int_equal(net->probers[1].next, from);
  must(store_write(net->samples, STORE_FRONT, rename_work, NULL, err));
  must(network_flush(net, err));
  must(say(json_pack("[o]", answered("O-1", now, 306)), json_array(), from, err));
  assert_true(has_point("O-1", 306));
}

static void admit(void) {
  struct network_by by = {"op", NULL};
  char code[NETWORK_PROBER_CODE], *body, *signature;
  must(network_prober_invite(net, &by, "hub-1", "needed again", code, err));
  must(network_hub_join(hub_folder, code, &body, &signature, err));
  must(network_prober_join(net, "hub-1", body, strlen(body), signature, &why, err));
  must(network_load(net, err));
  free(body);
  free(signature);
}

static void plan_both(const char *interval) {
  struct network_by by = {"op", NULL};
  struct network_plan_row rows[] = {{.line = 2, .code = "O-1", .checks = "", .interval = interval}, {.line = 3, .code = "O-2", .checks = "", .interval = interval}};
  json_t *j;
  must(network_plan(net, &by, rows, 2, false, LANG_EN, &j, err));
  json_decref(j);
  must(network_load(net, err));
}

static json_t *good(const char *code, int64_t at) { return json_pack("[s,I,i,i,f,f,f,f,f]", code, (json_int_t)at, 3, 0, 1.0, 2.0, 3.0, 4.0, 1.0); }

static json_t *prober_one(void) { /* caller frees */
  json_t *all;
  must(network_probers(net, &all, err));
  json_t *one = json_incref(json_array_get(json_object_get(all, "items"), 0));
  json_decref(all);
  return one;
}

/* In a network of its own, where nobody may send echo requests, and without the right to do it all the same. */
static void *mute_main(void *ctx) {
  atomic_int *went = ctx;
  if (unshare(CLONE_NEWNET)) return NULL;
  privileges_keep(~(UINT64_C(1) << CAP_NET_RAW));
  *went = 1;
  return hub_main(NULL);
}

/* A hub that can send nothing still reports: that is told, and nobody is called up, nor down, by it. */
static void cannot_send(void **state) {
  pthread_t hub;
  atomic_int went = 0;
  plan_both("");
  tell(json_pack("[o,o]", good("O-1", clock_now()), good("O-2", clock_now())), json_array());
  assert_int_equal(office("O-1").state, NETWORK_UP);
  stop = false;
  pthread_create(&hub, NULL, mute_main, &went);
  for (int64_t end = clock_mono() + WAIT_MS; !went && clock_mono() < end && pthread_tryjoin_np(hub, NULL);) kit_sleep(10);
  if (!went) {
    print_message("network-hub: a network of its own is refused: not tried\n");
    return;
  }
  until_state("O-1", NETWORK_UNKNOWN);
  until_state("O-2", NETWORK_UNKNOWN);
  for (int64_t end = clock_mono() + WAIT_MS; !base_same(trouble_text(net->probers[1].trouble), "socket"); kit_sleep(20)) assert_true(clock_mono() < end);
  json_t *one = prober_one();
  assert_string_equal(json_str(one, "trouble"), "socket");
  json_decref(one);
  assert_string_equal(json_string_value(inside("O-1", "prober_trouble")), "socket");
  stop = true;
  pthread_join(hub, NULL);
  int64_t incident = 0;
  for (int i = 0; i < net->core->open_count; i++)
    if (net->core->open[i].kind == NETWORK_INCIDENT_PROBER && net->core->open[i].prober == 1) incident = net->core->open[i].id;
  assert_true(incident > 0);
  must(network_settle(net, err));
  int64_t before = unknown_spans();
  tell(json_pack("[o,o]", good("O-1", clock_now()), good("O-2", clock_now())), json_array()); /* it can again: what was not measured stays unknown */
  assert_int_equal(office("O-1").state, NETWORK_UP);
  assert_null(core_incident_of(net->core, incident));
  must(network_settle(net, err));
  assert_true(unknown_spans() >= before && before > 0);
  assert_true(json_is_null(inside("O-1", "prober_trouble")));
}

/* A hub whose clock is wrong labels by the centre's, as each answer tells it, whatever its own does and however long a report was on its way. */
static void another_clock(void **state) {
  const int64_t far = INT64_C(3600000), wall = 1800000000000, day = 86400000;
  struct hub_clock h = {.apart = far}; /* what was between them when it ran last */
  clock_set(wall + far);
  int64_t before = hub_age(), ahead = hub_clock_ahead(&h), after = hub_age();
  assert_true(ahead <= wall - before && ahead >= wall - after);
  hub_clock_learn(&h, day, day + 2, wall);
  ahead = wall - day - 1;
  for (int jump = -2; jump <= 2; jump++) { /* its own clock is set */
    clock_set(wall + jump * far);
    assert_int_equal(hub_clock_ahead(&h), ahead);
  }
  hub_clock_learn(&h, day, day + 60000, wall + 59990); /* a minute on its way there, at once back: no news */
  hub_clock_learn(&h, day, day + 60000, wall + 10);
  assert_int_equal(hub_clock_ahead(&h), ahead);
  hub_clock_learn(&h, day + 70000, day + 70002, wall + 70000 + 50); /* nearly the same */
  assert_int_equal(hub_clock_ahead(&h), ahead);
  hub_clock_learn(&h, 2 * day, 2 * day + 40, wall + day + 525); /* a day later the two may have run apart: the newer is as good */
  assert_int_equal(hub_clock_ahead(&h), wall + day + 525 - 2 * day - 20);
  hub_clock_learn(&h, 2 * day, 2 * day + 60000, wall + day - 40000); /* that cannot be by the way alone: the centre's clock was set back */
  assert_int_equal(hub_clock_ahead(&h), wall + day - 40000 - 2 * day - 30000);
  hub_clock_learn(&h, 2 * day, 2 * day + 2, wall + day);
  assert_int_equal(hub_clock_ahead(&h), ahead);
  clock_set(0);
  struct label_clock c = {0};
  int64_t now = clock_now();
  clock_set(now);
  assert_int_equal(label_next(&c), now);
  clock_set(now - 3600000); /* never back */
  assert_true(label_next(&c) >= now);
  clock_set(now + 3600000); /* forward at once */
  assert_int_equal(label_next(&c), now + 3600000);
  clock_set(0);
}

/* What it took for the time was far from it: what it tells so is refused, it asks again, and what was measured meanwhile counts. */
static void wrong_time(void **state) {
  pthread_t hub;
  plan_both("");
  stop = false;
  pthread_create(&hub, NULL, hub_main, NULL);
  int before = taken, refusals = refused_reports;
  for (int64_t end = clock_mono() + WAIT_MS; taken == before; kit_sleep(20)) assert_true(clock_mono() < end);
  says_wrong = true;
  for (int64_t end = clock_mono() + WAIT_MS; refused_reports == refusals; kit_sleep(20)) assert_true(clock_mono() < end);
  before = taken;
  for (int64_t end = clock_mono() + WAIT_MS; taken == before; kit_sleep(20)) assert_true(clock_mono() < end);
  stop = true;
  pthread_join(hub, NULL);
  assert_true(net->probers[1].last <= clock_now());
}

/* Offices that a hub asks seldom are not unknown between two results. */
static void seldom(void **state) {
  int64_t now = clock_now();
  plan_both("300");
  net->probers[1].last = now - 1000000;
  tell(json_pack("[o,o]", good("O-1", now - 990000), good("O-2", now - 960000)), json_array());
  tell(json_pack("[o]", good("O-1", now - 690000)), json_array());
  assert_int_equal(office("O-2").state, NETWORK_UP);
  tell(json_pack("[o,o]", good("O-1", now - 390000), good("O-2", now - 360000)), json_array());
  assert_int_equal(office("O-1").state, NETWORK_UP);
  tell(json_pack("[o]", good("O-2", now)), json_array());
  assert_int_equal(office("O-1").state, NETWORK_UP);
  assert_int_equal(hub_pause(&(struct hub_again){3, 5000}, 60000, 0), 60000);
  assert_int_equal(hub_pause(&(struct hub_again){3, 5000}, 60000, 2), 5000);
  assert_int_equal(hub_pause(&(struct hub_again){3, 5000}, 60000, 3), 60000); /* judged by then: as often as everybody */
  assert_int_equal(hub_pause(&(struct hub_again){3, 5000}, 300, 1), 300);
  plan_both("");
}

/* What the core wants asked again is told with the next answer, once. */
static void asked_again(void **state) {
  json_t *j;
  int node = network_find(net, "O-2");
  pthread_mutex_lock(&net->lock);
  memset(net->again, 0, (size_t)net->count);
  net->core->out.probe(net, node, 0);
  pthread_mutex_unlock(&net->lock);
  must(network_prober_plan(net, "hub-1", &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "again")), 1);
  assert_string_equal(json_string_value(json_array_get(json_object_get(j, "again"), 0)), "O-2");
  json_decref(j);
  must(network_prober_plan(net, "hub-1", &j, err));
  assert_int_equal(json_array_size(json_object_get(j, "again")), 0);
  json_decref(j);
}

/* Numbers of samples are bounded as those of reports, and are one key's: who joins with another begins anew. */
static void numbers(void **state) {
  struct network_by by = {"op", NULL};
  int64_t next = net->probers[1].next;
  refused(say(json_pack("[o]", good("O-1", clock_now())), json_array(), clock_now() + 60 * INT64_C(86400000), err), ERR_INVALID);
  assert_int_equal(net->probers[1].next, next);
  net->holder = false;
  refused(say(json_array(), json_array(), next, err), ERR_UNAVAILABLE);
  net->holder = true;
  must(network_prober_revoke(net, &by, "hub-1", "to come again", err));
  must(network_load(net, err));
  admit();
  assert_int_equal(net->probers[1].next, next);
  assert_true(net->probers[1].report > 0);
  must(network_prober_revoke(net, &by, "hub-1", "its disk was lost", err));
  must(network_load(net, err));
  snprintf(hub_folder, sizeof hub_folder, "%s/hub-new", kit_dir);
  admit();
  assert_int_equal(net->probers[1].next, 0);
  assert_int_equal(net->probers[1].report, 0);
  tell(json_pack("[o]", good("O-1", clock_now())), json_array());
  assert_int_equal(net->probers[1].next, 1);
  inside(NULL, NULL);
}

/* Between two moments. */
static struct network_sums sums_of(const char *code, int64_t from, int64_t to) {
  struct network_availability_query q = {.by = NETWORK_BY_OFFICE, .from_ms = from, .to_ms = to, .place = -1, .office = code};
  struct network_line *lines;
  size_t n;
  must(network_settle(net, err));
  must(network_availability(net, &q, &lines, &n, err));
  struct network_sums s = lines[0].sums;
  network_availability_free(lines, n);
  return s;
}

/* ---- what the hub's own line takes away ---- */

static void centre(const char *code, int64_t at, bool ok) { /* measures itself */
  struct core_result r = {.node = network_find(net, code), .sent_at = at, .at = at};
  measure(&r.m, 3, (const double[]){1, 2, 3}, ok ? 3 : 0);
  pthread_mutex_lock(&net->lock);
  network_take(net, &r, 0);
  pthread_mutex_unlock(&net->lock);
}

static json_t *lost_all(const char *code, int64_t at) { return json_pack("[s,I,i,i]", code, (json_int_t)at, 3, 3); }

static void silence(void) { /* for longer than is borne */
  pthread_mutex_lock(&net->lock);
  net->probers[1].heard = clock_mono() - network_bridge(net->o.interval_ms) - 1000;
  network_watch(net, network_label(net));
  pthread_mutex_unlock(&net->lock);
}

static int open_of(enum network_incident_kind kind) {
  int n = 0;
  pthread_mutex_lock(&net->lock);
  for (int i = 0; i < net->core->open_count; i++) n += net->core->open[i].kind == kind;
  pthread_mutex_unlock(&net->lock);
  return n;
}

static void cut_hub(int64_t at) { /* H-1 is silent from then on, for the centre */
  for (int i = 0; i < 3; i++) {
    centre("H-1", at + i * 1000, false);
    centre("C-1", at + i * 1000 + 500, true);
  }
  assert_int_equal(office("H-1").state, NETWORK_DOWN);
}

/* The hub is cut off, and with it its prober: one incident. What the prober saw meanwhile is judged by what it saw beside it. */
static void behind_a_dead_hub(void **state) {
  struct network_by by = {"op", NULL};
  struct network_plan_row rows[] = {{.line = 2, .code = "O-1", .address = "", .prober = ""}, {.line = 3, .code = "O-2", .address = "", .prober = ""}, {.line = 4, .code = "C-1", .address = "127.0.0.30"},
    {.line = 5, .code = "H-1", .address = "127.0.0.31"}, {.line = 6, .code = "O-3", .address = "127.0.0.33", .prober = "hub-1"}, {.line = 7, .code = "O-4", .address = "127.0.0.34", .prober = "hub-1"}};
  json_t *j;
  int64_t now = clock_now(), t = now - 100000, at;
  must(network_plan(net, &by, rows, BASE_COUNT(rows), false, LANG_EN, &j, err));
  json_decref(j);
  must(network_load(net, err));
  assert_int_equal(open_of(NETWORK_INCIDENT_PROBER), 0);
  centre("C-1", t, true);
  centre("H-1", t, true);
  net->probers[1].last = t;
  tell(json_pack("[o,o]", good("O-3", t), good("O-4", t)), json_array());
  cut_hub(t + 5000);
  silence();
  assert_int_equal(office("O-3").state, NETWORK_UNKNOWN);
  assert_int_equal(office("O-3").incident, office("H-1").incident);
  assert_int_equal(office("O-4").incident, office("H-1").incident);
  assert_int_equal(open_of(NETWORK_INCIDENT_PROBER), 0);
  json_t *list = json_array();           /* O-3 is silent from the 20th second to the 35th */
  for (at = t + 1000; at <= t + 50000; at += 1000) {
    json_array_append_new(list, at >= t + 20000 && at < t + 35000 ? lost_all("O-3", at) : good("O-3", at));
    json_array_append_new(list, good("O-4", at + 100));
  }
  tell(list, json_array());
  assert_int_equal(office("O-3").state, NETWORK_UP);
  assert_int_equal(office("O-3").incident, 0);
  struct network_sums a = sums_of("O-3", t, t + 50000), b = sums_of("O-4", t, t + 50000);
  assert_int_equal(a.own[0], 15000);
  assert_int_equal(a.up[0], 35000);
  assert_int_equal(b.up[0], 50000);
  assert_int_equal(open_of(NETWORK_INCIDENT_DOWN), 1);
  /* they are cut off from it while it hears of nobody else: what is above tells */
  at = t + 51000;
  tell(json_pack("[o,o,o,o,o,o,o,o]", lost_all("O-3", at), lost_all("O-4", at), lost_all("O-3", at + 1000), lost_all("O-4", at + 1000), lost_all("O-3", at + 2000), lost_all("O-4", at + 2000), lost_all("O-3", at + 3000), lost_all("O-4", at + 3000)), json_array());
  assert_int_equal(office("O-3").state, NETWORK_UNREACHABLE);
  assert_int_equal(office("O-4").state, NETWORK_UNREACHABLE);
  tell(json_pack("[o,o]", good("O-3", at + 4000), good("O-4", at + 4000)), json_array());
}

/* The hub answers again, its prober does not: it has time to, then that is an incident. */
static void and_dead_itself(void **state) {
  struct network_by by = {"op", NULL};
  silence();
  assert_int_equal(open_of(NETWORK_INCIDENT_PROBER), 0);
  centre("H-1", clock_now(), true);
  assert_int_equal(open_of(NETWORK_INCIDENT_DOWN), 0);
  pthread_mutex_lock(&net->lock);
  network_watch(net, network_label(net));
  pthread_mutex_unlock(&net->lock);
  assert_int_equal(open_of(NETWORK_INCIDENT_PROBER), 0);
  silence();
  assert_int_equal(open_of(NETWORK_INCIDENT_PROBER), 1);
  /* the program is begun anew, and another prober comes before it in the order of names: it is the same incident, and over with its next result */
  must(network_settle(net, err));
  net->fresh = true;
  must(network_load(net, err));
  assert_int_equal(open_of(NETWORK_INCIDENT_PROBER), 1);
  char code[NETWORK_PROBER_CODE], *body, *signature, folder[200];
  snprintf(folder, sizeof folder, "%s/before", kit_dir);
  must(network_prober_invite(net, &by, "a-hub", "another county", code, err));
  must(network_hub_join(folder, code, &body, &signature, err));
  must(network_prober_join(net, "a-hub", body, strlen(body), signature, &why, err));
  free(body);
  free(signature);
  must(network_load(net, err));
  assert_string_equal(net->probers[2].name, "hub-1");
  assert_int_equal(net->core->probers_away, 1 << 2);
  must(network_prober_revoke(net, &by, "a-hub", "a mistake", err));
  must(network_load(net, err));
  assert_int_equal(net->core->probers_away, 1 << 1);
  tell(json_pack("[o,o]", good("O-3", clock_now()), good("O-4", clock_now())), json_array());
  assert_int_equal(open_of(NETWORK_INCIDENT_PROBER), 0);
  assert_int_equal(office("O-3").state, NETWORK_UP);
  /* nothing was heard of the hub since: it is asked before its prober is called away */
  silence();
  assert_int_equal(office("O-3").state, NETWORK_UP);
  cut_hub(clock_now());
  silence();
  assert_int_equal(office("O-3").state, NETWORK_UNKNOWN);
  assert_int_equal(open_of(NETWORK_INCIDENT_PROBER), 0);
  centre("H-1", clock_now(), true);
  tell(json_pack("[o,o]", good("O-3", clock_now()), good("O-4", clock_now())), json_array());
  /* within a window of the hub */
  struct network_window w = {.office = "H-1", .from = clock_now(), .to = clock_now() + 3600000, .reason = "a new mast"};
  must(network_window_put(net, &by, &w, err));
  must(network_load(net, err));
  pthread_mutex_lock(&net->lock);
  core_time(net->core, network_label(net));
  pthread_mutex_unlock(&net->lock);
  silence();
  assert_int_equal(office("O-3").state, NETWORK_MAINTENANCE);
  assert_int_equal(net->core->open_count, 0);
}

int main(void) {
  static const char *const main_rooms[] = {"store", "trust", "network", NULL}, *const sample_rooms[] = {"store", "samples", NULL};
  const struct CMUnitTest tests[] = {cmocka_unit_test(reports), cmocka_unit_test(checks), cmocka_unit_test(two_nodes), cmocka_unit_test(cannot_send), cmocka_unit_test(another_clock), cmocka_unit_test(wrong_time), cmocka_unit_test(seldom),
    cmocka_unit_test(asked_again), cmocka_unit_test(forgotten), cmocka_unit_test(crowded), cmocka_unit_test(numbers), cmocka_unit_test(behind_a_dead_hub), cmocka_unit_test(and_dead_itself)};
  struct err begun;
  struct store *main_store, *samples;
  struct trust *ledger;
  char folder[200], where[600], pem[200];
  if (kit_start(NULL) || language_init(&begun)) return 1;
  struct ping_options none = {.packets = 1};
  struct ping *p = ping_new(&none, 1);
  bool can = ping_method(p, AF_INET) != PING_NONE;
  ping_free(p);
  if (!can) {
    print_message("network-hub: SKIPPED: this program may not send echo requests\n");
    kit_stop(NULL);
    return 77;
  }
  snprintf(folder, sizeof folder, "%s/pack", kit_dir);
  snprintf(hub_folder, sizeof hub_folder, "%s/hub", kit_dir);
  must(dir_make(folder, 0755, err));
  put_file(folder, "places.csv", "code,parent,kind,setting,name_fa,name_en,lat,lon,population,population_year,households\n09,,province,mixed,استان,Province,,,,,\n");
  put_file(folder, "organisations.csv", "code,kind,parent,place,class,member,name_fa,name_en,phone,unit_of\nost,agency,,09,GOV,1,استانداری,Governor,,\n");
  put_file(folder, "offices.csv", "code,organisation,place,level,uplinks,name_fa,name_en,lat,lon,synthetic\nC-1,ost,09,core,,یک,,,,1\nO-1,ost,09,office,C-1,الف,,,,1\nO-2,ost,09,office,C-1,ب,,,,1\n"
           "H-1,ost,09,hub,C-1,گره,,,,1\nO-3,ost,09,office,H-1,پ,,,,1\nO-4,ost,09,office,H-1,ت,,,,1\n");
  struct directory *dir = directory_load(folder, NULL, NULL);
  kit_new_where(false, where, sizeof where);
  must(store_open(where, NULL, &main_store, err));
  must(store_migrate(main_store, main_rooms, err));
  kit_new_where(false, where, sizeof where);
  must(store_open(where, NULL, &samples, err));
  must(store_migrate(samples, sample_rooms, err));
  snprintf(pem, sizeof pem, "%s/key.pem", kit_dir);
  struct trust_options t = {.key_file = pem, .origin = "test/ledger", .node = "one"};
  must(trust_open(main_store, &t, &ledger, err));
  struct network_options o = {.node = "one", .packets = 3, .gap_ms = 5, .timeout_ms = 300, .interval_ms = 300};
  must(network_open(main_store, samples, ledger, dir, &o, &net, err));
  net->holder = true;
  net->cursor = 1;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  network_close(net);
  trust_close(ledger);
  store_close(samples);
  store_close(main_store);
  directory_free(dir);
  kit_stop(NULL);
  return failed;
}
