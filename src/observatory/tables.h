/* What makes tables; of this room alone. */
#ifndef CHAPAR_OBSERVATORY_TABLES_H
#define CHAPAR_OBSERVATORY_TABLES_H

#include "observatory/inner.h"

struct making {
  struct observatory *o;
  const struct observe_query *q;
  enum lang l;
  struct arena *a;
  bool hide;               /* small counts: organisations are compared */
  const char *note;        /* of a word, or NULL */
  json_t *columns, *rows;
};
void table_column(struct making *m, const char *key, const char *kind); /* title: word observatory.c_<key> */
json_t *table_row(struct making *m);
void cell_text(json_t *row, const char *text);          /* NULL: nothing to tell */
void cell_number(json_t *row, int64_t n);
void cell_count(const struct making *m, json_t *row, int64_t n);
void cell_share(const struct making *m, json_t *row, int64_t part, int64_t of);
void cell_days(const struct making *m, json_t *row, const json_t *sums, const char *prefix, double q);
const char *service_name(const struct making *m, const char *code);
const char *office_name(const struct making *m, const char *code);
int observatory_survey_table(struct making *m, struct err *err); /* survey.c */
int observatory_network_table(struct making *m, struct err *err); /* network.c */
int observatory_costs_table(struct making *m, struct err *err); /* costs.c */

#endif
