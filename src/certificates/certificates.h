/*
 * certificates: papers that a decision gives: issued once, told genuine by anybody, replaced, revoked. Layer 3, beside registries; includes base,
 * language, store, trust, directory, identity, catalog, print, cases. Thread-safe.
 *
 * A certificate is one PDF file (a Persian page and an English one), made of the text that its service had when the case began, and kept under the hash
 * of its bytes: the paper that was given out is the one that is read again. Its issue is a leaf of the ledger that names this hash; so are its end and
 * the reason. On the paper stand a code and a QR code with the public address where everybody asks for its state, and the leaf of the decision.
 *
 * What the case says goes before what the record says: while a case is open again its paper is not called valid, and when the decision falls the paper
 * is revoked by rule.
 */
#ifndef CHAPAR_CERTIFICATES_H
#define CHAPAR_CERTIFICATES_H

#include "base/base.h"
#include "cases/cases.h"
#include "identity/identity.h"
#include "store/store.h"
#include "trust/trust.h"

#define CERTIFICATE_CODE 13          /* 12 characters */
#define CERTIFICATE_FILE_MOST (2 * 1024 * 1024) /* bytes of a file that is brought to be checked */

struct certificates;
struct certificates_options {
  const unsigned char *secret;       /* 32 bytes: codes */
  const char *node;                  /* name of this process, for the lease */
  const char *base_url;              /* public address that the QR code leads to, without '/' at the end */
  struct cases *cases;
  /* fill: a text of a pack (Mustache) with values, as plain text into out. Wired by app: the renderer is another room's. */
  int (*fill)(void *ctx, const char *text, const json_t *values, struct buf *out, struct err *err);
  void *fill_ctx;
  /* notify: as of cases. */
  int (*notify)(void *ctx, struct store_tx *tx, const char *key, const char *mobile, enum lang l, const char *text, struct err *err);
  void *notify_ctx;
};
int certificates_open(struct store *s, struct trust *t, const struct certificates_options *o, struct certificates **out, struct err *err);
/* Without keys: for certificates_leaf_digest and certificates_verify alone. */
struct certificates *certificates_reader(struct store *s);
void certificates_close(struct certificates *g);

/* ---- codes ---------------------------------------------------------------------------------------- */
/* 11 characters of Crockford's alphabet (0–9, A–Z without I, L, O, U; 55 bits that nobody can guess) and a check character (Luhn mod 32).
 * As people type it: any digits, small letters, spaces and dashes, O for 0, I and L for 1. -1 when it cannot be one. */
int certificate_code_parse(const char *typed, char out[CERTIFICATE_CODE]);
void certificate_code_show(const char *code, char out[16]);  /* in fours: K7QM-2XPD-9T4C */
/* The code that a file of ours names in its description; false when there is none. The file is not understood further. */
bool certificate_code_in(const void *file, size_t n, char out[CERTIFICATE_CODE]);

/* ---- making ---------------------------------------------------------------------------------------- */
/* The port `certificate` of cases: this case's papers are to be looked at, soon and once. */
int certificates_due(struct store_tx *tx, const char *tracking, int64_t at, struct err *err);
/* Look at what is due. Call it again and again from a thread of its own; a lease inside. */
int certificates_jobs(struct certificates *g, struct err *err);
/* Bring a case's papers in line: approved gives the first one; approved anew replaces that of the earlier decision; another end revokes it. Nothing when
 * all is as it should be, or the service gives none. Done at the latest when somebody asks for the paper. Waits. */
int certificates_settle(struct certificates *g, const char *tracking, struct err *err);
/* The port `certificate_forget`. */
int certificates_forget(struct store_tx *tx, const char *tracking, struct err *err);

#define CERTIFICATE_REVOKE_REASONS(X) X("error") X("false_documents") X("no_longer_true") X("holder_request")
#define CERTIFICATE_REISSUE_REASONS(X) X("lost") X("damaged") X("corrected")
struct certificate_change {
  /* in */
  const char *tracking;
  int64_t issue;                     /* the newest one, as the caller saw it: ERR_CONFLICT when it no longer is, or is no longer valid */
  bool revoke;                       /* else: a new one in its place, with today's date of issue and the same end */
  const char *reason;                /* one of the reasons above; words certificate.reason_CODE */
  const char *comment;               /* at most 2000 bytes, or NULL: for the history of the case, not for the public */
  enum lang lang;
  /* out */
  json_t *errors;                    /* new reference or NULL, with ERR_INVALID */
  const char *detail;                /* word key of a sentence, or NULL */
};
/* By supervisors and managers of the organisation that owns the case. The citizen is told. ERR_NOT_FOUND another's case or no certificate; ERR_FORBIDDEN.
 * Waits; worker routes. */
int certificates_change(struct certificates *g, const struct actor *who, struct certificate_change *k, struct err *err);

/* ---- reading ---------------------------------------------------------------------------------------- */
/* For the citizen and the office: {"tracking","right","may_change","title","text","items":[{"issue","code","code_shown","address","number","status","sentence",
 * "issued_on","valid_until","ended_on","reason","reason_text","sha256","size"}]}, newest first; the first is made now when the case was approved without one.
 * text: what the paper says. ERR_NOT_FOUND. Looks are the caller's to record (cases_look with "right"). Waits. */
int certificates_of(struct certificates *g, const struct actor *who, const char *tracking, enum lang l, json_t **out, struct err *err);
/* The file of an issue (0: the newest), malloc'ed; a look of the office is recorded first. name: for the download. ERR_NOT_FOUND; ERR_FORBIDDEN for those
 * who see the case masked. Waits. */
int certificates_file(struct certificates *g, const struct actor *who, const char *tracking, int64_t issue, char **pdf, size_t *n, char name[64], struct err *err);

/* ---- checking: for everybody ------------------------------------------------------------------------- */
/* status: valid, expired, revoked, replaced, under_review (the case is open again), altered (the file is not the one of its code), unknown.
 * {"status","sentence"} and, but for unknown: "code","code_shown","title","service","organisation","organisation_name","number","issued_on","valid_until",
 * "ended_on","reason","reason_text","holder" (masked),"replaced_by_newer","sha256","file" ("same","differs" or null),
 * "proof":{"leaf":{…},"receipt":{…}} (trust_check_receipt takes receipt, which holds the leaf). */
int certificates_check(struct certificates *g, const char *code, enum lang l, json_t **out, struct err *err); /* code: typed; unknown is no error */
/* code: typed beside the file, or NULL. */
int certificates_check_file(struct certificates *g, const void *file, size_t n, const char *code, enum lang l, json_t **out, struct err *err);

/* ---- the ledger ---------------------------------------------------------------------------------------- */
/* Headers of kind "certificate" are this room's: see struct trust_verify.leaf. 0, 1 erased, -1 none such. */
int certificates_leaf_digest(struct certificates *g, const char *header, unsigned char digest[TRUST_HASH]);
/* Records against their changes and files; one line a fault. -1 with ERR_CONFLICT when there was any. */
int certificates_verify(struct certificates *g, void (*report)(void *ctx, const char *line), void *ctx, struct err *err);

#endif
