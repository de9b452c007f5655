#include "http/inner.h"

#include <string.h>
#include <strings.h>

enum { MOST_NAME = 100, MOST_FILENAME = 255, MOST_PART_HEADERS = 8 };

static int malformed(struct err *err, const char *why)
{
  return err_set(err, ERR_MALFORMED, "form: %s", why);
}

/* A name: not empty, valid UTF-8, no control characters. */
static bool label_sound(const char *s, size_t most)
{
  size_t n = strlen(s);
  if (!n || n > most || !utf8_valid(s, n)) return false;
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f) return false;
  return true;
}

int form_urlencoded(struct arena *a, const char *body, size_t n, struct http_field *out, size_t *count, struct err *err)
{
  *count = 0;
  struct http_pair *pairs = arena_alloc(a, HTTP_MOST_FIELDS * sizeof *pairs);
  size_t found = 0;
  if (!pairs) return err_set(err, ERR_LIMIT, "form: too large");
  bool unclean;
  if (url_pairs(a, body, n, pairs, HTTP_MOST_FIELDS, &found, &unclean) || unclean) {
    if (!unclean && found == HTTP_MOST_FIELDS) return err_set(err, ERR_LIMIT, "form: more than %d fields", HTTP_MOST_FIELDS);
    return arena_overflowed(a) ? err_set(err, ERR_LIMIT, "form: too large") : malformed(err, "bad escapes, NUL or invalid UTF-8");
  }
  for (size_t i = 0; i < found; i++) {
    if (!label_sound(pairs[i].name, MOST_NAME)) return malformed(err, "a bad field name");
    out[i] = (struct http_field){.name = pairs[i].name, .value = pairs[i].value, .size = strlen(pairs[i].value)};
  }
  *count = found;
  return 0;
}

/* ---- multipart/form-data (RFC 7578) over the whole body ---- */

/* Next `; name=value` of a header value. The value is unquoted into the arena; "" when there is none.
 * 1: one was read, 0: the end, -1: malformed. */
static int next_parameter(struct arena *a, const char **at, char **name, char **value)
{
  const char *s = *at + strspn(*at, " \t");
  if (!*s) return 0;
  if (*s++ != ';') return -1;
  s += strspn(s, " \t");
  if (!*s) return 0;
  size_t n = strcspn(s, "=; \t\"");
  if (!is_token(s, n) || s[n] != '=') return -1;
  *name = arena_strndup(a, s, n);
  s += n + 1;
  if (*s != '"') {
    n = strcspn(s, "; \t");
    *value = arena_strndup(a, s, n);
    *at = s + n;
    return *name && *value ? 1 : -1;
  }
  char *to = *value = arena_alloc(a, strlen(s) + 1);
  if (!*name || !to) return -1;
  for (s++; *s && *s != '"'; s++) {
    if (s[0] == '\\' && (s[1] == '"' || s[1] == '\\')) s++;
    else if (!strncmp(s, "%22", 3)) { /* how browsers write a quote */
      *to++ = '"';
      s += 2;
      continue;
    }
    *to++ = *s;
  }
  if (*s != '"') return -1;
  *to = '\0';
  *at = s + 1;
  return 1;
}

/* filename*=UTF-8''%D9%86… (RFC 8187) */
static char *extended_value(struct arena *a, const char *s)
{
  if (strncasecmp(s, "utf-8'", 6)) return NULL;
  s = strchr(s + 6, '\'');
  if (!s) return NULL;
  char *out = arena_alloc(a, strlen(s) + 1);
  return out && url_decode(out, s + 1, strlen(s + 1), false) >= 0 ? out : NULL;
}

/* The last part of what some browsers send as a whole path. */
static const char *base_name(const char *s)
{
  for (const char *p = s; *p; p++)
    if ((*p == '/' || *p == '\\') && p[1]) s = p + 1;
  return s;
}

static int read_disposition(struct arena *a, const char *value, struct http_field *f, struct err *err)
{
  size_t n = strcspn(value, "; \t");
  const char *at = value + n, *extended = NULL;
  char *name, *text;
  int more;
  if (n != 9 || strncasecmp(value, "form-data", 9)) return malformed(err, "a part that is not form-data");
  while ((more = next_parameter(a, &at, &name, &text)) > 0) {
    const char **slot = !strcasecmp(name, "name") ? &f->name : !strcasecmp(name, "filename") ? &f->filename
      : !strcasecmp(name, "filename*") ? &extended : NULL;
    if (slot && *slot) return malformed(err, "a parameter twice");
    if (slot == &extended && !(text = extended_value(a, text))) return malformed(err, "a bad filename*");
    if (slot) *slot = text;
  }
  if (more < 0) return malformed(err, "a bad Content-Disposition");
  if (extended) f->filename = extended;
  if (!f->name || !label_sound(f->name, MOST_NAME)) return malformed(err, "a part without a good name");
  if (f->filename && *f->filename) {
    f->filename = base_name(f->filename);
    if (!label_sound(f->filename, MOST_FILENAME)) return malformed(err, "a bad file name");
  }
  return 0;
}

/* One header line of a part, NUL-terminated. */
static int part_header(struct arena *a, char *line, struct http_field *f, struct err *err)
{
  char *colon = strchr(line, ':');
  if (!colon || !is_token(line, (size_t)(colon - line))) return malformed(err, "a bad header in a part");
  char *value = colon + 1 + strspn(colon + 1, " \t");
  size_t n = strlen(value);
  while (n && (value[n - 1] == ' ' || value[n - 1] == '\t')) value[--n] = '\0';
  for (size_t i = 0; i < n; i++)
    if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f) return malformed(err, "a control character in a header");
  size_t name = (size_t)(colon - line);
  if (name == 19 && !strncasecmp(line, "Content-Disposition", 19)) {
    if (f->name) return malformed(err, "Content-Disposition twice");
    return read_disposition(a, value, f, err);
  }
  if (name == 12 && !strncasecmp(line, "Content-Type", 12)) {
    if (f->media_type) return malformed(err, "Content-Type twice");
    f->media_type = value;
  }
  if (name == 25 && !strncasecmp(line, "Content-Transfer-Encoding", 25) && strcasecmp(value, "binary") && strcasecmp(value, "8bit")
      && strcasecmp(value, "7bit"))
    return malformed(err, "an encoded part");
  return 0;
}

static int boundary_of(struct arena *a, const char *content_type, char **out, struct err *err)
{
  const char *at = content_type + strcspn(content_type, "; \t");
  char *name, *value;
  int more;
  *out = NULL;
  while ((more = next_parameter(a, &at, &name, &value)) > 0)
    if (!strcasecmp(name, "boundary")) {
      if (*out) return malformed(err, "two boundaries");
      *out = value;
    }
  size_t n = *out ? strlen(*out) : 0;
  if (more < 0 || !n || n > 70 || (*out)[n - 1] == ' ') return malformed(err, "no good boundary");
  for (const char *p = *out; *p; p++)
    if ((unsigned char)*p < ' ' || (unsigned char)*p >= 0x7f || strchr("\"\\;@!#$%&*<>[]^`{|}~", *p))
      return malformed(err, "no good boundary");
  return 0;
}

struct parts { struct arena *a; char *at, *end; const char *mark; size_t mark_size; /* CRLF--boundary */ };

/* After a delimiter: 1 another part begins, 0 it was the last, -1 neither. */
static int after_delimiter(struct parts *p)
{
  if (p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] == '-') return 0;
  while (p->at < p->end && (*p->at == ' ' || *p->at == '\t')) p->at++;
  if (p->end - p->at < 2 || p->at[0] != '\r' || p->at[1] != '\n') return -1;
  p->at += 2;
  return 1;
}

static int read_part(struct parts *p, struct http_field *f, struct err *err)
{
  for (int lines = 0;; lines++) {
    char *end = memmem(p->at, (size_t)(p->end - p->at), "\r\n", 2);
    if (!end || lines > MOST_PART_HEADERS) return malformed(err, "headers of a part do not end");
    if (end == p->at) {
      p->at += 2;
      break;
    }
    if (memchr(p->at, '\0', (size_t)(end - p->at))) return malformed(err, "NUL in a header of a part");
    *end = '\0';
    if (part_header(p->a, p->at, f, err)) return -1;
    p->at = end + 2;
  }
  if (!f->name) return malformed(err, "a part without Content-Disposition");
  /* An empty value: the blank line's CRLF is also the delimiter's. */
  char *from = p->at, *end = memmem(from - 2, (size_t)(p->end - from) + 2, p->mark, p->mark_size);
  if (!end) return malformed(err, "a part does not end");
  if (end < from) return malformed(err, "a part without content");
  f->value = from;
  f->size = (size_t)(end - from);
  *end = '\0';
  if (!f->filename && (memchr(from, '\0', f->size) || !utf8_valid(from, f->size))) return malformed(err, "a value that is not text");
  p->at = end + p->mark_size;
  return 0;
}

int form_multipart(struct arena *a, char *body, size_t n, const char *content_type, struct http_field *out, size_t *count, struct err *err)
{
  char *boundary;
  *count = 0;
  if (boundary_of(a, content_type, &boundary, err)) return -1;
  char *mark = arena_printf(a, "\r\n--%s", boundary);
  if (!mark) return err_set(err, ERR_LIMIT, "form: too large");
  struct parts p = {.a = a, .at = body, .end = body + n, .mark = mark, .mark_size = strlen(mark)};
  if (n < p.mark_size - 2 || memcmp(body, mark + 2, p.mark_size - 2)) return malformed(err, "the body does not begin with its boundary");
  p.at += p.mark_size - 2;
  int more;
  size_t found = 0;
  while ((more = after_delimiter(&p)) > 0) {
    if (found == HTTP_MOST_FIELDS) return err_set(err, ERR_LIMIT, "form: more than %d fields", HTTP_MOST_FIELDS);
    out[found] = (struct http_field){0};
    if (read_part(&p, &out[found++], err)) return arena_overflowed(a) ? err_set(err, ERR_LIMIT, "form: too large") : -1;
  }
  if (more < 0) return malformed(err, "a delimiter without end of line");
  *count = found;
  return 0;
}
