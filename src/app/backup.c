#include "app/app.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* A copy is one gzip file: "CHAPAR-BACKUP-1\n", the key files ("F name size\n" and their bytes), "D\n", then the store's dump.
 * What is put back stands in folders called `restoring` until it has been verified; then it is moved to its place, the database last. */
#define MAGIC "CHAPAR-BACKUP-1\n"
static const char *const key_files[] = {"secret", "ledger.pem", "ledger.pem.head", "origin"};
static const char *const data_files[] = {"fast.db", "chapar.db"};
enum { HEAD_FILE = 2, KEY_MOST = 64 * 1024 };

/* ---- out ---- */

struct sink {
  gzFile file;
  int64_t bytes;
};

static int sink(void *ctx, const void *p, size_t n) {
  struct sink *s = ctx;
  s->bytes += (int64_t)n;
  app_progress("copying", s->bytes >> 20, 0, "MiB");
  return gzwrite(s->file, p, (unsigned)n) == (int)n ? 0 : -1;
}

static int write_keys(gzFile out, const char *keys, struct err *err) {
  for (size_t i = 0; i < BASE_COUNT(key_files); i++) {
    char *path = base_printf("%s/%s", keys, key_files[i]);
    size_t n = 0;
    bool there = access(path, F_OK) == 0;
    char *text = there ? file_read(path, KEY_MOST, &n, err) : NULL;
    free(path);
    if (there && !text) return -1;
    if (!text) continue;
    bool good = gzprintf(out, "F %s %zu\n", key_files[i], n) > 0 && gzwrite(out, text, (unsigned)n) == (int)n;
    explicit_bzero(text, n);
    free(text);
    if (!good) return err_set(err, ERR_UNAVAILABLE, "the copy could not be written");
  }
  return 0;
}

static int sync_file(const char *path, struct err *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd >= 0 ? fsync(fd) : -1;
  if (rc) err_set(err, ERR_UNAVAILABLE, "%s cannot be written: %s", path, strerror(errno));
  if (fd >= 0) close(fd);
  return rc;
}

/* Everything into FILE.part, which takes the name when it is whole and on the disk. */
static int copy(struct platform *p, const char *file, struct err *err) {
  char *part = base_printf("%s.part", file);
  mode_t old = umask(0077);
  struct sink s = {.file = gzopen(part, "wb1")};
  umask(old);
  int rc = s.file ? 0 : err_set(err, ERR_UNAVAILABLE, "%s cannot be written: %s", part, strerror(errno));
  if (rc == 0 && gzwrite(s.file, MAGIC, sizeof MAGIC - 1) <= 0) rc = err_set(err, ERR_UNAVAILABLE, "%s cannot be written: %s", part, strerror(errno));
  if (rc == 0) rc = write_keys(s.file, p->keys, err);
  if (rc == 0) rc = gzwrite(s.file, "D\n", 2) == 2 ? store_dump(p->main, app_main_rooms, sink, &s, err) : err_set(err, ERR_UNAVAILABLE, "the copy could not be written");
  if (s.file && gzclose(s.file) != Z_OK && rc == 0) rc = err_set(err, ERR_UNAVAILABLE, "the copy could not be written whole: %s", strerror(errno));
  if (rc == 0) rc = sync_file(part, err);
  if (rc == 0 && rename(part, file)) rc = err_set(err, ERR_UNAVAILABLE, "%s cannot be written: %s", file, strerror(errno));
  if (rc) unlink(part);
  free(part);
  return rc;
}

/* What has a copy of its own is said where somebody would miss it. */
static void tell_gateway(const struct platform *p) {
  char *folder = exchange_folder_of(p), *card = base_printf("%s/gateway.json", folder);
  if (access(card, F_OK) == 0) printf("the exchange's gateway, with the operator's key, is not in it: chapar gateway backup FILE --folder %s\n", folder);
  free(card);
  free(folder);
}

int command_backup(int argc, char **argv) {
  struct settings s;
  struct words_left left;
  struct platform p;
  struct err err;
  int rc = settings_read(&s, argc, argv, NULL, &left);
  if (rc) return rc;
  if (left.count != 1) return app_usage("backup", "name one file");
  rc = platform_open(&p, &s, PLATFORM_STORE | PLATFORM_THERE);
  if (rc == 0 && copy(&p, left.items[0], &err)) {
    app_progress_end();
    fprintf(stderr, "chapar: %s\n", err.message);
    rc = EXIT_REFUSED;
  }
  app_progress_end();
  if (rc == 0) {
    printf("copied to %s (it holds the keys: keep it as you keep them)\n", left.items[0]);
    tell_gateway(&p);
  }
  platform_close(&p);
  return rc;
}

/* ---- in ---- */

struct restore {
  struct settings set;      /* as given */
  const char *file;
  char *keys, *new_keys, *new_data; /* new_…: `restoring` in the place they are for; new_data NULL with --store */
  gzFile in;
  int64_t size;
  bool kept; /* the keys were here already, and so was the head that they last signed */
};

static int source(void *ctx, void *buffer, size_t room, size_t *n) {
  struct restore *r = ctx;
  int got = gzread(r->in, buffer, room > 1 << 20 ? 1 << 20 : (unsigned)room);
  if (got < 0) return -1;
  *n = (size_t)got;
  app_progress("restoring", gzoffset(r->in) >> 10, r->size >> 10, "KiB");
  return 0;
}

static int known_file(const char *name) {
  for (size_t i = 0; i < BASE_COUNT(key_files); i++)
    if (strcmp(name, key_files[i]) == 0) return (int)i;
  return -1;
}

/* A key file out of the copy. Keys that are here already must be the same. */
static int take_key(struct restore *r, int which, const char *text, size_t n, struct err *err) {
  char *here = base_printf("%s/%s", r->keys, key_files[which]), *path = base_printf("%s/%s", r->new_keys, key_files[which]);
  size_t hn = 0;
  int rc = 0;
  char *mine = access(here, F_OK) == 0 ? file_read(here, KEY_MOST, &hn, err) : NULL;
  if (mine && which != HEAD_FILE && (hn != n || memcmp(mine, text, n) != 0))
    rc = err_set(err, ERR_CONFLICT, "%s is another key than the copy's: restore with --keys of an empty folder, or of this installation's own keys", here);
  if (rc == 0) rc = file_write(path, text, n, 0600, err);
  if (mine && which == HEAD_FILE) r->kept = true;
  if (mine) explicit_bzero(mine, hn);
  free(mine);
  free(here);
  free(path);
  return rc;
}

static int read_keys(struct restore *r, struct err *err) {
  char line[256], name[64];
  size_t n;
  if (!gzgets(r->in, line, sizeof line) || strcmp(line, MAGIC) != 0) return err_set(err, ERR_MALFORMED, "this is not a copy made by chapar backup");
  if (dir_make(r->new_keys, 0700, err)) return -1;
  while (gzgets(r->in, line, sizeof line) && strcmp(line, "D\n") != 0) {
    if (sscanf(line, "F %63s %zu", name, &n) != 2 || n > KEY_MOST || known_file(name) < 0) return err_set(err, ERR_MALFORMED, "the copy is damaged");
    char *text = base_alloc(n + 1);
    int rc = gzread(r->in, text, (unsigned)n) == (int)n ? take_key(r, known_file(name), text, n, err) : err_set(err, ERR_MALFORMED, "the copy is cut short");
    explicit_bzero(text, n);
    free(text);
    if (rc) return -1;
  }
  return gzeof(r->in) ? err_set(err, ERR_MALFORMED, "the copy is cut short") : 0;
}

/* Where in the file it went wrong is part of the answer. */
static int read_copy(struct restore *r, struct platform *p, struct err *err) {
  struct err why = {0};
  int broken = 0;
  int rc = read_keys(r, &why);
  if (rc == 0) rc = store_load(p->main, source, r, &why);
  app_progress_end();
  if (rc == 0) return 0;
  const char *gz = gzerror(r->in, &broken);
  bool damaged = broken != Z_OK || why.code == ERR_MALFORMED || gzoffset(r->in) > 0;
  if (!damaged) return err_set(err, why.code, "%s", why.message);
  return err_set(err, why.code, "%.300s; near byte %lld of %lld of %.200s%s%.100s", why.message, (long long)gzoffset(r->in), (long long)r->size, r->file,
                 broken != Z_OK ? ": " : "", broken != Z_OK ? gz : "");
}

static int verify(struct restore *r) {
  char *args[8] = {"verify"};
  int n = 1;
  puts("restored; verifying:");
  fflush(stdout);
  args[n++] = r->new_data ? "--data" : "--store";
  args[n++] = r->new_data ? r->new_data : base_strdup(r->set.store);
  args[n++] = "--keys";
  args[n++] = r->new_keys;
  int rc = command_ledger(n, args);
  if (!r->new_data) free(args[2]);
  return rc;
}

static int move_all(const char *from, const char *to, const char *const *names, size_t count, struct err *err) {
  for (size_t i = 0; i < count; i++) {
    char *a = base_printf("%s/%s", from, names[i]), *b = base_printf("%s/%s", to, names[i]);
    int rc = access(a, F_OK) == 0 && rename(a, b) ? err_set(err, ERR_UNAVAILABLE, "%s cannot be moved to %s: %s", a, b, strerror(errno)) : 0;
    free(a);
    free(b);
    if (rc) return -1;
  }
  return 0;
}

static void remove_all(const char *folder, const char *const *names, size_t count) {
  static const char *const ends[] = {"", "-wal", "-shm"};
  for (size_t i = 0; folder && i < count * BASE_COUNT(ends); i++) {
    char *path = base_printf("%s/%s%s", folder, names[i / BASE_COUNT(ends)], ends[i % BASE_COUNT(ends)]);
    unlink(path);
    free(path);
  }
  if (folder) rmdir(folder);
}

static void remove_new(struct restore *r) {
  remove_all(r->new_keys, key_files, BASE_COUNT(key_files));
  remove_all(r->new_data, data_files, BASE_COUNT(data_files));
}

static int load(struct restore *r, struct err *err) {
  struct settings s = r->set;
  struct platform p;
  if (r->new_data) s.data = r->new_data;
  s.keys = r->new_keys;
  int rc = platform_open(&p, &s, PLATFORM_BARE);
  if (rc == 0) rc = read_copy(r, &p, err);
  else err_set(err, ERR_UNAVAILABLE, "the place could not be opened");
  platform_close(&p);
  return rc ? -1 : 0;
}

/* The place must be empty; what an earlier restore left unfinished is taken away. */
static int prepare(struct restore *r, struct err *err) {
  struct stat st;
  if (r->set.data[0]) {
    char *db = base_printf("%s/chapar.db", r->set.data);
    bool there = access(db, F_OK) == 0;
    free(db);
    if (there) return err_set(err, ERR_CONFLICT, "%s holds a store already: restore into an empty folder", r->set.data);
    r->new_data = base_printf("%s/restoring", r->set.data);
  }
  r->keys = r->set.keys[0] ? base_strdup(r->set.keys) : base_printf("%s/keys", r->set.data);
  r->new_keys = base_printf("%s/restoring", r->keys);
  remove_new(r);
  if (stat(r->file, &st) || !(r->in = gzopen(r->file, "rb"))) return err_set(err, ERR_NOT_FOUND, "%s cannot be read: %s", r->file, strerror(errno));
  r->size = st.st_size;
  return 0;
}

/* The database last: where it stands, the restore is complete. A head that was signed after the copy was made is not forgotten. */
static int put_in_place(struct restore *r, struct err *err) {
  if (r->kept) {
    char *head = base_printf("%s/%s", r->new_keys, key_files[HEAD_FILE]);
    unlink(head);
    free(head);
  }
  if (move_all(r->new_keys, r->keys, key_files, BASE_COUNT(key_files), err)) return -1;
  if (!r->new_data) return 0;
  char *wal = base_printf("%s/chapar.db-wal", r->new_data);
  struct stat st;
  int rc = stat(wal, &st) == 0 && st.st_size > 0 ? err_set(err, ERR_UNAVAILABLE, "%s is still in use", wal) : 0;
  free(wal);
  return rc ? -1 : move_all(r->new_data, r->set.data, data_files, BASE_COUNT(data_files), err);
}

static int restore(struct restore *r) {
  struct err err;
  int rc = prepare(r, &err);
  if (rc == 0) rc = load(r, &err);
  if (rc) {
    fprintf(stderr, "chapar: not restored: %s\n", err.message);
    return EXIT_REFUSED;
  }
  if (verify(r)) {
    fprintf(stderr, "chapar: not restored: the copy does not verify%s\n", r->new_data ? "" : "; drop this database, nothing serves from it without its keys");
    return EXIT_REFUSED;
  }
  if (put_in_place(r, &err)) {
    fprintf(stderr, "chapar: not restored: %s\n", err.message);
    return EXIT_REFUSED;
  }
  if (r->kept) puts("the keys were here already, with the last head that they signed: when the copy is behind it, the log says so (chapar ledger renew)");
  else puts("the keys came from the copy: if anything was served after it was made, begin a declared new log before serving (chapar ledger renew --why REASON)");
  return EXIT_DONE;
}

int command_restore(int argc, char **argv) {
  struct words_left left;
  struct restore r = {0};
  int rc = settings_read(&r.set, argc, argv, NULL, &left);
  if (rc) return rc;
  if (left.count != 1) return app_usage("restore", "name one file");
  if (r.set.store[0] && !r.set.keys[0]) return app_usage("restore", "with --store, say where the keys shall go: --keys FOLDER");
  if (!r.set.data[0] == !r.set.store[0]) return app_usage("restore", "say where to: --data FOLDER, or --store postgresql://… (one of them)");
  r.file = left.items[0];
  /* What was given may be the settings' own, which reading them again for the verification takes away. */
  char *data = base_strdup(r.set.data), *store = base_strdup(r.set.store), *keys = base_strdup(r.set.keys);
  r.set.data = data;
  r.set.store = store;
  r.set.keys = keys;
  rc = restore(&r);
  if (r.in) gzclose(r.in);
  remove_new(&r);
  free(r.keys);
  free(r.new_keys);
  free(r.new_data);
  free(data);
  free(store);
  free(keys);
  return rc;
}
