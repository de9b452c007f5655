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

/* ---- in ---- */

static void tell_line(void *ctx, unsigned line, const char *message) { fprintf(stderr, "%s:%u: %s\n", (const char *)ctx, line, message); }
static void tell_progress(void *ctx, size_t done, size_t all) {
  (void)ctx;
  app_progress("imported", (int64_t)done, (int64_t)all, "cases");
}

int transfer_import(const struct settings *set, const struct transfer_words *w, const char *file) {
  struct platform p;
  struct err err = {0};
  size_t n = 0;
  int64_t placed;
  int rc = platform_open(&p, set, PLATFORM_ALL);
  const struct service *s = rc == 0 ? pack_find(p.pack, w->service) : NULL;
  if (rc == 0 && !s) {
    err_set(&err, ERR_NOT_FOUND, "the pack has no service '%s' that is in effect", w->service);
    rc = told(&err);
  }
  char *data = s ? file_read(file, (size_t)256 * 1024 * 1024, &n, &err) : NULL;
  if (s && (!data || platform_keep_pack(&p, &err))) rc = told(&err);
  if (rc == 0) {
    struct case_import k = {.service = s, .dry = w->dry, .lang = base_same(w->lang, "fa") ? LANG_FA : LANG_EN, .line = tell_line, .progress = tell_progress,
                            .ctx = (void *)(uintptr_t)file};
    if (cases_import(p.cases, data, n, &k, &err)) rc = told(&err);
    app_progress_end();
    printf("%s%zu cases: %zu new, %zu as they were, %zu mistakes\n", w->dry ? "dry run, nothing was written: " : "", k.rows, k.made, k.same, k.wrong);
    if (!w->dry && trust_sequence(p.trust, &placed, &err) && err.code != ERR_CONFLICT) log_write(LOG_WARN, "ledger", "%s", err.message);
  }
  free(data);
  platform_close(&p);
  return rc;
}

/* ---- what is erased ---- */

static void print_retention(const json_t *list, int64_t *all) {
  size_t i;
  const json_t *one;
  *all = 0;
  puts("service,version,result,years,cases,oldest");
  json_array_foreach(list, i, one) {
    printf("%s,%lld,%s,%lld,%lld,%s\n", json_str(one, "service"), (long long)json_int(one, "service_version", 0), json_str(one, "result"),
           (long long)json_int(one, "years", -1), (long long)json_int(one, "cases", 0), json_str(one, "oldest"));
    *all += json_int(one, "cases", 0);
  }
}

static int erase_due(struct platform *p, int64_t all, struct err *err) {
  int64_t done = 0, n = 0;
  do {
    if (cases_retain(p->cases, &n, err)) return -1;
    done += n;
    app_progress("erased", done, all, "cases");
  } while (n > 0);
  app_progress_end();
  printf("%lld cases erased; their proofs stay\n", (long long)done);
  return 0;
}

int command_retention(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  struct platform p;
  struct err err = {0};
  const char *dry = NULL, *day = NULL;
  struct own_flag own[] = {{"--dry-run!", &dry}, {"--until", &day}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  if (left.count) return app_usage("retention", "there is nothing to name: it lists what is due, and erases it without --dry-run");
  int32_t until = day ? date_parse(day) : cases_today();
  if (until == INT32_MIN) return app_usage("retention", "--until is a day, like 1405-09-02 or 2026-11-23");
  if (!dry && until != cases_today()) return app_usage("retention", "another day than today goes with --dry-run: nothing is erased before its time");
  rc = platform_open(&p, &s, PLATFORM_ALL);
  json_t *list = NULL;
  int64_t all = 0, placed;
  if (rc == 0 && cases_retention(p.cases, until, LANG_EN, &list, &err)) rc = told(&err);
  if (rc == 0) {
    print_retention(list, &all);
    if (dry) printf("dry run: %lld cases %s erased\n", (long long)all, day ? "are then to be" : "are to be");
    else if (erase_due(&p, all, &err)) rc = told(&err);
    else if (trust_sequence(p.trust, &placed, &err) && err.code != ERR_CONFLICT) log_write(LOG_WARN, "ledger", "%s", err.message);
  }
  json_decref(list);
  platform_close(&p);
  return rc;
}

static int erase_refs(struct platform *p, const json_t *refs, const char *ref, const char *why, struct err *err) {
  size_t i;
  const json_t *one;
  int64_t placed, n = 0;
  json_array_foreach(refs, i, one) {
    if (ref && strcmp(ref, json_string_value(one)) != 0) continue;
    if (registries_erase(p->registries, json_string_value(one), "command line", why, err)) return -1;
    printf("record %s erased; its proofs stay\n", json_string_value(one));
    n++;
  }
  if (n == 0) return err_set(err, ERR_NOT_FOUND, "no such record");
  if (trust_sequence(p->trust, &placed, err) && err->code != ERR_CONFLICT) log_write(LOG_WARN, "ledger", "%s", err->message);
  return 0;
}

int command_erase(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  struct platform p = {0};
  struct err err = {0};
  const char *why = NULL, *ref = NULL;
  struct own_flag own[] = {{"--why", &why}, {"--ref", &ref}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  if (left.count != 3 || strcmp(left.items[0], "record") != 0) return app_usage("erase", "say what to erase: record REGISTRY KEY");
  if (!why || !why[0]) return app_usage("erase", "say why: --why REASON; it stays in the ledger, so name nobody in it");
  rc = platform_open(&p, &s, PLATFORM_ALL);
  const struct registry *r = rc == 0 ? pack_find_registry(p.pack, left.items[1]) : NULL;
  json_t *refs = NULL;
  if (rc == 0 && !r) {
    err_set(&err, ERR_NOT_FOUND, "the pack has no registry '%s'", left.items[1]);
    rc = told(&err);
  }
  if (r && registries_refs(p.registries, r, left.items[2], &refs, &err)) rc = told(&err);
  if (refs && json_array_size(refs) > 1 && !ref) {
    size_t i;
    const json_t *one;
    fprintf(stderr, "chapar: there are %zu records of this key; choose one with --ref:\n", json_array_size(refs));
    json_array_foreach(refs, i, one) fprintf(stderr, "  %s\n", json_string_value(one));
    rc = EXIT_REFUSED;
  } else if (refs && erase_refs(&p, refs, ref, why, &err)) rc = told(&err);
  json_decref(refs);
  platform_close(&p);
  return rc;
}
