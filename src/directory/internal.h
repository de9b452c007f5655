/* directory, inside the room: the loaded tables and the index from code to place in a table. */
#ifndef DIRECTORY_INTERNAL_H
#define DIRECTORY_INTERNAL_H

#include "directory/directory.h"

#define ORGANISATION_KINDS 6

/* Open addressing over FNV-1a; a slot holds index+1. Codes stay where they are: *_code(d, i) finds them. */
struct code_index { int32_t *slots; size_t mask; };

struct directory {
  struct arena *arena;
  struct place *places;
  struct organisation *organisations;
  struct office *offices;
  struct shape *shapes;
  const char *attribution;
  size_t place_count, organisation_count, office_count, shape_count;
  struct code_index by_place, by_organisation, by_office;
  int32_t *by_fold;      /* places in order of their folded names */
  int32_t *responsible;  /* [place * ORGANISATION_KINDS + kind]: organisation whose place it is, -1 */
};

typedef const char *(*code_at)(const struct directory *d, size_t i);
const char *code_of_place(const struct directory *d, size_t i);
const char *code_of_organisation(const struct directory *d, size_t i);
const char *code_of_office(const struct directory *d, size_t i);
/* Adds i; answers the index already there under the same code, or -1. */
int code_index_add(const struct directory *d, struct code_index *x, code_at code, size_t i);
int code_index_find(const struct directory *d, const struct code_index *x, code_at code, const char *wanted);
void code_index_init(struct code_index *x, size_t count);

int place_setting_parse(const char *text);
int office_level_parse(const char *text);

/* Loading, in load.c; each file's mistakes are counted in errors. */
struct loader {
  struct directory *d;
  const char *pack, *file;
  directory_report report;
  void *ctx;
  unsigned errors;
};
void load_fail(struct loader *l, unsigned line, const char *fmt, ...) BASE_PRINTF(3, 4);
/* Open pack/file as CSV and check its columns: names is NULL-ended; columns gets their indices. NULL after reporting. */
struct csv *load_csv(struct loader *l, const char *file, const char *const *names, int *columns);
const char *load_keep(struct loader *l, const char *text);
bool load_code(const char *code);
double load_degrees(struct loader *l, unsigned line, const char *what, const char *text, double most);
void load_places(struct loader *l);
void load_organisations(struct loader *l);
void load_offices(struct loader *l);
void load_shapes(struct loader *l);

#endif
