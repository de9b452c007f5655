#include "exchange/fields.h"
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MOST = 16 * 1024, MEMBERS_MOST = 64, MEMBERS_FIRST = 4, ITEMS_MOST = 128, PARAMS_MOST = 32 };

struct reading { const char *start, *p, *end; struct arena *arena; struct err *err; };

static int refuse(const struct reading *r, const char *what) {
  return err_set(r->err, ERR_MALFORMED, "at byte %zu of the field: %s", (size_t)(r->p - r->start) + 1, what);
}
static int full(const struct reading *r) { return err_set(r->err, ERR_LIMIT, "a field has too many parts"); }
static int at(const struct reading *r) { return r->p < r->end ? (unsigned char)*r->p : -1; }
static bool eat(struct reading *r, char c) {
  if (r->p >= r->end || *r->p != c) return false;
  r->p++;
  return true;
}
static void spaces(struct reading *r) { while (at(r) == ' ') r->p++; }
static void blanks(struct reading *r) { while (at(r) == ' ' || at(r) == '\t') r->p++; }

static bool digit(int c) { return c >= '0' && c <= '9'; }
static bool lower(int c) { return c >= 'a' && c <= 'z'; }
static bool alpha(int c) { return lower(c) || (c >= 'A' && c <= 'Z'); }
static bool key_char(int c) { return lower(c) || digit(c) || c == '_' || c == '-' || c == '.' || c == '*'; }
static bool token_char(int c) { return alpha(c) || digit(c) || (c > 0 && strchr("!#$%&'*+-.^_`|~:/", c) != NULL); }

static int text_out(struct reading *r, const char *s, size_t n, const char **out) {
  *out = arena_strndup(r->arena, s, n);
  return *out == NULL ? full(r) : 0;
}

static int key_read(struct reading *r, const char **out) {
  const char *from = r->p;
  if (!lower(at(r)) && at(r) != '*') return refuse(r, "a key begins with a small letter or a star");
  while (key_char(at(r))) r->p++;
  return text_out(r, from, (size_t)(r->p - from), out);
}

/* Integer of at most 15 digits, or decimal of at most 12 and 3. */
static int number_read(struct reading *r, struct sfv_value *out) {
  bool minus = eat(r, '-');
  int64_t n = 0;
  int whole = 0, part = 0;
  for (; digit(at(r)); r->p++, whole++) {
    if (whole == 15) return refuse(r, "a number has at most 15 digits");
    n = n * 10 + (*r->p - '0');
  }
  if (whole == 0) return refuse(r, "a digit is missing");
  out->type = SFV_INTEGER;
  if (eat(r, '.')) {
    if (whole > 12) return refuse(r, "a decimal has at most 12 digits before its point");
    for (; digit(at(r)); r->p++, part++) {
      if (part == 3) return refuse(r, "a decimal has at most 3 digits behind its point");
      n = n * 10 + (*r->p - '0');
    }
    if (part == 0) return refuse(r, "a digit is missing behind the point");
    for (; part < 3; part++) n *= 10;
    out->type = SFV_DECIMAL;
  }
  out->number = minus ? -n : n;
  return 0;
}

static int string_read(struct reading *r, struct sfv_value *out) {
  const char *quote = memchr(r->p, '"', (size_t)(r->end - r->p)); /* none is escaped, as a rule */
  bool plain = quote != NULL && memchr(r->p, '\\', (size_t)(quote - r->p)) == NULL;
  if (plain) {
    const char *from = r->p;
    for (; r->p < quote; r->p++)
      if (*r->p < 0x20 || *r->p > 0x7e) return refuse(r, "a string holds ASCII only");
    r->p++;
    *out = (struct sfv_value){SFV_STRING, 0, NULL, (size_t)(quote - from)};
    return text_out(r, from, out->size, &out->text);
  }
  char *text = arena_alloc(r->arena, (size_t)(r->end - r->p) + 1);
  size_t n = 0;
  if (text == NULL) return full(r);
  for (;;) {
    int c = at(r);
    if (c < 0) return refuse(r, "a string has no end");
    if (c < 0x20 || c > 0x7e) return refuse(r, "a string holds ASCII only");
    r->p++;
    if (c == '"') break;
    if (c == '\\') {
      c = at(r);
      if (c != '"' && c != '\\') return refuse(r, "only a quote or a backslash may be escaped");
      r->p++;
    }
    text[n++] = (char)c;
  }
  *out = (struct sfv_value){SFV_STRING, 0, text, n};
  return 0;
}

static int bytes_read(struct reading *r, struct sfv_value *out) {
  const char *from = r->p, *colon = memchr(from, ':', (size_t)(r->end - from));
  if (colon == NULL) return refuse(r, "bytes have no end");
  size_t n = (size_t)(colon - from), size = 0;
  char *p = arena_alloc(r->arena, n + 1);
  if (p == NULL) return full(r);
  if (base64_decode(from, n, p, n, &size) != 0) return refuse(r, "this is not base64");
  r->p = colon + 1;
  *out = (struct sfv_value){SFV_BYTES, 0, p, size};
  return 0;
}

static int value_read(struct reading *r, struct sfv_value *out) {
  int c = at(r);
  *out = (struct sfv_value){0};
  if (c == '-' || digit(c)) return number_read(r, out);
  if (c == '"') return r->p++, string_read(r, out);
  if (c == ':') return r->p++, bytes_read(r, out);
  if (c == '?') {
    r->p++;
    if (at(r) != '0' && at(r) != '1') return refuse(r, "a boolean is ?0 or ?1");
    out->number = *r->p++ == '1';
    return 0;
  }
  if (c == '@') {
    r->p++;
    if (number_read(r, out) != 0) return -1;
    if (out->type != SFV_INTEGER) return refuse(r, "a date is a whole number");
    out->type = SFV_DATE;
    return 0;
  }
  if (!alpha(c) && c != '*') return refuse(r, "a value is missing");
  const char *from = r->p;
  while (token_char(at(r))) r->p++;
  out->type = SFV_TOKEN;
  out->size = (size_t)(r->p - from);
  return text_out(r, from, out->size, &out->text);
}

static int params_read(struct reading *r, struct sfv_item *item) {
  __attribute__((uninitialized)) struct sfv_param list[PARAMS_MOST];
  size_t n = 0;
  while (eat(r, ';')) {
    struct sfv_param one = {.value = {.type = SFV_BOOLEAN, .number = 1}};
    spaces(r);
    if (key_read(r, &one.key) != 0) return -1;
    if (eat(r, '=') && value_read(r, &one.value) != 0) return -1;
    for (size_t i = 0; i < n; i++)
      if (strcmp(list[i].key, one.key) == 0) return refuse(r, "a parameter stands twice");
    if (n == PARAMS_MOST) return full(r);
    list[n++] = one;
  }
  if (n == 0) return 0;
  if ((item->params = arena_alloc(r->arena, n * sizeof list[0])) == NULL) return full(r);
  memcpy(item->params, list, n * sizeof list[0]);
  item->param_count = n;
  return 0;
}

static int item_read(struct reading *r, struct sfv_item *out) { return value_read(r, &out->value) != 0 ? -1 : params_read(r, out); }

static int list_read(struct reading *r, struct sfv_item *out) {
  size_t room = 0;
  out->value.type = SFV_LIST;
  for (;;) {
    spaces(r);
    if (eat(r, ')')) return params_read(r, out);
    if (out->count == ITEMS_MOST) return full(r);
    if (out->count == room) {
      size_t more = room == 0 ? 16 : 2 * room;
      struct sfv_item *items = arena_alloc(r->arena, more * sizeof *items);
      if (items == NULL) return full(r);
      if (room > 0) memcpy(items, out->items, room * sizeof *items);
      out->items = items;
      room = more;
    }
    if (item_read(r, &out->items[out->count++]) != 0) return -1;
    if (at(r) != ' ' && at(r) != ')') return refuse(r, "a space or the end of the list is missing");
  }
}

static int member_read(struct reading *r, struct sfv_member *out) {
  *out = (struct sfv_member){0};
  if (key_read(r, &out->key) != 0) return -1;
  if (!eat(r, '=')) {
    out->item.value = (struct sfv_value){.type = SFV_BOOLEAN, .number = 1};
    return params_read(r, &out->item);
  }
  return eat(r, '(') ? list_read(r, &out->item) : item_read(r, &out->item);
}

int sfv_dictionary(struct arena *a, const char *text, size_t n, struct sfv_member **list, size_t *count, struct err *err) {
  struct reading r = {text, text, text + n, a, err};
  *count = 0;
  if (n > TEXT_MOST) return err_set(err, ERR_LIMIT, "a field has more than %d bytes", TEXT_MOST);
  size_t room = MEMBERS_FIRST;
  if ((*list = arena_alloc(a, room * sizeof **list)) == NULL) return full(&r);
  spaces(&r);
  while (r.p < r.end) {
    if (*count == MEMBERS_MOST) return full(&r);
    if (*count == room) {
      struct sfv_member *more = arena_alloc(a, 2 * room * sizeof *more);
      if (more == NULL) return full(&r);
      memcpy(more, *list, room * sizeof *more);
      *list = more;
      room *= 2;
    }
    struct sfv_member *m = &(*list)[*count];
    if (member_read(&r, m) != 0) return -1;
    if (sfv_member(*list, *count, m->key) != NULL) return refuse(&r, "a key stands twice");
    ++*count;
    blanks(&r);
    if (r.p == r.end) break;
    if (!eat(&r, ',')) return refuse(&r, "a comma is missing");
    blanks(&r);
    if (r.p == r.end) return refuse(&r, "nothing follows the comma");
  }
  return 0;
}

const struct sfv_item *sfv_member(const struct sfv_member *list, size_t count, const char *key) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(list[i].key, key) == 0) return &list[i].item;
  return NULL;
}

const struct sfv_value *sfv_param(const struct sfv_item *item, const char *key) {
  for (size_t i = 0; i < item->param_count; i++)
    if (strcmp(item->params[i].key, key) == 0) return &item->params[i].value;
  return NULL;
}

static void decimal_write(struct buf *out, int64_t thousandths) {
  uint64_t n = thousandths < 0 ? (uint64_t)-thousandths : (uint64_t)thousandths;
  char part[8];
  snprintf(part, sizeof part, "%03u", (unsigned)(n % 1000));
  for (int i = 2; i > 0 && part[i] == '0'; i--) part[i] = '\0';
  buf_addf(out, "%s%llu.%s", thousandths < 0 ? "-" : "", (unsigned long long)(n / 1000), part);
}

void sfv_write_value(struct buf *out, const struct sfv_value *v) {
  switch (v->type) {
  case SFV_BOOLEAN: buf_adds(out, v->number ? "?1" : "?0"); break;
  case SFV_INTEGER: buf_addi(out, v->number); break;
  case SFV_DATE:
    buf_addc(out, '@');
    buf_addi(out, v->number);
    break;
  case SFV_DECIMAL: decimal_write(out, v->number); break;
  case SFV_TOKEN: buf_add(out, v->text, v->size); break;
  case SFV_BYTES:
    buf_addc(out, ':');
    buf_add64(out, v->text, v->size);
    buf_addc(out, ':');
    break;
  case SFV_STRING:
    buf_addc(out, '"');
    if (memchr(v->text, '"', v->size) == NULL && memchr(v->text, '\\', v->size) == NULL) buf_add(out, v->text, v->size);
    else for (size_t i = 0, run = 0; i <= v->size; i++) {
      bool end = i == v->size;
      if (!end && v->text[i] != '"' && v->text[i] != '\\') continue;
      buf_add(out, v->text + run, i - run);
      if (!end) buf_addc(out, '\\');
      run = i;
    }
    buf_addc(out, '"');
    break;
  case SFV_LIST: break;
  }
}

void sfv_write_params(struct buf *out, const struct sfv_param *list, size_t count) {
  for (size_t i = 0; i < count; i++) {
    buf_addc(out, ';');
    buf_adds(out, list[i].key);
    if (list[i].value.type == SFV_BOOLEAN && list[i].value.number) continue;
    buf_addc(out, '=');
    sfv_write_value(out, &list[i].value);
  }
}

void sfv_write(struct buf *out, const struct sfv_item *item) {
  if (item->value.type == SFV_LIST) {
    buf_addc(out, '(');
    for (size_t i = 0; i < item->count; i++) {
      if (i > 0) buf_addc(out, ' ');
      sfv_write(out, &item->items[i]);
    }
    buf_addc(out, ')');
  } else {
    sfv_write_value(out, &item->value);
  }
  sfv_write_params(out, item->params, item->param_count);
}
