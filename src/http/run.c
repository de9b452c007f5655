#include "http/inner.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { CACHED = 64, LEAST_RATE = 16 /* bytes a millisecond that a body or an answer must make on top of the deadline */,
       MOST_BODIES = 512 * 1024 * 1024, SURPLUS = 1024 * 1024 };

/* ---- arenas of this thread ---- */

struct cache { size_t count; struct arena *arenas[CACHED]; };
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;
static _Thread_local struct cache *cache;

static void cache_free(void *p)
{
  struct cache *c = p;
  while (c->count) arena_free(c->arenas[--c->count]);
  free(c);
}

static void cache_init(void)
{
  pthread_key_create(&cache_key, cache_free);
}

struct arena *arena_borrow(void)
{
  return cache && cache->count ? cache->arenas[--cache->count] : arena_new(HTTP_ARENA);
}

void arena_give_back(struct arena *a)
{
  if (!cache) {
    pthread_once(&cache_once, cache_init);
    cache = base_alloc(sizeof *cache);
    pthread_setspecific(cache_key, cache);
  }
  if (cache->count == CACHED) {
    arena_free(a);
    return;
  }
  arena_reset(a);
  cache->arenas[cache->count++] = a;
}

int64_t micros_now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- birth and death ---- */

static void make_id(char out[25])
{
  static _Thread_local struct { uint64_t seed; uint32_t count; } mine;
  if (!mine.seed) random_bytes(&mine.seed, sizeof mine.seed);
  struct { uint64_t seed; uint32_t count; } __attribute__((packed)) id = {mine.seed, ++mine.count};
  hex_encode(&id, sizeof id, out);
}

void *request_new(void *cls, const char *uri, struct MHD_Connection *mc)
{
  struct http_server *s = cls;
  struct arena *a = arena_borrow();
  struct http_req *r = arena_alloc(a, sizeof *r);
  r->server = s;
  r->arena = a;
  r->connection = mc;
  const union MHD_ConnectionInfo *context = MHD_get_connection_info(mc, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  r->conn = context->socket_context;
  r->uri = arena_strdup(a, uri);
  r->raw_path = r->path = r->raw_query = r->method = "";
  r->lang = -1;
  r->content = r->relayed = HTTP_NO_CONTENT;
  r->row = &s->nothing;
  r->reply_tail = &r->reply_headers;
  make_id(r->id);
  atomic_store_explicit(&r->conn->deadline, clock_mono() + s->o.deadline_ms, memory_order_relaxed);
  return r;
}

void request_done(void *cls, struct MHD_Connection *mc, void **con_cls, enum MHD_RequestTerminationCode why)
{
  struct http_req *r = *con_cls;
  if (!r) return;
  *con_cls = NULL;
  struct http_server *s = r->server;
  if (r->queued) metrics_count(r, r->began ? micros_now() - r->began : 0);
  if (r->counted) {
    if (!r->queued) atomic_fetch_sub_explicit(&s->held, 1, memory_order_release); /* its connection went away before it was answered */
    atomic_fetch_sub_explicit(&s->active, 1, memory_order_relaxed);
  }
  if (r->response) MHD_destroy_response(r->response);
  if (r->free_data) r->free_data(r->data);
  if (r->free_user) r->free_user(r->user);
  if (r->body_room) atomic_fetch_sub_explicit(&s->body_bytes, (int64_t)r->body_room, memory_order_relaxed);
  free(r->body);
  http_content_free(&r->content);
  http_content_free(&r->relayed);
  json_decref(r->json);
  atomic_store_explicit(&r->conn->deadline, clock_mono() + s->o.deadline_ms, memory_order_relaxed);
  arena_give_back(r->arena);
}

/* ---- before the body ---- */

static bool same_host(const char *origin, const char *host)
{
  const char *at = strstr(origin, "://");
  return at && host && !strcasecmp(at + 3, host);
}

/* A browser tells where a write comes from; we take it from our own pages only. Programs tell nothing, and are judged by what they show. */
static bool cross_origin(const struct http_req *r)
{
  enum http_cross rule = r->row->route->cross;
  if (r->method_index == METHOD_GET || (rule != HTTP_OPEN && rule != HTTP_TOKEN)) return false;
  const char *site = http_header(r, "Sec-Fetch-Site"), *origin = http_header(r, "Origin");
  if (site) return strcmp(site, "same-origin") && strcmp(site, "none");
  if (!origin) return false;
  return r->server->origin ? strcasecmp(origin, r->server->origin) : !same_host(origin, http_header(r, "Host"));
}

/* Split the target into path and query; the absolute form is taken when it names our Host. */
static bool split_target(struct http_req *r)
{
  const char *uri = r->uri;
  if (!strncasecmp(uri, "http://", 7) || !strncasecmp(uri, "https://", 8)) {
    const char *authority = strstr(uri, "://") + 3, *host = http_header(r, "Host");
    size_t n = strcspn(authority, "/?");
    if (host && (strlen(host) != n || strncasecmp(host, authority, n))) return false;
    uri = authority[n] == '/' ? authority + n : arena_printf(r->arena, "/%s", authority + n);
    if (!uri) return false;
  }
  for (const char *p = uri; *p; p++)
    if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '#') return false;
  const char *mark = strchr(uri, '?');
  r->raw_path = mark ? arena_strndup(r->arena, uri, (size_t)(mark - uri)) : uri;
  r->raw_query = mark ? mark + 1 : "";
  if (!r->raw_path) return false;
  if (!*r->raw_query) return true;
  struct http_pair pairs[HTTP_MOST_QUERY];
  size_t count;
  if (url_pairs(r->arena, r->raw_query, strlen(r->raw_query), pairs, HTTP_MOST_QUERY, &count, &r->query_unclean)) return false;
  r->query = arena_alloc(r->arena, (count + 1) * sizeof *r->query);
  if (!r->query) return false;
  memcpy(r->query, pairs, count * sizeof *pairs);
  r->query_count = count; /* only now: a refusal reads the query too */
  return true;
}

static int method_index(struct http_req *r)
{
  r->head = !strcmp(r->method, "HEAD");
  if (r->head) return METHOD_GET;
  for (int i = 0; i < METHODS; i++)
    if (!strcmp(r->method, http_methods[i])) return i;
  return -1;
}

static void answer_options(struct http_req *r, unsigned allowed)
{
  char allow[64];
  router_allow(allowed, allow);
  http_reply_header(r, "Allow", allow);
  http_reply(r, 204, NULL, NULL, 0);
}

/* No row at the address: another method, a slash too many, or nothing. */
static void answer_no_row(struct http_req *r, struct target *t, struct found *f)
{
  if (f->allowed && !strcmp(r->method, "OPTIONS")) {
    answer_options(r, f->allowed);
  } else if (f->allowed) {
    char allow[64];
    router_allow(f->allowed, allow);
    http_reply_header(r, "Allow", allow);
    http_problem_code(r, ERR_METHOD, NULL);
  } else {
    if (r->method_index == METHOD_GET && t->count > 1 && !t->segments[t->count - 1].size) {
      router_find(r->server->router, METHOD_GET, t, t->count - 1, f);
      if (f->row) {
        int size = (int)strlen(r->raw_path) - 1;
        char *to = arena_printf(r->arena, "%.*s%s%s", size, r->raw_path, *r->raw_query ? "?" : "", r->raw_query);
        if (to) {
          http_redirect(r, 308, to);
          return;
        }
      }
    }
    http_problem_code(r, ERR_NOT_FOUND, NULL);
  }
}

static bool find_row(struct http_req *r)
{
  struct target t;
  struct found f;
  if (!strcmp(r->raw_path, "*") && !strcmp(r->method, "OPTIONS")) {
    answer_options(r, router_every(r->server->router));
    return false;
  }
  if (url_path(r->arena, r->raw_path, &t)) {
    reply_refuse(r, 400);
    return false;
  }
  r->path = t.path;
  r->method_index = method_index(r);
  router_find(r->server->router, r->method_index, &t, t.count, &f);
  if (!f.row) {
    answer_no_row(r, &t, &f);
    return false;
  }
  r->row = f.row;
  r->param_count = f.row->name_count;
  for (size_t i = 0; i < r->param_count; i++)
    r->params[i] = (struct http_pair){f.row->names[i], arena_strndup(r->arena, f.values[i], f.sizes[i])};
  return true;
}

/* detail: of what is full. The rest of a body would be in the way of the next request. */
static void no_room(struct http_req *r, enum err_code code)
{
  r->close = true;
  http_problem_code(r, code, code == ERR_UNAVAILABLE ? word(http_lang(r), "error.no_room.detail") : NULL);
}

/* The head is here: judge it, find the row, say how much body may follow. Whoever is refused gets a reply at once. */
static void begin(struct http_req *r, const char *method, const char *version)
{
  struct err err;
  r->method = method;
  int status = head_read(r, version);
  if (status || !split_target(r)) {
    atomic_fetch_add_explicit(&r->server->refused, 1, memory_order_relaxed);
    reply_refuse(r, status ? status : 400);
    return;
  }
  if (!find_row(r)) return;
  if (r->query_unclean && r->row->route->cross != HTTP_MACHINE) {
    atomic_fetch_add_explicit(&r->server->refused, 1, memory_order_relaxed);
    reply_refuse(r, 400);
    return;
  }
  size_t most = r->row->route->most_body;
  if (r->body_most > most || (r->chunked && !most)) {
    r->close = true;
    http_problem_code(r, ERR_TOO_LARGE, NULL);
  } else if (cross_origin(r)) {
    http_problem_code(r, ERR_FORBIDDEN, NULL);
  }
  if (!r->response && r->row->route->admit) r->row->route->admit(r);
  if (!r->response && r->row->route->spill && r->body_most > HTTP_SPILL && spool_take(&r->content, (int64_t)r->body_most, r->conn->from, &err)) no_room(r, ERR_UNAVAILABLE);
  if (r->chunked) r->body_most = most;
}

/* ---- the body ---- */

/* A row that spills: into a content, whose memory is counted while it has any. */
static enum MHD_Result take_content(struct http_req *r, const char *data, size_t n)
{
  struct http_server *s = r->server;
  struct err err;
  if (r->body_refusal) return r->received > r->body_most + SURPLUS ? MHD_NO : MHD_YES;
  if (content_add(&r->content, data, n, (int64_t)r->body_most, r->conn->from, &err)) r->body_refusal = err.code;
  int64_t held = r->content.data ? r->content.size : 0, more = held - (int64_t)r->body_room;
  if (atomic_load_explicit(&s->body_bytes, memory_order_relaxed) + more > MOST_BODIES) r->body_refusal = ERR_UNAVAILABLE;
  if (r->body_refusal) {
    http_content_free(&r->content); /* others may have its room at once */
    more = -(int64_t)r->body_room;
  }
  r->body_room = (size_t)((int64_t)r->body_room + more);
  atomic_fetch_add_explicit(&s->body_bytes, more, memory_order_relaxed);
  return MHD_YES;
}

static enum MHD_Result take_body(struct http_req *r, const char *data, size_t n)
{
  struct http_server *s = r->server;
  r->received += n;
  atomic_fetch_add_explicit(&r->conn->deadline, (int64_t)(n / LEAST_RATE), memory_order_relaxed);
  if (r->row->route->spill) return take_content(r, data, n);
  if (r->body_refusal || n > r->body_most - r->body_size) {
    if (!r->body_refusal) r->body_refusal = ERR_TOO_LARGE;
    return r->received > r->body_most + SURPLUS ? MHD_NO : MHD_YES;
  }
  if (r->body_size + n + 1 > r->body_room) {
    size_t room = r->body_room ? r->body_room * 2 : 4096;
    while (room < r->body_size + n + 1) room *= 2;
    if (room > r->body_most + 1) room = r->body_most + 1;
    int64_t more = (int64_t)(room - r->body_room);
    if (atomic_fetch_add_explicit(&s->body_bytes, more, memory_order_relaxed) + more > MOST_BODIES) {
      atomic_fetch_sub_explicit(&s->body_bytes, more, memory_order_relaxed);
      r->body_refusal = ERR_UNAVAILABLE;
      return MHD_YES;
    }
    r->body = base_realloc(r->body, room);
    r->body_room = room;
  }
  memcpy(r->body + r->body_size, data, n);
  r->body_size += n;
  r->body[r->body_size] = '\0';
  return MHD_YES;
}

/* ---- running ---- */

/* The handler is done, or someone resumed: the last of both wakes the connection. After it, r may be gone. */
static void let_go(struct http_req *r)
{
  struct MHD_Connection *mc = r->connection;
  bool suspended = r->mhd_suspended;
  if (atomic_fetch_sub(&r->hold, 1) == 1 && suspended) MHD_resume_connection(mc);
}

static void end_run(struct http_req *r)
{
  if (!r->waiting && !r->response) {
    log_write(LOG_ERROR, "http", "%s %s: the handler gave no reply", r->row->route->method, r->row->route->path);
    http_problem_code(r, ERR_INTERNAL, NULL);
  }
  let_go(r);
}

void request_run(struct http_req *r)
{
  struct http_server *s = r->server;
  if (!s->authorise || !s->authorise(r, r->row->route, s->hook_ctx)) {
    if (!r->response && !r->waiting) r->row->route->handler(r);
  }
  if (r->handed) let_go(r); /* a worker has it, and ends it */
  else end_run(r);
}

static void run_request(void *arg) { request_run(arg); }

static void dispatch(struct http_req *r)
{
  struct http_server *s = r->server;
  r->dispatched = true;
  r->counted = true;
  atomic_fetch_add_explicit(&s->active, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&s->held, 1, memory_order_relaxed);
  atomic_store_explicit(&r->conn->deadline, 0, memory_order_relaxed);
  if (r->body_refusal) {
    no_room(r, r->body_refusal);
    return;
  }
  atomic_store_explicit(&r->hold, 1, memory_order_relaxed);
  if (r->row->route->quick && !http_header(r, "Authorization") && !http_header(r, "Cookie")) {
    r->row->route->quick(r);
    if (r->response) {
      let_go(r);
      return;
    }
  }
  if (r->row->route->where == HTTP_INLINE && !s->o.all_worker) {
    request_run(r);
    return;
  }
  r->mhd_suspended = true;
  MHD_suspend_connection(r->connection);
  if (pool_put(s->pool, run_request, r)) return;
  http_reply_header(r, "Retry-After", "2");
  http_problem_code(r, ERR_UNAVAILABLE, NULL);
  let_go(r);
}

void http_suspend(struct http_req *r, http_handler next)
{
  r->next = next;
  r->waiting = true;
  atomic_fetch_add(&r->hold, 1);
  if (r->mhd_suspended) return;
  r->mhd_suspended = true;
  MHD_suspend_connection(r->connection);
}

static void run_handed(void *arg)
{
  struct http_req *r = arg;
  r->handed_to(r);
  end_run(r);
}

void http_to_worker(struct http_req *r, http_handler next)
{
  if (r->mhd_suspended) {
    next(r);
    return;
  }
  r->handed_to = next;
  r->handed = true;
  r->mhd_suspended = true;
  atomic_fetch_add(&r->hold, 1);
  MHD_suspend_connection(r->connection);
  if (pool_put(r->server->pool, run_handed, r)) return;
  http_reply_header(r, "Retry-After", "2");
  http_problem_code(r, ERR_UNAVAILABLE, NULL);
  let_go(r);
}

void http_resume(struct http_req *r)
{
  let_go(r);
}

static enum MHD_Result queue(struct http_req *r)
{
  struct http_server *s = r->server;
  if (r->close || atomic_load_explicit(&s->stopping, memory_order_relaxed)) MHD_add_response_header(r->response, "Connection", "close");
  int64_t allowance = s->o.deadline_ms + (int64_t)(r->reply_size / LEAST_RATE);
  atomic_store_explicit(&r->conn->deadline, clock_mono() + allowance, memory_order_relaxed);
  r->conn->hold = r->follows;
  enum MHD_Result result = MHD_queue_response(r->connection, (unsigned)r->status, r->response);
  MHD_destroy_response(r->response);
  r->response = NULL;
  r->queued = true;
  if (r->counted) atomic_fetch_sub_explicit(&s->held, 1, memory_order_release);
  return result;
}

enum MHD_Result request_on(void *cls, struct MHD_Connection *mc, const char *url, const char *method, const char *version,
                           const char *upload, size_t *upload_size, void **con_cls)
{
  struct http_req *r = *con_cls;
  if (!r) return MHD_NO;
  if (!r->begun) {
    r->begun = true;
    r->began = micros_now();
    begin(r, method, version);
    /* A reply in this first call makes the library close the connection. That is right when a body will not be read; then the
     * reaper reads it into the void for a while, so that the answer is not lost in a reset. Others are replied in the next call. */
    if (!r->response || !(r->close || r->body_most || r->chunked)) return MHD_YES;
    r->close = r->conn->linger = true;
    return queue(r);
  }
  if (*upload_size) {
    enum MHD_Result result = take_body(r, upload, *upload_size);
    *upload_size = 0;
    return result;
  }
  if (!r->dispatched && !r->response) {
    r->began = micros_now();
    dispatch(r);
    if (r->mhd_suspended) return MHD_YES;
  } else if (r->mhd_suspended) {
    r->mhd_suspended = false;
    if (r->waiting) {
      r->waiting = false;
      atomic_store(&r->hold, 1);
      r->next(r);
      end_run(r);
      if (r->mhd_suspended) return MHD_YES;
    }
  }
  return r->response ? queue(r) : MHD_NO;
}
