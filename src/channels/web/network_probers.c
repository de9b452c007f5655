/* Probers at hubs: who measures from elsewhere, how it goes there, who may. For the operator alone. */
#include "channels/web/network.h"

#include <stdlib.h>
#include <string.h>

static json_t *one_json(struct http_req *r, const json_t *one) {
  json_t *o = json_object();
  const char *state = json_str(one, "state"), *name = json_str(one, "name"), *heard = json_str(one, "heard"), *oldest = json_str(one, "oldest");
  const char *trouble = json_str(one, "trouble");
  bool away = json_flag(one, "away", false), admitted = base_same(state, "admitted");
  int64_t clock = json_int(one, "clock_ms", 0), backlog = json_int(one, "backlog", 0);
  put(o, "name", name);
  put(o, "state", net_say(r, admitted && trouble ? "prober_mute" : admitted && away ? "prober_silent" : admitted && !heard ? "prober_expected" : arena_printf(http_arena(r), "prober_%s", state)));
  put_flag(o, "bad", admitted && (away || trouble));
  put(o, "trouble", admitted && trouble ? net_say(r, arena_printf(http_arena(r), "prober_cannot_%s", trouble)) : NULL);
  put_number(r, o, "offices", json_int(one, "offices", 0));
  put_number(r, o, "unknown", json_int(one, "unknown", 0));
  put(o, "heard", heard ? show_time(r, heard) : NULL);
  put_number(r, o, "backlog", backlog);
  put(o, "oldest", backlog && oldest ? show_time(r, oldest) : NULL);
  put(o, "version", json_str(one, "version"));
  put(o, "clock", heard ? net_ms(r, json_object_get(one, "clock_ms")) : NULL);
  put_flag(o, "clock_bad", clock > 2000 || clock < -2000);
  put(o, "reason", json_str(one, "reason"));
  put(o, "by", json_str(one, "by"));
  put(o, "revoke", base_same(state, "revoked") ? NULL : arena_printf(http_arena(r), "/network/probers/%s/revoke", name));
  return o;
}

static void show_probers(struct http_req *r, const char *field, const char *wrong, const char *code) {
  json_t *all = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (network_probers(net_of(r), &all, &err)) {
    json_decref(list);
    return web_error(r, &err);
  }
  json_t *page = net_page(r, net_say(r, "probers"), "/network/probers", true);
  json_array_foreach(json_object_get(all, "items"), i, one) json_array_append_new(list, one_json(r, one));
  json_decref(all);
  put_list(page, "items", list);
  put(page, "code", code);
  net_box(r, page, "name", field, wrong);
  net_box(r, page, "reason", field, wrong);
  if (code) { /* it is done: the form begins anew */
    put(page, "name", NULL);
    put(page, "reason", NULL);
  }
  put_flag(page, "done", strcmp(http_method(r), "POST") != 0 && net_query(r, "done"));
  net_reply(r, page, "probers");
}

static void get_probers(struct http_req *r) { show_probers(r, NULL, NULL, NULL); }

static void post_prober(struct http_req *r) {
  const char *name = net_value(r, "name"), *reason = net_value(r, "reason");
  struct network_by by = {.who = web_actor(r)->username};
  char code[NETWORK_PROBER_CODE];
  struct err err;
  if (http_replied(r)) return;
  if (!name || strlen(name) > 40 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name)) return show_probers(r, "name", net_say(r, "bad_prober"), NULL);
  if (!reason || utf8_length(reason) < 3 || strlen(reason) > NETWORK_NOTE_MOST) return show_probers(r, "reason", net_say(r, "bad_reason"), NULL);
  if (network_prober_invite(net_of(r), &by, name, reason, code, &err) == 0) return show_probers(r, NULL, NULL, code);
  if (err.code == ERR_LIMIT) return show_probers(r, "name", net_say(r, "many_probers"), NULL);
  web_error(r, &err);
}

static void post_revoke(struct http_req *r) {
  const char *reason = net_value(r, "reason");
  struct network_by by = {.who = web_actor(r)->username};
  struct err err;
  if (http_replied(r)) return;
  if (!reason || utf8_length(reason) < 3 || strlen(reason) > NETWORK_NOTE_MOST) return http_problem_code(r, ERR_INVALID, net_say(r, "bad_reason"));
  if (network_prober_revoke(net_of(r), &by, http_param(r, "prober"), reason, &err)) return err.code == ERR_NOT_FOUND || err.code == ERR_INVALID ? not_found(r) : web_error(r, &err);
  http_redirect(r, 303, "/network/probers?done=1");
}

const struct http_route web_network_prober_rows[] = {
  {"GET", "/network/probers", HTTP_WORKER, PERMIT_OPERATOR, HTTP_SAFE, 0, get_probers, "Operator: probers at hubs and how it goes there."},
  {"POST", "/network/probers", HTTP_WORKER, PERMIT_OPERATOR, HTTP_TOKEN, FORM_BODY, post_prober, "Operator: invite a prober; its code is shown once."},
  {"POST", "/network/probers/{prober}/revoke", HTTP_WORKER, PERMIT_OPERATOR, HTTP_TOKEN, FORM_BODY, post_revoke, "Operator: take a prober's right away."},
};
const size_t web_network_prober_count = BASE_COUNT(web_network_prober_rows);
