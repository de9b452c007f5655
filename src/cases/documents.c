#include "cases/private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHUNK (256 * 1024)
#define MOST (10 * 1024 * 1024)

enum { NAME_MOST = 200, EXPIRE_MOST = 64 };

/* What the bytes say, not what the name says. A file may be something else besides (a PDF with a page of HTML behind it): that is why it is
 * always served as what was found here, to be saved and never to be shown by a browser. */
static const struct kind { const char *name, *media_type, *end; } kinds[] = {
  {"pdf", "application/pdf", ".pdf"}, {"jpeg", "image/jpeg", ".jpg"}, {"png", "image/png", ".png"}};

static const struct kind *sniff(const unsigned char *p, size_t n) {
  if (n > 8 && memcmp(p, "%PDF-", 5) == 0 && p[5] >= '1' && p[5] <= '9' && p[6] == '.') return &kinds[0];
  if (n > 3 && p[0] == 0xff && p[1] == 0xd8 && p[2] == 0xff && p[3] >= 0xc0 && p[3] < 0xff) return &kinds[1];
  if (n > 24 && memcmp(p, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16) == 0) return &kinds[2];
  return NULL;
}

static const struct kind *kind_of(const char *media_type) {
  for (size_t i = 0; i < BASE_COUNT(kinds); i++)
    if (strcmp(kinds[i].media_type, media_type) == 0) return &kinds[i];
  return &kinds[0];
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

static int refuse(struct case_document *out, enum err_code code, const char *word_key, const char *message, struct err *err) {
  out->detail = word_key;
  return err_set(err, code, "%s", message);
}

/* Before it is kept. Where nobody can look at it now, it is not taken. */
static int scan(struct cases *c, const void *p, size_t n, struct case_document *out, struct err *err) {
  char found[80] = "";
  int rc = c->o.scan ? c->o.scan(c->o.scan_ctx, p, n, found, err) : 0;
  if (rc == 0) return 0;
  if (rc < 0) {
    log_write(LOG_ERROR, "documents", "a document was not taken, for it could not be scanned: %s", err ? err->message : "");
    return refuse(out, ERR_UNAVAILABLE, "case.document_unscanned", "the document could not be scanned: try again later", err);
  }
  log_write(LOG_WARN, "documents", "a document was refused: %s was found in it", found);
  return refuse(out, ERR_INVALID, "case.document_infected", "something harmful was found in the document", err);
}

int cases_document_put(struct cases *c, const struct actor *who, const void *p, size_t n, const char *filename, struct case_document *out, struct err *err) {
  unsigned char hash[32], raw[16];
  *out = (struct case_document){.detail = NULL};
  if (who->kind == ACTOR_NOBODY) return refuse(out, ERR_UNAUTHENTICATED, "case.document_sign_in", "sign in first", err);
  if (n == 0) return refuse(out, ERR_INVALID, "case.document_empty", "the document is empty", err);
  if (n > MOST) return refuse(out, ERR_TOO_LARGE, "case.document_large", "a document has at most 10 MiB", err);
  const struct kind *kind = sniff(p, n);
  if (!kind) return refuse(out, ERR_UNSUPPORTED, "case.document_type", "only PDF, JPEG and PNG documents are taken", err);
  if (scan(c, p, n, out, err)) return -1;
  sha256(p, n, hash);
  hex_encode(hash, 32, out->sha256);
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, out->id);
  out->media_type = kind->media_type;
  out->size = (int64_t)n;
  char name[NAME_MOST + 1] = "";
  if (filename) snprintf(name, sizeof name, "%.200s", filename);
  for (size_t length = strlen(name); length && !utf8_valid(name, length); length--) name[length - 1] = 0; /* cut within a letter */
  struct put k = {.p = p, .n = n, .filename = name, .person = who->kind == ACTOR_CITIZEN ? who->pair : who->person, .out = out};
  return store_write(c->store, STORE_FRONT, put_work, &k, err);
}

struct get {
  struct cases *c;
  const struct actor *who;
  const char *id;
  struct buf *b;
  struct case_file *out;
  char tracking[TRACKING_SIZE];
  const char *right; /* of somebody of an office: the look is recorded */
};

static bool named_in(const json_t *ids, const char *id) {
  size_t i;
  const json_t *v;
  json_array_foreach(ids, i, v) if (base_same(json_string_value(v), id)) return true;
  return false;
}

/* Is the document among the answers that this inquiry shows to whom it asks? */
static bool shown_by(const struct case_row *child, const char *id) {
  json_t *data = child->data && child->def ? json_loads(child->data, 0, NULL) : NULL;
  bool shown = false;
  for (size_t i = 0; data && i < child->def->inquiry_count; i++) {
    const struct inquiry *q = &child->def->inquiries[i];
    for (size_t k = 0; strcmp(q->name, child->inquiry) == 0 && k < q->show_count; k++) shown = shown || named_in(json_object_get(data, q->shows[k]), id);
  }
  json_decref(data);
  return shown;
}

/* 1: an organisation of the caller's is asked about the case, and this document belongs to what it is asked to see. */
static int asked_to_see(struct get *k, struct store_tx *tx, const char *parent, struct err *err) {
  char children[50][TRACKING_SIZE];
  int count = 0, rc;
  if (k->who->kind != ACTOR_STAFF) return 0;
  struct store_rows *r = store_select(tx, err, "SELECT tracking FROM case_child WHERE parent=?1 ORDER BY tracking LIMIT 50", "t", parent);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) snprintf(children[count++], TRACKING_SIZE, "%s", store_text(r, 0));
  store_done(r);
  for (int i = 0; rc == 0 && i < count; i++) {
    struct arena *a = arena_new(1024 * 1024);
    struct case_row child;
    rc = case_load(k->c, tx, a, children[i], &child, err);
    bool shown = rc == 0 && case_right_of(k->who, &child) == CASE_INQUIRED && shown_by(&child, k->id);
    arena_free(a);
    if (!shown) continue;
    memcpy(k->tracking, children[i], TRACKING_SIZE);
    k->right = "inquired";
    return 1;
  }
  return rc;
}

/* What came with the answer to an inquiry is for who answered and for the office that asked: k->right, NULL for others. */
static int came_with_reply(struct get *k, struct store_tx *tx, struct arena *a, const struct case_row *child, enum case_right right, struct err *err) {
  struct case_row parent;
  k->right = right == CASE_INQUIRED ? "inquired" : NULL;
  if (k->right) return 0;
  if (case_load(k->c, tx, a, child->parent, &parent, err)) return err->code == ERR_NOT_FOUND ? 0 : -1;
  right = case_right_of(k->who, &parent);
  k->right = right == CASE_STAFF ? "staff" : right == CASE_AUDITOR ? "auditor" : NULL;
  snprintf(k->tracking, sizeof k->tracking, "%s", parent.tracking);
  return 0;
}

/* Whoever may read the case that it belongs to; before it belongs to one, the one who sent it. */
static int may_read(struct get *k, struct store_tx *tx, const char *person, const char *tracking, bool internal, struct err *err) {
  const char *mine = k->who->kind == ACTOR_CITIZEN ? k->who->pair : k->who->person;
  if (k->who->kind != ACTOR_NOBODY && mine[0] && (!tracking[0] || k->who->kind == ACTOR_CITIZEN) && strcmp(mine, person) == 0) return 0;
  if (!tracking[0]) return err_set(err, ERR_NOT_FOUND, "no such document");
  struct arena *a = arena_new(1024 * 1024);
  struct case_row row;
  int rc = case_load(k->c, tx, a, tracking, &row, err);
  if (rc == 0) rc = case_at_counter(tx, k->who, &row, err);
  enum case_right right = rc ? CASE_PUBLIC : case_right_of(k->who, &row);
  snprintf(k->tracking, sizeof k->tracking, "%s", tracking);
  bool replied = rc == 0 && case_is_inquiry(&row);
  if (replied) rc = came_with_reply(k, tx, a, &row, right, err);
  arena_free(a);
  if (replied) return rc < 0 ? -1 : k->right ? 0 : err_set(err, ERR_NOT_FOUND, "no such document");
  if (rc) return err->code == ERR_NOT_FOUND ? err_set(err, ERR_NOT_FOUND, "no such document") : -1;
  k->right = right == CASE_STAFF ? "staff" : right == CASE_AUDITOR ? "auditor" : right == CASE_CONSENT && !internal ? "consent" : NULL;
  if (!k->right && right == CASE_CITIZEN && !internal && k->who->acting_as[0]) k->right = "mandate";
  if (k->right || (right == CASE_CITIZEN && !internal)) return 0;
  int asked = internal ? 0 : asked_to_see(k, tx, tracking, err);
  return asked < 0 ? -1 : asked ? 0 : err_set(err, ERR_NOT_FOUND, "no such document");
}

static int get_work(struct store_tx *tx, void *arg, struct err *err) {
  struct get *k = arg;
  char sha[65] = "", person[80] = "", tracking[TRACKING_SIZE] = "";
  int64_t internal = 0;
  buf_clear(k->b);
  k->right = NULL;
  struct store_rows *r = store_select(tx, err, "SELECT sha256,media_type,person,tracking,filename FROM document WHERE id=?1", "t", k->id);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(sha, sizeof sha, "%s", store_text(r, 0));
    snprintf(k->out->media_type, sizeof k->out->media_type, "%s", store_text(r, 1));
    snprintf(person, sizeof person, "%s", store_text(r, 2));
    snprintf(tracking, sizeof tracking, "%s", store_text(r, 3));
    snprintf(k->out->name, sizeof k->out->name, "%.200s", store_text(r, 4));
  }
  store_done(r);
  if (rc < 0) return -1;
  if (rc == 0) return err_set(err, ERR_NOT_FOUND, "no such document");
  if (store_value(tx, &internal, 0, err, "SELECT COUNT(*) FROM document_internal WHERE id=?1", "t", k->id) ||
      may_read(k, tx, person, tracking, internal > 0, err))
    return -1;
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

/* The name that it was sent with, ending as what it is: a page of HTML called a PDF is saved as one. */
static void end_name(struct case_file *f) {
  const char *end = kind_of(f->media_type)->end;
  size_t n = strlen(f->name), m = strlen(end);
  bool right = n > m && strcasecmp(f->name + n - m, end) == 0;
  if (!right && strcmp(end, ".jpg") == 0) right = n > 5 && strcasecmp(f->name + n - 5, ".jpeg") == 0;
  if (!n) snprintf(f->name, sizeof f->name, "document%s", end);
  else if (!right && n + m < sizeof f->name) memcpy(f->name + n, end, m + 1);
}

int cases_document_get(struct cases *c, const struct actor *who, const char *id, struct case_file *out, struct err *err) {
  struct buf b = {0};
  struct get k = {.c = c, .who = who, .id = id, .b = &b, .out = out};
  *out = (struct case_file){.data = NULL};
  if (store_read(c->store, get_work, &k, err) || (k.right && cases_look(c, who, k.tracking, k.right, NULL, NULL, err))) {
    buf_free(&b);
    return -1;
  }
  end_name(out);
  out->size = b.len;
  out->data = buf_take(&b);
  return 0;
}

/* ---- documents that are named belong to the case from then on ---- */

static int bind_one(struct store_tx *tx, const char *person, const char *tracking, const char *id, const char *accept, struct err *err) {
  char media_type[64] = "";
  int n = store_exec(tx, err, "UPDATE document SET tracking=?1 WHERE id=?2 AND person=?3 AND (tracking='' OR tracking=?1)", "ttt", tracking, id, person);
  if (n < 0) return -1;
  if (n == 0) return err_set(err, ERR_INVALID, "a document named here is not yours, or belongs to another case");
  struct store_rows *r = accept ? store_select(tx, err, "SELECT media_type FROM document WHERE id=?1", "t", id) : NULL;
  if (!r) return accept ? -1 : 0;
  int rc = store_next(r, err);
  if (rc == 1) snprintf(media_type, sizeof media_type, "%s", store_text(r, 0));
  store_done(r);
  if (rc < 0) return -1;
  return strstr(accept, kind_of(media_type)->name) ? 0 : err_set(err, ERR_INVALID, "a document named here is of a kind that this question does not take");
}

int case_bind_ids(struct store_tx *tx, const json_t *ids, const char *accept, const struct actor *who, const char *tracking, struct err *err) {
  const char *person = who->kind == ACTOR_CITIZEN ? who->pair : who->person;
  for (size_t n = 0; n < json_array_size(ids); n++) {
    const char *id = json_string_value(json_array_get(ids, n));
    if (!id || who->kind == ACTOR_NOBODY || !person[0]) return err_set(err, ERR_INVALID, "documents are sent by somebody who has signed in");
    if (bind_one(tx, person, tracking, id, accept, err)) return -1;
  }
  return 0;
}

int case_bind_document(struct store_tx *tx, const struct actor *who, const char *tracking, const char *id, struct err *err) {
  return bind_one(tx, who->kind == ACTOR_CITIZEN ? who->pair : who->person, tracking, id, NULL, err);
}

int case_bind_documents(struct store_tx *tx, struct field *const *fields, size_t count, const json_t *data, const struct actor *who, const char *tracking,
                        struct err *err) {
  for (size_t i = 0; i < count; i++)
    if (fields[i]->type == FIELD_DOCUMENT && case_bind_ids(tx, json_object_get(data, fields[i]->name), fields[i]->accept, who, tracking, err)) return -1;
  return 0;
}

int case_bind_internal(struct store_tx *tx, const json_t *ids, const struct actor *who, const char *tracking, struct err *err) {
  if (case_bind_ids(tx, ids, NULL, who, tracking, err)) return -1;
  for (size_t n = 0; n < json_array_size(ids); n++)
    if (store_put(tx, err, "INSERT INTO document_internal (id,tracking) VALUES (?1,?2) ON CONFLICT DO NOTHING", "tt",
                  json_string_value(json_array_get(ids, n)), tracking))
      return -1;
  return 0;
}

json_t *case_documents(struct store_tx *tx, const char *tracking, bool internal, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT id,filename,media_type,size,at,hidden FROM (SELECT document.id,filename,media_type,size,at,document_internal.id AS hidden FROM document "
    "LEFT JOIN document_internal ON document_internal.id=document.id WHERE document.tracking=?1 UNION ALL "
    "SELECT document.id,filename,media_type,size,at,document.id FROM case_child JOIN document ON document.tracking=case_child.tracking WHERE case_child.parent=?1) AS d "
    "ORDER BY at,id LIMIT 500", "t", tracking);
  json_t *list = r ? json_array() : NULL;
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) {
    char at[32];
    const char *hidden = store_text(r, 5);
    if (hidden && hidden[0] && !internal) continue;
    json_t *o = json_object();
    clock_rfc3339_ms(store_int(r, 4), at);
    json_put(o, "id", store_text(r, 0));
    json_put(o, "name", store_text(r, 1));
    json_put(o, "media_type", store_text(r, 2));
    json_object_set_new(o, "size", json_integer(store_int(r, 3)));
    json_put(o, "at", at);
    json_array_append_new(list, o);
  }
  store_done(r);
  if (rc == 0) return list;
  json_decref(list);
  return NULL;
}

/* ---- what nobody names any more ---- */

/* Bytes are kept once for equal documents: those that another one still has stay. */
static int drop_bytes(struct store_tx *tx, const char *sha256_hex, struct err *err) {
  return store_put(tx, err, "DELETE FROM document_chunk WHERE sha256=?1 AND NOT EXISTS (SELECT 1 FROM document WHERE document.sha256=?1)", "t", sha256_hex);
}

int case_forget_replied(struct store_tx *tx, const char *parent, struct err *err) {
  char children[200][TRACKING_SIZE];
  int n = 0, rc;
  struct store_rows *r = store_select(tx, err, "SELECT tracking FROM case_child WHERE parent=?1 ORDER BY tracking LIMIT 200", "t", parent);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) snprintf(children[n++], TRACKING_SIZE, "%s", store_text(r, 0));
  store_done(r);
  for (int i = 0; i < n && rc == 0; i++) rc = case_forget_documents(tx, children[i], err);
  return rc;
}

int case_forget_documents(struct store_tx *tx, const char *tracking, struct err *err) {
  if (store_put(tx, err, "DELETE FROM document_chunk WHERE sha256 IN (SELECT sha256 FROM document WHERE tracking=?1) "
                "AND sha256 NOT IN (SELECT sha256 FROM document WHERE tracking<>?1)", "t", tracking) ||
      store_put(tx, err, "DELETE FROM document_internal WHERE tracking=?1", "t", tracking) || case_news_forget(tx, tracking, err))
    return -1;
  return store_put(tx, err, "DELETE FROM document WHERE tracking=?1", "t", tracking);
}

int case_expire_documents(struct store_tx *tx, void *arg, struct err *err) {
  char ids[EXPIRE_MOST][40], hashes[EXPIRE_MOST][65];
  int count = 0, rc;
  struct store_rows *r = store_select(tx, err,
    "SELECT id,sha256 FROM document WHERE tracking='' AND at<?1 AND NOT EXISTS "
    "(SELECT 1 FROM draft WHERE draft.owner=document.person AND draft.data LIKE '%' || document.id || '%') ORDER BY at LIMIT ?2", "ii",
    clock_now() - CASES_DOCUMENT_DAYS * INT64_C(86400000), (int64_t)EXPIRE_MOST);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    snprintf(ids[count], sizeof ids[0], "%s", store_text(r, 0));
    snprintf(hashes[count++], sizeof hashes[0], "%s", store_text(r, 1));
  }
  store_done(r);
  for (int i = 0; rc == 0 && i < count; i++) {
    int n = store_exec(tx, err, "DELETE FROM document WHERE id=?1 AND tracking=''", "t", ids[i]);
    rc = n < 0 || (n && drop_bytes(tx, hashes[i], err)) ? -1 : 0;
  }
  return rc;
}
