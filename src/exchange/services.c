#include "exchange/publish.h"
#include "exchange/side.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { BOOK = 256 * 1024 * 1024, LOOK_MS = 200, USES_MS = 5000, MOST_PINS = 64, TIMEOUT_MOST = 3600000 };
#define TIMEOUT_RULE "a time-out is between a millisecond and an hour; 0: the gateway's own"

/* What a process answers by itself is told anew at each start, and stands beside what the store says. */
struct local { struct local *next; char *id, *kind, *title_fa, *title_en; exchange_local fn; void *ctx; char *(*openapi)(void *ctx); bool digest_only; int timeout_ms; };
struct used { UT_hash_handle hh; char *id; _Atomic int64_t uses; };

struct services {
  pthread_rwlock_t lock;                    /* book */
  pthread_mutex_t change;                   /* one reload at a time; local, lanes, used */
  struct book *book;
  struct local *local;
  struct lane *lanes;
  struct used *used;
  char *certificate, shown[65];             /* ours, that information systems may ask for, and its hash */
  _Atomic int64_t version;                  /* of book */
  int64_t looked, counted;                  /* by the thread of the jobs alone */
};

/* ---- views ---- */

struct book *book_hold(struct exchange *x) {
  struct services *s = x->services;
  pthread_rwlock_rdlock(&s->lock);
  struct book *b = s->book;
  atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
  pthread_rwlock_unlock(&s->lock);
  return b;
}

void book_drop(struct book *b) {
  if (!b || atomic_fetch_sub(&b->refs, 1) != 1) return;
  for (struct offered *v = b->services; v; v = v->hh.next)
    if (v->lane) atomic_fetch_sub(&v->lane->refs, 1);
  HASH_CLEAR(hh, b->services);
  HASH_CLEAR(hh, b->subsystems);
  HASH_CLEAR(hh, b->groups);
  HASH_CLEAR(hh, b->policies);
  arena_free(b->arena);
  free(b);
}

const struct offered *book_service(const struct book *b, const struct exchange_id *id) {
  char text[EXCHANGE_ID + 1];
  struct offered *found = NULL;
  exchange_id_text(id, text);
  HASH_FIND_STR(b->services, text, found);
  return found;
}

bool book_digest_only(const struct book *b, const struct exchange_id *service, const struct offered *v) {
  char text[EXCHANGE_ID + 1];
  struct policy *p = NULL;
  if (b->policies) {
    exchange_id_text(service, text);
    HASH_FIND_STR(b->policies, text, p);
  }
  return p ? p->digest_only : v && v->digest_only;
}

const struct subsystem *book_subsystem(const struct book *b, const struct exchange_id *id) {
  struct exchange_id four = *id;
  char text[EXCHANGE_ID + 1];
  struct subsystem *found = NULL;
  four.service[0] = 0;
  exchange_id_text(&four, text);
  HASH_FIND_STR(b->subsystems, text, found);
  return found;
}

const char *id_shown(const struct exchange_id *id, char out[EXCHANGE_ID + 20]) {
  const char *kind = id->service[0] ? "SERVICE:" : id->subsystem[0] ? "SUBSYSTEM:" : "MEMBER:";
  size_t n = strlen(kind);
  memcpy(out, kind, n);
  exchange_id_text(id, out + n);
  return out;
}

/* ---- connections to information systems ---- */

/* "http://host:port/base" → the first part's length; 0 when it is not such a text. */
static size_t url_base(const char *url) {
  size_t scheme = base_starts(url, "http://") ? 7 : base_starts(url, "https://") ? 8 : 0, host = scheme ? strcspn(url + scheme, "/?#") : 0;
  if (!host || strlen(url) > 1000) return 0;
  for (const char *c = url; *c; c++)
    if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == '?' || *c == '#' || *c == '\\') return 0;
  if (memchr(url + scheme, '@', host)) return 0;
  return scheme + host;
}

static struct lane *lane_of(struct exchange *x, struct offered *v, const struct http_key *shown) {
  struct services *s = x->services;
  size_t n = url_base(v->url);
  if (!n) return NULL;
  char *base = base_printf("%.*s", (int)n, v->url);
  bool tls = base_starts(base, "https:");
  /* the pair too: while another process changes the keys, the new certificate may be here before its key is, and that lane must not stay */
  char *key = base_printf("%s %s %d %s %p %s", v->id, base, v->any_certificate, tls ? s->shown : "", tls ? shown->ctx : NULL, v->ca_file ? v->ca_file : "");
  struct lane *l = s->lanes;
  while (l && strcmp(l->key, key)) l = l->next;
  if (!l) {
    struct http_peer_options o = {.base = base, .certificate = tls ? s->certificate : NULL, .ca_file = v->ca_file, .any_certificate = v->any_certificate, .connections = 128};
    struct err err;
    if (o.certificate) o.key = *shown;
    l = base_alloc(sizeof *l);
    l->key = base_strdup(key);
    if (http_peer_new(&o, &l->peer, &err)) log_write(LOG_WARN, "exchange", "the information system of %s cannot be called: %s", v->id, err.message);
    l->next = s->lanes;
    s->lanes = l;
  }
  atomic_fetch_add(&l->refs, 1);
  free(key);
  free(base);
  return l;
}

/* Those that no view names any more: of a service that is gone or has moved, or under a certificate that was ours before. */
static void sweep_lanes(struct services *s, bool all) {
  for (struct lane **p = &s->lanes; *p;) {
    struct lane *l = *p;
    if (!all && atomic_load(&l->refs)) {
      p = &l->next;
      continue;
    }
    *p = l->next;
    http_peer_free(l->peer);
    free(l->key);
    free(l);
  }
}

/* ---- reading ---- */

struct reading { struct exchange *x; struct book *b; int64_t version; };

static const char *keep(struct reading *r, const struct store_rows *rows, int column) { return arena_strdup(r->b->arena, store_text(rows, column)); }

static void *room(struct reading *r, size_t size) { return arena_alloc(r->b->arena, size); }


static int read_services(struct store_tx *tx, struct reading *r, struct err *err) {
  int more;
  struct store_rows *rows = store_select(tx, err, "SELECT id, kind, url, openapi_url, title_fa, title_en, digest_only, timeout_ms, ca_file, any_certificate FROM exchange_service", "");
  while (rows && (more = store_next(rows, err)) == 1) {
    struct offered *v = room(r, sizeof *v);
    v->id = keep(r, rows, 0);
    v->kind = keep(r, rows, 1);
    v->url = keep(r, rows, 2);
    v->openapi_url = keep(r, rows, 3);
    v->title_fa = keep(r, rows, 4);
    v->title_en = keep(r, rows, 5);
    v->digest_only = store_int(rows, 6) != 0;
    v->timeout_ms = (int)store_int(rows, 7);
    v->ca_file = keep(r, rows, 8);
    v->any_certificate = store_int(rows, 9) != 0;
    v->prefix = v->url && url_base(v->url) ? v->url + url_base(v->url) : "";
    HASH_ADD_KEYPTR(hh, r->b->services, v->id, strlen(v->id), v);
  }
  store_done(rows);
  return rows && more == 0 ? 0 : -1;
}

static void add_local(struct reading *r) {
  for (const struct local *l = r->x->services->local; l; l = l->next) {
    struct offered *v = NULL;
    HASH_FIND_STR(r->b->services, l->id, v);
    if (v) continue; /* one of the store's was put over it */
    v = room(r, sizeof *v);
    *v = (struct offered){.id = arena_strdup(r->b->arena, l->id), .kind = arena_strdup(r->b->arena, l->kind), .title_fa = arena_strdup(r->b->arena, l->title_fa),
                          .title_en = arena_strdup(r->b->arena, l->title_en), .local = l->fn, .ctx = l->ctx, .openapi = l->openapi, .digest_only = l->digest_only,
                          .timeout_ms = l->timeout_ms, .prefix = ""};
    HASH_ADD_KEYPTR(hh, r->b->services, v->id, strlen(v->id), v);
  }
}

static struct offered *by_id(struct reading *r, const char *id) {
  struct offered *v = NULL;
  HASH_FIND_STR(r->b->services, id, v);
  return v;
}

static int read_endpoints(struct store_tx *tx, struct reading *r, struct err *err) {
  int more;
  struct store_rows *rows = store_select(tx, err, "SELECT service, method, path FROM exchange_endpoint ORDER BY service, path DESC, method DESC", "");
  while (rows && (more = store_next(rows, err)) == 1) {
    struct offered *v = by_id(r, store_text(rows, 0));
    if (!v) continue;
    struct endpoint *e = room(r, sizeof *e);
    *e = (struct endpoint){v->endpoints, keep(r, rows, 1), keep(r, rows, 2)};
    v->endpoints = e;
    v->endpoint_count++;
  }
  store_done(rows);
  if (!rows || more) return -1;
  rows = store_select(tx, err, "SELECT service, notice FROM exchange_notice", "");
  while (rows && (more = store_next(rows, err)) == 1) {
    struct offered *v = by_id(r, store_text(rows, 0));
    if (v) v->notice = keep(r, rows, 1);
  }
  store_done(rows);
  return rows && more == 0 ? 0 : -1;
}

static _Atomic int64_t *uses_of(struct services *s, const char *id) {
  struct used *u = NULL;
  HASH_FIND_STR(s->used, id, u);
  if (!u) {
    u = base_alloc(sizeof *u);
    u->id = base_strdup(id);
    HASH_ADD_KEYPTR(hh, s->used, u->id, strlen(u->id), u);
  }
  return &u->uses;
}

static int read_grants(struct store_tx *tx, struct reading *r, struct err *err) {
  int more;
  struct store_rows *rows = store_select(tx, err, "SELECT id, subject, service, method, path, purpose, from_at, until_at FROM exchange_grant WHERE revoked_at IS NULL ORDER BY made_at, id", "");
  while (rows && (more = store_next(rows, err)) == 1) {
    struct offered *v = by_id(r, store_text(rows, 2));
    if (!v) continue;
    struct grant *g = room(r, sizeof *g);
    *g = (struct grant){v->grants, keep(r, rows, 0), keep(r, rows, 1), v->id, keep(r, rows, 3), keep(r, rows, 4), keep(r, rows, 5), store_int(rows, 6), store_int(rows, 7), NULL};
    g->uses = uses_of(r->x->services, g->id);
    v->grants = g;
    v->grant_count++;
  }
  store_done(rows);
  return rows && more == 0 ? 0 : -1;
}

static size_t pins_read(const char *text, unsigned char (*out)[32], size_t most) {
  size_t n = 0;
  while (*text) {
    size_t len = strcspn(text, " ,\n");
    char hex[65];
    if (len == 64 && n < most) {
      memcpy(hex, text, 64);
      hex[64] = 0;
      if (hex_decode(hex, out[n], 32) == 0) n++;
    }
    text += len + strspn(text + len, " ,\n");
  }
  return n;
}

static int tls_of(const char *text) { return strcmp(text, "plain") == 0 ? TLS_PLAIN : strcmp(text, "https") == 0 ? TLS_HTTPS : strcmp(text, "mutual") == 0 ? TLS_MUTUAL : -1; }

static int read_subsystems(struct store_tx *tx, struct reading *r, struct err *err) {
  int more;
  struct store_rows *rows = store_select(tx, err, "SELECT id, tls, certificates FROM exchange_subsystem", "");
  while (rows && (more = store_next(rows, err)) == 1) {
    unsigned char pins[MOST_PINS][32];
    struct subsystem *s = room(r, sizeof *s);
    s->id = keep(r, rows, 0);
    s->tls = (enum tls_mode)tls_of(store_text(rows, 1));
    s->pin_count = pins_read(store_text(rows, 2), pins, MOST_PINS);
    s->pins = room(r, s->pin_count * 32 + 1);
    memcpy(s->pins, pins, s->pin_count * 32);
    HASH_ADD_KEYPTR(hh, r->b->subsystems, s->id, strlen(s->id), s);
  }
  store_done(rows);
  if (!rows || more) return -1;
  rows = store_select(tx, err, "SELECT code, member FROM exchange_group", "");
  while (rows && (more = store_next(rows, err)) == 1) {
    struct group *g = room(r, sizeof *g);
    g->key = arena_printf(r->b->arena, "%s %s", store_text(rows, 0), store_text(rows, 1));
    HASH_ADD_KEYPTR(hh, r->b->groups, g->key, strlen(g->key), g);
  }
  store_done(rows);
  return rows && more == 0 ? 0 : -1;
}

static int read_policies(struct store_tx *tx, struct reading *r, struct err *err) {
  int more;
  struct store_rows *rows = store_select(tx, err, "SELECT service, digest_only FROM exchange_log_policy", "");
  while (rows && (more = store_next(rows, err)) == 1) {
    struct policy *p = room(r, sizeof *p);
    p->id = keep(r, rows, 0);
    p->digest_only = store_int(rows, 1) != 0;
    HASH_ADD_KEYPTR(hh, r->b->policies, p->id, strlen(p->id), p);
  }
  store_done(rows);
  return rows && more == 0 ? 0 : -1;
}

static int read_maintenance(struct store_tx *tx, struct reading *r, struct err *err) {
  struct store_rows *rows = store_select(tx, err, "SELECT notice, until_at FROM exchange_maintenance WHERE name = 'gateway'", "");
  int more = rows ? store_next(rows, err) : -1;
  if (more == 1) {
    r->b->maintenance = keep(r, rows, 0);
    r->b->maintenance_until = store_int(rows, 1);
  }
  store_done(rows);
  return more < 0 ? -1 : 0;
}

static int read_version(struct store_tx *tx, void *arg, struct err *err) { return store_value(tx, arg, 0, err, "SELECT version FROM exchange_change WHERE name = 'book'", ""); }

static int read_book(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *r = arg;
  if (read_version(tx, &r->version, err) || read_services(tx, r, err)) return -1;
  add_local(r);
  return read_endpoints(tx, r, err) || read_grants(tx, r, err) || read_subsystems(tx, r, err) || read_policies(tx, r, err) || read_maintenance(tx, r, err) ? -1 : 0;
}

static int reload(struct exchange *x, struct err *err) {
  struct services *s = x->services;
  struct reading r = {.x = x, .b = base_alloc(sizeof *r.b)};
  struct http_key shown = {0};
  r.b->arena = arena_new(BOOK);
  atomic_store(&r.b->refs, 1);
  if (store_read(x->store, read_book, &r, err)) {
    book_drop(r.b);
    return -1;
  }
  if (arena_overflowed(r.b->arena)) {
    book_drop(r.b);
    return err_set(err, ERR_LIMIT, "there are more services and rights than a gateway holds");
  }
  if (x->keys) {
    char *now = keys_certificate(x->keys, &shown);
    free(s->certificate);
    s->certificate = now;
    if (!now || certificate_hash(now, s->shown, NULL)) s->shown[0] = 0;
  }
  for (struct offered *v = r.b->services; v; v = v->hh.next)
    if (v->url) v->lane = lane_of(x, v, &shown);
  pthread_rwlock_wrlock(&s->lock);
  struct book *old = s->book;
  s->book = r.b;
  s->version = r.version;
  pthread_rwlock_unlock(&s->lock);
  book_drop(old);
  sweep_lanes(s, false);
  return 0;
}

int services_reload(struct exchange *x, struct err *err) {
  pthread_mutex_lock(&x->services->change);
  int rc = reload(x, err);
  pthread_mutex_unlock(&x->services->change);
  return rc;
}

int services_open(struct exchange *x, struct err *err) {
  struct services *s = x->services = base_alloc(sizeof *s);
  pthread_rwlock_init(&s->lock, NULL);
  pthread_mutex_init(&s->change, NULL);
  return services_reload(x, err);
}

/* ---- from time to time ---- */

static int write_uses(struct store_tx *tx, void *arg, struct err *err) {
  json_t *all = arg;
  const char *id;
  json_t *n;
  json_object_foreach(all, id, n)
    if (store_put(tx, err, "UPDATE exchange_grant SET uses = uses + ?1, used_at = ?2 WHERE id = ?3", "iit", (int64_t)json_integer_value(n), store_time(tx), id)) return -1;
  return 0;
}

static void flush_uses(struct exchange *x) {
  struct services *s = x->services;
  struct err err;
  json_t *all = json_object();
  pthread_mutex_lock(&s->change);
  for (struct used *u = s->used; u; u = u->hh.next) {
    int64_t n = atomic_exchange(&u->uses, 0);
    if (n) json_object_set_new(all, u->id, json_integer(n));
  }
  pthread_mutex_unlock(&s->change);
  if (json_object_size(all) && store_write(x->store, STORE_JOBS, write_uses, all, &err)) log_write(LOG_WARN, "exchange", "uses of rights are not counted: %s", err.message);
  json_decref(all);
}

int services_look(struct exchange *x, struct err *err) {
  int64_t version;
  if (store_read(x->store, read_version, &version, err)) return -1;
  return version != x->services->version ? services_reload(x, err) : 0;
}

void services_jobs(struct exchange *x) {
  struct services *s = x->services;
  struct err err;
  int64_t now = clock_mono();
  if (now - s->looked < LOOK_MS) return;
  s->looked = now;
  if (services_look(x, &err)) log_write(LOG_WARN, "exchange", "%s", err.message);
  if (now - s->counted < USES_MS) return;
  s->counted = now;
  flush_uses(x);
}

void services_close(struct exchange *x) {
  struct services *s = x->services;
  if (!s) return;
  if (s->book) flush_uses(x);
  book_drop(s->book);
  for (struct local *l = s->local, *next; l; l = next) {
    next = l->next;
    free(l->id);
    free(l->kind);
    free(l->title_fa);
    free(l->title_en);
    free(l);
  }
  sweep_lanes(s, true);
  struct used *u, *tmp;
  HASH_ITER(hh, s->used, u, tmp) {
    HASH_DEL(s->used, u);
    free(u->id);
    free(u);
  }
  free(s->certificate);
  pthread_rwlock_destroy(&s->lock);
  pthread_mutex_destroy(&s->change);
  free(s);
  x->services = NULL;
}

/* ---- changing ---- */

int services_changed(struct store_tx *tx, struct err *err) {
  return store_exec(tx, err, "INSERT INTO exchange_change (name, version) VALUES ('book', 1) ON CONFLICT (name) DO UPDATE SET version = exchange_change.version + 1", "") < 0 ? -1 : 0;
}

/* The operator's directory tells for whose services this gateway stands. */
static int told_again(struct exchange *x, struct err *err) {
  int rc = services_reload(x, err);
  if (rc == 0 && x->publisher) x->publisher->dirty = true;
  return rc;
}

struct changing { store_work work; void *arg; const char *actor, *act, *subject; json_t *detail; };

static int change_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct changing *c = arg;
  if (c->work(tx, c->arg, err)) return -1;
  return c->actor ? act_put(tx, c->actor, c->act, c->subject, json_incref(c->detail), err) : 0;
}

int services_change(struct exchange *x, store_work work, void *arg, const char *act, const char *subject, json_t *detail, struct err *err) {
  struct changing c = {work, arg, x->o.actor, act, subject, detail ? detail : json_object()};
  int rc = store_write(x->store, STORE_FRONT, change_work, &c, err) || told_again(x, err) ? -1 : 0;
  json_decref(c.detail);
  return rc;
}

static int put_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct exchange_service *s = arg;
  if (store_exec(tx, err, "INSERT INTO exchange_service (id, kind, url, openapi_url, title_fa, title_en, digest_only, timeout_ms, ca_file, any_certificate) "
                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, url = excluded.url, openapi_url = excluded.openapi_url, "
                 "title_fa = excluded.title_fa, title_en = excluded.title_en, digest_only = excluded.digest_only, timeout_ms = excluded.timeout_ms, ca_file = excluded.ca_file, "
                 "any_certificate = excluded.any_certificate", "ttttttiiti", s->id, s->kind, s->url, s->openapi_url, s->title_fa, s->title_en, (int64_t)s->log_digest_only,
                 (int64_t)s->timeout_ms, s->ca_file, (int64_t)s->any_certificate) < 0)
    return -1;
  return services_changed(tx, err);
}

static void put_local(struct exchange *x, const struct exchange_service *s) {
  struct services *v = x->services;
  pthread_mutex_lock(&v->change);
  struct local *l = v->local;
  while (l && strcmp(l->id, s->id)) l = l->next;
  if (!l) {
    l = base_alloc(sizeof *l);
    l->id = base_strdup(s->id);
    l->next = v->local;
    v->local = l;
  }
  free(l->kind);
  free(l->title_fa);
  free(l->title_en);
  l->kind = base_strdup(s->kind);
  l->title_fa = base_strdup(s->title_fa);
  l->title_en = base_strdup(s->title_en);
  l->fn = s->local;
  l->ctx = s->ctx;
  l->openapi = s->openapi;
  l->digest_only = s->log_digest_only;
  l->timeout_ms = s->timeout_ms;
  pthread_mutex_unlock(&v->change);
}

int exchange_service_put(struct exchange *x, const struct exchange_service *s, struct err *err) {
  struct exchange_id id;
  static const char *const taken[] = {"listMethods", "allowedMethods", "getOpenAPI"};
  if (exchange_id_parse(s->id, 5, 5, &id, err)) return -1;
  if (!s->kind || (strcmp(s->kind, "REST") && strcmp(s->kind, "OPENAPI") && strcmp(s->kind, "WSDL"))) return err_set(err, ERR_INVALID, "a service is REST or OPENAPI");
  for (size_t i = 0; i < BASE_COUNT(taken); i++)
    if (strcmp(id.service, taken[i]) == 0) return err_set(err, ERR_INVALID, "%s is a service of every gateway: choose another code", taken[i]);
  if (!s->local && s->url && s->url[0] && !url_base(s->url)) return err_set(err, ERR_INVALID, "the address is like http://host:port/path or https://…, without user, query or fragment: %s", s->url);
  if (s->openapi_url && !url_base(s->openapi_url)) return err_set(err, ERR_INVALID, "the description's address is like http://host:port/path: %s", s->openapi_url);
  if (s->timeout_ms < 0 || s->timeout_ms > TIMEOUT_MOST) return err_set(err, ERR_INVALID, TIMEOUT_RULE);
  if (s->local) {
    put_local(x, s);
    return told_again(x, err);
  }
  return services_change(x, put_work, (void *)s, "service", s->id, json_pack("{s:s?,s:s}", "url", s->url, "log", s->log_digest_only ? "digest" : "bodies"), err);
}

struct options { const char *id; int timeout_ms, any_certificate; };

static int options_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct options *o = arg;
  int n = store_exec(tx, err, "UPDATE exchange_service SET timeout_ms = CASE WHEN ?2 < 0 THEN timeout_ms ELSE ?2 END, any_certificate = CASE WHEN ?3 < 0 THEN any_certificate ELSE ?3 END WHERE id = ?1",
                     "tii", o->id, (int64_t)o->timeout_ms, (int64_t)o->any_certificate);
  if (n < 0) return -1;
  return n ? services_changed(tx, err) : err_set(err, ERR_NOT_FOUND, "no service %s with an address of its own is published here", o->id);
}

int exchange_service_options(struct exchange *x, const char *id, int timeout_ms, int any_certificate, struct err *err) {
  struct options o = {id, timeout_ms, any_certificate};
  json_t *detail = json_object();
  if (timeout_ms > TIMEOUT_MOST) {
    json_decref(detail);
    return err_set(err, ERR_INVALID, TIMEOUT_RULE);
  }
  if (timeout_ms >= 0) json_object_set_new(detail, "timeout_ms", json_integer(timeout_ms));
  if (any_certificate >= 0) json_object_set_new(detail, "any_certificate", json_boolean(any_certificate));
  return services_change(x, options_work, &o, "service", id, detail, err);
}

static int remove_work(struct store_tx *tx, void *arg, struct err *err) {
  int n = store_exec(tx, err, "DELETE FROM exchange_service WHERE id = ?1", "t", (const char *)arg);
  if (n < 0) return -1;
  if (n == 0) return err_set(err, ERR_NOT_FOUND, "there is no service %s", (const char *)arg);
  if (store_exec(tx, err, "DELETE FROM exchange_endpoint WHERE service = ?1", "t", (const char *)arg) < 0) return -1;
  return services_changed(tx, err);
}

int exchange_service_remove(struct exchange *x, const char *id, struct err *err) { return services_change(x, remove_work, (void *)id, "service-remove", id, NULL, err); }

struct closing { const char *id, *text; };

static int notice_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct closing *n = arg;
  int rc = n->text ? store_exec(tx, err, "INSERT INTO exchange_notice (service, notice, at) VALUES (?1, ?2, ?3) ON CONFLICT (service) DO UPDATE SET notice = excluded.notice, at = excluded.at",
                                "tti", n->id, n->text, store_time(tx))
                   : store_exec(tx, err, "DELETE FROM exchange_notice WHERE service = ?1", "t", n->id);
  return rc < 0 ? -1 : services_changed(tx, err);
}

static bool known(struct exchange *x, const char *id, struct err *err) {
  struct exchange_id parsed;
  if (exchange_id_parse(id, 5, 5, &parsed, err)) return false;
  struct book *b = book_hold(x);
  bool there = book_service(b, &parsed) != NULL;
  book_drop(b);
  if (!there) err_set(err, ERR_NOT_FOUND, "there is no service %s at this gateway", id);
  return there;
}

int exchange_service_disable(struct exchange *x, const char *id, const char *notice, struct err *err) {
  struct closing n = {id, notice};
  if (!known(x, id, err)) return -1;
  if (notice && (!notice[0] || strlen(notice) > 300)) return err_set(err, ERR_INVALID, "a notice is between 1 and 300 bytes");
  return services_change(x, notice_work, &n, notice ? "notice" : "notice-end", id, notice ? json_pack("{s:s}", "why", notice) : NULL, err);
}

/* ---- maintenance of the whole gateway ---- */

struct maintaining { const char *notice; int64_t until; };

static int maintenance_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct maintaining *k = arg;
  int rc = k->notice ? store_exec(tx, err, "INSERT INTO exchange_maintenance (name, notice, until_at, at) VALUES ('gateway', ?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET notice = excluded.notice, "
                                  "until_at = excluded.until_at, at = excluded.at", "tii", k->notice, k->until, store_time(tx))
                     : store_exec(tx, err, "DELETE FROM exchange_maintenance WHERE name = 'gateway'", "");
  return rc < 0 ? -1 : services_changed(tx, err);
}

int exchange_maintenance(struct exchange *x, const char *notice, int64_t until, struct err *err) {
  struct maintaining k = {notice, until};
  char at[32] = "";
  if (notice && (!notice[0] || strlen(notice) > 200)) return err_set(err, ERR_INVALID, "a notice is between 1 and 200 bytes");
  if (notice && until && until <= clock_now()) return err_set(err, ERR_INVALID, "the end of a maintenance lies in the future");
  if (until) clock_rfc3339(until, at);
  return services_change(x, maintenance_work, &k, notice ? "maintenance" : "maintenance-end", x->server, notice ? json_pack("{s:s,s:s}", "why", notice, "until", at) : NULL, err);
}

static bool maintained(const struct book *b) { return b->maintenance && (!b->maintenance_until || clock_now() < b->maintenance_until); }

json_t *exchange_maintenance_now(struct exchange *x) {
  struct book *b = book_hold(x);
  json_t *o = json_null();
  char at[32];
  if (maintained(b)) {
    o = json_object();
    json_put(o, "notice", b->maintenance);
    if (b->maintenance_until) clock_rfc3339(b->maintenance_until, at);
    json_object_set_new(o, "until", b->maintenance_until ? json_string(at) : json_null());
  }
  book_drop(b);
  return o;
}

#define UNDER_MAINTENANCE " is under maintenance until "

int64_t maintenance_end(const char *said) {
  const char *end = strstr(said, UNDER_MAINTENANCE);
  char at[32];
  int64_t ms;
  if (!end) return 0;
  snprintf(at, sizeof at, "%.20s", end + sizeof UNDER_MAINTENANCE - 1);
  return clock_parse(at, &ms) ? 0 : ms;
}

bool book_maintenance(struct exchange *x, const char *code, struct fault *f) {
  struct book *b = book_hold(x);
  bool is = maintained(b);
  char at[32] = "it is said to be over";
  if (is && b->maintenance_until) clock_rfc3339(b->maintenance_until, at);
  if (is) fault_set(f, code, "The gateway %s" UNDER_MAINTENANCE "%s: %s", x->server, at, b->maintenance);
  book_drop(b);
  return is;
}

struct policing { const char *id; bool digest_only; };

static int policy_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct policing *p = arg;
  if (store_exec(tx, err, "INSERT INTO exchange_log_policy (service, digest_only) VALUES (?1, ?2) ON CONFLICT (service) DO UPDATE SET digest_only = excluded.digest_only", "ti", p->id,
                 (int64_t)p->digest_only) < 0)
    return -1;
  return services_changed(tx, err);
}

int exchange_service_log(struct exchange *x, const char *id, bool digest_only, struct err *err) {
  struct exchange_id parsed;
  struct policing p = {id, digest_only};
  return exchange_id_parse(id, 5, 5, &parsed, err) ? -1 : services_change(x, policy_work, &p, "log", id, json_pack("{s:s}", "log", digest_only ? "digest" : "bodies"), err);
}

json_t *exchange_log_policies(struct exchange *x) {
  struct book *b = book_hold(x);
  json_t *o = json_object();
  for (const struct policy *p = b->policies; p; p = p->hh.next) json_object_set_new(o, p->id, json_string(p->digest_only ? "digest" : "bodies"));
  book_drop(b);
  return o;
}

static int endpoint_work(struct store_tx *tx, void *arg, struct err *err) {
  const char *const *e = arg;
  if (store_exec(tx, err, "INSERT INTO exchange_endpoint (service, method, path) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING", "ttt", e[0], e[1], e[2]) < 0) return -1;
  return services_changed(tx, err);
}

int exchange_endpoint_put(struct exchange *x, const char *service, const char *method, const char *path, struct err *err) {
  const char *e[] = {service, method, path};
  if (!known(x, service, err)) return -1;
  if (!method || !method[0] || strlen(method) > 20 || !path || (path[0] != '/' && strcmp(path, "**")) || strlen(path) > 500)
    return err_set(err, ERR_INVALID, "an endpoint is a method and a path that begins with '/'");
  return services_change(x, endpoint_work, e, "service", service, json_pack("{s:s,s:s}", "method", method, "path", path), err);
}

static int subsystem_work(struct store_tx *tx, void *arg, struct err *err) {
  const char *const *s = arg;
  if (store_exec(tx, err, "INSERT INTO exchange_subsystem (id, tls, certificates) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET tls = excluded.tls, certificates = excluded.certificates",
                 "ttt", s[0], s[1], s[2]) < 0)
    return -1;
  return services_changed(tx, err);
}

int exchange_subsystem_put(struct exchange *x, const char *id, const char *tls, const char *certificates, struct err *err) {
  struct exchange_id parsed;
  unsigned char pins[MOST_PINS][32];
  const char *s[] = {id, tls, certificates ? certificates : ""};
  if (exchange_id_parse(id, 3, 4, &parsed, err)) return -1;
  if (!tls || tls_of(tls) < 0) return err_set(err, ERR_INVALID, "the connection to information systems is plain, https or mutual");
  if (tls_of(tls) == TLS_MUTUAL && !pins_read(s[2], pins, MOST_PINS)) return err_set(err, ERR_INVALID, "mutual TLS needs the SHA-256 of a client's certificate: 64 hex digits");
  return services_change(x, subsystem_work, s, "subsystem", id, json_pack("{s:s}", "tls", tls), err);
}

/* ---- telling ---- */

static int by_text(const void *a, const void *b) { return strcmp((*(const struct offered *const *)a)->id, (*(const struct offered *const *)b)->id); }

int exchange_services(struct exchange *x, json_t **out, struct err *err) {
  struct book *b = book_hold(x);
  size_t n = HASH_COUNT(b->services), i = 0;
  const struct offered **all = base_alloc((n + 1) * sizeof *all);
  for (const struct offered *v = b->services; v; v = v->hh.next) all[i++] = v;
  qsort(all, n, sizeof *all, by_text);
  *out = json_array();
  for (i = 0; i < n; i++) {
    const struct offered *v = all[i];
    json_t *o = json_object(), *title = json_object(), *list = json_array();
    json_put(o, "id", v->id);
    json_put(o, "kind", v->kind);
    json_put(o, "url", v->url);
    json_put(title, "fa", v->title_fa);
    json_put(title, "en", v->title_en);
    json_object_set_new(o, "title", title);
    json_put(o, "disabled", v->notice);
    if (v->url) json_object_set_new(o, "timeout_ms", json_integer(v->timeout_ms));
    if (v->url) json_object_set_new(o, "any_certificate", json_boolean(v->any_certificate));
    struct exchange_id id;
    json_put(o, "log", exchange_id_parse(v->id, 5, 5, &id, NULL) == 0 && book_digest_only(b, &id, v) ? "digest" : "bodies");
    for (const struct endpoint *e = v->endpoints; e; e = e->next) json_array_append_new(list, json_pack("{s:s,s:s}", "method", e->method, "path", e->path));
    json_object_set_new(o, "endpoints", list);
    json_object_set_new(o, "grants", json_integer((json_int_t)v->grant_count));
    json_array_append_new(*out, o);
  }
  free(all);
  book_drop(b);
  return 0;
}
