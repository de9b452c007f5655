/* The outbox: putting messages in, and showing what became of them. */
#include "channels/notify/inner.h"
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* ---- life -------------------------------------------------------------------------------- */

static bool given(const char *s) { return s != NULL && s[0] != '\0'; }

static const char *kept(const char *s) { return given(s) ? base_strdup(s) : NULL; }

int notify_open(struct store *s, struct http_client *client, const struct notify_options *o, struct notify **out, struct err *err) {
  static const struct notify_options none = {0};
  if (o == NULL) o = &none;
  bool sms = given(o->kannel_url), mail = given(o->smtp_url);
  if (sms && (!given(o->kannel_user) || !given(o->kannel_password)))
    return err_set(err, ERR_INVALID, "Kannel needs a user and a password");
  if (mail && !given(o->mail_from)) return err_set(err, ERR_INVALID, "e-mail needs the sender's address");
  if ((sms || mail) && client == NULL) return err_set(err, ERR_INTERNAL, "a gateway needs an HTTP client");
  if (o->quiet_from < 0 || o->quiet_from > 23 || o->quiet_to < 0 || o->quiet_to > 23)
    return err_set(err, ERR_INVALID, "quiet hours are 0 to 23");
  struct notify *n = base_alloc(sizeof *n);
  n->store = s;
  n->client = client;
  n->options = *o;
  n->options.kannel_url = kept(o->kannel_url);
  n->options.kannel_user = kept(o->kannel_user);
  n->options.kannel_password = kept(o->kannel_password);
  n->options.sender = kept(o->sender);
  n->options.smtp_url = kept(o->smtp_url);
  n->options.mail_from = kept(o->mail_from);
  n->options.report_url = kept(o->report_url);
  if (o->quiet_from == 0 && o->quiet_to == 0) n->options.quiet_from = 22, n->options.quiet_to = 7;
  if (o->timeout_ms <= 0) n->options.timeout_ms = CALL_MS;
  if (o->timeout_ms > CALL_MOST_MS) n->options.timeout_ms = CALL_MOST_MS;
  if (o->keep_days <= 0) n->options.keep_days = 30;
  n->gateways[CHANNEL_SMS].set = sms;
  n->gateways[CHANNEL_EMAIL].set = mail;
  pthread_mutex_init(&n->lock, NULL);
  pthread_cond_init(&n->settled, NULL);
  *out = n;
  return 0;
}

void notify_close(struct notify *n) {
  if (n == NULL) return;
  pthread_mutex_lock(&n->lock);
  while (n->pending != NULL) pthread_cond_wait(&n->settled, &n->lock);
  pthread_mutex_unlock(&n->lock);
  pthread_cond_destroy(&n->settled);
  pthread_mutex_destroy(&n->lock);
  const char *const strings[] = {n->options.kannel_url, n->options.kannel_user, n->options.kannel_password, n->options.sender,
    n->options.smtp_url, n->options.mail_from, n->options.report_url};
  for (size_t k = 0; k < BASE_COUNT(strings); k++) free((void *)(uintptr_t)strings[k]);
  free(n);
}

/* ---- putting in ---------------------------------------------------------------------------- */

#define INSERT_MESSAGE                                                                                                                    \
  "INSERT INTO notify_message (key, recipient, channel, lang, body, urgent, created_at, next_at, expires_at, tries, state, changed_at, error, subject)" \
  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, 0, 'queued', ?7, '', ?9)"

static int insert(struct store_tx *tx, const char *key, const char *to, enum channel channel, enum lang l, const char *subject, const char *text, enum haste haste,
                  int64_t at, struct err *err) {
  int64_t until = at + (haste == HASTE_CODE ? URGENT_LIFE_MS : LIFE_MS);
  if (!store_looks(tx))
    return store_put(tx, err, INSERT_MESSAGE, "tttttiiit", key, to, channel_texts[channel], lang_code(l), text, (int64_t)haste, at, until,
                     subject);
  return store_put(tx, err, INSERT_MESSAGE " ON CONFLICT (key) DO NOTHING", "tttttiiit", key, to, channel_texts[channel], lang_code(l), text,
                   (int64_t)haste, at, until, subject);
}

static int put(struct store_tx *tx, const char *key, const char *to, enum lang l, const char *subject, const char *text, enum haste haste, struct err *err) {
  char canonical[TO_MOST + 1];
  enum channel channel;
  size_t n = key == NULL ? 0 : strlen(key);
  if (n == 0 || n > KEY_MOST) return err_set(err, ERR_INVALID, "key: 1 to %d characters", KEY_MOST);
  if (message_check(to, text, canonical, &channel, err) != 0) return -1;
  if (channel != CHANNEL_EMAIL || subject == NULL) subject = "";
  if (strlen(subject) > SUBJECT_MOST || strchr(subject, '\n') != NULL) return err_set(err, ERR_INVALID, "subject: one line of at most %d bytes", SUBJECT_MOST);
  return insert(tx, key, canonical, channel, l, subject, text, haste, store_time(tx), err);
}

int notify_put_mail(struct store_tx *tx, const char *key, const char *to, enum lang l, const char *subject, const char *text, struct err *err) {
  return put(tx, key, to, l, subject, text, HASTE_NONE, err);
}

int notify_put_duty(struct store_tx *tx, const char *key, const char *to, enum lang l, const char *subject, const char *text, struct err *err) {
  return put(tx, key, to, l, subject, text, HASTE_DUTY, err);
}

int notify_put(struct store_tx *tx, const char *key, const char *to, enum lang l, const char *text, struct err *err) {
  return notify_put_mail(tx, key, to, l, NULL, text, err);
}

static int urgent_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct pending *p = arg;
  return insert(tx, p->key, p->to, CHANNEL_SMS, LANG_FA, "", p->text, HASTE_CODE, p->at, err);
}

static void pending_free(struct pending *p) {
  OPENSSL_cleanse(p->text, strlen(p->text));
  free(p->text);
  free(p);
}

static void urgent_done(void *arg, int rc, const struct err *err) {
  struct pending *p = arg;
  struct notify *n = p->notify;
  if (rc != 0) {
    n->failed++;
    log_write(LOG_ERROR, "notify", "a one-time code could not be queued: %s", err != NULL ? err->message : "");
  }
  pthread_mutex_lock(&n->lock);
  DL_DELETE(n->pending, p);
  pthread_cond_broadcast(&n->settled);
  pthread_mutex_unlock(&n->lock);
  pending_free(p);
}

int notify_send_now(struct notify *n, const char *mobile, const char *text, struct err *err) {
  char canonical[TO_MOST + 1];
  enum channel channel;
  unsigned char raw[16];
  if (message_check(mobile, text, canonical, &channel, err) != 0) return -1;
  if (channel != CHANNEL_SMS) return err_set(err, ERR_INVALID, "to: not a mobile number");
  struct pending *p = base_alloc(sizeof *p);
  p->notify = n;
  p->at = clock_now();
  p->text = base_strdup(text);
  snprintf(p->to, sizeof p->to, "%.15s", canonical);
  random_bytes(raw, sizeof raw);
  char hex[2 * sizeof raw + 1];
  hex_encode(raw, sizeof raw, hex);
  snprintf(p->key, sizeof p->key, "%013lld/now/%s", (long long)p->at, hex);
  pthread_mutex_lock(&n->lock);
  DL_PREPEND(n->pending, p);
  pthread_mutex_unlock(&n->lock);
  if (store_submit(n->store, STORE_FRONT, urgent_work, p, urgent_done, err) == 0) {
    n->urgent++;
    return 0;
  }
  pthread_mutex_lock(&n->lock);
  DL_DELETE(n->pending, p);
  pthread_cond_broadcast(&n->settled);
  pthread_mutex_unlock(&n->lock);
  pending_free(p);
  return -1;
}

/* ---- showing ------------------------------------------------------------------------------- */

struct listing { int64_t limit; json_t *list, *seen; size_t pending; /* keys and number of those not yet durable */ };

static void list_one(json_t *list, const char *to, const char *channel, const char *text, int64_t at) {
  char when[32];
  json_t *row = json_object();
  clock_rfc3339_ms(at, when);
  json_put(row, "to", to);
  json_put(row, "channel", channel);
  json_put(row, "text", text);
  json_put(row, "at", when);
  json_array_append_new(list, row);
}

static int outbox_work(struct store_tx *tx, void *arg, struct err *err) {
  struct listing *l = arg;
  while (json_array_size(l->list) > l->pending) json_array_remove(l->list, json_array_size(l->list) - 1);
  struct store_rows *r = store_select(tx, err,
    "SELECT key, recipient, channel, body, created_at FROM notify_message ORDER BY created_at DESC LIMIT ?1", "i", l->limit);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1 && json_array_size(l->list) < (size_t)l->limit)
    if (json_object_get(l->seen, store_text(r, 0)) == NULL)
      list_one(l->list, store_text(r, 1), store_text(r, 2), store_text(r, 3), store_int(r, 4));
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int64_t bounded(int limit) { return limit <= 0 ? 50 : limit > 200 ? 200 : limit; }

int notify_outbox(struct notify *n, int limit, json_t **out, struct err *err) {
  struct listing l = {bounded(limit), json_array(), json_object(), 0};
  struct pending *p;
  /* First what is on its way into the store: read the other way round, a message could be in neither. */
  pthread_mutex_lock(&n->lock);
  DL_FOREACH(n->pending, p) {
    if (json_array_size(l.list) >= (size_t)l.limit) break;
    list_one(l.list, p->to, channel_texts[CHANNEL_SMS], p->text, p->at);
    json_object_set_new(l.seen, p->key, json_true());
  }
  pthread_mutex_unlock(&n->lock);
  l.pending = json_array_size(l.list);
  int rc = store_read(n->store, outbox_work, &l, err);
  json_decref(l.seen);
  if (rc == 0) *out = l.list;
  else json_decref(l.list);
  return rc;
}

void recipient_mask(const char *to, char out[TO_MOST + 8]) {
  const char *at = strchr(to, '@');
  char masked[32];
  if (at != NULL) {
    snprintf(out, TO_MOST + 8, "%c***%s", to[0], at);
  } else {
    identifier_mask(IDENT_MOBILE, to, masked);
    snprintf(out, TO_MOST + 8, "%s", masked);
  }
}

static int failures_work(struct store_tx *tx, void *arg, struct err *err) {
  struct listing *l = arg;
  json_array_clear(l->list);
  struct store_rows *r = store_select(tx, err,
    "SELECT key, recipient, channel, state, tries, error, created_at, changed_at FROM notify_message WHERE state IN ('failed', 'unclear', 'undeliverable')"
    " ORDER BY changed_at DESC LIMIT ?1", "i", l->limit);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    char to[TO_MOST + 8], created[32], at[32];
    json_t *row = json_object();
    recipient_mask(store_text(r, 1), to);
    clock_rfc3339(store_int(r, 6), created);
    clock_rfc3339(store_int(r, 7), at);
    json_put(row, "key", store_text(r, 0));
    json_put(row, "to", to);
    json_put(row, "channel", store_text(r, 2));
    json_put(row, "state", store_text(r, 3));
    json_object_set_new(row, "tries", json_integer(store_int(r, 4)));
    json_put(row, "error", store_text(r, 5));
    json_put(row, "created_at", created);
    json_put(row, "at", at);
    json_array_append_new(l->list, row);
  }
  store_done(r);
  return rc;
}

int notify_failures(struct notify *n, int limit, json_t **out, struct err *err) {
  struct listing l = {.limit = bounded(limit), .list = json_array()};
  if (store_read(n->store, failures_work, &l, err) != 0) {
    json_decref(l.list);
    return -1;
  }
  *out = l.list;
  return 0;
}

/* ---- figures ------------------------------------------------------------------------------- */

static int figures_work(struct store_tx *tx, void *arg, struct err *err) {
  struct notify_figures *f = arg;
  int64_t oldest;
  if (store_value(tx, &f->waiting, 0, err, "SELECT COUNT(*) FROM notify_message WHERE state = 'queued'", "") != 0 ||
      store_value(tx, &oldest, 0, err, "SELECT MIN(created_at) FROM notify_message WHERE state = 'queued'", "") != 0 ||
      store_value(tx, &f->failed_kept, 0, err, "SELECT COUNT(*) FROM notify_message WHERE state IN ('failed', 'unclear', 'undeliverable') AND state = 'failed'", "") != 0 ||
      store_value(tx, &f->unclear_kept, 0, err, "SELECT COUNT(*) FROM notify_message WHERE state IN ('failed', 'unclear', 'undeliverable') AND state = 'unclear'", "") != 0) return -1;
  f->oldest_ms = oldest == 0 ? 0 : clock_now() - oldest;
  return 0;
}

int notify_figures(struct notify *n, struct notify_figures *out, struct err *err) {
  memset(out, 0, sizeof *out);
#define X(name) out->name = n->name;
  NOTIFY_COUNTER_TABLE(X)
#undef X
  return store_read(n->store, figures_work, out, err);
}

void notify_metrics(struct notify *n, struct buf *out) {
  struct notify_figures f;
  struct err err = {0};
  int rc = notify_figures(n, &f, &err);
#define X(name) buf_addf(out, "# TYPE chapar_notify_" #name "_total counter\nchapar_notify_" #name "_total %lld\n", (long long)f.name);
  NOTIFY_COUNTER_TABLE(X)
#undef X
  if (rc != 0) return;
  buf_addf(out, "# TYPE chapar_notify_waiting gauge\nchapar_notify_waiting %lld\n", (long long)f.waiting);
  buf_addf(out, "# TYPE chapar_notify_undelivered gauge\nchapar_notify_undelivered{state=\"failed\"} %lld\nchapar_notify_undelivered{state=\"unclear\"} %lld\n",
           (long long)f.failed_kept, (long long)f.unclear_kept);
  buf_addf(out, "# TYPE chapar_notify_oldest_seconds gauge\nchapar_notify_oldest_seconds %lld\n", (long long)(f.oldest_ms / 1000));
}
