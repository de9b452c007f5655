#include "channels/web/map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void text(struct buf *b, const char *s) {
  for (; s && *s; s++) {
    if (*s == '<') buf_adds(b, "&lt;");
    else if (*s == '>') buf_adds(b, "&gt;");
    else if (*s == '&') buf_adds(b, "&amp;");
    else if (*s == '"') buf_adds(b, "&quot;");
    else buf_addc(b, *s);
  }
}

/* Degrees of longitude shrink with the cosine of the latitude: near enough for one province. */
bool map_frame_of(const struct directory *d, int within, struct map_frame *f) {
  double west = 180, east = -180, south = 90, north = -90;
  for (size_t i = 0; i < directory_shapes(d); i++) {
    const struct shape *s = directory_shape(d, i);
    if (within >= 0 && s->place != within) continue;
    for (size_t k = 0; k < s->ring_count; k++)
      for (size_t p = 0; p < s->rings[k].count; p++) {
        struct shape_point at = s->rings[k].points[p];
        west = fmin(west, at.lon);
        east = fmax(east, at.lon);
        south = fmin(south, at.lat);
        north = fmax(north, at.lat);
      }
  }
  if (!(east > west && north > south)) return false;
  double margin = (east - west) * 0.02, shrink = cos((south + north) / 2 * M_PI / 180);
  west -= margin;
  east += margin;
  north += margin * shrink;
  south -= margin * shrink;
  f->west = west;
  f->north = north;
  f->scale_x = MAP_WIDE / (east - west);
  f->scale_y = f->scale_x / shrink;
  f->tall = (north - south) * f->scale_y;
  return true;
}

static double x_of(const struct map_frame *f, double lon) { return (lon - f->west) * f->scale_x; }
static double y_of(const struct map_frame *f, double lat) { return (f->north - lat) * f->scale_y; }

/* Whole units, and only where something moves: neighbours share their points, so they still fit. */
static void ring(struct buf *b, const struct map_frame *f, const struct shape_ring *r) {
  int x = 0, y = 0;
  for (size_t i = 0; i < r->count; i++) {
    int nx = (int)lround(x_of(f, r->points[i].lon)), ny = (int)lround(y_of(f, r->points[i].lat));
    if (i == 0) buf_addf(b, "M%d %dl", nx, ny);
    else if (nx != x || ny != y) buf_addf(b, ny < y ? "%d%d " : "%d %d ", nx - x, ny - y);
    x = nx;
    y = ny;
  }
  buf_addc(b, 'z');
}

static void outline(struct buf *b, const struct map_frame *f, const struct shape *s) {
  for (size_t k = 0; k < s->ring_count; k++) ring(b, f, &s->rings[k]);
}

/* The centre of the largest ring, by area. */
static bool middle(const struct map_frame *f, const struct shape *s, double *x, double *y) {
  double most = 0;
  for (size_t k = 0; k < s->ring_count; k++) {
    double area = 0, cx = 0, cy = 0;
    const struct shape_ring *r = &s->rings[k];
    for (size_t i = 0; i + 1 < r->count; i++) {
      double x1 = x_of(f, r->points[i].lon), y1 = y_of(f, r->points[i].lat), x2 = x_of(f, r->points[i + 1].lon), y2 = y_of(f, r->points[i + 1].lat), cross = x1 * y2 - x2 * y1;
      area += cross;
      cx += (x1 + x2) * cross;
      cy += (y1 + y2) * cross;
    }
    if (fabs(area) <= most) continue;
    most = fabs(area);
    *x = cx / (3 * area);
    *y = cy / (3 * area);
  }
  return most > 0;
}

static const struct shape *shape_of(const struct directory *d, int place) {
  for (size_t i = 0; i < directory_shapes(d); i++)
    if (directory_shape(d, i)->place == place) return directory_shape(d, i);
  return NULL;
}

static void open_link(struct buf *b, const char *href, const char *title) {
  if (!href || !href[0]) return;
  buf_adds(b, "<a href=\"");
  text(b, href);
  buf_adds(b, "\" aria-label=\"");
  text(b, title);
  buf_adds(b, "\">");
}

static void close_link(struct buf *b, const char *href, const char *title) {
  buf_adds(b, "<title>");
  text(b, title);
  buf_adds(b, href && href[0] ? "</title></g></a>" : "</title></g>");
}

static void area(struct buf *b, const struct directory *d, const struct map_frame *f, const struct map_area *a) {
  const struct shape *s = shape_of(d, a->place);
  if (!s) return;
  open_link(b, a->href, a->title);
  if (a->step < 0) buf_adds(b, "<g class=\"area\"");
  else buf_addf(b, "<g class=\"area step%d\"", a->step);
  buf_adds(b, " data-place=\"");
  text(b, directory_place(d, a->place)->code);
  buf_adds(b, "\"><path d=\"");
  outline(b, f, s);
  buf_adds(b, "\"/>");
  close_link(b, a->href, a->title);
}

static void areas_words(struct buf *b, const struct directory *d, const struct map_frame *f, const struct map_view *v) {
  buf_adds(b, "<g class=\"words\" aria-hidden=\"true\">");
  for (size_t i = 0; i < v->area_count; i++) {
    const struct map_area *a = &v->areas[i];
    const struct shape *s = shape_of(d, a->place);
    double x = 0, y = 0;
    if (!s || !middle(f, s, &x, &y)) continue;
    if (v->names) {
      buf_addf(b, "<text class=\"name\" x=\"%.0f\" y=\"%.0f\">", x, y - 6);
      text(b, place_name(directory_place(d, a->place), v->lang));
      buf_adds(b, "</text>");
    }
    if (a->text && a->text[0]) {
      buf_addf(b, "<text class=\"number\" x=\"%.0f\" y=\"%.0f\" data-number=\"", x, y + (v->names ? 16 : 8));
      text(b, directory_place(d, a->place)->code);
      buf_adds(b, "\">");
      text(b, a->text);
      buf_adds(b, "</text>");
    }
  }
  buf_adds(b, "</g>");
}

static double radius_of(const struct map_point *p) { return p->count > 1 ? fmin(10 + 2.2 * sqrt((double)p->count), 44) : 7; }

static void point(struct buf *b, const struct map_frame *f, const struct map_point *p) {
  double x = x_of(f, p->lon), y = y_of(f, p->lat), radius = radius_of(p);
  open_link(b, p->href, p->title);
  buf_addf(b, "<g class=\"point ns-%s\"><circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", p->state, x, y, radius);
  if (p->text && p->text[0]) {
    buf_addf(b, "<text x=\"%.1f\" y=\"%.1f\">", x, y + 6);
    text(b, p->text);
    buf_adds(b, "</text>");
  }
  close_link(b, p->href, p->title);
}

char *map_draw(const struct directory *d, const struct map_view *v) {
  struct map_frame f;
  struct buf b;
  if (!map_frame_of(d, v->within, &f)) return base_strdup("");
  buf_init(&b, 4 * 1024 * 1024);
  buf_addf(&b, "<svg class=\"map\" viewBox=\"0 0 %d %.0f\" role=\"group\" aria-label=\"", MAP_WIDE, ceil(f.tall));
  text(&b, v->label);
  buf_adds(&b, "\"><g class=\"sheet\"><g class=\"areas\">");
  for (size_t i = 0; i < v->area_count; i++) area(&b, d, &f, &v->areas[i]);
  buf_adds(&b, "</g>");
  areas_words(&b, d, &f, v);
  buf_adds(&b, "<g class=\"points\">");
  for (size_t i = 0; i < v->point_count; i++) point(&b, &f, &v->points[i]);
  buf_adds(&b, "</g></g></svg>");
  return buf_take(&b);
}

/* ---- what lies too near to be told apart ---- */

struct cell { int column, row; size_t point; };

static int by_cell(const void *a, const void *b) {
  const struct cell *p = a, *q = b;
  if (p->row != q->row) return p->row < q->row ? -1 : 1;
  if (p->column != q->column) return p->column < q->column ? -1 : 1;
  return (p->point > q->point) - (p->point < q->point);
}

static void join(struct map_point *sum, const struct map_point *p, int (*rank)(const char *state)) {
  double all = (double)(sum->count + p->count);
  sum->lon = (sum->lon * (double)sum->count + p->lon * (double)p->count) / all;
  sum->lat = (sum->lat * (double)sum->count + p->lat * (double)p->count) / all;
  sum->count += p->count;
  if (rank(p->state) > rank(sum->state)) sum->state = p->state;
}

/* Circles of neighbouring cells that would cover one another's numbers become one, until none do; each time there is one less. */
static size_t join_near(const struct map_frame *f, struct map_point *p, size_t count, int (*rank)(const char *state)) {
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < count; k++) {
      if (k == i || hypot(x_of(f, p[i].lon) - x_of(f, p[k].lon), y_of(f, p[i].lat) - y_of(f, p[k].lat)) >= radius_of(&p[i]) + radius_of(&p[k])) continue;
      join(&p[i], &p[k], rank);
      p[k] = p[--count];
      if (i == count) i = k; /* it stood last, and stands there now */
      k = (size_t)-1; /* it moved and grew: everybody again */
    }
  return count;
}

size_t map_cluster(const struct map_frame *f, struct map_point *points, size_t count, double cell, int (*rank)(const char *state)) {
  struct cell *cells = base_alloc((count + 1) * sizeof *cells);
  struct map_point *out = base_alloc((count + 1) * sizeof *out);
  size_t left = 0;
  for (size_t i = 0; i < count; i++)
    cells[i] = (struct cell){(int)floor(x_of(f, points[i].lon) / cell), (int)floor(y_of(f, points[i].lat) / cell), i};
  qsort(cells, count, sizeof *cells, by_cell);
  for (size_t i = 0; i < count; i++) {
    const struct map_point *p = &points[cells[i].point];
    bool joins = i && cells[i].row == cells[i - 1].row && cells[i].column == cells[i - 1].column;
    if (!joins) {
      out[left++] = *p;
      continue;
    }
    join(&out[left - 1], p, rank);
  }
  left = join_near(f, out, left, rank);
  if (left > 0) memcpy(points, out, left * sizeof *out);
  free(out);
  free(cells);
  return left;
}
