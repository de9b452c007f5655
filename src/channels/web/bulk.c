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
  const struct actor *who = web_actor(r);
  const char *organisation = organisation_of(r), *typed = value_of(r, "after");
  char tracking[TRACKING_SIZE], after[32];
  struct err err;
  bool behind = typed && identifier_parse(IDENT_TRACKING, typed, after) == 0;
  if (cases_next(web_of(r)->cases, who, organisation, behind ? after : NULL, http_lang(r), tracking, &err) == 0)
    return http_redirect(r, 303, arena_printf(http_arena(r), "/cases/%s?stream=1", tracking));
  if (err.code != ERR_NOT_FOUND) return web_error(r, &err);
  http_redirect(r, 303, arena_printf(http_arena(r), "%s&nothing=1", desk_href(r, organisation, NULL)));
}

static void remark(struct http_req *r, const char *code, const json_t *documents) {
  struct err err;
  const char *text = value_of(r, "text"), *key = value_of(r, "key"), *home = arena_printf(http_arena(r), "/cases/%s#remarks", code);
  text = text ? text_repair(http_arena(r), text) : NULL;
  if ((!text || !text[0]) && json_array_size(documents)) text = say(r, "remark_files_only");
  if (!text || !text[0]) return http_redirect(r, 303, home);
  if (strlen(text) > 4000) return http_problem_code(r, ERR_INVALID, say(r, "remark_long"));
  if (!key) return http_problem_code(r, ERR_MALFORMED, NULL);
  if (cases_remark(web_of(r)->cases, web_actor(r), code, text, documents, key, &err)) return web_error(r, &err);
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

/* ---- one action on many ---- */

struct chosen {
  char tracking[TRACKING_SIZE];
  int64_t version;
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

static json_t *result_json(struct http_req *r, const char *tracking, int rc, const struct case_act *a, const struct err *err) {
  json_t *o = json_object();
  const char *key = rc ? arena_printf(http_arena(r), "error.%s.detail", err_name(err->code)) : NULL;
  put(o, "href", arena_printf(http_arena(r), "/cases/%s", tracking));
  put(o, "code", show_code(r, tracking));
  put_flag(o, "good", rc == 0);
  put(o, "message", rc == 0 ? say(r, "bulk_done") : word(http_lang(r), a->detail ? a->detail : key ? key : "error.internal.detail"));
  return o;
}

static void post_bulk(struct http_req *r) {
  const char *organisation = organisation_of(r), *view = value_of(r, "view"), *action = value_of(r, "action"), *assignee = value_of(r, "assignee"),
             *comment = value_of(r, "comment"), *key = value_of(r, "key");
  struct chosen *list = arena_alloc(http_arena(r), MOST_AT_ONCE * sizeof *list);
  if (!list) return http_problem_code(r, ERR_LIMIT, NULL);
  int count = read_chosen(r, list), good = 0;
  if (count < 0 || !key || strlen(key) > 150) return http_problem_code(r, ERR_MALFORMED, NULL);
  if (!count || !action) return http_redirect(r, 303, arena_printf(http_arena(r), "%s&unchosen=1", desk_href(r, organisation, view)));
  json_t *items = json_array(), *data = json_object();
  if (assignee) json_put(data, "assignee", assignee);
  for (int i = 0; i < count; i++) {
    struct err err;
    struct case_act a = {.action = action, .comment = comment ? text_repair(http_arena(r), comment) : NULL, .data = assignee ? data : NULL,
                         .expected_version = list[i].version, .key = key, .actor = *web_actor(r), .lang = http_lang(r), .arena = http_arena(r)};
    memcpy(a.tracking, list[i].tracking, TRACKING_SIZE);
    int rc = cases_act(web_of(r)->cases, &a, NULL, NULL, &err);
    good += rc == 0;
    json_array_append_new(items, result_json(r, list[i].tracking, rc, &a, &err));
    json_decref(a.errors);
  }
  json_decref(data);
  json_t *page = page_new(web_of(r), r, say(r, "bulk_title"), false);
  crumb(page, desk_href(r, organisation, view), say(r, "desk"));
  put_number(r, page, "good", good);
  put_number(r, page, "bad", count - good);
  put_flag(page, "some_bad", good < count);
  put(page, "back", desk_href(r, organisation, view));
  put_list(page, "items", items);
  page_reply(web_of(r), r, 200, "bulk", page);
}

const struct http_route web_bulk_rows[] = {
  {"POST", "/desk/next", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_next, "Take the most urgent case of the desk."},
  {"POST", "/desk/bulk", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_bulk, "One action on the chosen cases, with a result for each."},
  {"POST", "/cases/{tracking}/remarks", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FILES_BODY, post_remark, "A remark for colleagues."},
};
const size_t web_bulk_count = BASE_COUNT(web_bulk_rows);
