/* The log of a SQLite file, between sqlite.c and wal.c. */
#ifndef CHAPAR_STORE_WAL_H
#define CHAPAR_STORE_WAL_H

#include "store/driver.h"
#include <sqlite3.h>

struct wal;
int wal_open(struct store *s, struct wal **out, struct err *err); /* with a connection and a thread of its own */
void wal_close(struct wal *w);                         /* after the store's connections */
void wal_written(struct wal *w, int frames);           /* by the writer, in its commit: so many frames are in the log */
void wal_guard(struct wal *w, struct conn *writer);    /* by the writer, after its commit: wake the thread, or begin the log anew */
void wal_empty(struct wal *w, struct conn *writer);    /* by the writer, when the disk is full: copy everything and give the log's room back */

#define GATHER "gather"                                /* SQLite's own way to the files, but that the log is written in one piece for a commit (gather.c) */
void gather_prepare(void);                             /* once, before the first file is opened with it */
void gather_drop(void *db);                            /* by SQLite whenever a transaction of this connection is taken back */

sqlite3 *sq_handle(struct conn *c);
void sq_end_if_fatal(struct conn *c, int rc);          /* after an I/O error the process ends */
#endif
