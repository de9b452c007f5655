/* For the citizen and the office: the papers of a case and their files. */
#include "certificates/inside.h"

#include <stdlib.h>
#include <string.h>

struct reading {
  struct certificates *g;
  const struct actor *who;
  const char *tracking;
  enum lang lang;
  int64_t issue;                     /* whose file is wanted */
  struct arena *arena;
  struct case_outcome outcome;
  struct certificate newest;
  bool any;
  json_t *items;
  char *pdf;
  size_t size;
  struct certificate row;
};

static bool sees(const struct case_outcome *o) { return o->right == CASE_CITIZEN || o->right == CASE_STAFF || o->right == CASE_AUDITOR; }

static int right_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  if (cases_outcome(k->g->o.cases, tx, k->arena, k->who, k->tracking, &k->outcome, err)) return -1;
  if (k->outcome.right == CASE_PUBLIC || k->outcome.right == CASE_INQUIRED) return err_set(err, ERR_NOT_FOUND, "no such certificate");
  return 0;
}

/* The right first, then what the case's end asks for: a case from before, or one whose effect is still on its way. */
static int open_reading(struct reading *k, struct err *err) {
  k->arena = arena_new(4 * 1024 * 1024);
  if (store_read(k->g->store, right_work, k, err)) return -1;
  return certificates_settle(k->g, k->tracking, err);
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  json_decref(k->items);
  k->items = json_array();
  k->any = false;
  if (cases_outcome(k->g->o.cases, tx, k->arena, k->who, k->tracking, &k->outcome, err)) return -1;
  struct store_rows *r = store_select(tx, err, "SELECT " CERTIFICATE_COLUMNS ",(SELECT length(bytes) FROM certificate_file f WHERE f.sha256=certificate.sha256) "
                                      "FROM certificate WHERE tracking=?1 ORDER BY issue DESC LIMIT 100", "t", k->tracking);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    struct certificate row;
    if (certificate_read(r, k->arena, &row)) {
      rc = err_set(err, ERR_LIMIT, "the certificates of a case are too many");
      break;
    }
    if (!k->any) k->newest = row;
    k->any = true;
    json_t *o = json_object();
    certificate_put(o, k->arena, k->lang, &row, &k->outcome);
    json_object_set_new(o, "issue", json_integer(row.issue));
    json_put(o, "address", certificate_address(k->g, k->arena, row.code));
    json_object_set_new(o, "size", store_null(r, 16) ? json_null() : json_integer(store_int(r, 16)));
    json_array_append_new(k->items, o);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int certificates_of(struct certificates *g, const struct actor *who, const char *tracking, enum lang l, json_t **out, struct err *err) {
  struct reading k = {.g = g, .who = who, .tracking = tracking, .lang = l};
  int rc = open_reading(&k, err);
  if (rc == 0) rc = store_read(g->store, list_work, &k, err);
  if (rc == 0 && !k.any) rc = err_set(err, ERR_NOT_FOUND, "no certificate");
  const char *text = NULL;
  if (rc == 0 && sees(&k.outcome) && k.outcome.data && k.outcome.def) rc = certificate_text(g, k.arena, &k.outcome, &k.newest, l, &text, err);
  if (rc == 0) {
    *out = json_object();
    json_put(*out, "tracking", tracking);
    json_put(*out, "right", cases_right_name(who, k.outcome.right));
    json_object_set_new(*out, "may_change", json_boolean(k.outcome.heads && k.newest.state == CERTIFICATE_VALID));
    json_put(*out, "title", l == LANG_FA ? k.newest.title_fa : k.newest.title_en);
    json_put(*out, "text", text);
    json_object_set(*out, "items", k.items);
  }
  json_decref(k.items);
  arena_free(k.arena);
  return rc;
}

static int file_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  size_t n = 0;
  free(k->pdf);
  k->pdf = NULL;
  struct store_rows *r = store_select(tx, err, "SELECT " CERTIFICATE_COLUMNS ",(SELECT bytes FROM certificate_file f WHERE f.sha256=certificate.sha256) FROM certificate "
                                      "WHERE tracking=?1 AND (issue=?2 OR ?2=0) ORDER BY issue DESC LIMIT 1", "ti", k->tracking, k->issue);
  if (!r) return -1;
  int rc = store_next(r, err);
  const void *bytes = rc == 1 && !store_null(r, 16) ? store_blob(r, 16, &n) : NULL;
  if (bytes) {
    if (certificate_read(r, k->arena, &k->row)) rc = err_set(err, ERR_LIMIT, "a certificate's record is too large");
    else {
      k->pdf = base_alloc(n ? n : 1);
      memcpy(k->pdf, bytes, n);
      k->size = n;
    }
  }
  store_done(r);
  if (rc < 0) return -1;
  return k->pdf ? 0 : err_set(err, ERR_NOT_FOUND, "no such certificate");
}

int certificates_file(struct certificates *g, const struct actor *who, const char *tracking, int64_t issue, char **pdf, size_t *n, char name[64], struct err *err) {
  struct reading k = {.g = g, .who = who, .tracking = tracking, .issue = issue};
  int rc = open_reading(&k, err);
  if (rc == 0 && !sees(&k.outcome)) rc = err_set(err, ERR_FORBIDDEN, "for those who see the whole case");
  if (rc == 0) rc = store_read(g->store, file_work, &k, err);
  const char *right = rc ? NULL : cases_right_name(who, k.outcome.right);
  if (rc == 0 && strcmp(right, "citizen") != 0) rc = cases_look(g->o.cases, who, tracking, right, NULL, NULL, err);
  if (rc == 0) {
    *pdf = k.pdf;
    *n = k.size;
    k.pdf = NULL;
    snprintf(name, 64, "certificate-%s-%lld.pdf", k.row.tracking, (long long)k.row.issue);
  }
  free(k.pdf);
  arena_free(k.arena);
  return rc;
}
