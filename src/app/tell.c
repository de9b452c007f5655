/* What people at a terminal are told: the name they meant, how far long work is. */
#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_MOST = 40, NEAR = 2, PERIOD_MS = 200 };

/* How many letters are wrong, missing, too many or changed places. */
static size_t distance(const char *a, size_t n, const char *b, size_t m) {
  size_t d[NAME_MOST + 1][NAME_MOST + 1];
  for (size_t i = 0; i <= n; i++) d[i][0] = i;
  for (size_t k = 0; k <= m; k++) d[0][k] = k;
  for (size_t i = 1; i <= n; i++)
    for (size_t k = 1; k <= m; k++) {
      size_t best = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
      if (d[i - 1][k] + 1 < best) best = d[i - 1][k] + 1;
      if (d[i][k - 1] + 1 < best) best = d[i][k - 1] + 1;
      if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && d[i - 2][k - 2] + 1 < best) best = d[i - 2][k - 2] + 1;
      d[i][k] = best;
    }
  return d[n][m];
}

const char *app_near(const char *typed, const char *const *names, size_t count) {
  const char *best = NULL;
  size_t n = strlen(typed), least = NEAR + 1;
  for (size_t i = 0; i < count && n <= NAME_MOST; i++) {
    size_t m = strcspn(names[i], "!"), far = m <= NAME_MOST ? distance(typed, n, names[i], m) : least;
    if (far >= least || far * 2 >= n) continue;
    best = names[i];
    least = far;
  }
  return best;
}

static bool shown;

void app_progress(const char *what, int64_t done, int64_t all, const char *unit) {
  static int64_t last;
  int64_t now = clock_mono();
  if (!isatty(2) || (shown && done < all && now - last < PERIOD_MS)) return;
  last = now;
  shown = true;
  if (all > 0) fprintf(stderr, "\r\033[K%s: %lld %% (%lld of %lld %s)", what, (long long)(done * 100 / all), (long long)done, (long long)all, unit);
  else fprintf(stderr, "\r\033[K%s: %lld %s", what, (long long)done, unit);
}

void app_progress_end(void) {
  if (shown) fputs("\r\033[K", stderr);
  shown = false;
}

char *app_without_password(const char *text) {
  const char *scheme = strstr(text, "://"), *user = scheme ? scheme + 3 : NULL, *at = user ? strchr(user, '@') : NULL;
  const char *colon = at ? memchr(user, ':', (size_t)(at - user)) : NULL;
  if (!colon || strcspn(user, "/") < (size_t)(at - user)) return base_strdup(text);
  return base_printf("%.*s:(set)%s", (int)(colon - text), text, at);
}
