/* Paths as rights see them. A provider may read a path otherwise than we do (an encoded slash as a slash, "..;" as ".."), so whatever could be
 * read as a way out of where it stands is refused, and what can be read in two ways needs the right to both. */
#include "exchange/side.h"

#include <string.h>

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool escape(const char *s, unsigned char *c) {
  int hi = hex(s[1]), lo = hi < 0 ? -1 : hex(s[2]);
  if (lo < 0) return false;
  *c = (unsigned char)(hi << 4 | lo);
  return true;
}

/* pchar and '/' of RFC 3986. */
static bool plain(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~!$&'()*+,;=:@/", c)); }

static bool slash(const char *s, size_t *n) {
  *n = *s == '%' ? 3 : 1;
  return *s == '/' || *s == '\\' || (*s == '%' && s[1] == '2' && (s[2] == 'F' || s[2] == 'f')) || (*s == '%' && s[1] == '5' && (s[2] == 'C' || s[2] == 'c'));
}

/* Is a segment one that somebody may take for a dot segment? Its bytes end at a slash in any spelling or at ';'. */
static bool dots(const char *s, const char *end) {
  size_t n = 0, width;
  while (s < end) {
    if (*s == ';' || slash(s, &width)) break;
    bool dot = *s == '.' || (*s == '%' && s[1] == '2' && (s[2] == 'E' || s[2] == 'e'));
    if (!dot || ++n > 2) return false;
    s += *s == '.' ? 1 : 3;
  }
  return n > 0;
}

/* Any segment, with slashes in whatever spelling, that is "." or ".."? */
static bool climbs(const char *path) {
  const char *end = path + strlen(path);
  for (const char *s = path;;) {
    size_t width;
    if (dots(s, end)) return true;
    while (s < end && !slash(s, &width)) s++;
    if (s >= end) return false;
    s += width;
  }
}

/* Percent-decoded once; an encoded slash stays "%2F". -1: bad escape, NUL, control, a byte that no path has. */
static int decode(const char *raw, char *out, size_t room) {
  size_t n = 0;
  for (const char *s = raw; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (n + 4 > room) return -1;
    if (c != '%') {
      if (!plain(*s)) return -1;
      out[n++] = *s;
      continue;
    }
    if (!escape(s, &c) || c < 0x20 || c == 0x7f) return -1;
    s += 2;
    if (c == '/') {
      memcpy(out + n, "%2F", 3);
      n += 3;
    } else {
      out[n++] = (char)c;
    }
  }
  out[n] = 0;
  return utf8_valid(out, n) ? 0 : -1;
}

static int remove_dots(char *path) { /* "." and ".." segments and double slashes, in place; -1: above the root */
  char *out = path, *s = path;
  while (*s) {
    size_t n = 1 + strcspn(s + 1, "/");
    if (*s != '/') n = strcspn(s, "/");
    bool last = !s[n];
    if (n == 1 && *s == '/' && !last) { /* "//" */
      s += n;
      continue;
    }
    if ((n == 2 && !memcmp(s, "/.", 2)) || (n == 3 && !memcmp(s, "/..", 3))) {
      if (n == 3) {
        if (out == path) return -1;
        while (out > path && *--out != '/') continue;
      }
      if (last) *out++ = '/';
    } else {
      memmove(out, s, n);
      out += n;
    }
    s += n;
  }
  *out = 0;
  return 0;
}

bool path_dotted(const char *raw) {
  const char *end = raw + strlen(raw);
  for (const char *s = raw; *s; s++)
    if (*s == '/' && dots(s + 1, end)) return true;
  return false;
}

int path_normalise(const char *raw, char *out, size_t room, struct err *err) {
  if (*raw && *raw != '/') return err_set(err, ERR_INVALID, "a path begins with '/'");
  if (decode(raw, out, room)) return err_set(err, ERR_INVALID, "the path is too long, or holds a byte or an escape that no path has");
  if (remove_dots(out) || climbs(out)) return err_set(err, ERR_INVALID, "the path leads out of where it stands (\"..\")");
  return 0;
}

/* '*' any bytes but '/', '**' any, '\*' and '\\' themselves. Backtracks over the last star and the last double star only, which is enough:
 * whatever an earlier one could take, a later one can take too, and a single star never needs more than up to its slash. */
bool glob_match(const char *glob, const char *path) {
  const char *star = NULL, *star_at = NULL, *any = NULL, *any_at = NULL;
  for (;;) {
    if (glob[0] == '*' && glob[1] == '*') {
      while (*glob == '*') glob++;
      any = glob;
      any_at = path;
      star = NULL;
      continue;
    }
    if (*glob == '*') {
      star = ++glob;
      star_at = path;
      continue;
    }
    const char *g = glob;
    if (g[0] == '\\' && (g[1] == '*' || g[1] == '\\')) g++;
    if (*path && *g == *path) {
      glob = g + 1;
      path++;
      continue;
    }
    if (!*path && !*glob) return true;
    if (star && *star_at && *star_at != '/') {
      glob = star;
      path = ++star_at;
    } else if (any && *any_at) {
      glob = any;
      path = ++any_at;
      star = NULL;
    } else {
      return false;
    }
  }
}
