/*
 * ussd: menus on any telephone, made from the same definitions as pages and API. Layer 6: translates, never decides.
 *
 * Two adapters over one engine: POST /ussd (Africa's Talking form) and GET /ussd/kannel (Kannel's sms-service, SMPP's TLVs as raw
 * percent-encoded bytes). The state of a dialogue is one row by telephone, saved before each answer: who is cut off goes on when dialling again
 * within 30 minutes. No screen is longer than the carrier's limit (80 characters when it holds anything outside GSM 03.38, else 182).
 */
#ifndef CHAPAR_USSD_H
#define CHAPAR_USSD_H

#include "cases/cases.h"
#include "http/http.h"
#include "identity/identity.h"
#include "store/store.h"

struct ussd_context {
  struct cases *cases;
  struct identity *identity;
  struct store *store;       /* the main store: its table ussd_session */
  const char *secret;        /* demanded as ?secret= or header X-Secret; NULL: none */
  const char *allow;         /* addresses, by comma, that may call; NULL: every one */
  int unicode_limit, gsm_limit; /* characters a screen; 0: 80 and 182 */
};
int ussd_routes(struct http_server *s, struct ussd_context *ctx, struct err *err);

/* The engine by itself, for tests and simulations: one turn. state: JSON object of the dialogue so far (changed in place; empty at the start).
 * input: what was typed, NULL at the beginning. *screen: arena-owned text within the limits. *end: the dialogue is over. */
int ussd_turn(struct ussd_context *c, json_t *state, const char *mobile, const char *session, const char *input, struct arena *a,
              const char **screen, bool *end, struct err *err);
/* A text message with a tracking code is answered with the case's state; anything else with how to go on. */
const char *ussd_message(struct ussd_context *c, const char *text, struct arena *a);

#endif
