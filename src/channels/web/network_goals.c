/* Goals of availability: what was agreed and why, what is left of the downtime, how fast it goes. */
#include "channels/web/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double number_of(const json_t *v) { return json_is_number(v) ? json_number_value(v) : NAN; }

/* With as many places as it needs: goals are told as they were set. */
static const char *goal_text(struct http_req *r, double goal) {
  int places = 0;
  while (places < 4 && fabs(round(goal * 100 * pow(10, places)) / pow(10, places) - goal * 100) > 1e-7) places++;
  return isnan(goal) ? "–" : number_percent(http_arena(r), http_lang(r), goal * 100, places);
}

/* ---- what other pages show of it ---- */

void net_budget(struct http_req *r, json_t *page, const struct network_line *l) {
  bool over = l->budget_left_ms < 0, any = !isnan(network_availability_of(&l->sums, 1));
  put(page, "available", net_percent(r, network_availability_of(&l->sums, 0), 3));
  put(page, "available_service", net_percent(r, network_availability_of(&l->sums, 1), 3));
  put(page, "goal", net_percent(r, l->goal, 2));
  put_flag(page, "has_budget", any);
  put(page, "budget", any ? net_ago(r, over ? -l->budget_left_ms : l->budget_left_ms) : NULL);
  put_flag(page, "budget_over", any && over);
}

bool net_put_budget(struct http_req *r, json_t *page, struct network_availability_query q, struct network_line *line) {
  struct network_line *lines = NULL;
  struct err err;
  size_t n = 0;
  q.from = cases_today() - 29;
  q.to = cases_today();
  if (network_availability(net_of(r), &q, &lines, &n, &err)) {
    web_error(r, &err);
    return false;
  }
  put_flag(page, "has_availability", n > 0);
  if (n) net_budget(r, page, &lines[0]);
  if (n && line) *line = lines[0];
  network_availability_free(lines, n);
  return true;
}

static const char *alarm_text(struct http_req *r, const json_t *one) {
  const char *alarm = json_str(one, "alarm");
  const json_t *burn = json_object_get(one, "burn");
  double times = number_of(json_object_get(burn, base_same(alarm, "fast") ? "hours_6" : "days_3"));
  const char *key = alarm ? arena_printf(http_arena(r), "web.net_alarm_%s", alarm) : NULL;
  return key ? word_fill(http_arena(r), http_lang(r), key, "n", isnan(times) ? "–" : number_decimal(http_arena(r), http_lang(r), times, 1), NULL) : NULL;
}

json_t *net_alarms(struct http_req *r) {
  json_t *out = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (network_goals(net_of(r), http_lang(r), &out, &err)) return list;
  json_array_foreach(json_object_get(out, "items"), i, one) {
    if (!json_str(one, "alarm")) continue;
    json_t *o = json_object();
    put(o, "name", json_str(one, "name"));
    put(o, "text", alarm_text(r, one));
    json_array_append_new(list, o);
  }
  json_decref(out);
  return list;
}

/* ---- the page ---- */

static const char *times_text(struct http_req *r, const json_t *burn, const char *key) {
  double v = number_of(json_object_get(burn, key));
  return isnan(v) ? "–" : word_fill(http_arena(r), http_lang(r), "web.net_times_n", "n", number_decimal(http_arena(r), http_lang(r), v, v < 10 ? 1 : 0), NULL);
}

static json_t *goal_row(struct http_req *r, const json_t *one) {
  json_t *o = json_object();
  const json_t *available = json_object_get(one, "availability"), *burn = json_object_get(one, "burn");
  const char *code = json_str(one, "code"), *alarm = json_str(one, "alarm");
  bool organisation = base_same(json_str(one, "scope"), "organisation"), any = json_is_number(json_object_get(available, "service"));
  int64_t left = json_int(one, "budget_left_s", 0) * 1000;
  put(o, "name", json_str(one, "name"));
  put(o, "href", arena_printf(http_arena(r), "/network/offices?%s=%s", organisation ? "organisation" : "level", url_quote(r, code)));
  put_number(r, o, "offices", json_int(one, "offices", 0));
  put(o, "goal", goal_text(r, number_of(json_object_get(one, "goal"))));
  put(o, "service", net_percent(r, number_of(json_object_get(available, "service")), 3));
  put(o, "allowed", any ? net_ago(r, json_int(one, "budget_s", 0) * 1000) : "–");
  put(o, "left", !any ? "–" : left >= 0 ? net_ago(r, left) : word_fill(http_arena(r), http_lang(r), "web.net_beyond", "t", net_ago(r, -left), NULL));
  put(o, "fast", times_text(r, burn, "hours_6"));
  put(o, "slow", times_text(r, burn, "days_3"));
  put(o, "alarm", alarm_text(r, one));
  put_flag(o, "grave", base_same(alarm, "fast") || base_same(alarm, "spent"));
  put(o, "reason", json_str(one, "reason"));
  put(o, "set_at", json_str(one, "set_at") ? show_day_short(r, json_str(one, "set_at")) : NULL);
  put(o, "by", net_sees_all(web_actor(r)) ? json_str(one, "by") : NULL);
  return o;
}

static json_t *history_json(struct http_req *r, const json_t *history) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach((json_t *)(uintptr_t)history, i, one) {
    json_t *o = json_object();
    double goal = number_of(json_object_get(one, "goal"));
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "name", json_str(one, "name"));
    put(o, "goal", isnan(goal) ? net_say(r, "goal_back") : goal_text(r, goal));
    put(o, "reason", json_str(one, "reason"));
    put(o, "by", net_sees_all(web_actor(r)) ? json_str(one, "by") : NULL);
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *scope_options(struct http_req *r, const json_t *items) {
  const char *chosen = net_value(r, "scope");
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach((json_t *)(uintptr_t)items, i, one) {
    if (!base_same(json_str(one, "scope"), "level")) continue;
    json_t *o = json_object();
    put(o, "value", json_str(one, "code"));
    put(o, "label", json_str(one, "name"));
    put_flag(o, "chosen", base_same(json_str(one, "code"), chosen));
    json_array_append_new(list, o);
  }
  json_t *own = json_object();
  put(own, "value", "organisation");
  put(own, "label", net_say(r, "goal_organisation"));
  put_flag(own, "chosen", base_same("organisation", chosen));
  json_array_append_new(list, own);
  return list;
}

static void show_goals(struct http_req *r, const char *field, const char *wrong) {
  static const char *const boxes[] = {"organisation", "goal", "reason"};
  json_t *out = NULL, *list = json_array(), *one;
  struct err err;
  size_t i;
  if (network_goals(net_of(r), http_lang(r), &out, &err)) {
    json_decref(list);
    return web_error(r, &err);
  }
  json_t *page = net_page(r, net_say(r, "goals"), "/network/goals", true);
  json_array_foreach(json_object_get(out, "items"), i, one) json_array_append_new(list, goal_row(r, one));
  put_list(page, "items", list);
  put_list(page, "history", history_json(r, json_object_get(out, "history")));
  put_list(page, "scopes", scope_options(r, json_object_get(out, "items")));
  json_decref(out);
  for (i = 0; i < BASE_COUNT(boxes); i++) net_box(r, page, boxes[i], field, wrong);
  put_flag(page, "operates", actor_has_role(web_actor(r), NULL, STAFF_OPERATOR));
  put_flag(page, "done", strcmp(http_method(r), "POST") != 0 && net_query(r, "done"));
  net_reply(r, page, "goals");
}

static void get_goals(struct http_req *r) { show_goals(r, NULL, NULL); }

/* Percent as people write it, in whatever digits, with a point or ٫, with or without the sign: 0.9 to 1; NAN when it is none. */
static double share_of(struct http_req *r, const char *typed) {
  const char *ascii = typed ? digits_ascii(http_arena(r), typed) : NULL;
  char text[16];
  size_t n = 0;
  for (const char *s = ascii; s && *s && n < sizeof text - 1;) {
    if (base_starts(s, "٫")) text[n++] = '.', s += strlen("٫");
    else if (*s == '/' || *s == ',') text[n++] = '.', s++;
    else if (base_starts(s, "٪")) s += strlen("٪");
    else if (base_starts(s, "\u2067") || base_starts(s, "\u2069") || base_starts(s, "\u200F")) s += 3; /* as number_percent writes it */
    else if (*s == ' ' || *s == '%') s++;
    else text[n++] = *s++;
  }
  text[n] = 0;
  char *end = text;
  double v = n && strspn(text, "0123456789.") == n ? strtod(text, &end) : NAN;
  return *end || !(v >= 90 && v <= 100) ? NAN : v / 100;
}

static void post_goal(struct http_req *r) {
  const char *scope = net_value(r, "scope"), *organisation = net_value(r, "organisation"), *reason = net_value(r, "reason");
  bool back = net_value(r, "back") != NULL, whose = base_same(scope, "organisation");
  struct network_by by;
  struct err err;
  if (http_replied(r)) return;
  if (!net_by(web_actor(r), NULL, &by)) return http_problem_code(r, ERR_FORBIDDEN, net_say(r, "acts_who"));
  struct network_goal_set g = {.level = whose ? NULL : scope ? scope : "", .organisation = whose ? organisation ? digits_ascii(http_arena(r), organisation) : "" : NULL,
                               .goal = back ? 0 : share_of(r, net_value(r, "goal")), .reason = reason};
  if (isnan(g.goal)) return show_goals(r, "goal", net_say(r, "bad_goal"));
  if (!reason || utf8_length(reason) < 3 || strlen(reason) > NETWORK_NOTE_MOST) return show_goals(r, "reason", net_say(r, "bad_reason"));
  if (network_goal_put(net_of(r), &by, &g, &err) == 0) return http_redirect(r, 303, "/network/goals?done=1");
  if (err.code == ERR_NOT_FOUND) return show_goals(r, "organisation", net_say(r, "no_organisation"));
  web_error(r, &err);
}

const struct http_route web_network_goal_rows[] = {
  {"GET", "/network/goals", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_goals, "Goals of availability: what is left of the downtime that they allow."},
  {"POST", "/network/goals", HTTP_WORKER, PERMIT_OPERATOR, HTTP_TOKEN, FORM_BODY, post_goal, "Operator: set a goal for a class of offices or an organisation, with a reason."},
};
const size_t web_network_goal_count = BASE_COUNT(web_network_goal_rows);
