/* Copies of a gateway: one gzip file, "CHAPAR-GATEWAY-1\n", its files ("F name size\n" and their bytes), "D\n", the store's dump. What is put back
 * stands in FOLDER.restoring until keys, directory and ledger have been verified; then the folder takes its name. */
#include "app/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define MAGIC "CHAPAR-GATEWAY-1\n"
static const char *const files[] = {"gateway.json", "operator.pub", "directory", "ledger.pem", "ledger.pem.head", "keys/sign.pem", "keys/tls.pem", "keys/tls.crt", "keys/witness.pem", "keys/operator.pem", "keys/operator-next.pem", "keys/operator-old.pem",
                                    "keys/sign-next.pem", "keys/tls-next.pem", "keys/tls-next.crt", "keys/sign-old.pem", "keys/tls-old.pem", "keys/tls-old.crt"};
static const char *const rooms[] = {"store", "trust", "exchange", NULL};
enum { FILE_MOST = 64 * 1024 * 1024 };

static int failed(const struct err *err) {
  app_progress_end();
  fprintf(stderr, "chapar: %s\n", err->message);
  return EXIT_REFUSED;
}

static int sink(void *ctx, const void *p, size_t n) { return gzwrite(ctx, p, (unsigned)n) == (int)n ? 0 : -1; }

static int put_files(gzFile out, const char *folder, struct err *err) {
  for (size_t i = 0; i < BASE_COUNT(files); i++) {
    char *path = base_printf("%s/%s", folder, files[i]);
    bool there = access(path, F_OK) == 0;
    size_t n = 0;
    char *text = there ? file_read(path, FILE_MOST, &n, err) : NULL;
    free(path);
    if (there && !text) return -1;
    if (!text) continue;
    bool good = gzprintf(out, "F %s %zu\n", files[i], n) > 0 && (n == 0 || gzwrite(out, text, (unsigned)n) == (int)n);
    explicit_bzero(text, n);
    free(text);
    if (!good) return err_set(err, ERR_UNAVAILABLE, "the copy could not be written");
  }
  return gzwrite(out, "D\n", 2) == 2 ? 0 : err_set(err, ERR_UNAVAILABLE, "the copy could not be written");
}

int gateway_backup(const struct settings *s, const char *folder, const char *file) {
  struct exchange *x = NULL;
  struct err err;
  struct http_client *client = http_client_new();
  char *part = base_printf("%s.part", file);
  gzFile out = NULL;
  int rc = gateway_open(s, folder, client, NULL, &x, &err), fd;
  if (rc == 0) {
    mode_t old = umask(0077);
    out = gzopen(part, "wb1");
    umask(old);
    if (!out || gzwrite(out, MAGIC, sizeof MAGIC - 1) <= 0) rc = err_set(&err, ERR_UNAVAILABLE, "%s cannot be written: %s", part, strerror(errno));
  }
  if (rc == 0) rc = put_files(out, folder, &err);
  if (rc == 0) rc = store_dump(exchange_store(x), rooms, sink, out, &err);
  if (out && gzclose(out) != Z_OK && rc == 0) rc = err_set(&err, ERR_UNAVAILABLE, "the copy could not be written whole: %s", strerror(errno));
  if (rc == 0 && ((fd = open(part, O_RDONLY | O_CLOEXEC)) < 0 || fsync(fd) || close(fd) || rename(part, file))) rc = err_set(&err, ERR_UNAVAILABLE, "%s cannot be written: %s", file, strerror(errno));
  if (rc && out) unlink(part);
  exchange_close(x);
  http_client_free(client);
  free(part);
  if (rc) return failed(&err);
  printf("copied to %s (it holds the keys: keep it as you keep them)\n", file);
  return EXIT_DONE;
}

/* ---- in ---- */

static int source(void *ctx, void *buffer, size_t room, size_t *n) {
  int got = gzread(ctx, buffer, room > 1 << 20 ? 1 << 20 : (unsigned)room);
  if (got < 0) return -1;
  *n = (size_t)got;
  return 0;
}

static bool known(const char *name) {
  for (size_t i = 0; i < BASE_COUNT(files); i++)
    if (strcmp(name, files[i]) == 0) return true;
  return false;
}

static int take_files(gzFile in, const char *folder, struct err *err) {
  char line[200], name[100];
  size_t n;
  while (gzgets(in, line, sizeof line)) {
    if (strcmp(line, "D\n") == 0) return 0;
    if (sscanf(line, "F %99s %zu", name, &n) != 2 || !known(name) || n > FILE_MOST) break;
    char *text = base_alloc(n + 1), *path = base_printf("%s/%s", folder, name);
    bool whole = n == 0 || gzread(in, text, (unsigned)n) == (int)n, open_to_all = strstr(name, ".pem") == NULL;
    int rc = whole ? file_write(path, text, n, open_to_all ? 0644 : 0600, err) : err_set(err, ERR_INVALID, "the copy ends too early");
    explicit_bzero(text, n);
    free(text);
    free(path);
    if (rc) return -1;
  }
  return err_set(err, ERR_INVALID, "that is no copy of a gateway, or it is damaged");
}

static int load(gzFile in, const char *folder, struct err *err) {
  char magic[sizeof MAGIC] = "", *url = base_printf("sqlite:%s/exchange.db", folder), *keys = base_printf("%s/keys", folder);
  struct store *store = NULL;
  int rc = dir_make(keys, 0700, err);
  if (rc == 0 && (gzread(in, magic, sizeof MAGIC - 1) != sizeof MAGIC - 1 || strcmp(magic, MAGIC) != 0)) rc = err_set(err, ERR_INVALID, "that is no copy of a gateway");
  if (rc == 0) rc = take_files(in, folder, err);
  if (rc == 0) rc = store_open(url, NULL, &store, err);
  if (rc == 0) rc = store_migrate(store, rooms, err);
  if (rc == 0) rc = store_load(store, source, in, err);
  store_close(store);
  free(url);
  free(keys);
  return rc;
}

static void fault(void *ctx, const char *line) { printf("%s\n", line); }

/* Its keys open, its directory is truly signed (both by opening it), every leaf and head of its ledger verifies. */
static int verify(const struct settings *s, const char *folder, struct err *err) {
  struct exchange *x = NULL;
  struct http_client *client = http_client_new();
  struct trust_verify v = {.report = fault};
  int rc = gateway_open(s, folder, client, NULL, &x, err);
  if (rc == 0) rc = trust_verify(exchange_ledger(x), &v, err);
  exchange_close(x);
  http_client_free(client);
  return rc;
}

static void remove_new(const char *folder) {
  static const char *const more[] = {"exchange.db", "exchange.db-wal", "exchange.db-shm", "restored", "keys", ""};
  for (size_t i = 0; i < BASE_COUNT(files) + BASE_COUNT(more); i++) {
    char *path = base_printf("%s/%s", folder, i < BASE_COUNT(files) ? files[i] : more[i - BASE_COUNT(files)]);
    remove(path);
    free(path);
  }
}

int gateway_restore(const struct settings *s, const char *folder, const char *file) {
  struct err err;
  char *fresh = base_printf("%s.restoring", folder);
  gzFile in = NULL;
  int rc = 0;
  if (access(folder, F_OK) == 0 && rmdir(folder)) rc = err_set(&err, ERR_CONFLICT, "%s is not empty: a copy is put back into a new folder", folder);
  if (rc == 0) {
    remove_new(fresh);
    rc = dir_make(fresh, 0700, &err);
  }
  if (rc == 0 && !(in = gzopen(file, "rb"))) rc = err_set(&err, ERR_NOT_FOUND, "%s cannot be read: %s", file, strerror(errno));
  if (rc == 0) rc = load(in, fresh, &err);
  if (in) gzclose(in);
  if (rc == 0) rc = verify(s, fresh, &err);
  if (rc == 0) rc = exchange_restored(fresh, &err);
  if (rc == 0 && rename(fresh, folder)) rc = err_set(&err, ERR_UNAVAILABLE, "%s cannot be made: %s", folder, strerror(errno));
  if (rc) remove_new(fresh);
  free(fresh);
  if (rc) return failed(&err);
  printf("put back into %s; it verifies\n", folder);
  return EXIT_DONE;
}
