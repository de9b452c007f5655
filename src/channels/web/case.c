/* One case: for everybody, for its citizen, for its staff; its receipt. */
#include "channels/web/inside.h"

#include <stdlib.h>
#include <string.h>

static const char *tracking_of(struct http_req *r) {
  char code[32];
  const char *typed = http_param(r, "tracking");
  if (typed && identifier_parse(IDENT_TRACKING, typed, code) == 0) return arena_strdup(http_arena(r), code);
  not_found(r);
  return NULL;
}

static void get_track(struct http_req *r) {
  const char *typed = http_query(r, "code");
  char code[32];
  if (typed && typed[0] && identifier_parse(IDENT_TRACKING, typed, code) == 0)
    return http_redirect(r, 303, arena_printf(http_arena(r), "/cases/%s", code));
  json_t *page = page_new(web_of(r), r, say(r, "track_title"), false);
  crumb(page, "/", say(r, "home"));
  put(page, "code", typed);
  put(page, "code_error", typed && typed[0] ? say(r, "track_wrong") : NULL);
  if (typed && typed[0]) fault(page, "#code", say(r, "track_wrong"));
  page_reply(web_of(r), r, typed && typed[0] ? 422 : 200, "track", page);
}

bool own_right(const char *right) { return base_same(right, "citizen") || base_same(right, "mandate"); }

/* ---- what everybody sees ---- */

const struct state *item_state(struct http_req *r, const json_t *view) {
  const struct pack *p;
  const struct service *s = cases_definition(web_of(r)->cases, view, &p);
  int i = s ? service_state(s, json_str(view, "state")) : -1;
  return i >= 0 ? &s->states[i] : NULL;
}

/* The clock also stands while an office suspends a case; only this asks something of the citizen. */
bool waits_for_citizen(const struct state *st) {
  for (size_t i = 0; st && i < st->action_count; i++)
    if (st->citizen && st->actions[i].kind == ACT_PROVIDE_INFO) return true;
  return false;
}

static void put_case(struct http_req *r, json_t *page, const json_t *view) {
  const char *tracking = json_str(view, "tracking"), *result = json_str(view, "result"), *plain = json_str(view, "plain");
  const json_t *due = json_object_get(view, "due");
  const struct state *st = item_state(r, view);
  bool open = base_same(result, "open");
  put(page, "tracking", tracking);
  put(page, "code", show_code(r, tracking));
  put(page, "service", json_str(view, "service_title"));
  bool offered = pack_find_shown(web_pack(r), json_str(view, "service")) != NULL;
  put(page, "service_href", offered ? arena_printf(http_arena(r), "/services/%s", json_str(view, "service")) : NULL);
  put(page, "owner", json_str(view, "organisation_name"));
  put(page, "holder", json_str(json_object_get(view, "holder"), "name"));
  put(page, "state", json_str(view, "state_title"));
  put(page, "plain", plain && plain[0] ? plain : st ? text_in(&st->plain, http_lang(r)) : NULL);
  put(page, "since", show_moment(r, json_str(view, "state_since")));
  put(page, "submitted", show_moment(r, json_str(view, "submitted_at")));
  put(page, "result", result);
  put_flag(page, "is_open", open);
  put_flag(page, "is_approved", base_same(result, "approved"));
  put_flag(page, "is_rejected", base_same(result, "rejected"));
  bool waits = open && waits_for_citizen(st);
  put_flag(page, "waits_for_you", waits);
  put_flag(page, "is_paused", open && st && st->citizen && !waits);
  put_flag(page, "is_working", open && !(st && st->citizen));
  put(page, "due_norm", open ? show_iso_day(r, json_str(due, "norm")) : NULL);
  put(page, "due_legal", open ? show_iso_day(r, json_str(due, "legal")) : NULL);
  put_flag(page, "provisional", json_flag(due, "provisional", false));
  put(page, "left", NULL);
  put_flag(page, "late", false);
  put(page, "says", NULL);
  put(page, "appeal_until", NULL);
  put(page, "reopen_until", NULL);
  put(page, "waits_badge", say(r, "waits_badge"));
  put_flag(page, "stopped", open && st && st->citizen);
  const json_t *clock = json_object_get(view, "clock"), *left = json_object_get(clock, "days_left");
  if (open && left) {
    int64_t n = json_integer_value(left);
    put_flag(page, "late", n < 0);
    put(page, "left", show_left(r, n));
  }
}

/* ---- history ---- */

static const struct field *action_field(const struct service *s, const char *action, const char *name) {
  for (size_t i = 0; s && i < s->state_count; i++)
    for (size_t k = 0; k < s->states[i].action_count; k++) {
      const struct action *act = &s->states[i].actions[k];
      for (size_t f = 0; strcmp(act->name, action) == 0 && f < act->field_count; f++)
        if (strcmp(act->fields[f]->name, name) == 0) return act->fields[f];
    }
  return NULL;
}

static const char *reason_text(struct http_req *r, const struct service *s, const char *action, const char *code) {
  for (size_t i = 0; s && code && i < s->state_count; i++)
    for (size_t k = 0; k < s->states[i].action_count; k++) {
      const struct action *act = &s->states[i].actions[k];
      for (size_t f = 0; strcmp(act->name, action) == 0 && f < act->reason_count; f++)
        if (strcmp(act->reasons[f].code, code) == 0) return text_in(&act->reasons[f].text, http_lang(r));
    }
  const char *own = code && base_starts(action, "certificate_") ? arena_printf(http_arena(r), "certificate.reason_%s", code) : NULL;
  return own && word_known(own) ? word(http_lang(r), own) : code;
}

/* Under the names that they were sent with, where the reader sees them. */
static const char *document_name(const json_t *known, const char *id) {
  size_t i;
  const json_t *one;
  json_array_foreach(known, i, one) if (base_same(json_str(one, "id"), id)) return json_str(one, "name");
  return NULL;
}

static json_t *documents_json(struct http_req *r, const json_t *known, const json_t *ids) {
  json_t *list = json_array();
  size_t i;
  const json_t *v;
  json_array_foreach(ids, i, v) {
    if (!json_string_value(v)) continue;
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/documents/%s", json_string_value(v)));
    const char *name = document_name(known, json_string_value(v));
    put(o, "name", name && name[0] ? name : word_fill(http_arena(r), http_lang(r), "web.document_n", "n", number_format(http_arena(r), http_lang(r), (int64_t)i + 1), NULL));
    json_array_append_new(list, o);
  }
  return list;
}

struct told {
  const struct actor *who;
  const struct pack *pack;
  const struct service *service;
  const json_t *documents;
  bool office;
};

static json_t *event_data(struct http_req *r, const struct told *t, const char *action, const json_t *data) {
  json_t *list = json_array();
  const char *name;
  const json_t *v;
  for (void *it = json_object_iter((json_t *)(uintptr_t)data); it; it = json_object_iter_next((json_t *)(uintptr_t)data, it)) {
    name = json_object_iter_key(it);
    v = json_object_iter_value(it);
    const struct field *f = action_field(t->service, action, name);
    json_t *o = json_object();
    put(o, "label", f ? text_in(&f->label, http_lang(r)) : name);
    put(o, "text", f && f->type == FIELD_DOCUMENT ? NULL : f ? field_show(t->pack, f, v, http_lang(r), http_arena(r)) : json_string_value(v));
    put_list(o, "documents", documents_json(r, t->documents, f && f->type == FIELD_DOCUMENT ? v : NULL));
    json_array_append_new(list, o);
  }
  return list;
}

/* The words of a state speak to the citizen; an officer reads for whom the case waits. */
static const char *state_title(struct http_req *r, const struct service *s, const char *state, const char *title, bool office) {
  int i = office && s && state ? service_state(s, state) : -1;
  return i >= 0 && waits_for_citizen(&s->states[i]) ? say(r, "waits_applicant") : title;
}

/* Which answers came from where, and which differ from what is on record there. */
static json_t *sources_json(struct http_req *r, const struct service *s, json_t *sources) {
  json_t *list = json_array(), *one;
  const char *name;
  struct arena *a = http_arena(r);
  enum lang l = http_lang(r);
  json_object_foreach(sources, name, one) {
    const struct field *f = s ? service_field(s, name) : NULL;
    bool same = json_flag(one, "same", true);
    if (!f) continue;
    const char *known = same ? NULL : field_show(web_pack(r), f, json_object_get(one, "known"), l, a);
    json_t *o = json_object();
    put(o, "text", same ? arena_printf(a, "%s — %s", text_in(&f->label, l), known_by(r, one))
                        : word_fill(a, l, "web.differs_from", "field", text_in(&f->label, l), "from", known_by(r, one), "value", known ? known : "", NULL));
    put_flag(o, "differs", !same);
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *history_json(struct http_req *r, const struct told *t, const char *tracking) {
  json_t *out = NULL, *one, *list = json_array();
  struct err err;
  size_t i;
  const char *right;
  if (cases_events(web_of(r)->cases, t->who, tracking, 0, 500, http_lang(r), &out, &right, &err)) return list;
  json_array_foreach(json_object_get(out, "items"), i, one) {
    json_t *o = json_object(), *leaf = json_object_get(one, "leaf_index");
    const char *action = json_str(one, "action"), *org = json_str(one, "organisation");
    const struct directory *d = pack_directory(web_pack(r));
    const struct organisation *by = directory_organisation(d, org ? directory_find_organisation(d, org) : -1);
    put(o, "title", json_str(one, "title"));
    put(o, "state", state_title(r, t->service, json_str(one, "to"), json_str(one, "state_title"), t->office));
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "organisation", by ? organisation_name(by, http_lang(r)) : NULL);
    put(o, "comment", json_str(one, "comment"));
    put(o, "reason", reason_text(r, t->service, action ? action : "", json_str(one, "reason")));
    const char *by_name = json_str(one, "who");
    bool key = by_name && (base_starts(by_name, "c:") || base_starts(by_name, "p:")); /* keys of citizens say nothing to anybody */
    put(o, "who", key ? NULL : base_same(by_name, "system") ? say(r, "told_system") : by_name);
    put(o, "in_place", in_place(r, json_str(one, "for")));
    const char *deputy = json_string_value(json_array_get(json_object_get(one, "deputies"), 0));
    put(o, "told", deputy ? word_fill(http_arena(r), http_lang(r), "web.deputy_told", "who", deputy, NULL) : NULL);
    const char *attorney = json_str(json_object_get(one, "mandate"), "attorney");
    put(o, "mandate", attorney ? word_fill(http_arena(r), http_lang(r), "web.by_mandate", "id", local(r, attorney), NULL) : NULL);
    put(o, "leaf", json_is_integer(leaf) ? number_format(http_arena(r), http_lang(r), json_integer_value(leaf)) : NULL);
    if (!t->office) put_told(r, o, action ? action : "", by ? organisation_name(by, http_lang(r)) : NULL);
    put_list(o, "data", event_data(r, t, action ? action : "", json_object_get(one, "data")));
    put_list(o, "documents", documents_json(r, t->documents, json_object_get(one, "documents")));
    put_list(o, "sources", sources_json(r, t->service, json_object_get(one, "sources")));
    json_array_insert_new(list, 0, o);
  }
  json_decref(out);
  return list;
}

/* ---- what its citizen and its staff see ---- */

/* What the office wrote last, where the citizen reads first: what is asked, or why it was decided so. */
static void put_says(json_t *page, const json_t *history) {
  const json_t *one;
  size_t i;
  static const char *const when[] = {"waits_for_you", "is_paused", "is_approved", "is_rejected"};
  bool any = false;
  for (i = 0; i < BASE_COUNT(when); i++) any = any || json_flag(page, when[i], false);
  if (!any) return;
  json_array_foreach(history, i, one) {
    if (!json_str(one, "organisation") || (!json_str(one, "reason") && !json_str(one, "comment"))) continue;
    json_t *says = json_object();
    put(says, "reason", json_str(one, "reason"));
    put(says, "comment", json_str(one, "comment"));
    json_object_set_new(page, "says", says);
    return;
  }
}

/* An officer needs the facts, not the sentences for the citizen. */
static void put_office(struct http_req *r, json_t *page) {
  put(page, "plain", NULL);
  if (!json_flag(page, "waits_for_you", false)) return;
  put(page, "state", say(r, "waits_applicant"));
  put(page, "waits_badge", say(r, "clock_stands"));
}

static void put_answers(struct http_req *r, json_t *page, const json_t *view, const struct service *s) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(json_object_get(view, "answers"), i, one) {
    json_t *o = json_object();
    put(o, "label", json_str(one, "label"));
    put(o, "text", json_object_get(one, "documents") ? NULL : json_str(one, "text"));
    const struct field *f = s && json_str(one, "name") ? service_field(s, json_str(one, "name")) : NULL;
    put_flag(o, "ltr", f && f->type == FIELD_PLACE && http_lang(r) == LANG_EN); /* a village may have no Latin name */
    put_list(o, "documents", documents_json(r, json_object_get(view, "documents"), json_object_get(one, "documents")));
    json_array_append_new(list, o);
  }
  put_list(page, "answers", list);
}

static void put_actions(struct http_req *r, json_t *page, const json_t *view, bool office) {
  static const char *const careful[] = {"withdraw", "reject", "lapse", "suspend"};
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(json_object_get(view, "actions"), i, one) {
    json_t *o = json_object();
    const char *name = json_str(one, "name");
    bool warn = false;
    for (size_t k = 0; k < BASE_COUNT(careful); k++) warn = warn || base_same(name, careful[k]);
    put(o, "href", arena_printf(http_arena(r), "/cases/%s/actions/%s%s", json_str(view, "tracking"), name, http_query(r, "stream") ? "?stream=1" : ""));
    put(o, "name", json_str(one, "title"));
    put(o, "in_place", in_place(r, json_str(one, "in_place_of")));
    put(o, "digit", office && i < 9 ? arena_printf(http_arena(r), "%zu", i + 1) : NULL);
    put_flag(o, "warn", warn);
    json_array_append_new(list, o);
  }
  put_list(page, "actions", list);
}

static void put_children(struct http_req *r, json_t *page, const json_t *view) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(json_object_get(view, "children"), i, one) {
    json_t *o = json_object();
    put(o, "name", json_str(one, "title") ? json_str(one, "title") : json_str(one, "inquiry"));
    put(o, "who", json_str(json_object_get(one, "organisation"), "name"));
    put(o, "state", json_str(one, "state_title"));
    put(o, "due", show_iso_day(r, json_str(one, "due")));
    put(o, "asked", show_time_day(r, json_str(one, "asked_at")));
    json_array_append_new(list, o);
  }
  put_list(page, "children", list);
}

/* A call, or a letter that came in. */
void put_note(struct http_req *r, json_t *o, const json_t *note) {
  const char *kind = json_str(note, "kind"), *date = json_str(note, "date");
  bool incoming = base_same(kind, "incoming");
  put_flag(o, "is_call", base_same(kind, "call"));
  put_list(o, "documents", json_array());
  put_flag(o, "is_incoming", incoming);
  put(o, "caller", json_str(note, "caller"));
  put(o, "telephone", local(r, json_str(note, "telephone")));
  put(o, "promise", json_str(note, "promise"));
  put(o, "from", json_str(note, "from"));
  put(o, "number", local(r, json_str(note, "number")));
  put(o, "date", date ? date_short(http_arena(r), http_lang(r), date_parse(date)) : NULL);
  if (incoming && base_same(json_str(note, "text"), json_str(note, "number"))) put(o, "text", NULL);
}

/* What colleagues wrote for each other; whoever handles the case writes too and goes on to the next one. */
static void put_remarks(struct http_req *r, json_t *page, const json_t *view) {
  json_t *list = json_array(), *one, *given = json_object_get(view, "remarks");
  bool handles = base_same(json_str(view, "right"), "staff");
  size_t i;
  json_array_foreach(given, i, one) {
    json_t *o = json_object();
    put(o, "who", json_str(one, "who"));
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "text", json_str(one, "text"));
    put_note(r, o, one);
    put_list(o, "documents", documents_json(r, json_object_get(view, "documents"), json_object_get(one, "documents")));
    json_array_append_new(list, o);
  }
  put_list(page, "remarks", list);
  put_flag(page, "shows_remarks", given != NULL);
  put_flag(page, "can_remark", handles);
  put(page, "key", fresh_key(r));
  put(page, "organisation", json_str(json_object_get(view, "holder"), "code"));
  put_flag(page, "stream", (handles || base_same(json_str(view, "right"), "inquired")) && http_query(r, "stream") != NULL);
  put(page, "today", http_lang(r) == LANG_FA ? date_short(http_arena(r), LANG_FA, cases_today()) : NULL);
}

static void show_case(struct http_req *r, json_t *view) {
  const struct actor *who = web_actor(r);
  const struct pack *p;
  const struct service *s = cases_definition(web_of(r)->cases, view, &p);
  const char *right = json_str(view, "right"), *tracking = json_str(view, "tracking");
  bool citizen = own_right(right), counter = base_same(right, "counter") || base_same(right, "consent"), office = right && !citizen;
  json_t *page = page_new(web_of(r), r, json_str(view, "service_title"), true);
  if (counter) crumb(page, "/counter", say(r, "counter"));
  else if (office) crumb(page, "/desk", say(r, "desk"));
  else {
    crumb(page, "/", say(r, "home"));
    if (who->kind == ACTOR_CITIZEN) crumb(page, "/mine", say(r, "mine"));
  }
  put_case(r, page, view);
  put_flag(page, "is_mine", citizen);
  put_flag(page, "is_office", office);
  put_flag(page, "is_public", !right);
  put(page, "question", json_str(view, "inquiry_title"));
  put(page, "assignee", json_str(view, "assignee"));
  const json_t *away = json_object_get(view, "assignee_away");
  put(page, "assignee_away", away ? word_fill(http_arena(r), http_lang(r), "web.assignee_away", "until", show_iso_day(r, json_str(away, "until")), "deputy",
                                              json_str(away, "deputy"), NULL) : NULL);
  put(page, "letter_no", json_str(view, "letter_no"));
  put(page, "applicant", local(r, json_str(json_object_get(view, "applicant"), "national_id")));
  put_answers(r, page, view, s);
  put_actions(r, page, view, office);
  put_children(r, page, view);
  put_remarks(r, page, view);
  put_messages(r, page, tracking, right);
  if (right) put_letters(r, page, tracking, base_same(right, "staff"));
  else put_list(page, "letters", json_array());
  put(page, "folder", base_same(right, "staff") || base_same(right, "auditor") ? arena_printf(http_arena(r), "/cases/%s/folder", tracking) : NULL);
  int64_t fresh = json_int(view, "new_documents", 0);
  put(page, "new_documents", fresh ? word_fill(http_arena(r), http_lang(r), "web.new_documents", "n", number_format(http_arena(r), http_lang(r), fresh), NULL) : NULL);
  struct told told = {.who = who, .pack = p, .service = s, .documents = json_object_get(view, "documents"), .office = office};
  json_t *history = history_json(r, &told, tracking);
  if (citizen) put_says(page, history);
  if (office) put_office(r, page);
  put_list(page, "history", history);
  bool decided = !base_same(json_str(view, "result"), "open") && !base_same(json_str(view, "result"), "withdrawn"), rated = json_is_integer(json_object_get(view, "rating"));
  put_flag(page, "can_rate", citizen && decided && s && s->rating && !rated);
  put_flag(page, "rated", citizen && rated);
  put_follow(r, page, view, s, citizen);
  put(page, "certificate", right && base_same(json_str(view, "result"), "approved") && s && s->certificate.present ? arena_printf(http_arena(r), "/cases/%s/certificate", tracking) : NULL);
  bool asks = !right || base_same(right, "counter") || base_same(right, "helpdesk");
  bool may_ask = actor_has_role(who, NULL, STAFF_AGENT) || actor_has_role(who, NULL, STAFF_HELPDESK);
  put(page, "look_href", asks && may_ask ? arena_printf(http_arena(r), "/look?case=%s", tracking) : NULL);
  put_flag(page, "score_missing", http_query(r, "score") != NULL);
  put_flag(page, "done", http_query(r, "done") != NULL);
  put_flag(page, "thanks", http_query(r, "thanks") != NULL);
  page_reply(web_of(r), r, 200, "case", page);
}

struct looking {
  struct http_req *req;
  int rc;
  struct err err;
  json_t *view;
};

static void looked(void *arg, int rc, const struct err *err) {
  struct looking *k = arg;
  k->rc = rc;
  if (err) k->err = *err;
  http_resume(k->req);
}

static void looking_over(void *arg) {
  struct looking *k = arg;
  json_decref(k->view);
}

static void show_looked(struct http_req *r) {
  struct looking *k = http_data(r);
  if (k->rc) web_error(r, &k->err);
  else show_case(r, k->view);
}

static void get_case(struct http_req *r) {
  const char *tracking = tracking_of(r);
  json_t *view = NULL;
  struct err err;
  if (!tracking) return;
  if (cases_get(web_of(r)->cases, web_actor(r), tracking, http_lang(r), &view, &err)) return web_error(r, &err);
  const char *right = json_str(view, "right");
  if (!right || strcmp(right, "citizen") == 0) {
    show_case(r, view);
    json_decref(view);
    return;
  }
  /* A person of an office sees personal data only after the look is on record. */
  struct looking *k = arena_alloc(http_arena(r), sizeof *k);
  if (!k) {
    json_decref(view);
    return http_problem_code(r, ERR_LIMIT, NULL);
  }
  k->req = r;
  k->view = view;
  http_set_data(r, k, looking_over);
  http_suspend(r, show_looked);
  if (cases_look(web_of(r)->cases, web_actor(r), tracking, right, looked, k, &k->err)) {
    k->rc = -1;
    http_resume(r);
  }
}

/* ---- receipt ---- */

/* At which office, by whom and with which consent an agent filed it; for who may know. */
static void put_counter(struct http_req *r, json_t *page, const char *tracking) {
  json_t *filed = NULL, *o;
  struct err err;
  const struct directory *d = pack_directory(web_pack(r));
  put_flag(page, "roll", base_same(http_query(r, "paper"), "roll"));
  json_object_set_new(page, "filed", json_null());
  if (web_actor(r)->kind == ACTOR_NOBODY || cases_counter_filed(web_of(r)->cases, web_actor(r), tracking, &filed, &err)) return;
  const char *code = json_str(filed, "office"), *org = json_str(filed, "organisation"), *number = json_str(filed, "number");
  const struct office *office = code ? directory_office(d, directory_find_office(d, code)) : NULL;
  const struct organisation *by = directory_organisation(d, org ? directory_find_organisation(d, org) : -1);
  o = json_object();
  put(o, "office", office ? http_lang(r) == LANG_EN && office->name_en ? office->name_en : office->name_fa : by ? organisation_name(by, http_lang(r)) : org);
  put(o, "agent", json_str(filed, "agent"));
  put(o, "consent", say(r, arena_printf(http_arena(r), "consent_%s", json_str(filed, "consent"))));
  put(o, "slip", local(r, number));
  json_object_set_new(page, "filed", o);
  json_decref(filed);
}

/* What a receipt says, for the page and for paper; NULL after replying. */
static json_t *receipt_page(struct http_req *r) {
  const char *tracking = tracking_of(r);
  json_t *view = NULL, *receipt = NULL;
  struct actor nobody = {.kind = ACTOR_NOBODY};
  struct err err;
  if (!tracking) return NULL;
  if (cases_get(web_of(r)->cases, &nobody, tracking, http_lang(r), &view, &err)) {
    web_error(r, &err);
    return NULL;
  }
  json_t *page = page_new(web_of(r), r, say(r, "receipt_title"), false);
  put_case(r, page, view);
  const char *address = web_address(r, arena_printf(http_arena(r), "/cases/%s", tracking));
  put(page, "address", address);
  json_t *qr = qr_json(address ? address : "");
  json_object_set_new(page, "qr", qr ? qr : json_null());
  put(page, "receipt_href", arena_printf(http_arena(r), "/api/v1/cases/%s/receipt", tracking));
  put(page, "leaf_hash", NULL);
  put(page, "leaf", NULL);
  if (cases_receipt(web_of(r)->cases, tracking, &receipt, &err) == 0) {
    const json_t *leaf = json_object_get(receipt, "leaf_index");
    put(page, "leaf_hash", json_str(receipt, "leaf_hash"));
    put(page, "leaf", json_is_integer(leaf) ? number_format(http_arena(r), http_lang(r), json_integer_value(leaf)) : NULL);
    put(page, "merge_by", show_time(r, json_str(json_object_get(receipt, "promise"), "merge_by")));
    json_t *witnesses = json_array(), *one;
    size_t i;
    json_array_foreach(json_object_get(receipt, "witnesses"), i, one) json_array_append_new(witnesses, json_string(json_str(one, "name")));
    put_list(page, "witnesses", witnesses);
  }
  put_counter(r, page, tracking);
  json_decref(receipt);
  json_decref(view);
  return page;
}

static void get_receipt(struct http_req *r) {
  json_t *page = receipt_page(r);
  if (page) page_reply(web_of(r), r, 200, "receipt", page);
}

static void get_receipt_pdf(struct http_req *r) {
  json_t *page = receipt_page(r);
  void *pdf = NULL;
  size_t n = 0;
  struct err err;
  if (!page) return;
  int rc = cases_receipt_pdf(web_of(r)->cases, page, http_lang(r), &pdf, &n, &err);
  json_decref(page);
  if (rc) return web_error(r, &err);
  http_reply_header(r, "Content-Disposition", "inline; filename=\"receipt.pdf\"");
  http_reply_take(r, 200, "application/pdf", pdf, n);
}

static void get_document(struct http_req *r) {
  struct case_file f;
  struct err err;
  if (cases_document_get(web_of(r)->cases, web_actor(r), http_param(r, "id"), &f, &err)) return web_error(r, &err);
  http_reply_file(r, f.media_type, f.name, f.data, f.size);
}

const struct http_route web_case_rows[] = {
  {"GET", "/track", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_track, "Enter a tracking code."},
  {"GET", "/cases/{tracking}", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_case, "A case: what happens now; all of it for its citizen and its staff."},
  {"GET", "/cases/{tracking}/receipt", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_receipt, "The receipt, to print or keep."},
  {"GET", "/cases/{tracking}/receipt/pdf", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_receipt_pdf, "The receipt on paper."},
  {"GET", "/documents/{id}", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_document, "A document of a case."},
};
const size_t web_case_count = BASE_COUNT(web_case_rows);
