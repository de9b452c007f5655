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
  put(o, "applicant", json_str(one, "applicant_name"));
  put_flag(o, "fresh", json_flag(one, "new_documents", false));
  put_flag(o, "stopped", stopped);
  put_flag(o, "late", late);
  put_flag(o, "soon", left && !late && !stopped && json_integer_value(left) <= CASES_SOON);
  put(o, "left", left ? show_left(r, json_integer_value(left)) : NULL);
  return o;
}

/* ---- what is chosen ---- */

struct choice_of_desk {
  const char *organisation, *view, *service, *state, *q;
  const char *absent;          /* with the view "deputy": in whose place */
  json_t *absences, *searches; /* of this desk; may be NULL */
};

static const struct view { const char *name, *counted; } views[] = {
  {"open", "open"}, {"mine", "mine"}, {"unit", NULL}, {"free", "free"}, {"soon", "soon"}, {"late", "late"}, {"escalated", "escalated"}, {"waiting", "stopped"}, {"appeals", "appealed"}, {"closed", NULL}};

static const char *view_of(const char *name) {
  if (base_same(name, "deputy")) return "deputy";
  for (size_t i = 0; i < BASE_COUNT(views); i++)
    if (base_same(name, views[i].name)) return views[i].name;
  return views[0].name;
}

/* The address of the same desk with another view, or of the page after a mark. */
static const char *desk_address(struct http_req *r, const struct choice_of_desk *k, const char *view, const char *after) {
  const struct { const char *name, *value; } parts[] = {{"view", view}, {"absent", strcmp(view, "deputy") == 0 ? k->absent : NULL}, {"service", k->service}, {"state", k->state}, {"q", after ? k->q : NULL}, {"after", after}};
  const char *to = arena_printf(http_arena(r), "/desk?organisation=%s", url_quote(r, k->organisation));
  for (size_t i = 0; i < BASE_COUNT(parts) && to; i++)
    if (parts[i].value) to = arena_printf(http_arena(r), "%s&%s=%s", to, parts[i].name, url_quote(r, parts[i].value));
  return to;
}

/* One queue more for each colleague in whose place one stands. */
static void put_places(struct http_req *r, const struct choice_of_desk *k, json_t *list) {
  const json_t *one;
  size_t i;
  json_array_foreach(k->absences, i, one) {
    if (!json_flag(one, "now", false) || !base_same(json_str(one, "deputy"), web_actor(r)->username)) continue;
    json_t *o = json_object(), *found = NULL;
    struct choice_of_desk there = *k;
    struct case_query q = {.organisation = k->organisation, .assignee = json_str(one, "username"), .overdue = -1, .open = 1, .limit = 100};
    struct err err;
    there.absent = json_str(one, "username");
    if (cases_desk(web_of(r)->cases, web_actor(r), &q, http_lang(r), &found, &err)) found = NULL;
    const char *n = number_format(http_arena(r), http_lang(r), (int64_t)json_array_size(json_object_get(found, "items")));
    put(o, "href", desk_address(r, &there, "deputy", NULL));
    put(o, "name", in_place(r, there.absent));
    put(o, "count", json_str(found, "next") ? arena_printf(http_arena(r), "%s+", n) : n);
    put_flag(o, "here", !k->q && strcmp(k->view, "deputy") == 0 && base_same(k->absent, there.absent));
    put_flag(o, "alarm", false);
    json_array_append_new(list, o);
    json_decref(found);
  }
}

/* Is this what is shown now? */
static bool shown_now(const struct choice_of_desk *k, const json_t *search) {
  return base_same(k->view, json_str(search, "view")) && base_same(k->service, json_str(search, "service")) && base_same(k->state, json_str(search, "state")) &&
         base_same(k->q, json_str(search, "q"));
}

static const char *search_href(struct http_req *r, const struct choice_of_desk *k, const json_t *search) {
  const struct choice_of_desk there = {.organisation = k->organisation, .service = json_str(search, "service"), .state = json_str(search, "state")};
  const char *to = desk_address(r, &there, json_str(search, "view"), NULL), *q = json_str(search, "q");
  return q ? arena_printf(http_arena(r), "%s&q=%s", to, url_quote(r, q)) : to;
}

/* One queue more for each search that is kept. */
static void put_searches(struct http_req *r, const struct choice_of_desk *k, json_t *list) {
  const json_t *one;
  size_t i;
  json_array_foreach(k->searches, i, one) {
    json_t *o = json_object(), *count = json_object_get(one, "count");
    put(o, "href", search_href(r, k, one));
    put(o, "name", json_str(one, "name"));
    put(o, "count", json_is_integer(count) ? number_format(http_arena(r), http_lang(r), json_integer_value(count)) : NULL);
    put_flag(o, "here", shown_now(k, one));
    put_flag(o, "alarm", false);
    json_array_append_new(list, o);
  }
}

/* What is shown can be kept under a name, or is kept and can be let go. */
static void put_keeping(struct http_req *r, json_t *page, const struct choice_of_desk *k) {
  const struct actor *who = web_actor(r);
  const json_t *one, *kept = NULL;
  size_t i;
  bool leads = actor_has_role(who, k->organisation, STAFF_SUPERVISOR) || actor_has_role(who, k->organisation, STAFF_MANAGER), shared = false;
  json_array_foreach(k->searches, i, one) if (!kept && shown_now(k, one)) kept = one;
  shared = json_flag(kept, "shared", false);
  put_flag(page, "can_keep", k->searches && !kept && strcmp(k->view, "deputy") != 0 && (k->service || k->state || k->q));
  put_flag(page, "can_share", leads);
  put(page, "kept", kept && (!shared || leads) ? json_str(kept, "id") : NULL);
  put(page, "kept_name", json_str(kept, "name"));
  put_flag(page, "keep_refused", http_query(r, "unkept") != NULL);
}

/* The sentence for somebody who is recorded as away today; NULL: they are not. */
static const char *away_text(struct http_req *r, const json_t *absences) {
  const json_t *one;
  size_t i;
  json_array_foreach(absences, i, one)
    if (json_flag(one, "now", false) && base_same(json_str(one, "username"), web_actor(r)->username))
      return word_fill(http_arena(r), http_lang(r), "web.you_are_away", "until", show_iso_day(r, json_str(one, "until")), "deputy", json_str(one, "deputy"), NULL);
  return NULL;
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
  bool more = json_int(counts, "open", 0) >= CASES_COUNTED, kept = false;
  const json_t *one;
  size_t at;
  json_array_foreach(k->searches, at, one) kept = kept || shown_now(k, one);
  for (size_t i = 0; i < BASE_COUNT(views); i++) {
    if (strcmp(views[i].name, "unit") == 0 && !unit_of(r, k->organisation)) continue;
    json_t *o = json_object();
    const char *n = views[i].counted ? number_format(http_arena(r), http_lang(r), json_int(counts, views[i].counted, 0)) : NULL;
    put(o, "href", desk_address(r, k, views[i].name, NULL));
    put(o, "name", say(r, arena_printf(http_arena(r), "desk_%s", views[i].name)));
    put(o, "count", n && more ? arena_printf(http_arena(r), "%s+", n) : n);
    put_flag(o, "here", !kept && !k->q && strcmp(k->view, views[i].name) == 0);
    put_flag(o, "alarm", (strcmp(views[i].name, "late") == 0 || strcmp(views[i].name, "escalated") == 0) && json_int(counts, views[i].counted, 0) > 0);
    json_array_append_new(list, o);
  }
  put_places(r, k, list);
  put_searches(r, k, list);
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
  put_flag(page, "works", leads || actor_has_role(who, k->organisation, STAFF_OFFICER));
  put_flag(page, "chooses", (leads || actor_has_role(who, k->organisation, STAFF_OFFICER)) && strcmp(k->view, "closed") != 0);
  put(page, "key", fresh_key(r));
  put_list(page, "colleagues", hands_out ? colleagues_json(r, k->organisation) : json_array());
}

/* How many letters wait for this person's initials or signature. */
static void put_waiting(struct http_req *r, json_t *page, const char *organisation) {
  json_t *out = NULL;
  struct err err;
  size_t n = 0, received = 0;
  if (actor_in(web_actor(r), organisation) && cases_letter_queue(web_of(r)->cases, web_actor(r), organisation, http_lang(r), &out, &err) == 0) {
    n = json_array_size(json_object_get(out, "waiting"));
    received = json_array_size(json_object_get(out, "received"));
  }
  put(page, "letters_href", arena_printf(http_arena(r), "/desk/letters?organisation=%s", url_quote(r, organisation)));
  put(page, "letters_waiting", n ? number_format(http_arena(r), http_lang(r), (int64_t)n) : NULL);
  put_flag(page, "letters_received", received > 0);
  json_decref(out);
}

static void show_desk(struct http_req *r, const struct choice_of_desk *k, const json_t *counts, const json_t *found) {
  json_t *list = json_array(), *desks = desks_json(r, k->organisation), *one, *page = page_new(web_of(r), r, say(r, "desk"), true);
  const char *next = json_str(found, "next");
  size_t i;
  json_array_foreach(json_object_get(found, "items"), i, one) json_array_append_new(list, item_json(r, one));
  put(page, "q", k->q);
  put(page, "view", k->view);
  put(page, "absent", strcmp(k->view, "deputy") == 0 ? k->absent : NULL);
  put(page, "away", away_text(r, k->absences));
  put(page, "organisation", k->organisation);
  put_flag(page, "many_desks", json_array_size(desks) > 1);
  put(page, "next_href", next ? desk_address(r, k, k->view, next) : NULL);
  put_filters(r, page, k, counts);
  put_list(page, "views", views_json(r, k, counts));
  put_list(page, "desks", desks);
  put_list(page, "items", list);
  put_acts(r, page, k);
  put_undelivered(r, page, k->organisation);
  put_rights_due(r, page, k->organisation);
  const struct actor *who = web_actor(r);
  put_flag(page, "leads_any", actor_has_role(who, NULL, STAFF_SUPERVISOR) || actor_has_role(who, NULL, STAFF_MANAGER) || actor_has_role(who, NULL, STAFF_AUDITOR));
  put_waiting(r, page, k->organisation);
  put_keeping(r, page, k);
  page_reply(web_of(r), r, 200, "desk", page);
}

static void get_desk(struct http_req *r) {
  const struct actor *who = web_actor(r);
  struct choice_of_desk k = {.organisation = filled(r, "organisation"), .view = view_of(filled(r, "view")), .service = filled(r, "service"),
                             .state = filled(r, "state"), .q = filled(r, "q"), .absent = filled(r, "absent")};
  if (!k.organisation) k.organisation = who->role_count ? who->roles[0].organisation : "";
  struct case_query q = {.organisation = k.organisation, .q = k.q, .service = k.service, .state = k.state, .after = filled(r, "after"), .overdue = -1, .open = 1, .limit = 50};
  if (!cases_queue(k.view, who, &q)) q.assignee = k.absent ? k.absent : ""; /* of a colleague who is away */
  json_t *found = NULL, *counts = NULL;
  struct err err;
  if (actor_in(who, k.organisation) && cases_searches(web_of(r)->cases, who, k.organisation, &k.searches, &err)) k.searches = NULL;
  if (actor_in(who, k.organisation) && cases_absences(web_of(r)->cases, who, k.organisation, &k.absences, &err)) k.absences = NULL;
  if (cases_desk(web_of(r)->cases, who, &q, http_lang(r), &found, &err) || cases_desk_counts(web_of(r)->cases, who, k.organisation, CASES_SOON, &counts, &err)) web_error(r, &err);
  else show_desk(r, &k, counts, found);
  json_decref(found);
  json_decref(counts);
  json_decref(k.absences);
  json_decref(k.searches);
}

static const char *form_value(struct http_req *r, const char *name) {
  const char *v = http_form_value(r, name);
  v = v && v[0] && utf8_valid(v, strlen(v)) ? text_repair(http_arena(r), v) : NULL;
  return v && v[0] ? v : NULL;
}

static void post_search(struct http_req *r) {
  struct desk_search s = {.organisation = form_value(r, "organisation"), .name = form_value(r, "name"), .view = view_of(form_value(r, "view")),
                          .service = form_value(r, "service"), .state = form_value(r, "state"), .q = form_value(r, "q"), .key = form_value(r, "key"),
                          .shared = form_value(r, "shared") != NULL};
  struct choice_of_desk k = {.view = s.view, .service = s.service, .state = s.state};
  struct err err;
  if (!s.organisation) s.organisation = web_actor(r)->role_count ? web_actor(r)->roles[0].organisation : "";
  k.organisation = s.organisation;
  const char *back = desk_address(r, &k, k.view, NULL);
  if (s.q) back = arena_printf(http_arena(r), "%s&q=%s", back, url_quote(r, s.q));
  int rc = cases_search_keep(web_of(r)->cases, web_actor(r), &s, &err);
  if (rc == 0) http_redirect(r, 303, back);
  else if (err.code == ERR_INVALID || err.code == ERR_LIMIT) http_redirect(r, 303, arena_printf(http_arena(r), "%s&unkept=1", back));
  else web_error(r, &err);
}

static void post_search_drop(struct http_req *r) {
  const char *organisation = form_value(r, "organisation");
  struct err err;
  if (!organisation) organisation = web_actor(r)->role_count ? web_actor(r)->roles[0].organisation : "";
  if (cases_search_drop(web_of(r)->cases, web_actor(r), organisation, http_param(r, "search"), &err)) return web_error(r, &err);
  http_redirect(r, 303, arena_printf(http_arena(r), "/desk?organisation=%s", url_quote(r, organisation)));
}

const struct http_route web_desk_rows[] = {
  {"POST", "/desk/searches", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_search, "Keep a search under a name."},
  {"POST", "/desk/searches/{search}/drop", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_search_drop, "Let a kept search go."},
  {"GET", "/desk", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_desk, "Staff: the cases of their organisation, in queues."},
};
const size_t web_desk_count = BASE_COUNT(web_desk_rows);
