/* Messages: those of a case, those that did not arrive, and whether one that somebody got is ours. */
#include "channels/web/inside.h"

#include <string.h>

enum { TYPED_MOST = 2000, PAGE = 50 };

static const char *value_of(struct http_req *r, const char *name) {
  const char *v = http_form_value(r, name);
  return v && v[0] && utf8_valid(v, strlen(v)) ? v : NULL;
}

static const char *channel_name(struct http_req *r, const char *channel) { return say(r, base_same(channel, "email") ? "by_mail" : "by_sms"); }

/* On the case's page, for the office: what was sent, and above it what did not arrive and nobody has seen to. */
void put_messages(struct http_req *r, json_t *page, const char *tracking, const char *right) {
  json_t *found = NULL, *one, *list = json_array(), *lost = json_array();
  struct err err;
  size_t i;
  bool office = base_same(right, "staff") || base_same(right, "auditor");
  if (office && cases_messages(web_of(r)->cases, web_actor(r), tracking, http_lang(r), &found, NULL, &err))
    log_write(LOG_WARN, "web", "the messages of a case could not be read: %s", err.message);
  json_array_foreach(json_object_get(found, "items"), i, one) {
    const json_t *noted = json_object_get(one, "noted");
    bool waits = json_flag(one, "undelivered", false) && !noted;
    json_t *o = json_object();
    put(o, "title", json_str(one, "title"));
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "channel", channel_name(r, json_str(one, "channel")));
    put(o, "to", local(r, json_str(one, "to")));
    put(o, "text", json_str(one, "text"));
    put(o, "state", json_str(one, "state_title"));
    put(o, "noted", noted ? word_fill(http_arena(r), http_lang(r), base_same(json_str(noted, "how"), "called") ? "web.message_called" : "web.message_noted", "who",
                                      json_str(noted, "by"), "at", show_time(r, json_str(noted, "at")), NULL) : NULL);
    put_flag(o, "waits", waits);
    if (waits) json_array_append(lost, o);
    json_array_append_new(list, o);
  }
  json_decref(found);
  put_list(page, "messages", list);
  put_list(page, "lost", lost);
  put_flag(page, "can_note", base_same(right, "staff"));
}

static void post_undelivered(struct http_req *r) {
  char code[32];
  struct err err;
  if (identifier_parse(IDENT_TRACKING, http_param(r, "tracking"), code)) return not_found(r);
  const char *how = value_of(r, "how"), *text = value_of(r, "text");
  text = text ? text_repair(http_arena(r), text) : NULL;
  if (!how || (strcmp(how, "called") != 0 && strcmp(how, "noted") != 0)) return http_problem_code(r, ERR_MALFORMED, NULL);
  if (cases_undelivered_note(web_of(r)->cases, web_actor(r), code, strcmp(how, "called") == 0, text, http_lang(r), &err) && err.code != ERR_CONFLICT)
    return web_error(r, &err);
  http_redirect(r, 303, arena_printf(http_arena(r), "/cases/%s?done=1", code));
}

/* ---- the desk's list ---- */

static void get_undelivered(struct http_req *r) {
  const struct actor *who = web_actor(r);
  const char *organisation = http_query(r, "organisation"), *after = http_query(r, "after"), *next;
  json_t *found = NULL, *one, *list = json_array();
  struct err err;
  size_t i;
  if (!organisation || !organisation[0]) organisation = who->role_count ? who->roles[0].organisation : "";
  if (cases_undelivered(web_of(r)->cases, who, organisation, after, PAGE, http_lang(r), &found, &err)) {
    json_decref(list);
    return web_error(r, &err);
  }
  json_array_foreach(json_object_get(found, "items"), i, one) {
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/cases/%s#messages", json_str(one, "tracking")));
    put(o, "code", show_code(r, json_str(one, "tracking")));
    put(o, "service", json_str(one, "service_title"));
    put(o, "case_state", json_str(one, "case_state_title"));
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "channel", channel_name(r, json_str(one, "channel")));
    put(o, "state", json_str(one, "state_title"));
    json_array_append_new(list, o);
  }
  json_t *page = page_new(web_of(r), r, say(r, "undelivered_title"), false);
  crumb(page, arena_printf(http_arena(r), "/desk?organisation=%s", url_quote(r, organisation)), say(r, "desk"));
  next = json_str(found, "next");
  put(page, "next_href", next ? arena_printf(http_arena(r), "/desk/undelivered?organisation=%s&after=%s", url_quote(r, organisation), url_quote(r, next)) : NULL);
  put_list(page, "items", list);
  json_decref(found);
  page_reply(web_of(r), r, 200, "undelivered", page);
}

void put_undelivered(struct http_req *r, json_t *page, const char *organisation) {
  int64_t n = cases_undelivered_count(web_of(r)->cases, web_actor(r), organisation);
  put(page, "undelivered", n ? word_fill(http_arena(r), http_lang(r), "web.undelivered_n", "n", number_format(http_arena(r), http_lang(r), n), NULL) : NULL);
  put(page, "undelivered_href", arena_printf(http_arena(r), "/desk/undelivered?organisation=%s", url_quote(r, organisation)));
}

/* ---- is this message ours? ---- */

static void show_question(struct http_req *r, const char *typed, json_t *answer, const char *wrong, int status) {
  json_t *page = page_new(web_of(r), r, say(r, "real_title"), true), *times = json_array(), *one;
  const char *verdict = json_str(answer, "verdict"), *code = json_str(answer, "tracking"), *end = json_str(answer, "tracking_end");
  struct arena *a = http_arena(r);
  size_t i;
  bool ours = base_same(verdict, "sent") || base_same(verdict, "case") || base_same(verdict, "like");
  crumb(page, "/", say(r, "home"));
  put(page, "typed", typed);
  put(page, "typed_error", wrong);
  if (wrong) fault(page, "#text", wrong);
  put(page, "answer", verdict ? say(r, arena_printf(a, "real_%s", verdict)) : NULL);
  put_flag(page, "ours", ours);
  put(page, "at", show_time(r, json_str(answer, "at")));
  put(page, "code", code ? show_code(r, code) : NULL);
  put(page, "code_href", code ? arena_printf(a, "/cases/%s", code) : NULL);
  put(page, "code_end", end ? local(r, end) : NULL);
  json_array_foreach(json_object_get(answer, "messages"), i, one) {
    json_t *o = json_object();
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "channel", channel_name(r, json_str(one, "channel")));
    json_array_append_new(times, o);
  }
  put_list(page, "times", times);
  json_decref(answer);
  page_reply(web_of(r), r, status, "message", page);
}

static void get_message(struct http_req *r) { show_question(r, NULL, NULL, NULL, 200); }

static void post_message(struct http_req *r) {
  const char *typed = value_of(r, "text");
  json_t *answer = NULL;
  struct err err;
  typed = typed ? text_repair(http_arena(r), typed) : NULL;
  if (!typed || !typed[0]) return show_question(r, NULL, NULL, say(r, "real_needed"), 422);
  if (strlen(typed) > TYPED_MOST) return show_question(r, NULL, NULL, say(r, "real_long"), 422);
  if (!identity_limit(web_of(r)->identity, "message", http_peer(r), 30, 60)) return http_problem_code(r, ERR_RATE, NULL);
  if (cases_message_check(web_of(r)->cases, typed, &answer, &err)) return web_error(r, &err);
  show_question(r, typed, answer, NULL, 200);
}

const struct http_route web_message_rows[] = {
  {"GET", "/message", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_message, "Ask whether a message is ours."},
  {"POST", "/message", HTTP_WORKER, PERMIT_ALL, HTTP_TOKEN, FORM_BODY, post_message, "Whether a message is ours, by its code or its words."},
  {"GET", "/desk/undelivered", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_undelivered, "Staff: messages of the desk's cases that did not arrive."},
  {"POST", "/cases/{tracking}/undelivered", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_undelivered, "The person was called, or it was seen that a message did not arrive."},
};
const size_t web_message_count = BASE_COUNT(web_message_rows);
