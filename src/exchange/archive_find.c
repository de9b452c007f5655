/* What archives hold: found for a bundle, listed, and told in status. */
#include "exchange/archive.h"
#include "exchange/members.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

char *archive_folder(const struct exchange *x) { return x->o.archive_folder ? base_strdup(x->o.archive_folder) : base_printf("%s/archive", x->folder); }

int64_t archive_key(char kind, const char *text) {
  unsigned char hash[32];
  uint64_t n = 0;
  char *whole = base_printf("%c%s", kind, text);
  sha256(whole, strlen(whole), hash);
  free(whole);
  for (int i = 0; i < 8; i++) n = n << 8 | hash[i];
  return (int64_t)n;
}

/* ---- finding ---- */

/* Each place holds at least one message. Read a part at a time, those behind (archive, place) */
struct places { int64_t key, from, until, archive, place; struct { char name[120]; int64_t archive, place; } list[500]; size_t count; };
enum { PLACES = 4000 }; /* read for one who asks over the network; an archive that is as large as they are made has fewer */

static int places_work(struct store_tx *tx, void *arg, struct err *err) {
  struct places *p = arg;
  int rc;
  p->count = 0;
  struct store_rows *r = store_select(tx, err, "SELECT a.name, d.archive, d.place FROM exchange_archived d JOIN exchange_archive a ON a.n = d.archive WHERE d.key8 = ?1 AND (d.archive, d.place) > (?2, ?3) "
                                      "AND a.until_at >= ?4 AND a.from_at < ?5 ORDER BY d.archive, d.place LIMIT ?6", "iiiiii", p->key, p->archive, p->place, p->from, p->until, (int64_t)BASE_COUNT(p->list));
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1 && p->count < BASE_COUNT(p->list)) {
    snprintf(p->list[p->count].name, sizeof p->list[0].name, "%s", store_text(r, 0));
    p->list[p->count].archive = store_int(r, 1);
    p->list[p->count++].place = store_int(r, 2);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* Each line of the block at a place, until fn says 1: it has what it wants. */
typedef int (*line_fn)(void *ctx, const json_t *line, struct err *err);
static int block_each(const char *path, int64_t place, line_fn fn, void *ctx, struct err *err) {
  struct archive_reader *r = NULL;
  const char *line;
  size_t n;
  int64_t at;
  int rc = archive_open(path, &r, err) || archive_seek(r, place, err) ? -1 : 0, more = 0, done = 0;
  while (rc == 0 && !done && (more = archive_next(r, &line, &n, &at, err)) == 1 && at == place) {
    json_t *o = json_read(line, n, 12, err);
    done = o ? fn(ctx, o, err) : -1;
    json_decref(o);
    if (done < 0) rc = -1;
  }
  archive_close(r);
  return rc || more < 0 ? -1 : done;
}

static int place_each(const char *folder, const char *name, int64_t place, line_fn fn, void *ctx, struct err *err) {
  char *path = base_printf("%s/%s", folder, name);
  int rc = access(path, F_OK) == 0 ? block_each(path, place, fn, ctx, err)
    : err_set(err, ERR_UNAVAILABLE, "what is asked stands in the archive %s, which is not in %.200s: put the file back, or ask the file itself: chapar evidence export MESSAGE-ID --archive FILE", name, folder);
  free(path);
  return rc;
}

static int messages_each(struct exchange *x, const struct evidence_ask *a, line_fn fn, void *ctx, struct err *err) {
  struct places *p = base_alloc(sizeof *p);
  char *folder = archive_folder(x);
  size_t all = 0;
  int rc;
  *p = (struct places){.key = archive_key('m', a->message_id), .from = a->from, .until = evidence_until(a), .archive = -1};
  do {
    rc = store_read(x->store, places_work, p, err);
    all += p->count;
    if (rc == 0 && a->asker && all > PLACES)
      rc = err_set(err, ERR_LIMIT, "what is asked stands in more than %d places of the archives: none are left out, so none are given. Narrow it by time, with from and until", PLACES);
    for (size_t i = 0; rc == 0 && i < p->count; i++) {
      rc = place_each(folder, p->list[i].name, p->list[i].place, fn, ctx, err);
      p->archive = p->list[i].archive;
      p->place = p->list[i].place;
    }
  } while (rc == 0 && p->count == BASE_COUNT(p->list));
  free(folder);
  free(p);
  return rc;
}

static int64_t bytes_of(const json_t *o, const char *name) { return (int64_t)json_string_length(json_object_get(o, name)) / 4 * 3; }

/* Each once, of those that are asked: a message that is on its way out is in the log and in an archive. */
struct wanted { const struct evidence_ask *a; json_t *messages; int64_t bytes; };
static int keep_message(struct wanted *w, const char *message_id, json_t *message, struct err *err) {
  const char *client = json_str(message, "client"), *service = json_str(message, "service"), *leaf = json_str(json_object_get(message, "receipt"), "leaf_hash");
  json_t *m;
  size_t i;
  int64_t at;
  if (!base_same(message_id, w->a->message_id) || !client || !service || !json_str(message, "part") || clock_parse(json_str(message, "at"), &at)) return 0;
  if (at < w->a->from || at >= evidence_until(w->a) || !evidence_took_part(client, service, w->a->asker)) return 0;
  json_array_foreach(w->messages, i, m) if (base_same(leaf, json_str(json_object_get(m, "receipt"), "leaf_hash"))) return 0;
  w->bytes += bytes_of(message, "content");
  if (evidence_fits(w->a, json_array_size(w->messages) + 1, 0, w->bytes, err)) return -1;
  json_array_append(w->messages, message);
  return 0;
}

static int message_wanted(void *ctx, const json_t *line, struct err *err) {
  json_t *message = json_object_get(line, "message");
  return message ? keep_message(ctx, json_str(line, "message_id"), message, err) : 0;
}

struct version { int64_t version; char *text; size_t n; };
static int directory_wanted(void *ctx, const json_t *line, struct err *err) {
  struct version *v = ctx;
  const json_t *directory = json_object_get(line, "directory");
  const char *text = json_str(directory, "text");
  if (!text || json_int(directory, "version", -1) != v->version || v->text) return v->text != NULL;
  size_t room = strlen(text);
  v->text = base_alloc(room + 1);
  if (base64_decode(text, room, v->text, room, &v->n) == 0) return 1;
  free(v->text);
  v->text = NULL;
  return err_set(err, ERR_MALFORMED, "a directory in an archive is damaged");
}

int archives_directory(struct exchange *x, int64_t version, char **out, size_t *n, struct err *err) {
  struct version v = {.version = version};
  struct places *p = base_alloc(sizeof *p);
  char text[24], *folder = archive_folder(x);
  snprintf(text, sizeof text, "%lld", (long long)version);
  *p = (struct places){.key = archive_key('d', text), .until = INT64_MAX, .archive = -1};
  int rc = store_read(x->store, places_work, p, err), one = rc;
  for (size_t i = 0; rc == 0 && one != 1 && i < p->count; i++) one = place_each(folder, p->list[i].name, p->list[i].place, directory_wanted, &v, err); /* each that names it has the same */
  free(folder);
  free(p);
  *out = v.text;
  *n = v.n;
  return one < 0 ? -1 : 0;
}

static bool names(const json_t *directories, int64_t version) {
  json_t *d;
  size_t i;
  json_array_foreach(directories, i, d) if (json_int(d, "version", -1) == version) return true;
  return false;
}

static int keep_directory(struct wanted *w, json_t *directories, json_t *d, struct err *err) {
  w->bytes += bytes_of(d, "text");
  if (evidence_fits(w->a, json_array_size(w->messages), json_array_size(directories) + 1, w->bytes, err)) return -1;
  json_array_append(directories, d);
  return 0;
}

int archives_find(struct exchange *x, const struct evidence_ask *a, json_t *messages, json_t *directories, int64_t bytes, struct err *err) {
  struct wanted w = {a, messages, bytes};
  size_t before = json_array_size(messages);
  int rc = messages_each(x, a, message_wanted, &w, err);
  for (size_t i = before; rc == 0 && i < json_array_size(messages); i++) {
    int64_t version = json_int(json_array_get(messages, i), "directory", 0);
    char *text = NULL;
    size_t n;
    if (version > 0 && !names(directories, version) && (rc = archives_directory(x, version, &text, &n, err)) == 0 && text) {
      char *shown = base64_encode(text, n);
      json_t *d = json_pack("{s:I,s:s}", "version", (json_int_t)version, "text", shown);
      rc = keep_directory(&w, directories, d, err);
      json_decref(d);
      free(shown);
    }
    free(text);
  }
  return rc;
}

/* ---- out of one file, without a gateway ---- */

struct picking { struct wanted w; json_t *seen; };

static int pick(void *ctx, int64_t place, int64_t version, const char *message_id, const json_t *message, struct err *err) {
  struct picking *k = ctx;
  if (message_id) return keep_message(&k->w, message_id, (json_t *)message, err);
  if (json_array_size(k->seen) < ARCHIVE_DIRECTORIES) json_array_append(k->seen, (json_t *)message);
  return 0;
}

int exchange_archive_evidence(const char *file, const struct evidence_ask *a, json_t **out, struct err *err) {
  struct archive_reader *r = NULL;
  struct archive_sum sum;
  struct picking k = {{a, json_array(), 0}, json_array()};
  json_t *m, *d, *directories = json_array();
  char now[32];
  size_t i, n;
  *out = NULL;
  int rc = archive_open(file, &r, err) || archive_judge(r, false, NULL, NULL, pick, &k, &sum, err) ? -1 : 0;
  archive_close(r);
  if (rc == 0 && json_array_size(k.w.messages) == 0) rc = err_set(err, ERR_NOT_FOUND, "no message of this id, and of this time, is in the archive");
  json_array_foreach(k.w.messages, i, m)
    json_array_foreach(k.seen, n, d)
      if (rc == 0 && json_int(d, "version", -1) == json_int(m, "directory", -2) && !names(directories, json_int(d, "version", -1))) rc = keep_directory(&k.w, directories, d, err);
  if (rc == 0) {
    *out = json_object();
    clock_rfc3339(clock_now(), now);
    json_put(*out, "type", EVIDENCE_TYPE);
    json_put(*out, "message_id", a->message_id);
    json_put(*out, "server", sum.server);
    json_put(*out, "exported_at", now);
    json_object_set(*out, "messages", k.w.messages);
    json_object_set(*out, "directories", directories);
  }
  json_decref(k.w.messages);
  json_decref(directories);
  json_decref(k.seen);
  return rc;
}

int exchange_archive_verify(const char *file, const char *operator_key, const char *tsa_ca_file, char **sentence, struct err *err) {
  struct archive_reader *r = NULL;
  struct archive_sum s;
  char from[32], until[32];
  *sentence = NULL;
  int rc = archive_open(file, &r, err) || archive_judge(r, true, operator_key, tsa_ca_file, NULL, NULL, &s, err) ? -1 : 0;
  archive_close(r);
  if (rc) return -1;
  clock_rfc3339(s.from, from);
  clock_rfc3339(s.until, until);
  *sentence = base_printf("The archive of %s holds %lld messages from %s until %s: each is what was signed, by a key of the directory of that time, and stands in the ledger%s.\n"
                          "Nothing in it is missing or changed. That an answer belongs to its request is judged in a bundle: chapar evidence export MESSAGE-ID --archive %s\n",
                          s.server, (long long)s.messages, from, until, operator_key ? "" : " (whose key, and the operator's, were not given to compare)", file);
  return 0;
}

/* ---- telling ---- */

struct listing { json_t *list; char *folder; };

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct listing *l = arg;
  char from[32], until[32], made[32];
  int rc;
  json_decref(l->list);
  l->list = json_array();
  struct store_rows *r = store_select(tx, err, "SELECT name, state, from_at, until_at, messages, bytes, sha256, made_at FROM exchange_archive ORDER BY n DESC LIMIT 2000", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    char *path = base_printf("%s/%s", l->folder, store_text(r, 0));
    clock_rfc3339(store_int(r, 2), from);
    clock_rfc3339(store_int(r, 3), until);
    clock_rfc3339(store_int(r, 7), made);
    json_array_append_new(l->list, json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:b}", "name", store_text(r, 0), "state", store_text(r, 1), "from", from, "until", until, "messages",
                                             (json_int_t)store_int(r, 4), "bytes", (json_int_t)store_int(r, 5), "sha256", store_text(r, 6), "made_at", made, "there", access(path, F_OK) == 0));
    free(path);
  }
  store_done(r);
  return rc;
}

int exchange_archives(struct exchange *x, json_t **out, struct err *err) {
  struct listing l = {.folder = archive_folder(x)};
  int rc = store_read(x->store, list_work, &l, err);
  free(l.folder);
  *out = rc ? NULL : l.list;
  if (rc) json_decref(l.list);
  return rc;
}

struct figures { int64_t messages, bytes, oldest, files, archived, archived_bytes, made; char name[120]; };

static int figures_work(struct store_tx *tx, void *arg, struct err *err) {
  struct figures *f = arg;
  *f = (struct figures){0};
  struct store_rows *r = store_select(tx, err, "SELECT messages, bytes FROM exchange_log_size WHERE name = 'log'", "");
  int rc = r ? store_next(r, err) : -1;
  if (rc == 1) {
    f->messages = store_int(r, 0);
    f->bytes = store_int(r, 1);
  }
  store_done(r);
  if (rc < 0 || store_value(tx, &f->oldest, 0, err, "SELECT at FROM exchange_message ORDER BY at, leaf_hash LIMIT 1", "")) return -1;
  r = store_select(tx, err, "SELECT COUNT(*), SUM(messages), SUM(bytes) FROM exchange_archive", "");
  rc = r ? store_next(r, err) : -1;
  if (rc == 1) {
    f->files = store_int(r, 0);
    f->archived = store_int(r, 1);
    f->archived_bytes = store_int(r, 2);
  }
  store_done(r);
  if (rc < 0) return -1;
  r = store_select(tx, err, "SELECT name, made_at FROM exchange_archive ORDER BY n DESC LIMIT 1", "");
  rc = r ? store_next(r, err) : -1;
  if (rc == 1) {
    snprintf(f->name, sizeof f->name, "%s", store_text(r, 0));
    f->made = store_int(r, 1);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static void put_at(json_t *o, const char *key, int64_t at) {
  char text[32];
  clock_rfc3339(at, text);
  json_put(o, key, at ? text : NULL);
}

static void put_int(json_t *o, const char *key, int64_t n) { json_object_set_new(o, key, json_integer(n)); }

int64_t folder_room(const char *folder) {
  struct statvfs v;
  return statvfs(folder, &v) ? -1 : (int64_t)v.f_bavail * (int64_t)v.f_frsize;
}

int exchange_log_status(struct exchange *x, json_t **out, struct err *err) {
  struct figures f;
  struct stat st;
  char problem[300], *folder = archive_folder(x), *db = base_printf("%s/exchange.db", x->folder);
  *out = NULL;
  int rc = store_read(x->store, figures_work, &f, err);
  if (rc == 0) {
    json_t *o = *out = json_object(), *a = json_object();
    put_int(o, "messages", f.messages);
    put_int(o, "bytes", f.bytes);
    put_int(o, "store_bytes", stat(db, &st) ? 0 : (int64_t)st.st_size);
    put_at(o, "oldest", f.oldest);
    put_int(o, "free_bytes", folder_room(x->folder));
    put_int(o, "keep_days", x->o.keep_days);
    put_int(o, "keep_mb", x->o.keep_mb);
    json_put(a, "folder", folder);
    put_int(a, "free_bytes", folder_room(access(folder, F_OK) ? x->folder : folder));
    put_int(a, "files", f.files);
    put_int(a, "messages", f.archived);
    put_int(a, "bytes", f.archived_bytes);
    json_put(a, "last", f.made ? f.name : NULL);
    put_at(a, "last_at", f.made);
    json_put(a, "problem", keeping_problem(x, problem));
    json_object_set_new(o, "archive", a);
  }
  free(folder);
  free(db);
  return rc;
}
