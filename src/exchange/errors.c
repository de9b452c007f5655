/* X-Road's error codes, in the spelling of 7.8 and in that of before, and the answer that carries one. */
#include "exchange/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Each word of a code: as it is since 7.8, as it was. A code is such words joined by dots. */
#define WORDS(X)                                              \
  X("client", "Client")                                       \
  X("server", "Server")                                       \
  X("clientproxy", "ClientProxy")                             \
  X("serverproxy", "ServerProxy")                             \
  X("access_denied", "AccessDenied")                          \
  X("bad_request", "BadRequest")                              \
  X("cannot_create_signature", "CannotCreateSignature")       \
  X("cert_validation", "CertValidation")                      \
  X("database_error", "DatabaseError")                        \
  X("duplicate_header_field", "DuplicateHeaderField")         \
  X("global_conf_outdated", "OutdatedGlobalConf")             \
  X("http_error", "HttpError")                                \
  X("inconsistent_headers", "InconsistentHeaders")            \
  X("inconsistent_response", "InconsistentResponse")          \
  X("internal_error", "InternalError")                        \
  X("invalid_body", "InvalidBody")                            \
  X("invalid_client_identifier", "InvalidClientIdentifier")   \
  X("invalid_http_method", "InvalidHttpMethod")               \
  X("invalid_message", "InvalidMessage")                      \
  X("invalid_protocol_version", "InvalidProtocolVersion")     \
  X("invalid_request", "InvalidRequest")                      \
  X("invalid_response", "InvalidResponse")                    \
  X("invalid_rest", "InvalidRest")                            \
  X("invalid_security_server", "InvalidSecurityServer")       \
  X("invalid_signature_value", "InvalidSignatureValue")       \
  X("io_error", "IOError")                                    \
  X("logging_failed", "LoggingFailed")                        \
  X("maintenance_mode", "MaintenanceMode")                    \
  X("malformed_signature", "MalformedSignature")              \
  X("missing_body", "MissingBody")                            \
  X("missing_header", "MissingHeader")                        \
  X("missing_header_field", "MissingHeaderField")             \
  X("missing_rest", "MissingRest")                            \
  X("missing_signature", "MissingSignature")                  \
  X("network_error", "NetworkError")                          \
  X("not_found", "NotFound")                                  \
  X("service_disabled", "ServiceDisabled")                    \
  X("service_failed", "ServiceFailed")                        \
  X("service_malformed_url", "ServiceMalformedUrl")           \
  X("service_missing_url", "ServiceMissingUrl")               \
  X("service_type", "InvalidServiceType")                     \
  X("signature_verification", "SignatureVerification")        \
  X("ssl_authentication_failed", "SslAuthenticationFailed")   \
  X("timestamping_failed", "TimestampingFailed")              \
  X("unknown_host", "UnknownHost")                            \
  X("unknown_member", "UnknownMember")                        \
  X("unknown_service", "UnknownService")

static const struct { const char *now, *before; } words[] = {
#define X(now, before) {now, before},
  WORDS(X)
#undef X
};

static const char *word_before(const char *s, size_t n) {
  for (size_t i = 0; i < BASE_COUNT(words); i++)
    if (strlen(words[i].now) == n && memcmp(words[i].now, s, n) == 0) return words[i].before;
  return NULL;
}

bool fault_known(const char *code) {
  for (const char *p = code;;) {
    size_t n = strcspn(p, ".");
    if (word_before(p, n) == NULL) return false;
    if (p[n] == '\0') return true;
    p += n + 1;
  }
}

void fault_code(const char *code, enum exchange_error_style style, char out[100]) {
  size_t at = 0;
  out[0] = '\0';
  for (const char *p = code; *p != '\0' && at < 99;) {
    size_t n = strcspn(p, ".");
    const char *before = style == EXCHANGE_ERRORS_77 ? word_before(p, n) : NULL;
    int put = snprintf(out + at, 100 - at, "%s%.*s", at > 0 ? "." : "", before != NULL ? (int)strlen(before) : (int)n, before != NULL ? before : p);
    at += put > 0 ? (size_t)put : 0;
    p += n;
    if (*p == '.') p++;
  }
}

int fault_set(struct fault *f, const char *code, const char *fmt, ...) {
  va_list ap;
  snprintf(f->code, sizeof f->code, "%s", code);
  va_start(ap, fmt);
  vsnprintf(f->message, sizeof f->message, fmt, ap);
  va_end(ap);
  for (char *p = f->message; *p != '\0'; p++)
    if ((unsigned char)*p < 0x20) *p = ' ';
  size_t n = strlen(f->message);
  while (n > 0 && !utf8_valid(f->message, n)) f->message[--n] = '\0'; /* cut inside a character, or somebody else's bytes */
  uuid_make(f->detail);
  return -1;
}

int fault_status(const struct fault *f) { return base_starts(f->code, "server.") ? 500 : 400; }

/* The first type of Accept that is XML to X-Road decides; NULL: JSON. */
static const char *xml_wanted(const char *accept) {
  static const char *const types[] = {"text/xml", "application/xml", "text/*"};
  while (accept != NULL && *accept != '\0') {
    accept += strspn(accept, " \t,");
    size_t all = strcspn(accept, ","), n = strcspn(accept, ",; \t");
    for (size_t i = 0; i < BASE_COUNT(types); i++)
      if (strlen(types[i]) == n && strncasecmp(types[i], accept, n) == 0) return i == 1 ? "application/xml;charset=utf-8" : "text/xml;charset=utf-8";
    accept += all;
  }
  return NULL;
}

static void xml_put(struct buf *b, const char *name, const char *text) {
  buf_addf(b, "<%s>", name);
  for (const char *p = text; *p != '\0'; p++) {
    if (*p == '<') buf_adds(b, "&lt;");
    else if (*p == '>') buf_adds(b, "&gt;");
    else if (*p == '&') buf_adds(b, "&amp;");
    else buf_addc(b, *p);
  }
  buf_addf(b, "</%s>", name);
}

const char *fault_body(const struct fault *f, enum exchange_error_style style, const char *accept, struct buf *out) {
  const char *xml = xml_wanted(accept);
  char code[100];
  fault_code(f->code, style, code);
  if (xml != NULL) {
    buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<error>");
    xml_put(out, "type", code);
    xml_put(out, "message", f->message);
    xml_put(out, "detail", f->detail);
    buf_adds(out, "</error>");
    return xml;
  }
  json_t *v = json_object();
  size_t n;
  json_put(v, "type", code);
  json_put(v, "message", f->message);
  json_put(v, "detail", f->detail);
  char *text = json_text(v, &n);
  buf_add(out, text, n);
  free(text);
  json_decref(v);
  return "application/json";
}

void fault_reply(struct http_req *r, const struct exchange *x, const struct fault *f) {
  struct buf body = {0};
  char code[100];
  fault_code(f->code, x->o.errors, code);
  const char *type = fault_body(f, x->o.errors, http_header(r, "Accept"), &body);
  http_reply_header(r, "X-Road-Error", code);
  size_t n = body.len;
  http_reply_take(r, fault_status(f), type, buf_take(&body), n);
}
