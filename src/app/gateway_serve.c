/* A gateway as a process of its own: its listeners, its jobs, and how it tells that it is well. */
#include "app/gateway.h"
#include "base/bytes.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct serving {
  struct exchange *x;
  struct http_client *client;
  struct http_server *systems, *peers, *encrypted;
  _Atomic bool stop;
};

/* ---- for those around it ---- */

static bool from_here(const struct http_req *r) {
  const char *peer = http_peer(r);
  return (base_starts(peer, "127.") || strcmp(peer, "::1") == 0) && !http_header(r, "X-Forwarded-For") && !http_header(r, "Forwarded") && !http_header(r, "Via");
}

/* What ends soon is told to anybody who may ask, but who gave a right to whom on this machine alone. */
static void get_health(struct http_req *r) {
  struct serving *s = http_ctx(r);
  json_t *causes = json_array(), *ends = NULL;
  bool good = exchange_health(s->x, causes) == 0;
  json_t *o = json_pack("{s:s,s:o}", "status", good ? "ok" : "failing", "causes", causes);
  if (exchange_ends(s->x, from_here(r), &ends, NULL) == 0) json_object_set_new(o, "ends", ends);
  http_reply_json(r, good ? 200 : 503, o);
}

static void get_metrics(struct http_req *r) {
  struct serving *s = http_ctx(r);
  struct buf b = {0};
  if (!from_here(r)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  http_server_metrics(s->systems, &b);
  exchange_metrics(s->x, &b);
  size_t n = b.len;
  http_reply_take(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_take(&b), n);
}

static void get_status(struct http_req *r) {
  struct serving *s = http_ctx(r);
  struct err err;
  json_t *monitor = NULL, *directory = NULL, *causes = json_array();
  if (!from_here(r)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  exchange_health(s->x, causes);
  if (exchange_monitor(s->x, LANG_EN, &monitor, &err) || exchange_directory(s->x, &directory, &err)) {
    json_decref(monitor);
    json_decref(causes);
    return http_problem(r, &err, NULL, NULL);
  }
  json_object_set_new(directory, "member_count", json_integer((json_int_t)json_array_size(json_object_get(directory, "members"))));
  json_object_set_new(directory, "gateway_count", json_integer((json_int_t)json_array_size(json_object_get(directory, "gateways"))));
  json_object_del(directory, "members");
  json_object_set_new(monitor, "directory", directory);
  json_object_set_new(monitor, "causes", causes);
  json_object_set_new(monitor, "serving", json_true());
  http_reply_json(r, 200, monitor);
}

static const struct http_route own_rows[] = {
  {"GET", "/health", HTTP_WORKER, 0, HTTP_SAFE, 0, get_health, "200, or 503 with the causes; what ends soon."},
  {"GET", "/metrics", HTTP_WORKER, 0, HTTP_SAFE, 0, get_metrics, "Figures for Prometheus, on this machine."},
  {"GET", "/exchange/status", HTTP_WORKER, 0, HTTP_SAFE, 0, get_status, "All that chapar gateway status shows, on this machine."},
};

/* ---- the process ---- */

/* A gateway that has had nothing to do for a while gives its memory back, once. */
enum { IDLE_MS = 5000 };
struct rest { int64_t activity, since; bool settled; };

static void rest(struct serving *s, struct rest *r) {
  int64_t activity = exchange_activity(s->x), now = clock_mono();
  if (activity != r->activity || !r->since) *r = (struct rest){activity, now, false};
  if (r->settled || now - r->since < IDLE_MS) return;
  memory_settle();
  r->settled = true;
}

static void *jobs(void *arg) {
  struct serving *s = arg;
  struct rest r = {0};
  while (!s->stop) {
    exchange_jobs(s->x);
    rest(s, &r);
    nanosleep(&(struct timespec){.tv_nsec = 200 * 1000000}, NULL);
  }
  return NULL;
}

static char *host_of(const char *listen) {
  const char *port = strrchr(listen, ':');
  return base_printf("%.*s", port ? (int)(port - listen) : 0, listen);
}

static bool everywhere(const char *listen) { return listen[0] == ':' || base_starts(listen, "0.0.0.0:") || base_starts(listen, "[::]:"); }

/* Where chapar gateway status asks. */
static int leave_address(const struct serving *s, const struct settings *set, const char *folder, struct err *err) {
  char *file = base_printf("%s/serving.json", folder), *host = everywhere(set->listen) ? base_strdup("127.0.0.1") : host_of(set->listen), *url = base_printf("http://%s:%d", host, http_server_port(s->systems));
  json_t *o = json_pack("{s:s,s:I}", "url", url, "pid", (json_int_t)getpid());
  char *text = json_canonical(o);
  int rc = file_write(file, text, strlen(text), 0644, err);
  json_decref(o);
  free(text);
  free(url);
  free(host);
  free(file);
  return rc;
}

/* Its listeners together have about a thread for each core: they hand messages on, and one that reads for many wakes more seldom than many that read for few. */
static int reading(const struct settings *set) {
  int said = settings_number(set->threads, 0);
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  return said > 0 ? said : cores > 0 ? (int)(cores + 1) / 2 : 1;
}

static int listen_on(struct serving *s, const struct settings *set, struct err *err) {
  const struct { const char *listen; struct http_server **place; int (*rows)(struct http_server *, struct exchange *, struct err *); int workers; } list[] = {
    {set->listen, &s->systems, exchange_routes, 4}, {set->exchange_listen, &s->peers, exchange_peer_routes, 4}, {set->exchange_systems_listen, &s->encrypted, exchange_routes_tls, 4}};
  http_spool_limit((int64_t)settings_number(set->exchange_spool_mb, 0) << 20);
  for (size_t i = 0; i < BASE_COUNT(list); i++) {
    struct http_options o = {.listen = list[i].listen, .threads = reading(set), .workers = settings_number(set->workers, 0) ? settings_number(set->workers, 0) : list[i].workers,
                             .access_log = strcmp(set->access_log, "yes") == 0, .per_address = settings_number(set->exchange_per_address, 512)};
    if (!o.listen[0]) continue;
    if (http_server_new(&o, list[i].place, err) || list[i].rows(*list[i].place, s->x, err)) return -1;
    if (i == 0 && http_server_routes(s->systems, own_rows, BASE_COUNT(own_rows), s, err)) return -1;
    if (http_server_start(*list[i].place, err)) return -1;
  }
  return 0;
}

static void tell(const struct serving *s, const struct settings *set) {
  char *host = host_of(set->listen);
  printf("chapar: gateway %s answers information systems at http://%s:%d/\n", exchange_server(s->x), host, http_server_port(s->systems));
  if (s->encrypted) printf("chapar: and over TLS at port %d\n", http_server_port(s->encrypted));
  if (s->peers) printf("chapar: other gateways reach it at port %d\n", http_server_port(s->peers));
  else puts("chapar: no other gateway reaches it: say --exchange-listen ADDRESS:PORT");
  fflush(stdout);
  free(host);
}

int gateway_serve(const struct settings *set, const char *folder) {
  struct serving s = {0};
  struct err err;
  sigset_t wanted;
  pthread_t thread;
  int got, rc = EXIT_REFUSED;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGINT);
  sigaddset(&wanted, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &wanted, NULL); /* before any thread */
  signal(SIGPIPE, SIG_IGN);
  s.client = http_client_new();
  if (gateway_open(set, folder, s.client, NULL, &s.x, &err) || listen_on(&s, set, &err) || leave_address(&s, set, folder, &err)) {
    fprintf(stderr, "chapar: %s\n", err.message);
    goto out;
  }
  pthread_create(&thread, NULL, jobs, &s);
  tell(&s, set);
  sigwait(&wanted, &got);
  log_write(LOG_INFO, "app", "stopping");
  struct http_server *all[] = {s.systems, s.encrypted, s.peers};
  for (size_t i = 0; i < BASE_COUNT(all); i++) http_server_quiet(all[i]);
  for (size_t i = 0; i < BASE_COUNT(all); i++) http_server_stop(all[i]);
  s.stop = true;
  pthread_join(thread, NULL);
  char *file = base_printf("%s/serving.json", folder);
  unlink(file);
  free(file);
  rc = EXIT_DONE;
out:
  exchange_quiet(s.x);
  http_server_free(s.systems);
  http_server_free(s.encrypted);
  exchange_close(s.x);
  http_server_free(s.peers);
  http_client_free(s.client);
  return rc;
}

/* ---- status ---- */

static json_t *ask(const char *folder) {
  char *file = base_printf("%s/serving.json", folder), *url = NULL;
  struct http_client *c = http_client_new();
  struct http_answer a = {0};
  size_t n;
  json_t *at = NULL, *out = NULL;
  char *text = access(file, R_OK) == 0 ? file_read(file, 4096, &n, NULL) : NULL;
  if (text && (at = json_read(text, n, 4, NULL)) != NULL && json_str(at, "url")) {
    url = base_printf("%s/exchange/status", json_str(at, "url"));
    struct http_call call = {.method = "GET", .url = url, .timeout_ms = 5000, .most = 16 << 20};
    if (http_client_call(c, &call, &a, NULL) == 0 && a.status == 200) out = json_read(a.body, a.size, 16, NULL);
    http_answer_free(&a);
  }
  json_decref(at);
  free(text);
  free(url);
  free(file);
  http_client_free(c);
  return out;
}

/* Nothing answers: what can be seen in the folder. */
static json_t *look(const struct settings *set, const char *folder, struct err *err) {
  struct http_client *client = http_client_new();
  struct exchange *x = NULL;
  json_t *o = json_object(), *directory = NULL, *log = NULL, *ends = NULL;
  int rc = gateway_open(set, folder, client, NULL, &x, err);
  if (rc == 0) rc = exchange_directory(x, &directory, err);
  if (rc == 0 && exchange_log_status(x, &log, NULL) == 0) json_object_set_new(o, "log", log);
  if (rc == 0 && exchange_ends(x, true, &ends, NULL) == 0) json_object_set_new(o, "ends", ends);
  if (rc == 0) {
    json_put(o, "server", exchange_server(x));
    json_object_del(directory, "members");
    json_object_set_new(o, "directory", directory);
    json_object_set_new(o, "serving", json_false());
    json_object_set_new(o, "causes", json_pack("[{s:s,s:s}]", "part", "gateway", "message", "it does not serve: chapar gateway serve"));
  }
  exchange_close(x);
  http_client_free(client);
  if (rc == 0) return o;
  json_decref(o);
  return NULL;
}

static void print(const json_t *v) {
  const json_t *d = json_object_get(v, "directory"), *helper = json_object_get(d, "key_helper"), *stamps = json_object_get(v, "timestamps"), *own = NULL;
  json_t *o;
  size_t i, reached = 0, resting = 0, failed = 0;
  int64_t age = json_int(d, "age_s", -1);
  json_array_foreach(json_object_get(d, "gateways"), i, o) if (base_same(json_str(o, "id"), json_str(v, "server"))) own = o;
  printf("gateway      %s%s\n", json_str(v, "server"), json_flag(d, "operator", false) ? " (the operator's)" : "");
  printf("directory    version %lld, %s", (long long)json_int(d, "version", 0), json_str(d, "state"));
  if (age >= 0) printf(", known to be the newest %lld s ago", (long long)age);
  printf("\n");
  if (json_str(d, "problem") && json_str(d, "problem")[0]) printf("             %s\n", json_str(d, "problem"));
  const json_t *maintenance = json_object_get(d, "maintenance");
  if (json_is_object(maintenance)) printf("maintenance  until %s: %s\n", json_str(maintenance, "until") ? json_str(maintenance, "until") : "it is said to be over", json_str(maintenance, "notice"));
  printf("keys         %s; helper process %lld, begun anew %lld times\n", json_str(own, "fingerprint") ? json_str(own, "fingerprint") : "not in the directory, or rolling over", (long long)json_int(helper, "pid", 0),
         (long long)json_int(helper, "restarts", 0));
  json_array_foreach(json_object_get(v, "peers"), i, o) {
    const char *state = json_str(o, "state");
    *(base_same(state, "reached") ? &reached : base_same(state, "maintenance") ? &resting : &failed) += 1;
  }
  printf("peers        %zu reached, %zu under maintenance, %zu failed since the start\n", reached, resting, failed);
  json_array_foreach(json_object_get(v, "peers"), i, o)
    if (!base_same(json_str(o, "state"), "reached")) printf("             %s: %s (%s)\n", json_str(o, "server"), json_str(o, "last_error"), json_str(o, "at"));
  if (json_object_get(v, "ledger")) printf("evidence     %lld leaves in the ledger\n", (long long)json_int(json_object_get(v, "ledger"), "size", 0));
  gateway_tell_log(json_object_get(v, "log"));
  if (stamps) printf("time-stamps  %s\n", !json_flag(stamps, "asked", false) ? "no authority is set" : json_flag(stamps, "behind", false) ? "behind: the authority does not answer" : "up to date");
  json_array_foreach(json_object_get(d, "witnessed"), i, o)
    printf("witness      %s seen up to %lld leaves%s%s\n", json_str(o, "origin"), (long long)json_int(o, "tree_size", 0), json_str(o, "problem")[0] ? ": " : "", json_str(o, "problem"));
  json_array_foreach(json_object_get(v, "ends"), i, o)
    printf("ends soon    %s %s on %.10s, in %lld days: %s\n", json_str(o, "kind"), json_str(o, "id"), json_str(o, "until"), (long long)json_int(o, "days", 0), json_str(o, "name"));
  if (json_array_size(json_object_get(v, "causes")) == 0) puts("all is well");
  json_array_foreach(json_object_get(v, "causes"), i, o) printf("wrong        %s: %s\n", json_str(o, "part"), json_str(o, "message"));
}

int gateway_status(const struct settings *set, const char *folder, bool json) {
  struct err err;
  json_t *v = ask(folder);
  if (!v) v = look(set, folder, &err);
  if (!v) {
    fprintf(stderr, "chapar: %s\n", err.message);
    return EXIT_REFUSED;
  }
  if (json) {
    char *text = json_dumps(v, JSON_INDENT(1));
    puts(text);
    free(text);
  } else {
    print(v);
  }
  int rc = json_array_size(json_object_get(v, "causes")) ? EXIT_REFUSED : EXIT_DONE;
  json_decref(v);
  return rc;
}
