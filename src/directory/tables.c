/* Loading places.csv, organisations.csv and offices.csv, and what must hold between their rows. */
#include "directory/internal.h"

#include <stdlib.h>
#include <string.h>

static void fail_unknown(struct loader *l, unsigned line, const char *what, const char *code, code_at of, size_t count) {
  struct nearest near = {.wanted = code};
  for (size_t i = 0; i < count; i++) nearest_offer(&near, of(l->d, i));
  if (near.best) load_fail(l, line, "unknown %s '%s'; did you mean '%s'?", what, code, near.best);
  else load_fail(l, line, "unknown %s '%s'", what, code);
}

static void fail_word(struct loader *l, unsigned line, const char *what, const char *text, const char *allowed) {
  load_fail(l, line, "unknown %s '%s': it is one of %s", what, text, allowed);
}

static int64_t whole(struct loader *l, unsigned line, const char *what, const char *text, int64_t none, int64_t most) {
  int64_t n;
  if (!text[0]) return none;
  if (parse_i64(text, &n) == 0 && n >= 0 && n <= most) return n;
  load_fail(l, line, "%s '%s' is not a whole number from 0 to %lld", what, text, (long long)most);
  return none;
}

static const char *name_cell(struct loader *l, unsigned line, const char *what, const char *text, bool needed) {
  if (!text[0] && needed) load_fail(l, line, "%s is empty", what);
  if (text_has_bidi_control(text)) load_fail(l, line, "%s has a direction mark (an invisible character): delete it", what);
  return load_keep(l, text);
}

/* ---- places ------------------------------------------------------------------------------- */

enum { P_CODE, P_PARENT, P_KIND, P_SETTING, P_FA, P_EN, P_LAT, P_LON, P_POPULATION, P_YEAR, P_HOUSEHOLDS, P_COLUMNS };
static const char *const place_columns[] = {"code", "parent", "kind", "setting", "name_fa", "name_en", "lat", "lon",
                                            "population", "population_year", "households", NULL};

/* Which kind a place of each kind hangs under; -1: it is the root. */
static const int parent_kind[] = {-1, PLACE_PROVINCE, PLACE_COUNTY, PLACE_DISTRICT, PLACE_CITY, PLACE_DISTRICT, PLACE_RURAL_DISTRICT};

static void read_place(struct loader *l, const struct csv *csv, size_t row, const int *col, struct place *p) {
  unsigned line = csv_line(csv, row);
  const char *cell[P_COLUMNS];
  for (int i = 0; i < P_COLUMNS; i++) cell[i] = csv_cell(csv, row, col[i]);
  p->code = load_keep(l, cell[P_CODE]);
  size_t digits = strlen(p->code);
  if (digits < 2 || digits > 16 || strspn(p->code, "0123456789") != digits)
    load_fail(l, line, "place code '%s' is not 2 to 16 digits", p->code);
  int kind = place_kind_parse(cell[P_KIND]), setting = place_setting_parse(cell[P_SETTING]);
  if (kind < 0) fail_word(l, line, "place kind", cell[P_KIND], "province, county, district, city, zone, rural_district, village");
  if (setting < 0) fail_word(l, line, "setting", cell[P_SETTING], "urban, rural, mixed");
  p->kind = kind < 0 ? PLACE_VILLAGE : (enum place_kind)kind;
  p->setting = setting < 0 ? PLACE_RURAL : (enum place_setting)setting;
  p->name_fa = name_cell(l, line, "name_fa", cell[P_FA], true);
  p->name_en = name_cell(l, line, "name_en", cell[P_EN], false);
  p->lat = load_degrees(l, line, "lat", cell[P_LAT], 90);
  p->lon = load_degrees(l, line, "lon", cell[P_LON], 180);
  if (!cell[P_LAT][0] != !cell[P_LON][0]) load_fail(l, line, "a position needs both lat and lon");
  p->population = whole(l, line, "population", cell[P_POPULATION], -1, 100000000);
  p->population_year = (int)whole(l, line, "population_year", cell[P_YEAR], 0, 2200);
  p->households = (int)whole(l, line, "households", cell[P_HOUSEHOLDS], -1, 100000000);
  p->parent = p->first_child = p->next = -1;
}

static bool in_cycle(const struct directory *d, size_t start) {
  int at = d->places[start].parent;
  for (size_t steps = 0; at >= 0 && steps <= d->place_count; steps++, at = d->places[at].parent)
    if (at == (int)start) return true;
  return false;
}

static void check_parent(struct loader *l, unsigned line, const struct place *p, const char *parent, int *roots) {
  if (!parent[0]) {
    if (p->kind != PLACE_PROVINCE) load_fail(l, line, "place '%s' has no parent: only the province has none", p->code);
    else if (++*roots > 1) load_fail(l, line, "place '%s' is a second root: a pack has one", p->code);
    return;
  }
  if (p->parent < 0) {
    fail_unknown(l, line, "parent place", parent, code_of_place, l->d->place_count);
    return;
  }
  if (in_cycle(l->d, (size_t)(p - l->d->places))) {
    load_fail(l, line, "place '%s' is below itself: its parents form a circle", p->code);
    return;
  }
  const struct place *up = &l->d->places[p->parent];
  if ((int)up->kind != parent_kind[p->kind])
    load_fail(l, line, "a %s cannot be below a %s ('%s'): its parent is a %s", place_kind_text(p->kind), place_kind_text(up->kind), up->code,
              parent_kind[p->kind] < 0 ? "nothing" : place_kind_text((enum place_kind)parent_kind[p->kind]));
}

void load_places(struct loader *l) {
  int col[P_COLUMNS];
  struct csv *csv = load_csv(l, "places.csv", place_columns, col);
  if (!csv) return;
  struct directory *d = l->d;
  size_t n = csv_rows(csv);
  d->places = base_alloc((n + 1) * sizeof *d->places);
  code_index_init(&d->by_place, n);
  for (size_t i = 0; i < n; i++) {
    read_place(l, csv, i, col, &d->places[i]);
    d->place_count = i + 1;
    int twin = code_index_add(d, &d->by_place, code_of_place, i);
    if (twin >= 0) load_fail(l, csv_line(csv, i), "place code '%s' stands at line %u already", d->places[i].code, csv_line(csv, (size_t)twin));
  }
  for (size_t i = 0; i < n; i++) d->places[i].parent = directory_find_place(d, csv_cell(csv, i, col[P_PARENT]));
  int roots = 0;
  for (size_t i = 0; i < n; i++) check_parent(l, csv_line(csv, i), &d->places[i], csv_cell(csv, i, col[P_PARENT]), &roots);
  if (roots == 0) load_fail(l, 1, "there is no province (a row without a parent)");
  csv_free(csv);
}

/* ---- organisations -------------------------------------------------------------------------- */

enum { O_CODE, O_KIND, O_PARENT, O_PLACE, O_CLASS, O_MEMBER, O_FA, O_EN, O_PHONE, O_UNIT, O_COLUMNS };
static const char *const organisation_columns[] = {"code", "kind", "parent", "place", "class", "member",
                                                   "name_fa", "name_en", "phone", "unit_of", NULL};

static void read_organisation(struct loader *l, const struct csv *csv, size_t row, const int *col, struct organisation *o) {
  unsigned line = csv_line(csv, row);
  const char *cell[O_COLUMNS];
  for (int i = 0; i < O_COLUMNS; i++) cell[i] = csv_cell(csv, row, col[i]);
  o->code = load_keep(l, cell[O_CODE]);
  if (!load_code(o->code)) load_fail(l, line, "organisation code '%s' is not made of letters, digits, '-' and '_' (64 at most)", o->code);
  int kind = organisation_kind_parse(cell[O_KIND]);
  if (kind < 0) fail_word(l, line, "organisation kind", cell[O_KIND], "agency, governorate, municipality, dehyari, institution, company");
  o->kind = kind < 0 ? ORG_AGENCY : (enum organisation_kind)kind;
  o->place = -1;
  if (cell[O_PLACE][0] && (o->place = directory_find_place(l->d, cell[O_PLACE])) < 0)
    fail_unknown(l, line, "place", cell[O_PLACE], code_of_place, l->d->place_count);
  o->class_ = load_keep(l, cell[O_CLASS]);
  o->member = load_keep(l, cell[O_MEMBER]);
  if (!load_code(o->class_) || !load_code(o->member))
    load_fail(l, line, "organisation '%s' needs class and member (letters, digits, '-', '_'): its identity on the exchange", o->code);
  o->name_fa = name_cell(l, line, "name_fa", cell[O_FA], true);
  o->name_en = name_cell(l, line, "name_en", cell[O_EN], false);
  if (strspn(cell[O_PHONE], "+0123456789- ") != strlen(cell[O_PHONE]))
    load_fail(l, line, "phone '%s' is not made of digits, spaces, '+' and '-'", cell[O_PHONE]);
  o->phone = load_keep(l, cell[O_PHONE]);
  o->parent = o->unit_of = -1;
}

static int compare_member(const void *a, const void *b, void *ctx) {
  const struct directory *d = ctx;
  const struct organisation *x = &d->organisations[*(const int32_t *)a], *y = &d->organisations[*(const int32_t *)b];
  int order = strcmp(x->member, y->member);
  if (!order) order = strcmp(x->class_, y->class_);
  return order ? order : (x > y) - (x < y);
}

static void check_members(struct loader *l, const struct csv *csv) {
  struct directory *d = l->d;
  size_t n = d->organisation_count;
  int32_t *order = base_alloc((n + 1) * sizeof *order);
  for (size_t i = 0; i < n; i++) order[i] = (int32_t)i;
  qsort_r(order, n, sizeof *order, compare_member, d);
  for (size_t i = 1; i < n; i++) {
    const struct organisation *x = &d->organisations[order[i - 1]], *y = &d->organisations[order[i]];
    if (strcmp(x->member, y->member) == 0 && strcmp(x->class_, y->class_) == 0)
      load_fail(l, csv_line(csv, (size_t)order[i]), "exchange identity %s/%s belongs to '%s' (line %u) already", y->class_, y->member, x->code,
                csv_line(csv, (size_t)order[i - 1]));
  }
  free(order);
}

static int find_other(struct loader *l, unsigned line, const char *what, const char *code, size_t self) {
  if (!code[0]) return -1;
  int found = directory_find_organisation(l->d, code);
  if (found < 0) fail_unknown(l, line, what, code, code_of_organisation, l->d->organisation_count);
  else if (found == (int)self) load_fail(l, line, "organisation '%s' is its own %s", code, what);
  return found == (int)self ? -1 : found;
}

static bool organisation_in_cycle(const struct directory *d, size_t start) {
  int at = d->organisations[start].parent;
  for (size_t steps = 0; at >= 0 && steps <= d->organisation_count; steps++, at = d->organisations[at].parent)
    if (at == (int)start) return true;
  return false;
}

void load_organisations(struct loader *l) {
  int col[O_COLUMNS];
  struct csv *csv = load_csv(l, "organisations.csv", organisation_columns, col);
  if (!csv) return;
  struct directory *d = l->d;
  size_t n = csv_rows(csv);
  d->organisations = base_alloc((n + 1) * sizeof *d->organisations);
  code_index_init(&d->by_organisation, n);
  for (size_t i = 0; i < n; i++) {
    read_organisation(l, csv, i, col, &d->organisations[i]);
    d->organisation_count = i + 1;
    int twin = code_index_add(d, &d->by_organisation, code_of_organisation, i);
    if (twin >= 0)
      load_fail(l, csv_line(csv, i), "organisation code '%s' stands at line %u already", d->organisations[i].code, csv_line(csv, (size_t)twin));
  }
  for (size_t i = 0; i < n; i++) {
    d->organisations[i].parent = find_other(l, csv_line(csv, i), "parent organisation", csv_cell(csv, i, col[O_PARENT]), i);
    d->organisations[i].unit_of = find_other(l, csv_line(csv, i), "unit_of", csv_cell(csv, i, col[O_UNIT]), i);
  }
  for (size_t i = 0; i < n; i++)
    if (organisation_in_cycle(d, i))
      load_fail(l, csv_line(csv, i), "organisation '%s' is below itself: its parents form a circle", d->organisations[i].code);
  check_members(l, csv);
  csv_free(csv);
}

/* ---- offices ----------------------------------------------------------------------------------- */

enum { F_CODE, F_ORGANISATION, F_PLACE, F_LEVEL, F_UPLINKS, F_FA, F_EN, F_LAT, F_LON, F_SYNTHETIC, F_COLUMNS };
static const char *const office_columns[] = {"code", "organisation", "place", "level", "uplinks", "name_fa",
                                             "name_en", "lat", "lon", "synthetic", NULL};

static void read_office(struct loader *l, const struct csv *csv, size_t row, const int *col, struct office *o) {
  unsigned line = csv_line(csv, row);
  const char *cell[F_COLUMNS];
  for (int i = 0; i < F_COLUMNS; i++) cell[i] = csv_cell(csv, row, col[i]);
  o->code = load_keep(l, cell[F_CODE]);
  if (!load_code(o->code)) load_fail(l, line, "office code '%s' is not made of letters, digits, '-' and '_' (64 at most)", o->code);
  if ((o->organisation = directory_find_organisation(l->d, cell[F_ORGANISATION])) < 0)
    fail_unknown(l, line, "organisation", cell[F_ORGANISATION], code_of_organisation, l->d->organisation_count);
  if ((o->place = directory_find_place(l->d, cell[F_PLACE])) < 0)
    fail_unknown(l, line, "place", cell[F_PLACE], code_of_place, l->d->place_count);
  int level = office_level_parse(cell[F_LEVEL]);
  if (level < 0) fail_word(l, line, "office level", cell[F_LEVEL], "core, hub, district, office, dehyari");
  o->level = level < 0 ? OFFICE_OFFICE : (enum office_level)level;
  o->name_fa = name_cell(l, line, "name_fa", cell[F_FA], true);
  o->name_en = name_cell(l, line, "name_en", cell[F_EN], false);
  o->lat = load_degrees(l, line, "lat", cell[F_LAT], 90);
  o->lon = load_degrees(l, line, "lon", cell[F_LON], 180);
  if (!cell[F_LAT][0] != !cell[F_LON][0]) load_fail(l, line, "a position needs both lat and lon");
  if (strcmp(cell[F_SYNTHETIC], "0") != 0 && strcmp(cell[F_SYNTHETIC], "1") != 0)
    load_fail(l, line, "synthetic '%s' is neither 0 nor 1", cell[F_SYNTHETIC]);
  o->synthetic = cell[F_SYNTHETIC][0] == '1';
}

static void read_uplinks(struct loader *l, unsigned line, const char *text, struct office *o) {
  if (!text[0] && o->level != OFFICE_CORE) load_fail(l, line, "office '%s' has no uplink: only a core has none", o->code);
  while (*text) {
    size_t n = strcspn(text, ";");
    char code[65];
    if (n == 0 || n >= sizeof code || o->uplink_count == (int)BASE_COUNT(o->uplinks)) {
      load_fail(l, line, "uplinks are one to %zu office codes with ';' between", BASE_COUNT(o->uplinks));
      return;
    }
    memcpy(code, text, n);
    code[n] = 0;
    int up = directory_find_office(l->d, code);
    if (up < 0) fail_unknown(l, line, "uplink office", code, code_of_office, l->d->office_count);
    else if (&l->d->offices[up] == o) load_fail(l, line, "office '%s' is its own uplink", code);
    else o->uplinks[o->uplink_count++] = up;
    text += n + (text[n] == ';');
  }
}

/* Depth first without recursion: state 1 while on the path, 2 when done. */
static void check_uplinks(struct loader *l, const struct csv *csv) {
  struct directory *d = l->d;
  size_t n = d->office_count;
  unsigned char *state = base_alloc(n + 1), *turn = base_alloc(n + 1);
  int32_t *path = base_alloc((n + 1) * sizeof *path);
  for (size_t i = 0; i < n; i++) {
    size_t depth = 0;
    if (state[i]) continue;
    state[path[depth++] = (int32_t)i] = 1;
    while (depth) {
      const struct office *o = &d->offices[path[depth - 1]];
      if (turn[path[depth - 1]] == o->uplink_count) {
        state[path[--depth]] = 2;
        continue;
      }
      int up = o->uplinks[turn[path[depth - 1]]++];
      if (state[up] == 1) load_fail(l, csv_line(csv, (size_t)(o - d->offices)), "uplinks form a circle: '%s' goes up to '%s' and back", o->code, d->offices[up].code);
      else if (state[up] == 0) state[path[depth++] = up] = 1;
    }
  }
  free(state);
  free(turn);
  free(path);
}

void load_offices(struct loader *l) {
  int col[F_COLUMNS];
  struct csv *csv = load_csv(l, "offices.csv", office_columns, col);
  if (!csv) return;
  struct directory *d = l->d;
  size_t n = csv_rows(csv);
  d->offices = base_alloc((n + 1) * sizeof *d->offices);
  code_index_init(&d->by_office, n);
  for (size_t i = 0; i < n; i++) {
    read_office(l, csv, i, col, &d->offices[i]);
    d->office_count = i + 1;
    int twin = code_index_add(d, &d->by_office, code_of_office, i);
    if (twin >= 0) load_fail(l, csv_line(csv, i), "office code '%s' stands at line %u already", d->offices[i].code, csv_line(csv, (size_t)twin));
  }
  for (size_t i = 0; i < n; i++) read_uplinks(l, csv_line(csv, i), csv_cell(csv, i, col[F_UPLINKS]), &d->offices[i]);
  check_uplinks(l, csv);
  csv_free(csv);
}
