/* C2SP signed-note, tlog-checkpoint and the Ed25519 part of tlog-cosignature. */
#include "trust/inner.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

static const char dash[] = "\xE2\x80\x94 "; /* em dash, space */

/* ---- names and verifier keys ---- */

static bool blank(int c) {
  return c <= 0x20 || c == 0x7f || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
         c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool name_of(const char *s, size_t n) {
  const char *end = s + n;
  if (n == 0 || n > NAME_MOST || !utf8_valid(s, n)) return false;
  while (s < end) {
    int c = utf8_next(&s, end);
    if (c == '+' || blank(c)) return false;
  }
  return true;
}

bool name_valid(const char *s) { return s != NULL && name_of(s, strlen(s)); }

void vkey_make(struct vkey *out, const char *name, int type, const unsigned char *public) {
  unsigned char text[NAME_MOST + 2 + PUBLIC_KEY], hash[TRUST_HASH];
  size_t n = strlen(name);
  memset(out, 0, sizeof *out);
  memcpy(out->name, name, n);
  memcpy(out->public, public, PUBLIC_KEY);
  out->type = (unsigned char)type;
  memcpy(text, name, n);
  text[n] = '\n';
  text[n + 1] = out->type;
  memcpy(text + n + 2, public, PUBLIC_KEY);
  sha256(text, n + 2 + PUBLIC_KEY, hash);
  memcpy(out->id, hash, 4);
}

char *vkey_text(const struct vkey *k) {
  unsigned char raw[1 + PUBLIC_KEY] = {k->type};
  char id[9];
  memcpy(raw + 1, k->public, PUBLIC_KEY);
  hex_encode(k->id, 4, id);
  char *base64 = base64_encode(raw, sizeof raw), *out = base_printf("%s+%s+%s", k->name, id, base64);
  free(base64);
  return out;
}

int vkey_parse(const char *s, struct vkey *out, struct err *err) {
  char name[NAME_MOST + 1], hex[9] = "";
  unsigned char id[4], raw[1 + PUBLIC_KEY];
  size_t n = 0;
  const char *plus = s == NULL ? NULL : strchr(s, '+'), *last = plus == NULL ? NULL : strchr(plus + 1, '+');
  if (last == NULL || last - plus != 9 || !name_of(s, (size_t)(plus - s)))
    return err_set(err, ERR_INVALID, "a verifier key is written name+id+key");
  memcpy(name, s, (size_t)(plus - s));
  name[plus - s] = '\0';
  memcpy(hex, plus + 1, 8);
  if (!hex_lower(hex, id, 4) || base64_decode(last + 1, strlen(last + 1), raw, sizeof raw, &n) != 0 || n != sizeof raw)
    return err_set(err, ERR_INVALID, "this verifier key cannot be read");
  if (raw[0] != KEY_NOTE && raw[0] != KEY_COSIGNATURE)
    return err_set(err, ERR_UNSUPPORTED, "only Ed25519 verifier keys (types 1 and 4) are understood");
  vkey_make(out, name, raw[0], raw + 1);
  return memcmp(id, out->id, 4) == 0 ? 0 : err_set(err, ERR_INVALID, "the id of this verifier key is not that of its name and key");
}

/* ---- notes ---- */

static int line_parse(const char *s, size_t n, struct note_line *out) {
  unsigned char raw[8192];
  size_t mark = sizeof dash - 1, size = 0;
  memset(out, 0, sizeof *out);
  if (n <= mark || memcmp(s, dash, mark) != 0) return -1;
  const char *space = memchr(s + mark, ' ', n - mark);
  if (space == NULL || !name_of(s + mark, (size_t)(space - s) - mark)) return -1;
  const char *code = space + 1;
  if (base64_decode(code, n - (size_t)(code - s), raw, sizeof raw, &size) != 0 || size < 5) return -1;
  out->line = s;
  out->line_size = n;
  out->name = s + mark;
  out->name_size = (size_t)(space - out->name);
  memcpy(out->id, raw, 4);
  out->signature_size = size - 4;
  memcpy(out->signature, raw + 4, out->signature_size < sizeof out->signature ? out->signature_size : sizeof out->signature);
  return 0;
}

int note_parse(const char *s, size_t n, struct note *out, struct err *err) {
  size_t at = 0;
  out->count = 0;
  if (n > NOTE_MOST) return err_set(err, ERR_TOO_LARGE, "a signed note of more than %d bytes", NOTE_MOST);
  if (!utf8_valid(s, n)) return err_set(err, ERR_MALFORMED, "a signed note is UTF-8");
  for (size_t i = 0; i < n; i++) {
    if ((unsigned char)s[i] < 0x20 && s[i] != '\n') return err_set(err, ERR_MALFORMED, "a signed note has no control characters");
    if (i > 0 && s[i] == '\n' && s[i - 1] == '\n') at = i;
  }
  if (at == 0 || n < at + 2 || s[n - 1] != '\n') return err_set(err, ERR_MALFORMED, "a signed note is text, an empty line and signatures");
  out->text = s;
  out->size = at;
  for (const char *line = s + at + 1, *end = s + n; line < end;) {
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    if (out->count == NOTE_LINES) return err_set(err, ERR_LIMIT, "a signed note with more than %d signatures", NOTE_LINES);
    if (line_parse(line, (size_t)(stop - line), &out->lines[out->count++]) != 0)
      return err_set(err, ERR_MALFORMED, "signature %d of the note cannot be read", out->count);
    line = stop + 1;
  }
  return 0;
}

static bool line_true(const struct note *n, const struct note_line *l, const struct vkey *k) {
  if (k->type == KEY_NOTE) return l->signature_size == SIGNATURE && key_check(k->public, n->text, n->size, l->signature);
  uint64_t time;
  if (l->signature_size != sizeof time + SIGNATURE) return false;
  memcpy(&time, l->signature, sizeof time);
  time = be64toh(time);
  if (time > INT64_MAX) return false;
  char *text = base_printf("cosignature/v1\ntime %llu\n%.*s", (unsigned long long)time, (int)n->size, n->text);
  bool good = key_check(k->public, text, strlen(text), l->signature + sizeof time);
  free(text);
  return good;
}

int note_check(const struct note *n, const struct vkey *k, const struct note_line **line) {
  int found = 0;
  size_t size = strlen(k->name);
  *line = NULL;
  for (int i = 0; i < n->count; i++) {
    const struct note_line *l = &n->lines[i];
    if (l->name_size != size || memcmp(l->name, k->name, size) != 0 || memcmp(l->id, k->id, 4) != 0) continue;
    if (!line_true(n, l, k)) return -1;
    if (*line == NULL) *line = l;
    found = 1;
  }
  return found;
}

/* ---- checkpoints ---- */

static bool line_of(const char **s, const char *end, const char **line, size_t *n) {
  const char *stop = *s < end ? memchr(*s, '\n', (size_t)(end - *s)) : NULL;
  if (stop == NULL || stop == *s) return false;
  *line = *s;
  *n = (size_t)(stop - *s);
  *s = stop + 1;
  return true;
}

int checkpoint_parse(const char *text, size_t n, struct checkpoint *out, struct err *err) {
  const char *s = text, *end = text + n, *origin, *size, *root, *more;
  size_t origin_n, size_n, root_n, more_n, hash_n = 0;
  char digits[20];
  memset(out, 0, sizeof *out);
  if (!line_of(&s, end, &origin, &origin_n) || !line_of(&s, end, &size, &size_n) || !line_of(&s, end, &root, &root_n))
    return err_set(err, ERR_MALFORMED, "a checkpoint has an origin, a size and a root");
  while (s < end)
    if (!line_of(&s, end, &more, &more_n)) return err_set(err, ERR_MALFORMED, "a checkpoint has no empty lines");
  if (origin_n > NAME_MOST || size_n >= sizeof digits) return err_set(err, ERR_MALFORMED, "this checkpoint's origin or size is too long");
  memcpy(out->origin, origin, origin_n);
  memcpy(digits, size, size_n);
  digits[size_n] = '\0';
  if (strspn(digits, "0123456789") != size_n || (digits[0] == '0' && size_n > 1) || parse_i64(digits, &out->size) != 0)
    return err_set(err, ERR_MALFORMED, "the size of this checkpoint is not a number");
  if (base64_decode(root, root_n, out->root, TRUST_HASH, &hash_n) != 0 || hash_n != TRUST_HASH)
    return err_set(err, ERR_MALFORMED, "the root of this checkpoint is not a hash");
  return 0;
}

char *checkpoint_sign(const struct key *k, const struct vkey *name, int64_t size, const unsigned char *root) {
  unsigned char raw[4 + SIGNATURE];
  char *root64 = base64_encode(root, TRUST_HASH), *text = base_printf("%s\n%lld\n%s\n", name->name, (long long)size, root64);
  memcpy(raw, name->id, 4);
  key_sign(k, text, strlen(text), raw + 4);
  char *raw64 = base64_encode(raw, sizeof raw), *out = base_printf("%s\n%s%s %s\n", text, dash, name->name, raw64);
  free(root64);
  free(text);
  free(raw64);
  return out;
}

int checkpoint_open(const char *s, size_t n, const struct vkey *k, struct note *note, struct checkpoint *out, struct err *err) {
  const struct note_line *line;
  if (note_parse(s, n, note, err) != 0 || checkpoint_parse(note->text, note->size, out, err) != 0) return -1;
  if (strcmp(out->origin, k->name) != 0)
    return err_set(err, ERR_INVALID, "the checkpoint is of the log %s, the key of %s", out->origin, k->name);
  int rc = note_check(note, k, &line);
  if (rc == 1) return 0;
  return err_set(err, ERR_INVALID, rc == 0 ? "the checkpoint is not signed by this log's key" : "the signature of the checkpoint is false");
}

char *checkpoint_stamped(const struct note *n, const struct note_line *own) {
  return base_printf("%.*s\n%.*s\n", (int)n->size, n->text, (int)own->line_size, own->line);
}
