#include "channels/ussd/inside.h"

#include <stdio.h>
#include <string.h>

/* What a gateway sends, read without trusting it. */

bool heard_allowed(const char *list, const char *peer) {
  size_t n = strlen(peer);
  if (!list || !list[0]) return true;
  for (const char *at = list; n && (at = strstr(at, peer)); at++)
    if ((at == list || at[-1] == ',' || at[-1] == ' ') && (!at[n] || at[n] == ',' || at[n] == ' ')) return true;
  return false;
}

/* The bytes of one parameter, as many as fit; -1 when it is not there. TLVs hold any byte, NUL too, so they are taken from the raw query. */
static int raw_bytes(const char *query, const char *name, unsigned char *out, size_t most) {
  size_t n = strlen(name), got = 0;
  for (const char *q = query; q && *q; q = strchr(q, '&') ? strchr(q, '&') + 1 : NULL) {
    if (strncmp(q, name, n) != 0 || q[n] != '=') continue;
    for (const char *s = q + n + 1; *s && *s != '&' && got < most; got++) {
      char two[3] = {s[1], s[1] ? s[2] : 0, 0};
      bool coded = *s == '%' && two[0] && two[1] && hex_decode(two, out + got, 1) == 0;
      if (!coded) out[got] = (unsigned char)*s;
      s += coded ? 3 : 1;
    }
    return (int)got;
  }
  return -1;
}

enum heard_kind heard_kannel(const char *query, const struct ussd_carrier *c, struct heard *h) {
  unsigned char op = 0;
  int n = raw_bytes(query, "op", &op, 1);
  *h = (struct heard){.op = -1};
  if (n < 1) return HEARD_MESSAGE;
  h->op = op;
  h->has_its = raw_bytes(query, "its", h->its, sizeof h->its) == 2;
  if (op == c->begins) return HEARD_BEGINS;
  if (op == c->reply && !(c->end_bit && h->has_its && (h->its[1] & 1))) return HEARD_REPLY;
  return HEARD_OVER;
}

void heard_meta(const struct heard *h, const struct ussd_carrier *c, bool end, char out[80]) {
  int n = snprintf(out, 80, "?smpp?ussd_service_op=%%%02X", end ? c->ends : c->asks);
  unsigned last = c->end_bit ? (h->its[1] & 0xfeu) | (end ? 1u : 0u) : h->its[1];
  if (h->has_its) snprintf(out + n, 80 - (size_t)n, "&its_session_info=%%%02X%%%02X", h->its[0], last);
}

size_t heard_inputs(char *text, char **inputs, size_t most) {
  char *save = NULL;
  size_t n = 0;
  for (char *s = strtok_r(text, "*", &save); s && n < most; s = strtok_r(NULL, "*", &save)) inputs[n++] = s;
  return n;
}
