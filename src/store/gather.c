/* The log of a SQLite file is written in one piece for a commit: SQLite writes each frame as a header of 24 bytes and a page, two calls of the system; what is
   written one behind the other is gathered here and goes out when the commit's last frame is whole, before anything is read, synced, cut or measured.
   Nobody reads a frame that is not committed but the connection that wrote it, so nothing that others may see is ever kept back. Frames of a transaction that
   was taken back are thrown away before anybody else has written in their place: by gather_drop(), and when the file is closed. */
#include "store/wal.h"
#include <stdlib.h>
#include <string.h>

enum { ROOM = 120 * 1024 /* SQLite writes at most 131,071 bytes in a call */, LOG_HEAD = 32, FRAME_HEAD = 24 };

struct gathered {
  sqlite3_file base;
  sqlite3_file *real;      /* behind this struct */
  unsigned char *piece;    /* ROOM bytes, once something was written */
  sqlite3_int64 from;      /* where the piece belongs */
  sqlite3_int64 end;       /* of all that was written since the log began: what lies before it is written over, at once */
  int n;
  bool last;               /* the page that comes is a commit's last */
};

static struct gathered *of(sqlite3_file *f) { return (struct gathered *)f; }

static int out(struct gathered *g) {
  int n = g->n;
  g->n = 0; /* if it fails, the transaction does */
  return n == 0 ? SQLITE_OK : g->real->pMethods->xWrite(g->real, g->piece, n, g->from);
}

static int log_append(struct gathered *g, const void *p, int n, sqlite3_int64 at) {
  int rc = SQLITE_OK;
  if (g->piece == NULL && (g->piece = malloc(ROOM)) == NULL) return SQLITE_IOERR_NOMEM;
  if (g->n > 0 && (at != g->from + g->n || n > ROOM - g->n)) rc = out(g);
  if (rc != SQLITE_OK) return rc;
  if (g->n == 0) g->from = at;
  memcpy(g->piece + g->n, p, (size_t)n);
  g->n += n;
  g->end = at + n;
  bool whole = g->last && n > FRAME_HEAD;
  if (n == FRAME_HEAD) g->last = memcmp((const char *)p + 4, "\0\0\0\0", 4) != 0; /* the file's size in pages, in a commit's last frame alone */
  if (!whole) return SQLITE_OK;
  g->last = false;
  return out(g);
}

static int log_write_at(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
  struct gathered *g = of(f);
  if (n == LOG_HEAD && at == 0) g->end = 0;
  if (at >= g->end && n <= ROOM) return log_append(g, p, n, at);
  int rc = out(g);
  if (at + n > g->end) g->end = at + n;
  return rc == SQLITE_OK ? g->real->pMethods->xWrite(g->real, p, n, at) : rc;
}

static int log_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) {
  int rc = out(of(f));
  return rc == SQLITE_OK ? of(f)->real->pMethods->xRead(of(f)->real, p, n, at) : rc;
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 size) {
  int rc = out(of(f));
  return rc == SQLITE_OK ? of(f)->real->pMethods->xTruncate(of(f)->real, size) : rc;
}

static int log_sync(sqlite3_file *f, int flags) {
  int rc = out(of(f));
  return rc == SQLITE_OK ? of(f)->real->pMethods->xSync(of(f)->real, flags) : rc;
}

static int log_size(sqlite3_file *f, sqlite3_int64 *size) {
  int rc = out(of(f));
  return rc == SQLITE_OK ? of(f)->real->pMethods->xFileSize(of(f)->real, size) : rc;
}

static int log_close(sqlite3_file *f) {
  struct gathered *g = of(f);
  int rc = g->real->pMethods->xClose(g->real);
  free(g->piece);
  g->piece = NULL;
  return rc;
}

static int log_lock(sqlite3_file *f, int level) { return of(f)->real->pMethods->xLock(of(f)->real, level); }
static int log_unlock(sqlite3_file *f, int level) { return of(f)->real->pMethods->xUnlock(of(f)->real, level); }
static int log_reserved(sqlite3_file *f, int *is) { return of(f)->real->pMethods->xCheckReservedLock(of(f)->real, is); }
static int log_control(sqlite3_file *f, int op, void *arg) { return of(f)->real->pMethods->xFileControl(of(f)->real, op, arg); }
static int log_sector(sqlite3_file *f) { return of(f)->real->pMethods->xSectorSize(of(f)->real); }
static int log_device(sqlite3_file *f) { return of(f)->real->pMethods->xDeviceCharacteristics(of(f)->real); }

static const sqlite3_io_methods methods = {
  .iVersion = 1, .xClose = log_close, .xRead = log_read, .xWrite = log_write_at, .xTruncate = log_truncate, .xSync = log_sync, .xFileSize = log_size, .xLock = log_lock,
  .xUnlock = log_unlock, .xCheckReservedLock = log_reserved, .xFileControl = log_control, .xSectorSize = log_sector, .xDeviceCharacteristics = log_device};

static int open_file(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out_flags) {
  sqlite3_vfs *real = v->pAppData;
  if (!(flags & SQLITE_OPEN_WAL)) return real->xOpen(real, name, f, flags, out_flags);
  struct gathered *g = of(f);
  memset(g, 0, sizeof *g);
  g->real = (sqlite3_file *)(g + 1);
  int rc = real->xOpen(real, name, g->real, flags, out_flags);
  if (rc == SQLITE_OK) g->base.pMethods = &methods;
  return rc;
}

void gather_drop(void *db) {
  sqlite3_file *log = NULL;
  if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || log == NULL || log->pMethods != &methods) return;
  of(log)->n = 0;
  of(log)->last = false;
}

void gather_prepare(void) {
  static sqlite3_vfs own;
  sqlite3_vfs *real = sqlite3_initialize() == SQLITE_OK ? sqlite3_vfs_find(NULL) : NULL;
  if (real == NULL) return; /* files are not opened then, and the error says so */
  own = *real;
  own.pNext = NULL;
  own.zName = GATHER;
  own.pAppData = real;
  own.szOsFile = (int)sizeof(struct gathered) + real->szOsFile;
  own.xOpen = open_file;
  sqlite3_vfs_register(&own, 0);
}
