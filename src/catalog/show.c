/* Showing values to people, and looking things up in a service. */
#include "catalog/compile.h"

#include <stdio.h>
#include <string.h>

/* ---- showing ----------------------------------------------------------------------------------------------- */

static const char *choice_label(const struct field *f, const char *value, enum lang l) {
  for (size_t i = 0; value && i < f->choice_count; i++)
    if (strcmp(f->choices[i].value, value) == 0) return text_in(&f->choices[i].label, l);
  return value ? value : "";
}

static char *show_choices(const struct field *f, const json_t *value, enum lang l, struct arena *a) {
  char *out = NULL;
  size_t i;
  const json_t *v;
  json_array_foreach(value, i, v) {
    const char *label = choice_label(f, json_string_value(v), l);
    out = out ? arena_printf(a, "%s%s%s", out, l == LANG_FA ? "، " : ", ", label) : arena_strdup(a, label);
  }
  return out ? out : arena_strdup(a, "");
}

static char *show_identifier(const struct field *f, const char *value, enum lang l, struct arena *a) {
  char grouped[48];
  identifier_group((enum identifier)field_identifier(f->type), value, grouped);
  return digits_local(a, l, grouped);
}

static char *show_decimal(double v, enum lang l, struct arena *a) {
  int64_t t = (int64_t)(v * 1000.0 + (v < 0 ? -0.5 : 0.5));
  return number_decimal(a, l, v, t % 1000 == 0 ? 0 : t % 100 == 0 ? 1 : t % 10 == 0 ? 2 : 3);
}

static char *show_string(const struct pack *p, const struct field *f, const char *s, enum lang l, struct arena *a) {
  int at;
  int32_t day;
  switch (f->type) {
  case FIELD_DATE: return (day = date_parse(s)) == INT32_MIN ? arena_strdup(a, s) : date_short(a, l, day);
  case FIELD_CHOICE: return arena_strdup(a, choice_label(f, s, l));
  case FIELD_PLACE: return (at = directory_find_place(p->directory, s)) < 0 ? arena_strdup(a, s) : place_path(p->directory, at, l, a);
  case FIELD_ORGANISATION:
    at = directory_find_organisation(p->directory, s);
    return arena_strdup(a, at < 0 ? s : organisation_name(directory_organisation(p->directory, at), l));
  default: return field_identifier(f->type) >= 0 ? show_identifier(f, s, l, a) : arena_strdup(a, s);
  }
}

char *field_show(const struct pack *p, const struct field *f, const json_t *value, enum lang l, struct arena *a) {
  if (!value || json_is_null(value)) return arena_strdup(a, "");
  if (json_is_boolean(value)) return arena_strdup(a, word(l, json_is_true(value) ? "answer.yes" : "answer.no"));
  if (json_is_string(value)) return show_string(p, f, json_string_value(value), l, a);
  if (json_is_array(value) && f->type == FIELD_DOCUMENT)
    return word_fill(a, l, "answer.files", "n", number_format(a, l, (int64_t)json_array_size(value)), NULL);
  if (json_is_array(value)) return show_choices(f, value, l, a);
  if (!json_is_number(value)) return arena_strdup(a, "");
  if (f->type == FIELD_MONEY) return money_format(a, l, json_integer_value(value));
  return json_is_integer(value) ? number_format(a, l, json_integer_value(value)) : show_decimal(json_number_value(value), l, a);
}

/* ---- looking up ------------------------------------------------------------------------------------------------ */

const struct field *service_field(const struct service *s, const char *name) {
  for (size_t i = 0; name && i < s->field_count; i++)
    if (strcmp(s->fields[i]->name, name) == 0) return s->fields[i];
  return NULL;
}

int service_state(const struct service *s, const char *name) {
  for (size_t i = 0; name && i < s->state_count; i++)
    if (strcmp(s->states[i].name, name) == 0) return (int)i;
  return -1;
}

const struct action *service_action(const struct service *s, int state, const char *name) {
  if (!name || state < 0 || (size_t)state >= s->state_count) return NULL;
  const struct state *st = &s->states[state];
  for (size_t i = 0; i < st->action_count; i++)
    if (strcmp(st->actions[i].name, name) == 0) return &st->actions[i];
  return NULL;
}

static int responsible(const struct pack *p, const json_t *data, const char *field, int kind) {
  int place = directory_find_place(p->directory, json_str(data, field));
  return place < 0 || kind < 0 ? -1 : directory_responsible(p->directory, place, (enum organisation_kind)kind);
}

int service_owner(const struct pack *p, const struct service *s, const json_t *data, struct err *err) {
  if (!s->owner_field) return s->organisation;
  int found = responsible(p, data, s->owner_field, s->owner_kind);
  if (found < 0) found = responsible(p, data, s->owner_field, s->fallback_kind);
  if (found < 0) {
    const char *code = json_str(data, s->owner_field);
    err_set(err, ERR_INVALID, "no organisation answers for service %s at place %s", s->code, code ? code : "(none)");
  }
  return found;
}

int64_t service_fee(const struct service *s, const json_t *data, const struct fee_row **row) {
  for (size_t i = 0; i < s->fee_count; i++) {
    if (!cond_holds(s->fees[i].when, data)) continue;
    if (row) *row = &s->fees[i];
    return s->fees[i].rial;
  }
  if (row) *row = NULL;
  return 0;
}

int inquiry_organisation(const struct pack *p, const struct inquiry *q, const json_t *data) {
  return q->organisation >= 0 ? q->organisation : responsible(p, data, q->place_field, q->organisation_kind);
}
