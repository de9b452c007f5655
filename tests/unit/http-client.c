#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/http.h"

static struct http_server *server;
static struct http_client *client;

static void on_echo(struct http_req *r)
{
  size_t n;
  const void *body = http_body(r, &n);
  const char *mark = http_header(r, "X-Mark");
  if (mark) http_reply_header(r, "X-Mark", mark);
  http_reply(r, 201, "text/x-echo", body, n);
}

static void on_away(struct http_req *r) { http_redirect(r, 302, "/large"); }

static void on_large(struct http_req *r)
{
  static char large[50000];
  http_reply(r, 200, "application/octet-stream", large, sizeof large);
}

static void on_slow(struct http_req *r)
{
  usleep(700 * 1000);
  http_reply(r, 200, "text/plain", "", 0);
}

static const struct http_route rows[] = {
  {"PUT", "/echo", HTTP_INLINE, 0, HTTP_MACHINE, 1000, on_echo, ""}, {"POST", "/echo", HTTP_INLINE, 0, HTTP_MACHINE, 1000, on_echo, ""},
  {"GET", "/away", HTTP_INLINE, 0, HTTP_SAFE, 0, on_away, ""}, {"GET", "/large", HTTP_INLINE, 0, HTTP_SAFE, 0, on_large, ""},
  {"GET", "/slow", HTTP_WORKER, 0, HTTP_SAFE, 0, on_slow, ""},
};

static int start(void **state)
{
  struct err err = {0};
  struct http_options o = {.listen = "127.0.0.1:0", .threads = 1};
  if (language_init(&err) || http_server_new(&o, &server, &err) || http_server_routes(server, rows, BASE_COUNT(rows), NULL, &err)
      || http_server_start(server, &err))
    fail_msg("%s", err.message);
  client = http_client_new();
  return 0;
}

static int stop(void **state)
{
  http_client_free(client);
  http_server_free(server);
  return 0;
}

static int call(const char *method, const char *path, const char *body, struct http_answer *out, struct err *err)
{
  char url[100];
  const char *headers[] = {"X-Mark: 1", "Content-Type: text/plain", NULL};
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", http_server_port(server), path);
  struct http_call c = {.method = method, .url = url, .headers = headers, .body = body, .body_size = body ? strlen(body) : 0, .timeout_ms = 400, .most = 20000};
  return http_client_call(client, &c, out, err);
}

static void calls(void **state)
{
  struct http_answer a;
  struct err err;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(call("PUT", "/echo", "hello", &a, &err), 0);
    assert_int_equal(a.status, 201);
    assert_string_equal(a.body, "hello");
    assert_string_equal(a.media_type, "text/x-echo");
    http_answer_free(&a);
  }
  assert_int_equal(call("POST", "/echo", NULL, &a, &err), 0);
  assert_int_equal(a.size, 0);
  http_answer_free(&a);
  assert_int_equal(call("GET", "/away", NULL, &a, &err), 0); /* not followed */
  assert_int_equal(a.status, 302);
  http_answer_free(&a);
}

static void fails_clearly(void **state)
{
  struct http_answer a;
  struct err err;
  assert_int_equal(call("GET", "/large", NULL, &a, &err), -1);
  assert_int_equal(err.code, ERR_LIMIT);
  assert_int_equal(call("GET", "/slow", NULL, &a, &err), -1);
  assert_int_equal(err.code, ERR_OUTCOME_UNKNOWN);
  struct http_call c = {.url = "file:///etc/passwd"};
  assert_int_equal(http_client_call(client, &c, &a, &err), -1);
  assert_int_equal(err.code, ERR_INVALID);
  c.url = "http://127.0.0.1:1/";
  assert_int_equal(http_client_call(client, &c, &a, &err), -1);
  assert_int_equal(err.code, ERR_UNAVAILABLE);
  const char *headers[] = {"X: a\r\nY: b", NULL};
  c.headers = headers;
  assert_int_equal(http_client_call(client, &c, &a, &err), -1);
  assert_int_equal(err.code, ERR_INVALID);
}

/* A mail server of a few lines, that keeps what it hears. */
struct post { int fd, port; struct buf heard; };

static void *post_office(void *cls)
{
  struct post *p = cls;
  int fd = accept(p->fd, NULL, NULL);
  FILE *in = fdopen(fd, "r");
  char *line = NULL;
  size_t room = 0;
  bool data = false;
  dprintf(fd, "220 here\r\n");
  while (getline(&line, &room, in) > 0) {
    buf_adds(&p->heard, line);
    if (data && strcmp(line, ".\r\n")) continue;
    if (!strncmp(line, "QUIT", 4)) break;
    data = !strncmp(line, "DATA", 4);
    dprintf(fd, data ? "354 go\r\n" : "250 ok\r\n");
  }
  dprintf(fd, "221 bye\r\n");
  free(line);
  fclose(in);
  return NULL;
}

static char *decoded(const char *heard)
{
  const char *body = strstr(heard, "\r\n\r\n") + 4, *end = strstr(body, "\r\n.\r\n");
  struct buf b = {0};
  for (const char *p = body; p < end; p++)
    if (*p != '\r' && *p != '\n') buf_addc(&b, *p);
  char *out = base_alloc(b.len + 1);
  size_t n;
  assert_int_equal(base64_decode(b.data, b.len, out, b.len, &n), 0);
  buf_free(&b);
  return out;
}

static void sends_mail(void **state)
{
  struct post p = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof a;
  assert_int_equal(bind(p.fd, (struct sockaddr *)&a, sizeof a), 0);
  listen(p.fd, 1);
  getsockname(p.fd, (struct sockaddr *)&a, &size);
  pthread_t t;
  pthread_create(&t, NULL, post_office, &p);
  char url[64];
  struct err err = {0};
  snprintf(url, sizeof url, "smtp://127.0.0.1:%d", ntohs(a.sin_port));
  const char *text = ".\r\n.\nسلام، پروندهٔ شما آماده است.\n.\n";
  if (http_client_mail(client, url, "chapar@khorasan.example", "ali@example.org", "پاسخ درخواست جواز تأسیس کسب‌وکار فناوری اطلاعات شما آماده است", text, &err))
    fail_msg("%s", err.message);
  http_client_free(client); /* says QUIT */
  client = http_client_new();
  pthread_join(t, NULL);
  close(p.fd);
  const char *heard = buf_str(&p.heard);
  assert_non_null(strstr(heard, "MAIL FROM:<chapar@khorasan.example>"));
  assert_non_null(strstr(heard, "RCPT TO:<ali@example.org>"));
  assert_non_null(strstr(heard, "\r\nSubject: =?UTF-8?B?"));
  assert_non_null(strstr(heard, "?=\r\n =?UTF-8?B?"));
  for (const char *line = heard; line; line = strstr(line + 1, "\r\n")) {
    const char *end = strstr(line + 1, "\r\n");
    assert_true(!end || end - line <= 100);
  }
  char *back = decoded(heard);
  assert_string_equal(back, text);
  free(back);
  buf_free(&p.heard);
  static const char *const bad[] = {"", "a", "a@", "@b", "a b@c", "a@b>", "a@b\r\nRCPT TO:<c@d>", "a@b,c@d", "a@b@c"};
  for (size_t i = 0; i < BASE_COUNT(bad); i++) {
    assert_int_equal(http_client_mail(client, url, "a@b", bad[i], "s", "t", &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
  }
  assert_int_equal(http_client_mail(client, url, "a@b", "c@d", "s\r\nBcc: e@f", "t", &err), -1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(calls), cmocka_unit_test(fails_clearly), cmocka_unit_test(sends_mail)};
  return cmocka_run_group_tests(tests, start, stop);
}
