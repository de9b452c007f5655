/* The gateway of who asks. Order of checks as X-Road's: directory, own certificate, parse, client registered, its TLS, route; then sign, log, send,
 * verify, log, release. What changes nothing is sent while it is being logged (evidence_pass). */
#include "exchange/side.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define P "server.clientproxy."
enum { MOST_GATEWAYS = 16, AGAIN_MS = 300 };

/* One message on its way. */
struct way {
  struct exchange *x;
  struct arena *a;
  struct members *m;
  const struct call *q;
  struct fault *fault;
  struct target target;
  struct exchange_id client, forced;
  bool force, named;                       /* named: the message id is the information system's, so that it may come again */
  char message_id[200], request_id[37], hash[89];
  struct message request;                  /* as the information system sent it, cleaned, with our ids: each attempt signs a copy */
  struct exchange_signer signer;
  char keyid[65];
  struct evidence *log;                    /* of the attempt: its request, and the answer that is believed */
  int64_t began, deadline;                 /* µs, ms (monotonic) */
  bool digest_only;
};

static int fail(struct way *w, const char *code, const struct err *err) { return fault_set(w->fault, code, "%s", err->message); }

/* ---- who asks ---- */

static int read_client(struct arena *a, const struct http_pair *headers, size_t count, struct exchange_id *out, struct fault *fault) {
  struct err err;
  const char *text = NULL;
  for (size_t i = 0; i < count; i++)
    if (strcasecmp(headers[i].name, "X-Road-Client") == 0) text = headers[i].value;
  if (!text || !text[0]) return fault_set(fault, P "invalid_client_identifier", "The client identifier is missing");
  if (id_decode(text, 3, 4, out, &err)) return fault_set(fault, P "invalid_client_identifier", "Invalid client identifier (X-Road-Client): %s", err.message);
  return 0;
}

static int judge_tls(const struct subsystem *s, const struct call *q, const char *client, struct fault *fault) {
  if (q->inside) return 0;
  if (!q->near && s->tls != TLS_MUTUAL)
    return fault_set(fault, P "access_denied", "Client (%s) is not known by a certificate, so it may call from this machine and from addresses named in exchange_allow alone: give it certificates, or name this address", client);
  if (s->tls == TLS_PLAIN) return 0;
  if (!q->encrypted) return fault_set(fault, P "ssl_authentication_failed", "Client (%s) specifies HTTPS but client made plaintext connection", client);
  if (s->tls == TLS_HTTPS) return 0;
  if (!q->certified) return fault_set(fault, P "ssl_authentication_failed", "Client (%s) specifies HTTPS but did not supply TLS certificate", client);
  for (size_t i = 0; i < s->pin_count; i++)
    if (memcmp(s->pins[i], q->certificate, 32) == 0) return 0;
  return fault_set(fault, P "ssl_authentication_failed", "Client (%s) TLS certificate does not match any IS certificates", client);
}

int consumer_admit(struct exchange *x, struct members *m, struct arena *a, const struct call *q, struct exchange_id *client, struct fault *fault) {
  char shown[EXCHANGE_ID + 20];
  if (read_client(a, q->headers, q->header_count, client, fault)) return -1;
  struct book *b = book_hold(x);
  const struct subsystem *s = book_subsystem(b, client);
  int rc;
  id_shown(client, shown);
  if (!s || !members_known(m, client, client->subsystem[0] ? 4 : 3)) rc = fault_set(fault, P "unknown_member", "Client '%s' not found", shown);
  else rc = judge_tls(s, q, shown, fault);
  book_drop(b);
  return rc;
}

static int check_self(struct way *w) {
  enum members_state state = members_state(w->x, w->m);
  const struct gateway *of;
  const void *key;
  size_t n;
  struct err err;
  if (state == MEMBERS_NONE) return fault_set(w->fault, P "global_conf_outdated", "This gateway knows no member directory yet: it has not joined");
  if (state == MEMBERS_EXPIRED) return fault_set(w->fault, P "global_conf_outdated", "The member directory of this gateway is out of date: it could not be renewed for longer than its grace");
  keys_signer(w->x->keys, &w->signer, w->keyid);
  if (!w->keyid[0]) return fault_set(w->fault, P "ssl_authentication_failed", "Security server has no authentication certificate");
  if (members_key(w->m, w->keyid, clock_now(), &of, &key, &n, &err)) return fault_set(w->fault, P "cert_validation", "This gateway's own signing key is not good: %s", err.message);
  return 0;
}

/* ---- the request ---- */

static int read_forced(struct way *w) {
  const char *text = message_header(&w->request, "X-Road-Security-Server"), *party = message_header(&w->request, "X-Road-Represented-Party");
  struct exchange_id id;
  struct err err;
  if (text) {
    if (id_decode(text, 4, 4, &w->forced, &err)) return fault_set(w->fault, P "invalid_security_server", "Invalid security server identifier \"%.200s\": %s", text, err.message);
    w->force = true;
  }
  if (party && id_decode(party, 1, 2, &id, &err)) return fault_set(w->fault, P "invalid_request", "Invalid represented party \"%.200s\": %s", party, err.message);
  return 0;
}

static bool good_message_id(const char *s) {
  size_t n = strlen(s);
  if (!n || n >= sizeof ((struct way *)0)->message_id || !utf8_valid(s, n)) return false;
  for (; *s; s++)
    if ((unsigned char)*s < 0x20 || *s == 0x7f) return false;
  return true;
}

/* What goes to the peer, before it is signed: the information system's headers without what is dropped, our request id, a made message id. */
static int build(struct way *w) {
  static const char *const ours[] = {"X-Road-Request-Id", "X-Road-Request-Hash", "X-Road-Service", "X-Road-Error", "Chapar-Async"};
  struct message *r = &w->request;
  struct err err;
  r->method = w->q->method;
  r->content = w->q->content && w->q->content->size ? w->q->content : NULL;
  if (message_take(r, w->a, w->q->headers, w->q->header_count, true, &err)) return fail(w, P "invalid_request", &err);
  message_clean(r);
  for (size_t i = 0; i < BASE_COUNT(ours); i++) message_remove(r, ours[i]);
  message_remove(r, "X-Road-Client");
  const char *id = message_header(r, "X-Road-Id");
  if (id && !good_message_id(id)) return fault_set(w->fault, P "invalid_request", "X-Road-Id has 1 to 199 bytes of text");
  uuid_make(w->request_id);
  if (message_add(r, "X-Road-Client", id_encoded(w->a, &w->client), &err) || message_add(r, "X-Road-Request-Id", w->request_id, &err)) return fail(w, P "invalid_request", &err);
  w->named = id != NULL;
  if (id) {
    snprintf(w->message_id, sizeof w->message_id, "%s", id);
  } else {
    char uuid[37];
    uuid_make_timed(uuid);
    snprintf(w->message_id, sizeof w->message_id, "%s-%s", w->x->self.instance, uuid);
    if (message_add(r, "X-Road-Id", w->message_id, &err)) return fail(w, P "invalid_request", &err);
  }
  if (read_forced(w)) return -1;
  if (message_digest(r, &err) || message_request_hash(r, w->q->target, w->hash, &err)) return fail(w, P "io_error", &err);
  return 0;
}

/* ---- one attempt ---- */

static int log_put(struct way *w, const struct message *m, const char *base, const char *keyid, struct err *err) {
  struct kept k = {.side = SIDE_CONSUMER, .message_id = w->message_id, .client = &w->client, .service = &w->target.service, .message = m, .base = base, .keyid = keyid,
                   .digest_only = w->digest_only, .at = clock_now()};
  return evidence_put(w->log, &k, err);
}

/* Whatever became of it: nothing is told of an exchange that is not logged. */
static int unlogged(struct way *w, const struct err *err) { return fault_set(w->fault, P "logging_failed", "The message cannot be logged, so it is not answered: %s", err->message); }

/* An answer is believed when the gateway we called signed it, with a key that the directory knows, over this request and no other. */
static int verify(struct way *w, const struct gateway *g, const struct message *request, struct message *answer) {
  struct signed_by by;
  struct err err;
  const struct gateway *of;
  const void *key;
  size_t n;
  const char *base = NULL;
  int64_t window = (w->x->o.window_s ? w->x->o.window_s : 300), skew;
  const char *said = message_header(answer, "X-Road-Error");
  if (!message_header(answer, "Signature"))
    return fault_set(w->fault, P "missing_signature", "Response of %s does not have signature (HTTP status %d%s%.80s)", g->id, answer->status, said ? "; it says, unsigned: " : "", said ? said : "");
  if (signature_read(answer, &by, &err)) return fault_set(w->fault, P "missing_signature", "The signature of the response cannot be read: %s", err.message);
  skew = by.created - clock_now() / 1000;
  if (skew > window || skew < -window)
    return fault_set(w->fault, P "invalid_message", "The response of %s was signed %lld seconds away from this gateway's clock: set the clocks of both", g->id, (long long)skew);
  if (members_key_now(w->m, by.keyid, by.created, &of, &key, &n, &err)) return fault_set(w->fault, P "cert_validation", "The key that signed the response: %s", err.message);
  if (strcmp(of->id, g->id)) return fault_set(w->fault, P "cert_validation", "The response was signed by %s, not by %s", of->id, g->id);
  if (signature_check_read(answer, request, &by, key, n, &base, &err)) return fault_set(w->fault, P "invalid_signature_value", "The signature of the response is not good: %s", err.message);
  return log_put(w, answer, base, by.keyid, &err) || evidence_wait(w->log, &err) ? unlogged(w, &err) : 0;
}

static bool header_is(const struct message *m, const char *name, const char *value) {
  const char *there = message_header(m, name);
  return there && strcmp(there, value) == 0;
}

static int consistent(struct way *w, const struct message *answer) {
  static const char *const what[] = {"client id", "message id", "service id", "message request id", "message hash"};
  const bool right[] = {header_is(answer, "X-Road-Client", id_encoded(w->a, &w->client)), header_is(answer, "X-Road-Id", w->message_id),
                        header_is(answer, "X-Road-Service", id_encoded(w->a, &w->target.service)), header_is(answer, "X-Road-Request-Id", w->request_id),
                        header_is(answer, "X-Road-Request-Hash", w->hash)};
  for (size_t i = 0; i < BASE_COUNT(what); i++)
    if (!right[i]) return fault_set(w->fault, P "inconsistent_response", "Response %s does not match request message", what[i]);
  return 0;
}

static int read_all(void *ctx, const void *p, size_t n) {
  buf_add(ctx, p, n);
  return 0;
}

/* The other gateway refused: its code and words are the information system's to see, in the style of this one. */
static int their_fault(struct way *w, const struct message *answer) {
  struct buf text = {.cap = 64 * 1024};
  struct err err;
  json_t *o = NULL;
  if (answer->content && http_content_each(answer->content, read_all, &text, &err) == 0) o = json_read(buf_str(&text), text.len, 4, &err);
  const char *code = o ? json_str(o, "type") : message_header(answer, "X-Road-Error"), *message = json_str(o, "message"), *detail = json_str(o, "detail");
  if (code && base_starts(code, "server.serverproxy.") && fault_known(code)) {
    fault_set(w->fault, code, "%s", message ? message : "");
    if (detail && strlen(detail) == 36) snprintf(w->fault->detail, sizeof w->fault->detail, "%s", detail);
  } else {
    fault_set(w->fault, P "invalid_response", "The other gateway refused, with an error that is none of X-Road's");
  }
  json_decref(o);
  buf_free(&text);
  return -1;
}

/* Judge what came back, and make of it what the information system gets. */
static int release(struct way *w, const struct gateway *g, const struct message *request, struct message *answer, struct http_content *content, struct outcome *out) {
  message_clean(answer);
  if (verify(w, g, request, answer) || consistent(w, answer)) return -1;
  if (message_header(answer, "X-Road-Error")) return their_fault(w, answer);
  message_strip(answer);
  out->status = answer->status;
  out->headers = answer->headers;
  out->header_count = answer->header_count;
  out->content = *content;
  *content = HTTP_NO_CONTENT;
  return 0;
}

enum attempt { ATTEMPT_DONE, ATTEMPT_FAULT, ATTEMPT_NEXT /* nothing was sent */, ATTEMPT_UNKNOWN /* sent, no answer */ };

static int64_t mono_left(const struct way *w) { return w->deadline - clock_mono(); }

/* A gateway under maintenance did nothing: another one of the member may answer. */
static bool rests(const struct fault *f) { return strcmp(f->code, "server.serverproxy.maintenance_mode") == 0; }

static enum attempt released(const struct way *w, const struct gateway *g, int rc) {
  bool maintained = rc && rests(w->fault);
  gateway_maintained(g, maintained ? w->fault->message : NULL);
  return rc == 0 ? ATTEMPT_DONE : maintained ? ATTEMPT_NEXT : ATTEMPT_FAULT;
}

static enum attempt call_peer(struct way *w, const struct gateway *g, const struct message *request, struct outcome *out) {
  struct http_relay_answer got = {0};
  struct err err;
  struct message answer = {0};
  int64_t left = mono_left(w);
  struct http_relay_call call = {.method = request->method, .target = w->q->target, .headers = request->headers, .header_count = request->header_count, .content = request->content,
                                 .timeout_ms = (int)(left > 1 ? left : 1), .idle_ms = (int)(left > 1 ? left : 1), .most = w->x->o.most_body ? w->x->o.most_body : SIDE_BODY};
  if (http_peer_call(g->peer, &call, &got, &err)) {
    gateway_told(g, false, err.message);
    fault_set(w->fault, err.code == ERR_UNAVAILABLE ? P "network_error" : P "io_error", "The gateway %s at %s: %s", g->id, g->address, err.message);
    http_relay_answer_free(&got);
    return err.code == ERR_UNAVAILABLE ? ATTEMPT_NEXT : err.code == ERR_OUTCOME_UNKNOWN ? ATTEMPT_UNKNOWN : ATTEMPT_FAULT;
  }
  gateway_told(g, true, NULL);
  answer.status = got.status;
  enum attempt end = ATTEMPT_FAULT;
  if (message_take(&answer, w->a, got.headers, got.header_count, false, &err)) fail(w, P "invalid_response", &err);
  else if (got.status == 503 && !message_header(&answer, "Signature")) {
    fault_set(w->fault, P "network_error", "The gateway %s at %s is too busy or stopping", g->id, g->address);
    end = ATTEMPT_NEXT;
  } else {
    answer.content = got.content.size ? &got.content : NULL;
    end = released(w, g, release(w, g, request, &answer, &got.content, out));
  }
  http_relay_answer_free(&got);
  return end;
}

/* Both sides are ours: the same functions, without a network between them. */
static enum attempt call_inside(struct way *w, const struct gateway *g, const struct message *request, struct outcome *out) {
  struct produced made = {.content = HTTP_NO_CONTENT};
  produce(w->x, w->a, w->m, request, g, &made);
  made.answer.content = made.content.size ? &made.content : NULL;
  int rc = release(w, g, request, &made.answer, &made.content, out);
  http_content_free(&made.content);
  return released(w, g, rc);
}

static enum attempt send_signed(struct way *w, const struct gateway *g, bool inside, struct outcome *out) {
  struct message request = w->request;
  struct err err;
  const char *base = NULL;
  request.headers = arena_alloc(w->a, (request.header_count + 8) * sizeof *request.headers); /* the next attempt begins from the same */
  if (request.headers) memcpy(request.headers, w->request.headers, request.header_count * sizeof *request.headers);
  request.header_room = request.header_count + 8;
  request.target_uri = arena_printf(w->a, "%s%s", g->address, w->q->target);
  if (!request.headers || !request.target_uri || signature_make(&request, NULL, &w->signer, w->keyid, clock_now(), &base, &err)) {
    fault_set(w->fault, P "cannot_create_signature", "The request cannot be signed: %s", request.headers && request.target_uri ? err.message : "it is too large");
    return ATTEMPT_FAULT;
  }
  enum attempt end = ATTEMPT_FAULT;
  w->log = evidence_begin(w->x);
  if (log_put(w, &request, base, w->keyid, &err) || evidence_pass(w->log, request.method, &err)) {
    fault_set(w->fault, P "logging_failed", "The message cannot be logged, so it is not passed on: %s", err.message);
  } else {
    end = inside ? call_inside(w, g, &request, out) : call_peer(w, g, &request, out);
    if (evidence_wait(w->log, &err)) {
      end = ATTEMPT_FAULT;
      unlogged(w, &err);
    }
  }
  evidence_end(w->log);
  return end;
}

/* A gateway that has its share of the calls under way gets no more: whoever calls another one finds threads. */
static enum attempt attempt(struct way *w, const struct gateway *g, struct outcome *out) {
  bool inside = strcmp(g->id, w->x->server) == 0;
  atomic_int *busy = inside ? NULL : gateway_busy(g), *all = &w->x->sides->to_peers;
  if (busy && !share_take(busy, all)) {
    fault_set(w->fault, P "network_error", "The gateway %s at %s has %d calls under way that it has not answered, its share at this gateway: no more are begun, ask again in a while", g->id, g->address,
              atomic_load(busy));
    return ATTEMPT_NEXT;
  }
  enum attempt end = send_signed(w, g, inside, out);
  if (busy) share_end(busy, all);
  return end;
}

/* ---- which gateway ---- */

static size_t route(struct way *w, const struct gateway **list) {
  struct exchange_id subsystem = w->target.service;
  char shown[EXCHANGE_ID + 20], forced[EXCHANGE_ID + 1];
  subsystem.service[0] = 0;
  size_t n = members_gateways(w->m, &subsystem, atomic_fetch_add(&w->x->sides->turn, 1), list, MOST_GATEWAYS);
  id_shown(&w->target.service, shown);
  if (!n) {
    fault_set(w->fault, P "unknown_member", "Could not find addresses for service provider \"%s\"", shown);
    return 0;
  }
  if (!w->force) return n;
  exchange_id_text(&w->forced, forced);
  for (size_t i = 0; i < n; i++)
    if (strcmp(list[i]->id, forced) == 0) {
      list[0] = list[i];
      return 1;
    }
  fault_set(w->fault, P "invalid_security_server", "Invalid security server \"SERVER:%s\": it is not one of the provider's", forced);
  return 0;
}

/* What changes something is sent again to the gateway that may know it, and to no other. */
static int route_again(struct way *w, const struct gateway **list, size_t *n) {
  char server[EXCHANGE_ID + 1];
  struct err err;
  if (*n < 2 || !w->named || method_idempotent(w->q->method)) return 0;
  if (again_where(w->x, w->m, &w->client, w->message_id, list, *n, server, &err))
    return fault_set(w->fault, P "logging_failed", "It cannot be told whether this message was sent before: %s", err.message);
  for (size_t i = 0; i < *n; i++)
    if (strcmp(list[i]->id, server) == 0) {
      list[0] = list[i];
      *n = 1;
    }
  return 0;
}

/* Once it was sent and not answered, what became of it is not known, whatever a later attempt met: it is never said that nothing was sent. */
static int give_up(struct way *w, bool sent) {
  struct fault last = *w->fault;
  if (!sent || (strcmp(last.code, P "network_error") != 0 && !rests(&last))) return -1;
  return fault_set(w->fault, P "io_error", "%s (it was sent before and not answered: what became of it is not known)", last.message);
}

/* A call is repeated elsewhere when nothing was sent, or when its method may be repeated; otherwise at the same gateway, which knows the message id. */
static int send_it(struct way *w, struct outcome *out) {
  const struct gateway *list[MOST_GATEWAYS];
  size_t n = route(w, list);
  bool sent = false, once = !method_idempotent(w->q->method);
  if (!n || route_again(w, list, &n)) return -1;
  for (size_t i = 0; i < n; i++) {
    if (w->q->timeout_ms && mono_left(w) <= 0) break;
    snprintf(out->server, sizeof out->server, "%s", list[i]->id);
    enum attempt end = attempt(w, list[i], out);
    sent |= end == ATTEMPT_UNKNOWN;
    bool refused = end == ATTEMPT_FAULT && !base_starts(w->fault->code, P) && !strstr(w->fault->code, ".io_error"); /* by the other gateway: nothing was done */
    if (end != ATTEMPT_DONE && end != ATTEMPT_NEXT && !refused && once && w->named) again_note(w->x, &w->client, w->message_id, list[i]->id);
    if (end == ATTEMPT_UNKNOWN && once) {
      if (mono_left(w) <= 2 * AGAIN_MS) return -1;
      nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS * 1000000L}, NULL);
      return attempt(w, list[i], out) == ATTEMPT_DONE ? 0 : give_up(w, sent);
    }
    if (end == ATTEMPT_DONE) return 0;
    if (end == ATTEMPT_FAULT) return -1;
    if (mono_left(w) <= 0) break;
  }
  return give_up(w, sent);
}

static int go(struct way *w, struct outcome *out) {
  struct err err;
  struct book *b;
  if (check_self(w)) return -1;
  if (target_read(w->a, w->q->target, &w->target, &err)) return fail(w, P "internal_error", &err);
  if (path_dotted(w->target.path)) return fault_set(w->fault, P "invalid_request", "Invalid request URI: a path without \".\" and \"..\" is needed");
  if (consumer_admit(w->x, w->m, w->a, w->q, &w->client, w->fault) || build(w)) return -1;
  if (book_maintenance(w->x, P "maintenance_mode", w->fault)) return -1;
  b = book_hold(w->x);
  w->digest_only = book_digest_only(b, &w->target.service, book_service(b, &w->target.service));
  book_drop(b);
  int rc = send_it(w, out);
  if (rc && arena_overflowed(w->a)) return fault_set(w->fault, P "internal_error", "The message's headers are too large");
  return rc;
}

int consume(struct exchange *x, struct arena *a, const struct call *q, struct outcome *out, struct fault *fault) {
  struct way w = {.x = x, .a = a, .q = q, .fault = fault, .began = now_micros()};
  int timeout = q->timeout_ms ? q->timeout_ms : x->o.timeout_ms ? x->o.timeout_ms : SIDE_TIMEOUT;
  *out = (struct outcome){.content = HTTP_NO_CONTENT};
  w.m = members_hold(x);
  w.deadline = clock_mono() + timeout;
  int rc = go(&w, out);
  snprintf(out->message_id, sizeof out->message_id, "%s", w.message_id);
  struct counted c = {.side = SIDE_CONSUMER, .client = w.client.instance[0] ? &w.client : NULL, .service = w.target.service.instance[0] ? &w.target.service : NULL, .fault = rc ? fault : NULL,
                      .status = out->status, .micros = now_micros() - w.began, .bytes_in = rc ? 0 : out->content.size, .bytes_out = q->content ? q->content->size : 0};
  monitor_count(x, &c);
  members_drop(w.m);
  return rc;
}

/* ---- calls from inside ---- */

static int call_headers(struct message *m, const struct exchange_call *c, struct err *err) {
  const struct http_pair more[] = {{"X-Road-Id", c->message_id}, {"X-Road-UserId", c->user}, {"X-Road-Issue", c->issue}, {"Content-Type", c->media_type}};
  struct exchange_id id;
  if (exchange_id_parse(c->client, 3, 4, &id, err) || message_add(m, "X-Road-Client", id_encoded(m->arena, &id), err) || message_add(m, "Accept", "application/json", err)) return -1;
  for (size_t i = 0; i < BASE_COUNT(more); i++)
    if (more[i].value && message_add(m, more[i].name, more[i].value, err)) return -1;
  return 0;
}

int exchange_call(struct exchange *x, const struct exchange_call *c, struct exchange_answer *out, struct err *err) {
  struct arena *a = arena_new(SIDE_ARENA);
  struct message m = {.arena = a};
  struct exchange_id service;
  struct outcome got;
  struct fault fault = {{0}, {0}, {0}};
  *out = (struct exchange_answer){.content = HTTP_NO_CONTENT};
  int rc = exchange_id_parse(c->service, 5, 5, &service, err) || call_headers(&m, c, err) ? -1 : 0;
  if (rc == 0) {
    struct call q = {.method = c->method, .headers = m.headers, .header_count = m.header_count, .content = c->content, .inside = true, .timeout_ms = c->timeout_ms};
    q.target = arena_printf(a, "/r1/%s%s", id_encoded(a, &service), c->path ? c->path : "");
    rc = consume(x, a, &q, &got, &fault);
    snprintf(out->message_id, sizeof out->message_id, "%s", got.message_id);
    if (rc == 0) {
      out->status = got.status;
      out->content = got.content;
      for (size_t i = 0; i < got.header_count; i++)
        if (strcasecmp(got.headers[i].name, "Content-Type") == 0 && !out->media_type) out->media_type = base_strdup(got.headers[i].value);
    } else {
      out->status = fault_status(&fault);
      snprintf(out->error, sizeof out->error, "%s", fault.code);
      err_set(err, ERR_UNAVAILABLE, "%s: %s", fault.code, fault.message);
      rc = 0;
    }
  }
  arena_free(a);
  return rc;
}

void exchange_answer_free(struct exchange_answer *a) {
  if (!a) return;
  free(a->media_type);
  a->media_type = NULL;
  http_content_free(&a->content);
}
