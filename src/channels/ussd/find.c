#include "channels/ussd/inside.h"

#include <stdio.h>
#include <string.h>

/* Places and organisations by a code, by first letters in either script, or by the caller's last choice: never from thirty screens. */

#define MOST 24

static int within_of(const struct turn *t, const struct field *f) {
  const char *code = f->place_within ? json_str(json_object_get(t->state, "data"), f->place_within) : NULL;
  return code ? directory_find_place(pack_directory(cases_pack(t->c->cases)), code) : -1;
}

static bool fits_field(const struct directory *d, const struct field *f, int place, int within) {
  const struct place *p = directory_place(d, place);
  return p && (f->place_kind < 0 || (int)p->kind == f->place_kind) && (within < 0 || directory_within(d, place, within));
}

/* Places by their Latin name, or, as most villages have none, by how the Persian one sounds. */
static size_t latin_places(struct turn *t, const struct field *f, const char *typed, int within, bool by_sound, int *found) {
  const struct directory *d = pack_directory(cases_pack(t->c->cases));
  const char *fold = text_fold(t->a, typed);
  size_t n = 0;
  for (size_t i = 0; fold && fold[0] && i < directory_places(d) && n < MOST; i++) {
    const struct place *p = directory_place(d, (int)i);
    if (!fits_field(d, f, (int)i, within)) continue;
    const char *name = by_sound || !p->name_en[0] ? NULL : text_fold(t->a, p->name_en);
    if (by_sound ? latin_begins(p->name_fa, typed) : name && base_starts(name, fold)) found[n++] = (int)i;
  }
  return n;
}

static const char *find_place(struct turn *t, const struct field *f, const char *input) {
  const struct directory *d = pack_directory(cases_pack(t->c->cases));
  const char *ascii = digits_ascii(t->a, input);
  int within = within_of(t, f), found[MOST];
  if (!ascii) return NULL;
  if (directory_find_place(d, ascii) >= 0) return ascii;
  size_t n = directory_search_places(d, input, f->place_kind, within, found, MOST);
  if (!n) n = latin_places(t, f, ascii, within, false, found);
  bool guessed = !n;
  if (guessed) n = latin_places(t, f, ascii, within, true, found);
  if (n == 1 && !guessed) return directory_place(d, found[0])->code;
  json_t *list = json_array();
  for (size_t i = 0; i < n; i++) json_array_append_new(list, json_string(directory_place(d, found[i])->code));
  if (n) json_object_set(t->state, "candidates", list);
  json_decref(list);
  return NULL;
}

static const char *find_organisation(struct turn *t, const struct field *f, const char *input) {
  const struct directory *d = pack_directory(cases_pack(t->c->cases));
  const char *fold = text_fold(t->a, input);
  if (directory_find_organisation(d, input) >= 0) return arena_strdup(t->a, input);
  json_t *list = json_array();
  for (size_t i = 0; fold && fold[0] && i < directory_organisations(d) && json_array_size(list) < MOST; i++) {
    const struct organisation *o = directory_organisation(d, (int)i);
    if (f->organisation_kind >= 0 ? (int)o->kind != f->organisation_kind : o->kind == ORG_DEHYARI) continue;
    const char *fa = text_fold(t->a, o->name_fa), *en = text_fold(t->a, o->name_en);
    if ((fa && strstr(fa, fold)) || (en && strstr(en, fold))) json_array_append_new(list, json_string(o->code));
  }
  if (json_array_size(list)) json_object_set(t->state, "candidates", list);
  json_decref(list);
  return NULL;
}

const char *find_by_letters(struct turn *t, const struct field *f, const char *input) {
  return f->type == FIELD_PLACE ? find_place(t, f, input) : find_organisation(t, f, input);
}

void find_remember(struct turn *t, const struct field *f, const char *code) {
  json_t *chosen = json_object_get(t->state, "chosen");
  char kind[16];
  snprintf(kind, sizeof kind, "%d", f->place_kind);
  if (!chosen) json_object_set_new(t->state, "chosen", chosen = json_object());
  json_put(chosen, kind, code);
}

const char *find_last(const struct turn *t, const struct field *f) {
  const struct directory *d = pack_directory(cases_pack(t->c->cases));
  char kind[16];
  snprintf(kind, sizeof kind, "%d", f->place_kind);
  const char *code = json_str(json_object_get(t->state, "chosen"), kind);
  int place = code ? directory_find_place(d, code) : -1;
  return place >= 0 && fits_field(d, f, place, within_of(t, f)) ? arena_strdup(t->a, code) : NULL;
}
