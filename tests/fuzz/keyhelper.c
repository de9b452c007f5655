/* The key helper's protocol, as both sides read it. */
#include "exchange/helper.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const unsigned char *body;
  unsigned char again[HELPER_FRAME];
  size_t n, used, at = 0;
  while (helper_frame(data + at, size - at, &body, &n, &used) == 1) {
    struct asked q;
    struct answered a;
    if (used > size - at || body != data + at + 4 || n + 4 != used) abort();
    if (helper_asked(body, n, &q) == 0) {
      if (q.data + q.size != body + n) abort();
      if (helper_ask(again, q.id, q.op, q.key, q.data, q.size) != used || memcmp(again, data + at, used) != 0) abort();
    }
    if (helper_answered(body, n, &a) == 0 && (helper_answer(again, a.id, a.status, a.data, a.size) != used || memcmp(again, data + at, used) != 0)) abort();
    at += used;
  }
  return 0;
}
