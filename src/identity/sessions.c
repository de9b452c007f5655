/* Sessions: made in the fast store, cached five seconds at most, ended at once in this process. */
#include "identity/inner.h"
#include "trust/trust.h"
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct cached {
  char token[HEX];     /* digest */
  int64_t read_at;     /* clock_mono() */
  struct actor actor;
  UT_hash_handle hh;
};

void sessions_init(struct identity *i) {
  for (int k = 0; k < CACHE_SHARDS; k++) pthread_rwlock_init(&i->cache[k].lock, NULL);
}

void sessions_free(struct identity *i) {
  for (int k = 0; k < CACHE_SHARDS; k++) {
    struct cached *c, *next;
    HASH_ITER(hh, i->cache[k].entries, c, next) {
      HASH_DEL(i->cache[k].entries, c);
      free(c);
    }
    pthread_rwlock_destroy(&i->cache[k].lock);
  }
}

/* ---- the cache --------------------------------------------------------------------------- */

static struct cache_shard *shard_of(struct identity *i, const char *digest) {
  char two[3] = {digest[0], digest[1], '\0'};
  unsigned char first = 0;
  hex_decode(two, &first, 1);
  return &i->cache[first % CACHE_SHARDS];
}

/* True when found and fresh. *generation is what cache_put must be given. */
static bool cache_get(struct cache_shard *s, const char *digest, struct actor *out, uint64_t *generation) {
  struct cached *c = NULL;
  bool found = false;
  pthread_rwlock_rdlock(&s->lock);
  HASH_FIND(hh, s->entries, digest, HEX - 1, c);
  if (c != NULL && clock_mono() - c->read_at < CACHE_FRESH_MS) {
    *out = c->actor;
    found = true;
  }
  *generation = s->generation;
  pthread_rwlock_unlock(&s->lock);
  return found;
}

static void cache_put(struct cache_shard *s, const char *digest, const struct actor *a, int64_t read_at, uint64_t generation) {
  struct cached *c = NULL;
  pthread_rwlock_wrlock(&s->lock);
  if (s->generation == generation) {
    HASH_FIND(hh, s->entries, digest, HEX - 1, c);
    if (c == NULL && HASH_COUNT(s->entries) >= CACHE_PER_SHARD) c = s->entries;
    if (c != NULL) HASH_DEL(s->entries, c);
    else c = base_alloc(sizeof *c);
    snprintf(c->token, sizeof c->token, "%s", digest);
    c->read_at = read_at;
    c->actor = *a;
    HASH_ADD(hh, s->entries, token, HEX - 1, c);
  }
  pthread_rwlock_unlock(&s->lock);
}

/* One session; else those of a name; else those of a telephone; else (all NULL) of all staff. */
static void cache_remove(struct cache_shard *s, const char *digest, const char *username, const char *mobile) {
  struct cached *c, *next;
  pthread_rwlock_wrlock(&s->lock);
  s->generation++;
  if (digest != NULL) {
    HASH_FIND(hh, s->entries, digest, HEX - 1, c);
    if (c != NULL) {
      HASH_DEL(s->entries, c);
      free(c);
    }
  } else {
    HASH_ITER(hh, s->entries, c, next) {
      bool meant = username ? strcmp(c->actor.username, username) == 0 : mobile ? strcmp(c->actor.mobile, mobile) == 0 : c->actor.kind == ACTOR_STAFF;
      if (!meant) continue;
      HASH_DEL(s->entries, c);
      free(c);
    }
  }
  pthread_rwlock_unlock(&s->lock);
}

void sessions_forget_user(struct identity *i, const char *username) {
  for (int k = 0; k < CACHE_SHARDS; k++) cache_remove(&i->cache[k], NULL, username, NULL);
}

void sessions_forget_mobile(struct identity *i, const char *mobile) {
  for (int k = 0; k < CACHE_SHARDS; k++) cache_remove(&i->cache[k], NULL, NULL, mobile);
}

/* ---- making -------------------------------------------------------------------------------- */

void session_token(char token[64]) {
  unsigned char raw[32];
  random_bytes(raw, sizeof raw);
  char *text = base64url_encode(raw, sizeof raw);
  snprintf(token, 64, "%s", text);
  free(text);
}

int session_insert(struct store_tx *tx, const struct identity *i, const char *token, const struct session_row *row, struct err *err) {
  char digest[HEX];
  int64_t now = store_time(tx);
  identity_digest_hex(token, digest);
  return store_put(tx, err,
    "INSERT INTO session (token, username, national_id, mobile, assurance, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    "ttttiii", digest, row->username, row->national_id, row->mobile, (int64_t)row->assurance, now,
    now + (int64_t)i->options.session_seconds * 1000);
}

/* ---- reading -------------------------------------------------------------------------------- */

struct load {
  const struct identity *i;
  const char *digest;
  struct actor *actor;
  int64_t seen;        /* when this member of staff was last here, 0 never */
};

static int load_session(struct store_tx *tx, void *arg, struct err *err) {
  struct load *l = arg;
  struct actor *a = l->actor;
  memset(a, 0, sizeof *a);
  struct store_rows *r = store_select(tx, err,
    "SELECT session.username, national_id, mobile, assurance, expires_at, COALESCE(staff_seen.at, 0) FROM session"
    " LEFT JOIN staff_seen ON staff_seen.username = session.username WHERE token = ?1 AND expires_at > ?2", "ti", l->digest, clock_now());
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(a->username, sizeof a->username, "%s", store_text(r, 0));
    snprintf(a->national_id, sizeof a->national_id, "%s", store_text(r, 1));
    snprintf(a->mobile, sizeof a->mobile, "%s", store_text(r, 2));
    a->assurance = (enum assurance)store_int(r, 3);
    a->expires_at = store_int(r, 4);
    a->kind = a->username[0] != '\0' ? ACTOR_STAFF : ACTOR_CITIZEN;
    l->seen = store_int(r, 5);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int load_staff(struct store_tx *tx, void *arg, struct err *err) {
  struct actor *a = ((struct load *)arg)->actor;
  a->role_count = 0;
  struct store_rows *r = store_select(tx, err,
    "SELECT s.name, r.organisation, r.role, COALESCE(u.unit, ''), COALESCE(a.must_change, 0) FROM staff s JOIN staff_role r ON r.username = s.username"
    " LEFT JOIN staff_unit u ON u.username = s.username AND u.organisation = r.organisation LEFT JOIN staff_account a ON a.username = s.username"
    " WHERE s.username = ?1 AND s.password <> '' AND COALESCE(a.disabled, 0) = 0 ORDER BY r.organisation, r.role LIMIT 16", "t", a->username);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1 && a->role_count < ROLES_MOST) {
    snprintf(a->name, sizeof a->name, "%s", store_text(r, 0));
    snprintf(a->roles[a->role_count].organisation, sizeof a->roles[0].organisation, "%s", store_text(r, 1));
    snprintf(a->roles[a->role_count].unit, sizeof a->roles[0].unit, "%s", store_text(r, 3));
    a->must_change = store_int(r, 4) != 0;
    a->roles[a->role_count++].role = (int)store_int(r, 2);
  }
  store_done(r);
  if (rc < 0 || !actor_has_role(a, NULL, STAFF_AGENT)) return rc < 0 ? -1 : 0;
  r = store_select(tx, err, "SELECT office FROM staff_office WHERE username = ?1", "t", a->username);
  if (r == NULL) return -1;
  rc = store_next(r, err);
  if (rc == 1) snprintf(a->office, sizeof a->office, "%s", store_text(r, 0));
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int seen_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_put(tx, err, "INSERT INTO staff_seen (username, at) VALUES (?1, ?2) ON CONFLICT (username) DO UPDATE SET at = excluded.at", "ti",
                   (const char *)arg, store_time(tx));
}

static void seen_done(void *arg, int rc, const struct err *err) {
  if (rc != 0) log_write(LOG_WARN, "identity", "that somebody was here could not be noted: %s", err != NULL ? err->message : "");
  free(arg);
}

/* Nobody waits for it, and ten minutes are near enough. */
static void note_seen(struct identity *i, const char *username, int64_t seen) {
  struct err err = {0};
  if (clock_now() - seen < SEEN_EVERY_MS) return;
  char *name = base_strdup(username);
  if (store_submit(i->fast, STORE_JOBS, seen_work, name, seen_done, &err) != 0) seen_done(name, -1, &err);
}

static void name_person(const struct identity *i, struct actor *a) {
  if (a->kind == ACTOR_STAFF) {
    snprintf(a->person, sizeof a->person, "s:%s", a->username);
    return;
  }
  identity_pair_key(i, a->national_id, a->mobile, a->pair);
  if (a->assurance >= ASSURANCE_SIM_MATCHED) identity_person_key(i, a->national_id, a->person);
  else memcpy(a->person, a->pair, sizeof a->person);
}

static void encode_token(const unsigned char mac[32], char out[48]) {
  char *text = base64url_encode(mac, 32);
  snprintf(out, 48, "%s", text);
  free(text);
}

static bool token_shaped(const char *token) {
  size_t n = 0;
  if (token == NULL) return false;
  for (; token[n] != '\0'; n++) {
    char c = token[n];
    bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (n == 43 || !fits) return false;
  }
  return n == 43;
}

int identity_session(struct identity *i, const char *token, struct actor *out, struct err *err) {
  char digest[HEX];
  uint64_t generation;
  unsigned char mac[32];
  memset(out, 0, sizeof *out);
  if (!token_shaped(token)) return 1;
  identity_digest_hex(token, digest);
  struct cache_shard *s = shard_of(i, digest);
  if (cache_get(s, digest, out, &generation)) {
    if (out->expires_at > clock_now()) return 0;
    memset(out, 0, sizeof *out);
    return 1;
  }
  struct load l = {i, digest, out, 0};
  int64_t read_at = clock_mono();
  if (store_read(i->fast, load_session, &l, err) != 0 || (out->kind == ACTOR_STAFF && store_read(i->main, load_staff, &l, err) != 0)) {
    memset(out, 0, sizeof *out);
    return -1;
  }
  if (out->kind == ACTOR_NOBODY || (out->kind == ACTOR_STAFF && out->role_count == 0)) {
    memset(out, 0, sizeof *out);
    return 1;
  }
  if (out->kind == ACTOR_STAFF) note_seen(i, out->username, l.seen);
  name_person(i, out);
  identity_mac(i, "form", digest, NULL, mac);
  encode_token(mac, out->form_token);
  cache_put(s, digest, out, read_at, generation);
  return 0;
}

bool identity_form_token_ok(const struct actor *a, const char *given) {
  size_t n = strlen(a->form_token);
  return n == 43 && given != NULL && strlen(given) == n && trust_same(a->form_token, given, n);
}

void identity_anonymous_token(const struct identity *i, const char *cookie, char out[48]) {
  unsigned char mac[32];
  identity_mac(i, "anonymous form", cookie == NULL ? "" : cookie, NULL, mac);
  encode_token(mac, out);
}

/* ---- ending ---------------------------------------------------------------------------------- */

static int end_session(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM session WHERE token = ?1", "t", (const char *)arg) < 0 ? -1 : 0;
}

static int end_user(struct store_tx *tx, void *arg, struct err *err) {
  return store_exec(tx, err, "DELETE FROM session WHERE username = ?1", "t", (const char *)arg) < 0 ? -1 : 0;
}

int identity_logout(struct identity *i, const char *token, struct err *err) {
  char digest[HEX];
  if (!token_shaped(token)) return 0;
  identity_digest_hex(token, digest);
  int rc = store_write(i->fast, STORE_FRONT, end_session, digest, err);
  cache_remove(shard_of(i, digest), digest, NULL, NULL);
  return rc;
}

int identity_logout_user(struct identity *i, const char *username, struct err *err) {
  char name[64];
  if (identity_username(username, name) != 0) return err_set(err, ERR_NOT_FOUND, "no such user");
  int rc = store_write(i->fast, STORE_FRONT, end_user, name, err);
  sessions_forget_user(i, name);
  return rc;
}

static int count_users(struct store_tx *tx, void *arg, struct err *err) {
  struct ending *e = arg;
  e->ended = 0;
  if (e->names == NULL) {
    int n = store_exec(tx, err, "DELETE FROM session WHERE username <> '' AND username <> ?1", "t", e->spared);
    e->ended = n;
    return n < 0 ? -1 : 0;
  }
  size_t k;
  json_t *one;
  json_array_foreach(e->names, k, one) {
    if (strcmp(json_string_value(one), e->spared) == 0) continue;
    int n = store_exec(tx, err, "DELETE FROM session WHERE username = ?1", "t", json_string_value(one));
    if (n < 0) return -1;
    e->ended += n;
  }
  return 0;
}

int sessions_end(struct identity *i, struct ending *e, struct err *err) {
  int rc = store_write(i->fast, STORE_FRONT, count_users, e, err);
  size_t k;
  json_t *one;
  json_array_foreach(e->names, k, one) sessions_forget_user(i, json_string_value(one));
  for (int s = 0; e->names == NULL && s < CACHE_SHARDS; s++) cache_remove(&i->cache[s], NULL, NULL, NULL);
  return rc;
}

/* ---- forgetting what has expired --------------------------------------------------------------- */

static int sweep(struct store_tx *tx, void *arg, struct err *err) {
  int64_t now = store_time(tx), most = SWEEP_ROWS;
  if (store_exec(tx, err, "DELETE FROM session WHERE token IN (SELECT token FROM session WHERE expires_at <= ?1 ORDER BY expires_at"
                          " LIMIT ?2)", "ii", now, most) < 0) return -1;
  if (store_exec(tx, err, "DELETE FROM one_time_code WHERE challenge IN (SELECT challenge FROM one_time_code WHERE expires_at <= ?1"
                          " ORDER BY expires_at LIMIT ?2)", "ii", now, most) < 0) return -1;
  if (store_exec(tx, err, "DELETE FROM use_limit WHERE subject IN (SELECT subject FROM use_limit WHERE full_at <= ?1 ORDER BY full_at"
                          " LIMIT ?2)", "ii", now, most) < 0) return -1;
  return store_exec(tx, err, "DELETE FROM lockout WHERE subject IN (SELECT subject FROM lockout WHERE forget_at <= ?1 ORDER BY forget_at"
                             " LIMIT ?2)", "ii", now, most) < 0 ? -1 : 0;
}

static void swept(void *arg, int rc, const struct err *err) {
  if (rc != 0) log_write(LOG_WARN, "identity", "what has expired could not be deleted: %s", err != NULL ? err->message : "");
}

void identity_sweep(struct identity *i) {
  int64_t now = clock_mono(), last = atomic_load(&i->swept_at);
  if (last != 0 && now - last < SWEEP_EVERY_MS) return;
  if (!atomic_compare_exchange_strong(&i->swept_at, &last, now)) return;
  struct err err = {0};
  if (store_submit(i->fast, STORE_JOBS, sweep, NULL, swept, &err) != 0) swept(NULL, -1, &err);
}
