/* Messages about cases, for programs. */
#include "channels/api/inside.h"

#include <string.h>

static void get_messages(struct http_req *r) {
  const char *tracking = api_tracking(r), *right = NULL;
  json_t *out = NULL;
  struct err err;
  if (!tracking) return;
  if (cases_messages(api_of(r)->cases, api_actor(r), tracking, http_lang(r), &out, &right, &err)) return api_error(r, &err, NULL, NULL);
  if (!base_same(right, "citizen") && cases_look(api_of(r)->cases, api_actor(r), tracking, right, NULL, NULL, &err)) {
    json_decref(out);
    return api_error(r, &err, NULL, NULL);
  }
  http_reply_json(r, 200, out);
}

static void get_undelivered(struct http_req *r) {
  const struct actor *who = api_actor(r);
  const char *organisation = http_query(r, "organisation");
  int limit = api_limit(r);
  json_t *out = NULL;
  struct err err;
  if (limit < 0) return;
  if (!organisation) organisation = who->role_count ? who->roles[0].organisation : "";
  api_list(r, cases_undelivered(api_of(r)->cases, who, organisation, api_after(r), limit, http_lang(r), &out, &err), &out, &err);
}

static void post_undelivered(struct http_req *r) {
  const char *tracking = api_tracking(r), *wrong = NULL, *name;
  json_t *body = tracking ? http_json(r) : NULL, *member;
  struct err err;
  if (!body) return;
  json_object_foreach(body, name, member)
    if (strcmp(name, "how") != 0 && strcmp(name, "text") != 0) return api_fault(r, name, "unknown", "api.unknown_member");
  const char *how = api_text(body, "how", &wrong), *text = api_text(body, "text", &wrong);
  if (wrong) return api_fault(r, wrong, "type", "api.type");
  if (!how || (strcmp(how, "called") != 0 && strcmp(how, "noted") != 0)) return api_fault(r, "how", "choice", "api.how");
  text = text ? text_repair(http_arena(r), text) : NULL;
  if (text && strlen(text) > 2000) return api_fault(r, "text", "too_long", "api.comment");
  if (cases_undelivered_note(api_of(r)->cases, api_actor(r), tracking, strcmp(how, "called") == 0, text, http_lang(r), &err))
    return api_error(r, &err, err.code == ERR_CONFLICT ? "case.undelivered_none" : NULL, NULL);
  http_reply_json(r, 201, json_pack("{s:s,s:s,s:s}", "tracking", tracking, "how", how, "who", api_actor(r)->username));
}

const struct http_route api_message_rows[] = {
  {"GET", "/api/v1/cases/{tracking}/messages", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_messages, "What was sent about a case, and what became of it."},
  {"POST", "/api/v1/cases/{tracking}/undelivered", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 8192, post_undelivered, "The person was called, or it was seen that a message did not arrive."},
  {"GET", "/api/v1/desk/undelivered", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_undelivered, "Messages of a desk's cases that did not arrive and that nobody has seen to."},
};
const size_t api_message_count = BASE_COUNT(api_message_rows);
