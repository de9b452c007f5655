/* Copies of a gateway: one gzip file, "CHAPAR-GATEWAY-1\n", "T ms\n" (when it was begun), its files ("F name size\n" and their bytes), the store's dump in pieces ("D size\n" and the bytes),
 * the bodies of messages that are delivered later, as files, "E\n". The bodies come after the dump, so that each that a row of it needs is there already. What
 * is put back stands in FOLDER.restoring until keys, directory and ledger have been verified; then the folder takes its name. */
#include "app/gateway.h"

#include <dirent.h>
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

static int failed(const struct err *err) {
  app_progress_end();
  fprintf(stderr, "chapar: %s\n", err->message);
  return EXIT_REFUSED;
}

static int unwritten(struct err *err) { return err_set(err, ERR_UNAVAILABLE, "the copy could not be written whole: %s", strerror(errno)); }

static int sink(void *ctx, const void *p, size_t n) {
  char head[32];
  int size = snprintf(head, sizeof head, "D %zu\n", n);
  return gzwrite(ctx, head, (unsigned)size) == size && (n == 0 || gzwrite(ctx, p, (unsigned)n) == (int)n) ? 0 : -1;
}

/* Of any size. `swept`: one that is gone is told and left out, as a message that ended long ago may be swept meanwhile. */
static int put_file(gzFile out, const char *folder, const char *name, bool swept, struct err *err) {
  char *path = base_printf("%s/%s", folder, name), piece[65536];
  int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
  struct stat st;
  if (fd < 0 && errno == ENOENT && swept) log_write(LOG_WARN, "gateway", "%s is gone and not in the copy", path);
  else if (fd < 0 || fstat(fd, &st)) rc = err_set(err, ERR_UNAVAILABLE, "%s cannot be read: %s", path, strerror(errno));
  if (fd >= 0 && rc == 0 && gzprintf(out, "F %s %lld\n", name, (long long)st.st_size) <= 0) rc = unwritten(err);
  for (int64_t left = fd >= 0 && rc == 0 ? st.st_size : 0; left > 0 && rc == 0;) {
    ssize_t n = read(fd, piece, left < (int64_t)sizeof piece ? (size_t)left : sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) rc = err_set(err, ERR_UNAVAILABLE, "%s cannot be read: %s", path, n ? strerror(errno) : "it became shorter");
    else if (gzwrite(out, piece, (unsigned)n) != (int)n) rc = unwritten(err);
    left -= n;
  }
  if (fd >= 0) close(fd);
  explicit_bzero(piece, sizeof piece);
  free(path);
  return rc;
}

static int put_files(gzFile out, const char *folder, struct err *err) {
  for (size_t i = 0; i < BASE_COUNT(files); i++) {
    char *path = base_printf("%s/%s", folder, files[i]);
    int rc = access(path, F_OK) == 0 ? put_file(out, folder, files[i], false, err) : 0;
    free(path);
    if (rc) return -1;
  }
  return 0;
}

struct bodies { gzFile out; const char *folder; };

static int put_body(void *ctx, const char *name, struct err *err) {
  const struct bodies *b = ctx;
  char *path = base_printf("async/%s", name);
  int rc = put_file(b->out, b->folder, path, true, err);
  free(path);
  return rc;
}

static int put_all(gzFile out, const char *folder, struct exchange *x, struct err *err) {
  int64_t began = clock_now();
  if (gzprintf(out, MAGIC "T %lld\n", (long long)began) <= 0) return unwritten(err);
  if (put_files(out, folder, err) || store_dump(exchange_store(x), rooms, sink, out, err) || exchange_bodies(x, began, put_body, &(struct bodies){out, folder}, err)) return -1;
  return gzwrite(out, "E\n", 2) == 2 ? 0 : unwritten(err);
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
    if (!out) rc = err_set(&err, ERR_UNAVAILABLE, "%s cannot be written: %s", part, strerror(errno));
  }
  if (rc == 0) rc = put_all(out, folder, x, &err);
  if (out && gzclose(out) != Z_OK && rc == 0) rc = unwritten(&err);
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

/* The dump's pieces as one stream; `left`: of the piece under way. */
struct pieces { gzFile in; size_t left; };

static int source(void *ctx, void *buffer, size_t room, size_t *n) {
  struct pieces *p = ctx;
  char line[40];
  *n = 0;
  if (!p->left && (!gzgets(p->in, line, sizeof line) || sscanf(line, "D %zu", &p->left) != 1 || !p->left)) return -1;
  int got = gzread(p->in, buffer, (unsigned)(room < p->left ? room : p->left));
  if (got <= 0) return -1;
  *n = (size_t)got;
  p->left -= (size_t)got;
  return 0;
}

static bool known(const char *name, bool body) {
  if (body) return base_starts(name, "async/") && exchange_body_name(name + 6);
  for (size_t i = 0; i < BASE_COUNT(files); i++)
    if (strcmp(name, files[i]) == 0) return true;
  return false;
}

static int take_file(gzFile in, const char *path, int64_t left, unsigned mode, struct err *err) {
  char piece[65536];
  FILE *f = NULL;
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode), rc = fd >= 0 && (f = fdopen(fd, "w")) ? 0 : -1;
  bool whole = true;
  while (left > 0 && rc == 0 && whole) {
    int n = gzread(in, piece, (unsigned)(left < (int64_t)sizeof piece ? left : (int64_t)sizeof piece));
    whole = n > 0;
    if (whole && fwrite(piece, 1, (size_t)n, f) != (size_t)n) rc = -1;
    left -= n;
  }
  explicit_bzero(piece, sizeof piece);
  if (rc == 0 && (fflush(f) || fsync(fd))) rc = -1;
  int why = errno;
  if (f && fclose(f)) rc = -1;
  else if (!f && fd >= 0) close(fd);
  if (rc) return err_set(err, ERR_UNAVAILABLE, "%s cannot be written: %s", path, strerror(why));
  return whole ? 0 : err_set(err, ERR_INVALID, "the copy ends too early");
}

/* The gateway's files, until the dump begins (*piece: size of its first piece), or, behind the dump, the bodies until the end. */
static int take_files(gzFile in, const char *folder, bool body, size_t *piece, struct err *err) {
  char line[200], name[100];
  long long n;
  while (gzgets(in, line, sizeof line)) {
    if (body ? strcmp(line, "E\n") == 0 : sscanf(line, "D %zu", piece) == 1) return 0;
    if (sscanf(line, "F %99s %lld", name, &n) != 2 || !known(name, body) || n < 0) break;
    char *path = base_printf("%s/%s", folder, name);
    int rc = take_file(in, path, n, !body && !strstr(name, ".pem") ? 0644 : 0600, err);
    free(path);
    if (rc) return -1;
  }
  return err_set(err, ERR_INVALID, "that is no copy of a gateway, or it is damaged");
}

static int load(gzFile in, const char *folder, struct err *err) {
  char magic[sizeof MAGIC] = "", line[40], *url = base_printf("sqlite:%s/exchange.db", folder), *keys = base_printf("%s/keys", folder), *async = base_printf("%s/async", folder);
  struct store *store = NULL;
  struct pieces p = {.in = in};
  long long began = 0;
  int rc = dir_make(keys, 0700, err) || dir_make(async, 0700, err) ? -1 : 0;
  if (rc == 0 && (gzread(in, magic, sizeof MAGIC - 1) != sizeof MAGIC - 1 || strcmp(magic, MAGIC) != 0)) rc = err_set(err, ERR_INVALID, "that is no copy of a gateway");
  if (rc == 0 && (!gzgets(in, line, sizeof line) || sscanf(line, "T %lld", &began) != 1)) rc = err_set(err, ERR_INVALID, "that is no copy of a gateway, or it is damaged");
  if (rc == 0) rc = take_files(in, folder, false, &p.left, err);
  if (rc == 0) rc = store_open(url, NULL, &store, err);
  if (rc == 0) rc = store_migrate(store, rooms, err);
  if (rc == 0) rc = store_load(store, source, &p, err);
  if (rc == 0) rc = exchange_restored_messages(store, began, err);
  store_close(store);
  if (rc == 0) rc = take_files(in, folder, true, NULL, err);
  free(url);
  free(keys);
  free(async);
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
  static const char *const more[] = {"exchange.db", "exchange.db-wal", "exchange.db-shm", "restored", "keys", "async", ""};
  char *async = base_printf("%s/async", folder);
  DIR *d = opendir(async);
  for (struct dirent *e; d && (e = readdir(d)) != NULL;)
    if (exchange_body_name(e->d_name)) unlinkat(dirfd(d), e->d_name, 0);
  if (d) closedir(d);
  free(async);
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
