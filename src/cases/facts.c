/* A case told for statistics: its events in order, each with the clocks as it found them. The clocks are run again from the history, under
 * the text that the case began with, so that the same history always tells the same. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

struct telling {
  struct cases *c;
  struct arena *a;
  struct case_row *row;    /* as it is now */
  struct case_row clock;   /* as it was: only what clocks need */
  struct case_facts *out;
  const char *holder;
  size_t room;
};

static enum result result_at(const struct case_row *row, const char *state) {
  if (case_is_inquiry(row)) return state[0] && strcmp(state, INQUIRY_OPEN) != 0 ? RESULT_CLOSED : RESULT_OPEN;
  int i = row->def ? service_state(row->def, state) : -1;
  return i >= 0 ? row->def->states[i].result : RESULT_OPEN;
}

static void clocks_of_action(struct cases *c, struct case_row *k, enum action_kind kind, int64_t at) {
  const struct service *def = k->def;
  int64_t now = case_ord(c, k, at);
  if (kind == ACT_EXTEND && k->legal_ord < NO_ORD) k->legal_ord += def->extension_days;
  if (kind == ACT_APPEAL) {
    k->norm_ord = NO_ORD;
    k->legal_ord = def->appeal_legal > 0 ? now + def->appeal_legal : NO_ORD;
  }
  if (kind == ACT_REOPEN) {
    k->norm_ord = def->norm >= 0 ? now + def->norm : NO_ORD;
    k->legal_ord = def->legal >= 0 ? now + def->legal : NO_ORD;
  }
}

static const struct action *action_of(const struct case_row *row, const struct case_step *s) {
  int from = row->def && !case_is_inquiry(row) ? service_state(row->def, s->from) : -1;
  return from >= 0 ? service_action(row->def, from, s->action) : NULL;
}

/* Where the event leads: the state, the clocks, the desk. */
static void move(struct telling *t, struct case_step *s, const char *sent_to) {
  const struct action *act = s->seq > 1 ? action_of(t->row, s) : NULL;
  struct case_row *k = &t->clock;
  s->kind = act ? act->kind : ACT_OWN;
  s->ord = case_ord(t->c, k, s->at);
  s->state_ord = s->seq > 1 ? case_ord(t->c, k, k->state_at) : s->ord;
  s->norm_ord = k->norm_ord;
  s->legal_ord = k->legal_ord;
  s->before = s->seq > 1 ? result_at(t->row, s->from) : RESULT_OPEN;
  s->after = result_at(t->row, s->to);
  s->stopped_before = k->stopped_ord >= 0;
  s->holder_before = t->holder;
  if (sent_to && (s->kind == ACT_TRANSFER || s->kind == ACT_REFER)) t->holder = sent_to;
  s->holder = t->holder;
  if (case_is_inquiry(t->row) || !t->row->def) {
    if (strcmp(s->from, s->to) != 0) k->state_at = s->at;
    return;
  }
  clocks_of_action(t->c, k, s->kind, s->at);
  int to = service_state(k->def, s->to);
  if (to >= 0 && s->seq > 1 && (strcmp(s->from, s->to) != 0 || (act && act->to >= 0))) cases_set_state(t->c, k, to, s->at);
}

static int tell(struct telling *t, const struct store_rows *r, struct err *err) {
  struct case_facts *f = t->out;
  if (f->count == t->room) return err_set(err, ERR_LIMIT, "a case has more events than statistics look at");
  struct case_step *s = &f->steps[f->count++];
  s->seq = store_int(r, 0);
  s->action = arena_strdup(t->a, store_text(r, 1));
  s->at = store_int(r, 2);
  s->from = arena_strdup(t->a, store_text(r, 3));
  s->to = arena_strdup(t->a, store_text(r, 4));
  s->role = arena_strdup(t->a, store_text(r, 5));
  json_t *p = s->seq > 1 && !store_null(r, 6) ? json_loads(store_text(r, 6), 0, NULL) : NULL;
  const char *who = json_str(p, "who"), *reason = json_str(p, "reason"), *to = json_str(p, "to");
  bool staff = s->role && role_parse(s->role) >= ROLE_OFFICER && role_parse(s->role) <= ROLE_MANAGER;
  if (s->role && role_parse(s->role) == ROLE_PROVIDER) staff = true;
  s->who = staff && who ? arena_strdup(t->a, who) : "";
  s->reason = reason ? arena_strdup(t->a, reason) : "";
  s->score = (int)json_int(p, "score", 0);
  const char *sent = to ? arena_strdup(t->a, to) : NULL;
  json_decref(p);
  if (!s->action || !s->from || !s->to || !s->role || !s->who || !s->reason) return err_set(err, ERR_LIMIT, "the case is larger than statistics look at");
  move(t, s, sent);
  return 0;
}

/* County and setting of the answers; "" and 0 where they name no place, or are erased. */
static void find_place(struct case_row *row, const json_t *data, struct case_facts *out) {
  const struct directory *d = pack_directory(row->pack);
  out->place = "";
  for (size_t i = 0; row->def && i < row->def->field_count; i++) {
    const json_t *v = row->def->fields[i]->type == FIELD_PLACE ? json_object_get(data, row->def->fields[i]->name) : NULL;
    const struct place *p = json_is_string(v) ? directory_place(d, directory_find_place(d, json_string_value(v))) : NULL;
    if (!p) continue;
    const struct place *county = directory_place(d, directory_ancestor(d, directory_find_place(d, p->code), PLACE_COUNTY));
    if (county && !out->place[0]) out->place = county->code;
    if (p->kind == PLACE_VILLAGE) out->setting = 'r';
    else if (p->kind == PLACE_CITY || p->kind == PLACE_ZONE) out->setting = 'u';
  }
}

static const char *first_holder(struct cases *c, const struct case_row *row, const json_t *data, bool moved) {
  struct err ignored;
  if (!moved || case_is_inquiry(row) || !row->def || !data) return row->holder;
  int owner = row->def->provider >= 0 ? row->def->provider : service_owner(row->pack, row->def, data, &ignored);
  const struct organisation *o = directory_organisation(pack_directory(row->pack), owner);
  return o ? o->code : row->holder;
}

static void put_now(struct telling *t, struct case_facts *out) {
  const struct case_row *row = t->row;
  out->tracking = row->tracking;
  out->service = row->service;
  out->version = row->service_version;
  out->owner = row->owner;
  out->holder = row->holder;
  out->assignee = row->assignee;
  out->state = row->state;
  out->calendar = row->calendar;
  out->intake = (enum intake)row->intake;
  out->inquiry = case_is_inquiry(row);
  out->open = row->result == RESULT_OPEN;
  out->stopped = row->stopped_ord >= 0;
  out->appealed = row->appealed != 0;
  out->submitted_at = row->submitted_at;
  out->submitted_ord = case_ord(t->c, row, row->submitted_at);
  out->legal_ord = row->legal_ord < NO_ORD ? row->legal_ord : CASE_NO_LIMIT;
  out->def = row->def;
  out->pack = row->pack;
}

static int tell_all(struct telling *t, struct store_tx *tx, struct err *err) {
  struct case_facts *f = t->out;
  struct store_rows *r = store_select(tx, err, "SELECT seq,action,at,from_state,to_state,role,payload FROM " CASE_EVENTS "ORDER BY seq", "t", t->row->tracking);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1)
    if ((rc = tell(t, r, err))) break;
  store_done(r);
  for (size_t i = 0; i < f->count; i++) {
    if (f->steps[i].norm_ord >= NO_ORD) f->steps[i].norm_ord = CASE_NO_LIMIT;
    if (f->steps[i].legal_ord >= NO_ORD) f->steps[i].legal_ord = CASE_NO_LIMIT;
  }
  return rc;
}

int cases_facts(struct cases *c, struct store_tx *tx, const char *tracking, struct arena *a, struct case_facts *out, struct err *err) {
  struct case_row *row = arena_alloc(a, sizeof *row);
  memset(out, 0, sizeof *out);
  if (!row) return err_set(err, ERR_LIMIT, "the case is larger than statistics look at");
  if (case_load(c, tx, a, tracking, row, err)) return -1;
  struct telling t = {.c = c, .a = a, .row = row, .out = out, .room = (size_t)row->version + 1};
  int64_t moved = 0;
  out->steps = arena_alloc(a, t.room * sizeof *out->steps);
  if (!out->steps) return err_set(err, ERR_LIMIT, "the case is larger than statistics look at");
  if (row->owner[0] && store_value(tx, &moved, 0, err, "SELECT COUNT(*) FROM case_event WHERE " OF_CASE " AND payload LIKE '%\"to\":%'", "t", tracking)) return -1;
  out->data = row->data ? json_loads(row->data, 0, NULL) : NULL;
  find_place(row, out->data, out);
  t.holder = first_holder(c, row, out->data, moved > 0);
  t.clock = (struct case_row){.def = row->def, .pack = row->pack, .calendar = row->calendar, .state = row->first.state, .prior_state = "", .stopped_ord = -1,
                              .state_index = row->def && !out->inquiry ? service_state(row->def, row->first.state) : -1, .inquiry = row->inquiry,
                              .state_at = row->submitted_at, .norm_ord = NO_ORD, .legal_ord = NO_ORD, .next_ord = NO_ORD, .state_legal_ord = NO_ORD};
  if (row->def && !case_is_inquiry(row)) {
    case_stamp(c, &t.clock, row->submitted_at);
    int start = service_state(row->def, row->first.state);
    if (start >= 0) cases_set_state(c, &t.clock, start, row->submitted_at);
  }
  put_now(&t, out);
  if (tell_all(&t, tx, err) == 0) return 0;
  json_decref(out->data);
  out->data = NULL;
  return -1;
}

bool cases_calendar_works(struct cases *c, const char *calendar, int32_t day) { return calendar_works(case_calendar(c, calendar), day); }
int64_t cases_ordinal(struct cases *c, const char *calendar, int32_t day) { return calendar_ordinal(case_calendar(c, calendar), day); }
