#include "channels/web/chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDE = 440, TALL = 200, FOOT = 34, ROW = 30, LABEL = 150 };

static void text(struct buf *b, const char *s) {
  for (; *s; s++) {
    if (*s == '<') buf_adds(b, "&lt;");
    else if (*s == '>') buf_adds(b, "&gt;");
    else if (*s == '&') buf_adds(b, "&amp;");
    else if (*s == '"') buf_adds(b, "&quot;");
    else buf_addc(b, *s);
  }
}

static void begin(struct buf *b, const char *title, int tall) {
  buf_init(b, 512 * 1024);
  buf_addf(b, "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDE, tall);
  text(b, title);
  buf_adds(b, "\">");
}

static char *finish(struct buf *b) {
  buf_adds(b, "</svg>");
  return buf_take(b);
}

/* From the side where reading begins. */
static double along(enum lang l, double x) { return l == LANG_FA ? WIDE - x : x; }

static void rect(struct buf *b, enum lang l, const char *kind, double x, double y, double w, double h) {
  buf_addf(b, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", kind, l == LANG_FA ? WIDE - x - w : x, y, w, h);
}

static void line(struct buf *b, enum lang l, const char *kind, double x1, double y1, double x2, double y2) {
  buf_addf(b, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", kind, along(l, x1), y1, along(l, x2), y2);
}

/* anchor: "start", "middle" or "end" in the direction of reading: the text's own direction is set by the page. */
static void label(struct buf *b, enum lang l, const char *anchor, double x, double y, const char *s) {
  buf_addf(b, "<text text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">", anchor, along(l, x), y);
  text(b, s);
  buf_adds(b, "</text>");
}

/* 1, 2 or 5 with zeros, not below v. */
static double round_up(double v) {
  double scale = pow(10, floor(log10(fmax(v, 1))));
  for (int i = 0; i < 3; i++)
    if ((i == 0 ? 1 : i == 1 ? 2 : 5) * scale >= v) return (i == 0 ? 1 : i == 1 ? 2 : 5) * scale;
  return 10 * scale;
}

static void number(struct buf *b, enum lang l, double x, double y, double v) {
  struct arena *a = arena_new(4096);
  label(b, l, "start", x, y, number_format(a, l, (int64_t)v));
  arena_free(a);
}

char *chart_columns(enum lang l, const char *title, const struct chart_item *items, size_t count) {
  struct buf b;
  double most = 1, each = (WIDE - 8.0) / (double)(count ? count : 1), floor_y = TALL - FOOT, room = floor_y - 18;
  for (size_t i = 0; i < count; i++) most = fmax(most, fmax(items[i].a, items[i].b));
  most = round_up(most);
  begin(&b, title, TALL);
  for (int i = 1; i <= 2; i++) {
    double y = floor_y - room * i / 2;
    line(&b, l, "grid", 0, y, WIDE, y);
    if (most >= 2 || i == 2) number(&b, l, 2, y - 3, most * i / 2);
  }
  size_t skip = count > 8 ? (count + 6) / 7 : 1;
  for (size_t i = 0; i < count; i++) {
    double x = 4 + each * (double)i, w = fmin(22, each * 0.36), middle = x + each / 2;
    rect(&b, l, "a", middle - w, floor_y - room * items[i].a / most, w - 0.5, room * items[i].a / most);
    rect(&b, l, "b", middle + 0.5, floor_y - room * items[i].b / most, w - 0.5, room * items[i].b / most);
    if (i % skip == 0) label(&b, l, i == 0 && count > 5 ? "start" : "middle", i == 0 && count > 5 ? 2 : middle, floor_y + 16, items[i].label);
  }
  line(&b, l, "base", 0, floor_y, WIDE, floor_y);
  return finish(&b);
}

char *chart_bars(enum lang l, const char *title, const struct chart_item *items, size_t count) {
  struct buf b;
  double most = 1, room = WIDE - LABEL - 56;
  for (size_t i = 0; i < count; i++) most = fmax(most, items[i].a);
  begin(&b, title, (int)count * ROW + 6);
  for (size_t i = 0; i < count; i++) {
    double y = 4 + ROW * (double)i, w = room * items[i].a / most;
    label(&b, l, "end", LABEL - 8, y + 17, items[i].label);
    rect(&b, l, i + 1 == count && items[i].b > 0 ? "c" : "a", LABEL, y + 3, fmax(w, 1), ROW - 10);
    label(&b, l, "start", LABEL + w + 6, y + 17, items[i].text);
  }
  line(&b, l, "base", LABEL, 2, LABEL, (double)count * ROW + 2);
  return finish(&b);
}

char *chart_ranges(enum lang l, const char *title, const struct chart_range *items, size_t count) {
  struct buf b;
  static const char *const marks[] = {"few", "alike", "differs"};
  double most = 0.05, room = WIDE - LABEL - 60;
  for (size_t i = 0; i < count; i++) most = fmax(most, fmax(items[i].high, items[i].other));
  begin(&b, title, (int)count * ROW + 6);
  for (size_t i = 0; i < count; i++) {
    const struct chart_range *k = &items[i];
    double y = 4 + ROW * (double)i + ROW / 2.0, x = LABEL + room * k->mid / most, other = LABEL + room * k->other / most;
    label(&b, l, "end", LABEL - 8, y + 4, k->label);
    line(&b, l, marks[k->mark], LABEL + room * k->low / most, y, LABEL + room * k->high / most, y);
    line(&b, l, "other", other, y - 9, other, y + 9);
    if (k->mark == 2) buf_addf(&b, "<path class=\"differs\" d=\"M%.1f %.1fl7 7l-7 7l-7 -7z\"/>", along(l, x), y - 7);
    else buf_addf(&b, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>", marks[k->mark], along(l, x), y);
    label(&b, l, "start", LABEL + room + 8, y + 4, k->text);
  }
  line(&b, l, "base", LABEL, 2, LABEL, (double)count * ROW + 2);
  return finish(&b);
}
