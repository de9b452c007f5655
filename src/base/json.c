#include "base/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Jansson recurses, so the depth is measured before it reads. Brackets in strings do not count. */
static int measure(const char *s, size_t n, unsigned most, struct err *err)
{
  unsigned depth = 0, line = 1;
  bool string = false;
  for (size_t i = 0; i < n; i++) {
    char c = s[i];
    if (c == '\n') line++;
    if (c == '\0') return err_set(err, ERR_MALFORMED, "line %u: NUL byte in the document", line);
    if (string) {
      if (c == '\\' && i + 1 < n && s[i + 1] != '\0') i++;
      else if (c == '"') string = false;
    } else if (c == '"') {
      string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > most) return err_set(err, ERR_MALFORMED, "line %u: nested deeper than %u levels", line, most);
    } else if ((c == ']' || c == '}') && depth) {
      depth--;
    }
  }
  return 0;
}

json_t *json_read(const char *s, size_t n, unsigned depth, struct err *err)
{
  json_error_t e;
  if (!s) s = "", n = 0;
  if (measure(s, n, depth ? depth : 32, err)) return NULL;
  json_t *v = json_loadb(s, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
  if (!v) {
    /* Jansson quotes the input after "near", which may be personal. */
    char *near = strstr(e.text, " near ");
    if (near) *near = '\0';
    char *clean = base_utf8_repair(e.text, strlen(e.text));
    err_set(err, ERR_MALFORMED, "line %d, column %d: %s", e.line < 1 ? 1 : e.line, e.column < 0 ? 0 : e.column, clean);
    free(clean);
  }
  return v;
}

static void add_escape(struct buf *b, int cp)
{
  const char *found = cp ? strchr("\bb\ff\nn\rr\tt", cp) : NULL;
  buf_addc(b, '\\');
  if (cp == '"' || cp == '\\') buf_addc(b, (char)cp);
  else if (found) buf_addc(b, found[1]);
  else buf_addf(b, "u%04x", (unsigned)cp);
}

/* What needs no escape is copied in runs. */
void base_json_string(struct buf *b, const char *s, size_t n)
{
  const char *run = s, *end = s + n;
  buf_addc(b, '"');
  while (s < end) {
    const char *at = s;
    unsigned char c = (unsigned char)*s;
    if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
      s++;
      continue;
    }
    int cp = utf8_next(&s, end);
    if (cp >= 0x80) continue;
    buf_add(b, run, (size_t)(at - run));
    if (cp < 0) {
      buf_adds(b, "\xEF\xBF\xBD");
      s++;
    } else add_escape(b, cp);
    run = s;
  }
  buf_add(b, run, (size_t)(end - run));
  buf_addc(b, '"');
}

static int by_key(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The shortest decimal form that reads back as the same number, always with a '.' or an 'e'. */
static void add_real(struct buf *b, double d)
{
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, d);
    if (strtod(text, NULL) == d) break;
  }
  buf_adds(b, text);
  if (!strpbrk(text, ".en")) buf_adds(b, ".0");
}

static void add_value(struct buf *b, const json_t *v, bool sorted);

static void add_object(struct buf *b, const json_t *v)
{
  size_t n = 0, count = json_object_size(v);
  const char **keys = base_alloc((count + 1) * sizeof *keys);
  const char *key;
  json_t *member;
  json_object_foreach((json_t *)(uintptr_t)v, key, member) keys[n++] = key;
  qsort(keys, n, sizeof *keys, by_key);
  buf_addc(b, '{');
  for (size_t i = 0; i < n; i++) {
    if (i) buf_addc(b, ',');
    base_json_string(b, keys[i], strlen(keys[i]));
    buf_addc(b, ':');
    add_value(b, json_object_get(v, keys[i]), true);
  }
  buf_addc(b, '}');
  free(keys);
}

/* Members in the order in which they were put. */
static void add_members(struct buf *b, const json_t *v)
{
  const char *key;
  json_t *member;
  bool more = false;
  buf_addc(b, '{');
  json_object_foreach((json_t *)(uintptr_t)v, key, member) {
    if (more) buf_addc(b, ',');
    more = true;
    base_json_string(b, key, strlen(key));
    buf_addc(b, ':');
    add_value(b, member, false);
  }
  buf_addc(b, '}');
}

static void add_value(struct buf *b, const json_t *v, bool sorted)
{
  switch (v ? json_typeof(v) : JSON_NULL) {
  case JSON_OBJECT:
    if (sorted) add_object(b, v);
    else add_members(b, v);
    break;
  case JSON_ARRAY:
    buf_addc(b, '[');
    for (size_t i = 0; i < json_array_size(v); i++) {
      if (i) buf_addc(b, ',');
      add_value(b, json_array_get(v, i), sorted);
    }
    buf_addc(b, ']');
    break;
  case JSON_STRING:
    base_json_string(b, json_string_value(v), json_string_length(v));
    break;
  case JSON_INTEGER:
    buf_addf(b, "%lld", (long long)json_integer_value(v));
    break;
  case JSON_REAL:
    add_real(b, json_real_value(v));
    break;
  case JSON_TRUE:
    buf_adds(b, "true");
    break;
  case JSON_FALSE:
    buf_adds(b, "false");
    break;
  case JSON_NULL:
    buf_adds(b, "null");
    break;
  }
}

char *json_canonical(const json_t *v)
{
  struct buf b = {.cap = SIZE_MAX};
  add_value(&b, v, true);
  return buf_take(&b);
}

char *json_text(const json_t *v, size_t *n)
{
  struct buf b = {.cap = SIZE_MAX};
  add_value(&b, v, false);
  *n = b.len;
  return buf_take(&b);
}

const char *json_str(const json_t *obj, const char *key)
{
  return json_string_value(json_object_get(obj, key));
}

int64_t json_int(const json_t *obj, const char *key, int64_t dflt)
{
  const json_t *v = json_object_get(obj, key);
  return json_is_integer(v) ? (int64_t)json_integer_value(v) : dflt;
}

bool json_flag(const json_t *obj, const char *key, bool dflt)
{
  const json_t *v = json_object_get(obj, key);
  return json_is_boolean(v) ? json_is_true(v) : dflt;
}

void json_put(json_t *obj, const char *key, const char *value)
{
  json_t *v = value ? json_string(value) : json_null();
  if (!v) { /* not UTF-8, or no memory */
    char *repaired = base_utf8_repair(value, strlen(value));
    v = json_string(repaired);
    free(repaired);
  }
  if (!v || json_object_set_new(obj, key, v)) base_die("cannot set a JSON member");
}
