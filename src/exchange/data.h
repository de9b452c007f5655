/* What registry_services.c and prefill.c share. */
#ifndef CHAPAR_EXCHANGE_DATA_H
#define CHAPAR_EXCHANGE_DATA_H

#include "exchange/exchange.h"

#include <pthread.h>

struct exchange_data {
  struct exchange_data_options o;
  struct exchange *x;              /* NULL before exchange_data_join */
  struct served { struct exchange_data *d; const struct data_service *s; } *served; /* those with a registry */
  size_t count;
  json_t *there;                   /* subsystems that were told, by id */
  int64_t seen, round;             /* rights: newest change that was told; when they were last read (clock_mono) */
};

#endif
