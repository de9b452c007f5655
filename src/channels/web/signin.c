/* Signing in by a one-time code, staff by password, signing out. */
#include "channels/web/inside.h"

#include <string.h>

static const char *next_of(struct http_req *r) {
  const char *next = strcmp(http_method(r), "POST") == 0 ? http_form_value(r, "next") : http_query(r, "next");
  return safe_next(next);
}

static json_t *signin_page(struct http_req *r, const char *title) {
  json_t *page = page_new(web_of(r), r, say(r, title), false);
  const char *next = next_of(r);
  put(page, "next", next);
  put(page, "next_quoted", next ? url_quote(r, next) : NULL);
  put(page, "national_id", NULL);
  put(page, "mobile", NULL);
  put(page, "username", NULL);
  put(page, "national_id_error", NULL);
  put(page, "mobile_error", NULL);
  put(page, "code_error", NULL);
  return page;
}

static void get_signin(struct http_req *r) {
  if (web_actor(r)->kind == ACTOR_CITIZEN) return http_redirect(r, 303, next_of(r) ? next_of(r) : "/mine");
  json_t *page = signin_page(r, "signin");
  page_reply(web_of(r), r, 200, "signin", page);
}

static void box_fault(struct http_req *r, json_t *page, const char *field, const char *message) {
  put(page, arena_printf(http_arena(r), "%s_error", field), message);
  fault(page, arena_printf(http_arena(r), "#%s", field), message);
}

static void post_signin(struct http_req *r) {
  const char *id = http_form_value(r, "national_id"), *mobile = http_form_value(r, "mobile"), *next = next_of(r);
  char challenge[40], repaired[32];
  int expires = 0;
  struct err err;
  if (http_replied(r)) return;
  if (!id) id = "";
  if (!mobile) mobile = "";
  bool good_id = identifier_parse(IDENT_NATIONAL_ID, id, repaired) == 0 || identifier_parse(IDENT_FIDA, id, repaired) == 0;
  bool good_mobile = identifier_parse(IDENT_MOBILE, mobile, repaired) == 0;
  int rc = good_id && good_mobile ? identity_otp(web_of(r)->identity, id, mobile, http_peer(r), http_lang(r), challenge, &expires, &err) : -1;
  if (good_id && good_mobile && rc && err.code != ERR_INVALID) return web_error(r, &err);
  if (rc) {
    json_t *page = signin_page(r, "signin");
    put(page, "national_id", id);
    put(page, "mobile", mobile);
    if (good_id && good_mobile) good_mobile = !(good_id = !strstr(err.message, "national_id"));
    if (!good_id) box_fault(r, page, "national_id", say(r, "national_id_wrong"));
    if (!good_mobile) box_fault(r, page, "mobile", say(r, "mobile_wrong"));
    return page_reply(web_of(r), r, 422, "signin", page);
  }
  http_reply_cookie(r, "challenge", challenge, expires + 300, true);
  http_redirect(r, 303, next ? arena_printf(http_arena(r), "/signin/code?next=%s", url_quote(r, next)) : "/signin/code");
}

static void get_code(struct http_req *r) {
  if (!http_cookie(r, "challenge")) return http_redirect(r, 303, "/signin");
  page_reply(web_of(r), r, 200, "code", signin_page(r, "code_title"));
}

/* The session's cookie; drafts of the visitor follow the person. */
static void let_in(struct http_req *r, const char *token, int expires, const char *dflt) {
  struct actor who;
  struct err err;
  const char *next = next_of(r);
  if (identity_session(web_of(r)->identity, token, &who, &err) == 0) {
    drafts_move(r, &who);
    if (who.role_count == 1 && who.roles[0].role == STAFF_AGENT) dflt = "/counter";
  }
  http_reply_cookie(r, web_session_cookie(web_of(r)), token, expires, true);
  http_redirect(r, 303, next ? next : dflt);
}

static void post_code(struct http_req *r) {
  const char *code = http_form_value(r, "code"), *challenge = http_cookie(r, "challenge");
  char token[64];
  int expires = 0;
  struct err err;
  if (http_replied(r)) return;
  if (!challenge) return http_redirect(r, 303, "/signin");
  const char *typed = digits_ascii(http_arena(r), code ? code : "");
  if (identity_otp_verify(web_of(r)->identity, challenge, typed ? typed : "", http_peer(r), token, &expires, &err)) {
    if (err.code != ERR_UNAUTHENTICATED && err.code != ERR_RATE && err.code != ERR_INVALID) return web_error(r, &err);
    json_t *page = signin_page(r, "code_title");
    box_fault(r, page, "code", say(r, err.code == ERR_RATE ? "code_many" : "code_wrong"));
    return page_reply(web_of(r), r, err.code == ERR_RATE ? 429 : 422, "code", page);
  }
  http_reply_cookie(r, "challenge", "", 0, true);
  let_in(r, token, expires, "/mine");
}

static void get_staff(struct http_req *r) {
  if (web_actor(r)->kind == ACTOR_STAFF) return http_redirect(r, 303, next_of(r) ? next_of(r) : "/desk");
  page_reply(web_of(r), r, 200, "staff", signin_page(r, "staff_title"));
}

static void post_staff(struct http_req *r) {
  const char *username = http_form_value(r, "username"), *password = http_form_value(r, "password"), *totp = http_form_value(r, "totp");
  char token[64];
  int expires = 0;
  struct err err;
  if (http_replied(r)) return;
  const char *digits = totp && totp[0] ? digits_ascii(http_arena(r), totp) : NULL;
  if (identity_password(web_of(r)->identity, username ? username : "", password ? password : "", digits, http_peer(r), token, &expires, &err)) {
    if (err.code != ERR_UNAUTHENTICATED && err.code != ERR_RATE && err.code != ERR_INVALID) return web_error(r, &err);
    json_t *page = signin_page(r, "staff_title");
    put(page, "username", username);
    box_fault(r, page, "username", say(r, err.code == ERR_RATE ? "code_many" : "staff_wrong"));
    return page_reply(web_of(r), r, err.code == ERR_RATE ? 429 : 422, "staff", page);
  }
  let_in(r, token, expires, "/desk");
}

static void post_signout(struct http_req *r) {
  const char *name = web_session_cookie(web_of(r)), *token = http_cookie(r, name);
  struct err err;
  if (token && identity_logout(web_of(r)->identity, token, &err)) return web_error(r, &err);
  http_reply_cookie(r, name, "", 0, true);
  http_reply_cookie(r, web_acting_cookie(web_of(r)), "", 0, true);
  http_redirect(r, 303, "/");
}

const struct http_route web_signin_rows[] = {
  {"GET", "/signin", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_signin, "Citizens: ask for a one-time code."},
  {"POST", "/signin", HTTP_WORKER, PERMIT_ALL, HTTP_OPEN, 4096, post_signin, "Send the one-time code."},
  {"GET", "/signin/code", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_code, "Enter the one-time code."},
  {"POST", "/signin/code", HTTP_WORKER, PERMIT_ALL, HTTP_OPEN, 4096, post_code, "Sign in with the one-time code."},
  {"GET", "/staff", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_staff, "Staff: username and password."},
  {"POST", "/staff", HTTP_WORKER, PERMIT_ALL, HTTP_OPEN, 4096, post_staff, "Sign in with a password."},
  {"POST", "/signout", HTTP_WORKER, PERMIT_SESSION, HTTP_TOKEN, 4096, post_signout, "Sign out."},
};
const size_t web_signin_count = BASE_COUNT(web_signin_rows);
