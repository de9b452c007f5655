/* Checks beside the echo, all from one thread, many at once: TCP connections and HTTP(S) by libcurl; agents of SNMP, which are waited for together with them, in snmp.c. */
#include "network/checks.h"

#include <curl/curl.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AT_ONCE = 64, HEAD_MOST = 65536, BODY_MOST = 65536, LOOK_MS = 20, RUNNING_MS = 100 };

struct running { bool on; CURL *easy; struct asking a; size_t head, body; struct curl_slist *where; };

struct checking {
  const struct checks_for *f;
  CURLM *multi;
  struct running slot[AT_ONCE];
  struct readings *readings;
};

const char *check_cause_text(enum check_cause c) {
  static const char *const texts[] = {
#define X(name, text) text,
    CHECK_CAUSE_TABLE(X)
#undef X
  };
  return (unsigned)c < CHECK_CAUSES ? texts[c] : "";
}

void check_text(const struct check *c, char out[160]) {
  static const char *const kinds[] = {"tcp", "http", "https", "snmp"};
  if (c->kind == CHECK_SNMP) snprintf(out, 160, "snmp%s%s%s", c->name, c->name[0] ? ":" : "", c->name[0] ? c->rest : "");
  else snprintf(out, 160, "%s:%s%s%d%s", kinds[c->kind], c->name, c->name[0] ? ":" : "", c->port, c->rest);
}

void check_mark(const struct check *c, char out[17]) {
  unsigned char digest[32];
  char hex[65], *text = base_printf("%d:%d:%s:%s", (int)c->kind, c->port, c->name, c->rest);
  sha256(text, strlen(text), digest);
  hex_encode(digest, 32, hex);
  snprintf(out, 17, "%.16s", hex);
  free(text);
}

bool checks_turn(const struct check *list, int count, bool icmp, int seed, int64_t interval, int64_t again_ms, bool snmp, int64_t *due, struct asking *out) {
  int64_t now = clock_mono();
  for (int j = 0; j < count; j++) {
    if ((list[j].kind == CHECK_SNMP) != snmp) continue;
    if (!due[j]) due[j] = schedule_next(seed, interval < 10000 ? interval : 10000, now); /* soon, but not all at once */
    if (due[j] > now) continue;
    bool primary = !icmp && j == 0 && !snmp;
    due[j] = now + (primary ? again_ms : interval);
    *out = (struct asking){.number = j, .check = list[j], .primary = primary, .began = now, .interval = interval};
    return true;
  }
  return false;
}

/* ---- libcurl ------------------------------------------------------------------------------------------------------------ */

/* The head tells; of the body so much is taken that something stands behind it. More than that ends the transfer. */
static size_t take_body(char *data, size_t size, size_t count, void *ctx) {
  struct running *r = ctx;
  r->body += size * count;
  return r->body > BODY_MOST ? 0 : size * count;
}

static size_t take_head(char *data, size_t size, size_t count, void *ctx) {
  struct running *r = ctx;
  r->head += size * count;
  return r->head > HEAD_MOST ? 0 : size * count;
}

/* A literal address in a URL, IPv6 in brackets; or the name, which is then asked for at the address. */
static char *url_of(const struct asking *a, struct curl_slist **where) {
  const struct check *c = &a->check;
  bool six = strchr(a->address, ':') != NULL;
  char *host = base_printf("%s%s%s", six ? "[" : "", a->address, six ? "]" : "");
  char *url = base_printf("%s://%s:%d%s", c->kind == CHECK_HTTPS ? "https" : "http", c->name[0] ? c->name : host, c->port, c->kind == CHECK_TCP || !c->rest[0] ? "/" : c->rest);
  if (c->name[0]) {
    char *to = base_printf("::%s:%d", host, c->port);
    *where = curl_slist_append(NULL, to);
    free(to);
  }
  free(host);
  return url;
}

static bool begin(struct checking *k, struct running *slot) {
  CURL *e = curl_easy_init();
  if (!e) return false;
  slot->where = NULL;
  slot->head = slot->body = 0;
  slot->easy = e;
  char *url = url_of(&slot->a, &slot->where);
  bool named = slot->a.check.name[0];
  curl_easy_setopt(e, CURLOPT_URL, url);
  curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(e, CURLOPT_PROXY, "");
  curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)k->f->check_ms);
  curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, slot->a.check.kind == CHECK_TCP ? 1L : 0L);
  curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(e, CURLOPT_WRITEDATA, slot);
  curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_head);
  curl_easy_setopt(e, CURLOPT_HEADERDATA, slot);
  curl_easy_setopt(e, CURLOPT_RANGE, "0-65535");
  curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(e, CURLOPT_CERTINFO, 1L);
  curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L); /* whether it answers as its users need it: who signed is theirs to judge; a name only where one was given */
  curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, named ? 2L : 0L);
  if (slot->where) curl_easy_setopt(e, CURLOPT_CONNECT_TO, slot->where);
  curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(e, CURLOPT_PRIVATE, slot);
  free(url);
  slot->on = true;
  slot->a.began = clock_mono();
  curl_multi_add_handle(k->multi, e);
  return true;
}

static void end(struct checking *k, struct running *slot) {
  curl_multi_remove_handle(k->multi, slot->easy);
  curl_easy_cleanup(slot->easy);
  curl_slist_free_all(slot->where);
  slot->where = NULL;
  slot->on = false;
}

/* "Expire date:Nov 26 19:51:04 2026 GMT" of the certificate itself, which stands first. */
static bool outside_its_time(CURL *e) {
  struct curl_certinfo *all = NULL;
  if (curl_easy_getinfo(e, CURLINFO_CERTINFO, &all) != CURLE_OK || !all || all->num_of_certs < 1) return false;
  int64_t now = clock_now() / 1000;
  for (const struct curl_slist *l = all->certinfo[0]; l; l = l->next) {
    bool begins = base_starts(l->data, "Start date:"), ends = base_starts(l->data, "Expire date:");
    struct tm t = {0};
    if ((!begins && !ends) || !strptime(strchr(l->data, ':') + 1, "%b %d %H:%M:%S %Y", &t)) continue;
    int64_t at = (int64_t)timegm(&t);
    if ((begins && at > now) || (ends && at < now)) return true;
  }
  return false;
}

static enum check_cause connect_cause(CURL *e) {
  long error = 0;
  curl_easy_getinfo(e, CURLINFO_OS_ERRNO, &error);
  if (error == ECONNREFUSED) return CHECK_REFUSED;
  return error == ENETUNREACH || error == EADDRNOTAVAIL || error == EACCES || error == EPERM || error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ? CHECK_NOT_SENT : CHECK_SILENT;
}

static enum check_cause cause_of(const struct running *slot, CURLcode code, long status, bool connected) {
  if (code == CURLE_COULDNT_CONNECT) return connect_cause(slot->easy);
  if (code == CURLE_OPERATION_TIMEDOUT) return connected ? CHECK_STUCK : CHECK_SILENT;
  if (code == CURLE_FAILED_INIT || code == CURLE_OUT_OF_MEMORY || code == CURLE_INTERFACE_FAILED) return CHECK_NOT_SENT;
  if (slot->a.check.kind == CHECK_TCP) return code == CURLE_OK ? CHECK_OK : CHECK_SILENT;
  if (code == CURLE_PEER_FAILED_VERIFICATION) return outside_its_time(slot->easy) ? CHECK_EXPIRED : CHECK_NAME;
  if (code == CURLE_SSL_CONNECT_ERROR) return CHECK_TLS;
  bool enough = code == CURLE_OK || (code == CURLE_WRITE_ERROR && slot->head <= HEAD_MOST);
  if (!enough || status < 200) return CHECK_NOT_HTTP;
  if (slot->a.check.kind == CHECK_HTTPS && outside_its_time(slot->easy)) return CHECK_EXPIRED;
  return status < 500 ? CHECK_OK : CHECK_STATUS;
}

static void finish(struct checking *k) {
  int left;
  for (CURLMsg *m; (m = curl_multi_info_read(k->multi, &left));) {
    if (m->msg != CURLMSG_DONE) continue;
    struct running *slot = NULL;
    long status = 0;
    curl_off_t us = 0;
    CURLcode code = m->data.result;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
    curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(m->easy_handle, CURLINFO_CONNECT_TIME_T, &us);
    const char *peer = NULL; /* told as soon as the connection stands, before TLS */
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIMARY_IP, &peer);
    enum check_cause cause = cause_of(slot, code, status, us > 0 || (peer && peer[0]));
    end(k, slot);
    k->f->judge(k->f->ctx, &slot->a, cause, us > 0 || cause != CHECK_OK ? (double)us / 1000 : 0.001);
  }
}

static void begin_due(struct checking *k) {
  for (int i = 0; i < AT_ONCE; i++) {
    if (k->slot[i].on) continue;
    if (!k->f->next(k->f->ctx, false, &k->slot[i].a)) break;
    if (!begin(k, &k->slot[i])) k->f->judge(k->f->ctx, &k->slot[i].a, CHECK_NOT_SENT, NAN);
  }
  readings_begin(k->readings);
}

/* Until something comes of any of them. Answers come far more often than turns. */
static void wait_for(struct checking *k, int running, int64_t looked) {
  struct pollfd files[AGENTS_MOST];
  struct curl_waitfd wanted[AGENTS_MOST];
  int64_t until = clock_mono() + (running ? RUNNING_MS : k->f->idle_ms);
  int count = readings_files(k->readings, files, &until);
  if (count && until > looked + LOOK_MS) until = looked + LOOK_MS;
  int64_t ms = until - clock_mono();
  int used = 0; /* libcurl takes no file that is none */
  for (int i = 0; i < count; i++)
    if (files[i].fd >= 0) wanted[used++] = (struct curl_waitfd){.fd = files[i].fd, .events = CURL_WAIT_POLLIN};
  curl_multi_poll(k->multi, wanted, (unsigned)used, ms < 0 ? 0 : (int)ms, NULL);
  used = 0;
  for (int i = 0; i < count; i++) files[i].revents = files[i].fd >= 0 && wanted[used++].revents ? POLLIN : 0;
  readings_turn(k->readings, files);
}

void checks_run(const struct checks_for *f) {
  struct checking k = {.f = f, .multi = curl_multi_init(), .readings = readings_new(f)};
  int64_t looked = 0;
  while (!f->over(f->ctx)) {
    int running = 0;
    if (clock_mono() - looked >= LOOK_MS) {
      begin_due(&k);
      looked = clock_mono();
    }
    curl_multi_perform(k.multi, &running);
    finish(&k);
    wait_for(&k, running, looked);
  }
  for (int i = 0; i < AT_ONCE; i++)
    if (k.slot[i].on) end(&k, &k.slot[i]);
  readings_free(k.readings);
  curl_multi_cleanup(k.multi);
}
