#include "language/internal.h"

#include <string.h>

/* Digits and capital letters of what was typed, without spaces, dashes and marks. -1 for anything else or too much of it. */
static int strip(const char *typed, bool letters, char out[32]) {
  size_t n = 0, read = 0;
  const unsigned char *p = (const unsigned char *)typed;
  for (int32_t c; p && (c = next_char(&p)) != 0;) {
    if (c < 0 || ++read > 256) return -1;
    int d = digit_value(c);
    bool plus = c == '+' && n == 0;
    bool letter = letters && ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
    if (d < 0 && !plus && !letter) {
      bool dash = c == '-' || (c >= 0x2010 && c <= 0x2015) || c == 0x2212 || c == 0x640;
      if (dash || c == '\n' || c == '\r' || is_space_char(c) || is_invisible(c) || (c >= 0x200B && c <= 0x200D) || c == 0x2060) continue;
      return -1;
    }
    if (n == 31) return -1;
    out[n++] = d >= 0 ? (char)('0' + d) : plus ? '+' : (char)(c & ~0x20);
  }
  out[n] = '\0';
  return (int)n;
}

static bool all_alike(const char *s) { return s[0] && strspn(s, (char[]){s[0], 0}) == strlen(s); }

static bool all_digits(const char *s) { return strspn(s, "0123456789") == strlen(s); }

static int parse_national_id(char s[32]) {
  size_t n = strlen(s);
  if (!all_digits(s) || n < 8 || n > 10) return -1;
  memmove(s + 10 - n, s, n + 1);
  memset(s, '0', 10 - n);
  if (all_alike(s) || strncmp(s + 3, "000000", 6) == 0) return -1;
  int sum = 0;
  for (int i = 0; i < 9; i++) sum += (s[i] - '0') * (10 - i);
  int rest = sum % 11, check = s[9] - '0';
  return check == (rest < 2 ? rest : 11 - rest) ? 0 : -1;
}

static int parse_legal_id(const char *s) {
  static const int weights[10] = {29, 27, 23, 19, 17, 29, 27, 23, 19, 17};
  if (strlen(s) != 11 || !all_digits(s) || strncmp(s + 3, "000000", 6) == 0) return -1;
  int sum = 0, shift = s[9] - '0' + 2;
  for (int i = 0; i < 10; i++) sum += (s[i] - '0' + shift) * weights[i];
  int rest = sum % 11;
  return s[10] - '0' == (rest == 10 ? 0 : rest) ? 0 : -1;
}

/* The three digits after the zero: operators' ranges in the national numbering plan. */
static bool mobile_prefix(const char *s) {
  int p = (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
  if (p == 941 || p == 998 || p == 999) return true;
  return (p >= 900 && p <= 905) || (p >= 910 && p <= 923) || (p >= 930 && p <= 939) || (p >= 990 && p <= 996);
}

static int parse_mobile(char s[32]) {
  static const char *const before[] = {"+980", "+98", "00980", "0098", "980", "98", "0", ""};
  for (size_t i = 0; i < BASE_COUNT(before); i++) {
    size_t n = strlen(before[i]);
    if (strlen(s) != n + 10 || strncmp(s, before[i], n) != 0 || !all_digits(s + n) || !mobile_prefix(s + n)) continue;
    memmove(s + 1, s + n, 11);
    s[0] = '0';
    return 0;
  }
  return -1;
}

static int parse_postal_code(const char *s) {
  if (strlen(s) != 10 || !all_digits(s) || all_alike(s)) return -1;
  return strcspn(s, "02") < 5 ? -1 : 0;
}

static int parse_sheba(char s[32]) {
  if (strlen(s) == 24 && all_digits(s)) {
    memmove(s + 2, s, 25);
    memcpy(s, "IR", 2);
  }
  if (strlen(s) != 26 || strncmp(s, "IR", 2) != 0 || !all_digits(s + 2)) return -1;
  int rest = 0;
  for (int i = 4; i < 26; i++) rest = (rest * 10 + s[i] - '0') % 97;
  rest = (rest * 10000 + 1827) % 97; /* I = 18, R = 27 */
  rest = (rest * 100 + (s[2] - '0') * 10 + s[3] - '0') % 97;
  return rest == 1 ? 0 : -1;
}

char luhn_digit(const char *digits, size_t n) {
  int sum = 0;
  for (size_t i = 0; i < n; i++) {
    int d = digits[n - 1 - i] - '0';
    if (i % 2 == 0) d = d > 4 ? 2 * d - 9 : 2 * d;
    sum += d;
  }
  return (char)('0' + (10 - sum % 10) % 10);
}

int identifier_parse(enum identifier kind, const char *typed, char out[32]) {
  char s[32];
  int n = strip(typed, kind == IDENT_SHEBA, s), rc = -1;
  out[0] = '\0';
  if (n <= 0 || (s[0] == '+' && kind != IDENT_MOBILE)) return -1;
  switch (kind) {
  case IDENT_NATIONAL_ID: rc = parse_national_id(s); break;
  case IDENT_FIDA: rc = n >= 8 && n <= 16 && all_digits(s) && !all_alike(s) ? 0 : -1; break;
  case IDENT_LEGAL_ID: rc = parse_legal_id(s); break;
  case IDENT_MOBILE: rc = parse_mobile(s); break;
  case IDENT_POSTAL_CODE: rc = parse_postal_code(s); break;
  case IDENT_SHEBA: rc = parse_sheba(s); break;
  case IDENT_TRACKING: rc = n == 16 && all_digits(s) && luhn_digit(s, 15) == s[15] ? 0 : -1; break;
  }
  if (rc == 0) memcpy(out, s, strlen(s) + 1);
  return rc;
}

int identifier_find_tracking(struct arena *a, const char *text, char out[32]) {
  const char *ascii = digits_ascii(a, text);
  for (const char *s = ascii; s && *s; s++) {
    char run[64];
    size_t n = strspn(s, "0123456789 -"), m = n < 63 ? n : 63;
    memcpy(run, s, m);
    run[m] = 0;
    if (n >= 16 && identifier_parse(IDENT_TRACKING, run, out) == 0) return 0;
    if (n) s += n - 1;
  }
  return -1;
}

void identifier_mask(enum identifier kind, const char *value, char out[32]) {
  size_t n = value ? strnlen(value, 31) : 0, keep = kind == IDENT_SHEBA ? 4 : 3;
  if (n) memcpy(out, value, n);
  out[n] = '\0';
  if (kind != IDENT_NATIONAL_ID && kind != IDENT_MOBILE && kind != IDENT_FIDA && kind != IDENT_SHEBA) return;
  if (n < 2 * keep + 2) keep = 0;
  for (size_t i = keep; i + keep < n; i++) out[i] = '*';
}

void identifier_group(enum identifier kind, const char *value, char out[48]) {
  bool grouped = kind == IDENT_TRACKING || kind == IDENT_SHEBA;
  size_t n = value ? strnlen(value, 36) : 0, w = 0;
  for (size_t i = 0; i < n; i++) {
    if (grouped && i && i % 4 == 0) out[w++] = ' ';
    out[w++] = value[i];
  }
  out[w] = '\0';
}
