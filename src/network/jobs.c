/* News of incidents to people, hand-overs, rollups. */
#include "network/inner.h"

#include <stdlib.h>
#include <string.h>

enum { TOLD_CLOSED = 9, LEASE_MS = 30000 };
#define NEWS "SELECT id,kind,office,organisation,began,ended,offices,services,population,acknowledged_at,told FROM network_incident "

static void read_news(const struct store_rows *r, const struct network *n, struct arena *a, struct network_news *out, int64_t *told) {
  *out = (struct network_news){.incident = store_int(r, 0), .kind = arena_strdup(a, store_text(r, 1)), .office = arena_strdup(a, store_text(r, 2)), .organisation = arena_strdup(a, store_text(r, 3)),
    .began = store_int(r, 4), .ended = store_int(r, 5), .offices = store_int(r, 6), .services = store_int(r, 7), .population = store_int(r, 8), .acknowledged = store_int(r, 9) > 0};
  if (told) *told = store_int(r, 10);
  struct network_office o;
  out->name_fa = out->name_en = "";
  if (network_node((struct network *)n, network_find((struct network *)n, out->office), &o) == 0) {
    out->name_fa = o.name_fa;
    out->name_en = o.name_en;
  }
}

int network_news_of(struct store_tx *tx, const struct network *n, int64_t incident, struct network_news *out, struct arena *a, struct err *err) {
  struct store_rows *r = store_select(tx, err, NEWS "WHERE id=?1", "i", incident);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) read_news(r, n, a, out, NULL);
  store_done(r);
  return rc;
}

/* ---- telling -------------------------------------------------------------------------------------------------------------- */

struct telling { struct network *n; int64_t id[64], told[64]; struct network_news news[64]; int count; struct arena *a; int64_t now; };

/* One level after the other, also when this job was away and the last is due already: whoever is on duty at each is told. */
static int due_level(const struct network *n, int64_t now, const struct network_news *k, int64_t told) {
  if (k->ended) return TOLD_CLOSED;
  if (told < 0) return 0;
  return !k->acknowledged && told < 3 && now - k->began >= n->escalate[told] ? (int)told + 1 : (int)told;
}

static int due_work(struct store_tx *tx, void *arg, struct err *err) {
  struct telling *k = arg;
  k->count = 0;
  arena_reset(k->a);
  struct store_rows *r = store_select(tx, err, NEWS "WHERE told<9 ORDER BY told,id LIMIT 2000", "");
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1 && k->count < 64) {
    struct network_news *w = &k->news[k->count];
    read_news(r, k->n, k->a, w, &k->told[k->count]);
    int level = due_level(k->n, k->now, w, k->told[k->count]);
    if (level <= k->told[k->count]) continue;
    w->step = level == TOLD_CLOSED ? NETWORK_CLOSED : level == 0 ? NETWORK_OPENED : NETWORK_ESCALATED;
    w->level = level == TOLD_CLOSED ? 0 : level;
    k->told[k->count++] = level;
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

struct tell_one { struct network *n; const struct network_news *news; int64_t told; };

static int tell_work(struct store_tx *tx, void *arg, struct err *err) {
  struct tell_one *k = arg;
  if (store_put(tx, err, "UPDATE network_incident SET told=?2 WHERE id=?1", "ii", k->news->incident, k->told)) return -1;
  if (k->news->step == NETWORK_ESCALATED) {
    char id[48];
    snprintf(id, sizeof id, "i%lld-escalated-%d", (long long)k->news->incident, k->news->level);
    json_t *detail = json_pack("{s:i}", "level", k->news->level);
    struct event e = {.id = id, .incident = k->news->incident, .kind = "escalated", .subject = k->news->office, .detail = detail};
    int rc = network_event_put(tx, &e, err);
    json_decref(detail);
    if (rc) return -1;
  }
  return k->n->o.tell ? k->n->o.tell(k->n->o.tell_ctx, k->n, tx, k->news, err) : 0;
}

static int tell_people(struct network *n, int64_t *did, struct err *err) {
  struct telling *k = base_alloc(sizeof *k);
  *k = (struct telling){.n = n, .a = arena_new(1 << 20), .now = clock_now()};
  int rc = store_read(n->main, due_work, k, err);
  for (int i = 0; rc == 0 && i < k->count; i++) {
    struct tell_one one = {n, &k->news[i], k->told[i]};
    rc = store_write(n->main, STORE_JOBS, tell_work, &one, err);
    (*did)++;
  }
  arena_free(k->a);
  free(k);
  return rc;
}

/* ---- handing over --------------------------------------------------------------------------------------------------------------- */

struct handing { struct network *n; int64_t id, now; struct network_news news; char by[80], text[NETWORK_NOTE_MOST + 1], tracking[40]; struct arena *a; bool found; };

static int hand_due_work(struct store_tx *tx, void *arg, struct err *err) {
  struct handing *k = arg;
  k->found = false;
  arena_reset(k->a);
  int64_t old = k->n->o.hand_after_ms > 0 ? k->now - k->n->o.hand_after_ms : INT64_MIN;
  struct store_rows *r = store_select(tx, err, "SELECT id,hand_by,hand_note FROM network_incident WHERE ended=0 AND id>?2 AND (hand=1 OR (hand=0 AND kind='down' AND began<?1)) ORDER BY id LIMIT 1", "ii", old, k->id);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    k->found = true;
    k->id = store_int(r, 0);
    snprintf(k->by, sizeof k->by, "%s", store_text(r, 1));
    snprintf(k->text, sizeof k->text, "%s", store_text(r, 2));
  }
  store_done(r);
  if (rc < 0) return -1;
  return k->found && network_news_of(tx, k->n, k->id, &k->news, k->a, err) < 0 ? -1 : 0;
}

static int handed_work(struct store_tx *tx, void *arg, struct err *err) {
  struct handing *k = arg;
  char id[48];
  if (store_put(tx, err, "UPDATE network_incident SET hand=2,tracking=?2 WHERE id=?1", "it", k->id, k->tracking)) return -1;
  snprintf(id, sizeof id, "i%lld-case", (long long)k->id);
  json_t *detail = json_object();
  json_put(detail, "case", k->tracking);
  struct event e = {.id = id, .incident = k->id, .kind = "case", .subject = k->news.office, .who = k->by, .detail = detail};
  int rc = network_event_put(tx, &e, err);
  json_decref(detail);
  return rc;
}

static int hand_over(struct network *n, int64_t *did, struct err *err) {
  if (!n->o.hand) return 0;
  struct handing *k = base_alloc(sizeof *k);
  *k = (struct handing){.n = n, .now = clock_now(), .a = arena_new(1 << 16)};
  int rc;
  while ((rc = store_read(n->main, hand_due_work, k, err)) == 0 && k->found) {
    struct err why;
    if (n->o.hand(n->o.hand_ctx, &k->news, k->by, k->text[0] ? k->text : NULL, k->tracking, &why)) {
      log_write(LOG_WARN, "network", "incident %lld is not a case yet: %s", (long long)k->id, why.message); /* tried again in the next round */
      continue;
    }
    (*did)++;
    if ((rc = store_write(n->main, STORE_JOBS, handed_work, k, err))) break;
  }
  arena_free(k->a);
  free(k);
  return rc;
}

int network_jobs(struct network *n, int64_t *did, struct err *err) {
  int64_t epoch, count = 0;
  if (did) *did = 0;
  int held = store_lease(n->main, "network-jobs", n->node_name, LEASE_MS, &epoch, err);
  if (held <= 0) return held;
  int rc = tell_people(n, &count, err) || alarms_jobs(n, &count, err) || hand_over(n, &count, err) ? -1 : 0;
  pthread_rwlock_rdlock(&n->plan);
  if (rc == 0) rc = calendar_jobs(n, &count, err) || waiting_jobs(n, &count, err) ? -1 : rollup_jobs(n, &count, err);
  pthread_rwlock_unlock(&n->plan);
  if (did) *did = count;
  return rc;
}
