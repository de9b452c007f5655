#include "app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* A copy is one gzip file: "CHAPAR-BACKUP-1\n", the key files ("F name size\n" and their bytes), "D\n", then the store's dump. */
#define MAGIC "CHAPAR-BACKUP-1\n"
static const char *const key_files[] = {"secret", "ledger.pem", "ledger.pem.head", "origin"};

static int sink(void *ctx, const void *p, size_t n) { return gzwrite(ctx, p, (unsigned)n) == (int)n ? 0 : -1; }

static int write_keys(gzFile out, const char *keys, struct err *err) {
  for (size_t i = 0; i < BASE_COUNT(key_files); i++) {
    char *path = base_printf("%s/%s", keys, key_files[i]);
    size_t n = 0;
    char *text = access(path, R_OK) == 0 ? file_read(path, 64 * 1024, &n, err) : NULL;
    free(path);
    if (!text) continue;
    bool good = gzprintf(out, "F %s %zu\n", key_files[i], n) > 0 && gzwrite(out, text, (unsigned)n) == (int)n;
    explicit_bzero(text, n);
    free(text);
    if (!good) return err_set(err, ERR_UNAVAILABLE, "the copy could not be written");
  }
  return 0;
}

int command_backup(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  int rc = settings_read(&s, argc, argv, NULL, &left);
  if (rc) return rc;
  if (left.count != 1) return app_usage("backup", "name one file");
  struct platform p;
  struct err err;
  rc = platform_open(&p, &s, PLATFORM_STORE | PLATFORM_THERE);
  if (rc == 0) {
    char *part = base_printf("%s.part", left.items[0]);
    mode_t old = umask(0077);
    gzFile out = gzopen(part, "wb1");
    umask(old);
    bool good = out && gzwrite(out, MAGIC, sizeof MAGIC - 1) > 0 && write_keys(out, p.keys, &err) == 0 && gzwrite(out, "D\n", 2) == 2 && store_dump(p.main, sink, out, &err) == 0;
    if (!out) err_set(&err, ERR_UNAVAILABLE, "%s cannot be written", part);
    if (out && gzclose(out) != Z_OK && good) {
      good = false;
      err_set(&err, ERR_UNAVAILABLE, "the copy could not be written whole");
    }
    if (good && rename(part, left.items[0])) {
      good = false;
      err_set(&err, ERR_UNAVAILABLE, "%s cannot be written", left.items[0]);
    }
    if (!good) {
      fprintf(stderr, "chapar: %s\n", err.message);
      unlink(part);
      rc = EXIT_REFUSED;
    } else printf("copied to %s (it holds the keys: keep it as you keep them)\n", left.items[0]);
    free(part);
  }
  platform_close(&p);
  return rc;
}

static int source(void *ctx, void *buffer, size_t room, size_t *n) {
  int got = gzread(ctx, buffer, room > 1 << 20 ? 1 << 20 : (unsigned)room);
  if (got < 0) return -1;
  *n = (size_t)got;
  return 0;
}

static bool known_file(const char *name) {
  for (size_t i = 0; i < BASE_COUNT(key_files); i++)
    if (strcmp(name, key_files[i]) == 0) return true;
  return false;
}

static int read_keys(gzFile in, const char *keys, struct err *err) {
  char line[256], name[64];
  size_t n;
  if (!gzgets(in, line, sizeof line) || strcmp(line, MAGIC) != 0) return err_set(err, ERR_MALFORMED, "this is not a copy made by chapar backup");
  if (dir_make(keys, 0700, err)) return -1;
  while (gzgets(in, line, sizeof line) && strcmp(line, "D\n") != 0) {
    if (sscanf(line, "F %63s %zu", name, &n) != 2 || n > 64 * 1024 || !known_file(name)) return err_set(err, ERR_MALFORMED, "the copy is damaged");
    char *text = base_alloc(n + 1), *path = base_printf("%s/%s", keys, name);
    int rc = gzread(in, text, (unsigned)n) == (int)n ? file_write(path, text, n, 0600, err) : err_set(err, ERR_MALFORMED, "the copy is cut short");
    explicit_bzero(text, n);
    free(text);
    free(path);
    if (rc) return -1;
  }
  return gzeof(in) ? err_set(err, ERR_MALFORMED, "the copy is cut short") : 0;
}

static char *keys_of(const struct settings *s) {
  return s->keys[0] ? base_strdup(s->keys) : s->data[0] ? base_printf("%s/keys", s->data) : NULL;
}

static int load_and_verify(const struct settings *s, gzFile in, struct err *err) {
  struct platform p;
  struct cases_figures f;
  int rc = -1;
  struct cases *c = NULL;
  if (platform_open(&p, s, PLATFORM_BARE)) {
    err_set(err, ERR_UNAVAILABLE, "the place could not be opened");
    goto out;
  }
  c = cases_reader(p.main);
  if (cases_figures(c, &f, err)) goto out;
  if (f.cases) {
    err_set(err, ERR_CONFLICT, "this place is not empty");
    goto out;
  }
  rc = store_load(p.main, source, in, err);
out:
  cases_close(c);
  platform_close(&p);
  return rc;
}

/* A refused copy leaves nothing behind, so that the place is empty for the next one. */
static void undo(const char *data) {
  static const char *const ends[] = {"", "-wal", "-shm"}, *const stores[] = {"chapar.db", "fast.db"};
  for (size_t i = 0; i < BASE_COUNT(stores); i++)
    for (size_t k = 0; k < BASE_COUNT(ends); k++) {
      char *path = base_printf("%s/%s%s", data, stores[i], ends[k]);
      unlink(path);
      free(path);
    }
  for (size_t i = 0; i < BASE_COUNT(key_files); i++) {
    char *path = base_printf("%s/keys/%s", data, key_files[i]);
    unlink(path);
    free(path);
  }
  char *keys = base_printf("%s/keys", data);
  rmdir(keys);
  free(keys);
}

int command_restore(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  struct err err;
  int rc = settings_read(&s, argc, argv, NULL, &left);
  if (rc) return rc;
  if (left.count != 1) return app_usage("restore", "name one file");
  if (!s.data[0] && !s.keys[0]) return app_usage("restore", "with --store, say where the keys shall go: --keys FOLDER");
  if (s.data[0]) {
    char *db = base_printf("%s/chapar.db", s.data);
    bool there = access(db, F_OK) == 0;
    free(db);
    if (there) {
      fprintf(stderr, "chapar: %s holds a store already: restore into an empty folder\n", s.data);
      return EXIT_REFUSED;
    }
  }
  gzFile in = gzopen(left.items[0], "rb");
  char *keys = keys_of(&s), *data = s.data[0] && !s.keys[0] && access(keys, F_OK) != 0 ? base_strdup(s.data) : NULL;
  rc = in ? 0 : err_set(&err, ERR_NOT_FOUND, "%s cannot be read", left.items[0]);
  if (rc == 0) rc = read_keys(in, keys, &err);
  if (rc == 0) rc = load_and_verify(&s, in, &err);
  if (in) gzclose(in);
  free(keys);
  if (rc) {
    fprintf(stderr, "chapar: not restored: %s\n", err.message);
    if (data) undo(data);
    free(data);
    return EXIT_REFUSED;
  }
  puts("restored; verifying:");
  fflush(stdout);
  char *args[8] = {"verify"};
  int n = 1;
  if (s.data[0]) { args[n++] = "--data"; args[n++] = (char *)s.data; }
  if (s.store[0]) { args[n++] = "--store"; args[n++] = (char *)s.store; }
  if (s.keys[0]) { args[n++] = "--keys"; args[n++] = (char *)s.keys; }
  rc = command_ledger(n, args);
  if (rc) fprintf(stderr, "chapar: the copy does not verify: %s\n", data ? "it is not restored" : "do not use what was restored");
  if (rc && data) undo(data);
  free(data);
  return rc;
}
