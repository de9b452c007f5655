#include "language/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* CLDR's signs: the Persian minus stands behind a left-to-right mark so that it stays before its number. */
static const char *minus(enum lang l) { return l == LANG_FA ? "\u200E\u2212" : "-"; }

/* n ASCII digits in threes, with the sign, in the language's digits; appended to b. */
static void put_grouped(struct buf *b, enum lang l, bool negative, const char *digits, size_t n) {
  if (negative) buf_adds(b, minus(l));
  for (size_t i = 0; i < n; i++) {
    if (i && (n - i) % 3 == 0) buf_adds(b, l == LANG_FA ? "\u066C" : ",");
    buf_addc(b, digits[i]);
  }
}

static char *finish(struct arena *a, enum lang l, struct buf *b) {
  char *out = digits_local(a, l, buf_str(b));
  buf_free(b);
  return out;
}

static uint64_t magnitude(int64_t n) { return n < 0 ? 0 - (uint64_t)n : (uint64_t)n; }

char *number_format(struct arena *a, enum lang l, int64_t n) {
  char digits[24];
  struct buf b = {0};
  int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)magnitude(n));
  put_grouped(&b, l, n < 0, digits, (size_t)len);
  return finish(a, l, &b);
}

char *money_format(struct arena *a, enum lang l, int64_t rial) {
  char *amount = number_format(a, l, rial);
  return amount ? word_fill(a, l, rial == 1 || rial == -1 ? "money.rial_one" : "money.rial", "amount", amount, NULL) : NULL;
}

char *number_decimal(struct arena *a, enum lang l, double v, int places) {
  char digits[400];
  struct buf b = {0};
  if (!isfinite(v)) return arena_strdup(a, "\u2014");
  places = places < 0 ? 0 : places > 9 ? 9 : places;
  snprintf(digits, sizeof digits, "%.*f", places, fabs(v));
  size_t whole = strspn(digits, "0123456789");
  bool zero = strspn(digits, "0.,") == strlen(digits);
  put_grouped(&b, l, v < 0 && !zero, digits, whole);
  if (places) {
    buf_adds(&b, l == LANG_FA ? "\u066B" : ".");
    buf_adds(&b, digits + whole + 1);
  }
  return finish(a, l, &b);
}

/* Beside Persian digits the sign would stand left or right of them by what comes before (UAX #9, W2 and W5): the mark between makes it one of the right-to-left
 * line that the isolate opens, and what is around sees neither. */
char *number_percent(struct arena *a, enum lang l, double percent, int places) {
  char *number = number_decimal(a, l, percent, places);
  return number ? arena_printf(a, l == LANG_FA ? "\u2067%s\u200F٪\u2069" : "%s%%", number) : NULL;
}

static const char *number_word(const char *group, int n) {
  char key[32];
  snprintf(key, sizeof key, "number.%s%d", group, n);
  return word_known(key) ? word(LANG_FA, key) : "";
}

static void put_word(struct buf *b, bool *first, const char *text) {
  if (!*first) buf_adds(b, word(LANG_FA, "number.and"));
  *first = false;
  buf_adds(b, text);
}

/* 1 … 999 */
static void put_below_thousand(struct buf *b, bool *first, int n) {
  if (n >= 100) put_word(b, first, number_word("", n / 100 * 100));
  n %= 100;
  if (n >= 20) {
    put_word(b, first, number_word("", n / 10 * 10));
    n %= 10;
  }
  if (n) put_word(b, first, number_word("", n));
}

char *number_words_fa(struct arena *a, int64_t n) {
  struct buf b = {0};
  uint64_t left = magnitude(n), unit = 1000000000000000000u;
  bool first = true;
  if (n == 0) return arena_strdup(a, number_word("", 0));
  if (n < 0) buf_adds(&b, word(LANG_FA, "number.minus"));
  for (int scale = 6; scale >= 0; scale--, unit /= 1000) {
    int part = (int)(left / unit);
    left %= unit;
    if (part == 0) continue;
    put_below_thousand(&b, &first, part);
    if (scale) {
      buf_addc(&b, ' ');
      buf_adds(&b, number_word("scale.", scale));
    }
  }
  char *out = arena_strdup(a, buf_str(&b));
  buf_free(&b);
  return out;
}
