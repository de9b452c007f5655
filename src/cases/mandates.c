/* Acting for somebody else. */
#include "cases/private.h"

void case_put_mandate(json_t *payload, const struct actor *who) {
  (void)payload;
  (void)who;
}
