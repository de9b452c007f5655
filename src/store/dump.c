/* Every row as text, and back: the bridge between the engines.
 *
 * A dump is lines. "T table column:type…" begins a table (types text, bigint, blob), "R value|value…" is a row: whole
 * numbers in decimal digits, text and bytes in base64, "-" for NULL. "E rows sha256" ends it; the hash covers all before it.
 * Tables stand in the order of their names, rows in that of their keys, so equal stores give equal dumps. store_lock is left out, and
 * so are the tables and migrations of rooms that are not asked for. */
#include "store/driver.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { TABLES_MOST = 1000, COLUMNS_MOST = STORE_PARAMS, LINE_MOST = 256 << 20, OUT_SIZE = 65536, FETCH = 500, HASH = 32 };

struct column {
  char *name, type; /* i t b */
  int key;          /* place in the primary key, from 1; 0: none */
};
struct table {
  char *name;
  int columns;
  struct column column[COLUMNS_MOST];
};
struct tables {
  struct table *all;
  int count;
};

static void tables_free(struct tables *t) {
  for (int i = 0; i < t->count; i++) {
    for (int k = 0; k < t->all[i].columns; k++) free(t->all[i].column[k].name);
    free(t->all[i].name);
  }
  free(t->all);
}

static const char *type_word(char type) { return type == 'i' ? "bigint" : type == 't' ? "text" : "blob"; }

static char type_letter(const char *declared) {
  return base_same(declared, "BIGINT") || base_same(declared, "INTEGER") ? 'i' : base_same(declared, "TEXT") ? 't' : base_same(declared, "BLOB") ? 'b' : 0;
}

/* Names go into SQL: ours are plain words, anything else is refused. */
static bool plain(const char *name) {
  return name != NULL && *name != '\0' && strlen(name) < 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static struct table *table_add(struct tables *t, const char *name) {
  t->all = base_realloc(t->all, (size_t)(t->count + 1) * sizeof *t->all);
  struct table *one = &t->all[t->count++];
  memset(one, 0, sizeof *one);
  one->name = base_strdup(name);
  return one;
}

static struct store_rows *select_made(struct store_tx *tx, const char *sql, struct dialect **d, struct err *err) {
  static const struct params none = {0};
  *d = dialect_new(tx->store, sql, true, err);
  if (*d == NULL) return NULL;
  struct store_rows *r = tx_select(tx, *d, &none, err);
  if (r != NULL) return r;
  dialect_free(tx->store, *d);
  *d = NULL;
  return NULL;
}

static int tables_read(struct store_tx *tx, struct tables *t, struct err *err) {
  struct dialect *d = NULL;
  struct store_rows *r = select_made(tx, tx->store->driver->catalogue, &d, err);
  int rc = r == NULL ? -1 : 1;
  while (rc == 1 && (rc = store_next(r, err)) == 1) {
    const char *name = store_text(r, 0), *column = store_text(r, 1);
    char type = type_letter(store_text(r, 2));
    if (base_same(name, "store_lock")) continue;
    if (!plain(name) || !plain(column) || type == 0) {
      rc = err_set(err, ERR_INTERNAL, "table %s: column %s has a name or a type that a dump cannot carry", name, column);
      break;
    }
    struct table *now = t->count > 0 ? &t->all[t->count - 1] : NULL;
    if (now == NULL || strcmp(now->name, name) != 0) now = t->count < TABLES_MOST ? table_add(t, name) : NULL;
    if (now == NULL || now->columns == COLUMNS_MOST) {
      rc = err_set(err, ERR_LIMIT, "too many tables or columns to dump");
      break;
    }
    now->column[now->columns++] = (struct column){base_strdup(column), type, (int)store_int(r, 3)};
  }
  store_done(r);
  dialect_free(tx->store, d);
  return rc < 0 ? -1 : 0;
}

/* ---- out ----------------------------------------------------------------------------------- */

struct out {
  int (*sink)(void *, const void *, size_t);
  void *ctx;
  const char *const *rooms;
  EVP_MD_CTX *hash;
  struct buf line; /* gathered until OUT_SIZE */
  int64_t rows;
  struct err *err;
};

static int flush(struct out *o) {
  if (buf_overflowed(&o->line)) return err_set(o->err, ERR_LIMIT, "a row is too large to dump");
  if (o->line.len == 0) return 0;
  EVP_DigestUpdate(o->hash, o->line.data, o->line.len);
  int rc = o->sink(o->ctx, o->line.data, o->line.len);
  buf_clear(&o->line);
  return rc == 0 ? 0 : err_set(o->err, ERR_UNAVAILABLE, "the dump could not be written");
}

static void put_value(struct buf *b, const struct store_rows *r, int k, char type) {
  if (store_null(r, k)) {
    buf_addc(b, '-');
  } else if (type == 'i') {
    buf_addf(b, "%lld", (long long)store_int(r, k));
  } else {
    size_t n = 0;
    const void *p = type == 't' ? store_text(r, k) : store_blob(r, k, &n);
    char *text = base64_encode(p, type == 't' ? strlen(p) : n);
    buf_adds(b, text);
    free(text);
  }
}

/* A row of schema_version about a room that is left out. */
static bool left_out(const struct store_rows *r, const struct table *t, const struct out *o) {
  if (strcmp(t->name, "schema_version") != 0) return false;
  for (int k = 0; k < t->columns; k++)
    if (strcmp(t->column[k].name, "name") == 0) return !migration_wanted(store_text(r, k), o->rooms);
  return false;
}

static int dump_rows(struct store_rows *r, const struct table *t, struct out *o) {
  int rc, rows = 0;
  while ((rc = store_next(r, o->err)) == 1) {
    rows++;
    if (left_out(r, t, o)) continue;
    buf_adds(&o->line, "R ");
    for (int k = 0; k < t->columns; k++) {
      if (k > 0) buf_addc(&o->line, '|');
      put_value(&o->line, r, k, t->column[k].type);
    }
    buf_addc(&o->line, '\n');
    o->rows++;
    if (o->line.len >= OUT_SIZE && flush(o) != 0) return -1;
  }
  return rc < 0 ? -1 : rows;
}

/* All rows of a statement: SQLite gives them one by one; PostgreSQL through a cursor, some hundred at a time. */
static int dump_query(struct store_tx *tx, const char *sql, const struct table *t, struct out *o) {
  struct dialect *d = NULL;
  struct store_rows *r;
  int rows = -1;
  if (tx->store->driver->engine != STORE_POSTGRES) {
    if ((r = select_made(tx, sql, &d, o->err)) == NULL) return -1;
    rows = dump_rows(r, t, o);
    store_done(r);
    dialect_free(tx->store, d);
    return rows < 0 ? -1 : 0;
  }
  char *declare = base_printf("DECLARE dump NO SCROLL CURSOR FOR %s", sql), *fetch = base_printf("FETCH %d FROM dump", FETCH);
  int rc = tx_run(tx, declare, o->err);
  for (rows = FETCH; rc == 0 && rows == FETCH;) {
    r = select_made(tx, fetch, &d, o->err);
    rows = r == NULL ? -1 : dump_rows(r, t, o);
    store_done(r);
    dialect_free(tx->store, d);
    d = NULL;
    if (rows < 0) rc = -1;
  }
  if (rc == 0) rc = tx_run(tx, "CLOSE dump", o->err);
  free(declare);
  free(fetch);
  return rc;
}

static int dump_table(struct store_tx *tx, const struct table *t, struct out *o) {
  struct buf sql = {0};
  buf_addf(&o->line, "T %s", t->name);
  buf_adds(&sql, "SELECT ");
  for (int k = 0; k < t->columns; k++) {
    buf_addf(&o->line, " %s:%s", t->column[k].name, type_word(t->column[k].type));
    buf_addf(&sql, "%s%s", k > 0 ? ", " : "", t->column[k].name);
  }
  buf_addc(&o->line, '\n');
  buf_addf(&sql, " FROM %s", t->name);
  for (int place = 1; place <= t->columns; place++)
    for (int k = 0; k < t->columns; k++)
      if (t->column[k].key == place) buf_addf(&sql, "%s %s", place == 1 ? " ORDER BY" : ",", t->column[k].name);
  int rc = dump_query(tx, buf_str(&sql), t, o);
  buf_free(&sql);
  return rc;
}

static void hash_end(EVP_MD_CTX *hash, char hex[2 * HASH + 1]) {
  unsigned char raw[HASH];
  EVP_DigestFinal_ex(hash, raw, NULL);
  hex_encode(raw, HASH, hex);
}

static EVP_MD_CTX *hash_new(void) {
  EVP_MD_CTX *h = EVP_MD_CTX_new();
  if (h == NULL || EVP_DigestInit_ex(h, EVP_sha256(), NULL) != 1) abort();
  return h;
}

static int dump_all(struct store_tx *tx, struct out *o) {
  struct tables t = {0};
  char hex[2 * HASH + 1];
  int rc = tables_read(tx, &t, o->err);
  for (int i = 0; i < t.count && rc == 0; i++)
    if (table_wanted(t.all[i].name, o->rooms)) rc = dump_table(tx, &t.all[i], o);
  tables_free(&t);
  if (rc != 0 || flush(o) != 0) return -1;
  hash_end(o->hash, hex);
  char *end = base_printf("E %lld %s\n", (long long)o->rows, hex);
  rc = o->sink(o->ctx, end, strlen(end)) == 0 ? 0 : err_set(o->err, ERR_UNAVAILABLE, "the dump could not be written");
  free(end);
  return rc;
}

int store_dump(struct store *s, const char *const *rooms, int (*sink)(void *ctx, const void *p, size_t n), void *ctx, struct err *err) {
  struct store_tx tx;
  if (s->driver->catalogue == NULL) return err_set(err, ERR_UNSUPPORTED, "this store cannot be dumped");
  if (store_enter(s, "store_dump", err) != 0) return -1;
  struct out o = {.rooms = rooms, .sink = sink, .ctx = ctx, .hash = hash_new(), .err = err};
  buf_init(&o.line, LINE_MOST);
  int rc = -1;
  struct conn *c = store_conn(s, CONN_READ, err); /* its own: a dump takes long, and its snapshot is one from first to last */
  if (c != NULL && s->driver->begin(c, true, err) == 0) {
    store_begin_tx(&tx, s, c, false);
    tx.dumping = true;
    rc = dump_all(&tx, &o);
    store_end_tx(&tx);
    s->driver->rollback(c);
  }
  store_conn_free(c);
  buf_free(&o.line);
  EVP_MD_CTX_free(o.hash);
  store_leave(s);
  return rc;
}

/* ---- in ------------------------------------------------------------------------------------- */

struct in {
  int (*source)(void *, void *, size_t, size_t *);
  void *ctx;
  EVP_MD_CTX *hash;
  struct buf have; /* read but not yet used */
  size_t at;
  bool end;
  int64_t rows;
  struct tables tables;
  struct table now;      /* as the dump says; names belong to the line's table below */
  bool versions;         /* the table under way is schema_version, which is compared */
  struct dialect *insert;
  struct err *err;
};

/* The next line without its '\n'; NULL with err at the end or on failure. It may be changed by the caller. */
static char *next_line(struct in *in, size_t *n) {
  for (size_t seen = in->at;;) {
    char *nl = in->have.len > seen ? memchr(in->have.data + seen, '\n', in->have.len - seen) : NULL;
    if (nl != NULL) {
      char *line = in->have.data + in->at;
      *n = (size_t)(nl - line);
      if (line[0] != 'E') EVP_DigestUpdate(in->hash, line, *n + 1);
      *nl = '\0';
      in->at += *n + 1;
      return line;
    }
    if (in->at > 0) {
      memmove(in->have.data, in->have.data + in->at, in->have.len - in->at);
      in->have.len -= in->at;
      in->at = 0;
    }
    seen = in->have.len;
    char piece[OUT_SIZE];
    size_t got = 0;
    if (in->source(in->ctx, piece, sizeof piece, &got) != 0) err_set(in->err, ERR_UNAVAILABLE, "the dump could not be read");
    else if (got == 0) err_set(in->err, ERR_MALFORMED, "the dump ends before its last line");
    else buf_add(&in->have, piece, got);
    if (got == 0) return NULL;
    if (buf_overflowed(&in->have)) {
      err_set(in->err, ERR_LIMIT, "a line of the dump is too long");
      return NULL;
    }
  }
}

/* "name column:type…": must be a table of this store with the same columns, in any order. */
static int begin_table(struct store_tx *tx, struct in *in, char *line) {
  struct buf sql = {0}, values = {0};
  char *rest = NULL, *name = strtok_r(line, " ", &rest);
  const struct table *mine = NULL;
  for (int i = 0; i < in->tables.count; i++)
    if (base_same(in->tables.all[i].name, name)) mine = &in->tables.all[i];
  if (mine == NULL)
    return err_set(in->err, ERR_CONFLICT, "the dump has a table %.60s that this store does not know", name == NULL ? "" : name);
  in->now.columns = 0;
  in->versions = strcmp(mine->name, "schema_version") == 0;
  buf_addf(&sql, "INSERT INTO %s (", mine->name);
  int rc = 0;
  for (char *col; rc == 0 && (col = strtok_r(NULL, " ", &rest)) != NULL;) {
    char *type = strchr(col, ':');
    if (type != NULL) *type++ = '\0';
    int found = -1, n = in->now.columns;
    for (int k = 0; k < mine->columns; k++)
      if (type != NULL && strcmp(mine->column[k].name, col) == 0 && strcmp(type_word(mine->column[k].type), type) == 0) found = k;
    if (found < 0 || n == COLUMNS_MOST) {
      rc = err_set(in->err, ERR_CONFLICT, "table %s: the dump's column %.60s is not like that here", mine->name, col);
    } else {
      in->now.column[in->now.columns++].type = mine->column[found].type;
      buf_addf(&sql, "%s%s", n > 0 ? ", " : "", mine->column[found].name);
      buf_addf(&values, "%s?%d", n > 0 ? ", " : "", n + 1);
    }
  }
  buf_addf(&sql, ") VALUES (%s)", buf_str(&values));
  if (in->versions) {
    buf_clear(&sql);
    buf_adds(&sql, "SELECT count(*) FROM schema_version WHERE name = ?1 AND sha256 = ?2 AND ?3 = ?3");
  }
  dialect_free(tx->store, in->insert);
  in->insert = rc == 0 ? dialect_new(tx->store, buf_str(&sql), true, in->err) : NULL;
  buf_free(&sql);
  buf_free(&values);
  return in->insert == NULL ? -1 : 0;
}

/* Decode one value in its place: base64 never grows when it is undone. */
static int value(struct param *v, char type, char *text) {
  v->type = type;
  v->p = NULL;
  v->n = 0;
  if (strcmp(text, "-") == 0) {
    if (type == 'i') v->type = 'n';
    return 0;
  }
  if (type == 'i') return parse_i64(text, &v->i);
  size_t n = strlen(text);
  if (base64_decode(text, n, text, n + 1, &v->n) != 0) return -1;
  text[v->n] = '\0';
  v->p = text;
  return type == 't' && (memchr(text, 0, v->n) != NULL || !utf8_valid(text, v->n)) ? -1 : 0;
}

static int load_row(struct store_tx *tx, struct in *in, char *line) {
  struct params p = {0};
  if (in->insert == NULL) return err_set(in->err, ERR_MALFORMED, "the dump has a row before any table");
  for (char *text = line; text != NULL && p.count < COLUMNS_MOST; p.count++) {
    char *next = strchr(text, '|');
    if (next != NULL) *next++ = '\0';
    if (p.count == in->now.columns || value(&p.v[p.count], in->now.column[p.count].type, text) != 0)
      return err_set(in->err, ERR_MALFORMED, "row %lld of the dump is malformed", (long long)in->rows + 1);
    text = next;
  }
  in->rows++;
  if (p.count != in->now.columns) return err_set(in->err, ERR_MALFORMED, "row %lld of the dump is too short", (long long)in->rows);
  if (!in->versions) return tx_exec(tx, in->insert, &p, false, NULL, in->err);
  if (p.count != 3) return err_set(in->err, ERR_MALFORMED, "schema_version has other columns");
  struct store_rows *r = tx_select(tx, in->insert, &p, in->err);
  int rc = r == NULL ? -1 : store_next(r, in->err);
  const char *name = p.v[0].type == 't' && p.v[0].p != NULL ? p.v[0].p : "";
  if (rc == 1 && store_int(r, 0) != 1)
    rc = err_set(in->err, ERR_CONFLICT, "the dump was made with another migration %.60s: use the same release", name);
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int check_end(struct in *in, const char *line) {
  char hex[2 * HASH + 1], *expected;
  hash_end(in->hash, hex);
  expected = base_printf("E %lld %s", (long long)in->rows, hex);
  bool same = strcmp(expected, line) == 0;
  free(expected);
  return same ? 0 : err_set(in->err, ERR_CONFLICT, "the dump's hash or number of rows does not match: it is damaged");
}

static int load_all(struct store_tx *tx, struct in *in) {
  for (;;) {
    size_t n = 0;
    char *line = next_line(in, &n);
    if (line == NULL) return -1;
    if (strlen(line) != n || n < 2 || line[1] != ' ') return err_set(in->err, ERR_MALFORMED, "this is not a dump");
    if (line[0] == 'E') return check_end(in, line);
    int rc = line[0] == 'T' ? begin_table(tx, in, line + 2) : line[0] == 'R' ? load_row(tx, in, line + 2)
                            : err_set(in->err, ERR_MALFORMED, "this is not a dump");
    if (rc != 0) return -1;
  }
}

static int check_empty(struct store_tx *tx, const struct tables *t, struct err *err) {
  for (int i = 0; i < t->count; i++) {
    if (strcmp(t->all[i].name, "schema_version") == 0) continue;
    char *sql = base_printf("SELECT 1 FROM %s LIMIT 1", t->all[i].name);
    struct dialect *d = NULL;
    struct store_rows *r = select_made(tx, sql, &d, err);
    int rc = r == NULL ? -1 : store_next(r, err);
    store_done(r);
    dialect_free(tx->store, d);
    free(sql);
    if (rc == 1) return err_set(err, ERR_CONFLICT, "the table %s is not empty: load into a new store", t->all[i].name);
    if (rc < 0) return -1;
  }
  return 0;
}

int store_load(struct store *s, int (*source)(void *ctx, void *p, size_t room, size_t *n), void *ctx, struct err *err) {
  struct store_tx tx;
  if (s->driver->catalogue == NULL) return err_set(err, ERR_UNSUPPORTED, "this store cannot be loaded");
  if (store_enter(s, "store_load", err) != 0) return -1;
  struct in in = {.source = source, .ctx = ctx, .hash = hash_new(), .err = err};
  buf_init(&in.have, LINE_MOST);
  int rc = -1;
  struct conn *c = store_conn(s, CONN_OWN, err);
  if (c != NULL && s->driver->begin(c, true, err) == 0) { /* one transaction: a damaged dump leaves nothing */
    store_begin_tx(&tx, s, c, true);
    rc = tables_read(&tx, &in.tables, err);
    if (rc == 0) rc = check_empty(&tx, &in.tables, err);
    if (rc == 0) rc = load_all(&tx, &in);
    store_end_tx(&tx);
    if (rc == 0) rc = s->driver->commit(c, err);
    else s->driver->rollback(c);
  }
  dialect_free(s, in.insert);
  store_conn_free(c);
  tables_free(&in.tables);
  buf_free(&in.have);
  EVP_MD_CTX_free(in.hash);
  store_leave(s);
  return rc;
}
