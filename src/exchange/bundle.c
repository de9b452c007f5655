/* Evidence of one exchange as a JSON bundle: the signed messages, the directory that names their keys, receipts of the ledger. */
#include "exchange/archive.h"
#include "exchange/members.h"

#include <stdlib.h>
#include <string.h>

struct found { struct logged l; unsigned char *content; size_t n; };
struct asking {
  const struct evidence_ask *a;
  struct found *list;                    /* room for `wanted` */
  size_t count, wanted;
  struct { int64_t version; char *text; size_t n; } directories[EVIDENCE_DIRECTORIES];
  size_t directory_count;
  int64_t bytes;
};

static void clear(struct asking *q) {
  for (size_t i = 0; i < q->count; i++) {
    logged_clear(&q->list[i].l);
    free(q->list[i].content);
  }
  for (size_t i = 0; i < q->directory_count; i++) free(q->directories[i].text);
  free(q->list);
  q->list = NULL;
  q->count = q->wanted = q->directory_count = 0;
  q->bytes = 0;
}

int evidence_fits(const struct evidence_ask *a, size_t messages, size_t directories, int64_t bytes, struct err *err) {
  if (directories > EVIDENCE_DIRECTORIES)
    return err_set(err, ERR_LIMIT, "the messages of the id %.200s were signed under more than %d versions of the member directory, as many as a bundle holds: narrow them by time, with from and until", a->message_id,
                   EVIDENCE_DIRECTORIES);
  if (messages <= EVIDENCE_MESSAGES && bytes <= EVIDENCE_BYTES) return 0;
  return err_set(err, ERR_LIMIT, "under the id %.200s there are at least %zu messages (%lld MB), and a bundle holds %d messages and %d MB at most: none are left out, so none are given. Narrow them by time, with from and until",
                 a->message_id, messages, (long long)(bytes >> 20), EVIDENCE_MESSAGES, EVIDENCE_BYTES >> 20);
}

int64_t evidence_until(const struct evidence_ask *a) { return a->until ? a->until : INT64_MAX; }

int evidence_ask_times(struct evidence_ask *a, const char *from, const char *until, struct err *err) {
  if ((from && clock_parse(from, &a->from)) || (until && clock_parse(until, &a->until)))
    return err_set(err, ERR_INVALID, "from and until are moments, such as 2027-03-20T06:30:00Z or 2027-03-20T06:30:00.250Z");
  return a->from < evidence_until(a) ? 0 : err_set(err, ERR_INVALID, "until is not after from");
}

bool evidence_took_part(const char *client, const char *service, const char *asker) {
  size_t n = asker == NULL ? 0 : strlen(asker);
  return asker == NULL || strcmp(client, asker) == 0 || (strncmp(service, asker, n) == 0 && (service[n] == '/' || service[n] == '\0'));
}

static bool directory_there(const struct asking *q, int64_t version) {
  for (size_t i = 0; i < q->directory_count; i++)
    if (q->directories[i].version == version) return true;
  return version <= 0;
}

/* Takes text. */
static int directory_add(struct asking *q, int64_t version, char *text, size_t n, struct err *err) {
  if (text == NULL) return 0;
  if (evidence_fits(q->a, q->count, q->directory_count + 1, q->bytes + (int64_t)n, err) != 0) {
    free(text);
    return -1;
  }
  q->bytes += (int64_t)n;
  q->directories[q->directory_count].version = version;
  q->directories[q->directory_count].text = text;
  q->directories[q->directory_count++].n = n;
  return 0;
}

static int directory_find(struct store_tx *tx, struct asking *q, int64_t version, struct err *err) {
  char *text;
  size_t n;
  if (directory_there(q, version)) return 0;
  return directory_text(tx, version, &text, &n, err) != 0 ? -1 : directory_add(q, version, text, n, err);
}

/* How many there are, before any is read. */
static int count_work(struct store_tx *tx, struct asking *q, struct err *err) {
  int rc;
  struct store_rows *r = store_select(tx, err, "SELECT client, service, content_size, content_kind FROM exchange_message WHERE message_id = ?1 AND at >= ?2 AND at < ?3", "tii", q->a->message_id,
                                      q->a->from, evidence_until(q->a));
  if (r == NULL) return -1;
  while ((rc = store_next(r, err)) == 1) {
    if (!evidence_took_part(store_text(r, 0), store_text(r, 1), q->a->asker)) continue;
    q->wanted++;
    if (store_int(r, 3) != CONTENT_NONE) q->bytes += store_int(r, 2);
  }
  store_done(r);
  if (rc != 0) return -1;
  if (evidence_fits(q->a, q->wanted, 0, q->bytes, err) != 0) return -1;
  q->list = base_alloc((q->wanted + 1) * sizeof *q->list);
  return 0;
}

static int find_work(struct store_tx *tx, void *arg, struct err *err) {
  struct asking *q = arg;
  int rc;
  clear(q);
  if (count_work(tx, q, err) != 0) return -1;
  struct store_rows *r = store_select(tx, err, "SELECT " LOGGED_COLUMNS " FROM exchange_message WHERE message_id = ?1 AND at >= ?2 AND at < ?3 ORDER BY at, part", "tii",
                                      q->a->message_id, q->a->from, evidence_until(q->a));
  if (r == NULL) return -1;
  while ((rc = store_next(r, err)) == 1 && q->count < q->wanted) { /* as many as were counted in this transaction */
    struct found *f = &q->list[q->count];
    *f = (struct found){0};
    if (logged_row(r, &f->l, err) != 0) {
      rc = -1;
      break;
    }
    if (evidence_took_part(f->l.client, f->l.service, q->a->asker)) q->count++;
    else logged_clear(&f->l);
  }
  store_done(r);
  for (size_t i = 0; rc >= 0 && i < q->count; i++)
    if (logged_content(tx, &q->list[i].l, &q->list[i].content, &q->list[i].n, err) != 0 || directory_find(tx, q, q->list[i].l.directory, err) != 0) rc = -1;
  return rc < 0 ? -1 : 0;
}

static void put_base64(json_t *o, const char *key, const void *p, size_t n) {
  char *text = base64_encode(p, n);
  json_put(o, key, text);
  free(text);
}

int logged_json(struct exchange *x, const struct logged *l, const unsigned char *content, size_t n, json_t **out, struct err *err) {
  json_t *receipt = NULL, *leaf = json_object(), *o = json_object();
  char hex[2 * TRUST_SALT + 1], at[32];
  *out = NULL;
  if (trust_receipt(x->ledger, l->leaf_hash, l->at, &receipt, err) != 0) {
    json_decref(leaf);
    json_decref(o);
    return -1;
  }
  char header[LOGGED_HEADER], *payload = logged_payload(l, x->server);
  logged_header(l, header);
  hex_encode(l->salt, TRUST_SALT, hex);
  json_put(leaf, "header", header);
  json_put(leaf, "salt", hex);
  json_put(leaf, "payload", payload);
  json_object_set_new(receipt, "leaf", leaf);
  free(payload);
  clock_rfc3339_ms(l->at, at);
  json_put(o, "part", l->answer ? "answer" : "request");
  json_put(o, "side", l->side == SIDE_CONSUMER ? "consumer" : "producer");
  json_put(o, "at", at);
  json_put(o, "client", l->client);
  json_put(o, "service", l->service);
  json_object_set_new(o, "directory", json_integer(l->directory));
  json_put(o, "keyid", l->keyid);
  put_base64(o, "base", l->base, l->base_size);
  put_base64(o, "signature", l->signature, sizeof l->signature);
  json_object_set_new(o, "content_size", json_integer(l->content_size));
  put_base64(o, "content_digest", l->content_digest, sizeof l->content_digest);
  if (content != NULL) put_base64(o, "content", content, n);
  json_object_set_new(o, "receipt", receipt);
  *out = o;
  return 0;
}

void evidence_key(json_t *message, const struct members *m, const char *keyid) {
  const struct gateway *of;
  const void *key;
  size_t n;
  if (members_key_listed(m, keyid, &of, &key, &n, NULL, NULL) != 0) return;
  put_base64(message, "public_key", key, n);
  json_put(message, "signed_by", of->id);
}

/* The public key of a message, as its directory lists it. */
static void put_key(json_t *message, const struct asking *q, const struct logged *l) {
  for (size_t i = 0; i < q->directory_count; i++) {
    struct members *m = NULL;
    if (q->directories[i].version != l->directory || members_read_key(q->directories[i].text, q->directories[i].n, l->keyid, &m, NULL) != 0) continue;
    evidence_key(message, m, l->keyid);
    members_drop(m);
  }
}

/* A directory that only an archive holds, because the messages before this one went there. */
static int directories_more(struct exchange *x, struct asking *q, struct err *err) {
  for (size_t i = 0; i < q->count; i++) {
    int64_t version = q->list[i].l.directory;
    char *text;
    size_t n;
    if (directory_there(q, version)) continue;
    if (archives_directory(x, version, &text, &n, err) != 0 || directory_add(q, version, text, n, err) != 0) return -1;
  }
  return 0;
}

/* The way of an exchange: asked, taken, answered, received. */
static int step_of(const json_t *message) {
  bool answer = base_same(json_str(message, "part"), "answer"), producer = base_same(json_str(message, "side"), "producer");
  return answer ? 3 - producer : producer;
}

static int by_time(const void *a, const void *b) {
  const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
  int c = strcmp(json_str(x, "at"), json_str(y, "at"));
  return c != 0 ? c : step_of(x) - step_of(y);
}

/* Those of the log and those of archives, in the order of time. */
static json_t *in_order(json_t *all) {
  size_t n = json_array_size(all);
  json_t **list = base_alloc((n + 1) * sizeof *list), *out = json_array();
  for (size_t i = 0; i < n; i++) list[i] = json_array_get(all, i);
  if (n > 1) qsort(list, n, sizeof *list, by_time);
  for (size_t i = 0; i < n; i++) json_array_append(out, list[i]);
  free(list);
  json_decref(all);
  return out;
}

int exchange_evidence(struct exchange *x, const struct evidence_ask *a, json_t **out, struct err *err) {
  struct asking *q = base_alloc(sizeof *q);
  char now[32];
  *out = NULL;
  q->a = a;
  int rc = store_read(x->store, find_work, q, err);
  if (rc == 0) rc = directories_more(x, q, err);
  json_t *o = json_object(), *messages = json_array(), *directories = json_array();
  clock_rfc3339(clock_now(), now);
  json_put(o, "type", EVIDENCE_TYPE);
  json_put(o, "message_id", a->message_id);
  json_put(o, "server", x->server);
  json_put(o, "exported_at", now);
  for (size_t i = 0; rc == 0 && i < q->count; i++) {
    json_t *one;
    rc = logged_json(x, &q->list[i].l, q->list[i].content, q->list[i].n, &one, err);
    if (rc != 0) break;
    put_key(one, q, &q->list[i].l);
    json_array_append_new(messages, one);
  }
  for (size_t i = 0; rc == 0 && i < q->directory_count; i++) {
    json_t *d = json_object();
    json_object_set_new(d, "version", json_integer(q->directories[i].version));
    put_base64(d, "text", q->directories[i].text, q->directories[i].n);
    json_array_append_new(directories, d);
  }
  if (rc == 0) rc = archives_find(x, a, messages, directories, q->bytes, err);
  messages = in_order(messages);
  if (rc == 0 && json_array_size(messages) == 0) rc = err_set(err, ERR_NOT_FOUND, "no message of this id, and of this time, is in the log or in its archives");
  json_object_set_new(o, "messages", messages);
  json_object_set_new(o, "directories", directories);
  clear(q);
  free(q);
  if (rc == 0) *out = o;
  else json_decref(o);
  return rc;
}
