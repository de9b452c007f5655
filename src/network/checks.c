/* Checks beside the echo: TCP connections and HTTP(S) by libcurl, on a thread of their own: these may wait. Agents of SNMP are asked in snmp.c. */
#include "network/checks.h"

#include <curl/curl.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AT_ONCE = 64, HEAD_MOST = 65536, BODY_MOST = 65536 };

struct running { bool on; CURL *easy; struct asking a; size_t head, body; struct curl_slist *where; };

struct checking {
  struct network *n;
  CURLM *multi;
  struct running slot[AT_ONCE];
  struct turns turns;
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
  if (c->kind == CHECK_SNMP) snprintf(out, 160, "snmp");
  else snprintf(out, 160, "%s:%s%s%d%s", kinds[c->kind], c->name, c->name[0] ? ":" : "", c->port, c->rest);
}

/* ---- whose turn it is, and what came of it: for both threads -------------------------------------------------------- */

static bool due_now(struct network *n, struct turns *k, int i, bool snmp, int64_t now, struct asking *out) {
  const struct node *node = &n->nodes[i];
  for (int j = 0; node->active && !node->prober && j < node->checks; j++) {
    int64_t *due = &k->due[(size_t)i * CHECKS_MOST + (size_t)j];
    if ((node->check[j].kind == CHECK_SNMP) != snmp) continue;
    if (!*due) *due = schedule_next(i, node->o.interval_ms < 10000 ? node->o.interval_ms : 10000, now); /* soon, but not all at once */
    if (*due > now) continue;
    bool primary = !node->icmp && j == 0 && !snmp, retry = primary && n->core->nodes[i].fails > 0 && n->core->nodes[i].fails < n->o.attempts;
    *due = now + (retry ? n->o.retry_ms : node->o.interval_ms);
    *out = (struct asking){.node = i, .number = j, .check = node->check[j], .primary = primary, .began = now, .interval = node->o.interval_ms};
    snprintf(out->address, sizeof out->address, "%s", node->o.address);
    snprintf(out->code, sizeof out->code, "%s", node->o.code);
    return true;
  }
  return false;
}

bool checks_next(struct network *n, struct turns *k, bool snmp, struct asking *out) {
  bool found = false;
  int64_t now = clock_mono();
  pthread_mutex_lock(&n->lock);
  if (n->real > k->room) {
    k->due = base_realloc(k->due, (size_t)n->real * CHECKS_MOST * sizeof *k->due);
    memset(k->due + (size_t)k->room * CHECKS_MOST, 0, (size_t)(n->real - k->room) * CHECKS_MOST * sizeof *k->due);
    k->room = n->real;
  }
  for (int steps = 0; n->holder && steps < n->real && !found; steps++) found = due_now(n, k, k->at = (k->at + 1) % n->real, snmp, now, out);
  pthread_mutex_unlock(&n->lock);
  return found;
}

/* What was not sent says nothing about the office. */
void checks_judge(struct network *n, const struct asking *a, enum check_cause cause, double ms) {
  pthread_mutex_lock(&n->lock);
  int64_t at = network_label(n);
  struct node *node = n->holder ? (struct node *)(uintptr_t)network_at(n, a->code) : NULL;
  if (node && a->number < node->checks && base_same(node->o.address, a->address) && memcmp(&node->check[a->number], &a->check, sizeof a->check) == 0) {
    if (a->primary) {
      struct core_result r = {.node = node->o.node, .sent_at = at - (clock_mono() - a->began), .at = at, .unsent = cause == CHECK_NOT_SENT};
      measure(&r.m, r.unsent ? 0 : 1, &ms, cause == CHECK_OK);
      network_take(n, &r, 0);
    } else if (cause != CHECK_NOT_SENT) core_check(n->core, node->o.node, a->number, cause == CHECK_OK, at);
    if (node->cause[a->number] != cause) {
      struct op o = {.kind = OP_CHECK, .node = node->o.node, .code = node->o.code, .number = a->number, .cause = cause, .decided = at};
      check_text(&a->check, o.what);
      network_op(n, o);
    }
    node->cause[a->number] = cause;
  }
  pthread_mutex_unlock(&n->lock);
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
  curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)k->n->o.check_ms);
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
    checks_judge(k->n, &slot->a, cause, us > 0 || cause != CHECK_OK ? (double)us / 1000 : 0.001);
  }
}

void *network_checks_main(void *ctx) {
  struct checking k = {.n = ctx, .multi = curl_multi_init()};
  struct network *n = ctx;
  for (bool stopping = false; !stopping;) {
    int running = 0;
    for (int i = 0; i < AT_ONCE; i++) {
      if (k.slot[i].on) continue;
      if (!checks_next(n, &k.turns, false, &k.slot[i].a)) break;
      if (!begin(&k, &k.slot[i])) checks_judge(n, &k.slot[i].a, CHECK_NOT_SENT, NAN);
    }
    curl_multi_perform(k.multi, &running);
    finish(&k);
    if (running) curl_multi_poll(k.multi, NULL, 0, 100, NULL);
    else clock_wait(n->o.retry_ms < 100 ? n->o.retry_ms : 100);
    pthread_mutex_lock(&n->lock);
    stopping = n->stopping;
    pthread_mutex_unlock(&n->lock);
  }
  for (int i = 0; i < AT_ONCE; i++)
    if (k.slot[i].on) end(&k, &k.slot[i]);
  curl_multi_cleanup(k.multi);
  free(k.turns.due);
  return NULL;
}
