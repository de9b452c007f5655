/* What the files of trust share. */
#ifndef CHAPAR_TRUST_INNER_H
#define CHAPAR_TRUST_INNER_H

#include "trust/trust.h"
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
  TILE = 256,
  TILE_BYTES = TILE * TRUST_HASH,
  PUBLIC_KEY = 32,
  SIGNATURE = 64,
  PATH_MOST = 64,
  PROOF_MOST = 2 * PATH_MOST,
  BATCH_MOST = 4096 /* leaves of one transaction */
};
enum { NAME_MOST = 200, HEADER_MOST = 8192, NOTE_MOST = 65536, NOTE_LINES = 64, WITNESSES_MOST = 16 };

/* ---- hash.c ---- */
EVP_MD_CTX *hash_scratch(void);                   /* this thread's own context */
const EVP_MD *hash_method(void);
void hash_parent(const unsigned char *left, const unsigned char *right, unsigned char out[TRUST_HASH]);
bool hex_lower(const char *s, void *out, size_t n); /* exactly 2n lower-case digits */
char *hex_text(const void *p, size_t n);            /* caller frees */

/* ---- merkle.c: perfect subtrees, roots and proofs (RFC 9162, 2.1) out of tiles ---- */
/* Fill out with at least width hashes of tile n at this level. */
typedef int (*tile_get)(void *ctx, int level, int64_t n, int width, unsigned char *out, struct err *err);
struct tiles {
  tile_get get;
  void *ctx;
  struct tile *seen;                              /* zero at first; tiles_free() in the end */
};
struct proof {
  int count;
  unsigned char path[PROOF_MOST][TRUST_HASH];
};
void tiles_free(struct tiles *t);
int merkle_root(struct tiles *t, int64_t size, unsigned char out[TRUST_HASH], struct err *err);
int merkle_inclusion(struct tiles *t, int64_t leaf, int64_t size, struct proof *out, struct err *err);
int merkle_consistency(struct tiles *t, int64_t first, int64_t second, struct proof *out, struct err *err);
int merkle_leaf(struct tiles *t, int64_t leaf, unsigned char out[TRUST_HASH], struct err *err);
void merkle_full_tile(const unsigned char *hashes, unsigned char out[TRUST_HASH]);
bool merkle_check_inclusion(const unsigned char *leaf_hash, int64_t leaf, int64_t size, const struct proof *p, const unsigned char *root);
bool merkle_check_consistency(int64_t first, int64_t second, const unsigned char *first_root, const unsigned char *second_root,
                              const struct proof *p);

struct frontier {                                 /* a tree that only grows, by its perfect subtrees */
  int64_t size;
  unsigned char peak[PATH_MOST][TRUST_HASH];      /* by height; there when that bit of size is set */
};
void frontier_push(struct frontier *f, const unsigned char *leaf_hash);
void frontier_root(const struct frontier *f, unsigned char out[TRUST_HASH]);

/* ---- keys.c ---- */
struct key {
  EVP_PKEY *pkey;
  unsigned char public[PUBLIC_KEY];
};
int key_open(const char *file, struct key *out, struct err *err);
void key_close(struct key *k);
void key_sign(const struct key *k, const void *p, size_t n, unsigned char out[SIGNATURE]);
bool key_check(const unsigned char *public, const void *p, size_t n, const unsigned char *signature);

/* ---- note.c: C2SP signed notes, verifier keys, checkpoints ---- */
enum { KEY_NOTE = 0x01, KEY_COSIGNATURE = 0x04 };
struct vkey {
  char name[NAME_MOST + 1];
  unsigned char type, id[4], public[PUBLIC_KEY];
};
bool name_valid(const char *s);
void vkey_make(struct vkey *out, const char *name, int type, const unsigned char *public);
char *vkey_text(const struct vkey *k);
int vkey_parse(const char *s, struct vkey *out, struct err *err);

struct note_line {
  const char *line, *name;                        /* inside the note; line without its newline */
  size_t line_size, name_size, signature_size;
  unsigned char id[4], signature[8 + SIGNATURE];  /* as much of it as we could use */
};
struct note {
  const char *text;                               /* with its last newline */
  size_t size;
  int count;
  struct note_line lines[NOTE_LINES];
};
int note_parse(const char *s, size_t n, struct note *out, struct err *err);
/* The line signed by this key: 1 and *line, 0 when there is none, -1 when there is one and it is false. */
int note_check(const struct note *n, const struct vkey *k, const struct note_line **line);

struct checkpoint {
  char origin[NAME_MOST + 1];
  int64_t size;
  unsigned char root[TRUST_HASH];
};
int checkpoint_parse(const char *text, size_t n, struct checkpoint *out, struct err *err);
char *checkpoint_sign(const struct key *k, const struct vkey *name, int64_t size, const unsigned char *root);
/* Parse a note as a checkpoint and check that key's signature. */
int checkpoint_open(const char *s, size_t n, const struct vkey *k, struct note *note, struct checkpoint *out, struct err *err);
/* What a time-stamp covers: the text and the log's own line, without co-signatures. Caller frees. */
char *checkpoint_stamped(const struct note *n, const struct note_line *own);

/* ---- promise.c ---- */
bool promise_check(const json_t *promise, const struct vkey *k, const unsigned char leaf_hash[TRUST_HASH], struct err *err);

/* ---- tsa.c ---- */
/* Check a token over data: imprint always, the authority's signature when ca_file is given. *at: its time (milliseconds). */
int stamp_check(const unsigned char *token, size_t n, const char *data, const char *ca_file, int64_t *at, struct err *err);

/* ---- trust.c ---- */
struct log_name {                                 /* one generation of the log */
  struct log_name *older;
  int64_t generation;
  struct vkey key;
  char *text, id[9];                              /* verifier key; its id in hex */
};
struct trust {
  struct store *store;
  char *key_file, *head_file, *base, *tsa_url, *tsa_ca_file, *node;
  int (*post)(void *ctx, const char *url, const char *media_type, const void *body, size_t n, char **answer, size_t *size, struct err *err);
  void *post_ctx;
  struct key key;
  _Atomic(struct log_name *) name;                /* older ones stay until the end: their texts were handed out */
  pthread_mutex_t lock;                           /* names, and one sequencer a process */
  int64_t epoch, lease_until, signed_at;          /* of the sequencer; times are monotonic */
  int64_t placed_at, whole_at;                    /* its newest leaf's time by the store (0: unknown); when it last looked from the beginning */
};
const struct log_name *trust_name(const struct trust *t);
char *origin_of(const char *base, int64_t generation);
void trust_adopt(struct trust *t, int64_t generation); /* with the lock held */

/* ---- read.c ---- */
struct head {
  bool found;
  int64_t size, at, kept;
  unsigned char root[TRUST_HASH];
  char *checkpoint;                               /* with co-signatures when asked for */
};
void head_clear(struct head *h);
int head_newest(struct store_tx *tx, int64_t generation, struct head *out, struct err *err);
int head_of_size(struct store_tx *tx, int64_t generation, int64_t size, struct head *out, struct err *err);
int head_cosigned(struct store_tx *tx, int64_t generation, struct head *h, struct err *err); /* add the witnesses' lines */
int tile_read(void *tx, int level, int64_t n, int width, unsigned char *out, struct err *err); /* a tile_get on a store_tx */
int state_read(struct store_tx *tx, int64_t *size, unsigned char root[TRUST_HASH], struct err *err);
int hash_read(const struct store_rows *r, int column, unsigned char out[TRUST_HASH]);
int64_t leaf_time(const char *header);          /* "at" in it; 0 when there is none */
json_t *proof_json(const struct proof *p);

/* ---- head.c: the head that the key remembers ---- */
struct remembered {
  bool found;
  struct checkpoint head;
};
int head_lock(const struct trust *t, struct err *err);  /* a descriptor to close */
int head_remembered(const struct trust *t, struct remembered *out, struct err *err);
int64_t head_generation(const struct trust *t, const struct remembered *m); /* 0: not a name of this log */
/* Sign the head of a tree that is proved to continue the remembered one; remembers it before it answers. */
int head_sign(struct trust *t, const struct log_name *name, int64_t size, const unsigned char *root, const struct remembered *before,
              const struct proof *p, char **checkpoint, struct err *err);

#endif
