/* Shared by the pages of administration alone. */
#ifndef CHAPAR_WEB_ADMIN_H
#define CHAPAR_WEB_ADMIN_H

#include "channels/web/inside.h"

/* A value of the query (GET) or the form (POST), repaired; NULL when absent or empty. */
const char *admin_value(struct http_req *r, const char *name);
bool admin_sees_all(const struct http_req *r);                   /* operator or auditor */
/* The organisation that a page is about: the one given, else a manager's own; NULL: all, for operators and auditors. False after replying
 * 404: unknown, or not theirs. */
bool admin_scope(struct http_req *r, const char **organisation);
json_t *admin_page(struct http_req *r, const char *title, const char *organisation);
const char *admin_href(struct http_req *r, const char *path, const char *organisation);
const char *admin_organisation_name(struct http_req *r, const char *code); /* the code where it is unknown */
json_t *admin_options(struct http_req *r, const char *const *values, size_t n, const char *group, const char *chosen); /* labels "web.<group>_<value>" */

extern const struct http_route web_admin_rows[], web_account_rows[], web_acts_rows[], web_closure_rows[], web_switch_rows[], web_standard_rows[], web_proposal_rows[], web_gateway_rows[];
extern const size_t web_admin_count, web_account_count, web_acts_count, web_closure_count, web_switch_count, web_standard_count, web_proposal_count, web_gateway_count;

#endif
