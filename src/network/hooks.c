/* Programs that are told of incidents: what is queued with the incident's own transaction, delivered later, signed. */
#include "network/inner.h"
#include "network/people.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES = 11, CLAIM = 8, CLAIM_MS = 60000, FIRST_MS = 60000, KEPT_DAYS = 30 };

static void key_of(const unsigned char secret[32], const char *id, char key[65]) {
  unsigned char mac[32];
  char text[64];
  int n = snprintf(text, sizeof text, "network hook %s", id);
  hmac_sha256(secret, 32, text, (size_t)n, mac);
  hex_encode(mac, 32, key);
}

void network_hook_sign(const char *key, int64_t seconds, const char *body, size_t n, char out[65]) {
  unsigned char mac[32];
  char *text = base_alloc(n + 32);
  int head = snprintf(text, 32, "%lld.", (long long)seconds);
  memcpy(text + head, body, n);
  hmac_sha256(key, strlen(key), text, (size_t)head + n, mac);
  hex_encode(mac, 32, out);
  free(text);
}

/* ---- the list ---- */

struct putting { struct network_hook *h; const char *who; network_also also; void *ctx; };

static int put_work(struct store_tx *tx, void *arg, struct err *err) {
  struct putting *p = arg;
  int64_t there = 0;
  if (store_value(tx, &there, 0, err, "SELECT COUNT(*) FROM network_hook", "")) return -1;
  if (there >= NETWORK_HOOKS_MOST) return err_set(err, ERR_LIMIT, "there are %d hooks already", NETWORK_HOOKS_MOST);
  if (store_put(tx, err, "INSERT INTO network_hook (id, organisation, url, at, who) VALUES (?1, ?2, ?3, ?4, ?5)", "tttit", p->h->id, p->h->organisation, p->h->url, clock_now(), p->who)) return -1;
  return p->also ? p->also(tx, p->ctx, err) : 0;
}

static bool url_sound(const char *url) {
  if (!url || strlen(url) > 500 || !(base_starts(url, "http://") || base_starts(url, "https://"))) return false;
  const char *host = strstr(url, "://") + 3;
  for (const unsigned char *p = (const unsigned char *)url; *p; p++)
    if (*p <= ' ' || *p >= 0x7f || strchr("\"<>\\^`{|}", *p)) return false;
  return strcspn(host, "/?#") > 0 && !memchr(host, '@', strcspn(host, "/?#"));
}

int network_hook_put(struct store *s, const char *who, const unsigned char secret[32], struct network_hook *h, char key[65], network_also also, void *ctx, struct err *err) {
  unsigned char raw[16];
  if (!url_sound(h->url)) return err_set(err, ERR_INVALID, "the address is no http or https address of 500 bytes at most, without a password");
  struct putting p = {h, who, also, ctx};
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, h->id);
  key_of(secret, h->id, key);
  return store_write(s, STORE_FRONT, put_work, &p, err);
}

struct dropping { const char *id; network_also also; void *ctx; };

static int drop_work(struct store_tx *tx, void *arg, struct err *err) {
  struct dropping *d = arg;
  int n = store_exec(tx, err, "DELETE FROM network_hook WHERE id = ?1", "t", d->id);
  if (n < 0 || store_put(tx, err, "DELETE FROM network_hook_call WHERE hook = ?1", "t", d->id)) return -1;
  if (n == 0) return err_set(err, ERR_NOT_FOUND, "there is no such hook");
  return d->also ? d->also(tx, d->ctx, err) : 0;
}

int network_hook_drop(struct store *s, const char *id, network_also also, void *ctx, struct err *err) {
  struct dropping d = {id, also, ctx};
  return store_write(s, STORE_FRONT, drop_work, &d, err);
}

static int last_call(struct store_tx *tx, json_t *o, struct err *err) {
  int64_t waiting = 0, failed = 0;
  const char *id = json_str(o, "id");
  if (store_value(tx, &waiting, 0, err, "SELECT COUNT(*) FROM network_hook_call WHERE hook = ?1 AND state = 'waiting'", "t", id) ||
      store_value(tx, &failed, 0, err, "SELECT COUNT(*) FROM network_hook_call WHERE hook = ?1 AND state = 'failed'", "t", id))
    return -1;
  json_object_set_new(o, "waiting", json_integer(waiting));
  json_object_set_new(o, "failed", json_integer(failed));
  json_object_set_new(o, "last", json_null());
  struct store_rows *r = store_select(tx, err, "SELECT at, status, error, state FROM network_hook_call WHERE hook = ?1 AND tries > 0 ORDER BY at DESC LIMIT 1", "t", id);
  int rc = r ? store_next(r, err) : -1;
  if (rc == 1) {
    char at[32];
    json_t *last = json_object();
    clock_rfc3339(store_int(r, 0), at);
    json_put(last, "at", at);
    json_object_set_new(last, "status", json_integer(store_int(r, 1)));
    json_put(last, "error", store_text(r, 2));
    json_put(last, "state", store_text(r, 3));
    json_object_set_new(o, "last", last);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  json_t *list = arg, *one;
  size_t i;
  json_array_clear(list);
  struct store_rows *r = store_select(tx, err, "SELECT id, organisation, url, at, who FROM network_hook ORDER BY at, id", "");
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) {
    char at[32];
    json_t *o = json_object();
    clock_rfc3339(store_int(r, 3), at);
    json_put(o, "id", store_text(r, 0));
    json_put(o, "organisation", store_text(r, 1));
    json_put(o, "url", store_text(r, 2));
    json_put(o, "at", at);
    json_put(o, "who", store_text(r, 4));
    json_array_append_new(list, o);
  }
  store_done(r);
  json_array_foreach(list, i, one)
    if (rc == 0) rc = last_call(tx, one, err);
  return rc;
}

int network_hooks(struct store *s, json_t **out, struct err *err) {
  json_t *list = json_array();
  if (store_read(s, list_work, list, err)) {
    json_decref(list);
    return -1;
  }
  *out = list;
  return 0;
}

/* ---- queueing ---- */

static json_t *body_of(const struct network_news *news) {
  char began[32], ended[32];
  json_t *o = json_object();
  static const char *const steps[] = {
#define X(name, text) text,
    NETWORK_STEP_TABLE(X)
#undef X
  };
  clock_rfc3339(news->began, began);
  json_put(o, "id", ""); /* each hook's own, in this place */
  json_put(o, "event", steps[news->step]);
  json_object_set_new(o, "incident", json_integer(news->incident));
  json_object_set_new(o, "level", json_integer(news->level));
  json_put(o, "kind", news->kind);
  json_put(o, "office", news->office);
  json_put(o, "organisation", news->organisation);
  json_object_set_new(o, "name", json_pack("{s:s,s:s}", "fa", news->name_fa ? news->name_fa : "", "en", news->name_en ? news->name_en : ""));
  json_put(o, "began", began);
  if (news->ended) clock_rfc3339(news->ended, ended);
  json_put(o, "ended", news->ended ? ended : NULL);
  json_object_set_new(o, "offices", json_integer(news->offices));
  json_object_set_new(o, "services", json_integer(news->services));
  json_object_set_new(o, "population", json_integer(news->population));
  json_object_set_new(o, "acknowledged", json_boolean(news->acknowledged));
  if (news->at) {
    clock_rfc3339_ms(news->at, began);
    json_put(o, "at", began);
    json_put(o, "who", news->who);
    json_put(o, "text", news->text);
  }
  return o;
}

static json_t *alarm_body(const struct network_alarm *a) {
  char began[32], at[32];
  json_t *o = json_object();
  clock_rfc3339(a->began, began);
  clock_rfc3339(a->at, at);
  json_put(o, "id", "");
  json_put(o, "event", a->kind ? "alarm" : "alarm_ended");
  json_object_set_new(o, "number", json_integer(a->number));
  json_put(o, "alarm", network_alarm_text(a->kind));
  json_put(o, "scope", a->scope);
  json_put(o, "code", a->code);
  json_object_set_new(o, "name", json_pack("{s:s,s:s}", "fa", a->name_fa, "en", a->name_en));
  json_object_set_new(o, "goal", real_json(a->goal, 6));
  json_object_set_new(o, "availability", real_json(a->availability, 6));
  json_object_set_new(o, "burn", json_pack("{s:o,s:o}", "hours_6", real_json(a->burn_6, 2), "days_3", real_json(a->burn_72, 2)));
  json_object_set_new(o, "budget_left_s", json_integer(a->budget_left_s));
  json_put(o, "began", began);
  json_put(o, "at", at);
  return o;
}

/* The same body to every hook of the organisation's and of the province's, each with its id. Takes body. */
static int queue(struct store_tx *tx, const char *organisation, const char *key, json_t *body, struct err *err) {
  char hooks[NETWORK_HOOKS_MOST][33];
  int n = 0, rc;
  struct store_rows *r = store_select(tx, err, "SELECT id FROM network_hook WHERE organisation = '' OR organisation = ?1 ORDER BY id", "t", organisation ? organisation : "");
  rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1 && n < NETWORK_HOOKS_MOST) snprintf(hooks[n++], sizeof hooks[0], "%s", store_text(r, 0));
  store_done(r);
  for (int i = 0; i < n && rc >= 0; i++) {
    char id[80];
    size_t size = 0;
    snprintf(id, sizeof id, "%.60s-%.16s", key, hooks[i]);
    json_put(body, "id", id);
    char *text = json_text(body, &size);
    if (store_put(tx, err, "INSERT INTO network_hook_call (id, hook, body, state, tries, due, at, done_at, status, error) VALUES (?1, ?2, ?3, 'waiting', 0, ?4, ?4, 0, 0, '')"
                           " ON CONFLICT (id) DO NOTHING", "ttti", id, hooks[i], text, clock_now()))
      rc = -1;
    free(text);
  }
  json_decref(body);
  return rc < 0 ? -1 : n;
}

int network_hooks_queue(struct store_tx *tx, const struct network_news *news, struct err *err) {
  char key[64];
  snprintf(key, sizeof key, "%lld-%d-%lld", (long long)news->incident, (int)news->step, news->at ? (long long)news->at : (long long)news->level);
  return queue(tx, news->organisation, key, body_of(news), err);
}

int network_hooks_queue_alarm(struct store_tx *tx, const struct network_alarm *a, struct err *err) {
  char key[64];
  snprintf(key, sizeof key, "goal-%lld-%d", (long long)a->number, (int)a->kind);
  return queue(tx, a->organisation, key, alarm_body(a), err);
}

/* ---- delivering ---- */

struct call { char id[80], hook[33], *url, *body, error[160]; int64_t tries; int status; bool taken; };
struct batch { struct call calls[CLAIM]; size_t count; };

static void batch_clear(struct batch *b) {
  for (size_t i = 0; i < b->count; i++) {
    free(b->calls[i].url);
    free(b->calls[i].body);
  }
  b->count = 0;
}

/* What is claimed is due again in a minute: a node that dies over it is followed by another. */
static int claim_work(struct store_tx *tx, void *arg, struct err *err) {
  struct batch *b = arg;
  int64_t now = clock_now();
  batch_clear(b);
  struct store_rows *r = store_select(tx, err, "SELECT c.id, c.hook, c.body, c.tries, (SELECT h.url FROM network_hook h WHERE h.id = c.hook) FROM network_hook_call c WHERE c.state = 'waiting'"
                                               " AND c.due <= ?1 ORDER BY c.due LIMIT ?2 @claim", "ii", now, (int64_t)CLAIM);
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) {
    struct call *c = &b->calls[b->count++];
    memset(c, 0, sizeof *c);
    snprintf(c->id, sizeof c->id, "%s", store_text(r, 0));
    snprintf(c->hook, sizeof c->hook, "%s", store_text(r, 1));
    c->body = base_strdup(store_text(r, 2));
    c->tries = store_int(r, 3) + 1;
    c->url = base_strdup(store_text(r, 4) ? store_text(r, 4) : "");
  }
  store_done(r);
  for (size_t i = 0; i < b->count && rc == 0; i++)
    rc = store_put(tx, err, "UPDATE network_hook_call SET tries = tries + 1, due = ?2 WHERE id = ?1", "ti", b->calls[i].id, now + CLAIM_MS);
  return rc;
}

static int settle_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct batch *b = arg;
  int64_t now = clock_now();
  for (size_t i = 0; i < b->count; i++) {
    const struct call *c = &b->calls[i];
    bool over = c->taken || c->status == 410 || c->tries >= TRIES;
    if (store_put(tx, err, "UPDATE network_hook_call SET state = ?2, due = ?3, done_at = ?4, status = ?5, error = ?6 WHERE id = ?1 AND state = 'waiting'", "ttiiit", c->id,
                  c->taken ? "done" : over ? "failed" : "waiting", now + ((int64_t)FIRST_MS << (c->tries - 1)), over ? now : (int64_t)0, (int64_t)c->status, c->error))
      return -1;
  }
  return store_put(tx, err, "DELETE FROM network_hook_call WHERE state <> 'waiting' AND done_at < ?1", "i", now - KEPT_DAYS * INT64_C(86400000));
}

static int due_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_value(tx, arg, 0, err, "SELECT 1 FROM network_hook_call WHERE state = 'waiting' AND due <= ?1 LIMIT 1", "i", clock_now());
}

static void deliver(struct call *c, const unsigned char secret[32], network_post post, void *ctx) {
  char key[65], mac[65];
  struct err err = {0};
  int64_t seconds = clock_now() / 1000;
  size_t n = strlen(c->body);
  key_of(secret, c->hook, key);
  network_hook_sign(key, seconds, c->body, n, mac);
  char *signature = base_printf("Chapar-Signature: t=%lld,v1=%s", (long long)seconds, mac), *id = base_printf("Chapar-Event-Id: %s", c->id);
  const char *headers[] = {"Content-Type: application/json", signature, id, NULL};
  int rc = c->url[0] ? post(ctx, c->url, headers, c->body, n, &c->status, &err) : err_set(&err, ERR_NOT_FOUND, "the hook has gone");
  c->taken = rc == 0 && c->status >= 200 && c->status < 300;
  if (rc) snprintf(c->error, sizeof c->error, "%.150s", err.message);
  free(signature);
  free(id);
}

int network_hooks_jobs(struct store *s, const unsigned char secret[32], network_post post, void *ctx, int64_t *done, struct err *err) {
  struct batch *b = base_alloc(sizeof *b);
  int64_t due = 0;
  *done = 0;
  int rc = store_read(s, due_work, &due, err);
  if (rc == 0 && due) rc = store_write(s, STORE_JOBS, claim_work, b, err);
  for (size_t i = 0; i < b->count && rc == 0; i++) deliver(&b->calls[i], secret, post, ctx);
  if (rc == 0 && b->count) rc = store_write(s, STORE_JOBS, settle_work, b, err);
  if (rc == 0) *done = (int64_t)b->count;
  batch_clear(b);
  free(b);
  return rc;
}
