#include "network/usm.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "trust/trust.h"

enum { FLAG_AUTH = 1, FLAG_PRIV = 2, FLAG_REPORT = 4, SALT = 8, IV = 16, PASSWORD_LEAST = 8, PASSWORD_MOST = 255, SPREAD = 1 << 20, USERS_MOST = 1000, FILE_MOST = 1 << 20 };
enum { T_INTEGER = 2, T_OCTETS = 4, T_OID = 6, T_SEQUENCE = 0x30, T_GET = 0xa0, T_RESPONSE = 0xa2, T_REPORT = 0xa8 };

static const struct { const char *name, *digest; size_t mac; } auths[] = {
#define X(name, digest, mac) {name, digest, mac},
  USM_AUTH_TABLE(X)
#undef X
};

/* ---- keys ---- */

static const EVP_MD *digest_of(int auth) { return EVP_get_digestbyname(auths[auth].digest); }

void usm_password_key(int auth, const char *password, unsigned char key[USM_KEY_MOST]) {
  size_t n = strlen(password), at = 0;
  unsigned char block[64];
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  EVP_DigestInit_ex(c, digest_of(auth), NULL);
  for (size_t done = 0; done < SPREAD; done += sizeof block) {
    for (size_t i = 0; i < sizeof block; i++) block[i] = (unsigned char)password[at++ % n];
    EVP_DigestUpdate(c, block, sizeof block);
  }
  EVP_DigestFinal_ex(c, key, NULL);
  EVP_MD_CTX_free(c);
  OPENSSL_cleanse(block, sizeof block);
}

void usm_engine_key(int auth, const unsigned char key[USM_KEY_MOST], const unsigned char *engine, size_t n, unsigned char out[USM_KEY_MOST]) {
  size_t size = (size_t)EVP_MD_get_size(digest_of(auth));
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  EVP_DigestInit_ex(c, digest_of(auth), NULL);
  EVP_DigestUpdate(c, key, size);
  EVP_DigestUpdate(c, engine, n);
  EVP_DigestUpdate(c, key, size);
  EVP_DigestFinal_ex(c, out, NULL);
  EVP_MD_CTX_free(c);
}

/* ---- the file ---- */

struct usm_users { struct usm_user *of; size_t count; };

static bool name_ok(const char *text, size_t most) {
  size_t n = strlen(text);
  return n > 0 && n <= most && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == n;
}

/* What is wrong with a row; NULL: nothing, and it is put. */
static const char *put_user(struct usm_users *u, const char *name, const char *user, const char *auth, const char *auth_password, const char *priv, const char *priv_password) {
  struct usm_user k = {.auth = -1, .priv = priv[0] != 0};
  for (int i = 0; i < (int)BASE_COUNT(auths); i++)
    if (strcmp(auths[i].name, auth) == 0) k.auth = i;
  if (!name_ok(name, sizeof k.name - 1) || !name_ok(user, sizeof k.user - 1)) return "name and user are 1 to 40 and 1 to 32 letters, digits, '.', '-' and '_'";
  if (usm_users_find(u, name)) return "this name was there before";
  if (k.auth < 0) return "auth is sha1, sha224, sha256, sha384 or sha512";
  if (priv[0] && strcmp(priv, "aes128") != 0) return "priv is aes128 or empty";
  size_t a = strlen(auth_password), p = strlen(priv_password);
  if (a < PASSWORD_LEAST || a > PASSWORD_MOST || (k.priv && (p < PASSWORD_LEAST || p > PASSWORD_MOST))) return "a password has 8 to 255 bytes";
  snprintf(k.name, sizeof k.name, "%s", name);
  snprintf(k.user, sizeof k.user, "%s", user);
  usm_password_key(k.auth, auth_password, k.auth_key);
  if (k.priv) usm_password_key(k.auth, priv_password, k.priv_key);
  u->of[u->count++] = k;
  OPENSSL_cleanse(&k, sizeof k);
  return NULL;
}

struct usm_users *usm_users_parse(const char *text, size_t n, const char *path, struct err *err) {
  static const char *const names[] = {"name", "user", "auth", "auth_password", "priv", "priv_password"};
  struct csv *c = csv_read(text, n, err);
  if (!c) return NULL;
  struct usm_users *u = base_alloc(sizeof *u);
  int at[6], rc = 0;
  for (size_t i = 0; i < 6; i++)
    if ((at[i] = csv_column(c, names[i])) < 0 && rc == 0) rc = err_set(err, ERR_INVALID, "%s:1: there is no column %s", path, names[i]);
  size_t rows = csv_rows(c);
  if (rc == 0 && rows > USERS_MOST) rc = err_set(err, ERR_INVALID, "%s: %d rows at most", path, USERS_MOST);
  u->of = base_alloc((rc ? 1 : rows + 1) * sizeof *u->of);
  for (size_t i = 0; rc == 0 && i < rows; i++) {
    const char *wrong = put_user(u, csv_cell(c, i, at[0]), csv_cell(c, i, at[1]), csv_cell(c, i, at[2]), csv_cell(c, i, at[3]), csv_cell(c, i, at[4]), csv_cell(c, i, at[5]));
    if (wrong) rc = err_set(err, ERR_INVALID, "%s:%u: %s", path, csv_line(c, i), wrong);
  }
  csv_free(c);
  if (rc == 0) return u;
  usm_users_free(u);
  return NULL;
}

struct usm_users *usm_users_read(const char *path, struct err *err) {
  struct stat s;
  size_t n = 0;
  if (stat(path, &s)) {
    err_set(err, ERR_NOT_FOUND, "%s cannot be read", path);
    return NULL;
  }
  if (s.st_mode & 077) {
    err_set(err, ERR_INVALID, "%s may be read by others than its owner: chmod 600", path);
    return NULL;
  }
  char *text = file_read(path, FILE_MOST, &n, err);
  struct usm_users *u = text ? usm_users_parse(text, n, path, err) : NULL;
  if (text) OPENSSL_cleanse(text, n);
  free(text);
  return u;
}

void usm_users_free(struct usm_users *u) {
  if (!u) return;
  OPENSSL_cleanse(u->of, u->count * sizeof *u->of);
  free(u->of);
  free(u);
}

const struct usm_user *usm_users_find(const struct usm_users *u, const char *name) {
  for (size_t i = 0; u && i < u->count; i++)
    if (strcmp(u->of[i].name, name) == 0) return &u->of[i];
  return NULL;
}

/* ---- writing, from behind ---- */

struct put { unsigned char *bytes; size_t at; bool full; };

static void put_bytes(struct put *p, const void *bytes, size_t n) {
  if (p->full || n > p->at) {
    p->full = true;
    return;
  }
  p->at -= n;
  if (n) memcpy(p->bytes + p->at, bytes, n);
}

/* Before what was put since `end`. */
static void put_head(struct put *p, unsigned char tag, size_t end) {
  size_t n = end - p->at;
  unsigned char long_head[4] = {tag, 0x82, (unsigned char)(n >> 8), (unsigned char)n}, head[2] = {tag, (unsigned char)n};
  if (n < 128) put_bytes(p, head, 2);
  else put_bytes(p, long_head, 4);
}

static void put_octets(struct put *p, const void *bytes, size_t n) {
  size_t end = p->at;
  put_bytes(p, bytes, n);
  put_head(p, T_OCTETS, end);
}

static void put_int(struct put *p, int64_t v) { /* 0 and more */
  size_t end = p->at;
  unsigned char c;
  do {
    c = (unsigned char)v;
    put_bytes(p, &c, 1);
    v >>= 8;
  } while (v);
  if (c & 128) put_bytes(p, "", 1);
  put_head(p, T_INTEGER, end);
}

static bool aes(bool seal, const struct usm *u, int64_t boots, int64_t time, const unsigned char salt[SALT], unsigned char *data, size_t n) {
  unsigned char iv[IV];
  for (int i = 0; i < 4; i++) {
    iv[i] = (unsigned char)(boots >> (24 - 8 * i));
    iv[4 + i] = (unsigned char)(time >> (24 - 8 * i));
  }
  memcpy(iv + 8, salt, SALT);
  int out = 0;
  EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
  bool ok = EVP_CipherInit_ex(c, EVP_aes_128_cfb128(), NULL, u->priv_key, iv, seal) == 1 && EVP_CipherUpdate(c, data, &out, data, (int)n) == 1 && out == (int)n;
  EVP_CIPHER_CTX_free(c);
  return ok;
}

static void mac_of(const struct usm *u, const unsigned char *message, size_t n, unsigned char out[USM_KEY_MOST]) {
  unsigned size = 0;
  HMAC(digest_of(u->user.auth), u->auth_key, EVP_MD_get_size(digest_of(u->user.auth)), message, n, out, &size);
}

static int32_t random_id(void) {
  uint32_t v;
  random_bytes(&v, sizeof v);
  return (int32_t)(v & INT32_MAX);
}

void usm_begin(struct usm *u, const struct usm_user *user) { *u = (struct usm){.user = *user}; }

void usm_end(struct usm *u) { OPENSSL_cleanse(u, sizeof *u); }

size_t usm_ask(struct usm *u, const unsigned char *pdu, size_t n, unsigned char out[USM_ASK_MOST]) {
  static const unsigned char none[64] = {0};
  struct put p = {.bytes = out, .at = USM_ASK_MOST};
  size_t all = p.at, mac = pdu ? auths[u->user.auth].mac : 0;
  unsigned char salt[SALT], digest[USM_KEY_MOST], flags = (unsigned char)(FLAG_REPORT | (pdu ? FLAG_AUTH | (u->user.priv ? FLAG_PRIV : 0) : 0));
  int64_t time = u->time + (pdu ? (clock_mono() - u->told) / 1000 : 0);
  if (pdu && !u->engine_size) return 0;
  u->id = random_id();
  random_bytes(salt, sizeof salt);
  if (pdu) put_bytes(&p, pdu, n);
  else {
    put_head(&p, T_SEQUENCE, all);
    put_int(&p, 0);
    put_int(&p, 0);
    put_int(&p, random_id());
    put_head(&p, T_GET, all);
  }
  put_octets(&p, "", 0);
  put_octets(&p, u->engine, u->engine_size);
  put_head(&p, T_SEQUENCE, all);
  if (pdu && u->user.priv) {
    if (p.full || !aes(true, u, u->boots, time, salt, out + p.at, all - p.at)) return 0;
    put_head(&p, T_OCTETS, all);
  }
  size_t security = p.at;
  put_octets(&p, salt, pdu && u->user.priv ? SALT : 0);
  put_bytes(&p, none, mac);
  size_t mac_at = p.at;
  put_head(&p, T_OCTETS, mac_at + mac);
  put_octets(&p, u->user.user, pdu ? strlen(u->user.user) : 0);
  put_int(&p, pdu ? time : 0);
  put_int(&p, pdu ? u->boots : 0);
  put_octets(&p, u->engine, u->engine_size);
  put_head(&p, T_SEQUENCE, security);
  put_head(&p, T_OCTETS, security);
  size_t head = p.at;
  put_int(&p, 3);
  put_octets(&p, &flags, 1);
  put_int(&p, USM_MESSAGE_MOST);
  put_int(&p, u->id);
  put_head(&p, T_SEQUENCE, head);
  put_int(&p, 3);
  put_head(&p, T_SEQUENCE, all);
  if (p.full) return 0;
  if (mac) {
    mac_of(u, out + p.at, all - p.at, digest);
    memcpy(out + mac_at, digest, mac);
  }
  memmove(out, out + p.at, all - p.at);
  return all - p.at;
}

/* ---- reading: lengths are definite and within what holds them ---- */

struct get { unsigned char *at, *end; };

static bool get(struct get *g, unsigned char tag, struct get *inner) {
  if (g->end - g->at < 2 || g->at[0] != tag) return false;
  size_t n = g->at[1], more = n & 128 ? n & 127 : 0;
  if (more > 3 || (n & 128 && !more) || (size_t)(g->end - g->at) < 2 + more) return false;
  if (n & 128) {
    n = 0;
    for (size_t i = 0; i < more; i++) n = n << 8 | g->at[2 + i];
  }
  g->at += 2 + more;
  if ((size_t)(g->end - g->at) < n) return false;
  *inner = (struct get){g->at, g->at + n};
  g->at += n;
  return true;
}

static bool get_int(struct get *g, int64_t *v) { /* 0 to 2^31 - 1 */
  struct get i;
  if (!get(g, T_INTEGER, &i) || i.end - i.at < 1 || i.end - i.at > 5 || *i.at & 128) return false;
  for (*v = 0; i.at < i.end; i.at++) *v = *v << 8 | *i.at;
  return *v <= INT32_MAX;
}

struct head { int64_t id, boots, time; unsigned char flags; struct get engine, user, mac, salt, data; };

static bool read_head(unsigned char *message, size_t n, struct head *h) {
  struct get g = {message, message + n}, all, global, flags, security, fields;
  int64_t version, most, model;
  if (!get(&g, T_SEQUENCE, &all) || g.at != g.end || !get_int(&all, &version) || version != 3 || !get(&all, T_SEQUENCE, &global)) return false;
  if (!get_int(&global, &h->id) || !get_int(&global, &most) || !get(&global, T_OCTETS, &flags) || flags.end - flags.at != 1 || !get_int(&global, &model) || model != 3) return false;
  h->flags = *flags.at;
  if (!get(&all, T_OCTETS, &security) || !get(&security, T_SEQUENCE, &fields)) return false;
  if (!get(&fields, T_OCTETS, &h->engine) || !get_int(&fields, &h->boots) || !get_int(&fields, &h->time) || !get(&fields, T_OCTETS, &h->user) || !get(&fields, T_OCTETS, &h->mac) ||
      !get(&fields, T_OCTETS, &h->salt)) return false;
  h->data = all;
  return h->engine.end - h->engine.at <= USM_ENGINE_MOST;
}

static bool equal(const struct get *g, const void *bytes, size_t n) { return (size_t)(g->end - g->at) == n && memcmp(g->at, bytes, n) == 0; }

/* Of this engine and user, and with the digest that only who knows the password can make. */
static bool genuine(const struct usm *u, const struct head *h, unsigned char *message, size_t n) {
  unsigned char told[USM_KEY_MOST], digest[USM_KEY_MOST];
  size_t mac = auths[u->user.auth].mac;
  if (!u->engine_size || !equal(&h->engine, u->engine, u->engine_size) || !equal(&h->user, u->user.user, strlen(u->user.user)) || (size_t)(h->mac.end - h->mac.at) != mac) return false;
  memcpy(told, h->mac.at, mac);
  memset(h->mac.at, 0, mac);
  mac_of(u, message, n, digest);
  return CRYPTO_memcmp(told, digest, mac) == 0;
}

static bool open_data(const struct usm *u, struct head *h, struct get *scoped) {
  if (!(h->flags & FLAG_PRIV)) return get(&h->data, T_SEQUENCE, scoped);
  struct get sealed;
  if (!u->user.priv || h->salt.end - h->salt.at != SALT || !get(&h->data, T_OCTETS, &sealed) || sealed.end - sealed.at > USM_MESSAGE_MOST) return false;
  return aes(false, u, h->boots, h->time, h->salt.at, sealed.at, (size_t)(sealed.end - sealed.at)) && get(&sealed, T_SEQUENCE, scoped);
}

/* Which of the counters of usmStats (1.3.6.1.6.3.15.1.1.N.0) a report tells; 0: none. */
static int report_of(struct get *scoped) {
  static const unsigned char stats[] = {0x2b, 6, 1, 6, 3, 15, 1, 1};
  struct get pdu, list, one, oid;
  int64_t v;
  if (!get(scoped, T_REPORT, &pdu) || !get_int(&pdu, &v) || !get_int(&pdu, &v) || !get_int(&pdu, &v) || !get(&pdu, T_SEQUENCE, &list) || !get(&list, T_SEQUENCE, &one) || !get(&one, T_OID, &oid)) return 0;
  return oid.end - oid.at == sizeof stats + 2 && memcmp(oid.at, stats, sizeof stats) == 0 && oid.at[sizeof stats] < 128 && oid.at[sizeof stats + 1] == 0 ? oid.at[sizeof stats] : 0;
}

static void know(struct usm *u, const struct head *h) {
  u->engine_size = (size_t)(h->engine.end - h->engine.at);
  memcpy(u->engine, h->engine.at, u->engine_size);
  usm_engine_key(u->user.auth, u->user.auth_key, u->engine, u->engine_size, u->auth_key);
  if (u->user.priv) usm_engine_key(u->user.auth, u->user.priv_key, u->engine, u->engine_size, u->priv_key);
}

static void keep_time(struct usm *u, const struct head *h) {
  u->boots = h->boots;
  u->time = h->time;
  u->told = clock_mono();
}

enum usm_took usm_take(struct usm *u, unsigned char *message, size_t n, unsigned char **pdu, size_t *size) {
  enum { UNSUPPORTED_LEVEL = 1, NOT_IN_TIME, UNKNOWN_USER, UNKNOWN_ENGINE, WRONG_DIGEST, NOT_DECRYPTED };
  struct head h;
  struct get scoped, context, inner;
  if (!read_head(message, n, &h) || h.id != u->id) return USM_NOTHING;
  bool proven = h.flags & FLAG_AUTH;
  if (proven ? !genuine(u, &h, message, n) : h.flags & FLAG_PRIV) return USM_NOTHING;
  if (!open_data(u, &h, &scoped) || !get(&scoped, T_OCTETS, &context) || !get(&scoped, T_OCTETS, &context) || scoped.at == scoped.end) return USM_NOTHING;
  if (*scoped.at == T_RESPONSE) {
    if (!proven || (u->user.priv && !(h.flags & FLAG_PRIV))) return USM_NOTHING;
    *pdu = scoped.at;
    if (!get(&scoped, T_RESPONSE, &inner)) return USM_NOTHING;
    *size = (size_t)(inner.end - *pdu);
    keep_time(u, &h);
    return USM_ANSWER;
  }
  int report = report_of(&scoped);
  if (report == UNKNOWN_ENGINE && !u->engine_size && h.engine.end - h.engine.at >= 5) {
    know(u, &h);
    keep_time(u, &h);
    return USM_KNOWN;
  }
  if (report == NOT_IN_TIME && proven) {
    keep_time(u, &h);
    return USM_TIME;
  }
  return report == UNSUPPORTED_LEVEL || report == UNKNOWN_USER || report == WRONG_DIGEST || report == NOT_DECRYPTED ? USM_DENIED : USM_NOTHING;
}
