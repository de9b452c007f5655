/* Requests of organisations for the data of others: what an approved one gives, and which of them wait for whom, how long. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

/* ---- an approved request gives a right: an effect, applied once ---- */

static int months_of(const json_t *v) {
  int64_t n = json_is_integer(v) ? json_integer_value(v) : 0;
  if (json_is_string(v) && parse_i64(json_string_value(v), &n)) n = 0;
  return n >= 1 && n <= 120 ? (int)n : 0;
}

int case_grant_apply(struct cases *c, struct store_tx *tx, const struct case_row *row, const char *event, struct err *err) {
  const struct service *def = row->def;
  if (!def->grant.present || !row->data || !c->o.grant) return 0;
  json_t *data = json_loads(row->data, 0, NULL), *attributes = json_array(), *v;
  const char *service = json_str(data, def->grant.service), *asking = json_str(data, def->grant.asking), *purpose = json_str(data, def->grant.purpose);
  int rc = 0;
  for (size_t i = 0; i < def->grant.attribute_count; i++) {
    size_t k;
    json_array_foreach(json_object_get(data, def->grant.attributes[i]), k, v) json_array_append(attributes, v);
  }
  if (service && strcmp(service, "none") != 0 && asking && purpose) {
    const struct case_grant g = {.event = event, .tracking = row->tracking, .asking = asking, .service = service, .purpose = purpose,
                                 .basis = def->grant.basis ? json_str(data, def->grant.basis) : NULL, .attributes = attributes,
                                 .months = def->grant.months ? months_of(json_object_get(data, def->grant.months)) : 0};
    rc = c->o.grant(c->o.grant_ctx, tx, &g, err);
  }
  json_decref(attributes);
  json_decref(data);
  return rc;
}

/* ---- open ones ---- */

struct open_requests {
  struct cases *c;
  enum lang lang;
  const struct service *s;
  const char *holder;
  json_t *out;
  char codes[200][TRACKING_SIZE];
  int count;
};

static void put_wait(struct cases *c, json_t *o, int64_t since, int32_t due) {
  char at[32], day[16] = "";
  int32_t today = cases_today();
  clock_rfc3339(since, at);
  json_put(o, "since", at);
  json_object_set_new(o, "days", json_integer(today - day_of(since)));
  if (due != INT32_MIN) date_iso(due, day);
  json_put(o, "due", due == INT32_MIN ? NULL : day);
  json_object_set_new(o, "overdue", json_boolean(due != INT32_MIN && today > due));
}

/* Who was asked and has not answered. */
static int waiting(struct open_requests *k, struct store_tx *tx, const struct case_row *row, json_t *list, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT c.holder,c.submitted_at,c.legal_ord,c.calendar FROM case_child k JOIN cases c ON c.tracking=k.tracking "
                                               "WHERE k.parent=?1 AND k.open=1 ORDER BY c.submitted_at,c.tracking LIMIT 20", "t", row->tracking);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    struct case_row child = {.calendar = store_text(r, 3), .legal_ord = store_int(r, 2)};
    json_t *o = json_object();
    json_put(o, "organisation", store_text(r, 0));
    json_put(o, "organisation_name", case_organisation_name(k->c, row->pack, store_text(r, 0), k->lang));
    put_wait(k->c, o, store_int(r, 1), case_due_day(k->c, &child, child.legal_ord));
    json_array_append_new(list, o);
  }
  store_done(r);
  return rc;
}

static int request_json(struct open_requests *k, struct store_tx *tx, struct arena *a, const char *tracking, struct err *err) {
  struct case_row row;
  if (case_load(k->c, tx, a, tracking, &row, err)) return -1;
  if (!row.def) return 0;
  json_t *o = json_object(), *data = row.data ? json_loads(row.data, 0, NULL) : NULL, *list = json_array();
  const char *asking = row.def->grant.asking ? json_str(data, row.def->grant.asking) : NULL, *service = row.def->grant.service ? json_str(data, row.def->grant.service) : NULL;
  const struct data_service *d = pack_find_data_service(k->c->pack, NULL, service);
  json_put(o, "tracking", row.tracking);
  json_put(o, "asker", asking);
  json_put(o, "asker_name", asking ? case_organisation_name(k->c, row.pack, asking, k->lang) : NULL);
  json_put(o, "service", d ? d->service : NULL);
  json_put(o, "title", d ? text_in(&d->title, k->lang) : NULL);
  json_put(o, "provider", d ? data_service_provider(k->c->pack, d) : NULL);
  json_put(o, "provider_name", d ? case_organisation_name(k->c, row.pack, data_service_provider(k->c->pack, d), k->lang) : NULL);
  json_put(o, "state", row.state);
  json_put(o, "state_title", case_state_title(&row, k->lang));
  json_put(o, "holder", row.holder);
  json_put(o, "holder_name", case_organisation_name(k->c, row.pack, row.holder, k->lang));
  json_object_set_new(o, "escalated", json_integer(row.escalated > 0 ? row.escalated : 0));
  put_wait(k->c, o, row.submitted_at, case_due_day(k->c, &row, row.legal_ord));
  int rc = waiting(k, tx, &row, list, err);
  json_object_set_new(o, "waiting", list);
  if (rc == 0) json_array_append(k->out, o);
  json_decref(o);
  json_decref(data);
  return rc;
}

static int open_work(struct store_tx *tx, void *arg, struct err *err) {
  struct open_requests *k = arg;
  struct store_rows *r = store_select(tx, err, "SELECT tracking FROM cases WHERE holder=?1 AND result=0 AND service=?2 AND inquiry='' ORDER BY submitted_at,tracking LIMIT 200", "tt",
                                      k->holder, k->s->code);
  if (!r) return -1;
  int rc;
  k->count = 0;
  json_array_clear(k->out);
  while ((rc = store_next(r, err)) == 1) snprintf(k->codes[k->count++], TRACKING_SIZE, "%s", store_text(r, 0));
  store_done(r);
  for (int i = 0; rc == 0 && i < k->count; i++) {
    struct arena *a = arena_new(1024 * 1024);
    rc = request_json(k, tx, a, k->codes[i], err);
    arena_free(a);
  }
  return rc;
}

int cases_data_requests(struct cases *c, const struct actor *who, enum lang l, json_t **out, struct err *err) {
  if (who->kind != ACTOR_STAFF) return err_set(err, who->kind == ACTOR_NOBODY ? ERR_UNAUTHENTICATED : ERR_FORBIDDEN, "for staff");
  struct open_requests *k = base_alloc(sizeof *k);
  json_t *all = json_array();
  int rc = 0;
  k->c = c;
  k->lang = l;
  k->out = json_array();
  for (size_t i = 0; rc == 0 && i < pack_services(c->pack); i++) {
    k->s = pack_service(c->pack, i);
    k->holder = k->s->grant.present ? cases_service_organisation(c, k->s) : NULL;
    if (!k->holder) continue;
    rc = store_read(c->store, open_work, k, err);
    if (rc == 0) json_array_extend(all, k->out);
  }
  json_decref(k->out);
  free(k);
  if (rc) json_decref(all);
  else *out = all;
  return rc;
}
