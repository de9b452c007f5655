/* Whatever json_read accepts must write to a canonical form that reads back as the same value. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct err err = {0};
  json_t *v = json_read((const char *)data, size, 0, &err);
  if (!v) {
    if (err.code != ERR_MALFORMED || !utf8_valid(err.message, strlen(err.message))) abort();
    return 0;
  }
  char *text = json_canonical(v);
  if (!utf8_valid(text, strlen(text))) abort();
  json_t *again = json_read(text, strlen(text), 0, &err);
  if (!again || !json_equal(v, again)) abort();
  json_decref(again);
  json_decref(v);
  free(text);
  return 0;
}
