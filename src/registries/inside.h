/* Shared by the files of this room alone. */
#ifndef CHAPAR_REGISTRIES_INSIDE_H
#define CHAPAR_REGISTRIES_INSIDE_H

#include "registries/registries.h"

struct registries {
  struct store *store;
  struct trust *trust;
  struct pack *pack;
  struct identity *identity;
  unsigned char secret[32];
};

/* One row of registry_record, read whole. attributes: an object, or NULL when erased; json_decref() it. */
struct record {
  char ref[RECORD_REF], registry[64];
  int64_t version, at;
  bool valid, synthetic;
  json_t *attributes;
};
#define RECORD_COLUMNS "ref,registry,version,valid,synthetic,at,attributes"
void record_read(const struct store_rows *r, struct record *out);

/* An attribute's canonical value as the text of a key; "" when absent. */
void record_key(const json_t *attributes, const char *name, char out[1024]);
/* Valid and newest first: the record's attributes for which `name` is known, or NULL (new reference). */
int record_known(struct store_tx *tx, const char *registry, const char *key, const char *name, json_t **out, struct err *err);

#endif
