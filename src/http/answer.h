/* Inside http: an answer of HTTP/1.1 as it comes in, in pieces of any size. No clock, no socket. */
#ifndef CHAPAR_HTTP_ANSWER_H
#define CHAPAR_HTTP_ANSWER_H

#include "http/inner.h"

/* What comes of the content: 0, or -1 to stop with *err set. */
typedef int (*answer_sink)(void *ctx, const void *p, size_t n, struct err *err);

enum answer_state { ANSWER_STATUS, ANSWER_HEAD, ANSWER_BODY, ANSWER_SIZE, ANSWER_CHUNK, ANSWER_CHUNK_END, ANSWER_TRAILER, ANSWER_DONE };

struct answer {
  enum answer_state state;
  answer_sink sink; void *ctx;
  bool head_only;                     /* of HEAD: no content follows */
  int status;
  struct buf pairs; size_t count;     /* "name\0value\0"… */
  bool close;                         /* the connection ends with this answer: known with its head */
  bool old, ends, stays;              /* of HTTP/1.0; what Connection says */
  bool sized, chunked;
  int64_t left;                       /* of the content or of its chunk; -1: until the connection ends */
  struct buf line;                    /* what has come of a line that has no end yet */
  size_t seen;                        /* bytes of this head, or of the trailer */
  int interim;
};

void answer_begin(struct answer *a, bool head_only, answer_sink sink, void *ctx);
void answer_free(struct answer *a);
/* How many of the n bytes were the answer's: all of them until it is ANSWER_DONE. -1: *err says why (ERR_OUTCOME_UNKNOWN, or the sink's). */
ssize_t answer_take(struct answer *a, const char *p, size_t n, struct err *err);
/* The connection has ended. 0: that was the end of the answer; -1: it is not whole. */
int answer_end(struct answer *a, struct err *err);

#endif
