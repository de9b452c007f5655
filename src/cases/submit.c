#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

struct submit_job {
  struct cases *c;
  struct case_submission *s;
  struct arena *arena;
  struct case_row row;
  struct case_entry entry;
  unsigned sealed;                  /* the counter that row.tracking was made with */
  unsigned char digest[TRUST_HASH];
  unsigned char signature[TRUST_SIGNATURE];
  const char *terms[CASE_TERMS];
  size_t term_count;
  char reservation[192];
  const char *person, *mobile;      /* whom an agent files for */
  char subject[65];                 /* digest of what is consented to */
  const char *fault;                /* what is wrong with the consent: word key, told after the commit */
  store_done_fn done;
  void *arg;
};

/* The code is the key: repetition meets its own row. 15 digits and Luhn's. */
void case_tracking(const struct cases *c, const unsigned char key_hash[32], unsigned counter, char out[TRACKING_SIZE]) {
  unsigned char mac[32], input[36];
  memcpy(input, key_hash, 32);
  for (int i = 0; i < 4; i++) input[32 + i] = (unsigned char)(counter >> (8 * i));
  hmac_sha256(c->secret, sizeof c->secret, input, sizeof input, mac);
  uint64_t n = 0;
  for (int i = 0; i < 8; i++) n = n << 8 | mac[i];
  n %= UINT64_C(1000000000000000);
  for (int i = 14; i >= 0; i--) {
    out[i] = (char)('0' + n % 10);
    n /= 10;
  }
  out[15] = luhn_digit(out, 15);
  out[16] = 0;
}

static void key_hash_of(const struct case_submission *s, unsigned char out[32]) {
  struct buf b = {0};
  buf_adds(&b, s->parent ? "child" : s->caller ? s->caller : "");
  buf_add(&b, "\0", 1);
  buf_adds(&b, s->service->code);
  buf_add(&b, "\0", 1);
  buf_adds(&b, s->key);
  if (s->actor.acting_as[0]) buf_add(&b, "\0", 1), buf_adds(&b, s->actor.acting_person);
  sha256(buf_str(&b), b.len, out);
  buf_free(&b);
}

/* The different ones among them, in their order. */
static size_t distinct(const char **list, size_t count) {
  size_t n = 0;
  for (size_t i = 0; i < count; i++) {
    bool seen = !list[i] || !list[i][0];
    for (size_t k = 0; k < n && !seen; k++) seen = strcmp(list[k], list[i]) == 0;
    if (!seen) list[n++] = list[i];
  }
  return n;
}

/* What somebody on the telephone says about themselves is found without `search`: names, the father's name, the year of birth, the place. */
static size_t spoken_terms(const struct pack *p, const struct field *f, const json_t *v, struct arena *a, const char **terms, size_t most) {
  static const char *const names[] = {"name", "first_name", "last_name", "father_name"};
  const char *colon = f->prefill ? strrchr(f->prefill, ':') : NULL, *name = colon ? colon + 1 : f->name, *text = json_string_value(v);
  if (!text || !most) return 0;
  if (f->type == FIELD_PLACE) {
    int at = directory_find_place(pack_directory(p), text);
    return at < 0 ? 0 : text_terms(a, place_name(directory_place(pack_directory(p), at), LANG_FA), terms, most < 3 ? most : 3);
  }
  if (f->type == FIELD_DATE && (strstr(name, "birth") || strstr(name, "born"))) {
    int32_t day = date_parse(text);
    if (day == INT32_MIN || !(terms[0] = arena_printf(a, "%d", day_to_jalali(day).year))) return 0;
    return 1;
  }
  for (size_t i = 0; f->type == FIELD_TEXT && i < BASE_COUNT(names); i++)
    if (strcmp(name, names[i]) == 0) return text_terms(a, text, terms, most < 4 ? most : 4);
  return 0;
}

/* Words under which the desk finds a case: searchable answers, identifiers, what is said on the telephone, the telephone itself. */
size_t case_terms(const struct pack *p, const struct service *s, const json_t *data, const char *mobile, struct arena *a, const char **terms, size_t most) {
  size_t n = 0;
  for (size_t i = 0; i < s->field_count && n < most; i++) {
    const struct field *f = s->fields[i];
    const json_t *v = json_object_get(data, f->name);
    bool identifier = f->type == FIELD_NATIONAL_ID || f->type == FIELD_LEGAL_ID || f->type == FIELD_FIDA;
    if (!v) continue;
    if (identifier) {
      terms[n++] = json_string_value(v);
      continue;
    }
    if (!f->searchable) {
      n += spoken_terms(p, f, v, a, terms + n, most - n);
      continue;
    }
    const char *text = json_is_string(v) && (f->type == FIELD_TEXT || f->type == FIELD_PARAGRAPH) ? json_string_value(v)
                                                                                             : field_show(p, f, v, LANG_FA, a);
    if (text) n += text_terms(a, text, terms + n, most - n < 6 ? most - n : 6);
  }
  if (mobile && mobile[0] && n < most) terms[n++] = mobile;
  return distinct(terms, n);
}

static int put_terms(struct store_tx *tx, const struct case_row *row, const char *const *t, size_t count, struct err *err) {
  int rc = 0;
  int64_t ord = -row->submitted_at;
  for (; count >= 4 && rc == 0; count -= 4, t += 4)
    rc = store_put(tx, err, "INSERT INTO case_term (organisation,ord,tracking,term) VALUES (?1,?2,?3,?4),(?1,?2,?3,?5),(?1,?2,?3,?6),(?1,?2,?3,?7)",
                   "titt" "ttt", row->holder, ord, row->tracking, t[0], t[1], t[2], t[3]);
  for (; count >= 2 && rc == 0; count -= 2, t += 2)
    rc = store_put(tx, err, "INSERT INTO case_term (organisation,ord,tracking,term) VALUES (?1,?2,?3,?4),(?1,?2,?3,?5)", "titt" "t", row->holder, ord,
                   row->tracking, t[0], t[1]);
  if (count == 1 && rc == 0)
    rc = store_put(tx, err, "INSERT INTO case_term (organisation,ord,tracking,term) VALUES (?1,?2,?3,?4)", "titt", row->holder, ord, row->tracking, t[0]);
  return rc;
}

static int put_persons(struct store_tx *tx, const struct case_row *row, const char *const *p, size_t count, struct err *err) {
  int rc = 0;
  int64_t ord = -row->submitted_at;
  for (; count >= 3 && rc == 0; count -= 3, p += 3)
    rc = store_put(tx, err, "INSERT INTO case_person (ord,tracking,person) VALUES (?1,?2,?3),(?1,?2,?4),(?1,?2,?5)", "itttt", ord, row->tracking, p[0], p[1], p[2]);
  for (; count >= 1 && rc == 0; count--, p++)
    rc = store_put(tx, err, "INSERT INTO case_person (ord,tracking,person) VALUES (?1,?2,?3)", "itt", ord, row->tracking, p[0]);
  return rc;
}

int case_index(struct store_tx *tx, const struct case_row *row, const char *const *terms, size_t count, struct err *err) {
  char who[80], mobile[32];
  bool filed = strcmp(row->submitted_by, "agent") == 0 || strcmp(row->submitted_by, "staff") == 0;
  if (put_terms(tx, row, terms, count, err)) return -1;
  if (case_is_inquiry(row)) return 0;
  snprintf(who, sizeof who, "s:%s", row->submitter);
  snprintf(mobile, sizeof mobile, "m:%s", row->mobile);
  const char *persons[] = {row->applicant, row->pair, row->beneficiary, filed ? who : NULL, row->mobile[0] ? mobile : NULL};
  return put_persons(tx, row, persons, distinct(persons, BASE_COUNT(persons)), err);
}

/* ---- the transaction ---- */

static int repeated(struct submit_job *j, struct store_tx *tx, struct err *err) {
  struct case_submission *s = j->s;
  struct case_row old;
  if (case_load(j->c, tx, j->arena, j->row.tracking, &old, err)) return -1;
  if (memcmp(old.key_hash, j->row.key_hash, 32) != 0) return 1;
  if (memcmp(old.body_hash, j->row.body_hash, 32) != 0)
    return err_set(err, ERR_KEY_REUSED, "this Idempotency-Key was used with another body");
  memcpy(s->leaf_hash, old.first.leaf, TRUST_HASH);
  json_t *p = old.first.payload ? json_loads(old.first.payload, 0, NULL) : NULL;
  const json_t *due = json_object_get(p, "due");
  s->due_norm = json_str(due, "norm") ? date_parse(json_str(due, "norm")) : INT32_MIN;
  s->due_legal = json_str(due, "legal") ? date_parse(json_str(due, "legal")) : INT32_MIN;
  json_decref(p);
  if (case_is_inquiry(&old)) s->state = INQUIRY_OPEN;
  else {
    int st = old.def ? service_state(old.def, old.first.state) : -1;
    s->state = st >= 0 ? old.def->states[st].name : s->state;
  }
  s->promised = false;
  s->repeated = true;
  s->version = 1;
  s->submitted_at = old.submitted_at;
  memcpy(s->tracking, j->row.tracking, TRACKING_SIZE);
  return 0;
}

static int reserve(struct submit_job *j, struct store_tx *tx, struct err *err) {
  if (!j->reservation[0]) return 0;
  int n = store_exec(tx, err, "INSERT INTO case_reservation (name,tracking) VALUES (?1,?2) ON CONFLICT DO NOTHING", "tt", j->reservation, j->row.tracking);
  if (n < 0) return -1;
  if (n == 0) return err_set(err, ERR_CONFLICT, "this person already has an open request for this service");
  return 0;
}

/* Everything about the first event that needs no store: the code, the leaf, its promise. */
static int seal(struct submit_job *j, unsigned counter, struct err *err) {
  struct case_row *row = &j->row;
  char *tracking = arena_alloc(j->arena, TRACKING_SIZE), *header = arena_alloc(j->arena, 320);
  if (!tracking || !header) return err_set(err, ERR_LIMIT, "the request is too large");
  case_tracking(j->c, row->key_hash, counter, tracking);
  j->sealed = counter;
  row->tracking = tracking;
  case_header(header, row, &j->entry, 1);
  random_bytes(row->first.salt, TRUST_SALT);
  trust_leaf(header, row->first.salt, j->entry.payload, strlen(j->entry.payload), j->digest, row->first.leaf);
  row->first.header = header;
  row->first.payload = j->entry.payload;
  row->first.state = j->entry.to_state;
  row->first.role = j->entry.role;
  row->first.organisation = j->entry.organisation;
  if (j->s->promised) trust_sign(j->c->trust, row->first.leaf, row->submitted_at, j->signature);
  return 0;
}

static int submit_work(struct store_tx *tx, void *arg, struct err *err) {
  struct submit_job *j = arg;
  struct case_submission *s = j->s;
  struct case_row *row = &j->row;
  s->repeated = false;
  int own = s->counter ? case_own_person(j->c, tx, &s->actor, j->person, err) : 0;
  if (own < 0) return -1;
  if (own) {
    j->fault = "consent.own";
    return 0;
  }
  if (s->counter && (case_consent_check(j->c, tx, &s->actor, s->counter, j->subject, row->tracking, &j->fault, err) || j->fault)) return j->fault ? 0 : -1;
  for (unsigned counter = 0; counter < 8; counter++) {
    if (counter != j->sealed && seal(j, counter, err)) return -1;
    int n = case_insert(tx, row, err);
    if (n < 0) return -1;
    if (n == 0) {
      int rc = repeated(j, tx, err);
      if (rc <= 0) return rc;
      continue;
    }
    if (s->errors) return err_set(err, ERR_INVALID, "an answer differs from what is known");
    if (!s->parent && !s->imported && case_stopped(j->c, row->service)) return err_set(err, ERR_CONFLICT, "service %s takes no new requests now", row->service);
    if (!s->parent && case_pin(j->c, tx, s->service, s->imported ? store_time(tx) : row->submitted_at, err)) return -1;
    if (reserve(j, tx, err) ||
        (!s->parent && case_bind_documents(tx, s->service->fields, s->service->field_count, s->data, &s->actor, row->tracking, err)) ||
        trust_append(tx, row->first.leaf, row->first.header, j->digest, err) || case_index(tx, row, j->terms, j->term_count, err) ||
        case_desk_calendar(j->c, tx, row->holder, row->calendar, err) ||
        (s->imported ? case_import_step(j->c, tx, row, s->imported, err) : case_notice(j->c, tx, row, "submit", 1, NULL, NULL, err)) ||
        (s->counter && case_counter_filed(j->c, tx, &(struct counter_filing){s->counter, &s->actor, row, j->person, j->mobile}, err)))
      return -1;
    if (s->service->about_field && case_complaint_put(j->c, tx, s, row, j->arena, err)) return -1;
    if (s->service->mandate.present && !s->parent && case_mandate_put(j->c, tx, s, row, j->arena, err)) return -1;
    if (s->service->mandate.registry && !s->parent && case_outbox_put(tx, "mandate", row->tracking, 1, "mandate", json_object(), row->submitted_at, err)) return -1;
    if (s->parent && store_put(tx, err, "INSERT INTO case_child (parent,tracking,inquiry,open) VALUES (?1,?2,?3,1) ON CONFLICT DO NOTHING", "ttt",
                               s->parent, row->tracking, s->inquiry))
      return -1;
    memcpy(s->tracking, row->tracking, TRACKING_SIZE);
    memcpy(s->leaf_hash, row->first.leaf, TRUST_HASH);
    memcpy(s->signature, j->signature, sizeof s->signature);
    s->version = 1;
    s->submitted_at = row->submitted_at;
    s->state = row->state;
    s->due_norm = case_due_day(j->c, row, row->norm_ord);
    s->due_legal = case_due_day(j->c, row, row->legal_ord);
    return 0;
  }
  return err_set(err, ERR_UNAVAILABLE, "no free tracking code: try again");
}

/* A repetition is answered as it was the first time, whatever is known by now. A wrong consent was written down, and is told. */
static int outcome(struct submit_job *j, int rc, struct err *err) {
  struct case_submission *s = j->s;
  if (rc) return rc;
  json_decref(s->errors);
  s->errors = NULL;
  if (!j->fault) return 0;
  s->errors = json_pack("[{s:s,s:s,s:s}]", "field", strcmp(j->fault, "consent.own") == 0 ? "applicant" : "consent", "code", strchr(j->fault, '.') + 1, "message", word(s->lang, j->fault));
  return err_set(err, ERR_INVALID, "the consent is not good");
}

static void submit_done(void *arg, int rc, const struct err *err) {
  struct submit_job *j = arg;
  struct err fault;
  if (rc == 0 && (rc = outcome(j, rc, &fault)) != 0) err = &fault;
  store_done_fn done = j->done;
  void *next = j->arg;
  arena_free(j->arena);
  free(j);
  if (done) done(next, rc, err);
}

/* ---- before the transaction ---- */

static const char *person_of(struct submit_job *j, const char *field) {
  const char *id = field ? json_str(j->s->data, field) : NULL;
  if (!id) return "";
  char key[72];
  identity_person_key(j->c->o.identity, id, key);
  return arena_strdup(j->arena, key);
}

static int refuse_member(struct submit_job *j, const char *member, const char *code, const char *word_key, struct err *err) {
  json_decref(j->s->errors);
  j->s->errors = json_pack("[{s:s,s:s,s:s}]", "field", member, "code", code, "message", word(j->s->lang, word_key));
  return err_set(err, ERR_INVALID, "%s: %s", member, code);
}

/* An agent files for the person at the counter: whose request it is, and that they consented to it. */
static int for_whom(struct submit_job *j, struct err *err) {
  const struct case_submission *s = j->s;
  const struct case_counter *k = s->counter;
  struct case_row *row = &j->row;
  const struct service *def = s->service;
  const char *asked = def->applicant_field ? json_str(s->data, def->applicant_field) : NULL;
  const char *mobile = def->mobile_field ? json_str(s->data, def->mobile_field) : NULL;
  char key[72];
  if (!k || k->consent == CONSENT_NONE) return refuse_member(j, "consent", "required", "consent.required", err);
  if (!s->service->counter) return err_set(err, ERR_FORBIDDEN, "this service is not filed at counters");
  j->person = k->national_id && k->national_id[0] ? k->national_id : asked;
  j->mobile = k->mobile && k->mobile[0] ? k->mobile : mobile;
  bool instead = s->actor.acting_as[0] && base_same(asked, s->actor.acting_as); /* for whom the person at the counter has a mandate */
  if (!j->person || (asked && !instead && strcmp(asked, j->person) != 0)) return refuse_member(j, "applicant", j->person ? "other" : "required", j->person ? "consent.other_person" : "consent.who", err);
  if (k->consent == CONSENT_CODE && !j->mobile) return refuse_member(j, "applicant", "required", "consent.no_mobile", err);
  if (k->consent == CONSENT_KEPT && !k->number) return refuse_member(j, "consent", "required", "consent.slip_unknown", err);
  if (k->bind && (k->consent != CONSENT_CODE || !k->seen)) return refuse_member(j, "bind_telephone", "requires", "consent.bind_needs", err);
  row->mobile = mobile ? mobile : j->mobile ? j->mobile : "";
  row->assurance = k->seen ? ASSURANCE_COUNTER : k->consent == CONSENT_CODE ? identity_pair_assurance(j->c->o.identity, j->person, j->mobile) : ASSURANCE_CLAIMED;
  if (row->assurance == ASSURANCE_COUNTER && !k->seen) row->assurance = ASSURANCE_SIM_MATCHED; /* bound earlier; today no document was seen */
  if (!asked) {
    identity_person_key(j->c->o.identity, j->person, key);
    row->applicant = arena_strdup(j->arena, key);
  }
  if (j->mobile) {
    identity_pair_key(j->c->o.identity, j->person, j->mobile, key);
    row->pair = arena_strdup(j->arena, key);
  }
  case_subject(&(struct case_asking){.service = def, .data = s->data, .national_id = j->person, .mobile = j->mobile}, counter_organisation(&s->actor), j->subject);
  return 0;
}

static int who_files(struct submit_job *j, struct err *err) {
  struct case_submission *s = j->s;
  const struct service *def = s->service;
  struct case_row *row = &j->row;
  const struct actor *who = &s->actor;
  row->applicant = person_of(j, def->applicant_field);
  row->beneficiary = person_of(j, def->beneficiary_field);
  row->mobile = def->mobile_field && json_str(s->data, def->mobile_field) ? json_str(s->data, def->mobile_field) : who->mobile;
  row->pair = who->kind == ACTOR_CITIZEN ? who->pair : "";
  row->submitter = "";
  row->submitted_by = "self";
  row->assurance = who->kind == ACTOR_CITIZEN ? who->assurance : ASSURANCE_NONE;
  if (s->imported) row->submitted_by = "import";
  if (s->parent) {
    row->submitted_by = "system";
    return 0;
  }
  if (who->kind == ACTOR_STAFF) {
    if (actor_has_role(who, NULL, STAFF_AGENT) && !def->staff_only && for_whom(j, err)) return -1;
    row->submitted_by = actor_has_role(who, NULL, STAFF_AGENT) && !def->staff_only ? "agent" : "staff";
    row->submitter = who->username;
  } else if (def->staff_only && who->kind != ACTOR_SYSTEM) {
    return err_set(err, who->kind == ACTOR_NOBODY ? ERR_UNAUTHENTICATED : ERR_FORBIDDEN, "this service is for members of staff");
  }
  if (who->acting_as[0] && case_files_for(s, row, err)) return -1;
  if (!row->applicant[0] && who->kind == ACTOR_CITIZEN) {
    char key[72];
    identity_person_key(j->c->o.identity, who->national_id, key);
    row->applicant = arena_strdup(j->arena, key);
  }
  if (!row->applicant[0] && who->kind == ACTOR_NOBODY && s->intake != INTAKE_USSD)
    return err_set(err, ERR_UNAUTHENTICATED, "sign in first: this service does not ask who you are");
  if (def->mandate.present && case_mandate_check(j->c, s, row, j->arena, err)) return -1;
  if (!row->pair[0] && !s->counter && !who->acting_as[0] && def->applicant_field && row->mobile[0]) {
    char key[72];
    identity_pair_key(j->c->o.identity, json_str(s->data, def->applicant_field) ? json_str(s->data, def->applicant_field) : "", row->mobile, key);
    row->pair = arena_strdup(j->arena, key);
  }
  return 0;
}

static void due_put(json_t *due, const char *key, int32_t day) {
  char text[16];
  if (day != INT32_MIN) date_iso(day, text);
  json_put(due, key, day == INT32_MIN ? NULL : text);
}

static int prepare_clock(struct submit_job *j, int64_t at, struct err *err) {
  struct case_submission *s = j->s;
  struct case_row *row = &j->row;
  row->stopped_ord = -1;
  row->norm_ord = row->legal_ord = row->state_legal_ord = row->next_ord = NO_ORD;
  int owner = -1;
  if (s->owner) owner = directory_find_organisation(pack_directory(j->c->pack), s->owner);
  else owner = service_owner(j->c->pack, s->service, s->data, err);
  const struct organisation *org = directory_organisation(pack_directory(j->c->pack), owner);
  if (!org) return s->owner ? err_set(err, ERR_INVALID, "no organisation '%s'", s->owner) : -1;
  row->owner = row->holder = org->code;
  const struct organisation *provider = directory_organisation(pack_directory(j->c->pack), s->service->provider);
  row->provider = provider && !s->owner ? provider->code : org->code;
  if (s->service->provider >= 0 && !s->owner) row->holder = row->provider;
  row->calendar = pack_calendar_of(j->c->pack, owner);
  row->submitted_at = row->changed_at = row->state_at = at;
  if (s->parent) {
    int64_t days = 5;
    for (size_t i = 0; i < s->service->inquiry_count; i++)
      if (strcmp(s->service->inquiries[i].name, s->inquiry) == 0) days = s->service->inquiries[i].days;
    row->state = INQUIRY_OPEN;
    row->state_index = -1;
    row->start_day = row->state_day = day_of(at);
    row->norm_ord = row->legal_ord = row->state_legal_ord = case_ord(j->c, row, at) + days;
    case_next_check(j->c, row);
    return 0;
  }
  case_stamp(j->c, row, at);
  row->state = "";
  cases_set_state(j->c, row, s->service->start, at);
  row->prior_state = "";
  return 0;
}

/* It is found by its number of before too. */
static size_t imported_terms(struct submit_job *j) {
  const char *words[4];
  size_t n = j->term_count, more = text_terms(j->arena, j->s->imported->number, words, 4);
  for (size_t i = 0; i < more && n < CASE_TERMS; i++) j->terms[n++] = words[i];
  return distinct(j->terms, n);
}

static int prepare(struct submit_job *j, struct err *err) {
  struct case_submission *s = j->s;
  struct case_row *row = &j->row;
  size_t key_length = s->key ? strlen(s->key) : 0;
  int64_t at = s->at ? s->at : clock_now();
  if (key_length < 1 || key_length > 200) return err_set(err, ERR_INVALID, "an Idempotency-Key has 1 to 200 characters");
  row->service = s->service->code;
  row->service_version = s->service->version;
  row->def = s->service;
  row->pack = j->c->pack;
  row->version = 1;
  row->parent = s->parent ? s->parent : "";
  row->inquiry = s->inquiry ? s->inquiry : "";
  row->assignee = row->decider = row->letter_no = row->letter_date = row->prior_state = "";
  row->intake = s->intake;
  row->lang = s->latin ? CASE_LATIN : s->lang;
  if (who_files(j, err) || prepare_clock(j, at, err)) return -1;
  if (s->actor.acting_as[0] && !case_covers(&s->actor, s->service, s->service->code, row->owner)) {
    s->detail = "case.outside_mandate";
    return err_set(err, ERR_FORBIDDEN, "the mandate does not cover this service");
  }
  key_hash_of(s, row->key_hash);
  char *data = json_canonical(s->data);
  row->data = arena_strdup(j->arena, data);
  const char *body = s->body ? s->body : data;
  sha256(body, strlen(body), row->body_hash);
  free(data);
  json_t *p = json_object(), *due = json_object();
  due_put(due, "norm", case_due_day(j->c, row, row->norm_ord));
  due_put(due, "legal", case_due_day(j->c, row, row->legal_ord));
  json_object_set(p, "data", s->data);
  json_object_set_new(p, "due", due);
  if (s->imported) json_put(p, "imported", s->imported->number);
  json_put(p, "intake", intake_text(s->intake));
  if (s->mail && s->mail[0]) json_put(p, "mail", s->mail);
  json_t *sources;
  struct actor as = s->actor;
  if (s->counter && !s->actor.acting_as[0] && cases_counter_knows(j->c, &s->actor, &(struct case_asking){.service = s->service, .national_id = j->person, .mobile = j->mobile}, &as, err) < 0) {
    json_decref(p);
    json_decref(due);
    return -1;
  }
  char tracking[TRACKING_SIZE];
  case_tracking(j->c, row->key_hash, 0, tracking); /* as it will be, but when that is taken */
  case_sources(j->c, s, &as, tracking, &sources, &s->errors);
  if (s->counter) json_object_set_new(p, "filed", case_filed_json(s->counter, &s->actor));
  if (sources) json_object_set_new(p, "sources", sources);
  json_put(p, "submitted_by", row->submitted_by);
  json_put(p, "who", row->submitter[0] ? row->submitter : row->pair);
  case_put_mandate(p, &s->actor);
  char *payload = json_canonical(p);
  json_decref(p);
  j->entry = (struct case_entry){.action = "submit", .from_state = "", .to_state = row->state, .role = s->parent ? "system" : s->actor.acting_as[0] ? "attorney" : row->submitter[0] ? "agent" : "applicant",
                                 .organisation = row->submitter[0] ? counter_organisation(&s->actor) : "",
                                 .at = at, .payload = arena_strdup(j->arena, payload)};
  free(payload);
  if (!s->parent) j->term_count = case_terms(j->c->pack, s->service, s->data, row->mobile, j->arena, j->terms, CASE_TERMS);
  if (s->imported) j->term_count = imported_terms(j);
  bool open = !s->imported || s->service->states[s->imported->state].result == RESULT_OPEN;
  if (s->service->one_open_per_person && !s->parent && open && row->applicant[0])
    snprintf(j->reservation, sizeof j->reservation, "open:%s:%s", s->service->code, row->applicant);
  if (seal(j, 0, err)) return -1;
  if (arena_overflowed(j->arena)) return err_set(err, ERR_LIMIT, "the request is too large");
  return 0;
}

static struct submit_job *job_new(struct cases *c, struct case_submission *s, store_done_fn done, void *arg) {
  struct submit_job *j = base_alloc(sizeof *j);
  j->c = c;
  j->s = s;
  j->arena = arena_new(2 * 1024 * 1024);
  j->done = done;
  j->arg = arg;
  return j;
}

int cases_submit(struct cases *c, struct case_submission *s, store_done_fn done, void *arg, struct err *err) {
  struct submit_job *j = job_new(c, s, done, arg);
  int rc = prepare(j, err);
  if (rc == 0) {
    if (done) {
      rc = store_submit(c->store, STORE_FRONT, submit_work, j, submit_done, err);
      if (rc == 0) return 0;
    } else {
      rc = store_write(c->store, STORE_FRONT, submit_work, j, err);
      rc = outcome(j, rc, err);
    }
  }
  arena_free(j->arena);
  free(j);
  return rc;
}

/* ---- a repetition whose answers would not be taken any more ---- */

static int before_work(struct store_tx *tx, void *arg, struct err *err) {
  struct submit_job *j = arg;
  char tracking[TRACKING_SIZE];
  j->row.tracking = tracking;
  for (unsigned counter = 0; counter < 8; counter++) {
    case_tracking(j->c, j->row.key_hash, counter, tracking);
    int rc = repeated(j, tx, err);
    if (rc <= 0) return rc;
  }
  return err_set(err, ERR_NOT_FOUND, "this Idempotency-Key has not been used");
}

int cases_submitted_before(struct cases *c, struct case_submission *s, store_done_fn done, void *arg, struct err *err) {
  struct submit_job *j = job_new(c, s, done, arg);
  key_hash_of(s, j->row.key_hash);
  sha256(s->body, strlen(s->body), j->row.body_hash);
  int rc = done ? store_submit(c->store, STORE_FRONT, before_work, j, submit_done, err) : store_write(c->store, STORE_FRONT, before_work, j, err);
  if (rc == 0 && done) return 0;
  arena_free(j->arena);
  free(j);
  return rc;
}

json_t *cases_submitted(struct cases *c, const struct case_submission *s) {
  json_t *o = json_object(), *due = json_object(), *receipt = json_object();
  char at[32], hex[2 * TRUST_HASH + 1];
  clock_rfc3339_ms(s->submitted_at, at);
  hex_encode(s->leaf_hash, TRUST_HASH, hex);
  due_put(due, "norm", s->due_norm);
  due_put(due, "legal", s->due_legal);
  json_put(receipt, "leaf_hash", hex);
  json_object_set_new(receipt, "promise", s->promised ? trust_promise_signed(c->trust, s->submitted_at, s->signature)
                                                       : trust_promise(c->trust, s->leaf_hash, s->submitted_at));
  json_put(receipt, "verifier_key", trust_public_key(c->trust)); /* checked by itself, as the later one with its proof */
  json_put(o, "tracking", s->tracking);
  json_put(o, "state", s->state);
  json_object_set_new(o, "version", json_integer(s->version));
  json_put(o, "submitted_at", at);
  json_object_set_new(o, "due", due);
  json_object_set_new(o, "receipt", receipt);
  return o;
}
