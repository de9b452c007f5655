/* Shared by the files of this room alone. */
#ifndef CHAPAR_CASES_PRIVATE_H
#define CHAPAR_CASES_PRIVATE_H

#include "cases/cases.h"

#include <pthread.h>
#include <stdatomic.h>

#define NO_ORD INT64_C(4611686018427387903) /* a clock that is not set; sorts last */

struct live_calendar {
  const char *code;
  struct calendar *now;      /* base and closures declared later; replaced as a whole */
  int64_t version;
};

struct cases {
  struct store *store;
  struct trust *trust;
  struct pack *_Atomic pack; /* replaced as a whole by cases_serve_pack; those of before live until close */
  struct cases_options o;
  unsigned char secret[32];
  char node[64];
  pthread_rwlock_t lock;     /* over calendars and retired */
  struct live_calendar *calendars;
  size_t calendar_count;
  int64_t calendar_seen;     /* how many changes were loaded */
  struct calendar **retired; /* replaced calendars, kept until close: readers may hold them */
  size_t retired_count;
  struct shelves *shelves;   /* public.c; NULL for a reader */
  _Atomic int64_t calendars_version; /* grows when any calendar is loaded anew */
  bool more;                 /* jobs' own: deadlines were left for want of time */
  struct due_queue *due;     /* jobs' own: which */
  int64_t looks_round;       /* jobs' own: when looks were last measured */
  int64_t drafts_minute;     /* jobs' own: when drafts were last cleared */
  struct definitions *definitions;
  int packs_taken;           /* by cases_serve_pack since the start */
  struct stops *stops;       /* stops.c; NULL for a reader */
  pthread_mutex_t figures_lock, news_lock;
  int64_t figures_cases, figures_until; /* the last count, and when the next may be made (clock_mono) */
};

/* The event that a case began with: part of its row, so that a submission writes one row. payload is `{"data":…` in canonical JSON,
 * NULL (and the salt zero) when erased. */
struct case_first {
  const char *state, *role, *organisation, *header, *payload;
  unsigned char salt[TRUST_SALT], leaf[TRUST_HASH];
};

/* For whom the one who asks stands in now, with their roles in one organisation; and whether they have done so in this case before. */
struct standing {
  struct actor *absent;
  unsigned count;
  bool stood_in;
};

/* The row of `cases`, whole. Strings live in the arena given to case_load. */
struct case_row {
  const char *tracking, *service, *owner, *provider, *holder, *state;
  int64_t service_version, result, version, submitted_at, changed_at, closed_at;
  const char *applicant, *pair, *beneficiary, *submitted_by, *submitter;
  int64_t intake, assurance;
  const char *mobile;
  int64_t lang;
  const char *assignee, *parent, *inquiry, *data; /* data: the answers as canonical JSON, NULL when erased */
  unsigned char key_hash[32], body_hash[32];
  const char *calendar;
  int64_t start_day, norm_ord, legal_ord, state_day, state_at, state_legal_ord;
  const char *prior_state;
  int64_t stopped_ord, stopped_days, extended, appealed;
  const char *decider;       /* who decided, in order: rights.c */
  int64_t escalated, next_ord;
  const char *letter_no, *letter_date;
  int64_t rating;
  bool changed;                 /* data is no longer what was submitted, and stands in a column of its own */
  struct case_first first;
  const struct service *def; /* what it began under; NULL when no pack that can be read has it */
  struct pack *pack;         /* where that stands: its fields show places and organisations of this pack */
  int state_index;           /* -1 for inquiry states */
  const struct standing *standing; /* of the actor given to case_standing; else NULL */
  bool filed_here, granted;     /* case_at_counter: by the reader's office, within 30 days; its citizen lets the reader see it now */
};

/* Those of the case ?1; the table is in the order of submission. */
#define OF_CASE "tracking=?1 AND filed=(SELECT submitted_at FROM cases WHERE tracking=?1)"

/* The history of the case ?1 as one table, its first event included; for `FROM `. The case is chosen inside: from without, SQLite would read the
 * events of all. */
#define CASE_EVENTS                                                                                                                      \
  "(SELECT 1 AS seq,'submit' AS action,submitted_at AS at,'' AS from_state,first_state AS to_state,first_role AS role,"                    \
  "first_organisation AS organisation,first_header AS header,first_salt AS salt,first_payload AS payload,first_leaf AS leaf_hash "         \
  "FROM cases WHERE tracking=?1 "                                                                                                          \
  "UNION ALL SELECT seq,action,at,from_state,to_state,role,organisation,header,salt,payload,leaf_hash FROM case_event WHERE " OF_CASE ") AS e "

/* One event about to be written. */
struct case_entry {
  const char *action, *from_state, *to_state, *role, *organisation;
  int64_t at;
  const char *payload; /* canonical JSON */
};

/* counter.c */
enum { COUNTER_DAYS = 30, OFFICE_SHOWN = 22, SERVICE_SHOWN = 30 }; /* the latter two: characters, so that a message stays within two SMS */
const char *counter_place(const struct cases *c, const struct actor *who, enum lang l); /* name of the office or organisation an agent works from */
const char *counter_clip(struct arena *a, const char *text, size_t most);
const char *counter_organisation(const struct actor *who); /* where the caller is an agent; "" nowhere */
/* What agents and the call centre may see of a loaded case beyond everybody's view. */
int case_at_counter(struct store_tx *tx, const struct actor *who, struct case_row *row, struct err *err);
struct counter_filing {
  const struct case_counter *counter;
  const struct actor *who;
  const struct case_row *row;
  const char *person, *mobile; /* mobile may be NULL */
};
/* With the submission of an agent: consent used up, its scan bound, the filing on record, the telephone bound, the citizen told. */
int case_counter_filed(struct cases *c, struct store_tx *tx, const struct counter_filing *f, struct err *err);
json_t *case_filed_json(const struct case_counter *k, const struct actor *who); /* for the event; new reference */
/* consent.c: is this identifier the member of staff's own, as far as the office has said who they are? 1, 0, -1 */
int case_own_person(struct cases *c, struct store_tx *tx, const struct actor *who, const char *national_id, struct err *err);
/* The consent that a submission goes with. subject: digest of what is filed. *fault: word key of what is wrong with it (then the
 * transaction is committed, for a wrong code counts), or NULL. */
void case_subject(const struct case_asking *a, const char *organisation, char out[65]);
int case_consent_check(struct cases *c, struct store_tx *tx, const struct actor *who, const struct case_counter *k, const char *subject, const char *tracking,
                       const char **fault, struct err *err);
/* … and is used up by. */
int case_consent_use(struct cases *c, struct store_tx *tx, const struct case_counter *k, const char *tracking, struct err *err);

/* row.c */
int case_load(struct cases *c, struct store_tx *tx, struct arena *a, const char *tracking, struct case_row *row, struct err *err); /* ERR_NOT_FOUND */
int case_insert(struct store_tx *tx, const struct case_row *row, struct err *err); /* 1 inserted, 0 was there, -1 */
int case_save(struct cases *c, struct store_tx *tx, const struct case_row *row, int64_t old_version, struct err *err); /* ERR_CONFLICT when it moved on */
void case_header(char out[320], const struct case_row *row, const struct case_entry *e, int64_t seq);
/* Append an event to a loaded and changed row: version grows, row, event and leaf are written. leaf may be NULL. The row goes first: it is where
 * two that act at once meet, and the one that comes too late is run again. */
int case_append(struct cases *c, struct store_tx *tx, struct case_row *row, const struct case_entry *e, unsigned char leaf[TRUST_HASH],
                struct err *err);
/* An event made ready before its transaction, for a row that has the version after it. */
struct case_sealed {
  char header[320];
  unsigned char salt[TRUST_SALT], digest[TRUST_HASH], leaf[TRUST_HASH];
};
void case_seal(struct case_sealed *out, const struct case_row *row, const struct case_entry *e);
/* An event that changes nothing of the row but `escalated` and `next_ord` (and version and changed_at); row is as after it. 1; 0: the case had moved
 * on, nothing is written; -1. */
int case_put_next(struct cases *c, struct store_tx *tx, const struct case_row *row, const struct case_entry *e, const struct case_sealed *s, struct err *err);
/* due.c: one turn; closed: erase only. c->more: some were left for want of time */
int case_due_run(struct cases *c, bool closed, int64_t *done, struct err *err);
void case_due_forget(struct cases *c); /* those that were left */

/* definitions.c: which text a case began under */
void case_definitions_open(struct cases *c);
void case_definitions_close(struct cases *c);
/* Fill def, pack and state_index of a row that has service, service_version, submitted_at, inquiry, parent and state. -1: the store failed. */
int case_define(struct cases *c, struct store_tx *tx, struct case_row *row, struct err *err);
/* Inside the transaction of a new case: the first of its version names the text that counts. ERR_UNAVAILABLE when another text does. */
int case_pin(struct cases *c, struct store_tx *tx, const struct service *s, int64_t at, struct err *err);
/* Know the pins written since; every round of the jobs. */
int case_pins_load(struct cases *c, struct store_tx *tx, struct err *err);
/* Read and write by this pack from now on, which has every text of the one before. */
void case_definitions_serve(struct cases *c, struct pack *p);
/* Compile the old packs that open and recent cases need, so that nobody waits for them. */
int case_definitions_warm(struct cases *c, struct err *err);

/* packs.c: the files of a recorded pack into a folder; that folder away */
int case_pack_write(struct store_tx *tx, const char *hash, const char *folder, struct err *err);
void case_folder_drop(const char *folder);
/* Compile a recorded pack. NULL with err when it is damaged or this program no longer takes it. */
struct pack *case_pack_load(struct store_tx *tx, const char *hash, struct err *err);

/* state.c: the only place where a case changes its state and its clocks */
void cases_set_state(struct cases *c, struct case_row *row, int state, int64_t at);
void case_stamp(struct cases *c, struct case_row *row, int64_t at); /* clocks at the beginning */
void case_next_check(struct cases *c, struct case_row *row);        /* next_ord from state, clocks and retention */
const struct calendar *case_calendar(struct cases *c, const char *code); /* live; valid until cases_close */
int32_t case_due_day(struct cases *c, const struct case_row *row, int64_t ord); /* INT32_MIN for NO_ORD */
int64_t case_ord(struct cases *c, const struct case_row *row, int64_t at);      /* ordinal of the local day of `at` */
int case_calendars_load(struct cases *c, struct store_tx *tx, struct err *err);
#define INQUIRY_OPEN "inquiry_open"
#define INQUIRY_ANSWERED "inquiry_answered"
#define INQUIRY_CONSENTED "inquiry_consented"
#define INQUIRY_CANCELLED "inquiry_cancelled"
bool case_is_inquiry(const struct case_row *row);

/* rights.c */
enum case_right case_right_of(const struct actor *who, const struct case_row *row);
bool case_is_applicant(const struct actor *who, const struct case_row *row);
unsigned case_roles_of(const struct actor *who, const struct case_row *row); /* bits 1<<enum role towards this case */
bool case_may(const struct actor *who, const struct case_row *row, const struct action *act, const json_t *data, enum err_code *why);
const char *case_acting_role(const struct actor *who, const struct case_row *row, const struct action *act);
/* Whose place this person takes in doing it, by row->standing; NULL: they do it as themselves. */
const struct actor *case_in_place_of(const struct actor *who, const struct case_row *row, const struct action *act);

/* remind.c: a case that waits for its citizen. When that ends (an ordinal), when somebody must look before, and the reminder itself. */
#define CASE_REMINDED (-1) /* of row.escalated, until the state changes */
int64_t case_pause_end(const struct case_row *row);
int64_t case_pause_next(const struct case_row *row);
int case_remind(struct cases *c, struct store_tx *tx, struct case_row *row, struct err *err);

/* absence.c */
int case_standing(struct store_tx *tx, struct arena *a, const struct actor *who, struct case_row *row, struct err *err); /* fills row->standing */
/* The same at a desk, of no case in particular. */
int case_stands_for(struct store_tx *tx, struct arena *a, const struct actor *who, const char *organisation, struct standing *out, struct err *err);
struct away { char deputy[64]; int32_t until; };
int case_absent(struct store_tx *tx, const char *username, const char *organisation, struct away *out, struct err *err); /* 1 away today, 0, -1 */
/* *out: deputies of those who have this role there and are away, new reference, or NULL for none. */
int case_deputies(struct store_tx *tx, const char *organisation, int role, json_t **out, struct err *err);

/* submit.c */
#define CASE_TERMS 32 /* most search words of a case */
void case_tracking(const struct cases *c, const unsigned char key_hash[32], unsigned counter, char out[TRACKING_SIZE]);
int case_index(struct store_tx *tx, const struct case_row *row, const char *const *terms, size_t count, struct err *err);
size_t case_terms(const struct pack *p, const struct service *s, const json_t *data, const char *mobile, struct arena *a, const char **terms, size_t most);

/* notice.c: tell the case's person what has happened: an SMS of two parts at most, and a letter where an address is known. The reason is the
 * list's (reason_code) or, without one, the comment. */
#define CASE_LATIN 2 /* of row.lang, beside enum lang: Persian in Latin letters */
int case_notice(struct cases *c, struct store_tx *tx, const struct case_row *row, const char *on, int64_t seq, const char *reason_code, const char *comment,
                struct err *err);
/* The same in two steps: the texts into an arena, beside the writer if need be; then into the transaction. */
struct case_told {
  struct case_told *next;
  const char *key, *to, *subject, *text; /* subject: of a letter */
  enum lang lang;
};
int case_notice_make(struct cases *c, struct arena *a, const struct case_row *row, const char *on, int64_t seq, const char *reason_code, const char *comment,
                     struct case_told **out, struct err *err);
int case_notice_put(struct cases *c, struct store_tx *tx, const struct case_told *list, struct err *err);
/* Keys of the messages about what happened to a case at a time lie between these two: TIME/TRACKING/… */
void case_message_keys(int64_t at, const char *tracking, char from[64], char to[64]);
/* {{name}} in a text by pairs; unknown names become nothing. */
void case_fill(struct buf *b, const char *text, const char *const (*pairs)[2], size_t count);

/* mandates.c */
/* Name in an event's payload the mandate under which somebody acts; nothing where they act for themselves. */
void case_put_mandate(json_t *payload, const struct actor *who);
bool case_covers(const struct actor *who, const struct service *def, const char *service, const char *owner); /* is it within the mandates */
/* Applicant, beneficiary and submitter of a row that somebody files by mandate. ERR_INVALID (s->errors) when it is not about the principal. */
int case_files_for(struct case_submission *s, struct case_row *row, struct err *err);
/* The request that gives a mandate: who may (s->errors, s->detail), its row, in force as its state is, and forgotten with the answers. */
int case_mandate_check(struct cases *c, struct case_submission *s, struct case_row *row, struct arena *a, struct err *err);
int case_mandate_put(struct cases *c, struct store_tx *tx, const struct case_submission *s, const struct case_row *row, struct arena *a, struct err *err);
int case_mandate_turn(struct store_tx *tx, const struct case_row *row, int64_t at, struct err *err);
/* 1 when a case is a member of staff's own, or of somebody they hold a mandate for; 0 when not, or nobody knows which citizen they are. */
int case_concerns(struct store_tx *tx, const struct case_row *row, const char *username, struct err *err);
int case_mandate_forget(struct store_tx *tx, const char *tracking, struct err *err);
int case_mandate_prove(struct cases *c, const char *tracking, struct err *err); /* effect of the outbox */

/* complaints.c */
void case_complaint_name(const struct service *def, const char *about, char out[192]);
/* A complaint just inserted: tied to the case that it is about, when that is the caller's own. ERR_CONFLICT: one is open already. */
int case_complaint_put(struct cases *c, struct store_tx *tx, const struct case_submission *s, struct case_row *row, struct arena *a, struct err *err);
int case_complaint_release(struct store_tx *tx, const struct case_row *row, const json_t *data, struct err *err);
int case_complaint_touches(struct store_tx *tx, const struct case_row *row, const json_t *data, const char *username, struct err *err);
int case_complaints(struct cases *c, struct store_tx *tx, struct arena *a, const struct case_row *row, enum lang l, json_t **complaints, json_t **about, struct err *err);

/* act.c */
/* Last day of an appeal or of a citizen's reopening in this state; INT32_MIN: none, or no limit. */
int32_t case_last_day(struct cases *c, const struct case_row *row, enum action_kind kind);

int case_system_act(struct cases *c, struct store_tx *tx, struct arena *a, struct case_row *row, const struct action *act, const char *why, struct err *err);
int case_after(struct cases *c, struct store_tx *tx, struct arena *a, struct case_row *row, const struct action *act, const char *payload, int64_t at, struct err *err);

/* view.c */
json_t *case_due_json(struct cases *c, const struct case_row *row);
/* By the live directory, else by the pack of the case (NULL: none): an organisation that is gone keeps its name. */
const char *case_organisation_name(const struct cases *c, const struct pack *then, const char *code, enum lang l);
const char *case_state_title(const struct case_row *row, enum lang l);
void case_etag(struct cases *c, const struct case_row *row, enum lang l, const char *extra, char out[80]);

int case_note_put(struct store_tx *tx, const struct actor *who, const struct case_row *row, const struct desk_note *n, const char *id, struct err *err);
void case_mask(const struct service *def, json_t *data); /* what is personal, in place: in the form, and to a question of the office */

/* export.c: exports of cases in which this person's are, newest first, that come after the mark (at, id) of a page: items of a list of looks, appended
 * with members "_at" and "_id" for whoever sorts them. */
int case_exports_of(struct cases *c, struct store_tx *tx, const char *person, int64_t at, const char *id, enum lang l, json_t *items, struct err *err);

/* import.c: the second event of a case of before: what it had become */
int case_import_step(struct cases *c, struct store_tx *tx, const struct case_row *filed, const struct case_imported *was, struct err *err);

/* remarks.c: [{"at","organisation","who","text","kind"?…}], oldest first; NULL after an error */
json_t *case_remarks(struct store_tx *tx, const char *tracking, struct err *err);

const char *case_desk_of(const struct actor *who, const struct case_row *row); /* at which of the case's desks this person works */
/* A leaf about a desk rather than about a case: 1 written, 0 the id was there, -1. */
int case_desk_log(struct store_tx *tx, const char *id, const char *organisation, const char *what, int64_t at, const char *payload, struct err *err);

/* public.c: views kept; forget is called inside the transaction that changes a case */
struct shelves *shelves_new(void);
void shelves_free(struct shelves *s);
void shelves_forget(struct cases *c, const char *tracking);

/* stops.c: services that take no new requests for now */
struct stops *stops_new(void);
void stops_free(struct stops *s);
int case_stops_load(struct cases *c, struct store_tx *tx, struct err *err);
/* Closures, texts under which requests began and services that are off, as they stand now: every round of the jobs, and after each change made here. One reading at a time,
 * so that an older one is never put into the place of a newer one. */
int case_news(struct cases *c, struct err *err);
bool case_stopped(struct cases *c, const char *service);

/* The answers inside the payload of a first event, as canonical JSON (arena-owned); NULL: erased. */
const char *case_answers_in(struct arena *a, const char *payload);
/* listed.c: the applicant's name for a list («م… احمدی»), NULL where the answers have none; arena-owned */
const char *case_short_name(struct arena *a, const struct service *s, const json_t *data);
/* Documents came from outside the office; a member of staff has looked; are there some that they have not seen; forget. */
int case_news_put(struct store_tx *tx, const char *tracking, int64_t at, struct err *err);
int case_seen_put(struct store_tx *tx, const char *tracking, const char *username, int64_t at, struct err *err);
int case_news_unseen(struct store_tx *tx, const char *tracking, int64_t came, const char *username, bool *unseen, struct err *err);
int case_news_forget(struct store_tx *tx, const char *tracking, struct err *err);

/* desk.c: a case comes to a desk: remember its calendar when it is not the desk's own */
int case_desk_calendar(struct cases *c, struct store_tx *tx, const char *organisation, const char *calendar, struct err *err);

/* known.c: what is known of the answers of a submission. *sources {"field":{"organisation","registry","same","known"?}} or NULL, for its
 * event; *errors what must not differ, or NULL. New references. Where nobody can be asked nothing is known. */
void case_sources(struct cases *c, const struct case_submission *s, const struct actor *as, const char *tracking, json_t **sources, json_t **errors); /* as: who is asked about; tracking: of the case that is being made */

/* documents.c: every document of the answers must be the actor's and free (or this case's); ERR_INVALID otherwise */
int case_bind_documents(struct store_tx *tx, struct field *const *fields, size_t count, const json_t *data, const struct actor *who, const char *tracking,
                        struct err *err);
/* The same for a list of ids; accept: kinds that are taken ("pdf,jpeg"), NULL: any. internal: for colleagues alone. */
int case_bind_ids(struct store_tx *tx, const json_t *ids, const char *accept, const struct actor *who, const char *tracking, struct err *err);
int case_bind_internal(struct store_tx *tx, const json_t *ids, const struct actor *who, const char *tracking, struct err *err);
/* [{"id","name","media_type","size","at"}], oldest first, with those for colleagues or without; NULL after an error. */
json_t *case_documents(struct store_tx *tx, const char *tracking, bool internal, struct err *err);
/* attach.c */
bool case_adds(const struct action *act);            /* is it the action that adds documents and decides nothing */
int64_t case_new_documents(const json_t *events);    /* documents that came after the office last acted; events with their payload, oldest first */
int case_forget_documents(struct store_tx *tx, const char *tracking, struct err *err);
int case_forget_replied(struct store_tx *tx, const char *parent, struct err *err); /* those that came with answers to its inquiries */
int case_expire_documents(struct store_tx *tx, void *arg, struct err *err); /* work: some of those that no case names after their days */

int case_bind_document(struct store_tx *tx, const struct actor *who, const char *tracking, const char *id, struct err *err);

/* datarequests.c: the effect "grant" of the outbox, inside its transaction */
int case_grant_apply(struct cases *c, struct store_tx *tx, const struct case_row *row, const char *event, struct err *err);

/* outbox.c */
int case_outbox_put(struct store_tx *tx, const char *kind, const char *tracking, int64_t seq, const char *suffix, json_t *payload, int64_t at, struct err *err);
int case_asking(struct store_tx *tx, const char *tracking, int64_t *count, struct err *err); /* its inquiries that are still to be sent */
int case_outbox_run(struct cases *c, int64_t *done, struct err *err);

#endif
