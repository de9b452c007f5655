/* Units: parts of an organisation, named by its manager. */
#include "identity/inner.h"
#include <stdlib.h>
#include <string.h>

int identity_unit_there(struct store_tx *tx, const char *organisation, const char *unit, struct err *err) {
  int64_t n = 0;
  if (store_value(tx, &n, 0, err, "SELECT COUNT(*) FROM unit WHERE organisation = ?1 AND code = ?2 AND closed_at = 0", "tt", organisation, unit) != 0) return -1;
  return n > 0;
}

struct listing { const char *organisation; json_t *list; };

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct listing *l = arg;
  json_array_clear(l->list);
  struct store_rows *r = store_select(tx, err,
    "SELECT code, name_fa, name_en, closed_at, (SELECT COUNT(*) FROM staff_unit u WHERE u.organisation = unit.organisation AND u.unit = unit.code)"
    " FROM unit WHERE organisation = ?1 ORDER BY CASE WHEN closed_at = 0 THEN 0 ELSE 1 END, code", "t", l->organisation);
  if (r == NULL) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1)
    json_array_append_new(l->list, json_pack("{s:s,s:{s:s,s:s},s:I,s:b}", "code", store_text(r, 0), "name", "fa", store_text(r, 1), "en", store_text(r, 2),
                                             "members", (json_int_t)store_int(r, 4), "closed", store_int(r, 3) != 0));
  store_done(r);
  return rc;
}

int identity_units(struct identity *i, const char *organisation, json_t **out, struct err *err) {
  struct listing l = {organisation, json_array()};
  if (store_read(i->main, list_work, &l, err) != 0) {
    json_decref(l.list);
    return -1;
  }
  *out = l.list;
  return 0;
}

struct putting { const struct actor *by; struct unit_change *c; char name_fa[512], name_en[512]; };

static int wrong(struct unit_change *c, const char *field, const char *detail, struct err *err) {
  c->field = field;
  c->detail = detail;
  return err_set(err, ERR_INVALID, "%s: not as it should be", field);
}

static int put_work(struct store_tx *tx, void *arg, struct err *err) {
  struct putting *k = arg;
  const struct unit_change *c = k->c;
  int64_t members = 0;
  if (c->closed && store_value(tx, &members, 0, err, "SELECT COUNT(*) FROM staff_unit WHERE organisation = ?1 AND unit = ?2", "tt", c->organisation, c->code) != 0)
    return -1;
  if (members > 0) {
    k->c->detail = "admin.unit_in_use";
    return err_set(err, ERR_CONFLICT, "%lld people are still in this unit", (long long)members);
  }
  int64_t closed = c->closed ? store_time(tx) : 0;
  if (store_put(tx, err, "INSERT INTO unit (organisation, code, name_fa, name_en, closed_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (organisation, code)"
                         " DO UPDATE SET name_fa = excluded.name_fa, name_en = excluded.name_en, closed_at = excluded.closed_at", "tttti", c->organisation,
                c->code, k->name_fa, k->name_en, closed) != 0) return -1;
  json_t *detail = json_pack("{s:s,s:s}", "fa", k->name_fa, "en", k->name_en);
  int rc = identity_act_put(tx, &(struct act){.kind = c->closed ? "unit_close" : "unit_put", .who = k->by->username, .organisation = c->organisation,
                                              .subject = c->code, .detail = detail}, err);
  json_decref(detail);
  return rc;
}

static bool take_name(const char *typed, char out[512]) {
  struct arena *a = arena_new(64 * 1024);
  char *name = typed != NULL && strlen(typed) < 2000 ? text_repair(a, typed) : NULL;
  bool fits = name != NULL && name[0] != '\0' && strchr(name, '\n') == NULL && utf8_length(name) <= 120 && strlen(name) < 512;
  if (fits) memcpy(out, name, strlen(name) + 1);
  arena_free(a);
  return fits;
}

static bool code_good(const char *code) {
  size_t n = code != NULL ? strlen(code) : 0;
  return n > 0 && n <= 40 && code[0] >= 'a' && code[0] <= 'z' && strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

int identity_unit_put(struct identity *i, const struct actor *by, struct unit_change *c, struct err *err) {
  struct putting k = {.by = by, .c = c};
  c->field = c->detail = NULL;
  if (c->organisation == NULL || !identity_manages(by, c->organisation)) return err_set(err, ERR_NOT_FOUND, "no such organisation");
  if (!code_good(c->code)) return wrong(c, "code", "admin.unit_code", err);
  if (!take_name(c->name_fa, k.name_fa)) return wrong(c, "name_fa", "admin.unit_name", err);
  if (!take_name(c->name_en, k.name_en)) return wrong(c, "name_en", "admin.unit_name", err);
  return store_write(i->main, STORE_FRONT, put_work, &k, err);
}
