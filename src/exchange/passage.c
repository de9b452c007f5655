/* What both sides do to a message: read its target and identifiers, copy and clean its headers. */
#include "exchange/side.h"

#include <string.h>
#include <strings.h>
#include <time.h>

int64_t now_micros(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

bool method_safe(const char *m) { return !strcmp(m, "GET") || !strcmp(m, "HEAD") || !strcmp(m, "OPTIONS") || !strcmp(m, "TRACE"); }
bool method_idempotent(const char *m) { return method_safe(m) || !strcmp(m, "PUT") || !strcmp(m, "DELETE"); }

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

/* Percent-decoded; an encoded slash has no place in an identifier and is refused here, so that parts stay apart. */
int id_decode(const char *text, int least, int most, struct exchange_id *out, struct err *err) {
  char plain[EXCHANGE_ID + 1];
  size_t n = 0;
  for (const char *s = text; *s; s++) {
    int c = (unsigned char)*s;
    if (n + 1 >= sizeof plain) return err_set(err, ERR_INVALID, "the identifier is too long");
    if (c == '%') {
      int hi = hex(s[1]), lo = hi < 0 ? -1 : hex(s[2]);
      if (lo < 0) return err_set(err, ERR_INVALID, "the identifier holds a bad escape");
      c = hi << 4 | lo;
      if (c == '/' || c == 0) return err_set(err, ERR_INVALID, "an identifier holds a character that may not stand in one");
      s += 2;
    }
    plain[n++] = (char)c;
  }
  plain[n] = 0;
  return exchange_id_parse(plain, least, most, out, err);
}

char *id_encoded(struct arena *a, const struct exchange_id *id) {
  char text[EXCHANGE_ID + 1], out[3 * EXCHANGE_ID + 1], *o = out;
  static const char digits[] = "0123456789ABCDEF";
  exchange_id_text(id, text);
  for (const char *s = text; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-._~/", c)) *o++ = (char)c;
    else {
      *o++ = '%';
      *o++ = digits[c >> 4];
      *o++ = digits[c & 15];
    }
  }
  return arena_strndup(a, out, (size_t)(o - out));
}

int target_read(struct arena *a, const char *raw, struct target *out, struct err *err) {
  const char *query = strchr(raw, '?'), *s = raw + 4;
  size_t n = query ? (size_t)(query - raw) : strlen(raw);
  const char *end = raw + n;
  int parts = 0;
  if (n > SIDE_PATH) return err_set(err, ERR_INVALID, "Invalid request URI: it is too long");
  if (!base_starts(raw, "/r1/")) return err_set(err, ERR_INVALID, "Invalid request URI: it begins /r1/");
  while (parts < 5 && s <= end) {
    const char *slash = memchr(s, '/', (size_t)(end - s));
    if (!slash) slash = end;
    parts++;
    if (parts == 5) {
      char *id = arena_strndup(a, raw + 4, (size_t)(slash - raw - 4));
      out->path = arena_strndup(a, slash, (size_t)(end - slash));
      out->query = query ? query + 1 : NULL;
      if (!id || !out->path) return err_set(err, ERR_LIMIT, "the request is too large");
      return id_decode(id, 5, 5, &out->service, err);
    }
    s = slash + 1;
  }
  return err_set(err, ERR_INVALID, "Invalid request URI: it is /r1/{instance}/{class}/{member}/{subsystem}/{service}");
}

int message_take(struct message *m, struct arena *a, const struct http_pair *headers, size_t count, bool held, struct err *err) {
  m->arena = a;
  m->headers = NULL;
  m->header_count = m->header_room = 0;
  for (size_t i = 0; i < count; i++)
    if ((held ? message_add_held : message_add)(m, headers[i].name, headers[i].value, err)) return -1;
  return 0;
}

void message_strip(struct message *m) {
  size_t kept = 0;
  for (size_t i = 0; i < m->header_count; i++)
    if (!message_ours(&m->headers[i])) m->headers[kept++] = m->headers[i];
  m->header_count = kept;
}
