/* A document from top to bottom: pages, their edges, the file. */
#include "print/inside.h"

#include <cairo-pdf.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MOST = 64 * 1024 * 1024 };

int print_fail(struct print *p, enum err_code code, const char *message) {
  if (!p->failed) err_set(&p->err, code, "%s", message);
  p->failed = true;
  return -1;
}

static cairo_status_t take(void *closure, const unsigned char *data, unsigned int n) {
  struct print *p = closure;
  buf_add(&p->out, data, n);
  return buf_overflowed(&p->out) ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static bool said(struct print *p, const char *text) {
  if (text && (strlen(text) > PRINT_TEXT_MOST || !utf8_valid(text, strlen(text)))) return print_fail(p, ERR_INVALID, "a text is not UTF-8 or too long") == 0;
  return true;
}

static void metadata(struct print *p, const struct print_options *o) {
  char at[32];
  clock_rfc3339(o->at, at);
  cairo_pdf_surface_set_metadata(p->surface, CAIRO_PDF_METADATA_CREATE_DATE, at);
  cairo_pdf_surface_set_metadata(p->surface, CAIRO_PDF_METADATA_CREATOR, "Chapar");
  if (o->title && said(p, o->title)) cairo_pdf_surface_set_metadata(p->surface, CAIRO_PDF_METADATA_TITLE, o->title);
  if (o->subject && said(p, o->subject)) cairo_pdf_surface_set_metadata(p->surface, CAIRO_PDF_METADATA_SUBJECT, o->subject);
  if (o->author && said(p, o->author)) cairo_pdf_surface_set_metadata(p->surface, CAIRO_PDF_METADATA_AUTHOR, o->author);
}

static void open_context(struct print *p) {
  PangoFontMap *fonts = print_fonts(&p->err);
  cairo_font_options_t *options = cairo_font_options_create();
  if (!fonts) {
    p->failed = true;
    cairo_font_options_destroy(options);
    return;
  }
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  p->context = pango_font_map_create_context(fonts);
  pango_cairo_context_set_font_options(p->context, options);
  pango_cairo_context_set_resolution(p->context, 72);
  pango_context_set_round_glyph_positions(p->context, FALSE);
  pango_context_set_base_dir(p->context, PANGO_DIRECTION_LTR); /* of texts without a letter: numbers, dates, codes */
  pango_context_set_language(p->context, pango_language_from_string(lang_code(p->lang)));
  cairo_font_options_destroy(options);
}

struct print *print_new(const struct print_options *o) {
  struct print *p = base_alloc(sizeof *p);
  double edge = o->frame ? 24 : 18;
  p->lang = o->lang;
  p->rtl = o->lang == LANG_FA;
  p->frame = o->frame;
  p->empty = true;
  p->page = 1;
  p->width = (o->landscape ? 297 : 210) * PRINT_MM;
  p->height = (o->landscape ? 210 : 297) * PRINT_MM;
  p->side = edge * PRINT_MM;
  p->top = p->y = (edge + (o->head ? 6 : 0)) * PRINT_MM;
  p->bottom = p->height - (edge + 6) * PRINT_MM;
  if (said(p, o->head)) p->head = base_strdup(o->head);
  if (said(p, o->foot)) p->foot = base_strdup(o->foot);
  buf_init(&p->out, FILE_MOST);
  p->surface = cairo_pdf_surface_create_for_stream(take, p, p->width, p->height);
  p->cr = cairo_create(p->surface);
  metadata(p, o);
  if (!p->failed) open_context(p);
  return p;
}

void print_free(struct print *p) {
  if (!p) return;
  for (size_t i = 0; i < p->fact_count; i++) {
    free(p->facts[i].label);
    free(p->facts[i].value);
  }
  free(p->facts);
  if (p->context) g_object_unref(p->context);
  cairo_destroy(p->cr);
  cairo_surface_destroy(p->surface);
  buf_free(&p->out);
  free(p->head);
  free(p->foot);
  free(p);
}

double print_measure(const struct print *p) { return p->width - 2 * p->side; }

double print_left(const struct print *p, double start, double width) { return p->rtl ? p->width - p->side - start - width : p->side + start; }

void print_grey(struct print *p, double grey) { cairo_set_source_rgb(p->cr, grey, grey, grey); }

void print_line(struct print *p, double x1, double y1, double x2, double y2, double thick, double grey) {
  print_grey(p, grey);
  cairo_set_line_width(p->cr, thick);
  cairo_move_to(p->cr, x1, y1);
  cairo_line_to(p->cr, x2, y2);
  cairo_stroke(p->cr);
}

/* ---- the edges of a page ---- */

static void edge_text(struct print *p, const char *text, double y, enum print_align align) {
  PangoLayout *l = print_layout(p, STYLE_EDGE, text, print_measure(p) * (align == PRINT_END ? 0.25 : 0.75));
  double width = print_measure(p) * (align == PRINT_END ? 0.25 : 0.75), start = align == PRINT_END ? print_measure(p) - width : 0;
  int line = 0;
  if (!l) return;
  pango_layout_set_height(l, 0);
  pango_layout_set_ellipsize(l, PANGO_ELLIPSIZE_END);
  print_lines(p, l, STYLE_EDGE, print_left(p, start, width), y, width, align, -1, &line);
  g_object_unref(l);
}

static void rectangle(struct print *p, double inset, double thick) {
  cairo_set_source_rgb(p->cr, 0.04, 0.35, 0.39);
  cairo_set_line_width(p->cr, thick);
  cairo_rectangle(p->cr, inset, inset, p->width - 2 * inset, p->height - 2 * inset);
  cairo_stroke(p->cr);
}

/* When a page is full; `last`: a single page needs no number. */
static void edges(struct print *p, bool last) {
  double y = p->bottom + 3 * PRINT_MM;
  bool numbered = !last || p->page > 1;
  if (p->frame) {
    rectangle(p, 10 * PRINT_MM, 2);
    rectangle(p, 12 * PRINT_MM, 0.6);
  }
  if (p->head) edge_text(p, p->head, p->top - 9 * PRINT_MM, PRINT_START);
  if (p->head) print_line(p, p->side, p->top - 3.5 * PRINT_MM, p->width - p->side, p->top - 3.5 * PRINT_MM, 0.5, 0.7);
  if (p->foot) edge_text(p, p->foot, y, PRINT_START);
  if (numbered) {
    struct arena *a = arena_new(4096);
    char *n = number_format(a, p->lang, p->page), *text = n ? word_fill(a, p->lang, "print.page", "n", n, NULL) : NULL;
    if (text) edge_text(p, text, y, PRINT_END);
    arena_free(a);
  }
}

void print_break(struct print *p) {
  edges(p, false);
  cairo_show_page(p->cr);
  p->page++;
  p->y = p->top;
  p->empty = true;
}

void print_need(struct print *p, double height) {
  if (p->y + height > p->bottom && !p->empty) print_break(p);
}

void print_page(struct print *p) {
  if (print_ready(p) && !p->empty) print_break(p);
}

void print_language(struct print *p, enum lang l) {
  print_page(p);
  p->lang = l;
  p->rtl = l == LANG_FA;
  if (p->context) pango_context_set_language(p->context, pango_language_from_string(lang_code(l)));
}

int print_pages(const struct print *p) { return p->page; }

int print_finish(struct print *p, void **pdf, size_t *n, struct err *err) {
  if (print_ready(p)) edges(p, true);
  if (!p->failed) {
    cairo_surface_finish(p->surface);
    cairo_status_t s = cairo_surface_status(p->surface), t = cairo_status(p->cr);
    if (buf_overflowed(&p->out)) print_fail(p, ERR_LIMIT, "the document is longer than a file may be");
    else if (s != CAIRO_STATUS_SUCCESS || (t != CAIRO_STATUS_SUCCESS && t != CAIRO_STATUS_SURFACE_FINISHED))
      print_fail(p, ERR_UNAVAILABLE, cairo_status_to_string(s != CAIRO_STATUS_SUCCESS ? s : t));
  }
  int rc = p->failed ? -1 : 0;
  if (rc) err_set(err, p->err.code, "%s", p->err.message);
  else {
    *n = p->out.len;
    *pdf = buf_take(&p->out);
  }
  print_free(p);
  return rc;
}
