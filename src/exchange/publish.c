/* The operator makes the directory: rows of the store → canonical JSON, versioned, signed by the operator's key in the helper. */
#include "exchange/background.h"
#include "exchange/publish.h"
#include "exchange/side.h"
#include "exchange/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

bool publish_due(struct exchange *x) { return x->publisher && x->publisher->dirty; }

static int acted_work(struct store_tx *tx, void *arg, struct err *err) { return store_value(tx, arg, 0, err, "SELECT MAX(at) FROM exchange_act", ""); }

/* A command on the same folder (chapar gateway approve …) is another process: what it did is seen in the store. */
void publish_look(struct exchange *x) {
  int64_t at = 0;
  struct err err;
  if (!x->publisher || store_read(x->store, acted_work, &at, &err) || at == x->publisher->acted) return;
  x->publisher->acted = at;
  x->publisher->dirty = true;
}

int act_put(struct store_tx *tx, const char *actor, const char *act, const char *subject, json_t *detail, struct err *err) {
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH], mark[12];
  char id[25], at[32];
  int64_t now = store_time(tx);
  random_bytes(salt, sizeof salt);
  random_bytes(mark, sizeof mark);
  hex_encode(mark, sizeof mark, id);
  clock_rfc3339_ms(now, at);
  json_t *h = json_pack("{s:s,s:s,s:s,s:s}", "kind", "directory", "act", act, "at", at, "id", id), *p = json_object();
  json_put(p, "subject", subject);
  json_put(p, "actor", actor);
  json_object_set_new(p, "detail", detail ? detail : json_object());
  char *header = json_canonical(h), *payload = json_canonical(p);
  json_decref(h);
  json_decref(p);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  int rc = store_put(tx, err, "INSERT INTO exchange_act (id,at,actor,act,subject,header,salt,payload,leaf_hash) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)", "tittttbtb", id, now,
                     actor, act, subject, header, (const void *)salt, sizeof salt, payload, (const void *)leaf, sizeof leaf);
  if (rc == 0) rc = trust_append(tx, leaf, header, digest, err);
  free(header);
  free(payload);
  return rc;
}

struct listing { int64_t at; char id[40]; int limit; json_t *items; char next[80]; };

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct listing *l = arg;
  int rc, n = 0;
  json_decref(l->items);
  l->items = json_array();
  l->next[0] = 0;
  struct store_rows *r = store_select(tx, err, "SELECT id, at, actor, act, subject, payload, leaf_hash FROM exchange_act WHERE actor <> 'pack' AND (at < ?1 OR (at = ?1 AND id < ?2)) ORDER BY at DESC, id DESC LIMIT 501", "it", l->at, l->id);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1 && n < l->limit) {
    char at[32], hex[2 * TRUST_HASH + 1] = "";
    size_t size;
    const void *leaf = store_blob(r, 6, &size);
    if (size == TRUST_HASH) hex_encode(leaf, size, hex);
    clock_rfc3339_ms(store_int(r, 1), at);
    json_t *payload = json_loads(store_text(r, 5), 0, NULL), *detail = json_object_get(payload, "detail");
    json_array_append_new(l->items, json_pack("{s:s,s:s,s:s,s:s,s:s,s:O,s:s}", "id", store_text(r, 0), "at", at, "actor", store_text(r, 2), "act", store_text(r, 3), "subject", store_text(r, 4), "detail",
                                              detail ? detail : json_null(), "leaf_hash", hex));
    json_decref(payload);
    snprintf(l->next, sizeof l->next, "%lld.%s", (long long)store_int(r, 1), store_text(r, 0));
    n++;
  }
  store_done(r);
  if (rc == 0) l->next[0] = 0; /* that was all */
  return rc < 0 ? -1 : 0;
}

int exchange_acts(struct exchange *x, const char *before, int limit, json_t **out, struct err *err) {
  struct listing l = {.at = INT64_MAX, .limit = limit < 1 ? 1 : limit > 500 ? 500 : limit};
  const char *dot = before ? strchr(before, '.') : NULL;
  char at[24];
  *out = NULL;
  if (before) {
    if (dot) snprintf(at, sizeof at, "%.*s", (int)(dot - before < 23 ? dot - before : 23), before);
    if (!dot || parse_i64(at, &l.at) || strlen(dot + 1) >= sizeof l.id) return err_set(err, ERR_INVALID, "that is no place in the list of acts");
    snprintf(l.id, sizeof l.id, "%s", dot + 1);
  }
  if (store_read(x->store, list_work, &l, err)) {
    json_decref(l.items);
    return -1;
  }
  *out = json_pack("{s:o,s:s?}", "items", l.items, "next", l.next[0] ? l.next : NULL);
  return 0;
}

/* ---- the document ---- */

struct making {
  struct exchange *x;
  json_t *services;                      /* of this gateway, as exchange_services tells; NULL: none */
  int64_t version;
  json_t *doc;                           /* made anew at each run of the work */
};

static void put_time(json_t *o, const char *name, int64_t at) {
  char text[32];
  if (!at) return;
  clock_rfc3339_ms(at, text);
  json_put(o, name, text);
}

static int put_members(struct store_tx *tx, json_t *doc, struct err *err) {
  json_t *list = json_array();
  json_object_set_new(doc, "members", list);
  struct store_rows *r = store_select(tx, err, "SELECT id, name_fa, name_en FROM exchange_member WHERE removed_at = 0 ORDER BY id", "");
  int rc;
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1)
    json_array_append_new(list, json_pack("{s:s,s:{s:s,s:s}}", "id", store_text(r, 0), "name", "fa", store_text(r, 1), "en", store_text(r, 2)));
  store_done(r);
  return rc;
}

static void put_key(json_t *gateway, const struct store_rows *r) {
  bool tls = strcmp(store_text(r, 2), "tls") == 0;
  json_t *o = json_object();
  json_put(o, tls ? "sha256" : "keyid", store_text(r, 0));
  if (!tls) {
    size_t n;
    const void *p = store_blob(r, 3, &n);
    char *text = base64_encode(p, n);
    json_put(o, "public_key", text);
    free(text);
    put_time(o, "from", store_int(r, 4));
    put_time(o, "revoked_at", store_int(r, 6));
  }
  put_time(o, "until", store_int(r, 5));
  json_array_append_new(json_object_get(gateway, tls ? "certificates" : "keys"), o);
}

static int put_keys(struct store_tx *tx, json_t *by_server, int64_t now, struct err *err) {
  /* What ended a day ago is history: evidence carries its own copy. Revoked signing keys stay, so that nobody takes them for unknown. */
  struct store_rows *r = store_select(tx, err,
      "SELECT keyid, server, kind, public_key, from_at, until_at, revoked_at FROM exchange_gateway_key "
      "WHERE (until_at = 0 OR until_at > ?1 OR (kind = 'sign' AND revoked_at > 0)) AND (kind = 'sign' OR revoked_at = 0) ORDER BY keyid", "i", now - 86400000);
  int rc;
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    json_t *gateway = json_object_get(by_server, store_text(r, 1));
    if (gateway) put_key(gateway, r);
  }
  store_done(r);
  return rc;
}

static void member_of(const char *server, char out[EXCHANGE_ID + 1]) {
  const char *last = strrchr(server, '/');
  snprintf(out, EXCHANGE_ID + 1, "%.*s", last ? (int)(last - server) : 0, server);
}

/* A member that has a gateway of its own, but services here too: the operator's gateway is named for those subsystems themselves. */
static void put_hosted(const struct exchange *x, const json_t *services, const json_t *with, json_t *stands) {
  json_t *seen = json_object(), *one;
  char subsystem[EXCHANGE_ID + 1], owner[EXCHANGE_ID + 1], ours[EXCHANGE_ID + 1];
  size_t i;
  member_of(x->server, ours);
  json_array_foreach(services, i, one) {
    member_of(json_str(one, "id"), subsystem);
    member_of(subsystem, owner);
    if (!json_object_get(with, owner) || strcmp(owner, ours) == 0 || json_object_get(seen, subsystem)) continue;
    json_object_set_new(seen, subsystem, json_true());
    json_array_append_new(stands, json_string(subsystem));
  }
  json_decref(seen);
}

/* A command does not know what the process that serves answers by itself: what that one said of it stays. */
static void put_kept(struct exchange *x, json_t *stands) {
  struct members *m = members_hold(x);
  for (size_t i = 0; i < m->stands_count; i++) {
    const struct stand *s = &m->stands[i];
    struct exchange_id id;
    json_t *one;
    size_t k;
    bool there = strcmp(m->gateways[s->gateway].g.id, x->server) != 0 || exchange_id_parse(s->id, 4, 4, &id, NULL) != 0;
    json_array_foreach(stands, k, one) there = there || strcmp(json_string_value(one), s->id) == 0;
    if (!there) json_array_append_new(stands, json_string(s->id));
  }
  members_drop(m);
}

/* The operator's gateway stands for every member that has no gateway of its own. */
static void put_stands(struct exchange *x, const json_t *services, json_t *doc, json_t *by_server) {
  json_t *own = json_object_get(by_server, x->server), *stands = json_array(), *with = json_object(), *one;
  const char *server;
  char member[EXCHANGE_ID + 1];
  size_t i;
  json_object_foreach(by_server, server, one) {
    member_of(server, member);
    json_object_set_new(with, member, json_true());
  }
  json_t *members = json_object_get(doc, "members");
  json_array_foreach(members, i, one) {
    struct exchange_id id;
    const char *text = json_str(one, "id");
    if (exchange_id_parse(text, 3, 4, &id, NULL) == 0 && !id.subsystem[0] && !json_object_get(with, text)) json_array_append_new(stands, json_string(text));
  }
  put_hosted(x, services, with, stands);
  if (x->o.actor) put_kept(x, stands);
  json_decref(with);
  if (own) json_object_set_new(own, "stands_for", stands);
  else json_decref(stands);
}

static int put_gateways(struct store_tx *tx, const struct making *k, json_t *doc, struct err *err) {
  json_t *by_server = json_object(), *list = json_array(), *one;
  const char *server;
  int rc = -1;
  struct store_rows *r = store_select(tx, err, "SELECT server, address, witness FROM exchange_gateway WHERE removed_at = 0 ORDER BY server", "");
  if (!r) goto out;
  while ((rc = store_next(r, err)) == 1)
    json_object_set_new(by_server, store_text(r, 0), json_pack("{s:s,s:s,s:s,s:[],s:[]}", "id", store_text(r, 0), "address", store_text(r, 1), "witness", store_text(r, 2), "keys", "certificates"));
  store_done(r);
  if (rc == 0) rc = put_keys(tx, by_server, store_time(tx), err);
  put_stands(k->x, k->services, doc, by_server);
  json_object_foreach(by_server, server, one) json_array_append(list, one);
out:
  json_object_set_new(doc, "gateways", list);
  json_decref(by_server);
  return rc;
}

static int put_groups(struct store_tx *tx, json_t *doc, struct err *err) {
  json_t *list = json_array(), *group = NULL;
  json_object_set_new(doc, "groups", list);
  struct store_rows *r = store_select(tx, err, "SELECT code, member FROM exchange_global_group ORDER BY code, member", "");
  int rc;
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    if (!group || strcmp(json_str(group, "code"), store_text(r, 0)) != 0) {
      group = json_pack("{s:s,s:[]}", "code", store_text(r, 0), "members");
      json_array_append_new(list, group);
    }
    json_array_append_new(json_object_get(group, "members"), json_string(store_text(r, 1)));
  }
  store_done(r);
  return rc;
}

static json_t *operator_json(struct exchange *x) {
  static const enum helper_slot slots[] = {SLOT_OPERATOR, SLOT_OPERATOR_NEXT};
  json_t *keys = json_array();
  for (size_t i = 0; i < BASE_COUNT(slots); i++) {
    unsigned char public[128];
    char keyid[65];
    size_t n;
    if (!keys_public(x->keys, slots[i], keyid, public, &n)) continue;
    char *text = base64_encode(public, n);
    json_array_append_new(keys, json_pack("{s:s,s:s}", "keyid", keyid, "public_key", text));
    free(text);
  }
  return json_pack("{s:s,s:o}", "server", x->server, "keys", keys);
}

static int make_work(struct store_tx *tx, void *arg, struct err *err) {
  struct making *k = arg;
  int64_t now = store_time(tx);
  json_decref(k->doc);
  k->doc = json_pack("{s:s,s:s,s:o}", "type", "chapar-directory-v1", "instance", k->x->self.instance, "operator", operator_json(k->x));
  if (put_members(tx, k->doc, err) || put_gateways(tx, k, k->doc, err) || put_groups(tx, k->doc, err)) return -1;
  struct members *m = members_hold(k->x);
  json_put(k->doc, "ledger", k->x->platform ? trust_public_key(k->x->platform) : members_ledger(m)); /* a command publishes beside the platform */
  members_drop(m);
  put_time(k->doc, "issued_at", now);
  return 0;
}

static int version_work(struct store_tx *tx, void *arg, struct err *err) {
  struct making *k = arg;
  if (store_value(tx, &k->version, 0, err, "SELECT MAX(version) FROM exchange_version", "")) return -1;
  struct members *m = members_hold(k->x);
  if (members_version(m) > k->version) k->version = members_version(m); /* after a restore */
  members_drop(m);
  k->version++;
  return store_put(tx, err, "INSERT INTO exchange_version (version, at) VALUES (?1, ?2)", "ii", k->version, store_time(tx));
}

/* Does it say what the one in use says, but for its number and time? */
static bool unchanged(struct exchange *x, const json_t *doc) {
  struct members *m = members_hold(x);
  size_t n;
  const char *text = members_text(m, &n), *end = n ? memchr(text, '\n', n) : NULL;
  json_t *old = end ? json_loadb(text, (size_t)(end - text), 0, NULL) : NULL, *fresh = json_copy((json_t *)doc);
  members_drop(m);
  if (old) {
    json_object_del(old, "version");
    json_object_del(old, "issued_at");
  }
  json_object_del(fresh, "version");
  json_object_del(fresh, "issued_at");
  bool same = old && json_equal(old, fresh);
  json_decref(old);
  json_decref(fresh);
  return same;
}

/* Several processes may have this folder open (nodes of a platform, a command): one at a time makes a version, of what is newest. */
static int lock_publishing(struct exchange *x, struct err *err) {
  char *path = base_printf("%s/publish.lock", x->folder);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), rc = fd;
  while (fd >= 0 && (rc = flock(fd, LOCK_EX)) != 0 && errno == EINTR) continue;
  if (rc < 0) err_set(err, ERR_UNAVAILABLE, "%s: %s", path, strerrordesc_np(errno));
  if (rc < 0 && fd >= 0) close(fd);
  free(path);
  return rc < 0 ? -1 : fd;
}

int exchange_publish(struct exchange *x, struct err *err) {
  struct making k = {.x = x};
  char keyid[65], *text = NULL;
  size_t n = 0;
  if (!x->publisher) return err_set(err, ERR_FORBIDDEN, "this gateway is not the operator's: it makes no directory");
  pthread_mutex_lock(&x->publisher->lock);
  x->publisher->dirty = false;
  int fd = lock_publishing(x, err), rc = fd < 0 ? -1 : 0;
  if (rc == 0) members_look(x);
  if (rc == 0) rc = handover_keys(x, err);
  if (rc == 0 && x->services) rc = services_look(x, err) || exchange_services(x, &k.services, err) ? -1 : 0;
  if (rc == 0) rc = store_read(x->store, make_work, &k, err);
  if (rc == 0 && (x->publisher->again || !unchanged(x, k.doc))) {
    rc = store_write(x->store, STORE_FRONT, version_work, &k, err);
    if (rc == 0) json_object_set_new(k.doc, "version", json_integer(k.version));
    if (rc == 0 && !keys_public(x->keys, SLOT_OPERATOR, keyid, NULL, NULL)) rc = err_set(err, ERR_NOT_FOUND, "the operator's key is not here");
    if (rc == 0) rc = (text = signed_make(k.doc, keyid, sign_slot_operator, x->keys, &n, err)) ? 0 : -1;
    if (rc == 0) rc = members_take(x, text, n, err) < 0 ? -1 : 0;
  }
  if (rc) x->publisher->dirty = true;
  else {
    x->publisher->again = false;
    members_confirmed(x);
  }
  if (fd >= 0) close(fd);
  pthread_mutex_unlock(&x->publisher->lock);
  free(text);
  json_decref(k.doc);
  json_decref(k.services);
  return rc;
}

/* ---- being the operator ---- */

int publish_open(struct exchange *x, struct err *err) {
  unsigned char public[128];
  size_t n;
  char *file = base_printf("%s/operator.pub", x->folder);
  bool anchored = access(file, F_OK) == 0;
  int rc = 0;
  free(file);
  if (!keys_public(x->keys, SLOT_OPERATOR, NULL, public, &n)) return 0;
  if (!anchored) {
    char *body = base64_encode(public, n), *pem = base_printf("-----BEGIN PUBLIC KEY-----\n%.64s\n%s\n-----END PUBLIC KEY-----\n", body, strlen(body) > 64 ? body + 64 : "");
    rc = members_anchor(x->folder, pem, err);
    free(body);
    free(pem);
    if (rc == 0) {
      members_close(x);
      rc = members_open(x, err);
    }
  }
  x->publisher = base_alloc(sizeof *x->publisher);
  pthread_mutex_init(&x->publisher->lock, NULL);
  x->publisher->dirty = true;
  return rc;
}

void publish_close(struct exchange *x) {
  if (!x->publisher) return;
  if (x->members) background_end(x);     /* which publishes */
  pthread_mutex_destroy(&x->publisher->lock);
  free(x->publisher);
  x->publisher = NULL;
}

struct own { struct asked_in a; };

static int own_work(struct store_tx *tx, void *arg, struct err *err) {
  struct own *o = arg;
  return gateway_put(tx, &o->a, err);
}

int exchange_operate(struct exchange *x, struct err *err) {
  struct gateway_card card;
  struct http_key key;
  struct own o = {.a = {.witness = ""}};
  char keyid[65], certificate[65];
  if (gateway_card_read(x->folder, &card, err)) return -1;
  if (!keys_public(x->keys, SLOT_OPERATOR, NULL, NULL, NULL) && (keys_make(x->folder, SLOT_OPERATOR, NULL, NULL, err) || keys_reload(x->keys, err))) return -1;
  if (!x->publisher && publish_open(x, err)) return -1;
  char *pem = keys_certificate(x->keys, &key);
  int rc = pem ? certificate_hash(pem, certificate, err) : err_set(err, ERR_NOT_FOUND, "this gateway has no certificate");
  free(pem);
  if (rc) return -1;
  keys_public(x->keys, SLOT_SIGN, keyid, o.a.public_key, &o.a.public_size);
  o.a.server = x->server;
  o.a.address = card.address;
  o.a.keyid = keyid;
  o.a.certificate = certificate;
  if (store_write(x->store, STORE_FRONT, own_work, &o, err)) return -1;
  x->publisher->dirty = true;
  return 0;
}
