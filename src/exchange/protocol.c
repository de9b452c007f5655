/* Frames between a gateway and its key helper. Both sides read what the other wrote as if it came from outside. */
#include "exchange/helper.h"

#include <string.h>

const char *const helper_slots[SLOT_COUNT] = {
#define X(name, file) file,
    HELPER_SLOTS(X)
#undef X
};

static uint32_t get32(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static void put32(unsigned char *p, uint32_t v) {
  p[0] = (unsigned char)(v >> 24);
  p[1] = (unsigned char)(v >> 16);
  p[2] = (unsigned char)(v >> 8);
  p[3] = (unsigned char)v;
}

int helper_frame(const unsigned char *p, size_t n, const unsigned char **body, size_t *size, size_t *used) {
  if (n < 4) return 0;
  uint32_t length = get32(p);
  if (length < HELPER_ANSWERED || length > HELPER_FRAME - 4) return -1;
  if (n - 4 < length) return 0;
  *body = p + 4;
  *size = length;
  *used = 4 + (size_t)length;
  return 1;
}

int helper_asked(const unsigned char *body, size_t size, struct asked *out) {
  if (size < HELPER_ASKED || size > HELPER_ASKED + HELPER_DATA || body[4] < HELPER_LIST || body[4] > HELPER_COSIGN) return -1;
  *out = (struct asked){.id = get32(body), .op = body[4], .key = body + 5, .data = body + HELPER_ASKED, .size = size - HELPER_ASKED};
  switch (out->op) {
  case HELPER_LIST: return out->size == 0 ? 0 : -1;
  case HELPER_SIGN: return out->size == 32 || out->size == 48 || out->size == 64 ? 0 : -1;
  case HELPER_COSIGN: return out->size > 15 && memcmp(out->data, "cosignature/v1\n", 15) == 0 ? 0 : -1;
  }
  return -1;
}

int helper_answered(const unsigned char *body, size_t size, struct answered *out) {
  if (size < HELPER_ANSWERED || size > HELPER_ANSWERED + HELPER_DATA || body[4] > HELPER_REFUSED) return -1;
  *out = (struct answered){.id = get32(body), .status = body[4], .data = body + HELPER_ANSWERED, .size = size - HELPER_ANSWERED};
  return out->status == HELPER_DONE || out->size == 0 ? 0 : -1;
}

size_t helper_ask(unsigned char out[HELPER_FRAME], uint32_t id, enum helper_op op, const unsigned char key[32], const void *data, size_t n) {
  if (n > HELPER_DATA) n = HELPER_DATA;
  put32(out, (uint32_t)(HELPER_ASKED + n));
  put32(out + 4, id);
  out[8] = (unsigned char)op;
  if (key) memcpy(out + 9, key, 32);
  else memset(out + 9, 0, 32);
  if (n) memcpy(out + 4 + HELPER_ASKED, data, n);
  return 4 + HELPER_ASKED + n;
}

size_t helper_answer(unsigned char out[HELPER_FRAME], uint32_t id, enum helper_status status, const void *data, size_t n) {
  if (n > HELPER_DATA) n = HELPER_DATA;
  put32(out, (uint32_t)(HELPER_ANSWERED + n));
  put32(out + 4, id);
  out[8] = (unsigned char)status;
  if (n) memcpy(out + 4 + HELPER_ANSWERED, data, n);
  return 4 + HELPER_ANSWERED + n;
}
