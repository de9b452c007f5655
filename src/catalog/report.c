/* Telling mistakes with their place, and reading typed values from nodes. */
#include "catalog/compile.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- mistakes ---------------------------------------------------------------------------- */

static bool told_before(struct compiler *c, unsigned line, const char *message) {
  uint64_t h = 14695981039346656037u + line;
  for (const char *s = c->file; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
  for (const char *s = message; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
  for (unsigned i = 0; i < c->reported; i++)
    if (c->seen[i] == h) return true;
  c->seen[c->reported] = h;
  return false;
}

static void tell(struct compiler *c, unsigned line, bool warning, const char *fmt, va_list ap) BASE_PRINTF(4, 0);
static void tell(struct compiler *c, unsigned line, bool warning, const char *fmt, va_list ap) {
  char message[600];
  if (vsnprintf(message, sizeof message, fmt, ap) >= (int)sizeof message) /* cut: not in the middle of a letter */
    for (size_t n = strlen(message); n && !utf8_valid(message, n); n--) message[n - 1] = 0;
  if (!warning) c->errors++;
  if (c->reported >= MISTAKES_MOST || told_before(c, line, message)) return;
  c->reported++;
  if (c->report && c->report->line) c->report->line(c->report->ctx, c->file, line, message, warning);
}

void fail(struct compiler *c, unsigned line, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  tell(c, line, false, fmt, ap);
  va_end(ap);
}

void warn(struct compiler *c, unsigned line, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  tell(c, line, true, fmt, ap);
  va_end(ap);
}

struct hint did_you_mean(const struct nearest *n) {
  struct hint h = {""};
  if (n->best) snprintf(h.text, sizeof h.text, "; did you mean '%s'?", n->best);
  return h;
}

/* ---- memory of the pack -------------------------------------------------------------------- */

void *keep_alloc(struct compiler *c, size_t size) {
  void *p = arena_alloc(c->p->arena, size ? size : 1);
  if (p) return p;
  log_write(LOG_ERROR, "catalog", "the pack is larger than its memory");
  abort();
}

const char *keep(struct compiler *c, const char *text) {
  if (!text[0]) return "";
  size_t n = strlen(text) + 1;
  return memcpy(keep_alloc(c, n), text, n);
}

json_t *keep_json(struct compiler *c, json_t *v) {
  if (!v || json_array_append_new(c->p->kept, v)) abort();
  return v;
}

/* ---- nodes ------------------------------------------------------------------------------------ */

static bool in_words(const char *words, const char *word) {
  size_t n = strlen(word);
  for (const char *at = words; (at = strstr(at, word)) != NULL; at += n)
    if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == 0)) return true;
  return false;
}

bool keys(struct compiler *c, const struct yaml_node *n, const char *what, const char *allowed) {
  if (n->kind != YAML_NODE_MAP) {
    fail(c, n->line, "%s must be a map of %s", what, allowed);
    return false;
  }
  for (const struct yaml_node *k = n->first; k; k = k->next) {
    if (in_words(allowed, k->key) && !strchr(k->key, ' ')) continue;
    char *copy = base_strdup(allowed), *rest = copy;
    struct nearest near = {.wanted = k->key};
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) nearest_offer(&near, word);
    fail(c, k->key_line, "unknown key '%s' in %s%s", k->key, what, did_you_mean(&near).text);
    free(copy);
  }
  return true;
}

const struct yaml_node *want(struct compiler *c, const struct yaml_node *map, const char *what, const char *key) {
  const struct yaml_node *n = yaml_get(map, key);
  if (!n) fail(c, map->line, "%s has no '%s': add it", what, key);
  return n;
}

bool is_list(struct compiler *c, const struct yaml_node *n, const char *key) {
  if (n && n->kind != YAML_NODE_LIST) fail(c, n->line, "'%s' must be a list", key);
  return n && n->kind == YAML_NODE_LIST;
}

const char *scalar(struct compiler *c, const struct yaml_node *n, const char *key) {
  if (n->kind != YAML_NODE_SCALAR || !n->text[0]) {
    fail(c, n->line, "'%s' must be a single value, not %s", key,
         n->kind == YAML_NODE_MAP ? "a map" : n->kind == YAML_NODE_LIST ? "a list" : "empty");
    return NULL;
  }
  return n->text;
}

const char *scalar_of(struct compiler *c, const struct yaml_node *map, const char *key, const char *dflt) {
  const struct yaml_node *n = yaml_get(map, key);
  const char *text = n ? scalar(c, n, key) : NULL;
  return text ? keep(c, text) : dflt;
}

int word_of(struct compiler *c, const struct yaml_node *map, const char *key, const char *const *words, int dflt) {
  const struct yaml_node *n = yaml_get(map, key);
  const char *text = n ? scalar(c, n, key) : NULL;
  if (!text) return dflt;
  struct nearest near = {.wanted = text};
  char all[400] = "";
  for (int i = 0; words[i]; i++) {
    if (strcmp(words[i], text) == 0) return i;
    nearest_offer(&near, words[i]);
    size_t used = strlen(all);
    snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", words[i]);
  }
  if (near.best) fail(c, n->line, "unknown %s '%s'%s", key, text, did_you_mean(&near).text);
  else fail(c, n->line, "unknown %s '%s': it is one of %s", key, text, all);
  return dflt;
}

int64_t int_of(struct compiler *c, const struct yaml_node *map, const char *key, int64_t dflt, int64_t least, int64_t most) {
  const struct yaml_node *n = yaml_get(map, key);
  const char *text = n ? scalar(c, n, key) : NULL;
  int64_t v;
  if (!text) return dflt;
  if (parse_i64(text, &v) == 0 && v >= least && v <= most) return v;
  fail(c, n->line, "'%s' is '%s': it must be a whole number from %lld to %lld", key, text, (long long)least, (long long)most);
  return dflt;
}

bool bool_of(struct compiler *c, const struct yaml_node *map, const char *key, bool dflt) {
  const struct yaml_node *n = yaml_get(map, key);
  const char *text = n ? scalar(c, n, key) : NULL;
  if (!text) return dflt;
  if (strcmp(text, "true") == 0) return true;
  if (strcmp(text, "false") != 0) fail(c, n->line, "'%s' is '%s': it must be true or false", key, text);
  return strcmp(text, "false") == 0 ? false : dflt;
}

static const char *one_language(struct compiler *c, const struct yaml_node *n, const char *key, const char *lang, size_t most) {
  const struct yaml_node *t = yaml_get(n, lang);
  if (!t) {
    fail(c, n->line, "'%s' has no '%s': every text is written in both languages", key, lang);
    return "";
  }
  const char *text = scalar(c, t, lang);
  if (!text) return "";
  size_t length = utf8_length(text);
  if (length > most) fail(c, t->line, "'%s' has %zu characters in '%s': %zu at most", key, length, lang, most);
  return keep(c, text);
}

struct text text_node(struct compiler *c, const struct yaml_node *n, const char *key, size_t most) {
  struct text t = {"", ""};
  if (n->kind != YAML_NODE_MAP) {
    fail(c, n->line, "'%s' must be written in both languages: {fa: …, en: …}", key);
    return t;
  }
  keys(c, n, key, "fa en");
  t.fa = one_language(c, n, key, "fa", most);
  t.en = one_language(c, n, key, "en", most);
  return t;
}

struct text text_of(struct compiler *c, const struct yaml_node *map, const char *what, const char *key, size_t most, bool needed) {
  struct text none = {"", ""};
  const struct yaml_node *n = needed ? want(c, map, what, key) : yaml_get(map, key);
  return n ? text_node(c, n, key, most) : none;
}

struct texts texts_of(struct compiler *c, const struct yaml_node *map, const char *key, size_t most) {
  struct texts out = {NULL, 0};
  const struct yaml_node *n = yaml_get(map, key);
  if (!is_list(c, n, key)) return out;
  out.items = keep_alloc(c, n->count * sizeof *out.items);
  for (const struct yaml_node *i = n->first; i; i = i->next) out.items[out.count++] = text_node(c, i, key, most);
  return out;
}

const char *latn_of(struct compiler *c, const struct yaml_node *map) {
  const struct yaml_node *n = yaml_get(map, "latn");
  const char *text = n ? scalar(c, n, "latn") : NULL;
  size_t septets;
  if (!text) return "";
  if (!text_gsm7(text, &septets)) fail(c, n->line, "'latn' has letters that old telephones cannot show: write it in plain Latin letters");
  else if (septets > 60) fail(c, n->line, "'latn' has %zu characters: 60 at most", septets);
  return keep(c, text);
}

bool name_good(const char *name, char joint) {
  if (name[0] < 'a' || name[0] > 'z' || strlen(name) > 40) return false;
  for (const char *s = name; *s; s++)
    if (!((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == joint)) return false;
  return true;
}

const char *name_of(struct compiler *c, const struct yaml_node *map, const char *what, const char *key, char joint) {
  const struct yaml_node *n = want(c, map, what, key);
  const char *text = n ? scalar(c, n, key) : NULL;
  if (!text) return "";
  if (!name_good(text, joint))
    fail(c, n->line, "%s '%s' must begin with a small letter and hold small letters, digits and '%c' only (40 at most)", key, text, joint);
  return keep(c, text);
}

int organisation_of(struct compiler *c, const struct yaml_node *n, const char *key) {
  const char *text = scalar(c, n, key);
  if (!text) return -1;
  const struct directory *d = c->p->directory;
  int found = directory_find_organisation(d, text);
  if (found >= 0) return found;
  struct nearest near = {.wanted = text};
  for (size_t i = 0; i < directory_organisations(d); i++) nearest_offer(&near, directory_organisation(d, (int)i)->code);
  fail(c, n->line, "unknown organisation '%s' in '%s'%s", text, key, did_you_mean(&near).text);
  return -1;
}

/* ---- files ---------------------------------------------------------------------------------------- */

/* The bytes of U+200E/F, U+202A–E, U+2066–9. */
static bool direction_mark(const unsigned char *s) {
  if (s[0] != 0xE2) return false;
  if (s[1] == 0x80) return s[2] == 0x8E || s[2] == 0x8F || (s[2] >= 0xAA && s[2] <= 0xAE);
  return s[1] == 0x81 && s[2] >= 0xA6 && s[2] <= 0xA9;
}

static bool clean_text(struct compiler *c, const char *data, size_t n) {
  unsigned line = 1;
  if (!utf8_valid(data, n)) {
    fail(c, 1, "is not valid UTF-8: save it as UTF-8");
    return false;
  }
  for (size_t i = 0; i + 2 < n; i++) {
    if (data[i] == '\n') line++;
    if (!direction_mark((const unsigned char *)data + i)) continue;
    fail(c, line, "has a direction mark (an invisible character): delete it");
    return false;
  }
  return true;
}

char *source(struct compiler *c, const char *file, size_t *n) {
  struct err err = {0};
  char *path = base_printf("%s/%s", c->folder, file), *data = file_read(path, 0, n, &err);
  free(path);
  if (!data) fail(c, 0, "cannot be read: %s", err.message);
  else if (!clean_text(c, data, *n)) {
    free(data);
    data = NULL;
  }
  return data;
}

struct yaml_doc *source_yaml(struct compiler *c, const char *file) {
  size_t n = 0;
  unsigned line = 0;
  struct err err = {0};
  char *data = source(c, file, &n);
  if (!data) return NULL;
  struct yaml_doc *doc = yaml_read(data, n, &line, &err);
  if (!doc) fail(c, line, "%s", err.message);
  free(data);
  return doc;
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

size_t source_list(struct compiler *c, const char *folder, const char *ending, const char ***names) {
  char *path = base_printf("%s/%s", c->folder, folder);
  DIR *dir = opendir(path);
  size_t count = 0, room = 0, tail = strlen(ending);
  const char **list = NULL;
  free(path);
  for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
    size_t n = strlen(e->d_name);
    if (e->d_name[0] == '.') continue;
    if (n <= tail || strcmp(e->d_name + n - tail, ending) != 0) {
      char *name = base_printf("%s/%s", folder, e->d_name);
      c->file = keep(c, name);
      fail(c, 0, "%s holds files that end in %s only: rename or move it", folder, ending);
      free(name);
      continue;
    }
    if (count == room) list = base_realloc(list, (room = room ? 2 * room : 16) * sizeof *list);
    list[count++] = keep(c, e->d_name);
  }
  if (dir) closedir(dir);
  if (count) qsort(list, count, sizeof *list, by_name);
  *names = memcpy(keep_alloc(c, (count + 1) * sizeof *list), list ? list : (const char *[]){NULL}, count * sizeof *list);
  free(list);
  return count;
}
