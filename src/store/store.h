/*
 * store: one SQL interface over SQLite and PostgreSQL, migrations, group commit.
 * Layer 1, includes base only. Knows no tables but its own (schema_version, store_lock).
 *
 * Dialect (tools/codecheck enforces it in the files of schema): types TEXT and BIGINT and the tokens @id (text key), @time (BIGINT,
 * milliseconds), @blob (BLOB/BYTEA); every table has a PRIMARY KEY and WITHOUT ROWID (dropped for PostgreSQL), or @wide where a row may
 * be larger than a quarter page (SQLite would give each such row a page of its own) or the key is one @number (BIGINT) that grows: it is
 * SQLite's own number of the row, and what is added fills page after page;
 * parameters ?1…?N; INSERT … ON CONFLICT, RETURNING, and LIMIT are the same on both; the token @claim is
 * "FOR UPDATE SKIP LOCKED" on PostgreSQL and nothing on SQLite. One statement a call, always a literal.
 *
 * Lives: work functions run inside a transaction on the store's writer (SQLite: one thread; PostgreSQL: a few
 * connections), many in one COMMIT. A work function must be pure but for the store: it may be run again (after a full
 * disk, a serialisation failure, another member's error), so it sets its outputs anew each time and touches nothing else.
 * `done` is called once, after COMMIT is durable or the work is refused for good, on a writer's thread (with PostgreSQL
 * several at once): it must only hand over (wake a connection), never block.
 *
 * Isolation: SQLite is serial; PostgreSQL is REPEATABLE READ, so what was read and then written is never lost to another
 * writer (the work is run again), but rules over several rows need a row of their own to meet on.
 */
#ifndef CHAPAR_STORE_H
#define CHAPAR_STORE_H

#include "base/base.h"

struct store;
struct store_tx; /* a transaction (in work) or a reading snapshot (in store_read) */

enum store_engine { STORE_SQLITE, STORE_POSTGRES, STORE_SCRIPTED };

struct store_options {
  int readers;             /* SQLite: most reading connections (0: 8); PostgreSQL: pool of reading connections (0: 6) */
  int writers;             /* PostgreSQL: writing connections (0: 4). SQLite always has one */
  int batch;               /* most work functions in one commit (0: 256 for SQLite, 32 for PostgreSQL); 1 = one commit per request */
  int busy_ms;             /* how long a reader or writer waits for a connection or a lock (0: 5000) */
  size_t wal_guard;        /* SQLite: begin the log (WAL) anew beyond this size (0: 16 MiB); its file may be twice as large */
};

/* where: "sqlite:FILE" (made with mode 0600 if missing; WAL, synchronous=FULL), "postgresql://…" (UTF8, collation C or C.UTF-8 for
 * our columns is checked; search_path pinned; connect_timeout), "scripted:TEXT" (unit tests: see store_script below).
 * options may be NULL. Errors: ERR_UNAVAILABLE with what to do. */
int store_open(const char *where, const struct store_options *options, struct store **out, struct err *err);
void store_close(struct store *s);     /* finishes queued work first */
enum store_engine store_engine_of(const struct store *s);

/* Migrations: embedded files schema/NNN-room.sql whose room is in `rooms` (NULL: all), in the order of their numbers, each in a
 * transaction under the lock row, recorded with its SHA-256 in schema_version. A recorded file whose text has changed is
 * refused. Statements are separated by ';' at a line's end. Safe when several nodes start at once. */
int store_migrate(struct store *s, const char *const *rooms, struct err *err);

/* ---- statements (inside work or read) ------------------------------------------------
 * types: one letter per parameter: 'i' int64_t · 't' const char * (NULL is SQL NULL) · 'b' const void *, size_t · 'd' double.
 * A letter that is none of these is ERR_INTERNAL, and so is another number of them than of ?N. A letter that does not fit its argument is a mistake
 * of ours that nobody can see, as with printf: nothing from outside ever chooses letters.
 * All prepared and cached per connection by the address of the literal (so literals must have static storage). */
int store_exec(struct store_tx *tx, struct err *err, const char *sql, const char *types, ...);  /* rows changed, -1 on error */
/* A failed statement fails its member: every later statement answers the same error, and the work is undone even if it answers 0.
 * Errors: ERR_CONFLICT for a broken key or constraint, ERR_INVALID for text that is not UTF-8, ERR_TOO_LARGE, ERR_UNAVAILABLE, else
 * ERR_INTERNAL. A read may only SELECT. Types are the same at every call of one literal. */
/* Like store_exec, but the count is not wanted: PostgreSQL pipelines it; an error may surface in a later call or at the end. */
int store_put(struct store_tx *tx, struct err *err, const char *sql, const char *types, ...);   /* 0, -1 */

struct store_rows;  /* a result being read; at most 8 open in one transaction */
struct store_rows *store_select(struct store_tx *tx, struct err *err, const char *sql, const char *types, ...); /* NULL on error */
int store_next(struct store_rows *r, struct err *err);   /* 1 a row, 0 no more, -1 error */
int64_t store_int(const struct store_rows *r, int column);               /* NULL gives 0 */
const char *store_text(const struct store_rows *r, int column);          /* NULL for SQL NULL; valid until store_next/store_done */
const void *store_blob(const struct store_rows *r, int column, size_t *n);
bool store_null(const struct store_rows *r, int column);
void store_done(struct store_rows *r);                   /* accepts NULL */
/* First row's first column as int64; dflt when there is no row or it is NULL. */
int store_value(struct store_tx *tx, int64_t *out, int64_t dflt, struct err *err, const char *sql, const char *types, ...);
/* Inside work: whether to look for conflicts while writing. False when a batch runs at full speed on PostgreSQL, where each look is a
 * round trip: a plain INSERT by store_put may then stand for INSERT … ON CONFLICT and its count; a broken key runs the batch again, with
 * true. SQLite, where a look costs nothing, always says true. */
bool store_looks(const struct store_tx *tx);
struct store *store_of(struct store_tx *tx);
bool store_hurry(const struct store_tx *tx); /* somebody at the front waits for this very writer: a job that can go on later should end now */
int64_t store_time(struct store_tx *tx);   /* clock_now() fixed at the transaction's begin (all members of a batch may differ) */

/* ---- work --------------------------------------------------------------------------- */
typedef int (*store_work)(struct store_tx *tx, void *arg, struct err *err);
typedef void (*store_done_fn)(void *arg, int rc, const struct err *err);

enum store_queue {
  STORE_FRONT, /* people wait for it */
  STORE_JOBS,  /* outbox, messages, upkeep: a weighted share, never starved nor starving; 5 ms at a time while somebody waits */
  STORE_AGAIN  /* passed clocks, places in the ledger: jobs whose end nobody is told of and that find by themselves what is left to do. Their commit
                  does not wait for the disk: whole and in order as all others, but after a power cut they may not have been done; with the next
                  commit of others they have */
};
/* Queue work. Never blocks. Answers -1 with ERR_UNAVAILABLE when more than 20,000 wait or the store is closing (done is not called). */
int store_submit(struct store *s, enum store_queue q, store_work work, void *arg, store_done_fn done, struct err *err);
/* The same, waiting for the result. Not from inside work. */
int store_write(struct store *s, enum store_queue q, store_work work, void *arg, struct err *err);
/* Run a reading function on the calling thread in a read snapshot of its own. Not from inside work.
 * Writer-preferring on SQLite; PostgreSQL takes a connection from the pool (waits at most busy_ms). */
int store_read(struct store *s, store_work work, void *arg, struct err *err);

/* Outcomes of a member: ERR_OUTCOME_UNKNOWN when the connection was lost during COMMIT or a synchronous wait was
 * cancelled (the caller asks again by key); ERR_UNAVAILABLE for a full disk or a lost database (nothing was written).
 * An I/O error or corruption from SQLite ends the process (exit 70) after a log line, as nothing after it can be trusted. */

/* ---- leases: one row of store_lock per job or bucket -------------------------------- */
/* Take or renew the lease `name` for `owner` until now+ms. 1: held (epoch filled: grows at each change of owner), 0: another holds it. */
int store_lease(struct store *s, const char *name, const char *owner, int64_t ms, int64_t *epoch, struct err *err);
/* Inside work: -1 with ERR_CONFLICT unless `owner` holds `name` at `epoch` (fencing). */
int store_lease_check(struct store_tx *tx, const char *name, const char *owner, int64_t epoch, struct err *err);

/* ---- copies and figures ------------------------------------------------------------- */
/* SQLite: a consistent copy into a new file while serving (backup API). PostgreSQL: ERR_UNSUPPORTED (use store_dump). */
int store_backup(struct store *s, const char *file, struct err *err);
/* Both engines: every row of every table of the rooms (as in store_migrate) as text lines through `sink`, from one snapshot; load is the inverse into an empty,
 * migrated store of either engine, all or nothing. Format: "T table col:type…\n" (types text, bigint, blob), then lines
 * "R value|…\n" (decimal digits, base64, "-" for NULL), end line "E rows sha256". Leases are left out; schema_version is compared. */
int store_dump(struct store *s, const char *const *rooms, int (*sink)(void *ctx, const void *p, size_t n), void *ctx, struct err *err);
int store_load(struct store *s, int (*source)(void *ctx, void *p, size_t room, size_t *n), void *ctx, struct err *err);

struct store_stats { int64_t commits, works, failures, retries, queued_front, queued_jobs, wal_bytes, wal_truncations, reads; };
void store_stats(struct store *s, struct store_stats *out);
int store_ping(struct store *s, struct err *err);        /* for /health: a read and the writer's pulse */

/* ---- scripted driver for unit tests ---------------------------------------------------
 * "scripted:" + lines: `SQL-prefix => rows` where rows are `a|b;c|d` (\N: NULL), `! error-name` or `# changed`. Each expected
 * statement is met in order; an unexpected one fails with ERR_INTERNAL naming it; store_close logs what was never asked. */

#endif
