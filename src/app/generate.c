#include "app/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64: small, good enough, the same everywhere */
uint64_t chance_next(struct chance *c) {
  uint64_t z = c->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

int64_t chance_range(struct chance *c, int64_t low, int64_t high) {
  return high <= low ? low : low + (int64_t)(chance_next(c) % (uint64_t)(high - low + 1));
}

bool chance_percent(struct chance *c, double percent) { return (double)(chance_next(c) >> 11) / 9007199254740992.0 * 100 < percent; }

struct samples { struct csv *csv; };

int samples_load(struct samples **out, struct err *err) {
  const struct embedded *e = embedded_find("locale/simulate.csv");
  if (!e) return err_set(err, ERR_INTERNAL, "locale/simulate.csv is not built in");
  struct csv *csv = csv_read((const char *)e->data, e->size, err);
  if (!csv) return -1;
  *out = base_alloc(sizeof **out);
  (*out)->csv = csv;
  return 0;
}

void samples_free(struct samples *s) {
  if (!s) return;
  csv_free(s->csv);
  free(s);
}

const char *samples_pick(const struct samples *s, const char *kind, struct chance *c) {
  size_t n = 0;
  const char *found = "";
  for (size_t i = 0; i < csv_rows(s->csv); i++) {
    if (strcmp(csv_cell(s->csv, i, 0), kind) != 0) continue;
    n++;
    if (chance_range(c, 1, (int64_t)n) == 1) found = csv_cell(s->csv, i, 1); /* one of n, evenly */
  }
  return found;
}

void generate_national_id(struct chance *c, char out[16]) {
  do {
    int sum = 0;
    int64_t n = chance_range(c, 70000000, 99999999); /* 07x, 08x, 09x: places of this province */
    snprintf(out, 16, "%09lld", (long long)n);
    for (int i = 0; i < 9; i++) sum += (out[i] - '0') * (10 - i);
    int r = sum % 11;
    out[9] = (char)('0' + (r < 2 ? r : 11 - r));
    out[10] = 0;
  } while (identifier_parse(IDENT_NATIONAL_ID, out, (char[32]){0}));
}

/* Numbers of files, permits and members, which are text all the same. */
static json_t *make_code(const struct field *f, struct chance *c) {
  char text[24];
  int64_t least = f->has_min && f->min > 0 ? f->min : 6, most = f->has_max && f->max < 10 ? f->max : 10;
  int64_t n = most < least ? least : chance_range(c, least, most);
  if (n > 20) n = 20;
  for (int64_t i = 0; i < n; i++) text[i] = (char)('0' + chance_range(c, i == 0, 9));
  text[n] = 0;
  return json_string(text);
}

static json_t *make_text(const struct field *f, const struct samples *words, struct chance *c) {
  char text[400];
  const char *n = f->name;
  if (f->type == FIELD_TEXT && (strstr(n, "code") || strstr(n, "number") || strstr(n, "permit") || strstr(n, "serial"))) return make_code(f, c);
  if (strstr(n, "first_name") || strstr(n, "father")) snprintf(text, sizeof text, "%s", samples_pick(words, "first", c));
  else if (strstr(n, "last_name")) snprintf(text, sizeof text, "%s", samples_pick(words, "last", c));
  else if (strstr(n, "address") || strstr(n, "location")) snprintf(text, sizeof text, "%s", samples_pick(words, "address", c));
  else if (strstr(n, "business") || strstr(n, "company") || strstr(n, "team")) snprintf(text, sizeof text, "%s", samples_pick(words, "business", c));
  else if (strstr(n, "name")) snprintf(text, sizeof text, "%s %s", samples_pick(words, "first", c), samples_pick(words, "last", c));
  else snprintf(text, sizeof text, "%s", samples_pick(words, "text", c));
  struct buf b;
  buf_init(&b, 8192);
  buf_adds(&b, text);
  while (f->has_min && (int64_t)utf8_length(buf_str(&b)) < f->min) {
    buf_addc(&b, ' ');
    buf_adds(&b, samples_pick(words, "text", c));
  }
  if (f->has_max && (int64_t)utf8_length(buf_str(&b)) > f->max) { /* cut at a character */
    const char *at = b.data, *end = b.data + b.len;
    for (int64_t i = 0; i < f->max; i++) utf8_next(&at, end);
    b.len = (size_t)(at - b.data);
    b.data[b.len] = 0;
  }
  json_t *v = json_string(buf_str(&b));
  buf_free(&b);
  return v;
}

static json_t *make_place(const struct pack *p, const struct field *f, const json_t *data, struct chance *c) {
  const struct directory *d = pack_directory(p);
  int within = f->place_within ? directory_find_place(d, json_str(data, f->place_within) ? json_str(data, f->place_within) : "") : -1;
  size_t all = directory_places(d);
  for (int k = 0; k < 32 && f->place_kind >= 0; k++) { /* where most villages are: those that stand first in the list must not get all */
    int i = directory_ancestor(d, (int)chance_range(c, 0, (int64_t)all - 1), (enum place_kind)f->place_kind);
    if (i >= 0 && (within < 0 || directory_within(d, i, within))) return json_string(directory_place(d, i)->code);
  }
  size_t from = (size_t)chance_range(c, 0, (int64_t)all - 1);
  for (size_t k = 0; k < all; k++) {
    int i = (int)((from + k) % all);
    const struct place *x = directory_place(d, i);
    if ((f->place_kind < 0 || (int)x->kind == f->place_kind) && (within < 0 || directory_within(d, i, within))) return json_string(x->code);
  }
  return NULL;
}

static json_t *make_organisation(const struct pack *p, const struct field *f, struct chance *c) {
  const struct directory *d = pack_directory(p);
  size_t all = directory_organisations(d), from = (size_t)chance_range(c, 0, (int64_t)all - 1);
  for (size_t k = 0; k < all; k++) {
    const struct organisation *o = directory_organisation(d, (int)((from + k) % all));
    if (f->organisation_kind < 0 ? o->kind != ORG_DEHYARI : (int)o->kind == f->organisation_kind) return json_string(o->code);
  }
  return NULL;
}

static json_t *make_number(const struct field *f, struct chance *c) {
  int64_t low = f->has_min ? f->min : 0, high = f->has_max ? f->max : low + 1000;
  if (f->type == FIELD_MONEY && !f->has_max) high = low + 500000000;
  if (f->type == FIELD_DECIMAL) return json_real((double)chance_range(c, f->has_min ? f->min : 0, f->has_max ? f->max : low + 100000) / 1000);
  int64_t v = chance_range(c, low, low + (high - low) / (chance_percent(c, 70) ? 4 : 1));
  return json_integer(v);
}

static json_t *make_date(const struct field *f, struct chance *c, int32_t today) {
  int32_t low = f->has_min ? (int32_t)f->min : f->min_today ? today + f->min_days : today - 3650, high = f->has_max ? (int32_t)f->max : f->max_today ? today + f->max_days : low + 3650;
  char text[16];
  date_iso((int32_t)chance_range(c, low, high), text);
  return json_string(text);
}

static json_t *make_digits(struct chance *c, const char *prefix, int n) {
  char text[32];
  int at = snprintf(text, sizeof text, "%s", prefix);
  for (int i = 0; i < n; i++) text[at++] = (char)('0' + chance_range(c, 0, 9));
  text[at] = 0;
  return json_string(text);
}

static json_t *make_checked(enum identifier kind, const char *prefix, int n, struct chance *c) {
  char out[32];
  for (int i = 0; i < 5000; i++) {
    json_t *v = make_digits(c, prefix, n);
    if (identifier_parse(kind, json_string_value(v), out) == 0) {
      json_decref(v);
      return json_string(out);
    }
    json_decref(v);
  }
  return NULL;
}

static json_t *make_value(const struct pack *p, const struct field *f, const json_t *data, const struct samples *words, struct chance *c, int32_t today) {
  char id[16];
  switch (f->type) {
  case FIELD_TEXT:
  case FIELD_PARAGRAPH: return make_text(f, words, c);
  case FIELD_INTEGER:
  case FIELD_DECIMAL:
  case FIELD_MONEY: return make_number(f, c);
  case FIELD_DATE: return make_date(f, c, today);
  case FIELD_YES_NO: return json_boolean(chance_percent(c, 60));
  case FIELD_DECLARATION: return json_true();
  case FIELD_CHOICE: return f->choice_count ? json_string(f->choices[chance_range(c, 0, (int64_t)f->choice_count - 1)].value) : NULL;
  case FIELD_CHOICES: {
    json_t *list = json_array();
    int64_t want = f->has_min && f->min > 0 ? f->min : 1;
    for (size_t i = 0; i < f->choice_count && (int64_t)json_array_size(list) < want; i++) json_array_append_new(list, json_string(f->choices[i].value));
    return list;
  }
  case FIELD_PLACE: return make_place(p, f, data, c);
  case FIELD_ORGANISATION: return make_organisation(p, f, c);
  case FIELD_NATIONAL_ID: generate_national_id(c, id); return json_string(id);
  case FIELD_FIDA: return make_digits(c, "1", 11);
  case FIELD_LEGAL_ID: return make_checked(IDENT_LEGAL_ID, "1", 10, c);
  case FIELD_MOBILE: return make_digits(c, "0915", 7);
  case FIELD_POSTAL_CODE: return make_checked(IDENT_POSTAL_CODE, "91", 8, c);
  case FIELD_SHEBA: return make_checked(IDENT_SHEBA, "IR", 24, c);
  case FIELD_EMAIL: return json_string("kasb@example.ir");
  case FIELD_TRACKING: return make_checked(IDENT_TRACKING, "", 16, c);
  case FIELD_DOCUMENT: return NULL;
  }
  return NULL;
}

json_t *generate_field(const struct pack *p, const struct field *f, const json_t *data, const struct samples *words, struct chance *c, int32_t today, struct arena *a) {
  for (int k = 0; k < 6; k++) {
    const char *code, *message;
    json_t *out = NULL, *v = make_value(p, f, data, words, c, today);
    int rc = v ? field_check(p, f, v, data, today, LANG_FA, a, &out, &code, &message) : -1;
    json_decref(v);
    if (rc == 0) return out;
  }
  return NULL;
}

/* Fields in order; what a condition does not ask is left out, optional ones are answered two times in three. */
static json_t *attempt(const struct pack *p, const struct service *s, const struct samples *words, struct chance *c, int32_t today, struct arena *a) {
  json_t *data = json_object();
  const json_t *example = json_array_get(s->examples, chance_range(c, 0, (int64_t)json_array_size(s->examples) - 1));
  for (size_t i = 0; i < s->field_count; i++) {
    const struct field *f = s->fields[i];
    if (!cond_holds(f->when, data) || (!f->required && chance_percent(c, 35))) continue;
    json_t *out = generate_field(p, f, data, words, c, today, a);
    if (!out && f->required) out = json_incref(json_object_get(example, f->name));
    if (out) json_object_set_new(data, f->name, out);
  }
  return data;
}

json_t *generate_answers(const struct pack *p, const struct service *s, const struct samples *words, struct chance *c, int32_t today) {
  struct arena *a = arena_new(4 * 1024 * 1024);
  json_t *good = NULL;
  for (int i = 0; i < 20 && !good; i++) {
    json_t *data = attempt(p, s, words, c, today, a), *errors = NULL;
    struct err err;
    arena_reset(a);
    if (service_validate(p, s, data, today, LANG_FA, a, &good, &errors)) good = NULL;
    json_decref(errors);
    if (good && service_owner(p, s, good, &err) < 0) {
      json_decref(good);
      good = NULL;
    }
    json_decref(data);
    arena_reset(a);
  }
  arena_free(a);
  return good;
}
