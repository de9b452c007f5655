/*
 * catalog: the pack compiler. A pack folder (docs/developer/pack.md) becomes an immutable, reference-counted struct pack:
 * directory, calendars, choice lists, registries' names, services with fields, conditions, workflow. Layer 2; includes base,
 * language, directory. Everything returned by const pointer lives as long as the pack.
 */
#ifndef CHAPAR_CATALOG_H
#define CHAPAR_CATALOG_H

#include "base/base.h"
#include "directory/directory.h"
#include "language/language.h"

#include <stdio.h>

struct text { const char *fa, *en; };                 /* both always set */
const char *text_in(const struct text *t, enum lang l);
struct texts { struct text *items; size_t count; };

/* ---- conditions ------------------------------------------------------------------------ */
enum cond_op { COND_ALL, COND_ANY, COND_NOT, COND_IS, COND_IS_NOT, COND_IN, COND_LT, COND_LE, COND_GT, COND_GE, COND_PRESENT };
struct cond {
  enum cond_op op;
  const char *field;                                  /* leaves */
  json_t *value;                                      /* leaves; array for IN */
  struct cond **items; size_t count;                  /* ALL, ANY, NOT (one) */
};
/* Evaluate over canonical data (an object). A leaf over an absent field is false (so its NOT is true). NULL condition: true. */
bool cond_holds(const struct cond *c, const json_t *data);

/* ---- fields ---------------------------------------------------------------------------- */
#define FIELD_TYPE_TABLE(X)                                                                      \
  X(FIELD_TEXT, "text") X(FIELD_PARAGRAPH, "paragraph") X(FIELD_INTEGER, "integer")              \
  X(FIELD_DECIMAL, "decimal") X(FIELD_MONEY, "money") X(FIELD_DATE, "date")                      \
  X(FIELD_YES_NO, "yes_no") X(FIELD_DECLARATION, "declaration") X(FIELD_CHOICE, "choice")        \
  X(FIELD_CHOICES, "choices") X(FIELD_PLACE, "place") X(FIELD_ORGANISATION, "organisation")      \
  X(FIELD_NATIONAL_ID, "national_id") X(FIELD_FIDA, "fida") X(FIELD_LEGAL_ID, "legal_id")        \
  X(FIELD_MOBILE, "mobile") X(FIELD_POSTAL_CODE, "postal_code") X(FIELD_SHEBA, "sheba")          \
  X(FIELD_EMAIL, "email") X(FIELD_TRACKING, "tracking") X(FIELD_DOCUMENT, "document")
enum field_type {
#define X(name, text) name,
  FIELD_TYPE_TABLE(X)
#undef X
};
const char *field_type_text(enum field_type t);

struct choice { const char *value; struct text label; struct text latn; /* latn.fa: Latin-script Persian for USSD, or "" */ };
struct field {
  const char *name;
  enum field_type type;
  struct text label, hint;                            /* hint "" when none */
  const char *latn;                                   /* label in Latin script for old telephones, "" when none */
  bool required;                                      /* when asked */
  struct cond *when;                                  /* asked only when it holds; refers to earlier fields */
  struct cond *constraint; struct text constraint_message;
  bool has_min, has_max; int64_t min, max;            /* numbers: value; text: characters; date: days since 1970; choices: count;
                                                         decimal: thousandths; document: files */
  bool min_today, max_today; int min_days, max_days;  /* date bounds relative to today (+days) */
  struct choice *choices; size_t choice_count;        /* choice, choices */
  int place_kind; const char *place_within;           /* place: kind wanted (-1: any); name of an earlier place field that bounds it, or NULL */
  int organisation_kind;                              /* organisation: kind wanted (-1: any) */
  const char *accept;                                 /* document: "pdf,jpeg,png" */
  bool searchable;                                    /* its words go into the desk's search */
  bool personal;                                      /* masked for helpdesk, hidden from inquiries that do not list it */
  const char *prefill;                                /* "provider/dataservice:attribute", or NULL */
  const char *prefill_of;                             /* earlier field that holds the record's key; NULL: the applicant's own record, or
                                                         the field of the same name as the registry's key */
  bool refuse_difference;                             /* an answer unlike the record: refused, else flagged for the office */
  const char *law;                                    /* why it may ask what another organisation knows, or NULL */
  bool ussd;                                          /* asked on USSD (optional fields may be left to the web) */
  unsigned line;
};
struct page { const char *name; struct text title, guidance; struct field **fields; size_t count; struct cond *when; };

/* ---- workflow -------------------------------------------------------------------------- */
#define ROLE_TABLE(X)                                                                    \
  X(ROLE_APPLICANT, "applicant") X(ROLE_OFFICER, "officer") X(ROLE_SUPERVISOR, "supervisor") \
  X(ROLE_MANAGER, "manager") X(ROLE_AGENT, "agent") X(ROLE_HELPDESK, "helpdesk")         \
  X(ROLE_OPERATOR, "operator") X(ROLE_AUDITOR, "auditor") X(ROLE_PROVIDER, "provider") X(ROLE_ATTORNEY, "attorney") X(ROLE_SYSTEM, "system")
enum role {
#define X(name, text) name,
  ROLE_TABLE(X)
#undef X
};
const char *role_text(enum role r);
int role_parse(const char *text);                     /* -1 when unknown */

/* What an action does besides moving the state: by its fixed name, so every workflow means the same. */
#define ACTION_KIND_TABLE(X)                                                                                  \
  X(ACT_OWN, "own") X(ACT_ASSIGN, "assign") X(ACT_REFER, "refer") X(ACT_TRANSFER, "transfer")                 \
  X(ACT_INQUIRE, "inquire") X(ACT_REPLY, "reply") X(ACT_REQUEST_INFO, "request_info")                         \
  X(ACT_PROVIDE_INFO, "provide_info") X(ACT_SUSPEND, "suspend") X(ACT_RESUME, "resume") X(ACT_EXTEND, "extend") \
  X(ACT_APPROVE, "approve") X(ACT_REJECT, "reject") X(ACT_APPEAL, "appeal") X(ACT_WITHDRAW, "withdraw") X(ACT_REOPEN, "reopen")
enum action_kind {
#define X(name, text) name,
  ACTION_KIND_TABLE(X)
#undef X
};
enum result { RESULT_OPEN, RESULT_APPROVED, RESULT_REJECTED, RESULT_WITHDRAWN, RESULT_CLOSED };
const char *result_text(enum result r);

struct reason { const char *code; struct text text; };
struct action {
  const char *name; enum action_kind kind;
  struct text title;
  unsigned roles;                                     /* bit 1<<enum role */
  int to;                                             /* state index; -1: stays (or back to the state before, for resume/provide_info) */
  bool reason_required;
  struct reason *reasons; size_t reason_count;
  struct field **fields; size_t field_count;          /* data asked of the person who acts */
  bool four_eyes;                                     /* not by whoever acted last before with a decision-bearing action */
  struct cond *when;                                  /* over the case's data */
};
struct state {
  const char *name;
  struct text title, plain;                           /* plain: what happens now, for the citizen */
  const char *latn;                                   /* title in Latin script, "" when none */
  enum result result;                                 /* RESULT_OPEN unless final */
  int norm, legal;                                    /* working days in this state; -1 when none */
  bool citizen;                                       /* waits for the citizen: the case's clock is suspended */
  int escalate_role;                                  /* enum role told at the legal deadline; -1 none */
  int silence_action;                                 /* index in actions performed by the system when legal days pass; -1 none */
  struct action *actions; size_t action_count;
};
struct inquiry {
  const char *name; struct text title, question;
  int organisation;                                   /* fixed organisation, or -1 and: */
  const char *place_field; int organisation_kind;     /* responsible organisation of a kind at a place field */
  const char **shows; size_t show_count;              /* fields the other organisation sees */
  int days; bool silence_consents;                    /* else: escalates */
  struct cond *when;
};
struct fee_row { struct cond *when; int64_t rial; struct text label; };
/* A letter of a service's cases: names {{field}} (as shown), {{tracking}} {{service}} {{state}} {{date}} {{submitted}} {{organisation}}; no sections. */
struct letter { const char *name; struct text title, subject, body; bool to_citizen; unsigned paraph; enum role sign; }; /* paraph: bits of roles */
struct notice { const char *on; struct text text, mail; const char *latn; bool attorney; };  /* on: "submit", action name or "due"; Mustache: {{tracking}} {{service}}
                                                         {{state}} {{reason}} {{due}}; mail: what a letter says instead, "" none; latn: for telephones without Persian, "" none;
                                                         attorney: to the one who is given the mandate */
struct retention { enum result result; int years; bool erase; };
struct faq { struct text q, a; };
struct eligibility { struct field field; struct cond *exit_when; struct text exit; };
enum channel_level { CHANNEL_NONE, CHANNEL_STATUS, CHANNEL_START, CHANNEL_FULL };

struct service {
  const char *code; int version; int32_t valid_from;  /* day */
  const char *file; unsigned line;                    /* where its version stands in the folder */
  struct text title, description, recipients, cost_text, statement;
  const char *identifier;                             /* national identifier of the service (11–13 digits) */
  const char *type, *nature, *level, *starts, *frequency;
  const char **life_events; size_t life_event_count;
  struct texts documents, laws;
  int64_t volume; const char *volume_per; int mean_days, visits;
  const char **stages[4]; size_t stage_counts[4];     /* information, request, follow_up, delivery: channel names */
  enum channel_level web, api, ussd, counter;
  const char *ussd_code;                              /* digits of the menu, unique in the pack, or NULL */
  const char *latn;                                   /* title in Latin script, for old telephones */
  bool handled_external;
  bool staff_only;                                    /* applicants are members of staff */
  int organisation;                                   /* owner; -1 when by place: */
  const char *owner_field; int owner_kind;            /* responsible organisation of a kind at that place field */
  int fallback_kind;                                  /* when the place has none (-1: refuse) */
  int provider;                                       /* organisation that performs it, = owner when -1 */
  int secretary;                                      /* organisation shown in the catalogue: owner, or the one that answers for a by-place service */
  struct eligibility *eligibility; size_t eligibility_count;
  struct page *pages; size_t page_count;
  struct field **fields; size_t field_count;          /* all, in order */
  const char *applicant_field;                        /* national_id field that names the applicant, or NULL: the session's person */
  const char *beneficiary_field;                      /* or NULL */
  const char *about_field;                            /* tracking of a case of the applicant that this is a complaint about, or NULL */
  const char *mobile_field;                           /* or NULL: the session's telephone */
  int norm, legal;                                    /* whole case, working days */
  int suspension_days, extension_days, extension_times;
  int appeal_days, appeal_legal; int appeal_role;     /* working days to appeal, clock of the appeal, who decides; appeal_days 0: none */
  int reopen_days, reopen_times;                      /* for citizens: working days after the end, how often; 0: no limit */
  struct state *states; size_t state_count; int start;
  struct inquiry *inquiries; size_t inquiry_count;
  struct fee_row *fees; size_t fee_count;             /* first row that holds counts; none: free */
  struct { bool present; struct text title, body; int valid_days; const char *number; } certificate;
  struct { const char *registry; struct { const char *attribute, *field; } *map; size_t count; } record;
  /* An approved request lets somebody act for somebody else; each is a field, NULL: principal and attorney: the applicant; scope: everything. */
  struct {
    bool present;
    const char *principal, *attorney, *attorney_mobile, *name, *until;
    const char *service, *organisation, *event;       /* scope: whichever of these fields is answered */
    const char *registry, **attributes; size_t attribute_count; /* the principal's record whose attributes (any) must name the attorney; NULL: none */
    struct { const char *registry, *attribute; } alive[4]; size_t alive_count; /* what of the principal must not be recorded as false */
  } mandate;
  /* An approved request gives the asking organisation a right to a data service; fields of the service. basis and months may be NULL. */
  struct { bool present; const char *asking, *service, *purpose, *basis, *months, **attributes; size_t attribute_count; } grant;
  struct notice *notices; size_t notice_count;
  struct letter *letters; size_t letter_count;
  struct retention *retentions; size_t retention_count;
  struct faq *faqs; size_t faq_count;
  bool rating; bool one_open_per_person;
  json_t *examples;                                   /* array of at least one complete valid answer */
  json_t *definition;                                 /* the YAML as JSON, as GET /api/v1/services/{code} shows it */
  json_t *form_schema;                                /* JSON Schema 2020-12 */
  const char *etag;                                   /* hash of the definition */
};

/* ---- the pack --------------------------------------------------------------------------- */
struct pack;
struct pack_report { void (*line)(void *ctx, const char *file, unsigned line, const char *message, bool warning); void *ctx; };
/* Compile the folder. Every mistake is reported (most: 200); NULL when there was any error. File names are relative to the folder. */
struct pack *pack_compile(const char *folder, const struct pack_report *report);
/* The same as on another day: what was accepted then is accepted again, whatever has happened to the dates of its examples. */
struct pack *pack_compile_on(const char *folder, int32_t day, const struct pack_report *report);
/* Every file of a folder that counts in its hash (hidden ones do not), in order of path; each may be NULL, and ends it when it answers
 * other than 0. hash: as pack_hash. Refuses more than 4,096 files, paths over 240 bytes or no UTF-8, and more than 128 MiB in all. */
int pack_files(const char *folder, int (*each)(void *ctx, const char *path, const char *data, size_t n), void *ctx, char hash[65], struct err *err);
/* A mistake's message in the reader's language (arena-owned); what is not known stays as the compiler said it. */
const char *mistake_text(struct arena *a, enum lang l, const char *message);
struct pack *pack_ref(struct pack *p);
void pack_unref(struct pack *p);
const char *pack_hash(const struct pack *p);          /* SHA-256 hex over all files */
const char *pack_name(const struct pack *p, enum lang l);
const char *pack_code(const struct pack *p);
const char *pack_instance(const struct pack *p);      /* exchange instance */
const char *pack_ussd_code(const struct pack *p);     /* "*4015#" */
const struct letter *service_letter(const struct service *s, const char *name); /* NULL */
const json_t *pack_settings(const struct pack *p);    /* map `settings` of pack.yaml */
const struct directory *pack_directory(const struct pack *p);
size_t pack_services(const struct pack *p);
const struct service *pack_service(const struct pack *p, size_t i);            /* each once, in order of code: the version in effect, else the oldest to come */
const struct service *pack_find(const struct pack *p, const char *code);       /* version in effect today, NULL */
const struct service *pack_find_shown(const struct pack *p, const char *code); /* also one that is still to come, as pack_service; NULL */
bool service_begun(const struct service *s);                                   /* its valid_from has come: it is accepted */
const struct service *pack_find_version(const struct pack *p, const char *code, int version);
size_t pack_versions(const struct pack *p);
const struct service *pack_version(const struct pack *p, size_t i);            /* every version, in order of code and version; NULL out of range */
/* The calendar of an organisation (base definition; closures declared later are the case room's). */
const struct calendar *pack_calendar(const struct pack *p, const char *calendar_code);
const char *pack_calendar_of(const struct pack *p, int organisation);          /* calendar code */
size_t pack_calendars(const struct pack *p); const char *pack_calendar_code(const struct pack *p, size_t i);
size_t pack_life_events(const struct pack *p); const char *pack_life_event(const struct pack *p, size_t i, struct text *title);
const char *pack_life_event_latn(const struct pack *p, size_t i);              /* its title in Latin script, "" when none */

/* What every rated service asks after its decision: each item from 1 (bad) to 5 (good), or yes or no. count 0: the score alone. */
struct survey_item { const char *name; bool yes_no; struct text title; };
struct survey { int version; struct survey_item *items; size_t count; };
const struct survey *pack_survey(const struct pack *p);
const struct survey_item *survey_item(const struct survey *s, const char *name); /* NULL */
int survey_value(const struct survey_item *item, const json_t *answer);        /* 1 to 5; true is 1 and false 0; -1: no answer to it */

/* A registry of the pack: what an organisation keeps. */
struct registry_attribute {
  const char *name; enum field_type type; struct text title; bool personal;
  struct field *field;                                /* for field_check and field_show: never required, no condition */
};
struct registry {
  const char *code; struct text title;
  int organisation;                                   /* its owner */
  const char *key;                                    /* the attribute that finds records, or NULL */
  const char **unique; size_t unique_count;           /* attributes that together make one record; the key by default; none without a key */
  const char *telephone;                              /* attribute with the mobile known to belong to the key's national id, or NULL */
  struct registry_attribute *attributes; size_t count;
};
size_t pack_registries(const struct pack *p);
const struct registry *pack_registry(const struct pack *p, size_t i);          /* in order of code; NULL out of range */
const struct registry *pack_find_registry(const struct pack *p, const char *code); /* NULL */
const struct registry_attribute *registry_attribute(const struct registry *r, const char *name); /* NULL */
/* A data service of pack.yaml: what an organisation publishes as data. */
struct data_service {
  int provider;                                       /* organisation */
  const char *service; struct text title;             /* title: by default the registry's, or the code */
  const char **attributes; size_t count;
  const struct registry *registry;                    /* of this pack, that answers; NULL: the provider's own gateway does */
  const char *key; enum field_type key_type;          /* what records are found by; NULL: nobody can be asked yet */
  bool refuse;                                        /* an answer unlike the record: refused, else flagged */
  const char *registry_code; unsigned line;           /* as they stand in the file */
};
size_t pack_data_services(const struct pack *p);
const struct data_service *pack_data_service(const struct pack *p, size_t i);  /* in order of the file; NULL out of range */
/* provider NULL: the only one of that code. NULL when there is none, or several. */
const struct data_service *pack_find_data_service(const struct pack *p, const char *provider, const char *service);
const char *data_service_provider(const struct pack *p, const struct data_service *d); /* the organisation's code */
/* What a field's prefill asks of it. */
struct data_source { const char *organisation, *service, *attribute; const struct registry *registry; const struct data_service *data; };
bool pack_data_source(const struct pack *p, const struct field *f, struct data_source *out); /* false when the field has no prefill */

/* ---- looking things up in a service ------------------------------------------------------ */
const struct field *service_field(const struct service *s, const char *name);
int service_state(const struct service *s, const char *name);                  /* -1 */
const struct action *service_action(const struct service *s, int state, const char *name);
/* Owner of a case with these canonical data; -1 with ERR_INVALID when the place has nobody responsible. */
int service_owner(const struct pack *p, const struct service *s, const json_t *data, struct err *err);
int64_t service_fee(const struct service *s, const json_t *data, const struct fee_row **row); /* rial */
int inquiry_organisation(const struct pack *p, const struct inquiry *q, const json_t *data);  /* -1 when none */

/* ---- the directive for electronic service desks ------------------------------------------- */
/* What must be told about every service, and where in the pack that stands. */
#define STANDARD_TABLE(X)                                                                                                       \
  X(STANDARD_DOCUMENTS, "documents", "identity.documents") X(STANDARD_STEPS, "steps", "workflow.states.plain")                    \
  X(STANDARD_DURATION, "duration", "deadlines") X(STANDARD_COST, "cost", "identity.cost") X(STANDARD_LAW, "law", "identity.law") \
  X(STANDARD_CHANNELS, "channels", "identity.stages") X(STANDARD_STATEMENT, "statement", "statement") X(STANDARD_FAQ, "faq", "faq") \
  X(STANDARD_SURVEY, "survey", "rating") X(STANDARD_COMPLAINT, "complaint", "appeal") X(STANDARD_CONTACT, "contact", "organisations.csv: phone")
enum standard {
#define X(name, text, where) name,
  STANDARD_TABLE(X)
#undef X
  STANDARD_COUNT
};
const char *standard_text(enum standard c);
const char *standard_where(enum standard c);
bool service_meets(const struct pack *p, const struct service *s, enum standard c);

/* ---- validation --------------------------------------------------------------------------- */
/* Judge one typed answer. `in` is JSON (string from forms and USSD for every type; or the natural JSON type). Repairs identifiers, digits
 * and text. Returns 0 and a new reference to the canonical value, or -1 with a code ("required","type","pattern","min","max","choice",
 * "constraint","not_asked","unknown","too_long","bidi","date","place") and a sentence in the person's language (arena-owned).
 * data: canonical answers so far (for place_within, when, constraint). today: local day. */
int field_check(const struct pack *p, const struct field *f, const json_t *in, const json_t *data, int32_t today,
                enum lang l, struct arena *a, json_t **out, const char **code, const char **message);
/* Canonical strings: date "YYYY-MM-DD" Gregorian; numbers JSON numbers (decimal as number); money integer rial; yes_no/declaration booleans;
 * choices arrays; place/organisation codes; identifiers canonical; document: array of ids. */
/* Judge a whole answer: every field in order; unknown members refused; fields not asked (when false) refused with "not_asked".
 * 0: *out canonical object (new reference). -1: *errors array of {"field","code","message"} (new reference). */
int service_validate(const struct pack *p, const struct service *s, const json_t *in, int32_t today, enum lang l,
                     struct arena *a, json_t **out, json_t **errors);
/* Validate data of an action likewise. */
int action_validate(const struct pack *p, const struct action *act, const json_t *in, int32_t today, enum lang l,
                    struct arena *a, json_t **out, json_t **errors);
/* `chapar check PACK --judge`: reads JSON lines {"service","data"} and writes one line for each, {"valid":true,"data":canonical} or
 * {"valid":false,"errors":[…]}; a line that is none of these gives {"error":…}. The line {"schemas":true} gives
 * {"schemas":{code: form_schema}} of the services in effect. For tests of engine against schema. 0 at the end of input. */
int catalog_judge(const struct pack *p, FILE *in, FILE *out);
/* Show a canonical value to a person: labels of choices, Jalali dates, grouped digits, names of places; arena-owned. */
char *field_show(const struct pack *p, const struct field *f, const json_t *value, enum lang l, struct arena *a);
/* JSON Schema of one canonical value, with its titles (new reference). */
json_t *field_schema(const struct field *f, int32_t today);
/* Remove answers whose field is no longer asked (a web form after a change). In place. */
void service_prune(const struct service *s, json_t *data);

#endif
