/* Shared by the pages of the government network alone. */
#ifndef CHAPAR_WEB_NETWORK_H
#define CHAPAR_WEB_NETWORK_H

#include "channels/web/inside.h"
#include "network/network.h"

struct network *net_of(const struct http_req *r);
const char *net_say(const struct http_req *r, const char *key);                 /* words "web.net_<key>" */
/* A page with the network's tabs; here: path of the tab. */
json_t *net_page(struct http_req *r, const char *title, const char *here, bool form);
void net_reply(struct http_req *r, json_t *page, const char *name);             /* templates/web/network_<name> */

/* ---- who sees and does what ---- */
bool net_sees_all(const struct actor *who);                                     /* operator, auditor */
bool net_sees(const struct actor *who, const char *organisation);               /* addresses, notes and names of this organisation's offices */
bool net_acts(const struct actor *who, const char *organisation);               /* operator, or manager of it; NULL: of any */
/* As whom the caller acts on what belongs to the organisation; false when not at all. */
bool net_by(const struct actor *who, const char *organisation, struct network_by *by);
/* The same where it is not known whose the thing is: one of the caller's organisations that manages, else false. */
bool net_by_any(const struct actor *who, struct network_by *by);

/* ---- showing ---- */
void net_state(struct http_req *r, json_t *o, const char *key, const char *state); /* key: {"name","word"} */
int net_rank(const char *state);                                                /* how bad: to colour a cluster by its worst */
const char *net_level(struct http_req *r, const char *level);
const char *net_ago(struct http_req *r, int64_t ms);                            /* a length of time in words: "2 h 5 min" */
const char *net_since(struct http_req *r, const char *rfc3339);                 /* how long it is so, or NULL */
const char *net_percent(struct http_req *r, double share, int places);          /* "–" for NAN */
const char *net_ms(struct http_req *r, const json_t *v);                        /* "12.3", "–" for null */
const char *net_ms_of(struct http_req *r, double ms); /* NAN: not known */
const char *net_number(struct http_req *r, int64_t n);
const char *net_count(struct http_req *r, const char *what, int64_t n);         /* "3 offices"; what: offices, services, people */
json_t *net_states_json(struct http_req *r, const json_t *states, const char *base); /* tiles of counts; base: address to filter by */
json_t *net_county_options(struct http_req *r, const char *chosen);
const char *net_query(struct http_req *r, const char *name);                    /* NULL when absent or empty */
int net_place(struct http_req *r, bool *bad);                                   /* index of ?place=, -1 none; *bad: no such place */
const char *net_office_name(struct http_req *r, const char *code);
const char *net_organisation_of(struct http_req *r, const char *office);        /* code, NULL */
int64_t net_time(const json_t *o, const char *key);                             /* of an RFC 3339 member; 0 none */
json_t *net_incident_json(struct http_req *r, const json_t *one);               /* a row of a list */
json_t *net_counties_json(struct http_req *r, const json_t *summary);
/* What goals allow: "available", "available_service", "goal", "budget", budget_over, has_budget (service hours were measured). */
void net_budget(struct http_req *r, json_t *page, const struct network_line *l);
/* The same of the last 30 days for the first line of a group at a place, or of an organisation or an office; false after replying an error. has_availability. */
bool net_put_budget(struct http_req *r, json_t *page, struct network_availability_query q, struct network_line *line);
json_t *net_alarms(struct http_req *r);                                         /* goals that are spent, or soon will be: [{"name","text","href"}] */
void net_put_coverage(struct http_req *r, json_t *page, int place);
char *net_map(struct http_req *r, const json_t *summary, int within, const char *label, bool links); /* malloc'ed SVG */

/* ---- forms ---- */
const char *net_value(struct http_req *r, const char *name);                   /* of a form or of the address: repaired, NULL when empty */
void net_box(struct http_req *r, json_t *page, const char *field, const char *wrong_field, const char *wrong); /* its value and its fault */
/* ---- tables as files ---- */
struct net_table { struct buf b; size_t columns; };
void net_table_begin(struct net_table *t, const char *const *names, size_t n);
void net_table_cell(struct net_table *t, const char *text, bool last);
void net_table_number(struct net_table *t, double v, int places, bool last);    /* NAN: empty */
void net_table_reply(struct http_req *r, struct net_table *t, const char *file);

extern const struct http_route web_network_rows[], web_network_office_rows[], web_network_incident_rows[], web_network_figure_rows[], web_network_plan_rows[],
  web_network_goal_rows[], web_network_growth_rows[], web_network_prober_rows[];
extern const size_t web_network_count, web_network_office_count, web_network_incident_count, web_network_figure_count, web_network_plan_count, web_network_goal_count, web_network_growth_count,
  web_network_prober_count;

#endif
