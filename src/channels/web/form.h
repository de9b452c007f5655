/* A form being filled in: by a citizen for themselves (/services/…), or by an agent for whoever stands at the counter (/counter/…). */
#ifndef CHAPAR_WEB_FORM_H
#define CHAPAR_WEB_FORM_H

#include "channels/web/inside.h"

enum { MOST_SCREENS = 60 };

/* A page is cut before a question that depends on another of the same page: without scripts each answer must be known before. */
struct screen { const struct page *page; size_t from, count; };

/* Who stands at the counter; all NULL away from it. Strings live in the request's arena. */
struct visit { const char *id, *owner, *national_id, *mobile, *seen, *digits, *mandate, *principal, *instead; }; /* mandate: under which they act, for principal */

struct form {
  struct http_req *r;
  const struct service *s;
  struct visit visit;
  struct actor as;            /* who is asked about: the visitor, or the person at the counter where they consented */
  const char *owner;          /* of the draft; NULL: no cookie yet */
  json_t *draft, *data, *files;
  struct screen screens[MOST_SCREENS];
  size_t count;
  const char *submitted;      /* tracking code, when this draft has become a case */
};

/* form.c. Those that answer -1 have replied. */
int form_open(struct form *f, struct http_req *r);
void form_close(struct form *f);
int form_save(struct form *f);
int form_ready(struct form *f, json_t **data);              /* complete and valid; *data is the caller's */
const char *form_link(const struct form *f, const char *rest);
json_t *form_page(const struct form *f, const char *title);
json_t *form_answers(const struct form *f);
void form_check(struct form *f, json_t *errors, const char *message, int status); /* the page of all answers */
void form_differences(struct form *f, json_t *errors);      /* what was known has changed: asked anew; takes errors */
void form_filed(struct form *f, const char *tracking);      /* the draft has become a case: to its receipt */

/* counter.c */
int visit_open(struct form *f);                             /* the visit of the path, this agent's */
void visit_show(const struct form *f, json_t *page);
int visit_load(struct http_req *r, struct visit *v);
int visit_save(struct http_req *r, const struct visit *v);  /* after a change of what is acted under */
void visit_person(struct http_req *r, json_t *page, const struct visit *v);
/* counter_mandates.c: fill in for whom a submission is; 0, or -1 when the mandate or the person's consent is over. */
int visit_acting(struct http_req *r, const struct visit *v, struct actor *who);

#endif
