#include "channels/web/band.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDE = 720, LEFT = 46, TOP = 20, RTT = 150, GAP = 10, LOSS = 44, STATE = 10, FOOT = 22, TALL = TOP + RTT + GAP + LOSS + GAP + STATE + FOOT };

static void text(struct buf *b, const char *s) {
  for (; s && *s; s++) {
    if (*s == '<') buf_adds(b, "&lt;");
    else if (*s == '>') buf_adds(b, "&gt;");
    else if (*s == '&') buf_adds(b, "&amp;");
    else if (*s == '"') buf_adds(b, "&quot;");
    else buf_addc(b, *s);
  }
}

/* From the side where reading begins. */
static double along(const struct band_view *v, double x) { return v->lang == LANG_FA ? WIDE - x : x; }
static double at(const struct band_view *v, int64_t ms) {
  double span = (double)(v->until - v->from);
  double share = span > 0 ? (double)(ms - v->from) / span : 0;
  return LEFT + (WIDE - LEFT) * fmin(fmax(share, 0), 1);
}

static void label(struct buf *b, const struct band_view *v, const char *kind, const char *anchor, double x, double y, const char *s) {
  buf_addf(b, "<text class=\"%s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">", kind, anchor, along(v, x), y);
  text(b, s);
  buf_adds(b, "</text>");
}

static void rect(struct buf *b, const struct band_view *v, const char *kind, double x, double y, double w, double h) {
  buf_addf(b, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", kind, v->lang == LANG_FA ? WIDE - x - w : x, y, w, h);
}

/* 1, 2 or 5 with zeros, not below x. */
static double round_up(double x) {
  double scale = pow(10, floor(log10(fmax(x, 0.1))));
  if (scale >= x) return scale;
  if (2 * scale >= x) return 2 * scale;
  return 5 * scale >= x ? 5 * scale : 10 * scale;
}

static double height(double ms, double most) { return TOP + RTT - RTT * fmin(ms, most) / most; }

/* Runs of points that answered: there is no line over what was not measured. */
static size_t run_end(const struct band_view *v, size_t i) {
  size_t k = i;
  while (k < v->count && !isnan(v->points[k].median) && (k == i || v->points[k].at - v->points[k - 1].until <= (v->points[k].until - v->points[k].at) * 2)) k++;
  return k;
}

static double middle_of(const struct band_view *v, size_t i) { return along(v, at(v, (v->points[i].at + v->points[i].until) / 2)); }

static void band(struct buf *b, const struct band_view *v, size_t from, size_t to, double most, bool outer) {
  buf_addf(b, "<path class=\"%s\" d=\"M", outer ? "outer" : "inner");
  for (size_t i = from; i < to; i++) buf_addf(b, "%.1f %.1f ", middle_of(v, i), height(outer ? v->points[i].high : v->points[i].p90, most));
  for (size_t i = to; i-- > from;) buf_addf(b, "%.1f %.1f ", middle_of(v, i), height(outer ? v->points[i].low : v->points[i].p10, most));
  buf_adds(b, "z\"/>");
}

static void line(struct buf *b, const struct band_view *v, size_t from, size_t to, double most) {
  if (to - from == 1) {
    buf_addf(b, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\"/>", middle_of(v, from), height(v->points[from].median, most));
    return;
  }
  buf_adds(b, "<path class=\"median\" d=\"M");
  for (size_t i = from; i < to; i++) buf_addf(b, "%.1f %.1f ", middle_of(v, i), height(v->points[i].median, most));
  buf_adds(b, "\"/>");
}

static void times(struct buf *b, const struct band_view *v, double most) {
  struct arena *a = arena_new(8192);
  for (int i = 0; i <= 2; i++) {
    double y = TOP + RTT - RTT * i / 2.0;
    buf_addf(b, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", along(v, LEFT), y, along(v, WIDE));
    double ms = most * i / 2;
    label(b, v, i ? "scale" : "scale zero", "end", LEFT - 5, y + 4, number_decimal(a, v->lang, ms, ms < 1 && ms > 0 ? 2 : ms < 10 && ms != floor(ms) ? 1 : 0));
  }
  label(b, v, "scale", "start", LEFT + 4, TOP - 7, v->unit);
  arena_free(a);
  for (size_t i = 0; i < v->count;) {
    size_t to = run_end(v, i);
    if (to == i) {
      i++;
      continue;
    }
    band(b, v, i, to, most, true);
    band(b, v, i, to, most, false);
    line(b, v, i, to, most);
    i = to;
  }
}

static void losses(struct buf *b, const struct band_view *v) {
  double floor_y = TOP + RTT + GAP + LOSS;
  buf_addf(b, "<path class=\"base\" d=\"M%.1f %.1fH%.1f\"/>", along(v, LEFT), floor_y, along(v, WIDE));
  struct arena *a = arena_new(1024);
  label(b, v, "scale", "end", LEFT - 5, floor_y - LOSS + 10, number_percent(a, v->lang, 100, 0));
  arena_free(a);
  label(b, v, "scale", "end", LEFT - 5, floor_y, v->loss_word);
  for (size_t i = 0; i < v->count; i++) {
    const struct band_point *p = &v->points[i];
    if (isnan(p->loss) || p->loss <= 0) continue;
    double x = at(v, p->at), w = fmax(at(v, p->until) - x, 1.2);
    rect(b, v, "loss", x, floor_y - fmax(LOSS * p->loss, 1.5), w, fmax(LOSS * p->loss, 1.5));
  }
}

static void states(struct buf *b, const struct band_view *v) {
  double y = TOP + RTT + GAP + LOSS + GAP;
  for (size_t i = 0; i < v->state_count; i++) {
    char kind[48];
    double x = at(v, v->states[i].from), w = at(v, v->states[i].until) - x;
    snprintf(kind, sizeof kind, "strip ns-%.30s", v->states[i].state);
    if (w > 0) rect(b, v, kind, x, y, fmax(w, 1), STATE);
  }
}

char *band_draw(const struct band_view *v) {
  struct buf b;
  double most = 1;
  for (size_t i = 0; i < v->count; i++)
    if (!isnan(v->points[i].high)) most = fmax(most, fmax(v->points[i].p90 * 1.25, v->points[i].median * 1.25));
  most = round_up(most);
  buf_init(&b, 1024 * 1024);
  buf_addf(&b, "<svg class=\"bands\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDE, TALL);
  text(&b, v->title);
  buf_adds(&b, "\">");
  times(&b, v, most);
  losses(&b, v);
  states(&b, v);
  for (size_t i = 0; i < v->tick_count; i++) label(&b, v, "tick", "middle", fmin(at(v, v->ticks[i].at), WIDE - 18), TALL - 5, v->ticks[i].text);
  buf_adds(&b, "</svg>");
  return buf_take(&b);
}
