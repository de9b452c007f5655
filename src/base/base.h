/*
 * base: arenas, strings, buffers, JSON, CSV, YAML positions, log, clock, errors.
 * Layer 0. Knows nothing of government. Every other room includes this one.
 *
 * Conventions of the whole house:
 *  - functions return 0 on success and -1 on failure with *err filled (err may be NULL);
 *    constructors return through the last pointer; destructors accept NULL;
 *  - strings are UTF-8 and NUL-terminated; sizes are bytes; times are milliseconds
 *    since 1970-01-01T00:00:00Z in int64_t; days are days since 1970-01-01 in int32_t;
 *  - long-lived memory comes from base_alloc() and friends, which end the process when
 *    the machine has none; request memory comes from an arena with a cap, which answers NULL.
 */
#ifndef CHAPAR_BASE_H
#define CHAPAR_BASE_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BASE_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define BASE_MUST __attribute__((warn_unused_result))
#define BASE_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- errors ------------------------------------------------------------------------- */

/* Every kind of failure, its HTTP status and its machine name (problem type, `code`). */
#define ERR_TABLE(X)                                                                    \
  X(ERR_NONE, 200, "none")                                                              \
  X(ERR_INVALID, 422, "invalid")            /* input does not satisfy its definition */ \
  X(ERR_MALFORMED, 400, "malformed")        /* input cannot be read at all */           \
  X(ERR_UNAUTHENTICATED, 401, "unauthenticated")                                        \
  X(ERR_FORBIDDEN, 403, "forbidden")                                                    \
  X(ERR_NOT_FOUND, 404, "not_found")                                                    \
  X(ERR_CONFLICT, 409, "conflict")          /* the thing has moved on */                \
  X(ERR_KEY_REUSED, 422, "idempotency_key_reused")                                      \
  X(ERR_PRECONDITION, 428, "precondition_required")                                     \
  X(ERR_TOO_LARGE, 413, "too_large")                                                    \
  X(ERR_UNSUPPORTED, 415, "unsupported_media_type")                                     \
  X(ERR_NOT_ACCEPTABLE, 406, "not_acceptable")                                          \
  X(ERR_METHOD, 405, "method_not_allowed")                                              \
  X(ERR_RATE, 429, "too_many_requests")                                                 \
  X(ERR_UNAVAILABLE, 503, "unavailable")    /* full disk, lost database: try again */   \
  X(ERR_OUTCOME_UNKNOWN, 503, "outcome_unknown") /* may have been written: ask by key */\
  X(ERR_LIMIT, 413, "limit")                /* one of our bounds was reached */         \
  X(ERR_INTERNAL, 500, "internal")

enum err_code {
#define X(name, status, text) name,
  ERR_TABLE(X)
#undef X
};

struct err {
  enum err_code code;
  char message[512]; /* English, for logs and engineers; pages use words by code */
};

/* Fill *err (if not NULL) and return -1, so that callers can `return err_set(...)`. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) BASE_PRINTF(3, 4);
int err_status(enum err_code code);       /* HTTP status of the row */
const char *err_name(enum err_code code); /* machine name of the row */

/* ---- memory ------------------------------------------------------------------------- */

void *base_alloc(size_t size);              /* zeroed; never NULL (ends the process) */
void *base_realloc(void *p, size_t size);   /* never NULL */
char *base_strdup(const char *s);           /* NULL gives NULL */
char *base_printf(const char *fmt, ...) BASE_PRINTF(1, 2); /* caller frees with free() */

struct arena;
struct arena *arena_new(size_t cap);        /* cap: most bytes it will ever hand out */
void arena_free(struct arena *a);           /* and everything allocated from it */
void arena_reset(struct arena *a);          /* forget all, keep the first block */
void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned; NULL beyond the cap */
char *arena_strdup(struct arena *a, const char *s);            /* NULL beyond the cap or for NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) BASE_PRINTF(2, 3);
size_t arena_used(const struct arena *a);
bool arena_overflowed(const struct arena *a); /* an allocation was refused since new/reset */

/* A growable byte string with a cap. After an overflow every further append is ignored
 * and buf_overflowed() is true. Zero-initialise, or buf_init() to set another cap than 16 MiB. */
struct buf {
  char *data;   /* NUL-terminated once anything was appended; NULL before */
  size_t len;
  size_t room;
  size_t cap;   /* 0 means 16 MiB */
  bool overflow;
};
void buf_init(struct buf *b, size_t cap);
void buf_free(struct buf *b);
void buf_clear(struct buf *b);              /* len = 0, keeps the memory */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) BASE_PRINTF(2, 3);
bool buf_overflowed(const struct buf *b);
char *buf_take(struct buf *b);              /* the string (never NULL); caller frees; b is empty again */
const char *buf_str(const struct buf *b);   /* "" when nothing was appended */

/* ---- bytes and text ----------------------------------------------------------------- */

bool utf8_valid(const char *s, size_t n);             /* RFC 3629: no overlong forms, surrogates, > U+10FFFF */
size_t utf8_length(const char *s);                    /* code points of valid UTF-8 */
int utf8_next(const char **s, const char *end);       /* next code point and advance; -1 at the end or when invalid */
size_t utf8_encode(uint32_t cp, char out[4]);         /* bytes written, 0 when not a scalar value */
void hex_encode(const void *p, size_t n, char *out);  /* 2n+1 bytes, lower case */
int hex_decode(const char *hex, void *out, size_t n); /* exactly 2n digits, else -1 */
char *base64_encode(const void *p, size_t n);         /* standard alphabet with padding; caller frees */
int base64_decode(const char *s, size_t n, void *out, size_t room, size_t *len); /* strict; -1 when malformed or room too small */
char *base64url_encode(const void *p, size_t n);      /* no padding; caller frees */
void random_bytes(void *p, size_t n);                 /* getrandom(2); ends the process when refused */
bool base_same(const char *a, const char *b);         /* both NULL, or equal */
bool base_starts(const char *s, const char *prefix);
int parse_i64(const char *s, int64_t *out);           /* whole decimal string with optional '-', else -1 */

/* ---- JSON --------------------------------------------------------------------------- */

/* Parse one JSON document from outside. Refuses: invalid UTF-8, NUL in strings, duplicate keys,
 * more than `depth` levels (0 means 32), text after the document, numbers out of int64/double.
 * Returns a new reference, or NULL with ERR_MALFORMED whose message tells the place. */
json_t *json_read(const char *s, size_t n, unsigned depth, struct err *err);
char *json_canonical(const json_t *v);      /* sorted keys, compact; caller frees with free() */
char *json_text(const json_t *v, size_t *n); /* compact, members in their order: for answers (jansson's own writer takes twice as long); caller frees */
const char *json_str(const json_t *obj, const char *key);         /* string member or NULL (obj may be NULL) */
int64_t json_int(const json_t *obj, const char *key, int64_t dflt);
bool json_flag(const json_t *obj, const char *key, bool dflt);
/* Set a string member, valid UTF-8 only; NULL sets JSON null. Ends the process when out of memory. */
void json_put(json_t *obj, const char *key, const char *value);

/* ---- CSV (RFC 4180) ----------------------------------------------------------------- */

struct csv; /* a whole parsed file with a header row */
struct csv *csv_read(const char *data, size_t n, struct err *err); /* refuses ragged rows with their line; strips a BOM */
void csv_free(struct csv *c);
size_t csv_rows(const struct csv *c);
int csv_column(const struct csv *c, const char *name);       /* index, -1 when there is none */
const char *csv_cell(const struct csv *c, size_t row, int column); /* "" for column -1 */
unsigned csv_line(const struct csv *c, size_t row);          /* line in the file where the row begins, from 1 */
/* One cell of a row being written, quoted where needed (RFC 4180). What a spreadsheet would take for a formula begins with an apostrophe;
 * csv_plain gives the text behind it (and behind the one before digits that are no number) when such a cell is read again. */
void csv_put(struct buf *b, const char *text);
const char *csv_plain(const char *cell);

/* ---- YAML with line numbers --------------------------------------------------------- */

/* A small tree over libyaml's events. Every node knows its line (from 1) and column. Anchors, aliases,
 * tags and several documents are refused; depth 24, 200,000 nodes and 4 MiB at most; duplicate keys refused. */
enum yaml_kind { YAML_NODE_SCALAR, YAML_NODE_LIST, YAML_NODE_MAP };
struct yaml_node {
  enum yaml_kind kind;
  unsigned line, column;
  bool quoted;                 /* scalar was written in quotes or as a block */
  const char *key;             /* in a map: its key; else NULL */
  unsigned key_line;
  const char *text;            /* scalar's text */
  struct yaml_node *first;     /* first child of list or map, in order */
  struct yaml_node *next;      /* sibling */
  size_t count;                /* children */
};
struct yaml_doc;
struct yaml_doc *yaml_read(const char *data, size_t n, unsigned *line, struct err *err); /* *line: where it failed */
void yaml_doc_free(struct yaml_doc *d);
const struct yaml_node *yaml_root(const struct yaml_doc *d);
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key); /* NULL when absent or not a map */
json_t *yaml_to_json(const struct yaml_node *n); /* plain scalars become null/bool/int/real where they look so; new reference */

/* ---- files -------------------------------------------------------------------------- */

/* Read a whole file of at most `most` bytes (0: 64 MiB). Caller frees. NULL with err when it cannot. */
char *file_read(const char *path, size_t most, size_t *n, struct err *err);
/* Write atomically: temporary file beside it, fsync, rename, fsync of the folder. */
int file_write(const char *path, const void *data, size_t n, unsigned mode, struct err *err);
int dir_make(const char *path, unsigned mode, struct err *err); /* mkdir -p */

/* ---- embedded files ----------------------------------------------------------------- */

/* schema/, templates/, assets/ and locale/ are built into the binary by tools/embed.
 * name is the path in the repository ("templates/page.mustache"). Answers NULL when there is none. */
struct embedded { const char *name; const unsigned char *data; size_t size; const char *sha256; };
const struct embedded *embedded_find(const char *name);
const struct embedded *embedded_all(size_t *count); /* sorted by name */

/* ---- clock -------------------------------------------------------------------------- */

int64_t clock_now(void);             /* milliseconds since the epoch; the simulated time when one is set */
int64_t clock_mono(void);            /* monotonic milliseconds, for time-outs */
void clock_set(int64_t ms);          /* simulate: clock_now() answers this from now on; 0 returns to real time */
void clock_rfc3339(int64_t ms, char out[32]); /* 2026-11-23T10:15:00Z (seconds; UTC) */
void clock_rfc3339_ms(int64_t ms, char out[32]); /* with milliseconds */
int clock_parse(const char *s, int64_t *ms);  /* RFC 3339, -1 when malformed */

/* ---- helper processes ----------------------------------------------------------------- */

/* A helper is this program begun again under a name of its own in argv[0], which a constructor of its room looks at before main, so that every program
 * with that room in it can begin it. It gets its channels (4 at most) as descriptors from CHILD_CHANNEL on, no signal blocked, a process group of its
 * own. 0 or errno. */
enum { CHILD_CHANNEL = 3 };
int child_begin(char *const argv[], const int *channels, size_t count, pid_t *pid);
/* Within the helper, when it has all that it needs: no dumps, no files, no new processes, no privileges to gain, and of the kernel's calls only those for
 * memory, time and its channels and `more` (numbers of libseccomp); another one ends it. files: descriptors that it may have. -1, told on stderr by `who`. */
int child_shut(const char *who, int files, const int *more, size_t count);
int child_complain(const char *who, const char *what, const char *name); /* one line on stderr; -1 */
/* Of this thread's capabilities (before others are begun) keep these alone, by bit: for itself and for what it begins. What it has not stays so. */
void privileges_keep(uint64_t keep);

/* ---- log ---------------------------------------------------------------------------- */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
void log_set_level(enum log_level lowest);
/* One JSON line on standard error: {"at","level","room","message"}. Never personal data. */
void log_write(enum log_level level, const char *room, const char *fmt, ...) BASE_PRINTF(3, 4);
/* One ready-made JSON object as a line (access log); takes the reference. */
void log_json(json_t *line);

#endif
