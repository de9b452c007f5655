#include "channels/ussd/inside.h"

#include <string.h>

/*
 * Persian names looked for by Latin letters. Both are reduced to the consonants that nobody writes in two ways: Kardeh, Karde and کارده are
 * all k-r-d, Ghuchan, Quchan and قوچان q-C-n. What is found is offered to choose from, so it may be a little too much.
 */

#define MOST 32

/* By code point above U+0600. In capitals: C ch, S sh, Z zh, and those that are written in two ways or not at all: A of alef and eyn, V, Y, H. */
static const char sounds[256] = {
  [0x21] = 'A', [0x22] = 'A', [0x23] = 'A', [0x24] = 'V', [0x25] = 'A', [0x26] = 'Y', [0x27] = 'A', [0x28] = 'b', [0x29] = 't', [0x2a] = 't',
  [0x2b] = 's', [0x2c] = 'j', [0x2d] = 'H', [0x2e] = 'x', [0x2f] = 'd', [0x30] = 'z', [0x31] = 'r', [0x32] = 'z', [0x33] = 's', [0x34] = 'S',
  [0x35] = 's', [0x36] = 'z', [0x37] = 't', [0x38] = 'z', [0x39] = 'A', [0x3a] = 'q', [0x41] = 'f', [0x42] = 'q', [0x43] = 'k', [0x44] = 'l',
  [0x45] = 'm', [0x46] = 'n', [0x47] = 'H', [0x48] = 'V', [0x49] = 'Y', [0x4a] = 'Y', [0x7e] = 'p', [0x86] = 'C', [0x98] = 'Z', [0xa9] = 'k',
  [0xaf] = 'g', [0xc0] = 'H', [0xcc] = 'Y'
};

static char sound_of(int cp) { return cp >= 0x600 && cp < 0x700 ? sounds[cp - 0x600] : 0; }

static bool firm(char sound) { return !strchr("AVYH", sound); }

/* first: how it begins, firm or not; the firm sounds stand in out. Doubled ones count once. */
static size_t add(char sound, char *first, char *out, size_t n) {
  if (!sound) return n;
  if (!*first) *first = sound;
  if (firm(sound) && n + 1 < MOST && (!n || out[n - 1] != sound)) out[n++] = sound;
  return n;
}

static size_t from_persian(const char *name, char *first, char *out) {
  const char *end = name + strlen(name);
  size_t n = 0;
  for (int cp; (cp = utf8_next(&name, end)) >= 0;) n = add(sound_of(cp), first, out, n);
  out[n] = 0;
  return n;
}

static size_t from_latin(const char *s, char *first, char *out) {
  size_t n = 0;
  for (; *s; s++) {
    char c = *s >= 'A' && *s <= 'Z' ? (char)(*s + 32) : *s, h = (char)(s[1] | 32), sound = 0;
    static const char pairs[] = "cCsSkxgqzZ"; /* ch sh kh gh zh */
    const char *pair = strchr(pairs, c);
    if (c < 'a' || c > 'z') continue;
    if (h == 'h' && pair && (pair - pairs) % 2 == 0) {
      sound = pair[1];
      s++;
    } else if (strchr("aeiou", c)) sound = 'A';
    else if (c == 'y') sound = 'Y';
    else if (c == 'v' || c == 'w') sound = 'V';
    else if (c == 'h') sound = 'H';
    else sound = c == 'c' ? 'k' : c;
    n = add(sound, first, out, n);
  }
  out[n] = 0;
  return n;
}

bool latin_begins(const char *name, const char *typed) {
  char first = 0, wanted = 0, have[MOST], want[MOST];
  size_t n = from_latin(typed, &wanted, want);
  if (!n) return false;
  from_persian(name, &first, have);
  if (strncmp(have, want, n) != 0) return false;
  if (firm(wanted)) return first == wanted;
  if (first == wanted) return true;
  return wanted == 'A' && (first == 'Y' || first == 'V'); /* Iraj, Omid */
}

/* ---- and shown where there is no Persian ---- */

static const char *letters_of(char sound, bool begins, bool ends) {
  static const struct { char sound; const char *text; } digraphs[] = {{'C', "ch"}, {'x', "kh"}, {'S', "sh"}, {'q', "gh"}, {'Z', "zh"}, {'A', "a"}};
  for (size_t i = 0; i < BASE_COUNT(digraphs); i++)
    if (digraphs[i].sound == sound) return digraphs[i].text;
  if (sound == 'V') return begins ? "v" : "oo";
  if (sound == 'Y') return begins ? "y" : "i";
  if (sound == 'H') return ends ? "eh" : "h";
  return NULL;
}

const char *latin_of(struct arena *a, const char *name) {
  struct buf b;
  const char *ascii = digits_ascii(a, name), *s = ascii ? ascii : name, *end = s + strlen(s);
  bool begins = true;
  buf_init(&b, 1024);
  for (int cp; (cp = utf8_next(&s, end)) >= 0;) {
    const char *next = s;
    int after = utf8_next(&next, end);
    char sound = sound_of(cp), one[2] = {sound, 0};
    if (!sound && cp < 0x80) buf_addc(&b, (char)cp);
    else if (!sound && cp == 0x200c) buf_addc(&b, '-');
    if (!sound) {
      begins = cp == ' ' || begins;
      continue;
    }
    const char *text = letters_of(sound, begins, after < 0 || !sound_of(after));
    if (!text) text = one;
    if (begins && *text >= 'a') buf_addc(&b, (char)(*text++ - 32));
    buf_adds(&b, text);
    begins = false;
  }
  const char *out = arena_strdup(a, buf_str(&b));
  buf_free(&b);
  return out && out[0] ? out : name;
}
