/* Looking things up in a loaded directory. */
#include "directory/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- words of the closed sets -------------------------------------------------------- */

static const char *const place_kinds[] = {"province", "county", "district", "city", "zone", "rural_district", "village"};
static const char *const organisation_kinds[] = {"agency", "governorate", "municipality", "dehyari", "institution", "company"};
static const char *const settings[] = {"urban", "rural", "mixed"};
static const char *const levels[] = {"core", "hub", "district", "office", "dehyari"};

static int parse_in(const char *const *table, size_t count, const char *text) {
  for (size_t i = 0; text && i < count; i++)
    if (strcmp(table[i], text) == 0) return (int)i;
  return -1;
}

const char *place_kind_text(enum place_kind k) { return (size_t)k < BASE_COUNT(place_kinds) ? place_kinds[k] : ""; }
const char *organisation_kind_text(enum organisation_kind k) {
  return (size_t)k < BASE_COUNT(organisation_kinds) ? organisation_kinds[k] : "";
}
int place_kind_parse(const char *text) { return parse_in(place_kinds, BASE_COUNT(place_kinds), text); }
int organisation_kind_parse(const char *text) { return parse_in(organisation_kinds, BASE_COUNT(organisation_kinds), text); }
int place_setting_parse(const char *text) { return parse_in(settings, BASE_COUNT(settings), text); }
int office_level_parse(const char *text) { return parse_in(levels, BASE_COUNT(levels), text); }

/* ---- code → index ---------------------------------------------------------------------- */

const char *code_of_place(const struct directory *d, size_t i) { return d->places[i].code; }
const char *code_of_organisation(const struct directory *d, size_t i) { return d->organisations[i].code; }
const char *code_of_office(const struct directory *d, size_t i) { return d->offices[i].code; }

static size_t hash_code(const char *s) {
  uint32_t h = 2166136261u;
  for (; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
  return h;
}

void code_index_init(struct code_index *x, size_t count) {
  size_t size = 16;
  while (size < count * 2) size *= 2;
  x->slots = base_alloc(size * sizeof *x->slots);
  x->mask = size - 1;
}

int code_index_add(const struct directory *d, struct code_index *x, code_at code, size_t i) {
  const char *wanted = code(d, i);
  for (size_t at = hash_code(wanted) & x->mask;; at = (at + 1) & x->mask) {
    if (!x->slots[at]) {
      x->slots[at] = (int32_t)i + 1;
      return -1;
    }
    if (strcmp(code(d, (size_t)x->slots[at] - 1), wanted) == 0) return x->slots[at] - 1;
  }
}

int code_index_find(const struct directory *d, const struct code_index *x, code_at code, const char *wanted) {
  if (!wanted || !x->slots) return -1;
  for (size_t at = hash_code(wanted) & x->mask; x->slots[at]; at = (at + 1) & x->mask)
    if (strcmp(code(d, (size_t)x->slots[at] - 1), wanted) == 0) return x->slots[at] - 1;
  return -1;
}

/* ---- the tables -------------------------------------------------------------------------- */

void directory_free(struct directory *d) {
  if (!d) return;
  arena_free(d->arena);
  free(d->places);
  free(d->organisations);
  free(d->offices);
  free(d->shapes);
  free(d->by_place.slots);
  free(d->by_organisation.slots);
  free(d->by_office.slots);
  free(d->by_fold);
  free(d->responsible);
  free(d);
}

size_t directory_places(const struct directory *d) { return d->place_count; }
size_t directory_organisations(const struct directory *d) { return d->organisation_count; }
size_t directory_offices(const struct directory *d) { return d->office_count; }

const struct place *directory_place(const struct directory *d, int index) {
  return index >= 0 && (size_t)index < d->place_count ? &d->places[index] : NULL;
}

const struct organisation *directory_organisation(const struct directory *d, int index) {
  return index >= 0 && (size_t)index < d->organisation_count ? &d->organisations[index] : NULL;
}

const struct office *directory_office(const struct directory *d, int index) {
  return index >= 0 && (size_t)index < d->office_count ? &d->offices[index] : NULL;
}

int directory_find_place(const struct directory *d, const char *code) {
  return code_index_find(d, &d->by_place, code_of_place, code);
}

int directory_find_organisation(const struct directory *d, const char *code) {
  return code_index_find(d, &d->by_organisation, code_of_organisation, code);
}

int directory_find_office(const struct directory *d, const char *code) {
  return code_index_find(d, &d->by_office, code_of_office, code);
}

bool directory_within(const struct directory *d, int place, int ancestor) {
  if (!directory_place(d, place) || !directory_place(d, ancestor)) return false;
  for (int i = place; i >= 0; i = d->places[i].parent)
    if (i == ancestor) return true;
  return false;
}

int directory_ancestor(const struct directory *d, int place, enum place_kind kind) {
  if (!directory_place(d, place)) return -1;
  for (int i = place; i >= 0; i = d->places[i].parent)
    if (d->places[i].kind == kind) return i;
  return -1;
}

int directory_responsible(const struct directory *d, int place, enum organisation_kind kind) {
  if (!directory_place(d, place) || (size_t)kind >= ORGANISATION_KINDS) return -1;
  for (int i = place; i >= 0; i = d->places[i].parent) {
    int found = d->responsible[(size_t)i * ORGANISATION_KINDS + kind];
    if (found >= 0) return found;
  }
  return -1;
}

const char *place_name(const struct place *p, enum lang l) {
  return l == LANG_EN && p->name_en[0] ? p->name_en : p->name_fa;
}

const char *organisation_name(const struct organisation *o, enum lang l) {
  return l == LANG_EN && o->name_en[0] ? o->name_en : o->name_fa;
}

/* ---- search ------------------------------------------------------------------------------- */

size_t directory_search_places(const struct directory *d, const char *prefix, int kind, int within, int *out, size_t most) {
  struct arena *a = arena_new(64 * 1024);
  const char *fold = text_fold(a, prefix ? prefix : "");
  size_t n = 0;
  if (!fold) goto done;
  size_t length = strlen(fold), lo = 0, hi = d->place_count;
  while (lo < hi) { /* first place whose name is not before the prefix */
    size_t mid = (lo + hi) / 2;
    if (strncmp(d->places[d->by_fold[mid]].fold, fold, length) < 0) lo = mid + 1;
    else hi = mid;
  }
  for (; lo < d->place_count && n < most; lo++) {
    int i = d->by_fold[lo];
    const struct place *p = &d->places[i];
    if (strncmp(p->fold, fold, length) != 0) break;
    if (kind >= 0 && (int)p->kind != kind) continue;
    if (within >= 0 && !directory_within(d, i, within)) continue;
    out[n++] = i;
  }
done:
  arena_free(a);
  return n;
}

char *place_path(const struct directory *d, int place, enum lang l, struct arena *a) {
  const struct place *p = directory_place(d, place);
  if (!p) return arena_strdup(a, "");
  char *path = arena_strdup(a, place_name(p, l));
  while (path && p->kind > PLACE_COUNTY && (p = directory_place(d, p->parent)) != NULL && p->kind >= PLACE_COUNTY)
    path = arena_printf(a, "%s%s%s", path, l == LANG_FA ? "، " : ", ", place_name(p, l));
  return path;
}

/* ---- did you mean --------------------------------------------------------------------------- */

#define NEAREST_LENGTH 64

/* Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours. */
static unsigned edit_distance(const char *a, size_t n, const char *b, size_t m) {
  unsigned row[3][NEAREST_LENGTH + 1];
  unsigned *before = row[0], *above = row[1], *here = row[2];
  for (size_t j = 0; j <= m; j++) above[j] = (unsigned)j;
  for (size_t i = 1; i <= n; i++) {
    here[0] = (unsigned)i;
    for (size_t j = 1; j <= m; j++) {
      unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);
      if (above[j] + 1 < best) best = above[j] + 1;
      if (here[j - 1] + 1 < best) best = here[j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best) best = before[j - 2] + 1;
      here[j] = best;
    }
    unsigned *spare = before;
    before = above;
    above = here;
    here = spare;
  }
  return above[m];
}

void nearest_offer(struct nearest *n, const char *candidate) {
  size_t a = strlen(n->wanted), b = strlen(candidate);
  if (a == 0 || a > NEAREST_LENGTH || b > NEAREST_LENGTH) return;
  unsigned limit = (unsigned)(a + 2) / 3;
  if (limit > 3) limit = 3;
  if ((a > b ? a - b : b - a) > limit) return;
  unsigned distance = edit_distance(n->wanted, a, candidate, b);
  if (distance <= limit && (!n->best || distance < n->distance)) {
    n->best = candidate;
    n->distance = distance;
  }
}
