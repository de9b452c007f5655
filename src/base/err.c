#include "base/base.h"

#include <stdio.h>
#include <string.h>

static const struct {
  int status;
  const char *name;
} rows[] = {
#define X(name, status, text) [name] = {status, text},
  ERR_TABLE(X)
#undef X
};

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
  if (!err) return -1;
  /* Through a copy, so that err->message itself may be an argument. */
  char message[sizeof err->message];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(message, sizeof message, fmt, args);
  va_end(args);
  if (n < 0) message[0] = '\0';
  /* A cut may have left half a character, and what is quoted may hold anything: drop what is not UTF-8. */
  char *out = err->message;
  for (const char *p = message, *end = message + strlen(message); p < end;) {
    const char *at = p;
    if (utf8_next(&p, end) < 0) p++;
    else while (at < p) *out++ = *at++;
  }
  *out = '\0';
  err->code = code;
  return -1;
}

int err_status(enum err_code code)
{
  return (size_t)code < BASE_COUNT(rows) ? rows[code].status : 500;
}

const char *err_name(enum err_code code)
{
  return (size_t)code < BASE_COUNT(rows) ? rows[code].name : rows[ERR_INTERNAL].name;
}
