/* What ends: rights given here, signing keys and certificates. Shown from thirty days before; who has an address is written to thirty days, seven days and
 * one day before, once each, whichever process of this gateway does it. */
#include "exchange/ends.h"
#include "exchange/keys.h"
#include "exchange/snapshot.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

enum { DAY = 86400000, EARLIEST = 30, MOST = 500, ADDRESSES = 10, ADDRESS = 254, ROUND_MS = 60000, AGAIN_MS = 5000, AGAIN_MOST_MS = 600000, STALE_MS = 600000, TRIES = 3 };
static const int stages[] = {1, 7, EARLIEST};

struct end { const char *kind; char id[65], name[2 * EXCHANGE_ID + 10]; int64_t until; };
struct ends { struct end list[MOST]; size_t count; int64_t now; };
struct ends_keeper { int64_t looked, swept; _Atomic int failed; _Atomic bool running, stop; };

static int stage_of(int64_t left) {
  for (size_t i = 0; i < BASE_COUNT(stages); i++)
    if (left <= (int64_t)stages[i] * DAY) return stages[i];
  return 0;
}

static int64_t days_of(int64_t left) { return (left + DAY - 1) / DAY; }

/* ---- gathering ---- */

static void put(struct ends *e, const char *kind, const char *id, const char *name, int64_t until) {
  if (e->count == MOST || until <= e->now || until > e->now + (int64_t)EARLIEST * DAY) return;
  for (size_t i = 0; i < e->count; i++) /* a certificate that the directory lists and that we hold: what ends first counts */
    if (strcmp(e->list[i].kind, kind) == 0 && strcmp(e->list[i].id, id) == 0) {
      if (until < e->list[i].until) e->list[i].until = until;
      return;
    }
  struct end *one = &e->list[e->count++];
  one->kind = kind;
  one->until = until;
  snprintf(one->id, sizeof one->id, "%s", id);
  snprintf(one->name, sizeof one->name, "%s", name);
}

/* A right that another one like it outlives has been given anew. */
static int rights_work(struct store_tx *tx, void *arg, struct err *err) {
  struct ends *e = arg;
  char name[sizeof e->list[0].name];
  int rc;
  e->count = 0;
  struct store_rows *r = store_select(tx, err, "SELECT g.id, g.subject, g.service, g.until_at FROM exchange_grant g WHERE g.revoked_at IS NULL AND g.until_at > ?1 AND g.until_at <= ?2 AND NOT EXISTS "
                                      "(SELECT 1 FROM exchange_grant o WHERE o.subject = g.subject AND o.service = g.service AND o.method = g.method AND o.path = g.path AND o.revoked_at IS NULL "
                                      "AND o.from_at <= g.until_at AND (o.until_at = 0 OR o.until_at > g.until_at)) ORDER BY g.until_at, g.id LIMIT 300", "ii",
                                      e->now, e->now + (int64_t)EARLIEST * DAY);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    snprintf(name, sizeof name, "%s → %s", store_text(r, 1), store_text(r, 2));
    put(e, "right", store_text(r, 0), name, store_int(r, 3));
  }
  store_done(r);
  return rc;
}

/* A key that another one of its gateway outlives is the old one of a roll-over: nobody has to do anything. */
static bool outlived(const struct members *m, const struct key_row *k) {
  for (size_t i = 0; i < m->keys_count; i++) {
    const struct key_row *other = &m->keys[i];
    if (other != k && other->gateway == k->gateway && !other->revoked && (!other->until || other->until > k->until)) return true;
  }
  return false;
}

static bool pin_outlived(const struct members *m, const struct pin *p) {
  for (size_t i = 0; i < m->pins_count; i++)
    if (&m->pins[i] != p && m->pins[i].gateway == p->gateway && (!m->pins[i].until || m->pins[i].until > p->until)) return true;
  return false;
}

/* Of this gateway; of every gateway, where this is the operator's. */
static void put_listed(struct exchange *x, struct ends *e) {
  struct members *m = members_hold(x);
  char hex[65];
  for (size_t i = 0; i < m->keys_count; i++) {
    const struct key_row *k = &m->keys[i];
    const char *server = m->gateways[k->gateway].g.id;
    if (k->until && !k->revoked && (x->publisher || strcmp(server, x->server) == 0) && !outlived(m, k)) put(e, "key", k->keyid, server, k->until);
  }
  for (size_t i = 0; i < m->pins_count; i++) {
    const struct pin *p = &m->pins[i];
    const char *server = m->gateways[p->gateway].g.id;
    if (!p->until || (!x->publisher && strcmp(server, x->server)) || pin_outlived(m, p)) continue;
    hex_encode(p->sha256, 32, hex);
    put(e, "certificate", hex, server, p->until);
  }
  members_drop(m);
}

/* What stands in our own certificate. */
static void put_own(struct exchange *x, struct ends *e) {
  struct http_key key;
  char *pem = keys_certificate(x->keys, &key), hex[65];
  unsigned char hash[32];
  unsigned n = 0;
  BIO *b = pem ? BIO_new_mem_buf(pem, -1) : NULL;
  X509 *c = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
  int days = 0, seconds = 0;
  if (c && ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(c)) == 1 && X509_digest(c, EVP_sha256(), hash, &n) == 1) {
    time_t real = time(NULL);
    hex_encode(hash, 32, hex);
    put(e, "certificate", hex, x->server, ((int64_t)real + (int64_t)days * 86400 + seconds) * 1000);
  }
  X509_free(c);
  BIO_free(b);
  free(pem);
}

static int by_until(const void *a, const void *b) {
  const struct end *x = a, *y = b;
  return x->until != y->until ? (x->until > y->until) - (x->until < y->until) : strcmp(x->id, y->id);
}

/* NULL with *err; free it. */
static struct ends *gather(struct exchange *x, struct err *err) {
  struct ends *e = base_alloc(sizeof *e);
  e->now = clock_now();
  if (store_read(x->store, rights_work, e, err)) {
    free(e);
    return NULL;
  }
  put_listed(x, e);
  put_own(x, e);
  qsort(e->list, e->count, sizeof *e->list, by_until);
  return e;
}

int exchange_ends(struct exchange *x, bool named, json_t **out, struct err *err) {
  struct ends *e = gather(x, err);
  *out = NULL;
  if (!e) return -1;
  *out = json_array();
  for (size_t i = 0; i < e->count; i++) {
    char until[32];
    clock_rfc3339(e->list[i].until, until);
    json_t *one = json_pack("{s:s,s:s,s:s,s:I}", "kind", e->list[i].kind, "id", e->list[i].id, "until", until, "days", (json_int_t)days_of(e->list[i].until - e->now));
    if (named) json_put(one, "name", e->list[i].name);
    json_array_append_new(*out, one);
  }
  free(e);
  return 0;
}

void ends_metrics(struct exchange *x, struct buf *out) {
  static const char *const kinds[] = {"right", "key", "certificate"};
  struct err err;
  struct ends *e = gather(x, &err);
  if (!e) return;
  buf_adds(out, "# TYPE chapar_exchange_ending gauge\n");
  for (size_t k = 0; k < BASE_COUNT(kinds); k++)
    for (size_t s = 0; s < BASE_COUNT(stages); s++) {
      int n = 0;
      for (size_t i = 0; i < e->count; i++) n += strcmp(e->list[i].kind, kinds[k]) == 0 && e->list[i].until - e->now <= (int64_t)stages[s] * DAY;
      buf_addf(out, "chapar_exchange_ending{kind=\"%s\",days=\"%d\"} %d\n", kinds[k], stages[s], n);
    }
  free(e);
}

/* ---- letters ---- */

/* The next address of a list by comma: its length, 0 at the end; *from moves behind it. */
static size_t next_address(const char **from, const char **address) {
  *from += strspn(*from, " ,");
  *address = *from;
  size_t n = strcspn(*from, " ,");
  *from += n;
  return n;
}

static bool address_good(const char *s, size_t n) {
  const char *at = memchr(s, '@', n);
  if (!at || at == s || n > ADDRESS || memchr(at + 1, '@', (size_t)(s + n - at - 1))) return false;
  const char *dot = memchr(at + 1, '.', (size_t)(s + n - at - 1));
  if (!dot || dot == at + 1 || s[n - 1] == '.') return false;
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f || strchr("<>()[]\"\\:;", s[i])) return false;
  return true;
}

int exchange_alarm_addresses(const char *list, struct err *err) {
  const char *one;
  size_t n, count = 0;
  while ((n = next_address(&list, &one)) > 0) {
    if (!address_good(one, n)) return err_set(err, ERR_INVALID, "exchange_alarm_mail: '%.*s' is no e-mail address; several are written by comma", (int)(n < 100 ? n : 100), one);
    if (++count > ADDRESSES) return err_set(err, ERR_INVALID, "exchange_alarm_mail takes %d addresses at most", ADDRESSES);
  }
  return 0;
}

struct claim { const struct end *e; const char *address; int stage; bool ours, told; };

/* Nothing to do: it was told, or somebody is at it. */
static int told_work(struct store_tx *tx, void *arg, struct err *err) {
  struct claim *c = arg;
  struct store_rows *r = store_select(tx, err, "SELECT 1 FROM exchange_reminded WHERE kind = ?1 AND id = ?2 AND until_at = ?3 AND stage = ?4 AND address = ?5 AND (sent = 1 OR tries >= ?6 OR at >= ?7)", "ttiitii",
                                      c->e->kind, c->e->id, c->e->until, (int64_t)c->stage, c->address, (int64_t)TRIES, clock_now() - STALE_MS);
  int rc = r ? store_next(r, err) : -1;
  c->told = rc == 1;
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* One row for each letter: who makes it writes the letter. One that was claimed, and of which nobody knows whether it went, is written again a few times. */
static int claim_work(struct store_tx *tx, void *arg, struct err *err) {
  struct claim *c = arg;
  int n = store_exec(tx, err, "INSERT INTO exchange_reminded (kind, id, until_at, stage, address, at, tries, sent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, 0) "
                     "ON CONFLICT (kind, id, until_at, stage, address) DO UPDATE SET at = excluded.at, tries = exchange_reminded.tries + 1 "
                     "WHERE exchange_reminded.sent = 0 AND exchange_reminded.tries < ?7 AND exchange_reminded.at < ?8", "ttiitiii",
                     c->e->kind, c->e->id, c->e->until, (int64_t)c->stage, c->address, store_time(tx), (int64_t)TRIES, store_time(tx) - STALE_MS);
  c->ours = n > 0;
  return n < 0 ? -1 : 0;
}

static int done_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct claim *c = arg;
  return store_exec(tx, err, "UPDATE exchange_reminded SET sent = 1 WHERE kind = ?1 AND id = ?2 AND until_at = ?3 AND stage = ?4 AND address = ?5", "ttiit",
                    c->e->kind, c->e->id, c->e->until, (int64_t)c->stage, c->address) < 0 ? -1 : 0;
}

static int undone_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct claim *c = arg;
  return store_exec(tx, err, "DELETE FROM exchange_reminded WHERE kind = ?1 AND id = ?2 AND until_at = ?3 AND stage = ?4 AND address = ?5", "ttiit",
                    c->e->kind, c->e->id, c->e->until, (int64_t)c->stage, c->address) < 0 ? -1 : 0;
}

static int sweep_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM exchange_reminded WHERE until_at < ?1", "i", store_time(tx) - DAY) < 0 ? -1 : 0;
}

static int letter(struct exchange *x, const struct end *e, int64_t now, const char *address, struct err *err) {
  struct arena *a = arena_new(64 * 1024);
  struct buf text = {0};
  char kind[60], days[24], *subject = NULL;
  snprintf(kind, sizeof kind, "exchange.end_%s", e->kind);
  snprintf(days, sizeof days, "%lld", (long long)days_of(e->until - now));
  for (int i = 0; i < 2; i++) {
    enum lang l = i ? LANG_EN : LANG_FA;
    char *said = word_fill(a, l, "exchange.end_text", "what", word(l, kind), "date", date_short(a, l, day_of(e->until)), "days", digits_local(a, l, days), NULL);
    buf_addf(&text, "%s%s\n%s\n%s\n%s\n%s\n", i ? "\n" : "", said ? said : "", e->name, e->id, x->server, word(l, e->kind[0] == 'r' ? "exchange.end_todo_right" : "exchange.end_todo_key"));
    if (!i) subject = word_fill(a, l, "exchange.end_subject", "what", word(l, kind), "days", digits_local(a, l, days), NULL);
  }
  int rc = http_client_mail(x->o.client, x->o.smtp_url, x->o.mail_from, address, subject ? subject : e->kind, buf_str(&text), err);
  buf_free(&text);
  arena_free(a);
  return rc;
}

enum went { WENT, AGAIN, AWAY /* nobody can be told now: no relay, or no room in the store */ };

static enum went remind(struct exchange *x, const struct end *e, int64_t now, const char *address) {
  struct claim c = {.e = e, .address = address, .stage = stage_of(e->until - now)};
  struct err err, later;
  if (store_read(x->store, told_work, &c, &err)) return AWAY;
  if (c.told) return WENT;
  if (store_write(x->store, STORE_JOBS, claim_work, &c, &err)) return AWAY;
  if (!c.ours) return WENT;
  int rc = letter(x, e, now, address, &err);
  if (rc) log_write(LOG_WARN, "exchange", "%s could not be told that %s %s ends: %s", address, e->kind, e->id, err.message);
  if (rc && err.code == ERR_OUTCOME_UNKNOWN) return WENT; /* the claim stands, and is taken up when it is old */
  bool again = rc && (err.code == ERR_UNAVAILABLE || err.code == ERR_RATE); /* anything else was refused for good */
  if (store_write(x->store, STORE_JOBS, again ? undone_work : done_work, &c, &later)) log_write(LOG_WARN, "exchange", "reminders: %s", later.message);
  return !again ? WENT : err.code == ERR_RATE ? AGAIN : AWAY;
}

static void look(void *arg) {
  struct exchange *x = arg;
  struct ends_keeper *k = x->ends;
  struct err err;
  struct ends *e = gather(x, &err);
  enum went worst = e ? WENT : AWAY;
  for (size_t i = 0; e && i < e->count && worst != AWAY; i++) {
    const char *from = x->o.alarm_mail, *one;
    size_t n;
    while (worst != AWAY && !k->stop && (n = next_address(&from, &one)) > 0 && n <= ADDRESS) {
      char address[ADDRESS + 1];
      snprintf(address, sizeof address, "%.*s", (int)n, one);
      enum went how = remind(x, &e->list[i], e->now, address);
      if (how > worst) worst = how;
    }
  }
  if (worst != AWAY && (!k->swept || clock_mono() - k->swept > DAY) && store_write(x->store, STORE_JOBS, sweep_work, NULL, &err) == 0) k->swept = clock_mono();
  free(e);
  k->failed = worst == WENT ? 0 : k->failed + 1;
  k->running = false;
}

void ends_jobs(struct exchange *x) {
  struct ends_keeper *k = x->ends;
  int64_t now = clock_mono(), pause = ROUND_MS;
  int failed = k->failed;
  if (failed) pause = failed > 7 ? AGAIN_MOST_MS : (int64_t)AGAIN_MS << (failed - 1);
  if (!x->o.alarm_mail || !x->o.client || (k->looked && now - k->looked < pause) || atomic_exchange(&k->running, true)) return;
  k->looked = now;
  if (!tasks_put(x->sides->later, look, x)) k->running = false;
}

void ends_stop(struct exchange *x) { x->ends->stop = true; }

void ends_open(struct exchange *x) { x->ends = base_alloc(sizeof *x->ends); }

void ends_close(struct exchange *x) {
  free(x->ends);
  x->ends = NULL;
}
