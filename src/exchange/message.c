/* A message: its header lines, its digest, and the hash by which an answer names its request. */
#include "base/bytes.h"
#include "exchange/inside.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEADERS_MOST = 256, VALUE_MOST = 16 * 1024 };

/* Most differ in their first letter. */
bool header_named(const struct http_pair *h, const char *name) { return ((h->name[0] ^ name[0]) & ~0x20) == 0 && strcasecmp(h->name, name) == 0; }

const char *message_header(const struct message *m, const char *name) {
  for (size_t i = m->header_count; i-- > 0;)
    if (header_named(&m->headers[i], name)) return m->headers[i].value;
  return NULL;
}

/* The next place of the list; NULL: there is none. */
static struct http_pair *next_place(struct message *m, struct err *err) {
  if (m->header_count >= HEADERS_MOST) return err_set(err, ERR_LIMIT, "a message has more than %d header lines", HEADERS_MOST), NULL;
  if (m->header_count >= m->header_room) {
    size_t room = m->header_room < 16 ? 32 : 2 * m->header_room;
    while (room <= m->header_count) room *= 2;
    struct http_pair *list = arena_alloc(m->arena, room * sizeof *list);
    if (list == NULL) return err_set(err, ERR_LIMIT, "a message has too many headers"), NULL;
    if (m->header_count > 0) memcpy(list, m->headers, m->header_count * sizeof *list);
    m->headers = list;
    m->header_room = room;
  }
  return &m->headers[m->header_count++];
}

int message_add_held(struct message *m, const char *name, const char *value, struct err *err) {
  if (!is_token(name, strlen(name))) return err_set(err, ERR_MALFORMED, "this is not the name of a header");
  size_t n = strlen(value);
  if (n > VALUE_MOST) return err_set(err, ERR_TOO_LARGE, "the header %.60s has more than %d bytes", name, VALUE_MOST);
  if (!value_sound(value, n)) return err_set(err, ERR_MALFORMED, "the header %.60s holds a control character", name);
  struct http_pair *place = next_place(m, err);
  if (place == NULL) return -1;
  *place = (struct http_pair){name, value};
  return 0;
}

int message_add(struct message *m, const char *name, const char *value, struct err *err) {
  if (message_add_held(m, name, value, err) != 0) return -1;
  struct http_pair *place = &m->headers[m->header_count - 1];
  *place = (struct http_pair){arena_strdup(m->arena, name), arena_strdup(m->arena, value)};
  if (place->name != NULL && place->value != NULL) return 0;
  m->header_count--;
  return err_set(err, ERR_LIMIT, "the headers of a message are too large");
}

static void keep_where(struct message *m, bool (*drop)(const struct http_pair *, const void *), const void *ctx) {
  size_t kept = 0;
  for (size_t i = 0; i < m->header_count; i++)
    if (!drop(&m->headers[i], ctx)) m->headers[kept++] = m->headers[i];
  m->header_count = kept;
}

static bool has_name(const struct http_pair *h, const void *name) { return header_named(h, name); }
void message_remove(struct message *m, const char *name) { keep_where(m, has_name, name); }

/* What X-Road drops in both directions. */
static bool hop(const struct http_pair *h, const void *ctx) {
  static const char *const names[] = {"Transfer-Encoding", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Upgrade",
                                      "Connection", "User-Agent", "Host", "Content-Length", "Server", "Expect"};
  for (size_t i = 0; i < BASE_COUNT(names); i++)
    if (header_named(h, names[i])) return true;
  return false;
}

/* A header that Connection names belongs to that connection alone (RFC 9110, 7.6.1). Never one of the protocol's own. */
static bool named_in(const struct http_pair *h, const void *list) {
  size_t n = strlen(h->name);
  if (strncasecmp(h->name, "x-road-", 7) == 0 || strcasecmp(h->name, "Content-Digest") == 0) return false;
  for (const char *p = list; *p != '\0';) {
    p += strspn(p, " \t,");
    size_t all = strcspn(p, " \t,");
    if (all == n && strncasecmp(p, h->name, n) == 0) return true;
    p += all;
  }
  return false;
}

void message_clean(struct message *m) {
  const char *lists[8];
  size_t count = 0;
  for (size_t i = 0; i < m->header_count && count < BASE_COUNT(lists); i++)
    if (strcasecmp(m->headers[i].name, "Connection") == 0) lists[count++] = m->headers[i].value;
  for (size_t i = 0; i < count; i++) keep_where(m, named_in, lists[i]);
  keep_where(m, hop, NULL);
}

/* ---- digests ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t at_exit;
static EVP_MD *method_512, *method_256;
static _Thread_local EVP_MD_CTX *own; /* to look a method up and to make a context costs as much as to hash a short text */

static void forget(void *ctx) { EVP_MD_CTX_free(ctx); }

static void prepare(void) {
  method_512 = EVP_MD_fetch(NULL, "SHA512", NULL);
  method_256 = EVP_MD_fetch(NULL, "SHA256", NULL);
  if (method_512 == NULL || method_256 == NULL || pthread_key_create(&at_exit, forget) != 0) abort();
}

/* This thread's, begun anew. */
static EVP_MD_CTX *digest_begin(const char *method) {
  pthread_once(&once, prepare);
  if (own == NULL && ((own = EVP_MD_CTX_new()) == NULL || pthread_setspecific(at_exit, own) != 0)) abort();
  if (EVP_DigestInit_ex2(own, strcmp(method, "SHA512") == 0 ? method_512 : method_256, NULL) != 1) abort();
  return own;
}

static int digest_more(void *ctx, const void *p, size_t n) { return EVP_DigestUpdate(ctx, p, n) == 1 ? 0 : -1; }

int content_digest(const struct http_content *c, const char *method, unsigned char *out, struct err *err) {
  EVP_MD_CTX *ctx = digest_begin(method);
  int rc = 0;
  if (c != NULL && c->size > 0) rc = http_content_each(c, digest_more, ctx, err);
  if (rc == 0 && EVP_DigestFinal_ex(ctx, out, NULL) != 1) abort();
  return rc;
}

int message_digest(struct message *m, struct err *err) {
  if (m->digested) return 0;
  if (content_digest(m->content, "SHA512", m->digest, err) != 0) return -1;
  m->digested = true;
  return 0;
}

bool message_ours(const struct http_pair *h) {
  if (header_named(h, "Content-Digest")) return true;
  return (header_named(h, "Signature") || header_named(h, "Signature-Input")) && base_starts(h->value, SIGNATURE_LABEL "=");
}

int message_request_hash(const struct message *m, const char *path, char out[89], struct err *err) {
  unsigned char hash[64], both[128];
  EVP_MD_CTX *ctx = digest_begin("SHA512");
  EVP_DigestUpdate(ctx, m->method, strlen(m->method));
  EVP_DigestUpdate(ctx, "\r\n", 2);
  EVP_DigestUpdate(ctx, path, strlen(path));
  EVP_DigestUpdate(ctx, "\r\n", 2);
  for (size_t i = 0; i < m->header_count; i++) {
    if (message_ours(&m->headers[i])) continue;
    EVP_DigestUpdate(ctx, m->headers[i].name, strlen(m->headers[i].name));
    EVP_DigestUpdate(ctx, ":", 1);
    EVP_DigestUpdate(ctx, m->headers[i].value, strlen(m->headers[i].value));
    EVP_DigestUpdate(ctx, "\r\n", 2);
  }
  EVP_DigestFinal_ex(ctx, hash, NULL);
  if (m->content != NULL && m->content->size > 0) {
    memcpy(both, hash, 64);
    if (m->digested) memcpy(both + 64, m->digest, 64);
    else if (content_digest(m->content, "SHA512", both + 64, err) != 0) return -1;
    if (EVP_Digest(both, sizeof both, hash, NULL, method_512, NULL) != 1) abort();
  }
  base64_write(out, hash, sizeof hash);
  return 0;
}
