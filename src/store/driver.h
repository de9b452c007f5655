/* The inside of store: what front, batching and drivers share. No other room includes this. */
#ifndef CHAPAR_STORE_DRIVER_H
#define CHAPAR_STORE_DRIVER_H

#include "store/store.h"
#include <pthread.h>
#include <stdatomic.h>

enum {
  STORE_PARAMS = 64,        /* most parameters of one statement */
  STORE_ROWS = 8,           /* most results open in one transaction */
  STORE_ROOM = 4,
  STORE_QUEUE_MOST = 20000, /* most work waiting in one queue */
  STORE_JOBS_MS = 5,        /* longest batch of jobs while somebody waits */
  STORE_SHORT_MS = 1,       /* where one writer serves all: and while people come */
  STORE_ALONE_MS = 20,      /* and while nobody does */
  STORE_JOIN_MS = 1,        /* and when somebody comes while they run */
  STORE_COMING_MS = 1000,   /* people come while it is not longer than this since one did */
  STORE_EXIT = 70           /* the process ends when the disk cannot be trusted */
};

struct param {
  char type;     /* i t b d; n: a NULL where i would stand (from a dump) */
  const void *p; /* t, b: NULL is SQL NULL */
  size_t n;
  int64_t i;
  double d;
};
struct params {
  int count;
  struct param v[STORE_PARAMS];
};

/* ---- statements: one text translated for one engine ---------------------------------- */

enum kind { KIND_SELECT, KIND_CHANGE, KIND_OTHER };
struct dialect {
  char *source; /* as written */
  char *text;   /* as the engine wants it */
  unsigned id;  /* small and dense: drivers keep arrays of prepared statements by it */
  int params;
  enum kind kind;
  bool made;    /* at run time: its number may have meant another text before */
};
struct ptrmap { /* address → thing */
  struct { const void *key; void *value; } *slots;
  size_t room, used;
};
void *ptrmap_get(const struct ptrmap *m, const void *key);
void ptrmap_put(struct ptrmap *m, const void *key, void *value);
void ptrmap_free(struct ptrmap *m);

struct dialects {
  pthread_mutex_t lock;
  struct ptrmap known;        /* literal → dialect, kept until the store is closed */
  struct dialect **all;
  size_t count;
  unsigned next, *spare;      /* ids given back by statements made at run time */
  size_t spares, spares_room;
};
char *dialect_translate(enum store_engine engine, const char *sql, int *params, enum kind *kind, struct err *err);
/* Statements whose text is made at run time (migrations, dump, load), for connections of their own. */
struct dialect *dialect_new(struct store *s, const char *sql, bool made, struct err *err); /* made: at run time */
void dialect_free(struct store *s, struct dialect *d);

/* ---- connections --------------------------------------------------------------------- */

/* How bad the last failure on a connection was, in growing order. */
enum trouble {
  TROUBLE_NONE,
  TROUBLE_MEMBER,  /* a statement failed; the transaction goes on after undo */
  TROUBLE_GROUP,   /* the whole transaction is gone; its members are to be run again alone */
  TROUBLE_AGAIN,   /* the same, for a reason that passes: run again after a pause */
  TROUBLE_FULL,    /* the same, the disk is full */
  TROUBLE_LOST,    /* the connection is gone and nothing was committed */
  TROUBLE_UNKNOWN  /* the connection failed during COMMIT */
};
enum conn_use { CONN_READ, CONN_WRITE, CONN_OWN /* migrations, dump, load: long waits allowed */ };

struct conn {
  struct store *store;
  struct conn *next;     /* in the pool */
  enum conn_use use;
  enum trouble trouble;  /* of the current transaction */
  bool again;            /* set before begin: STORE_AGAIN alone, whose commit need not wait for the disk */
  bool careful;          /* each member gets a savepoint; else one that fails after it wrote breaks the group */
  struct ptrmap known;   /* literal → dialect, without the store's lock */
};

struct store_rows {
  struct store_tx *tx;
  bool open, stepped, temporary;
  void *handle;          /* sqlite3_stmt, PGresult or script */
  int row, columns;
  unsigned id;
  void **cells;          /* PostgreSQL: decoded bytea per column of this row */
};

struct store_tx {
  struct store *store;
  struct conn *conn;
  bool writing;          /* in work, not in a read */
  bool dumping;          /* in a read, but cursors are allowed */
  int statements;
  int64_t now;
  struct err first;      /* the first failure; every later statement answers it again */
  struct store_rows rows[STORE_ROWS];
};

/*
 * What a driver gives. Functions answer 0 or -1 with err and conn->trouble set.
 * begin: a transaction, by conn->again a light one; several members may follow, each between member_begin and member_keep or member_undo.
 * `alone` says that one member only will run; conn->careful whether members have savepoints. commit may answer TROUBLE_MEMBER (PostgreSQL, late error).
 * rollback leaves the connection fit for begin, or with TROUBLE_LOST.
 */
struct driver {
  enum store_engine engine;
  int (*open)(struct store *s, const char *where, struct err *err);
  void (*close)(struct store *s);
  struct conn *(*connect)(struct store *s, enum conn_use use, struct err *err);
  void (*disconnect)(struct conn *c);
  int (*begin)(struct conn *c, bool alone, struct err *err);
  void (*member_begin)(struct conn *c);
  int (*member_keep)(struct conn *c, struct err *err);
  int (*member_undo)(struct conn *c, struct err *err);
  int (*commit)(struct conn *c, struct err *err);
  void (*rollback)(struct conn *c);
  int (*exec)(struct conn *c, const struct dialect *d, const struct params *p, bool wait, int64_t *changed, struct err *err);
  int (*select)(struct conn *c, const struct dialect *d, const struct params *p, struct store_rows *r, struct err *err);
  int (*next)(struct store_rows *r, struct err *err);
  void (*done)(struct store_rows *r);
  bool (*null)(const struct store_rows *r, int column);
  int64_t (*integer)(const struct store_rows *r, int column);
  const char *(*text)(const struct store_rows *r, int column);
  const void *(*blob)(const struct store_rows *r, int column, size_t *n);
  int (*backup)(struct store *s, const char *file, struct err *err); /* NULL: not supported */
  const char *catalogue; /* SQL: table, column, type, place in the primary key (0: none), ordered by table and column's place */
  void (*relieve)(struct conn *c); /* may be NULL: after a full disk, make room before the next attempt */
  void (*tidy)(struct conn *c);    /* may be NULL: what is due after commits, when all whose work they held have been told */
};
extern const struct driver store_sqlite, store_postgres, store_scripted;

/* ---- the store ----------------------------------------------------------------------- */

struct member {
  struct member *next;
  store_work work;
  void *arg;
  store_done_fn done;
  enum store_queue queue;
  int rc;
  bool again;   /* STORE_AGAIN: among the jobs, but not with others of them */
  bool ran;     /* in the attempt under way */
  bool decided; /* the result stands */
  struct err err;
};
struct queue {
  struct member *first, **last;
  _Atomic int count;        /* changed under the lock */
};
struct writer {
  struct store *store;
  pthread_t thread;
  struct conn *conn;
  struct member **batch;  /* those who wait, jobs, those who came while these ran: STORE_ROOM times options.batch places */
  int count, fronts;      /* fronts: how many waited when the batch began */
  bool mixed;             /* who waits and jobs in one batch */
  bool again;             /* STORE_AGAIN alone */
  int64_t jobs_us, jobs_share, jobs_most; /* time that jobs had in this batch; may have while somebody waits; and at most */
  int fulls;              /* how often the disk was full in this batch */
  int careful;            /* so many batches still run with savepoints, as one without them broke */
  _Atomic int64_t busy_since; /* clock_mono() when the running batch began; 0: idle */
};

struct store {
  const struct driver *driver;
  struct store_options options;
  char *where;
  void *engine;           /* the driver's own */
  struct dialects dialects;

  pthread_mutex_t lock;   /* queues */
  pthread_cond_t work;
  struct queue queues[2];
  int64_t credit_us;      /* what jobs may use of the writers' time while people wait */
  _Atomic int64_t came;   /* clock_mono() when somebody last came to the front */
  bool closing;
  struct writer *writers;
  int writers_count;

  pthread_mutex_t pool_lock;
  pthread_cond_t pool_wait;
  struct conn *pool;
  int pool_count;
  pthread_rwlock_t reading; /* SQLite: readers share it, the writer takes it to empty the WAL */

  _Atomic int64_t commits, works, failures, retries, wal_bytes, wal_truncations, reads;
  _Atomic bool ill, probing; /* the last write failed for want of disk or database */
};

struct conn *store_conn(struct store *s, enum conn_use use, struct err *err); /* connect, common part filled */
void store_conn_free(struct conn *c);
void store_begin_tx(struct store_tx *tx, struct store *s, struct conn *c, bool writing);
void store_end_tx(struct store_tx *tx);   /* closes what was left open */
bool store_people(const struct store *s); /* somebody came to the front lately */
void *store_writer(void *writer);         /* the thread: batch.c */
bool table_wanted(const char *table, const char *const *rooms);    /* does a schema file of these rooms make it? NULL: all */
bool migration_wanted(const char *name, const char *const *rooms); /* NNN-room, likewise: migrate.c */
int store_enter(struct store *s, const char *what, struct err *err); /* refuses to nest on one thread */
void store_leave(struct store *s);

/* Statements already translated. */
int tx_exec(struct store_tx *tx, const struct dialect *d, const struct params *p, bool wait, int64_t *changed, struct err *err);
struct store_rows *tx_select(struct store_tx *tx, const struct dialect *d, const struct params *p, struct err *err);
/* Run text made at run time, without parameters. */
int tx_run(struct store_tx *tx, const char *sql, struct err *err);

#endif
