/*
 * Real packets through a tree of network namespaces: two cores, four hubs, eight offices, some of them on two lines, one hub and its offices on IPv6 alone, one hub with a prober of its own (a
 * process of its own there, whose reports come through the same tree). Lines are cut, made lossy (nftables), slow (a relay between two TUN devices), flapped; the prober itself is cut off, clocks are
 * set. Every deed is written down with the moments between which it was done and seen: states, incidents and availability must be that to the end, and nothing else.
 */
#include "network/hub.h"
#include "network/inner.h"
#include "network/inner_core.h"
#include "network-tree.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/socket.h>

static struct network *net;
static struct store *main_store, *samples;
static struct trust *ledger;
static struct directory *dir;
static int64_t begun;                 /* the period that is judged begins */

/* ---- the hub with a prober: a process of its own ---------------------------------------------------------------------------------- */

enum { PORT = 7070, TRY_MS = 10000 };
static struct { int pipe; pid_t pid; char folder[200]; volatile bool stop; atomic_llong ahead; pthread_t thread; } hub;

static bool all_of(int fd, void *bytes, size_t n, bool out) {
  for (size_t done = 0; done < n;) {
    ssize_t k = out ? send(fd, (char *)bytes + done, n - done, MSG_NOSIGNAL) : recv(fd, (char *)bytes + done, n - done, 0);
    if (k <= 0) return false;
    done += (size_t)k;
  }
  return true;
}

static void bound(int fd, int s) { /* so long it waits for the other side */
  struct timeval t = {.tv_sec = s};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

struct told { int32_t code; uint32_t sizes[3]; }; /* path, signature, body; of an answer the last alone */

static int connected(void) { /* as long as TCP would try by itself */
  struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  char own[20];
  snprintf(own, sizeof own, "10.255.1.%d", H4 + 1);
  inet_pton(AF_INET, own, &from.sin_addr);
  inet_pton(AF_INET, "10.255.0.1", &to.sin_addr);
  for (int64_t end = clock_mono() + TRY_MS; clock_mono() < end && !hub.stop; kit_sleep(50)) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bound(fd, 1);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) == 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    close(fd);
  }
  return -1;
}

static int call_centre(void *ctx, const char *path, const char *signature, const void *body, size_t n, char **answer, size_t *size, struct err *err) {
  int fd = connected();
  struct told t = {.sizes = {(uint32_t)strlen(path), (uint32_t)strlen(signature), (uint32_t)n}};
  bool ok = fd >= 0;
  if (ok) bound(fd, 3);
  ok = ok && all_of(fd, &t, sizeof t, true) && all_of(fd, (char *)(uintptr_t)path, t.sizes[0], true) && all_of(fd, (char *)(uintptr_t)signature, t.sizes[1], true) &&
       all_of(fd, (void *)(uintptr_t)body, n, true) && all_of(fd, &t, sizeof t, false);
  char *text = ok ? base_alloc(t.sizes[2] + 1) : NULL;
  if (ok) ok = all_of(fd, text, t.sizes[2], false);
  if (fd >= 0) close(fd);
  if (!ok || t.code) {
    free(text);
    return err_set(err, ok ? (enum err_code)t.code : ERR_UNAVAILABLE, "the centre does not answer, or refuses: %d", ok ? t.code : 0);
  }
  *answer = text;
  *size = t.sizes[2];
  return 0;
}

static void *hub_orders(void *ctx) { /* "+180000": its clock is set so far ahead of the true one; the end: stop */
  FILE *f = fdopen(*(int *)ctx, "r");
  char text[40];
  while (fgets(text, sizeof text, f)) atomic_store(&hub.ahead, atoll(text));
  fclose(f);
  hub.stop = true;
  return NULL;
}

static void *hub_clock(void *ctx) {
  for (; !hub.stop; kit_sleep(1)) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    clock_set(hub.ahead ? (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + hub.ahead : 0);
  }
  return NULL;
}

static int hub_lives(int fd) {
  struct network_hub_options o = {.name = "county", .folder = hub.folder, .call = call_centre, .stop = &hub.stop, .probe = {.source4 = "10.255.1.12", .retry_ms = 200}};
  char code[NETWORK_PROBER_CODE + 1] = "", *body, *signature, *answer;
  size_t size;
  pthread_t orders, clock;
  struct err err;
  for (size_t n = 0; n < sizeof code - 1 && read(fd, code + n, 1) == 1 && code[n] != '\n'; n++) continue;
  code[strcspn(code, "\n")] = 0;
  if (!code[0] || network_hub_join(hub.folder, code, &body, &signature, &err) || call_centre(NULL, "/probe/county/join", signature, body, strlen(body), &answer, &size, &err)) return 1;
  pthread_create(&orders, NULL, hub_orders, &fd);
  pthread_create(&clock, NULL, hub_clock, NULL);
  int rc = network_hub_run(&o, &err);
  pthread_join(orders, NULL);
  pthread_join(clock, NULL);
  return rc;
}

static void live(void *ctx) { *(int *)ctx = hub_lives(*(int *)ctx); }

/* Before any thread. */
static void begin_hub(void) {
  int fd[2];
  assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
  snprintf(hub.folder, sizeof hub.folder, "%s/county", kit_dir);
  if ((hub.pid = fork()) == 0) {
    close(fd[1]);
    close(relay.fd[0]);
    close(relay.fd[1]);
    in_space("h4", live, &fd[0]);
    _exit(fd[0]);
  }
  close(fd[0]);
  hub.pipe = fd[1];
}

static void order(const char *text) { assert_int_equal(write(hub.pipe, text, strlen(text)), strlen(text)); }

static void answer_hub(int fd) {
  struct told t, reply = {0};
  char *text = NULL, path[100] = "", signature[200] = "";
  struct network_refusal why;
  struct err err = {0};
  int64_t next;
  json_t *plan = NULL;
  bound(fd, 3);
  if (!all_of(fd, &t, sizeof t, false) || t.sizes[0] >= sizeof path || t.sizes[1] >= sizeof signature || t.sizes[2] > 1 << 20) return;
  char *body = base_alloc(t.sizes[2] + 1);
  size_t size = 0;
  if (all_of(fd, path, t.sizes[0], false) && all_of(fd, signature, t.sizes[1], false) && all_of(fd, body, t.sizes[2], false)) {
    int rc = strcmp(path, "/probe/county/join") == 0 ? network_prober_join(net, "county", body, t.sizes[2], signature, &why, &err)
           : network_report(net, "county", body, t.sizes[2], signature, &next, &why, &err) || network_prober_plan(net, "county", &plan, &err) ? -1 : 0;
    if (rc) {
      reply.code = (int32_t)err.code;
      if (err.code != ERR_UNAVAILABLE && err.code != ERR_UNAUTHENTICATED) print_message("a report was refused: %s\n", err.message);
    }
    text = plan ? json_text(plan, &size) : base_strdup("");
    reply.sizes[2] = (uint32_t)size;
    if (all_of(fd, &reply, sizeof reply, true)) all_of(fd, text, size, true);
  }
  json_decref(plan);
  free(text);
  free(body);
}

static int listening = -1;

static void *centre_main(void *ctx) {
  for (int fd; (fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC)) >= 0; close(fd)) answer_hub(fd);
  return NULL;
}

static void open_door(void) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  char code[NETWORK_PROBER_CODE];
  inet_pton(AF_INET, "10.255.0.1", &a.sin_addr);
  listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(bind(listening, (struct sockaddr *)&a, sizeof a) == 0 && listen(listening, 10) == 0);
  pthread_create(&hub.thread, NULL, centre_main, NULL);
  must(network_prober_invite(net, &(struct network_by){"op", NULL}, "county", "behind the mountains", code, err));
  order(code);
  order("\n");
  for (int64_t end = clock_mono() + WAIT_MS; net->prober_count < 2 || !net->probers[1].key[0]; kit_sleep(20)) {
    must(network_load(net, err));
    if (clock_mono() > end) fail_msg("the hub does not join");
  }
}

/* What waits at the hub of one of its offices: how many silent probes in a row at the end, and when the last of these and of those that were answered began (in the centre's time, as the hub knows it). */
struct waiting { int lost; int64_t lost_at, ok_at; };

static int newest_first(const void *a, const void *b) { return strcmp(*(char *const *)b, *(char *const *)a); }

static struct waiting at_hub(const char *code) {
  struct waiting w = {0};
  int64_t ahead = network_now(net) - hub_age(); /* it is the same machine */
  char *list[4000];
  int count = 0;
  DIR *d = opendir(hub.folder);
  for (struct dirent *e; d && (e = readdir(d)) && count < 4000;)
    if (base_starts(e->d_name, "q-") && strstr(e->d_name, ".json") && strlen(e->d_name) == 22) list[count++] = base_strdup(e->d_name);
  if (d) closedir(d);
  qsort(list, (size_t)count, sizeof *list, newest_first);
  for (int i = 0; i < count; i++) {
    char path[500];
    size_t size;
    struct err err;
    snprintf(path, sizeof path, "%s/%s", hub.folder, list[i]);
    char *text = w.ok_at ? NULL : file_read(path, 0, &size, &err);
    json_t *all = text ? json_read(text, size, 4, &err) : NULL, *of = json_object_get(all, "samples");
    for (size_t k = json_array_size(of); k-- > 0 && !w.ok_at;) {
      json_t *one = json_array_get(of, k);
      if (!base_same(json_string_value(json_array_get(one, 0)), code)) continue;
      int64_t at = json_integer_value(json_array_get(one, 1)) + ahead;
      if (json_integer_value(json_array_get(one, 3)) < json_integer_value(json_array_get(one, 2))) w.ok_at = at;
      else if (!w.lost++) w.lost_at = at;
    }
    json_decref(all);
    free(text);
    free(list[i]);
  }
  return w;
}

static void open_room(void) {
  static const char *const main_rooms[] = {"store", "trust", "network", NULL}, *const sample_rooms[] = {"store", "samples", NULL};
  char folder[200], where[600], key[200];
  snprintf(folder, sizeof folder, "%s/pack", kit_dir);
  must(dir_make(folder, 0755, err));
  put_file(folder, "places.csv", "code,parent,kind,setting,name_fa,name_en,lat,lon,population,population_year,households\n09,,province,mixed,استان,Province,,,,,\n");
  put_file(folder, "organisations.csv", "code,kind,parent,place,class,member,name_fa,name_en,phone,unit_of\nost,agency,,09,GOV,1,استانداری,Governor,,\n");
  put_file(folder, "offices.csv", "code,organisation,place,level,uplinks,name_fa,name_en,lat,lon,synthetic\nC-1,ost,09,core,,یک,,,,1\nC-2,ost,09,core,,دو,,,,1\nH-1,ost,09,hub,C-1;C-2,گره یک,,,,1\n"
           "H-2,ost,09,hub,C-2,گره دو,,,,1\nO-1,ost,09,office,H-1,الف,,,,1\nO-2,ost,09,office,H-1,ب,,,,1\nO-3,ost,09,office,H-2,پ,,,,1\nO-4,ost,09,office,H-1;H-2,ت,,,,1\n"
           "H-3,ost,09,hub,C-2;C-1,گره سه,,,,1\nO-5,ost,09,office,H-3,ث,,,,1\nO-6,ost,09,office,H-3;H-2,ج,,,,1\nH-4,ost,09,hub,C-2,گره چهار,,,,1\nO-7,ost,09,office,H-4,چ,,,,1\nO-8,ost,09,office,H-4,ح,,,,1\n");
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
  struct network_options o = {.node = "one", .source4 = "10.255.0.1", .source6 = SIX ":ff::ff", .packets = 5, .gap_ms = 10, .timeout_ms = 600, .interval_ms = 400, .retry_ms = 100};
  must(network_open(main_store, samples, ledger, dir, &o, &net, err));
  open_door();
  struct network_plan_row rows[NODES] = {0};
  char address[NODES][64];
  for (int i = 0; i < NODES; i++) {
    snprintf(address[i], sizeof address[i], six(i) ? SIX ":ff::%d" : "10.255.1.%d", i + 1);
    rows[i] = (struct network_plan_row){.line = (unsigned)i + 2, .code = codes[i], .address = address[i], .prober = by_hub(i) ? "county" : NULL};
  }
  json_t *j;
  struct network_by by = {"op", NULL};
  must(network_plan(net, &by, rows, NODES, false, LANG_EN, &j, err));
  json_decref(j);
  begun = network_now(net);
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

/* ---- what was done ------------------------------------------------------------------------------------------------------------------------- */

/* Chapters of each node: a state, and between which moments it must have begun. No moment is later than it has to be on a machine that is slow: the first is when the last probe before the deed had
 * ended (the next one, of which the state is told, began later), the second when the state was seen. */
struct chapter { enum network_state state; int64_t low, high; };
static struct { struct chapter of[200]; int count; } story[NODES];

/* What was done that is an incident, in order of their beginnings. */
static struct { enum network_incident_kind kind; int root; int64_t low, high, end_low, end_high; int64_t blast; } deeds[100];
static int deed_count;

static enum network_state hard(int i) { /* without windows */
  pthread_mutex_lock(&net->lock);
  enum network_state s = net->core->nodes[i].hard;
  pthread_mutex_unlock(&net->lock);
  return s;
}

struct mark { int64_t now, probed[NODES]; };

static struct mark mark(void) {
  struct mark m = {.now = network_now(net)};
  for (int i = 0; i < NODES; i++) m.probed[i] = at(i).probed;
  return m;
}

static void tell(int node, enum network_state state, int64_t low, int64_t high) {
  assert_true((size_t)story[node].count < BASE_COUNT(story[0].of));
  story[node].of[story[node].count++] = (struct chapter){state, low, high};
}

/* Waits until it looks so after what was done at the mark, and writes it down. */
static void did(const char *wanted, const struct mark *m) {
  static const char letters[] = "udDnm?";
  until(wanted);
  int64_t high = network_now(net), first = m->probed[C1] < m->probed[C2] ? m->probed[C1] : m->probed[C2];
  for (int i = 0; i < NODES; i++) {
    if (wanted[i] == '.' || by_hub(i)) continue;
    enum network_state s = (enum network_state)(strchr(letters, wanted[i]) - letters), before = story[i].of[story[i].count - 1].state;
    if (s == before) continue;
    bool quality = s == NETWORK_DEGRADED || before == NETWORK_DEGRADED;
    tell(i, s, quality ? m->now : s == NETWORK_UNKNOWN && first < m->probed[i] ? first : m->probed[i], high);
  }
}

/* The last chapter of its root (-1: of the prober, so of everybody) is an incident, which ended with the one before `ended`. */
static void wrong(enum network_incident_kind kind, int root, int64_t blast) {
  struct chapter c = root < 0 ? story[C1].of[story[C1].count - 1] : story[root].of[story[root].count - 1];
  deeds[deed_count].kind = kind;
  deeds[deed_count].root = root;
  deeds[deed_count].low = c.low;
  deeds[deed_count].high = c.high;
  deeds[deed_count++].blast = blast;
}

static void ended(int root, const struct mark *m) {
  for (int i = deed_count; i-- > 0;)
    if (deeds[i].root == root) {
      struct chapter c = root < 0 ? story[C1].of[story[C1].count - 1] : story[root].of[story[root].count - 1];
      deeds[i].end_low = c.low;
      for (int k = 0; root < 0 && k < NODES; k++) /* the first of all that answered again */
        if (m->probed[k] < deeds[i].end_low) deeds[i].end_low = m->probed[k];
      deeds[i].end_high = c.high;
      return;
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

static void settle_quality(void) { /* ten good probes of everybody */
  int64_t end = clock_mono() + WAIT_MS;
  for (int i = 0; i < NODES; i++)
    while (at(i).loss_recent > 0 || !(at(i).rtt_recent < 100)) {
      if (clock_mono() > end) fail_msg("%s does not become good", codes[i]);
      kit_sleep(20);
    }
}

/* Nothing waits at the hub: what it measured while nobody heard it is known. */
static void caught_up(void) {
  for (int64_t end = clock_mono() + WAIT_MS; at_hub("O-7").ok_at || at_hub("O-8").ok_at; kit_sleep(5))
    if (clock_mono() > end) fail_msg("the hub does not get rid of what it measured");
}

/* ---- what is done ---------------------------------------------------------------------------------------------------------------------- */

static const char all_up[] = "uuuuuuuuuuuuuu";

static void begins(void **state) {
  struct mark m = {.now = begun};
  for (int i = 0; i < NODES; i++) {
    m.probed[i] = begun;
    tell(i, NETWORK_UNKNOWN, begun, begun);
  }
  did(all_up, &m);
  tell(O7, NETWORK_UP, begun, network_now(net));
  tell(O8, NETWORK_UP, begun, network_now(net));
  assert_int_equal(count(-1), 0);
}

/* Dead, so that those on two lines see it too: they have another way. */
static void cut_hubs(void **state) {
  struct mark m = mark();
  cut(H1, "y3 y4 x6 x7 x9");
  cut(H3, "y12 y13 x14 x15");
  did("uuDunnuuDnuuuu", &m);
  wrong(NETWORK_INCIDENT_DOWN, H1, 3);
  wrong(NETWORK_INCIDENT_DOWN, H3, 2);
  assert_int_equal(count(1), 2);
  assert_int_equal(at(O1).incident, at(H1).incident);
  assert_int_equal(at(O2).incident, at(H1).incident);
  assert_int_equal(at(O5).incident, at(H3).incident);
  m = mark();
  mend(H1, "y3 y4 x6 x7 x9");
  mend(H3, "y12 y13 x14 x15");
  did(all_up, &m);
  ended(H1, &m);
  ended(H3, &m);
}

static void both_lines_of_one(void **state) {
  struct mark m = mark();
  cut(O6, "y15 y16");
  did("uuuuuuuuuuDuuu", &m);
  wrong(NETWORK_INCIDENT_DOWN, O6, 1);
  m = mark();
  mend(O6, "y15 y16");
  did(all_up, &m);
  ended(O6, &m);
}

static void redundant_cores(void **state) {
  settle_quality();
  struct mark m = mark();
  cut(C1, "y1 x3 x11 x13");
  did("Duuuuuuuuuuuuu", &m);
  wrong(NETWORK_INCIDENT_DOWN, C1, 1);
  m = mark();
  mend(C1, "y1 x3 x11 x13");
  did(all_up, &m);
  ended(C1, &m);
}

/* What is cut within a window is nobody's fault. */
static void within_a_window(void **state) {
  struct network_by by = {"op", NULL};
  struct network_window w = {.office = "O-5", .from = clock_now(), .to = clock_now() + 3600000, .reason = "a new mast"};
  must(network_window_put(net, &by, &w, err));
  until("uuuuuuuuumuuuu");
  tell(O5, NETWORK_MAINTENANCE, w.from, w.from);
  cut(O5, "y14");
  for (int64_t end = clock_mono() + WAIT_MS; hard(O5) != NETWORK_DOWN; kit_sleep(20)) assert_true(clock_mono() < end);
  mend(O5, "y14");
  for (int64_t end = clock_mono() + WAIT_MS; hard(O5) != NETWORK_UP; kit_sleep(20)) assert_true(clock_mono() < end);
  int64_t low = clock_now();
  must(network_window_end(net, &by, w.id, "it stands", err));
  until(all_up);
  tell(O5, NETWORK_UP, low, network_now(net));
}

/* 5 % of O-2's packets are lost, those of O-3 take 300 ms. */
static void bad_quality(void **state) {
  settle_quality();
  struct mark m = mark();
  assert_int_equal(commands("nft", "o2", "add table ip t\nadd chain ip t in { type filter hook input priority 0; }\nadd rule ip t in icmp type echo-request numgen inc mod 20 == 0 drop\n"), 0);
  relay.delay_ms = 300;
  did("uuuuudduuuuuuu", &m);
  wrong(NETWORK_INCIDENT_DEGRADED, O2, 1);
  wrong(NETWORK_INCIDENT_DEGRADED, O3, 1);
  assert_true(at(O2).loss_recent >= 0.03 && at(O2).loss_recent <= 0.08);
  assert_true(at(O3).rtt_recent >= 250 && at(O3).rtt_recent < 600);
  assert_int_equal(count(1), 2);
  m = mark();
  assert_int_equal(commands("nft", "o2", "delete table ip t\n"), 0);
  relay.delay_ms = 0;
  did(all_up, &m);
  ended(O2, &m);
  ended(O3, &m);
}

static void a_flapping_line(void **state) {
  settle_quality();
  for (int i = 0; i < 40 && !at(O1).flapping; i++) {
    struct mark m = mark();
    cut(H1, "x6");
    did("uuuuDuuuuuuuuu", &m);
    m = mark();
    mend(H1, "x6");
    did(all_up, &m);
  }
  assert_true(at(O1).flapping);
  assert_true(at(O1).incident > 0); /* it answers, and its incident stays */
  assert_int_equal(count(1), 1);
  for (int64_t end = clock_mono() + WAIT_MS; at(O1).flapping; kit_sleep(50))
    if (clock_mono() > end) fail_msg("it flaps for ever");
  assert_int_equal(at(O1).incident, 0);
  assert_int_equal(count(1), 0);
}

static struct waiting until_at_hub(int lost, int64_t after) {
  struct waiting w;
  int64_t end = clock_mono() + WAIT_MS;
  while ((w = at_hub("O-7")).lost < lost || (!lost && (w.lost || w.ok_at <= after))) {
    if (clock_mono() > end) fail_msg("the hub does not see it");
    kit_sleep(20);
  }
  return w;
}

/* The hub's own line: the centre no longer knows of its offices, for one cause that it knows. What the hub measured meanwhile, one of its offices cut off and its clock set there and back, is known afterwards. */
static void a_county_hub(void **state) {
  enum { EXACT = 2000 };             /* so exactly the hub knows the centre's time */
  struct mark m = mark();
  cut(H4, "y17");
  did("uuuuuuuuuuuD..", &m);
  wrong(NETWORK_INCIDENT_DOWN, H4, 3);
  order("180000\n");
  until("uuuuuuuuuuuD??");
  assert_int_equal(count(1), 1);
  assert_int_equal(at(O7).incident, at(H4).incident);
  assert_int_equal(at(O8).incident, at(H4).incident);
  int64_t low = until_at_hub(0, m.now).ok_at;
  assert_int_equal(commands("nft", "o7", "add table ip t\nadd chain ip t in { type filter hook input priority 0; }\nadd rule ip t in drop\n"), 0);
  int64_t high = until_at_hub(4, 0).lost_at;
  tell(O7, NETWORK_DOWN, low - EXACT, high + EXACT);
  deeds[deed_count].kind = NETWORK_INCIDENT_DOWN;
  deeds[deed_count].root = O7;
  deeds[deed_count].low = low - EXACT;
  deeds[deed_count].high = high + EXACT;
  deeds[deed_count].blast = 1;
  order("-120000\n");
  low = until_at_hub(7, 0).lost_at;
  assert_int_equal(commands("nft", "o7", "delete table ip t\n"), 0);
  high = until_at_hub(0, low).ok_at;
  tell(O7, NETWORK_UP, low - EXACT, high + EXACT);
  deeds[deed_count].end_low = low - EXACT;
  deeds[deed_count++].end_high = high + EXACT;
  m = mark();
  mend(H4, "y17");
  did(all_up, &m);
  ended(H4, &m);
  caught_up();
  until(all_up);
  assert_int_equal(count(1), 0);
  order("0\n");
}

/* So is the prober of the hub for the centre, which it cannot reach: one incident. */
static void the_prober_is_cut_off(void **state) {
  struct mark m = mark();
  cut(HERE, "x1 x2");
  did("????????????..", &m);
  wrong(NETWORK_INCIDENT_PROBER, -1, 0);
  until("??????????????");
  assert_int_equal(count(1), 1);
  m = mark();
  mend(HERE, "x1 x2");
  did(all_up, &m);
  ended(-1, &m);
  caught_up();
  until(all_up);
  assert_int_equal(count(1), 0);
}

static atomic_bool clock_stop;

static void *clock_back(void *ctx) {
  for (; !clock_stop; kit_sleep(1)) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    clock_set((int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 - 3600000);
  }
  clock_set(0);
  return NULL;
}

/* The machine's clock is set back by an hour, and right again: times are told as if it had not been. */
static void the_clock_is_set(void **state) {
  pthread_t thread;
  pthread_create(&thread, NULL, clock_back, NULL);
  for (int64_t end = clock_mono() + WAIT_MS; clock_now() > network_now(net) - 1800000; kit_sleep(2)) assert_true(clock_mono() < end);
  struct mark m = mark();
  cut(O2, "y7");
  did("uuuuuDuuuuuuuu", &m);
  wrong(NETWORK_INCIDENT_DOWN, O2, 1);
  m = mark();
  mend(O2, "y7");
  did(all_up, &m);
  ended(O2, &m);
  clock_stop = true;
  pthread_join(thread, NULL);
  until(all_up);
}

/* ---- what is told of it ---------------------------------------------------------------------------------------------------------------------- */

static void reported(void *ctx, const char *text) { fail_msg("%s", text); }

/* States as those who watch the changes know them in the end. */
static int heard(int node, struct chapter out[1000]) {
  int n = 0;
  out[n++] = (struct chapter){NETWORK_UNKNOWN, begun, begun};
  pthread_mutex_lock(&net->lock);
  for (int64_t seq = net->first; seq && seq <= net->cursor && n < 999; seq++) {
    const struct change *c = &net->ring[seq % RING];
    if (c->seq != seq || c->node != node || c->step) continue;
    while (n > 1 && out[n - 1].low >= c->since) n--; /* taken back: what the hub knew better */
    if (out[n - 1].state != c->to) out[n++] = (struct chapter){c->to, c->since, c->since};
  }
  pthread_mutex_unlock(&net->lock);
  return n;
}

static int64_t of_state(const struct network_sums *s, int state) {
  const int64_t *by[NETWORK_STATES] = {s->up, s->degraded, s->own, s->upstream, s->maintenance, s->unknown};
  return by[state][0];
}

/* Each state for as long as it was told, to the millisecond, and neither less nor more than what was done. */
static void judge_sums(int node, const struct network_sums *s, int64_t end) {
  struct chapter of[1000];
  int n = heard(node, of);
  int64_t told[NETWORK_STATES] = {0}, least[NETWORK_STATES] = {0}, most[NETWORK_STATES] = {0}, all = 0;
  for (int i = 0; i < n; i++) told[of[i].state] += (i + 1 < n ? of[i + 1].low : end) - of[i].low;
  if (n != story[node].count) { /* in full, for who has to find out */
    for (int i = 0; i < n; i++) print_message("  told: %s since %lld\n", network_state_text(of[i].state), (long long)of[i].low);
    for (int i = 0; i < story[node].count; i++) print_message("  made: %s between %lld and %lld\n", network_state_text(story[node].of[i].state), (long long)story[node].of[i].low, (long long)story[node].of[i].high);
    fail_msg("%s: %d states were told, %d were made", codes[node], n, story[node].count);
  }
  for (int i = 0; i < n; i++) {
    const struct chapter *c = &story[node].of[i], *next = i + 1 < n ? c + 1 : &(struct chapter){0, end, end};
    if (of[i].state != c->state || of[i].low < c->low || of[i].low > c->high)
      fail_msg("%s: state %d is told as %s since %lld; it is %s, and began between %lld and %lld", codes[node], i, network_state_text(of[i].state), (long long)of[i].low, network_state_text(c->state),
               (long long)c->low, (long long)c->high);
    least[c->state] += next->low > c->high ? next->low - c->high : 0;
    most[c->state] += next->high - c->low;
  }
  for (int k = 0; k < NETWORK_STATES; k++) {
    int64_t is = of_state(s, k);
    all += is;
    if (is != told[k] || is < least[k] || is > most[k])
      fail_msg("%s: %lld ms %s; told %lld, made %lld to %lld", codes[node], (long long)is, network_state_text((enum network_state)k), (long long)told[k], (long long)least[k], (long long)most[k]);
  }
  assert_int_equal(all, end - begun);
}

static void judge_availability(int64_t end) {
  struct network_availability_query q = {.by = NETWORK_BY_OFFICE, .from_ms = begun, .to_ms = end, .place = -1};
  struct network_line *told[NODES], *list;
  size_t n;
  must(network_availability(net, &q, &list, &n, err));
  assert_int_equal(n, NODES);
  for (size_t i = 0; i < n; i++) told[network_find(net, list[i].key)] = &list[i];
  for (int i = 0; i < NODES; i++) {
    const struct network_sums *s = &told[network_find(net, codes[i])]->sums;
    judge_sums(i, s, end);
    bool touched = i == C1 || i == H1 || i == O1 || i == O2 || i == O3 || i == H3 || i == O5 || i == O6 || i == H4 || i == O7;
    if (!touched && (s->own[0] || s->upstream[0] || s->degraded[0] || s->maintenance[0])) fail_msg("%s was never touched", codes[i]);
    double good = (double)(s->up[0] + s->degraded[0]), a = network_availability_of(s, 0);
    if (!touched || i == O3) assert_true(a == 1);
    else if (i != O5) assert_true(a < 1 && fabs(a - good / (good + (double)(s->own[0] + s->upstream[0]))) < 1e-12);
  }
  network_availability_free(list, n);
}

static bool matches(const json_t *j, int deed) {
  char key[NETWORK_CODE];
  int64_t began, end;
  snprintf(key, sizeof key, "%s", deeds[deed].root < 0 ? "" : codes[deeds[deed].root]);
  if (!base_same(json_str(j, "kind"), network_kind_text(deeds[deed].kind)) || !base_same(json_str(j, "office"), key) || !json_str(j, "ended")) return false;
  if (clock_parse(json_str(j, "began"), &began) || clock_parse(json_str(j, "ended"), &end)) return false;
  /* told to the second */
  return began + 999 >= deeds[deed].low && began <= deeds[deed].high && end + 999 >= deeds[deed].end_low && end <= deeds[deed].end_high && json_int(j, "offices", -1) == deeds[deed].blast &&
         (deeds[deed].root < 0 || json_int(j, "reached", -1) == deeds[deed].blast - 1);
}

/* Those of the flapping line: one after the other, each begun when it was cut (or when it was called flapping). */
static bool of_flapping(const json_t *j) {
  int64_t began;
  if (!base_same(json_str(j, "office"), "O-1") || !json_str(j, "ended") || clock_parse(json_str(j, "began"), &began)) return false;
  for (int i = 0; i < story[O1].count; i++) {
    const struct chapter *c = &story[O1].of[i];
    if (base_same(json_str(j, "kind"), "flapping") || (c->state == NETWORK_DOWN && began + 999 >= c->low && began <= c->high)) return true;
  }
  return false;
}

static void judge_incidents(void) {
  json_t *j = incidents(-1), *one;
  bool used[100] = {false};
  size_t i;
  int found = 0;
  json_array_foreach(j, i, one) {
    int deed = 0;
    while (deed < deed_count && (used[deed] || !matches(one, deed))) deed++;
    if (deed < deed_count) used[deed] = true, found++;
    else if (!of_flapping(one)) {
      char *text = json_dumps(one, JSON_INDENT(1));
      fail_msg("nothing was done that is this incident: %s", text);
    }
  }
  for (int k = 0; k < deed_count; k++)
    if (!used[k]) fail_msg("%s %s: it has no incident", network_kind_text(deeds[k].kind), deeds[k].root < 0 ? "the prober" : codes[deeds[k].root]);
  assert_int_equal(found, deed_count);
  json_decref(j);
}

static void what_is_told(void **state) {
  must(network_settle(net, err));
  judge_availability(network_now(net));
  judge_incidents();
  must(network_verify(net, reported, NULL, err));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(begins), cmocka_unit_test(cut_hubs), cmocka_unit_test(both_lines_of_one), cmocka_unit_test(redundant_cores), cmocka_unit_test(within_a_window),
    cmocka_unit_test(bad_quality), cmocka_unit_test(a_flapping_line), cmocka_unit_test(a_county_hub), cmocka_unit_test(the_prober_is_cut_off), cmocka_unit_test(the_clock_is_set), cmocka_unit_test(what_is_told)};
  struct err err;
  int ended_as = -1;
  if (kit_start(NULL) || language_init(&err)) return 1;
  /* Before everything that only computes: what is late here is lost to the prober, and a busy machine shall not look like a lossy line. */
  if (sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 1})) print_message("network-lines: no priority of real time here\n");
  if (!tree()) {
    print_message("network-lines: SKIPPED: this program may not make network namespaces and TUN devices\n");
    kit_stop(NULL);
    return 77;
  }
  begin_hub();
  pthread_create(&relay.thread, NULL, relay_main, NULL);
  open_room();
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  close(hub.pipe);
  waitpid(hub.pid, &ended_as, 0);
  if (ended_as) print_message("the hub's prober ended with %d\n", ended_as), failed++;
  shutdown(listening, SHUT_RDWR);
  pthread_join(hub.thread, NULL);
  close(listening);
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
