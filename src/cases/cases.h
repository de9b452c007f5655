/*
 * cases: the case engine. Events, states, deadlines, inquiries, effects. Layer 3; includes base, language, store, trust, directory,
 * identity, catalog. Thread-safe.
 *
 * A case is an append-only list of events under one service version; the row in `cases` is what the events say, kept by
 * cases_set_state() alone. Every event is a leaf of the ledger. A transaction touches one case; what happens elsewhere
 * (child cases, notices, registry records) travels by the outbox and is applied once by event id.
 */
#ifndef CHAPAR_CASES_H
#define CHAPAR_CASES_H

#include "base/base.h"
#include "catalog/catalog.h"
#include "identity/identity.h"
#include "store/store.h"
#include "trust/trust.h"

#define TRACKING_SIZE 17

struct cases;
/* What an approved request for data asks for: a data service of the pack, names of its attributes, and for how long (0: not said). */
struct case_grant { const char *event, *tracking, *asking, *service, *purpose, *basis; const json_t *attributes; int months; };
struct cases_options {
  const unsigned char *secret;      /* 32 bytes: tracking codes */
  const char *node;                 /* name of this process, for leases */
  struct identity *identity;        /* keys of persons, names of staff */
  /* Ports wired by app. notify: queue a message inside the transaction (text is ready); key makes it once only. to: a mobile, or a mail
   * address, then with a subject. */
  int (*notify)(void *ctx, struct store_tx *tx, const char *key, const char *to, enum lang l, const char *subject, const char *text, struct err *err);
  /* messages: append those whose keys lie between two: {"key","channel","to"(masked),"text","state","at","error"}. sent: the newest few that end
   * with the same words as a text of people: {"key","at"}. Either may be NULL: nothing is known. */
  int (*messages)(void *ctx, struct store_tx *tx, const char *from, const char *to, json_t *list, struct err *err);
  int (*sent)(void *ctx, struct store_tx *tx, const char *text, json_t *list, struct err *err);
  void *notify_ctx;
  int (*record)(void *ctx, struct store_tx *tx, const char *registry, const char *event, json_t *attributes, const char *tracking, struct err *err);
  void *record_ctx;
  /* grant: an approved request for data gives a right, inside the transaction and once by event; NULL: rights are not given. */
  int (*grant)(void *ctx, struct store_tx *tx, const struct case_grant *k, struct err *err);
  void *grant_ctx;
  /* prefill: what other organisations know of a service's fields about this person, given the answers so far, for a case (its tracking code; NULL: a form that
   * is being filled in):
   * {"field":{"value","organisation","registry","refuse","key"?}}; "key": the answer by which it was found; "why" in the place of "value": it could not be
   * asked ("refused", "stopped" or "unreachable"). It may wait for other machines. NULL: nothing is known. */
  int (*prefill)(void *ctx, const struct service *s, const char *national_id, const json_t *answers, const char *tracking, json_t **out, struct err *err);
  void *prefill_ctx;
  /* known: what one attribute of a registry says of a key; *value new reference, NULL when nothing is recorded. NULL: nobody can be asked. */
  int (*known)(void *ctx, const char *registry, const char *key, const char *attribute, json_t **value, struct err *err);
  void *known_ctx;
  /* exports: files in bulk, beside those of cases, that had data of this person; appended to a list of looks as case_exports_of does. NULL: there are none. */
  int (*exports)(void *ctx, struct store_tx *tx, const char *person, int64_t at, const char *id, enum lang l, json_t *items, struct err *err);
  void *exports_ctx;
  /* scan: is there anything harmful in a document? 0 no; 1 yes, found names it; -1: nobody can tell now. NULL: nothing is scanned. From workers. */
  int (*scan)(void *ctx, const void *p, size_t n, char found[80], struct err *err);
  void *scan_ctx;
  /* Both inside the transaction. certificate: the case has closed and its service gives certificates; forget: it is erased. Either may be NULL. */
  int (*certificate)(void *ctx, struct store_tx *tx, const char *tracking, int64_t at, struct err *err);
  int (*certificate_forget)(void *ctx, struct store_tx *tx, const char *tracking, struct err *err);
  void *certificate_ctx;
};
int cases_open(struct store *s, struct trust *t, struct pack *p, const struct cases_options *o, struct cases **out, struct err *err);
/* Without pack, keys or calendars: for cases_leaf_digest, cases_verify and the notes alone. */
struct cases *cases_reader(struct store *s);
void cases_close(struct cases *c);
void cases_mute(struct cases *c);  /* no notices and no certificates from now on: a simulated past tells nobody */
struct pack *cases_pack(const struct cases *c); /* the one that is served now; whoever asks keeps it until cases_close */

/* ---- packs that were served ------------------------------------------------------------------ */
/* A case is read under the text of its service version that it began with. Begin to serve the pack that was given to cases_open: its files
 * (read again from folder) are kept, and old packs that open cases need are compiled. A version under which requests have begun must not
 * change its text: every such change is told by report with its place and ERR_CONFLICT is answered; with demo it is a warning, the
 * earlier requests keep the earlier text and new ones have the new. report may be NULL. */
int cases_keep_pack(struct cases *c, const char *folder, bool demo, const struct pack_report *report, struct err *err);
/* Serve p from now on, without a stop: the pack of before with definitions added to it. Its files, in folder, are kept first. Whoever has the pack
 * of before goes on with it: it lives until cases_close, and p numbers the same organisations and places. Jobs alone, one at a time. ERR_CONFLICT: p
 * lacks something that is served or a version began under another text; ERR_LIMIT: so many packs were taken up that a start is due. */
int cases_serve_pack(struct cases *c, struct pack *p, const char *folder, struct err *err);
/* The definition that a view of cases_get (or an item of a list) was made with, and the pack that it stands in; both live until cases_close.
 * NULL when there is none. */
const struct service *cases_definition(struct cases *c, const json_t *view, const struct pack **pack);
/* Every pack that was served, oldest first: [{"hash","code","first_served","last_served","cases","open"}]; cases: requests that began under a
 * text that it has. Also for cases_reader, as the next. */
int cases_packs(struct cases *c, json_t **out, struct err *err);
/* Write a recorded pack into a new or empty folder, byte for byte. hash: how it begins; NULL: the one served last. out: its whole hash. */
int cases_pack_export(struct cases *c, const char *hash, const char *folder, char out[65], struct err *err);

enum intake { INTAKE_WEB, INTAKE_APP, INTAKE_API, INTAKE_USSD, INTAKE_SMS, INTAKE_COUNTER, INTAKE_PAPER };
const char *intake_text(enum intake i);

/* What a case had become elsewhere, before it came here. */
struct case_imported {
  const char *number;               /* by which it was known */
  int state;                        /* index in its service */
  int64_t closed_at;                /* 0: it is open */
  const char *comment, *letter_no, *letter_date; /* "" when there is none */
};

/* ---- the counter: an agent files for a person who cannot ------------------------------------------ */
enum case_consent { CONSENT_NONE, CONSENT_CODE, CONSENT_SLIP, CONSENT_KEPT };
const char *consent_text(enum case_consent k);
/* Documents of identity that an agent may have seen. */
extern const char *const counter_papers[];
extern const size_t counter_paper_count;

/* Who stands at the counter, what they consented to, and what the agent saw of them. */
struct case_counter {
  const char *national_id, *mobile; /* canonical, or NULL: as answered in the form. The mobile is where the code goes */
  enum case_consent consent;
  const char *challenge, *code;     /* CONSENT_CODE: of cases_consent_ask */
  const char *number;               /* of the slip (cases_slip): CONSENT_KEPT demands it, and then that it lies in the office's folder */
  const char *document;             /* CONSENT_SLIP: the scan of the signed slip, sent by this agent */
  const char *seen, *digits;        /* one of counter_papers and its last digits or serial (4 to 20 characters); NULL: none was seen */
  bool bind;                        /* bind the telephone to the person: demands a code and a document seen */
};
enum consent_purpose { CONSENT_TO_FILE, CONSENT_TO_KNOW, CONSENT_TO_SEE, CONSENT_TO_MANDATE };
/* What somebody is asked to consent to. FILE: service, data (canonical) and the person; KNOW: that registries fill in this service's form for
 * the person; SEE: that the caller reads the case (and acts for its citizen where the workflow lets agents) for half an hour; MANDATE: without a
 * case, that the caller sees the person's mandates and files under them for half an hour; with tracking, action and title, that one step. */
struct case_asking {
  enum consent_purpose purpose;
  const struct service *service;
  const json_t *data;
  const char *national_id, *mobile;
  const char *tracking;
  const char *action, *title;
};
/* Send a code to the person's telephone with a text that says who asks for what. challenge: 32 hex digits. For agents; SEE also for the helpdesk.
 * ERR_INVALID with the member in err->message ("national_id", "mobile"; "own": an agent asks for themself); ERR_RATE: too many codes for a telephone, or too many wrong ones
 * by the caller; ERR_NOT_FOUND no such case, ERR_CONFLICT a case without telephone; ERR_FORBIDDEN for others. Waits; worker routes. */
int cases_consent_ask(struct cases *c, const struct actor *who, const struct case_asking *a, enum lang l, char challenge[40], int *expires_in, struct err *err);
/* Is this national id the agent's own? An agent who needs a service files it as everybody does, or another agent does. 1, 0, -1. */
int cases_counter_own(struct cases *c, const struct actor *who, const char *national_id, struct err *err);
/* The code of KNOW or SEE, typed by who asked for it. ERR_UNAUTHENTICATED wrong, ERR_RATE spent. Waits. */
int cases_consent_give(struct cases *c, const struct actor *who, const struct case_asking *a, const char *challenge, const char *code, struct err *err);
/* A slip to be signed, for FILE: its number (10 digits, the last a check digit). Waits. */
int cases_slip(struct cases *c, const struct actor *who, const struct case_asking *a, char number[16], struct err *err);
/* May the registries be asked for this person's form: was KNOW given within two hours (or MANDATE, when a->purpose is that, within half an hour), and
 * is the telephone known to be theirs? Fills *as, the person as whom they are asked. 1, 0, -1. */
int cases_counter_knows(struct cases *c, const struct actor *who, const struct case_asking *a, struct actor *as, struct err *err);
/* Cases that the caller, or colleagues of the same office, filed in the last 30 days: public facts, the person's identifier masked.
 * {"items":[{…,"applicant","consent","agent"}],"next"} */
int cases_counter_list(struct cases *c, const struct actor *who, const char *after, int limit, enum lang l, json_t **out, struct err *err);
/* Codes of the services that the caller's office files most: ["…"], at most 8. */
int cases_counter_favourites(struct cases *c, const struct actor *who, json_t **out, struct err *err);
/* For supervisors, managers (of that organisation) and auditors: what its agents filed in the last `days`, by office and agent:
 * {"items":[{"office","agent","cases","code","slip","kept","seen","refused"}]} */
int cases_counter_figures(struct cases *c, const struct actor *who, const char *organisation, int days, json_t **out, struct err *err);
/* How a case was filed, for its receipt and for whoever may read it: {"agent","office","organisation","consent","number"}; ERR_NOT_FOUND. */
int cases_counter_filed(struct cases *c, const struct actor *who, const char *tracking, json_t **out, struct err *err);
/* May this agent say that they work from the office (index in the directory)? It is one of their organisation's. */
bool cases_counter_office(struct cases *c, const struct actor *who, int office);
/* End a telephone's binding (see identity_bound): an event of the case that it came with. ERR_NOT_FOUND what is not the caller's to end. */
int cases_unbind(struct cases *c, const struct actor *who, const char *id, struct err *err);

/* ---- submitting --------------------------------------------------------------------------- */
struct case_submission {
  /* in: must live until done */
  const struct service *service;
  json_t *data;                     /* canonical, from service_validate; borrowed */
  const char *key;                  /* Idempotency-Key, 1–200 characters */
  const char *body;                 /* what the caller sent, hashed to tell repetition from reuse (canonical JSON of data is fine) */
  struct actor actor;
  const char *caller;               /* who repeats: session person, "ussd:<msisdn>", "anonymous:<address class>"… */
  enum intake intake;
  enum lang lang;
  bool latin;                       /* tell them in Persian with Latin letters */
  const char *mail;                 /* where they want to be told as well (a canonical address), or NULL: by an answer that is one */
  int64_t at;                       /* 0: now (simulate gives others) */
  const char *parent, *inquiry;     /* child case of an inquiry, else NULL */
  const char *owner;                /* organisation, for child cases; else NULL: the service's */
  const struct case_imported *imported; /* NULL but for cases_import */
  const struct case_counter *counter; /* an agent's submission demands it, but for services of staff; else NULL */
  bool promised;                    /* sign the receipt's promise beforehand, beside the writer's work; false after a repetition */
  /* out */
  char tracking[TRACKING_SIZE];
  bool repeated;                    /* this key had already made it: same answer */
  int64_t version, submitted_at;
  const char *state;
  int32_t due_norm, due_legal;      /* days; INT32_MIN when none */
  unsigned char leaf_hash[TRUST_HASH], signature[TRUST_SIGNATURE];
  json_t *errors;                   /* new reference or NULL: with ERR_INVALID, answers unlike what is known and may not be changed, or not about the
                                       principal, or a consent that is missing, wrong or for something else */
  const char *detail;               /* word key of a sentence for the person, or NULL */
};
/* Queue it; done(arg, rc, err) after it is durable (see store.h; on the writer's thread). With done NULL it waits.
 * Errors: ERR_KEY_REUSED, ERR_CONFLICT (one open case per person), ERR_INVALID, ERR_UNAVAILABLE, ERR_OUTCOME_UNKNOWN. */
int cases_submit(struct cases *c, struct case_submission *s, store_done_fn done, void *arg, struct err *err);
/* For answers that are not valid (any more): was this key used with this body? Fills what comes out as cases_submit does for a repetition.
 * In: service, key, body, caller. ERR_NOT_FOUND: the key is free; ERR_KEY_REUSED: with another body. done as there. */
int cases_submitted_before(struct cases *c, struct case_submission *s, store_done_fn done, void *arg, struct err *err);
/* What was typed as a mail address, canonical (arena-owned); NULL when it is none. */
const char *cases_mail_address(struct cases *c, const char *typed, struct arena *a);
/* The contract's answer: {"tracking","state","version","submitted_at","due","receipt"} new reference. */
json_t *cases_submitted(struct cases *c, const struct case_submission *s);

/* ---- acting --------------------------------------------------------------------------------- */
struct case_act {
  /* in */
  char tracking[TRACKING_SIZE];
  const char *action;
  const char *comment, *reason;     /* reason: code of the action's list; may be NULL */
  json_t *data;                     /* raw; validated inside with action_validate; may be NULL */
  int64_t expected_version;         /* -1: whatever it is (jobs only) */
  const char *key;                  /* Idempotency-Key or NULL */
  struct actor actor;
  enum lang lang;
  int64_t at;                       /* 0: now */
  struct arena *arena;              /* for messages; may be NULL */
  /* out */
  bool repeated;
  int64_t version;
  json_t *errors;                   /* new reference or NULL, when ERR_INVALID */
  const char *detail;               /* word key of a sentence for the person, or NULL */
};
/* ERR_NOT_FOUND what is another's; ERR_FORBIDDEN what is not allowed; ERR_CONFLICT moved on, or no such action in this state. */
int cases_act(struct cases *c, struct case_act *a, store_done_fn done, void *arg, struct err *err);

/* Documents go with any action as data.documents (ids of cases_document_put, at most CASES_ATTACHED_MOST), belong to the case from then on and
 * are seen wherever the event is. The action add_documents does nothing else: the applicant, the agent who filed it and the office may do it
 * while the case is open, in whatever state and version it is. An action whose own fields have that name has no others. */
#define CASES_ATTACHED "documents"
#define CASES_ATTACHED_MOST 10
const struct action *cases_action(const struct service *s, int state, const char *name); /* of the workflow, or add_documents; NULL */
const struct field *cases_attached(const struct action *act);                            /* (NULL: the answer to an inquiry) the question for them; NULL: the action has its own */

/* ---- reading --------------------------------------------------------------------------------- */
/* What the caller may see of a case: everybody {"tracking","service","service_version","definition","organisation","state","state_title","submitted_at","due"};
 * its citizen or its staff also data, events, actions allowed now ("actions":[{"name","title","reason","reasons","fields"}]), applicant,
 * beneficiary, submitted_by, intake, assurance, owner, provider, holder, version, clock{…}, children, plain (sentence).
 * helpdesk sees personal fields masked; an inquired organisation sees what it is asked. Also "etag". ERR_NOT_FOUND. */
int cases_get(struct cases *c, const struct actor *who, const char *tracking, enum lang l, json_t **out, struct err *err);
/* Only everybody's view, as ready JSON text with its ETag: the fast path. body is malloc'ed. Kept for a second where nothing changes;
 * a change through this process shows at once, one through another node within that second. */
int cases_public(struct cases *c, const char *tracking, enum lang l, char **body, size_t *n, char etag[80], struct err *err);
/* The same when it is in memory: never waits. */
bool cases_public_kept(struct cases *c, const char *tracking, enum lang l, char **body, size_t *n, char etag[80]);
/* {"items":[…],"next"} with ledger indices, from the event after seq `after` on, at most `limit`. *right, where it is asked for: as which the
 * caller read it, as in the member "right" of a case; NULL as everybody. */
int cases_events(struct cases *c, const struct actor *who, const char *tracking, int64_t after, int limit, enum lang l, json_t **out, const char **right,
                 struct err *err);
int cases_receipt(struct cases *c, const char *tracking, json_t **out, struct err *err);
/* CASE_COUNTER: masked, for the office that filed it; CASE_CONSENT: what its citizen sees, by their code. */
enum case_right { CASE_PUBLIC, CASE_CITIZEN, CASE_INQUIRED, CASE_HELPDESK, CASE_STAFF, CASE_AUDITOR, CASE_COUNTER, CASE_CONSENT };
/* Its name as in the member "right" of a case ("mandate" for who acts for the citizen); NULL for everybody. */
const char *cases_right_name(const struct actor *who, enum case_right right);
/* Record that somebody looked (staff and agents); durable before the answer. done as in cases_submit. */
int cases_look(struct cases *c, const struct actor *who, const char *tracking, const char *right, store_done_fn done, void *arg, struct err *err);

/* ---- what a case came to ------------------------------------------------------------------------ */
struct case_outcome {
  const char *tracking, *service, *owner, *mobile; /* live in the arena */
  const char *data;                  /* the answers as canonical JSON; NULL when erased */
  const struct service *def;         /* what the case began under, and the pack that it stands in; NULL when no pack can be read */
  struct pack *pack;
  enum result result;
  enum lang lang;                    /* that its applicant used */
  int64_t version;
  int64_t decided_at;                /* when it came into its state, and the leaf of that event */
  unsigned char decision[TRUST_HASH];
  char holder_masked[32];            /* the id of whom it is about, masked; "" when there is none */
  enum case_right right;             /* of who */
  int heads;                         /* STAFF_SUPERVISOR or STAFF_MANAGER when who is that in the organisation that owns the case, else 0 */
};
/* Inside a read or work. who NULL: nobody's rights are judged. Nothing is hidden here: the caller judges by `right`. ERR_NOT_FOUND. */
int cases_outcome(struct cases *c, struct store_tx *tx, struct arena *a, const struct actor *who, const char *tracking, struct case_outcome *out, struct err *err);
/* Inside work: an event of the case that changes neither state nor clocks, with its leaf. action: a name with the word case.event.NAME. Takes payload;
 * its members reason (a code) and comment are shown as those of other events. ERR_CONFLICT when the case is erased. */
int cases_enter(struct cases *c, struct store_tx *tx, const struct actor *who, const char *tracking, const char *action, json_t *payload, int64_t at, struct err *err);

/* ---- what other organisations know ------------------------------------------------------------ */
/* For a citizen at sim_matched or better: {"data":{field: value},"sources":[{"field","organisation","organisation_name","registry",
 * "correctable","key"?}],"missing":[the same with "why": could not be asked now]}, recorded for the citizen to see (basis "prefill") and durable before it is answered. Answers about somebody
 * else (another id in the applicant's field) get nothing. At the submission the engine compares for itself: the event names the sources.
 * ERR_UNAUTHENTICATED, ERR_FORBIDDEN below sim_matched (then the form asks as before). Waits for the store and for other machines: worker routes. */
int cases_prefill(struct cases *c, const struct actor *who, const struct service *s, const json_t *answers, enum lang l, json_t **out, struct err *err);
/* Record that a member of staff saw these persons' (array of keys) records of a registry; durable when it returns. Waits. */
int cases_use(struct cases *c, const struct actor *who, const json_t *persons, const char *organisation, const char *registry, struct err *err);

/* ---- acting for somebody else -------------------------------------------------------------------- */
/* Let `who` act from now on for a principal (national id or legal id as typed; or NULL and the tracking code of a mandate): fills the acting_…
 * members of the actor. ERR_FORBIDDEN when no mandate is in force, or the session is below sim_matched. Waits for the store. */
int cases_act_for(struct cases *c, struct actor *who, const char *principal, const char *mandate, struct err *err);
/* {"given":[…],"received":[…]} of {"tracking","service","service_title","principal","attorney","scope":{"kind","code","title"},"until","since",
 * "ended","status": offered | in_force | ended | refused}; given and taken back by the actions of their requests. */
int cases_mandates(struct cases *c, const struct actor *who, enum lang l, json_t **out, struct err *err);

struct case_query {
  const char *organisation;         /* staff: demanded, one of the actor's */
  const char *state, *assignee, *service, *q, *after; /* NULL: any. assignee "none": unassigned; after: keyset from "next" */
  const char *unit;                 /* only what was referred to this unit of the organisation; NULL or "": any. Not together with state and assignee */
  int overdue;                      /* 1 only overdue, 0 only not, -1 any */
  int open;                         /* 1 open, 0 closed, -1 any */
  int soon;                         /* above 0: not late, and the legal limit is at most so many working days away */
  int stopped, appealed, escalated; /* 1: only where the clock stands; only where somebody has appealed; only what was escalated in its state now (one of the latter two) */
  int limit;                        /* 1–200, 0: 50 */
};
int cases_desk(struct cases *c, const struct actor *who, const struct case_query *q, enum lang l, json_t **out, struct err *err); /* {"items","next"}; to those who
 * handle cases there each item also tells the applicant's name, short, and whether documents came that the reader has not seen */
/* The open cases of a desk, counted in one look at the most urgent CASES_COUNTED: {"open","mine","free","soon","late","stopped","appealed","escalated",
 * "kinds":[{"service","service_version","definition","state"}]}; `soon` in working days. "open" is CASES_COUNTED when there are as many or more. */
#define CASES_COUNTED 2000
int cases_desk_counts(struct cases *c, const struct actor *who, const char *organisation, int soon, json_t **out, struct err *err);
/* The queues by name: open, mine, unit (one's own in the organisation), free, soon, late, escalated, waiting, appeals, closed. Fills overdue, open, soon, stopped, appealed, escalated and assignee of q, whose
 * organisation and narrowing (service, state, q) stay; false for another name. With words to search for (q) every case is looked through. */
#define CASES_SOON 3 /* working days */
bool cases_queue(const char *view, const struct actor *who, struct case_query *q);
/* Searches that are kept at a desk: {"id","name","shared","view","service","state","q","count"}; count: of the most urgent CASES_COUNTED open cases,
 * null for closed ones, units and words. One's own, and the desk's (shared), which supervisors and managers keep. Twenty of each at most.
 * Saving: name 1 to 60 characters; view and the filters, each may be NULL but view. ERR_INVALID, ERR_FORBIDDEN, ERR_LIMIT, ERR_NOT_FOUND. Waits. */
struct desk_search { const char *organisation, *name, *view, *service, *state, *q, *key; bool shared; char id[33]; };
int cases_search_keep(struct cases *c, const struct actor *who, struct desk_search *s, struct err *err);
int cases_search_drop(struct cases *c, const struct actor *who, const char *organisation, const char *id, struct err *err);
int cases_searches(struct cases *c, const struct actor *who, const char *organisation, json_t **out, struct err *err);
int cases_mine(struct cases *c, const struct actor *who, const char *after, int limit, enum lang l, json_t **out, struct err *err);
int cases_my_access(struct cases *c, const struct actor *who, const char *after, int limit, enum lang l, json_t **out, struct err *err);
/* The opinion of a case's citizen, once, after the decision. Each answer is kept as a number for sums (table case_rating). */
struct case_rating {
  /* in */
  const char *tracking;
  int score;                        /* 1 to 5 */
  const json_t *answers;            /* {"item": 1 to 5, or true and false} of the pack's survey, any of them; or NULL */
  const char *comment;              /* at most 2000 bytes, or NULL */
  /* out */
  const char *detail;               /* word key of a sentence for the person, or NULL */
  json_t *errors;                   /* new reference or NULL, when ERR_INVALID: fields "answers.ITEM" */
};
int cases_rate(struct cases *c, const struct actor *who, struct case_rating *r, enum lang l, struct err *err);
/* For telephones: which decided request of this mobile is asked about, the last one decided within 60 days whose service is rated:
 * {"tracking","service_title","service_latn","rating" (0: none yet)}, ERR_NOT_FOUND. And its score; by: "sms" or "ussd", said in the event. Whoever
 * holds the telephone of a request answers for it; errors as cases_rate. Wait; worker routes. */
int cases_to_rate(struct cases *c, const char *mobile, enum lang l, json_t **out, struct err *err);
int cases_rate_by_telephone(struct cases *c, const char *mobile, const char *tracking, int score, const char *by, struct err *err);
/* For a menu on an old telephone: newest cases of a mobile/person, public facts only. */
int cases_of_mobile(struct cases *c, const char *mobile, int limit, enum lang l, json_t **out, struct err *err);

/* ---- cases out, in bulk (export.c) ------------------------------------------------------------------ */
/* Managers of the organisation and auditors get the answers whole, the operator of the province gets what is personal masked; others
 * ERR_FORBIDDEN. ACTOR_SYSTEM is the command line. A run is an event of the ledger, and so is each of its pages before it is given: persons
 * find it in cases_my_access (basis "export"). What is asked of the organisation by others (inquiries) is left out. */
enum case_format { CASE_CSV, CASE_JSONL };
struct case_export_query {
  const char *organisation;         /* whose desk holds them */
  const char *service;              /* NULL: all; then the answers are one column of JSON */
  int64_t since, until;             /* submitted within [since, until); until 0: now */
  const char *after;                /* tracking code of the last case that was received before: go on behind it, without a head. NULL: from the first */
  enum case_format format;          /* CSV: with a byte order mark; no cell is a formula, identifiers are in groups of digits, so that they stay text */
};
struct cases_export;
int cases_export_open(struct cases *c, const struct actor *who, const struct case_export_query *q, struct cases_export **out, struct err *err);
/* The next few hundred cases as text, into text, which it initialises (the caller frees it). 1: there may be more, 0: that was all, -1. Waits. */
int cases_export_page(struct cases_export *e, struct buf *text, struct err *err);
int64_t cases_export_done(const struct cases_export *e, char last[TRACKING_SIZE]); /* how many so far; last ("": none), to go on after; may be NULL */
void cases_export_close(struct cases_export *e);
/* The same for whoever takes pages by a plain pointer: an error is logged, and -1. */
int cases_export_more(void *export, struct buf *text);
void cases_export_end(void *export);
/* The newest 50 runs of an organisation, for those who may export: [{"at","who","service","since","until","masked"}] */
int cases_exports(struct cases *c, const struct actor *who, const char *organisation, json_t **out, struct err *err);

/* ---- cases in, from before (import.c) ----------------------------------------------------------------- */
struct case_import {
  /* in */
  const struct service *service;
  bool dry;                                                              /* judge alone */
  enum lang lang;                                                        /* of messages */
  void (*line)(void *ctx, unsigned line, const char *message);          /* each mistake, at its line of the file */
  void (*progress)(void *ctx, size_t done, size_t all); void *ctx;      /* may be NULL */
  /* out */
  size_t rows, made, same, wrong;
};
/* CSV with a header row: number (by which the case was known: it is filed once), submitted_at, state, closed_at (for final states alone), comment,
 * letter_no, letter_date, and the fields of the service (documents are not taken; declarations need not be there). The whole file is judged
 * first: with one mistake nothing is written (ERR_INVALID). Then the cases are filed, hundreds in flight; run again, it goes on where it stopped.
 * Nobody is told, no effect follows; the event "import" says in the ledger what was brought and when, and the clock of what is open begins
 * then. Waits. */
int cases_import(struct cases *c, const char *data, size_t n, struct case_import *k, struct err *err);

/* ---- the desk's own ------------------------------------------------------------------------------ */
/* A remark for colleagues (1–4000 bytes; key 1–200 characters makes it once only): never shown to the citizen, a leaf of the ledger, erased
 * with the case. For those who handle the case; ERR_NOT_FOUND for others. Waits; worker routes. */
int cases_remark(struct cases *c, const struct actor *who, const char *tracking, const char *text, const char *key, struct err *err);
/* A remark, a call that was taken, or the number and date of a letter that came in; texts are repaired already. Kept as a remark of the case, or
 * (calls alone) without one at the desk of an organisation. Helpdesks note calls too. Bounds in bytes as checked: text 4000, promise 1000,
 * caller and from 400, number 200, telephone 40; date as date_parse takes it. ERR_INVALID, ERR_NOT_FOUND, ERR_FORBIDDEN. Waits. */
enum note_kind { NOTE_REMARK, NOTE_CALL, NOTE_INCOMING };
struct desk_note {
  enum note_kind kind;
  const char *tracking;                      /* NULL: a call without a case, then organisation */
  const char *organisation;
  const char *text, *key;
  const char *caller, *telephone, *promise;  /* of a call; may be NULL */
  const char *number, *date, *from;          /* of a letter that came in; may be NULL */
  const json_t *documents;                   /* ids that the author has sent: for colleagues alone; may be NULL; at most CASES_ATTACHED_MOST */
};
int cases_desk_note(struct cases *c, const struct actor *who, const struct desk_note *n, struct err *err);
/* Calls without a case at a desk, newest first, before a time (INT64_MAX: from the newest): [{"at","organisation","who","text",…}]. ERR_FORBIDDEN. */
int cases_desk_calls(struct cases *c, const struct actor *who, const char *organisation, int64_t before, int limit, json_t **out, struct err *err);
/* The most urgent open case of a desk that nobody has or `who` has, waits for the office and is not theirs to be judged; one that nobody has
 * is assigned to them where its state allows. after: a tracking code, to go on behind it; NULL: from the first. ERR_NOT_FOUND: none left.
 * ERR_CONFLICT: recorded as away. Two who ask at once get different cases. Waits; worker routes. */
int cases_next(struct cases *c, const struct actor *who, const char *organisation, const char *after, enum lang l, char tracking[TRACKING_SIZE], struct err *err);

/* ---- messages ------------------------------------------------------------------------------------- */
/* A gateway tells, inside its own transaction, that a message did not arrive for certain (state: failed, unclear, undeliverable), or did after
 * all. Keys of messages that are of no case are passed over. */
int cases_message_lost(struct cases *c, struct store_tx *tx, const char *key, const char *channel, const char *state, struct err *err);
int cases_message_arrived(struct cases *c, struct store_tx *tx, const char *key, struct err *err);
/* What was sent about a case, newest event first, as long as messages are kept: {"items":[{"at","channel","to"(masked),"text","state",
 * "state_title","action","title","undelivered","noted"?{"at","by","how"},"error"?}]}. For its citizen, its staff, auditors; *right as of
 * cases_events. ERR_NOT_FOUND. */
int cases_messages(struct cases *c, const struct actor *who, const char *tracking, enum lang l, json_t **out, const char **right, struct err *err);
/* Messages of a desk's cases that did not arrive and that nobody has seen to, newest first: {"items":[{"tracking","service","service_title",
 * "case_state_title","assignee","at","channel","state","state_title"}],"next"}. ERR_FORBIDDEN. */
int cases_undelivered(struct cases *c, const struct actor *who, const char *organisation, const char *after, int limit, enum lang l, json_t **out, struct err *err);
int64_t cases_undelivered_count(struct cases *c, const struct actor *who, const char *organisation); /* 1000: or more */
/* Somebody who handles the case has called the person (called) or seen that it did not arrive: what waited is settled, and a note says so.
 * text may be NULL. ERR_NOT_FOUND, ERR_CONFLICT when nothing waited. Waits. */
int cases_undelivered_note(struct cases *c, const struct actor *who, const char *tracking, bool called, const char *text, enum lang l, struct err *err);
/* Is a message ours? typed: its tracking code, its text, or how it ends. {"verdict","at"?,"tracking"?,"messages"?[{"at","channel","action"}],
 * "tracking_end"?}: link (never ours), sent (this very text, at), other (we wrote about this case, but not this), case (when we wrote about it),
 * none (nothing about it), like (a message that ends so was sent, newest at; tracking_end when it was one alone), unknown, more (too few
 * words). Tells nothing personal. */
int cases_message_check(struct cases *c, const char *typed, json_t **out, struct err *err);

/* ---- absence ---------------------------------------------------------------------------------------- */
/* From the first day to the last (local days), a deputy of the same organisation acts with the roles of who is away, in cases of that
 * organisation, and in their place (the event says "for"). The deputy is never the second pair of eyes on what they decided or prepared so, nor
 * where the absent one could not be. To whom is away nothing is assigned. It ends by itself; a leaf of the ledger (kind "desk") tells of it. */
struct absence {
  const char *organisation, *username; /* username NULL: oneself; another by supervisors and managers alone */
  const char *deputy, *key;
  int32_t from, until;                 /* not before today; at most 370 days */
  /* out */
  char id[33];
  const char *field, *detail;          /* what is wrong, and its word key; or NULL */
};
/* ERR_FORBIDDEN, ERR_INVALID (unknown people, days, an absence that overlaps, a deputy who is away or whoever is a deputy then). Waits. */
int cases_absence(struct cases *c, const struct actor *who, struct absence *a, struct err *err);
int cases_absence_end(struct cases *c, const struct actor *who, const char *id, struct err *err); /* now; ERR_NOT_FOUND, ERR_FORBIDDEN */
/* Now and to come: [{"id","username","deputy","from","until","recorded_by","now","may_end"}]. ERR_FORBIDDEN. */
int cases_absences(struct cases *c, const struct actor *who, const char *organisation, json_t **out, struct err *err);

/* ---- letters ------------------------------------------------------------------------------------------ */
/* A letter of a case, step by step; each step is a leaf of the ledger (kind "letter") and n of the steps is the revision.
 *   draft   data {"subject","body","attachments"?,"to"?}, or a template of the service and nothing: "to" is "citizen" or an organisation's code
 *   edit    the same; whatever was initialled before is void
 *   hand    data {"paraph":["role:supervisor","somebody",…]?,"sign":"role:manager"?}: who shall initial, in any order, and then sign. A template's
 *           roles come first; without one a supervisor's or manager's signature is free to choose
 *   paraph  initials of whoever is asked; return (data {"comment"}) gives it back to be edited
 *   sign    not by whoever drafted or edited it. The organisation's register gives the next number of the Jalali year, without gaps
 *   send    to the citizen (who sees it from now on, and is told) or to the organisation (whose desk sees it)
 *   drop    before it is signed, by its drafter or those in charge
 * Deputies initial and sign in the place of who is away, under the same rules. */
struct letter_step {
  char tracking[TRACKING_SIZE];
  const char *letter;                /* id; NULL for draft */
  const char *step, *template;       /* template of draft: a letter of the service; NULL: free text */
  json_t *data;                      /* borrowed; may be NULL */
  int64_t expected_revision;         /* of every step but draft */
  const char *key;                   /* of draft: makes it once. Another step repeated by the same person with the same revision is done already */
  struct actor actor;
  enum lang lang;
  /* out */
  char id[33], number[128];
  int64_t revision;
  bool repeated;
  json_t *errors;                    /* new reference or NULL, with ERR_INVALID */
  const char *detail;                /* word key of a sentence, or NULL */
};
/* ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_CONFLICT (moved on, or not in this status), ERR_INVALID. Waits; worker routes. */
int cases_letter(struct cases *c, struct letter_step *s, struct err *err);
/* Of a case, oldest first: [{"id","title","subject","status","status_title","number","date","recipient","revision"…}]; its citizen sees those sent to
 * them. ERR_NOT_FOUND. */
int cases_letters(struct cases *c, const struct actor *who, const char *tracking, enum lang l, json_t **out, struct err *err);
/* One of them, with "body", "attachments", for its desk also "steps", "turns" and "may" (steps that the caller can take now). An organisation that it
 * was sent to reads it too (tracking NULL). *right as in cases_events. ERR_NOT_FOUND. */
int cases_letter_get(struct cases *c, const struct actor *who, const char *tracking, const char *id, enum lang l, json_t **out, const char **right,
                     struct err *err);
/* {"waiting":[letters with "kind" "paraph" or "sign"],"received":[letters sent to this organisation]}. ERR_FORBIDDEN. */
int cases_letter_queue(struct cases *c, const struct actor *who, const char *organisation, enum lang l, json_t **out, struct err *err);
/* paper.c: sheets as PDF; *pdf is malloc'ed. address: absolute address of the case's page, for its QR code. A look has to be recorded before. */
/* The receipt of a request as a sheet. facts: what its page shows (code, service, owner, submitted, due_norm, due_legal, plain, leaf, leaf_hash, address and
 * filed {office, agent, consent, slip}), each may be missing. malloc'ed. */
int cases_receipt_pdf(struct cases *c, const json_t *facts, enum lang l, void **pdf, size_t *n, struct err *err);
int cases_letter_pdf(struct cases *c, const json_t *letter, const char *address, enum lang l, void **pdf, size_t *n, struct err *err);
/* The whole case for the archive or a court, out of a view of cases_get: answers, documents, history, letters, proof; remarks where asked for. */
int cases_folder_pdf(struct cases *c, const struct actor *who, const json_t *view, bool remarks, const char *address, enum lang l, void **pdf, size_t *n,
                     struct err *err);

/* ---- requests for data between organisations -------------------------------------------------------- */
/* Open ones, oldest first, for staff of any organisation: [{"tracking","asker","asker_name","service","title","provider","provider_name","state","state_title","holder",
 * "holder_name","escalated","since","days","due","overdue","waiting":[{"organisation","organisation_name","since","days","due","overdue"}]}]; waiting: who was asked
 * and is silent; due: a date. Reads all of them: worker routes. */
int cases_data_requests(struct cases *c, const struct actor *who, enum lang l, json_t **out, struct err *err);
/* For «who looked at my data»: another organisation was given data about these persons through the exchange. tracking: the case, where `issue` is one. Waits. */
struct case_shared { const json_t *persons; const char *asker, *client, *provider, *service, *grant, *issue; };
int cases_shared(struct cases *c, const struct case_shared *k, struct err *err);
/* Would a submission of this service ask other organisations (and so wait for them)? */
bool cases_asks_others(const struct cases *c, const struct service *s, const struct actor *who);

/* For what goes on by rule: open cases of a service at its owner's desk, in a state (NULL: any), at most 2,000, the most urgent first: [{"tracking","version","state","submitted_at" (ms),"data",
 * and of the last event of `action` (NULL: none): "said" (its data; null when erased),"said_at"}]. The caller has judged who may read this. Waits. */
int cases_at_state(struct cases *c, const char *owner, const char *service, const char *state, const char *action, json_t **out, struct err *err);

/* ---- calendars ---------------------------------------------------------------------------------- */
/* A closure (or opening) declared later: every open deadline of the calendar moves, as one event of the calendar (one leaf). */
int cases_calendar_close(struct cases *c, const struct actor *who, const char *calendar, int32_t day, const char *title_fa, const char *title_en,
                         bool closed, struct err *err);
int cases_calendar(struct cases *c, const char *calendar, json_t **out, struct err *err); /* {"calendar","weekend","version","closures":[…],"horizon"} */
/* Whose closures may this person declare? An operator every calendar's; a manager one that only organisations that they manage, or below
 * these, go by. For the channels to ask before cases_calendar_close. */
bool cases_calendar_mine(const struct cases *c, const struct actor *who, const char *calendar);
/* Is it a working day, with what was declared so far? From any thread. */
bool cases_calendar_works(struct cases *c, const char *calendar, int32_t day);
/* How many open cases' legal limits would get another date. Reads all open cases of the calendar: worker routes. */
int cases_calendar_preview(struct cases *c, const char *calendar, int32_t day, bool closed, int64_t *moves, struct err *err);
/* A Jalali month: {"year","month","weekday" (ISO, of its first day),"days":[{"number","date","closed","title_fa","title_en"}]} */
int cases_calendar_month(struct cases *c, const char *calendar, int year, int month, json_t **out, struct err *err);
int32_t cases_today(void);                                                                  /* local day of clock_now() */

/* ---- services that organisations define themselves --------------------------------------------- */
/* One file of a service (YAML, 256 KiB; its workflow inside it, or one of the pack; lists of the pack) beside the pack that is served. */
struct proposal_check {
  struct pack *pack;                 /* compiled with it, or NULL: mistakes */
  const struct service *service;     /* in that pack */
  char code[48];
  int version;
  json_t *mistakes;                  /* [{"file","line","message","ours"}] */
};
/* Compile; only the organisation's own codes, a higher version, a day to come, no registry of others. Free *out when 0 is answered. Some
 * seconds and the memory of a pack, one at a time (ERR_UNAVAILABLE): worker routes. */
int cases_proposal_check(struct cases *c, const char *organisation, const char *text, size_t n, struct proposal_check *out, struct err *err);
void proposal_check_free(struct proposal_check *out);
/* By a manager: checked and kept for approval. ERR_INVALID: check->mistakes say why (free *check in any case). An act. */
int cases_propose(struct cases *c, const struct actor *who, const char *organisation, const char *text, struct proposal_check *check, char id[33],
                  const char **detail, struct err *err);
/* Approve it (another manager of the organisation, and an operator: three people in all), or withdraw it before both have. Acts. */
int cases_proposal_act(struct cases *c, const struct actor *who, const char *id, bool approves, const char **detail, struct err *err);
/* Judge one again, as before its approval: what is served may have changed since. *mistakes as in proposal_check, empty: good. Worker routes. */
int cases_proposal_mistakes(struct cases *c, const struct actor *who, const char *id, json_t **mistakes, struct err *err);
/* [{"id","organisation","service","version","at","who","approver","operator","state"}] newest first; waiting, approved (every server takes it up
 * within seconds), served, withdrawn. One, with "text". ERR_NOT_FOUND for others. */
int cases_proposals(struct cases *c, const struct actor *who, const char *organisation, json_t **out, struct err *err);
int cases_proposal(struct cases *c, const struct actor *who, const char *id, json_t **out, struct err *err);
/* [{"id","file","text"}] of the approved ones that a pack does not have yet; without NULL: of all. */
int cases_proposals_approved(struct store *s, const struct pack *without, json_t **out, struct err *err);
/* The files of the pack that is served now into an empty folder, to be compiled with others for cases_serve_pack. */
int cases_pack_folder(struct cases *c, const char *folder, struct err *err);

/* ---- services on and off ------------------------------------------------------------------------ */
/* A service takes no new requests for now, for a reason that is shown; its open cases go on. On every node within a second. An act. */
struct service_switch {
  const char *service;
  bool off;
  const char *reason_fa, *reason_en; /* 1–300 characters each, one line; when off */
  int32_t until;                     /* the first day on which it is open again, 0: until it is switched on; two years ahead at most */
  const char *field, *detail;        /* out: what was wrong, and a word key; or NULL */
};
/* For managers of the service's organisation and operators; ERR_NOT_FOUND for others. Waits; worker routes. */
int cases_service_switch(struct cases *c, const struct actor *who, struct service_switch *w, struct err *err);
/* NULL while a service takes requests, else a sentence for people (the arena's). From memory. cases_submit answers ERR_CONFLICT then. */
const char *cases_stopped(struct cases *c, const char *service, enum lang l, struct arena *a);
json_t *cases_stop(struct cases *c, const char *service);         /* {"reason":{"fa","en"},"since","until"} new reference, or NULL */
const char *cases_service_organisation(const struct cases *c, const struct service *s); /* owner, or secretary of a by-place service */

/* ---- documents ------------------------------------------------------------------------------------ */
/* detail: word key of a sentence for the person when it was refused, or NULL. */
struct case_document { char id[40]; char sha256[65]; int64_t size; const char *media_type, *detail; };
struct case_file { char *data; size_t size; char media_type[64], name[208]; }; /* data: free(); name: as it was sent, ending as what it is */
#define CASES_DOCUMENT_DAYS 7 /* a document that no case and no draft of its owner names is deleted after so many days */
/* Sniffed type (pdf, jpeg, png only), ≤ 10 MiB, scanned where the port is set, stored in chunks of 256 KiB. Waits; worker routes.
 * ERR_TOO_LARGE, ERR_UNSUPPORTED, ERR_INVALID (empty, or something harmful found), ERR_UNAVAILABLE (nobody could scan it: not kept). */
int cases_document_put(struct cases *c, const struct actor *who, const void *p, size_t n, const char *filename, struct case_document *out, struct err *err);
/* For whoever may read the case that it belongs to (not remarks' documents: those are the office's), for organisations that are asked about it
 * when an answer that the inquiry shows names it, and for its sender while no case names it. A look of somebody of an office is recorded first.
 * Waits; worker routes. ERR_NOT_FOUND. */
int cases_document_get(struct cases *c, const struct actor *who, const char *id, struct case_file *out, struct err *err);

/* ---- unusual looking ---------------------------------------------------------------------------------- */
/* Measure today so far, and the day three days ago (what was looked at then and not worked on since), against what people of the same role do:
 * median and MAD over 28 days, with least counts. The jobs do it every ten minutes. Waits. */
int cases_looks_review(struct cases *c, int32_t today, struct err *err);
/* What stood out, newest first, for those who answer for the person (never themselves) and auditors:
 * [{"id","kind","who","role","organisation","day","count","usual","limit","at","acknowledged_at","acknowledged_by","note"}]; empty for others. */
int cases_looks(struct cases *c, const struct actor *who, bool open, json_t **out, struct err *err);
/* That it was looked into, with what was found (3 to 1000 bytes): an act of the ledger. *out: the report. ERR_NOT_FOUND, ERR_CONFLICT when it was before. */
int cases_looks_acknowledge(struct cases *c, const struct actor *who, const char *id, const char *note, json_t **out, struct err *err);

/* ---- jobs -------------------------------------------------------------------------------------------- */
/* Run what is due: silence, escalation, outbox effects (child cases, records), access leaves, retention. Call every 250 ms; leases inside. */
int cases_jobs(struct cases *c, int64_t *done, struct err *err);
/* After it, on its thread: deadlines that are due were left for want of time; call it again at once. */
bool cases_more(const struct cases *c);
/* What is to be erased when the day `until` begins, by the definitions: [{"service","service_version","service_title","result","years","cases",
 * "oldest"}], oldest: the day that the first of them was closed. */
int cases_retention(struct cases *c, int32_t until, enum lang l, json_t **out, struct err *err);
/* Erase some hundreds of those that are due today; *done 0: there are no more. Each is erased whole or not at all, whoever else is at it. */
int cases_retain(struct cases *c, int64_t *done, struct err *err);
/* For ledger verify: recompute the digest of an event from its row; see struct trust_verify.leaf. */
int cases_leaf_digest(struct cases *c, const char *header, unsigned char digest[TRUST_HASH]);
/* The rows of cases against their events; one line a fault. -1 with ERR_CONFLICT when there was any. */
int cases_verify(struct cases *c, void (*report)(void *ctx, const char *line), void *ctx, struct err *err);
/* A leaf's bytes for whoever may read the history: {"header","salt","payload"} of event seq; *right as of cases_events. */
int cases_leaf(struct cases *c, const struct actor *who, const char *tracking, int64_t seq, json_t **out, const char **right, struct err *err);

/* For /metrics: cheap however many cases there are. cases may be a few seconds old (longer where counting takes longer: a hundredth of the
 * time at most is spent on it); events is the size of the ledger's newest head, where every event is a leaf (counted where there is none). */
struct cases_figures { int64_t cases, open, overdue, events, outbox; };
int cases_figures(struct cases *c, struct cases_figures *out, struct err *err);
int cases_any(struct cases *c, bool *any, struct err *err);  /* is there one */

/* Notes about the installation ("demo", "simulated"): *value is malloc'ed or NULL. */
int cases_note_set(struct cases *c, const char *name, const char *value, struct err *err);
int cases_note(struct cases *c, const char *name, char **value, struct err *err);

/* ---- facts for statistics ------------------------------------------------------------------------------ */
#define CASE_NO_LIMIT INT64_MAX
/* An event, and the clocks as it found them; days are ordinals of working days in the case's calendar. */
struct case_step {
  int64_t seq, at;
  const char *action, *role, *from, *to;
  const char *who, *reason;         /* the member of staff, the reason's code; "" when none, or erased */
  enum action_kind kind;            /* ACT_OWN for what is not of the workflow: submit, escalate, rate, silence … */
  enum result before, after;        /* of the states it leads from and to */
  const char *holder_before, *holder;
  int64_t ord, state_ord, norm_ord, legal_ord; /* of the event; of coming into the state it leaves; limits of the case, or CASE_NO_LIMIT */
  bool stopped_before;              /* the clock stood */
  int score;                        /* of a rating */
};
struct case_facts {
  const char *tracking, *service, *owner, *holder, *assignee, *state, *calendar;
  const char *place;                /* county that the answers name, "" when none or erased */
  char setting;                     /* 'u' urban, 'r' rural, 0 not known */
  int64_t version, submitted_at, submitted_ord, legal_ord;
  enum intake intake;
  bool inquiry, open, stopped, appealed;
  json_t *data;                     /* the answers, a new reference; NULL when erased */
  const struct service *def;        /* NULL when no pack has it */
  const struct pack *pack;
  struct case_step *steps; size_t count;
};
/* Inside a transaction. Texts live in the arena; the same history tells the same, but for closures declared for days that have passed and
 * for what was erased. ERR_NOT_FOUND. */
int cases_facts(struct cases *c, struct store_tx *tx, const char *tracking, struct arena *a, struct case_facts *out, struct err *err);
int64_t cases_ordinal(struct cases *c, const char *calendar, int32_t day); /* of a day, in a calendar with what was declared later */

/* ---- drafts ------------------------------------------------------------------------------------------- */
/* Save and resume: JSON of at most 64 KiB under a key (random token of the browser, or a person key), erased after 30 days. */
int cases_draft_save(struct cases *c, const char *owner, const char *service, json_t *data, struct err *err);
int cases_draft_load(struct cases *c, const char *owner, const char *service, json_t **out, struct err *err); /* ERR_NOT_FOUND */
int cases_draft_drop(struct cases *c, const char *owner, const char *service, struct err *err);
int cases_drafts(struct cases *c, const char *owner, json_t **out, struct err *err); /* [{"service","saved_at"}] */

#endif
