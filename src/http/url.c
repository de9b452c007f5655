#include "http/inner.h"

#include <string.h>
#include <strings.h>

static int hex_value(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

ssize_t url_decode(char *out, const char *s, size_t n, bool plus)
{
  size_t k = 0;
  for (size_t i = 0; i < n; i++) {
    char c = s[i];
    if (c == '%') {
      if (n - i < 3) return -1;
      int hi = hex_value(s[i + 1]), lo = hex_value(s[i + 2]);
      if (hi < 0 || lo < 0) return -1;
      c = (char)(hi * 16 + lo);
      i += 2;
    } else if (c == '+' && plus) {
      c = ' ';
    }
    if (!c) return -1;
    out[k++] = c;
  }
  out[k] = '\0';
  return (ssize_t)k;
}

static bool is_dots(const char *s, size_t n)
{
  return (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.');
}

/* After decoding, with encoded slashes among it: no part may be a dot segment, no control character, valid UTF-8. */
static bool path_sound(const char *s, size_t n)
{
  for (size_t i = 0, from = 0; i <= n; i++) {
    if (i < n && ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)) return false;
    if (i == n || s[i] == '/' || s[i] == '\\') {
      if (is_dots(s + from, i - from)) return false;
      from = i + 1;
    }
  }
  return utf8_valid(s, n);
}

int url_path(struct arena *a, const char *raw, struct target *out)
{
  size_t n = strlen(raw);
  out->count = 0;
  if (raw[0] != '/') return -1;
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)raw[i] <= ' ' || raw[i] == 0x7f || raw[i] == '#' || raw[i] == '\\') return -1;
  char *path = arena_alloc(a, n + 1), *to = path;
  if (!path) return -1;
  for (size_t i = 0; i < n;) {
    size_t end = i + 1;
    while (end < n && raw[end] != '/') end++;
    *to++ = '/';
    ssize_t size = url_decode(to, raw + i + 1, end - i - 1, false);
    if (size < 0 || out->count == HTTP_MOST_SEGMENTS) return -1;
    out->segments[out->count++] = (struct segment){to, (size_t)size, memchr(to, '/', (size_t)size) != NULL};
    to += size;
    i = end;
  }
  out->path = path;
  if (out->count == 1 && out->segments[0].size == 0) out->count = 0;
  return path_sound(path, (size_t)(to - path)) ? 0 : -1;
}

int url_pairs(struct arena *a, const char *s, size_t n, struct http_pair *out, size_t most, size_t *count, bool *unclean)
{
  *count = 0;
  *unclean = false;
  for (size_t i = 0; i < n;) {
    const char *amp = memchr(s + i, '&', n - i);
    size_t end = amp ? (size_t)(amp - s) : n;
    if (end > i) {
      const char *equals = memchr(s + i, '=', end - i);
      size_t name = equals ? (size_t)(equals - s) - i : end - i;
      size_t value = equals ? end - i - name - 1 : 0;
      char *text = arena_alloc(a, end - i + 2);
      if (!text || *count == most) return -1;
      ssize_t k = url_decode(text, s + i, name, true);
      if (k < 0) {
        *unclean = true;
        i = end + 1;
        continue;
      }
      char *second = text + k + 1;
      ssize_t m = url_decode(second, equals ? equals + 1 : "", value, true);
      if (m < 0 || !utf8_valid(text, (size_t)k) || !utf8_valid(second, (size_t)m)) *unclean = true;
      else out[(*count)++] = (struct http_pair){text, second};
    }
    i = end + 1;
  }
  return 0;
}

/* q=0.5 among the parameters of an element, in thousandths; 1000 without one, 0 when it cannot be read. */
static int element_quality(const char *s, const char *end)
{
  for (const char *p = memchr(s, ';', (size_t)(end - s)); p; p = memchr(p, ';', (size_t)(end - p))) {
    for (p++; p < end && (*p == ' ' || *p == '\t');) p++;
    if (end - p < 3 || (*p != 'q' && *p != 'Q') || p[1] != '=') continue;
    p += 2;
    int q = (*p == '1') ? 1000 : 0;
    if (*p != '0' && *p != '1') return 0;
    if (++p < end && *p == '.')
      for (int unit = 100; unit && ++p < end && *p >= '0' && *p <= '9'; unit /= 10) q += (*p - '0') * unit;
    return q > 1000 ? 1000 : q;
  }
  return 1000;
}

int accept_quality(const char *list, const char *type)
{
  size_t want = strlen(type);
  for (const char *s = list; s && *s;) {
    while (*s == ' ' || *s == '\t' || *s == ',') s++;
    const char *end = s + strcspn(s, ",");
    size_t name = strcspn(s, ",; \t");
    if (name == want && strncasecmp(s, type, want) == 0) return element_quality(s, end);
    s = end;
  }
  return -1;
}

bool etag_matches(const char *list, const char *etag)
{
  if (etag[0] == 'W' && etag[1] == '/') etag += 2;
  size_t n = strlen(etag);
  for (const char *s = list; *s;) {
    while (*s == ' ' || *s == '\t' || *s == ',') s++;
    if (*s == '*') return true;
    if (s[0] == 'W' && s[1] == '/') s += 2;
    if (*s != '"') return false;
    const char *end = strchr(s + 1, '"');
    if (!end) return false;
    if ((size_t)(end + 1 - s) == n && memcmp(s, etag, n) == 0) return true;
    s = end + 1;
  }
  return false;
}
