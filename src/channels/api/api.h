/*
 * api: JSON under /api/v1, the ledger's public paths, /catalog.jsonld, the demonstration's paths. Layer 6: translates, never decides.
 */
#ifndef CHAPAR_API_H
#define CHAPAR_API_H

#include "cases/cases.h"
#include "certificates/certificates.h"
#include "exchange/exchange.h"
#include "http/http.h"
#include "identity/identity.h"
#include "network/network.h"
#include "observatory/observatory.h"
#include "registries/registries.h"
#include "trust/trust.h"

struct api_context {
  struct cases *cases;
  struct identity *identity;
  struct registries *registries;
  struct certificates *certificates;
  struct observatory *observatory;
  struct trust *trust;
  struct exchange_data *data;       /* registries as data services */
  struct exchange *exchange;        /* NULL: no gateway runs in this process */
  struct network *network;
  struct http_feed *network_feed;   /* GET /api/v1/network/events */
  struct http_server *server;       /* for the list of routes */
  const char *base_url;             /* "https://…" or "" : for catalogue entries */
  bool demo;
  json_t *demo_accounts;            /* [{"username","password","organisation","role"}], demonstrations only */
  int (*outbox)(void *ctx, int limit, json_t **out, struct err *err); /* GET /demo/outbox, demonstrations only */
  void *outbox_ctx;
  int submissions_per_minute;       /* an address without a session may submit so often; 0: no limit */
};
/* Add the rows of this channel. ctx is kept. */
int api_routes(struct http_server *s, struct api_context *ctx, struct err *err);

#endif
