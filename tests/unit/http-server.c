#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <pthread.h>
#include <zlib.h>

#include <cmocka.h>

#include "http/http.h"

/* A real server on a free port, and raw sockets. */

static char big[5000];
static struct http_server *server;
static struct http_req *_Atomic parked[64];
static atomic_int parked_next, parked_count, parked_over, slow_in, slow_on, user_frees;

static void on_hello(struct http_req *r) { http_reply_json(r, 200, json_pack("{s:b}", "ok", 1)); }

static void on_echo(struct http_req *r)
{
  size_t n;
  const void *body = http_body(r, &n);
  http_reply(r, 200, "application/octet-stream", body, n);
}

static void on_json(struct http_req *r)
{
  json_t *v = http_json(r);
  if (v) http_reply_json(r, 201, json_incref(v));
}

static void on_item(struct http_req *r)
{
  const char *q = http_query(r, "q");
  const char *id = http_param(r, "id");
  json_t *v = json_pack("{s:s?,s:s?,s:s,s:s,s:s}", "id", id, "q", q, "path", http_path(r), "raw", http_raw_path(r), "peer", http_peer(r));
  const char *rest = http_param(r, "rest");
  if (rest) json_put(v, "rest", rest);
  http_reply_json(r, 200, v);
}

static void on_new(struct http_req *r) { http_reply(r, 200, "text/plain", "new", 3); }
static void on_big(struct http_req *r) { http_reply(r, 200, "text/html; charset=utf-8", big, sizeof big); }
static void on_asset(struct http_req *r) { http_reply_static(r, "text/css", big, sizeof big, "abc"); }

static void on_tagged(struct http_req *r)
{
  if (!http_not_modified(r, "v1", "private, no-cache")) http_reply(r, 200, "text/plain", "v", 1);
}

static void on_cookie(struct http_req *r)
{
  const char *c = http_cookie(r, "session");
  http_reply_cookie(r, "session", "xyz", 60, true);
  http_reply_header(r, "X-Bad", "a\r\nb");
  http_reply(r, 200, "text/plain", c ? c : "-", c ? strlen(c) : 1);
}

static void on_form(struct http_req *r)
{
  const struct http_field *f;
  size_t n = http_form(r, &f);
  if (!f) return;
  json_t *list = json_array();
  for (size_t i = 0; i < n; i++)
    json_array_append_new(list, json_pack("{s:s,s:s%,s:s?,s:s?}", "name", f[i].name, "value", f[i].value, f[i].size, "filename", f[i].filename,
                                          "type", f[i].media_type));
  http_reply_json(r, 200, list);
}

static void after_park(struct http_req *r) { http_reply(r, 200, "text/plain", http_data(r), strlen(http_data(r))); }

static void park_over(void *data) { atomic_fetch_add(&parked_over, 1); }

static void on_park(struct http_req *r)
{
  http_set_data(r, arena_printf(http_arena(r), "parked %s", http_param(r, "id")), park_over);
  http_suspend(r, after_park);
  atomic_store(&parked[atomic_fetch_add(&parked_next, 1)], r);
  atomic_fetch_add(&parked_count, 1);
}

static void on_slow(struct http_req *r) /* until the test lets it go on */
{
  atomic_fetch_add(&slow_in, 1);
  while (!atomic_load(&slow_on)) usleep(1000);
  http_reply(r, 200, "text/plain", "slow", 4);
}

static void after_both(struct http_req *r) { http_reply(r, 200, "text/plain", "both", 4); }

static void *wake(void *r)
{
  usleep(1000);
  http_resume(r);
  return NULL;
}

static void on_worker_park(struct http_req *r)
{
  pthread_t t;
  http_suspend(r, after_both);
  pthread_create(&t, NULL, wake, r);
  pthread_detach(t);
  usleep(20 * 1000); /* resumed long before this returns */
}

static void on_silent(struct http_req *r) {}

static void free_user(void *u)
{
  atomic_fetch_add(&user_frees, 1);
  free(u);
}

static int authorise(struct http_req *r, const struct http_route *route, void *ctx)
{
  if (!route->permission) return 0;
  http_set_user(r, strdup("u"), free_user);
  if (http_header(r, "Authorization")) return 0;
  http_problem_code(r, ERR_UNAUTHENTICATED, NULL);
  return -1;
}

static void page(struct http_req *r, int status, const struct err *err, void *ctx)
{
  char text[64];
  int n = snprintf(text, sizeof text, "<h1>%d %s</h1>", status, err_name(err->code));
  http_reply(r, status, "text/html", text, (size_t)n);
}

static const struct http_route rows[] = {
  {"GET", "/hello", HTTP_INLINE, 0, HTTP_SAFE, 0, on_hello, "says hello"},
  {"GET", "/", HTTP_INLINE, 0, HTTP_SAFE, 0, on_new, "root"},
  {"POST", "/echo", HTTP_INLINE, 0, HTTP_MACHINE, 100000, on_echo, "echo"},
  {"POST", "/json", HTTP_INLINE, 0, HTTP_BEARER, 1000, on_json, "json"},
  {"GET", "/items/{id}", HTTP_INLINE, 0, HTTP_SAFE, 0, on_item, "item"},
  {"DELETE", "/items/{id}", HTTP_INLINE, 0, HTTP_BEARER, 0, on_item, "item"},
  {"GET", "/items/new", HTTP_INLINE, 0, HTTP_SAFE, 0, on_new, "new"},
  {"GET", "/items/{id}/parts/{part}", HTTP_INLINE, 0, HTTP_SAFE, 0, on_item, "part"},
  {"GET", "/items/new/only", HTTP_INLINE, 0, HTTP_SAFE, 0, on_new, "only"},
  {"GET", "/files/{rest...}", HTTP_INLINE, 0, HTTP_SAFE, 0, on_item, "rest"},
  {"GET", "/machine", HTTP_INLINE, 0, HTTP_MACHINE, 0, on_item, "machine"},
  {"GET", "/big", HTTP_INLINE, 0, HTTP_SAFE, 0, on_big, "big"},
  {"GET", "/asset", HTTP_INLINE, 0, HTTP_SAFE, 0, on_asset, "asset"},
  {"GET", "/tagged", HTTP_INLINE, 0, HTTP_SAFE, 0, on_tagged, "tagged"},
  {"GET", "/cookie", HTTP_INLINE, 0, HTTP_SAFE, 0, on_cookie, "cookie"},
  {"POST", "/form", HTTP_INLINE, 0, HTTP_OPEN, 100000, on_form, "form"},
  {"GET", "/park/{id}", HTTP_INLINE, 0, HTTP_SAFE, 0, on_park, "park"},
  {"GET", "/slow", HTTP_WORKER, 0, HTTP_SAFE, 0, on_slow, "slow"},
  {"GET", "/both", HTTP_WORKER, 0, HTTP_SAFE, 0, on_worker_park, "both"},
  {"GET", "/silent", HTTP_INLINE, 0, HTTP_SAFE, 0, on_silent, "silent"},
  {"GET", "/secret", HTTP_WORKER, 7, HTTP_SAFE, 0, on_hello, "secret"},
};

static int start(void **state)
{
  struct err err = {0};
  memset(big, 'x', sizeof big);
  struct http_options o = {.listen = "127.0.0.1:0", .threads = 2, .workers = 1, .queue = 2, .deadline_ms = 700, .most_connections = 200,
                           .trusted_proxies = "127.0.0.1"};
  if (language_init(&err) || http_server_new(&o, &server, &err)) fail_msg("%s", err.message);
  http_server_hooks(server, authorise, page, NULL);
  if (http_server_routes(server, rows, BASE_COUNT(rows), NULL, &err) || http_server_start(server, &err)) fail_msg("%s", err.message);
  return 0;
}

static int stop(void **state)
{
  http_server_stop(server);
  http_server_free(server);
  return 0;
}

static int dial(void)
{
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
  return fd;
}

static void say(int fd, const char *s, size_t n)
{
  while (n) {
    ssize_t k = send(fd, s, n, MSG_NOSIGNAL);
    if (k <= 0) return;
    s += k;
    n -= (size_t)k;
  }
}

/* Everything until the other side closes or `ms` without a byte. */
static char *hear_for(int fd, int ms)
{
  struct buf b = {0};
  char piece[8192];
  struct pollfd p = {.fd = fd, .events = POLLIN};
  while (poll(&p, 1, ms) > 0) {
    ssize_t n = recv(fd, piece, sizeof piece, 0);
    if (n <= 0) break;
    buf_add(&b, piece, (size_t)n);
  }
  return buf_take(&b);
}

/* One request with Connection: close; the whole answer. */
static char *ask(const char *text)
{
  int fd = dial();
  say(fd, text, strlen(text));
  char *all = hear_for(fd, 30000);
  close(fd);
  return all;
}

static char *get(const char *path, const char *headers)
{
  char *text = base_printf("GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", path, headers ? headers : "");
  char *all = ask(text);
  free(text);
  return all;
}

static int status_of(const char *all)
{
  return base_starts(all, "HTTP/1.1 ") ? atoi(all + 9) : 0;
}

static int count_of(const char *all, const char *what)
{
  int n = 0;
  for (const char *p = all; (p = strstr(p, what)); p++) n++;
  return n;
}

/* One answer with this status, and no second one. */
static void expect(const char *text, int status, int line)
{
  char *all = ask(text);
  if (status_of(all) != status || count_of(all, "HTTP/1.1 ") != 1) fail_msg("line %d: expected one answer %d to %.200s\ngot %.600s", line, status, text, all);
  free(all);
}

static void expect_get(const char *path, const char *headers, int status, int line)
{
  char *all = get(path, headers);
  if (status_of(all) != status) fail_msg("line %d: expected %d to %s\ngot %.600s", line, status, path, all);
  free(all);
}

static void expect_text(const char *all, const char *part, int line)
{
  if (!all || !strstr(all, part)) fail_msg("line %d: no %s in %.900s", line, part, all ? all : "nothing");
}

#define EXPECT(text, status) expect(text, status, __LINE__)
#define EXPECT_GET(path, headers, status) expect_get(path, headers, status, __LINE__)
#define EXPECT_TEXT(all, part) expect_text(all, part, __LINE__)

static void answers_plainly(void **state)
{
  char *all = get("/hello", NULL);
  assert_int_equal(status_of(all), 200);
  EXPECT_TEXT(all, "{\"ok\":true}");
  EXPECT_TEXT(all, "X-Content-Type-Options: nosniff\r\n");
  EXPECT_TEXT(all, "Content-Security-Policy: default-src 'self'");
  EXPECT_TEXT(all, "Cache-Control: no-store\r\n");
  EXPECT_TEXT(all, "Request-Id: ");
  EXPECT_TEXT(all, "Referrer-Policy: ");
  free(all);
  EXPECT_GET("http://a/hello", NULL, 200);
  EXPECT_GET("http://b/hello", NULL, 400);
  EXPECT("GET /hello HTTP/1.0\r\n\r\n", 200);
}

static void refuses_smuggling(void **state)
{
  static const char *const bad[] = {
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length\t: 5\r\n\r\nhello",
    "POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0b" "chunked\r\n\r\n0\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET /hello HTTP/1.1\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nX: one\r\n two\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nX: one\r\n\ttwo\r\nY: b\r\n\r\n",
    "GET /hello HTTP/1.1\r\n X: one\r\nHost: a\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "GET /hello HTTP/1.1\nHost: a\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\n\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nX: a\x01" "b\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nX: a\x7f" "b\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nX(y): a\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nX y: a\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    "GET  /hello HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /hello  HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET\t/hello HTTP/1.1\r\nHost: a\r\n\r\n",
    "G(T /hello HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /hello#x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET hello HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /hello HTTP/1.2\r\nHost: a\r\n\r\n",
  };
  for (size_t i = 0; i < BASE_COUNT(bad); i++) {
    char *all = ask(bad[i]);
    /* refused with 400, or the line was so bad that the library closed without an answer */
    if ((status_of(all) != 400 && *all) || strstr(all, "HTTP/1.1 200")) fail_msg("%zu: %s\ngot %s", i, bad[i], all);
    free(all);
  }
  static const char nul[][80] = {"GET /hello HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: a\r\nX: a\0\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\n\0X: a\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n", "GET /hel\0lo HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /hello HTTP/1.1\0\r\nHost: a\r\n\r\n", "GET /hello HTTP/1.1\r\nHost: a\0\r\nX: b\r\n\r\n"};
  for (size_t i = 0; i < BASE_COUNT(nul); i++) {
    int fd = dial();
    size_t n = sizeof nul[i];
    while (n && !nul[i][n - 1]) n--;
    say(fd, nul[i], n);
    shutdown(fd, SHUT_WR);
    char *all = hear_for(fd, 30000);
    if (status_of(all) != 400 && *all) fail_msg("NUL %zu got %s", i, all);
    free(all);
    close(fd);
  }
}

static void accepts_what_is_right(void **state)
{
  EXPECT("GET /hello HTTP/1.1\r\nHost: a\r\nX:y\r\nEmpty:\r\nZ: \t z \t \r\nConnection: close\r\n\r\n", 200);
  EXPECT("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", 200);
  char *all = ask("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\n wo\r\n0\r\nT: r\r\n\r\n"
                  "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  assert_int_equal(count_of(all, "HTTP/1.1 "), 1); /* nothing after a chunked body is a request */
  EXPECT_TEXT(all, "hello wo");
  free(all);
  struct buf b = {0};
  buf_adds(&b, "GET /hello?a=1&b=2&c=%20x+y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
  for (int i = 0; i < 90; i++) buf_addf(&b, "X-%d: %050d\r\n", i, i);
  buf_adds(&b, "Cookie: a=b; c=d\r\n\r\n");
  EXPECT(buf_str(&b), 200);
  buf_clear(&b);
  buf_adds(&b, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
  for (int i = 0; i < 120; i++) buf_addf(&b, "X-%d: 1\r\n", i);
  buf_adds(&b, "\r\n");
  EXPECT(buf_str(&b), 431);
  buf_free(&b);
}

static void takes_heads_in_pieces(void **state)
{
  const char *text = "POST /echo?x=%41 HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
  int fd = dial();
  for (const char *p = text; *p; p++) {
    say(fd, p, 1);
    usleep(1000);
  }
  char *all = hear_for(fd, 30000);
  assert_int_equal(status_of(all), 200);
  EXPECT_TEXT(all, "\r\n\r\nabc");
  free(all);
  close(fd);
}

static void keeps_alive_and_pipelines(void **state)
{
  int fd = dial();
  struct buf b = {0};
  for (int i = 0; i < 20; i++) {
    buf_adds(&b, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    buf_adds(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  }
  say(fd, b.data, b.len);
  char *all = hear_for(fd, 30000);
  if (count_of(all, "HTTP/1.1 200") != 40) fail_msg("%s", all);
  free(all);
  buf_free(&b);
  close(fd);
}

static void finds_routes(void **state)
{
  char *all = get("/items/%D8%B3?q=a%2Bb+c", NULL);
  EXPECT_TEXT(all, "\"id\":\"س\"");
  EXPECT_TEXT(all, "\"q\":\"a+b c\"");
  EXPECT_TEXT(all, "\"raw\":\"/items/%D8%B3\"");
  free(all);
  all = get("/items/new", NULL);
  EXPECT_TEXT(all, "\r\n\r\nnew");
  free(all);
  EXPECT_GET("/items/new/parts/3", NULL, 200); /* back from the static branch */
  all = get("/files/a%2Fb/c", NULL);
  EXPECT_TEXT(all, "\"rest\":\"a/b/c\"");
  free(all);
  EXPECT_GET("/", NULL, 200);
  all = get("/machine?q=%ff&id=1", NULL); /* raw bytes are for machines: the handler reads the raw query */
  EXPECT_TEXT(all, "\"q\":null");
  free(all);
  EXPECT_GET("/nothing", NULL, 404);
  EXPECT_GET("/files/", NULL, 404);
  EXPECT_GET("//hello", NULL, 404);
  EXPECT_GET("/items/a%2Fb", NULL, 404);
  static const char *const bad[] = {"/items/%00", "/items/%zz", "/items/%4", "/items/%ff", "/items/..", "/items/../hello", "/items/%2e%2e/hello",
    "/files/a%2f..%2fb", "/./hello", "/files/a%5c..", "/items/a\\b", "/items/%0a", "/hello?a=%00", "/hello?a=%ff", "/hello?%",
    "/hello?a=1&b=%ff&lang=en", "/hello?b=%ff&a=1"};
  for (size_t i = 0; i < BASE_COUNT(bad); i++) EXPECT_GET(bad[i], NULL, 400);
  all = get("/items/3/?a=b", NULL);
  assert_int_equal(status_of(all), 308);
  EXPECT_TEXT(all, "Location: /items/3?a=b\r\n");
  free(all);
  all = ask("POST /items/3 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  assert_int_equal(status_of(all), 405);
  EXPECT_TEXT(all, "Allow: GET, HEAD, DELETE, OPTIONS\r\n");
  free(all);
  all = ask("OPTIONS /items/3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert_int_equal(status_of(all), 204);
  EXPECT_TEXT(all, "Allow: GET, HEAD, DELETE, OPTIONS\r\n");
  free(all);
  EXPECT("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 204);
  EXPECT("BREW /items/3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405);
  all = ask("HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert_int_equal(status_of(all), 200);
  EXPECT_TEXT(all, "Content-Length: 11\r\n");
  assert_string_equal(strstr(all, "\r\n\r\n"), "\r\n\r\n");
  free(all);
}

static void knows_peers_behind_a_proxy(void **state)
{
  char *all = get("/items/1", "X-Forwarded-For: 9.9.9.9, 10.1.2.3\r\n");
  EXPECT_TEXT(all, "\"peer\":\"10.1.2.3\"");
  free(all);
  all = get("/items/1", "X-Forwarded-For: <script>\r\n");
  EXPECT_TEXT(all, "\"peer\":\"127.0.0.1\"");
  free(all);
}

static void bounds_bodies(void **state)
{
  EXPECT("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n", 413); /* before it is read */
  char *all = ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n");
  assert_int_equal(status_of(all), 413); /* of the library itself */
  free(all);
  EXPECT("GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", 413);
  struct buf b = {0};
  buf_adds(&b, "POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 30; i++) buf_addf(&b, "64\r\n%0100d\r\n", i);
  buf_adds(&b, "0\r\n\r\n");
  EXPECT(buf_str(&b), 413);
  buf_clear(&b);
  /* The whole of a body that is too large is sent before the answer is read: it must not be lost in a reset. */
  buf_adds(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n");
  for (int i = 0; i < 600000; i++) buf_addc(&b, 'x');
  EXPECT(buf_str(&b), 413);
  buf_clear(&b);
  buf_adds(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n");
  for (int i = 0; i < 100000; i++) buf_addc(&b, 'y');
  all = ask(buf_str(&b));
  assert_int_equal(status_of(all), 200);
  assert_int_equal(strlen(strstr(all, "\r\n\r\n") + 4), 100000);
  free(all);
  buf_free(&b);
  all = ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nok");
  EXPECT_TEXT(all, "HTTP/1.1 100 Continue\r\n");
  EXPECT_TEXT(all, "HTTP/1.1 200");
  free(all);
}

static void expect_json(const char *type, const char *body, int status)
{
  char *text = base_printf("POST /json HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", type, strlen(body), body);
  EXPECT(text, status);
  free(text);
}

static void reads_json(void **state)
{
  expect_json("application/json", "{\"a\":1}", 201);
  expect_json("application/merge-patch+json; charset=\"utf-8\"", "{}", 201);
  expect_json("application/json; charset=latin1", "{}", 415);
  expect_json("text/plain", "{}", 415);
  expect_json("application/json", "{", 400);
  expect_json("application/json", "", 400);
  expect_json("application/json", "{\"a\":1,\"a\":2}", 400);
  expect_json("application/json", "\"\xff\"", 400);
}

static void shows_problems(void **state)
{
  char *all = get("/nothing", "Accept-Language: en\r\n");
  EXPECT_TEXT(all, "Content-Type: application/problem+json\r\n");
  EXPECT_TEXT(all, "\"type\":\"/problems/not_found\"");
  EXPECT_TEXT(all, "\"title\":\"Not found\"");
  EXPECT_TEXT(all, "\"status\":404");
  EXPECT_TEXT(all, "Content-Language: en\r\n");
  free(all);
  all = get("/nothing", NULL);
  EXPECT_TEXT(all, "\"title\":\"پیدا نشد\"");
  free(all);
  all = get("/nothing?lang=en", NULL);
  EXPECT_TEXT(all, "\"title\":\"Not found\"");
  free(all);
  all = get("/nothing", "Cookie: a=b; lang=en\r\n");
  EXPECT_TEXT(all, "\"title\":\"Not found\"");
  free(all);
  all = get("/nothing", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n");
  EXPECT_TEXT(all, "<h1>404 not_found</h1>");
  free(all);
  all = get("/nothing", "Accept: application/json, text/html;q=0.5\r\n");
  EXPECT_TEXT(all, "problem+json");
  free(all);
  EXPECT_GET("/silent", NULL, 500);
#define X(code, status, name) assert_true(word_known("error." name ".title") && word_known("error." name ".detail"));
  ERR_TABLE(X)
#undef X
}

static void authorises(void **state)
{
  char *all = get("/secret", NULL);
  assert_int_equal(status_of(all), 401);
  EXPECT_TEXT(all, "WWW-Authenticate: Bearer\r\n");
  free(all);
  EXPECT_GET("/secret", "Authorization: x\r\n", 200);
  for (int k = 0; k < 12000 && atomic_load(&user_frees) < 2; k++) usleep(5000); /* freed after the answer was sent */
  assert_int_equal(atomic_load(&user_frees), 2);
}

static void refuses_other_sites(void **state)
{
#define FORM "POST /form HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n%s\r\na=b"
  static const struct { const char *headers; int status; } cases[] = {{"", 200}, {"Origin: https://a.example\r\n", 200},
    {"Origin: https://b.example\r\n", 403}, {"Origin: null\r\n", 403}, {"Sec-Fetch-Site: same-origin\r\nOrigin: https://a.example\r\n", 200},
    {"Sec-Fetch-Site: cross-site\r\n", 403}, {"Sec-Fetch-Site: same-site\r\nOrigin: https://a.example\r\n", 403}, {"Sec-Fetch-Site: none\r\n", 200}};
  for (size_t i = 0; i < BASE_COUNT(cases); i++) {
    char *text = base_printf(FORM, cases[i].headers);
    EXPECT(text, cases[i].status);
    free(text);
  }
}

static void sets_cookies(void **state)
{
  char *all = get("/cookie", "Cookie: x=1; session=abc; y=2\r\n");
  EXPECT_TEXT(all, "\r\n\r\nabc");
  EXPECT_TEXT(all, "Set-Cookie: session=xyz; Path=/; SameSite=Lax; Max-Age=60; HttpOnly\r\n");
  assert_null(strstr(all, "X-Bad"));
  free(all);
}

static void compresses(void **state)
{
  int fd = dial();
  const char *text = "GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n";
  say(fd, text, strlen(text));
  char piece[8192];
  size_t n = 0;
  for (ssize_t k; (k = recv(fd, piece + n, sizeof piece - n - 1, 0)) > 0;) n += (size_t)k;
  piece[n] = '\0';
  close(fd);
  EXPECT_TEXT(piece, "Content-Encoding: gzip\r\n");
  char *body = strstr(piece, "\r\n\r\n") + 4;
  char plain[sizeof big + 10];
  z_stream z = {.next_in = (Bytef *)body, .avail_in = (uInt)(n - (size_t)(body - piece)), .next_out = (Bytef *)plain, .avail_out = sizeof plain};
  assert_int_equal(inflateInit2(&z, 31), Z_OK);
  assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
  assert_int_equal(z.total_out, sizeof big);
  inflateEnd(&z);
  assert_memory_equal(plain, big, sizeof big);
  char *all = get("/big", "Accept-Encoding: gzip;q=0\r\n");
  assert_null(strstr(all, "Content-Encoding"));
  free(all);
}

static void says_not_modified(void **state)
{
  char *all = get("/tagged", NULL);
  EXPECT_TEXT(all, "ETag: W/\"v1\"\r\n");
  EXPECT_TEXT(all, "Cache-Control: private, no-cache\r\n");
  free(all);
  EXPECT_GET("/tagged", "If-None-Match: \"x\", W/\"v1\"\r\n", 304);
  EXPECT_GET("/tagged", "If-None-Match: \"v2\"\r\n", 200);
  EXPECT_GET("/asset", "If-None-Match: \"abc\"\r\n", 304);
  all = get("/asset", "Accept-Encoding: gzip\r\n");
  EXPECT_TEXT(all, "ETag: \"abc-gzip\"\r\n");
  EXPECT_TEXT(all, "Content-Encoding: gzip\r\n");
  free(all);
  EXPECT_GET("/asset", "If-None-Match: \"abc-gzip\"\r\nAccept-Encoding: gzip\r\n", 304);
}

static void reads_multipart(void **state)
{
  const char *body = "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nسلام\r\n--XX\r\n"
    "Content-Disposition: form-data; name=\"f\"; filename=\"C:\\x\\%22y.pdf\"\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n--XX--\r\n";
  char *text = base_printf("POST /form HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=XX\r\nContent-Length: %zu\r\n\r\n%s",
                           strlen(body), body);
  char *all = ask(text);
  EXPECT_TEXT(all, "{\"name\":\"a\",\"value\":\"سلام\"");
  EXPECT_TEXT(all, "\"filename\":\"\\\"y.pdf\",\"type\":\"application/pdf\"");
  free(all);
  free(text);
}

static void suspends_and_resumes(void **state)
{
  int fds[64];
  for (int i = 0; i < 64; i++) {
    char text[100];
    fds[i] = dial();
    say(fds[i], text, (size_t)snprintf(text, sizeof text, "GET /park/%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", i));
  }
  for (int k = 0; k < 6000 && atomic_load(&parked_count) < 64; k++) usleep(10000);
  assert_int_equal(atomic_load(&parked_count), 64);
  usleep(900 * 1000); /* longer than the deadline: a suspended request is not the client's fault */
  for (int i = 48; i < 64; i++) close(fds[i]); /* who asked went away meanwhile */
  for (int i = 63; i >= 0; i--) http_resume(atomic_load(&parked[i]));
  for (int i = 0; i < 48; i++) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, "\r\n\r\nparked %d", i);
    char *all = hear_for(fds[i], 30000);
    EXPECT_TEXT(all, wanted);
    free(all);
    close(fds[i]);
  }
  for (int k = 0; k < 6000 && atomic_load(&parked_over) < 64; k++) usleep(10000);
  assert_int_equal(atomic_load(&parked_over), 64); /* what each had is freed once */
  for (int i = 0; i < 5; i++) EXPECT_GET("/both", NULL, 200);
}

static void reaps_slow_senders(void **state)
{
  struct http_stats before, after;
  http_server_stats(server, &before);
  int slow = dial(), idle = dial(), body = dial();
  say(slow, "GET /hello HTTP/1.1\r\n", 21);
  say(idle, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 32);
  say(body, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", 53);
  int64_t from = clock_mono();
  bool open = true;
  while (open && clock_mono() - from < 60000) {
    open = send(slow, "X", 1, MSG_NOSIGNAL) == 1 && send(body, "x", 1, MSG_NOSIGNAL) == 1;
    usleep(50 * 1000);
  }
  assert_false(open);
  char *all = hear_for(idle, 30000);
  assert_int_equal(status_of(all), 200);
  free(all);
  http_server_stats(server, &after);
  assert_true(after.reaped - before.reaped >= 2);
  close(slow);
  close(idle);
  close(body);
}

static void turns_away_when_busy(void **state)
{
  int fds[8], good = 0, busy = 0;
  const char *text = "GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  for (int i = 0; i < 8; i++) {
    fds[i] = dial();
    say(fds[i], text, strlen(text));
    for (int64_t end = clock_mono() + 60000; !atomic_load(&slow_in) && clock_mono() < end;) usleep(1000); /* the first is being worked on */
  }
  for (int64_t end = clock_mono() + 60000; busy < 5 && clock_mono() < end; usleep(1000)) {
    busy = 0;
    for (int i = 0; i < 8; i++) busy += poll(&(struct pollfd){.fd = fds[i], .events = POLLIN}, 1, 0) > 0;
  }
  busy = 0;
  atomic_store(&slow_on, 1);
  for (int i = 0; i < 8; i++) {
    char *all = hear_for(fds[i], 30000);
    if (status_of(all) == 200) good++;
    if (status_of(all) == 503 && strstr(all, "Retry-After: ")) busy++;
    free(all);
    close(fds[i]);
  }
  assert_int_equal(good, 3); /* one worker, two waiting */
  assert_int_equal(busy, 5);
}

static void counts(void **state)
{
  struct buf b = {0};
  http_server_metrics(server, &b);
  EXPECT_TEXT(buf_str(&b), "chapar_http_requests_total{route=\"/hello\",method=\"GET\",class=\"2xx\"} ");
  EXPECT_TEXT(buf_str(&b), "chapar_http_request_seconds_bucket{route=\"/hello\",method=\"GET\",le=\"+Inf\"} ");
  buf_free(&b);
  struct http_stats st;
  http_server_stats(server, &st);
  assert_true(st.requests > 50 && st.by_class[2] > 10 && st.by_class[4] > 10 && st.refused > 20);
}

/* From that address of this machine; is a request answered, on a connection that stays open? */
static int dial_from(const struct http_server *s, uint32_t address)
{
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(s)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

static bool is_answered(int fd)
{
  char piece[4096];
  say(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 32);
  return recv(fd, piece, sizeof piece, 0) > 0;
}

static void bounds_one_address(void **state)
{
  enum { EACH = 5 };
  struct http_options o = {.listen = "127.0.0.1:0", .threads = 2, .per_address = EACH, .deadline_ms = 60000};
  struct http_server *s;
  struct http_stats st;
  struct err err;
  int fds[EACH], other[EACH];
  assert_int_equal(http_server_new(&o, &s, &err), 0);
  assert_int_equal(http_server_routes(s, rows, 1, NULL, &err), 0);
  assert_int_equal(http_server_start(s, &err), 0);
  for (int i = 0; i < EACH; i++) assert_true(is_answered(fds[i] = dial_from(s, INADDR_LOOPBACK)));
  int more = dial_from(s, INADDR_LOOPBACK);
  assert_false(is_answered(more));
  close(more);
  http_server_stats(s, &st);
  assert_int_equal(st.refused, 1);
  for (int i = 0; i < EACH; i++) assert_true(is_answered(other[i] = dial_from(s, INADDR_LOOPBACK + 1)));
  for (int i = 0; i < EACH; i++) assert_true(is_answered(fds[i])); /* who was there first stays */
  close(fds[0]);
  bool again = false;
  while (!again) { /* until the server has seen that one of them is gone */
    int fd = dial_from(s, INADDR_LOOPBACK);
    again = is_answered(fd);
    close(fd);
  }
  for (int i = 1; i < EACH; i++) close(fds[i]);
  for (int i = 0; i < EACH; i++) close(other[i]);
  http_server_stop(s);
  http_server_free(s);
}

static void refuses_equal_rows(void **state)
{
  struct http_options o = {.listen = "127.0.0.1:0"};
  struct http_server *s;
  struct err err;
  static const struct http_route twins[] = {{"GET", "/a/{x}", HTTP_INLINE, 0, HTTP_SAFE, 0, on_hello, ""}, {"GET", "/a/{y}", HTTP_INLINE, 0, HTTP_SAFE, 0, on_hello, ""}};
  assert_int_equal(http_server_new(&o, &s, &err), 0);
  assert_int_equal(http_server_routes(s, twins, 2, NULL, &err), -1);
  http_server_free(s);
  o.listen = "nonsense";
  assert_int_equal(http_server_new(&o, &s, &err), 0);
  assert_int_equal(http_server_start(s, &err), -1);
  http_server_free(s);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(answers_plainly), cmocka_unit_test(refuses_smuggling), cmocka_unit_test(accepts_what_is_right),
    cmocka_unit_test(takes_heads_in_pieces), cmocka_unit_test(keeps_alive_and_pipelines), cmocka_unit_test(finds_routes),
    cmocka_unit_test(knows_peers_behind_a_proxy), cmocka_unit_test(bounds_bodies), cmocka_unit_test(reads_json), cmocka_unit_test(shows_problems),
    cmocka_unit_test(authorises), cmocka_unit_test(refuses_other_sites), cmocka_unit_test(sets_cookies), cmocka_unit_test(compresses),
    cmocka_unit_test(says_not_modified), cmocka_unit_test(reads_multipart), cmocka_unit_test(suspends_and_resumes),
    cmocka_unit_test(reaps_slow_senders), cmocka_unit_test(turns_away_when_busy), cmocka_unit_test(counts), cmocka_unit_test(bounds_one_address), cmocka_unit_test(refuses_equal_rows),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
