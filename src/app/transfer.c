/* Cases in and out from the command line. */
#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int told(const struct err *err) {
  app_progress_end();
  fprintf(stderr, "chapar: %s\n", err->message);
  return EXIT_REFUSED;
}

int app_day(const char *flag, const char *text, int64_t dflt, int64_t *at) {
  *at = dflt;
  if (!text) return 0;
  int32_t day = date_parse(text);
  if (day == INT32_MIN) {
    fprintf(stderr, "chapar: %s: '%s' is not a day; write it as 1405-09-02 or 2026-11-23\n", flag, text);
    return -1;
  }
  *at = day_start(day);
  return 0;
}

/* ---- out ---- */

static int write_pages(struct cases_export *e, struct err *err) {
  struct buf text;
  int more;
  do {
    more = cases_export_page(e, &text, err);
    if (more >= 0 && (fwrite(buf_str(&text), 1, text.len, stdout) != text.len || fflush(stdout))) {
      err_set(err, ERR_UNAVAILABLE, "the export could not be written");
      more = -1;
    }
    buf_free(&text);
    app_progress("exported", cases_export_done(e, NULL), 0, "cases");
  } while (more > 0);
  return more;
}

int transfer_export(const struct settings *set, const struct transfer_words *w) {
  struct platform p;
  struct cases_export *e = NULL;
  struct err err = {0};
  struct case_export_query q = {.organisation = w->organisation, .service = w->service, .after = w->after, .format = w->jsonl ? CASE_JSONL : CASE_CSV};
  const struct actor system = {.kind = ACTOR_SYSTEM};
  char last[TRACKING_SIZE] = "", mark[32] = "";
  if (app_day("--from", w->from, 0, &q.since) || app_day("--to", w->to, 0, &q.until)) return EXIT_USAGE;
  if (w->to) q.until += INT64_C(86400000); /* the day itself too */
  if (w->after && identifier_parse(IDENT_TRACKING, w->after, mark)) return app_usage("export", "--after is the tracking code of the last case that was written");
  if (w->after) q.after = mark;
  int rc = platform_open(&p, set, PLATFORM_ALL);
  if (rc) {
    platform_close(&p);
    return rc;
  }
  if (cases_export_open(p.cases, &system, &q, &e, &err)) rc = told(&err);
  else {
    if (write_pages(e, &err)) rc = told(&err);
    app_progress_end();
    int64_t n = cases_export_done(e, last);
    fprintf(stderr, "%lld cases exported%s%s\n", (long long)n, rc && n ? "; to go on: --after " : "", rc && n ? last : "");
  }
  cases_export_close(e);
  int64_t placed;
  if (trust_sequence(p.trust, &placed, &err) && err.code != ERR_CONFLICT) log_write(LOG_WARN, "ledger", "%s", err.message);
  platform_close(&p);
  return rc;
}
