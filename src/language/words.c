#include "language/internal.h"

#include <stdlib.h>
#include <string.h>

struct entry {
  const char *key;
  const char *text[2]; /* by enum lang */
  const char *file;
  unsigned line;
};

static struct entry *entries;
static size_t entry_count;
static json_t *trees[2];

static int by_key(const void *a, const void *b) {
  return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

/* Groups of lower-case letters, digits, '_' and '-', joined by single dots. */
static bool key_valid(const char *key) {
  bool open = true; /* a group is to begin */
  for (const char *s = key; *s; s++) {
    if (*s == '.') {
      if (open) return false;
      open = true;
    } else if ((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '_' || *s == '-') {
      open = false;
    } else {
      return false;
    }
  }
  return !open;
}

static int add_file(const struct embedded *f, struct err *err) {
  struct err why = {0};
  struct csv *c = csv_read((const char *)f->data, f->size, &why);
  if (!c) return err_set(err, ERR_INVALID, "%s: %s", f->name, why.message);
  int rc = 0, key = csv_column(c, "key"), fa = csv_column(c, "fa"), en = csv_column(c, "en");
  size_t n = csv_rows(c);
  if (key < 0 || fa < 0 || en < 0) {
    rc = err_set(err, ERR_INVALID, "%s: the header must be key,fa,en", f->name);
    goto done;
  }
  entries = base_realloc(entries, (entry_count + n + 1) * sizeof *entries);
  for (size_t i = 0; i < n; i++) {
    const char *k = csv_cell(c, i, key), *tf = csv_cell(c, i, fa), *te = csv_cell(c, i, en);
    unsigned line = csv_line(c, i);
    if (!key_valid(k))
      rc = err_set(err, ERR_INVALID, "%s:%u: '%s' is not a key (a-z, 0-9, _, - in groups joined by dots)", f->name, line, k);
    else if (!*tf || !*te)
      rc = err_set(err, ERR_INVALID, "%s:%u: '%s' has no text in both languages", f->name, line, k);
    else if (!utf8_valid(tf, strlen(tf)) || !utf8_valid(te, strlen(te)))
      rc = err_set(err, ERR_INVALID, "%s:%u: '%s' is not UTF-8", f->name, line, k);
    if (rc) goto done;
    entries[entry_count++] = (struct entry){base_strdup(k), {base_strdup(tf), base_strdup(te)}, f->name, line};
  }
done:
  csv_free(c);
  return rc;
}

/* Put one text at its dotted place in the tree of a language. */
static int plant(json_t *root, const struct entry *e, const char *text, struct err *err) {
  char *path = base_strdup(e->key), *rest = path;
  json_t *at = root;
  int rc = -1;
  for (char *dot; (dot = strchr(rest, '.')); rest = dot + 1) {
    *dot = '\0';
    json_t *next = json_object_get(at, rest);
    if (!next) {
      next = json_object();
      if (!next || json_object_set_new(at, rest, next)) goto done;
    }
    if (!json_is_object(next)) goto done;
    at = next;
  }
  if (!json_object_get(at, rest)) rc = json_object_set_new(at, rest, json_string(text));
done:
  free(path);
  if (rc) return err_set(err, ERR_INVALID, "%s:%u: '%s' is a text and a group of words at once", e->file, e->line, e->key);
  return 0;
}

int words_init(struct err *err) {
  size_t count;
  const struct embedded *files = embedded_all(&count);
  for (size_t i = 0; i < count; i++) {
    const char *end = strrchr(files[i].name, '.');
    if (base_starts(files[i].name, "locale/words") && base_same(end, ".csv") && add_file(&files[i], err)) return -1;
  }
  if (!entry_count) return err_set(err, ERR_INTERNAL, "no locale/words*.csv is built in");
  qsort(entries, entry_count, sizeof *entries, by_key);
  for (size_t i = 1; i < entry_count; i++) {
    const struct entry *a = &entries[i - 1], *b = &entries[i];
    if (strcmp(a->key, b->key) == 0)
      return err_set(err, ERR_INVALID, "%s:%u: '%s' is already in %s:%u", b->file, b->line, b->key, a->file, a->line);
  }
  for (int l = 0; l < 2; l++) {
    trees[l] = json_object();
    for (size_t i = 0; i < entry_count; i++)
      if (plant(trees[l], &entries[i], entries[i].text[l], err)) return -1;
  }
  return 0;
}

static const struct entry *find(const char *key) {
  struct entry probe = {.key = key};
  return key && entry_count ? bsearch(&probe, entries, entry_count, sizeof *entries, by_key) : NULL;
}

const char *word(enum lang l, const char *key) {
  const struct entry *e = find(key);
  return e ? e->text[l == LANG_EN] : key;
}

bool word_known(const char *key) { return find(key) != NULL; }

json_t *words_all(enum lang l) { return trees[l == LANG_EN]; }

/* The value of parameter {name…} among the arguments, NULL when it was not given. */
static const char *parameter(va_list args, const char *name, size_t n) {
  const char *found = NULL;
  va_list ap;
  va_copy(ap, args);
  for (const char *k; !found && (k = va_arg(ap, const char *));) {
    const char *v = va_arg(ap, const char *);
    if (strlen(k) == n && memcmp(k, name, n) == 0) found = v ? v : "";
  }
  va_end(ap);
  return found;
}

char *word_fill(struct arena *a, enum lang l, const char *key, ...) {
  struct buf b = {0};
  va_list args;
  va_start(args, key);
  for (const char *s = word(l, key); s && *s;) {
    const char *open = strchr(s, '{'), *close = open ? strchr(open, '}') : NULL;
    if (!close) {
      buf_adds(&b, s);
      break;
    }
    const char *value = parameter(args, open + 1, (size_t)(close - open - 1));
    buf_add(&b, s, (size_t)(open - s));
    if (value) buf_adds(&b, value);
    else buf_add(&b, open, (size_t)(close - open + 1));
    s = close + 1;
  }
  va_end(args);
  char *out = buf_overflowed(&b) ? NULL : arena_strdup(a, buf_str(&b));
  buf_free(&b);
  return out;
}
