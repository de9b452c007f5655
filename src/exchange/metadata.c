/* The metadata services of X-Road (PR-META, PR-MREST): who there is, what may be called, and what it looks like. */
#include "exchange/side.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define P "server.serverproxy."
enum { MOST_DESCRIPTION = 8 * 1024 * 1024 };

bool metadata_is(const char *method, const struct exchange_id *service) {
  return strcmp(method, "GET") == 0 && (!strcmp(service->service, "listMethods") || !strcmp(service->service, "allowedMethods") || !strcmp(service->service, "getOpenAPI"));
}

/* ---- listMethods, allowedMethods ---- */

static json_t *service_json(const struct exchange_id *id, const struct offered *v) {
  json_t *o = json_object();
  struct exchange_id own;
  struct err err;
  exchange_id_parse(v->id, 5, 5, &own, &err);
  json_put(o, "member_class", id->class_);
  json_put(o, "member_code", id->member);
  json_put(o, "object_type", "SERVICE");
  json_put(o, "service_code", own.service);
  json_put(o, "service_type", strcmp(v->kind, "OPENAPI") == 0 ? "OPENAPI" : "REST");
  json_put(o, "subsystem_code", id->subsystem);
  json_put(o, "xroad_instance", id->instance);
  json_object_set_new(o, "endpoint_list", json_array());
  return o;
}

static int by_id(const void *a, const void *b) { return strcmp((*(const struct offered *const *)a)->id, (*(const struct offered *const *)b)->id); }

static bool grant_opens(const struct grant *g, const struct endpoint *e) {
  return (!strcmp(g->method, "*") || !strcmp(e->method, "*") || !strcmp(g->method, e->method)) && (!strcmp(g->path, e->path) || glob_match(g->path, e->path));
}

/* client NULL: all. */
static void list_one(struct exchange *x, struct members *m, const struct book *b, const struct exchange_id *subsystem, const struct exchange_id *client, const struct offered *v, json_t *list) {
  int64_t now = clock_now();
  bool any = client == NULL;
  json_t *o = service_json(subsystem, v), *endpoints = json_object_get(o, "endpoint_list");
  for (const struct grant *g = v->grants; client && g && !any; g = g->next) any = grant_fits(x, b, m, g, client, now);
  for (const struct endpoint *e = v->endpoints; any && e; e = e->next) {
    bool open = client == NULL;
    for (const struct grant *g = v->grants; g && !open; g = g->next) open = grant_opens(g, e) && grant_fits(x, b, m, g, client, now);
    if (open) json_array_append_new(endpoints, json_pack("{s:s,s:s}", "method", e->method, "path", e->path));
  }
  if (any) json_array_append_new(list, o);
  else json_decref(o);
}

static json_t *list_methods(struct exchange *x, struct members *m, const struct book *b, const struct exchange_id *service, const struct exchange_id *client) {
  char prefix[EXCHANGE_ID + 1];
  struct exchange_id subsystem = *service;
  json_t *o = json_object(), *list = json_array();
  subsystem.service[0] = 0;
  exchange_id_text(&subsystem, prefix);
  size_t n = strlen(prefix), count = 0;
  const struct offered **all = base_alloc((HASH_COUNT(b->services) + 1) * sizeof *all);
  for (const struct offered *v = b->services; v; v = v->hh.next)
    if (strncmp(v->id, prefix, n) == 0 && v->id[n] == '/' && strcmp(v->kind, "WSDL")) all[count++] = v;
  qsort(all, count, sizeof *all, by_id);
  for (size_t i = 0; i < count; i++) list_one(x, m, b, &subsystem, client, all[i], list);
  free(all);
  json_object_set_new(o, "service", list);
  return o;
}

/* ---- getOpenAPI ---- */

/* The whole of an address outside is the provider's own affair: its path is left. One with variables stays. */
static char *url_path(const char *url) {
  const char *scheme = strstr(url, "://"), *slash;
  if (strchr(url, '{') && strchr(url, '}')) return base_strdup(url);
  slash = scheme ? strchr(scheme + 3, '/') : url;
  return base_printf("%.*s", slash ? (int)strcspn(slash, "?#") : 0, slash ? slash : "");
}

static int strip_servers(json_t *doc, struct fault *fault) {
  const char *version = json_str(doc, "openapi");
  size_t i;
  json_t *server;
  if (version && !base_starts(version, "3."))
    return fault_set(fault, P "internal_error", "Incompatible openapi version. Openapi version 3 or greater expected. Given openapi document is of version \"%.20s\"", version);
  json_array_foreach(json_object_get(doc, "servers"), i, server) {
    const char *url = json_str(server, "url");
    char *path = url ? url_path(url) : NULL;
    if (path) json_object_set_new(server, "url", json_string(path));
    free(path);
  }
  return 0;
}

/* YAML is not written anew: the lines of `servers:` that hold a url are rewritten where they stand, everything else stays as its author wrote it. */
static void strip_yaml(const char *text, struct buf *out) {
  bool servers = false;
  for (const char *line = text; *line;) {
    size_t n = strcspn(line, "\n");
    const char *url = NULL;
    if (n && line[0] != ' ' && line[0] != '-' && line[0] != '#' && line[0] != '\r') servers = base_starts(line, "servers:");
    if (servers) {
      const char *at = memmem(line, n, "url:", 4);
      if (at && (at == line || strchr(" -{,", at[-1]))) url = at + 4 + strspn(at + 4, " \"'");
    }
    if (url && url < line + n) {
      size_t len = strcspn(url, "\"'\r\n ,}");
      char *whole = base_printf("%.*s", (int)len, url), *path = strchr(whole, '{') ? base_strdup(whole) : url_path(whole);
      bool quoted = url[-1] == '"' || url[-1] == '\'';
      buf_add(out, line, (size_t)(url - line));
      buf_adds(out, path[0] || quoted ? path : "\"\"");
      buf_add(out, url + len, n - (size_t)(url - line) - len);
      free(whole);
      free(path);
    } else {
      buf_add(out, line, n);
    }
    line += n;
    if (*line) buf_addc(out, *line++);
  }
}

static char *query_value(struct arena *a, const char *query, const char *name) {
  size_t wanted = strlen(name);
  while (query && *query) {
    size_t n = strcspn(query, "&"), key = strcspn(query, "=&");
    if (key == wanted && strncasecmp(query, name, key) == 0 && query[key] == '=') {
      char *out = arena_strndup(a, query + key + 1, n - key - 1), *o = out;
      for (char *s = out; s && *s; s++) {
        unsigned char byte;
        if (*s == '%' && hex_decode((char[]){s[1], s[1] ? s[2] : 0, 0}, &byte, 1) == 0 && byte) {
          *o++ = (char)byte;
          s += 2;
        } else {
          *o++ = *s == '+' ? ' ' : *s;
        }
      }
      if (o) *o = 0;
      return out;
    }
    query += n + (query[n] == '&');
  }
  return NULL;
}

static int gather(void *ctx, const void *p, size_t n) {
  buf_add(ctx, p, n);
  return 0;
}

static int fetch(const struct offered *v, const char *url, struct buf *text, char **type, struct fault *fault) {
  const char *scheme = strstr(url, "://"), *path = scheme ? strchr(scheme + 3, '/') : NULL;
  char *base = base_printf("%.*s", path ? (int)(path - url) : (int)strlen(url), url);
  struct http_peer_options o = {.base = base, .ca_file = v->ca_file, .any_certificate = v->any_certificate};
  struct http_relay_call call = {.method = "GET", .target = path ? path : "/", .timeout_ms = 15000, .most = MOST_DESCRIPTION};
  struct http_relay_answer got = {0};
  struct http_peer *peer = NULL;
  struct err err;
  int rc = http_peer_new(&o, &peer, &err) || http_peer_call(peer, &call, &got, &err) ? -1 : 0;
  if (rc) fault_set(fault, P "internal_error", "Failed reading service description from %s. %s", url, err.message);
  else if (got.status != 200) rc = fault_set(fault, P "internal_error", "Failed reading service description from %s. Status: %d Reason: %s", url, got.status, "");
  else if (http_content_each(&got.content, gather, text, &err)) rc = fault_set(fault, P "internal_error", "Failed reading service description from %s. %s", url, err.message);
  for (size_t i = 0; rc == 0 && i < got.header_count; i++)
    if (strcasecmp(got.headers[i].name, "Content-Type") == 0 && !*type) *type = base_strdup(got.headers[i].value);
  http_relay_answer_free(&got);
  http_peer_free(peer);
  free(base);
  return rc;
}

static int describe(const struct offered *v, struct buf *out, char **type, struct fault *fault) {
  struct buf text = {.cap = MOST_DESCRIPTION};
  struct err err;
  int rc = 0;
  bool json = true;
  if (v->local) {
    char *own = v->openapi ? v->openapi(v->ctx) : NULL;
    if (!own) rc = fault_set(fault, P "internal_error", "Failed reading service description from %s. Status: 404 Reason: Not Found", v->id);
    else buf_adds(&text, own);
    free(own);
    *type = base_strdup("application/json");
  } else if (!v->openapi_url) {
    rc = fault_set(fault, P "internal_error", "Failed reading service description from %s. Status: 404 Reason: Not Found", v->id);
  } else {
    rc = fetch(v, v->openapi_url, &text, type, fault);
    size_t n = strlen(v->openapi_url);
    json = *type && strstr(*type, "application/json") ? true : *type && strcmp(*type, "application/x-yaml") == 0 ? false : n > 5 && !strcmp(v->openapi_url + n - 5, ".json");
  }
  if (rc == 0 && json) {
    json_t *doc = json_read(buf_str(&text), text.len, 64, &err);
    size_t n;
    if (!doc) rc = fault_set(fault, P "internal_error", "Failed overwriting origin URL for the openapi servers for %s", v->openapi_url ? v->openapi_url : v->id);
    else rc = strip_servers(doc, fault);
    char *written = rc == 0 ? json_text(doc, &n) : NULL;
    if (written) buf_add(out, written, n);
    free(written);
    json_decref(doc);
  } else if (rc == 0) {
    strip_yaml(buf_str(&text), out);
  }
  buf_free(&text);
  return rc;
}

static int get_openapi(struct arena *a, const struct book *b, const struct exchange_id *service, const char *query, struct buf *out, char **type, struct fault *fault) {
  char *code = query_value(a, query, "serviceCode"), shown[EXCHANGE_ID + 20];
  struct exchange_id wanted = *service;
  if (!code || !code[0]) return fault_set(fault, P "invalid_request", "Missing serviceCode in message body");
  snprintf(wanted.service, sizeof wanted.service, "%s", code);
  const struct offered *v = strlen(code) <= EXCHANGE_PART ? book_service(b, &wanted) : NULL;
  if (!v) return fault_set(fault, P "internal_error", "Service not found: %s", id_shown(&wanted, shown));
  if (strcmp(v->kind, "OPENAPI")) return fault_set(fault, P "internal_error", "Invalid service type: %s", v->kind);
  return describe(v, out, type, fault);
}

int metadata_answer(struct exchange *x, struct arena *a, struct members *m, const struct book *b, const struct exchange_id *client, const struct exchange_id *service,
                    const char *query, struct message *answer, struct http_content *content, struct fault *fault) {
  struct buf text = {0};
  struct err err;
  char *type = NULL;
  int rc = 0;
  if (strcmp(service->service, "getOpenAPI") == 0) {
    rc = get_openapi(a, b, service, query, &text, &type, fault);
  } else {
    json_t *o = list_methods(x, m, b, service, strcmp(service->service, "allowedMethods") == 0 ? client : NULL);
    size_t n;
    char *written = json_text(o, &n);
    buf_add(&text, written, n);
    free(written);
    json_decref(o);
    type = base_strdup("application/json");
  }
  answer->status = 200;
  if (rc == 0 && (message_add(answer, "Content-Type", type ? type : "text/plain", &err) || http_content_add(content, text.data, text.len, -1, &err)))
    rc = fault_set(fault, P "internal_error", "%s", err.message);
  buf_free(&text);
  free(type);
  return rc;
}

/* ---- listClients ---- */

struct listing { const char *instance; json_t *members; struct buf *xml; };

static void xml_text(struct buf *b, const char *tag, const char *text) {
  buf_addf(b, "<id:%s>", tag);
  for (const char *p = text; *p; p++) {
    if (*p == '<') buf_adds(b, "&lt;");
    else if (*p == '>') buf_adds(b, "&gt;");
    else if (*p == '&') buf_adds(b, "&amp;");
    else buf_addc(b, *p);
  }
  buf_addf(b, "</id:%s>", tag);
}

static void xml_plain(struct buf *b, const char *tag, const char *text) {
  buf_addf(b, "<xrd:%s>", tag);
  for (const char *p = text; *p; p++) {
    if (*p == '<') buf_adds(b, "&lt;");
    else if (*p == '>') buf_adds(b, "&gt;");
    else if (*p == '&') buf_adds(b, "&amp;");
    else buf_addc(b, *p);
  }
  buf_addf(b, "</xrd:%s>", tag);
}

static void list_json(struct listing *l, const struct exchange_id *id, bool sub, const char *member_name, const char *own_name) {
  json_t *o = json_object(), *i = json_object();
  json_put(i, "member_class", id->class_);
  json_put(i, "member_code", id->member);
  json_put(i, "object_type", sub ? "SUBSYSTEM" : "MEMBER");
  if (sub) json_put(i, "subsystem_code", id->subsystem);
  json_put(i, "xroad_instance", id->instance);
  json_object_set_new(o, "id", i);
  json_put(o, "name", member_name);
  if (sub && own_name[0]) json_put(o, "subsystem_name", own_name);
  json_array_append_new(l->members, o);
}

static void list_xml(struct listing *l, const struct exchange_id *id, bool sub, const char *member_name, const char *own_name) {
  struct buf *b = l->xml;
  buf_addf(b, "<xrd:member><xrd:id id:objectType=\"%s\">", sub ? "SUBSYSTEM" : "MEMBER");
  xml_text(b, "xRoadInstance", id->instance);
  xml_text(b, "memberClass", id->class_);
  xml_text(b, "memberCode", id->member);
  if (sub) xml_text(b, "subsystemCode", id->subsystem);
  buf_adds(b, "</xrd:id>");
  xml_plain(b, "name", member_name);
  if (sub && own_name[0]) xml_plain(b, "subsystemName", own_name);
  buf_adds(b, "</xrd:member>\n");
}

static char *own_name(const char *fa, const char *en) { return base_strdup(fa && fa[0] ? fa : en ? en : ""); }

struct walking { struct listing *l; struct exchange_id member; char *name; };

static void each(void *ctx, const struct exchange_id *id, int parts, const char *fa, const char *en) {
  struct walking *w = ctx;
  char *own = own_name(fa, en);
  if (parts == 3) {
    free(w->name);
    w->name = base_strdup(own);
    w->member = *id;
  }
  if (strcmp(id->instance, w->l->instance) == 0) {
    const char *name = exchange_id_same(id, &w->member, 3) && w->name ? w->name : "";
    (w->l->xml ? list_xml : list_json)(w->l, id, parts == 4, name, own);
  }
  free(own);
}

static bool accepts_json(const char *accept) {
  for (const char *s = accept; s && *s;) {
    s += strspn(s, " \t,");
    size_t n = strcspn(s, ",; \t");
    if (n == 16 && strncasecmp(s, "application/json", n) == 0) return true;
    s += strcspn(s, ",");
  }
  return false;
}

void metadata_clients(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  const char *instance = http_query(r, "xRoadInstance");
  struct members *m = members_hold(x);
  struct buf xml = {0};
  enum members_state state = members_state(x, m);
  if (state == MEMBERS_NONE || state == MEMBERS_EXPIRED) {
    struct fault f;
    fault_set(&f, "server.clientproxy.global_conf_outdated", "This gateway has no member directory that is still good");
    fault_reply(r, x, &f);
  } else {
    bool json = accepts_json(http_header(r, "Accept"));
    struct listing l = {.instance = instance && instance[0] ? instance : x->self.instance, .members = json_array(), .xml = json ? NULL : &xml};
    struct walking w = {.l = &l};
    if (!json) buf_adds(&xml, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<xrd:clientList xmlns:xrd=\"http://x-road.eu/xsd/xroad.xsd\" xmlns:id=\"http://x-road.eu/xsd/identifiers\">\n");
    members_each(m, each, &w);
    free(w.name);
    if (json) {
      json_t *o = json_object();
      json_object_set(o, "member", l.members);
      size_t n;
      char *text = json_text(o, &n);
      json_decref(o);
      http_reply_take(r, 200, "application/json;charset=utf-8", text, n);
    } else {
      buf_adds(&xml, "</xrd:clientList>\n");
      size_t n = xml.len;
      http_reply_take(r, 200, "text/xml;charset=utf-8", buf_take(&xml), n);
    }
    json_decref(l.members);
  }
  buf_free(&xml);
  members_drop(m);
}
