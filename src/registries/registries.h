/*
 * registries: the records that organisations keep, and their history. Layer 3; includes base, language, store, trust, directory,
 * identity, catalog. Thread-safe.
 *
 * A record is one in its registry by the attributes that the definition calls `unique` (the key by default); its `ref` is a keyed hash of
 * them. It has versions: each change is a leaf of the ledger, whose header names the ref and nothing personal, and whose payload may be
 * erased. Records are made by outcomes of services (cases' port `record`), by imports, or as a demonstration (marked synthetic).
 * Who looks at records is recorded by the caller with cases_use(): this room cannot see cases.
 */
#ifndef CHAPAR_REGISTRIES_H
#define CHAPAR_REGISTRIES_H

#include "base/base.h"
#include "catalog/catalog.h"
#include "identity/identity.h"
#include "store/store.h"
#include "trust/trust.h"

#define RECORD_REF 33            /* 32 hex digits */
#define RECORD_MOST 65536        /* bytes of a record's attributes as JSON */
#define RECORDS_SHOWN 50         /* most records of one key, and of one person in one registry */

struct registries;
struct registries_options {
  const unsigned char *secret;     /* 32 bytes: refs */
  struct identity *identity;       /* keys of persons */
};
/* t may be NULL: then histories have no places in the ledger. */
int registries_open(struct store *s, struct trust *t, struct pack *p, const struct registries_options *o, struct registries **out, struct err *err);
/* Without pack and keys: for registries_leaf_digest and registries_verify alone. */
struct registries *registries_reader(struct store *s);
void registries_close(struct registries *g);

/* ---- changing -------------------------------------------------------------------------------- */
enum record_source { RECORD_OUTCOME, RECORD_IMPORT, RECORD_SYNTHETIC };
const char *record_source_text(enum record_source s);
enum record_done { RECORD_MADE, RECORD_CHANGED, RECORD_REVOKED, RECORD_SAME };
struct record_change {
  /* in: live until the work is done */
  const struct registry *registry;
  json_t *attributes;              /* canonical, from registries_check; borrowed */
  bool revoke;                     /* the record is no longer valid (its attributes stay) */
  enum record_source source;
  const char *tracking;            /* of the case whose outcome this is, or NULL */
  const char *event;               /* applied once: the outbox effect's id, or NULL */
  /* out */
  char ref[RECORD_REF];
  int64_t version;
  enum record_done done;           /* RECORD_SAME: nothing differed, or the event had been applied: no new version */
};
/* Judge attributes with the same repair as answers (`in`: an object of strings or natural JSON; blank ones are absent). Key and unique
 * attributes are needed. 0: *out canonical (new reference). -1: *errors [{"field","code","message"}] (new reference). */
int registries_check(const struct pack *p, const struct registry *r, const json_t *in, enum lang l, struct arena *a, json_t **out, json_t **errors);
/* Inside work. An update keeps attributes that are not given: what an outcome does not know stays. ERR_INVALID without unique attributes. */
int registries_put(struct registries *g, struct store_tx *tx, struct record_change *k, struct err *err);
/* Many in one transaction, all or nothing; waits. */
int registries_put_many(struct registries *g, struct record_change *list, size_t count, struct err *err);
/* For cases_options.record: judge and put. What can never be a record is logged and passed over, so that the outbox does not stand still. */
int registries_outcome(struct registries *g, struct store_tx *tx, const char *registry, const char *event, const json_t *attributes,
                       const char *tracking, struct err *err);
/* Erase salts and payloads of all versions and the attributes: headers and digests stay, so the ledger verifies. The erasure is a change of its
 * own, with who and why (1 to 1000 bytes, nothing personal), and stays. ERR_NOT_FOUND; ERR_CONFLICT when it has been erased. */
int registries_erase(struct registries *g, const char *ref, const char *who, const char *why, struct err *err);
/* refs of the records of a key (repaired as its type), as strings. For whoever erases. */
int registries_refs(struct registries *g, const struct registry *r, const char *key, json_t **out, struct err *err);

/* ---- reading ---------------------------------------------------------------------------------- */
enum record_right { RECORD_NOTHING, RECORD_MASKED, RECORD_ALL };
/* Officers, supervisors and managers of the owner, the operator of the province and auditors see all; the helpdesk of the owner masked. */
enum record_right registries_right(const struct registries *g, const struct actor *who, const struct registry *r);
/* Registries that the caller may read: [{"code","title","organisation","organisation_name","key","attributes":[{"name","type","title",
 * "personal"}],"records","right"}] in order of code. */
int registries_list(struct registries *g, const struct actor *who, enum lang l, json_t **out, struct err *err);
/* Records of a key (repaired as its type), newest first, RECORDS_SHOWN at most, each with its history:
 * {"registry","title","organisation","organisation_name","key","items":[{"ref","version","valid","synthetic","since","attributes",
 *  "shown":[{"name","title","text","personal"}],"history":[{"version","at","change","source","tracking","leaf_index","changed":[…]}]}]}.
 * persons: keys of those whom the records are about (array of strings), whom the look concerns; it may be empty.
 * ERR_NOT_FOUND when there is no such registry or right, or (with right) no such record. */
int registries_find(struct registries *g, const struct actor *who, const char *code, const char *key, enum lang l, json_t **out,
                    json_t **persons, struct err *err);
/* What offices know about a citizen: [records as above with "registry","title","organisation_name"], personal attributes shown.
 * ERR_FORBIDDEN below sim_matched: the telephone is not known to be this person's. */
int registries_mine(struct registries *g, const struct actor *who, enum lang l, json_t **out, struct err *err);
/* The port `known` of cases: what the newest valid record of a key says in one attribute; *value NULL when nothing is recorded. */
int registries_known(struct registries *g, const char *registry, const char *key, const char *attribute, json_t **value, struct err *err);
/* For whoever answers a data service that a registry of this pack holds: records of a key (as typed; newest first) or one by its ref with its
 * history, each with the given attributes (array of names) alone: {"items":[{"ref","version","valid","synthetic","since","attributes",
 * "history"?:[{"version","at","change","changed"}]}]}. persons: keys of those whose data these are, whom the look concerns. personal: are they
 * anybody's? ERR_INVALID: no such key can be; ERR_NOT_FOUND: no such ref. An unknown key has no items. */
struct published {
  const struct data_service *data;
  const char *key, *ref;           /* one of them */
  const json_t *attributes;
  json_t *out, *persons;           /* out */
};
int registries_published(struct registries *g, struct published *p, struct err *err);
/* The key of one valid record, of digits and letters alone; malloc'ed, NULL when there is none. For examples. */
int registries_some_key(struct registries *g, const struct registry *r, char **key, struct err *err);
bool data_service_personal(const struct data_service *d, const json_t *attributes);
/* The port `prefill` of cases: {"field":{"value","organisation","registry","refuse","key"?}} for the fields of a service that a registry of
 * this pack answers, as canonical values that the field itself would accept. Records about persons are looked up by `national_id` alone;
 * others by the answer that holds their key ("key" tells which), and give nothing personal. Revoked records do not count. */
int registries_prefill(struct registries *g, const struct service *s, const char *national_id, const json_t *answers, json_t **out, struct err *err);
/* The port `telephone` of identity: 1 when a valid record of a registry with `telephone` holds this pair, 0, -1. */
int registries_telephone(struct registries *g, const char *national_id, const char *mobile, struct err *err);

/* ---- rights to data services (rights.c) ------------------------------------------------------------ */
#define RIGHT_ID 40
#define RIGHT_SUBSYSTEM "systems"  /* the subsystem by which an organisation's own programs ask */
#define RIGHT_REVIEW_DAYS 365      /* a right is looked at again after so many days, and RIGHT_NOTICE_DAYS before it ends */
#define RIGHT_NOTICE_DAYS 30
/* At the start: every service of the pack may ask what its fields are filled in with (subsystem: the service's code), and no more. What its
 * provider took back stays taken back. Changes are one act. */
int registries_rights_pack(struct registries *g, const struct pack *p, struct err *err); /* p NULL: the room's own */
/* Inside work: an approved request for data. Applied once by event. What cannot be given is logged and passed over. */
struct data_right {
  const char *event, *tracking, *asker, *service, *purpose, *basis; /* service: a data service's code; basis may be NULL */
  const json_t *attributes;        /* names; those that the service does not publish are left out */
  int months;                      /* 0: 12 */
};
int registries_right_put(struct registries *g, struct store_tx *tx, const struct data_right *k, struct err *err);
/* Newest first: [{"id","grant" (its name in the exchange),"asker","asker_name","subsystem","provider","provider_name","service","title","attributes":[{"name",
 * "title"}],"purpose","basis","source","subject","from","until","state":"valid"|"expired"|"revoked","ended_by","why","reviewed_at","reviewed_by",
 * "review":"ends"|"yearly"|null}]. provider, asker: codes or NULL; valid: those alone; since: changed at or after that time. */
struct right_query { const char *provider, *asker, *id; bool valid, review; int64_t since; };
int registries_rights(struct registries *g, const struct right_query *q, enum lang l, json_t **out, struct err *err);
/* Whom this right concerns: managers of the provider and operators may act, staff of both and auditors may read. */
enum right_may { RIGHT_HIDDEN, RIGHT_READ, RIGHT_ACT };
enum right_may registries_right_may(const struct actor *who, const char *provider, const char *asker);
enum right_change { RIGHT_REVOKE, RIGHT_RESTORE, RIGHT_REVIEWED };
/* An act. why: 3 to 500 characters of one line, for people (RIGHT_REVIEWED: may be ""). ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_INVALID, ERR_CONFLICT (it is so already, or has
 * ended by itself). */
int registries_right_change(struct registries *g, const struct actor *who, const char *id, enum right_change what, const char *why, struct err *err);
/* What the valid rights of whoever holds this one (named as in the exchange) give of its data service: array of names; NULL when the name is none of ours.
 * asker: the organisation. */
struct right_scope { json_t *attributes; char asker[64]; };
int registries_right_scope(struct registries *g, const char *grant, struct right_scope *out, struct err *err);

/* ---- in and out ---------------------------------------------------------------------------------- */
enum record_format { RECORD_CSV, RECORD_JSON };
struct record_import {
  /* in */
  const struct registry *registry;
  bool dry;
  bool synthetic;                                                        /* records of a demonstration, marked as such */
  enum lang lang;                                                        /* of messages */
  void (*line)(void *ctx, unsigned line, const char *message);          /* each mistake, at its line of the file */
  void (*progress)(void *ctx, size_t done, size_t all); void *ctx;      /* may be NULL */
  /* out */
  size_t rows, made, changed, revoked, same, wrong;
};
/* CSV with a header row of attribute names and, if wanted, `valid` (yes or no). The whole file is judged first: with one mistake nothing is
 * written (ERR_INVALID). Then batches of 500 rows, each all or nothing; run again, it goes on where it stopped, and unchanged rows make no
 * new version. An empty cell says nothing: what is known stays. */
int registries_import(struct registries *g, const char *data, size_t n, struct record_import *k, struct err *err);
/* Every record of a registry by pages of 500 in order of key: CSV (attributes, then valid) or JSON lines (also ref, version, since, synthetic). What is
 * erased is left out. One row and one leaf are on record before the first line, however many records follow: persons find the export by their
 * records (registries_exports_of). It may take an hour. */
struct records_query {
  const struct registry *registry;
  enum record_format format;
  const char *why;                 /* 3 to 300 characters of one line: shown to those whose records were in it */
  int64_t since;                   /* only what changed since then; 0: all */
};
struct records_export;
/* who: RECORD_ALL of registries_right, or the system. ERR_NOT_FOUND without any right, ERR_FORBIDDEN who sees it masked, ERR_INVALID (why). g outlives it. */
int registries_export_open(struct registries *g, const struct actor *who, const struct records_query *q, struct records_export **out, struct err *err);
/* Appends to text. 1: there is more; 0: that was the end; -1. */
int registries_export_page(struct records_export *e, struct buf *text, struct err *err);
void registries_export_close(struct records_export *e); /* NULL is fine */
/* The same for http_reply_stream. */
int registries_export_more(void *export, struct buf *text);
void registries_export_end(void *export);
/* All of it through sink, as the system: for the command. */
int registries_export(struct registries *g, const struct registry *r, enum record_format f, int (*sink)(void *ctx, const char *p, size_t n), void *ctx,
                      struct err *err);
/* The newest 50: [{"at","who","organisation","format","since","why"}]. ERR_NOT_FOUND without RECORD_ALL. */
int registries_exports(struct registries *g, const struct actor *who, const struct registry *r, json_t **out, struct err *err);
/* The port of cases_options.exports: appends the exports that had a record about this person, after the mark (at, id), newest first by registry:
 * {"at","tracking":null,"organisation","organisation_name","basis":"registry_export","registries","why","_at","_id"}. What was erased since is not found. */
int registries_exports_of(struct registries *g, struct store_tx *tx, const char *person, int64_t at, const char *id, enum lang l, json_t *items, struct err *err);
int registries_count(struct registries *g, const char *registry, int64_t *out, struct err *err); /* registry NULL: all */

/* ---- the ledger ------------------------------------------------------------------------------------- */
/* Headers of kind "record" are this room's: see struct trust_verify.leaf. 0, 1 erased, -1 none such. */
int registries_leaf_digest(struct registries *g, const char *header, unsigned char digest[TRUST_HASH]);
/* Records against their changes; one line a fault. -1 with ERR_CONFLICT when there was any. */
int registries_verify(struct registries *g, void (*report)(void *ctx, const char *line), void *ctx, struct err *err);

#endif
