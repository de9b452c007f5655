/* Letters and whole cases on paper. */
#include "cases/private.h"

#include "print/print.h"

#include <stdlib.h>
#include <string.h>

static const char *local(struct arena *a, enum lang l, const char *s) {
  const char *out = s ? digits_local(a, l, s) : NULL;
  return out ? out : "";
}

/* A code or number within a Persian line keeps its own direction. */
static const char *apart(struct arena *a, const char *s) {
  const char *out = s && s[0] ? arena_printf(a, "\u2066%s\u2069", s) : NULL;
  return out ? out : "";
}

static const char *day_text(struct arena *a, enum lang l, const char *iso) {
  int32_t day = iso ? date_parse(iso) : INT32_MIN;
  const char *s = day == INT32_MIN ? "" : date_short(a, l, day);
  return s ? s : "";
}

static const char *time_text(struct arena *a, enum lang l, const char *at) {
  int64_t ms;
  const char *s = at && clock_parse(at, &ms) == 0 ? datetime_short(a, l, ms) : "";
  return s ? s : "";
}

static const char *code_text(struct arena *a, enum lang l, const char *tracking) {
  char grouped[48];
  identifier_group(IDENT_TRACKING, tracking, grouped);
  return apart(a, local(a, l, grouped));
}

static void print_signature(struct print *p, struct arena *a, enum lang l, const json_t *letter) {
  const json_t *sign = json_object_get(letter, "signed");
  const char *role = json_str(sign, "role"), *place = json_str(sign, "for");
  if (!json_str(sign, "name")) return;
  const char *key = arena_printf(a, "letter.role_%s", role ? role : "officer");
  const char *title = arena_printf(a, "%s\n%s", word(l, key ? key : ""), place ? word_fill(a, l, "letter.for", "who", place, NULL) : json_str(letter, "organisation_name"));
  const char *names[] = {json_str(sign, "name")}, *titles[] = {title};
  print_space(p, 10);
  print_signatures(p, names, titles, 1);
}

static void print_letter(struct print *p, struct arena *a, enum lang l, const json_t *letter, bool alone) {
  const char *number = json_str(letter, "number"), *attachments = json_str(letter, "attachments");
  print_text(p, PRINT_BOLD, PRINT_CENTER, json_str(letter, "organisation_name"));
  print_fact(p, word(l, "letter.number"), number ? apart(a, local(a, l, number)) : word(l, "letter.not_signed"));
  print_fact(p, word(l, "letter.date"), day_text(a, l, json_str(letter, "date")));
  print_fact(p, word(l, "letter.attachments"), attachments ? attachments : word(l, "letter.no_attachments"));
  print_rule(p);
  print_fact(p, word(l, "letter.to"), json_str(letter, "recipient_name"));
  print_fact(p, word(l, "letter.subject"), json_str(letter, "subject"));
  print_space(p, alone ? 6 : 3);
  print_text(p, PRINT_NORMAL, PRINT_START, json_str(letter, "body"));
  print_signature(p, a, l, letter);
}

int cases_letter_pdf(struct cases *c, const json_t *letter, const char *address, enum lang l, void **pdf, size_t *n, struct err *err) {
  struct arena *a = arena_new(2 * 1024 * 1024);
  const char *tracking = json_str(letter, "tracking");
  l = base_same(json_str(letter, "lang"), "en") ? LANG_EN : base_same(json_str(letter, "lang"), "fa") ? LANG_FA : l;
  struct print_options o = {.lang = l, .title = json_str(letter, "subject"), .author = json_str(letter, "organisation_name"), .head = pack_name(c->pack, l), .at = clock_now()};
  struct print *p = print_new(&o);
  const char *lines[] = {word(l, "letter.check"), code_text(a, l, tracking ? tracking : "")};
  print_letter(p, a, l, letter, true);
  print_space(p, 8);
  if (address) print_qr(p, address, 24, lines, BASE_COUNT(lines));
  int rc = print_finish(p, pdf, n, err);
  arena_free(a);
  return rc;
}

/* ---- the receipt ---- */

int cases_receipt_pdf(struct cases *c, const json_t *facts, enum lang l, void **pdf, size_t *n, struct err *err) {
  static const struct { const char *label, *name; } rows[] = {{"web.service", "service"}, {"web.organisation", "owner"}, {"web.submitted_at", "submitted"}}, by[] = {
    {"web.counter_office", "office"}, {"web.receipt_agent", "agent"}, {"web.receipt_consent", "consent"}}, until[] = {{"web.usually_until", "due_norm"}, {"web.legally_until", "due_legal"}};
  struct arena *a = arena_new(256 * 1024);
  const json_t *filed = json_object_get(facts, "filed");
  struct print_options o = {.lang = l, .title = word(l, "web.receipt_title"), .author = json_str(facts, "owner"), .head = pack_name(c->pack, l), .at = clock_now()};
  struct print *p = print_new(&o);
  print_heading(p, 1, word(l, "web.receipt_done"));
  print_text(p, PRINT_NORMAL, PRINT_CENTER, word(l, "web.your_code"));
  print_text(p, PRINT_LARGE, PRINT_CENTER, apart(a, json_str(facts, "code")));
  print_text(p, PRINT_SMALL, PRINT_CENTER, word(l, "web.receipt_keep"));
  print_rule(p);
  for (size_t i = 0; i < BASE_COUNT(rows); i++) print_fact(p, word(l, rows[i].label), json_str(facts, rows[i].name));
  for (size_t i = 0; i < BASE_COUNT(by); i++)
    if (json_str(filed, by[i].name)) print_fact(p, word(l, by[i].label), json_str(filed, by[i].name));
  if (json_str(filed, "slip") && json_str(filed, "slip")[0]) print_fact(p, word(l, "web.receipt_slip"), apart(a, json_str(filed, "slip")));
  for (size_t i = 0; i < BASE_COUNT(until); i++)
    if (json_str(facts, until[i].name)) print_fact(p, word(l, until[i].label), json_str(facts, until[i].name));
  print_heading(p, 2, word(l, "web.what_next"));
  if (json_str(facts, "plain")) print_text(p, PRINT_NORMAL, PRINT_START, json_str(facts, "plain"));
  print_text(p, PRINT_NORMAL, PRINT_START, word(l, "web.next_2"));
  print_text(p, PRINT_NORMAL, PRINT_START, word(l, "web.next_3"));
  print_heading(p, 2, word(l, "web.promise_title"));
  if (json_str(facts, "leaf")) print_fact(p, word(l, "web.leaf_place"), apart(a, json_str(facts, "leaf")));
  print_text(p, PRINT_SMALL, PRINT_START, json_str(facts, "leaf_hash"));
  print_space(p, 6);
  const char *lines[] = {word(l, "web.receipt_check"), apart(a, json_str(facts, "code"))};
  if (json_str(facts, "address")) print_qr(p, json_str(facts, "address"), 28, lines, BASE_COUNT(lines));
  int rc = print_finish(p, pdf, n, err);
  arena_free(a);
  return rc;
}

/* ---- the folder ---- */

static void print_facts(struct print *p, struct arena *a, enum lang l, const json_t *view) {
  const json_t *due = json_object_get(view, "due");
  print_fact(p, word(l, "folder.code"), code_text(a, l, json_str(view, "tracking")));
  print_fact(p, word(l, "folder.service"), json_str(view, "service_title"));
  print_fact(p, word(l, "folder.organisation"), json_str(view, "organisation_name"));
  print_fact(p, word(l, "folder.holder"), json_str(json_object_get(view, "holder"), "name"));
  print_fact(p, word(l, "folder.state"), json_str(view, "state_title"));
  print_fact(p, word(l, "folder.submitted"), time_text(a, l, json_str(view, "submitted_at")));
  if (json_str(due, "legal")) print_fact(p, word(l, "folder.due"), day_text(a, l, json_str(due, "legal")));
  if (json_str(view, "letter_no")) print_fact(p, word(l, "letter.number"), apart(a, local(a, l, json_str(view, "letter_no"))));
}

static void print_answers(struct print *p, struct arena *a, enum lang l, const json_t *view) {
  json_t *list = json_object_get(view, "answers"), *one, *id;
  size_t i, k, n = 0, documents = 0;
  json_array_foreach(list, i, one) documents += json_array_size(json_object_get(one, "documents"));
  print_heading(p, 2, word(l, "folder.answers"));
  json_array_foreach(list, i, one) print_fact(p, json_str(one, "label"), json_str(one, "text"));
  if (!json_array_size(list)) print_text(p, PRINT_NORMAL, PRINT_START, word(l, "folder.none"));
  print_heading(p, 2, word(l, "folder.documents"));
  const char **cells = arena_alloc(a, (documents ? documents : 1) * 2 * sizeof *cells);
  json_array_foreach(list, i, one) json_array_foreach(json_object_get(one, "documents"), k, id) {
    if (!cells || n >= documents) continue;
    cells[2 * n] = json_str(one, "label");
    cells[2 * n++ + 1] = json_string_value(id);
  }
  const struct print_column columns[] = {{word(l, "folder.document"), 2, PRINT_START}, {word(l, "folder.document_id"), 3, PRINT_START}};
  if (n) print_table(p, columns, 2, cells, n);
  else print_text(p, PRINT_NORMAL, PRINT_START, word(l, "folder.none"));
}

static const char *event_text(struct arena *a, enum lang l, const json_t *e) {
  const char *text = json_str(e, "state_title") ? json_str(e, "state_title") : "", *comment = json_str(e, "comment"), *reason = json_str(e, "reason"), *place = json_str(e, "for");
  if (place) text = arena_printf(a, "%s (%s)", text, word_fill(a, l, "letter.for", "who", place, NULL));
  if (text && reason) text = arena_printf(a, "%s\n%s", text, reason);
  if (text && comment) text = arena_printf(a, "%s\n%s", text, comment);
  return text;
}

static void print_history(struct print *p, struct arena *a, enum lang l, const json_t *view) {
  json_t *list = json_object_get(view, "events"), *one;
  size_t i, n = json_array_size(list);
  const char **cells = arena_alloc(a, (n ? n : 1) * 5 * sizeof *cells);
  const struct print_column columns[] = {{word(l, "folder.at"), 2.2, PRINT_START}, {word(l, "folder.event"), 2.2, PRINT_START}, {word(l, "folder.who"), 2, PRINT_START},
                                         {word(l, "folder.became"), 3.4, PRINT_START}, {word(l, "folder.leaf"), 1.2, PRINT_START}};
  print_heading(p, 2, word(l, "folder.history"));
  if (!cells) return;
  json_array_foreach(list, i, one) {
    const json_t *leaf = json_object_get(one, "leaf_index");
    const char *who = json_str(one, "who");
    cells[5 * i] = time_text(a, l, json_str(one, "at"));
    cells[5 * i + 1] = json_str(one, "title");
    cells[5 * i + 2] = who && !base_starts(who, "c:") && !base_starts(who, "p:") ? who : "";
    cells[5 * i + 3] = event_text(a, l, one);
    cells[5 * i + 4] = json_is_integer(leaf) ? number_format(a, l, json_integer_value(leaf)) : "";
  }
  print_table(p, columns, 5, cells, n);
}

static void print_remarks(struct print *p, struct arena *a, enum lang l, const json_t *view) {
  json_t *list = json_object_get(view, "remarks"), *one;
  size_t i, n = json_array_size(list);
  const char **cells = arena_alloc(a, (n ? n : 1) * 3 * sizeof *cells);
  const struct print_column columns[] = {{word(l, "folder.at"), 2, PRINT_START}, {word(l, "folder.who"), 2, PRINT_START}, {word(l, "folder.remark"), 5, PRINT_START}};
  print_heading(p, 2, word(l, "folder.remarks"));
  if (!cells) return;
  json_array_foreach(list, i, one) {
    const char *number = json_str(one, "number"), *promise = json_str(one, "promise"), *text = json_str(one, "text");
    if (number) text = arena_printf(a, "%s: %s، %s، %s", word(l, "folder.incoming"), apart(a, local(a, l, number)), day_text(a, l, json_str(one, "date")), json_str(one, "from"));
    if (promise) text = arena_printf(a, "%s\n%s: %s", text, word(l, "folder.promise"), promise);
    cells[3 * i] = time_text(a, l, json_str(one, "at"));
    cells[3 * i + 1] = json_str(one, "who");
    cells[3 * i + 2] = text;
  }
  if (n) print_table(p, columns, 3, cells, n);
  else print_text(p, PRINT_NORMAL, PRINT_START, word(l, "folder.none"));
}

static void print_letters(struct cases *c, struct print *p, struct arena *a, const struct actor *who, const char *tracking, enum lang l) {
  json_t *list = NULL, *one, *whole;
  size_t i;
  if (cases_letters(c, who, tracking, l, &list, NULL)) return;
  json_array_foreach(list, i, one) {
    const char *status = json_str(one, "status");
    if (!base_same(status, "signed") && !base_same(status, "sent")) continue;
    if (cases_letter_get(c, who, tracking, json_str(one, "id"), l, &whole, NULL, NULL)) continue;
    print_page(p);
    print_letter(p, a, l, whole, false);
    json_decref(whole);
  }
  json_decref(list);
}

static void print_proof(struct cases *c, struct print *p, struct arena *a, const char *tracking, const char *address, enum lang l) {
  json_t *receipt = NULL;
  const char *lines[] = {word(l, "folder.check"), code_text(a, l, tracking)};
  print_heading(p, 2, word(l, "folder.proof"));
  if (cases_receipt(c, tracking, &receipt, NULL) == 0) {
    const json_t *leaf = json_object_get(receipt, "leaf_index");
    print_fact(p, word(l, "folder.leaf_hash"), json_str(receipt, "leaf_hash"));
    print_fact(p, word(l, "folder.leaf"), json_is_integer(leaf) ? number_format(a, l, json_integer_value(leaf)) : word(l, "folder.leaf_soon"));
    print_fact(p, word(l, "folder.key"), json_str(receipt, "verifier_key"));
  }
  if (address) print_qr(p, address, 24, lines, BASE_COUNT(lines));
  json_decref(receipt);
}

int cases_folder_pdf(struct cases *c, const struct actor *who, const json_t *view, bool remarks, const char *address, enum lang l, void **pdf, size_t *n,
                     struct err *err) {
  struct arena *a = arena_new(8 * 1024 * 1024);
  const char *tracking = json_str(view, "tracking");
  int64_t now = clock_now();
  const char *foot = word_fill(a, l, "folder.printed", "at", datetime_short(a, l, now), "who", who->username, NULL);
  struct print_options o = {.lang = l, .title = word(l, "folder.title"), .author = json_str(view, "organisation_name"), .head = pack_name(c->pack, l), .foot = foot, .at = now};
  struct print *p = print_new(&o);
  print_heading(p, 1, word(l, "folder.title"));
  print_facts(p, a, l, view);
  print_answers(p, a, l, view);
  print_history(p, a, l, view);
  if (remarks) print_remarks(p, a, l, view);
  print_proof(c, p, a, tracking, address, l);
  print_letters(c, p, a, who, tracking, l);
  bool whole = !arena_overflowed(a);
  int rc = print_finish(p, pdf, n, err);
  arena_free(a);
  if (rc == 0 && !whole) {
    free(*pdf);
    return err_set(err, ERR_LIMIT, "the case is larger than one folder");
  }
  return rc;
}
