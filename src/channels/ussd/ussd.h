/*
 * ussd: menus on any telephone, made from the same definitions as pages and API. Layer 6: translates, never decides.
 *
 * Two adapters over one engine: POST /ussd (Africa's Talking form) and GET /ussd/kannel (Kannel's sms-service, SMPP's TLVs as raw
 * percent-encoded bytes). The state of a dialogue is one row by telephone, saved before each answer: who is cut off goes on when dialling again
 * within 30 minutes. What the centre ends, and what comes after the session's time, answers no question. No screen is longer than the carrier's
 * limit (80 characters when it holds anything outside GSM 03.38, else 182).
 */
#ifndef CHAPAR_USSD_H
#define CHAPAR_USSD_H

#include "cases/cases.h"
#include "http/http.h"
#include "identity/identity.h"
#include "store/store.h"

/* How a carrier's centre does it: one row of the setting ussd_carriers, such as `* screen=80/182; mci screen=70/160 ops=1/18/2/17 end=bit`.
 * name: Kannel's smsc-id, or networkCode; * is what the others begin with. */
struct ussd_carrier {
  char name[32];
  int unicode, gsm;                         /* characters a screen: with anything outside GSM 03.38, and without */
  unsigned char begins, reply, asks, ends;  /* ussd_service_op from the centre (first two) and to it */
  bool end_bit;                             /* the last bit of its_session_info tells the end, both ways */
};
struct ussd_carriers { struct ussd_carrier rows[17]; size_t count; };
int ussd_carriers_read(const char *setting, struct ussd_carriers *out, struct err *err); /* ERR_INVALID with what is wrong */
const struct ussd_carrier *ussd_carrier_of(const struct ussd_carriers *c, const char *name); /* never NULL; name NULL or unknown: row * */

struct ussd_context {
  struct cases *cases;
  struct identity *identity;
  struct store *store;       /* the main store: its table ussd_session */
  const char *secret;        /* demanded as ?secret= or header X-Secret; NULL: none */
  const char *allow;         /* addresses, by comma, that may call; NULL: every one */
  struct ussd_carriers carriers;
  int session_seconds;       /* who was silent longer was cut off: what comes then answers nothing, going on is offered; 0: 180 */
};
int ussd_routes(struct http_server *s, struct ussd_context *ctx, struct err *err);

/* The engine by itself, for tests and simulations: one turn. carrier NULL: the usual one. state: JSON object of the dialogue so far (changed in
 * place; empty at the start). input: what was typed, NULL at the beginning. *screen: arena-owned text within the limits. *end: it is over. */
int ussd_turn(struct ussd_context *c, const struct ussd_carrier *carrier, json_t *state, const char *mobile, const char *session, const char *input,
              struct arena *a, const char **screen, bool *end, struct err *err);
/* A text message with a tracking code is answered with the case's state; anything else with how to go on. state: of this telephone's last
 * dialogue (its language), or NULL. */
const char *ussd_message(struct ussd_context *c, const json_t *state, const char *mobile, const char *text, struct arena *a);

/* May this request of a gateway be answered: its address is listed (an empty list: everybody) and it knows the secret (?secret= or X-Secret;
 * NULL: none is asked). */
bool ussd_gateway_allowed(struct http_req *r, const char *secret, const char *allow);

#endif
