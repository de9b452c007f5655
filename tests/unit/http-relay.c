/* A gateway's listener and its calls, over real TLS on loopback: certificates made by openssl(1), once as text and once with the key elsewhere. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "http/inner.h"
#include "http/relay.h"

enum { LARGE = 20 * 1000 * 1000 };

static char folder[] = "/tmp/chapar-relay-XXXXXX";
static char *certificates[2], *keys[2]; /* of the server and of the client */
static unsigned char fingerprints[2][32];
static struct http_server *server, *plain;
static atomic_int signatures;

static char *read_text(const char *name)
{
  char path[200];
  struct err err;
  size_t n;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  char *text = file_read(path, 65536, &n, &err);
  assert_non_null(text);
  return text;
}

static void fingerprint(const char *pem, unsigned char out[32])
{
  BIO *b = BIO_new_mem_buf(pem, -1);
  X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
  unsigned n = 32;
  assert_int_equal(X509_digest(x, EVP_sha256(), out, &n), 1);
  X509_free(x);
  BIO_free(b);
}

/* What a key helper does. */
static int sign(void *ctx, const unsigned char *digest, size_t n, unsigned char der[80], size_t *size, struct err *err)
{
  BIO *b = BIO_new_mem_buf(ctx, -1);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
  *size = 80;
  int good = EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_sign(c, der, size, digest, n) == 1;
  EVP_PKEY_CTX_free(c);
  EVP_PKEY_free(key);
  BIO_free(b);
  signatures++;
  return good ? 0 : err_set(err, ERR_INTERNAL, "no signature");
}

static struct http_key key_of(int who, bool elsewhere)
{
  return elsewhere ? (struct http_key){.sign = sign, .ctx = keys[who]} : (struct http_key){.pem = keys[who]};
}

/* Echo: what came, with every header line that begins with X- in its order and case, and whose certificate was shown. */
static int again(void *ctx, const void *p, size_t n) { return http_content_add(ctx, p, n, -1, NULL); }

static void on_any(struct http_req *r)
{
  const struct http_pair *list;
  struct http_pair back[110];
  struct http_content copy = HTTP_NO_CONTENT;
  struct err err;
  unsigned char sha256[32];
  char hex[65] = "none";
  size_t n = http_headers(r, &list), k = 0;
  for (size_t i = 0; i < n; i++)
    if (list[i].name[0] == 'X' || list[i].name[0] == 'x') back[k++] = list[i];
  if (http_client_certificate(r, sha256)) hex_encode(sha256, 32, hex);
  back[k++] = (struct http_pair){"Seen-Method", http_method(r)};
  back[k++] = (struct http_pair){"Seen-Path", http_raw_path(r)};
  back[k++] = (struct http_pair){"Seen-Certificate", hex};
  back[k++] = (struct http_pair){"Date", "Mon, 27 Jul 2009 12:28:53 GMT"};
  back[k++] = (struct http_pair){"Bad", "a\r\nb"};
  assert_int_equal(http_content_each(http_content(r), again, &copy, &err), 0);
  http_reply_relay(r, 207, back, k, &copy);
}

static int authorise(struct http_req *r, const struct http_route *row, void *ctx) { return 0; }

static const struct http_route rows[] = {{.method = "*", .path = "/r1/{rest...}", .where = HTTP_WORKER, .cross = HTTP_MACHINE, .most_body = 100 * 1000 * 1000, .handler = on_any, .help = "", .spill = true}};

static struct http_server *begin(bool tls, bool elsewhere)
{
  struct http_server *s;
  struct err err;
  assert_int_equal(http_server_new(&(struct http_options){.listen = "127.0.0.1:0", .threads = 2, .workers = 8}, &s, &err), 0);
  assert_int_equal(http_server_routes(s, rows, 1, NULL, &err), 0);
  http_server_hooks(s, authorise, NULL, NULL);
  if (tls) assert_int_equal(http_server_tls(s, &(struct http_tls){.certificate = certificates[0], .key = key_of(0, elsewhere), .ask = true}, &err), 0);
  assert_int_equal(http_server_start(s, &err), 0);
  return s;
}

static int start(void **state)
{
  char command[600];
  if (!mkdtemp(folder)) return -1;
  for (int i = 0; i < 2; i++) {
    snprintf(command, sizeof command, "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout %s/key%d -out %s/cert%d -days 2 -subj /CN=gateway%d 2>/dev/null",
             folder, i, folder, i, i);
    if (system(command)) return -1;
    char name[8];
    snprintf(name, sizeof name, "cert%d", i);
    certificates[i] = read_text(name);
    snprintf(name, sizeof name, "key%d", i);
    keys[i] = read_text(name);
    fingerprint(certificates[i], fingerprints[i]);
  }
  server = begin(true, true);
  plain = begin(false, false);
  return 0;
}

static int stop(void **state)
{
  char command[100];
  http_server_free(server);
  http_server_free(plain);
  for (int i = 0; i < 2; i++) free(certificates[i]), free(keys[i]);
  snprintf(command, sizeof command, "rm -rf %s", folder);
  return system(command);
}

static struct http_peer *peer(struct http_server *to, const char *scheme, bool certificate, bool elsewhere, int pin)
{
  struct http_peer *p;
  struct err err;
  char base[64];
  snprintf(base, sizeof base, "%s://127.0.0.1:%d", scheme, http_server_port(to));
  struct http_peer_options o = {.base = base};
  if (certificate) o.certificate = certificates[1], o.key = key_of(1, elsewhere);
  if (pin >= 0) o.pins = &fingerprints[pin], o.pin_count = 1;
  assert_int_equal(http_peer_new(&o, &p, &err), 0);
  return p;
}

static const char *header(const struct http_relay_answer *a, const char *name)
{
  const char *found = NULL;
  int count = 0;
  for (size_t i = 0; i < a->header_count; i++)
    if (!strcmp(a->headers[i].name, name)) found = a->headers[i].value, count++;
  assert_true(count <= 1);
  return found;
}

static void call(struct http_peer *p, const char *method, const struct http_content *content, struct http_relay_answer *a)
{
  static const struct http_pair sent[] = {{"X-Two", "b"}, {"x-One", "a"}, {"X-Empty", ""}, {"X-Two-More", "\xd8\xb3\xd9\x84\xd8\xa7\xd9\x85"}};
  struct err err;
  struct http_relay_call c = {.method = method, .target = "/r1/KHR/GOV/a%2Fb/../c?q=1&q=%20", .headers = sent, .header_count = 4, .content = content};
  c.target = "/r1/KHR/GOV/a%C3%A9/c?q=1&q=%20";
  if (http_peer_call(p, &c, a, &err)) fail_msg("%s: %s", method, err.message);
}

static void carries_headers_and_certificates(void **state)
{
  static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"};
  char hex[65];
  hex_encode(fingerprints[1], 32, hex);
  for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
    struct http_peer *p = peer(server, "https", true, elsewhere, 0);
    int before = signatures;
    for (size_t i = 0; i < BASE_COUNT(methods); i++) {
      struct http_relay_answer a;
      call(p, methods[i], NULL, &a);
      assert_int_equal(a.status, 207);
      assert_int_equal(a.content.size, 0);
      assert_string_equal(header(&a, "Seen-Method"), methods[i]);
      assert_string_equal(header(&a, "Seen-Path"), "/r1/KHR/GOV/a%C3%A9/c");
      assert_string_equal(header(&a, "Seen-Certificate"), hex);
      assert_string_equal(header(&a, "x-One"), "a");
      assert_string_equal(header(&a, "X-Two-More"), "\xd8\xb3\xd9\x84\xd8\xa7\xd9\x85");
      assert_string_equal(header(&a, "Date"), "Mon, 27 Jul 2009 12:28:53 GMT");
      assert_null(header(&a, "Bad"));
      assert_null(header(&a, "X-Content-Type-Options"));
      assert_true(i == 0 ? a.connect_us > 0 : a.connect_us == 0); /* kept */
      size_t two = 99, one = 99;
      for (size_t k = 0; k < a.header_count; k++) {
        if (!strcmp(a.headers[k].name, "X-Two")) two = k;
        if (!strcmp(a.headers[k].name, "x-One")) one = k;
      }
      assert_true(two < one);
      http_relay_answer_free(&a);
    }
    struct http_content some = HTTP_NO_CONTENT; /* nothing of a call is left for the next on its connection */
    assert_int_equal(http_content_add(&some, "some", 4, -1, NULL), 0);
    for (size_t i = 0; i < 2 * BASE_COUNT(methods); i++) {
      struct http_relay_answer a;
      bool full = i % 2 && strcmp(methods[i / 2], "HEAD") != 0 && strcmp(methods[i / 2], "TRACE") != 0;
      call(p, methods[i / 2], full ? &some : NULL, &a);
      assert_int_equal(a.status, 207);
      assert_string_equal(header(&a, "Seen-Method"), methods[i / 2]);
      assert_int_equal(a.content.size, full ? 4 : 0);
      if (full) assert_string_equal(a.content.data, "some");
      http_relay_answer_free(&a);
    }
    http_content_free(&some);
    assert_int_equal(signatures - before, elsewhere ? 2 : 1); /* one handshake: the server's key is always elsewhere */
    http_peer_free(p);
  }
}

static void judges_certificates(void **state)
{
  struct http_relay_answer a;
  struct err err;
  struct http_relay_call c = {.method = "GET", .target = "/r1/x"};
  struct http_peer *p = peer(server, "https", true, false, 1); /* another's fingerprint */
  assert_int_equal(http_peer_call(p, &c, &a, &err), -1);
  assert_int_equal(err.code, ERR_UNAVAILABLE);
  assert_non_null(strstr(err.message, "certificate that the directory does not know"));
  http_peer_free(p);
  p = peer(server, "https", true, false, -1); /* authorities: nobody signed it */
  assert_int_equal(http_peer_call(p, &c, &a, &err), -1);
  assert_int_equal(err.code, ERR_UNAVAILABLE);
  http_peer_free(p);
  p = peer(server, "https", false, false, 0); /* none shown: the handler sees that */
  assert_int_equal(http_peer_call(p, &c, &a, &err), 0);
  assert_string_equal(header(&a, "Seen-Certificate"), "none");
  http_relay_answer_free(&a);
  http_peer_free(p);
}

static int same_byte(void *ctx, const void *p, size_t n)
{
  int64_t *at = ctx;
  for (size_t i = 0; i < n; i++, (*at)++)
    if (((const unsigned char *)p)[i] != (unsigned char)(*at % 251)) return -1;
  return 0;
}

static void carries_contents_of_any_size(void **state)
{
  static const int sizes[] = {1, 1000, HTTP_SPILL - 1, HTTP_SPILL, HTTP_SPILL + 1, LARGE};
  struct http_peer *peers[] = {peer(server, "https", true, true, 0), peer(plain, "http", false, false, -1)};
  struct err err;
  for (size_t i = 0; i < BASE_COUNT(sizes); i++) {
    struct http_content content = HTTP_NO_CONTENT;
    char piece[7777];
    for (int64_t at = 0; at < sizes[i];) {
      size_t n = sizes[i] - at < (int)sizeof piece ? (size_t)(sizes[i] - at) : sizeof piece;
      for (size_t k = 0; k < n; k++) piece[k] = (char)((at + (int64_t)k) % 251);
      assert_int_equal(http_content_add(&content, piece, n, -1, &err), 0);
      at += (int64_t)n;
    }
    assert_int_equal(content.size, sizes[i]);
    assert_true((content.fd >= 0) == (sizes[i] > HTTP_SPILL));
    for (size_t k = 0; k < BASE_COUNT(peers); k++) {
      struct http_relay_answer a;
      int64_t at = 0;
      call(peers[k], "POST", &content, &a);
      assert_int_equal(a.content.size, sizes[i]);
      assert_int_equal(http_content_each(&a.content, same_byte, &at, &err), 0);
      assert_int_equal(at, sizes[i]);
      http_relay_answer_free(&a);
    }
    http_content_free(&content);
  }
  http_peer_free(peers[0]);
  http_peer_free(peers[1]);
}

/* However much bodies may take together: others write to the same disk, and what was promised and is not written yet is not free. */
static void leaves_room_on_the_disk(void **state)
{
  struct http_content one = HTTP_NO_CONTENT, other = HTTP_NO_CONTENT;
  struct statvfs v;
  struct err err;
  assert_int_equal(statvfs(spool_folder(), &v), 0);
  int64_t there = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
  http_spool_limit(INT64_MAX / 2);
  assert_int_equal(spool_take(&one, there, NULL, &err), -1);
  assert_int_equal(err.code, ERR_UNAVAILABLE);
  assert_int_equal(spool_take(&one, there / 2, NULL, &err), 0);
  assert_int_equal(spool_take(&other, there / 4 * 3, NULL, &err), -1);
  http_content_free(&one);
  assert_int_equal(spool_take(&other, there / 4 * 3, NULL, &err), 0);
  http_content_free(&other);
  http_spool_limit(0);
}

static void bounds_contents(void **state)
{
  struct http_peer *p = peer(plain, "http", false, false, -1);
  struct http_content content = HTTP_NO_CONTENT;
  struct http_relay_answer a;
  struct err err;
  char piece[1000] = "";
  assert_int_equal(http_content_add(&content, piece, sizeof piece, 999, &err), -1);
  assert_int_equal(err.code, ERR_TOO_LARGE);
  assert_int_equal(http_content_add(&content, piece, sizeof piece, 1000, &err), 0);
  struct http_relay_call c = {.method = "POST", .target = "/r1/x", .content = &content, .most = 999};
  assert_int_equal(http_peer_call(p, &c, &a, &err), -1);
  assert_int_equal(err.code, ERR_TOO_LARGE);
  c.most = 1000;
  assert_int_equal(http_peer_call(p, &c, &a, &err), 0);
  http_relay_answer_free(&a);
  c.target = "r1";
  assert_int_equal(http_peer_call(p, &c, &a, &err), -1);
  assert_int_equal(err.code, ERR_INVALID);
  static const struct http_pair bad[] = {{"X-A", "a\nb"}};
  c = (struct http_relay_call){.method = "GET", .target = "/r1/x", .headers = bad, .header_count = 1};
  assert_int_equal(http_peer_call(p, &c, &a, &err), -1);
  http_content_free(&content);
  http_peer_free(p);
}

static void says_when_nothing_was_sent(void **state)
{
  struct http_peer *p;
  struct http_relay_answer a;
  struct err err;
  assert_int_equal(http_peer_new(&(struct http_peer_options){.base = "ftp://x"}, &p, &err), -1);
  assert_int_equal(http_peer_new(&(struct http_peer_options){.base = "http://x/y"}, &p, &err), -1);
  assert_int_equal(http_peer_new(&(struct http_peer_options){.base = "http://127.0.0.1:1"}, &p, &err), 0);
  assert_int_equal(http_peer_call(p, &(struct http_relay_call){.method = "GET", .target = "/"}, &a, &err), -1);
  assert_int_equal(err.code, ERR_UNAVAILABLE);
  http_peer_free(p);
  struct http_server *s = begin(false, false); /* a kept connection whose server went away */
  p = peer(s, "http", false, false, -1);
  call(p, "GET", NULL, &a);
  http_relay_answer_free(&a);
  http_server_free(s);
  assert_int_equal(http_peer_call(p, &(struct http_relay_call){.method = "GET", .target = "/r1/x"}, &a, &err), -1);
  assert_int_equal(err.code, ERR_UNAVAILABLE);
  http_peer_free(p);
}

static void renews_its_certificate(void **state)
{
  struct http_relay_answer a;
  struct err err;
  struct http_server *s = begin(true, false);
  struct http_peer *p = peer(s, "https", true, false, 0), *q = peer(s, "https", true, false, 1);
  call(p, "GET", NULL, &a);
  http_relay_answer_free(&a);
  assert_int_equal(http_server_tls_renew(s, &(struct http_tls){.certificate = certificates[1], .key = key_of(1, false)}, &err), 0);
  call(p, "GET", NULL, &a); /* its connection is kept */
  http_relay_answer_free(&a);
  call(q, "GET", NULL, &a);
  http_relay_answer_free(&a);
  assert_int_equal(http_server_tls_renew(s, &(struct http_tls){.certificate = "nonsense", .key = key_of(1, false)}, &err), -1);
  http_peer_free(p);
  http_peer_free(q);
  http_server_free(s);
}

static int connected(int port)
{
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
  return fd;
}

/* Requests that come in one piece are answered each, though what came is read ahead of the record that is asked for. */
static void answers_what_came_together(void **state)
{
  enum { ASKED = 3 };
  static const char asks[] = "POST /r1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nsome";
  int fd = connected(http_server_port(server)), seen = 0;
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL *ssl = SSL_new(ctx);
  BIO *out = BIO_push(BIO_new(BIO_f_buffer()), BIO_new_socket(fd, BIO_NOCLOSE));
  struct buf got;
  buf_init(&got, 64 * 1024);
  SSL_set_bio(ssl, BIO_new_socket(fd, BIO_NOCLOSE), out);
  assert_int_equal(SSL_connect(ssl), 1);
  for (int i = 0; i < ASKED; i++) assert_int_equal(SSL_write(ssl, asks, sizeof asks - 1), sizeof asks - 1);
  assert_int_equal(BIO_flush(out), 1);
  while (seen < ASKED) {
    char in[4096];
    int n = SSL_read(ssl, in, sizeof in);
    assert_true(n > 0);
    buf_add(&got, in, (size_t)n);
    seen = 0;
    for (const char *s = buf_str(&got); (s = strstr(s, "\r\n\r\nsome")) != NULL; s++) seen++;
  }
  buf_free(&got);
  SSL_free(ssl);
  SSL_CTX_free(ctx);
  close(fd);
}

/* Between a peer and the server: what the server says goes on byte by byte from when it is told. */
struct between { int fd; atomic_bool slow; pthread_t thread; };

static void *pass_on(void *arg)
{
  struct between *b = arg;
  struct pollfd ends[2] = {{.fd = accept(b->fd, NULL, NULL), .events = POLLIN}, {.fd = connected(http_server_port(server)), .events = POLLIN}};
  char in[4096];
  for (bool more = true; more;) {
    poll(ends, 2, -1);
    for (int i = 0; i < 2 && more; i++) {
      ssize_t n = ends[i].revents ? recv(ends[i].fd, in, sizeof in, 0) : 0;
      if (ends[i].revents && n <= 0) more = false;
      if (n <= 0) continue;
      if (i == 0 || !b->slow) {
        send(ends[!i].fd, in, (size_t)n, MSG_NOSIGNAL);
        continue;
      }
      for (ssize_t k = 0; k < n && more; k++) {
        usleep(5000);
        more = send(ends[0].fd, in + k, 1, MSG_NOSIGNAL) == 1;
      }
    }
  }
  close(ends[0].fd);
  close(ends[1].fd);
  return NULL;
}

/* A record that comes byte by byte is not waited for beyond the call's own time. */
static void ends_in_time_though_bytes_come(void **state)
{
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  struct between b = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  struct http_peer *p;
  struct http_relay_answer a;
  struct err err;
  char base[64];
  assert_int_equal(bind(b.fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(b.fd, 1), 0);
  assert_int_equal(getsockname(b.fd, (struct sockaddr *)&at, &size), 0);
  assert_int_equal(pthread_create(&b.thread, NULL, pass_on, &b), 0);
  snprintf(base, sizeof base, "https://127.0.0.1:%d", ntohs(at.sin_port));
  assert_int_equal(http_peer_new(&(struct http_peer_options){.base = base, .pins = &fingerprints[0], .pin_count = 1}, &p, &err), 0);
  call(p, "GET", NULL, &a);
  http_relay_answer_free(&a);
  b.slow = true;
  assert_int_equal(http_peer_call(p, &(struct http_relay_call){.method = "GET", .target = "/r1/x", .timeout_ms = 300, .idle_ms = 60000}, &a, &err), -1);
  assert_int_equal(err.code, ERR_OUTCOME_UNKNOWN);
  if (!strstr(err.message, "timed out")) fail_msg("%s", err.message);
  http_peer_free(p);
  pthread_join(b.thread, NULL);
  close(b.fd);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(carries_headers_and_certificates), cmocka_unit_test(judges_certificates), cmocka_unit_test(carries_contents_of_any_size),
    cmocka_unit_test(bounds_contents), cmocka_unit_test(leaves_room_on_the_disk), cmocka_unit_test(says_when_nothing_was_sent), cmocka_unit_test(renews_its_certificate),
    cmocka_unit_test(answers_what_came_together), cmocka_unit_test(ends_in_time_though_bytes_come),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
