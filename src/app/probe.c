/* `chapar probe`: the network measured from a county hub; and the centre's door for it. */
#include "app/app.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the centre's side: signed reports, answered with the plan ---- */

static void post_report(struct http_req *r) {
  struct platform *p = http_ctx(r);
  const char *name = http_param(r, "prober"), *signature = http_header(r, "Chapar-Signature");
  size_t n = 0;
  const void *body = http_body(r, &n);
  struct err err;
  int64_t next = 0;
  json_t *plan = NULL;
  if (network_report(p->network, name, body ? body : "", n, signature, &next, &err) || network_prober_plan(p->network, name, &plan, &err)) {
    if (err.code == ERR_UNAUTHENTICATED) err.code = ERR_NOT_FOUND; /* there is no session to begin, and who is admitted is not told */
    return http_problem(r, &err, NULL, NULL);
  }
  http_reply_json(r, 200, plan);
}

const struct http_route probe_rows[] = {
  {"POST", "/probe/{prober}", HTTP_WORKER, PERMIT_ALL, HTTP_MACHINE, 1 << 20, post_report, "Signed report of a prober at a hub; the answer is what it is to probe."},
};

/* ---- the hub's side ---- */

static volatile bool stop;
static void on_signal(int number) { stop = true; }

struct centre { struct http_client *client; const char *url; };

static int call_centre(void *ctx, const char *path, const char *signature, const void *body, size_t n, char **answer, size_t *size, struct err *err) {
  struct centre *c = ctx;
  char *url = base_printf("%.*s%s", (int)(strlen(c->url) - (c->url[strlen(c->url) - 1] == '/')), c->url, path), *header = base_printf("Chapar-Signature: %s", signature);
  const char *headers[] = {"Content-Type: application/json", header, NULL};
  struct http_call call = {.method = "POST", .url = url, .headers = headers, .body = body, .body_size = n, .timeout_ms = 10000, .most = 8u << 20};
  struct http_answer a = {0};
  int rc = http_client_call(c->client, &call, &a, err);
  free(url);
  free(header);
  if (rc) return -1;
  if (a.status != 200) rc = err_set(err, ERR_UNAVAILABLE, "the centre answered %d%s: %.300s", a.status, a.status == 404 ? " (is this prober admitted there, with this key?)" : "", a.body ? a.body : "");
  else {
    *answer = a.body;
    *size = a.size;
    a.body = NULL;
  }
  http_answer_free(&a);
  return rc;
}

static int measure_here(const struct settings *s, const char *name, const char *folder, const char *url) {
  struct centre c = {http_client_new(), url};
  struct network_hub_options o = {.name = name, .folder = folder, .call = call_centre, .ctx = &c, .stop = &stop, .probe = {.source4 = s->probe_source[0] ? s->probe_source : NULL}};
  struct sigaction act = {.sa_handler = on_signal};
  struct err err;
  char key[64];
  sigaction(SIGINT, &act, NULL);
  sigaction(SIGTERM, &act, NULL);
  int rc = network_hub_key(folder, key, &err);
  if (rc == 0) {
    printf("chapar: prober %s measures for %s; its key is %s\n", name, url, key);
    fflush(stdout);
    rc = network_hub_run(&o, &err);
  }
  if (rc) fprintf(stderr, "chapar: %s\n", err.message);
  http_client_free(c.client);
  return rc ? EXIT_REFUSED : EXIT_DONE;
}

static int admit(const struct settings *s, const char *name, const char *key) {
  struct platform p;
  struct err err;
  struct network_by by = {"command line", NULL};
  int rc = platform_open(&p, s, PLATFORM_ALL);
  if (rc == 0 && (platform_network(&p, &err) || network_prober_put(p.network, &by, name, strcmp(key, "none") == 0 ? "" : key, &err))) {
    fprintf(stderr, "chapar: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  if (rc == 0) printf("prober %s is %s\n", name, strcmp(key, "none") == 0 ? "admitted no longer" : "admitted");
  platform_close(&p);
  return rc;
}

int command_probe(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  const char *name = NULL, *folder = NULL, *centre = NULL;
  struct own_flag own[] = {{"--name", &name}, {"--folder", &folder}, {"--centre", &centre}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  if (left.count == 3 && strcmp(left.items[0], "admit") == 0) return admit(&s, left.items[1], left.items[2]);
  if (left.count) return app_usage("probe", "there is a word too many; `probe admit NAME KEY` admits a prober at the centre");
  if (!name || !folder || !centre) return app_usage("probe", "--name, --folder and --centre are needed");
  if (!base_starts(centre, "http://") && !base_starts(centre, "https://")) return app_usage("probe", "--centre is the address of the centre, such as https://khorasan.example");
  return measure_here(&s, name, folder, centre);
}
