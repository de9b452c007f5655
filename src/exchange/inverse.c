/* Numbers of four words modulo another, as checking a signature needs them: what the library has for that makes numbers of any length, and its inverse took a
 * third of the check. The inverse is the binary algorithm on the ends of both numbers, 31 steps at a time (T. Pornin, "Optimized Binary GCD for Modular
 * Inversion", 2020), products are Montgomery's. Their time tells what they are given: for public numbers alone. */
#include "exchange/signature.h"

#include <endian.h>
#include <string.h>

enum { STEPS = 31, ROUNDS_MOST = 40 };
typedef __int128 wide;
struct factors { int64_t a, b; };

static bool is_word(const uint64_t a[WORDS], uint64_t word) { return a[0] == word && (a[1] | a[2] | a[3]) == 0; }

static int bits(const uint64_t a[WORDS], const uint64_t b[WORDS]) {
  for (int i = WORDS - 1; i >= 0; i--)
    if ((a[i] | b[i]) != 0) return 64 * i + 64 - __builtin_clzll(a[i] | b[i]);
  return 0;
}

/* The lowest 31 bits, and above them the highest 33 of n. */
static uint64_t ends(const uint64_t a[WORDS], int n) {
  if (n <= 64) return a[0];
  int at = n - 33, word = at / 64, shift = at % 64;
  uint64_t high = a[word] >> shift;
  if (shift > 31 && word + 1 < WORDS) high |= a[word + 1] << (64 - shift);
  return (high & 0x1ffffffff) << STEPS | (a[0] & 0x7fffffff);
}

/* 31 steps of the algorithm on the ends, and what they are for the whole: a becomes (a·f.a + b·f.b) / 2^31, b (a·g.a + b·g.b) / 2^31, but for their signs. */
static void steps(uint64_t a, uint64_t b, struct factors *f, struct factors *g) {
  int64_t f0 = 1, g0 = 0, f1 = 0, g1 = 1;
  for (int i = 0; i < STEPS; i++) {
    uint64_t odd = -(a & 1), swap = odd & -(uint64_t)(a < b), both;
    both = swap & (a ^ b), a ^= both, b ^= both;
    both = swap & (uint64_t)(f0 ^ f1), f0 ^= (int64_t)both, f1 ^= (int64_t)both;
    both = swap & (uint64_t)(g0 ^ g1), g0 ^= (int64_t)both, g1 ^= (int64_t)both;
    a = (a - (odd & b)) >> 1;
    f0 -= (int64_t)odd & f1;
    g0 -= (int64_t)odd & g1;
    f1 *= 2;
    g1 *= 2;
  }
  *f = (struct factors){f0, g0};
  *g = (struct factors){f1, g1};
}

/* (a·f.a + b·f.b + k·m) / 2^31, which is whole; answers what is above four words, with its sign. */
static int64_t combine(const uint64_t a[WORDS], const uint64_t b[WORDS], struct factors f, int64_t k, const uint64_t m[WORDS], uint64_t out[WORDS]) {
  wide sum = 0;
  uint64_t low = 0;
  for (int i = 0; i < WORDS; i++) {
    sum += (wide)a[i] * f.a + (wide)b[i] * f.b + (wide)m[i] * k;
    if (i > 0) out[i - 1] = low >> STEPS | (uint64_t)sum << (64 - STEPS);
    low = (uint64_t)sum;
    sum >>= 64;
  }
  out[WORDS - 1] = low >> STEPS | (uint64_t)sum << (64 - STEPS);
  return (int64_t)(sum >> STEPS);
}

/* a ± m, with what is above four words. */
static int64_t add_times(uint64_t a[WORDS], int64_t top, const uint64_t m[WORDS], int sign) {
  wide sum = 0;
  for (int i = 0; i < WORDS; i++) {
    sum += (wide)a[i] + (wide)m[i] * sign;
    a[i] = (uint64_t)sum;
    sum >>= 64;
  }
  return top + (int64_t)sum;
}

static void negate(uint64_t a[WORDS]) {
  uint64_t minus[WORDS] = {0};
  add_times(minus, 0, a, -1);
  memcpy(a, minus, sizeof minus);
}

static bool below(const uint64_t a[WORDS], const uint64_t m[WORDS]) {
  for (int i = WORDS - 1; i > 0; i--)
    if (a[i] != m[i]) return a[i] < m[i];
  return a[0] < m[0];
}

/* (u·f.a + v·f.b) / 2^31 modulo m. */
static void reduced(const uint64_t a[WORDS], const uint64_t b[WORDS], struct factors f, const uint64_t m[WORDS], uint64_t unit, uint64_t out[WORDS]) {
  uint64_t low = a[0] * (uint64_t)f.a + b[0] * (uint64_t)f.b;
  int64_t top = combine(a, b, f, (int64_t)(low * unit & 0x7fffffff), m, out);
  if (top < 0) top = add_times(out, top, m, 1);
  if (top > 0 || !below(out, m)) add_times(out, top, m, -1);
}

/* 0 < s < m, m odd; unit: -1/m modulo 2^64. False: not found. */
static bool find(const uint64_t s[WORDS], const uint64_t m[WORDS], uint64_t unit, uint64_t out[WORDS]) {
  uint64_t a[WORDS], b[WORDS], u[WORDS] = {1}, v[WORDS] = {0}, t[2][WORDS];
  memcpy(a, s, sizeof a);
  memcpy(b, m, sizeof b);
  for (int i = 0; i < ROUNDS_MOST && !is_word(a, 0); i++) { /* u·s ≡ a, v·s ≡ b; b is odd */
    struct factors f, g;
    int n = bits(a, b);
    steps(ends(a, n), ends(b, n), &f, &g);
    int64_t top_a = combine(a, b, f, 0, m, t[0]), top_b = combine(a, b, g, 0, m, t[1]);
    if (top_a < 0) negate(t[0]), f = (struct factors){-f.a, -f.b};
    if (top_b < 0) negate(t[1]), g = (struct factors){-g.a, -g.b};
    memcpy(a, t[0], sizeof a);
    memcpy(b, t[1], sizeof b);
    reduced(u, v, f, m, unit, t[0]);
    reduced(u, v, g, m, unit, t[1]);
    memcpy(u, t[0], sizeof u);
    memcpy(v, t[1], sizeof v);
  }
  memcpy(out, v, sizeof v);
  return is_word(b, 1);
}

void words_read(const unsigned char in[32], uint64_t out[WORDS]) {
  for (int i = 0; i < WORDS; i++) {
    uint64_t word;
    memcpy(&word, in + 8 * (WORDS - 1 - i), 8);
    out[i] = be64toh(word);
  }
}

bool words_below(const uint64_t a[WORDS], const uint64_t b[WORDS]) { return below(a, b); }
bool words_same(const uint64_t a[WORDS], const uint64_t b[WORDS]) { return memcmp(a, b, WORDS * sizeof *a) == 0; }

bool modulus_set(struct modulus *m, const unsigned char bytes[32]) {
  uint64_t unit = 1, carry;
  *m = (struct modulus){.square = {1}};
  words_read(bytes, m->m);
  if ((m->m[0] & 1) == 0 || is_word(m->m, 1)) return false;
  for (int i = 0; i < 6; i++) unit *= 2 - m->m[0] * unit; /* 1/m modulo 2^64: each time twice as many bits are right */
  m->unit = -unit;
  for (int i = 0; i < 2 * 64 * WORDS; i++) {
    carry = m->square[WORDS - 1] >> 63;
    for (int j = WORDS - 1; j >= 0; j--) m->square[j] = m->square[j] << 1 | (j > 0 ? m->square[j - 1] >> 63 : 0);
    if (carry != 0 || !below(m->square, m->m)) add_times(m->square, 0, m->m, -1);
  }
  return true;
}

void modulus_times(const struct modulus *m, const uint64_t a[WORDS], const uint64_t b[WORDS], uint64_t out[WORDS]) {
  uint64_t t[WORDS + 1] = {0};
  for (int i = 0; i < WORDS; i++) {
    unsigned __int128 sum = 0, more = 0;
    uint64_t low = t[0] + a[i] * b[0], k = low * m->unit;
    for (int j = 0; j < WORDS; j++) { /* t = (t + a[i]·b + k·m) / 2^64 */
      sum = (unsigned __int128)a[i] * b[j] + t[j] + (uint64_t)(sum >> 64);
      more = (unsigned __int128)k * m->m[j] + (uint64_t)sum + (uint64_t)(more >> 64);
      if (j > 0) t[j - 1] = (uint64_t)more;
    }
    sum = (unsigned __int128)t[WORDS] + (uint64_t)(sum >> 64) + (uint64_t)(more >> 64);
    t[WORDS - 1] = (uint64_t)sum;
    t[WORDS] = (uint64_t)(sum >> 64);
  }
  if (t[WORDS] != 0 || !below(t, m->m)) add_times(t, 0, m->m, -1);
  memcpy(out, t, WORDS * sizeof *t);
}

bool inverse_find(const uint64_t number[WORDS], const struct modulus *m, uint64_t out[WORDS]) {
  return !is_word(number, 0) && below(number, m->m) && find(number, m->m, m->unit, out);
}
