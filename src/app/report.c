/* The weekly page from the command line. */
#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Count what has not been counted yet, however much it is. */
static int catch_up(struct platform *p, struct err *err) {
  int64_t placed, done = 1, counted = 0, all = 0;
  int idle = 0;
  if (trust_sequence(p->trust, &placed, err) && err->code != ERR_CONFLICT) return -1;
  while (observatory_reached(p->observatory, &counted, &all, err) == 0) {
    app_progress("counting", counted, all, "events");
    if (counted >= all) {
      app_progress_end();
      return 0;
    }
    if (observatory_jobs(p->observatory, &done, err)) return -1;
    idle = done ? 0 : idle + 1;
    if (idle > 600) return err_set(err, ERR_UNAVAILABLE, "another process counts, and does not get on");
    if (!done) nanosleep(&(struct timespec){.tv_nsec = 100 * 1000000}, NULL);
  }
  return -1;
}

static int write_out(const char *file, const void *pdf, size_t n, struct err *err) {
  if (file) return file_write(file, pdf, n, 0644, err);
  return fwrite(pdf, 1, n, stdout) == n && fflush(stdout) == 0 ? 0 : err_set(err, ERR_UNAVAILABLE, "standard output takes nothing");
}

int command_report(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  const char *organisation = NULL, *week = NULL, *typed = NULL, *lang = NULL, *file = NULL, *rebuild = NULL;
  struct own_flag own[] = {{"--organisation", &organisation}, {"--week", &week}, {"--period", &typed}, {"--lang", &lang}, {"--output", &file}, {"--rebuild!", &rebuild}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  struct period period;
  struct err err;
  char text[64];
  if (rc) return rc;
  if (left.count) return app_usage("report", "there is a word too many");
  if (week && typed) return app_usage("report", "say --week or --period, not both");
  if (lang && strcmp(lang, "fa") != 0 && strcmp(lang, "en") != 0) return app_usage("report", "--lang is fa or en");
  int32_t today = cases_today();
  if (week) snprintf(text, sizeof text, "week:%.40s", week);
  else if (typed) snprintf(text, sizeof text, "%.60s", typed);
  else {
    char day[16];
    date_iso(today - 7, day);
    snprintf(text, sizeof text, "week:%s", day);
  }
  if (period_parse(text, today, &period, &err)) return app_usage("report", week ? "--week is a day, such as 1405-09-05" : "--period is 1405-08, 1405-q3, 1405, week:DAY or DAY..DAY");
  struct platform p;
  void *pdf = NULL;
  size_t n = 0;
  char *db = s.data[0] ? base_printf("%s/chapar.db", s.data) : NULL;
  bool nothing = db && access(db, R_OK) != 0;
  free(db);
  if (nothing) {
    fprintf(stderr, "chapar: there is no store in %s yet\n", s.data);
    return EXIT_REFUSED;
  }
  rc = platform_open(&p, &s, PLATFORM_ALL);
  if (rc == 0) {
    bool bad = (rebuild && observatory_rebuild(p.observatory, &err)) || catch_up(&p, &err) ||
               observatory_report(p.observatory, organisation, period, lang && strcmp(lang, "en") == 0 ? LANG_EN : LANG_FA, &pdf, &n, &err) || write_out(file, pdf, n, &err);
    if (bad) {
      fprintf(stderr, "chapar: %s\n", err.message);
      rc = EXIT_REFUSED;
    }
  }
  free(pdf);
  platform_close(&p);
  return rc;
}
