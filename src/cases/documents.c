#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK (256 * 1024)
#define MOST (10 * 1024 * 1024)

/* What the bytes say, not what the name says. */
static const char *sniff(const unsigned char *p, size_t n) {
  if (n > 5 && memcmp(p, "%PDF-", 5) == 0) return "application/pdf";
  if (n > 3 && p[0] == 0xff && p[1] == 0xd8 && p[2] == 0xff) return "image/jpeg";
  if (n > 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0) return "image/png";
  return NULL;
}

struct put {
  const unsigned char *p;
  size_t n;
  const char *filename, *person;
  struct case_document *out;
};

static int put_work(struct store_tx *tx, void *arg, struct err *err) {
  struct put *k = arg;
  if (store_put(tx, err, "INSERT INTO document (id,sha256,size,media_type,filename,person,tracking,at) VALUES (?1,?2,?3,?4,?5,?6,'',?7)", "ttittti",
                k->out->id, k->out->sha256, k->out->size, k->out->media_type, k->filename, k->person, clock_now()))
    return -1;
  for (size_t at = 0, n = 0; at < k->n; at += CHUNK, n++) {
    size_t size = k->n - at < CHUNK ? k->n - at : CHUNK;
    /* Touched when it is there already, so that an erasure which does not see this document yet meets it here. */
    if (store_put(tx, err, "INSERT INTO document_chunk (sha256,n,bytes) VALUES (?1,?2,?3) ON CONFLICT (sha256,n) DO UPDATE SET sha256=excluded.sha256", "tib",
                  k->out->sha256, (int64_t)n, (const void *)(k->p + at), size))
      return -1;
  }
  return 0;
}

int cases_document_put(struct cases *c, const struct actor *who, const void *p, size_t n, const char *filename, struct case_document *out, struct err *err) {
  unsigned char hash[32], raw[16];
  if (who->kind == ACTOR_NOBODY) return err_set(err, ERR_UNAUTHENTICATED, "sign in first");
  if (n > MOST) return err_set(err, ERR_TOO_LARGE, "a document has at most 10 MiB");
  out->media_type = sniff(p, n);
  if (!out->media_type) return err_set(err, ERR_UNSUPPORTED, "only PDF, JPEG and PNG documents are taken");
  sha256(p, n, hash);
  hex_encode(hash, 32, out->sha256);
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, out->id);
  out->size = (int64_t)n;
  char name[201] = "";
  if (filename) snprintf(name, sizeof name, "%.200s", filename);
  if (!utf8_valid(name, strlen(name))) name[0] = 0;
  struct put k = {.p = p, .n = n, .filename = name, .person = who->kind == ACTOR_CITIZEN ? who->pair : who->person, .out = out};
  return store_write(c->store, STORE_FRONT, put_work, &k, err);
}

struct get {
  struct cases *c;
  const struct actor *who;
  const char *id;
  struct buf *b;
  char *media_type;
  char tracking[TRACKING_SIZE];
  const char *right; /* of somebody of an office: the look is recorded */
};

/* The one who sent it, or whoever may read the case that it belongs to. */
static int may_read(struct get *k, struct store_tx *tx, const char *person, const char *tracking, struct err *err) {
  const char *mine = k->who->kind == ACTOR_CITIZEN ? k->who->pair : k->who->person;
  bool agent = k->who->kind == ACTOR_STAFF && tracking[0]; /* what an agent sent is the citizen's once it belongs to a case */
  if (k->who->kind != ACTOR_NOBODY && !agent && strcmp(mine, person) == 0) return 0;
  if (!tracking[0]) return err_set(err, ERR_NOT_FOUND, "no such document");
  struct arena *a = arena_new(1024 * 1024);
  struct case_row row;
  int rc = case_load(k->c, tx, a, tracking, &row, err);
  if (rc == 0) rc = case_at_counter(tx, k->who, &row, err);
  enum case_right right = rc ? CASE_PUBLIC : case_right_of(k->who, &row);
  snprintf(k->tracking, sizeof k->tracking, "%s", tracking);
  k->right = right == CASE_STAFF ? "staff" : right == CASE_AUDITOR ? "auditor" : right == CASE_CONSENT ? "consent" : NULL;
  arena_free(a);
  return rc == 0 && (right == CASE_STAFF || right == CASE_CITIZEN || right == CASE_AUDITOR || right == CASE_CONSENT) ? 0 : err_set(err, ERR_NOT_FOUND, "no such document");
}

static int get_work(struct store_tx *tx, void *arg, struct err *err) {
  struct get *k = arg;
  char sha[65] = "", person[80] = "", tracking[TRACKING_SIZE] = "";
  buf_clear(k->b);
  struct store_rows *r = store_select(tx, err, "SELECT sha256,media_type,person,tracking FROM document WHERE id=?1", "t", k->id);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(sha, sizeof sha, "%s", store_text(r, 0));
    snprintf(k->media_type, 64, "%s", store_text(r, 1));
    snprintf(person, sizeof person, "%s", store_text(r, 2));
    snprintf(tracking, sizeof tracking, "%s", store_text(r, 3));
  }
  store_done(r);
  if (rc < 0) return -1;
  if (rc == 0) return err_set(err, ERR_NOT_FOUND, "no such document");
  if (may_read(k, tx, person, tracking, err)) return -1;
  r = store_select(tx, err, "SELECT bytes FROM document_chunk WHERE sha256=?1 ORDER BY n", "t", sha);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    size_t n = 0;
    const void *p = store_blob(r, 0, &n);
    buf_add(k->b, p, n);
  }
  store_done(r);
  return rc;
}

int cases_document_get(struct cases *c, const struct actor *who, const char *id, char **data, size_t *n, char media_type[64], struct err *err) {
  struct buf b = {0};
  struct get k = {.c = c, .who = who, .id = id, .b = &b, .media_type = media_type};
  if (store_read(c->store, get_work, &k, err) || (k.right && cases_look(c, who, k.tracking, k.right, NULL, NULL, err))) {
    buf_free(&b);
    return -1;
  }
  *n = b.len;
  *data = buf_take(&b);
  return 0;
}

/* ---- documents named in answers belong to the case from then on ---- */

static int bind_one(struct store_tx *tx, const char *person, const char *tracking, const char *id, struct err *err) {
  int n = store_exec(tx, err, "UPDATE document SET tracking=?1 WHERE id=?2 AND person=?3 AND (tracking='' OR tracking=?1)", "ttt", tracking, id, person);
  if (n < 0) return -1;
  return n ? 0 : err_set(err, ERR_INVALID, "a document named here is not yours, or belongs to another case");
}

int case_bind_document(struct store_tx *tx, const struct actor *who, const char *tracking, const char *id, struct err *err) {
  return bind_one(tx, who->kind == ACTOR_CITIZEN ? who->pair : who->person, tracking, id, err);
}

int case_bind_documents(struct store_tx *tx, struct field *const *fields, size_t count, const json_t *data, const struct actor *who, const char *tracking,
                        struct err *err) {
  const char *person = who->kind == ACTOR_CITIZEN ? who->pair : who->person;
  for (size_t i = 0; i < count; i++) {
    const json_t *v = fields[i]->type == FIELD_DOCUMENT ? json_object_get(data, fields[i]->name) : NULL;
    for (size_t n = 0; n < json_array_size(v); n++) {
      const char *id = json_string_value(json_array_get(v, n));
      if (!id || who->kind == ACTOR_NOBODY || !person[0]) return err_set(err, ERR_INVALID, "documents are sent by somebody who has signed in");
      if (bind_one(tx, person, tracking, id, err)) return -1;
    }
  }
  return 0;
}
