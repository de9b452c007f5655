/* Opening, keys of persons, names of closed sets, what is asked of an actor. */
#include "identity/inner.h"
#include "trust/trust.h"
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* ---- closed sets ----------------------------------------------------------------------- */

const char *staff_role_text(int role) {
  switch (role) {
#define X(name, text, number) case name: return text;
    STAFF_ROLE_TABLE(X)
#undef X
  default: return "unknown";
  }
}

int staff_role_parse(const char *text) {
#define X(name, word, number) if (base_same(text, word)) return name;
  STAFF_ROLE_TABLE(X)
#undef X
  return -1;
}

const char *assurance_text(enum assurance a) {
  static const char *const texts[] = {"none", "claimed", "sim_matched", "counter", "certificate"};
  return (unsigned)a < BASE_COUNT(texts) ? texts[a] : "none";
}

/* ---- actors ---------------------------------------------------------------------------- */

struct actor *actor_copy(const struct actor *a) {
  struct actor *copy = base_alloc(sizeof *copy);
  *copy = *a;
  return copy;
}

void actor_free(struct actor *a) { free(a); }

bool actor_has_role(const struct actor *a, const char *organisation, int role) {
  for (unsigned k = 0; k < a->role_count; k++)
    if (a->roles[k].role == role && (organisation == NULL || strcmp(a->roles[k].organisation, organisation) == 0)) return true;
  return false;
}

bool actor_in(const struct actor *a, const char *organisation) {
  for (unsigned k = 0; organisation != NULL && k < a->role_count; k++)
    if (strcmp(a->roles[k].organisation, organisation) == 0) return true;
  return false;
}

const char *actor_national_id(const struct actor *a) { return a->acting_as[0] && strlen(a->acting_as) != 11 ? a->acting_as : a->national_id; }

/* ---- keys ------------------------------------------------------------------------------ */

void identity_mac(const struct identity *i, const char *label, const char *a, const char *b, unsigned char out[32]) {
  unsigned char parts[3][32] = {{0}};
  sha256(label, strlen(label), parts[0]);
  if (a != NULL) sha256(a, strlen(a), parts[1]);
  if (b != NULL) sha256(b, strlen(b), parts[2]);
  hmac_sha256(i->secret, sizeof i->secret, parts, sizeof parts, out);
}

void identity_mac_hex(const struct identity *i, const char *label, const char *a, const char *b, char out[HEX]) {
  unsigned char mac[32];
  identity_mac(i, label, a, b, mac);
  hex_encode(mac, sizeof mac, out);
}

void identity_digest_hex(const char *s, char out[HEX]) {
  unsigned char digest[32];
  sha256(s, strlen(s), digest);
  hex_encode(digest, sizeof digest, out);
}

static void key_of(const struct identity *i, const char *prefix, const char *a, const char *b, char out[72]) {
  unsigned char mac[32];
  identity_mac(i, prefix, a, b, mac);
  memcpy(out, prefix, 2);
  hex_encode(mac, 16, out + 2);
}

void identity_person_key(const struct identity *i, const char *national_id, char out[72]) { key_of(i, "p:", national_id, NULL, out); }

void identity_pair_key(const struct identity *i, const char *national_id, const char *mobile, char out[72]) {
  key_of(i, "c:", national_id, mobile, out);
}

/* ---- what people type ------------------------------------------------------------------- */

int identity_digits(const char *typed, char *out, size_t room) {
  const char *s = typed, *end = typed + strlen(typed);
  size_t n = 0;
  while (s < end) {
    int cp = utf8_next(&s, end), digit = -1;
    if (cp >= '0' && cp <= '9') digit = cp - '0';
    else if (cp >= 0x6F0 && cp <= 0x6F9) digit = cp - 0x6F0;
    else if (cp >= 0x660 && cp <= 0x669) digit = cp - 0x660;
    else if (cp == ' ' || cp == '-' || cp == 0xA0 || (cp >= 0x200B && cp <= 0x200F) || (cp >= 0x202A && cp <= 0x202E) ||
             (cp >= 0x2066 && cp <= 0x2069) || cp == 0xFEFF) continue;
    else return -1;
    if (n + 1 >= room) return -1;
    out[n++] = (char)('0' + digit);
  }
  out[n] = '\0';
  return n == 0 ? -1 : 0;
}

int identity_username(const char *typed, char out[64]) {
  size_t n = 0;
  if (typed == NULL) return -1;
  while (*typed == ' ') typed++;
  for (; *typed != '\0' && *typed != ' '; typed++) {
    char c = *typed >= 'A' && *typed <= 'Z' ? (char)(*typed - 'A' + 'a') : *typed;
    bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (n == 63 || (!plain && (n == 0 || strchr("._-@", c) == NULL))) return -1;
    out[n++] = c;
  }
  while (*typed == ' ') typed++;
  out[n] = '\0';
  return *typed != '\0' || n < 2 ? -1 : 0;
}

/* ---- life ------------------------------------------------------------------------------- */

int identity_open(struct store *main, struct store *fast, const struct identity_options *o, struct identity **out, struct err *err) {
  if (main == NULL || fast == NULL || o == NULL || o->secret == NULL)
    return err_set(err, ERR_INTERNAL, "identity needs two stores and a secret");
  struct identity *i = base_alloc(sizeof *i);
  i->main = main;
  i->fast = fast;
  i->options = *o;
  memcpy(i->secret, o->secret, sizeof i->secret);
  i->options.secret = i->secret;
  if (i->options.otp_seconds <= 0) i->options.otp_seconds = 120;
  if (i->options.session_seconds <= 0) i->options.session_seconds = 28800;
  if (i->options.limit_factor <= 0) i->options.limit_factor = 1;
  sessions_init(i);
  limits_init(i);
  pthread_mutex_init(&i->hash_lock, NULL);
  pthread_cond_init(&i->hash_free, NULL);
  *out = i;
  return 0;
}

void identity_close(struct identity *i) {
  if (i == NULL) return;
  sessions_free(i);
  limits_free(i);
  pthread_cond_destroy(&i->hash_free);
  pthread_mutex_destroy(&i->hash_lock);
  OPENSSL_cleanse(i->secret, sizeof i->secret);
  free(i);
}
