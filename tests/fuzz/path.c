/* Paths and globs, and the identifiers in headers and targets. */
#include "exchange/side.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = base_alloc(size + 1), *out = base_alloc(SIDE_PATH);
  struct exchange_id id;
  struct target t;
  struct err err;
  struct arena *a = arena_new(1 << 20);
  memcpy(text, data, size);
  if (path_normalise(text, out, SIDE_PATH, &err) == 0) {
    if (!glob_match("**", out)) abort();
    if (strstr(out, "/../") || strstr(out, "/./") || strstr(out, "//")) abort();
    size_t n = strlen(out);
    if (n >= 3 && !strcmp(out + n - 3, "/..")) abort();
  }
  char *half = strchr(text, '\n');
  if (half) {
    *half = 0;
    glob_match(text, half + 1);
  }
  target_read(a, text, &t, &err);
  if (id_decode(text, 3, 5, &id, &err) == 0) {
    char *encoded = id_encoded(a, &id);
    struct exchange_id back;
    if (!encoded || id_decode(encoded, 3, 5, &back, &err) || !exchange_id_same(&id, &back, 5)) abort();
  }
  arena_free(a);
  free(out);
  free(text);
  return 0;
}
