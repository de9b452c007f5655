/*
 * network: where the government network ends: offices probed, their states with causes, incidents, availability. Layer 3; includes base, language,
 * store, trust, directory. Thread-safe unless it says otherwise.
 *
 * Nodes are the directory's offices and those that were added in the store (network_plan); each may have an address, an interval and checks. A prober
 * (`chapar serve`, or `chapar probe` at a hub, each with a helper process) sends several packets a probe. The core (core.h, without I/O) makes states of them:
 *   up           answers, and well
 *   degraded     answers, but loses packets or is slow (over the last 10 probes), or a check of a service of it fails
 *   down         does not answer although a parent does: its own fault
 *   unreachable  does not answer, and nothing above it does: a parent's fault, joined to that parent's incident
 *   maintenance  within a window of its own, or below nothing but such windows
 *   unknown      not measured: no address yet, or the prober itself is away
 * Silence is judged after `attempts` lost probes in a row and counts from the first of them; one answer ends it. What is above is probed again before what
 * is below is judged; a node is down only when something above answered before and after its last lost probe.
 *
 * Two stores: `main` holds what people decide and rely on (incidents, acts, windows, added nodes; each act and each step of an incident is a leaf of the
 * ledger), `samples` the measurements (raw, hours, days, months, spans of states). On PostgreSQL both are the same store.
 * On several nodes a lease says who probes; the others read what it wrote, at most a second later.
 */
#ifndef CHAPAR_NETWORK_H
#define CHAPAR_NETWORK_H

#include "base/base.h"
#include "directory/directory.h"
#include "language/language.h"
#include "store/store.h"
#include "trust/trust.h"

/* state, machine name (words web.net_state_NAME); worst last but for unknown */
#define NETWORK_STATE_TABLE(X) X(NETWORK_UP, "up") X(NETWORK_DEGRADED, "degraded") X(NETWORK_DOWN, "down") X(NETWORK_UNREACHABLE, "unreachable") \
  X(NETWORK_MAINTENANCE, "maintenance") X(NETWORK_UNKNOWN, "unknown")
enum network_state {
#define X(name, text) name,
  NETWORK_STATE_TABLE(X)
#undef X
  NETWORK_STATES
};
const char *network_state_text(enum network_state s);
int network_state_parse(const char *text);               /* -1 when there is none such */
const char *network_level_text(enum office_level l);     /* core, hub, district, office, dehyari */
int network_level_parse(const char *text);

#define NETWORK_PACKETS_MOST 8
#define NETWORK_CODE 65              /* 64 characters */
#define NETWORK_NOTE_MOST 2000       /* bytes of a note or reason */

struct network;

/* One step of an incident that people may have to be told of. Strings live until the call returns. */
#define NETWORK_STEP_TABLE(X) X(NETWORK_OPENED, "opened") X(NETWORK_ESCALATED, "escalated") X(NETWORK_CLOSED, "closed") \
  X(NETWORK_TAKEN_UP, "acknowledged") X(NETWORK_NOTED, "noted") X(NETWORK_HANDED, "handed")
enum network_step {
#define X(name, text) name,
  NETWORK_STEP_TABLE(X)
#undef X
};
struct network_news {
  int64_t incident;
  enum network_step step;
  int level;                         /* 0 at the opening and the closing; 1, 2, 3 at the escalations */
  const char *kind;                  /* as of struct network_incident */
  const char *office, *organisation; /* codes of the root and of the organisation whose building it is */
  const char *name_fa, *name_en;     /* of the office */
  int64_t began, ended;              /* ended 0: open */
  int64_t offices, services, population; /* its blast radius */
  bool acknowledged;                 /* nobody is escalated to after that: told so that a port may word it */
  const char *who, *text;            /* of the last three steps, which programs alone are told of; else NULL */
  int64_t at;                        /* of these; else 0 */
};

/* A goal of availability whose downtime goes too fast, or is gone: worse last. */
#define NETWORK_ALARM_TABLE(X) X(ALARM_NONE, NULL) X(ALARM_SLOW, "slow") X(ALARM_FAST, "fast") X(ALARM_SPENT, "spent")
enum network_alarm_kind {
#define X(name, text) name,
  NETWORK_ALARM_TABLE(X)
#undef X
};
const char *network_alarm_text(enum network_alarm_kind k);   /* NULL: none */
enum network_alarm_kind network_alarm_parse(const char *text); /* of NULL and what is no alarm: none */
/* One step of an alarm: it begins or becomes worse than it ever was (kind), or ends (none). Strings live until the call returns. */
struct network_alarm {
  int64_t number;                    /* of the alarm, the same until it ends */
  enum network_alarm_kind kind;
  const char *scope, *code;          /* "level" of a class of offices, "organisation" */
  const char *organisation;          /* its code; "" of a class, which is the province's */
  const char *name_fa, *name_en;
  double goal, availability, burn_6, burn_72; /* NAN: nothing was measured */
  int64_t budget_left_s, began, at;
};

struct network_options {
  const char *node;                  /* this process's name, for the lease and as the prober's name in the centre */
  bool demo;                         /* every office gets an address of its own in 127.64.0.0/10, others are never probed; lines are cut on a schedule */
  const char *source4, *source6;     /* addresses to send from, or NULL */
  struct link *helper;               /* network_helper_begin; outlives the room. NULL: network_start begins one of its own */
  const char *anchors;               /* addresses, by comma, of which one must answer, else the prober itself is cut off; NULL: the cores do as anchors */
  const char *snmp_access;           /* file of users of version 3 of SNMP (usm.h); NULL: none */
  int packets, gap_ms, timeout_ms;   /* of a probe: 0 gives 5 packets, 200 ms apart, 1500 ms after the last */
  int interval_ms, retry_ms;         /* 0: 60,000 between probes; 5,000 after a lost one until it is judged */
  int attempts;                      /* probes in a row that make a state hard; 0: 3 */
  int check_ms;                      /* a TCP or HTTP check is answered within; 0: 5,000 */
  int raw_days, hour_days, day_years; /* kept: raw 3 days, hours 90 days, days and months 10 years */
  const int64_t *escalate_ms;        /* 3 ages of an incident that nobody acknowledged; NULL: 15 minutes, 1 hour, 4 hours */
  int64_t hand_after_ms;             /* incidents of this age become a case by themselves (port hand); 0: only when somebody does it */
  int service_from, service_to;      /* minutes of the day of service hours; both 0: 7:30–14:30 */
  /* Does this organisation (index in the directory) work on this day? NULL: Saturday to Wednesday. From any thread. */
  bool (*works)(void *ctx, int organisation, int32_t day);
  void *works_ctx;
  int64_t accept_ms;                 /* so long a new link is measured before it is accepted; 0: three days */
  /* How many services stand behind an organisation, for the blast radius; NULL: 0. From any thread. */
  int64_t (*services)(void *ctx, const char *organisation);
  void *services_ctx;
  /* Upward port: people are told (messages through the outbox; each told person by network_told_put). Inside a transaction of `main`, once for each
   * step; may be run again. NULL: nobody. */
  int (*tell)(void *ctx, struct network *n, struct store_tx *tx, const struct network_news *news, struct err *err);
  void *tell_ctx;
  /* Upward port: the same for alarms of goals, once for each step. NULL: nobody. */
  int (*alarm)(void *ctx, struct network *n, struct store_tx *tx, const struct network_alarm *a, struct err *err);
  void *alarm_ctx;
  /* Upward port: the fault becomes a case at the desk of the responsible organisation. Outside transactions, on the thread of network_jobs; must be idempotent by the
   * incident's number. tracking: filled. NULL: ERR_UNSUPPORTED to those who ask. */
  int (*hand)(void *ctx, const struct network_news *news, const char *by, const char *comment, char tracking[40], struct err *err);
  void *hand_ctx;
};

/* Tables of rooms "network" (main) and "samples" (samples) must be migrated. d must outlive it. */
int network_open(struct store *main, struct store *samples, struct trust *t, const struct directory *d, const struct network_options *o,
                 struct network **out, struct err *err);
/* For network_leaf_digest and network_verify alone. */
struct network *network_reader(struct store *main);
void network_close(struct network *n);                   /* stops first */
/* Packets are sent and answers read by a process of its own (network/helper.h), with no more than its sockets. Begun before any other thread: it takes CAP_NET_RAW
 * with it, if there is one, and this process has it no longer, nor has what it begins. probe false: gives the capability up alone, answers NULL. o: source4, source6. */
struct link *network_helper_begin(const struct network_options *o, bool probe);
void network_helper_end(struct link *l);                 /* accepts NULL; after network_close */
/* The prober's threads, begun and ended. Begins also where packets may not be sent: then network_probing tells why, and every state is unknown. */
int network_start(struct network *n, struct err *err);
void network_stop(struct network *n);
/* Rollups, retention, news, escalations, hand-overs. Call it every second from a thread of its own; a lease inside. *did: how much was done (may be NULL). */
int network_jobs(struct network *n, int64_t *did, struct err *err);

/* How the measuring itself goes. */
struct network_probing {
  const char *method4, *method6;     /* "raw", "ping" (unprivileged), "none" */
  const char *trouble;               /* "" or a word key of a sentence that says what to do (network.trouble_…) */
  bool here;                         /* this process probes (else another node holds the lease) */
  int64_t last;                      /* when a probe last ended anywhere; 0 never */
  int64_t sent, received, lost, late, hostile, unsent; /* packets since the start: answers too late, answers that were not ours, not sent by local errors */
  int64_t probes, overdue_ms;        /* probes that ended; how far the schedule is behind now */
  int64_t dropped;                   /* bundles of measurements since the start that were given up because the store was away too long */
};
void network_probing(struct network *n, struct network_probing *out);

/* ---- offices now --------------------------------------------------------------------------------------------------------------------------- */

struct network_office {              /* strings live until network_close */
  const char *code, *name_fa, *name_en, *address, *checks, *prober; /* "" when there is none */
  int node;                          /* index of the node */
  int directory;                     /* its index in the directory, -1: added in the store */
  int organisation, place, county;   /* indices in the directory; -1 when there is none */
  enum place_setting setting;        /* urban, rural */
  enum office_level level;
  double lat, lon;                   /* NAN when unknown: then the place's, where that is known */
  int uplinks[4], uplink_count;      /* nodes */
  bool synthetic;
  enum network_state state;
  bool soft;                         /* a change is being judged */
  bool flapping;                     /* changes too often (Icinga's formula: begins above 30 %, ends below 25 %) */
  double flapping_percent;
  int64_t since;                     /* of the state; 0 unknown */
  int64_t decided;                   /* when the state was decided; counts from `since` */
  int64_t incident;                  /* that it is part of, 0 none */
  int64_t probed;                    /* when it was last probed; 0 never */
  int64_t interval_ms;
  int sent, lost;                    /* packets of the last probe */
  double rtt_min, rtt_median, rtt_p95, jitter; /* ms of the last probe; NAN when everything was lost */
  double loss_recent, rtt_recent;    /* shares 0–1 and ms over the last ten probes: what degraded is judged by */
  bool connected;                    /* it answered at least once since it has an address: the acceptance of a new connection */
  int64_t connected_at;              /* when first; 0 never */
};
size_t network_nodes(struct network *n);
int network_find(struct network *n, const char *code);                           /* node, -1 */
int network_node(struct network *n, int node, struct network_office *out);       /* -1 out of range */
/* Each in order of nodes, under a lock that holds the prober up: copy and be short. fn answers false to stop. */
void network_each(struct network *n, bool (*fn)(void *ctx, const struct network_office *o), void *ctx);

struct network_query {
  int place;                         /* index: there and below; -1 all */
  const char *organisation;          /* code, NULL all */
  int state, level, setting;         /* -1 all */
  const char *text;                  /* begins a word of the folded name, or the code; NULL all */
  const char *after;                 /* code: page by key; NULL from the beginning */
  int limit;                         /* 1–5,000; 0: 50 */
};
/* {"items":[{"code","name","organisation","organisation_name","place","place_name","county","county_name","setting","level","lat","lon","state","since","soft",
 * "flapping","incident","rtt_ms","loss","interval_s","uplinks":[codes],"synthetic","connected"}],"next","total"}; times RFC 3339, numbers or null. */
int network_offices(struct network *n, const struct network_query *q, enum lang l, json_t **out, struct err *err);
/* One as above and: "address","checks","prober","prober_away","prober_trouble" (why it cannot send; null),"probed","decided","jitter_ms","rtt_min_ms","rtt_p95_ms","loss_recent","rtt_recent_ms","flapping_percent",
 * "connected_at","uplinks":[{"code","name","state"}],"children":{state: number},"blast":{"offices","services","population"} (were it cut),
 * "windows":[…], "interfaces":[{"index","name","up","in_bps","out_bps","in_errors","out_errors","at"}] (SNMP). ERR_NOT_FOUND. Waits. */
int network_office(struct network *n, const char *code, enum lang l, json_t **out, struct err *err);
/* Below a node (NULL: the roots): {"items":[{"code","name","level","state","since","incident","children":n,"below":{state: number},"blast":{…}}]}. */
int network_tree(struct network *n, const char *code, enum lang l, json_t **out, struct err *err);
/* What would be cut with these nodes (redundant parents counted): offices, services, and the people of places in which an office is cut or no office is left, as far as
 * their number is on record. */
struct network_blast { int64_t offices, services, population; };
void network_blast(struct network *n, const int *nodes, size_t count, struct network_blast *out);
/* {"at","offices","states":{state: n},"connected","incidents":{"open","acknowledged"},"worst":[incident…5],"counties":[{"code","name","offices","states":{…}}],
 * "settings":{"urban":{…},"rural":{…}},"probing":{…}}. place -1: the province. */
int network_summary(struct network *n, int place, enum lang l, json_t **out, struct err *err);

/* ---- what changes: for server-sent events ---------------------------------------------------------------------------------------------------- */

/* Every change of a state and every step of an incident has the next number. Numbers survive a restart. */
int64_t network_cursor(struct network *n);
/* Changes after a cursor, oldest first: {"changes":[{"seq","at","office","from","to","since","incident"} or {"seq","at","incident","step" (opened, closed, acknowledged, noted, handed)}],"cursor","gap"};
 * gap: the last 20,000 are kept in memory, some between are lost to this reader, who reads the whole anew. Never waits. */
int network_changes(struct network *n, int64_t after, int most, json_t **out, struct err *err);
/* Wait until the cursor is beyond `after` or time is over; answers the cursor. For worker threads only. */
int64_t network_wait(struct network *n, int64_t after, int64_t timeout_ms);

/* ---- incidents -------------------------------------------------------------------------------------------------------------------------------- */

/* An incident is one cause: a root node that is down, degraded or flapping, or a prober that is away. What is unreachable behind it joins it. */
#define NETWORK_INCIDENT_TABLE(X) X(NETWORK_INCIDENT_DOWN, "down") X(NETWORK_INCIDENT_DEGRADED, "degraded") X(NETWORK_INCIDENT_FLAPPING, "flapping") \
  X(NETWORK_INCIDENT_PROBER, "prober")
enum network_incident_kind {
#define X(name, text) name,
  NETWORK_INCIDENT_TABLE(X)
#undef X
};
struct network_incident_query {
  int open;                          /* 1 open, 0 closed, -1 all */
  int place;                         /* of the root: there and below; -1 all */
  const char *organisation, *office, *kind; /* codes, NULL all; office: the root, or one that it reached */
  int64_t from, to;                  /* began within [from, to); 0 without a bound */
  int64_t before;                    /* number: page by key, newest first; 0 from the newest */
  int limit;                         /* 1–200; 0: 50 */
};
/* {"items":[{"id","kind","office","name","organisation","organisation_name","place","place_name","began","decided","ended","duration_s","open","acknowledged_at",
 * "acknowledged_by","case","offices","services","population","reached":n (unreachable members)}],"next"} */
int network_incidents(struct network *n, const struct network_incident_query *q, enum lang l, json_t **out, struct err *err);
/* One, and "members":[{"office","name","state","from","until"}] (at most 500, "members_total"), "events":[{"seq","at","kind","who","text","detail"}] (opened, joined, acknowledged,
 * noted, handed, escalated, closed), "told":[{"at","who","channel","level"}]. ERR_NOT_FOUND. */
int network_incident(struct network *n, int64_t id, enum lang l, json_t **out, struct err *err);

/* Who acts: the caller has judged the right to use the page; here it is judged whether the incident is theirs. */
struct network_by {
  const char *who;                   /* username */
  const char *organisation;          /* code: may act on what touches its offices; NULL: an operator of the province, on everything */
};
#define NETWORK_ACT_TABLE(X) X(NETWORK_ACKNOWLEDGE, "acknowledged") X(NETWORK_NOTE, "noted") X(NETWORK_HAND, "handed")
enum network_act {
#define X(name, text) name,
  NETWORK_ACT_TABLE(X)
#undef X
};
/* text: the note (1–2,000 bytes; may be NULL when acknowledging). Each is a leaf of the ledger. Acknowledging twice, or what is closed, is ERR_CONFLICT.
 * Hand: the case is opened by network_jobs within a second or two, once. ERR_NOT_FOUND what is another's, ERR_INVALID, ERR_UNSUPPORTED. Waits. */
int network_act(struct network *n, const struct network_by *by, int64_t incident, enum network_act act, const char *text, struct err *err);
/* From port tell: this person (or address) was told. channel: "sms", "mail", "page", "webhook". */
int network_told_put(struct store_tx *tx, int64_t incident, const struct network_news *news, const char *who, const char *channel, struct err *err);

/* ---- maintenance -------------------------------------------------------------------------------------------------------------------------------- */

struct network_window {
  int64_t id;                        /* out, when made */
  const char *office;                /* code: the node and all that hangs on nothing but it */
  int64_t from, to;                  /* at most 31 days; may begin up to 15 minutes ago, never backdated further */
  const char *reason;                /* 3–2,000 bytes */
};
/* ERR_INVALID, ERR_NOT_FOUND (no such office, or another's). A leaf of the ledger. Waits. */
int network_window_put(struct network *n, const struct network_by *by, struct network_window *w, struct err *err);
/* End it now, or take it away before it begins. ERR_CONFLICT when it is over. */
int network_window_end(struct network *n, const struct network_by *by, int64_t id, const char *reason, struct err *err);
/* {"items":[{"id","office","name","from","to","reason","by","at","ended_at","ended_by","state" (planned, running, over),"offices" (that it covers)}],"next"}; office NULL: all; before: as above. */
int network_windows(struct network *n, const char *office, const char *organisation, int64_t before, int limit, enum lang l, json_t **out, struct err *err);

/* ---- measurements and availability ------------------------------------------------------------------------------------------------------------- */

enum network_span { NETWORK_HOUR, NETWORK_DAY, NETWORK_MONTH, NETWORK_YEAR };  /* hour: raw probes; day: hours; month: days; year: Jalali months */
/* The span that ends at `until` (0: now): {"from","until","points":[{"at","until","probes","sent","lost","min","p10","median","p90","max","jitter"}] (ms; null when nothing
 * answered), "states":[{"from","until","state","incident"}], "availability":{…}}. Percentiles over hours and more come from a histogram with steps of 17 %. ERR_NOT_FOUND. Waits. */
int network_series(struct network *n, const char *code, enum network_span span, int64_t until, json_t **out, struct err *err);

/* Milliseconds in each condition; [0] round the clock, [1] in service hours. own: down by its own fault; upstream: unreachable. */
struct network_sums {
  int64_t up[2], degraded[2], own[2], upstream[2], maintenance[2], unknown[2];
  int64_t offices;                   /* that were summed */
  int64_t probes, sent, lost;
  int64_t rtt_count; double rtt_sum; /* of medians in ms: mean = rtt_sum / rtt_count */
};
/* (up + degraded) / (up + degraded + own + upstream): maintenance and unknown stand apart. hours 0 round the clock, 1 service hours. NAN when nothing was measured. */
double network_availability_of(const struct network_sums *s, int hours);

#define NETWORK_GROUP_TABLE(X) X(NETWORK_BY_PROVINCE, "province") X(NETWORK_BY_COUNTY, "county") X(NETWORK_BY_SETTING, "setting") X(NETWORK_BY_LEVEL, "level") \
  X(NETWORK_BY_ORGANISATION, "organisation") X(NETWORK_BY_OFFICE, "office")
enum network_group {
#define X(name, text) name,
  NETWORK_GROUP_TABLE(X)
#undef X
};
int network_group_parse(const char *text);
struct network_availability_query {
  enum network_group by;
  int32_t from, to;                  /* days (Asia/Tehran), both within; today counts up to now. At most 3,700 days */
  int place;                         /* there and below; -1 all */
  const char *organisation, *office; /* codes; NULL all */
  int64_t from_ms, to_ms;            /* instead of days where from_ms is not 0: [from, to) */
};
/* One line a group: key is a code ("urban"/"rural", a level's name), name in both languages; in the order of the table's codes. Caller frees with
 * network_availability_free. Waits. */
struct network_line { const char *key, *name_fa, *name_en; struct network_sums sums; int64_t incidents; double goal; int64_t budget_ms, budget_left_ms; };
int network_availability(struct network *n, const struct network_availability_query *q, struct network_line **out, size_t *count, struct err *err);
void network_availability_free(struct network_line *lines, size_t count);
/* The same as JSON: {"from","to","by","items":[{"key","name","offices","availability":{"all","service"} (0–1 or null),"ms":{"all":{"up","degraded","own","upstream","maintenance",
 * "unknown"},"service":{…}},"loss","rtt_ms","incidents","goal","budget_s","budget_left_s"}]} */
int network_availability_json(struct network *n, const struct network_availability_query *q, enum lang l, json_t **out, struct err *err);
/* Service-level goals: share of service hours (0.9–1) in which an office of this class answers, or each office of this organisation, which then counts in the class's place. goal 0: as it
 * was before anybody set one. An act with its reason (3–2,000 bytes), a leaf of the ledger. Operators alone. budget = (1 − goal) × time measured. ERR_INVALID, ERR_NOT_FOUND. Waits. */
struct network_goal_set { const char *level, *organisation; double goal; const char *reason; }; /* one of level and organisation, by its code */
int network_goal_put(struct network *n, const struct network_by *by, const struct network_goal_set *g, struct err *err);
double network_goal(struct network *n, int node); /* of one office; by default 0.9995 core, 0.999 hub, 0.995 district, 0.99 office, 0.98 dehyari */
/* How goals stand over the last 30 days, at most a minute old: {"days","at","items":[{"scope" ("level", "organisation"),"code","name","offices","goal","standard" (what it is unless set; null),
 * "reason","by","set_at" (null: never set),"availability":{"all","service"},"budget_s","budget_left_s","used" (share of the budget; null),"burn":{"hours_6","days_3"} (how many times faster than
 * it may the budget is used; null: no service hours were measured),"alarm_since" (null: people were told of none),"alarm": null, "slow" (3 days at 1 and more: it will not last), "fast" (6 hours at 6 and more), "spent"; each ends a little below its bound}],
 * "history":[{"at","by","scope","code","name","goal" (null: taken back),"reason"}] (the last 50)}. Classes first, then organisations with a goal of their own. Waits. */
int network_goals(struct network *n, enum lang l, json_t **out, struct err *err);

/* {"from","to","incidents","repair":{"mean_s","median_s","p90_s"} (closed ones of kind down),"acknowledge":{"mean_s"},"repeat":[{"office","name","incidents","down_s","mean_s","last"}] (two
 * or more, most first)}. from, to: days. */
int network_repairs(struct network *n, int32_t from, int32_t to, int place, int limit, enum lang l, json_t **out, struct err *err);

/* For indices: what is connected. A village is large with 20 households or more; where households are unknown, when it has a dehyari (which the law founds from 20 on).
 * period is now: history by network_availability. */
struct network_coverage { int64_t offices, connected, villages_large, villages_connected, villages_unsized; };
void network_coverage(struct network *n, int place, struct network_coverage *out);
/* The same as it was on the last day of [from, to] on which it was written down (*day): kept for counties and the province. 1, 0: nothing is known of these days. -1. Waits. */
int network_coverage_in(struct network *n, int place, int32_t from, int32_t to, struct network_coverage *out, int32_t *day, struct err *err);
/* Not yet connected: offices without an answer so far, large villages without an office: {"items":[{"kind":"office"|"village","code","name","place_name","county","county_name","lat","lon",
 * "population","since" (known to wait, or asked for, whichever came first; null: a moment ago),"asked" (an open request, null)}],"next"}; ordered by code. Waits. */
int network_backlog(struct network *n, int place, const char *after, int limit, enum lang l, json_t **out, struct err *err);

/* Open requests for a connection, as their desk has them: the whole list each time. */
struct network_asked { int place; char office[NETWORK_CODE]; int64_t at; }; /* place: of a village, -1; office: code or "" */
void network_asked(struct network *n, const struct network_asked *list, size_t count);

/* What the first measurements say of a link that was handed over: over the last accept_ms, not before it was handed over, round the clock. */
#define NETWORK_VERDICT_TABLE(X) X(ACCEPT_GOOD, "good") X(ACCEPT_EARLY, "early") X(ACCEPT_UNKNOWN, "unknown-office") X(ACCEPT_UNMEASURED, "unmeasured") X(ACCEPT_NOT_UP, "not-up") \
  X(ACCEPT_BELOW, "below-goal") X(ACCEPT_LOSSY, "lossy")
enum network_verdict {
#define X(name, text) name,
  NETWORK_VERDICT_TABLE(X)
#undef X
};
const char *network_verdict_text(enum network_verdict v);
struct network_acceptance {
  enum network_verdict verdict;      /* good: measured for nine tenths of the time at least, up now, at its goal or above, at most 3 % of packets lost */
  enum network_state state;
  int64_t span_ms, from, until;
  double availability, goal, loss, rtt_ms; /* NAN: nothing was measured */
  struct network_sums sums;
};
int network_accept(struct network *n, const char *code, int64_t handed_at, struct network_acceptance *out, struct err *err); /* Waits. */

/* ---- the plan: offices and links in the store --------------------------------------------------------------------------------------------------- */

/* What CSV carries. NULL keeps what is; "" empties. In the pack's offices: address, interval, checks, prober alone can differ; the other columns must agree or be NULL. */
struct network_plan_row {
  unsigned line;                     /* for messages */
  const char *code, *organisation, *place, *level, *uplinks, *name_fa, *name_en, *lat, *lon;
  const char *address;               /* IPv4 or IPv6 literal, no names */
  const char *interval;              /* seconds, 10–3600 */
  const char *checks;                /* by space: icmp tcp:PORT http:PORT/PATH https:PORT/PATH https:NAME:PORT/PATH snmp:COMMUNITY snmp3:NAME; "" is icmp. As network_checks_shown tells them: as they are */
  const char *prober;                /* name of the prober that reaches it; "" the centre */
  const char *active;                /* "1", "0": no longer probed nor counted */
};
/* Checks as they may be shown and written down: "snmp:*" in place of communities, which are as good as passwords. Caller frees. */
char *network_checks_shown(const char *checks);
/* Judge all, and unless dry write them, all or nothing, one act and leaf: {"added":[{"line","code"}],"changed":[{"line","code","fields":{name: {"from","to"}}}],"same":n,
 * "errors":[{"line","field","message"}] (in the language)}. ERR_INVALID with *out when there are errors. The prober takes it up within a second. At most 20,000 rows. Waits. */
int network_plan(struct network *n, const struct network_by *by, const struct network_plan_row *rows, size_t count, bool dry, enum lang l, json_t **out, struct err *err);

/* ---- probers elsewhere ------------------------------------------------------------------------------------------------------------------------ */

/* A hub's prober signs its reports with an Ed25519 key; the centre knows the public half. Operators alone; each an act with a reason (3 to 2,000 bytes).
 * Invite: a code for one prober of this name (125 bits; capitals, hyphens and spaces do not matter when it is shown), valid once and for a day; whose right was taken away, or who lost its key, may be invited again. code: "NAME.…".
 * ERR_FORBIDDEN, ERR_INVALID, ERR_LIMIT (NETWORK_PROBERS_MOST; one whose right was taken away counts while the plan names it). */
#define NETWORK_PROBER_CODE 80
#define NETWORK_PROBERS_MOST 63
int network_prober_invite(struct network *n, const struct network_by *by, const char *name, const char *reason, char code[NETWORK_PROBER_CODE], struct err *err);
/* The hub's answer to it: {"code","key"} (body as it came; signature: base64 over "chapar-join-v1\n" body, by the key that it names). ERR_INVALID,
 * ERR_NOT_FOUND: no such code, or no more. Waits. */
/* Why somebody was refused, for who runs the hub: word of locale/words-probers.csv, value for its {value} ("" none). */
struct network_refusal { const char *word; char value[NETWORK_NOTE_MOST + 64]; };
int network_prober_join(struct network *n, const char *name, const void *body, size_t size, const char *signature, struct network_refusal *why, struct err *err);
/* The right, or the invitation, is taken away. Its offices are unknown within a second or two. ERR_NOT_FOUND. */
int network_prober_revoke(struct network *n, const struct network_by *by, const char *name, const char *reason, struct err *err);
/* {"items":[{"name","state" (invited, expired: its code is over, admitted, revoked),"key","last" (newest measurement),"heard" (last report),"away","version","backlog" (files that wait there),"oldest","trouble" (why it cannot send: socket, lost, helper, unsent; null: it can),"clock_ms" (its
 * clock before ours),"joined_at","revoked_at","invited_until","by","reason","offices","unknown"}]} in order of names. Waits. */
int network_probers(struct network *n, json_t **out, struct err *err);
/* What it is to probe: {"offices":[{"code","address","interval_ms","checks"}],"again":[codes] (to be asked as soon as may be; told once),"packets","gap_ms","timeout_ms","check_ms","attempts","retry_ms","revision","next","now" (our time, by which it labels)}; checks as in the plan, communities included. ERR_NOT_FOUND. */
int network_prober_plan(struct network *n, const char *name, json_t **out, struct err *err);
/* A report of one prober (body as it came; signature: base64 over "chapar-report-v1\n" body): {"name","report" (grows with each),"from","now","apart" (the hub's clock before ours, for show),"version","trouble","backlog","oldest","samples","interfaces"} (hub.h).
 * Samples come in their order; what came already is passed over, what is older than raw results are kept too: *next is the number that is wanted next. ERR_UNAUTHENTICATED for a wrong name, key or signature, ERR_FORBIDDEN where the
 * right was taken away, ERR_CONFLICT for a report that came already, ERR_INVALID, ERR_UNAVAILABLE while another node probes. At most 1 MiB. Waits. */
int network_report(struct network *n, const char *name, const void *body, size_t size, const char *signature, int64_t *next, struct network_refusal *why, struct err *err);
/* `chapar probe serve`: measure for the centre until *stop; keeps what could not be reported in FOLDER (at most 60,000 files of five seconds, the oldest lost first and told); what has piled
 * up goes oldest first, five reports a second at most. FOLDER/state.json tells how the last report went. */
struct network_hub_options {
  const char *name, *folder;         /* folder: its key and its queue */
  struct network_options probe;      /* how to send */
  /* POST to the centre, which answers network_prober_plan (malloc'ed). path: /probe/NAME. -1: not taken, it is tried again; ERR_CONFLICT: it came already. */
  int (*call)(void *ctx, const char *path, const char *signature, const void *body, size_t n, char **answer, size_t *size, struct err *err);
  void *ctx;
  volatile bool *stop;
};
int network_hub_key(const char *folder, char public_base64[64], struct err *err);  /* made when missing */
int network_hub_run(const struct network_hub_options *o, struct err *err);
/* The body of network_prober_join and its signature (each malloc'ed). */
int network_hub_join(const char *folder, const char *code, char **body, char **signature, struct err *err);
/* How many files wait there, and the time of the oldest measurement in them (0 none). */
size_t network_hub_backlog(const char *folder, int64_t *oldest);

/* ---- the demonstration's faults ----------------------------------------------------------------------------------------------------------------- */
/* In a demonstration packets really go to each office's address; the answers of those whose line is cut by the schedule are dropped at the prober's socket.
 * {"cut":[{"office","name","kind" (cut, loss),"from","until","now","state" (that it should be told in),"offices" (that go with it),"seen_within_s"}] now and in the next half hour, in order of
 * their beginnings}; "cut" is empty without demo. */
int network_demo(struct network *n, enum lang l, json_t **out, struct err *err);

/* ---- the ledger --------------------------------------------------------------------------------------------------------------------------------- */
/* Headers of kind "network" are this room's: see struct trust_verify.leaf. 0, 1 erased, -1 none such. */
int network_leaf_digest(struct network *n, const char *header, unsigned char digest[TRUST_HASH]);
/* Incidents and windows against their events; one line a fault. ERR_CONFLICT when there was any. */
int network_verify(struct network *n, void (*report)(void *ctx, const char *line), void *ctx, struct err *err);

#endif
