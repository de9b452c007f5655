/* A case that waits for its citizen: before the office goes on without the answer the citizen is reminded, once, on the last working day but one.
 * Whoever comes too late for that (a store that stood still) reminds nobody of a day that has passed. */
#include "cases/private.h"

#include <string.h>

enum { REMIND_DAYS = 2 };

int64_t case_pause_end(const struct case_row *row) {
  int64_t left = row->def->suspension_days - row->stopped_days;
  return row->stopped_ord + (left > 0 ? left : 0);
}

/* Is there something to answer, and words for it? */
static bool reminds(const struct case_row *row) {
  const struct state *s = row->state_index >= 0 ? &row->def->states[row->state_index] : NULL;
  bool asks = false, words = false;
  for (size_t i = 0; s && i < s->action_count; i++) asks = asks || s->actions[i].kind == ACT_PROVIDE_INFO;
  for (size_t i = 0; i < row->def->notice_count; i++) words = words || strcmp(row->def->notices[i].on, "remind") == 0;
  return asks && words;
}

int64_t case_pause_next(const struct case_row *row) {
  int64_t end = case_pause_end(row), day = end - REMIND_DAYS;
  return row->escalated == 0 && day >= row->stopped_ord && reminds(row) ? day : end;
}

int case_remind(struct cases *c, struct store_tx *tx, struct case_row *row, struct err *err) {
  struct case_entry e = {.action = "remind", .from_state = row->state, .to_state = row->state, .role = "system", .organisation = row->holder, .at = clock_now(), .payload = "{\"who\":\"system\"}"};
  row->escalated = CASE_REMINDED;
  case_next_check(c, row);
  return case_append(c, tx, row, &e, NULL, err) ? -1 : case_notice(c, tx, row, "remind", row->version, NULL, NULL, err);
}
