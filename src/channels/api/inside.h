/* Shared by the files of this room alone. */
#ifndef CHAPAR_API_INSIDE_H
#define CHAPAR_API_INSIDE_H

#include "channels/api/api.h"

struct api_context *api_of(const struct http_req *r);
const struct actor *api_actor(const struct http_req *r); /* never NULL: nobody has ACTOR_NOBODY */
int api_limit(const struct http_req *r);                 /* ?limit= within 1–200; 50 when absent; -1 after replying */
/* The tracking code of the path, repaired; NULL after replying 404. */
const char *api_tracking(struct http_req *r);
void api_error(struct http_req *r, const struct err *err, const char *detail_word, json_t *errors); /* takes errors */
void api_list(struct http_req *r, int rc, json_t **out, const struct err *err);

extern const struct http_route api_session_rows[], api_service_rows[], api_case_rows[], api_ledger_rows[], api_demo_rows[], api_desk_rows[], api_registry_rows[];
extern const size_t api_session_count, api_service_count, api_case_count, api_ledger_count, api_demo_count, api_desk_count, api_registry_count;

#endif
