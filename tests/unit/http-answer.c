/* What a peer answers: read in pieces of every size; and calls of a peer that does what peers do: chunks, interim answers, an answer before all was sent,
 * a connection that ends, silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "http/answer.h"

static int keep(void *ctx, const void *p, size_t n, struct err *err)
{
  buf_add(ctx, p, n);
  return 0;
}

struct read { int rc; size_t used; struct answer a; struct buf content; };

static void take(struct read *r, const char *text, size_t step, bool head)
{
  struct err err = {0};
  size_t n = strlen(text);
  *r = (struct read){.rc = 0};
  answer_begin(&r->a, head, keep, &r->content);
  for (size_t at = 0; at < n && r->rc == 0 && r->a.state != ANSWER_DONE; at += step) {
    ssize_t used = answer_take(&r->a, text + at, n - at < step ? n - at : step, &err);
    if (used < 0) r->rc = -1;
    else r->used = at + (size_t)used;
  }
  if (r->rc == 0) r->rc = answer_end(&r->a, &err);
  if (r->rc) assert_int_equal(err.code, ERR_OUTCOME_UNKNOWN);
}

static void clear(struct read *r)
{
  answer_free(&r->a);
  buf_free(&r->content);
}

struct whole { const char *text; bool head; int status; size_t pairs; const char *content; bool close; const char *after; };

static void reads_answers_in_pieces_of_every_size(void **state)
{
  static const struct whole all[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: b\r\n\r\nsome", false, 200, 2, "some", false, ""},
    {"HTTP/1.1 200\nContent-Length: 0\n\n", false, 200, 1, "", false, ""},
    {"HTTP/1.1 204 None\r\n\r\nmore", false, 204, 0, "", false, "more"},
    {"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", false, 304, 1, "", false, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true, 200, 1, "", false, ""},
    {"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 1\r\n\r\nx", false, 201, 1, "x", false, ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n4;a=b\r\nsome\r\nA\r\n0123456789\r\n0\r\nX-T: ignored\r\n\r\nnext", false, 200, 1, "some0123456789", false, "next"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nx\r\n0\r\n\r\n", false, 200, 2, "x", true, ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", false, 200, 2, "ab", false, ""},
    {"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nab", false, 200, 2, "ab", true, ""},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab", false, 200, 3, "ab", true, ""},
    {"HTTP/1.1 103 Early\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", false, 200, 1, "ab", false, ""},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0 ;a\r\n\r\n", false, 200, 2, "x", true, ""},
    {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", false, 200, 1, "ab", true, ""},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab", false, 200, 2, "ab", false, ""},
    {"HTTP/1.1 500 Bad\r\nX-Empty:\r\n\r\nuntil it ends", false, 500, 1, "until it ends", true, ""},
  };
  for (size_t i = 0; i < BASE_COUNT(all); i++)
    for (size_t step = 1; step <= strlen(all[i].text); step++) {
      struct read r;
      take(&r, all[i].text, step, all[i].head);
      assert_int_equal(r.rc, 0);
      assert_int_equal(r.a.status, all[i].status);
      assert_int_equal(r.a.count, all[i].pairs);
      assert_string_equal(buf_str(&r.content), all[i].content);
      assert_int_equal(r.a.close, all[i].close);
      assert_string_equal(all[i].text + r.used, all[i].after);
      clear(&r);
    }
}

static void refuses_what_is_no_answer(void **state)
{
  static const char *const all[] = {
    "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsom", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1 600 OK\r\n\r\n",
    "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 101 Other\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nX Y: a\r\n\r\n", "HTTP/1.1 200 OK\r\n: a\r\n\r\n",
    "HTTP/1.1 200 OK\r\nA: b\r\n folded: c\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
    "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ng\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000000000000\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 1\r\nx\r\n0\r\n\r\n",
  };
  for (size_t i = 0; i < BASE_COUNT(all); i++)
    for (size_t step = 1; step <= strlen(all[i]) + 1; step++) {
      struct read r;
      take(&r, all[i], step, false);
      if (r.rc == 0) fail_msg("was taken: %s", all[i]);
      clear(&r);
    }
}

static void bounds_the_head(void **state)
{
  static const char *const pieces[] = {"X-A: b\r\n", "HTTP/1.1 102 Wait\r\n\r\n", "x"};
  static const char *const begins[] = {"HTTP/1.1 200 OK\r\n", "", "HTTP/1.1 200 OK\r\nX-Long: "};
  for (size_t i = 0; i < BASE_COUNT(pieces); i++) {
    struct buf text = {0};
    struct read r;
    buf_adds(&text, begins[i]);
    for (int k = 0; k < 70000; k++) buf_adds(&text, pieces[i]);
    take(&r, buf_str(&text), 5000, false);
    assert_int_equal(r.rc, -1);
    assert_true(r.used < 70000);
    clear(&r);
    buf_free(&text);
  }
}

/* ---- a peer of our own: for each connection what it does ---- */

struct act { size_t least; /* bytes of the request that it waits for */ const char *says; bool ends; const char *then; bool endless; /* goes on with small chunks that say much */ };
struct theatre { int fd, port; pthread_t thread; const struct act *acts; size_t count; size_t heard; char got[4096]; };

static void *perform(void *arg)
{
  struct theatre *t = arg;
  int held[8], n = 0;
  for (size_t i = 0; i < t->count; i++) {
    const struct act *a = &t->acts[i];
    int c = accept(t->fd, NULL, NULL);
    if (c < 0) break;
    size_t have = 0;
    char in[4096];
    ssize_t got;
    while (have < a->least && (got = recv(c, in, sizeof in, 0)) > 0) {
      if (have < sizeof t->got - 1) memcpy(t->got + have, in, (size_t)got < sizeof t->got - 1 - have ? (size_t)got : sizeof t->got - 1 - have);
      have += (size_t)got;
    }
    t->heard = have;
    if (a->says) send(c, a->says, strlen(a->says), MSG_NOSIGNAL);
    if (a->then) { /* asked once more over this connection */
      while ((got = recv(c, in, sizeof in, 0)) > 0 && !memmem(in, (size_t)got, "\r\n\r\n", 4)) continue;
      send(c, a->then, strlen(a->then), MSG_NOSIGNAL);
    }
    while (a->endless) {
      memset(in, 'a', sizeof in);
      memcpy(in, "1;", 2);
      memcpy(in + sizeof in - 5, "\r\nx\r\n", 5);
      if (send(c, in, sizeof in, MSG_NOSIGNAL) < 0) break;
    }
    if (a->ends) close(c);
    else held[n++] = c;
  }
  while (n) {
    char in[4096];
    n--;
    while (recv(held[n], in, sizeof in, 0) > 0) continue; /* until the other side ends it */
    close(held[n]);
  }
  return NULL;
}

static struct http_peer *raise_curtain(struct theatre *t, const struct act *acts, size_t count)
{
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  char base[64];
  struct http_peer *p;
  struct err err;
  *t = (struct theatre){.acts = acts, .count = count, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  assert_int_equal(bind(t->fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(t->fd, 8), 0);
  assert_int_equal(getsockname(t->fd, (struct sockaddr *)&at, &size), 0);
  assert_int_equal(pthread_create(&t->thread, NULL, perform, t), 0);
  snprintf(base, sizeof base, "http://127.0.0.1:%d", ntohs(at.sin_port));
  assert_int_equal(http_peer_new(&(struct http_peer_options){.base = base}, &p, &err), 0);
  return p;
}

static void drop_curtain(struct theatre *t, struct http_peer *p)
{
  http_peer_free(p);
  shutdown(t->fd, SHUT_RDWR); /* nobody comes any more */
  pthread_join(t->thread, NULL);
  close(t->fd);
}

static int ask_for(struct http_peer *p, const char *method, const struct http_content *content, int timeout_ms, int idle_ms, struct http_relay_answer *a, struct err *err)
{
  static const struct http_pair headers[] = {{"X-One", "1"}, {"Connection", "upgrade"}, {"Content-Length", "77"}};
  return http_peer_call(p, &(struct http_relay_call){.method = method, .target = "/a?b", .headers = headers, .header_count = 3, .content = content, .timeout_ms = timeout_ms, .idle_ms = idle_ms}, a, err);
}

static int ask(struct http_peer *p, const char *method, const struct http_content *content, int timeout_ms, struct http_relay_answer *a, struct err *err)
{
  return ask_for(p, method, content, timeout_ms, 0, a, err);
}

static void asks_and_hears(void **state)
{
  static const struct act acts[] = {{.least = 1, .says = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-B: 2\r\n\r\n3\r\nabc\r\n0\r\n\r\n", .then = "HTTP/1.1 404 No\r\n\r\nwhole", .ends = true}};
  struct theatre t;
  struct http_peer *p = raise_curtain(&t, acts, 1);
  struct http_relay_answer a;
  struct err err;
  assert_int_equal(ask(p, "GET", NULL, 0, &a, &err), 0);
  assert_int_equal(a.status, 200);
  assert_string_equal(a.content.data, "abc");
  assert_int_equal(a.header_count, 1);
  assert_string_equal(a.headers[0].name, "X-B");
  assert_true(a.connect_us > 0);
  http_relay_answer_free(&a);
  assert_int_equal(ask(p, "GET", NULL, 0, &a, &err), 0); /* over the same connection, to its end */
  assert_int_equal(a.status, 404);
  assert_string_equal(a.content.data, "whole");
  assert_true(a.connect_us == 0);
  http_relay_answer_free(&a);
  drop_curtain(&t, p);
  assert_true(base_starts(t.got, "GET /a?b HTTP/1.1\r\nX-One: 1\r\nHost: 127.0.0.1:"));
  assert_null(strstr(t.got, "upgrade"));
  assert_null(strstr(t.got, "Content-Length"));
}

static void takes_an_answer_before_all_was_sent(void **state)
{
  static const struct act acts[] = {{.least = 1000, .says = "HTTP/1.1 413 Much\r\nContent-Length: 2\r\n\r\nno"}};
  struct theatre t;
  struct http_peer *p = raise_curtain(&t, acts, 1);
  struct http_content much = HTTP_NO_CONTENT;
  struct http_relay_answer a;
  struct err err;
  char *piece = base_alloc(1 << 20);
  for (int i = 0; i < 64; i++) assert_int_equal(http_content_add(&much, piece, 1 << 20, -1, &err), 0);
  free(piece);
  assert_true(much.fd >= 0);
  assert_int_equal(ask(p, "POST", &much, 0, &a, &err), 0);
  assert_int_equal(a.status, 413);
  assert_string_equal(a.content.data, "no");
  http_relay_answer_free(&a);
  http_content_free(&much);
  drop_curtain(&t, p);
}

static void tells_what_is_not_known(void **state)
{
  static const struct act ends[] = {{.least = 1, .ends = true}}, half[] = {{.least = 1, .says = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", .ends = true}},
                          silent[] = {{.least = 1}},
                          endless[] = {{.least = 1, .says = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .endless = true, .ends = true}}, nonsense[] = {{.least = 1, .says = "SSH-2.0-x\r\n\r\n"}};
  static const struct { const struct act *acts; const char *why; } all[] = {{ends, "broken off"}, {half, "ended before"}, {silent, "timed out"}, {endless, "timed out"}, {nonsense, "no HTTP"}};
  for (size_t i = 0; i < BASE_COUNT(all); i++) {
    struct theatre t;
    struct http_peer *p = raise_curtain(&t, all[i].acts, 1);
    struct http_relay_answer a;
    struct err err;
    assert_int_equal(ask(p, "POST", NULL, all[i].acts == silent || all[i].acts == endless ? 100 : 0, &a, &err), -1);
    assert_int_equal(err.code, ERR_OUTCOME_UNKNOWN);
    if (!strstr(err.message, all[i].why)) fail_msg("%s", err.message);
    drop_curtain(&t, p);
  }
}

/* An answer for which there is no room says nothing of what was asked: that has been done, perhaps. */
static void has_no_room_for_the_answer(void **state)
{
  enum { SIZE = 2 * HTTP_SPILL };
  struct buf says;
  buf_init(&says, SIZE + 100);
  buf_addf(&says, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE);
  for (int i = 0; i < SIZE; i++) buf_addc(&says, 'x');
  const struct act acts[] = {{.least = 1, .says = buf_str(&says), .ends = true}};
  char *before = base_strdup(getenv("TMPDIR"));
  struct theatre t;
  struct http_relay_answer a;
  struct err err;
  setenv("TMPDIR", "/nonexistent", 1);
  struct http_peer *p = raise_curtain(&t, acts, 1);
  assert_int_equal(ask(p, "POST", NULL, 0, &a, &err), -1);
  assert_int_equal(err.code, ERR_OUTCOME_UNKNOWN);
  if (!strstr(err.message, "no room for a body")) fail_msg("%s", err.message);
  drop_curtain(&t, p);
  if (before) setenv("TMPDIR", before, 1);
  else unsetenv("TMPDIR");
  free(before);
  buf_free(&says);
}

/* A kept connection that ends when it is asked again: what may be repeated goes over another, what may not is not sent twice. */
static void repeats_what_may_be_repeated(void **state)
{
  for (int post = 0; post < 2; post++) {
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1";
    const struct act acts[] = {{.least = 1, .says = ok, .then = "", .ends = true}, {.least = 1, .says = ok}};
    struct theatre t;
    struct http_peer *p = raise_curtain(&t, acts, post ? 1 : 2);
    struct http_relay_answer a;
    struct err err;
    assert_int_equal(ask(p, "GET", NULL, 0, &a, &err), 0);
    http_relay_answer_free(&a);
    int rc = ask(p, post ? "POST" : "PUT", NULL, 0, &a, &err);
    assert_int_equal(rc, post ? -1 : 0);
    if (post) assert_int_equal(err.code, ERR_OUTCOME_UNKNOWN);
    http_relay_answer_free(&a);
    drop_curtain(&t, p);
  }
}

/* Silence is no end: what was sent over a kept connection is not sent over another because nothing is heard. */
static void does_not_repeat_into_silence(void **state)
{
  static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1";
  static const struct act acts[] = {{.least = 1, .says = ok}, {.least = 1, .says = ok}};
  struct theatre t;
  struct http_peer *p = raise_curtain(&t, acts, 2);
  struct http_relay_answer a;
  struct err err;
  assert_int_equal(ask(p, "GET", NULL, 0, &a, &err), 0);
  http_relay_answer_free(&a);
  assert_int_equal(ask_for(p, "GET", NULL, 60000, 50, &a, &err), -1);
  assert_int_equal(err.code, ERR_OUTCOME_UNKNOWN);
  if (!strstr(err.message, "timed out")) fail_msg("%s", err.message);
  drop_curtain(&t, p);
}

static void refuses_addresses_that_are_too_long(void **state)
{
  char base[400] = "http://";
  struct http_peer *p;
  struct err err;
  memset(base + strlen(base), 'a', 300);
  assert_int_equal(http_peer_new(&(struct http_peer_options){.base = base}, &p, &err), -1);
  assert_int_equal(err.code, ERR_INVALID);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(reads_answers_in_pieces_of_every_size), cmocka_unit_test(refuses_what_is_no_answer), cmocka_unit_test(bounds_the_head), cmocka_unit_test(asks_and_hears),
    cmocka_unit_test(takes_an_answer_before_all_was_sent), cmocka_unit_test(tells_what_is_not_known), cmocka_unit_test(has_no_room_for_the_answer), cmocka_unit_test(repeats_what_may_be_repeated),
    cmocka_unit_test(does_not_repeat_into_silence), cmocka_unit_test(refuses_addresses_that_are_too_long),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
