/* The desk's own: remarks between colleagues, and the next case. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

/* ---- remarks ---- */

struct remark {
  struct cases *c;
  const struct actor *who;
  const char *tracking, *text;
  const json_t *documents;
  char id[65];
};

static const char *desk_of(const struct actor *who, const struct case_row *row) {
  return actor_in(who, row->holder) ? row->holder : actor_in(who, row->owner) ? row->owner : row->provider;
}

static int remark_work(struct store_tx *tx, void *arg, struct err *err) {
  struct remark *k = arg;
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  struct case_row row;
  struct arena *a = arena_new(1024 * 1024);
  int64_t now = clock_now();
  char at[32], *header = NULL, *payload = NULL;
  int rc = case_load(k->c, tx, a, k->tracking, &row, err);
  if (rc == 0 && case_right_of(k->who, &row) != CASE_STAFF) rc = err_set(err, ERR_NOT_FOUND, "no such case");
  if (rc) goto out;
  json_t *p = json_object();
  json_put(p, "text", k->text);
  json_put(p, "who", k->who->username);
  if (k->documents) json_object_set(p, CASES_ATTACHED, (json_t *)(uintptr_t)k->documents);
  payload = json_canonical(p);
  json_decref(p);
  clock_rfc3339_ms(now, at);
  random_bytes(salt, sizeof salt);
  header = base_printf("{\"at\":\"%s\",\"case\":\"%s\",\"id\":\"%s\",\"kind\":\"remark\"}", at, row.tracking, k->id);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  rc = store_exec(tx, err, "INSERT INTO case_remark (tracking,id,at,organisation,salt,payload) VALUES (?1,?2,?3,?4,?5,?6) ON CONFLICT DO NOTHING", "ttitbt",
                  row.tracking, k->id, now, desk_of(k->who, &row), (const void *)salt, (size_t)TRUST_SALT, payload);
  if (rc > 0) rc = trust_append(tx, leaf, header, digest, err) || case_bind_internal(tx, k->documents, k->who, row.tracking, err) ? -1 : 0; /* 0: said already */
out:
  free(header);
  free(payload);
  arena_free(a);
  return rc < 0 ? -1 : 0;
}

int cases_remark(struct cases *c, const struct actor *who, const char *tracking, const char *text, const json_t *documents, const char *key, struct err *err) {
  size_t n = text ? strlen(text) : 0;
  unsigned char hash[32];
  if (n < 1 || n > 4000) return err_set(err, ERR_INVALID, "a remark has 1 to 4000 bytes");
  if (json_array_size(documents) > CASES_ATTACHED_MOST) return err_set(err, ERR_INVALID, "a remark has at most %d documents", CASES_ATTACHED_MOST);
  if (!key || !key[0] || strlen(key) > 200) return err_set(err, ERR_INVALID, "an Idempotency-Key has 1 to 200 characters");
  if (who->kind != ACTOR_STAFF) return err_set(err, ERR_NOT_FOUND, "no such case");
  struct remark k = {.c = c, .who = who, .tracking = tracking, .text = text, .documents = json_array_size(documents) ? documents : NULL};
  char *whole = base_printf("%s\n%s", who->username, key);
  sha256(whole, strlen(whole), hash);
  free(whole);
  hex_encode(hash, 16, k.id);
  return store_write(c->store, STORE_FRONT, remark_work, &k, err);
}

json_t *case_remarks(struct store_tx *tx, const char *tracking, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT at,organisation,payload FROM case_remark WHERE tracking=?1 ORDER BY at,id LIMIT 200", "t", tracking);
  if (!r) return NULL;
  json_t *list = json_array();
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    json_t *o = json_object(), *p = store_text(r, 2) ? json_loads(store_text(r, 2), 0, NULL) : NULL;
    char at[32];
    clock_rfc3339_ms(store_int(r, 0), at);
    json_put(o, "at", at);
    json_put(o, "organisation", store_text(r, 1));
    json_put(o, "who", json_str(p, "who"));
    json_put(o, "text", json_str(p, "text"));
    if (json_object_get(p, CASES_ATTACHED)) json_object_set(o, CASES_ATTACHED, json_object_get(p, CASES_ATTACHED));
    json_array_append_new(list, o);
    json_decref(p);
  }
  store_done(r);
  if (rc == 0) return list;
  json_decref(list);
  return NULL;
}

/* ---- the next case ---- */

enum { CANDIDATES = 20 };

struct candidates {
  const char *organisation, *username, *after;
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
  k->count = 0;
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
