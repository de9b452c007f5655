/* Shared by the files of this room alone. */
#ifndef CHAPAR_NETWORK_INNER_H
#define CHAPAR_NETWORK_INNER_H

#include "network/core.h"
#include "network/network.h"
#include "network/link.h"

#include <pthread.h>

enum { RING = 20000, CHECKS_MOST = 6, FLUSH_MS = 5000, HOUR_MS = 3600000, OPS_BYTES_MOST = 64 << 20 };
enum { BLOCK_HOUR = 1, BLOCK_DAY, BLOCK_MONTH };

enum check_kind { CHECK_TCP, CHECK_HTTP, CHECK_HTTPS, CHECK_SNMP };
struct check { enum check_kind kind; int port; char rest[64], name[64]; }; /* rest: path, or community, or with name "3" who is asked as; name: that is asked for at the address, "" none */

/* What came of a check (words network.check_NAME). Below CHECK_OK it was not asked, below CHECK_REFUSED nothing is wrong. */
#define CHECK_CAUSE_TABLE(X) X(CHECK_UNASKED, "not_asked") X(CHECK_NOT_SENT, "not_sent") X(CHECK_NO_ACCESS, "no_access_data") X(CHECK_OK, "ok") X(CHECK_REFUSED, "refused") X(CHECK_SILENT, "no_answer") \
  X(CHECK_STUCK, "stuck") X(CHECK_NOT_HTTP, "not_http") X(CHECK_STATUS, "server_error") X(CHECK_TLS, "tls") X(CHECK_EXPIRED, "certificate_expired") \
  X(CHECK_NAME, "certificate_name") X(CHECK_WRONG, "wrong_answer") X(CHECK_DENIED, "access_denied") X(CHECK_HIDDEN, "no_interfaces")
enum check_cause {
#define X(name, text) name,
  CHECK_CAUSE_TABLE(X)
#undef X
  CHECK_CAUSES
};
const char *check_cause_text(enum check_cause c);

struct node {
  struct network_office o;           /* live members are filled by network_fill */
  uint32_t key;
  bool active, icmp;
  int prober;                        /* index in network.probers; 0: the centre */
  int64_t population;                /* of its place, 0 when unknown */
  struct check check[CHECKS_MOST];
  int checks;
  enum check_cause cause[CHECKS_MOST]; /* that was last written */
  int64_t connected_at;
  char *fold;
};

struct change { int64_t seq, at, since, incident; int node; enum network_state from, to; const char *step; };

/* What the keeper writes; made under the lock, in order. */
enum op_kind { OP_STATE, OP_OPENED, OP_CLOSED, OP_STEP, OP_REACHED, OP_RAW, OP_CONNECTED, OP_UNDO, OP_INTERFACES, OP_CHECK };
struct op {
  struct op *next;
  enum op_kind kind;
  int node;
  const char *code;
  struct change change;
  enum network_state hard;
  bool flapping;
  int64_t decided, connected_at;
  struct core_incident incident;
  struct network_blast blast;
  int64_t from, until;               /* of raw */
  const char *prober;
  int64_t id;                        /* and the number of its row */
  char *bytes;
  size_t size;
  json_t *rows;                      /* interfaces */
  int number;                        /* of a check, and what came of it */
  enum check_cause cause;
  char what[160];
};

/* What a prober says of why it cannot send (words web.net_prober_cannot_NAME); none: it can. */
#define PROBER_TROUBLE_TABLE(X) X(TROUBLE_NONE, "") X(TROUBLE_SOCKET, "socket") X(TROUBLE_LOST, "lost") X(TROUBLE_HELPER, "helper") X(TROUBLE_UNSENT, "unsent")
enum prober_trouble {
#define X(name, text) name,
  PROBER_TROUBLE_TABLE(X)
#undef X
  TROUBLES
};
struct prober {
  const char *name;                  /* of the names' arena */
  char *key;
  int64_t last, next, report;
  int64_t heard;                     /* monotonic */
  enum prober_trouble trouble;
  bool mute;                         /* what it told last could not be sent */
  int64_t doubted;                   /* since when its silence is looked into; 0: not */
  bool excused;                      /* it is silent for a cause that is known (core_behind); freed: since when that is over, 0 it is not */
  int64_t freed;
};

/* Time that results are labelled with, from one clock of the machine: never back. Where that is set back it is followed at nine tenths of its pace until both agree; set forward, at once. */
struct label_clock { int64_t offset, last, mono; };
int64_t label_next(struct label_clock *c);

struct network {
  struct store *main, *samples;
  struct trust *trust;
  const struct directory *d;
  struct network_options o;
  char *node_name, *source4, *source6, *anchors, *snmp_access;
  int64_t escalate[3];
  double goals[5], *own_goals;       /* of classes; of organisations, NAN: none of its own. Changed under plan */
  json_t *goal_view;                 /* network_goals, without history, as of goal_view_at (monotonic); under the lock */
  int64_t goal_view_at, goal_view_revision, alarms_at; /* alarms_at: monotonic, of who does the jobs */
  uint64_t goal_turn, view_turn;     /* one more whenever goals were set here; also when alarms were: what was read before that is not kept; under the lock */
  uint64_t goal_read;                /* goal_turn before the plan was last read: behind it, the plan is read again; under the lock */

  pthread_mutex_t lock;              /* everything below */
  pthread_cond_t changed, work;
  struct arena *names;
  const char **kept;                 /* what stands there, by hash */
  size_t kept_count, kept_room;
  struct node *nodes;
  int count, real;                   /* real: without anchors, which stand behind */
  int32_t *by_code;                  /* nodes in order of their codes */
  struct core *core;
  struct link *link;                 /* the helper that sends and receives */
  bool on;                           /* this process probes now */
  struct schedule due;               /* ms, monotonic */
  unsigned char *again;              /* a probe is wanted as soon as the one under way ends */
  struct prober *probers;
  int prober_count;
  int64_t revision;
  struct change *ring;
  int64_t first, cursor;             /* numbers of the oldest in the ring, and of the newest */
  struct op *ops, **ops_end;
  int64_t ops_size;                  /* bytes of the measurements among them */
  int64_t dropped;                   /* how many of these were given up since the start, so that they do not fill the memory while the store is away */
  bool dropping;                     /* since the store was last there */
  int64_t ops_flushed;               /* of those that a flush under way has taken */
  int64_t ops_trimmed;               /* ops_size as it was left when some were last given up; 0: none since the store was there */
  bool away;                         /* the last flush failed */
  int64_t raw_id;                    /* number of the newest row of raw results */
  int64_t lost;                      /* how often this process stopped to measure, and forgot what was not written */
  struct buf raw[NETWORK_PROBERS_MOST + 1]; /* by prober */
  int64_t raw_at[NETWORK_PROBERS_MOST + 1], raw_until[NETWORK_PROBERS_MOST + 1];
  unsigned char *cut;                /* the demonstration's lines that are cut now; 2: loses packets */
  int64_t cut_at;
  pthread_mutex_t flushing;          /* taken before lock */
  pthread_rwlock_t plan;             /* taken before both: whoever looks at nodes without lock reads under it */
  int64_t epoch;                     /* of the lease, while held by it; 0: without one */
  int64_t forgotten;                 /* when old measurements were last taken away */
  bool fresh;                        /* the next load takes states from the store */
  bool holder, stopping;
  struct label_clock label;          /* see network_label */
  int64_t probed, overdue, probes;
  pthread_t prober_thread, keeper_thread, checks_thread;
  bool threads;
  int64_t step;                      /* of network_step, told last; -1: none read yet */
  struct network_asked *asked;       /* under the lock */
  size_t asked_count;
  int64_t calendar_at, waiting_at, waiting_from; /* monotonic: when these jobs ran last; when the second may begin */
};

const char *network_kind_text(enum network_incident_kind k);
int network_kind_parse(const char *text);

/* nodes.c */
int network_load(struct network *n, struct err *err);          /* plan, keys, probers, goals, windows; makes the core anew. Takes the lock itself */
void network_fill(const struct network *n, int node, struct network_office *out);
int network_place_county(const struct network *n, int place);
void network_blast_of(const struct network *n, unsigned char *cut, struct network_blast *out); /* cut: first to fall; filled */
int checks_parse(const char *text, struct check out[CHECKS_MOST], bool *icmp); /* how many; -1 */
bool address_ok(const char *text);
void demo_address(int node, char out[32]);
const struct node *network_at(const struct network *n, const char *code);

bool network_village_large(const struct network *n, int place);

/* prober.c */
int64_t network_bridge(int64_t interval);                        /* so long a time (ms) without a result of a prober elsewhere counts as measured, where its offices are asked so often */
enum prober_trouble trouble_parse(const char *text);             /* TROUBLES when there is none such */
const char *trouble_text(enum prober_trouble t);
void network_watch(struct network *n, int64_t label);            /* under the lock: probers elsewhere that were not heard of in time */
void network_ping_open(struct network *n);                      /* under the lock */
int64_t network_label(struct network *n);                      /* wall time that never goes back; under the lock or from the prober's thread */
void *network_prober_main(void *ctx);
void network_take(struct network *n, const struct core_result *r, int prober); /* under the lock */
void network_raw_all(struct network *n);                        /* under the lock: results into what the keeper writes */
int network_settle(struct network *n, struct err *err);         /* results and changes that wait, into the stores */
struct core_out network_out(struct network *n);
void network_change_put(struct network *n, struct change c);   /* under the lock */

/* keep.c */
void clock_wait(int64_t ms);
void *network_keeper_main(void *ctx);
void network_op(struct network *n, struct op o);                /* under the lock; takes bytes and rows */
int network_flush(struct network *n, struct err *err);          /* everything that waits into the stores */
bool network_crowded(const struct network *n);                  /* under the lock: the store is away, and what came waits for it; no report is taken on top */
void network_lose(struct network *n);                           /* another node measures, or did meanwhile */
struct event { const char *id; int64_t incident; const char *kind, *subject, *who, *text; json_t *detail; int64_t at; };
int network_event_put(struct store_tx *tx, const struct event *e, struct err *err); /* row and leaf; detail borrowed; id NULL: a new one */
int network_bump(struct store_tx *tx, struct err *err);         /* the revision */

/* view.c */
json_t *time_json(int64_t ms);                                  /* null for 0 */
json_t *real_json(double v, int places);                        /* null for NAN */
const char *network_name(const struct network_office *o, enum lang l);
const char *place_name_at(const struct network *n, int place, enum lang l); /* "" when there is none */

/* steps.c */
int network_step_put(struct store_tx *tx, int64_t incident, const char *step, int64_t at, struct err *err);
int network_steps_tell(struct network *n, struct err *err);     /* by who probes: what was done since, to those who watch */
const char *network_step_word(const char *text);                /* the word itself, or NULL */

/* calendar.c */
int calendar_jobs(struct network *n, int64_t *did, struct err *err); /* days whose working hours are others now are summed anew */

/* waiting.c */
int waiting_jobs(struct network *n, int64_t *did, struct err *err);

/* alarms.c */
int alarms_read(struct store_tx *tx, json_t *list, struct err *err); /* those that stand: [{"scope","code","kind","number","began","worst"}] */
const json_t *alarms_find(const json_t *list, const char *scope, const char *code);
int alarms_jobs(struct network *n, int64_t *did, struct err *err); /* what goals alarm of, to people; takes plan itself */

/* goals.c */
void network_goals_default(const struct network *n, double goals[5], double **own);
double network_goal_at(const struct network *n, const struct network_office *o); /* under plan or the lock */

/* jobs.c */
int network_news_of(struct store_tx *tx, const struct network *n, int64_t incident, struct network_news *out, struct arena *a, struct err *err); /* 1, 0, -1 */

/* asked.c, checks.c */
void *network_checks_main(void *ctx);
void check_text(const struct check *c, char out[160]);          /* as in the plan, without the community */

/* demo.c */
void demo_cuts(struct network *n, int64_t at, unsigned char *cut); /* those that the schedule cuts (1) or makes lose packets (2) */

/* blocks.c */
struct sums {                        /* of one office in one block */
  uint32_t key;
  int64_t ms[6][2];                  /* by state; round the clock, in service hours */
  uint32_t probes, sent, lost, answered;
  double rtt_sum, jitter_sum, min, max; /* ms; min and max NAN without answers */
  uint32_t bins[CORE_BINS];
};
struct sample { uint32_t key; int64_t at; int sent, lost; double min, median, p95, max, jitter; };
void raw_put(struct buf *b, int64_t from, const struct sample *s);
bool raw_next(const unsigned char **at, const unsigned char *end, int64_t from, struct sample *out); /* false at the end, or where it is damaged */
void block_put(struct buf *b, const struct sums *s);
bool block_next(const unsigned char **at, const unsigned char *end, struct sums *out, bool bins);
void sums_add(struct sums *to, const struct sums *s);

/* rollup.c */
int rollup_jobs(struct network *n, int64_t *did, struct err *err);
/* Sums of all nodes in [from, to), from raw results as far as they are kept, and spans: count of them in *out (caller frees), by node. bins: with them. Only what is written already. */
int rollup_hour(struct network *n, int64_t start, int64_t end, bool bins, struct sums **out, struct err *err);
int64_t network_now(struct network *n);                        /* label; takes the lock */
int64_t hour_start(int64_t ms);
int64_t month_start_of(int64_t ms);
int64_t month_next(int64_t start);
int64_t service_overlap(const struct network *n, int node, int64_t from, int64_t to);
int span_dirty(struct store_tx *tx, int64_t from, int64_t to, struct err *err);
/* All of [from, to), to the millisecond: whole months, days and hours as they were summed, the rest as in rollup_hour. fn: several times an office. Probes, packets and times of
 * answers in parts of hours are told as long as raw results are kept; times in states always. */
typedef void (*sums_fn)(void *ctx, const struct sums *s);
int rollup_each(struct network *n, int64_t from, int64_t to, bool bins, sums_fn fn, void *ctx, struct err *err);

#endif
