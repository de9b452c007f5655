/* Unusual looking at personal data by members of staff: each day measured against what people of the same role do. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

enum {
  PEER_DAYS = 28,              /* what is usual is learnt from so many days */
  FEWEST_PEERS = 3,            /* other people of the role; with fewer nothing is usual and only ALONE_MOST is too much */
  ALONE_MOST = 100,
  ACTING_DAYS = 3,             /* so long one may take to act on what one has looked at */
  NIGHT_FROM = 22, NIGHT_TO = 6,
  SAME_TELEPHONE = 4           /* persons whose consent one telephone gave to one agent */
};

/* The least that is worth a report, whatever is usual. */
enum measure { MANY, OUTSIDE, NIGHT, NAMESAKE, MEASURES };
static const char *const names[] = {"many", "outside", "night", "namesake"};
static const int64_t least[] = {20, 10, 5, 3};
enum { LEAST_REFUSED = 8 };

struct person { const char *username, *organisation, *name, *key; int64_t role, value[MEASURES]; json_t *seen; };
struct review {
  struct cases *c;
  int32_t day;
  bool whole;                  /* the day is over, and so is the time to act on it */
  struct arena *arena;
  json_t *staff;               /* [{"username","name","organisation","role"}] */
  struct person *people;
  size_t count;
};

static struct person *person_of(struct review *k, const char *username) {
  for (size_t i = 0; i < k->count; i++)
    if (strcmp(k->people[i].username, username) == 0) return &k->people[i];
  const json_t *one;
  size_t i;
  json_array_foreach(k->staff, i, one) {
    if (!base_same(json_str(one, "username"), username)) continue;
    k->people = base_realloc(k->people, (k->count + 1) * sizeof *k->people);
    struct person *p = &k->people[k->count++];
    *p = (struct person){.username = json_str(one, "username"), .organisation = json_str(one, "organisation"), .name = json_str(one, "name"),
                         .role = staff_role_parse(json_str(one, "role")), .seen = json_object()};
    return p;
  }
  return NULL;
}

static void people_free(struct review *k) {
  for (size_t i = 0; i < k->count; i++) json_decref(k->people[i].seen);
  free(k->people);
  k->people = NULL;
  k->count = 0;
}

/* ---- one day's looks ---- */

static bool at_night(int64_t at) {
  int hour = (int)((at - day_start(day_of(at))) / 3600000);
  return hour >= NIGHT_FROM || hour < NIGHT_TO;
}

static int read_looks(struct review *k, struct store_tx *tx, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT who,tracking,person,at FROM case_access WHERE at>=?1 AND at<?2 AND basis IN ('staff','helpdesk','inquired','counter') "
                                               "OR (at>=?1 AND at<?2 AND basis LIKE 'registry %')", "ii", day_start(k->day), day_start(k->day + 1));
  int rc = -1;
  while (r && (rc = store_next(r, err)) == 1) {
    struct person *p = person_of(k, store_text(r, 0));
    const char *what = store_text(r, 1)[0] ? store_text(r, 1) : store_text(r, 2);
    if (!p || json_object_get(p->seen, what)) continue;
    json_object_set_new(p->seen, what, json_boolean(store_text(r, 1)[0]));
    p->value[MANY]++;
    if (at_night(store_int(r, 3))) p->value[NIGHT]++;
  }
  store_done(r);
  return rc;
}

static const char *last_word(struct arena *a, const char *name) {
  const char *fold = name ? text_fold(a, name) : NULL, *space = fold ? strrchr(fold, ' ') : NULL;
  return space && utf8_length(space + 1) > 2 ? space + 1 : NULL;
}

static bool same_family(struct review *k, const struct person *p, const struct case_row *row) {
  const char *own = last_word(k->arena, p->name);
  json_t *data = own && row->data && row->def ? json_loads(row->data, 0, NULL) : NULL;
  bool same = false;
  for (size_t i = 0; data && i < row->def->field_count && !same; i++) {
    const struct field *f = row->def->fields[i];
    const char *v = f->type == FIELD_TEXT && strstr(f->name, "last_name") ? json_str(data, f->name) : NULL, *fold = v ? text_fold(k->arena, v) : NULL;
    same = fold && strcmp(fold, own) == 0;
  }
  json_decref(data);
  return same;
}

/* Did this person have the case, act on it or write about it? */
static int worked_on(struct store_tx *tx, const struct person *p, const struct case_row *row, bool *worked, struct err *err) {
  char like[100];
  int64_t acts = 0, remarks = 0;
  snprintf(like, sizeof like, "%%\"who\":\"%s\"%%", p->username);
  *worked = strcmp(row->assignee, p->username) == 0 || strcmp(row->submitter, p->username) == 0;
  if (*worked) return 0;
  if (store_value(tx, &acts, 0, err, "SELECT COUNT(*) FROM case_event WHERE " OF_CASE " AND payload LIKE ?2", "tt", row->tracking, like) ||
      store_value(tx, &remarks, 0, err, "SELECT COUNT(*) FROM case_remark WHERE tracking=?1 AND payload LIKE ?2", "tt", row->tracking, like))
    return -1;
  *worked = acts + remarks > 0;
  return 0;
}

static int judge_cases(struct review *k, struct store_tx *tx, struct person *p, struct err *err) {
  const char *tracking;
  json_t *is_case;
  char own[72] = "";
  if (identity_staff_person(tx, p->username, own, err) < 0) return -1;
  json_object_foreach(p->seen, tracking, is_case) {
    struct case_row row;
    struct err none;
    bool worked = true;
    if (!json_is_true(is_case)) continue;
    arena_reset(k->arena);
    if (case_load(k->c, tx, k->arena, tracking, &row, &none)) {
      if (none.code == ERR_NOT_FOUND) continue;
      *err = none;
      return -1;
    }
    bool oneself = own[0] && (strcmp(own, row.applicant) == 0 || strcmp(own, row.beneficiary) == 0);
    if (oneself || same_family(k, p, &row)) p->value[NAMESAKE] += oneself ? least[NAMESAKE] : 1; /* one look at oneself is enough */
    if (k->whole && worked_on(tx, p, &row, &worked, err)) return -1;
    if (!worked) p->value[OUTSIDE]++;
  }
  return 0;
}

/* ---- what is usual ---- */

static int by_size(const void *a, const void *b) {
  const int64_t *x = a, *y = b;
  return *x < *y ? -1 : *x > *y;
}

static int64_t median(int64_t *list, size_t n) {
  qsort(list, n, sizeof *list, by_size);
  return n ? n % 2 ? list[n / 2] : (list[n / 2 - 1] + list[n / 2] + 1) / 2 : 0;
}

/* Median of the days of all others of the role, and six deviations (MAD, as of a normal spread) above it. */
static int limit_of(struct review *k, struct store_tx *tx, const struct person *p, enum measure m, int64_t *usual, int64_t *most, struct err *err) {
  int64_t list[4096];
  size_t n = 0, peers = 0;
  char last[64] = "";
  struct store_rows *r = store_select(tx, err, "SELECT who,many,outside,night,namesake FROM look_day WHERE role=?1 AND day>?2 AND day<=?3 AND who<>?4 ORDER BY who LIMIT 4096", "iiit", p->role,
                                      (int64_t)k->day - PEER_DAYS, (int64_t)k->day, p->username);
  int rc = -1;
  while (r && (rc = store_next(r, err)) == 1) {
    if (strcmp(last, store_text(r, 0)) != 0) peers++;
    snprintf(last, sizeof last, "%s", store_text(r, 0));
    list[n++] = store_int(r, 1 + (int)m);
  }
  store_done(r);
  if (rc < 0) return -1;
  *usual = median(list, n);
  for (size_t i = 0; i < n; i++) list[i] = list[i] > *usual ? list[i] - *usual : *usual - list[i];
  int64_t mad = median(list, n);
  *most = *usual + 9 * (mad > 1 ? mad : 1); /* 6 × 1.4826 */
  if (peers < FEWEST_PEERS) *most = m == MANY || m == OUTSIDE ? ALONE_MOST : 0;
  if (*most < least[m] - 1) *most = least[m] - 1;
  return 0;
}

/* ---- reports ---- */

static int report(struct store_tx *tx, const char *kind, const struct person *p, int32_t day, int64_t count, int64_t usual, int64_t most, struct err *err) {
  unsigned char hash[32];
  char id[33];
  char *key = base_printf("%s\n%s\n%d", kind, p->username, day);
  sha256(key, strlen(key), hash);
  free(key);
  hex_encode(hash, 16, id);
  return store_put(tx, err,
    "INSERT INTO look_report (id,kind,who,role,organisation,day,count,usual,most,at,acknowledged_at,acknowledged_by,note) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,0,'','') "
    "ON CONFLICT (id) DO UPDATE SET count=excluded.count,usual=excluded.usual,most=excluded.most", "tttit" "iiiii", id, kind, p->username, p->role, p->organisation,
    (int64_t)day, count, usual, most, store_time(tx));
}

/* A report for each row (username, count) of r, at most 64: read to the end first, for the reports write. */
static int tell_each(struct review *k, struct store_tx *tx, struct store_rows *r, const char *kind, int usual, int limit, struct err *err) {
  struct { char who[64]; int64_t n; } found[64];
  int count = 0, rc = -1;
  while (r && (rc = store_next(r, err)) == 1 && count < 64) {
    snprintf(found[count].who, sizeof found[0].who, "%s", store_text(r, 0));
    found[count++].n = store_int(r, 1);
  }
  store_done(r);
  for (int i = 0; rc == 0 && i < count; i++) {
    struct person *p = person_of(k, found[i].who);
    if (p) rc = report(tx, kind, p, k->day, found[i].n, usual, limit, err);
  }
  return rc;
}

static int refused(struct review *k, struct store_tx *tx, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT agent,CAST(SUM(tries-CASE WHEN given_at>0 THEN 1 ELSE 0 END) AS BIGINT) FROM case_consent WHERE made_at>=?1 AND made_at<?2 AND kind='code' GROUP BY agent "
    "HAVING SUM(tries-CASE WHEN given_at>0 THEN 1 ELSE 0 END)>=?3 LIMIT 64", "iii", day_start(k->day), day_start(k->day + 1), (int64_t)LEAST_REFUSED);
  return tell_each(k, tx, r, "refused", 0, LEAST_REFUSED - 1, err);
}

/* One telephone that consents for many: the agent's own, perhaps. */
static int same_telephone(struct review *k, struct store_tx *tx, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT case_consent.agent,COUNT(DISTINCT cases.applicant) FROM case_consent JOIN cases ON cases.tracking=case_consent.tracking WHERE case_consent.made_at>=?1 "
    "AND case_consent.made_at<?2 AND case_consent.purpose='file' AND case_consent.mobile<>'' GROUP BY case_consent.agent,case_consent.mobile "
    "HAVING COUNT(DISTINCT cases.applicant)>=?3 LIMIT 64", "iii", day_start(k->day - PEER_DAYS), day_start(k->day + 1), (int64_t)SAME_TELEPHONE);
  return tell_each(k, tx, r, "telephone", 1, SAME_TELEPHONE - 1, err);
}

/* The long part only reads, so that nobody's submission waits for it. */
static int measure_work(struct store_tx *tx, void *arg, struct err *err) {
  struct review *k = arg;
  people_free(k);
  if (read_looks(k, tx, err)) return -1;
  for (size_t i = 0; i < k->count; i++)
    if (judge_cases(k, tx, &k->people[i], err)) return -1;
  return 0;
}

static int review_work(struct store_tx *tx, void *arg, struct err *err) {
  struct review *k = arg;
  for (size_t i = 0; i < k->count; i++) {
    struct person *p = &k->people[i];
    if (store_put(tx, err, "INSERT INTO look_day (day,who,role,many,outside,night,namesake) VALUES (?1,?2,?3,?4,?5,?6,?7) ON CONFLICT (day,who) DO UPDATE SET many=excluded.many,"
                           "outside=excluded.outside,night=excluded.night,namesake=excluded.namesake", "itiiiii", (int64_t)k->day, p->username, p->role, p->value[MANY], p->value[OUTSIDE],
                  p->value[NIGHT], p->value[NAMESAKE]))
      return -1;
  }
  for (size_t i = 0; i < k->count; i++)
    for (int m = 0; m < MEASURES; m++) {
      int64_t usual, most;
      if (k->people[i].value[m] < least[m]) continue;
      if (limit_of(k, tx, &k->people[i], (enum measure)m, &usual, &most, err)) return -1;
      if (k->people[i].value[m] > most && report(tx, names[m], &k->people[i], k->day, k->people[i].value[m], usual, most, err)) return -1;
    }
  return refused(k, tx, err) || same_telephone(k, tx, err) ? -1 : 0;
}

int cases_looks_review(struct cases *c, int32_t today, struct err *err) {
  static const int back[] = {ACTING_DAYS, 0};
  struct review k = {.c = c, .arena = arena_new(2 * 1024 * 1024)};
  int rc = identity_staff(c->o.identity, NULL, &k.staff, err);
  for (size_t i = 0; i < BASE_COUNT(back) && rc == 0; i++) {
    k.day = today - back[i];
    k.whole = back[i] > 0;
    rc = store_read(c->store, measure_work, &k, err) || store_write(c->store, STORE_JOBS, review_work, &k, err) ? -1 : 0;
  }
  people_free(&k);
  json_decref(k.staff);
  arena_free(k.arena);
  return rc;
}

/* ---- reading and acknowledging ---- */

struct shown {
  const struct actor *who;
  bool open;
  const char *id, *note;
  json_t *items;
};

/* Supervisors answer for officers, agents and the helpdesk; managers for supervisors too; auditors see all. Nobody judges themselves. */
static bool may_see(const struct actor *who, const char *organisation, int64_t role, const char *username) {
  if (strcmp(who->username, username) == 0) return false;
  if (actor_has_role(who, NULL, STAFF_AUDITOR) || actor_has_role(who, organisation, STAFF_MANAGER)) return true;
  return actor_has_role(who, organisation, STAFF_SUPERVISOR) && role != STAFF_SUPERVISOR && role != STAFF_MANAGER;
}

static json_t *report_json(const struct store_rows *r) {
  static const char *const texts[] = {"id", "kind", "who", "organisation"};
  char day[16], at[32];
  json_t *o = json_object();
  for (int i = 0; i < 4; i++) json_put(o, texts[i], store_text(r, i));
  json_put(o, "role", staff_role_text((int)store_int(r, 4)));
  date_iso((int32_t)store_int(r, 5), day);
  json_put(o, "day", day);
  json_object_set_new(o, "count", json_integer(store_int(r, 6)));
  json_object_set_new(o, "usual", json_integer(store_int(r, 7)));
  json_object_set_new(o, "limit", json_integer(store_int(r, 8)));
  clock_rfc3339(store_int(r, 9), at);
  json_put(o, "at", at);
  if (store_int(r, 10)) clock_rfc3339(store_int(r, 10), at);
  json_put(o, "acknowledged_at", store_int(r, 10) ? at : NULL);
  json_put(o, "acknowledged_by", store_int(r, 10) ? store_text(r, 11) : NULL);
  json_put(o, "note", store_int(r, 10) ? store_text(r, 12) : NULL);
  return o;
}

#define REPORT "id,kind,who,organisation,role,day,count,usual,most,at,acknowledged_at,acknowledged_by,note"

static int take(struct shown *k, struct store_rows *r, struct err *err) {
  int rc = -1;
  while (r && (rc = store_next(r, err)) == 1)
    if (may_see(k->who, store_text(r, 3), store_int(r, 4), store_text(r, 2)) && !(k->open && store_int(r, 10)) && json_array_size(k->items) < 500)
      json_array_append_new(k->items, report_json(r));
  store_done(r);
  return rc;
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct shown *k = arg;
  json_array_clear(k->items);
  if (actor_has_role(k->who, NULL, STAFF_AUDITOR)) return take(k, store_select(tx, err, "SELECT " REPORT " FROM look_report ORDER BY day DESC,id LIMIT 2000", ""), err);
  int rc = 0;
  for (unsigned i = 0; i < k->who->role_count && rc == 0; i++) {
    bool before = false;
    for (unsigned n = 0; n < i; n++) before = before || strcmp(k->who->roles[n].organisation, k->who->roles[i].organisation) == 0;
    if (!before) rc = take(k, store_select(tx, err, "SELECT " REPORT " FROM look_report WHERE organisation=?1 ORDER BY day DESC,id LIMIT 1000", "t", k->who->roles[i].organisation), err);
  }
  return rc;
}

int cases_looks(struct cases *c, const struct actor *who, bool open, json_t **out, struct err *err) {
  struct shown k = {.who = who, .open = open, .items = json_array()};
  int rc = store_read(c->store, list_work, &k, err);
  if (rc == 0) *out = k.items;
  else json_decref(k.items);
  return rc;
}

static int acknowledge_work(struct store_tx *tx, void *arg, struct err *err) {
  struct shown *k = arg;
  json_array_clear(k->items);
  if (take(k, store_select(tx, err, "SELECT " REPORT " FROM look_report WHERE id=?1", "t", k->id), err)) return -1;
  const json_t *one = json_array_get(k->items, 0);
  if (!one) return err_set(err, ERR_NOT_FOUND, "no such report");
  if (json_str(one, "acknowledged_at")) return err_set(err, ERR_CONFLICT, "somebody has acknowledged it");
  json_t *told = json_pack("{s:s,s:s,s:s}", "kind", json_str(one, "kind"), "day", json_str(one, "day"), "note", k->note);
  struct act act = {.kind = "looks_acknowledged", .who = k->who->username, .organisation = json_str(one, "organisation"), .subject = json_str(one, "who"), .detail = told};
  int rc = identity_act_put(tx, &act, err);
  json_decref(told);
  if (rc) return -1;
  if (store_exec(tx, err, "UPDATE look_report SET acknowledged_at=?2,acknowledged_by=?3,note=?4 WHERE id=?1 AND acknowledged_at=0", "titt", k->id, store_time(tx), k->who->username, k->note) < 0)
    return -1;
  json_array_clear(k->items);
  return take(k, store_select(tx, err, "SELECT " REPORT " FROM look_report WHERE id=?1", "t", k->id), err);
}

int cases_looks_acknowledge(struct cases *c, const struct actor *who, const char *id, const char *note, json_t **out, struct err *err) {
  struct shown k = {.who = who, .id = id, .note = note, .items = json_array()};
  size_t n = note ? strlen(note) : 0;
  int rc = n < 3 || n > 1000 ? err_set(err, ERR_INVALID, "a note has 3 to 1000 bytes") : store_write(c->store, STORE_FRONT, acknowledge_work, &k, err);
  if (rc == 0 && out) *out = json_incref(json_array_get(k.items, 0));
  json_decref(k.items);
  return rc;
}
