#include "cases/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST "cases.tracking,cases.service,cases.service_version,cases.owner,cases.holder,cases.state,cases.result,cases.submitted_at," \
  "cases.norm_ord,cases.legal_ord,cases.calendar,cases.assignee,cases.version,cases.stopped_ord,cases.inquiry,cases.changed_at,cases.parent,cases.escalated"
/* … and for those who work at the desk: whose it is, and when documents last came from outside. */
#define DESK LIST ",cases.data,cases.first_payload,COALESCE((SELECT n.at FROM case_news n WHERE n.tracking=cases.tracking),0)"

struct list {
  struct cases *c;
  const struct case_query *q;
  const struct actor *who;    /* at a desk and of kept searches alone */
  bool works;                 /* who handles cases at this desk: names and what is new are told */
  const char *person;         /* key of a citizen, a telephone or a member of staff */
  const char *assignee;       /* "": nobody; NULL: any */
  enum lang lang;
  int limit;
  struct arena *arena;
  int64_t after_result, after_ord, after_time;
  const char *after_tracking;
  json_t *items;
  char next[96];
};

static const char *plain(const char *s) { return s ? s : ""; }

static void put_name(struct list *k, const struct store_rows *r, const struct case_row *row, json_t *o) {
  const char *own = store_null(r, 18) ? NULL : store_text(r, 18), *text = own ? own : store_null(r, 19) ? NULL : case_answers_in(k->arena, store_text(r, 19));
  json_t *data = text && row->def ? json_loads(text, 0, NULL) : NULL;
  const char *name = data ? case_short_name(k->arena, row->def, data) : NULL;
  json_put(o, "applicant_name", name && name[0] ? name : NULL);
  json_object_set_new(o, "_news", json_integer(store_int(r, 20)));
  json_decref(data);
}

static json_t *list_item(struct list *k, struct store_tx *tx, const struct store_rows *r, struct err *err) {
  struct case_row row = {.tracking = store_text(r, 0), .service = store_text(r, 1), .service_version = store_int(r, 2), .owner = store_text(r, 3),
    .holder = store_text(r, 4), .state = store_text(r, 5), .result = store_int(r, 6), .submitted_at = store_int(r, 7), .norm_ord = store_int(r, 8),
    .legal_ord = store_int(r, 9), .calendar = store_text(r, 10), .assignee = store_text(r, 11), .version = store_int(r, 12),
    .stopped_ord = store_int(r, 13), .inquiry = store_text(r, 14), .parent = store_text(r, 16)};
  char at[32];
  if (case_define(k->c, tx, &row, err)) return NULL;
  json_t *o = json_object();
  json_put(o, "tracking", row.tracking);
  json_put(o, "service", row.service);
  json_object_set_new(o, "service_version", json_integer(row.service_version));
  json_put(o, "definition", row.def ? row.def->etag : NULL);
  json_put(o, "service_title", row.def ? text_in(&row.def->title, k->lang) : row.service);
  json_put(o, "organisation", row.owner);
  json_put(o, "holder", row.holder);
  json_put(o, "holder_name", case_organisation_name(k->c, row.pack, row.holder, k->lang));
  json_put(o, "state", row.state);
  json_put(o, "state_title", case_state_title(&row, k->lang));
  json_put(o, "result", result_text((enum result)row.result));
  clock_rfc3339_ms(row.submitted_at, at);
  json_put(o, "submitted_at", at);
  clock_rfc3339_ms(store_int(r, 15), at);
  json_put(o, "changed_at", at);
  json_object_set_new(o, "due", case_due_json(k->c, &row));
  if (row.result == RESULT_OPEN && row.legal_ord < NO_ORD) {
    int64_t now = row.stopped_ord >= 0 ? row.stopped_ord : calendar_ordinal(case_calendar(k->c, row.calendar), cases_today());
    json_object_set_new(o, "days_left", json_integer(row.legal_ord - now));
    json_object_set_new(o, "overdue", json_boolean(row.legal_ord < now));
  }
  json_put(o, "assignee", row.assignee[0] ? row.assignee : NULL);
  json_object_set_new(o, "version", json_integer(row.version));
  json_object_set_new(o, "escalated", json_integer(store_int(r, 17) > 0 ? store_int(r, 17) : 0));
  if (case_is_inquiry(&row)) {
    json_put(o, "inquiry", row.inquiry);
    json_put(o, "parent", row.parent);
  }
  if (k->works) put_name(k, r, &row, o);
  return o;
}

/* Which of the listed cases have documents that this reader has not seen. */
static int put_news(struct list *k, struct store_tx *tx, struct err *err) {
  json_t *one;
  size_t i;
  json_array_foreach(k->items, i, one) {
    bool unseen = false;
    int64_t came = json_int(one, "_news", 0);
    if (case_news_unseen(tx, json_str(one, "tracking"), came, k->who->username, &unseen, err)) return -1;
    json_object_del(one, "_news");
    json_object_set_new(one, "new_documents", json_boolean(unseen));
  }
  return 0;
}

/* Take rows until the page is full; the last row that filled it names the next page. */
static int take_rows(struct list *k, struct store_tx *tx, struct store_rows *r, int64_t (*order)(const struct store_rows *), struct err *err) {
  int rc = 0, n = (int)json_array_size(k->items);
  if (!r) return -1;
  while (n < k->limit && (rc = store_next(r, err)) == 1) {
    json_t *item = list_item(k, tx, r, err);
    if (!item) {
      store_done(r);
      return -1;
    }
    json_array_append_new(k->items, item);
    snprintf(k->next, sizeof k->next, "%lld.%lld.%lld.%s", (long long)store_int(r, 6), (long long)order(r), (long long)store_int(r, 7), store_text(r, 0));
    n++;
  }
  if (n < k->limit) k->next[0] = 0;
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int64_t by_due(const struct store_rows *r) { return store_int(r, 9); }
static int64_t by_time(const struct store_rows *r) { return -store_int(r, 7); }

static int read_after(struct list *k, const char *after, struct err *err) {
  k->after_result = 0;
  k->after_ord = k->after_time = INT64_MIN;
  k->after_tracking = "";
  if (!after || !after[0]) return 0;
  char tracking[40] = ""; /* or the id of a look */
  long long result, ord, time;
  if (sscanf(after, "%lld.%lld.%lld.%39[0-9a-f]", &result, &ord, &time, tracking) != 4) return err_set(err, ERR_MALFORMED, "'after' is not a mark of a page");
  k->after_result = result;
  k->after_ord = ord;
  k->after_time = time;
  k->after_tracking = arena_strdup(k->arena, tracking);
  return 0;
}

/* ---- what is late, by the calendar of each case ---- */

int case_desk_calendar(struct cases *c, struct store_tx *tx, const char *organisation, const char *calendar, struct err *err) {
  const struct directory *d = pack_directory(c->pack);
  if (strcmp(pack_calendar_of(c->pack, directory_find_organisation(d, organisation)), calendar) == 0) return 0;
  return store_put(tx, err, "INSERT INTO case_desk_calendar (organisation,calendar) VALUES (?1,?2) ON CONFLICT DO NOTHING", "tt", organisation,
                   calendar);
}

enum { OTHERS = 2 }; /* most calendars besides its own that a desk reckons with */
struct days {
  int64_t own, before;             /* today; no case asked for has an ordinal from here on */
  const char *calendar[OTHERS];
  int64_t today[OTHERS];
};

static int64_t today_of(struct list *k, const char *calendar) { return calendar_ordinal(case_calendar(k->c, calendar), cases_today()); }

static int read_days(struct list *k, struct store_tx *tx, struct days *d, struct err *err) {
  int organisation = directory_find_organisation(pack_directory(k->c->pack), k->q->organisation), rc = 0;
  *d = (struct days){.own = today_of(k, pack_calendar_of(k->c->pack, organisation)), .before = INT64_MAX, .calendar = {"", ""}};
  if (k->q->overdue < 0 && k->q->soon <= 0) return 0;
  struct store_rows *r = store_select(tx, err, "SELECT calendar FROM case_desk_calendar WHERE organisation=?1 ORDER BY calendar LIMIT 2", "t", k->q->organisation);
  if (!r) return -1;
  int64_t most = d->own;
  for (int i = 0; i < OTHERS && (rc = store_next(r, err)) == 1; i++) {
    d->calendar[i] = arena_strdup(k->arena, store_text(r, 0));
    if (!d->calendar[i]) d->calendar[i] = "";
    d->today[i] = today_of(k, d->calendar[i]);
    if (d->today[i] > most) most = d->today[i];
  }
  store_done(r);
  if (k->q->overdue == 1) d->before = most;
  else if (k->q->soon > 0) d->before = most + k->q->soon + 1;
  return rc < 0 ? -1 : 0;
}

/* The first eleven parameters of every list of a desk. A case is late that is open and whose clock, or where it was stopped, is past its
 * deadline; it is due soon when the clock runs and the deadline is at most ?9 days ahead. */
#define WHOSE "tiititiiiii"
#define CLOCK "CASE WHEN cases.stopped_ord>=0 THEN cases.stopped_ord WHEN cases.calendar=?4 THEN ?5 WHEN cases.calendar=?6 THEN ?7 ELSE ?3 END"
#define LATE "(?2<0 OR (CASE WHEN cases.result=0 AND cases.legal_ord<" CLOCK " THEN 1 ELSE 0 END)=?2) AND cases.legal_ord<?8 " NARROW
#define NARROW                                                                                                                                       \
  "AND (?9<=0 OR (cases.result=0 AND cases.stopped_ord<0 AND cases.legal_ord-(" CLOCK ")>=0 AND cases.legal_ord-(" CLOCK ")<=?9)) "                  \
  "AND (?10=0 OR cases.stopped_ord>=0) AND (?11=0 OR (?11=1 AND cases.appealed>0) OR (?11=2 AND cases.escalated>0)) "

/* There is one case of a code, so its page is the last. */
static int take_code(struct list *k, const char *code, struct store_tx *tx, struct err *err) {
  const struct case_query *q = k->q;
  struct days d;
  if (read_days(k, tx, &d, err)) return -1;
  int rc = take_rows(k, tx, store_select(tx, err,
    "SELECT " DESK " FROM cases WHERE tracking=?12 AND holder=?1 AND (?13='' OR state=?13) AND (?14='' OR service=?14) AND (?15=0 OR assignee=?16) "
    "AND result>=?17 AND result<=?18 AND " LATE, WHOSE "tttit" "ii",
    q->organisation, (int64_t)q->overdue, d.own, d.calendar[0], d.today[0], d.calendar[1], d.today[1], d.before,
    (int64_t)q->soon, (int64_t)(q->stopped == 1), (int64_t)(q->appealed == 1 ? 1 : q->escalated == 1 ? 2 : 0),
    code, plain(q->state), plain(q->service), (int64_t)(k->assignee != NULL), plain(k->assignee), (int64_t)(q->open == 0),
    q->open == 1 ? (int64_t)0 : (int64_t)9), by_due, err);
  k->next[0] = 0;
  return rc;
}

/* ---- search ---- */

enum { MOST_WORDS = 6, SEVERAL = 8, FEW = 1000 };

#define FILTERS "AND (?12='' OR cases.state=?12) AND (?13='' OR cases.service=?13) AND (?14=0 OR cases.assignee=?15) AND cases.result>=?16 AND cases.result<=?17 "

static int one_word(struct list *k, const char *term, const struct days *d, struct store_tx *tx, struct err *err) {
  const struct case_query *q = k->q;
  /* Each word's case is found by its code: holder||'' keeps PostgreSQL from looking through the whole desk for it. */
  return take_rows(k, tx, store_select(tx, err,
    "SELECT " DESK " FROM case_term JOIN cases ON cases.tracking=case_term.tracking WHERE case_term.organisation=?1 AND case_term.term=?18 "
    "AND (case_term.ord,case_term.tracking)>(?19,?20) AND cases.holder||''=?1 " FILTERS "AND " LATE "ORDER BY case_term.ord,case_term.tracking LIMIT ?21",
    WHOSE "ttitii" "titi", q->organisation, (int64_t)q->overdue, d->own, d->calendar[0], d->today[0], d->calendar[1], d->today[1], d->before,
    (int64_t)q->soon, (int64_t)(q->stopped == 1), (int64_t)(q->appealed == 1 ? 1 : q->escalated == 1 ? 2 : 0), plain(q->state), plain(q->service),
    (int64_t)(k->assignee != NULL), plain(k->assignee), (int64_t)(q->open == 0), q->open == 1 ? (int64_t)0 : (int64_t)9,
    term, k->after_ord, k->after_tracking, (int64_t)k->limit), by_time, err);
}

/* Whether a case has a word is asked for as a value, so that PostgreSQL looks it up: it would make a join of EXISTS, and take the word for a rare one. */
#define HAS "COALESCE((SELECT 1 FROM case_term t WHERE t.organisation=?1 AND t.term="
#define THIS " AND t.ord=-cases.submitted_at AND t.tracking=cases.tracking),0)=1) "

/* Where the two rarest words meet, newest first, from the mark on: each entry of a rare word is looked up under the other; two frequent ones are read
 * beside each other, which is some five times cheaper than so many lookups (SQLite merges, PostgreSQL hashes). */
static struct store_rows *meet(struct list *k, const char *const *terms, int64_t fewest, struct store_tx *tx, struct err *err) {
  if (fewest < FEW)
    return store_select(tx, err,
      "SELECT ord,tracking FROM case_term WHERE organisation=?1 AND term=?2 AND (ord,tracking)>(?3,?4) "
      "AND " HAS "?5 AND t.ord=case_term.ord AND t.tracking=case_term.tracking),0)=1 ORDER BY ord,tracking", "ttitt",
      k->q->organisation, terms[0], k->after_ord, k->after_tracking, terms[1]);
  return store_select(tx, err,
    "SELECT ord,tracking FROM case_term WHERE organisation=?1 AND term=?2 AND (ord,tracking)>(?3,?4) INTERSECT "
    "SELECT ord,tracking FROM case_term WHERE organisation=?1 AND term=?5 AND (ord,tracking)>(?3,?4) ORDER BY 1,2", "ttitt",
    k->q->organisation, terms[0], k->after_ord, k->after_tracking, terms[1]);
}

/* Of some met cases those that have the other words too and pass the filters. */
static int take_met(struct list *k, const char *const *terms, const char *const *t, const struct days *d, struct store_tx *tx, struct err *err) {
  const struct case_query *q = k->q;
  return take_rows(k, tx, store_select(tx, err,
    "SELECT " DESK " FROM cases WHERE tracking IN (?18,?19,?20,?21,?22,?23,?24,?25) AND holder||''=?1 " FILTERS
    "AND (?26='' OR " HAS "?26" THIS "AND (?27='' OR " HAS "?27" THIS "AND (?28='' OR " HAS "?28" THIS "AND (?29='' OR " HAS "?29" THIS
    "AND " LATE "ORDER BY cases.submitted_at DESC,cases.tracking", WHOSE "ttitii" "tttttttt" "tttt",
    q->organisation, (int64_t)q->overdue, d->own, d->calendar[0], d->today[0], d->calendar[1], d->today[1], d->before,
    (int64_t)q->soon, (int64_t)(q->stopped == 1), (int64_t)(q->appealed == 1 ? 1 : q->escalated == 1 ? 2 : 0), plain(q->state), plain(q->service),
    (int64_t)(k->assignee != NULL), plain(k->assignee), (int64_t)(q->open == 0), q->open == 1 ? (int64_t)0 : (int64_t)9,
    t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], terms[2], terms[3], terms[4], terms[5]), by_time, err);
}

static int many_words(struct list *k, const char *const *terms, int64_t fewest, const struct days *d, struct store_tx *tx, struct err *err) {
  struct store_rows *r = meet(k, terms, fewest, tx, err);
  int rc = r ? 1 : -1;
  while (rc == 1 && (int)json_array_size(k->items) < k->limit) {
    char codes[SEVERAL][40];
    const char *t[SEVERAL];
    size_t n = 0;
    for (; n < SEVERAL && (rc = store_next(r, err)) == 1; n++) snprintf(codes[n], sizeof codes[n], "%s", store_text(r, 1));
    if (rc < 0 || !n) break;
    for (size_t i = 0; i < SEVERAL; i++) t[i] = i < n ? codes[i] : "";
    if (take_met(k, terms, t, d, tx, err)) rc = -1;
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int search_work(struct list *k, struct store_tx *tx, struct err *err) {
  const char *terms[MOST_WORDS] = {"", "", "", "", "", ""};
  int64_t counts[MOST_WORDS];
  const struct case_query *q = k->q;
  struct days d;
  char code[32];
  if (identifier_parse(IDENT_TRACKING, q->q, code) == 0) return k->after_tracking[0] ? 0 : take_code(k, code, tx, err);
  size_t n = text_terms(k->arena, q->q, terms, MOST_WORDS);
  char id[32];
  if (identifier_parse(IDENT_NATIONAL_ID, q->q, id) == 0 || identifier_parse(IDENT_MOBILE, q->q, id) == 0) {
    terms[0] = id;
    n = 1;
  }
  if (!n) return 0;
  for (size_t i = 0; i < n && n > 1; i++) { /* the rarest first */
    const char *term = terms[i];
    int64_t count = 0;
    if (store_value(tx, &count, 0, err, "SELECT COUNT(*) FROM (SELECT 1 FROM case_term WHERE organisation=?1 AND term=?2 LIMIT 10000) AS most", "tt",
                    q->organisation, term))
      return -1;
    if (count == 0) return 0;
    size_t j = i;
    for (; j > 0 && counts[j - 1] > count; j--) {
      terms[j] = terms[j - 1];
      counts[j] = counts[j - 1];
    }
    terms[j] = term;
    counts[j] = count;
  }
  for (size_t i = n; i < MOST_WORDS; i++) terms[i] = "";
  if (read_days(k, tx, &d, err)) return -1;
  return n == 1 ? one_word(k, terms[0], &d, tx, err) : many_words(k, terms, counts[0], &d, tx, err);
}

static int desk_rows(struct list *k, struct store_tx *tx, struct err *err) {
  const struct case_query *q = k->q;
  struct days d;
  k->assignee = q->assignee && strcmp(q->assignee, "none") == 0 ? "" : q->assignee;
  json_array_clear(k->items);
  k->next[0] = 0;
  if (q->q && q->q[0]) return search_work(k, tx, err);
  if (read_days(k, tx, &d, err)) return -1;
  /* Closed ones are not looked through for what waits for somebody, unless they are asked for. */
  bool waits = q->open < 0 && k->assignee && !k->assignee[0];
  int64_t result = q->open == 0 && !k->after_result ? 1 : k->after_result, most = q->open == 1 || q->overdue == 1 || q->soon > 0 || waits ? 0 : 9;
  if (q->state && q->state[0])
    return take_rows(k, tx, store_select(tx, err,
      "SELECT " DESK " FROM cases WHERE holder=?1 AND state=?12 AND (result,legal_ord,submitted_at,tracking)>(?13,?14,?15,?16) AND result<=?17 AND " LATE
      "AND (?18='' OR service=?18) AND (?19=0 OR assignee=?20) ORDER BY result,legal_ord,submitted_at,tracking LIMIT ?21", WHOSE "tiiit" "ititi",
      q->organisation, (int64_t)q->overdue, d.own, d.calendar[0], d.today[0], d.calendar[1], d.today[1], d.before,
      (int64_t)q->soon, (int64_t)(q->stopped == 1), (int64_t)(q->appealed == 1 ? 1 : q->escalated == 1 ? 2 : 0),
      q->state, result, k->after_ord, k->after_time, k->after_tracking, most, plain(q->service), (int64_t)(k->assignee != NULL), plain(k->assignee),
      (int64_t)k->limit), by_due, err);
  if (q->unit && q->unit[0])
    return take_rows(k, tx, store_select(tx, err,
      "SELECT " DESK " FROM cases WHERE tracking IN (SELECT u.tracking FROM case_unit u WHERE u.organisation=?1 AND u.unit=?12) "
      "AND (result,legal_ord,submitted_at,tracking)>(?13,?14,?15,?16) AND result<=?17 AND holder=?1 AND " LATE
      "AND (?18='' OR service=?18) ORDER BY result,legal_ord,submitted_at,tracking LIMIT ?19", WHOSE "tiiit" "iti",
      q->organisation, (int64_t)q->overdue, d.own, d.calendar[0], d.today[0], d.calendar[1], d.today[1], d.before,
      (int64_t)q->soon, (int64_t)(q->stopped == 1), (int64_t)(q->appealed == 1 ? 1 : q->escalated == 1 ? 2 : 0),
      q->unit, result, k->after_ord, k->after_time, k->after_tracking, most, plain(q->service), (int64_t)k->limit), by_due, err);
  if (k->assignee && k->assignee[0])
    return take_rows(k, tx, store_select(tx, err,
      "SELECT " DESK " FROM cases WHERE assignee=?12 AND assignee<>'' AND (result,legal_ord,submitted_at,tracking)>(?13,?14,?15,?16) AND result<=?17 "
      "AND holder=?1 AND " LATE "AND (?18='' OR service=?18) ORDER BY result,legal_ord,submitted_at,tracking LIMIT ?19", WHOSE "tiiit" "iti",
      q->organisation, (int64_t)q->overdue, d.own, d.calendar[0], d.today[0], d.calendar[1], d.today[1], d.before,
      (int64_t)q->soon, (int64_t)(q->stopped == 1), (int64_t)(q->appealed == 1 ? 1 : q->escalated == 1 ? 2 : 0),
      k->assignee, result, k->after_ord, k->after_time, k->after_tracking, most, plain(q->service), (int64_t)k->limit), by_due, err);
  return take_rows(k, tx, store_select(tx, err,
    "SELECT " DESK " FROM cases WHERE holder=?1 AND (result,legal_ord,submitted_at,tracking)>(?12,?13,?14,?15) AND result<=?16 AND " LATE
    "AND (?17='' OR service=?17) AND (?18=0 OR assignee='') ORDER BY result,legal_ord,submitted_at,tracking LIMIT ?19", WHOSE "iiit" "itii",
    q->organisation, (int64_t)q->overdue, d.own, d.calendar[0], d.today[0], d.calendar[1], d.today[1], d.before,
    (int64_t)q->soon, (int64_t)(q->stopped == 1), (int64_t)(q->appealed == 1 ? 1 : q->escalated == 1 ? 2 : 0),
    result, k->after_ord, k->after_time, k->after_tracking, most, plain(q->service), (int64_t)(k->assignee != NULL), (int64_t)k->limit), by_due, err);
}

static int desk_work(struct store_tx *tx, void *arg, struct err *err) {
  struct list *k = arg;
  return desk_rows(k, tx, err) ? -1 : k->works ? put_news(k, tx, err) : 0;
}

/* ---- counts ---- */

#define URGENT                                                                                                                            \
  "FROM (SELECT service,service_version,inquiry,state,assignee,legal_ord,stopped_ord,appealed,escalated,calendar,submitted_at FROM cases WHERE holder=?1 " \
  "AND result=0 ORDER BY legal_ord LIMIT ?2) AS cases"

static int tally_kinds(struct list *k, struct store_tx *tx, json_t *kinds, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT service,service_version,inquiry,state,MAX(submitted_at) " URGENT " GROUP BY service,service_version,inquiry,state "
    "ORDER BY service,service_version DESC,inquiry,state LIMIT 400", "ti", k->q->organisation, (int64_t)CASES_COUNTED);
  int rc = 0;
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    struct case_row row = {.service = store_text(r, 0), .service_version = store_int(r, 1), .inquiry = store_text(r, 2), .state = store_text(r, 3),
                           .submitted_at = store_int(r, 4)};
    if ((rc = case_define(k->c, tx, &row, err))) break;
    json_t *o = json_object();
    json_put(o, "service", row.service);
    json_object_set_new(o, "service_version", json_integer(row.service_version));
    json_put(o, "definition", row.def ? row.def->etag : NULL);
    json_put(o, "state", row.state);
    json_array_append_new(kinds, o);
  }
  store_done(r);
  return rc;
}

static int tally_work(struct store_tx *tx, void *arg, struct err *err) {
  static const char *const names[] = {"open", "mine", "free", "stopped", "appealed", "escalated", "late", "soon"};
  struct list *k = arg;
  struct days d;
  json_t *kinds = json_array();
  json_object_clear(k->items);
  json_object_set_new(k->items, "kinds", kinds);
  if (read_days(k, tx, &d, err)) return -1;
  struct store_rows *r = store_select(tx, err,
    "SELECT COUNT(*),COUNT(CASE WHEN assignee=?8 THEN 1 END),COUNT(CASE WHEN assignee='' THEN 1 END),COUNT(CASE WHEN stopped_ord>=0 THEN 1 END),"
    "COUNT(CASE WHEN appealed>0 THEN 1 END),COUNT(CASE WHEN escalated>0 THEN 1 END),COUNT(CASE WHEN legal_ord<" CLOCK " THEN 1 END),"
    "COUNT(CASE WHEN stopped_ord<0 AND legal_ord-(" CLOCK ")>=0 AND legal_ord-(" CLOCK ")<=?9 THEN 1 END) " URGENT, "tiititit" "i", k->q->organisation,
    (int64_t)CASES_COUNTED, d.own, d.calendar[0], d.today[0], d.calendar[1], d.today[1], k->person, (int64_t)k->q->soon);
  if (!r) return -1;
  int rc = store_next(r, err);
  for (int i = 0; rc == 1 && i < (int)BASE_COUNT(names); i++) json_object_set_new(k->items, names[i], json_integer(store_int(r, i)));
  store_done(r);
  return rc < 0 ? -1 : tally_kinds(k, tx, kinds, err);
}

static int run_list(struct list *k, const char *after, int limit, store_work work, json_t **out, struct err *err) {
  int rc = -1;
  k->arena = arena_new(4 * 1024 * 1024); /* answers of 200 cases, for their names */
  k->limit = limit < 1 ? 50 : limit > 200 ? 200 : limit;
  k->items = json_array();
  if (read_after(k, after, err) == 0) rc = store_read(k->c->store, work, k, err);
  if (rc == 0) {
    *out = json_object();
    json_object_set(*out, "items", k->items);
    json_put(*out, "next", k->next[0] ? k->next : NULL);
  }
  json_decref(k->items);
  arena_free(k->arena);
  return rc;
}

/* Names are for those who handle cases there; the call centre and those who only watch do without. */
static bool works_at(const struct actor *who, const char *organisation) {
  return actor_has_role(who, organisation, STAFF_OFFICER) || actor_has_role(who, organisation, STAFF_SUPERVISOR) || actor_has_role(who, organisation, STAFF_MANAGER);
}

int cases_desk(struct cases *c, const struct actor *who, const struct case_query *q, enum lang l, json_t **out, struct err *err) {
  bool all = actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, NULL, STAFF_AUDITOR);
  if (who->kind != ACTOR_STAFF || (!all && !actor_in(who, q->organisation))) return err_set(err, ERR_FORBIDDEN, "not a desk of yours");
  struct list k = {.c = c, .q = q, .who = who, .lang = l, .works = works_at(who, q->organisation)};
  return run_list(&k, q->after, q->limit, desk_work, out, err);
}

int cases_desk_counts(struct cases *c, const struct actor *who, const char *organisation, int soon, json_t **out, struct err *err) {
  bool all = actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, NULL, STAFF_AUDITOR);
  if (who->kind != ACTOR_STAFF || (!all && !actor_in(who, organisation))) return err_set(err, ERR_FORBIDDEN, "not a desk of yours");
  const struct case_query q = {.organisation = organisation, .overdue = 0, .soon = soon};
  struct list k = {.c = c, .q = &q, .person = who->username, .arena = arena_new(16 * 1024), .items = json_object()};
  int rc = store_read(c->store, tally_work, &k, err);
  if (rc == 0) *out = json_incref(k.items);
  json_decref(k.items);
  arena_free(k.arena);
  return rc;
}

/* ---- searches that are kept ---- */

bool cases_queue(const char *view, const struct actor *who, struct case_query *q) {
  static const char *const names[] = {"open", "mine", "unit", "free", "soon", "late", "escalated", "waiting", "appeals", "closed"};
  size_t i = 0;
  while (i < BASE_COUNT(names) && !base_same(names[i], view)) i++;
  if (i == BASE_COUNT(names)) return false;
  q->overdue = -1;
  q->open = q->q && q->q[0] ? -1 : strcmp(view, "closed") != 0;
  if (q->open < 0) return true;
  if (strcmp(view, "mine") == 0) q->assignee = who->username;
  else if (strcmp(view, "free") == 0) q->assignee = "none";
  else if (strcmp(view, "unit") == 0) {
    for (unsigned r = 0; r < who->role_count; r++)
      if (base_same(who->roles[r].organisation, q->organisation) && who->roles[r].unit[0]) q->unit = who->roles[r].unit;
  } else if (strcmp(view, "soon") == 0) q->soon = CASES_SOON;
  else if (strcmp(view, "late") == 0) q->overdue = 1;
  else if (strcmp(view, "waiting") == 0) q->stopped = 1;
  else if (strcmp(view, "escalated") == 0) q->escalated = 1;
  else if (strcmp(view, "appeals") == 0) q->appealed = 1;
  return true;
}

enum { MOST_SEARCHES = 20 };

struct keeping {
  const struct actor *who;
  struct desk_search *s;
  const char *owner;
};

static int keep_work(struct store_tx *tx, void *arg, struct err *err) {
  struct keeping *k = arg;
  const struct desk_search *s = k->s;
  int64_t n = 0;
  if (store_value(tx, &n, 0, err, "SELECT COUNT(*) FROM desk_search WHERE organisation=?1 AND username=?2 AND id<>?3", "ttt", s->organisation, k->owner, s->id)) return -1;
  if (n >= MOST_SEARCHES) return err_set(err, ERR_LIMIT, "twenty searches are kept already");
  json_t *q = json_object();
  const struct { const char *name, *value; } parts[] = {{"q", s->q}, {"service", s->service}, {"state", s->state}, {"view", s->view}};
  for (size_t i = 0; i < BASE_COUNT(parts); i++)
    if (parts[i].value && parts[i].value[0]) json_put(q, parts[i].name, parts[i].value);
  char *text = json_canonical(q);
  json_decref(q);
  int rc = store_exec(tx, err, "INSERT INTO desk_search (organisation,username,id,name,query,recorded_by,at) VALUES (?1,?2,?3,?4,?5,?6,?7) ON CONFLICT DO NOTHING", "ttttt" "ti",
                      s->organisation, k->owner, s->id, s->name, text, k->who->username, clock_now());
  free(text);
  return rc < 0 ? -1 : 0;
}

static bool in_charge(const struct actor *who, const char *organisation) {
  return actor_has_role(who, organisation, STAFF_SUPERVISOR) || actor_has_role(who, organisation, STAFF_MANAGER);
}

int cases_search_keep(struct cases *c, const struct actor *who, struct desk_search *s, struct err *err) {
  struct case_query q = {.q = s->q};
  unsigned char hash[32];
  const char *const parts[] = {s->service, s->state, s->q};
  if (who->kind != ACTOR_STAFF || !actor_in(who, s->organisation)) return err_set(err, ERR_FORBIDDEN, "not a desk of yours");
  if (s->shared && !in_charge(who, s->organisation)) return err_set(err, ERR_FORBIDDEN, "the desk's searches are kept by those in charge");
  if (!s->name || !s->name[0] || utf8_length(s->name) > 60) return err_set(err, ERR_INVALID, "a name has 1 to 60 characters");
  if (!cases_queue(s->view, who, &q)) return err_set(err, ERR_INVALID, "no such queue");
  for (size_t i = 0; i < BASE_COUNT(parts); i++)
    if (parts[i] && strlen(parts[i]) > 200) return err_set(err, ERR_INVALID, "a part of the search is too long");
  if (!s->key || !s->key[0] || strlen(s->key) > 200) return err_set(err, ERR_MALFORMED, "an Idempotency-Key has 1 to 200 characters");
  char *whole = base_printf("search\n%s\n%s\n%s", who->username, s->organisation, s->key);
  sha256(whole, strlen(whole), hash);
  free(whole);
  hex_encode(hash, 16, s->id);
  struct keeping k = {.who = who, .s = s, .owner = s->shared ? "" : who->username};
  return store_write(c->store, STORE_FRONT, keep_work, &k, err);
}

struct dropping {
  const struct actor *who;
  const char *organisation, *id;
};

static int drop_search_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct dropping *k = arg;
  int n = store_exec(tx, err, "DELETE FROM desk_search WHERE organisation=?1 AND username=?2 AND id=?3", "ttt", k->organisation, k->who->username, k->id);
  if (n == 0 && in_charge(k->who, k->organisation)) n = store_exec(tx, err, "DELETE FROM desk_search WHERE organisation=?1 AND username='' AND id=?2", "tt", k->organisation, k->id);
  return n < 0 ? -1 : n ? 0 : err_set(err, ERR_NOT_FOUND, "no such search of yours");
}

int cases_search_drop(struct cases *c, const struct actor *who, const char *organisation, const char *id, struct err *err) {
  if (who->kind != ACTOR_STAFF || !actor_in(who, organisation)) return err_set(err, ERR_NOT_FOUND, "no such search");
  struct dropping k = {.who = who, .organisation = organisation, .id = id};
  return store_write(c->store, STORE_FRONT, drop_search_work, &k, err);
}

/* Is a row of the most urgent ones in this search? left: working days to the deadline by its own calendar. */
static bool in_search(const struct case_query *q, const struct store_rows *r) {
  int64_t stopped = store_int(r, 3), left = store_int(r, 5);
  if (q->service && strcmp(store_text(r, 0), q->service) != 0) return false;
  if (q->state && strcmp(store_text(r, 1), q->state) != 0) return false;
  if (q->assignee && strcmp(store_text(r, 2), strcmp(q->assignee, "none") == 0 ? "" : q->assignee) != 0) return false;
  if (q->overdue == 1 && left >= 0) return false;
  if (q->soon && (stopped >= 0 || left < 0 || left > q->soon)) return false;
  return (!q->stopped || stopped >= 0) && (!q->appealed || store_int(r, 4) > 0) && (!q->escalated || store_int(r, 6) > 0);
}

/* All searches in one look at the most urgent cases. */
static int count_searches(struct list *k, struct store_tx *tx, const struct actor *who, struct err *err) {
  struct case_query queries[2 * MOST_SEARCHES];
  int64_t counts[2 * MOST_SEARCHES] = {0};
  size_t n = json_array_size(k->items);
  struct days d;
  int rc = 0;
  for (size_t i = 0; i < n; i++) {
    const json_t *one = json_array_get(k->items, i);
    queries[i] = (struct case_query){.service = json_str(one, "service"), .state = json_str(one, "state"), .q = json_str(one, "q"), .organisation = k->q->organisation};
    if (!cases_queue(json_str(one, "view"), who, &queries[i]) || queries[i].unit) queries[i].open = 0;
  }
  if (!n || read_days(k, tx, &d, err)) return n ? -1 : 0;
  struct store_rows *r = store_select(tx, err, "SELECT service,state,assignee,stopped_ord,appealed,legal_ord-(" CLOCK "),escalated " URGENT, "tiititi", k->q->organisation,
                                      (int64_t)CASES_COUNTED, d.own, d.calendar[0], d.today[0], d.calendar[1], d.today[1]);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1)
    for (size_t i = 0; i < n; i++) counts[i] += queries[i].open == 1 && in_search(&queries[i], r);
  store_done(r);
  for (size_t i = 0; rc == 0 && i < n; i++)
    json_object_set_new(json_array_get(k->items, i), "count", queries[i].open == 1 ? json_integer(counts[i]) : json_null());
  return rc;
}

static int searches_work(struct store_tx *tx, void *arg, struct err *err) {
  struct list *k = arg;
  const struct actor *who = k->who;
  json_array_clear(k->items);
  struct store_rows *r = store_select(tx, err, "SELECT id,name,query,username FROM desk_search WHERE organisation=?1 AND username IN ('',?2) ORDER BY username,name,id LIMIT 40",
                                      "tt", k->q->organisation, who->username);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    json_t *o = json_loads(store_text(r, 2), 0, NULL);
    if (!o) continue;
    json_put(o, "id", store_text(r, 0));
    json_put(o, "name", store_text(r, 1));
    json_object_set_new(o, "shared", json_boolean(store_text(r, 3)[0] == 0));
    json_array_append_new(k->items, o);
  }
  store_done(r);
  return rc < 0 ? -1 : count_searches(k, tx, who, err);
}

int cases_searches(struct cases *c, const struct actor *who, const char *organisation, json_t **out, struct err *err) {
  if (who->kind != ACTOR_STAFF || !actor_in(who, organisation)) return err_set(err, ERR_FORBIDDEN, "not a desk of yours");
  const struct case_query q = {.organisation = organisation, .overdue = 0, .soon = CASES_SOON};
  struct list k = {.c = c, .q = &q, .who = who, .arena = arena_new(16 * 1024), .items = json_array()};
  int rc = store_read(c->store, searches_work, &k, err);
  if (rc == 0) *out = json_incref(k.items);
  json_decref(k.items);
  arena_free(k.arena);
  return rc;
}

static int mine_work(struct store_tx *tx, void *arg, struct err *err) {
  struct list *k = arg;
  json_array_clear(k->items);
  return take_rows(k, tx, store_select(tx, err,
    "SELECT " LIST " FROM case_person JOIN cases ON cases.tracking=case_person.tracking WHERE case_person.person=?1 "
    "AND (case_person.ord,case_person.tracking)>(?2,?3) ORDER BY case_person.ord,case_person.tracking LIMIT ?4", "titi", k->person, k->after_ord,
    k->after_tracking, (int64_t)k->limit), by_time, err);
}

/* Of the principal's cases those that the mandates cover. */
static void leave_covered(struct cases *c, const struct actor *who, json_t *items) {
  for (size_t i = json_array_size(items); i-- > 0;) {
    const json_t *one = json_array_get(items, i);
    const char *service = json_str(one, "service"), *owner = json_str(one, "organisation");
    const struct pack *p;
    if (!case_covers(who, cases_definition(c, one, &p), service ? service : "", owner ? owner : "")) json_array_remove(items, i);
  }
}

int cases_mine(struct cases *c, const struct actor *who, const char *after, int limit, enum lang l, json_t **out, struct err *err) {
  if (who->kind == ACTOR_NOBODY) return err_set(err, ERR_UNAUTHENTICATED, "sign in first");
  bool whole = who->kind == ACTOR_STAFF || who->assurance >= ASSURANCE_SIM_MATCHED;
  struct list k = {.c = c, .lang = l, .person = who->acting_as[0] ? who->acting_person : whole ? who->person : who->pair};
  int rc = run_list(&k, after, limit, mine_work, out, err);
  if (rc == 0 && who->acting_as[0]) leave_covered(c, who, json_object_get(*out, "items"));
  return rc;
}

int cases_of_mobile(struct cases *c, const char *mobile, int limit, enum lang l, json_t **out, struct err *err) {
  char key[32];
  snprintf(key, sizeof key, "m:%s", mobile);
  struct list k = {.c = c, .lang = l, .person = key};
  return run_list(&k, NULL, limit, mine_work, out, err);
}

/* ---- who looked ---- */

struct look {
  struct cases *c;
  struct actor who;
  char tracking[TRACKING_SIZE], right[64];
  store_done_fn done;
  void *arg;
};

static int look_work(struct store_tx *tx, void *arg, struct err *err) {
  struct look *k = arg;
  struct store_rows *r = store_select(tx, err, "SELECT applicant,pair,holder FROM cases WHERE tracking=?1", "t", k->tracking);
  if (!r) return -1;
  char person[80] = "", pair[80] = "", id[33];
  unsigned char raw[16];
  const char *org = k->who.role_count ? k->who.roles[0].organisation : "";
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(person, sizeof person, "%s", store_text(r, 0));
    snprintf(pair, sizeof pair, "%s", store_text(r, 1));
    if (actor_in(&k->who, store_text(r, 2)))
      for (unsigned i = 0; i < k->who.role_count; i++)
        if (strcmp(k->who.roles[i].organisation, store_text(r, 2)) == 0) org = k->who.roles[i].organisation;
  }
  store_done(r);
  if (rc <= 0) return rc < 0 ? -1 : err_set(err, ERR_NOT_FOUND, "no such case");
  int64_t now = clock_now();
  const char *keys[3] = {person, pair, k->who.acting_person};
  char by[72];
  if (strcmp(k->who.acting_person, person) == 0) keys[2] = "";
  snprintf(by, sizeof by, "%s%s", k->who.acting_as[0] ? "m:" : "", k->who.acting_as[0] ? k->who.acting_mandate : k->who.username);
  for (int i = 0; i < 3; i++) {
    if (!keys[i][0]) continue;
    random_bytes(raw, sizeof raw);
    hex_encode(raw, sizeof raw, id);
    if (store_put(tx, err, "INSERT INTO case_access (person,at,id,tracking,who,organisation,basis,batch) VALUES (?1,?2,?3,?4,?5,?6,?7,'')", "titttt" "t",
                  keys[i], now, id, k->tracking, by, org, k->right) ||
        store_put(tx, err, "INSERT INTO case_access_new (id,person,at) VALUES (?1,?2,?3)", "tti", id, keys[i], now))
      return -1;
  }
  return k->who.kind == ACTOR_STAFF ? case_seen_put(tx, k->tracking, k->who.username, now, err) : 0;
}

static void look_done(void *arg, int rc, const struct err *err) {
  struct look *k = arg;
  if (k->done) k->done(k->arg, rc, err);
  free(k);
}

int cases_look(struct cases *c, const struct actor *who, const char *tracking, const char *right, store_done_fn done, void *arg, struct err *err) {
  struct look *k = base_alloc(sizeof *k);
  k->c = c;
  k->who = *who;
  k->done = done;
  k->arg = arg;
  snprintf(k->tracking, sizeof k->tracking, "%s", tracking);
  snprintf(k->right, sizeof k->right, "%s", right);
  int rc;
  if (done) {
    rc = store_submit(c->store, STORE_FRONT, look_work, k, look_done, err);
    if (rc == 0) return 0;
  } else rc = store_write(c->store, STORE_FRONT, look_work, k, err);
  free(k);
  return rc;
}

/* "exchange PROVIDER/SERVICE RIGHT MATTER" */
static void put_shared(json_t *o, const char *basis) {
  char provider[64] = "", service[64] = "", right[48] = "";
  int at = 0;
  sscanf(basis, "exchange %63[^/]/%63s %47s %n", provider, service, right, &at);
  json_put(o, "basis", "exchange");
  json_put(o, "provider", provider);
  json_put(o, "data_service", service);
  json_put(o, "right", strcmp(right, "-") != 0 ? right : NULL);
  json_put(o, "matter", at > 0 ? basis + at : "");
}

/* "officer", or outside a case "registry CODE", "prefill SERVICE REGISTRY,…" and "exchange …". */
static void put_basis(json_t *o, const char *basis) {
  char kind[16] = "", subject[64] = "", registries[400] = "";
  if (base_starts(basis, "exchange ")) return put_shared(o, basis);
  sscanf(basis, "%15s %63s %399s", kind, subject, registries);
  bool form = strcmp(kind, "prefill") == 0;
  if (!form && strcmp(kind, "registry") != 0) {
    json_put(o, "basis", basis);
    return;
  }
  json_t *list = json_array();
  char *rest = form ? registries : subject;
  for (char *one; (one = strtok_r(rest, ",", &rest)) != NULL;) json_array_append_new(list, json_string(one));
  json_put(o, "basis", kind);
  if (form) json_put(o, "service", subject);
  json_object_set_new(o, "registries", list);
}

static int newest_first(const void *a, const void *b) {
  const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
  int64_t p = json_int(x, "_at", 0), q = json_int(y, "_at", 0);
  return p != q ? (p < q) - (p > q) : strcmp(json_str(x, "_id"), json_str(y, "_id"));
}

/* Exports in bulk have no row for each person: they are found by the person's cases, and take their place among the looks. */
static int add_exports(struct list *k, struct store_tx *tx, struct err *err) {
  int64_t before = k->after_ord == INT64_MIN ? INT64_MAX : k->after_ord;
  if (case_exports_of(k->c, tx, k->person, before, k->after_tracking, k->lang, k->items, err)) return -1;
  if (k->c->o.exports && k->c->o.exports(k->c->o.exports_ctx, tx, k->person, before, k->after_tracking, k->lang, k->items, err)) return -1;
  size_t n = json_array_size(k->items), kept = n < (size_t)k->limit ? n : (size_t)k->limit;
  json_t **all = base_alloc((n + 1) * sizeof *all);
  for (size_t i = 0; i < n; i++) all[i] = json_incref(json_array_get(k->items, i));
  qsort(all, n, sizeof *all, newest_first);
  json_array_clear(k->items);
  if (n >= (size_t)k->limit && kept) snprintf(k->next, sizeof k->next, "0.%lld.0.%s", (long long)json_int(all[kept - 1], "_at", 0), json_str(all[kept - 1], "_id"));
  for (size_t i = 0; i < n; i++) {
    json_object_del(all[i], "_at");
    json_object_del(all[i], "_id");
    if (i < kept) json_array_append(k->items, all[i]);
    json_decref(all[i]);
  }
  free(all);
  return 0;
}

static int access_work(struct store_tx *tx, void *arg, struct err *err) {
  struct list *k = arg;
  json_array_clear(k->items);
  k->next[0] = 0;
  struct store_rows *r = store_select(tx, err,
    "SELECT at,id,tracking,who,organisation,basis FROM case_access WHERE person=?1 AND at<=?2 AND (at<?2 OR id>?4) ORDER BY at DESC,id LIMIT ?3", "tiit",
    k->person, k->after_ord == INT64_MIN ? INT64_MAX : k->after_ord, (int64_t)k->limit, k->after_tracking);
  if (!r) return -1;
  int rc;
  const struct directory *d = pack_directory(k->c->pack);
  while ((rc = store_next(r, err)) == 1) {
    const struct organisation *org = directory_organisation(d, directory_find_organisation(d, store_text(r, 4)));
    char at[32];
    json_t *o = json_object();
    clock_rfc3339_ms(store_int(r, 0), at);
    json_put(o, "at", at);
    json_put(o, "tracking", store_text(r, 2)[0] ? store_text(r, 2) : NULL);
    json_put(o, "organisation", store_text(r, 4));
    json_put(o, "organisation_name", org ? organisation_name(org, k->lang) : store_text(r, 4));
    put_basis(o, store_text(r, 5));
    json_object_set_new(o, "_at", json_integer(store_int(r, 0)));
    json_put(o, "_id", store_text(r, 1));
    if (base_starts(store_text(r, 3), "m:")) json_put(o, "mandate", store_text(r, 3) + 2);
    json_array_append_new(k->items, o);
  }
  store_done(r);
  return rc < 0 ? -1 : add_exports(k, tx, err);
}

int cases_my_access(struct cases *c, const struct actor *who, const char *after, int limit, enum lang l, json_t **out, struct err *err) {
  if (who->kind != ACTOR_CITIZEN) return err_set(err, who->kind == ACTOR_NOBODY ? ERR_UNAUTHENTICATED : ERR_FORBIDDEN, "for citizens");
  if (who->acting_as[0]) return err_set(err, ERR_FORBIDDEN, "who looked at the principal's data is told to the principal");
  struct list k = {.c = c, .lang = l, .person = who->assurance >= ASSURANCE_SIM_MATCHED ? who->person : who->pair};
  return run_list(&k, after, limit, access_work, out, err);
}
