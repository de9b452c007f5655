/* chapar evidence: one exchanged message with its proof. */
#include "app/app.h"
#include "exchange/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int refuse(const struct err *err) {
  fprintf(stderr, "chapar: %s\n", err->message);
  return EXIT_REFUSED;
}

enum { BUNDLE_MOST = 256 << 20 };

static int put(json_t *bundle) {
  char *text = json_dumps(bundle, JSON_INDENT(1));
  int rc = puts(text) == EOF || fflush(stdout) != 0 ? EXIT_REFUSED : EXIT_DONE;
  free(text);
  json_decref(bundle);
  return rc;
}

static int export(const struct settings *s, const char *folder, const struct evidence_ask *a) {
  struct exchange *x = NULL;
  struct err err;
  json_t *out = NULL;
  if (exchange_open(&(struct exchange_options){.folder = folder, .node = "evidence", .archive_folder = s->exchange_archive[0] ? s->exchange_archive : NULL}, &x, &err)) return refuse(&err);
  int rc = exchange_evidence(x, a, &out, &err) ? refuse(&err) : put(out);
  exchange_close(x);
  return rc;
}

static int export_from(const char *archive, const struct evidence_ask *a) {
  struct err err;
  json_t *out = NULL;
  return exchange_archive_evidence(archive, a, &out, &err) ? refuse(&err) : put(out);
}

/* A bundle and an archive are told apart by their first bytes. *text: of a bundle. */
static int open_file(const char *file, bool *archive, char **text, size_t *n, struct err *err) {
  unsigned char head[2] = {0};
  struct stat st;
  FILE *f = fopen(file, "rbe");
  int rc = 0;
  *text = NULL;
  if (!f) return err_set(err, ERR_NOT_FOUND, "%s cannot be read: %s", file, strerror(errno));
  if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode)) rc = err_set(err, ERR_INVALID, "%s is not a file: name the bundle or the archive itself", file);
  *archive = rc == 0 && fread(head, 1, 2, f) == 2 && head[0] == 0x1f && head[1] == 0x8b;
  fclose(f);
  if (rc == 0 && !*archive && st.st_size > BUNDLE_MOST)
    rc = err_set(err, ERR_TOO_LARGE, "%s is too large to be a bundle of evidence: it has %lld MB, and a bundle %d at most", file, (long long)st.st_size >> 20, BUNDLE_MOST >> 20);
  if (rc == 0 && !*archive && !(*text = file_read(file, BUNDLE_MOST, n, err))) rc = -1;
  return rc;
}

static int verify(const char *file, const char *key_file, const char *tsa_ca) {
  struct err err;
  size_t n, kn;
  bool archive = false;
  char *text = NULL, *key = NULL, *said = NULL;
  if (open_file(file, &archive, &text, &n, &err)) return refuse(&err);
  if (key_file && !(key = file_read(key_file, 64 * 1024, &kn, &err))) {
    free(text);
    return refuse(&err);
  }
  const char *ca = tsa_ca[0] ? tsa_ca : NULL;
  int rc = archive ? exchange_archive_verify(file, key, ca, &said, &err) : exchange_evidence_verify(text, n, key, ca, &said, &err);
  if (said) fputs(said, stdout);
  if (rc) fprintf(stderr, "chapar: %s%s\n", err.code == ERR_MALFORMED ? "" : "FALSE: ", err.message);
  free(said);
  free(key);
  free(text);
  return rc ? EXIT_REFUSED : EXIT_DONE;
}

int command_evidence(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  const char *key = NULL, *folder = NULL, *archive = NULL, *from = NULL, *until = NULL;
  struct err err;
  const struct own_flag own[] = {{"--key", &key}, {"--gateway", &folder}, {"--archive", &archive}, {"--from", &from}, {"--until", &until}, {NULL, NULL}};
  int rc = settings_read(&s, argc, argv, own, &left);
  if (rc) return rc;
  if (left.count == 2 && strcmp(left.items[0], "export") == 0 && !folder != !archive) {
    struct evidence_ask a = {.message_id = left.items[1]};
    if (evidence_ask_times(&a, from, until, &err)) return refuse(&err);
    return folder ? export(&s, folder, &a) : export_from(archive, &a);
  }
  if (left.count == 2 && strcmp(left.items[0], "verify") == 0) return verify(left.items[1], key, s.tsa_ca);
  return app_usage("evidence", "say what to do: export MESSAGE-ID with --gateway FOLDER or --archive FILE, or verify FILE");
}
