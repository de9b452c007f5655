#include "http/inner.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST_GZIP = 1024 };

static const struct http_pair always[] = {
  {"X-Content-Type-Options", "nosniff"},
  {"Referrer-Policy", "same-origin"},
  {"Content-Security-Policy", "default-src 'self'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"},
  {"Cache-Control", "no-store"},
  {"Vary", "Accept, Accept-Encoding, Accept-Language, Cookie"},
};

bool http_replied(const struct http_req *r)
{
  return r->response != NULL;
}

bool header_sound(const char *name, const char *value)
{
  return name && value && is_token(name, strlen(name)) && no_controls(value, strlen(value));
}

void http_reply_header(struct http_req *r, const char *name, const char *value)
{
  struct reply_header *h = header_sound(name, value) ? arena_alloc(r->arena, sizeof *h) : NULL;
  if (!h) {
    log_write(LOG_WARN, "http", "a reply header was refused: %.60s", name ? name : "");
    return;
  }
  h->name = arena_strdup(r->arena, name);
  h->value = arena_strdup(r->arena, value);
  if (!h->name || !h->value) return;
  *r->reply_tail = h;
  r->reply_tail = &h->next;
}

bool reply_has(const struct http_req *r, const char *name)
{
  for (const struct reply_header *h = r->reply_headers; h; h = h->next)
    if (same_name(h->name, name)) return true;
  return false;
}

static bool cookie_sound(const char *s)
{
  for (; *s; s++)
    if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || strchr("\",;\\", *s)) return false;
  return true;
}

void http_reply_cookie(struct http_req *r, const char *name, const char *value, int max_age, bool http_only)
{
  if (!is_token(name, strlen(name)) || !cookie_sound(value)) {
    log_write(LOG_WARN, "http", "a cookie was refused: %.60s", name);
    return;
  }
  char age[32] = "";
  if (max_age >= 0) snprintf(age, sizeof age, "; Max-Age=%d", max_age);
  char *line = arena_printf(r->arena, "%s=%s; Path=/; SameSite=Lax%s%s%s", name, value, age, http_only ? "; HttpOnly" : "",
                            r->server->secure ? "; Secure" : "");
  if (line) http_reply_header(r, "Set-Cookie", line);
}

/* The response is made: give it all its headers and keep it until a server thread queues it. */
void reply_finish(struct http_req *r, int status, const char *media_type, struct MHD_Response *response, size_t n)
{
  if (!response) {
    log_write(LOG_ERROR, "http", "no memory for a reply of %zu bytes", n);
    response = MHD_create_response_from_buffer(0, (void *)(uintptr_t)"", MHD_RESPMEM_PERSISTENT);
    status = 503;
    media_type = NULL;
  }
  if (media_type) MHD_add_response_header(response, "Content-Type", media_type);
  MHD_add_response_header(response, "Request-Id", r->id);
  for (size_t i = 0; i < BASE_COUNT(always); i++)
    if (!r->reply_headers || !reply_has(r, always[i].name)) MHD_add_response_header(response, always[i].name, always[i].value);
  for (const struct reply_header *h = r->reply_headers; h; h = h->next) MHD_add_response_header(response, h->name, h->value);
  r->reply_size = n;
  r->status = status;
  r->response = response;
}

bool reply_twice(const struct http_req *r)
{
  if (!r->response) return false;
  log_write(LOG_ERROR, "http", "%s: replied twice", r->row->route ? r->row->route->path : "");
  return true;
}

static bool gzip_accepted(const struct http_req *r)
{
  const char *accept = http_header(r, "Accept-Encoding");
  int q = accept ? accept_quality(accept, "gzip") : -1;
  if (accept && q < 0) q = accept_quality(accept, "*");
  return q > 0;
}

static bool gzip_wanted(const struct http_req *r, const char *media_type, size_t n)
{
  return n >= LEAST_GZIP && type_is_text(media_type) && gzip_accepted(r) && !reply_has(r, "Content-Encoding");
}

/* body: taken (malloc'ed) when own, else copied. */
static void reply_body(struct http_req *r, int status, const char *media_type, char *body, size_t n, bool own)
{
  struct MHD_Response *response;
  size_t packed_size = 0;
  char *packed = gzip_wanted(r, media_type, n) ? gzip_make(body, n, 5, &packed_size) : NULL;
  if (packed) {
    http_reply_header(r, "Content-Encoding", "gzip");
    if (own) free(body);
    body = packed;
    n = packed_size;
    own = true;
  }
  response = MHD_create_response_from_buffer(n, body, own ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_MUST_COPY);
  reply_finish(r, status, media_type, response, n);
}

void http_reply(struct http_req *r, int status, const char *media_type, const void *body, size_t n)
{
  if (!reply_twice(r)) reply_body(r, status, media_type, (char *)(uintptr_t)(n ? body : ""), n, false);
}

void http_reply_take(struct http_req *r, int status, const char *media_type, char *body, size_t n)
{
  if (reply_twice(r)) free(body);
  else reply_body(r, status, media_type, body, n, true);
}

void http_reply_json(struct http_req *r, int status, json_t *v)
{
  size_t n;
  char *text = json_text(v, &n);
  json_decref(v);
  http_reply_take(r, status, "application/json", text, n);
}

void http_redirect(struct http_req *r, int status, const char *location)
{
  if (!header_sound("Location", location)) {
    http_problem_code(r, ERR_INTERNAL, NULL);
    return;
  }
  http_reply_header(r, "Location", location);
  http_reply(r, status, NULL, NULL, 0);
}

void http_reply_file(struct http_req *r, const char *media_type, const char *name, char *data, size_t n)
{
  struct buf b;
  buf_init(&b, 1024);
  buf_adds(&b, "attachment; filename*=UTF-8''");
  for (const unsigned char *s = (const unsigned char *)name; *s; s++) {
    bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr("-._~", *s);
    if (plain) buf_addc(&b, (char)*s);
    else buf_addf(&b, "%%%02X", *s);
  }
  http_reply_header(r, "Content-Disposition", buf_overflowed(&b) ? "attachment" : buf_str(&b));
  http_reply_header(r, "Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'");
  http_reply_header(r, "Cross-Origin-Resource-Policy", "same-origin");
  buf_free(&b);
  http_reply_take(r, 200, media_type, data, n);
}

static bool matches(struct http_req *r, const char *etag)
{
  const char *known = http_header(r, "If-None-Match");
  return known && r->method_index == METHOD_GET && etag_matches(known, etag);
}

bool http_not_modified(struct http_req *r, const char *etag, const char *cache_control)
{
  char *weak = arena_printf(r->arena, "W/\"%s\"", etag);
  if (!weak) return false;
  http_reply_header(r, "ETag", weak);
  if (cache_control) http_reply_header(r, "Cache-Control", cache_control);
  if (!matches(r, weak)) return false;
  http_reply(r, 304, NULL, NULL, 0);
  return true;
}

void http_reply_static(struct http_req *r, const char *media_type, const void *body, size_t n, const char *etag)
{
  if (reply_twice(r)) return;
  if (!reply_has(r, "Cache-Control")) http_reply_header(r, "Cache-Control", "public, max-age=3600");
  if (!reply_has(r, "Vary")) http_reply_header(r, "Vary", "Accept-Encoding");
  const void *packed = NULL;
  size_t packed_size = 0;
  if (gzip_wanted(r, media_type, n)) packed = assets_gzip(r->server->assets, body, n, &packed_size);
  /* Two encodings are two representations: a strong tag for each. */
  char *tag = etag ? arena_printf(r->arena, "\"%s%s\"", etag, packed ? "-gzip" : "") : NULL;
  if (tag) http_reply_header(r, "ETag", tag);
  if (tag && matches(r, tag)) {
    http_reply(r, 304, NULL, NULL, 0);
    return;
  }
  if (packed) {
    http_reply_header(r, "Content-Encoding", "gzip");
    body = packed;
    n = packed_size;
  }
  reply_finish(r, 200, media_type, MHD_create_response_from_buffer(n, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT), n);
}
