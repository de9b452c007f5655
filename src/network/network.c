/* Opened, started, followed, closed. */
#include "network/inner.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t escalate_default[3] = {900000, 3600000, 14400000};

static void set_options(struct network *n, const struct network_options *o) {
  n->o = *o;
  n->node_name = base_strdup(o->node ? o->node : "node");
  n->source4 = base_strdup(o->source4);
  n->source6 = base_strdup(o->source6);
  n->anchors = base_strdup(o->anchors);
  n->snmp_access = base_strdup(o->snmp_access);
  n->o.node = n->node_name;
  if (n->o.packets < 1 || n->o.packets > NETWORK_PACKETS_MOST) n->o.packets = 5;
  if (n->o.gap_ms < 1) n->o.gap_ms = 200;
  if (n->o.timeout_ms < 1) n->o.timeout_ms = 1500;
  if (n->o.interval_ms < 1) n->o.interval_ms = 60000;
  if (n->o.retry_ms < 1) n->o.retry_ms = 5000;
  if (n->o.attempts < 1 || n->o.attempts > 20) n->o.attempts = 3;
  if (n->o.check_ms < 1) n->o.check_ms = 5000;
  if (n->o.raw_days < 1) n->o.raw_days = 3;
  if (n->o.hour_days < 1) n->o.hour_days = 90;
  if (n->o.day_years < 1) n->o.day_years = 10;
  if (n->o.accept_ms < 1) n->o.accept_ms = 3 * INT64_C(86400000);
  if (!n->o.service_from && !n->o.service_to) n->o.service_from = 450, n->o.service_to = 870;
  memcpy(n->escalate, o->escalate_ms ? o->escalate_ms : escalate_default, sizeof n->escalate);
}

int network_open(struct store *main, struct store *samples, struct trust *t, const struct directory *d, const struct network_options *o, struct network **out, struct err *err) {
  struct network *n = base_alloc(sizeof *n);
  n->main = main;
  n->samples = samples;
  n->trust = t;
  n->d = d;
  set_options(n, o);
  pthread_mutex_init(&n->lock, NULL);
  pthread_mutex_init(&n->flushing, NULL);
  pthread_rwlock_init(&n->plan, NULL);
  pthread_cond_init(&n->changed, NULL);
  pthread_cond_init(&n->work, NULL);
  n->names = arena_new(256u << 20);
  n->ring = base_alloc(RING * sizeof *n->ring);
  n->step = -1;
  if (network_load(n, err)) {
    network_close(n);
    return -1;
  }
  *out = n;
  return 0;
}

struct network *network_reader(struct store *main) {
  struct network *n = base_alloc(sizeof *n);
  n->main = main;
  return n;
}

int network_start(struct network *n, struct err *err) {
  if (n->threads) return 0;
  n->stopping = false;
  if (!n->link) n->link = n->o.helper ? n->o.helper : link_new(n->source4, n->source6);
  if (pthread_create(&n->keeper_thread, NULL, network_keeper_main, n) || pthread_create(&n->prober_thread, NULL, network_prober_main, n) ||
      pthread_create(&n->checks_thread, NULL, network_checks_main, n))
    return err_set(err, ERR_UNAVAILABLE, "the prober's threads cannot be started");
  n->threads = true;
  return 0;
}

void network_stop(struct network *n) {
  if (!n->threads) return;
  struct err err;
  pthread_mutex_lock(&n->lock);
  n->stopping = true;
  pthread_cond_broadcast(&n->work);
  pthread_cond_broadcast(&n->changed);
  pthread_mutex_unlock(&n->lock);
  pthread_join(n->prober_thread, NULL);
  pthread_join(n->keeper_thread, NULL);
  pthread_join(n->checks_thread, NULL);
  n->threads = false;
  if (n->holder && network_flush(n, &err)) log_write(LOG_WARN, "network", "the last measurements are lost: %s", err.message);
  n->holder = false;
}

static void free_rest(struct network *n) {
  for (struct op *o = n->ops, *next; o; o = next) {
    next = o->next;
    free(o->bytes);
    json_decref(o->rows);
    free(o);
  }
  for (int i = 0; i < n->prober_count; i++) free(n->probers[i].key);
  for (size_t i = 0; i < BASE_COUNT(n->raw); i++) buf_free(&n->raw[i]);
  free(n->probers);
  free(n->node_name);
  free(n->source4);
  free(n->source6);
  free(n->anchors);
  free(n->snmp_access);
  free(n->nodes);
  free(n->by_code);
  free(n->kept);
  free(n->ring);
  free(n->cut);
  free(n->again);
  free(n->own_goals);
  free(n->asked);
  json_decref(n->goal_view);
}

void network_close(struct network *n) {
  if (!n) return;
  if (n->threads) network_stop(n);
  if (n->link != n->o.helper) link_free(n->link);
  core_free(n->core);
  schedule_free(&n->due);
  free_rest(n);
  if (n->names) {
    pthread_mutex_destroy(&n->lock);
    pthread_mutex_destroy(&n->flushing);
    pthread_rwlock_destroy(&n->plan);
    pthread_cond_destroy(&n->changed);
    pthread_cond_destroy(&n->work);
  }
  arena_free(n->names);
  free(n);
}

struct link *network_helper_begin(const struct network_options *o, bool probe) {
  struct link *l = probe ? link_new(o->source4, o->source6) : NULL;
  privileges_keep(~(UINT64_C(1) << CAP_NET_RAW));
  return l;
}

void network_helper_end(struct link *l) { link_free(l); }

/* ---- following what changes ---------------------------------------------------------------------------------------- */

int64_t network_cursor(struct network *n) {
  pthread_mutex_lock(&n->lock);
  int64_t c = n->cursor;
  pthread_mutex_unlock(&n->lock);
  return c;
}

int64_t network_wait(struct network *n, int64_t after, int64_t timeout_ms) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += timeout_ms / 1000;
  until.tv_nsec += timeout_ms % 1000 * 1000000;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  pthread_mutex_lock(&n->lock);
  while (n->cursor <= after && !n->stopping && pthread_cond_clockwait(&n->changed, &n->lock, CLOCK_MONOTONIC, &until) != ETIMEDOUT) {}
  int64_t c = n->cursor;
  pthread_mutex_unlock(&n->lock);
  return c;
}

static json_t *change_json(const struct network *n, const struct change *c) {
  json_t *o = json_object();
  char text[32];
  json_object_set_new(o, "seq", json_integer(c->seq));
  clock_rfc3339_ms(c->at, text);
  json_put(o, "at", text);
  if (c->step) {
    json_object_set_new(o, "incident", json_integer(c->incident));
    json_put(o, "step", c->step);
    return o;
  }
  json_put(o, "office", n->nodes[c->node].o.code);
  json_put(o, "from", network_state_text(c->from));
  json_put(o, "to", network_state_text(c->to));
  clock_rfc3339_ms(c->since, text);
  json_put(o, "since", text);
  json_object_set_new(o, "incident", c->incident ? json_integer(c->incident) : json_null());
  return o;
}

int network_changes(struct network *n, int64_t after, int most, json_t **out, struct err *err) {
  json_t *list = json_array();
  pthread_mutex_lock(&n->lock);
  int64_t from = after + 1, cursor = n->cursor;
  bool gap = after < cursor && (!n->first || from < n->first);
  if (n->first && from < n->first) from = n->first;
  if (most < 1 || most > RING) most = RING;
  int64_t last = after > cursor ? cursor : after;
  for (int64_t at = from; n->first && at <= n->cursor && most-- > 0; at++) {
    const struct change *c = &n->ring[at % RING];
    last = at;
    if (c->seq == at) json_array_append_new(list, change_json(n, c));
  }
  if (!n->first || last < from) last = cursor;
  pthread_mutex_unlock(&n->lock);
  *out = json_pack("{s:o,s:I,s:b}", "changes", list, "cursor", (json_int_t)last, "gap", gap);
  return 0;
}
