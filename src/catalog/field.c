/* Fields: reading one definition of a question. */
#include "catalog/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const field_types[] = {
#define X(name, text) text,
  FIELD_TYPE_TABLE(X)
#undef X
  NULL};
const char *const place_kinds[] = {"province", "county", "district", "city", "zone", "rural_district", "village", NULL};
const char *const organisation_kinds[] = {"agency", "governorate", "municipality", "dehyari", "institution", "company", NULL};

const char *field_type_text(enum field_type t) { return (size_t)t < BASE_COUNT(field_types) - 1 ? field_types[t] : ""; }

int field_identifier(enum field_type t) {
  switch (t) {
  case FIELD_NATIONAL_ID: return IDENT_NATIONAL_ID;
  case FIELD_FIDA: return IDENT_FIDA;
  case FIELD_LEGAL_ID: return IDENT_LEGAL_ID;
  case FIELD_MOBILE: return IDENT_MOBILE;
  case FIELD_POSTAL_CODE: return IDENT_POSTAL_CODE;
  case FIELD_SHEBA: return IDENT_SHEBA;
  case FIELD_TRACKING: return IDENT_TRACKING;
  default: return -1;
  }
}

/* ---- bounds ------------------------------------------------------------------------------- */

int64_t field_least(const struct field *f) {
  if (f->has_min) return f->min;
  switch (f->type) {
  case FIELD_INTEGER: return -INTEGER_MOST;
  case FIELD_DECIMAL: return -DECIMAL_MOST;
  case FIELD_MONEY: return 0;
  default: return 1; /* characters, choices, files */
  }
}

int64_t field_most(const struct field *f) {
  if (f->has_max) return f->max;
  switch (f->type) {
  case FIELD_TEXT: return 200;
  case FIELD_PARAGRAPH: return 4000;
  case FIELD_DECIMAL: return DECIMAL_MOST;
  case FIELD_CHOICES: return (int64_t)f->choice_count;
  case FIELD_DOCUMENT: return 5;
  default: return INTEGER_MOST;
  }
}

int32_t field_first_day(const struct field *f, int32_t today) {
  if (f->min_today) return today + f->min_days;
  return f->has_min ? (int32_t)f->min : day_from_gregorian((struct date){1800, 1, 1});
}

int32_t field_last_day(const struct field *f, int32_t today) {
  if (f->max_today) return today + f->max_days;
  return f->has_max ? (int32_t)f->max : day_from_gregorian((struct date){2200, 12, 31});
}

bool parse_today(const char *text, int *days) {
  int64_t n = 0;
  if (!base_starts(text, "today")) return false;
  text += 5;
  if (*text && ((*text != '+' && *text != '-') || parse_i64(text + 1, &n) < 0 || n < 0 || n > 100000)) return false;
  *days = (int)(*text == '-' ? -n : n);
  return true;
}

static void date_bound(struct compiler *c, const struct yaml_node *n, bool *has, int64_t *day, bool *today, int *days) {
  const char *text = scalar(c, n, n->key);
  if (!text) return;
  if (parse_today(text, days)) {
    *today = true;
    return;
  }
  int32_t d = date_parse(text);
  if (d == INT32_MIN) fail(c, n->line, "'%s' is '%s': it must be a date (2026-03-21) or today, today-30, today+365", n->key, text);
  else *has = true;
  *day = d;
}

/* A decimal with at most three places, as thousandths. */
static bool thousandths(const char *text, int64_t *out) {
  char *end;
  double v = strtod(text, &end);
  size_t n = strlen(text), dot = strcspn(text, ".");
  if (*end || n == 0 || strspn(text, "-0123456789.") != n || n > dot + 4 || !(v >= -1e9 && v <= 1e9)) return false;
  *out = (int64_t)(v < 0 ? v * 1000 - 0.5 : v * 1000 + 0.5);
  return true;
}

static void number_bound(struct compiler *c, const struct yaml_node *map, const char *key, struct field *f, bool *has, int64_t *out) {
  const struct yaml_node *n = yaml_get(map, key);
  int64_t least = 1, most = INTEGER_MOST;
  if (!n) return;
  if (f->type == FIELD_DECIMAL) {
    const char *text = scalar(c, n, key);
    if (text && !thousandths(text, out)) fail(c, n->line, "'%s' is '%s': it must be a number with three decimals at most", key, text);
    *has = text != NULL;
    return;
  }
  if (f->type == FIELD_INTEGER) least = -INTEGER_MOST;
  else if (f->type == FIELD_MONEY) least = 0;
  else if (f->type == FIELD_TEXT) most = 1000;
  else if (f->type == FIELD_PARAGRAPH) most = 10000;
  else if (f->type == FIELD_CHOICES) most = (int64_t)f->choice_count;
  else most = 20; /* document */
  *out = int_of(c, map, key, least, least, most);
  *has = true;
}

static void bounds(struct compiler *c, const struct yaml_node *n, struct field *f) {
  const struct yaml_node *min = yaml_get(n, "min"), *max = yaml_get(n, "max"), *any = min ? min : max;
  if (!any) return;
  switch (f->type) {
  case FIELD_DATE:
    if (min) date_bound(c, min, &f->has_min, &f->min, &f->min_today, &f->min_days);
    if (max) date_bound(c, max, &f->has_max, &f->max, &f->max_today, &f->max_days);
    if ((f->has_min && f->has_max && f->min > f->max) || (f->min_today && f->max_today && f->min_days > f->max_days))
      fail(c, any->line, "field '%s': min is after max", f->name);
    return;
  case FIELD_TEXT: case FIELD_PARAGRAPH: case FIELD_INTEGER: case FIELD_DECIMAL: case FIELD_MONEY: case FIELD_CHOICES: case FIELD_DOCUMENT:
    number_bound(c, n, "min", f, &f->has_min, &f->min);
    number_bound(c, n, "max", f, &f->has_max, &f->max);
    if (field_least(f) > field_most(f)) fail(c, any->line, "field '%s': min is greater than max", f->name);
    return;
  default: fail(c, any->line, "'%s' means nothing for a field of type %s: take it away", any->key, field_type_text(f->type));
  }
}

/* ---- choices ---------------------------------------------------------------------------------- */

bool parse_choices(struct compiler *c, const struct yaml_node *n, struct choice **out, size_t *count) {
  if (!is_list(c, n, "choices")) return false;
  struct choice *list = keep_alloc(c, n->count * sizeof *list);
  size_t have = 0;
  for (const struct yaml_node *i = n->first; i; i = i->next) {
    if (!keys(c, i, "choice", "value fa en latn")) continue;
    const struct yaml_node *v = want(c, i, "choice", "value");
    const char *value = v ? scalar(c, v, "value") : NULL;
    if (!value) continue;
    if (strlen(value) > 40 || strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != strlen(value))
      fail(c, v->line, "choice '%s' must hold letters, digits, '-' and '_' only (40 at most)", value);
    for (size_t k = 0; k < have; k++)
      if (strcmp(list[k].value, value) == 0) fail(c, v->line, "choice '%s' stands twice", value);
    struct choice *one = &list[have++];
    one->value = keep(c, value);
    const struct yaml_node *fa = want(c, i, "choice", "fa"), *en = want(c, i, "choice", "en");
    one->label.fa = fa ? scalar_of(c, i, "fa", "") : "";
    one->label.en = en ? scalar_of(c, i, "en", "") : "";
    if (utf8_length(one->label.fa) > 120 || utf8_length(one->label.en) > 120) fail(c, i->line, "choice '%s' has a label of more than 120 characters", value);
    one->latn.fa = one->latn.en = latn_of(c, i);
  }
  *out = list;
  *count = have;
  return have > 0;
}

static const struct choice_list *find_list(struct compiler *c, const struct yaml_node *n, const char *name) {
  struct nearest near = {.wanted = name};
  for (size_t i = 0; i < c->p->list_count; i++) {
    if (strcmp(c->p->lists[i].name, name) == 0) return &c->p->lists[i];
    nearest_offer(&near, c->p->lists[i].name);
  }
  fail(c, n->line, "unknown list '%s'%s", name, near.best ? did_you_mean(&near).text : ": it is a file such as lists/activity.csv");
  return NULL;
}

static void choices(struct compiler *c, const struct yaml_node *n, struct field *f) {
  const struct yaml_node *inline_ = yaml_get(n, "choices"), *from = yaml_get(n, "choices_from"), *any = inline_ ? inline_ : from;
  bool wanted = f->type == FIELD_CHOICE || f->type == FIELD_CHOICES;
  if (any && !wanted) {
    fail(c, any->line, "'%s' means nothing for a field of type %s: take it away", any->key, field_type_text(f->type));
  } else if (inline_ && from) {
    fail(c, from->line, "field '%s' has both choices and choices_from: keep one", f->name);
  } else if (inline_) {
    if (!parse_choices(c, inline_, &f->choices, &f->choice_count)) fail(c, inline_->line, "field '%s' has no choices", f->name);
  } else if (from) {
    const char *name = scalar(c, from, "choices_from");
    const struct choice_list *list = name ? find_list(c, from, name) : NULL;
    if (list) {
      f->choices = list->choices;
      f->choice_count = list->count;
    }
  } else if (wanted) {
    fail(c, n->line, "field '%s' has no choices: add choices or choices_from", f->name);
  }
}

/* ---- places, organisations, documents ----------------------------------------------------------- */

static const struct field *earlier(const struct scope *scope, const char *name) {
  for (size_t i = 0; i < scope->count; i++)
    if (strcmp(scope->fields[i]->name, name) == 0) return scope->fields[i];
  return NULL;
}

static void within(struct compiler *c, const struct yaml_node *n, struct field *f, const struct scope *scope) {
  const struct yaml_node *w = yaml_get(n, "within");
  const char *name = w ? scalar(c, w, "within") : NULL;
  if (!name) return;
  const struct field *outer = earlier(scope, name);
  if (!outer) fail(c, w->line, "'within' names '%s': it must be an earlier place field", name);
  else if (outer->type != FIELD_PLACE) fail(c, w->line, "'within' names '%s', which is no place", name);
  else if (outer->place_kind >= 0 && f->place_kind >= 0 && outer->place_kind >= f->place_kind)
    fail(c, w->line, "a %s is never within a %s", place_kinds[f->place_kind], place_kinds[outer->place_kind]);
  else f->place_within = outer->name;
}

static void accept_types(struct compiler *c, const struct yaml_node *n, struct field *f) {
  static const char *const known[] = {"pdf", "jpeg", "png", NULL};
  const struct yaml_node *list = yaml_get(n, "accept");
  char all[32] = "";
  f->accept = "pdf,jpeg,png";
  if (!is_list(c, list, "accept")) return;
  for (const struct yaml_node *i = list->first; i; i = i->next) {
    const char *text = scalar(c, i, "accept");
    bool good = false;
    for (size_t k = 0; text && known[k]; k++) good |= strcmp(known[k], text) == 0;
    if (!text) continue;
    if (!good) fail(c, i->line, "unknown document kind '%s': it is one of pdf, jpeg, png", text);
    else if (strstr(all, text)) fail(c, i->line, "document kind '%s' stands twice", text);
    else snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", all[0] ? "," : "", text);
  }
  if (!list->count) fail(c, list->line, "'accept' is an empty list");
  f->accept = keep(c, all);
}

static void only_for(struct compiler *c, const struct yaml_node *n, const struct field *f, const char *key, bool right, const char *whose) {
  const struct yaml_node *k = yaml_get(n, key);
  if (k && !right) fail(c, k->line, "'%s' is for %s; field '%s' is of type %s", key, whose, f->name, field_type_text(f->type));
}

static void kinds(struct compiler *c, const struct yaml_node *n, struct field *f, const struct scope *scope) {
  f->place_kind = f->organisation_kind = -1;
  only_for(c, n, f, "kind", f->type == FIELD_PLACE || f->type == FIELD_ORGANISATION, "places and organisations");
  only_for(c, n, f, "within", f->type == FIELD_PLACE, "places");
  only_for(c, n, f, "accept", f->type == FIELD_DOCUMENT, "documents");
  if (f->type == FIELD_PLACE) {
    f->place_kind = word_of(c, n, "kind", place_kinds, -1);
    within(c, n, f, scope);
  }
  if (f->type == FIELD_ORGANISATION) f->organisation_kind = word_of(c, n, "kind", organisation_kinds, -1);
  f->accept = "";
  if (f->type == FIELD_DOCUMENT) accept_types(c, n, f);
}

static const char *const differences[] = {"flag", "refuse", NULL};

/* ---- prefill, law ------------------------------------------------------------------------------------ */

static const struct data_service *check_prefill(struct compiler *c, const struct yaml_node *n, const char *text) {
  const struct pack *p = c->p;
  struct nearest near = {.wanted = text};
  char full[200];
  const char *best = NULL;
  for (size_t i = 0; i < p->data_service_count; i++) {
    const struct data_service *ds = &p->data_services[i];
    for (size_t k = 0; k < ds->count; k++) {
      snprintf(full, sizeof full, "%s/%s:%s", directory_organisation(p->directory, ds->provider)->code, ds->service, ds->attributes[k]);
      if (strcmp(full, text) == 0) return ds;
      near.best = NULL;
      near.distance = 0;
      nearest_offer(&near, full);
      if (near.best && !best) best = keep(c, full);
    }
  }
  near.best = best;
  fail(c, n->line, "prefill '%s' is no attribute of a data service in pack.yaml%s", text, best ? did_you_mean(&near).text : ": write it as provider/service:attribute");
  return NULL;
}

/* Whose record: the applicant's own, or the one whose key another field holds. */
static void whose(struct compiler *c, const struct yaml_node *n, struct field *f, const struct data_service *ds, const struct scope *scope) {
  const struct yaml_node *of = yaml_get(n, "of");
  const char *name = of ? scalar(c, of, "of") : NULL;
  const char *key = ds->registry ? ds->registry->key : ds->key;
  const struct registry_attribute *known = ds->registry && key ? registry_attribute(ds->registry, key) : NULL;
  enum field_type type = known ? known->type : ds->key_type;
  if (name && !earlier(scope, name)) fail(c, of->line, "'of' names '%s': it must be an earlier field", name);
  else if (name) f->prefill_of = earlier(scope, name)->name;
  else if (key && type != FIELD_NATIONAL_ID && !earlier(scope, key))
    fail(c, n->line, "prefill from %s '%s' needs an earlier field '%s', or 'of'", known ? "registry" : "data service", known ? ds->registry->code : ds->service, key);
}

static void origin(struct compiler *c, const struct yaml_node *n, struct field *f, const struct scope *scope) {
  const struct yaml_node *law = yaml_get(n, "law"), *prefill = yaml_get(n, "prefill");
  if (law) f->law = law->kind == YAML_NODE_MAP ? text_node(c, law, "law", 300).fa : scalar_of(c, n, "law", NULL);
  const char *text = prefill ? scalar(c, prefill, "prefill") : NULL;
  if (!text) return;
  const struct data_service *ds = check_prefill(c, prefill, text);
  f->prefill = keep(c, text);
  if (!ds) return;
  f->refuse_difference = word_of(c, n, "differs", differences, ds->refuse) == 1;
  whose(c, n, f, ds, scope);
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

#define FIELD_KEYS "field type label latn hint required when min max choices choices_from kind within accept constraint message search personal prefill of differs law ussd"

struct field *field_of_attribute(struct compiler *c, const struct yaml_node *n, const char *name, enum field_type type, struct text title, bool personal) {
  struct field *f = keep_alloc(c, sizeof *f);
  const struct scope none = {0};
  f->name = name;
  f->type = type;
  f->label = title;
  f->hint = (struct text){"", ""};
  f->latn = "";
  f->personal = personal;
  f->line = n->line;
  /* A choice without a list here holds whatever word the services' lists have. */
  if ((type == FIELD_CHOICE || type == FIELD_CHOICES) && !yaml_get(n, "choices") && !yaml_get(n, "choices_from")) f->type = FIELD_TEXT;
  else choices(c, n, f);
  kinds(c, n, f, &none);
  return f;
}

struct field *field_parse(struct compiler *c, const struct yaml_node *n, const struct scope *scope) {
  struct field *f = keep_alloc(c, sizeof *f);
  if (!keys(c, n, "field", scope->implied ? FIELD_KEYS " exit_when exit" : FIELD_KEYS)) return NULL;
  f->line = n->line;
  f->name = name_of(c, n, "field", "field", '_');
  if (!f->name[0]) return NULL;
  if (strcmp(f->name, "tracking") == 0 || strcmp(f->name, "date") == 0 || strcmp(f->name, "number") == 0)
    fail(c, n->line, "field '%s' has a reserved name: certificates use it", f->name);
  f->type = (enum field_type)word_of(c, n, "type", field_types, FIELD_TEXT);
  want(c, n, "field", "type");
  f->label = text_of(c, n, "field", "label", 160, true);
  f->hint = text_of(c, n, "field", "hint", 400, false);
  f->latn = latn_of(c, n);
  f->required = bool_of(c, n, "required", true);
  if (f->type == FIELD_DECLARATION && !f->required) fail(c, n->line, "declaration '%s' cannot be optional: it must be true", f->name);
  choices(c, n, f);
  bounds(c, n, f);
  kinds(c, n, f, scope);
  const struct yaml_node *when = yaml_get(n, "when"), *constraint = yaml_get(n, "constraint"), *message = yaml_get(n, "message");
  if (when) f->when = cond_parse(c, when, scope);
  if (constraint) {
    struct field **with = keep_alloc(c, (scope->count + 1) * sizeof *with);
    if (scope->count) memcpy(with, scope->fields, scope->count * sizeof *with);
    with[scope->count] = f;
    struct scope self = {with, scope->count + 1, NULL, scope->of_pages};
    f->constraint = cond_parse(c, constraint, &self);
    f->constraint_message = text_of(c, n, "a field with a constraint", "message", 300, true);
  } else if (message) {
    fail(c, message->line, "field '%s' has a message without a constraint", f->name);
  }
  f->searchable = bool_of(c, n, "search", false);
  f->personal = bool_of(c, n, "personal", false);
  origin(c, n, f, scope);
  f->ussd = bool_of(c, n, "ussd", f->required && f->type != FIELD_DOCUMENT);
  if (f->ussd && f->type == FIELD_DOCUMENT) fail(c, n->line, "document '%s' cannot be sent by USSD: take 'ussd' away", f->name);
  return f;
}
