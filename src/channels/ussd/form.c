#include "channels/ussd/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A service from its eligibility to its submission. State: service, asked (index over eligibility, then fields), data, candidates. */

static const struct service *service_of(const struct turn *t) {
  const char *code = json_str(t->state, "service");
  const struct service *s = code ? pack_find(cases_pack(t->c->cases), code) : NULL;
  return s && s->version == json_int(t->state, "version", s->version) ? s : NULL; /* at midnight another version may begin: its questions are others */
}

/* Why the service takes nothing now, or NULL. */
static const char *stopped(struct turn *t, const struct service *s) {
  const char *why = cases_stopped(t->c->cases, s->code, t->tongue == TONGUE_FA ? LANG_FA : LANG_EN, t->a);
  return why && t->tongue == TONGUE_LATN ? menu_word(t, "stopped") : why;
}

/* Who acts for another need not type whose request it is. */
static void known_applicant(struct turn *t, const struct service *s) {
  struct actor who;
  if (proxy_actor(t, &who) == 1 && s->applicant_field && strlen(who.acting_as) == 10) json_put(json_object_get(t->state, "data"), s->applicant_field, who.acting_as);
}

void form_begin(struct turn *t, const struct service *s) {
  unsigned char raw[12];
  char key[25];
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, key);
  json_put(t->state, "service", s->code);
  json_object_set_new(t->state, "version", json_integer(s->version));
  json_put(t->state, "key", key);
  json_object_set_new(t->state, "asked", json_integer(0));
  json_object_set_new(t->state, "data", json_object());
  json_object_set_new(t->state, "elig", json_object());
  json_object_del(t->state, "candidates");
  if (s->ussd != CHANNEL_FULL) {
    menu_finish(t, arena_printf(t->a, "%s: %s", menu_label(t, &s->title, s->latn), menu_word(t, "elsewhere")));
    return;
  }
  const char *why = stopped(t, s);
  if (why) menu_finish(t, arena_printf(t->a, "%s: %s", menu_label(t, &s->title, s->latn), why));
  else if (s->mandate.present) proxy_ask(t, "form"); /* who gives it, by their code */
  else {
    known_applicant(t, s);
    menu_go(t, "form");
  }
}

/* The question that stands at `asked`, passing over what is not asked here; NULL at the end. */
static const struct field *question(struct turn *t, const struct service *s) {
  size_t at = (size_t)json_int(t->state, "asked", 0);
  const json_t *data = json_object_get(t->state, "data");
  for (; at < s->eligibility_count + s->field_count; at++) {
    const struct field *f = at < s->eligibility_count ? &s->eligibility[at].field : s->fields[at - s->eligibility_count];
    bool ask = at < s->eligibility_count || ((f->required || f->ussd) && f->type != FIELD_DOCUMENT && cond_holds(f->when, data));
    if (!ask || (proxy_acting(t) && base_same(f->name, s->applicant_field) && json_object_get(data, f->name))) continue;
    json_object_set_new(t->state, "asked", json_integer((json_int_t)at));
    return f;
  }
  json_object_set_new(t->state, "asked", json_integer((json_int_t)at));
  return NULL;
}

/* Does 0 pass over this question? Not while places are offered for the letters typed: there it leads back to typing. */
static bool may_skip(const struct turn *t, const struct service *s, const struct field *f) {
  return f && !f->required && (size_t)json_int(t->state, "asked", 0) >= s->eligibility_count && !json_object_get(t->state, "candidates");
}

/* Is 0 an answer, so that it cannot lead back? */
static bool zero_answers(const struct field *f) {
  return (f->type == FIELD_INTEGER || f->type == FIELD_MONEY || f->type == FIELD_DECIMAL) && (!f->has_min || f->min <= 0);
}

/* label: but not after a question mark */
static const char *colon(const struct turn *t, const char *label) {
  size_t n = strlen(label);
  bool asks = n && (label[n - 1] == '?' || label[n - 1] == ':' || (n > 2 && strcmp(label + n - 2, "؟") == 0));
  const char *text = asks ? label : arena_printf(t->a, "%s:", label);
  return text ? text : label;
}

static const char *choice_label(const struct turn *t, const struct choice *c) { return menu_label(t, &c->label, c->latn.fa); }

static const char *place_label(const struct turn *t, const char *code) {
  const struct directory *d = pack_directory(cases_pack(t->c->cases));
  const struct place *p = directory_place(d, directory_find_place(d, code));
  if (!p) return code;
  if (t->tongue == TONGUE_FA) return p->name_fa;
  return p->name_en[0] ? p->name_en : latin_of(t->a, p->name_fa);
}

/* Lines to choose from, or 0 when the answer is typed. */
static size_t options(struct turn *t, const struct field *f, const char **lines, const char **values, size_t most) {
  const json_t *found = json_object_get(t->state, "candidates");
  const struct directory *d = pack_directory(cases_pack(t->c->cases));
  size_t n = 0;
  if (f->type == FIELD_YES_NO || f->type == FIELD_DECLARATION) {
    lines[0] = menu_word(t, f->type == FIELD_YES_NO ? "yes" : "confirm");
    values[0] = "true";
    lines[1] = menu_word(t, "no");
    values[1] = "false";
    return f->type == FIELD_YES_NO ? 2 : 1;
  }
  if (f->type == FIELD_CHOICE || f->type == FIELD_CHOICES)
    for (; n < f->choice_count && n < most; n++) {
      lines[n] = choice_label(t, &f->choices[n]);
      values[n] = f->choices[n].value;
    }
  if (f->type == FIELD_PLACE && !found && (values[0] = find_last(t, f)) != NULL) {
    lines[0] = place_label(t, values[0]);
    return 1;
  }
  if (f->type == FIELD_PLACE || f->type == FIELD_ORGANISATION)
    for (; n < json_array_size(found) && n < most; n++) {
      values[n] = json_string_value(json_array_get(found, n));
      const struct organisation *o = directory_organisation(d, directory_find_organisation(d, values[n]));
      if (f->type == FIELD_PLACE) lines[n] = place_label(t, values[n]);
      else lines[n] = o ? organisation_name(o, t->tongue == TONGUE_FA ? LANG_FA : LANG_EN) : values[n];
    }
  return n;
}

#define MOST 120

static void show_confirm(struct turn *t, const struct service *s) {
  const struct fee_row *row = NULL;
  int64_t fee = service_fee(s, json_object_get(t->state, "data"), &row);
  enum lang l = t->tongue == TONGUE_FA ? LANG_FA : LANG_EN;
  const char *cost = fee ? money_format(t->a, l, fee) : menu_word(t, "free");
  const char *instead = proxy_title(t), *title = arena_printf(t->a, "%s%s%s: %s", instead ? instead : "", instead ? "\n" : "", menu_label(t, &s->title, s->latn), cost);
  const char *lines[] = {menu_word(t, "submit"), menu_word(t, "answers")};
  t->screen = screen_list(t, title, lines, NULL, 2);
}

void form_show(struct turn *t) {
  const struct service *s = service_of(t);
  const char *lines[MOST], *values[MOST];
  if (!s) {
    menu_go(t, "root");
    return;
  }
  const struct field *f = question(t, s);
  if (!f) {
    show_confirm(t, s);
    return;
  }
  const char *title = menu_label(t, &f->label, f->latn);
  size_t n = options(t, f, lines, values, MOST);
  if (may_skip(t, s, f)) t->zero = "skip";
  else if (zero_answers(f)) t->zero = "menu";
  if (n && f->type == FIELD_PLACE && !json_object_get(t->state, "candidates")) title = arena_printf(t->a, "%s %s", colon(t, title), menu_word(t, "letters_or"));
  if (f->type == FIELD_CHOICES) title = arena_printf(t->a, "%s %s", title, menu_word(t, "several"));
  if (n) t->screen = screen_list(t, title ? title : "", lines, NULL, n);
  else {
    const char *hint = f->type == FIELD_PLACE || f->type == FIELD_ORGANISATION ? menu_word(t, "letters") : f->type == FIELD_DATE ? menu_word(t, "date") : "";
    t->screen = screen_prompt(t, colon(t, title), hint);
  }
}

static void fault(struct turn *t, const char *message) {
  t->fault = message;
  form_show(t);
}

/* 14050902 → 1405-09-02 */
static const char *read_date(struct turn *t, const char *input) {
  const char *d = digits_ascii(t->a, input);
  if (d && strlen(d) == 8 && strspn(d, "0123456789") == 8) return arena_printf(t->a, "%.4s-%.2s-%.2s", d, d + 4, d + 6);
  return d;
}

static void next_question(struct turn *t) {
  json_object_set_new(t->state, "asked", json_integer(json_int(t->state, "asked", 0) + 1));
  json_object_set_new(t->state, "page", json_integer(0));
  form_show(t);
}

/* "a b" → ["a","b"] */
static json_t *words_of(struct turn *t, const char *text) {
  char *copy = arena_strdup(t->a, text), *save = NULL;
  json_t *list = json_array();
  for (char *s = copy ? strtok_r(copy, " ", &save) : NULL; s; s = strtok_r(NULL, " ", &save)) json_array_append_new(list, json_string(s));
  return list;
}

/* Several numbers with anything between them → their values as words; NULL when one is none of the lines. */
static const char *several(struct turn *t, const char *typed, const char *const *values, size_t n) {
  const char *all = NULL;
  for (const char *s = typed; *s;) {
    size_t digits = strspn(s, "0123456789");
    if (!digits) {
      s++;
      continue;
    }
    size_t number = digits < 4 ? (size_t)strtoul(s, NULL, 10) : 0;
    if (number < 1 || number > n) return NULL;
    all = all ? arena_printf(t->a, "%s %s", all, values[number - 1]) : arena_strdup(t->a, values[number - 1]);
    if (!all) return NULL;
    s += digits;
  }
  return all;
}

static void accept(struct turn *t, const struct service *s, const struct field *f, const char *typed) {
  struct pack *p = cases_pack(t->c->cases);
  size_t at = (size_t)json_int(t->state, "asked", 0);
  bool entry = at < s->eligibility_count;
  json_t *data = json_object_get(t->state, entry ? "elig" : "data"), *in, *out = NULL;
  const char *code, *message;
  if (f->type == FIELD_YES_NO || f->type == FIELD_DECLARATION) in = json_boolean(strcmp(typed, "true") == 0);
  else if (f->type == FIELD_CHOICES) in = words_of(t, typed);
  else in = json_string(f->type == FIELD_DATE ? read_date(t, typed) : typed);
  int rc = field_check(p, f, in, data, cases_today(), t->tongue == TONGUE_FA ? LANG_FA : LANG_EN, t->a, &out, &code, &message);
  json_decref(in);
  if (rc) {
    fault(t, t->tongue == TONGUE_LATN ? menu_word(t, "wrong") : message);
    return;
  }
  json_object_del(t->state, "candidates");
  if (out) json_object_set_new(data, f->name, out);
  if (out && f->type == FIELD_PLACE) find_remember(t, f, json_string_value(out));
  if (entry && s->eligibility[at].exit_when && cond_holds(s->eligibility[at].exit_when, data)) {
    menu_finish(t, t->tongue == TONGUE_FA ? s->eligibility[at].exit.fa : s->eligibility[at].exit.en);
    return;
  }
  next_question(t);
}

/* What the person is told of a refusal. */
static const char *why_not(struct turn *t, const struct case_submission *sub) {
  const char *message = json_str(json_array_get(sub->errors, 0), "message");
  if (t->tongue == TONGUE_LATN) return menu_word(t, "refused");
  message = sub->detail ? word(sub->lang, sub->detail) : arena_strdup(t->a, message);
  return message ? message : menu_word(t, "refused");
}

static void submit(struct turn *t, const struct service *s) {
  struct pack *p = cases_pack(t->c->cases);
  json_t *data = NULL, *errors = NULL;
  struct err err;
  enum lang l = t->tongue == TONGUE_FA ? LANG_FA : LANG_EN; /* where there is no Persian, its letters would be boxes */
  if (service_validate(p, s, json_object_get(t->state, "data"), cases_today(), l, t->a, &data, &errors)) {
    const char *name = json_str(json_array_get(errors, 0), "field"), *message = json_str(json_array_get(errors, 0), "message");
    for (size_t i = 0; name && i < s->field_count; i++)
      if (strcmp(s->fields[i]->name, name) == 0) json_object_set_new(t->state, "asked", json_integer((json_int_t)(s->eligibility_count + i)));
    fault(t, message && t->tongue != TONGUE_LATN ? arena_strdup(t->a, message) : menu_word(t, "wrong"));
    json_decref(errors);
    return;
  }
  struct case_submission sub = {.service = s, .data = data, .key = json_str(t->state, "key"), .caller = arena_printf(t->a, "ussd:%s", t->mobile), .intake = INTAKE_USSD, .lang = l, .latin = t->tongue == TONGUE_LATN};
  snprintf(sub.actor.mobile, sizeof sub.actor.mobile, "%s", t->mobile);
  int acting = proxy_actor(t, &sub.actor);
  bool unknown = acting == 0 && s->mandate.present && !proxy_known(t, &sub.actor);
  if (acting < 0 || unknown) {
    if (unknown) proxy_ask(t, "form");
    else proxy_lapsed(t);
    json_decref(data);
    return;
  }
  if (cases_submit(t->c->cases, &sub, NULL, NULL, &err)) {
    log_write(LOG_WARN, "ussd", "not filed: %s", err.message);
    if (err.code == ERR_UNAVAILABLE || err.code == ERR_OUTCOME_UNKNOWN) fault(t, menu_word(t, "later"));
    else menu_finish(t, err.code == ERR_CONFLICT && stopped(t, s) ? stopped(t, s) : sub.detail || sub.errors ? why_not(t, &sub) : menu_word(t, err.code == ERR_CONFLICT ? "already" : "refused"));
    json_decref(sub.errors);
  } else {
    char code[48];
    identifier_group(IDENT_TRACKING, sub.tracking, code);
    const char *due = sub.due_legal == INT32_MIN ? "" : t->tongue == TONGUE_EN ? date_short(t->a, LANG_EN, sub.due_legal) : date_short(t->a, LANG_FA, sub.due_legal);
    if (t->tongue == TONGUE_LATN) due = digits_ascii(t->a, due);
    json_object_del(t->state, "service");
    menu_finish(t, arena_printf(t->a, "%s\n%s%s%s %s", menu_word(t, "filed"), code, due[0] ? "\n" : "", due[0] ? menu_word(t, "until") : "", due));
  }
  json_decref(data);
}

/* An answer as it was chosen here: in Latin letters too. */
static const char *shown(struct turn *t, const struct field *f, const json_t *v) {
  if (f->type == FIELD_PLACE) return place_label(t, json_string_value(v));
  if (f->type == FIELD_YES_NO) return menu_word(t, json_is_true(v) ? "yes" : "no");
  if (f->type == FIELD_DECLARATION) return menu_word(t, "confirm");
  for (size_t i = 0; f->type == FIELD_CHOICE && i < f->choice_count; i++)
    if (base_same(f->choices[i].value, json_string_value(v))) return choice_label(t, &f->choices[i]);
  return field_show(cases_pack(t->c->cases), f, v, t->tongue == TONGUE_FA ? LANG_FA : LANG_EN, t->a);
}

static void read_back(struct turn *t, const struct service *s) {
  struct buf b;
  buf_init(&b, 8192);
  const json_t *data = json_object_get(t->state, "data");
  for (size_t i = 0; i < s->field_count; i++) {
    const json_t *v = json_object_get(data, s->fields[i]->name);
    const char *text = v ? shown(t, s->fields[i], v) : NULL;
    if (text) buf_addf(&b, "%s%s %s", b.len ? "\n" : "", colon(t, menu_label(t, &s->fields[i]->label, s->fields[i]->latn)), text);
  }
  json_put(t->state, "text", buf_str(&b));
  json_put(t->state, "then", "form");
  buf_free(&b);
  menu_go(t, "text");
}

static void back(struct turn *t, const struct service *s) {
  int64_t at = json_int(t->state, "asked", 0);
  json_t *data = json_object_get(t->state, "data");
  if (json_object_get(t->state, "candidates")) json_object_del(t->state, "candidates");
  else
    for (at--; at >= (int64_t)s->eligibility_count; at--) { /* to the question before that has an answer */
      const char *name = s->fields[at - (int64_t)s->eligibility_count]->name;
      if (!json_object_get(data, name)) continue;
      json_object_del(data, name);
      break;
    }
  if (at < (int64_t)s->eligibility_count && json_int(t->state, "asked", 0) <= (int64_t)s->eligibility_count) {
    menu_go(t, "root");
    return;
  }
  json_object_set_new(t->state, "asked", json_integer(at < 0 ? 0 : at));
  json_object_set_new(t->state, "page", json_integer(0));
  form_show(t);
}

/* Is a list shown, so that 99 turns its page? A typed answer may be 99. */
bool form_lists(struct turn *t) {
  const struct service *s = service_of(t);
  const char *lines[MOST], *values[MOST];
  const struct field *f = s ? question(t, s) : NULL;
  return !f || options(t, f, lines, values, MOST) > 0;
}

void form_take(struct turn *t, const char *input) {
  const struct service *s = service_of(t);
  const char *lines[MOST], *values[MOST];
  if (!s) {
    menu_go(t, "root");
    return;
  }
  const struct field *f = question(t, s);
  const char *ascii = digits_ascii(t->a, input);
  size_t n = f ? options(t, f, lines, values, MOST) : 2;
  int64_t number = -1;
  if (ascii && strcmp(ascii, "0") == 0 && may_skip(t, s, f)) {
    next_question(t);
    return;
  }
  if (!ascii || (strcmp(ascii, "0") == 0 && !(f && zero_answers(f)))) {
    back(t, s);
    return;
  }
  if (parse_i64(ascii, &number)) number = -1;
  if (!f) {
    if (number == 1) submit(t, s);
    else if (number == 2) read_back(t, s);
    else fault(t, menu_word(t, "choose"));
    return;
  }
  if (f->type == FIELD_CHOICES) {
    const char *chosen = several(t, ascii, values, n);
    if (chosen) accept(t, s, f, chosen);
    else fault(t, menu_word(t, "choose"));
    return;
  }
  if (n) {
    if (number < 1 || number > (int64_t)n) {
      bool letters = number < 0 || !json_object_get(t->state, "candidates"); /* other letters, or a code instead of the last choice */
      if ((f->type == FIELD_PLACE || f->type == FIELD_ORGANISATION) && letters) json_object_del(t->state, "candidates");
      else {
        fault(t, menu_word(t, "choose"));
        return;
      }
    } else {
      accept(t, s, f, arena_strdup(t->a, values[number - 1]));
      return;
    }
  }
  if (f->type == FIELD_PLACE || f->type == FIELD_ORGANISATION) {
    const char *code = find_by_letters(t, f, input);
    if (code) accept(t, s, f, code);
    else if (json_object_get(t->state, "candidates")) form_show(t);
    else fault(t, menu_word(t, "none_found"));
    return;
  }
  accept(t, s, f, input);
}
