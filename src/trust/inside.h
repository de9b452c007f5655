/* Shared by the files of this room alone. */
#ifndef CHAPAR_TRUST_INSIDE_H
#define CHAPAR_TRUST_INSIDE_H

#include "trust/trust.h"

#include <openssl/evp.h>

#define TILE 256

struct trust {
  struct store *store;
  EVP_PKEY *key;
  unsigned char public_key[32];
  unsigned char key_id[4];
  char *origin, *name, *vkey, *head_file, *node, *tsa_url, *tsa_ca; /* origin: with generation; name: as given */
  char key_hex[9];
  int (*post)(void *ctx, const char *url, const char *media_type, const void *body, size_t n, char **answer, size_t *size, struct err *err);
  void *post_ctx;
};

/* merkle.c: all within one transaction, so that tiles agree with the size */
struct tiles {                      /* a few tiles at hand */
  struct store_tx *tx;
  struct { int level; int64_t n; unsigned char bytes[TILE * TRUST_HASH]; size_t size; int used; } slot[6];
  int clock;
};
void node_hash(const unsigned char l[32], const unsigned char r[32], unsigned char out[32]);
int merkle_root(struct tiles *t, int64_t size, unsigned char out[32], struct err *err);
int merkle_path(struct tiles *t, int64_t leaf, int64_t size, unsigned char (*path)[32], int *count, struct err *err);       /* path room 64 */
int merkle_consistency(struct tiles *t, int64_t first, int64_t second, unsigned char (*path)[32], int *count, struct err *err); /* room 128 */
int merkle_check(const unsigned char leaf[32], int64_t index, int64_t size, unsigned char (*path)[32], int count, const unsigned char root[32]);
int tile_read(struct tiles *t, int level, int64_t n, const unsigned char **bytes, size_t *size, struct err *err);

/* note.c */
int note_sign(const struct trust *t, const char *body, char **note, struct err *err);  /* body ends in newline */
/* Find a signature of the key named `vkey` and verify it. alg 0x01 Ed25519, 0x04 cosignature/v1. body gets its length within the note. */
int note_verify(const char *note, const char *vkey, size_t *body, struct err *err);
int vkey_parse(const char *vkey, char **name, unsigned char id[4], unsigned char *alg, unsigned char pub[32]);
int checkpoint_parse(const char *note, char origin[256], int64_t *size, unsigned char root[32]);
int ed25519_sign(EVP_PKEY *key, const void *p, size_t n, unsigned char sig[64]);
int ed25519_verify(const unsigned char pub[32], const void *p, size_t n, const unsigned char sig[64]);

/* head.c */
struct head { int64_t size, at; unsigned char root[32]; char *checkpoint; unsigned char *stamp; size_t stamp_size; };
int head_newest(struct store_tx *tx, struct head *h, struct err *err);   /* size 0 when there is none */
void head_free(struct head *h);
int head_open(struct trust *t, struct err *err);   /* generation, .head file */
int head_sign(struct trust *t, struct err *err);   /* when there is something new and a second has passed */
int lines_of(struct store_tx *tx, int64_t size, struct buf *out, struct err *err); /* witnesses' lines */

/* stamp.c */
int stamp_verify(const unsigned char *token, size_t n, const char *text, size_t text_size, const char *ca_file, int64_t *at, struct err *err);

#endif
