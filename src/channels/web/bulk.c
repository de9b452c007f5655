/* The desk acts: the next case, one action on many, remarks among colleagues. */
#include "channels/web/inside.h"

#include <string.h>

enum { MOST_AT_ONCE = 100 };

static const char *value_of(struct http_req *r, const char *name) {
  const char *v = http_form_value(r, name);
  return v && v[0] && utf8_valid(v, strlen(v)) ? v : NULL;
}

/* Back to the list that the officer came from. */
static const char *desk_href(struct http_req *r, const char *organisation, const char *view) {
  return arena_printf(http_arena(r), "/desk?organisation=%s&view=%s", url_quote(r, organisation), url_quote(r, view ? view : "open"));
}

static const char *organisation_of(struct http_req *r) {
  const struct actor *who = web_actor(r);
  const char *given = value_of(r, "organisation");
  return given ? given : who->role_count ? who->roles[0].organisation : "";
}

static void post_next(struct http_req *r) {
  const char *organisation = organisation_of(r), *typed = value_of(r, "after");
  char after[32];
  bool behind = typed && identifier_parse(IDENT_TRACKING, typed, after) == 0;
  next_case(r, organisation, behind ? after : NULL);
}

void next_case(struct http_req *r, const char *organisation, const char *after) {
  char tracking[TRACKING_SIZE];
  struct err err;
  if (cases_next(web_of(r)->cases, web_actor(r), organisation, after, http_lang(r), tracking, &err) == 0)
    return http_redirect(r, 303, arena_printf(http_arena(r), "/cases/%s?stream=1", tracking));
  if (err.code != ERR_NOT_FOUND && err.code != ERR_CONFLICT) return web_error(r, &err);
  if (err.code == ERR_NOT_FOUND) http_redirect(r, 303, arena_printf(http_arena(r), "%s&nothing=1", desk_href(r, organisation, NULL)));
  else http_redirect(r, 303, desk_href(r, organisation, NULL)); /* recorded as away: the desk tells so */
}

static void remark(struct http_req *r, const char *code, const json_t *documents) {
  struct err err;
  const char *text = value_of(r, "text"), *key = value_of(r, "key");
  const char *home = arena_printf(http_arena(r), "/cases/%s%s#remarks", code, value_of(r, "stream") ? "?stream=1" : "");
  text = text ? text_repair(http_arena(r), text) : NULL;
  if ((!text || !text[0]) && json_array_size(documents)) text = say(r, "remark_files_only");
  if (!text || !text[0]) return http_redirect(r, 303, home);
  if (strlen(text) > 4000) return http_problem_code(r, ERR_INVALID, say(r, "remark_long"));
  if (!key) return http_problem_code(r, ERR_MALFORMED, NULL);
  struct desk_note n = {.kind = NOTE_REMARK, .tracking = code, .text = text, .key = key, .documents = documents};
  if (cases_desk_note(web_of(r)->cases, web_actor(r), &n, &err)) return web_error(r, &err);
  http_redirect(r, 303, home);
}

static void post_remark(struct http_req *r) {
  char code[32];
  json_t *documents = NULL;
  const char *message = NULL;
  if (identifier_parse(IDENT_TRACKING, http_param(r, "tracking"), code)) return not_found(r);
  if (field_take(r, cases_attached(&(struct action){.name = ""}), NULL, NULL, &documents, &message)) http_problem_code(r, ERR_INVALID, message);
  else if (!http_replied(r)) remark(r, code, documents);
  json_decref(documents);
}

/* A letter that came in: its number, its date and from whom. */
static void post_incoming(struct http_req *r) {
  char code[32];
  struct err err;
  struct arena *a = http_arena(r);
  if (identifier_parse(IDENT_TRACKING, http_param(r, "tracking"), code)) return not_found(r);
  const char *number = value_of(r, "number"), *date = value_of(r, "date"), *from = value_of(r, "from"), *text = value_of(r, "text");
  int32_t day = date ? date_parse(date) : INT32_MIN;
  char iso[16];
  if (!number || !from || day == INT32_MIN || day > cases_today()) return http_problem_code(r, ERR_INVALID, say(r, "incoming_needs"));
  date_iso(day, iso);
  number = text_repair(a, number);
  from = text_repair(a, from);
  text = text ? text_repair(a, text) : NULL;
  struct desk_note n = {.kind = NOTE_INCOMING, .tracking = code, .number = number, .date = iso, .from = from, .text = text && text[0] ? text : number,
                        .key = value_of(r, "key")};
  if (!n.key || !number || !number[0] || !from || !from[0]) return http_problem_code(r, ERR_INVALID, say(r, "incoming_needs"));
  if (cases_desk_note(web_of(r)->cases, web_actor(r), &n, &err)) return web_error(r, &err);
  http_redirect(r, 303, arena_printf(a, "/cases/%s#remarks", code));
}

/* ---- one action on many ---- */

struct chosen {
  char tracking[TRACKING_SIZE];
  int64_t version;
};

struct group {
  struct http_req *r;
  struct chosen *list;
  int count;
  const char *organisation, *view;
  json_t *common;           /* actions that every one of them allows: [{"name","title","kind","reason","reasons"}] */
};

/* Boxes named `case`, each "TRACKING:VERSION". Answers how many, -1 when one is no such thing. */
static int read_chosen(struct http_req *r, struct chosen *list) {
  const struct http_field *fields;
  size_t n = http_form(r, &fields);
  int count = 0;
  for (size_t i = 0; i < n && count < MOST_AT_ONCE; i++) {
    if (strcmp(fields[i].name, "case") != 0) continue;
    const char *colon = strchr(fields[i].value, ':');
    char code[32], *typed = colon ? arena_strndup(http_arena(r), fields[i].value, (size_t)(colon - fields[i].value)) : NULL;
    if (!typed || identifier_parse(IDENT_TRACKING, typed, code) || parse_i64(colon + 1, &list[count].version) || list[count].version < 1) return -1;
    memcpy(list[count++].tracking, code, TRACKING_SIZE);
  }
  return count;
}

static int group_open(struct group *g, struct http_req *r) {
  *g = (struct group){.r = r, .organisation = organisation_of(r), .view = value_of(r, "view"), .list = arena_alloc(http_arena(r), MOST_AT_ONCE * sizeof *g->list)};
  g->count = g->list ? read_chosen(r, g->list) : -1;
  if (g->count < 0) http_problem_code(r, ERR_MALFORMED, NULL);
  return g->count < 0 ? -1 : 0;
}

/* An action that can be done to many at once: it asks nothing that differs from case to case, and needs no second pair of eyes. */
static bool fits_many(const struct action *act) {
  if (!act || act->four_eyes || act->kind == ACT_PROVIDE_INFO || act->kind == ACT_WITHDRAW || act->kind == ACT_APPEAL) return false;
  for (size_t i = 0; i < act->field_count; i++)
    if (act->fields[i]->required) return false;
  return true;
}

static json_t *named(const json_t *list, const char *key, const char *name) {
  size_t i;
  json_t *one;
  json_array_foreach((json_t *)(uintptr_t)list, i, one) if (base_same(json_str(one, key), name)) return one;
  return NULL;
}

/* Of one case: those of its actions that fit; the caller's to free. */
static json_t *actions_of(struct http_req *r, const char *tracking) {
  json_t *view = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (cases_get(web_of(r)->cases, web_actor(r), tracking, http_lang(r), &view, &err)) return list;
  const struct pack *p;
  const struct service *s = cases_definition(web_of(r)->cases, view, &p);
  int state = s && !json_str(view, "inquiry") ? service_state(s, json_str(view, "state")) : -1;
  json_array_foreach(json_object_get(view, "actions"), i, one) {
    const struct action *act = state >= 0 ? service_action(s, state, json_str(one, "name")) : NULL;
    if (!fits_many(act)) continue;
    json_object_set_new(one, "kind", json_integer(act->kind));
    json_array_append(list, one);
  }
  json_decref(view);
  return list;
}

static void keep_named(json_t *list, const char *key, const json_t *others) {
  for (size_t i = json_array_size(list); i-- > 0;)
    if (!named(others, key, json_str(json_array_get(list, i), key))) json_array_remove(list, i);
}

static void find_common(struct group *g) {
  size_t i;
  json_t *one;
  for (int n = 0; n < g->count; n++) {
    json_t *mine = actions_of(g->r, g->list[n].tracking);
    if (n == 0) {
      g->common = mine;
      continue;
    }
    keep_named(g->common, "name", mine);
    json_array_foreach(g->common, i, one) {
      const json_t *same = named(mine, "name", json_str(one, "name"));
      if (json_flag(same, "reason", false)) json_object_set_new(one, "reason", json_true());
      keep_named(json_object_get(one, "reasons"), "code", json_object_get(same, "reasons"));
    }
    json_decref(mine);
  }
}

static void put_destination(struct http_req *r, json_t *page, int kind) {
  const char *find = value_of(r, "find");
  bool sends = kind == ACT_TRANSFER || kind == ACT_REFER;
  size_t all = 0;
  json_t *options = sends && find ? organisation_options(r, pack_directory(web_pack(r)), -1, find, value_of(r, "to"), &all) : json_array();
  put_flag(page, "sends", sends);
  put_flag(page, "must_send", kind == ACT_TRANSFER);
  put(page, "find", sends ? find : NULL);
  put_flag(page, "none_found", sends && find && !all);
  put_flag(page, "find_more", sends && find && all && !json_array_size(options));
  put_list(page, "options", options);
}

/* The chosen, what can be done to all of them, and the form of one action when it has been chosen. */
static void show_group(struct group *g, const json_t *act, const char *wrong) {
  struct http_req *r = g->r;
  json_t *page = page_new(web_of(r), r, act ? json_str(act, "title") : say(r, "group_title"), true), *list = json_array(), *acts = json_array(), *reasons = json_array(), *one;
  size_t i;
  crumb(page, desk_href(r, g->organisation, g->view), say(r, "desk"));
  for (int n = 0; n < g->count; n++) {
    json_t *o = json_object();
    put(o, "choice", arena_printf(http_arena(r), "%s:%lld", g->list[n].tracking, (long long)g->list[n].version));
    put(o, "href", arena_printf(http_arena(r), "/cases/%s", g->list[n].tracking));
    put(o, "code", show_code(r, g->list[n].tracking));
    json_array_append_new(list, o);
  }
  json_array_foreach(g->common, i, one) {
    json_t *o = json_object();
    put(o, "value", json_str(one, "name"));
    put(o, "label", json_str(one, "title"));
    json_array_append_new(acts, o);
  }
  json_array_foreach(json_object_get(act, "reasons"), i, one) {
    json_t *o = json_object();
    put(o, "value", json_str(one, "code"));
    put(o, "label", json_str(one, "text"));
    put_flag(o, "chosen", base_same(json_str(one, "code"), value_of(r, "reason")));
    json_array_append_new(reasons, o);
  }
  int kind = act ? (int)json_int(act, "kind", ACT_OWN) : ACT_OWN;
  bool required = json_flag(act, "reason", false);
  put_number(r, page, "n", g->count);
  put(page, "chosen_text", word_fill(http_arena(r), http_lang(r), "web.group_chosen", "n", number_format(http_arena(r), http_lang(r), g->count), NULL));
  put(page, "organisation", g->organisation);
  put(page, "view", g->view);
  put(page, "key", value_of(r, "key") ? value_of(r, "key") : fresh_key(r));
  put(page, "act", json_str(act, "name"));
  put(page, "act_title", json_str(act, "title"));
  put(page, "comment", value_of(r, "comment"));
  put(page, "wrong", wrong);
  if (wrong) fault(page, kind == ACT_TRANSFER && !value_of(r, "to") ? "#find" : json_array_size(reasons) ? "#reason" : "#comment", wrong);
  put_flag(page, "warn", kind == ACT_REJECT);
  put_flag(page, "reason_required", required);
  put_flag(page, "comment_required", required && !json_array_size(reasons));
  put_destination(r, page, kind);
  put_list(page, "colleagues", kind == ACT_ASSIGN ? colleagues_json(r, g->organisation) : json_array());
  put_list(page, "reasons", reasons);
  put_list(page, "acts", acts);
  put_list(page, "items", list);
  put(page, "back", desk_href(r, g->organisation, g->view));
  page_reply(web_of(r), r, wrong ? 422 : 200, "group", page);
}

static void post_group(struct http_req *r) {
  struct group g;
  if (group_open(&g, r)) return;
  if (!g.count) return http_redirect(r, 303, arena_printf(http_arena(r), "%s&unchosen=1", desk_href(r, g.organisation, g.view)));
  find_common(&g);
  show_group(&g, named(g.common, "name", value_of(r, "action")), NULL);
  json_decref(g.common);
}

static json_t *result_json(struct http_req *r, const char *tracking, int rc, const struct case_act *a, const struct err *err) {
  json_t *o = json_object();
  const char *key = rc ? arena_printf(http_arena(r), "error.%s.detail", err_name(err->code)) : NULL;
  put(o, "href", arena_printf(http_arena(r), "/cases/%s", tracking));
  put(o, "code", show_code(r, tracking));
  put_flag(o, "good", rc == 0);
  put(o, "message", rc == 0 ? say(r, "bulk_done") : word(http_lang(r), a->detail ? a->detail : key ? key : "error.internal.detail"));
  return o;
}

static void show_results(struct group *g, json_t *items, int good) {
  struct http_req *r = g->r;
  json_t *page = page_new(web_of(r), r, say(r, "bulk_title"), false);
  crumb(page, desk_href(r, g->organisation, g->view), say(r, "desk"));
  put_number(r, page, "good", good);
  put_number(r, page, "bad", g->count - good);
  put_flag(page, "some_bad", good < g->count);
  put(page, "back", desk_href(r, g->organisation, g->view));
  put_list(page, "items", items);
  page_reply(web_of(r), r, 200, "bulk", page);
}

/* What is missing from the form for all of them alike, as a sentence; NULL: nothing. */
static const char *missing(struct http_req *r, const json_t *act) {
  bool lists = json_array_size(json_object_get(act, "reasons")) > 0;
  if (json_flag(act, "reason", false) && !value_of(r, "comment") && !value_of(r, "reason")) return say(r, lists ? "need_reason" : "group_need_comment");
  if (json_int(act, "kind", ACT_OWN) == ACT_TRANSFER && !value_of(r, "to")) return say(r, "need_destination");
  return NULL;
}

static void post_bulk(struct http_req *r) {
  static const char *const fixed[] = {"assignee", "to"};
  const char *action = value_of(r, "action"), *comment = value_of(r, "comment"), *key = value_of(r, "key");
  struct group g;
  if (group_open(&g, r)) return;
  if (!key || strlen(key) > 150) return http_problem_code(r, ERR_MALFORMED, NULL);
  if (!g.count || !action) return http_redirect(r, 303, arena_printf(http_arena(r), "%s&unchosen=1", desk_href(r, g.organisation, g.view)));
  if (strcmp(action, "assign") != 0) {
    find_common(&g);
    const json_t *act = named(g.common, "name", action);
    const char *wrong = act ? missing(r, act) : NULL;
    if (wrong) show_group(&g, act, wrong);
    json_decref(g.common);
    if (wrong) return;
  }
  json_t *items = json_array(), *data = json_object();
  int good = 0;
  for (size_t i = 0; i < BASE_COUNT(fixed); i++)
    if (value_of(r, fixed[i])) json_put(data, fixed[i], value_of(r, fixed[i]));
  for (int i = 0; i < g.count; i++) {
    struct err err;
    struct case_act a = {.action = action, .comment = comment ? text_repair(http_arena(r), comment) : NULL, .reason = value_of(r, "reason"),
                         .data = json_object_size(data) ? data : NULL, .expected_version = g.list[i].version, .key = key, .actor = *web_actor(r),
                         .lang = http_lang(r), .arena = http_arena(r)};
    memcpy(a.tracking, g.list[i].tracking, TRACKING_SIZE);
    int rc = cases_act(web_of(r)->cases, &a, NULL, NULL, &err);
    good += rc == 0;
    json_array_append_new(items, result_json(r, g.list[i].tracking, rc, &a, &err));
    json_decref(a.errors);
  }
  json_decref(data);
  show_results(&g, items, good);
}

const struct http_route web_bulk_rows[] = {
  {"POST", "/desk/next", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_next, "Take the most urgent case of the desk."},
  {"POST", "/desk/group", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_group, "What can be done to all the chosen cases, and the form for it."},
  {"POST", "/desk/bulk", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_bulk, "One action on the chosen cases, with a result for each."},
  {"POST", "/cases/{tracking}/remarks", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FILES_BODY, post_remark, "A remark for colleagues."},
  {"POST", "/cases/{tracking}/incoming", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_incoming, "Note the number and date of a letter that came in."},
};
const size_t web_bulk_count = BASE_COUNT(web_bulk_rows);
