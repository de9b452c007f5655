#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

static const struct { const char *name, *word; } inquiry_words[] = {{INQUIRY_OPEN, "case.inquiry_open"}, {INQUIRY_ANSWERED, "case.inquiry_answered"},
  {INQUIRY_CONSENTED, "case.inquiry_consented"}, {INQUIRY_CANCELLED, "case.inquiry_cancelled"}};

const char *case_state_title(const struct case_row *row, enum lang l) {
  if (row->state_index >= 0) return text_in(&row->def->states[row->state_index].title, l);
  for (size_t i = 0; i < BASE_COUNT(inquiry_words); i++)
    if (strcmp(row->state, inquiry_words[i].name) == 0) return word(l, inquiry_words[i].word);
  return row->state;
}

static void put_day(json_t *o, const char *key, int32_t day) {
  char text[16];
  if (day != INT32_MIN) date_iso(day, text);
  json_put(o, key, day == INT32_MIN ? NULL : text);
}

static void put_time(json_t *o, const char *key, int64_t at) {
  char text[32];
  if (at) clock_rfc3339_ms(at, text);
  json_put(o, key, at ? text : NULL);
}

json_t *case_due_json(struct cases *c, const struct case_row *row) {
  json_t *due = json_object();
  int32_t norm = case_due_day(c, row, row->norm_ord), legal = case_due_day(c, row, row->legal_ord);
  put_day(due, "norm", norm);
  put_day(due, "legal", legal);
  if (legal != INT32_MIN && calendar_provisional(case_calendar(c, row->calendar), legal)) json_object_set_new(due, "provisional", json_true());
  return due;
}

const char *case_organisation_name(const struct cases *c, const struct pack *then, const char *code, enum lang l) {
  const struct pack *packs[] = {c->pack, then};
  for (size_t i = 0; i < BASE_COUNT(packs) && packs[i]; i++) {
    const struct directory *d = pack_directory(packs[i]);
    const struct organisation *o = directory_organisation(d, directory_find_organisation(d, code));
    if (o) return organisation_name(o, l);
  }
  return code;
}

static json_t *organisation_json(const struct cases *c, const struct case_row *row, const char *code, enum lang l) {
  json_t *v = json_object();
  json_put(v, "code", code);
  json_put(v, "name", case_organisation_name(c, row->pack, code, l));
  return v;
}

static void put_public(struct cases *c, const struct case_row *row, enum lang l, json_t *o) {
  json_put(o, "tracking", row->tracking);
  json_put(o, "service", row->service);
  json_put(o, "service_title", row->def ? text_in(&row->def->title, l) : row->service);
  json_object_set_new(o, "service_version", json_integer(row->service_version));
  json_put(o, "definition", row->def ? row->def->etag : NULL);
  json_put(o, "organisation", row->owner);
  json_put(o, "organisation_name", case_organisation_name(c, row->pack, row->owner, l));
  json_object_set_new(o, "holder", organisation_json(c, row, row->holder, l));
  json_put(o, "state", row->state);
  json_put(o, "state_title", case_state_title(row, l));
  put_time(o, "state_since", row->state_at);
  json_put(o, "result", result_text((enum result)row->result));
  put_time(o, "submitted_at", row->submitted_at);
  json_object_set_new(o, "due", case_due_json(c, row));
}

static int64_t calendar_version(struct cases *c, const char *code) {
  int64_t v = 0;
  pthread_rwlock_rdlock(&c->lock);
  for (size_t i = 0; i < c->calendar_count; i++)
    if (strcmp(c->calendars[i].code, code) == 0) v = c->calendars[i].version;
  pthread_rwlock_unlock(&c->lock);
  return v;
}

void case_etag(struct cases *c, const struct case_row *row, enum lang l, const char *extra, char out[80]) {
  struct buf b;
  buf_init(&b, 79);
  buf_addf(&b, "%s-%lld-%lld-%s%s", row->tracking + 8, (long long)row->version, (long long)calendar_version(c, row->calendar), lang_code(l), extra);
  memcpy(out, buf_str(&b), b.len + 1);
  buf_free(&b);
}

#define MOST_EVENTS 500 /* of a case that is shown whole */

struct load {
  struct cases *c;
  const struct actor *who;    /* whose view it will be; NULL: nobody's in particular. Needed with want_documents */
  struct away away;           /* of its assignee */
  bool assignee_away;
  const char *tracking;
  struct arena *arena;
  struct case_row row;
  enum lang lang;             /* with want_events */
  json_t *complaints, *about;
  json_t *children, *events, *remarks, *documents;
  bool want_events, want_remarks, want_documents;
  int64_t after, limit;       /* of events */
  int64_t unplaced;
};

static int load_children(struct load *k, struct store_tx *tx, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT cases.tracking,cases.inquiry,cases.holder,cases.state,cases.legal_ord,cases.submitted_at,cases.calendar FROM case_child "
    "JOIN cases ON cases.tracking=case_child.tracking WHERE case_child.parent=?1 ORDER BY cases.submitted_at,cases.tracking LIMIT 50", "t", k->tracking);
  if (!r) return -1;
  int rc;
  k->children = json_array();
  while ((rc = store_next(r, err)) == 1) {
    json_t *o = json_object();
    json_put(o, "tracking", store_text(r, 0));
    json_put(o, "inquiry", store_text(r, 1));
    json_put(o, "holder", store_text(r, 2));
    json_put(o, "state", store_text(r, 3));
    put_time(o, "asked_at", store_int(r, 5));
    struct case_row due = {.calendar = store_text(r, 6)};
    put_day(o, "due", case_due_day(k->c, &due, store_int(r, 4)));
    json_array_append_new(k->children, o);
  }
  store_done(r);
  return rc;
}

/* Where the events stand in the ledger; those that have no place yet are counted. */
static int place_events(struct load *k, struct store_tx *tx, struct err *err) {
  size_t i;
  json_t *e;
  k->unplaced = 0;
  json_array_foreach(k->events, i, e) {
    unsigned char leaf[TRUST_HASH];
    int64_t at, index = -1;
    if (hex_decode(json_str(e, "leaf_hash"), leaf, TRUST_HASH) == 0 && clock_parse(json_str(e, "at"), &at) == 0 && trust_index_tx(tx, at, leaf, &index, err) != 0)
      return -1;
    if (index < 0) k->unplaced++;
    json_object_set_new(e, "leaf_index", index >= 0 ? json_integer(index) : json_null());
  }
  return 0;
}

static int load_events(struct load *k, struct store_tx *tx, struct err *err) {
  json_decref(k->events); /* of an attempt before */
  struct store_rows *r = store_select(tx, err,
    "SELECT seq,action,at,from_state,to_state,role,organisation,payload,leaf_hash FROM " CASE_EVENTS "WHERE seq>?2 ORDER BY seq LIMIT ?3", "tii", k->tracking,
    k->after, k->limit);
  k->events = json_array();
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    json_t *o = json_object();
    size_t n = 0;
    const void *leaf = store_blob(r, 8, &n);
    char hex[65] = "";
    if (leaf && n == 32) hex_encode(leaf, 32, hex);
    json_object_set_new(o, "seq", json_integer(store_int(r, 0)));
    json_put(o, "action", store_text(r, 1));
    put_time(o, "at", store_int(r, 2));
    json_put(o, "from", store_text(r, 3));
    json_put(o, "to", store_text(r, 4));
    json_put(o, "role", store_text(r, 5));
    json_put(o, "organisation", store_text(r, 6));
    json_put(o, "leaf_hash", hex);
    const char *p = store_text(r, 7);
    json_object_set_new(o, "payload", p ? json_loads(p, 0, NULL) : json_null());
    json_array_append_new(k->events, o);
  }
  store_done(r);
  return rc < 0 ? -1 : place_events(k, tx, err);
}

static bool sees_internal(enum case_right right) { return right == CASE_STAFF || right == CASE_AUDITOR; }

static int load_work(struct store_tx *tx, void *arg, struct err *err) {
  struct load *k = arg;
  if (case_load(k->c, tx, k->arena, k->tracking, &k->row, err) || case_at_counter(tx, k->who, &k->row, err)) return -1;
  k->assignee_away = false;
  if (k->who && k->who->kind == ACTOR_STAFF) {
    if (case_standing(tx, k->arena, k->who, &k->row, err)) return -1;
    int away = k->row.assignee[0] ? case_absent(tx, k->row.assignee, k->row.holder, &k->away, err) : 0;
    if (away < 0) return -1;
    k->assignee_away = away;
  }
  if (load_children(k, tx, err)) return -1;
  if (k->want_events && case_complaints(k->c, tx, k->arena, &k->row, k->lang, &k->complaints, &k->about, err)) return -1;
  json_decref(k->remarks); /* of an attempt before */
  k->remarks = NULL;
  if (k->want_remarks && !(k->remarks = case_remarks(tx, k->tracking, err))) return -1;
  json_decref(k->documents);
  k->documents = NULL;
  if (k->want_documents && !(k->documents = case_documents(tx, k->tracking, sees_internal(case_right_of(k->who, &k->row)), err))) return -1;
  return k->want_events ? load_events(k, tx, err) : 0;
}

static int load_all(struct load *k, bool events, struct err *err) {
  k->arena = arena_new(2 * 1024 * 1024);
  if (!k->limit) k->limit = MOST_EVENTS;
  k->want_events = events;
  return store_read(k->c->store, load_work, k, err);
}

static void load_free(struct load *k) {
  json_decref(k->children);
  json_decref(k->events);
  json_decref(k->complaints);
  json_decref(k->about);
  json_decref(k->remarks);
  json_decref(k->documents);
  arena_free(k->arena);
}

static enum identifier masked_kind(const struct field *f) {
  switch (f->type) {
  case FIELD_MOBILE: return IDENT_MOBILE;
  case FIELD_SHEBA: return IDENT_SHEBA;
  case FIELD_FIDA: return IDENT_FIDA;
  default: return IDENT_NATIONAL_ID;
  }
}

static void mask_fields(struct field *const *fields, size_t count, json_t *data) {
  for (size_t i = 0; i < count; i++) {
    const struct field *f = fields[i];
    const json_t *v = json_object_get(data, f->name);
    bool identifier = f->type == FIELD_NATIONAL_ID || f->type == FIELD_FIDA || f->type == FIELD_MOBILE || f->type == FIELD_SHEBA;
    if (!v || !(f->personal || identifier)) continue;
    char out[32] = "•••";
    if (identifier && json_is_string(v)) identifier_mask(masked_kind(f), json_string_value(v), out);
    json_put(data, f->name, out);
  }
}

/* The helpdesk sees that something was answered, not what: in the form, and to a question of the office. */
void case_mask(const struct service *def, json_t *data) {
  mask_fields(def->fields, def->field_count, data);
  for (size_t i = 0; i < def->state_count; i++)
    for (size_t k = 0; k < def->states[i].action_count; k++) mask_fields(def->states[i].actions[k].fields, def->states[i].actions[k].field_count, data);
}

static json_t *shown_to_inquired(const struct case_row *row, json_t *data) {
  json_t *o = json_object();
  for (size_t i = 0; i < row->def->inquiry_count; i++) {
    const struct inquiry *q = &row->def->inquiries[i];
    if (strcmp(q->name, row->inquiry) != 0) continue;
    for (size_t k = 0; k < q->show_count; k++) {
      json_t *v = json_object_get(data, q->shows[k]);
      if (v) json_object_set(o, q->shows[k], v);
    }
  }
  return o;
}

static json_t *texts_of_fields(const struct field *const *fields, size_t count, enum lang l) {
  json_t *list = json_array();
  for (size_t i = 0; i < count; i++) {
    json_t *o = json_object(), *choices = json_array();
    const struct field *f = fields[i];
    json_put(o, "name", f->name);
    json_put(o, "type", field_type_text(f->type));
    json_put(o, "label", text_in(&f->label, l));
    json_put(o, "hint", text_in(&f->hint, l));
    json_object_set_new(o, "required", json_boolean(f->required));
    for (size_t k = 0; k < f->choice_count; k++) {
      json_t *one = json_object();
      json_put(one, "value", f->choices[k].value);
      json_put(one, "label", text_in(&f->choices[k].label, l));
      json_array_append_new(choices, one);
    }
    json_object_set_new(o, "choices", choices);
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *action_json(const struct actor *who, const struct case_row *row, const struct action *act, enum lang l) {
  json_t *o = json_object(), *reasons = json_array();
  json_put(o, "name", act->name);
  json_put(o, "title", text_in(&act->title, l));
  json_object_set_new(o, "reason", json_boolean(act->reason_required));
  for (size_t k = 0; k < act->reason_count; k++) {
    json_t *one = json_object();
    json_put(one, "code", act->reasons[k].code);
    json_put(one, "text", text_in(&act->reasons[k].text, l));
    json_array_append_new(reasons, one);
  }
  json_object_set_new(o, "reasons", reasons);
  const struct field *documents = case_adds(act) ? cases_attached(act) : NULL;
  json_object_set_new(o, "fields", documents ? texts_of_fields(&documents, 1, l) : texts_of_fields((const struct field *const *)act->fields, act->field_count, l));
  const struct actor *absent = case_in_place_of(who, row, act);
  if (absent) json_put(o, "in_place_of", absent->username);
  return o;
}

/* Until when this state's appeal or reopening is open; INT32_MIN when it has none or no limit. */
static int32_t last_day(struct cases *c, const struct case_row *row, enum action_kind kind) {
  const struct state *s = row->state_index >= 0 ? &row->def->states[row->state_index] : NULL;
  for (size_t i = 0; s && i < s->action_count; i++)
    if (s->actions[i].kind == kind) return case_last_day(c, row, kind);
  return INT32_MIN;
}

/* A citizen is not offered what would be refused as too late. */
static bool too_late(struct cases *c, const struct actor *who, const struct case_row *row, const struct action *act) {
  int32_t last = who->kind == ACTOR_CITIZEN && (act->kind == ACT_APPEAL || act->kind == ACT_REOPEN) ? case_last_day(c, row, act->kind) : INT32_MIN;
  return last != INT32_MIN && cases_today() > last;
}

static json_t *actions_json(struct cases *c, const struct actor *who, const struct case_row *row, const json_t *data, enum lang l) {
  json_t *list = json_array();
  enum err_code why;
  if (row->state_index < 0) {
    unsigned office = 1u << ROLE_OFFICER | 1u << ROLE_SUPERVISOR | 1u << ROLE_MANAGER;
    if (case_is_inquiry(row) && row->result == RESULT_OPEN && (case_roles_of(who, row) & office))
      json_array_append_new(list, json_pack("{s:s,s:s,s:b,s:[],s:[{s:s,s:s,s:s,s:s,s:b,s:[{s:s,s:s},{s:s,s:s}]}]}", "name", "reply", "title", word(l, "case.reply"),
        "reason", 0, "reasons", "fields", "name", "answer", "type", "choice", "label", word(l, "case.answer"), "hint", "", "required", 1,
        "choices", "value", "agree", "label", word(l, "case.agree"), "value", "object", "label", word(l, "case.object")));
    return list;
  }
  const struct state *s = &row->def->states[row->state_index];
  for (size_t i = 0; i < s->action_count; i++)
    if (case_may(who, row, &s->actions[i], data, &why) && !too_late(c, who, row, &s->actions[i])) json_array_append_new(list, action_json(who, row, &s->actions[i], l));
  const struct action *add = cases_action(row->def, row->state_index, "add_documents");
  if (case_adds(add) && row->result == RESULT_OPEN && row->data && case_may(who, row, add, data, &why)) json_array_append_new(list, action_json(who, row, add, l));
  return list;
}

static json_t *shown(const struct case_row *row, const json_t *data, struct arena *a, enum lang l) {
  json_t *list = json_array();
  for (size_t i = 0; row->def && i < row->def->field_count; i++) {
    const struct field *f = row->def->fields[i];
    const json_t *v = json_object_get(data, f->name);
    if (!v) continue;
    json_t *o = json_object();
    const char *text = json_is_string(v) && strstr(json_string_value(v), "•") ? json_string_value(v) : field_show(row->pack, f, v, l, a);
    json_put(o, "name", f->name);
    json_put(o, "label", text_in(&f->label, l));
    json_put(o, "text", text ? text : "");
    if (f->type == FIELD_DOCUMENT) json_object_set(o, "documents", (json_t *)v);
    json_array_append_new(list, o);
  }
  return list;
}

static void put_clock(struct cases *c, const struct case_row *row, json_t *o) {
  json_t *k = json_object();
  const struct calendar *cal = case_calendar(c, row->calendar);
  int32_t today = cases_today();
  json_put(k, "calendar", row->calendar);
  json_object_set_new(k, "stopped", json_boolean(row->stopped_ord >= 0));
  if (row->result == RESULT_OPEN && row->legal_ord < NO_ORD) {
    int64_t left = row->legal_ord - (row->stopped_ord >= 0 ? row->stopped_ord : calendar_ordinal(cal, today));
    json_object_set_new(k, "days_left", json_integer(left));
    json_object_set_new(k, "overdue", json_boolean(left < 0));
  }
  put_day(k, "state_due", case_due_day(c, row, row->state_legal_ord));
  json_object_set_new(k, "suspended_days", json_integer(row->stopped_days));
  json_object_set_new(k, "extended", json_integer(row->extended));
  json_object_set_new(o, "clock", k);
}

/* Names of the organisations asked and titles of their inquiries, in the reader's language. */
static void name_children(struct load *k, enum lang l) {
  size_t i;
  json_t *o;
  json_array_foreach(k->children, i, o) {
    struct case_row child = {.state = json_str(o, "state"), .state_index = -1, .inquiry = json_str(o, "inquiry")};
    json_put(o, "state_title", case_state_title(&child, l));
    json_object_set_new(o, "organisation", organisation_json(k->c, &k->row, json_str(o, "holder"), l));
    for (size_t q = 0; k->row.def && q < k->row.def->inquiry_count; q++)
      if (strcmp(k->row.def->inquiries[q].name, child.inquiry) == 0) json_put(o, "title", text_in(&k->row.def->inquiries[q].title, l));
  }
}

/* Who sees that something was answered, not what. */
static bool masked(enum case_right right) { return right == CASE_HELPDESK || right == CASE_COUNTER; }

static void put_full(struct load *k, const struct actor *who, enum case_right right, enum lang l, json_t *o) {
  struct case_row *row = &k->row;
  json_t *data = row->data ? json_loads(row->data, 0, NULL) : NULL;
  json_object_set_new(o, "version", json_integer(row->version));
  json_object_set_new(o, "actions", actions_json(k->c, who, row, data, l));
  if (data && !row->def && (masked(right) || right == CASE_INQUIRED)) json_object_clear(data); /* nothing says what is personal */
  if (data && row->def && masked(right)) case_mask(row->def, data);
  if (data && row->def && case_is_inquiry(row) && (right == CASE_INQUIRED || masked(right))) {
    json_t *part = shown_to_inquired(row, data);
    json_decref(data);
    data = part;
  }
  json_object_set_new(o, "answers", shown(row, data, k->arena, l));
  json_object_set_new(o, "data", data ? data : json_null());
  json_put(o, "right", cases_right_name(who, right));
  json_put(o, "plain", row->state_index >= 0 ? text_in(&row->def->states[row->state_index].plain, l) : "");
  json_put(o, "submitted_by", row->submitted_by);
  bool by_mandate = strcmp(row->submitted_by, "mandate") == 0;
  json_put(o, "submitter", by_mandate || (right == CASE_CITIZEN && strcmp(row->submitted_by, "self") == 0) ? NULL : row->submitter);
  json_put(o, "intake", intake_text((enum intake)row->intake));
  json_put(o, "assurance", assurance_text((enum assurance)row->assurance));
  json_put(o, "owner", row->owner);
  json_put(o, "provider", row->provider);
  json_put(o, "assignee", row->assignee[0] ? row->assignee : NULL);
  if (k->assignee_away) {
    json_t *away = json_object();
    put_day(away, "until", k->away.until);
    json_put(away, "deputy", k->away.deputy);
    json_object_set_new(o, "assignee_away", away);
  }
  json_put(o, "letter_no", row->letter_no[0] ? row->letter_no : NULL);
  json_put(o, "letter_date", row->letter_date[0] ? row->letter_date : NULL);
  json_object_set_new(o, "appealed", json_boolean(row->appealed));
  json_object_set_new(o, "rating", row->rating ? json_integer(row->rating) : json_null());
  if (case_is_inquiry(row)) {
    json_put(o, "inquiry", row->inquiry);
    for (size_t i = 0; row->def && i < row->def->inquiry_count; i++)
      if (strcmp(row->def->inquiries[i].name, row->inquiry) == 0) {
        json_put(o, "inquiry_title", text_in(&row->def->inquiries[i].title, l));
        json_put(o, "plain", text_in(&row->def->inquiries[i].question, l));
      }
  }
  if (right == CASE_STAFF || right == CASE_AUDITOR) json_object_set(o, "remarks", k->remarks);
  if (sees_internal(right) || right == CASE_CITIZEN || right == CASE_CONSENT || right == CASE_INQUIRED) json_object_set(o, "documents", k->documents);
  if (right == CASE_STAFF) json_object_set_new(o, "new_documents", json_integer(case_new_documents(k->events)));
  name_children(k, l);
  json_object_set(o, "children", k->children);
  if (right != CASE_INQUIRED && right != CASE_HELPDESK) {
    json_object_set(o, "complaints", k->complaints ? k->complaints : json_null());
    if (k->about) json_object_set(o, "about", k->about);
  }
  put_day(o, "appeal_until", last_day(k->c, row, ACT_APPEAL));
  put_day(o, "reopen_until", last_day(k->c, row, ACT_REOPEN));
  put_clock(k->c, row, o);
}

static json_t *person_json(const struct case_row *row, const char *field, enum lang l) {
  (void)l;
  json_t *o = json_object();
  json_t *data = row->data ? json_loads(row->data, 0, NULL) : NULL;
  char out[32] = "";
  const char *id = field ? json_str(data, field) : NULL;
  if (id) identifier_mask(IDENT_NATIONAL_ID, id, out);
  json_put(o, "national_id", id ? out : NULL);
  json_decref(data);
  return o;
}

static const char *action_title(const struct case_row *row, const char *action, enum lang l, struct arena *a) {
  for (size_t i = 0; row->def && i < row->def->state_count; i++)
    for (size_t k = 0; k < row->def->states[i].action_count; k++)
      if (strcmp(row->def->states[i].actions[k].name, action) == 0) return text_in(&row->def->states[i].actions[k].title, l);
  const char *key = arena_printf(a, "case.event.%s", action);
  return key && word_known(key) ? word(l, key) : action;
}

/* Under which mandate somebody acted, and who: masked. */
static void put_mandate(json_t *e, const json_t *m) {
  if (m) json_object_set_new(e, "mandate", json_pack("{s:s?,s:s?}", "tracking", json_str(m, "tracking"), "attorney", json_str(m, "attorney")));
}

/* What the reader may know of each event, in place of its payload. */
static void show_events(struct load *k, enum case_right right, enum lang l) {
  size_t i;
  json_t *e;
  json_array_foreach(k->events, i, e) {
    struct case_row at = k->row;
    at.state = json_str(e, "to");
    at.state_index = at.def && !case_is_inquiry(&at) ? service_state(at.def, at.state) : -1;
    json_put(e, "state_title", case_state_title(&at, l));
    json_put(e, "title", action_title(&k->row, json_str(e, "action"), l, k->arena));
    json_t *p = json_object_get(e, "payload");
    if (right == CASE_PUBLIC) {
      json_object_del(e, "role");
    } else {
      if (right != CASE_INQUIRED && !masked(right)) put_mandate(e, json_object_get(p, "mandate"));
      if (right != CASE_INQUIRED) json_object_set(e, "comment", json_object_get(p, "comment") ? json_object_get(p, "comment") : json_null());
      json_object_set(e, "reason", json_object_get(p, "reason") ? json_object_get(p, "reason") : json_null());
      if (!masked(right) && right != CASE_INQUIRED && strcmp(json_str(e, "action"), "submit") != 0 && json_object_get(p, "data")) json_object_set(e, "data", json_object_get(p, "data"));
      const char *what = json_str(e, "action");
      bool colleagues = strcmp(what, "inquiry_reply") == 0, own = strcmp(what, "reply") == 0; /* what came with an answer is for offices */
      if (!masked(right) && (right != CASE_INQUIRED || own) && (!colleagues || sees_internal(right)) && json_object_get(p, CASES_ATTACHED)) json_object_set(e, CASES_ATTACHED, json_object_get(p, CASES_ATTACHED));
      if (!masked(right) && right != CASE_INQUIRED && json_object_get(p, "filed")) json_object_set(e, "filed", json_object_get(p, "filed"));
      if (!masked(right) && right != CASE_INQUIRED && json_object_get(p, "sources")) json_object_set(e, "sources", json_object_get(p, "sources"));
      if (right == CASE_STAFF || right == CASE_AUDITOR) json_object_set(e, "who", json_object_get(p, "who") ? json_object_get(p, "who") : json_null());
      if ((right == CASE_STAFF || right == CASE_AUDITOR) && json_object_get(p, "for")) json_object_set(e, "for", json_object_get(p, "for"));
      if ((right == CASE_STAFF || right == CASE_AUDITOR) && json_object_get(p, "deputies")) json_object_set(e, "deputies", json_object_get(p, "deputies"));
    }
    json_object_del(e, "payload");
  }
}

int cases_get(struct cases *c, const struct actor *who, const char *tracking, enum lang l, json_t **out, struct err *err) {
  struct load k = {.c = c, .who = who, .tracking = tracking, .lang = l};
  int rc = -1;
  char etag[80], extra[64];
  k.want_remarks = who->kind == ACTOR_STAFF;
  k.want_documents = who->kind != ACTOR_NOBODY;
  if (load_all(&k, who->kind != ACTOR_NOBODY, err)) goto out;
  json_t *o = json_object();
  put_public(c, &k.row, l, o);
  enum case_right right = case_right_of(who, &k.row);
  if (right != CASE_PUBLIC) {
    put_full(&k, who, right, l, o);
    show_events(&k, right, l);
    json_object_set(o, "events", k.events);
    if (!(case_is_inquiry(&k.row) && (right == CASE_INQUIRED || masked(right))) && k.row.def) {
      json_object_set_new(o, "applicant", person_json(&k.row, k.row.def->applicant_field, l));
      json_object_set_new(o, "beneficiary", person_json(&k.row, k.row.def->beneficiary_field ? k.row.def->beneficiary_field : k.row.def->applicant_field, l));
    }
  }
  /* The whole view tells days, places in the ledger and remarks, which change without the case. */
  snprintf(extra, sizeof extra, "-full-%lld-%lld-%zu-%d%u", (long long)cases_today(), (long long)k.unplaced, json_array_size(k.remarks), k.assignee_away,
           k.row.standing ? k.row.standing->count : 0);
  case_etag(c, &k.row, l, right == CASE_PUBLIC ? "" : extra, etag);
  json_put(o, "etag", etag);
  *out = o;
  rc = 0;
out:
  load_free(&k);
  return rc;
}

/* ---- history and proofs ---- */

int cases_events(struct cases *c, const struct actor *who, const char *tracking, int64_t after, int limit, enum lang l, json_t **out, const char **right,
                 struct err *err) {
  struct load k = {.c = c, .who = who, .tracking = tracking, .after = after, .limit = limit + 1};
  int rc = load_all(&k, true, err);
  if (rc == 0) {
    enum case_right mine = case_right_of(who, &k.row);
    bool more = (int)json_array_size(k.events) > limit;
    if (more) json_array_remove(k.events, (size_t)limit);
    show_events(&k, mine, l);
    char next[24];
    snprintf(next, sizeof next, "%lld", (long long)json_int(json_array_get(k.events, json_array_size(k.events) - 1), "seq", 0));
    if (right) *right = cases_right_name(who, mine);
    *out = json_object();
    json_object_set(*out, "items", k.events);
    json_put(*out, "next", more ? next : NULL);
  }
  load_free(&k);
  return rc;
}

struct leaf_query {
  const char *tracking;
  int64_t seq, at;
  unsigned char leaf[TRUST_HASH];
  json_t *out;
};

static int leaf_work(struct store_tx *tx, void *arg, struct err *err) {
  struct leaf_query *k = arg;
  struct store_rows *r = store_select(tx, err, "SELECT at,leaf_hash,header,salt,payload FROM " CASE_EVENTS "WHERE seq=?2", "ti", k->tracking, k->seq);
  if (!r) return -1;
  int rc = store_next(r, err);
  size_t n = 0;
  if (rc == 1) {
    k->at = store_int(r, 0);
    const void *p = store_blob(r, 1, &n);
    if (p && n == TRUST_HASH) memcpy(k->leaf, p, n);
    k->out = json_object();
    char hex[65] = "";
    p = store_blob(r, 3, &n);
    if (p && n == TRUST_SALT) hex_encode(p, n, hex);
    json_put(k->out, "header", store_text(r, 2));
    json_put(k->out, "salt", hex[0] ? hex : NULL);
    json_put(k->out, "payload", store_text(r, 4));
  }
  store_done(r);
  if (rc < 0) return -1;
  return rc == 1 ? 0 : err_set(err, ERR_NOT_FOUND, "no such case");
}

int cases_receipt(struct cases *c, const char *tracking, json_t **out, struct err *err) {
  struct leaf_query k = {.tracking = tracking, .seq = 1};
  if (store_read(c->store, leaf_work, &k, err)) return -1;
  json_decref(k.out);
  return trust_receipt(c->trust, k.leaf, k.at, out, err);
}

int cases_leaf(struct cases *c, const struct actor *who, const char *tracking, int64_t seq, json_t **out, const char **right_name, struct err *err) {
  struct load l = {.c = c, .who = who, .tracking = tracking};
  int rc = load_all(&l, false, err);
  enum case_right right = rc ? CASE_PUBLIC : case_right_of(who, &l.row);
  load_free(&l);
  if (rc) return -1;
  if (right != CASE_CITIZEN && right != CASE_STAFF && right != CASE_AUDITOR) return err_set(err, ERR_NOT_FOUND, "no such case");
  struct leaf_query k = {.tracking = tracking, .seq = seq};
  if (store_read(c->store, leaf_work, &k, err)) return -1;
  *out = k.out;
  if (right_name) *right_name = cases_right_name(who, right);
  return 0;
}
