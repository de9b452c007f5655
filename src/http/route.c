#include "http/inner.h"

#include <stdlib.h>
#include <string.h>

const char *const http_methods[METHODS] = {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"};

/* A trie of segments. Under each node: static children, one child for any segment, and rows that take the rest. */
struct node {
  char *text;
  size_t size;
  struct node **children; size_t child_count;
  struct node *any;
  struct row *rows[METHODS], *rest[METHODS];
};

struct router { struct node root; unsigned every; };

struct router *router_new(void)
{
  return base_alloc(sizeof(struct router));
}

static void node_clear(struct node *n)
{
  for (size_t i = 0; i < n->child_count; i++) {
    node_clear(n->children[i]);
    free(n->children[i]);
  }
  if (n->any) {
    node_clear(n->any);
    free(n->any);
  }
  free(n->children);
  free(n->text);
}

void router_free(struct router *r)
{
  if (!r) return;
  node_clear(&r->root);
  free(r);
}

static struct node *child(const struct node *n, const char *text, size_t size)
{
  size_t lo = 0, hi = n->child_count;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    const struct node *c = n->children[mid];
    int order = memcmp(text, c->text, size < c->size ? size : c->size);
    if (!order) order = (size > c->size) - (size < c->size);
    if (!order) return n->children[mid];
    if (order < 0) hi = mid; else lo = mid + 1;
  }
  return NULL;
}

static int by_text(const void *a, const void *b)
{
  const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
  return strcmp(x->text, y->text);
}

static struct node *child_make(struct node *n, const char *text, size_t size)
{
  struct node *c = child(n, text, size);
  if (c) return c;
  c = base_alloc(sizeof *c);
  c->text = base_alloc(size + 1);
  memcpy(c->text, text, size);
  c->size = size;
  n->children = base_realloc(n->children, (n->child_count + 1) * sizeof *n->children);
  n->children[n->child_count++] = c;
  qsort(n->children, n->child_count, sizeof *n->children, by_text);
  return c;
}

static int method_of(const char *name)
{
  for (int i = 0; i < METHODS; i++)
    if (!strcmp(name, http_methods[i])) return i;
  return -1;
}

/* {name} or {name...} */
static int add_name(struct row *row, const char *s, size_t size, struct err *err)
{
  size_t n = size - 2;
  row->rest = n > 3 && !memcmp(s + size - 4, "...", 3);
  if (row->rest) n -= 3;
  if (size < 3 || row->name_count == HTTP_MOST_PARAMS)
    return err_set(err, ERR_INTERNAL, "route %s: too many parameters, or one without a name", row->route->path);
  char *name = base_alloc(n + 1);
  memcpy(name, s + 1, n);
  row->names[row->name_count++] = name;
  return 0;
}

/* Put a row where its methods are looked up. */
static int place_row(struct router *r, struct node *n, struct row *row, int method, struct err *err)
{
  struct row **place = row->rest ? &n->rest[method] : &n->rows[method];
  if (*place)
    return err_set(err, ERR_INTERNAL, "route %s %s has the shape of %s", row->route->method, row->route->path, (*place)->route->path);
  *place = row;
  r->every |= 1u << method;
  return 0;
}

int router_add(struct router *r, struct row *row, struct err *err)
{
  const struct http_route *route = row->route;
  bool all = !strcmp(route->method, "*");
  int method = method_of(route->method);
  if ((method < 0 && !all) || route->path[0] != '/' || !route->handler)
    return err_set(err, ERR_INTERNAL, "route %s %s: method, path or handler is wrong", route->method, route->path);
  if (route->cross == HTTP_SAFE && method != METHOD_GET)
    return err_set(err, ERR_INTERNAL, "route %s %s: only reads may be HTTP_SAFE", route->method, route->path);
  struct node *n = &r->root;
  for (const char *s = route->path + 1; *s; s += *s == '/') {
    size_t size = strcspn(s, "/");
    if (!size || row->rest) return err_set(err, ERR_INTERNAL, "route %s: an empty segment, or one after the rest", route->path);
    if (s[0] == '{' && s[size - 1] == '}') {
      if (add_name(row, s, size, err)) return -1;
      if (!row->rest) {
        if (!n->any) n->any = base_alloc(sizeof *n->any);
        n = n->any;
      }
    } else {
      n = child_make(n, s, size);
    }
    s += size;
  }
  for (int i = 0; i < METHODS; i++)
    if ((all || i == method) && place_row(r, n, row, i, err)) return -1;
  return 0;
}

/* One of the rows here answers the method? Note which methods the shape knows. */
static bool take(struct row *const rows[METHODS], int method, struct found *out)
{
  for (int i = 0; i < METHODS; i++)
    if (rows[i]) out->allowed |= 1u << i;
  if (method < 0 || !rows[method]) return false;
  out->row = rows[method];
  return true;
}

static bool find(const struct node *n, int method, const struct target *t, size_t count, size_t i, size_t depth, struct found *out)
{
  if (i == count) return take(n->rows, method, out);
  const struct segment *s = &t->segments[i];
  if (s->size && !s->slash) {
    const struct node *c = child(n, s->text, s->size);
    if (c && find(c, method, t, count, i + 1, depth, out)) return true;
    if (n->any && depth < HTTP_MOST_PARAMS) {
      out->values[depth] = s->text;
      out->sizes[depth] = s->size;
      if (find(n->any, method, t, count, i + 1, depth + 1, out)) return true;
    }
  }
  /* A machine's path is passed on as it came, with its double slashes. */
  const struct row *rest = method >= 0 ? n->rest[method] : NULL;
  for (size_t k = i; k < count && !(rest && rest->route->cross == HTTP_MACHINE); k++)
    if (!t->segments[k].size && (k == i || k + 1 < count)) return false;
  if (depth == HTTP_MOST_PARAMS || !take(n->rest, method, out)) return false;
  out->values[depth] = s->text;
  out->sizes[depth] = strlen(s->text);
  return true;
}

void router_find(const struct router *r, int method, const struct target *t, size_t count, struct found *out)
{
  out->row = NULL;
  out->allowed = 0;
  find(&r->root, method, t, count, 0, 0, out);
}

unsigned router_every(const struct router *r)
{
  return r->every;
}

void router_allow(unsigned allowed, char out[64])
{
  int n = 0;
  for (int i = 0; i < METHODS; i++)
    if (i != METHOD_OPTIONS && (allowed & 1u << i)) n += snprintf(out + n, (size_t)(64 - n), "%s%s", http_methods[i], i == METHOD_GET ? ", HEAD, " : ", ");
  snprintf(out + n, (size_t)(64 - n), "OPTIONS");
}
