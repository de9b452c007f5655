/* Shared by the files of this room alone. */
#ifndef CHAPAR_API_INSIDE_H
#define CHAPAR_API_INSIDE_H

#include "channels/api/api.h"

struct api_context *api_of(const struct http_req *r);
const struct actor *api_actor(const struct http_req *r); /* never NULL: nobody has ACTOR_NOBODY */
int api_limit(struct http_req *r);                       /* ?limit= within 1–200; 50 when absent; -1 after replying */
/* The mark of a page: ?after=, or ?next= as the answers call it. NULL: the first page. */
const char *api_after(const struct http_req *r);
/* One fault at one field, as 422. code: "required", "type", "unknown", "choice", "range"… */
void api_fault(struct http_req *r, const char *field, const char *code, const char *message_word);
/* A member of a JSON body that is a text; NULL when it is absent or null, or of another type: then *wrong is its name. */
const char *api_text(const json_t *body, const char *name, const char **wrong);
/* The tracking code of the path, repaired; NULL after replying 404. */
const char *api_tracking(struct http_req *r);
void api_error(struct http_req *r, const struct err *err, const char *detail_word, json_t *errors); /* takes errors */
void api_list(struct http_req *r, int rc, json_t **out, const struct err *err);

/* The organisation that answers for a service, or its secretary where that depends on the place; "" when there is none. */
const char *api_owner(const struct api_context *c, const struct service *s);
void api_catalog(struct http_req *r); /* GET /catalog.jsonld */

/* Members "applicant", "consent", "document_seen", "bind_telephone" of a body; -1 after replying. */
int api_counter_read(struct http_req *r, const json_t *body, struct case_counter *k);

extern const struct http_route api_counter_rows[];
extern const size_t api_counter_count;
extern const struct http_route api_session_rows[], api_service_rows[], api_case_rows[], api_ledger_rows[], api_demo_rows[], api_desk_rows[], api_registry_rows[], api_message_rows[], api_admin_rows[];
extern const size_t api_session_count, api_service_count, api_case_count, api_ledger_count, api_demo_count, api_desk_count, api_registry_count, api_message_count, api_admin_count;
extern const struct http_route api_definition_rows[];
extern const size_t api_definition_count;
extern const struct http_route api_transfer_rows[];
extern const size_t api_transfer_count;
extern const struct http_route api_certificate_rows[];
extern const size_t api_certificate_count;
extern const struct http_route api_letter_rows[];
extern const size_t api_letter_count;

void api_exchange_examples(struct http_req *r); /* GET /demo/exchange */
extern const struct http_route api_exchange_rows[];
extern const size_t api_exchange_count;
extern const struct http_route api_statistics_rows[];
extern const size_t api_statistics_count;
extern const struct http_route api_network_rows[];
extern const size_t api_network_count;

#endif
