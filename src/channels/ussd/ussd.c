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

static bool allowed(struct http_req *r) {
  const struct ussd_context *c = http_ctx(r);
  const char *peer = http_peer(r), *given = http_query(r, "secret");
  if (!given) given = http_header(r, "X-Secret");
  if (c->secret && (!given || strlen(given) != strlen(c->secret) || !trust_same(given, c->secret, strlen(c->secret)))) return false;
  if (!c->allow || !c->allow[0]) return true;
  size_t n = strlen(peer);
  for (const char *at = c->allow; (at = strstr(at, peer)); at++)
    if ((at == c->allow || at[-1] == ',' || at[-1] == ' ') && (!at[n] || at[n] == ',' || at[n] == ' ')) return true;
  return false;
}

/* Feed the inputs that are new, one after another; the last screen is the answer. All is saved before it is shown.
 * session NULL: goes on with the one that is there. used: how many inputs the caller has now sent in all. */
static int dialogue(struct http_req *r, const char *mobile, const char *session, char **inputs, size_t count, bool begins, size_t used, const char **screen, bool *end, struct err *err) {
  struct ussd_context *c = http_ctx(r);
  struct arena *a = http_arena(r);
  struct row k = {.mobile = mobile};
  int rc = store_read(c->store, load_work, &k, err);
  if (rc == 0 && !k.state) k.state = json_object();
  const char *name = session ? session : rc == 0 ? arena_strdup(a, json_str(k.state, "session")) : NULL;
  if (!name) name = "one";
  *end = false;
  if (rc == 0 && !begins && count == 0 && used && json_str(k.state, "last") && (size_t)json_int(k.state, "used", 0) == used) { /* sent again: answered alike */
    *screen = arena_strdup(a, json_str(k.state, "last"));
    *end = json_flag(k.state, "over", false);
    json_decref(k.state);
    return *screen ? 0 : err_set(err, ERR_LIMIT, "the screen is too large");
  }
  if (rc == 0 && (begins || count == 0)) rc = ussd_turn(c, k.state, mobile, name, begins && count ? inputs[0] : NULL, a, screen, end, err);
  for (size_t i = begins ? 1 : 0; i < count && rc == 0 && !*end; i++) rc = ussd_turn(c, k.state, mobile, name, inputs[i], a, screen, end, err);
  if (rc == 0) {
    json_put(k.state, "at_session", name);
    json_put(k.state, "last", *screen);
    json_object_set_new(k.state, "over", json_boolean(*end));
    json_object_set_new(k.state, "used", json_integer((json_int_t)used));
    k.text = json_canonical(k.state);
    rc = store_write(c->store, STORE_FRONT, save_work, &k, err);
    free(k.text);
  }
  if (rc == 0 && *end) rc = store_write(c->store, STORE_JOBS, forget_work, NULL, err);
  json_decref(k.state);
  return rc;
}

static const char *trouble(struct http_req *r) { return word(LANG_FA, "ussd.later"); }

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
  /* all inputs so far, joined by '*': those that this dialogue has seen already are passed over */
  char *copy = arena_strdup(http_arena(r), text ? text : ""), *inputs[128], *save = NULL;
  size_t count = 0;
  for (char *s = copy ? strtok_r(copy, "*", &save) : NULL; s && count < BASE_COUNT(inputs); s = strtok_r(NULL, "*", &save)) inputs[count++] = s;
  struct row k = {.mobile = mobile};
  const char *screen = "";
  bool end = false;
  if (store_read(c->store, load_work, &k, &err) == 0) {
    bool same = k.state && base_same(json_str(k.state, "at_session"), session);
    size_t used = same ? (size_t)json_int(k.state, "used", 0) : 0;
    json_decref(k.state);
    if (used > count) used = count;
    if (dialogue(r, mobile, session, inputs + used, count - used, !same, count, &screen, &end, &err) == 0) {
      char *answer = arena_printf(http_arena(r), "%s %s", end ? "END" : "CON", screen);
      return http_reply(r, 200, "text/plain; charset=utf-8", answer, strlen(answer));
    }
  }
  log_write(LOG_WARN, "ussd", "%s", err.message);
  char *answer = arena_printf(http_arena(r), "END %s", trouble(r));
  http_reply(r, 200, "text/plain; charset=utf-8", answer, strlen(answer));
}

/* ---- Kannel ---- */

/* One parameter as it was sent, percent-encoding kept: TLVs hold any byte, NUL too. */
static const char *raw_param(struct http_req *r, const char *name) {
  size_t n = strlen(name);
  for (const char *q = http_raw_query(r); q && *q; q = strchr(q, '&') ? strchr(q, '&') + 1 : NULL)
    if (strncmp(q, name, n) == 0 && q[n] == '=') return arena_strndup(http_arena(r), q + n + 1, strcspn(q + n + 1, "&"));
  return "";
}

static size_t unpercent(const char *s, unsigned char *out, size_t most) {
  size_t n = 0;
  for (; *s && n < most; n++) {
    if (*s == '%' && hex_decode((char[3]){s[1], s[1] ? s[2] : 0, 0}, out + n, 1) == 0) s += 3;
    else out[n] = (unsigned char)*s++;
  }
  return n;
}

/* 0 the 7-bit alphabet, 2 UCS-2: a Latin screen of 182 characters fits only in the first */
static void coding_of(struct http_req *r, const char *text) {
  size_t septets;
  http_reply_header(r, "X-Kannel-Coding", text_gsm7(text, &septets) ? "0" : "2");
}

static void get_kannel(struct http_req *r) {
  struct ussd_context *c = http_ctx(r);
  struct arena *a = http_arena(r);
  struct err err;
  if (!allowed(r)) return http_problem_code(r, ERR_FORBIDDEN, NULL);
  const char *phone = http_query(r, "msisdn"), *text = http_query(r, "text"), *raw_op = raw_param(r, "op"), *raw_its = raw_param(r, "its");
  char mobile[32];
  unsigned char op = 0, its[2] = {0};
  if (!phone || identifier_parse(IDENT_MOBILE, phone, mobile) || (text && strlen(text) > 500)) return http_problem_code(r, ERR_INVALID, word(http_lang(r), "ussd.bad_call"));
  if (!identity_limit(c->identity, "ussd", mobile, 120, 60)) return http_problem_code(r, ERR_RATE, NULL);
  if (!raw_op[0] || unpercent(raw_op, &op, 1) == 0) { /* a plain text message */
    const char *answer = ussd_message(c, text ? text : "", a);
    coding_of(r, answer);
    return http_reply(r, 200, "text/plain; charset=utf-8", answer, strlen(answer));
  }
  size_t have = unpercent(raw_its, its, 2);
  bool begins = op == 1;
  char *copy = arena_strdup(a, text ? text : ""), *inputs[64], *save = NULL, session[48];
  size_t count = 0;
  if (begins) { /* *4015*31#: what follows the service's own code */
    copy[strcspn(copy, "#")] = 0;
    for (char *s = strtok_r(copy, "*", &save); s && count < BASE_COUNT(inputs); s = strtok_r(NULL, "*", &save)) inputs[count++] = s;
  } else inputs[count++] = copy;
  snprintf(session, sizeof session, "k%02x-%lld", have ? its[0] : 0, begins ? (long long)clock_now() : 0LL);
  const char *screen = trouble(r);
  bool end = true;
  if (dialogue(r, mobile, begins ? session : NULL, begins && count ? inputs + 1 : inputs, begins && count ? count - 1 : count, begins, 0, &screen, &end, &err))
    log_write(LOG_WARN, "ussd", "%s", err.message);
  /* 2 asks for more, 17 ends; the session's TLV comes back with its last bit telling the end */
  char *meta = arena_printf(a, "?smpp?ussd_service_op=%%%02X", end ? 17 : 2);
  if (have == 2) meta = arena_printf(a, "%s&its_session_info=%%%02X%%%02X", meta, its[0], (its[1] & 0xfe) | (end ? 1 : 0));
  coding_of(r, screen);
  http_reply_header(r, "X-Kannel-Meta-Data", meta);
  http_reply(r, 200, "text/plain; charset=utf-8", screen, strlen(screen));
}

static const struct http_route rows[] = {
  {"POST", "/ussd", HTTP_WORKER, 0, HTTP_MACHINE, 8192, post_ussd, "One turn of a USSD dialogue (Africa's Talking form)."},
  {"GET", "/ussd/kannel", HTTP_WORKER, 0, HTTP_MACHINE, 0, get_kannel, "One turn of a USSD dialogue, or a text message (Kannel)."},
};

int ussd_routes(struct http_server *s, struct ussd_context *ctx, struct err *err) { return http_server_routes(s, rows, BASE_COUNT(rows), ctx, err); }
