/* The form as JSON Schema 2020-12. It describes canonical answers: what the engine accepts after repair satisfies it, and what satisfies
 * it the engine accepts. Formats of our own (ir-…, chapar-…) and the keyword x-within are told in docs/developer/pack.md. */
#include "catalog/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Characters that repair takes away, and those that it trims from the ends. */
#define GONE "\\u0000-\\u0009\\u000B-\\u001F\\u007F-\\u009F\\u00AD\\u200E\\u200F\\u202A-\\u202E\\u2066-\\u2069\\uFEFF"
#define EDGE "[^" GONE "\\s\\u200B-\\u200D]"
#define TEXT_PATTERN "^" EDGE "(?:[^" GONE "\\n]*" EDGE ")?$"
#define PARAGRAPH_PATTERN "^" EDGE "(?:[^" GONE "]*" EDGE ")?$"
#define EMAIL_PATTERN "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$"

static void set(json_t *o, const char *key, json_t *v) {
  if (!v || json_object_set_new(o, key, v)) abort();
}

static json_t *one(const char *key, json_t *v) {
  json_t *o = json_object();
  set(o, key, v);
  return o;
}

static json_t *strings(const char *a) {
  json_t *list = json_array();
  if (json_array_append_new(list, json_string(a))) abort();
  return list;
}

/* ---- conditions ---------------------------------------------------------------------------------------- */

/* What the field must satisfy for the leaf to hold. */
static json_t *leaf_test(const struct cond *c, const struct field *f) {
  static const char *const number[] = {"exclusiveMaximum", "maximum", "exclusiveMinimum", "minimum"};
  static const char *const date[] = {"formatExclusiveMaximum", "formatMaximum", "formatExclusiveMinimum", "formatMinimum"};
  bool several = f && f->type == FIELD_CHOICES;
  json_t *t;
  switch (c->op) {
  case COND_IS:
  case COND_IS_NOT:
    t = one("const", json_incref(c->value));
    break;
  case COND_IN:
    t = one("enum", json_incref(c->value));
    break;
  case COND_PRESENT: return json_true();
  default:
    t = json_object();
    if (json_is_string(c->value)) {
      set(t, "format", json_string("date"));
      set(t, date[c->op - COND_LT], json_incref(c->value));
    } else {
      set(t, "type", json_string("number"));
      set(t, number[c->op - COND_LT], json_incref(c->value));
    }
  }
  if (several) t = one("contains", t);
  return c->op == COND_IS_NOT ? one("not", t) : t;
}

static json_t *cond_schema(const struct cond *c, struct field *const *fields, size_t count) {
  if (c->op > COND_NOT) {
    const struct field *f = NULL;
    for (size_t i = 0; i < count && !f; i++)
      if (strcmp(fields[i]->name, c->field) == 0) f = fields[i];
    json_t *o = one("required", strings(c->field));
    if (c->op != COND_PRESENT) set(o, "properties", one(c->field, leaf_test(c, f)));
    return o;
  }
  if (c->op == COND_NOT) return one("not", cond_schema(c->items[0], fields, count));
  json_t *list = json_array();
  for (size_t i = 0; i < c->count; i++)
    if (json_array_append_new(list, cond_schema(c->items[i], fields, count))) abort();
  return one(c->op == COND_ALL ? "allOf" : "anyOf", list);
}

/* ---- fields ------------------------------------------------------------------------------------------------- */

static json_t *thousandths(int64_t v) { return v % 1000 ? json_real((double)v / 1000.0) : json_integer(v / 1000); }

static void day_bound(json_t *o, const char *key, int32_t day) {
  char iso[16];
  date_iso(day, iso);
  set(o, key, json_string(iso));
}

static void pattern(json_t *o, const char *regex, const char *format) {
  set(o, "type", json_string("string"));
  set(o, "pattern", json_string(regex));
  if (format) set(o, "format", json_string(format));
}

static json_t *choice_values(const struct field *f) {
  json_t *list = json_array();
  for (size_t i = 0; i < f->choice_count; i++)
    if (json_array_append_new(list, json_string(f->choices[i].value))) abort();
  return list;
}

static void array_of(json_t *o, const struct field *f, json_t *items) {
  set(o, "type", json_string("array"));
  set(o, "items", items);
  set(o, "minItems", json_integer(field_least(f)));
  set(o, "maxItems", json_integer(field_most(f)));
  set(o, "uniqueItems", json_true());
}

static void kind_format(json_t *o, const char *base, int kind, const char *const *words) {
  char format[64];
  snprintf(format, sizeof format, "%s%s%s", base, kind >= 0 ? "-" : "", kind >= 0 ? words[kind] : "");
  set(o, "format", json_string(format));
}

static void type_schema(json_t *o, const struct field *f, int32_t today) {
  switch (f->type) {
  case FIELD_TEXT:
  case FIELD_PARAGRAPH:
    pattern(o, f->type == FIELD_TEXT ? TEXT_PATTERN : PARAGRAPH_PATTERN, NULL);
    set(o, "minLength", json_integer(field_least(f)));
    set(o, "maxLength", json_integer(field_most(f)));
    break;
  case FIELD_INTEGER:
  case FIELD_MONEY:
    set(o, "type", json_string("integer"));
    set(o, "minimum", json_integer(field_least(f)));
    set(o, "maximum", json_integer(field_most(f)));
    break;
  case FIELD_DECIMAL:
    set(o, "type", json_string("number"));
    set(o, "minimum", thousandths(field_least(f)));
    set(o, "maximum", thousandths(field_most(f)));
    break;
  case FIELD_DATE:
    set(o, "type", json_string("string"));
    set(o, "format", json_string("date"));
    day_bound(o, "formatMinimum", field_first_day(f, today));
    day_bound(o, "formatMaximum", field_last_day(f, today));
    break;
  case FIELD_YES_NO: set(o, "type", json_string("boolean")); break;
  case FIELD_DECLARATION: set(o, "const", json_true()); break;
  case FIELD_CHOICE: set(o, "enum", choice_values(f)); break;
  case FIELD_CHOICES: array_of(o, f, one("enum", choice_values(f))); break;
  case FIELD_PLACE:
    pattern(o, "^[0-9]{2,16}$", NULL);
    kind_format(o, "chapar-place", f->place_kind, place_kinds);
    if (f->place_within) set(o, "x-within", json_string(f->place_within));
    break;
  case FIELD_ORGANISATION:
    pattern(o, "^[A-Za-z0-9_-]{1,64}$", NULL);
    kind_format(o, "chapar-organisation", f->organisation_kind, organisation_kinds);
    break;
  case FIELD_NATIONAL_ID: pattern(o, "^[0-9]{10}$", "ir-national-id"); break;
  case FIELD_FIDA: pattern(o, "^[0-9]{8,16}$", "ir-fida"); break;
  case FIELD_LEGAL_ID: pattern(o, "^[0-9]{11}$", "ir-legal-id"); break;
  case FIELD_MOBILE: pattern(o, "^09[0-9]{9}$", "ir-mobile"); break;
  case FIELD_POSTAL_CODE: pattern(o, "^[0-9]{10}$", "ir-postal-code"); break;
  case FIELD_SHEBA: pattern(o, "^IR[0-9]{24}$", "ir-sheba"); break;
  case FIELD_TRACKING: pattern(o, "^[0-9]{16}$", "chapar-tracking"); break;
  case FIELD_EMAIL:
    pattern(o, EMAIL_PATTERN, NULL);
    set(o, "maxLength", json_integer(254));
    break;
  case FIELD_DOCUMENT: {
    json_t *item = json_object();
    pattern(item, "^[A-Za-z0-9_-]{1,64}$", NULL);
    array_of(o, f, item);
    set(o, "x-accept", json_string(f->accept));
    break;
  }
  }
}

json_t *field_schema(const struct field *f, int32_t today) {
  json_t *o = one("title", json_string(f->label.fa));
  set(o, "x-title-en", json_string(f->label.en));
  if (f->hint.fa[0]) {
    set(o, "description", json_string(f->hint.fa));
    set(o, "x-description-en", json_string(f->hint.en));
  }
  set(o, "x-type", json_string(field_type_text(f->type)));
  if (f->personal) set(o, "x-personal", json_true());
  type_schema(o, f, today);
  return o;
}

/* Asked only when the condition holds; required then, refused else. */
static json_t *asked_schema(const struct field *f, struct field *const *fields, size_t count) {
  json_t *o = one("if", cond_schema(f->when, fields, count));
  if (f->required) set(o, "then", one("required", strings(f->name)));
  set(o, "else", one("properties", one(f->name, json_false())));
  return o;
}

static json_t *constraint_schema(const struct field *f, struct field *const *fields, size_t count) {
  json_t *o = one("if", one("required", strings(f->name)));
  set(o, "then", cond_schema(f->constraint, fields, count));
  return o;
}

json_t *schema_build(const struct pack *p, const struct service *s, int32_t today) {
  json_t *o = one("$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
  json_t *properties = json_object(), *required = json_array(), *all = json_array();
  char id[160], iso[16];
  snprintf(id, sizeof id, "urn:chapar:%s:service:%s:%d", p->code, s->code, s->version);
  date_iso(today, iso);
  set(o, "$id", json_string(id));
  set(o, "title", json_string(s->title.fa));
  set(o, "x-title-en", json_string(s->title.en));
  set(o, "x-day", json_string(iso));
  set(o, "type", json_string("object"));
  for (size_t i = 0; i < s->field_count; i++) {
    const struct field *f = s->fields[i];
    set(properties, f->name, field_schema(f, today));
    if (f->required && !f->when && json_array_append_new(required, json_string(f->name))) abort();
    if (f->when && json_array_append_new(all, asked_schema(f, s->fields, s->field_count))) abort();
    if (f->constraint && json_array_append_new(all, constraint_schema(f, s->fields, s->field_count))) abort();
  }
  set(o, "properties", properties);
  set(o, "required", required);
  set(o, "additionalProperties", json_false());
  if (json_array_size(all)) set(o, "allOf", all);
  else json_decref(all);
  set(o, "examples", json_incref(s->examples));
  return o;
}
