/* Acting on a case: one page for each action, and the rating. */
#include "channels/web/inside.h"

#include <string.h>

struct acting {
  struct http_req *r;
  const char *tracking, *name;
  json_t *view;
  const json_t *shown;          /* the action as cases_get shows it */
  const struct service *service;
  const struct pack *pack;      /* the one that the case began under */
  const struct action *action;  /* NULL for the answer to an inquiry */
  const struct field *attached; /* documents that may go with it here, or NULL */
  json_t *sent, *files;         /* data of what was sent; names of its documents */
  const char *right;
};

static const char *tracking_of(struct http_req *r) {
  char code[32];
  if (identifier_parse(IDENT_TRACKING, http_param(r, "tracking"), code) == 0) return arena_strdup(http_arena(r), code);
  not_found(r);
  return NULL;
}

static void acting_close(struct acting *k) {
  json_decref(k->view);
  json_decref(k->sent);
  json_decref(k->files);
}

/* The action, allowed to this person now; -1 after replying. */
static int acting_open(struct acting *k, struct http_req *r) {
  struct err err;
  json_t *one;
  size_t i;
  *k = (struct acting){.r = r, .tracking = tracking_of(r), .name = http_param(r, "action")};
  if (!k->tracking) return -1;
  if (cases_get(web_of(r)->cases, web_actor(r), k->tracking, http_lang(r), &k->view, &err)) {
    web_error(r, &err);
    return -1;
  }
  json_array_foreach(json_object_get(k->view, "actions"), i, one) if (base_same(json_str(one, "name"), k->name)) k->shown = one;
  k->right = json_str(k->view, "right");
  k->service = cases_definition(web_of(r)->cases, k->view, &k->pack);
  int state = k->service ? service_state(k->service, json_str(k->view, "state")) : -1;
  if (state >= 0 && !json_str(k->view, "inquiry")) k->action = cases_action(k->service, state, k->name);
  k->sent = json_object();
  k->files = json_object();
  bool office = k->right && !own_right(k->right), asks = false;
  for (size_t n = 0; k->action && n < k->action->field_count; n++) asks = asks || k->action->fields[n]->type == FIELD_DOCUMENT;
  /* The office sends papers with anything; an applicant where the form has no question for them. */
  if (!k->action && k->shown && json_str(k->view, "inquiry")) k->attached = cases_attached(NULL); /* the answer to an inquiry */
  if (k->action && (office || !asks) && k->action->kind != ACT_ASSIGN && k->action->kind != ACT_WITHDRAW && !k->service->mandate.present) k->attached = cases_attached(k->action);
  return 0;
}

json_t *colleagues_json(struct http_req *r, const char *organisation) {
  json_t *staff = NULL, *list = json_array(), *seen = json_object(), *one;
  struct err err;
  size_t i;
  const char *me = web_actor(r)->username;
  if (identity_staff(web_of(r)->identity, organisation, &staff, &err)) staff = NULL;
  json_array_foreach(staff, i, one) {
    const char *username = json_str(one, "username"), *name = json_str(one, "name"), *role = json_str(one, "role");
    if (!username || json_object_get(seen, username) || base_same(role, "agent") || base_same(role, "auditor")) continue;
    json_object_set_new(seen, username, json_true());
    json_t *o = json_object();
    put(o, "value", username);
    put(o, "label", arena_printf(http_arena(r), "%s%s", name && name[0] ? name : username, strcmp(username, me) == 0 ? say(r, "me_suffix") : ""));
    put_flag(o, "chosen", strcmp(username, me) == 0);
    json_array_append_new(list, o);
  }
  json_decref(staff);
  json_decref(seen);
  return list;
}

static const char *value_of(struct http_req *r, const char *name) {
  const char *v = strcmp(http_method(r), "POST") == 0 ? http_form_value(r, name) : NULL;
  return v && v[0] && utf8_valid(v, strlen(v)) ? v : NULL;
}

/* The officer came here by "next case", and goes on with it afterwards. */
static bool in_stream(struct http_req *r) { return http_query(r, "stream") != NULL || value_of(r, "stream") != NULL; }

const char *in_place(struct http_req *r, const char *absent) {
  return absent ? word_fill(http_arena(r), http_lang(r), "web.in_place", "who", absent, NULL) : NULL;
}

/* Units of the office that holds the case. */
static json_t *units_json(const struct acting *k) {
  json_t *units = NULL, *list = json_array(), *one;
  const char *holder = json_str(json_object_get(k->view, "holder"), "code"), *chosen = value_of(k->r, "unit");
  struct err err;
  size_t i;
  if (!holder || identity_units(web_of(k->r)->identity, holder, &units, &err)) return list;
  json_array_foreach(units, i, one) {
    if (json_flag(one, "closed", false)) continue;
    json_t *o = json_object();
    put(o, "value", json_str(one, "code"));
    put(o, "label", json_str(json_object_get(one, "name"), lang_code(http_lang(k->r))));
    put_flag(o, "chosen", base_same(json_str(one, "code"), chosen));
    json_array_append_new(list, o);
  }
  json_decref(units);
  return list;
}

static void put_destination(const struct acting *k, json_t *page) {
  const char *find = http_query(k->r, "find.to");
  size_t all = 0;
  enum action_kind kind = k->action ? k->action->kind : ACT_OWN;
  bool sends = kind == ACT_TRANSFER || kind == ACT_REFER;
  put_flag(page, "assigns", kind == ACT_ASSIGN);
  put_list(page, "colleagues", kind == ACT_ASSIGN ? colleagues_json(k->r, json_str(json_object_get(k->view, "holder"), "code")) : json_array());
  put_flag(page, "sends", sends);
  put_flag(page, "must_send", kind == ACT_TRANSFER);
  json_t *options = sends && find && find[0] ? organisation_options(k->r, pack_directory(web_pack(k->r)), -1, find, NULL, &all) : json_array();
  put_list(page, "units", kind == ACT_REFER ? units_json(k) : json_array());
  put(page, "find", find);
  put_flag(page, "none_found", sends && find && find[0] && !all);
  put_flag(page, "find_more", sends && find && find[0] && all && !json_array_size(options));
  bool missing = kind == ACT_TRANSFER && strcmp(http_method(k->r), "POST") == 0 && !value_of(k->r, "to");
  put(page, "to_error", missing ? say(k->r, "need_destination") : NULL);
  if (missing) fault(page, json_array_size(options) ? "#to" : "#find-to", say(k->r, "need_destination"));
  if (find && find[0])
    put(page, "action", arena_printf(http_arena(k->r), "%s?find.to=%s%s", json_str(page, "action"), url_quote(k->r, find), in_stream(k->r) ? "&stream=1" : ""));
  put_list(page, "options", options);
}

static const char *error_for(const json_t *errors, const char *name) {
  size_t i;
  const json_t *e;
  json_array_foreach(errors, i, e) if (base_same(json_str(e, "field"), name)) return json_str(e, "message");
  return NULL;
}

static void add_field(const struct acting *k, json_t *page, json_t *list, const struct field *f, const json_t *errors) {
  struct http_req *r = k->r;
  bool post = strcmp(http_method(r), "POST") == 0;
  struct shown_field s = {.field = f, .pack = k->pack, .raw = post ? field_raw(r, f) : NULL, .error = error_for(errors, f->name), .data = json_object_get(k->view, "data"),
                          .value = post ? json_object_get(k->sent, f->name) : NULL, .files = k->files, .carries = true,
                          .find = http_query(r, arena_printf(http_arena(r), "find.%s", f->name))};
  if (s.error) field_fault(r, page, f, s.error);
  json_array_append_new(list, field_json(r, &s));
}

static json_t *fields_json(const struct acting *k, json_t *page, const json_t *errors) {
  json_t *list = json_array(), *one;
  struct http_req *r = k->r;
  size_t i;
  bool files = k->attached != NULL;
  for (i = 0; k->action && i < k->action->field_count; i++) {
    add_field(k, page, list, k->action->fields[i], errors);
    files = files || k->action->fields[i]->type == FIELD_DOCUMENT;
  }
  if (k->attached) add_field(k, page, list, k->attached, errors);
  put_flag(page, "takes_files", files);
  if (k->action) return list;
  json_array_foreach(json_object_get(k->shown, "fields"), i, one) { /* answering an inquiry: agree or object */
    struct choice choices[2] = {0};
    json_t *given = json_object_get(one, "choices");
    for (size_t c = 0; c < 2; c++) {
      const char *label = json_str(json_array_get(given, c), "label");
      choices[c] = (struct choice){.value = json_str(json_array_get(given, c), "value"), .label = {label, label}};
    }
    const char *label = json_str(one, "label");
    struct field f = {.name = json_str(one, "name"), .type = FIELD_CHOICE, .label = {label, label}, .hint = {"", ""}, .required = true, .choices = choices, .choice_count = 2};
    struct shown_field s = {.field = &f, .error = error_for(errors, f.name)};
    if (!choices[1].value) continue;
    if (s.error) field_fault(r, page, &f, s.error = say(r, "need_choice"));
    json_array_append_new(list, field_json(r, &s));
  }
  return list;
}

static void show_action(const struct acting *k, const char *detail, const json_t *errors, int status) {
  struct http_req *r = k->r;
  json_t *page = page_new(web_of(r), r, json_str(k->shown, "title"), true), *reasons = json_array(), *one;
  const char *chosen = value_of(r, "reason"), *key = value_of(r, "key"), *version = value_of(r, "expected_version");
  size_t i;
  json_array_foreach(json_object_get(k->shown, "reasons"), i, one) {
    json_t *o = json_object();
    put(o, "value", json_str(one, "code"));
    put(o, "label", json_str(one, "text"));
    put_flag(o, "chosen", base_same(chosen, json_str(one, "code")));
    json_array_append_new(reasons, o);
  }
  put(page, "service", json_str(k->view, "service_title"));
  put(page, "code", show_code(r, k->tracking));
  put(page, "action", arena_printf(http_arena(r), "/cases/%s/actions/%s", k->tracking, k->name));
  bool stream = in_stream(r);
  put(page, "back", arena_printf(http_arena(r), "/cases/%s%s", k->tracking, stream ? "?stream=1" : ""));
  put_flag(page, "stream", stream);
  put(page, "in_place", in_place(r, json_str(k->shown, "in_place_of")));
  put(page, "key", key ? key : fresh_key(r));
  put(page, "version", version ? version : arena_printf(http_arena(r), "%lld", (long long)json_int(k->view, "version", 0)));
  put(page, "comment", value_of(r, "comment"));
  bool reason = json_flag(k->shown, "reason", false);
  put_flag(page, "reason_required", reason);
  put_flag(page, "comment_required", reason && !json_array_size(reasons));
  bool office = k->right && !own_right(k->right), writes = false;
  for (i = 0; k->action && i < k->action->field_count; i++)
    writes = writes || k->action->fields[i]->type == FIELD_TEXT || k->action->fields[i]->type == FIELD_PARAGRAPH;
  put_flag(page, "is_office", office);
  put_flag(page, "can_comment", office || !writes); /* a citizen is not asked for words twice */
  put_flag(page, "warn", strcmp(k->name, "withdraw") == 0);
  if (detail && json_array_size(reasons) && strcmp(detail, word(http_lang(r), "case.reason_required")) == 0) detail = say(r, "need_reason");
  put(page, "detail", detail);
  put_destination(k, page);
  json_t *fields = fields_json(k, page, errors), *finders = json_array(), *f;
  json_array_foreach(fields, i, f) if (json_flag(f, "can_find", false)) json_array_append(finders, f);
  if (detail) fault(page, json_array_size(reasons) ? "#reason" : "#comment", detail);
  put(page, "here", arena_printf(http_arena(r), "/cases/%s/actions/%s", k->tracking, k->name));
  put_list(page, "finders", finders);
  put_list(page, "fields", fields);
  put_list(page, "reasons", reasons);
  page_reply(web_of(r), r, status, "act", page);
}

/* Moved on, or not this person's to do. */
static int refused(struct acting *k) {
  if (k->shown) return 0;
  http_problem_code(k->r, k->right ? ERR_CONFLICT : ERR_NOT_FOUND, NULL);
  acting_close(k);
  return -1;
}

static void get_action(struct http_req *r) {
  struct acting k;
  struct err err;
  if (acting_open(&k, r) || refused(&k)) return;
  if (strcmp(k.right, "citizen") != 0 && cases_look(web_of(r)->cases, web_actor(r), k.tracking, k.right, NULL, NULL, &err)) web_error(r, &err);
  else show_action(&k, NULL, NULL, 200);
  acting_close(&k);
}

static void read_field(struct acting *k, const struct field *f, json_t *errors) {
  json_t *in = NULL, *kept = f->type == FIELD_DOCUMENT ? field_kept(k->r, f, k->files) : NULL;
  const char *message = NULL;
  int rc = field_take(k->r, f, kept, k->files, &in, &message);
  json_object_del(k->sent, f->name);
  if (in) json_object_set_new(k->sent, f->name, in);
  json_decref(kept);
  if (rc == 0) return;
  json_t *e = json_object();
  put(e, "field", f->name);
  put(e, "message", message);
  json_array_append_new(errors, e);
}

static int read_data(struct acting *k, json_t *errors) {
  static const char *const fixed[] = {"assignee", "to", "unit", "answer", "letter_no", "letter_date"};
  for (size_t i = 0; i < BASE_COUNT(fixed); i++)
    if (value_of(k->r, fixed[i])) json_put(k->sent, fixed[i], value_of(k->r, fixed[i]));
  for (size_t i = 0; k->action && i < k->action->field_count; i++) read_field(k, k->action->fields[i], errors);
  if (k->attached) read_field(k, k->attached, errors);
  return json_array_size(errors) ? -1 : 0;
}

static void post_action(struct http_req *r) {
  struct acting k;
  struct err err;
  int64_t version = 0;
  if (acting_open(&k, r)) return;
  json_t *errors = json_array();
  const char *key = value_of(r, "key"), *typed = value_of(r, "expected_version"), *home = arena_printf(http_arena(r), "/cases/%s", k.tracking);
  if (!key || strlen(key) > 200 || !typed || parse_i64(typed, &version) || version < 0) http_problem_code(r, ERR_MALFORMED, NULL);
  else if (k.shown && (read_data(&k, errors) || (k.action && k.action->kind == ACT_TRANSFER && !value_of(r, "to")))) show_action(&k, NULL, errors, 422);
  else if (k.shown && value_of(r, "more")) show_action(&k, NULL, NULL, 200);
  else {
    struct case_act a = {.action = k.name, .comment = value_of(r, "comment") ? text_repair(http_arena(r), value_of(r, "comment")) : NULL, .reason = value_of(r, "reason"),
                         .data = json_object_size(k.sent) ? k.sent : NULL, .expected_version = version, .key = key, .actor = *web_actor(r), .lang = http_lang(r), .arena = http_arena(r)};
    snprintf(a.tracking, sizeof a.tracking, "%s", k.tracking);
    if (cases_act(web_of(r)->cases, &a, NULL, NULL, &err) == 0) {
      const char *desk = json_str(json_object_get(k.view, "holder"), "code");
      if (value_of(r, "next") && web_actor(r)->kind == ACTOR_STAFF && desk) next_case(r, desk, k.tracking);
      else http_redirect(r, 303, arena_printf(http_arena(r), "%s?done=1%s", home, in_stream(r) ? "&stream=1" : ""));
    }
    else if (err.code == ERR_INVALID && k.shown) show_action(&k, a.detail ? word(http_lang(r), a.detail) : NULL, a.errors, 422);
    else http_problem(r, &err, a.detail ? word(http_lang(r), a.detail) : NULL, NULL);
    json_decref(a.errors);
  }
  json_decref(errors);
  acting_close(&k);
}

/* What was chosen of the survey: item_NAME with 1 to 5, or yes and no. */
static json_t *survey_taken(struct http_req *r) {
  const struct survey *s = pack_survey(web_pack(r));
  json_t *answers = json_object();
  for (size_t i = 0; i < s->count; i++) {
    const char *typed = value_of(r, arena_printf(http_arena(r), "item_%s", s->items[i].name));
    int64_t n;
    if (!typed || !typed[0]) continue;
    if (s->items[i].yes_no) json_object_set_new(answers, s->items[i].name, json_boolean(strcmp(typed, "yes") == 0));
    else json_object_set_new(answers, s->items[i].name, json_integer(parse_i64(typed, &n) ? 0 : n));
  }
  return answers;
}

static void post_rating(struct http_req *r) {
  const char *tracking = tracking_of(r);
  int64_t score = 0;
  struct err err;
  if (!tracking) return;
  const char *typed = value_of(r, "score"), *comment = value_of(r, "comment");
  if (!typed || parse_i64(typed, &score) || score < 1 || score > 5)
    return http_redirect(r, 303, arena_printf(http_arena(r), "/cases/%s?score=none#rate-title", tracking));
  json_t *answers = survey_taken(r);
  struct case_rating rating = {.tracking = tracking, .score = (int)score, .answers = answers, .comment = comment ? text_repair(http_arena(r), comment) : NULL};
  int rc = cases_rate(web_of(r)->cases, web_actor(r), &rating, http_lang(r), &err);
  json_decref(answers);
  if (rc) return http_problem(r, &err, rating.detail ? word(http_lang(r), rating.detail) : NULL, rating.errors);
  http_redirect(r, 303, arena_printf(http_arena(r), "/cases/%s?thanks=1", tracking));
}

const struct http_route web_act_rows[] = {
  {"GET", "/cases/{tracking}/actions/{action}", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_action, "The form of one action."},
  {"POST", "/cases/{tracking}/actions/{action}", HTTP_WORKER, PERMIT_SESSION, HTTP_TOKEN, FILES_BODY, post_action, "Do one action."},
  {"POST", "/cases/{tracking}/rating", HTTP_WORKER, PERMIT_SESSION, HTTP_TOKEN, FORM_BODY, post_rating, "Rate, once, after the decision."},
};
const size_t web_act_count = BASE_COUNT(web_act_rows);
