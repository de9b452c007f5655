/* Shared by the files of this room alone. */
#ifndef CHAPAR_USSD_INSIDE_H
#define CHAPAR_USSD_INSIDE_H

#include "channels/ussd/ussd.h"

enum tongue { TONGUE_FA, TONGUE_EN, TONGUE_LATN };

struct turn {
  struct ussd_context *c;
  const struct ussd_carrier *carrier;
  json_t *state;
  const char *mobile, *session;
  struct arena *a;
  enum tongue tongue;
  const char *fault;        /* said above the screen that comes again */
  const char *zero;         /* word of what 0 does here: skip; menu: 0 is an answer, 00 leads to the menu; NULL: back */
  const char *screen;
  bool end;
};

/* heard.c: no store, no server, any bytes */
enum heard_kind { HEARD_MESSAGE, HEARD_BEGINS, HEARD_REPLY, HEARD_OVER };
struct heard {
  int op;                   /* ussd_service_op, -1: none */
  bool has_its;
  unsigned char its[2];     /* its_session_info: session, then dialogue in seven bits and the end flag */
};
enum heard_kind heard_kannel(const char *raw_query, const struct ussd_carrier *c, struct heard *h); /* by its parameters op and its */
void heard_meta(const struct heard *h, const struct ussd_carrier *c, bool end, char out[80]);       /* the value of X-Kannel-Meta-Data */
size_t heard_inputs(char *text, char **inputs, size_t most);         /* what stands between the '*'; splits text in place */
bool heard_allowed(const char *list, const char *peer);              /* an empty list: everybody */

/* screen.c */
const char *menu_word(const struct turn *t, const char *key);               /* words ussd.KEY, or ussd.latn.KEY */
const char *menu_label(const struct turn *t, const struct text *text, const char *latn);
size_t screen_limit(const struct turn *t, const char *text);         /* characters that fit, by the alphabet of the text */
bool screen_fits(const struct turn *t, const char *text);
const char *screen_cut(struct turn *t, const char *text);            /* shortened until it fits */
/* A list by pages: title, lines, and what leads on. numbers: own number of each line, NULL: 1, 2, 3. */
const char *screen_list(struct turn *t, const char *title, const char *const *lines, const char *const *numbers, size_t count);
/* A question whose answer is typed; the hint goes when there is no room. */
const char *screen_prompt(struct turn *t, const char *title, const char *hint);
const char *screen_with_fault(struct turn *t, const char *screen);   /* below what was wrong, if that fits */
/* A text by pages; the state's page says which. *last: this is the last page. */
const char *screen_text(struct turn *t, const char *text, bool *last);
const char *digits_of(const struct turn *t, const char *s);

/* latin.c: does the Persian name begin with what was typed in Latin letters, as they sound? */
bool latin_begins(const char *name, const char *typed);
const char *latin_of(struct arena *a, const char *name);             /* a Persian name in Latin letters, roughly: short vowels are not written */

/* find.c */
const char *find_by_letters(struct turn *t, const struct field *f, const char *input); /* a code, or NULL: the state's candidates are to be chosen from, if any */
void find_remember(struct turn *t, const struct field *f, const char *code);           /* a place as the caller's last choice of its kind */
const char *find_last(const struct turn *t, const struct field *f);                    /* that choice where it can be the answer here, or NULL */

/* form.c */
void form_begin(struct turn *t, const struct service *s);
void form_show(struct turn *t);
void form_take(struct turn *t, const char *input);
bool form_lists(struct turn *t);

/* proxy.c: mandates. proxy_show, proxy_take: false for places that are not its own. */
bool proxy_show(struct turn *t, const char *place);
bool proxy_take(struct turn *t, const char *place, const char *input, const char *d);
bool proxy_lists(const char *place);                                      /* does 99 turn its page */
bool proxy_known(const struct turn *t, struct actor *who);                /* has the caller told who they are, by a code, in this session */
void proxy_ask(struct turn *t, const char *then);                         /* find that out, then on to a place */
bool proxy_acting(const struct turn *t);
int proxy_actor(const struct turn *t, struct actor *who);                 /* 1: who acts and for whom; 0: nobody acts for another; -1: no longer */
const char *proxy_title(const struct turn *t);                            /* instead of whom; NULL */
void proxy_lapsed(struct turn *t);

void menu_services(struct turn *t);                                       /* to the services: by ways where there are many */
void menu_go(struct turn *t, const char *place);                          /* to a place of the menu, first page */
void menu_show(struct turn *t);                                           /* the screen of where the dialogue is */
void menu_finish(struct turn *t, const char *text);                       /* a last text, by pages if it must be */

#endif
