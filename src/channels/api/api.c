#include "channels/api/inside.h"

#include <string.h>

struct api_context *api_of(const struct http_req *r) { return http_ctx(r); }

const struct actor *api_actor(const struct http_req *r) {
  static const struct actor nobody = {.kind = ACTOR_NOBODY};
  const struct actor *who = http_user(r);
  return who ? who : &nobody;
}

int api_limit(struct http_req *r) {
  const char *text = http_query(r, "limit");
  int64_t n = 50;
  if (!text) return 50;
  if (parse_i64(text, &n) || n < 1 || n > 200) {
    api_fault(r, "limit", "range", "api.limit");
    return -1;
  }
  return (int)n;
}

const char *api_after(const struct http_req *r) {
  const char *after = http_query(r, "after");
  return after ? after : http_query(r, "next");
}

void api_fault(struct http_req *r, const char *field, const char *code, const char *message_word) {
  struct err err;
  err_set(&err, ERR_INVALID, "%s: %s", field, code);
  api_error(r, &err, NULL, json_pack("[{s:s,s:s,s:s}]", "field", field, "code", code, "message", word(http_lang(r), message_word)));
}

const char *api_text(const json_t *body, const char *name, const char **wrong) {
  const json_t *v = json_object_get(body, name);
  if (v && !json_is_string(v) && !json_is_null(v) && !*wrong) *wrong = name;
  return json_string_value(v);
}

const char *api_tracking(struct http_req *r) {
  char code[32];
  const char *typed = http_param(r, "tracking");
  if (typed && identifier_parse(IDENT_TRACKING, typed, code) == 0) return arena_strdup(http_arena(r), code);
  http_problem_code(r, ERR_NOT_FOUND, NULL);
  return NULL;
}

void api_error(struct http_req *r, const struct err *err, const char *detail_word, json_t *errors) {
  http_problem(r, err, detail_word ? word(http_lang(r), detail_word) : NULL, errors);
}

void api_list(struct http_req *r, int rc, json_t **out, const struct err *err) {
  if (rc) api_error(r, err, err->code == ERR_MALFORMED && api_after(r) ? "api.after" : NULL, NULL);
  else http_reply_json(r, 200, *out);
}

int api_routes(struct http_server *s, struct api_context *ctx, struct err *err) {
  if (http_server_routes(s, api_certificate_rows, api_certificate_count, ctx, err)) return -1;
  if (http_server_routes(s, api_session_rows, api_session_count, ctx, err) || http_server_routes(s, api_service_rows, api_service_count, ctx, err) ||
      http_server_routes(s, api_case_rows, api_case_count, ctx, err) ||
      http_server_routes(s, api_desk_rows, api_desk_count, ctx, err) || http_server_routes(s, api_ledger_rows, api_ledger_count, ctx, err) ||
      http_server_routes(s, api_registry_rows, api_registry_count, ctx, err) || http_server_routes(s, api_message_rows, api_message_count, ctx, err) ||
      http_server_routes(s, api_admin_rows, api_admin_count, ctx, err) || http_server_routes(s, api_definition_rows, api_definition_count, ctx, err) ||
      http_server_routes(s, api_counter_rows, api_counter_count, ctx, err) ||
      http_server_routes(s, api_transfer_rows, api_transfer_count, ctx, err))
    return -1;
  if (http_server_routes(s, api_statistics_rows, api_statistics_count, ctx, err)) return -1;
  if (http_server_routes(s, api_network_rows, api_network_count, ctx, err)) return -1;
  if (http_server_routes(s, api_exchange_rows, api_exchange_count, ctx, err)) return -1;
  if (http_server_routes(s, api_letter_rows, api_letter_count, ctx, err)) return -1;
  return ctx->demo ? http_server_routes(s, api_demo_rows, api_demo_count, ctx, err) : 0;
}
