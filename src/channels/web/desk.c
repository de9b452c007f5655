/* The desk: an organisation's cases in queues, narrowed by service and state; everything that is chosen stands in the address. */
#include "channels/web/inside.h"

#include <string.h>

static json_t *desks_json(struct http_req *r, const char *chosen) {
  const struct actor *who = web_actor(r);
  const struct directory *d = pack_directory(web_pack(r));
  json_t *list = json_array();
  for (unsigned i = 0; i < who->role_count; i++) {
    const char *code = who->roles[i].organisation;
    const struct organisation *o = directory_organisation(d, directory_find_organisation(d, code));
    bool seen = false;
    for (unsigned k = 0; k < i; k++) seen = seen || strcmp(who->roles[k].organisation, code) == 0;
    if (seen) continue;
    json_t *one = json_object();
    put(one, "value", code);
    put(one, "label", o ? organisation_name(o, http_lang(r)) : code);
    put_flag(one, "chosen", base_same(code, chosen));
    json_array_append_new(list, one);
  }
  return list;
}

static const char *filled(struct http_req *r, const char *name) {
  const char *v = http_query(r, name);
  return v && v[0] ? v : NULL;
}

enum { SOON = 3 }; /* working days */

static json_t *item_json(struct http_req *r, const json_t *one) {
  json_t *o = json_object(), *left = json_object_get(one, "days_left");
  bool late = json_flag(one, "overdue", false), open = base_same(json_str(one, "result"), "open");
  const struct state *st = open ? item_state(r, one) : NULL;
  bool stopped = st && st->citizen, waits = waits_for_citizen(st);
  put(o, "href", arena_printf(http_arena(r), "/cases/%s", json_str(one, "tracking")));
  put(o, "code", show_code(r, json_str(one, "tracking")));
  put(o, "choice", arena_printf(http_arena(r), "%s:%lld", json_str(one, "tracking"), (long long)json_int(one, "version", 0)));
  put(o, "name", json_str(one, "service_title"));
  put(o, "state", waits ? say(r, "waits_applicant") : json_str(one, "state_title"));
  put(o, "result", json_str(one, "result"));
  put(o, "since", show_day_short(r, json_str(one, "submitted_at")));
  put(o, "assignee", json_str(one, "assignee"));
  put_flag(o, "stopped", stopped);
  put_flag(o, "late", late);
  put_flag(o, "soon", left && !late && !stopped && json_integer_value(left) <= SOON);
  put(o, "left", left ? show_left(r, json_integer_value(left)) : NULL);
  return o;
}

/* ---- what is chosen ---- */

struct choice_of_desk {
  const char *organisation, *view, *service, *state, *q;
};

static const struct view { const char *name, *counted; } views[] = {
  {"open", "open"}, {"mine", "mine"}, {"unit", NULL}, {"free", "free"}, {"soon", "soon"}, {"late", "late"}, {"waiting", "stopped"}, {"appeals", "appealed"}, {"closed", NULL}};

static const char *view_of(const char *name) {
  for (size_t i = 0; i < BASE_COUNT(views); i++)
    if (base_same(name, views[i].name)) return views[i].name;
  return views[0].name;
}

/* The address of the same desk with another view, or of the page after a mark. */
static const char *desk_address(struct http_req *r, const struct choice_of_desk *k, const char *view, const char *after) {
  const struct { const char *name, *value; } parts[] = {{"view", view}, {"service", k->service}, {"state", k->state}, {"q", after ? k->q : NULL}, {"after", after}};
  const char *to = arena_printf(http_arena(r), "/desk?organisation=%s", url_quote(r, k->organisation));
  for (size_t i = 0; i < BASE_COUNT(parts) && to; i++)
    if (parts[i].value) to = arena_printf(http_arena(r), "%s&%s=%s", to, parts[i].name, url_quote(r, parts[i].value));
  return to;
}

/* Where the officer belongs in an organisation, or NULL. */
static const char *unit_of(struct http_req *r, const char *organisation) {
  const struct actor *who = web_actor(r);
  for (unsigned i = 0; i < who->role_count; i++)
    if (strcmp(who->roles[i].organisation, organisation) == 0 && who->roles[i].unit[0]) return who->roles[i].unit;
  return NULL;
}

static json_t *views_json(struct http_req *r, const struct choice_of_desk *k, const json_t *counts) {
  json_t *list = json_array();
  bool more = json_int(counts, "open", 0) >= CASES_COUNTED;
  for (size_t i = 0; i < BASE_COUNT(views); i++) {
    if (strcmp(views[i].name, "unit") == 0 && !unit_of(r, k->organisation)) continue;
    json_t *o = json_object();
    const char *n = views[i].counted ? number_format(http_arena(r), http_lang(r), json_int(counts, views[i].counted, 0)) : NULL;
    put(o, "href", desk_address(r, k, views[i].name, NULL));
    put(o, "name", say(r, arena_printf(http_arena(r), "desk_%s", views[i].name)));
    put(o, "count", n && more ? arena_printf(http_arena(r), "%s+", n) : n);
    put_flag(o, "here", !k->q && strcmp(k->view, views[i].name) == 0);
    put_flag(o, "alarm", strcmp(views[i].name, "late") == 0 && json_int(counts, "late", 0) > 0);
    json_array_append_new(list, o);
  }
  return list;
}

static void add_option(json_t *list, json_t *seen, const char *value, const char *label, const char *chosen) {
  if (!value || !label || json_object_get(seen, value)) return;
  json_object_set_new(seen, value, json_true());
  json_t *o = json_object();
  put(o, "value", value);
  put(o, "label", label);
  put_flag(o, "chosen", base_same(value, chosen));
  json_array_append_new(list, o);
}

/* Services and states that stand on this desk now, and whatever was chosen. */
static void put_filters(struct http_req *r, json_t *page, const struct choice_of_desk *k, const json_t *counts) {
  json_t *services = json_array(), *states = json_array(), *seen = json_object(), *met = json_object(), *one;
  size_t i;
  json_array_foreach(json_object_get(counts, "kinds"), i, one) {
    const struct pack *p;
    const struct service *s = cases_definition(web_of(r)->cases, one, &p);
    const struct state *st = item_state(r, one);
    if (s) add_option(services, seen, s->code, text_in(&s->title, http_lang(r)), k->service);
    if (st && (!k->service || base_same(k->service, json_str(one, "service"))))
      add_option(states, met, json_str(one, "state"), waits_for_citizen(st) ? say(r, "waits_applicant") : text_in(&st->title, http_lang(r)), k->state);
  }
  const struct service *s = k->service ? pack_find(web_pack(r), k->service) : NULL;
  if (s) add_option(services, seen, s->code, text_in(&s->title, http_lang(r)), k->service);
  if (k->state) add_option(states, met, k->state, k->state, k->state);
  json_decref(seen);
  json_decref(met);
  put_list(page, "service_options", services);
  put_list(page, "state_options", states);
  put(page, "service", k->service);
  put(page, "state", k->state);
  put(page, "clear_href", k->service || k->state || k->q ? arena_printf(http_arena(r), "/desk?organisation=%s&view=%s", url_quote(r, k->organisation), k->view) : NULL);
}

/* The next case for whoever works on cases here; those in charge hand out many at once. */
static void put_acts(struct http_req *r, json_t *page, const struct choice_of_desk *k) {
  const struct actor *who = web_actor(r);
  bool leads = actor_has_role(who, k->organisation, STAFF_SUPERVISOR) || actor_has_role(who, k->organisation, STAFF_MANAGER);
  bool hands_out = leads && strcmp(k->view, "closed") != 0;
  put_flag(page, "takes", leads || actor_has_role(who, k->organisation, STAFF_OFFICER));
  put(page, "export_href", actor_has_role(who, k->organisation, STAFF_MANAGER) ? arena_printf(http_arena(r), "/desk/export?organisation=%s", url_quote(r, k->organisation)) : NULL);
  put_flag(page, "nothing", http_query(r, "nothing") != NULL);
  put_flag(page, "unchosen", http_query(r, "unchosen") != NULL);
  put_flag(page, "hands_out", hands_out);
  put_flag(page, "chooses", (leads || actor_has_role(who, k->organisation, STAFF_OFFICER)) && strcmp(k->view, "closed") != 0);
  put(page, "key", fresh_key(r));
  put_list(page, "colleagues", hands_out ? colleagues_json(r, k->organisation) : json_array());
}

static void show_desk(struct http_req *r, const struct choice_of_desk *k, const json_t *counts, const json_t *found) {
  json_t *list = json_array(), *desks = desks_json(r, k->organisation), *one, *page = page_new(web_of(r), r, say(r, "desk"), true);
  const char *next = json_str(found, "next");
  size_t i;
  json_array_foreach(json_object_get(found, "items"), i, one) json_array_append_new(list, item_json(r, one));
  put(page, "q", k->q);
  put(page, "view", k->view);
  put(page, "organisation", k->organisation);
  put_flag(page, "many_desks", json_array_size(desks) > 1);
  put(page, "next_href", next ? desk_address(r, k, k->view, next) : NULL);
  put_filters(r, page, k, counts);
  put_list(page, "views", views_json(r, k, counts));
  put_list(page, "desks", desks);
  put_list(page, "items", list);
  put_acts(r, page, k);
  put_undelivered(r, page, k->organisation);
  page_reply(web_of(r), r, 200, "desk", page);
}

static void get_desk(struct http_req *r) {
  const struct actor *who = web_actor(r);
  struct choice_of_desk k = {.organisation = filled(r, "organisation"), .view = view_of(filled(r, "view")), .service = filled(r, "service"),
                             .state = filled(r, "state"), .q = filled(r, "q")};
  if (!k.organisation) k.organisation = who->role_count ? who->roles[0].organisation : "";
  struct case_query q = {.organisation = k.organisation, .q = k.q, .service = k.service, .state = k.state, .after = filled(r, "after"), .overdue = -1, .open = 1, .limit = 50};
  if (k.q) q.open = -1; /* looks through all queues */
  else if (strcmp(k.view, "mine") == 0) q.assignee = who->username;
  else if (strcmp(k.view, "unit") == 0) q.unit = unit_of(r, k.organisation);
  else if (strcmp(k.view, "free") == 0) q.assignee = "none";
  else if (strcmp(k.view, "soon") == 0) q.soon = SOON;
  else if (strcmp(k.view, "late") == 0) q.overdue = 1;
  else if (strcmp(k.view, "waiting") == 0) q.stopped = 1;
  else if (strcmp(k.view, "appeals") == 0) q.appealed = 1;
  else if (strcmp(k.view, "closed") == 0) q.open = 0;
  json_t *found = NULL, *counts = NULL;
  struct err err;
  if (cases_desk(web_of(r)->cases, who, &q, http_lang(r), &found, &err) || cases_desk_counts(web_of(r)->cases, who, k.organisation, SOON, &counts, &err)) web_error(r, &err);
  else show_desk(r, &k, counts, found);
  json_decref(found);
  json_decref(counts);
}

const struct http_route web_desk_rows[] = {
  {"GET", "/desk", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_desk, "Staff: the cases of their organisation, in queues."},
};
const size_t web_desk_count = BASE_COUNT(web_desk_rows);
