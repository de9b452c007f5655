#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

struct act_job {
  struct cases *c;
  struct case_act *a;
  unsigned char key_hash[32], body_hash[32];
  bool has_key;
  store_done_fn done;
  void *arg;
};

/* What one attempt of the work carries from step to step. */
struct step {
  struct cases *c;
  struct store_tx *tx;
  struct arena *arena;
  struct case_act *a;
  struct case_row row;
  const struct action *act;
  json_t *given, *data;      /* data of the request without the fixed members; validated */
  json_t *attached;          /* documents that go with the action, or NULL */
  const char *assignee, *to, *unit, *letter_no, *letter_date; /* fixed members */
  const struct actor *absent; /* in whose place it is done, or NULL */
  int64_t at;
};

/* ---- effects elsewhere ---- */

static int release(struct store_tx *tx, const struct case_row *row, struct err *err) {
  if (!row->def->one_open_per_person || !row->applicant[0]) return 0;
  char name[192];
  snprintf(name, sizeof name, "open:%s:%s", row->service, row->applicant);
  return store_put(tx, err, "DELETE FROM case_reservation WHERE name=?1 AND tracking=?2", "tt", name, row->tracking);
}

/* A closed case that opens again takes its place back, unless another has it now. */
static int reserve_again(struct store_tx *tx, const struct case_row *row, struct err *err) {
  if (!row->def->one_open_per_person || !row->applicant[0]) return 0;
  char name[192];
  int64_t others = 0;
  snprintf(name, sizeof name, "open:%s:%s", row->service, row->applicant);
  int n = store_exec(tx, err, "INSERT INTO case_reservation (name,tracking) VALUES (?1,?2) ON CONFLICT DO NOTHING", "tt", name, row->tracking);
  if (n != 0) return n < 0 ? -1 : 0;
  if (store_value(tx, &others, 0, err, "SELECT COUNT(*) FROM case_reservation WHERE name=?1 AND tracking<>?2", "tt", name, row->tracking)) return -1;
  return others ? err_set(err, ERR_CONFLICT, "this person already has an open request for this service") : 0;
}

static int ask_others(struct store_tx *tx, struct case_row *row, const json_t *data, int64_t at, struct err *err) {
  size_t asked = 0;
  for (size_t i = 0; i < row->def->inquiry_count; i++) {
    const struct inquiry *q = &row->def->inquiries[i];
    if (!cond_holds(q->when, data)) continue;
    json_t *p = json_object();
    json_put(p, "inquiry", q->name);
    if (case_outbox_put(tx, "inquiry", row->tracking, row->version, q->name, p, at, err)) return -1;
    asked++;
  }
  if (asked) return 0;
  return case_outbox_put(tx, "replied", row->tracking, row->version, "none", json_object(), at, err);
}

/* Who was asked, or is about to be, need not answer any more. */
static int ask_no_more(struct store_tx *tx, const struct case_row *row, int64_t at, struct err *err) {
  int64_t asked = 0, asking = 0;
  if (!row->def->inquiry_count) return 0;
  if (store_value(tx, &asked, 0, err, "SELECT COUNT(*) FROM case_child WHERE parent=?1 AND open=1", "t", row->tracking) ||
      case_asking(tx, row->tracking, &asking, err))
    return -1;
  return asked || asking ? case_outbox_put(tx, "cancel", row->tracking, row->version, "cancel", json_object(), at, err) : 0;
}

/* Back where answers are awaited: they may all have come meanwhile. */
static int ask_again_whether_answered(struct store_tx *tx, const struct case_row *row, int64_t at, struct err *err) {
  const struct state *s = row->state_index >= 0 ? &row->def->states[row->state_index] : NULL;
  for (size_t i = 0; s && i < s->action_count; i++)
    if (s->actions[i].kind == ACT_REPLY && s->actions[i].to >= 0)
      return case_outbox_put(tx, "replied", row->tracking, row->version, "none", json_object(), at, err);
  return 0;
}

int case_after(struct cases *c, struct store_tx *tx, struct arena *a, struct case_row *row, const struct action *act, const char *payload, int64_t at,
               struct err *err) {
  int rc = -1;
  json_t *data = row->data ? json_loads(row->data, 0, NULL) : json_object();
  if (act->kind == ACT_INQUIRE && ask_others(tx, row, data, at, err)) goto out;
  if ((act->kind == ACT_RESUME || act->kind == ACT_PROVIDE_INFO) && ask_again_whether_answered(tx, row, at, err)) goto out;
  if ((act->kind == ACT_APPEAL || act->kind == ACT_REOPEN) && row->result == RESULT_OPEN && reserve_again(tx, row, err)) goto out;
  if (case_mandate_turn(tx, row, at, err)) goto out;
  if (row->result != RESULT_OPEN) {
    if (release(tx, row, err) || case_complaint_release(tx, row, data, err) || ask_no_more(tx, row, at, err)) goto out;
    if (row->result == RESULT_APPROVED && row->def->record.registry &&
        case_outbox_put(tx, "record", row->tracking, row->version, "record", json_object(), at, err))
      goto out;
    if (row->result == RESULT_APPROVED && row->def->grant.present && case_outbox_put(tx, "grant", row->tracking, row->version, "grant", json_object(), at, err)) goto out;
    if (c->o.certificate && row->def->certificate.present && c->o.certificate(c->o.certificate_ctx, tx, row->tracking, at, err)) goto out;
  }
  rc = 0;
out:
  json_decref(data);
  return rc;
}

/* ---- the parts of an action ---- */

static const char *fixed(struct step *s, const char *name) {
  if (s->given) {
    for (size_t i = 0; s->act && i < s->act->field_count; i++)
      if (strcmp(s->act->fields[i]->name, name) == 0) return json_str(s->given, name);
  }
  const char *v = arena_strdup(s->arena, json_str(s->given, name));
  if (v) json_object_del(s->given, name);
  return v;
}

static int refuse(struct step *s, enum err_code code, const char *word_key, const char *message, struct err *err) {
  s->a->detail = word_key;
  return err_set(err, code, "%s", message);
}

static int refuse_field(struct step *s, const char *field, const char *code, const char *word_key, const char *message, struct err *err) {
  s->a->errors = json_pack("[{s:s,s:s,s:s}]", "field", field, "code", code, "message", word(s->a->lang, word_key));
  return refuse(s, ERR_INVALID, word_key, message, err);
}

static int check_reason(struct step *s, struct err *err) {
  const struct action *act = s->act;
  const char *reason = s->a->reason;
  if (reason && reason[0] && act->reason_count) {
    for (size_t i = 0; i < act->reason_count; i++)
      if (strcmp(act->reasons[i].code, reason) == 0) return 0;
    return refuse_field(s, "reason", "choice", "case.reason_unknown", "the reason is not on this action's list", err);
  }
  if (!act->reason_required) return 0;
  if ((s->a->comment && s->a->comment[0]) || (reason && reason[0])) return 0;
  return refuse_field(s, "comment", "required", "case.reason_required", "this action needs a reason", err);
}

static int do_assign(struct step *s, struct err *err) {
  const char *to = s->assignee ? s->assignee : s->a->actor.username;
  if (strcmp(to, "none") == 0) {
    s->row.assignee = "";
    return 0;
  }
  struct away away;
  int absent = case_absent(s->tx, to, s->row.holder, &away, err);
  if (absent < 0) return -1;
  if (absent) return refuse_field(s, "assignee", "absent", strcmp(to, s->a->actor.username) == 0 ? "absence.yourself" : "absence.assignee", "who is away gets no new work", err);
  if (strcmp(to, s->a->actor.username) != 0) {
    int known = identity_handles(s->tx, to, s->row.holder, err);
    if (known < 0) return -1;
    if (!known) return refuse_field(s, "assignee", "choice", "case.assignee_unknown", "nobody of that name works on this organisation's cases", err);
  }
  s->row.assignee = to;
  return 0;
}

/* The search words move with the case to the desk that now holds it. */
static int move_desk(struct step *s, const char *to, struct err *err) {
  if (store_put(s->tx, err,
        "INSERT INTO case_term (organisation,term,ord,tracking) SELECT ?1,term,ord,tracking FROM case_term "
        "WHERE organisation=?2 AND tracking=?3 ON CONFLICT DO NOTHING", "ttt", to, s->row.holder, s->row.tracking))
    return -1;
  if (store_put(s->tx, err, "UPDATE case_undelivered SET organisation=?1 WHERE tracking=?2 AND noted_at=0", "tt", to, s->row.tracking)) return -1;
  s->row.holder = to;
  s->row.assignee = "";
  return case_desk_calendar(s->c, s->tx, to, s->row.calendar, err);
}

static int to_unit(struct step *s, struct err *err) {
  int there = identity_unit_there(s->tx, s->row.holder, s->unit, err);
  if (there < 0) return -1;
  if (!there) return refuse_field(s, "unit", "choice", "case.unit_unknown", "the holder has no such unit", err);
  return store_put(s->tx, err, "INSERT INTO case_unit (tracking,organisation,unit) VALUES (?1,?2,?3) ON CONFLICT (tracking) "
                   "DO UPDATE SET organisation=excluded.organisation,unit=excluded.unit", "ttt", s->row.tracking, s->row.holder, s->unit);
}

static int do_send(struct step *s, bool transfer, struct err *err) {
  const struct directory *d = pack_directory(s->c->pack);
  const struct organisation *to = s->to ? directory_organisation(d, directory_find_organisation(d, s->to)) : NULL;
  if (!to) {
    if (s->to || transfer) return refuse_field(s, "to", "choice", "case.organisation_unknown", "name the organisation that it goes to", err);
    s->row.assignee = ""; /* referred inside the house: back to the queue, of a unit where one is named */
    return s->unit ? to_unit(s, err) : 0;
  }
  if (s->unit) return refuse_field(s, "unit", "choice", "case.unit_or_organisation", "a unit is one of one's own house", err);
  if (transfer) s->row.owner = s->row.provider = to->code;
  return move_desk(s, to->code, err);
}

static int check_suspension(struct step *s, struct err *err) {
  int64_t left = s->row.def->suspension_days - s->row.stopped_days;
  if (s->act->kind == ACT_SUSPEND && left <= 0) return refuse(s, ERR_CONFLICT, "case.suspension_used", "the case has been suspended as long as its service allows", err);
  return 0;
}

static int do_extend(struct step *s, struct err *err) {
  const struct service *def = s->row.def;
  if (s->row.extended >= def->extension_times || def->extension_days <= 0)
    return refuse(s, ERR_CONFLICT, "case.extension_used", "the deadline has been extended as often as its service allows", err);
  s->row.extended++;
  if (s->row.legal_ord < NO_ORD) s->row.legal_ord += def->extension_days;
  if (s->row.state_legal_ord < NO_ORD) s->row.state_legal_ord += def->extension_days;
  return 0;
}

static int do_appeal(struct step *s, struct err *err) {
  const struct service *def = s->row.def;
  const struct calendar *cal = case_calendar(s->c, s->row.calendar);
  int64_t now = case_ord(s->c, &s->row, s->at);
  if (def->appeal_days <= 0) return refuse(s, ERR_CONFLICT, "case.no_appeal", "this service has no appeal", err);
  if (s->row.closed_at && now > calendar_ordinal(cal, day_of(s->row.closed_at)) + def->appeal_days)
    return refuse(s, ERR_CONFLICT, "case.appeal_late", "the time to appeal has passed", err);
  if (!(s->row.decider = arena_printf(s->arena, "%s|", s->row.decider))) return err_set(err, ERR_LIMIT, "the request is too large");
  s->row.appealed = 1;
  s->row.assignee = "";
  s->row.extended = 0;
  s->row.start_day = day_of(s->at);
  s->row.norm_ord = NO_ORD;
  s->row.legal_ord = def->appeal_legal > 0 ? now + def->appeal_legal : NO_ORD;
  return 0;
}

int32_t case_last_day(struct cases *c, const struct case_row *row, enum action_kind kind) {
  int days = !row->def || !row->closed_at ? 0 : kind == ACT_APPEAL ? row->def->appeal_days : kind == ACT_REOPEN ? row->def->reopen_days : 0;
  const struct calendar *cal = case_calendar(c, row->calendar);
  return days > 0 ? calendar_day(cal, (int32_t)(calendar_ordinal(cal, day_of(row->closed_at)) + days)) : INT32_MIN;
}

/* Citizens reopen for a while and not for ever; the office may whenever it finds a mistake. */
static int may_reopen(struct step *s, struct err *err) {
  int64_t times = 0;
  int32_t last = case_last_day(s->c, &s->row, ACT_REOPEN);
  if (s->a->actor.kind != ACTOR_CITIZEN || last == INT32_MIN) return 0;
  if (day_of(s->at) > last) return refuse(s, ERR_CONFLICT, "case.reopen_late", "the time to reopen has passed", err);
  if (store_value(s->tx, &times, 0, err, "SELECT COUNT(*) FROM case_event WHERE tracking=?1 AND action='reopen' AND role='applicant'", "t", s->row.tracking)) return -1;
  return times < s->row.def->reopen_times ? 0 : refuse(s, ERR_CONFLICT, "case.reopen_often", "this case was reopened as often as it may", err);
}

/* Whoever had it has it again, when they still work there. */
static int do_reopen(struct step *s, struct err *err) {
  const struct service *def = s->row.def;
  if (may_reopen(s, err)) return -1;
  int there = s->row.assignee[0] ? identity_handles(s->tx, s->row.assignee, s->row.holder, err) : 1;
  if (there < 0) return -1;
  if (!there) s->row.assignee = "";
  int64_t now = case_ord(s->c, &s->row, s->at);
  s->row.start_day = day_of(s->at);
  s->row.norm_ord = def->norm >= 0 ? now + def->norm : NO_ORD;
  s->row.legal_ord = def->legal >= 0 ? now + def->legal : NO_ORD;
  return 0;
}

static int effect(struct step *s, struct err *err) {
  switch (s->act->kind) {
  case ACT_ASSIGN: return do_assign(s, err);
  case ACT_REFER: return do_send(s, false, err);
  case ACT_TRANSFER: return do_send(s, true, err);
  case ACT_SUSPEND:
  case ACT_REQUEST_INFO: return check_suspension(s, err);
  case ACT_EXTEND: return do_extend(s, err);
  case ACT_APPEAL: return do_appeal(s, err);
  case ACT_REOPEN: return do_reopen(s, err);
  case ACT_APPROVE:
  case ACT_REJECT: {
    const char *name = s->a->actor.kind == ACTOR_STAFF ? s->a->actor.username : "system", *before = s->row.decider;
    const char *by = arena_printf(s->arena, "%s%s%s%s%s", before, before[0] && before[strlen(before) - 1] != '|' ? " " : "", name, s->absent ? "=" : "",
                                  s->absent ? s->absent->username : "");
    if (!by) return err_set(err, ERR_LIMIT, "the request is too large");
    s->row.decider = by;
    return 0;
  }
  case ACT_PROVIDE_INFO: {
    json_t *all = s->row.data ? json_loads(s->row.data, 0, NULL) : json_object();
    if (s->data) json_object_update(all, s->data);
    char *text = json_canonical(all);
    s->row.data = arena_strdup(s->arena, text);
    s->row.changed = true;
    free(text);
    json_decref(all);
    return 0;
  }
  default: return 0;
  }
}

static int next_state(const struct step *s) {
  if (s->act->to >= 0) return s->act->to;
  if (s->act->kind == ACT_RESUME || s->act->kind == ACT_PROVIDE_INFO) return service_state(s->row.def, s->row.prior_state);
  return -1;
}

static char *payload_of(const struct step *s) {
  json_t *p = json_object();
  const struct actor *who = &s->a->actor;
  json_put(p, "comment", s->a->comment && s->a->comment[0] ? s->a->comment : NULL);
  json_put(p, "reason", s->a->reason && s->a->reason[0] ? s->a->reason : NULL);
  if (s->data && json_object_size(s->data)) json_object_set(p, "data", s->data);
  if (s->assignee) json_put(p, "assignee", s->assignee);
  if (s->to) json_put(p, "to", s->to);
  if (s->unit) json_put(p, "unit", s->unit);
  if (s->letter_no) json_put(p, "letter_no", s->letter_no);
  if (s->letter_date) json_put(p, "letter_date", s->letter_date);
  if (s->absent) json_put(p, "for", s->absent->username);
  if (s->attached) json_object_set(p, "documents", s->attached);
  json_put(p, "who", who->kind == ACTOR_STAFF ? who->username : who->kind == ACTOR_CITIZEN ? who->pair : "system");
  if (who->kind == ACTOR_CITIZEN && who->username[0]) json_put(p, "agent", who->username); /* at a counter, by the citizen's code */
  case_put_mandate(p, who);
  char *text = json_canonical(p);
  json_decref(p);
  return text;
}

static const char *organisation_of(const struct step *s) {
  const struct actor *who = &s->a->actor;
  if (who->kind != ACTOR_STAFF) return "";
  if (actor_in(who, s->row.holder)) return s->row.holder;
  return who->role_count ? who->roles[0].organisation : "";
}

static void document_faults(struct step *s) {
  s->a->errors = json_array();
  for (size_t i = 0; i < s->act->field_count; i++)
    if (s->act->fields[i]->type == FIELD_DOCUMENT && json_array_size(json_object_get(s->data, s->act->fields[i]->name)))
      json_array_append_new(s->a->errors, json_pack("{s:s,s:s,s:s}", "field", s->act->fields[i]->name, "code", "document", "message", word(s->a->lang, "case.document")));
}

static int bind_attached(struct step *s, struct err *err) {
  if (case_bind_ids(s->tx, s->attached, NULL, &s->a->actor, s->row.tracking, err) == 0) return 0;
  if (err->code == ERR_INVALID) s->a->errors = json_pack("[{s:s,s:s,s:s}]", "field", CASES_ATTACHED, "code", "document", "message", word(s->a->lang, "case.document"));
  return -1;
}

static bool brings_documents(const struct step *s) {
  bool any = json_array_size(s->attached) > 0;
  for (size_t i = 0; i < s->act->field_count && !any; i++)
    any = s->act->fields[i]->type == FIELD_DOCUMENT && json_array_size(json_object_get(s->data, s->act->fields[i]->name));
  return any;
}

/* The event, the row, and what follows from them. */
static int commit_step(struct step *s, struct err *err) {
  int to = next_state(s);
  struct case_entry e = {.action = s->act->name, .from_state = s->row.state, .role = case_acting_role(&s->a->actor, &s->row, s->act),
                         .organisation = organisation_of(s), .at = s->at};
  if (s->data && case_bind_documents(s->tx, s->act->fields, s->act->field_count, s->data, &s->a->actor, s->row.tracking, err)) {
    if (err->code == ERR_INVALID) document_faults(s);
    return -1;
  }
  if (bind_attached(s, err)) return -1;
  if (s->a->actor.kind != ACTOR_SYSTEM && !e.organisation[0] && brings_documents(s) && case_news_put(s->tx, s->row.tracking, s->at, err)) return -1;
  if (effect(s, err)) return -1;
  if (to >= 0) cases_set_state(s->c, &s->row, to, s->at);
  else case_next_check(s->c, &s->row);
  if (s->act->kind == ACT_EXTEND) case_next_check(s->c, &s->row);
  e.to_state = s->row.state;
  char *payload = payload_of(s);
  e.payload = payload;
  int rc = -1;
  if (case_append(s->c, s->tx, &s->row, &e, NULL, err)) goto out;
  if (s->absent && store_put(s->tx, err, "INSERT INTO case_standin (tracking,username,absent,seq) VALUES (?1,?2,?3,?4)", "ttti", s->row.tracking,
                             s->a->actor.username, s->absent->username, s->row.version))
    goto out;
  if (case_after(s->c, s->tx, s->arena, &s->row, s->act, payload, s->at, err)) {
    if (err->code == ERR_CONFLICT) s->a->detail = "case.one_open";
    goto out;
  }
  rc = case_notice(s->c, s->tx, &s->row, s->act->name, s->row.version, s->a->reason, s->a->comment, err);
out:
  free(payload);
  return rc;
}

/* ---- repetition ---- */

static int known_key(struct act_job *j, struct step *s, struct err *err) {
  if (!j->has_key) return 0;
  struct store_rows *r = store_select(s->tx, err, "SELECT body_hash,seq FROM case_key WHERE tracking=?1 AND key_hash=?2", "tb", s->a->tracking,
                                      (const void *)j->key_hash, (size_t)32);
  if (!r) return -1;
  int rc = store_next(r, err);
  size_t n = 0;
  const void *body = rc == 1 ? store_blob(r, 0, &n) : NULL;
  bool same = body && n == 32 && memcmp(body, j->body_hash, 32) == 0;
  if (same) s->a->version = store_int(r, 1);
  store_done(r);
  if (rc < 0) return -1;
  if (rc == 0) return 0;
  if (!same) return err_set(err, ERR_KEY_REUSED, "this Idempotency-Key was used with another body");
  return 1;
}

/* Before the first write. Who comes second with the same key waits here for the other's end. 1: it is done already. */
static int claim_key(struct act_job *j, struct step *s, struct err *err) {
  if (!j->has_key) return 0;
  int n = store_exec(s->tx, err, "INSERT INTO case_key (tracking,key_hash,body_hash,seq) VALUES (?1,?2,?3,?4) ON CONFLICT DO NOTHING", "tbbi", s->a->tracking,
                     (const void *)j->key_hash, (size_t)32, (const void *)j->body_hash, (size_t)32, s->row.version + 1);
  return n < 0 ? -1 : n ? 0 : known_key(j, s, err);
}

/* ---- inquiries: what another organisation is asked ---- */

/* Any action takes documents beside its own fields, unless one of these has the name; so does the answer to an inquiry, which is no action of the workflow. */
static int take_attached(struct step *s, struct err *err) {
  const char *word_key = NULL;
  for (size_t i = 0; s->act && i < s->act->field_count; i++)
    if (strcmp(s->act->fields[i]->name, CASES_ATTACHED) == 0) return 0;
  s->attached = json_incref(json_object_get(s->given, CASES_ATTACHED));
  json_object_del(s->given, CASES_ATTACHED);
  if (!s->attached && !(s->act && case_adds(s->act))) return 0;
  if (!json_array_size(s->attached)) word_key = "case.documents_needed";
  if (json_array_size(s->attached) > CASES_ATTACHED_MOST) word_key = "case.documents_many";
  for (size_t i = 0; i < json_array_size(s->attached) && !word_key; i++)
    if (!json_is_string(json_array_get(s->attached, i))) word_key = "case.documents_needed";
  return word_key ? refuse_field(s, CASES_ATTACHED, "document", word_key, "documents is a list of 1 to 10 documents that were sent before", err) : 0;
}

static int reply_inquiry(struct act_job *j, struct step *s, struct err *err) {
  struct case_row *row = &s->row;
  const char *answer = json_str(s->given, "answer");
  if (row->result != RESULT_OPEN) return refuse(s, ERR_CONFLICT, "case.no_action", "the inquiry is closed", err);
  if (strcmp(s->a->action, "reply") != 0) return refuse(s, ERR_CONFLICT, "case.only_reply", "an inquiry takes the action reply alone", err);
  if (!(case_roles_of(&s->a->actor, row) & (1u << ROLE_OFFICER | 1u << ROLE_SUPERVISOR | 1u << ROLE_MANAGER)) && s->a->actor.kind != ACTOR_SYSTEM)
    return err_set(err, ERR_FORBIDDEN, "not allowed");
  if (s->a->expected_version >= 0 && s->a->expected_version != row->version) return err_set(err, ERR_CONFLICT, "the case has moved on");
  if (!answer || (strcmp(answer, "agree") != 0 && strcmp(answer, "object") != 0)) {
    return refuse_field(s, "answer", "choice", "case.answer_needed", "answer agree or object", err);
  }
  if (strcmp(answer, "object") == 0 && !(s->a->comment && s->a->comment[0]))
    return refuse_field(s, "comment", "required", "case.reason_required", "an objection needs its reason", err);
  if (take_attached(s, err)) return -1;
  int claimed = claim_key(j, s, err);
  if (claimed) return claimed;
  if (bind_attached(s, err)) return -1;
  json_t *p = json_object(), *out = json_object();
  json_put(p, "answer", answer);
  json_put(p, "comment", s->a->comment);
  json_put(p, "who", s->a->actor.kind == ACTOR_STAFF ? s->a->actor.username : "system");
  json_put(out, "answer", answer);
  json_put(out, "inquiry", row->inquiry);
  json_put(out, "organisation", row->holder);
  json_put(out, "comment", s->a->comment);
  if (s->attached) json_object_set(p, CASES_ATTACHED, s->attached);
  if (s->attached) json_object_set(out, CASES_ATTACHED, s->attached);
  char *payload = json_canonical(p);
  json_decref(p);
  struct case_entry e = {.action = "reply", .from_state = row->state, .to_state = INQUIRY_ANSWERED, .role = "officer", .organisation = row->holder,
                         .at = s->at, .payload = payload};
  row->state = INQUIRY_ANSWERED;
  row->result = RESULT_CLOSED;
  row->closed_at = row->state_at = s->at;
  case_next_check(s->c, row);
  int rc = case_append(s->c, s->tx, row, &e, NULL, err);
  if (rc == 0) rc = case_outbox_put(s->tx, "reply", row->parent, row->version, row->tracking, out, s->at, err);
  else json_decref(out);
  free(payload);
  return rc;
}

/* ---- the whole action ---- */

static int perform(struct act_job *j, struct step *s, struct err *err) {
  struct case_row *row = &s->row;
  enum err_code why;
  if (case_is_inquiry(row)) return reply_inquiry(j, s, err);
  if (!row->def) return err_set(err, ERR_UNAVAILABLE, "no pack has version %lld of service %s as this case began", (long long)row->service_version, row->service);
  if (!row->data) return refuse(s, ERR_CONFLICT, "case.erased", "the case has been erased", err);
  s->act = cases_action(row->def, row->state_index, s->a->action);
  if (!s->act || (case_adds(s->act) && row->result != RESULT_OPEN)) {
    s->a->detail = "case.no_action";
    return err_set(err, ERR_CONFLICT, "the state '%s' has no action '%s'", row->state, s->a->action);
  }
  json_t *answers = row->data ? json_loads(row->data, 0, NULL) : json_object();
  bool may = case_may(&s->a->actor, row, s->act, answers, &why), decides = s->act->kind == ACT_APPROVE || s->act->kind == ACT_REJECT;
  s->absent = may && s->a->actor.kind == ACTOR_STAFF ? case_in_place_of(&s->a->actor, row, s->act) : NULL;
  if (s->absent && decides) { /* nor may they decide it in the place of whom it concerns */
    int theirs = case_complaint_touches(s->tx, row, answers, s->absent->username, err);
    if (theirs == 0) theirs = case_concerns(s->tx, row, s->absent->username, err);
    if (theirs) s->absent = NULL;
    may = theirs >= 0 && (!theirs || (s->act->roles & case_roles_of(&s->a->actor, row)));
    why = ERR_FORBIDDEN;
  }
  int touches = may && decides && s->a->actor.kind == ACTOR_STAFF ? case_complaint_touches(s->tx, row, answers, s->a->actor.username, err) : 0;
  int own = may && touches == 0 && decides && s->a->actor.kind == ACTOR_STAFF ? case_concerns(s->tx, row, s->a->actor.username, err) : 0;
  json_decref(answers);
  /* Who only adds something decides nothing: whatever has happened meanwhile, it is added. Who comes second is told so first: in the state that
   * the other made the same person may not do it any more. */
  if (s->a->expected_version >= 0 && s->a->expected_version != row->version && !case_adds(s->act)) return err_set(err, ERR_CONFLICT, "the case has moved on");
  if (!may) return err_set(err, why, "not allowed");
  if (own) return own < 0 ? -1 : refuse(s, ERR_FORBIDDEN, "case.own_case", "nobody decides a case of their own", err);
  if (touches) return touches < 0 ? -1 : refuse(s, ERR_FORBIDDEN, "case.complained_of", "whoever handled a case does not decide a complaint about it", err);
  if (check_reason(s, err)) return -1;
  if (take_attached(s, err)) return -1;
  if (s->act->kind == ACT_ASSIGN) s->assignee = fixed(s, "assignee");
  if (s->act->kind == ACT_REFER || s->act->kind == ACT_TRANSFER) s->to = fixed(s, "to");
  if (s->act->kind == ACT_REFER) s->unit = fixed(s, "unit");
  if (s->unit && !s->unit[0]) s->unit = NULL;
  s->letter_no = fixed(s, "letter_no");
  s->letter_date = fixed(s, "letter_date");
  if (s->letter_no) row->letter_no = s->letter_no;
  if (s->letter_date) row->letter_date = s->letter_date;
  if (action_validate(row->pack, s->act, s->given, day_of(s->at), s->a->lang, s->arena, &s->data, &s->a->errors))
    return err_set(err, ERR_INVALID, "the data of the action are not valid");
  int claimed = claim_key(j, s, err);
  return claimed ? claimed : commit_step(s, err);
}

static int act_work(struct store_tx *tx, void *arg, struct err *err) {
  struct act_job *j = arg;
  struct case_act *a = j->a;
  struct step s = {.c = j->c, .tx = tx, .a = a, .at = a->at ? a->at : clock_now()};
  s.arena = arena_new(1024 * 1024);
  int rc = -1;
  if (a->errors) json_decref(a->errors);
  a->errors = NULL;
  a->repeated = false;
  a->detail = NULL;
  if (case_load(j->c, tx, s.arena, a->tracking, &s.row, err) || case_at_counter(tx, &a->actor, &s.row, err) || case_standing(tx, s.arena, &a->actor, &s.row, err)) goto out;
  int known = known_key(j, &s, err); /* of this actor: told again even where the action has ended the right to the case */
  if (known < 0) goto out;
  enum case_right right = case_right_of(&a->actor, &s.row);
  if (!known && a->actor.kind != ACTOR_SYSTEM && right == CASE_PUBLIC && !(case_roles_of(&a->actor, &s.row) & 1u << ROLE_OPERATOR)) {
    err_set(err, ERR_NOT_FOUND, "no such case");
    goto out;
  }
  s.given = a->data && json_is_object(a->data) ? json_deep_copy(a->data) : json_object();
  if (!known) known = perform(j, &s, err);
  if (known < 0) goto out;
  a->repeated = known == 1; /* its version as it was then */
  if (!known) a->version = s.row.version;
  rc = 0;
out:
  json_decref(s.given);
  json_decref(s.data);
  json_decref(s.attached);
  arena_free(s.arena);
  return rc;
}

static void act_done(void *arg, int rc, const struct err *err) {
  struct act_job *j = arg;
  store_done_fn done = j->done;
  void *next = j->arg;
  free(j);
  if (done) done(next, rc, err);
}

static void hash_request(struct act_job *j) {
  struct case_act *a = j->a;
  struct buf b = {0};
  buf_adds(&b, a->actor.kind == ACTOR_STAFF ? a->actor.username : a->actor.pair);
  buf_add(&b, "\0", 1);
  buf_adds(&b, a->key);
  sha256(buf_str(&b), b.len, j->key_hash);
  buf_clear(&b);
  char *data = a->data ? json_canonical(a->data) : base_strdup("");
  buf_addf(&b, "%s\n%s\n%s\n%lld\n", a->action, a->comment ? a->comment : "", a->reason ? a->reason : "", (long long)a->expected_version);
  buf_adds(&b, data);
  sha256(buf_str(&b), b.len, j->body_hash);
  free(data);
  buf_free(&b);
}

int cases_act(struct cases *c, struct case_act *a, store_done_fn done, void *arg, struct err *err) {
  size_t length = a->key ? strlen(a->key) : 0;
  if (length > 200) return err_set(err, ERR_MALFORMED, "an Idempotency-Key has 1 to 200 characters");
  if (a->comment && strlen(a->comment) > 4000) {
    a->errors = json_pack("[{s:s,s:s,s:s}]", "field", "comment", "code", "too_long", "message", word(a->lang, "case.comment_long"));
    return err_set(err, ERR_INVALID, "a comment has at most 4000 bytes");
  }
  struct act_job *j = base_alloc(sizeof *j);
  j->c = c;
  j->a = a;
  j->done = done;
  j->arg = arg;
  j->has_key = length > 0;
  if (j->has_key) hash_request(j);
  if (!done) {
    int rc = store_write(c->store, STORE_FRONT, act_work, j, err);
    free(j);
    return rc;
  }
  if (store_submit(c->store, STORE_FRONT, act_work, j, act_done, err) == 0) return 0;
  free(j);
  return -1;
}

/* ---- by rule, not by a person: silence, replies, ends of suspensions ---- */

int case_system_act(struct cases *c, struct store_tx *tx, struct arena *arena, struct case_row *row, const struct action *act, const char *why, struct err *err) {
  struct case_act a = {.action = act->name, .comment = why, .expected_version = -1, .actor = {.kind = ACTOR_SYSTEM}, .lang = LANG_FA};
  struct step s = {.c = c, .tx = tx, .arena = arena, .a = &a, .row = *row, .act = act, .at = clock_now()};
  if (commit_step(&s, err)) return -1;
  *row = s.row;
  return 0;
}
