#include "base/base.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 256 * 1024 * 1024, MOST_COLUMNS = 1000 };

struct csv {
  char *text;        /* a copy; cells end in NUL within it */
  size_t columns;
  uint32_t *cells;   /* offsets into text, row after row, the header first */
  size_t cell_count, cell_room;
  unsigned *lines;   /* of the rows, the header first */
  size_t row_count, row_room;
};

struct reader {
  char *s;
  size_t at, n;
  unsigned line;
};

void csv_free(struct csv *c)
{
  if (!c) return;
  free(c->text);
  free(c->cells);
  free(c->lines);
  free(c);
}

static void add_cell(struct csv *c, size_t offset)
{
  if (c->cell_count == c->cell_room) {
    c->cell_room = c->cell_room ? c->cell_room * 2 : 256;
    c->cells = base_realloc(c->cells, c->cell_room * sizeof *c->cells);
  }
  c->cells[c->cell_count++] = (uint32_t)offset;
}

static void add_row(struct csv *c, unsigned line)
{
  if (c->row_count == c->row_room) {
    c->row_room = c->row_room ? c->row_room * 2 : 64;
    c->lines = base_realloc(c->lines, c->row_room * sizeof *c->lines);
  }
  c->lines[c->row_count++] = line;
}

/* A cell in quotes, undoubled in place. Leaves r->at behind the closing quote and *stop at the cell's end. */
static int read_quoted(struct reader *r, size_t *stop, struct err *err)
{
  unsigned begun = r->line;
  size_t out = r->at++;
  for (; r->at < r->n; r->at++) {
    char c = r->s[r->at];
    if (c == '"' && r->at + 1 < r->n && r->s[r->at + 1] == '"') r->at++;
    else if (c == '"') {
      r->at++;
      *stop = out;
      return 0;
    }
    if (c == '\n') r->line++;
    r->s[out++] = c;
  }
  return err_set(err, ERR_MALFORMED, "line %u: a quote is never closed", begun);
}

/* One cell and what ends it. *last tells that its row is complete. */
static int read_cell(struct csv *c, struct reader *r, bool *last, struct err *err)
{
  size_t start = r->at, stop = start;
  if (r->at < r->n && r->s[r->at] == '"') {
    if (read_quoted(r, &stop, err)) return -1;
  } else {
    while (r->at < r->n && !strchr(",\r\n\"", r->s[r->at])) r->at++;
    stop = r->at;
  }
  char end = r->at < r->n ? r->s[r->at] : '\n';
  if (end == '\r') {
    if (r->at + 1 >= r->n || r->s[r->at + 1] != '\n')
      return err_set(err, ERR_MALFORMED, "line %u: a carriage return without a line feed", r->line);
    r->at++;
    end = '\n';
  }
  if (end != ',' && end != '\n') return err_set(err, ERR_MALFORMED, "line %u: a quote inside a cell, or text after one", r->line);
  *last = end == '\n';
  if (*last) r->line++;
  if (r->at < r->n) r->at++;
  r->s[stop] = '\0';
  add_cell(c, start);
  return 0;
}

static int read_rows(struct csv *c, struct reader *r, struct err *err)
{
  while (r->at < r->n) {
    unsigned line = r->line;
    size_t before = c->cell_count;
    bool last = false;
    while (!last) {
      if (read_cell(c, r, &last, err)) return -1;
      if (c->cell_count - before > MOST_COLUMNS)
        return err_set(err, ERR_LIMIT, "line %u: more than %d cells", line, MOST_COLUMNS);
    }
    size_t cells = c->cell_count - before;
    if (!c->row_count) c->columns = cells;
    else if (cells != c->columns)
      return err_set(err, ERR_MALFORMED, "line %u: %zu cells where the header has %zu", line, cells, c->columns);
    add_row(c, line);
  }
  return 0;
}

static int check_header(const struct csv *c, struct err *err)
{
  if (!c->row_count) return err_set(err, ERR_MALFORMED, "line 1: there is no header row");
  for (size_t i = 0; i < c->columns; i++) {
    const char *name = c->text + c->cells[i];
    if (!*name) return err_set(err, ERR_MALFORMED, "line 1: column %zu has no name", i + 1);
    if (csv_column(c, name) != (int)i) return err_set(err, ERR_MALFORMED, "line 1: two columns are called \"%.80s\"", name);
  }
  return 0;
}

struct csv *csv_read(const char *data, size_t n, struct err *err)
{
  if (n >= 3 && !memcmp(data, "\xEF\xBB\xBF", 3)) data += 3, n -= 3;
  if (n > MOST_BYTES) {
    err_set(err, ERR_LIMIT, "a CSV file of more than %d bytes", MOST_BYTES);
    return NULL;
  }
  unsigned line = 1;
  for (const char *p = data, *end = data + n; n && p < end;) {
    int cp = utf8_next(&p, end);
    if (cp <= 0) {
      err_set(err, ERR_MALFORMED, cp ? "line %u: not UTF-8" : "line %u: NUL byte", line);
      return NULL;
    }
    if (cp == '\n') line++;
  }
  struct csv *c = base_alloc(sizeof *c);
  c->text = base_alloc(n + 1);
  if (n) memcpy(c->text, data, n);
  struct reader r = {.s = c->text, .n = n, .line = 1};
  if (read_rows(c, &r, err) || check_header(c, err)) {
    csv_free(c);
    return NULL;
  }
  return c;
}

size_t csv_rows(const struct csv *c)
{
  return c->row_count - 1;
}

int csv_column(const struct csv *c, const char *name)
{
  for (size_t i = 0; i < c->columns; i++)
    if (!strcmp(c->text + c->cells[i], name)) return (int)i;
  return -1;
}

const char *csv_cell(const struct csv *c, size_t row, int column)
{
  if (column < 0 || (size_t)column >= c->columns || row >= csv_rows(c)) return "";
  return c->text + c->cells[(row + 1) * c->columns + (size_t)column];
}

unsigned csv_line(const struct csv *c, size_t row)
{
  return row < csv_rows(c) ? c->lines[row + 1] : 0;
}

/* ---- writing ---- */

static bool formula(const char *text)
{
  return *text && strchr("=+-@\t\r", *text);
}

void csv_put(struct buf *b, const char *text)
{
  bool quoted = text[strcspn(text, ",\"\r\n")] || *text == ' ' || *text == '\t';
  if (quoted) buf_addc(b, '"');
  if (formula(text)) buf_addc(b, '\'');
  for (; *text; text++) {
    if (*text == '"') buf_addc(b, '"');
    buf_addc(b, *text);
  }
  if (quoted) buf_addc(b, '"');
}

const char *csv_plain(const char *cell)
{
  return cell[0] == '\'' && (formula(cell + 1) || (cell[1] >= '0' && cell[1] <= '9')) ? cell + 1 : cell;
}
