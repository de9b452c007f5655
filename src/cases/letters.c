/* Letters of a case, from the draft to the signature with its number. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TURNS = 6 };
#define OFFICE (1u << ROLE_OFFICER | 1u << ROLE_SUPERVISOR | 1u << ROLE_MANAGER)

struct row {
  char id[33], organisation[48], template[48], status[16], recipient[64], drafter[64], number[128];
  int64_t revision, day;
  json_t *content;                /* {"subject","body","attachments"?,"signed"?}; NULL when erased */
};

struct turn { int64_t n; bool paraph, open; char who[64], done_by[64], done_for[64]; unsigned roles; int64_t done_at; };

struct work {
  struct cases *c;
  struct store_tx *tx;
  struct arena *arena;
  struct letter_step *s;
  struct case_row row;
  struct row letter;
  struct turn turns[MOST_TURNS];
  int turn_count;
  const struct actor *absent;     /* in whose place the step is taken */
  json_t *told;                   /* payload of the step */
  int64_t at;
};

/* ---- reading ---- */

#define LETTER "l.id,l.organisation,l.template,l.status,l.revision,l.recipient,l.drafter,l.number,l.day,l.content"

static void take_letter(const struct store_rows *r, int i, struct row *l) {
  json_decref(l->content);
  snprintf(l->id, sizeof l->id, "%s", store_text(r, i));
  snprintf(l->organisation, sizeof l->organisation, "%s", store_text(r, i + 1));
  snprintf(l->template, sizeof l->template, "%s", store_text(r, i + 2));
  snprintf(l->status, sizeof l->status, "%s", store_text(r, i + 3));
  l->revision = store_int(r, i + 4);
  snprintf(l->recipient, sizeof l->recipient, "%s", store_text(r, i + 5));
  snprintf(l->drafter, sizeof l->drafter, "%s", store_text(r, i + 6));
  snprintf(l->number, sizeof l->number, "%s", store_text(r, i + 7));
  l->day = store_int(r, i + 8);
  l->content = store_text(r, i + 9) ? json_loads(store_text(r, i + 9), 0, NULL) : NULL;
}

static int load_turns(struct store_tx *tx, const char *letter, struct turn *turns, int *count, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT n,kind,who,roles,open,done_by,done_for,done_at FROM case_letter_turn WHERE letter=?1 ORDER BY n", "t", letter);
  int rc = 0;
  *count = 0;
  if (!r) return -1;
  while (*count < MOST_TURNS && (rc = store_next(r, err)) == 1) {
    struct turn *t = &turns[(*count)++];
    t->n = store_int(r, 0);
    t->paraph = strcmp(store_text(r, 1), "paraph") == 0;
    snprintf(t->who, sizeof t->who, "%s", store_text(r, 2));
    t->roles = (unsigned)store_int(r, 3);
    t->open = store_int(r, 4);
    snprintf(t->done_by, sizeof t->done_by, "%s", store_text(r, 5));
    snprintf(t->done_for, sizeof t->done_for, "%s", store_text(r, 6));
    t->done_at = store_int(r, 7);
  }
  store_done(r);
  return rc < 0 ? -1 : 0;
}

static int load_letter(struct store_tx *tx, const char *tracking, const char *id, struct row *l, struct turn *turns, int *count, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT " LETTER " FROM case_letter l WHERE l.id=?1 AND l.tracking=?2", "tt", id, tracking);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) take_letter(r, 0, l);
  store_done(r);
  if (rc < 0) return -1;
  if (rc == 0) return err_set(err, ERR_NOT_FOUND, "no such letter");
  return load_turns(tx, id, turns, count, err);
}

/* ---- who may ---- */

static unsigned office_roles(const struct actor *who, const char *organisation) {
  unsigned bits = 0;
  for (unsigned i = 0; i < who->role_count; i++)
    if (strcmp(who->roles[i].organisation, organisation) == 0) bits |= 1u << who->roles[i].role;
  return bits & OFFICE;
}

static bool fits(const struct turn *t, const struct actor *who, const char *organisation) {
  return t->who[0] ? strcmp(t->who, who->username) == 0 : (t->roles & office_roles(who, organisation)) != 0;
}

/* The open turn of this kind that somebody can take: as themselves, or (*absent) in the place of somebody. */
static struct turn *turn_of(struct turn *turns, int count, const struct row *l, bool paraph, const struct actor *who, const struct standing *standing,
                            const struct actor **absent) {
  *absent = NULL;
  for (int i = 0; i < count; i++)
    if (turns[i].open && turns[i].paraph == paraph && fits(&turns[i], who, l->organisation)) return &turns[i];
  for (unsigned k = 0; standing && k < standing->count; k++)
    for (int i = 0; i < count; i++)
      if (turns[i].open && turns[i].paraph == paraph && fits(&turns[i], &standing->absent[k], l->organisation)) {
        *absent = &standing->absent[k];
        return &turns[i];
      }
  return NULL;
}

/* 1 when one of the two has written any of its text. */
static int wrote(struct store_tx *tx, const char *letter, const char *who, const struct actor *absent, struct err *err) {
  int64_t n = 0;
  if (store_value(tx, &n, 0, err, "SELECT COUNT(*) FROM case_letter_step WHERE letter=?1 AND step IN ('draft','edit') AND who IN (?2,?3)", "ttt", letter, who,
                  absent ? absent->username : who))
    return -1;
  return n > 0;
}

static int refuse(struct work *k, enum err_code code, const char *detail, struct err *err) {
  k->s->detail = detail;
  return err_set(err, code, "%s", detail);
}

static int refuse_field(struct work *k, const char *field, const char *code, const char *detail, struct err *err) {
  json_decref(k->s->errors);
  k->s->errors = json_pack("[{s:s,s:s,s:s}]", "field", field, "code", code, "message", word(k->s->lang, detail));
  return refuse(k, ERR_INVALID, detail, err);
}

/* ---- its text ---- */

static char *filled(struct work *k, const char *text) {
  const struct case_row *row = &k->row;
  enum lang l = row->lang == LANG_EN ? LANG_EN : LANG_FA;
  const char *pairs[8 + 200][2];
  size_t n = 0;
  struct buf b;
  json_t *data = row->data ? json_loads(row->data, 0, NULL) : NULL;
  const char *fixed[][2] = {{"tracking", digits_local(k->arena, l, row->tracking)}, /* one word: groups would part at a line's end */
     {"service", text_in(&row->def->title, l)}, {"state", case_state_title(row, l)},
    {"date", date_short(k->arena, l, day_of(k->at))}, {"submitted", date_short(k->arena, l, day_of(row->submitted_at))},
    {"organisation", case_organisation_name(k->c, row->pack, k->letter.organisation, l)}};
  for (; n < BASE_COUNT(fixed); n++) memcpy(pairs[n], fixed[n], sizeof pairs[n]);
  for (size_t i = 0; i < row->def->field_count && n < BASE_COUNT(pairs); i++, n++) {
    const struct field *f = row->def->fields[i];
    const json_t *v = json_object_get(data, f->name);
    pairs[n][0] = f->name;
    pairs[n][1] = v ? field_show(row->pack, f, v, l, k->arena) : "";
    if (!pairs[n][1]) pairs[n][1] = "";
  }
  json_decref(data);
  buf_init(&b, 32 * 1024);
  case_fill(&b, text, (const char *const(*)[2])pairs, n);
  char *out = buf_overflowed(&b) ? NULL : arena_strdup(k->arena, buf_str(&b));
  buf_free(&b);
  return out;
}

/* What was given, else what stands there, else what the template says. */
static const char *part(struct work *k, const char *name, const char *otherwise, size_t most, bool *too_long) {
  const char *given = json_str(k->s->data, name), *text = given ? text_repair(k->arena, given) : NULL;
  if (!given) text = json_str(k->letter.content, name) ? arena_strdup(k->arena, json_str(k->letter.content, name)) : otherwise ? filled(k, otherwise) : NULL;
  *too_long = *too_long || (text && strlen(text) > most);
  return text && text[0] ? text : NULL;
}

static int take_content(struct work *k, const struct letter *template, struct err *err) {
  enum lang l = k->row.lang == LANG_EN ? LANG_EN : LANG_FA;
  bool too_long = false;
  const char *subject = part(k, "subject", template ? text_in(&template->subject, l) : NULL, 800, &too_long);
  const char *body = part(k, "body", template ? text_in(&template->body, l) : NULL, 32000, &too_long), *attachments = part(k, "attachments", NULL, 800, &too_long);
  const char *to = json_str(k->s->data, "to");
  if (too_long) return refuse_field(k, "body", "too_long", "letter.too_long", err);
  if (!subject) return refuse_field(k, "subject", "required", "letter.need_subject", err);
  if (!body) return refuse_field(k, "body", "required", "letter.need_body", err);
  if (to && strcmp(to, "citizen") != 0) {
    const struct directory *d = pack_directory(k->c->pack);
    if (directory_find_organisation(d, to) < 0) return refuse_field(k, "to", "choice", "case.organisation_unknown", err);
  }
  if (to) snprintf(k->letter.recipient, sizeof k->letter.recipient, "%s", to);
  else if (!k->letter.recipient[0]) snprintf(k->letter.recipient, sizeof k->letter.recipient, "%s", template && !template->to_citizen ? "" : "citizen");
  json_decref(k->letter.content);
  k->letter.content = json_object();
  json_put(k->letter.content, "subject", subject);
  json_put(k->letter.content, "body", body);
  if (attachments) json_put(k->letter.content, "attachments", attachments);
  json_object_set(k->told, "text", k->letter.content);
  json_put(k->told, "to", k->letter.recipient);
  return 0;
}

/* ---- the steps ---- */

static int drop_turns(struct work *k, struct err *err) {
  k->turn_count = 0;
  return store_put(k->tx, err, "DELETE FROM case_letter_turn WHERE letter=?1", "t", k->letter.id);
}

static int step_draft(struct work *k, struct err *err) {
  const struct letter *template = service_letter(k->row.def, k->s->template);
  if (k->s->template && k->s->template[0] && !template) return refuse_field(k, "template", "choice", "letter.no_template", err);
  snprintf(k->letter.template, sizeof k->letter.template, "%s", template ? template->name : "");
  snprintf(k->letter.drafter, sizeof k->letter.drafter, "%s", k->s->actor.username);
  snprintf(k->letter.status, sizeof k->letter.status, "draft");
  return take_content(k, template, err);
}

static int step_edit(struct work *k, struct err *err) {
  if (take_content(k, NULL, err)) return -1;
  snprintf(k->letter.status, sizeof k->letter.status, "draft");
  return drop_turns(k, err);
}

/* "role:supervisor" or the name of somebody who handles cases there. */
static int read_turn(struct work *k, const char *field, const char *text, bool paraph, unsigned roles, struct err *err) {
  struct turn *t = &k->turns[k->turn_count];
  *t = (struct turn){.n = k->turn_count + 1, .paraph = paraph, .open = true};
  if (base_starts(text, "role:")) {
    int role = role_parse(text + 5);
    if (role < 0 || !(roles & 1u << role)) return refuse_field(k, field, "choice", "letter.who_not", err);
    t->roles = 1u << role;
  } else {
    struct actor member;
    if (strlen(text) >= sizeof t->who) return refuse_field(k, field, "choice", "case.assignee_unknown", err);
    if (identity_member_in(k->tx, text, k->letter.organisation, &member, err)) return -1;
    if (!(office_roles(&member, k->letter.organisation) & roles)) return refuse_field(k, field, "choice", paraph ? "case.assignee_unknown" : "letter.who_not", err);
    snprintf(t->who, sizeof t->who, "%s", text);
  }
  for (int i = 0; i < k->turn_count; i++)
    if (paraph && k->turns[i].paraph && strcmp(k->turns[i].who, t->who) == 0 && k->turns[i].roles == t->roles) return 0; /* twice is once */
  k->turn_count++;
  return 0;
}

static int write_turns(struct work *k, struct err *err) {
  bool paraphs = k->turn_count > 1;
  if (store_put(k->tx, err, "DELETE FROM case_letter_turn WHERE letter=?1", "t", k->letter.id)) return -1;
  for (int i = 0; i < k->turn_count; i++) {
    struct turn *t = &k->turns[i];
    t->open = t->paraph || !paraphs;
    if (store_put(k->tx, err, "INSERT INTO case_letter_turn (letter,n,organisation,kind,who,roles,open,done_by,done_for,done_at) VALUES (?1,?2,?3,?4,?5,?6,?7,'','',0)",
                  "titttii", k->letter.id, t->n, k->letter.organisation, t->paraph ? "paraph" : "sign", t->who, (int64_t)t->roles, (int64_t)t->open))
      return -1;
  }
  snprintf(k->letter.status, sizeof k->letter.status, "%s", paraphs ? "paraph" : "sign");
  return 0;
}

static int step_hand(struct work *k, struct err *err) {
  const struct letter *template = service_letter(k->row.def, k->letter.template);
  const json_t *paraph = json_object_get(k->s->data, "paraph"), *one;
  const char *sign = json_str(k->s->data, "sign");
  unsigned signers = template ? 1u << template->sign : 1u << ROLE_SUPERVISOR | 1u << ROLE_MANAGER;
  size_t i;
  if (!k->letter.recipient[0]) return refuse_field(k, "to", "required", "letter.need_to", err);
  k->turn_count = 0;
  for (int r = 0; template && r < 16; r++) {
    if (!(template->paraph & 1u << r)) continue;
    char *name = arena_printf(k->arena, "role:%s", role_text((enum role)r));
    if (!name || read_turn(k, "paraph", name, true, OFFICE, err)) return -1;
  }
  if (paraph && !json_is_array(paraph)) return refuse_field(k, "paraph", "type", "letter.who_not", err);
  json_array_foreach((json_t *)(uintptr_t)paraph, i, one) {
    if (!json_is_string(one)) return refuse_field(k, "paraph", "type", "letter.who_not", err);
    if (k->turn_count == MOST_TURNS - 1) return refuse_field(k, "paraph", "too_many", "letter.too_many", err);
    if (read_turn(k, "paraph", json_string_value(one), true, OFFICE, err)) return -1;
  }
  char *dflt = arena_printf(k->arena, "role:%s", role_text(template ? template->sign : ROLE_MANAGER));
  if (read_turn(k, "sign", sign && sign[0] ? sign : dflt ? dflt : "", false, signers, err)) return -1;
  json_object_set(k->told, "asked", k->s->data ? k->s->data : json_null());
  return write_turns(k, err);
}

static int close_turn(struct work *k, struct turn *t, struct err *err) {
  t->open = false;
  return store_put(k->tx, err, "UPDATE case_letter_turn SET open=0,done_by=?1,done_for=?2,done_at=?3 WHERE letter=?4 AND n=?5", "ttiti", k->s->actor.username,
                   k->absent ? k->absent->username : "", k->at, k->letter.id, t->n);
}

static int step_paraph(struct work *k, struct err *err) {
  struct turn *t = turn_of(k->turns, k->turn_count, &k->letter, true, &k->s->actor, k->row.standing, &k->absent);
  int left = 0;
  if (!t) return refuse(k, ERR_FORBIDDEN, "letter.not_asked", err);
  int own = wrote(k->tx, k->letter.id, k->s->actor.username, k->absent, err);
  if (own) return own < 0 ? -1 : refuse(k, ERR_FORBIDDEN, "letter.own", err);
  if (close_turn(k, t, err)) return -1;
  for (int i = 0; i < k->turn_count; i++) left += k->turns[i].paraph && k->turns[i].open;
  if (left) return 0;
  snprintf(k->letter.status, sizeof k->letter.status, "sign");
  return store_put(k->tx, err, "UPDATE case_letter_turn SET open=1 WHERE letter=?1 AND kind='sign'", "t", k->letter.id);
}

static int step_return(struct work *k, struct err *err) {
  bool signing = strcmp(k->letter.status, "sign") == 0;
  const char *comment = json_str(k->s->data, "comment");
  comment = comment ? text_repair(k->arena, comment) : NULL;
  if (!turn_of(k->turns, k->turn_count, &k->letter, !signing, &k->s->actor, k->row.standing, &k->absent)) return refuse(k, ERR_FORBIDDEN, "letter.not_asked", err);
  if (!comment || !comment[0] || strlen(comment) > 4000) return refuse_field(k, "comment", "required", "letter.need_comment", err);
  json_put(k->told, "comment", comment);
  snprintf(k->letter.status, sizeof k->letter.status, "draft");
  return drop_turns(k, err);
}

/* The next number of the organisation's register in this year. A transaction that fails gives it back: there are no gaps. */
static int next_number(struct work *k, struct err *err) {
  int year = day_to_jalali((int32_t)k->letter.day).year;
  struct store_rows *r = store_select(k->tx, err,
    "INSERT INTO letter_register (organisation,year,last) VALUES (?1,?2,1) ON CONFLICT (organisation,year) DO UPDATE SET last=letter_register.last+1 RETURNING last",
    "ti", k->letter.organisation, (int64_t)year);
  if (!r) return -1;
  int rc = store_next(r, err);
  int64_t n = rc == 1 ? store_int(r, 0) : 0;
  store_done(r);
  if (rc != 1) return rc < 0 ? -1 : err_set(err, ERR_INTERNAL, "the register gives no number");
  char y[16], number[24];
  const char *format = json_str(pack_settings(k->c->pack), "letter_number"), *pairs[][2] = {{"year", y}, {"organisation", k->letter.organisation}, {"number", number}};
  struct buf b;
  snprintf(y, sizeof y, "%d", year);
  snprintf(number, sizeof number, "%06lld", (long long)n);
  buf_init(&b, sizeof k->letter.number - 1);
  case_fill(&b, format ? format : "{{year}}/{{organisation}}/{{number}}", (const char *const(*)[2])pairs, BASE_COUNT(pairs));
  snprintf(k->letter.number, sizeof k->letter.number, "%s", buf_str(&b));
  bool whole = !buf_overflowed(&b);
  buf_free(&b);
  if (!whole) return err_set(err, ERR_LIMIT, "the letter's number is too long");
  return store_put(k->tx, err, "INSERT INTO letter_number (organisation,year,number,letter,tracking,at) VALUES (?1,?2,?3,?4,?5,?6)", "tiitti",
                   k->letter.organisation, (int64_t)year, n, k->letter.id, k->row.tracking, k->at);
}

/* What everybody who may read the case sees of it, as an event of the case. */
static int append_event(struct work *k, const char *action, struct err *err) {
  struct case_row *row = &k->row;
  char day[16];
  json_t *p = json_object();
  date_iso((int32_t)k->letter.day, day);
  json_put(p, "letter", k->letter.id);
  json_put(p, "letter_no", k->letter.number);
  json_put(p, "letter_date", day);
  json_put(p, "to", k->letter.recipient);
  if (k->absent) json_put(p, "for", k->absent->username);
  json_put(p, "who", k->s->actor.username);
  char *payload = json_canonical(p);
  json_decref(p);
  unsigned bits = office_roles(k->absent ? k->absent : &k->s->actor, k->letter.organisation);
  const char *role = bits & 1u << ROLE_MANAGER ? "manager" : bits & 1u << ROLE_SUPERVISOR ? "supervisor" : "officer";
  struct case_entry e = {.action = action, .from_state = row->state, .to_state = row->state, .role = role, .organisation = k->letter.organisation, .at = k->at, .payload = payload};
  int rc = case_append(k->c, k->tx, row, &e, NULL, err);
  free(payload);
  return rc;
}

static int step_sign(struct work *k, struct err *err) {
  struct turn *t = turn_of(k->turns, k->turn_count, &k->letter, false, &k->s->actor, k->row.standing, &k->absent);
  char day[16];
  if (!t) return refuse(k, ERR_FORBIDDEN, "letter.not_asked", err);
  int own = wrote(k->tx, k->letter.id, k->s->actor.username, k->absent, err);
  if (own) return own < 0 ? -1 : refuse(k, ERR_FORBIDDEN, "letter.own", err);
  k->letter.day = day_of(k->at);
  if (close_turn(k, t, err) || next_number(k, err)) return -1;
  snprintf(k->letter.status, sizeof k->letter.status, "signed");
  date_iso((int32_t)k->letter.day, day);
  const struct actor *place = k->absent ? k->absent : &k->s->actor;
  unsigned bits = office_roles(place, k->letter.organisation);
  if (!t->who[0]) bits &= t->roles;
  json_t *signed_ = json_object();
  json_put(signed_, "name", k->s->actor.name[0] ? k->s->actor.name : k->s->actor.username);
  json_put(signed_, "role", bits & 1u << ROLE_MANAGER ? "manager" : bits & 1u << ROLE_SUPERVISOR ? "supervisor" : "officer");
  if (k->absent) json_put(signed_, "for", k->absent->username);
  json_object_set_new(k->letter.content, "signed", signed_);
  json_put(k->told, "number", k->letter.number);
  json_put(k->told, "date", day);
  json_object_set(k->told, "text", k->letter.content);
  k->row.letter_no = k->letter.number;
  k->row.letter_date = arena_strdup(k->arena, day);
  if (!k->row.letter_date) return err_set(err, ERR_LIMIT, "the request is too large");
  return append_event(k, "letter", err);
}

static int step_send(struct work *k, struct err *err) {
  const struct case_row *row = &k->row;
  enum lang l = row->lang == LANG_EN ? LANG_EN : LANG_FA;
  char code[48], key[96];
  snprintf(k->letter.status, sizeof k->letter.status, "sent");
  if (append_event(k, "letter_sent", err)) return -1;
  if (strcmp(k->letter.recipient, "citizen") != 0 || !k->c->o.notify || !row->mobile[0]) return 0;
  identifier_group(IDENT_TRACKING, row->tracking, code);
  snprintf(key, sizeof key, "%013lld/%s/letter/%s", (long long)k->at, row->tracking, k->letter.id);
  const char *text = word_fill(k->arena, l, "letter.notice", "number", digits_local(k->arena, l, k->letter.number), "tracking", digits_local(k->arena, l, code), NULL);
  return text ? k->c->o.notify(k->c->o.notify_ctx, k->tx, key, row->mobile, l, NULL, text, err) : err_set(err, ERR_LIMIT, "the request is too large");
}

static int step_drop(struct work *k, struct err *err) {
  unsigned bits = office_roles(&k->s->actor, k->letter.organisation);
  if (strcmp(k->letter.drafter, k->s->actor.username) != 0 && !(bits & (1u << ROLE_SUPERVISOR | 1u << ROLE_MANAGER)))
    return refuse(k, ERR_FORBIDDEN, "letter.not_yours", err);
  snprintf(k->letter.status, sizeof k->letter.status, "dropped");
  return drop_turns(k, err);
}

static const struct step { const char *name, *from; int (*run)(struct work *, struct err *); } steps[] = { /* from: statuses, by comma */
  {"draft", "", step_draft}, {"edit", "draft,paraph,sign", step_edit}, {"hand", "draft", step_hand}, {"paraph", "paraph", step_paraph},
  {"return", "paraph,sign", step_return}, {"sign", "sign", step_sign}, {"send", "signed", step_send}, {"drop", "draft,paraph,sign", step_drop}};

static bool stands_in(const char *list, const char *status) {
  size_t n = strlen(status);
  for (const char *s = list; *s; s += strcspn(s, ",") + (s[strcspn(s, ",")] == ','))
    if (strcspn(s, ",") == n && strncmp(s, status, n) == 0) return true;
  return false;
}

/* ---- the transaction ---- */

static int write_step(struct work *k, const char *name, struct err *err) {
  struct row *l = &k->letter;
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
  char at[32];
  if (k->absent) json_put(k->told, "for", k->absent->username);
  json_put(k->told, "who", k->s->actor.username);
  char *payload = json_canonical(k->told), *content = l->content ? json_canonical(l->content) : NULL;
  clock_rfc3339_ms(k->at, at);
  random_bytes(salt, sizeof salt);
  char *header = base_printf("{\"at\":\"%s\",\"case\":\"%s\",\"kind\":\"letter\",\"letter\":\"%s\",\"step\":%lld,\"what\":\"%s\"}", at, k->row.tracking, l->id,
                             (long long)l->revision, name);
  trust_leaf(header, salt, payload, strlen(payload), digest, leaf);
  int rc = store_put(k->tx, err, "INSERT INTO case_letter_step (letter,n,at,step,who,salt,payload) VALUES (?1,?2,?3,?4,?5,?6,?7)", "tiitt" "bt", l->id, l->revision,
                     k->at, name, k->s->actor.username, (const void *)salt, (size_t)TRUST_SALT, payload);
  if (rc == 0) rc = trust_append(k->tx, leaf, header, digest, err);
  if (rc == 0 && l->revision > 1) {
    int n = store_exec(k->tx, err,
      "UPDATE case_letter SET status=?1,revision=?2,recipient=?3,signer=CASE WHEN ?1='signed' THEN ?4 ELSE signer END,number=?5,day=?6,changed_at=?7,content=?8 "
      "WHERE id=?9 AND revision=?10", "titttiit" "ti", l->status, l->revision, l->recipient, k->s->actor.username, l->number, l->day, k->at, content, l->id,
      l->revision - 1);
    rc = n == 1 ? 0 : n < 0 ? -1 : err_set(err, ERR_CONFLICT, "the letter has moved on");
  }
  free(header);
  free(payload);
  free(content);
  return rc;
}

static int insert_letter(struct work *k, struct err *err) {
  struct row *l = &k->letter;
  char *content = json_canonical(l->content);
  int n = store_exec(k->tx, err,
    "INSERT INTO case_letter (id,tracking,organisation,template,status,revision,recipient,drafter,signer,number,day,at,changed_at,content) "
    "VALUES (?1,?2,?3,?4,'draft',1,?5,?6,'','',0,?7,?7,?8) ON CONFLICT DO NOTHING", "ttttttit", l->id, k->row.tracking, l->organisation, l->template, l->recipient,
    l->drafter, k->at, content);
  free(content);
  return n;
}

/* Done already by the same person, from the same revision? */
static int repeated(struct work *k, struct err *err) {
  struct store_rows *r = store_select(k->tx, err, "SELECT step,who FROM case_letter_step WHERE letter=?1 AND n=?2", "ti", k->letter.id, k->s->expected_revision + 1);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) rc = strcmp(store_text(r, 0), k->s->step) == 0 && strcmp(store_text(r, 1), k->s->actor.username) == 0;
  store_done(r);
  return rc;
}

static int take_step(struct work *k, const struct step *step, struct err *err) {
  struct letter_step *s = k->s;
  struct row *l = &k->letter;
  if (step->run == step_draft) {
    snprintf(l->id, sizeof l->id, "%s", s->id);
    snprintf(l->organisation, sizeof l->organisation, "%s", case_desk_of(&s->actor, &k->row));
    if (step_draft(k, err)) return -1;
    int n = insert_letter(k, err);
    if (n < 0) return -1;
    s->repeated = n == 0;
    l->revision = 1;
    return n == 0 ? load_letter(k->tx, k->row.tracking, s->id, l, k->turns, &k->turn_count, err) : write_step(k, step->name, err);
  }
  if (load_letter(k->tx, k->row.tracking, s->letter, l, k->turns, &k->turn_count, err)) return -1;
  if (!office_roles(&s->actor, l->organisation)) return err_set(err, ERR_FORBIDDEN, "not at this desk");
  if (s->expected_revision != l->revision) {
    int again = repeated(k, err);
    s->repeated = again == 1;
    return again < 0 ? -1 : again ? 0 : refuse(k, ERR_CONFLICT, "letter.moved", err);
  }
  if (!stands_in(step->from, l->status)) return refuse(k, ERR_CONFLICT, "letter.not_now", err);
  if (!l->content) return refuse(k, ERR_CONFLICT, "case.erased", err);
  l->revision++;
  return step->run(k, err) ? -1 : write_step(k, step->name, err);
}

static int letter_work(struct store_tx *tx, void *arg, struct err *err) {
  struct work *k = arg;
  struct letter_step *s = k->s;
  const struct step *step = NULL;
  int rc = -1;
  *k = (struct work){.c = k->c, .tx = tx, .s = s, .arena = arena_new(2 * 1024 * 1024), .told = json_object(), .at = clock_now()};
  json_decref(s->errors);
  s->errors = NULL;
  s->detail = NULL;
  s->repeated = false;
  for (size_t i = 0; i < BASE_COUNT(steps); i++)
    if (base_same(steps[i].name, s->step)) step = &steps[i];
  if (case_load(k->c, tx, k->arena, s->tracking, &k->row, err) || case_standing(tx, k->arena, &s->actor, &k->row, err)) goto out;
  bool handles = case_roles_of(&s->actor, &k->row) & OFFICE;
  if (case_right_of(&s->actor, &k->row) != CASE_STAFF) err_set(err, ERR_NOT_FOUND, "no such case");
  else if (!step || (step->run != step_draft && !s->letter)) err_set(err, ERR_NOT_FOUND, "no such step");
  else if (!handles) err_set(err, ERR_FORBIDDEN, "not at this desk");
  else if (!k->row.def) err_set(err, ERR_UNAVAILABLE, "no pack has the service of this case");
  else if (!k->row.data) refuse(k, ERR_CONFLICT, "case.erased", err);
  else rc = take_step(k, step, err);
  if (rc == 0 && arena_overflowed(k->arena)) rc = err_set(err, ERR_LIMIT, "the request is too large");
  if (rc == 0) {
    s->revision = k->letter.revision;
    snprintf(s->id, sizeof s->id, "%s", k->letter.id);
    snprintf(s->number, sizeof s->number, "%s", k->letter.number);
  }
out:
  json_decref(k->told);
  json_decref(k->letter.content);
  arena_free(k->arena);
  return rc;
}

int cases_letter(struct cases *c, struct letter_step *s, struct err *err) {
  unsigned char hash[32];
  if (s->actor.kind != ACTOR_STAFF) return err_set(err, ERR_NOT_FOUND, "no such case");
  if (s->letter && strlen(s->letter) != 32) return err_set(err, ERR_NOT_FOUND, "no such letter");
  if (!s->letter) {
    if (!s->key || !s->key[0] || strlen(s->key) > 200) return err_set(err, ERR_MALFORMED, "an Idempotency-Key has 1 to 200 characters");
    char *whole = base_printf("letter\n%s\n%s\n%s", s->actor.username, s->tracking, s->key);
    sha256(whole, strlen(whole), hash);
    free(whole);
    hex_encode(hash, 16, s->id);
  }
  struct work k = {.c = c, .s = s};
  return store_write(c->store, STORE_FRONT, letter_work, &k, err);
}

/* ---- who reads them ---- */

struct reader {
  struct cases *c;
  const struct actor *who;
  const char *tracking, *id, *organisation;
  enum lang l;
  struct arena *arena;
  struct standing standing;
  enum case_right right;
  json_t *out;
};

static bool reads_all(enum case_right right) { return right == CASE_STAFF || right == CASE_AUDITOR; }

/* What can stand in a list: no body. */
static json_t *letter_json(const struct reader *k, const struct case_row *row, const struct row *l) {
  const struct letter *template = row ? service_letter(row->def, l->template) : NULL;
  json_t *o = json_object();
  char day[16] = "", key[64];
  if (l->day) date_iso((int32_t)l->day, day);
  snprintf(key, sizeof key, "letter.status_%s", l->status);
  json_put(o, "id", l->id);
  json_put(o, "title", template ? text_in(&template->title, k->l) : word(k->l, "letter.free"));
  json_put(o, "subject", json_str(l->content, "subject"));
  json_put(o, "status", l->status);
  json_put(o, "status_title", word(k->l, key));
  json_put(o, "number", l->number[0] ? l->number : NULL);
  json_put(o, "date", day[0] ? day : NULL);
  json_put(o, "organisation", l->organisation);
  json_put(o, "organisation_name", case_organisation_name(k->c, row ? row->pack : NULL, l->organisation, k->l));
  json_put(o, "recipient", l->recipient[0] ? l->recipient : NULL);
  json_put(o, "recipient_name", !l->recipient[0] ? NULL : strcmp(l->recipient, "citizen") == 0 ? word(k->l, "letter.to_citizen")
                                                       : case_organisation_name(k->c, row ? row->pack : NULL, l->recipient, k->l));
  json_object_set_new(o, "revision", json_integer(l->revision));
  json_put(o, "drafter", l->drafter);
  return o;
}

static int list_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reader *k = arg;
  struct case_row row;
  struct row l = {0};
  json_array_clear(k->out);
  arena_reset(k->arena);
  if (case_load(k->c, tx, k->arena, k->tracking, &row, err)) return -1;
  k->right = case_right_of(k->who, &row);
  bool all = reads_all(k->right);
  if (!all && k->right != CASE_CITIZEN) return err_set(err, ERR_NOT_FOUND, "no such case");
  struct store_rows *r = store_select(tx, err, "SELECT " LETTER " FROM case_letter l WHERE l.tracking=?1 ORDER BY l.at,l.id LIMIT 100", "t", k->tracking);
  if (!r) return -1;
  int rc;
  while ((rc = store_next(r, err)) == 1) {
    take_letter(r, 0, &l);
    if (!all && (strcmp(l.status, "sent") != 0 || strcmp(l.recipient, "citizen") != 0)) continue;
    json_t *o = letter_json(k, &row, &l);
    if (!all) json_object_del(o, "drafter");
    json_array_append_new(k->out, o);
  }
  store_done(r);
  json_decref(l.content);
  return rc;
}

int cases_letters(struct cases *c, const struct actor *who, const char *tracking, enum lang lang, json_t **out, struct err *err) {
  struct reader k = {.c = c, .who = who, .tracking = tracking, .l = lang, .arena = arena_new(1024 * 1024), .out = json_array()};
  int rc = store_read(c->store, list_work, &k, err);
  if (rc == 0) *out = k.out;
  else json_decref(k.out);
  arena_free(k.arena);
  return rc;
}

static json_t *step_json(const struct store_rows *r) {
  json_t *o = json_object(), *p = store_text(r, 4) ? json_loads(store_text(r, 4), 0, NULL) : NULL;
  char at[32];
  clock_rfc3339_ms(store_int(r, 1), at);
  json_object_set_new(o, "n", json_integer(store_int(r, 0)));
  json_put(o, "at", at);
  json_put(o, "step", store_text(r, 2));
  json_put(o, "who", store_text(r, 3));
  json_put(o, "for", json_str(p, "for"));
  json_put(o, "comment", json_str(p, "comment"));
  json_put(o, "body", json_str(json_object_get(p, "text"), "body"));
  json_decref(p);
  return o;
}

static int put_steps(struct store_tx *tx, const char *letter, json_t *o, struct err *err) {
  struct store_rows *r = store_select(tx, err, "SELECT n,at,step,who,payload FROM case_letter_step WHERE letter=?1 ORDER BY n LIMIT 200", "t", letter);
  if (!r) return -1;
  json_t *list = json_array();
  int rc;
  while ((rc = store_next(r, err)) == 1) json_array_append_new(list, step_json(r));
  store_done(r);
  json_object_set_new(o, "steps", list);
  return rc;
}

static json_t *turns_json(const struct turn *turns, int count) {
  json_t *list = json_array();
  for (int i = 0; i < count; i++) {
    const struct turn *t = &turns[i];
    json_t *o = json_object();
    char at[32] = "";
    if (t->done_at) clock_rfc3339_ms(t->done_at, at);
    for (int r = 0; r < 16; r++)
      if (!t->who[0] && t->roles & 1u << r) json_put(o, "role", role_text((enum role)r));
    if (t->who[0]) json_put(o, "who", t->who);
    json_put(o, "kind", t->paraph ? "paraph" : "sign");
    json_object_set_new(o, "open", json_boolean(t->open));
    json_put(o, "done_by", t->done_by[0] ? t->done_by : NULL);
    json_put(o, "done_for", t->done_for[0] ? t->done_for : NULL);
    json_put(o, "done_at", at[0] ? at : NULL);
    json_array_append_new(list, o);
  }
  return list;
}

/* Steps that this person can take now: the same rules as when they are taken. */
static int put_may(struct reader *k, struct store_tx *tx, const struct case_row *row, const struct row *l, struct turn *turns, int count, json_t *o, struct err *err) {
  json_t *may = json_array();
  json_object_set_new(o, "may", may);
  if (!office_roles(k->who, l->organisation) || !(case_roles_of(k->who, row) & OFFICE) || !l->content) return 0;
  for (size_t i = 1; i < BASE_COUNT(steps); i++) {
    const struct actor *absent = NULL;
    bool asked = steps[i].run == step_paraph || steps[i].run == step_sign || steps[i].run == step_return;
    bool paraph = steps[i].run == step_paraph || (steps[i].run == step_return && strcmp(l->status, "paraph") == 0);
    if (!stands_in(steps[i].from, l->status)) continue;
    if (asked && !turn_of(turns, count, l, paraph, k->who, row->standing, &absent)) continue;
    int own = steps[i].run == step_paraph || steps[i].run == step_sign ? wrote(tx, l->id, k->who->username, absent, err) : 0;
    if (own < 0) return -1;
    bool leads = office_roles(k->who, l->organisation) & (1u << ROLE_SUPERVISOR | 1u << ROLE_MANAGER);
    if (own || (steps[i].run == step_drop && !leads && strcmp(l->drafter, k->who->username) != 0)) continue;
    json_array_append_new(may, json_string(steps[i].name));
    if (absent) json_put(o, "in_place_of", absent->username);
  }
  return 0;
}

static int one_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reader *k = arg;
  struct case_row row;
  struct row l = {0};
  struct turn turns[MOST_TURNS];
  char tracking[TRACKING_SIZE] = "";
  int count = 0, rc = -1;
  arena_reset(k->arena);
  json_decref(k->out);
  k->out = NULL;
  struct store_rows *r = store_select(tx, err, "SELECT tracking FROM case_letter WHERE id=?1", "t", k->id);
  if (!r) return -1;
  int found = store_next(r, err);
  if (found == 1) snprintf(tracking, sizeof tracking, "%s", store_text(r, 0));
  store_done(r);
  if (found < 0) return -1;
  if (found == 0 || (k->tracking && strcmp(k->tracking, tracking) != 0)) return err_set(err, ERR_NOT_FOUND, "no such letter");
  if (case_load(k->c, tx, k->arena, tracking, &row, err) || case_standing(tx, k->arena, k->who, &row, err) ||
      load_letter(tx, tracking, k->id, &l, turns, &count, err))
    goto out;
  k->right = case_right_of(k->who, &row);
  bool all = reads_all(k->right), sent = strcmp(l.status, "sent") == 0;
  bool citizens = sent && k->right == CASE_CITIZEN && strcmp(l.recipient, "citizen") == 0, theirs = sent && actor_in(k->who, l.recipient);
  if (!all && !citizens && !theirs) {
    err_set(err, ERR_NOT_FOUND, "no such letter");
    goto out;
  }
  k->out = letter_json(k, &row, &l);
  json_put(k->out, "tracking", tracking);
  json_put(k->out, "lang", lang_code(row.lang == LANG_EN ? LANG_EN : LANG_FA));
  json_put(k->out, "body", json_str(l.content, "body"));
  json_put(k->out, "attachments", json_str(l.content, "attachments"));
  json_object_set(k->out, "signed", json_object_get(l.content, "signed") ? json_object_get(l.content, "signed") : json_null());
  rc = 0;
  if (all) {
    json_object_set_new(k->out, "turns", turns_json(turns, count));
    rc = put_steps(tx, l.id, k->out, err) || put_may(k, tx, &row, &l, turns, count, k->out, err) ? -1 : 0;
  } else json_object_del(k->out, "drafter");
out:
  json_decref(l.content);
  return rc;
}

int cases_letter_get(struct cases *c, const struct actor *who, const char *tracking, const char *id, enum lang lang, json_t **out, const char **right,
                     struct err *err) {
  struct reader k = {.c = c, .who = who, .tracking = tracking, .id = id, .l = lang, .arena = arena_new(1024 * 1024)};
  int rc = id && strlen(id) == 32 ? store_read(c->store, one_work, &k, err) : err_set(err, ERR_NOT_FOUND, "no such letter");
  if (rc == 0) *out = k.out;
  else json_decref(k.out);
  if (right) *right = k.right == CASE_CITIZEN ? "citizen" : k.right == CASE_AUDITOR ? "auditor" : k.right == CASE_STAFF ? "staff" : "inquired";
  arena_free(k.arena);
  return rc;
}

static int queue_rows(struct reader *k, struct store_rows *r, bool waiting, json_t *list, struct err *err) {
  struct row l = {0};
  int rc;
  if (!r) return -1;
  while ((rc = store_next(r, err)) == 1) {
    const struct actor *absent = NULL;
    take_letter(r, 1, &l);
    if (waiting) {
      struct turn t = {.open = true, .paraph = strcmp(store_text(r, 11), "paraph") == 0, .roles = (unsigned)store_int(r, 13)};
      snprintf(t.who, sizeof t.who, "%s", store_text(r, 12));
      if (strcmp(l.drafter, k->who->username) == 0 || !turn_of(&t, 1, &l, t.paraph, k->who, &k->standing, &absent)) continue;
    }
    json_t *o = letter_json(k, NULL, &l);
    json_put(o, "tracking", store_text(r, 0));
    if (waiting) json_put(o, "kind", store_text(r, 11));
    if (absent) json_put(o, "in_place_of", absent->username);
    json_object_del(o, "title");
    json_array_append_new(list, o);
  }
  store_done(r);
  json_decref(l.content);
  return rc;
}

static int queue_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reader *k = arg;
  json_t *waiting = json_array(), *received = json_array();
  json_object_clear(k->out);
  json_object_set_new(k->out, "waiting", waiting);
  json_object_set_new(k->out, "received", received);
  arena_reset(k->arena);
  if (case_stands_for(tx, k->arena, k->who, k->organisation, &k->standing, err)) return -1;
  if (queue_rows(k, store_select(tx, err,
        "SELECT l.tracking," LETTER ",t.kind,t.who,t.roles FROM case_letter_turn t JOIN case_letter l ON l.id=t.letter WHERE t.organisation=?1 AND t.open=1 "
        "ORDER BY t.letter,t.n LIMIT 500", "t", k->organisation), true, waiting, err))
    return -1;
  return queue_rows(k, store_select(tx, err, "SELECT l.tracking," LETTER " FROM case_letter l WHERE l.recipient=?1 AND l.status='sent' ORDER BY l.changed_at DESC,l.id "
                                    "LIMIT 50", "t", k->organisation), false, received, err);
}

int cases_letter_queue(struct cases *c, const struct actor *who, const char *organisation, enum lang lang, json_t **out, struct err *err) {
  if (who->kind != ACTOR_STAFF || !actor_in(who, organisation)) return err_set(err, ERR_FORBIDDEN, "not a desk of yours");
  struct reader k = {.c = c, .who = who, .organisation = organisation, .l = lang, .arena = arena_new(256 * 1024), .out = json_object()};
  int rc = store_read(c->store, queue_work, &k, err);
  if (rc == 0) *out = k.out;
  else json_decref(k.out);
  arena_free(k.arena);
  return rc;
}
