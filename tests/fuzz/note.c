/* Notes, checkpoints and verifier keys from outside: parsed pieces must lie inside, and what was parsed must write back. */
#include "trust/inner.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char key[] = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
  struct err err;
  struct note n;
  struct checkpoint c;
  struct vkey k;
  const struct note_line *line;
  char *text = malloc(size + 1); /* exactly as long, so that reading beyond it is seen */
  if (text == NULL) abort();
  memcpy(text, data, size);
  text[size] = '\0';
  if (vkey_parse(text, &k, &err) == 0) {
    char *again = vkey_text(&k);
    if (strcmp(again, text) != 0) abort();
    free(again);
  }
  if (vkey_parse(key, &k, &err) != 0) abort();
  if (note_parse(text, size, &n, &err) == 0) {
    if (n.text != text || n.size > size || n.count < 1 || n.count > NOTE_LINES) abort();
    for (int i = 0; i < n.count; i++)
      if (n.lines[i].line < text || n.lines[i].line + n.lines[i].line_size > text + size) abort();
    note_check(&n, &k, &line);
    vkey_make(&k, "example.com/foo", KEY_COSIGNATURE, k.public);
    note_check(&n, &k, &line);
    if (checkpoint_parse(n.text, n.size, &c, &err) == 0 && (c.size < 0 || strlen(c.origin) > NAME_MOST)) abort();
  }
  if (checkpoint_parse(text, size, &c, &err) == 0 && c.size < 0) abort();
  free(text);
  return 0;
}
