/* Messages between who plans probes and the helper that makes them, as both sides read them: what is read can be written again, byte for byte. */
#include "network/wire.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t *whole;
static size_t left;

static void same(void *ctx, const unsigned char *p, size_t n) {
  if (n > left || memcmp(p, whole, n) != 0) abort();
  left = 0;
}

/* One record, as a message of its own. */
static void again(const uint8_t *data, size_t size, enum wire_kind kind) {
  static struct wire_out o = {.send = same};
  struct wire_open open;
  struct wire_target target;
  struct wire_cut cut;
  struct wire_result result;
  int methods[2];
  int64_t counters[5];
  whole = data;
  left = size;
  switch (kind) {
  case WIRE_OPEN: if (wire_open_at(data, &open)) wire_put_open(&o, &open); break;
  case WIRE_TARGET: if (wire_target_at(data, 0, &target)) wire_put_target(&o, &target); break;
  case WIRE_START: wire_put_start(&o, wire_start_at(data, 0)); break;
  case WIRE_CUT: if (wire_cut_at(data, 0, &cut)) wire_put_cut(&o, &cut); break;
  case WIRE_HELLO: if (wire_hello_at(data, methods)) wire_put_hello(&o, methods); break;
  case WIRE_RESULT: if (wire_result_at(data, 0, &result)) wire_put_result(&o, &result); break;
  case WIRE_BEAT:
    wire_beat_at(data, counters);
    for (int i = 0; i < 5; i++)
      if (counters[i] < 0) abort();
  }
  wire_flush(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  enum wire_kind kind;
  size_t count;
  unsigned char one[64];
  if (wire_read(data, size, &kind, &count)) return 0;
  size_t each = (size - 1) / count;
  if (!count || each * count + 1 != size || each + 1 > sizeof one) abort();
  for (size_t i = 0; i < count; i++) {
    one[0] = data[0];
    memcpy(one + 1, data + 1 + i * each, each);
    again(one, each + 1, kind);
  }
  return 0;
}
