/* Figures of what passes: the last minute and hour from memory, the day from hourly rows. For each side, service and client. */
#include "exchange/ends.h"

#include <stdlib.h>
#include <string.h>

enum { SPANS = 12, FINE_MS = 5000, COARSE_MS = 300000, HOUR_MS = 3600000, BUCKETS = 24, MOST_SERIES = 2000, FLUSH_MS = 10000, KEEP_HOURS = 24 * 32 };

struct span { int64_t at; int64_t count, errors, in, out; uint32_t buckets[BUCKETS]; };
struct series {
  UT_hash_handle hh;
  char *key, *service, *client;
  enum side side;
  struct span fine[SPANS], coarse[SPANS], hour; /* hour: not yet written */
  char code[100], message[200];
  int64_t error_at, used;
  int64_t total, total_errors, total_micros, total_in, total_out;
};
struct monitor { pthread_mutex_t lock; struct series *all; size_t count; int64_t flushed, swept; };

/* Quarter powers of four from 1/4 ms on: 0.25, 0.35, 0.5 … some 41 % apart. */
static int bucket_of(int64_t micros) {
  int b = 0;
  for (int64_t edge = 250; b < BUCKETS - 1 && micros > edge; b++) edge = edge * 181 / 128;
  return b;
}

static double bucket_ms(int b) {
  double ms = 0.25;
  while (b-- > 0) ms *= 181.0 / 128;
  return ms;
}

static struct span *span_at(struct span *ring, int64_t now, int64_t width) {
  struct span *s = &ring[now / width % SPANS];
  if (s->at != now / width) *s = (struct span){.at = now / width};
  return s;
}

static void span_add(struct span *s, const struct counted *c) {
  s->count++;
  s->errors += c->fault != NULL;
  s->in += c->bytes_in;
  s->out += c->bytes_out;
  s->buckets[bucket_of(c->micros)]++;
}

static void series_free(struct monitor *m, struct series *s) {
  HASH_DEL(m->all, s);
  m->count--;
  free(s->key);
  free(s->service);
  free(s->client);
  free(s);
}

/* Room for another: the one that was silent longest goes when nothing of it is shown from memory any more. So not more than that many begin in an hour, nor in the store. */
static bool make_room(struct monitor *m, int64_t now) {
  struct series *oldest = NULL;
  if (m->count < MOST_SERIES) return true;
  for (struct series *s = m->all; s; s = s->hh.next)
    if (!s->hour.count && now - s->used >= HOUR_MS && (!oldest || s->used < oldest->used)) oldest = s;
  if (oldest) series_free(m, oldest);
  return oldest != NULL;
}

static struct series *series_of(struct monitor *m, const struct counted *c, int64_t now) {
  char service[EXCHANGE_ID + 1] = "-", client[EXCHANGE_ID + 1] = "-", key[2 * EXCHANGE_ID + 10];
  struct series *s = NULL;
  if (c->service) exchange_id_text(c->service, service);
  if (c->client) exchange_id_text(c->client, client);
  /* what was refused for names that nobody has is one line, not one for each name that somebody thinks of */
  bool nameless = c->fault && (strstr(c->fault->code, "unknown_") || strstr(c->fault->code, "identifier") || strstr(c->fault->code, "internal_error") || strstr(c->fault->code, "clientproxy.ssl_auth"));
  for (int round = 0; round < 2; round++) {
    if (nameless) snprintf(service, sizeof service, "-"), snprintf(client, sizeof client, "-");
    snprintf(key, sizeof key, "%d %s %s", c->side, service, client);
    HASH_FIND_STR(m->all, key, s);
    if (s) return s;
    if (nameless || make_room(m, now)) break;
    nameless = true;
  }
  s = base_alloc(sizeof *s);
  s->key = base_strdup(key);
  s->service = base_strdup(service);
  s->client = base_strdup(client);
  s->side = c->side;
  HASH_ADD_KEYPTR(hh, m->all, s->key, strlen(s->key), s);
  m->count++;
  return s;
}

void monitor_count(struct exchange *x, const struct counted *c) {
  struct monitor *m = x->monitor;
  int64_t now = c->at ? c->at : clock_now();
  atomic_fetch_add_explicit(&x->sides->handled, 1, memory_order_relaxed);
  if (!m) return;
  pthread_mutex_lock(&m->lock);
  struct series *s = series_of(m, c, now);
  s->used = now;
  span_add(span_at(s->fine, now, FINE_MS), c);
  span_add(span_at(s->coarse, now, COARSE_MS), c);
  s->hour.at = s->hour.count ? s->hour.at : now / HOUR_MS;
  span_add(&s->hour, c);
  s->total++;
  s->total_errors += c->fault != NULL;
  s->total_micros += c->micros;
  s->total_in += c->bytes_in;
  s->total_out += c->bytes_out;
  if (c->fault) {
    snprintf(s->code, sizeof s->code, "%s", c->fault->code);
    snprintf(s->message, sizeof s->message, "%.199s", c->fault->message);
    s->error_at = now;
  }
  pthread_mutex_unlock(&m->lock);
}

/* ---- hourly rows ---- */

struct row { int64_t hour; enum side side; char *service, *client; struct span span; };
struct rows { struct row *list; size_t count; };

static char *buckets_text(const uint32_t *b) {
  struct buf out = {0};
  for (int i = 0; i < BUCKETS; i++) buf_addf(&out, "%s%u", i ? " " : "", b[i]);
  return buf_take(&out);
}

static void buckets_add(uint32_t *b, const char *text) {
  for (int i = 0; i < BUCKETS && text && *text; i++) {
    char *end;
    b[i] += (uint32_t)strtoul(text, &end, 10);
    if (end == text) break;
    text = end;
  }
}

static const char *side_text(enum side s) { return s == SIDE_CONSUMER ? "consumer" : "producer"; }

static int write_row(struct store_tx *tx, struct row *r, struct err *err) {
  uint32_t sum[BUCKETS];
  memcpy(sum, r->span.buckets, sizeof sum);
  struct store_rows *rows = store_select(tx, err, "SELECT buckets FROM exchange_hour WHERE hour = ?1 AND side = ?2 AND service = ?3 AND client = ?4", "ittt", r->hour, side_text(r->side), r->service, r->client);
  int more = rows ? store_next(rows, err) : -1;
  if (more == 1) buckets_add(sum, store_text(rows, 0));
  store_done(rows);
  if (more < 0) return -1;
  char *text = buckets_text(sum);
  int rc = store_exec(tx, err, "INSERT INTO exchange_hour (hour, side, service, client, count, errors, bytes_in, bytes_out, buckets) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
                      "ON CONFLICT (hour, side, service, client) DO UPDATE SET count = exchange_hour.count + excluded.count, errors = exchange_hour.errors + excluded.errors, "
                      "bytes_in = exchange_hour.bytes_in + excluded.bytes_in, bytes_out = exchange_hour.bytes_out + excluded.bytes_out, buckets = excluded.buckets", "itttiiiit",
                      r->hour, side_text(r->side), r->service, r->client, r->span.count, r->span.errors, r->span.in, r->span.out, text);
  free(text);
  return rc < 0 ? -1 : 0;
}

static int flush_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct rows *all = arg;
  for (size_t i = 0; i < all->count; i++)
    if (write_row(tx, &all->list[i], err)) return -1;
  return 0;
}

static int sweep_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM exchange_hour WHERE hour < ?1", "i", store_time(tx) / HOUR_MS - KEEP_HOURS) < 0 ? -1 : 0;
}

static void flush(struct exchange *x) {
  struct monitor *m = x->monitor;
  struct rows all = {0};
  struct err err;
  pthread_mutex_lock(&m->lock);
  all.list = base_alloc((m->count + 1) * sizeof *all.list);
  for (struct series *s = m->all; s; s = s->hh.next) {
    if (!s->hour.count) continue;
    all.list[all.count++] = (struct row){s->hour.at, s->side, base_strdup(s->service), base_strdup(s->client), s->hour};
    s->hour = (struct span){0};
  }
  pthread_mutex_unlock(&m->lock);
  if (all.count && store_write(x->store, STORE_JOBS, flush_work, &all, &err)) log_write(LOG_WARN, "exchange", "figures of %zu lines are lost: %s", all.count, err.message);
  for (size_t i = 0; i < all.count; i++) {
    free(all.list[i].service);
    free(all.list[i].client);
  }
  free(all.list);
}

void monitor_jobs(struct exchange *x) {
  struct monitor *m = x->monitor;
  struct err err;
  int64_t now = clock_mono();
  if (now - m->flushed < FLUSH_MS) return;
  m->flushed = now;
  flush(x);
  if (now - m->swept < HOUR_MS && m->swept) return;
  m->swept = now;
  if (store_write(x->store, STORE_JOBS, sweep_work, NULL, &err)) log_write(LOG_WARN, "exchange", "%s", err.message);
}

int monitor_open(struct exchange *x, struct err *err) {
  x->monitor = base_alloc(sizeof *x->monitor);
  pthread_mutex_init(&x->monitor->lock, NULL);
  return 0;
}

void monitor_close(struct exchange *x) {
  struct monitor *m = x->monitor;
  struct series *s, *tmp;
  if (!m) return;
  if (x->store) flush(x);
  HASH_ITER(hh, m->all, s, tmp) series_free(m, s);
  pthread_mutex_destroy(&m->lock);
  free(m);
  x->monitor = NULL;
}

/* ---- telling ---- */

static struct span sum_of(const struct span *ring, int64_t now, int64_t width) {
  struct span all = {0};
  for (int i = 0; i < SPANS; i++) {
    if (ring[i].at <= now / width - SPANS || ring[i].at > now / width) continue;
    all.count += ring[i].count;
    all.errors += ring[i].errors;
    all.in += ring[i].in;
    all.out += ring[i].out;
    for (int b = 0; b < BUCKETS; b++) all.buckets[b] += ring[i].buckets[b];
  }
  return all;
}

static double percentile(const struct span *s, double p) {
  int64_t wanted = (int64_t)((double)s->count * p + 0.999), seen = 0;
  for (int b = 0; b < BUCKETS && s->count; b++) {
    seen += s->buckets[b];
    if (seen >= wanted) return bucket_ms(b);
  }
  return 0;
}

static void put_span(json_t *o, const struct span *s, double seconds) {
  json_object_set_new(o, "count", json_integer(s->count));
  json_object_set_new(o, "rate", json_real((double)s->count / seconds));
  json_object_set_new(o, "errors", json_integer(s->errors));
  json_object_set_new(o, "p50_ms", json_real(percentile(s, 0.5)));
  json_object_set_new(o, "p95_ms", json_real(percentile(s, 0.95)));
  json_object_set_new(o, "p99_ms", json_real(percentile(s, 0.99)));
  json_object_set_new(o, "bytes_in", json_integer(s->in));
  json_object_set_new(o, "bytes_out", json_integer(s->out));
}

/* Which side found it, in which check, and what to do: by the last word of the code. */
static json_t *error_told(const struct series *s, enum lang l) {
  if (!s->error_at) return json_null();
  const char *last = strrchr(s->code, '.');
  char key[140], at[32];
  json_t *o = json_object();
  clock_rfc3339(s->error_at, at);
  json_put(o, "code", s->code);
  json_put(o, "message", s->message);
  json_put(o, "at", at);
  json_put(o, "side", base_starts(s->code, "server.serverproxy") ? "producer" : "consumer");
  snprintf(key, sizeof key, "exchange.check.%s", last ? last + 1 : s->code);
  json_put(o, "check", word(l, key));
  snprintf(key, sizeof key, "exchange.advice.%s", last ? last + 1 : s->code);
  json_put(o, "advice", word(l, key));
  return o;
}

struct day { struct monitor *m; json_t *by_key; };

static int day_work(struct store_tx *tx, void *arg, struct err *err) {
  json_t *by_key = arg;
  int more;
  json_object_clear(by_key);
  struct store_rows *rows = store_select(tx, err, "SELECT side, service, client, count, errors, bytes_in, bytes_out, buckets FROM exchange_hour WHERE hour > ?1", "i", store_time(tx) / HOUR_MS - 24);
  while (rows && (more = store_next(rows, err)) == 1) {
    char *key = base_printf("%d %s %s", strcmp(store_text(rows, 0), "consumer") ? SIDE_PRODUCER : SIDE_CONSUMER, store_text(rows, 1), store_text(rows, 2));
    json_t *o = json_object_get(by_key, key), *list;
    if (!o) {
      o = json_pack("{s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:[]}", "side", store_text(rows, 0), "service", store_text(rows, 1), "client", store_text(rows, 2), "n", 0, "e", 0, "in", 0, "out", 0, "b");
      json_object_set_new(by_key, key, o);
    }
    static const char *const names[] = {"n", "e", "in", "out"};
    for (int i = 0; i < 4; i++) json_object_set_new(o, names[i], json_integer(json_int(o, names[i], 0) + store_int(rows, 3 + i)));
    uint32_t b[BUCKETS] = {0};
    list = json_object_get(o, "b");
    for (int i = 0; i < BUCKETS; i++) b[i] = (uint32_t)json_integer_value(json_array_get(list, (size_t)i));
    buckets_add(b, store_text(rows, 7));
    json_array_clear(list);
    for (int i = 0; i < BUCKETS; i++) json_array_append_new(list, json_integer(b[i]));
    free(key);
  }
  store_done(rows);
  return rows && more == 0 ? 0 : -1;
}

static struct span day_sum(const json_t *o) {
  struct span s = {.count = json_int(o, "n", 0), .errors = json_int(o, "e", 0), .in = json_int(o, "in", 0), .out = json_int(o, "out", 0)};
  for (int i = 0; i < BUCKETS; i++) s.buckets[i] = (uint32_t)json_integer_value(json_array_get(json_object_get(o, "b"), (size_t)i));
  return s;
}

static void span_join(struct span *to, const struct span *more) {
  to->count += more->count;
  to->errors += more->errors;
  to->in += more->in;
  to->out += more->out;
  for (int b = 0; b < BUCKETS; b++) to->buckets[b] += more->buckets[b];
}

static json_t *series_told(const char *service, const char *client, const char *side, const struct span *minute, const struct span *hour, const struct span *day, json_t *error) {
  json_t *o = json_object(), *h = json_object(), *d = json_object();
  json_put(o, "service", service);
  json_put(o, "client", client);
  json_put(o, "side", side);
  put_span(o, minute, SPANS * FINE_MS / 1000.0);
  put_span(h, hour, SPANS * COARSE_MS / 1000.0);
  put_span(d, day, 86400);
  json_object_set_new(o, "hour", h);
  json_object_set_new(o, "day", d);
  json_object_set_new(o, "last_error", error);
  return o;
}

static json_t *services_told(struct exchange *x, enum lang l, json_t *days) {
  struct monitor *m = x->monitor;
  json_t *list = json_array(), *o;
  const char *key;
  int64_t now = clock_now();
  struct span none = {0};
  pthread_mutex_lock(&m->lock);
  for (struct series *s = m->all; s; s = s->hh.next) {
    struct span minute = sum_of(s->fine, now, FINE_MS), hour = sum_of(s->coarse, now, COARSE_MS), day = day_sum(json_object_get(days, s->key));
    span_join(&day, &s->hour);
    json_object_del(days, s->key);
    json_array_append_new(list, series_told(s->service, s->client, side_text(s->side), &minute, &hour, &day, error_told(s, l)));
  }
  pthread_mutex_unlock(&m->lock);
  json_object_foreach(days, key, o) { /* from before this process began */
    struct span day = day_sum(o);
    json_array_append_new(list, series_told(json_str(o, "service"), json_str(o, "client"), json_str(o, "side"), &none, &none, &day, json_null()));
  }
  return list;
}

static json_t *directory_told(struct exchange *x) {
  struct members *m = members_hold(x);
  static const char *const states[] = {[MEMBERS_FRESH] = "fresh", [MEMBERS_OLD] = "old", [MEMBERS_EXPIRED] = "expired", [MEMBERS_NONE] = "none"};
  enum members_state state = members_state(x, m);
  json_t *o = json_object(), *whole = NULL;
  struct err err;
  json_object_set_new(o, "version", json_integer(members_version(m)));
  json_put(o, "state", states[state]);
  json_object_set_new(o, "alarm", json_boolean(state != MEMBERS_FRESH));
  members_drop(m);
  if (exchange_directory(x, &whole, &err) == 0) {
    json_object_set(o, "age_s", json_object_get(whole, "age_s"));
    json_object_set(o, "problem", json_object_get(whole, "problem"));
  }
  json_decref(whole);
  return o;
}

int exchange_monitor(struct exchange *x, enum lang l, json_t **out, struct err *err) {
  json_t *days = json_object(), *o, *part;
  int64_t size = 0, waiting, oldest, failed = atomic_load(&x->sides->stamp_failed);
  char at[32];
  if (store_read(x->store, day_work, days, err)) {
    json_decref(days);
    return -1;
  }
  *out = o = json_object();
  json_put(o, "server", x->server);
  json_object_set_new(o, "services", services_told(x, l, days));
  json_decref(days);
  json_object_set_new(o, "directory", directory_told(x));
  part = json_object();
  json_object_set_new(part, "asked", json_boolean(x->o.tsa));
  json_object_set_new(part, "behind", json_boolean(failed != 0));
  clock_rfc3339(failed, at);
  json_put(part, "since", failed ? at : NULL);
  json_put(part, "error", failed ? x->sides->stamp_error : NULL);
  int64_t unstamped = 0, oldest_leaf = 0;
  if (x->o.tsa) trust_unstamped(x->ledger, &unstamped, &oldest_leaf, NULL);
  clock_rfc3339(oldest_leaf, at);
  json_object_set_new(part, "leaves", json_integer(unstamped));
  json_put(part, "oldest", oldest_leaf ? at : NULL);
  json_object_set_new(o, "timestamps", part);
  part = json_object();
  trust_size(x->ledger, &size, NULL);
  json_object_set_new(part, "size", json_integer(size));
  json_put(part, "origin", trust_origin(x->ledger));
  json_object_set_new(o, "ledger", part);
  json_object_set_new(o, "peers", members_peers(x));
  if (exchange_log_status(x, &part, NULL) == 0) json_object_set_new(o, "log", part);
  if (exchange_ends(x, true, &part, NULL) == 0) json_object_set_new(o, "ends", part);
  part = json_object();
  async_figures(x, &waiting, &oldest);
  json_object_set_new(part, "waiting", json_integer(waiting));
  json_object_set_new(part, "oldest_s", json_integer(oldest));
  json_object_set_new(o, "async", part);
  json_object_set_new(o, "maintenance", exchange_maintenance_now(x));
  return 0;
}

void monitor_metrics(struct exchange *x, struct buf *out) {
  struct monitor *m = x->monitor;
  int threads, busy, waiting;
  int64_t size = 0, later, oldest;
  buf_adds(out, "# TYPE chapar_exchange_messages_total counter\n# TYPE chapar_exchange_errors_total counter\n# TYPE chapar_exchange_seconds_total counter\n# TYPE chapar_exchange_bytes_total counter\n");
  pthread_mutex_lock(&m->lock);
  for (struct series *s = m->all; s; s = s->hh.next) {
    char labels[2 * EXCHANGE_ID + 80];
    snprintf(labels, sizeof labels, "{side=\"%s\",service=\"%s\",client=\"%s\"", side_text(s->side), s->service, s->client);
    for (char *c = labels + 1; *c; c++)
      if (*c == '\n') *c = ' ';
    buf_addf(out, "chapar_exchange_messages_total%s} %lld\nchapar_exchange_errors_total%s} %lld\nchapar_exchange_seconds_total%s} %.6f\n", labels, (long long)s->total, labels,
             (long long)s->total_errors, labels, (double)s->total_micros / 1e6);
    buf_addf(out, "chapar_exchange_bytes_total%s,direction=\"in\"} %lld\nchapar_exchange_bytes_total%s,direction=\"out\"} %lld\n", labels, (long long)s->total_in, labels, (long long)s->total_out);
  }
  pthread_mutex_unlock(&m->lock);
  const struct { const char *name; struct tasks *t; } pools[] = {{"consumer", x->sides->consumers}, {"producer", x->sides->producers}, {"later", x->sides->later}};
  for (size_t i = 0; i < BASE_COUNT(pools); i++) {
    tasks_count(pools[i].t, &threads, &busy, &waiting);
    buf_addf(out, "chapar_exchange_threads{side=\"%s\"} %d\nchapar_exchange_calls{side=\"%s\"} %d\nchapar_exchange_queue{side=\"%s\"} %d\n", pools[i].name, threads, pools[i].name, busy, pools[i].name, waiting);
  }
  struct members *snapshot = members_hold(x);
  buf_addf(out, "chapar_exchange_directory_version %lld\nchapar_exchange_directory_fresh %d\n", (long long)members_version(snapshot), members_state(x, snapshot) == MEMBERS_FRESH);
  members_drop(snapshot);
  json_t *maintenance = exchange_maintenance_now(x);
  buf_addf(out, "chapar_exchange_maintenance %d\n", json_is_object(maintenance));
  json_decref(maintenance);
  if (trust_size(x->ledger, &size, NULL) == 0) buf_addf(out, "chapar_exchange_ledger_leaves %lld\n", (long long)size);
  ends_metrics(x, out);
  replay_metrics(x, out);
  async_figures(x, &later, &oldest);
  buf_addf(out, "chapar_exchange_async_waiting %lld\nchapar_exchange_timestamps_behind %d\n", (long long)later, atomic_load(&x->sides->stamp_failed) != 0);
  if (x->o.tsa && trust_unstamped(x->ledger, &size, &oldest, NULL) == 0)
    buf_addf(out, "chapar_exchange_unstamped_leaves %lld\nchapar_exchange_unstamped_seconds %lld\n", (long long)size, oldest ? (long long)(clock_now() - oldest) / 1000 : 0LL);
}
