/* Folding, repair, identifiers and dates over any bytes: no crash, results bounded, valid and stable. */
#include <stdlib.h>
#include <string.h>

#include "language/language.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok) {
  if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct arena *a;
  struct err err;
  if (!a) {
    check(language_init(&err) == 0);
    a = arena_new(16 * 1024 * 1024);
  }
  arena_reset(a);
  char *s = arena_strndup(a, (const char *)data, size < 4096 ? size : 4096);
  char *repaired = text_repair(a, s), *folded = text_fold(a, s);
  check((repaired != NULL) == utf8_valid(s, strlen(s)) && (folded != NULL) == (repaired != NULL));
  if (repaired) {
    check(utf8_valid(repaired, strlen(repaired)) && utf8_valid(folded, strlen(folded)));
    check(strcmp(text_repair(a, repaired), repaired) == 0 && strcmp(text_fold(a, folded), folded) == 0);
    check(strcmp(text_fold(a, repaired), folded) == 0 && !text_has_bidi_control(repaired));
  }
  const char *terms[8];
  check(text_terms(a, s, terms, 8) <= 8);
  digits_ascii(a, s);
  digits_local(a, LANG_FA, s);
  text_compare(LANG_FA, s, "الف");
  size_t septets;
  text_gsm7(s, &septets);
  lang_from_accept(s);
  word(LANG_EN, s);
  for (int kind = IDENT_NATIONAL_ID; kind <= IDENT_TRACKING; kind++) {
    char out[32], again[32], group[48];
    if (identifier_parse((enum identifier)kind, s, out) == 0)
      check(identifier_parse((enum identifier)kind, out, again) == 0 && strcmp(out, again) == 0);
    identifier_mask((enum identifier)kind, s, out);
    identifier_group((enum identifier)kind, s, group);
  }
  int32_t day = date_parse(s);
  if (day != INT32_MIN) {
    char text[16];
    date_iso(day, text);
    check(date_parse(text) == day);
    check(date_long(a, LANG_FA, day) && date_short(a, LANG_EN, day));
    day_to_hijri(day);
  }
  return 0;
}
