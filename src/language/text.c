#include "language/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/ucol.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/uchar.h>

enum { LONGEST_TEXT = 64 * 1024 * 1024, SMALL = 0x700 };

static const UNormalizer2 *nfc;
static UCollator *collators[2];
/* For code points below SMALL: combining class, or 255 when normalisation may change the character. */
static uint8_t nfc_class[SMALL];

int text_init(struct err *err) {
  UErrorCode e = U_ZERO_ERROR;
  nfc = unorm2_getNFCInstance(&e);
  collators[LANG_FA] = ucol_open("fa", &e);
  collators[LANG_EN] = ucol_open("en", &e);
  if (U_FAILURE(e)) return err_set(err, ERR_INTERNAL, "ICU: %s", u_errorName(e));
  for (UChar32 c = 0; c < SMALL; c++) {
    bool stable = u_getIntPropertyValue(c, UCHAR_NFC_QUICK_CHECK) == UNORM_YES;
    nfc_class[c] = stable ? u_getCombiningClass(c) : 255;
  }
  return 0;
}

void *text_room(size_t units, size_t unit_size) { return units > LONGEST_TEXT ? NULL : malloc(units * unit_size + unit_size); }

int32_t next_char(const unsigned char **s) {
  const unsigned char *p = *s;
  if (p[0] < 0x80) {
    if (p[0]) (*s)++;
    return p[0];
  }
  if (p[0] >= 0xC2 && p[0] < 0xE0 && (p[1] & 0xC0) == 0x80) {
    *s += 2;
    return (p[0] & 0x1F) << 6 | (p[1] & 0x3F);
  }
  if ((p[0] & 0xF0) == 0xE0 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80) {
    int32_t c = (p[0] & 0x0F) << 12 | (p[1] & 0x3F) << 6 | (p[2] & 0x3F);
    *s += 3;
    return c < 0x800 || (c >= 0xD800 && c < 0xE000) ? -1 : c;
  }
  if (p[0] >= 0xF0 && p[0] < 0xF5 && (p[1] & 0xC0) == 0x80 && (p[2] & 0xC0) == 0x80 && (p[3] & 0xC0) == 0x80) {
    int32_t c = (p[0] & 0x07) << 18 | (p[1] & 0x3F) << 12 | (p[2] & 0x3F) << 6 | (p[3] & 0x3F);
    *s += 4;
    return c < 0x10000 || c > 0x10FFFF ? -1 : c;
  }
  return -1;
}

bool is_space_char(int32_t c) {
  return c == ' ' || c == '\t' || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F || c == 0x205F || c == 0x3000;
}

static bool is_bidi_control(int32_t c) { return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069); }

bool is_invisible(int32_t c) {
  if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return c != '\n' && c != '\t';
  return is_bidi_control(c) || c == 0x200E || c == 0x200F || c == 0x061C || c == 0xFEFF || c == 0xAD;
}

int digit_value(int32_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 0x6F0 && c <= 0x6F9) return c - 0x6F0;
  if (c >= 0x660 && c <= 0x669) return c - 0x660;
  return -1;
}

/* Copy s to out without what repair removes; line ends and tabs folded. *rough: normalisation may change the result.
 * Never longer than s. Answers the length, or -1 for invalid UTF-8. */
static ptrdiff_t clean(const char *s, char *out, bool *rough) {
  const unsigned char *p = (const unsigned char *)s;
  char *w = out;
  uint8_t last = 0; /* combining class of the character before */
  *rough = false;
  for (;;) {
    int32_t c = next_char(&p);
    if (c == 0) break;
    if (c < 0) return -1;
    if (c == '\r') {
      if (*p == '\n') continue;
      c = '\n';
    } else if (c == 0x85 || c == 0x2028 || c == 0x2029) {
      c = '\n';
    } else if (c == '\t') {
      c = ' ';
    } else if (is_invisible(c)) {
      continue;
    }
    if (c < SMALL) {
      uint8_t class = nfc_class[c];
      if (class == 255 || (class && last > class)) *rough = true;
      last = class;
    } else if (c >= 0x2000 && c < 0x2030 && c != 0x2000 && c != 0x2001) {
      last = 0; /* general punctuation, ZWNJ among it: stable */
    } else {
      *rough = true;
    }
    w += utf8_encode((uint32_t)c, w);
  }
  *w = '\0';
  return w - out;
}

/* NFC of s (valid UTF-8) as a malloc'ed string; NULL when there is no memory for it. */
static char *compose(const char *s, size_t n) {
  UErrorCode e = U_ZERO_ERROR;
  char *out = NULL;
  int32_t units = 0, bytes = 0;
  UChar *u = text_room(n, sizeof *u), *v = text_room(3 * n, sizeof *v);
  if (!u || !v) goto done;
  u_strFromUTF8(u, (int32_t)n + 1, &units, s, (int32_t)n, &e);
  if (U_FAILURE(e)) goto done;
  if (unorm2_quickCheck(nfc, u, units, &e) == UNORM_YES) {
    out = base_strdup(s);
    goto done;
  }
  units = unorm2_normalize(nfc, u, units, v, (int32_t)(3 * n) + 1, &e);
  out = text_room(3 * (size_t)units, 1);
  if (U_SUCCESS(e) && out) u_strToUTF8(out, 3 * units + 1, &bytes, v, units, &e);
  if (U_FAILURE(e)) {
    free(out);
    out = NULL;
  }
done:
  free(u);
  free(v);
  return out;
}

/* In place: Arabic letters to Persian ones, ZWNJ runs, trimming. s is valid UTF-8 in NFC. */
static void polish(char *s) {
  const unsigned char *p = (const unsigned char *)s;
  char *w = s, *end = s; /* end: after the last character that is not white space */
  bool joint = false, gap = true; /* a ZWNJ waits; white space (or the beginning) is before */
  for (int32_t c; (c = next_char(&p)) > 0;) {
    if (c == 0x200C) {
      joint = !gap;
      continue;
    }
    bool space = is_space_char(c) || c == '\n';
    if (space && w == s) continue;
    if (joint && !space) w += utf8_encode(0x200C, w);
    joint = false;
    gap = space;
    if (c == 0x64A || c == 0x649) c = 0x6CC;
    else if (c == 0x643) c = 0x6A9;
    w += utf8_encode((uint32_t)c, w);
    if (!space) end = w;
  }
  *end = '\0';
}

char *text_repair(struct arena *a, const char *s) {
  if (!s) return NULL;
  size_t n = strlen(s);
  if (n > LONGEST_TEXT / 4) return NULL;
  char *out = arena_alloc(a, n + 1);
  if (!out) return NULL;
  bool rough;
  ptrdiff_t len = clean(s, out, &rough);
  if (len < 0) return NULL;
  if (rough) {
    char *composed = compose(out, (size_t)len);
    if (!composed) return NULL;
    size_t length = strlen(composed);
    if (length <= n) memcpy(out, composed, length + 1);
    else out = arena_strdup(a, composed);
    free(composed);
    if (!out) return NULL;
  }
  polish(out);
  return out;
}

char *digits_ascii(struct arena *a, const char *s) {
  char *out = s ? arena_strdup(a, s) : NULL;
  if (!out) return NULL;
  char *w = out;
  for (const unsigned char *p = (const unsigned char *)out; *p;) {
    if (p[0] == 0xDB && p[1] >= 0xB0 && p[1] <= 0xB9) {
      *w++ = (char)('0' + p[1] - 0xB0);
      p += 2;
    } else if (p[0] == 0xD9 && p[1] >= 0xA0 && p[1] <= 0xA9) {
      *w++ = (char)('0' + p[1] - 0xA0);
      p += 2;
    } else {
      *w++ = (char)*p++;
    }
  }
  *w = '\0';
  return out;
}

char *digits_local(struct arena *a, enum lang l, const char *s) {
  if (!s) return NULL;
  if (l == LANG_EN) return arena_strdup(a, s);
  size_t n = 0, digits = 0;
  for (; s[n]; n++) digits += s[n] >= '0' && s[n] <= '9';
  char *out = arena_alloc(a, n + digits + 1), *w = out;
  if (!out) return NULL;
  for (; *s; s++) {
    if (*s >= '0' && *s <= '9') {
      *w++ = (char)0xDB;
      *w++ = (char)(0xB0 + (*s - '0'));
    } else {
      *w++ = *s;
    }
  }
  return out;
}

int text_compare(enum lang l, const char *a, const char *b) {
  UErrorCode e = U_ZERO_ERROR;
  UCollationResult r = ucol_strcollUTF8(collators[l == LANG_EN], a, -1, b, -1, &e);
  return U_FAILURE(e) ? strcmp(a, b) : (int)r;
}

bool text_has_bidi_control(const char *s) {
  for (const unsigned char *p = (const unsigned char *)s; p && *p; p++) {
    if (p[0] != 0xE2) continue;
    if ((p[1] == 0x80 && p[2] >= 0xAA && p[2] <= 0xAE) || (p[1] == 0x81 && p[2] >= 0xA6 && p[2] <= 0xA9)) return true;
  }
  return false;
}
