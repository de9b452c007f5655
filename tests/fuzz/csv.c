/* Whatever csv_read accepts is written again with every cell quoted and must read back alike. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct err err = {0};
  struct csv *c = csv_read((const char *)data, size, &err);
  if (!c) {
    if (err.code == ERR_NONE || !utf8_valid(err.message, strlen(err.message))) abort();
    return 0;
  }
  int columns = 0;
  while (columns < 1000 && (!csv_rows(c) || csv_cell(c, 0, columns) != csv_cell(c, 0, -1)) && columns < (int)size) columns++;
  struct buf b = {0};
  for (int k = 0; k < columns; k++) buf_addf(&b, "%sc%d", k ? "," : "", k);
  for (size_t i = 0; i < csv_rows(c); i++) {
    if (!csv_line(c, i) || (i && csv_line(c, i) <= csv_line(c, i - 1))) abort();
    for (int k = 0; k < columns; k++) {
      buf_adds(&b, k ? ",\"" : "\n\"");
      for (const char *p = csv_cell(c, i, k); *p; p++) {
        if (*p == '"') buf_addc(&b, '"');
        buf_addc(&b, *p);
      }
      buf_addc(&b, '"');
    }
  }
  struct csv *again = csv_rows(c) ? csv_read(b.data, b.len, &err) : NULL;
  if (csv_rows(c) && (!again || csv_rows(again) != csv_rows(c))) abort();
  for (size_t i = 0; i < csv_rows(c); i++)
    for (int k = 0; k < columns; k++)
      if (strcmp(csv_cell(c, i, k), csv_cell(again, i, k))) abort();
  csv_free(again);
  csv_free(c);
  buf_free(&b);
  return 0;
}
