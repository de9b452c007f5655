/*
 * http: server (libmicrohttpd), client (libcurl), routes. Layer 1, includes base and language. Knows no services.
 *
 * A route row says everything about an address; the router, the help, the OpenAPI paths and the authorisation tests are
 * made of the same rows. Handlers run where the row says:
 *   inline   on the server's threads; nothing in it may block longer than an indexed read
 *   worker   on the worker pool (argon2, statistics, files, everything that reads PostgreSQL)
 * A handler either replies before it returns, or calls http_suspend() and later, from any thread, http_resume(): then
 * its `next` function runs on a server thread and must reply.
 */
#ifndef CHAPAR_HTTP_H
#define CHAPAR_HTTP_H

#include "base/base.h"
#include "language/language.h"

struct http_server;
struct http_req;

enum http_where { HTTP_INLINE, HTTP_WORKER };
/* Cross-site rule of a row: SAFE reads only (GET/HEAD) · TOKEN needs the session's form token when the session came by cookie ·
 * BEARER never accepts a cookie (API writes) · OPEN writes without a session (sign-in, USSD), still refusing cross-origin browsers
 * (Origin / Sec-Fetch-Site) · MACHINE called by machines with a secret of their own (USSD, exchange). */
enum http_cross { HTTP_SAFE, HTTP_TOKEN, HTTP_BEARER, HTTP_OPEN, HTTP_MACHINE };

typedef void (*http_handler)(struct http_req *req);

struct http_route {
  const char *method;      /* "GET" (also answers HEAD), "POST", "PUT", "DELETE", "PATCH"; "*": these, OPTIONS and TRACE */
  const char *path;        /* "/api/v1/cases/{tracking}"; {name} is one segment, {name...} the rest */
  enum http_where where;
  unsigned permission;     /* the app's number; given to the authorise hook. 0: everybody */
  enum http_cross cross;
  size_t most_body;        /* bytes; 0 = no body allowed. Over it: 413 before it is read */
  http_handler handler;
  const char *help;        /* one English sentence: what it does */
  http_handler quick;      /* may be NULL. Tried first on the server's thread, wherever the handler runs, for a request that names no session:
                              it replies from memory, or leaves it to the handler. Only on rows that everybody may ask */
  bool spill;              /* the body is a content of any size up to most_body (relay.h: http_content), not one block of memory */
  http_handler admit;      /* may be NULL. On the server's thread, with the head alone: it replies to whoever may not speak here, and no byte of a body is taken */
};

struct http_options {
  const char *listen;      /* "127.0.0.1:8080", "[::1]:8080", ":8080", port 0 picks one */
  int threads;             /* server threads, 0: number of cores */
  int workers;             /* worker threads, 0: 4 */
  bool all_worker;         /* run every handler on workers (PostgreSQL) */
  int deadline_ms;         /* total time to send a request (0: 20000): a reaper closes slow senders; also idle keep-alive */
  int most_connections;    /* 0: 4000; further ones are closed at once */
  const char *server_name; /* of the Content-Security-Policy and absolute links: base URL such as "https://khorasan.example", may be NULL */
  bool access_log;         /* JSON lines: at, method, route (pattern, not path), status, ms, bytes, agent class. No personal data */
  bool (*peer_allowed)(void *ctx, const char *address); void *peer_ctx; /* optional */
  int queue;               /* requests that may wait for a worker, 0: 64 for each; further ones are answered 503 with Retry-After */
  int per_address;         /* connections that one address may have (of IPv6: one /64), 0: no bound. Never where people come in: thousands stand behind one address */
  const char *trusted_proxies; /* addresses, by comma, whose X-Forwarded-For (last entry) is believed; NULL: nobody's */
};

/* Before the handler of each request: identify the caller (req->user) and judge the row. Return 0 to go on, -1 after replying. */
typedef int (*http_authorise)(struct http_req *req, const struct http_route *route, void *ctx);
/* Called to show an error to a person: page for browsers (Accept: text/html first), problem+json otherwise is built in.
 * err->message is the detail to show, or "" when words "error.<name>.detail" shall tell it. Must reply; runs wherever the error is met. */
typedef void (*http_error_page)(struct http_req *req, int status, const struct err *err, void *ctx);

int http_server_new(const struct http_options *o, struct http_server **out, struct err *err);
/* Add a table of rows (kept by address). Two rows with the same method and shape are refused. Before http_server_start only. */
int http_server_routes(struct http_server *s, const struct http_route *rows, size_t n, void *ctx, struct err *err);
void http_server_hooks(struct http_server *s, http_authorise authorise, http_error_page page, void *ctx);
int http_server_start(struct http_server *s, struct err *err);
int http_server_port(const struct http_server *s);
/* Stop accepting, and tell every connection that its answer is the last. Of a process with several listeners: all of them, before one is stopped. */
void http_server_quiet(struct http_server *s);
void http_server_stop(struct http_server *s);    /* stop accepting, finish what runs (≤ 10 s), cut the calls that it waits for, then close */
void http_server_free(struct http_server *s);
/* Every row of every table, for help, OpenAPI and tests. */
void http_server_each(const struct http_server *s, void (*fn)(void *ctx, const struct http_route *row), void *ctx);

/* ---- the request -------------------------------------------------------------------- */
void *http_ctx(const struct http_req *r);                 /* ctx of the row's table */
const struct http_route *http_route_of(const struct http_req *r);
struct arena *http_arena(struct http_req *r);             /* lives until the reply is sent; cap 4 MiB */
void http_set_user(struct http_req *r, void *user, void (*free_user)(void *)); /* who is asking: set by the authorise hook */
void *http_user(const struct http_req *r);
const char *http_method(const struct http_req *r);        /* "HEAD" is kept */
const char *http_path(const struct http_req *r);          /* decoded, normalised, begins with '/' */
const char *http_raw_path(const struct http_req *r);      /* as sent, without query */
const char *http_raw_query(const struct http_req *r);     /* as sent, "" when there is none */
const char *http_param(const struct http_req *r, const char *name);   /* from the path; NULL when the row has none such */
const char *http_query(const struct http_req *r, const char *name);   /* decoded first value, NULL when absent; a query that is no text is
                                                                         answered 400, but HTTP_MACHINE rows get it without those pairs */
const char *http_header(const struct http_req *r, const char *name);  /* NULL when absent */
const char *http_bearer(const struct http_req *r);        /* the token after "Bearer" in any case (RFC 6750); NULL when there is none */
const char *http_cookie(const struct http_req *r, const char *name);
const char *http_peer(const struct http_req *r);          /* address without port; X-Forwarded-For only from a trusted proxy setting */
enum lang http_lang(const struct http_req *r);            /* query lang=, cookie lang, then Accept-Language; default Persian */
const void *http_body(const struct http_req *r, size_t *n);
json_t *http_json(struct http_req *r);                    /* borrowed; NULL after it has replied 400/415 itself */
/* Forms: application/x-www-form-urlencoded and multipart/form-data (≤ 200 fields, names ≤ 100 bytes). */
struct http_field { const char *name, *value; size_t size; const char *filename, *media_type; };
/* 0 when none or malformed (then *fields is NULL and it has replied). */
size_t http_form(struct http_req *r, const struct http_field **fields);
const char *http_form_value(struct http_req *r, const char *name);      /* first value, NULL when absent */
bool http_replied(const struct http_req *r);
bool http_wants_html(const struct http_req *r);

/* ---- the reply: exactly one ---------------------------------------------------------- */
void http_reply_header(struct http_req *r, const char *name, const char *value); /* before the reply; control characters refused */
/* SameSite=Lax, Path=/, Secure when https; max_age in seconds, 0 deletes it, below 0 ends with the browser. */
void http_reply_cookie(struct http_req *r, const char *name, const char *value, int max_age, bool http_only);
void http_reply(struct http_req *r, int status, const char *media_type, const void *body, size_t n); /* copies */
void http_reply_take(struct http_req *r, int status, const char *media_type, char *body, size_t n);  /* takes malloc'ed memory */
void http_reply_json(struct http_req *r, int status, json_t *v);       /* takes the reference */
/* A body of unknown length, made piece by piece: `more` is called on a worker's thread when the reader has taken what there was, never twice at
 * once, and puts the next piece into out (initialised by it, freed by the caller). 1: go on, 0: that was all, -1: break off, so that the reader sees that it is not whole.
 * free_ctx is called once, at the end, whatever happened; nothing of the request may be used by either. */
typedef int (*http_more)(void *ctx, struct buf *out);
void http_reply_stream(struct http_req *r, int status, const char *media_type, http_more more, void *ctx, void (*free_ctx)(void *));
/* A feed: the same pieces for everybody who watches, as they happen (server-sent events). A watcher's connection sleeps in between and occupies no
 * thread. Made before the server is started and freed with it; `most` watchers at once, `most_each` from one address. */
struct http_feed;
struct http_feed *http_feed_new(struct http_server *s, int most, int most_each);
/* Tell all who watch; from any thread, never waits. Who is 128 KiB behind is let go, and comes again. Send something every quarter of a minute:
 * that is how one sees who has gone. */
void http_feed_send(struct http_feed *f, const char *piece, size_t n);
int http_feed_watchers(struct http_feed *f);
/* Reply with what comes from now on, `first` before it. -1: too many watch, nothing was replied. */
int http_reply_feed(struct http_req *r, struct http_feed *f, const char *media_type, const char *first, size_t n);
/* A file from people, to be saved and not to be shown: attachment under its name (UTF-8, RFC 6266), no sniffing, sandboxed. Takes data. */
void http_reply_file(struct http_req *r, const char *media_type, const char *name, char *data, size_t n);
/* body lives for ever; caching headers, 304. etag is the bare text (a hash), quoted here. */
void http_reply_static(struct http_req *r, const char *media_type, const void *body, size_t n, const char *etag);
void http_redirect(struct http_req *r, int status, const char *location);
/* RFC 9457 problem+json (or the error page for browsers). errors: array of {"field","code","message"} or NULL; takes it.
 * title and detail come from words "error.<name>.title" and "error.<name>.detail" unless detail is given (in the person's language). */
void http_problem(struct http_req *r, const struct err *err, const char *detail, json_t *errors);
void http_problem_code(struct http_req *r, enum err_code code, const char *detail);
/* Weak ETag of a representation; answers true after replying 304. Sets Cache-Control as given ("private, no-cache", "no-store", …). */
bool http_not_modified(struct http_req *r, const char *etag, const char *cache_control);

void http_suspend(struct http_req *r, http_handler next);
/* From an inline handler, as its last act: go on in `next` on a worker's thread, because this request turned out to wait for something slow. On a
 * worker already, next is called at once. 503 when the workers are too busy. */
void http_to_worker(struct http_req *r, http_handler next);
void http_resume(struct http_req *r);
/* Of the handler, across a suspension. free_data (or NULL) is called once, when the request is over: also when who asked went away meanwhile, and `next` is never called. */
void http_set_data(struct http_req *r, void *data, void (*free_data)(void *));
void *http_data(const struct http_req *r);

/* Every reply gets: X-Content-Type-Options, Referrer-Policy, Content-Security-Policy (self only, no inline script),
 * Cache-Control: no-store unless said otherwise, Vary, Request-Id; gzip above 1 KiB when the client accepts and the type is text. */

struct http_stats { int64_t requests, active, connections, refused, reaped; int64_t by_class[6]; int64_t micros_total; };
void http_server_stats(const struct http_server *s, struct http_stats *out);
/* Prometheus text: chapar_http_requests_total{route,method,class}, chapar_http_request_seconds histogram by route. */
void http_server_metrics(const struct http_server *s, struct buf *out);

/* ---- client (libcurl, a pool of handles that keep their connections; any thread) ------- */
struct http_client;
struct http_client *http_client_new(void);
void http_client_free(struct http_client *c);
struct http_call {
  const char *method, *url;
  const char *const *headers;      /* "Name: value", NULL-terminated, may be NULL */
  const void *body; size_t body_size;
  int timeout_ms;                  /* whole call; 0: 10000 */
  size_t most;                     /* most bytes of answer kept (0: 1 MiB); more is an error */
};
struct http_answer { int status; char *body; size_t size; char *media_type; };
/* Waits for the answer (from a worker or job thread). Redirects are never followed; http and https only.
 * ERR_INVALID: the call cannot be made as it is; ERR_UNAVAILABLE: nothing was sent (no address, no connection);
 * ERR_OUTCOME_UNKNOWN: it was sent, wholly or in part, and no whole answer came (time-out, lost connection, answer beyond `most`). */
int http_client_call(struct http_client *c, const struct http_call *call, struct http_answer *out, struct err *err);
void http_answer_free(struct http_answer *a);
/* Mail through SMTP (libcurl): url "smtp://host:port". text is the body in UTF-8. Errors as above; ERR_INVALID also when the server
 * refused the letter for good (5xx); ERR_RATE: refused it for now (4xx); ERR_UNAVAILABLE: also when the connection ended before the letter
 * itself was sent. TLS where the server offers it; its certificate is checked with smtps:// only. */
int http_client_mail(struct http_client *c, const char *url, const char *from, const char *to, const char *subject, const char *text,
                     struct err *err);

#endif
