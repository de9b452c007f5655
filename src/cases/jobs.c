#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

enum { LEASE_MS = 10000 };

/* ---- looks at personal data: one leaf a batch ---- */

struct looks {
  char ids[256][40];
  char person[256][80];
  int64_t at[256];
  int count;
};

static int looks_work(struct store_tx *tx, void *arg, struct err *err) {
  struct looks *k = arg;
  unsigned char raw[16], salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  char batch[33], at[32];
  k->count = 0;
  struct store_rows *r = store_select(tx, err, "SELECT id,person,at FROM case_access_new ORDER BY id LIMIT 256", "");
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    snprintf(k->ids[k->count], sizeof k->ids[0], "%s", store_text(r, 0));
    snprintf(k->person[k->count], sizeof k->person[0], "%s", store_text(r, 1));
    k->at[k->count++] = store_int(r, 2);
  }
  store_done(r);
  if (rc < 0 || k->count == 0) return rc;
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, batch);
  random_bytes(salt, sizeof salt);
  json_t *list = json_array();
  for (int i = 0; i < k->count; i++) json_array_append_new(list, json_pack("{s:s,s:s,s:I}", "id", k->ids[i], "person", k->person[i], "at", (json_int_t)k->at[i]));
  char *payload = json_canonical(list);
  json_decref(list);
  clock_rfc3339_ms(clock_now(), at);
  char *header = base_printf("{\"at\":\"%s\",\"batch\":\"%s\",\"kind\":\"access\",\"looks\":%d}", at, batch, k->count);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  rc = store_put(tx, err, "INSERT INTO case_access_batch (batch,at,salt,payload) VALUES (?1,?2,?3,?4)", "tibt", batch, clock_now(), (const void *)salt, (size_t)TRUST_SALT, payload);
  if (rc == 0) rc = trust_append(tx, leaf, header, digest, err);
  for (int i = 0; i < k->count && rc == 0; i++) {
    rc = store_put(tx, err, "UPDATE case_access SET batch=?1 WHERE person=?2 AND at=?3 AND id=?4", "ttit", batch, k->person[i], k->at[i], k->ids[i]);
    if (rc == 0) rc = store_put(tx, err, "DELETE FROM case_access_new WHERE id=?1", "t", k->ids[i]);
  }
  free(payload);
  free(header);
  return rc;
}

static int waiting_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_value(tx, arg, 0, err, "SELECT COUNT(*) FROM (SELECT 1 FROM case_access_new LIMIT 1) AS few", "");
}

/* Drafts are forgotten after thirty days, those of people at a counter after one, consents after ninety, calls without a case after two years. */
static int drafts_work(struct store_tx *tx, void *arg, struct err *err) {
  if (store_put(tx, err, "DELETE FROM draft WHERE at<?1", "i", clock_now() - INT64_C(30) * 86400000) ||
      store_put(tx, err, "DELETE FROM draft WHERE owner>='k:' AND owner<'k;' AND at<?1", "i", clock_now() - INT64_C(86400000)) ||
      store_put(tx, err, "DELETE FROM case_consent WHERE made_at<?1", "i", clock_now() - INT64_C(90) * 86400000))
    return -1;
  return store_put(tx, err, "UPDATE desk_log SET salt=NULL,payload=NULL WHERE what='call' AND at<?1 AND payload IS NOT NULL", "i",
                   clock_now() - INT64_C(730) * 86400000);
}

static int news_work(struct store_tx *tx, void *arg, struct err *err) { return case_calendars_load(arg, tx, err) || case_pins_load(arg, tx, err) || case_stops_load(arg, tx, err) ? -1 : 0; }

int case_news(struct cases *c, struct err *err) {
  pthread_mutex_lock(&c->news_lock);
  int rc = store_read(c->store, news_work, c, err);
  pthread_mutex_unlock(&c->news_lock);
  return rc;
}

int cases_jobs(struct cases *c, int64_t *done, struct err *err) {
  int64_t epoch = 0, waiting = 0;
  if (done) *done = 0;
  if (case_news(c, err)) return -1;
  int held = store_lease(c->store, "cases-jobs", c->node, LEASE_MS, &epoch, err);
  if (held <= 0) return held;
  if (case_outbox_run(c, done, err) || case_due_run(c, false, done, err)) return -1;
  if (store_read(c->store, waiting_work, &waiting, err)) return -1;
  if (waiting) {
    struct looks *k = base_alloc(sizeof *k);
    int rc = store_write(c->store, STORE_JOBS, looks_work, k, err);
    free(k);
    if (rc) return -1;
  }
  int64_t minute = clock_now() / 60000;
  if (minute / 10 != c->looks_round && c->o.identity) {
    c->looks_round = minute / 10;
    if (cases_looks_review(c, cases_today(), err)) return -1;
  }
  if (minute != c->drafts_minute) {
    c->drafts_minute = minute;
    return store_write(c->store, STORE_JOBS, drafts_work, NULL, err) || store_write(c->store, STORE_JOBS, case_expire_documents, NULL, err) ? -1 : 0;
  }
  return 0;
}
