/* What agents file for others: on record by office and agent, told to the citizen, and seen again by the office for a while. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

json_t *case_filed_json(const struct case_counter *k, const struct actor *who) {
  json_t *o = json_object(), *consent = json_object();
  char digest[65];
  json_put(consent, "kind", consent_text(k->consent));
  if (k->consent == CONSENT_CODE && k->challenge) {
    unsigned char hash[32];
    sha256(k->challenge, strlen(k->challenge), hash);
    hex_encode(hash, 32, digest);
    json_put(consent, "proof", digest); /* of the challenge that the telephone answered */
  }
  if (k->number) json_put(consent, "number", k->number);
  if (k->document) json_put(consent, "document", k->document);
  json_object_set_new(o, "consent", consent);
  json_put(o, "agent", who->username);
  if (who->office[0]) json_put(o, "office", who->office);
  if (k->seen) json_object_set_new(o, "seen", json_pack("{s:s,s:s}", "kind", k->seen, "digits", k->digits ? k->digits : ""));
  if (k->bind) json_object_set_new(o, "bound", json_true());
  return o;
}

/* ---- telling the citizen ---- */

static int say_to(struct cases *c, struct store_tx *tx, const struct counter_filing *f, const char *mobile, const char *what, const char *word_key, struct err *err) {
  enum lang l = f->row->lang == LANG_EN ? LANG_EN : LANG_FA;
  struct arena *a = arena_new(32 * 1024);
  char code[48], masked[32], key[120];
  if (!c->o.notify) {
    arena_free(a);
    return 0;
  }
  identifier_group(IDENT_TRACKING, f->row->tracking, code);
  identifier_mask(IDENT_MOBILE, f->mobile ? f->mobile : "", masked);
  snprintf(key, sizeof key, "%013lld/%s/%s/%s", (long long)f->row->changed_at, f->row->tracking, what, mobile);
  const char *office = counter_clip(a, counter_place(c, f->who, l), OFFICE_SHOWN), *service = counter_clip(a, text_in(&f->row->def->title, l), SERVICE_SHOWN);
  const char *text = office && service ? word_fill(a, l, word_key, "tracking", code, "service", service, "office", office, "mobile", masked, NULL) : NULL;
  int rc = text ? c->o.notify(c->o.notify_ctx, tx, key, mobile, l, NULL, text, err) : err_set(err, ERR_LIMIT, "a notice is too long");
  arena_free(a);
  return rc;
}

static bool told_by_service(const struct service *s) {
  for (size_t i = 0; i < s->notice_count; i++)
    if (strcmp(s->notices[i].on, "submit") == 0) return true;
  return false;
}

static int bind(struct cases *c, struct store_tx *tx, const struct counter_filing *f, struct err *err) {
  json_t *told = NULL, *v;
  size_t i;
  if (identity_bind(tx, c->o.identity, f->person, f->mobile, f->who, counter_organisation(f->who), f->row->tracking, &told, err)) return -1;
  int rc = say_to(c, tx, f, f->mobile, "bound", "counter.bound", err);
  json_array_foreach(told, i, v) if (rc == 0) rc = say_to(c, tx, f, json_string_value(v), "bound", "counter.bound_other", err);
  json_decref(told);
  return rc;
}

int case_counter_filed(struct cases *c, struct store_tx *tx, const struct counter_filing *f, struct err *err) {
  const struct case_counter *k = f->counter;
  if (case_consent_use(c, tx, k, f->row->tracking, err) || (k->document && case_bind_document(tx, f->who, f->row->tracking, k->document, err)) ||
      store_put(tx, err, "INSERT INTO case_counter (tracking,agent,organisation,office,service,consent,number,seen,at) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)", "tttttttt" "i",
                f->row->tracking, f->who->username, counter_organisation(f->who), f->who->office, f->row->service, consent_text(k->consent), k->number ? k->number : "",
                k->seen ? k->seen : "", f->row->submitted_at))
    return -1;
  /* A slip was signed on paper: the telephone hears of it even where the service says so itself. */
  if (f->row->mobile[0] && (k->consent != CONSENT_CODE || !told_by_service(f->row->def)) && say_to(c, tx, f, f->row->mobile, "filed", "counter.filed", err)) return -1;
  return k->bind ? bind(c, tx, f, err) : 0;
}

/* ---- what an office filed ---- */

struct filed_list {
  struct cases *c;
  const struct actor *who;
  enum lang lang;
  int limit, days;
  const char *organisation;
  int64_t after_at;
  char after_tracking[TRACKING_SIZE], next[64];
  struct found { char tracking[TRACKING_SIZE], agent[64], consent[8]; int64_t at; } found[200];
  json_t *items;
};

static json_t *filed_item(struct filed_list *k, struct store_tx *tx, const struct found *f, struct err *err) {
  struct case_row row;
  struct arena *a = arena_new(1024 * 1024);
  json_t *o = NULL, *data = NULL;
  char at[32], masked[32] = "";
  if (case_load(k->c, tx, a, f->tracking, &row, err)) goto out;
  data = row.data ? json_loads(row.data, 0, NULL) : NULL;
  const char *id = row.def && row.def->applicant_field ? json_str(data, row.def->applicant_field) : NULL;
  if (id) identifier_mask(IDENT_NATIONAL_ID, id, masked);
  o = json_object();
  clock_rfc3339_ms(row.submitted_at, at);
  json_put(o, "tracking", row.tracking);
  json_put(o, "service", row.service);
  json_object_set_new(o, "service_version", json_integer(row.service_version));
  json_put(o, "service_title", row.def ? text_in(&row.def->title, k->lang) : row.service);
  json_put(o, "definition", row.def ? row.def->etag : NULL);
  json_put(o, "state", row.state);
  json_put(o, "state_title", case_state_title(&row, k->lang));
  json_put(o, "result", result_text((enum result)row.result));
  json_put(o, "submitted_at", at);
  json_object_set_new(o, "due", case_due_json(k->c, &row));
  json_put(o, "applicant", id ? masked : NULL);
  json_put(o, "consent", f->consent);
  json_put(o, "agent", f->agent);
out:
  json_decref(data);
  arena_free(a);
  return o;
}

static int filed_work(struct store_tx *tx, void *arg, struct err *err) {
  struct filed_list *k = arg;
  const struct actor *who = k->who;
  int n = 0, rc;
  json_array_clear(k->items);
  k->next[0] = 0;
  struct store_rows *r = store_select(tx, err,
    "SELECT tracking,agent,consent,at FROM case_counter WHERE organisation=?1 AND at>?2 AND (agent=?3 OR (office=?4 AND office<>'')) AND (at<?5 OR (at=?5 AND tracking>?6)) "
    "ORDER BY at DESC,tracking LIMIT ?7", "titt" "iti", counter_organisation(who), clock_now() - INT64_C(86400000) * COUNTER_DAYS, who->username, who->office, k->after_at,
    k->after_tracking, (int64_t)k->limit + 1);
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1 && n <= k->limit) {
    if (n < k->limit) {
      struct found *f = &k->found[n];
      snprintf(f->tracking, sizeof f->tracking, "%s", store_text(r, 0));
      snprintf(f->agent, sizeof f->agent, "%s", store_text(r, 1));
      snprintf(f->consent, sizeof f->consent, "%s", store_text(r, 2));
      f->at = store_int(r, 3);
    } else snprintf(k->next, sizeof k->next, "%lld.%s", (long long)k->found[n - 1].at, k->found[n - 1].tracking);
    n++;
  }
  store_done(r);
  for (int i = 0; rc >= 0 && i < n && i < k->limit; i++) {
    json_t *o = filed_item(k, tx, &k->found[i], err);
    if (!o) return -1;
    json_array_append_new(k->items, o);
  }
  return rc < 0 ? -1 : 0;
}

static int read_mark(struct filed_list *k, const char *after, struct err *err) {
  k->after_at = INT64_MAX;
  if (!after || !after[0]) return 0;
  char tracking[40];
  long long at;
  if (sscanf(after, "%19lld.%39s", &at, tracking) != 2 || strlen(tracking) != 16) return err_set(err, ERR_MALFORMED, "this mark of a page is not known");
  k->after_at = at;
  memcpy(k->after_tracking, tracking, TRACKING_SIZE);
  return 0;
}

int cases_counter_list(struct cases *c, const struct actor *who, const char *after, int limit, enum lang l, json_t **out, struct err *err) {
  if (who->kind != ACTOR_STAFF || !actor_has_role(who, NULL, STAFF_AGENT)) return err_set(err, who->kind == ACTOR_NOBODY ? ERR_UNAUTHENTICATED : ERR_FORBIDDEN, "for agents");
  struct filed_list *k = base_alloc(sizeof *k);
  k->c = c;
  k->who = who;
  k->lang = l;
  k->limit = limit < 1 ? 50 : limit > 200 ? 200 : limit;
  k->items = json_array();
  int rc = read_mark(k, after, err);
  if (rc == 0) rc = store_read(c->store, filed_work, k, err);
  if (rc == 0) {
    *out = json_object();
    json_object_set(*out, "items", k->items);
    json_put(*out, "next", k->next[0] ? k->next : NULL);
  }
  json_decref(k->items);
  free(k);
  return rc;
}

static int favourites_work(struct store_tx *tx, void *arg, struct err *err) {
  struct filed_list *k = arg;
  json_array_clear(k->items);
  struct store_rows *r = store_select(tx, err,
    "SELECT service,COUNT(*) AS n FROM case_counter WHERE organisation=?1 AND at>?2 AND office=?3 GROUP BY service ORDER BY 2 DESC,service LIMIT 8", "tit",
    counter_organisation(k->who), clock_now() - INT64_C(86400000) * 90, k->who->office);
  int rc = -1;
  while (r && (rc = store_next(r, err)) == 1) json_array_append_new(k->items, json_string(store_text(r, 0)));
  store_done(r);
  return rc;
}

int cases_counter_favourites(struct cases *c, const struct actor *who, json_t **out, struct err *err) {
  struct filed_list *k = base_alloc(sizeof *k);
  k->who = who;
  k->items = json_array();
  int rc = store_read(c->store, favourites_work, k, err);
  if (rc == 0) *out = k->items;
  else json_decref(k->items);
  free(k);
  return rc;
}

bool cases_counter_office(struct cases *c, const struct actor *who, int office) {
  const struct directory *d = pack_directory(c->pack);
  const struct office *o = directory_office(d, office);
  const struct organisation *org = o ? directory_organisation(d, o->organisation) : NULL;
  return org && actor_has_role(who, org->code, STAFF_AGENT);
}

/* ---- counted for those who answer for the agents ---- */

static int refused_codes(struct store_tx *tx, const char *organisation, int64_t since, json_t *refused, struct err *err) {
  struct store_rows *r = store_select(tx, err,
    "SELECT agent,office,CAST(SUM(tries-CASE WHEN given_at>0 THEN 1 ELSE 0 END) AS BIGINT) FROM case_consent WHERE made_at>?2 AND organisation=?1 AND kind='code' AND tries>0 "
    "GROUP BY agent,office", "ti", organisation, since);
  int rc = -1;
  while (r && (rc = store_next(r, err)) == 1) {
    char key[160];
    snprintf(key, sizeof key, "%s\n%s", store_text(r, 1), store_text(r, 0));
    json_object_set_new(refused, key, json_integer(store_int(r, 2)));
  }
  store_done(r);
  return rc;
}

static int figures_work(struct store_tx *tx, void *arg, struct err *err) {
  struct filed_list *k = arg;
  int64_t since = clock_now() - INT64_C(86400000) * k->days;
  json_t *refused = json_object();
  int rc = refused_codes(tx, k->organisation, since, refused, err);
  json_array_clear(k->items);
  struct store_rows *r = rc ? NULL : store_select(tx, err,
    "SELECT office,agent,COUNT(*),CAST(SUM(CASE WHEN consent='code' THEN 1 ELSE 0 END) AS BIGINT),CAST(SUM(CASE WHEN consent='slip' THEN 1 ELSE 0 END) AS BIGINT),"
    "CAST(SUM(CASE WHEN consent='kept' THEN 1 ELSE 0 END) AS BIGINT),CAST(SUM(CASE WHEN seen<>'' THEN 1 ELSE 0 END) AS BIGINT) FROM case_counter "
    "WHERE organisation=?1 AND at>?2 GROUP BY office,agent ORDER BY 3 DESC,office,agent LIMIT 1000", "ti", k->organisation, since);
  rc = -1;
  while (r && (rc = store_next(r, err)) == 1) {
    static const char *const names[] = {"cases", "code", "slip", "kept", "seen"};
    char key[160];
    json_t *o = json_object();
    json_put(o, "office", store_text(r, 0)[0] ? store_text(r, 0) : NULL);
    json_put(o, "agent", store_text(r, 1));
    for (int i = 0; i < 5; i++) json_object_set_new(o, names[i], json_integer(store_int(r, 2 + i)));
    snprintf(key, sizeof key, "%s\n%s", store_text(r, 0), store_text(r, 1));
    json_object_set_new(o, "refused", json_integer(json_int(refused, key, 0)));
    json_array_append_new(k->items, o);
  }
  store_done(r);
  json_decref(refused);
  return rc;
}

int cases_counter_figures(struct cases *c, const struct actor *who, const char *organisation, int days, json_t **out, struct err *err) {
  bool leads = who->kind == ACTOR_STAFF && (actor_has_role(who, organisation, STAFF_SUPERVISOR) || actor_has_role(who, organisation, STAFF_MANAGER) || actor_has_role(who, NULL, STAFF_AUDITOR));
  if (!leads) return err_set(err, ERR_NOT_FOUND, "for those who answer for the agents");
  struct filed_list *k = base_alloc(sizeof *k);
  k->organisation = organisation;
  k->days = days;
  k->items = json_array();
  int rc = store_read(c->store, figures_work, k, err);
  if (rc == 0) {
    *out = json_object();
    json_object_set(*out, "items", k->items);
  }
  json_decref(k->items);
  free(k);
  return rc;
}

struct how_filed {
  struct cases *c;
  const struct actor *who;
  const char *tracking;
  json_t *out;
};

static int how_work(struct store_tx *tx, void *arg, struct err *err) {
  struct how_filed *k = arg;
  struct case_row row;
  struct arena *a = arena_new(1024 * 1024);
  json_decref(k->out);
  k->out = NULL;
  int rc = case_load(k->c, tx, a, k->tracking, &row, err) || case_at_counter(tx, k->who, &row, err) ? -1 : 0;
  bool public = rc == 0 && case_right_of(k->who, &row) == CASE_PUBLIC;
  arena_free(a);
  if (rc || public) return rc ? -1 : err_set(err, ERR_NOT_FOUND, "no such case");
  struct store_rows *r = store_select(tx, err, "SELECT agent,organisation,office,consent,number FROM case_counter WHERE tracking=?1", "t", k->tracking);
  if (!r) return -1;
  rc = store_next(r, err);
  if (rc == 1) {
    static const char *const names[] = {"agent", "organisation", "office", "consent", "number"};
    k->out = json_object();
    for (int i = 0; i < 5; i++) json_put(k->out, names[i], store_text(r, i)[0] ? store_text(r, i) : NULL);
  }
  store_done(r);
  return rc < 0 ? -1 : k->out ? 0 : err_set(err, ERR_NOT_FOUND, "not filed by an agent");
}

int cases_counter_filed(struct cases *c, const struct actor *who, const char *tracking, json_t **out, struct err *err) {
  struct how_filed k = {.c = c, .who = who, .tracking = tracking};
  int rc = store_read(c->store, how_work, &k, err);
  if (rc == 0) *out = k.out;
  else json_decref(k.out);
  return rc;
}

/* ---- a binding ends: an event of the case that it came with ---- */

struct unbinding {
  struct cases *c;
  const struct actor *who;
  const char *id;
  char mobile[16];
};

static int unbind_work(struct store_tx *tx, void *arg, struct err *err) {
  struct unbinding *k = arg;
  char tracking[40] = "";
  bool was = false;
  struct case_row row;
  if (identity_unbind(tx, k->c->o.identity, k->who, k->id, tracking, k->mobile, &was, err)) return -1;
  if (was) return 0;
  struct arena *a = arena_new(1024 * 1024);
  int rc = case_load(k->c, tx, a, tracking, &row, err);
  bool staff = k->who->kind == ACTOR_STAFF;
  if (rc == 0) {
    json_t *p = json_object();
    json_put(p, "telephone", k->id);
    json_put(p, "who", staff ? k->who->username : k->who->pair);
    char *payload = json_canonical(p);
    json_decref(p);
    struct case_entry e = {.action = "unbind", .from_state = row.state, .to_state = row.state, .role = staff ? "supervisor" : "applicant",
                           .organisation = staff ? counter_organisation(k->who) : "", .at = clock_now(), .payload = payload};
    rc = case_append(k->c, tx, &row, &e, NULL, err);
    free(payload);
  }
  arena_free(a);
  return rc;
}

int cases_unbind(struct cases *c, const struct actor *who, const char *id, struct err *err) {
  struct unbinding k = {.c = c, .who = who, .id = id};
  if (store_write(c->store, STORE_FRONT, unbind_work, &k, err)) return -1;
  return identity_unbound(c->o.identity, k.mobile, err);
}
