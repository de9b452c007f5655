#include "http/inner.h"

#include <string.h>
#include <strings.h>

void *http_ctx(const struct http_req *r) { return r->row->ctx; }
const struct http_route *http_route_of(const struct http_req *r) { return r->row->route; }
struct arena *http_arena(struct http_req *r) { return r->arena; }
void *http_user(const struct http_req *r) { return r->user; }
const char *http_method(const struct http_req *r) { return r->method; }
const char *http_path(const struct http_req *r) { return r->path; }
const char *http_raw_path(const struct http_req *r) { return r->raw_path; }
const char *http_raw_query(const struct http_req *r) { return r->raw_query; }
void *http_data(const struct http_req *r) { return r->data; }

void http_set_data(struct http_req *r, void *data, void (*free_data)(void *))
{
  if (r->free_data) r->free_data(r->data);
  r->data = data;
  r->free_data = free_data;
}

void http_set_user(struct http_req *r, void *user, void (*free_user)(void *))
{
  if (r->free_user) r->free_user(r->user);
  r->user = user;
  r->free_user = free_user;
}

static const char *pair_value(const struct http_pair *pairs, size_t n, const char *name)
{
  for (size_t i = 0; i < n; i++)
    if (!strcmp(pairs[i].name, name)) return pairs[i].value;
  return NULL;
}

const char *http_param(const struct http_req *r, const char *name)
{
  return pair_value(r->params, r->param_count, name);
}

const char *http_query(const struct http_req *r, const char *name)
{
  return pair_value(r->query, r->query_count, name);
}

const char *http_header(const struct http_req *r, const char *name)
{
  for (size_t i = 0; i < r->header_count; i++)
    if (same_name(r->headers[i].name, name)) return r->headers[i].value;
  return NULL;
}

const char *http_bearer(const struct http_req *r)
{
  const char *h = http_header(r, "Authorization");
  if (!h || strncasecmp(h, "Bearer ", 7)) return NULL;
  return h + 7 + strspn(h + 7, " ");
}

const char *http_cookie(const struct http_req *r, const char *name)
{
  size_t want = strlen(name);
  for (size_t i = 0; i < r->header_count; i++) {
    if (strcasecmp(r->headers[i].name, "Cookie")) continue;
    for (const char *s = r->headers[i].value; *s; s += *s == ';') {
      while (*s == ' ') s++;
      size_t size = strcspn(s, ";");
      if (size > want && s[want] == '=' && !memcmp(s, name, want)) {
        const char *value = s + want + 1;
        size_t n = size - want - 1;
        while (n && value[n - 1] == ' ') n--;
        if (n >= 2 && value[0] == '"' && value[n - 1] == '"') value++, n -= 2;
        return arena_strndup(r->arena, value, n);
      }
      s += size;
    }
  }
  return NULL;
}

static bool in_list(const char *list, const char *item)
{
  size_t want = strlen(item);
  for (const char *s = list; s && *s;) {
    s += strspn(s, ", ");
    size_t n = strcspn(s, ", ");
    if (n == want && !memcmp(s, item, n)) return true;
    s += n;
  }
  return false;
}

const char *http_peer(const struct http_req *r)
{
  const char *peer = r->conn->peer;
  if (!r->server->trusted || !in_list(r->server->trusted, peer)) return peer;
  const char *last = NULL;
  for (size_t i = 0; i < r->header_count; i++)
    if (!strcasecmp(r->headers[i].name, "X-Forwarded-For")) last = r->headers[i].value;
  if (!last) return peer;
  const char *comma = strrchr(last, ',');
  if (comma) last = comma + 1;
  last += strspn(last, " ");
  bool sound = *last && strlen(last) < 46 && strspn(last, "0123456789abcdefABCDEF.:") == strlen(last);
  return sound ? last : peer;
}

enum lang http_lang(const struct http_req *r)
{
  if (r->lang >= 0) return (enum lang)r->lang;
  const char *said[] = {http_query(r, "lang"), http_cookie(r, "lang")};
  enum lang l = LANG_FA;
  size_t i = 0;
  for (; i < BASE_COUNT(said); i++) {
    if (said[i] && !strcmp(said[i], "fa")) break;
    if (said[i] && !strcmp(said[i], "en")) {
      l = LANG_EN;
      break;
    }
  }
  if (i == BASE_COUNT(said)) l = lang_from_accept(http_header(r, "Accept-Language"));
  ((struct http_req *)(uintptr_t)r)->lang = l;
  return l;
}

bool http_wants_html(const struct http_req *r)
{
  const char *accept = http_header(r, "Accept");
  int html = accept ? accept_quality(accept, "text/html") : -1;
  if (html <= 0) return false;
  return html >= accept_quality(accept, "application/json") && html >= accept_quality(accept, "application/problem+json");
}

const void *http_body(const struct http_req *r, size_t *n)
{
  *n = r->body_size;
  return r->body ? r->body : "";
}

/* Is the body of this type (or of a type ending in `suffix`), in UTF-8 if a charset is said? */
static bool content_is(const struct http_req *r, const char *type, const char *suffix)
{
  const char *said = http_header(r, "Content-Type");
  if (!said) return false;
  size_t n = strcspn(said, "; \t");
  size_t tail = suffix ? strlen(suffix) : 0;
  bool fits = (n == strlen(type) && !strncasecmp(said, type, n)) || (tail && n > tail && !strncasecmp(said + n - tail, suffix, tail));
  const char *charset = strcasestr(said + n, "charset=");
  if (!charset) return fits;
  charset += 8;
  if (*charset == '"') charset++;
  return fits && (!strncasecmp(charset, "utf-8", 5) || !strncasecmp(charset, "utf8", 4));
}

json_t *http_json(struct http_req *r)
{
  if (r->json_read || r->response) return r->json;
  r->json_read = true;
  struct err err = {.code = ERR_UNSUPPORTED};
  const char *detail = word(http_lang(r), "http.json_type");
  if (content_is(r, "application/json", "+json")) {
    r->json = json_read(r->body ? r->body : "", r->body_size, 32, &err);
    if (!r->json) detail = word_fill(r->arena, http_lang(r), "http.json", "where", err.message, NULL);
  }
  if (!r->json) http_problem(r, &err, detail, NULL);
  return r->json;
}

size_t http_form(struct http_req *r, const struct http_field **fields)
{
  struct err err = {.code = ERR_UNSUPPORTED};
  if (!r->form_read && !r->response) {
    r->form_read = true;
    struct http_field *found = arena_alloc(r->arena, HTTP_MOST_FIELDS * sizeof *found);
    int failed = -1;
    if (!found) err_set(&err, ERR_LIMIT, "no memory for a form");
    else if (content_is(r, "application/x-www-form-urlencoded", NULL))
      failed = form_urlencoded(r->arena, r->body ? r->body : "", r->body_size, found, &r->field_count, &err);
    else if (content_is(r, "multipart/form-data", NULL))
      failed = form_multipart(r->arena, r->body ? r->body : (char[1]){""}, r->body_size, http_header(r, "Content-Type"),
                              found, &r->field_count, &err);
    if (failed) {
      r->field_count = 0;
      http_problem(r, &err, NULL, NULL);
    } else {
      r->fields = found;
    }
  }
  if (fields) *fields = r->fields;
  return r->field_count;
}

const char *http_form_value(struct http_req *r, const char *name)
{
  const struct http_field *fields;
  size_t n = http_form(r, &fields);
  for (size_t i = 0; i < n; i++)
    if (!strcmp(fields[i].name, name)) return fields[i].filename ? NULL : fields[i].value;
  return NULL;
}
