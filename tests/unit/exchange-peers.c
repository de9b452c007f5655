/* Our signatures and those of an independent implementation of RFC 9421 (npm: http-message-signatures), each checked by the other. */
#include "exchange-kit.h"
#include <errno.h>
#include <sys/wait.h>

static struct kit_key key;
static char folder[100];

static json_t *message_json(const struct message *m) {
  json_t *o = json_object(), *headers = json_object();
  if (m->status > 0) {
    json_object_set_new(o, "status", json_integer(m->status));
  } else {
    json_put(o, "method", m->method);
    json_put(o, "url", m->target_uri);
  }
  for (size_t i = 0; i < m->header_count; i++) json_put(headers, m->headers[i].name, m->headers[i].value);
  json_object_set_new(o, "headers", headers);
  return o;
}

static char *pem(bool public) {
  BIO *bio = BIO_new(BIO_s_mem());
  char *p;
  if (public) PEM_write_bio_PUBKEY(bio, key.key);
  else PEM_write_bio_PKCS8PrivateKey(bio, key.key, NULL, NULL, 0, NULL, NULL);
  long n = BIO_get_mem_data(bio, &p);
  char *out = base_printf("%.*s", (int)n, p);
  BIO_free(bio);
  return out;
}

/* What the other says, malloc'ed. */
static char *peer(const char *what, json_t *file) {
  char path[160];
  int fd[2], status = 0;
  snprintf(path, sizeof path, "%s/file.json", folder);
  char *text = json_dumps(file, 0);
  must(file_write(path, text, strlen(text), 0600, err));
  free(text);
  json_decref(file);
  assert_int_equal(pipe(fd), 0);
  pid_t child = fork();
  if (child == 0) {
    dup2(fd[1], 1);
    close(fd[0]);
    close(fd[1]);
    execlp("node", "node", "tests/lib/rfc9421.mjs", what, path, NULL);
    _exit(127);
  }
  close(fd[1]);
  struct buf b = {0};
  char piece[4096];
  ssize_t n;
  while ((n = read(fd[0], piece, sizeof piece)) > 0) buf_add(&b, piece, (size_t)n);
  close(fd[0]);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return buf_take(&b);
}

static json_t *both(const struct message *q, const struct message *a) {
  json_t *o = json_object();
  char *public = pem(true), *private = pem(false);
  json_put(o, "public", public);
  json_put(o, "private", private);
  json_put(o, "keyid", key.keyid);
  json_object_set_new(o, "request", message_json(q));
  json_object_set_new(o, "answer", message_json(a));
  free(public);
  free(private);
  return o;
}

static struct http_content asked, told;
static void messages(struct message *q, struct message *a, struct arena *arena) {
  asked = kit_content("{\"parcel\":12}");
  told = kit_content("{\"owner\":\"x\"}");
  kit_message(q, arena, "POST", "https://gw.example:5500/r1/KHR/GOV/102/land/parcels/find?x=1&y=%D8%A7", 0,
              "Content-Type: application/json\nX-Road-Client: KHR/GOV/101/health\nX-Road-Id: KHR-1\nX-Road-UserId: a  b\nX-Road-Request-Id: 0a0b", &asked);
  kit_message(a, arena, NULL, NULL, 200, "Content-Type: application/json\nX-Road-Id: KHR-1\nX-Road-Request-Hash: abc==", &told);
}

static void ours_by_them(void **state) {
  struct arena *arena = arena_new(1 << 20);
  struct message q, a;
  struct exchange_signer by = kit_signer(&key);
  const char *base;
  messages(&q, &a, arena);
  must(signature_make(&q, NULL, &by, key.keyid, clock_now(), &base, err));
  must(signature_make(&a, &q, &by, key.keyid, clock_now(), &base, err));
  char *said = peer("check", both(&q, &a));
  assert_string_equal(said, "true\n");
  free(said);
  message_remove(&a, "X-Road-Request-Hash");
  must(message_add(&a, "X-Road-Request-Hash", "abd==", err));
  said = peer("check", both(&q, &a));
  assert_string_equal(said, "false\n");
  free(said);
  arena_free(arena);
}

static void take(struct message *m, const json_t *o) {
  const char *name;
  json_t *value;
  json_object_foreach(json_object_get(o, "headers"), name, value) {
    message_remove(m, name);
    must(message_add(m, name, json_string_value(value), err));
  }
}

static void theirs_by_us(void **state) {
  struct arena *arena = arena_new(1 << 20);
  struct message q, a;
  struct signed_by by;
  const char *base;
  char *text, *field;
  messages(&q, &a, arena);
  for (int i = 0; i < 2; i++) {
    struct message *m = i == 0 ? &q : &a;
    unsigned char digest[32];
    must(content_digest(m->content, "SHA256", digest, err));             /* the other of the two digests */
    text = base64_encode(digest, 32);
    field = base_printf("sha-256=:%s:", text);
    must(message_add(m, "Content-Digest", field, err));
    free(text);
    free(field);
  }
  char *said = peer("sign", both(&q, &a));
  json_t *got = json_loads(said, 0, NULL);
  assert_non_null(got);
  take(&q, json_object_get(got, "request"));
  take(&a, json_object_get(got, "answer"));
  must(signature_read(&q, &by, err));
  assert_string_equal(by.keyid, key.keyid);
  assert_true(llabs(by.created * 1000 - clock_now()) < 60000);
  must(signature_check(&q, NULL, key.spki, key.size, &base, err));
  must(signature_check(&a, &q, key.spki, key.size, &base, err));
  a.status = 201;
  refused(signature_check(&a, &q, key.spki, key.size, &base, err), ERR_FORBIDDEN);
  json_decref(got);
  free(said);
  arena_free(arena);
}

int main(void) {
  if (access("tests/node_modules/http-message-signatures", F_OK) != 0) {
    puts("http-message-signatures is not installed (npm ci in tests/): skipped");
    return 77;
  }
  snprintf(folder, sizeof folder, "%.70s/chapar-peer-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
  assert_non_null(mkdtemp(folder));
  kit_key(&key);
  const struct CMUnitTest tests[] = {cmocka_unit_test(ours_by_them), cmocka_unit_test(theirs_by_us)};
  int rc = cmocka_run_group_tests(tests, NULL, NULL);
  char path[160];
  snprintf(path, sizeof path, "%s/file.json", folder);
  unlink(path);
  rmdir(folder);
  EVP_PKEY_free(key.key);
  return rc;
}
