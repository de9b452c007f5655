#include "http/inner.h"

#include <string.h>

/* key has 96 bytes: it is what is told where no word is known. */
static const char *fitting_word(enum lang l, const char *name, const char *suffix, char *key)
{
  snprintf(key, 96, "error.%s%s", name, suffix);
  return word(l, key);
}

static void headers_for(struct http_req *r, int status)
{
  if (status == 401 && !reply_has(r, "WWW-Authenticate")) http_reply_header(r, "WWW-Authenticate", "Bearer");
  if ((status == 429 || status == 503) && !reply_has(r, "Retry-After")) http_reply_header(r, "Retry-After", status == 429 ? "60" : "5");
}

static void problem(struct http_req *r, int status, enum err_code code, const char *detail, json_t *errors)
{
  enum lang l = http_lang(r);
  const char *name = err_name(code);
  char type[96], key[96];
  snprintf(type, sizeof type, "/problems/%s", name);
  json_t *v = json_object();
  json_put(v, "type", type);
  json_put(v, "title", fitting_word(l, name, ".title", key));
  json_object_set_new(v, "status", json_integer(status));
  json_put(v, "detail", detail ? detail : fitting_word(l, name, ".detail", key));
  json_put(v, "code", name);
  if (json_array_size(errors)) json_object_set(v, "errors", errors);
  json_put(v, "instance", r->id);
  char *text = json_dumps(v, JSON_COMPACT);
  json_decref(v);
  if (!reply_has(r, "Content-Language")) http_reply_header(r, "Content-Language", lang_code(l));
  if (text) http_reply_take(r, status, "application/problem+json", text, strlen(text));
  else http_reply(r, status, NULL, NULL, 0);
}

void http_problem(struct http_req *r, const struct err *err, const char *detail, json_t *errors)
{
  int status = err_status(err->code);
  if (r->response) {
    log_write(LOG_ERROR, "http", "a problem after a reply: %s", err->message);
    json_decref(errors);
    return;
  }
  if (status >= 500 && err->message[0]) log_write(LOG_ERROR, "http", "request %s: %s: %s", r->id, err_name(err->code), err->message);
  headers_for(r, status);
  struct http_server *s = r->server;
  if (s->page && !r->in_page && http_wants_html(r)) {
    struct err shown = *err;
    snprintf(shown.message, sizeof shown.message, "%s", detail ? detail : "");
    r->in_page = true;
    s->page(r, status, &shown, s->hook_ctx);
    r->in_page = false;
  }
  if (!r->response) problem(r, status, err->code, detail, errors);
  json_decref(errors);
}

void http_problem_code(struct http_req *r, enum err_code code, const char *detail)
{
  struct err err = {.code = code};
  http_problem(r, &err, detail, NULL);
}

void reply_refuse(struct http_req *r, int status)
{
  r->close = true;
  problem(r, status, status == 413 ? ERR_TOO_LARGE : status == 431 ? ERR_LIMIT : ERR_MALFORMED, NULL, NULL);
}
