/* For `chapar ledger verify`: digests from the changes, records against changes and files. */
#include "certificates/inside.h"

#include <stdlib.h>
#include <string.h>

struct digest {
  const char *tracking;
  int64_t issue, seq;
  unsigned char *out;
  int answer;
};

static int digest_work(struct store_tx *tx, void *arg, struct err *err) {
  struct digest *k = arg;
  k->answer = -1;
  struct store_rows *r = store_select(tx, err, "SELECT salt,payload FROM certificate_change WHERE tracking=?1 AND issue=?2 AND seq=?3", "tii", k->tracking, k->issue, k->seq);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    size_t n = 0;
    const void *salt = store_blob(r, 0, &n);
    const char *payload = store_text(r, 1);
    unsigned char leaf[TRUST_HASH];
    k->answer = salt && n == TRUST_SALT && payload ? 0 : 1;
    if (k->answer == 0) trust_leaf("", salt, payload, strlen(payload), k->out, leaf);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int certificates_leaf_digest(struct certificates *g, const char *header, unsigned char digest[TRUST_HASH]) {
  json_t *h = json_loads(header, 0, NULL);
  struct digest k = {.tracking = json_str(h, "case"), .issue = json_int(h, "certificate", 0), .seq = json_int(h, "seq", 0), .out = digest};
  int rc = k.tracking ? store_read(g->store, digest_work, &k, NULL) : -1;
  json_decref(h);
  return rc ? -1 : k.answer;
}

/* ---- records ---- */

struct verify {
  void (*report)(void *ctx, const char *line);
  void *ctx;
  char after[TRACKING_SIZE];
  int64_t issue, faults, seen;
};

static void fault(struct verify *k, const char *what) {
  char *line = base_printf("certificate %lld of case %s: %s", (long long)k->issue, k->after, what);
  k->report(k->ctx, line);
  free(line);
  k->faults++;
}

static void compare(struct verify *k, const struct store_rows *r) {
  json_t *issued = store_null(r, 5) ? NULL : json_loads(store_text(r, 5), 0, NULL), *ended = store_null(r, 6) ? NULL : json_loads(store_text(r, 6), 0, NULL);
  const char *sha = store_text(r, 3);
  size_t n = 0;
  int64_t state = store_int(r, 2), changes = store_int(r, 8);
  if (!issued || !base_same(json_str(issued, "sha256"), sha)) fault(k, "its issue does not name this file");
  if (issued && !base_same(json_str(issued, "code"), store_text(r, 4))) fault(k, "its issue names another code");
  char until[16] = "";
  if (store_int(r, 10)) date_iso((int32_t)store_int(r, 10), until);
  if (issued && !base_same(json_str(issued, "valid_until"), until)) fault(k, "its issue names another last day");
  if (changes != (state == CERTIFICATE_VALID ? 1 : 2)) fault(k, "its state is not what its changes say");
  if (ended && !base_same(json_str(ended, "reason"), store_text(r, 9))) fault(k, "its end had another reason");
  const void *bytes = store_null(r, 7) ? NULL : store_blob(r, 7, &n);
  if (bytes) {
    unsigned char hash[32];
    char hex[65];
    sha256(bytes, n, hash);
    hex_encode(hash, 32, hex);
    if (!base_same(hex, sha)) fault(k, "its file was changed");
  }
  json_decref(issued);
  json_decref(ended);
}

static int verify_work(struct store_tx *tx, void *arg, struct err *err) {
  struct verify *k = arg;
  struct store_rows *r = store_select(tx, err,
    "SELECT c.tracking,c.issue,c.state,c.sha256,c.code,(SELECT payload FROM certificate_change d WHERE d.tracking=c.tracking AND d.issue=c.issue AND d.seq=1),"
    "(SELECT payload FROM certificate_change d WHERE d.tracking=c.tracking AND d.issue=c.issue AND d.seq=2),"
    "(SELECT bytes FROM certificate_file f WHERE f.sha256=c.sha256),(SELECT COUNT(*) FROM certificate_change d WHERE d.tracking=c.tracking AND d.issue=c.issue),c.reason,c.valid_until "
    "FROM certificate c WHERE c.tracking>?1 OR (c.tracking=?1 AND c.issue>?2) ORDER BY c.tracking,c.issue LIMIT 200", "ti", k->after, k->issue);
  if (!r) return -1;
  int rc;
  k->seen = 0;
  while ((rc = store_next(r, err)) == 1) {
    snprintf(k->after, sizeof k->after, "%s", store_text(r, 0));
    k->issue = store_int(r, 1);
    k->seen++;
    compare(k, r);
  }
  store_done(r);
  return rc;
}

int certificates_verify(struct certificates *g, void (*report)(void *ctx, const char *line), void *ctx, struct err *err) {
  struct verify k = {.report = report, .ctx = ctx, .seen = 1};
  while (k.seen > 0)
    if (store_read(g->store, verify_work, &k, err)) return -1;
  return k.faults ? err_set(err, ERR_CONFLICT, "%lld faults in certificates", (long long)k.faults) : 0;
}
