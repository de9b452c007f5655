/* The page for the council's Saturday: what came, what is late, where it is worst, what got better, what stands in the way, appeals. */
#include "observatory/tables.h"
#include "print/print.h"

#include <stdlib.h>
#include <string.h>

struct reporting {
  struct observatory *o;
  struct observe_query q, before; /* this period, and the one before it */
  enum lang l;
  struct arena *a;
  struct print *p;
};

static const char *say(const struct reporting *k, const char *key) {
  char full[96];
  snprintf(full, sizeof full, "observatory.%s", key);
  return word(k->l, full);
}

static int place_of(const json_t *table, const char *key) {
  size_t i;
  json_t *c;
  json_array_foreach(json_object_get(table, "columns"), i, c)
    if (base_same(json_str(c, "key"), key)) return (int)i;
  return -1;
}

static const json_t *cell(const json_t *table, const json_t *row, const char *key) { return json_array_get(row, (size_t)place_of(table, key)); }

static const char *shown(const struct reporting *k, const json_t *table, const json_t *row, const char *key) {
  int at = place_of(table, key);
  const char *text = at < 0 ? "" : table_cell(k->a, k->l, json_str(json_array_get(json_object_get(table, "columns"), (size_t)at), "kind"), json_array_get(row, (size_t)at));
  return text && text[0] ? text : "–";
}

/* Two measures a line, each with the period before it; NULL: not told of it (what is now). */
static const struct { const char *key, *kind; bool before; } measures[] = {
  {"arrived", "count", true}, {"open", "count", false}, {"closed", "count", true}, {"late", "count", false}, {"median", "days", true}, {"late_days", "count", false},
  {"legal", "share", true}, {"appealed", "count", true}, {"norm", "share", true}, {"upheld", "share", true}};

static int facts(const struct reporting *k, struct err *err) {
  enum { LINES = BASE_COUNT(measures) / 2 };
  json_t *now = NULL, *then = NULL;
  const char *cells[LINES * 6];
  char word_key[64];
  if (observatory_summary(k->o, &k->q, k->l, &now, err) || observatory_summary(k->o, &k->before, k->l, &then, err)) {
    json_decref(now);
    return -1;
  }
  for (size_t i = 0; i < BASE_COUNT(measures); i++) {
    const char **at = &cells[i * 3], *a = table_cell(k->a, k->l, measures[i].kind, json_object_get(now, measures[i].key));
    const char *b = measures[i].before ? table_cell(k->a, k->l, measures[i].kind, json_object_get(then, measures[i].key)) : "";
    snprintf(word_key, sizeof word_key, "c_%s", measures[i].key);
    at[0] = say(k, word_key);
    at[1] = a && a[0] ? a : "–";
    at[2] = b && (b[0] || !measures[i].before) ? b : "–";
  }
  const char *since = say(k, "report_since"), *this = say(k, "report_this");
  const struct print_column heads[] = {{"", 2, PRINT_START}, {this, 1, PRINT_END}, {since, 1, PRINT_END}, {"", 2, PRINT_START}, {this, 1, PRINT_END}, {since, 1, PRINT_END}};
  print_heading(k->p, 3, say(k, "report_came"));
  print_table(k->p, heads, BASE_COUNT(heads), cells, LINES);
  json_decref(now);
  json_decref(then);
  return 0;
}

/* ---- services ---- */

struct judged { const json_t *row; double weight; };
static int by_weight(const void *a, const void *b) {
  const struct judged *x = a, *y = b;
  return (x->weight < y->weight) - (x->weight > y->weight);
}

static void table_of(const struct reporting *k, const json_t *table, const struct judged *list, size_t n, const char *const *keys, size_t columns) {
  struct print_column heads[8];
  const char *cells[5 * 8];
  char word_key[8][64];
  for (size_t c = 0; c < columns; c++) {
    snprintf(word_key[c], sizeof word_key[c], "c_%s", keys[c]);
    heads[c] = (struct print_column){.title = say(k, word_key[c]), .share = c ? 1 : 3.4, .align = c ? PRINT_END : PRINT_START};
    for (size_t i = 0; i < n; i++) cells[i * columns + c] = shown(k, table, list[i].row, keys[c]);
  }
  print_table(k->p, heads, columns, cells, n);
}

static void worst(const struct reporting *k, const json_t *table) {
  static const char *const keys[] = {"service", "open", "late", "median", "legal", "arrived"};
  const json_t *rows = json_object_get(table, "rows");
  struct judged *list = base_alloc((json_array_size(rows) + 1) * sizeof *list);
  size_t n = 0, i;
  json_t *row;
  json_array_foreach((json_t *)rows, i, row) {
    const json_t *legal = cell(table, row, "legal");
    double late = json_number_value(cell(table, row, "late")), missed = json_is_real(legal) ? 1 - json_real_value(legal) : 0;
    if (late + missed > 0) list[n++] = (struct judged){row, late + 20 * missed};
  }
  qsort(list, n, sizeof *list, by_weight);
  print_heading(k->p, 3, say(k, "report_worst"));
  if (n) table_of(k, table, list, n < 5 ? n : 5, keys, BASE_COUNT(keys));
  else print_text(k->p, PRINT_NORMAL, PRINT_START, say(k, "report_none_late"));
  free(list);
}

static const json_t *row_of(const json_t *table, const char *code) {
  size_t i;
  json_t *row;
  json_array_foreach(json_object_get(table, "rows"), i, row)
    if (base_same(json_string_value(cell(table, row, "code")), code)) return row;
  return NULL;
}

/* By how much more was closed within the legal limit, of services with enough in both periods. */
static void best(const struct reporting *k, const json_t *table, const json_t *then) {
  const json_t *found = NULL, *was = NULL;
  double most = 0.02;
  size_t i;
  json_t *row;
  json_array_foreach(json_object_get(table, "rows"), i, row) {
    const json_t *old = row_of(then, json_string_value(cell(table, row, "code"))), *a = cell(table, row, "legal"), *b = old ? cell(then, old, "legal") : NULL;
    if (!json_is_real(a) || !json_is_real(b) || json_integer_value(cell(table, row, "closed")) < FEW || json_integer_value(cell(then, old, "closed")) < FEW) continue;
    if (json_real_value(a) - json_real_value(b) <= most) continue;
    most = json_real_value(a) - json_real_value(b);
    found = row;
    was = old;
  }
  print_heading(k->p, 3, say(k, "report_best"));
  print_text(k->p, PRINT_NORMAL, PRINT_START, found ? word_fill(k->a, k->l, "observatory.report_better", "service", shown(k, table, found, "service"), "before", shown(k, then, was, "legal"),
                                                                "now", shown(k, table, found, "legal"), NULL) : say(k, "report_no_better"));
}

static int services(const struct reporting *k, struct err *err) {
  json_t *table = NULL, *then = NULL;
  int rc = observatory_table(k->o, TABLE_SERVICES, &k->q, k->l, &table, err);
  if (rc == 0) rc = observatory_table(k->o, TABLE_SERVICES, &k->before, k->l, &then, err);
  if (rc == 0) {
    worst(k, table);
    best(k, table, then);
  }
  json_decref(table);
  json_decref(then);
  return rc;
}

/* ---- what stands in the way: reasons, and who is asked and does not answer ---- */

static int obstacles(const struct reporting *k, struct err *err) {
  static const char *const asked_keys[] = {"organisation", "q_asked", "q_answered", "q_silent", "q_late", "median"};
  json_t *reasons = NULL, *asked = NULL, *row;
  size_t i, n = 0;
  if (observatory_table(k->o, TABLE_REASONS, &k->q, k->l, &reasons, err)) return -1;
  print_heading(k->p, 3, say(k, "report_obstacles"));
  const char *all = "";
  json_array_foreach(json_object_get(reasons, "rows"), i, row)
    if (i < 4) all = arena_printf(k->a, "%s%s%s (%s)", all, all[0] ? say(k, "report_and") : "", shown(k, reasons, row, "reason"), shown(k, reasons, row, "count"));
  print_text(k->p, PRINT_NORMAL, PRINT_START, all && all[0] ? word_fill(k->a, k->l, "observatory.report_reasons", "reasons", all, NULL) : say(k, "report_no_reason"));
  json_decref(reasons);
  if (k->q.organisation) return 0;
  if (observatory_table(k->o, TABLE_ASKED, &k->q, k->l, &asked, err)) return -1;
  struct judged *list = base_alloc((json_array_size(json_object_get(asked, "rows")) + 1) * sizeof *list);
  json_array_foreach(json_object_get(asked, "rows"), i, row) {
    double weight = json_number_value(cell(asked, row, "q_silent")) + json_number_value(cell(asked, row, "q_late"));
    if (weight > 0) list[n++] = (struct judged){row, weight};
  }
  qsort(list, n, sizeof *list, by_weight);
  if (n) {
    print_text(k->p, PRINT_BOLD, PRINT_START, say(k, "report_asked"));
    table_of(k, asked, list, n < 3 ? n : 3, asked_keys, BASE_COUNT(asked_keys));
  }
  free(list);
  json_decref(asked);
  return 0;
}

int observatory_report(struct observatory *o, const char *organisation, struct period period, enum lang l, void **pdf, size_t *n, struct err *err) {
  const struct pack *pack = cases_pack(o->cases);
  const struct directory *d = pack_directory(pack);
  const struct organisation *office = organisation ? directory_organisation(d, directory_find_organisation(d, organisation)) : NULL;
  if (organisation && !office) return err_set(err, ERR_NOT_FOUND, "no organisation '%s'", organisation);
  struct reporting k = {.o = o, .l = l, .a = arena_new(4 * 1024 * 1024), .q = {.organisation = organisation, .period = period}};
  const char *name = office ? organisation_name(office, l) : pack_name(pack, l);
  k.before = k.q;
  k.before.period = period_move(period, -1);
  const char *title = word_fill(k.a, l, "observatory.report_title", "office", name, NULL), *when = period_name(k.a, l, period);
  const char *foot = word_fill(k.a, l, "observatory.report_foot", "at", datetime_short(k.a, l, clock_now()), NULL);
  struct print_options po = {.lang = l, .title = title, .author = pack_name(pack, l), .head = pack_name(pack, l), .foot = foot, .at = clock_now()};
  k.p = print_new(&po);
  print_heading(k.p, 1, title);
  print_text(k.p, PRINT_BOLD, PRINT_START, when);
  int rc = facts(&k, err);
  if (rc == 0) rc = services(&k, err);
  if (rc == 0) rc = obstacles(&k, err);
  if (rc == 0) {
    print_text(k.p, PRINT_SMALL, PRINT_START, say(&k, organisation ? "report_note" : "report_note_province"));
    rc = print_finish(k.p, pdf, n, err);
  } else print_free(k.p);
  arena_free(k.a);
  return rc;
}
