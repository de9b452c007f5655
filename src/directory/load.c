/* Loading: what the three files have in common, and the finished directory. */
#include "directory/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRINGS_MOST ((size_t)512 << 20)

void load_fail(struct loader *l, unsigned line, const char *fmt, ...) {
  char message[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(message, sizeof message, fmt, ap);
  va_end(ap);
  l->errors++;
  if (l->report) l->report(l->ctx, l->file, line, message);
}

const char *load_keep(struct loader *l, const char *text) {
  if (!text[0]) return "";
  char *kept = arena_strdup(l->d->arena, text);
  if (kept) return kept;
  load_fail(l, 0, "the directory's texts are larger than %zu MiB", STRINGS_MOST >> 20);
  return "";
}

/* Codes go into addresses, so they are short and plain. */
bool load_code(const char *code) {
  size_t n = strlen(code);
  return n > 0 && n <= 64 && strspn(code, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

double load_degrees(struct loader *l, unsigned line, const char *what, const char *text, double most) {
  if (!text[0]) return NAN;
  char *end;
  double v = strtod(text, &end);
  if (*end || strspn(text, "-0123456789.") != strlen(text) || !(v >= -most && v <= most)) {
    load_fail(l, line, "%s '%s' is not a number of degrees between -%g and %g", what, text, most, most);
    return NAN;
  }
  return v;
}

static const char *nearest_column(const char *const *names, const char *wanted) {
  struct nearest near = {.wanted = wanted};
  for (; *names; names++) nearest_offer(&near, *names);
  return near.best;
}

static void check_header(struct loader *l, const char *data, const char *const *names) {
  const char *end = data + strcspn(data, "\r\n"), *at = data;
  if (strncmp(at, "\xEF\xBB\xBF", 3) == 0) at += 3;
  while (at < end) {
    size_t n = 0;
    while (at + n < end && at[n] != ',') n++;
    char column[64];
    snprintf(column, sizeof column, "%.*s", (int)(n < 63 ? n : 63), at);
    bool known = false;
    for (const char *const *name = names; *name; name++) known |= strcmp(*name, column) == 0;
    const char *near = known ? NULL : nearest_column(names, column);
    if (!known) load_fail(l, 1, "unknown column '%s'%s%s%s", column, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    at += n + 1;
  }
}

struct csv *load_csv(struct loader *l, const char *file, const char *const *names, int *columns) {
  l->file = file;
  struct err err = {0};
  size_t n = 0;
  char *path = base_printf("%s/%s", l->pack, file), *data = file_read(path, 0, &n, &err);
  struct csv *csv = NULL;
  if (!data) {
    load_fail(l, 0, "cannot be read: %s", err.message);
  } else if (!utf8_valid(data, n)) {
    load_fail(l, 0, "is not valid UTF-8");
  } else if (!(csv = csv_read(data, n, &err))) {
    unsigned line = 0;
    int skip = 0;
    if (sscanf(err.message, "line %u: %n", &line, &skip) != 1) skip = 0;
    load_fail(l, line, "%s", err.message + skip);
  } else {
    check_header(l, data, names);
    for (size_t i = 0; names[i]; i++)
      if ((columns[i] = csv_column(csv, names[i])) < 0) load_fail(l, 1, "column '%s' is missing", names[i]);
  }
  free(data);
  free(path);
  return csv;
}

static int compare_fold(const void *a, const void *b, void *ctx) {
  const struct directory *d = ctx;
  int i = *(const int32_t *)a, j = *(const int32_t *)b, order = strcmp(d->places[i].fold, d->places[j].fold);
  return order ? order : (i > j) - (i < j);
}

static int compare_name(const void *a, const void *b, void *ctx) {
  const struct directory *d = ctx;
  int i = *(const int32_t *)a, j = *(const int32_t *)b, order = text_compare(LANG_FA, d->places[i].name_fa, d->places[j].name_fa);
  return order ? order : (i > j) - (i < j);
}

static void link_children(struct directory *d) {
  int32_t *start = base_alloc((d->place_count + 2) * sizeof *start), *child = base_alloc((d->place_count + 1) * sizeof *child);
  for (size_t i = 0; i < d->place_count; i++)
    if (d->places[i].parent >= 0) start[d->places[i].parent + 2]++;
  for (size_t i = 2; i < d->place_count + 2; i++) start[i] += start[i - 1];
  for (size_t i = 0; i < d->place_count; i++)
    if (d->places[i].parent >= 0) child[start[d->places[i].parent + 1]++] = (int32_t)i;
  for (size_t i = 0; i < d->place_count; i++) {
    int32_t *mine = child + start[i], count = start[i + 1] - start[i];
    if (count == 0) continue;
    qsort_r(mine, (size_t)count, sizeof *mine, compare_name, d);
    d->places[i].first_child = mine[0];
    for (int32_t k = 0; k + 1 < count; k++) d->places[mine[k]].next = mine[k + 1];
  }
  free(start);
  free(child);
}

static void index_places(struct loader *l) {
  struct directory *d = l->d;
  link_children(d);
  d->by_fold = base_alloc((d->place_count + 1) * sizeof *d->by_fold);
  for (size_t i = 0; i < d->place_count; i++) {
    d->places[i].fold = text_fold(d->arena, d->places[i].name_fa);
    if (!d->places[i].fold) d->places[i].fold = "";
    d->by_fold[i] = (int32_t)i;
  }
  qsort_r(d->by_fold, d->place_count, sizeof *d->by_fold, compare_fold, d);
  size_t slots = d->place_count * ORGANISATION_KINDS;
  d->responsible = base_alloc((slots + 1) * sizeof *d->responsible);
  memset(d->responsible, 0xff, slots * sizeof *d->responsible);
  for (size_t i = 0; i < d->organisation_count; i++) {
    const struct organisation *o = &d->organisations[i];
    int32_t *slot = o->place < 0 ? NULL : &d->responsible[(size_t)o->place * ORGANISATION_KINDS + o->kind];
    if (slot && *slot < 0 && o->unit_of < 0) *slot = (int32_t)i;
  }
}

struct directory *directory_load(const char *pack, directory_report report, void *ctx) {
  struct directory *d = base_alloc(sizeof *d);
  d->arena = arena_new(STRINGS_MOST);
  struct loader l = {.d = d, .pack = pack, .report = report, .ctx = ctx};
  load_places(&l);
  if (d->place_count) load_organisations(&l);
  if (d->organisation_count) load_offices(&l);
  if (d->place_count) load_shapes(&l);
  if (l.errors) {
    directory_free(d);
    return NULL;
  }
  index_places(&l);
  return d;
}
