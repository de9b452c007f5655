/* Cases out, in bulk: for the manager of their organisation. */
#include "channels/web/inside.h"

#include <string.h>

static bool exports(const struct actor *who, const char *organisation) {
  return actor_has_role(who, organisation, STAFF_MANAGER);
}

static json_t *desks_json(struct http_req *r, const char *chosen) {
  const struct actor *who = web_actor(r);
  const struct directory *d = pack_directory(web_pack(r));
  json_t *list = json_array();
  for (unsigned i = 0; i < who->role_count; i++) {
    const char *code = who->roles[i].organisation;
    const struct organisation *o = directory_organisation(d, directory_find_organisation(d, code));
    if (who->roles[i].role != STAFF_MANAGER || !o) continue;
    json_t *one = json_object();
    put(one, "value", code);
    put(one, "label", organisation_name(o, http_lang(r)));
    put_flag(one, "chosen", strcmp(code, chosen) == 0);
    json_array_append_new(list, one);
  }
  return list;
}

static json_t *services_json(struct http_req *r, const char *chosen) {
  json_t *list = json_array();
  for (size_t i = 0; i < pack_services(web_pack(r)); i++) {
    const struct service *s = pack_service(web_pack(r), i);
    if (s->handled_external) continue;
    json_t *one = json_object();
    put(one, "value", s->code);
    put(one, "label", text_in(&s->title, http_lang(r)));
    put_flag(one, "chosen", base_same(s->code, chosen));
    json_array_append_new(list, one);
  }
  return list;
}

static json_t *runs_json(struct http_req *r, const json_t *runs) {
  json_t *list = json_array();
  size_t i;
  const json_t *one;
  json_array_foreach(runs, i, one) {
    json_t *o = json_object();
    const struct service *s = json_str(one, "service") ? pack_find_shown(web_pack(r), json_str(one, "service")) : NULL;
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "who", base_same(json_str(one, "who"), "system") ? say(r, "export_by_command") : json_str(one, "who"));
    put(o, "service", s ? text_in(&s->title, http_lang(r)) : json_str(one, "service") ? json_str(one, "service") : say(r, "every"));
    put_flag(o, "masked", json_flag(one, "masked", false));
    json_array_append_new(list, o);
  }
  return list;
}

/* fault_of: the box that was filled in wrongly, or NULL. */
static void show(struct http_req *r, int status, const char *organisation, const char *fault_of) {
  json_t *runs = NULL;
  struct err err;
  if (cases_exports(web_of(r)->cases, web_actor(r), organisation, &runs, &err)) return web_error(r, &err);
  json_t *page = page_new(web_of(r), r, say(r, "export"), true), *desks = desks_json(r, organisation);
  bool sent = fault_of != NULL; /* else nothing of a form has come */
  const char *from = sent ? http_form_value(r, "from") : NULL, *to = sent ? http_form_value(r, "to") : NULL;
  crumb(page, "/desk", say(r, "desk"));
  if (fault_of) fault(page, arena_printf(http_arena(r), "#%s", fault_of), say(r, "export_bad_day"));
  put_flag(page, "bad_from", base_same(fault_of, "from"));
  put_flag(page, "bad_to", base_same(fault_of, "to"));
  put(page, "from", from);
  put(page, "to", to);
  put(page, "organisation", organisation);
  put_flag(page, "many_desks", json_array_size(desks) > 1);
  put_list(page, "desks", desks);
  put_list(page, "service_options", services_json(r, sent ? http_form_value(r, "service") : NULL));
  put_list(page, "runs", runs_json(r, runs));
  json_decref(runs);
  page_reply(web_of(r), r, status, "export", page);
}

static const char *first_desk(const struct actor *who) {
  for (unsigned i = 0; i < who->role_count; i++)
    if (who->roles[i].role == STAFF_MANAGER) return who->roles[i].organisation;
  return NULL;
}

static void get_export(struct http_req *r) {
  const char *asked = http_query(r, "organisation"), *organisation = asked && asked[0] ? asked : first_desk(web_actor(r));
  if (!organisation || !exports(web_actor(r), organisation)) return http_problem_code(r, ERR_FORBIDDEN, word(http_lang(r), "transfer.not_yours"));
  show(r, 200, organisation, NULL);
}

static bool day_given(struct http_req *r, const char *name, int days, int64_t *at) {
  const char *text = http_form_value(r, name);
  if (!text || !text[0]) return true;
  int32_t day = date_parse(text);
  if (day != INT32_MIN) *at = day_start(day) + (int64_t)days * 86400000;
  return day != INT32_MIN;
}

static void post_export(struct http_req *r) {
  const char *organisation = http_form_value(r, "organisation"), *service = http_form_value(r, "service");
  struct case_export_query q = {.organisation = organisation, .service = service && service[0] ? service : NULL,
                                .format = base_same(http_form_value(r, "format"), "jsonl") ? CASE_JSONL : CASE_CSV};
  struct cases_export *e;
  struct err err;
  if (http_replied(r)) return;
  if (!organisation || !organisation[0]) q.organisation = organisation = first_desk(web_actor(r));
  if (!organisation || !exports(web_actor(r), organisation)) return http_problem_code(r, ERR_FORBIDDEN, word(http_lang(r), "transfer.not_yours"));
  if (!day_given(r, "from", 0, &q.since)) return show(r, 422, organisation, "from");
  if (!day_given(r, "to", 1, &q.until)) return show(r, 422, organisation, "to");
  if (cases_export_open(web_of(r)->cases, web_actor(r), &q, &e, &err)) return web_error(r, &err);
  http_reply_header(r, "Content-Disposition", q.format == CASE_CSV ? "attachment; filename=\"cases.csv\"" : "attachment; filename=\"cases.jsonl\"");
  http_reply_stream(r, 200, q.format == CASE_CSV ? "text/csv; charset=utf-8; header=present" : "application/jsonl", cases_export_more, e, cases_export_end);
}

/* Today, in a month and in a year: what the definitions erase until then. */
static void get_retention(struct http_req *r) {
  static const struct { const char *word; int days; } spans[] = {{"retention_today", 0}, {"retention_month", 30}, {"retention_year", 365}};
  json_t *list = json_array(), *one;
  struct err err;
  for (size_t i = 0; i < BASE_COUNT(spans); i++) {
    json_t *found = NULL, *rows = json_array(), *span = json_object();
    size_t k;
    if (cases_retention(web_of(r)->cases, cases_today() + spans[i].days, http_lang(r), &found, &err)) {
      json_decref(rows);
      json_decref(span);
      json_decref(list);
      return web_error(r, &err);
    }
    json_array_foreach(found, k, one) {
      json_t *o = json_object();
      put(o, "service", json_str(one, "service_title"));
      put(o, "result", say(r, arena_printf(http_arena(r), "retention_%s", json_str(one, "result"))));
      put_number(r, o, "years", json_int(one, "years", 0));
      put_number(r, o, "cases", json_int(one, "cases", 0));
      put(o, "oldest", show_iso_day(r, json_str(one, "oldest")));
      json_array_append_new(rows, o);
    }
    json_decref(found);
    put(span, "name", say(r, spans[i].word));
    put_list(span, "rows", rows);
    json_array_append_new(list, span);
  }
  json_t *page = page_new(web_of(r), r, say(r, "retention"), false);
  crumb(page, "/desk", say(r, "desk"));
  put_list(page, "spans", list);
  page_reply(web_of(r), r, 200, "retention", page);
}

const struct http_route web_transfer_rows[] = {
  {"GET", "/desk/export", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_export, "Manager: take the organisation's cases out; what was taken out."},
  {"POST", "/desk/export", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, 4096, post_export, "Manager: the cases as a file; the persons see it."},
  {"GET", "/desk/retention", HTTP_WORKER, PERMIT_OPERATOR, HTTP_SAFE, 0, get_retention, "Operator: what is to be erased, and when."},
};
const size_t web_transfer_count = BASE_COUNT(web_transfer_rows);
