#include "http/inner.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Addresses, queries and lists in headers. What is accepted must be clean. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct arena *a = arena_new(HTTP_ARENA);
  struct target t;
  struct http_pair pairs[HTTP_MOST_QUERY];
  size_t n;
  bool unclean;
  char *text = base_alloc(size + 2);
  text[0] = '/';
  if (size) memcpy(text + 1, data, size);
  if (!url_path(a, text, &t) && (!utf8_valid(t.path, strlen(t.path)) || strstr(t.path, "/../"))) abort();
  if (!url_pairs(a, (const char *)data, size, pairs, HTTP_MOST_QUERY, &n, &unclean))
    for (size_t i = 0; i < n; i++)
      if (!utf8_valid(pairs[i].value, strlen(pairs[i].value))) abort();
  int q = accept_quality(text, "gzip");
  if (q < -1 || q > 1000) abort();
  etag_matches(text + 1, "\"abc\"");
  is_token(text + 1, strlen(text + 1));
  arena_free(a);
  free(text);
  return 0;
}
