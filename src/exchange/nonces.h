/*
 * Inside exchange: which signatures were here within the window, for all processes of one gateway (replay.c).
 *
 * FOLDER/nonces is mapped into every process: a page that tells of itself, and `sets` sets of NONCES_WAYS words. A word is 44 bits of a keyed hash of key id and
 * nonce (16 more choose the set) and the 20 lower bits of `created` in seconds; a word whose message would not be taken any more is free. Words change by
 * compare-and-swap, and who has put one looks again: of several that bring the same at the same time at most one is told that it is new.
 *
 * The file is allocated whole when it is made, so that a full disk is met then and never while words are written. It is no durable record. What it does not tell of
 * (a start after the machine's, a file that was removed or damaged, a clock that was set back) is answered NONCE_ASK: the log of messages, which is durable, has to say.
 * Processes of several machines cannot share it, nor a gateway's folder.
 */
#ifndef CHAPAR_EXCHANGE_NONCES_H
#define CHAPAR_EXCHANGE_NONCES_H

#include "base/base.h"

enum { NONCES_SETS = 65536, NONCES_WAYS = 64 };            /* 32 MiB: 7,000 messages a second for five minutes */
enum nonce_seen { NONCE_NEW, NONCE_ASK };                   /* NONCE_ASK: not seen by the file, which does not know all that was taken then */

struct nonces;
/* Was any message taken as the producer since `at` (wall clock, ms)? By the log: asked once, when the file is made. */
typedef int (*nonces_logged)(void *ctx, int64_t at, bool *any, struct err *err);
/* Nothing is opened before the first message. sets: a power of two, NONCES_SETS but in tests. */
struct nonces *nonces_new(const char *folder, uint32_t sets, nonces_logged logged, void *ctx);
void nonces_free(struct nonces *n);                          /* may be NULL */
/* created, now, window: seconds; `created` is within the window. enum nonce_seen, or -1: ERR_CONFLICT it was here before (or was signed before a copy was put back),
 * ERR_UNAVAILABLE that cannot be told (no room in the set, or the file cannot be made): err says what to do. Any thread. */
int nonces_take(struct nonces *n, const char *keyid, const char *nonce, int64_t created, int64_t now, int64_t window, struct err *err);
void nonces_rest(struct nonces *n);                          /* its pages are not counted to this process until they are used again */
/* Taken, here before, and refused because it could not be told. problem: why the last was refused so, "" when that was more than a minute ago. */
struct nonces_figures { int64_t taken, seen, untold; char problem[300]; };
void nonces_count(struct nonces *n, struct nonces_figures *out);

#endif
