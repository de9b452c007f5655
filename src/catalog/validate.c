/* Judging answers: one value by its type, then asked or not, bounds, place, constraint; and the whole. */
#include "catalog/compile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRING_MOST (64 * 1024)
#define ERRORS_MOST 50

struct judge {
  const struct pack *p;
  const json_t *data;
  int32_t today;
  enum lang l;
  struct arena *a;
  const char *code, *message;
};

/* ---- refusing ------------------------------------------------------------------------------------------- */

static json_t *refuse(struct judge *j, const char *code, const char *key, const char *name, const char *value) {
  char *text = name ? word_fill(j->a, j->l, key, name, value ? value : "", NULL) : NULL;
  j->code = code;
  j->message = text ? text : word(j->l, key);
  return NULL;
}

static json_t *refuse_type(struct judge *j, const struct field *f) {
  char key[64];
  snprintf(key, sizeof key, "answer.type.%s", field_type_text(f->type));
  return refuse(j, "type", key, NULL, NULL);
}

static json_t *refuse_bound(struct judge *j, const char *code, const char *key, int64_t n) {
  return refuse(j, code, key, "n", number_format(j->a, j->l, n));
}

/* ---- numbers ------------------------------------------------------------------------------------------------ */

/* What people type: any digits, grouping marks and spaces, ٫ for the point. */
static char *plain_number(struct judge *j, const char *typed) {
  char *s = strlen(typed) < 100 ? digits_ascii(j->a, typed) : NULL, *w = s;
  for (const char *r = s; r && *r;) {
    if (strncmp(r, "\u066B", 2) == 0) {
      *w++ = '.';
      r += 2;
    } else if (strncmp(r, "\u066C", 2) == 0 || strncmp(r, "\u060C", 2) == 0) {
      r += 2;
    } else if (strncmp(r, "\u200E", 3) == 0 || strncmp(r, "\u200F", 3) == 0 || strncmp(r, "\u200C", 3) == 0) {
      r += 3;
    } else if (*r == ',' || *r == ' ') {
      r++;
    } else {
      *w++ = *r++;
    }
  }
  if (w) *w = 0;
  return s;
}

static json_t *judge_whole(struct judge *j, const struct field *f, const json_t *in) {
  int64_t v = 0;
  if (json_is_integer(in)) {
    v = json_integer_value(in);
  } else if (json_is_real(in) && fabs(json_real_value(in)) <= (double)INTEGER_MOST && floor(json_real_value(in)) == json_real_value(in)) {
    v = (int64_t)json_real_value(in);
  } else {
    char *s = json_is_string(in) ? plain_number(j, json_string_value(in)) : NULL;
    if (!s || parse_i64(s, &v) < 0) return refuse_type(j, f);
  }
  if (v < field_least(f)) return refuse_bound(j, "min", "answer.min", field_least(f));
  if (v > field_most(f)) return refuse_bound(j, "max", "answer.max", field_most(f));
  return json_integer(v);
}

static json_t *judge_decimal(struct judge *j, const struct field *f, const json_t *in) {
  double v = json_number_value(in);
  if (!json_is_number(in)) {
    char *s = json_is_string(in) ? plain_number(j, json_string_value(in)) : NULL, *end = s;
    if (s && *s && strspn(s, "-0123456789.") == strlen(s)) v = strtod(s, &end);
    if (!s || end == s || *end) return refuse_type(j, f);
  }
  if (!(fabs(v) <= (double)DECIMAL_MOST)) return refuse_type(j, f);
  int64_t t = llround(v * 1000.0), least = field_least(f), most = field_most(f);
  if (t < least) return refuse(j, "min", "answer.min", "n", number_decimal(j->a, j->l, (double)least / 1000.0, least % 1000 ? 3 : 0));
  if (t > most) return refuse(j, "max", "answer.max", "n", number_decimal(j->a, j->l, (double)most / 1000.0, most % 1000 ? 3 : 0));
  return t % 1000 ? json_real((double)t / 1000.0) : json_integer(t / 1000);
}

/* ---- texts ------------------------------------------------------------------------------------------------------ */

static json_t *judge_text(struct judge *j, const struct field *f, const char *typed) {
  char *s = text_repair(j->a, typed);
  if (!s) return refuse_bound(j, "too_long", "answer.max_length", field_most(f));
  if (text_has_bidi_control(s)) return refuse(j, "bidi", "answer.bidi", NULL, NULL);
  for (char *c = s; f->type == FIELD_TEXT && *c; c++)
    if (*c == '\n') *c = ' ';
  size_t n = utf8_length(s);
  if (n == 0) return refuse(j, "required", "answer.required", NULL, NULL);
  if ((int64_t)n < field_least(f)) return refuse_bound(j, "min", "answer.min_length", field_least(f));
  if ((int64_t)n > field_most(f)) return refuse_bound(j, "too_long", "answer.max_length", field_most(f));
  return json_string(s);
}

static bool host_good(const char *s) {
  bool dot = false;
  for (size_t i = 0; s[i]; i++) {
    bool plain = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9');
    bool edge = i == 0 || s[i - 1] == '.' || s[i + 1] == '.' || s[i + 1] == 0;
    if (!plain && (edge || (s[i] != '-' && s[i] != '.'))) return false;
    dot |= s[i] == '.';
  }
  return dot;
}

static json_t *judge_email(struct judge *j, const struct field *f, const char *typed) {
  static const char local[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+/=?^_`{|}~-";
  char *s = text_repair(j->a, typed), *at = s ? strchr(s, '@') : NULL;
  if (!at || at == s || at - s > 64 || strlen(s) > 254 || strspn(s, local) != (size_t)(at - s) || !host_good(at + 1)) return refuse_type(j, f);
  return json_string(s);
}

static json_t *judge_identifier(struct judge *j, const struct field *f, const char *typed) {
  char out[32], key[64];
  if (identifier_parse((enum identifier)field_identifier(f->type), typed, out) == 0) return json_string(out);
  snprintf(key, sizeof key, "answer.type.%s", field_type_text(f->type));
  return refuse(j, "pattern", key, NULL, NULL);
}

static json_t *judge_date(struct judge *j, const struct field *f, const char *typed) {
  char iso[16];
  int32_t day = strlen(typed) < 100 ? date_parse(typed) : INT32_MIN;
  if (day == INT32_MIN) return refuse(j, "date", "answer.type.date", NULL, NULL);
  int32_t first = field_first_day(f, j->today), last = field_last_day(f, j->today);
  if (day < first) return refuse(j, "min", "answer.min_date", "date", date_short(j->a, j->l, first));
  if (day > last) return refuse(j, "max", "answer.max_date", "date", date_short(j->a, j->l, last));
  date_iso(day, iso);
  return json_string(iso);
}

/* ---- choices, places, organisations, documents --------------------------------------------------------------------- */

static const char *trimmed(struct judge *j, const char *typed) {
  char *s = strlen(typed) < 200 ? digits_ascii(j->a, typed) : NULL;
  if (!s) return "";
  while (*s == ' ') s++;
  for (size_t n = strlen(s); n && s[n - 1] == ' '; n--) s[n - 1] = 0;
  return s;
}

static const struct choice *find_choice(const struct field *f, const char *value) {
  for (size_t i = 0; i < f->choice_count; i++)
    if (strcmp(f->choices[i].value, value) == 0) return &f->choices[i];
  return NULL;
}

static json_t *judge_choice(struct judge *j, const struct field *f, const char *typed) {
  const char *s = trimmed(j, typed);
  return find_choice(f, s) ? json_string(s) : refuse(j, "choice", "answer.choice", NULL, NULL);
}

static json_t *judge_place(struct judge *j, const struct field *f, const char *typed) {
  const struct directory *d = j->p->directory;
  const char *code = trimmed(j, typed);
  int at = directory_find_place(d, code);
  const struct place *place = directory_place(d, at);
  if (!place) return refuse(j, "place", "answer.place", NULL, NULL);
  if (f->place_kind >= 0 && (int)place->kind != f->place_kind) {
    char key[64];
    snprintf(key, sizeof key, "answer.place_kind.%s", place_kind_text((enum place_kind)f->place_kind));
    return refuse(j, "place", key, NULL, NULL);
  }
  const char *outer = f->place_within ? json_str(j->data, f->place_within) : NULL;
  int around = outer ? directory_find_place(d, outer) : -1;
  if (around >= 0 && !directory_within(d, at, around))
    return refuse(j, "place", "answer.place_within", "place", place_name(directory_place(d, around), j->l));
  return json_string(code);
}

static json_t *judge_organisation(struct judge *j, const struct field *f, const char *typed) {
  const char *code = trimmed(j, typed);
  const struct organisation *o = directory_organisation(j->p->directory, directory_find_organisation(j->p->directory, code));
  if (!o || (f->organisation_kind >= 0 && (int)o->kind != f->organisation_kind)) return refuse(j, "choice", "answer.organisation", NULL, NULL);
  return json_string(code);
}

static bool document_id(const char *s) {
  size_t n = strlen(s);
  return n >= 1 && n <= 64 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

static bool has(const json_t *list, const char *s) {
  size_t i;
  const json_t *v;
  json_array_foreach(list, i, v) if (strcmp(json_string_value(v), s) == 0) return true;
  return false;
}

/* An array of strings, or one string with commas between. */
static const json_t *listed(struct judge *j, const json_t *in, json_t **made) {
  *made = NULL;
  if (json_is_array(in)) return in;
  char *rest = json_is_string(in) && json_string_length(in) < 4096 ? arena_strdup(j->a, json_string_value(in)) : NULL;
  if (!rest) return NULL;
  *made = json_array();
  for (char *one; (one = strtok_r(rest, ",", &rest)) != NULL;) json_array_append_new(*made, json_string(one));
  return *made;
}

static json_t *judge_list(struct judge *j, const struct field *f, const json_t *in) {
  json_t *made, *out = json_array();
  const json_t *list = listed(j, in, &made), *v;
  size_t i;
  if (!list || json_array_size(list) > 200) {
    refuse_type(j, f);
    goto refused;
  }
  json_array_foreach(list, i, v) {
    const char *s = json_is_string(v) ? trimmed(j, json_string_value(v)) : "";
    if (f->type == FIELD_CHOICES ? !find_choice(f, s) : !document_id(s)) {
      refuse(j, "choice", f->type == FIELD_CHOICES ? "answer.choice" : "answer.type.document", NULL, NULL);
      goto refused;
    }
    if (!has(out, s)) json_array_append_new(out, json_string(s));
  }
  int64_t n = (int64_t)json_array_size(out);
  bool choices = f->type == FIELD_CHOICES;
  if (n < field_least(f)) refuse_bound(j, "min", choices ? "answer.min_choices" : "answer.min_files", field_least(f));
  else if (n > field_most(f)) refuse_bound(j, "max", choices ? "answer.max_choices" : "answer.max_files", field_most(f));
  else {
    json_decref(made);
    return out;
  }
refused:
  json_decref(made);
  json_decref(out);
  return NULL;
}

static json_t *judge_yes_no(struct judge *j, const struct field *f, const json_t *in) {
  static const char *const yes[] = {"true", "yes", "on", "1", "بله", "بلی", "آری"}, *const no[] = {"false", "no", "off", "0", "خیر", "نه"};
  int answer = json_is_boolean(in) ? json_is_true(in) : -1;
  const char *s = json_is_string(in) ? trimmed(j, json_string_value(in)) : "";
  for (size_t i = 0; i < BASE_COUNT(yes); i++)
    if (strcmp(s, yes[i]) == 0) answer = 1;
  for (size_t i = 0; i < BASE_COUNT(no); i++)
    if (strcmp(s, no[i]) == 0) answer = 0;
  if (answer < 0) return refuse_type(j, f);
  if (f->type == FIELD_DECLARATION && !answer) return refuse(j, "required", "answer.declaration", NULL, NULL);
  return json_boolean(answer);
}

/* ---- one field ------------------------------------------------------------------------------------------------------- */

static bool blank(const json_t *in) {
  if (!in || json_is_null(in)) return true;
  if (json_is_array(in)) return json_array_size(in) == 0;
  const char *s = json_is_string(in) ? json_string_value(in) : "x";
  return s[strspn(s, " \t\r\n")] == 0;
}

/* The canonical value, or NULL after refusing. */
static json_t *judge_value(struct judge *j, const struct field *f, const json_t *in) {
  switch (f->type) {
  case FIELD_INTEGER:
  case FIELD_MONEY: return judge_whole(j, f, in);
  case FIELD_DECIMAL: return judge_decimal(j, f, in);
  case FIELD_YES_NO:
  case FIELD_DECLARATION: return judge_yes_no(j, f, in);
  case FIELD_CHOICES:
  case FIELD_DOCUMENT: return judge_list(j, f, in);
  default: break;
  }
  if (!json_is_string(in)) return refuse_type(j, f);
  const char *typed = json_string_value(in);
  if (json_string_length(in) > STRING_MOST) return refuse_bound(j, "too_long", "answer.max_length", field_most(f) < STRING_MOST ? field_most(f) : 200);
  switch (f->type) {
  case FIELD_TEXT:
  case FIELD_PARAGRAPH: return judge_text(j, f, typed);
  case FIELD_DATE: return judge_date(j, f, typed);
  case FIELD_CHOICE: return judge_choice(j, f, typed);
  case FIELD_PLACE: return judge_place(j, f, typed);
  case FIELD_ORGANISATION: return judge_organisation(j, f, typed);
  case FIELD_EMAIL: return judge_email(j, f, typed);
  default: return judge_identifier(j, f, typed);
  }
}

static int constraint_fails(struct judge *j, const struct field *f) {
  j->code = "constraint";
  j->message = text_in(&f->constraint_message, j->l);
  return -1;
}

int field_check(const struct pack *p, const struct field *f, const json_t *in, const json_t *data, int32_t today,
                enum lang l, struct arena *a, json_t **out, const char **code, const char **message) {
  struct judge j = {p, data, today, l, a, "", ""};
  int rc = -1;
  *out = NULL;
  bool asked = cond_holds(f->when, data);
  if (blank(in)) {
    rc = asked && f->required ? -1 : 0;
    if (rc) refuse(&j, "required", f->type == FIELD_DECLARATION ? "answer.declaration" : "answer.required", NULL, NULL);
  } else if (!asked) {
    refuse(&j, "not_asked", "answer.not_asked", NULL, NULL);
  } else if ((*out = judge_value(&j, f, in)) != NULL) {
    rc = 0;
    if (f->constraint) {
      json_t *with = data ? json_copy((json_t *)(uintptr_t)data) : json_object();
      json_object_set(with, f->name, *out);
      if (!cond_holds(f->constraint, with)) rc = constraint_fails(&j, f);
      json_decref(with);
    }
    if (rc) {
      json_decref(*out);
      *out = NULL;
    }
  } else if (!f->required && strcmp(j.code, "required") == 0 && (f->type == FIELD_TEXT || f->type == FIELD_PARAGRAPH)) {
    rc = 0; /* nothing was left after repair: no answer */
  }
  if (code) *code = rc ? j.code : NULL;
  if (message) *message = rc ? j.message : NULL;
  return rc;
}

/* ---- a whole answer ------------------------------------------------------------------------------------------------------ */

static void add_error(json_t *errors, const char *field, const char *code, const char *message) {
  if (json_array_size(errors) >= ERRORS_MOST) return;
  json_t *e = json_object();
  json_put(e, "field", field);
  json_put(e, "code", code);
  json_put(e, "message", message);
  json_array_append_new(errors, e);
}

static void unknown_members(json_t *errors, struct field *const *fields, size_t count, const json_t *in, enum lang l) {
  const char *key;
  json_t *v;
  json_object_foreach((json_t *)(uintptr_t)in, key, v) {
    bool known = false;
    for (size_t i = 0; i < count && !known; i++) known = strcmp(fields[i]->name, key) == 0;
    if (!known) add_error(errors, key, "unknown", word(l, "answer.unknown"));
  }
}

/* Does the condition speak of an answer that was refused? Then nobody knows yet whether the field is asked. */
static bool undecided(const struct cond *when, struct field *const *fields, const bool *bad, size_t upto) {
  for (size_t i = 0; i < upto; i++)
    if (bad[i] && cond_mentions(when, fields[i]->name)) return true;
  return false;
}

static int validate(const struct pack *p, struct field *const *fields, size_t count, const json_t *in, int32_t today, enum lang l,
                    struct arena *a, json_t **out, json_t **errors) {
  json_t *data = json_object(), *wrong = json_array();
  bool bad[128] = {false}, any_bad = false;
  size_t seen = 0;
  *out = *errors = NULL;
  if (!json_is_object(in)) add_error(wrong, "", "type", word(l, "answer.object"));
  for (size_t i = 0; json_is_object(in) && i < count && i < BASE_COUNT(bad); i++) {
    const struct field *f = fields[i];
    const json_t *v = json_object_get(in, f->name);
    json_t *value = NULL;
    const char *code = "", *message = "";
    seen += v != NULL;
    if (any_bad && f->when && undecided(f->when, fields, bad, i)) {
      bad[i] = true;
      continue;
    }
    if (field_check(p, f, v, data, today, l, a, &value, &code, &message) == 0) {
      if (value) json_object_set_new(data, f->name, value);
      continue;
    }
    bad[i] = any_bad = true;
    add_error(wrong, f->name, code, message);
  }
  if (seen < json_object_size(in)) unknown_members(wrong, fields, count, in, l);
  if (json_array_size(wrong) == 0) {
    json_decref(wrong);
    *out = data;
    return 0;
  }
  json_decref(data);
  *errors = wrong;
  return -1;
}

int service_validate(const struct pack *p, const struct service *s, const json_t *in, int32_t today, enum lang l,
                     struct arena *a, json_t **out, json_t **errors) {
  return validate(p, s->fields, s->field_count, in, today, l, a, out, errors);
}

int action_validate(const struct pack *p, const struct action *act, const json_t *in, int32_t today, enum lang l,
                    struct arena *a, json_t **out, json_t **errors) {
  json_t *none = NULL;
  if (!in || json_is_null(in)) in = none = json_object();
  int rc = validate(p, act->fields, act->field_count, in, today, l, a, out, errors);
  json_decref(none);
  return rc;
}

void service_prune(const struct service *s, json_t *data) {
  for (size_t i = 0; i < s->field_count; i++)
    if (s->fields[i]->when && !cond_holds(s->fields[i]->when, data)) json_object_del(data, s->fields[i]->name);
}
