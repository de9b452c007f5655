/* Structured fields from outside: what was read writes back, and what was written reads to the same. */
#include "exchange/fields.h"
#include <stdlib.h>
#include <string.h>

static void whole(const struct sfv_member *list, size_t count, struct buf *b) {
  for (size_t i = 0; i < count; i++) {
    buf_addf(b, "%s%s=", i > 0 ? ", " : "", list[i].key);
    sfv_write(b, &list[i].item);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arena *a = arena_new(1 << 20);
  struct sfv_member *list, *again;
  size_t count, second;
  struct err err;
  char *text = malloc(size); /* exactly as long, so that reading beyond it is seen */
  if (size > 0 && text == NULL) abort();
  if (size > 0) memcpy(text, data, size);
  if (sfv_dictionary(a, text, size, &list, &count, &err) == 0) {
    struct buf one = {0}, two = {0};
    whole(list, count, &one);
    if (one.len <= 16 * 1024) {
      if (sfv_dictionary(a, buf_str(&one), one.len, &again, &second, &err) != 0 || second != count) abort();
      whole(again, second, &two);
      if (strcmp(buf_str(&one), buf_str(&two)) != 0) abort();
    }
    buf_free(&one);
    buf_free(&two);
  } else if (err.code != ERR_MALFORMED && err.code != ERR_LIMIT) abort();
  free(text);
  arena_free(a);
  return 0;
}
