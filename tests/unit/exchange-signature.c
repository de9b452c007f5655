/* Signatures and digests: the vectors of RFC 9421 (2.4, B.2) and RFC 9530, our own both ways, and everything that was altered. */
#include "exchange-kit.h"
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

static struct arena *arena;
static struct kit_key key;

static int begin(void **state) { arena = arena_new(1 << 22); return 0; }
static int end(void **state) { arena_free(arena); return 0; }

/* ---- RFC 9421, appendix B.1: keys ---- */
static const char rsa_pss[] = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+"
  "oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHqgDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5WUtzdpiy6LbTgSxP7"
  "ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI2wIDAQAB";
static const char p256[] = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lfw0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==";
static const char ed25519[] = "MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=";
static const char secret[] = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";

enum way { RSA_PSS, ECDSA, EDDSA, HMAC_WAY };
struct vector { const char *label, *input, *signature; enum way way; bool answer; };

static const char request_lines[] =
  "Host: example.com\nDate: Tue, 20 Apr 2021 02:07:55 GMT\nContent-Type: application/json\n"
  "Content-Digest: sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:\nContent-Length: 18";
static const char answer_lines[] =
  "Date: Tue, 20 Apr 2021 02:07:56 GMT\nContent-Type: application/json\n"
  "Content-Digest: sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:\nContent-Length: 23";

static const struct vector vectors[] = {
  {"sig-b21", "();created=1618884473;keyid=\"test-key-rsa-pss\";nonce=\"b3k2pp5k7z-50gnwp.yemd\"",
   "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxb"
   "R/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPY"
   "TU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==", RSA_PSS, false},
  {"sig-b22", "(\"@authority\" \"content-digest\" \"@query-param\";name=\"Pet\");created=1618884473;keyid=\"test-key-rsa-pss\";tag=\"header-example\"",
   "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXE"
   "u4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY"
   "8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==", RSA_PSS, false},
  {"sig-b23", "(\"date\" \"@method\" \"@path\" \"@query\" \"@authority\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-rsa-pss\"",
   "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1"
   "TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRx"
   "pJyoEZAFL2FUo5fTIztsDZKEgM4cUA==", RSA_PSS, false},
  {"sig-b24", "(\"@status\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-ecc-p256\"",
   "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==", ECDSA, true},
  {"sig-b25", "(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"", "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=", HMAC_WAY, false},
  {"sig-b26", "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"",
   "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==", EDDSA, false},
};

static EVP_PKEY *public_of(const char *text, unsigned char der[400], size_t *n) {
  const unsigned char *p = der;
  assert_int_equal(base64_decode(text, strlen(text), der, 400, n), 0);
  return d2i_PUBKEY(NULL, &p, (long)*n);
}

static bool genuine(enum way way, const struct buf *base, const unsigned char *sig, size_t n) {
  unsigned char der[400], mac[32];
  size_t size, key_size;
  if (way == ECDSA) {
    EVP_PKEY_free(public_of(p256, der, &size));
    return n == 64 && signature_verify(base->data, base->len, sig, der, size, NULL) == 0;
  }
  if (way == HMAC_WAY) {
    assert_int_equal(base64_decode(secret, strlen(secret), der, sizeof der, &key_size), 0);
    hmac_sha256(der, key_size, base->data, base->len, mac);
    return n == 32 && memcmp(mac, sig, 32) == 0;
  }
  EVP_PKEY *k = public_of(way == EDDSA ? ed25519 : rsa_pss, der, &size);
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  EVP_PKEY_CTX *pc;
  assert_int_equal(EVP_DigestVerifyInit(c, &pc, way == EDDSA ? NULL : EVP_sha512(), NULL, k), 1);
  if (way == RSA_PSS) {
    EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, 64);
  }
  bool good = EVP_DigestVerify(c, sig, n, (const unsigned char *)base->data, base->len) == 1;
  EVP_MD_CTX_free(c);
  EVP_PKEY_free(k);
  return good;
}

static void appendix_b(void **state) {
  struct http_content asked = kit_content("{\"hello\": \"world\"}"), told = kit_content("{\"message\": \"good dog\"}");
  for (size_t i = 0; i < BASE_COUNT(vectors); i++) {
    const struct vector *v = &vectors[i];
    struct message m;
    struct sfv_member *list;
    size_t count, n;
    unsigned char sig[300];
    kit_message(&m, arena, v->answer ? NULL : "POST", "https://example.com/foo?param=Value&Pet=dog", v->answer ? 200 : 0, v->answer ? answer_lines : request_lines,
                v->answer ? &told : &asked);
    must(signature_digest_check(&m, signature_field(&m, "content-digest"), err));
    char *input = base_printf("%s=%s", v->label, v->input);
    must(sfv_dictionary(arena, input, strlen(input), &list, &count, err));
    assert_int_equal(count, 1);
    struct buf base, again = {0};
    must(signature_base(&m, NULL, &list[0].item, &base, err));
    sfv_write(&again, &list[0].item);
    assert_string_equal(buf_str(&again), v->input);
    assert_int_equal(base64_decode(v->signature, strlen(v->signature), sig, sizeof sig, &n), 0);
    if (!genuine(v->way, &base, sig, n)) fail_msg("%s is not genuine over\n%s", v->label, buf_str(&base));
    sig[n / 2] ^= 1;
    assert_false(genuine(v->way, &base, sig, n));
    sig[n / 2] ^= 1;
    base.data[base.len / 2] ^= 1;
    assert_false(genuine(v->way, &base, sig, n));
    buf_free(&base);
    buf_free(&again);
    free(input);
  }
}

/* RFC 9421, 2.4: an answer that is bound to its request. */
static void request_and_response(void **state) {
  struct http_content asked = kit_content("{\"hello\": \"world\"}"), told = kit_content("{\"busy\": true, \"message\": \"Your call is very important to us\"}");
  struct message q, a;
  struct sfv_member *list;
  size_t count, n;
  unsigned char raw[64], der[400];
  kit_message(&q, arena, "POST", "https://example.com/foo?param=Value&Pet=dog", 0, request_lines, &asked);
  kit_message(&a, arena, NULL, NULL, 503, "Content-Type: application/json\nContent-Length: 62", &told);
  assert_int_equal(told.size, 62);
  must(message_digest(&a, err));
  char *text = base64_encode(a.digest, 64), *field = base_printf("sha-512=:%s:", text);
  must(message_add(&a, "Content-Digest", field, err));
  const char *input = "reqres=(\"@status\" \"content-digest\" \"content-type\" \"@authority\";req \"@method\";req \"@path\";req \"content-digest\";req)"
                      ";created=1618884479;keyid=\"test-key-ecc-p256\"";
  const char *sig = "dMT/A/76ehrdBTD/2Xx8QuKV6FoyzEP/I9hdzKN8LQJLNgzU4W767HK05rx1i8meNQQgQPgQp8wq2ive3tV5Ag==";
  must(sfv_dictionary(arena, input, strlen(input), &list, &count, err));
  struct buf base;
  must(signature_base(&a, &q, &list[0].item, &base, err));
  assert_int_equal(base64_decode(sig, strlen(sig), raw, sizeof raw, &n), 0);
  EVP_PKEY_free(public_of(p256, der, &n));
  must(signature_verify(base.data, base.len, raw, der, n, err));
  buf_free(&base);
  q.target_uri = "https://example.com/bar";                       /* the answer to another request */
  must(signature_base(&a, &q, &list[0].item, &base, err));
  refused(signature_verify(base.data, base.len, raw, der, n, err), ERR_FORBIDDEN);
  buf_free(&base);
  refused(signature_base(&a, NULL, &list[0].item, &base, err), ERR_MALFORMED);
  buf_free(&base);
  free(field);
  free(text);
}

/* RFC 9530: appendix D's digests, and those of appendix A for the algorithms that we know. */
static void digests(void **state) {
  static const struct { const char *body, *field; enum err_code code; } list[] = {
    {"{\"hello\": \"world\"}\n", "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:", ERR_NONE},
    {"{\"hello\": \"world\"}", "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:", ERR_NONE},
    {"{\"hello\": \"world\"}\n",
     "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:", ERR_NONE},
    {"", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", ERR_NONE},
    {"{\"hello\": \"world\"}", "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:", ERR_CONFLICT},
    {"", "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:, sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", ERR_NONE},
    {"", "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:", ERR_MALFORMED},
    {"x", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:, md5=:1B2M2Y8AsgTpgAmY7PhCfg==:", ERR_CONFLICT},
    {"", "sha-512=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", ERR_MALFORMED},
    {"", "sha-256=47DEQpj8HBSa", ERR_MALFORMED},
    {"", "sha-256", ERR_MALFORMED},
  };
  for (size_t i = 0; i < BASE_COUNT(list); i++) {
    struct message m = {.arena = arena};
    struct http_content body = kit_content(list[i].body);
    struct err err = {0};
    m.content = &body;
    signature_digest_check(&m, list[i].field, &err);
    if (err.code != list[i].code) fail_msg("%s: %s", list[i].field, err.message);
  }
}

/* ---- structured fields ---- */
static void fields_ok(const char *text, const char *again) {
  struct sfv_member *list;
  size_t count;
  struct buf b = {0};
  must(sfv_dictionary(arena, text, strlen(text), &list, &count, err));
  for (size_t i = 0; i < count; i++) {
    if (i > 0) buf_adds(&b, ", ");
    buf_adds(&b, list[i].key);
    if (list[i].item.value.type == SFV_BOOLEAN && list[i].item.value.number) {
      sfv_write_params(&b, list[i].item.params, list[i].item.param_count);
    } else {
      buf_addc(&b, '=');
      sfv_write(&b, &list[i].item);
    }
  }
  assert_string_equal(buf_str(&b), again);
  buf_free(&b);
}

static void fields(void **state) {
  fields_ok("", "");
  fields_ok("  a=1,\t b ,c=?0;x , d=(1   \"x\\\"y\" *t/:z);q=\"r\"", "a=1, b, c=?0;x, d=(1 \"x\\\"y\" *t/:z);q=\"r\"");
  fields_ok("a=-0.50, b=12.0, c=-999999999999999, d=@1659578233, e=:aGVsbG8=:;y=?1, f=( )", "a=-0.5, b=12.0, c=-999999999999999, d=@1659578233, e=:aGVsbG8=:;y, f=()");
  static const char *const bad[] = {"a,", "a=", "A=1", "a=1 b=2", "a=1, a=2", "a=1234567890123456", "a=1.2345", "a=1.", "a=1234567890123.1", "a=\"x", "a=\"\\x\"", "a=\"\xc3\xa9\"",
    "a=:aGVsbG8:", "a=:aGVs", "a=?2", "a=?", "a=(1 2", "a=(1,2)", "a=(1\t2)", "a=1;", "a=1;X", "a=1;x=1;x=2", "a=@1.5", "a=%\"x\"", "a=-", "=1", ",a", "a=(1)2"};
  for (size_t i = 0; i < BASE_COUNT(bad); i++) {
    struct sfv_member *list;
    size_t count;
    struct err err = {0};
    if (sfv_dictionary(arena, bad[i], strlen(bad[i]), &list, &count, &err) == 0) fail_msg("%s was read", bad[i]);
    assert_int_equal(err.code, ERR_MALFORMED);
  }
}

static void bounds(void **state) {
  struct sfv_member *list;
  size_t count;
  struct buf b = {0};
  for (int i = 0; i < 65; i++) buf_addf(&b, "%sk%d", i ? "," : "", i);
  refused(sfv_dictionary(arena, b.data, b.len, &list, &count, err), ERR_LIMIT);
  buf_clear(&b);
  buf_adds(&b, "a=(");
  for (int i = 0; i < 129; i++) buf_adds(&b, "1 ");
  buf_adds(&b, ")");
  refused(sfv_dictionary(arena, b.data, b.len, &list, &count, err), ERR_LIMIT);
  buf_clear(&b);
  buf_adds(&b, "a");
  for (int i = 0; i < 33; i++) buf_addf(&b, ";p%d", i);
  refused(sfv_dictionary(arena, b.data, b.len, &list, &count, err), ERR_LIMIT);
  buf_clear(&b);
  for (int i = 0; i < 17000; i++) buf_addc(&b, 'a');
  refused(sfv_dictionary(arena, b.data, b.len, &list, &count, err), ERR_LIMIT);
  buf_free(&b);
}

/* ---- ours ---- */
static const char our_lines[] = "X-Road-Client: KHR/GOV/101/health\nContent-Type: application/json\nX-Road-Service: KHR/GOV/102/land/parcels\nX-Road-Id: KHR-1\n"
                                "X-Road-UserId: clerk\nX-Road-Request-Id: 0a0b\nAccept: */*";
static struct http_content our_body, our_answer;

static void make_request(struct message *m) {
  const char *base;
  struct exchange_signer by = kit_signer(&key);
  our_body = kit_content("{\"parcel\": 12}");
  kit_message(m, arena, "POST", "https://gw.example:5500/r1/KHR/GOV/102/land/parcels/find?x=1", 0, our_lines, &our_body);
  must(signature_make(m, NULL, &by, key.keyid, 1765000000123, &base, err));
  assert_non_null(strstr(base, "\"x-road-userid\": clerk\n"));
}
static void make_answer(struct message *m, const struct message *q) {
  const char *base;
  struct exchange_signer by = kit_signer(&key);
  our_answer = kit_content("{\"owner\": \"x\"}");
  kit_message(m, arena, NULL, NULL, 200, "Content-Type: application/json\nX-Road-Id: KHR-1\nX-Road-Request-Hash: abc", &our_answer);
  must(signature_make(m, q, &by, key.keyid, 1765000001123, &base, err));
}
static int check(struct message *m, const struct message *q, struct err *err) {
  const char *base;
  struct signed_by by;
  m->digested = false;
  if (signature_read(m, &by, err) != 0) return -1;
  assert_string_equal(by.keyid, key.keyid);
  int rc = signature_check(m, q, key.spki, key.size, &base, err);
  return rc;
}

static void both_ways(void **state) {
  struct message q, a;
  struct signed_by by;
  make_request(&q);
  must(check(&q, NULL, err));
  must(signature_read(&q, &by, err));
  assert_int_equal(by.created, 1765000000);
  assert_int_equal(strlen(by.nonce), 22);
  make_answer(&a, &q);
  must(check(&a, &q, err));
  refused(check(&a, NULL, err), ERR_MALFORMED);
  struct http_content none = HTTP_NO_CONTENT;
  struct exchange_signer s = kit_signer(&key);
  const char *base;
  kit_message(&q, arena, "GET", "https://gw.example/r1/a", 0, "X-Road-Client: a", &none);
  must(signature_make(&q, NULL, &s, key.keyid, 1765000000123, &base, err));
  must(check(&q, NULL, err));
  char *first = base_strdup(message_header(&q, "Signature"));                /* signed anew: ours are replaced, another's stay */
  must(message_add(&q, "Signature", "theirs=:AAAA:", err));
  must(message_add(&q, "Signature-Input", "theirs=(\"date\");created=1", err));
  must(signature_make(&q, NULL, &s, key.keyid, 1765000000123, &base, err));
  assert_string_not_equal(first, message_header(&q, "Signature"));
  assert_string_equal(message_header(&q, "Signature-Input") + 0, signature_field(&q, "signature-input") + strlen("theirs=(\"date\");created=1, "));
  must(check(&q, NULL, err));
  free(first);
}

static void set(struct message *m, const char *name, const char *value) {
  message_remove(m, name);
  must(message_add(m, name, value, err));
}

static void altered(void **state) {
  struct message q, a, other;
  make_request(&other);
#define after(change, code) do { make_request(&q); change; refused(check(&q, NULL, err), code); } while (0)
  after(set(&q, "X-Road-UserId", "chief"), ERR_FORBIDDEN);
  after(set(&q, "X-Road-Client", "KHR/GOV/103/x"), ERR_FORBIDDEN);
  after(must(message_add(&q, "X-Road-UserId", "chief", err)), ERR_FORBIDDEN);           /* a second line */
  after(must(message_add(&q, "X-Road-Issue", "1", err)), ERR_MALFORMED);                /* one that was not signed */
  after(message_remove(&q, "X-Road-UserId"), ERR_MALFORMED);                           /* one that was taken away */
  after(q.method = "PUT", ERR_FORBIDDEN);
  after(q.target_uri = "https://gw.example:5500/r1/KHR/GOV/102/land/parcels/find?x=2", ERR_FORBIDDEN);
  after(our_body = kit_content("{\"parcel\": 13}"), ERR_CONFLICT);
  after(our_body = kit_content(""), ERR_CONFLICT);
  after(set(&q, "Content-Digest", message_header(&other, "Content-Digest")); our_body = kit_content("{\"parcel\": 13}"), ERR_CONFLICT);
  after(set(&q, "Content-Digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"); our_body = kit_content(""), ERR_FORBIDDEN);
  after(message_remove(&q, "Content-Digest"), ERR_MALFORMED);
  after(message_remove(&q, "Signature"), ERR_MALFORMED);
  after(message_remove(&q, "Signature-Input"), ERR_MALFORMED);
  after(set(&q, "Signature", message_header(&other, "Signature")), ERR_FORBIDDEN);
  after(must(message_add(&q, "Signature", message_header(&other, "Signature"), err)), ERR_MALFORMED);     /* two */
  after(set(&q, "Signature", "xr=:AAAA:"), ERR_MALFORMED);
#undef after
  /* each parameter, and each component, of Signature-Input */
  static const char *const change[][2] = {{"created=17650", "created=17651"}, {"nonce=\"", "nonce=\"A"}, {"alg=\"ecdsa-p256-sha256\"", "alg=\"rsa-v1_5-sha256\""}, {";tag=\"x-road-1\"", ""},
    {"tag=\"x-road-1\"", "tag=\"x-road-2\""}, {";alg=", ";expires=1;alg="}, {"\"@method\" ", ""}, {" \"content-digest\"", ""}, {" \"x-road-client\"", ""}, {"\"@method\"", "\"@method\" \"@method\""},
    {"\"@target-uri\"", "\"@path\""}, {"\"@method\"", "\"@method\";req"}, {"\"content-digest\"", "\"content-digest\";sf"}, {"\"x-road-id\"", "\"X-Road-Id\""}, {"xr=", "yr="},
    {"created=1765000000", "created=\"1765000000\""}, {";nonce=", ";nance="}};
  for (size_t i = 0; i < BASE_COUNT(change); i++) {
    make_request(&q);
    const char *old = message_header(&q, "Signature-Input"), *at = strstr(old, change[i][0]);
    if (at == NULL) fail_msg("%s is not in %s", change[i][0], old);
    char *changed = base_printf("%.*s%s%s", (int)(at - old), old, change[i][1], at + strlen(change[i][0]));
    set(&q, "Signature-Input", changed);
    struct err err = {0};
    if (check(&q, NULL, &err) == 0) fail_msg("%s was believed", changed);
    if (i < 2 ? err.code != ERR_FORBIDDEN : err.code != ERR_MALFORMED) fail_msg("%s: %s", changed, err.message);
    free(changed);
  }
  make_request(&q);
  make_answer(&a, &q);
  refused(check(&a, &other, err), ERR_FORBIDDEN);               /* the answer to the same question asked again */
  a.status = 201;
  refused(check(&a, &q, err), ERR_FORBIDDEN);
  struct kit_key stranger;
  const char *base;
  kit_key(&stranger);
  refused(signature_check(&q, NULL, stranger.spki, stranger.size, &base, err), ERR_FORBIDDEN);
  refused(signature_check(&q, NULL, stranger.spki, stranger.size - 1, &base, err), ERR_MALFORMED);
  EVP_PKEY_free(stranger.key);
  struct exchange_signer s = kit_signer(&key);                  /* a Content-Digest that a system sent and that is false */
  kit_message(&q, arena, "POST", "https://gw.example/r1/a", 0, "X-Road-Client: a\nContent-Digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", &our_body);
  refused(signature_make(&q, NULL, &s, key.keyid, 1, &base, err), ERR_CONFLICT);
}

/* ---- messages ---- */
static void cleaning(void **state) {
  struct message m;
  kit_message(&m, arena, "GET", NULL, 0, "Host: a\nTE: b\nX-Road-Client: c\nConnection: close, X-Mine, X-Road-Client\nX-Mine: d\nAccept: e\nserver: f\nUSER-AGENT: g\nContent-Length: 3\n"
              "Expect: 100-continue\nX-Other: h\nKeep-Alive: 5\nTransfer-Encoding: chunked\nUpgrade: x\nTrailer: y\nProxy-Authorization: z\nProxy-Authenticate: z\nx-other: i", NULL);
  message_clean(&m);
  assert_int_equal(m.header_count, 4);
  assert_string_equal(m.headers[0].name, "X-Road-Client");
  assert_string_equal(m.headers[1].name, "Accept");
  assert_string_equal(message_header(&m, "X-OTHER"), "i");
  message_remove(&m, "X-Other");
  assert_int_equal(m.header_count, 2);
  refused(message_add(&m, "a b", "c", err), ERR_MALFORMED);
  refused(message_add(&m, "", "c", err), ERR_MALFORMED);
  refused(message_add(&m, "a", "b\r\nc: d", err), ERR_MALFORMED);
  struct err err = {0};
  while (message_add(&m, "a", "b", &err) == 0) continue;
  assert_int_equal(err.code, ERR_LIMIT);
  assert_int_equal(m.header_count, 256);
}

/* Worked out by hand with sha512sum from the description of the protocol. */
static void request_hash(void **state) {
  struct message m;
  char hash[89];
  struct http_content body = kit_content("hello");
  kit_message(&m, arena, "GET", NULL, 0, "X-Road-Client: I/C/M/S\nAccept: text/plain\nx-road-request-id: r1\nx-road-id: i1", NULL);
  must(message_request_hash(&m, "/r1/I/C/M/S/svc/a%20b?q=1", hash, err));
  const char *text = "GET\r\n/r1/I/C/M/S/svc/a%20b?q=1\r\nX-Road-Client:I/C/M/S\r\nAccept:text/plain\r\nx-road-request-id:r1\r\nx-road-id:i1\r\n";
  unsigned char h[64], both[128];
  EVP_Digest(text, strlen(text), h, NULL, EVP_sha512(), NULL);
  char *want = base64_encode(h, 64);
  assert_string_equal(hash, want);
  assert_string_equal(hash, "Ela0hlChTJ/4Jyhd+28rpLiThkG6OmyZrzK6KUkcUR2b6XGR68c76C6gMBEzIvP7Z2tsFfvUFTNAeKHW/WRbOA==");
  free(want);
  m.content = &body;
  must(message_request_hash(&m, "/r1/I/C/M/S/svc/a%20b?q=1", hash, err));
  memcpy(both, h, 64);
  EVP_Digest("hello", 5, both + 64, NULL, EVP_sha512(), NULL);
  EVP_Digest(both, 128, h, NULL, EVP_sha512(), NULL);
  want = base64_encode(h, 64);
  assert_string_equal(hash, want);
  assert_string_equal(hash, "uJi/4rRD3M+MnKqINcAnMm+LlsojA4r951hE27R7Xd09EjybJp2Fyj1VavokojK9wzAeI5pmY0H1TqEU4ZESRA==");
  free(want);
  must(message_add(&m, "Content-Digest", "sha-512=:x:", err));                /* what the gateways add is not part of it */
  must(message_add(&m, "Signature", "xr=:x:", err));
  char again[89];
  must(message_request_hash(&m, "/r1/I/C/M/S/svc/a%20b?q=1", again, err));
  assert_string_equal(hash, again);
}

/* Ids of messages follow each other as they are made, and are ids of version 4 for who looks. */
static void timed(void **state) {
  char before[37], id[37], after[37];
  for (int i = 0; i < 3; i++) {
    clock_set(INT64_C(1765000000000) + i);
    uuid_make_timed(id);
    assert_int_equal(strlen(id), 36);
    assert_int_equal(id[14], '4');
    assert_non_null(strchr("89ab", id[19]));
    if (i > 0) assert_true(strcmp(before, id) < 0);
    memcpy(before, id, sizeof id);
    uuid_make_timed(after);
    assert_memory_equal(after, id, 13);
    assert_true(strcmp(after + 14, id + 14) != 0);
  }
  clock_set(0);
}

static void identifiers(void **state) {
  struct exchange_id id, two;
  char text[EXCHANGE_ID + 1];
  must(exchange_id_parse("KHR/GOV/101/زمین/parcels", 3, 5, &id, err));
  exchange_id_text(&id, text);
  assert_string_equal(text, "KHR/GOV/101/زمین/parcels");
  must(exchange_id_parse("KHR/GOV/101/زمین", 4, 4, &two, err));
  assert_true(exchange_id_same(&id, &two, 4));
  assert_false(exchange_id_same(&id, &two, 5));
  static const char *const bad[] = {"", "a/b", "a/b/c/d/e/f", "a//c", "a/b/", "/a/b", "a/../c", "a/./c", "a/b/c%", "a/b/c;d", "a/b/c:d", "a/b/c\\d", "a/b/c\nd", "a/b/\xff", "a/b/c\xe2\x80\x8b", "a/b/c\x7f"};
  for (size_t i = 0; i < BASE_COUNT(bad); i++) refused(exchange_id_parse(bad[i], 3, 5, &id, err), ERR_INVALID);
  char part[120];
  memset(part, 'a', sizeof part);
  snprintf(part + 101, sizeof part - 101, "/b/c");
  refused(exchange_id_parse(part, 3, 5, &id, err), ERR_INVALID);
  must(exchange_id_parse(part + 1, 3, 5, &id, err));
}

static void faults(void **state) {
  struct fault f;
  struct buf b = {0};
  char code[100];
  assert_int_equal(fault_set(&f, "server.clientproxy.unknown_member", "no <member> \"%s\"\n", "x & y"), -1);
  assert_int_equal(fault_status(&f), 500);
  fault_code(f.code, EXCHANGE_ERRORS_77, code);
  assert_string_equal(code, "Server.ClientProxy.UnknownMember");
  assert_string_equal(fault_body(&f, EXCHANGE_ERRORS_78, "application/json", &b), "application/json");
  char *want = base_printf("{\"type\":\"server.clientproxy.unknown_member\",\"message\":\"no <member> \\\"x & y\\\" \",\"detail\":\"%s\"}", f.detail);
  assert_string_equal(buf_str(&b), want);
  free(want);
  buf_clear(&b);
  assert_string_equal(fault_body(&f, EXCHANGE_ERRORS_77, "image/png, text/*;q=0.5", &b), "text/xml;charset=utf-8");
  assert_non_null(strstr(buf_str(&b), "<error><type>Server.ClientProxy.UnknownMember</type><message>no &lt;member&gt; \"x &amp; y\" </message><detail>"));
  assert_string_equal(fault_body(&f, EXCHANGE_ERRORS_77, "application/XML", &b), "application/xml;charset=utf-8");
  assert_string_equal(fault_body(&f, EXCHANGE_ERRORS_77, NULL, &b), "application/json");
  fault_set(&f, "client.bad_request", "%s", "م\xd9");
  assert_string_equal(f.message, "م");
  assert_int_equal(fault_status(&f), 400);
  assert_true(fault_known("server.serverproxy.service_failed.internal_error"));
  assert_false(fault_known("server.serverproxy.unheard_of"));
  fault_code("server.serverproxy.service_failed.io_error", EXCHANGE_ERRORS_77, code);
  assert_string_equal(code, "Server.ServerProxy.ServiceFailed.IOError");
  buf_free(&b);
}

/* ---- the table of a key against the library ---- */

static bool library_says(const unsigned char hash[32], const unsigned char raw[64]) {
  unsigned char der[80];
  size_t n = signature_to_der(raw, der);
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key.key, NULL);
  bool good = EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_verify(c, der, n, hash, 32) == 1;
  EVP_PKEY_CTX_free(c);
  return good;
}

/* The quick inverse is the library's, for numbers at both ends, powers of two and their neighbours, and many others; for what has none it says so. */
static void one_inverse(const BIGNUM *s, const BIGNUM *m, BN_CTX *c) {
  unsigned char number[32], modulus[32], right[32];
  uint64_t words[WORDS], found[WORDS], expected[WORDS];
  struct modulus by;
  BIGNUM *i = BN_new();
  assert_int_equal(BN_bn2binpad(s, number, 32), 32);
  assert_int_equal(BN_bn2binpad(m, modulus, 32), 32);
  assert_non_null(BN_mod_inverse(i, s, m, c));
  assert_int_equal(BN_bn2binpad(i, right, 32), 32);
  words_read(number, words);
  words_read(right, expected);
  assert_true(modulus_set(&by, modulus));
  assert_true(inverse_find(words, &by, found));
  assert_true(words_same(found, expected));
  BN_free(i);
}

static bool has_inverse(const unsigned char number[32], const unsigned char modulus[32]) {
  uint64_t words[WORDS], found[WORDS];
  struct modulus by;
  words_read(number, words);
  return modulus_set(&by, modulus) && inverse_find(words, &by, found);
}

static void inverses(void **state) {
  BN_CTX *c = BN_CTX_new();
  EC_GROUP *curve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  const BIGNUM *m = EC_GROUP_get0_order(curve);
  BIGNUM *s = BN_new(), *small = BN_new();
  unsigned char number[32] = {0}, modulus[32];
  for (BN_ULONG i = 1; i <= 300; i++) {
    BN_set_word(s, i);
    one_inverse(s, m, c);
    BN_copy(s, m);
    BN_sub_word(s, i);
    one_inverse(s, m, c);
  }
  for (int bit = 0; bit < 255; bit++)
    for (BN_ULONG more = 0; more <= 2; more++) {
      BN_zero(s);
      BN_set_bit(s, bit);
      BN_add_word(s, more);
      one_inverse(s, m, c);
      BN_sub(s, m, s);
      one_inverse(s, m, c);
    }
  for (int i = 0; i < 20000; i++) {
    do BN_rand_range(s, m);
    while (BN_is_zero(s));
    one_inverse(s, m, c);
  }
  BN_set_word(small, 2147483647); /* a prime of one word */
  for (BN_ULONG i = 1; i < 500; i++) {
    BN_set_word(s, i);
    one_inverse(s, small, c);
  }
  BN_bn2binpad(m, modulus, 32);
  assert_false(has_inverse(number, modulus));  /* 0 */
  assert_false(has_inverse(modulus, modulus)); /* not below it */
  memset(number, 0, 32);
  memset(modulus, 0, 32);
  number[31] = 6;
  modulus[31] = 15;
  assert_false(has_inverse(number, modulus)); /* both are multiples of three */
  modulus[31] = 16;
  assert_false(has_inverse(number, modulus)); /* even */
  BN_free(s);
  BN_free(small);
  EC_GROUP_free(curve);
  BN_CTX_free(c);
}

/* Products are the library's: of numbers at both ends of four words, of their neighbours and of others. */
static void products(void **state) {
  BN_CTX *c = BN_CTX_new();
  EC_GROUP *curve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  const BIGNUM *moduli[] = {EC_GROUP_get0_order(curve), EC_GROUP_get0_field(curve), BN_new()};
  BIGNUM *a[40], *right = BN_new();
  BN_set_word((BIGNUM *)moduli[2], 3);
  for (size_t k = 0; k < BASE_COUNT(moduli); k++) {
    unsigned char bytes[32];
    struct modulus m;
    BN_bn2binpad(moduli[k], bytes, 32);
    assert_true(modulus_set(&m, bytes));
    for (size_t i = 0; i < BASE_COUNT(a); i++) {
      a[i] = BN_new();
      if (i < 8) BN_set_word(a[i], i);
      else if (i < 16) BN_sub_word(BN_copy(a[i], moduli[k]), i - 8 < 3 ? i - 8 : 1);
      else if (i < 24) BN_lshift(a[i], BN_value_one(), (int)(64 * (i - 16) / 2 + 31));
      else if (i == 24) BN_lshift(a[i], BN_value_one(), 256), BN_sub_word(a[i], 1);
      else BN_rand(a[i], 256, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY);
    }
    for (size_t i = 0; i < BASE_COUNT(a); i++)
      for (size_t j = 0; j < BASE_COUNT(a); j++) {
        uint64_t x[WORDS], y[WORDS], z[WORDS];
        unsigned char p[32], q[32];
        if (BN_num_bits(a[i]) > 256 || BN_num_bits(a[j]) > 256) continue;
        BN_bn2binpad(a[i], p, 32);
        BN_bn2binpad(a[j], q, 32);
        words_read(p, x);
        words_read(q, y);
        modulus_times(&m, x, m.square, x);
        modulus_times(&m, y, x, x);
        BN_mod_mul(right, a[i], a[j], moduli[k], c);
        BN_bn2binpad(right, p, 32);
        words_read(p, z);
        assert_true(words_same(x, z));
      }
    for (size_t i = 0; i < BASE_COUNT(a); i++) BN_free(a[i]);
  }
  BN_free(right);
  BN_free((BIGNUM *)moduli[2]);
  EC_GROUP_free(curve);
  BN_CTX_free(c);
}

static void both_say(const struct key_table *t, const unsigned char hash[32], const unsigned char raw[64], bool good) {
  assert_int_equal(library_says(hash, raw), good);
  assert_int_equal(key_table_true(t, hash, raw), good);
}

/* Signatures made with numbers that nobody comes upon: P-256 in plain arithmetic. */
struct plain { EC_GROUP *g; BN_CTX *c; BIGNUM *n, *d, *r, *s, *e, *k; };
static void plain_begin(struct plain *p) {
  *p = (struct plain){.g = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1), .c = BN_CTX_new(), .r = BN_new(), .s = BN_new(), .e = BN_new(), .k = BN_new()};
  p->n = BN_dup(EC_GROUP_get0_order(p->g));
  assert_int_equal(EVP_PKEY_get_bn_param(key.key, OSSL_PKEY_PARAM_PRIV_KEY, &p->d), 1);
  EC_POINT *at = EC_POINT_new(p->g);
  assert_int_equal(BN_rand_range(p->k, p->n) && EC_POINT_mul(p->g, at, p->k, NULL, NULL, p->c) && EC_POINT_get_affine_coordinates(p->g, at, p->r, NULL, p->c), 1);
  BN_nnmod(p->r, p->r, p->n, p->c);
  EC_POINT_free(at);
}
static void plain_end(struct plain *p) {
  EC_GROUP_free(p->g);
  BN_CTX_free(p->c);
  BIGNUM *all[] = {p->n, p->d, p->r, p->s, p->e, p->k};
  for (size_t i = 0; i < BASE_COUNT(all); i++) BN_free(all[i]);
}
static void raw_of(const BIGNUM *r, const BIGNUM *s, unsigned char raw[64]) {
  assert_int_equal(BN_bn2binpad(r, raw, 32), 32);
  assert_int_equal(BN_bn2binpad(s, raw + 32, 32), 32);
}

static void table_edges(const struct key_table *t) {
  struct plain p;
  unsigned char hash[32], raw[64];
  plain_begin(&p);
  BN_mod_mul(p.e, p.r, p.d, p.n, p.c);         /* e = rd: both halves of the sum are the same point */
  BN_bn2binpad(p.e, hash, 32);
  BIGNUM *inverse = BN_mod_inverse(NULL, p.k, p.n, p.c);
  BN_mod_add(p.s, p.e, p.e, p.n, p.c);
  BN_mod_mul(p.s, p.s, inverse, p.n, p.c);
  BN_free(inverse);
  raw_of(p.r, p.s, raw);
  both_say(t, hash, raw, true);
  BN_sub(p.s, p.n, p.s);                       /* n - s is as good, as everywhere */
  raw_of(p.r, p.s, raw);
  both_say(t, hash, raw, true);
  BN_sub(p.e, p.n, p.e);                       /* e = -rd: the sum is no point */
  BN_bn2binpad(p.e, hash, 32);
  both_say(t, hash, raw, false);
  const BIGNUM *bad[] = {BN_value_one(), p.n};
  for (size_t i = 0; i < BASE_COUNT(bad); i++) {
    raw_of(bad[i], p.s, raw);
    both_say(t, hash, raw, false);
    raw_of(p.r, bad[i], raw);
    both_say(t, hash, raw, false);
  }
  for (int from = 0; from < 64; from += 32)    /* nothing, and more than the order */
    for (int with = 0; with < 256; with += 255) {
      raw_of(p.r, p.s, raw);
      memset(raw + from, with, 32);
      both_say(t, hash, raw, false);
    }
  plain_end(&p);
}

/* An x between the order and the prime, which nobody comes upon: a point is chosen, and the key that makes it the sum. */
static void table_beyond(void) {
  BN_CTX *c = BN_CTX_new();
  EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  const BIGNUM *n = EC_GROUP_get0_order(g);
  EC_POINT *at = EC_POINT_new(g), *q = EC_POINT_new(g);
  BIGNUM *x = BN_dup(n), *r = BN_new(), *u = BN_new(), *v = BN_new(), *s = BN_new(), *i = BN_new();
  unsigned char hash[32], raw[64], spki[128];
  for (BN_add_word(x, 2); EC_POINT_set_compressed_coordinates(g, at, x, 1, c) != 1;) BN_add_word(x, 1);
  BN_sub(r, x, n);
  BN_rand_range(u, n);
  do BN_rand_range(v, n);
  while (BN_is_zero(v));
  BN_mod_inverse(i, v, n, c);
  EC_POINT_mul(g, q, u, NULL, NULL, c);        /* Q = (R - uG) / v, so that uG + vQ = R */
  EC_POINT_invert(g, q, c);
  EC_POINT_add(g, q, q, at, c);
  EC_POINT_mul(g, q, NULL, q, i, c);
  BN_mod_mul(s, r, i, n, c);                   /* r/s = v, e/s = u */
  BN_mod_mul(u, u, s, n, c);
  BN_bn2binpad(u, hash, 32);
  raw_of(r, s, raw);
  memcpy(spki, key.spki, key.size);            /* a point of 65 bytes ends it */
  assert_int_equal(EC_POINT_point2oct(g, q, POINT_CONVERSION_UNCOMPRESSED, spki + key.size - 65, 65, c), 65);
  struct key_table *t = key_table_new(spki, key.size);
  assert_non_null(t);
  assert_true(key_table_true(t, hash, raw));
  BN_add_word(r, 1);
  raw_of(r, s, raw);
  assert_false(key_table_true(t, hash, raw));
  key_table_free(t);
  BIGNUM *all[] = {x, r, u, v, s, i};
  for (size_t j = 0; j < BASE_COUNT(all); j++) BN_free(all[j]);
  EC_POINT_free(at);
  EC_POINT_free(q);
  EC_GROUP_free(g);
  BN_CTX_free(c);
}

static void tables(void **state) {
  struct exchange_signer by = kit_signer(&key);
  struct key_table *t = key_table_new(key.spki, key.size);
  unsigned char hash[32], der[80], raw[64];
  size_t n;
  assert_non_null(t);
  for (int i = 0; i < 40; i++) {
    random_bytes(hash, sizeof hash);
    if (i < 2) memset(hash, i == 0 ? 0 : 0xff, sizeof hash);
    must(by.sign(by.ctx, EXCHANGE_KEY_SIGN, hash, sizeof hash, der, &n, err));
    assert_int_equal(signature_to_raw(der, n, raw), 0);
    both_say(t, hash, raw, true);
    raw[i] ^= 1;
    both_say(t, hash, raw, false);
    raw[i] ^= 1;
    hash[i % 32] ^= 0x80;
    both_say(t, hash, raw, false);
  }
  table_edges(t);
  table_beyond();
  key_table_free(t);
  assert_null(key_table_new(key.spki, key.size - 1));
}

/* A signature in DER, with a byte changed, shorter and longer: read as the library reads it. */
static int library_raw(const unsigned char *der, size_t n, unsigned char raw[64]) {
  const unsigned char *p = der;
  ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
  bool good = sig != NULL && p == der + n && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32) == 32 && BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32) == 32;
  ECDSA_SIG_free(sig);
  return good ? 0 : -1;
}

static void one_der(const unsigned char *der, size_t n) {
  unsigned char ours[64], theirs[64], *exact = malloc(n + 1); /* so that a byte read too far is seen */
  memcpy(exact, der, n);
  exact = realloc(exact, n > 0 ? n : 1);
  int rc = library_raw(exact, n, theirs);
  assert_int_equal(signature_to_raw(exact, n, ours), rc);
  if (rc == 0) assert_memory_equal(ours, theirs, 64);
  free(exact);
}

static void ders(void **state) {
  static const unsigned char with[] = {0, 1, 2, 0x7f, 0x80, 0xff, 31, 32, 33, 34, 0x30};
  unsigned char raw[64], der[90], changed[90];
  for (int i = 0; i < 300; i++) {
    random_bytes(raw, 32);
    random_bytes(raw + 32, 32);
    if (i % 3 == 1) memset(raw + 32 * (i % 2), 0, (size_t)(i % 33)); /* short numbers */
    if (i % 3 == 2) memset(raw, 0, (size_t)(i % 33));
    size_t n = signature_to_der(raw, der);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    assert_int_equal(ECDSA_SIG_set0(sig, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL)), 1);
    unsigned char *p = changed;
    assert_int_equal(i2d_ECDSA_SIG(sig, &p), n);
    assert_memory_equal(changed, der, n);
    ECDSA_SIG_free(sig);
    for (size_t k = 0; k <= n; k++) one_der(der, k);
    memset(der + n, 0, sizeof der - n);
    one_der(der, n + 1);
    for (size_t k = 0; k < n; k++)
      for (size_t j = 0; j < sizeof with; j++) {
        memcpy(changed, der, sizeof der);
        changed[k] = with[j];
        one_der(changed, n);
      }
  }
}

/* The same answers before a key has its table and afterwards. */
static void often(void **state) {
  struct exchange_signer by = kit_signer(&key);
  unsigned char hash[32], der[80], raw[64];
  size_t n;
  for (int i = 0; i < 80; i++) {
    char text[40];
    snprintf(text, sizeof text, "message %d", i);
    sha256(text, strlen(text), hash);
    must(by.sign(by.ctx, EXCHANGE_KEY_SIGN, hash, sizeof hash, der, &n, err));
    assert_int_equal(signature_to_raw(der, n, raw), 0);
    must(signature_verify(text, strlen(text), raw, key.spki, key.size, err));
    refused(signature_verify(text, strlen(text) - 1, raw, key.spki, key.size, err), ERR_FORBIDDEN);
    refused(signature_verify(text, strlen(text), raw, key.spki, key.size - 1, err), ERR_MALFORMED);
  }
}

int main(void) {
  kit_key(&key);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(appendix_b, begin, end), cmocka_unit_test_setup_teardown(request_and_response, begin, end),
    cmocka_unit_test_setup_teardown(digests, begin, end),    cmocka_unit_test_setup_teardown(fields, begin, end),
    cmocka_unit_test_setup_teardown(bounds, begin, end),     cmocka_unit_test_setup_teardown(both_ways, begin, end),
    cmocka_unit_test_setup_teardown(altered, begin, end),    cmocka_unit_test_setup_teardown(cleaning, begin, end),
    cmocka_unit_test_setup_teardown(request_hash, begin, end), cmocka_unit_test_setup_teardown(identifiers, begin, end),
    cmocka_unit_test_setup_teardown(faults, begin, end),       cmocka_unit_test(timed), cmocka_unit_test(inverses), cmocka_unit_test(products), cmocka_unit_test(ders), cmocka_unit_test(tables), cmocka_unit_test(often)};
  int rc = cmocka_run_group_tests(tests, NULL, NULL);
  EVP_PKEY_free(key.key);
  return rc;
}
