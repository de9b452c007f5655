/* Shared by the files of this room alone. */
#ifndef CHAPAR_CERTIFICATES_INSIDE_H
#define CHAPAR_CERTIFICATES_INSIDE_H

#include "certificates/certificates.h"

enum { CERTIFICATE_VALID, CERTIFICATE_REVOKED, CERTIFICATE_REPLACED };

struct certificates {
  struct store *store;
  struct trust *trust;
  struct certificates_options o;
  unsigned char secret[32];
  char *base_url, *node;
};

/* One row of `certificate`, in an arena. */
struct certificate {
  const char *tracking, *code, *number, *service, *organisation, *title_fa, *title_en, *reason, *sha256;
  int64_t issue, decided, issued, valid_until, state, ended;
  unsigned char decision[TRUST_HASH];
};
#define CERTIFICATE_COLUMNS "tracking,issue,code,number,service,organisation,title_fa,title_en,decision,decided,issued,valid_until,state,ended,reason,sha256"

/* certificates.c */
int certificate_read(const struct store_rows *r, struct arena *a, struct certificate *out); /* -1 when the arena is full */
int certificate_newest(struct store_tx *tx, struct arena *a, const char *tracking, struct certificate *out, struct err *err); /* 1 found, 0, -1 */
void certificate_code_make(const struct certificates *g, const char *tracking, int64_t issue, char out[CERTIFICATE_CODE]);
char *certificate_address(const struct certificates *g, struct arena *a, const char *code);

/* paper.c: number and file of a new certificate; row: everything but number and sha256. */
int certificate_number(const struct certificates *g, struct arena *a, const struct case_outcome *o, struct certificate *row, struct err *err);
int certificate_text(const struct certificates *g, struct arena *a, const struct case_outcome *o, const struct certificate *row, enum lang l, const char **out, struct err *err);
int certificate_paper(const struct certificates *g, struct arena *a, const struct case_outcome *o, const struct certificate *row, void **pdf, size_t *n, struct err *err);

/* check.c: how it stands today, given its case (NULL: erased or gone) */
const char *certificate_status(const struct certificate *row, const struct case_outcome *o);
char *certificate_sentence(struct arena *a, enum lang l, const char *status, const struct certificate *row, const struct case_outcome *o);
void certificate_put(json_t *out, struct arena *a, enum lang l, const struct certificate *row, const struct case_outcome *o);

#endif
