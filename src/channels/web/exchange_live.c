/* The exchange at work: figures of every service and side, last errors with what to do, peers, the directory. */
#include "channels/web/inside.h"

#include <string.h>

json_t *web_exchange_uses(struct http_req *r) {
  json_t *list = NULL, *out = json_object(), *one;
  struct err err;
  size_t i;
  if (!web_of(r)->exchange || exchange_grants(web_of(r)->exchange, NULL, true, &list, &err)) return out;
  json_array_foreach(list, i, one) json_object_set(out, json_str(one, "id"), one);
  json_decref(list);
  return out;
}

static const struct organisation *member(struct http_req *r, const char *id) {
  const struct directory *d = pack_directory(web_pack(r));
  char instance[120], class_[120], code[120];
  if (!id || sscanf(id, "%119[^/]/%119[^/]/%119[^/]", instance, class_, code) != 3) return NULL;
  for (size_t i = 0; i < directory_organisations(d); i++) {
    const struct organisation *o = directory_organisation(d, (int)i);
    if (strcmp(o->member, code) == 0 && strcmp(o->class_, class_) == 0) return o;
  }
  return NULL;
}

static const char *name_of(struct http_req *r, const char *id) {
  const struct organisation *o = member(r, id);
  return o ? organisation_name(o, http_lang(r)) : id;
}

/* The last part of an identifier: a service, or the subsystem that asks; in words where the pack knows them. */
static const char *end_of(struct http_req *r, const char *id, bool service) {
  const struct organisation *o = member(r, id);
  const char *last = id ? strrchr(id, '/') : NULL;
  if (!last) return id;
  const struct data_service *d = service && o ? pack_find_data_service(web_pack(r), o->code, last + 1) : NULL;
  const struct service *s = !service ? pack_find_shown(web_pack(r), last + 1) : NULL;
  if (!service && strcmp(last + 1, RIGHT_SUBSYSTEM) == 0) return word(http_lang(r), "exchange.systems");
  return d ? text_in(&d->title, http_lang(r)) : s ? text_in(&s->title, http_lang(r)) : last + 1;
}

static const char *millis(struct http_req *r, double v) { return number_decimal(http_arena(r), http_lang(r), v, v < 10 ? 1 : 0); }

static const char *bytes(struct http_req *r, int64_t n) {
  struct arena *a = http_arena(r);
  enum lang l = http_lang(r);
  if (n < 10240) return word_fill(a, l, "web.xc_bytes", "n", number_format(a, l, n), NULL);
  if (n < 10485760) return word_fill(a, l, "web.xc_kib", "n", number_format(a, l, n / 1024), NULL);
  return word_fill(a, l, "web.xc_mib", "n", number_format(a, l, n / 1048576), NULL);
}

static json_t *line_json(struct http_req *r, const json_t *one) {
  const json_t *error = json_object_get(one, "last_error"), *span = json_object_get(one, "hour");
  json_t *o = json_object();
  bool producer = base_same(json_str(one, "side"), "producer");
  if (!json_is_object(span)) span = one;
  put(o, "service", end_of(r, json_str(one, "service"), true));
  put(o, "provider", name_of(r, json_str(one, "service")));
  put(o, "client", json_str(one, "client") ? name_of(r, json_str(one, "client")) : NULL);
  put(o, "purpose", json_str(one, "client") ? end_of(r, json_str(one, "client"), false) : NULL);
  put(o, "side", say(r, producer ? "xc_side_producer" : "xc_side_consumer"));
  put_number(r, o, "count", json_int(span, "count", 0));
  put_number(r, o, "errors", json_int(span, "errors", 0));
  put_flag(o, "bad", json_int(span, "errors", 0) > 0);
  put_number(r, o, "today", json_int(json_object_get(one, "day"), "count", json_int(one, "count", 0)));
  put(o, "p50", millis(r, json_number_value(json_object_get(span, "p50_ms"))));
  put(o, "p95", millis(r, json_number_value(json_object_get(span, "p95_ms"))));
  put(o, "p99", millis(r, json_number_value(json_object_get(span, "p99_ms"))));
  put(o, "size", bytes(r, json_int(span, "bytes_in", 0) + json_int(span, "bytes_out", 0)));
  put(o, "error_code", json_str(error, "code"));
  put(o, "error_at", json_str(error, "at") ? show_time(r, json_str(error, "at")) : NULL);
  put(o, "error_side", json_str(error, "side") ? say(r, arena_printf(http_arena(r), "xc_side_%s", json_str(error, "side"))) : NULL);
  put(o, "error_check", json_str(error, "check"));
  put(o, "error_advice", json_str(error, "advice"));
  return o;
}

static bool is_of(const char *id, const struct organisation *o, const char *instance) {
  char prefix[400];
  snprintf(prefix, sizeof prefix, "%s/%s/%s/", instance, o->class_, o->member);
  return id && base_starts(id, prefix);
}

/* Lines of an organisation's own services and calls; of all when it is NULL. */
static json_t *lines_json(struct http_req *r, const json_t *monitor, const struct organisation *o, json_t *errors) {
  json_t *list = json_array(), *one;
  const char *instance = pack_instance(web_pack(r));
  size_t i;
  json_array_foreach(json_object_get(monitor, "services"), i, one) {
    bool producer = base_same(json_str(one, "side"), "producer");
    if (o && !is_of(json_str(one, producer ? "service" : "client"), o, instance)) continue;
    json_t *line = line_json(r, one);
    if (json_str(line, "error_code")) json_array_append(errors, line);
    json_array_append_new(list, line);
  }
  return list;
}

void web_exchange_figures(struct http_req *r, json_t *page, const char *organisation) {
  const struct directory *d = pack_directory(web_pack(r));
  const struct organisation *o = directory_organisation(d, directory_find_organisation(d, organisation));
  json_t *monitor = NULL, *errors = json_array(), *list;
  struct err err;
  put_flag(page, "live", web_of(r)->exchange != NULL);
  if (!web_of(r)->exchange || !o || exchange_monitor(web_of(r)->exchange, http_lang(r), &monitor, &err)) list = json_array();
  else list = lines_json(r, monitor, o, errors);
  json_decref(monitor);
  put_list(page, "errors_told", errors);
  put_list(page, "lines", list);
}

/* ---- the whole province ---- */

static json_t *peers_json(struct http_req *r, const json_t *monitor) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(json_object_get(monitor, "peers"), i, one) {
    json_t *o = json_object();
    put(o, "name", name_of(r, json_str(one, "server")));
    put(o, "server", member(r, json_str(one, "server")) ? json_str(one, "server") : NULL); /* others are called by it */
    put(o, "at", word_fill(http_arena(r), http_lang(r), "web.xc_peer_at", "time", show_time(r, json_str(one, "at")), NULL));
    put(o, "state", say(r, arena_printf(http_arena(r), "xc_peer_%s", json_str(one, "state"))));
    put_flag(o, "bad", !base_same(json_str(one, "state"), "reached"));
    put(o, "error", json_str(one, "last_error"));
    json_array_append_new(list, o);
  }
  return list;
}

/* {when, notice}, or null: of the gateway whose page it is. */
static json_t *maintenance_json(struct http_req *r, const json_t *monitor) {
  const json_t *now = json_object_get(monitor, "maintenance");
  int64_t until = 0;
  if (!json_is_object(now)) return json_null();
  json_t *o = json_object();
  bool ends = json_str(now, "until") && clock_parse(json_str(now, "until"), &until) == 0;
  put(o, "when", ends ? word_fill(http_arena(r), http_lang(r), "web.xc_maintenance_until", "time", show_time(r, json_str(now, "until")), NULL) : say(r, "xc_maintenance_open"));
  put(o, "notice", json_str(now, "notice"));
  return o;
}

static json_t *ends_json(struct http_req *r, const json_t *monitor) {
  json_t *list = json_array(), *one;
  struct arena *a = http_arena(r);
  size_t i;
  json_array_foreach(json_object_get(monitor, "ends"), i, one) {
    json_t *o = json_object();
    int64_t until = 0;
    char days[24];
    clock_parse(json_str(one, "until"), &until);
    snprintf(days, sizeof days, "%lld", (long long)json_int(one, "days", 0));
    put(o, "what", word(http_lang(r), arena_printf(a, "exchange.end_%s", json_str(one, "kind"))));
    put(o, "when", word_fill(a, http_lang(r), "web.xc_ends_in", "date", date_short(a, http_lang(r), day_of(until)), "days", digits_local(a, http_lang(r), days), NULL));
    put(o, "name", json_str(one, "name"));
    json_array_append_new(list, o);
  }
  return list;
}

static void get_live(struct http_req *r) {
  const struct actor *who = web_actor(r);
  bool all = actor_has_role(who, NULL, STAFF_OPERATOR) || actor_has_role(who, NULL, STAFF_AUDITOR);
  json_t *monitor = NULL, *errors = json_array();
  struct err err;
  if (!all) {
    json_decref(errors);
    return http_redirect(r, 303, "/desk/exchange");
  }
  if (web_of(r)->exchange && exchange_monitor(web_of(r)->exchange, http_lang(r), &monitor, &err)) {
    json_decref(errors);
    return web_error(r, &err);
  }
  json_t *page = page_new(web_of(r), r, say(r, "xc_live"), false), *causes = json_array();
  const json_t *directory = json_object_get(monitor, "directory"), *async = json_object_get(monitor, "async");
  bool still = http_query(r, "still") != NULL;
  crumb(page, "/desk", say(r, "desk"));
  crumb(page, "/desk/exchange", say(r, "xc_title"));
  if (web_of(r)->exchange) exchange_health(web_of(r)->exchange, causes);
  if (!still) http_reply_header(r, "Refresh", "10");
  put_flag(page, "still", still);
  put_flag(page, "live", monitor != NULL);
  put(page, "server", json_str(monitor, "server"));
  json_object_set_new(page, "maintenance", maintenance_json(r, monitor));
  put_number(r, page, "version", json_int(directory, "version", 0));
  put(page, "problem", json_str(directory, "problem"));
  put_flag(page, "directory_alarm", json_flag(directory, "alarm", false));
  put_flag(page, "stamps_behind", json_flag(json_object_get(monitor, "timestamps"), "behind", false));
  put(page, "ledger", word_fill(http_arena(r), http_lang(r), "web.xc_ledger_leaves", "n", number_format(http_arena(r), http_lang(r), json_int(json_object_get(monitor, "ledger"), "size", 0)), NULL));
  put_number(r, page, "waiting", json_int(async, "waiting", 0));
  put_list(page, "causes", causes);
  put_list(page, "lines", lines_json(r, monitor, NULL, errors));
  put_list(page, "errors_told", errors);
  put_list(page, "ends", ends_json(r, monitor));
  put_list(page, "peers", peers_json(r, monitor));
  json_decref(monitor);
  page_reply(web_of(r), r, 200, "exchange_live", page);
}

const struct http_route web_exchange_live_rows[] = {
  {"GET", "/desk/exchange/live", HTTP_WORKER, PERMIT_AUDIT, HTTP_SAFE, 0, get_live, "Operator and auditors: the whole exchange at work, every ten seconds."},
};
const size_t web_exchange_live_count = BASE_COUNT(web_exchange_live_rows);
