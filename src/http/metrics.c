#include "http/inner.h"

#include <string.h>
#include <strings.h>

/* Upper bounds in microseconds; the last bucket has none. */
static const int64_t bounds[HTTP_BUCKETS - 1] = {500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 5000000};

static const char *agent_class(const char *agent)
{
  static const char *const marks[][2] = {{"bot", "bot"}, {"spider", "bot"}, {"crawl", "bot"}, {"curl", "tool"}, {"wget", "tool"},
    {"python", "tool"}, {"mobile", "mobile"}, {"android", "mobile"}, {"mozilla", "browser"}};
  for (size_t i = 0; agent && i < BASE_COUNT(marks); i++)
    if (strcasestr(agent, marks[i][0])) return marks[i][1];
  return agent ? "other" : "none";
}

static void access_line(const struct http_req *r, const char *method, int64_t micros)
{
  char at[32];
  clock_rfc3339_ms(clock_now(), at);
  json_t *line = json_object();
  json_put(line, "at", at);
  json_put(line, "method", method);
  json_put(line, "route", r->row->route->path);
  json_object_set_new(line, "status", json_integer(r->status));
  json_object_set_new(line, "ms", json_real((double)micros / 1000.0));
  json_object_set_new(line, "bytes", json_integer((json_int_t)r->reply_size));
  json_put(line, "agent", agent_class(http_header(r, "User-Agent")));
  json_put(line, "request", r->id);
  log_json(line);
}

void metrics_count(struct http_req *r, int64_t micros)
{
  struct row *row = r->row;
  size_t bucket = 0;
  while (bucket < HTTP_BUCKETS - 1 && micros > bounds[bucket]) bucket++;
  atomic_fetch_add_explicit(&row->buckets[bucket], 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&row->micros, micros, memory_order_relaxed);
  atomic_fetch_add_explicit(&row->classes[r->status / 100 % 6], 1, memory_order_relaxed);
  if (r->server->o.access_log) access_line(r, r->method_index < 0 ? "other" : r->head ? "HEAD" : http_methods[r->method_index], micros);
}

static void row_stats(const struct row *row, struct http_stats *out)
{
  for (size_t i = 0; i < 6; i++) {
    int64_t n = atomic_load_explicit(&row->classes[i], memory_order_relaxed);
    out->by_class[i] += n;
    out->requests += n;
  }
  out->micros_total += atomic_load_explicit(&row->micros, memory_order_relaxed);
}

void http_server_stats(const struct http_server *s, struct http_stats *out)
{
  *out = (struct http_stats){.active = atomic_load(&s->active), .connections = atomic_load(&s->connections),
    .refused = atomic_load(&s->refused), .reaped = atomic_load(&s->reaped)};
  row_stats(&s->nothing, out);
  for (size_t i = 0; i < s->row_count; i++) row_stats(s->rows[i], out);
}

static void row_counts(const struct row *row, struct buf *out)
{
  for (size_t i = 1; i < 6; i++) {
    int64_t n = atomic_load_explicit(&row->classes[i], memory_order_relaxed);
    if (n)
      buf_addf(out, "chapar_http_requests_total{route=\"%s\",method=\"%s\",class=\"%zuxx\"} %lld\n", row->route->path,
               row->route->method, i, (long long)n);
  }
}

static void row_times(const struct row *row, struct buf *out)
{
  const struct http_route *route = row->route;
  long long counts[HTTP_BUCKETS], sum = 0;
  for (size_t i = 0; i < HTTP_BUCKETS; i++) counts[i] = sum += atomic_load_explicit(&row->buckets[i], memory_order_relaxed);
  if (!sum) return;
  for (size_t i = 0; i < HTTP_BUCKETS - 1; i++)
    buf_addf(out, "chapar_http_request_seconds_bucket{route=\"%s\",method=\"%s\",le=\"%g\"} %lld\n", route->path, route->method,
             (double)bounds[i] / 1e6, counts[i]);
  buf_addf(out, "chapar_http_request_seconds_bucket{route=\"%s\",method=\"%s\",le=\"+Inf\"} %lld\n", route->path, route->method, sum);
  buf_addf(out, "chapar_http_request_seconds_sum{route=\"%s\",method=\"%s\"} %.6f\n", route->path, route->method,
           (double)atomic_load_explicit(&row->micros, memory_order_relaxed) / 1e6);
  buf_addf(out, "chapar_http_request_seconds_count{route=\"%s\",method=\"%s\"} %lld\n", route->path, route->method, sum);
}

void http_server_metrics(const struct http_server *s, struct buf *out)
{
  static const struct { const char *name, *type, *help; size_t place; } gauges[] = {
    {"chapar_http_active_requests", "gauge", "Requests being answered.", offsetof(struct http_stats, active)},
    {"chapar_http_connections", "gauge", "Open connections.", offsetof(struct http_stats, connections)},
    {"chapar_http_refused_total", "counter", "Connections and requests refused before any route.", offsetof(struct http_stats, refused)},
    {"chapar_http_reaped_total", "counter", "Connections closed for slowness.", offsetof(struct http_stats, reaped)}};
  struct http_stats now;
  http_server_stats(s, &now);
  for (size_t i = 0; i < BASE_COUNT(gauges); i++)
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", gauges[i].name, gauges[i].help, gauges[i].name, gauges[i].type, gauges[i].name,
             (long long)*(const int64_t *)(const void *)((const char *)&now + gauges[i].place));
  struct http_spool_figures f;
  http_spool_count(&f);
  buf_addf(out, "# HELP chapar_http_spool_bytes Of bodies in the temporary folder: announced or there.\n# TYPE chapar_http_spool_bytes gauge\nchapar_http_spool_bytes %lld\n"
                "# HELP chapar_http_spool_limit_bytes As many as there may be at once.\n# TYPE chapar_http_spool_limit_bytes gauge\nchapar_http_spool_limit_bytes %lld\n"
                "# HELP chapar_http_spool_refused_total Bodies for which there was no room.\n# TYPE chapar_http_spool_refused_total counter\nchapar_http_spool_refused_total %lld\n",
           (long long)f.held, (long long)f.limit, (long long)f.refused);
  buf_adds(out, "# HELP chapar_http_requests_total Requests answered.\n# TYPE chapar_http_requests_total counter\n");
  row_counts(&s->nothing, out);
  for (size_t i = 0; i < s->row_count; i++) row_counts(s->rows[i], out);
  buf_adds(out, "# HELP chapar_http_request_seconds Time to answer.\n# TYPE chapar_http_request_seconds histogram\n");
  row_times(&s->nothing, out);
  for (size_t i = 0; i < s->row_count; i++) row_times(s->rows[i], out);
}
