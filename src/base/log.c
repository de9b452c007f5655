#include "base/inside.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int lowest_level = LOG_INFO;

void log_set_level(enum log_level lowest)
{
  atomic_store(&lowest_level, (int)lowest);
}

/* Whole lines in one write each, so that threads do not mix; what standard error refuses is lost. */
static void put_line(const char *s, size_t n)
{
  int kept = errno;
  while (n) {
    ssize_t done = write(STDERR_FILENO, s, n);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) break;
    s += done;
    n -= (size_t)done;
  }
  errno = kept;
}

void log_write(enum log_level level, const char *room, const char *fmt, ...)
{
  static const char *const names[] = {"debug", "info", "warn", "error"};
  if ((int)level < atomic_load(&lowest_level)) return;
  char message[2048], at[32];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(message, sizeof message, fmt, args);
  va_end(args);
  if (n < 0) return;
  struct timespec now; /* the real time, also where the clock is simulated */
  clock_gettime(CLOCK_REALTIME, &now);
  clock_rfc3339_ms((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, at);
  struct buf b = {0};
  buf_addf(&b, "{\"at\":\"%s\",\"level\":\"%s\",\"room\":", at, names[level <= LOG_ERROR ? level : LOG_ERROR]);
  base_json_string(&b, room, strlen(room));
  buf_adds(&b, ",\"message\":");
  base_json_string(&b, message, strlen(message));
  buf_adds(&b, "}\n");
  put_line(b.data, b.len);
  buf_free(&b);
}

void log_json(json_t *line)
{
  char *text = json_dumps(line, JSON_COMPACT);
  json_decref(line);
  if (!text) return;
  struct buf b = {0};
  buf_adds(&b, text);
  buf_addc(&b, '\n');
  if (!buf_overflowed(&b)) put_line(b.data, b.len);
  buf_free(&b);
  free(text);
}
