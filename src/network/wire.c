#include "network/wire.h"

#include "network/network.h"

#include <math.h>
#include <string.h>

static uint32_t get32(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static void put32(unsigned char *p, uint32_t v) {
  for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static size_t size_of(unsigned kind) {
  switch (kind) {
#define X(name, number, size) case number: return size;
    WIRE_TABLE(X)
#undef X
  }
  return 0;
}

/* ---- reading ---- */

int wire_read(const unsigned char *p, size_t n, enum wire_kind *kind, size_t *count) {
  size_t size = n > 1 && n <= WIRE_MOST ? size_of(p[0]) : 0;
  if (!size || (n - 1) % size) return -1;
  *kind = (enum wire_kind)p[0];
  *count = (n - 1) / size;
  return (*kind == WIRE_OPEN || *kind == WIRE_HELLO || *kind == WIRE_BEAT) && *count != 1 ? -1 : 0;
}

static const unsigned char *record(const unsigned char *p, size_t i) { return p + 1 + i * size_of(p[0]); }

bool wire_open_at(const unsigned char *p, struct wire_open *out) {
  const unsigned char *r = record(p, 0);
  uint32_t gap = get32(r + 6), timeout = get32(r + 10);
  *out = (struct wire_open){.round = r[0], .targets = get32(r + 1), .packets = r[5], .gap_ms = (int)(gap & 0xffff), .timeout_ms = (int)(timeout & 0xffff)};
  return out->targets <= WIRE_TARGETS_MOST && r[5] >= 1 && r[5] <= NETWORK_PACKETS_MOST && gap >= 1 && gap <= 60000 && timeout >= 1 && timeout <= 60000;
}

bool wire_target_at(const unsigned char *p, size_t i, struct wire_target *out) {
  const unsigned char *r = record(p, i);
  *out = (struct wire_target){.target = get32(r), .family = r[4]};
  memcpy(out->address, r + 5, 16);
  return r[4] == 0 || r[4] == 4 || r[4] == 6;
}

uint32_t wire_start_at(const unsigned char *p, size_t i) { return get32(record(p, i)); }

bool wire_cut_at(const unsigned char *p, size_t i, struct wire_cut *out) {
  const unsigned char *r = record(p, i);
  *out = (struct wire_cut){get32(r), r[4]};
  return r[4] <= 2;
}

bool wire_hello_at(const unsigned char *p, int methods[2]) {
  const unsigned char *r = record(p, 0);
  methods[0] = r[0];
  methods[1] = r[1];
  return r[0] <= 2 && r[1] <= 2;
}

/* Everything between nothing and a minute, each not below the one before, where something was answered; nothing at all where nothing was. */
bool wire_result_at(const unsigned char *p, size_t i, struct wire_result *out) {
  const unsigned char *r = record(p, i) + 1;
  *out = (struct wire_result){.round = r[-1], .target = get32(r), .sent = r[4], .lost = r[5], .unsent = r[6] == 1};
  if (r[6] > 1 || r[4] > NETWORK_PACKETS_MOST || r[5] > r[4] || out->unsent != (r[4] == 0)) return false;
  bool any = r[5] < r[4], two = r[4] - r[5] > 1;
  for (int k = 0; k < 5; k++) {
    uint32_t v = get32(r + 7 + 4 * k);
    bool there = k < 4 ? any : two;
    if (there != (v != UINT32_MAX)) return false;
    out->ms[k] = there ? (double)v / 10000 : NAN;
    if (there && (v > 600000000 || (k > 0 && k < 4 && v < get32(r + 3 + 4 * k)))) return false;
  }
  return true;
}

void wire_beat_at(const unsigned char *p, int64_t counters[5]) {
  const unsigned char *r = record(p, 0);
  for (int i = 0; i < 5; i++) counters[i] = (int64_t)((uint64_t)(get32(r + 8 * i) & INT32_MAX) << 32 | get32(r + 8 * i + 4));
}

/* ---- writing ---- */

void wire_flush(struct wire_out *o) {
  if (o->size) o->send(o->ctx, o->bytes, o->size);
  o->size = 0;
}

static unsigned char *add(struct wire_out *o, enum wire_kind kind) {
  size_t size = size_of(kind);
  if (o->size && (o->bytes[0] != kind || o->size + size > WIRE_MOST)) wire_flush(o);
  if (!o->size) o->bytes[o->size++] = (unsigned char)kind;
  o->size += size;
  return o->bytes + o->size - size;
}

void wire_put_open(struct wire_out *o, const struct wire_open *v) {
  unsigned char *r = add(o, WIRE_OPEN);
  r[0] = v->round;
  put32(r + 1, v->targets);
  r[5] = (unsigned char)v->packets;
  put32(r + 6, (uint32_t)v->gap_ms);
  put32(r + 10, (uint32_t)v->timeout_ms);
  wire_flush(o);
}

void wire_put_target(struct wire_out *o, const struct wire_target *v) {
  unsigned char *r = add(o, WIRE_TARGET);
  put32(r, v->target);
  r[4] = v->family;
  memcpy(r + 5, v->address, 16);
}

void wire_put_start(struct wire_out *o, uint32_t target) { put32(add(o, WIRE_START), target); }

void wire_put_cut(struct wire_out *o, const struct wire_cut *v) {
  unsigned char *r = add(o, WIRE_CUT);
  put32(r, v->target);
  r[4] = v->kind;
}

void wire_put_hello(struct wire_out *o, const int methods[2]) {
  unsigned char *r = add(o, WIRE_HELLO);
  r[0] = (unsigned char)methods[0];
  r[1] = (unsigned char)methods[1];
  wire_flush(o);
}

void wire_put_result(struct wire_out *o, const struct wire_result *v) {
  unsigned char *r = add(o, WIRE_RESULT) + 1;
  r[-1] = v->round;
  put32(r, v->target);
  r[4] = (unsigned char)v->sent;
  r[5] = (unsigned char)v->lost;
  r[6] = v->unsent;
  for (int k = 0; k < 5; k++) put32(r + 7 + 4 * k, isnan(v->ms[k]) ? UINT32_MAX : (uint32_t)llround(fmin(fmax(v->ms[k], 0), 60000) * 10000));
}

void wire_put_beat(struct wire_out *o, const int64_t counters[5]) {
  unsigned char *r = add(o, WIRE_BEAT);
  for (int i = 0; i < 5; i++) {
    put32(r + 8 * i, (uint32_t)((uint64_t)counters[i] >> 32));
    put32(r + 8 * i + 4, (uint32_t)counters[i]);
  }
  wire_flush(o);
}
