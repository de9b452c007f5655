/*
 * base/bytes: what writes much and often needs of base beyond its header: buffers filled with base64, numbers and JSON text in place, and memory given
 * back to the kernel. Part of the room base.
 */
#ifndef CHAPAR_BASE_BYTES_H
#define CHAPAR_BASE_BYTES_H

#include "base/base.h"

void buf_add64(struct buf *b, const void *p, size_t n);         /* as base64, with padding */
void buf_addi(struct buf *b, int64_t n);                        /* in decimal digits */
/* This thread's own, empty: what is in it must be taken out before anything else asks for it. Freed with the thread. */
struct buf *buf_own(size_t cap);
/* Base64 into a place of the caller's, ended with a NUL: (n + 2) / 3 * 4 + 1 bytes. The second: other alphabet, no padding. */
void base64_write(char *out, const void *p, size_t n);
void base64url_write(char *out, const void *p, size_t n);
bool is_token(const char *s, size_t n);                         /* of HTTP (RFC 9110, 5.6.2), such as a header's name; not empty */
bool no_controls(const char *s, size_t n);                      /* nothing below a space, and no DEL */
bool value_sound(const char *s, size_t n);                      /* the same, but tabs may stand in it, as in a header's value */
void buf_expect(struct buf *b, size_t n);                       /* some n bytes more will come: room for them at once, if the cap allows */
/* A JSON string with its quotes, as json_canonical writes it; bytes that are not UTF-8 become U+FFFD. */
void base_json_string(struct buf *b, const char *s, size_t n);
/* For a process that has become idle: what it has freed, and what was only read (programs and libraries at their start), goes back to the kernel;
 * the latter is read again where it is touched. Any thread. */
void memory_settle(void);

#endif
