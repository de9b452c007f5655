#include "channels/ussd/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The setting ussd_carriers: `NAME WORD…` by semicolon; NAME * is what the others begin with. */

static const struct ussd_carrier usual = {.name = "*", .unicode = 80, .gsm = 182, .begins = 1, .reply = 18, .asks = 2, .ends = 17, .end_bit = true};

/* 70/160: exactly `count` whole numbers from least to most */
static bool numbers(const char *text, int least, int most, int *out, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char *end = NULL;
    if (*text < '0' || *text > '9') return false;
    long n = strtol(text, &end, 10);
    if (n < least || n > most || *end != (i + 1 < count ? '/' : 0)) return false;
    out[i] = (int)n;
    text = end + 1;
  }
  return true;
}

static bool read_word(struct ussd_carrier *c, const char *word) {
  int n[4];
  if (base_starts(word, "screen=") && numbers(word + 7, 40, 1000, n, 2)) {
    c->unicode = n[0];
    c->gsm = n[1];
    return true;
  }
  if (base_starts(word, "ops=") && numbers(word + 4, 0, 255, n, 4)) {
    if (n[0] == n[1]) return false; /* a beginning that looks like a reply */
    c->begins = (unsigned char)n[0];
    c->reply = (unsigned char)n[1];
    c->asks = (unsigned char)n[2];
    c->ends = (unsigned char)n[3];
    return true;
  }
  if (strcmp(word, "end=bit") == 0 || strcmp(word, "end=op") == 0) {
    c->end_bit = strcmp(word, "end=bit") == 0;
    return true;
  }
  return false;
}

static int read_row(char *text, struct ussd_carriers *out, struct err *err) {
  char *save = NULL, *name = strtok_r(text, " \t", &save);
  if (!name) return 0;
  bool others = strcmp(name, "*") == 0;
  struct ussd_carrier *row = others ? &out->rows[0] : &out->rows[out->count];
  if (strlen(name) >= sizeof row->name) return err_set(err, ERR_INVALID, "ussd_carriers: the name '%.40s' is too long", name);
  if (!others && out->count == BASE_COUNT(out->rows)) return err_set(err, ERR_INVALID, "ussd_carriers: more than %zu carriers", BASE_COUNT(out->rows) - 1);
  if (!others) {
    *row = out->rows[0];
    snprintf(row->name, sizeof row->name, "%s", name);
    out->count++;
  }
  for (char *word = strtok_r(NULL, " \t", &save); word; word = strtok_r(NULL, " \t", &save))
    if (!read_word(row, word))
      return err_set(err, ERR_INVALID, "ussd_carriers: '%.40s' is none of screen=80/182, ops=BEGIN/REPLY/ASK/END, end=bit, end=op", word);
  return 0;
}

int ussd_carriers_read(const char *setting, struct ussd_carriers *out, struct err *err) {
  char *copy = base_strdup(setting ? setting : ""), *save = NULL;
  int rc = 0;
  *out = (struct ussd_carriers){.count = 1};
  out->rows[0] = usual;
  for (char *row = strtok_r(copy, ";", &save); row && rc == 0; row = strtok_r(NULL, ";", &save)) rc = read_row(row, out, err);
  free(copy);
  return rc;
}

const struct ussd_carrier *ussd_carrier_of(const struct ussd_carriers *c, const char *name) {
  for (size_t i = 1; name && i < c->count; i++)
    if (strcmp(c->rows[i].name, name) == 0) return &c->rows[i];
  return c->count ? &c->rows[0] : &usual;
}
