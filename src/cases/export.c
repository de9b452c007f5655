/* Cases out, by pages, each on record before it is handed out; and whose cases were in which export. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW = 16384, PART = 250, MOST_EXPORTS = 200, MOST_CASES = 200 };
#define PAGE_BYTES ((size_t)64 * 1024 * 1024)

struct listed { /* of a case in the order of an export */
  int64_t at;
  char tracking[TRACKING_SIZE];
};

struct cases_export {
  struct cases *c;
  struct actor who;
  char id[33], organisation[48], service[80];
  const struct service *def;         /* whose fields have columns; NULL: all services */
  int64_t since, until, done;
  enum case_format format;
  bool begun, went_on;               /* the head has been written; after a mark there is none */
  struct listed last;
  struct listed *window;              /* what comes next, some thousands at a time: looking for them means going through the desk */
  size_t count, next;
  struct case_part { size_t count; const struct listed *places; struct buf *text; } part;
};

/* ---- who may, and on record ---- */

static int may_export(const struct actor *who, const char *organisation, struct err *err) {
  bool office = actor_has_role(who, organisation, STAFF_MANAGER);
  if (who->kind == ACTOR_SYSTEM || actor_has_role(who, NULL, STAFF_AUDITOR) || actor_has_role(who, NULL, STAFF_OPERATOR)) return 0;
  return office ? 0 : err_set(err, ERR_FORBIDDEN, "cases are exported by the manager of their organisation");
}

static int on_record(struct store_tx *tx, const char *export, int64_t at, const json_t *payload, char batch[33], struct err *err) {
  unsigned char raw[16], salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  char time[32], *text = json_canonical(payload);
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, batch);
  random_bytes(salt, sizeof salt);
  clock_rfc3339_ms(at, time);
  char *header = base_printf("{\"at\":\"%s\",\"batch\":\"%s\",\"export\":\"%s\",\"kind\":\"access\"}", time, batch, export);
  trust_leaf(header, salt, text, strlen(text), digest, leaf);
  int rc = store_put(tx, err, "INSERT INTO case_access_batch (batch,at,salt,payload) VALUES (?1,?2,?3,?4)", "tibt", batch, at, (const void *)salt,
                     (size_t)TRUST_SALT, text);
  if (rc == 0) rc = trust_append(tx, leaf, header, digest, err);
  free(header);
  free(text);
  return rc;
}

static const char *exporter(const struct actor *who) { return who->username[0] ? who->username : "system"; }

static int begin_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cases_export *e = arg;
  int64_t now = store_time(tx);
  bool masked = actor_has_role(&e->who, NULL, STAFF_OPERATOR) && !actor_has_role(&e->who, e->organisation, STAFF_MANAGER);
  char batch[33], since[32], until[32];
  clock_rfc3339_ms(e->since, since);
  clock_rfc3339_ms(e->until, until);
  json_t *p = json_object();
  json_put(p, "export", e->id);
  json_put(p, "format", e->format == CASE_CSV ? "csv" : "jsonl");
  json_object_set_new(p, "masked", json_boolean(masked));
  json_put(p, "organisation", e->organisation);
  json_put(p, "service", e->service);
  json_put(p, "since", since);
  json_put(p, "until", until);
  json_put(p, "who", exporter(&e->who));
  int rc = on_record(tx, e->id, now, p, batch, err);
  json_decref(p);
  if (rc) return -1;
  return store_put(tx, err, "INSERT INTO case_export (id,at,who,organisation,service,since,until,masked) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)", "titttiii", e->id, now,
                   exporter(&e->who), e->organisation, e->service, e->since, e->until, (int64_t)masked);
}

static int part_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cases_export *e = arg;
  const struct listed *last = &e->part.places[e->part.count - 1];
  char batch[33];
  json_t *p = json_object(), *list = json_array();
  for (size_t i = 0; i < e->part.count; i++) json_array_append_new(list, json_string(e->part.places[i].tracking));
  json_object_set_new(p, "cases", list);
  json_put(p, "export", e->id);
  int rc = on_record(tx, e->id, store_time(tx), p, batch, err);
  json_decref(p);
  if (rc) return -1;
  return store_put(tx, err, "INSERT INTO case_export_part (export,upto,tracking,batch) VALUES (?1,?2,?3,?4)", "titt", e->id, last->at, last->tracking, batch);
}

/* ---- what comes next ---- */

static int mark_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cases_export *e = arg;
  e->last.at = -1;
  return store_value(tx, &e->last.at, -1, err, "SELECT submitted_at FROM cases WHERE tracking=?1 AND holder=?2", "tt", e->last.tracking, e->organisation);
}

static int window_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cases_export *e = arg;
  e->count = e->next = 0;
  struct store_rows *r = store_select(tx, err,
    "SELECT submitted_at,tracking FROM cases WHERE holder=?1 AND submitted_at>=?2 AND submitted_at<?3 AND (submitted_at,tracking)>(?4,?5) "
    "AND (?6='' OR service=?6) ORDER BY submitted_at,tracking LIMIT ?7", "tiiitti",
    e->organisation, e->since, e->until, e->last.at, e->last.tracking, e->service, (int64_t)WINDOW);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    struct listed *p = &e->window[e->count++];
    p->at = store_int(r, 0);
    snprintf(p->tracking, sizeof p->tracking, "%s", store_text(r, 1));
  }
  store_done(r);
  return rc;
}

/* ---- rows ---- */

static const char *const plain_columns[] = {"tracking", "service", "service_version", "state", "state_title", "result", "submitted_at", "changed_at",
  "closed_at", "due_norm", "due_legal", "organisation", "holder", "assignee", "submitted_by", "intake", "letter_no", "letter_date", "rating"};

static void put_head(const struct cases_export *e, struct buf *b) {
  buf_adds(b, "\xef\xbb\xbf");
  for (size_t i = 0; i < BASE_COUNT(plain_columns); i++) buf_addf(b, "%s,", plain_columns[i]);
  for (size_t i = 0; e->def && i < e->def->field_count; i++) buf_addf(b, "%s,", e->def->fields[i]->name);
  buf_adds(b, e->def ? "other\r\n" : "data\r\n");
}

static const struct { enum field_type type; int groups[5]; } digits[] = {
  {FIELD_NATIONAL_ID, {3, 6, 1}}, {FIELD_MOBILE, {4, 3, 4}}, {FIELD_POSTAL_CODE, {5, 5}}, {FIELD_LEGAL_ID, {4, 4, 3}}, {FIELD_FIDA, {4, 4, 4, 4}},
  {FIELD_TRACKING, {4, 4, 4, 4}}};

/* Digits that are a name and no number stand in groups, which every spreadsheet takes for text and every form of ours takes back. */
static void put_digits(struct buf *b, enum field_type type, const char *s) {
  size_t n = strlen(s), at = 0;
  const int *group = NULL;
  for (size_t i = 0; i < BASE_COUNT(digits); i++)
    if (digits[i].type == type) group = digits[i].groups;
  if (!n || strspn(s, "0123456789") != n) return csv_put(b, s);
  if (!group) return buf_addf(b, "'%s", s); /* a code with zeros before it, or longer than a spreadsheet's numbers */
  for (; at < n && *group; at += (size_t)*group++) buf_addf(b, "%s%.*s", at ? "-" : "", *group, s + at);
  if (at < n) buf_adds(b, s + at);
}

static void put_value(struct buf *b, const struct field *f, const json_t *v) {
  size_t i;
  const json_t *one;
  if (json_is_string(v)) put_digits(b, f->type, json_string_value(v));
  else if (json_is_integer(v)) buf_addf(b, "%lld", (long long)json_integer_value(v));
  else if (json_is_real(v)) buf_addf(b, "%.10g", json_real_value(v));
  else if (json_is_boolean(v)) buf_adds(b, json_is_true(v) ? "yes" : "no");
  else if (json_is_array(v)) {
    struct buf all = {0};
    json_array_foreach(v, i, one) buf_addf(&all, "%s%s", i ? "|" : "", json_string_value(one) ? json_string_value(one) : "");
    csv_put(b, buf_str(&all));
    buf_free(&all);
  }
}

static void put_text(struct buf *b, const char *text) {
  csv_put(b, text ? text : "");
  buf_addc(b, ',');
}

static void put_moment(struct buf *b, int64_t at) {
  char text[32] = "";
  if (at) clock_rfc3339_ms(at, text);
  put_text(b, text);
}

static void put_due(struct cases *c, struct buf *b, const struct case_row *row, int64_t ord) {
  char text[16] = "";
  int32_t day = case_due_day(c, row, ord);
  if (day != INT32_MIN) date_iso(day, text);
  put_text(b, text);
}

static void csv_answers(const struct cases_export *e, struct buf *b, json_t *data) {
  for (size_t i = 0; e->def && i < e->def->field_count; i++) {
    const struct field *f = e->def->fields[i];
    put_value(b, f, json_object_get(data, f->name));
    buf_addc(b, ',');
    json_object_del(data, f->name);
  }
  if (json_object_size(data)) {
    char *rest = json_canonical(data);
    csv_put(b, rest);
    free(rest);
  }
  buf_adds(b, "\r\n");
}

static void csv_case(const struct cases_export *e, struct buf *b, const struct case_row *row, json_t *data, enum lang l) {
  put_digits(b, FIELD_TRACKING, row->tracking);
  buf_addf(b, ",%s,%lld,%s,", row->service, (long long)row->service_version, row->state);
  put_text(b, case_state_title(row, l));
  buf_addf(b, "%s,", result_text((enum result)row->result));
  put_moment(b, row->submitted_at);
  put_moment(b, row->changed_at);
  put_moment(b, row->closed_at);
  put_due(e->c, b, row, row->norm_ord);
  put_due(e->c, b, row, row->legal_ord);
  put_text(b, row->owner);
  put_text(b, row->holder);
  put_text(b, row->assignee);
  put_text(b, row->submitted_by);
  put_text(b, intake_text((enum intake)row->intake));
  put_text(b, row->letter_no);
  put_text(b, row->letter_date);
  if (row->rating) buf_addf(b, "%lld", (long long)row->rating);
  buf_addc(b, ',');
  csv_answers(e, b, data);
}

static void json_moment(json_t *o, const char *name, int64_t at) {
  char text[32];
  if (at) clock_rfc3339_ms(at, text);
  json_put(o, name, at ? text : NULL);
}

static void json_case(const struct cases_export *e, struct buf *b, const struct case_row *row, json_t *data, bool masked, enum lang l) {
  json_t *o = json_object();
  json_put(o, "tracking", row->tracking);
  json_put(o, "service", row->service);
  json_object_set_new(o, "service_version", json_integer(row->service_version));
  json_put(o, "state", row->state);
  json_put(o, "state_title", case_state_title(row, l));
  json_put(o, "result", result_text((enum result)row->result));
  json_moment(o, "submitted_at", row->submitted_at);
  json_moment(o, "changed_at", row->changed_at);
  json_moment(o, "closed_at", row->closed_at);
  json_object_set_new(o, "due", case_due_json(e->c, row));
  json_put(o, "organisation", row->owner);
  json_put(o, "holder", row->holder);
  json_put(o, "assignee", row->assignee[0] ? row->assignee : NULL);
  json_put(o, "submitted_by", row->submitted_by);
  json_put(o, "intake", intake_text((enum intake)row->intake));
  json_put(o, "letter_no", row->letter_no[0] ? row->letter_no : NULL);
  json_put(o, "letter_date", row->letter_date[0] ? row->letter_date : NULL);
  json_object_set_new(o, "rating", row->rating ? json_integer(row->rating) : json_null());
  json_object_set_new(o, "masked", json_boolean(masked));
  json_object_set(o, "data", row->data ? data : json_null());
  char *text = json_canonical(o);
  buf_addf(b, "%s\n", text);
  free(text);
  json_decref(o);
}

/* What moved to another desk since it was listed, and what others ask of this one, is not this export's. */
static bool left_out(const struct cases_export *e, const struct case_row *row) {
  return strcmp(row->holder, e->organisation) != 0 || case_is_inquiry(row);
}

static int rows_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cases_export *e = arg;
  struct arena *a = arena_new(2 * 1024 * 1024);
  int rc = 0;
  buf_clear(e->part.text);
  for (size_t i = 0; i < e->part.count && rc == 0; i++) {
    struct case_row row;
    arena_reset(a);
    rc = case_load(e->c, tx, a, e->part.places[i].tracking, &row, err);
    if (rc || left_out(e, &row)) continue;
    enum case_right right = case_right_of(&e->who, &row);
    bool whole = e->who.kind == ACTOR_SYSTEM || right == CASE_STAFF || right == CASE_AUDITOR;
    json_t *data = row.data ? json_loads(row.data, 0, NULL) : json_object();
    if (!whole && row.def) case_mask(row.def, data);
    if (!whole && !row.def) json_object_clear(data); /* nothing says what is personal */
    if (e->format == CASE_CSV) csv_case(e, e->part.text, &row, data, LANG_FA);
    else json_case(e, e->part.text, &row, data, !whole, LANG_FA);
    json_decref(data);
  }
  arena_free(a);
  if (rc == 0 && buf_overflowed(e->part.text)) rc = err_set(err, ERR_LIMIT, "a page of cases is too large");
  return rc;
}

/* ---- the run ---- */

int cases_export_open(struct cases *c, const struct actor *who, const struct case_export_query *q, struct cases_export **out, struct err *err) {
  unsigned char raw[16];
  const struct directory *d = pack_directory(c->pack);
  if (may_export(who, q->organisation, err)) return -1;
  if (directory_find_organisation(d, q->organisation) < 0) return err_set(err, ERR_NOT_FOUND, "no organisation '%s'", q->organisation);
  if (q->service && !pack_find_shown(c->pack, q->service)) return err_set(err, ERR_NOT_FOUND, "no service '%s'", q->service);
  struct cases_export *e = base_alloc(sizeof *e);
  e->c = c;
  e->who = *who;
  e->format = q->format;
  e->def = q->service ? pack_find_shown(c->pack, q->service) : NULL;
  e->since = q->since;
  e->until = q->until ? q->until : clock_now() + 1;
  e->last.at = -1;
  snprintf(e->organisation, sizeof e->organisation, "%s", q->organisation);
  snprintf(e->service, sizeof e->service, "%s", q->service ? q->service : "");
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, e->id);
  int rc = 0;
  if (q->after && q->after[0]) {
    e->went_on = true;
    snprintf(e->last.tracking, sizeof e->last.tracking, "%s", q->after);
    rc = store_read(c->store, mark_work, e, err);
    if (rc == 0 && e->last.at < 0) rc = err_set(err, ERR_MALFORMED, "'after' is not a case of this organisation");
  }
  if (rc == 0) rc = store_write(c->store, STORE_FRONT, begin_work, e, err);
  if (rc) {
    free(e);
    return -1;
  }
  e->window = base_alloc(WINDOW * sizeof *e->window);
  *out = e;
  return 0;
}

int cases_export_page(struct cases_export *e, struct buf *text, struct err *err) {
  buf_init(text, PAGE_BYTES);
  if (e->next == e->count && store_read(e->c->store, window_work, e, err)) return -1;
  size_t left = e->count - e->next;
  struct buf rows;
  buf_init(&rows, PAGE_BYTES);
  e->part = (struct case_part){.count = left < PART ? left : PART, .places = e->window + e->next, .text = &rows};
  int rc = left ? store_read(e->c->store, rows_work, e, err) : 0;
  if (rc == 0 && left) rc = store_write(e->c->store, STORE_FRONT, part_work, e, err);
  if (rc == 0 && !e->begun && !e->went_on && e->format == CASE_CSV) put_head(e, text);
  if (rc == 0) {
    e->begun = true;
    buf_add(text, buf_str(&rows), rows.len);
    e->next += e->part.count;
    e->done += (int64_t)e->part.count;
    if (left) e->last = e->part.places[e->part.count - 1];
  }
  buf_free(&rows);
  return rc ? -1 : left > 0;
}

int64_t cases_export_done(const struct cases_export *e, char last[TRACKING_SIZE]) {
  if (last) memcpy(last, e->last.tracking, TRACKING_SIZE);
  return e->done;
}

int cases_export_more(void *export, struct buf *text) {
  struct err err;
  int rc = cases_export_page(export, text, &err);
  if (rc < 0) log_write(LOG_WARN, "cases", "an export breaks off: %s", err.message);
  return rc;
}

void cases_export_end(void *export) { cases_export_close(export); }

void cases_export_close(struct cases_export *e) {
  if (!e) return;
  free(e->window);
  free(e);
}

/* ---- whose cases were in it ---- */

struct mine {
  struct cases *c;
  const char *id;
  int64_t at;
  enum lang lang;
  json_t *items;
  char tracking[TRACKING_SIZE], service[80];
  int64_t submitted_at;
};

static int in_part(struct store_tx *tx, const struct mine *k, const char *export, bool *in, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT b.payload FROM case_export_part p JOIN case_access_batch b ON b.batch=p.batch WHERE p.export=?1 AND (p.upto,p.tracking)>=(?2,?3) "
    "ORDER BY p.upto,p.tracking LIMIT 1", "tit", export, k->submitted_at, k->tracking);
  if (!r) return -1;
  char quoted[TRACKING_SIZE + 4];
  snprintf(quoted, sizeof quoted, "\"%s\"", k->tracking);
  int rc = store_next(r, err);
  *in = rc == 1 && strstr(store_text(r, 0), quoted) != NULL;
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static void put_export(const struct mine *k, const struct store_rows *r) {
  const struct directory *d = pack_directory(k->c->pack);
  const struct organisation *o = directory_organisation(d, directory_find_organisation(d, store_text(r, 2)));
  char at[32], id[64];
  snprintf(id, sizeof id, "%.23s%s", store_text(r, 0), k->tracking);
  int64_t time = store_int(r, 1);
  if (time > k->at || (time == k->at && strcmp(id, k->id) <= 0)) return; /* of a page before */
  json_t *one = json_object();
  clock_rfc3339_ms(time, at);
  json_put(one, "at", at);
  json_put(one, "tracking", k->tracking);
  json_put(one, "organisation", store_text(r, 2));
  json_put(one, "organisation_name", o ? organisation_name(o, k->lang) : store_text(r, 2));
  json_put(one, "basis", "export");
  json_object_set_new(one, "masked", json_boolean(store_int(r, 3)));
  json_object_set_new(one, "_at", json_integer(time));
  json_put(one, "_id", id);
  json_array_append_new(k->items, one);
}

static int exports_at(struct store_tx *tx, const struct mine *k, const char *organisation, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT id,at,organisation,masked FROM case_export WHERE organisation=?1 AND at<=?2 AND since<=?3 AND until>?3 AND (service='' OR service=?4) "
    "ORDER BY at DESC LIMIT ?5", "tiiti", organisation, k->at, k->submitted_at, k->service, (int64_t)MOST_EXPORTS);
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) {
    bool in = false;
    if ((rc = in_part(tx, k, store_text(r, 0), &in, err)) < 0) break;
    if (in) put_export(k, r);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static void note_desk(json_t *desks, const char *code) {
  if (code && code[0]) json_object_set_new(desks, code, json_true());
}

/* Every desk that has held this case: its exports may have had it. */
static int desks_of(struct store_tx *tx, const char *tracking, json_t *desks, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT organisation,payload FROM case_event WHERE " OF_CASE " ORDER BY seq", "t", tracking);
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) {
    note_desk(desks, store_text(r, 0));
    json_t *p = store_text(r, 1) && strstr(store_text(r, 1), "\"to\":") ? json_loads(store_text(r, 1), 0, NULL) : NULL;
    note_desk(desks, json_str(p, "to"));
    json_decref(p);
  }
  store_done(r);
  return rc;
}

static int exports_of_case(struct store_tx *tx, struct mine *k, const struct store_rows *r, struct err *err) {
  json_t *desks = json_object(), *v;
  const char *code;
  snprintf(k->tracking, sizeof k->tracking, "%s", store_text(r, 0));
  snprintf(k->service, sizeof k->service, "%s", store_text(r, 1));
  k->submitted_at = store_int(r, 2);
  for (int i = 3; i < 6; i++) note_desk(desks, store_text(r, i));
  int rc = store_int(r, 6) > 1 ? desks_of(tx, k->tracking, desks, err) : 0;
  json_object_foreach(desks, code, v) {
    (void)v;
    if (rc == 0) rc = exports_at(tx, k, code, err);
  }
  json_decref(desks);
  return rc;
}

int case_exports_of(struct cases *c, struct store_tx *tx, const char *person, int64_t at, const char *id, enum lang l, json_t *items, struct err *err) {
  struct mine k = {.c = c, .at = at, .id = id, .lang = l, .items = items};
  int64_t any = 0;
  if (store_value(tx, &any, 0, err, "SELECT COUNT(*) FROM (SELECT 1 FROM case_export LIMIT 1) AS few", "")) return -1;
  if (!any) return 0;
  struct store_rows *r = store_select(tx, err,
    "SELECT cases.tracking,cases.service,cases.submitted_at,cases.owner,cases.provider,cases.holder,cases.version FROM case_person "
    "JOIN cases ON cases.tracking=case_person.tracking WHERE case_person.person=?1 ORDER BY case_person.ord,case_person.tracking LIMIT ?2", "ti", person,
    (int64_t)MOST_CASES);
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1)
    if (exports_of_case(tx, &k, r, err)) {
      rc = -1;
      break;
    }
  store_done(r);
  return rc;
}

/* ---- what was exported ---- */

struct runs {
  const char *organisation;
  json_t *out;
};

static int runs_work(struct store_tx *tx, void *arg, struct err *err) {
  struct runs *k = arg;
  json_array_clear(k->out);
  struct store_rows *r = store_select(tx, err, "SELECT at,who,service,since,until,masked FROM case_export WHERE organisation=?1 ORDER BY at DESC LIMIT 50", "t",
                                      k->organisation);
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) {
    json_t *o = json_object();
    json_moment(o, "at", store_int(r, 0));
    json_put(o, "who", store_text(r, 1));
    json_put(o, "service", store_text(r, 2)[0] ? store_text(r, 2) : NULL);
    json_moment(o, "since", store_int(r, 3));
    json_moment(o, "until", store_int(r, 4));
    json_object_set_new(o, "masked", json_boolean(store_int(r, 5)));
    json_array_append_new(k->out, o);
  }
  store_done(r);
  return rc;
}

int cases_exports(struct cases *c, const struct actor *who, const char *organisation, json_t **out, struct err *err) {
  struct runs k = {.organisation = organisation, .out = json_array()};
  int rc = may_export(who, organisation, err) ? -1 : store_read(c->store, runs_work, &k, err);
  if (rc) json_decref(k.out);
  else *out = k.out;
  return rc;
}
