/*
 * TCP and HTTP(S) checks against real listeners of every kind: the state and the cause that each must give. Echo and connections over IPv6 too.
 * All in a network of this program's own; 10.9.0.0/24 swallows what is sent there.
 */
#include "network-kit.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdatomic.h>

enum kind { OPEN, CLOSED, STUCK, SLOW, GOOD, ERROR, REDIRECT, ENDLESS, HEADS, GARBAGE, HANGS_UP, GOOD6, TLS_GOOD, TLS_OLD, TLS_EARLY, TLS_STUCK, KINDS };

struct server { int fd, port; pthread_t thread; SSL_CTX *tls; int held[64], holds; };
static struct server servers[KINDS];
static atomic_bool stopping;

/* ---- certificates ----------------------------------------------------------------------------------------------------- */

static SSL_CTX *tls_of(const char *name, long from, long until) {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *x = X509_new();
  char alternative[100];
  snprintf(alternative, sizeof alternative, "DNS:%s", name);
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), from);
  X509_gmtime_adj(X509_getm_notAfter(x), until);
  X509_set_pubkey(x, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(x));
  X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative);
  X509_add_ext(x, e, -1);
  X509_EXTENSION_free(e);
  assert_true(X509_sign(x, key, EVP_sha256()) > 0);
  SSL_CTX *c = SSL_CTX_new(TLS_server_method());
  assert_true(SSL_CTX_use_certificate(c, x) == 1 && SSL_CTX_use_PrivateKey(c, key) == 1);
  X509_free(x);
  EVP_PKEY_free(key);
  return c;
}

/* ---- servers ------------------------------------------------------------------------------------------------------------ */

static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

static void say(int fd, const char *text) {
  if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) return;
}

/* Until whoever listens has had enough. */
static void say_for_ever(int fd, const char *head, const char *more) {
  struct timeval t = {.tv_sec = 2};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
  say(fd, head);
  while (!stopping && send(fd, more, strlen(more), MSG_NOSIGNAL) > 0) continue;
}

static void answer_tls(struct server *s, int fd) {
  struct timeval t = {.tv_sec = 2};
  char text[2000];
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  SSL *tls = SSL_new(s->tls);
  SSL_set_fd(tls, fd);
  if (SSL_accept(tls) == 1 && SSL_read(tls, text, sizeof text) > 0) {
    SSL_write(tls, good, sizeof good - 1);
    SSL_shutdown(tls);
  }
  SSL_free(tls);
}

static void hold(struct server *s, int fd) {
  int *place = &s->held[s->holds++ % 64];
  if (*place > 0) close(*place);
  *place = fd;
}

static bool asks(int fd) { /* the whole question, which fits into one packet */
  struct timeval t = {.tv_sec = 2};
  char text[2000];
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  return recv(fd, text, sizeof text, 0) > 0;
}

static void serve(struct server *s, enum kind kind, int fd) {
  if (kind == STUCK || kind == TLS_STUCK || kind == OPEN) {
    hold(s, fd);
    return;
  }
  if (s->tls) answer_tls(s, fd);
  else if (kind != HANGS_UP && asks(fd)) {
    if (kind == SLOW) kit_sleep(300);
    if (kind == GOOD || kind == SLOW || kind == GOOD6 || kind == CLOSED) say(fd, good);
    if (kind == ERROR) say(fd, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    if (kind == REDIRECT) say(fd, "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    if (kind == GARBAGE) say(fd, "SSH-2.0-OpenSSH_9.2\r\n");
    if (kind == ENDLESS) say_for_ever(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "10\r\n0123456789abcdef\r\n");
    if (kind == HEADS) say_for_ever(fd, "HTTP/1.1 200 OK\r\n", "X-More: 0123456789abcdef0123456789abcdef\r\n");
  }
  close(fd);
}

static void *serve_main(void *ctx) {
  struct server *s = ctx;
  while (!stopping) {
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) serve(s, (enum kind)(s - servers), fd);
  }
  return NULL;
}

static void begin_server(enum kind kind, SSL_CTX *tls) {
  struct server *s = &servers[kind];
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  bool is6 = kind == GOOD6;
  struct sockaddr *name = is6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
  socklen_t size = is6 ? sizeof six : sizeof four;
  s->tls = tls;
  s->fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(s->fd, name, size), 0);
  assert_int_equal(getsockname(s->fd, name, &size), 0);
  s->port = ntohs(is6 ? six.sin6_port : four.sin_port);
  if (kind == CLOSED) return;
  assert_int_equal(listen(s->fd, 64), 0);
  pthread_create(&s->thread, NULL, serve_main, s);
}

static void end_servers(void) {
  stopping = true;
  for (int i = 0; i < KINDS; i++) {
    struct server *s = &servers[i];
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    for (int k = 0; k < 64; k++)
      if (s->held[k] > 0) close(s->held[k]);
    close(s->fd);
    SSL_CTX_free(s->tls);
  }
}

/* ---- what each must give ---------------------------------------------------------------------------------------------------- */

static const struct want { const char *code, *address, *checks; enum kind server; enum network_state state; const char *cause; } wants[] = {
  {"CORE", "127.0.0.1", "icmp", OPEN, NETWORK_UP, ""},
  /* with an echo, a check that fails makes it worse, no more */
  {"OPEN", "127.0.0.1", "icmp tcp:%d", OPEN, NETWORK_UP, "ok"},
  {"REFUSED", "127.0.0.1", "icmp tcp:%d", CLOSED, NETWORK_DEGRADED, "refused"},
  {"STUCK", "127.0.0.1", "icmp http:%d/", STUCK, NETWORK_DEGRADED, "stuck"},
  {"STUCK-TCP", "127.0.0.1", "icmp tcp:%d", STUCK, NETWORK_UP, "ok"},
  {"SLOW", "127.0.0.1", "icmp http:%d/", SLOW, NETWORK_UP, "ok"},
  {"GOOD", "127.0.0.1", "icmp http:%d/a?b=c", GOOD, NETWORK_UP, "ok"},
  {"ERROR", "127.0.0.1", "icmp http:%d/", ERROR, NETWORK_DEGRADED, "server_error"},
  {"REDIRECT", "127.0.0.1", "icmp http:%d/", REDIRECT, NETWORK_UP, "ok"},
  {"ENDLESS", "127.0.0.1", "icmp http:%d/", ENDLESS, NETWORK_UP, "ok"},
  {"HEADS", "127.0.0.1", "icmp http:%d/", HEADS, NETWORK_DEGRADED, "not_http"},
  {"GARBAGE", "127.0.0.1", "icmp http:%d/", GARBAGE, NETWORK_DEGRADED, "not_http"},
  {"HANGS-UP", "127.0.0.1", "icmp http:%d/", HANGS_UP, NETWORK_DEGRADED, "not_http"},
  {"TLS", "127.0.0.1", "icmp https:%d/", TLS_GOOD, NETWORK_UP, "ok"},
  {"TLS-NAMED", "127.0.0.1", "icmp https:portal.example:%d/", TLS_GOOD, NETWORK_UP, "ok"},
  {"TLS-OTHER", "127.0.0.1", "icmp https:other.example:%d/", TLS_GOOD, NETWORK_DEGRADED, "certificate_name"},
  {"TLS-OLD", "127.0.0.1", "icmp https:%d/", TLS_OLD, NETWORK_DEGRADED, "certificate_expired"},
  {"TLS-EARLY", "127.0.0.1", "icmp https:portal.example:%d/", TLS_EARLY, NETWORK_DEGRADED, "certificate_expired"},
  {"TLS-STUCK", "127.0.0.1", "icmp https:%d/", TLS_STUCK, NETWORK_DEGRADED, "stuck"},
  {"TLS-NONE", "127.0.0.1", "icmp https:%d/", GARBAGE, NETWORK_DEGRADED, "tls"},
  /* without one, the first check is the probe */
  {"P-OPEN", "127.0.0.1", "tcp:%d", OPEN, NETWORK_UP, "ok"},
  {"P-REFUSED", "127.0.0.1", "tcp:%d", CLOSED, NETWORK_DOWN, "refused"},
  {"P-SILENT", "10.9.0.2", "tcp:%d", OPEN, NETWORK_DOWN, "no_answer"},
  {"P-ERROR", "127.0.0.1", "http:%d/", ERROR, NETWORK_DOWN, "server_error"},
  {"P-NOWHERE", "192.0.2.9", "tcp:%d", OPEN, NETWORK_UNKNOWN, "not_sent"},
  {"SIX", "::1", "icmp tcp:%d", GOOD6, NETWORK_UP, "ok"},
  {"SIX-HTTP", "::1", "http:%d/", GOOD6, NETWORK_UP, "ok"},
  {"SIX-REFUSED", "::1", "icmp tcp:%d", CLOSED, NETWORK_DEGRADED, "refused"},
};
enum { WANTS = BASE_COUNT(wants) };

static bool holds(const struct want *w, enum network_state state, const char *cause) {
  char is[64] = "";
  if (w->cause[0]) kit_cause(w->code, 0, is);
  return kit_state(w->code) == state && strcmp(is, cause) == 0;
}

static void tell(const struct want *w) {
  char is[64] = "";
  if (w->cause[0]) kit_cause(w->code, 0, is);
  print_message("  %s is %s, %s; wanted: %s, %s\n", w->code, network_state_text(kit_state(w->code)), is, network_state_text(w->state), w->cause);
}

static void each_as_it_is(void **state) {
  char text[WANTS][100];
  struct network_plan_row rows[WANTS] = {0};
  for (int i = 0; i < WANTS; i++) {
    const char *c = wants[i].checks, *port = strstr(c, "%d");
    if (port) snprintf(text[i], sizeof text[i], "%.*s%d%s", (int)(port - c), c, servers[wants[i].server].port, port + 2);
    else snprintf(text[i], sizeof text[i], "%s", c);
    rows[i] = (struct network_plan_row){.line = (unsigned)i + 2, .code = wants[i].code, .address = wants[i].address, .checks = text[i]};
  }
  kit_plan(rows, WANTS);
  must(network_start(net, err));
  int64_t end = clock_mono() + KIT_WAIT_MS;
  for (int i = 0; i < WANTS; i++) /* each for itself: on a busy machine one may fail for a moment while another is looked at */
    while (!holds(&wants[i], wants[i].state, wants[i].cause)) {
      if (clock_mono() > end) {
        for (int k = 0; k < WANTS; k++) tell(&wants[k]);
        fail_msg("%s never became so", wants[i].code);
      }
      kit_sleep(20);
    }
}

static const struct want *want_of(const char *code) {
  for (int i = 0; i < WANTS; i++)
    if (strcmp(wants[i].code, code) == 0) return &wants[i];
  fail_msg("%s", code);
  return NULL;
}

/* What was refused is served: both become good, and what was down over it is no more. */
static void what_was_mended(void **state) {
  assert_int_equal(listen(servers[CLOSED].fd, 64), 0);
  pthread_create(&servers[CLOSED].thread, NULL, serve_main, &servers[CLOSED]);
  int64_t end = clock_mono() + KIT_WAIT_MS;
  while (!holds(want_of("REFUSED"), NETWORK_UP, "ok") || !holds(want_of("P-REFUSED"), NETWORK_UP, "ok")) {
    if (clock_mono() > end) fail_msg("never mended");
    kit_sleep(20);
  }
  /* each incident is one of those that are bad, and the words for people are there */
  json_t *j = kit_office("TLS-OLD"), *check = json_array_get(json_object_get(j, "check_results"), 0);
  assert_string_equal(json_str(check, "text"), "its TLS certificate has expired or is not valid yet");
  assert_false(json_flag(check, "ok", true));
  assert_non_null(json_str(check, "since"));
  json_decref(j);
}

/* Another plan: what was said of the old check is said no more, and does not hold the office down. */
static void another_check(void **state) {
  char text[100];
  snprintf(text, sizeof text, "icmp http:%d/", servers[GOOD].port);
  struct network_plan_row row = {.line = 2, .code = "ERROR", .checks = text};
  kit_plan(&row, 1);
  int64_t end = clock_mono() + KIT_WAIT_MS;
  while (!holds(want_of("ERROR"), NETWORK_UP, "ok")) {
    if (clock_mono() > end) fail_msg("the old check lives on");
    kit_sleep(20);
  }
}

static void notations(void **state) {
  struct check c[CHECKS_MOST];
  bool icmp;
  char text[160];
  assert_int_equal(checks_parse("https:a-b.example:8443/x:y", c, &icmp), 1);
  assert_false(icmp);
  assert_string_equal(c[0].name, "a-b.example");
  assert_string_equal(c[0].rest, "/x:y");
  assert_int_equal(c[0].port, 8443);
  check_text(&c[0], text);
  assert_string_equal(text, "https:a-b.example:8443/x:y");
  assert_int_equal(checks_parse("icmp snmp:secret@1161", c, &icmp), 1);
  check_text(&c[0], text);
  assert_string_equal(text, "snmp");
  static const char *const bad[] = {"tcp:a.example:80", "https:-a:80", "https::80", "https:a.example:", "https:a.example:0", "https:a.example:80x", "http:99999", "http:80x", "snmp:", "snmp:@161", "snmp:x@abc", "snmp:x@", "snmp:x@0", "snmp:x@65536", "snmp:x@1@1", "snmp:*",
    "snmp:*@161", "snmp3:u@70000", "snmp3:u@", "ftp:21",
    "https:0123456789012345678901234567890123456789012345678901234567890123456789:80", "tcp:1 tcp:2 tcp:3 tcp:4 tcp:5 tcp:6 tcp:7"};
  for (size_t i = 0; i < BASE_COUNT(bad); i++)
    if (checks_parse(bad[i], c, &icmp) >= 0) fail_msg("%s is taken", bad[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(notations), cmocka_unit_test(each_as_it_is), cmocka_unit_test(what_was_mended), cmocka_unit_test(another_check)};
  struct err begun;
  signal(SIGPIPE, SIG_IGN);
  if (kit_start(NULL) || language_init(&begun)) return 1;
  if (!kit_alone() || kit_ip("link add v0 type veth peer name v1\naddr add 10.9.0.1/24 dev v0\nlink set v0 up\nlink set v1 up\nneigh add 10.9.0.2 lladdr 02:00:00:00:00:99 dev v0 nud permanent\n")) {
    print_message("network-checks: SKIPPED: this program may not have a network of its own\n");
    kit_stop(NULL);
    return 77;
  }
  for (int i = 0; i < KINDS; i++)
    begin_server((enum kind)i, i == TLS_GOOD ? tls_of("portal.example", -60, 86400) : i == TLS_OLD ? tls_of("portal.example", -86400, -60) : i == TLS_EARLY ? tls_of("portal.example", 3600, 86400) : NULL);
  struct buf offices = {0};
  for (int i = 0; i < WANTS; i++) buf_addf(&offices, "%s,ost,09,%s,%s,دفتر,,,,1\n", wants[i].code, i ? "office" : "core", i ? "CORE" : "");
  struct network_options o = {.node = "one", .packets = 2, .gap_ms = 5, .timeout_ms = 500, .interval_ms = 500, .retry_ms = 50, .check_ms = 800};
  kit_room(buf_str(&offices), &o);
  buf_free(&offices);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  kit_room_close();
  end_servers();
  kit_stop(NULL);
  return failed;
}
