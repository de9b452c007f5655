/* Which text a case began under: the folder's, or that of a pack that was served before. The store says it by pins (schema of packs);
 * pins are never taken back, so that what was read of them once stays true. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

#define DEFINITION_SIZE 33
#define RECENT_MS (INT64_C(30) * 86400000)

/* Of a version of the folder: no case has begun yet, as far as is known here; under this text alone; under this text after others (in a
 * demonstration); under another text. */
enum known { PIN_NONE, PIN_OURS, PIN_MIXED, PIN_OTHER };

struct pin {
  char *service, definition[DEFINITION_SIZE];
  int64_t version, since;
};

struct old_pack {
  char hash[65];
  struct pack *pack; /* NULL: it cannot be read */
};

/* A pack that this process serves or served, and what is known of each of its versions, in the pack's order. */
struct served {
  struct served *before;
  struct pack *pack;
  _Atomic int known[];
};

struct definitions {
  pthread_rwlock_t lock;     /* over pins */
  struct pin *pins;          /* in order of service, version, n */
  size_t pin_count;
  struct served *_Atomic now; /* those before it stay for whoever reads them */
  pthread_mutex_t loading;   /* over old */
  struct old_pack *old;      /* only grows */
  size_t old_count;
  bool serving;              /* begun: what changes from now on comes from another node */
};

static struct served *served_new(struct pack *p, struct served *before) {
  struct served *s = base_alloc(sizeof *s + (pack_versions(p) + 1) * sizeof s->known[0]);
  s->pack = pack_ref(p);
  s->before = before;
  return s;
}

void case_definitions_open(struct cases *c) {
  struct definitions *d = c->definitions = base_alloc(sizeof *d);
  pthread_rwlock_init(&d->lock, NULL);
  pthread_mutex_init(&d->loading, NULL);
  d->now = served_new(c->pack, NULL);
}

static void free_pins(struct pin *pins, size_t count) {
  for (size_t i = 0; i < count; i++) free(pins[i].service);
  free(pins);
}

void case_definitions_close(struct cases *c) {
  struct definitions *d = c->definitions;
  if (!d) return;
  free_pins(d->pins, d->pin_count);
  for (size_t i = 0; i < d->old_count; i++) pack_unref(d->old[i].pack);
  free(d->old);
  for (struct served *s = d->now, *before; s; s = before) {
    before = s->before;
    pack_unref(s->pack);
    free(s);
  }
  pthread_rwlock_destroy(&d->lock);
  pthread_mutex_destroy(&d->loading);
  free(d);
}

/* Place among the folder's versions, -1 when it has none such. */
static int in_folder(const struct pack *p, const char *code, int64_t version) {
  size_t lo = 0, hi = pack_versions(p);
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    const struct service *s = pack_version(p, mid);
    int order = strcmp(code, s->code);
    if (order == 0) order = (version > s->version) - (version < s->version);
    if (order == 0) return (int)mid;
    if (order < 0) hi = mid;
    else lo = mid + 1;
  }
  return -1;
}

/* ---- pins ---- */

struct pinned {
  int count;
  char definition[DEFINITION_SIZE]; /* of the last that was there at the time, else the first */
};

static void take_pin(struct pinned *k, int64_t since, const char *definition, int64_t at) {
  if (k->count++ == 0 || since <= at) snprintf(k->definition, sizeof k->definition, "%s", definition ? definition : "");
}

static struct pinned pinned_here(struct definitions *d, const char *service, int64_t version, int64_t at) {
  struct pinned k = {0};
  pthread_rwlock_rdlock(&d->lock);
  size_t lo = 0, hi = d->pin_count;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    int order = strcmp(d->pins[mid].service, service);
    if (order < 0 || (order == 0 && d->pins[mid].version < version)) lo = mid + 1;
    else hi = mid;
  }
  for (; lo < d->pin_count && d->pins[lo].version == version && strcmp(d->pins[lo].service, service) == 0; lo++)
    take_pin(&k, d->pins[lo].since, d->pins[lo].definition, at);
  pthread_rwlock_unlock(&d->lock);
  return k;
}

static int pinned_there(struct store_tx *tx, const char *service, int64_t version, int64_t at, struct pinned *k, struct err *err) {
  memset(k, 0, sizeof *k);
  struct store_rows *r = store_select(tx, err, "SELECT definition,since FROM pack_pin WHERE service=?1 AND version=?2 ORDER BY n", "ti", service, version);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) take_pin(k, store_int(r, 1), store_text(r, 0), at);
  store_done(r);
  return rc;
}

/* What is not known here yet may be in the store, in this very transaction even: it is believed, but not remembered. */
static int pinned_at(struct cases *c, struct store_tx *tx, const struct case_row *row, int64_t at, struct pinned *k, struct err *err) {
  *k = pinned_here(c->definitions, row->service, row->service_version, at);
  return k->count ? 0 : pinned_there(tx, row->service, row->service_version, at, k, err);
}

static void weigh(struct definitions *d, struct served *now, size_t i) {
  const struct service *s = pack_version(now->pack, i);
  struct pinned k = pinned_here(d, s->code, s->version, INT64_MAX);
  int known = k.count == 0 ? PIN_NONE : strcmp(k.definition, s->etag) != 0 ? PIN_OTHER : k.count == 1 ? PIN_OURS : PIN_MIXED;
  if (d->serving && known == PIN_OTHER && now->known[i] != PIN_OTHER)
    log_write(LOG_ERROR, "packs", "service %s version %d has begun with another text than this folder's: requests for it are refused here", s->code, s->version);
  now->known[i] = known;
}

static void weigh_all(struct definitions *d) {
  struct served *now = d->now;
  for (size_t i = 0; i < pack_versions(now->pack); i++) weigh(d, now, i);
}

/* First here, then in c->pack: whoever has a definition of the new pack finds it here. What was read of pins meanwhile is weighed after. */
void case_definitions_serve(struct cases *c, struct pack *p) {
  struct definitions *d = c->definitions;
  struct pack *before = c->pack;
  d->now = served_new(p, d->now);
  c->pack = pack_ref(p);
  pack_unref(before);
  weigh_all(d);
}

int case_pins_load(struct cases *c, struct store_tx *tx, struct err *err) {
  struct definitions *d = c->definitions;
  int64_t count = 0;
  if (store_value(tx, &count, 0, err, "SELECT COUNT(*) FROM pack_pin", "")) return -1;
  if ((size_t)count == d->pin_count) return 0;
  struct store_rows *r = store_select(tx, err, "SELECT service,version,definition,since FROM pack_pin ORDER BY service,version,n", "");
  if (!r) return -1;
  struct pin *pins = NULL, *before;
  size_t n = 0, room = 0, had;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    if (n == room) pins = base_realloc(pins, (room = room ? 2 * room : 64) * sizeof *pins);
    pins[n] = (struct pin){.service = base_strdup(store_text(r, 0)), .version = store_int(r, 1), .since = store_int(r, 3)};
    snprintf(pins[n++].definition, DEFINITION_SIZE, "%s", store_text(r, 2));
  }
  store_done(r);
  if (rc < 0) {
    free_pins(pins, n);
    return -1;
  }
  pthread_rwlock_wrlock(&d->lock);
  before = d->pins;
  had = d->pin_count;
  d->pins = pins;
  d->pin_count = n;
  pthread_rwlock_unlock(&d->lock);
  free_pins(before, had);
  weigh_all(d);
  return 0;
}

int case_pin(struct cases *c, struct store_tx *tx, const struct service *s, int64_t at, struct err *err) {
  const struct served *now = c->definitions->now;
  int i = in_folder(now->pack, s->code, s->version);
  if (i < 0 || strcmp(pack_version(now->pack, (size_t)i)->etag, s->etag) != 0) return 0; /* an inquiry of a case that is older than the folder */
  int known = now->known[i];
  struct pinned k;
  if (known == PIN_OURS || known == PIN_MIXED) return 0;
  if (pinned_there(tx, s->code, s->version, INT64_MAX, &k, err)) return -1;
  if (k.count == 0)
    return store_put(tx, err, "INSERT INTO pack_pin (service,version,n,definition,since) VALUES (?1,?2,1,?3,?4) ON CONFLICT DO NOTHING", "titi", s->code, (int64_t)s->version, s->etag, at);
  if (strcmp(k.definition, s->etag) == 0) return 0;
  return err_set(err, ERR_UNAVAILABLE, "requests for service %s version %d began under another text than this folder's", s->code, s->version);
}

/* ---- packs that were served before ---- */

/* wanted: the text's hash; "": whatever this version was. */
static const struct service *version_in(const struct pack *p, const char *service, int64_t version, const char *wanted) {
  const struct service *s = p ? pack_find_version(p, service, (int)version) : NULL;
  return s && (!wanted[0] || strcmp(s->etag, wanted) == 0) ? s : NULL;
}

static bool among_old(struct definitions *d, struct case_row *row, const char *wanted) {
  for (size_t i = 0; i < d->old_count && !row->def; i++) {
    row->def = version_in(d->old[i].pack, row->service, row->service_version, wanted);
    row->pack = d->old[i].pack;
  }
  return row->def != NULL;
}

static bool tried(const struct definitions *d, const char *hash) {
  for (size_t i = 0; i < d->old_count; i++)
    if (strcmp(d->old[i].hash, hash) == 0) return true;
  return false;
}

static int read_old(struct definitions *d, struct store_tx *tx, const char *hash, struct err *err) {
  struct err why = {0};
  struct pack *p = case_pack_load(tx, hash, &why);
  if (!p && why.code == ERR_UNAVAILABLE) return err_set(err, why.code, "%s", why.message);
  if (!p) log_write(LOG_ERROR, "packs", "the recorded pack %.12s cannot be read: %s", hash, why.message);
  d->old = base_realloc(d->old, (d->old_count + 1) * sizeof *d->old);
  struct old_pack *one = &d->old[d->old_count++];
  one->pack = p;
  snprintf(one->hash, sizeof one->hash, "%.64s", hash);
  return 0;
}

static int load_old(struct definitions *d, struct store_tx *tx, struct case_row *row, const char *wanted, struct err *err) {
  char hashes[8][65];
  size_t n = 0;
  int rc;
  struct store_rows *r = store_select(tx, err,
    "SELECT pack_service.pack FROM pack_service JOIN pack ON pack.hash=pack_service.pack WHERE pack_service.service=?1 AND pack_service.version=?2 "
    "AND (?3='' OR pack_service.definition=?3) ORDER BY pack.first_at DESC,pack.hash LIMIT 8", "tit", row->service, row->service_version, wanted);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1 && n < BASE_COUNT(hashes)) snprintf(hashes[n++], sizeof hashes[0], "%s", store_text(r, 0));
  store_done(r);
  if (rc < 0) return -1;
  for (size_t i = 0; i < n; i++) {
    if (tried(d, hashes[i])) continue;
    if (read_old(d, tx, hashes[i], err)) return -1;
    if (among_old(d, row, wanted)) return 0;
  }
  return 0;
}

static int find_old(struct cases *c, struct store_tx *tx, struct case_row *row, const char *wanted, struct err *err) {
  struct definitions *d = c->definitions;
  row->def = NULL;
  pthread_mutex_lock(&d->loading);
  int rc = among_old(d, row, wanted) ? 0 : load_old(d, tx, row, wanted, err);
  pthread_mutex_unlock(&d->loading);
  if (!row->def) row->pack = d->now->pack;
  return rc;
}

static int look_further(struct cases *c, struct store_tx *tx, struct case_row *row, struct err *err) {
  struct pinned k;
  int64_t at = row->submitted_at;
  if (pinned_at(c, tx, row, at, &k, err)) return -1;
  if (k.count > 1 && case_is_inquiry(row) && row->parent && row->parent[0]) { /* an inquiry has the text of the case that asks */
    if (store_value(tx, &at, at, err, "SELECT submitted_at FROM cases WHERE tracking=?1", "t", row->parent)) return -1;
    if (pinned_at(c, tx, row, at, &k, err)) return -1;
  }
  if (row->def && (k.count == 0 || strcmp(row->def->etag, k.definition) == 0)) return 0;
  return find_old(c, tx, row, k.definition, err);
}

int case_define(struct cases *c, struct store_tx *tx, struct case_row *row, struct err *err) {
  const struct served *now = c->definitions->now;
  int i = in_folder(now->pack, row->service, row->service_version);
  row->pack = now->pack;
  row->def = i >= 0 ? pack_version(now->pack, (size_t)i) : NULL;
  if ((i < 0 || now->known[i] != PIN_OURS) && look_further(c, tx, row, err)) return -1;
  row->state_index = row->def && !case_is_inquiry(row) ? service_state(row->def, row->state) : -1;
  return 0;
}

const struct service *cases_definition(struct cases *c, const json_t *view, const struct pack **pack) {
  const char *service = json_str(view, "service"), *wanted = json_str(view, "definition");
  struct case_row row = {.service = service, .service_version = json_int(view, "service_version", 0)};
  const struct served *now = c->definitions->now;
  *pack = now->pack;
  if (!service || !wanted) return NULL;
  row.def = version_in(now->pack, service, row.service_version, wanted);
  if (row.def) return row.def;
  pthread_mutex_lock(&c->definitions->loading);
  bool found = among_old(c->definitions, &row, wanted);
  pthread_mutex_unlock(&c->definitions->loading);
  if (found) *pack = row.pack;
  return row.def;
}

/* ---- at the start ---- */

static bool all_in_folder(struct cases *c) {
  struct definitions *d = c->definitions;
  bool all = true;
  for (size_t i = 0; all && i < d->pin_count; i++) all = version_in(c->pack, d->pins[i].service, d->pins[i].version, d->pins[i].definition) != NULL;
  return all;
}

static int warm_work(struct store_tx *tx, void *arg, struct err *err) {
  struct cases *c = arg;
  struct definitions *d = c->definitions;
  json_t *needed = json_object();
  struct store_rows *r = store_select(tx, err, "SELECT DISTINCT service,service_version FROM cases WHERE result=0 OR changed_at>=?1", "i", clock_now() - RECENT_MS);
  int rc = -1;
  while (r && (rc = store_next(r, err)) == 1) {
    char *key = base_printf("%s/%lld", store_text(r, 0), (long long)store_int(r, 1));
    json_object_set_new(needed, key, json_true());
    free(key);
  }
  store_done(r);
  for (size_t i = 0; rc == 0 && i < d->pin_count; i++) {
    const struct pin *p = &d->pins[i];
    struct case_row row = {.service = p->service, .service_version = p->version};
    char *key = base_printf("%s/%lld", p->service, (long long)p->version);
    if (json_object_get(needed, key) && !version_in(c->pack, p->service, p->version, p->definition)) {
      rc = find_old(c, tx, &row, p->definition, err);
      if (rc == 0 && !row.def) log_write(LOG_ERROR, "packs", "no recorded pack has the text of service %s version %lld: its open requests stand still", p->service, (long long)p->version);
    }
    free(key);
  }
  json_decref(needed);
  return rc;
}

int case_definitions_warm(struct cases *c, struct err *err) {
  c->definitions->serving = true;
  return all_in_folder(c) ? 0 : store_read(c->store, warm_work, c, err);
}
