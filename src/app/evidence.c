/* chapar evidence: one exchanged message with its proof. */
#include "app/app.h"
#include "exchange/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const struct err *err) {
  fprintf(stderr, "chapar: %s\n", err->message);
  return EXIT_REFUSED;
}

static int export(const char *folder, const char *message_id) {
  struct exchange *x = NULL;
  struct err err;
  json_t *out = NULL;
  if (exchange_open(&(struct exchange_options){.folder = folder, .node = "evidence"}, &x, &err)) return refuse(&err);
  int rc = exchange_evidence(x, message_id, NULL, &out, &err) ? refuse(&err) : EXIT_DONE;
  if (rc == EXIT_DONE) {
    char *text = json_dumps(out, JSON_INDENT(1));
    if (puts(text) == EOF || fflush(stdout) != 0) rc = EXIT_REFUSED;
    free(text);
  }
  json_decref(out);
  exchange_close(x);
  return rc;
}

static int verify(const char *file, const char *key_file, const char *tsa_ca) {
  struct err err;
  size_t n, kn;
  char *text = file_read(file, 256u << 20, &n, &err), *key = NULL, *said = NULL;
  if (!text) return refuse(&err);
  int rc = key_file && !(key = file_read(key_file, 64 * 1024, &kn, &err)) ? -1 : 0;
  if (rc == 0) rc = exchange_evidence_verify(text, n, key, tsa_ca[0] ? tsa_ca : NULL, &said, &err);
  if (said) fputs(said, stdout);
  if (rc) fprintf(stderr, "chapar: FALSE: %s\n", err.message);
  free(said);
  free(key);
  free(text);
  return rc ? EXIT_REFUSED : EXIT_DONE;
}

int command_evidence(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  const char *key = NULL, *folder = NULL;
  const struct own_flag own[] = {{"--key", &key}, {"--gateway", &folder}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  if (left.count == 2 && strcmp(left.items[0], "export") == 0 && folder) return export(folder, left.items[1]);
  if (left.count == 2 && strcmp(left.items[0], "verify") == 0) return verify(left.items[1], key, s.tsa_ca);
  return app_usage("evidence", "say what to do: export MESSAGE-ID --gateway FOLDER, or verify FILE");
}
