/* Services that an organisation defines itself, for programs: proposed, judged with lines, approved by two others. */
#include "channels/api/inside.h"
#include "channels/api/administration.h"

#include <string.h>

enum { BODY_MOST = 1024 * 1024 }; /* a definition of 256 KiB, escaped as JSON */

/* What the compiler found, in the reader's language: errors of the member "text", each with its line. */
static json_t *mistakes_json(struct http_req *r, const json_t *mistakes) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(mistakes, i, one) {
    json_t *o = json_pack("{s:s,s:s,s:I,s:s}", "field", "text", "code", "mistake", "line", (json_int_t)json_int(one, "line", 0), "message",
                          mistake_text(http_arena(r), http_lang(r), json_str(one, "message")));
    if (!json_flag(one, "ours", true)) json_put(o, "file", json_str(one, "file"));
    json_array_append_new(list, o);
  }
  return list;
}

static void get_definitions(struct http_req *r) {
  const char *organisation = http_query(r, "organisation");
  const struct actor *who = api_actor(r);
  json_t *items = NULL;
  struct err err;
  for (unsigned i = 0; !organisation && i < who->role_count && !actor_has_role(who, NULL, STAFF_OPERATOR); i++)
    if (who->roles[i].role == STAFF_MANAGER) organisation = who->roles[i].organisation;
  if (organisation && !identity_manages(who, organisation)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (cases_proposals(api_of(r)->cases, who, organisation, &items, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, 200, json_pack("{s:o}", "items", items));
}

static void reply_one(struct http_req *r, const char *id, int status) {
  json_t *one = NULL;
  struct err err;
  if (cases_proposal(api_of(r)->cases, api_actor(r), id, &one, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_json(r, status, one);
}

static void post_definition(struct http_req *r) {
  static const char *const names[] = {"organisation", "text"};
  const char *detail = NULL;
  char id[33];
  struct proposal_check check = {0};
  json_t *body = http_json(r);
  struct err err;
  if (!body || !admin_members(r, body, names, BASE_COUNT(names))) return;
  for (size_t i = 0; i < BASE_COUNT(names); i++)
    if (!json_str(body, names[i])) return api_fault(r, names[i], "required", "api.required");
  if (!admin_organisation(r, json_str(body, "organisation"))) return;
  int rc = cases_propose(api_of(r)->cases, api_actor(r), json_str(body, "organisation"), json_str(body, "text"), &check, id, &detail, &err);
  json_t *wrong = rc && err.code == ERR_INVALID ? mistakes_json(r, check.mistakes) : NULL;
  proposal_check_free(&check);
  if (rc) return api_error(r, &err, wrong ? "web.proposal_mistakes" : detail, wrong);
  http_reply_header(r, "Location", arena_printf(http_arena(r), "/api/v1/definitions/%s", id));
  reply_one(r, id, 201);
}

static void get_definition(struct http_req *r) { reply_one(r, http_param(r, "id"), 200); }

static void post_decision(struct http_req *r) {
  static const char *const names[] = {"decision"};
  const char *id = http_param(r, "id"), *detail = NULL;
  json_t *body = http_json(r), *mistakes = NULL;
  struct err err;
  if (!body || !admin_members(r, body, names, 1)) return;
  const char *decision = json_str(body, "decision");
  bool approves = base_same(decision, "approve");
  if (!decision) return api_fault(r, "decision", "required", "api.required");
  if (!approves && !base_same(decision, "withdraw")) return api_fault(r, "decision", "choice", "api.decision");
  if (approves && cases_proposal_mistakes(api_of(r)->cases, api_actor(r), id, &mistakes, &err)) return api_error(r, &err, NULL, NULL);
  json_t *wrong = json_array_size(mistakes) ? mistakes_json(r, mistakes) : NULL;
  json_decref(mistakes);
  if (wrong) {
    err_set(&err, ERR_INVALID, "the definition has mistakes");
    return api_error(r, &err, "web.proposal_mistakes", wrong);
  }
  if (cases_proposal_act(api_of(r)->cases, api_actor(r), id, approves, &detail, &err)) return api_error(r, &err, detail, NULL);
  reply_one(r, id, 200);
}

const struct http_route api_definition_rows[] = {
  {"GET", "/api/v1/definitions", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_definitions, "The services that an organisation has defined itself."},
  {"POST", "/api/v1/definitions", HTTP_WORKER, PERMIT_MANAGER, HTTP_BEARER, BODY_MOST, post_definition, "Propose a service: compiled, and refused with the lines of its mistakes."},
  {"GET", "/api/v1/definitions/{id}", HTTP_WORKER, PERMIT_MANAGER, HTTP_SAFE, 0, get_definition, "A proposed service, with its text."},
  {"POST", "/api/v1/definitions/{id}/decisions", HTTP_WORKER, PERMIT_MANAGER, HTTP_BEARER, 4096, post_decision, "Approve or withdraw a proposed service."},
};
const size_t api_definition_count = BASE_COUNT(api_definition_rows);
