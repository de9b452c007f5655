/* Services: the identity form, channels, eligibility and pages of one file. */
#include "catalog/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const channels[] = {"none", "status", "start", "full", NULL};
static const char *const stage_channels[] = {"web", "app", "api", "ussd", "sms", "counter", "paper", "phone", NULL};

/* ---- the identity form ------------------------------------------------------------------------ */

static const char *closed(struct compiler *c, const struct yaml_node *n, const char *key, const char *const *words) {
  want(c, n, "identity", key);
  int i = word_of(c, n, key, words, -1);
  return i < 0 ? "" : words[i];
}

static void read_life_events(struct compiler *c, const struct yaml_node *n) {
  const struct yaml_node *list = yaml_get(n, "life_events");
  if (!is_list(c, list, "life_events")) return;
  struct service *s = c->s;
  s->life_events = keep_alloc(c, (list->count + 1) * sizeof *s->life_events);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    const char *text = scalar(c, i, "life_events"), *found = NULL;
    if (!text) continue;
    struct nearest near = {.wanted = text};
    for (size_t k = 0; k < c->p->life_event_count; k++) {
      if (strcmp(c->p->life_events[k].code, text) == 0) found = c->p->life_events[k].code;
      nearest_offer(&near, c->p->life_events[k].code);
    }
    if (!found) fail(c, i->line, "unknown life event '%s'%s", text, near.best ? did_you_mean(&near).text : ": they stand in pack.yaml");
    else s->life_events[s->life_event_count++] = found;
  }
}

static void read_stages(struct compiler *c, const struct yaml_node *n) {
  static const char *const names[] = {"information", "request", "follow_up", "delivery"};
  const struct yaml_node *map = yaml_get(n, "stages");
  if (!map || !keys(c, map, "stages", "information request follow_up delivery")) return;
  for (int i = 0; i < 4; i++) {
    const struct yaml_node *list = yaml_get(map, names[i]);
    if (!is_list(c, list, names[i])) continue;
    c->s->stages[i] = keep_alloc(c, (list->count + 1) * sizeof *c->s->stages[i]);
    for (const struct yaml_node *k = list->first; k; k = k->next) {
      const char *text = scalar(c, k, names[i]), *found = NULL;
      for (int w = 0; text && stage_channels[w]; w++)
        if (strcmp(stage_channels[w], text) == 0) found = stage_channels[w];
      if (found) c->s->stages[i][c->s->stage_counts[i]++] = found;
      else if (text) fail(c, k->line, "unknown channel '%s' in '%s': it is one of web, app, api, ussd, sms, counter, paper, phone", text, names[i]);
    }
  }
}

static void read_identity(struct compiler *c, const struct yaml_node *root) {
  static const char *const types[] = {"G2C", "G2B", "G2G", NULL}, *const natures[] = {"sovereign", "entrepreneurial", NULL};
  static const char *const levels[] = {"national", "regional", "provincial", "urban", "rural", NULL};
  static const char *const starts[] = {"request", "time", "event", "finding", "other", NULL};
  static const char *const per[] = {"day", "month", "year", NULL}, *const often[] = {"once", "monthly", "yearly", "as_needed", NULL};
  struct service *s = c->s;
  const struct yaml_node *n = want(c, root, "service", "identity");
  if (!n || !keys(c, n, "identity", "title description identifier type recipients nature level life_events starts documents volume mean_days "
                                    "frequency visits cost law stages")) return;
  s->title = text_of(c, n, "identity", "title", 120, true);
  s->description = text_of(c, n, "identity", "description", 1000, true);
  const struct yaml_node *id = want(c, n, "identity", "identifier");
  s->identifier = scalar_of(c, n, "identifier", "");
  size_t digits = strlen(s->identifier);
  if (id && s->identifier[0] && (digits < 11 || digits > 13 || strspn(s->identifier, "0123456789") != digits))
    fail(c, id->line, "identifier '%s' must have 11 to 13 digits", s->identifier);
  s->type = closed(c, n, "type", types);
  s->recipients = text_of(c, n, "identity", "recipients", 400, true);
  s->nature = closed(c, n, "nature", natures);
  s->level = closed(c, n, "level", levels);
  read_life_events(c, n);
  s->starts = closed(c, n, "starts", starts);
  s->documents = texts_of(c, n, "documents", 400);
  const struct yaml_node *volume = yaml_get(n, "volume");
  s->volume_per = "year";
  if (volume && keys(c, volume, "volume", "count per")) {
    s->volume = int_of(c, volume, "count", 0, 0, 1000000000);
    s->volume_per = per[word_of(c, volume, "per", per, 2)];
  }
  s->mean_days = (int)int_of(c, n, "mean_days", 0, 0, 1000);
  s->frequency = closed(c, n, "frequency", often);
  s->visits = (int)int_of(c, n, "visits", 0, 0, 20);
  s->cost_text = text_of(c, n, "identity", "cost", 400, true);
  s->laws = texts_of(c, n, "law", 400);
  if (!s->laws.count) fail(c, n->line, "identity names no law: add law: [{fa: …, en: …}]");
  read_stages(c, n);
}

/* ---- owner, provider, channels ------------------------------------------------------------------ */

static void read_owner(struct compiler *c, const struct yaml_node *root) {
  struct service *s = c->s;
  const struct yaml_node *n = want(c, root, "service", "owner");
  s->organisation = s->owner_kind = s->fallback_kind = s->secretary = -1;
  if (!n) return;
  if (n->kind == YAML_NODE_SCALAR) {
    s->organisation = s->secretary = organisation_of(c, n, "owner");
    return;
  }
  if (!keys(c, n, "owner", "at kind else secretary")) return;
  s->owner_field = want(c, n, "owner", "at") ? scalar_of(c, n, "at", NULL) : NULL;
  want(c, n, "owner", "kind");
  s->owner_kind = word_of(c, n, "kind", organisation_kinds, -1);
  s->fallback_kind = word_of(c, n, "else", organisation_kinds, -1);
  const struct yaml_node *secretary = want(c, n, "owner", "secretary");
  if (secretary) s->secretary = organisation_of(c, secretary, "secretary");
}

/* After the pages: the field at whose place the owner is must always be answered. */
static void check_owner(struct compiler *c, const struct yaml_node *root) {
  const struct service *s = c->s;
  const struct yaml_node *at = yaml_get(yaml_get(root, "owner"), "at");
  if (!s->owner_field || !at) return;
  const struct field *f = service_field(s, s->owner_field);
  struct nearest near = {.wanted = s->owner_field};
  for (size_t i = 0; i < s->field_count; i++) nearest_offer(&near, s->fields[i]->name);
  if (!f) fail(c, at->line, "owner: unknown field '%s'%s", s->owner_field, did_you_mean(&near).text);
  else if (f->type != FIELD_PLACE) fail(c, at->line, "owner: field '%s' is no place", f->name);
  else if (f->when || !f->required) fail(c, at->line, "owner: field '%s' must always be answered (required, without 'when'), or the case would belong to nobody", f->name);
}

static void read_channels(struct compiler *c, const struct yaml_node *root) {
  struct service *s = c->s;
  const struct yaml_node *n = want(c, root, "service", "channels"), *code = yaml_get(root, "ussd");
  if (!n || !keys(c, n, "channels", "web api ussd counter")) return;
  s->web = (enum channel_level)word_of(c, n, "web", channels, CHANNEL_NONE);
  s->api = (enum channel_level)word_of(c, n, "api", channels, CHANNEL_NONE);
  s->ussd = (enum channel_level)word_of(c, n, "ussd", channels, CHANNEL_NONE);
  s->counter = (enum channel_level)word_of(c, n, "counter", channels, CHANNEL_NONE);
  s->ussd_code = scalar_of(c, root, "ussd", NULL);
  if (s->ussd_code && (strlen(s->ussd_code) > 4 || strspn(s->ussd_code, "0123456789") != strlen(s->ussd_code)))
    fail(c, code->line, "ussd '%s' must be one to four digits", s->ussd_code);
  if (s->ussd >= CHANNEL_START && !s->ussd_code) fail(c, n->line, "the service is on USSD without digits of its own: add ussd: \"12\"");
  if (s->ussd >= CHANNEL_START && !s->latn[0]) warn(c, n->line, "the service is on USSD without 'latn', a title for telephones without Persian");
  if (!s->web && !s->api && !s->ussd && !s->counter) fail(c, n->line, "the service is on no channel");
}

/* ---- eligibility, pages ---------------------------------------------------------------------------- */

static void read_eligibility(struct compiler *c, const struct yaml_node *root) {
  const struct yaml_node *list = yaml_get(root, "eligibility");
  struct service *s = c->s;
  if (!is_list(c, list, "eligibility")) return;
  s->eligibility = keep_alloc(c, list->count * sizeof *s->eligibility);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    static const struct field none;
    struct scope scope = {NULL, 0, &none, false};
    struct field *f = field_parse(c, i, &scope);
    if (!f) continue;
    for (size_t k = 0; k < s->eligibility_count; k++)
      if (strcmp(s->eligibility[k].field.name, f->name) == 0) fail(c, i->line, "eligibility question '%s' stands twice", f->name);
    if (f->type == FIELD_DOCUMENT || yaml_get(i, "when")) fail(c, i->line, "eligibility question '%s' must be simple: no document, no 'when'", f->name);
    struct eligibility *e = &s->eligibility[s->eligibility_count];
    e->field = *f;
    scope.implied = &e->field;
    const struct yaml_node *exit_when = want(c, i, "eligibility question", "exit_when");
    if (exit_when) e->exit_when = cond_parse(c, exit_when, &scope);
    e->exit = text_of(c, i, "eligibility question", "exit", 600, true);
    s->eligibility_count++;
  }
}

static void check_twin(struct compiler *c, const struct yaml_node *n, const char *name) {
  for (size_t i = 0; i < c->s->field_count; i++)
    if (strcmp(c->s->fields[i]->name, name) == 0) fail(c, n->line, "field '%s' stands twice (first at line %u)", name, c->s->fields[i]->line);
  for (size_t i = 0; i < c->s->eligibility_count; i++)
    if (strcmp(c->s->eligibility[i].field.name, name) == 0) fail(c, n->line, "field '%s' has the name of an eligibility question", name);
}

static void read_page(struct compiler *c, const struct yaml_node *n, struct page *p) {
  struct service *s = c->s;
  p->name = "";
  if (!keys(c, n, "page", "page title guidance when fields")) return;
  p->name = name_of(c, n, "page", "page", '_');
  p->title = text_of(c, n, "page", "title", 120, true);
  p->guidance = text_of(c, n, "page", "guidance", 1000, false);
  struct scope scope = {s->fields, s->field_count, NULL, true};
  const struct yaml_node *when = yaml_get(n, "when"), *list = want(c, n, "page", "fields");
  if (when) p->when = cond_parse(c, when, &scope);
  if (!is_list(c, list, "fields")) return;
  if (!list->count) fail(c, list->line, "page '%s' has no fields", p->name);
  p->fields = s->fields + s->field_count;
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    scope.count = s->field_count;
    struct field *f = field_parse(c, i, &scope);
    if (!f) continue;
    check_twin(c, i, f->name);
    f->when = cond_both(c, p->when, f->when);
    s->fields[s->field_count++] = f;
    p->count++;
  }
}

/* 80 characters a screen, less what leads on from it */
static void check_screen(struct compiler *c, const struct field *f) {
  if (utf8_length(f->label.fa) > 60) warn(c, f->line, "the label of '%s' is longer than 60 characters: a USSD screen cuts it", f->name);
  for (size_t i = 0; i < f->choice_count; i++)
    if (utf8_length(f->choices[i].label.fa) > 50) warn(c, f->line, "choice '%s' of '%s' is longer than 50 characters: a USSD screen cuts it", f->choices[i].value, f->name);
}

static void read_pages(struct compiler *c, const struct yaml_node *root) {
  const struct yaml_node *list = want(c, root, "service", "pages");
  struct service *s = c->s;
  size_t fields = 0;
  if (!is_list(c, list, "pages")) return;
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    const struct yaml_node *f = yaml_get(i, "fields");
    fields += f ? f->count : 0;
  }
  if (!fields) fail(c, list->line, "a service asks at least one field");
  if (fields > 120) fail(c, list->line, "the service asks %zu fields: 120 at most, and people give up long before", fields);
  if (fields > 120) return;
  s->pages = keep_alloc(c, list->count * sizeof *s->pages);
  s->fields = keep_alloc(c, (fields + 1) * sizeof *s->fields);
  c->all_fields = list;
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    read_page(c, i, &s->pages[s->page_count]);
    for (size_t k = 0; k < s->page_count; k++)
      if (s->pages[s->page_count].name[0] && strcmp(s->pages[k].name, s->pages[s->page_count].name) == 0)
        fail(c, i->line, "page '%s' stands twice", s->pages[k].name);
    s->page_count++;
  }
  for (size_t i = 0; i < s->field_count; i++)
    if (s->ussd == CHANNEL_FULL && (s->fields[i]->required || s->fields[i]->ussd)) check_screen(c, s->fields[i]);
  for (size_t i = 0; i < s->field_count; i++)
    if (s->ussd == CHANNEL_FULL && s->fields[i]->type == FIELD_DOCUMENT && s->fields[i]->required)
      fail(c, s->fields[i]->line, "document '%s' is required, but channels.ussd is full: write ussd: start, or required: false", s->fields[i]->name);
}

/* ---- who is who, deadlines ------------------------------------------------------------------------------ */

static const char *field_ref(struct compiler *c, const struct yaml_node *root, const char *key, enum field_type a, enum field_type b) {
  const struct yaml_node *n = yaml_get(root, key);
  const char *text = n ? scalar(c, n, key) : NULL;
  if (!text) return NULL;
  struct nearest near = {.wanted = text};
  for (size_t i = 0; i < c->s->field_count; i++) {
    const struct field *f = c->s->fields[i];
    nearest_offer(&near, f->name);
    if (strcmp(f->name, text) != 0) continue;
    if (f->type != a && f->type != b) fail(c, n->line, "%s names '%s', which is of type %s", key, text, field_type_text(f->type));
    return f->name;
  }
  fail(c, n->line, "%s names an unknown field '%s'%s", key, text, did_you_mean(&near).text);
  return NULL;
}

static void read_people(struct compiler *c, const struct yaml_node *root) {
  static const char *const applicants[] = {"citizen", "staff", NULL}, *const handled[] = {"here", "external", NULL};
  struct service *s = c->s;
  s->staff_only = word_of(c, root, "applicant", applicants, 0) == 1;
  s->handled_external = word_of(c, root, "handled", handled, 0) == 1;
  const struct yaml_node *provider = yaml_get(root, "provider");
  s->provider = provider ? organisation_of(c, provider, "provider") : -1;
  s->applicant_field = field_ref(c, root, "applicant_field", FIELD_NATIONAL_ID, FIELD_FIDA);
  s->beneficiary_field = field_ref(c, root, "beneficiary_field", FIELD_NATIONAL_ID, FIELD_LEGAL_ID);
  s->about_field = field_ref(c, root, "about_field", FIELD_TRACKING, FIELD_TRACKING);
  s->mobile_field = field_ref(c, root, "mobile_field", FIELD_MOBILE, FIELD_MOBILE);
  s->one_open_per_person = bool_of(c, root, "one_open_per_person", false);
  s->rating = bool_of(c, root, "rating", false);
}

static void read_deadlines(struct compiler *c, const struct yaml_node *root) {
  struct service *s = c->s;
  const struct yaml_node *n = want(c, root, "service", "deadlines");
  s->appeal_role = ROLE_MANAGER;
  if (n && keys(c, n, "deadlines", "norm legal")) {
    want(c, n, "deadlines", "norm");
    want(c, n, "deadlines", "legal");
    s->norm = (int)int_of(c, n, "norm", 0, 0, 1000);
    s->legal = (int)int_of(c, n, "legal", 1000, 0, 1000);
    if (s->legal < s->norm) fail(c, n->line, "deadlines: the legal deadline (%d) is shorter than the norm (%d)", s->legal, s->norm);
  }
  if ((n = yaml_get(root, "suspension")) && keys(c, n, "suspension", "days")) s->suspension_days = (int)int_of(c, n, "days", 1, 1, 1000);
  if ((n = yaml_get(root, "extension")) && keys(c, n, "extension", "days times")) {
    s->extension_days = (int)int_of(c, n, "days", 1, 1, 1000);
    s->extension_times = (int)int_of(c, n, "times", 1, 1, 10);
  }
  if ((n = yaml_get(root, "reopen")) && keys(c, n, "reopen", "days times")) {
    s->reopen_days = (int)int_of(c, n, "days", 10, 1, 1000);
    s->reopen_times = (int)int_of(c, n, "times", 1, 1, 10);
  }
  if ((n = yaml_get(root, "appeal")) && keys(c, n, "appeal", "days legal role")) {
    s->appeal_days = (int)int_of(c, n, "days", 1, 1, 1000);
    want(c, n, "appeal", "legal");
    s->appeal_legal = (int)int_of(c, n, "legal", 1, 1, 1000);
    s->appeal_role = word_of(c, n, "role", role_words, ROLE_MANAGER);
    if (s->appeal_role != ROLE_SUPERVISOR && s->appeal_role != ROLE_MANAGER && s->appeal_role != ROLE_OPERATOR)
      fail(c, n->line, "appeal: role '%s' cannot decide an appeal: it is supervisor, manager or operator", role_words[s->appeal_role]);
  }
}

/* ---- the file ------------------------------------------------------------------------------------------- */

#define SERVICE_KEYS "service version valid_from ussd latn owner provider handled channels applicant identity statement faq eligibility pages " \
  "applicant_field beneficiary_field about_field mobile_field one_open_per_person rating deadlines suspension extension appeal reopen fee inquiries workflow " \
  "outputs letters notices retention examples"

static void read_head(struct compiler *c, const struct yaml_node *root, const char *base) {
  struct service *s = c->s;
  s->code = name_of(c, root, "service", "service", '-');
  const struct yaml_node *version = want(c, root, "service", "version");
  s->file = c->file;
  s->line = version ? version->line : root->line;
  s->version = (int)int_of(c, root, "version", 1, 1, 9999);
  const struct yaml_node *from = want(c, root, "service", "valid_from");
  const char *text = from ? scalar(c, from, "valid_from") : NULL;
  s->valid_from = text ? date_parse(text) : 0;
  if (s->valid_from == INT32_MIN) fail(c, from->line, "valid_from '%s' is no date: write it as 2026-03-21", text);
  char *versioned = base_printf("%s-v%d", s->code, s->version);
  if (s->code[0] && strcmp(base, s->code) != 0 && strcmp(base, versioned) != 0)
    fail(c, root->line, "the file must be called %s.yaml or %s.yaml after its service and version", s->code, versioned);
  free(versioned);
  s->latn = latn_of(c, root);
}

/* Choices from lists are written out, so that whoever reads the definition needs no other file, and its hash tells every change of it. */
static void expand_field(json_t *field, const struct field *f) {
  if (!f || !json_str(field, "choices_from")) return;
  json_t *list = json_array();
  for (size_t n = 0; n < f->choice_count; n++) {
    const struct choice *one = &f->choices[n];
    json_t *o = json_pack("{s:s,s:s,s:s}", "value", one->value, "fa", one->label.fa, "en", one->label.en);
    if (one->latn.fa && one->latn.fa[0]) json_put(o, "latn", one->latn.fa);
    json_array_append_new(list, o);
  }
  json_object_set_new(field, "choices", list);
}

static const struct field *field_of_action(const struct action *act, const char *name) {
  for (size_t i = 0; i < act->field_count; i++)
    if (base_same(act->fields[i]->name, name)) return act->fields[i];
  return NULL;
}

static void expand_choices(struct compiler *c, json_t *definition) {
  const struct service *s = c->s;
  size_t i, k, n;
  json_t *page, *field, *state, *act;
  json_array_foreach(json_object_get(definition, "eligibility"), i, field)
    for (k = 0; k < s->eligibility_count; k++)
      if (base_same(s->eligibility[k].field.name, json_str(field, "field"))) expand_field(field, &s->eligibility[k].field);
  json_array_foreach(json_object_get(definition, "pages"), i, page)
    json_array_foreach(json_object_get(page, "fields"), k, field) expand_field(field, service_field(s, json_str(field, "field")));
  json_array_foreach(json_object_get(json_object_get(definition, "workflow"), "states"), i, state) {
    int at = service_state(s, json_str(state, "state"));
    json_array_foreach(json_object_get(state, "actions"), k, act) {
      const struct action *found = service_action(s, at, json_str(act, "action"));
      json_array_foreach(json_object_get(act, "fields"), n, field) if (found) expand_field(field, field_of_action(found, json_str(field, "field")));
    }
  }
}

static struct service *compile_one(struct compiler *c, const struct yaml_node *root, const char *base) {
  struct service *s = c->s = keep_alloc(c, sizeof *s);
  c->all_fields = NULL;
  if (!keys(c, root, "service", SERVICE_KEYS)) return NULL;
  s->definition = keep_json(c, yaml_to_json(root));
  read_head(c, root, base);
  read_identity(c, root);
  read_owner(c, root);
  read_channels(c, root);
  s->statement = text_of(c, root, "service", "statement", 1000, false);
  read_eligibility(c, root);
  read_pages(c, root);
  read_people(c, root);
  read_deadlines(c, root);
  check_owner(c, root);
  compile_workflow(c, root, s->definition);
  compile_extras(c, root);
  check_asking_twice(c);
  expand_choices(c, s->definition);
  return s;
}

static unsigned line_of(const struct yaml_node *map, const char *key) {
  const struct yaml_node *n = yaml_get(map, key);
  return n ? n->line : map->line;
}

static void check_apart(struct compiler *c, size_t before, size_t now) {
  const struct service *x = c->p->services[before], *y = c->p->services[now];
  const struct origin *at = &c->origins[now];
  bool same = strcmp(x->code, y->code) == 0;
  if (same && x->version == y->version) fail(c, at->version, "service '%s' version %d stands in %s already", y->code, y->version, c->origins[before].file);
  if (!same && x->ussd_code && y->ussd_code && strcmp(x->ussd_code, y->ussd_code) == 0)
    fail(c, at->ussd, "ussd '%s' belongs to service '%s' already: choose other digits", y->ussd_code, x->code);
  if (!same && x->identifier && y->identifier && x->identifier[0] && strcmp(x->identifier, y->identifier) == 0)
    fail(c, at->identifier, "identifier '%s' belongs to service '%s' already", y->identifier, x->code);
  if (!same || x->version == y->version) return;
  const struct service *older = x->version < y->version ? x : y, *newer = older == x ? y : x;
  if (older->valid_from < newer->valid_from) return;
  at = newer == x ? &c->origins[before] : at;
  c->file = at->file;
  fail(c, at->valid_from, "version %d of '%s' begins no later than version %d: give it a later valid_from", newer->version, newer->code, older->version);
  c->file = c->origins[now].file;
}

static void add_service(struct compiler *c, struct service *s, const struct yaml_node *root) {
  struct pack *p = c->p;
  if (!s || !s->code || !s->code[0]) return;
  const struct yaml_node *identity = yaml_get(root, "identity");
  c->origins[p->service_count] = (struct origin){c->file, line_of(root, "version"), line_of(root, "valid_from"), line_of(root, "ussd"),
                                                 identity ? line_of(identity, "identifier") : root->line};
  p->services[p->service_count++] = s;
  for (size_t i = 0; i + 1 < p->service_count; i++) check_apart(c, i, p->service_count - 1);
}

static void load_workflows(struct compiler *c) {
  const char **names;
  c->file = "workflows";
  c->workflow_count = source_list(c, "workflows", ".yaml", &names);
  c->workflows = keep_alloc(c, c->workflow_count * sizeof *c->workflows);
  for (size_t i = 0; i < c->workflow_count; i++) {
    struct shared_workflow *w = &c->workflows[i];
    char *file = base_printf("workflows/%s", names[i]), *name = base_strdup(names[i]);
    name[strlen(name) - 5] = 0;
    w->file = c->file = keep(c, file);
    w->name = keep(c, name);
    w->doc = source_yaml(c, file);
    free(file);
    free(name);
  }
}

void compile_services(struct compiler *c) {
  const char **names;
  load_workflows(c);
  c->file = "services";
  size_t n = source_list(c, "services", ".yaml", &names);
  if (!n) warn(c, 0, "the pack has no services yet");
  c->p->services = keep_alloc(c, n * sizeof *c->p->services);
  c->origins = base_alloc((n + 1) * sizeof *c->origins);
  for (size_t i = 0; i < n; i++) {
    char *file = base_printf("services/%s", names[i]), *base = base_strdup(names[i]);
    base[strlen(base) - 5] = 0;
    c->file = keep(c, file);
    struct yaml_doc *doc = source_yaml(c, file);
    unsigned before = c->errors;
    struct service *s = doc ? compile_one(c, yaml_root(doc), base) : NULL;
    if (s && c->errors == before) compile_examples(c, yaml_root(doc));
    if (doc) add_service(c, s, yaml_root(doc));
    yaml_doc_free(doc);
    free(file);
    free(base);
  }
  c->s = NULL;
  free(c->origins);
  for (size_t i = 0; i < c->workflow_count; i++) {
    c->file = c->workflows[i].file;
    if (!c->workflows[i].used) warn(c, 1, "no service uses this workflow");
    yaml_doc_free(c->workflows[i].doc);
  }
}
