/* Sending what is due: claim, call, settle. */
#include "channels/notify/inner.h"
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

struct batch {
  struct notify *notify;
  bool open[CHANNELS], quiet;
  int count;
  struct message items[CLAIM_MOST];
};

static void batch_clear(struct batch *b) {
  for (int k = 0; k < b->count; k++) {
    OPENSSL_cleanse(b->items[k].text, strlen(b->items[k].text));
    free(b->items[k].text);
    free(b->items[k].subject);
  }
  b->count = 0;
}

static bool quiet_now(const struct notify *n) {
  int64_t now = clock_now();
  int hour = (int)((now - day_start(day_of(now))) / 3600000), from = n->options.quiet_from, to = n->options.quiet_to;
  if (from == to) return false;
  return from < to ? hour >= from && hour < to : hour >= from || hour < to;
}

/* ---- gateways in trouble ---------------------------------------------------------------------- */

static void gateways_open(struct notify *n, bool open[CHANNELS]) {
  int64_t now = clock_mono();
  pthread_mutex_lock(&n->lock);
  for (int c = 0; c < CHANNELS; c++) open[c] = n->gateways[c].set && n->gateways[c].closed_until <= now;
  pthread_mutex_unlock(&n->lock);
}

static void gateway_report(struct notify *n, enum channel c, bool trouble) {
  struct gateway *g = &n->gateways[c];
  pthread_mutex_lock(&n->lock);
  bool was = g->pause_ms > 0;
  if (!trouble) {
    g->pause_ms = 0;
  } else {
    g->pause_ms = !was ? PAUSE_FIRST_MS : g->pause_ms * 2 > PAUSE_MOST_MS ? PAUSE_MOST_MS : g->pause_ms * 2;
    g->closed_until = clock_mono() + g->pause_ms;
  }
  pthread_mutex_unlock(&n->lock);
  if (was != trouble)
    log_write(trouble ? LOG_WARN : LOG_INFO, "notify", "the gateway of %s %s", channel_texts[c], trouble ? "is in trouble" : "works again");
}

/* ---- claiming --------------------------------------------------------------------------------- */

static int claim_some(struct store_tx *tx, struct batch *b, enum channel c, enum haste haste, struct err *err) {
  int64_t now = store_time(tx), most = CLAIM_MOST - b->count;
  struct store_rows *r = store_select(tx, err,
    "SELECT key, recipient, lang, body, tries, subject, created_at FROM notify_message WHERE state = 'queued' AND channel = ?1 AND urgent = ?2 AND next_at <= ?3"
    " AND expires_at > ?3 ORDER BY next_at LIMIT ?4 @claim", "tiii", channel_texts[c], (int64_t)haste, now, most);
  if (r == NULL) return -1;
  int rc = 0, first = b->count;
  while (b->count < CLAIM_MOST && (rc = store_next(r, err)) == 1) {
    struct message *m = &b->items[b->count++];
    snprintf(m->key, sizeof m->key, "%s", store_text(r, 0));
    snprintf(m->to, sizeof m->to, "%s", store_text(r, 1));
    m->lang = base_same(store_text(r, 2), "en") ? LANG_EN : LANG_FA;
    m->text = base_strdup(store_text(r, 3));
    m->tries = store_int(r, 4) + 1;
    m->subject = base_strdup(store_text(r, 5));
    m->created_at = store_int(r, 6);
    m->channel = c;
    m->urgent = haste == HASTE_CODE;
    m->fate = FATE_RELEASED;
    m->error[0] = '\0';
  }
  if (b->count == CLAIM_MOST) rc = 0;
  store_done(r);
  for (int k = first; rc == 0 && k < b->count; k++)
    rc = store_put(tx, err, "UPDATE notify_message SET state = 'sending', tries = tries + 1, changed_at = ?2 WHERE key = ?1", "ti",
                   b->items[k].key, now);
  return rc;
}

static int claim_work(struct store_tx *tx, void *arg, struct err *err) {
  struct batch *b = arg;
  batch_clear(b);
  static const enum haste order[] = {HASTE_CODE, HASTE_DUTY, HASTE_NONE};
  for (size_t k = 0; k < (b->quiet ? 2 : BASE_COUNT(order)); k++)
    for (int c = 0; c < CHANNELS; c++)
      if (b->open[c] && b->count < CLAIM_MOST && claim_some(tx, b, (enum channel)c, order[k], err) != 0) return -1;
  return 0;
}

struct due { const char *channel; int64_t least_urgent, alive_at, found; };

static int due_work(struct store_tx *tx, void *arg, struct err *err) {
  struct due *d = arg;
  return store_value(tx, &d->found, 0, err,
    "SELECT 1 FROM notify_message WHERE state = 'queued' AND channel = ?1 AND urgent >= ?2 AND next_at <= ?3 AND expires_at > ?4 LIMIT 1", "tiii",
    d->channel, d->least_urgent, clock_now(), d->alive_at);
}

/* ---- settling ---------------------------------------------------------------------------------- */

static int64_t next_try(const struct message *m, int64_t now) {
  return now + ((int64_t)(m->urgent ? RETRY_URGENT_MS : RETRY_FIRST_MS) << (m->tries - 1));
}

static int lost(const struct notify *n, struct store_tx *tx, const char *key, const char *channel, const char *state, struct err *err) {
  return n->options.lost != NULL ? n->options.lost(n->options.fate_ctx, tx, key, channel, state, err) : 0;
}

static int settle_one(struct store_tx *tx, const struct notify *n, const struct message *m, struct err *err) {
  int64_t now = store_time(tx);
  if (m->fate == FATE_RELEASED)
    return store_put(tx, err, "UPDATE notify_message SET state = 'queued', tries = tries - 1, changed_at = ?2 WHERE key = ?1 AND state = 'sending'",
                     "ti", m->key, now);
  if (m->fate == FATE_AGAIN && m->tries < TRIES_MOST)
    return store_put(tx, err,
      "UPDATE notify_message SET state = 'queued', next_at = ?2, error = ?3, changed_at = ?4 WHERE key = ?1 AND state = 'sending'", "titi",
      m->key, next_try(m, now), m->error, now);
  const char *state = m->fate == FATE_SENT ? "sent" : m->fate == FATE_UNCLEAR ? "unclear" : "failed";
  int changed = store_exec(tx, err,
    "UPDATE notify_message SET state = ?2, body = ?3, error = ?4, changed_at = ?5 WHERE key = ?1 AND state = 'sending'", "tttti",
    m->key, state, m->urgent ? "" : m->text, m->error, now);
  if (changed < 0) return -1;
  /* It may have left in either case; a report of the carrier that was quicker stays. */
  if (m->fate != FATE_AGAIN && m->fate != FATE_REFUSED && !m->urgent && message_keep_tail(tx, m->key, m->text, m->created_at, err) != 0) return -1;
  return changed > 0 && m->fate != FATE_SENT ? lost(n, tx, m->key, channel_texts[m->channel], state, err) : 0;
}

static int settle_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct batch *b = arg;
  for (int k = 0; k < b->count; k++)
    if (settle_one(tx, b->notify, &b->items[k], err) != 0) return -1;
  return 0;
}

static void count_fates(struct notify *n, const struct batch *b) {
  for (int k = 0; k < b->count; k++) {
    const struct message *m = &b->items[k];
    if (m->fate == FATE_SENT) n->sent++;
    if (m->fate == FATE_UNCLEAR) n->unclear++;
    if (m->fate == FATE_AGAIN && m->tries < TRIES_MOST) n->retried++;
    if (m->fate == FATE_REFUSED || (m->fate == FATE_AGAIN && m->tries >= TRIES_MOST)) n->failed++;
  }
}

/* ---- without a gateway --------------------------------------------------------------------------- */

struct show { const char *channel; int64_t shown; };

static int show_work(struct store_tx *tx, void *arg, struct err *err) {
  struct show *s = arg;
  struct { char key[KEY_MOST + 1]; char *text; int64_t at; } *list = base_alloc(SHOW_MOST * sizeof *list);
  int rc, count = 0;
  struct store_rows *r = store_select(tx, err,
    "SELECT key, body, created_at, urgent FROM notify_message WHERE state = 'queued' AND channel = ?1 AND next_at <= ?2 ORDER BY next_at LIMIT ?3", "tii", s->channel,
    store_time(tx), (int64_t)SHOW_MOST);
  for (rc = r == NULL ? -1 : 0; r != NULL && (rc = store_next(r, err)) == 1; count++) {
    snprintf(list[count].key, sizeof list[count].key, "%s", store_text(r, 0));
    list[count].text = store_int(r, 3) ? NULL : base_strdup(store_text(r, 1));
    list[count].at = store_int(r, 2);
  }
  store_done(r);
  s->shown = 0;
  for (int k = 0; k < count; k++) {
    int changed = rc != 0 ? 0 : store_exec(tx, err, "UPDATE notify_message SET state = 'shown', changed_at = ?2 WHERE key = ?1 AND state = 'queued'", "ti", list[k].key, store_time(tx));
    if (changed < 0 || (changed > 0 && list[k].text != NULL && message_keep_tail(tx, list[k].key, list[k].text, list[k].at, err) != 0)) rc = -1;
    s->shown += changed > 0;
    free(list[k].text);
  }
  free(list);
  return rc;
}

/* ---- what is too old ------------------------------------------------------------------------------ */

struct tidy { const struct notify *notify; int64_t keep_ms, expired, stuck; };

struct stale { char key[KEY_MOST + 1], channel[16]; };

/* Those that a query names become `state`, one by one, so that whoever must know is told. How many; -1 after an error. */
static int end_those(struct store_tx *tx, struct tidy *t, struct store_rows *r, const char *state, const char *error, struct err *err) {
  struct stale *list = base_alloc(TIDY_ROWS * sizeof *list);
  int count = 0, rc = r == NULL ? -1 : 0;
  while (r != NULL && count < TIDY_ROWS && (rc = store_next(r, err)) == 1) {
    snprintf(list[count].key, sizeof list[0].key, "%s", store_text(r, 0));
    snprintf(list[count++].channel, sizeof list[0].channel, "%s", store_text(r, 1));
  }
  if (count == TIDY_ROWS) rc = 0;
  store_done(r);
  for (int k = 0; rc == 0 && k < count; k++) {
    rc = store_put(tx, err, "UPDATE notify_message SET state = ?2, changed_at = ?3, body = CASE WHEN urgent = 1 THEN '' ELSE body END, error = CASE WHEN error = '' OR"
                   " ?2 = 'unclear' THEN ?4 ELSE error END WHERE key = ?1", "ttit", list[k].key, state, store_time(tx), error);
    if (rc == 0) rc = lost(t->notify, tx, list[k].key, list[k].channel, state, err);
  }
  free(list);
  return rc == 0 ? count : -1;
}

static int tidy_work(struct store_tx *tx, void *arg, struct err *err) {
  struct tidy *t = arg;
  int64_t now = store_time(tx), most = TIDY_ROWS;
  t->expired = t->stuck = 0;
  for (int c = 0; c < CHANNELS; c++) {
    if (!t->notify->gateways[c].set) continue; /* what is only shown does not age */
    int n = end_those(tx, t, store_select(tx, err, "SELECT key, channel FROM notify_message WHERE state = 'queued' AND channel = ?1 AND expires_at <= ?2 LIMIT ?3", "tii",
                                          channel_texts[c], now, most), "failed", "too old to be sent", err);
    if (n < 0) return -1;
    t->expired += n;
  }
  int n = end_those(tx, t, store_select(tx, err, "SELECT key, channel FROM notify_message WHERE state = 'sending' AND changed_at <= ?1 LIMIT ?2", "ii", now - STUCK_MS, most),
                    "unclear", "the process ended while it was sent", err);
  if (n < 0) return -1;
  t->stuck = n;
  if (store_exec(tx, err, "DELETE FROM notify_tail WHERE at <= ?1", "i", now - t->keep_ms) < 0) return -1;
  return store_exec(tx, err,
    "DELETE FROM notify_message WHERE key IN (SELECT key FROM notify_message WHERE created_at <= ?1 AND state NOT IN ('queued', 'sending')"
    " ORDER BY created_at LIMIT ?2)", "ii", now - t->keep_ms, most) < 0 ? -1 : 0;
}

static int tidy_sometimes(struct notify *n, struct err *err) {
  int64_t now = clock_mono(), last = n->tidied_at;
  if (last != 0 && now - last < TIDY_EVERY_MS) return 0;
  if (!atomic_compare_exchange_strong(&n->tidied_at, &last, now)) return 0;
  struct tidy t = {.notify = n, .keep_ms = (int64_t)n->options.keep_days * 24 * 3600 * 1000};
  if (store_write(n->store, STORE_JOBS, tidy_work, &t, err) != 0) return -1;
  n->failed += t.expired;
  n->unclear += t.stuck;
  return 0;
}

/* ---- one round -------------------------------------------------------------------------------------- */

static int show_round(struct notify *n, enum channel c, int64_t *handled, struct err *err) {
  struct due d = {.channel = channel_texts[c]};
  if (store_read(n->store, due_work, &d, err) != 0) return -1;
  if (d.found == 0) return 0;
  struct show s = {.channel = channel_texts[c]};
  if (store_write(n->store, STORE_JOBS, show_work, &s, err) != 0) return -1;
  n->shown += s.shown;
  *handled += s.shown;
  return 0;
}

static int send_round(struct notify *n, struct batch *b, int64_t *handled, struct err *err) {
  int rc = -1;
  if (store_write(n->store, STORE_FRONT, claim_work, b, err) != 0) return -1;
  for (int k = 0; k < b->count; k++) {
    struct message *m = &b->items[k];
    if (!b->open[m->channel]) continue; /* it goes back untried */
    bool trouble = gateway_send(n, m);
    gateway_report(n, m->channel, trouble);
    b->open[m->channel] = !trouble;
    ++*handled;
  }
  /* Settling twice comes to the same: only what is 'sending' changes. */
  for (int k = 0; k < 3 && rc != 0 && b->count > 0; k++) rc = store_write(n->store, STORE_FRONT, settle_work, b, err);
  if (b->count == 0) return 0;
  count_fates(n, b);
  return rc;
}

int notify_jobs(struct notify *n, int64_t *done, struct err *err) {
  int64_t handled = 0;
  struct batch *b = base_alloc(sizeof *b);
  b->notify = n;
  b->quiet = quiet_now(n);
  gateways_open(n, b->open);
  int rc = tidy_sometimes(n, err);
  bool any = false;
  for (int c = 0; rc == 0 && c < CHANNELS; c++) {
    if (!n->gateways[c].set) {
      rc = show_round(n, (enum channel)c, &handled, err);
    } else if (b->open[c] && !any) {
      struct due d = {.channel = channel_texts[c], .least_urgent = b->quiet, .alive_at = clock_now()};
      rc = store_read(n->store, due_work, &d, err);
      any = d.found != 0;
    }
  }
  if (rc == 0 && any) rc = send_round(n, b, &handled, err);
  batch_clear(b);
  free(b);
  if (done != NULL) *done = handled;
  return rc;
}
