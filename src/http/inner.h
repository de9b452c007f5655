/* Inside http: what its files share. Nothing here leaves the room. */
#ifndef CHAPAR_HTTP_INNER_H
#define CHAPAR_HTTP_INNER_H

#include "base/bytes.h"
#include "http/relay.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <strings.h>

enum { HTTP_MOST_HEADERS = 100, HTTP_MOST_PARAMS = 8, HTTP_MOST_SEGMENTS = 64, HTTP_MOST_QUERY = 200, HTTP_MOST_FIELDS = 200,
       HTTP_ARENA = 4 * 1024 * 1024, HTTP_BUCKETS = 13 };


/* ---- rows and the router (route.c) ---- */
enum { METHOD_GET, METHOD_POST, METHOD_PUT, METHOD_DELETE, METHOD_PATCH, METHOD_OPTIONS, METHOD_TRACE, METHODS };
extern const char *const http_methods[METHODS];

struct row {
  const struct http_route *route;
  void *ctx;
  char *names[HTTP_MOST_PARAMS];      /* of the parameters, in order */
  size_t name_count;
  bool rest;                          /* the last parameter takes the rest */
  _Atomic int64_t classes[6], buckets[HTTP_BUCKETS], micros;
};

struct segment { const char *text; size_t size; bool slash; /* an encoded slash was decoded in it */ };
struct target {                       /* a path, taken apart */
  const char *path;                   /* decoded */
  struct segment segments[HTTP_MOST_SEGMENTS];
  size_t count;
};
struct found {
  struct row *row;
  const char *values[HTTP_MOST_PARAMS]; size_t sizes[HTTP_MOST_PARAMS];
  unsigned allowed;                   /* methods of every row with this shape */
};

struct router;
struct router *router_new(void);
void router_free(struct router *r);
int router_add(struct router *r, struct row *row, struct err *err);
void router_find(const struct router *r, int method, const struct target *t, size_t count, struct found *out);
unsigned router_every(const struct router *r);
void router_allow(unsigned allowed, char out[64]);  /* text of the Allow header */

/* ---- text of addresses (url.c) ---- */
/* Decode %XX (and '+' when asked) from s into out (n + 1 bytes; may be s itself). Length, or -1 for bad escapes and NUL. */
ssize_t url_decode(char *out, const char *s, size_t n, bool plus);
/* Take a raw path apart: 0, or -1 when it must be refused (bad escapes, NUL, controls, invalid UTF-8, dot segments, too deep). */
int url_path(struct arena *a, const char *raw, struct target *out);
/* name=value&…: pairs in order, decoded; -1 when more than `most` or beyond the arena. unclean: a pair was not text and is left out. */
int url_pairs(struct arena *a, const char *s, size_t n, struct http_pair *out, size_t most, size_t *count, bool *unclean);
/* Quality (0–1000) of a value in an Accept-like list: the most exact of `type`, or -1 when it does not occur. */
int accept_quality(const char *list, const char *type);
bool etag_matches(const char *list, const char *etag);   /* weak comparison with an If-None-Match list */

/* ---- forms (form.c) ---- */
int form_multipart(struct arena *a, char *body, size_t n, const char *content_type, struct http_field *out, size_t *count, struct err *err);
int form_urlencoded(struct arena *a, const char *body, size_t n, struct http_field *out, size_t *count, struct err *err);

/* ---- connections (connection.c) ---- */
struct conn {
  struct conn *prev, *next;
  int fd;
  struct http_server *server;
  bool certificate_read, certificate; unsigned char certificate_sha256[32]; /* of a TLS client */
  bool linger;                        /* the answer may overtake the rest of the body: drain before closing */
  _Atomic int64_t deadline;           /* monotonic ms when the reaper closes it; 0: not waited for */
  char peer[64];
  unsigned char from[16];             /* whose connection counts: origin_of */
  struct bytes { char *data; size_t size, at; } ahead, held; /* of TLS: read and not asked for yet, given and not sent yet */
  bool hold;                          /* what is sent next is followed by more at once: both go together */
};

struct http_server {
  struct http_options o;
  char *listen, *origin, *trusted;
  bool secure;                        /* base URL is https */
  bool tls; char *tls_ask; _Atomic(struct shown *) shown; /* tls.c */
  struct MHD_Daemon *daemon;
  int fd, port, threads, workers, queue;
  struct router *router;
  struct row **rows; size_t row_count;
  struct row nothing;                 /* requests that reach no row */
  http_authorise authorise; http_error_page page; void *hook_ctx;
  pthread_mutex_t lock;               /* conns, lingering */
  struct conn conns;                  /* ring head */
  struct { int fd; int64_t until; } lingering[64]; size_t lingering_count;
  pthread_t reaper; bool reaping;
  atomic_bool stopping, reaper_end;
  struct pool *pool;
  struct http_feed *feeds;
  struct assets *assets;
  _Atomic int64_t connections, active, refused, reaped, body_bytes;
  _Atomic int64_t held;               /* dispatched and not yet queued: somebody may be working on them */
};

enum MHD_Result conn_accept(void *cls, const struct sockaddr *addr, socklen_t len);
void conn_notify(void *cls, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode code);
int reaper_start(struct http_server *s, struct err *err);
void reaper_stop(struct http_server *s);

/* ---- a request ---- */
struct http_req {
  struct http_server *server;
  struct conn *conn;
  struct MHD_Connection *connection;
  struct arena *arena;
  const char *method, *uri, *raw_path, *raw_query, *path;
  int method_index;                   /* -1: none of ours; HEAD is GET */
  bool head, begun, dispatched, chunked, close, follows /* its content, as it stands */, mhd_suspended, waiting, handed, queued, counted, in_page, form_read, json_read;
  struct http_pair *headers; size_t header_count;
  struct row *row;
  struct http_pair params[HTTP_MOST_PARAMS]; size_t param_count;
  bool query_unclean; /* holds bytes that are no text: only rows for machines take that */
  struct http_pair *query; size_t query_count; /* decoded when first needed */
  int lang;                           /* -1 until asked */
  const char *peer;
  char *body; size_t body_size, body_room, body_most, received;
  struct http_content content;        /* the body of a row that spills */
  struct http_content relayed;        /* what is counted for the file that the library sends, and closes */
  enum err_code body_refusal;         /* why the rest of the body is thrown away */
  json_t *json;
  struct http_field *fields; size_t field_count;
  struct reply_header { struct reply_header *next; const char *name, *value; } *reply_headers, **reply_tail;
  struct MHD_Response *response; int status; size_t reply_size;
  http_handler handed_to, next;
  void *data, *user; void (*free_data)(void *), (*free_user)(void *);
  atomic_int hold;                    /* who still works on it: the handler, the one that will resume it */
  int64_t began;                      /* monotonic µs when it was complete */
  char id[25];
};

/* As strcasecmp tells, which need not be asked when they begin differently, as most do. */
static inline bool same_name(const char *a, const char *b)
{
  return ((a[0] ^ b[0]) & ~0x20) == 0 && strcasecmp(a, b) == 0;
}

struct arena *arena_borrow(void);     /* from this thread's cache */
void arena_give_back(struct arena *a);
int64_t micros_now(void);

/* ---- the head of a request (head.c) ---- */
/* Read and judge the head: fills headers, body facts. 0, or the status to refuse with. */
int head_read(struct http_req *r, const char *version);

/* ---- running (run.c) ---- */
void *request_new(void *cls, const char *uri, struct MHD_Connection *c);
enum MHD_Result request_on(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                           const char *upload, size_t *upload_size, void **con_cls);
void request_done(void *cls, struct MHD_Connection *c, void **con_cls, enum MHD_RequestTerminationCode why);
void request_run(struct http_req *r);  /* authorise and handle: on whichever thread */

/* ---- contents in the temporary folder (spool.c, content.c) ---- */
/* Count `more` bytes to a content before they are written. from: whose they are, NULL: nobody's, who has no share. ERR_UNAVAILABLE */
int spool_take(struct http_content *c, int64_t more, const unsigned char *from, struct err *err);
void spool_wrote(struct http_content *c, int64_t n); /* of what was taken */
void spool_give(struct http_content *c);           /* all that was counted to it */
const char *spool_folder(void);
int content_add(struct http_content *c, const void *p, size_t n, int64_t most, const unsigned char *from, struct err *err); /* http_content_add of somebody's */

/* ---- workers (pool.c) ---- */
struct pool *pool_new(int threads, int queue);
void pool_free(struct pool *p);        /* finishes what is queued */
typedef void (*pool_work)(void *arg);
bool pool_put(struct pool *p, pool_work work, void *arg); /* false: full */

/* ---- replies (reply.c, stream.c, problem.c, gzip.c) ---- */
void reply_finish(struct http_req *r, int status, const char *media_type, struct MHD_Response *response, size_t n);
bool reply_twice(const struct http_req *r);
void reply_refuse(struct http_req *r, int status); /* problem by bare status, connection closes */
bool reply_has(const struct http_req *r, const char *name);
bool header_sound(const char *name, const char *value);
struct assets *assets_new(void);
void assets_free(struct assets *a);
/* The gzip form of a body that lives for ever, made once; NULL when it is not smaller. */
const void *assets_gzip(struct assets *a, const void *body, size_t n, size_t *size);
char *gzip_make(const void *body, size_t n, int level, size_t *size); /* malloc'ed; NULL when not smaller */
bool type_is_text(const char *media_type);

/* ---- feeds (feed.c) ---- */
void feeds_wake(struct http_server *s);  /* so that they see that it stops */
void feeds_free(struct http_server *s);

/* ---- TLS (tls.c) ---- */
unsigned tls_options(struct http_server *s, struct MHD_OptionItem out[4]);
void tls_free(struct http_server *s);
void tls_conn_open(struct conn *c, struct MHD_Connection *mc);
void tls_conn_close(struct conn *c);

/* ---- libcurl, once in a process (client.c) ---- */
void client_begin(void);

/* ---- metrics (metrics.c) ---- */
void metrics_count(struct http_req *r, int64_t micros);

#endif
