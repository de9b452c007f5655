/*
 * The core of the network room: schedule, numbers of a probe, states with causes, incidents. No I/O, no clock, no threads, no store:
 * everything comes in as a call and goes out through struct core_out, so that tests/replay/network plays it with a fake network.
 */
#ifndef CHAPAR_NETWORK_CORE_H
#define CHAPAR_NETWORK_CORE_H

#include "network/network.h"

/* ---- measure.c: one probe, the last ten, flapping, histograms ------------------------------------------------------- */

#define CORE_RECENT 10
#define CORE_FLAP 21                   /* results kept: 20 possible changes */
#define CORE_BINS 64                   /* steps of 17 % from 0.1 ms to 2 s */

struct measured {                      /* ms; NAN when nothing was answered */
  int sent, lost;
  double min, median, p95, max, jitter;
};
/* rtt: of those answered, in the order in which they were sent; count = sent − lost. Jitter: mean difference of neighbours. */
void measure(struct measured *m, int sent, const double *rtt, int count);
double measure_quantile(const double *sorted, int count, double q);      /* linear between neighbours */

/* Probes that were answered at least in part: how good it is when it is there. */
struct recent { uint8_t sent[CORE_RECENT], lost[CORE_RECENT]; float rtt[CORE_RECENT]; uint8_t at, count; };
void recent_add(struct recent *r, int sent, int lost, double median);
void recent_forgive(struct recent *r);                                   /* what the last one lost was the beginning of an interruption */
double recent_loss(const struct recent *r);                              /* 0–1 */
int recent_lossy(const struct recent *r);                                /* probes that lost something */
double recent_rtt(const struct recent *r);                               /* median of medians; NAN */

struct flap { uint32_t bits; uint8_t count; };                           /* newest result is bit 0 */
void flap_add(struct flap *f, bool failed);
double flap_percent(const struct flap *f);                               /* Icinga: Σ (0.8 + 0.02·i) over the changes ÷ 20 × 100 */

int bin_of(double ms);
double bin_middle(int bin);                                              /* ms */
double bins_quantile(const uint32_t bins[CORE_BINS], double q);          /* NAN when empty */

/* ---- schedule.c: who is due, in monotonic milliseconds ---------------------------------------------------------------- */

struct schedule { int64_t *at; int32_t *heap, *place; int count, size; };
void schedule_init(struct schedule *s, int size);
void schedule_free(struct schedule *s);
void schedule_set(struct schedule *s, int node, int64_t at);             /* moves it, or puts it in */
void schedule_sooner(struct schedule *s, int node, int64_t at);          /* only if that is earlier */
void schedule_remove(struct schedule *s, int node);
int schedule_first(const struct schedule *s, int64_t *at);               /* node, -1 when empty */
/* A node's own moments: multiples of the interval and its phase, spread evenly over it (golden section, stable when nodes are added). The next after `now`. */
int64_t schedule_next(int node, int64_t interval, int64_t now);

/* ---- core.c ---------------------------------------------------------------------------------------------------------------- */

#define CORE_UP_MOST 4
#define CORE_WAYS_MOST 16              /* measured nodes next above, through such as are not measured */

struct core_config {
  int attempts;                        /* fully lost probes in a row until it is judged */
  int64_t retry_ms;
  double loss_begin, loss_end;         /* degraded: share lost over the last ten probes (3 %, 1 %) */
  double rtt_begin, rtt_end;           /* median of the last ten, ms (250, 200) */
  int degraded_probes;                 /* no judgement of quality before so many (5) */
};
void core_defaults(struct core_config *c);

struct core_spec {                     /* what a node is */
  int up[CORE_UP_MOST], up_count;
  bool measured;                       /* has an address and is active */
  bool anchor;                         /* proves that the prober itself is connected; has no state of its own */
  int prober;                          /* 0: the centre */
};

enum core_change { CORE_OPENED, CORE_JOINED, CORE_LEFT, CORE_CLOSED };
struct core_incident {
  int64_t id;
  enum network_incident_kind kind;
  int root;                            /* node; -1: a prober */
  int prober;
  int64_t began, decided, ended;
  int64_t members;
};

struct core_out {
  void *ctx;
  void (*probe)(void *ctx, int node, int64_t delay_ms);                  /* as soon as may be, after so long; more than once is one */
  void (*state)(void *ctx, int node, enum network_state from, enum network_state to, int64_t since, int64_t at, int64_t incident);
  void (*incident)(void *ctx, const struct core_incident *i, enum core_change change, int member, int64_t at); /* member: that joined or left, else -1 */
};

struct core_node {
  struct core_spec spec;
  int32_t *ways, *below;               /* measured nodes next above; and next below */
  int way_count, below_count;
  enum network_state hard;             /* what was judged, without windows: up, degraded, down, unreachable, unknown */
  enum network_state shown;
  int64_t hard_since, shown_since, decided;
  int64_t incident;                    /* that it belongs to, 0 none */
  int fails;                           /* fully lost in a row */
  int unsent;                          /* not sent, in a row */
  int64_t first_fail, last_fail_sent, last_fail_at, first_unsent;
  int64_t last_ok_sent, last_ok_at, last_at;
  int64_t vouched;                     /* when a node above answered after the first loss; 0 not yet */
  bool waiting;                        /* judged as soon as those above are */
  bool away;                           /* not measured since its prober went; until its next judgement */
  bool covered;                        /* by a window */
  bool flapping, slow;                 /* slow: is degraded by quality */
  int quality_wait;                    /* probes for which a node above that is suspect too was waited for */
  int64_t back_at;                     /* when it last answered after a silence */
  int64_t whole_at, lossy_after;       /* the last probe that lost nothing; and the one before the first that lost something, of the last ten */
  uint32_t checks_failed;              /* hard failures of checks, by bit */
  uint8_t check_fails[32];
  struct recent recent;
  struct flap flap;
  struct measured last;
};

struct core_window { int64_t id, from, to; int node; };

struct core {
  struct core_config config;
  struct core_out out;
  struct core_node *nodes;
  int count;
  int32_t *order;                      /* parents before children */
  int32_t *lists;                      /* memory of ways and below */
  struct core_window *windows;
  int window_count, window_room;
  struct core_incident *open;          /* open incidents */
  int open_count, open_room;
  int64_t next_incident;
  int64_t now;
  uint64_t probers_away;               /* by bit: the centre, and NETWORK_PROBERS_MOST elsewhere */
  bool roots_wait;                     /* something with nothing above waits for anchors */
};

struct core_result {
  int node;
  int64_t sent_at, at;                 /* begun and ended */
  bool unsent;                         /* this machine could not send: says nothing about the node */
  struct measured m;
};

struct core *core_new(const struct core_config *config, const struct core_out *out, const struct core_spec *specs, int count, int64_t next_incident);
void core_free(struct core *c);
/* What was known when the store was last written; before any result. */
void core_restore(struct core *c, int node, enum network_state hard, enum network_state shown, int64_t since, int64_t incident);
void core_restore_incident(struct core *c, const struct core_incident *i);
void core_result(struct core *c, const struct core_result *r);
void core_check(struct core *c, int node, int check, bool ok, int64_t at); /* check 0–31 beside the probe itself */
void core_time(struct core *c, int64_t now);                               /* windows begin and end */
void core_window(struct core *c, int64_t id, int node, int64_t from, int64_t to);
void core_window_end(struct core *c, int64_t id, int64_t at);
void core_away(struct core *c, int prober, int64_t since, int64_t at, bool incident); /* the prober does not measure */
void core_back(struct core *c, int prober, int64_t at);
const struct core_incident *core_incident_of(const struct core *c, int64_t id); /* open ones; NULL */
/* Everything that is cut with those marked: cut[] has one byte a node, set on entry for those that fall first. */
void core_cut(const struct core *c, unsigned char *cut);

#endif
