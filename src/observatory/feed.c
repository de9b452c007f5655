/* The job: from the ledger's places to sums. What is read is worked out in a reading snapshot; then one short transaction moves the cursor
 * from where the snapshot saw it and writes the sums. A cursor that has been moved by somebody else refuses the transaction: an event counts once. */
#include "observatory/inner.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 1024
#define LEASE_MS 5000 /* it only saves work: the cursor decides what counts */
#define ROUND_MS 800

struct leaf { char tracking[TRACKING_SIZE]; int64_t seq; };
struct opened {
  char *tracking, *organisation, *service, *place, *assignee, *calendar, *state;
  bool open, stopped;
  int64_t start_ord, legal_ord;
};
struct batch {
  struct observatory *o;
  int64_t from, to;               /* cursor before and after */
  struct leaf leaves[BATCH];
  int count;
  bool restamped;                 /* a calendar changed: limits of what is open are read again */
  json_t *sums;
  struct row { char *organisation, *unit, *service, *place, *counts; int64_t span, start; } *rows;
  size_t row_count;
  struct opened *cases;
  size_t case_count;
};

static void batch_clear(struct batch *b) {
  for (size_t i = 0; i < b->row_count; i++) {
    free(b->rows[i].organisation);
    free(b->rows[i].unit);
    free(b->rows[i].service);
    free(b->rows[i].place);
    free(b->rows[i].counts);
  }
  for (size_t i = 0; i < b->case_count; i++) {
    struct opened *k = &b->cases[i];
    char *all[] = {k->tracking, k->organisation, k->service, k->place, k->assignee, k->calendar, k->state};
    for (size_t n = 0; n < BASE_COUNT(all); n++) free(all[n]);
  }
  free(b->rows);
  free(b->cases);
  json_decref(b->sums);
  b->rows = NULL;
  b->cases = NULL;
  b->sums = NULL;
  b->row_count = b->case_count = 0;
  b->count = 0;
  b->restamped = false;
}

/* ---- reading ---- */

static void take_leaf(struct batch *b, const char *header) {
  json_t *h = json_loads(header, 0, NULL);
  const char *kind = json_str(h, "kind"), *tracking = json_str(h, "case");
  if (base_same(kind, "calendar")) b->restamped = true;
  if (base_same(kind, "case") && tracking && strlen(tracking) == TRACKING_SIZE - 1) {
    struct leaf *l = &b->leaves[b->count++];
    snprintf(l->tracking, sizeof l->tracking, "%s", tracking);
    l->seq = json_int(h, "seq", 0);
  }
  json_decref(h);
}

static int by_case(const void *a, const void *b) {
  const struct leaf *x = a, *y = b;
  int c = strcmp(x->tracking, y->tracking);
  return c ? c : (x->seq > y->seq) - (x->seq < y->seq);
}

static int read_leaves(struct batch *b, struct store_tx *tx, struct err *err) {
  if (store_value(tx, &b->from, 0, err, "SELECT value FROM observatory_state WHERE name='cursor'", "")) return -1;
  struct store_rows *r = store_select(tx, err, "SELECT idx,header FROM ledger_leaf WHERE idx>=?1 ORDER BY idx LIMIT ?2", "ii", b->from, (int64_t)BATCH);
  if (!r) return -1;
  int rc;
  b->to = b->from;
  while ((rc = store_next(r, err)) == 1) {
    b->to = store_int(r, 0) + 1;
    take_leaf(b, store_text(r, 1));
  }
  store_done(r);
  qsort(b->leaves, (size_t)b->count, sizeof *b->leaves, by_case);
  return rc;
}

static void keep_case(struct batch *b, const struct case_facts *f) {
  struct opened *k = &b->cases[b->case_count++];
  *k = (struct opened){.tracking = base_strdup(f->tracking), .organisation = base_strdup(f->holder), .service = base_strdup(f->service), .place = base_strdup(f->place),
                       .assignee = base_strdup(f->assignee), .calendar = base_strdup(f->calendar), .state = base_strdup(f->state), .stopped = f->stopped,
                       .open = f->open && !f->inquiry, .start_ord = f->submitted_ord, .legal_ord = f->legal_ord};
}

static int count_case(struct batch *b, struct store_tx *tx, struct arena *a, const struct leaf *first, int n, struct err *err) {
  struct case_facts f;
  arena_reset(a);
  if (cases_facts(b->o->cases, tx, first->tracking, a, &f, err)) {
    if (err->code != ERR_NOT_FOUND && err->code != ERR_LIMIT) return -1;
    log_write(LOG_WARN, "observatory", "a case is not counted: %s", err->message);
    return 0;
  }
  for (int i = 0; i < n; i++)
    for (size_t s = 0; s < f.count; s++)
      if (f.steps[s].seq == first[i].seq) observatory_contribute(&f, s, b->sums);
  keep_case(b, &f);
  json_decref(f.data);
  return 0;
}

/* "span\tstart\torganisation\tunit\tservice\tplace" */
static void split(const char *key, struct row *row) {
  char *parts[6] = {0}, *copy = base_strdup(key), *rest = copy;
  for (int i = 0; i < 6; i++) parts[i] = strsep(&rest, "\t");
  parse_i64(parts[0], &row->span);
  parse_i64(parts[1], &row->start);
  row->organisation = base_strdup(parts[2]);
  row->unit = base_strdup(parts[3]);
  row->service = base_strdup(parts[4]);
  row->place = base_strdup(parts[5]);
  free(copy);
}

/* What the rows will hold: what they hold now and what was counted. Only this job writes them. */
static int read_rows(struct batch *b, struct store_tx *tx, struct err *err) {
  const char *key;
  json_t *counts;
  b->rows = base_alloc((json_object_size(b->sums) + 1) * sizeof *b->rows);
  json_object_foreach(b->sums, key, counts) {
    struct row *row = &b->rows[b->row_count++];
    split(key, row);
    struct store_rows *r = store_select(tx, err, "SELECT counts FROM observatory_sum WHERE span=?1 AND start=?2 AND organisation=?3 AND unit=?4 AND service=?5 AND place=?6",
                                        "iitttt", row->span, row->start, row->organisation, row->unit, row->service, row->place);
    if (!r) return -1;
    int rc = store_next(r, err);
    if (rc == 1) counts_read(counts, store_text(r, 0));
    store_done(r);
    if (rc < 0) return -1;
    row->counts = counts_write(counts);
  }
  return 0;
}

static int read_work(struct store_tx *tx, void *arg, struct err *err) {
  struct batch *b = arg;
  batch_clear(b);
  b->sums = json_object();
  if (read_leaves(b, tx, err)) return -1;
  b->cases = base_alloc(((size_t)b->count + 1) * sizeof *b->cases);
  struct arena *a = arena_new(32 * 1024 * 1024);
  int rc = 0, n;
  for (int i = 0; rc == 0 && i < b->count; i += n) {
    for (n = 1; i + n < b->count && strcmp(b->leaves[i + n].tracking, b->leaves[i].tracking) == 0;) n++;
    rc = count_case(b, tx, a, &b->leaves[i], n, err);
  }
  arena_free(a);
  return rc ? rc : read_rows(b, tx, err);
}

/* ---- writing ---- */

static int move_cursor(const struct batch *b, struct store_tx *tx, struct err *err) {
  if (b->from == 0 && store_put(tx, err, "INSERT INTO observatory_state (name,value) VALUES ('cursor',0) ON CONFLICT DO NOTHING", "")) return -1;
  int n = store_exec(tx, err, "UPDATE observatory_state SET value=?1 WHERE name='cursor' AND value=?2", "ii", b->to, b->from);
  if (n < 0) return -1;
  return n == 1 ? 0 : err_set(err, ERR_CONFLICT, "another process has counted these events");
}

static int put_open(struct store_tx *tx, const struct opened *k, struct err *err) {
  if (!k->open) return store_put(tx, err, "DELETE FROM observatory_open WHERE tracking=?1", "t", k->tracking);
  return store_put(tx, err,
    "INSERT INTO observatory_open (tracking,organisation,service,place,assignee,calendar,state,stopped,start_ord,legal_ord) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10) "
    "ON CONFLICT (tracking) DO UPDATE SET organisation=excluded.organisation,place=excluded.place,assignee=excluded.assignee,state=excluded.state,"
    "stopped=excluded.stopped,start_ord=excluded.start_ord,legal_ord=excluded.legal_ord", "ttttttt" "iii",
    k->tracking, k->organisation, k->service, k->place, k->assignee, k->calendar, k->state, (int64_t)k->stopped, k->start_ord, k->legal_ord);
}

static int write_work(struct store_tx *tx, void *arg, struct err *err) {
  const struct batch *b = arg;
  if (move_cursor(b, tx, err)) return -1;
  for (size_t i = 0; i < b->row_count; i++) {
    const struct row *w = &b->rows[i];
    if (store_put(tx, err, "INSERT INTO observatory_sum (span,start,organisation,unit,service,place,counts) VALUES (?1,?2,?3,?4,?5,?6,?7) "
                  "ON CONFLICT (span,start,organisation,unit,service,place) DO UPDATE SET counts=excluded.counts", "iittttt",
                  w->span, w->start, w->organisation, w->unit, w->service, w->place, w->counts))
      return -1;
  }
  for (size_t i = 0; i < b->case_count; i++)
    if (put_open(tx, &b->cases[i], err)) return -1;
  if (!b->restamped) return 0;
  return store_put(tx, err, "UPDATE observatory_open SET legal_ord=(SELECT CASE WHEN cases.legal_ord<?1 THEN cases.legal_ord ELSE ?2 END FROM cases "
                   "WHERE cases.tracking=observatory_open.tracking)", "ii", (int64_t)4611686018427387903, (int64_t)CASE_NO_LIMIT);
}

int observatory_jobs(struct observatory *o, int64_t *done, struct err *err) {
  int64_t epoch = 0, until = clock_mono() + ROUND_MS;
  if (done) *done = 0;
  struct batch *b = base_alloc(sizeof *b);
  b->o = o;
  int rc = 0, held = 1;
  do {
    if ((rc = store_read(o->store, read_work, b, err)) || b->to == b->from) break;
    if (!epoch && (held = store_lease(o->store, "observatory", o->node, LEASE_MS, &epoch, err)) <= 0) break;
    if ((rc = store_write(o->store, STORE_JOBS, write_work, b, err))) break;
    if (done) *done += b->to - b->from;
  } while (clock_mono() < until);
  if (held < 0) rc = -1;
  if (rc && err->code == ERR_CONFLICT) rc = 0; /* somebody else was quicker */
  batch_clear(b);
  free(b);
  return rc;
}

/* ---- anew ---- */

static int forget_work(struct store_tx *tx, void *arg, struct err *err) {
  return store_put(tx, err, "DELETE FROM observatory_sum", "") || store_put(tx, err, "DELETE FROM observatory_open", "") ||
         store_put(tx, err, "DELETE FROM observatory_state", "") ? -1 : 0;
}

int observatory_rebuild(struct observatory *o, struct err *err) { return store_write(o->store, STORE_FRONT, forget_work, NULL, err); }

struct reached { int64_t counted, all; };

static int reached_work(struct store_tx *tx, void *arg, struct err *err) {
  struct reached *k = arg;
  if (store_value(tx, &k->counted, 0, err, "SELECT value FROM observatory_state WHERE name='cursor'", "")) return -1;
  return store_value(tx, &k->all, 0, err, "SELECT MAX(idx)+1 FROM ledger_leaf", "");
}

int observatory_reached(struct observatory *o, int64_t *counted, int64_t *all, struct err *err) {
  struct reached k = {0};
  if (store_read(o->store, reached_work, &k, err)) return -1;
  *counted = k.counted;
  *all = k.all;
  return 0;
}
