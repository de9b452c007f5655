/* Open cases of a service, for what goes on by rule and for those who count what waits. */
#include "cases/private.h"

#include <string.h>

struct asking { const char *owner, *service, *state, *action; json_t *list; };

static int said(struct store_tx *tx, const char *action, const char *tracking, json_t *one, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT at,payload FROM case_event WHERE tracking=?1 AND action=?2 ORDER BY seq DESC LIMIT 1", "tt", tracking, action);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    json_t *payload = store_null(r, 1) ? NULL : json_loads(store_text(r, 1), 0, NULL), *data = json_object_get(payload, "data");
    json_object_set_new(one, "said_at", json_integer(store_int(r, 0)));
    json_object_set(one, "said", json_is_object(data) ? data : json_null());
    json_decref(payload);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct asking *k = arg;
  int rc;
  size_t i;
  json_t *one;
  json_array_clear(k->list);
  struct store_rows *r = store_select(tx, err, "SELECT tracking,version,state,submitted_at,data FROM cases WHERE holder=?1 AND result=0 AND service=?2 AND (?3='' OR state=?3) ORDER BY legal_ord,submitted_at,tracking LIMIT 2000", "ttt",
                                      k->owner, k->service, k->state ? k->state : "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    json_t *data = store_null(r, 4) ? NULL : json_loads(store_text(r, 4), 0, NULL);
    one = json_pack("{s:I,s:I}", "version", (json_int_t)store_int(r, 1), "submitted_at", (json_int_t)store_int(r, 3));
    json_put(one, "tracking", store_text(r, 0));
    json_put(one, "state", store_text(r, 2));
    json_object_set_new(one, "data", data ? data : json_null());
    json_array_append_new(k->list, one);
  }
  store_done(r);
  if (rc < 0) return -1;
  json_array_foreach(k->list, i, one)
    if (k->action && said(tx, k->action, json_str(one, "tracking"), one, err)) return -1;
  return 0;
}

int cases_at_state(struct cases *c, const char *owner, const char *service, const char *state, const char *action, json_t **out, struct err *err) {
  struct asking k = {owner, service, state, action, json_array()};
  if (store_read(c->store, list_work, &k, err)) {
    json_decref(k.list);
    return -1;
  }
  *out = k.list;
  return 0;
}
