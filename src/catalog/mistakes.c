/* The compiler speaks English; whoever reads its mistakes in a page reads them in their own language. A message is found again among the texts
 * mistake.* of locale/words-mistakes.csv, whose English side is the compiler's format with {1}, {2}… in the place of what it names. */
#include "catalog/catalog.h"

#include <string.h>

enum { PARTS_MOST = 6, DEPTH_MOST = 3 };
#define HINT "; did you mean '"
#define ISOLATE "\xE2\x81\xA8" /* first strong isolate, and its end: a name in Latin letters within a Persian sentence */
#define ISOLATE_END "\xE2\x81\xA9"

struct part { const char *from; size_t size; };
struct found { const char *key; size_t literal; struct part parts[PARTS_MOST]; };

static int hole(const char *s) { return s[0] == '{' && s[1] >= '1' && s[1] < '1' + PARTS_MOST && s[2] == '}' ? s[1] - '1' : -1; }

/* Does text, of n bytes, read like the pattern? Each hole takes as little as it can. */
static bool reads(const char *pattern, const char *text, size_t n, struct found *f) {
  int k = -1;
  for (; *pattern && (k = hole(pattern)) < 0; pattern++, text++, n--, f->literal++)
    if (n == 0 || *pattern != *text) return false;
  if (!*pattern) return n == 0;
  size_t literal = f->literal;
  for (size_t size = 1; size <= n; size++) {
    f->literal = literal;
    f->parts[k] = (struct part){text, size};
    if (reads(pattern + 3, text + size, n - size, f)) return true;
  }
  return false;
}

/* The pattern that says most of it in its own words. */
static bool find(const char *text, size_t n, struct found *best) {
  json_t *all = json_object_get(words_all(LANG_EN), "mistake"), *one;
  const char *key;
  bool any = false;
  json_object_foreach(all, key, one) {
    struct found f = {.key = key};
    if (!reads(json_string_value(one), text, n, &f) || (any && f.literal <= best->literal)) continue;
    *best = f;
    any = true;
  }
  return any;
}

static void say(struct buf *b, enum lang l, const char *text, size_t n, int depth) {
  struct found f;
  int k;
  if (depth > DEPTH_MOST || !find(text, n, &f)) {
    if (depth) buf_adds(b, ISOLATE);
    buf_add(b, text, n);
    if (depth) buf_adds(b, ISOLATE_END);
    return;
  }
  for (const char *s = json_str(json_object_get(words_all(l), "mistake"), f.key); *s; s++) {
    if ((k = hole(s)) < 0) {
      buf_add(b, s, 1);
      continue;
    }
    if (f.parts[k].from) say(b, l, f.parts[k].from, f.parts[k].size, depth + 1);
    s += 2;
  }
}

const char *mistake_text(struct arena *a, enum lang l, const char *message) {
  if (l == LANG_EN) return message;
  struct buf b = {0};
  const char *hint = strstr(message, HINT);
  say(&b, l, message, hint ? (size_t)(hint - message) : strlen(message), 0);
  if (hint) say(&b, l, hint, strlen(hint), 0);
  const char *out = buf_overflowed(&b) ? message : arena_strdup(a, buf_str(&b));
  buf_free(&b);
  return out;
}
