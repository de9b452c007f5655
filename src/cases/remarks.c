/* The desk's own: remarks between colleagues, calls, and the next case. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

/* ---- remarks, calls, incoming letters ---- */

struct remark {
  struct cases *c;
  const struct actor *who;
  const struct desk_note *n;
  char id[65];
};

static const char *const kinds[] = {[NOTE_REMARK] = NULL, [NOTE_CALL] = "call", [NOTE_INCOMING] = "incoming"};

const char *case_desk_of(const struct actor *who, const struct case_row *row) {
  return actor_in(who, row->holder) ? row->holder : actor_in(who, row->owner) ? row->owner : row->provider;
}

static char *payload_of(const struct remark *k) {
  const struct desk_note *n = k->n;
  const struct { const char *name, *value; } parts[] = {{"caller", n->caller}, {"date", n->date}, {"from", n->from}, {"kind", kinds[n->kind]},
                                                        {"number", n->number}, {"promise", n->promise}, {"telephone", n->telephone}, {"text", n->text}};
  json_t *p = json_object();
  for (size_t i = 0; i < BASE_COUNT(parts); i++)
    if (parts[i].value && parts[i].value[0]) json_put(p, parts[i].name, parts[i].value);
  json_put(p, "who", k->who->username);
  if (json_array_size(n->documents)) json_object_set(p, CASES_ATTACHED, (json_t *)(uintptr_t)n->documents);
  char *text = json_canonical(p);
  json_decref(p);
  return text;
}

/* Who handles the case writes; whoever answers the telephone notes a call. */
static bool may_note(const struct remark *k, const struct case_row *row) {
  enum case_right right = case_right_of(k->who, row);
  return right == CASE_STAFF || (k->n->kind == NOTE_CALL && (right == CASE_HELPDESK || right == CASE_INQUIRED));
}

/* Written once by its id. */
int case_note_put(struct store_tx *tx, const struct actor *who, const struct case_row *row, const struct desk_note *n, const char *id, struct err *err) {
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  struct remark k = {.who = who, .n = n};
  int64_t now = clock_now();
  char at[32], *payload = payload_of(&k);
  clock_rfc3339_ms(now, at);
  random_bytes(salt, sizeof salt);
  char *header = base_printf("{\"at\":\"%s\",\"case\":\"%s\",\"id\":\"%s\",\"kind\":\"remark\"}", at, row->tracking, id);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  int rc = store_exec(tx, err, "INSERT INTO case_remark (tracking,id,at,organisation,salt,payload) VALUES (?1,?2,?3,?4,?5,?6) ON CONFLICT DO NOTHING", "ttitbt",
                      row->tracking, id, now, case_desk_of(who, row), (const void *)salt, (size_t)TRUST_SALT, payload);
  if (rc > 0) /* 0: the same key has said it already */
    rc = trust_append(tx, leaf, header, digest, err) || case_bind_internal(tx, n->documents, who, row->tracking, err) ? -1 : 0;
  free(header);
  free(payload);
  return rc < 0 ? -1 : 0;
}

static int remark_work(struct store_tx *tx, void *arg, struct err *err) {
  struct remark *k = arg;
  struct case_row row;
  struct arena *a = arena_new(1024 * 1024);
  int rc = case_load(k->c, tx, a, k->n->tracking, &row, err);
  if (rc == 0 && !may_note(k, &row)) rc = err_set(err, ERR_NOT_FOUND, "no such case");
  if (rc == 0) rc = case_note_put(tx, k->who, &row, k->n, k->id, err);
  arena_free(a);
  return rc;
}

int case_desk_log(struct store_tx *tx, const char *id, const char *organisation, const char *what, int64_t at, const char *payload, struct err *err) {
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  char when[32];
  clock_rfc3339_ms(at, when);
  random_bytes(salt, sizeof salt);
  char *header = base_printf("{\"at\":\"%s\",\"id\":\"%s\",\"kind\":\"desk\",\"organisation\":\"%s\",\"what\":\"%s\"}", when, id, organisation, what);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  int rc = store_exec(tx, err, "INSERT INTO desk_log (id,organisation,what,at,salt,payload) VALUES (?1,?2,?3,?4,?5,?6) ON CONFLICT DO NOTHING", "ttti" "bt",
                      id, organisation, what, at, (const void *)salt, (size_t)TRUST_SALT, payload);
  if (rc > 0) rc = trust_append(tx, leaf, header, digest, err) ? -1 : 1;
  free(header);
  return rc;
}

/* An enquiry without a case. */
static int call_work(struct store_tx *tx, void *arg, struct err *err) {
  struct remark *k = arg;
  char *payload = payload_of(k);
  int rc = case_desk_log(tx, k->id, k->n->organisation, "call", clock_now(), payload, err);
  free(payload);
  return rc < 0 ? -1 : 0;
}

static bool within(const char *s, size_t most) { return !s || strlen(s) <= most; }

int cases_desk_note(struct cases *c, const struct actor *who, const struct desk_note *n, struct err *err) {
  size_t length = n->text ? strlen(n->text) : 0;
  unsigned char hash[32];
  if (length < 1 || length > 4000) return err_set(err, ERR_INVALID, "a remark has 1 to 4000 bytes");
  if (!within(n->caller, 400) || !within(n->telephone, 40) || !within(n->promise, 1000) || !within(n->from, 400) || !within(n->number, 200) || !within(n->date, 10))
    return err_set(err, ERR_INVALID, "one of the parts is too long");
  if (json_array_size(n->documents) > CASES_ATTACHED_MOST) return err_set(err, ERR_INVALID, "a remark has at most %d documents", CASES_ATTACHED_MOST);
  if (n->date && date_parse(n->date) == INT32_MIN) return err_set(err, ERR_INVALID, "that is no date");
  if (!n->key || !n->key[0] || strlen(n->key) > 200) return err_set(err, ERR_INVALID, "an Idempotency-Key has 1 to 200 characters");
  if (who->kind != ACTOR_STAFF) return err_set(err, ERR_NOT_FOUND, "no such case");
  if (!n->tracking && (n->kind != NOTE_CALL || !n->organisation || !actor_in(who, n->organisation))) return err_set(err, ERR_FORBIDDEN, "not a desk of yours");
  struct remark k = {.c = c, .who = who, .n = n};
  char *whole = base_printf("%s\n%s", who->username, n->key);
  sha256(whole, strlen(whole), hash);
  free(whole);
  hex_encode(hash, 16, k.id);
  return store_write(c->store, STORE_FRONT, n->tracking ? remark_work : call_work, &k, err);
}

int cases_remark(struct cases *c, const struct actor *who, const char *tracking, const char *text, const char *key, struct err *err) {
  return cases_desk_note(c, who, &(struct desk_note){.kind = NOTE_REMARK, .tracking = tracking, .text = text, .key = key}, err);
}

static json_t *note_json(int64_t at, const char *organisation, const char *payload) {
  static const char *const parts[] = {"who", "text", "kind", "caller", "telephone", "promise", "from", "number", "date"};
  json_t *o = json_object(), *p = payload ? json_loads(payload, 0, NULL) : NULL;
  char when[32];
  clock_rfc3339_ms(at, when);
  json_put(o, "at", when);
  json_put(o, "organisation", organisation);
  for (size_t i = 0; i < BASE_COUNT(parts); i++)
    if (i < 2 || json_str(p, parts[i])) json_put(o, parts[i], json_str(p, parts[i]));
  if (json_object_get(p, CASES_ATTACHED)) json_object_set(o, CASES_ATTACHED, json_object_get(p, CASES_ATTACHED));
  json_decref(p);
  return o;
}

json_t *case_remarks(struct store_tx *tx, const char *tracking, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT at,organisation,payload FROM case_remark WHERE tracking=?1 ORDER BY at,id LIMIT 200", "t", tracking);
  if (!r) return NULL;
  json_t *list = json_array();
  int rc;
  while ((rc = store_next(r, err)) == 1) json_array_append_new(list, note_json(store_int(r, 0), store_text(r, 1), store_text(r, 2)));
  store_done(r);
  if (rc == 0) return list;
  json_decref(list);
  return NULL;
}

struct calls {
  const char *organisation;
  int64_t before;
  int limit;
  json_t *items;
};

static int calls_work(struct store_tx *tx, void *arg, struct err *err) {
  struct calls *k = arg;
  json_array_clear(k->items);
  struct store_rows *r = store_select(tx, err,
    "SELECT at,organisation,payload FROM desk_log WHERE organisation=?1 AND what='call' AND at<?2 AND payload IS NOT NULL ORDER BY at DESC,id LIMIT ?3", "tii",
    k->organisation, k->before, (int64_t)k->limit);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) json_array_append_new(k->items, note_json(store_int(r, 0), store_text(r, 1), store_text(r, 2)));
  store_done(r);
  return rc;
}

int cases_desk_calls(struct cases *c, const struct actor *who, const char *organisation, int64_t before, int limit, json_t **out, struct err *err) {
  if (who->kind != ACTOR_STAFF || !actor_in(who, organisation)) return err_set(err, ERR_FORBIDDEN, "not a desk of yours");
  struct calls k = {.organisation = organisation, .before = before, .limit = limit < 1 || limit > 200 ? 50 : limit, .items = json_array()};
  int rc = store_read(c->store, calls_work, &k, err);
  if (rc == 0) *out = k.items;
  else json_decref(k.items);
  return rc;
}

/* ---- the next case ---- */

enum { CANDIDATES = 20 };

struct candidates {
  const char *organisation, *username, *after;
  bool away;
  int count;
  struct {
    char tracking[TRACKING_SIZE];
    bool mine;
    int64_t version;
  } items[CANDIDATES];
};

static int candidates_work(struct store_tx *tx, void *arg, struct err *err) {
  struct candidates *k = arg;
  int64_t ord = INT64_MIN, at = INT64_MIN;
  struct away away;
  int absent = case_absent(tx, k->username, k->organisation, &away, err);
  k->count = 0;
  if (absent < 0) return -1;
  k->away = absent;
  if (absent) return 0;
  struct store_rows *r = store_select(tx, err, "SELECT legal_ord,submitted_at FROM cases WHERE tracking=?1 AND holder=?2", "tt", k->after, k->organisation);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    ord = store_int(r, 0);
    at = store_int(r, 1);
  }
  store_done(r);
  if (rc < 0) return -1;
  r = store_select(tx, err,
    "SELECT tracking,assignee,version FROM cases WHERE holder=?1 AND result=0 AND (legal_ord,submitted_at,tracking)>(?2,?3,?4) AND stopped_ord<0 "
    "AND assignee IN ('',?5) AND submitter<>?5 ORDER BY legal_ord,submitted_at,tracking LIMIT 20", "tiitt", k->organisation, ord, at, k->after, k->username);
  if (!r) return -1;
  while (k->count < CANDIDATES && (rc = store_next(r, err)) == 1) {
    snprintf(k->items[k->count].tracking, TRACKING_SIZE, "%s", store_text(r, 0));
    k->items[k->count].mine = store_text(r, 1)[0] != 0;
    k->items[k->count++].version = store_int(r, 2);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* Where nothing is assigned in its state: may this person do anything else with it, and has still nobody got it? */
static bool open_to(struct cases *c, const struct actor *who, const char *tracking, enum lang l) {
  json_t *view = NULL;
  if (cases_get(c, who, tracking, l, &view, NULL)) return false;
  bool free = false;
  size_t i;
  const json_t *one;
  json_array_foreach(json_object_get(view, "actions"), i, one) free = free || !base_same(json_str(one, "name"), "add_documents"); /* which is no work on it */
  free = free && !json_str(view, "assignee");
  json_decref(view);
  return free;
}

int cases_next(struct cases *c, const struct actor *who, const char *organisation, const char *after, enum lang l, char tracking[TRACKING_SIZE], struct err *err) {
  char last[TRACKING_SIZE] = "";
  if (who->kind != ACTOR_STAFF || !actor_in(who, organisation)) return err_set(err, ERR_FORBIDDEN, "not a desk of yours");
  if (after) snprintf(last, sizeof last, "%s", after);
  for (int round = 0; round < 10; round++) {
    struct candidates k = {.organisation = organisation, .username = who->username, .after = last};
    if (store_read(c->store, candidates_work, &k, err)) return -1;
    if (k.away) return err_set(err, ERR_CONFLICT, "you are recorded as away");
    for (int i = 0; i < k.count; i++) {
      snprintf(tracking, TRACKING_SIZE, "%s", k.items[i].tracking);
      if (k.items[i].mine) return 0;
      struct case_act a = {.action = "assign", .expected_version = k.items[i].version, .actor = *who, .lang = l};
      memcpy(a.tracking, tracking, TRACKING_SIZE);
      int rc = cases_act(c, &a, NULL, NULL, err);
      json_decref(a.errors);
      if (rc == 0) return 0;
      if (err->code != ERR_CONFLICT && err->code != ERR_FORBIDDEN && err->code != ERR_NOT_FOUND) return -1;
      if (open_to(c, who, tracking, l)) return 0;
    }
    if (k.count < CANDIDATES) break;
    memcpy(last, k.items[k.count - 1].tracking, sizeof last);
  }
  return err_set(err, ERR_NOT_FOUND, "no case waits");
}
