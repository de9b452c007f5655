/* Issued, replaced, revoked: each change in one transaction with the case that it belongs to. */
#include "certificates/inside.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES = 5 };

/* What is to be done, made before the transaction and judged again inside. */
struct plan {
  struct certificates *g;
  const struct actor *who;           /* ACTOR_SYSTEM: by rule */
  const char *tracking;
  struct arena *arena;
  struct case_outcome outcome;
  bool any;                          /* there is a newest one */
  struct certificate newest;
  bool issue, end;                   /* make a new one; end the newest (replaced when another is made, else revoked) */
  struct certificate made;
  void *pdf;
  size_t size;
  const char *reason, *comment;
  int64_t at;
};

static int look_work(struct store_tx *tx, void *arg, struct err *err) {
  struct plan *k = arg;
  if (cases_outcome(k->g->o.cases, tx, k->arena, k->who, k->tracking, &k->outcome, err)) return -1;
  int rc = certificate_newest(tx, k->arena, k->tracking, &k->newest, err);
  k->any = rc == 1;
  return rc < 0 ? -1 : 0;
}

/* ---- one change as a leaf ---- */

static int put_change(struct store_tx *tx, const struct certificate *row, int64_t seq, const char *change, int64_t at, json_t *payload, struct err *err) {
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  char when[32], *text = json_canonical(payload);
  json_decref(payload);
  clock_rfc3339_ms(at, when);
  char *header = base_printf("{\"at\":\"%s\",\"case\":\"%s\",\"certificate\":%lld,\"change\":\"%s\",\"kind\":\"certificate\",\"seq\":%lld}", when, row->tracking,
                             (long long)row->issue, change, (long long)seq);
  random_bytes(salt, sizeof salt);
  trust_leaf(header, salt, text, strlen(text), digest, leaf);
  int rc = store_put(tx, err, "INSERT INTO certificate_change (tracking,issue,seq,header,salt,payload,leaf_hash) VALUES (?1,?2,?3,?4,?5,?6,?7)", "tiitbtb", row->tracking,
                     row->issue, seq, header, (const void *)salt, (size_t)TRUST_SALT, text, (const void *)leaf, (size_t)TRUST_HASH);
  if (rc == 0) rc = trust_append(tx, leaf, header, digest, err);
  free(header);
  free(text);
  return rc;
}

static json_t *issue_payload(const struct certificate *row) {
  char until[16] = "", decision[65];
  hex_encode(row->decision, TRUST_HASH, decision);
  if (row->valid_until) date_iso((int32_t)row->valid_until, until);
  return json_pack("{s:s,s:s,s:s,s:s,s:s}", "code", row->code, "decision", decision, "number", row->number, "sha256", row->sha256, "valid_until", until);
}

static json_t *end_payload(const struct plan *k) {
  json_t *p = json_object();
  json_put(p, "reason", k->reason);
  json_put(p, "comment", k->comment);
  json_put(p, "who", k->who->kind == ACTOR_STAFF ? k->who->username : "system");
  if (k->issue) json_put(p, "by", k->made.code);
  return p;
}

/* ---- the transaction ---- */

static int put_made(struct plan *k, struct store_tx *tx, struct err *err) {
  const struct certificate *m = &k->made;
  if (store_put(tx, err, "INSERT INTO certificate (" CERTIFICATE_COLUMNS ") VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)", "titttttt" "biiiiitt",
                m->tracking, m->issue, m->code, m->number, m->service, m->organisation, m->title_fa, m->title_en, (const void *)m->decision, (size_t)TRUST_HASH, m->decided,
                m->issued, m->valid_until, (int64_t)CERTIFICATE_VALID, (int64_t)0, "", m->sha256) ||
      store_put(tx, err, "INSERT INTO certificate_file (sha256,bytes) VALUES (?1,?2) ON CONFLICT DO NOTHING", "tb", m->sha256, (const void *)k->pdf, k->size))
    return -1;
  return put_change(tx, m, 1, "issue", k->at, issue_payload(m), err);
}

static int put_end(struct plan *k, struct store_tx *tx, struct err *err) {
  int n = store_exec(tx, err, "UPDATE certificate SET state=?1,ended=?2,reason=?3 WHERE tracking=?4 AND issue=?5 AND state=0", "iitti",
                     (int64_t)(k->issue ? CERTIFICATE_REPLACED : CERTIFICATE_REVOKED), k->at, k->reason, k->tracking, k->newest.issue);
  if (n < 0) return -1;
  if (n == 0) return err_set(err, ERR_CONFLICT, "the certificate has changed meanwhile");
  return put_change(tx, &k->newest, 2, k->issue ? "replace" : "revoke", k->at, end_payload(k), err);
}

/* The case's history and the citizen hear of what is done to a paper that was out. */
static int tell(struct plan *k, struct store_tx *tx, struct err *err) {
  const struct case_outcome *o = &k->outcome;
  char shown[16], key[96];
  certificate_code_show(k->newest.code, shown);
  if (o->data && k->who->kind == ACTOR_STAFF) { /* by rule: the decision that it follows is in the history already */
    json_t *payload = json_object();
    json_put(payload, "reason", k->reason);
    json_put(payload, "comment", k->comment);
    json_put(payload, "number", k->newest.number);
    if (cases_enter(k->g->o.cases, tx, k->who, k->tracking, k->issue ? "certificate_reissue" : "certificate_revoke", payload, k->at, err)) return -1;
  }
  if (!k->g->o.notify || !o->mobile || !o->mobile[0]) return 0;
  snprintf(key, sizeof key, "%013lld/%s/certificate/%lld", (long long)k->at, k->tracking, (long long)k->newest.issue);
  char why[64];
  snprintf(why, sizeof why, "certificate.reason_%s", k->reason);
  char *text = word_fill(k->arena, o->lang, k->issue ? "certificate.notice_reissued" : "certificate.notice_revoked", "title",
                         o->lang == LANG_FA ? k->newest.title_fa : k->newest.title_en, "code", digits_local(k->arena, o->lang, shown), "reason", word(o->lang, why), NULL);
  return text ? k->g->o.notify(k->g->o.notify_ctx, tx, key, o->mobile, o->lang, text, err) : err_set(err, ERR_LIMIT, "a notice is too long");
}

static int change_work(struct store_tx *tx, void *arg, struct err *err) {
  struct plan *k = arg;
  struct arena *a = arena_new(2 * 1024 * 1024);
  struct case_outcome now;
  struct certificate newest;
  int rc = cases_outcome(k->g->o.cases, tx, a, k->who, k->tracking, &now, err);
  int any = rc ? -1 : certificate_newest(tx, a, k->tracking, &newest, err);
  if (any < 0) goto fail;
  if (now.result != k->outcome.result || memcmp(now.decision, k->outcome.decision, TRUST_HASH) != 0 || !now.data != !k->outcome.data || (any == 1) != k->any ||
      (k->any && (newest.issue != k->newest.issue || newest.state != k->newest.state))) {
    err_set(err, ERR_CONFLICT, "the case has changed meanwhile");
    goto fail;
  }
  if ((k->end && put_end(k, tx, err)) || (k->issue && put_made(k, tx, err)) || (k->end && tell(k, tx, err))) goto fail;
  arena_free(a);
  return 0;
fail:
  arena_free(a);
  return -1;
}

/* ---- before it ---- */

static int prepare(struct plan *k, struct err *err) {
  const struct case_outcome *o = &k->outcome;
  struct certificate *m = &k->made;
  if (!o->def) return err_set(err, ERR_UNAVAILABLE, "no pack has the text that case %s began under", k->tracking);
  int32_t decided = day_of(o->decided_at);
  *m = (struct certificate){.tracking = k->tracking, .service = o->service, .organisation = o->owner, .title_fa = text_in(&o->def->certificate.title, LANG_FA),
                            .title_en = text_in(&o->def->certificate.title, LANG_EN), .issue = k->any ? k->newest.issue + 1 : 1, .decided = o->decided_at, .issued = k->at,
                            .valid_until = o->def->certificate.valid_days > 0 ? decided + o->def->certificate.valid_days : 0, .reason = ""};
  memcpy(m->decision, o->decision, TRUST_HASH);
  char code[CERTIFICATE_CODE], hex[65];
  unsigned char hash[32];
  certificate_code_make(k->g, k->tracking, m->issue, code);
  if (!(m->code = arena_strdup(k->arena, code))) return err_set(err, ERR_LIMIT, "a certificate is too large");
  if (certificate_number(k->g, k->arena, o, m, err) || certificate_paper(k->g, k->arena, o, m, &k->pdf, &k->size, err)) return -1;
  sha256(k->pdf, k->size, hash);
  hex_encode(hash, 32, hex);
  return (m->sha256 = arena_strdup(k->arena, hex)) ? 0 : err_set(err, ERR_LIMIT, "a certificate is too large");
}

static int carry_out(struct plan *k, enum store_queue q, struct err *err) {
  int rc = k->issue ? prepare(k, err) : 0;
  if (rc == 0) rc = store_write(k->g->store, q, change_work, k, err);
  free(k->pdf);
  k->pdf = NULL;
  return rc;
}

/* ---- by rule ---- */

/* What the case's end asks for; false: all is as it should be. */
static bool wanted(struct plan *k) {
  const struct case_outcome *o = &k->outcome;
  bool out = k->any && k->newest.state == CERTIFICATE_VALID, same = k->any && memcmp(k->newest.decision, o->decision, TRUST_HASH) == 0;
  k->issue = k->end = false;
  if (o->result == RESULT_APPROVED && o->data && o->def && o->def->certificate.present && !same) {
    k->issue = true;
    k->end = out;
    k->reason = "decided_again";
  } else if (o->result != RESULT_APPROVED && o->result != RESULT_OPEN && out) {
    k->end = true;
    k->reason = "overturned";
  }
  return k->issue || k->end;
}

int certificates_settle(struct certificates *g, const char *tracking, struct err *err) {
  static const struct actor system = {.kind = ACTOR_SYSTEM};
  int rc = -1;
  for (int i = 0; i < TRIES; i++) {
    struct plan k = {.g = g, .who = &system, .tracking = tracking, .arena = arena_new(4 * 1024 * 1024), .at = clock_now()};
    rc = store_read(g->store, look_work, &k, err);
    if (rc == 0 && wanted(&k)) rc = carry_out(&k, STORE_JOBS, err);
    arena_free(k.arena);
    if (rc == 0 || err->code != ERR_CONFLICT) break;
  }
  if (rc == 0 || (err->code != ERR_INVALID && err->code != ERR_LIMIT && err->code != ERR_NOT_FOUND)) return rc;
  log_write(LOG_ERROR, "certificates", "the certificate of case %s cannot be made: %s", tracking, err->message); /* trying again would not help */
  return 0;
}

/* ---- by those who answer for it ---- */

static int refuse(struct certificate_change *k, const char *field, const char *word_key, struct err *err) {
  k->errors = json_pack("[{s:s,s:s,s:s}]", "field", field, "code", "choice", "message", word(k->lang, word_key));
  k->detail = word_key;
  return err_set(err, ERR_INVALID, "%s is not valid", field);
}

static bool known_reason(const struct certificate_change *k) {
#define X(code) code,
  static const char *const revoke[] = {CERTIFICATE_REVOKE_REASONS(X)}, *const reissue[] = {CERTIFICATE_REISSUE_REASONS(X)};
#undef X
  const char *const *all = k->revoke ? revoke : reissue;
  size_t count = k->revoke ? BASE_COUNT(revoke) : BASE_COUNT(reissue);
  for (size_t i = 0; i < count; i++)
    if (base_same(k->reason, all[i])) return true;
  return false;
}

static int judge(const struct plan *p, struct certificate_change *k, struct err *err) {
  const struct case_outcome *o = &p->outcome;
  if (o->right == CASE_PUBLIC || !p->any) return err_set(err, ERR_NOT_FOUND, "no such certificate");
  if (!o->heads) return err_set(err, ERR_FORBIDDEN, "for supervisors and managers of the owner");
  if (!known_reason(k)) return refuse(k, "reason", "certificate.reason_needed", err);
  if (k->comment && (strlen(k->comment) > 2000 || !utf8_valid(k->comment, strlen(k->comment)))) return refuse(k, "comment", "certificate.comment_long", err);
  if (p->newest.issue != k->issue || p->newest.state != CERTIFICATE_VALID) {
    k->detail = "certificate.moved_on";
    return err_set(err, ERR_CONFLICT, "the certificate is no longer the one that was seen");
  }
  if (!k->revoke && (o->result != RESULT_APPROVED || !o->data)) {
    k->detail = "certificate.not_approved";
    return err_set(err, ERR_CONFLICT, "the case is not approved now");
  }
  return 0;
}

int certificates_change(struct certificates *g, const struct actor *who, struct certificate_change *k, struct err *err) {
  struct plan p = {.g = g, .who = who, .tracking = k->tracking, .arena = arena_new(4 * 1024 * 1024), .at = clock_now(), .end = true, .issue = !k->revoke,
                   .reason = k->reason, .comment = k->comment && k->comment[0] ? k->comment : NULL};
  int rc = store_read(g->store, look_work, &p, err);
  if (rc == 0) rc = judge(&p, k, err);
  if (rc == 0 && (rc = carry_out(&p, STORE_FRONT, err)) && err->code == ERR_CONFLICT) k->detail = "certificate.moved_on";
  arena_free(p.arena);
  return rc;
}

/* ---- erased ---- */

/* Code, number, dates, hash and end stay: who holds the file can still have it told genuine. The file itself and what was said go. */
int certificates_forget(struct store_tx *tx, const char *tracking, struct err *err) {
  if (store_put(tx, err, "DELETE FROM certificate_file WHERE sha256 IN (SELECT sha256 FROM certificate WHERE tracking=?1)", "t", tracking)) return -1;
  return store_put(tx, err, "UPDATE certificate_change SET salt=NULL,payload=NULL WHERE tracking=?1 AND seq=2", "t", tracking);
}
