/* A bundle of evidence judged offline: every check is a sentence, and all must be true. */
#include "exchange/archive.h"
#include "exchange/members.h"
#include "exchange/signature.h"
#include "base/bytes.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

enum { BASE_MOST = 256 * 1024 };

struct directory { int64_t version; struct members *members; };
struct judged { const char *part, *side; unsigned char signature[64]; char digest[100]; };
struct judging {
  struct buf said;
  struct arena *arena;
  const char *operator_key, *ca_file, *server, *message_id;
  struct directory directories[EVIDENCE_DIRECTORIES];
  size_t directory_count;
  struct judged *judged;
  size_t judged_count;
  bool alone;                            /* an archive is judged message by message: an answer's request stands in another line */
};

static int malformed(struct err *err, const char *what) { return err_set(err, ERR_MALFORMED, "the bundle is not as it should be: %s", what); }

static void *bytes_of(struct judging *j, const json_t *o, const char *key, size_t *n) {
  const char *text = json_str(o, key);
  size_t room = text == NULL ? 0 : strlen(text);
  unsigned char *out = text == NULL ? NULL : arena_alloc(j->arena, room + 1);
  return out != NULL && base64_decode(text, room, out, room, n) == 0 ? out : NULL;
}

/* ---- the directory ---- */

/* The operator's key: PEM, or the hex of its key id. NULL: any. */
static bool operator_meant(const char *given, const struct operator_key *k) {
  if (given == NULL || strcmp(given, k->keyid) == 0) return true;
  BIO *bio = BIO_new_mem_buf(given, -1);
  EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
  unsigned char *der = NULL;
  int n = key == NULL ? -1 : i2d_PUBKEY(key, &der);
  bool same = n > 0 && (size_t)n == k->size && memcmp(der, k->public_key, k->size) == 0;
  OPENSSL_free(der);
  EVP_PKEY_free(key);
  BIO_free(bio);
  return same;
}

static int directory_judge(struct judging *j, const json_t *d, struct err *err) {
  size_t n;
  const char *text = bytes_of(j, d, "text", &n);
  struct signed_line line;
  const struct operator_key *keys;
  struct members *m = NULL;
  if (text == NULL || j->directory_count == EVIDENCE_DIRECTORIES) return malformed(err, "a directory is missing its text");
  if (signed_read(text, n, &line, err) != 0 || members_read(text, n, &m, err) != 0) return -1;
  j->directories[j->directory_count++] = (struct directory){members_version(m), m};
  size_t count = members_operator(m, &keys);
  for (size_t i = 0; i < count; i++) {
    if (strcmp(keys[i].keyid, line.keyid) != 0 || !operator_meant(j->operator_key, &keys[i])) continue;
    if (!signed_true(&line, keys[i].public_key, keys[i].size)) break;
    buf_addf(&j->said, "The member directory, version %lld, is signed by the operator %s (key %.16s…)%s.\n", (long long)members_version(m), members_operator_server(m),
             line.keyid, j->operator_key != NULL ? "" : "; that this key is the operator's was not checked, as no key was given");
    return 0;
  }
  return err_set(err, ERR_INVALID, "the member directory, version %lld, is not signed by the operator's key", (long long)members_version(m));
}

/* ---- one message ---- */

/* The value of a line of the base. */
static bool line_of(const char *base, const char *name, char *out, size_t room) {
  size_t n = strlen(name);
  for (const char *p = base; *p != '\0';) {
    size_t all = strcspn(p, "\n");
    if (all > n + 2 && strncmp(p, name, n) == 0 && p[n] == ':' && p[n + 1] == ' ' && all - n - 2 < room) {
      memcpy(out, p + n + 2, all - n - 2);
      out[all - n - 2] = '\0';
      return true;
    }
    p += all;
    if (*p == '\n') p++;
  }
  return false;
}

/* Is what is shown what the ledger's leaf holds? */
static int leaf_same(const json_t *message, struct judging *j, struct err *err) {
  static const char *const same[] = {"client", "content_digest", "keyid", "part", "service", "side", "signature"};
  const json_t *leaf = json_object_get(json_object_get(message, "receipt"), "leaf");
  const char *text = json_str(leaf, "payload"), *top = json_str(leaf, "header");
  json_t *payload = text == NULL ? NULL : json_read(text, strlen(text), 4, NULL), *header = top == NULL ? NULL : json_read(top, strlen(top), 4, NULL);
  bool good = json_is_object(payload) && base_same(json_str(payload, "message_id"), j->message_id) && base_same(json_str(payload, "server"), j->server) &&
              json_int(payload, "directory", -1) == json_int(message, "directory", -2) && json_int(payload, "content_size", -1) == json_int(message, "content_size", -2);
  unsigned char hash[32];
  char digest[45];
  size_t n;
  const void *base = bytes_of(j, message, "base", &n);
  if (base != NULL) {
    sha256(base, n, hash);
    base64_write(digest, hash, sizeof hash);
  }
  good = good && base != NULL && base_same(json_str(payload, "base_digest"), digest);
  for (size_t i = 0; i < BASE_COUNT(same); i++) good = good && json_str(payload, same[i]) != NULL && base_same(json_str(payload, same[i]), json_str(message, same[i]));
  good = good && json_str(header, "at") != NULL && base_same(json_str(header, "at"), json_str(message, "at"));
  json_decref(header);
  json_decref(payload);
  return good ? 0 : err_set(err, ERR_INVALID, "what is shown of the message is not what the ledger's leaf holds");
}

static int receipt_judge(struct judging *j, const json_t *message, struct err *err) {
  size_t n;
  char *said = NULL, *text = json_text(json_object_get(message, "receipt"), &n);
  if (text == NULL) return malformed(err, "a message has no receipt");
  int rc = leaf_same(message, j, err);
  if (rc == 0) rc = trust_check_receipt(text, n, NULL, j->ca_file, &said, err);
  if (rc == 0) buf_addf(&j->said, "  Ledger of %s: %s\n", j->server, said);
  free(said);
  free(text);
  return rc;
}

static int content_judge(struct judging *j, const json_t *message, const char *base, struct err *err) {
  char line[400], *want;
  size_t n, digest_n;
  const unsigned char *digest = bytes_of(j, message, "content_digest", &digest_n);
  struct message m = {.arena = j->arena};
  if (digest == NULL || digest_n != 64) return malformed(err, "the digest of the content is missing");
  if (!line_of(base, "\"content-digest\"", line, sizeof line)) return err_set(err, ERR_INVALID, "the signature does not cover the content's digest");
  want = base64_encode(digest, 64);
  char *field = base_printf("sha-512=:%s:", want);
  bool same = strstr(line, field) != NULL;
  free(field);
  free(want);
  if (json_object_get(message, "content") == NULL && json_int(message, "content_size", -1) > 0) {
    if (!same && strstr(line, "sha-512=:") != NULL) return err_set(err, ERR_INVALID, "the digest that was logged is not the one that was signed");
    buf_addf(&j->said, "  Its content of %lld bytes was kept by digest only; whoever has it can compare: %s.\n", (long long)json_int(message, "content_size", 0), line);
    return 0;
  }
  const unsigned char *p = bytes_of(j, message, "content", &n);
  struct http_content content = {(char *)(uintptr_t)p, -1, p == NULL ? 0 : (int64_t)n};
  if (content.size != json_int(message, "content_size", -1)) return err_set(err, ERR_INVALID, "the content has not the size that was logged");
  m.content = &content;
  if (signature_digest_check(&m, line, err) != 0) return -1;
  if (message_digest(&m, err) != 0 || memcmp(m.digest, digest, 64) != 0) return err_set(err, ERR_INVALID, "the content is not that of the digest that was logged");
  buf_addf(&j->said, "  Its content of %lld bytes is what was signed.\n", (long long)content.size);
  return 0;
}

/* Whose key it is, by the directory of that time. */
static int key_judge(struct judging *j, const json_t *message, int64_t created, const void **key, size_t *n, struct err *err) {
  const char *keyid = json_str(message, "keyid"), *acts = json_str(message, strcmp(json_str(message, "part"), "answer") == 0 ? "service" : "client");
  struct exchange_id id;
  const struct gateway *of;
  char when[32];
  int64_t version = json_int(message, "directory", -1);
  struct members *m = NULL;
  for (size_t i = 0; i < j->directory_count; i++)
    if (j->directories[i].version == version) m = j->directories[i].members;
  if (m == NULL) return err_set(err, ERR_INVALID, "the bundle does not hold the directory that lists the key of a message");
  if (keyid == NULL || members_key(m, keyid, created * 1000, &of, key, n, err) != 0) return -1;
  if (acts == NULL || exchange_id_parse(acts, 4, 5, &id, err) != 0) return malformed(err, "client or service");
  if (!members_serves(m, of, &id)) return err_set(err, ERR_INVALID, "%s signed for %s, for which the directory does not let it stand", of->id, acts);
  char *shown = base64_encode(*key, *n);
  bool same = base_same(json_str(message, "public_key"), shown) && base_same(json_str(message, "signed_by"), of->id);
  free(shown);
  if (!same) return err_set(err, ERR_INVALID, "the key shown with a message is not the one that the directory lists");
  clock_rfc3339(created * 1000, when);
  buf_addf(&j->said, "  Signed at %s by %s, which stands for %s in the directory of that time (key %.16s…).\n", when, of->id, acts, keyid);
  return 0;
}

static int bound_judge(struct judging *j, const struct judged *mine, const char *base, struct err *err) {
  char line[400], digest[400];
  unsigned char raw[70];
  size_t n;
  if (strcmp(mine->part, "answer") != 0) return 0;
  if (!line_of(base, "\"signature\";req;key=\"xr\"", line, sizeof line) || !line_of(base, "\"content-digest\";req", digest, sizeof digest))
    return err_set(err, ERR_INVALID, "the answer does not name its request");
  size_t size = strlen(line);
  if (size < 3 || base64_decode(line + 1, size - 2, raw, sizeof raw, &n) != 0 || n != 64) return err_set(err, ERR_INVALID, "the answer names no signature of its request");
  if (j->alone) return 0;
  for (size_t i = 0; i < j->judged_count; i++) {
    const struct judged *o = &j->judged[i];
    if (strcmp(o->part, "request") != 0 || memcmp(o->signature, raw, 64) != 0) continue;
    if (strcmp(o->digest, digest) != 0) return err_set(err, ERR_INVALID, "the answer names another content of its request");
    buf_adds(&j->said, "  It answers the request above and no other.\n");
    return 0;
  }
  return err_set(err, ERR_INVALID, "the answer belongs to a request that is not in the bundle");
}

static int message_judge(struct judging *j, const json_t *message, struct err *err) {
  size_t base_n, sig_n, key_n;
  const char *base = bytes_of(j, message, "base", &base_n), *part = json_str(message, "part"), *side = json_str(message, "side");
  const unsigned char *sig = bytes_of(j, message, "signature", &sig_n);
  char input[4096], id[400];
  const void *key;
  struct sfv_member *list;
  size_t count;
  if (base == NULL || base_n > BASE_MOST || strlen(base) != base_n || sig == NULL || sig_n != 64 || part == NULL || side == NULL) return malformed(err, "a message is not whole");
  if (strcmp(part, "request") != 0 && strcmp(part, "answer") != 0) return malformed(err, "a part is a request or an answer");
  buf_addf(&j->said, "The %s, as the %s's gateway logged it:\n", part, side);
  if (!line_of(base, "\"@signature-params\"", input, sizeof input - 4)) return err_set(err, ERR_INVALID, "the signature base has no parameters");
  char *text = base_printf("xr=%s", input);
  int rc = sfv_dictionary(j->arena, text, strlen(text), &list, &count, err);
  free(text);
  if (rc != 0) return -1;
  const struct sfv_value *created = sfv_param(&list[0].item, "created"), *keyid = sfv_param(&list[0].item, "keyid");
  if (created == NULL || created->type != SFV_INTEGER || created->number < 0 || keyid == NULL || keyid->type != SFV_STRING ||
      !base_same(keyid->text, json_str(message, "keyid")))
    return err_set(err, ERR_INVALID, "the signature was not made with the key that is named");
  if (!line_of(base, "\"x-road-id\"", id, sizeof id) || strcmp(id, j->message_id) != 0) return err_set(err, ERR_INVALID, "the signature does not cover this message id");
  if (key_judge(j, message, created->number, &key, &key_n, err) != 0 || signature_verify(base, base_n, sig, key, key_n, err) != 0) return -1;
  buf_adds(&j->said, "  Its signature is true.\n");
  j->judged = base_realloc(j->judged, (j->judged_count + 1) * sizeof *j->judged);
  struct judged *mine = &j->judged[j->judged_count];
  *mine = (struct judged){.part = part, .side = side};
  memcpy(mine->signature, sig, 64);
  if (!line_of(base, "\"content-digest\"", mine->digest, sizeof mine->digest)) return err_set(err, ERR_INVALID, "the signature does not cover the content's digest");
  if (content_judge(j, message, base, err) != 0 || bound_judge(j, mine, base, err) != 0 || receipt_judge(j, message, err) != 0) return -1;
  j->judged_count++;
  return 0;
}

static int bundle_judge(struct judging *j, const json_t *bundle, struct err *err) {
  const json_t *messages = json_object_get(bundle, "messages"), *directories = json_object_get(bundle, "directories");
  json_t *one;
  size_t i;
  if (!json_is_object(bundle) || !base_same(json_str(bundle, "type"), EVIDENCE_TYPE)) return malformed(err, "it is not of the type " EVIDENCE_TYPE);
  j->server = json_str(bundle, "server");
  j->message_id = json_str(bundle, "message_id");
  if (j->server == NULL || j->message_id == NULL) return malformed(err, "server or message_id");
  if (json_array_size(messages) == 0 || json_array_size(messages) > EVIDENCE_MESSAGES) return malformed(err, "it holds no messages, or too many");
  json_array_foreach(directories, i, one) if (directory_judge(j, one, err) != 0) return -1;
  for (size_t p = 0; p < 2; p++) {
    json_array_foreach(messages, i, one) {
      if (p == 0 && json_str(one, "part") == NULL) return malformed(err, "a message is not whole");
      bool answer = base_same(json_str(one, "part"), "answer");
      if (answer == (p == 1) && message_judge(j, one, err) != 0) return -1;
      arena_reset(j->arena);
    }
    if (p == 0 && j->judged_count == 0) return malformed(err, "it holds no request");
  }
  return 0;
}

struct judging *judging_new(const char *operator_key, const char *ca_file) {
  struct judging *j = base_alloc(sizeof *j);
  *j = (struct judging){.arena = arena_new(256u << 20), .operator_key = operator_key, .ca_file = ca_file, .alone = true};
  return j;
}

/* What was said of one is of no use to the next: a fault is in *err. */
static int judging_done(struct judging *j, int rc) {
  buf_clear(&j->said);
  arena_reset(j->arena);
  j->judged_count = 0;
  return rc;
}

int judging_directory(struct judging *j, const json_t *directory, struct err *err) { return judging_done(j, directory_judge(j, directory, err)); }

int judging_message(struct judging *j, const char *server, const char *message_id, const json_t *message, struct err *err) {
  j->server = server;
  j->message_id = message_id;
  return judging_done(j, message_judge(j, message, err));
}

void judging_free(struct judging *j) {
  if (!j) return;
  for (size_t i = 0; i < j->directory_count; i++) members_drop(j->directories[i].members);
  buf_free(&j->said);
  arena_free(j->arena);
  free(j->judged);
  free(j);
}

/* What is wrong with a text that is no bundle, in words for who has the file before them. */
static json_t *bundle_read(const char *json, size_t n, struct err *err) {
  struct err why = {0};
  size_t from = n >= 3 && memcmp(json, "\xef\xbb\xbf", 3) == 0 ? 3 : 0, to = n;
  while (from < to && strchr(" \t\r\n", json[from]) != NULL && json[from] != '\0') from++;
  while (to > from && (json[to - 1] == '\0' || strchr(" \t\r\n", json[to - 1]) != NULL)) to--;
  json_t *bundle = NULL;
  if (from == to) err_set(err, ERR_MALFORMED, "the file is empty: export the message again");
  else if (json[from] != '{')
    err_set(err, ERR_MALFORMED, "the file is no bundle of evidence: a bundle is JSON and begins with '{'. Is it the file that chapar evidence export wrote?");
  else if ((bundle = json_read(json + from, to - from, 12, &why)) == NULL && (json[to - 1] != '}' || strstr(why.message, "end of input") != NULL || strstr(why.message, "end of file") != NULL))
    err_set(err, ERR_MALFORMED, "the bundle is cut off: its end is missing. Copy the file again, or export the message again");
  else if (bundle == NULL) err_set(err, ERR_MALFORMED, "the bundle is damaged, it is not JSON any more: %s", why.message);
  return bundle;
}

int exchange_evidence_verify(const char *json, size_t n, const char *operator_key, const char *tsa_ca_file, char **sentence, struct err *err) {
  struct judging j = {.arena = arena_new(256u << 20), .operator_key = operator_key, .ca_file = tsa_ca_file};
  *sentence = NULL;
  json_t *bundle = bundle_read(json, n, err);
  int rc = bundle == NULL ? -1 : bundle_judge(&j, bundle, err);
  if (rc == 0) buf_addf(&j.said, "Everything in the bundle of message %s is true.\n", j.message_id);
  *sentence = buf_take(&j.said);
  for (size_t i = 0; i < j.directory_count; i++) members_drop(j.directories[i].members);
  json_decref(bundle);
  arena_free(j.arena);
  free(j.judged);
  return rc;
}
