/* Checks beside the echo: TCP connections, HTTP(S) by libcurl, counters of interfaces by SNMP. A thread of its own: these may wait. */
#include "network/inner.h"
#include "network/checks.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 64, CHECK_TIMEOUT_MS = 5000 };

struct running { bool on; int node, check; CURL *easy; char address[64]; int64_t began; enum check_kind kind; bool primary; };

struct checking {
  struct network *n;
  CURLM *multi;
  struct running slot[AT_ONCE];
  int64_t *due;                      /* [node * CHECKS_MOST + check], monotonic ms; 0 never asked */
  int room, at;
};

static size_t discard(char *data, size_t size, size_t count, void *ctx) { return size * count; }

/* A literal address in a URL: IPv6 in brackets. */
static char *url_of(const char *address, const struct check *c) {
  bool six = strchr(address, ':') != NULL;
  const char *scheme = c->kind == CHECK_HTTPS ? "https" : c->kind == CHECK_HTTP ? "http" : "http";
  return base_printf("%s://%s%s%s:%d%s", scheme, six ? "[" : "", address, six ? "]" : "", c->port, c->kind == CHECK_TCP || !c->rest[0] ? "/" : c->rest);
}

static bool begin(struct checking *k, struct running *slot, const char *address, const struct check *c) {
  char *url = url_of(address, c);
  slot->easy = curl_easy_init();
  if (!slot->easy) {
    free(url);
    return false;
  }
  curl_easy_setopt(slot->easy, CURLOPT_URL, url);
  curl_easy_setopt(slot->easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(slot->easy, CURLOPT_PROXY, "");
  curl_easy_setopt(slot->easy, CURLOPT_TIMEOUT_MS, (long)CHECK_TIMEOUT_MS);
  curl_easy_setopt(slot->easy, CURLOPT_CONNECT_ONLY, c->kind == CHECK_TCP ? 1L : 0L);
  curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, discard);
  curl_easy_setopt(slot->easy, CURLOPT_MAXFILESIZE, 1L << 20);
  curl_easy_setopt(slot->easy, CURLOPT_RANGE, "0-65535");
  curl_easy_setopt(slot->easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(slot->easy, CURLOPT_SSL_VERIFYPEER, 0L); /* the address is asked, not a name: whether it answers, not who it is */
  curl_easy_setopt(slot->easy, CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt(slot->easy, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(slot->easy, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
  free(url);
  slot->on = true;
  slot->began = clock_mono();
  curl_multi_add_handle(k->multi, slot->easy);
  return true;
}

/* Where there is no echo, the first TCP or HTTP check is the probe. */
static void judge(struct checking *k, struct running *slot, bool ok, double ms) {
  struct network *n = k->n;
  pthread_mutex_lock(&n->lock);
  int64_t at = network_label(n);
  if (n->holder && slot->node < n->real && base_same(n->nodes[slot->node].o.address, slot->address)) {
    if (slot->primary) {
      struct core_result r = {.node = slot->node, .sent_at = at - (clock_mono() - slot->began), .at = at};
      measure(&r.m, 1, &ms, ok);
      network_take(n, &r, 0);
    } else core_check(n->core, slot->node, slot->check, ok, at);
  }
  pthread_mutex_unlock(&n->lock);
}

static void finish(struct checking *k) {
  int left;
  for (CURLMsg *m; (m = curl_multi_info_read(k->multi, &left));) {
    if (m->msg != CURLMSG_DONE) continue;
    struct running *slot = NULL;
    long status = 0;
    curl_off_t us = 0;
    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
    curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(m->easy_handle, CURLINFO_CONNECT_TIME_T, &us);
    bool ok = slot->kind == CHECK_TCP ? m->data.result == CURLE_OK
                                      : (m->data.result == CURLE_OK || m->data.result == CURLE_FILESIZE_EXCEEDED) && status >= 200 && status < 500;
    curl_multi_remove_handle(k->multi, m->easy_handle);
    curl_easy_cleanup(m->easy_handle);
    slot->on = false;
    judge(k, slot, ok, (double)us / 1000);
  }
}

/* The next check that is due, copied under the lock. */
static bool next_due(struct checking *k, struct running *slot, struct check *c, char *code) {
  struct network *n = k->n;
  bool found = false;
  int64_t now = clock_mono();
  pthread_mutex_lock(&n->lock);
  if (n->real > k->room) {
    k->due = base_realloc(k->due, (size_t)n->real * CHECKS_MOST * sizeof *k->due);
    memset(k->due + (size_t)k->room * CHECKS_MOST, 0, (size_t)(n->real - k->room) * CHECKS_MOST * sizeof *k->due);
    k->room = n->real;
  }
  for (int steps = 0; n->holder && steps < n->real && !found; steps++) {
    int i = k->at = (k->at + 1) % n->real;
    const struct node *node = &n->nodes[i];
    for (int j = 0; node->active && !node->prober && j < node->checks && !found; j++) {
      int64_t *due = &k->due[(size_t)i * CHECKS_MOST + (size_t)j];
      if (!*due) *due = schedule_next(i, node->o.interval_ms < 10000 ? node->o.interval_ms : 10000, now); /* soon, but not all at once */
      if (*due > now) continue;
      bool primary = !node->icmp && j == 0 && node->check[j].kind != CHECK_SNMP, retry = primary && n->core->nodes[i].fails > 0 && n->core->nodes[i].fails < n->o.attempts;
      *due = now + (retry ? n->o.retry_ms : node->o.interval_ms);
      *slot = (struct running){.node = i, .check = j, .kind = node->check[j].kind, .primary = primary};
      snprintf(slot->address, sizeof slot->address, "%s", node->o.address);
      snprintf(code, NETWORK_CODE, "%s", node->o.code);
      *c = node->check[j];
      found = true;
    }
  }
  pthread_mutex_unlock(&n->lock);
  return found;
}

void *network_checks_main(void *ctx) {
  struct checking k = {.n = ctx, .multi = curl_multi_init()};
  struct network *n = ctx;
  struct snmp_reader *snmp = snmp_reader_new();
  for (bool stopping = false; !stopping;) {
    int running = 0;
    for (int i = 0; i < AT_ONCE; i++) {
      struct check c;
      struct running slot;
      char code[NETWORK_CODE];
      if (k.slot[i].on) continue;
      if (!next_due(&k, &slot, &c, code)) break;
      if (c.kind == CHECK_SNMP) {
        bool ok = snmp_reader_read(snmp, n, slot.node, code, slot.address, c.rest);
        judge(&k, &slot, ok, 0);
        break;
      }
      k.slot[i] = slot;
      begin(&k, &k.slot[i], slot.address, &c);
    }
    curl_multi_perform(k.multi, &running);
    finish(&k);
    if (running) curl_multi_poll(k.multi, NULL, 0, 100, NULL);
    else clock_wait(100);
    pthread_mutex_lock(&n->lock);
    stopping = n->stopping;
    pthread_mutex_unlock(&n->lock);
  }
  for (int i = 0; i < AT_ONCE; i++)
    if (k.slot[i].on) {
      curl_multi_remove_handle(k.multi, k.slot[i].easy);
      curl_easy_cleanup(k.slot[i].easy);
    }
  curl_multi_cleanup(k.multi);
  snmp_reader_free(snmp);
  free(k.due);
  return NULL;
}
