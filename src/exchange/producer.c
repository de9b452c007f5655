/* The gateway of who answers. Order of checks as X-Road's: directory, provider registered, the other gateway's certificate, service, its type, right,
 * notice, signature; then log, call, sign, log, release. What changes nothing is asked while its request is being logged (evidence_pass). */
#include "exchange/side.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define P "server.serverproxy."

struct turn {
  struct exchange *x;
  struct arena *a;
  struct members *m;
  struct message req, *request;            /* a copy, so that its digest is made once */
  const struct gateway *from;
  struct produced *out;
  struct fault fault;
  struct target target;
  const char *raw;                         /* the target as it came */
  struct exchange_id client;
  char message_id[200], *path;             /* path: normalised, SIDE_PATH bytes of room */
  const char *request_id;
  struct book *b;
  struct evidence *log;
  const struct offered *service;           /* NULL: a metadata service */
  struct right right;
  struct signed_by by;
  struct exchange_signer signer;
  char keyid[65];
  int64_t called;                          /* µs that the information system took */
  bool known, offered;                     /* the other gateway stands for the client; there is such a service */
  bool believed;                           /* its signature is good */
  bool begun;                              /* repeat_begin was answered 0 */
};

static int fail(struct turn *t, const char *code, const struct err *err) { return fault_set(&t->fault, code, "%s", err->message); }

/* ---- checks ---- */

static int read_request(struct turn *t) {
  const struct message *r = t->request;
  struct err err;
  const char *uri = strstr(r->target_uri, "://"), *client = message_header(r, "X-Road-Client"), *id = message_header(r, "X-Road-Id");
  t->raw = uri ? strchr(uri + 3, '/') : NULL;
  t->request_id = message_header(r, "X-Road-Request-Id");
  if (!t->raw || target_read(t->a, t->raw, &t->target, &err)) return fail(t, P "missing_rest", &err);
  if (!client || id_decode(client, 3, 4, &t->client, &err)) return fault_set(&t->fault, P "invalid_client_identifier", "The client identifier is missing or cannot be read");
  if (!id || strlen(id) >= sizeof t->message_id || !t->request_id) return fault_set(&t->fault, P "missing_rest", "Request does not have REST message: X-Road-Id or X-Road-Request-Id is missing");
  snprintf(t->message_id, sizeof t->message_id, "%s", id);
  return 0;
}

static int check_members(struct turn *t) {
  char shown[EXCHANGE_ID + 20];
  struct exchange_id provider = t->target.service;
  enum members_state state = members_state(t->x, t->m);
  provider.service[0] = 0;
  if (state == MEMBERS_NONE || state == MEMBERS_EXPIRED) return fault_set(&t->fault, P "global_conf_outdated", "The provider's gateway has no member directory that is still good");
  if (!book_subsystem(t->b, &provider) || !members_known(t->m, &provider, 4)) return fault_set(&t->fault, P "unknown_member", "Client '%s' not found", id_shown(&provider, shown));
  if (!t->from) return fault_set(&t->fault, P "ssl_authentication_failed", "The calling gateway showed no certificate that the member directory knows");
  if (!members_serves(t->m, t->from, &t->client))
    return fault_set(&t->fault, P "ssl_authentication_failed", "The gateway %s does not stand for '%s'", t->from->id, id_shown(&t->client, shown));
  t->known = true;
  t->offered = metadata_is(t->request->method, &t->target.service);
  return 0;
}

static int check_service(struct turn *t) {
  char shown[EXCHANGE_ID + 20];
  struct err err;
  id_shown(&t->target.service, shown);
  t->service = book_service(t->b, &t->target.service);
  if (!t->service) return fault_set(&t->fault, P "unknown_service", "Unknown service: %s", shown);
  t->offered = true;
  if (strcmp(t->service->kind, "WSDL") == 0) return fault_set(&t->fault, P "service_type", "Service is a SOAP service and cannot be called using REST interface");
  if (path_normalise(t->target.path, t->path, SIDE_PATH, &err) ||
      access_check(t->x, t->m, &t->client, &t->target.service, t->request->method, t->path, &t->right, &err))
    return fault_set(&t->fault, P "access_denied", "Request is not allowed: %s", shown);
  if (t->service->notice) return fault_set(&t->fault, P "service_disabled", "Service %s is disabled: %s", shown, t->service->notice);
  return 0;
}

static int check_signature(struct turn *t, const char **base) {
  struct message *request = t->request;
  const struct gateway *of;
  const void *key;
  size_t n;
  struct err err;
  int64_t window = t->x->o.window_s ? t->x->o.window_s : 300, skew;
  if (!message_header(request, "Signature")) return fault_set(&t->fault, P "missing_signature", "Request does not have signature");
  if (signature_read(request, &t->by, &err)) return fault_set(&t->fault, P "missing_signature", "The signature of the request cannot be read: %s", err.message);
  skew = t->by.created - clock_now() / 1000;
  if (skew > window || skew < -window)
    return fault_set(&t->fault, P "invalid_message", "The request was signed %lld seconds away from the clock of the provider's gateway (at most %lld are taken): set the clocks of both",
                     (long long)skew, (long long)window);
  if (members_key_now(t->m, t->by.keyid, t->by.created, &of, &key, &n, &err)) return fault_set(&t->fault, P "cert_validation", "The key that signed the request: %s", err.message);
  if (strcmp(of->id, t->from->id)) return fault_set(&t->fault, P "cert_validation", "The request was signed by %s and came from %s", of->id, t->from->id);
  if (signature_check_read(request, NULL, &t->by, key, n, base, &err)) return fault_set(&t->fault, P "invalid_signature_value", "The signature of the request is not good: %s", err.message);
  t->believed = true;
  if (replay_check(t->x, &t->by, t->message_id, &err) == 0) return 0;
  if (err.code == ERR_CONFLICT) return fail(t, P "invalid_message", &err);
  return fault_set(&t->fault, P "logging_failed", "The provider's gateway cannot tell whether the message was here before, so it is not passed on: %s", err.message);
}

/* ---- keeping ---- */

static int put_one(struct turn *t, const struct message *m, const char *base, const char *keyid, struct err *err) {
  struct kept k = {.side = SIDE_PRODUCER, .message_id = t->message_id, .client = &t->client, .service = &t->target.service, .message = m, .base = base, .keyid = keyid,
                   .digest_only = book_digest_only(t->b, &t->target.service, t->service), .at = clock_now()};
  return evidence_put(t->log, &k, err);
}

static int logging_failed(struct turn *t, const char *so, const struct err *err) {
  return fault_set(&t->fault, P "logging_failed", "The provider's gateway cannot log the message, so it is not %s: %s", so, err->message);
}

/* What makes two messages with one id the same message: method, target, content. */
static void sameness(const struct turn *t, unsigned char out[64]) {
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  struct err err;
  if (!c || EVP_DigestInit_ex(c, EVP_sha512(), NULL) != 1) abort();
  EVP_DigestUpdate(c, t->request->method, strlen(t->request->method) + 1);
  EVP_DigestUpdate(c, t->raw, strlen(t->raw) + 1);
  if (message_digest(t->request, &err) == 0) EVP_DigestUpdate(c, t->request->digest, sizeof t->request->digest);
  EVP_DigestFinal_ex(c, out, NULL);
  EVP_MD_CTX_free(c);
}

/* Nothing was done: the same message may come again. */
static int undone(struct turn *t, int rc) {
  struct err err;
  if (t->begun && repeat_end(t->x, t->message_id, &t->client, NULL, NULL, &err)) log_write(LOG_WARN, "exchange", "that %s may come again is not noted: %s", t->message_id, err.message);
  t->begun = false;
  return rc;
}

/* Log the request; for a method that changes something ask whether it was here before. Both are in one commit. 1: *kept is its answer. */
static int take(struct turn *t, const char *base, struct kept_answer **kept) {
  struct err err;
  unsigned char digest[64];
  int rc = put_one(t, t->request, base, t->by.keyid, &err) ? logging_failed(t, "passed on", &err) : 0, again = 0;
  if (rc == 0 && t->service && !method_safe(t->request->method)) {
    sameness(t, digest);
    again = repeat_begin(t->x, t->message_id, &t->client, t->request->method, digest, kept, &err);
    if (again < 0)
      rc = fault_set(&t->fault, err.code == ERR_UNAVAILABLE ? P "logging_failed" : err.code == ERR_CONFLICT ? P "invalid_request" : P "io_error", "%s", err.message);
    t->begun = again == 0;
  }
  if (rc == 0 && evidence_pass(t->log, t->request->method, &err)) rc = logging_failed(t, "passed on", &err);
  return rc ? undone(t, -1) : again;
}

/* ---- the call ---- */

static int ask_local(struct turn *t, struct message *answer) {
  const struct message *r = t->request;
  struct exchange_asked q = {.client = &t->client, .service = &t->target.service, .method = r->method, .path = t->path, .query = t->target.query ? t->target.query : "",
                             .message_id = t->message_id, .user = message_header(r, "X-Road-UserId"), .issue = message_header(r, "X-Road-Issue"), .content = r->content,
                             .media_type = message_header(r, "Content-Type"), .purpose = t->right.purpose, .grant = t->right.grant};
  struct exchange_answer got = {.content = HTTP_NO_CONTENT};
  struct err err = {0};
  int rc = t->service->local(t->service->ctx, &q, &got, &err);
  if (rc) fault_set(&t->fault, P "service_failed.internal_error", "%s", err.message);
  answer->status = got.status ? got.status : 200;
  if (rc == 0 && got.media_type && message_add(answer, "Content-Type", got.media_type, &err)) rc = fail(t, P "service_failed.internal_error", &err);
  if (rc == 0) {
    t->out->content = got.content;
    got.content = HTTP_NO_CONTENT;
  }
  exchange_answer_free(&got);
  return rc;
}

static bool fields_of_ours(const char *name) {
  static const char *const names[] = {"X-Road-Id", "X-Road-Client", "X-Road-Service", "X-Road-Request-Id", "X-Road-Request-Hash", "X-Road-Error"};
  for (size_t i = 0; i < BASE_COUNT(names); i++)
    if (strcasecmp(name, names[i]) == 0) return true;
  return false;
}

static int take_answer(struct turn *t, struct message *answer, struct http_relay_answer *got) {
  struct err err;
  bool dated = false;
  answer->status = got->status;
  for (size_t i = 0; i < got->header_count; i++) {
    const char *name = got->headers[i].name;
    bool date = strcasecmp(name, "Date") == 0;
    if (fields_of_ours(name) || (date && dated)) continue;
    dated |= date;
    if (message_add(answer, name, got->headers[i].value, &err)) return fault_set(&t->fault, P "invalid_response", "The answer of the information system: %s", err.message);
  }
  message_clean(answer);
  message_strip(answer);
  t->out->content = got->content;
  got->content = HTTP_NO_CONTENT;
  return 0;
}

/* Why an information system was not reached, as X-Road would say it. */
static const char *call_code(const struct err *err) {
  if (strstr(err->message, "resolve")) return P "unknown_host";
  return err->code == ERR_UNAVAILABLE ? P "network_error" : err->code == ERR_INVALID ? P "service_malformed_url" : P "io_error";
}

/* It was begun and no answer of it is kept: what comes again is told so. */
static void unsure(struct turn *t) {
  struct err err;
  if (t->begun && repeat_unsure(t->x, t->message_id, &t->client, &err)) log_write(LOG_WARN, "exchange", "that the outcome of %s is not known is not noted: %s", t->message_id, err.message);
  t->begun = false;
}

static int ask_system(struct turn *t, struct message *answer) {
  char shown[EXCHANGE_ID + 20];
  struct lane *lane = t->service->lane;
  struct message request;
  struct err err;
  if (!t->service->url || !t->service->url[0]) return undone(t, fault_set(&t->fault, P "service_missing_url", "Service address not specified for '%s'", id_shown(&t->target.service, shown)));
  if (!lane || !lane->peer) return undone(t, fault_set(&t->fault, P "service_malformed_url", "The address of '%s' cannot be used", id_shown(&t->target.service, shown)));
  const char *prefix = t->service->prefix, *path = t->target.path;
  size_t n = strlen(prefix);
  if (n && prefix[n - 1] == '/' && path[0] == '/') n--;
  char *target = arena_printf(t->a, "%.*s%s%s%s", (int)n, prefix, path, t->target.query ? "?" : "", t->target.query ? t->target.query : "");
  if (!target) return undone(t, fault_set(&t->fault, P "internal_error", "The request is too large"));
  request = *t->request;
  request.headers = arena_alloc(t->a, (request.header_count + 1) * sizeof *request.headers);
  if (!request.headers) return undone(t, fault_set(&t->fault, P "internal_error", "The request is too large"));
  memcpy(request.headers, t->request->headers, request.header_count * sizeof *request.headers);
  message_clean(&request);
  message_strip(&request);
  if (!share_take(&lane->busy, &t->x->sides->to_systems))
    return undone(t, fault_set(&t->fault, P "network_error", "'%s' has %d calls under way that it has not answered, its share at the provider's gateway: no more are begun, ask again in a while",
                               id_shown(&t->target.service, shown), atomic_load(&lane->busy)));
  int timeout = t->service->timeout_ms ? t->service->timeout_ms : t->x->o.timeout_ms ? t->x->o.timeout_ms : SIDE_TIMEOUT;
  struct http_relay_call call = {.method = request.method, .target = target[0] ? target : "/", .headers = request.headers, .header_count = request.header_count, .content = request.content,
                                 .timeout_ms = timeout, .idle_ms = timeout, .most = t->x->o.most_body ? t->x->o.most_body : SIDE_BODY};
  struct http_relay_answer got = {0};
  int rc = http_peer_call(lane->peer, &call, &got, &err);
  share_end(&lane->busy, &t->x->sides->to_systems);
  if (rc) {
    fault_set(&t->fault, call_code(&err), "The information system of '%s': %s", id_shown(&t->target.service, shown), err.message);
    if (err.code != ERR_OUTCOME_UNKNOWN && err.code != ERR_TOO_LARGE) undone(t, -1);
  } else {
    rc = take_answer(t, answer, &got);
  }
  http_relay_answer_free(&got);
  return rc;
}

static int give_again(struct turn *t, struct kept_answer *k, struct message *answer) {
  struct err err;
  answer->status = k->status;
  int rc = message_take(answer, t->a, k->headers, k->header_count, false, &err) ? fail(t, P "internal_error", &err) : 0;
  t->out->content = k->content;
  k->content = HTTP_NO_CONTENT;
  kept_answer_free(k);
  return rc;
}

static int ask(struct turn *t, struct message *answer) {
  int64_t began = now_micros();
  int rc;
  if (!t->service)
    rc = metadata_answer(t->x, t->a, t->m, t->b, &t->client, &t->target.service, t->target.query, answer, &t->out->content, &t->fault);
  else
    rc = t->service->local ? ask_local(t, answer) : ask_system(t, answer);
  t->called = now_micros() - began;
  if (strcmp(t->request->method, "HEAD") == 0) http_content_free(&t->out->content);
  return rc;
}

/* ---- the answer ---- */

static int name_answer(struct turn *t, struct message *answer, struct err *err) {
  char hash[89];
  char *client = id_encoded(t->a, &t->client), *service = id_encoded(t->a, &t->target.service);
  struct message request = *t->request;
  request.headers = arena_alloc(t->a, (request.header_count + 1) * sizeof *request.headers);
  if (!client || !service || !request.headers) return err_set(err, ERR_LIMIT, "the message is too large");
  memcpy(request.headers, t->request->headers, request.header_count * sizeof *request.headers);
  message_clean(&request);
  return message_request_hash(&request, t->raw, hash, err) || message_add(answer, "X-Road-Id", t->message_id, err) || message_add(answer, "X-Road-Client", client, err) ||
         message_add(answer, "X-Road-Service", service, err) || message_add(answer, "X-Road-Request-Id", t->request_id, err) || message_add(answer, "X-Road-Request-Hash", hash, err) ? -1 : 0;
}

/* An answer names its request by that one's signature. */
static bool bindable(struct turn *t) {
  struct signed_by by;
  struct err err;
  return t->message_id[0] && t->request_id && t->target.service.instance[0] && message_header(t->request, "Signature") && signature_read(t->request, &by, &err) == 0;
}

/* The same error again as an answer: signed and logged like any other, so that a refusal is proven too. */
static void put_fault(struct turn *t, struct message *answer) {
  struct buf body = {0};
  struct err err;
  *answer = (struct message){.status = fault_status(&t->fault), .arena = t->a};
  http_content_free(&t->out->content);
  const char *type = fault_body(&t->fault, EXCHANGE_ERRORS_78, "application/json", &body);
  bool head = strcmp(t->request->method, "HEAD") == 0; /* its answers have no body, so none may be signed */
  if (!head && http_content_add(&t->out->content, body.data, body.len, -1, &err)) log_write(LOG_WARN, "exchange", "an error has no body: %s", err.message);
  if (message_add(answer, "Content-Type", type, &err) || message_add(answer, "X-Road-Error", t->fault.code, &err)) log_write(LOG_WARN, "exchange", "%s", err.message);
  buf_free(&body);
}

/* Name, sign and log it; then its request is durable too. With `logged` false (the log is what failed) it is signed alone. */
static int seal(struct turn *t, struct message *answer, bool logged) {
  struct err err;
  const char *base = NULL;
  answer->content = t->out->content.size ? &t->out->content : NULL;
  if (name_answer(t, answer, &err)) return fail(t, P "internal_error", &err);
  if (signature_make(answer, t->request, &t->signer, t->keyid, clock_now(), &base, &err)) return fail(t, P "cannot_create_signature", &err);
  if (!logged) return 0;
  int rc = put_one(t, answer, base, t->keyid, &err) ? logging_failed(t, "answered", &err) : 0;
  if (rc == 0 && t->begun && !message_header(answer, "X-Road-Error")) {
    struct message plain = *answer;
    plain.headers = arena_alloc(t->a, (answer->header_count + 1) * sizeof *plain.headers);
    if (plain.headers) {
      memcpy(plain.headers, answer->headers, answer->header_count * sizeof *plain.headers);
      message_strip(&plain);
      for (size_t i = 0; i < 5; i++) message_remove(&plain, ((const char *const[]){"X-Road-Id", "X-Road-Client", "X-Road-Service", "X-Road-Request-Id", "X-Road-Request-Hash"})[i]);
      if (repeat_end(t->x, t->message_id, &t->client, &plain, &t->out->content, &err)) rc = logging_failed(t, "answered", &err);
      else t->begun = false;
    }
  }
  if (evidence_wait(t->log, &err) && rc == 0) rc = logging_failed(t, "answered", &err);
  return rc;
}

static int work(struct turn *t, struct message *answer) {
  struct kept_answer *kept = NULL;
  const char *base = NULL;
  int rc = read_request(t) || check_members(t) || book_maintenance(t->x, P "maintenance_mode", &t->fault) || (!metadata_is(t->request->method, &t->target.service) && check_service(t)) || check_signature(t, &base) ? -1 : 0;
  if (rc == 0) rc = take(t, base, &kept);
  if (rc == 1) return give_again(t, kept, answer);
  return rc ? -1 : ask(t, answer);
}

void produce(struct exchange *x, struct arena *a, struct members *m, const struct message *request, const struct gateway *from, struct produced *out) {
  struct turn *t = arena_alloc(a, sizeof *t);
  int64_t began = now_micros();
  char path[SIDE_PATH]; /* not cleared, as it is large */
  path[0] = '\0';
  *out = (struct produced){.content = HTTP_NO_CONTENT};
  if (!t) return;
  *t = (struct turn){.x = x, .a = a, .m = m, .req = *request, .from = from, .out = out, .path = path, .b = book_hold(x), .log = evidence_begin(x)};
  t->request = &t->req;
  struct message answer = {.arena = a};
  keys_signer(x->keys, &t->signer, t->keyid);
  int rc = work(t, &answer);
  bool named = rc == 0 || bindable(t);
  if (rc) put_fault(t, &answer);
  /* Who is not believed yet is told what is wrong, and nothing is kept of it: no one fills the log from outside. */
  bool logged = t->believed && !(rc && strcmp(t->fault.code, P "logging_failed") == 0);
  if (named && seal(t, &answer, logged)) {
    struct err err;
    rc = -1;
    if (evidence_wait(t->log, &err)) logging_failed(t, "answered", &err);
    put_fault(t, &answer);
    if (seal(t, &answer, false)) log_write(LOG_WARN, "exchange", "an answer cannot be signed: %s", t->fault.message);
  }
  unsure(t);
  out->answer = answer;
  struct counted c = {.side = SIDE_PRODUCER, .client = t->known ? &t->client : NULL, .service = t->offered ? &t->target.service : NULL,
                      .fault = rc ? &t->fault : NULL, .status = answer.status, .micros = now_micros() - began, .bytes_in = request->content ? request->content->size : 0,
                      .bytes_out = out->content.size};
  monitor_count(x, &c);
  evidence_end(t->log);
  book_drop(t->b);
}
