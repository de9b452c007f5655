#include "base/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MOST_BYTES = 4 * 1024 * 1024, MOST_NODES = 200000, MOST_DEPTH = 24 };

struct yaml_doc {
  struct arena *arena;
  struct yaml_node *root;
};

struct level {
  struct yaml_node *node;
  struct yaml_node *last;   /* its last child */
  const char *key;          /* a map's key that waits for its value */
  unsigned key_line;
};

struct builder {
  struct yaml_doc *doc;
  struct level levels[MOST_DEPTH];
  unsigned depth;
  size_t nodes;
  bool ended, second;
  unsigned line;            /* where the last mistake stands */
  char message[300];
};

static int mistake(struct builder *b, yaml_mark_t at, const char *message)
{
  b->line = (unsigned)at.line + 1;
  snprintf(b->message, sizeof b->message, "%s", message);
  return -1;
}

static struct yaml_node *node_new(struct builder *b, yaml_mark_t at, enum yaml_kind kind)
{
  if (++b->nodes > MOST_NODES) {
    mistake(b, at, "more than 200,000 nodes");
    return NULL;
  }
  struct yaml_node *n = arena_alloc(b->doc->arena, sizeof *n);
  if (!n) {
    mistake(b, at, "the document is too large");
    return NULL;
  }
  n->kind = kind;
  n->line = (unsigned)at.line + 1;
  n->column = (unsigned)at.column + 1;
  return n;
}

/* Hang a node under the open list or map, or make it the root. */
static int hang(struct builder *b, yaml_mark_t at, struct yaml_node *n)
{
  if (!b->depth) {
    if (b->doc->root) return mistake(b, at, "more than one root");
    b->doc->root = n;
    return 0;
  }
  struct level *up = &b->levels[b->depth - 1];
  if (up->node->kind == YAML_NODE_MAP) {
    if (!up->key) return mistake(b, at, "a key must be a plain text");
    n->key = up->key;
    n->key_line = up->key_line;
    up->key = NULL;
  }
  if (up->last) up->last->next = n;
  else up->node->first = n;
  up->last = n;
  up->node->count++;
  return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *e)
{
  const char *value = (const char *)e->data.scalar.value;
  size_t n = e->data.scalar.length;
  if (memchr(value, 0, n)) return mistake(b, e->start_mark, "NUL in a text");
  char *text = arena_strndup(b->doc->arena, value, n);
  if (!text) return mistake(b, e->start_mark, "the document is too large");
  struct level *up = b->depth ? &b->levels[b->depth - 1] : NULL;
  if (up && up->node->kind == YAML_NODE_MAP && !up->key) {
    if (!*text) return mistake(b, e->start_mark, "an empty key");
    up->key = text;
    up->key_line = (unsigned)e->start_mark.line + 1;
    return 0;
  }
  struct yaml_node *node = node_new(b, e->start_mark, YAML_NODE_SCALAR);
  if (!node) return -1;
  node->text = text;
  node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
  return hang(b, e->start_mark, node);
}

static int on_start(struct builder *b, const yaml_event_t *e, enum yaml_kind kind)
{
  if (b->depth == MOST_DEPTH) return mistake(b, e->start_mark, "nested deeper than 24 levels");
  struct yaml_node *node = node_new(b, e->start_mark, kind);
  if (!node || hang(b, e->start_mark, node)) return -1;
  b->levels[b->depth++] = (struct level){.node = node};
  return 0;
}

static int by_key(const void *a, const void *b)
{
  const struct yaml_node *x = *(const struct yaml_node *const *)a, *y = *(const struct yaml_node *const *)b;
  int c = strcmp(x->key, y->key);
  if (c) return c;
  return x->key_line < y->key_line ? -1 : x->key_line > y->key_line;
}

static int on_end(struct builder *b)
{
  const struct yaml_node *map = b->levels[--b->depth].node;
  if (map->kind != YAML_NODE_MAP || map->count < 2) return 0;
  const struct yaml_node **sorted = base_alloc(map->count * sizeof(*sorted));
  size_t n = 0;
  int result = 0;
  for (const struct yaml_node *c = map->first; c; c = c->next) sorted[n++] = c;
  qsort(sorted, n, sizeof *sorted, by_key);
  for (size_t i = 1; i < n && !result; i++) {
    if (strcmp(sorted[i - 1]->key, sorted[i]->key)) continue;
    char message[200];
    snprintf(message, sizeof message, "the key \"%.80s\" was already given on line %u", sorted[i]->key, sorted[i - 1]->key_line);
    result = mistake(b, (yaml_mark_t){.line = sorted[i]->key_line - 1}, message);
  }
  free(sorted);
  return result;
}

static int on_event(struct builder *b, const yaml_event_t *e)
{
  const yaml_char_t *anchor = NULL, *tag = NULL;
  if (e->type == YAML_SCALAR_EVENT) anchor = e->data.scalar.anchor, tag = e->data.scalar.tag;
  if (e->type == YAML_SEQUENCE_START_EVENT) anchor = e->data.sequence_start.anchor, tag = e->data.sequence_start.tag;
  if (e->type == YAML_MAPPING_START_EVENT) anchor = e->data.mapping_start.anchor, tag = e->data.mapping_start.tag;
  if (anchor || e->type == YAML_ALIAS_EVENT) return mistake(b, e->start_mark, "anchors and aliases are not allowed");
  if (tag) return mistake(b, e->start_mark, "tags are not allowed");
  switch (e->type) {
  case YAML_DOCUMENT_START_EVENT:
    if (b->second) return mistake(b, e->start_mark, "more than one document");
    b->second = true;
    if (e->data.document_start.version_directive || e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
      return mistake(b, e->start_mark, "directives are not allowed");
    return 0;
  case YAML_SCALAR_EVENT:
    return on_scalar(b, e);
  case YAML_SEQUENCE_START_EVENT:
    return on_start(b, e, YAML_NODE_LIST);
  case YAML_MAPPING_START_EVENT:
    return on_start(b, e, YAML_NODE_MAP);
  case YAML_SEQUENCE_END_EVENT:
  case YAML_MAPPING_END_EVENT:
    return on_end(b);
  case YAML_STREAM_END_EVENT:
    b->ended = true;
    return b->doc->root ? 0 : mistake(b, (yaml_mark_t){0}, "the document is empty");
  default:
    return 0;
  }
}

static int build(struct builder *b, const char *data, size_t n)
{
  yaml_parser_t parser;
  if (!yaml_parser_initialize(&parser)) base_die("out of memory");
  yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser, (const unsigned char *)data, n);
  int result = 0;
  while (!result && !b->ended) {
    yaml_event_t e;
    if (!yaml_parser_parse(&parser, &e)) {
      result = mistake(b, parser.problem_mark, parser.problem ? parser.problem : "cannot be read");
      if (parser.error == YAML_READER_ERROR) { /* it knows bytes only */
        size_t end = parser.problem_offset < n ? parser.problem_offset : n;
        b->line = 1;
        for (size_t i = 0; i < end; i++) b->line += data[i] == '\n';
      }
      break;
    }
    result = on_event(b, &e);
    yaml_event_delete(&e);
  }
  yaml_parser_delete(&parser);
  return result;
}

struct yaml_doc *yaml_read(const char *data, size_t n, unsigned *line, struct err *err)
{
  struct builder b = {0};
  if (line) *line = 1;
  if (n > MOST_BYTES) {
    err_set(err, ERR_LIMIT, "a YAML file of more than %d bytes", MOST_BYTES);
    return NULL;
  }
  b.doc = base_alloc(sizeof *b.doc);
  b.doc->arena = arena_new((size_t)64 * 1024 * 1024);
  if (!build(&b, n ? data : "", n)) return b.doc;
  if (line) {
    *line = b.line;
    err_set(err, ERR_MALFORMED, "%s", b.message);
  } else {
    err_set(err, ERR_MALFORMED, "line %u: %s", b.line, b.message);
  }
  yaml_doc_free(b.doc);
  return NULL;
}

void yaml_doc_free(struct yaml_doc *d)
{
  if (!d) return;
  arena_free(d->arena);
  free(d);
}

const struct yaml_node *yaml_root(const struct yaml_doc *d)
{
  return d->root;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
  if (!map || map->kind != YAML_NODE_MAP) return NULL;
  for (const struct yaml_node *n = map->first; n; n = n->next)
    if (!strcmp(n->key, key)) return n;
  return NULL;
}

static const char *digits(const char *s)
{
  while (*s >= '0' && *s <= '9') s++;
  return s;
}

/* Numbers as JSON writes them; so 0912… and +98… stay texts. */
static json_t *number(const char *s)
{
  const char *p = s + (*s == '-'), *q = digits(p);
  int64_t whole;
  if (q == p || (*p == '0' && q - p > 1)) return NULL;
  if (!*q) return parse_i64(s, &whole) ? NULL : json_integer(whole);
  if (*q == '.') {
    p = q + 1;
    q = digits(p);
    if (q == p) return NULL;
  }
  if (*q == 'e' || *q == 'E') {
    p = q + 1;
    if (*p == '+' || *p == '-') p++;
    q = digits(p);
    if (q == p) return NULL;
  }
  return *q ? NULL : json_real(strtod(s, NULL)); /* NULL again beyond a double */
}

static json_t *scalar(const struct yaml_node *n)
{
  const char *s = n->text;
  json_t *v = NULL;
  if (!n->quoted) {
    if (!*s || !strcmp(s, "~") || !strcmp(s, "null")) return json_null();
    if (!strcmp(s, "true")) return json_true();
    if (!strcmp(s, "false")) return json_false();
    v = number(s);
  }
  if (!v) v = json_string(s);
  if (!v) base_die("cannot make a JSON string");
  return v;
}

json_t *yaml_to_json(const struct yaml_node *n)
{
  if (!n) return json_null();
  if (n->kind == YAML_NODE_SCALAR) return scalar(n);
  json_t *v = n->kind == YAML_NODE_MAP ? json_object() : json_array();
  if (!v) base_die("out of memory");
  for (const struct yaml_node *c = n->first; c; c = c->next) {
    json_t *child = yaml_to_json(c);
    int failed = n->kind == YAML_NODE_MAP ? json_object_set_new(v, c->key, child) : json_array_append_new(v, child);
    if (failed) base_die("cannot set a JSON member");
  }
  return v;
}
