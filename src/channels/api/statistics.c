/* Figures for programs: the same tables as on the managers' pages. */
#include "channels/api/inside.h"

#include <string.h>

/* What is asked and whether it may be; the right, or OBSERVE_NOTHING after replying. */
static enum observe take_query(struct http_req *r, struct observe_query *q) {
  const struct actor *who = api_actor(r);
  const struct directory *d = pack_directory(cases_pack(api_of(r)->cases));
  struct err err;
  memset(q, 0, sizeof *q);
  q->organisation = http_query(r, "organisation");
  q->service = http_query(r, "service");
  q->place = http_query(r, "place");
  if (!q->organisation && observatory_right(who, NULL) != OBSERVE_PROVINCE) q->organisation = who->role_count ? who->roles[0].organisation : "";
  enum observe right = observatory_right(who, q->organisation);
  if (right == OBSERVE_NOTHING || (q->organisation && directory_find_organisation(d, q->organisation) < 0)) {
    http_problem_code(r, ERR_NOT_FOUND, NULL);
    return OBSERVE_NOTHING;
  }
  if (period_parse(http_query(r, "period"), cases_today(), &q->period, &err)) {
    api_fault(r, "period", "pattern", "api.period");
    return OBSERVE_NOTHING;
  }
  if (right == OBSERVE_SELF) q->officer = who->username;
  return right;
}

static json_t *head_of(const struct observe_query *q) {
  char from[16], to[16];
  json_t *o = json_object();
  date_iso(q->period.from, from);
  date_iso(q->period.to, to);
  json_put(o, "organisation", q->organisation);
  json_put(o, "service", q->service);
  json_put(o, "place", q->place);
  json_object_set_new(o, "period", json_pack("{s:s,s:s}", "from", from, "to", to));
  return o;
}

static void get_summary(struct http_req *r) {
  struct observe_query q;
  struct err err;
  json_t *sum = NULL;
  int64_t counted = 0, all = 0;
  enum observe right = take_query(r, &q);
  if (right == OBSERVE_NOTHING) return;
  if (right == OBSERVE_SELF) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (observatory_summary(api_of(r)->observatory, &q, http_lang(r), &sum, &err) || observatory_reached(api_of(r)->observatory, &counted, &all, &err)) {
    json_decref(sum);
    return api_error(r, &err, NULL, NULL);
  }
  json_t *o = head_of(&q);
  json_object_set_new(o, "figures", sum);
  json_object_set_new(o, "events_left", json_integer(all > counted ? all - counted : 0));
  http_reply_json(r, 200, o);
}

/* Rows as objects by their columns' keys. */
static json_t *items_of(const json_t *table) {
  json_t *items = json_array(), *row, *cell;
  const json_t *columns = json_object_get(table, "columns");
  size_t i, k;
  json_array_foreach(json_object_get(table, "rows"), i, row) {
    json_t *one = json_object();
    json_array_foreach(row, k, cell) json_object_set(one, json_str(json_array_get(columns, k), "key"), cell);
    json_array_append_new(items, one);
  }
  return items;
}

static void get_table(struct http_req *r) {
  struct observe_query q;
  struct err err;
  json_t *table = NULL;
  int t = table_parse(http_param(r, "table"));
  if (t < 0) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  enum observe right = take_query(r, &q);
  if (right == OBSERVE_NOTHING) return;
  if ((right == OBSERVE_SELF && t != TABLE_OFFICERS) || (t == TABLE_OFFICERS && !q.organisation)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (observatory_table(api_of(r)->observatory, (enum table_name)t, &q, http_lang(r), &table, &err)) return api_error(r, &err, NULL, NULL);
  json_t *o = head_of(&q);
  json_put(o, "table", table_text((enum table_name)t));
  json_object_set(o, "columns", json_object_get(table, "columns"));
  json_object_set_new(o, "items", items_of(table));
  json_decref(table);
  http_reply_json(r, 200, o);
}

const struct http_route api_statistics_rows[] = {
  {"GET", "/api/v1/statistics", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_summary, "Figures of an organisation, or of the province, for a period."},
  {"GET", "/api/v1/statistics/{table}", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_table, "One table of figures: services, officers, states, reasons, fairness and others."},
};
const size_t api_statistics_count = BASE_COUNT(api_statistics_rows);
