/* Messages that are delivered later. Taken durably, then sent like any other as soon as the provider is there, with growing pauses, by the same message
 * id, so that the provider's gateway does nothing twice. A delivery, and a calling back, is one process's: it stands in the store by its name (process.c),
 * and is free again when that one has ended. Bounds: MOST waiting, of one subsystem SHARE, BODY bytes each, three days; ended ones are kept a week. Of one
 * provider (lane) PER_LANE are under way at once, so that who does not answer holds up nobody else. */
#include "exchange/side.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define P "server.clientproxy."
#define BODY ((int64_t)64 << 20)
enum { MOST = 10000, SHARE = 2500, ALWAYS = 100 /* of one subsystem, whatever the others have */, THREADS = 32, PER_LANE = 2, IN_A_ROW = 20, LANES = 64, ENDED = 500,
       LOOK_MS = 500, LONGEST_S = 300, SWEEP_MS = 60000,
       ORPHANS = 10000 /* looked for together */, ORPHAN_MS = 3600000 };
#define UNTIL_MS (72LL * 3600000)
#define UNSURE_MS (12LL * 3600000)         /* less than a provider's gateway remembers the message's id */
#define KEEP_MS (7LL * 86400000)

struct delivery;
struct async {
  struct delivery *left;                   /* ours by the store and nobody does them: to be given back. By the thread of the jobs alone */
  struct tasks *threads; atomic_int busy; atomic_bool closing; _Atomic int64_t looked; int64_t swept, orphans_swept; _Atomic int64_t waiting, oldest;
};

/* ---- bodies in files ---- */

static const char *const bodies[] = {"request", "answer"};

static char *file_of(struct exchange *x, const char *name, const char *what) { return base_printf("%s/async/%s.%s", x->folder, name, what); }

static int write_piece(void *ctx, const void *p, size_t n) {
  const char *s = p;
  while (n) {
    ssize_t done = write(*(int *)ctx, s, n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return -1;
    s += done;
    n -= (size_t)done;
  }
  return 0;
}

static int content_write(struct exchange *x, const char *name, const char *what, const struct http_content *c, struct err *err) {
  char *file = file_of(x, name, what);
  int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = fd < 0 ? -1 : 0;
  if (rc == 0 && c && c->size) rc = http_content_each(c, write_piece, &fd, NULL);
  if (rc == 0) rc = fsync(fd);
  if (fd >= 0 && close(fd)) rc = -1;
  if (rc) {
    err_set(err, ERR_UNAVAILABLE, "the message cannot be kept: %s", strerror(errno));
    unlink(file);
  }
  free(file);
  return rc ? -1 : 0;
}

static int content_read(struct exchange *x, const char *name, const char *what, struct http_content *out, struct err *err) {
  char *file = file_of(x, name, what), piece[65536];
  int fd = open(file, O_RDONLY | O_CLOEXEC), rc = fd < 0 ? err_set(err, ERR_UNAVAILABLE, "the kept message cannot be read: %s", strerror(errno)) : 0;
  ssize_t n = 0;
  *out = HTTP_NO_CONTENT;
  while (rc == 0 && (n = read(fd, piece, sizeof piece)) > 0) rc = http_content_add(out, piece, (size_t)n, -1, err);
  if (rc == 0 && n < 0) rc = err_set(err, ERR_UNAVAILABLE, "the kept message cannot be read: %s", strerror(errno));
  if (fd >= 0) close(fd);
  if (rc) http_content_free(out);
  free(file);
  return rc;
}

static void bodies_remove(struct exchange *x, const char *name) {
  for (size_t i = 0; i < BASE_COUNT(bodies); i++) {
    char *file = file_of(x, name, bodies[i]);
    unlink(file);
    free(file);
  }
}

bool exchange_body_name(const char *name) {
  size_t n = strspn(name, "0123456789abcdef");
  if (n != 32 || name[n] != '.') return false;
  for (size_t i = 0; i < BASE_COUNT(bodies); i++)
    if (strcmp(name + n + 1, bodies[i]) == 0) return true;
  return false;
}

/* A copy of a store in which a message still waits needs its request, though it may have been answered since. */
enum { COPY_MARGIN_MS = 60000 };
struct copied { int64_t since; json_t *names; };

static int copied_work(struct store_tx *tx, void *arg, struct err *err) {
  struct copied *k = arg;
  int more = 0;
  json_array_clear(k->names);
  struct store_rows *rows = store_select(tx, err, "SELECT file, state, ended_at FROM exchange_async", "");
  while (rows && (more = store_next(rows, err)) == 1) {
    int64_t ended = store_int(rows, 2);
    if (!ended || ended >= k->since - COPY_MARGIN_MS) json_array_append_new(k->names, json_sprintf("%s.request", store_text(rows, 0)));
    if (strcmp(store_text(rows, 1), "answered") == 0) json_array_append_new(k->names, json_sprintf("%s.answer", store_text(rows, 0)));
  }
  store_done(rows);
  return rows && more >= 0 ? 0 : -1;
}

int exchange_bodies(struct exchange *x, int64_t since, int (*each)(void *ctx, const char *name, struct err *err), void *ctx, struct err *err) {
  struct copied k = {.since = since, .names = json_array()};
  json_t *name;
  size_t i;
  int rc = store_read(x->store, copied_work, &k, err);
  json_array_foreach(k.names, i, name)
    if (rc == 0) rc = each(ctx, json_string_value(name), err);
  json_decref(k.names);
  return rc ? -1 : 0;
}

static char *headers_text(const struct http_pair *list, size_t count) {
  json_t *all = json_array();
  for (size_t i = 0; i < count; i++) {
    if (!utf8_valid(list[i].value, strlen(list[i].value)) || strncasecmp(list[i].name, "Chapar-Async", 12) == 0) continue;
    json_t *pair = json_array();
    json_array_append_new(pair, json_string(list[i].name));
    json_array_append_new(pair, json_string(list[i].value));
    json_array_append_new(all, pair);
  }
  char *text = json_dumps(all, JSON_COMPACT);
  json_decref(all);
  return text;
}

static int headers_read(struct arena *a, const char *text, struct message *m, struct err *err) {
  json_t *all = json_read(text, strlen(text), 0, err), *pair;
  size_t i;
  int rc = all ? 0 : -1;
  m->arena = a;
  json_array_foreach(all, i, pair)
    if (rc == 0) rc = message_add(m, json_string_value(json_array_get(pair, 0)), json_string_value(json_array_get(pair, 1)), err);
  json_decref(all);
  return rc;
}

/* ---- taking ---- */

struct taking { const char *client, *message_id, *file, *lane, *method, *target, *headers, *callback; const unsigned char *digest; bool fresh, same; };

static int judge_share(struct store_tx *tx, const char *client, struct err *err) {
  int64_t all, own;
  if (store_value(tx, &own, 0, err, "SELECT COUNT(*) FROM exchange_async WHERE state = 'waiting' AND client = ?1", "t", client)) return -1;
  if (own < ALWAYS) return 0;
  if (own >= SHARE) return err_set(err, ERR_LIMIT, "%lld messages of %s are waiting to be delivered, which is its share at this gateway: wait until some are delivered", (long long)own, client);
  if (store_value(tx, &all, 0, err, "SELECT COUNT(*) FROM exchange_async WHERE state = 'waiting'", "")) return -1;
  return all < MOST ? 0 : err_set(err, ERR_LIMIT, "%lld messages are waiting to be delivered at this gateway, %lld of them of %s: more are taken when some are delivered", (long long)all, (long long)own, client);
}

static int take_work(struct store_tx *tx, void *arg, struct err *err) {
  struct taking *k = arg;
  int64_t now = store_time(tx);
  size_t n;
  k->fresh = k->same = false;
  struct store_rows *rows = store_select(tx, err, "SELECT digest FROM exchange_async WHERE client = ?1 AND message_id = ?2", "tt", k->client, k->message_id);
  int more = rows ? store_next(rows, err) : -1;
  if (more == 1) {
    const void *digest = store_blob(rows, 0, &n);
    k->same = n == 64 && memcmp(digest, k->digest, 64) == 0;
  }
  store_done(rows);
  if (more) return more < 0 ? -1 : 0;
  if (judge_share(tx, k->client, err)) return -1;
  k->fresh = true;
  return store_exec(tx, err, "INSERT INTO exchange_async (client, message_id, file, state, method, target, headers, digest, callback, taken_at, until_at, next_at, tries, status, lane) "
                    "VALUES (?1, ?2, ?3, 'waiting', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?9, 0, 0, ?11)", "ttttttbtiit", k->client, k->message_id, k->file, k->method, k->target, k->headers, k->digest, (size_t)64,
                    k->callback, now, now + UNTIL_MS, k->lane) < 0 ? -1 : 0;
}

/* An answer is called back to a service of the client's own subsystem at this gateway, whose address its administrator has given: never to an address
 * that a message names. */
static int judge_callback(struct exchange *x, const struct exchange_id *client, const char *text, struct fault *fault) {
  struct exchange_id id = *client;
  size_t n = strcspn(text, "/");
  if (n > EXCHANGE_PART) n = EXCHANGE_PART;
  memcpy(id.service, text, n);
  id.service[n] = 0;
  struct book *b = book_hold(x);
  const struct offered *v = book_service(b, &id);
  bool good = v && v->lane;
  book_drop(b);
  return good ? 0 : fault_set(fault, P "invalid_request", "Chapar-Async-Callback names a service of the client's own subsystem at this gateway, with an address: %.100s is none", text);
}

static int read_message(struct exchange *x, struct arena *a, const struct call *q, struct message *m, struct exchange_id *client, char lane[EXCHANGE_ID + 1], char message_id[200],
                        struct fault *fault) {
  struct members *members = members_hold(x);
  struct target t;
  struct err err;
  int rc = target_read(a, q->target, &t, &err) ? fault_set(fault, P "internal_error", "%s", err.message) : consumer_admit(x, members, a, q, client, fault);
  members_drop(members);
  if (rc) return -1;
  t.service.service[0] = 0;
  exchange_id_text(&t.service, lane);
  if (q->content && q->content->size > BODY) return fault_set(fault, P "invalid_request", "A message that is delivered later has at most %lld bytes", (long long)BODY);
  *m = (struct message){.method = q->method, .content = q->content};
  if (message_take(m, a, q->headers, q->header_count, true, &err) || message_digest(m, &err)) return fault_set(fault, P "invalid_request", "%s", err.message);
  message_clean(m);
  const char *id = message_header(m, "X-Road-Id");
  if (id && (!id[0] || strlen(id) > 199 || !utf8_valid(id, strlen(id)))) return fault_set(fault, P "invalid_request", "X-Road-Id has 1 to 199 bytes of text");
  if (id) {
    snprintf(message_id, 200, "%s", id);
    return 0;
  }
  char uuid[37];
  uuid_make_timed(uuid);
  snprintf(message_id, 200, "%s-%s", x->self.instance, uuid);
  return message_add(m, "X-Road-Id", message_id, &err) ? fault_set(fault, P "invalid_request", "%s", err.message) : 0;
}

int async_take(struct exchange *x, struct arena *a, const struct call *q, char message_id[200], struct fault *fault) {
  struct message m;
  struct exchange_id client;
  struct err err;
  char who[EXCHANGE_ID + 1], lane[EXCHANGE_ID + 1], name[33];
  unsigned char bytes[16];
  if (read_message(x, a, q, &m, &client, lane, message_id, fault)) return -1;
  const char *callback = message_header(&m, "Chapar-Async-Callback");
  if (callback && judge_callback(x, &client, callback, fault)) return -1;
  exchange_id_text(&client, who);
  random_bytes(bytes, sizeof bytes);
  hex_encode(bytes, sizeof bytes, name);
  char *headers = headers_text(m.headers, m.header_count);
  struct taking k = {.client = who, .message_id = message_id, .file = name, .lane = lane, .method = q->method, .target = q->target, .headers = headers, .callback = callback, .digest = m.digest};
  int rc = content_write(x, name, "request", q->content, &err) || store_write(x->store, STORE_FRONT, take_work, &k, &err) ? -1 : 0;
  free(headers);
  if (rc || !k.fresh) {
    char *file = file_of(x, name, "request");
    unlink(file);
    free(file);
  }
  if (rc) return fault_set(fault, err.code == ERR_LIMIT ? P "internal_error" : P "logging_failed", "%s", err.message);
  if (!k.fresh && !k.same) return fault_set(fault, P "invalid_request", "X-Road-Id %s was used for another message: each message needs an id of its own", message_id);
  if (x->async) x->async->looked = 0;
  return 0;
}

/* ---- delivering ---- */

struct delivery {
  struct exchange *x;
  char *client, *message_id, *file, *lane, *method, *target, *headers, *callback, *pinned;
  int64_t tries, until, unsure;            /* unsure: since when it may have been done, 0: it was not */
  bool call_back;                          /* the answer is there: what is left is to tell it */
  bool lost;                               /* it was not ours any more */
  /* out */
  const char *state;
  int64_t status, next;
  char *answer, *error;
  struct delivery *left;                   /* of async */
};

/* "CODE MESSAGE", as it is kept. */
static void stored_fault(const char *kept, struct fault *f) {
  const char *text = kept ? kept : P "internal_error";
  size_t n = strcspn(text, " ");
  char code[100];
  snprintf(code, sizeof code, "%.*s", n < sizeof code ? (int)n : 0, text);
  fault_set(f, code, "%s", text[n] ? text + n + 1 : "");
}

static void delivery_free(struct delivery *d) {
  char *all[] = {d->client, d->message_id, d->file, d->lane, d->method, d->target, d->headers, d->callback, d->pinned, d->answer, d->error};
  for (size_t i = 0; i < BASE_COUNT(all); i++) free(all[i]);
  free(d);
}

/* Faults that time may mend. */
static bool mendable(const char *code) {
  static const char *const words[] = {"network_error", "unknown_host", "io_error", "global_conf_outdated", "logging_failed", "service_disabled", "maintenance_mode", "timestamping_failed"};
  const char *last = strrchr(code, '.');
  for (size_t i = 0; last && i < BASE_COUNT(words); i++)
    if (strcmp(last + 1, words[i]) == 0) return true;
  return false;
}

/* Only who has it under way says what became of it. */
static int end_work(struct store_tx *tx, void *arg, struct err *err) {
  struct delivery *d = arg;
  int64_t now = store_time(tx);
  const char *process = d->x->sides->process.name;
  int n;
  if (d->call_back) {
    n = store_exec(tx, err, "UPDATE exchange_async SET called_at = NULLIF(?1, 0), next_at = NULLIF(?2, 0), tries = tries + 1, claimed_by = NULL, "
                   "last_error = CASE WHEN state = 'failed' THEN last_error ELSE ?3 END WHERE client = ?4 AND message_id = ?5 AND state <> 'waiting' AND called_at IS NULL AND claimed_by = ?6",
                   "iitttt", d->next ? 0 : now, d->next, d->error, d->client, d->message_id, process);
  } else {
    bool ended = strcmp(d->state, "waiting") != 0;
    char back[EXCHANGE_ID + 20];
    snprintf(back, sizeof back, "back to %s", d->client);
    n = store_exec(tx, err, "UPDATE exchange_async SET state = ?1, status = ?2, answer = ?3, last_error = ?4, tries = ?5, next_at = NULLIF(?6, 0), ended_at = ?7, pinned = ?8, unsure_at = NULLIF(?9, 0), "
                   "lane = ?10, claimed_by = NULL WHERE client = ?11 AND message_id = ?12 AND state = 'waiting' AND claimed_by = ?13", "tittiiititttt", d->state, d->status, d->answer, d->error,
                   ended && d->callback ? 0 : d->tries + 1, !ended ? d->next : d->callback ? now : 0, ended ? now : 0, d->pinned, d->unsure, ended && d->callback ? back : d->lane, d->client,
                   d->message_id, process);
  }
  d->lost = n == 0;
  return n < 0 ? -1 : 0;
}

static int64_t pause_until(const struct delivery *d) {
  int64_t s = d->tries < 9 ? 1LL << d->tries : LONGEST_S;
  return clock_now() + (s < LONGEST_S ? s : LONGEST_S) * 1000;
}

static void fail_delivery(struct delivery *d, const struct fault *f, const char *server) {
  int64_t now = clock_now();
  bool again = mendable(f->code) && now < d->until, kept = !d->unsure || now - d->unsure < UNSURE_MS;
  d->state = again && kept ? "waiting" : "failed";
  d->next = pause_until(d);
  d->error = base_printf("%s %s%s", f->code, f->message, again && !kept ? " (it was, or may have been, sent before and not answered; it is not sent again, as the provider's gateway may not know it any more: ask the provider)" : "");
  if (!again || !strstr(f->code, ".io_error") || method_idempotent(d->method)) return;
  /* it may have been done there: only that gateway knows the message by its id */
  if (!d->unsure) d->unsure = now;
  if (server[0] && !d->pinned) d->pinned = base_strdup(server);
}

/* Since a copy was put back nobody knows to which of several gateways it was sent. */
static bool astray(const struct delivery *d, struct arena *a, const struct message *m) {
  const struct gateway *list[2];
  struct target t;
  struct err err;
  if (!d->unsure || d->pinned || message_header(m, "X-Road-Security-Server") || target_read(a, d->target, &t, &err)) return false;
  t.service.service[0] = 0;
  struct members *members = members_hold(d->x);
  bool many = members_gateways(members, &t.service, 0, list, BASE_COUNT(list)) > 1;
  members_drop(members);
  return many;
}

static void send_one(struct delivery *d, struct arena *a) {
  struct message m = {0};
  struct outcome got = {.content = HTTP_NO_CONTENT};
  struct http_content content = HTTP_NO_CONTENT;
  struct fault fault;
  struct err err;
  int rc = headers_read(a, d->headers, &m, &err) || content_read(d->x, d->file, "request", &content, &err) || (d->pinned && message_add(&m, "X-Road-Security-Server", d->pinned, &err)) ? -1 : 0;
  if (rc) fault_set(&fault, P "internal_error", "%s", err.message);
  else if (d->unsure && clock_now() - d->unsure >= UNSURE_MS) rc = fault_set(&fault, P "io_error", "What became of the message is not known");
  else if (astray(d, a, &m))
    rc = fault_set(&fault, P "internal_error", "It was waiting when the copy was made from which this gateway was put back: which of the provider's gateways it was sent to since, if any, is not known, and another would do it again: "
                   "ask the provider");
  struct call q = {.method = d->method, .target = d->target, .headers = m.headers, .header_count = m.header_count, .content = &content, .inside = true};
  if (rc == 0) rc = consume(d->x, a, &q, &got, &fault);
  if (rc == 0 && content_write(d->x, d->file, "answer", &got.content, &err)) rc = fault_set(&fault, P "logging_failed", "%s", err.message);
  if (rc) fail_delivery(d, &fault, got.server);
  else {
    d->state = "answered";
    d->status = got.status;
    d->answer = headers_text(got.headers, got.header_count);
  }
  http_content_free(&got.content);
  http_content_free(&content);
}

/* What is told: the answer as it came, or the error of a message that could not be delivered. */
static int told_back(struct delivery *d, struct arena *a, struct message *m, struct http_content *content, struct err *err) {
  struct fault f;
  struct buf body = {0};
  char status[12], code[100];
  if (strcmp(d->state, "failed") == 0) {
    stored_fault(d->error, &f);
    m->arena = a;
    d->status = fault_status(&f);
    fault_code(f.code, d->x->o.errors, code);
    const char *type = fault_body(&f, d->x->o.errors, "application/json", &body);
    int rc = http_content_add(content, body.data, body.len, -1, err) || message_add(m, "Content-Type", type, err) || message_add(m, "X-Road-Error", code, err) ||
             message_add(m, "X-Road-Id", d->message_id, err) ? -1 : 0;
    buf_free(&body);
    if (rc) return -1;
  } else if (headers_read(a, d->answer, m, err) || content_read(d->x, d->file, "answer", content, err)) {
    return -1;
  }
  snprintf(status, sizeof status, "%d", (int)d->status);
  return message_add(m, "Chapar-Async-Status", status, err);
}

static void call_back(struct delivery *d, struct arena *a) {
  struct exchange_id id;
  struct message m = {0};
  struct http_content content = HTTP_NO_CONTENT;
  struct http_relay_answer got = {0};
  struct err err;
  size_t n = strcspn(d->callback, "/");
  struct book *b = book_hold(d->x);
  int rc = exchange_id_parse(d->client, 3, 4, &id, &err);
  snprintf(id.service, sizeof id.service, "%.*s", (int)(n > EXCHANGE_PART ? EXCHANGE_PART : n), d->callback);
  const struct offered *v = rc == 0 ? book_service(b, &id) : NULL;
  if (!v || !v->lane || !v->lane->peer) rc = err_set(&err, ERR_NOT_FOUND, "the service to call back is gone");
  if (rc == 0) rc = told_back(d, a, &m, &content, &err);
  if (rc == 0) {
    message_clean(&m);
    struct http_relay_call call = {.method = "POST", .target = arena_printf(a, "%s%s", v->prefix, d->callback + n), .headers = m.headers, .header_count = m.header_count, .content = &content, .timeout_ms = 15000};
    if (!call.target[0]) call.target = "/";
    rc = http_peer_call(v->lane->peer, &call, &got, &err);
    if (rc == 0 && (got.status < 200 || got.status > 299)) rc = err_set(&err, ERR_UNAVAILABLE, "the service to call back answered %d", got.status);
  }
  book_drop(b);
  d->next = rc && clock_now() < d->until ? pause_until(d) : 0;
  free(d->error);
  d->error = rc ? base_printf("callback %s", err.message) : NULL;
  http_relay_answer_free(&got);
  http_content_free(&content);
}

/* ---- which is ours ---- */

#define DELIVERY "client, message_id, file, lane, method, target, headers, callback, pinned, tries, until_at, state, status, answer, last_error, unsure_at"

static struct delivery *delivery_read(struct exchange *x, const struct store_rows *rows) {
  struct delivery *d = base_alloc(sizeof *d);
  char **texts[] = {&d->client, &d->message_id, &d->file, &d->lane, &d->method, &d->target, &d->headers, &d->callback, &d->pinned};
  for (int i = 0; i < (int)BASE_COUNT(texts); i++) *texts[i] = base_strdup(store_text(rows, i));
  d->x = x;
  d->tries = store_int(rows, 9);
  d->until = store_int(rows, 10);
  d->call_back = strcmp(store_text(rows, 11), "waiting") != 0;
  d->state = strcmp(store_text(rows, 11), "failed") == 0 ? "failed" : "answered";
  d->status = store_int(rows, 12);
  if (d->call_back) d->answer = base_strdup(store_text(rows, 13));
  if (d->call_back) d->error = base_strdup(store_text(rows, 14));
  d->unsure = store_int(rows, 15);
  return d;
}

struct claiming { struct exchange *x; const char *process; const char *lanes[LANES]; size_t count, most, got; struct delivery *list[THREADS]; };

/* 1: one more of this lane is ours, 0: there is none, or as many as may be are under way. */
static int claim_one(struct store_tx *tx, struct claiming *k, const char *lane, struct err *err) {
  int64_t now = store_time(tx), under_way;
  if (store_value(tx, &under_way, 0, err, "SELECT COUNT(claimed_by) FROM exchange_async WHERE lane = ?1 AND next_at <= ?2", "ti", lane, now)) return -1;
  if (under_way >= PER_LANE) return 0;
  struct store_rows *rows = store_select(tx, err, "SELECT " DELIVERY " FROM exchange_async WHERE lane = ?1 AND next_at <= ?2 AND claimed_by IS NULL ORDER BY next_at LIMIT 1", "ti", lane, now);
  int more = rows ? store_next(rows, err) : -1;
  struct delivery *d = more == 1 ? delivery_read(k->x, rows) : NULL;
  store_done(rows);
  if (!d) return more < 0 ? -1 : 0;
  int n = store_exec(tx, err, "UPDATE exchange_async SET claimed_by = ?1 WHERE client = ?2 AND message_id = ?3 AND claimed_by IS NULL", "ttt", k->process, d->client, d->message_id);
  if (n == 1) k->list[k->got++] = d;
  else delivery_free(d);
  return n;
}

static void forget_claims(struct claiming *k) {
  while (k->got) delivery_free(k->list[--k->got]);
}

/* One of each lane, then another of each. */
static int claim_work(struct store_tx *tx, void *arg, struct err *err) {
  struct claiming *k = arg;
  forget_claims(k);
  for (int round = 0; round < PER_LANE; round++)
    for (size_t i = 0; i < k->count && k->got < k->most; i++)
      if (claim_one(tx, k, k->lanes[i], err) < 0) return -1;
  return 0;
}

static void claim(struct claiming *k) {
  struct err err;
  k->process = process_name(k->x, &err);
  if (k->process && store_write(k->x->store, STORE_JOBS, claim_work, k, &err) == 0) return;
  log_write(LOG_WARN, "exchange", "messages to be delivered are not taken up: %s", err.message);
  forget_claims(k);
}

static void deliver_one(struct delivery *d) {
  struct async *s = d->x->async;
  struct arena *a = arena_new(SIDE_ARENA);
  struct err err;
  (d->call_back ? call_back : send_one)(d, a);
  while (store_write(d->x->store, STORE_JOBS, end_work, d, &err)) { /* it stays ours until what became of it is noted */
    log_write(LOG_WARN, "exchange", "the delivery of %s is not noted: %s", d->message_id, err.message);
    if (atomic_load(&s->closing)) break;
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
  }
  if (d->lost) log_write(LOG_WARN, "exchange", "the delivery of %s was another's by the time it ended", d->message_id);
  arena_free(a);
}

/* A lane that has more to send keeps its thread for a while. */
static void deliver(void *arg) {
  struct delivery *d = arg;
  struct exchange *x = d->x;
  struct async *s = x->async;
  for (int i = 1; d; i++) {
    struct claiming k = {.x = x, .lanes = {d->lane}, .count = 1, .most = 1};
    deliver_one(d);
    if (i < IN_A_ROW && !atomic_load(&s->closing)) claim(&k);
    delivery_free(d);
    d = k.got ? k.list[0] : NULL;
  }
  atomic_fetch_sub(&s->busy, 1);
  atomic_store(&s->looked, 0);
}

static int give_back_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "UPDATE exchange_async SET claimed_by = NULL WHERE claimed_by = ?1 AND next_at <= ?2", "ti", (const char *)arg, store_time(tx)) < 0 ? -1 : 0;
}

/* ---- from time to time ---- */

struct due { char *lanes[LANES], *processes[LANES]; size_t lane_count, process_count; };

static void due_free(struct due *k) {
  while (k->lane_count) free(k->lanes[--k->lane_count]);
  while (k->process_count) free(k->processes[--k->process_count]);
}

static int due_work(struct store_tx *tx, void *arg, struct err *err) {
  struct due *k = arg;
  int more = 0;
  due_free(k);
  struct store_rows *rows = store_select(tx, err, "SELECT lane FROM exchange_async WHERE next_at <= ?1 GROUP BY lane HAVING COUNT(*) > COUNT(claimed_by) AND COUNT(claimed_by) < ?2 ORDER BY MIN(next_at) LIMIT ?3",
                                         "iii", clock_now(), (int64_t)PER_LANE, (int64_t)LANES);
  while (rows && (more = store_next(rows, err)) == 1) k->lanes[k->lane_count++] = base_strdup(store_text(rows, 0));
  store_done(rows);
  if (!rows || more < 0) return -1;
  rows = store_select(tx, err, "SELECT DISTINCT claimed_by FROM exchange_async WHERE next_at <= ?1 AND claimed_by IS NOT NULL LIMIT ?2", "ii", clock_now(), (int64_t)LANES);
  while (rows && (more = store_next(rows, err)) == 1) k->processes[k->process_count++] = base_strdup(store_text(rows, 0));
  store_done(rows);
  return rows && more >= 0 ? 0 : -1;
}

static void take_over(struct exchange *x, const struct due *k) {
  struct err err;
  for (size_t i = 0; i < k->process_count; i++)
    if (process_ended(x, k->processes[i]) && store_write(x->store, STORE_JOBS, give_back_work, k->processes[i], &err))
      log_write(LOG_WARN, "exchange", "what another process had under way is not taken over: %s", err.message);
}

static int unclaim_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct delivery *d = arg;
  return store_exec(tx, err, "UPDATE exchange_async SET claimed_by = NULL WHERE client = ?1 AND message_id = ?2 AND claimed_by = ?3", "ttt", d->client, d->message_id,
                    d->x->sides->process.name) < 0 ? -1 : 0;
}

/* Nobody else can: this process lives. What the store does not take now is tried at the next look. */
static void give_back(struct exchange *x) {
  struct err err;
  for (struct delivery *d; (d = x->async->left) != NULL;) {
    if (store_write(x->store, STORE_JOBS, unclaim_work, d, &err)) {
      log_write(LOG_WARN, "exchange", "%s is not given back: %s", d->message_id, err.message);
      return;
    }
    x->async->left = d->left;
    delivery_free(d);
  }
}

static void begin_due(struct exchange *x, const struct due *due) {
  struct async *s = x->async;
  int room = THREADS - atomic_load(&s->busy);
  struct claiming k = {.x = x, .count = due->lane_count, .most = room > 0 ? (size_t)room : 0};
  for (size_t i = 0; i < due->lane_count; i++) k.lanes[i] = due->lanes[i];
  if (k.count && k.most) claim(&k);
  for (size_t i = 0; i < k.got; i++) {
    atomic_fetch_add(&s->busy, 1);
    if (tasks_put(s->threads, deliver, k.list[i])) continue;
    atomic_fetch_sub(&s->busy, 1); /* no thread is to be had */
    k.list[i]->left = s->left;
    s->left = k.list[i];
  }
}

static int figures_work(struct store_tx *tx, void *arg, struct err *err) {
  int64_t *f = arg;
  return store_value(tx, &f[0], 0, err, "SELECT COUNT(*) FROM exchange_async WHERE state = 'waiting'", "") ||
         store_value(tx, &f[1], 0, err, "SELECT MIN(taken_at) FROM exchange_async WHERE state = 'waiting'", "") ? -1 : 0;
}

static int old_work(struct store_tx *tx, void *arg, struct err *err) {
  json_t *files = arg, *one;
  size_t i;
  int more = 0;
  json_array_clear(files);
  struct store_rows *rows = store_select(tx, err, "SELECT client, message_id, file FROM exchange_async WHERE ended_at > 0 AND ended_at < ?1 AND claimed_by IS NULL LIMIT ?2", "ii",
                                         store_time(tx) - KEEP_MS, (int64_t)ENDED);
  while (rows && (more = store_next(rows, err)) == 1)
    json_array_append_new(files, json_pack("[s,s,s]", store_text(rows, 0), store_text(rows, 1), store_text(rows, 2)));
  store_done(rows);
  if (!rows || more < 0) return -1;
  json_array_foreach(files, i, one)
    if (store_put(tx, err, "DELETE FROM exchange_async WHERE client = ?1 AND message_id = ?2", "tt", json_string_value(json_array_get(one, 0)), json_string_value(json_array_get(one, 1)))) return -1;
  return 0;
}

/* Bodies that no row names: of a process that was killed before it had noted what it took, or of a copy's last moment. What is written just now has its row soon. */
static int orphans_work(struct store_tx *tx, void *arg, struct err *err) {
  int more = 0;
  struct store_rows *rows = store_select(tx, err, "SELECT file FROM exchange_async", "");
  while (rows && (more = store_next(rows, err)) == 1) json_object_del(arg, store_text(rows, 0));
  store_done(rows);
  return rows && more >= 0 ? 0 : -1;
}

static bool remove_orphans(struct exchange *x, json_t *names) {
  struct err err;
  json_t *one;
  const char *name;
  bool done = json_object_size(names) == 0 || store_read(x->store, orphans_work, names, &err) == 0;
  if (!done) log_write(LOG_WARN, "exchange", "bodies that no message has any more are not looked for: %s", err.message);
  else json_object_foreach(names, name, one) bodies_remove(x, name);
  json_object_clear(names);
  return done;
}

static void sweep_orphans(struct exchange *x) {
  char *folder = base_printf("%s/async", x->folder);
  json_t *names = json_object();
  DIR *d = opendir(folder);
  for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
    char stem[33];
    struct stat s;
    if (!exchange_body_name(e->d_name) || fstatat(dirfd(d), e->d_name, &s, 0) || clock_now() - (int64_t)s.st_mtime * 1000 < ORPHAN_MS) continue;
    snprintf(stem, sizeof stem, "%.32s", e->d_name);
    json_object_set_new(names, stem, json_true());
    if (json_object_size(names) >= ORPHANS && !remove_orphans(x, names)) break;
  }
  remove_orphans(x, names);
  if (d) closedir(d);
  free(folder);
  json_decref(names);
}

static void sweep(struct exchange *x) {
  json_t *files = json_array(), *f;
  size_t i;
  struct err err;
  if (store_write(x->store, STORE_JOBS, old_work, files, &err)) log_write(LOG_WARN, "exchange", "ended messages are not swept: %s", err.message);
  else json_array_foreach(files, i, f) bodies_remove(x, json_string_value(json_array_get(f, 2)));
  json_decref(files);
}

void async_jobs(struct exchange *x) {
  struct async *s = x->async;
  struct due k = {0};
  struct err err;
  int64_t now = clock_mono(), figures[2] = {0, 0};
  if (now - s->looked < LOOK_MS) return;
  s->looked = now;
  if (store_read(x->store, figures_work, figures, &err) == 0) {
    s->waiting = figures[0];
    s->oldest = figures[1];
  }
  if (store_read(x->store, due_work, &k, &err)) log_write(LOG_WARN, "exchange", "messages to be delivered cannot be read: %s", err.message);
  else {
    take_over(x, &k);
    begin_due(x, &k);
    give_back(x);
  }
  due_free(&k);
  if (now - s->swept < SWEEP_MS && s->swept) return;
  if (!s->orphans_swept || now - s->orphans_swept >= ORPHAN_MS) {
    s->orphans_swept = now;
    sweep_orphans(x);
  }
  s->swept = now;
  sweep(x);
}

void async_figures(struct exchange *x, int64_t *waiting, int64_t *oldest_s) {
  *waiting = x->async->waiting;
  *oldest_s = *waiting && x->async->oldest ? (clock_now() - x->async->oldest) / 1000 : 0;
}

int async_open(struct exchange *x, struct err *err) {
  char *folder = base_printf("%s/async", x->folder);
  x->async = base_alloc(sizeof *x->async);
  x->async->threads = tasks_new(THREADS, THREADS);
  int rc = dir_make(folder, 0700, err);
  free(folder);
  return rc;
}

void async_close(struct exchange *x) {
  if (!x->async) return;
  atomic_store(&x->async->closing, true);
  tasks_free(x->async->threads);
  for (struct delivery *d = x->async->left, *next; d; d = next) {
    next = d->left;
    delivery_free(d);
  }
  free(x->async);
  x->async = NULL;
}

static int restored_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "UPDATE exchange_async SET unsure_at = ?1 WHERE state = 'waiting' AND unsure_at IS NULL AND method NOT IN ('GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE')", "i",
                    *(int64_t *)arg) < 0 ? -1 : 0;
}

int exchange_restored_messages(struct store *store, int64_t copied, struct err *err) { return store_write(store, STORE_FRONT, restored_work, &copied, err); }

/* ---- fetching ---- */

struct kept_message { const char *client, *message_id; bool found; char *state, *file, *answer, *error; int64_t status, tries, next, until; };

static int get_work(struct store_tx *tx, void *arg, struct err *err) {
  struct kept_message *k = arg;
  struct store_rows *rows = store_select(tx, err, "SELECT state, file, answer, last_error, status, tries, next_at, until_at FROM exchange_async WHERE client = ?1 AND message_id = ?2", "tt", k->client, k->message_id);
  int more = rows ? store_next(rows, err) : -1;
  k->found = more == 1;
  if (k->found) {
    char **texts[] = {&k->state, &k->file, &k->answer, &k->error};
    for (int i = 0; i < 4; i++) {
      free(*texts[i]);
      *texts[i] = base_strdup(store_text(rows, i));
    }
    k->status = store_int(rows, 4);
    k->tries = store_int(rows, 5);
    k->next = store_int(rows, 6);
    k->until = store_int(rows, 7);
  }
  store_done(rows);
  return more < 0 ? -1 : 0;
}

static void tell_waiting(struct http_req *r, const struct kept_message *k) {
  char at[32], after[24];
  int64_t s = (k->next - clock_now()) / 1000;
  json_t *o = json_object();
  json_put(o, "message_id", k->message_id);
  json_put(o, "state", "waiting");
  json_object_set_new(o, "tries", json_integer(k->tries));
  json_put(o, "last_error", k->error);
  clock_rfc3339(k->until, at);
  json_put(o, "until", at);
  snprintf(after, sizeof after, "%lld", (long long)(s < 1 ? 1 : s > LONGEST_S ? LONGEST_S : s));
  http_reply_header(r, "Retry-After", after);
  http_reply_json(r, 202, o);
}

static void tell_answer(struct http_req *r, struct exchange *x, const struct kept_message *k) {
  struct message m = {0};
  struct http_content content;
  struct err err;
  if (headers_read(http_arena(r), k->answer, &m, &err) || content_read(x, k->file, "answer", &content, &err)) {
    http_problem(r, &err, NULL, NULL);
    return;
  }
  http_reply_relay(r, (int)k->status, m.headers, m.header_count, &content);
}

static void tell_failed(struct http_req *r, struct exchange *x, const struct kept_message *k) {
  struct fault f;
  stored_fault(k->error, &f);
  fault_reply(r, x, &f);
}

void async_get(struct http_req *r) {
  struct exchange *x = http_ctx(r);
  const struct http_pair *list;
  struct call q = {.method = "GET", .encrypted = http_encrypted(r)};
  struct exchange_id client;
  struct fault fault;
  struct err err;
  char who[EXCHANGE_ID + 1];
  q.header_count = http_headers(r, &list);
  q.headers = list;
  q.certified = q.encrypted && http_client_certificate(r, q.certificate);
  q.near = routes_near(r, x);
  struct members *m = members_hold(x);
  int rc = consumer_admit(x, m, http_arena(r), &q, &client, &fault);
  members_drop(m);
  if (rc) {
    fault_reply(r, x, &fault);
    return;
  }
  exchange_id_text(&client, who);
  struct kept_message k = {.client = who, .message_id = http_param(r, "message")};
  if (store_read(x->store, get_work, &k, &err)) http_problem(r, &err, NULL, NULL);
  else if (!k.found) http_problem_code(r, ERR_NOT_FOUND, NULL);
  else if (strcmp(k.state, "waiting") == 0) tell_waiting(r, &k);
  else if (strcmp(k.state, "answered") == 0) tell_answer(r, x, &k);
  else tell_failed(r, x, &k);
  free(k.state);
  free(k.file);
  free(k.answer);
  free(k.error);
}
