/* A signed line and the member directory in it, as it may come from anybody. */
#include "exchange/members.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct members *m;
  struct err err;
  if (members_read((const char *)data, size, &m, &err) == 0) members_drop(m);
  return 0;
}
