/* What the operator decides: members, invitations, requests, gateways, keys. Each act is a row and a leaf of the operator's ledger. */
#include "exchange/publish.h"

#include <stdlib.h>
#include <string.h>

enum { INVITED_MS = 86400000, SWITCHED_MS = 600000, SEEN_MS = 180000, CLOCKS_MS = 300000 /* a key is good from so long before it is listed, as clocks differ by as much */, DAY_MS = 86400000, KEYS_MOST = 48 /* listed of one gateway; its reader takes 64 of a kind */ };

static int operator_only(struct exchange *x, struct err *err) {
  return x->publisher ? 0 : err_set(err, ERR_FORBIDDEN, "this is the operator's to do, and this gateway is not the operator's");
}

/* ---- members ---- */

struct change { const char *id, *a, *b, *by, *why; int64_t number; bool yes, none; char text[300]; };

static int member_work(struct store_tx *tx, void *arg, struct err *err) {
  struct change *c = arg;
  int64_t same = 0;
  if (store_value(tx, &same, 0, err, "SELECT COUNT(*) FROM exchange_member WHERE id = ?1 AND name_fa = ?2 AND name_en = ?3 AND removed_at = 0", "ttt", c->id, c->a, c->b)) return -1;
  c->none = same > 0;
  if (c->none) return 0;
  if (store_put(tx, err, "INSERT INTO exchange_member (id,name_fa,name_en,at,removed_at) VALUES (?1,?2,?3,?4,0) ON CONFLICT (id) DO UPDATE SET name_fa = excluded.name_fa, "
                "name_en = excluded.name_en, removed_at = 0", "ttti", c->id, c->a, c->b, store_time(tx)))
    return -1;
  return act_put(tx, c->by, "member", c->id, json_pack("{s:s}", "name", c->a), err);
}

int exchange_member_put(struct exchange *x, const char *id, const char *name_fa, const char *name_en, const char *by, struct err *err) {
  struct exchange_id parsed;
  if (operator_only(x, err) || exchange_id_parse(id, 3, 4, &parsed, err)) return -1;
  if (strcmp(parsed.instance, x->self.instance) != 0) return err_set(err, ERR_INVALID, "members of this directory begin with %s/", x->self.instance);
  struct change c = {.id = id, .a = name_fa ? name_fa : "", .b = name_en ? name_en : "", .by = by};
  if (store_write(x->store, STORE_FRONT, member_work, &c, err)) return -1;
  if (!c.none) x->publisher->dirty = true;
  return 0;
}

struct many { const struct exchange_member *list; size_t count, changed; };

static int members_work(struct store_tx *tx, void *arg, struct err *err) {
  struct many *q = arg;
  q->changed = 0;
  for (size_t i = 0; i < q->count; i++) {
    const struct exchange_member *m = &q->list[i];
    int n = store_exec(tx, err, "INSERT INTO exchange_member (id,name_fa,name_en,at,removed_at) VALUES (?1,?2,?3,?4,0) ON CONFLICT (id) DO UPDATE SET name_fa = excluded.name_fa, "
                       "name_en = excluded.name_en WHERE exchange_member.removed_at = 0 AND (exchange_member.name_fa <> excluded.name_fa OR exchange_member.name_en <> excluded.name_en)",
                       "ttti", m->id, m->name_fa, m->name_en, store_time(tx));
    if (n < 0) return -1;
    q->changed += (size_t)n;
  }
  return q->changed ? act_put(tx, "pack", "members", "", json_pack("{s:I}", "changed", (json_int_t)q->changed), err) : 0;
}

int exchange_members_put(struct exchange *x, const struct exchange_member *list, size_t count, size_t *changed, struct err *err) {
  struct many q = {.list = list, .count = count};
  struct exchange_id parsed;
  if (operator_only(x, err)) return -1;
  for (size_t i = 0; i < count; i++) {
    if (exchange_id_parse(list[i].id, 3, 4, &parsed, err)) return -1;
    if (strcmp(parsed.instance, x->self.instance) != 0) return err_set(err, ERR_INVALID, "members of this directory begin with %s/, and %s does not", x->self.instance, list[i].id);
  }
  if (store_write(x->store, STORE_FRONT, members_work, &q, err)) return -1;
  if (q.changed) x->publisher->dirty = true;
  *changed = q.changed;
  return 0;
}

static int remove_work(struct store_tx *tx, void *arg, struct err *err) {
  struct change *c = arg;
  int64_t now = store_time(tx);
  char *below = base_printf("%s/", c->id), *end = base_printf("%s0", c->id); /* '0' follows '/' */
  int keys = 0, n = store_exec(tx, err, "UPDATE exchange_member SET removed_at = ?2 WHERE removed_at = 0 AND (id = ?1 OR (id > ?3 AND id < ?4))", "titt", c->id, now, below, end);
  if (n > 0 && !c->yes) { /* a member: its gateways with it; a key must not come back with a gateway of the same name */
    keys = store_exec(tx, err, "UPDATE exchange_gateway_key SET revoked_at = ?1 WHERE revoked_at = 0 AND server > ?2 AND server < ?3", "itt", now, below, end);
    if (keys < 0 || store_exec(tx, err, "UPDATE exchange_gateway SET removed_at = ?1 WHERE removed_at = 0 AND server > ?2 AND server < ?3", "itt", now, below, end) < 0) n = -1;
  }
  if (n > 0 && store_exec(tx, err, "DELETE FROM exchange_global_group WHERE member = ?1 OR (member > ?2 AND member < ?3)", "ttt", c->id, below, end) < 0) n = -1;
  free(below);
  free(end);
  if (n < 0) return -1;
  if (n == 0) return err_set(err, ERR_NOT_FOUND, "the directory has no member or subsystem %s", c->id);
  return act_put(tx, c->by, "remove", c->id, json_pack("{s:s,s:i,s:i}", "why", c->why, "entries", n, "keys", keys), err);
}

int exchange_member_remove(struct exchange *x, const char *id, const char *by, const char *why, struct err *err) {
  struct exchange_id parsed;
  if (operator_only(x, err) || exchange_id_parse(id, 3, 4, &parsed, err)) return -1;
  if (!why || !why[0] || strlen(why) > 300) return err_set(err, ERR_INVALID, "say why, in at most 300 bytes");
  if (!parsed.subsystem[0] && exchange_id_same(&parsed, &x->self, 3)) return err_set(err, ERR_INVALID, "%s is the operator's own member and stays in its directory", id);
  struct change c = {.id = id, .by = by, .why = why, .yes = parsed.subsystem[0] != 0};
  if (store_write(x->store, STORE_FRONT, remove_work, &c, err)) return -1;
  return exchange_publish(x, err);
}

static int group_work(struct store_tx *tx, void *arg, struct err *err) {
  struct change *c = arg;
  int64_t known;
  if (store_value(tx, &known, 0, err, "SELECT 1 FROM exchange_member WHERE id = ?1 AND removed_at = 0", "t", c->id)) return -1;
  if (c->yes && !known) return err_set(err, ERR_NOT_FOUND, "the directory has no %.300s: put it there first with chapar gateway member", c->id);
  int rc = c->yes ? store_exec(tx, err, "INSERT INTO exchange_global_group (code, member) VALUES (?1, ?2) ON CONFLICT (code, member) DO NOTHING", "tt", c->a, c->id)
                  : store_exec(tx, err, "DELETE FROM exchange_global_group WHERE code = ?1 AND member = ?2", "tt", c->a, c->id);
  if (rc < 0) return -1;
  return rc ? act_put(tx, c->by, c->yes ? "group" : "ungroup", c->id, json_pack("{s:s}", "group", c->a), err) : 0;
}

int exchange_global_group(struct exchange *x, const char *code, const char *id, bool in, const char *by, struct err *err) {
  struct exchange_id parsed;
  if (operator_only(x, err) || exchange_id_parse(id, 3, 4, &parsed, err)) return -1;
  if (!code[0] || strlen(code) > EXCHANGE_PART || strpbrk(code, "/:;% ")) return err_set(err, ERR_INVALID, "a group's code has up to %d letters and digits", EXCHANGE_PART);
  struct change c = {.id = id, .a = code, .by = by, .yes = in};
  if (store_write(x->store, STORE_FRONT, group_work, &c, err)) return -1;
  x->publisher->dirty = true;
  return 0;
}

/* ---- invitations ---- */

static int invite_work(struct store_tx *tx, void *arg, struct err *err) {
  struct change *c = arg;
  int64_t known = 0;
  const char *last = strrchr(c->id, '/');
  char member[EXCHANGE_ID + 1];
  snprintf(member, sizeof member, "%.*s", (int)(last - c->id), c->id);
  if (store_value(tx, &known, 0, err, "SELECT COUNT(*) FROM exchange_member WHERE id = ?1 AND removed_at = 0", "t", member)) return -1;
  if (!known) return err_set(err, ERR_NOT_FOUND, "the directory has no member %s: put it in first", member);
  if (store_put(tx, err, "INSERT INTO exchange_invite (code_hash,server,made_by,at,until_at,request) VALUES (?1,?2,?3,?4,?5,'')", "tttii", c->a, c->id, c->by, store_time(tx), store_time(tx) + INVITED_MS))
    return -1;
  return act_put(tx, c->by, "invite", c->id, NULL, err);
}

int exchange_invite(struct exchange *x, const char *server, const char *by, char code[80], struct err *err) {
  struct exchange_id id;
  struct http_key key;
  unsigned char secret[10], pin[32];
  char hash[65], certificate[65];
  if (operator_only(x, err) || exchange_id_parse(server, 4, 4, &id, err)) return -1;
  char *pem = keys_certificate(x->keys, &key);
  int rc = pem ? certificate_hash(pem, certificate, err) : err_set(err, ERR_NOT_FOUND, "this gateway has no certificate");
  free(pem);
  if (rc || hex_decode(certificate, pin, 32)) return -1;
  random_bytes(secret, sizeof secret);
  code_hash(secret, hash);
  struct change c = {.id = server, .a = hash, .by = by};
  rc = store_write(x->store, STORE_FRONT, invite_work, &c, err);
  if (rc == 0) code_make(secret, pin, code);
  explicit_bzero(secret, sizeof secret);
  return rc;
}

/* ---- requests ---- */

struct request {
  struct asked_in a;
  const char *hash, *by, *why, *certificate;
  char id[40], decision[16];
  bool yes;
};

static int request_work(struct store_tx *tx, void *arg, struct err *err) {
  struct request *q = arg;
  char server[EXCHANGE_ID + 1] = "", before[40] = "", keyid[65] = "";
  int64_t until = 0;
  struct store_rows *r = store_select(tx, err, "SELECT i.server, i.until_at, i.request, COALESCE(q.keyid, '') FROM exchange_invite i LEFT JOIN exchange_request q ON q.id = i.request WHERE i.code_hash = ?1", "t", q->hash);
  int rc = r ? store_next(r, err) : -1;
  if (rc == 1) {
    snprintf(server, sizeof server, "%s", store_text(r, 0));
    snprintf(before, sizeof before, "%s", store_text(r, 2));
    snprintf(keyid, sizeof keyid, "%s", store_text(r, 3));
    until = store_int(r, 1);
  }
  store_done(r);
  if (rc < 0) return -1;
  if (rc == 0 || strcmp(server, q->a.server) != 0) return err_set(err, ERR_FORBIDDEN, "the operator gave no such code for %s: ask for one", q->a.server);
  if (before[0] && strcmp(keyid, q->a.keyid) == 0) { /* the same asks again */
    snprintf(q->id, sizeof q->id, "%s", before);
    return 0;
  }
  if (before[0]) return err_set(err, ERR_FORBIDDEN, "that code has been used: a code is good once");
  if (store_time(tx) > until) return err_set(err, ERR_FORBIDDEN, "that code is over: it is good for a day");
  if (store_put(tx, err, "INSERT INTO exchange_request (id,server,address,keyid,public_key,certificate,witness,at,decision,decided_by,decided_at) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,'waiting','',0)", "ttttbtti",
                q->id, q->a.server, q->a.address, q->a.keyid, (const void *)q->a.public_key, q->a.public_size, q->a.certificate, q->a.witness, store_time(tx)) ||
      store_put(tx, err, "UPDATE exchange_invite SET request = ?2 WHERE code_hash = ?1", "tt", q->hash, q->id))
    return -1;
  return act_put(tx, q->a.server, "request", q->a.server, json_pack("{s:s,s:s,s:s}", "request", q->id, "keyid", q->a.keyid, "certificate", q->a.certificate), err);
}

int operator_request(struct exchange *x, const char *text, size_t n, const unsigned char certificate[32], char id[40], struct err *err) {
  struct request q = {.by = ""};
  char shown[65], hash[65];
  unsigned char mark[8], secret[10];
  json_t *doc = NULL;
  if (operator_only(x, err) || asked_read(text, n, "chapar-join-v1", &q.a, &doc, err)) return -1;
  if (!json_str(doc, "secret") || hex_decode(json_str(doc, "secret"), secret, sizeof secret)) {
    json_decref(doc);
    return err_set(err, ERR_INVALID, "a request to join holds the secret of its code");
  }
  code_hash(secret, hash);
  q.hash = hash;
  hex_encode(certificate, 32, shown);
  random_bytes(mark, sizeof mark);
  snprintf(q.id, sizeof q.id, "r-");
  hex_encode(mark, sizeof mark, q.id + 2);
  int rc = strcmp(shown, q.a.certificate) == 0 ? store_write(x->store, STORE_FRONT, request_work, &q, err)
                                               : err_set(err, ERR_FORBIDDEN, "the request names another certificate than the one it came with");
  json_decref(doc);
  if (rc == 0) snprintf(id, 40, "%s", q.id);
  return rc;
}

static int state_work(struct store_tx *tx, void *arg, struct err *err) {
  struct request *q = arg;
  struct store_rows *r = store_select(tx, err, "SELECT decision FROM exchange_request WHERE id = ?1 AND certificate = ?2", "tt", q->id, q->certificate);
  int rc = r ? store_next(r, err) : -1;
  if (rc == 1) snprintf(q->decision, sizeof q->decision, "%s", store_text(r, 0));
  store_done(r);
  if (rc == 0) return err_set(err, ERR_NOT_FOUND, "there is no such request of yours");
  return rc < 0 ? -1 : 0;
}

int operator_request_state(struct exchange *x, const char *id, const unsigned char certificate[32], char decision[16], struct err *err) {
  struct request q = {0};
  char hex[65];
  hex_encode(certificate, 32, hex);
  q.certificate = hex;
  snprintf(q.id, sizeof q.id, "%s", id);
  if (operator_only(x, err) || store_read(x->store, state_work, &q, err)) return -1;
  snprintf(decision, 16, "%s", q.decision);
  return 0;
}

static int requests_work(struct store_tx *tx, void *arg, struct err *err) {
  json_t **out = arg;
  int rc;
  json_decref(*out);
  *out = json_array();
  struct store_rows *r = store_select(tx, err, "SELECT id, server, address, keyid, certificate, at FROM exchange_request WHERE decision = 'waiting' ORDER BY at LIMIT 200", "");
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    char at[32], print[40];
    clock_rfc3339(store_int(r, 5), at);
    fingerprint_of(store_text(r, 3), store_text(r, 4), print);
    json_array_append_new(*out, json_pack("{s:s,s:s,s:s,s:[s],s:s,s:s,s:s}", "id", store_text(r, 0), "server", store_text(r, 1), "address", store_text(r, 2), "keys", store_text(r, 3), "certificate",
                                          store_text(r, 4), "at", at, "fingerprint", print));
  }
  store_done(r);
  return rc;
}

int exchange_requests(struct exchange *x, json_t **out, struct err *err) {
  *out = NULL;
  if (operator_only(x, err)) return -1;
  if (store_read(x->store, requests_work, out, err) == 0) return 0;
  json_decref(*out);
  *out = NULL;
  return -1;
}

static int key_put(struct store_tx *tx, const char *keyid, const char *server, const char *kind, const void *public_key, size_t n, struct err *err) {
  char owner[EXCHANGE_ID + 1] = "";
  int64_t revoked = 0;
  struct store_rows *r = store_select(tx, err, "SELECT server, revoked_at FROM exchange_gateway_key WHERE keyid = ?1", "t", keyid);
  int rc = r ? store_next(r, err) : -1;
  if (rc == 1) {
    snprintf(owner, sizeof owner, "%s", store_text(r, 0));
    revoked = store_int(r, 1);
  }
  store_done(r);
  if (rc < 0) return -1;
  if (rc == 1 && (strcmp(owner, server) != 0 || revoked)) return err_set(err, ERR_CONFLICT, "that key belongs to another gateway or was revoked: make new ones");
  return store_put(tx, err, "INSERT INTO exchange_gateway_key (keyid,server,kind,public_key,from_at,until_at,revoked_at) VALUES (?1,?2,?3,?4,?5,0,0) ON CONFLICT (keyid) DO UPDATE SET until_at = 0", "tttbi",
                   keyid, server, kind, public_key, n, store_time(tx) - CLOCKS_MS);
}

/* Names of witnesses are made of servers' names and may come out the same ("a b", "a_b"): who was first has it. */
static int witness_free(struct store_tx *tx, const struct asked_in *a, struct err *err) {
  char name[400];
  int64_t taken = 0;
  snprintf(name, sizeof name, "%.*s+", (int)strcspn(a->witness, "+"), a->witness);
  if (!a->witness[0]) return 0;
  if (store_value(tx, &taken, 0, err, "SELECT COUNT(*) FROM exchange_gateway WHERE server <> ?1 AND removed_at = 0 AND SUBSTR(witness, 1, LENGTH(?2)) = ?2", "tt", a->server, name)) return -1;
  return taken ? err_set(err, ERR_CONFLICT, "another gateway is the witness %.300s: join under another name", name) : 0;
}

int gateway_put(struct store_tx *tx, const struct asked_in *a, struct err *err) {
  if (witness_free(tx, a, err)) return -1;
  if (store_put(tx, err, "INSERT INTO exchange_gateway (server,address,witness,at,removed_at,known_version,known_at) VALUES (?1,?2,?3,?4,0,0,0) "
                "ON CONFLICT (server) DO UPDATE SET address = excluded.address, witness = excluded.witness, removed_at = 0", "ttti", a->server, a->address, a->witness, store_time(tx)))
    return -1;
  return key_put(tx, a->keyid, a->server, "sign", a->public_key, a->public_size, err) || key_put(tx, a->certificate, a->server, "tls", "", 0, err) ? -1 : 0;
}

static int approve_work(struct store_tx *tx, void *arg, struct err *err) {
  struct request *q = arg;
  char server[EXCHANGE_ID + 1] = "", address[301] = "", keyid[65] = "", certificate[65] = "", witness[400] = "";
  struct asked_in a = {.server = server, .address = address, .keyid = keyid, .certificate = certificate, .witness = witness};
  struct store_rows *r = store_select(tx, err, "SELECT server, address, keyid, certificate, witness, public_key FROM exchange_request WHERE id = ?1 AND decision = 'waiting'", "t", q->id);
  int rc = r ? store_next(r, err) : -1;
  if (rc == 1) {
    size_t n;
    const void *p = store_blob(r, 5, &n);
    snprintf(server, sizeof server, "%s", store_text(r, 0));
    snprintf(address, sizeof address, "%s", store_text(r, 1));
    snprintf(keyid, sizeof keyid, "%s", store_text(r, 2));
    snprintf(certificate, sizeof certificate, "%s", store_text(r, 3));
    snprintf(witness, sizeof witness, "%s", store_text(r, 4));
    if (n <= sizeof a.public_key) memcpy(a.public_key, p, a.public_size = n);
  }
  store_done(r);
  if (rc < 0) return -1;
  if (rc == 0) return err_set(err, ERR_NOT_FOUND, "no such request is waiting");
  if (q->yes && gateway_put(tx, &a, err)) return -1;
  if (store_put(tx, err, "UPDATE exchange_request SET decision = ?2, decided_by = ?3, decided_at = ?4 WHERE id = ?1", "ttti", q->id, q->yes ? "approved" : "refused", q->by, store_time(tx))) return -1;
  return act_put(tx, q->by, q->yes ? "approve" : "refuse", server, json_pack("{s:s,s:s,s:s?}", "request", q->id, "keyid", keyid, "why", q->why), err);
}

int exchange_approve(struct exchange *x, const char *request, const char *by, bool yes, const char *why, struct err *err) {
  struct request q = {.by = by, .why = why, .yes = yes};
  if (operator_only(x, err)) return -1;
  snprintf(q.id, sizeof q.id, "%s", request);
  if (store_write(x->store, STORE_FRONT, approve_work, &q, err)) return -1;
  return yes ? exchange_publish(x, err) : 0;
}

/* ---- keys ---- */

static int revoke_work(struct store_tx *tx, void *arg, struct err *err) {
  struct change *c = arg;
  int n = store_exec(tx, err, "UPDATE exchange_gateway_key SET revoked_at = ?2 WHERE keyid = ?1 AND revoked_at = 0", "ti", c->id, store_time(tx));
  if (n < 0) return -1;
  if (n == 0) return err_set(err, ERR_NOT_FOUND, "the directory has no such key or certificate in use");
  return act_put(tx, c->by, "revoke-key", c->id, json_pack("{s:s}", "why", c->why ? c->why : ""), err);
}

int exchange_key_revoke(struct exchange *x, const char *keyid, const char *by, const char *why, struct err *err) {
  struct change c = {.id = keyid, .by = by, .why = why};
  if (operator_only(x, err) || store_write(x->store, STORE_FRONT, revoke_work, &c, err)) return -1;
  return exchange_publish(x, err);
}

static int gateway_work(struct store_tx *tx, void *arg, struct err *err) {
  struct change *c = arg;
  int64_t now = store_time(tx);
  int n = store_exec(tx, err, "UPDATE exchange_gateway SET removed_at = ?2 WHERE server = ?1 AND removed_at = 0", "ti", c->id, now);
  if (n < 0 || store_exec(tx, err, "UPDATE exchange_gateway_key SET revoked_at = ?2 WHERE server = ?1 AND revoked_at = 0", "ti", c->id, now) < 0) return -1;
  if (n == 0) return err_set(err, ERR_NOT_FOUND, "the directory has no gateway %s", c->id);
  return act_put(tx, c->by, "remove-gateway", c->id, json_pack("{s:s}", "why", c->why ? c->why : ""), err);
}

int exchange_gateway_remove(struct exchange *x, const char *server, const char *by, const char *why, struct err *err) {
  struct change c = {.id = server, .by = by, .why = why};
  if (operator_only(x, err)) return -1;
  if (strcmp(server, x->server) == 0) return err_set(err, ERR_INVALID, "the operator's own gateway cannot be taken out of its directory");
  if (store_write(x->store, STORE_FRONT, gateway_work, &c, err)) return -1;
  return exchange_publish(x, err);
}

/* ---- roll-over ---- */

struct rolling { struct asked_in a; const char *server; bool retire; };

static int announce_work(struct store_tx *tx, void *arg, struct err *err) {
  struct rolling *q = arg;
  if (!q->retire) {
    int64_t listed = 0;
    if (store_value(tx, &listed, 0, err, "SELECT COUNT(*) FROM exchange_gateway_key WHERE server = ?1 AND (until_at = 0 OR until_at > ?2 OR revoked_at > 0) AND keyid <> ?3 AND keyid <> ?4", "titt",
                    q->server, store_time(tx) - DAY_MS, q->a.keyid, q->a.certificate))
      return -1;
    if (listed >= KEYS_MOST) return err_set(err, ERR_CONFLICT, "%s has %lld keys in the directory, which is as many as it may: ask the operator to take the gateway out, and join anew", q->server, (long long)listed);
    if (witness_free(tx, &q->a, err) || key_put(tx, q->a.keyid, q->server, "sign", q->a.public_key, q->a.public_size, err) || key_put(tx, q->a.certificate, q->server, "tls", "", 0, err)) return -1;
    if (store_put(tx, err, "UPDATE exchange_gateway SET address = ?2, witness = ?3 WHERE server = ?1", "ttt", q->server, q->a.address, q->a.witness)) return -1;
    return act_put(tx, q->server, "announce", q->server, json_pack("{s:s,s:s}", "keyid", q->a.keyid, "certificate", q->a.certificate), err);
  }
  if (store_exec(tx, err, "UPDATE exchange_gateway_key SET until_at = ?2 WHERE server = ?1 AND until_at = 0 AND revoked_at = 0 AND keyid <> ?3 AND keyid <> ?4", "titt", q->server,
                 store_time(tx) + SWITCHED_MS, q->a.keyid, q->a.certificate) < 0)
    return -1;
  return act_put(tx, q->server, "switch", q->server, json_pack("{s:s,s:s}", "keyid", q->a.keyid, "certificate", q->a.certificate), err);
}

int operator_announce(struct exchange *x, const char *text, size_t n, const char *server, bool retire, struct err *err) {
  struct rolling q = {.server = server, .retire = retire};
  json_t *doc = NULL;
  if (operator_only(x, err) || asked_read(text, n, retire ? "chapar-switch-v1" : "chapar-keys-v1", &q.a, &doc, err)) return -1;
  int rc = strcmp(q.a.server, server) == 0 ? store_write(x->store, STORE_FRONT, announce_work, &q, err) : err_set(err, ERR_FORBIDDEN, "a gateway announces its own keys only");
  json_decref(doc);
  return rc ? -1 : exchange_publish(x, err);
}

static int known_work(struct store_tx *tx, void *arg, struct err *err) {
  struct change *c = arg;
  return store_put(tx, err, "UPDATE exchange_gateway SET known_version = ?2, known_at = ?3 WHERE server = ?1", "tii", c->id, c->number, store_time(tx));
}

int operator_known(struct exchange *x, const char *server, int64_t version, struct err *err) {
  struct change c = {.id = server, .number = version};
  return store_write(x->store, STORE_JOBS, known_work, &c, err);
}

struct waiting { struct exchange *x; int64_t version; json_t *list; };

static int waiting_work(struct store_tx *tx, void *arg, struct err *err) {
  struct waiting *w = arg;
  int rc;
  json_decref(w->list);
  w->list = json_array();
  struct store_rows *r = store_select(tx, err, "SELECT server FROM exchange_gateway WHERE removed_at = 0 AND server <> ?1 AND known_version < ?2 AND known_at > ?3 ORDER BY server LIMIT 100", "tii",
                                      w->x->server, w->version, store_time(tx) - SEEN_MS);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) json_array_append_new(w->list, json_string(store_text(r, 0)));
  store_done(r);
  return rc;
}

int operator_all_know(struct exchange *x, int64_t version, json_t **waiting, struct err *err) {
  struct waiting w = {.x = x, .version = version};
  int rc = operator_only(x, err) ? -1 : store_read(x->store, waiting_work, &w, err);
  *waiting = rc ? NULL : w.list;
  if (rc) json_decref(w.list);
  return rc;
}
