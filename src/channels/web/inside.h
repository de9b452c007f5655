/* Shared by the files of this room alone. */
#ifndef CHAPAR_WEB_INSIDE_H
#define CHAPAR_WEB_INSIDE_H

#include "channels/web/web.h"

#define FORM_BODY (64 * 1024)
#define FILES_BODY (21 * 1024 * 1024)

struct web_context *web_of(const struct http_req *r);
const struct actor *web_actor(const struct http_req *r); /* never NULL */
const char *say(const struct http_req *r, const char *key); /* words "web.<key>" */
const struct pack *web_pack(const struct http_req *r);

/* ---- pages ---- */
/* What every page knows; `form` makes the visitor's cookie so that a form token can be given. */
json_t *page_new(struct web_context *c, struct http_req *r, const char *title, bool form);
/* Render templates/web/<name>; takes the context. */
void page_reply(struct web_context *c, struct http_req *r, int status, const char *name, json_t *page);
void put(json_t *o, const char *key, const char *value);       /* "" and NULL become null: a false section */
void put_flag(json_t *o, const char *key, bool value);
void put_list(json_t *o, const char *key, json_t *list);        /* takes list; has_<key> tells whether it has items */
void put_number(struct http_req *r, json_t *o, const char *key, int64_t n); /* in the reader's digits */
void crumb(json_t *page, const char *href, const char *text);
void fault(json_t *page, const char *href, const char *text);   /* one line of the error summary */
void web_error(struct http_req *r, const struct err *err);
void not_found(struct http_req *r);

/* ---- showing ---- */
const char *local(struct http_req *r, const char *digits);
const char *show_time(struct http_req *r, const char *rfc3339); /* with hour and minute */
const char *show_moment(struct http_req *r, const char *rfc3339); /* the day in words, with hour and minute */
const char *show_time_day(struct http_req *r, const char *rfc3339);
const char *show_day_short(struct http_req *r, const char *rfc3339);
const char *show_left(struct http_req *r, int64_t days);         /* working days to a deadline, or past it */
const char *show_iso_day(struct http_req *r, const char *iso);
const char *show_code(struct http_req *r, const char *tracking); /* in groups of four */
json_t *qr_json(const char *text);                              /* {"size","path"} for an SVG, NULL when it cannot be */
const char *web_address(struct http_req *r, const char *path);  /* absolute */
const char *safe_next(const char *path);                        /* a path of our own, or NULL */
const char *url_quote(struct http_req *r, const char *text);
const char *service_owner_name(const struct pack *p, const struct service *s, enum lang l);
const struct service *find_service(struct http_req *r);         /* of the path; NULL after replying 404 */

bool waits_for_citizen(const struct state *st);                  /* NULL: no */
/* The state of a list's item; NULL when the service has gone. */
const struct state *item_state(struct http_req *r, const json_t *item);

/* Who works on cases of an organisation, oneself chosen: [{"value","label","chosen"}] */
json_t *colleagues_json(struct http_req *r, const char *organisation);
/* letters.c: items of cases_letters or cases_letter_queue for a list; and the page's part about a case's letters. */
json_t *letters_json(struct http_req *r, const json_t *letters, bool received);
void put_letters(struct http_req *r, json_t *page, const char *tracking, bool handles);
const char *in_place(struct http_req *r, const char *absent); /* "in the place of X"; NULL for NULL */
const char *member_name(const json_t *staff, const char *username); /* by a list of identity_staff; else the username */
/* Replies: to the most urgent case of a desk, behind `after` (or NULL), or back to the desk that has none. Worker routes. */
void next_case(struct http_req *r, const char *organisation, const char *after);
const char *fresh_key(struct http_req *r);                       /* for a hidden box: sent twice, done once */

/* The rest of what the citizen of a case reads (follow.c). */
void put_follow(struct http_req *r, json_t *page, const json_t *view, const struct service *s, bool citizen);
void put_told(struct http_req *r, json_t *event, const char *action, const char *organisation);
bool own_right(const char *right);                               /* a case seen as its citizen, or for its citizen by mandate */
/* What a remark is besides its text: caller, telephone, promise; number, date and sender of a letter. */
void put_note(struct http_req *r, json_t *o, const json_t *note);

/* ---- who, without and with a session ---- */
const char *web_visitor(struct http_req *r);                    /* a good cookie, or NULL */
const char *draft_owner(struct http_req *r);                    /* NULL when there is no cookie yet */
void drafts_move(struct http_req *r, const struct actor *to);   /* from the visitor to who has signed in */
/* Drafts that can be resumed: [{"href","title","saved"}] */
json_t *drafts_json(struct http_req *r);
void to_signin(struct http_req *r, bool staff);                 /* redirect there and back to this page */

/* ---- fields ---- */
struct shown_field {
  const struct field *field;
  const struct pack *pack;  /* whose places and organisations it offers; NULL: today's */
  const json_t *value;      /* canonical answer, or NULL */
  const char *raw;          /* what was typed and refused, or NULL */
  const char *error;        /* or NULL */
  const json_t *data;       /* answers so far */
  const json_t *files;      /* {"id":{"name"}} of documents */
  bool carries;             /* hidden boxes keep what was sent: no draft does */
  const char *find;         /* first letters of long lists, or NULL */
  const json_t *known;      /* {"value","organisation","correctable"}: what another organisation has on record, or NULL */
  const json_t *missing;    /* {"why","organisation"}: it could not be asked now, or NULL */
};
const char *known_by(struct http_req *r, const json_t *known);  /* "from: organisation X" */
json_t *field_json(struct http_req *r, const struct shown_field *k);
/* One line of the error summary, with the question's label and a link to it. */
void field_fault(struct http_req *r, json_t *page, const struct field *f, const char *message);
/* Options of organisations of a directory by first letters; *all: how many there were. */
json_t *organisation_options(struct http_req *r, const struct directory *d, int kind, const char *find, const char *chosen, size_t *all);
/* What was sent for a field as JSON for field_check (new reference or NULL); documents are stored on the way. `kept`: ids that stay.
 * -1 with *message when a file is refused. */
int field_take(struct http_req *r, const struct field *f, const json_t *kept, json_t *files, json_t **out, const char **message);
const char *field_raw(struct http_req *r, const struct field *f); /* first value sent, arena-owned */
size_t field_most_files(const struct field *f);
/* Documents that a form without a draft carries from one showing to the next, in hidden boxes keep.NAME: ids (new reference); their names go
 * into files. Whose they are is judged when they are bound. */
json_t *field_kept(struct http_req *r, const struct field *f, json_t *files);

/* ---- messages ---- */
void put_messages(struct http_req *r, json_t *page, const char *tracking, const char *right); /* of a case, for its office */
void put_undelivered(struct http_req *r, json_t *page, const char *organisation);             /* how many of a desk's did not arrive */

/* ---- figures ---- */
bool web_figures(const struct actor *who);                       /* there are some that they may see */

/* ---- the counter ---- */
extern const struct http_route web_counter_rows[];
extern const size_t web_counter_count;
extern const struct http_route web_looks_rows[];
extern const size_t web_looks_count;

/* ---- search ---- */
void search_build(struct web_context *c);
/* Services that hold the words, best first; *corrected is the spelling that was searched instead, or NULL. Returns how many. */
size_t search_services(struct http_req *r, const char *q, const struct service **out, size_t most, const char **corrected);
int web_check_papers(struct web_context *c, struct err *err); /* texts of certificates that cannot be read are told at the start */

extern const struct http_route web_static_rows[], web_catalogue_rows[], web_form_rows[], web_signin_rows[], web_case_rows[], web_act_rows[],
  web_mine_rows[], web_mandate_rows[], web_counter_mandate_rows[], web_desk_rows[], web_bulk_rows[], web_registry_rows[], web_message_rows[], web_call_rows[];
extern const size_t web_static_count, web_catalogue_count, web_form_count, web_signin_count, web_case_count, web_act_count, web_mine_count, web_mandate_count, web_counter_mandate_count,
  web_desk_count, web_bulk_count, web_registry_count, web_message_count, web_call_count;
extern const struct http_route web_manager_rows[];
extern const size_t web_manager_count;
extern const struct http_route web_certificate_rows[];
extern const size_t web_certificate_count;
extern const struct http_route web_absence_rows[], web_letter_rows[];
extern const size_t web_absence_count, web_letter_count;
/* The pages of administration, and a member of staff's own account. */
int web_admin_routes(struct http_server *s, struct web_context *ctx, struct err *err);
extern const struct http_route web_transfer_rows[];
extern const size_t web_transfer_count;
/* The pages of the government network. */
int web_network_routes(struct http_server *s, struct web_context *ctx, struct err *err);

/* ---- the data exchange ---- */
void put_rights_due(struct http_req *r, json_t *page, const char *organisation); /* exchange.c: how many rights wait for this manager's look */
json_t *web_exchange_uses(struct http_req *r);                   /* exchange_live.c: {grant: {"used_at","uses"}}, new reference */
void web_exchange_figures(struct http_req *r, json_t *page, const char *organisation); /* of its services and its own calls */
extern const struct http_route web_exchange_rows[], web_exchange_live_rows[];
extern const size_t web_exchange_count, web_exchange_live_count;

#endif
