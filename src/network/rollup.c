/* Hours from raw results and spans of states, days from hours, months from days: each block can be made again from what it was made of. */
#include "network/inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRACE_MS = 120000, DAY_MS = 86400000 };

/* ---- calendar ------------------------------------------------------------------------------------------------------- */

int64_t month_start_of(int64_t ms) {
  struct date j = day_to_jalali(day_of(ms));
  j.day = 1;
  return day_start(day_from_jalali(j));
}

int64_t month_next(int64_t start) { return month_start_of(start + 40 * (int64_t)DAY_MS); }
static int64_t day_next(int64_t start) { return day_start(day_of(start) + 1); }

int64_t hour_start(int64_t ms) { return ms - (ms + HOUR_MS / 2) % HOUR_MS; } /* Tehran's: half past, in UTC */

int64_t network_now(struct network *n) {
  pthread_mutex_lock(&n->lock);
  int64_t now = network_label(n);
  pthread_mutex_unlock(&n->lock);
  return now;
}

/* Milliseconds of [from, to), which lies within a few hours, that are service hours of the office. */
int64_t service_overlap(const struct network *n, int node, int64_t from, int64_t to) {
  int64_t sum = 0;
  for (int32_t day = day_of(from); day <= day_of(to - 1); day++) {
    bool works = n->o.works ? n->o.works(n->o.works_ctx, n->nodes[node].o.organisation, day) : day_weekday(day) != 4 && day_weekday(day) != 5;
    if (!works) continue;
    int64_t begin = day_start(day) + n->o.service_from * (int64_t)60000, end = day_start(day) + n->o.service_to * (int64_t)60000;
    if (begin < from) begin = from;
    if (end > to) end = to;
    if (end > begin) sum += end - begin;
  }
  return sum;
}

/* ---- an hour -------------------------------------------------------------------------------------------------------------- */

struct hour {
  struct network *n;
  int64_t start, end;
  int count;
  bool bins;
  struct sums *sums;
  int32_t *by_key;                     /* node of a key, or -1 */
  uint32_t keys;
  int64_t *since;                      /* of the state that each has at the place where we are */
  unsigned char *state;
};

static void spend(struct hour *k, int node, int64_t until) {
  int64_t from = k->since[node] > k->start ? k->since[node] : k->start;
  if (until > k->end) until = k->end;
  if (until <= from || k->state[node] >= NETWORK_STATES) return;
  k->sums[node].ms[k->state[node]][0] += until - from;
  k->sums[node].ms[k->state[node]][1] += service_overlap(k->n, node, from, until);
}

/* The state at the beginning (one place in the key for each office: a join would go through all spans of ten years), then what changes within. What has no span before is unknown. */
static int spans_work(struct store_tx *tx, void *arg, struct err *err) {
  struct hour *k = arg;
  memset(k->state, NETWORK_UNKNOWN, (size_t)k->count);
  for (int i = 0; i < k->count; i++) {
    k->since[i] = k->start;
    memset(k->sums[i].ms, 0, sizeof k->sums[i].ms);
  }
  struct store_rows *r = store_select(tx, err,
    "SELECT w.office,(SELECT s.state FROM network_span s WHERE s.office=w.office AND s.since<=?1 ORDER BY s.since DESC LIMIT 1) FROM network_now w", "i", k->start);
  int rc = r ? 0 : -1;
  while (rc == 0 && (rc = store_next(r, err)) == 1) {
    const struct node *node = network_at(k->n, store_text(r, 0));
    if (node && node->o.node < k->count && !store_null(r, 1)) k->state[node->o.node] = (unsigned char)store_int(r, 1);
    rc = 0;
  }
  store_done(r);
  if (rc < 0) return -1;
  r = store_select(tx, err, "SELECT office,since,state FROM network_span WHERE since>?1 AND since<?2 ORDER BY since,office", "ii", k->start, k->end);
  rc = r ? 0 : -1;
  while (rc == 0 && (rc = store_next(r, err)) == 1) {
    const struct node *node = network_at(k->n, store_text(r, 0));
    if (node && node->o.node < k->count) {
      int i = node->o.node;
      spend(k, i, store_int(r, 1));
      k->since[i] = store_int(r, 1);
      k->state[i] = (unsigned char)store_int(r, 2);
    }
    rc = 0;
  }
  store_done(r);
  for (int i = 0; rc == 0 && i < k->count; i++) spend(k, i, k->end);
  return rc < 0 ? -1 : 0;
}

static void add_sample(struct sums *s, const struct sample *m, bool bins) {
  s->probes++;
  s->sent += (uint32_t)m->sent;
  s->lost += (uint32_t)m->lost;
  if (m->lost >= m->sent || isnan(m->median)) return;
  if (!s->answered || m->min < s->min) s->min = m->min;
  if (!s->answered || m->max > s->max) s->max = m->max;
  s->answered++;
  s->rtt_sum += m->median;
  s->jitter_sum += isnan(m->jitter) ? 0 : m->jitter;
  if (bins) s->bins[bin_of(m->median)]++;
}

static int raw_work(struct store_tx *tx, void *arg, struct err *err) {
  struct hour *k = arg;
  for (int i = 0; i < k->count; i++) {
    struct sums *s = &k->sums[i];
    s->probes = s->sent = s->lost = s->answered = 0;
    s->rtt_sum = s->jitter_sum = 0;
    memset(s->bins, 0, sizeof s->bins);
  }
  /* a row begins and ends within an hour */
  struct store_rows *r = store_select(tx, err, "SELECT at,bytes FROM network_raw WHERE at>=?1 AND at<?2 AND until>=?3", "iii", hour_start(k->start), k->end, k->start);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    size_t size;
    struct sample m;
    const unsigned char *at = store_blob(r, 1, &size), *end = at + size;
    while (at && raw_next(&at, end, store_int(r, 0), &m))
      if (m.at >= k->start && m.at < k->end && m.key < k->keys && k->by_key[m.key] >= 0) add_sample(&k->sums[k->by_key[m.key]], &m, k->bins);
  }
  store_done(r);
  return rc;
}

int rollup_hour(struct network *n, int64_t start, int64_t end, bool bins, struct sums **out, struct err *err) {
  struct hour k = {.n = n, .start = start, .end = end, .bins = bins};
  k.count = n->real;
  for (int i = 0; i < k.count; i++)
    if (n->nodes[i].key >= k.keys) k.keys = n->nodes[i].key + 1;
  k.sums = base_alloc(((size_t)k.count + 1) * sizeof *k.sums);
  k.by_key = base_alloc(((size_t)k.keys + 1) * sizeof *k.by_key);
  k.since = base_alloc(((size_t)k.count + 1) * sizeof *k.since);
  k.state = base_alloc((size_t)k.count + 1);
  for (uint32_t i = 0; i < k.keys; i++) k.by_key[i] = -1;
  for (int i = 0; i < k.count; i++) {
    k.sums[i].key = n->nodes[i].key;
    k.sums[i].min = k.sums[i].max = NAN;
    k.by_key[n->nodes[i].key] = n->nodes[i].active ? i : -1;
  }
  int rc = store_read(n->samples, spans_work, &k, err) || store_read(n->samples, raw_work, &k, err) ? -1 : k.count;
  free(k.by_key);
  free(k.since);
  free(k.state);
  if (rc < 0) free(k.sums);
  else *out = k.sums;
  return rc;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------------------ */

struct block { int64_t span, start, end; const void *bytes; size_t size; sums_fn fn; void *ctx; bool bins; int64_t next; };

static int write_work(struct store_tx *tx, void *arg, struct err *err) {
  struct block *b = arg;
  if (store_put(tx, err, "INSERT INTO network_block (span,start,bytes) VALUES (?1,?2,?3) ON CONFLICT (span,start) DO UPDATE SET bytes=excluded.bytes", "iib", b->span, b->start, b->bytes, b->size) ||
      store_put(tx, err, "DELETE FROM network_dirty WHERE span=?1 AND start=?2", "ii", b->span, b->start)) return -1;
  return b->next ? store_put(tx, err, "INSERT INTO network_dirty (span,start) VALUES (?1,?2) ON CONFLICT (span,start) DO NOTHING", "ii", b->span + 1, b->next) : 0;
}

static int read_work(struct store_tx *tx, void *arg, struct err *err) {
  struct block *b = arg;
  struct store_rows *r = store_select(tx, err, "SELECT bytes FROM network_block WHERE span=?1 AND start>=?2 AND start<?3 ORDER BY start", "iii", b->span, b->start, b->end);
  if (!r) return -1;
  int rc;
  struct sums s;
  while ((rc = store_next(r, err)) == 1) {
    size_t size;
    const unsigned char *at = store_blob(r, 0, &size), *end = at + size;
    while (at && block_next(&at, end, &s, b->bins)) b->fn(b->ctx, &s);
  }
  store_done(r);
  return rc;
}

static int blocks(struct network *n, int64_t span, int64_t from, int64_t to, bool bins, sums_fn fn, void *ctx, struct err *err) {
  struct block b = {.span = span, .start = from, .end = to, .fn = fn, .ctx = ctx, .bins = bins};
  return from < to ? store_read(n->samples, read_work, &b, err) : 0;
}

/* settle: what is not written yet may belong to it. */
static int running(struct network *n, int64_t from, int64_t to, bool bins, sums_fn fn, void *ctx, bool settle, struct err *err) {
  struct sums *s = NULL;
  if (from >= to) return 0;
  if (settle && network_settle(n, err)) return -1;
  int count = rollup_hour(n, from, to, bins, &s, err);
  for (int i = 0; i < count; i++)
    if (n->nodes[i].active) fn(ctx, &s[i]);
  if (count >= 0) free(s);
  return count < 0 ? -1 : 0;
}

/* first: the hour in which anything was measured first; from: the first hour whose sums are kept; hours, days: ends of what is made of each. dirty: days and months to be made anew, in order. */
enum { DIRTY_MOST = 1024 };
struct done { int64_t first, from, hours, days; struct { int64_t span, start; } dirty[DIRTY_MOST]; int dirty_count; };
struct each { struct network *n; bool bins; sums_fn fn; void *ctx; struct done done; };

static int dirty_sums_work(struct store_tx *tx, struct done *k, struct err *err) {
  int rc;
  k->dirty_count = 0;
  struct store_rows *r = store_select(tx, err, "SELECT span,start FROM network_dirty WHERE span>1 ORDER BY span,start LIMIT 1024", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    k->dirty[k->dirty_count].span = store_int(r, 0);
    k->dirty[k->dirty_count++].start = store_int(r, 1);
  }
  store_done(r);
  return rc;
}

static int done_work(struct store_tx *tx, void *arg, struct err *err) {
  struct done *k = arg;
  int64_t raw = 0, state = 0;
  if (store_value(tx, &k->hours, 0, err, "SELECT MAX(start) FROM network_block WHERE span=1", "") || store_value(tx, &k->from, 0, err, "SELECT MIN(start) FROM network_block WHERE span=1", "") ||
      store_value(tx, &k->days, 0, err, "SELECT MAX(start) FROM network_block WHERE span=2", "") || store_value(tx, &raw, 0, err, "SELECT MIN(at) FROM network_raw", "") ||
      store_value(tx, &state, 0, err, "SELECT MIN(since) FROM network_span WHERE since>0", "") || dirty_sums_work(tx, k, err)) return -1;
  k->first = k->from ? k->from : hour_start(raw);
  if (k->first && state && hour_start(state) < k->first) k->first = hour_start(state); /* hours are kept no longer, states are */
  if (k->hours) k->hours += HOUR_MS;
  if (k->days) k->days = day_next(k->days);
  if (k->days > day_start(day_of(k->hours))) k->days = day_start(day_of(k->hours)); /* today's is not whole */
  return 0;
}

/* Parts of hours, and what has no sums of hours yet or any more: from the states, and the results as long as these are kept. */
static int parts(const struct each *k, int64_t from, int64_t to, struct err *err) {
  return running(k->n, from > k->done.first ? from : k->done.first, to, k->bins, k->fn, k->ctx, to > k->done.hours, err);
}

static int hours(const struct each *k, int64_t from, int64_t to, struct err *err) {
  int64_t begin = hour_start(from + HOUR_MS - 1), end = hour_start(to);
  if (begin < k->done.from) begin = k->done.from;
  if (end > k->done.hours) end = k->done.hours;
  if (begin >= end) return parts(k, from, to, err);
  return parts(k, from, begin, err) || blocks(k->n, BLOCK_HOUR, begin, end, k->bins, k->fn, k->ctx, err) || parts(k, end, to, err) ? -1 : 0;
}

/* Whole days, or whole months; what is to be made anew is summed of what it is made of. */
static int wholes(const struct each *k, int64_t span, int64_t from, int64_t to, struct err *err) {
  for (int i = 0; i < k->done.dirty_count; i++) {
    int64_t start = k->done.dirty[i].start, end = span == BLOCK_DAY ? day_next(start) : month_next(start);
    if (k->done.dirty[i].span != span || start < from || start >= to) continue;
    if (blocks(k->n, span, from, start, k->bins, k->fn, k->ctx, err) || (span == BLOCK_DAY ? hours(k, start, end, err) : wholes(k, BLOCK_DAY, start, end, err))) return -1;
    from = end;
  }
  return blocks(k->n, span, from, to, k->bins, k->fn, k->ctx, err);
}

static int days(const struct each *k, int64_t from, int64_t to, struct err *err) {
  int64_t month = month_start_of(from) == from ? from : month_next(month_start_of(from)), last = month_start_of(to);
  if (month >= last) return wholes(k, BLOCK_DAY, from, to, err);
  return wholes(k, BLOCK_DAY, from, month, err) || wholes(k, BLOCK_MONTH, month, last, err) || wholes(k, BLOCK_DAY, last, to, err) ? -1 : 0;
}

int rollup_each(struct network *n, int64_t from, int64_t to, bool bins, sums_fn fn, void *ctx, struct err *err) {
  struct each k = {.n = n, .bins = bins, .fn = fn, .ctx = ctx};
  int64_t now = network_now(n);
  if (to > now) to = now;
  if (from >= to) return 0;
  if (store_read(n->samples, done_work, &k.done, err)) return -1;
  if (!k.done.first) return 0;
  int64_t begin = day_start(day_of(from)) == from ? from : day_next(from), end = day_start(day_of(to)) < k.done.days ? day_start(day_of(to)) : k.done.days;
  if (begin >= end) return hours(&k, from, to, err);
  return hours(&k, from, begin, err) || days(&k, begin, end, err) || hours(&k, end, to, err) ? -1 : 0;
}

/* ---- the job --------------------------------------------------------------------------------------------------------------------- */

struct dirty { int64_t span, start; bool found; int64_t hours, first; };

static int dirty_work(struct store_tx *tx, void *arg, struct err *err) {
  struct dirty *k = arg;
  k->found = false;
  struct store_rows *r = store_select(tx, err, "SELECT span,start FROM network_dirty ORDER BY span,start LIMIT 1", "");
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    k->found = true;
    k->span = store_int(r, 0);
    k->start = store_int(r, 1);
  }
  store_done(r);
  if (rc < 0) return -1;
  return store_value(tx, &k->hours, 0, err, "SELECT MAX(start) FROM network_block WHERE span=1", "") || store_value(tx, &k->first, 0, err, "SELECT MIN(at) FROM network_raw", "") ? -1 : 0;
}

/* An hour of which raw results are gone: only how long each state lasted is counted anew, what was measured stays as it was summed. */
struct kept { struct sums *sums; int32_t *by_key; uint32_t keys; };

static void keep_measured(void *ctx, const struct sums *s) {
  struct kept *k = ctx;
  if (s->key >= k->keys || k->by_key[s->key] < 0) return;
  struct sums *to = &k->sums[k->by_key[s->key]], was = *to;
  *to = *s;
  memcpy(to->ms, was.ms, sizeof to->ms);
}

static int measured_before(struct network *n, int64_t start, struct sums *sums, int count, struct err *err) {
  struct kept k = {.sums = sums};
  for (int i = 0; i < count; i++)
    if (sums[i].key >= k.keys) k.keys = sums[i].key + 1;
  k.by_key = base_alloc(((size_t)k.keys + 1) * sizeof *k.by_key);
  for (uint32_t i = 0; i < k.keys; i++) k.by_key[i] = -1;
  for (int i = 0; i < count; i++) k.by_key[sums[i].key] = i;
  int rc = blocks(n, BLOCK_HOUR, start, start + 1, true, keep_measured, &k, err);
  free(k.by_key);
  return rc;
}

static int make_hour(struct network *n, int64_t start, struct err *err) {
  struct sums *s = NULL;
  struct buf b;
  buf_init(&b, 512u << 20);
  if (network_settle(n, err)) return -1;
  int count = rollup_hour(n, start, start + HOUR_MS, true, &s, err);
  if (count >= 0 && start < network_now(n) - n->o.raw_days * (int64_t)DAY_MS && measured_before(n, start, s, count, err)) {
    free(s);
    return -1;
  }
  if (count < 0) return -1;
  for (int i = 0; i < count; i++)
    if (n->nodes[i].active) block_put(&b, &s[i]);
  struct block k = {.span = BLOCK_HOUR, .start = start, .bytes = buf_str(&b), .size = b.len, .next = day_start(day_of(start))};
  int rc = store_write(n->samples, STORE_JOBS, write_work, &k, err);
  buf_free(&b);
  free(s);
  return rc;
}

struct adding { struct sums *sums; uint32_t room; };

static void add_block(void *ctx, const struct sums *s) {
  struct adding *k = ctx;
  if (s->key >= k->room) {
    uint32_t room = s->key + 1024;
    k->sums = base_realloc(k->sums, room * sizeof *k->sums);
    memset(k->sums + k->room, 0, (room - k->room) * sizeof *k->sums);
    k->room = room;
  }
  k->sums[s->key].key = s->key;
  sums_add(&k->sums[s->key], s);
}

static int make_sum(struct network *n, int64_t span, int64_t start, struct err *err) {
  struct adding k = {0};
  struct buf b;
  int64_t end = span == BLOCK_DAY ? day_next(start) : month_next(start);
  int rc = blocks(n, span - 1, start, end, true, add_block, &k, err);
  buf_init(&b, 512u << 20);
  for (uint32_t i = 0; rc == 0 && i < k.room; i++)
    if (k.sums[i].key) block_put(&b, &k.sums[i]);
  struct block w = {.span = span, .start = start, .bytes = buf_str(&b), .size = b.len, .next = span == BLOCK_DAY ? month_start_of(start) : 0};
  if (rc == 0) rc = store_write(n->samples, STORE_JOBS, write_work, &w, err);
  buf_free(&b);
  free(k.sums);
  return rc;
}

/* What is kept no longer, a piece at a time. A row of results begins before its last ones: it goes when the whole hour that it lies in is too old. */
struct keeping { int64_t raw, hour, day, cursor, gone; };

static int forget_work(struct store_tx *tx, void *arg, struct err *err) {
  struct keeping *k = arg;
  int64_t gone = store_exec(tx, err, "DELETE FROM network_raw WHERE id IN (SELECT id FROM network_raw WHERE at<?1 ORDER BY at LIMIT 500)", "i", k->raw);
  int64_t hours = gone < 0 ? -1 : store_exec(tx, err, "DELETE FROM network_block WHERE span=1 AND start<?1", "i", k->hour);
  int64_t days = hours < 0 ? -1 : store_exec(tx, err, "DELETE FROM network_block WHERE span>1 AND start<?1", "i", k->day);
  int64_t spans = days < 0 ? -1 : store_exec(tx, err, "DELETE FROM network_span WHERE since<?1 AND since<(SELECT MAX(t.since) FROM network_span t WHERE t.office=network_span.office AND t.since<?1)", "i", k->day);
  int64_t changes = spans < 0 ? -1 : store_exec(tx, err, "DELETE FROM network_change WHERE at<?1", "i", k->cursor);
  k->gone = gone + hours;
  return changes < 0 ? -1 : 0;
}

int rollup_jobs(struct network *n, int64_t *did, struct err *err) {
  struct dirty k = {0};
  int64_t now = network_now(n);
  if (store_read(n->samples, dirty_work, &k, err)) return -1;
  int64_t next = k.hours ? k.hours + HOUR_MS : k.first ? hour_start(k.first) : 0;
  if (k.found && k.span == BLOCK_HOUR && k.start + HOUR_MS + GRACE_MS <= now) {
    (*did)++;
    return make_hour(n, k.start, err);
  }
  if (next && next + HOUR_MS + GRACE_MS <= now) {
    (*did)++;
    return make_hour(n, next, err);
  }
  if (k.found && k.span > BLOCK_HOUR) {
    (*did)++;
    return make_sum(n, k.span, k.start, err);
  }
  if (now - n->forgotten < 600000) return 0;
  struct keeping f = {hour_start(now - n->o.raw_days * (int64_t)DAY_MS), now - n->o.hour_days * (int64_t)DAY_MS, now - n->o.day_years * 366 * (int64_t)DAY_MS, now - (int64_t)DAY_MS, 0};
  if (store_write(n->samples, STORE_JOBS, forget_work, &f, err)) return -1;
  if (!f.gone) n->forgotten = now;
  return 0;
}
