/* A signed line and the member directory in it, as it may come from anybody. */
#include "exchange/members.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct members *m;
  struct err err;
  char *copy = base_alloc(size + 1); /* ends where the input ends */
  for (size_t i = 0; i < size; i++) copy[i] = (char)data[i];
  if (members_read(copy, size, &m, &err) == 0) members_drop(m);
  free(copy);
  return 0;
}
