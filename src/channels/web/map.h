/* The map of a province as SVG, drawn here from the outlines of the pack, so that it needs neither script nor another's server; of this room alone.
 * Colours are classes of assets/network.css; what a colour says stands beside it as a number. */
#ifndef CHAPAR_WEB_MAP_H
#define CHAPAR_WEB_MAP_H

#include "base/base.h"
#include "directory/directory.h"

enum { MAP_WIDE = 1000, MAP_STEPS = 5 };

struct map_area {
  int place;                        /* whose outline */
  int step;                         /* 0 (good) to MAP_STEPS - 1, -1: not measured */
  const char *text;                 /* the number, shown in it; "" none */
  const char *title, *href;         /* in words; where it leads */
};
struct map_point {
  double lon, lat;
  const char *state;                /* class: the worst of those that stand here */
  const char *title, *href, *text;  /* text: how many, "" for one */
  int64_t count;
};
struct map_view {
  const char *label;                /* what the map shows, for readers of the screen */
  const struct map_area *areas; size_t area_count;
  const struct map_point *points; size_t point_count;
  int within;                       /* place whose outline fills the picture; -1: all of them */
  bool names;                       /* counties by name too */
  enum lang lang;
};
/* malloc'ed SVG; "" when the directory has no outlines. Texts are escaped here. */
char *map_draw(const struct directory *d, const struct map_view *v);
/* Where a position lies on the picture of the whole province (MAP_WIDE wide); *tall may be NULL. False without outlines. */
struct map_frame { double west, north, scale_x, scale_y, tall; };
bool map_frame_of(const struct directory *d, int within, struct map_frame *f);
/* Points within `cell` units of the picture become one: their count added, the worse state kept (by rank). Returns how many are left. */
size_t map_cluster(const struct map_frame *f, struct map_point *points, size_t count, double cell, int (*rank)(const char *state));

#endif
