/* What citizens answered, item by item, straight from where the answers are kept: an index holds them by organisation and time. */
#include "observatory/tables.h"

#include <string.h>

static int read_work(struct store_tx *tx, void *arg, struct err *err) {
  struct making *m = arg;
  const struct observe_query *q = m->q;
  const struct survey *survey = pack_survey(cases_pack(m->o->cases));
  int64_t from = day_start(q->period.from), to = day_start(q->period.to + 1);
  const char *service = q->service ? q->service : "";
  struct store_rows *r = q->organisation
    ? store_select(tx, err, "SELECT item,COUNT(*),SUM(value) FROM case_rating WHERE organisation=?1 AND at>=?2 AND at<?3 AND (?4='' OR service=?4) GROUP BY item ORDER BY item", "tiit",
                   q->organisation, from, to, service)
    : store_select(tx, err, "SELECT item,COUNT(*),SUM(value) FROM case_rating WHERE at>=?1 AND at<?2 AND (?3='' OR service=?3) GROUP BY item ORDER BY item", "iit", from, to, service);
  int rc;
  if (!r) return -1;
  json_array_clear(m->rows);
  while ((rc = store_next(r, err)) == 1) {
    const char *name = store_text(r, 0);
    const struct survey_item *item = survey ? survey_item(survey, name) : NULL;
    int64_t n = store_int(r, 1), sum = store_int(r, 2);
    bool whole = strcmp(name, "score") == 0;
    json_t *row = table_row(m);
    cell_text(row, name);
    cell_text(row, item ? text_in(&item->title, m->l) : whole ? word(m->l, "observatory.whole") : name);
    cell_count(m, row, n);
    if (item && item->yes_no) cell_text(row, NULL);
    else cell_share(m, row, sum, n);
    if (item && item->yes_no) cell_share(m, row, sum, n);
    else cell_text(row, NULL);
  }
  store_done(r);
  return rc;
}

int observatory_survey_table(struct making *m, struct err *err) {
  static const struct { const char *key, *kind; } columns[] = {{"code", "id"}, {"item", "text"}, {"rated", "count"}, {"rating", "mean"}, {"yes", "share"}};
  for (size_t i = 0; i < BASE_COUNT(columns); i++) table_column(m, columns[i].key, columns[i].kind);
  return store_read(m->o->store, read_work, m, err);
}
