/* Applying: eligibility, one screen after another, checking, submitting. Answers stay in a draft. */
#include "channels/web/form.h"

#include <stdlib.h>
#include <string.h>

static bool mentions(const struct cond *c, const char *name) {
  if (!c) return false;
  if (c->field && strcmp(c->field, name) == 0) return true;
  for (size_t i = 0; i < c->count; i++)
    if (mentions(c->items[i], name)) return true;
  return false;
}

static size_t screens_of(const struct service *s, struct screen *out) {
  size_t n = 0;
  for (size_t i = 0; i < s->page_count && n < MOST_SCREENS; i++) {
    const struct page *p = &s->pages[i];
    size_t from = 0;
    for (size_t k = 0; k < p->count && n < MOST_SCREENS; k++) {
      bool cut = false;
      for (size_t e = from; e < k; e++) {
        const char *name = p->fields[e]->name;
        cut = cut || mentions(p->fields[k]->when, name) || (p->fields[k]->place_within && strcmp(p->fields[k]->place_within, name) == 0);
      }
      if (!cut) continue;
      out[n++] = (struct screen){p, from, k - from};
      from = k;
    }
    if (n < MOST_SCREENS && p->count > from) out[n++] = (struct screen){p, from, p->count - from};
  }
  return n;
}

static json_t *part(json_t *doc, const char *name) {
  json_t *o = json_object_get(doc, name);
  if (json_is_object(o)) return o;
  o = json_object();
  json_object_set_new(doc, name, o);
  return o;
}

static json_t *draft_fresh(const struct service *s) {
  unsigned char raw[16];
  char key[40] = "web-";
  json_t *doc = json_object();
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, key + 4);
  json_put(doc, "key", key);
  json_object_set_new(doc, "version", json_integer(s->version));
  return doc;
}

void form_close(struct form *f) { json_decref(f->draft); }

/* Whether the service can be applied for here, by this person; draft loaded. -1 after replying. */
int form_open(struct form *f, struct http_req *r) {
  struct err err;
  const struct actor *who = web_actor(r);
  const struct service *shown = pack_find_shown(web_pack(r), http_param(r, "code"));
  if (shown && (!service_begun(shown) || (strcmp(http_method(r), "POST") != 0 && cases_stopped(web_of(r)->cases, shown->code, http_lang(r), http_arena(r))))) {
    http_redirect(r, 303, arena_printf(http_arena(r), "/services/%s", shown->code));
    return -1;
  }
  *f = (struct form){.r = r, .s = find_service(r)};
  if (!f->s || (http_param(r, "visit") && visit_open(f))) return -1;
  if (!f->visit.owner) f->as = *who;
  if (!f->visit.owner && !f->s->staff_only && actor_has_role(who, NULL, STAFF_AGENT)) { /* an agent files for somebody */
    http_redirect(r, 303, "/counter");
    return -1;
  }
  if ((f->visit.owner ? f->s->counter : f->s->web) < CHANNEL_START || f->s->handled_external || (f->visit.owner && f->s->staff_only)) {
    http_redirect(r, 303, arena_printf(http_arena(r), "/services/%s", f->s->code));
    return -1;
  }
  if ((f->s->staff_only && who->kind != ACTOR_STAFF) || (!f->s->applicant_field && who->kind == ACTOR_NOBODY)) {
    http_redirect(r, 303, arena_printf(http_arena(r), "%s?next=/services/%s/apply", f->s->staff_only ? "/staff" : "/signin", f->s->code));
    return -1;
  }
  f->owner = f->visit.owner ? f->visit.owner : draft_owner(r);
  f->count = screens_of(f->s, f->screens);
  if (f->owner && cases_draft_load(web_of(r)->cases, f->owner, f->s->code, &f->draft, &err) && err.code != ERR_NOT_FOUND) {
    web_error(r, &err);
    return -1;
  }
  if (json_str(f->draft, "submitted")) f->submitted = arena_strdup(http_arena(r), json_str(f->draft, "submitted"));
  if (!f->draft || f->submitted || !json_str(f->draft, "key")) {
    json_decref(f->draft);
    f->draft = draft_fresh(f->s);
  }
  if (json_int(f->draft, "version", 0) != f->s->version) {
    json_object_del(f->draft, "done");
    json_object_set_new(f->draft, "version", json_integer(f->s->version));
  }
  f->data = part(f->draft, "data");
  f->files = part(f->draft, "files");
  return 0;
}

int form_save(struct form *f) {
  struct err err;
  if (!f->owner) {
    http_problem_code(f->r, ERR_FORBIDDEN, NULL);
    return -1;
  }
  if (cases_draft_save(web_of(f->r)->cases, f->owner, f->s->code, f->draft, &err) == 0) return 0;
  web_error(f->r, &err);
  return -1;
}

/* ---- where one stands ---- */

static bool screen_asked(const struct form *f, size_t n) {
  const struct screen *k = &f->screens[n];
  if (!cond_holds(k->page->when, f->data)) return false;
  for (size_t i = 0; i < k->count; i++)
    if (cond_holds(k->page->fields[k->from + i]->when, f->data)) return true;
  return false;
}

static bool screen_complete(const struct form *f, size_t n) {
  char key[16];
  const struct screen *k = &f->screens[n];
  snprintf(key, sizeof key, "%zu", n);
  if (!json_flag(json_object_get(f->draft, "done"), key, false)) return false;
  for (size_t i = 0; i < k->count; i++) {
    const struct field *q = k->page->fields[k->from + i];
    if (q->required && cond_holds(q->when, f->data) && !json_object_get(f->data, q->name)) return false;
  }
  return true;
}

static bool eligible(const struct form *f, const struct eligibility **exit) {
  json_t *given = json_object_get(f->draft, "eligibility");
  *exit = NULL;
  for (size_t i = 0; i < f->s->eligibility_count; i++) {
    const struct eligibility *e = &f->s->eligibility[i];
    if (!cond_holds(e->field.when, given)) continue;
    if (!json_object_get(given, e->field.name)) return false;
    if (cond_holds(e->exit_when, given)) {
      *exit = e;
      return false;
    }
  }
  return true;
}

const char *form_link(const struct form *f, const char *rest) {
  if (f->visit.id) return arena_printf(http_arena(f->r), "/counter/%s/%s/%s", f->visit.id, f->s->code, rest);
  return arena_printf(http_arena(f->r), "/services/%s/%s", f->s->code, rest);
}

/* Where the form was come from. */
static const char *before_form(const struct form *f) {
  return f->visit.id ? arena_printf(http_arena(f->r), "/counter/%s", f->visit.id) : arena_printf(http_arena(f->r), "/services/%s", f->s->code);
}

static const char *screen_link(const struct form *f, size_t n) { return form_link(f, arena_printf(http_arena(f->r), "form/%zu", n + 1)); }

/* First screen at or after `from` that still has to be answered; the checking page when there is none. */
static const char *next_link(const struct form *f, size_t from, bool only_open) {
  const struct eligibility *exit;
  if (!eligible(f, &exit)) return form_link(f, "eligibility");
  for (size_t i = from; i < f->count; i++)
    if (screen_asked(f, i) && (!only_open || !screen_complete(f, i))) return screen_link(f, i);
  for (size_t i = 0; i < from && i < f->count; i++)
    if (screen_asked(f, i) && !screen_complete(f, i)) return screen_link(f, i);
  return form_link(f, "check");
}

/* A complaint begins at the case that it is about. */
static bool take_about(struct form *f) {
  char code[32];
  const char *typed = f->s->about_field ? http_query(f->r, "about") : NULL;
  if (!typed || !f->owner || identifier_parse(IDENT_TRACKING, typed, code) || base_same(json_str(f->data, f->s->about_field), code)) return true;
  json_put(f->data, f->s->about_field, code);
  return form_save(f) == 0;
}

static void get_apply(struct http_req *r) {
  struct form f;
  if (form_open(&f, r)) return;
  if (take_about(&f)) http_redirect(r, 303, next_link(&f, 0, true));
  form_close(&f);
}

json_t *form_page(const struct form *f, const char *title) {
  json_t *page = page_new(web_of(f->r), f->r, title, true);
  put(page, "service", text_in(&f->s->title, http_lang(f->r)));
  put(page, "service_href", before_form(f));
  visit_show(f, page);
  put_flag(page, "signed_out", web_actor(f->r)->kind == ACTOR_NOBODY);
  put(page, "signin_href", arena_printf(http_arena(f->r), "/signin?next=/services/%s/apply", f->s->code));
  return page;
}

/* ---- eligibility ---- */

static void show_eligibility(struct form *f, const char *const *errors, int status) {
  json_t *page = form_page(f, say(f->r, "eligibility_title")), *list = json_array(), *given = json_object_get(f->draft, "eligibility");
  put(page, "back", json_str(page, "service_href"));
  for (size_t i = 0; i < f->s->eligibility_count; i++) {
    const struct field *q = &f->s->eligibility[i].field;
    struct shown_field k = {.field = q, .value = json_object_get(given, q->name), .error = errors ? errors[i] : NULL, .data = given};
    if (k.error) field_fault(f->r, page, q, k.error);
    json_array_append_new(list, field_json(f->r, &k));
  }
  put_list(page, "fields", list);
  page_reply(web_of(f->r), f->r, status, "eligibility", page);
}

static void get_eligibility(struct http_req *r) {
  struct form f;
  if (form_open(&f, r)) return;
  if (!f.s->eligibility_count) http_redirect(r, 303, next_link(&f, 0, true));
  else show_eligibility(&f, NULL, 200);
  form_close(&f);
}

static void post_eligibility(struct http_req *r) {
  struct form f;
  if (form_open(&f, r)) return;
  const char *errors[64] = {0};
  json_t *given = part(f.draft, "eligibility");
  bool wrong = false;
  json_object_clear(given);
  for (size_t i = 0; i < f.s->eligibility_count && i < BASE_COUNT(errors); i++) {
    const struct field *q = &f.s->eligibility[i].field;
    json_t *in = NULL, *out = NULL;
    const char *code, *message = NULL;
    field_take(r, q, NULL, NULL, &in, &message);
    if (field_check(web_pack(r), q, in, given, cases_today(), http_lang(r), http_arena(r), &out, &code, &message)) {
      errors[i] = message;
      wrong = true;
    } else if (out) json_object_set_new(given, q->name, out);
    json_decref(in);
  }
  const struct eligibility *exit = NULL;
  if (wrong) show_eligibility(&f, errors, 422);
  else if (form_save(&f) == 0) {
    if (!eligible(&f, &exit) && exit) http_redirect(r, 303, form_link(&f, "not-eligible"));
    else http_redirect(r, 303, next_link(&f, 0, true));
  }
  form_close(&f);
}

static void get_not_eligible(struct http_req *r) {
  struct form f;
  const struct eligibility *exit = NULL;
  if (form_open(&f, r)) return;
  if (eligible(&f, &exit) || !exit) http_redirect(r, 303, next_link(&f, 0, true));
  else {
    json_t *page = form_page(&f, say(r, "exit_title"));
    put(page, "back", form_link(&f, "eligibility"));
    put(page, "question", text_in(&exit->field.label, http_lang(r)));
    put(page, "exit", text_in(&exit->exit, http_lang(r)));
    page_reply(web_of(r), r, 200, "exit", page);
  }
  form_close(&f);
}

/* ---- what other organisations know: asked once for a draft, and again when the answer by which it is found has changed ---- */

static bool answered_elsewhere(const struct form *f, const struct field *q, const char **by) {
  struct data_source from;
  *by = "";
  if (!q->prefill || !pack_data_source(web_pack(f->r), q, &from) || !from.data->key) return false;
  const char *name = q->prefill_of ? q->prefill_of : from.data->key_type != FIELD_NATIONAL_ID ? from.data->key : NULL;
  if (name && json_str(f->data, name)) *by = json_str(f->data, name);
  return true;
}

/* Only for somebody whose telephone is on record, and about that person alone. */
static bool may_know(const struct form *f) {
  const struct actor *who = &f->as;
  if (who->kind != ACTOR_CITIZEN || who->assurance < ASSURANCE_SIM_MATCHED) return false;
  const char *id = f->s->applicant_field ? json_str(f->data, f->s->applicant_field) : NULL;
  return !id || strcmp(id, actor_national_id(who)) == 0;
}

/* {"value","organisation_name","correctable"} or NULL. */
static const json_t *known_of(const struct form *f, const struct field *q) {
  const char *by;
  if (!may_know(f) || !answered_elsewhere(f, q, &by)) return NULL;
  const json_t *k = json_object_get(json_object_get(f->draft, "known"), q->name);
  return json_object_get(k, "value") && base_same(json_str(k, "by"), by) ? k : NULL;
}

/* {"why","organisation"}: it was asked and not answered, so the person is asked; or NULL. */
static const json_t *missing_of(const struct form *f, const struct field *q) {
  const char *by;
  if (!may_know(f) || !answered_elsewhere(f, q, &by)) return NULL;
  const json_t *k = json_object_get(json_object_get(f->draft, "known"), q->name);
  return json_str(k, "why") && base_same(json_str(k, "by"), by) ? k : NULL;
}

/* Whoever could not be asked is asked again after a minute. */
enum { ASK_AGAIN_MS = 60000 };
static bool was_asked(const json_t *k, const char *by) {
  return base_same(json_str(k, "by"), by) && (!json_str(k, "why") || clock_now() - json_int(k, "at", 0) < ASK_AGAIN_MS);
}

static bool asks_elsewhere(const struct form *f, const struct screen *k) {
  const char *by;
  for (size_t i = 0; i < k->count; i++)
    if (answered_elsewhere(f, k->page->fields[k->from + i], &by)) return true;
  return false;
}

static bool known_asked(const struct form *f, const struct screen *k) {
  const char *by;
  for (size_t i = 0; i < k->count; i++) {
    const struct field *q = k->page->fields[k->from + i];
    if (answered_elsewhere(f, q, &by) && !was_asked(json_object_get(json_object_get(f->draft, "known"), q->name), by)) return false;
  }
  return true;
}

/* Whatever is known is kept in the draft with who says so. Where nobody can be asked, the form asks as before. True when it was asked. */
static bool known_load(struct form *f, size_t n) {
  struct err err;
  json_t *out = NULL, *known = part(f->draft, "known"), *source;
  const char *by;
  size_t i;
  if (!may_know(f) || known_asked(f, &f->screens[n])) return false;
  if (cases_prefill(web_of(f->r)->cases, &f->as, f->s, f->data, http_lang(f->r), &out, &err)) {
    log_write(LOG_WARN, "web", "what is known could not be asked: %s", err.message);
    return false;
  }
  for (i = 0; i < f->s->field_count; i++) {
    if (!answered_elsewhere(f, f->s->fields[i], &by)) continue;
    json_t *o = json_object();
    json_put(o, "by", by);
    json_object_set_new(known, f->s->fields[i]->name, o);
  }
  json_array_foreach(json_object_get(out, "sources"), i, source) {
    const char *name = json_str(source, "field");
    json_t *o = json_object_get(known, name);
    if (!o) continue;
    json_object_set(o, "value", json_object_get(json_object_get(out, "data"), name));
    json_object_set(o, "organisation", json_object_get(source, "organisation"));
    json_object_set(o, "correctable", json_object_get(source, "correctable"));
  }
  json_array_foreach(json_object_get(out, "missing"), i, source) {
    json_t *o = json_object_get(known, json_str(source, "field"));
    if (!o) continue;
    json_object_set(o, "why", json_object_get(source, "why"));
    json_object_set(o, "organisation", json_object_get(source, "organisation"));
    json_object_set_new(o, "at", json_integer(clock_now()));
  }
  json_decref(out);
  return true;
}

static bool known_fixed(const json_t *known) { return known && !json_flag(known, "correctable", true); }

/* ---- screens ---- */

struct answers { const char *errors[200], *raw[200]; };

static bool has_documents(const struct screen *k, const json_t *data) {
  for (size_t i = 0; i < k->count; i++)
    if (k->page->fields[k->from + i]->type == FIELD_DOCUMENT && cond_holds(k->page->fields[k->from + i]->when, data)) return true;
  return false;
}

static bool needs_session(const struct screen *k, const json_t *data) {
  for (size_t i = 0; i < k->count; i++) {
    const struct field *q = k->page->fields[k->from + i];
    if (q->type == FIELD_DOCUMENT && q->required && cond_holds(q->when, data)) return true;
  }
  return false;
}

static void put_steps(const struct form *f, json_t *page, size_t n) {
  int64_t at = 0, all = 0;
  for (size_t i = 0; i < f->count; i++) {
    if (!screen_asked(f, i)) continue;
    all++;
    if (i <= n) at++;
  }
  struct arena *a = http_arena(f->r);
  enum lang l = http_lang(f->r);
  put(page, "steps", word_fill(a, l, "web.step", "n", number_format(a, l, at), "all", number_format(a, l, all), NULL));
}

static const char *back_link(const struct form *f, size_t n) {
  for (size_t i = n; i-- > 0;)
    if (screen_asked(f, i)) return screen_link(f, i);
  return f->s->eligibility_count ? form_link(f, "eligibility") : before_form(f);
}

/* The answer so far; on a screen that was not answered yet what is known, and the id with which one has signed in. */
static json_t *first_value(const struct form *f, size_t n, const struct field *q, const json_t *known) {
  char key[16];
  const struct actor *who = &f->as;
  json_t *v = json_object_get(f->data, q->name);
  snprintf(key, sizeof key, "%zu", n);
  if (known_fixed(known)) return json_incref(json_object_get(known, "value"));
  if (v || json_flag(json_object_get(f->draft, "done"), key, false)) return json_incref(v);
  if (known) return json_incref(json_object_get(known, "value"));
  if (f->visit.mobile && base_same(q->name, f->s->mobile_field)) return json_string(f->visit.mobile);
  if (f->visit.id && base_same(q->name, f->s->applicant_field) && q->type == FIELD_NATIONAL_ID) {
    const char *id = f->visit.principal && strlen(f->visit.principal) == 10 ? f->visit.principal : f->visit.national_id;
    if (strlen(id) == 10) return json_string(id);
  }
  bool own = who->kind == ACTOR_CITIZEN && base_same(q->name, f->s->applicant_field) && q->type == FIELD_NATIONAL_ID && strlen(actor_national_id(who)) == 10;
  if (who->kind == ACTOR_CITIZEN && q->type == FIELD_LEGAL_ID && strlen(who->acting_as) == 11) return json_string(who->acting_as);
  return own ? json_string(actor_national_id(who)) : NULL;
}

static void show_screen(struct form *f, size_t n, const struct answers *given, int status) {
  const struct screen *k = &f->screens[n];
  struct http_req *r = f->r;
  bool post = strcmp(http_method(r), "POST") == 0, from_check = base_same(post ? http_form_value(r, "from") : http_query(r, "from"), "check"), documents = has_documents(k, f->data);
  json_t *page = form_page(f, text_in(&k->page->title, http_lang(r))), *list = json_array();
  put_steps(f, page, n);
  put(page, "back", from_check ? form_link(f, "check") : back_link(f, n));
  put_flag(page, "from_check", from_check);
  put(page, "guidance", k->from == 0 ? text_in(&k->page->guidance, http_lang(r)) : NULL);
  bool upload = documents && web_actor(r)->kind != ACTOR_NOBODY;
  put(page, "action", form_link(f, arena_printf(http_arena(r), upload ? "files/%zu" : "form/%zu", n + 1)));
  put(page, "here", screen_link(f, n));
  put_flag(page, "is_upload", upload);
  put_flag(page, "takes_files", upload);
  put(page, "finding", NULL);
  bool any_known = false;
  for (size_t i = 0; i < k->count; i++) {
    const struct field *q = k->page->fields[k->from + i];
    if (!cond_holds(q->when, f->data)) continue;
    const char *find = http_query(r, arena_printf(http_arena(r), "find.%s", q->name));
    const json_t *known = known_of(f, q);
    json_t *value = first_value(f, n, q, known);
    struct shown_field one = {.field = q, .value = value, .raw = given ? given->raw[i] : NULL, .error = given ? given->errors[i] : NULL,
                              .data = f->data, .files = f->files, .find = find, .known = known, .missing = missing_of(f, q)};
    any_known = any_known || known;
    if (one.error) field_fault(r, page, q, one.error);
    json_array_append_new(list, field_json(r, &one));
    json_decref(value);
  }
  put_flag(page, "has_known", any_known);
  put(page, "known_href", f->visit.mobile && f->as.kind == ACTOR_NOBODY && asks_elsewhere(f, k) ? form_link(f, "known") : NULL);
  json_t *finders = json_array(), *o;
  size_t i;
  json_array_foreach(list, i, o) if (json_flag(o, "can_find", false)) json_array_append(finders, o);
  put_list(page, "finders", finders);
  put_flag(page, "one_field", json_array_size(list) == 1);
  put_list(page, "fields", list);
  page_reply(web_of(r), r, status, "form", page);
}

/* The screen of the path, asked at this point; -1 after replying. */
static int screen_open(struct form *f, struct http_req *r, size_t *n) {
  int64_t at = 0;
  const struct eligibility *exit;
  if (form_open(f, r)) return -1;
  if (parse_i64(http_param(r, "screen"), &at) || at < 1 || (size_t)at > f->count || !screen_asked(f, (size_t)at - 1)) {
    http_redirect(r, 303, next_link(f, 0, true));
    form_close(f);
    return -1;
  }
  *n = (size_t)at - 1;
  if (eligible(f, &exit)) return 0;
  http_redirect(r, 303, form_link(f, exit ? "not-eligible" : "eligibility"));
  form_close(f);
  return -1;
}

static void get_screen(struct http_req *r) {
  struct form f;
  size_t n;
  if (screen_open(&f, r, &n)) return;
  if (needs_session(&f.screens[n], f.data) && web_actor(r)->kind == ACTOR_NOBODY) to_signin(r, false);
  else if (!known_load(&f, n) || form_save(&f) == 0) show_screen(&f, n, NULL, 200);
  form_close(&f);
}

/* An answer that changed may leave others without ground: not asked any more, or places outside the new county. */
static void tidy(struct form *f) {
  const struct directory *d = pack_directory(web_pack(f->r));
  service_prune(f->s, f->data);
  for (size_t i = 0; i < f->s->field_count; i++) {
    const struct field *q = f->s->fields[i];
    const char *inner = q->place_within ? json_str(f->data, q->name) : NULL, *outer = inner ? json_str(f->data, q->place_within) : NULL;
    if (!inner) continue;
    int in = directory_find_place(d, inner), out = outer ? directory_find_place(d, outer) : -1;
    if (in < 0 || out < 0 || !directory_within(d, in, out)) json_object_del(f->data, q->name);
  }
}

static bool take_answers(struct form *f, size_t n, struct answers *given) {
  const struct screen *k = &f->screens[n];
  struct http_req *r = f->r;
  bool good = true;
  for (size_t i = 0; i < k->count && i < BASE_COUNT(given->errors); i++) {
    const struct field *q = k->page->fields[k->from + i];
    json_t *in = NULL, *out = NULL, *kept = json_incref(json_object_get(f->data, q->name));
    const char *code, *message = NULL;
    json_object_del(f->data, q->name);
    const json_t *known = known_of(f, q);
    if (known_fixed(known) && cond_holds(q->when, f->data)) json_object_set(f->data, q->name, json_object_get(known, "value"));
    else if (cond_holds(q->when, f->data)) {
      int rc = field_take(r, q, kept, f->files, &in, &message);
      if (rc == 0) rc = field_check(web_pack(r), q, in, f->data, cases_today(), http_lang(r), http_arena(r), &out, &code, &message);
      if (rc) {
        given->errors[i] = message ? message : say(r, "wrong");
        given->raw[i] = field_raw(r, q);
        if (q->type == FIELD_DOCUMENT && in) json_object_set(f->data, q->name, in);
        good = false;
      } else if (out) json_object_set_new(f->data, q->name, out);
    }
    json_decref(in);
    json_decref(kept);
  }
  return good;
}

/* An answer of this very screen may have told by what the rest of it is found, such as a company by its number. */
static bool known_now(struct form *f, size_t n, struct answers *given) {
  const struct screen *k = &f->screens[n];
  bool good = true;
  if (!known_load(f, n)) return true;
  for (size_t i = 0; i < k->count && i < BASE_COUNT(given->errors); i++) {
    const struct field *q = k->page->fields[k->from + i];
    const json_t *known = known_of(f, q), *v = json_object_get(f->data, q->name);
    if (!known || !cond_holds(q->when, f->data) || given->errors[i]) continue;
    if (v && !json_equal(v, json_object_get(known, "value")) && known_fixed(known)) {
      given->errors[i] = say(f->r, "known_now");
      good = false;
    }
    if (!v || known_fixed(known)) json_object_set(f->data, q->name, json_object_get(known, "value"));
  }
  return good;
}

static void post_screen(struct http_req *r) {
  struct form f;
  size_t n;
  char key[16];
  if (screen_open(&f, r, &n)) return;
  struct answers *given = arena_alloc(http_arena(r), sizeof *given);
  if (!given) http_problem_code(r, ERR_LIMIT, NULL);
  else {
    bool good = take_answers(&f, n, given), from_check = base_same(http_form_value(r, "from"), "check");
    if (good) good = known_now(&f, n, given);
    tidy(&f);
    snprintf(key, sizeof key, "%zu", n);
    json_object_set_new(part(f.draft, "done"), key, json_boolean(good));
    if (form_save(&f) == 0) {
      if (good && http_form_value(r, "more")) http_redirect(r, 303, screen_link(&f, n));
      else if (good) http_redirect(r, 303, next_link(&f, n + 1, from_check));
      else show_screen(&f, n, given, 422);
    }
  }
  form_close(&f);
}

/* ---- check your answers, submit ---- */

static size_t screen_of_field(const struct form *f, const char *name) {
  for (size_t n = 0; n < f->count; n++)
    for (size_t i = 0; i < f->screens[n].count; i++)
      if (strcmp(f->screens[n].page->fields[f->screens[n].from + i]->name, name) == 0) return n;
  return 0;
}

static const char *change_link(const struct form *f, const char *name) {
  return arena_printf(http_arena(f->r), "%s?from=check#f-%s", screen_link(f, screen_of_field(f, name)), name);
}

static const char *file_names(const struct form *f, const json_t *ids) {
  const char *all = NULL;
  size_t i;
  const json_t *v;
  json_array_foreach(ids, i, v) {
    const char *name = json_str(json_object_get(f->files, json_string_value(v) ? json_string_value(v) : ""), "name");
    if (!name) name = say(f->r, "file");
    all = all ? arena_printf(http_arena(f->r), "%s، %s", all, name) : name;
  }
  return all;
}

json_t *form_answers(const struct form *f) {
  json_t *pages = json_array();
  for (size_t i = 0; i < f->s->page_count; i++) {
    const struct page *p = &f->s->pages[i];
    json_t *rows = json_array(), *one = json_object();
    if (cond_holds(p->when, f->data))
      for (size_t k = 0; k < p->count; k++) {
        const struct field *q = p->fields[k];
        const json_t *v = json_object_get(f->data, q->name);
        if (!cond_holds(q->when, f->data)) continue;
        json_t *o = json_object();
        put(o, "label", text_in(&q->label, http_lang(f->r)));
        put(o, "text", !v ? NULL : q->type == FIELD_DOCUMENT ? file_names(f, v) : field_show(web_pack(f->r), q, v, http_lang(f->r), http_arena(f->r)));
        put_flag(o, "ltr", q->type == FIELD_EMAIL || q->type == FIELD_SHEBA || (q->type == FIELD_PLACE && http_lang(f->r) == LANG_EN));
        const json_t *known = known_of(f, q);
        put(o, "from", v && known && json_equal(v, json_object_get(known, "value")) ? known_by(f->r, known) : NULL);
        put_flag(o, "differs", v && known && !json_equal(v, json_object_get(known, "value")));
        put(o, "change", known_fixed(known) ? NULL : change_link(f, q->name)); /* corrected where it is kept */
        json_array_append_new(rows, o);
      }
    put(one, "title", text_in(&p->title, http_lang(f->r)));
    put_list(one, "rows", rows);
    json_array_append_new(pages, one);
  }
  return pages;
}

void form_check(struct form *f, json_t *errors, const char *message, int status) {
  struct http_req *r = f->r;
  enum lang l = http_lang(r);
  struct arena *a = http_arena(r);
  json_t *page = form_page(f, say(r, "check_title")), *e;
  size_t i;
  struct err err;
  const struct fee_row *row = NULL;
  json_array_foreach(errors, i, e) {
    const struct field *q = service_field(f->s, json_str(e, "field") ? json_str(e, "field") : "");
    fault(page, q ? change_link(f, q->name) : "#answers", q ? arena_printf(a, "%s — %s", text_in(&q->label, l), json_str(e, "message")) : json_str(e, "message"));
  }
  if (message) fault(page, NULL, message);
  int64_t fee = service_fee(f->s, f->data, &row);
  int owner = service_owner(web_pack(r), f->s, f->data, &err);
  const struct organisation *o = directory_organisation(pack_directory(web_pack(r)), owner);
  if (owner < 0 && !json_array_size(errors)) fault(page, "#answers", say(r, "no_owner"));
  put(page, "back", back_link(f, f->count));
  put_flag(page, "has_fee", f->s->fee_count > 0);
  put(page, "fee", fee ? money_format(a, l, fee) : say(r, "free"));
  put(page, "fee_label", row ? text_in(&row->label, l) : NULL);
  put(page, "owner", o ? organisation_name(o, l) : NULL);
  put(page, "legal", f->s->legal > 0 ? number_format(a, l, f->s->legal) : NULL);
  bool asked = false; /* an answer is an address already */
  for (i = 0; i < f->s->field_count; i++) asked = asked || (f->s->fields[i]->type == FIELD_EMAIL && json_object_get(f->data, f->s->fields[i]->name));
  const char *typed = strcmp(http_method(r), "POST") == 0 ? http_form_value(r, "mail") : NULL;
  put_flag(page, "offers_mail", !asked && !f->visit.id);
  put(page, "mail", typed && utf8_valid(typed, strlen(typed)) ? typed : NULL);
  put(page, "action", form_link(f, f->visit.id ? "consent" : "submit"));
  put_flag(page, "ready", !json_array_size(errors) && owner >= 0);
  put_list(page, "pages", form_answers(f));
  page_reply(web_of(r), r, status, "check", page);
}

static void get_check(struct http_req *r) {
  struct form f;
  json_t *data = NULL, *errors = NULL;
  if (form_open(&f, r)) return;
  const char *next = next_link(&f, 0, true);
  if (strcmp(next, form_link(&f, "check")) != 0) http_redirect(r, 303, next);
  else {
    if (service_validate(web_pack(r), f.s, f.data, cases_today(), http_lang(r), http_arena(r), &data, &errors) == 0) json_decref(data);
    form_check(&f, errors, NULL, 200);
    json_decref(errors);
  }
  form_close(&f);
}

static const char *caller_of(struct http_req *r) {
  const struct actor *who = web_actor(r);
  if (who->kind == ACTOR_CITIZEN) return who->pair;
  if (who->kind == ACTOR_STAFF) return who->username;
  return arena_printf(http_arena(r), "visitor:%s", web_visitor(r) ? web_visitor(r) : "");
}

static bool too_often(struct http_req *r) {
  struct web_context *c = web_of(r);
  if (!c->submissions_per_minute || web_actor(r)->kind != ACTOR_NOBODY) return false;
  return !identity_limit(c->identity, "submit", http_peer(r), c->submissions_per_minute, 60);
}

/* What was known has changed meanwhile: it is asked anew at the question. */
void form_differences(struct form *f, json_t *errors) {
  json_t *e;
  size_t i;
  json_array_foreach(errors, i, e) json_object_del(part(f->draft, "known"), json_str(e, "field"));
  if (form_save(f) == 0) form_check(f, errors, NULL, 422);
  json_decref(errors);
}

/* What remains is where the case is: answering again with the same form leads there. */
void form_filed(struct form *f, const char *tracking) {
  struct err err;
  json_t *doc = json_object();
  json_put(doc, "submitted", tracking);
  if (cases_draft_save(web_of(f->r)->cases, f->owner, f->s->code, doc, &err)) log_write(LOG_WARN, "web", "a submitted draft was not replaced: %s", err.message);
  json_decref(doc);
  http_redirect(f->r, 303, arena_printf(http_arena(f->r), "/cases/%s/receipt", tracking));
}

static void submit(struct form *f, json_t *data) {
  struct http_req *r = f->r;
  struct err err;
  const char *typed = http_form_value(r, "mail"), *mail = typed && typed[0] ? cases_mail_address(web_of(r)->cases, typed, http_arena(r)) : NULL;
  if (typed && typed[0] && !mail) return form_check(f, NULL, word(http_lang(r), "api.mail"), 422);
  char *body = json_canonical(data);
  struct case_submission k = {.service = f->s, .data = data, .key = json_str(f->draft, "key"), .body = body, .actor = *web_actor(r), .caller = caller_of(r),
                              .intake = INTAKE_WEB, .lang = http_lang(r), .mail = mail};
  if (web_actor(r)->kind == ACTOR_STAFF && !f->s->staff_only) k.intake = INTAKE_COUNTER;
  int rc = cases_submit(web_of(r)->cases, &k, NULL, NULL, &err);
  free(body);
  if (rc && k.errors) return form_differences(f, k.errors);
  const char *stopped = rc && err.code == ERR_CONFLICT ? cases_stopped(web_of(r)->cases, f->s->code, http_lang(r), http_arena(r)) : NULL;
  if (stopped) return form_check(f, NULL, stopped, 409);
  if (rc && (err.code == ERR_CONFLICT || err.code == ERR_INVALID)) return form_check(f, NULL, say(r, err.code == ERR_CONFLICT ? "one_open" : "no_owner"), err_status(err.code));
  if (rc && err.code == ERR_UNAUTHENTICATED) return http_redirect(r, 303, arena_printf(http_arena(r), "/signin?next=/services/%s/check", f->s->code));
  if (rc) return http_problem(r, &err, k.detail ? word(http_lang(r), k.detail) : NULL, NULL);
  form_filed(f, k.tracking);
}

int form_ready(struct form *f, json_t **data) {
  struct http_req *r = f->r;
  json_t *errors = NULL;
  if (f->submitted) http_redirect(r, 303, arena_printf(http_arena(r), "/cases/%s/receipt", f->submitted));
  else if (!f->owner) http_problem_code(r, ERR_FORBIDDEN, NULL);
  else if (strcmp(next_link(f, 0, true), form_link(f, "check")) != 0) http_redirect(r, 303, next_link(f, 0, true));
  else if (service_validate(web_pack(r), f->s, f->data, cases_today(), http_lang(r), http_arena(r), data, &errors)) {
    form_check(f, errors, NULL, 422);
    json_decref(errors);
  } else return 0;
  return -1;
}

static void post_submit(struct http_req *r) {
  struct form f;
  json_t *data = NULL;
  if (form_open(&f, r)) return;
  if (!f.submitted && f.owner && too_often(r)) http_problem_code(r, ERR_RATE, NULL);
  else if (form_ready(&f, &data) == 0) {
    submit(&f, data);
    json_decref(data);
  }
  form_close(&f);
}

static void post_drop(struct http_req *r) {
  const struct service *s = find_service(r);
  const char *owner = draft_owner(r);
  struct err err;
  if (!s) return;
  if (owner && cases_draft_drop(web_of(r)->cases, owner, s->code, &err)) return web_error(r, &err);
  http_redirect(r, 303, "/mine/drafts");
}

const struct http_route web_form_rows[] = {
  {"GET", "/services/{code}/apply", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_apply, "Begin, or go on where one stopped."},
  {"GET", "/services/{code}/eligibility", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_eligibility, "Questions before the form."},
  {"POST", "/services/{code}/eligibility", HTTP_WORKER, PERMIT_ALL, HTTP_TOKEN, FORM_BODY, post_eligibility, "Answer the questions before the form."},
  {"GET", "/services/{code}/not-eligible", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_not_eligible, "Why one cannot apply, and what to do instead."},
  {"GET", "/services/{code}/form/{screen}", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_screen, "One screen of the form."},
  {"POST", "/services/{code}/form/{screen}", HTTP_WORKER, PERMIT_ALL, HTTP_TOKEN, FORM_BODY, post_screen, "Answer one screen."},
  {"POST", "/services/{code}/files/{screen}", HTTP_WORKER, PERMIT_SESSION, HTTP_TOKEN, FILES_BODY, post_screen, "Answer one screen with documents."},
  {"GET", "/services/{code}/check", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_check, "All answers, to check before sending."},
  {"POST", "/services/{code}/submit", HTTP_WORKER, PERMIT_ALL, HTTP_TOKEN, FORM_BODY, post_submit, "Submit; a second click leads to the same case."},
  {"GET", "/counter/{visit}/{code}/apply", HTTP_WORKER, PERMIT_AGENT, HTTP_SAFE, 0, get_apply, "Agents: begin a form for the person at the counter, or go on."},
  {"GET", "/counter/{visit}/{code}/eligibility", HTTP_WORKER, PERMIT_AGENT, HTTP_SAFE, 0, get_eligibility, "Agents: questions before the form."},
  {"POST", "/counter/{visit}/{code}/eligibility", HTTP_WORKER, PERMIT_AGENT, HTTP_TOKEN, FORM_BODY, post_eligibility, "Agents: answer them."},
  {"GET", "/counter/{visit}/{code}/not-eligible", HTTP_WORKER, PERMIT_AGENT, HTTP_SAFE, 0, get_not_eligible, "Agents: why the person cannot apply."},
  {"GET", "/counter/{visit}/{code}/form/{screen}", HTTP_WORKER, PERMIT_AGENT, HTTP_SAFE, 0, get_screen, "Agents: one screen of the form."},
  {"POST", "/counter/{visit}/{code}/form/{screen}", HTTP_WORKER, PERMIT_AGENT, HTTP_TOKEN, FORM_BODY, post_screen, "Agents: answer one screen."},
  {"POST", "/counter/{visit}/{code}/files/{screen}", HTTP_WORKER, PERMIT_AGENT, HTTP_TOKEN, FILES_BODY, post_screen, "Agents: answer one screen with documents."},
  {"GET", "/counter/{visit}/{code}/check", HTTP_WORKER, PERMIT_AGENT, HTTP_SAFE, 0, get_check, "Agents: all answers, to read to the person."},
  {"POST", "/services/{code}/drop", HTTP_WORKER, PERMIT_ALL, HTTP_TOKEN, FORM_BODY, post_drop, "Forget a draft."},
};
const size_t web_form_count = BASE_COUNT(web_form_rows);
