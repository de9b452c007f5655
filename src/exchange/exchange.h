/*
 * exchange: one organisation's gateway. Layer 4; includes base, language, store, trust, directory, identity, catalog, http, registries.
 *
 * A gateway stands between the information systems of its members and other gateways. Towards information systems it speaks X-Road's REST
 * message protocol (PR-REST 1, PR-META, PR-MREST); towards gateways HTTPS with certificates on both sides, pinned by the signed member
 * directory, every request and answer signed by RFC 9421 and logged by both sides before it is released. It keeps its own store (an SQLite
 * file, also beside PostgreSQL: several nodes are several gateways of the same member) and in it its own ledger (room trust).
 *
 *   information system → consumer.c → signature.c, evidence.c → peer → producer.c → signature.c, access.c, evidence.c → information system
 *
 * Words: instance, member, subsystem, service, endpoint, gateway (X-Road's "security server"), directory (its "global configuration"),
 * consumer side (the gateway of who asks), producer side (the gateway of who answers). Thread-safe but for open and close.
 */
#ifndef CHAPAR_EXCHANGE_H
#define CHAPAR_EXCHANGE_H

#include "base/base.h"
#include "catalog/catalog.h"
#include "http/http.h"
#include "http/relay.h"
#include "identity/identity.h"
#include "registries/registries.h"
#include "store/store.h"
#include "trust/trust.h"

/* ---- identifiers (ids.c) ------------------------------------------------------------------------------------ */
/* INSTANCE/CLASS/MEMBER[/SUBSYSTEM[/SERVICE]]: each part 1–ID_PART bytes of UTF-8 without controls, '/', '\', ';', ':', '%', and not "." or "..". */
#define EXCHANGE_PART 100
#define EXCHANGE_ID (5 * EXCHANGE_PART + 5)
struct exchange_id { char instance[EXCHANGE_PART + 1], class_[EXCHANGE_PART + 1], member[EXCHANGE_PART + 1], subsystem[EXCHANGE_PART + 1], service[EXCHANGE_PART + 1]; };
/* parts: how many are wanted at least and at most (3–5). Text is not percent-encoded. ERR_INVALID. */
int exchange_id_parse(const char *text, int least, int most, struct exchange_id *out, struct err *err);
void exchange_id_text(const struct exchange_id *id, char out[EXCHANGE_ID + 1]);      /* as many parts as it has */
bool exchange_id_same(const struct exchange_id *a, const struct exchange_id *b, int parts); /* the first so many parts */

/* ---- the gateway ---------------------------------------------------------------------------------------------- */
struct exchange;

enum exchange_error_style { EXCHANGE_ERRORS_78, EXCHANGE_ERRORS_77 }; /* server.clientproxy.unknown_member · Server.ClientProxy.UnknownMember */
enum exchange_key { EXCHANGE_KEY_SIGN, EXCHANGE_KEY_TLS };            /* both ECDSA P-256 */

/* Signs with a private key that only the key helper holds (keys.c). digest: SHA-256 (32 bytes) for signatures, what TLS wants for TLS. */
struct exchange_signer {
  int (*sign)(void *ctx, enum exchange_key which, const unsigned char *digest, size_t n, unsigned char der[80], size_t *size, struct err *err);
  void *ctx;
};

struct exchange_options {
  const char *folder;              /* of this gateway: exchange.db, directory.json, keys/ */
  const char *node;                /* name of this process for leases */
  enum exchange_error_style errors;
  bool tsa;                        /* trust_options of the gateway's ledger: */
  const char *tsa_url, *tsa_ca_file;
  int (*post)(void *ctx, const char *url, const char *media_type, const void *body, size_t n, char **answer, size_t *size, struct err *err);
  void *post_ctx;
  int window_s;                    /* how far `created` may lie from now, either way; 0: 300 */
  int timeout_ms;                  /* of a call to a peer or an information system; 0: 60000 */
  int64_t most_body;               /* bytes; 0: 4 GiB */
  int64_t directory_grace_s;       /* how long a directory that cannot be renewed is gone on with; 0: 86400 */
  const char *allow;               /* addresses, by comma, that may call besides this machine itself; NULL: none; "*": everybody who reaches the listener */
  int keep_days, keep_mb;          /* the log of messages goes into archives by age and by size (archive.c); 0: it is kept whole */
  const char *actor;               /* who acts through this opening, for the record ("command: name"): a command. NULL: the gateway that serves */
  const char *archive_folder;      /* where they are written; NULL: archive/ in the folder */
  struct http_client *client;      /* for letters; lives longer. NULL: none are sent */
  const char *smtp_url, *mail_from, *alarm_mail; /* alarm_mail: who is written to before something ends, by comma (exchange_alarm_addresses); NULL: nobody */
  int log_bodies_kib;              /* bodies up to this size are kept in evidence whole, others by digest; 0: 64. A service may say otherwise */
};
/* ERR_NOT_FOUND when the folder holds no gateway yet (exchange_init makes one). */
int exchange_open(const struct exchange_options *o, struct exchange **out, struct err *err);
void exchange_close(struct exchange *x);
struct trust *exchange_ledger(struct exchange *x);
struct store *exchange_store(struct exchange *x);
const char *exchange_server(const struct exchange *x);  /* "INSTANCE/CLASS/MEMBER/SERVER" */

/* Rows for information systems (/r1, /listClients, /evidence), to be mounted on the platform's server or the gateway's own plain or TLS listener. */
int exchange_routes(struct http_server *s, struct exchange *x, struct err *err);
/* The same on a listener of their own with TLS: the gateway's certificate, and the information system's is asked for. Calls http_server_tls. */
int exchange_routes_tls(struct http_server *s, struct exchange *x, struct err *err);
/* Rows for other gateways (listener with mutual TLS; --exchange-listen): /r1, /exchange/…; calls http_server_tls itself. */
int exchange_peer_routes(struct http_server *s, struct exchange *x, struct err *err);
/* One round of what is due: ledger's sequencer and time-stamps, directory pull, asynchronous deliveries, witnesses, retention. Every 200 ms. */
void exchange_jobs(struct exchange *x);
int64_t exchange_activity(struct exchange *x);                         /* a number that changes when a message passed or the directory changed */
void exchange_quiet(struct exchange *x);                              /* what those began in the background ends: before the servers of the rows above are freed. NULL: nothing */
void exchange_metrics(struct exchange *x, struct buf *out);           /* Prometheus text */

/* ---- calls from inside (consumer.c) ---------------------------------------------------------------------------- */
/* As an information system of `client` (a subsystem of ours) would: checked, signed, logged, answered. Blocks. */
struct exchange_call {
  const char *client;              /* INSTANCE/CLASS/MEMBER/SUBSYSTEM */
  const char *service;             /* five parts */
  const char *method, *path;       /* path: "" or "/…[?query]", raw (percent-encoded) */
  const char *message_id;          /* NULL: made */
  const char *user, *issue;        /* X-Road-UserId, X-Road-Issue (the case: tracking code), may be NULL */
  const struct http_content *content; const char *media_type; /* NULL: none */
  int timeout_ms;
};
struct exchange_answer {
  int status; char message_id[200], error[100]; /* error: X-Road code without style, "" when the provider itself answered */
  char *media_type; struct http_content content;
};
/* 0: out tells; with out->error a gateway refused, and err->message says why in English. -1: the call cannot be made as it is (ERR_INVALID). */
int exchange_call(struct exchange *x, const struct exchange_call *c, struct exchange_answer *out, struct err *err);
void exchange_answer_free(struct exchange_answer *a);

/* ---- services of ours (services.c) ------------------------------------------------------------------------------ */
/* A service that this process answers by itself (registries): in an exchange it stands where the information system would. Called on a worker's
 * thread after all checks. Fill status, media type and content; -1 becomes service_failed.internal_error. */
struct exchange_asked {
  const struct exchange_id *client, *service;
  const char *method, *path, *query;   /* path within the service, normalised, begins with '/' or is "" ; query raw, "" */
  const char *message_id, *user, *issue;
  const struct http_content *content; const char *media_type;
  const char *purpose, *grant;         /* of the access right under which it is answered, "" when none says */
};
typedef int (*exchange_local)(void *ctx, const struct exchange_asked *q, struct exchange_answer *out, struct err *err);
struct exchange_service {
  const char *id;                  /* five parts */
  const char *kind;                /* "REST" or "OPENAPI" */
  const char *url;                 /* base URL of the information system, NULL when local answers */
  const char *openapi_url;         /* where its description stands, or NULL; local: openapi */
  exchange_local local; void *ctx;
  char *(*openapi)(void *ctx);     /* description as JSON text, malloc'ed; NULL: none */
  const char *title_fa, *title_en;
  bool log_digest_only;            /* evidence keeps digests, never bodies */
  int timeout_ms;
  const char *ca_file; bool any_certificate; /* of an https url */
};
/* Add or replace. Services with a url are kept in the store, local ones are told anew at each start. ERR_INVALID. */
int exchange_service_put(struct exchange *x, const struct exchange_service *s, struct err *err);
int exchange_service_remove(struct exchange *x, const char *id, struct err *err);
int exchange_service_disable(struct exchange *x, const char *id, const char *notice, struct err *err); /* notice NULL: enable again */
/* Options of a service with a url that stand from now on: timeout_ms (0: the gateway's), any_certificate; -1: as it was. ERR_NOT_FOUND, ERR_INVALID. */
int exchange_service_options(struct exchange *x, const char *id, int timeout_ms, int any_certificate, struct err *err);
/* The gateway is under maintenance until then (0: until it is said to be over; notice NULL): calls of both sides are refused with the notice (maintenance_mode),
 * and other gateways of the member answer. ERR_INVALID. */
int exchange_maintenance(struct exchange *x, const char *notice, int64_t until, struct err *err);
json_t *exchange_maintenance_now(struct exchange *x);  /* {"notice","until" or null}, JSON null when there is none; new reference */
/* What evidence keeps of a service from now on, ours or another's that is asked through here: digests alone, or bodies too. ERR_INVALID. */
int exchange_service_log(struct exchange *x, const char *id, bool digest_only, struct err *err);
json_t *exchange_log_policies(struct exchange *x);   /* {service: "digest"|"bodies"} of those that were said; new reference */
/* Every endpoint pair (method, glob) of a REST service that getOpenAPI or listMethods tells. */
int exchange_endpoint_put(struct exchange *x, const char *service, const char *method, const char *path, struct err *err);
/* [{"id","kind","url","title":{"fa","en"},"disabled","timeout_ms","any_certificate","log": "bodies"|"digest","endpoints":[{"method","path"}],"grants":n}] */
int exchange_services(struct exchange *x, json_t **out, struct err *err);
/* Subsystems that live behind this gateway: their clients may call from information systems. tls: "plain", "https", "mutual". certificates:
 * SHA-256 in hex of the clients' certificates, by space (mutual). */
int exchange_subsystem_put(struct exchange *x, const char *id, const char *tls, const char *certificates, struct err *err);

/* ---- rights (access.c) -------------------------------------------------------------------------------------------- */
struct exchange_grant {
  const char *id;                  /* NULL: made ("g-…") */
  const char *subject;             /* a subsystem (four parts), or "group:CODE" */
  const char *service;             /* five parts */
  const char *method, *path;       /* "*" and "**" for all; path glob: '*' one segment, '**' anything, '\*' a star */
  const char *purpose, *tracking;  /* why, and the case that granted it; may be NULL */
  int64_t from, until;             /* 0: no end */
};
int exchange_grant(struct exchange *x, const struct exchange_grant *g, const char *by, char id[40], struct err *err);
int exchange_revoke(struct exchange *x, const char *grant, const char *by, const char *why, struct err *err);
/* Newest first: [{"id","subject","service","method","path","purpose","tracking","from","until","revoked_at","used_at","uses"}] */
int exchange_grants(struct exchange *x, const char *service, bool all, json_t **out, struct err *err);
/* Local groups: of this gateway alone, for its own rights ("group:CODE"). id: a member or a subsystem. ERR_NOT_FOUND: it is not in it. */
int exchange_group(struct exchange *x, const char *code, const char *id, bool in, const char *by, struct err *err);
int exchange_groups(struct exchange *x, json_t **out, struct err *err); /* [{"code","members":[…],"global": of the directory, by the operator}] */

/* ---- acts (publish.c) ---------------------------------------------------------------------------------------------------------- */
/* Who did what here, newest first: the operator's acts, and of every gateway its own (services, rights, groups, keys, archives). Each is a leaf of the
 * gateway's ledger; what the pack put into the directory at a start is in the ledger, not in this list. before: "next" of the answer before, NULL. limit: 1–500.
 * {"items":[{"id","at","actor","act","subject","detail":{"why"?…},"leaf_hash"}],"next": or null} ERR_INVALID. */
int exchange_acts(struct exchange *x, const char *before, int limit, json_t **out, struct err *err);

/* ---- evidence (evidence.c, bundle.c, proof.c) ------------------------------------------------------------------------------- */
/* asker: a subsystem of ours that took part; NULL: the operator of this gateway. Who calls chooses message ids and may use one as often as it likes: a time
 * (from inclusive, until exclusive and 0: no end) gives the part that is wanted where all of it is more than a bundle holds. */
struct evidence_ask { const char *message_id, *asker; int64_t from, until; };
/* from and until as RFC 3339, each may be NULL. ERR_INVALID. */
int evidence_ask_times(struct evidence_ask *a, const char *from, const char *until, struct err *err);
/* The messages of one exchange that this gateway took part in, with proof: a JSON text described in docs/developer/evidence.md. ERR_NOT_FOUND, ERR_LIMIT. */
int exchange_evidence(struct exchange *x, const struct evidence_ask *a, json_t **out, struct err *err);
/* Offline: check a bundle with the directory's key in it or a given one. *sentence in English for the person who checks; caller frees. */
int exchange_evidence_verify(const char *json, size_t n, const char *operator_key, const char *tsa_ca_file, char **sentence, struct err *err);

/* ---- the log over years (archive.c, archive_find.c) --------------------------------------------------------------------------- */
/* What is old enough, or too much, leaves the log for archives: written, fsynced, read back and judged before anything is removed; a process killed at
 * any point loses nothing, and the next run ends what it began. Messages without a place in the ledger, or without a time-stamp where there is an
 * authority, stay. The leaves stay in any case. Blocks; one run at a time (ERR_CONFLICT). ERR_UNAVAILABLE: a disk is full. */
struct exchange_archive_run {
  int64_t older_than_ms;           /* -1: by keep_days and keep_mb */
  bool unstamped;                  /* do not wait for time-stamps */
  int64_t file_bytes;              /* of one archive; 0: 64 MiB */
  void (*progress)(void *ctx, int64_t messages, int64_t bytes); void *ctx;
};
/* {"files":[name],"messages","bytes","left": why some that were wanted stayed, or null} */
int exchange_archive(struct exchange *x, const struct exchange_archive_run *o, json_t **out, struct err *err);
int exchange_archives(struct exchange *x, json_t **out, struct err *err); /* newest first: [{"name","state","from","until","messages","bytes","sha256","made_at","there"}] */
/* {"messages","bytes","store_bytes","oldest","free_bytes","keep_days","keep_mb","archive":{"folder","free_bytes","files","messages","bytes","last","last_at","problem"}} */
int exchange_log_status(struct exchange *x, json_t **out, struct err *err);
/* Offline, of one file: a bundle of a message in it, as exchange_evidence gives; and all of it judged, in memory that does not grow with it. */
int exchange_archive_evidence(const char *file, const struct evidence_ask *a, json_t **out, struct err *err);
int exchange_archive_verify(const char *file, const char *operator_key, const char *tsa_ca_file, char **sentence, struct err *err);

/* ---- seeing (monitor.c) --------------------------------------------------------------------------------------------- */
/* Live figures of the last minute, hour and day for each service and side, from memory and hourly rows:
 * {"services":[{"service","client"?,"side","rate","errors","p50_ms","p95_ms","p99_ms","bytes_in","bytes_out","last_error":{"code","at","side","check","advice"}}],
 *  "directory":{"version","age_s","alarm"},"timestamps":{"behind","since","leaves","oldest"},"ledger":{…},"peers":[{"server","address","state","last_error"}],"async":{"waiting","oldest_s"},"ends": as exchange_ends} */
int exchange_monitor(struct exchange *x, enum lang l, json_t **out, struct err *err);
/* What ends within thirty days, soonest first: rights given here, and the signing keys and certificates of this gateway (of every gateway, at the operator's):
 * [{"kind":"right"|"key"|"certificate","id","until","days","name" where named}]. What another of its kind outlives is not told (a key of the same gateway, a right to the same). */
int exchange_ends(struct exchange *x, bool named, json_t **out, struct err *err);
int exchange_alarm_addresses(const char *list, struct err *err); /* ERR_INVALID: one is no address, or there are more than ten */
int exchange_health(struct exchange *x, json_t *causes);  /* append {"part","message"}; 0 when all is well */

/* ---- registries as data services (registry_services.c), and what forms ask of all gateways (prefill.c) -------------------- */
/* The provider's subsystem of every data service that a registry of the pack answers: INSTANCE/CLASS/MEMBER/registries/SERVICE. Forms ask as
 * INSTANCE/CLASS/MEMBER/FORM-SERVICE, the programs of an organisation as INSTANCE/CLASS/MEMBER/systems (RIGHT_SUBSYSTEM). */
#define EXCHANGE_REGISTRIES "registries"
struct exchange_data;
/* That data of persons were given: to be on record, durable, before they are. persons: their keys; asker: code of the organisation, or the client's id
 * when the pack does not know it; grant, issue, user: as asked. */
struct exchange_look { const json_t *persons; const char *asker, *client, *provider, *service, *grant, *issue, *user; };
struct exchange_data_options {
  struct pack *pack;
  struct registries *registries;
  int (*look)(void *ctx, const struct exchange_look *k, struct err *err);
  void *ctx;
  int timeout_ms;                  /* of a form's question to a gateway; 0: 2500 */
};
int exchange_data_open(const struct exchange_data_options *o, struct exchange_data **out, struct err *err);
void exchange_data_close(struct exchange_data *d);
/* An exchange_local (ctx: the exchange_data) for every data service that has a registry. GET /records?key= and /records/{ref}; errors are
 * application/problem+json with a sentence in both languages. Data of persons need X-Road-Issue. */
int exchange_data_answer(void *ctx, const struct exchange_asked *q, struct exchange_answer *out, struct err *err);
/* OpenAPI 3.1 of one of them, made of its definition (new reference). */
json_t *exchange_data_openapi(struct exchange_data *d, const struct data_service *s);
/* Identifiers: subsystem and service may be NULL. False when the organisation has no class and member code. */
bool exchange_data_id(const struct exchange_data *d, int organisation, const char *subsystem, const char *service, struct exchange_id *out);
/* Tell a gateway of ours: members, subsystems, services, then (exchange_data_rights, to be called every round) the rights as they change. */
int exchange_data_join(struct exchange_data *d, struct exchange *x, struct err *err);
int exchange_data_rights(struct exchange_data *d, struct err *err);
/* The subsystems by which the forms of a pack ask, also of one that is served from now on. */
int exchange_data_forms(struct exchange_data *d, const struct pack *p, struct err *err);
/* What is known for a form: the port `prefill` of cases. Every provider is asked at once, each by one call; who does not answer in time is
 * passed over. X-Road-Issue is the tracking code, or "form CODE" where there is no case yet (NULL): {"field":{"organisation","registry","refuse","key"?, and "value", or "why": "refused"|"stopped"|"unreachable"}}. */
int exchange_data_prefill(struct exchange_data *d, const struct service *s, const char *national_id, const json_t *answers, const char *tracking, json_t **out, struct err *err);
/* Calls that work, for a demonstration: [{"client","service","method","path"}] with keys that the registries hold. */
int exchange_data_examples(struct exchange_data *d, json_t **out, struct err *err);

/* ---- the member directory and joining (members.c, publish.c, join.c) --------------------------------------------------- */
/* Make a gateway in a folder: store, keys (by the helper), server code. Nothing is trusted yet. ERR_CONFLICT when there is one. */
struct exchange_init { const char *folder, *server; /* INSTANCE/CLASS/MEMBER/SERVER */ const char *address; /* https://host:port of its exchange listener */ };
int exchange_init(const struct exchange_init *i, struct err *err);
/* How others call it from now on, before exchange_open. The directory tells it after exchange_operate, or with the next announcement of keys. */
int exchange_address(const char *folder, const char *address, struct err *err);
/* The folder was put back from a copy just now: what was taken since the copy was made is not in its log, so messages that were signed before now are refused. */
int exchange_restored(const char *folder, struct err *err);
/* In a store that was put back from a copy of that time: what waits to be delivered and is not idempotent may have been done since. */
int exchange_restored_messages(struct store *store, int64_t copied, struct err *err);
/* For a copy: the bodies that messages delivered later have in the files FOLDER/async/NAME. Asked after the store's dump, which began at `since`: all that the
 * dump's rows need are told, and perhaps some that were taken since (a body without a row is removed in time). each's -1 (with err) ends it. */
int exchange_bodies(struct exchange *x, int64_t since, int (*each)(void *ctx, const char *name, struct err *err), void *ctx, struct err *err);
bool exchange_body_name(const char *name);
/* Ask the operator's platform to be taken in: code is a one-time code ("operator-url", pinned key inside the code). Waits for a person's approval up to wait_s. */
int exchange_join(const char *folder, const char *operator_url, const char *code, int wait_s, struct err *err);
/* {"server","address","keyid","certificate","fingerprint"}: what the person who approves compares. Also before joining. */
int exchange_card(const char *folder, json_t **out, struct err *err);
/* The platform's ledger that members co-sign: its checkpoints and proofs are answered to other gateways, and its key stands in the directory. Before routes. */
void exchange_watch(struct exchange *x, struct trust *platform);
/* The operator's side: the directory is made, signed and versioned here (publish.c). base: the platform's own exchange. */
int exchange_operate(struct exchange *x, struct err *err);            /* this gateway's folder also holds the operator's key from now on */
int exchange_member_put(struct exchange *x, const char *id, const char *name_fa, const char *name_en, const char *by, struct err *err); /* member or subsystem */
/* Many in one transaction: those that are not there yet, or named otherwise; who was removed stays so. *changed: how many. */
struct exchange_member { const char *id, *name_fa, *name_en; };
int exchange_members_put(struct exchange *x, const struct exchange_member *list, size_t count, size_t *changed, struct err *err);
/* A member with its subsystems, or a subsystem (why: 1–300 bytes): its gateways leave the directory, their keys and certificates are revoked, it is in no
 * group, and rights that it was given end at every gateway that takes the new directory. ERR_NOT_FOUND, ERR_INVALID (the operator itself). */
int exchange_member_remove(struct exchange *x, const char *id, const char *by, const char *why, struct err *err);
int exchange_invite(struct exchange *x, const char *server, const char *by, char code[80], struct err *err); /* one-time, a day */
int exchange_requests(struct exchange *x, json_t **out, struct err *err);  /* waiting: [{"id","server","address","keys":[…],"at","fingerprint"}] */
int exchange_approve(struct exchange *x, const char *request, const char *by, bool yes, const char *why /* may be NULL */, struct err *err);
int exchange_gateway_remove(struct exchange *x, const char *server, const char *by, const char *why, struct err *err); /* all its keys are revoked */
int exchange_global_group(struct exchange *x, const char *code, const char *id, bool in, const char *by, struct err *err);
int exchange_key_revoke(struct exchange *x, const char *keyid, const char *by, const char *why, struct err *err);
/* The operator's key rolls over: a next one is made and named by the directory; it signs when the gateways seen lately know it (at most ten minutes later), or
 * at once. Gateways that were away follow by the directories that were kept. ERR_CONFLICT: it does so already. */
int exchange_renew_operator_key(struct exchange *x, const char *by, const char *why, bool at_once, struct err *err);
int exchange_publish(struct exchange *x, struct err *err);             /* a new version, signed, pushed to the gateways it can reach */
/* {"version","issued_at","age_s","members":[{"id","name","subsystems":[…]}],"gateways":[{"id","address","keys":[{"keyid","from","until","revoked_at"}],"certificates":[…]}],"groups":[…]} */
int exchange_directory(struct exchange *x, json_t **out, struct err *err);
int exchange_renew_keys(struct exchange *x, struct err *err);          /* roll-over: new keys announced, used when the directory knows them */
/* Who has co-signed the platform's ledger (witness.c): [{"server","tree_size","at"}]. platform: the trust whose checkpoints members co-sign. */
int exchange_witnesses(struct exchange *x, struct trust *platform, json_t **out, struct err *err);

#endif
