/* Letters of a case: drafted, initialled, signed, sent; what waits for one's own hand; the printed folder. */
#include "channels/web/inside.h"

#include <stdlib.h>
#include <string.h>

static const char *value_of(struct http_req *r, const char *name) {
  const char *v = strcmp(http_method(r), "POST") == 0 ? http_form_value(r, name) : http_query(r, name);
  return v && v[0] && utf8_valid(v, strlen(v)) ? v : NULL;
}

static const char *tracking_of(struct http_req *r) {
  char code[32];
  const char *typed = http_param(r, "tracking");
  if (typed && identifier_parse(IDENT_TRACKING, typed, code) == 0) return arena_strdup(http_arena(r), code);
  not_found(r);
  return NULL;
}

static const char *case_href(struct http_req *r, const char *tracking) { return arena_printf(http_arena(r), "/cases/%s", tracking); }
static const char *letter_href(struct http_req *r, const char *tracking, const char *id) { return arena_printf(http_arena(r), "/cases/%s/letters/%s", tracking, id); }

/* A look of an office is on record before anything is shown. 0, or -1 after replying. */
static int look_first(struct http_req *r, const char *tracking, const char *right) {
  struct err err;
  if (!right || strcmp(right, "citizen") == 0 || cases_look(web_of(r)->cases, web_actor(r), tracking, right, NULL, NULL, &err) == 0) return 0;
  web_error(r, &err);
  return -1;
}

json_t *letters_json(struct http_req *r, const json_t *letters, bool received) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach((json_t *)(uintptr_t)letters, i, one) {
    json_t *o = json_object();
    const char *id = json_str(one, "id"), *tracking = json_str(one, "tracking"), *status = json_str(one, "status"), *kind = json_str(one, "kind"), *date = json_str(one, "date");
    put(o, "href", received ? arena_printf(http_arena(r), "/desk/letters/%s", id) : tracking ? letter_href(r, tracking, id) : NULL);
    put(o, "id", id);
    put(o, "subject", json_str(one, "subject"));
    put(o, "status", json_str(one, "status_title"));
    put(o, "asked", kind ? say(r, strcmp(kind, "sign") == 0 ? "letter_sign" : "letter_paraph") : NULL);
    put(o, "in_place", in_place(r, json_str(one, "in_place_of")));
    put(o, "number", local(r, json_str(one, "number")));
    put(o, "date", date ? date_short(http_arena(r), http_lang(r), date_parse(date)) : NULL);
    put(o, "from", json_str(one, "organisation_name"));
    put(o, "to", json_str(one, "recipient_name"));
    put(o, "code", tracking ? show_code(r, tracking) : NULL);
    put_flag(o, "good", base_same(status, "signed") || base_same(status, "sent"));
    put_flag(o, "dropped", base_same(status, "dropped"));
    json_array_append_new(list, o);
  }
  return list;
}

void put_letters(struct http_req *r, json_t *page, const char *tracking, bool handles) {
  json_t *letters = NULL, *one;
  struct err err;
  size_t i;
  if (cases_letters(web_of(r)->cases, web_actor(r), tracking, http_lang(r), &letters, &err)) letters = NULL;
  json_array_foreach(letters, i, one) json_put(one, "tracking", tracking);
  put_list(page, "letters", letters_json(r, letters, false));
  put(page, "letter_new", handles ? arena_printf(http_arena(r), "/cases/%s/letters/new", tracking) : NULL);
  json_decref(letters);
}

/* ---- a new one ---- */

/* The case's view for who writes letters there; NULL after replying. */
static json_t *desk_view(struct http_req *r, const char *tracking) {
  json_t *view = NULL;
  struct err err;
  if (cases_get(web_of(r)->cases, web_actor(r), tracking, http_lang(r), &view, &err)) {
    web_error(r, &err);
    return NULL;
  }
  if (base_same(json_str(view, "right"), "staff")) return view;
  json_decref(view);
  not_found(r);
  return NULL;
}

static void show_new(struct http_req *r, const char *tracking, const struct letter_step *s) {
  json_t *view = desk_view(r, tracking), *list = json_array();
  const struct pack *p;
  if (!view) {
    json_decref(list);
    return;
  }
  const struct service *service = cases_definition(web_of(r)->cases, view, &p);
  json_t *page = page_new(web_of(r), r, say(r, "letter_new"), true);
  for (size_t i = 0; service && i < service->letter_count; i++) {
    json_t *o = json_object();
    put(o, "value", service->letters[i].name);
    put(o, "label", text_in(&service->letters[i].title, http_lang(r)));
    json_array_append_new(list, o);
  }
  crumb(page, "/desk", say(r, "desk"));
  crumb(page, case_href(r, tracking), say(r, "case"));
  put(page, "action", arena_printf(http_arena(r), "/cases/%s/letters", tracking));
  put(page, "key", value_of(r, "key") ? value_of(r, "key") : fresh_key(r));
  put(page, "subject", value_of(r, "subject"));
  put(page, "body", value_of(r, "body"));
  const char *wrong = s && s->detail ? word(http_lang(r), s->detail) : NULL, *field = s ? json_str(json_array_get(s->errors, 0), "field") : NULL;
  put(page, "subject_error", base_same(field, "subject") ? wrong : NULL);
  put(page, "body_error", wrong && !base_same(field, "subject") ? wrong : NULL);
  if (wrong) fault(page, base_same(field, "subject") ? "#subject" : "#body", wrong);
  put_list(page, "templates", list);
  page_reply(web_of(r), r, s ? 422 : 200, "letter_new", page);
  json_decref(view);
}

static void get_new(struct http_req *r) {
  const char *tracking = tracking_of(r);
  if (tracking) show_new(r, tracking, NULL);
}

static void post_new(struct http_req *r) {
  const char *tracking = tracking_of(r);
  struct err err;
  if (!tracking) return;
  struct letter_step s = {.step = "draft", .template = value_of(r, "template"), .key = value_of(r, "key"), .actor = *web_actor(r), .lang = http_lang(r)};
  json_t *data = json_object();
  snprintf(s.tracking, sizeof s.tracking, "%s", tracking);
  if (!s.template && value_of(r, "subject")) json_put(data, "subject", value_of(r, "subject"));
  if (!s.template && value_of(r, "body")) json_put(data, "body", value_of(r, "body"));
  s.data = data;
  if (cases_letter(web_of(r)->cases, &s, &err) == 0) http_redirect(r, 303, letter_href(r, tracking, s.id));
  else if (err.code == ERR_INVALID) show_new(r, tracking, &s);
  else http_problem(r, &err, s.detail ? word(http_lang(r), s.detail) : NULL, NULL);
  json_decref(s.errors);
  json_decref(data);
}

/* ---- one letter ---- */

static json_t *turns_json(struct http_req *r, const json_t *letter, const json_t *staff) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(json_object_get(letter, "turns"), i, one) {
    json_t *o = json_object();
    const char *role = json_str(one, "role"), *key = arena_printf(http_arena(r), "letter.role_%s", role ? role : ""), *by = json_str(one, "done_by");
    put(o, "kind", say(r, base_same(json_str(one, "kind"), "sign") ? "letter_sign" : "letter_paraph"));
    put(o, "who", role ? word(http_lang(r), key ? key : "") : member_name(staff, json_str(one, "who")));
    put(o, "by", by ? member_name(staff, by) : NULL);
    put(o, "in_place", in_place(r, json_str(one, "done_for")));
    put(o, "at", show_time(r, json_str(one, "done_at")));
    put_flag(o, "open", json_flag(one, "open", false));
    json_array_append_new(list, o);
  }
  return list;
}

static json_t *steps_json(struct http_req *r, const json_t *letter, const json_t *staff) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach(json_object_get(letter, "steps"), i, one) {
    json_t *o = json_object();
    put(o, "title", say(r, arena_printf(http_arena(r), "letter_did_%s", json_str(one, "step"))));
    put(o, "who", member_name(staff, json_str(one, "who")));
    put(o, "in_place", in_place(r, json_str(one, "for")));
    put(o, "at", show_time(r, json_str(one, "at")));
    put(o, "comment", json_str(one, "comment"));
    put(o, "version", base_same(json_str(one, "step"), "sign") ? NULL : json_str(one, "body"));
    json_array_insert_new(list, 0, o);
  }
  return list;
}

static json_t *members_json(struct http_req *r, const json_t *staff) {
  json_t *list = json_array(), *seen = json_object();
  const json_t *one;
  size_t i;
  json_array_foreach((json_t *)(uintptr_t)staff, i, one) {
    const char *username = json_str(one, "username"), *role = json_str(one, "role");
    if (!username || json_object_get(seen, username) || (!base_same(role, "officer") && !base_same(role, "supervisor") && !base_same(role, "manager"))) continue;
    json_object_set_new(seen, username, json_true());
    json_t *o = json_object();
    put(o, "value", username);
    put(o, "label", arena_printf(http_arena(r), "%s (%s)", member_name(staff, username), username));
    json_array_append_new(list, o);
  }
  json_decref(seen);
  return list;
}

static void put_may(struct http_req *r, json_t *page, const json_t *letter, const json_t *staff) {
  static const char *const names[] = {"edit", "hand", "paraph", "return", "sign", "send", "drop"};
  const json_t *one;
  size_t i, n;
  bool any = false, edits = false;
  for (n = 0; n < BASE_COUNT(names); n++) {
    bool may = false;
    json_array_foreach(json_object_get(letter, "may"), i, one) may = may || base_same(json_string_value(one), names[n]);
    put_flag(page, arena_printf(http_arena(r), "may_%s", names[n]), may);
    any = any || may;
    if (n == 0) edits = may && base_same(json_str(letter, "status"), "draft");
  }
  put_flag(page, "may_any", any);
  put_flag(page, "edits", edits);             /* the text stands in a form */
  put_flag(page, "may_reopen", json_flag(page, "may_edit", false) && !edits);
  put_list(page, "members", json_flag(page, "may_hand", false) ? members_json(r, staff) : json_array());
}

static void put_recipient(struct http_req *r, json_t *page, const json_t *letter) {
  const char *find = value_of(r, "find"), *to = json_str(letter, "recipient");
  size_t all = 0;
  bool others = to && strcmp(to, "citizen") != 0;
  json_t *options = find ? organisation_options(r, pack_directory(web_pack(r)), -1, find, to, &all) : json_array();
  put(page, "find", find);
  put_flag(page, "none_found", find && !all);
  put_flag(page, "find_more", find && all && !json_array_size(options));
  put_flag(page, "to_citizen", to && !others);
  put_flag(page, "to_none", !to);
  put(page, "to_other", others ? to : NULL);
  put_list(page, "options", options);
}

static void put_text(struct http_req *r, json_t *page, const json_t *letter) {
  static const char *const texts[] = {"subject", "body", "attachments"};
  const char *date = json_str(letter, "date");
  const json_t *sign = json_object_get(letter, "signed");
  for (size_t i = 0; i < BASE_COUNT(texts); i++) put(page, texts[i], value_of(r, texts[i]) ? value_of(r, texts[i]) : json_str(letter, texts[i]));
  put(page, "kind", json_str(letter, "title"));
  put(page, "organisation", json_str(letter, "organisation_name"));
  put(page, "recipient", json_str(letter, "recipient_name"));
  put(page, "status", json_str(letter, "status_title"));
  put_flag(page, "good", base_same(json_str(letter, "status"), "signed") || base_same(json_str(letter, "status"), "sent"));
  put(page, "number", local(r, json_str(letter, "number")));
  put(page, "date", date ? date_short(http_arena(r), http_lang(r), date_parse(date)) : NULL);
  put(page, "signer", json_str(sign, "name"));
  put(page, "signer_role", json_str(sign, "role") ? word(http_lang(r), arena_printf(http_arena(r), "letter.role_%s", json_str(sign, "role"))) : NULL);
  put(page, "signer_for", in_place(r, json_str(sign, "for")));
  put_flag(page, "body_rtl", base_same(json_str(letter, "lang"), "fa"));
}

static void show_letter(struct http_req *r, const json_t *letter, const char *right, const struct letter_step *s) {
  const char *tracking = json_str(letter, "tracking"), *id = json_str(letter, "id"), *wrong = s && s->detail ? word(http_lang(r), s->detail) : NULL;
  json_t *staff = NULL, *page = page_new(web_of(r), r, json_str(letter, "subject"), true);
  struct err err;
  bool desk = json_object_get(letter, "steps") != NULL, citizen = base_same(right, "citizen"), received = !desk && !citizen;
  if (desk && identity_staff(web_of(r)->identity, json_str(letter, "organisation"), &staff, &err)) staff = NULL;
  if (!citizen) crumb(page, "/desk", say(r, "desk"));
  if (received) crumb(page, "/desk/letters", say(r, "letters"));
  else crumb(page, case_href(r, tracking), say(r, "case"));
  put(page, "here", letter_href(r, tracking, id));
  put(page, "pdf", received ? arena_printf(http_arena(r), "/desk/letters/%s/pdf", id) : arena_printf(http_arena(r), "/cases/%s/letters/%s/pdf", tracking, id));
  put(page, "revision", arena_printf(http_arena(r), "%lld", (long long)json_int(letter, "revision", 0)));
  put(page, "wrong", wrong);
  put_flag(page, "is_desk", desk);
  if (wrong) fault(page, "#letter", wrong);
  put_text(r, page, letter);
  put(page, "in_place", in_place(r, json_str(letter, "in_place_of")));
  put_may(r, page, letter, staff);
  put_recipient(r, page, letter);
  put_list(page, "turns", turns_json(r, letter, staff));
  put_list(page, "steps", steps_json(r, letter, staff));
  put(page, "comment", value_of(r, "comment"));
  put_flag(page, "done", http_query(r, "done") != NULL);
  json_decref(staff);
  page_reply(web_of(r), r, s ? 422 : 200, "letter", page);
}

/* The letter of the path; tracking NULL: as an organisation that it was sent to. NULL after replying. */
static json_t *letter_of(struct http_req *r, const char *tracking, const char **right) {
  json_t *letter = NULL;
  struct err err;
  if (cases_letter_get(web_of(r)->cases, web_actor(r), tracking, http_param(r, "letter"), http_lang(r), &letter, right, &err)) {
    web_error(r, &err);
    return NULL;
  }
  if (look_first(r, json_str(letter, "tracking"), *right) == 0) return letter;
  json_decref(letter);
  return NULL;
}

static void get_letter(struct http_req *r) {
  const char *tracking = tracking_of(r), *right;
  json_t *letter = tracking ? letter_of(r, tracking, &right) : NULL;
  if (letter) show_letter(r, letter, right, NULL);
  json_decref(letter);
}

static void get_received(struct http_req *r) {
  const char *right;
  json_t *letter = letter_of(r, NULL, &right);
  if (letter) show_letter(r, letter, right, NULL);
  json_decref(letter);
}

static void reply_pdf(struct http_req *r, const json_t *letter) {
  void *pdf = NULL;
  size_t n = 0;
  struct err err;
  const char *address = web_address(r, case_href(r, json_str(letter, "tracking")));
  if (cases_letter_pdf(web_of(r)->cases, letter, address, http_lang(r), &pdf, &n, &err)) return web_error(r, &err);
  http_reply_header(r, "Content-Disposition", "inline; filename=\"letter.pdf\"");
  http_reply_take(r, 200, "application/pdf", pdf, n);
}

static void get_pdf(struct http_req *r) {
  const char *tracking = tracking_of(r), *right;
  json_t *letter = tracking ? letter_of(r, tracking, &right) : NULL;
  if (letter) reply_pdf(r, letter);
  json_decref(letter);
}

static void get_received_pdf(struct http_req *r) {
  const char *right;
  json_t *letter = letter_of(r, NULL, &right);
  if (letter) reply_pdf(r, letter);
  json_decref(letter);
}

/* What the form says for a step; a new reference. */
static json_t *step_data(struct http_req *r, const char *step) {
  static const char *const texts[] = {"subject", "body", "attachments", "comment", "sign"};
  const struct http_field *fields;
  json_t *data = json_object(), *paraph = json_array();
  for (size_t i = 0; i < BASE_COUNT(texts); i++)
    if (value_of(r, texts[i])) json_put(data, texts[i], value_of(r, texts[i]));
  if (strcmp(step, "edit") == 0 && http_form_value(r, "body"))
    for (size_t i = 0; i < 3; i++)
      if (!value_of(r, texts[i])) json_put(data, texts[i], ""); /* emptied on purpose */
  const char *to = value_of(r, "to_organisation") ? value_of(r, "to_organisation") : value_of(r, "to");
  if (to) json_put(data, "to", to);
  size_t n = http_form(r, &fields);
  for (size_t i = 0; i < n; i++)
    if (strcmp(fields[i].name, "paraph") == 0 && fields[i].value[0] && utf8_valid(fields[i].value, strlen(fields[i].value)))
      json_array_append_new(paraph, json_string(fields[i].value));
  if (json_array_size(paraph)) json_object_set(data, "paraph", paraph);
  json_decref(paraph);
  return data;
}

static void post_step(struct http_req *r) {
  const char *tracking = tracking_of(r), *typed = value_of(r, "expected_revision"), *right;
  struct letter_step s = {.letter = http_param(r, "letter"), .step = http_param(r, "step"), .actor = *web_actor(r), .lang = http_lang(r)};
  struct err err;
  if (!tracking) return;
  if (base_same(s.step, "draft")) return not_found(r);
  if (!typed || parse_i64(typed, &s.expected_revision)) s.expected_revision = 0;
  snprintf(s.tracking, sizeof s.tracking, "%s", tracking);
  json_t *data = step_data(r, s.step);
  s.data = data;
  if (cases_letter(web_of(r)->cases, &s, &err) == 0) http_redirect(r, 303, arena_printf(http_arena(r), "%s?done=1", letter_href(r, tracking, s.letter)));
  else if (err.code == ERR_INVALID || (err.code == ERR_CONFLICT && s.detail)) {
    json_t *letter = letter_of(r, tracking, &right);
    if (letter) show_letter(r, letter, right, &s);
    json_decref(letter);
  } else http_problem(r, &err, s.detail ? word(http_lang(r), s.detail) : NULL, NULL);
  json_decref(s.errors);
  json_decref(data);
}

/* ---- what waits ---- */

static void get_queue(struct http_req *r) {
  const struct actor *who = web_actor(r);
  const char *organisation = value_of(r, "organisation");
  json_t *out = NULL, *page;
  struct err err;
  if (!organisation) organisation = who->role_count ? who->roles[0].organisation : "";
  if (cases_letter_queue(web_of(r)->cases, who, organisation, http_lang(r), &out, &err)) return web_error(r, &err);
  page = page_new(web_of(r), r, say(r, "letters"), true);
  crumb(page, "/desk", say(r, "desk"));
  put_list(page, "waiting", letters_json(r, json_object_get(out, "waiting"), false));
  put_list(page, "received", letters_json(r, json_object_get(out, "received"), true));
  json_decref(out);
  page_reply(web_of(r), r, 200, "letters", page);
}

/* ---- the folder ---- */

static void get_folder(struct http_req *r) {
  const char *tracking = tracking_of(r);
  json_t *view = NULL;
  void *pdf = NULL;
  size_t n = 0;
  struct err err;
  if (!tracking) return;
  if (cases_get(web_of(r)->cases, web_actor(r), tracking, http_lang(r), &view, &err)) return web_error(r, &err);
  const char *right = json_str(view, "right");
  bool may = base_same(right, "staff") || base_same(right, "auditor");
  if (!may) not_found(r);
  else if (look_first(r, tracking, right) == 0) {
    if (cases_folder_pdf(web_of(r)->cases, web_actor(r), view, value_of(r, "remarks") != NULL, web_address(r, case_href(r, tracking)), http_lang(r), &pdf, &n, &err)) web_error(r, &err);
    else {
      http_reply_header(r, "Content-Disposition", arena_printf(http_arena(r), "inline; filename=\"%s.pdf\"", tracking));
      http_reply_take(r, 200, "application/pdf", pdf, n);
    }
  }
  json_decref(view);
}

const struct http_route web_letter_rows[] = {
  {"GET", "/desk/letters", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_queue, "Letters that wait for one's initials or signature, and those received."},
  {"GET", "/desk/letters/{letter}", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_received, "A letter that was sent to one's organisation."},
  {"GET", "/desk/letters/{letter}/pdf", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_received_pdf, "The same as a sheet of paper."},
  {"GET", "/cases/{tracking}/letters/new", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_new, "Begin a letter."},
  {"POST", "/cases/{tracking}/letters", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_new, "Draft a letter."},
  {"GET", "/cases/{tracking}/letters/{letter}", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_letter, "One letter of a case."},
  {"GET", "/cases/{tracking}/letters/{letter}/pdf", HTTP_WORKER, PERMIT_SESSION, HTTP_SAFE, 0, get_pdf, "A letter as a sheet of paper."},
  {"POST", "/cases/{tracking}/letters/{letter}/{step}", HTTP_WORKER, PERMIT_STAFF, HTTP_TOKEN, FORM_BODY, post_step, "Edit a letter, hand it on, initial, return, sign, send or drop it."},
  {"GET", "/cases/{tracking}/folder", HTTP_WORKER, PERMIT_STAFF, HTTP_SAFE, 0, get_folder, "The whole case as one PDF."},
};
const size_t web_letter_count = BASE_COUNT(web_letter_rows);
