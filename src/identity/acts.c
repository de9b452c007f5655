/* Administrative acts: written in the transaction that does them, each a leaf of the ledger. */
#include "identity/inner.h"
#include "trust/trust.h"
#include <stdlib.h>
#include <string.h>

enum { ACTS_MOST = 500 };

/* The payload is made of the columns, so that what is read is what was signed. */
static char *payload_of(int64_t at, const char *kind, const char *organisation, const char *who, const char *subject, const char *detail) {
  json_t *p = json_object(), *d = detail[0] != '\0' ? json_loads(detail, 0, NULL) : json_null();
  json_object_set_new(p, "at", json_integer(at));
  json_object_set_new(p, "detail", d != NULL ? d : json_string(detail));
  json_put(p, "kind", kind);
  json_put(p, "organisation", organisation);
  json_put(p, "subject", subject);
  json_put(p, "who", who);
  char *text = json_canonical(p);
  json_decref(p);
  return text;
}

int identity_act_put(struct store_tx *tx, const struct act *a, struct err *err) {
  unsigned char raw[16], salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  char id[33], when[32];
  int64_t at = clock_now();
  const char *organisation = a->organisation != NULL ? a->organisation : "", *subject = a->subject != NULL ? a->subject : "";
  char *detail = a->detail != NULL ? json_canonical(a->detail) : base_strdup("");
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, id);
  random_bytes(salt, sizeof salt);
  clock_rfc3339_ms(at, when);
  char *payload = payload_of(at, a->kind, organisation, a->who, subject, detail);
  char *header = base_printf("{\"act\":\"%s\",\"at\":\"%s\",\"id\":\"%s\",\"kind\":\"act\"}", a->kind, when, id);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  int rc = store_put(tx, err, "INSERT INTO act (at, id, kind, organisation, who, subject, detail, salt) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                     "ittttttb", at, id, a->kind, organisation, a->who, subject, detail, (const void *)salt, (size_t)TRUST_SALT);
  if (rc == 0) rc = trust_append(tx, leaf, header, digest, err);
  free(detail);
  free(payload);
  free(header);
  return rc;
}

static int one_work(struct store_tx *tx, void *arg, struct err *err) { return identity_act_put(tx, arg, err); }

int identity_act(struct identity *i, const struct act *a, struct err *err) { return store_write(i->main, STORE_FRONT, one_work, (void *)a, err); }

int identity_act_digest(struct store_tx *tx, const char *id, unsigned char digest[TRUST_HASH], struct err *err) {
  unsigned char leaf[TRUST_HASH];
  size_t n = 0;
  struct store_rows *r = store_select(tx, err, "SELECT at, kind, organisation, who, subject, detail, salt FROM act WHERE id = ?1", "t", id);
  if (r == NULL) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    const void *salt = store_blob(r, 6, &n);
    char *payload = payload_of(store_int(r, 0), store_text(r, 1), store_text(r, 2), store_text(r, 3), store_text(r, 4), store_text(r, 5));
    if (salt != NULL && n == TRUST_SALT) trust_leaf("", salt, payload, strlen(payload), digest, leaf);
    else rc = 0;
    free(payload);
  }
  store_done(r);
  return rc == 1 ? 0 : -1;
}

/* ---- reading ------------------------------------------------------------------------------ */

struct reading {
  const struct act_query *q;
  const char *person, *kind, *organisation;
  int64_t from, before_at;
  char before_id[40];
  int limit;
  json_t *items;
  char next[80];
};

static json_t *act_json(const struct store_rows *r) {
  json_t *o = json_object();
  char at[32];
  const char *detail = store_text(r, 6);
  clock_rfc3339_ms(store_int(r, 0), at);
  json_put(o, "id", store_text(r, 1));
  json_put(o, "at", at);
  json_put(o, "kind", store_text(r, 2));
  json_put(o, "organisation", store_text(r, 3));
  json_put(o, "who", store_text(r, 4));
  json_put(o, "subject", store_text(r, 5));
  json_object_set_new(o, "detail", detail[0] != '\0' ? json_loads(detail, 0, NULL) : json_null());
  return o;
}

#define ACTS "SELECT at, id, kind, organisation, who, subject, detail FROM act WHERE "
#define THOSE                                                                                                              \
  " AND (?2 = '' OR who = ?2 OR subject = ?2) AND (?3 = '' OR kind = ?3) AND at >= ?4 AND (at < ?5 OR (at = ?5 AND id < ?6))" \
  " ORDER BY at DESC, id DESC LIMIT ?7"

static int acts_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reading *k = arg;
  json_array_clear(k->items);
  k->next[0] = '\0';
  int64_t limit = k->limit + 1;
  struct store_rows *r = k->organisation[0] != '\0'
    ? store_select(tx, err, ACTS "organisation = ?1" THOSE, "tttiiti", k->organisation, k->person, k->kind, k->from, k->before_at, k->before_id, limit)
    : store_select(tx, err, ACTS "?1 = ''" THOSE, "tttiiti", k->organisation, k->person, k->kind, k->from, k->before_at, k->before_id, limit);
  if (r == NULL) return -1;
  int rc, n = 0;
  while ((rc = store_next(r, err)) == 1) {
    if (n++ == k->limit) {
      const json_t *last = json_array_get(k->items, (size_t)k->limit - 1);
      snprintf(k->next, sizeof k->next, "%s.%s", json_str(last, "at"), json_str(last, "id"));
      rc = 0;
      break;
    }
    json_array_append_new(k->items, act_json(r));
  }
  store_done(r);
  return rc;
}

static int begin_at(struct reading *k, const char *after, struct err *err) {
  if (after == NULL) return 0;
  const char *dot = strrchr(after, '.');
  char at[40];
  if (dot == NULL || strlen(dot + 1) != 32 || (size_t)(dot - after) >= sizeof at) return err_set(err, ERR_MALFORMED, "not the mark of a page");
  snprintf(at, sizeof at, "%.*s", (int)(dot - after), after);
  snprintf(k->before_id, sizeof k->before_id, "%s", dot + 1);
  return clock_parse(at, &k->before_at) == 0 ? 0 : err_set(err, ERR_MALFORMED, "not the mark of a page");
}

int identity_acts(struct identity *i, const struct act_query *q, json_t **out, struct err *err) {
  struct reading k = {.q = q, .person = q->person != NULL ? q->person : "", .kind = q->kind != NULL ? q->kind : "",
                      .organisation = q->organisation != NULL ? q->organisation : "", .from = q->from, .before_at = q->to > 0 ? q->to : INT64_MAX,
                      .limit = q->limit < 1 || q->limit > ACTS_MOST ? 50 : q->limit};
  if (begin_at(&k, q->after, err) != 0) return -1;
  k.items = json_array();
  if (store_read(i->main, acts_work, &k, err) != 0) {
    json_decref(k.items);
    return -1;
  }
  *out = json_object();
  json_object_set_new(*out, "items", k.items);
  json_put(*out, "next", k.next[0] != '\0' ? k.next : NULL);
  return 0;
}
