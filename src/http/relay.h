/*
 * http/relay: what a gateway needs of http beyond pages and JSON: bodies of any size in constant memory, headers as they were received,
 * TLS with certificates on both sides, and pooled calls to one peer. Part of the room http.
 *
 * A content is kept in memory up to HTTP_SPILL bytes and beyond that in an unlinked file of the temporary folder ($TMPDIR, /tmp), so the
 * memory of a relay does not depend on what passes through it. What those files hold together is bounded (http_spool_limit), and of that
 * one sender has no more than would still be free for the others.
 */
#ifndef CHAPAR_HTTP_RELAY_H
#define CHAPAR_HTTP_RELAY_H

#include "http/http.h"

#define HTTP_SPILL (256 * 1024)

struct http_pair { const char *name, *value; };

struct http_content {
  char *data;                      /* malloc'ed, ends in NUL; NULL when fd holds it or when it is empty */
  int fd;                          /* -1: data holds it */
  int64_t size;
  struct spool_share *share; int64_t room, written; /* whose it is counted to, how many bytes of the temporary folder, and how many of them are there */
};
#define HTTP_NO_CONTENT ((struct http_content){.fd = -1})
/* Pieces of at most 64 KiB, in order. fn: 0, or -1 to stop. */
int http_content_each(const struct http_content *c, int (*fn)(void *ctx, const void *p, size_t n), void *ctx, struct err *err);
/* Append at the end. ERR_UNAVAILABLE when the temporary folder is full or the bound is reached, ERR_TOO_LARGE beyond `most` bytes in all (< 0: no bound). */
int http_content_add(struct http_content *c, const void *p, size_t n, int64_t most, struct err *err);
void http_content_free(struct http_content *c);    /* and sets it to HTTP_NO_CONTENT */
/* Bytes of the temporary folder that all contents of this process may take at once; 0, as at the start: half of what is free there. Beyond it a
 * request is answered 503 with Retry-After, by its Content-Length before its body is taken. Any thread, any time. */
void http_spool_limit(int64_t bytes);
struct http_spool_figures { int64_t limit, held, refused; };
void http_spool_count(struct http_spool_figures *out);

/* ---- the private key of a certificate ---------------------------------------------------------------- */
/* ECDSA P-256. Either as text, or in another process that signs: `sign` gets a digest (SHA-256/384/512, n bytes) and fills a DER signature. Any thread. */
struct http_key {
  const char *pem;                 /* NULL: sign is called */
  int (*sign)(void *ctx, const unsigned char *digest, size_t n, unsigned char der[80], size_t *size, struct err *err);
  void *ctx;
};

/* ---- the server's side --------------------------------------------------------------------------------- */
/* To be given to http_server_tls before http_server_start; texts are copied. Who the client is is judged by handlers or the authorise hook. */
struct http_tls {
  const char *certificate;         /* PEM, its chain after it */
  struct http_key key;
  bool ask;                        /* ask for the client's certificate: handlers see it; it need not be signed by anybody */
};
int http_server_tls(struct http_server *s, const struct http_tls *t, struct err *err);
/* Replace the certificate for new connections (any thread). */
int http_server_tls_renew(struct http_server *s, const struct http_tls *t, struct err *err);
bool http_encrypted(const struct http_req *r);
/* SHA-256 of the client's certificate (DER); false when it showed none. The handshake proved that it holds the key. */
bool http_client_certificate(const struct http_req *r, unsigned char sha256[32]);
/* Every header line as it was received: order, case, repetitions; values trimmed. */
size_t http_headers(const struct http_req *r, const struct http_pair **list);
/* The body of a row with `spill`; valid until the reply is sent. */
const struct http_content *http_content(const struct http_req *r);
/* Reply with exactly these headers (and what HTTP needs: Date unless given, Content-Length, Connection); content is taken. Unsound headers are left out. */
void http_reply_relay(struct http_req *r, int status, const struct http_pair *headers, size_t count, struct http_content *content);

/* ---- the client's side: one peer -------------------------------------------------------------------------- */
struct http_peer;
struct http_peer_options {
  const char *base;                /* "https://host:port" or "http://host:port"; no path */
  const char *certificate;         /* our own (PEM), NULL: none */
  struct http_key key;
  const unsigned char (*pins)[32]; /* SHA-256 of the certificates (DER) that the peer may show; no authority is asked then */
  size_t pin_count;                /* 0: verified against ca_file, or the system's authorities */
  const char *ca_file;
  bool any_certificate;            /* believe whatever it shows (an information system inside the office, when its owner says so) */
  int connections;                 /* most kept idle; 0: 32 */
  int connect_ms;                  /* 0: 5000 */
};
int http_peer_new(const struct http_peer_options *o, struct http_peer **out, struct err *err);
void http_peer_free(struct http_peer *p);
struct http_relay_call {
  const char *method, *target;     /* target: path and query as they go on the wire */
  const struct http_pair *headers; size_t header_count; /* exactly these, beside Host, Content-Length and Accept-less defaults */
  const struct http_content *content; /* NULL: no body */
  int timeout_ms;                  /* of the whole call; 0: 60000 */
  int idle_ms;                     /* without a byte either way; 0: 30000 */
  int64_t most;                    /* bytes of answer; 0: no bound */
};
struct http_relay_answer {
  int status;
  struct http_pair *headers; size_t header_count; /* as received, without hop-by-hop framing lines */
  struct http_content content;
  char *held;                      /* memory of the headers */
  int64_t connect_us, first_us, all_us; /* since the call began; connect_us 0: a kept connection */
};
/* Blocks. Never follows redirects. Repeats by itself, once, only when a kept connection turned out closed: before a byte was sent, or, of a
 * method that may be repeated, before a byte was answered.
 * ERR_UNAVAILABLE: nothing was sent (no address, refused, time-out of connecting, certificate not pinned: message says which);
 * ERR_OUTCOME_UNKNOWN: sent wholly or in part, no whole answer; ERR_TOO_LARGE; ERR_INVALID. */
int http_peer_call(struct http_peer *p, const struct http_relay_call *c, struct http_relay_answer *out, struct err *err);
void http_relay_answer_free(struct http_relay_answer *a);
/* The program ends and has waited: all calls to peers that are under way now end as with a connection that was broken off. */
void http_calls_cut(void);

#endif
