/* A registry out as a whole, on record before its first line; and whose records were in which export. */
#include "registries/inside.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 500, LONGEST_MS = 3600 * 1000, MOST_EXPORTS = 200, SHOWN_EXPORTS = 50, WHY_MOST = 300 };
#define PAGE_BYTES ((size_t)64 * 1024 * 1024)

struct records_export {
  struct registries *g;
  const struct registry *registry;
  enum record_format format;
  char id[RECORD_REF], who[64], organisation[64], why[4 * WHY_MOST + 1];
  int64_t since, at;
  bool begun, over;
  char after[RECORD_REF], key[1024];  /* the last that was handed out */
  struct buf *text;
  int rows;
};

/* ---- who may, and on record ---- */

static const char *format_text(enum record_format f) { return f == RECORD_CSV ? "csv" : "jsonl"; }

static int begin_work(struct store_tx *tx, void *arg, struct err *err) {
  struct records_export *e = arg;
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  char at[32], since[32];
  e->at = store_time(tx);
  clock_rfc3339_ms(e->at, at);
  clock_rfc3339_ms(e->since, since);
  char *header = base_printf("{\"at\":\"%s\",\"change\":\"export\",\"kind\":\"record\",\"record\":\"%s\",\"registry\":\"%s\",\"version\":1}", at, e->id, e->registry->code);
  json_t *p = json_pack("{s:s,s:s,s:s,s:s}", "format", format_text(e->format), "organisation", e->organisation, "who", e->who, "why", e->why);
  json_put(p, "since", e->since ? since : NULL);
  char *payload = json_canonical(p);
  json_decref(p);
  random_bytes(salt, sizeof salt);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  int rc = store_put(tx, err,
    "INSERT INTO registry_change (ref,version,at,change,source,tracking,event,header,salt,payload,leaf_hash) VALUES (?1,1,?2,'export','export','','',?3,?4,?5,?6)", "titbtb", e->id,
    e->at, header, (const void *)salt, (size_t)TRUST_SALT, payload, (const void *)leaf, (size_t)TRUST_HASH);
  if (rc == 0) rc = trust_append(tx, leaf, header, digest, err);
  if (rc == 0)
    rc = store_put(tx, err, "INSERT INTO registry_export (id,registry,at,ended,since,who,organisation,format,why) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)", "ttiiit" "ttt", e->id,
                   e->registry->code, e->at, e->at + LONGEST_MS, e->since, e->who, e->organisation, format_text(e->format), e->why);
  free(header);
  free(payload);
  return rc;
}

static int end_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct records_export *e = arg;
  return store_put(tx, err, "UPDATE registry_export SET ended=?2 WHERE id=?1", "ti", e->id, store_time(tx));
}

/* One line of words, for people. */
static int take_why(struct records_export *e, const char *why, struct err *err) {
  struct arena *a = arena_new(64 * 1024);
  const char *text = why && utf8_valid(why, strlen(why)) ? text_repair(a, why) : NULL;
  size_t n = text ? text_utf16(text) : 0;
  bool good = n >= 3 && n <= WHY_MOST && !strpbrk(text, "\r\n");
  if (good) snprintf(e->why, sizeof e->why, "%s", text);
  arena_free(a);
  return good ? 0 : err_set(err, ERR_INVALID, "say why the registry is taken out, in 3 to %d characters of one line", WHY_MOST);
}

/* Where this person reads the registry: at its owner's, else at their own desk. */
static const char *desk_of(const struct registries *g, const struct actor *who, const struct registry *r) {
  const struct organisation *o = directory_organisation(pack_directory(g->pack), r->organisation);
  for (unsigned i = 0; o && i < who->role_count; i++)
    if (strcmp(who->roles[i].organisation, o->code) == 0) return o->code;
  return who->role_count ? who->roles[0].organisation : o ? o->code : "";
}

int registries_export_open(struct registries *g, const struct actor *who, const struct records_query *q, struct records_export **out, struct err *err) {
  enum record_right right = who->kind == ACTOR_SYSTEM ? RECORD_ALL : registries_right(g, who, q->registry);
  if (right == RECORD_NOTHING) return err_set(err, ERR_NOT_FOUND, "no such registry");
  if (right != RECORD_ALL) return err_set(err, ERR_FORBIDDEN, "who sees it masked does not take it out");
  unsigned char raw[16];
  struct records_export *e = base_alloc(sizeof *e);
  *e = (struct records_export){.g = g, .registry = q->registry, .format = q->format, .since = q->since};
  snprintf(e->who, sizeof e->who, "%s", who->username[0] ? who->username : "system");
  snprintf(e->organisation, sizeof e->organisation, "%s", desk_of(g, who, q->registry));
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, e->id);
  if (take_why(e, q->why, err) || store_write(g->store, STORE_FRONT, begin_work, e, err)) {
    free(e);
    return -1;
  }
  *out = e;
  return 0;
}

/* ---- rows ---- */

static void value_cell(struct buf *b, const json_t *v) {
  char number[64];
  if (json_is_string(v)) csv_put(b, json_string_value(v));
  else if (json_is_integer(v)) buf_addf(b, "%lld", (long long)json_integer_value(v));
  else if (json_is_boolean(v)) buf_adds(b, json_is_true(v) ? "yes" : "no");
  else if (json_is_real(v)) {
    snprintf(number, sizeof number, "%.10g", json_real_value(v));
    buf_adds(b, number);
  } else if (json_is_array(v)) {
    struct buf all = {0};
    size_t i;
    const json_t *one;
    json_array_foreach(v, i, one) buf_addf(&all, "%s%s", i ? "|" : "", json_string_value(one) ? json_string_value(one) : "");
    csv_put(b, buf_str(&all));
    buf_free(&all);
  }
}

static void csv_row(struct records_export *p, const struct record *k) {
  for (size_t i = 0; i < p->registry->count; i++) {
    value_cell(p->text, json_object_get(k->attributes, p->registry->attributes[i].name));
    buf_addc(p->text, ',');
  }
  buf_adds(p->text, k->valid ? "yes\r\n" : "no\r\n");
}

static void json_row(struct records_export *p, const struct record *k) {
  char at[32];
  json_t *o = json_object();
  clock_rfc3339_ms(k->at, at);
  json_object_set(o, "attributes", k->attributes);
  json_put(o, "record", k->ref);
  json_put(o, "registry", p->registry->code);
  json_put(o, "since", at);
  json_object_set_new(o, "synthetic", json_boolean(k->synthetic));
  json_object_set_new(o, "valid", json_boolean(k->valid));
  json_object_set_new(o, "version", json_integer(k->version));
  char *text = json_canonical(o);
  buf_addf(p->text, "%s\n", text);
  free(text);
  json_decref(o);
}

static int page_work(struct store_tx *tx, void *arg, struct err *err) {
  struct records_export *p = arg;
  char last[RECORD_REF] = "", key[1024] = "";
  buf_clear(p->text);
  p->rows = 0;
  struct store_rows *r = store_select(tx, err, "SELECT " RECORD_COLUMNS ",key FROM registry_record WHERE registry=?1 AND (key,ref)>(?2,?3) AND at>=?4 ORDER BY key,ref LIMIT ?5", "tttii",
                                      p->registry->code, p->key, p->after, p->since, (int64_t)PAGE);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    struct record k;
    record_read(r, &k);
    p->rows++;
    memcpy(last, k.ref, sizeof last);
    snprintf(key, sizeof key, "%s", store_text(r, 7));
    if (k.attributes && p->format == RECORD_CSV) csv_row(p, &k);
    else if (k.attributes) json_row(p, &k);
    json_decref(k.attributes);
  }
  store_done(r);
  if (rc == 0 && last[0]) {
    memcpy(p->after, last, sizeof p->after);
    memcpy(p->key, key, sizeof p->key);
  }
  return rc;
}

static void csv_head(const struct records_export *e, struct buf *b) {
  for (size_t i = 0; i < e->registry->count; i++) buf_addf(b, "%s,", e->registry->attributes[i].name);
  buf_adds(b, "valid\r\n");
}

int registries_export_page(struct records_export *e, struct buf *text, struct err *err) {
  struct buf rows;
  int rc = 0;
  if (e->over) return 0;
  if (clock_now() > e->at + LONGEST_MS) return err_set(err, ERR_UNAVAILABLE, "an export may take an hour");
  buf_init(&rows, PAGE_BYTES);
  e->text = &rows;
  if (!e->begun && e->format == RECORD_CSV) csv_head(e, text);
  e->begun = true;
  rc = store_read(e->g->store, page_work, e, err);
  if (rc == 0 && buf_overflowed(&rows)) rc = err_set(err, ERR_LIMIT, "a page of records is too large");
  if (rc == 0) buf_add(text, buf_str(&rows), rows.len);
  buf_free(&rows);
  e->over = rc == 0 && e->rows < PAGE;
  if (e->over) rc = store_write(e->g->store, STORE_FRONT, end_work, e, err);
  return rc ? -1 : !e->over;
}

void registries_export_close(struct records_export *e) { free(e); }

int registries_export_more(void *export, struct buf *text) {
  struct err err;
  buf_init(text, PAGE_BYTES);
  int rc = registries_export_page(export, text, &err);
  if (rc < 0) log_write(LOG_WARN, "registries", "an export breaks off: %s", err.message);
  return rc;
}

void registries_export_end(void *export) { registries_export_close(export); }

int registries_export(struct registries *g, const struct registry *r, enum record_format f, int (*sink)(void *ctx, const char *p, size_t n), void *ctx, struct err *err) {
  const struct actor system = {.kind = ACTOR_SYSTEM};
  struct records_query q = {.registry = r, .format = f, .why = "chapar export"};
  struct records_export *e;
  int more;
  if (registries_export_open(g, &system, &q, &e, err)) return -1;
  do {
    struct buf text;
    buf_init(&text, PAGE_BYTES);
    more = registries_export_page(e, &text, err);
    if (more >= 0 && text.len && sink(ctx, buf_str(&text), text.len)) more = err_set(err, ERR_UNAVAILABLE, "the export could not be written");
    buf_free(&text);
  } while (more > 0);
  registries_export_close(e);
  return more;
}

/* ---- what was taken out ---- */

struct runs {
  const char *registry;
  json_t *out;
};

static void put_moment(json_t *o, const char *name, int64_t at) {
  char text[32];
  if (at) clock_rfc3339_ms(at, text);
  json_put(o, name, at ? text : NULL);
}

static int runs_work(struct store_tx *tx, void *arg, struct err *err) {
  struct runs *k = arg;
  json_array_clear(k->out);
  struct store_rows *r = store_select(tx, err, "SELECT at,who,organisation,format,since,why FROM registry_export WHERE registry=?1 ORDER BY at DESC,id LIMIT ?2", "ti", k->registry,
                                      (int64_t)SHOWN_EXPORTS);
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) {
    json_t *o = json_object();
    put_moment(o, "at", store_int(r, 0));
    json_put(o, "who", store_text(r, 1));
    json_put(o, "organisation", store_text(r, 2));
    json_put(o, "format", store_text(r, 3));
    put_moment(o, "since", store_int(r, 4));
    json_put(o, "why", store_text(r, 5));
    json_array_append_new(k->out, o);
  }
  store_done(r);
  return rc;
}

int registries_exports(struct registries *g, const struct actor *who, const struct registry *r, json_t **out, struct err *err) {
  if (registries_right(g, who, r) != RECORD_ALL) return err_set(err, ERR_NOT_FOUND, "no such registry");
  struct runs k = {.registry = r->code, .out = json_array()};
  int rc = store_read(g->store, runs_work, &k, err);
  if (rc) json_decref(k.out);
  else *out = k.out;
  return rc;
}

/* ---- whose records were in it ---- */

/* Registries that know this person, or did. */
static int known_in(struct store_tx *tx, const char *person, json_t *list, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT registry FROM registry_person WHERE person=?1 UNION SELECT registry FROM registry_person_past WHERE person=?1", "t", person);
  int rc = r ? 0 : -1;
  while (r && (rc = store_next(r, err)) == 1) json_array_append_new(list, json_string(store_text(r, 0)));
  store_done(r);
  return rc;
}

/* About the person while it ran, and changed since its day: then the record was in it. */
#define RECORD_CHANGED "EXISTS (SELECT 1 FROM registry_change c WHERE c.ref=p.ref AND c.at>=e.since AND c.at<=e.ended)"
#define EXPORTS_HAVING \
  "SELECT e.id,e.at,e.organisation,e.why FROM registry_export e WHERE e.registry=?1 AND e.at<=?2 AND (" \
  "EXISTS (SELECT 1 FROM registry_person p WHERE p.person=?3 AND p.registry=?1 AND p.since<=e.ended AND " RECORD_CHANGED ") OR " \
  "EXISTS (SELECT 1 FROM registry_person_past p WHERE p.person=?3 AND p.registry=?1 AND p.since<=e.ended AND p.until>=e.at AND " RECORD_CHANGED ")) " \
  "ORDER BY e.at DESC,e.id LIMIT ?4"

static void put_export(const struct registries *g, const struct store_rows *r, const char *registry, enum lang l, json_t *items) {
  const struct directory *d = pack_directory(g->pack);
  const struct organisation *o = directory_organisation(d, directory_find_organisation(d, store_text(r, 2)));
  json_t *one = json_object();
  put_moment(one, "at", store_int(r, 1));
  json_put(one, "tracking", NULL);
  json_put(one, "organisation", store_text(r, 2));
  json_put(one, "organisation_name", o ? organisation_name(o, l) : store_text(r, 2));
  json_put(one, "basis", "registry_export");
  json_object_set_new(one, "registries", json_pack("[s]", registry));
  json_put(one, "why", store_text(r, 3));
  json_object_set_new(one, "_at", json_integer(store_int(r, 1)));
  json_put(one, "_id", store_text(r, 0));
  json_array_append_new(items, one);
}

int registries_exports_of(struct registries *g, struct store_tx *tx, const char *person, int64_t at, const char *id, enum lang l, json_t *items, struct err *err) {
  json_t *list = json_array(), *one;
  size_t i;
  int rc = known_in(tx, person, list, err);
  json_array_foreach(list, i, one) {
    if (rc) break;
    struct store_rows *r = store_select(tx, err, EXPORTS_HAVING, "titi", json_string_value(one), at, person, (int64_t)MOST_EXPORTS);
    rc = r ? 0 : -1;
    while (r && (rc = store_next(r, err)) == 1)
      if (store_int(r, 1) < at || strcmp(store_text(r, 0), id) > 0) put_export(g, r, json_string_value(one), l, items);
    store_done(r);
  }
  json_decref(list);
  return rc;
}
