/* Blocks and raw results as they stand in the store: damaged ones end, nothing is read beyond. */
#include "network/inner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const unsigned char *at = data, *end = data + size;
  struct sums s;
  struct sample m;
  while (block_next(&at, end, &s, true)) {}
  for (at = data; raw_next(&at, end, 0, &m);) {}
  return 0;
}
