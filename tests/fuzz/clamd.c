/* An answer of clamd: any bytes. Clean is said in one way only, and a name is always fit for a log. */
#include "app/clamd.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char name[CLAMD_NAME];
  enum clamd_verdict v = clamd_answer((const char *)data, size, name);
  if (v == CLAMD_CLEAN && (size < 10 || memcmp(data, "stream: OK", 10) != 0)) abort();
  if ((v == CLAMD_FOUND) != (name[0] != 0)) abort();
  for (const char *s = name; *s; s++)
    if (*s <= ' ' || *s >= 0x7f) abort();
  return 0;
}
