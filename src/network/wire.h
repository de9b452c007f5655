/*
 * What is said between the one who plans probes and the helper that makes them: messages of a SOCK_SEQPACKET channel, each one kind (u8) and any number of
 * records of that kind's size, all numbers big-endian, WIRE_MOST bytes at most. Each side reads what the other wrote as if it came from outside.
 */
#ifndef CHAPAR_NETWORK_WIRE_H
#define CHAPAR_NETWORK_WIRE_H

#include "base/base.h"

enum { WIRE_MOST = 8192, WIRE_TARGETS_MOST = 1 << 20 };
/* kind, number, bytes of a record */
#define WIRE_TABLE(X)                                                                                                            \
  X(WIRE_OPEN, 1, 14)      /* to the helper: u8 round · u32 targets · u8 packets · u32 gap ms · u32 timeout ms; everything before is forgotten */ \
  X(WIRE_TARGET, 2, 21)    /* u32 target · u8 family (0: none, 4, 6) · 16 bytes address */                                            \
  X(WIRE_START, 3, 4)      /* u32 target: one probe of it, now */                                                                     \
  X(WIRE_CUT, 4, 5)        /* u32 target · u8 kind: the demonstration takes no answers of it in (1), or not all (2) */                 \
  X(WIRE_HELLO, 65, 2)     /* from the helper, once: u8 method for IPv4 · u8 for IPv6 */                                               \
  X(WIRE_RESULT, 66, 28)   /* u8 round that it was started in · u32 target · u8 sent · u8 lost · u8 unsent · 5 × u32 (minimum, median, p95, maximum, jitter; 100 ns; all ones: none) */ \
  X(WIRE_BEAT, 67, 40)     /* each second: 5 × u64 packets sent, received, late, hostile, unsent */
enum wire_kind {
#define X(name, number, size) name = number,
  WIRE_TABLE(X)
#undef X
};

struct wire_open { uint8_t round; uint32_t targets; int packets, gap_ms, timeout_ms; };
struct wire_target { uint32_t target; uint8_t family; unsigned char address[16]; };
struct wire_cut { uint32_t target; uint8_t kind; };
struct wire_result { uint8_t round; uint32_t target; int sent, lost; bool unsent; double ms[5]; }; /* ms: NAN where there is none */

/* What a message is made of: its kind and the number of its records; -1 when it is no message of ours. */
int wire_read(const unsigned char *p, size_t n, enum wire_kind *kind, size_t *count);
/* Record i of such a message; false when what it says cannot be. */
bool wire_open_at(const unsigned char *p, struct wire_open *out);
bool wire_target_at(const unsigned char *p, size_t i, struct wire_target *out);
uint32_t wire_start_at(const unsigned char *p, size_t i);
bool wire_cut_at(const unsigned char *p, size_t i, struct wire_cut *out);
bool wire_hello_at(const unsigned char *p, int methods[2]);
bool wire_result_at(const unsigned char *p, size_t i, struct wire_result *out);
void wire_beat_at(const unsigned char *p, int64_t counters[5]);

/* A message that is being made: where it is full, or another kind comes, send is called with it. */
struct wire_out { unsigned char bytes[WIRE_MOST]; size_t size; void (*send)(void *ctx, const unsigned char *p, size_t n); void *ctx; };
void wire_flush(struct wire_out *o);
void wire_put_open(struct wire_out *o, const struct wire_open *v);
void wire_put_target(struct wire_out *o, const struct wire_target *v);
void wire_put_start(struct wire_out *o, uint32_t target);
void wire_put_cut(struct wire_out *o, const struct wire_cut *v);
void wire_put_hello(struct wire_out *o, const int methods[2]);
void wire_put_result(struct wire_out *o, const struct wire_result *v);
void wire_put_beat(struct wire_out *o, const int64_t counters[5]);

#endif
