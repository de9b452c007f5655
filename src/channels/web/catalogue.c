/* Home, the catalogue, and each service's own page. */
#include "channels/web/inside.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* When a service that is still to come begins to be accepted, or why it is not accepted now; NULL when it is. */
static const char *coming(struct http_req *r, const struct service *s) {
  return service_begun(s) ? cases_stopped(web_of(r)->cases, s->code, http_lang(r), http_arena(r)) : word_fill(http_arena(r), http_lang(r), "web.coming", "date", date_long(http_arena(r), http_lang(r), s->valid_from), NULL);
}

static json_t *card(struct http_req *r, const struct service *s) {
  enum lang l = http_lang(r);
  json_t *o = json_object();
  put(o, "href", arena_printf(http_arena(r), "/services/%s", s->code));
  put(o, "name", text_in(&s->title, l));
  put(o, "about", text_in(&s->description, l));
  put(o, "owner", service_owner_name(web_pack(r), s, l));
  put(o, "days", NULL);
  if (s->legal > 0) put_number(r, o, "days", s->legal);
  bool begun = !coming(r, s);
  put_flag(o, "online", begun && s->web >= CHANNEL_START && !s->handled_external);
  put_flag(o, "by_phone", begun && s->ussd >= CHANNEL_START);
  put(o, "coming", coming(r, s));
  return o;
}

static bool of_event(const struct service *s, const char *event) {
  for (size_t i = 0; i < s->life_event_count; i++)
    if (strcmp(s->life_events[i], event) == 0) return true;
  return false;
}

static const char *owner_code(const struct pack *p, const struct service *s) {
  const struct organisation *o = directory_organisation(pack_directory(p), s->organisation >= 0 ? s->organisation : s->secretary);
  return o ? o->code : "";
}

static json_t *events_json(struct http_req *r) {
  const struct pack *p = web_pack(r);
  json_t *list = json_array();
  for (size_t i = 0; i < pack_life_events(p); i++) {
    struct text title;
    const char *code = pack_life_event(p, i, &title);
    int64_t n = 0;
    for (size_t k = 0; k < pack_services(p); k++) n += of_event(pack_service(p, k), code);
    if (!n) continue;
    json_t *o = json_object();
    put(o, "href", arena_printf(http_arena(r), "/services?life_event=%s", code));
    put(o, "name", text_in(&title, http_lang(r)));
    put(o, "count", word_fill(http_arena(r), http_lang(r), "web.count_services", "n", number_format(http_arena(r), http_lang(r), n), NULL));
    json_array_append_new(list, o);
  }
  return list;
}

static int64_t yearly(const struct service *s) {
  if (!s->volume_per) return s->volume;
  return s->volume * (strcmp(s->volume_per, "month") == 0 ? 12 : strcmp(s->volume_per, "day") == 0 ? 300 : 1);
}

static int by_use(const void *a, const void *b) {
  const struct service *x = *(const struct service *const *)a, *y = *(const struct service *const *)b;
  int64_t i = yearly(x), k = yearly(y);
  return i != k ? (i < k ? 1 : -1) : strcmp(x->code, y->code);
}

static void get_home(struct http_req *r) {
  const struct pack *p = web_pack(r);
  json_t *page = page_new(web_of(r), r, NULL, false), *most = json_array();
  size_t n = pack_services(p), kept = 0;
  const struct service **list = arena_alloc(http_arena(r), (n + 1) * sizeof *list);
  for (size_t i = 0; list && i < n; i++)
    if (!pack_service(p, i)->staff_only && service_begun(pack_service(p, i))) list[kept++] = pack_service(p, i);
  if (list) qsort(list, kept, sizeof *list, by_use);
  for (size_t i = 0; i < kept && i < 6; i++) json_array_append_new(most, card(r, list[i]));
  put_list(page, "most", most);
  put_list(page, "events", events_json(r));
  put_number(r, page, "service_count", (int64_t)n);
  page_reply(web_of(r), r, 200, "home", page);
}

static void list_search(struct http_req *r, const char *q, json_t *page, json_t *items) {
  const struct service *hits[60];
  const char *corrected;
  size_t n = search_services(r, q, hits, BASE_COUNT(hits), &corrected);
  for (size_t i = 0; i < n; i++) json_array_append_new(items, card(r, hits[i]));
  put(page, "corrected", corrected);
}

/* Organisations that have services, for the filter. */
static json_t *owners_json(struct http_req *r, const char *chosen) {
  const struct pack *p = web_pack(r);
  json_t *list = json_array(), *seen = json_object();
  for (size_t i = 0; i < pack_services(p); i++) {
    const char *code = owner_code(p, pack_service(p, i));
    if (json_object_get(seen, code)) continue;
    json_object_set_new(seen, code, json_true());
    json_t *o = json_object();
    put(o, "value", code);
    put(o, "label", service_owner_name(p, pack_service(p, i), http_lang(r)));
    put_flag(o, "chosen", base_same(chosen, code));
    json_array_append_new(list, o);
  }
  json_decref(seen);
  return list;
}

static void get_services(struct http_req *r) {
  const struct pack *p = web_pack(r);
  const char *q = http_query(r, "q"), *org = http_query(r, "organisation"), *event = http_query(r, "life_event"), *heading = say(r, "all_services");
  json_t *items = json_array(), *events = json_array();
  struct text title;
  if (q && !q[0]) q = NULL;
  if (org && !org[0]) org = NULL;
  if (event && !event[0]) event = NULL;
  for (size_t i = 0; i < pack_life_events(p); i++) {
    const char *code = pack_life_event(p, i, &title);
    if (base_same(code, event)) heading = text_in(&title, http_lang(r));
    json_t *o = json_object();
    put(o, "value", code);
    put(o, "label", text_in(&title, http_lang(r)));
    put_flag(o, "chosen", base_same(code, event));
    json_array_append_new(events, o);
  }
  const struct directory *d = pack_directory(p);
  const struct organisation *of = directory_organisation(d, org ? directory_find_organisation(d, org) : -1);
  if (of && !event) heading = organisation_name(of, http_lang(r));
  json_t *page = page_new(web_of(r), r, q ? say(r, "search_results") : heading, false);
  crumb(page, "/", say(r, "home"));
  put_flag(page, "narrowed", !q && (org || event));
  put(page, "q", q);
  put(page, "corrected", NULL);
  if (q) list_search(r, q, page, items);
  for (size_t i = 0; !q && i < pack_services(p); i++) {
    const struct service *s = pack_service(p, i);
    if ((!org || strcmp(org, owner_code(p, s)) == 0) && (!event || of_event(s, event))) json_array_append_new(items, card(r, s));
  }
  put(page, "found", word_fill(http_arena(r), http_lang(r), "web.found", "n", number_format(http_arena(r), http_lang(r), (int64_t)json_array_size(items)), NULL));
  put_list(page, "items", items);
  put_list(page, "event_options", events);
  put_list(page, "owner_options", owners_json(r, org));
  page_reply(web_of(r), r, 200, "services", page);
}

/* ---- one service ---- */

static json_t *texts_json(const struct texts *t, enum lang l) {
  json_t *list = json_array();
  for (size_t i = 0; i < t->count; i++) json_array_append_new(list, json_string(text_in(&t->items[i], l)));
  return list;
}

static json_t *fees_json(struct http_req *r, const struct service *s) {
  json_t *list = json_array();
  for (size_t i = 0; i < s->fee_count; i++) {
    json_t *o = json_object();
    put(o, "label", text_in(&s->fees[i].label, http_lang(r)));
    put(o, "amount", s->fees[i].rial ? money_format(http_arena(r), http_lang(r), s->fees[i].rial) : say(r, "free"));
    json_array_append_new(list, o);
  }
  return list;
}

static const char *coded(struct http_req *r, const char *group, const char *code) {
  char key[96];
  snprintf(key, sizeof key, "web.%s_%s", group, code ? code : "");
  for (char *p = key; *p; p++) *p = (char)tolower((unsigned char)*p);
  return word_known(key) ? word(http_lang(r), key) : code;
}

static json_t *stages_json(struct http_req *r, const struct service *s) {
  static const char *const names[] = {"information", "request", "follow_up", "delivery"};
  json_t *list = json_array();
  for (size_t i = 0; i < 4; i++) {
    const char *all = NULL;
    for (size_t k = 0; k < s->stage_counts[i]; k++) {
      const char *one = coded(r, "channel", s->stages[i][k]);
      all = all ? arena_printf(http_arena(r), "%s%s%s", all, http_lang(r) == LANG_FA ? "، " : ", ", one) : one;
    }
    if (!all) continue;
    json_t *o = json_object();
    put(o, "stage", coded(r, "stage", names[i]));
    put(o, "channels", all);
    json_array_append_new(list, o);
  }
  return list;
}

static void row(json_t *list, const char *label, const char *text) {
  if (!text || !text[0]) return;
  json_t *o = json_object();
  put(o, "label", label);
  put(o, "text", text);
  json_array_append_new(list, o);
}

static json_t *identity_rows(struct http_req *r, const struct service *s) {
  json_t *list = json_array();
  const struct pack *p = web_pack(r);
  enum lang l = http_lang(r);
  struct arena *a = http_arena(r);
  row(list, say(r, "id_code"), local(r, s->identifier));
  row(list, say(r, "id_owner"), service_owner_name(p, s, l));
  row(list, say(r, "id_type"), coded(r, "type", s->type));
  row(list, say(r, "id_nature"), coded(r, "nature", s->nature));
  row(list, say(r, "id_level"), coded(r, "level", s->level));
  row(list, say(r, "id_starts"), coded(r, "starts", s->starts));
  row(list, say(r, "id_frequency"), coded(r, "frequency", s->frequency));
  if (s->volume) row(list, say(r, "id_volume"), arena_printf(a, "%s %s", number_format(a, l, s->volume), coded(r, "per", s->volume_per)));
  if (s->mean_days) row(list, say(r, "id_mean"), word_fill(a, l, "web.days", "n", number_format(a, l, s->mean_days), NULL));
  row(list, say(r, "id_visits"), number_format(a, l, s->visits));
  row(list, say(r, "id_version"), word_fill(a, l, "web.version_from", "n", number_format(a, l, s->version), "date", date_long(a, l, s->valid_from), NULL));
  return list;
}

static json_t *faqs_json(const struct service *s, enum lang l) {
  json_t *list = json_array();
  for (size_t i = 0; i < s->faq_count; i++) {
    json_t *o = json_object();
    put(o, "q", text_in(&s->faqs[i].q, l));
    put(o, "a", text_in(&s->faqs[i].a, l));
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *inquiries_json(struct http_req *r, const struct service *s) {
  json_t *list = json_array();
  for (size_t i = 0; i < s->inquiry_count; i++) {
    json_t *o = json_object();
    const struct organisation *to = directory_organisation(pack_directory(web_pack(r)), s->inquiries[i].organisation);
    put(o, "name", text_in(&s->inquiries[i].title, http_lang(r)));
    put(o, "who", to ? organisation_name(to, http_lang(r)) : NULL);
    json_array_append_new(list, o);
  }
  return list;
}

static void get_service(struct http_req *r) {
  const struct service *s = pack_find_shown(web_pack(r), http_param(r, "code"));
  enum lang l = http_lang(r);
  struct arena *a = http_arena(r);
  if (!s) return http_problem_code(r, ERR_NOT_FOUND, say(r, "no_service"));
  json_t *page = page_new(web_of(r), r, text_in(&s->title, l), false);
  crumb(page, "/", say(r, "home"));
  for (size_t i = 0; s->life_event_count && i < pack_life_events(web_pack(r)); i++) {
    struct text title;
    if (strcmp(pack_life_event(web_pack(r), i, &title), s->life_events[0]) == 0)
      crumb(page, arena_printf(a, "/services?life_event=%s", s->life_events[0]), text_in(&title, l));
  }
  put(page, "code", s->code);
  put(page, "about", text_in(&s->description, l));
  put(page, "recipients", text_in(&s->recipients, l));
  put(page, "statement", text_in(&s->statement, l));
  put(page, "owner", service_owner_name(web_pack(r), s, l));
  put_flag(page, "by_place", s->organisation < 0);
  put(page, "cost", text_in(&s->cost_text, l));
  put(page, "norm", s->norm > 0 ? number_format(a, l, s->norm) : NULL);
  put(page, "legal", s->legal > 0 ? number_format(a, l, s->legal) : NULL);
  put(page, "appeal", s->appeal_days > 0 ? number_format(a, l, s->appeal_days) : NULL);
  const char *not_now = coming(r, s);
  bool begun = !not_now;
  put(page, "coming", not_now);
  bool here = begun && s->web >= CHANNEL_START && !s->handled_external;
  put_flag(page, "online", here);
  put_flag(page, "by_ussd", begun && s->ussd >= CHANNEL_START);
  put_flag(page, "by_counter", begun && s->counter != CHANNEL_NONE);
  put_flag(page, "is_external", s->handled_external);
  put_flag(page, "staff_only", s->staff_only);
  put_flag(page, "can_start", here && (!s->staff_only || web_actor(r)->kind == ACTOR_STAFF));
  put(page, "menu", s->ussd_code ? local(r, s->ussd_code) : NULL);
  put_list(page, "documents", texts_json(&s->documents, l));
  put_list(page, "laws", texts_json(&s->laws, l));
  put_list(page, "fees", fees_json(r, s));
  put_list(page, "stages", stages_json(r, s));
  put_list(page, "identity", identity_rows(r, s));
  put_list(page, "faqs", faqs_json(s, l));
  put_list(page, "inquiries", inquiries_json(r, s));
  page_reply(web_of(r), r, 200, "service", page);
}

const struct http_route web_catalogue_rows[] = {
  {"GET", "/", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_home, "Search, life events, most used services, tracking."},
  {"GET", "/services", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_services, "The catalogue, by words, life event or organisation."},
  {"GET", "/services/{code}", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_service, "A service: for whom, how long, cost, documents, law, start."},
};
const size_t web_catalogue_count = BASE_COUNT(web_catalogue_rows);
