/* Records: for the office that keeps them, and for the person they are about. */
#include "channels/web/inside.h"

#include <string.h>

static json_t *rows_json(struct http_req *r, const json_t *shown) {
  json_t *list = json_array();
  size_t i;
  const json_t *one;
  json_array_foreach(shown, i, one) {
    json_t *o = json_object();
    put(o, "label", json_str(one, "title"));
    put(o, "text", json_str(one, "text"));
    json_array_append_new(list, o);
  }
  return list;
}

/* Names of what a version changed, as the registry calls them; nothing for the first. */
static const char *changed_text(struct http_req *r, const struct registry *k, const json_t *change) {
  const json_t *list = json_object_get(change, "changed"), *v;
  const char *all = NULL, *comma = http_lang(r) == LANG_FA ? "، " : ", ";
  size_t i;
  if (base_same(json_str(change, "change"), "create")) return NULL;
  json_array_foreach(list, i, v) {
    const struct registry_attribute *a = k ? registry_attribute(k, json_string_value(v)) : NULL;
    const char *name = a ? text_in(&a->title, http_lang(r)) : json_string_value(v);
    all = all ? arena_printf(http_arena(r), "%s%s%s", all, comma, name) : name;
  }
  return all;
}

static json_t *history_json(struct http_req *r, const struct registry *k, const json_t *record) {
  json_t *list = json_array();
  size_t i;
  const json_t *one;
  json_array_foreach(json_object_get(record, "history"), i, one) {
    json_t *o = json_object(), *leaf = json_object_get(one, "leaf_index");
    const char *tracking = json_str(one, "tracking");
    put(o, "title", say(r, arena_printf(http_arena(r), "record_%s", json_str(one, "change"))));
    put(o, "source", say(r, arena_printf(http_arena(r), "record_by_%s", json_str(one, "source"))));
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "changed", changed_text(r, k, one));
    put(o, "href", tracking ? arena_printf(http_arena(r), "/cases/%s", tracking) : NULL);
    put(o, "code", tracking ? show_code(r, tracking) : NULL);
    put(o, "leaf", json_is_integer(leaf) ? number_format(http_arena(r), http_lang(r), json_integer_value(leaf)) : NULL);
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *record_json(struct http_req *r, const json_t *one) {
  json_t *o = json_object();
  const char *code = json_str(one, "registry");
  const struct registry *k = code ? pack_find_registry(web_pack(r), code) : NULL;
  put(o, "name", json_str(one, "title") ? json_str(one, "title") : k ? text_in(&k->title, http_lang(r)) : NULL);
  put(o, "owner", json_str(one, "organisation_name"));
  put_flag(o, "valid", json_flag(one, "valid", true));
  put_flag(o, "synthetic", json_flag(one, "synthetic", false));
  put(o, "since", show_time(r, json_str(one, "since")));
  put(o, "version", number_format(http_arena(r), http_lang(r), json_int(one, "version", 1)));
  put_list(o, "rows", rows_json(r, json_object_get(one, "shown")));
  put_list(o, "changes", history_json(r, k, one));
  return o;
}

/* ---- the office ---- */

static void get_registries(struct http_req *r) {
  json_t *out = NULL, *one, *list = json_array();
  struct err err;
  size_t i;
  if (registries_list(web_of(r)->registries, web_actor(r), http_lang(r), &out, &err)) {
    json_decref(list);
    return web_error(r, &err);
  }
  json_array_foreach(out, i, one) {
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/desk/registries/%s", json_str(one, "code")));
    put(o, "name", json_str(one, "title"));
    put(o, "owner", json_str(one, "organisation_name"));
    put_number(r, o, "records", json_int(one, "records", 0));
    put_flag(o, "masked", base_same(json_str(one, "right"), "masked"));
    json_array_append_new(list, o);
  }
  json_decref(out);
  json_t *page = page_new(web_of(r), r, say(r, "registries"), false);
  crumb(page, "/desk", say(r, "desk"));
  put_list(page, "items", list);
  page_reply(web_of(r), r, 200, "registries", page);
}

/* The look is on record before the page is shown. */
static int find(struct http_req *r, const struct registry *k, const char *key, json_t **out, struct err *err) {
  json_t *persons = NULL;
  int rc = registries_find(web_of(r)->registries, web_actor(r), k->code, key, http_lang(r), out, &persons, err);
  if (rc == 0 && cases_use(web_of(r)->cases, web_actor(r), persons, json_str(*out, "organisation"), k->code, err)) {
    json_decref(*out);
    *out = NULL;
    rc = -1;
  }
  json_decref(persons);
  return rc;
}

static void get_registry(struct http_req *r) {
  const struct registry *k = pack_find_registry(web_pack(r), http_param(r, "code"));
  const char *key = http_query(r, "key");
  json_t *out = NULL, *one, *list = json_array();
  struct err err = {0};
  size_t i;
  enum record_right right = k ? registries_right(web_of(r)->registries, web_actor(r), k) : RECORD_NOTHING;
  bool asked = key && key[0] && right != RECORD_NOTHING;
  if (right == RECORD_NOTHING || (asked && find(r, k, key, &out, &err) && err.code != ERR_NOT_FOUND)) {
    json_decref(list);
    return right == RECORD_NOTHING ? not_found(r) : web_error(r, &err);
  }
  json_array_foreach(json_object_get(out, "items"), i, one) json_array_append_new(list, record_json(r, one));
  const struct registry_attribute *a = registry_attribute(k, k->key);
  const struct organisation *o = directory_organisation(pack_directory(web_pack(r)), k->organisation);
  json_t *page = page_new(web_of(r), r, text_in(&k->title, http_lang(r)), false);
  crumb(page, "/desk", say(r, "desk"));
  crumb(page, "/desk/registries", say(r, "registries"));
  put(page, "owner", o ? organisation_name(o, http_lang(r)) : NULL);
  put(page, "action", arena_printf(http_arena(r), "/desk/registries/%s", k->code));
  put(page, "key", key);
  put(page, "key_title", a ? text_in(&a->title, http_lang(r)) : NULL);
  put_flag(page, "masked", right == RECORD_MASKED);
  put(page, "export_href", right == RECORD_ALL ? arena_printf(http_arena(r), "/desk/registries/%s/export", k->code) : NULL);
  put_flag(page, "asked", asked);
  put_list(page, "items", list);
  json_decref(out);
  page_reply(web_of(r), r, 200, "registry", page);
}

/* ---- the whole registry ---- */

static json_t *runs_json(struct http_req *r, const json_t *runs) {
  json_t *list = json_array();
  size_t i;
  const json_t *one;
  json_array_foreach(runs, i, one) {
    json_t *o = json_object();
    const char *since = json_str(one, "since");
    put(o, "why", json_str(one, "why"));
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "who", base_same(json_str(one, "who"), "system") ? say(r, "export_by_command") : json_str(one, "who"));
    put(o, "since", since ? show_time_day(r, since) : NULL);
    json_array_append_new(list, o);
  }
  return list;
}

/* NULL when one may not (it has been answered). */
static const struct registry *exported(struct http_req *r) {
  const struct registry *k = pack_find_registry(web_pack(r), http_param(r, "code"));
  enum record_right right = k ? registries_right(web_of(r)->registries, web_actor(r), k) : RECORD_NOTHING;
  if (right == RECORD_ALL) return k;
  if (right == RECORD_NOTHING) not_found(r);
  else http_problem_code(r, ERR_FORBIDDEN, word(http_lang(r), "registries.export_masked"));
  return NULL;
}

/* wrong: what was filled in wrongly ("why", "since"), or NULL. */
static void show_export(struct http_req *r, const struct registry *k, int status, const char *wrong) {
  json_t *runs = NULL;
  struct err err;
  const char *said = wrong ? word(http_lang(r), strcmp(wrong, "why") == 0 ? "registries.why_needed" : "web.export_bad_day") : NULL;
  if (registries_exports(web_of(r)->registries, web_actor(r), k, &runs, &err)) return web_error(r, &err);
  json_t *page = page_new(web_of(r), r, say(r, "registry_export"), true);
  crumb(page, "/desk", say(r, "desk"));
  crumb(page, "/desk/registries", say(r, "registries"));
  crumb(page, arena_printf(http_arena(r), "/desk/registries/%s", k->code), text_in(&k->title, http_lang(r)));
  if (wrong) fault(page, arena_printf(http_arena(r), "#%s", wrong), said);
  put(page, "registry", text_in(&k->title, http_lang(r)));
  put(page, "action", arena_printf(http_arena(r), "/desk/registries/%s/export", k->code));
  put(page, "why", wrong ? http_form_value(r, "why") : NULL);
  put(page, "since", wrong ? http_form_value(r, "since") : NULL);
  put(page, "why_error", base_same(wrong, "why") ? said : NULL);
  put(page, "since_error", base_same(wrong, "since") ? said : NULL);
  put_list(page, "runs", runs_json(r, runs));
  json_decref(runs);
  page_reply(web_of(r), r, status, "registry_export", page);
}

static void get_export(struct http_req *r) {
  const struct registry *k = exported(r);
  if (k) show_export(r, k, 200, NULL);
}

static void post_export(struct http_req *r) {
  const struct registry *k = exported(r);
  const char *since = http_form_value(r, "since");
  struct records_query q = {.registry = k, .format = base_same(http_form_value(r, "format"), "jsonl") ? RECORD_JSON : RECORD_CSV, .why = http_form_value(r, "why")};
  struct records_export *e;
  struct err err;
  if (!k || http_replied(r)) return;
  int32_t day = since && since[0] ? date_parse(since) : INT32_MIN;
  if (since && since[0] && day == INT32_MIN) return show_export(r, k, 422, "since");
  if (day != INT32_MIN) q.since = day_start(day);
  if (registries_export_open(web_of(r)->registries, web_actor(r), &q, &e, &err)) return err.code == ERR_INVALID ? show_export(r, k, 422, "why") : web_error(r, &err);
  http_reply_header(r, "Content-Disposition", arena_printf(http_arena(r), "attachment; filename=\"%s.%s\"", k->code, q.format == RECORD_CSV ? "csv" : "jsonl"));
  http_reply_stream(r, 200, q.format == RECORD_CSV ? "text/csv; charset=utf-8; header=present" : "application/jsonl", registries_export_more, e, registries_export_end);
}

/* ---- the person ---- */

static void get_records(struct http_req *r) {
  json_t *out = NULL, *one, *list = json_array();
  struct err err = {0};
  size_t i;
  int rc = registries_mine(web_of(r)->registries, web_actor(r), http_lang(r), &out, &err);
  if (rc && err.code != ERR_FORBIDDEN) {
    json_decref(list);
    return web_error(r, &err);
  }
  json_array_foreach(out, i, one) json_array_append_new(list, record_json(r, one));
  json_decref(out);
  json_t *page = page_new(web_of(r), r, say(r, "my_records"), false);
  crumb(page, "/", say(r, "home"));
  crumb(page, "/mine", say(r, "mine"));
  put_flag(page, "not_matched", rc != 0);
  put_list(page, "items", list);
  page_reply(web_of(r), r, 200, "records", page);
}

const struct http_route web_registry_rows[] = {
  {"GET", "/desk/registries", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_registries, "Staff: the registries that they may read."},
  {"GET", "/desk/registries/{code}", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_registry, "Staff: find a record by its key; the look is recorded."},
  {"GET", "/desk/registries/{code}/export", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_export, "Staff of its owner: take a registry out; what was taken out."},
  {"POST", "/desk/registries/{code}/export", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, 8192, post_export, "Staff of its owner: the registry as a file; those in it see it."},
  {"GET", "/mine/records", HTTP_WORKER, PERMIT_CITIZEN, HTTP_SAFE, 0, get_records, "What offices know about me."},
};
const size_t web_registry_count = BASE_COUNT(web_registry_rows);
