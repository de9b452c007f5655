/* One question of a form: what the template needs to ask it, and what was answered. */
#include "channels/web/inside.h"

#include <stdlib.h>
#include <string.h>

enum { SHORT_LIST = 60, LONG_LIST = 800, MOST_RADIOS = 12 };

static json_t *option(const char *value, const char *label, bool chosen) {
  json_t *o = json_object();
  json_put(o, "value", value);
  json_put(o, "label", label);
  put_flag(o, "chosen", chosen);
  return o;
}

/* ---- long lists: places and organisations ---- */

struct named { const char *value, *name, *label; };

static int by_name_fa(const void *a, const void *b) { return text_compare(LANG_FA, ((const struct named *)a)->name, ((const struct named *)b)->name); }

static const struct directory *directory_of(struct http_req *r, const struct shown_field *k) { return pack_directory(k->pack ? k->pack : web_pack(r)); }

static json_t *place_options(struct http_req *r, const struct shown_field *k, size_t *all) {
  const struct directory *d = directory_of(r, k);
  const struct field *f = k->field;
  const char *outer = f->place_within ? json_str(k->data, f->place_within) : NULL;
  int within = outer ? directory_find_place(d, outer) : -1;
  int *found = arena_alloc(http_arena(r), (LONG_LIST + 1) * sizeof *found);
  struct named *list = arena_alloc(http_arena(r), (LONG_LIST + 1) * sizeof *list);
  json_t *options = json_array();
  *all = 0;
  if (!found || !list) return options;
  size_t n = directory_search_places(d, k->find ? k->find : "", f->place_kind, within, found, LONG_LIST + 1);
  *all = n;
  for (size_t i = 0; i < n && n <= LONG_LIST; i++) {
    const struct place *p = directory_place(d, found[i]), *up = directory_place(d, p->parent);
    const char *name = place_name(p, http_lang(r));
    const char *label = up && p->kind == PLACE_VILLAGE ? arena_printf(http_arena(r), "%s (%s)", name, place_name(up, http_lang(r))) : name;
    list[i] = (struct named){p->code, p->name_fa, label};
  }
  if (n > LONG_LIST) return options;
  qsort(list, n, sizeof *list, by_name_fa);
  for (size_t i = 0; i < n; i++)
    if (list[i].label) json_array_append_new(options, option(list[i].value, list[i].label, k->value && base_same(json_string_value(k->value), list[i].value)));
  return options;
}

json_t *organisation_options(struct http_req *r, const struct directory *d, int kind, const char *find, const char *chosen, size_t *all) {
  const char *wanted = find && find[0] ? text_fold(http_arena(r), find) : NULL;
  struct named *list = arena_alloc(http_arena(r), (LONG_LIST + 1) * sizeof *list);
  json_t *options = json_array();
  size_t n = 0;
  struct arena *scratch = arena_new(64 * 1024);
  for (size_t i = 0; list && i < directory_organisations(d) && n <= LONG_LIST; i++) {
    const struct organisation *o = directory_organisation(d, (int)i);
    if (kind >= 0 && (int)o->kind != kind) continue;
    arena_reset(scratch);
    const char *fold = wanted ? text_fold(scratch, organisation_name(o, http_lang(r))) : NULL;
    if (wanted && (!fold || !strstr(fold, wanted))) continue;
    list[n++] = (struct named){o->code, o->name_fa, organisation_name(o, http_lang(r))};
  }
  arena_free(scratch);
  *all = n;
  if (n > LONG_LIST) return options;
  if (n) qsort(list, n, sizeof *list, by_name_fa);
  for (size_t i = 0; i < n; i++) json_array_append_new(options, option(list[i].value, list[i].label, base_same(chosen, list[i].value)));
  return options;
}

/* A list too long to show still offers what was chosen, and to members of staff the organisations they work in. */
static void offer_known(struct http_req *r, const struct shown_field *k, json_t *options) {
  const struct directory *d = directory_of(r, k);
  const struct actor *who = web_actor(r);
  const char *chosen = json_string_value(k->value);
  if (k->field->type == FIELD_PLACE) {
    const struct place *p = directory_place(d, chosen ? directory_find_place(d, chosen) : -1);
    if (p) json_array_append_new(options, option(p->code, place_name(p, http_lang(r)), true));
    return;
  }
  const struct organisation *o = directory_organisation(d, chosen ? directory_find_organisation(d, chosen) : -1);
  if (o) json_array_append_new(options, option(o->code, organisation_name(o, http_lang(r)), true));
  for (unsigned i = 0; i < who->role_count; i++) {
    o = directory_organisation(d, directory_find_organisation(d, who->roles[i].organisation));
    bool seen = !o || base_same(o->code, chosen) || (k->field->organisation_kind >= 0 && (int)o->kind != k->field->organisation_kind);
    for (unsigned n = 0; n < i; n++) seen = seen || strcmp(who->roles[n].organisation, who->roles[i].organisation) == 0;
    if (!seen) json_array_append_new(options, option(o->code, organisation_name(o, http_lang(r)), false));
  }
}

static void put_long_list(struct http_req *r, const struct shown_field *k, json_t *o) {
  size_t all = 0;
  json_t *options = k->field->type == FIELD_PLACE ? place_options(r, k, &all)
    : organisation_options(r, directory_of(r, k), k->field->organisation_kind, k->find, k->value ? json_string_value(k->value) : NULL, &all);
  bool searching = k->find && k->find[0];
  if (all > LONG_LIST) offer_known(r, k, options);
  put_flag(o, "is_select", true);
  put_flag(o, "can_find", all > SHORT_LIST || searching);
  put_flag(o, "too_many", all > LONG_LIST && !searching);
  put_flag(o, "find_more", all > LONG_LIST && searching);
  put_flag(o, "none_found", all == 0 && searching);
  put(o, "find", k->find);
  put_list(o, "options", options);
}

/* ---- asking ---- */

static bool holds(const json_t *value, const char *choice) {
  size_t i;
  const json_t *v;
  if (json_is_string(value)) return strcmp(json_string_value(value), choice) == 0;
  json_array_foreach(value, i, v) if (base_same(json_string_value(v), choice)) return true;
  return false;
}

static void put_choices(struct http_req *r, const struct shown_field *k, json_t *o) {
  const struct field *f = k->field;
  json_t *list = json_array();
  for (size_t i = 0; i < f->choice_count; i++)
    json_array_append_new(list, option(f->choices[i].value, text_in(&f->choices[i].label, http_lang(r)),
                                       k->raw && f->type == FIELD_CHOICE ? strcmp(k->raw, f->choices[i].value) == 0 : holds(k->value, f->choices[i].value)));
  put_flag(o, f->type == FIELD_CHOICES ? "is_checks" : f->choice_count > MOST_RADIOS ? "is_select" : "is_radios", true);
  put_list(o, "options", list);
}

static void put_yes_no(struct http_req *r, const struct shown_field *k, json_t *o) {
  json_t *list = json_array();
  json_array_append_new(list, option("true", say(r, "yes"), json_is_true(k->value)));
  json_array_append_new(list, option("false", say(r, "no"), json_is_false(k->value)));
  put_flag(o, "is_radios", true);
  put_flag(o, "is_inline", true);
  put_list(o, "options", list);
}

static void put_files(struct http_req *r, const struct shown_field *k, json_t *o) {
  json_t *list = json_array();
  size_t i;
  const json_t *v;
  json_array_foreach(k->value, i, v) {
    json_t *one = json_object();
    const char *id = json_string_value(v), *name = json_str(json_object_get(k->files, id ? id : ""), "name");
    put(one, "field", k->field->name);
    put(one, "id", id);
    put(one, "name", name ? name : say(r, "file"));
    put(one, "keep", k->carries && id ? arena_printf(http_arena(r), "%s %s", id, name ? name : "") : NULL);
    json_array_append_new(list, one);
  }
  const char *kinds = k->field->accept;
  const char *accept = arena_printf(http_arena(r), "%s%s%s", strstr(kinds, "pdf") ? ".pdf," : "", strstr(kinds, "jpeg") ? ".jpg,.jpeg," : "", strstr(kinds, "png") ? ".png" : "");
  put_flag(o, "is_file", true);
  put(o, "accept", accept);
  put(o, "file_rule", word_fill(http_arena(r), http_lang(r), "web.file_rule", "n", number_format(http_arena(r), http_lang(r), (int64_t)field_most_files(k->field)), NULL));
  put_flag(o, "must_sign_in", web_actor(r)->kind == ACTOR_NOBODY);
  put_list(o, "files", list);
}

/* What stands in the box: what was typed, or the answer so far in the reader's digits and calendar. */
static const char *text_value(struct http_req *r, const struct shown_field *k) {
  struct arena *a = http_arena(r);
  const struct field *f = k->field;
  char iso[16];
  int32_t day;
  if (k->raw) return k->raw;
  if (json_is_integer(k->value)) return local(r, arena_printf(a, "%lld", (long long)json_integer_value(k->value)));
  if (json_is_real(k->value)) return local(r, arena_printf(a, "%.10g", json_real_value(k->value)));
  const char *s = json_string_value(k->value);
  if (!s) return NULL;
  if (f->type != FIELD_DATE) return f->type == FIELD_TEXT || f->type == FIELD_PARAGRAPH || f->type == FIELD_EMAIL ? s : local(r, s);
  if ((day = date_parse(s)) == INT32_MIN) return s;
  if (http_lang(r) == LANG_EN) return s;
  date_jalali(day, iso);
  for (char *p = iso; *p; p++)
    if (*p == '-') *p = '/';
  return local(r, iso);
}

static void put_box(struct http_req *r, const struct shown_field *k, json_t *o) {
  static const struct { enum field_type type; const char *mode, *width, *fill; bool ltr; int most; } boxes[] = {
    {FIELD_INTEGER, "numeric", "w10", NULL, true, 20}, {FIELD_DECIMAL, "decimal", "w10", NULL, true, 20}, {FIELD_MONEY, "numeric", "w20", NULL, true, 24},
    {FIELD_DATE, "text", "w10", NULL, true, 20}, {FIELD_NATIONAL_ID, "numeric", "w10", NULL, true, 20}, {FIELD_FIDA, "numeric", "w20", NULL, true, 24},
    {FIELD_LEGAL_ID, "numeric", "w20", NULL, true, 20}, {FIELD_MOBILE, "tel", "w20", "tel", true, 24}, {FIELD_POSTAL_CODE, "numeric", "w10", "postal-code", true, 20},
    {FIELD_SHEBA, "text", "w30", NULL, true, 40}, {FIELD_EMAIL, "email", "w30", "email", true, 200}, {FIELD_TRACKING, "numeric", "w20", NULL, true, 30}};
  const struct field *f = k->field;
  put_flag(o, f->type == FIELD_PARAGRAPH ? "is_area" : "is_text", true);
  put(o, "width", f->type == FIELD_TEXT && f->has_max && f->max <= 30 ? "w20" : NULL);
  for (size_t i = 0; i < BASE_COUNT(boxes); i++) {
    if (boxes[i].type != f->type) continue;
    put(o, "mode", boxes[i].mode);
    put(o, "width", boxes[i].width);
    put(o, "fill", boxes[i].fill);
    put_flag(o, "ltr", boxes[i].ltr);
    put(o, "most", arena_printf(http_arena(r), "%d", boxes[i].most));
  }
  if (f->type == FIELD_MONEY) put(o, "unit", say(r, "rials"));
  if (f->type == FIELD_DATE && !f->hint.fa[0]) put(o, "hint", say(r, "date_hint"));
  if (f->type == FIELD_DATE && f->hint.fa[0]) put(o, "more_hint", say(r, "date_either"));
  put(o, "value", text_value(r, k));
}

static void put_source(struct http_req *r, const struct field *f, json_t *o) {
  if (!f->prefill) return;
  const struct directory *d = pack_directory(web_pack(r));
  char code[80];
  snprintf(code, sizeof code, "%.*s", (int)strcspn(f->prefill, "/"), f->prefill);
  const struct organisation *owner = directory_organisation(d, directory_find_organisation(d, code));
  if (owner) put(o, "source", word_fill(http_arena(r), http_lang(r), "web.source", "who", organisation_name(owner, http_lang(r)), NULL));
}

/* What to do, not only that something is missing. */
static const char *plain_fault(struct http_req *r, const struct field *f, const char *message) {
  if (!message || strcmp(message, word(http_lang(r), "answer.required")) != 0) return message;
  switch (f->type) {
  case FIELD_YES_NO: case FIELD_CHOICE: return say(r, "need_choice");
  case FIELD_CHOICES: return say(r, "need_choices");
  case FIELD_PLACE: case FIELD_ORGANISATION: return say(r, "need_listed");
  case FIELD_DOCUMENT: return say(r, "need_file");
  default: return say(r, "need_text");
  }
}

void field_fault(struct http_req *r, json_t *page, const struct field *f, const char *message) {
  fault(page, arena_printf(http_arena(r), "#f-%s", f->name),
        arena_printf(http_arena(r), "%s — %s", text_in(&f->label, http_lang(r)), plain_fault(r, f, message)));
}

const char *known_by(struct http_req *r, const json_t *known) {
  const struct directory *d = pack_directory(web_pack(r));
  const char *code = json_str(known, "organisation");
  const struct organisation *o = code ? directory_organisation(d, directory_find_organisation(d, code)) : NULL;
  return word_fill(http_arena(r), http_lang(r), "web.from", "who", o ? organisation_name(o, http_lang(r)) : code ? code : "", NULL);
}

/* Why the person is asked what an office knows. */
static const char *missing_text(struct http_req *r, const json_t *missing) {
  const struct directory *d = pack_directory(web_pack(r));
  const char *code = json_str(missing, "organisation");
  const struct organisation *o = code ? directory_organisation(d, directory_find_organisation(d, code)) : NULL;
  return word_fill(http_arena(r), http_lang(r), arena_printf(http_arena(r), "web.unread_%s", json_str(missing, "why")), "who", o ? organisation_name(o, http_lang(r)) : code ? code : "", NULL);
}

/* From another organisation: shown as it is when it may not differ, else to be corrected in its box. */
static void put_known(struct http_req *r, const struct shown_field *k, json_t *o) {
  bool fixed = k->known && !json_flag(k->known, "correctable", true);
  put(o, "from", k->known ? known_by(r, k->known) : NULL);
  put_flag(o, "fixed", fixed);
  put_flag(o, "correctable", k->known && !fixed);
  put(o, "shown", fixed ? field_show(web_pack(r), k->field, json_object_get(k->known, "value"), http_lang(r), http_arena(r)) : NULL);
  put(o, "unread", k->missing ? missing_text(r, k->missing) : NULL);
  if (k->known || k->missing) put(o, "source", NULL);
}

json_t *field_json(struct http_req *r, const struct shown_field *k) {
  static const char *const flags[] = {"is_text", "is_area", "is_select", "is_radios", "is_inline", "is_checks", "is_file", "is_declaration", "ltr", "can_find",
    "too_many", "find_more", "none_found", "must_sign_in", "has_files", "has_options"};
  static const char *const texts[] = {"mode", "width", "fill", "most", "unit", "more_hint", "value", "source", "law", "find", "accept", "file_rule"};
  const struct field *f = k->field;
  json_t *o = json_object();
  for (size_t i = 0; i < BASE_COUNT(flags); i++) put_flag(o, flags[i], false);
  for (size_t i = 0; i < BASE_COUNT(texts); i++) put(o, texts[i], NULL);
  put(o, "name", f->name);
  put(o, "id", arena_printf(http_arena(r), "f-%s", f->name));
  put(o, "label", text_in(&f->label, http_lang(r)));
  put(o, "hint", text_in(&f->hint, http_lang(r)));
  put_flag(o, "optional", !f->required);
  put(o, "error", plain_fault(r, f, k->error));
  put(o, "law", f->law);
  put_source(r, f, o);
  put_known(r, k, o);
  switch (f->type) {
  case FIELD_YES_NO: put_yes_no(r, k, o); break;
  case FIELD_CHOICE: case FIELD_CHOICES: put_choices(r, k, o); break;
  case FIELD_PLACE: case FIELD_ORGANISATION: put_long_list(r, k, o); break;
  case FIELD_DOCUMENT: put_files(r, k, o); break;
  case FIELD_DECLARATION:
    put_flag(o, "is_declaration", true);
    put_flag(o, "checked", json_is_true(k->value));
    break;
  default: put_box(r, k, o);
  }
  return o;
}

/* ---- answering ---- */

size_t field_most_files(const struct field *f) { return f->has_max && f->max > 0 ? (size_t)f->max : 5; }

const char *field_raw(struct http_req *r, const struct field *f) {
  const char *v = http_form_value(r, f->name);
  if (!v || f->type == FIELD_DOCUMENT) return NULL;
  return utf8_valid(v, strlen(v)) ? arena_strdup(http_arena(r), v) : "";
}

static bool removed(const struct http_field *fields, size_t n, const char *name, const char *id) {
  char full[120];
  snprintf(full, sizeof full, "remove.%s", name);
  for (size_t i = 0; i < n; i++)
    if (strcmp(fields[i].name, full) == 0 && base_same(fields[i].value, id)) return true;
  return false;
}

json_t *field_kept(struct http_req *r, const struct field *f, json_t *files) {
  const struct http_field *fields;
  size_t n = http_form(r, &fields);
  json_t *ids = json_array();
  char full[120], id[33];
  snprintf(full, sizeof full, "keep.%s", f->name);
  for (size_t i = 0; i < n && json_array_size(ids) < field_most_files(f); i++) {
    const char *v = fields[i].value;
    if (strcmp(fields[i].name, full) != 0 || fields[i].filename || strlen(v) < 33 || strspn(v, "0123456789abcdef") != 32 || v[32] != ' ') continue;
    snprintf(id, sizeof id, "%.32s", v);
    json_array_append_new(ids, json_string(id));
    json_t *one = json_object();
    json_put(one, "name", v[33] && utf8_valid(v + 33, strlen(v + 33)) ? v + 33 : NULL);
    json_object_set_new(files, id, one);
  }
  return ids;
}

static bool accepts(const struct field *f, const char *media_type) {
  static const char *const kinds[] = {"pdf", "jpeg", "png"};
  for (size_t i = 0; i < BASE_COUNT(kinds); i++)
    if (strstr(media_type, kinds[i])) return strstr(f->accept, kinds[i]) != NULL;
  return false;
}

static int take_files(struct http_req *r, const struct field *f, const json_t *kept, json_t *files, json_t *ids, const char **message) {
  const struct http_field *fields;
  size_t n = http_form(r, &fields), i;
  const json_t *v;
  struct err err;
  json_array_foreach(kept, i, v) {
    if (!json_string_value(v)) continue;
    if (removed(fields, n, f->name, json_string_value(v))) json_object_del(files, json_string_value(v));
    else json_array_append(ids, (json_t *)(uintptr_t)v);
  }
  for (i = 0; i < n; i++) {
    struct case_document d;
    if (strcmp(fields[i].name, f->name) != 0 || !fields[i].filename || !fields[i].size) continue;
    if (json_array_size(ids) >= field_most_files(f)) {
      *message = say(r, "too_many_files");
      return -1;
    }
    if (cases_document_put(web_of(r)->cases, web_actor(r), fields[i].value, fields[i].size, fields[i].filename, &d, &err)) {
      *message = d.detail ? word(http_lang(r), d.detail) : say(r, "file_failed");
      return -1;
    }
    if (!accepts(f, d.media_type)) {
      *message = say(r, "file_kind");
      return -1;
    }
    json_array_append_new(ids, json_string(d.id));
    json_t *one = json_object();
    json_put(one, "name", utf8_valid(fields[i].filename, strlen(fields[i].filename)) ? fields[i].filename : d.media_type);
    json_object_set_new(one, "size", json_integer(d.size));
    if (files) json_object_set_new(files, d.id, one);
    else json_decref(one);
  }
  return 0;
}

int field_take(struct http_req *r, const struct field *f, const json_t *kept, json_t *files, json_t **out, const char **message) {
  const struct http_field *fields;
  size_t n = http_form(r, &fields);
  *out = NULL;
  if (f->type == FIELD_DOCUMENT || f->type == FIELD_CHOICES) {
    json_t *list = json_array();
    int rc = f->type == FIELD_DOCUMENT ? take_files(r, f, kept, files, list, message) : 0;
    for (size_t i = 0; f->type == FIELD_CHOICES && i < n; i++)
      if (strcmp(fields[i].name, f->name) == 0 && fields[i].value[0]) json_array_append_new(list, json_string(fields[i].value));
    if (json_array_size(list)) *out = list;
    else json_decref(list);
    return rc;
  }
  const char *raw = field_raw(r, f);
  if (raw && raw[0]) *out = json_string(raw);
  return 0;
}
