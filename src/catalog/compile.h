/* catalog, inside the room: what the parts of the compiler share. */
#ifndef CATALOG_COMPILE_H
#define CATALOG_COMPILE_H

#include "catalog/catalog.h"

#define MISTAKES_MOST 200
#define INTEGER_MOST 9007199254740991LL /* what every JSON reader holds exactly: 2^53 - 1 */
#define DECIMAL_MOST 999999999999LL     /* thousandths */

struct choice_list { const char *name; struct choice *choices; size_t count; };
struct life_event { const char *code, *latn; struct text title; };
struct pack_calendar { const char *code; struct calendar *calendar; };
struct family { size_t first, count; }; /* the versions of one service: services[first …], oldest first */

struct pack {
  int references;
  struct arena *arena;
  json_t *kept;                       /* array: every JSON value that the definitions point to */
  struct directory *directory;
  const char *code, *instance, *ussd_code, *hash;
  struct text title;
  int root;
  json_t *settings;
  struct survey survey;
  struct pack_calendar *calendars; size_t calendar_count;
  int default_calendar;
  int16_t *calendar_of;               /* by organisation */
  struct life_event *life_events; size_t life_event_count;
  struct data_service *data_services; size_t data_service_count;
  struct choice_list *lists; size_t list_count;
  struct registry *registries; size_t registry_count;
  struct service **services; size_t service_count;
  struct family *families; size_t family_count;
};

/* Where a service's head stands, for mistakes between two services; by its place among those compiled. */
struct origin { const char *file; unsigned version, valid_from, ussd, identifier; };
struct shared_workflow { const char *name, *file; struct yaml_doc *doc; bool used; };

struct compiler {
  struct pack *p;
  const char *folder, *file;          /* file: where mistakes are now */
  const struct pack_report *report;
  unsigned errors, reported;
  uint64_t seen[MISTAKES_MOST];       /* hashes of what was reported: a shared workflow's mistake is told once */
  int32_t today;
  struct service *s;                  /* being compiled */
  const struct yaml_node *all_fields; /* its pages, to tell a later field from an unknown one */
  struct shared_workflow *workflows; size_t workflow_count;
  struct origin *origins;
};

/* ---- report.c: mistakes and typed reading of nodes ------------------------------------------- */
void fail(struct compiler *c, unsigned line, const char *fmt, ...) BASE_PRINTF(3, 4);
void warn(struct compiler *c, unsigned line, const char *fmt, ...) BASE_PRINTF(3, 4);
void *keep_alloc(struct compiler *c, size_t size);
const char *keep(struct compiler *c, const char *text);
json_t *keep_json(struct compiler *c, json_t *v);             /* takes the reference; valid as long as the pack */
/* "; did you mean 'x'?" or "". */
struct hint { char text[96]; };
struct hint did_you_mean(const struct nearest *n);
/* Is n a map with these keys only (blank between)? Mistakes are told; false when it is no map. */
bool keys(struct compiler *c, const struct yaml_node *n, const char *what, const char *allowed);
const struct yaml_node *want(struct compiler *c, const struct yaml_node *map, const char *what, const char *key); /* NULL after telling */
bool is_list(struct compiler *c, const struct yaml_node *n, const char *key);      /* NULL: false, silently */
const char *scalar(struct compiler *c, const struct yaml_node *n, const char *key); /* NULL after telling */
const char *scalar_of(struct compiler *c, const struct yaml_node *map, const char *key, const char *dflt);
/* A word of a closed set: its index, or dflt (also after telling). words is NULL-ended. */
int word_of(struct compiler *c, const struct yaml_node *map, const char *key, const char *const *words, int dflt);
int64_t int_of(struct compiler *c, const struct yaml_node *map, const char *key, int64_t dflt, int64_t least, int64_t most);
bool bool_of(struct compiler *c, const struct yaml_node *map, const char *key, bool dflt);
/* Two languages, each 1 to most characters. Absent: "" and "" (told when needed). */
struct text text_of(struct compiler *c, const struct yaml_node *map, const char *what, const char *key, size_t most, bool needed);
struct text text_node(struct compiler *c, const struct yaml_node *n, const char *key, size_t most);
struct texts texts_of(struct compiler *c, const struct yaml_node *map, const char *key, size_t most);
const char *latn_of(struct compiler *c, const struct yaml_node *map);
bool name_good(const char *name, char joint);                 /* [a-z][a-z0-9]* and the joint, 40 at most */
const char *name_of(struct compiler *c, const struct yaml_node *map, const char *what, const char *key, char joint); /* "" after telling */
int organisation_of(struct compiler *c, const struct yaml_node *n, const char *key); /* -1 after telling */
/* Read a file of the pack; refuses what is no UTF-8 and direction marks. Caller frees. NULL after telling. */
char *source(struct compiler *c, const char *file, size_t *n);
struct yaml_doc *source_yaml(struct compiler *c, const char *file);
/* Names in a folder of the pack with this ending, sorted; *names and its strings are the arena's. */
size_t source_list(struct compiler *c, const char *folder, const char *ending, const char ***names);

/* ---- cond.c --------------------------------------------------------------------------------- */
struct scope { struct field **fields; size_t count; const struct field *implied; bool of_pages; };
struct cond *cond_parse(struct compiler *c, const struct yaml_node *n, const struct scope *scope);
struct cond *cond_both(struct compiler *c, struct cond *a, struct cond *b);
bool cond_mentions(const struct cond *c, const char *field);

/* ---- field.c --------------------------------------------------------------------------------- */
extern const char *const field_types[];
extern const char *const place_kinds[], *const organisation_kinds[];
struct field *field_parse(struct compiler *c, const struct yaml_node *n, const struct scope *scope);
/* The attribute of a registry as a field that is never required. */
struct field *field_of_attribute(struct compiler *c, const struct yaml_node *n, const char *name, enum field_type type, struct text title, bool personal);
bool parse_choices(struct compiler *c, const struct yaml_node *n, struct choice **out, size_t *count);
/* Bounds with their defaults, as the engine and the schema both apply them. */
int64_t field_least(const struct field *f);
int64_t field_most(const struct field *f);
int32_t field_first_day(const struct field *f, int32_t today);
int32_t field_last_day(const struct field *f, int32_t today);
/* Identifier kind of a field type, -1 when it is none. */
int field_identifier(enum field_type t);
/* "today", "today-30", "today+365": the number of days, else false. */
bool parse_today(const char *text, int *days);

/* ---- the other parts --------------------------------------------------------------------------- */
void compile_settings(struct compiler *c);                    /* packfile.c: pack.yaml, calendars */
void compile_survey(struct compiler *c, const struct yaml_node *root);     /* survey.c */
void compile_lists(struct compiler *c);
void compile_registries(struct compiler *c);
void compile_services(struct compiler *c);                    /* service.c */
void compile_workflow(struct compiler *c, const struct yaml_node *service, json_t *definition); /* workflow.c */
void check_workflow(struct compiler *c, const struct yaml_node *states);                        /* flow.c */
void compile_extras(struct compiler *c, const struct yaml_node *root); /* extras.c: fees, inquiries, outputs, notices, retention, faq */
void compile_letters(struct compiler *c, const struct yaml_node *root); /* letters.c */
/* Mustache of a pack, told where it is wrong: fixed names (NULL-ended), the fields too, sections or plain names alone. extras.c */
void check_letter_text(struct compiler *c, unsigned line, const char *key, const struct text *t, const char *const *fixed);
void check_asking_twice(struct compiler *c);
void compile_examples(struct compiler *c, const struct yaml_node *root);
json_t *schema_build(const struct pack *p, const struct service *s, int32_t today); /* schema.c: new reference */
extern const char *const result_words[], *const role_words[];
const char *role_list(unsigned roles, char out[128]);

#endif
