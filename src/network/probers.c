/* Probers at hubs: invited by a one-time code, admitted with it, their right taken away. Each an act, a leaf of the ledger. */
#include "network/hub.h"

#include <stdlib.h>
#include <string.h>

enum { CODE_MS = 86400000, CODE_LETTERS = 25, CODE_GROUP = 5, LIST_MOST = 500 };

struct admitting {
  const struct network_by *by;
  const char *name, *key, *reason;
  char hash[65], who[80], why[NETWORK_NOTE_MOST + 1];
  bool right;
};

static int judge(const struct network_by *by, const char *name, const char *reason, struct err *err) {
  if (by->organisation) return err_set(err, ERR_FORBIDDEN, "probers are admitted by operators of the province");
  if (!hub_name_ok(name)) return err_set(err, ERR_INVALID, "a prober's name is made of small letters, digits and '-', 40 at most");
  size_t n = reason ? strlen(reason) : 0;
  if (n < 3 || n > NETWORK_NOTE_MOST || !utf8_valid(reason, n)) return err_set(err, ERR_INVALID, "a reason has 3 to %d bytes", NETWORK_NOTE_MOST);
  return 0;
}

static int act(struct store_tx *tx, const char *kind, const char *name, const char *who, const char *reason, const char *key, struct err *err) {
  json_t *detail = json_object();
  if (key) json_put(detail, "key", key);
  struct event e = {.kind = kind, .subject = name, .who = who, .text = reason, .detail = detail};
  int rc = network_event_put(tx, &e, err) || network_bump(tx, err) ? -1 : 0;
  json_decref(detail);
  return rc;
}

/* 125 bits, so many that wrong ones need not be counted: whoever knows a prober's name alone can spoil nothing. In letters and digits that nobody takes for others, five by five. */
static void new_code(const char *name, char code[NETWORK_PROBER_CODE]) {
  static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
  unsigned char raw[CODE_LETTERS];
  size_t n = (size_t)snprintf(code, NETWORK_PROBER_CODE, "%s.", name);
  random_bytes(raw, sizeof raw);
  for (int i = 0; i < CODE_LETTERS; i++) {
    if (i && i % CODE_GROUP == 0) code[n++] = '-';
    code[n++] = letters[raw[i] & 31];
  }
  code[n] = 0;
  explicit_bzero(raw, sizeof raw);
}

/* As it was written down: capitals, hyphens and spaces do not matter, O is 0, I and L are 1. */
static void hash_of(const char *name, const char *code, char out[65]) {
  unsigned char digest[32];
  char read[NETWORK_PROBER_CODE];
  size_t n = (size_t)snprintf(read, sizeof read, "%s.", name);
  if (strncmp(code, read, n) == 0) code += n; /* else it is another's, and no code of this one */
  for (const char *c = code; *c && n < sizeof read; c++) {
    char l = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    if (l != '-' && l != ' ') read[n++] = l == 'o' ? '0' : l == 'i' || l == 'l' ? '1' : l;
  }
  sha256(read, n, digest);
  hex_encode(digest, 32, out);
  explicit_bzero(read, sizeof read);
}

/* ---- invited ---- */

static int invite_work(struct store_tx *tx, void *arg, struct err *err) {
  struct admitting *k = arg;
  int64_t others = 0, now = store_time(tx);
  if (store_value(tx, &others, 0, err, "SELECT COUNT(*) FROM (SELECT p.name FROM network_prober p WHERE p.key<>'' OR EXISTS (SELECT 1 FROM network_node m WHERE m.prober=p.name) "
                  "UNION SELECT c.name FROM network_prober_code c WHERE c.until_at>?2) a WHERE a.name<>?1", "ti", k->name, now)) return -1;
  if (others >= NETWORK_PROBERS_MOST) return err_set(err, ERR_LIMIT, "there are %d probers already", NETWORK_PROBERS_MOST);
  if (store_put(tx, err, "INSERT INTO network_prober_code (name,hash,until_at,at,who,reason) VALUES (?1,?2,?3,?4,?5,?6) ON CONFLICT (name) DO UPDATE SET hash=excluded.hash,"
                "until_at=excluded.until_at,at=excluded.at,who=excluded.who,reason=excluded.reason", "ttiitt", k->name, k->hash, now + CODE_MS, now, k->by->who, k->reason))
    return -1;
  return act(tx, "prober_invite", k->name, k->by->who, k->reason, NULL, err);
}

int network_prober_invite(struct network *n, const struct network_by *by, const char *name, const char *reason, char code[NETWORK_PROBER_CODE], struct err *err) {
  struct admitting k = {.by = by, .name = name, .reason = reason};
  if (judge(by, name, reason, err)) return -1;
  new_code(name, code);
  hash_of(name, code, k.hash);
  return store_write(n->main, STORE_FRONT, invite_work, &k, err);
}

/* ---- admitted ---- */

/* Two may show the same code at once: its row goes with the first of them, and the second no longer finds it. */
static int join_work(struct store_tx *tx, void *arg, struct err *err) {
  struct admitting *k = arg;
  int64_t now = store_time(tx);
  struct store_rows *r = store_select(tx, err, "DELETE FROM network_prober_code WHERE name=?1 AND hash=?2 AND until_at>?3 RETURNING who,reason", "tti", k->name, k->hash, now);
  int rc = r ? store_next(r, err) : -1;
  k->right = rc == 1;
  if (k->right) {
    snprintf(k->who, sizeof k->who, "%s", store_text(r, 0));
    snprintf(k->why, sizeof k->why, "%s", store_text(r, 1));
  }
  store_done(r);
  if (rc < 1) return rc;
  int64_t known = 0; /* numbers are one key's: what another one counted does not hold this one up */
  if (store_value(tx, &known, 0, err, "SELECT COUNT(*) FROM network_prober p LEFT JOIN network_prober_said s ON s.name=p.name WHERE p.name=?1 AND (p.key=?2 OR s.revoked_key=?2)", "tt", k->name, k->key) ||
      store_put(tx, err, "INSERT INTO network_prober (name,key,last,next) VALUES (?1,?2,0,0) ON CONFLICT (name) DO UPDATE SET key=excluded.key,next=network_prober.next*?3", "tti", k->name, k->key, known) ||
      store_put(tx, err, "INSERT INTO network_prober_said (name,report,heard,version,backlog,oldest,skew,trouble,joined_at,admitted_by,revoked_at,revoked_by,revoked_key,reason) "
                "VALUES (?1,0,0,'',0,0,0,'',?2,?3,0,'','',?4) ON CONFLICT (name) DO UPDATE SET joined_at=excluded.joined_at,admitted_by=excluded.admitted_by,revoked_at=0,revoked_by='',"
                "revoked_key='',reason=excluded.reason,report=network_prober_said.report*?5", "titti", k->name, now, k->who, k->why, known))
    return -1;
  return act(tx, "prober", k->name, k->who, k->why, k->key, err);
}

int network_prober_join(struct network *n, const char *name, const void *body, size_t size, const char *signature, struct network_refusal *why, struct err *err) {
  struct admitting k = {.name = name};
  unsigned char raw[32];
  size_t length = 0;
  *why = (struct network_refusal){0};
  json_t *j = size <= 4096 ? json_read(body, size, 2, err) : NULL;
  const char *code = json_str(j, "code");
  k.key = json_str(j, "key");
  int rc = 0;
  if (!hub_name_ok(name) || !code || !k.key || strlen(k.key) != 44 || base64_decode(k.key, strlen(k.key), raw, sizeof raw, &length) || length != 32)
    rc = hub_refuse(why, err, ERR_INVALID, "probe.join_form", NULL);
  else if (!hub_verify(k.key, HUB_JOIN, body, size, signature)) rc = hub_refuse(why, err, ERR_INVALID, "probe.join_signature", NULL);
  else {
    hash_of(name, code, k.hash);
    rc = store_write(n->main, STORE_FRONT, join_work, &k, err);
    if (rc == 0 && !k.right) rc = hub_refuse(why, err, ERR_NOT_FOUND, "probe.code", NULL);
  }
  json_decref(j);
  return rc;
}

/* ---- the right is taken away ---- */

static int revoke_work(struct store_tx *tx, void *arg, struct err *err) {
  struct admitting *k = arg;
  int waiting = store_exec(tx, err, "DELETE FROM network_prober_code WHERE name=?1", "t", k->name);
  if (waiting < 0) return -1;
  int done = store_exec(tx, err, "UPDATE network_prober_said SET revoked_at=?2,revoked_by=?3,reason=?4,revoked_key=(SELECT p.key FROM network_prober p WHERE p.name=?1) WHERE name=?1 AND revoked_at=0",
                        "titt", k->name, store_time(tx), k->by->who, k->reason);
  if (done < 0) return -1;
  if (!done && !waiting) return err_set(err, ERR_NOT_FOUND, "there is no prober %.40s that is admitted or invited", k->name);
  if (store_put(tx, err, "UPDATE network_prober SET key='' WHERE name=?1", "t", k->name)) return -1;
  return act(tx, "prober_revoke", k->name, k->by->who, k->reason, NULL, err);
}

int network_prober_revoke(struct network *n, const struct network_by *by, const char *name, const char *reason, struct err *err) {
  struct admitting k = {.by = by, .name = name, .reason = reason};
  if (judge(by, name, reason, err) || store_write(n->main, STORE_FRONT, revoke_work, &k, err)) return -1;
  pthread_mutex_lock(&n->lock); /* at once here; other processes read it a second later */
  for (int p = 1; p < n->prober_count; p++)
    if (base_same(n->probers[p].name, name)) n->probers[p].key[0] = 0;
  pthread_mutex_unlock(&n->lock);
  return 0;
}

/* ---- the list ---- */

static json_t *row_of(const struct store_rows *r) {
  json_t *o = json_object();
  bool revoked = store_int(r, 9) > 0, code = store_int(r, 11) > 0, invited = store_int(r, 11) > clock_now();
  json_put(o, "name", store_text(r, 0));
  json_put(o, "key", store_text(r, 1));
  json_put(o, "state", store_text(r, 1)[0] ? "admitted" : invited ? "invited" : revoked && !code ? "revoked" : "expired");
  json_object_set_new(o, "last", time_json(store_int(r, 2)));
  json_object_set_new(o, "heard", time_json(store_int(r, 3)));
  json_put(o, "version", store_text(r, 4));
  json_object_set_new(o, "backlog", json_integer(store_int(r, 5)));
  json_object_set_new(o, "oldest", time_json(store_int(r, 6)));
  json_object_set_new(o, "clock_ms", json_integer(store_int(r, 7)));
  json_object_set_new(o, "joined_at", time_json(store_int(r, 8)));
  json_object_set_new(o, "revoked_at", time_json(store_int(r, 9)));
  json_put(o, "by", store_text(r, 10));
  json_object_set_new(o, "invited_until", invited ? time_json(store_int(r, 11)) : json_null());
  json_put(o, "reason", store_text(r, 12));
  json_put(o, "trouble", store_text(r, 13)[0] ? store_text(r, 13) : NULL);
  return o;
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  json_t *list = arg;
  json_array_clear(list);
  struct store_rows *r = store_select(tx, err,
    "SELECT a.name,COALESCE(p.key,''),COALESCE(p.last,0),COALESCE(s.heard,0),COALESCE(s.version,''),COALESCE(s.backlog,0),COALESCE(s.oldest,0),COALESCE(s.skew,0),COALESCE(s.joined_at,0),"
    "COALESCE(s.revoked_at,0),COALESCE(c.who,CASE WHEN s.revoked_at>0 THEN s.revoked_by ELSE s.admitted_by END,''),COALESCE(c.until_at,0),COALESCE(c.reason,s.reason,''),COALESCE(s.trouble,'') "
    "FROM (SELECT name FROM network_prober UNION SELECT name FROM network_prober_code) a LEFT JOIN network_prober p ON p.name=a.name LEFT JOIN network_prober_said s ON s.name=a.name "
    "LEFT JOIN network_prober_code c ON c.name=a.name ORDER BY a.name LIMIT ?1", "i", (int64_t)LIST_MOST);
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) json_array_append_new(list, row_of(r));
  store_done(r);
  return rc < 0 ? -1 : 0;
}

int network_probers(struct network *n, json_t **out, struct err *err) {
  json_t *list = json_array(), *o;
  size_t i;
  if (store_read(n->main, list_work, list, err)) {
    json_decref(list);
    return -1;
  }
  pthread_mutex_lock(&n->lock);
  json_array_foreach(list, i, o) {
    int64_t offices = 0, silent = 0;
    for (int k = 0; k < n->real; k++) {
      if (!base_same(n->nodes[k].o.prober, json_str(o, "name"))) continue;
      offices++;
      silent += n->core->nodes[k].shown == NETWORK_UNKNOWN;
    }
    json_object_set_new(o, "offices", json_integer(offices));
    json_object_set_new(o, "unknown", json_integer(silent));
    bool away = false;
    for (int p = 1; p < n->prober_count; p++) away |= base_same(n->probers[p].name, json_str(o, "name")) && n->core->probers_away >> p & 1;
    json_object_set_new(o, "away", json_boolean(away));
  }
  pthread_mutex_unlock(&n->lock);
  *out = json_pack("{s:o}", "items", list);
  return 0;
}
