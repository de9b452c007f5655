/* What ends, inside the room (ends.c). */
#ifndef CHAPAR_EXCHANGE_ENDS_H
#define CHAPAR_EXCHANGE_ENDS_H

#include "exchange/side.h"

void ends_open(struct exchange *x);          /* x->ends */
void ends_stop(struct exchange *x);          /* no letter is begun from now on */
void ends_close(struct exchange *x);         /* after the tasks have ended */
void ends_jobs(struct exchange *x);          /* letters that are due, on a thread of its own */
void ends_metrics(struct exchange *x, struct buf *out);

#endif
