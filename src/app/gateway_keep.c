/* chapar gateway archive: what is old leaves the log of messages for checkable files. */
#include "app/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAYS_MOST = 36500 };

static void progress(void *ctx, int64_t messages, int64_t bytes) { app_progress("archived", messages, 0, "messages"); }

static void put(json_t *v) {
  char *text = json_dumps(v, JSON_INDENT(1));
  puts(text);
  free(text);
}

int gateway_archive(struct exchange *x, const char *older_than, bool unstamped, bool json, struct err *err) {
  int days = older_than ? settings_number(older_than, -1) : -1;
  json_t *done;
  if (older_than && (days < 0 || days > DAYS_MOST)) return err_set(err, ERR_INVALID, "--older-than is a number of days, such as 365");
  struct exchange_archive_run o = {.older_than_ms = older_than ? (int64_t)days * 86400000 : -1, .unstamped = unstamped, .progress = progress};
  int rc = exchange_archive(x, &o, &done, err);
  app_progress_end();
  if (rc) return -1;
  if (json) put(done);
  else {
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(done, "files"), i, name) puts(json_string_value(name));
    printf("%lld messages, in %zu archives; %s\n", (long long)json_int(done, "messages", 0), json_array_size(json_object_get(done, "files")),
           json_str(done, "left") ? json_str(done, "left") : "nothing more is due");
  }
  json_decref(done);
  return 0;
}

int gateway_archives(struct exchange *x, bool json, struct err *err) {
  json_t *list, *a;
  size_t i;
  if (exchange_archives(x, &list, err)) return -1;
  if (json) put(list);
  else if (json_array_size(list) == 0) puts("no archives yet");
  else
    json_array_foreach(list, i, a)
      printf("%s  %lld messages  %s – %s  %lld bytes%s%s\n", json_str(a, "name"), (long long)json_int(a, "messages", 0), json_str(a, "from"), json_str(a, "until"), (long long)json_int(a, "bytes", 0),
             json_flag(a, "there", true) ? "" : "  (not in the folder)", strcmp(json_str(a, "state"), "closed") ? "  (not ended: the next run goes on)" : "");
  json_decref(list);
  return 0;
}

/* Lines of chapar gateway status about the log; v: as exchange_log_status tells. */
void gateway_tell_log(const json_t *v) {
  const json_t *a = json_object_get(v, "archive");
  const double mb = 1048576.0;
  if (!v) return;
  printf("log          %.1f MB of messages (%lld)%s%s; the store's file %.1f MB, %.1f GB of the disk free\n", (double)json_int(v, "bytes", 0) / mb, (long long)json_int(v, "messages", 0),
         json_str(v, "oldest") ? ", the oldest of " : "", json_str(v, "oldest") ? json_str(v, "oldest") : "", (double)json_int(v, "store_bytes", 0) / mb, (double)json_int(v, "free_bytes", 0) / mb / 1024);
  if (json_int(v, "keep_days", 0) || json_int(v, "keep_mb", 0)) {
    printf("kept         ");
    if (json_int(v, "keep_days", 0)) printf("%lld days ", (long long)json_int(v, "keep_days", 0));
    if (json_int(v, "keep_mb", 0)) printf("at most %lld MB ", (long long)json_int(v, "keep_mb", 0));
    puts("in the log, then in archives");
  } else {
    puts("kept         whole: neither exchange_keep_days nor exchange_keep_mb is set");
  }
  if (json_str(a, "last"))
    printf("archives     %lld files, %.1f MB, %lld messages; the last %s (%s)\n", (long long)json_int(a, "files", 0), (double)json_int(a, "bytes", 0) / mb, (long long)json_int(a, "messages", 0), json_str(a, "last"),
           json_str(a, "last_at"));
}
