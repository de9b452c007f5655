/* What the room of certificates needs of others. */
#include "app/app.h"

#include <stdlib.h>
#include <string.h>

/* Mustache writes for pages: on paper nothing is escaped, so each {{name}} becomes {{&name}}. */
static void for_paper(const char *text, struct buf *out) {
  for (const char *s = text; *s; s++) {
    buf_addc(out, *s);
    if (s[0] != '{' || s[1] != '{') continue;
    buf_addc(out, *++s);
    const char *name = s + 1 + strspn(s + 1, " ");
    if (!strchr("#^/!&{>=", *name)) buf_addc(out, '&');
  }
}

int paper_fill(void *ctx, const char *text, const json_t *values, struct buf *out, struct err *err) {
  (void)ctx;
  struct template_set *set = template_new();
  struct buf plain = {0};
  for_paper(text, &plain);
  int rc = template_add(set, "text", buf_str(&plain), err);
  if (rc == 0) rc = template_render(set, "text", values, out, err);
  template_free(set);
  buf_free(&plain);
  return rc;
}

int paper_due(void *ctx, struct store_tx *tx, const char *tracking, int64_t at, struct err *err) {
  (void)ctx;
  return certificates_due(tx, tracking, at, err);
}

int paper_forget(void *ctx, struct store_tx *tx, const char *tracking, struct err *err) {
  (void)ctx;
  return certificates_forget(tx, tracking, err);
}

/* Where the QR code of a paper leads: the public address, or the one that this process answers at. */
char *paper_address(const struct settings *s) {
  size_t n = strlen(s->base_url);
  while (n && s->base_url[n - 1] == '/') n--;
  return n ? base_printf("%.*s", (int)n, s->base_url) : base_printf("http://%s%s", s->listen[0] == ':' ? "localhost" : "", s->listen);
}
