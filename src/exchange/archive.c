/* The log of messages does not grow for ever: what is old, or too much, is written into archives and only then taken out of the store.
 *
 *   write    NAME.part, closed and fsynced, takes its name            died before: the part is removed, the log is as it was
 *   judge    read back from the disk, every message judged            died before: found in the folder and judged next time
 *   record   a row (state verified)                                   died before: the same
 *   take out messages and bodies, as the file names them, in slices   died between: begun again from the file; what is gone is gone
 *   close    the row's state; directories that nobody names go too
 *
 * Leaves, tiles and heads of the ledger stay, so that every proof of consistency goes on. One run at a time, by a lock beside the store. */
#include "exchange/archive.h"
#include "exchange/members.h"
#include "exchange/publish.h"
#include "exchange/side.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_MS = 60000, AGAIN_MS = 600000, DAY_MS = 86400000, SLICE = 200, COUNTED = 2000, ROW_BYTES = 900, ROOM_LEAST = 64 << 20 };

struct keeping {
  pthread_mutex_t lock;
  char problem[300];
  _Atomic bool stop, running;
  int64_t looked;                        /* by the thread of the jobs alone */
  _Atomic int64_t failed;
};

struct run {
  struct exchange *x;
  const struct exchange_archive_run *o;
  char *folder;
  int64_t age_cut, latest, excess;       /* older than the first: goes; younger than the second: stays; bytes that are too many */
  int64_t at;                            /* the last that was written */
  unsigned char leaf[TRUST_HASH];
  const char *left;                      /* why it ended before what was wanted */
  int64_t messages, bytes;
  json_t *files;
};

static bool stopping(const struct exchange *x) { return x->keeping && x->keeping->stop; }

/* ---- how large the log is ---- */

struct counting { int64_t at, messages, bytes, seen; unsigned char leaf[TRUST_HASH]; };

static void leaf_copy(unsigned char out[TRUST_HASH], const struct store_rows *r, int column) {
  size_t n;
  const void *p = store_blob(r, column, &n);
  if (p && n == TRUST_HASH) memcpy(out, p, n);
}

static int size_read(struct store_tx *tx, struct counting *c, struct err *err) {
  *c = (struct counting){0};
  struct store_rows *r = store_select(tx, err, "SELECT at, leaf_hash, messages, bytes FROM exchange_log_size WHERE name = 'log'", "");
  int rc = r ? store_next(r, err) : -1;
  if (rc == 1) {
    c->at = store_int(r, 0);
    leaf_copy(c->leaf, r, 1);
    c->messages = store_int(r, 2);
    c->bytes = store_int(r, 3);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int size_write(struct store_tx *tx, const struct counting *c, struct err *err) {
  return store_put(tx, err, "INSERT INTO exchange_log_size (name, at, leaf_hash, messages, bytes) VALUES ('log', ?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE SET at = excluded.at, "
                   "leaf_hash = excluded.leaf_hash, messages = excluded.messages, bytes = excluded.bytes", "ibii", c->at, (const void *)c->leaf, (size_t)TRUST_HASH, c->messages, c->bytes);
}

/* What came since it was last counted, but for the newest, which may still come in another order. */
static int count_work(struct store_tx *tx, void *arg, struct err *err) {
  struct counting *c = arg;
  int rc;
  if (size_read(tx, c, err)) return -1;
  struct store_rows *r = store_select(tx, err,
      "SELECT m.at, m.leaf_hash, LENGTH(m.base) + COALESCE(LENGTH(m.content), 0) + COALESCE((SELECT SUM(LENGTH(c.piece)) FROM exchange_content c WHERE c.at = m.at AND c.leaf_hash = m.leaf_hash), 0) "
      "FROM exchange_message m WHERE (m.at, m.leaf_hash) > (?1, ?2) AND m.at < ?3 ORDER BY m.at, m.leaf_hash LIMIT 2000", "ibi", c->at, (const void *)c->leaf, (size_t)TRUST_HASH, store_time(tx) - 30000);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    c->at = store_int(r, 0);
    leaf_copy(c->leaf, r, 1);
    c->bytes += store_int(r, 2) + ROW_BYTES;
    c->messages++;
    c->seen++;
  }
  store_done(r);
  if (rc < 0) return -1;
  return c->seen ? size_write(tx, c, err) : 0;
}

static int count_log(struct exchange *x, struct counting *c, struct err *err) {
  do
    if (store_write(x->store, STORE_JOBS, count_work, c, err)) return -1;
  while (c->seen == COUNTED && !stopping(x));
  return 0;
}

/* ---- writing ---- */

struct next { struct run *r; struct logged l; bool found; unsigned char *content; size_t n; };

static void next_clear(struct next *k) {
  if (k->found) logged_clear(&k->l);
  free(k->content);
  k->content = NULL;
  k->found = false;
}

static int next_work(struct store_tx *tx, void *arg, struct err *err) {
  struct next *k = arg;
  next_clear(k);
  struct store_rows *r = store_select(tx, err, "SELECT " LOGGED_COLUMNS " FROM exchange_message WHERE (at, leaf_hash) > (?1, ?2) ORDER BY at, leaf_hash LIMIT 1", "ib", k->r->at,
                                      (const void *)k->r->leaf, (size_t)TRUST_HASH);
  int rc = r ? store_next(r, err) : -1;
  if (rc == 1) rc = logged_row(r, &k->l, err) ? -1 : 1;
  store_done(r);
  if (rc != 1) return rc;
  k->found = true;
  return logged_content(tx, &k->l, &k->content, &k->n, err);
}

struct out {
  struct archive_writer *w;
  char *part, name[80];
  int64_t count;
  struct { int64_t version; struct members *m; } directories[ARCHIVE_DIRECTORIES];
  size_t directory_count;
};

struct text_of { int64_t version; char *text; size_t n; };
static int text_work(struct store_tx *tx, void *arg, struct err *err) {
  struct text_of *t = arg;
  free(t->text);
  return directory_text(tx, t->version, &t->text, &t->n, err);
}

/* The directory of a message as a line before it. 1: this archive names as many as it may. */
static int put_directory(struct run *r, struct out *f, int64_t version, struct members **m, struct err *err) {
  struct text_of t = {.version = version};
  *m = NULL;
  if (version <= 0) return 0;
  for (size_t i = 0; i < f->directory_count; i++)
    if (f->directories[i].version == version) *m = f->directories[i].m;
  if (*m) return 0;
  if (f->directory_count == ARCHIVE_DIRECTORIES) return 1;
  int rc = store_read(r->x->store, text_work, &t, err);
  if (rc == 0 && !t.text) rc = archives_directory(r->x, version, &t.text, &t.n, err);
  if (rc == 0 && !t.text) rc = err_set(err, ERR_INTERNAL, "the directory of version %lld, which a logged message names, is not here: nothing is archived", (long long)version);
  if (rc == 0) rc = members_read(t.text, t.n, m, err);
  if (rc == 0) {
    char *shown = base64_encode(t.text, t.n);
    json_t *line = json_pack("{s:{s:I,s:s}}", "directory", "version", (json_int_t)version, "text", shown);
    rc = archive_line(f->w, line, err);
    json_decref(line);
    free(shown);
    f->directories[f->directory_count].version = version;
    f->directories[f->directory_count++].m = *m;
  }
  free(t.text);
  return rc;
}

/* Its place in the ledger is what makes it evidence: what has none yet, or no time-stamp where they are made, waits. */
static const char *not_yet(const struct run *r, const json_t *message) {
  const json_t *receipt = json_object_get(message, "receipt");
  if (!json_str(receipt, "checkpoint")) return "messages wait for their place in the ledger: see its causes";
  if (r->x->o.tsa && !r->o->unstamped && !json_str(receipt, "timestamp_token")) return "messages wait for their time-stamp: the authority does not answer, or has not yet";
  return NULL;
}

static bool wanted(const struct run *r, const struct next *k) { return k->found && k->l.at < r->latest && (k->l.at < r->age_cut || r->excess > 0) && !stopping(r->x); }

static int begin_file(struct run *r, struct out *f, const struct next *k, struct err *err) {
  char at[32], hex[2 * TRUST_HASH + 1], *c = f->name;
  clock_rfc3339_ms(k->l.at, at);
  for (const char *p = at; *p; p++)
    if (*p != '-' && *p != ':' && *p != '.') *c++ = *p;
  hex_encode(k->l.leaf_hash, TRUST_HASH, hex);
  snprintf(c, sizeof f->name - (size_t)(c - f->name), "-%.8s" ARCHIVE_END, hex);
  f->part = base_printf("%s/%s.part", r->folder, f->name);
  if (archive_create(f->part, &f->w, err)) return -1;
  clock_rfc3339(clock_now(), at);
  json_t *head = json_pack("{s:s,s:s,s:s}", "type", ARCHIVE_TYPE, "server", r->x->server, "made_at", at);
  int rc = archive_line(f->w, head, err);
  json_decref(head);
  return rc;
}

/* 1: the file is full or there is no more; 0: one message more stands in it. */
static int write_one(struct run *r, struct out *f, struct next *k, struct err *err) {
  json_t *message = NULL;
  struct members *m;
  int rc;
  if (store_read(r->x->store, next_work, k, err)) return -1;
  if (!wanted(r, k)) return 1;
  if (logged_json(r->x, &k->l, k->content, k->n, &message, err)) return -1;
  r->left = not_yet(r, message);
  rc = r->left ? 1 : f->w ? 0 : begin_file(r, f, k, err);
  if (rc == 0) rc = put_directory(r, f, k->l.directory, &m, err);
  if (rc == 0) {
    if (m) evidence_key(message, m, k->l.keyid);
    json_t *line = json_pack("{s:s,s:o}", "message_id", k->l.message_id, "message", message);
    message = NULL;
    rc = archive_line(f->w, line, err);
    json_decref(line);
    int64_t bytes = (int64_t)(k->l.base_size + k->n) + ROW_BYTES;
    f->count++;
    r->excess -= bytes;
    r->messages++;
    r->at = k->l.at;
    memcpy(r->leaf, k->l.leaf_hash, TRUST_HASH);
    if (rc == 0 && r->o->progress) r->o->progress(r->o->ctx, r->messages, bytes);
    if (rc == 0 && archive_written(f->w) >= (r->o->file_bytes ? r->o->file_bytes : (int64_t)64 << 20)) rc = 1;
  }
  json_decref(message);
  return rc;
}

static int folder_sync(const char *folder, struct err *err) {
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = fd < 0 || fsync(fd) ? err_set(err, ERR_UNAVAILABLE, "%s: %s", folder, strerrordesc_np(errno)) : 0;
  if (fd >= 0) close(fd);
  return rc;
}

/* It takes its name, or one beside it: nothing that stands there is replaced. */
static int name_file(struct run *r, struct out *f, struct err *err) {
  char base[80], *path = NULL;
  int rc;
  snprintf(base, sizeof base, "%.*s", (int)(strlen(f->name) - strlen(ARCHIVE_END)), f->name);
  for (int i = 2;; i++) {
    free(path);
    path = base_printf("%s/%s", r->folder, f->name);
    if (access(path, F_OK) != 0) break;
    snprintf(f->name, sizeof f->name, "%.50s-%d" ARCHIVE_END, base, i);
  }
  rc = rename(f->part, path) ? err_set(err, ERR_UNAVAILABLE, "%s cannot be made: %s", path, strerrordesc_np(errno)) : folder_sync(r->folder, err);
  free(path);
  return rc;
}

/* One archive more. *made: its name stands in name; false when there was nothing for it. */
static int write_file(struct run *r, char name[80], bool *made, struct err *err) {
  struct out f = {0};
  struct next k = {.r = r};
  int rc;
  while ((rc = write_one(r, &f, &k, err)) == 0) continue;
  rc = rc < 0 ? -1 : 0;
  next_clear(&k);
  *made = f.w && f.count > 0 && rc == 0 && !stopping(r->x);
  if (*made) {
    rc = archive_finish(f.w, f.count, err) || name_file(r, &f, err) ? -1 : 0;
    if (rc == 0) snprintf(name, 80, "%s", f.name);
  }
  if (f.w && (rc || !*made)) unlink(f.part);
  archive_drop(f.w);
  free(f.part);
  for (size_t i = 0; i < f.directory_count; i++) members_drop(f.directories[i].m);
  return rc;
}

/* ---- judged, recorded, taken out ---- */

struct archived { struct exchange *x; const char *name, *state; struct archive_sum sum; int64_t n, before; };

static int record_work(struct store_tx *tx, void *arg, struct err *err) {
  struct archived *a = arg;
  if (store_value(tx, &a->n, 0, err, "SELECT n FROM exchange_archive WHERE name = ?1", "t", a->name)) return -1;
  if (a->n) return 0;
  if (store_value(tx, &a->n, 0, err, "SELECT MAX(n) FROM exchange_archive", "")) return -1;
  a->n++;
  return store_put(tx, err, "INSERT INTO exchange_archive (n, name, state, from_at, until_at, messages, bytes, sha256, made_at) VALUES (?1, ?2, 'verified', ?3, ?4, ?5, ?6, ?7, ?8)", "itiiiiti", a->n,
                   a->name, a->sum.from, a->sum.until, a->sum.messages, a->sum.bytes, a->sum.sha256, store_time(tx));
}

struct gone { int64_t at, place, key; unsigned char leaf[TRUST_HASH]; };
struct taking { struct exchange *x; int64_t n; struct gone list[SLICE]; size_t count; };

static int take_one(struct store_tx *tx, const struct taking *t, const struct gone *g, struct counting *c, struct err *err) {
  int64_t size = -1;
  if (store_put(tx, err, "INSERT INTO exchange_archived (key8, archive, place) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", "iii", g->key, t->n, g->place)) return -1;
  if (!g->at) return 0; /* a directory */
  if (store_value(tx, &size, -1, err, "SELECT LENGTH(m.base) + COALESCE(LENGTH(m.content), 0) + COALESCE((SELECT SUM(LENGTH(c.piece)) FROM exchange_content c WHERE c.at = m.at AND c.leaf_hash = m.leaf_hash), 0) "
                  "FROM exchange_message m WHERE m.at = ?1 AND m.leaf_hash = ?2", "ib", g->at, (const void *)g->leaf, (size_t)TRUST_HASH))
    return -1;
  if (size < 0) return 0; /* taken out before */
  if (g->at < c->at || (g->at == c->at && memcmp(g->leaf, c->leaf, TRUST_HASH) <= 0)) {
    c->bytes -= size + ROW_BYTES;
    c->messages--;
  }
  return store_put(tx, err, "DELETE FROM exchange_content WHERE at = ?1 AND leaf_hash = ?2", "ib", g->at, (const void *)g->leaf, (size_t)TRUST_HASH) ||
      store_put(tx, err, "DELETE FROM exchange_message WHERE at = ?1 AND leaf_hash = ?2", "ib", g->at, (const void *)g->leaf, (size_t)TRUST_HASH) ? -1 : 0;
}

static int take_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct taking *t = arg;
  struct counting c;
  if (size_read(tx, &c, err)) return -1;
  for (size_t i = 0; i < t->count; i++)
    if (take_one(tx, t, &t->list[i], &c, err)) return -1;
  return c.at ? size_write(tx, &c, err) : 0;
}

static int take_slice(struct taking *t, struct err *err) {
  int rc = t->count ? store_write(t->x->store, STORE_JOBS, take_work, t, err) : 0;
  t->count = 0;
  return rc;
}

static int take_each(void *ctx, int64_t place, int64_t version, const char *message_id, const json_t *message, struct err *err) {
  struct taking *t = ctx;
  struct gone *g = &t->list[t->count];
  char text[24];
  *g = (struct gone){.place = place};
  if (message_id) {
    const char *leaf = json_str(json_object_get(message, "receipt"), "leaf_hash");
    if (clock_parse(json_str(message, "at"), &g->at) || !leaf || hex_decode(leaf, g->leaf, TRUST_HASH)) return err_set(err, ERR_MALFORMED, "a message of the archive is not whole");
    if (trust_index(t->x->ledger, g->at, g->leaf) < 0) return err_set(err, ERR_FORBIDDEN, "it holds a message that is not in this gateway's ledger");
    g->key = archive_key('m', message_id);
  } else {
    snprintf(text, sizeof text, "%lld", (long long)version);
    g->key = archive_key('d', text);
  }
  return ++t->count == SLICE ? take_slice(t, err) : 0;
}

/* Directories that an archive holds and that no message left here was judged by: they only grow. */
static int close_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct archived *a = arg;
  int64_t oldest = INT64_MAX, version[64];
  size_t count = 0;
  int rc;
  if (store_value(tx, &oldest, INT64_MAX, err, "SELECT directory FROM exchange_message ORDER BY at, leaf_hash LIMIT 1", "")) return -1;
  struct store_rows *r = store_select(tx, err, "SELECT version FROM exchange_directory_text WHERE version < ?1 ORDER BY version LIMIT 64", "i", oldest);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1 && count < BASE_COUNT(version)) version[count++] = store_int(r, 0);
  store_done(r);
  if (rc < 0) return -1;
  for (size_t i = 0; i < count; i++) {
    int64_t there = 0;
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)version[i]);
    if (store_value(tx, &there, 0, err, "SELECT 1 FROM exchange_archived WHERE key8 = ?1 LIMIT 1", "i", archive_key('d', text))) return -1;
    if (there && store_put(tx, err, "DELETE FROM exchange_directory_text WHERE version = ?1", "i", version[i])) return -1;
  }
  if (act_put(tx, a->x->o.actor ? a->x->o.actor : "gateway", "archive", a->name, json_pack("{s:I,s:s}", "messages", (json_int_t)a->sum.messages, "sha256", a->sum.sha256), err)) return -1;
  return store_put(tx, err, "UPDATE exchange_archive SET state = 'closed' WHERE n = ?1", "i", a->n);
}

/* What stands in the folder under this name, whoever wrote it: judged from the disk, then its messages leave the log. */
static int adopt(struct run *r, const char *name, struct err *err) {
  struct archived a = {.x = r->x, .name = name};
  struct archive_reader *in = NULL;
  struct archive_sum again;
  char *path = base_printf("%s/%s", r->folder, name);
  int rc = archive_open(path, &in, err) || archive_judge(in, true, NULL, r->x->o.tsa ? r->x->o.tsa_ca_file : NULL, NULL, NULL, &a.sum, err) ? -1 : 0;
  if (rc == 0 && strcmp(a.sum.server, r->x->server) != 0) rc = err_set(err, ERR_FORBIDDEN, "%s is an archive of %s, not of this gateway", path, a.sum.server);
  if (rc == 0 && (rc = store_write(r->x->store, STORE_JOBS, record_work, &a, err)) == 0) {
    struct taking *t = base_alloc(sizeof *t);
    t->x = r->x;
    t->n = a.n;
    rc = archive_judge(in, false, NULL, NULL, take_each, t, &again, err) || take_slice(t, err) ? -1 : 0;
    free(t);
  }
  if (rc == 0) rc = store_write(r->x->store, STORE_JOBS, close_work, &a, err);
  if (rc == 0) {
    json_array_append_new(r->files, json_string(name));
    r->bytes += a.sum.bytes;
    log_write(LOG_INFO, "exchange", "archived %lld messages in %s, %lld bytes", (long long)a.sum.messages, name, (long long)a.sum.bytes);
  }
  archive_close(in);
  free(path);
  return rc;
}

/* ---- what an interrupted run left ---- */

struct known { const char *name; bool closed; };
static int known_work(struct store_tx *tx, void *arg, struct err *err) {
  struct known *k = arg;
  int64_t n = 0;
  if (store_value(tx, &n, 0, err, "SELECT 1 FROM exchange_archive WHERE name = ?1 AND state = 'closed'", "t", k->name)) return -1;
  k->closed = n > 0;
  return 0;
}

static bool ends(const char *name, const char *end) {
  size_t n = strlen(name), e = strlen(end);
  return n > e && n < 80 && strcmp(name + n - e, end) == 0;
}

/* One file that cannot be taken holds the others up no more than it must: it is told, and what it holds stays in the log. */
static int mend(struct run *r, struct err *err) {
  DIR *d = opendir(r->folder);
  int rc = d ? 0 : err_set(err, ERR_UNAVAILABLE, "%s cannot be read: %s", r->folder, strerrordesc_np(errno));
  for (struct dirent *e; rc == 0 && !stopping(r->x) && (e = readdir(d)) != NULL;) {
    struct known k = {.name = e->d_name};
    char *path = base_printf("%s/%s", r->folder, e->d_name);
    if (ends(e->d_name, ARCHIVE_END ".part")) unlink(path);
    else if (ends(e->d_name, ARCHIVE_END) && (rc = store_read(r->x->store, known_work, &k, err)) == 0 && !k.closed) {
      struct err why;
      if (adopt(r, e->d_name, &why) == 0) log_write(LOG_INFO, "exchange", "%s was left by a run that did not end: done", e->d_name);
      else if (why.code == ERR_UNAVAILABLE) rc = err_set(err, why.code, "%s", why.message);
      else {
        log_write(LOG_WARN, "exchange", "%s in the folder of archives is not taken: %s", e->d_name, why.message);
        r->left = "a file in the folder of archives is damaged or another gateway's: see the log, and take it away";
      }
    }
    free(path);
  }
  if (d) closedir(d);
  return rc;
}

/* ---- a run ---- */

static int lock_run(const struct exchange *x, struct err *err) {
  char *path = base_printf("%s/archive.lock", x->folder);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) err_set(err, ERR_UNAVAILABLE, "%s: %s", path, strerrordesc_np(errno));
  else if (flock(fd, LOCK_EX | LOCK_NB)) {
    close(fd);
    fd = err_set(err, ERR_CONFLICT, "the log is being archived just now by another process");
  }
  free(path);
  return fd;
}

static void plan(struct run *r, const struct counting *c) {
  const struct exchange_options *o = &r->x->o;
  int64_t now = clock_now(), window = (int64_t)(o->window_s ? o->window_s : 300) * 1000, most = (int64_t)o->keep_mb << 20;
  r->latest = now - 3 * window; /* until then a message that comes again is known by its row (evidence_holds) */
  r->age_cut = r->o->older_than_ms >= 0 ? now - r->o->older_than_ms : o->keep_days > 0 ? now - (int64_t)o->keep_days * DAY_MS : 0;
  r->excess = r->o->older_than_ms < 0 && most > 0 && c->bytes > most ? c->bytes - most / 5 * 4 : 0;
}

static int all_files(struct run *r, struct err *err) {
  char name[80];
  bool made = true;
  int rc = 0;
  while (rc == 0 && made && !r->left && !stopping(r->x)) {
    rc = write_file(r, name, &made, err);
    if (rc == 0 && made) rc = adopt(r, name, err);
  }
  return rc;
}

int exchange_archive(struct exchange *x, const struct exchange_archive_run *o, json_t **out, struct err *err) {
  struct run r = {.x = x, .o = o, .folder = archive_folder(x), .files = json_array()};
  struct counting c;
  struct err why;
  *out = NULL;
  int fd = lock_run(x, err), rc = fd < 0 ? -1 : dir_make(r.folder, 0700, err);
  if (rc == 0) rc = mend(&r, err);
  const char *left = r.left;
  r.left = NULL;
  if (rc == 0) rc = count_log(x, &c, err);
  if (rc == 0) {
    plan(&r, &c);
    rc = all_files(&r, err);
  }
  if (rc == 0) *out = json_pack("{s:O,s:I,s:I,s:s?}", "files", r.files, "messages", (json_int_t)r.messages, "bytes", (json_int_t)r.bytes, "left", r.left ? r.left : left);
  if (rc && err) { /* the sentence says that nothing is lost */
    why = *err;
    if (fd >= 0) err_set(err, why.code, "%.400s; what is not in an archive stays in the log", why.message);
  }
  if (fd >= 0) close(fd);
  free(r.folder);
  json_decref(r.files);
  return rc;
}

/* ---- by itself ---- */

int keeping_open(struct exchange *x, struct err *err) {
  x->keeping = base_alloc(sizeof *x->keeping);
  pthread_mutex_init(&x->keeping->lock, NULL);
  x->keeping->looked = clock_mono() - LOOK_MS; /* the first look is soon */
  return 0;
}

void keeping_stop(struct exchange *x) {
  if (x->keeping) x->keeping->stop = true;
}

void keeping_close(struct exchange *x) {
  if (!x->keeping) return;
  pthread_mutex_destroy(&x->keeping->lock);
  free(x->keeping);
  x->keeping = NULL;
}

static void tell(struct exchange *x, const char *problem) {
  pthread_mutex_lock(&x->keeping->lock);
  snprintf(x->keeping->problem, sizeof x->keeping->problem, "%.299s", problem);
  pthread_mutex_unlock(&x->keeping->lock);
}

const char *keeping_problem(struct exchange *x, char out[300]) {
  char *folder = archive_folder(x);
  int64_t here = folder_room(x->folder), there = access(folder, F_OK) ? here : folder_room(folder);
  out[0] = 0;
  if (x->keeping) {
    pthread_mutex_lock(&x->keeping->lock);
    snprintf(out, 300, "%s", x->keeping->problem);
    pthread_mutex_unlock(&x->keeping->lock);
  }
  if (!out[0] && here >= 0 && here < ROOM_LEAST) snprintf(out, 300, "the disk of %.200s is nearly full: when it is, nothing is exchanged", x->folder);
  else if (!out[0] && there >= 0 && there < ROOM_LEAST) snprintf(out, 300, "the disk of the archives, %.180s, is nearly full: the log would grow", folder);
  free(folder);
  return out[0] ? out : NULL;
}

struct due { int64_t oldest; };
static int oldest_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_value(tx, arg, 0, err, "SELECT at FROM exchange_message ORDER BY at, leaf_hash LIMIT 1", "");
}

/* A day's worth at a time by age, a fifth of the limit by size: not a file a minute. */
static bool due(struct exchange *x, const struct counting *c) {
  struct due d = {0};
  if (x->o.keep_mb > 0 && c->bytes > (int64_t)x->o.keep_mb << 20) return true;
  if (x->o.keep_days <= 0 || store_read(x->store, oldest_work, &d.oldest, NULL)) return false;
  return d.oldest && d.oldest < clock_now() - ((int64_t)x->o.keep_days + 1) * DAY_MS;
}

static void look(void *arg) {
  struct exchange *x = arg;
  struct counting c;
  struct err err = {0};
  json_t *done = NULL;
  int rc = count_log(x, &c, &err);
  if (rc == 0 && due(x, &c)) rc = exchange_archive(x, &(struct exchange_archive_run){.older_than_ms = -1}, &done, &err);
  if (rc && err.code != ERR_CONFLICT) {
    log_write(LOG_WARN, "exchange", "the log is not archived: %s", err.message);
    x->keeping->failed = clock_mono();
    tell(x, err.message);
  } else if (rc == 0) {
    x->keeping->failed = 0;
    tell(x, json_str(done, "left") ? json_str(done, "left") : "");
  }
  json_decref(done);
  x->keeping->running = false;
}

void keeping_jobs(struct exchange *x) {
  struct keeping *k = x->keeping;
  int64_t now = clock_mono(), every = k->failed ? AGAIN_MS : LOOK_MS;
  if (now - k->looked < every || atomic_exchange(&k->running, true)) return;
  k->looked = now;
  if (!tasks_put(x->sides->later, look, x)) k->running = false;
}
