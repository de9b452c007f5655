/* A gateway's beginning: its folder and keys, its request to the operator, and new keys later. */
#include "exchange/publish.h"
#include "exchange/snapshot.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- the folder ---- */

/* https://host:port, nothing behind it. host: without brackets. */
static int address_check(const char *address, char host[256], struct err *err) {
  const char *p = base_starts(address, "https://") ? address + 8 : NULL, *colon = p ? strrchr(p, ':') : NULL;
  int64_t port;
  size_t n = colon ? (size_t)(colon - p) : 0;
  if (n > 2 && p[0] == '[' && p[n - 1] == ']') {
    p++;
    n -= 2;
  }
  if (!colon || n == 0 || n > 253 || strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:_") < n || parse_i64(colon + 1, &port) || port < 1 || port > 65535)
    return err_set(err, ERR_INVALID, "an address of a gateway is like https://gateway.example:5500, and '%.200s' is not", address);
  snprintf(host, 256, "%.*s", (int)n, p);
  return 0;
}

int gateway_card_read(const char *folder, struct gateway_card *out, struct err *err) {
  char *file = base_printf("%s/gateway.json", folder), host[256];
  struct exchange_id id;
  size_t n;
  int rc = -1;
  json_t *o = NULL;
  char *text = access(file, F_OK) == 0 ? file_read(file, 65536, &n, err) : NULL;
  if (!text && access(file, F_OK) != 0) err_set(err, ERR_NOT_FOUND, "there is no gateway in %s yet: chapar gateway init makes one", folder);
  if (text && (o = json_read(text, n, 4, err)) != NULL) {
    const char *server = json_str(o, "server"), *address = json_str(o, "address");
    if (!server || !address || exchange_id_parse(server, 4, 4, &id, NULL) || address_check(address, host, NULL)) err_set(err, ERR_INVALID, "%s does not name a server and its address", file);
    else {
      snprintf(out->server, sizeof out->server, "%s", server);
      snprintf(out->address, sizeof out->address, "%s", address);
      rc = 0;
    }
  }
  json_decref(o);
  free(text);
  free(file);
  return rc;
}

static int card_write(const struct exchange_init *i, struct err *err) {
  char *file = base_printf("%s/gateway.json", i->folder);
  json_t *o = json_pack("{s:s,s:s}", "server", i->server, "address", i->address);
  char *text = json_canonical(o);
  int rc = file_write(file, text, strlen(text), 0644, err);
  json_decref(o);
  free(text);
  free(file);
  return rc;
}

int exchange_address(const char *folder, const char *address, struct err *err) {
  struct gateway_card card;
  char host[256];
  if (gateway_card_read(folder, &card, err) || address_check(address, host, err)) return -1;
  return strcmp(card.address, address) == 0 ? 0 : card_write(&(struct exchange_init){.folder = folder, .server = card.server, .address = address}, err);
}

int exchange_init(const struct exchange_init *i, struct err *err) {
  static const enum helper_slot slots[] = {SLOT_SIGN, SLOT_TLS, SLOT_WITNESS};
  struct exchange_id id;
  struct gateway_card card;
  char host[256];
  if (exchange_id_parse(i->server, 4, 4, &id, err) || address_check(i->address, host, err)) return -1;
  if (gateway_card_read(i->folder, &card, err) == 0) return err_set(err, ERR_CONFLICT, "there is a gateway in %s already: %s", i->folder, card.server);
  if (err && err->code != ERR_NOT_FOUND) return -1;
  if (dir_make(i->folder, 0700, err)) return -1;
  for (size_t k = 0; k < BASE_COUNT(slots); k++) {
    char *file = base_printf("%s/keys/%s.pem", i->folder, helper_slots[slots[k]]);
    bool there = access(file, F_OK) == 0; /* of an attempt that was broken off */
    free(file);
    if (!there && keys_make(i->folder, slots[k], i->server, host, err)) return -1;
  }
  return card_write(i, err); /* last: it says that all the rest is there */
}

/* ---- what a gateway says of itself ---- */

/* As a witness a gateway has its own name, without what a verifier key may not hold. */
static char *witness_name(const char *server) {
  char *name = base_strdup(server);
  for (char *p = name; *p; p++)
    if (*p == ' ' || *p == '+') *p = '_';
  return name;
}

static bool witness_own(const char *witness, const char *server) {
  char *name = witness_name(server);
  size_t n = strlen(name);
  bool own = !witness[0] || (strncmp(witness, name, n) == 0 && witness[n] == '+');
  free(name);
  return own;
}

static char *witness_key(struct keys *keys, const char *server) {
  unsigned char public[128], typed[33] = {0x04}, hash[32];
  size_t n;
  if (!keys_public(keys, SLOT_WITNESS, NULL, public, &n) || n < 32) return base_strdup("");
  memcpy(typed + 1, public + n - 32, 32); /* SubjectPublicKeyInfo of Ed25519 ends in the key */
  char *name = witness_name(server), id[9];
  struct buf b = {0};
  buf_adds(&b, name);
  buf_addc(&b, '\n');
  buf_add(&b, typed, sizeof typed);
  sha256(b.data, b.len, hash);
  hex_encode(hash, 4, id);
  buf_free(&b);
  char *text = base64_encode(typed, sizeof typed), *all = base_printf("%s+%s+%s", name, id, text);
  free(name);
  free(text);
  return all;
}

char *asked_make(const char *folder, struct keys *keys, const char *type, bool next, const unsigned char *secret, size_t *n, char fingerprint[40], struct err *err) {
  struct gateway_card card;
  struct http_key key;
  unsigned char public[128];
  char keyid[65], certificate[65], hex[21], *text = NULL;
  size_t size;
  if (gateway_card_read(folder, &card, err)) return NULL;
  char *pem = next ? keys_next_certificate(keys) : keys_certificate(keys, &key);
  bool both = pem && keys_public(keys, next ? SLOT_SIGN_NEXT : SLOT_SIGN, keyid, public, &size);
  if (!both) err_set(err, ERR_NOT_FOUND, "there are no %s in %s/keys", next ? "new keys" : "keys", folder);
  if (both && certificate_hash(pem, certificate, err) == 0) {
    char *spki = base64_encode(public, size), *witness = witness_key(keys, card.server);
    json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "type", type, "server", card.server, "address", card.address, "keyid", keyid, "public_key", spki, "certificate", certificate, "witness", witness);
    if (secret) {
      hex_encode(secret, 10, hex);
      json_put(o, "secret", hex);
    }
    text = signed_make(o, keyid, next ? sign_slot_next : sign_slot_own, keys, n, err);
    if (fingerprint) fingerprint_of(keyid, certificate, fingerprint);
    json_decref(o);
    free(spki);
    free(witness);
  }
  free(pem);
  return text;
}

int asked_read(const char *text, size_t n, const char *type, struct asked_in *out, json_t **doc, struct err *err) {
  struct signed_line line;
  struct exchange_id id;
  unsigned char hash[32];
  char host[256];
  memset(out, 0, sizeof *out);
  if (signed_read(text, n, &line, err)) return -1;
  json_t *o = json_read(line.json, line.size, 4, err);
  if (!o) return -1;
  const char *key = json_str(o, "public_key");
  out->server = json_str(o, "server");
  out->address = json_str(o, "address");
  out->keyid = json_str(o, "keyid");
  out->certificate = json_str(o, "certificate");
  out->witness = json_str(o, "witness") ? json_str(o, "witness") : "";
  int rc = 0;
  if (!base_same(json_str(o, "type"), type) || !out->server || !out->address || !out->keyid || !out->certificate || !key || strlen(out->witness) > 399)
    rc = err_set(err, ERR_INVALID, "that is no %s of a gateway, or something is missing in it", type);
  else if (exchange_id_parse(out->server, 4, 4, &id, err) || address_check(out->address, host, err)) rc = -1;
  else if (hex_decode(out->certificate, hash, 32) || base64_decode(key, strlen(key), out->public_key, sizeof out->public_key, &out->public_size) ||
           !key_is_p256(out->public_key, out->public_size))
    rc = err_set(err, ERR_INVALID, "its key is no ECDSA P-256 key, or its certificate is not named by a SHA-256");
  else if (strcmp(line.keyid, out->keyid) != 0 || !signed_true(&line, out->public_key, out->public_size))
    rc = err_set(err, ERR_FORBIDDEN, "it is not signed by the key that it names");
  else if (!witness_own(out->witness, out->server)) rc = err_set(err, ERR_FORBIDDEN, "the witness's key has another name than the gateway %s, whose it is", out->server);
  if (rc) json_decref(o);
  *doc = rc ? NULL : o;
  return rc;
}

int exchange_card(const char *folder, json_t **out, struct err *err) {
  struct gateway_card card;
  struct keys *keys = NULL;
  struct http_key key;
  char keyid[65], certificate[65], print[40];
  *out = NULL;
  if (gateway_card_read(folder, &card, err) || keys_open(folder, &keys, err)) return -1;
  char *pem = keys_certificate(keys, &key);
  int rc = pem && keys_public(keys, SLOT_SIGN, keyid, NULL, NULL) ? certificate_hash(pem, certificate, err) : err_set(err, ERR_NOT_FOUND, "there are no keys in %s/keys", folder);
  if (rc == 0) {
    fingerprint_of(keyid, certificate, print);
    *out = json_pack("{s:s,s:s,s:s,s:s,s:s}", "server", card.server, "address", card.address, "keyid", keyid, "certificate", certificate, "fingerprint", print);
  }
  free(pem);
  keys_close(keys);
  return rc;
}

/* ---- joining ---- */

/* A call to the operator; text answers are malloc'ed. */
int peer_text(struct http_peer *p, const char *method, const char *target, const char *body, size_t n, int *status, char **answer, size_t *size, struct err *err) {
  struct http_content content = {.data = (char *)body, .fd = -1, .size = (int64_t)n};
  struct http_pair headers[] = {{"Content-Type", "text/plain; charset=utf-8"}, {"Accept", "application/json, text/plain"}};
  struct http_relay_call c = {.method = method, .target = target, .headers = headers, .header_count = BASE_COUNT(headers), .content = body ? &content : NULL, .timeout_ms = 20000, .idle_ms = 10000,
                              .most = (int64_t)SIGNED_MOST};
  struct http_relay_answer a = {0};
  if (http_peer_call(p, &c, &a, err)) return -1;
  struct buf b = {.cap = SIGNED_MOST + 1};
  *status = a.status;
  if (a.content.data && a.content.fd < 0) buf_add(&b, a.content.data, (size_t)a.content.size);
  else if (a.content.size > 0) {
    char part[16384];
    for (off_t at = 0; at < a.content.size;) {
      ssize_t got = pread(a.content.fd, part, sizeof part, at);
      if (got <= 0) break;
      buf_add(&b, part, (size_t)got);
      at += got;
    }
  }
  http_relay_answer_free(&a);
  *size = b.len;
  *answer = buf_take(&b);
  return 0;
}

/* What the other side said, as an error of ours. */
int peer_refused(int status, const char *answer, size_t n, struct err *err) {
  json_t *o = json_read(answer, n, 8, NULL);
  const char *detail = json_str(o, "detail") ? json_str(o, "detail") : json_str(o, "title");
  enum err_code code = status == 403 ? ERR_FORBIDDEN : status == 404 ? ERR_NOT_FOUND : status == 409 ? ERR_CONFLICT : status < 500 ? ERR_INVALID : ERR_UNAVAILABLE;
  err_set(err, code, "the operator answered %d: %.300s", status, detail ? detail : "");
  json_decref(o);
  return -1;
}

static int wait_for(struct http_peer *p, const char *id, int wait_s, char **key, struct err *err) {
  char *target = base_printf("/exchange/join/%s", id), *answer = NULL;
  int64_t end = clock_mono() + (int64_t)wait_s * 1000;
  int rc = -1, status;
  size_t n;
  for (bool on = true; on;) {
    json_t *o = NULL;
    on = false;
    if (peer_text(p, "GET", target, NULL, 0, &status, &answer, &n, err)) break;
    if (status != 200) peer_refused(status, answer, n, err);
    else if ((o = json_read(answer, n, 8, err)) != NULL) {
      const char *decision = json_str(o, "decision"), *pem = json_str(o, "operator_key");
      if (base_same(decision, "approved") && pem) {
        *key = base_strdup(pem);
        rc = 0;
      } else if (base_same(decision, "refused")) err_set(err, ERR_FORBIDDEN, "the operator refused the request");
      else if (clock_mono() >= end) err_set(err, ERR_UNAVAILABLE, "nobody has approved the request yet; the same command goes on waiting for it");
      else on = true;
    }
    json_decref(o);
    free(answer);
    answer = NULL;
    if (on) nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
  }
  free(target);
  return rc;
}

static int take_first(const char *folder, struct http_peer *p, const char *pem, struct err *err) {
  char *answer = NULL, *file = base_printf("%s/directory", folder);
  size_t n = 0;
  int status = 0;
  struct members *m = NULL;
  const struct operator_key *keys = NULL;
  struct signed_line line;
  int rc = peer_text(p, "GET", "/exchange/directory", NULL, 0, &status, &answer, &n, err);
  /* The request may have been approved by another process than the one that answers: it takes the new version in a moment. */
  for (int i = 0; rc == 0 && status == 403 && i < 40; i++) {
    free(answer);
    answer = NULL;
    nanosleep(&(struct timespec){.tv_nsec = 250 * 1000000L}, NULL);
    rc = peer_text(p, "GET", "/exchange/directory", NULL, 0, &status, &answer, &n, err);
  }
  if (rc == 0 && status != 200) rc = peer_refused(status, answer, n, err);
  if (rc == 0) rc = signed_read(answer, n, &line, err);
  if (rc == 0) rc = members_read(answer, n, &m, err);
  if (rc == 0 && (members_operator(m, &keys) == 0 || !signed_true(&line, keys[0].public_key, keys[0].size))) rc = err_set(err, ERR_FORBIDDEN, "the directory is not signed by the operator's key");
  if (rc == 0) rc = members_anchor(folder, pem, err);
  if (rc == 0) rc = file_write(file, answer, n, 0644, err);
  members_drop(m);
  free(answer);
  free(file);
  return rc;
}

int exchange_join(const char *folder, const char *operator_url, const char *code, int wait_s, struct err *err) {
  unsigned char secret[10], pin[1][32];
  struct keys *keys = NULL;
  struct http_peer *peer = NULL;
  struct http_key key;
  char host[256], *pem = NULL, *text = NULL, *answer = NULL, *operator_key = NULL;
  json_t *o = NULL;
  size_t n = 0, size = 0;
  int status = 0, rc = -1;
  if (code_read(code, secret, pin[0], err) || address_check(operator_url, host, err) || keys_open(folder, &keys, err)) return -1;
  pem = keys_certificate(keys, &key);
  struct http_peer_options po = {.base = operator_url, .certificate = pem, .key = key, .pins = (const unsigned char (*)[32])pin, .pin_count = 1, .connections = 1};
  text = asked_make(folder, keys, "chapar-join-v1", false, secret, &n, NULL, err);
  if (!text || http_peer_new(&po, &peer, err) || peer_text(peer, "POST", "/exchange/join", text, n, &status, &answer, &size, err)) goto out;
  if (status != 202) {
    peer_refused(status, answer, size, err);
    goto out;
  }
  o = json_read(answer, size, 8, err);
  if (!o || !json_str(o, "request")) goto out;
  if (wait_for(peer, json_str(o, "request"), wait_s, &operator_key, err) == 0) rc = take_first(folder, peer, operator_key, err);
out:
  explicit_bzero(secret, sizeof secret);
  http_peer_free(peer);
  keys_close(keys);
  json_decref(o);
  free(operator_key);
  free(answer);
  free(text);
  free(pem);
  return rc;
}

/* ---- new keys ---- */

static int renewed_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct exchange *x = arg;
  return act_put(tx, x->o.actor, "renew-keys", x->server, NULL, err);
}

int exchange_renew_keys(struct exchange *x, struct err *err) {
  static const enum helper_slot slots[] = {SLOT_SIGN_NEXT, SLOT_TLS_NEXT};
  struct gateway_card card;
  char host[256];
  if (gateway_card_read(x->folder, &card, err) || address_check(card.address, host, err)) return -1;
  for (size_t i = 0; i < BASE_COUNT(slots); i++) {
    char *file = base_printf("%s/keys/%s.pem", x->folder, helper_slots[slots[i]]);
    bool there = access(file, F_OK) == 0;
    free(file);
    if (!there && keys_make(x->folder, slots[i], x->server, host, err)) return -1;
  }
  if (x->o.actor && store_write(x->store, STORE_FRONT, renewed_work, x, err)) return -1;
  return keys_reload(x->keys, err); /* background.c announces them, waits until they are known, and uses them */
}
