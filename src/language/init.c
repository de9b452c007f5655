#include "language/internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int language_init(struct err *err) {
  static bool ready;
  if (ready) return 0;
  if (words_init(err) || text_init(err) || fold_init(err) || zone_init(err) || hijri_init(err)) return -1;
  ready = true;
  return 0;
}

const char *lang_code(enum lang l) { return l == LANG_EN ? "en" : "fa"; }

/* Quality in thousandths: "1", "0.85", "1.000"; -1 when malformed. */
static int quality(const char *s, const char *end) {
  if (s == end || (*s != '0' && *s != '1')) return -1;
  int q = (*s++ - '0') * 1000;
  if (s == end) return q;
  if (*s++ != '.') return -1;
  int unit = 100;
  for (; s < end; s++, unit /= 10) {
    if (*s < '0' || *s > '9' || unit == 0) return -1;
    q += (*s - '0') * unit;
  }
  return q > 1000 ? -1 : q;
}

static void trim_span(const char **s, const char **end) {
  while (*s < *end && (**s == ' ' || **s == '\t')) (*s)++;
  while (*end > *s && ((*end)[-1] == ' ' || (*end)[-1] == '\t')) (*end)--;
}

/* One element, "en-GB;q=0.8": its quality, and which language it names (-1: another one). */
static int element(const char *s, const char *end, int *lang) {
  const char *semi = memchr(s, ';', (size_t)(end - s));
  const char *tag_end = semi ? semi : end;
  int q = 1000;
  if (semi) {
    const char *p = semi + 1, *e = end;
    trim_span(&p, &e);
    if (e - p < 3 || (*p != 'q' && *p != 'Q') || p[1] != '=') return -1;
    q = quality(p + 2, e);
  }
  trim_span(&s, &tag_end);
  size_t n = (size_t)(tag_end - s);
  *lang = -1;
  if (n == 1 && *s == '*') *lang = LANG_FA;
  if (n >= 2 && (n == 2 || s[2] == '-')) {
    if (strncasecmp(s, "fa", 2) == 0) *lang = LANG_FA;
    if (strncasecmp(s, "en", 2) == 0) *lang = LANG_EN;
  }
  if (n >= 3 && (n == 3 || s[3] == '-') && (strncasecmp(s, "fas", 3) == 0 || strncasecmp(s, "per", 3) == 0)) *lang = LANG_FA;
  return q;
}

enum lang lang_from_accept(const char *accept_language) {
  enum lang best = LANG_FA;
  int best_q = 0;
  if (!accept_language) return best;
  for (const char *s = accept_language;;) {
    const char *end = strchr(s, ',');
    if (!end) end = s + strlen(s);
    int lang = -1;
    int q = element(s, end, &lang);
    if (lang >= 0 && q > best_q) {
      best = (enum lang)lang;
      best_q = q;
    }
    if (!*end) return best;
    s = end + 1;
  }
}
