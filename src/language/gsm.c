/* GSM 03.38 (3GPP TS 23.038, 6.2.1): the default alphabet and its extension table. */
#include "language/internal.h"

#include <string.h>

/* By place in the default alphabet; 0x1B is the escape to the extension table. */
static const uint16_t alphabet[128] = {
  '@', 0xA3, '$', 0xA5, 0xE8, 0xE9, 0xF9, 0xEC, 0xF2, 0xC7, '\n', 0xD8, 0xF8, '\r', 0xC5, 0xE5,
  0x394, '_', 0x3A6, 0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8, 0x3A3, 0x398, 0x39E, 0, 0xC6, 0xE6, 0xDF, 0xC9,
  ' ', '!', '"', '#', 0xA4, '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
  '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
  0xA1, 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
  'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 0xC4, 0xD6, 0xD1, 0xDC, 0xA7,
  0xBF, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
  'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0xE4, 0xF6, 0xF1, 0xFC, 0xE0};
/* Reached by the escape, two septets each. */
static const uint16_t extension[] = {'\f', '^', '{', '}', '\\', '[', '~', ']', '|', 0x20AC};

static bool holds(const uint16_t *table, size_t n, int32_t c) {
  for (size_t i = 0; i < n; i++)
    if (table[i] == c) return true;
  return false;
}

bool text_gsm7(const char *s, size_t *septets) {
  size_t n = 0;
  const unsigned char *p = (const unsigned char *)s;
  for (int32_t c; (c = next_char(&p)) != 0;) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ';
    if (letter || (c > 0 && holds(alphabet, BASE_COUNT(alphabet), c))) {
      n++;
    } else if (c > 0 && holds(extension, BASE_COUNT(extension), c)) {
      n += 2;
    } else {
      if (septets) *septets = 0;
      return false;
    }
  }
  if (septets) *septets = n;
  return true;
}

size_t text_utf16(const char *s) {
  size_t n = 0;
  const char *end = s + strlen(s);
  for (int cp; (cp = utf8_next(&s, end)) >= 0;) n += cp > 0xffff ? 2 : 1;
  return n;
}

bool text_fits_sms(const char *s, unsigned parts) {
  size_t septets, plain = parts > 1 ? 153 : 160, wide = parts > 1 ? 67 : 70;
  return text_gsm7(s, &septets) ? septets <= parts * plain : text_utf16(s) <= parts * wide;
}

const char *text_tail(struct arena *a, const char *s, unsigned count) {
  char *fold = text_fold(a, s);
  size_t n = fold ? strlen(fold) : 0;
  while (n && (fold[n - 1] == ' ' || fold[n - 1] == '\n')) fold[--n] = 0;
  for (size_t i = 0; i < n; i++)
    if (fold[i] == '\n') fold[i] = ' ';
  for (char *at = fold ? fold + n : NULL; at && n && count;) {
    while (at > fold && at[-1] != ' ') at--;
    if (--count == 0) return at;
    while (at > fold && at[-1] == ' ') at--;
    if (at == fold) break;
  }
  return NULL;
}
