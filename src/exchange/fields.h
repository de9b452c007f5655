/*
 * Structured field values (RFC 9651, RFC 8941), as much of them as signatures (RFC 9421) and digests (RFC 9530) need: dictionaries of items and
 * inner lists with parameters. Bounded: 16 KiB, 64 members, 128 items a list, 32 parameters an item. Stricter than the standard in two places: a
 * key that stands twice is refused instead of the last one being taken, and base64 has its padding. No display strings.
 */
#ifndef CHAPAR_EXCHANGE_FIELDS_H
#define CHAPAR_EXCHANGE_FIELDS_H

#include "base/base.h"

enum sfv_type { SFV_BOOLEAN, SFV_INTEGER, SFV_DECIMAL, SFV_STRING, SFV_TOKEN, SFV_BYTES, SFV_DATE, SFV_LIST };
/* number: of a boolean 0 or 1, an integer, a date in seconds, a decimal in thousandths. text: of a string (without quotes and escapes), token, bytes. */
struct sfv_value { enum sfv_type type; int64_t number; const char *text; size_t size; };
struct sfv_param { const char *key; struct sfv_value value; };
struct sfv_item {
  struct sfv_value value;
  struct sfv_param *params; size_t param_count;
  struct sfv_item *items; size_t count;     /* SFV_LIST */
};
struct sfv_member { const char *key; struct sfv_item item; };

/* Everything in the arena. ERR_MALFORMED with the place, ERR_LIMIT. */
int sfv_dictionary(struct arena *a, const char *text, size_t n, struct sfv_member **list, size_t *count, struct err *err);
const struct sfv_item *sfv_member(const struct sfv_member *list, size_t count, const char *key);  /* NULL */
const struct sfv_value *sfv_param(const struct sfv_item *item, const char *key);                  /* NULL */
/* Serialise as RFC 9651, 4.1 says: an item or list with its parameters; the parameters alone. */
void sfv_write(struct buf *out, const struct sfv_item *item);
void sfv_write_params(struct buf *out, const struct sfv_param *list, size_t count);
void sfv_write_value(struct buf *out, const struct sfv_value *v);

#endif
