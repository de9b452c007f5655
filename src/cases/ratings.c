/* What citizens say after a decision: the score, and the answers to the pack's survey. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

struct rate {
  struct cases *c;
  const struct actor *who;
  const char *tracking, *comment;
  const char *mobile, *by; /* by a telephone instead of a session: which, and on which channel */
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
  if (k->by) json_put(p, "by", k->by);
  if (k->who) case_put_mandate(p, k->who);
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
  bool theirs = k->mobile ? !case_is_inquiry(&row) && strcmp(row.mobile, k->mobile) == 0 : case_is_applicant(k->who, &row);
  if (!theirs) err_set(err, ERR_NOT_FOUND, "no such case");
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

/* ---- by telephone ---- */

enum { LOOKED_AT = 20, RATED_DAYS = 60 };

struct newest {
  struct cases *c;
  const char *mobile;
  enum lang l;
  json_t *out;
};

/* The request of this telephone that was decided last, where its service asks for a rating. */
static int newest_work(struct store_tx *tx, void *arg, struct err *err) {
  struct newest *k = arg;
  char key[40], codes[LOOKED_AT][TRACKING_SIZE];
  int64_t closed = clock_now() - RATED_DAYS * INT64_C(86400000);
  int n = 0, rc;
  json_decref(k->out);
  k->out = NULL;
  snprintf(key, sizeof key, "m:%s", k->mobile);
  struct store_rows *r = store_select(tx, err, "SELECT tracking FROM case_person WHERE person=?1 ORDER BY ord,tracking LIMIT ?2", "ti", key, (int64_t)LOOKED_AT);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) snprintf(codes[n++], TRACKING_SIZE, "%s", store_text(r, 0));
  store_done(r);
  for (int i = 0; i < n && rc == 0; i++) {
    struct arena *a = arena_new(1024 * 1024);
    struct case_row row;
    rc = case_load(k->c, tx, a, codes[i], &row, err);
    bool asked = rc == 0 && row.def && row.def->rating && row.data && row.result != RESULT_OPEN && !case_is_inquiry(&row) && strcmp(row.mobile, k->mobile) == 0;
    if (asked && row.closed_at > closed) {
      closed = row.closed_at;
      json_decref(k->out);
      k->out = json_pack("{s:s,s:s,s:s,s:I}", "tracking", row.tracking, "service_title", text_in(&row.def->title, k->l), "service_latn", row.def->latn ? row.def->latn : "",
                         "rating", (json_int_t)row.rating);
    }
    arena_free(a);
  }
  return rc;
}

int cases_to_rate(struct cases *c, const char *mobile, enum lang l, json_t **out, struct err *err) {
  struct newest k = {.c = c, .mobile = mobile, .l = l};
  int rc = store_read(c->store, newest_work, &k, err);
  if (rc == 0 && !k.out) rc = err_set(err, ERR_NOT_FOUND, "nothing to rate");
  if (rc) json_decref(k.out);
  else *out = k.out;
  return rc;
}

int cases_rate_by_telephone(struct cases *c, const char *mobile, const char *tracking, int score, const char *by, struct err *err) {
  struct rate k = {.c = c, .tracking = tracking, .mobile = mobile, .by = by, .score = score};
  if (score < 1 || score > 5) return err_set(err, ERR_INVALID, "a score is 1 to 5");
  return store_write(c->store, STORE_FRONT, rate_work, &k, err);
}
