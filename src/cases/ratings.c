/* What citizens say after a decision: the score, and the answers to the pack's survey. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

struct rate {
  struct cases *c;
  const struct actor *who;
  const char *tracking, *comment;
  int score;
  const json_t *answers;
  const char *detail;
};

static int not_now(struct rate *k, const char *word_key, const char *message, struct err *err) {
  k->detail = word_key;
  return err_set(err, ERR_CONFLICT, "%s", message);
}

static int put_value(struct store_tx *tx, const struct case_row *row, const char *item, int value, int survey, int64_t at, struct err *err) {
  return store_put(tx, err, "INSERT INTO case_rating (tracking,item,value,survey,organisation,service,at) VALUES (?1,?2,?3,?4,?5,?6,?7)", "ttiitti", row->tracking,
                   item, (int64_t)value, (int64_t)survey, row->holder, row->service, at);
}

static int put_values(struct rate *k, struct store_tx *tx, const struct case_row *row, int64_t at, struct err *err) {
  const struct survey *s = pack_survey(k->c->pack);
  if (put_value(tx, row, "score", k->score, s->version, at, err)) return -1;
  for (size_t i = 0; i < s->count; i++) {
    const json_t *answer = json_object_get(k->answers, s->items[i].name);
    if (answer && put_value(tx, row, s->items[i].name, survey_value(&s->items[i], answer), s->version, at, err)) return -1;
  }
  return 0;
}

static int write_rating(struct rate *k, struct store_tx *tx, struct case_row *row, struct err *err) {
  json_t *p = json_object();
  json_object_set_new(p, "score", json_integer(k->score));
  if (json_object_size(k->answers)) {
    json_object_set(p, "answers", (json_t *)(uintptr_t)k->answers);
    json_object_set_new(p, "survey", json_integer(pack_survey(k->c->pack)->version));
  }
  json_put(p, "comment", k->comment);
  case_put_mandate(p, k->who);
  char *payload = json_canonical(p);
  json_decref(p);
  struct case_entry e = {.action = "rate", .from_state = row->state, .to_state = row->state, .role = "applicant", .organisation = "", .at = clock_now(), .payload = payload};
  row->rating = k->score;
  int rc = case_append(k->c, tx, row, &e, NULL, err);
  if (rc == 0) rc = put_values(k, tx, row, e.at, err);
  free(payload);
  return rc;
}

static int rate_work(struct store_tx *tx, void *arg, struct err *err) {
  struct rate *k = arg;
  struct arena *a = arena_new(1024 * 1024);
  struct case_row row;
  int rc = case_load(k->c, tx, a, k->tracking, &row, err);
  k->detail = NULL;
  if (rc) goto out;
  rc = -1;
  if (!case_is_applicant(k->who, &row)) err_set(err, ERR_NOT_FOUND, "no such case");
  else if (!row.def || !row.def->rating) not_now(k, "case.not_rated", "this service is not rated", err);
  else if (row.result == RESULT_OPEN) not_now(k, "case.rated_later", "a case is rated after its decision", err);
  else if (!row.data) not_now(k, "case.erased", "the case has been erased", err);
  else if (row.rating) not_now(k, "case.rated_once", "this case has its rating", err);
  else rc = write_rating(k, tx, &row, err);
out:
  arena_free(a);
  return rc;
}

static void fault(json_t *errors, const char *item, const char *code, const char *word_key, enum lang l) {
  char field[64];
  snprintf(field, sizeof field, "answers.%.48s", item);
  json_array_append_new(errors, json_pack("{s:s,s:s,s:s}", "field", field, "code", code, "message", word(l, word_key)));
}

/* Every answer is to an item of the survey, and within its scale. NULL: all are. */
static json_t *judge(const struct survey *s, const json_t *answers, enum lang l) {
  json_t *errors = json_array();
  for (void *it = json_object_iter((json_t *)(uintptr_t)answers); it; it = json_object_iter_next((json_t *)(uintptr_t)answers, it)) {
    const struct survey_item *item = survey_item(s, json_object_iter_key(it));
    if (!item) fault(errors, json_object_iter_key(it), "unknown", "case.survey_unknown", l);
    else if (survey_value(item, json_object_iter_value(it)) < 0)
      fault(errors, item->name, item->yes_no ? "type" : "choice", item->yes_no ? "case.survey_yes_no" : "case.survey_five", l);
    if (json_array_size(errors) == 20) break;
  }
  if (json_array_size(errors)) return errors;
  json_decref(errors);
  return NULL;
}

int cases_rate(struct cases *c, const struct actor *who, struct case_rating *r, enum lang l, struct err *err) {
  r->detail = NULL;
  r->errors = NULL;
  if (r->score < 1 || r->score > 5) return err_set(err, ERR_INVALID, "a score is 1 to 5");
  if (r->comment && strlen(r->comment) > 2000) return err_set(err, ERR_INVALID, "a comment has at most 2000 bytes");
  if ((r->errors = judge(pack_survey(c->pack), r->answers, l))) return err_set(err, ERR_INVALID, "answers that the survey does not have");
  struct rate k = {.c = c, .who = who, .tracking = r->tracking, .score = r->score, .answers = r->answers, .comment = r->comment};
  int rc = store_write(c->store, STORE_FRONT, rate_work, &k, err);
  r->detail = k.detail;
  return rc;
}
