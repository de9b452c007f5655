/* A whole request as it comes over a gateway's connection: its bytes go to a real listener with the gateway's own row, and what that lets through becomes a
 * message as the gateway makes it. Nothing of it is believed, and what is read of it is clean. */
#include "exchange/side.h"
#include "exchange/signature.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const unsigned char public[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
  0x03, 0x42, 0x00, 0x04, 0xa8, 0x85, 0x58, 0x65, 0x52, 0xc2, 0xac, 0xf6, 0x47, 0x18, 0x78, 0xcf, 0xd7, 0xb0, 0x93, 0x5b, 0x4f, 0xfe, 0x0f, 0xd2, 0xdf, 0xc3, 0x41, 0x24,
  0x8e, 0xa1, 0x7b, 0xc4, 0x1e, 0x05, 0x8a, 0xf0, 0x31, 0xce, 0x27, 0x37, 0xd2, 0xd3, 0x0c, 0xe0, 0x61, 0x7e, 0x85, 0x1e, 0x83, 0xc6, 0x1e, 0xf5, 0x67, 0x9d, 0x15, 0x18,
  0x67, 0x65, 0x76, 0x49, 0x03, 0x5d, 0x90, 0xa7, 0x4c, 0xd9, 0xe8, 0x5d};
static struct sockaddr_in address;

static void clean(const char *s) {
  for (; *s != '\0'; s++)
    if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f) abort();
}

static void judge_target(struct arena *a, const char *raw) {
  struct target t;
  struct err err;
  char path[SIDE_PATH];
  if (target_read(a, raw, &t, &err) != 0) return;
  struct exchange_id again;
  char text[EXCHANGE_ID + 1];
  exchange_id_text(&t.service, text);
  if (exchange_id_parse(text, 5, 5, &again, &err) != 0 || !exchange_id_same(&t.service, &again, 5)) abort();
  if (path_normalise(t.path, path, sizeof path, &err) == 0 && (strstr(path, "/../") != NULL || strstr(path, "/./") != NULL)) abort();
}

static void take(struct http_req *r) {
  const struct http_pair *headers;
  const char *query = http_raw_query(r);
  size_t count = http_headers(r, &headers);
  struct arena *a = http_arena(r);
  struct message m = {.method = http_method(r), .arena = a, .content = http_content(r)->size > 0 ? http_content(r) : NULL};
  struct err err = {0};
  struct signed_by by;
  struct exchange_id client;
  const char *base = NULL;
  char *raw = arena_printf(a, "%s%s%s", http_raw_path(r), query[0] != '\0' ? "?" : "", query), hash[89];
  for (size_t i = 0; i < count; i++) {
    clean(headers[i].name);
    clean(headers[i].value);
  }
  if (raw != NULL && message_take(&m, a, headers, count, false, &err) == 0) {
    clean(raw);
    m.target_uri = arena_printf(a, "https://gateway.example:5500%s", raw);
    message_clean(&m);
    if (message_header(&m, "Host") != NULL || message_header(&m, "Transfer-Encoding") != NULL || message_header(&m, "Content-Length") != NULL) abort();
    judge_target(a, raw);
    const char *who = message_header(&m, "X-Road-Client");
    if (who != NULL && id_decode(who, 3, 4, &client, &err) == 0 && (client.member[0] == '\0' || strchr(client.member, '/') != NULL)) abort();
    if (m.target_uri != NULL && signature_read(&m, &by, &err) == 0 && (strlen(by.keyid) != 64 || by.created < 0)) abort();
    if (m.target_uri != NULL && (signature_check(&m, NULL, public, sizeof public, &base, &err) == 0 || base != NULL)) abort();
    message_request_hash(&m, raw, hash, &err);
  }
  http_reply_json(r, 200, json_object());
}

static const struct http_route rows[] = {{"*", "/r1/{rest...}", HTTP_INLINE, 0, HTTP_MACHINE, 1 << 20, take, "A signed message of another gateway.", NULL, true}};

static void begin(void) {
  struct http_options o = {.listen = "127.0.0.1:0", .threads = 1};
  struct http_server *s;
  struct err err;
  log_set_level(LOG_ERROR);
  if (language_init(&err) != 0 || http_server_new(&o, &s, &err) != 0 || http_server_routes(s, rows, BASE_COUNT(rows), NULL, &err) != 0 || http_server_start(s, &err) != 0) abort();
  address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(s)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char said[4096];
  if (address.sin_family == 0) begin();
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) abort();
  struct timeval patience = {0, 10000}; /* with what is only half a request: a listener waits for the rest much longer */
  struct linger at_once = {1, 0};       /* no port waits */
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  for (ssize_t n; size > 0 && (n = send(fd, data, size, MSG_NOSIGNAL)) > 0; size -= (size_t)n) data += n;
  if (recv(fd, said, sizeof said, 0) < 0) said[0] = 0;
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
  return 0;
}
