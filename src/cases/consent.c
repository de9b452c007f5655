/* What a person at a counter consents to: by a code sent to their telephone, tied to what it is for, or by a slip that they sign. */
#include "cases/private.h"

#include <stdlib.h>
#include <string.h>

enum {
  CODE_SECONDS = 300, CODE_TRIES = 5, SLIP_DAYS = 2,
  MOBILE_CODES = 5, MOBILE_WINDOW_MS = 600 * 1000,        /* codes to one telephone */
  AGENT_CODES = 60, AGENT_WINDOW_MS = 600 * 1000,         /* codes asked for by one agent */
  AGENT_WRONG = 20, WRONG_WINDOW_MS = 3600 * 1000,        /* wrong ones typed by one agent */
  SEE_MS = 30 * 60 * 1000, KNOW_MS = 2 * 3600 * 1000      /* how long a consent to look holds */
};

static const char *const purposes[] = {"file", "know", "see", "mandate"};
static const char *const kinds[] = {"none", "code", "slip", "kept"};
const char *consent_text(enum case_consent k) { return (size_t)k < BASE_COUNT(kinds) ? kinds[k] : "none"; }

const char *const counter_papers[] = {"identity_card", "birth_certificate", "passport", "foreigner_card", "driving_licence"};
const size_t counter_paper_count = BASE_COUNT(counter_papers);

const char *counter_organisation(const struct actor *who) {
  for (unsigned i = 0; i < who->role_count; i++)
    if (who->roles[i].role == STAFF_AGENT) return who->roles[i].organisation;
  return who->role_count ? who->roles[0].organisation : "";
}

void case_subject(const struct case_asking *a, const char *organisation, char out[65]) {
  unsigned char hash[32];
  json_t *o = json_object();
  json_put(o, "purpose", purposes[a->purpose]);
  json_put(o, "organisation", organisation);
  if (a->purpose == CONSENT_TO_SEE || a->purpose == CONSENT_TO_MANDATE) json_put(o, "case", a->tracking);
  if (a->purpose == CONSENT_TO_MANDATE) {
    json_put(o, "action", a->action);
    json_put(o, "national_id", a->national_id);
    json_put(o, "mobile", a->mobile);
  } else if (a->purpose != CONSENT_TO_SEE) {
    json_put(o, "service", a->service->code);
    json_put(o, "national_id", a->national_id);
    json_put(o, "mobile", a->mobile);
  }
  if (a->purpose == CONSENT_TO_FILE) json_object_set(o, "data", (json_t *)(uintptr_t)a->data);
  char *text = json_canonical(o);
  sha256(text, strlen(text), hash);
  hex_encode(hash, 32, out);
  free(text);
  json_decref(o);
}

/* ---- asking ---- */

struct asking {
  struct cases *c;
  const struct actor *who;
  const struct case_asking *a;
  const char *organisation;
  char subject[65], id[65], code[65], blind[65], mobile[16], title[256];
  int64_t lang;
  bool slip;
};

static int count_since(struct store_tx *tx, int64_t *out, const struct asking *k, bool mobile, int64_t window, struct err *err) {
  return mobile ? store_value(tx, out, 0, err, "SELECT COUNT(*) FROM case_consent WHERE mobile=?1 AND made_at>?2 AND kind='code'", "ti", k->blind, store_time(tx) - window)
                : store_value(tx, out, 0, err, "SELECT COUNT(*) FROM case_consent WHERE agent=?1 AND made_at>?2", "ti", k->who->username, store_time(tx) - window);
}

static int wrong_codes(struct store_tx *tx, const char *agent, int64_t *out, struct err *err) {
  return store_value(tx, out, 0, err, "SELECT CAST(SUM(tries-CASE WHEN given_at>0 THEN 1 ELSE 0 END) AS BIGINT) FROM case_consent WHERE agent=?1 AND made_at>?2 AND kind='code'", "ti",
                     agent, store_time(tx) - WRONG_WINDOW_MS);
}

static int within_limits(struct store_tx *tx, const struct asking *k, struct err *err) {
  int64_t mobile = 0, agent = 0, wrong = 0;
  if ((!k->slip && count_since(tx, &mobile, k, true, MOBILE_WINDOW_MS, err)) || count_since(tx, &agent, k, false, AGENT_WINDOW_MS, err) ||
      wrong_codes(tx, k->who->username, &wrong, err))
    return -1;
  if (mobile >= MOBILE_CODES) return err_set(err, ERR_RATE, "too many codes for one telephone");
  if (agent >= AGENT_CODES || (!k->slip && wrong >= AGENT_WRONG)) return err_set(err, ERR_RATE, "too many codes by one agent");
  return 0;
}

/* The case that somebody wants to see: its telephone is where the code goes, whoever asks. */
static int load_seen(struct asking *k, struct store_tx *tx, struct err *err) {
  struct case_row row;
  struct arena *a = arena_new(1024 * 1024);
  int rc = case_load(k->c, tx, a, k->a->tracking, &row, err);
  if (rc == 0 && case_is_inquiry(&row)) rc = err_set(err, ERR_NOT_FOUND, "no such case");
  if (rc == 0 && !row.mobile[0]) rc = err_set(err, ERR_CONFLICT, "this case has no telephone");
  if (rc == 0) {
    snprintf(k->mobile, sizeof k->mobile, "%s", row.mobile);
    snprintf(k->title, sizeof k->title, "%s", row.def ? text_in(&row.def->title, row.lang == LANG_EN ? LANG_EN : LANG_FA) : row.service);
    k->lang = row.lang;
    identity_blind(k->c->o.identity, "consent mobile", k->mobile, k->blind);
  }
  arena_free(a);
  return rc;
}

int case_own_person(struct cases *c, struct store_tx *tx, const struct actor *who, const char *national_id, struct err *err) {
  char own[72], person[72];
  int known = national_id && national_id[0] && who->kind == ACTOR_STAFF ? identity_staff_person(tx, who->username, own, err) : 0;
  if (known <= 0) return known;
  identity_person_key(c->o.identity, national_id, person);
  return strcmp(own, person) == 0;
}

struct own { struct cases *c; const struct actor *who; const char *national_id; int answer; };

static int own_work(struct store_tx *tx, void *arg, struct err *err) {
  struct own *k = arg;
  k->answer = case_own_person(k->c, tx, k->who, k->national_id, err);
  return k->answer < 0 ? -1 : 0;
}

int cases_counter_own(struct cases *c, const struct actor *who, const char *national_id, struct err *err) {
  struct own k = {.c = c, .who = who, .national_id = national_id};
  return store_read(c->store, own_work, &k, err) ? -1 : k.answer;
}

static int ask_work(struct store_tx *tx, void *arg, struct err *err) {
  struct asking *k = arg;
  int64_t now = store_time(tx);
  if (k->a->purpose == CONSENT_TO_SEE && load_seen(k, tx, err)) return -1;
  int own = k->a->purpose == CONSENT_TO_SEE ? 0 : case_own_person(k->c, tx, k->who, k->a->national_id, err);
  if (own) return own < 0 ? -1 : err_set(err, ERR_INVALID, "own");
  if (within_limits(tx, k, err)) return -1;
  return store_put(tx, err, "INSERT INTO case_consent (id,kind,purpose,code,subject,agent,organisation,office,mobile,tracking,tries,made_at,expires_at,given_at) "
                            "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,0,?11,?12,0)",
                   "tttttttttt" "ii", k->id, k->slip ? "slip" : "code", purposes[k->a->purpose], k->code, k->subject, k->who->username, k->organisation, k->who->office,
                   k->slip ? "" : k->blind, k->a->purpose == CONSENT_TO_SEE ? k->a->tracking : "", now,
                   now + (k->slip ? INT64_C(86400000) * SLIP_DAYS : INT64_C(1000) * CODE_SECONDS));
}

const char *counter_place(const struct cases *c, const struct actor *who, enum lang l) {
  const struct directory *d = pack_directory(c->pack);
  const struct office *o = who->office[0] ? directory_office(d, directory_find_office(d, who->office)) : NULL;
  return o ? l == LANG_EN && o->name_en && o->name_en[0] ? o->name_en : o->name_fa : case_organisation_name(c, NULL, counter_organisation(who), l);
}

const char *counter_clip(struct arena *a, const char *text, size_t most) {
  const char *s = text, *end = text + strlen(text), *cut = text;
  for (size_t n = 0; n < most && utf8_next(&s, end) >= 0; n++)
    if (n + 1 < most) cut = s;
  return s == end ? text : arena_printf(a, "%.*s…", (int)(cut - text), text);
}

static int tell(struct asking *k, const char *code, enum lang l, struct err *err) {
  static const char *const texts[] = {"consent.file", "consent.know", "consent.see", "consent.mandate"};
  struct arena *a = arena_new(16 * 1024);
  const char *office = counter_clip(a, counter_place(k->c, k->who, l), OFFICE_SHOWN), *service = counter_clip(a, k->title, SERVICE_SHOWN);
  const char *text = office && service ? word_fill(a, l, k->a->action ? "consent.mandate_step" : texts[k->a->purpose], "office", office, "service", service, "code", code, NULL) : NULL;
  int rc = text ? identity_tell(k->c->o.identity, k->mobile, text, err) : err_set(err, ERR_LIMIT, "the text of a code is too long");
  arena_free(a);
  return rc;
}

static int may_ask(const struct actor *who, enum consent_purpose p, struct err *err) {
  if (who->kind == ACTOR_STAFF && (actor_has_role(who, NULL, STAFF_AGENT) || (p == CONSENT_TO_SEE && actor_has_role(who, NULL, STAFF_HELPDESK)))) return 0;
  return err_set(err, who->kind == ACTOR_NOBODY ? ERR_UNAUTHENTICATED : ERR_FORBIDDEN, "for agents");
}

int cases_consent_ask(struct cases *c, const struct actor *who, const struct case_asking *a, enum lang l, char challenge[40], int *expires_in, struct err *err) {
  struct asking k = {.c = c, .who = who, .a = a, .organisation = counter_organisation(who), .lang = l};
  char code[8];
  if (may_ask(who, a->purpose, err)) return -1;
  if (a->purpose != CONSENT_TO_SEE) {
    if (!a->national_id || !a->national_id[0]) return err_set(err, ERR_INVALID, "national_id");
    if (!a->mobile || !a->mobile[0]) return err_set(err, ERR_INVALID, "mobile");
    snprintf(k.mobile, sizeof k.mobile, "%s", a->mobile);
    snprintf(k.title, sizeof k.title, "%s", a->purpose == CONSENT_TO_MANDATE ? a->title ? a->title : "" : text_in(&a->service->title, l));
    if (a->purpose == CONSENT_TO_MANDATE && identity_pair_assurance(c->o.identity, a->national_id, a->mobile) < ASSURANCE_SIM_MATCHED)
      return err_set(err, ERR_FORBIDDEN, "this telephone is not known to be this person's");
    identity_blind(c->o.identity, "consent mobile", k.mobile, k.blind);
  }
  case_subject(a, k.organisation, k.subject);
  identity_code_make(c->o.identity, challenge, code, k.id, k.code);
  int rc = store_write(c->store, STORE_FRONT, ask_work, &k, err);
  if (rc == 0) rc = tell(&k, code, k.lang == LANG_EN ? LANG_EN : LANG_FA, err);
  *expires_in = CODE_SECONDS;
  return rc;
}

int cases_slip(struct cases *c, const struct actor *who, const struct case_asking *a, char number[16], struct err *err) {
  struct asking k = {.c = c, .who = who, .a = a, .organisation = counter_organisation(who), .slip = true};
  uint64_t n;
  if (may_ask(who, a->purpose, err)) return -1;
  if (a->purpose != CONSENT_TO_FILE || !a->national_id || !a->national_id[0]) return err_set(err, ERR_INVALID, "national_id");
  random_bytes(&n, sizeof n);
  snprintf(number, 16, "%09llu", (unsigned long long)(n % 1000000000u));
  number[9] = luhn_digit(number, 9);
  number[10] = 0;
  snprintf(k.id, sizeof k.id, "slip:%s", number);
  case_subject(a, k.organisation, k.subject);
  return store_write(c->store, STORE_FRONT, ask_work, &k, err);
}

/* ---- the answer ---- */

/* What is kept of a consent, and whether it may be used by this agent for this. */
static int judge(struct store_tx *tx, const struct actor *who, enum consent_purpose p, const char *id, const char *mac, const char *subject, const char *tracking,
                 const char **fault, struct err *err) {
  char kept[80] = "", about[80] = "", used[40] = "";
  int64_t tries = 0, until = 0;
  bool mine = false;
  struct store_rows *r = store_select(tx, err, "SELECT code,subject,agent,tracking,tries,expires_at,purpose FROM case_consent WHERE id=?1", "t", id);
  if (!r) return -1;
  int rc = store_next(r, err);
  if (rc == 1) {
    snprintf(kept, sizeof kept, "%s", store_text(r, 0));
    snprintf(about, sizeof about, "%s", store_text(r, 1));
    mine = strcmp(store_text(r, 2), who->username) == 0 && strcmp(store_text(r, 6), purposes[p]) == 0;
    snprintf(used, sizeof used, "%s", store_text(r, 3));
    tries = store_int(r, 4);
    until = store_int(r, 5);
  }
  store_done(r);
  if (rc < 0) return -1;
  *fault = NULL;
  if (mine && p == CONSENT_TO_FILE && used[0] && base_same(used, tracking)) return 0; /* the same submission once more */
  if (!mine || (p == CONSENT_TO_FILE && used[0]) || until <= store_time(tx)) *fault = "consent.gone";
  else if (mac && tries >= CODE_TRIES) *fault = "consent.spent";
  if (*fault) return 0;
  if (mac) {
    if (store_exec(tx, err, "UPDATE case_consent SET tries=tries+1 WHERE id=?1", "t", id) < 0) return -1;
    if (strlen(kept) != 64 || !trust_same(kept, mac, 64)) *fault = tries + 1 >= CODE_TRIES ? "consent.spent" : "consent.wrong";
  }
  if (!*fault && strcmp(about, subject) != 0) *fault = "consent.other";
  return 0;
}

static bool slip_shaped(const char *number) {
  return number && strlen(number) == 10 && strspn(number, "0123456789") == 10 && luhn_digit(number, 9) == number[9];
}

int case_consent_check(struct cases *c, struct store_tx *tx, const struct actor *who, const struct case_counter *k, const char *subject, const char *tracking,
                       const char **fault, struct err *err) {
  char id[80], mac[65];
  *fault = NULL;
  if (k->consent == CONSENT_CODE) {
    if (!identity_code_read(c->o.identity, k->challenge, k->code, id, mac)) *fault = "consent.gone";
    return *fault ? 0 : judge(tx, who, CONSENT_TO_FILE, id, mac, subject, tracking, fault, err);
  }
  if (k->consent == CONSENT_SLIP && !k->number) return 0; /* its scan says what was signed */
  if (!slip_shaped(k->number)) *fault = "consent.slip_unknown";
  snprintf(id, sizeof id, "slip:%s", k->number ? k->number : "");
  return *fault ? 0 : judge(tx, who, CONSENT_TO_FILE, id, NULL, subject, tracking, fault, err);
}

int case_consent_use(struct cases *c, struct store_tx *tx, const struct case_counter *k, const char *tracking, struct err *err) {
  char id[80], mac[65];
  if (k->consent == CONSENT_CODE) identity_code_read(c->o.identity, k->challenge, k->code, id, mac);
  else if (k->number) snprintf(id, sizeof id, "slip:%s", k->number);
  else return 0;
  return store_exec(tx, err, "UPDATE case_consent SET tracking=?2,given_at=?3 WHERE id=?1", "tti", id, tracking, store_time(tx)) < 0 ? -1 : 0;
}

struct giving {
  struct cases *c;
  const struct actor *who;
  enum consent_purpose purpose;
  char subject[65], id[65], mac[65];
  const char *fault;
};

static int give_work(struct store_tx *tx, void *arg, struct err *err) {
  struct giving *k = arg;
  if (judge(tx, k->who, k->purpose, k->id, k->mac, k->subject, NULL, &k->fault, err)) return -1;
  return k->fault ? 0 : store_put(tx, err, "UPDATE case_consent SET given_at=?2,expires_at=0 WHERE id=?1", "ti", k->id, store_time(tx));
}

int cases_consent_give(struct cases *c, const struct actor *who, const struct case_asking *a, const char *challenge, const char *code, struct err *err) {
  struct giving k = {.c = c, .who = who, .purpose = a->purpose};
  if (may_ask(who, a->purpose, err)) return -1;
  case_subject(a, counter_organisation(who), k.subject);
  if (!identity_code_read(c->o.identity, challenge, code, k.id, k.mac)) return err_set(err, ERR_UNAUTHENTICATED, "wrong code");
  if (store_write(c->store, STORE_FRONT, give_work, &k, err)) return -1;
  if (!k.fault) return 0;
  return err_set(err, strcmp(k.fault, "consent.spent") == 0 ? ERR_RATE : ERR_UNAUTHENTICATED, "wrong code");
}

/* ---- what a consent allows ---- */

int case_at_counter(struct store_tx *tx, const struct actor *who, struct case_row *row, struct err *err) {
  int64_t granted = 0, here = 0, now = clock_now();
  bool agent = who->kind == ACTOR_STAFF && actor_has_role(who, NULL, STAFF_AGENT);
  row->granted = row->filed_here = false;
  if (!agent && !(who->kind == ACTOR_STAFF && actor_has_role(who, NULL, STAFF_HELPDESK))) return 0;
  if (store_value(tx, &granted, 0, err, "SELECT COUNT(*) FROM case_consent WHERE agent=?1 AND made_at>?2 AND purpose='see' AND tracking=?3 AND given_at>?4", "titi", who->username,
                  now - SEE_MS - INT64_C(1000) * CODE_SECONDS, row->tracking, now - SEE_MS))
    return -1;
  row->granted = granted > 0;
  if (!agent) return 0;
  if (store_value(tx, &here, 0, err, "SELECT COUNT(*) FROM case_counter WHERE tracking=?1 AND at>?2 AND (agent=?3 OR (organisation=?4 AND office=?5 AND office<>''))", "titt" "t",
                  row->tracking, now - INT64_C(86400000) * COUNTER_DAYS, who->username, counter_organisation(who), who->office))
    return -1;
  row->filed_here = here > 0;
  return 0;
}

struct knowing {
  const struct actor *who;
  const char *purpose;
  int64_t holds;
  char subject[65];
  int64_t given;
};

static int know_work(struct store_tx *tx, void *arg, struct err *err) {
  struct knowing *k = arg;
  int64_t now = clock_now();
  return store_value(tx, &k->given, 0, err, "SELECT COUNT(*) FROM case_consent WHERE agent=?1 AND made_at>?2 AND purpose=?5 AND subject=?3 AND given_at>?4", "titit",
                     k->who->username, now - k->holds - INT64_C(1000) * CODE_SECONDS, k->subject, now - k->holds, k->purpose);
}

int cases_counter_knows(struct cases *c, const struct actor *who, const struct case_asking *a, struct actor *as, struct err *err) {
  struct case_asking know = *a;
  if (a->purpose != CONSENT_TO_MANDATE) know.purpose = CONSENT_TO_KNOW;
  struct knowing k = {.who = who, .purpose = purposes[know.purpose], .holds = know.purpose == CONSENT_TO_MANDATE ? SEE_MS : KNOW_MS};
  if (who->kind != ACTOR_STAFF || !a->national_id || !a->mobile || !a->national_id[0] || !a->mobile[0]) return 0;
  case_subject(&know, counter_organisation(who), k.subject);
  if (store_read(c->store, know_work, &k, err)) return -1;
  if (!k.given) return 0;
  *as = (struct actor){.kind = ACTOR_CITIZEN, .assurance = identity_pair_assurance(c->o.identity, a->national_id, a->mobile), .role_count = 1};
  if (as->assurance < ASSURANCE_SIM_MATCHED) return 0; /* another's telephone must not open this person's records */
  snprintf(as->national_id, sizeof as->national_id, "%s", a->national_id);
  snprintf(as->mobile, sizeof as->mobile, "%s", a->mobile);
  snprintf(as->username, sizeof as->username, "%s", who->username); /* who reads is on record */
  snprintf(as->roles[0].organisation, sizeof as->roles[0].organisation, "%s", counter_organisation(who));
  as->roles[0].role = STAFF_AGENT;
  identity_person_key(c->o.identity, a->national_id, as->person);
  identity_pair_key(c->o.identity, a->national_id, a->mobile, as->pair);
  return 1;
}
