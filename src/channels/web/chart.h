/* Charts as SVG, drawn here for the pages of those in charge; of this room alone. Directions follow the language; colours are classes of the
 * style sheet. Every chart is repeated by a table beside it, so that it is hidden from readers of the screen but for its title. */
#ifndef CHAPAR_WEB_CHART_H
#define CHAPAR_WEB_CHART_H

#include "base/base.h"
#include "language/language.h"

struct chart_item { const char *label, *text; double a, b; };       /* columns: two series; bars: a, and its value in words */
struct chart_range { const char *label, *text; double low, mid, high, other; int mark; /* 0 too few, 1 alike, 2 differs */ };
/* malloc'ed SVG; labels are UTF-8 and escaped here. */
char *chart_columns(enum lang l, const char *title, const struct chart_item *items, size_t count);
char *chart_bars(enum lang l, const char *title, const struct chart_item *items, size_t count);
char *chart_ranges(enum lang l, const char *title, const struct chart_range *items, size_t count);

#endif
