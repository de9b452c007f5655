/* Assets, what lets the pages be installed, and pages that are words alone. */
#include "channels/web/inside.h"

#include <string.h>

static const struct { const char *end, *type; } types[] = {{".css", "text/css; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
  {".svg", "image/svg+xml"}, {".png", "image/png"}, {".woff2", "font/woff2"}, {".ttf", "font/ttf"}, {".txt", "text/plain; charset=utf-8"}};

static void send_asset(struct http_req *r, const char *name) {
  const struct embedded *e = embedded_find(name);
  const char *type = NULL;
  size_t n = strlen(name);
  for (size_t i = 0; i < BASE_COUNT(types); i++) {
    size_t k = strlen(types[i].end);
    if (n > k && strcmp(name + n - k, types[i].end) == 0) type = types[i].type;
  }
  if (!e || !type) return not_found(r);
  http_reply_static(r, type, e->data, e->size, arena_printf(http_arena(r), "\"%.32s\"", e->sha256));
}

static void get_asset(struct http_req *r) {
  const char *path = http_param(r, "path");
  if (!path || strstr(path, "..")) return not_found(r);
  send_asset(r, arena_printf(http_arena(r), "assets/%s", path));
}

static void get_favicon(struct http_req *r) { send_asset(r, "assets/icon.svg"); }
static void get_worker(struct http_req *r) { send_asset(r, "assets/sw.js"); }

static void get_robots(struct http_req *r) {
  static const char text[] = "User-agent: *\nDisallow: /cases/\nDisallow: /desk\nDisallow: /mine\nDisallow: /signin\nDisallow: /staff\nDisallow: /documents/\nDisallow: /verify/\n"
                             "Disallow: /api/\nDisallow: /demo/\nAllow: /\n";
  http_reply_header(r, "Cache-Control", "public, max-age=86400");
  http_reply(r, 200, "text/plain; charset=utf-8", text, sizeof text - 1);
}

static void get_manifest(struct http_req *r) {
  enum lang l = http_lang(r);
  json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:[{s:s,s:s,s:s},{s:s,s:s,s:s},{s:s,s:s,s:s,s:s}]}", "name", pack_name(web_pack(r), l),
    "short_name", say(r, "short_name"), "lang", lang_code(l), "dir", l == LANG_FA ? "rtl" : "ltr", "start_url", "/", "display", "standalone",
    "background_color", "#ffffff", "theme_color", "#0a5a63", "icons",
    "src", "/assets/icon.svg", "sizes", "any", "type", "image/svg+xml", "src", "/assets/icon-192.png", "sizes", "192x192", "type", "image/png",
    "src", "/assets/icon-512.png", "sizes", "512x512", "type", "image/png", "purpose", "any");
  char *text = json_dumps(o, JSON_COMPACT);
  json_decref(o);
  http_reply_header(r, "Cache-Control", "public, max-age=3600");
  if (text) http_reply_take(r, 200, "application/manifest+json", text, strlen(text));
  else http_problem_code(r, ERR_INTERNAL, NULL);
}

static void plain_page(struct http_req *r, const char *name, const char *title) {
  json_t *page = page_new(web_of(r), r, say(r, title), false);
  crumb(page, "/", say(r, "home"));
  http_reply_header(r, "Cache-Control", "private, no-cache");
  page_reply(web_of(r), r, 200, name, page);
}

static void get_about(struct http_req *r) { plain_page(r, "about", "about"); }
static void get_accessibility(struct http_req *r) { plain_page(r, "accessibility", "accessibility"); }
static void get_privacy(struct http_req *r) { plain_page(r, "privacy", "privacy"); }
static void get_ussd(struct http_req *r) { plain_page(r, "ussd", "ussd_title"); }
static void get_offline(struct http_req *r) { plain_page(r, "offline", "offline_title"); }

static void get_ledger(struct http_req *r) {
  json_t *page = page_new(web_of(r), r, say(r, "ledger"), false), *head = NULL;
  struct err err;
  crumb(page, "/", say(r, "home"));
  put_flag(page, "has_head", false);
  if (trust_head(web_of(r)->trust, &head, &err) == 0) {
    put_flag(page, "has_head", true);
    put_number(r, page, "tree_size", json_int(head, "tree_size", 0));
    put(page, "root_hash", json_str(head, "root_hash"));
    json_t *at = json_object_get(head, "timestamp");
    int64_t ms = json_is_integer(at) ? json_integer_value(at) : 0;
    put(page, "head_at", json_is_string(at) ? show_time(r, json_string_value(at)) : ms ? datetime_short(http_arena(r), http_lang(r), ms) : NULL);
    json_decref(head);
  }
  put(page, "key", trust_public_key(web_of(r)->trust));
  page_reply(web_of(r), r, 200, "ledger", page);
}

const struct http_route web_static_rows[] = {
  {"GET", "/assets/{path...}", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_asset, "Style, script, font and pictures."},
  {"GET", "/favicon.ico", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_favicon, "The icon."},
  {"GET", "/sw.js", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_worker, "Service worker: keeps assets and the offline page, nothing personal."},
  {"GET", "/manifest.webmanifest", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_manifest, "So that the pages can be installed."},
  {"GET", "/robots.txt", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_robots, "What search engines leave alone."},
  {"GET", "/offline", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_offline, "Shown while there is no connection."},
  {"GET", "/about", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_about, "What this is."},
  {"GET", "/accessibility", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_accessibility, "Accessibility statement."},
  {"GET", "/privacy", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_privacy, "What is kept about people, and for how long."},
  {"GET", "/help/ussd", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_ussd, "How to apply from any telephone."},
  {"GET", "/ledger", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_ledger, "The ledger in plain words: its head, and how to check a receipt."},
};
const size_t web_static_count = BASE_COUNT(web_static_rows);
