#include "app/app.h"
#include "app/clamd.h"
#include "channels/api/api.h"
#include "channels/ussd/ussd.h"
#include "channels/web/web.h"

#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* ---- who asks: one hook before every handler ---- */

struct gate {
  struct platform *p;
  const char *cookie; /* name of the session's cookie */
  const char *acting_cookie;
  struct web_context *web;
};

static const char *form_token(struct http_req *r) {
  const char *h = http_header(r, "X-Form-Token");
  return h ? h : http_form_value(r, "form_token");
}

static int refuse(struct http_req *r, enum err_code code) {
  http_problem_code(r, code, NULL);
  return -1;
}

static int check_form(struct http_req *r, const struct gate *g, const struct actor *who) {
  const char *given = form_token(r), *visitor = http_cookie(r, "visitor");
  if (http_replied(r)) return -1;
  if (who->kind != ACTOR_NOBODY) return identity_form_token_ok(who, given) ? 0 : refuse(r, ERR_FORBIDDEN);
  struct actor nobody = {.kind = ACTOR_NOBODY};
  if (!visitor || !given) return refuse(r, ERR_FORBIDDEN);
  identity_anonymous_token(g->p->identity, visitor, nobody.form_token);
  return identity_form_token_ok(&nobody, given) ? 0 : refuse(r, ERR_FORBIDDEN);
}

/* Whoever signed in with a password that somebody else gave does nothing before they have their own. */
static bool may_wait(struct http_req *r) {
  static const char *const open[] = {"/account/password", "/signout", "/api/v1/me", "/api/v1/me/password", "/api/v1/sessions", "/health"};
  const char *path = http_path(r);
  for (size_t i = 0; i < BASE_COUNT(open); i++)
    if (strcmp(path, open[i]) == 0) return true;
  return base_starts(path, "/assets/") || base_starts(path, "/manifest") || strcmp(path, "/sw.js") == 0;
}

static int change_first(struct http_req *r) {
  if (base_starts(http_path(r), "/api/") || !http_wants_html(r)) http_problem_code(r, ERR_FORBIDDEN, word(http_lang(r), "admin.must_change"));
  else http_redirect(r, 303, "/account/password");
  return -1;
}

static int permitted(struct http_req *r, const struct http_route *route, const struct actor *who) {
  bool known = who->kind != ACTOR_NOBODY;
  switch (route->permission) {
  case PERMIT_ALL: return 0;
  case PERMIT_SESSION: return known ? 0 : refuse(r, ERR_UNAUTHENTICATED);
  case PERMIT_CITIZEN: return who->kind == ACTOR_CITIZEN ? 0 : refuse(r, known ? ERR_FORBIDDEN : ERR_UNAUTHENTICATED);
  case PERMIT_STAFF: return who->kind == ACTOR_STAFF ? 0 : refuse(r, known ? ERR_FORBIDDEN : ERR_UNAUTHENTICATED);
  case PERMIT_AGENT: return actor_has_role(who, NULL, STAFF_AGENT) ? 0 : refuse(r, known ? ERR_FORBIDDEN : ERR_UNAUTHENTICATED);
  case PERMIT_MANAGER: return identity_manages(who, NULL) ? 0 : refuse(r, known ? ERR_FORBIDDEN : ERR_UNAUTHENTICATED);
  case PERMIT_AUDIT:
    return identity_manages(who, NULL) || actor_has_role(who, NULL, STAFF_AUDITOR) ? 0 : refuse(r, known ? ERR_FORBIDDEN : ERR_UNAUTHENTICATED);
  case PERMIT_OPERATOR: return actor_has_role(who, NULL, STAFF_OPERATOR) ? 0 : refuse(r, known ? ERR_FORBIDDEN : ERR_UNAUTHENTICATED);
  default: return refuse(r, ERR_FORBIDDEN);
  }
}

/* Acting for somebody else: told by the header in every call, or by the browser's cookie, which only names a mandate. Either is judged anew. */
static int act_for(struct http_req *r, const struct gate *g, struct actor *who) {
  const char *principal = http_header(r, "Chapar-Acting-As"), *mandate = !principal && who->by_cookie ? http_cookie(r, g->acting_cookie) : NULL;
  char code[32], bound[160];
  struct err err;
  if (!principal && (!mandate || who->kind != ACTOR_CITIZEN || identifier_parse(IDENT_TRACKING, mandate, code))) return 0;
  int rc = cases_act_for(g->p->cases, who, principal, principal ? NULL : code, &err);
  if (rc == 0) { /* a form that was opened for one is not sent for another */
    snprintf(bound, sizeof bound, "%s %s", who->form_token, who->acting_person);
    identity_anonymous_token(g->p->identity, bound, who->form_token);
    return 0;
  }
  if (err.code != ERR_FORBIDDEN) http_problem(r, &err, NULL, NULL);
  else if (principal) http_problem_code(r, ERR_FORBIDDEN, word(http_lang(r), "web.no_mandate"));
  else {
    http_reply_cookie(r, g->acting_cookie, "", 0, true); /* it has ended: one is oneself again, and old forms are refused */
    return 0;
  }
  return -1;
}

static int authorise(struct http_req *r, const struct http_route *route, void *ctx) {
  const struct gate *g = ctx;
  const char *h = http_header(r, "Authorization"), *token = NULL;
  struct actor who = {.kind = ACTOR_NOBODY};
  struct err err;
  bool by_cookie = false;
  if (h && route->cross != HTTP_MACHINE) { /* what a machine's row passes on may carry somebody else's */
    token = http_bearer(r);
    if (!token) return refuse(r, ERR_UNAUTHENTICATED);
  } else if (route->cross != HTTP_BEARER && route->cross != HTTP_MACHINE) {
    token = http_cookie(r, g->cookie);
    by_cookie = token != NULL;
  }
  if (token) {
    int rc = identity_session(g->p->identity, token, &who, &err);
    if (rc < 0) {
      http_problem(r, &err, NULL, NULL);
      return -1;
    }
    if (rc == 1 && !by_cookie) return refuse(r, ERR_UNAUTHENTICATED); /* a stale cookie is nobody, a stale token is told */
    who.by_cookie = by_cookie;
  }
  if (who.kind != ACTOR_NOBODY) {
    if (act_for(r, g, &who)) return -1;
    struct actor *keep = base_alloc(sizeof *keep);
    *keep = who;
    http_set_user(r, keep, free);
  }
  if (who.must_change && !may_wait(r)) return change_first(r);
  if (route->cross == HTTP_TOKEN && !(h && who.kind != ACTOR_NOBODY) && check_form(r, g, &who)) return -1;
  return permitted(r, route, &who);
}

static void error_page(struct http_req *r, int status, const struct err *err, void *ctx) {
  const struct gate *g = ctx;
  web_error_page(r, status, err, g->web);
}

/* ---- for machines around it ---- */

static void get_health(struct http_req *r) {
  struct platform *p = http_ctx(r);
  struct err err;
  json_t *o = json_object(), *causes = json_array(), *ends = NULL;
  if (store_ping(p->main, &err)) json_array_append_new(causes, json_pack("{s:s,s:s}", "part", "store", "message", err.message));
  if (p->fast != p->main && store_ping(p->fast, &err)) json_array_append_new(causes, json_pack("{s:s,s:s}", "part", "sessions", "message", err.message));
  if (p->clamd && clamd_ping(p->clamd, &err)) json_array_append_new(causes, json_pack("{s:s,s:s}", "part", "clamd", "message", err.message));
  if (p->exchange) exchange_health(p->exchange, causes);
  bool good = json_array_size(causes) == 0;
  json_put(o, "status", good ? "ok" : "failing");
  json_object_set_new(o, "causes", causes);
  if (p->exchange && exchange_ends(p->exchange, false, &ends, NULL) == 0) json_object_set_new(o, "ends", ends);
  http_reply_json(r, good ? 200 : 503, o);
}

static void store_lines(struct buf *b, struct store *s, const char *name) {
  struct store_stats t;
  store_stats(s, &t);
#define LINE(what, type) buf_addf(b, "# TYPE chapar_store_" #what " " type "\nchapar_store_" #what "{store=\"%s\"} %lld\n", name, (long long)t.what);
  LINE(commits, "counter") LINE(works, "counter") LINE(failures, "counter") LINE(retries, "counter") LINE(reads, "counter")
  LINE(queued_front, "gauge") LINE(queued_jobs, "gauge") LINE(wal_bytes, "gauge") LINE(wal_truncations, "counter")
#undef LINE
}

static void clamd_lines(struct buf *b, struct clamd *c) {
  struct clamd_figures f;
  clamd_read(c, &f);
  buf_addf(b, "# TYPE chapar_documents_scanned_total counter\nchapar_documents_scanned_total{verdict=\"clean\"} %lld\n"
              "chapar_documents_scanned_total{verdict=\"found\"} %lld\nchapar_documents_scanned_total{verdict=\"failed\"} %lld\n"
              "# TYPE chapar_clamd_up gauge\nchapar_clamd_up %d\n", (long long)f.clean, (long long)f.found, (long long)f.failed, f.up);
}

struct machines {
  struct platform *p;
  struct http_server *server;
};

static void get_metrics(struct http_req *r) {
  struct machines *m = http_ctx(r);
  struct buf b = {0};
  struct cases_figures f;
  struct err err;
  int64_t size = 0;
  http_server_metrics(m->server, &b);
  store_lines(&b, m->p->main, "main");
  if (m->p->fast != m->p->main) store_lines(&b, m->p->fast, "sessions");
  notify_metrics(m->p->notify, &b);
  if (m->p->clamd) clamd_lines(&b, m->p->clamd);
  if (m->p->exchange) exchange_metrics(m->p->exchange, &b);
  if (cases_figures(m->p->cases, &f, &err) == 0)
    buf_addf(&b, "# TYPE chapar_cases gauge\nchapar_cases{state=\"all\"} %lld\nchapar_cases{state=\"open\"} %lld\n# TYPE chapar_case_events gauge\nchapar_case_events %lld\n"
                 "# TYPE chapar_case_outbox gauge\nchapar_case_outbox %lld\n", (long long)f.cases, (long long)f.open, (long long)f.events, (long long)f.outbox);
  if (trust_size(m->p->trust, &size, &err) == 0) buf_addf(&b, "# TYPE chapar_ledger_leaves gauge\nchapar_ledger_leaves %lld\n", (long long)size);
  app_network_metrics(m->p, &b);
  size_t n = b.len;
  http_reply_take(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_take(&b), n);
}

/* The offices of one county, or of the place that is named: as GET /api/v1/network/targets tells. */
static void get_network_metrics(struct http_req *r) {
  struct machines *m = http_ctx(r);
  struct buf b = {0};
  const char *code = http_query(r, "place");
  int place = code ? directory_find_place(pack_directory(cases_pack(m->p->cases)), code) : -1;
  if (place < 0) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  app_network_offices(m->p, place, &b);
  size_t n = b.len;
  http_reply_take(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_take(&b), n);
}

/* The carrier's report on a text message, passed on by Kannel. */
static void get_report(struct http_req *r) {
  struct platform *p = http_ctx(r);
  struct err err;
  int64_t state = 0;
  const char *typed = http_query(r, "state");
  if (!ussd_gateway_allowed(r, p->set.ussd_secret[0] ? p->set.ussd_secret : NULL, p->set.ussd_allow)) return http_problem_code(r, ERR_FORBIDDEN, NULL);
  if (!typed || parse_i64(typed, &state) || state < 0 || state > 255) return http_problem_code(r, ERR_MALFORMED, NULL);
  if (notify_report(p->notify, http_query(r, "key"), (int)state, &err)) return http_problem(r, &err, NULL, NULL);
  http_reply(r, 200, "text/plain; charset=utf-8", "", 0);
}

static const struct http_route report_rows[] = {{"GET", "/notify/kannel", HTTP_WORKER, PERMIT_ALL, HTTP_MACHINE, 0, get_report, "Kannel's report on the delivery of a text message."}};
static const struct http_route health_rows[] = {{"GET", "/health", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_health, "200, or 503 with the causes; what ends soon."}};
static const struct http_route metrics_rows[] = {
  {"GET", "/metrics", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_metrics, "Figures for Prometheus."},
  {"GET", "/metrics/network", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_network_metrics, "Figures of the offices of a place, for Prometheus."},
};

/* ---- jobs ---- */

struct jobs {
  struct platform *p;
  void (*round)(struct platform *p);
  bool (*more)(struct platform *p); /* may be NULL: go on at once */
  bool meek; /* people do not wait for it */
  _Atomic bool stop;
};

static void *jobs_thread(void *arg) {
  struct jobs *j = arg;
  if (j->meek) setpriority(PRIO_PROCESS, (id_t)gettid(), 10); /* of this thread alone; where it is refused it is as good as the others */
  while (!j->stop) {
    j->round(j->p);
    if (j->more && j->more(j->p)) continue;
    nanosleep(&(struct timespec){.tv_nsec = 200 * 1000000}, NULL);
  }
  return NULL;
}

/* ---- the process ---- */

static int outbox(void *ctx, int limit, json_t **out, struct err *err) { return notify_outbox(ctx, limit, out, err); }

static bool loopback(const char *listen) {
  return base_starts(listen, "127.") || base_starts(listen, "localhost:") || base_starts(listen, "[::1]:");
}

struct serving {
  struct platform p;
  struct http_server *server, *peers, *systems; /* peers: other gateways; systems: information systems over TLS */
  struct gate gate;
  struct machines machines;
  struct api_context api;
  struct web_context web;
  struct ussd_context ussd;
  struct jobs jobs, notices, figures, papers, exchange, network, hooks;
  struct network_watch watch;
};

static int add_rows(struct serving *s, struct err *err) {
  if (strcmp(s->p.set.exchange, "no") && exchange_routes(s->server, s->p.exchange, err)) return -1;
  if (http_server_routes(s->server, health_rows, 1, &s->p, err) || http_server_routes(s->server, metrics_rows, BASE_COUNT(metrics_rows), &s->machines, err) ||
      http_server_routes(s->server, report_rows, 1, &s->p, err) || http_server_routes(s->server, probe_rows, 2, &s->p, err) ||
      api_routes(s->server, &s->api, err) || web_routes(s->server, &s->web, err))
    return -1;
  return ussd_routes(s->server, &s->ussd, err);
}

static int add_routes(struct serving *s, struct err *err) {
  struct platform *p = &s->p;
  s->api = (struct api_context){.cases = p->cases, .identity = p->identity, .registries = p->registries, .certificates = p->certificates, .trust = p->trust, .data = p->data, .exchange = p->exchange, .server = s->server, .base_url = p->set.base_url,
                                .demo = p->set.demo, .outbox = outbox, .outbox_ctx = p->notify, .submissions_per_minute = settings_number(p->set.submissions_per_minute, 60)};
  if (p->set.demo && s->api.submissions_per_minute && strcmp(settings_source("submissions_per_minute"), "default") == 0) s->api.submissions_per_minute = 0;
  if (p->set.demo && demo_accounts(p, &s->api.demo_accounts)) return err_set(err, ERR_INTERNAL, "the demonstration's accounts could not be made");
  s->web = (struct web_context){.cases = p->cases, .identity = p->identity, .registries = p->registries, .certificates = p->certificates, .trust = p->trust, .templates = p->templates, .base_url = p->set.base_url,
                                .demo = p->set.demo, .secure = base_starts(p->set.base_url, "https:"),
                                .submissions_per_minute = s->api.submissions_per_minute};
  s->api.observatory = s->web.observatory = p->observatory;
  s->web.exchange = p->exchange;
  s->api.network = s->web.network = p->network;
  s->web.store = p->main;
  s->web.secret = p->secret;
  if (p->set.demo && p->network) app_network_demo(p);
  s->api.network_feed = p->network_feed = http_feed_new(s->server, 1000, 100);
  s->ussd = (struct ussd_context){.cases = p->cases, .identity = p->identity, .store = p->main, .secret = p->set.ussd_secret[0] ? p->set.ussd_secret : NULL, .allow = p->set.ussd_allow,
                                  .session_seconds = settings_number(p->set.ussd_session_seconds, 180)};
  if (ussd_carriers_read(p->set.ussd_carriers, &s->ussd.carriers, err)) return -1;
  s->gate = (struct gate){.p = p, .cookie = s->web.secure ? "__Host-session" : "session", .acting_cookie = web_acting_cookie(&s->web), .web = &s->web};
  s->machines = (struct machines){.p = p, .server = s->server};
  http_server_hooks(s->server, authorise, error_page, &s->gate);
  return add_rows(s, err);
}

/* ---- the rows themselves ---- */

static const char *const permissions[] = {
#define X(name) #name,
  PERMISSION_TABLE(X)
#undef X
};

static void print_row(void *ctx, const struct http_route *row) {
  static const char *const wheres[] = {"inline", "worker"}, *const crosses[] = {"safe", "token", "bearer", "open", "machine"};
  char name[32];
  snprintf(name, sizeof name, "%s", permissions[row->permission] + strlen("PERMIT_"));
  for (char *c = name; *c; c++) *c = (char)tolower((unsigned char)*c);
  json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:s}", "method", row->method, "path", row->path, "permission", name, "cross_site", crosses[row->cross],
                        "most_body", (json_int_t)row->most_body, "runs", wheres[row->where], "help", row->help);
  char *text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
  puts(text);
  free(text);
  json_decref(o);
}

int command_routes(int argc, char **argv) {
  struct settings set;
  struct words_left left;
  struct err err;
  int rc = settings_read(&set, argc, argv, NULL, &left);
  if (rc) return rc;
  if (left.count) return app_usage("routes", "there is a word too many");
  struct serving *s = base_alloc(sizeof *s);
  s->p.set = set;
  s->api.demo = s->web.demo = set.demo;
  rc = http_server_new(&(struct http_options){.listen = "127.0.0.1:0", .threads = 1, .workers = 1}, &s->server, &err);
  if (rc == 0) rc = add_rows(s, &err);
  if (rc == 0) http_server_each(s->server, print_row, NULL);
  else fprintf(stderr, "chapar: %s\n", err.message);
  http_server_free(s->server);
  free(s);
  return rc ? EXIT_REFUSED : EXIT_DONE;
}

/* A store made as a demonstration stays one, and another never becomes one. */
static int check_demo(struct platform *p, struct err *err) {
  char *note = NULL;
  bool any;
  if (cases_note(p->cases, "demo", &note, err)) return -1;
  bool was = note != NULL;
  free(note);
  if (p->set.demo && !was) {
    int64_t records = 0;
    if (cases_any(p->cases, &any, err) || registries_count(p->registries, NULL, &records, err)) return -1;
    if (any || records) return err_set(err, ERR_CONFLICT, "this store holds real cases or records: it cannot be served as a demonstration");
    return cases_note_set(p->cases, "demo", "yes", err);
  }
  if (!p->set.demo && was) return err_set(err, ERR_CONFLICT, "this store was made as a demonstration: serve it with --demo, or begin another");
  return 0;
}

/* An empty store under a key that has signed for another begins a declared new log; a store that holds cases never does so by itself. */
static int begin_log(struct platform *p, struct err *err) {
  bool any;
  int64_t placed;
  if (cases_any(p->cases, &any, err)) return -1;
  if (any || trust_sequence(p->trust, &placed, err) == 0 || err->code != ERR_CONFLICT) return 0;
  log_write(LOG_WARN, "ledger", "%s", err->message);
  return trust_new_log(p->trust, "an empty store under a key that has signed before", err);
}

/* The gateway's listeners: for other gateways, and for information systems over TLS. */
static int listen_exchange(struct serving *s, struct err *err) {
  struct platform *p = &s->p;
  if (!p->exchange) return 0;
  const struct { const char *listen; struct http_server **place; int (*rows)(struct http_server *, struct exchange *, struct err *); } list[] = {
    {p->set.exchange_listen, &s->peers, exchange_peer_routes}, {p->set.exchange_systems_listen, &s->systems, exchange_routes_tls}};
  http_spool_limit((int64_t)settings_number(p->set.exchange_spool_mb, 0) << 20);
  for (size_t i = 0; i < BASE_COUNT(list); i++) {
    struct http_options o = {.listen = list[i].listen, .threads = settings_number(p->set.threads, 0), .workers = 2, .per_address = settings_number(p->set.exchange_per_address, 512)};
    if (o.listen[0] && (http_server_new(&o, list[i].place, err) || list[i].rows(*list[i].place, p->exchange, err) || http_server_start(*list[i].place, err))) return -1;
  }
  return 0;
}

static int serve(struct serving *s) {
  struct platform *p = &s->p;
  struct err err;
  bool postgres = store_engine_of(p->main) == STORE_POSTGRES;
  struct http_options o = {.listen = p->set.listen, .threads = settings_number(p->set.threads, 0), .workers = settings_number(p->set.workers, 0),
                           .all_worker = postgres, .server_name = p->set.base_url[0] ? p->set.base_url : NULL,
                           .access_log = strcmp(p->set.access_log, "yes") == 0, .trusted_proxies = p->set.trusted_proxies[0] ? p->set.trusted_proxies : NULL};
  if (!o.workers) o.workers = postgres ? 16 : 4;
  if (template_load("templates/", &p->templates, &err) || check_demo(p, &err) || platform_keep_pack(p, &err) || begin_log(p, &err) ||
      (p->set.demo && demo_records(p) && err_set(&err, ERR_INTERNAL, "the demonstration's records could not be made")) ||
      registries_rights_pack(p->registries, NULL, &err) || platform_network(p, &err) || (observatory_network(p->observatory, p->network), 0) || platform_exchange_open(p, &err) || http_server_new(&o, &s->server, &err) ||
      add_routes(s, &err) || listen_exchange(s, &err) ||
      http_server_start(s->server, &err) || platform_network_start(p, &err)) {
    fprintf(stderr, "chapar: %s\n", err.message);
    return EXIT_REFUSED;
  }
  sigset_t wanted;
  int got = 0;
  pthread_t jobs, notices, figures, papers, exchange, network, hooks, watch;
  s->jobs = (struct jobs){.p = p, .round = platform_jobs, .more = platform_more};
  s->notices = (struct jobs){.p = p, .round = platform_notices};
  s->figures = (struct jobs){.p = p, .round = platform_figures, .meek = true};
  s->papers = (struct jobs){.p = p, .round = platform_papers, .meek = true};
  s->exchange = (struct jobs){.p = p, .round = platform_exchange};
  s->network = (struct jobs){.p = p, .round = platform_network_jobs, .meek = true};
  s->hooks = (struct jobs){.p = p, .round = platform_hooks, .meek = true};
  s->watch = (struct network_watch){.p = p};
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGINT);
  sigaddset(&wanted, SIGTERM);
  pthread_create(&exchange, NULL, jobs_thread, &s->exchange);
  pthread_create(&network, NULL, jobs_thread, &s->network);
  pthread_create(&hooks, NULL, jobs_thread, &s->hooks);
  pthread_create(&watch, NULL, app_network_watch, &s->watch);
  pthread_create(&jobs, NULL, jobs_thread, &s->jobs);
  pthread_create(&notices, NULL, jobs_thread, &s->notices);
  pthread_create(&papers, NULL, jobs_thread, &s->papers);
  pthread_create(&figures, NULL, jobs_thread, &s->figures);
  printf("chapar: %s answers at http://%.*s:%d/\n", pack_name(p->pack, LANG_EN), (int)(strrchr(p->set.listen, ':') - p->set.listen), p->set.listen, http_server_port(s->server));
  if (p->set.demo) printf("chapar: a demonstration; its accounts: http://%.*s:%d/demo/accounts, its messages: …/demo/outbox\n",
                          (int)(strrchr(p->set.listen, ':') - p->set.listen), p->set.listen, http_server_port(s->server));
  if (s->peers) printf("chapar: other gateways reach %s at port %d\n", exchange_server(p->exchange), http_server_port(s->peers));
  if (s->systems) printf("chapar: information systems reach it over TLS at port %d\n", http_server_port(s->systems));
  fflush(stdout);
  sigwait(&wanted, &got);
  log_write(LOG_INFO, "app", "stopping");
  struct http_server *all[] = {s->server, s->systems, s->peers};
  for (size_t i = 0; i < BASE_COUNT(all); i++) http_server_quiet(all[i]);
  for (size_t i = 0; i < BASE_COUNT(all); i++) http_server_stop(all[i]);
  s->jobs.stop = s->notices.stop = s->figures.stop = s->papers.stop = s->exchange.stop = s->network.stop = s->hooks.stop = s->watch.stop = true;
  network_stop(p->network);
  pthread_join(exchange, NULL);
  pthread_join(jobs, NULL);
  pthread_join(network, NULL);
  pthread_join(hooks, NULL);
  pthread_join(watch, NULL);
  pthread_join(notices, NULL);
  pthread_join(figures, NULL);
  pthread_join(papers, NULL);
  return EXIT_DONE;
}

int command_serve(int argc, char **argv) {
  struct settings set;
  struct words_left left;
  int rc = settings_read(&set, argc, argv, NULL, &left);
  if (rc) return rc;
  if (left.count) return app_usage("serve", "there is a word too many");
  int64_t port;
  const char *colon = strrchr(set.listen, ':');
  if (!colon || parse_i64(colon + 1, &port) || port < 0 || port > 65535) return app_usage("serve", "--listen is ADDRESS:PORT");
  if (set.demo && !loopback(set.listen)) {
    fputs("chapar: a demonstration answers on this machine alone: --listen 127.0.0.1:PORT\n", stderr);
    return EXIT_USAGE;
  }
  sigset_t all;
  sigemptyset(&all);
  sigaddset(&all, SIGINT);
  sigaddset(&all, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &all, NULL); /* before any thread: they are taken by sigwait alone */
  signal(SIGPIPE, SIG_IGN);
  struct serving *s = base_alloc(sizeof *s);
  struct link *prober = network_helper_begin(&(struct network_options){.source4 = set.probe_source[0] ? set.probe_source : NULL}, strcmp(set.probe, "no") != 0);
  rc = platform_open(&s->p, &set, PLATFORM_ALL);
  s->p.prober = prober;
  if (rc == 0) rc = serve(s);
  exchange_quiet(s->p.exchange);
  http_server_free(s->server);
  http_server_free(s->systems);
  http_server_free(s->peers);
  json_decref(s->api.demo_accounts);
  platform_close(&s->p);
  network_helper_end(prober);
  free(s);
  return rc;
}
