/* Packs that were served: kept file by file, listed, written back into a folder, compiled again. */
#include "cases/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define CHUNK ((size_t)256 * 1024)
#define MOST ((int64_t)128 << 20) /* bytes of a file, as pack_files allows in all */
#define PACKS_TAKEN_MOST 24       /* between two starts: each stays in memory, some 20 MB for a province */

/* ---- keeping the pack of this process ---- */

struct kept_file {
  char *path, sha256[65];
  size_t size, packed_size;
  unsigned char *packed;
};

struct change { /* a version whose text is no longer the one that counts */
  const struct service *s;
  int64_t n, begun;
};

struct keeping {
  struct cases *c;
  struct pack *pack;
  bool demo, known;
  int64_t first_at;
  struct kept_file *files;
  size_t count, room;
  struct change *changes;
  size_t change_count;
};

static int take_file(void *ctx, const char *path, const char *data, size_t n) {
  struct keeping *k = ctx;
  unsigned char hash[32];
  uLongf size = compressBound((uLong)n);
  if (k->count == k->room) k->files = base_realloc(k->files, (k->room = k->room ? 2 * k->room : 64) * sizeof *k->files);
  struct kept_file *f = &k->files[k->count++];
  *f = (struct kept_file){.path = base_strdup(path), .size = n, .packed = base_alloc(size)};
  sha256(data, n, hash);
  hex_encode(hash, 32, f->sha256);
  if (compress2(f->packed, &size, (const Bytef *)data, (uLong)n, 6) != Z_OK) return -1;
  f->packed_size = size;
  f->packed = base_realloc(f->packed, size);
  return 0;
}

static int known_work(struct store_tx *tx, void *arg, struct err *err) {
  struct keeping *k = arg;
  k->first_at = 0;
  if (store_value(tx, &k->first_at, 0, err, "SELECT first_at FROM pack WHERE hash=?1", "t", pack_hash(k->pack))) return -1;
  k->known = k->first_at != 0;
  return 0;
}

static int put_files(struct keeping *k, struct store_tx *tx, struct err *err) {
  const char *hash = pack_hash(k->pack);
  for (size_t i = 0; i < k->count; i++) {
    const struct kept_file *f = &k->files[i];
    if (store_put(tx, err, "INSERT INTO pack_file (pack,path,sha256,size) VALUES (?1,?2,?3,?4) ON CONFLICT DO NOTHING", "ttti", hash, f->path, f->sha256, (int64_t)f->size))
      return -1;
    for (size_t at = 0, n = 0; at < f->packed_size; at += CHUNK, n++) {
      size_t size = f->packed_size - at < CHUNK ? f->packed_size - at : CHUNK;
      if (store_put(tx, err, "INSERT INTO pack_chunk (sha256,n,bytes) VALUES (?1,?2,?3) ON CONFLICT DO NOTHING", "tib", f->sha256, (int64_t)n,
                    (const void *)(f->packed + at), size))
        return -1;
    }
  }
  for (size_t i = 0; i < pack_versions(k->pack); i++) {
    const struct service *s = pack_version(k->pack, i);
    if (store_put(tx, err, "INSERT INTO pack_service (service,version,definition,pack) VALUES (?1,?2,?3,?4) ON CONFLICT DO NOTHING", "titt", s->code,
                  (int64_t)s->version, s->etag, hash))
      return -1;
  }
  return 0;
}

/* Versions of the folder whose last pin names another text, and how many requests that concerns. */
static int find_changes(struct keeping *k, struct store_tx *tx, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT service,version,n,definition FROM pack_pin WHERE n=(SELECT MAX(n) FROM pack_pin p WHERE p.service=pack_pin.service AND p.version=pack_pin.version) "
    "ORDER BY service,version", "");
  int rc = -1;
  k->change_count = 0;
  while (r && (rc = store_next(r, err)) == 1) {
    const struct service *s = pack_find_version(k->pack, store_text(r, 0), (int)store_int(r, 1));
    if (!s || strcmp(s->etag, store_text(r, 3)) == 0) continue;
    k->changes = base_realloc(k->changes, (k->change_count + 1) * sizeof *k->changes);
    k->changes[k->change_count++] = (struct change){.s = s, .n = store_int(r, 2)};
  }
  store_done(r);
  for (size_t i = 0; i < k->change_count && rc == 0; i++)
    rc = store_value(tx, &k->changes[i].begun, 0, err, "SELECT COUNT(*) FROM cases WHERE service=?1 AND service_version=?2 AND parent=''", "ti", k->changes[i].s->code,
                     (int64_t)k->changes[i].s->version);
  return rc;
}

static int keep_work(struct store_tx *tx, void *arg, struct err *err) {
  struct keeping *k = arg;
  int64_t now = clock_now();
  if (find_changes(k, tx, err)) return -1;
  if (k->change_count && !k->demo) return err_set(err, ERR_CONFLICT, "the pack changes the text of a version under which requests have begun");
  if (store_put(tx, err, "INSERT INTO pack (hash,code,first_at,last_at) VALUES (?1,?2,?3,?3) ON CONFLICT (hash) DO UPDATE SET last_at=excluded.last_at", "tti",
                pack_hash(k->pack), pack_code(k->pack), now))
    return -1;
  if (!k->known && put_files(k, tx, err)) return -1;
  for (size_t i = 0; i < k->change_count; i++) {
    const struct change *x = &k->changes[i];
    if (store_put(tx, err, "INSERT INTO pack_pin (service,version,n,definition,since) VALUES (?1,?2,?3,?4,?5)", "tiiti", x->s->code, (int64_t)x->s->version, x->n + 1,
                  x->s->etag, now))
      return -1;
  }
  return 0;
}

static int newest_version(const struct pack *p, const char *code) {
  int newest = 0;
  for (size_t i = 0; i < pack_versions(p); i++) {
    const struct service *s = pack_version(p, i);
    if (strcmp(s->code, code) == 0 && s->version > newest) newest = s->version;
  }
  return newest;
}

static void tell_changes(const struct keeping *k, const struct pack_report *report) {
  for (size_t i = 0; report && report->line && i < k->change_count; i++) {
    const struct change *x = &k->changes[i];
    int next = newest_version(k->pack, x->s->code) + 1;
    const char *s = x->begun == 1 ? "" : "s";
    char *line = k->demo
      ? base_printf("service '%s' version %d was changed after %lld request%s had begun under it: they keep the earlier text, new ones have this one; "
                    "outside a demonstration this is refused", x->s->code, x->s->version, (long long)x->begun, s)
      : base_printf("service '%s' version %d was changed after %lld request%s had begun under it: give the changed text version %d with its own valid_from, in "
                    "services/%s-v%d.yaml; chapar export pack writes the earlier text back", x->s->code, x->s->version, (long long)x->begun, s, next, x->s->code, next);
    report->line(report->ctx, x->s->file, x->s->line, line, k->demo);
    free(line);
  }
}

/* Nodes are replaced one by one: one that still has an older folder works, but offers what is no longer offered elsewhere. */
static int newer_work(struct store_tx *tx, void *arg, struct err *err) {
  struct keeping *k = arg;
  struct store_rows *r = store_select(tx, err, "SELECT hash,first_at FROM pack WHERE first_at>?1 ORDER BY first_at DESC,hash LIMIT 1", "i", k->first_at);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    char ours[32], theirs[32];
    clock_rfc3339(k->first_at, ours);
    clock_rfc3339(store_int(r, 1), theirs);
    log_write(LOG_WARN, "packs", "this folder (%.12s) was first served at %s, and another (%.12s) after it, at %s: is this an older one?", pack_hash(k->pack), ours,
              store_text(r, 0), theirs);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* The files of k->pack, in folder, into the store. */
static int keep(struct keeping *k, const char *folder, const struct pack_report *report, struct err *err) {
  char hash[65];
  int rc = store_read(k->c->store, known_work, k, err);
  if (rc == 0 && !k->known) {
    rc = pack_files(folder, take_file, k, hash, err);
    if (rc == 0 && strcmp(hash, pack_hash(k->pack)) != 0) rc = err_set(err, ERR_CONFLICT, "the pack's folder was changed while it was read: start again");
  }
  if (rc == 0) {
    rc = store_write(k->c->store, STORE_FRONT, keep_work, k, err);
    if (rc == 0 || err->code == ERR_CONFLICT) tell_changes(k, report);
  }
  for (size_t i = 0; i < k->count; i++) {
    free(k->files[i].path);
    free(k->files[i].packed);
  }
  free(k->files);
  free(k->changes);
  return rc;
}

int cases_keep_pack(struct cases *c, const char *folder, bool demo, const struct pack_report *report, struct err *err) {
  struct keeping k = {.c = c, .pack = c->pack, .demo = demo};
  int rc = keep(&k, folder, report, err);
  if (rc == 0 && k.known) rc = store_read(c->store, newer_work, &k, err);
  if (rc == 0) rc = case_news(c, err);
  return rc ? rc : case_definitions_warm(c, err);
}

/* Does one pack have whatever the other has, under the same numbers? */
static bool holds(const struct pack *with, const struct pack *without) {
  const struct directory *a = pack_directory(with), *b = pack_directory(without);
  if (directory_organisations(a) != directory_organisations(b) || directory_places(a) != directory_places(b) || directory_offices(a) != directory_offices(b)) return false;
  if (pack_calendars(with) != pack_calendars(without) || pack_registries(with) != pack_registries(without)) return false;
  for (size_t i = 0; i < pack_versions(without); i++) {
    const struct service *old = pack_version(without, i), *new = pack_find_version(with, old->code, old->version);
    if (!new || strcmp(new->etag, old->etag) != 0) return false;
  }
  return true;
}

int cases_serve_pack(struct cases *c, struct pack *p, const char *folder, struct err *err) {
  struct keeping k = {.c = c, .pack = p};
  if (!holds(p, c->pack)) return err_set(err, ERR_CONFLICT, "the pack lacks something that is served");
  if (c->packs_taken >= PACKS_TAKEN_MOST) return err_set(err, ERR_LIMIT, "%d packs were taken up since the start: the rest waits for the next start", PACKS_TAKEN_MOST);
  if (keep(&k, folder, NULL, err)) return -1;
  c->packs_taken++;
  case_definitions_serve(c, p);
  return 0;
}

/* ---- back into a folder ---- */

/* What was recorded is relative and not hidden; what a damaged store says must not leave the folder. */
static bool path_good(const char *path) {
  if (!path[0] || strlen(path) > 240) return false;
  for (const char *s = path; s; s = strchr(s, '/') ? strchr(s, '/') + 1 : NULL)
    if (!*s || *s == '.' || *s == '/') return false;
  return true;
}

static int write_file(const char *folder, const char *path, const void *data, size_t n, struct err *err) {
  char *full = base_printf("%s/%s", folder, path), *slash = strrchr(full, '/');
  *slash = 0;
  int rc = dir_make(full, 0755, err), fd = -1;
  *slash = '/';
  if (rc == 0) {
    fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    for (size_t at = 0; fd >= 0 && at < n && rc == 0;) {
      ssize_t put = write(fd, (const char *)data + at, n - at);
      if (put < 0 && errno != EINTR) rc = -1;
      if (put > 0) at += (size_t)put;
    }
    if (fd < 0 || rc || close(fd)) rc = err_set(err, ERR_INTERNAL, "%s cannot be written: %s", full, strerror(errno));
  }
  free(full);
  return rc;
}

static int read_file(struct store_tx *tx, const char *sha, const char *path, int64_t size, void **out, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT bytes FROM pack_chunk WHERE sha256=?1 ORDER BY n", "t", sha);
  struct buf b;
  int rc = -1;
  buf_init(&b, (size_t)MOST + CHUNK);
  while (r && (rc = store_next(r, err)) == 1) {
    size_t n = 0;
    const void *p = store_blob(r, 0, &n);
    buf_add(&b, p, n);
  }
  store_done(r);
  *out = NULL;
  if (rc == 0 && (size < 0 || size > MOST)) rc = err_set(err, ERR_MALFORMED, "%s is damaged", path);
  if (rc == 0) {
    uLongf n = (uLongf)size;
    unsigned char hash[32];
    char hex[65];
    *out = base_alloc((size_t)size + 1);
    bool good = uncompress(*out, &n, (const Bytef *)buf_str(&b), (uLong)b.len) == Z_OK && (int64_t)n == size;
    sha256(*out, n, hash);
    hex_encode(hash, 32, hex);
    if (!good || strcmp(hex, sha) != 0) rc = err_set(err, ERR_MALFORMED, "%s is damaged", path);
  }
  buf_free(&b);
  return rc;
}

int case_pack_write(struct store_tx *tx, const char *hash, const char *folder, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT path,sha256,size FROM pack_file WHERE pack=?1 ORDER BY path", "t", hash);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    const char *path = store_text(r, 0);
    void *data = NULL;
    int64_t size = store_int(r, 2);
    if (!path_good(path)) rc = err_set(err, ERR_MALFORMED, "a recorded file has a name that it cannot have");
    else if (read_file(tx, store_text(r, 1), path, size, &data, err) || write_file(folder, path, data, (size_t)size, err)) rc = -1;
    free(data);
    if (rc < 0) break;
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int drop_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
  remove(path);
  return 0;
}

void case_folder_drop(const char *folder) { nftw(folder, drop_one, 16, FTW_DEPTH | FTW_PHYS); }

static void tell_log(void *ctx, const char *file, unsigned line, const char *message, bool warning) {
  if (!warning) log_write(LOG_ERROR, "packs", "recorded pack %.12s: %s:%u: %s", (const char *)ctx, file, line, message);
}

struct pack *case_pack_load(struct store_tx *tx, const char *hash, struct err *err) {
  const char *tmp = getenv("TMPDIR");
  char *folder = base_printf("%s/chapar-pack-XXXXXX", tmp && tmp[0] ? tmp : "/tmp"), *name = base_strdup(hash);
  struct pack_report report = {.line = tell_log, .ctx = name};
  struct pack *p = NULL;
  int64_t first_at = 0;
  if (!mkdtemp(folder)) {
    err_set(err, ERR_UNAVAILABLE, "no folder for temporary files: %s", strerror(errno));
    goto out;
  }
  if (store_value(tx, &first_at, clock_now(), err, "SELECT first_at FROM pack WHERE hash=?1", "t", hash) || case_pack_write(tx, hash, folder, err)) goto drop;
  p = pack_compile_on(folder, day_of(first_at), &report);
  if (!p) err_set(err, ERR_INVALID, "this version of chapar does not take it any more (see above)");
  else if (strcmp(pack_hash(p), hash) != 0) {
    err_set(err, ERR_MALFORMED, "its files are not those that were recorded");
    pack_unref(p);
    p = NULL;
  }
drop:
  case_folder_drop(folder);
out:
  free(folder);
  free(name);
  return p;
}

struct export {
  const char *wanted, *folder;
  char *hash;
};

static int find_hash(struct export *k, struct store_tx *tx, struct err *err) {
  char from[65], to[66];
  snprintf(from, sizeof from, "%s", k->wanted ? k->wanted : "");
  snprintf(to, sizeof to, "%sg", from); /* after every hash that begins so */
  struct store_rows *r = k->wanted ? store_select(tx, err, "SELECT hash FROM pack WHERE hash>=?1 AND hash<?2 ORDER BY hash LIMIT 2", "tt", from, to)
                                   : store_select(tx, err, "SELECT hash FROM pack ORDER BY last_at DESC,hash LIMIT 1", "");
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) snprintf(k->hash, 65, "%s", store_text(r, 0));
  bool another = rc == 1 && store_next(r, err) == 1;
  store_done(r);
  if (rc < 0) return -1;
  if (another) return err_set(err, ERR_CONFLICT, "several recorded packs begin with '%s': write more of it", from);
  return rc == 1 ? 0 : err_set(err, ERR_NOT_FOUND, k->wanted ? "no recorded pack begins with '%s'" : "no pack was served from this store yet%s", from);
}

static int export_work(struct store_tx *tx, void *arg, struct err *err) {
  struct export *k = arg;
  if (find_hash(k, tx, err)) return -1;
  return case_pack_write(tx, k->hash, k->folder, err);
}

static bool folder_free(const char *folder) {
  DIR *d = opendir(folder);
  bool nothing = d != NULL || errno == ENOENT;
  for (struct dirent *e; d && nothing && (e = readdir(d)) != NULL;) nothing = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
  if (d) closedir(d);
  return nothing;
}

int cases_pack_export(struct cases *c, const char *hash, const char *folder, char out[65], struct err *err) {
  struct export k = {.wanted = hash, .folder = folder, .hash = out};
  if (!folder_free(folder)) return err_set(err, ERR_CONFLICT, "%s is there already: name a new folder", folder);
  return store_read(c->store, export_work, &k, err);
}

/* ---- the list ---- */

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  json_t *list = arg;
  json_array_clear(list);
  /* Requests by the text that they began under, in one pass; then by the packs that have it. */
  struct store_rows *r = store_select(tx, err,
    "SELECT pack.hash,pack.code,pack.first_at,pack.last_at,CAST(SUM(COALESCE(g.cases,0)) AS BIGINT),CAST(SUM(COALESCE(g.still,0)) AS BIGINT) FROM pack "
    "LEFT JOIN pack_service s ON s.pack=pack.hash LEFT JOIN pack_pin p ON p.service=s.service AND p.version=s.version AND p.definition=s.definition "
    "LEFT JOIN (SELECT service,service_version,pin,COUNT(*) AS cases,SUM(CASE WHEN result=0 THEN 1 ELSE 0 END) AS still FROM (SELECT service,service_version,result,"
    "(SELECT MAX(q.n) FROM pack_pin q WHERE q.service=cases.service AND q.version=cases.service_version AND (q.n=1 OR q.since<=cases.submitted_at)) AS pin "
    "FROM cases WHERE parent='') w GROUP BY service,service_version,pin) g ON g.service=p.service AND g.service_version=p.version AND g.pin=p.n "
    "GROUP BY pack.hash,pack.code,pack.first_at,pack.last_at ORDER BY pack.first_at,pack.hash", "");
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    char first[32], last[32];
    clock_rfc3339(store_int(r, 2), first);
    clock_rfc3339(store_int(r, 3), last);
    json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "hash", store_text(r, 0), "code", store_text(r, 1), "first_served", first, "last_served", last, "cases",
                                          (json_int_t)store_int(r, 4), "open", (json_int_t)store_int(r, 5)));
  }
  store_done(r);
  return rc;
}

int cases_packs(struct cases *c, json_t **out, struct err *err) {
  json_t *list = json_array();
  if (store_read(c->store, list_work, list, err)) {
    json_decref(list);
    return -1;
  }
  *out = list;
  return 0;
}
