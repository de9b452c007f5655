/* A file that is brought to be checked, and a code as somebody types it. */
#include "certificates/certificates.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char code[CERTIFICATE_CODE] = "", again[CERTIFICATE_CODE], shown[16], *typed = base_alloc(size + 1);
  if (size) memcpy(typed, data, size);
  bool good = certificate_code_parse(typed, code) == 0;
  if (good || certificate_code_in(data, size, code)) {
    certificate_code_show(code, shown);
    if (strlen(code) != CERTIFICATE_CODE - 1 || certificate_code_parse(shown, again) || strcmp(code, again) != 0) abort();
  }
  free(typed);
  return 0;
}
