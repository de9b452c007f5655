#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

struct draft {
  const char *owner, *service, *text;
  json_t *out;
};

static int save_work(struct store_tx *tx, void *arg, struct err *err) {
  struct draft *k = arg;
  return store_put(tx, err, "INSERT INTO draft (owner,service,at,data) VALUES (?1,?2,?3,?4) ON CONFLICT (owner,service) DO UPDATE SET at=excluded.at,data=excluded.data",
                   "ttit", k->owner, k->service, clock_now(), k->text);
}

int cases_draft_save(struct cases *c, const char *owner, const char *service, json_t *data, struct err *err) {
  char *text = json_canonical(data);
  int rc = -1;
  if (strlen(text) > 64 * 1024) err_set(err, ERR_TOO_LARGE, "a draft has at most 64 KiB");
  else {
    struct draft k = {.owner = owner, .service = service, .text = text};
    rc = store_write(c->store, STORE_FRONT, save_work, &k, err);
  }
  free(text);
  return rc;
}

static int load_work(struct store_tx *tx, void *arg, struct err *err) {
  struct draft *k = arg;
  struct store_rows *r = store_select(tx, err, "SELECT data FROM draft WHERE owner=?1 AND service=?2", "tt", k->owner, k->service);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) k->out = json_loads(store_text(r, 0), 0, NULL);
  store_done(r);
  if (rc < 0) return -1;
  return k->out ? 0 : err_set(err, ERR_NOT_FOUND, "no such draft");
}

int cases_draft_load(struct cases *c, const char *owner, const char *service, json_t **out, struct err *err) {
  struct draft k = {.owner = owner, .service = service};
  if (store_read(c->store, load_work, &k, err)) return -1;
  *out = k.out;
  return 0;
}

static int drop_work(struct store_tx *tx, void *arg, struct err *err) {
  struct draft *k = arg;
  return store_put(tx, err, "DELETE FROM draft WHERE owner=?1 AND service=?2", "tt", k->owner, k->service);
}

int cases_draft_drop(struct cases *c, const char *owner, const char *service, struct err *err) {
  struct draft k = {.owner = owner, .service = service};
  return store_write(c->store, STORE_FRONT, drop_work, &k, err);
}

static int drafts_work(struct store_tx *tx, void *arg, struct err *err) {
  struct draft *k = arg;
  struct store_rows *r = store_select(tx, err, "SELECT service,at FROM draft WHERE owner=?1 ORDER BY at DESC,service LIMIT 50", "t", k->owner);
  if (!r) return -1;
  int rc;
  k->out = json_array();
  while ((rc = store_next(r, err)) == 1) {
    char at[32];
    json_t *o = json_object();
    clock_rfc3339(store_int(r, 1), at);
    json_put(o, "service", store_text(r, 0));
    json_put(o, "saved_at", at);
    json_array_append_new(k->out, o);
  }
  store_done(r);
  if (rc < 0) {
    json_decref(k->out);
    return -1;
  }
  return 0;
}

int cases_drafts(struct cases *c, const char *owner, json_t **out, struct err *err) {
  struct draft k = {.owner = owner};
  if (store_read(c->store, drafts_work, &k, err)) return -1;
  *out = k.out;
  return 0;
}
