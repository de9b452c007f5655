/* How a certificate stands: for those who hold it, and for everybody. */
#include "certificates/inside.h"

#include <stdlib.h>
#include <string.h>

const char *certificate_status(const struct certificate *row, const struct case_outcome *o) {
  bool known = o && o->tracking && o->data;
  if (row->state == CERTIFICATE_REVOKED) return "revoked";
  if (row->state == CERTIFICATE_REPLACED) return "replaced";
  if (known && o->result == RESULT_OPEN) return "under_review";
  if (known && o->result != RESULT_APPROVED) return "revoked"; /* its record follows in a moment */
  if (known && memcmp(o->decision, row->decision, TRUST_HASH) != 0) return "under_review";
  return row->valid_until && cases_today() > row->valid_until ? "expired" : "valid";
}

static int64_t ended_at(const struct certificate *row, const struct case_outcome *o) {
  return row->state != CERTIFICATE_VALID ? row->ended : o && o->tracking && o->result != RESULT_APPROVED ? o->decided_at : 0;
}

static const char *reason_of(const struct certificate *row) { return row->reason[0] ? row->reason : "overturned"; }

static const char *reason_text(enum lang l, const char *reason) {
  char key[64];
  snprintf(key, sizeof key, "certificate.reason_%s", reason);
  return word(l, key);
}

char *certificate_sentence(struct arena *a, enum lang l, const char *status, const struct certificate *row, const struct case_outcome *o) {
  const char *key = arena_printf(a, "certificate.is_%s%s", status, strcmp(status, "valid") == 0 && !row->valid_until ? "_always" : "");
  const char *until = row->valid_until ? date_long(a, l, (int32_t)row->valid_until) : "", *ended = ended_at(row, o) ? date_long(a, l, day_of(ended_at(row, o))) : "";
  return key ? word_fill(a, l, key, "until", until, "ended", ended, "reason", reason_text(l, reason_of(row)), NULL) : NULL;
}

static void put_day(json_t *out, const char *key, int64_t day, bool any) {
  char text[16];
  if (any) date_iso((int32_t)day, text);
  json_put(out, key, any ? text : NULL);
}

void certificate_put(json_t *out, struct arena *a, enum lang l, const struct certificate *row, const struct case_outcome *o) {
  const char *status = certificate_status(row, o);
  char shown[16];
  certificate_code_show(row->code, shown);
  bool ended = strcmp(status, "revoked") == 0 || strcmp(status, "replaced") == 0;
  json_put(out, "status", status);
  json_put(out, "sentence", certificate_sentence(a, l, status, row, o));
  json_put(out, "code", row->code);
  json_put(out, "code_shown", shown);
  json_put(out, "number", row->number);
  put_day(out, "issued_on", day_of(row->issued), true);
  put_day(out, "valid_until", row->valid_until, row->valid_until != 0);
  put_day(out, "ended_on", day_of(ended_at(row, o)), ended);
  json_put(out, "reason", ended ? reason_of(row) : NULL);
  json_put(out, "reason_text", ended ? reason_text(l, reason_of(row)) : NULL);
  json_put(out, "sha256", row->sha256);
}

/* ---- for everybody ---- */

struct check {
  struct certificates *g;
  struct arena *arena;
  const char *sha256, *code;   /* the file's; typed or named in the file, canonical */
  bool found, same, has_outcome;
  struct certificate row;
  struct case_outcome outcome;
  unsigned char leaf[TRUST_HASH];
  char *header, *payload, salt[65];
};

static int find_row(struct check *k, struct store_tx *tx, bool by_file, struct err *err) {
  struct store_rows *r = by_file ? store_select(tx, err, "SELECT " CERTIFICATE_COLUMNS " FROM certificate WHERE sha256=?1", "t", k->sha256)
                                 : store_select(tx, err, "SELECT " CERTIFICATE_COLUMNS " FROM certificate WHERE code=?1", "t", k->code);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1 && certificate_read(r, k->arena, &k->row)) rc = err_set(err, ERR_LIMIT, "a certificate's record is too large");
  store_done(r);
  k->found = rc == 1;
  return rc < 0 ? -1 : 0;
}

static int find_leaf(struct check *k, struct store_tx *tx, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT header,salt,payload,leaf_hash FROM certificate_change WHERE tracking=?1 AND issue=?2 AND seq=1", "ti", k->row.tracking,
                                      k->row.issue);
  if (!r) return -1;
  int rc = store_next(r, err);
  size_t n = 0;
  if (rc == 1) {
    const void *salt = store_blob(r, 1, &n);
    if (salt && n == TRUST_SALT) hex_encode(salt, n, k->salt);
    const void *leaf = store_blob(r, 3, &n);
    if (leaf && n == TRUST_HASH) memcpy(k->leaf, leaf, n);
    k->header = arena_strdup(k->arena, store_text(r, 0));
    k->payload = arena_strdup(k->arena, store_text(r, 2));
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int check_work(struct store_tx *tx, void *arg, struct err *err) {
  struct check *k = arg;
  k->found = k->same = k->has_outcome = false;
  if (k->sha256 && find_row(k, tx, true, err)) return -1;
  k->same = k->found;
  if (!k->found && k->code && find_row(k, tx, false, err)) return -1;
  if (!k->found) return 0;
  if (cases_outcome(k->g->o.cases, tx, k->arena, NULL, k->row.tracking, &k->outcome, err)) return -1;
  k->has_outcome = true;
  return find_leaf(k, tx, err);
}

static json_t *proof_of(struct check *k) {
  json_t *proof = json_object(), *receipt = NULL, *leaf;
  struct err err;
  if (!k->header || !k->payload || trust_receipt(k->g->trust, k->leaf, k->row.issued, &receipt, &err)) return proof;
  leaf = json_pack("{s:s,s:s,s:s}", "header", k->header, "salt", k->salt, "payload", k->payload);
  json_object_set(receipt, "leaf", leaf);
  json_object_set_new(proof, "leaf", leaf);
  json_object_set_new(proof, "receipt", receipt);
  return proof;
}

static void put_public(struct check *k, enum lang l, json_t *o) {
  const struct certificate *row = &k->row;
  const struct directory *d = pack_directory(cases_pack(k->g->o.cases));
  const struct organisation *by = directory_organisation(d, directory_find_organisation(d, row->organisation));
  bool altered = k->sha256 && !k->same;
  certificate_put(o, k->arena, l, row, &k->outcome);
  if (altered) {
    json_put(o, "status", "altered");
    json_put(o, "sentence", word(l, "certificate.is_altered"));
  }
  json_put(o, "title", l == LANG_FA ? row->title_fa : row->title_en);
  json_put(o, "service", row->service);
  json_put(o, "organisation", row->organisation);
  json_put(o, "organisation_name", by ? organisation_name(by, l) : row->organisation);
  json_put(o, "holder", k->outcome.holder_masked[0] ? k->outcome.holder_masked : NULL);
  json_put(o, "file", k->sha256 ? k->same ? "same" : "differs" : NULL);
  json_object_set_new(o, "proof", proof_of(k));
}

static int check(struct check *k, enum lang l, json_t **out, struct err *err) {
  k->arena = arena_new(2 * 1024 * 1024);
  int rc = store_read(k->g->store, check_work, k, err);
  if (rc == 0) {
    *out = json_object();
    if (k->found) put_public(k, l, *out);
    else {
      json_put(*out, "status", "unknown");
      json_put(*out, "sentence", word(l, k->sha256 ? "certificate.is_unknown_file" : "certificate.is_unknown"));
    }
  }
  arena_free(k->arena);
  return rc;
}

int certificates_check(struct certificates *g, const char *typed, enum lang l, json_t **out, struct err *err) {
  char code[CERTIFICATE_CODE];
  struct check k = {.g = g, .code = certificate_code_parse(typed, code) == 0 ? code : NULL};
  return check(&k, l, out, err);
}

int certificates_check_file(struct certificates *g, const void *file, size_t n, const char *typed, enum lang l, json_t **out, struct err *err) {
  char code[CERTIFICATE_CODE], hex[65];
  unsigned char hash[32];
  if (n > CERTIFICATE_FILE_MOST) return err_set(err, ERR_TOO_LARGE, "a certificate is never this large");
  sha256(file, n, hash);
  hex_encode(hash, 32, hex);
  bool named = (typed && certificate_code_parse(typed, code) == 0) || certificate_code_in(file, n, code);
  struct check k = {.g = g, .sha256 = hex, .code = named ? code : NULL};
  return check(&k, l, out, err);
}
