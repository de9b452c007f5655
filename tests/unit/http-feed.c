/* Feeds: many watchers on one server thread and one worker. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/http.h"

enum { MOST = 40 };
static struct http_server *server;
static struct http_feed *feed;

static void on_feed(struct http_req *r) {
  if (http_reply_feed(r, feed, "text/event-stream", "data: begin\n\n", 13)) http_problem_code(r, ERR_UNAVAILABLE, NULL);
}
static void on_plain(struct http_req *r) { http_reply(r, 200, "text/plain", "plain", 5); }

static const struct http_route rows[] = {
  {"GET", "/feed", HTTP_WORKER, 0, HTTP_SAFE, 0, on_feed, "A feed."},
  {"GET", "/plain", HTTP_WORKER, 0, HTTP_SAFE, 0, on_plain, "A plain answer."},
};

static int dial(const char *path) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  char text[128];
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 20}, sizeof(struct timeval));
  int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
  assert_int_equal(write(fd, text, (size_t)n), n);
  return fd;
}

/* Read until the text has come; false when the connection ends before. */
static bool until(int fd, const char *wanted) {
  char got[16384];
  size_t n = 0;
  while (n < sizeof got - 1) {
    ssize_t k = recv(fd, got + n, sizeof got - 1 - n, 0);
    if (k <= 0) return false;
    n += (size_t)k;
    got[n] = 0;
    if (strstr(got, wanted)) return true;
  }
  return false;
}

static void all_hear_the_same(void **state) {
  int fds[MOST];
  for (int i = 0; i < MOST; i++) {
    fds[i] = dial("/feed");
    assert_true(until(fds[i], "data: begin"));
  }
  assert_int_equal(http_feed_watchers(feed), MOST);
  int more = dial("/feed"); /* one too many, and the only worker is still free to say so */
  assert_true(until(more, "503"));
  close(more);
  int plain = dial("/plain");
  assert_true(until(plain, "plain"));
  close(plain);
  http_feed_send(feed, "data: one\n\n", 11);
  for (int i = 0; i < MOST; i++) assert_true(until(fds[i], "data: one"));
  for (int i = 1; i < MOST; i++) close(fds[i]);
  for (int tries = 0; http_feed_watchers(feed) > 1 && tries < 6000; tries++) { /* who has gone is seen by what is sent */
    http_feed_send(feed, ": still here\n\n", 14);
    usleep(10000);
  }
  assert_int_equal(http_feed_watchers(feed), 1);
  http_feed_send(feed, "data: two\n\n", 11);
  assert_true(until(fds[0], "data: two"));
  close(fds[0]);
}

static void who_does_not_listen_is_let_go(void **state) {
  static char much[64 * 1024];
  memset(much, 'x', sizeof much);
  int fd = dial("/feed");
  assert_true(until(fd, "data: begin"));
  for (int i = 0; i < 200; i++) http_feed_send(feed, much, sizeof much);
  char rubbish[65536];
  size_t taken = 0;
  ssize_t n;
  while ((n = recv(fd, rubbish, sizeof rubbish, 0)) > 0) taken += (size_t)n;
  assert_true(taken < 200 * sizeof much);
  close(fd);
}

static void the_stop_ends_them(void **state) {
  int fd = dial("/feed");
  assert_true(until(fd, "data: begin"));
  http_server_stop(server);
  assert_false(until(fd, "data: never"));
  close(fd);
}

static int begin(void **state) {
  struct err err;
  struct http_options o = {.listen = "127.0.0.1:0", .threads = 1, .workers = 1};
  if (language_init(&err)) return -1;
  if (http_server_new(&o, &server, &err) || http_server_routes(server, rows, 2, NULL, &err)) return -1;
  feed = http_feed_new(server, MOST, MOST);
  return http_server_start(server, &err);
}

static int finish(void **state) {
  http_server_free(server);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(all_hear_the_same), cmocka_unit_test(who_does_not_listen_is_let_go), cmocka_unit_test(the_stop_ends_them)};
  return cmocka_run_group_tests(tests, begin, finish);
}
