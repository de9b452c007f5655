/* Inside language only: what its files tell each other. */
#ifndef CHAPAR_LANGUAGE_INTERNAL_H
#define CHAPAR_LANGUAGE_INTERNAL_H

#include "language/language.h"

int words_init(struct err *err);
int text_init(struct err *err);
int fold_init(struct err *err);
int zone_init(struct err *err);
int hijri_init(struct err *err);

/* Offset of Asia/Tehran from UTC at an instant, in milliseconds. */
int64_t zone_offset(int64_t ms);
/* Floor division by a positive number. */
int64_t floor_div(int64_t a, int64_t b);
/* The next code point of *s (NUL-terminated), advancing; 0 at the end, -1 when the UTF-8 is invalid. */
int32_t next_char(const unsigned char **s);
/* White space that repair trims and identifiers ignore: spaces of every width, no line ends. */
bool is_space_char(int32_t c);
/* Direction marks and other characters that nobody sees and repair removes. */
bool is_invisible(int32_t c);
/* 0–9 for ASCII, Persian and Arabic digits, else -1. */
int digit_value(int32_t c);
/* A fresh piece of memory that is freed with free(), or NULL for sizes beyond what texts may have. */
void *text_room(size_t units, size_t unit_size);

#endif
