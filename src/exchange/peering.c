/* What gateways ask of each other about the directory, keys and the platform's ledger: rows of the listener with certificates on both sides. Who
 * asks is told by the certificate; only a request to join comes from somebody unknown, with a one-time code. */
#include "exchange/publish.h"
#include "exchange/snapshot.h"

#include <stdlib.h>
#include <string.h>

static void refuse(struct http_req *r, const struct err *err) { http_problem(r, err, err->message, NULL); }

/* The gateway that asks, or NULL after a refusal. *m: held, to be dropped. */
static const struct gateway *who(struct http_req *r, struct members **m) {
  struct exchange *x = http_ctx(r);
  unsigned char certificate[32];
  struct err err;
  *m = members_hold(x);
  const struct gateway *g = http_client_certificate(r, certificate) ? members_by_certificate(*m, certificate) : NULL;
  if (g) return g;
  members_drop(*m);
  *m = NULL;
  err_set(&err, ERR_FORBIDDEN, "the directory knows no gateway with the certificate that came with this call");
  refuse(r, &err);
  return NULL;
}

/* Of rows that take a body: nothing of it is taken from whom the directory does not know. */
static void admit_gateway(struct http_req *r) {
  struct members *m;
  if (who(r, &m)) members_drop(m);
}

static void get_directory(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct members *m;
  const struct gateway *g = who(r, &m);
  const char *have = http_query(r, "have");
  int64_t version = 0;
  struct err err;
  size_t n;
  if (!g) return;
  if (have && parse_i64(have, &version)) version = 0;
  const char *text = members_text(m, &n);
  if (x->publisher && version > 0 && operator_known(x, g->id, version, &err)) log_write(LOG_WARN, "exchange", "%s", err.message);
  if (version == members_version(m)) http_reply(r, 204, "text/plain; charset=utf-8", "", 0);
  else http_reply(r, 200, "text/plain; charset=utf-8", text, n);
  members_drop(m);
}

static void post_directory(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct members *m;
  struct err err;
  size_t n;
  const struct gateway *g = who(r, &m);
  if (!g) return;
  const char *text = http_body(r, &n);
  bool from_operator = !x->publisher && strcmp(g->id, members_operator_server(m)) == 0; /* what another passes on is taken, but says nothing of its being the newest */
  members_drop(m);
  if (members_take(x, text, n, &err) < 0) return refuse(r, &err);
  if (from_operator) members_confirmed(x);
  m = members_hold(x);
  http_reply_json(r, 200, json_pack("{s:I}", "version", (json_int_t)members_version(m)));
  members_drop(m);
}

static void post_join(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  unsigned char certificate[32];
  char id[40];
  struct err err;
  size_t n;
  const char *text = http_body(r, &n);
  if (!http_client_certificate(r, certificate)) {
    err_set(&err, ERR_FORBIDDEN, "a request to join comes with the gateway's own certificate");
    return refuse(r, &err);
  }
  if (operator_request(x, text, n, certificate, id, &err)) return refuse(r, &err);
  http_reply_json(r, 202, json_pack("{s:s,s:s}", "request", id, "decision", "waiting"));
}

static void get_join(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  unsigned char certificate[32] = {0}, public[128];
  char decision[16];
  size_t n;
  struct err err;
  bool shown = http_client_certificate(r, certificate);
  if (!shown) err_set(&err, ERR_FORBIDDEN, "the answer is for the gateway that asked: its certificate is missing");
  if (!shown || operator_request_state(x, http_param(r, "id"), certificate, decision, &err)) return refuse(r, &err);
  json_t *o = json_pack("{s:s}", "decision", decision);
  if (strcmp(decision, "approved") == 0 && keys_public(x->keys, SLOT_OPERATOR, NULL, public, &n)) {
    char *body = base64_encode(public, n), *pem = base_printf("-----BEGIN PUBLIC KEY-----\n%.64s\n%s\n-----END PUBLIC KEY-----\n", body, strlen(body) > 64 ? body + 64 : "");
    json_put(o, "operator_key", pem);
    free(body);
    free(pem);
  }
  http_reply_json(r, 200, o);
}

static void announce(struct http_req *r, bool retire) {
  struct exchange *x = http_ctx(r);
  struct members *m;
  struct err err;
  size_t n;
  const struct gateway *g = who(r, &m);
  if (!g) return;
  const char *text = http_body(r, &n);
  int rc = operator_announce(x, text, n, g->id, retire, &err);
  members_drop(m);
  if (rc) return refuse(r, &err);
  m = members_hold(x);
  http_reply_json(r, 200, json_pack("{s:I}", "version", (json_int_t)members_version(m)));
  members_drop(m);
}
static void post_keys(struct http_req *r) { announce(r, false); }
static void post_switch(struct http_req *r) { announce(r, true); }

static void get_handover(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct members *m;
  struct err err;
  int64_t have = 0;
  char *directory = NULL;
  size_t n = 0;
  const char *text = http_query(r, "have");
  if (!who(r, &m)) return;
  members_drop(m);
  if (!text || parse_i64(text, &have)) err_set(&err, ERR_INVALID, "say which version you have: ?have=N");
  else if (handover_next(x, have, &directory, &n, &err) == 0) return http_reply_take(r, 200, "text/plain; charset=utf-8", directory, n);
  refuse(r, &err);
}

static void get_known(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct members *m;
  struct err err;
  json_t *waiting = NULL;
  int64_t version = 0;
  const char *text = http_query(r, "version");
  if (!who(r, &m)) return;
  members_drop(m);
  if (!text || parse_i64(text, &version)) {
    err_set(&err, ERR_INVALID, "say which version: ?version=N");
    return refuse(r, &err);
  }
  if (operator_all_know(x, version, &waiting, &err)) return refuse(r, &err);
  http_reply_json(r, 200, json_pack("{s:o}", "waiting", waiting));
}

/* ---- the platform's ledger, for witnesses ---- */

static bool watched(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct members *m;
  if (!who(r, &m)) return false;
  members_drop(m);
  if (x->platform) return true;
  http_problem_code(r, ERR_NOT_FOUND, "no ledger is watched here");
  return false;
}

static void get_checkpoint(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct err err;
  char *text = NULL;
  if (!watched(r)) return;
  if (trust_checkpoint(x->platform, &text, &err)) return refuse(r, &err);
  http_reply_take(r, 200, "text/plain; charset=utf-8", text, strlen(text));
}

static void get_consistency(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct err err;
  json_t *out = NULL;
  int64_t first, second;
  const char *a = http_query(r, "first"), *b = http_query(r, "second");
  if (!watched(r)) return;
  if (!a || !b || parse_i64(a, &first) || parse_i64(b, &second)) err_set(&err, ERR_INVALID, "say between which sizes: ?first=M&second=N");
  else if (trust_consistency(x->platform, first, second, &out, &err) == 0) return http_reply_json(r, 200, out);
  refuse(r, &err);
}

static void post_cosignature(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct members *m;
  struct err err;
  size_t n;
  if (!watched(r)) return;
  const struct gateway *g = who(r, &m);
  if (!g) return;
  const char *body = http_body(r, &n);
  char *text = arena_strndup(http_arena(r), body, n);
  int rc = text && members_witness(m, g)[0] ? trust_cosign(x->platform, members_witness(m, g), text, &err) : err_set(&err, ERR_FORBIDDEN, "the directory names no witness's key of %s", g->id);
  members_drop(m);
  if (rc) return refuse(r, &err);
  http_reply(r, 204, "text/plain; charset=utf-8", "", 0);
}

static const struct http_route rows[] = {
  {"GET", "/exchange/directory", HTTP_WORKER, 0, HTTP_MACHINE, 0, get_directory, "The signed member directory; 204 when ?have= is the newest."},
  {"GET", "/exchange/directory/handover", HTTP_WORKER, 0, HTTP_MACHINE, 0, get_handover, "The first directory after ?have= that names a next key of the operator."},
  {"POST", "/exchange/directory", HTTP_WORKER, 0, HTTP_MACHINE, SIGNED_MOST, post_directory, "The operator brings a new directory.", .admit = admit_gateway},
  {"POST", "/exchange/join", HTTP_WORKER, 0, HTTP_MACHINE, 16384, post_join, "A gateway asks to be taken in, with a one-time code."},
  {"GET", "/exchange/join/{id}", HTTP_WORKER, 0, HTTP_MACHINE, 0, get_join, "What was decided about one's own request."},
  {"POST", "/exchange/keys", HTTP_WORKER, 0, HTTP_MACHINE, 16384, post_keys, "A gateway announces its next keys.", .admit = admit_gateway},
  {"POST", "/exchange/keys/switch", HTTP_WORKER, 0, HTTP_MACHINE, 16384, post_switch, "A gateway uses its new keys; the old ones end.", .admit = admit_gateway},
  {"GET", "/exchange/known", HTTP_WORKER, 0, HTTP_MACHINE, 0, get_known, "Which gateways do not know a version yet."},
  {"GET", "/ledger/checkpoint", HTTP_WORKER, 0, HTTP_MACHINE, 0, get_checkpoint, "The platform's newest checkpoint, for witnesses."},
  {"GET", "/api/v1/ledger/consistency", HTTP_WORKER, 0, HTTP_MACHINE, 0, get_consistency, "That the platform's log continues, for witnesses."},
  {"POST", "/exchange/cosignature", HTTP_WORKER, 0, HTTP_MACHINE, 16384, post_cosignature, "A witness's co-signature under a checkpoint.", .admit = admit_gateway},
};

int directory_routes(struct http_server *s, struct exchange *x, struct err *err) { return http_server_routes(s, rows, BASE_COUNT(rows), x, err); }
void exchange_watch(struct exchange *x, struct trust *platform) {
  x->platform = platform;
  if (x->publisher) x->publisher->dirty = true;
}
