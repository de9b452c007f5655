/* Each single mistake of tests/packs/mistakes/table.csv is made in a copy of tests/packs/mini and must be told at its place. */
#include "catalog/catalog.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka after its needs */
#include <cmocka.h>

static const char *const files[] = {"pack.yaml", "places.csv", "organisations.csv", "offices.csv", "holidays.csv", "lists/colour.csv",
  "registries/members.yaml", "workflows/short.yaml", "services/fault.yaml", "services/fault-v2.yaml", "services/join.yaml"};
static const char *const folders[] = {"lists", "registries", "workflows", "services"};

struct told { char *wanted; bool found; struct buf all; };

static void hear(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  struct told *t = ctx;
  char *text = base_printf("%s:%u: %s%s", file, line, warning ? "warning: " : "", message);
  t->found |= t->wanted && strcmp(text, t->wanted) == 0;
  buf_addf(&t->all, "  %s\n", text);
  free(text);
}

/* Copy the pack, with one text replaced in one file. */
static void copy_pack(const char *to, const char *file, const char *find, const char *replace) {
  struct err err = {0};
  for (size_t i = 0; i < BASE_COUNT(folders); i++) {
    char *path = base_printf("%s/%s", to, folders[i]);
    assert_int_equal(dir_make(path, 0700, &err), 0);
    free(path);
  }
  for (size_t i = 0; i < BASE_COUNT(files); i++) {
    char *from = base_printf("tests/packs/mini/%s", files[i]), *path = base_printf("%s/%s", to, files[i]);
    size_t n = 0;
    char *data = file_read(from, 0, &n, &err);
    assert_non_null(data);
    if (file && strcmp(file, files[i]) == 0) {
      char *at = strstr(data, find);
      if (!at) print_message("%s has no '%s'\n", file, find);
      assert_non_null(at);
      char *changed = base_printf("%.*s%s%s", (int)(at - data), data, replace, at + strlen(find));
      free(data);
      data = changed;
      n = strlen(data);
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
    free(data);
    free(from);
    free(path);
  }
}

static void drop_pack(const char *folder) {
  for (size_t i = 0; i < BASE_COUNT(files) + BASE_COUNT(folders); i++) {
    char *path = base_printf("%s/%s", folder, i < BASE_COUNT(files) ? files[i] : folders[i - BASE_COUNT(files)]);
    if (unlink(path) != 0) rmdir(path);
    free(path);
  }
  rmdir(folder);
}

static void every_mistake_is_told(void **state) {
  struct err err = {0};
  size_t n = 0, missed = 0;
  char *data = file_read("tests/packs/mistakes/table.csv", 0, &n, &err);
  assert_non_null(data);
  struct csv *table = csv_read(data, n, &err);
  assert_non_null(table);
  assert_true(csv_rows(table) >= 60);
  for (size_t i = 0; i < csv_rows(table); i++) {
    char folder[] = "/tmp/chapar-mistake-XXXXXX";
    assert_non_null(mkdtemp(folder));
    copy_pack(folder, csv_cell(table, i, 0), csv_cell(table, i, 1), csv_cell(table, i, 2));
    const char *sentence = csv_cell(table, i, 4);
    struct told t = {.wanted = base_printf("%s: %s", csv_cell(table, i, 3), sentence)};
    struct pack_report report = {hear, &t};
    struct pack *p = pack_compile(folder, &report);
    bool refused = p == NULL, warning = base_starts(sentence, "warning: ");
    if (!t.found || refused == warning) {
      print_message("table line %u: wanted%s\n  %s\ntold\n%s", csv_line(table, i), refused ? "" : " (and the pack was accepted)", t.wanted, buf_str(&t.all));
      missed++;
    }
    pack_unref(p);
    buf_free(&t.all);
    free(t.wanted);
    drop_pack(folder);
  }
  csv_free(table);
  free(data);
  assert_int_equal(missed, 0);
}

static void the_right_pack_is_silent(void **state) {
  struct told t = {NULL, false, {0}};
  struct pack_report report = {hear, &t};
  struct pack *p = pack_compile("tests/packs/mini", &report);
  assert_string_equal(buf_str(&t.all), "");
  assert_non_null(p);
  pack_unref(p);
  buf_free(&t.all);
}

static void a_missing_folder_is_told(void **state) {
  struct told t = {NULL, false, {0}};
  struct pack_report report = {hear, &t};
  assert_null(pack_compile("tests/packs/nowhere", &report));
  assert_non_null(strstr(buf_str(&t.all), "places.csv:0: cannot be read"));
  buf_free(&t.all);
}

int main(void) {
  struct err err = {0};
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_right_pack_is_silent), cmocka_unit_test(a_missing_folder_is_told),
    cmocka_unit_test(every_mistake_is_told)};
  if (language_init(&err)) return 1;
  clock_set(1795392000000); /* 2026-11-23 */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
