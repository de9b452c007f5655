/* What the files of base share among themselves; no other room includes it. */
#ifndef CHAPAR_BASE_INSIDE_H
#define CHAPAR_BASE_INSIDE_H

#include "base/bytes.h"

/* Room for n more bytes and the NUL, or false beyond the cap. */
bool buf_room(struct buf *b, size_t n);
/* A copy in which each byte that is not UTF-8 became U+FFFD; caller frees. */
char *base_utf8_repair(const char *s, size_t n);
/* One line on standard error and abort(); allocates nothing. */
_Noreturn void base_die(const char *message);

#endif
