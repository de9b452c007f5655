/*
 * directory: places, organisations and offices of a pack. Layer 2, includes base and language.
 * Immutable once loaded, so thread-safe; indices are small integers, stable within one loaded directory.
 * Files: places.csv, organisations.csv, offices.csv, and counties.geojson where the pack has one (docs/developer/pack.md).
 */
#ifndef CHAPAR_DIRECTORY_H
#define CHAPAR_DIRECTORY_H

#include "base/base.h"
#include "language/language.h"

enum place_kind { PLACE_PROVINCE, PLACE_COUNTY, PLACE_DISTRICT, PLACE_CITY, PLACE_ZONE, PLACE_RURAL_DISTRICT, PLACE_VILLAGE };
enum place_setting { PLACE_URBAN, PLACE_RURAL, PLACE_MIXED };
struct place {
  const char *code, *name_fa, *name_en;   /* name_en "" when there is none: use place_name() */
  const char *fold;                       /* folded name, for search */
  int parent;                             /* index, -1 for the root */
  int first_child, next;                  /* -1 when none; children in order of Persian collation */
  enum place_kind kind;
  enum place_setting setting;
  double lat, lon;                        /* NAN when unknown */
  int64_t population;                     /* -1 when unknown */
  int population_year, households;        /* 0 / -1 when unknown */
};

enum organisation_kind { ORG_AGENCY, ORG_GOVERNORATE, ORG_MUNICIPALITY, ORG_DEHYARI, ORG_INSTITUTION, ORG_COMPANY };
struct organisation {
  const char *code, *name_fa, *name_en, *class_, *member, *phone;
  int parent, place;                      /* indices, -1 when none */
  int unit_of;                            /* the organisation of which it is a unit, -1 when it stands by itself */
  enum organisation_kind kind;
};

enum office_level { OFFICE_CORE, OFFICE_HUB, OFFICE_DISTRICT, OFFICE_OFFICE, OFFICE_DEHYARI };
struct office {
  const char *code, *name_fa, *name_en;
  int organisation, place;
  int uplinks[4], uplink_count;           /* indices of parent offices */
  enum office_level level;
  double lat, lon;
  bool synthetic;
};

struct directory;
/* report gets every mistake ("file:line: message" parts); loading goes on to find them all. Returns NULL when there was any. */
typedef void (*directory_report)(void *ctx, const char *file, unsigned line, const char *message);
struct directory *directory_load(const char *pack, directory_report report, void *ctx);
void directory_free(struct directory *d);

size_t directory_places(const struct directory *d);
size_t directory_organisations(const struct directory *d);
size_t directory_offices(const struct directory *d);
const struct place *directory_place(const struct directory *d, int index);               /* NULL out of range */
const struct organisation *directory_organisation(const struct directory *d, int index);
const struct office *directory_office(const struct directory *d, int index);
int directory_find_place(const struct directory *d, const char *code);                   /* -1 when none */
int directory_find_organisation(const struct directory *d, const char *code);
int directory_find_office(const struct directory *d, const char *code);
/* Is `place` equal to or below `ancestor`? */
bool directory_within(const struct directory *d, int place, int ancestor);
/* Nearest ancestor-or-self of a kind, -1 when none. */
int directory_ancestor(const struct directory *d, int place, enum place_kind kind);
/* The organisation of `kind` whose place is `place`, else of the nearest ancestor place; -1 when none.
 * A village without dehyari falls back only when the caller asks again with ORG_GOVERNORATE. */
int directory_responsible(const struct directory *d, int place, enum organisation_kind kind);
const char *place_name(const struct place *p, enum lang l);          /* English falls back to Persian */
const char *organisation_name(const struct organisation *o, enum lang l);
const char *place_kind_text(enum place_kind k);                      /* "county" … */
const char *organisation_kind_text(enum organisation_kind k);
int place_kind_parse(const char *text);                              /* -1 when unknown */
int organisation_kind_parse(const char *text);
/* Places whose folded name begins with `prefix` (folded here), of one kind (or -1), below `within` (or -1): up to `most` indices. */
size_t directory_search_places(const struct directory *d, const char *prefix, int kind, int within, int *out, size_t most);
/* Nearest spelling among names offered, for "did you mean": best stays NULL while none is near enough (a third of the letters, 3 at most). */
struct nearest { const char *wanted, *best; unsigned distance; };
void nearest_offer(struct nearest *n, const char *candidate);        /* candidate must outlive n */
/* «مشهد، بخش مرکزی، …» from the place up to its county, arena-owned. */
char *place_path(const struct directory *d, int place, enum lang l, struct arena *a);

/* Outlines of places, in the order of the file: rings in degrees (WGS 84), to be filled by the even-odd rule. */
struct shape_point { double lon, lat; };
struct shape_ring { const struct shape_point *points; size_t count; };
struct shape { int place; const struct shape_ring *rings; size_t ring_count; };
size_t directory_shapes(const struct directory *d);                                      /* 0: the pack has none */
const struct shape *directory_shape(const struct directory *d, size_t i);                /* NULL out of range */
const char *directory_attribution(const struct directory *d);                            /* whose outlines they are; "" when there are none */

#endif
