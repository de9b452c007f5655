/* CSV in. */
#include "registries/inside.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 500 };

/* ---- in ---- */

struct sheet {
  const struct registries *g;
  struct record_import *k;
  struct csv *csv;
  int *columns, valid; /* of attributes; -1 absent */
};

static void wrong(struct record_import *k, unsigned line, const char *text) {
  k->wrong++;
  if (k->line) k->line(k->ctx, line, text);
}

static bool known_header(struct sheet *s, const char *data, size_t n) {
  const struct registry *r = s->k->registry;
  char *head = strndup(data, strcspn(data, "\r\n") < n ? strcspn(data, "\r\n") : n), *rest = head;
  size_t good = s->k->wrong;
  struct arena *a = arena_new(256 * 1024);
  if (base_starts(rest, "\xef\xbb\xbf")) rest += 3;
  for (char *name; (name = strsep(&rest, ",")) != NULL;) {
    size_t length = strlen(name);
    if (length >= 2 && name[0] == '"' && name[length - 1] == '"') {
      name[length - 1] = 0;
      name++;
    }
    if (strcmp(name, "valid") == 0 || registry_attribute(r, name)) continue;
    wrong(s->k, 1, word_fill(a, s->k->lang, "registries.no_column", "name", name, "registry", r->code, NULL));
  }
  for (size_t i = 0; i < r->unique_count; i++)
    if (csv_column(s->csv, r->unique[i]) < 0) wrong(s->k, 1, word_fill(a, s->k->lang, "registries.missing_column", "name", r->unique[i], NULL));
  arena_free(a);
  free(head);
  return s->k->wrong == good;
}

static json_t *row_json(const struct sheet *s, size_t row) {
  json_t *o = json_object();
  for (size_t i = 0; i < s->k->registry->count; i++) {
    const struct registry_attribute *at = &s->k->registry->attributes[i];
    const char *cell = csv_plain(csv_cell(s->csv, row, s->columns[i]));
    if (!cell[0]) continue;
    if (at->type == FIELD_CHOICES) { /* several in one cell: by a vertical bar, for the comma parts cells */
      char *copy = base_strdup(cell);
      for (char *p = copy; *p; p++)
        if (*p == '|') *p = ',';
      json_put(o, at->name, copy);
      free(copy);
    } else json_put(o, at->name, cell);
  }
  return o;
}

static int row_valid(const struct sheet *s, size_t row, bool *revoke) {
  static const char *const yes[] = {"", "yes", "true", "1", "بله"}, *const no[] = {"no", "false", "0", "خیر"};
  const char *cell = csv_cell(s->csv, row, s->valid);
  for (size_t i = 0; i < BASE_COUNT(yes); i++)
    if (strcmp(cell, yes[i]) == 0) {
      *revoke = false;
      return 0;
    }
  for (size_t i = 0; i < BASE_COUNT(no); i++)
    if (strcmp(cell, no[i]) == 0) {
      *revoke = true;
      return 0;
    }
  return -1;
}

/* Two rows about one record in one file: which of them is meant? */
static bool twice(const struct sheet *s, json_t *seen, const json_t *attributes, unsigned line, struct arena *a) {
  json_t *o = json_object();
  char number[24];
  for (size_t i = 0; i < s->k->registry->unique_count; i++) json_object_set(o, s->k->registry->unique[i], json_object_get(attributes, s->k->registry->unique[i]));
  char *text = json_canonical(o);
  json_decref(o);
  const json_t *first = json_object_get(seen, text);
  if (first) {
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(first));
    wrong(s->k, line, word_fill(a, s->k->lang, "registries.twice", "line", digits_local(a, s->k->lang, number), NULL));
  } else json_object_set_new(seen, text, json_integer(line));
  free(text);
  return first != NULL;
}

static void judge_row(const struct sheet *s, size_t row, struct record_change *out, json_t *seen, struct arena *a) {
  struct record_import *k = s->k;
  unsigned line = csv_line(s->csv, row);
  json_t *in = row_json(s, row), *errors = NULL, *e;
  size_t i;
  bool bad = row_valid(s, row, &out->revoke) != 0;
  if (bad) wrong(k, line, word(k->lang, "registries.bad_valid"));
  out->registry = k->registry;
  out->source = k->synthetic ? RECORD_SYNTHETIC : RECORD_IMPORT;
  if (registries_check(s->g->pack, k->registry, in, k->lang, a, &out->attributes, &errors)) {
    json_array_foreach(errors, i, e) {
      const struct registry_attribute *at = registry_attribute(k->registry, json_str(e, "field"));
      char *text = base_printf("%s: %s", at ? text_in(&at->title, k->lang) : json_str(e, "field"), json_str(e, "message"));
      wrong(k, line, text);
      free(text);
    }
  } else twice(s, seen, out->attributes, line, a);
  json_decref(in);
  json_decref(errors);
}

static void tally(struct record_import *k, const struct record_change *list, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (list[i].done == RECORD_MADE) k->made++;
    else if (list[i].done == RECORD_CHANGED) k->changed++;
    else if (list[i].done == RECORD_REVOKED) k->revoked++;
    else k->same++;
  }
}

/* A dry run does all that the real one does, and takes it back. */
struct dry {
  struct registries *g;
  struct record_change *list;
  size_t count;
};

static int dry_work(struct store_tx *tx, void *arg, struct err *err) {
  struct dry *d = arg;
  for (size_t i = 0; i < d->count; i++)
    if (registries_put(d->g, tx, &d->list[i], err)) return -1;
  return err_set(err, ERR_PRECONDITION, "a dry run");
}

static int write_batch(struct registries *g, struct record_import *k, struct record_change *list, size_t n, struct err *err) {
  struct dry d = {g, list, n};
  int rc;
  if (!k->dry) rc = registries_put_many(g, list, n, err);
  else {
    rc = store_write(g->store, STORE_JOBS, dry_work, &d, err);
    if (rc && err->code == ERR_PRECONDITION) rc = 0;
  }
  if (rc == 0) tally(k, list, n);
  return rc;
}

static int import_rows(struct registries *g, struct sheet *s, struct record_change *list, struct err *err) {
  struct record_import *k = s->k;
  struct arena *a = arena_new(4 * 1024 * 1024);
  json_t *seen = json_object();
  int rc = 0;
  for (size_t i = 0; i < k->rows; i++) {
    judge_row(s, i, &list[i], seen, a);
    arena_reset(a);
  }
  json_decref(seen);
  arena_free(a);
  if (k->wrong) return err_set(err, ERR_INVALID, "%zu mistakes: nothing was written", k->wrong);
  for (size_t done = 0; done < k->rows && rc == 0; done += BATCH) {
    size_t n = k->rows - done < BATCH ? k->rows - done : BATCH;
    rc = write_batch(g, k, list + done, n, err);
    if (rc == 0 && k->progress) k->progress(k->ctx, done + n, k->rows);
  }
  return rc;
}

int registries_import(struct registries *g, const char *data, size_t n, struct record_import *k, struct err *err) {
  struct err none;
  struct err *e = err ? err : &none;
  k->rows = k->made = k->changed = k->revoked = k->same = k->wrong = 0;
  struct sheet s = {.g = g, .k = k, .csv = csv_read(data, n, e)};
  unsigned line = 0;
  int skip = 0;
  if (!s.csv) {
    if (sscanf(e->message, "line %u: %n", &line, &skip) != 1) skip = 0;
    wrong(k, line ? line : 1, e->message + skip);
    return -1;
  }
  k->rows = csv_rows(s.csv);
  s.valid = csv_column(s.csv, "valid");
  s.columns = base_alloc((k->registry->count + 1) * sizeof *s.columns);
  for (size_t i = 0; i < k->registry->count; i++) s.columns[i] = csv_column(s.csv, k->registry->attributes[i].name);
  struct record_change *list = base_alloc((k->rows + 1) * sizeof *list);
  int rc = known_header(&s, data, n) ? import_rows(g, &s, list, e) : err_set(e, ERR_INVALID, "the header row is not this registry's");
  for (size_t i = 0; i < k->rows; i++) json_decref(list[i].attributes);
  free(list);
  free(s.columns);
  csv_free(s.csv);
  return rc;
}
