/* A message made of bytes: lines as a peer sends them, then its body. It is cleaned, hashed, read and checked; nothing of it is ever believed, as the
 * fuzzer does not hold the key, and what is read of it stays within its bounds. */
#include "exchange/signature.h"
#include <stdlib.h>
#include <string.h>

static const unsigned char public[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
  0x03, 0x42, 0x00, 0x04, 0xa8, 0x85, 0x58, 0x65, 0x52, 0xc2, 0xac, 0xf6, 0x47, 0x18, 0x78, 0xcf, 0xd7, 0xb0, 0x93, 0x5b, 0x4f, 0xfe, 0x0f, 0xd2, 0xdf, 0xc3, 0x41, 0x24,
  0x8e, 0xa1, 0x7b, 0xc4, 0x1e, 0x05, 0x8a, 0xf0, 0x31, 0xce, 0x27, 0x37, 0xd2, 0xd3, 0x0c, 0xe0, 0x61, 0x7e, 0x85, 0x1e, 0x83, 0xc6, 0x1e, 0xf5, 0x67, 0x9d, 0x15, 0x18,
  0x67, 0x65, 0x76, 0x49, 0x03, 0x5d, 0x90, 0xa7, 0x4c, 0xd9, 0xe8, 0x5d};

/* The first line: an answer's status, or method and target. */
static size_t first_line(char *text, struct message *m) {
  size_t n = strcspn(text, "\n");
  bool more = text[n] == '\n';
  text[n] = '\0';
  char *space = strchr(text, ' ');
  if (text[0] >= '1' && text[0] <= '5') m->status = 200;
  m->method = text;
  m->target_uri = "";
  if (space != NULL) {
    *space = '\0';
    m->target_uri = space + 1;
  }
  return n + more;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct message m = {.arena = arena_new(4 << 20)}, request = {.method = "GET", .target_uri = "https://a/r1/b", .arena = m.arena};
  struct err err = {0};
  struct signed_by by;
  char *text = malloc(size + 1), hash[89];
  const char *base = NULL;
  if (text == NULL) abort();
  if (size > 0) memcpy(text, data, size);
  text[size] = '\0';
  size = strlen(text); /* lines come without NUL: http refuses them */
  char *p = text + first_line(text, &m);
  while (p < text + size && *p != '\n') {
    size_t n = strcspn(p, "\n");
    bool more = p[n] == '\n';
    p[n] = '\0';
    char *colon = strchr(p, ':');
    if (colon != NULL) {
      *colon = '\0';
      message_add(&m, p, colon + 1 + (colon[1] == ' '), &err);
    }
    p += n + more;
  }
  struct http_content body = {p, -1, (int64_t)strlen(p)};
  m.content = &body;
  message_add(&request, "Signature", "xr=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==:", &err);
  message_add(&request, "Content-Digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", &err);
  if (signature_read(&m, &by, &err) == 0 && (strlen(by.keyid) != 64 || strlen(by.nonce) < 22 || by.created < 0)) abort();
  if (signature_check(&m, m.status > 0 ? &request : NULL, public, sizeof public, &base, &err) == 0 || base != NULL) abort();
  message_request_hash(&m, m.target_uri, hash, &err);
  size_t before = m.header_count;
  message_clean(&m);
  if (m.header_count > before || message_header(&m, "host") != NULL || message_header(&m, "TE") != NULL) abort();
  arena_free(m.arena);
  free(text);
  return 0;
}
