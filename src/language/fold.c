#include "language/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

enum { SMALL = 0x700, PUNCTUATION = 0x2000, PUNCTUATION_END = 0x2070, SLOW = 0xFFFF };

static const UNormalizer2 *nfkc_fold, *nfd;
/* What one code point folds to: 0 nothing, ' ' a gap, SLOW when its string must take the long way, else the character.
 * Filled from the long way itself, so that both ways agree. */
static uint16_t small[SMALL], punctuation[PUNCTUATION_END - PUNCTUATION];

/* One character of fully decomposed, case-folded text. */
static int32_t fold_one(int32_t c) {
  switch (c) {
  case 0x640: return 0;                                          /* tatweel */
  case 0x671: case 0x672: case 0x673: return 0x627;              /* alef wasla and wavy hamza */
  case 0x629: case 0x6C1: case 0x6C3: case 0x6BE: case 0x6D5: return 0x647; /* teh marbuta and the other hehs */
  case 0x64A: case 0x649: case 0x6D2: return 0x6CC;              /* the yehs */
  case 0x643: case 0x6AA: return 0x6A9;                          /* the kafs */
  case '\r': case 0x85: return ' ';                              /* line ends, not mere controls */
  default: break;
  }
  if (is_invisible(c)) return 0;
  int32_t digit = u_charDigitValue(c);
  if (digit >= 0) return '0' + digit;
  switch (u_charType(c)) {
  case U_NON_SPACING_MARK: case U_ENCLOSING_MARK: case U_FORMAT_CHAR: return 0;
  case U_COMBINING_SPACING_MARK: return c;
  default: return u_isalnum(c) ? c : ' ';
  }
}

/* Collects folded characters: single gaps, none at the ends. */
struct out {
  char *w, *start;
  bool gap;
};

static void put(struct out *o, int32_t c) {
  if (c == 0) return;
  if (c == ' ') {
    o->gap = o->w != o->start;
    return;
  }
  if (o->gap) *o->w++ = ' ';
  o->gap = false;
  o->w += utf8_encode((uint32_t)c, o->w);
}

/* Normalise *u in place of itself (malloc'ed); false when that is impossible. */
static bool normalize(const UNormalizer2 *form, UChar **u, int32_t *units) {
  UErrorCode e = U_ZERO_ERROR;
  int32_t n = unorm2_normalize(form, *u, *units, NULL, 0, &e);
  UChar *v = e == U_BUFFER_OVERFLOW_ERROR || U_SUCCESS(e) ? text_room((size_t)n, sizeof *v) : NULL;
  if (!v) return false;
  e = U_ZERO_ERROR;
  unorm2_normalize(form, *u, *units, v, n + 1, &e);
  free(*u);
  *u = v;
  *units = n;
  return U_SUCCESS(e);
}

/* The long way, through NFD (which puts marks in order), NFKC_Casefold and NFD; a malloc'ed string, or NULL. */
static char *fold_long(const char *s, size_t n) {
  UErrorCode e = U_ZERO_ERROR;
  UChar *u = text_room(n, sizeof *u);
  char *out = NULL;
  int32_t units = 0;
  if (!u) return NULL;
  u_strFromUTF8(u, (int32_t)n + 1, &units, s, (int32_t)n, &e);
  if (U_FAILURE(e) || !normalize(nfd, &u, &units) || !normalize(nfkc_fold, &u, &units) || !normalize(nfd, &u, &units)) goto done;
  out = text_room(3 * (size_t)units, 1);
  if (!out) goto done;
  struct out o = {out, out, false};
  for (int32_t i = 0; i < units;) {
    UChar32 c;
    U16_NEXT(u, i, units, c);
    put(&o, fold_one(c));
  }
  *o.w = '\0';
done:
  free(u);
  return out;
}

/* Between two letters, so that gaps show. */
static uint16_t table_entry(int32_t c) {
  char text[8] = "x";
  if (c == 0 || c == 0x345) return SLOW; /* iota subscript: a letter whose place depends on the marks around it */
  size_t n = 1 + utf8_encode((uint32_t)c, text + 1);
  text[n++] = 'x';
  char *folded = fold_long(text, n);
  if (!folded) return SLOW;
  uint16_t entry = SLOW;
  const unsigned char *p = (const unsigned char *)folded + 1;
  int32_t only = next_char(&p);
  if (only == 'x' && !*p) entry = 0;
  else if (only < SMALL && *p == 'x' && !p[1]) entry = (uint16_t)only;
  free(folded);
  return entry;
}

int fold_init(struct err *err) {
  UErrorCode e = U_ZERO_ERROR;
  nfkc_fold = unorm2_getNFKCCasefoldInstance(&e);
  nfd = unorm2_getNFDInstance(&e);
  if (U_FAILURE(e)) return err_set(err, ERR_INTERNAL, "ICU: %s", u_errorName(e));
  for (int32_t c = 0; c < SMALL; c++) small[c] = table_entry(c);
  for (int32_t c = PUNCTUATION; c < PUNCTUATION_END; c++) punctuation[c - PUNCTUATION] = table_entry(c);
  return 0;
}

/* The short way: 1 when s needs the long one, -1 for invalid UTF-8, 0 done. out has room for strlen(s) + 1. */
static int fold_short(const char *s, char *out) {
  struct out o = {out, out, false};
  const unsigned char *p = (const unsigned char *)s;
  for (;;) {
    int32_t c = next_char(&p);
    if (c == 0) break;
    if (c < 0) return -1;
    uint16_t to = c < SMALL ? small[c] : c >= PUNCTUATION && c < PUNCTUATION_END ? punctuation[c - PUNCTUATION] : SLOW;
    if (to == SLOW) return utf8_valid(s, strlen(s)) ? 1 : -1;
    put(&o, to);
  }
  *o.w = '\0';
  return 0;
}

char *text_fold(struct arena *a, const char *s) {
  if (!s) return NULL;
  size_t n = strlen(s);
  if (n > 16u * 1024 * 1024) return NULL;
  char *out = arena_alloc(a, n + 1);
  if (!out) return NULL;
  int way = fold_short(s, out);
  if (way < 0) return NULL;
  if (way == 0) return out;
  char *folded = fold_long(s, n);
  if (!folded) return NULL;
  size_t length = strlen(folded);
  if (length <= n) memcpy(out, folded, length + 1);
  else out = arena_strdup(a, folded);
  free(folded);
  return out;
}

static uint32_t hash(const char *s) {
  uint32_t h = 2166136261u;
  for (; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
  return h;
}

size_t text_terms(struct arena *a, const char *s, const char **terms, size_t most) {
  char *folded = text_fold(a, s);
  if (!folded || !*folded || most == 0) return 0;
  size_t words = 1, slots = 8, n = 0;
  for (const char *p = folded; *p; p++) words += *p == ' ';
  if (words > most) words = most;
  while (slots < words * 2) slots *= 2;
  uint32_t *seen = arena_alloc(a, slots * sizeof *seen); /* index + 1 into terms */
  if (!seen) return 0;
  for (char *w = folded; w && n < most;) {
    char *end = strchr(w, ' ');
    if (end) *end++ = '\0';
    size_t at = hash(w) & (slots - 1);
    while (seen[at] && strcmp(terms[seen[at] - 1], w) != 0) at = (at + 1) & (slots - 1);
    if (!seen[at]) {
      terms[n++] = w;
      seen[at] = (uint32_t)n;
    }
    w = end;
  }
  return n;
}
