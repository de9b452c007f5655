/*
 * web: pages for citizens and a plain desk for staff, under every path that is not /api/v1, /ussd, /ledger/… or /demo/….
 * Layer 6: translates, never decides. All HTML is in templates/, all words in locale/words-web.csv. No page needs a script.
 *
 * Cookies: "session" ("__Host-session" when secure), HttpOnly, holds the session's token; "visitor", HttpOnly,
 * random, keeps drafts of people who have not signed in and binds their form tokens (identity_anonymous_token); "lang".
 * The authorise hook reads the session, sets http_user(struct actor) and, on HTTP_TOKEN rows, checks the form field "form_token".
 */
#ifndef CHAPAR_WEB_H
#define CHAPAR_WEB_H

#include "cases/cases.h"
#include "certificates/certificates.h"
#include "exchange/exchange.h"
#include "http/http.h"
#include "http/template.h"
#include "identity/identity.h"
#include "network/network.h"
#include "observatory/observatory.h"
#include "registries/registries.h"
#include "trust/trust.h"

struct web_context {
  struct cases *cases;
  struct identity *identity;
  struct registries *registries;
  struct certificates *certificates;
  struct observatory *observatory;
  struct exchange *exchange;        /* NULL: without */
  struct trust *trust;
  struct network *network;
  struct store *store;              /* main: for network/people.h */
  const unsigned char *secret;      /* 32 bytes of the platform */
  const struct template_set *templates;
  const char *base_url;             /* "https://khorasan.example", no slash at the end, or "": links of QR codes are then made of Host */
  bool demo;                        /* shows the banner and where messages can be read */
  bool secure;                      /* https: names of cookies get the prefix __Host- */
  int submissions_per_minute;       /* an address without a session may submit so often; 0: no limit */
};
/* Add the rows of this channel. ctx is kept. */
int web_routes(struct http_server *s, struct web_context *ctx, struct err *err);
/* The error hook (http_error_page); ctx is the same struct web_context. Always replies. */
void web_error_page(struct http_req *r, int status, const struct err *err, void *ctx);
/* Name of the session's cookie, for the authorise hook. */
const char *web_session_cookie(const struct web_context *ctx);
const char *web_acting_cookie(const struct web_context *ctx);   /* names the mandate under which its browser acts; it proves nothing */

#endif
