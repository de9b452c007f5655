/* Services that an organisation defines itself: the file, the compiler's mistakes beside it, how it will look, who has approved it. */
#include "channels/web/admin.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_MOST = 1024 * 1024, ROUND = 2 };

static json_t *mistakes_json(struct http_req *r, const json_t *mistakes) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(mistakes, i, one) {
    json_t *o = json_object();
    bool ours = json_flag(one, "ours", true);
    put(o, "line", local(r, arena_printf(http_arena(r), "%lld", (long long)json_int(one, "line", 0))));
    put(o, "href", ours ? arena_printf(http_arena(r), "#L%lld", (long long)json_int(one, "line", 0)) : NULL);
    put(o, "file", ours ? NULL : json_str(one, "file"));
    put(o, "message", mistake_text(http_arena(r), http_lang(r), json_str(one, "message")));
    json_array_append_new(list, o);
  }
  return list;
}

static bool near(const json_t *mistakes, long long line, long long within) {
  size_t i;
  const json_t *one;
  json_array_foreach(mistakes, i, one) {
    long long at = json_int(one, "line", 0);
    if (json_flag(one, "ours", true) && at >= line - within && at <= line + within) return true;
  }
  return false;
}

/* The lines around each mistake, numbered. */
static json_t *lines_json(struct http_req *r, const char *text, const json_t *mistakes) {
  json_t *list = json_array();
  long long n = 1;
  for (const char *s = text; s && *s; n++) {
    size_t size = strcspn(s, "\n");
    if (near(mistakes, n, ROUND)) {
      json_t *o = json_object();
      put(o, "n", local(r, arena_printf(http_arena(r), "%lld", n)));
      put(o, "id", arena_printf(http_arena(r), "L%lld", n));
      const char *cut = arena_strndup(http_arena(r), s, size < 400 ? size : 400);
      put(o, "text", cut && utf8_valid(cut, strlen(cut)) ? cut : NULL);
      put_flag(o, "wrong", near(mistakes, n, 0));
      json_array_append_new(list, o);
    }
    s += size + (s[size] == '\n');
  }
  return list;
}

/* ---- how it will look ---- */

static json_t *pages_json(struct http_req *r, const struct proposal_check *k) {
  json_t *list = json_array(), *empty = json_object();
  for (size_t i = 0; i < k->service->page_count; i++) {
    const struct page *p = &k->service->pages[i];
    json_t *o = json_object(), *fields = json_array();
    put(o, "title", text_in(&p->title, http_lang(r)));
    put(o, "guidance", text_in(&p->guidance, http_lang(r)));
    for (size_t f = 0; f < p->count; f++) {
      struct shown_field shown = {.field = p->fields[f], .pack = k->pack, .data = empty};
      json_array_append_new(fields, field_json(r, &shown));
    }
    put_list(o, "fields", fields);
    json_array_append_new(list, o);
  }
  json_decref(empty);
  return list;
}

static json_t *states_json(struct http_req *r, const struct service *s) {
  json_t *list = json_array();
  for (size_t i = 0; i < s->state_count; i++) {
    const struct state *st = &s->states[i];
    const char *actions = NULL;
    for (size_t a = 0; a < st->action_count; a++) {
      const char *title = text_in(&st->actions[a].title, http_lang(r));
      actions = actions ? arena_printf(http_arena(r), "%s — %s", actions, title) : title;
    }
    json_t *o = json_object();
    put(o, "title", text_in(&st->title, http_lang(r)));
    put(o, "plain", text_in(&st->plain, http_lang(r)));
    put(o, "legal", st->legal > 0 ? number_format(http_arena(r), http_lang(r), st->legal) : NULL);
    put(o, "actions", actions);
    json_array_append_new(list, o);
  }
  return list;
}

/* What it takes from others, for whoever approves it. */
static json_t *takes_json(struct http_req *r, const struct proposal_check *k) {
  json_t *list = json_array();
  const struct directory *d = pack_directory(k->pack);
  for (size_t i = 0; i < k->service->field_count; i++) {
    struct data_source from;
    if (!pack_data_source(k->pack, k->service->fields[i], &from)) continue;
    json_array_append_new(list, json_string(arena_printf(http_arena(r), "%s — %s", text_in(&k->service->fields[i]->label, http_lang(r)), admin_organisation_name(r, from.organisation))));
  }
  for (size_t i = 0; i < k->service->inquiry_count; i++) {
    const struct organisation *o = directory_organisation(d, k->service->inquiries[i].organisation);
    json_array_append_new(list, json_string(arena_printf(http_arena(r), "%s — %s", text_in(&k->service->inquiries[i].title, http_lang(r)), o ? organisation_name(o, http_lang(r)) : "")));
  }
  return list;
}

static void put_preview(struct http_req *r, json_t *page, const struct proposal_check *k) {
  const struct service *s = k->service;
  enum lang l = http_lang(r);
  put_flag(page, "looks", s != NULL);
  if (!s) return;
  put(page, "service_title", text_in(&s->title, l));
  put(page, "about", text_in(&s->description, l));
  put(page, "norm", s->norm > 0 ? number_format(http_arena(r), l, s->norm) : NULL);
  put(page, "legal", s->legal > 0 ? number_format(http_arena(r), l, s->legal) : NULL);
  put(page, "from", date_long(http_arena(r), l, s->valid_from));
  put_list(page, "pages", pages_json(r, k));
  put_list(page, "states", states_json(r, s));
  put_list(page, "takes", takes_json(r, k));
}

/* ---- the list, and a new one ---- */

static json_t *item_json(struct http_req *r, const json_t *one) {
  json_t *o = json_object();
  const char *state = json_str(one, "state");
  put(o, "href", arena_printf(http_arena(r), "/admin/definitions/%s", json_str(one, "id")));
  put(o, "service", json_str(one, "service"));
  put_number(r, o, "version", json_int(one, "version", 0));
  put(o, "owner", admin_organisation_name(r, json_str(one, "organisation")));
  put(o, "who", json_str(one, "who"));
  put(o, "approver", json_str(one, "approver"));
  put(o, "operator", json_str(one, "operator"));
  put(o, "at", show_time(r, json_str(one, "at")));
  put(o, "state", say(r, arena_printf(http_arena(r), "proposal_%s", state)));
  put_flag(o, "good", base_same(state, "served"));
  put_flag(o, "waits", base_same(state, "waiting") || base_same(state, "approved"));
  put_flag(o, "open", base_same(state, "waiting"));
  return o;
}

static void show_list(struct http_req *r, const char *organisation, const char *text, const json_t *mistakes, const char *detail, int status) {
  json_t *out = NULL, *one, *items = json_array();
  struct err err;
  size_t i;
  if (cases_proposals(web_of(r)->cases, web_actor(r), organisation, &out, &err)) {
    json_decref(items);
    return web_error(r, &err);
  }
  json_array_foreach(out, i, one) json_array_append_new(items, item_json(r, one));
  json_decref(out);
  json_t *page = admin_page(r, say(r, "admin_definitions"), organisation);
  put(page, "text", text);
  put(page, "detail", detail);
  if (detail) fault(page, "#text", detail);
  else if (json_array_size(mistakes)) fault(page, "#mistakes", say(r, "proposal_mistakes"));
  put_list(page, "mistakes", mistakes ? mistakes_json(r, mistakes) : json_array());
  put_list(page, "lines", mistakes ? lines_json(r, text, mistakes) : json_array());
  put_list(page, "items", items);
  page_reply(web_of(r), r, status, "admin_definitions", page);
}

static void get_definitions(struct http_req *r) {
  const char *organisation;
  if (admin_scope(r, &organisation)) show_list(r, organisation, NULL, NULL, NULL, 200);
}

/* The file where one was sent, else what stands in the box. */
static const char *text_of(struct http_req *r) {
  const struct http_field *fields;
  size_t n = http_form(r, &fields);
  const char *text = NULL;
  for (size_t i = 0; i < n; i++) {
    bool file = strcmp(fields[i].name, "file") == 0 && fields[i].size && !memchr(fields[i].value, 0, fields[i].size);
    if (file) return arena_strndup(http_arena(r), fields[i].value, fields[i].size);
    if (strcmp(fields[i].name, "text") == 0 && fields[i].size) text = fields[i].value;
  }
  return text;
}

static void post_definitions(struct http_req *r) {
  const char *organisation, *detail = NULL, *text = text_of(r);
  struct proposal_check check = {0};
  char id[33];
  struct err err;
  if (http_replied(r) || !admin_scope(r, &organisation)) return;
  if (!organisation || !text || !utf8_valid(text, strlen(text))) return show_list(r, organisation, NULL, NULL, say(r, organisation ? "proposal_needed" : "admin_choose_first"), 422);
  int rc = cases_propose(web_of(r)->cases, web_actor(r), organisation, text, &check, id, &detail, &err);
  if (rc == 0) http_redirect(r, 303, arena_printf(http_arena(r), "/admin/definitions/%s", id));
  else if (detail) show_list(r, organisation, text, NULL, word(http_lang(r), detail), err_status(err.code));
  else if (err.code == ERR_INVALID) show_list(r, organisation, text, check.mistakes, NULL, 422);
  else web_error(r, &err);
  proposal_check_free(&check);
}

/* ---- one ---- */

static void show_one(struct http_req *r, const char *id, const char *detail, int status) {
  json_t *one = NULL;
  struct proposal_check check = {0};
  struct err err;
  if (cases_proposal(web_of(r)->cases, web_actor(r), id, &one, &err)) return web_error(r, &err);
  const char *text = json_str(one, "text"), *organisation = json_str(one, "organisation"), *state = json_str(one, "state");
  bool judged = base_same(state, "waiting") || base_same(state, "approved");
  if (judged && cases_proposal_check(web_of(r)->cases, organisation, text, strlen(text), &check, &err)) {
    json_decref(one);
    return web_error(r, &err);
  }
  json_t *page = admin_page(r, arena_printf(http_arena(r), "%s — %s", json_str(one, "service"), local(r, arena_printf(http_arena(r), "%lld", (long long)json_int(one, "version", 0)))), NULL);
  crumb(page, "/admin/definitions", say(r, "admin_definitions"));
  json_object_set_new(page, "item", item_json(r, one));
  put(page, "action", arena_printf(http_arena(r), "/admin/definitions/%s", id));
  if (detail) fault(page, NULL, detail);
  put_list(page, "mistakes", mistakes_json(r, check.mistakes));
  put_preview(r, page, &check);
  put(page, "text", text);
  page_reply(web_of(r), r, status, "admin_definition", page);
  proposal_check_free(&check);
  json_decref(one);
}

static void get_definition(struct http_req *r) { show_one(r, http_param(r, "id"), NULL, 200); }

static void post_definition(struct http_req *r) {
  const char *id = http_param(r, "id"), *detail = NULL;
  bool approves = base_same(admin_value(r, "act"), "approve");
  json_t *mistakes = NULL;
  struct err err;
  if (http_replied(r)) return;
  if (!approves && !base_same(admin_value(r, "act"), "withdraw")) return http_problem_code(r, ERR_MALFORMED, NULL);
  if (approves && cases_proposal_mistakes(web_of(r)->cases, web_actor(r), id, &mistakes, &err)) return web_error(r, &err);
  size_t wrong = json_array_size(mistakes);
  json_decref(mistakes);
  if (wrong) return show_one(r, id, say(r, "proposal_mistakes"), 422);
  if (cases_proposal_act(web_of(r)->cases, web_actor(r), id, approves, &detail, &err) == 0) return http_redirect(r, 303, arena_printf(http_arena(r), "/admin/definitions/%s", id));
  if (!detail) return web_error(r, &err);
  show_one(r, id, word(http_lang(r), detail), err_status(err.code));
}

const struct http_route web_proposal_rows[] = {
  {"GET", "/admin/definitions", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_definitions, "The services that an organisation has defined itself."},
  {"POST", "/admin/definitions", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, BODY_MOST, post_definitions, "Propose a service: its file is compiled and its mistakes are shown."},
  {"GET", "/admin/definitions/{id}", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_definition, "A proposed service as it will look."},
  {"POST", "/admin/definitions/{id}", HTTP_WORKER, PERMIT_MANAGER, HTTP_TOKEN, 4096, post_definition, "Approve or withdraw a proposed service."},
};
const size_t web_proposal_count = BASE_COUNT(web_proposal_rows);
