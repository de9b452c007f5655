/* Conditions: reading them, checked against the fields they speak of, and evaluating them. */
#include "catalog/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- evaluation ------------------------------------------------------------------------------ */

static int compare(const json_t *a, const json_t *b) {
  if (json_is_string(a) && json_is_string(b)) return strcmp(json_string_value(a), json_string_value(b));
  if (json_is_integer(a) && json_is_integer(b)) {
    json_int_t x = json_integer_value(a), y = json_integer_value(b);
    return (x > y) - (x < y);
  }
  double x = json_number_value(a), y = json_number_value(b);
  return (x > y) - (x < y);
}

static bool comparable(const json_t *a, const json_t *b) {
  return (json_is_string(a) && json_is_string(b)) || (json_is_number(a) && json_is_number(b));
}

/* An answer of several choices is a value when it has it among them. */
static bool is(const json_t *answer, const json_t *value) {
  size_t i;
  const json_t *one;
  if (json_is_array(answer)) {
    json_array_foreach(answer, i, one) if (is(one, value)) return true;
    return false;
  }
  if (json_is_boolean(answer) || json_is_boolean(value)) return json_is_boolean(answer) && json_equal(answer, value);
  return comparable(answer, value) && compare(answer, value) == 0;
}

static bool leaf_holds(const struct cond *c, const json_t *answer) {
  size_t i;
  const json_t *one;
  switch (c->op) {
  case COND_IS: return is(answer, c->value);
  case COND_IS_NOT: return !is(answer, c->value);
  case COND_IN:
    json_array_foreach(c->value, i, one) if (is(answer, one)) return true;
    return false;
  case COND_LT: return comparable(answer, c->value) && compare(answer, c->value) < 0;
  case COND_LE: return comparable(answer, c->value) && compare(answer, c->value) <= 0;
  case COND_GT: return comparable(answer, c->value) && compare(answer, c->value) > 0;
  case COND_GE: return comparable(answer, c->value) && compare(answer, c->value) >= 0;
  default: return true; /* COND_PRESENT */
  }
}

bool cond_holds(const struct cond *c, const json_t *data) {
  if (!c) return true;
  switch (c->op) {
  case COND_ALL:
    for (size_t i = 0; i < c->count; i++)
      if (!cond_holds(c->items[i], data)) return false;
    return true;
  case COND_ANY:
    for (size_t i = 0; i < c->count; i++)
      if (cond_holds(c->items[i], data)) return true;
    return false;
  case COND_NOT: return !cond_holds(c->items[0], data);
  default: {
    const json_t *answer = json_object_get(data, c->field);
    return answer && !json_is_null(answer) && leaf_holds(c, answer);
  }
  }
}

bool cond_mentions(const struct cond *c, const char *field) {
  if (!c) return false;
  if (c->field) return strcmp(c->field, field) == 0;
  for (size_t i = 0; i < c->count; i++)
    if (cond_mentions(c->items[i], field)) return true;
  return false;
}

struct cond *cond_both(struct compiler *c, struct cond *a, struct cond *b) {
  if (!a || !b) return a ? a : b;
  struct cond *both = keep_alloc(c, sizeof *both);
  both->op = COND_ALL;
  both->count = 2;
  both->items = keep_alloc(c, 2 * sizeof *both->items);
  both->items[0] = a;
  both->items[1] = b;
  return both;
}

/* ---- values ------------------------------------------------------------------------------------ */

static bool outside(const struct field *f, enum cond_op op, double v, double unit) {
  double least = (double)field_least(f) / unit, most = (double)field_most(f) / unit;
  switch (op) {
  case COND_LT: return v <= least;
  case COND_LE: return v < least;
  case COND_GT: return v >= most;
  case COND_GE: return v > most;
  default: return v < least || v > most;
  }
}

static json_t *number_value(struct compiler *c, const struct yaml_node *n, const struct field *f, enum cond_op op) {
  json_t *v = yaml_to_json(n);
  bool good = f->type == FIELD_DECIMAL ? json_is_number(v) : json_is_integer(v);
  if (!good) {
    fail(c, n->line, "field '%s' is a number, '%s' is not", f->name, n->text);
  } else if (outside(f, op, json_number_value(v), f->type == FIELD_DECIMAL ? 1000.0 : 1.0)) {
    fail(c, n->line, "this can never hold: field '%s' goes from %lld to %lld", f->name, (long long)(field_least(f) / (f->type == FIELD_DECIMAL ? 1000 : 1)),
         (long long)(field_most(f) / (f->type == FIELD_DECIMAL ? 1000 : 1)));
  } else {
    return v;
  }
  json_decref(v);
  return NULL;
}

static json_t *choice_value(struct compiler *c, const struct yaml_node *n, const struct field *f) {
  struct nearest near = {.wanted = n->text};
  for (size_t i = 0; i < f->choice_count; i++) {
    if (strcmp(f->choices[i].value, n->text) == 0) return json_string(n->text);
    nearest_offer(&near, f->choices[i].value);
  }
  fail(c, n->line, "'%s' is no choice of field '%s'%s", n->text, f->name, did_you_mean(&near).text);
  return NULL;
}

static json_t *place_value(struct compiler *c, const struct yaml_node *n, const struct field *f) {
  int at = directory_find_place(c->p->directory, n->text);
  const struct place *p = directory_place(c->p->directory, at);
  if (!p) fail(c, n->line, "unknown place '%s'", n->text);
  else if (f->place_kind >= 0 && (int)p->kind != f->place_kind)
    fail(c, n->line, "'%s' is a %s, but field '%s' asks for a %s", n->text, place_kind_text(p->kind), f->name, place_kind_text((enum place_kind)f->place_kind));
  else return json_string(n->text);
  return NULL;
}

static json_t *identifier_value(struct compiler *c, const struct yaml_node *n, const struct field *f) {
  char out[32];
  if (identifier_parse((enum identifier)field_identifier(f->type), n->text, out) == 0) return json_string(out);
  fail(c, n->line, "'%s' is no valid %s", n->text, field_type_text(f->type));
  return NULL;
}

static json_t *date_value(struct compiler *c, const struct yaml_node *n) {
  int32_t day = date_parse(n->text);
  char iso[16];
  if (day == INT32_MIN) {
    fail(c, n->line, "'%s' is no date: write it as 2026-03-21 or 1405-01-01", n->text);
    return NULL;
  }
  date_iso(day, iso);
  return json_string(iso);
}

static json_t *value(struct compiler *c, const struct yaml_node *n, const struct field *f, enum cond_op op) {
  if (n->kind != YAML_NODE_SCALAR) {
    fail(c, n->line, "a condition compares field '%s' with a single value", f->name);
    return NULL;
  }
  switch (f->type) {
  case FIELD_YES_NO:
  case FIELD_DECLARATION:
    if (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0) return json_boolean(n->text[0] == 't');
    fail(c, n->line, "field '%s' is answered by yes or no: compare it with true or false, not '%s'", f->name, n->text);
    return NULL;
  case FIELD_CHOICE:
  case FIELD_CHOICES: return choice_value(c, n, f);
  case FIELD_INTEGER:
  case FIELD_DECIMAL:
  case FIELD_MONEY: return number_value(c, n, f, op);
  case FIELD_DATE: return date_value(c, n);
  case FIELD_PLACE: return place_value(c, n, f);
  case FIELD_ORGANISATION: return organisation_of(c, n, "condition") < 0 ? NULL : json_string(n->text);
  case FIELD_DOCUMENT:
    fail(c, n->line, "field '%s' is a document: only 'present' can be asked of it", f->name);
    return NULL;
  default: return field_identifier(f->type) >= 0 ? identifier_value(c, n, f) : json_string(n->text);
  }
}

/* ---- reading --------------------------------------------------------------------------------------- */

static bool stands_later(const struct compiler *c, const char *name) {
  for (const struct yaml_node *page = c->all_fields ? c->all_fields->first : NULL; page; page = page->next) {
    const struct yaml_node *fields = yaml_get(page, "fields");
    for (const struct yaml_node *f = fields ? fields->first : NULL; f; f = f->next) {
      const struct yaml_node *n = yaml_get(f, "field");
      if (n && n->kind == YAML_NODE_SCALAR && strcmp(n->text, name) == 0) return true;
    }
  }
  return false;
}

static bool is_eligibility(const struct compiler *c, const char *name) {
  for (size_t i = 0; c->s && i < c->s->eligibility_count; i++)
    if (strcmp(c->s->eligibility[i].field.name, name) == 0) return true;
  return false;
}

static const struct field *find_field(struct compiler *c, const struct yaml_node *n, const struct scope *scope) {
  const struct yaml_node *name = yaml_get(n, "field");
  if (!name && scope->implied) return scope->implied;
  if (!name) {
    fail(c, n->line, "a condition has no 'field': add it, or use all, any or not");
    return NULL;
  }
  const char *text = scalar(c, name, "field");
  if (!text) return NULL;
  struct nearest near = {.wanted = text};
  for (size_t i = 0; i < scope->count; i++) {
    if (strcmp(scope->fields[i]->name, text) == 0) return scope->fields[i];
    nearest_offer(&near, scope->fields[i]->name);
  }
  if (is_eligibility(c, text)) fail(c, name->line, "'%s' is an eligibility question: its answer is not part of the request; ask it as a field", text);
  else if (scope->of_pages && stands_later(c, text)) fail(c, name->line, "field '%s' is asked later: a condition speaks of earlier answers only", text);
  else fail(c, name->line, "unknown field '%s' in condition%s", text, did_you_mean(&near).text);
  return NULL;
}

static const struct { const char *key; enum cond_op op; } operators[] = {
  {"is", COND_IS}, {"is_not", COND_IS_NOT}, {"in", COND_IN}, {"lt", COND_LT}, {"le", COND_LE},
  {"gt", COND_GT}, {"ge", COND_GE}, {"present", COND_PRESENT}};

static struct cond *present(struct compiler *c, const struct yaml_node *n, struct cond *leaf) {
  const char *text = scalar(c, n, "present");
  if (!text) return NULL;
  if (strcmp(text, "true") == 0) return leaf;
  if (strcmp(text, "false") != 0) {
    fail(c, n->line, "'present' must be true or false");
    return NULL;
  }
  struct cond *not = keep_alloc(c, sizeof *not);
  not->op = COND_NOT;
  not->count = 1;
  not->items = keep_alloc(c, sizeof *not->items);
  not->items[0] = leaf;
  return not;
}

static struct cond *leaf_value(struct compiler *c, const struct yaml_node *n, const struct field *f, struct cond *leaf) {
  if (leaf->op == COND_PRESENT) return present(c, n, leaf);
  if (leaf->op == COND_IN) {
    if (!is_list(c, n, "in")) return NULL;
    if (!n->count) fail(c, n->line, "'in' is an empty list: this can never hold");
    leaf->value = keep_json(c, json_array());
    for (const struct yaml_node *i = n->first; i; i = i->next) {
      json_t *v = value(c, i, f, leaf->op);
      if (v) json_array_append_new(leaf->value, v);
    }
    return leaf;
  }
  bool ordered = f->type == FIELD_INTEGER || f->type == FIELD_DECIMAL || f->type == FIELD_MONEY || f->type == FIELD_DATE;
  if (leaf->op >= COND_LT && !ordered) {
    fail(c, n->line, "field '%s' is no number and no date: '%s' cannot be asked of it", f->name, n->key);
    return NULL;
  }
  json_t *v = value(c, n, f, leaf->op);
  if (v) leaf->value = keep_json(c, v);
  return v ? leaf : NULL;
}

static struct cond *leaf_parse(struct compiler *c, const struct yaml_node *n, const struct scope *scope) {
  keys(c, n, "condition", "field is is_not in lt le gt ge present");
  const struct field *f = find_field(c, n, scope);
  const struct yaml_node *operand = NULL;
  struct cond *leaf = keep_alloc(c, sizeof *leaf);
  for (size_t i = 0; i < BASE_COUNT(operators); i++) {
    const struct yaml_node *v = yaml_get(n, operators[i].key);
    if (v && operand) {
      fail(c, v->line, "a condition has one comparison: join two with all: [{…}, {…}]");
      return NULL;
    }
    if (!v) continue;
    operand = v;
    leaf->op = operators[i].op;
  }
  if (!operand) fail(c, n->line, "a condition has no comparison: add is, is_not, in, lt, le, gt, ge or present");
  if (!operand || !f) return NULL;
  leaf->field = f->name;
  return leaf_value(c, operand, f, leaf);
}

struct cond *cond_parse(struct compiler *c, const struct yaml_node *n, const struct scope *scope) {
  static const struct { const char *key; enum cond_op op; } joints[] = {{"all", COND_ALL}, {"any", COND_ANY}, {"not", COND_NOT}};
  if (n->kind != YAML_NODE_MAP) {
    fail(c, n->line, "a condition must be a map such as {field: kind, is: company}");
    return NULL;
  }
  for (size_t i = 0; i < BASE_COUNT(joints); i++) {
    const struct yaml_node *items = yaml_get(n, joints[i].key);
    if (!items) continue;
    keys(c, n, "condition", joints[i].key);
    if (joints[i].op != COND_NOT && (!is_list(c, items, joints[i].key))) return NULL;
    if (joints[i].op != COND_NOT && !items->count) {
      fail(c, items->line, "'%s' is an empty list: give it conditions", joints[i].key);
      return NULL;
    }
    struct cond *joint = keep_alloc(c, sizeof *joint);
    joint->op = joints[i].op;
    joint->items = keep_alloc(c, (joint->op == COND_NOT ? 1 : items->count) * sizeof *joint->items);
    const struct yaml_node *item = joint->op == COND_NOT ? items : items->first;
    for (; item; item = joint->op == COND_NOT ? NULL : item->next) {
      struct cond *one = cond_parse(c, item, scope);
      if (!one) return NULL;
      joint->items[joint->count++] = one;
    }
    return joint;
  }
  return leaf_parse(c, n, scope);
}
