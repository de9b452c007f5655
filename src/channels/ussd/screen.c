#include "channels/ussd/inside.h"

#include <stdio.h>
#include <string.h>

const char *menu_word(const struct turn *t, const char *key) {
  char full[64];
  if (t->tongue == TONGUE_LATN) {
    snprintf(full, sizeof full, "ussd.latn.%s", key);
    if (word_known(full)) return word(LANG_FA, full);
  }
  snprintf(full, sizeof full, "ussd.%s", key);
  return word(t->tongue == TONGUE_FA ? LANG_FA : LANG_EN, full);
}

const char *menu_label(const struct turn *t, const struct text *text, const char *latn) {
  if (t->tongue == TONGUE_LATN && latn && latn[0]) return latn;
  return text_in(text, t->tongue == TONGUE_FA ? LANG_FA : LANG_EN);
}

const char *digits_of(const struct turn *t, const char *s) {
  const char *d = digits_local(t->a, t->tongue == TONGUE_FA ? LANG_FA : LANG_EN, s);
  return d ? d : s;
}

size_t screen_limit(const struct turn *t, const char *text) {
  size_t septets;
  if (text_gsm7(text, &septets)) return (size_t)t->carrier->gsm;
  return (size_t)t->carrier->unicode;
}

bool screen_fits(const struct turn *t, const char *text) {
  size_t septets;
  size_t limit = screen_limit(t, text);
  return text_gsm7(text, &septets) ? septets <= limit : text_utf16(text) <= limit;
}

const char *screen_cut(struct turn *t, const char *text) {
  char *s = arena_strdup(t->a, text);
  if (!s) return "";
  while (*s && !screen_fits(t, s)) {
    size_t n = strlen(s);
    do n--;
    while (n && ((unsigned char)s[n] & 0xc0) == 0x80);
    s[n] = 0;
  }
  return s;
}

static char *join(struct turn *t, const char *a, const char *b) {
  char *s = a[0] && b[0] ? arena_printf(t->a, "%s\n%s", a, b) : arena_strdup(t->a, a[0] ? a : b);
  return s ? s : (char *)"";
}

/* What leads on from a page: 99 more (when there is), 0 back (or what 0 does here; 00 to the menu where 0 is an answer). */
static const char *ways(struct turn *t, bool more) {
  const char *back = arena_printf(t->a, "%s %s", digits_of(t, base_same(t->zero, "menu") ? "00" : "0"), menu_word(t, t->zero ? t->zero : "back"));
  return more ? join(t, arena_printf(t->a, "%s %s", digits_of(t, "99"), menu_word(t, "more")), back) : back;
}

/* What was wrong, in full or in a word, above a screen that has room for it; pages stay the same with and without. */
const char *screen_with_fault(struct turn *t, const char *screen) {
  const char *said[] = {t->fault, menu_word(t, "wrong")};
  for (size_t i = 0; t->fault && i < BASE_COUNT(said); i++) {
    const char *all = join(t, said[i], screen);
    if (screen_fits(t, all)) return all;
  }
  return screen;
}

const char *screen_prompt(struct turn *t, const char *title, const char *hint) {
  const char *screen = join(t, hint[0] ? join(t, title, hint) : title, ways(t, false));
  if (!screen_fits(t, screen)) screen = join(t, title, ways(t, false));
  return screen_with_fault(t, screen_fits(t, screen) ? screen : screen_cut(t, title));
}

const char *screen_list(struct turn *t, const char *title, const char *const *lines, const char *const *numbers, size_t count) {
  int64_t page = json_int(t->state, "page", 0);
  size_t i = 0;
  const char *out = "";
  for (int64_t p = 0;; p++) {
    const char *body = screen_fits(t, join(t, title, ways(t, true))) ? title : screen_cut(t, title);
    size_t began = i;
    for (; i < count; i++) {
      char own[24];
      snprintf(own, sizeof own, "%zu", i + 1);
      const char *number = digits_of(t, numbers ? numbers[i] : own), *line = arena_printf(t->a, "%s %s", number, lines[i]);
      bool more = i + 1 < count;
      const char *next = line ? join(t, body, line) : body;
      if (!screen_fits(t, join(t, next, ways(t, more)))) {
        if (i > began) break;
        /* not even one line fits under the title: the title goes, then the line is cut */
        for (next = line; next && next[0] && !screen_fits(t, join(t, next, ways(t, more)));) {
          size_t n = strlen(next);
          do n--;
          while (n && ((unsigned char)next[n] & 0xc0) == 0x80);
          next = arena_strndup(t->a, next, n);
        }
      }
      body = next ? next : "";
    }
    out = join(t, body, ways(t, i < count));
    if (p == page || i >= count) {
      json_object_set_new(t->state, "page", json_integer(p));
      return screen_with_fault(t, out);
    }
  }
}

const char *screen_text(struct turn *t, const char *text, bool *last) {
  int64_t page = json_int(t->state, "page", 0);
  const char *more = arena_printf(t->a, "%s %s", digits_of(t, "99"), menu_word(t, "more"));
  *last = screen_fits(t, text);
  if (*last) return text;
  const char *at = text;
  for (int64_t p = 0;; p++) {
    if (screen_fits(t, at)) {
      *last = true;
      return at;
    }
    size_t n = 0, space = 0, line = 0;
    const char *end = at + strlen(at), *s = at;
    while (s < end) {
      const char *before = s;
      if (utf8_next(&s, end) < 0) break;
      const char *try = arena_strndup(t->a, at, (size_t)(s - at));
      if (!try || !screen_fits(t, join(t, try, more))) break;
      n = (size_t)(s - at);
      if (*before == ' ') space = n;
      if (*before == '\n') line = n;
    }
    if (line > n / 2) n = line;
    else if (space > n / 2) n = space;
    if (n == 0) n = (size_t)(s - at);
    if (p == page) {
      while (n && (at[n - 1] == ' ' || at[n - 1] == '\n')) n--;
      return join(t, arena_strndup(t->a, at, n), more);
    }
    at += n;
  }
}
