/*
 * observatory: figures for those in charge. What came, what is late, how long it takes, whether like cases are decided alike, what
 * waiting and visits cost, and a page for the council's Saturday. Layer 5; includes base, language, store, trust, directory, identity,
 * catalog, print, cases. Thread-safe.
 *
 * A job reads the ledger from place to place and adds what each event says to sums by day and by Jalali month; the place it has reached is
 * moved in the same transaction, so that every event counts once whatever is interrupted. Nothing is scanned when somebody asks: a period
 * is put together of months and days. The sums can be forgotten and counted anew at any time (observatory_rebuild).
 *
 * Persons are not in these figures but for members of staff; counts below FEW are told to the organisation itself, and hidden where
 * organisations are compared.
 */
#ifndef CHAPAR_OBSERVATORY_H
#define CHAPAR_OBSERVATORY_H

#include "base/base.h"
#include "cases/cases.h"
#include "identity/identity.h"
#include "store/store.h"

#define FEW 5

struct observatory;
/* i: names of staff, may be NULL; node: name of this process, for the lease. s, c and i are borrowed until observatory_close. */
int observatory_open(struct store *s, struct cases *c, struct identity *i, const char *node, struct observatory **out, struct err *err);
/* The network whose indicators TABLE_NETWORK tells, borrowed; NULL: none. Before anybody asks. */
struct network;
void observatory_network(struct observatory *o, struct network *n);
void observatory_close(struct observatory *o);          /* accepts NULL */

/* ---- keeping up ------------------------------------------------------------------------------- */
/* Count what the ledger has got since; about a second at most. *done: events counted; 0 when there is nothing new, or another process does it. */
int observatory_jobs(struct observatory *o, int64_t *done, struct err *err);
/* Forget the sums: the job counts from the ledger's beginning. */
int observatory_rebuild(struct observatory *o, struct err *err);
/* How many places of the ledger have been counted, and how many there are. */
int observatory_reached(struct observatory *o, int64_t *counted, int64_t *all, struct err *err);

/* ---- periods ---------------------------------------------------------------------------------- */
enum span { SPAN_WEEK, SPAN_MONTH, SPAN_QUARTER, SPAN_YEAR, SPAN_OWN };
struct period {
  enum span span;
  int32_t from, to;               /* days, both included; weeks begin on Saturday, the rest is Jalali */
};
/* "1405-08" a month, "1405-q3" a quarter, "1405" a year, "week:DATE" the week of a day, "DATE..DATE"; digits of any kind; NULL: the month of
 * today. ERR_INVALID for what is none of these, is backwards or is longer than ten years. */
int period_parse(const char *text, int32_t today, struct period *out, struct err *err);
/* The same span before (by -1) or after (by 1); of SPAN_OWN, as many days. */
struct period period_move(struct period p, int by);
void period_text(struct period p, char out[32]);         /* what period_parse reads */
char *period_name(struct arena *a, enum lang l, struct period p); /* «آبان ۱۴۰۵» */

/* ---- who may see what ---------------------------------------------------------------------------- */
enum observe { OBSERVE_NOTHING, OBSERVE_SELF, OBSERVE_OFFICE, OBSERVE_PROVINCE };
/* organisation NULL: the province. Officers see themselves; supervisors and managers their organisation; operator and auditor everything. */
enum observe observatory_right(const struct actor *who, const char *organisation);

/* ---- figures --------------------------------------------------------------------------------------- */
/* What costs are reckoned with: settings.costs of the pack, else modest guesses that say so. Every one is shown, and may be another. */
struct cost_assumptions {
  double hours_per_visit;         /* waiting and talking, without the way */
  double speed_kmh, detour;       /* of the way; roads to great circle */
  double hour_low, hour_high;     /* rial: value of an hour */
  double km_low, km_high;         /* rial: cost of a kilometre */
  bool travel;                    /* the way counts */
  struct text source;             /* where they come from; "" when they are guesses of this program */
};
struct observe_query {
  const char *organisation;       /* NULL: all of them */
  const char *service, *place;    /* NULL: any; place: a county */
  const char *officer;            /* with group OFFICERS: this one alone; else NULL */
  struct period period;
  const struct cost_assumptions *costs; /* for the table of costs; NULL: observatory_assumptions */
};
struct cost_assumptions observatory_assumptions(const struct observatory *o);
enum observe_group { GROUP_ALL, GROUP_EACH, GROUP_SERVICE, GROUP_ORGANISATION, GROUP_PLACE, GROUP_OFFICER, GROUP_DAY, GROUP_WEEK, GROUP_MONTH };
/* Sums of what happened: {"KEY":{"arrived":3,"closed":2,…}} by the group's key ("" for GROUP_ALL; "ORGANISATION\tSERVICE\tCOUNTY" for GROUP_EACH; days and weeks by their first day as a
 * Gregorian date, months as "1405-08"). Names of the numbers in docs/developer/observatory.md. New reference. */
int observatory_sums(struct observatory *o, const struct observe_query *q, enum observe_group by, json_t **out, struct err *err);
/* What is open now, by the same key (not by days): {"KEY":{"open","late","stopped","late_days","ages":[…]}}; ages:
 * working days since the request in AGE_BOUNDS; late_days: working days past the legal limit, of all that are late. New reference. */
#define AGES 6
extern const int age_bounds[AGES]; /* upper bounds, the last is open */
int observatory_open_now(struct observatory *o, const struct observe_query *q, enum observe_group by, json_t **out, struct err *err);
/* A quantile (0 to 1) of days out of sums: of names that begin with prefix ("t.", "s.reviewing."). -1: there are none. *count may be NULL. */
int64_t sums_quantile(const json_t *sums, const char *prefix, double q, int64_t *count);
int64_t sums_get(const json_t *sums, const char *name);   /* 0 when there is none; sums may be NULL */

/* ---- tables -------------------------------------------------------------------------------------------- */
/* One shape for the page, the file, the sheet and the interface: {"name","title","period":{"from","to","name"},"columns":[{"key","title","kind"}],
 * "rows":[[cell,…],…]}. kind: "id" and "text" (strings), "count" and "days" (integers), "share" (0 to 1), "fine" (a share
 * of which thousandths of a per cent count), "mean" (a number), "money" (rial). "note": where the figures come from, in words; absent where that is plain.
 * A cell is null where there is nothing to tell; a count of persons below FEW is the string "<5" where organisations are compared
 * (q->organisation NULL), and what is reckoned from so few is null. */
#define TABLE_TABLE(X) X(TABLE_SERVICES, "services") X(TABLE_ORGANISATIONS, "organisations") X(TABLE_PLACES, "places") X(TABLE_OFFICERS, "officers") \
  X(TABLE_STATES, "states") X(TABLE_REASONS, "reasons") X(TABLE_CHANNELS, "channels") X(TABLE_AGES, "ages") X(TABLE_TREND, "trend") X(TABLE_ASKED, "asked") \
  X(TABLE_RATINGS, "ratings") X(TABLE_SURVEY, "survey") X(TABLE_FAIRNESS, "fairness") X(TABLE_COSTS, "costs") \
  X(TABLE_NETWORK, "network")
enum table_name {
#define X(name, text) name,
  TABLE_TABLE(X)
#undef X
  TABLE_COUNT
};
const char *table_text(enum table_name t);
int table_parse(const char *text);                        /* -1 when unknown */
/* The caller has judged the right to see it. New reference. */
int observatory_table(struct observatory *o, enum table_name t, const struct observe_query *q, enum lang l, json_t **out, struct err *err);
/* The whole of the query as one row of "services": {"arrived","closed","open","late","median","norm","legal",…} with the same cells, small counts
 * hidden as there: a service and a place together may be one person. */
int observatory_summary(struct observatory *o, const struct observe_query *q, enum lang l, json_t **out, struct err *err);
/* UTF-8 with a mark for spreadsheets, RFC 4180; cells that a spreadsheet would run (= + - @ and the like first) begin with an apostrophe. malloc'ed. */
char *table_csv(const json_t *table, size_t *n);
/* A workbook with identifiers as text; right to left in Persian. malloc'ed; ERR_UNAVAILABLE. */
int table_xlsx(const json_t *table, enum lang l, void **out, size_t *n, struct err *err);
/* A cell as people read it, in the arena; "" for null. */
const char *table_cell(struct arena *a, enum lang l, const char *kind, const json_t *cell);

/* ---- fairness: are like cases decided alike? ------------------------------------------------------ */
/* What follows is arithmetic alone, described with its sources in docs/notes/fairness.md.
 * A cell: how many of a unit's decisions in a stratum (like cases: same service version, intake …), and in how many of them it happened. */
struct fair_cell { int unit, stratum; int64_t n, x; };
enum fair_verdict { FAIR_FEW, FAIR_ALIKE, FAIR_DIFFERS }; /* too few to tell; no more than chance explains; more than chance explains */
struct fair_unit {
  int64_t n, x;                   /* decisions that can be compared, and those in which it happened */
  double expected;                /* of x, had the others decided the unit's cases */
  double rate, low, high;         /* x/n with Wilson's 95 % interval */
  double others, shrunk;          /* expected/n; the rate pulled towards it by as much as chance may have moved it */
  double z, p, q;                 /* widened by the dispersion; q: p after Benjamini and Hochberg over the page (fair_judge) */
  enum fair_verdict verdict;      /* FAIR_DIFFERS is set by fair_judge alone */
};
#define FAIR_RATE 0.05            /* of the units that are named, at most so many may be named by chance, on average */
#define FAIR_LEAST 30             /* fewer comparable decisions are too few */
/* Exact or approximate test of each unit against the others within strata. units: `count` results to fill. *dispersion: how much more units
 * differ among each other than chance alone would make them, at least 1. */
void fair_test(const struct fair_cell *cells, size_t cell_count, struct fair_unit *units, size_t count, double *dispersion);
/* Over all results of a page together (pointers, in any order). Returns how many were tested. */
size_t fair_judge(struct fair_unit **results, size_t count);
void wilson(int64_t x, int64_t n, double *low, double *high); /* 95 % */

/* Decisions of the months that the period touches: of offices (q->organisation NULL) or of the members of staff of one. {"by":"organisation"|"officer","from",
 * "to" (days, Gregorian),"strata","tested","named","outcomes":{"refused"|"asked"|"slow":{"rate","dispersion","few","units":[{"unit","n","x","expected","rate",
 * "low","high","others","shrunk","p","q","verdict":"few"|"alike"|"differs"}]}}}. "slow": took longer than the middle of like cases. New reference. */
int observatory_fairness(struct observatory *o, const struct observe_query *q, json_t **out, struct err *err);

/* ---- the page for the council ------------------------------------------------------------------------------ */
/* One page as PDF for an organisation, or the province (NULL): what came, what is late, the five latest services, the best improvement, obstacles,
 * appeals; beside the period before it. malloc'ed. ERR_NOT_FOUND: no such organisation. */
int observatory_report(struct observatory *o, const char *organisation, struct period period, enum lang l, void **pdf, size_t *n, struct err *err);

#endif
