/* Papers that are due since a decision. */
#include "certificates/inside.h"

#include <string.h>

enum { ROUND = 64, LEASE_MS = 30000, AGAIN_MS = 5000 };

struct round {
  char tracking[ROUND][TRACKING_SIZE];
  int64_t at[ROUND];
  int count;
};

/* Again while one is due already: it is looked at once, when the newest end is there. */
int certificates_due(struct store_tx *tx, const char *tracking, int64_t at, struct err *err) {
  return store_put(tx, err, "INSERT INTO certificate_due (tracking,at) VALUES (?1,?2) ON CONFLICT (tracking) DO UPDATE SET at=excluded.at", "ti", tracking, at);
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct round *k = arg;
  k->count = 0;
  struct store_rows *r = store_select(tx, err, "SELECT tracking,at FROM certificate_due WHERE at<=?1 ORDER BY at,tracking LIMIT ?2", "ii", clock_now(), (int64_t)ROUND);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    snprintf(k->tracking[k->count], TRACKING_SIZE, "%s", store_text(r, 0));
    k->at[k->count++] = store_int(r, 1);
  }
  store_done(r);
  return rc;
}

struct one {
  const char *tracking;
  int64_t at, again;   /* again above 0: it could not be done now */
};

/* A decision that came meanwhile has another time, and stays due. */
static int done_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct one *k = arg;
  if (k->again) return store_put(tx, err, "UPDATE certificate_due SET at=?1 WHERE tracking=?2 AND at=?3", "iti", k->again, k->tracking, k->at);
  return store_put(tx, err, "DELETE FROM certificate_due WHERE tracking=?1 AND at=?2", "ti", k->tracking, k->at);
}

int certificates_jobs(struct certificates *g, struct err *err) {
  struct round k;
  int64_t epoch;
  if (store_read(g->store, list_work, &k, err)) return -1;
  if (k.count == 0) return 0;
  int held = store_lease(g->store, "certificates", g->node, LEASE_MS, &epoch, err);
  if (held <= 0) return held;
  for (int i = 0; i < k.count; i++) {
    struct err why;
    struct one one = {.tracking = k.tracking[i], .at = k.at[i]};
    if (certificates_settle(g, one.tracking, &why)) {
      log_write(LOG_WARN, "certificates", "the certificate of case %s is tried again: %s", one.tracking, why.message);
      one.again = clock_now() + AGAIN_MS;
    }
    if (store_write(g->store, STORE_JOBS, done_work, &one, err)) return -1;
  }
  return 0;
}
