/* Messages that were: those between two keys, those that end with the same words, and what carriers report later. */
#include "channels/notify/inner.h"
#include "trust/trust.h"
#include <stdlib.h>
#include <string.h>

enum { TAIL_WORDS = 3, BETWEEN_MOST = 40, LIKE_MOST = 2 };

/* ---- by which a message is known again ---- */

static int tail_hash(const char *text, char hex[65]) {
  struct arena *a = arena_new(256 * 1024);
  const char *tail = text_tail(a, text, TAIL_WORDS);
  unsigned char hash[32];
  if (tail != NULL) {
    sha256(tail, strlen(tail), hash);
    hex_encode(hash, sizeof hash, hex);
  }
  arena_free(a);
  return tail != NULL ? 0 : -1;
}

int message_keep_tail(struct store_tx *tx, const char *key, const char *text, int64_t at, struct err *err) {
  char hex[65];
  if (tail_hash(text, hex) != 0) return 0;
  return store_put(tx, err, "INSERT INTO notify_tail (tail, at, key) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", "tit", hex, at, key);
}

int notify_like(struct store_tx *tx, const char *text, json_t *list, struct err *err) {
  char hex[65], at[32];
  if (tail_hash(text, hex) != 0) return 0;
  struct store_rows *r = store_select(tx, err, "SELECT key, at FROM notify_tail WHERE tail = ?1 ORDER BY at DESC LIMIT ?2", "ti", hex, (int64_t)LIKE_MOST);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    json_t *o = json_object();
    clock_rfc3339(store_int(r, 1), at);
    json_put(o, "key", store_text(r, 0));
    json_put(o, "at", at);
    json_array_append_new(list, o);
  }
  store_done(r);
  return rc;
}

/* ---- between two keys ---- */

int notify_between(struct store_tx *tx, const char *from, const char *to, json_t *list, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT key, recipient, channel, body, state, error, changed_at FROM notify_message WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3", "tti", from, to,
    (int64_t)BETWEEN_MOST);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    char masked[TO_MOST + 8], at[32];
    json_t *o = json_object();
    recipient_mask(store_text(r, 1), masked);
    clock_rfc3339(store_int(r, 6), at);
    json_put(o, "key", store_text(r, 0));
    json_put(o, "to", masked);
    json_put(o, "channel", store_text(r, 2));
    json_put(o, "text", store_text(r, 3));
    json_put(o, "state", store_text(r, 4));
    json_put(o, "error", store_text(r, 5));
    json_put(o, "at", at);
    json_array_append_new(list, o);
  }
  store_done(r);
  return rc;
}

/* ---- what the carrier says later ---- */

struct report { struct notify *notify; const char *key; bool delivered; int changed; };

static int report_work(struct store_tx *tx, void *arg, struct err *err) {
  struct report *k = arg;
  const struct notify_options *o = &k->notify->options;
  int64_t now = store_time(tx);
  if (k->delivered) {
    k->changed = store_exec(tx, err,
      "UPDATE notify_message SET state = 'delivered', error = '', changed_at = ?2 WHERE key = ?1 AND state IN ('sending', 'sent', 'unclear', 'undeliverable')", "ti",
      k->key, now);
    if (k->changed > 0 && o->arrived != NULL) return o->arrived(o->fate_ctx, tx, k->key, err);
  } else {
    k->changed = store_exec(tx, err,
      "UPDATE notify_message SET state = 'undeliverable', error = 'the carrier could not deliver it', changed_at = ?2 WHERE key = ?1"
      " AND state IN ('sending', 'sent', 'unclear')", "ti", k->key, now);
    if (k->changed > 0 && o->lost != NULL) return o->lost(o->fate_ctx, tx, k->key, channel_texts[CHANNEL_SMS], "undeliverable", err);
  }
  return k->changed < 0 ? -1 : 0;
}

int notify_report(struct notify *n, const char *hex_key, int state, struct err *err) {
  char key[KEY_MOST + 1] = "";
  size_t length = hex_key != NULL ? strlen(hex_key) : 0;
  bool delivered = (state & 1) != 0, failed = (state & (2 | 16)) != 0;
  if (length == 0 || length % 2 != 0 || length / 2 > KEY_MOST || hex_decode(hex_key, key, length / 2) != 0 || !utf8_valid(key, length / 2) || strlen(key) != length / 2)
    return err_set(err, ERR_MALFORMED, "no key of a message");
  if (delivered == failed) return 0; /* on its way */
  struct report k = {.notify = n, .key = key, .delivered = delivered};
  if (store_write(n->store, STORE_JOBS, report_work, &k, err) != 0) return -1;
  if (k.changed > 0 && delivered) n->delivered++;
  if (k.changed > 0 && failed) n->undeliverable++;
  return 0;
}
