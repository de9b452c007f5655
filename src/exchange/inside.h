/* Inside exchange: what its files share. Nothing here leaves the room. */
#ifndef CHAPAR_EXCHANGE_INSIDE_H
#define CHAPAR_EXCHANGE_INSIDE_H

#include "exchange/exchange.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- errors (errors.c): X-Road's codes, each once ---------------------------------------------------------------- */
/* A fault of a gateway: code without style, such as "server.serverproxy.access_denied"; status 500 for "server…", else 400; detail: a uuid. */
struct fault { char code[100]; char message[400]; char detail[37]; };
int fault_set(struct fault *f, const char *code, const char *fmt, ...) BASE_PRINTF(3, 4); /* -1 */
int fault_status(const struct fault *f);
/* X-Road-Error and the body, JSON or XML by Accept (http room's accept rules), in the style of the options. */
void fault_reply(struct http_req *r, const struct exchange *x, const struct fault *f);
bool fault_known(const char *code);                       /* is every word of it in the table? */
void fault_code(const char *code, enum exchange_error_style style, char out[100]);
const char *fault_body(const struct fault *f, enum exchange_error_style style, const char *accept, struct buf *out); /* its media type */
void uuid_make(char out[37]);                             /* version 4 (ids.c) */
/* The same with the time in its first 48 bits, for ids of messages: an index of such ids grows at its end, and not all over. */
void uuid_make_timed(char out[37]);

/* ---- a message (message.c) ------------------------------------------------------------------------------------------ */
/* Request (status 0) or answer. Headers in order; names as they were written. Borrowed pointers live as long as the request's arena. */
struct message {
  const char *method, *target_uri;          /* request: absolute, as signed */
  int status;
  struct http_pair *headers; size_t header_count, header_room; struct arena *arena;
  const struct http_content *content;       /* NULL or size 0: empty; its digest is still signed */
  unsigned char digest[64]; bool digested;  /* SHA-512 of the content, once message_digest was called */
  unsigned char signature[64]; bool proven; /* the signature that was made or found good */
};
const char *message_header(const struct message *m, const char *name);           /* the last one wins; NULL */
int message_add(struct message *m, const char *name, const char *value, struct err *err);
int message_add_held(struct message *m, const char *name, const char *value, struct err *err); /* texts that live as long as the message */
void message_remove(struct message *m, const char *name);
void message_clean(struct message *m);       /* drop what X-Road drops both ways (hop-by-hop, Host, Server, User-Agent, Content-Length, Expect …) */
int message_digest(struct message *m, struct err *err);                            /* fills digest, once; any size in constant memory */
int content_digest(const struct http_content *c, const char *method, unsigned char *out, struct err *err); /* "SHA512", "SHA256" */
bool header_named(const struct http_pair *h, const char *name);
bool message_ours(const struct http_pair *h);              /* Content-Digest and our member of Signature and Signature-Input */
/* X-Road-Request-Hash: base64 of SHA-512 over method, path (raw path[?query] of /r1) and the headers as they stand in m, without what message_ours
 * tells; over the content's digest too when there is content. So m is cleaned, and X-Road-Request-Id and a made X-Road-Id are its last lines. */
int message_request_hash(const struct message *m, const char *path, char out[89], struct err *err);

/* ---- RFC 9421 and RFC 9530 (fields.c, signature.c) --------------------------------------------------------------------- */
/* Signature label and tag of this protocol. Components of a request: @method @target-uri content-digest and every x-road-* header, of an
 * answer: @status content-digest every x-road-* header, and of its request, with ;req: @method @target-uri content-digest signature;key="xr".
 * Parameters: created, nonce (128 bits, base64url), keyid, alg="ecdsa-p256-sha256", tag="x-road-1". Signature is raw r‖s, 64 bytes. */
#define SIGNATURE_LABEL "xr"
#define SIGNATURE_TAG "x-road-1"
struct sfv_item;
struct signed_by { char keyid[65]; int64_t created; char nonce[44]; const struct sfv_item *covered; const unsigned char *signature; /* both in the message's arena */ };
/* Adds Content-Digest, Signature-Input, Signature, in place of those of ours that were there; what a system signed under another label stays. A
 * Content-Digest that a request came with must be true: ERR_CONFLICT. request: of an answer, else NULL. *base: the signature base, in m's arena. */
int signature_make(struct message *m, const struct message *request, const struct exchange_signer *by, const char *keyid, int64_t now,
                   const char **base, struct err *err);
/* What it claims, before any key is looked up. ERR_MALFORMED with a sentence: none, two, wrong components, missing parameter, old algorithm. */
int signature_read(const struct message *m, struct signed_by *out, struct err *err);
/* public: SubjectPublicKeyInfo in DER. Checks the covered components (all that the protocol wants, no x-road-* header outside), the digest
 * against the content, the signature. ERR_CONFLICT: the content differs from its digest; ERR_FORBIDDEN: signature false; ERR_MALFORMED. */
int signature_check(struct message *m, const struct message *request, const void *public_key, size_t n, const char **base, struct err *err);
/* The same of a message that signature_read has read (`by`) and that was not changed since. */
int signature_check_read(struct message *m, const struct message *request, const struct signed_by *by, const void *public_key, size_t n, const char **base, struct err *err);

/* ---- what stands in a gateway's folder (join.c) ---------------------------------------------------------------------------- */
struct gateway_card { char server[4 * EXCHANGE_PART + 4]; char address[300]; };   /* gateway.json, made by exchange_init */
int gateway_card_read(const char *folder, struct gateway_card *out, struct err *err);   /* ERR_NOT_FOUND: no gateway here */

/* ---- keys (keys.c; the helper itself: helper.c) ------------------------------------------------------------------------------ */
/* The private keys of FOLDER/keys are read by a helper process alone (our own binary, sandboxed); it is begun anew when it dies and what was asked
 * is asked again. Before a gateway's keys are in use, and while they roll over, an answer below is always one pair that belongs together. */
struct keys;
int keys_open(const char *folder, struct keys **out, struct err *err);
void keys_close(struct keys *k);
/* Signing key in use: take both at once for each message. The signer stays good until keys_close. keyid: hex of SHA-256 of its SubjectPublicKeyInfo. */
void keys_signer(struct keys *k, struct exchange_signer *out, char keyid[65]);
/* Certificate in use (PEM, malloc'ed) and how its key signs, for http_server_tls and http_peer_new. NULL: none yet. */
char *keys_certificate(struct keys *k, struct http_key *out);

/* ---- what exchange.c calls of the directory, publishing and witnesses: after store, ledger and keys are there ------------------- */
int members_open(struct exchange *x, struct err *err);        /* sets x->members; reads FOLDER/directory */
void members_close(struct exchange *x);
void members_jobs(struct exchange *x);                         /* pull when due, in the background; keys that roll over; witnesses */
int publish_open(struct exchange *x, struct err *err);        /* sets x->publisher when the folder holds the operator's key */
void publish_close(struct exchange *x);
int directory_routes(struct http_server *s, struct exchange *x, struct err *err); /* /exchange/… of the gateways' listener: exchange_peer_routes calls it */
/* The TLS certificate of the listeners changes with the keys: they are kept here so that a roll-over renews it. exchange_peer_routes and exchange_routes_tls call it, once each. */
void members_listener(struct exchange *x, struct http_server *s);

/* ---- the directory as a snapshot (members.c) ---------------------------------------------------------------------------- */
struct members;                               /* immutable, counted */
struct members *members_hold(struct exchange *x);              /* never NULL: an empty one before joining */
void members_drop(struct members *m);
enum members_state { MEMBERS_FRESH, MEMBERS_OLD /* cannot be renewed, within grace: alarm */, MEMBERS_EXPIRED, MEMBERS_NONE };
enum members_state members_state(const struct exchange *x, const struct members *m);
int64_t members_version(const struct members *m);
bool members_known(const struct members *m, const struct exchange_id *id, int parts);   /* a member (3) or subsystem (4) of it */
bool members_group(const struct members *m, const char *group, const struct exchange_id *subsystem);
/* Gateways that answer for a subsystem, in the order to try (load shared by rotation `turn`, those that failed lately last). */
struct gateway { const char *id; /* INSTANCE/CLASS/MEMBER/SERVER */ const char *address; const unsigned char (*certificates)[32]; size_t certificate_count; struct http_peer *_Atomic peer; struct told *told; };
size_t members_gateways(struct members *m, const struct exchange_id *subsystem, unsigned turn, const struct gateway **out, size_t most);
/* How a call to it went: what fails is tried last for a while and shown in the monitor. why: NULL when reached. */
void gateway_told(const struct gateway *g, bool reached, const char *why);
/* What it said of its maintenance when it was called last; NULL: it is under none. It is reached, and tried last until it does something again. */
void gateway_maintained(const struct gateway *g, const char *said);
atomic_int *gateway_busy(const struct gateway *g); /* how many calls to it are under way, across snapshots */
/* [{"server","address","state":"reached"|"failed"|"maintenance","at","last_error": why, or what it said}] of the gateways that were called since the start. A maintenance
 * ends here when it was said to; at: when that was heard. */
json_t *members_peers(struct exchange *x);
const struct gateway *members_by_certificate(const struct members *m, const unsigned char sha256[32]); /* NULL */
bool members_serves(const struct members *m, const struct gateway *g, const struct exchange_id *subsystem); /* does this gateway stand for it? */
/* A signing key valid at `at` and not revoked. -1 ERR_NOT_FOUND (unknown), ERR_FORBIDDEN (revoked or out of its time). public_key: inside m. */
int members_key(const struct members *m, const char *keyid, int64_t at, const struct gateway **of, const void **public_key, size_t *n, struct err *err);
/* The same of a message that comes in, signed at `created` (s): good then, as who judges its evidence will ask (proof.c), and good now. */
int members_key_now(const struct members *m, const char *keyid, int64_t created, const struct gateway **of, const void **public_key, size_t *n, struct err *err);
/* All of it: every member and subsystem, in order, for listClients. */
void members_each(const struct members *m, void (*fn)(void *ctx, const struct exchange_id *id, int parts, const char *name_fa, const char *name_en), void *ctx);
/* The signed text itself, for evidence (the entry of a key) and for pulling. */
const char *members_text(const struct members *m, size_t *n);

/* ---- evidence (evidence.c) ------------------------------------------------------------------------------------------------- */
enum side { SIDE_CONSUMER, SIDE_PRODUCER };
/* One signed message to be kept. Put before it is sent, and durable, as evidence_wait tells, before anything of the exchange is released; before it is sent too where evidence_pass waits. The message, its arena,
 * texts, content and base stay as they are until evidence_wait, the arena until evidence_end. */
struct kept { enum side side; const char *message_id; const struct exchange_id *client, *service; const struct message *message; const char *base; const char *keyid;
              bool digest_only; int64_t at; };
struct evidence;                              /* puts under way of one exchange */
struct evidence *evidence_begin(struct exchange *x);
/* Queues and goes on. ERR_UNAVAILABLE: the log takes nothing now (full disk): nothing may be released (logging_failed). */
int evidence_put(struct evidence *e, const struct kept *k, struct err *err);
/* May the request that was put be passed on? 0: it is durable, or it changes nothing (method_safe) and is being logged while it travels; then its answer, an error too, waits for evidence_wait. As long as the
 * last write of the log failed every request waits here, so that a gateway whose log does not work passes nothing on. */
int evidence_pass(struct evidence *e, const char *method, struct err *err);
int evidence_wait(struct evidence *e, struct err *err);   /* all that was put is durable, or why not */
void evidence_end(struct evidence *e);                     /* waits too */
/* Was a request of this id taken here, as the producer, whose signature has this nonce? What we asked ourselves does not count: where both sides are ours
 * it stands in the same log. */
int evidence_holds(struct exchange *x, const char *message_id, const char *nonce, bool *holds, struct err *err);
int evidence_since(struct exchange *x, int64_t at, bool *any, struct err *err);   /* was any request taken here, as the producer, since then? */

/* ---- replay and repetition (replay.c) ---------------------------------------------------------------------------------------- */
/* Nonces within the window, in a file of all processes of this gateway (nonces.h); for a time of which that does not tell, the durable log is asked by the
 * message's id. 0 new, ERR_CONFLICT seen, ERR_UNAVAILABLE when that cannot be told. */
int replay_check(struct exchange *x, const struct signed_by *s, const char *message_id, struct err *err);
bool replay_problem(struct exchange *x, char out[300]);    /* messages were refused lately because it could not be told */
void replay_metrics(struct exchange *x, struct buf *out);
/* Deduplication by message id at the producer, for methods that change: 1: it was answered, *answer is the kept one; 0: ours to do; ERR_CONFLICT: with
 * another digest. ERR_RATE: being worked on now; ERR_OUTCOME_UNKNOWN: it was begun and ended, by an answer that did not come or with the process; by a method
 * that may be repeated it is ours to do again. */
struct kept_answer;
int repeat_begin(struct exchange *x, const char *message_id, const struct exchange_id *client, const char *method, const unsigned char digest[64], struct kept_answer **answer, struct err *err);

/* ---- rights (access.c) ------------------------------------------------------------------------------------------------------- */
struct right { char grant[40]; char purpose[300]; };
/* May this subsystem call method and path (normalised) of the service? 0, or -1 ERR_FORBIDDEN. From memory; changes show at once. */
int access_check(struct exchange *x, const struct members *m, const struct exchange_id *client, const struct exchange_id *service, const char *method,
                 const char *path, struct right *out, struct err *err);
/* Decode and normalise a raw path for matching: ERR_INVALID for a leftover "..", bad escapes, NUL, an encoded slash kept apart. */
int path_normalise(const char *raw, char *out, size_t room, struct err *err);
bool glob_match(const char *glob, const char *path);

/* ---- the gateway itself (exchange.c) ------------------------------------------------------------------------------------------ */
struct exchange {
  struct exchange_options o;
  char *folder, *node, *server;               /* server: INSTANCE/CLASS/MEMBER/SERVER */
  struct exchange_id self;                    /* three parts */
  struct store *store;
  struct trust *ledger;
  struct keys *keys;                          /* the helper process (keys.c): keys_signer gives what a message is signed with */
  struct members_keeper *members;             /* members.c */
  struct services *services;                  /* services.c: with rights beside */
  struct access *access;
  struct replay *replay;
  struct monitor *monitor;
  struct async *async;
  struct sides *sides;                        /* side.h: threads, turns */
  struct keeping *keeping;                    /* archive.c: what is kept of the log, and how long */
  struct ends_keeper *ends;                   /* ends.c: letters before something ends */
  struct publisher *publisher;                /* publish.c; NULL: not the operator */
  struct trust *platform;                     /* whose checkpoints the members co-sign; NULL: not the operator's process */
  _Atomic uint64_t directory_kept;            /* evidence.c: the directory last seen in the log, and when */
  atomic_bool log_fails;                      /* evidence.c: the last message could not be logged */
};

/* Counting (monitor.c): called once for each exchange and side. client, service: NULL while they are only what a stranger said. at: 0: now (ms) */
struct counted { enum side side; const struct exchange_id *client, *service; const struct fault *fault; int status; int64_t micros, bytes_in, bytes_out, at; };
void monitor_count(struct exchange *x, const struct counted *c);

#endif
