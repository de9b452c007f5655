/* What people are told of their case: a text message of two parts at most, and a letter where an address is known. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PARTS = 2, TEXT_MOST = 16 * 1024 };

struct values { const char *tracking, *service, *state, *reason, *due; };

static const char *value_of(const struct values *v, const char *name, size_t n) {
  const struct { const char *name, *value; } all[] = {{"tracking", v->tracking}, {"service", v->service}, {"state", v->state}, {"reason", v->reason}, {"due", v->due}};
  for (size_t i = 0; i < BASE_COUNT(all); i++)
    if (strlen(all[i].name) == n && memcmp(all[i].name, name, n) == 0) return all[i].value;
  return "";
}

/* {{name}}, {{#name}}…{{/name}} where it has a value, {{^name}}…{{/name}} where it has none; the compiler has checked names and ends. */
static void fill(struct buf *b, const char *text, const char *stop, const struct values *v) {
  while (text < stop) {
    const char *end = text[0] == '{' && text[1] == '{' ? strstr(text + 2, "}}") : NULL, *name = text + 2;
    if (!end || end >= stop) {
      buf_addc(b, *text++);
      continue;
    }
    char sort = 0, close[64];
    if (strchr("{#^/!&", *name)) sort = *name++;
    name += strspn(name, " ");
    size_t n = strcspn(name, " }");
    const char *value = value_of(v, name, n), *inner;
    text = end + 2 + (sort == '{' && end[2] == '}');
    if (sort == '#' || sort == '^') {
      snprintf(close, sizeof close, "{{/%.*s}}", (int)(n < 40 ? n : 40), name);
      if (!(inner = strstr(text, close)) || inner > stop) continue;
      if ((value[0] != 0) == (sort == '#')) fill(b, text, inner, v);
      text = inner + strlen(close);
    } else if (!sort || sort == '{' || sort == '&') buf_adds(b, value);
  }
}

void case_fill(struct buf *b, const char *text, const char *const (*pairs)[2], size_t count) {
  while (*text) {
    const char *end;
    if (text[0] == '{' && text[1] == '{' && (end = strstr(text, "}}"))) {
      const char *name = text + 2 + strspn(text + 2, " ");
      for (size_t i = 0; i < count; i++) {
        size_t n = strlen(pairs[i][0]);
        if (strncmp(name, pairs[i][0], n) == 0 && (name[n] == '}' || name[n] == ' ')) buf_adds(b, pairs[i][1]);
      }
      text = end + 2;
    } else buf_addc(b, *text++);
  }
}

static const char *filled(struct arena *a, const char *text, const struct values *v) {
  struct buf b;
  buf_init(&b, TEXT_MOST);
  fill(&b, text, text + strlen(text), v);
  const char *out = arena_strdup(a, buf_str(&b));
  buf_free(&b);
  return out ? out : "";
}

/* One word less of the first n bytes. */
static size_t less(const char *s, size_t n) {
  while (n && s[n - 1] != ' ' && s[n - 1] != '\n') n--;
  while (n && (s[n - 1] == ' ' || s[n - 1] == '\n')) n--;
  return n;
}

/* In two parts: a reason too long ends at a word, and whoever wants all of it has the code. */
static const char *short_text(struct arena *a, const char *text, struct values v, const char *mark) {
  const char *whole = filled(a, text, &v), *reason = v.reason, *out = whole;
  if (text_fits_sms(whole, PARTS)) return whole;
  for (size_t n = strlen(reason); n;) {
    n = less(reason, n);
    v.reason = n ? arena_printf(a, "%.*s%s", (int)n, reason, mark) : "";
    if (!v.reason) return "";
    out = filled(a, text, &v);
    if (n && text_fits_sms(out, PARTS) && strstr(out, v.tracking)) return out;
  }
  for (size_t n = strlen(out); n;) {
    n = less(out, n);
    const char *cut = arena_printf(a, "%.*s%s %s", (int)n, out, mark, v.tracking);
    if (!cut || text_fits_sms(cut, PARTS)) return cut ? cut : "";
  }
  return v.tracking;
}

static const char *listed_reason(const struct case_row *row, const char *code, enum lang l) {
  for (size_t i = 0; code && i < row->def->state_count; i++)
    for (size_t j = 0; j < row->def->states[i].action_count; j++) {
      const struct action *act = &row->def->states[i].actions[j];
      for (size_t k = 0; k < act->reason_count; k++)
        if (strcmp(act->reasons[k].code, code) == 0) return text_in(&act->reasons[k].text, l);
    }
  return NULL;
}

/* What an officer wrote goes into a message as one line, and not at all when it holds a link or letters that the telephone has not. */
static const char *reason_of(struct arena *a, const struct case_row *row, const char *code, const char *comment, enum lang l, bool latin) {
  const char *listed = listed_reason(row, code, l);
  if (listed) return listed;
  char *text = comment ? arena_strdup(a, comment) : NULL;
  if (!text || !text[0]) return "";
  for (char *s = text; *s; s++)
    if ((unsigned char)*s < ' ') *s = ' ';
  bool link = strcasestr(text, "http://") || strcasestr(text, "https://") || strcasestr(text, "www.");
  if (link || (latin && !text_gsm7(text, NULL))) return word(l, latin ? "case.latn.reason" : "case.reason_in_case");
  return text;
}

static struct values values_of(struct cases *c, struct arena *a, const struct case_row *row, const char *code, const char *reason_code, const char *comment, enum lang l,
                               bool latin) {
  int32_t due = case_due_day(c, row, row->escalated == CASE_REMINDED ? case_pause_end(row) : row->legal_ord); /* their last day to answer, or ours */
  const struct state *st = row->state_index >= 0 ? &row->def->states[row->state_index] : NULL;
  enum lang other = latin ? LANG_EN : l; /* what has no Latin spelling is said in English: letters that the telephone has */
  const char *day = due == INT32_MIN ? "" : date_short(a, l, due), *latin_day = latin ? digits_ascii(a, day) : day;
  return (struct values){.tracking = code, .service = latin && row->def->latn && row->def->latn[0] ? row->def->latn : text_in(&row->def->title, other),
                         .state = latin && st && st->latn && st->latn[0] ? st->latn : case_state_title(row, other),
                         .reason = reason_of(a, row, reason_code, comment, other, latin), .due = latin_day ? latin_day : ""};
}

/* The pack's own words for telephones without Persian, or these of the house. */
static const char *latin_text(struct arena *a, const struct notice *n, const struct values *v) {
  if (n->latn && n->latn[0]) return short_text(a, n->latn, *v, "..");
  const char *key = arena_printf(a, "case.latn.%s", n->on);
  const char *text = word(LANG_FA, key && word_known(key) ? key : "case.latn.other");
  return short_text(a, text, *v, "..");
}

/* Where the citizen asked for it, else the first answer that is an address. Most requests have neither, and are not parsed for it. */
static const char *mail_of(struct arena *a, const struct case_row *row) {
  bool asked = row->first.payload && strstr(row->first.payload, "\"mail\":"), answered = false;
  for (size_t i = 0; !answered && i < row->def->field_count; i++) answered = row->def->fields[i]->type == FIELD_EMAIL;
  if (!asked && !answered) return NULL;
  json_t *first = asked ? json_loads(row->first.payload, 0, NULL) : NULL, *data = answered && row->data ? json_loads(row->data, 0, NULL) : NULL;
  const char *to = json_str(first, "mail");
  for (size_t i = 0; !to && i < row->def->field_count; i++)
    if (row->def->fields[i]->type == FIELD_EMAIL) to = json_str(data, row->def->fields[i]->name);
  to = to && to[0] ? arena_strdup(a, to) : NULL;
  json_decref(first);
  json_decref(data);
  return to;
}

const char *cases_mail_address(struct cases *c, const char *typed, struct arena *a) {
  const struct field f = {.name = "mail", .type = FIELD_EMAIL, .label = {"", ""}, .hint = {"", ""}, .place_kind = -1, .organisation_kind = -1};
  const char *code, *message, *out = NULL;
  json_t *in = json_string(typed), *canonical = NULL;
  if (in && field_check(c->pack, &f, in, NULL, cases_today(), LANG_FA, a, &canonical, &code, &message) == 0) out = arena_strdup(a, json_string_value(canonical));
  json_decref(in);
  json_decref(canonical);
  return out;
}

static const char *attorney_mobile(const struct case_row *row, struct arena *a) {
  json_t *data = row->data && row->def->mandate.attorney_mobile ? json_loads(row->data, 0, NULL) : NULL;
  const char *mobile = data ? arena_strdup(a, json_str(data, row->def->mandate.attorney_mobile)) : NULL;
  json_decref(data);
  return mobile;
}

void case_message_keys(int64_t at, const char *tracking, char from[64], char to[64]) {
  snprintf(from, 64, "%013lld/%.16s/", (long long)at, tracking); /* in order of time */
  snprintf(to, 64, "%013lld/%.16s0", (long long)at, tracking);   /* the sign after the slash */
}

/* One more at the end of a list. */
static int add(struct arena *a, struct case_told ***end, const struct case_told *one, struct err *err) {
  struct case_told *t = one->key && one->to && one->text ? arena_alloc(a, sizeof *t) : NULL;
  if (!t) return err_set(err, ERR_LIMIT, "a message is too long");
  *t = *one;
  **end = t;
  *end = &t->next;
  return 0;
}

static int add_letter(struct arena *a, struct case_told ***end, const char *base, const char *to, const struct notice *n, const struct values *v, enum lang l, struct err *err) {
  const char *text = n->mail.fa && n->mail.fa[0] ? text_in(&n->mail, l) : text_in(&n->text, l);
  const char *body = arena_printf(a, "%s\n\n%s\n", filled(a, text, v), word_fill(a, l, "case.mail_end", "tracking", v->tracking, NULL));
  const char *subject = word_fill(a, l, "case.mail_subject", "service", v->service, "state", v->state, NULL);
  if (!subject) return err_set(err, ERR_LIMIT, "the letter is too long");
  return add(a, end, &(struct case_told){.key = arena_printf(a, "%s/mail", base), .to = to, .subject = subject, .text = body, .lang = l}, err);
}

/* Where the pack says that text messages come back to us, the news of a decision asks for the score, if there is room. */
static const char *ask_score(struct cases *c, struct arena *a, const struct case_row *row, const char *text, enum lang l, bool latin) {
  bool asks = row->result != RESULT_OPEN && row->def->rating && !row->rating && json_flag(pack_settings(c->pack), "rating_by_sms", false);
  const char *longer = asks ? arena_printf(a, "%s\n%s", text, word(l, latin ? "case.latn.rate_sms" : "case.rate_sms")) : NULL;
  return longer && text_fits_sms(longer, PARTS) ? longer : text;
}

/* Stages that have run out together, as in a store that stood still for weeks: each is an event, the newest alone is told. */
static bool overtaken(struct cases *c, const struct case_row *row, const char *on) {
  return strcmp(on, "due") == 0 && row->result == RESULT_OPEN && row->next_ord < case_ord(c, row, clock_now());
}

int case_notice_make(struct cases *c, struct arena *a, const struct case_row *row, const char *on, int64_t seq, const char *reason_code, const char *comment,
                     struct case_told **out, struct err *err) {
  *out = NULL;
  if (!c->o.notify || !row->def || case_is_inquiry(row) || overtaken(c, row, on)) return 0;
  enum lang l = row->lang == LANG_EN ? LANG_EN : LANG_FA;
  int rc = 0;
  for (size_t i = 0; i < row->def->notice_count && rc == 0; i++) {
    const struct notice *n = &row->def->notices[i];
    if (strcmp(n->on, on) != 0) continue;
    char grouped[48];
    identifier_group(IDENT_TRACKING, row->tracking, grouped);
    const char *code = arena_strdup(a, grouped);
    if (!code) return err_set(err, ERR_LIMIT, "a message is too long");
    const char *base = arena_printf(a, "%013lld/%.16s/%lld/%zu", (long long)row->changed_at, row->tracking, (long long)seq, i);
    const char *to = n->attorney ? NULL : mail_of(a, row), *mobile = n->attorney ? attorney_mobile(row, a) : row->mobile;
    bool latin = row->lang == CASE_LATIN && !n->attorney;
    struct values v = values_of(c, a, row, code, reason_code, comment, l, false), w = v;
    if (latin) w = values_of(c, a, row, code, reason_code, comment, LANG_FA, true);
    if (mobile && mobile[0]) {
      const char *text = latin ? latin_text(a, n, &w) : short_text(a, text_in(&n->text, l), v, l == LANG_FA ? "…" : "...");
      if (!n->attorney) text = ask_score(c, a, row, text, l, latin);
      rc = add(a, &out, &(struct case_told){.key = base, .to = mobile, .text = text, .lang = l}, err);
    }
    if (rc == 0 && to) rc = add_letter(a, &out, base, to, n, &v, l, err);
  }
  return rc;
}

int case_notice_put(struct cases *c, struct store_tx *tx, const struct case_told *list, struct err *err) {
  int rc = 0;
  for (; list && rc == 0; list = list->next) rc = c->o.notify(c->o.notify_ctx, tx, list->key, list->to, list->lang, list->subject, list->text, err);
  return rc;
}

int case_notice(struct cases *c, struct store_tx *tx, const struct case_row *row, const char *on, int64_t seq, const char *reason_code, const char *comment,
                struct err *err) {
  struct arena *a = arena_new(512 * 1024);
  struct case_told *list;
  int rc = case_notice_make(c, a, row, on, seq, reason_code, comment, &list, err);
  if (rc == 0) rc = case_notice_put(c, tx, list, err);
  arena_free(a);
  return rc;
}
