/* A receipt from outside: never a crash, and never called genuine, as the fuzzer does not hold the key. The first byte decides whether a time-stamp
 * is read instead. */
#include "trust/inner.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char key[] = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
  struct err err = {0};
  char *said = NULL;
  int64_t at;
  if (size > 0 && data[0] == '0') {
    stamp_check(data + 1, size - 1, "a checkpoint", NULL, &at, &err);
    return 0;
  }
  if (trust_check_receipt((const char *)data, size, key, NULL, &said, &err) == 0 || said != NULL) abort();
  if (err.code == ERR_NONE || !utf8_valid(err.message, strlen(err.message))) abort();
  return 0;
}
