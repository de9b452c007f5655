/* print: what its files share. */
#ifndef CHAPAR_PRINT_INSIDE_H
#define CHAPAR_PRINT_INSIDE_H

#include "print/print.h"

#include <pango/pangocairo.h>

#define PRINT_MM (72 / 25.4) /* points in a millimetre */
#define PRINT_TEXT_MOST (64 * 1024)

/* size in points; grey: 0 is black */
#define PRINT_STYLE_TABLE(X)                     \
  X(STYLE_BODY, 11, PANGO_WEIGHT_NORMAL, 0.08)   \
  X(STYLE_BOLD, 11, PANGO_WEIGHT_BOLD, 0.08)     \
  X(STYLE_SMALL, 9, PANGO_WEIGHT_NORMAL, 0.25)   \
  X(STYLE_LARGE, 15, PANGO_WEIGHT_NORMAL, 0.08)  \
  X(STYLE_H1, 21, PANGO_WEIGHT_BOLD, 0.08)       \
  X(STYLE_H2, 15, PANGO_WEIGHT_BOLD, 0.08)       \
  X(STYLE_H3, 12.5, PANGO_WEIGHT_BOLD, 0.08)     \
  X(STYLE_CELL, 9.5, PANGO_WEIGHT_NORMAL, 0.08)  \
  X(STYLE_HEAD, 9.5, PANGO_WEIGHT_BOLD, 0.08)    \
  X(STYLE_EDGE, 8, PANGO_WEIGHT_NORMAL, 0.35)
enum print_style {
#define X(name, size, weight, grey) name,
  PRINT_STYLE_TABLE(X)
#undef X
};

struct print_fact { char *label, *value; };

struct print {
  enum lang lang;
  bool rtl, frame, empty, ended, failed;
  char *head, *foot;
  double width, height, side, top, bottom; /* of the paper; margin at both sides; first and last place for what is written */
  double y;                                /* where the next thing begins */
  int page;
  cairo_surface_t *surface;
  cairo_t *cr;
  PangoContext *context;
  struct buf out;
  struct print_fact *facts;                /* consecutive ones, set when another thing follows */
  size_t fact_count;
  struct err err;                          /* the first fault */
};

PangoFontMap *print_fonts(struct err *err);  /* of this thread; borrowed; NULL when there is no memory */

int print_fail(struct print *p, enum err_code code, const char *message);
bool print_ready(struct print *p);           /* sets the facts that wait; false after a fault */
double print_measure(const struct print *p); /* width for what is written */
double print_left(const struct print *p, double start, double width); /* the left edge of a box `start` from where a line begins */
void print_break(struct print *p);
void print_need(struct print *p, double height); /* a new page unless this much is left; for what is never higher than a page */

/* A text set to a width in points (negative: one line however long). NULL after a fault; g_object_unref it. */
PangoLayout *print_layout(struct print *p, enum print_style style, const char *text, double width);
double print_layout_height(PangoLayout *l);
double print_layout_width(PangoLayout *l);
/* Lines from `*line` on while they fit into `room`, in a box at (left, y); all when room is negative. Moves *line; answers the height used. */
double print_lines(struct print *p, PangoLayout *l, enum print_style style, double left, double y, double width, enum print_align align, double room, int *line);
void print_glyphs(struct print *p, PangoLayoutLine *line, double x, double y); /* y: of the base line */
void print_grey(struct print *p, double grey);
void print_line(struct print *p, double x1, double y1, double x2, double y2, double thick, double grey);

#endif
