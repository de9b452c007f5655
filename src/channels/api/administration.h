/* Shared by the files of administration alone. */
#ifndef CHAPAR_API_ADMINISTRATION_H
#define CHAPAR_API_ADMINISTRATION_H

#include "channels/api/inside.h"

/* Is body an object of these names only, each a text or absent? False after replying. */
bool admin_members(struct http_req *r, const json_t *body, const char *const *names, size_t count);
/* What a room refused, with its sentence (a word key or NULL), at the field where that is known. */
void admin_refused(struct http_req *r, const struct err *err, const char *field, const char *detail);
bool admin_organisation(struct http_req *r, const char *code);   /* known? False after replying 404 */

#endif
