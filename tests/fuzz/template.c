#include "http/template.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A template, with itself as a partial, over a fixed context. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static json_t *context;
  if (!context) context = json_loads("{\"a\":{\"b\":[1,\"<\",{\"c\":null}],\"t\":true},\"l\":[{\"x\":1.5},[]],\"s\":\"\"}", 0, NULL);
  char *text = base_alloc(size + 1);
  if (size) memcpy(text, data, size);
  struct template_set *s = template_new();
  struct err err;
  struct buf out;
  buf_init(&out, 64 * 1024);
  if (!template_add(s, "p", text, &err)) template_render(s, "p", context, &out, &err);
  buf_free(&out);
  template_free(s);
  free(text);
  return 0;
}
