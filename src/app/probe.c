/* `chapar probe`: the network measured from a county hub; and the centre's door for it. */
#include "app/app.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the centre's side: signed reports, answered with the plan ---- */

enum { JOINS_MOST = 20, JOINS_S = 600 };

/* There is no session to begin, and who is admitted is not told. */
static void refuse(struct http_req *r, const struct network_refusal *why, struct err *err) {
  if (err->code == ERR_UNAUTHENTICATED) err->code = ERR_NOT_FOUND;
  if (err->code == ERR_UNAVAILABLE) http_reply_header(r, "Connection", "close"); /* another node measures: the next connection may lead there */
  http_problem(r, err, why->word ? word_fill(http_arena(r), http_lang(r), why->word, "value", why->value, NULL) : NULL, NULL);
}

static void post_report(struct http_req *r) {
  struct platform *p = http_ctx(r);
  const char *name = http_param(r, "prober"), *signature = http_header(r, "Chapar-Signature");
  size_t n = 0;
  const void *body = http_body(r, &n);
  struct network_refusal why = {0};
  struct err err;
  int64_t next = 0;
  json_t *plan = NULL;
  if (network_report(p->network, name, body ? body : "", n, signature, &next, &why, &err) || network_prober_plan(p->network, name, &plan, &err)) return refuse(r, &why, &err);
  http_reply_json(r, 200, plan);
}

static void post_join(struct http_req *r) {
  struct platform *p = http_ctx(r);
  size_t n = 0;
  const void *body = http_body(r, &n);
  struct network_refusal why = {0};
  struct err err;
  if (!identity_limit(p->identity, "prober join", http_peer(r), JOINS_MOST, JOINS_S)) return http_problem_code(r, ERR_RATE, word(http_lang(r), "probe.joins"));
  if (network_prober_join(p->network, http_param(r, "prober"), body ? body : "", n, http_header(r, "Chapar-Signature"), &why, &err)) return refuse(r, &why, &err);
  http_reply_json(r, 200, json_pack("{s:s}", "name", http_param(r, "prober")));
}

const struct http_route probe_rows[2] = {
  {"POST", "/probe/{prober}", HTTP_WORKER, PERMIT_ALL, HTTP_MACHINE, 1 << 20, post_report, "Signed report of a prober at a hub; the answer is what it is to probe."},
  {"POST", "/probe/{prober}/join", HTTP_WORKER, PERMIT_ALL, HTTP_MACHINE, 4096, post_join, "A prober at a hub shows its one-time code and makes its key known."},
};

/* ---- the hub's side ---- */

static volatile bool stop;
static void on_signal(int number) { stop = true; }

struct centre { struct http_client *client; const char *url; };

/* What it says goes to a terminal and into the log: letters of one line only. ERR_RATE: it answered, but not now. */
static int refused_by_centre(const struct http_answer *a, struct err *err) {
  enum err_code code = a->status == 409 ? ERR_CONFLICT : a->status == 429 || a->status == 503 ? ERR_RATE : a->status < 500 ? ERR_FORBIDDEN : ERR_UNAVAILABLE;
  struct err unread;
  json_t *j = a->body ? json_read(a->body, a->size, 8, &unread) : NULL;
  char said[400];
  snprintf(said, sizeof said, "%s", json_str(j, "detail") ? json_str(j, "detail") : "this is no answer of Chapar: is the address right?");
  for (char *c = said; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f) *c = ' ';
  json_decref(j);
  return err_set(err, code, "the centre answered %d: %s", a->status, said);
}

static int call_centre(void *ctx, const char *path, const char *signature, const void *body, size_t n, char **answer, size_t *size, struct err *err) {
  struct centre *c = ctx;
  char *url = base_printf("%.*s%s", (int)(strlen(c->url) - (c->url[strlen(c->url) - 1] == '/')), c->url, path), *header = base_printf("Chapar-Signature: %s", signature);
  const char *headers[] = {"Content-Type: application/json", "Accept-Language: en", header, NULL};
  struct http_call call = {.method = "POST", .url = url, .headers = headers, .body = body, .body_size = n, .timeout_ms = 10000, .most = 8u << 20};
  struct http_answer a = {0};
  int rc = http_client_call(c->client, &call, &a, err);
  free(url);
  free(header);
  if (rc) return -1;
  if (a.status != 200) rc = refused_by_centre(&a, err);
  else {
    *answer = a.body;
    *size = a.size;
    a.body = NULL;
  }
  http_answer_free(&a);
  return rc;
}

/* FOLDER/probe.json: what joining made known. -1: it has not joined, told. */
static int read_own(const char *folder, char name[64], char centre[300]) {
  char *file = base_printf("%s/probe.json", folder);
  size_t n = 0;
  struct err err;
  char *text = file_read(file, 4096, &n, &err);
  json_t *j = text ? json_read(text, n, 2, &err) : NULL;
  snprintf(name, 64, "%s", json_str(j, "name") ? json_str(j, "name") : "");
  snprintf(centre, 300, "%s", json_str(j, "centre") ? json_str(j, "centre") : "");
  json_decref(j);
  free(text);
  free(file);
  if (name[0] && centre[0]) return 0;
  fprintf(stderr, "chapar: %s has not joined a centre: chapar probe join --folder %s --centre https://…\n", folder, folder);
  return -1;
}

static int refused(const struct err *err) {
  fprintf(stderr, "chapar: %s\n", err->message);
  return EXIT_REFUSED;
}

static int init(const char *folder) {
  struct err err;
  char key[64];
  if (network_hub_key(folder, key, &err)) return refused(&err);
  printf("the prober's key is in %s; its public half is %s\n", folder, key);
  return EXIT_DONE;
}

/* From standard input: what stands in a command is seen by everybody on the machine and kept in histories and logs. */
static int ask_code(char out[NETWORK_PROBER_CODE + 2]) {
  if (isatty(0)) fputs("One-time code, as the operator's page shows it: ", stderr);
  char line[300];
  size_t n = 0;
  if (!fgets(line, sizeof line, stdin)) return -1;
  for (const char *c = line; *c; c++) { /* letters as they were read out: spaces between them mean nothing */
    if (strchr(" \t\r\n", *c)) continue;
    if (n == NETWORK_PROBER_CODE) return -1;
    out[n++] = *c;
  }
  out[n] = '\0';
  return n ? 0 : -1;
}

/* Reports and the plan are told in the clear without TLS, and whoever stands between could have anything probed: http is for this machine alone. */
static bool centre_ok(const char *url) {
  if (strlen(url) > 290 || strchr(url, '@')) return false;
  if (base_starts(url, "https://")) return url[8] && url[8] != '/';
  if (!base_starts(url, "http://")) return false;
  const char *host = url + 7, *names[] = {"127.0.0.1", "localhost", "[::1]"};
  for (size_t i = 0; i < BASE_COUNT(names); i++)
    if (base_starts(host, names[i]) && strchr(":/", host[strlen(names[i])])) return true; /* also its end */
  return false;
}

static int join(const char *folder, const char *centre, const char *code) {
  struct centre c = {http_client_new(), centre};
  struct err err;
  char *body = NULL, *signature = NULL, *answer = NULL;
  const char *dot = strchr(code, '.');
  size_t size = 0;
  int rc = dot && dot > code && dot - code <= 40 ? 0 : err_set(&err, ERR_INVALID, "a code looks like NAME.LETTERS: take it whole, as the operator's page shows it");
  char *name = base_printf("%.*s", dot ? (int)(dot - code) : 0, code), *path = base_printf("/probe/%s/join", name), *file = base_printf("%s/probe.json", folder);
  if (rc == 0) rc = network_hub_join(folder, code, &body, &signature, &err);
  if (rc == 0) rc = call_centre(&c, path, signature, body, strlen(body), &answer, &size, &err);
  if (rc == 0) {
    json_t *own = json_pack("{s:s,s:s}", "name", name, "centre", centre);
    char *text = json_canonical(own);
    rc = file_write(file, text, strlen(text), 0600, &err);
    json_decref(own);
    free(text);
  }
  if (rc == 0) printf("prober %s is admitted by %s; begin it with: chapar probe serve --folder %s\n", name, centre, folder);
  free(body);
  free(signature);
  free(answer);
  free(name);
  free(path);
  free(file);
  http_client_free(c.client);
  return rc ? refused(&err) : EXIT_DONE;
}

static int measure_here(const struct settings *s, const char *folder) {
  char name[64], centre[300];
  struct network_options probe = {.source4 = s->probe_source[0] ? s->probe_source : NULL, .snmp_access = s->snmp_access[0] ? s->snmp_access : NULL};
  struct sigaction act = {.sa_handler = on_signal};
  struct err err;
  if (read_own(folder, name, centre)) return EXIT_REFUSED;
  probe.helper = network_helper_begin(&probe, true); /* before any thread */
  struct centre c = {http_client_new(), centre};
  struct network_hub_options o = {.name = name, .folder = folder, .call = call_centre, .ctx = &c, .stop = &stop, .probe = probe};
  signal(SIGPIPE, SIG_IGN);
  sigaction(SIGINT, &act, NULL);
  sigaction(SIGTERM, &act, NULL);
  printf("chapar: prober %s measures for %s\n", name, centre);
  fflush(stdout);
  int rc = network_hub_run(&o, &err);
  network_helper_end(probe.helper);
  http_client_free(c.client);
  return rc ? refused(&err) : EXIT_DONE;
}

static const char *cannot(const char *trouble) {
  return word(LANG_EN, strcmp(trouble, "socket") == 0 ? "web.net_prober_cannot_socket" : strcmp(trouble, "lost") == 0 ? "web.net_prober_cannot_lost" : strcmp(trouble, "helper") == 0 ? "web.net_prober_cannot_helper" : "web.net_prober_cannot_unsent");
}

static int status(const char *folder) {
  char name[64], centre[300], at[32] = "", *file = base_printf("%s/state.json", folder);
  size_t n = 0;
  int64_t oldest = 0;
  struct err err;
  int rc = read_own(folder, name, centre);
  if (rc == 0) {
    char *text = file_read(file, 4096, &n, &err);
    json_t *j = text ? json_read(text, n, 2, &err) : NULL;
    size_t waiting = network_hub_backlog(folder, &oldest);
    if (oldest) clock_rfc3339(oldest, at);
    const char *trouble = json_str(j, "trouble"), *sending = json_str(j, "sending");
    printf("prober %s for %s\nlast told: %s%s%s\nwaiting: %zu files%s%s\n", name, centre, json_str(j, "at") ? json_str(j, "at") : "never", trouble ? ", in trouble: " : ", well", trouble ? trouble : "", waiting,
           at[0] ? ", the oldest of " : "", at);
    if (sending) printf("sending: %s\n", cannot(sending));
    rc = j && !trouble && !sending ? EXIT_DONE : EXIT_REFUSED;
    json_decref(j);
    free(text);
  } else rc = EXIT_REFUSED;
  free(file);
  return rc;
}

/* ---- the operator's commands, beside a platform that serves or not ---- */

static int list(struct network *n, struct err *err) {
  json_t *all, *o;
  size_t i;
  if (network_probers(n, &all, err)) return -1;
  json_array_foreach(json_object_get(all, "items"), i, o)
    printf("%s: %s, %lld offices, last report %s, %lld files waiting, version %s, clock %+lld ms%s%s\n", json_str(o, "name"), json_str(o, "state"), (long long)json_int(o, "offices", 0),
           json_str(o, "heard") ? json_str(o, "heard") : "never", (long long)json_int(o, "backlog", 0), json_str(o, "version")[0] ? json_str(o, "version") : "unknown", (long long)json_int(o, "clock_ms", 0), json_str(o, "trouble") ? ", " : "", json_str(o, "trouble") ? cannot(json_str(o, "trouble")) : "");
  if (!json_array_size(json_object_get(all, "items"))) puts("no prober is admitted or invited");
  json_decref(all);
  return 0;
}

static int at_centre(const struct settings *s, const char *verb, const char *name, const char *reason) {
  struct platform p;
  struct err err;
  struct network_by by = {"command line", NULL};
  char code[NETWORK_PROBER_CODE];
  int rc = platform_open(&p, s, PLATFORM_ALL);
  if (rc == 0) {
    bool admit = strcmp(verb, "admit") == 0, none = strcmp(verb, "list") == 0;
    rc = platform_network(&p, &err);
    if (rc == 0) rc = none ? list(p.network, &err) : admit ? network_prober_invite(p.network, &by, name, reason, code, &err) : network_prober_revoke(p.network, &by, name, reason, &err);
    if (rc == 0 && admit) printf("%s\n", code);
    if (rc == 0 && !none && !admit) printf("prober %s is admitted no longer\n", name);
    if (rc) rc = refused(&err);
  }
  platform_close(&p);
  return rc;
}

int command_probe(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  char code[NETWORK_PROBER_CODE + 2] = "";
  const char *folder = NULL, *centre = NULL, *reason = NULL;
  struct own_flag own[] = {{"--folder", &folder}, {"--centre", &centre}, {"--reason", &reason}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  const char *verb = left.count ? left.items[0] : "";
  bool hub = strcmp(verb, "init") == 0 || strcmp(verb, "join") == 0 || strcmp(verb, "serve") == 0 || strcmp(verb, "status") == 0, named = strcmp(verb, "admit") == 0 || strcmp(verb, "revoke") == 0;
  if (!hub && !named && strcmp(verb, "list") != 0) return app_usage("probe", "say init, join, serve or status at the hub; admit, revoke or list at the centre");
  if (left.count != (named ? 2 : 1)) return app_usage("probe", named ? "admit and revoke are followed by the prober's name" : "there is a word too many");
  if (hub && !folder) return app_usage("probe", "--folder is where the prober keeps its key and what it has measured");
  if (named && !reason) return app_usage("probe", "--reason is needed: it is kept with the act");
  if (strcmp(verb, "init") == 0) return init(folder);
  if (strcmp(verb, "serve") == 0) return measure_here(&s, folder);
  if (strcmp(verb, "status") == 0) return status(folder);
  if (!hub) return at_centre(&s, verb, named ? left.items[1] : "", reason);
  if (!centre || !centre_ok(centre)) return app_usage("probe", "--centre is the address of the centre, such as https://khorasan.example (http only on this machine)");
  if (ask_code(code)) return app_usage("probe", "give the one-time code on standard input");
  return join(folder, centre, code);
}
