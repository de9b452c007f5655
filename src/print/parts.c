/* QR codes and places for signatures. */
#include "print/inside.h"

#include <math.h>
#include <qrencode.h>
#include <stdlib.h>

/* One rectangle for each run of dark modules; beside the code four light ones (ISO/IEC 18004). */
static void draw_code(struct print *p, const QRcode *q, double left, double top, double size) {
  double cell = size / (q->width + 8);
  print_grey(p, 1);
  cairo_rectangle(p->cr, left, top, size, size);
  cairo_fill(p->cr);
  print_grey(p, 0);
  for (int y = 0; y < q->width; y++)
    for (int x = 0; x < q->width; x++) {
      int from = x;
      while (x < q->width && (q->data[y * q->width + x] & 1)) x++;
      if (x > from) cairo_rectangle(p->cr, left + (from + 4) * cell, top + (y + 4) * cell, (x - from) * cell, cell);
    }
  cairo_fill(p->cr);
}

void print_qr(struct print *p, const char *text, double mm, const char *const *lines, size_t count) {
  if (!print_ready(p)) return;
  QRcode *q = text ? QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M) : NULL;
  if (!q) {
    print_fail(p, ERR_INVALID, "a text is too long for a QR code");
    return;
  }
  double size = fmin(fmax(mm, 10), 120) * PRINT_MM, gap = 4 * PRINT_MM, width = print_measure(p) - size - gap, y;
  print_need(p, size);
  y = p->y + 1 * PRINT_MM;
  draw_code(p, q, print_left(p, 0, size), p->y, size);
  QRcode_free(q);
  for (size_t i = 0; i < count && !p->failed; i++) {
    PangoLayout *l = print_layout(p, STYLE_SMALL, lines[i], width);
    int line = 0;
    if (!l) break;
    y += print_lines(p, l, STYLE_SMALL, print_left(p, size + gap, width), y, width, PRINT_START, p->bottom - y, &line) + 0.6 * PRINT_MM;
    g_object_unref(l);
  }
  p->y = fmax(y, p->y + size) + 2 * PRINT_MM;
  p->empty = false;
}

void print_signatures(struct print *p, const char *const *names, const char *const *titles, size_t count) {
  enum { MOST = 4 };
  PangoLayout *all[MOST][2];
  double height = 0, space = 18 * PRINT_MM, gap = 6 * PRINT_MM;
  if (!print_ready(p) || count == 0) return;
  if (count > MOST) count = MOST;
  double width = (print_measure(p) - gap * (double)(count - 1)) / (double)count;
  for (size_t i = 0; i < count; i++) {
    all[i][0] = print_layout(p, STYLE_BOLD, names[i], width);
    all[i][1] = print_layout(p, STYLE_SMALL, titles[i], width);
    for (int k = 0; k < 2; k++) height = all[i][k] ? fmax(height, print_layout_height(all[i][0]) + (k ? print_layout_height(all[i][1]) : 0)) : height;
  }
  if (!p->failed) print_need(p, fmin(space + height, p->bottom - p->top));
  for (size_t i = 0; i < count; i++) {
    double left = print_left(p, (double)i * (width + gap), width), y = p->y + space;
    if (!p->failed) print_line(p, left + width * 0.1, y - 1 * PRINT_MM, left + width * 0.9, y - 1 * PRINT_MM, 0.5, 0.5);
    for (int k = 0; k < 2; k++) {
      int line = 0;
      if (!all[i][k]) continue;
      if (!p->failed) y += print_lines(p, all[i][k], k ? STYLE_SMALL : STYLE_BOLD, left, y, width, PRINT_CENTER, p->bottom - y, &line);
      g_object_unref(all[i][k]);
    }
  }
  p->y = fmin(p->y + space + height + 3 * PRINT_MM, p->bottom);
  p->empty = false;
}
