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

struct places { int64_t key; struct { char name[120]; int64_t place; } list[EVIDENCE_MESSAGES + 1]; size_t count; }; /* each place holds at least one message */

static int places_work(struct store_tx *tx, void *arg, struct err *err) {
  struct places *p = arg;
  int rc;
  p->count = 0;
  struct store_rows *r = store_select(tx, err, "SELECT a.name, d.place FROM exchange_archived d JOIN exchange_archive a ON a.n = d.archive WHERE d.key8 = ?1 ORDER BY d.archive, d.place LIMIT ?2", "ii", p->key, (int64_t)BASE_COUNT(p->list));
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1 && p->count < BASE_COUNT(p->list)) {
    snprintf(p->list[p->count].name, sizeof p->list[0].name, "%s", store_text(r, 0));
    p->list[p->count++].place = store_int(r, 1);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* Each line of the block at a place that is `member` ("message", "directory"): fn says 1 when it has what it wants. */
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
  return rc || more < 0 ? -1 : 0;
}

static int places_each(struct exchange *x, int64_t key, line_fn fn, void *ctx, struct err *err) {
  struct places *p = base_alloc(sizeof *p);
  p->key = key;
  char *folder = archive_folder(x);
  int rc = store_read(x->store, places_work, p, err);
  if (rc == 0 && p->count > EVIDENCE_MESSAGES) rc = err_set(err, ERR_LIMIT, "what is asked stands in more than %d places of the archives: none are left out, so none are given", EVIDENCE_MESSAGES);
  for (size_t i = 0; rc == 0 && i < p->count; i++) {
    char *path = base_printf("%s/%s", folder, p->list[i].name);
    if (access(path, F_OK) != 0)
      rc = err_set(err, ERR_UNAVAILABLE, "what is asked stands in the archive %s, which is not in %.200s: put the file back, or ask the file itself: chapar evidence export MESSAGE-ID --archive FILE", p->list[i].name, folder);
    else rc = block_each(path, p->list[i].place, fn, ctx, err);
    free(path);
  }
  free(folder);
  free(p);
  return rc;
}

struct wanted { const char *message_id, *asker; json_t *messages; int64_t count; };
static int message_wanted(void *ctx, const json_t *line, struct err *err) {
  struct wanted *w = ctx;
  json_t *message = json_object_get(line, "message");
  const char *client = json_str(message, "client"), *service = json_str(message, "service");
  if (base_same(json_str(line, "message_id"), w->message_id) && client && service && evidence_took_part(client, service, w->asker) && w->count++ < EVIDENCE_MESSAGES) json_array_append(w->messages, message);
  return 0;
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
  char text[24];
  snprintf(text, sizeof text, "%lld", (long long)version);
  *out = NULL;
  *n = 0;
  if (places_each(x, archive_key('d', text), directory_wanted, &v, err)) {
    free(v.text);
    return -1;
  }
  *out = v.text;
  *n = v.n;
  return 0;
}

static bool names(const json_t *directories, int64_t version) {
  json_t *d;
  size_t i;
  json_array_foreach(directories, i, d) if (json_int(d, "version", -1) == version) return true;
  return false;
}

int archives_find(struct exchange *x, const char *message_id, const char *asker, json_t *messages, json_t *directories, struct err *err) {
  struct wanted w = {message_id, asker, json_array(), 0};
  json_t *m;
  size_t i;
  int rc = places_each(x, archive_key('m', message_id), message_wanted, &w, err);
  if (rc == 0 && w.count > EVIDENCE_MESSAGES) rc = evidence_too_much(message_id, w.count + (int64_t)json_array_size(messages), 0, err);
  json_array_foreach(w.messages, i, m) {
    int64_t version = json_int(m, "directory", 0);
    char *text = NULL;
    size_t n;
    if (rc == 0 && version > 0 && !names(directories, version) && (rc = archives_directory(x, version, &text, &n, err)) == 0 && text) {
      json_t *d = json_object();
      char *shown = base64_encode(text, n);
      json_object_set_new(d, "version", json_integer(version));
      json_put(d, "text", shown);
      json_array_append_new(directories, d);
      free(shown);
    }
    free(text);
  }
  if (rc == 0) json_array_extend(messages, w.messages);
  json_decref(w.messages);
  return rc;
}

/* ---- out of one file, without a gateway ---- */

struct picking { const char *message_id; json_t *messages, *directories, *seen; int64_t count; };

static int pick(void *ctx, int64_t place, int64_t version, const char *message_id, const json_t *message, struct err *err) {
  struct picking *k = ctx;
  if (!message_id) {
    if (json_array_size(k->seen) < ARCHIVE_DIRECTORIES) json_array_append(k->seen, (json_t *)message);
    return 0;
  }
  if (strcmp(message_id, k->message_id) == 0 && k->count++ < EVIDENCE_MESSAGES) json_array_append(k->messages, (json_t *)message);
  return 0;
}

int exchange_archive_evidence(const char *file, const char *message_id, json_t **out, struct err *err) {
  struct archive_reader *r = NULL;
  struct archive_sum sum;
  struct picking k = {message_id, json_array(), json_array(), json_array(), 0};
  char now[32];
  json_t *m, *d;
  size_t i, n;
  *out = NULL;
  int rc = archive_open(file, &r, err) || archive_judge(r, false, NULL, NULL, pick, &k, &sum, err) ? -1 : 0;
  archive_close(r);
  if (rc == 0 && k.count > EVIDENCE_MESSAGES) rc = evidence_too_much(message_id, k.count, 0, err);
  if (rc == 0 && json_array_size(k.messages) == 0) rc = err_set(err, ERR_NOT_FOUND, "no message of this id is in the archive");
  json_array_foreach(k.messages, i, m)
    json_array_foreach(k.seen, n, d) if (json_int(d, "version", -1) == json_int(m, "directory", -2) && !names(k.directories, json_int(d, "version", -1))) json_array_append(k.directories, d);
  if (rc == 0) {
    *out = json_object();
    clock_rfc3339(clock_now(), now);
    json_put(*out, "type", EVIDENCE_TYPE);
    json_put(*out, "message_id", message_id);
    json_put(*out, "server", sum.server);
    json_put(*out, "exported_at", now);
    json_object_set(*out, "messages", k.messages);
    json_object_set(*out, "directories", k.directories);
  }
  json_decref(k.messages);
  json_decref(k.directories);
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
