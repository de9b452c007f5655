/* The member directory as an immutable snapshot: read, looked up. What is asked of it is answered from sorted arrays. */
#include "exchange/members.h"
#include "exchange/snapshot.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MOST = 400000, LIST_MOST = 64 };
#define TYPE "chapar-directory-v1"

/* ---- reading ---- */

struct reading {
  struct members *m;
  size_t room_entries, room_gateways, room_keys, room_pins, room_stands, room_groups;
  struct err *err;
};

/* One more of an array that grows; NULL beyond the bound. */
static void *more(void **list, size_t *count, size_t *room, size_t size) {
  if (*count >= ENTRIES_MOST) return NULL;
  if (*count == *room) {
    *room = *room ? *room * 2 : 64;
    *list = base_realloc(*list, *room * size);
  }
  void *p = (char *)*list + *count * size;
  memset(p, 0, size);
  (*count)++;
  return p;
}
#define MORE(r, what, room) more((void **)&(r)->m->what, &(r)->m->what##_count, &(r)->room, sizeof *(r)->m->what)

static int bad(struct reading *r, const char *what, const char *value) {
  return err_set(r->err, ERR_MALFORMED, "the directory's %s '%.120s' is not as it should be", what, value ? value : "");
}

static const char *kept(struct reading *r, const char *text) { return arena_strdup(r->m->arena, text ? text : ""); }

static int read_id(struct reading *r, const char *text, int least, int most) {
  struct exchange_id id;
  if (!text || exchange_id_parse(text, least, most, &id, r->err)) return bad(r, "identifier", text);
  return 0;
}

static int read_time(struct reading *r, const json_t *o, const char *name, int64_t *out) {
  const char *text = json_str(o, name);
  *out = 0;
  return text && clock_parse(text, out) ? bad(r, name, text) : 0;
}

static int read_entry(struct reading *r, const json_t *o) {
  const char *id = json_str(o, "id");
  const json_t *name = json_object_get(o, "name");
  if (read_id(r, id, 3, 4)) return -1;
  struct entry *e = MORE(r, entries, room_entries);
  if (!e) return bad(r, "number of members at", id);
  *e = (struct entry){.id = kept(r, id), .name_fa = kept(r, json_str(name, "fa")), .name_en = kept(r, json_str(name, "en"))};
  return 0;
}

/* SubjectPublicKeyInfo in base64, whose hash is the key id that is told. */
static int read_public(struct reading *r, const json_t *o, const char **keyid, const unsigned char **key, size_t *size) {
  const char *id = json_str(o, "keyid"), *text = json_str(o, "public_key");
  unsigned char bytes[256], hash[32];
  char hex[65];
  if (!id || !text || base64_decode(text, strlen(text), bytes, sizeof bytes, size)) return bad(r, "key", id);
  sha256(bytes, *size, hash);
  hex_encode(hash, 32, hex);
  if (strcmp(hex, id) != 0) return bad(r, "key id", id);
  unsigned char *p = arena_alloc(r->m->arena, *size);
  if (p) memcpy(p, bytes, *size);
  *keyid = kept(r, id);
  *key = p;
  return 0;
}

static int read_keys(struct reading *r, const json_t *list, size_t gateway) {
  json_t *o;
  size_t i;
  json_array_foreach(list, i, o) {
    struct key_row *k = i < LIST_MOST ? MORE(r, keys, room_keys) : NULL;
    if (!k) return bad(r, "number of keys", NULL);
    if (read_public(r, o, &k->keyid, &k->public_key, &k->size) || read_time(r, o, "from", &k->from) || read_time(r, o, "until", &k->until) ||
        read_time(r, o, "revoked_at", &k->revoked))
      return -1;
    k->gateway = gateway;
  }
  return 0;
}

static int read_pins(struct reading *r, const json_t *list, size_t gateway, struct gateway *g) {
  json_t *o;
  size_t i;
  unsigned char(*all)[32] = arena_alloc(r->m->arena, 32 * (json_array_size(list) + 1));
  if (!all) return bad(r, "size", NULL);
  json_array_foreach(list, i, o) {
    struct pin *p = i < LIST_MOST ? MORE(r, pins, room_pins) : NULL;
    const char *hex = json_str(o, "sha256");
    if (!p || !hex || hex_decode(hex, p->sha256, 32) || read_time(r, o, "until", &p->until)) return bad(r, "certificate", hex);
    p->gateway = gateway;
    if (!p->until || p->until > clock_now()) memcpy(all[g->certificate_count++], p->sha256, 32);
  }
  g->certificates = (const unsigned char (*)[32])all;
  return 0;
}

static int stand(struct reading *r, const char *id, size_t gateway) {
  struct stand *s = MORE(r, stands, room_stands);
  if (!s) return bad(r, "number of entries", id);
  *s = (struct stand){.id = kept(r, id), .gateway = gateway};
  return 0;
}

static int read_gateway(struct reading *r, const json_t *o) {
  const char *id = json_str(o, "id"), *address = json_str(o, "address");
  struct exchange_id own;
  json_t *one;
  size_t i;
  if (read_id(r, id, 4, 4) || exchange_id_parse(id, 4, 4, &own, r->err)) return -1;
  if (!address || !base_starts(address, "https://") || strlen(address) > 300) return bad(r, "address", address);
  size_t n = r->m->gateways_count;
  struct gateway_row *row = MORE(r, gateways, room_gateways);
  if (!row) return bad(r, "number of gateways at", id);
  row->g.id = kept(r, id);
  row->g.address = kept(r, address);
  row->witness = kept(r, json_str(o, "witness"));
  char text[EXCHANGE_ID + 1];
  own.subsystem[0] = 0;
  exchange_id_text(&own, text);
  row->member = kept(r, text);
  if (stand(r, text, n) || read_keys(r, json_object_get(o, "keys"), n) || read_pins(r, json_object_get(o, "certificates"), n, &row->g)) return -1;
  json_array_foreach(json_object_get(o, "stands_for"), i, one) {
    const char *other = json_string_value(one);
    if (read_id(r, other, 3, 4) || (strcmp(other, text) != 0 && stand(r, other, n))) return -1;
  }
  return 0;
}

static int read_group(struct reading *r, const json_t *o) {
  const char *code = json_str(o, "code"), *id;
  json_t *one;
  size_t i;
  if (!code || !code[0] || strlen(code) > EXCHANGE_PART) return bad(r, "group", code);
  json_array_foreach(json_object_get(o, "members"), i, one) {
    id = json_string_value(one);
    struct grouped *g = MORE(r, groups, room_groups);
    if (!g || read_id(r, id, 3, 4)) return bad(r, "group", code);
    *g = (struct grouped){.code = kept(r, code), .id = kept(r, id)};
  }
  return 0;
}

static int read_operator(struct reading *r, const json_t *o) {
  const json_t *list = json_object_get(o, "keys");
  json_t *one;
  size_t i;
  if (read_id(r, json_str(o, "server"), 4, 4)) return -1;
  r->m->operator_server = kept(r, json_str(o, "server"));
  json_array_foreach(list, i, one) {
    const char *keyid;
    const unsigned char *key;
    struct operator_key *k = &r->m->operators[i];
    if (i >= OPERATORS_MOST || read_public(r, one, &keyid, &key, &k->size)) return bad(r, "operator", NULL);
    if (!key_is_p256(key, k->size)) return bad(r, "operator's key", keyid);
    memcpy(k->keyid, keyid, sizeof k->keyid);
    k->public_key = key;
    r->m->operators_count++;
  }
  return r->m->operators_count ? 0 : bad(r, "operator", NULL);
}

static int each_of(struct reading *r, const json_t *doc, const char *name, int (*fn)(struct reading *, const json_t *)) {
  json_t *o;
  size_t i;
  json_array_foreach(json_object_get(doc, name), i, o) if (fn(r, o)) return -1;
  return 0;
}

static int by_entry(const void *a, const void *b) { return strcmp(((const struct entry *)a)->id, ((const struct entry *)b)->id); }
static int by_keyid(const void *a, const void *b) { return strcmp(((const struct key_row *)a)->keyid, ((const struct key_row *)b)->keyid); }
static int by_pin(const void *a, const void *b) { return memcmp(((const struct pin *)a)->sha256, ((const struct pin *)b)->sha256, 32); }
static int by_stand(const void *a, const void *b) {
  const struct stand *x = a, *y = b;
  int c = strcmp(x->id, y->id);
  return c ? c : (x->gateway > y->gateway) - (x->gateway < y->gateway);
}
static int by_group(const void *a, const void *b) {
  const struct grouped *x = a, *y = b;
  int c = strcmp(x->code, y->code);
  return c ? c : strcmp(x->id, y->id);
}
#define SORT(m, what, order) do { if ((m)->what##_count) qsort((m)->what, (m)->what##_count, sizeof *(m)->what, order); } while (0)

struct members *members_empty(void) {
  struct members *m = base_alloc(sizeof *m);
  m->refs = 1;
  m->arena = arena_new((size_t)256 * 1024 * 1024);
  m->text = base_strdup("");
  m->operator_server = m->instance = m->ledger = "";
  return m;
}

static int read_all(struct reading *r, const json_t *doc) {
  struct members *m = r->m;
  m->version = json_int(doc, "version", 0);
  if (!base_same(json_str(doc, "type"), TYPE)) return bad(r, "type", json_str(doc, "type"));
  if (m->version <= 0) return bad(r, "version", NULL);
  if (!json_str(doc, "instance") || read_time(r, doc, "issued_at", &m->issued) || !m->issued) return bad(r, "beginning", json_str(doc, "instance"));
  m->instance = kept(r, json_str(doc, "instance"));
  m->ledger = kept(r, json_str(doc, "ledger"));
  if (read_operator(r, json_object_get(doc, "operator")) || each_of(r, doc, "members", read_entry) || each_of(r, doc, "gateways", read_gateway) ||
      each_of(r, doc, "groups", read_group))
    return -1;
  if (arena_overflowed(m->arena)) return bad(r, "size", NULL);
  SORT(m, entries, by_entry);
  SORT(m, keys, by_keyid);
  SORT(m, pins, by_pin);
  SORT(m, stands, by_stand);
  SORT(m, groups, by_group);
  for (size_t i = 1; i < m->keys_count; i++)
    if (strcmp(m->keys[i].keyid, m->keys[i - 1].keyid) == 0) return bad(r, "key, which stands twice:", m->keys[i].keyid);
  for (size_t i = 1; i < m->pins_count; i++)
    if (memcmp(m->pins[i].sha256, m->pins[i - 1].sha256, 32) == 0) return bad(r, "certificate, which stands twice", NULL);
  return 0;
}

int members_read(const char *text, size_t n, struct members **out, struct err *err) {
  struct signed_line line;
  *out = NULL;
  if (signed_read(text, n, &line, err)) return -1;
  json_t *doc = json_read(line.json, line.size, 8, err);
  if (!doc) return -1;
  struct reading r = {.m = members_empty(), .err = err};
  int rc = read_all(&r, doc);
  json_decref(doc);
  if (rc) {
    members_drop(r.m);
    return -1;
  }
  free(r.m->text);
  r.m->text = base_alloc(n + 1);
  memcpy(r.m->text, text, n);
  r.m->size = n;
  *out = r.m;
  return 0;
}

/* ---- one gateway of it alone ---- */

/* Behind the text that begins at `at` with a quotation mark. */
static size_t behind_text(const char *p, size_t n, size_t at) {
  for (at++; at < n && p[at] != '"'; at++) at += p[at] == '\\';
  return at;
}

/* The object in a list of the document (an entry of "gateways") around a place; false: there is none. */
static bool object_around(const char *p, size_t n, size_t place, size_t *from, size_t *size) {
  enum { ENTRY = 3 };                    /* { "gateways": [ { */
  size_t depth = 0;
  for (size_t i = 0; i < n; i++) {
    if (p[i] == '"') i = behind_text(p, n, i);
    else if (p[i] == '{' || p[i] == '[') {
      if (++depth == ENTRY) *from = i;
    } else if (p[i] == '}' || p[i] == ']') {
      if (depth == ENTRY && *from < place && i > place) {
        *size = i + 1 - *from;
        return true;
      }
      if (depth == 0) return false;
      depth--;
    }
  }
  return false;
}

int members_read_key(const char *text, size_t n, const char *keyid, struct members **out, struct err *err) {
  struct signed_line line;
  char mark[90];
  *out = NULL;
  if (signed_read(text, n, &line, err)) return -1;
  snprintf(mark, sizeof mark, "\"keyid\":\"%.64s\"", keyid); /* a name that holds this has its quotation marks escaped */
  struct reading r = {.m = members_empty(), .err = err};
  int rc = 0;
  for (const char *p = line.json, *end = p + line.size; rc == 0 && (p = memmem(p, (size_t)(end - p), mark, strlen(mark))) != NULL; p++) {
    size_t from = 0, size;
    if (!object_around(line.json, line.size, (size_t)(p - line.json), &from, &size) || line.json[from] != '{') continue;
    json_t *o = json_read(line.json + from, size, 6, err);
    if (!o) rc = -1;
    else if (json_object_get(o, "address")) rc = read_gateway(&r, o) ? -1 : 1;
    json_decref(o);
  }
  if (rc < 0) {
    members_drop(r.m);
    return -1;
  }
  SORT(r.m, keys, by_keyid);
  *out = r.m;
  return 0;
}

void members_drop(struct members *m) {
  if (!m || atomic_fetch_sub(&m->refs, 1) > 1) return;
  for (size_t i = 0; i < m->gateways_count; i++) told_drop(m->gateways[i].g.told);
  free(m->entries);
  free(m->gateways);
  free(m->keys);
  free(m->pins);
  free(m->stands);
  free(m->groups);
  free(m->text);
  arena_free(m->arena);
  free(m);
}

/* ---- looking up ---- */

int64_t members_version(const struct members *m) { return m->version; }
int64_t members_issued(const struct members *m) { return m->issued; }
const char *members_ledger(const struct members *m) { return m->ledger; }
const char *members_instance(const struct members *m) { return m->instance; }
const char *members_operator_server(const struct members *m) { return m->operator_server; }
const char *members_witness(const struct members *m, const struct gateway *g) { return ((const struct gateway_row *)(const void *)g)->witness; }
size_t members_operator(const struct members *m, const struct operator_key **list) {
  *list = m->operators;
  return m->operators_count;
}
const char *members_text(const struct members *m, size_t *n) {
  *n = m->size;
  return m->text;
}
size_t members_count(const struct members *m, size_t *gateways) {
  if (gateways) *gateways = m->gateways_count;
  return m->entries_count;
}

static void id_text(const struct exchange_id *id, int parts, char out[EXCHANGE_ID + 1]) {
  struct exchange_id some = *id;
  some.service[0] = 0;
  if (parts < 4) some.subsystem[0] = 0;
  exchange_id_text(&some, out);
}

bool members_known(const struct members *m, const struct exchange_id *id, int parts) {
  char text[EXCHANGE_ID + 1];
  id_text(id, parts, text);
  return m->entries_count && bsearch(&(struct entry){.id = text}, m->entries, m->entries_count, sizeof *m->entries, by_entry);
}

bool members_group(const struct members *m, const char *group, const struct exchange_id *subsystem) {
  char text[EXCHANGE_ID + 1];
  for (int parts = 4; parts >= 3; parts--) { /* a member in a group stands for all its subsystems */
    id_text(subsystem, parts, text);
    if (m->groups_count && bsearch(&(struct grouped){.code = group, .id = text}, m->groups, m->groups_count, sizeof *m->groups, by_group)) return true;
  }
  return false;
}

static size_t range(const struct members *m, const char *id, size_t *first) {
  size_t low = 0, high = m->stands_count;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (strcmp(m->stands[mid].id, id) < 0) low = mid + 1;
    else high = mid;
  }
  *first = low;
  size_t n = 0;
  while (low + n < m->stands_count && strcmp(m->stands[low + n].id, id) == 0) n++;
  return n;
}

/* Who is named for the subsystem itself, else who is named for its member. */
static size_t stands_for(const struct members *m, const struct exchange_id *subsystem, size_t *first) {
  char text[EXCHANGE_ID + 1];
  id_text(subsystem, 4, text);
  size_t n = range(m, text, first);
  if (n) return n;
  id_text(subsystem, 3, text);
  return range(m, text, first);
}

size_t members_gateways(struct members *m, const struct exchange_id *subsystem, unsigned turn, const struct gateway **out, size_t most) {
  size_t first, n = stands_for(m, subsystem, &first), put = 0;
  for (int failed = 0; failed < 2; failed++)
    for (size_t i = 0; i < n && put < most; i++) {
      struct gateway *g = &m->gateways[m->stands[first + (i + turn) % n].gateway].g;
      if (told_failed(g->told) == (failed == 1)) out[put++] = g;
    }
  for (size_t i = 0; i < put; i++) told_connect((struct gateway *)out[i]);
  return put;
}

bool members_serves(const struct members *m, const struct gateway *g, const struct exchange_id *subsystem) {
  size_t first, n = stands_for(m, subsystem, &first);
  for (size_t i = 0; i < n; i++)
    if (&m->gateways[m->stands[first + i].gateway].g == g) return true;
  return false;
}

const struct gateway *members_gateway(const struct members *m, const char *server) {
  for (size_t i = 0; i < m->gateways_count; i++)
    if (strcmp(m->gateways[i].g.id, server) == 0) return &m->gateways[i].g;
  return NULL;
}

const struct gateway *members_by_certificate(const struct members *m, const unsigned char hash[32]) {
  struct pin key;
  memcpy(key.sha256, hash, 32);
  const struct pin *p = m->pins_count ? bsearch(&key, m->pins, m->pins_count, sizeof *m->pins, by_pin) : NULL;
  if (!p && m->unknown) m->unknown(m->unknown_ctx);
  return p && (!p->until || clock_now() < p->until) ? &m->gateways[p->gateway].g : NULL;
}

int members_key_listed(const struct members *m, const char *keyid, const struct gateway **of, const void **public_key, size_t *n, const struct key_row **row, struct err *err) {
  const struct key_row *k = m->keys_count ? bsearch(&(struct key_row){.keyid = keyid}, m->keys, m->keys_count, sizeof *m->keys, by_keyid) : NULL;
  if (!k && m->unknown) m->unknown(m->unknown_ctx); /* it may be newer than our directory */
  if (!k) return err_set(err, ERR_NOT_FOUND, "the directory (version %lld) knows no key %.16s…", (long long)m->version, keyid);
  *of = &m->gateways[k->gateway].g;
  *public_key = k->public_key;
  *n = k->size;
  if (row) *row = k;
  return 0;
}

int members_key(const struct members *m, const char *keyid, int64_t at, const struct gateway **of, const void **public_key, size_t *n, struct err *err) {
  const struct key_row *k;
  if (members_key_listed(m, keyid, of, public_key, n, &k, err)) return -1;
  if (k->revoked) return err_set(err, ERR_FORBIDDEN, "the key %.16s… was revoked", keyid);
  if (at < k->from || (k->until && at >= k->until)) {
    char when[32];
    clock_rfc3339(at < k->from ? k->from : k->until, when);
    return at < k->from ? err_set(err, ERR_FORBIDDEN, "the key %.16s… is good from %s on, not before", keyid, when)
                        : err_set(err, ERR_FORBIDDEN, "the key %.16s… ended at %s: its gateway has to sign with a newer one (chapar gateway renew-keys)", keyid, when);
  }
  return 0;
}

int members_key_now(const struct members *m, const char *keyid, int64_t created, const struct gateway **of, const void **public_key, size_t *n, struct err *err) {
  return members_key(m, keyid, clock_now(), of, public_key, n, err) || members_key(m, keyid, created * 1000, of, public_key, n, err) ? -1 : 0;
}

void members_keys(const struct members *m, const struct gateway *g, void (*fn)(void *ctx, const char *keyid, int64_t from, int64_t until, int64_t revoked), void *ctx) {
  for (size_t i = 0; i < m->keys_count; i++)
    if (&m->gateways[m->keys[i].gateway].g == g) fn(ctx, m->keys[i].keyid, m->keys[i].from, m->keys[i].until, m->keys[i].revoked);
}

void members_each(const struct members *m, void (*fn)(void *ctx, const struct exchange_id *id, int parts, const char *name_fa, const char *name_en), void *ctx) {
  for (size_t i = 0; i < m->entries_count; i++) {
    struct exchange_id id;
    if (exchange_id_parse(m->entries[i].id, 3, 4, &id, NULL) == 0) fn(ctx, &id, id.subsystem[0] ? 4 : 3, m->entries[i].name_fa, m->entries[i].name_en);
  }
}
