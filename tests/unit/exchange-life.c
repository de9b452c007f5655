/* The whole life between two gateways with real TLS: information system → consumer → producer → information system, and back. */
#include "exchange/keys.h"
#include "exchange/publish.h"
#include "exchange/side.h"
#include "store-kit.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <semaphore.h>
#include <sys/socket.h>

#define OPERATOR "KHR/GOV/1/op"
#define OTHER "KHR/GOV/2/ss1"
#define CLIENT "KHR/GOV/2/desk"
#define LOCAL "KHR/GOV/1/office"
#define PROVIDER "KHR/GOV/1/registry"
#define SERVICE PROVIDER "/persons"

struct side_kit { struct exchange *x; struct http_server *peers; char *folder, address[60]; pthread_t thread; atomic_bool stop; };
static struct side_kit a, b;
static struct http_server *system_;
static char root[128], url[100];
static atomic_int asked_times;
static char heard[4096];
static pthread_mutex_t heard_lock = PTHREAD_MUTEX_INITIALIZER;

static int free_port(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&at, n) || getsockname(fd, (struct sockaddr *)&at, &n)) fail();
  close(fd);
  return ntohs(at.sin_port);
}

/* ---- an information system ---- */

static void answer(struct http_req *r) {
  const struct http_pair *list;
  size_t n = http_headers(r, &list), len = 0;
  pthread_mutex_lock(&heard_lock);
  size_t used = (size_t)snprintf(heard, sizeof heard, "%s %s?%s\n", http_method(r), http_raw_path(r), http_raw_query(r));
  for (size_t i = 0; i < n && used < sizeof heard; i++) used += (size_t)snprintf(heard + used, sizeof heard - used, "%s:%s\n", list[i].name, list[i].value);
  pthread_mutex_unlock(&heard_lock);
  atomic_fetch_add(&asked_times, 1);
  if (strstr(http_raw_path(r), "/fails")) {
    http_reply(r, 404, "text/plain", "none such", 9);
    return;
  }
  if (strstr(http_raw_path(r), "/away")) {
    http_redirect(r, 302, "http://127.0.0.1:1/elsewhere");
    return;
  }
  const void *body = http_body(r, &len);
  http_reply_header(r, "X-Road-Error", "made.by.provider");
  http_reply_header(r, "X-Own", "kept");
  http_reply(r, 200, "application/json", len ? body : "{\"value\":42}", len ? len : 12);
}

static const struct http_route rows[] = {
  {"GET", "/base/{rest...}", HTTP_INLINE, 0, HTTP_MACHINE, 0, answer, "."}, {"POST", "/base/{rest...}", HTTP_INLINE, 0, HTTP_MACHINE, 1 << 20, answer, "."},
  {"DELETE", "/base/{rest...}", HTTP_INLINE, 0, HTTP_MACHINE, 0, answer, "."}, {"GET", "/base", HTTP_INLINE, 0, HTTP_MACHINE, 0, answer, "."}, {"POST", "/base", HTTP_INLINE, 0, HTTP_MACHINE, 1 << 20, answer, "."}};

/* ---- gateways ---- */

static void *jobs(void *arg) {
  struct side_kit *s = arg;
  while (!s->stop) {
    exchange_jobs(s->x);
    kit_sleep(50);
  }
  return NULL;
}

static void make(struct side_kit *s, const char *name, const char *server) {
  s->folder = base_printf("%s/%s", root, name);
  snprintf(s->address, sizeof s->address, "https://127.0.0.1:%d", free_port());
  must(exchange_init(&(struct exchange_init){.folder = s->folder, .server = server, .address = s->address}, err));
}

static void open_side(struct side_kit *s) { must(exchange_open(&(struct exchange_options){.folder = s->folder, .timeout_ms = 8000, .window_s = 60}, &s->x, err)); }

static void listen_side(struct side_kit *s) {
  must(http_server_new(&(struct http_options){.listen = s->address + 8, .threads = 1, .workers = 2}, &s->peers, err));
  must(exchange_peer_routes(s->peers, s->x, err));
  must(http_server_start(s->peers, err));
  s->stop = false;
  assert_int_equal(pthread_create(&s->thread, NULL, jobs, s), 0);
}

static void stop_side(struct side_kit *s) {
  s->stop = true;
  pthread_join(s->thread, NULL);
  http_server_stop(s->peers);
  http_server_free(s->peers);
  exchange_close(s->x);
  s->peers = NULL;
  s->x = NULL;
}

struct joining { char code[80]; int rc; struct err err; };
static void *join_other(void *arg) {
  struct joining *j = arg;
  j->rc = exchange_join(b.folder, a.address, j->code, 20, &j->err);
  return NULL;
}

static void join(void) {
  struct joining j = {.rc = -1};
  pthread_t thread;
  bool approved = false;
  must(exchange_invite(a.x, OTHER, "operator", j.code, err));
  pthread_create(&thread, NULL, join_other, &j);
  for (int i = 0; i < 400 && !approved; i++) {
    json_t *list = NULL;
    must(exchange_requests(a.x, &list, err));
    if (json_array_size(list)) {
      must(exchange_approve(a.x, json_str(json_array_get(list, 0), "id"), "operator", true, NULL, err));
      must(exchange_publish(a.x, err));
      approved = true;
    }
    json_decref(list);
    kit_sleep(25);
  }
  pthread_join(thread, NULL);
  if (j.rc) fail_msg("join: %s", j.err.message);
}

static int setup(void **state) {
  char id[40];
  snprintf(root, sizeof root, "/tmp/chapar-life-XXXXXX");
  assert_non_null(mkdtemp(root));
  must(language_init(err));
  must(http_server_new(&(struct http_options){.listen = "127.0.0.1:0", .threads = 1, .workers = 1}, &system_, err));
  must(http_server_routes(system_, rows, BASE_COUNT(rows), NULL, err));
  must(http_server_start(system_, err));
  snprintf(url, sizeof url, "http://127.0.0.1:%d/base", http_server_port(system_));
  make(&a, "a", OPERATOR);
  make(&b, "b", OTHER);
  open_side(&a);
  must(exchange_operate(a.x, err));
  must(exchange_member_put(a.x, "KHR/GOV/1", "یک", "One", "op", err));
  must(exchange_member_put(a.x, "KHR/GOV/2", "دو", "Two", "op", err));
  must(exchange_member_put(a.x, PROVIDER, "ثبت", "Registry", "op", err));
  must(exchange_member_put(a.x, LOCAL, "دفتر", "Office", "op", err));
  must(exchange_member_put(a.x, CLIENT, "میز", "Desk", "op", err));
  must(exchange_subsystem_put(a.x, PROVIDER, "plain", "", err));
  must(exchange_subsystem_put(a.x, LOCAL, "plain", "", err));
  must(exchange_service_put(a.x, &(struct exchange_service){.id = SERVICE, .kind = "REST", .url = url}, err));
  must(exchange_grant(a.x, &(struct exchange_grant){.subject = CLIENT, .service = SERVICE, .path = "/open/**"}, "t", id, err));
  must(exchange_grant(a.x, &(struct exchange_grant){.subject = LOCAL, .service = SERVICE, .path = "/open/**"}, "t", id, err));
  must(exchange_publish(a.x, err));
  listen_side(&a);
  join();
  open_side(&b);
  must(exchange_subsystem_put(b.x, CLIENT, "plain", "", err));
  listen_side(&b);
  return 0;
}

static int teardown(void **state) {
  stop_side(&b);
  stop_side(&a);
  http_server_stop(system_);
  http_server_free(system_);
  free(a.folder);
  free(b.folder);
  return 0;
}

/* ---- asking ---- */

struct asking { const char *client, *method, *path, *id, *body, *service; };
static char body_[65536];

static int gather(void *ctx, const void *p, size_t n) {
  buf_add(ctx, p, n);
  return 0;
}

static void ask(struct exchange *x, const struct asking *q, struct exchange_answer *out) {
  struct http_content content = HTTP_NO_CONTENT;
  struct buf text = {0};
  struct err why = {0};
  if (q->body) must(http_content_add(&content, q->body, strlen(q->body), -1, err));
  int rc = exchange_call(x, &(struct exchange_call){.client = q->client ? q->client : CLIENT, .service = q->service ? q->service : SERVICE, .method = q->method ? q->method : "GET", .path = q->path, .message_id = q->id,
                                                .content = q->body ? &content : NULL, .media_type = q->body ? "application/json" : NULL}, out, &why);
  if (rc) fail_msg("%s", why.message);
  if (out->error[0]) buf_adds(&text, why.message);
  if (out->content.size) must(http_content_each(&out->content, gather, &text, err));
  snprintf(body_, sizeof body_, "%s", buf_str(&text));
  buf_free(&text);
  http_content_free(&content);
}

static void expect(struct exchange *x, struct asking q, int status, const char *error) {
  struct exchange_answer got;
  ask(x, &q, &got);
  if (got.status != status || strcmp(got.error, error)) fail_msg("%s %s: %d %s %s, not %d %s", q.method ? q.method : "GET", q.path, got.status, got.error, body_, status, error);
  exchange_answer_free(&got);
}

#define Q(...) ((struct asking){__VA_ARGS__})

static void passes(void **state) {
  expect(b.x, Q(.path = "/open/1?x=%20y"), 200, "");
  assert_string_equal(body_, "{\"value\":42}");
  pthread_mutex_lock(&heard_lock);
  assert_non_null(strstr(heard, "GET /base/open/1?x=%20y\n"));
  assert_non_null(strstr(heard, "X-Road-Client:" CLIENT "\n"));
  assert_null(strstr(heard, "Signature"));
  assert_null(strstr(heard, "Content-Digest"));
  pthread_mutex_unlock(&heard_lock);
  expect(b.x, Q(.method = "POST", .path = "/open/x", .body = "{\"a\":1}"), 200, "");
  assert_string_equal(body_, "{\"a\":1}");
  expect(b.x, Q(.path = "/open/fails"), 404, "");
  assert_string_equal(body_, "none such");
  expect(b.x, Q(.path = "/open/away"), 302, "");
}

static void stays_inside(void **state) {
  expect(a.x, Q(.client = LOCAL, .path = "/open/1"), 200, "");
  expect(a.x, Q(.client = LOCAL, .path = "/shut/1"), 500, "server.serverproxy.access_denied");
}

static void refuses(void **state) {
  expect(b.x, Q(.path = "/shut"), 500, "server.serverproxy.access_denied");
  expect(b.x, Q(.path = "/open/%2e%2e/shut"), 500, "server.clientproxy.invalid_request");
  expect(b.x, Q(.path = "/open/..%2fshut"), 500, "server.clientproxy.invalid_request");
  expect(b.x, Q(.path = "/open%2fshut"), 500, "server.serverproxy.access_denied");
  expect(b.x, Q(.client = "KHR/GOV/9/nobody", .path = "/open/1"), 500, "server.clientproxy.unknown_member");
  expect(b.x, Q(.client = PROVIDER, .path = "/open/1"), 500, "server.clientproxy.unknown_member"); /* known, and not this gateway's */
  must(exchange_service_disable(a.x, SERVICE, "back at ten", err));
  expect(b.x, Q(.path = "/open/1"), 500, "server.serverproxy.service_disabled");
  must(exchange_service_disable(a.x, SERVICE, NULL, err));
  expect(b.x, Q(.path = "/open/1"), 200, "");
}

static void done_once(void **state) {
  int before = asked_times;
  expect(b.x, Q(.method = "POST", .path = "/open/x", .id = "once-1", .body = "{\"a\":1}"), 200, "");
  expect(b.x, Q(.method = "POST", .path = "/open/x", .id = "once-1", .body = "{\"a\":1}"), 200, "");
  assert_string_equal(body_, "{\"a\":1}");
  assert_int_equal(asked_times, before + 1);
  expect(b.x, Q(.method = "POST", .path = "/open/x", .id = "once-1", .body = "{\"a\":2}"), 500, "server.serverproxy.invalid_request");
  expect(b.x, Q(.path = "/open/x", .id = "once-2"), 200, "");
  expect(b.x, Q(.path = "/open/x", .id = "once-2"), 200, "");
  assert_int_equal(asked_times, before + 3);
}

static void kept_by_both(void **state) {
  expect(b.x, Q(.path = "/open/1", .id = "kept-1"), 200, "");
  struct side_kit *sides[] = {&a, &b};
  for (int i = 0; i < 2; i++) {
    json_t *o = NULL;
    must(exchange_evidence(sides[i]->x, &(struct evidence_ask){.message_id = "kept-1"}, &o, err));
    assert_int_equal(json_array_size(json_object_get(o, "messages")), 2);
    size_t n;
    char *text = json_text(o, &n), *said = NULL;
    struct err why = {0};
    if (exchange_evidence_verify(text, n, NULL, NULL, &said, &why)) fail_msg("%s\n%s", said, why.message);
    assert_non_null(strstr(said, "It answers the request above and no other."));
    free(said);
    free(text);
    json_decref(o);
    refused(exchange_evidence(sides[i]->x, &(struct evidence_ask){.message_id = "kept-1", .asker = "KHR/GOV/9/other"}, &o, err), ERR_NOT_FOUND);
  }
}

static void provider_away(void **state) {
  must(exchange_service_put(a.x, &(struct exchange_service){.id = SERVICE, .kind = "REST", .url = "http://127.0.0.1:1/base"}, err));
  expect(b.x, Q(.path = "/open/1"), 500, "server.serverproxy.network_error");
  expect(b.x, Q(.method = "POST", .path = "/open/1", .id = "again-1", .body = "{}"), 500, "server.serverproxy.network_error");
  must(exchange_service_put(a.x, &(struct exchange_service){.id = SERVICE, .kind = "WSDL", .url = url}, err));
  expect(b.x, Q(.path = "/open/1"), 500, "server.serverproxy.service_type");
  must(exchange_service_put(a.x, &(struct exchange_service){.id = SERVICE, .kind = "REST", .url = url}, err));
  expect(b.x, Q(.method = "POST", .path = "/open/1", .id = "again-1", .body = "{}"), 200, ""); /* nothing had been done */
}

static void gateway_away(void **state) {
  stop_side(&a);
  expect(b.x, Q(.path = "/open/1"), 500, "server.clientproxy.network_error");
  open_side(&a);
  listen_side(&a);
  expect(b.x, Q(.path = "/open/1"), 200, "");
  expect(b.x, Q(.method = "POST", .path = "/open/x", .id = "once-1", .body = "{\"a\":1}"), 200, ""); /* kept across a restart */
}

/* As many calls to one service as it may have: nothing was done, so the same message may come again. */
static void full_lane(void **state) {
  struct book *b_ = book_hold(a.x);
  struct exchange_id id;
  must(exchange_id_parse(SERVICE, 5, 5, &id, err));
  struct lane *lane = book_service(b_, &id)->lane;
  int before = asked_times;
  atomic_fetch_add(&lane->busy, SIDE_THREADS / 2); /* as many as are free beside them */
  atomic_fetch_add(&a.x->sides->to_systems, SIDE_THREADS / 2);
  expect(b.x, Q(.method = "POST", .path = "/open/x", .id = "full-1", .body = "{}"), 500, "server.serverproxy.network_error");
  assert_int_equal(asked_times, before);
  atomic_fetch_sub(&lane->busy, SIDE_THREADS / 2);
  atomic_fetch_sub(&a.x->sides->to_systems, SIDE_THREADS / 2);
  expect(b.x, Q(.method = "POST", .path = "/open/x", .id = "full-1", .body = "{}"), 200, "");
  assert_int_equal(asked_times, before + 1);
  assert_int_equal(lane->busy, 0);
  book_drop(b_);
}

/* ---- a log that is slow, and one that does not work ---- */

static int break_work(struct store_tx *tx, void *arg, struct err *e) { return store_exec(tx, e, "ALTER TABLE exchange_message RENAME TO exchange_away", "") < 0 ? -1 : 0; }
static int mend_work(struct store_tx *tx, void *arg, struct err *e) { return store_exec(tx, e, "ALTER TABLE exchange_away RENAME TO exchange_message", "") < 0 ? -1 : 0; }

/* Nothing is written into this side's store as long as this lasts, and no message afterwards when it breaks. */
struct holding { struct side_kit *side; sem_t held, go; pthread_t thread; atomic_bool breaks; };

static int hold_work(struct store_tx *tx, void *arg, struct err *e) {
  struct holding *h = arg;
  sem_post(&h->held);
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 120; /* a test that failed is told, not waited for */
  while (sem_timedwait(&h->go, &until) && errno == EINTR) continue;
  sem_post(&h->go); /* the store may run it again */
  return h->breaks ? break_work(tx, NULL, e) : 0;
}

static void *hold(void *arg) {
  struct holding *h = arg;
  store_write(h->side->x->store, STORE_FRONT, hold_work, h, NULL);
  return NULL;
}

static void hold_log(struct holding *h, struct side_kit *side) {
  h->side = side;
  h->breaks = false;
  sem_init(&h->held, 0, 0);
  sem_init(&h->go, 0, 0);
  assert_int_equal(pthread_create(&h->thread, NULL, hold, h), 0);
  while (sem_wait(&h->held)) continue;
}

static void let_log(struct holding *h) {
  sem_post(&h->go);
  pthread_join(h->thread, NULL);
}

static atomic_int answered_;
static void *asks_beside(void *arg) {
  struct exchange_answer got;
  ask(b.x, arg, &got);
  atomic_store(&answered_, got.status);
  exchange_answer_free(&got);
  return NULL;
}

static bool in_log(struct side_kit *side, const char *id, size_t messages) {
  json_t *o = NULL;
  bool there = exchange_evidence(side->x, &(struct evidence_ask){.message_id = id}, &o, &(struct err){0}) == 0 && json_array_size(json_object_get(o, "messages")) == messages;
  json_decref(o);
  return there;
}

#define UNTIL(what) do { int i_ = 0; while (!(what) && i_++ < 1200) kit_sleep(25); if (!(what)) fail_msg("never: %s", #what); } while (0)

/* What changes nothing travels while it is logged, what changes something afterwards; no side gives an answer before its log has all. */
static void slow_log(void **state) {
  struct holding of_a, of_b;
  struct asking reads = Q(.path = "/open/1", .id = "slow-1"), writes = Q(.method = "POST", .path = "/open/1", .id = "slow-2", .body = "{}");
  struct store_stats stats = {0};
  pthread_t thread;
  int before = asked_times;
  hold_log(&of_a, &a);
  hold_log(&of_b, &b);
  atomic_store(&answered_, 0);
  assert_int_equal(pthread_create(&thread, NULL, asks_beside, &reads), 0);
  UNTIL(asked_times == before + 1);
  assert_false(in_log(&a, reads.id, 1) || in_log(&b, reads.id, 1));
  let_log(&of_a);
  UNTIL(in_log(&a, reads.id, 2));
  assert_int_equal(answered_, 0);
  let_log(&of_b);
  pthread_join(thread, NULL);
  assert_int_equal(answered_, 200);
  assert_true(in_log(&b, reads.id, 2));
  hold_log(&of_b, &b);
  assert_int_equal(pthread_create(&thread, NULL, asks_beside, &writes), 0);
  UNTIL((store_stats(b.x->store, &stats), stats.queued_front > 0));
  assert_int_equal(asked_times, before + 1);
  let_log(&of_b);
  pthread_join(thread, NULL);
  assert_int_equal(answered_, 200);
  assert_int_equal(asked_times, before + 2);
}

/* What changes something is not passed on before its log has it, whatever becomes of the log meanwhile. */
static void broken_before(struct side_kit *side, struct asking *writes, const char *code) {
  struct holding held;
  struct store_stats stats = {0};
  pthread_t thread;
  int before = asked_times;
  hold_log(&held, side);
  assert_int_equal(pthread_create(&thread, NULL, asks_beside, writes), 0);
  UNTIL((store_stats(side->x->store, &stats), stats.queued_front > 0));
  held.breaks = true;
  let_log(&held);
  pthread_join(thread, NULL);
  if (answered_ != 500 || !base_starts(body_, code) || !strstr(body_, "not passed on")) fail_msg("%d %s", answered_, body_);
  assert_int_equal(asked_times, before);
  must(store_write(side->x->store, STORE_FRONT, mend_work, NULL, err));
}

/* Of a log that was thought to work what changes nothing may have been passed on, and is not answered; then nothing is passed on until it works again. */
static void broken_log(void **state) {
  struct side_kit *sides[] = {&a, &b};
  struct asking reads = Q(.path = "/open/1");
  struct holding held;
  pthread_t thread;
  for (int i = 0; i < 2; i++) {
    const char *code = i ? "server.clientproxy.logging_failed" : "server.serverproxy.logging_failed", *id = i ? "broken-1" : "broken-0";
    struct asking writes = Q(.method = "POST", .path = "/open/1", .id = i ? "before-1" : "before-0", .body = "{}");
    broken_before(sides[i], &writes, code);
    expect(b.x, reads, 200, "");
    int before = asked_times;
    hold_log(&held, sides[i]);
    assert_int_equal(pthread_create(&thread, NULL, asks_beside, &reads), 0);
    UNTIL(asked_times == before + 1);
    held.breaks = true;
    let_log(&held);
    pthread_join(thread, NULL);
    if (answered_ != 500 || !base_starts(body_, code) || !strstr(body_, "not answered")) fail_msg("%d %s", answered_, body_);
    for (int n = 0; n < 3; n++) expect(b.x, reads, 500, code);
    if (!strstr(body_, "not passed on")) fail_msg("%s", body_);
    expect(b.x, Q(.method = "POST", .path = "/open/1", .id = id, .body = "{}"), 500, code);
    expect(sides[i]->x, Q(.client = i ? CLIENT : LOCAL, .path = "/open/1"), 500, "server.clientproxy.logging_failed");
    assert_int_equal(asked_times, before + 1);
    must(store_write(sides[i]->x->store, STORE_FRONT, mend_work, NULL, err));
    expect(b.x, reads, 200, "");
    expect(b.x, Q(.method = "POST", .path = "/open/1", .id = id, .body = "{}"), 200, "");
    assert_int_equal(asked_times, before + 3);
  }
}

/* ---- a delivery that no thread takes ---- */

static atomic_bool no_threads_;
static atomic_int refused_threads_;

/* Instead of the library's: as on a machine that has no threads to give. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg) {
  static int (*_Atomic real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  if (!real) real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT, "pthread_create");
  if (!no_threads_) return real(thread, attr, run, arg);
  if (pthread_equal(pthread_self(), b.thread) && arg != b.x->sides->later) atomic_fetch_add(&refused_threads_, 1); /* of the jobs, for a delivery */
  return EAGAIN;
}

static int answered_work(struct store_tx *tx, void *arg, struct err *e) { return store_value(tx, arg, 0, e, "SELECT COUNT(*) FROM exchange_async WHERE state = 'answered' AND message_id = 'later-1'", ""); }

static void no_thread_takes_it(void **state) {
  static const struct http_pair headers[] = {{"X-Road-Client", CLIENT}, {"X-Road-Id", "later-1"}, {"Content-Type", "application/json"}};
  struct arena *arena = arena_new(1 << 20);
  struct http_content content = HTTP_NO_CONTENT;
  struct fault fault;
  char id[200];
  int64_t answered = 0;
  must(http_content_add(&content, "{}", 2, -1, err));
  struct call q = {.method = "POST", .target = "/r1/" SERVICE "/open/x", .headers = headers, .header_count = BASE_COUNT(headers), .content = &content, .inside = true};
  no_threads_ = true;
  if (async_take(b.x, arena, &q, id, &fault)) fail_msg("%s", fault.message);
  for (int i = 0; i < 1200 && !refused_threads_; i++) kit_sleep(25);
  assert_true(refused_threads_ > 0);
  no_threads_ = false;
  for (int i = 0; i < 1200 && !answered; i++) { /* it was given back, and is taken up again */
    kit_sleep(25);
    must(store_read(b.x->store, answered_work, &answered, err));
  }
  assert_int_equal(answered, 1);
  http_content_free(&content);
  arena_free(arena);
}

static void later(const char *method, const char *message) {
  const struct http_pair headers[] = {{"X-Road-Client", CLIENT}, {"X-Road-Id", message}};
  struct arena *arena = arena_new(1 << 20);
  struct http_content content = HTTP_NO_CONTENT;
  struct fault fault;
  char id[200];
  struct call q = {.method = method, .target = "/r1/" SERVICE "/open/x", .headers = headers, .header_count = BASE_COUNT(headers), .content = &content, .inside = true};
  if (async_take(b.x, arena, &q, id, &fault)) fail_msg("%s", fault.message);
  arena_free(arena);
}

struct ended { const char *message; char state[20], error[500]; };

static int ended_work(struct store_tx *tx, void *arg, struct err *e) {
  struct ended *k = arg;
  struct store_rows *r = store_select(tx, e, "SELECT state, last_error FROM exchange_async WHERE message_id = ?1 AND state <> 'waiting'", "t", k->message);
  int more = r ? store_next(r, e) : -1;
  if (more == 1) {
    snprintf(k->state, sizeof k->state, "%s", store_text(r, 0));
    snprintf(k->error, sizeof k->error, "%s", store_text(r, 1) ? store_text(r, 1) : "");
  }
  store_done(r);
  return more < 0 ? -1 : 0;
}

static struct ended ended(const char *message) {
  struct ended k = {.message = message};
  for (int i = 0; i < 1200 && !k.state[0]; i++) {
    kit_sleep(25);
    must(store_read(b.x->store, ended_work, &k, err));
  }
  return k;
}

/* What waited in a copy may have been done since: what is not idempotent is sent no more once its id may be forgotten. */
/* Tried once, and nobody at it: it stays so until it is let go of. */
struct rest { const char *message_id; int rested; };
static int rest_work(struct store_tx *tx, void *arg, struct err *e) {
  struct rest *r = arg;
  r->rested = store_exec(tx, e, "UPDATE exchange_async SET next_at = next_at + 3600000 WHERE message_id = ?1 AND claimed_by IS NULL AND tries > 0", "t", r->message_id);
  return r->rested < 0 ? -1 : 0;
}

static void rests(const char *id) {
  struct rest r = {.message_id = id};
  for (int i = 0; i < 1200 && r.rested != 1; i++) {
    must(store_write(b.x->store, STORE_FRONT, rest_work, &r, err));
    kit_sleep(25);
  }
  assert_int_equal(r.rested, 1);
}

static int go_work(struct store_tx *tx, void *arg, struct err *e) { return store_exec(tx, e, "UPDATE exchange_async SET next_at = ?1 WHERE message_id LIKE 'old-%'", "i", store_time(tx)) == 2 ? 0 : -1; }

static void waited_in_a_copy(void **state) {
  must(exchange_maintenance(b.x, "put back", 0, err));
  later("POST", "old-post");
  later("GET", "old-get");
  rests("old-post"); /* a copy is put back while nobody delivers */
  rests("old-get");
  must(exchange_restored_messages(b.x->store, clock_now() - 13LL * 3600000, err));
  later("POST", "new-post");
  must(exchange_restored_messages(b.x->store, clock_now() - 3600000, err));
  int before = asked_times;
  must(exchange_maintenance(b.x, NULL, 0, err));
  must(store_write(b.x->store, STORE_FRONT, go_work, NULL, err));
  struct ended old = ended("old-post");
  assert_string_equal(old.state, "failed");
  assert_non_null(strstr(old.error, "ask the provider"));
  assert_string_equal(ended("old-get").state, "answered");
  assert_string_equal(ended("new-post").state, "answered");
  assert_int_equal(asked_times, before + 2);
}

static int64_t version_of(struct side_kit *k) {
  struct members *m = members_hold(k->x);
  int64_t version = members_version(m);
  members_drop(m);
  return version;
}

static void reaches(struct side_kit *k, int64_t version) {
  for (int i = 0; i < 1200 && version_of(k) < version; i++) kit_sleep(25);
  assert_true(version_of(k) >= version);
}

/* The operator's folder from an older copy: members never take an older directory, so the next is numbered above theirs. */
static void operator_put_back(void **state) {
  char command[400];
  for (int same = 0; same < 2; same++) { /* behind theirs, then another of the same number */
    stop_side(&a);
    snprintf(command, sizeof command, "rm -rf %s/copy && cp -a %s %s/copy", root, a.folder, root);
    assert_int_equal(system(command), 0);
    open_side(&a);
    listen_side(&a);
    int64_t first = version_of(&a);
    must(exchange_member_put(a.x, "KHR/GOV/8", "هشت", "Eight", "op", err));
    reaches(&b, first + 1);
    stop_side(&a);
    snprintf(command, sizeof command, "rm -rf %s && mv %s/copy %s", a.folder, root, a.folder);
    assert_int_equal(system(command), 0);
    open_side(&a);
    if (same) must(exchange_member_put(a.x, "KHR/GOV/9", "نه", "Nine", "op", err));
    if (same) must(exchange_publish(a.x, err));
    int64_t held = version_of(&b);
    listen_side(&a);
    reaches(&b, held + 1);
    assert_int_equal(version_of(&a), version_of(&b));
  }
  stop_side(&a); /* and from before a key that signs what the members hold: nobody can follow, and it is said */
  snprintf(command, sizeof command, "rm -rf %s/copy && cp -a %s %s/copy", root, a.folder, root);
  assert_int_equal(system(command), 0);
  open_side(&a);
  listen_side(&a);
  int64_t first = version_of(&a);
  must(exchange_renew_operator_key(a.x, "op", "yearly", true, err));
  reaches(&b, first + 2); /* one names the next key, one is signed by it alone */
  stop_side(&a);
  snprintf(command, sizeof command, "rm -rf %s && mv %s/copy %s", a.folder, root, a.folder);
  assert_int_equal(system(command), 0);
  open_side(&a);
  listen_side(&a);
  bool said = false;
  for (int i = 0; i < 1200 && !said; i++) {
    json_t *d = NULL;
    kit_sleep(25);
    must(exchange_directory(a.x, &d, err));
    said = strstr(json_str(d, "problem"), "a later key of the operator has signed") != NULL;
    json_decref(d);
  }
  assert_true(said);
}

/* ---- an information system that asks for our certificate, when our keys change ---- */

static _Atomic(char) shown_[65]; /* of the last call */

static void answer_secure(struct http_req *r) {
  unsigned char sha[32] = {0};
  char hex[65];
  if (!http_client_certificate(r, sha)) snprintf(hex, sizeof hex, "none");
  else hex_encode(sha, 32, hex);
  for (size_t i = 0; i < sizeof hex; i++) shown_[i] = hex[i];
  http_reply(r, 200, "text/plain", "seen", 4);
}

static const struct http_route secure_rows[] = {{"GET", "/{rest...}", HTTP_INLINE, 0, HTTP_MACHINE, 0, answer_secure, "."}};

static bool shows(const char *service, const char *certificate) {
  char now[65];
  expect(b.x, Q(.path = "/x", .service = service), 200, "");
  for (size_t i = 0; i < sizeof now; i++) now[i] = shown_[i];
  return strcmp(now, certificate) == 0;
}

static void current(char hash[65]) {
  struct http_key key;
  char *pem = keys_certificate(a.x->keys, &key);
  must(certificate_hash(pem, hash, err));
  free(pem);
}

static void new_keys_reach_systems(void **state) {
  static const char secure[] = PROVIDER "/secure";
  struct http_server *s;
  struct http_key key;
  char before[65], now[65], where[60], id[40];
  char *pem = keys_certificate(b.x->keys, &key); /* any certificate will do for it */
  must(http_server_new(&(struct http_options){.listen = "127.0.0.1:0", .threads = 1, .workers = 1}, &s, err));
  must(http_server_routes(s, secure_rows, 1, NULL, err));
  must(http_server_tls(s, &(struct http_tls){.certificate = pem, .key = key, .ask = true}, err));
  must(http_server_start(s, err));
  free(pem);
  snprintf(where, sizeof where, "https://127.0.0.1:%d", http_server_port(s));
  must(exchange_service_put(a.x, &(struct exchange_service){.id = secure, .kind = "REST", .url = where, .any_certificate = true}, err));
  must(exchange_grant(a.x, &(struct exchange_grant){.subject = CLIENT, .service = secure}, "t", id, err));
  current(before);
  assert_true(shows(secure, before));
  struct exchange *other = NULL; /* another process of the same gateway, which looks away while they change */
  struct exchange_signer signer;
  char own[65], others[65] = "";
  must(exchange_open(&(struct exchange_options){.folder = a.folder, .node = "other"}, &other, err));
  must(exchange_renew_keys(a.x, err));
  bool used = false;
  for (int i = 0; i < 1200 && !used; i++) { /* announced, known to the other, in use */
    kit_sleep(25);
    current(now);
    used = strcmp(now, before) != 0;
  }
  assert_true(used);
  for (int i = 0; i < 200 && !shows(secure, now); i++) kit_sleep(25); /* the files change a moment before what is made of them */
  assert_true(shows(secure, now));
  keys_signer(a.x->keys, &signer, own);
  for (int i = 0; i < 400 && strcmp(own, others) != 0; i++) {
    exchange_jobs(other);
    kit_sleep(25);
    keys_signer(other->keys, &signer, others);
  }
  assert_string_equal(own, others);
  exchange_close(other);
  must(keys_forget(a.x->keys, SLOT_TLS_OLD, err)); /* as it is after a quarter of an hour */
  must(keys_reload(a.x->keys, err));
  must(http_server_tls_renew(s, &(struct http_tls){.certificate = (pem = keys_certificate(b.x->keys, &key)), .key = key, .ask = true}, err));
  for (int i = 0; i < 3; i++) assert_true(shows(secure, now));
  free(pem);
  must(exchange_service_remove(a.x, secure, err));
  http_server_stop(s);
  http_server_free(s);
}

/* ---- figures ---- */

static size_t series(struct exchange *x, const char *client, int64_t *count) {
  json_t *o = NULL, *one;
  size_t i, n = 0;
  must(exchange_monitor(x, LANG_EN, &o, err));
  *count = 0;
  json_array_foreach(json_object_get(o, "services"), i, one) {
    const char *name = json_str(one, "client");
    if (strncmp(name, client, strlen(client)) != 0) continue;
    n++;
    *count += json_int(json_object_get(one, "hour"), "count", 0);
  }
  json_decref(o);
  return n;
}

/* Names that strangers think of take no room from those that are known, and what is silent for long makes room for what comes. */
static void counted_names(void **state) {
  enum { MOST = 2000 };
  struct side_kit c = {0};
  struct exchange_id service, client;
  struct fault fault;
  int64_t count, hour = 3600000, then = clock_now() - 3 * hour;
  make(&c, "c", "KHR/GOV/3/ss1");
  open_side(&c);
  fault_set(&fault, "server.serverproxy.ssl_authentication_failed", "nobody knows them");
  for (int i = 0; i < 3 * MOST; i++) monitor_count(c.x, &(struct counted){.side = SIDE_PRODUCER, .fault = &fault, .status = 500});
  assert_int_equal(series(c.x, "-", &count), 1);
  assert_int_equal(count, 3 * MOST);
  must(exchange_id_parse("KHR/GOV/3/x/y", 5, 5, &service, err));
  for (int i = 0; i < MOST - 1; i++) {
    char name[60];
    snprintf(name, sizeof name, "KHR/GOV/3/c%04d", i);
    must(exchange_id_parse(name, 4, 4, &client, err));
    monitor_count(c.x, &(struct counted){.side = SIDE_PRODUCER, .service = &service, .client = &client, .status = 200, .at = then + (i == 7 ? 0 : i + 1000)});
  }
  must(exchange_id_parse("KHR/GOV/3/new", 4, 4, &client, err));
  struct counted fresh = {.side = SIDE_PRODUCER, .service = &service, .client = &client, .status = 200};
  monitor_count(c.x, &fresh);
  assert_int_equal(series(c.x, "KHR/GOV/3/new", &count), 0); /* what is not in the store yet is not let go */
  monitor_jobs(c.x);
  monitor_count(c.x, &fresh);
  assert_int_equal(series(c.x, "KHR/GOV/3/new", &count), 1);
  assert_int_equal(count, 1);
  struct buf text = {.cap = 64 << 20};
  monitor_metrics(c.x, &text);
  assert_non_null(strstr(buf_str(&text), "client=\"KHR/GOV/3/c0006\""));
  assert_null(strstr(buf_str(&text), "client=\"KHR/GOV/3/c0007\"")); /* silent longest */
  buf_free(&text);
  exchange_close(c.x);
  free(c.folder);
}

static void figures(void **state) {
  json_t *o = NULL;
  must(exchange_monitor(b.x, LANG_EN, &o, err));
  assert_true(json_array_size(json_object_get(o, "services")) > 0);
  json_decref(o);
  struct buf text = {0};
  exchange_metrics(a.x, &text);
  assert_non_null(strstr(buf_str(&text), "chapar_exchange_messages_total{side=\"producer\",service=\"" SERVICE "\""));
  buf_free(&text);
  json_t *causes = json_array();
  assert_int_equal(exchange_health(b.x, causes), 0);
  json_decref(causes);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(passes), cmocka_unit_test(stays_inside), cmocka_unit_test(refuses), cmocka_unit_test(done_once),
                                     cmocka_unit_test(kept_by_both), cmocka_unit_test(provider_away), cmocka_unit_test(gateway_away), cmocka_unit_test(full_lane), cmocka_unit_test(slow_log), cmocka_unit_test(broken_log), cmocka_unit_test(no_thread_takes_it), cmocka_unit_test(waited_in_a_copy),
                                     cmocka_unit_test(new_keys_reach_systems),
                                     cmocka_unit_test(counted_names), cmocka_unit_test(figures), cmocka_unit_test(operator_put_back)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
