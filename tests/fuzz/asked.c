/* What a gateway asks of the operator, as it may come from anybody: a request to join, an announcement of keys, a switch; and a code as a person types it. */
#include "exchange/publish.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const types[] = {"chapar-join-v1", "chapar-keys-v1", "chapar-switch-v1"};
  for (size_t i = 0; i < BASE_COUNT(types); i++) {
    struct asked_in a;
    struct exchange_id id;
    struct err err;
    json_t *doc = NULL;
    int rc = asked_read((const char *)data, size, types[i], &a, &doc, &err);
    if (rc != 0 && doc != NULL) abort();
    if (rc == 0) {
      if (exchange_id_parse(a.server, 4, 4, &id, &err) || strlen(a.keyid) != 64 || strlen(a.witness) > 399 || a.public_size > sizeof a.public_key) abort();
      if (a.witness[0] && strcspn(a.witness, "+") != strlen(a.server)) abort(); /* its own name, whatever stands in it */
    }
    json_decref(doc);
  }
  char *text = malloc(size + 1), again[80];
  unsigned char secret[10], pin[32], secret2[10], pin2[32];
  if (text == NULL) abort();
  if (size > 0) memcpy(text, data, size);
  text[size] = '\0';
  if (code_read(text, secret, pin, NULL) == 0) {
    code_make(secret, pin, again);
    if (code_read(again, secret2, pin2, NULL) || memcmp(secret, secret2, 10) != 0 || memcmp(pin, pin2, 32) != 0) abort();
  }
  free(text);
  return 0;
}
