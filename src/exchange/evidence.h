/* What the files of evidence share: one logged message, and bundles. docs/developer/evidence.md tells the bytes. */
#ifndef CHAPAR_EXCHANGE_EVIDENCE_H
#define CHAPAR_EXCHANGE_EVIDENCE_H

#include "exchange/inside.h"

#define EVIDENCE_TYPE "chapar-evidence-v1"
/* What one bundle holds at most, of its messages with their contents, and of directories; more is refused and never left out. */
enum { EVIDENCE_MESSAGES = 1000, EVIDENCE_DIRECTORIES = 64, EVIDENCE_BYTES = 128 << 20 };
enum { CONTENT_NONE, CONTENT_PLAIN, CONTENT_ZLIB };
enum { CONTENT_INLINE = 16 * 1024, CONTENT_PIECE = 64 * 1024, CONTENT_MOST = 16 << 20 };

/* A row of exchange_message. Texts are owned when it was read, borrowed while it is written. */
struct logged {
  int64_t at, directory, content_size;
  enum side side;
  bool answer;
  const char *message_id, *client, *service, *keyid;
  const unsigned char *base; size_t base_size;
  unsigned char signature[64], salt[TRUST_SALT], leaf_hash[TRUST_HASH], digest[TRUST_HASH], content_digest[64];
  int content_kind;
  unsigned char *content; size_t content_stored;
};
/* The leaf of a message: header, and payload as canonical JSON, malloc'ed. */
enum { LOGGED_HEADER = 120 };
void logged_header(const struct logged *l, char out[LOGGED_HEADER]);
char *logged_payload(const struct logged *l, const char *server);
void logged_clear(struct logged *l);                                       /* of one that was read */
/* Inside a read or work: its content as it was, malloc'ed; NULL and size 0 when only the digest was kept. */
int logged_content(struct store_tx *tx, const struct logged *l, unsigned char **out, size_t *n, struct err *err);
#define LOGGED_COLUMNS "at, leaf_hash, message_id, side, part, client, service, keyid, directory, base, signature, salt, content_size, content_digest, content_kind, content"
int logged_row(const struct store_rows *r, struct logged *out, struct err *err);
/* The signed directory of a version: malloc'ed, NULL when there is none. */
int directory_text(struct store_tx *tx, int64_t version, char **out, size_t *n, struct err *err);
/* One message of a bundle: what stands in it, with its receipt. content may be NULL. New reference. */
int logged_json(struct exchange *x, const struct logged *l, const unsigned char *content, size_t n, json_t **out, struct err *err);

#endif
