#include "cases/private.h"

#include <string.h>

#define COLUMNS                                                                                                  \
  "tracking,service,service_version,owner,provider,holder,state,result,version,submitted_at,changed_at,"         \
  "closed_at,applicant,pair,beneficiary,submitted_by,submitter,intake,assurance,mobile,lang,assignee,parent,"     \
  "inquiry,data,key_hash,body_hash,calendar,start_day,norm_ord,legal_ord,state_day,state_at,state_legal_ord,"     \
  "prior_state,stopped_ord,stopped_days,extended,appealed,decider,escalated,next_ord,letter_no,letter_date,rating," \
  "first_state,first_role,first_organisation,first_header,first_salt,first_payload,first_leaf"

static const char *take(struct arena *a, const struct store_rows *r, int column) {
  const char *s = arena_strdup(a, store_text(r, column));
  return s ? s : "";
}

static void take_hash(const struct store_rows *r, int column, unsigned char out[32]) {
  size_t n = 0;
  const void *p = store_blob(r, column, &n);
  memset(out, 0, 32);
  if (p && n == 32) memcpy(out, p, 32);
}

/* The payload is {"data":{…},…}. A slice of canonical JSON is canonical JSON. */
const char *case_answers_in(struct arena *a, const char *payload) {
  const char *from = payload + 8, *p = from;
  int depth = 0;
  bool text = false;
  if (!base_starts(payload, "{\"data\":{")) return NULL;
  for (; *p; p++) {
    if (text && *p == '\\' && p[1]) p++;
    else if (*p == '"') text = !text;
    else if (!text && *p == '{') depth++;
    else if (!text && *p == '}' && --depth == 0) return arena_strndup(a, from, (size_t)(p + 1 - from));
  }
  return NULL;
}

static void read_first(struct arena *a, const struct store_rows *r, int i, struct case_row *row) {
  size_t n = 0;
  row->first.state = take(a, r, i);
  row->first.role = take(a, r, i + 1);
  row->first.organisation = take(a, r, i + 2);
  row->first.header = take(a, r, i + 3);
  const void *salt = store_blob(r, i + 4, &n);
  if (salt && n == TRUST_SALT) memcpy(row->first.salt, salt, n);
  row->first.payload = store_null(r, i + 5) ? NULL : arena_strdup(a, store_text(r, i + 5));
  take_hash(r, i + 6, row->first.leaf);
  row->changed = row->data != NULL;
  if (!row->data && row->first.payload) row->data = case_answers_in(a, row->first.payload);
}

static void read_row(struct arena *a, const struct store_rows *r, struct case_row *row) {
  int i = 0;
  row->tracking = take(a, r, i++);
  row->service = take(a, r, i++);
  row->service_version = store_int(r, i++);
  row->owner = take(a, r, i++);
  row->provider = take(a, r, i++);
  row->holder = take(a, r, i++);
  row->state = take(a, r, i++);
  row->result = store_int(r, i++);
  row->version = store_int(r, i++);
  row->submitted_at = store_int(r, i++);
  row->changed_at = store_int(r, i++);
  row->closed_at = store_int(r, i++);
  row->applicant = take(a, r, i++);
  row->pair = take(a, r, i++);
  row->beneficiary = take(a, r, i++);
  row->submitted_by = take(a, r, i++);
  row->submitter = take(a, r, i++);
  row->intake = store_int(r, i++);
  row->assurance = store_int(r, i++);
  row->mobile = take(a, r, i++);
  row->lang = store_int(r, i++);
  row->assignee = take(a, r, i++);
  row->parent = take(a, r, i++);
  row->inquiry = take(a, r, i++);
  row->data = store_null(r, i) ? NULL : arena_strdup(a, store_text(r, i));
  i++;
  take_hash(r, i++, row->key_hash);
  take_hash(r, i++, row->body_hash);
  row->calendar = take(a, r, i++);
  row->start_day = store_int(r, i++);
  row->norm_ord = store_int(r, i++);
  row->legal_ord = store_int(r, i++);
  row->state_day = store_int(r, i++);
  row->state_at = store_int(r, i++);
  row->state_legal_ord = store_int(r, i++);
  row->prior_state = take(a, r, i++);
  row->stopped_ord = store_int(r, i++);
  row->stopped_days = store_int(r, i++);
  row->extended = store_int(r, i++);
  row->appealed = store_int(r, i++);
  row->decider = take(a, r, i++);
  row->escalated = store_int(r, i++);
  row->next_ord = store_int(r, i++);
  row->letter_no = take(a, r, i++);
  row->letter_date = take(a, r, i++);
  row->rating = store_int(r, i++);
  read_first(a, r, i, row);
}

int case_load(struct cases *c, struct store_tx *tx, struct arena *a, const char *tracking, struct case_row *row, struct err *err) {
  memset(row, 0, sizeof *row);
  struct store_rows *r = store_select(tx, err, "SELECT " COLUMNS " FROM cases WHERE tracking=?1", "t", tracking);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) read_row(a, r, row);
  store_done(r);
  if (rc < 0) return -1;
  if (rc == 0) return err_set(err, ERR_NOT_FOUND, "no such case");
  if (arena_overflowed(a)) return err_set(err, ERR_LIMIT, "the case is larger than one request may hold");
  return case_define(c, tx, row, err);
}

bool case_is_inquiry(const struct case_row *row) { return row->inquiry && row->inquiry[0]; }

/* The same text but for what happens to a key that is there already. */
#define INSERT_CASE                                                                                                                  \
  "INSERT INTO cases (" COLUMNS ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,"            \
  "?23,?24,NULL,?25,?26,?27,?28,?29,?30,?31,?32,?33,?34,?35,?36,?37,?38,?39,?40,?41,?42,?43,?44,?45,?46,?47,?48,?49,?50,?51)"
#define CASE_VALUES(w)                                                                                                                \
  "ttittttiiiiitttttiititttbb" "tiiiiiitiiiitiittitttt" "btb",                                                                         \
    w->tracking, w->service, w->service_version, w->owner, w->provider, w->holder, w->state, w->result, w->version,                    \
    w->submitted_at, w->changed_at, w->closed_at, w->applicant, w->pair, w->beneficiary, w->submitted_by, w->submitter,                \
    w->intake, w->assurance, w->mobile, w->lang, w->assignee, w->parent, w->inquiry,                                                   \
    (const void *)w->key_hash, (size_t)32, (const void *)w->body_hash, (size_t)32, w->calendar, w->start_day, w->norm_ord,             \
    w->legal_ord, w->state_day, w->state_at, w->state_legal_ord, w->prior_state, w->stopped_ord, w->stopped_days, w->extended,         \
    w->appealed, w->decider, w->escalated, w->next_ord, w->letter_no, w->letter_date, w->rating, w->first.state, w->first.role,        \
    w->first.organisation, w->first.header, (const void *)w->first.salt, (size_t)TRUST_SALT, w->first.payload,                         \
    (const void *)w->first.leaf, (size_t)TRUST_HASH

int case_insert(struct store_tx *tx, const struct case_row *w, struct err *err) {
  if (!store_looks(tx)) return store_put(tx, err, INSERT_CASE, CASE_VALUES(w)) ? -1 : 1;
  return store_exec(tx, err, INSERT_CASE " ON CONFLICT DO NOTHING", CASE_VALUES(w));
}

int case_save(struct cases *c, struct store_tx *tx, const struct case_row *w, int64_t old_version, struct err *err) {
  int n = store_exec(tx, err,
    "UPDATE cases SET owner=?1,provider=?2,holder=?3,state=?4,result=?5,version=?6,changed_at=?7,closed_at=?8,assignee=?9,"
    "norm_ord=?10,legal_ord=?11,state_day=?12,state_at=?13,state_legal_ord=?14,prior_state=?15,stopped_ord=?16,stopped_days=?17,"
    "extended=?18,appealed=?19,decider=?20,escalated=?21,next_ord=?22,letter_no=?23,letter_date=?24,rating=?25,data=?26,"
    "start_day=?29 WHERE tracking=?27 AND version=?28",
    "ttttiiiitiiiiitiiiitiittitti" "i",
    w->owner, w->provider, w->holder, w->state, w->result, w->version, w->changed_at, w->closed_at, w->assignee,
    w->norm_ord, w->legal_ord, w->state_day, w->state_at, w->state_legal_ord, w->prior_state, w->stopped_ord, w->stopped_days,
    w->extended, w->appealed, w->decider, w->escalated, w->next_ord, w->letter_no, w->letter_date, w->rating, w->changed ? w->data : NULL,
    w->tracking, old_version, w->start_day);
  if (n < 0) return -1;
  if (n == 0) return err_set(err, ERR_CONFLICT, "the case has moved on");
  shelves_forget(c, w->tracking);
  return 0;
}

/* Canonical JSON by hand: every value is made of letters that need no escape. */
void case_header(char out[320], const struct case_row *row, const struct case_entry *e, int64_t seq) {
  char at[32];
  clock_rfc3339_ms(e->at, at);
  struct buf b;
  buf_init(&b, 319);
  buf_addf(&b, "{\"action\":\"%s\",\"at\":\"%s\",\"case\":\"%s\",\"kind\":\"case\",\"seq\":%lld,\"service\":\"%s\",\"state\":\"%s\",\"version\":%lld}",
           e->action, at, row->tracking, (long long)seq, row->service, e->to_state, (long long)row->service_version);
  memcpy(out, buf_str(&b), b.len + 1);
  buf_free(&b);
}

void case_seal(struct case_sealed *out, const struct case_row *row, const struct case_entry *e) {
  random_bytes(out->salt, sizeof out->salt);
  case_header(out->header, row, e, row->version);
  trust_leaf(out->header, out->salt, e->payload, strlen(e->payload), out->digest, out->leaf);
}

static int event_put(struct store_tx *tx, const struct case_row *row, const struct case_entry *e, const struct case_sealed *s, struct err *err) {
  if (store_put(tx, err,
        "INSERT INTO case_event (filed,tracking,seq,action,at,from_state,to_state,role,organisation,header,salt,payload,leaf_hash) "
        "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
        "ititittttt" "btb", row->submitted_at, row->tracking, row->version, e->action, e->at, e->from_state, e->to_state, e->role, e->organisation, s->header,
        (const void *)s->salt, (size_t)TRUST_SALT, e->payload, (const void *)s->leaf, (size_t)TRUST_HASH))
    return -1;
  return trust_append(tx, s->leaf, s->header, s->digest, err);
}

int case_append(struct cases *c, struct store_tx *tx, struct case_row *row, const struct case_entry *e, unsigned char leaf_out[TRUST_HASH],
                struct err *err) {
  struct case_sealed sealed;
  row->version++;
  row->changed_at = e->at;
  if (case_save(c, tx, row, row->version - 1, err)) return -1;
  case_seal(&sealed, row, e);
  if (leaf_out) memcpy(leaf_out, sealed.leaf, TRUST_HASH);
  return event_put(tx, row, e, &sealed, err);
}

/* Of the row's indexes only that of deadlines is written. */
int case_put_next(struct cases *c, struct store_tx *tx, const struct case_row *w, const struct case_entry *e, const struct case_sealed *s, struct err *err) {
  int n = store_exec(tx, err, "UPDATE cases SET version=?1,changed_at=?2,escalated=?3,next_ord=?4 WHERE tracking=?5 AND version=?6", "iiiiti", w->version,
                     w->changed_at, w->escalated, w->next_ord, w->tracking, w->version - 1);
  if (n != 1) return n < 0 ? -1 : 0;
  shelves_forget(c, w->tracking);
  return event_put(tx, w, e, s, err) ? -1 : 1;
}
