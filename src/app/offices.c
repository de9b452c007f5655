/* Offices and links of the network as CSV: in, with a dry run that tells the differences, and out. */
#include "app/app.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns in their order; the first is demanded, the others may be left out: what is not there stays as it is. */
static const char *const columns[] = {"code", "organisation", "place", "level", "uplinks", "name_fa", "name_en", "lat", "lon", "address", "interval", "checks", "prober", "active"};
enum { COLUMNS = BASE_COUNT(columns), MOST_BYTES = 16 * 1024 * 1024 };
_Static_assert(BASE_COUNT(columns) <= CSV_COLUMNS_MOST, "csv_import has room for them");

static struct network_plan_row row_of(const struct csv *c, size_t row, const int *at) {
  const char *v[COLUMNS];
  for (size_t k = 0; k < COLUMNS; k++) v[k] = at[k] < 0 ? NULL : csv_plain(csv_cell(c, row, at[k]));
  return (struct network_plan_row){.line = csv_line(c, row), .code = v[0], .organisation = v[1], .place = v[2], .level = v[3], .uplinks = v[4], .name_fa = v[5], .name_en = v[6], .lat = v[7],
                                   .lon = v[8], .address = v[9], .interval = v[10], .checks = v[11], .prober = v[12], .active = v[13]};
}

/* The columns of the file; false after a message. */
static bool find_columns(const char *file, const char *data, const struct csv *c, int *at) {
  const char *end = data + strcspn(data, "\r\n"), *p = data;
  bool good = true;
  for (size_t k = 0; k < COLUMNS; k++) at[k] = csv_column(c, columns[k]);
  if (strncmp(p, "\xEF\xBB\xBF", 3) == 0) p += 3;
  while (p <= end && *p) {
    size_t n = strcspn(p, ",\r\n");
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(n < 63 ? n : 63), p);
    bool known = strcmp(name, "synthetic") == 0; /* of the pack's own file */
    for (size_t k = 0; k < COLUMNS; k++) known = known || strcmp(name, columns[k]) == 0;
    const char *near = known ? NULL : app_near(name, columns, COLUMNS);
    if (!known) fprintf(stderr, "%s:1: unknown column '%s'%s%s%s\n", file, name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    good = good && known;
    p += n + (p + n < end);
    if (p >= end) break;
  }
  if (at[0] < 0) fprintf(stderr, "%s:1: column 'code' is missing\n", file);
  return good && at[0] >= 0;
}

static void tell_changes(const json_t *out) {
  size_t i;
  const json_t *one;
  const char *field;
  json_t *v;
  json_array_foreach(json_object_get(out, "added"), i, one) printf("+ %s (line %lld)\n", json_str(one, "code"), (long long)json_int(one, "line", 0));
  json_array_foreach(json_object_get(out, "changed"), i, one)
    json_object_foreach(json_object_get(one, "fields"), field, v)
      printf("~ %s (line %lld) %s: '%s' -> '%s'\n", json_str(one, "code"), (long long)json_int(one, "line", 0), field, json_str(v, "from") ? json_str(v, "from") : "", json_str(v, "to") ? json_str(v, "to") : "");
}

static int take_in(struct platform *p, const char *file, const struct csv *c, const int *at, bool dry, enum lang l) {
  size_t n = csv_rows(c), i;
  struct network_plan_row *rows = base_alloc((n + 1) * sizeof *rows);
  struct network_by by = {.who = "console"};
  struct err err = {0};
  json_t *out = NULL, *one;
  for (i = 0; i < n; i++) rows[i] = row_of(c, i, at);
  int rc = network_plan(p->network, &by, rows, n, dry, l, &out, &err);
  json_array_foreach(json_object_get(out, "errors"), i, one)
    fprintf(stderr, "%s:%lld: %s: %s\n", file, (long long)json_int(one, "line", 0), json_str(one, "field"), json_str(one, "message"));
  if (rc && !json_array_size(json_object_get(out, "errors"))) fprintf(stderr, "chapar: %s\n", err.message);
  if (rc == 0) {
    tell_changes(out);
    printf("%s%zu rows: %zu new, %zu changed, %lld as they were\n", dry ? "dry run, nothing was written: " : "", n, json_array_size(json_object_get(out, "added")),
           json_array_size(json_object_get(out, "changed")), (long long)json_int(out, "same", 0));
  }
  json_decref(out);
  free(rows);
  return rc ? EXIT_REFUSED : EXIT_DONE;
}

static int opened(struct platform *p, const struct settings *set) {
  struct err err;
  int rc = platform_open(p, set, PLATFORM_ALL);
  if (rc == 0 && platform_network(p, &err)) {
    fprintf(stderr, "chapar: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  return rc;
}

int csv_import(const struct settings *set, const struct csv_import *i) {
  struct platform p = {0};
  struct err err;
  size_t n = 0;
  int at[CSV_COLUMNS_MOST], rc = EXIT_REFUSED;
  int64_t placed;
  char *data = file_read(i->file, i->most, &n, &err);
  struct csv *c = data ? csv_read(data, n, &err) : NULL;
  if (!c) fprintf(stderr, "chapar: %s: %s\n", i->file, err.message);
  else if (i->columns(i->file, data, c, at)) {
    rc = i->open(&p, set);
    if (rc == 0) rc = i->take(&p, i->file, c, at, i->dry, base_same(i->lang, "fa") ? LANG_FA : LANG_EN);
    if (rc == 0 && !i->dry && trust_sequence(p.trust, &placed, &err) && err.code != ERR_CONFLICT) log_write(LOG_WARN, "ledger", "%s", err.message);
  }
  csv_free(c);
  free(data);
  platform_close(&p);
  return rc;
}

int offices_import(const struct settings *set, const char *file, bool dry, const char *lang) {
  return csv_import(set, &(struct csv_import){.file = file, .lang = lang, .most = MOST_BYTES, .dry = dry, .columns = find_columns, .open = opened, .take = take_in});
}

/* ---- out ---- */

struct writing { struct buf b; const struct directory *d; struct network *n; json_t *uplinks; };

static void number(struct buf *b, double v) {
  if (!isnan(v)) buf_addf(b, "%.6g", v);
  buf_addc(b, ',');
}

static void cell(struct buf *b, const char *text) {
  csv_put(b, text ? text : "");
  buf_addc(b, ',');
}

static bool write_one(void *ctx, const struct network_office *o) {
  struct writing *w = ctx;
  const struct organisation *organisation = directory_organisation(w->d, o->organisation);
  const struct place *place = directory_place(w->d, o->place);
  cell(&w->b, o->code);
  cell(&w->b, organisation ? organisation->code : "");
  cell(&w->b, place ? place->code : "");
  cell(&w->b, network_level_text(o->level));
  for (int i = 0; i < o->uplink_count; i++) buf_addf(&w->b, "%s%s", i ? ";" : "", json_string_value(json_array_get(w->uplinks, (size_t)o->uplinks[i])));
  buf_addc(&w->b, ',');
  cell(&w->b, o->name_fa);
  cell(&w->b, o->name_en);
  number(&w->b, o->lat);
  number(&w->b, o->lon);
  cell(&w->b, o->address);
  buf_addf(&w->b, "%lld,", (long long)(o->interval_ms / 1000));
  char *checks = network_checks_shown(o->checks);
  cell(&w->b, checks);
  free(checks);
  cell(&w->b, o->prober);
  buf_adds(&w->b, "1\r\n");
  return true;
}

static bool keep_code(void *ctx, const struct network_office *o) { return json_array_append_new(ctx, json_string(o->code)) == 0; }

int offices_export(const struct settings *set) {
  struct platform p = {0};
  int rc = opened(&p, set);
  if (rc == 0) {
    struct writing w = {.d = pack_directory(p.pack), .n = p.network, .uplinks = json_array()};
    buf_init(&w.b, 64 * 1024 * 1024);
    for (size_t k = 0; k < COLUMNS; k++) buf_addf(&w.b, "%s%s", columns[k], k + 1 < COLUMNS ? "," : "\r\n");
    network_each(p.network, keep_code, w.uplinks);
    network_each(p.network, write_one, &w);
    if (buf_overflowed(&w.b) || fwrite(buf_str(&w.b), 1, w.b.len, stdout) != w.b.len || fflush(stdout)) {
      fputs("chapar: the export could not be written\n", stderr);
      rc = EXIT_REFUSED;
    }
    buf_free(&w.b);
    json_decref(w.uplinks);
  }
  platform_close(&p);
  return rc;
}
