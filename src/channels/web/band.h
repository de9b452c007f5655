/* Measurements over time as SVG: the band and middle of round-trip times, loss below, states under it; of this room alone. */
#ifndef CHAPAR_WEB_BAND_H
#define CHAPAR_WEB_BAND_H

#include "base/base.h"
#include "language/language.h"

struct band_point { int64_t at, until; double low, p10, median, p90, high, loss; }; /* ms, NAN when nothing answered; loss 0–1, NAN: not probed */
struct band_state { int64_t from, until; const char *state; };
struct band_tick { int64_t at; const char *text; };
struct band_view {
  const char *title, *unit, *loss_word;
  int64_t from, until;
  const struct band_point *points; size_t count;
  const struct band_state *states; size_t state_count;
  const struct band_tick *ticks; size_t tick_count;
  enum lang lang;
};
char *band_draw(const struct band_view *v);  /* malloc'ed; time runs in the direction of reading */

#endif
