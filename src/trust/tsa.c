/* Time-stamps (RFC 3161) over signed heads. */
#include "trust/inner.h"
#include <openssl/err.h>
#include <openssl/ts.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ANSWER_MOST = 1 << 20 };

static int refuse(struct err *err, enum err_code code, const char *what) {
  char why[200] = "";
  unsigned long e = ERR_peek_last_error();
  if (e != 0) ERR_error_string_n(e, why, sizeof why);
  ERR_clear_error();
  return err_set(err, code, "%s%s%s", what, e != 0 ? ": " : "", why);
}

/* ---- checking ---- */

static int imprint_check(TS_TST_INFO *info, const char *data, struct err *err) {
  unsigned char hash[TRUST_HASH];
  TS_MSG_IMPRINT *imprint = TS_TST_INFO_get_msg_imprint(info);
  const ASN1_OBJECT *method = NULL;
  X509_ALGOR_get0(&method, NULL, NULL, TS_MSG_IMPRINT_get_algo(imprint));
  const ASN1_OCTET_STRING *given = TS_MSG_IMPRINT_get_msg(imprint);
  sha256(data, strlen(data), hash);
  if (OBJ_obj2nid(method) == NID_sha256 && ASN1_STRING_length(given) == TRUST_HASH &&
      memcmp(ASN1_STRING_get0_data(given), hash, TRUST_HASH) == 0)
    return 0;
  return err_set(err, ERR_INVALID, "the time-stamp is of something else");
}

static int time_read(TS_TST_INFO *info, time_t *out, struct err *err) {
  struct tm tm;
  if (ASN1_TIME_to_tm(TS_TST_INFO_get_time(info), &tm) != 1) return refuse(err, ERR_INVALID, "the time of the time-stamp cannot be read");
  *out = timegm(&tm);
  return 0;
}

static int signature_check(PKCS7 *token, const char *ca_file, time_t at, struct err *err) {
  X509_STORE *store = X509_STORE_new();
  TS_VERIFY_CTX *c = TS_VERIFY_CTX_new();
  int rc = -1;
  if (store == NULL || c == NULL) abort();
  if (X509_STORE_load_file(store, ca_file) != 1) {
    refuse(err, ERR_UNAVAILABLE, "the certificate of the time-stamp authority cannot be read");
    X509_STORE_free(store);
  } else {
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);               /* the authority's own certificate may be given */
    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), at);         /* certificates end; what they signed stays signed */
    TS_VERIFY_CTX_set_store(c, store);                                    /* takes it */
    TS_VERIFY_CTX_set_flags(c, TS_VFY_VERSION | TS_VFY_SIGNATURE);
    rc = TS_RESP_verify_token(c, token) == 1 ? 0 : refuse(err, ERR_INVALID, "the signature of the time-stamp is false");
  }
  TS_VERIFY_CTX_free(c);
  return rc;
}

static int token_check(PKCS7 *token, const char *data, const char *ca_file, int64_t *at, struct err *err) {
  TS_TST_INFO *info = PKCS7_to_TS_TST_INFO(token);
  time_t when = 0;
  int rc = info == NULL ? refuse(err, ERR_MALFORMED, "this is not a time-stamp") : 0;
  if (rc == 0) rc = imprint_check(info, data, err);
  if (rc == 0) rc = time_read(info, &when, err);
  if (rc == 0 && ca_file != NULL) rc = signature_check(token, ca_file, when, err);
  *at = (int64_t)when * 1000;
  TS_TST_INFO_free(info);
  return rc;
}

int stamp_check(const unsigned char *token, size_t n, const char *data, const char *ca_file, int64_t *at, struct err *err) {
  const unsigned char *p = token;
  *at = 0;
  PKCS7 *read = n > ANSWER_MOST ? NULL : d2i_PKCS7(NULL, &p, (long)n);
  int rc = read == NULL || p != token + n ? refuse(err, ERR_MALFORMED, "the time-stamp cannot be read")
                                          : token_check(read, data, ca_file, at, err);
  PKCS7_free(read);
  ERR_clear_error();
  return rc;
}

/* ---- asking ---- */

static ASN1_INTEGER *nonce_new(void) {
  unsigned char raw[8];
  uint64_t number;
  random_bytes(raw, sizeof raw);
  memcpy(&number, raw, sizeof number);
  ASN1_INTEGER *out = ASN1_INTEGER_new();
  if (out == NULL || ASN1_INTEGER_set_uint64(out, number >> 1 | 1) != 1) abort();
  return out;
}

static unsigned char *query(const char *data, const ASN1_INTEGER *nonce, size_t *n) {
  unsigned char hash[TRUST_HASH], *der = NULL;
  sha256(data, strlen(data), hash);
  TS_REQ *req = TS_REQ_new();
  TS_MSG_IMPRINT *imprint = TS_MSG_IMPRINT_new();
  X509_ALGOR *method = X509_ALGOR_new();
  if (req == NULL || imprint == NULL || method == NULL || X509_ALGOR_set0(method, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) != 1 ||
      TS_MSG_IMPRINT_set_algo(imprint, method) != 1 || TS_MSG_IMPRINT_set_msg(imprint, hash, TRUST_HASH) != 1 ||
      TS_REQ_set_version(req, 1) != 1 || TS_REQ_set_msg_imprint(req, imprint) != 1 || TS_REQ_set_nonce(req, nonce) != 1 ||
      TS_REQ_set_cert_req(req, 1) != 1)
    abort();
  int size = i2d_TS_REQ(req, &der);
  if (size <= 0) abort();
  *n = (size_t)size;
  X509_ALGOR_free(method);
  TS_MSG_IMPRINT_free(imprint);
  TS_REQ_free(req);
  return der;
}

/* Out of an answer: the token, checked. *token is to be freed with OPENSSL_free. */
static int answer_read(const struct trust *t, const char *answer, size_t n, const char *data, const ASN1_INTEGER *nonce,
                       unsigned char **token, size_t *size, struct err *err) {
  const unsigned char *p = (const unsigned char *)answer;
  int64_t at;
  int rc = -1, made;
  TS_RESP *r = n > ANSWER_MOST ? NULL : d2i_TS_RESP(NULL, &p, (long)n);
  if (r == NULL) return refuse(err, ERR_UNAVAILABLE, "the answer of the time-stamp authority cannot be read");
  long status = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(r)));
  const ASN1_INTEGER *given = TS_RESP_get_tst_info(r) == NULL ? NULL : TS_TST_INFO_get_nonce(TS_RESP_get_tst_info(r));
  if (status < 0 || status > 1 || TS_RESP_get_token(r) == NULL)
    err_set(err, ERR_UNAVAILABLE, "the time-stamp authority refused (status %ld)", status);
  else if (given == NULL || ASN1_INTEGER_cmp(given, nonce) != 0)
    err_set(err, ERR_UNAVAILABLE, "the time-stamp authority answered another question");
  else rc = token_check(TS_RESP_get_token(r), data, t->tsa_ca_file, &at, err);
  if (rc == 0 && (made = i2d_PKCS7(TS_RESP_get_token(r), token)) > 0) *size = (size_t)made;
  else if (rc == 0) rc = refuse(err, ERR_INTERNAL, "the time-stamp cannot be written");
  if (rc == 0 && *size > NOTE_MOST) rc = err_set(err, ERR_LIMIT, "the time-stamp has more than %d bytes", NOTE_MOST);
  TS_RESP_free(r);
  return rc;
}

/* ---- the newest head ---- */

struct stamp {
  int64_t generation, there;
  struct head head;
  const unsigned char *token;
  size_t size;
};

static int newest_work(struct store_tx *tx, void *arg, struct err *err) {
  struct stamp *s = arg;
  s->there = 1;
  if (head_newest(tx, s->generation, &s->head, err) != 0) return -1;
  if (!s->head.found) return 0;
  return store_value(tx, &s->there, 0, err, "SELECT 1 FROM ledger_stamp WHERE generation = ?1 AND tree_size = ?2", "ii", s->generation,
                     s->head.size);
}

static int keep_work(struct store_tx *tx, void *arg, struct err *err) {
  struct stamp *s = arg;
  int rc = store_exec(tx, err, "UPDATE ledger_head SET kept = kept | 2 WHERE generation = ?1 AND tree_size = ?2", "ii", s->generation,
                      s->head.size);
  if (rc <= 0) return rc; /* forgotten meanwhile: a newer head will be stamped */
  return store_put(
    tx, err,
    "INSERT INTO ledger_stamp (generation, tree_size, at, token) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (generation, tree_size) DO NOTHING",
    "iiib", s->generation, s->head.size, store_time(tx), s->token, s->size);
}

int trust_timestamp(struct trust *t, struct err *err) {
  struct stamp s = {.generation = trust_name(t)->generation};
  if (t->tsa_url == NULL || t->post == NULL) return 0;
  int rc = store_read(t->store, newest_work, &s, err);
  if (rc != 0 || s.there) {
    head_clear(&s.head);
    return rc;
  }
  char *answer = NULL;
  size_t asked_n, n = 0;
  unsigned char *token = NULL;
  ASN1_INTEGER *nonce = nonce_new();
  unsigned char *asked = query(s.head.checkpoint, nonce, &asked_n);
  struct err why = {0};
  rc = t->post(t->post_ctx, t->tsa_url, "application/timestamp-query", asked, asked_n, &answer, &n, &why);
  if (rc != 0) rc = err_set(err, ERR_UNAVAILABLE, "the time-stamp authority does not answer: %.300s", why.message);
  else rc = answer_read(t, answer, n, s.head.checkpoint, nonce, &token, &s.size, err);
  s.token = token;
  if (rc == 0) rc = store_write(t->store, STORE_JOBS, keep_work, &s, err);
  free(answer);
  OPENSSL_free(asked);
  OPENSSL_free(token);
  ASN1_INTEGER_free(nonce);
  head_clear(&s.head);
  return rc;
}
