/* The rows: for information systems, and for other gateways. Whatever waits for another machine does so on the gateway's own threads. */
#include "exchange/members.h"
#include "exchange/side.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- who may call at all ---- */

static bool listed(const char *list, const char *address) {
  size_t n = strlen(address);
  for (const char *s = list; s && *s;) {
    s += strspn(s, " ,");
    size_t k = strcspn(s, " ,");
    if ((k == 1 && *s == '*') || (k == n && memcmp(s, address, n) == 0)) return true;
    s += k;
  }
  return false;
}

/* Information systems call from this machine or from addresses that are named; from elsewhere only over TLS, where their subsystem's certificates judge them.
 * What a relay in front of us passed on is from outside, whatever address the relay has. */
bool routes_near(struct http_req *r, const struct exchange *x) {
  const char *peer = http_peer(r);
  if (listed(x->o.allow, peer)) return true;
  bool local = base_starts(peer, "127.") || strcmp(peer, "::1") == 0;
  return local && !http_header(r, "X-Forwarded-For") && !http_header(r, "Forwarded") && !http_header(r, "Via");
}

static bool refuse_stranger(struct http_req *r, struct exchange *x) {
  if (http_encrypted(r) || routes_near(r, x)) return false;
  struct fault f;
  fault_set(&f, "server.clientproxy.access_denied", "This address does not belong to an information system of this gateway: call it over TLS, or have the address named in its settings");
  fault_reply(r, x, &f);
  return true;
}

/* ---- one request of either kind ---- */

struct job {
  struct exchange *x;
  struct http_req *r;
  struct call q;
  struct outcome out;
  struct fault fault;
  int rc;
  bool later;                              /* Chapar-Async */
  struct message request;
  struct members *m;
  const struct gateway *from;
  struct produced made;
};

static void job_over(void *arg) {
  struct job *j = arg;
  http_content_free(&j->out.content);
  http_content_free(&j->made.content);
  if (j->m) members_drop(j->m);
}

static const char *raw_target(struct http_req *r) {
  const char *query = http_raw_query(r);
  return arena_printf(http_arena(r), "%s%s%s", http_raw_path(r), query[0] ? "?" : "", query);
}

static bool read_asked(struct http_req *r, struct call *q) {
  const struct http_pair *list;
  *q = (struct call){.method = http_method(r), .target = raw_target(r), .content = http_content(r), .encrypted = http_encrypted(r)};
  q->header_count = http_headers(r, &list);
  q->headers = list;
  q->certified = q->encrypted && http_client_certificate(r, q->certificate);
  q->near = routes_near(r, http_ctx(r));
  return q->target != NULL;
}

/* Made when the head is judged; what it asks for is read once. */
static struct job *job_new(struct http_req *r, struct exchange *x) {
  struct job *j = arena_alloc(http_arena(r), sizeof *j);
  if (!j || !read_asked(r, &j->q)) return NULL;
  j->x = x;
  j->r = r;
  j->out.content = j->made.content = HTTP_NO_CONTENT;
  http_set_data(r, j, job_over);
  return j;
}

/* ---- for information systems ---- */

static void answer_system(struct http_req *r) {
  struct job *j = http_data(r);
  if (j->rc) {
    fault_reply(r, j->x, &j->fault);
    return;
  }
  if (!j->later) {
    http_reply_relay(r, j->out.status, j->out.headers, j->out.header_count, &j->out.content);
    return;
  }
  char *place = arena_printf(http_arena(r), "/exchange/async/%s", j->out.message_id);
  json_t *o = json_object();
  http_reply_header(r, "X-Road-Id", j->out.message_id);
  if (place) http_reply_header(r, "Location", place);
  json_put(o, "message_id", j->out.message_id);
  json_put(o, "state", "waiting");
  http_reply_json(r, 202, o);
}

static void ask_system(void *arg) {
  struct job *j = arg;
  j->rc = j->later ? async_take(j->x, http_arena(j->r), &j->q, j->out.message_id, &j->fault) : consume(j->x, http_arena(j->r), &j->q, &j->out, &j->fault);
  http_resume(j->r);
}

/* Who may not speak here is told so by the head of the request: no byte of a body is taken from strangers. Names that they think of are not counted. */
static void turn_away(struct http_req *r, struct exchange *x, enum side side, const struct fault *f) {
  monitor_count(x, &(struct counted){.side = side, .fault = f, .status = fault_status(f)});
  fault_reply(r, x, f);
}

static void admit_system(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct exchange_id client;
  struct fault fault;
  if (refuse_stranger(r, x)) return;
  struct job *j = job_new(r, x);
  if (!j) return http_problem_code(r, ERR_LIMIT, NULL);
  struct members *m = members_hold(x);
  if (members_version(m) && consumer_admit(x, m, http_arena(r), &j->q, &client, &fault)) turn_away(r, x, SIDE_CONSUMER, &fault);
  members_drop(m);
}

static void take_system(struct http_req *r) {
  struct job *j = http_data(r);
  struct exchange *x = j->x;
  const char *async = http_header(r, "Chapar-Async");
  j->later = async && strcasecmp(async, "yes") == 0;
  http_suspend(r, answer_system);
  if (tasks_put(x->sides->consumers, ask_system, j)) return;
  j->rc = fault_set(&j->fault, "server.clientproxy.internal_error", "This gateway has as many calls under way and waiting as it takes: ask again in a while");
  http_resume(r);
}

static void list_clients(struct http_req *r) {
  if (!refuse_stranger(r, http_ctx(r))) metadata_clients(r);
}

/* The signed messages of one exchange, to a subsystem that took part in it. */
static void get_evidence(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct call q;
  struct exchange_id client;
  struct fault fault;
  struct err err;
  char who[EXCHANGE_ID + 1];
  json_t *out = NULL;
  if (refuse_stranger(r, x)) return;
  if (!read_asked(r, &q)) {
    http_problem_code(r, ERR_LIMIT, NULL);
    return;
  }
  struct members *m = members_hold(x);
  int rc = consumer_admit(x, m, http_arena(r), &q, &client, &fault);
  members_drop(m);
  if (rc) {
    fault_reply(r, x, &fault);
    return;
  }
  exchange_id_text(&client, who);
  struct evidence_ask asked = {.message_id = http_param(r, "message"), .asker = who};
  if (evidence_ask_times(&asked, http_query(r, "from"), http_query(r, "until"), &err) || exchange_evidence(x, &asked, &out, &err))
    http_problem(r, &err, err.code == ERR_LIMIT || err.code == ERR_INVALID ? err.message : NULL, NULL);
  else http_reply_json(r, 200, out);
}

static void get_later(struct http_req *r) {
  if (!refuse_stranger(r, http_ctx(r))) async_get(r);
}

#define BODY ((size_t)SIDE_BODY)
static const struct http_route system_rows[] = {
  {"*", "/r1/{rest...}", HTTP_INLINE, 0, HTTP_MACHINE, BODY, take_system, "A call of an information system to a service of another organisation (X-Road REST).", NULL, true, admit_system},
  {"GET", "/listClients", HTTP_INLINE, 0, HTTP_MACHINE, 0, list_clients, "Members and subsystems of the exchange, as X-Road lists them."},
  {"GET", "/evidence/{message}", HTTP_WORKER, 0, HTTP_MACHINE, 0, get_evidence, "The signed messages of one exchange, with proof, to who took part in it."},
  {"GET", "/exchange/async/{message}", HTTP_WORKER, 0, HTTP_MACHINE, 0, get_later, "The answer to a message that was taken to be delivered later."},
};

/* TLS with the gateway's own certificate, asking for the other side's. */
static int show_certificate(struct http_server *s, struct exchange *x, struct err *err) {
  struct http_key key = {0};
  char *certificate = keys_certificate(x->keys, &key);
  if (!certificate) return err_set(err, ERR_NOT_FOUND, "this gateway has no certificate yet");
  struct http_tls tls = {.certificate = certificate, .key = key, .ask = true};
  int rc = http_server_tls(s, &tls, err);
  free(certificate);
  return rc;
}

int exchange_routes_tls(struct http_server *s, struct exchange *x, struct err *err) {
  if (show_certificate(s, x, err) || exchange_routes(s, x, err)) return -1;
  members_listener(x, s);
  return 0;
}

int exchange_routes(struct http_server *s, struct exchange *x, struct err *err) { return http_server_routes(s, system_rows, BASE_COUNT(system_rows), x, err); }

/* ---- for other gateways ---- */

static void answer_peer(struct http_req *r) {
  struct job *j = http_data(r);
  if (j->rc) {
    http_reply_header(r, "Retry-After", "2");
    http_problem_code(r, ERR_UNAVAILABLE, NULL);
  } else {
    http_reply_relay(r, j->made.answer.status, j->made.answer.headers, j->made.answer.header_count, &j->made.content);
  }
}

/* How the directory calls this gateway: what a request was signed for. */
static const char *own_address(const struct job *j) {
  const struct gateway *own = members_gateway(j->m, j->x->server);
  return own ? own->address : j->x->sides->address;
}

static void ask_peer(void *arg) {
  struct job *j = arg;
  struct err err;
  j->request = (struct message){.method = j->q.method, .arena = http_arena(j->r), .content = j->q.content && j->q.content->size ? j->q.content : NULL};
  j->request.target_uri = arena_printf(j->request.arena, "%s%s", own_address(j), j->q.target);
  if (!j->request.target_uri || message_take(&j->request, j->request.arena, j->q.headers, j->q.header_count, true, &err)) j->rc = -1;
  if (j->rc == 0) {
    message_clean(&j->request);
    produce(j->x, j->request.arena, j->m, &j->request, j->from, &j->made);
    if (!j->made.answer.status) j->rc = -1;
  }
  http_resume(j->r);
}

static void admit_peer(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct members *m = members_hold(x);
  unsigned char certificate[32];
  struct fault fault;
  if (!http_client_certificate(r, certificate) || !members_by_certificate(m, certificate)) {
    if (members_version(m)) fault_set(&fault, "server.serverproxy.ssl_authentication_failed", "The calling gateway showed no certificate that the member directory knows");
    else fault_set(&fault, "server.serverproxy.global_conf_outdated", "The provider's gateway has no member directory yet");
    turn_away(r, x, SIDE_PRODUCER, &fault);
  }
  members_drop(m);
}

static void take_peer(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  struct job *j = job_new(r, x);
  if (!j) {
    http_problem_code(r, ERR_LIMIT, NULL);
    return;
  }
  j->m = members_hold(x);
  j->from = j->q.certified ? members_by_certificate(j->m, j->q.certificate) : NULL;
  http_suspend(r, answer_peer);
  if (tasks_put(x->sides->producers, ask_peer, j)) return;
  j->rc = -1;
  http_resume(r);
}

static const struct http_route peer_rows[] = {
  {"*", "/r1/{rest...}", HTTP_INLINE, 0, HTTP_MACHINE, BODY, take_peer, "A signed message of another gateway.", NULL, true, admit_peer},
};

int exchange_peer_routes(struct http_server *s, struct exchange *x, struct err *err) {
  if (show_certificate(s, x, err) || http_server_routes(s, peer_rows, BASE_COUNT(peer_rows), x, err) || directory_routes(s, x, err)) return -1;
  members_listener(x, s);
  return 0;
}
