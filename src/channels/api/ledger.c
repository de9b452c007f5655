#include "channels/api/inside.h"

#include <stdlib.h>
#include <string.h>

static void get_head(struct http_req *r) {
  json_t *out = NULL;
  struct err err;
  api_list(r, trust_head(api_of(r)->trust, &out, &err), &out, &err);
}

static int number(struct http_req *r, const char *name, int64_t *out) {
  const char *text = http_query(r, name);
  if (text && parse_i64(text, out) == 0 && *out >= 0) return 0;
  api_fault(r, name, text ? "type" : "required", "api.number");
  return -1;
}

/* Places outside the newest signed head are the caller's mistake, told as such. */
static void show_path(struct http_req *r, int rc, json_t **out, const struct err *err, const char *field) {
  if (rc && err->code == ERR_INVALID) api_fault(r, field, "range", "api.range");
  else api_list(r, rc, out, err);
}

static void get_proof(struct http_req *r) {
  int64_t leaf, size;
  json_t *out = NULL;
  struct err err;
  if (number(r, "leaf", &leaf) == 0 && number(r, "tree_size", &size) == 0)
    show_path(r, trust_proof(api_of(r)->trust, leaf, size, &out, &err), &out, &err, leaf < size ? "tree_size" : "leaf");
}

static void get_consistency(struct http_req *r) {
  int64_t first, second;
  json_t *out = NULL;
  struct err err;
  if (number(r, "first", &first) == 0 && number(r, "second", &second) == 0)
    show_path(r, trust_consistency(api_of(r)->trust, first, second, &out, &err), &out, &err, first > second ? "first" : "second");
}

static void get_key(struct http_req *r) {
  const char *key = trust_public_key(api_of(r)->trust);
  char *text = arena_printf(http_arena(r), "%s\n", key);
  http_reply(r, 200, "text/plain; charset=utf-8", text, strlen(text));
}

static void get_checkpoint(struct http_req *r) {
  char *text = NULL;
  struct err err;
  if (trust_checkpoint(api_of(r)->trust, &text, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_take(r, 200, "text/plain; charset=utf-8", text, strlen(text));
}

/* C2SP tile path: <level>/<index in groups of three, all but the last with x>[.p/<width>] */
static int tile_path(const char *s, int *level, int64_t *n, int *width) {
  char *end;
  long l = strtol(s, &end, 10);
  if (end == s || *end != '/' || l < 0 || l > 63 || (s[0] == '0' && end != s + 1)) return -1;
  *level = (int)l;
  *width = 256;
  *n = 0;
  for (int groups = 0; groups < 6; groups++) {
    s = end + 1;
    bool more = *s == 'x';
    if (more) s++;
    for (int i = 0; i < 3; i++, s++) {
      if (*s < '0' || *s > '9') return -1;
      *n = *n * 10 + (*s - '0');
    }
    end = (char *)s;
    if (more && *n == 0) return -1; /* one name for a tile: no leading zeros */
    if (more) {
      if (*end != '/') return -1;
      continue;
    }
    if (!*end) return 0;
    if (strncmp(end, ".p/", 3) != 0) return -1;
    if (end[3] < '1' || end[3] > '9') return -1;
    long w = strtol(end + 3, &end, 10);
    if (*end || w > 255) return -1;
    *width = (int)w;
    return 0;
  }
  return -1;
}

static void get_tile(struct http_req *r) {
  int level, width;
  int64_t n;
  unsigned char *bytes;
  size_t size;
  struct err err;
  const char *path = http_param(r, "path");
  if (!path || tile_path(path, &level, &n, &width)) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  if (trust_tile(api_of(r)->trust, level, n, width, &bytes, &size, &err)) return api_error(r, &err, NULL, NULL);
  http_reply_header(r, "Cache-Control", "public, max-age=31536000, immutable");
  http_reply_take(r, 200, "application/octet-stream", (char *)bytes, size);
}

static void post_cosignature(struct http_req *r) {
  json_t *body = http_json(r);
  struct err err;
  if (!body) return;
  if (!json_str(body, "witness") || !json_str(body, "note")) return http_problem_code(r, ERR_INVALID, word(http_lang(r), "api.cosign"));
  if (trust_cosign(api_of(r)->trust, json_str(body, "witness"), json_str(body, "note"), &err))
    return api_error(r, &err, err.code == ERR_INVALID ? "api.cosign_wrong" : NULL, NULL);
  http_reply(r, 204, NULL, NULL, 0);
}

static void get_openapi(struct http_req *r) {
  const struct embedded *e = embedded_find("assets/openapi.json");
  if (!e) return http_problem_code(r, ERR_NOT_FOUND, NULL);
  http_reply_static(r, "application/json", e->data, e->size, e->sha256);
}

const struct http_route api_ledger_rows[] = {
  {"GET", "/api/v1/ledger/head", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_head, "The newest signed head of the ledger."},
  {"GET", "/api/v1/ledger/proof", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_proof, "Inclusion proof of a leaf in a tree size."},
  {"GET", "/api/v1/ledger/consistency", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_consistency, "Consistency proof between two tree sizes."},
  {"POST", "/api/v1/ledger/cosignatures", HTTP_WORKER, PERMIT_STAFF, HTTP_BEARER, 16 * 1024, post_cosignature, "A witness's co-signature of a checkpoint."},
  {"GET", "/ledger/key", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_key, "The ledger's verifier key."},
  {"GET", "/ledger/checkpoint", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_checkpoint, "The newest checkpoint (C2SP tlog-checkpoint)."},
  {"GET", "/ledger/tile/{path...}", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_tile, "Hash tiles (C2SP tlog-tiles)."},
  {"GET", "/api/v1/openapi.json", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_openapi, "This interface as OpenAPI 3.1."},
};
const size_t api_ledger_count = BASE_COUNT(api_ledger_rows);

static void get_accounts(struct http_req *r) {
  http_reply_json(r, 200, json_incref(api_of(r)->demo_accounts));
}

static void get_outbox(struct http_req *r) {
  json_t *out = NULL;
  struct err err;
  api_list(r, api_of(r)->outbox(api_of(r)->outbox_ctx, 200, &out, &err), &out, &err);
}

const struct http_route api_demo_rows[] = {
  {"GET", "/demo/accounts", HTTP_INLINE, PERMIT_ALL, HTTP_SAFE, 0, get_accounts, "Accounts of the demonstration."},
  {"GET", "/demo/outbox", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, get_outbox, "Messages that the demonstration would have sent, newest first."},
  {"GET", "/demo/exchange", HTTP_WORKER, PERMIT_ALL, HTTP_SAFE, 0, api_exchange_examples, "Calls that work at the platform's own gateway."},
};
const size_t api_demo_count = BASE_COUNT(api_demo_rows);
