/* Outlines of places: counties.geojson of the pack, where it has one (RFC 7946: Polygon and MultiPolygon). */
#include "directory/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_BYTES = 16 * 1024 * 1024, MOST_SHAPES = 2000, MOST_RINGS = 400, MOST_POINTS = 400000 };

struct drawing { struct loader *l; size_t points; };

static bool read_ring(struct drawing *w, const json_t *list, struct shape_ring *ring) {
  size_t n = json_array_size(list);
  if (n < 4 || n > MOST_POINTS || (w->points += n) > MOST_POINTS) return false;
  struct shape_point *points = arena_alloc(w->l->d->arena, n * sizeof *points);
  if (!points) return false;
  for (size_t i = 0; i < n; i++) {
    const json_t *point = json_array_get(list, i), *lon = json_array_get(point, 0), *lat = json_array_get(point, 1);
    if (!json_is_number(lon) || !json_is_number(lat)) return false;
    points[i] = (struct shape_point){json_number_value(lon), json_number_value(lat)};
    if (!(points[i].lon >= -180 && points[i].lon <= 180 && points[i].lat >= -90 && points[i].lat <= 90)) return false;
  }
  *ring = (struct shape_ring){points, n};
  return true;
}

/* All rings of all polygons: they are filled by the even-odd rule, which knows holes. */
static bool read_geometry(struct drawing *w, const json_t *geometry, struct shape *s) {
  const char *type = json_str(geometry, "type");
  const json_t *coordinates = json_object_get(geometry, "coordinates");
  bool many = base_same(type, "MultiPolygon");
  size_t polygons = many ? json_array_size(coordinates) : 1, count = 0;
  if (!many && !base_same(type, "Polygon")) return false;
  for (size_t i = 0; i < polygons; i++) count += json_array_size(many ? json_array_get(coordinates, i) : coordinates);
  if (!count || count > MOST_RINGS) return false;
  struct shape_ring *rings = arena_alloc(w->l->d->arena, count * sizeof *rings);
  if (!rings) return false;
  for (size_t i = 0; i < polygons; i++) {
    const json_t *polygon = many ? json_array_get(coordinates, i) : coordinates;
    for (size_t k = 0; k < json_array_size(polygon); k++)
      if (!read_ring(w, json_array_get(polygon, k), &rings[s->ring_count++])) return false;
  }
  s->rings = rings;
  return true;
}

static void read_features(struct drawing *w, const json_t *root) {
  struct directory *d = w->l->d;
  const json_t *features = json_object_get(root, "features");
  size_t n = json_array_size(features);
  if (!base_same(json_str(root, "type"), "FeatureCollection") || !n || n > MOST_SHAPES) {
    load_fail(w->l, 0, "it is no FeatureCollection of one to %d features", MOST_SHAPES);
    return;
  }
  const char *attribution = json_str(root, "attribution");
  if (!attribution || !attribution[0] || strlen(attribution) > 200) load_fail(w->l, 0, "'attribution' must say whose outlines these are (1 to 200 bytes)");
  else d->attribution = load_keep(w->l, attribution);
  d->shapes = base_alloc(n * sizeof *d->shapes);
  for (size_t i = 0; i < n; i++) {
    const json_t *one = json_array_get(features, i);
    const char *code = json_str(json_object_get(one, "properties"), "code");
    struct shape *s = &d->shapes[d->shape_count];
    s->place = directory_find_place(d, code);
    if (s->place < 0) load_fail(w->l, 0, "feature %zu: the place '%s' is not in places.csv", i + 1, code ? code : "");
    else if (!read_geometry(w, json_object_get(one, "geometry"), s)) load_fail(w->l, 0, "feature %zu ('%s'): no Polygon or MultiPolygon within bounds", i + 1, code);
    else d->shape_count++;
  }
}

void load_shapes(struct loader *l) {
  char *path = base_printf("%s/counties.geojson", l->pack), *text = NULL;
  struct err err;
  size_t n = 0;
  l->file = "counties.geojson";
  if (access(path, F_OK) == 0) {
    struct drawing w = {.l = l};
    json_t *root = NULL;
    text = file_read(path, MOST_BYTES, &n, &err);
    if (text) root = json_read(text, n, 0, &err);
    if (root) read_features(&w, root);
    else load_fail(l, 0, "cannot be read: %s", err.message);
    json_decref(root);
  }
  free(text);
  free(path);
}

size_t directory_shapes(const struct directory *d) { return d->shape_count; }
const struct shape *directory_shape(const struct directory *d, size_t i) { return i < d->shape_count ? &d->shapes[i] : NULL; }
const char *directory_attribution(const struct directory *d) { return d->attribution ? d->attribution : ""; }
