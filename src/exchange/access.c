/* Who may call what. Rights stand in the book (services.c): each use reads memory alone. */
#include "exchange/publish.h"
#include "exchange/side.h"
#include "exchange/snapshot.h"

#include <stdlib.h>
#include <string.h>

/* ---- judging ---- */

bool grant_fits(const struct exchange *x, const struct book *b, const struct members *m, const struct grant *g, const struct exchange_id *client, int64_t now) {
  char text[EXCHANGE_ID + 1];
  if ((g->from && now < g->from) || (g->until && now >= g->until)) return false;
  exchange_id_text(client, text);
  if (!base_starts(g->subject, "group:")) return strcmp(g->subject, text) == 0;
  char key[EXCHANGE_ID + 120];
  struct group *local = NULL;
  snprintf(key, sizeof key, "%.100s %s", g->subject + 6, text);
  HASH_FIND_STR(b->groups, key, local);
  return local || members_group(m, g->subject + 6, client);
}

/* An encoded slash and a backslash are also a slash to some who read paths: then both readings need the right. */
static bool path_fits(const char *glob, const char *path, const char *other) { return glob_match(glob, path) && (!other || glob_match(glob, other)); }

static const char *read_otherwise(const char *path, char out[SIDE_PATH]) {
  size_t n = 0;
  bool differs = false;
  for (const char *s = path; *s && n + 1 < SIDE_PATH; s++) {
    bool encoded = s[0] == '%' && s[1] == '2' && (s[2] == 'F' || s[2] == 'f'), slash = encoded || *s == '\\';
    if (slash) differs = true;
    out[n++] = slash ? '/' : *s;
    if (encoded) s += 2;
  }
  out[n] = 0;
  return differs ? out : NULL;
}

int access_check(struct exchange *x, const struct members *m, const struct exchange_id *client, const struct exchange_id *service, const char *method, const char *path,
                 struct right *out, struct err *err) {
  char room[SIDE_PATH], shown[EXCHANGE_ID + 20];
  struct book *b = book_hold(x);
  const struct offered *v = book_service(b, service);
  const char *other = read_otherwise(path, room);
  int64_t now = clock_now();
  bool found = false;
  *out = (struct right){{0}, {0}};
  for (const struct grant *g = v ? v->grants : NULL; g && !found; g = g->next) {
    if ((strcmp(g->method, "*") && strcmp(g->method, method)) || !path_fits(g->path, path, other) || !grant_fits(x, b, m, g, client, now)) continue;
    snprintf(out->grant, sizeof out->grant, "%s", g->id);
    snprintf(out->purpose, sizeof out->purpose, "%s", g->purpose ? g->purpose : "");
    atomic_fetch_add_explicit(g->uses, 1, memory_order_relaxed);
    found = true;
  }
  book_drop(b);
  return found ? 0 : err_set(err, ERR_FORBIDDEN, "Request is not allowed: %s", id_shown(service, shown));
}

/* ---- changing ---- */

struct granting { const struct exchange_grant *g; const char *by, *id; };

static int grant_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct granting *k = arg;
  const struct exchange_grant *g = k->g;
  if (store_exec(tx, err, "INSERT INTO exchange_grant (id, subject, service, method, path, purpose, tracking, from_at, until_at, made_at, made_by, uses) "
                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0)", "tttttttiiit", k->id, g->subject, g->service, g->method, g->path, g->purpose, g->tracking,
                 g->from, g->until, store_time(tx), k->by) < 0)
    return -1;
  return services_changed(tx, err);
}

static int grant_judge(const struct exchange_grant *g, struct err *err) {
  static const char *const methods[] = {"*", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"};
  struct exchange_id id;
  bool known = false;
  if (!g->subject || !g->service) return err_set(err, ERR_INVALID, "a right needs a subject and a service");
  if (exchange_id_parse(g->service, 5, 5, &id, err)) return -1;
  if (base_starts(g->subject, "group:")) {
    size_t n = strlen(g->subject) - 6;
    if (n < 1 || n > 100 || strpbrk(g->subject + 6, " /\t")) return err_set(err, ERR_INVALID, "a group's code has 1 to 100 bytes, no spaces and slashes");
  } else if (exchange_id_parse(g->subject, 3, 4, &id, err)) {
    return -1;
  }
  for (size_t i = 0; i < BASE_COUNT(methods); i++) known |= strcmp(methods[i], g->method) == 0;
  if (!known) return err_set(err, ERR_INVALID, "a method is one of DELETE GET HEAD OPTIONS PATCH POST PUT TRACE, or * for all");
  if (strlen(g->path) > 500 || (g->path[0] && g->path[0] != '/' && g->path[0] != '*')) return err_set(err, ERR_INVALID, "a path begins with '/', or is ** for all");
  if (g->from < 0 || g->until < 0 || (g->until && g->until <= g->from)) return err_set(err, ERR_INVALID, "a right ends after it begins");
  if ((g->purpose && strlen(g->purpose) > 299) || (g->tracking && strlen(g->tracking) > 40)) return err_set(err, ERR_INVALID, "a purpose has at most 299 bytes");
  return 0;
}

int exchange_grant(struct exchange *x, const struct exchange_grant *g, const char *by, char id[40], struct err *err) {
  struct exchange_grant whole = *g;
  unsigned char bytes[12];
  char hex[25];
  if (!whole.method) whole.method = "*";
  if (!whole.path) whole.path = "**";
  if (grant_judge(&whole, err)) return -1;
  random_bytes(bytes, sizeof bytes);
  hex_encode(bytes, sizeof bytes, hex);
  snprintf(id, 40, "%s%s", g->id ? "" : "g-", g->id ? g->id : hex);
  struct granting k = {&whole, by, id};
  json_t *detail = json_pack("{s:s,s:s,s:s,s:s,s:s?}", "grant", id, "service", whole.service, "method", whole.method, "path", whole.path, "why", whole.purpose);
  return services_change(x, grant_work, &k, "grant", whole.subject, detail, err);
}

static int revoke_work(struct store_tx *tx, void *arg, struct err *err) {
  const char *const *k = arg;
  int n = store_exec(tx, err, "UPDATE exchange_grant SET revoked_at = ?1, revoked_by = ?2, revoked_why = ?3 WHERE id = ?4 AND revoked_at IS NULL", "ittt", store_time(tx), k[1], k[2], k[0]);
  if (n < 0) return -1;
  return n ? services_changed(tx, err) : err_set(err, ERR_NOT_FOUND, "there is no right %s, or it has been revoked", k[0]);
}

int exchange_revoke(struct exchange *x, const char *grant, const char *by, const char *why, struct err *err) {
  const char *k[] = {grant, by, why};
  return services_change(x, revoke_work, k, "revoke", grant, json_pack("{s:s?}", "why", why), err);
}

struct listing { const char *service; bool all; json_t *out; };

static void put_time(json_t *o, const char *name, const struct store_rows *rows, int column) {
  char text[32];
  if (store_null(rows, column) || !store_int(rows, column)) json_put(o, name, NULL);
  else {
    clock_rfc3339(store_int(rows, column), text);
    json_put(o, name, text);
  }
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  static const char *const names[] = {"id", "subject", "service", "method", "path", "purpose", "tracking"};
  struct listing *l = arg;
  int more;
  struct store_rows *rows = store_select(tx, err, "SELECT id, subject, service, method, path, purpose, tracking, from_at, until_at, revoked_at, used_at, uses, made_at, made_by, revoked_why FROM exchange_grant "
                                         "WHERE (?1 = '' OR service = ?1) AND (?2 = 1 OR revoked_at IS NULL) ORDER BY made_at DESC, id DESC LIMIT 5000", "ti", l->service ? l->service : "", (int64_t)l->all);
  json_array_clear(l->out);
  while (rows && (more = store_next(rows, err)) == 1) {
    json_t *o = json_object();
    for (int i = 0; i < (int)BASE_COUNT(names); i++) json_put(o, names[i], store_text(rows, i));
    put_time(o, "from", rows, 7);
    put_time(o, "until", rows, 8);
    put_time(o, "revoked_at", rows, 9);
    put_time(o, "used_at", rows, 10);
    json_object_set_new(o, "uses", json_integer(store_int(rows, 11)));
    put_time(o, "made_at", rows, 12);
    json_put(o, "made_by", store_text(rows, 13));
    json_put(o, "revoked_why", store_text(rows, 14));
    json_array_append_new(l->out, o);
  }
  store_done(rows);
  return rows && more == 0 ? 0 : -1;
}

int exchange_grants(struct exchange *x, const char *service, bool all, json_t **out, struct err *err) {
  struct listing l = {service, all, json_array()};
  *out = l.out;
  if (store_read(x->store, list_work, &l, err) == 0) return 0;
  json_decref(l.out);
  *out = NULL;
  return -1;
}

/* ---- groups ---- */

struct grouping { const char *code, *id; bool in; };

static int group_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct grouping *g = arg;
  int n = g->in ? store_exec(tx, err, "INSERT INTO exchange_group (code, member) VALUES (?1, ?2) ON CONFLICT DO NOTHING", "tt", g->code, g->id)
                : store_exec(tx, err, "DELETE FROM exchange_group WHERE code = ?1 AND member = ?2", "tt", g->code, g->id);
  if (n < 0) return -1;
  return n == 0 && !g->in ? err_set(err, ERR_NOT_FOUND, "%s is not in the group %s of this gateway", g->id, g->code) : services_changed(tx, err);
}

int exchange_group(struct exchange *x, const char *code, const char *id, bool in, const char *by, struct err *err) {
  struct grouping g = {code, id, in};
  struct exchange_id parsed;
  if (!code || !code[0] || strlen(code) > 100 || strpbrk(code, " /\t")) return err_set(err, ERR_INVALID, "a group's code has 1 to 100 bytes, no spaces and slashes");
  if (exchange_id_parse(id, 3, 4, &parsed, err)) return -1;
  return services_change(x, group_work, &g, in ? "local-group" : "local-ungroup", id, json_pack("{s:s}", "group", code), err);
}

static json_t *group_of(json_t *list, const char *code, bool global) {
  json_t *last = json_array_get(list, json_array_size(list) - 1);
  if (last && base_same(json_str(last, "code"), code) && json_flag(last, "global", false) == global) return json_object_get(last, "members");
  json_array_append_new(list, last = json_pack("{s:s,s:[],s:b}", "code", code, "members", "global", global));
  return json_object_get(last, "members");
}

static int groups_work(struct store_tx *tx, void *arg, struct err *err) {
  json_t *list = arg;
  int more;
  json_array_clear(list);
  struct store_rows *rows = store_select(tx, err, "SELECT code, member FROM exchange_group ORDER BY code, member LIMIT 20000", "");
  while (rows && (more = store_next(rows, err)) == 1) json_array_append_new(group_of(list, store_text(rows, 0), false), json_string(store_text(rows, 1)));
  store_done(rows);
  return rows && more == 0 ? 0 : -1;
}

int exchange_groups(struct exchange *x, json_t **out, struct err *err) {
  *out = json_array();
  if (store_read(x->store, groups_work, *out, err)) {
    json_decref(*out);
    *out = NULL;
    return -1;
  }
  struct members *m = members_hold(x);
  for (size_t i = 0; i < m->groups_count; i++) json_array_append_new(group_of(*out, m->groups[i].code, true), json_string(m->groups[i].id));
  members_drop(m);
  return 0;
}

/* ---- who left the directory ---- */

struct left { const struct members *now; bool *gone; int64_t version; };

static int left_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct left *l = arg;
  int64_t all = 0;
  for (size_t i = 0; i < l->now->entries_count; i++) {
    const char *id = l->now->entries[i].id;
    if (!l->gone[i]) continue;
    char *below = base_printf("%s/", id), *end = base_printf("%s0", id); /* '0' follows '/' */
    int n = store_exec(tx, err, "UPDATE exchange_grant SET revoked_at = ?1, revoked_by = 'directory', revoked_why = 'left the member directory' WHERE revoked_at IS NULL AND "
                       "(subject = ?2 OR (subject > ?3 AND subject < ?4))", "ittt", store_time(tx), id, below, end);
    free(below);
    free(end);
    if (n < 0 || store_exec(tx, err, "DELETE FROM exchange_group WHERE member = ?1", "t", id) < 0) return -1;
    if (n > 0 && act_put(tx, "directory", "member-left", id, json_pack("{s:I,s:I}", "version", (json_int_t)l->version, "rights", (json_int_t)n), err)) return -1;
    all += n;
  }
  return all ? services_changed(tx, err) : 0;
}

static int entry_by_id(const void *a, const void *b) { return strcmp(((const struct entry *)a)->id, ((const struct entry *)b)->id); }

/* A code may be another's one day: rights of who leaves are not kept for it. */
int access_left(struct exchange *x, const struct members *now, const struct members *fresh, struct err *err) {
  struct left l = {now, base_alloc(now->entries_count + 1), members_version(fresh)};
  size_t count = 0;
  for (size_t i = 0; i < now->entries_count; i++) {
    l.gone[i] = !fresh->entries_count || !bsearch(&now->entries[i], fresh->entries, fresh->entries_count, sizeof *fresh->entries, entry_by_id);
    count += l.gone[i];
  }
  int rc = count ? store_write(x->store, STORE_FRONT, left_work, &l, err) : 0;
  free(l.gone);
  return rc;
}
