/* People on duty, and of which incidents they were told. */
#include "network/people.h"

#include <stdlib.h>
#include <string.h>

enum { CONCERNED_MOST = 500 };

static void make_id(char out[33]) {
  unsigned char raw[16];
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, out);
}

struct putting { struct network_contact *c; const char *who; network_also also; void *ctx; };

/* 0 put, 1 it stands there already, -1. */
static int put_one(struct store_tx *tx, const struct network_contact *c, const char *who, struct err *err) {
  int64_t there = 0, same = 0;
  if (store_value(tx, &there, 0, err, "SELECT COUNT(*) FROM network_contact WHERE organisation = ?1", "t", c->organisation) ||
      store_value(tx, &same, 0, err, "SELECT COUNT(*) FROM network_contact WHERE organisation = ?1 AND level = ?2 AND target = ?3", "tit", c->organisation, (int64_t)c->level, c->to))
    return -1;
  if (same) return 1;
  if (there >= NETWORK_CONTACTS_MOST) return err_set(err, ERR_LIMIT, "there are %d contacts already", NETWORK_CONTACTS_MOST);
  return store_put(tx, err, "INSERT INTO network_contact (id, organisation, level, name, target, lang, at, who) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", "ttitttit", c->id, c->organisation,
                   (int64_t)c->level, c->name, c->to, lang_code(c->lang), clock_now(), who) ? -1 : 0;
}

static int put_work(struct store_tx *tx, void *arg, struct err *err) {
  struct putting *p = arg;
  int rc = put_one(tx, p->c, p->who, err);
  if (rc) return rc > 0 ? err_set(err, ERR_CONFLICT, "this address is told at this level already") : -1;
  return p->also ? p->also(tx, p->ctx, err) : 0;
}

static int contact_ok(const struct network_contact *c, struct err *err) {
  size_t n = c->name ? utf8_length(c->name) : 0;
  return n < 2 || n > 80 || !c->to || !c->to[0] || strlen(c->to) > 120 || c->level < 0 || c->level > 3 ? err_set(err, ERR_INVALID, "a contact needs a name, an address and a level") : 0;
}

int network_contact_put(struct store *s, const char *who, struct network_contact *c, network_also also, void *ctx, struct err *err) {
  struct putting p = {c, who, also, ctx};
  if (contact_ok(c, err)) return -1;
  make_id(c->id);
  return store_write(s, STORE_FRONT, put_work, &p, err);
}

struct taking { struct putting p; struct network_contact *list; size_t count, added, fault; bool dry; };

static int take_work(struct store_tx *tx, void *arg, struct err *err) {
  struct taking *k = arg;
  k->added = 0;
  for (k->fault = 0; k->fault < k->count; k->fault++) {
    int rc = put_one(tx, &k->list[k->fault], k->p.who, err);
    if (rc < 0) return -1;
    k->added += rc == 0;
  }
  if (k->dry) return err_set(err, ERR_CONFLICT, "nothing is written"); /* taken back */
  return k->added && k->p.also ? k->p.also(tx, k->p.ctx, err) : 0;
}

int network_contacts_take(struct store *s, const char *who, struct network_contact *list, size_t count, bool dry, network_also also, void *ctx, size_t *added, size_t *fault, struct err *err) {
  struct taking k = {.p = {NULL, who, also, ctx}, .list = list, .count = count, .dry = dry};
  int rc = 0;
  for (*fault = 0; *fault < count && rc == 0; *fault += rc == 0) {
    rc = contact_ok(&list[*fault], err);
    make_id(list[*fault].id);
  }
  if (rc) return -1;
  rc = store_write(s, STORE_FRONT, take_work, &k, err);
  if (rc && dry && err->code == ERR_CONFLICT && k.fault == count) rc = 0;
  *added = k.added;
  *fault = k.fault;
  return rc;
}

struct dropping { const char *organisation, *id; network_also also; void *ctx; };

static int drop_work(struct store_tx *tx, void *arg, struct err *err) {
  struct dropping *d = arg;
  int n = store_exec(tx, err, "DELETE FROM network_contact WHERE id = ?1 AND (?2 IS NULL OR organisation = ?2)", "tt", d->id, d->organisation);
  if (n < 0) return -1;
  if (n == 0) return err_set(err, ERR_NOT_FOUND, "there is no such contact");
  return d->also ? d->also(tx, d->ctx, err) : 0;
}

int network_contact_drop(struct store *s, const char *organisation, const char *id, network_also also, void *ctx, struct err *err) {
  struct dropping d = {organisation, id, also, ctx};
  return store_write(s, STORE_FRONT, drop_work, &d, err);
}

struct listing { const char *organisation; json_t *list; };

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct listing *l = arg;
  json_array_clear(l->list);
  struct store_rows *r = store_select(tx, err, "SELECT id, organisation, name, target, lang, level, at, who FROM network_contact WHERE ?1 IS NULL OR organisation = ?1"
                                               " ORDER BY organisation, level, name LIMIT 2000", "t", l->organisation);
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) {
    char at[32];
    json_t *o = json_object();
    clock_rfc3339(store_int(r, 6), at);
    json_put(o, "id", store_text(r, 0));
    json_put(o, "organisation", store_text(r, 1));
    json_put(o, "name", store_text(r, 2));
    json_put(o, "to", store_text(r, 3));
    json_put(o, "lang", store_text(r, 4));
    json_object_set_new(o, "level", json_integer(store_int(r, 5)));
    json_put(o, "at", at);
    json_put(o, "who", store_text(r, 7));
    json_array_append_new(l->list, o);
  }
  store_done(r);
  return rc;
}

int network_contacts(struct store *s, const char *organisation, json_t **out, struct err *err) {
  struct listing l = {organisation, json_array()};
  if (store_read(s, list_work, &l, err)) {
    json_decref(l.list);
    return -1;
  }
  *out = l.list;
  return 0;
}

/* ---- whom a step concerns ---- */

struct concerned { char id[33], *name, *to; enum lang lang; int level; bool again; };

static struct store_rows *select_concerned(struct store_tx *tx, const struct network_news *news, struct err *err) {
  if (news->step == NETWORK_CLOSED)
    return store_select(tx, err, "SELECT c.id, c.name, c.target, c.lang, c.level FROM network_contact_told t JOIN network_contact c ON c.id = t.contact WHERE t.incident = ?1"
                                 " ORDER BY c.id LIMIT 500", "i", news->incident);
  return store_select(tx, err, "SELECT c.id, c.name, c.target, c.lang, c.level FROM network_contact c WHERE c.level = ?1 AND (c.organisation = ?2 OR c.organisation = '')"
                               " AND NOT EXISTS (SELECT 1 FROM network_contact_told t WHERE t.incident = ?3 AND t.contact = c.id) ORDER BY c.id LIMIT 500", "iti", (int64_t)news->level,
                      news->organisation ? news->organisation : "", news->incident);
}

/* The same telephone may stand at the organisation's and at the province's list: it rings once. */
static bool told_already(const struct concerned *list, size_t n, const char *to) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(list[i].to, to) == 0) return true;
  return false;
}

struct concerning { struct concerned *list; size_t n; };

static int concerned_read(struct store_rows *r, struct concerning *k, struct err *err) {
  int rc = r ? 0 : -1;
  k->list = base_alloc(CONCERNED_MOST * sizeof *k->list);
  k->n = 0;
  while (r && k->n < CONCERNED_MOST && (rc = store_next(r, err)) == 1) {
    struct concerned *c = &k->list[k->n];
    c->again = told_already(k->list, k->n, store_text(r, 2));
    snprintf(c->id, sizeof c->id, "%s", store_text(r, 0));
    c->name = base_strdup(store_text(r, 1));
    c->to = base_strdup(store_text(r, 2));
    c->lang = base_same(store_text(r, 3), "en") ? LANG_EN : LANG_FA;
    c->level = (int)store_int(r, 4);
    k->n++;
  }
  store_done(r);
  return rc > 0 ? 0 : rc;
}

static int concerned_tell(const struct concerned *one, network_contact_fn fn, void *ctx) {
  struct network_contact c = {.organisation = "", .name = one->name, .to = one->to, .lang = one->lang, .level = one->level};
  snprintf(c.id, sizeof c.id, "%s", one->id);
  return one->again ? 0 : fn(ctx, &c);
}

static void concerned_free(struct concerning *k) {
  for (size_t i = 0; i < k->n; i++) {
    free(k->list[i].name);
    free(k->list[i].to);
  }
  free(k->list);
}

int network_contacts_concerned(struct store_tx *tx, const struct network_news *news, network_contact_fn fn, void *ctx, struct err *err) {
  struct concerning k;
  int rc = concerned_read(select_concerned(tx, news, err), &k, err);
  for (size_t i = 0; i < k.n && rc == 0; i++) {
    rc = concerned_tell(&k.list[i], fn, ctx);
    if (rc == 0 && news->step != NETWORK_CLOSED)
      rc = store_put(tx, err, "INSERT INTO network_contact_told (incident, contact) VALUES (?1, ?2) ON CONFLICT (incident, contact) DO NOTHING", "it", news->incident, k.list[i].id);
  }
  if (rc == 0 && news->step == NETWORK_CLOSED) rc = store_put(tx, err, "DELETE FROM network_contact_told WHERE incident = ?1", "i", news->incident);
  concerned_free(&k);
  return rc;
}

int network_alarm_concerned(struct store_tx *tx, const struct network_alarm *a, network_contact_fn fn, void *ctx, struct err *err) {
  struct concerning k;
  struct store_rows *r = a->kind
    ? store_select(tx, err, "SELECT id, name, target, lang, level FROM network_contact WHERE level <= 1 AND (organisation = ?1 OR organisation = '') ORDER BY id LIMIT 500", "t", a->organisation)
    : store_select(tx, err, "SELECT c.id, c.name, c.target, c.lang, c.level FROM network_alarm_told t JOIN network_contact c ON c.id = t.contact WHERE t.alarm = ?1 ORDER BY c.id LIMIT 500", "i", a->number);
  int rc = concerned_read(r, &k, err);
  for (size_t i = 0; i < k.n && rc == 0; i++) {
    rc = concerned_tell(&k.list[i], fn, ctx);
    if (rc == 0 && a->kind) rc = store_put(tx, err, "INSERT INTO network_alarm_told (alarm, contact) VALUES (?1, ?2) ON CONFLICT (alarm, contact) DO NOTHING", "it", a->number, k.list[i].id);
  }
  if (rc == 0 && !a->kind) rc = store_put(tx, err, "DELETE FROM network_alarm_told WHERE alarm = ?1", "i", a->number);
  concerned_free(&k);
  return rc;
}
