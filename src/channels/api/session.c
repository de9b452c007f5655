#include "channels/api/inside.h"

#include <string.h>

static void missing(struct http_req *r, const char *field) { api_fault(r, field, "required", "api.required"); }

static void post_otp(struct http_req *r) {
  json_t *body = http_json(r);
  if (!body) return;
  const char *wrong = NULL, *id = api_text(body, "national_id", &wrong), *mobile = api_text(body, "mobile", &wrong);
  if (wrong) return api_fault(r, wrong, "type", "api.type");
  if (!id) return missing(r, "national_id");
  if (!mobile) return missing(r, "mobile");
  char challenge[40];
  int expires = 0;
  struct err err;
  if (identity_otp(api_of(r)->identity, id, mobile, http_peer(r), http_lang(r), challenge, &expires, &err)) {
    json_t *errors = NULL;
    if (err.code == ERR_INVALID) {
      const char *field = strstr(err.message, "mobile") ? "mobile" : "national_id";
      errors = json_pack("[{s:s,s:s,s:s}]", "field", field, "code", "pattern", "message",
                         word(http_lang(r), strcmp(field, "mobile") == 0 ? "api.mobile" : "api.national_id"));
    }
    return api_error(r, &err, NULL, errors);
  }
  json_t *o = json_object();
  json_put(o, "challenge", challenge);
  json_object_set_new(o, "expires_in", json_integer(expires));
  http_reply_json(r, 202, o);
}

static void post_session(struct http_req *r) {
  json_t *body = http_json(r);
  if (!body) return;
  struct identity *i = api_of(r)->identity;
  const char *wrong = NULL, *challenge = api_text(body, "challenge", &wrong), *username = api_text(body, "username", &wrong),
             *code = api_text(body, "code", &wrong), *password = api_text(body, "password", &wrong), *totp = api_text(body, "totp", &wrong);
  char token[64];
  int expires = 0;
  struct err err;
  int rc;
  if (wrong) return api_fault(r, wrong, "type", "api.type");
  if (challenge) {
    if (!code) return missing(r, "code");
    rc = identity_otp_verify(i, challenge, code, http_peer(r), token, &expires, &err);
  } else if (username) {
    if (!password) return missing(r, "password");
    rc = identity_password(i, username, password, totp, http_peer(r), token, &expires, &err);
  } else return missing(r, "challenge");
  if (rc) return api_error(r, &err, err.code != ERR_UNAUTHENTICATED ? NULL : challenge ? "api.wrong_code" : "api.wrong_password", NULL);
  json_t *o = json_object();
  json_put(o, "access_token", token);
  json_put(o, "token_type", "Bearer");
  json_object_set_new(o, "expires_in", json_integer(expires));
  http_reply_json(r, 201, o);
}

static void delete_session(struct http_req *r) {
  const char *token = http_bearer(r);
  struct err err;
  if (token && identity_logout(api_of(r)->identity, token, &err)) return api_error(r, &err, NULL, NULL);
  http_reply(r, 204, NULL, NULL, 0);
}

static void get_me(struct http_req *r) {
  const struct actor *who = api_actor(r);
  json_t *o = json_object(), *roles = json_array();
  char id[32] = "";
  for (unsigned i = 0; i < who->role_count; i++)
    json_array_append_new(roles, json_pack("{s:s,s:s}", "organisation", who->roles[i].organisation, "role", staff_role_text(who->roles[i].role)));
  if (who->national_id[0]) identifier_mask(IDENT_NATIONAL_ID, who->national_id, id);
  json_put(o, "kind", who->kind == ACTOR_STAFF ? "staff" : "citizen");
  json_put(o, "username", who->username[0] ? who->username : NULL);
  json_put(o, "name", who->name[0] ? who->name : NULL);
  json_put(o, "national_id", id[0] ? id : NULL);
  json_put(o, "acting_as", who->acting_as[0] ? who->acting_as : NULL);
  json_put(o, "assurance", assurance_text(who->assurance));
  json_object_set_new(o, "roles", roles);
  http_reply_json(r, 200, o);
}

const struct http_route api_session_rows[] = {
  {"POST", "/api/v1/otp", HTTP_WORKER, PERMIT_ALL, HTTP_OPEN, 4096, post_otp, "Send a one-time code to a citizen's telephone."},
  {"POST", "/api/v1/sessions", HTTP_WORKER, PERMIT_ALL, HTTP_OPEN, 4096, post_session, "Sign in with a one-time code or a password."},
  {"DELETE", "/api/v1/sessions", HTTP_WORKER, PERMIT_SESSION, HTTP_BEARER, 0, delete_session, "Sign out."},
  {"GET", "/api/v1/me", HTTP_INLINE, PERMIT_SESSION, HTTP_SAFE, 0, get_me, "Who is signed in, with roles."},
};
const size_t api_session_count = BASE_COUNT(api_session_rows);
