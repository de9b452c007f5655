/* What follows the form and the workflow: fees, inquiries, outputs, notices, retention, questions; and the rule against asking twice. */
#include "catalog/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct scope all_fields(const struct compiler *c) { return (struct scope){c->s->fields, c->s->field_count, NULL, false}; }

static struct cond *when_of(struct compiler *c, const struct yaml_node *n) {
  const struct yaml_node *when = yaml_get(n, "when");
  struct scope scope = all_fields(c);
  return when ? cond_parse(c, when, &scope) : NULL;
}

static const struct field *known_field(struct compiler *c, const struct yaml_node *n, const char *key) {
  const char *text = scalar(c, n, key);
  if (!text) return NULL;
  const struct field *f = service_field(c->s, text);
  struct nearest near = {.wanted = text};
  for (size_t i = 0; i < c->s->field_count; i++) nearest_offer(&near, c->s->fields[i]->name);
  if (!f) fail(c, n->line, "'%s' names an unknown field '%s'%s", key, text, did_you_mean(&near).text);
  return f;
}

/* ---- templates ----------------------------------------------------------------------------------- */

struct template_names { const char *const *fixed; bool fields; };

static void check_name(struct compiler *c, unsigned line, const char *key, const char *name, const struct template_names *names) {
  struct nearest near = {.wanted = name};
  for (size_t i = 0; names->fixed[i]; i++) {
    if (strcmp(names->fixed[i], name) == 0) return;
    nearest_offer(&near, names->fixed[i]);
  }
  for (size_t i = 0; names->fields && i < c->s->field_count; i++) {
    if (strcmp(c->s->fields[i]->name, name) == 0) return;
    nearest_offer(&near, c->s->fields[i]->name);
  }
  fail(c, line, "'%s' speaks of {{%s}}, which is unknown%s", key, name, did_you_mean(&near).text);
}

/* Mustache tags: names known, sections closed; no partials, no other delimiters. */
static void check_template(struct compiler *c, unsigned line, const char *key, const char *text, const struct template_names *names) {
  char open[8][44];
  size_t depth = 0;
  for (const char *at = text; (at = strstr(at, "{{")) != NULL;) {
    bool raw = at[2] == '{';
    const char *end = strstr(at, raw ? "}}}" : "}}");
    if (!end) {
      fail(c, line, "'%s' has a {{ that is never closed", key);
      return;
    }
    at += raw ? 3 : 2;
    char sort = raw ? '{' : (at < end && strchr("#^/&!>=", *at)) ? *at++ : 0, name[44] = "";
    while (*at == ' ') at++;
    size_t n = (size_t)(end - at);
    while (n && at[n - 1] == ' ') n--;
    snprintf(name, sizeof name, "%.*s", (int)(n < 43 ? n : 43), at);
    at = end + (raw ? 3 : 2);
    if (sort == '!') continue;
    if (sort == '>' || sort == '=') {
      fail(c, line, "'%s' has {{%c…}}: partials and other delimiters are not for packs", key, sort);
    } else if (sort == '/') {
      if (!depth || strcmp(open[depth - 1], name) != 0) fail(c, line, "'%s' closes {{/%s}}, which is not open", key, name);
      if (depth) depth--;
    } else {
      check_name(c, line, key, name, names);
      if ((sort == '#' || sort == '^') && depth == BASE_COUNT(open)) fail(c, line, "'%s' nests sections too deep", key);
      else if (sort == '#' || sort == '^') snprintf(open[depth++], sizeof open[0], "%s", name);
    }
  }
  if (depth) fail(c, line, "'%s' opens {{#%s}} and never closes it", key, open[depth - 1]);
}

static void check_templates(struct compiler *c, unsigned line, const char *key, const struct text *t, const struct template_names *names) {
  check_template(c, line, key, t->fa, names);
  check_template(c, line, key, t->en, names);
}

void check_letter_text(struct compiler *c, unsigned line, const char *key, const struct text *t, const char *const *fixed) {
  const struct template_names names = {fixed, true};
  const char *const both[] = {t->fa, t->en};
  check_templates(c, line, key, t, &names);
  for (size_t i = 0; i < BASE_COUNT(both); i++)
    for (const char *at = both[i]; (at = strstr(at, "{{")) != NULL; at += 2)
      if (strchr("#^/&{!", at[2])) {
        fail(c, line, "'%s' of a letter takes plain {{names}} alone, no sections", key);
        return;
      }
}

static bool has_link(const char *text) {
  static const char *const ends[] = {".ir", ".com", ".org", ".net", ".gov", ".io", ".me", ".link"};
  if (strstr(text, "://") || strstr(text, "www.")) return true;
  for (size_t i = 0; i < BASE_COUNT(ends); i++) {
    size_t n = strlen(ends[i]);
    for (const char *at = text; (at = strstr(at, ends[i])) != NULL; at += n) {
      bool word = at > text && ((at[-1] >= 'a' && at[-1] <= 'z') || (at[-1] >= '0' && at[-1] <= '9') || at[-1] == '-');
      if (word && !((at[n] >= 'a' && at[n] <= 'z') || (at[n] >= '0' && at[n] <= '9'))) return true;
    }
  }
  return false;
}

/* ---- fees, inquiries -------------------------------------------------------------------------------- */

static void read_fees(struct compiler *c, const struct yaml_node *root) {
  const struct yaml_node *list = yaml_get(root, "fee");
  struct service *s = c->s;
  bool always = false;
  if (!is_list(c, list, "fee")) return;
  s->fees = keep_alloc(c, list->count * sizeof *s->fees);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    if (!keys(c, i, "fee row", "when rial label")) continue;
    struct fee_row *row = &s->fees[s->fee_count++];
    want(c, i, "fee row", "rial");
    row->rial = int_of(c, i, "rial", 0, 0, 1000000000000LL);
    row->label = text_of(c, i, "fee row", "label", 160, true);
    row->when = when_of(c, i);
    if (always) fail(c, i->line, "this fee row is never reached: a row without 'when' stands before it");
    always |= !yaml_get(i, "when");
  }
}

static void read_asked(struct compiler *c, const struct yaml_node *n, struct inquiry *q) {
  const struct yaml_node *to = want(c, n, "inquiry", "to");
  q->organisation = q->organisation_kind = -1;
  if (!to) return;
  if (to->kind == YAML_NODE_SCALAR) {
    q->organisation = organisation_of(c, to, "to");
    return;
  }
  if (!keys(c, to, "to", "at kind")) return;
  const struct yaml_node *at = want(c, to, "to", "at");
  const struct field *f = at ? known_field(c, at, "at") : NULL;
  if (f && f->type != FIELD_PLACE) fail(c, at->line, "'at' names '%s', which is no place", f->name);
  q->place_field = f ? f->name : "";
  want(c, to, "to", "kind");
  q->organisation_kind = word_of(c, to, "kind", organisation_kinds, -1);
}

static void read_inquiry(struct compiler *c, const struct yaml_node *n, struct inquiry *q) {
  static const char *const silences[] = {"consent", "escalate", NULL};
  q->name = "";
  q->organisation = q->organisation_kind = -1;
  if (!keys(c, n, "inquiry", "inquiry title question to shows days silence when")) return;
  q->name = name_of(c, n, "inquiry", "inquiry", '-');
  q->title = text_of(c, n, "inquiry", "title", 120, true);
  q->question = text_of(c, n, "inquiry", "question", 600, true);
  read_asked(c, n, q);
  const struct yaml_node *shows = want(c, n, "inquiry", "shows");
  if (is_list(c, shows, "shows")) {
    q->shows = keep_alloc(c, (shows->count + 1) * sizeof *q->shows);
    for (const struct yaml_node *i = shows->first; i; i = i->next) {
      const struct field *f = known_field(c, i, "shows");
      if (f) q->shows[q->show_count++] = f->name;
    }
  }
  want(c, n, "inquiry", "days");
  q->days = (int)int_of(c, n, "days", 1, 1, 1000);
  want(c, n, "inquiry", "silence");
  q->silence_consents = word_of(c, n, "silence", silences, 1) == 0;
  q->when = when_of(c, n);
}

static void read_inquiries(struct compiler *c, const struct yaml_node *root) {
  const struct yaml_node *list = yaml_get(root, "inquiries");
  struct service *s = c->s;
  if (!is_list(c, list, "inquiries")) return;
  s->inquiries = keep_alloc(c, list->count * sizeof *s->inquiries);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    struct inquiry *q = &s->inquiries[s->inquiry_count];
    read_inquiry(c, i, q);
    for (size_t k = 0; k < s->inquiry_count; k++)
      if (q->name[0] && strcmp(s->inquiries[k].name, q->name) == 0) fail(c, i->line, "inquiry '%s' stands twice", q->name);
    s->inquiry_count++;
  }
}

/* ---- outputs -------------------------------------------------------------------------------------------- */

static void read_certificate(struct compiler *c, const struct yaml_node *n) {
  static const char *const in_body[] = {"tracking", "date", "number", NULL}, *const in_number[] = {"tracking", "date", NULL};
  static const struct template_names body = {in_body, true}, number = {in_number, false};
  struct service *s = c->s;
  if (!keys(c, n, "certificate", "title body valid_days number")) return;
  s->certificate.present = true;
  s->certificate.title = text_of(c, n, "certificate", "title", 120, true);
  s->certificate.body = text_of(c, n, "certificate", "body", 4000, true);
  s->certificate.valid_days = (int)int_of(c, n, "valid_days", 0, 0, 36500);
  s->certificate.number = scalar_of(c, n, "number", "{{tracking}}");
  const struct yaml_node *text = yaml_get(n, "body"), *no = yaml_get(n, "number");
  if (text) check_templates(c, text->line, "body", &s->certificate.body, &body);
  if (no) check_template(c, no->line, "number", s->certificate.number, &number);
}

static const struct registry *find_registry(struct compiler *c, const struct yaml_node *n) {
  const char *text = scalar(c, n, "registry");
  if (!text) return NULL;
  struct nearest near = {.wanted = text};
  for (size_t i = 0; i < c->p->registry_count; i++) {
    if (strcmp(c->p->registries[i].code, text) == 0) return &c->p->registries[i];
    nearest_offer(&near, c->p->registries[i].code);
  }
  fail(c, n->line, "unknown registry '%s'%s", text, near.best ? did_you_mean(&near).text : ": it is a file in registries/");
  return NULL;
}

static const char *attribute_of(struct compiler *c, const struct yaml_node *n, const struct registry *r) {
  struct nearest near = {.wanted = n->key};
  for (size_t i = 0; i < r->count; i++) {
    if (strcmp(r->attributes[i].name, n->key) == 0) return r->attributes[i].name;
    nearest_offer(&near, r->attributes[i].name);
  }
  fail(c, n->key_line, "registry '%s' has no attribute '%s'%s", r->code, n->key, did_you_mean(&near).text);
  return NULL;
}

static void read_record(struct compiler *c, const struct yaml_node *n) {
  struct service *s = c->s;
  if (!keys(c, n, "record", "registry map")) return;
  const struct yaml_node *name = want(c, n, "record", "registry"), *map = want(c, n, "record", "map");
  const struct registry *r = name ? find_registry(c, name) : NULL;
  if (!r || !map) return;
  if (map->kind != YAML_NODE_MAP) {
    fail(c, map->line, "'map' must be a map from the registry's attributes to fields");
    return;
  }
  s->record.registry = r->code;
  s->record.map = keep_alloc(c, map->count * sizeof *s->record.map);
  bool keyed = false;
  for (const struct yaml_node *i = map->first; i; i = i->next) {
    const char *attribute = attribute_of(c, i, r);
    const struct field *f = known_field(c, i, "map");
    if (!attribute || !f) continue;
    keyed |= base_same(attribute, r->key);
    s->record.map[s->record.count].attribute = attribute;
    s->record.map[s->record.count++].field = f->name;
  }
  if (r->key && !keyed) fail(c, map->line, "record: the key '%s' of registry '%s' is not among the mapped attributes", r->key, r->code);
}

/* A field of one of two types; NULL when the key is absent. */
static const char *typed_field(struct compiler *c, const struct yaml_node *map, const char *key, enum field_type one, enum field_type other) {
  const struct yaml_node *n = yaml_get(map, key);
  const struct field *f = n ? known_field(c, n, key) : NULL;
  if (f && f->type != one && f->type != other) fail(c, n->line, "'%s' names '%s', which is of type %s", key, f->name, field_type_text(f->type));
  return f ? f->name : NULL;
}

static const struct registry_attribute *attribute_named(struct compiler *c, const struct yaml_node *n, const struct registry *r, enum field_type type) {
  const char *text = scalar(c, n, "attribute");
  const struct registry_attribute *k = text && r ? registry_attribute(r, text) : NULL;
  struct nearest near = {.wanted = text ? text : ""};
  for (size_t i = 0; r && i < r->count; i++) nearest_offer(&near, r->attributes[i].name);
  if (text && r && !k) fail(c, n->line, "registry '%s' has no attribute '%s'%s", r->code, text, did_you_mean(&near).text);
  else if (k && k->type != type) fail(c, n->line, "attribute '%s' is of type %s, where %s is needed", k->name, field_type_text(k->type), field_type_text(type));
  return k;
}

/* ---- a right to a data service ---- */

/* The services that can be chosen are published in this pack; "none" is for what nobody publishes yet. */
static void granted_service(struct compiler *c, const struct yaml_node *n) {
  const struct field *f = known_field(c, n, "service");
  struct service *s = c->s;
  if (!f) return;
  s->grant.service = f->name;
  if (f->type != FIELD_CHOICE) fail(c, n->line, "'service' names '%s', which is no choice", f->name);
  for (size_t i = 0; f->type == FIELD_CHOICE && i < f->choice_count; i++)
    if (strcmp(f->choices[i].value, "none") != 0 && !pack_find_data_service(c->p, NULL, f->choices[i].value))
      fail(c, n->line, "choice '%s' of field '%s' is no data service of pack.yaml: write its code, or none", f->choices[i].value, f->name);
}

static bool published(const struct pack *p, const char *attribute) {
  for (size_t i = 0; i < p->data_service_count; i++)
    for (size_t k = 0; k < p->data_services[i].count; k++)
      if (strcmp(p->data_services[i].attributes[k], attribute) == 0) return true;
  return false;
}

static void granted_attributes(struct compiler *c, const struct yaml_node *list) {
  struct service *s = c->s;
  if (!is_list(c, list, "attributes")) return;
  s->grant.attributes = keep_alloc(c, (list->count + 1) * sizeof *s->grant.attributes);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    const struct field *f = known_field(c, i, "attributes");
    if (!f) continue;
    s->grant.attributes[s->grant.attribute_count++] = f->name;
    if (f->type != FIELD_CHOICES) fail(c, i->line, "'attributes' names '%s', which has no choices", f->name);
    for (size_t k = 0; f->type == FIELD_CHOICES && k < f->choice_count; k++)
      if (!published(c->p, f->choices[k].value)) fail(c, i->line, "choice '%s' of field '%s' is no attribute of a data service", f->choices[k].value, f->name);
  }
}

/* grant: {asking: F, service: F, attributes: [F, …], purpose: F, basis: F, months: F} */
static void read_grant(struct compiler *c, const struct yaml_node *n) {
  struct service *s = c->s;
  if (!keys(c, n, "grant", "asking service attributes purpose basis months")) return;
  const struct yaml_node *asking = want(c, n, "grant", "asking"), *service = want(c, n, "grant", "service"), *attributes = want(c, n, "grant", "attributes"),
                         *purpose = want(c, n, "grant", "purpose");
  if (!asking || !service || !attributes || !purpose) return;
  s->grant.asking = typed_field(c, n, "asking", FIELD_ORGANISATION, FIELD_ORGANISATION);
  s->grant.purpose = typed_field(c, n, "purpose", FIELD_TEXT, FIELD_PARAGRAPH);
  s->grant.basis = typed_field(c, n, "basis", FIELD_TEXT, FIELD_PARAGRAPH);
  s->grant.months = typed_field(c, n, "months", FIELD_CHOICE, FIELD_INTEGER);
  granted_service(c, service);
  granted_attributes(c, attributes);
  s->grant.present = s->grant.asking && s->grant.service && s->grant.purpose;
}

/* record: {registry: legal-persons, names: [manager_id]} */
static void mandate_record(struct compiler *c, const struct yaml_node *n) {
  struct service *s = c->s;
  if (!n || !keys(c, n, "record", "registry names")) return;
  const struct yaml_node *registry = want(c, n, "record", "registry"), *names = want(c, n, "record", "names");
  const struct registry *r = registry ? find_registry(c, registry) : NULL;
  if (!r || !is_list(c, names, "names")) return;
  s->mandate.registry = r->code;
  s->mandate.attributes = keep_alloc(c, (names->count + 1) * sizeof *s->mandate.attributes);
  for (const struct yaml_node *i = names->first; i; i = i->next) {
    const struct registry_attribute *k = attribute_named(c, i, r, FIELD_NATIONAL_ID);
    if (k) s->mandate.attributes[s->mandate.attribute_count++] = k->name;
  }
}

static void mandate_alive(struct compiler *c, const struct yaml_node *list) {
  struct service *s = c->s;
  if (!is_list(c, list, "alive")) return;
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    if (!keys(c, i, "alive", "registry attribute")) continue;
    const struct yaml_node *registry = want(c, i, "alive", "registry"), *attribute = want(c, i, "alive", "attribute");
    const struct registry *r = registry ? find_registry(c, registry) : NULL;
    const struct registry_attribute *k = attribute && r ? attribute_named(c, attribute, r, FIELD_YES_NO) : NULL;
    if (s->mandate.alive_count == BASE_COUNT(s->mandate.alive)) fail(c, i->line, "'alive' has at most %zu rows", BASE_COUNT(s->mandate.alive));
    else if (k) {
      s->mandate.alive[s->mandate.alive_count].registry = r->code;
      s->mandate.alive[s->mandate.alive_count++].attribute = k->name;
    }
  }
}

static void read_mandate(struct compiler *c, const struct yaml_node *n) {
  struct service *s = c->s;
  if (!keys(c, n, "mandate", "principal attorney attorney_mobile name until scope record alive")) return;
  s->mandate.present = true;
  s->mandate.principal = typed_field(c, n, "principal", FIELD_NATIONAL_ID, FIELD_LEGAL_ID);
  s->mandate.attorney = typed_field(c, n, "attorney", FIELD_NATIONAL_ID, FIELD_NATIONAL_ID);
  s->mandate.attorney_mobile = typed_field(c, n, "attorney_mobile", FIELD_MOBILE, FIELD_MOBILE);
  s->mandate.name = typed_field(c, n, "name", FIELD_TEXT, FIELD_TEXT);
  s->mandate.until = typed_field(c, n, "until", FIELD_DATE, FIELD_DATE);
  const struct yaml_node *scope = yaml_get(n, "scope");
  if (scope && keys(c, scope, "scope", "service organisation event")) {
    s->mandate.service = typed_field(c, scope, "service", FIELD_CHOICE, FIELD_CHOICE);
    s->mandate.organisation = typed_field(c, scope, "organisation", FIELD_ORGANISATION, FIELD_ORGANISATION);
    s->mandate.event = typed_field(c, scope, "event", FIELD_CHOICE, FIELD_CHOICE);
  }
  mandate_record(c, yaml_get(n, "record"));
  mandate_alive(c, yaml_get(n, "alive"));
  if (!s->mandate.principal == !s->mandate.attorney)
    fail(c, n->line, "a mandate names either its principal or its attorney by a field: the other is the applicant");
  if (s->applicant_field || s->beneficiary_field) fail(c, n->line, "who gives a mandate has signed in: the service has no applicant_field and no beneficiary_field");
}

/* ---- notices, retention, questions ----------------------------------------------------------------------- */

static bool happens(const struct service *s, const char *event, struct nearest *near) {
  if (strcmp(event, "submit") == 0 || strcmp(event, "due") == 0 || strcmp(event, "remind") == 0) return true;
  nearest_offer(near, "submit");
  for (size_t i = 0; i < s->state_count; i++)
    for (size_t k = 0; k < s->states[i].action_count; k++) {
      if (strcmp(s->states[i].actions[k].name, event) == 0) return true;
      nearest_offer(near, s->states[i].actions[k].name);
    }
  return false;
}

/* What a letter and a telephone without Persian are told instead. */
static void read_other_ways(struct compiler *c, const struct yaml_node *i, struct notice *n, const struct template_names *names) {
  const struct yaml_node *mail = yaml_get(i, "mail"), *latn = yaml_get(i, "latn");
  if (mail) {
    n->mail = text_node(c, mail, "mail", 2000);
    check_templates(c, mail->line, "mail", &n->mail, names);
  }
  if (!latn) return;
  n->latn = scalar_of(c, i, "latn", "");
  check_template(c, latn->line, "latn", n->latn, names);
  if (!text_gsm7(n->latn, NULL) || strlen(n->latn) > 240) fail(c, latn->line, "'latn' has at most 240 letters of the GSM alphabet");
}

static void read_notices(struct compiler *c, const struct yaml_node *root) {
  static const char *const fixed[] = {"tracking", "service", "state", "reason", "due", NULL};
  static const struct template_names names = {fixed, false};
  const struct yaml_node *list = yaml_get(root, "notices");
  struct service *s = c->s;
  if (!is_list(c, list, "notices")) return;
  s->notices = keep_alloc(c, list->count * sizeof *s->notices);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    static const char *const receivers[] = {"applicant", "attorney", NULL};
    if (!keys(c, i, "notice", "on to text mail latn")) continue;
    struct notice *n = &s->notices[s->notice_count++];
    n->attorney = word_of(c, i, "to", receivers, 0) == 1;
    if (n->attorney && !s->mandate.attorney_mobile) fail(c, i->line, "a notice to the attorney needs the mandate's attorney_mobile");
    n->mail = (struct text){"", ""};
    n->latn = "";
    const struct yaml_node *on = want(c, i, "notice", "on"), *text = want(c, i, "notice", "text");
    n->on = on ? scalar_of(c, i, "on", "") : "";
    struct nearest near = {.wanted = n->on};
    if (n->on[0] && s->state_count && !happens(s, n->on, &near))
      fail(c, on->line, "notice on '%s': the workflow has no such action%s", n->on, near.best ? did_you_mean(&near).text : "; it is submit, due, remind or an action");
    if (!text) continue;
    n->text = text_node(c, text, "text", 320);
    check_templates(c, text->line, "text", &n->text, &names);
    read_other_ways(c, i, n, &names);
    if (has_link(n->text.fa) || has_link(n->text.en) || has_link(n->mail.fa) || has_link(n->mail.en) || has_link(n->latn))
      fail(c, text->line, "a notice must not have a link: people are warned against links in messages");
  }
}

static bool workflow_ends(const struct service *s, enum result r) {
  for (size_t i = 0; i < s->state_count; i++)
    if (s->states[i].result == r) return true;
  return false;
}

static void read_retention(struct compiler *c, const struct yaml_node *root) {
  static const char *const then[] = {"keep", "erase", NULL};
  const struct yaml_node *list = want(c, root, "service", "retention");
  struct service *s = c->s;
  bool covered[RESULT_CLOSED + 1] = {false};
  if (!is_list(c, list, "retention")) return;
  s->retentions = keep_alloc(c, list->count * sizeof *s->retentions);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    if (!keys(c, i, "retention row", "result years then")) continue;
    const struct yaml_node *result = want(c, i, "retention row", "result");
    int r = word_of(c, i, "result", result_words + 1, -1) + 1;
    want(c, i, "retention row", "years");
    want(c, i, "retention row", "then");
    struct retention *row = &s->retentions[s->retention_count++];
    row->result = (enum result)r;
    row->years = (int)int_of(c, i, "years", 1, 0, 100);
    row->erase = word_of(c, i, "then", then, 0) == 1;
    if (result && r != RESULT_OPEN && s->state_count && !workflow_ends(s, row->result))
      fail(c, result->line, "retention for '%s', but the workflow has no such final result", result_words[r]);
    else if (r != RESULT_OPEN && covered[r]) fail(c, i->line, "retention for '%s' stands twice", result_words[r]);
    covered[r] = true;
  }
  for (int r = RESULT_APPROVED; r <= RESULT_CLOSED; r++)
    if (!covered[r] && workflow_ends(s, (enum result)r))
      warn(c, list->line, "no retention for the result '%s': such cases are kept for ever", result_words[r]);
}

static void read_faq(struct compiler *c, const struct yaml_node *root) {
  const struct yaml_node *list = yaml_get(root, "faq");
  struct service *s = c->s;
  if (!is_list(c, list, "faq")) return;
  s->faqs = keep_alloc(c, list->count * sizeof *s->faqs);
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    if (!keys(c, i, "question", "q a")) continue;
    s->faqs[s->faq_count].q = text_of(c, i, "question", "q", 300, true);
    s->faqs[s->faq_count++].a = text_of(c, i, "question", "a", 1000, true);
  }
}

void compile_extras(struct compiler *c, const struct yaml_node *root) {
  read_fees(c, root);
  read_inquiries(c, root);
  const struct yaml_node *outputs = yaml_get(root, "outputs");
  if (outputs && keys(c, outputs, "outputs", "certificate record mandate grant")) {
    const struct yaml_node *certificate = yaml_get(outputs, "certificate"), *record = yaml_get(outputs, "record");
    if (certificate) read_certificate(c, certificate);
    if (record) read_record(c, record);
    if (yaml_get(outputs, "mandate")) read_mandate(c, yaml_get(outputs, "mandate"));
    if (yaml_get(outputs, "grant")) read_grant(c, yaml_get(outputs, "grant"));
  }
  compile_letters(c, root);
  read_notices(c, root);
  read_retention(c, root);
  read_faq(c, root);
}

/* ---- asking twice ------------------------------------------------------------------------------------------ */

void check_asking_twice(struct compiler *c) {
  const struct service *s = c->s;
  const struct pack *p = c->p;
  for (size_t i = 0; i < s->field_count; i++) {
    const struct field *f = s->fields[i];
    if (f->prefill || f->law || base_same(f->name, s->applicant_field) || base_same(f->name, s->beneficiary_field) || base_same(f->name, s->mobile_field)) continue;
    for (size_t k = 0; k < p->data_service_count; k++) {
      const struct data_service *d = &p->data_services[k];
      const char *provider = directory_organisation(p->directory, d->provider)->code;
      for (size_t n = 0; d->provider != s->organisation && n < d->count; n++)
        if (strcmp(d->attributes[n], f->name) == 0)
          fail(c, f->line, "field '%s' asks what %s publishes already: write prefill: %s/%s:%s, or law: the act that lets this service ask",
               f->name, provider, provider, d->service, f->name);
    }
  }
}
