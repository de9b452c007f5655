/* Texts: headings, paragraphs, facts. */
#include "print/inside.h"

#include <stdlib.h>
#include <string.h>

static const struct { double size; PangoWeight weight; double grey; } styles[] = {
#define X(name, size, weight, grey) {size, weight, grey},
  PRINT_STYLE_TABLE(X)
#undef X
};

PangoLayout *print_layout(struct print *p, enum print_style style, const char *text, double width) {
  size_t n = text ? strlen(text) : 0;
  if (p->failed) return NULL;
  if (n > PRINT_TEXT_MOST || (n && !utf8_valid(text, n))) {
    print_fail(p, ERR_INVALID, "a text is not UTF-8 or too long");
    return NULL;
  }
  PangoLayout *l = pango_layout_new(p->context);
  PangoFontDescription *font = pango_font_description_new();
  pango_font_description_set_family_static(font, "Vazirmatn");
  pango_font_description_set_weight(font, styles[style].weight);
  pango_font_description_set_size(font, (gint)(styles[style].size * PANGO_SCALE));
  pango_layout_set_font_description(l, font);
  pango_font_description_free(font);
  pango_layout_set_auto_dir(l, TRUE);
  pango_layout_set_wrap(l, PANGO_WRAP_WORD_CHAR);
  pango_layout_set_width(l, width < 0 ? -1 : (int)(width * PANGO_SCALE));
  pango_layout_set_text(l, text ? text : "", (int)n);
  return l;
}

double print_layout_height(PangoLayout *l) {
  PangoRectangle r;
  pango_layout_get_extents(l, NULL, &r);
  return (double)r.height / PANGO_SCALE;
}

double print_layout_width(PangoLayout *l) {
  PangoRectangle r;
  pango_layout_get_extents(l, NULL, &r);
  return (double)r.width / PANGO_SCALE;
}

double print_lines(struct print *p, PangoLayout *l, enum print_style style, double left, double y, double width, enum print_align align, double room, int *line) {
  double used = 0;
  int count = pango_layout_get_line_count(l);
  bool to_right = (align == PRINT_START) == p->rtl;
  for (; *line < count; (*line)++) {
    PangoLayoutLine *one = pango_layout_get_line_readonly(l, *line);
    PangoRectangle r;
    pango_layout_line_get_extents(one, NULL, &r);
    double height = (double)r.height / PANGO_SCALE, spare = width - (double)r.width / PANGO_SCALE;
    if (room >= 0 && used + height > room) break;
    double x = left + (align == PRINT_CENTER ? spare / 2 : to_right ? spare : 0);
    print_grey(p, styles[style].grey);
    print_glyphs(p, one, x, y + used - (double)r.y / PANGO_SCALE);
    used += height;
  }
  return used;
}

/* A text over as many pages as it takes. */
static void flow(struct print *p, enum print_style style, enum print_align align, const char *text, double start, double width) {
  PangoLayout *l = print_layout(p, style, text, width);
  int line = 0, count = l ? pango_layout_get_line_count(l) : 0;
  double one = l ? print_layout_height(l) / (count ? count : 1) : 0;
  if (l) print_need(p, count > 1 ? 2 * one : one); /* no lonely line at the foot of a page */
  while (line < count) {
    int before = line;
    p->y += print_lines(p, l, style, print_left(p, start, width), p->y, width, align, p->bottom - p->y, &line);
    if (line > before) p->empty = false;
    if (line < count) {
      if (p->empty) break; /* not one line fits into a whole page */
      print_break(p);
    }
  }
  if (l) g_object_unref(l);
}

/* ---- facts ---- */

static void drop(struct print *p) {
  for (size_t i = 0; i < p->fact_count; i++) {
    free(p->facts[i].label);
    free(p->facts[i].value);
  }
  free(p->facts);
  p->facts = NULL;
  p->fact_count = 0;
}

/* The labels share one column, as wide as the widest but not more than two fifths. */
static void set_facts(struct print *p) {
  double whole = print_measure(p), labels = 0, gap = 5 * PRINT_MM;
  for (size_t i = 0; i < p->fact_count; i++) {
    PangoLayout *l = print_layout(p, STYLE_BOLD, p->facts[i].label, -1);
    double width = l ? print_layout_width(l) + 1 : 0;
    if (width > labels) labels = width;
    if (l) g_object_unref(l);
  }
  if (labels > whole * 0.4) labels = whole * 0.4;
  for (size_t i = 0; i < p->fact_count && !p->failed; i++) {
    PangoLayout *l = print_layout(p, STYLE_BOLD, p->facts[i].label, labels);
    double height = l ? print_layout_height(l) : 0;
    int line = 0;
    if (l) {
      print_need(p, height < p->bottom - p->top ? height : 0);
      double top = p->y;
      int page = p->page;
      print_lines(p, l, STYLE_BOLD, print_left(p, 0, labels), top, labels, PRINT_START, p->bottom - top, &line);
      p->empty = false;
      flow(p, STYLE_BODY, PRINT_START, p->facts[i].value[0] ? p->facts[i].value : "—", labels + gap, whole - labels - gap);
      if (page == p->page && p->y < top + height) p->y = top + height;
      p->y += 1.2 * PRINT_MM;
      g_object_unref(l);
    }
  }
  p->y += 1.5 * PRINT_MM;
}

bool print_ready(struct print *p) {
  if (p->fact_count && !p->failed) set_facts(p);
  if (p->fact_count) drop(p);
  return !p->failed;
}

void print_fact(struct print *p, const char *label, const char *value) {
  if (p->failed) return;
  p->facts = base_realloc(p->facts, (p->fact_count + 1) * sizeof *p->facts);
  p->facts[p->fact_count++] = (struct print_fact){base_strdup(label ? label : ""), base_strdup(value ? value : "")};
}

/* ---- headings and paragraphs ---- */

void print_heading(struct print *p, int level, const char *text) {
  enum print_style style = level <= 1 ? STYLE_H1 : level == 2 ? STYLE_H2 : STYLE_H3;
  if (!print_ready(p) || !text) return;
  PangoLayout *l = print_layout(p, style, text, print_measure(p));
  if (!l) return;
  double height = print_layout_height(l), follows = 18 * PRINT_MM;
  g_object_unref(l);
  if (!p->empty) p->y += (level <= 1 ? 3 : level == 2 ? 5 : 3) * PRINT_MM;
  print_need(p, height + follows);
  flow(p, style, p->frame && level <= 1 ? PRINT_CENTER : PRINT_START, text, 0, print_measure(p));
  p->y += (level <= 1 ? 3 : 1.5) * PRINT_MM;
}

void print_text(struct print *p, enum print_weight w, enum print_align a, const char *text) {
  static const enum print_style of[] = {[PRINT_NORMAL] = STYLE_BODY, [PRINT_BOLD] = STYLE_BOLD, [PRINT_SMALL] = STYLE_SMALL, [PRINT_LARGE] = STYLE_LARGE};
  if (!print_ready(p) || !text) return;
  flow(p, of[w], a, text, 0, print_measure(p));
  p->y += 1.8 * PRINT_MM;
}

void print_rule(struct print *p) {
  if (!print_ready(p)) return;
  print_need(p, 4 * PRINT_MM);
  p->y += 1.5 * PRINT_MM;
  print_line(p, p->side, p->y, p->width - p->side, p->y, 0.6, 0.6);
  p->y += 2.5 * PRINT_MM;
  p->empty = false;
}

void print_space(struct print *p, double mm) {
  if (print_ready(p) && mm > 0) p->y = p->y + mm * PRINT_MM > p->bottom ? p->bottom : p->y + mm * PRINT_MM;
}
