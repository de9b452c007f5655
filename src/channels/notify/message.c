/* What may be sent, and to whom. */
#include "channels/notify/inner.h"
#include <string.h>
#include <strings.h>

const char *const channel_texts[CHANNELS] = {"sms", "email"};

static bool address_shaped(const char *s) {
  size_t n = strlen(s);
  const char *at = strchr(s, '@');
  if (n > TO_MOST || at == NULL || at == s || strchr(at + 1, '@') != NULL || strchr(at + 1, '.') == NULL) return false;
  for (; *s != '\0'; s++)
    if (*s <= ' ' || *s >= 0x7f || strchr("<>(),;:\\\"[]", *s) != NULL) return false;
  return s[-1] != '.' && s[-1] != '@';
}

static int text_check(const char *text, enum channel channel, struct err *err) {
  size_t n = text == NULL ? 0 : strlen(text);
  if (n == 0 || !utf8_valid(text, n)) return err_set(err, ERR_INVALID, "text: empty, or not UTF-8");
  for (const char *s = text; *s != '\0'; s++)
    if ((unsigned char)*s < ' ' && *s != '\n') return err_set(err, ERR_INVALID, "text: holds a control character");
  if (strcasestr(text, "http://") != NULL || strcasestr(text, "https://") != NULL || strcasestr(text, "www.") != NULL)
    return err_set(err, ERR_INVALID, "text: no message carries a link");
  if (channel == CHANNEL_EMAIL) return n <= MAIL_MOST ? 0 : err_set(err, ERR_INVALID, "text: longer than %d bytes", MAIL_MOST);
  return text_fits_sms(text, SMS_PARTS) ? 0 : err_set(err, ERR_INVALID, "text: longer than two SMS (306 of the 7-bit alphabet, else 134 characters)");
}

int message_check(const char *to, const char *text, char canonical[TO_MOST + 1], enum channel *channel, struct err *err) {
  char mobile[32];
  if (to != NULL && strchr(to, '@') != NULL) {
    if (!address_shaped(to)) return err_set(err, ERR_INVALID, "to: not an e-mail address");
    *channel = CHANNEL_EMAIL;
    memcpy(canonical, to, strlen(to) + 1);
  } else {
    if (to == NULL || identifier_parse(IDENT_MOBILE, to, mobile) != 0) return err_set(err, ERR_INVALID, "to: not a mobile number");
    *channel = CHANNEL_SMS;
    snprintf(canonical, TO_MOST + 1, "%s", mobile);
  }
  return text_check(text, *channel, err);
}
