/* HTTP message signatures (RFC 9421) and digests (RFC 9530) as gateways of this protocol make and check them. */
#include "exchange/signature.h"
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ALGORITHM "ecdsa-p256-sha256"
#define PARAMS "\"@signature-params\": "
enum { BASE_MOST = 256 * 1024, COVERED_MOST = 128, BYTES_64 = 88 };

/* ---- components ---- */

const char *signature_field(const struct message *m, const char *name) {
  const char *first = NULL;
  size_t count = 0, all = 0;
  for (size_t i = 0; i < m->header_count; i++) {
    if (!header_named(&m->headers[i], name)) continue;
    if (count++ == 0) first = m->headers[i].value;
    all += strlen(m->headers[i].value) + 2;
  }
  if (count < 2) return first;
  char *out = arena_alloc(m->arena, all + 1);
  const char *between = "";
  size_t at = 0;
  for (size_t i = 0; out != NULL && i < m->header_count; i++) {
    if (!header_named(&m->headers[i], name)) continue;
    int put = snprintf(out + at, all + 1 - at, "%s%s", between, m->headers[i].value);
    at += put > 0 ? (size_t)put : 0;
    between = ", ";
  }
  return out;
}

/* The pieces of an absolute URI, as they stand in it. */
struct target { const char *scheme, *authority, *path, *query, *end; size_t scheme_n, authority_n, path_n; };

static bool target_split(const char *uri, struct target *t) {
  const char *sep = uri == NULL ? NULL : strstr(uri, "://");
  if (sep == NULL) return false;
  t->scheme = uri;
  t->scheme_n = (size_t)(sep - uri);
  t->authority = sep + 3;
  t->authority_n = strcspn(t->authority, "/?#");
  t->path = t->authority + t->authority_n;
  t->path_n = strcspn(t->path, "?#");
  t->query = t->path + t->path_n;
  t->end = t->query + strcspn(t->query, "#");
  return true;
}

static void authority_put(struct buf *out, const struct target *t) {
  size_t n = t->authority_n;
  if (t->scheme_n == 5 && n > 4 && memcmp(t->authority + n - 4, ":443", 4) == 0) n -= 4;
  else if (t->scheme_n == 4 && n > 3 && memcmp(t->authority + n - 3, ":80", 3) == 0) n -= 3;
  for (size_t i = 0; i < n; i++) buf_addc(out, t->authority[i] >= 'A' && t->authority[i] <= 'Z' ? (char)(t->authority[i] + 32) : t->authority[i]);
}

static int hex_of(int c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

/* A form's text, decoded and encoded again as RFC 9421, 2.2.8 wants it. */
static void form_again(struct buf *out, const char *p, const char *end) {
  for (; p < end; p++) {
    unsigned char c = (unsigned char)*p;
    if (c == '+') c = ' ';
    else if (c == '%' && end - p > 2 && hex_of(p[1]) >= 0 && hex_of(p[2]) >= 0) {
      c = (unsigned char)(hex_of(p[1]) * 16 + hex_of(p[2]));
      p += 2;
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != 0 && strchr("*-._", c) != NULL)) buf_addc(out, (char)c);
    else buf_addf(out, "%%%02X", c);
  }
}

static int query_param(struct buf *out, const struct target *t, const struct sfv_value *name) {
  int found = 0;
  for (const char *p = t->query < t->end ? t->query + 1 : t->end; p < t->end;) {
    const char *stop = memchr(p, '&', (size_t)(t->end - p)), *eq;
    if (stop == NULL) stop = t->end;
    eq = memchr(p, '=', (size_t)(stop - p));
    struct buf key = {0};
    form_again(&key, p, eq == NULL ? stop : eq);
    if (key.len == name->size && memcmp(buf_str(&key), name->text, key.len) == 0 && found++ == 0 && eq != NULL) form_again(out, eq + 1, stop);
    buf_free(&key);
    p = stop < t->end ? stop + 1 : stop;
  }
  return found == 1 ? 0 : -1; /* twice: the order would matter, and nobody needs it */
}

static int derived_put(struct buf *out, const struct message *m, const char *name, const struct sfv_item *c) {
  struct target t;
  if (strcmp(name, "@status") == 0) return m->status > 0 ? buf_addi(out, m->status), 0 : -1;
  if (m->status > 0 || m->method == NULL || !target_split(m->target_uri, &t)) return -1;
  if (strcmp(name, "@method") == 0) buf_adds(out, m->method);
  else if (strcmp(name, "@target-uri") == 0) buf_adds(out, m->target_uri);
  else if (strcmp(name, "@authority") == 0) authority_put(out, &t);
  else if (strcmp(name, "@scheme") == 0) buf_add(out, t.scheme, t.scheme_n);
  else if (strcmp(name, "@request-target") == 0) buf_add(out, t.path, (size_t)(t.end - t.path));
  else if (strcmp(name, "@path") == 0) t.path_n > 0 ? buf_add(out, t.path, t.path_n) : buf_adds(out, "/");
  else if (strcmp(name, "@query") == 0) t.query < t.end ? buf_add(out, t.query, (size_t)(t.end - t.query)) : buf_adds(out, "?");
  else if (strcmp(name, "@query-param") == 0) {
    const struct sfv_value *which = sfv_param(c, "name");
    return which != NULL && which->type == SFV_STRING ? query_param(out, &t, which) : -1;
  } else return -1;
  return 0;
}

static int field_put(struct buf *out, const struct message *m, const char *name, const struct sfv_value *key) {
  const char *value = signature_field(m, name);
  struct sfv_member *list;
  size_t count;
  if (value == NULL) return -1;
  if (key == NULL) return buf_adds(out, value), 0;
  if (key->type != SFV_STRING || sfv_dictionary(m->arena, value, strlen(value), &list, &count, NULL) != 0) return -1;
  const struct sfv_item *item = sfv_member(list, count, key->text);
  if (item == NULL) return -1;
  sfv_write(out, item);
  return 0;
}

static bool flag_of(const struct sfv_item *c, const char *name) {
  const struct sfv_value *v = sfv_param(c, name);
  return v != NULL && v->type == SFV_BOOLEAN && v->number == 1;
}

/* One line of the base, without its newline. */
static int line_put(struct buf *out, const struct message *m, const struct message *request, const struct sfv_item *c, struct err *err) {
  const char *name = c->value.text;
  const struct message *of = flag_of(c, "req") ? request : m;
  if (c->value.type != SFV_STRING) return err_set(err, ERR_MALFORMED, "a covered component is not a string");
  bool derived = name[0] == '@';
  for (size_t i = 0; i < c->param_count; i++)
    if (strcmp(c->params[i].key, "req") != 0 && strcmp(c->params[i].key, derived ? "name" : "key") != 0)
      return err_set(err, ERR_MALFORMED, "the parameter %.40s of a component is not used here", c->params[i].key);
  for (const char *p = name; *p != '\0'; p++)
    if (*p >= 'A' && *p <= 'Z') return err_set(err, ERR_MALFORMED, "names of components are written small");
  sfv_write(out, c);
  buf_adds(out, ": ");
  int rc = of == NULL ? -1 : derived ? derived_put(out, of, name, c) : field_put(out, of, name, sfv_param(c, "key"));
  return rc == 0 ? 0 : err_set(err, ERR_MALFORMED, "the message has no component %.80s as it was signed", name);
}

static bool param_same(const struct sfv_item *a, const struct sfv_item *b) {
  for (size_t i = 0; i < a->param_count; i++) {
    const struct sfv_value *x = &a->params[i].value, *y = sfv_param(b, a->params[i].key);
    if (y == NULL || x->type != y->type || x->number != y->number || x->size != y->size || (x->size > 0 && memcmp(x->text, y->text, x->size) != 0)) return false;
  }
  return true;
}
static bool same_component(const struct sfv_item *a, const struct sfv_item *b) {
  return a->value.size == b->value.size && a->param_count == b->param_count && a->value.type == SFV_STRING && b->value.type == SFV_STRING &&
         memcmp(a->value.text, b->value.text, a->value.size) == 0 && param_same(a, b);
}

static int base_put(const struct message *m, const struct message *request, const struct sfv_item *list, struct buf *out, struct err *err) {
  if (list->value.type != SFV_LIST) return err_set(err, ERR_MALFORMED, "Signature-Input holds no list of components");
  if (list->count > COVERED_MOST) return err_set(err, ERR_LIMIT, "a signature covers more than %d components", COVERED_MOST);
  for (size_t i = 0; i < list->count; i++) {
    for (size_t j = 0; j < i; j++)
      if (same_component(&list->items[i], &list->items[j])) return err_set(err, ERR_MALFORMED, "a component is covered twice");
    size_t from = out->len;
    if (line_put(out, m, request, &list->items[i], err) != 0) return -1;
    if (memchr(buf_str(out) + from, '\n', out->len - from) != NULL) return err_set(err, ERR_MALFORMED, "a component holds a newline");
    buf_addc(out, '\n');
  }
  buf_adds(out, PARAMS);
  sfv_write(out, list);
  return buf_overflowed(out) ? err_set(err, ERR_LIMIT, "what is to be signed has more than %d bytes", BASE_MOST) : 0;
}

int signature_base(const struct message *m, const struct message *request, const struct sfv_item *list, struct buf *out, struct err *err) {
  buf_init(out, BASE_MOST);
  return base_put(m, request, list, out, err);
}

/* Into the message's arena. */
static const char *base_make(const struct message *m, const struct message *request, const struct sfv_item *list, size_t *n, struct err *err) {
  struct buf *text = buf_own(BASE_MOST);
  if (base_put(m, request, list, text, err) != 0) return NULL;
  const char *base = arena_strndup(m->arena, buf_str(text), text->len);
  if (base == NULL) err_set(err, ERR_LIMIT, "what is to be signed is too large");
  *n = text->len;
  return base;
}

/* ---- digests ---- */

static int digest_same(struct message *m, const char *method, const struct sfv_value *v, struct err *err) {
  unsigned char got[64];
  size_t size = strcmp(method, "SHA512") == 0 ? 64 : 32;
  if (v->type != SFV_BYTES || v->size != size) return err_set(err, ERR_MALFORMED, "Content-Digest holds no digest of %zu bytes", size);
  if (size == 64) {
    if (message_digest(m, err) != 0) return -1;
    memcpy(got, m->digest, 64);
  } else if (content_digest(m->content, method, got, err) != 0) return -1;
  return trust_same(got, v->text, size) ? 0 : err_set(err, ERR_CONFLICT, "the content is not that of its digest");
}

int signature_digest_check(struct message *m, const char *field, struct err *err) {
  static const struct { const char *key, *method; } known[] = {{"sha-512", "SHA512"}, {"sha-256", "SHA256"}};
  struct sfv_member *list;
  size_t count;
  bool any = false;
  if (sfv_dictionary(m->arena, field, strlen(field), &list, &count, err) != 0) return -1;
  for (size_t i = 0; i < BASE_COUNT(known); i++) {
    const struct sfv_item *d = sfv_member(list, count, known[i].key);
    if (d == NULL) continue;
    if (digest_same(m, known[i].method, &d->value, err) != 0) return -1;
    any = true;
  }
  return any ? 0 : err_set(err, ERR_MALFORMED, "Content-Digest has neither sha-512 nor sha-256");
}

/* ---- making ---- */

struct covering { struct sfv_item items[COVERED_MOST]; size_t count; };
static struct sfv_param bound[2] = {{"req", {SFV_BOOLEAN, 1, NULL, 0}}, {"key", {SFV_STRING, 0, SIGNATURE_LABEL, sizeof SIGNATURE_LABEL - 1}}};

static void cover(struct covering *c, const char *name, size_t params) {
  if (c->count < COVERED_MOST)
    c->items[c->count++] = (struct sfv_item){.value = {SFV_STRING, 0, name, strlen(name)}, .params = params > 0 ? bound : NULL, .param_count = params};
}

static const char *lowered(struct arena *a, const char *name) {
  char *out = arena_strdup(a, name);
  for (char *p = out; p != NULL && *p != '\0'; p++)
    if (*p >= 'A' && *p <= 'Z') *p = (char)(*p + 32);
  return out;
}

/* What the protocol wants covered, in the order it is written. */
static int cover_all(const struct message *m, bool answer, struct covering *c, struct err *err) {
  c->count = 0;
  if (answer) cover(c, "@status", 0);
  else cover(c, "@method", 0), cover(c, "@target-uri", 0);
  cover(c, "content-digest", 0);
  for (size_t i = 0; i < m->header_count; i++) {
    if (strncasecmp(m->headers[i].name, "x-road-", 7) != 0) continue;
    size_t j = 0;
    while (j < c->count && !header_named(&m->headers[i], c->items[j].value.text)) j++;
    if (j < c->count) continue;
    const char *name = lowered(m->arena, m->headers[i].name);
    if (name == NULL || c->count + 5 > COVERED_MOST) return err_set(err, ERR_LIMIT, "a message has too many x-road headers");
    cover(c, name, 0);
  }
  if (answer) cover(c, "@method", 1), cover(c, "@target-uri", 1), cover(c, "content-digest", 1), cover(c, "signature", 2);
  return 0;
}

static void drop_ours(struct message *m) {
  size_t n = 0;
  for (size_t i = 0; i < m->header_count; i++)
    if (!message_ours(&m->headers[i])) m->headers[n++] = m->headers[i];
  m->header_count = n;
}

/* A header whose value is what begins it, 64 bytes and a colon. */
static int bytes_64_add(struct message *m, const char *name, const char *before, const unsigned char bytes[64], struct err *err) {
  char field[24 + BYTES_64];
  size_t n = strlen(before);
  memcpy(field, before, n);
  base64_write(field + n, bytes, 64);
  memcpy(field + n + BYTES_64, ":", 2);
  return message_add(m, name, field, err);
}

static int digest_add(struct message *m, bool answer, struct err *err) {
  const char *given = answer ? NULL : signature_field(m, "content-digest"); /* the answer to HEAD may tell the digest of what GET would give */
  if (message_digest(m, err) != 0 || (given != NULL && signature_digest_check(m, given, err) != 0)) return -1;
  drop_ours(m);
  return bytes_64_add(m, "Content-Digest", "sha-512=:", m->digest, err);
}

/* The parameters as they stand at the end of the base. */
static int signature_add(struct message *m, const char *base, size_t n, const unsigned char raw[64], struct err *err) {
  const char *line = memrchr(base, '\n', n);
  struct buf *input = buf_own(BASE_MOST);
  buf_adds(input, SIGNATURE_LABEL "=");
  buf_adds(input, line + sizeof PARAMS);
  return message_add(m, "Signature-Input", buf_str(input), err) != 0 ? -1 : bytes_64_add(m, "Signature", SIGNATURE_LABEL "=:", raw, err);
}

static void proved(struct message *m, const unsigned char raw[64]) {
  memcpy(m->signature, raw, sizeof m->signature);
  m->proven = true;
}

int signature_make(struct message *m, const struct message *request, const struct exchange_signer *by, const char *keyid, int64_t now,
                   const char **base, struct err *err) {
  unsigned char noise[16], hash[32], der[80], raw[64];
  char nonce[25];
  __attribute__((uninitialized)) struct covering c; /* large, and counted */
  size_t n, size = 0;
  *base = NULL;
  if (digest_add(m, request != NULL, err) != 0 || cover_all(m, request != NULL, &c, err) != 0) return -1;
  random_bytes(noise, sizeof noise);
  base64url_write(nonce, noise, sizeof noise);
  struct sfv_param params[] = {
    {"created", {SFV_INTEGER, now / 1000, NULL, 0}},     {"nonce", {SFV_STRING, 0, nonce, strlen(nonce)}},
    {"keyid", {SFV_STRING, 0, keyid, strlen(keyid)}},    {"alg", {SFV_STRING, 0, ALGORITHM, sizeof ALGORITHM - 1}},
    {"tag", {SFV_STRING, 0, SIGNATURE_TAG, sizeof SIGNATURE_TAG - 1}}};
  struct sfv_item list = {.value = {.type = SFV_LIST}, .items = c.items, .count = c.count, .params = params, .param_count = BASE_COUNT(params)};
  const char *text = base_make(m, request, &list, &n, err);
  if (text == NULL) return -1;
  sha256(text, n, hash);
  if (by->sign(by->ctx, EXCHANGE_KEY_SIGN, hash, sizeof hash, der, &size, err) != 0) return -1;
  if (signature_to_raw(der, size, raw) != 0) return err_set(err, ERR_INTERNAL, "the signing key gave something that is no signature");
  if (signature_add(m, text, n, raw, err) != 0) return -1;
  proved(m, raw);
  *base = text;
  return 0;
}

/* ---- reading and checking ---- */

struct claimed { const struct sfv_item *list; const struct sfv_value *value; };

static int claim_find(const struct message *m, const char *field, const struct sfv_item **out, struct err *err) {
  const char *text = signature_field(m, field);
  struct sfv_member *list;
  size_t count;
  struct err why = {0};
  if (text == NULL) return err_set(err, ERR_MALFORMED, "the message has no header %s", field);
  if (sfv_dictionary(m->arena, text, strlen(text), &list, &count, &why) != 0) return err_set(err, ERR_MALFORMED, "%s cannot be read: %.300s", field, why.message);
  *out = sfv_member(list, count, SIGNATURE_LABEL);
  return *out != NULL ? 0 : err_set(err, ERR_MALFORMED, "%s has no member \"" SIGNATURE_LABEL "\"", field);
}

static int param_text(const struct sfv_item *list, const char *key, const char **out, struct err *err) {
  const struct sfv_value *v = sfv_param(list, key);
  if (v == NULL || v->type != SFV_STRING) return err_set(err, ERR_MALFORMED, "the signature has no parameter %s, or it is no string", key);
  *out = v->text;
  return 0;
}

static bool only_of(const char *s, size_t least, size_t most, const char *set) { return strlen(s) >= least && strlen(s) <= most && strspn(s, set) == strlen(s); }

static int claim_params(const struct sfv_item *list, struct signed_by *out, struct err *err) {
  static const char *const known[] = {"created", "nonce", "keyid", "alg", "tag"};
  const char *alg, *tag, *keyid, *nonce;
  const struct sfv_value *created = sfv_param(list, "created");
  for (size_t i = 0; i < list->param_count; i++) {
    size_t j = 0;
    while (j < BASE_COUNT(known) && strcmp(known[j], list->params[i].key) != 0) j++;
    if (j == BASE_COUNT(known)) return err_set(err, ERR_MALFORMED, "the parameter %.40s of a signature is not used here", list->params[i].key);
  }
  if (created == NULL || created->type != SFV_INTEGER || created->number < 0 || created->number > INT64_C(253402300799))
    return err_set(err, ERR_MALFORMED, "the signature does not tell when it was created");
  if (param_text(list, "alg", &alg, err) != 0 || param_text(list, "tag", &tag, err) != 0 || param_text(list, "keyid", &keyid, err) != 0 ||
      param_text(list, "nonce", &nonce, err) != 0)
    return -1;
  if (strcmp(alg, ALGORITHM) != 0) return err_set(err, ERR_MALFORMED, "the algorithm %.40s is not accepted, only " ALGORITHM, alg);
  if (strcmp(tag, SIGNATURE_TAG) != 0) return err_set(err, ERR_MALFORMED, "the signature was made for something else (%.40s)", tag);
  if (!only_of(keyid, 64, 64, "0123456789abcdef")) return err_set(err, ERR_MALFORMED, "keyid is the SHA-256 of a public key in 64 small hexadecimal digits");
  if (!only_of(nonce, 22, sizeof out->nonce - 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
    return err_set(err, ERR_MALFORMED, "the nonce has 22 to %zu characters of base64url", sizeof out->nonce - 1);
  memcpy(out->keyid, keyid, 65);
  memcpy(out->nonce, nonce, strlen(nonce) + 1);
  out->created = created->number;
  return 0;
}

/* Is everything covered that the protocol wants, and nothing of x-road-* that is not there? */
static int claim_covers(const struct message *m, const struct sfv_item *list, struct err *err) {
  __attribute__((uninitialized)) struct covering want;
  if (cover_all(m, m->status > 0, &want, err) != 0) return -1;
  for (size_t i = 0; i < want.count; i++) {
    size_t j = 0;
    while (j < list->count && !same_component(&want.items[i], &list->items[j])) j++;
    if (j == list->count)
      return err_set(err, ERR_MALFORMED, "the signature does not cover %.80s%s", want.items[i].value.text, want.items[i].param_count > 0 ? " of the request" : "");
  }
  return 0;
}

static int claim_read(const struct message *m, struct claimed *c, struct signed_by *out, struct err *err) {
  const struct sfv_item *value;
  if (claim_find(m, "Signature-Input", &c->list, err) != 0 || claim_find(m, "Signature", &value, err) != 0) return -1;
  c->value = &value->value;
  if (c->list->value.type != SFV_LIST) return err_set(err, ERR_MALFORMED, "Signature-Input holds no list of components");
  if (c->value->type != SFV_BYTES || c->value->size != 64) return err_set(err, ERR_MALFORMED, "the signature has not 64 bytes");
  return claim_params(c->list, out, err) != 0 ? -1 : claim_covers(m, c->list, err);
}

int signature_read(const struct message *m, struct signed_by *out, struct err *err) {
  struct claimed c;
  memset(out, 0, sizeof *out);
  if (claim_read(m, &c, out, err) != 0) return -1;
  out->covered = c.list;
  out->signature = (const unsigned char *)c.value->text;
  return 0;
}

int signature_value(const struct message *m, unsigned char out[64], struct err *err) {
  if (!m->proven) return err_set(err, ERR_INTERNAL, "the message has no signature that was made or checked here");
  memcpy(out, m->signature, 64);
  return 0;
}

int signature_check_read(struct message *m, const struct message *request, const struct signed_by *by, const void *public_key, size_t n, const char **base, struct err *err) {
  const char *text = NULL;
  size_t size;
  *base = NULL;
  if (m->status > 0 && request == NULL) return err_set(err, ERR_MALFORMED, "an answer is checked with its request");
  const char *digest = signature_field(m, "content-digest");
  int rc = digest == NULL ? err_set(err, ERR_MALFORMED, "the message has no Content-Digest") : 0;
  if (rc == 0 && (text = base_make(m, request, by->covered, &size, err)) == NULL) rc = -1;
  if (rc == 0) rc = signature_verify(text, size, by->signature, public_key, n, err);
  if (rc == 0) rc = signature_digest_check(m, digest, err);
  if (rc != 0) return rc;
  proved(m, by->signature);
  *base = text;
  return 0;
}

int signature_check(struct message *m, const struct message *request, const void *public_key, size_t n, const char **base, struct err *err) {
  struct signed_by by;
  *base = NULL;
  return signature_read(m, &by, err) != 0 ? -1 : signature_check_read(m, request, &by, public_key, n, base, err);
}
