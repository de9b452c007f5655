/* Tables and bars. */
#include "print/inside.h"

#include <math.h>
#include <stdlib.h>

enum { COLUMNS_MOST = 24 };

struct grid {
  const struct print_column *columns;
  size_t count;
  double start[COLUMNS_MOST], width[COLUMNS_MOST]; /* with the padding */
};

#define PAD_X (1.6 * PRINT_MM)
#define PAD_Y (1.0 * PRINT_MM)

struct row {
  PangoLayout *cells[COLUMNS_MOST];
  int line[COLUMNS_MOST];
};

static void row_open(struct print *p, const struct grid *g, struct row *r, enum print_style style, const char *const *texts) {
  for (size_t i = 0; i < g->count; i++) {
    r->cells[i] = print_layout(p, style, texts[i], g->width[i] - 2 * PAD_X);
    r->line[i] = 0;
  }
}

static void row_close(const struct grid *g, struct row *r) {
  for (size_t i = 0; i < g->count; i++)
    if (r->cells[i]) g_object_unref(r->cells[i]);
}

static double row_height(const struct grid *g, const struct row *r) {
  double most = 0;
  for (size_t i = 0; i < g->count; i++) most = r->cells[i] ? fmax(most, print_layout_height(r->cells[i])) : most;
  return most + 2 * PAD_Y;
}

static bool row_done(const struct grid *g, const struct row *r) {
  for (size_t i = 0; i < g->count; i++)
    if (r->cells[i] && r->line[i] < pango_layout_get_line_count(r->cells[i])) return false;
  return true;
}

/* What fits of the row; the rule below it. */
static void row_draw(struct print *p, const struct grid *g, struct row *r, enum print_style style, double room) {
  double most = 0;
  for (size_t i = 0; i < g->count; i++) {
    double width = g->width[i] - 2 * PAD_X;
    if (r->cells[i])
      most = fmax(most, print_lines(p, r->cells[i], style, print_left(p, g->start[i] + PAD_X, width), p->y + PAD_Y, width, g->columns[i].align, room - 2 * PAD_Y, &r->line[i]));
  }
  p->y += most + 2 * PAD_Y;
  p->empty = false;
}

static void head(struct print *p, const struct grid *g) {
  const char *titles[COLUMNS_MOST];
  struct row r;
  bool any = false;
  for (size_t i = 0; i < g->count; i++) any = (titles[i] = g->columns[i].title) || any;
  if (!any) return;
  row_open(p, g, &r, STYLE_HEAD, titles);
  if (!p->failed) {
    double height = row_height(g, &r);
    print_grey(p, 0.92);
    cairo_rectangle(p->cr, p->side, p->y, print_measure(p), height);
    cairo_fill(p->cr);
    row_draw(p, g, &r, STYLE_HEAD, -1);
    print_line(p, p->side, p->y, p->width - p->side, p->y, 0.8, 0.35);
  }
  row_close(g, &r);
}

static void body_row(struct print *p, const struct grid *g, const char *const *texts) {
  struct row r;
  row_open(p, g, &r, STYLE_CELL, texts);
  double height = p->failed ? 0 : row_height(g, &r), page = (p->bottom - p->top) * 0.75;
  while (!p->failed && !row_done(g, &r)) {
    double room = p->bottom - p->y;
    bool whole = height <= room, fresh = false;
    if (!whole && (height <= page || room < 12 * PRINT_MM)) {
      fresh = true;
      print_break(p);
      head(p, g);
      room = p->bottom - p->y;
      whole = height <= room;
    }
    double before = p->y;
    row_draw(p, g, &r, STYLE_CELL, whole ? -1 : room);
    print_line(p, p->side, p->y, p->width - p->side, p->y, 0.4, 0.75);
    height -= p->y - before - 2 * PAD_Y;
    if (fresh && p->y - before <= 2 * PAD_Y && !whole) break; /* not one line fits into a page */
  }
  row_close(g, &r);
}

void print_table(struct print *p, const struct print_column *columns, size_t count, const char *const *cells, size_t rows) {
  struct grid g = {.columns = columns, .count = count};
  double sum = 0, at = 0;
  if (!print_ready(p)) return;
  if (count == 0 || count > COLUMNS_MOST) {
    print_fail(p, ERR_INVALID, "a table has 1 to 24 columns");
    return;
  }
  for (size_t i = 0; i < count; i++) sum += columns[i].share;
  for (size_t i = 0; i < count; i++) {
    g.start[i] = at;
    g.width[i] = sum > 0 ? print_measure(p) * columns[i].share / sum : print_measure(p) / (double)count;
    at += g.width[i];
  }
  print_need(p, 22 * PRINT_MM);
  head(p, &g);
  for (size_t i = 0; i < rows && !p->failed; i++) body_row(p, &g, cells + i * count);
  p->y += 4 * PRINT_MM;
}

/* ---- bars ---- */

static double share_of(double v) { return isfinite(v) ? fmin(1, fmax(0, v)) : 0; }

static void bar(struct print *p, const struct print_bar *b, double labels, double values) {
  double gap = 3 * PRINT_MM, whole = print_measure(p) - labels - values - 2 * gap, start = labels + gap;
  PangoLayout *label = print_layout(p, STYLE_CELL, b->label, labels), *value = print_layout(p, STYLE_CELL, b->value, values);
  if (label && value) {
    double height = fmin(fmax(fmax(print_layout_height(label), print_layout_height(value)), 5 * PRINT_MM), 40 * PRINT_MM), thick = 3.4 * PRINT_MM;
    int line = 0;
    print_need(p, height + PAD_Y);
    print_lines(p, label, STYLE_CELL, print_left(p, 0, labels), p->y, labels, PRINT_START, height + 1, &line);
    line = 0;
    print_lines(p, value, STYLE_CELL, print_left(p, start + whole + gap, values), p->y, values, PRINT_START, height + 1, &line);
    double y = p->y + (5.4 * PRINT_MM - thick) / 2;
    print_grey(p, 0.93);
    cairo_rectangle(p->cr, print_left(p, start, whole), y, whole, thick);
    cairo_fill(p->cr);
    cairo_set_source_rgb(p->cr, 0, 0.44, 0.435);
    cairo_rectangle(p->cr, print_left(p, start, whole * share_of(b->share)), y, whole * share_of(b->share), thick);
    cairo_fill(p->cr);
    if (b->mark >= 0) {
      double x = print_left(p, start + whole * share_of(b->mark), 0);
      print_line(p, x, y - 0.8 * PRINT_MM, x, y + thick + 0.8 * PRINT_MM, 1.2, 0.1);
    }
    p->y += height + PAD_Y;
    p->empty = false;
  }
  if (label) g_object_unref(label);
  if (value) g_object_unref(value);
}

/* The widest of a column's texts, but not more than `most`. */
static double widest(struct print *p, const struct print_bar *bars, size_t count, bool values, double most) {
  double width = 0;
  for (size_t i = 0; i < count; i++) {
    PangoLayout *l = print_layout(p, STYLE_CELL, values ? bars[i].value : bars[i].label, -1);
    if (l) width = fmax(width, print_layout_width(l) + 1);
    if (l) g_object_unref(l);
  }
  return fmin(width, most);
}

void print_bars(struct print *p, const struct print_bar *bars, size_t count) {
  if (!print_ready(p)) return;
  double labels = widest(p, bars, count, false, print_measure(p) * 0.35), values = widest(p, bars, count, true, print_measure(p) * 0.25);
  for (size_t i = 0; i < count && !p->failed; i++) bar(p, &bars[i], labels, values);
  p->y += 3 * PRINT_MM;
}
