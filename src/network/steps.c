/* What people do to incidents, told to those who watch, in the order of all changes: who probes gives the numbers. */
#include "network/inner.h"

#include <string.h>

static const char *const words[] = {"opened", "closed",
#define X(name, text) text,
  NETWORK_ACT_TABLE(X)
#undef X
};

const char *network_step_word(const char *text) {
  for (size_t i = 0; i < BASE_COUNT(words); i++)
    if (base_same(words[i], text)) return words[i];
  return NULL;
}

int network_step_put(struct store_tx *tx, int64_t incident, const char *step, int64_t at, struct err *err) {
  int64_t id = 0;
  if (store_value(tx, &id, 0, err, "SELECT MAX(id) FROM network_step", "")) return -1;
  return store_put(tx, err, "INSERT INTO network_step (id,incident,step,at) VALUES (?1,?2,?3,?4)", "iiti", id + 1, incident, step, at) ||
         store_exec(tx, err, "DELETE FROM network_step WHERE id<?1 AND at<?2", "ii", id, at - INT64_C(86400000)) < 0 ? -1 : 0;
}

struct telling { int64_t after, last; struct change list[256]; int count; };

static int read_work(struct store_tx *tx, void *arg, struct err *err) {
  struct telling *k = arg;
  int rc;
  k->count = 0;
  if (store_value(tx, &k->last, 0, err, "SELECT MAX(id) FROM network_step", "")) return -1;
  if (k->after < 0 || k->last <= k->after) return 0;
  struct store_rows *r = store_select(tx, err, "SELECT id,incident,step,at FROM network_step WHERE id>?1 ORDER BY id LIMIT 256", "i", k->after);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    k->last = store_int(r, 0);
    k->list[k->count++] = (struct change){.node = -1, .incident = store_int(r, 1), .step = network_step_word(store_text(r, 2)), .at = store_int(r, 3), .since = store_int(r, 3)};
  }
  store_done(r);
  return rc;
}

int network_steps_tell(struct network *n, struct err *err) {
  struct telling k = {.after = n->step};
  if (store_read(n->main, read_work, &k, err)) return -1;
  n->step = k.last;
  pthread_mutex_lock(&n->lock);
  for (int i = 0; i < k.count; i++) {
    if (!k.list[i].step) continue;
    network_change_put(n, k.list[i]);
    struct op o = {.kind = OP_STEP, .node = -1, .code = "", .change = k.list[i], .decided = k.list[i].at, .incident = {.id = k.list[i].incident, .began = k.list[i].at}};
    o.change.seq = n->cursor;
    network_op(n, o);
  }
  pthread_mutex_unlock(&n->lock);
  return 0;
}
