#include "http/inner.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { POOLED = 16, DEFAULT_TIMEOUT = 10000, DEFAULT_MOST = 1024 * 1024, MOST_MAIL = 256 * 1024 };

/* Handles keep their connections between calls. */
struct http_client {
  pthread_mutex_t lock;
  CURL *idle[POOLED]; size_t count;
  char *direct;                    /* hosts that are never asked through a proxy */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_begin(void)
{
  curl_global_init(CURL_GLOBAL_DEFAULT);
  signal(SIGPIPE, SIG_IGN); /* a peer that went away is an error of the call */
}

void client_begin(void)
{
  pthread_once(&curl_once, curl_begin);
}

struct http_client *http_client_new(void)
{
  client_begin();
  struct http_client *c = base_alloc(sizeof *c);
  const char *said = getenv("no_proxy");
  pthread_mutex_init(&c->lock, NULL);
  c->direct = base_printf("localhost,127.0.0.1,::1%s%s", said && *said ? "," : "", said ? said : "");
  return c;
}

void http_client_free(struct http_client *c)
{
  if (!c) return;
  while (c->count) curl_easy_cleanup(c->idle[--c->count]);
  pthread_mutex_destroy(&c->lock);
  free(c->direct);
  free(c);
}

static CURL *borrow(struct http_client *c)
{
  pthread_mutex_lock(&c->lock);
  CURL *h = c->count ? c->idle[--c->count] : NULL;
  pthread_mutex_unlock(&c->lock);
  return h ? h : curl_easy_init();
}

static void give_back(struct http_client *c, CURL *h)
{
  curl_easy_reset(h);
  pthread_mutex_lock(&c->lock);
  bool kept = c->count < POOLED;
  if (kept) c->idle[c->count++] = h;
  pthread_mutex_unlock(&c->lock);
  if (!kept) curl_easy_cleanup(h);
}

static size_t on_bytes(char *p, size_t one, size_t n, void *out)
{
  buf_add(out, p, n);
  return buf_overflowed(out) ? 0 : n;
}

static int fail(struct err *err, CURL *h, CURLcode code, const struct buf *got, const char *said)
{
  long answered = 0;
  curl_off_t began = 0; /* 0: not even connected, so nothing was sent */
  curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &answered);
  curl_easy_getinfo(h, CURLINFO_PRETRANSFER_TIME_T, &began);
  if (code == CURLE_WRITE_ERROR && got && buf_overflowed(got))
    return err_set(err, ERR_LIMIT, "the answer is larger than %zu bytes", got->cap);
  if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) return err_set(err, ERR_INVALID, "the address cannot be called");
  bool mail = !got, unsent = began == 0;
  if (mail && answered != 354) unsent = true; /* the server has not asked for the letter itself yet, or has said what it thinks of it */
  /* At the door it speaks of us, not of this letter: that passes. */
  if (mail && ((code == CURLE_WEIRD_SERVER_REPLY && began == 0) || code == CURLE_REMOTE_ACCESS_DENIED || code == CURLE_LOGIN_DENIED || code == CURLE_USE_SSL_FAILED))
    return err_set(err, ERR_UNAVAILABLE, "%s", *said ? said : curl_easy_strerror(code));
  enum err_code what = mail && answered >= 500 ? ERR_INVALID : mail && answered >= 400 ? ERR_RATE : unsent ? ERR_UNAVAILABLE : ERR_OUTCOME_UNKNOWN;
  return err_set(err, what, "%s", *said ? said : curl_easy_strerror(code));
}

static int text_sound(const char *s)
{
  for (; *s; s++)
    if ((unsigned char)*s < ' ' || *s == 0x7f) return -1;
  return 0;
}

/* The header list of a call: ours, and nothing that libcurl would add on its own. */
static int headers_of(const struct http_call *call, struct curl_slist **out)
{
  bool typed = false;
  *out = curl_slist_append(NULL, "Expect:");
  for (size_t i = 0; call->headers && call->headers[i]; i++) {
    if (text_sound(call->headers[i])) return -1;
    typed |= !strncasecmp(call->headers[i], "Content-Type:", 13);
    *out = curl_slist_append(*out, call->headers[i]);
  }
  if (!typed) *out = curl_slist_append(*out, "Content-Type:");
  return *out ? 0 : -1;
}

static void set_method(CURL *h, const struct http_call *call)
{
  const char *method = call->method ? call->method : "GET";
  if (call->body || !strcmp(method, "POST")) {
    curl_easy_setopt(h, CURLOPT_POST, 1L);
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, call->body ? call->body : "");
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_size);
  }
  if (!strcmp(method, "HEAD")) curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
  else curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
}

static void set_common(const struct http_client *c, CURL *h, const char *url, const char *protocols, int timeout_ms,
                       char said[CURL_ERROR_SIZE])
{
  said[0] = '\0';
  curl_easy_setopt(h, CURLOPT_URL, url);
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, protocols);
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)(timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT));
  curl_easy_setopt(h, CURLOPT_ERRORBUFFER, said);
  curl_easy_setopt(h, CURLOPT_NOPROXY, c->direct);
  curl_easy_setopt(h, CURLOPT_USERAGENT, "chapar/" CHAPAR_VERSION);
}

int http_client_call(struct http_client *c, const struct http_call *call, struct http_answer *out, struct err *err)
{
  char said[CURL_ERROR_SIZE];
  struct curl_slist *headers = NULL;
  struct buf got;
  CURL *h = NULL;
  int rc = -1;
  *out = (struct http_answer){0};
  buf_init(&got, call->most ? call->most : DEFAULT_MOST);
  if (headers_of(call, &headers) || text_sound(call->url)) {
    err_set(err, ERR_INVALID, "a control character in the address or a header");
    goto done;
  }
  if (!(h = borrow(c))) {
    err_set(err, ERR_UNAVAILABLE, "no memory for a call");
    goto done;
  }
  set_common(c, h, call->url, "http,https", call->timeout_ms, said);
  set_method(h, call);
  curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_bytes);
  curl_easy_setopt(h, CURLOPT_WRITEDATA, &got);
  CURLcode code = curl_easy_perform(h);
  if (code) {
    fail(err, h, code, &got, said);
    goto done;
  }
  long status = 0;
  char *type = NULL;
  curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(h, CURLINFO_CONTENT_TYPE, &type);
  *out = (struct http_answer){.status = (int)status, .size = got.len, .media_type = base_strdup(type)};
  out->body = buf_take(&got);
  rc = 0;
done:
  if (h) give_back(c, h);
  curl_slist_free_all(headers);
  buf_free(&got);
  return rc;
}

void http_answer_free(struct http_answer *a)
{
  if (!a) return;
  free(a->body);
  free(a->media_type);
  *a = (struct http_answer){0};
}

/* ---- mail -------------------------------------------------------------------------------- */

/* A bare address: one @, no spaces, brackets, quotes or control characters. */
static bool address_sound(const char *s)
{
  const char *at = strchr(s, '@');
  if (!at || at == s || !at[1] || strchr(at + 1, '@') || strlen(s) > 254) return false;
  for (; *s; s++)
    if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || strchr("<>()[]\\,;:\"", *s)) return false;
  return true;
}

static bool plain(const char *s)
{
  for (; *s; s++)
    if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f) return false;
  return true;
}

/* Subject in encoded words (RFC 2047) of at most 75 characters, cut between characters; short plain text as it is. */
static void add_subject(struct buf *b, const char *s)
{
  buf_adds(b, "Subject: ");
  if (plain(s) && strlen(s) <= 60 && !strstr(s, "=?")) {
    buf_addf(b, "%s\r\n", s);
    return;
  }
  const char *end = s + strlen(s);
  while (s < end) {
    const char *stop = s, *next = s;
    while (next < end && utf8_next(&next, end) >= 0 && next - s <= 42) stop = next;
    char *word = base64_encode(s, (size_t)(stop - s));
    buf_addf(b, "=?UTF-8?B?%s?=\r\n%s", word, stop < end ? " " : "");
    free(word);
    s = stop;
  }
}

static void add_body(struct buf *b, const char *text)
{
  char *all = base64_encode(text, strlen(text));
  size_t n = strlen(all);
  for (size_t i = 0; i < n; i += 76) {
    buf_add(b, all + i, n - i < 76 ? n - i : 76);
    buf_adds(b, "\r\n");
  }
  free(all);
}

static void add_head(struct buf *b, const char *from, const char *to, const char *subject)
{
  char date[64], id[33];
  unsigned char random[16];
  struct tm tm;
  time_t now = (time_t)(clock_now() / 1000);
  static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  gmtime_r(&now, &tm);
  snprintf(date, sizeof date, "%.3s, %02d %.3s %d %02d:%02d:%02d +0000", days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
           tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
  random_bytes(random, sizeof random);
  hex_encode(random, sizeof random, id);
  buf_addf(b, "Date: %s\r\nMessage-ID: <%s@%s>\r\nFrom: <%s>\r\nTo: <%s>\r\n", date, id, strchr(from, '@') + 1, from, to);
  add_subject(b, subject);
  buf_adds(b, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Transfer-Encoding: base64\r\nAuto-Submitted: auto-generated\r\n\r\n");
}

struct reading { const char *at; size_t left; };

static size_t give_bytes(char *to, size_t one, size_t room, void *cls)
{
  struct reading *r = cls;
  size_t n = r->left < room ? r->left : room;
  memcpy(to, r->at, n);
  r->at += n;
  r->left -= n;
  return n;
}

static int mail_sound(const char *from, const char *to, const char *subject, const char *text, struct err *err)
{
  if (!address_sound(from) || !address_sound(to)) return err_set(err, ERR_INVALID, "not a mail address");
  if (!*subject || strlen(subject) > 500 || !utf8_valid(subject, strlen(subject)) || text_sound(subject))
    return err_set(err, ERR_INVALID, "not a subject");
  if (strlen(text) > MOST_MAIL || !utf8_valid(text, strlen(text))) return err_set(err, ERR_INVALID, "the text is too long, or not UTF-8");
  return 0;
}

int http_client_mail(struct http_client *c, const char *url, const char *from, const char *to, const char *subject, const char *text,
                     struct err *err)
{
  char said[CURL_ERROR_SIZE];
  if (mail_sound(from, to, subject, text, err)) return -1;
  CURL *h = borrow(c);
  if (!h) return err_set(err, ERR_UNAVAILABLE, "no memory for a mail");
  struct buf b = {0};
  add_head(&b, from, to, subject);
  add_body(&b, text);
  struct reading reading = {b.data, b.len};
  struct curl_slist *recipients = curl_slist_append(NULL, to);
  set_common(c, h, url, "smtp,smtps", 30000, said);
  curl_easy_setopt(h, CURLOPT_MAIL_FROM, from);
  curl_easy_setopt(h, CURLOPT_MAIL_RCPT, recipients);
  curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(h, CURLOPT_READFUNCTION, give_bytes);
  curl_easy_setopt(h, CURLOPT_READDATA, &reading);
  curl_easy_setopt(h, CURLOPT_USE_SSL, (long)CURLUSESSL_TRY);
  if (strncasecmp(url, "smtps:", 6)) { /* TLS as an offer: a relay's own certificate is better than none (RFC 7435) */
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  CURLcode code = curl_easy_perform(h);
  int rc = code ? fail(err, h, code, NULL, said) : 0;
  give_back(c, h);
  curl_slist_free_all(recipients);
  buf_free(&b);
  return rc;
}
