/* chapar gateway test: one call through the gateway that serves, and what went wrong told by side, check and what to do. */
#include "app/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the gateway of the folder answers: it leaves its address when it begins. */
static char *serving_url(const char *folder, struct err *err) {
  char *file = base_printf("%s/serving.json", folder), *text, *url = NULL;
  size_t n;
  if (access(file, F_OK)) err_set(err, ERR_NOT_FOUND, "the gateway of %s does not serve: chapar gateway serve --folder %s", folder, folder);
  else if ((text = file_read(file, 4096, &n, err))) {
    json_t *o = json_read(text, n, 4, err);
    url = base_strdup(json_str(o, "url"));
    json_decref(o);
    free(text);
  }
  free(file);
  return url;
}

static void tell_fault(const char *code, const char *message) {
  const char *last = strrchr(code, '.');
  char key[140];
  snprintf(key, sizeof key, "exchange.check.%s", last ? last + 1 : code);
  printf("refused by %s\n  code    %s\n  check   %s\n", base_starts(code, "server.serverproxy") ? "the provider's gateway" : "this gateway", code, word(LANG_EN, key));
  snprintf(key, sizeof key, "exchange.advice.%s", last ? last + 1 : code);
  printf("  said    %s\n  advice  %s\n", message ? message : "", word(LANG_EN, key));
}

static int tell(const struct http_answer *a, int64_t ms) {
  struct err err;
  json_t *o = a->size ? json_read(a->body, a->size, 8, &err) : NULL;
  const char *type = json_str(o, "type");
  bool fault = type && (base_starts(type, "server.") || base_starts(type, "client.")) && json_str(o, "detail");
  if (fault) tell_fault(type, json_str(o, "message"));
  else printf("answered by the provider's information system with %d, %zu bytes of %s, in %lld ms: signed, checked and logged on both sides\n", a->status, a->size,
              a->media_type ? a->media_type : "no type", (long long)ms);
  json_decref(o);
  return fault ? EXIT_REFUSED : EXIT_DONE;
}

int gateway_test(const char *folder, const char *client, const char *service, const char *method, const char *path) {
  struct err err;
  char *url = serving_url(folder, &err), *target = NULL, *header = NULL;
  struct http_client *c = http_client_new();
  struct http_answer a = {0};
  int rc = url ? 0 : -1;
  if (rc == 0) {
    target = base_printf("%s/r1/%s%s", url, service, path ? path : "");
    header = base_printf("X-Road-Client: %s", client);
    const char *headers[] = {header, "Accept: application/json", NULL};
    struct http_call call = {.method = method ? method : "GET", .url = target, .headers = headers, .timeout_ms = 70000, .most = 64u << 20};
    int64_t began = clock_mono();
    rc = http_client_call(c, &call, &a, &err);
    if (rc == 0) rc = tell(&a, clock_mono() - began);
    else rc = -1;
  }
  if (rc < 0) fprintf(stderr, "chapar: %s\n", err.message);
  http_answer_free(&a);
  http_client_free(c);
  free(header);
  free(target);
  free(url);
  return rc < 0 ? EXIT_REFUSED : rc;
}
