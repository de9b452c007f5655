#include "http/inner.h"

#include <string.h>
#include <strings.h>

/* libmicrohttpd 0.9.75 parses the head inside its read buffer and replaces each separator by NUL: the CR and LF of every
 * line, the first colon. What it lets through (a bare LF, a folded line, a NUL, `Name :`) leaves other bytes between the
 * pieces than a clean head does, so we walk the buffer from the method to the end of the head and insist on a clean one.
 * docs/notes/http.md tells more. */
struct walk { struct http_req *r; const char *at, *end; size_t most; bool clean; };

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value, size_t size)
{
  struct walk *w = cls;
  struct http_req *r = w->r;
  w->clean = false;
  if (r->header_count == w->most || name != w->at || !value || value <= name + name_size || value + size > w->end - 4) return MHD_NO;
  if (!is_token(name, name_size) || name[name_size] || !value_sound(value, size)) return MHD_NO;
  for (const char *p = name + name_size + 1; p < value; p++)
    if (*p != ' ' && *p != '\t') return MHD_NO;
  if (value[size] || value[size + 1]) return MHD_NO;
  w->at = value + size + 2;
  size_t kept = size;
  while (kept && (value[kept - 1] == ' ' || value[kept - 1] == '\t')) kept--;
  if (kept != size && !(value = arena_strndup(r->arena, value, kept))) return MHD_NO;
  r->headers[r->header_count++] = (struct http_pair){name, value};
  w->clean = true;
  return MHD_YES;
}

/* METHOD SP target SP version CRLF, no more spaces, nothing hidden behind a NUL. Answers the place after it, NULL when unclean. */
static const char *after_first_line(const struct http_req *r, const char *version, const char *end)
{
  size_t method = strlen(r->method), uri = strlen(r->uri);
  const char *target = r->method + method + 1;
  if (!is_token(r->method, method) || target + uri + 1 != version || (strcmp(version, "HTTP/1.1") && strcmp(version, "HTTP/1.0")))
    return NULL;
  return version + 8 + 4 <= end && !version[8] && !version[9] ? version + 10 : NULL;
}

static int walk_head(struct http_req *r, const char *version)
{
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  int count = MHD_get_connection_values_n(r->connection, MHD_HEADER_KIND, NULL, NULL);
  if (!info || count < 0) return 400;
  if (count > HTTP_MOST_HEADERS) return 431;
  struct walk w = {.r = r, .end = r->method + info->header_size, .most = (size_t)count, .clean = true};
  w.at = after_first_line(r, version, w.end);
  if (!w.at) return 400;
  r->headers = arena_alloc(r->arena, ((size_t)count + 1) * sizeof *r->headers);
  if (!r->headers) return 431;
  if (MHD_get_connection_values_n(r->connection, MHD_HEADER_KIND, on_header, &w) != count || !w.clean) return 400;
  return w.at + 2 == w.end && !w.at[0] && !w.at[1] ? 0 : 400;
}

/* How the body is told: at most one Content-Length of digits, or exactly `Transfer-Encoding: chunked` in HTTP/1.1; one Host. */
static int judge_framing(struct http_req *r, const char *version)
{
  const char *length = NULL, *encoding = NULL, *host = NULL;
  bool old = !strcmp(version, "HTTP/1.0");
  for (size_t i = 0; i < r->header_count; i++) {
    const char *name = r->headers[i].name;
    const char **slot = same_name(name, "Content-Length") ? &length : same_name(name, "Transfer-Encoding") ? &encoding
      : same_name(name, "Host") ? &host : NULL;
    if (!slot) continue;
    if (*slot) return 400;
    *slot = r->headers[i].value;
  }
  if (!host && !old) return 400;
  if (host && (!*host || strpbrk(host, " \t,/@?#\\"))) return 400;
  if (encoding && (length || old || strcasecmp(encoding, "chunked"))) return 400;
  if (length) {
    size_t n = strlen(length);
    if (!n || n > 18 || strspn(length, "0123456789") != n) return n > 18 ? 413 : 400;
    for (const char *p = length; *p; p++) r->body_most = r->body_most * 10 + (size_t)(*p - '0');
  }
  r->chunked = encoding != NULL;
  if (r->chunked) r->close = true; /* what follows a chunked body is never read as a request */
  return 0;
}

int head_read(struct http_req *r, const char *version)
{
  if (!r->uri || !version) return 400;
  int status = walk_head(r, version);
  return status ? status : judge_framing(r, version);
}
