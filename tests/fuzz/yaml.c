/* Every node that yaml_read returns has its place, and the whole becomes JSON. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

static void walk(const struct yaml_node *n, unsigned depth)
{
  size_t count = 0;
  if (depth > 25 || !n->line || !n->column || (n->kind == YAML_NODE_SCALAR) != (n->text != NULL)) abort();
  for (const struct yaml_node *c = n->first; c; c = c->next, count++) {
    if ((n->kind == YAML_NODE_MAP) != (c->key != NULL) || (c->key && !c->key_line)) abort();
    walk(c, depth + 1);
  }
  if (count != n->count) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct err err = {0};
  unsigned line = 0;
  struct yaml_doc *d = yaml_read((const char *)data, size, &line, &err);
  if (!d) {
    if (!line || err.code == ERR_NONE || !*err.message) abort();
    return 0;
  }
  walk(yaml_root(d), 1);
  json_t *v = yaml_to_json(yaml_root(d));
  char *text = json_canonical(v);
  free(text);
  json_decref(v);
  yaml_doc_free(d);
  return 0;
}
