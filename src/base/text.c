#include "base/inside.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

int utf8_next(const char **s, const char *end)
{
  const unsigned char *p = (const unsigned char *)*s, *stop = (const unsigned char *)end;
  if (p >= stop) return -1;
  int lead = p[0], more, cp, least;
  if (lead < 0x80) more = 0, cp = lead, least = 0;
  else if (lead >= 0xC2 && lead <= 0xDF) more = 1, cp = lead & 0x1F, least = 0x80;
  else if (lead >= 0xE0 && lead <= 0xEF) more = 2, cp = lead & 0x0F, least = 0x800;
  else if (lead >= 0xF0 && lead <= 0xF4) more = 3, cp = lead & 0x07, least = 0x10000;
  else return -1;
  if (stop - p <= more) return -1;
  for (int i = 1; i <= more; i++) {
    if ((p[i] & 0xC0) != 0x80) return -1;
    cp = cp << 6 | (p[i] & 0x3F);
  }
  if (cp < least || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF)) return -1;
  *s += more + 1;
  return cp;
}

bool utf8_valid(const char *s, size_t n)
{
  if (!n) return true;
  const char *end = s + n;
  while (s < end) {
    uint64_t eight;
    while (end - s >= 8 && (memcpy(&eight, s, 8), (eight & UINT64_C(0x8080808080808080)) == 0)) s += 8; /* ASCII */
    if (s < end && utf8_next(&s, end) < 0) return false;
  }
  return true;
}

size_t utf8_length(const char *s)
{
  size_t n = 0;
  for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
  return n;
}

size_t utf8_encode(uint32_t cp, char out[4])
{
  if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF)) return 0;
  if (cp < 0x80) {
    out[0] = (char)cp;
    return 1;
  }
  size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
  for (size_t i = n; i-- > 1; cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3F));
  out[0] = (char)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | cp);
  return n;
}

char *base_utf8_repair(const char *s, size_t n)
{
  struct buf b = {.cap = SIZE_MAX};
  for (const char *end = s + n; s < end;) {
    const char *at = s;
    if (utf8_next(&s, end) < 0) {
      buf_adds(&b, "\xEF\xBF\xBD");
      s++;
    } else {
      buf_add(&b, at, (size_t)(s - at));
    }
  }
  return buf_take(&b);
}

void hex_encode(const void *p, size_t n, char *out)
{
  static const char digits[] = "0123456789abcdef";
  const unsigned char *b = p;
  for (size_t i = 0; i < n; i++) {
    *out++ = digits[b[i] >> 4];
    *out++ = digits[b[i] & 15];
  }
  *out = '\0';
}

static int hex_value(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int hex_decode(const char *hex, void *out, size_t n)
{
  unsigned char *b = out;
  if (!hex || strlen(hex) / 2 != n || strlen(hex) % 2) return -1;
  for (size_t i = 0; i < n; i++) {
    int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0) return -1;
    b[i] = (unsigned char)(high << 4 | low);
  }
  return 0;
}

static const char alphabet64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t room64(size_t n)
{
  if (n > SIZE_MAX / 2) base_die("base64 of an impossible size");
  return (n + 2) / 3 * 4;
}

static char *write64(char *out, const unsigned char *p, size_t n, const char *alphabet, bool pad)
{
  for (; n >= 3; n -= 3, p += 3) {
    uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
    *out++ = alphabet[v >> 18];
    *out++ = alphabet[v >> 12 & 63];
    *out++ = alphabet[v >> 6 & 63];
    *out++ = alphabet[v & 63];
  }
  if (n) {
    uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0);
    *out++ = alphabet[v >> 18];
    *out++ = alphabet[v >> 12 & 63];
    if (n > 1) *out++ = alphabet[v >> 6 & 63];
    else if (pad) *out++ = '=';
    if (pad) *out++ = '=';
  }
  return out;
}

static char *encode64(const unsigned char *p, size_t n, const char *alphabet, bool pad)
{
  char *s = base_alloc(room64(n) + 1);
  *write64(s, p, n, alphabet, pad) = '\0';
  return s;
}

char *base64_encode(const void *p, size_t n)
{
  return encode64(p, n, alphabet64, true);
}

void buf_add64(struct buf *b, const void *p, size_t n)
{
  size_t more = room64(n);
  if (!buf_room(b, more)) return;
  b->len = (size_t)(write64(b->data + b->len, p, n, alphabet64, true) - b->data);
  b->data[b->len] = '\0';
}

char *base64url_encode(const void *p, size_t n)
{
  return encode64(p, n, alphabet64url, false);
}

void base64_write(char *out, const void *p, size_t n)
{
  *write64(out, p, n, alphabet64, true) = '\0';
}

void base64url_write(char *out, const void *p, size_t n)
{
  *write64(out, p, n, alphabet64url, false) = '\0';
}

/* One more than the value of a character, 0 for those that have none. */
static const unsigned char values64[256] = {
  ['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
  ['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
  ['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, ['+'] = 63, ['/'] = 64};

static int value64(char c) { return values64[(unsigned char)c] - 1; }

/* Four characters; negative: one of them has no value. */
static int group64(const char *s)
{
  int a = value64(s[0]), b = value64(s[1]), c = value64(s[2]), d = value64(s[3]);
  return (a | b | c | d) < 0 ? -1 : a << 18 | b << 12 | c << 6 | d;
}

int base64_decode(const char *s, size_t n, void *out, size_t room, size_t *len)
{
  unsigned char *b = out;
  *len = 0;
  if (n % 4) return -1;
  if (!n) return 0;
  size_t pad = s[n - 1] != '=' ? 0 : s[n - 2] != '=' ? 1 : 2, size = n / 4 * 3 - pad;
  if (room < size) return -1;
  char last[4] = {s[n - 4], s[n - 3], pad == 2 ? 'A' : s[n - 2], pad ? 'A' : s[n - 1]};
  for (const char *end = s + n - 4; s < end; s += 4, b += 3) {
    int bits = group64(s);
    if (bits < 0) return -1;
    b[0] = (unsigned char)(bits >> 16);
    b[1] = (unsigned char)(bits >> 8);
    b[2] = (unsigned char)bits;
  }
  int bits = group64(last);
  if (bits < 0 || bits & ((1 << 8 * pad) - 1)) return -1;
  for (size_t k = 0; k < 3 - pad; k++) b[k] = (unsigned char)(bits >> (16 - 8 * k));
  *len = size;
  return 0;
}

static void from_kernel(unsigned char *b, size_t n)
{
  while (n) {
    ssize_t got = getrandom(b, n, 0);
    if (got < 0 && errno != EINTR) base_die("the kernel refuses random bytes");
    if (got > 0) {
      b += got;
      n -= (size_t)got;
    }
  }
}

/* Salts, nonces and identifiers are short and many: each thread gets several of them at once. What was given is forgotten, and nothing is given in two processes. */
enum { POOL = 256, POOL_MOST = 32 };
static _Thread_local struct { unsigned char bytes[POOL]; size_t left; unsigned process; } pool;
static unsigned process;
static pthread_once_t process_once = PTHREAD_ONCE_INIT;

static void process_next(void) { process++; }
static void process_first(void)
{
  process_next();
  if (pthread_atfork(NULL, NULL, process_next)) base_die("out of memory");
}

void random_bytes(void *p, size_t n)
{
  if (n > POOL_MOST) {
    from_kernel(p, n);
    return;
  }
  pthread_once(&process_once, process_first);
  if (pool.left < n || pool.process != process) {
    from_kernel(pool.bytes, POOL);
    pool.left = POOL;
    pool.process = process;
  }
  pool.left -= n;
  memcpy(p, pool.bytes + pool.left, n);
  explicit_bzero(pool.bytes + pool.left, n);
}

/* Of RFC 9110. */
static const bool token_chars[256] = {['!'] = true, ['#' ... '\''] = true, ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true,
                                      ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['^' ... 'z'] = true, ['|'] = true, ['~'] = true};

bool is_token(const char *s, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (!token_chars[(unsigned char)s[i]]) return false;
  return n > 0;
}

/* Not 0 when one of eight bytes is below a space or DEL. */
static uint64_t controls(uint64_t w)
{
  const uint64_t each = UINT64_MAX / 255, del = w ^ each * 0x7f;
  return (((w - each * ' ') & ~w) | ((del - each) & ~del)) & each * 0x80;
}

bool no_controls(const char *s, size_t n)
{
  uint64_t any = 0, w;
  for (; n >= sizeof w; s += sizeof w, n -= sizeof w) {
    memcpy(&w, s, sizeof w);
    any |= controls(w);
  }
  w = UINT64_MAX / 255 * ' ';
  memcpy(&w, s, n);
  return (any | controls(w)) == 0;
}

bool value_sound(const char *s, size_t n)
{
  for (const char *tab; (tab = memchr(s, '\t', n)) != NULL; n -= (size_t)(tab + 1 - s), s = tab + 1)
    if (!no_controls(s, (size_t)(tab - s))) return false;
  return no_controls(s, n);
}

bool base_same(const char *a, const char *b)
{
  return a == b || (a && b && !strcmp(a, b));
}

bool base_starts(const char *s, const char *prefix)
{
  return s && prefix && !strncmp(s, prefix, strlen(prefix));
}

int parse_i64(const char *s, int64_t *out)
{
  if (!s) return -1;
  bool minus = *s == '-';
  if (minus) s++;
  if (!*s) return -1;
  int64_t v = 0; /* counted downwards: the negative side is the longer one */
  for (; *s; s++) {
    if (*s < '0' || *s > '9') return -1;
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, *s - '0', &v)) return -1;
  }
  if (!minus && __builtin_sub_overflow((int64_t)0, v, &v)) return -1;
  *out = v;
  return 0;
}
