/* What a case came to, for rooms that make papers of it; and their part in its history. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

/* Where the case came into the state that it is in: the decision. */
static int find_decision(struct store_tx *tx, const struct case_row *row, struct case_outcome *out, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT seq,at,leaf_hash FROM " CASE_EVENTS "WHERE to_state=?2 AND from_state<>?2 ORDER BY seq DESC LIMIT 1",
                                      "tt", row->tracking, row->state);
  if (!r) return -1;
  int rc = store_next(r, err);
  size_t n = 0;
  const void *leaf = rc == 1 ? store_blob(r, 2, &n) : NULL;
  if (leaf && n == TRUST_HASH) {
    out->decided_at = store_int(r, 1);
    memcpy(out->decision, leaf, n);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

/* The one whom the decision is about. */
static void mask_holder(const struct case_row *row, struct case_outcome *out) {
  json_t *data = row->data ? json_loads(row->data, 0, NULL) : NULL;
  const char *field = row->def && row->def->beneficiary_field ? row->def->beneficiary_field : row->def ? row->def->applicant_field : NULL;
  const char *id = field ? json_str(data, field) : NULL;
  if (id) identifier_mask(IDENT_NATIONAL_ID, id, out->holder_masked);
  json_decref(data);
}

int cases_outcome(struct cases *c, struct store_tx *tx, struct arena *a, const struct actor *who, const char *tracking, struct case_outcome *out, struct err *err) {
  struct case_row row;
  *out = (struct case_outcome){.right = CASE_PUBLIC};
  if (case_load(c, tx, a, tracking, &row, err) || find_decision(tx, &row, out, err)) return -1;
  if (case_is_inquiry(&row)) return err_set(err, ERR_NOT_FOUND, "an inquiry has no outcome of its own");
  out->tracking = row.tracking;
  out->service = row.service;
  out->owner = row.owner;
  out->def = row.def;
  out->pack = row.pack;
  out->result = (enum result)row.result;
  out->version = row.version;
  out->data = row.data;
  out->mobile = row.mobile;
  out->lang = row.lang == LANG_EN ? LANG_EN : LANG_FA;
  mask_holder(&row, out);
  if (who) {
    out->right = case_right_of(who, &row);
    for (unsigned i = 0; who->kind == ACTOR_STAFF && i < who->role_count; i++)
      if (strcmp(who->roles[i].organisation, row.owner) == 0 && (who->roles[i].role == STAFF_SUPERVISOR || who->roles[i].role == STAFF_MANAGER))
        out->heads = who->roles[i].role;
  }
  return 0;
}

const char *cases_right_name(const struct actor *who, enum case_right right) {
  static const char *const texts[] = {[CASE_PUBLIC] = NULL, [CASE_CITIZEN] = "citizen", [CASE_INQUIRED] = "inquired", [CASE_HELPDESK] = "helpdesk",
                                      [CASE_STAFF] = "staff", [CASE_AUDITOR] = "auditor", [CASE_COUNTER] = "counter", [CASE_CONSENT] = "consent"};
  return right == CASE_CITIZEN && who->acting_as[0] ? "mandate" : texts[right];
}

int cases_enter(struct cases *c, struct store_tx *tx, const struct actor *who, const char *tracking, const char *action, json_t *payload, int64_t at, struct err *err) {
  struct arena *a = arena_new(1024 * 1024);
  struct case_row row;
  int rc = case_load(c, tx, a, tracking, &row, err);
  if (rc == 0 && !row.data) rc = err_set(err, ERR_CONFLICT, "the case has been erased");
  if (rc == 0) {
    const char *role = "system", *organisation = "";
    for (unsigned i = 0; who->kind == ACTOR_STAFF && i < who->role_count; i++)
      if (strcmp(who->roles[i].organisation, row.owner) == 0) {
        role = staff_role_text(who->roles[i].role);
        organisation = row.owner;
      }
    json_put(payload, "who", who->kind == ACTOR_STAFF ? who->username : who->kind == ACTOR_CITIZEN ? who->pair : "system");
    char *text = json_canonical(payload);
    struct case_entry e = {.action = action, .from_state = row.state, .to_state = row.state, .role = role, .organisation = organisation, .at = at, .payload = text};
    rc = case_append(c, tx, &row, &e, NULL, err);
    free(text);
  }
  json_decref(payload);
  arena_free(a);
  return rc;
}
