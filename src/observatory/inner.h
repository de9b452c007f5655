/* Shared by the files of this room alone. */
#ifndef CHAPAR_OBSERVATORY_INNER_H
#define CHAPAR_OBSERVATORY_INNER_H

#include "observatory/observatory.h"

#include <pthread.h>

struct observatory {
  struct store *store;
  struct cases *cases;
  struct identity *identity;        /* may be NULL */
  char node[64];
};

/* Spans of observatory_sum. */
enum sum_span { SUM_DAY = 1, SUM_MONTH = 2, SUM_STAFF_DAY = 3, SUM_STAFF_MONTH = 4, SUM_PROVINCE_DAY = 5, SUM_PROVINCE_MONTH = 6, SUM_OFFICE_MONTH = 8, SUM_OFFICE_YEAR = 10 };

/* contribute.c: what one event of a case adds. sums: object of objects, by "span\tstart\torganisation\tunit\tservice\tplace". */
void observatory_contribute(const struct case_facts *f, size_t step, json_t *sums);
int64_t day_bucket(int64_t days);                        /* whole days up to 60, tens up to 1000 */
int32_t month_start(int32_t day);                        /* first day of its Jalali month */
int32_t year_start(int32_t day);                         /* first day of its Jalali year */
/* counts as text and back; the text is in order of names */
void counts_add(json_t *counts, const char *name, int64_t n);
void counts_read(json_t *counts, const char *text);      /* adds */
char *counts_write(const json_t *counts);                /* caller frees */

#endif
