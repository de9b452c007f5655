/*
 * identity: citizens by one-time code, staff by password (argon2id) and optional TOTP, roles in organisations, sessions,
 * form tokens, rate limits. Layer 2; includes base, language, store, trust, directory. Thread-safe.
 *
 * Two stores: `main` keeps staff and their roles; `fast` keeps sessions, one-time codes and limits (a second SQLite file; the same
 * PostgreSQL). Session tokens, codes and challenges are kept as hashes only.
 */
#ifndef CHAPAR_IDENTITY_H
#define CHAPAR_IDENTITY_H

#include "base/base.h"
#include "directory/directory.h"
#include "language/language.h"
#include "store/store.h"

/* The same order and names as enum role of catalog (which is above this room). */
#define STAFF_ROLE_TABLE(X) X(STAFF_OFFICER, "officer", 1) X(STAFF_SUPERVISOR, "supervisor", 2) X(STAFF_MANAGER, "manager", 3) \
  X(STAFF_AGENT, "agent", 4) X(STAFF_HELPDESK, "helpdesk", 5) X(STAFF_OPERATOR, "operator", 6) X(STAFF_AUDITOR, "auditor", 7)
enum staff_role {
#define X(name, text, number) name = number,
  STAFF_ROLE_TABLE(X)
#undef X
};
const char *staff_role_text(int role);
int staff_role_parse(const char *text);              /* -1 when unknown */

enum assurance { ASSURANCE_NONE, ASSURANCE_CLAIMED, ASSURANCE_SIM_MATCHED, ASSURANCE_COUNTER, ASSURANCE_CERTIFICATE };
const char *assurance_text(enum assurance a);

enum actor_kind { ACTOR_NOBODY, ACTOR_CITIZEN, ACTOR_STAFF, ACTOR_SYSTEM };
/* Who asks. One block without pointers: assignment copies it; actor_copy() gives one on the heap, for http_set_user() and queues. */
struct actor {
  enum actor_kind kind;
  enum assurance assurance;
  char national_id[16];        /* citizens; a foreigner's FIDA (12 to 15 digits) takes the same place */
  char mobile[16];             /* citizens */
  char person[72];             /* key of the person in cases: "c:<hex of HMAC(national id ‖ mobile)>" while claimed (bound to the pair),
                                  "p:<hex of HMAC(national id)>" from sim_matched on; staff: "s:<username>" */
  char pair[72];               /* always the "c:…" key: what this pair filed stays visible after the assurance rises */
  char username[64];           /* staff */
  char name[128];              /* staff: shown name */
  char office[48];             /* staff: code of the office from which an agent works, else "" */
  char acting_as[32];          /* legal id or national id after header Chapar-Acting-As was accepted, else "": then the next ones are set too */
  char acting_person[72];      /* key of the principal */
  char acting_mandate[20];     /* the request that gave the mandate */
  char acting_scope[256];      /* "all", or words "service:CODE", "organisation:CODE", "event:CODE" */
  char acting_name[128];       /* of the principal where it is known, else "" */
  char acting_mobile[16];      /* of the principal where it is known, else "" */
  bool acting_proved;          /* by a register, so that it may be given on */
  unsigned role_count;
  struct { char organisation[48]; int role; char unit[48]; } roles[16];  /* unit: where the person belongs there, "" nowhere */
  bool must_change;            /* staff: signed in with a password that somebody else gave; nothing but a new one is let through */
  bool by_cookie;              /* the session came by cookie: form tokens are demanded */
  char form_token[48];         /* per session; compare with identity_form_token_ok */
  int64_t expires_at;
};
struct actor *actor_copy(const struct actor *a);
void actor_free(struct actor *a);
bool actor_has_role(const struct actor *a, const char *organisation, int role);  /* organisation NULL: anywhere */
bool actor_in(const struct actor *a, const char *organisation);                  /* any role there */
/* For whom a form is filled in: the principal where that is a person, else oneself. */
const char *actor_national_id(const struct actor *a);

/* What a route row may demand of its caller; cases and desks judge the rest. */
#define PERMISSION_TABLE(X) X(PERMIT_ALL) X(PERMIT_SESSION) X(PERMIT_CITIZEN) X(PERMIT_STAFF) X(PERMIT_AGENT) X(PERMIT_OPERATOR) \
  X(PERMIT_MANAGER) /* of any organisation, or an operator */ X(PERMIT_AUDIT) /* these and auditors */
enum permission {
#define X(name) name,
  PERMISSION_TABLE(X)
#undef X
};

struct identity;
struct identity_options {
  const unsigned char *secret;         /* 32 bytes: pseudonymous keys, form tokens */
  int otp_seconds, session_seconds;    /* 0: 120 and 28800 */
  bool secure_cookie;
  int limit_factor;                    /* multiplies every limit by address, telephone and identifier (demonstrations); 0: 1 */
  /* Send a one-time code or a notice; wired by app to notify. lang for the text. Must not block (queues). */
  int (*send)(void *ctx, const char *mobile, const char *text, struct err *err);
  void *send_ctx;
  /* Is this telephone known to belong to this person? 1 yes, 0 no, -1 not to be told now. Asked after a right code, outside any
   * transaction: yes makes the session sim_matched. NULL: nobody knows. */
  int (*telephone)(void *ctx, const char *national_id, const char *mobile, struct err *err);
  void *telephone_ctx;
};
int identity_open(struct store *main, struct store *fast, const struct identity_options *o, struct identity **out, struct err *err);
void identity_close(struct identity *i);

/* ---- citizens ------------------------------------------------------------------------- */
/* Begin: the same answer whoever asks (also for limits by telephone that are silently over). challenge: 32 hex digits.
 * Waits for the store: worker routes. At most 10 in 10 minutes by address; 3 in 10 minutes by telephone and 6 an hour by identifier, silently.
 * ERR_INVALID when the identifiers cannot be right (field in err->message: "national_id" or "mobile"), ERR_RATE by address. */
int identity_otp(struct identity *i, const char *national_id, const char *mobile, const char *address, enum lang l,
                 char challenge[40], int *expires_in, struct err *err);
/* Finish: at most 5 tries a challenge (UPDATE … WHERE tries < 5 RETURNING). Token: 43 base64url characters. ERR_UNAUTHENTICATED, ERR_RATE. */
int identity_otp_verify(struct identity *i, const char *challenge, const char *code, const char *address,
                        char token[64], int *expires_in, struct err *err);

/* How well it is known that a telephone is this person's: claimed, sim_matched (on record) or counter (bound); claimed where nobody can be asked. */
enum assurance identity_pair_assurance(struct identity *i, const char *national_id, const char *mobile);

/* ---- codes that other rooms keep ------------------------------------------------------- */
/* A one-time code for another purpose than signing in: challenge and code in the clear, and what may be kept of them. */
void identity_code_make(const struct identity *i, char challenge[40], char code[8], char digest[65], char mac[65]);
/* The same of what was typed; what cannot be a code gets a mac that no code has. False when the challenge cannot be one. */
bool identity_code_read(const struct identity *i, const char *challenge, const char *code, char digest[65], char mac[65]);
/* Send a text at once, as a one-time code is sent. ERR_UNAVAILABLE when there is no way. */
int identity_tell(struct identity *i, const char *mobile, const char *text, struct err *err);
/* A keyed digest of what must not be kept in the clear (telephones of consents). */
void identity_blind(const struct identity *i, const char *kind, const char *text, char out[65]);

/* ---- telephones bound at a counter ------------------------------------------------------ */
#define BOUND_DAYS 365
/* Inside work of the main store: from now on whoever signs in with this pair is `counter` assured, for BOUND_DAYS. Bound again: from anew.
 * who: the agent; told: mobiles of this person that were bound before (array of texts, new reference). */
int identity_bind(struct store_tx *tx, const struct identity *i, const char *national_id, const char *mobile, const struct actor *who,
                  const char *organisation, const char *tracking, json_t **told, struct err *err);
/* What is bound: to a citizen (assured above `claimed`: all of theirs, else the telephone of the session), or by an organisation (those whose supervisor or
 * manager the caller is): [{"id","mobile" (masked for staff),"agent","organisation","office","tracking","at","expires_at","ended_at","ended_by"}], newest first, 200 at most. */
int identity_bound(struct identity *i, const struct actor *who, const char *organisation, json_t **out, struct err *err);
/* Inside work of the main store: end one binding that is the caller's to end. tracking and mobile of it; *was: it had ended already.
 * ERR_NOT_FOUND what is another's. Afterwards identity_unbound() ends what its sessions had by it. */
int identity_unbind(struct store_tx *tx, const struct identity *i, const struct actor *who, const char *id, char tracking[40], char mobile[16], bool *was,
                    struct err *err);
int identity_unbound(struct identity *i, const char *mobile, struct err *err);

/* ---- staff ----------------------------------------------------------------------------- */
/* From which office a member of staff works ("": from none in particular); whether it is theirs the caller judges. */
int identity_office_set(struct identity *i, const char *username, const char *office, struct err *err);
/* Password 10 to 200 characters (8 known-bad ones refused). Adding a known username adds the role and keeps the password unless one is given. */
int identity_staff_add(struct identity *i, const char *username, const char *name, const char *password,
                       const char *organisation, int role, struct err *err);
/* Which citizen a member of staff is: they decide no case of their own then, nor of somebody they hold a mandate for. ERR_INVALID, ERR_NOT_FOUND. */
int identity_staff_is(struct identity *i, const char *username, const char *national_id, struct err *err);
/* Inside work of the main store: 1 and the key of the person, 0 when it is not known, -1. */
int identity_staff_person(struct store_tx *tx, const char *username, char person[72], struct err *err);
/* Many at once with one password (demonstrations): one hash, one transaction. Names as in identity_staff_add; who has an account already gets this password. */
struct identity_member { const char *username, *name, *organisation; int role; };
int identity_staff_many(struct identity *i, const struct identity_member *members, size_t count, const char *password, struct err *err);
/* Take one role away; organisation NULL: the person leaves, all roles, the password and the sessions end. ERR_NOT_FOUND. */
int identity_staff_remove(struct identity *i, const char *username, const char *organisation, int role, struct err *err);
int identity_staff_totp(struct identity *i, const char *username, char secret_base32[64], struct err *err); /* enrol: new secret */
/* argon2id 19 MiB, at most two at once; the same time for unknown names; locked for growing times after 5 wrong ones. Blocks: worker routes only. */
int identity_password(struct identity *i, const char *username, const char *password, const char *totp, const char *address,
                      char token[64], int *expires_in, struct err *err);
/* All staff of an organisation (NULL: all): [{"username","name","organisation","role"}] */
int identity_staff(struct identity *i, const char *organisation, json_t **out, struct err *err);

/* Inside work of the main store: 1 when this person handles cases of the organisation (officer, supervisor or manager), 0 when not. */
int identity_handles(struct store_tx *tx, const char *username, const char *organisation, struct err *err);
/* Inside work of the main store: fill out as this member of staff with the roles that they have in one organisation, and none elsewhere. 0, -1. */
int identity_member_in(struct store_tx *tx, const char *username, const char *organisation, struct actor *out, struct err *err);

/* Inside work of the main store: 1 when the organisation has this unit and it is in use, 0 when not. */
int identity_unit_there(struct store_tx *tx, const char *organisation, const char *unit, struct err *err);

/* ---- administration ---------------------------------------------------------------------- */
/* What may be done to an account. Each is an act ("staff_" and its name) and a leaf of the ledger. */
#define STAFF_CHANGE_TABLE(X)                                                                                                     \
  X(CHANGE_ADD, "add") X(CHANGE_ADD_ROLE, "add_role") X(CHANGE_REMOVE_ROLE, "remove_role") X(CHANGE_UNIT, "unit")                 \
  X(CHANGE_DISABLE, "disable") X(CHANGE_ENABLE, "enable") X(CHANGE_LEAVE, "leave") X(CHANGE_RESET, "reset")                       \
  X(CHANGE_TOTP_OFF, "totp_off") X(CHANGE_END_SESSIONS, "end_sessions")
enum staff_change_kind {
#define X(name, text) name,
  STAFF_CHANGE_TABLE(X)
#undef X
};
int staff_change_parse(const char *text);            /* -1 when unknown */
struct staff_change {
  /* in: organisation and role for add, add_role and remove_role; organisation and unit ("" none) for add and unit; name for add */
  enum staff_change_kind kind;
  const char *username, *name, *organisation, *unit;
  int role;
  /* out */
  char password[32];           /* add of a new account, reset: to be shown once, changed at the first sign-in; else "" */
  const char *field, *detail;  /* what was wrong, and a word key that says so to a person; or NULL */
};
/* by: an operator, for everybody; or a manager, for people whose every role is in organisations that they manage and who are neither
 * operator nor auditor. Others answer ERR_NOT_FOUND. A manager gives no role of these two (ERR_FORBIDDEN). The last manager of an organisation,
 * the last operator and one's own last role stay (ERR_CONFLICT). That the organisation exists is the caller's to know. Blocks: worker routes. */
int identity_change(struct identity *i, const struct actor *by, struct staff_change *c, struct err *err);
/* End every session of an organisation's staff, or (organisation NULL, operators alone) of all staff but `by`. */
int identity_end_all(struct identity *i, const struct actor *by, const char *organisation, int64_t *ended, struct err *err);
struct staff_query { const char *organisation, *unit, *q, *after; int limit; }; /* NULL: any; limit 1–200, 0: 50 */
/* {"items":[{"username","name","roles":[{"organisation","role"}],"units":{organisation: code},"disabled","must_change","totp","last_seen"}],"next"}:
 * an operator's or auditor's: all; a manager's: of organisations that they manage (ERR_NOT_FOUND for another). */
int identity_members(struct identity *i, const struct actor *by, const struct staff_query *q, json_t **out, struct err *err);
int identity_member(struct identity *i, const struct actor *by, const char *username, json_t **out, struct err *err); /* one of these */
bool identity_manages(const struct actor *by, const char *organisation);             /* manager there, or an operator */

/* Units: [{"code","name":{"fa","en"},"members","closed"}]; closed ones come last. For any caller: who may see them is the channel's. */
int identity_units(struct identity *i, const char *organisation, json_t **out, struct err *err);
struct unit_change { const char *organisation, *code, *name_fa, *name_en; bool closed; const char *field, *detail; };
/* Make or rename a unit, or close it (nobody may be in it then: ERR_CONFLICT). code: [a-z][a-z0-9-]*, 40 at most; names 1–120 characters. */
int identity_unit_put(struct identity *i, const struct actor *by, struct unit_change *c, struct err *err);

/* ---- one's own account (members of staff) -------------------------------------------------- */
/* Ends one's other sessions and answers a new one. ERR_UNAUTHENTICATED when old is wrong; ERR_INVALID when the new one may not be (or is the old). */
int identity_own_password(struct identity *i, const struct actor *who, const char *old, const char *password, const char *address, char token[64],
                          int *expires_in, const char **detail, struct err *err);
/* A second factor: shown, then confirmed by one of its codes. The password is asked for. */
int identity_own_totp(struct identity *i, const struct actor *who, const char *password, const char *address, char secret_base32[64], struct err *err);
int identity_own_totp_confirm(struct identity *i, const struct actor *who, const char *code, struct err *err); /* ERR_INVALID: wrong; ERR_NOT_FOUND: none shown */
int identity_own_totp_off(struct identity *i, const struct actor *who, const char *password, const char *address, struct err *err);
int identity_own(struct identity *i, const struct actor *who, bool *totp, bool *pending, struct err *err);

/* ---- acts ---------------------------------------------------------------------------------- */
/* who: a username, "console" (a command of this machine) or "system". detail is borrowed, may be NULL and holds nothing of citizens.
 * Kinds are [a-z_]; the words "web.act_<kind>" show them. */
struct act { const char *kind, *who, *organisation, *subject; json_t *detail; };
int identity_act_put(struct store_tx *tx, const struct act *a, struct err *err);     /* inside work of the main store */
int identity_act(struct identity *i, const struct act *a, struct err *err);          /* by itself: durable when it returns */
/* For ledger verify: the digest made of the row; -1 when there is none. */
int identity_act_digest(struct store_tx *tx, const char *id, unsigned char digest[32], struct err *err);
struct act_query { const char *organisation, *person, *kind, *after; int64_t from, to; int limit; }; /* NULL, 0: any; person: did it or had it done; limit ≤ 500 */
/* {"items":[{"id","at","kind","organisation","who","subject","detail"}],"next"}, newest first. Who may see them is the channel's to judge. */
int identity_acts(struct identity *i, const struct act_query *q, json_t **out, struct err *err);

/* ---- sessions --------------------------------------------------------------------------- */
/* Fill *out from a token (cached five seconds at most). 0 found, 1 no such session (out->kind = ACTOR_NOBODY), -1 error. */
int identity_session(struct identity *i, const char *token, struct actor *out, struct err *err);
int identity_logout(struct identity *i, const char *token, struct err *err);
int identity_logout_user(struct identity *i, const char *username, struct err *err); /* end all sessions of a member of staff */
bool identity_form_token_ok(const struct actor *a, const char *given);               /* constant time */
/* A form token for people without a session (drafts, sign-in): bound to a random cookie value. */
void identity_anonymous_token(const struct identity *i, const char *cookie, char out[48]);

/* Keys of persons for cases, whatever the way in. */
void identity_person_key(const struct identity *i, const char *national_id, char out[72]);
void identity_pair_key(const struct identity *i, const char *national_id, const char *mobile, char out[72]);

/* ---- limits ------------------------------------------------------------------------------ */
/* Token bucket in memory, per process: false when `key` has used more than `most` (times limit_factor) in `seconds`. Bounded memory
 * (longest unused forgotten). For IPv6 addresses with kind "address…" the first 64 bits count. */
bool identity_limit(struct identity *i, const char *kind, const char *key, int most, int seconds);

#endif
