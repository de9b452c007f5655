/* Dates, codes, addresses and QR pictures as a person reads them. */
#include "channels/web/inside.h"

#include <ctype.h>
#include <qrencode.h>
#include <string.h>

const char *local(struct http_req *r, const char *digits) {
  const char *s = digits ? digits_local(http_arena(r), http_lang(r), digits) : NULL;
  return s ? s : "";
}

const char *show_time(struct http_req *r, const char *rfc3339) {
  int64_t ms;
  if (!rfc3339 || clock_parse(rfc3339, &ms)) return "";
  return datetime_short(http_arena(r), http_lang(r), ms);
}

const char *show_time_day(struct http_req *r, const char *rfc3339) {
  int64_t ms;
  if (!rfc3339 || clock_parse(rfc3339, &ms)) return "";
  return date_long(http_arena(r), http_lang(r), day_of(ms));
}

const char *show_moment(struct http_req *r, const char *rfc3339) {
  const char *day = show_time_day(r, rfc3339), *hour = strrchr(show_time(r, rfc3339), ' ');
  return hour ? word_fill(http_arena(r), http_lang(r), "web.moment", "day", day, "hour", hour + 1, NULL) : day;
}

const char *show_day_short(struct http_req *r, const char *rfc3339) {
  int64_t ms;
  if (!rfc3339 || clock_parse(rfc3339, &ms)) return "";
  return date_short(http_arena(r), http_lang(r), day_of(ms));
}

const char *show_left(struct http_req *r, int64_t days) {
  const char *n = number_format(http_arena(r), http_lang(r), days < 0 ? -days : days);
  return days == 0 ? say(r, "days_last") : word_fill(http_arena(r), http_lang(r), days < 0 ? "web.days_late" : "web.days_left", "n", n, NULL);
}

const char *show_iso_day(struct http_req *r, const char *iso) {
  int32_t day = iso ? date_parse(iso) : INT32_MIN;
  return day == INT32_MIN ? "" : date_long(http_arena(r), http_lang(r), day);
}

const char *show_code(struct http_req *r, const char *tracking) {
  char grouped[48];
  identifier_group(IDENT_TRACKING, tracking, grouped);
  return local(r, grouped);
}

json_t *qr_json(const char *text) {
  QRcode *q = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
  if (!q) return NULL;
  struct buf b = {0};
  for (int y = 0; y < q->width; y++)
    for (int x = 0; x < q->width;) {
      int run = 0;
      while (x + run < q->width && q->data[y * q->width + x + run] & 1) run++;
      if (run) buf_addf(&b, "M%d %dh%dv1h-%dz", x + 4, y + 4, run, run);
      x += run ? run : 1;
    }
  json_t *o = json_object();
  json_object_set_new(o, "size", json_integer(q->width + 8));
  json_put(o, "path", buf_str(&b));
  buf_free(&b);
  QRcode_free(q);
  return o;
}

static bool host_sound(const char *h) {
  if (!h || !h[0] || strlen(h) > 255) return false;
  for (; *h; h++)
    if (!isalnum((unsigned char)*h) && !strchr(".-:[]", *h)) return false;
  return true;
}

const char *web_address(struct http_req *r, const char *path) {
  struct web_context *c = web_of(r);
  const char *host = http_header(r, "Host");
  if (c->base_url && c->base_url[0]) return arena_printf(http_arena(r), "%s%s", c->base_url, path);
  return arena_printf(http_arena(r), "http://%s%s", host_sound(host) ? host : "localhost", path);
}

const char *safe_next(const char *path) {
  if (!path || path[0] != '/' || path[1] == '/' || path[1] == '\\' || strlen(path) > 500) return NULL;
  for (const unsigned char *p = (const unsigned char *)path; *p; p++)
    if (*p <= ' ' || *p >= 0x7f || *p == '\\') return NULL;
  return path;
}

const char *url_quote(struct http_req *r, const char *text) {
  struct buf b;
  buf_init(&b, 8192);
  for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
    if (isalnum(*p) || strchr("-._~/", *p)) buf_addc(&b, (char)*p);
    else buf_addf(&b, "%%%02X", *p);
  }
  const char *out = arena_strdup(http_arena(r), buf_overflowed(&b) ? "" : buf_str(&b));
  buf_free(&b);
  return out ? out : "";
}

const char *fresh_key(struct http_req *r) {
  unsigned char raw[16];
  char made[40] = "web-";
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, made + 4);
  return arena_strdup(http_arena(r), made);
}

const char *service_owner_name(const struct pack *p, const struct service *s, enum lang l) {
  const struct directory *d = pack_directory(p);
  const struct organisation *o = directory_organisation(d, s->organisation >= 0 ? s->organisation : s->secretary);
  return o ? organisation_name(o, l) : "";
}

const struct service *find_service(struct http_req *r) {
  const struct service *s = pack_find(web_pack(r), http_param(r, "code"));
  if (!s) http_problem_code(r, ERR_NOT_FOUND, say(r, "no_service"));
  return s;
}
