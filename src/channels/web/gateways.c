/* The operator's page of the exchange: who asks to be taken in, gateways and their keys, members, witnesses. What is decided here is exchange's to judge. */
#include "channels/web/admin.h"

#include <string.h>

enum { MEMBERS_SHOWN = 20, KEY_SHOWN = 16 };

static struct exchange *exchange_of(struct http_req *r) { return web_of(r)->exchange; }

/* False after replying: this platform has no exchange. */
static bool there(struct http_req *r) {
  if (exchange_of(r)) return true;
  not_found(r);
  return false;
}

static const char *grouped(struct http_req *r, const char *hex) { return hex ? arena_printf(http_arena(r), "%.*s…", KEY_SHOWN, hex) : NULL; }

static json_t *keys_json(struct http_req *r, const json_t *list, const char *name, bool *rolling) {
  json_t *out = json_array(), *one;
  size_t i;
  json_array_foreach(list, i, one) {
    json_t *o = json_object();
    const char *id = json_str(one, name), *until = json_str(one, "until"), *revoked = json_str(one, "revoked_at");
    put(o, "id", id);
    put(o, "shown", grouped(r, id));
    put(o, "until", until ? show_time(r, until) : NULL);
    put(o, "revoked", revoked ? show_time(r, revoked) : NULL);
    put(o, "action", arena_printf(http_arena(r), "/admin/exchange/keys/%s", id));
    if (until && !revoked) *rolling = true;
    json_array_append_new(out, o);
  }
  return out;
}

static const char *peer_state(const json_t *peers, const char *server, const char **problem) {
  size_t i;
  json_t *p;
  json_array_foreach(peers, i, p)
    if (base_same(json_str(p, "server"), server)) {
      *problem = json_str(p, "last_error");
      return json_str(p, "state");
    }
  return "unknown";
}

static void put_gateways(struct http_req *r, json_t *page, const json_t *directory, const json_t *peers) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(json_object_get(directory, "gateways"), i, one) {
    json_t *o = json_object();
    bool rolling = false, own = base_same(json_str(one, "id"), exchange_server(exchange_of(r)));
    const char *problem = NULL, *state = own ? "own" : peer_state(peers, json_str(one, "id"), &problem);
    put(o, "id", json_str(one, "id"));
    put(o, "address", json_str(one, "address"));
    put(o, "fingerprint", json_str(one, "fingerprint"));
    put_list(o, "signing", keys_json(r, json_object_get(one, "keys"), "keyid", &rolling));
    put_list(o, "certificates", keys_json(r, json_object_get(one, "certificates"), "sha256", &rolling));
    put_flag(o, "rolling", rolling || json_array_size(json_object_get(one, "certificates")) > 1);
    put_flag(o, "own", own);
    put_flag(o, "failed", strcmp(state, "failed") == 0);
    put(o, "state", say(r, arena_printf(http_arena(r), "gw_state_%s", state)));
    put(o, "problem", problem);
    json_array_append_new(list, o);
  }
  put_number(r, page, "gateway_count", (int64_t)json_array_size(list));
  put_list(page, "gateways", list);
}

static void put_members(struct http_req *r, json_t *page, const json_t *directory) {
  json_t *list = json_array(), *one;
  const char *find = admin_value(r, "find");
  size_t i, found = 0, all = json_array_size(json_object_get(directory, "members"));
  json_array_foreach(json_object_get(directory, "members"), i, one) {
    const char *name = json_str(json_object_get(one, "name"), lang_code(http_lang(r))), *id = json_str(one, "id");
    if (find && !strstr(id, find) && !(name && strstr(name, find))) continue;
    if (++found > MEMBERS_SHOWN) continue;
    json_t *o = json_object(), *below = json_array(), *s;
    size_t j;
    put(o, "id", id);
    put(o, "name", name);
    json_array_foreach(json_object_get(one, "subsystems"), j, s) json_array_append_new(below, json_string(strrchr(json_str(s, "id"), '/') + 1));
    put_list(o, "subsystems", below);
    json_array_append_new(list, o);
  }
  put(page, "find", find);
  put_number(r, page, "member_count", (int64_t)all);
  put_number(r, page, "shown_count", MEMBERS_SHOWN);
  put_flag(page, "more_members", found > MEMBERS_SHOWN);
  put_list(page, "members", list);
}

static void put_requests(struct http_req *r, json_t *page) {
  json_t *found = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (exchange_requests(exchange_of(r), &found, &err) == 0)
    json_array_foreach(found, i, one) {
      json_t *o = json_object();
      put(o, "server", json_str(one, "server"));
      put(o, "address", json_str(one, "address"));
      put(o, "fingerprint", json_str(one, "fingerprint"));
      put(o, "at", show_time(r, json_str(one, "at")));
      put(o, "action", arena_printf(http_arena(r), "/admin/exchange/requests/%s", json_str(one, "id")));
      json_array_append_new(list, o);
    }
  json_decref(found);
  put_list(page, "requests", list);
}

static void put_witnesses(struct http_req *r, json_t *page) {
  json_t *found = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (exchange_witnesses(exchange_of(r), web_of(r)->trust, &found, &err) == 0)
    json_array_foreach(found, i, one) {
      json_t *o = json_object();
      put(o, "server", json_str(one, "server"));
      put_number(r, o, "tree_size", json_int(one, "tree_size", 0));
      put(o, "at", show_time(r, json_str(one, "at")));
      json_array_append_new(list, o);
    }
  json_decref(found);
  put_list(page, "witnesses", list);
}

struct said { const char *code, *code_for, *wrong, *anchor; };

static void show(struct http_req *r, int status, const struct said *s) {
  struct exchange *x = exchange_of(r);
  json_t *page = admin_page(r, say(r, "gw_title"), NULL), *d = NULL, *monitor = NULL;
  struct err err;
  if (exchange_directory(x, &d, &err) || exchange_monitor(x, http_lang(r), &monitor, &err)) {
    json_decref(page);
    json_decref(d);
    return web_error(r, &err);
  }
  int64_t age = json_int(d, "age_s", -1);
  put_number(r, page, "version", json_int(d, "version", 0));
  put(page, "issued", json_str(d, "issued_at") ? show_time(r, json_str(d, "issued_at")) : NULL);
  put(page, "server", exchange_server(x));
  put_flag(page, "operates_directory", json_flag(d, "operator", false));
  put(page, "directory_state", say(r, arena_printf(http_arena(r), "gw_directory_%s", json_str(d, "state"))));
  put_flag(page, "directory_bad", !base_same(json_str(d, "state"), "fresh"));
  put_number(r, page, "age", age < 0 ? 0 : age);
  put(page, "code", s ? s->code : NULL);
  put(page, "code_for", s ? s->code_for : NULL);
  if (s && s->wrong) fault(page, s->anchor, s->wrong);
  put_requests(r, page);
  put_gateways(r, page, d, json_object_get(monitor, "peers"));
  put_members(r, page, d);
  put_witnesses(r, page);
  json_decref(d);
  json_decref(monitor);
  page_reply(web_of(r), r, status, "gateways", page);
}

static void get_page(struct http_req *r) {
  if (there(r)) show(r, 200, NULL);
}

/* Back to the page, or the page with what was wrong. */
static void done(struct http_req *r, int rc, const struct err *err, const char *anchor) {
  static const struct { enum err_code code; const char *key; } rows[] = {{ERR_INVALID, "gw_wrong_invalid"}, {ERR_NOT_FOUND, "gw_wrong_gone"}, {ERR_CONFLICT, "gw_wrong_conflict"}, {ERR_FORBIDDEN, "gw_wrong_operator"}};
  if (rc == 0) return http_redirect(r, 303, "/admin/exchange");
  for (size_t i = 0; i < BASE_COUNT(rows); i++)
    if (rows[i].code == err->code) return show(r, err_status(err->code), &(struct said){.wrong = say(r, rows[i].key), .anchor = anchor});
  web_error(r, err);
}

static const char *by(struct http_req *r) { return web_actor(r)->username; }

static void post_request(struct http_req *r) {
  struct err err = {0};
  const char *act = admin_value(r, "act");
  if (http_replied(r) || !there(r)) return;
  bool yes = base_same(act, "approve");
  if (!yes && !base_same(act, "refuse")) return http_problem_code(r, ERR_MALFORMED, NULL);
  int rc = exchange_approve(exchange_of(r), http_param(r, "id"), by(r), yes, admin_value(r, "why"), &err);
  done(r, rc, &err, "#requests");
}

static void post_invitation(struct http_req *r) {
  struct err err = {0};
  char code[80];
  const char *server = admin_value(r, "server");
  if (http_replied(r) || !there(r)) return;
  int rc = server ? exchange_invite(exchange_of(r), server, by(r), code, &err) : err_set(&err, ERR_INVALID, "no server");
  if (rc) return done(r, rc, &err, "#server");
  show(r, 200, &(struct said){.code = arena_strdup(http_arena(r), code), .code_for = server});
}

static void post_member(struct http_req *r) {
  struct err err = {0};
  const char *id = admin_value(r, "id"), *fa = admin_value(r, "name_fa"), *en = admin_value(r, "name_en");
  if (http_replied(r) || !there(r)) return;
  int rc = id ? exchange_member_put(exchange_of(r), id, fa ? fa : id, en ? en : fa ? fa : id, by(r), &err) : err_set(&err, ERR_INVALID, "no id");
  if (rc == 0) rc = exchange_publish(exchange_of(r), &err);
  done(r, rc, &err, "#id");
}

static void post_removal(struct http_req *r) {
  struct err err = {0};
  const char *why = admin_value(r, "why"), *id = admin_value(r, "id");
  if (http_replied(r) || !there(r)) return;
  int rc = why && id ? exchange_member_remove(exchange_of(r), id, by(r), why, &err) : err_set(&err, ERR_INVALID, "no reason");
  done(r, rc, &err, "#gone");
}

static void post_key(struct http_req *r) {
  struct err err = {0};
  const char *why = admin_value(r, "why");
  if (http_replied(r) || !there(r)) return;
  int rc = why ? exchange_key_revoke(exchange_of(r), http_param(r, "keyid"), by(r), why, &err) : err_set(&err, ERR_INVALID, "no reason");
  done(r, rc, &err, "#gateways");
}

static void post_gateway(struct http_req *r) {
  struct err err = {0};
  const char *why = admin_value(r, "why"), *server = admin_value(r, "server");
  if (http_replied(r) || !there(r)) return;
  int rc = why && server ? exchange_gateway_remove(exchange_of(r), server, by(r), why, &err) : err_set(&err, ERR_INVALID, "no reason");
  done(r, rc, &err, "#gateways");
}

/* ---- who did what ---- */

enum { ACTS_SHOWN = 50 };

static const char *act_title(struct http_req *r, const char *act) {
  char *name = arena_printf(http_arena(r), "web.gwa_%s", act);
  for (char *c = name; c && *c; c++)
    if (*c == '-') *c = '_';
  return name && word_known(name) ? word(http_lang(r), name) : act;
}

static const char *actor_title(struct http_req *r, const char *actor) {
  static const char *const machines[] = {"gateway", "directory", "pack", "operator"};
  for (size_t i = 0; i < BASE_COUNT(machines); i++)
    if (strcmp(actor, machines[i]) == 0) return say(r, arena_printf(http_arena(r), "gwa_by_%s", actor));
  return base_starts(actor, "command: ") ? arena_printf(http_arena(r), "%s %s", say(r, "gwa_by_command"), actor + 9) : actor;
}

/* What an act tells besides its reason, without what machines compare. */
static const char *act_rest(struct http_req *r, const json_t *detail) {
  static const char *const shown[] = {"name", "group", "url", "log", "service", "method", "path", "messages", "rights", "entries", "keys", "tls"};
  const char *all = NULL;
  for (size_t i = 0; i < BASE_COUNT(shown); i++) {
    const json_t *v = json_object_get(detail, shown[i]);
    const char *text = json_is_integer(v) ? number_format(http_arena(r), http_lang(r), json_integer_value(v)) : json_string_value(v);
    if (!text || !text[0]) continue;
    text = arena_printf(http_arena(r), "%s: %s", say(r, arena_printf(http_arena(r), "gwa_d_%s", shown[i])), text);
    all = all ? arena_printf(http_arena(r), "%s — %s", all, text) : text;
  }
  return all;
}

static void get_acts(struct http_req *r) {
  const char *before = http_query(r, "before");
  json_t *out = NULL, *items = json_array(), *one;
  struct err err;
  size_t i;
  bool all = there(r) && admin_sees_all(r);
  if (!all || exchange_acts(exchange_of(r), before, ACTS_SHOWN, &out, &err)) {
    json_decref(items);
    if (!http_replied(r)) all ? web_error(r, &err) : not_found(r);
    return;
  }
  json_array_foreach(json_object_get(out, "items"), i, one) {
    json_t *o = json_object();
    const json_t *detail = json_object_get(one, "detail");
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "who", actor_title(r, json_str(one, "actor")));
    put(o, "act", act_title(r, json_str(one, "act")));
    put(o, "subject", json_str(one, "subject"));
    put(o, "why", json_str(detail, "why"));
    put(o, "rest", act_rest(r, detail));
    json_array_append_new(items, o);
  }
  json_t *page = admin_page(r, say(r, "gwa_title"), NULL);
  if (json_flag(page, "operates", false)) crumb(page, "/admin/exchange", say(r, "admin_exchange"));
  put_list(page, "items", items);
  put(page, "next_href", json_str(out, "next") ? arena_printf(http_arena(r), "/admin/exchange/acts?before=%s", url_quote(r, json_str(out, "next"))) : NULL);
  json_decref(out);
  page_reply(web_of(r), r, 200, "gateway_acts", page);
}

const struct http_route web_gateway_rows[] = {
  {"GET", "/admin/exchange", HTTP_WORKER, PERMIT_OPERATOR, HTTP_SAFE, 0, get_page, "The operator's page of the exchange: requests, gateways, keys, members, witnesses."},
  {"POST", "/admin/exchange/requests/{id}", HTTP_WORKER, PERMIT_OPERATOR, HTTP_TOKEN, FORM_BODY, post_request, "Take a gateway in, or refuse it."},
  {"POST", "/admin/exchange/invitations", HTTP_WORKER, PERMIT_OPERATOR, HTTP_TOKEN, FORM_BODY, post_invitation, "A one-time code for a gateway, shown once."},
  {"POST", "/admin/exchange/members", HTTP_WORKER, PERMIT_OPERATOR, HTTP_TOKEN, FORM_BODY, post_member, "Put a member or a subsystem into the directory."},
  {"GET", "/admin/exchange/acts", HTTP_WORKER, PERMIT_AUDIT, HTTP_SAFE, 0, get_acts, "Who did what in the exchange, when and why."},
  {"POST", "/admin/exchange/members/remove", HTTP_WORKER, PERMIT_OPERATOR, HTTP_TOKEN, FORM_BODY, post_removal, "Take a member or a subsystem out of the directory, with a reason."},
  {"POST", "/admin/exchange/keys/{keyid}", HTTP_WORKER, PERMIT_OPERATOR, HTTP_TOKEN, FORM_BODY, post_key, "Revoke a signing key or a certificate."},
  {"POST", "/admin/exchange/gateways", HTTP_WORKER, PERMIT_OPERATOR, HTTP_TOKEN, FORM_BODY, post_gateway, "Take a gateway out of the directory."},
};
const size_t web_gateway_count = BASE_COUNT(web_gateway_rows);
