/*
 * template: Mustache (mustache spec: interpolation, sections, inverted, comments, partials, set delimiters), escaped by default,
 * compiled when loaded. Not the optional lambdas. Missing names render as nothing.
 */
#ifndef CHAPAR_TEMPLATE_H
#define CHAPAR_TEMPLATE_H

#include "base/base.h"

struct template_set;   /* compiled templates by name, immutable after loading: thread-safe */
/* Compile every embedded file under `prefix` ("templates/") whose name ends in .mustache; its name is the path between. */
int template_load(const char *prefix, struct template_set **out, struct err *err);
void template_free(struct template_set *s);
/* Compile from text into a set (tests, notices of a pack). The error tells the line. */
int template_add(struct template_set *s, const char *name, const char *text, struct err *err);
struct template_set *template_new(void);
/* Render by name with a JSON context (objects, arrays, strings, numbers, booleans; dotted names; "." implicit iterator).
 * Depth ≤ 40 partials, output ≤ out->cap. A partial that does not exist renders as nothing. */
int template_render(const struct template_set *s, const char *name, const json_t *context, struct buf *out, struct err *err);

#endif
