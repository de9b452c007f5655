/* The paper itself. */
#include "certificates/inside.h"

#include "print/print.h"

#include <stdlib.h>
#include <string.h>

#define TOGETHER(text) "\u2066" text "\u2069" /* a code inside a Persian sentence */

/* What texts of a pack may speak of: the answers as they are shown, and tracking, date, number. The number itself is made of plain digits. */
static json_t *values_of(struct arena *a, const struct case_outcome *o, const struct certificate *row, enum lang l) {
  json_t *data = o->data ? json_loads(o->data, 0, NULL) : NULL, *values = json_object();
  char code[48];
  for (size_t i = 0; i < o->def->field_count; i++) {
    const json_t *v = json_object_get(data, o->def->fields[i]->name);
    const char *text = v ? field_show(o->pack, o->def->fields[i], v, l, a) : NULL;
    if (text && text[0]) json_put(values, o->def->fields[i]->name, text);
  }
  json_decref(data);
  identifier_group(IDENT_TRACKING, row->tracking, code);
  const char *grouped = digits_local(a, l, code), *number = row->number ? digits_local(a, l, row->number) : NULL;
  json_put(values, "tracking", row->number ? arena_printf(a, TOGETHER("%s"), grouped) : row->tracking);
  char jalali[16];
  date_jalali(day_of(row->decided), jalali);
  json_put(values, "date", row->number ? date_short(a, l, day_of(row->decided)) : jalali);
  if (number) json_put(values, "number", arena_printf(a, TOGETHER("%s"), number));
  return values;
}

static int filled(const struct certificates *g, struct arena *a, const char *text, json_t *values, const char **out, struct err *err) {
  struct buf b;
  buf_init(&b, 64 * 1024);
  int rc = g->o.fill(g->o.fill_ctx, text, values, &b, err);
  if (rc == 0 && (buf_overflowed(&b) || !(*out = arena_strdup(a, buf_str(&b))))) rc = err_set(err, ERR_LIMIT, "a certificate's text is too long");
  buf_free(&b);
  json_decref(values);
  return rc;
}

int certificate_number(const struct certificates *g, struct arena *a, const struct case_outcome *o, struct certificate *row, struct err *err) {
  row->number = NULL;
  return filled(g, a, o->def->certificate.number ? o->def->certificate.number : "{{tracking}}", values_of(a, o, row, LANG_EN), &row->number, err);
}

int certificate_text(const struct certificates *g, struct arena *a, const struct case_outcome *o, const struct certificate *row, enum lang l, const char **out, struct err *err) {
  return filled(g, a, text_in(&o->def->certificate.body, l), values_of(a, o, row, l), out, err);
}

static const char *w(enum lang l, const char *key) {
  char full[96];
  snprintf(full, sizeof full, "certificate.%s", key);
  return word(l, full);
}

static const char *owner_name(const struct case_outcome *o, enum lang l) {
  const struct directory *d = pack_directory(o->pack);
  const struct organisation *by = directory_organisation(d, directory_find_organisation(d, o->owner));
  return by ? organisation_name(by, l) : o->owner;
}

static void proof(const struct certificates *g, struct print *p, struct arena *a, const struct certificate *row, enum lang l) {
  char hex[65], shown[16];
  hex_encode(row->decision, TRUST_HASH, hex);
  certificate_code_show(row->code, shown);
  const char *address = certificate_address(g, a, row->code);
  const char *lines[] = {w(l, "paper_check"), address, word_fill(a, l, "certificate.paper_code", "code", arena_printf(a, TOGETHER("%s"), shown), NULL),
                         w(l, "paper_check_more")};
  print_qr(p, address, 32, lines, BASE_COUNT(lines));
  print_text(p, PRINT_SMALL, PRINT_START, word_fill(a, l, "certificate.paper_leaf", "key", arena_printf(a, TOGETHER("%s"), trust_key_id(g->trust)), NULL));
  print_text(p, PRINT_SMALL, PRINT_START, arena_printf(a, "%.32s\n%.32s", hex, hex + 32));
}

static int page(const struct certificates *g, struct print *p, struct arena *a, const struct case_outcome *o, const struct certificate *row, enum lang l, struct err *err) {
  const char *text, *title = l == LANG_FA ? row->title_fa : row->title_en;
  char code[48];
  if (certificate_text(g, a, o, row, l, &text, err)) return -1;
  identifier_group(IDENT_TRACKING, row->tracking, code);
  print_space(p, 4);
  print_text(p, PRINT_SMALL, PRINT_CENTER, pack_name(o->pack, l));
  print_text(p, PRINT_BOLD, PRINT_CENTER, owner_name(o, l));
  print_space(p, 8);
  print_heading(p, 1, title);
  print_space(p, 4);
  print_text(p, PRINT_LARGE, PRINT_START, text);
  print_space(p, 4);
  print_fact(p, w(l, "number"), digits_local(a, l, row->number));
  print_fact(p, w(l, "decided_on"), date_long(a, l, day_of(row->decided)));
  if (row->issue > 1 || day_of(row->issued) != day_of(row->decided)) print_fact(p, w(l, "issued_on"), date_long(a, l, day_of(row->issued)));
  print_fact(p, w(l, "valid_until"), row->valid_until ? date_long(a, l, (int32_t)row->valid_until) : w(l, "no_end"));
  print_fact(p, w(l, "tracking"), digits_local(a, l, code));
  if (row->issue > 1) print_text(p, PRINT_SMALL, PRINT_START, w(l, "paper_replaces"));
  print_rule(p);
  proof(g, p, a, row, l);
  print_space(p, 2);
  print_text(p, PRINT_SMALL, PRINT_CENTER, w(l, "paper_electronic"));
  return 0;
}

int certificate_paper(const struct certificates *g, struct arena *a, const struct case_outcome *o, const struct certificate *row, void **pdf, size_t *n, struct err *err) {
  char shown[16], *subject;
  certificate_code_show(row->code, shown);
  if (!(subject = arena_printf(a, "Chapar certificate %s", shown))) return err_set(err, ERR_LIMIT, "a certificate is too large");
  struct print_options options = {.lang = LANG_FA, .title = row->title_fa, .author = owner_name(o, LANG_FA), .subject = subject, .frame = true, .at = row->issued};
  struct print *p = print_new(&options);
  int rc = page(g, p, a, o, row, LANG_FA, err);
  print_language(p, LANG_EN);
  if (rc == 0) rc = page(g, p, a, o, row, LANG_EN, err);
  if (rc == 0 && arena_overflowed(a)) rc = err_set(err, ERR_LIMIT, "a certificate is too large");
  if (rc) {
    print_free(p);
    return -1;
  }
  return print_finish(p, pdf, n, err);
}
