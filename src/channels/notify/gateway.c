/* The gateways: Kannel's sendsms over HTTP, and SMTP. */
#include "channels/notify/inner.h"
#include <stdlib.h>
#include <string.h>

static void add_escaped(struct buf *b, const char *s) {
  for (; *s != '\0'; s++) {
    unsigned char c = (unsigned char)*s;
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) != NULL;
    if (plain) buf_addc(b, (char)c);
    else buf_addf(b, "%%%02X", c);
  }
}

static void add_parameter(struct buf *b, const char *name, const char *value) {
  char last = b->len > 0 ? b->data[b->len - 1] : '\0';
  if (last != '?' && last != '&') buf_addc(b, strchr(buf_str(b), '?') != NULL ? '&' : '?');
  buf_adds(b, name);
  buf_addc(b, '=');
  add_escaped(b, value);
}

/* A line of the gateway's answer fit for a log: printable ASCII, no digits (they may be a telephone). */
static void excerpt(const struct http_answer *a, char out[64]) {
  size_t n = 0;
  for (size_t k = 0; a->body != NULL && k < a->size && n < 60 && a->body[k] != '\n'; k++) {
    char c = a->body[k];
    if (c >= ' ' && c < 0x7f) out[n++] = c >= '0' && c <= '9' ? '#' : c;
  }
  out[n] = '\0';
}

/* Nothing left for certain: try again, unless it was refused for good. Otherwise nobody knows: never again. True when the gateway itself is in
 * trouble. */
static bool no_answer(struct message *m, const struct err *why) {
  bool refused = why->code == ERR_INVALID, later = why->code == ERR_RATE, unreached = why->code == ERR_UNAVAILABLE;
  m->fate = refused && m->channel == CHANNEL_EMAIL ? FATE_REFUSED : refused || later || unreached ? FATE_AGAIN : FATE_UNCLEAR;
  snprintf(m->error, sizeof m->error, "%s: %.120s", refused ? "refused" : later ? "refused for now" : unreached ? "not reached" : "no answer", why->message);
  return !refused && !later;
}

/* Where the carrier's report goes: the key in hex, for Kannel reads a % as the beginning of something to fill in. */
static void add_report(struct buf *url, const struct notify_options *o, const struct message *m) {
  struct buf to;
  char hex[2 * KEY_MOST + 1];
  if (o->report_url == NULL || m->urgent) return;
  buf_init(&to, 2048);
  buf_adds(&to, o->report_url);
  hex_encode(m->key, strlen(m->key), hex);
  add_parameter(&to, "key", hex);
  buf_adds(&to, "&state=%d");
  add_parameter(url, "dlr-mask", "19"); /* delivered, undeliverable, refused by the centre */
  add_parameter(url, "dlr-url", buf_str(&to));
  buf_free(&to);
}

static bool send_sms(struct notify *n, struct message *m) {
  const struct notify_options *o = &n->options;
  struct buf url;
  char to[24];
  struct err why = {0};
  struct http_answer answer = {0};
  buf_init(&url, 16384);
  buf_adds(&url, o->kannel_url);
  add_parameter(&url, "username", o->kannel_user);
  add_parameter(&url, "password", o->kannel_password);
  snprintf(to, sizeof to, "+98%s", m->to + 1);
  add_parameter(&url, "to", to);
  if (o->sender != NULL) add_parameter(&url, "from", o->sender);
  add_parameter(&url, "coding", text_gsm7(m->text, NULL) ? "0" : "2");
  add_parameter(&url, "charset", "UTF-8");
  add_parameter(&url, "text", m->text);
  add_report(&url, o, m);
  struct http_call call = {.method = "GET", .url = buf_str(&url), .timeout_ms = o->timeout_ms, .most = 65536};
  bool trouble = false;
  if (http_client_call(n->client, &call, &answer, &why) != 0) {
    trouble = no_answer(m, &why);
  } else if (answer.status >= 200 && answer.status < 300) {
    m->fate = FATE_SENT;
  } else {
    char said[64];
    excerpt(&answer, said);
    m->fate = FATE_AGAIN;
    snprintf(m->error, sizeof m->error, "the gateway answered %d: %s", answer.status, said);
    trouble = answer.status >= 500;
  }
  http_answer_free(&answer);
  buf_free(&url);
  return trouble;
}

static bool send_mail(struct notify *n, struct message *m) {
  struct err why = {0};
  if (http_client_mail(n->client, n->options.smtp_url, n->options.mail_from, m->to, m->subject[0] ? m->subject : word(m->lang, "notify.subject"), m->text, &why) != 0)
    return no_answer(m, &why);
  m->fate = FATE_SENT;
  return false;
}

bool gateway_send(struct notify *n, struct message *m) {
  m->error[0] = '\0';
  return m->channel == CHANNEL_SMS ? send_sms(n, m) : send_mail(n, m);
}
