/*
 * trust: keys, the Merkle ledger (RFC 9162 hashing), receipts, C2SP checkpoints and tiles, RFC 3161 time-stamps.
 * Layer 1, includes base and store. Thread-safe.
 *
 * A leaf is the bytes  "chapar-leaf-v1\n" header "\n" hex(SHA-256(salt ‖ payload)) "\n"
 *   header: canonical JSON without personal data, e.g. {"at":"…Z","case":"6037…","kind":"submit","seq":1}
 *   leaf_hash = SHA-256(0x00 ‖ leaf). Erasing salt and payload leaves header and digest, so the log still verifies.
 */
#ifndef CHAPAR_TRUST_H
#define CHAPAR_TRUST_H

#include "base/base.h"
#include "store/store.h"

#define TRUST_HASH 32
#define TRUST_SIGNATURE 64
#define TRUST_SALT 32
#define TRUST_MERGE_MS 60000   /* a promised leaf is in the log within this time */

struct trust;                  /* the log's key, its name and its caches */

struct trust_options {
  const char *key_file;        /* Ed25519 private key (PEM, mode 0600); made when missing */
  const char *origin;          /* name of the log, e.g. "khorasan-razavi.chapar.example/ledger"; no spaces or '+' */
  const char *tsa_url;         /* RFC 3161 authority over HTTP, or NULL */
  const char *tsa_ca_file;     /* its certificate (PEM) to verify tokens with */
  const char *node;            /* this process's name for the sequencer's lease */
  /* POST of a time-stamp query, wired by app (http is another room): answer malloc'ed */
  int (*post)(void *ctx, const char *url, const char *media_type, const void *body, size_t n, char **answer, size_t *size, struct err *err);
  void *post_ctx;
};
int trust_open(struct store *s, const struct trust_options *o, struct trust **out, struct err *err);
void trust_close(struct trust *t);
int trust_begun(struct store *s, bool *begun, struct err *err); /* has this store a log already? Asked before keys are made for it */
const char *trust_key_id(const struct trust *t);     /* hex of the C2SP key id: first 4 bytes of SHA-256(origin ‖ "\n" ‖ 0x01 ‖ public key) */
const char *trust_public_key(const struct trust *t); /* C2SP verifier key "origin+keyid+base64(0x01‖key)" */
const char *trust_origin(const struct trust *t);

/* ---- hashing ------------------------------------------------------------------------- */
void sha256(const void *p, size_t n, unsigned char out[32]);
void hmac_sha256(const void *key, size_t kn, const void *p, size_t n, unsigned char out[32]);
bool trust_same(const void *a, const void *b, size_t n);         /* constant time */
/* digest = SHA-256(salt ‖ payload); leaf_hash as above. header is canonical JSON text. */
void trust_leaf(const char *header, const unsigned char salt[TRUST_SALT], const void *payload, size_t n,
                unsigned char digest[TRUST_HASH], unsigned char leaf_hash[TRUST_HASH]);
void trust_leaf_from_digest(const char *header, const unsigned char digest[TRUST_HASH], unsigned char leaf_hash[TRUST_HASH]);

/* ---- writing the log ----------------------------------------------------------------- */
/* Inside a case's transaction: put a leaf into the log (only inserts). The header is kept with the leaf; its "at" is what the leaf is found by.
 * On SQLite it has its place at once, on PostgreSQL it waits for one among the pending; in the tree it is after the next round of the sequencer. */
int trust_append(struct store_tx *tx, const unsigned char leaf_hash[TRUST_HASH], const char *header,
                 const unsigned char digest[TRUST_HASH], struct err *err);
/* The sequencer: give pending leaves their places, extend the tree, sign a head (at most one checkpoint a second). One holder of the lease;
 * call it every 200 ms from a job. *placed: how many leaves are new in the tree (may be NULL). Loops in batches of at most 4,096. */
int trust_sequence(struct trust *t, int64_t *placed, struct err *err);
/* The key remembers the last head it signed (FILE.head beside the key) and signs the next only when it continues it. After a restore
 * behind that head, or with another key, trust_sequence still gives places but signs nothing: ERR_CONFLICT, and the message says why.
 * This begins a declared new log over the leaves that are here: the name becomes origin/2, /3…, recorded with the reason (1–500 bytes). */
int trust_new_log(struct trust *t, const char *why, struct err *err);
/* Time-stamp the newest head that has none, if an authority is set. ERR_UNAVAILABLE when it does not answer: traffic goes on. */
int trust_timestamp(struct trust *t, struct err *err);
/* How far time-stamps are behind: leaves (placed or waiting) that no stamped head holds yet, and when the oldest of them was written (0: none). */
int trust_unstamped(struct trust *t, int64_t *leaves, int64_t *since, struct err *err);

/* ---- promises and receipts ------------------------------------------------------------ */
/* Deterministic (Ed25519): the same leaf and time give the same promise. Signed text:
 * "chapar-promise-v1\n" origin "\n" hex(leaf_hash) "\n" at(RFC 3339 ms) "\n" merge_by "\n".
 * → {"at","merge_by","key_id","signature"(base64)} new reference. */
json_t *trust_promise(const struct trust *t, const unsigned char leaf_hash[TRUST_HASH], int64_t at);
/* The same in two steps: the signature (some 40 µs) may be made before the leaf is durable, and shown only afterwards. */
void trust_sign(const struct trust *t, const unsigned char leaf_hash[TRUST_HASH], int64_t at, unsigned char signature[TRUST_SIGNATURE]);
json_t *trust_promise_signed(const struct trust *t, int64_t at, const unsigned char signature[TRUST_SIGNATURE]);
/* → {"leaf_hash","promise","verifier_key", and when placed "leaf_index","tree_size","audit_path":[hex],"checkpoint"(text),
 * "timestamp_token"?(base64), "witnesses"? (as trust_cosigners, of heads that hold the leaf)}: under the newest time-stamped head that holds the leaf, else under the newest head. */
int trust_receipt(struct trust *t, const unsigned char leaf_hash[TRUST_HASH], int64_t at, json_t **out, struct err *err); /* at: of its header */
/* Offline: verify a receipt (JSON text) with a verifier key "origin+id+base64"; NULL: the one in the receipt, and the sentence says so.
 * Fills a sentence in English for the person who checks.
 * A receipt may also hold "leaf":{"header","salt"(hex),"payload"(canonical JSON text)}: then the leaf hash is recomputed. */
int trust_check_receipt(const char *json, size_t n, const char *verifier_key, const char *tsa_ca_file, char **sentence, struct err *err);

/* ---- reading the log ------------------------------------------------------------------ */
int trust_size(struct trust *t, int64_t *size, struct err *err);                     /* of the newest signed head */
int trust_head(struct trust *t, json_t **out, struct err *err);    /* {"tree_size","root_hash","timestamp","checkpoint"} */
int trust_checkpoint(struct trust *t, char **text, struct err *err);                 /* C2SP signed note with co-signatures; caller frees */
int trust_proof(struct trust *t, int64_t leaf, int64_t tree_size, json_t **out, struct err *err);     /* {"leaf_hash","audit_path"} ERR_INVALID out of range */
int trust_consistency(struct trust *t, int64_t first, int64_t second, json_t **out, struct err *err); /* {"consistency_path"} */
/* C2SP tile: level 0–63, index n, width 1–256 (256 = full). malloc'ed bytes: width×32. ERR_NOT_FOUND beyond the newest head. */
int trust_tile(struct trust *t, int level, int64_t n, int width, unsigned char **out, size_t *size, struct err *err);
/* A witness's co-signature (C2SP cosignature/v1 line over the current or an older checkpoint); verified against the witness's key before it is kept. */
int trust_cosign(struct trust *t, const char *witness_verifier_key, const char *signed_note, struct err *err);
/* Who has co-signed heads of at least so many leaves (the newest of each): [{"name","verifier_key","tree_size","at"}]. */
int trust_cosigners(struct trust *t, int64_t least, json_t **out, struct err *err);
/* For a witness of another's log. Check a checkpoint's signature by the log's verifier key, and that it continues what was seen before (NULL or size 0: nothing).
 * 0: it does; 1: it is longer and path (JSON list of hashes) is needed; ERR_CONFLICT: it went back or forks; *now is filled in all three. */
struct trust_seen { int64_t size; unsigned char root[TRUST_HASH]; char origin[201]; };
int trust_follow(const char *verifier_key, const char *checkpoint, const struct trust_seen *before, const json_t *path, struct trust_seen *now, struct err *err);
/* The bytes that a co-signature of this time signs, and the note that trust_cosign takes. malloc'ed; NULL with err. */
char *trust_cosigned_text(const char *checkpoint, int64_t at, struct err *err);
char *trust_cosigned_note(const char *checkpoint, const char *witness_verifier_key, int64_t at, const unsigned char signature[TRUST_SIGNATURE], struct err *err);
/* Place of a leaf by the time in its header and its hash, -1 when it has none (yet). */
int64_t trust_index(struct trust *t, int64_t at, const unsigned char leaf_hash[TRUST_HASH]);
int trust_index_tx(struct store_tx *tx, int64_t at, const unsigned char leaf_hash[TRUST_HASH], int64_t *index, struct err *err);

/* ---- verifying it all ----------------------------------------------------------------- */
/* Recompute every leaf from header and digest, every tile, the root of every kept head, its signature, its time-stamp and consistency
 * between heads. `leaf` (wired by app) is asked for each leaf's case event so that changed events are named: it answers the event's
 * recomputed digest, or 1 when erased, -1 when there is no such event. report gets one English line per fault (NULL: log). Returns 0 only if all is true. */
struct trust_verify {
  int (*leaf)(void *ctx, const char *header, unsigned char digest[TRUST_HASH]);
  void (*report)(void *ctx, const char *line);
  void (*progress)(void *ctx, int64_t done, int64_t all);
  void *ctx;
};
int trust_verify(struct trust *t, const struct trust_verify *v, struct err *err);

/* ---- other keys ------------------------------------------------------------------------ */
/* A secret of the installation (32 bytes), made once in FILE with mode 0600. */
int trust_secret(const char *file, unsigned char out[32], struct err *err);

#endif
