#include "http/inner.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct http_field *fields, size_t n, const char *body, size_t size)
{
  for (size_t i = 0; i < n; i++) {
    const struct http_field *f = &fields[i];
    if (!f->name || !*f->name || strlen(f->name) > 100 || f->size > size || (body && (f->value < body || f->value + f->size > body + size))) abort();
    if (!f->filename && (strlen(f->value) != f->size || !utf8_valid(f->value, f->size))) abort();
  }
}

/* The first line is the media type, the rest the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
  size_t head = line ? (size_t)(line - data) : 0, n, left = line ? size - head - 1 : size;
  char *type = line ? base_alloc(head + 1) : base_strdup("multipart/form-data; boundary=b");
  char *body = base_alloc(left + 1);
  struct arena *a = arena_new(HTTP_ARENA);
  struct http_field *fields = base_alloc(HTTP_MOST_FIELDS * sizeof *fields);
  struct err err;
  if (line) memcpy(type, data, head);
  if (left) memcpy(body, data + size - left, left);
  if (!form_urlencoded(a, body, left, fields, &n, &err)) check(fields, n, NULL, left);
  if (!form_multipart(a, body, left, type, fields, &n, &err)) check(fields, n, body, left);
  free(fields);
  arena_free(a);
  free(body);
  free(type);
  return 0;
}
