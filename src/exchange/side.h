/* Inside exchange: what the two sides of a gateway share (consumer, producer, services, rights, routes, asynchronous messages). */
#ifndef CHAPAR_EXCHANGE_SIDE_H
#define CHAPAR_EXCHANGE_SIDE_H

#include "exchange/inside.h"

#include <uthash.h>

enum { SIDE_TIMEOUT = 60000, SIDE_ARENA = 2 * 1024 * 1024, SIDE_PATH = 8192, SIDE_THREADS = 256, SIDE_QUEUE = 1024 };
#define SIDE_BODY ((int64_t)4 << 30)

/* ---- the book: services, endpoints, subsystems, rights and groups as one unchanging view (services.c, access.c) ---- */
/* What outlives a view: connections to one information system under one certificate of ours, how many calls to it are under way, and views that name it. */
struct lane { struct lane *next; char *key; struct http_peer *peer; atomic_int busy /* share_take */, refs; };
struct endpoint { struct endpoint *next; const char *method, *path; };
struct grant {
  struct grant *next;
  const char *id, *subject, *service, *method, *path, *purpose;
  int64_t from, until;
  _Atomic int64_t *uses;                    /* counted since they were last written; lives beside the views */
};
struct offered {
  UT_hash_handle hh;
  const char *id, *kind, *url, *openapi_url, *title_fa, *title_en, *ca_file, *notice;
  const char *prefix;                       /* path of the url, "" */
  bool any_certificate, digest_only;
  int timeout_ms;
  exchange_local local; void *ctx; char *(*openapi)(void *ctx);
  struct endpoint *endpoints; size_t endpoint_count;
  struct grant *grants; size_t grant_count;
  struct lane *lane;                        /* NULL: local, or the url is not good */
};
enum tls_mode { TLS_PLAIN, TLS_HTTPS, TLS_MUTUAL };
struct subsystem { UT_hash_handle hh; const char *id; enum tls_mode tls; unsigned char (*pins)[32]; size_t pin_count; };
struct group { UT_hash_handle hh; const char *key; /* "code member" */ };
struct policy { UT_hash_handle hh; const char *id; bool digest_only; };
struct book { atomic_int refs; struct arena *arena; const char *maintenance; int64_t maintenance_until; /* notice, NULL: none */ struct offered *services; struct subsystem *subsystems; struct group *groups; struct policy *policies; };
struct book *book_hold(struct exchange *x);
void book_drop(struct book *b);
const struct offered *book_service(const struct book *b, const struct exchange_id *id);
bool book_digest_only(const struct book *b, const struct exchange_id *service, const struct offered *v); /* what the log keeps; v: it, NULL when another's */
/* Is the gateway itself under maintenance now? Then a sentence that says so, of whom and until when; *f is set by code. */
bool book_maintenance(struct exchange *x, const char *code, struct fault *f);
int64_t maintenance_end(const char *said); /* in such a sentence of another gateway; 0: it does not say */
const struct subsystem *book_subsystem(const struct book *b, const struct exchange_id *id); /* three or four parts */
int services_open(struct exchange *x, struct err *err);
void services_close(struct exchange *x);
int services_reload(struct exchange *x, struct err *err);          /* read the store again */
int services_look(struct exchange *x, struct err *err);            /* read again if another process has changed something */
void services_jobs(struct exchange *x);                             /* changes by commands; uses of grants */
int services_changed(struct store_tx *tx, struct err *err);        /* inside work: others shall read again */
/* One change of the book by work, read again afterwards; when a command does it (options.actor), the act is a leaf of the same transaction. detail: taken. */
int services_change(struct exchange *x, store_work work, void *arg, const char *act, const char *subject, json_t *detail, struct err *err);
/* Before a newer directory is used: who left it has no rights here any more. */
int access_left(struct exchange *x, const struct members *now, const struct members *fresh, struct err *err);
bool grant_fits(const struct exchange *x, const struct book *b, const struct members *m, const struct grant *g, const struct exchange_id *client, int64_t now);
/* "SERVICE:…", "SUBSYSTEM:…", "MEMBER:…", as messages name an identifier. */
const char *id_shown(const struct exchange_id *id, char out[EXCHANGE_ID + 20]);
char *id_encoded(struct arena *a, const struct exchange_id *id);    /* each part percent-encoded, for headers */
/* Percent-encoded parts, as in headers and paths. */
int id_decode(const char *text, int least, int most, struct exchange_id *out, struct err *err);

/* ---- a message's way (consumer.c, producer.c) ---- */
struct call {                              /* by an information system */
  const char *method, *target;             /* target: raw, "/r1/…[?query]" */
  const struct http_pair *headers; size_t header_count;
  const struct http_content *content;
  bool inside;                             /* there is no connection whose TLS could be judged */
  bool encrypted, certified; unsigned char certificate[32];
  bool near;                               /* from this machine, or an address that is named in the settings */
  int timeout_ms;
};
struct outcome {
  int status;
  struct http_pair *headers; size_t header_count;
  struct http_content content;             /* the caller's */
  char message_id[200];
  char server[EXCHANGE_ID + 1];            /* the gateway that was tried last */
};
/* 0: an answer (the provider's own errors too); -1: *fault. Blocks. Memory: a. */
int consume(struct exchange *x, struct arena *a, const struct call *q, struct outcome *out, struct fault *fault);
/* What the checks before routing say of a caller (async.c asks as well): client registered, its TLS. */
int consumer_admit(struct exchange *x, struct members *m, struct arena *a, const struct call *q, struct exchange_id *client, struct fault *fault);

bool path_dotted(const char *raw);          /* a segment that is "." or "..", in whatever spelling: no gateway's listener takes such a path */
struct target { struct exchange_id service; const char *path, *query; /* raw; query NULL: none */ };
int target_read(struct arena *a, const char *raw, struct target *out, struct err *err);
/* The gateway of who answers. request: as it arrived, target_uri as this gateway calls itself. from: by its certificate, NULL: it showed none.
 * Always gives an answer, signed when a key is there. Its content is the caller's. */
struct produced { struct message answer; struct http_content content; };
void produce(struct exchange *x, struct arena *a, struct members *m, const struct message *request, const struct gateway *from, struct produced *out);
bool method_safe(const char *method);       /* GET HEAD OPTIONS TRACE */
bool method_idempotent(const char *method); /* those, PUT, DELETE */
int message_take(struct message *m, struct arena *a, const struct http_pair *headers, size_t count, bool held, struct err *err); /* held: the texts live as long as the message; otherwise they are copied */
void message_strip(struct message *m);       /* what this protocol added: content digest and our signature */
int64_t now_micros(void);

/* ---- metadata services (metadata.c): the answer of listMethods, allowedMethods, getOpenAPI ---- */
bool metadata_is(const char *method, const struct exchange_id *service);
int metadata_answer(struct exchange *x, struct arena *a, struct members *m, const struct book *b, const struct exchange_id *client, const struct exchange_id *service,
                    const char *query, struct message *answer, struct http_content *content, struct fault *fault);
void metadata_clients(struct http_req *r);  /* GET /listClients */

/* ---- repetition (replay.c) ---- */
struct kept_answer { int status; struct http_pair *headers; size_t header_count; struct http_content content; struct arena *arena; };
int replay_open(struct exchange *x, struct err *err);
void replay_close(struct exchange *x);
void replay_jobs(struct exchange *x);
/* After repeat_begin answered 0: keep the answer, or (answer NULL) forget that it was begun, because nothing was done. */
int repeat_end(struct exchange *x, const char *message_id, const struct exchange_id *client, const struct message *answer, const struct http_content *content, struct err *err);
/* It ended without an answer that can be kept, and it may have been done. */
int repeat_unsure(struct exchange *x, const char *message_id, const struct exchange_id *client, struct err *err);
void kept_answer_free(struct kept_answer *k);

/* ---- where a message has been before (again.c) ---- */
/* Which of these gateways may know the message of this id already: who answered it, or was sent it and did not answer. server: "" when none may. */
int again_where(struct exchange *x, struct members *m, const struct exchange_id *client, const char *message_id, const struct gateway *const *list, size_t count, char server[EXCHANGE_ID + 1],
                struct err *err);
void again_note(struct exchange *x, const struct exchange_id *client, const char *message_id, const char *server); /* it was sent there and not answered */
void again_jobs(struct exchange *x);

/* ---- which process of the folder does what (process.c) ---- */
struct process { char name[33]; int lock; pthread_mutex_t changing; };
void process_open(struct exchange *x);
void process_close(struct exchange *x);
/* The name of this process, for what it has under way; its lock is taken at the first. NULL: ERR_UNAVAILABLE, it cannot be. */
const char *process_name(struct exchange *x, struct err *err);
bool process_ended(struct exchange *x, const char *name);

/* ---- threads that wait for others (tasks.c): a server's threads and a platform's few workers never do ---- */
/* A process that ends lets go on what is under way for this long, and then cuts it (http_calls_cut) this often until all has ended. */
enum { END_MS = 5000, CUT_MS = 20 };
struct tasks;
struct tasks *tasks_new(int most, int queue);
void tasks_free(struct tasks *t);            /* finishes what is queued; calls that take longer are cut */
bool tasks_put(struct tasks *t, void (*work)(void *arg), void *arg); /* false: full */
void tasks_count(struct tasks *t, int *threads, int *busy, int *waiting);

/* The threads are shared: one peer gateway, or one information system, may hold as many as are free beside it, so that one that does not answer holds half of
 * them, two a third each, and never all. Of each call under way: its own count and that of all. False: it has its share. */
bool share_take(atomic_int *own, atomic_int *all);
void share_end(atomic_int *own, atomic_int *all);

/* ---- asynchronous messages (async.c) ---- */
int async_open(struct exchange *x, struct err *err);
void async_close(struct exchange *x);
void async_jobs(struct exchange *x);
/* Take a message to be delivered later: 0 with its id, -1 with *fault. */
int async_take(struct exchange *x, struct arena *a, const struct call *q, char message_id[200], struct fault *fault);
void async_get(struct http_req *r);          /* GET /exchange/async/{id} */
bool routes_near(struct http_req *r, const struct exchange *x); /* called from this machine itself, or from an address that is named in the settings */
void async_figures(struct exchange *x, int64_t *waiting, int64_t *oldest_s);

/* ---- figures (monitor.c) ---- */
int monitor_open(struct exchange *x, struct err *err);
void monitor_close(struct exchange *x);
void monitor_jobs(struct exchange *x);
void monitor_metrics(struct exchange *x, struct buf *out);

/* What x->sides holds (exchange.c). */
struct sides {
  struct process process;
  struct tasks *consumers, *producers, *later;
  atomic_uint turn;
  atomic_int to_peers, to_systems;         /* calls under way */
  char *address;                           /* of the gateway's card */
  _Atomic int64_t stamped, stamp_failed, round;   /* monotonic ms; stamp_failed: wall clock since when, 0: good */
  atomic_bool stamping;
  _Atomic int64_t handled;                 /* messages, counted by the monitor */
  int64_t again_swept;
  char stamp_error[200];
};

#endif
