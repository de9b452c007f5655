/* A member of staff and their own account: password and second factor. */
#include "channels/web/admin.h"

#include <string.h>

static json_t *account_page(struct http_req *r, const char *title) {
  json_t *page = page_new(web_of(r), r, title, true);
  crumb(page, "/desk", say(r, "desk"));
  put(page, "username", web_actor(r)->username);
  put_flag(page, "must_change", web_actor(r)->must_change);
  put(page, "old_error", NULL);
  put(page, "new_error", NULL);
  put(page, "code_error", NULL);
  put(page, "secret", NULL);
  return page;
}

static void wrong(struct http_req *r, json_t *page, const char *name, const char *text) {
  put(page, arena_printf(http_arena(r), "%s_error", name), text);
  fault(page, arena_printf(http_arena(r), "#%s", name), text);
}

/* ---- the password ---- */

static void get_password(struct http_req *r) { page_reply(web_of(r), r, 200, "password", account_page(r, say(r, "own_password"))); }

static void post_password(struct http_req *r) {
  const char *old = http_form_value(r, "old"), *one = http_form_value(r, "new"), *two = http_form_value(r, "again"), *detail = NULL;
  char token[64];
  int expires = 0;
  struct err err;
  if (http_replied(r)) return;
  json_t *page = account_page(r, say(r, "own_password"));
  if (!base_same(one, two)) {
    wrong(r, page, "new", word(http_lang(r), "admin.password_twice"));
    return page_reply(web_of(r), r, 422, "password", page);
  }
  if (identity_own_password(web_of(r)->identity, web_actor(r), old ? old : "", one ? one : "", http_peer(r), token, &expires, &detail, &err) == 0) {
    json_decref(page);
    http_reply_cookie(r, web_session_cookie(web_of(r)), token, expires, true);
    return http_redirect(r, 303, "/account?done=password");
  }
  bool of_old = err.code == ERR_UNAUTHENTICATED || err.code == ERR_RATE;
  if (!of_old && !detail) {
    json_decref(page);
    return web_error(r, &err);
  }
  wrong(r, page, of_old ? "old" : "new", of_old ? say(r, err.code == ERR_RATE ? "code_many" : "own_old_wrong") : word(http_lang(r), detail));
  page_reply(web_of(r), r, err.code == ERR_RATE ? 429 : 422, "password", page);
}

/* ---- the second factor ---- */

static void show_account(struct http_req *r, json_t *page, int status) {
  bool totp = false, pending = false;
  const char *done = http_query(r, "done");
  struct err err;
  const struct actor *who = web_actor(r);
  if (identity_own(web_of(r)->identity, who, &totp, &pending, &err)) {
    json_decref(page);
    return web_error(r, &err);
  }
  json_t *roles = json_array();
  const struct directory *d = pack_directory(web_pack(r));
  for (unsigned i = 0; i < who->role_count; i++) {
    const struct organisation *o = directory_organisation(d, directory_find_organisation(d, who->roles[i].organisation));
    json_t *one = json_object();
    put(one, "organisation", o ? organisation_name(o, http_lang(r)) : who->roles[i].organisation);
    put(one, "role", say(r, arena_printf(http_arena(r), "role_%s", staff_role_text(who->roles[i].role))));
    json_array_append_new(roles, one);
  }
  put_list(page, "roles", roles);
  put_flag(page, "totp", totp);
  put(page, "done", base_same(done, "password") ? say(r, "own_password_done") : base_same(done, "totp") ? say(r, "own_totp_done")
                    : base_same(done, "totp_off") ? say(r, "own_totp_off_done") : NULL);
  page_reply(web_of(r), r, status, "account", page);
}

static void get_account(struct http_req *r) { show_account(r, account_page(r, say(r, "account")), 200); }

/* The secret and its picture stand on this page alone; the account has it once a code of it was right. */
static void show_secret(struct http_req *r, const char *secret, const char *error, int status) {
  json_t *page = account_page(r, say(r, "own_totp"));
  const char *site = pack_code(web_pack(r));
  const char *link = arena_printf(http_arena(r), "otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=SHA1&digits=6&period=30", url_quote(r, site),
                                  url_quote(r, web_actor(r)->username), secret, url_quote(r, site));
  json_t *qr = link ? qr_json(link) : NULL;
  crumb(page, "/account", say(r, "account"));
  put(page, "secret", secret);
  if (qr) json_object_set_new(page, "qr", qr);
  if (error) wrong(r, page, "code", error);
  page_reply(web_of(r), r, status, "totp", page);
}

static void post_totp(struct http_req *r) {
  const char *password = http_form_value(r, "old");
  char secret[64];
  struct err err;
  if (http_replied(r)) return;
  if (identity_own_totp(web_of(r)->identity, web_actor(r), password ? password : "", http_peer(r), secret, &err) == 0) return show_secret(r, secret, NULL, 200);
  if (err.code != ERR_UNAUTHENTICATED && err.code != ERR_RATE) return web_error(r, &err);
  json_t *page = account_page(r, say(r, "account"));
  wrong(r, page, "old", say(r, err.code == ERR_RATE ? "code_many" : "own_old_wrong"));
  show_account(r, page, err.code == ERR_RATE ? 429 : 422);
}

static void post_confirm(struct http_req *r) {
  const char *code = http_form_value(r, "code");
  struct err err;
  if (http_replied(r)) return;
  if (identity_own_totp_confirm(web_of(r)->identity, web_actor(r), code ? code : "", &err) == 0) return http_redirect(r, 303, "/account?done=totp");
  if (err.code != ERR_INVALID && err.code != ERR_RATE) return web_error(r, &err);
  json_t *page = account_page(r, say(r, "own_totp"));
  crumb(page, "/account", say(r, "account"));
  wrong(r, page, "code", say(r, err.code == ERR_RATE ? "code_many" : "own_code_wrong"));
  page_reply(web_of(r), r, err.code == ERR_RATE ? 429 : 422, "totp", page);
}

static void post_off(struct http_req *r) {
  const char *password = http_form_value(r, "old");
  struct err err;
  if (http_replied(r)) return;
  if (identity_own_totp_off(web_of(r)->identity, web_actor(r), password ? password : "", http_peer(r), &err) == 0) return http_redirect(r, 303, "/account?done=totp_off");
  if (err.code != ERR_UNAUTHENTICATED && err.code != ERR_RATE) return web_error(r, &err);
  json_t *page = account_page(r, say(r, "account"));
  wrong(r, page, "old", say(r, err.code == ERR_RATE ? "code_many" : "own_old_wrong"));
  show_account(r, page, err.code == ERR_RATE ? 429 : 422);
}

const struct http_route web_account_rows[] = {
  {"GET", "/account", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_account, "Staff: one's own account."},
  {"GET", "/account/password", HTTP_INLINE, PERMIT_STAFF, HTTP_SAFE, 0, get_password, "Staff: change one's own password."},
  {"POST", "/account/password", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, 4096, post_password, "Staff: change one's own password; other sessions end."},
  {"POST", "/account/totp", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, 4096, post_totp, "Staff: show a second factor to be enrolled."},
  {"POST", "/account/totp/confirm", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, 4096, post_confirm, "Staff: enrol it by one of its codes."},
  {"POST", "/account/totp/off", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, 4096, post_off, "Staff: do without the second factor."},
};
const size_t web_account_count = BASE_COUNT(web_account_rows);
