#include "channels/web/inside.h"

#include <stdlib.h>
#include <string.h>

struct web_context *web_of(const struct http_req *r) { return http_ctx(r); }

const struct actor *web_actor(const struct http_req *r) {
  static const struct actor nobody = {.kind = ACTOR_NOBODY};
  const struct actor *who = http_user(r);
  return who ? who : &nobody;
}

const struct pack *web_pack(const struct http_req *r) { return cases_pack(web_of(r)->cases); }

const char *say(const struct http_req *r, const char *key) {
  char full[96];
  snprintf(full, sizeof full, "web.%s", key);
  return word(http_lang(r), full);
}

const char *web_session_cookie(const struct web_context *ctx) { return ctx->secure ? "__Host-session" : "session"; }

const char *web_acting_cookie(const struct web_context *ctx) { return ctx->secure ? "__Host-acting" : "acting"; }

/* ---- small things for contexts ---- */

void put(json_t *o, const char *key, const char *value) { json_put(o, key, value && value[0] ? value : NULL); }

void put_flag(json_t *o, const char *key, bool value) { json_object_set_new(o, key, json_boolean(value)); }

void put_list(json_t *o, const char *key, json_t *list) {
  char has[64];
  snprintf(has, sizeof has, "has_%s", key);
  put_flag(o, has, json_array_size(list) > 0);
  json_object_set_new(o, key, list);
}

void put_number(struct http_req *r, json_t *o, const char *key, int64_t n) { put(o, key, number_format(http_arena(r), http_lang(r), n)); }

void crumb(json_t *page, const char *href, const char *text) {
  json_t *list = json_object_get(page, "crumbs"), *one = json_object();
  if (!list) {
    list = json_array();
    json_object_set_new(page, "crumbs", list);
    put_flag(page, "has_crumbs", true);
  }
  put(one, "href", href);
  put(one, "text", text);
  json_array_append_new(list, one);
}

void fault(json_t *page, const char *href, const char *text) {
  json_t *list = json_object_get(page, "faults"), *one = json_object();
  if (!json_is_array(list)) {
    list = json_array();
    json_object_set_new(page, "faults", list);
    put_flag(page, "has_faults", true);
  }
  put(one, "href", href);
  put(one, "text", text);
  json_array_append_new(list, one);
}

void web_error(struct http_req *r, const struct err *err) { http_problem(r, err, NULL, NULL); }

void not_found(struct http_req *r) { http_problem_code(r, ERR_NOT_FOUND, NULL); }

/* ---- the visitor ---- */

const char *web_visitor(struct http_req *r) {
  const char *v = http_cookie(r, "visitor");
  return v && strlen(v) == 32 && strspn(v, "0123456789abcdef") == 32 ? v : NULL;
}

const char *draft_owner(struct http_req *r) {
  const struct actor *who = web_actor(r);
  if (who->kind == ACTOR_CITIZEN) return who->acting_as[0] ? arena_printf(http_arena(r), "%s %s", who->pair, who->acting_person) : who->pair;
  if (who->kind == ACTOR_STAFF) return who->person;
  const char *v = web_visitor(r);
  return v ? arena_printf(http_arena(r), "v:%s", v) : NULL;
}

static void put_token(struct web_context *c, struct http_req *r, json_t *page) {
  const struct actor *who = web_actor(r);
  char token[48], made[33];
  if (who->kind != ACTOR_NOBODY) {
    put(page, "form_token", who->form_token);
    return;
  }
  const char *v = web_visitor(r);
  if (!v) {
    unsigned char raw[16];
    random_bytes(raw, sizeof raw);
    hex_encode(raw, sizeof raw, made);
    http_reply_cookie(r, "visitor", made, 30 * 86400, true);
    v = made;
  }
  identity_anonymous_token(c->identity, v, token);
  put(page, "form_token", token);
}

/* ---- pages ---- */

static const char *asset_link(struct http_req *r, const char *name) {
  const struct embedded *e = embedded_find(name);
  return arena_printf(http_arena(r), "/%s?v=%.10s", name, e ? e->sha256 : "0");
}

/* The same address in the other language: every query member but lang. */
static const char *other_language(struct http_req *r) {
  struct buf b;
  buf_init(&b, 4096);
  bool get = strcmp(http_method(r), "POST") != 0;
  buf_addf(&b, "%s?", http_raw_path(r));
  for (const char *q = get ? http_raw_query(r) : ""; *q;) {
    size_t n = strcspn(q, "&");
    if (n && !base_starts(q, "lang=")) {
      buf_add(&b, q, n);
      buf_addc(&b, '&');
    }
    q += n + (q[n] == '&');
  }
  buf_addf(&b, "lang=%s", http_lang(r) == LANG_FA ? "en" : "fa");
  const char *out = arena_strdup(http_arena(r), buf_overflowed(&b) ? "/" : buf_str(&b));
  buf_free(&b);
  return out;
}

/* For whom one acts: on every page, with the way out. */
static void put_acting(struct http_req *r, json_t *page, const struct actor *who) {
  json_t *o = json_object();
  put(o, "name", who->acting_name);
  put(o, "id", local(r, who->acting_as));
  json_object_set(page, "acting", who->acting_as[0] ? o : json_null());
  json_decref(o);
}

json_t *page_new(struct web_context *c, struct http_req *r, const char *title, bool form) {
  enum lang l = http_lang(r);
  const struct pack *p = cases_pack(c->cases);
  const struct actor *who = web_actor(r);
  json_t *page = json_object(), *words = json_object_get(words_all(l), "web");
  const char *chosen = http_query(r, "lang");
  if (chosen && (strcmp(chosen, "fa") == 0 || strcmp(chosen, "en") == 0)) http_reply_cookie(r, "lang", chosen, 365 * 86400, true);
  if (words) json_object_set(page, "t", words);
  put(page, "lang", lang_code(l));
  put(page, "dir", l == LANG_FA ? "rtl" : "ltr");
  put(page, "other_lang", l == LANG_FA ? "en" : "fa");
  put(page, "other_href", other_language(r));
  put(page, "site", pack_name(p, l));
  put(page, "ussd_code", pack_ussd_code(p));
  put(page, "title", title);
  put(page, "css", asset_link(r, "assets/site.css"));
  put(page, "js", asset_link(r, "assets/site.js"));
  put_flag(page, "demo", c->demo);
  put_flag(page, "citizen", who->kind == ACTOR_CITIZEN);
  put_flag(page, "staff", who->kind == ACTOR_STAFF);
  put_flag(page, "at_counter", actor_has_role(who, NULL, STAFF_AGENT) || actor_has_role(who, NULL, STAFF_HELPDESK));
  put_flag(page, "signed_in", who->kind != ACTOR_NOBODY);
  put_flag(page, "administers", identity_manages(who, NULL) || actor_has_role(who, NULL, STAFF_AUDITOR));
  put(page, "user_name", who->name);
  put_acting(r, page, who);
  put_flag(page, "figures", who->kind == ACTOR_STAFF && web_figures(who));
  put_flag(page, "has_crumbs", false);
  put_flag(page, "has_faults", false);
  put(page, "form_token", NULL);
  if (form || who->kind != ACTOR_NOBODY) put_token(c, r, page);
  return page;
}

void page_reply(struct web_context *c, struct http_req *r, int status, const char *name, json_t *page) {
  struct buf b;
  struct err err;
  char full[64];
  buf_init(&b, 4 * 1024 * 1024);
  snprintf(full, sizeof full, "web/%s", name);
  int rc = template_render(c->templates, full, page, &b, &err);
  json_decref(page);
  if (rc || buf_overflowed(&b)) {
    log_write(LOG_ERROR, "web", "%s: %s", full, rc ? err.message : "too long");
    buf_free(&b);
    http_reply(r, 500, "text/plain; charset=utf-8", "500\n", 4);
    return;
  }
  http_reply_header(r, "Content-Language", lang_code(http_lang(r)));
  size_t n = b.len;
  http_reply_take(r, status, "text/html; charset=utf-8", buf_take(&b), n);
}

void to_signin(struct http_req *r, bool staff) {
  const char *q = http_raw_query(r);
  const char *here = arena_printf(http_arena(r), "%s%s%s", http_raw_path(r), q[0] ? "?" : "", q);
  const char *to = arena_printf(http_arena(r), "%s?next=%s", staff ? "/staff" : "/signin", url_quote(r, here ? here : "/"));
  http_redirect(r, 303, to ? to : "/signin");
}

/* Where a form that was sent too late can be opened anew. */
static const char *stale_address(struct http_req *r, enum err_code err_code) {
  const char *path = http_raw_path(r), *form = strstr(path, "/files/"), *act = strstr(path, "/actions/");
  if (act && err_code == ERR_CONFLICT) return arena_printf(http_arena(r), "%.*s", (int)(act - path), path);
  if (form) return arena_printf(http_arena(r), "%.*s/form/%s", (int)(form - path), path, form + 7);
  size_t n = strlen(path);
  static const char *const ends[] = {"/submit", "/drop", "/rating"};
  for (size_t i = 0; i < BASE_COUNT(ends); i++)
    if (n > strlen(ends[i]) && strcmp(path + n - strlen(ends[i]), ends[i]) == 0)
      return arena_printf(http_arena(r), "%.*s%s", (int)(n - strlen(ends[i])), path, i == 0 ? "/check" : "");
  return strcmp(path, "/signout") == 0 ? "/" : path;
}

/* A form whose token has run out, rather than something that is not this person's to do. */
static bool token_stale(const struct web_context *c, struct http_req *r) {
  const char *given = http_form_value(r, "form_token"), *visitor = web_visitor(r);
  struct actor nobody = {.kind = ACTOR_NOBODY};
  if (http_replied(r)) return false;
  if (web_actor(r)->kind != ACTOR_NOBODY) return !given || !identity_form_token_ok(web_actor(r), given);
  if (!given || !visitor) return true;
  identity_anonymous_token(c->identity, visitor, nobody.form_token);
  return !identity_form_token_ok(&nobody, given);
}

void web_error_page(struct http_req *r, int status, const struct err *err, void *ctx) {
  struct web_context *c = ctx;
  enum lang l = http_lang(r);
  char key[96];
  bool get = strcmp(http_method(r), "POST") != 0;
  if (status == 401 && get) return to_signin(r, base_starts(http_path(r), "/desk") || base_starts(http_path(r), "/managers") || base_starts(http_path(r), "/admin") || base_starts(http_path(r), "/account"));
  snprintf(key, sizeof key, "error.%s.title", err_name(err->code));
  const char *title = word_known(key) ? word(l, key) : word(l, "error.internal.title"), *detail = err->message;
  bool stale = !get && err->code == ERR_FORBIDDEN && token_stale(c, r);
  bool stranger = get && err->code == ERR_FORBIDDEN && web_actor(r)->kind != ACTOR_STAFF;
  snprintf(key, sizeof key, "error.%s.detail", err_name(err->code));
  if (!detail[0]) detail = stale ? say(r, "stale_text") : stranger ? say(r, "forbidden_citizen") : word(l, key);
  json_t *page = page_new(c, r, stale ? say(r, "stale_title") : title, false);
  put(page, "detail", detail);
  put(page, "again_href", stale || err->code == ERR_CONFLICT ? stale_address(r, err->code) : NULL);
  put(page, "status", local(r, arena_printf(http_arena(r), "%d", status)));
  put_flag(page, "is_missing", status == 404);
  put_flag(page, "may_sign_in", (status == 403 || status == 401) && web_actor(r)->kind == ACTOR_NOBODY);
  put_flag(page, "is_again", status == 429 || status >= 500);
  page_reply(c, r, status, "error", page);
}

/* ---- all rows ---- */

int web_routes(struct http_server *s, struct web_context *ctx, struct err *err) {
  const struct { const struct http_route *rows; size_t n; } tables[] = {
    {web_static_rows, web_static_count}, {web_catalogue_rows, web_catalogue_count}, {web_form_rows, web_form_count},
    {web_signin_rows, web_signin_count}, {web_case_rows, web_case_count}, {web_act_rows, web_act_count},
    {web_mine_rows, web_mine_count}, {web_mandate_rows, web_mandate_count}, {web_counter_mandate_rows, web_counter_mandate_count}, {web_desk_rows, web_desk_count}, {web_bulk_rows, web_bulk_count},
    {web_registry_rows, web_registry_count}, {web_message_rows, web_message_count}, {web_call_rows, web_call_count}};
  if (http_server_routes(s, web_manager_rows, web_manager_count, ctx, err)) return -1;
  if (http_server_routes(s, web_certificate_rows, web_certificate_count, ctx, err)) return -1;
  if (http_server_routes(s, web_absence_rows, web_absence_count, ctx, err) || http_server_routes(s, web_letter_rows, web_letter_count, ctx, err)) return -1;
  for (size_t i = 0; i < BASE_COUNT(tables); i++)
    if (http_server_routes(s, tables[i].rows, tables[i].n, ctx, err)) return -1;
  if (web_admin_routes(s, ctx, err)) return -1;
  if (web_network_routes(s, ctx, err)) return -1;
  if (http_server_routes(s, web_transfer_rows, web_transfer_count, ctx, err)) return -1;
  if (http_server_routes(s, web_exchange_rows, web_exchange_count, ctx, err) || http_server_routes(s, web_exchange_live_rows, web_exchange_live_count, ctx, err)) return -1;
  if (http_server_routes(s, web_counter_rows, web_counter_count, ctx, err) || http_server_routes(s, web_looks_rows, web_looks_count, ctx, err)) return -1;
  if (ctx->cases == NULL) return 0; /* the rows alone, to list them */
  search_build(ctx);
  return web_check_papers(ctx, err);
}
