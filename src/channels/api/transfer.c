/* Cases out, in bulk. */
#include "channels/api/inside.h"

#include <string.h>

/* ?from=, ?to=: days, in either calendar. */
static int day_of_query(struct http_req *r, const char *name, int64_t days, int64_t *at) {
  const char *text = http_query(r, name);
  if (!text || !text[0]) return 0;
  int32_t day = date_parse(text);
  if (day == INT32_MIN) {
    api_fault(r, name, "date", "transfer.bad_day");
    return -1;
  }
  *at = day_start(day) + days * 86400000;
  return 0;
}

static void get_export(struct http_req *r) {
  const struct actor *who = api_actor(r);
  const char *format = http_query(r, "format"), *service = http_query(r, "service"), *after = http_query(r, "after");
  struct case_export_query q = {.organisation = http_query(r, "organisation"), .service = service && service[0] ? service : NULL,
                                .format = base_same(format, "csv") ? CASE_CSV : CASE_JSONL};
  struct cases_export *e;
  struct err err;
  char mark[32];
  if (format && strcmp(format, "csv") != 0 && strcmp(format, "jsonl") != 0) return api_fault(r, "format", "choice", "transfer.bad_format");
  if (after && identifier_parse(IDENT_TRACKING, after, mark)) return api_fault(r, "after", "pattern", "transfer.bad_after");
  if (day_of_query(r, "from", 0, &q.since) || day_of_query(r, "to", 1, &q.until)) return;
  if (after) q.after = mark;
  if (!q.organisation) q.organisation = who->role_count ? who->roles[0].organisation : "";
  if (cases_export_open(api_of(r)->cases, who, &q, &e, &err)) return api_error(r, &err, err.code == ERR_MALFORMED ? "transfer.bad_after" : err.code == ERR_FORBIDDEN ? "transfer.not_yours" : NULL, NULL);
  http_reply_header(r, "Content-Disposition", q.format == CASE_CSV ? "attachment; filename=\"cases.csv\"" : "attachment; filename=\"cases.jsonl\"");
  http_reply_stream(r, 200, q.format == CASE_CSV ? "text/csv; charset=utf-8; header=present" : "application/jsonl", cases_export_more, e, cases_export_end);
}

static void get_retention(struct http_req *r) {
  const char *text = http_query(r, "until");
  int32_t until = text && text[0] ? date_parse(text) : cases_today();
  struct err err;
  json_t *items = NULL;
  if (until == INT32_MIN) return api_fault(r, "until", "date", "transfer.bad_day");
  int rc = cases_retention(api_of(r)->cases, until, http_lang(r), &items, &err);
  json_t *o = rc ? NULL : json_pack("{s:o,s:n}", "items", items, "next");
  api_list(r, rc, &o, &err);
}

const struct http_route api_transfer_rows[] = {
  {"GET", "/api/v1/desk/export", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_export, "Every case of an organisation as CSV or JSON lines; the persons see it."},
  {"GET", "/api/v1/retention", HTTP_WORKER, PERMIT_OPERATOR, HTTP_SAFE, 0, get_retention, "What is to be erased by the definitions, by service."},
};
const size_t api_transfer_count = BASE_COUNT(api_transfer_rows);
