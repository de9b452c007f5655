#ifndef CHAPAR_EXCHANGE_WITNESS_H
#define CHAPAR_EXCHANGE_WITNESS_H

#include "exchange/inside.h"

/* The logs that this gateway has seen: [{"origin","tree_size","at","problem"}]; problem "" when all was well. */
int witness_seen(struct exchange *x, json_t **out, struct err *err);

#endif
