/*
 * Glyphs on the page in such an order, and with such characters beside them, that readers find the words again: from left to right as
 * readers of PDF expect, a single character for each glyph where there is one. (What Pango draws by itself runs backwards for Persian,
 * and several readers then fall apart in the middle of words.)
 */
#include "print/inside.h"

#include <stdlib.h>
#include <string.h>

struct strip { /* one run, growing */
  cairo_glyph_t *glyphs;
  cairo_text_cluster_t *clusters;
  size_t glyph_count, cluster_count;
  struct buf text;
};

static void put(struct strip *s, unsigned long glyph, double x, double y, const char *text, size_t n) {
  buf_add(&s->text, text, n);
  s->glyphs[s->glyph_count++] = (cairo_glyph_t){.index = glyph, .x = x, .y = y};
  s->clusters[s->cluster_count++] = (cairo_text_cluster_t){.num_bytes = (int)n, .num_glyphs = 1};
}

/* One character for the pairs that Vazirmatn draws as one glyph: lam with alef, he with hamza. 0 when there is none. */
static uint32_t composed(uint32_t first, uint32_t second) {
  static const struct { uint32_t first, second, one; } pairs[] = {{0x644, 0x622, 0xFEF5}, {0x644, 0x623, 0xFEF7}, {0x644, 0x625, 0xFEF9}, {0x644, 0x627, 0xFEFB}, {0x647, 0x654, 0x6C0}};
  for (size_t i = 0; i < BASE_COUNT(pairs); i++)
    if (pairs[i].first == first && pairs[i].second == second) return pairs[i].one;
  return 0;
}

/* A character that the font does not have: an empty frame. */
static void missing(struct print *p, double x, double y, double width, double size) {
  cairo_set_line_width(p->cr, 0.5);
  cairo_rectangle(p->cr, x + width * 0.1, y - size * 0.7, width * 0.8, size * 0.7);
  cairo_stroke(p->cr);
}

/* The bytes of each character of a cluster; how many, at most `most`. */
static size_t characters(const char *text, size_t n, size_t *starts, uint32_t *codes, size_t most) {
  const char *s = text;
  size_t count = 0;
  while (s < text + n && count < most) {
    starts[count] = (size_t)(s - text);
    int c = utf8_next(&s, text + n);
    if (c < 0) break;
    codes[count++] = (uint32_t)c;
  }
  starts[count] = n;
  return count;
}

enum { CLUSTER_MOST = 16 };

/* One cluster: `count` glyphs from `first` on, for n bytes of text. */
static void cluster(struct print *p, struct strip *s, const PangoGlyphString *g, int first, int count, double *x, double y, const char *text, size_t n, bool rtl, double size) {
  size_t starts[CLUSTER_MOST + 1], many;
  uint32_t codes[CLUSTER_MOST];
  char one[4];
  many = characters(text, n, starts, codes, CLUSTER_MOST);
  bool each = many == (size_t)count; /* as many characters as glyphs: side by side in the same order */
  uint32_t pair = many == 2 && count == 1 ? composed(codes[0], codes[1]) : 0;
  for (int i = 0; i < count; i++) {
    const PangoGlyphInfo *info = &g->glyphs[first + i];
    double width = (double)info->geometry.width / PANGO_SCALE, at = *x + (double)info->geometry.x_offset / PANGO_SCALE, above = y + (double)info->geometry.y_offset / PANGO_SCALE;
    size_t c = rtl ? (size_t)(count - 1 - i) : (size_t)i;
    if (info->glyph & PANGO_GLYPH_UNKNOWN_FLAG) missing(p, *x, y, width, size);
    else if (info->glyph != PANGO_GLYPH_EMPTY) {
      if (each) put(s, info->glyph, at, above, text + starts[c], starts[c + 1] - starts[c]);
      else if (pair) put(s, info->glyph, at, above, one, utf8_encode(pair, one));
      else put(s, info->glyph, at, above, text, i == 0 ? n : 0);
    }
    *x += width;
  }
}

static void run(struct print *p, const PangoGlyphItem *item, const char *text, double *x, double y) {
  const PangoGlyphString *g = item->glyphs;
  bool rtl = item->item->analysis.level & 1;
  PangoFont *font = item->item->analysis.font;
  cairo_scaled_font_t *scaled = font ? pango_cairo_font_get_scaled_font(PANGO_CAIRO_FONT(font)) : NULL;
  struct strip s = {0};
  cairo_matrix_t m;
  const char *own = text + item->item->offset;
  if (!scaled || g->num_glyphs <= 0) return;
  cairo_scaled_font_get_font_matrix(scaled, &m);
  s.glyphs = base_alloc((size_t)g->num_glyphs * sizeof *s.glyphs);
  s.clusters = base_alloc((size_t)g->num_glyphs * sizeof *s.clusters);
  int before = item->item->length;
  for (int i = 0; i < g->num_glyphs;) {
    int start = g->log_clusters[i], k = i;
    while (k < g->num_glyphs && g->log_clusters[k] == start) k++;
    int end = rtl ? before : k < g->num_glyphs ? g->log_clusters[k] : item->item->length;
    if (end > start) cluster(p, &s, g, i, k - i, x, y, own + start, (size_t)(end - start), rtl, m.xx);
    before = start;
    i = k;
  }
  cairo_set_scaled_font(p->cr, scaled);
  if (s.glyph_count)
    cairo_show_text_glyphs(p->cr, buf_str(&s.text), (int)s.text.len, s.glyphs, (int)s.glyph_count, s.clusters, (int)s.cluster_count, (cairo_text_cluster_flags_t)0);
  free(s.glyphs);
  free(s.clusters);
  buf_free(&s.text);
}

void print_glyphs(struct print *p, PangoLayoutLine *line, double x, double y) {
  const char *text = pango_layout_get_text(line->layout);
  for (GSList *one = line->runs; one; one = one->next) run(p, one->data, text, &x, y);
}
