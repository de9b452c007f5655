/* Tables as files: CSV for every spreadsheet, XLSX by libxlsxwriter, and cells as people read them. */
#include "observatory/tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xlsxwriter.h>

const char *table_cell(struct arena *a, enum lang l, const char *kind, const json_t *cell) {
  const char *text = json_string_value(cell);
  double v = json_number_value(cell);
  if (text && strcmp(text, "<5") == 0) return word(l, "observatory.under_five");
  if (text) return text;
  if (!json_is_number(cell)) return "";
  if (strcmp(kind, "share") == 0) return number_percent(a, l, 100 * v, 0);
  if (strcmp(kind, "fine") == 0) { /* what is not whole is not rounded to whole */
    double shown = v < 1 && v > 0.99999 ? 99.999 : 100 * v;
    return number_percent(a, l, shown, v >= 1 || v <= 0 ? 0 : 3);
  }
  if (strcmp(kind, "mean") == 0) return number_decimal(a, l, v, 1);
  if (strcmp(kind, "money") == 0) return money_format(a, l, (int64_t)v);
  return number_format(a, l, json_integer_value(cell));
}

/* ---- CSV ---- */

/* A spreadsheet must not run a cell: what begins like a formula gets an apostrophe; quotes where they are needed. */
static void csv_cell_put(struct buf *b, const char *text) {
  bool runs = text[0] && strchr("=+-@\t\r|", text[0]), quote = strpbrk(text, ",\"\r\n;") != NULL || runs;
  if (base_starts(text, "＝") || base_starts(text, "＋") || base_starts(text, "－") || base_starts(text, "＠")) runs = quote = true;
  if (quote) buf_addc(b, '"');
  if (runs) buf_addc(b, '\'');
  for (; *text; text++) {
    if (*text == '"') buf_addc(b, '"');
    buf_addc(b, *text);
  }
  if (quote) buf_addc(b, '"');
}

static void csv_value(struct buf *b, const char *kind, const json_t *cell) {
  if (json_is_string(cell)) return csv_cell_put(b, json_string_value(cell));
  if (json_is_real(cell)) return buf_addf(b, strcmp(kind, "mean") == 0 ? "%.2f" : strcmp(kind, "fine") == 0 ? "%.6f" : "%.4f", json_real_value(cell));
  if (json_is_integer(cell)) buf_addf(b, "%lld", (long long)json_integer_value(cell));
}

char *table_csv(const json_t *table, size_t *n) {
  struct buf b;
  const json_t *columns = json_object_get(table, "columns"), *row, *cell;
  size_t i, k;
  buf_init(&b, 64u << 20);
  buf_adds(&b, "\xEF\xBB\xBF");
  json_array_foreach((json_t *)columns, i, cell) {
    if (i) buf_addc(&b, ',');
    csv_cell_put(&b, json_str(cell, "title"));
  }
  buf_adds(&b, "\r\n");
  json_array_foreach(json_object_get(table, "rows"), i, row) {
    json_array_foreach((json_t *)row, k, cell) {
      if (k) buf_addc(&b, ',');
      csv_value(&b, json_str(json_array_get(columns, k), "kind"), cell);
    }
    buf_adds(&b, "\r\n");
  }
  *n = b.len;
  return buf_take(&b);
}

/* ---- XLSX ---- */

struct sheet {
  lxw_workbook *book;
  lxw_worksheet *page;
  lxw_format *bold, *share, *fine, *mean, *count, *id;
};

static lxw_error sheet_cell(struct sheet *s, lxw_row_t row, lxw_col_t column, const char *kind, const json_t *cell) {
  bool id = strcmp(kind, "id") == 0, share = strcmp(kind, "share") == 0, mean = strcmp(kind, "mean") == 0;
  if (json_is_string(cell)) return worksheet_write_string(s->page, row, column, json_string_value(cell), id ? s->id : NULL);
  if (!json_is_number(cell)) return LXW_NO_ERROR;
  return worksheet_write_number(s->page, row, column, json_number_value(cell), share ? s->share : strcmp(kind, "fine") == 0 ? s->fine : mean ? s->mean : s->count);
}

static lxw_error fill(struct sheet *s, const json_t *table) {
  const json_t *columns = json_object_get(table, "columns"), *row, *cell;
  size_t i, k;
  lxw_error bad = worksheet_write_string(s->page, 0, 0, json_str(table, "title"), s->bold);
  if (!bad) bad = worksheet_write_string(s->page, 0, 2, json_str(json_object_get(table, "period"), "name"), s->bold);
  json_array_foreach((json_t *)columns, i, cell) {
    bool wide = base_same(json_str(cell, "kind"), "text");
    if (!bad) bad = worksheet_write_string(s->page, 2, (lxw_col_t)i, json_str(cell, "title"), s->bold);
    if (!bad) bad = worksheet_set_column(s->page, (lxw_col_t)i, (lxw_col_t)i, wide ? 34 : 14, NULL);
  }
  json_array_foreach(json_object_get(table, "rows"), i, row)
    json_array_foreach((json_t *)row, k, cell)
      if (!bad) bad = sheet_cell(s, (lxw_row_t)i + 3, (lxw_col_t)k, json_str(json_array_get(columns, k), "kind"), cell);
  return bad;
}

/* What was written to a file in memory, malloc'ed. */
static int take_file(int fd, void **out, size_t *n, struct err *err) {
  struct stat st;
  if (fstat(fd, &st) || st.st_size <= 0 || st.st_size > 256 << 20) return err_set(err, ERR_UNAVAILABLE, "a workbook cannot be read back");
  char *data = base_alloc((size_t)st.st_size);
  for (off_t at = 0; at < st.st_size;) {
    ssize_t got = pread(fd, data + at, (size_t)(st.st_size - at), at);
    if (got <= 0) {
      free(data);
      return err_set(err, ERR_UNAVAILABLE, "a workbook cannot be read back: %s", strerror(errno));
    }
    at += got;
  }
  *out = data;
  *n = (size_t)st.st_size;
  return 0;
}

static lxw_error write_book(const char *path, const json_t *table, enum lang l) {
  struct sheet s = {.book = workbook_new(path)};
  lxw_error bad = LXW_ERROR_MEMORY_MALLOC_FAILED;
  if (!s.book) return bad;
  s.page = workbook_add_worksheet(s.book, NULL);
  s.bold = workbook_add_format(s.book);
  s.share = workbook_add_format(s.book);
  s.fine = workbook_add_format(s.book);
  s.mean = workbook_add_format(s.book);
  s.count = workbook_add_format(s.book);
  s.id = workbook_add_format(s.book);
  if (s.page && s.bold && s.share && s.fine && s.mean && s.count && s.id) {
    format_set_bold(s.bold);
    format_set_num_format(s.share, "0%");
    format_set_num_format(s.fine, "0.000%");
    format_set_num_format(s.mean, "0.0");
    format_set_num_format(s.count, "#,##0");
    format_set_num_format(s.id, "@");
    if (l == LANG_FA) worksheet_right_to_left(s.page);
    worksheet_freeze_panes(s.page, 3, 0);
    bad = fill(&s, table);
  }
  lxw_error closed = workbook_close(s.book);
  return bad ? bad : closed;
}

int table_xlsx(const json_t *table, enum lang l, void **out, size_t *n, struct err *err) {
  char path[64];
  int fd = memfd_create("workbook", MFD_CLOEXEC), rc = -1;
  if (fd < 0) return err_set(err, ERR_UNAVAILABLE, "a workbook cannot be made: %s", strerror(errno));
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  lxw_error bad = write_book(path, table, l);
  if (bad) err_set(err, ERR_UNAVAILABLE, "a workbook cannot be made: %s", lxw_strerror(bad));
  else rc = take_file(fd, out, n, err);
  close(fd);
  return rc;
}
