/* Where a message that changes something has been before. Each gateway of a member tells repetitions by its own store, so the same message is sent to the
 * same gateway again: who answered it, by our log; else who was sent it and did not answer, by the note that was made of it, or, when this process ended
 * in between, by the request in our log. */
#include "exchange/members.h"
#include "exchange/side.h"

#include <string.h>

enum { DAY_MS = 86400000, SWEEP_MS = 60000 };

struct searching { struct exchange *x; struct members *m; const char *client, *message_id; char *server; };

static void found(struct searching *p, const char *server) { snprintf(p->server, EXCHANGE_ID + 1, "%s", server); }

/* The gateway whose key signed an answer. Keys that ended still say whose they were; one that is gone from the directory says nothing. */
struct owner { const char *keyid; bool is; };
static void is_key(void *ctx, const char *keyid, int64_t from, int64_t until, int64_t revoked) {
  struct owner *o = ctx;
  o->is |= strcmp(o->keyid, keyid) == 0;
}

static void signer_of(struct searching *p, const char *keyid, const struct gateway *const *list, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct owner o = {keyid, false};
    members_keys(p->m, list[i], is_key, &o);
    if (o.is) found(p, list[i]->id);
  }
}

/* "@target-uri": https://…: what the request was signed for names the gateway that it was sent to. */
static void sent_to(struct searching *p, const char *base, size_t n, const struct gateway *const *list, size_t count) {
  static const char name[] = "\"@target-uri\": ";
  const char *line = memmem(base, n, name, sizeof name - 1), *uri = line ? line + sizeof name - 1 : NULL;
  for (size_t i = 0; uri && i < count; i++) {
    size_t k = strlen(list[i]->address);
    if ((size_t)(base + n - uri) > k && memcmp(uri, list[i]->address, k) == 0 && uri[k] == '/') found(p, list[i]->id);
  }
}

struct asking { struct searching *p; const struct gateway *const *list; size_t count; };

static int where_work(struct store_tx *tx, void *arg, struct err *err) {
  struct asking *k = arg;
  struct searching *p = k->p;
  int more = 0;
  bool answered = false;
  p->server[0] = 0;
  struct store_rows *rows = store_select(tx, err, "SELECT part, keyid, base, at FROM exchange_message WHERE message_id = ?1 AND side = ?2 AND client = ?3 ORDER BY at", "tit", p->message_id,
                                         (int64_t)SIDE_CONSUMER, p->client);
  while (rows && (more = store_next(rows, err)) == 1) {
    size_t n;
    const char *base = store_blob(rows, 2, &n);
    if (store_int(rows, 0)) {
      answered = true;
      signer_of(p, store_text(rows, 1), k->list, k->count);
    } else if (!answered && base && store_int(rows, 3) < p->x->began) {
      sent_to(p, base, n, k->list, k->count);
    }
  }
  store_done(rows);
  if (!rows || more < 0 || answered) return rows && more >= 0 ? 0 : -1;
  rows = store_select(tx, err, "SELECT server FROM exchange_unsure WHERE client = ?1 AND message_id = ?2", "tt", p->client, p->message_id);
  more = rows ? store_next(rows, err) : -1;
  if (more == 1) found(p, store_text(rows, 0));
  store_done(rows);
  return more < 0 ? -1 : 0;
}

int again_where(struct exchange *x, struct members *m, const struct exchange_id *client, const char *message_id, const struct gateway *const *list, size_t count, char server[EXCHANGE_ID + 1],
                struct err *err) {
  char who[EXCHANGE_ID + 1];
  exchange_id_text(client, who);
  struct searching p = {.x = x, .m = m, .client = who, .message_id = message_id, .server = server};
  return store_read(x->store, where_work, &(struct asking){&p, list, count}, err);
}

static int note_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct searching *p = arg;
  return store_exec(tx, err, "INSERT INTO exchange_unsure (client, message_id, server, at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (client, message_id) DO NOTHING", "ttti", p->client, p->message_id,
                    p->server, store_time(tx)) < 0 ? -1 : 0;
}

void again_note(struct exchange *x, const struct exchange_id *client, const char *message_id, const char *server) {
  char who[EXCHANGE_ID + 1], to[EXCHANGE_ID + 1];
  struct err err;
  exchange_id_text(client, who);
  snprintf(to, sizeof to, "%s", server);
  if (store_write(x->store, STORE_FRONT, note_work, &(struct searching){.client = who, .message_id = message_id, .server = to}, &err))
    log_write(LOG_WARN, "exchange", "it is not noted that %s did not answer message %s: %s", server, message_id, err.message);
}

static int sweep_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM exchange_unsure WHERE at < ?1", "i", store_time(tx) - DAY_MS) < 0 ? -1 : 0;
}

void again_jobs(struct exchange *x) {
  struct err err;
  int64_t now = clock_mono();
  if (x->sides->again_swept && now - x->sides->again_swept < SWEEP_MS) return;
  x->sides->again_swept = now;
  if (store_write(x->store, STORE_JOBS, sweep_work, x, &err)) log_write(LOG_WARN, "exchange", "notes of unanswered messages are not swept: %s", err.message);
}
