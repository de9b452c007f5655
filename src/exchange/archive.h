/* Archives of evidence: the file (archive_file.c), and its way out of the log (archive.c). docs/developer/evidence.md tells the bytes. */
#ifndef CHAPAR_EXCHANGE_ARCHIVE_H
#define CHAPAR_EXCHANGE_ARCHIVE_H

#include "exchange/evidence.h"

#define ARCHIVE_TYPE "chapar-archive-v1"
#define ARCHIVE_END ".jsonl.gz"
enum { ARCHIVE_DIRECTORIES = 8 };            /* that one archive names at most */

/* ---- the file: JSON lines, many of them in one gzip member ("block"), no line in two of them ---- */
struct archive_writer;
int archive_create(const char *path, struct archive_writer **out, struct err *err);       /* mode 0600; replaces what is there */
int archive_line(struct archive_writer *w, const json_t *line, struct err *err);          /* ERR_UNAVAILABLE: the disk takes no more */
int64_t archive_written(const struct archive_writer *w);                                  /* bytes in the file so far */
/* The closing line ({"closed":{"messages","sha256"}}: of every byte of text before it), everything durable. */
int archive_finish(struct archive_writer *w, int64_t messages, struct err *err);
void archive_drop(struct archive_writer *w);                                              /* accepts NULL; closes, keeps the file */

struct archive_reader;
int archive_open(const char *path, struct archive_reader **out, struct err *err);
int archive_seek(struct archive_reader *r, int64_t place, struct err *err);               /* the beginning of a block */
/* The next line and the place of its block. 1; 0: the file is at its end; -1 ERR_MALFORMED: it is cut off or damaged. Valid until the next call. */
int archive_next(struct archive_reader *r, const char **line, size_t *n, int64_t *place, struct err *err);
void archive_close(struct archive_reader *r);

/* ---- a whole archive, judged line by line ---- */
struct archive_sum { char server[4 * EXCHANGE_PART + 4]; int64_t messages, directories, from, until, bytes; char sha256[65]; };
/* What stands in it besides: called for each directory (version, message NULL) and each message (version 0). -1 ends it with *err. */
typedef int (*archive_each)(void *ctx, int64_t place, int64_t version, const char *message_id, const json_t *message, struct err *err);
/* From the beginning to the end: every directory is signed by the operator, every message is what was signed and stands in the ledger of the server that
 * is named, and nothing is missing. judge false: only read, after it was judged. */
int archive_judge(struct archive_reader *r, bool judge, const char *operator_key, const char *ca_file, archive_each each, void *ctx, struct archive_sum *out, struct err *err);

/* ---- what is taken out of archives for a bundle ---- */
int64_t archive_key(char kind, const char *text);           /* 'm' message id, 'd' version in decimal */
/* Every message that is asked in the archives and not in `messages` yet, with the directories that they name and that are not in `directories` yet (both
 * arrays of a bundle; bytes: what they hold so far). ERR_UNAVAILABLE: an archive is not where it was; the sentence names it. */
int archives_find(struct exchange *x, const struct evidence_ask *a, json_t *messages, json_t *directories, int64_t bytes, struct err *err);
/* A directory of an archive, of the first of those that name it which can be read: malloc'ed text, NULL when none names it. */
int archives_directory(struct exchange *x, int64_t version, char **out, size_t *n, struct err *err);

/* ---- proof.c: one message by itself ---- */
struct judging;
struct judging *judging_new(const char *operator_key, const char *ca_file);
int judging_directory(struct judging *j, const json_t *directory, struct err *err);
int judging_message(struct judging *j, const char *server, const char *message_id, const json_t *message, struct err *err); /* an answer: without its request */
void judging_free(struct judging *j);

/* ---- bundle.c ---- */
bool evidence_took_part(const char *client, const char *service, const char *asker); /* did this subsystem ask, or answer? NULL: yes */
int64_t evidence_until(const struct evidence_ask *a); /* exclusive */
void evidence_key(json_t *message, const struct members *m, const char *keyid); /* adds the public key as the directory lists it */
int evidence_fits(const struct evidence_ask *a, size_t messages, size_t directories, int64_t bytes, struct err *err); /* -1, ERR_LIMIT: more than a bundle holds */

char *archive_folder(const struct exchange *x); /* caller frees */
int64_t folder_room(const char *folder);      /* free bytes of its disk, -1 when that cannot be told */

/* ---- archive.c: x->keeping ---- */
int keeping_open(struct exchange *x, struct err *err);
void keeping_stop(struct exchange *x);       /* a run that is under way ends soon */
void keeping_close(struct exchange *x);
void keeping_jobs(struct exchange *x);       /* a run when it is due by the settings, on a thread of its own */
const char *keeping_problem(struct exchange *x, char out[300]); /* NULL: none */

#endif
