/* What an agent of SNMP version 3 says, as who asks reads it: with a proof that is right (made here, so that what is behind it is reached), sealed or not, before the engine is known and after;
 * and the file of users. */
#include "network/usm.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct usm_user user = {.name = "a", .user = "reader", .auth = 2, .priv = true};
  struct usm u;
  unsigned char message[USM_MESSAGE_MOST], *pdu = NULL;
  size_t n = 0;
  struct err err;
  if (size < 2 || size > sizeof message + 1) return 0;
  if (data[0] == 'f') {
    if (!memmem(data, size, "aes128", 6) && !memmem(data, size, ",sha", 4)) usm_users_free(usm_users_parse((const char *)data + 1, size - 1, "file", &err)); /* keys are slow to make */
    return 0;
  }
  usm_begin(&u, &user);
  memcpy(message, data + 1, size - 1);
  if (data[0] & 1) { /* as after the first answer */
    u.engine_size = 5;
    memcpy(u.engine, "\x80\0\0\0\1", 5);
  }
  u.id = 1;
  enum usm_took took = usm_take(&u, message, size - 1, &pdu, &n);
  if (took == USM_ANSWER && (pdu < message || pdu + n > message + size - 1)) abort();
  if (took == USM_ANSWER && !(data[0] & 1)) abort(); /* nothing is proven before the engine is known */
  usm_end(&u);
  return 0;
}
