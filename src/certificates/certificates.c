/* Opening, codes, rows. */
#include "certificates/inside.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
#define MARK "Chapar certificate "

int certificates_open(struct store *s, struct trust *t, const struct certificates_options *o, struct certificates **out, struct err *err) {
  (void)err;
  struct certificates *g = base_alloc(sizeof *g);
  g->store = s;
  g->trust = t;
  g->o = *o;
  memcpy(g->secret, o->secret, sizeof g->secret);
  g->base_url = base_strdup(o->base_url ? o->base_url : "");
  g->node = base_strdup(o->node);
  *out = g;
  return 0;
}

struct certificates *certificates_reader(struct store *s) {
  struct certificates *g = base_alloc(sizeof *g);
  g->store = s;
  return g;
}

void certificates_close(struct certificates *g) {
  if (!g) return;
  free(g->base_url);
  free(g->node);
  free(g);
}

/* ---- codes ---- */

static int value_of(char c) {
  const char *at = c ? strchr(alphabet, c) : NULL;
  return at ? (int)(at - alphabet) : -1;
}

/* Luhn mod 32 over the first n: every single wrong character is found, and nearly all exchanged neighbours. */
static char check_character(const char *s, size_t n) {
  int sum = 0;
  for (size_t i = 0; i < n; i++) {
    int v = value_of(s[n - 1 - i]) * (i % 2 == 0 ? 2 : 1);
    sum += v / 32 + v % 32;
  }
  return alphabet[(32 - sum % 32) % 32];
}

void certificate_code_make(const struct certificates *g, const char *tracking, int64_t issue, char out[CERTIFICATE_CODE]) {
  unsigned char mac[32];
  char text[64];
  snprintf(text, sizeof text, "certificate\n%s\n%lld", tracking, (long long)issue);
  hmac_sha256(g->secret, sizeof g->secret, text, strlen(text), mac);
  for (int i = 0; i < CERTIFICATE_CODE - 2; i++) out[i] = alphabet[mac[i] & 31];
  out[CERTIFICATE_CODE - 2] = check_character(out, CERTIFICATE_CODE - 2);
  out[CERTIFICATE_CODE - 1] = 0;
}

int certificate_code_parse(const char *typed, char out[CERTIFICATE_CODE]) {
  size_t n = 0, length = strlen(typed);
  const char *s = typed, *end = typed + length;
  if (length > 200) return -1;
  while (s < end) {
    int c = utf8_next(&s, end);
    if (c < 0) return -1;
    if (c >= 0x6F0 && c <= 0x6F9) c = '0' + c - 0x6F0;
    if (c >= 0x660 && c <= 0x669) c = '0' + c - 0x660;
    bool between = c == ' ' || c == '-' || c == '_' || c == '\t' || c == 0x2010 || c == 0x2011 || c == 0x2013 || c == 0x200C || c == 0x200E || c == 0x200F ||
                   (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    if (between) continue;
    if (c > 0x7f) return -1;
    char one = (char)toupper(c);
    if (one == 'O') one = '0';
    if (one == 'I' || one == 'L') one = '1';
    if (value_of(one) < 0 || n >= CERTIFICATE_CODE - 1) return -1;
    out[n++] = one;
  }
  if (n != CERTIFICATE_CODE - 1 || check_character(out, n - 1) != out[n - 1]) return -1;
  out[n] = 0;
  return 0;
}

void certificate_code_show(const char *code, char out[16]) { snprintf(out, 16, "%.4s-%.4s-%.4s", code, code + 4, code + 8); }

bool certificate_code_in(const void *file, size_t n, char out[CERTIFICATE_CODE]) {
  const char *at = file, *end = at + n;
  char typed[16];
  while ((at = memmem(at, (size_t)(end - at), MARK, sizeof MARK - 1))) {
    at += sizeof MARK - 1;
    size_t k = (size_t)(end - at) < 14 ? (size_t)(end - at) : 14;
    memcpy(typed, at, k);
    typed[k] = 0;
    if (strlen(typed) == k && certificate_code_parse(typed, out) == 0) return true;
  }
  return false;
}

char *certificate_address(const struct certificates *g, struct arena *a, const char *code) {
  char shown[16];
  certificate_code_show(code, shown);
  return arena_printf(a, "%s/verify/%s", g->base_url, shown);
}

/* ---- rows ---- */

int certificate_read(const struct store_rows *r, struct arena *a, struct certificate *out) {
  const char **texts[] = {&out->code, &out->number, &out->service, &out->organisation, &out->title_fa, &out->title_en};
  size_t n = 0;
  *out = (struct certificate){.issue = store_int(r, 1), .decided = store_int(r, 9), .issued = store_int(r, 10), .valid_until = store_int(r, 11),
                              .state = store_int(r, 12), .ended = store_int(r, 13)};
  const void *leaf = store_blob(r, 8, &n);
  if (leaf && n == TRUST_HASH) memcpy(out->decision, leaf, n);
  if (!(out->tracking = arena_strdup(a, store_text(r, 0))) || !(out->reason = arena_strdup(a, store_text(r, 14))) || !(out->sha256 = arena_strdup(a, store_text(r, 15))))
    return -1;
  for (int i = 0; i < 6; i++)
    if (!(*texts[i] = arena_strdup(a, store_text(r, 2 + i)))) return -1;
  return 0;
}

int certificate_newest(struct store_tx *tx, struct arena *a, const char *tracking, struct certificate *out, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT " CERTIFICATE_COLUMNS " FROM certificate WHERE tracking=?1 ORDER BY issue DESC LIMIT 1", "t", tracking);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1 && certificate_read(r, a, out)) rc = err_set(err, ERR_LIMIT, "a certificate's record is too large");
  store_done(r);
  return rc;
}
