/* What the citizen of a case reads besides its state: last days, what comes next, inquiries, complaints, the survey. */
#include "channels/web/inside.h"

#include <string.h>

static json_t *survey_json(struct http_req *r) {
  const struct survey *s = pack_survey(web_pack(r));
  json_t *list = json_array();
  for (size_t i = 0; i < s->count; i++) {
    json_t *o = json_object();
    put(o, "item", s->items[i].name);
    put(o, "text", text_in(&s->items[i].title, http_lang(r)));
    put_flag(o, "yes_no", s->items[i].yes_no);
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *complaints_json(struct http_req *r, const json_t *view) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(json_object_get(view, "complaints"), i, one) {
    json_t *o = json_object();
    bool open = base_same(json_str(one, "result"), "open");
    put(o, "href", arena_printf(http_arena(r), "/cases/%s", json_str(one, "tracking")));
    put(o, "code", show_code(r, json_str(one, "tracking")));
    put(o, "name", json_str(one, "service_title"));
    put(o, "state", json_str(one, "state_title"));
    put(o, "result", json_str(one, "result"));
    put(o, "holder", json_str(json_object_get(one, "holder"), "name"));
    put(o, "due", open ? show_iso_day(r, json_str(json_object_get(one, "due"), "legal")) : NULL);
    json_array_append_new(list, o);
  }
  return list;
}

/* The service that takes complaints about this case: where such a one is open already, or this is one, there is nothing to offer. */
static const char *complain_href(struct http_req *r, const json_t *view, const struct service *s) {
  const struct pack *p = web_pack(r);
  const json_t *one;
  size_t i;
  json_array_foreach(json_object_get(view, "complaints"), i, one)
    if (base_same(json_str(one, "result"), "open")) return NULL;
  for (i = 0; i < pack_services(p) && s && !s->about_field && !s->mandate.present; i++) {
    const struct service *to = pack_service(p, i);
    if (to->about_field && to->web == CHANNEL_FULL && service_begun(to)) return arena_printf(http_arena(r), "/services/%s/apply?about=%s", to->code, json_str(view, "tracking"));
  }
  return NULL;
}

static bool reported(const json_t *view) {
  const json_t *one;
  size_t i;
  json_array_foreach(json_object_get(view, "events"), i, one)
    if (base_same(json_str(one, "action"), "escalate")) return true;
  return false;
}

/* To the citizen an event is a sentence: who did what. */
void put_told(struct http_req *r, json_t *event, const char *action, const char *organisation) {
  char key[64];
  snprintf(key, sizeof key, "web.told_%.40s", action);
  put_flag(event, "plainly", word_known(key));
  if (!word_known(key)) return;
  put(event, "title", word_fill(http_arena(r), http_lang(r), key, "who", organisation ? organisation : say(r, "told_system"), NULL));
  put(event, "state", NULL);
}

void put_follow(struct http_req *r, json_t *page, const json_t *view, const struct service *s, bool citizen) {
  const char *right = json_str(view, "right"), *about = json_str(view, "about");
  bool late = json_flag(json_object_get(view, "clock"), "overdue", false), erased = right && s && json_is_null(json_object_get(view, "data"));
  put(page, "appeal_until", show_iso_day(r, json_str(view, "appeal_until")));
  put(page, "reopen_until", show_iso_day(r, json_str(view, "reopen_until")));
  put_flag(page, "late_told", citizen && late && reported(view));
  put_flag(page, "is_erased", erased);
  put_flag(page, "nothing_now", citizen && json_flag(page, "is_open", false) && !json_flag(page, "waits_for_you", false));
  put_list(page, "complaints", complaints_json(r, view));
  put(page, "about_href", about ? arena_printf(http_arena(r), "/cases/%s", about) : NULL);
  put(page, "about_code", about ? show_code(r, about) : NULL);
  put(page, "complain", citizen && !erased && !base_same(json_str(view, "result"), "withdrawn") ? complain_href(r, view, s) : NULL);
  put_list(page, "survey", survey_json(r));
}
