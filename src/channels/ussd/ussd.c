#include "channels/ussd/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORGET_MS (INT64_C(24) * 3600 * 1000)

/* ---- one row by telephone ---- */

struct row {
  const char *mobile;
  json_t *state;
  char *text;
};

static int load_work(struct store_tx *tx, void *arg, struct err *err) {
  struct row *k = arg;
  struct store_rows *r = store_select(tx, err, "SELECT state FROM ussd_session WHERE mobile=?1", "t", k->mobile);
  if (!r) return -1;
  int rc = store_next(r, err);
  json_decref(k->state);
  k->state = rc == 1 ? json_loads(store_text(r, 0), 0, NULL) : NULL;
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int save_work(struct store_tx *tx, void *arg, struct err *err) {
  struct row *k = arg;
  return store_put(tx, err, "INSERT INTO ussd_session (mobile,at,state) VALUES (?1,?2,?3) ON CONFLICT (mobile) DO UPDATE SET at=excluded.at,state=excluded.state",
                   "tit", k->mobile, clock_now(), k->text);
}

/* Forget dialogues of yesterday, a few at each turn. */
static int forget_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_put(tx, err, "DELETE FROM ussd_session WHERE mobile IN (SELECT mobile FROM ussd_session WHERE at<?1 LIMIT 20)", "i", clock_now() - FORGET_MS);
}

bool ussd_gateway_allowed(struct http_req *r, const char *secret, const char *allow) {
  const char *given = http_query(r, "secret");
  if (!given) given = http_header(r, "X-Secret");
  if (secret && (!given || strlen(given) != strlen(secret) || !trust_same(given, secret, strlen(secret)))) return false;
  return heard_allowed(allow, http_peer(r));
}

static bool allowed(struct http_req *r) {
  const struct ussd_context *c = http_ctx(r);
  return ussd_gateway_allowed(r, c->secret, c->allow);
}

/* ---- one exchange with a telephone ---- */

struct exchange {
  const char *mobile;
  const char *session;             /* the gateway's own name of it */
  const char *message;             /* name of this message, when the gateway may send it again; or NULL */
  const struct ussd_carrier *carrier;
  char **inputs;
  size_t count;
  bool begins;                     /* dialled: the first input, if any, chooses from the menu */
  bool all;                        /* inputs are all since the beginning (Africa's Talking), not the new ones */
  const char *screen;              /* the answer */
  bool end;
};

/* The same turn again: all inputs known already, or a message of the same name. It is answered alike. */
static bool again(const struct exchange *x, const json_t *state, size_t used) {
  if (!json_str(state, "last") || !base_same(json_str(state, "at_session"), x->session)) return false;
  return x->message ? base_same(json_str(state, "message"), x->message) : x->all && x->count && used == x->count;
}

static int keep(struct exchange *x, struct row *k, struct ussd_context *c, struct err *err) {
  json_put(k->state, "at_session", x->session);
  json_put(k->state, "message", x->message);
  json_put(k->state, "last", x->screen);
  json_object_set_new(k->state, "over", json_boolean(x->end));
  json_object_set_new(k->state, "used", json_integer(x->all ? (json_int_t)x->count : 0));
  k->text = json_canonical(k->state);
  int rc = store_write(c->store, STORE_FRONT, save_work, k, err);
  free(k->text);
  if (rc == 0 && x->end) rc = store_write(c->store, STORE_JOBS, forget_work, NULL, err);
  return rc;
}

/* Feed the inputs that are new, one after another; the last screen is the answer. All is saved before it is shown. */
static int exchange(struct http_req *r, struct exchange *x, struct err *err) {
  struct ussd_context *c = http_ctx(r);
  struct arena *a = http_arena(r);
  struct row k = {.mobile = x->mobile};
  int64_t now = clock_now();
  if (store_read(c->store, load_work, &k, err)) return -1;
  if (!k.state) k.state = json_object();
  x->end = false;
  bool known = base_same(json_str(k.state, "at_session"), x->session);
  size_t at = known && x->all ? (size_t)json_int(k.state, "used", 0) : 0;
  if (at > x->count) at = x->count;
  if (again(x, k.state, at)) {
    x->screen = arena_strdup(a, json_str(k.state, "last"));
    x->end = json_flag(k.state, "over", false);
    json_decref(k.state);
    return x->screen ? 0 : err_set(err, ERR_LIMIT, "the screen is too large");
  }
  if (x->all) x->begins = !known;
  /* silent for longer than a session lasts, or another session's: the question is no longer on the screen, so nothing answers it */
  bool late = !x->begins && (!known || now - json_int(k.state, "at", 0) > (c->session_seconds ? c->session_seconds : 180) * INT64_C(1000));
  if (late) at = x->count;
  const char *session = x->begins || late ? arena_printf(a, "%s/%lld", x->session, (long long)now) : arena_strdup(a, json_str(k.state, "session"));
  const char *first = x->begins && at < x->count ? x->inputs[at++] : NULL;
  int rc = session ? 0 : err_set(err, ERR_LIMIT, "the screen is too large");
  if (rc == 0 && (x->begins || at >= x->count)) rc = ussd_turn(c, x->carrier, k.state, x->mobile, session, first, a, &x->screen, &x->end, err);
  for (; at < x->count && rc == 0 && !x->end; at++) rc = ussd_turn(c, x->carrier, k.state, x->mobile, session, x->inputs[at], a, &x->screen, &x->end, err);
  if (rc == 0) rc = keep(x, &k, c, err);
  json_decref(k.state);
  return rc;
}

/* The centre ended it: nothing is answered, and a stray turn of that session no longer counts. What was saved waits for the next dialling. */
static void hang_up(struct ussd_context *c, const char *mobile) {
  struct row k = {.mobile = mobile};
  struct err err;
  if (store_read(c->store, load_work, &k, &err) || !k.state) return;
  json_object_del(k.state, "at_session");
  k.text = json_canonical(k.state);
  if (store_write(c->store, STORE_FRONT, save_work, &k, &err)) log_write(LOG_WARN, "ussd", "%s", err.message);
  free(k.text);
  json_decref(k.state);
}

static void plain(struct http_req *r, const char *text) { http_reply(r, 200, "text/plain; charset=utf-8", text, strlen(text)); }

/* ---- Africa's Talking ---- */

static void post_ussd(struct http_req *r) {
  struct ussd_context *c = http_ctx(r);
  struct err err;
  if (!allowed(r)) return http_problem_code(r, ERR_FORBIDDEN, NULL);
  const char *phone = http_form_value(r, "phoneNumber"), *session = http_form_value(r, "sessionId"), *text = http_form_value(r, "text");
  if (http_replied(r)) return;
  char mobile[32];
  if (!phone || !session || !session[0] || strlen(session) > 200 || identifier_parse(IDENT_MOBILE, phone, mobile))
    return http_problem_code(r, ERR_INVALID, word(http_lang(r), "ussd.bad_call"));
  if (text && strlen(text) > 2000) return http_problem_code(r, ERR_TOO_LARGE, NULL);
  if (!identity_limit(c->identity, "ussd", mobile, 120, 60)) return http_problem_code(r, ERR_RATE, NULL);
  if (http_form_value(r, "status")) { /* the event at a session's end */
    hang_up(c, mobile);
    return plain(r, "");
  }
  char *copy = arena_strdup(http_arena(r), text ? text : ""), *inputs[1001], *answer;
  struct exchange x = {.mobile = mobile, .session = session, .carrier = ussd_carrier_of(&c->carriers, http_form_value(r, "networkCode")), .inputs = inputs, .all = true};
  x.count = copy ? heard_inputs(copy, inputs, BASE_COUNT(inputs)) : 0;
  if (exchange(r, &x, &err)) {
    log_write(LOG_WARN, "ussd", "%s", err.message);
    answer = arena_printf(http_arena(r), "END %s", word(LANG_FA, "ussd.later"));
  } else answer = arena_printf(http_arena(r), "%s %s", x.end ? "END" : "CON", x.screen);
  plain(r, answer ? answer : "END");
}

/* ---- Kannel ---- */

/* 0 the 7-bit alphabet, 2 UCS-2: a Latin screen of 182 characters fits only in the first */
static void coding_of(struct http_req *r, const char *text) {
  size_t septets;
  http_reply_header(r, "X-Kannel-Coding", text_gsm7(text, &septets) ? "0" : "2");
}

/* Senders that are no mobile telephone (short numbers, names) and who writes too often get an empty answer, which sends nothing: machines
 * that answer each other would never end. */
static void answer_message(struct http_req *r, const char *phone, const char *text) {
  struct ussd_context *c = http_ctx(r);
  struct row k = {0};
  struct err err;
  char mobile[32];
  if (!phone || identifier_parse(IDENT_MOBILE, phone, mobile) || !identity_limit(c->identity, "sms", mobile, 10, 600)) return plain(r, "");
  k.mobile = mobile;
  if (store_read(c->store, load_work, &k, &err)) log_write(LOG_WARN, "ussd", "%s", err.message);
  const char *answer = ussd_message(c, k.state, mobile, text, http_arena(r));
  json_decref(k.state);
  coding_of(r, answer);
  plain(r, answer);
}

static void get_kannel(struct http_req *r) {
  struct ussd_context *c = http_ctx(r);
  struct arena *a = http_arena(r);
  struct err err;
  struct heard h;
  if (!allowed(r)) return http_problem_code(r, ERR_FORBIDDEN, NULL);
  const char *phone = http_query(r, "msisdn"), *text = http_query(r, "text"), *id = http_query(r, "id");
  const struct ussd_carrier *carrier = ussd_carrier_of(&c->carriers, http_query(r, "smsc"));
  enum heard_kind kind = heard_kannel(http_raw_query(r), carrier, &h);
  if (!text) text = "";
  if (strlen(text) > 2000) return http_problem_code(r, ERR_TOO_LARGE, NULL);
  if (kind == HEARD_MESSAGE) return answer_message(r, phone, text);
  char mobile[32], meta[80];
  if (!phone || identifier_parse(IDENT_MOBILE, phone, mobile)) return http_problem_code(r, ERR_INVALID, word(http_lang(r), "ussd.bad_call"));
  if (kind == HEARD_OVER) {
    log_write(LOG_DEBUG, "ussd", "the centre ended a dialogue with operation %d", h.op);
    hang_up(c, mobile);
    return plain(r, "");
  }
  char *copy = arena_strdup(a, text), *inputs[1001], session[8] = "k";
  if (h.has_its) snprintf(session, sizeof session, "k%02x", h.its[0]);
  struct exchange x = {.mobile = mobile, .session = session, .message = id && id[0] && strlen(id) < 80 ? id : NULL, .carrier = carrier, .inputs = inputs,
                       .begins = kind == HEARD_BEGINS, .screen = word(LANG_FA, "ussd.later"), .end = true};
  if (x.begins && copy) { /* *4015*31#: what follows the service's own code */
    copy[strcspn(copy, "#")] = 0;
    x.count = heard_inputs(copy, inputs, BASE_COUNT(inputs));
    if (x.count) x.inputs++, x.count--;
  } else if (copy) inputs[x.count++] = copy;
  if (identity_limit(c->identity, "ussd", mobile, 120, 60) && exchange(r, &x, &err)) {
    log_write(LOG_WARN, "ussd", "%s", err.message);
    x.screen = word(LANG_FA, "ussd.later");
    x.end = true;
  }
  heard_meta(&h, carrier, x.end, meta);
  coding_of(r, x.screen);
  http_reply_header(r, "X-Kannel-Meta-Data", meta);
  plain(r, x.screen);
}

static const struct http_route rows[] = {
  {"POST", "/ussd", HTTP_WORKER, 0, HTTP_MACHINE, 8192, post_ussd, "One turn of a USSD dialogue (Africa's Talking form)."},
  {"GET", "/ussd/kannel", HTTP_WORKER, 0, HTTP_MACHINE, 0, get_kannel, "One turn of a USSD dialogue, or a text message (Kannel)."},
};

int ussd_routes(struct http_server *s, struct ussd_context *ctx, struct err *err) { return http_server_routes(s, rows, BASE_COUNT(rows), ctx, err); }
