/* Identifiers of members, subsystems and services, and names that nobody else makes. */
#include "exchange/inside.h"

#include <string.h>

/* What X-Road refuses in an identifier: controls, separators, and characters that cannot be seen. */
static bool unfit(int c) {
  if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return true;
  if (c < 0x80) return strchr("/\\;:%", c) != NULL;
  return (c >= 0x200b && c <= 0x200d) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff;
}

static int part_take(const char *s, size_t n, char out[EXCHANGE_PART + 1], struct err *err) {
  const char *p = s, *end = s + n;
  if (n == 0 || n > EXCHANGE_PART) return err_set(err, ERR_INVALID, "each part of an identifier has 1 to %d bytes", EXCHANGE_PART);
  if ((n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.')) return err_set(err, ERR_INVALID, "\".\" and \"..\" are no identifiers");
  while (p < end)
    if (unfit(utf8_next(&p, end))) return err_set(err, ERR_INVALID, "an identifier holds a character that may not stand in one");
  memcpy(out, s, n);
  out[n] = '\0';
  return 0;
}

int exchange_id_parse(const char *text, int least, int most, struct exchange_id *out, struct err *err) {
  char *const place[] = {out->instance, out->class_, out->member, out->subsystem, out->service};
  int count = 0;
  memset(out, 0, sizeof *out);
  if (text == NULL || strlen(text) > EXCHANGE_ID) return err_set(err, ERR_INVALID, "the identifier is missing or too long");
  if (most > (int)BASE_COUNT(place)) most = (int)BASE_COUNT(place);
  for (const char *p = text;;) {
    size_t n = strcspn(p, "/");
    if (count >= most) return err_set(err, ERR_INVALID, "%.200s: the identifier has more than %d parts", text, most);
    if (part_take(p, n, place[count++], err) != 0) return -1;
    if (p[n] == '\0') break;
    p += n + 1;
  }
  if (count < least) return err_set(err, ERR_INVALID, "%.200s: the identifier has %d parts, not %d", text, count, least);
  return 0;
}

void exchange_id_text(const struct exchange_id *id, char out[EXCHANGE_ID + 1]) {
  const char *const part[] = {id->instance, id->class_, id->member, id->subsystem, id->service};
  size_t at = 0;
  for (size_t i = 0; i < BASE_COUNT(part) && part[i][0] != '\0'; i++) {
    size_t n = strlen(part[i]);
    if (i > 0) out[at++] = '/';
    memcpy(out + at, part[i], n);
    at += n;
  }
  out[at] = '\0';
}

bool exchange_id_same(const struct exchange_id *a, const struct exchange_id *b, int parts) {
  const char *const one[] = {a->instance, a->class_, a->member, a->subsystem, a->service};
  const char *const two[] = {b->instance, b->class_, b->member, b->subsystem, b->service};
  for (int i = 0; i < parts && i < (int)BASE_COUNT(one); i++)
    if (strcmp(one[i], two[i]) != 0) return false;
  return true;
}

static void uuid_write(unsigned char b[16], char out[37]) {
  static const unsigned char group[] = {4, 2, 2, 2, 6};
  b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
  b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
  for (size_t i = 0; i < BASE_COUNT(group); b += group[i++]) {
    hex_encode(b, group[i], out);
    out += 2 * group[i];
    if (i + 1 < BASE_COUNT(group)) *out++ = '-';
  }
}

void uuid_make(char out[37]) {
  unsigned char b[16];
  random_bytes(b, sizeof b);
  uuid_write(b, out);
}

void uuid_make_timed(char out[37]) {
  unsigned char b[16];
  int64_t now = clock_now();
  random_bytes(b, sizeof b);
  for (int i = 0; i < 6; i++) b[i] = (unsigned char)(now >> (40 - 8 * i));
  uuid_write(b, out);
}
