/* What the directive for service desks asks: an organisation's public page, its manager's check list, all organisations for the operator. */
#include "channels/web/admin.h"

#include <stdlib.h>
#include <string.h>

static bool of(struct http_req *r, const struct service *s, const char *organisation) {
  return strcmp(cases_service_organisation(web_of(r)->cases, s), organisation) == 0;
}

static int met_of(struct http_req *r, const struct service *s) {
  int met = 0;
  for (int c = 0; c < STANDARD_COUNT; c++) met += service_meets(web_pack(r), s, (enum standard)c);
  return met;
}

static const char *share(struct http_req *r, int64_t met, int64_t all) {
  return number_percent(http_arena(r), http_lang(r), all ? (double)(met * 100 / all) : 0, 0);
}

/* ---- for everybody ---- */

static json_t *public_json(struct http_req *r, const struct service *s) {
  json_t *o = json_object();
  enum lang l = http_lang(r);
  struct arena *a = http_arena(r);
  put(o, "href", arena_printf(a, "/services/%s", s->code));
  put(o, "name", text_in(&s->title, l));
  put(o, "about", text_in(&s->description, l));
  put(o, "statement", text_in(&s->statement, l));
  put(o, "norm", s->norm > 0 ? number_format(a, l, s->norm) : NULL);
  put(o, "legal", s->legal > 0 ? number_format(a, l, s->legal) : NULL);
  put(o, "cost", text_in(&s->cost_text, l));
  put(o, "stopped", cases_stopped(web_of(r)->cases, s->code, l, a));
  return o;
}

static void get_organisation(struct http_req *r) {
  const struct pack *p = web_pack(r);
  const struct directory *d = pack_directory(p);
  const struct organisation *o = directory_organisation(d, directory_find_organisation(d, http_param(r, "code")));
  if (!o) return not_found(r);
  json_t *page = page_new(web_of(r), r, organisation_name(o, http_lang(r)), false), *items = json_array();
  for (size_t i = 0; i < pack_services(p); i++)
    if (of(r, pack_service(p, i), o->code)) json_array_append_new(items, public_json(r, pack_service(p, i)));
  const struct organisation *above = directory_organisation(d, o->parent);
  crumb(page, "/", say(r, "home"));
  crumb(page, "/services", say(r, "services"));
  put(page, "phone", o->phone[0] ? local(r, o->phone) : NULL);
  put(page, "phone_href", o->phone[0] ? arena_printf(http_arena(r), "tel:%s", o->phone) : NULL);
  put(page, "place", o->place >= 0 ? place_path(d, o->place, http_lang(r), http_arena(r)) : NULL);
  put(page, "above", above ? organisation_name(above, http_lang(r)) : NULL);
  put_list(page, "items", items);
  json_t *published = json_array();
  for (size_t i = 0; i < pack_data_services(p); i++) {
    const struct data_service *k = pack_data_service(p, i);
    if (strcmp(data_service_provider(p, k), o->code) != 0) continue;
    json_t *one = json_object();
    put(one, "href", arena_printf(http_arena(r), "/exchange/%s/%s", o->code, k->service));
    put(one, "name", text_in(&k->title, http_lang(r)));
    json_array_append_new(published, one);
  }
  put_list(page, "published", published);
  page_reply(web_of(r), r, 200, "organisation", page);
}

/* ---- the check list ---- */

static json_t *criteria_json(struct http_req *r, const struct service *s) {
  json_t *list = json_array();
  for (int c = 0; c < STANDARD_COUNT; c++) {
    json_t *o = json_object();
    bool met = service_meets(web_pack(r), s, (enum standard)c);
    put(o, "name", say(r, arena_printf(http_arena(r), "standard_%s", standard_text((enum standard)c))));
    put_flag(o, "met", met);
    put(o, "where", met ? NULL : standard_where((enum standard)c));
    put(o, "file", met || c == STANDARD_CONTACT ? NULL : s->file);
    json_array_append_new(list, o);
  }
  return list;
}

static void show_one(struct http_req *r, const char *organisation) {
  const struct pack *p = web_pack(r);
  json_t *page = admin_page(r, say(r, "admin_standard"), organisation), *items = json_array();
  int64_t met = 0, all = 0;
  for (size_t i = 0; i < pack_services(p); i++) {
    const struct service *s = pack_service(p, i);
    if (!of(r, s, organisation)) continue;
    json_t *o = json_object();
    int n = met_of(r, s);
    put(o, "name", text_in(&s->title, http_lang(r)));
    put(o, "href", arena_printf(http_arena(r), "/services/%s", s->code));
    put_number(r, o, "met", n);
    put_number(r, o, "all", STANDARD_COUNT);
    put_flag(o, "whole", n == STANDARD_COUNT);
    put_list(o, "criteria", criteria_json(r, s));
    json_array_append_new(items, o);
    met += n;
    all += STANDARD_COUNT;
  }
  put(page, "share", all ? share(r, met, all) : NULL);
  put(page, "public_href", arena_printf(http_arena(r), "/organisations/%s", organisation));
  put_list(page, "items", items);
  page_reply(web_of(r), r, 200, "admin_standard", page);
}

struct total { const char *organisation; int64_t met, services; };

static int by_share(const void *a, const void *b) {
  const struct total *x = a, *y = b;
  int64_t i = x->met * y->services, k = y->met * x->services;
  return i != k ? (i < k ? -1 : 1) : strcmp(x->organisation, y->organisation);
}

/* Those who miss most come first. */
static void show_all(struct http_req *r) {
  const struct pack *p = web_pack(r);
  struct total *list = arena_alloc(http_arena(r), (pack_services(p) + 1) * sizeof *list);
  size_t n = 0;
  for (size_t i = 0; list && i < pack_services(p); i++) {
    const char *code = cases_service_organisation(web_of(r)->cases, pack_service(p, i));
    size_t k = 0;
    while (k < n && strcmp(list[k].organisation, code) != 0) k++;
    if (k == n) list[n++] = (struct total){.organisation = code};
    list[k].met += met_of(r, pack_service(p, i));
    list[k].services++;
  }
  if (list) qsort(list, n, sizeof *list, by_share);
  json_t *page = admin_page(r, say(r, "admin_standard"), NULL), *items = json_array();
  for (size_t i = 0; i < n; i++) {
    json_t *o = json_object();
    put(o, "href", admin_href(r, "/admin/standard", list[i].organisation));
    put(o, "name", admin_organisation_name(r, list[i].organisation));
    put_number(r, o, "services", list[i].services);
    put(o, "share", share(r, list[i].met, list[i].services * STANDARD_COUNT));
    json_array_append_new(items, o);
  }
  put_list(page, "items", items);
  page_reply(web_of(r), r, 200, "admin_standards", page);
}

static void get_standard(struct http_req *r) {
  const char *organisation;
  if (!admin_scope(r, &organisation)) return;
  if (organisation) show_one(r, organisation);
  else show_all(r);
}

const struct http_route web_standard_rows[] = {
  {"GET", "/organisations/{code}", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_organisation, "An organisation: how it is reached, and its services."},
  {"GET", "/admin/standard", HTTP_INLINE, PERMIT_AUDIT, HTTP_SAFE, 0, get_standard, "What the directive for service desks asks, met or missing."},
};
const size_t web_standard_count = BASE_COUNT(web_standard_rows);
